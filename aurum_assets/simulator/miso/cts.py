"""MISO's Coordinated Transaction Scheduling: forecasts of the interface price, in both dialects.

Live: the file of the newest case's day, all of its cases so far, ten points each. Just after
midnight that is still yesterday's. Documented: 288 five-minute marks at every node. All of it in
EST.
"""

import datetime as dt
from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import FIFTEEN_MINUTES, FIVE_MINUTES, OperatingDay
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.simulator.miso.displays import clock_text, est, ref_id
from aurum_assets.simulator.payloads import Tree, number
from aurum_assets.simulator.shapes import (
    Floats,
    Ints,
    bump,
    cents,
    draws,
    hours,
    noon,
    season,
    total_cents,
    wander,
)
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

POINTS = 10
_VALIDATED_AFTER_DAYS = 7
_BALANCED_BELOW = 12.0  # MWh
_OFF_BY = 10.0  # USD/MWh: a total that is no sum


@lru_cache(maxsize=32)
def _price(seed: int, day: OperatingDay) -> Floats:
    """PJM's price at the interface, by five-minute mark."""
    generator = draws(seed, "cts-price", day.key)
    hour = hours(day)
    level = 30 + 14 * max(season(day.date, 20), 0) + 12 * max(season(day.date, 205), 0)
    level *= 0.8 + 0.4 * generator.random()
    shape = 0.85 + 0.4 * bump(hour, 17.5, 3) + 0.2 * bump(hour, 7.5, 2) - 0.15 * bump(hour, 3, 3)
    price: Floats = level * (shape + 0.07 * wander(generator, len(hour)))
    return price


@lru_cache(maxsize=16)
def _cases(seed: int, day: OperatingDay) -> list[tuple[dt.datetime, dt.datetime]]:
    """First solution time and approval of each case: 237 to 343 s later, 858 to 942 s apart."""
    firsts = day.marks(FIFTEEN_MINUTES)
    jitter = draws(seed, "cts-case", day.key).uniform(-20, 20, len(firsts))
    swing = 33 * np.sin(2 * np.pi * np.arange(len(firsts)) / len(firsts))
    after = [dt.timedelta(seconds=round(float(s))) for s in 290 + swing + jitter]
    return [(first, first + delay) for first, delay in zip(firsts, after, strict=True)]


def live_records(day: OperatingDay, cases: int | None = None, *, seed: int = 0) -> list[Tree]:
    """The records of a day's first ``cases``, due or not, the newest case first."""
    known = _cases(seed, day)[:cases]
    ahead = np.concatenate([_price(seed, day), _price(seed, day.plus(1))])[::3]
    errors = draws(seed, "cts-error", day.key).standard_normal((len(_cases(seed, day)), POINTS))
    errors *= 0.05 * np.sqrt(np.arange(POINTS))
    records = []
    for k, (first, approved) in reversed(list(enumerate(known))):
        values = ahead[k : k + POINTS] * (1 + errors[k])
        records += [
            {
                "CASEAPPROVALDATE": clock_text(approved),
                "SOLUTIONTIME": clock_text(first + i * FIFTEEN_MINUTES),
                "PJMFORECASTEDLMP": f"{value:.2f}",
            }
            for i, value in enumerate(values)
        ]
    return records


def _live(world: World, ask: Ask) -> Answer:
    day = MISO.day_of(ask.now)
    count = sum(approved <= ask.now for _, approved in _cases(world.seed, day))
    if not count:
        day = day.plus(-1)
        count = len(_cases(world.seed, day))
    newest = ref_id(_cases(world.seed, day)[count - 1][0])

    def tree() -> Tree:
        return {"RefId": newest, "Interval": live_records(day, count, seed=world.seed)}

    return Answer(tree, "PJMFORECASTEDLMP", ("cts-live", world.seed, day, count))


def node_names(count: int) -> list[str]:
    """``MISO.PJM.INTERFACE1`` and so on."""
    return [f"MISO.PJM.INTERFACE{n}" for n in range(1, count + 1)]


def documented_records(
    day: OperatingDay, nodes: int = 4, *, seed: int = 0, known_at: dt.datetime | None = None
) -> list[Tree]:
    """The ``data`` of a whole day; with ``known_at``, marks ahead of it carry a forecast error."""
    names = node_names(nodes)
    columns = [_node_columns(seed, day, n, known_at) for n in range(nodes)]
    records = []
    for i, mark in enumerate(day.marks(FIVE_MINUTES)):
        local = est(mark)
        stamp, label = local.isoformat(), f"{local:%H:%M}"
        for name, (cents_of, mwh) in zip(names, columns, strict=True):
            records.append(_record(stamp, label, name, cents_of[i].tolist(), float(mwh[i])))
    return records


def _node_columns(
    seed: int, day: OperatingDay, node: int, known_at: dt.datetime | None
) -> tuple[Ints, Floats]:
    """Total, energy, congestion, losses in cents; and what flows, MISO to PJM where positive."""
    generator = draws(seed, "cts-node", node, day.key)
    energy = _price(seed, day) + _error(seed, day, known_at)
    congestion = np.where(generator.random() < 1 / 2, 0.0, 3 * wander(generator, len(energy)))
    losses = energy * (0.02 * generator.standard_normal() + 0.002 * generator.random(len(energy)))
    total = total_cents(energy, congestion, losses)
    flow = 220 * generator.standard_normal() + 120 * wander(generator, len(energy))
    flow = np.where(np.abs(flow) < _BALANCED_BELOW, 0.0, np.round(flow, 1))
    return np.column_stack([total, cents(energy), cents(congestion), cents(losses)]), flow


def _error(seed: int, day: OperatingDay, known_at: dt.datetime | None) -> Floats:
    """What a forecast made in the quarter hour of ``known_at`` is off by: nothing for the past."""
    marks = np.array([mark.timestamp() for mark in day.marks(FIVE_MINUTES)])
    if known_at is None:
        return np.zeros(len(marks))
    quarter = known_at.timestamp() // 900
    ahead = np.maximum(marks - quarter * 900, 0) / 3600
    errors: Floats = 0.8 * np.sqrt(ahead) * wander(draws(seed, "cts-ahead", quarter), len(marks))
    return errors


def _record(stamp: str, label: str, node: str, values: list[int], flow: float) -> Tree:
    total, energy, congestion, losses = map(number, values)
    way = (flow > 0) - (flow < 0)
    return {
        "timestamp": stamp,
        "interval": label,
        "node": node,
        "forecastedLMP": {
            "total": total,
            "components": {"energy": energy, "congestion": congestion, "losses": losses},
            "direction": ("neutral", "export", "import")[way],
        },
        "transactionVolume": {
            "mwh": abs(flow),
            "direction": ("BALANCED", "MISO_TO_PJM", "PJM_TO_MISO")[way],
        },
    }


def _asked_day(ask: Ask) -> OperatingDay:
    today = MISO.day_of(ask.now)
    try:
        day = OperatingDay.parse(ask.query["date"], MISO.zone) if "date" in ask.query else today
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    if day > today:
        raise Refusal(404, f"{day.key} has not begun")
    return day


def _quality(day: OperatingDay, today: OperatingDay) -> str:
    age = (today.date - day.date).days
    if age == 0:
        return "FORECAST"
    return "PRELIMINARY" if age < _VALIDATED_AFTER_DAYS else "VALIDATED"


def _documented(world: World, ask: Ask) -> Answer:
    day = _asked_day(ask)
    label, node = ask.query.get("interval"), ask.query.get("node")
    labels = {f"{est(m):%H:%M}" for m in day.marks(FIVE_MINUTES)}
    if label is not None and label not in labels:
        raise Refusal(400, f"{label!r} is no five-minute mark (HH:MM)")
    known_at = ask.now if world.revise else None
    metadata = {
        "operatingDay": day.key,
        "retrievalTimestamp": est(ask.now).isoformat(timespec="seconds"),
        "dataQuality": _quality(day, MISO.day_of(ask.now)),
    }

    def tree() -> Tree:
        every = documented_records(day, world.nodes, seed=world.seed, known_at=known_at)
        if world.mistakes:
            forecast = every[noon(day) * world.nodes]["forecastedLMP"]
            forecast["total"] = round(forecast["total"] + _OFF_BY, 2)
        kept = [r for r in every if label in (None, r["interval"]) and node in (None, r["node"])]
        return {"data": kept, "metadata": metadata}

    asked = (label, node, known_at, world.mistakes)
    key = ("cts", world.seed, day, world.nodes, *asked, *metadata.values())
    return Answer(tree, "forecastedLMP.total", key)


def _cts(world: World, ask: Ask) -> Answer:
    if world.dialect == "documented" or (world.dialect == "both" and ask.query):
        return _documented(world, ask)
    return _live(world, ask)


ROUTES = (Route(r"/CoordinatedTransactionScheduling", _cts),)
