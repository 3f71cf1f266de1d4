"""MISO's consolidated table of prices: the newest five minutes, hour and day-ahead hour.

Five-minute prices are out a minute after their interval begins. In each block the energy is one
number for all nodes; of the hourly one each component is a mean that is rounded by itself, so there
it differs by a cent or so, as in MISO's own answers.
"""

import datetime as dt
from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.simulator.miso.displays import est, ref_id
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.shapes import Ints, bump, cents, draws, hours, season, wander
from aurum_assets.simulator.world import Answer, Ask, Route, World

_DISPLAYED = 300  # nodes
_AFTER = dt.timedelta(minutes=1)
_HUBS = ("ARKANSAS", "ILLINOIS", "INDIANA", "LOUISIANA", "MICHIGAN", "MINN", "MS", "TEXAS")
_REGIONS = ("Midwest", "North", "South")
_RESERVES = ("REGMCP", "REGMILEAGEMCP", "SPINMCP", "SUPPMCP", "STRMCP", "RCUPMCP", "RCDOWNMCP")
_RUNS = {"DayAheadExAnteLMP": "ex-ante", "DayAheadExPostLMP": "ex-post"}


def node_names(count: int) -> list[str]:
    """``PJMC``, the hubs that MISO has, then ``SIM.NODE1`` and so on."""
    named = ["PJMC", *(f"{hub}.HUB" for hub in _HUBS)]
    return [*named, *(f"SIM.NODE{n}" for n in range(1, count))][:count]


@lru_cache(maxsize=16)
def _parts(seed: int, day: OperatingDay, nodes: int, market: str) -> tuple[Ints, Ints, Ints]:
    """Energy by five-minute mark; congestion and loss by mark and node; in cents."""
    generator = draws(seed, "miso-lmp", market, day.key)
    hour = hours(day)
    level = 28 + 10 * max(season(day.date, 20), 0) + 14 * max(season(day.date, 205), 0)
    shape = 0.85 + 0.5 * bump(hour, 17, 3) + 0.15 * bump(hour, 8, 2)
    energy = level * (shape + 0.05 * wander(generator, len(hour)))
    factor = 0.05 * generator.standard_normal(nodes)
    congestion = np.column_stack([4 * wander(generator, len(hour)) for _ in range(nodes)])
    return cents(energy), cents(congestion), cents(np.outer(energy, factor))


def _text(value: float) -> str:
    return f"{value / 100:.2f}"


def _nodes(energy: float, congestion: Ints, loss: Ints) -> list[Tree]:
    names = node_names(len(congestion))
    return [
        {
            "name": name,
            "region": _REGIONS[n % len(_REGIONS)],
            "LMP": _text(round(energy + congestion[n] + loss[n])),
            "MLC": _text(round(loss[n])),
            "MCC": _text(round(congestion[n])),
        }
        for n, name in enumerate(names)
    ]


def five_minute_prices(
    seed: int, day: OperatingDay, mark: int, nodes: int, market: str
) -> list[Tree]:
    """The prices of the nodes at the five-minute ``mark`` of a day."""
    energy, congestion, loss = _parts(seed, day, nodes, market)
    return _nodes(energy[mark], congestion[mark], loss[mark])


def five_minute_nodes(seed: int, day: OperatingDay, mark: int, nodes: int) -> list[Tree]:
    """The nodes at the five-minute ``mark`` of a day."""
    reserve = draws(seed, "miso-mcp", day.key, mark).integers(0, 1200, len(_RESERVES))
    more = dict(zip(_RESERVES, map(_text, reserve.tolist()), strict=True))
    return [node | more for node in five_minute_prices(seed, day, mark, nodes, "real-time")]


def hourly_nodes(seed: int, day: OperatingDay, hour: int, nodes: int, market: str) -> list[Tree]:
    """The nodes of the ``hour`` (0 to 23) of a day: means, each rounded by itself."""
    marks = slice(12 * hour, 12 * hour + 12)
    energy, congestion, loss = (part[marks] for part in _parts(seed, day, nodes, market))
    means = energy.mean(), congestion.mean(axis=0), loss.mean(axis=0)
    if market == "real-time":
        return _nodes(*means)
    return _nodes(*map(np.rint, means))


def _answer(world: World, ask: Ask) -> Answer:
    day = MISO.day_of(ask.now - _AFTER)
    since = ask.now - _AFTER - day.start
    mark, hour = since // FIVE_MINUTES, since // HOUR
    last_day, last = (day, hour - 1) if hour else (day.plus(-1), 23)
    nodes, seed = world.locations or _DISPLAYED, world.seed

    def tree() -> Tree:
        start = day.start + mark * FIVE_MINUTES
        blocks = {
            "FiveMinLMP": (f"{est(start):%H:%M}", five_minute_nodes(seed, day, mark, nodes)),
            "HourlyIntegratedLMP": (
                f"HE {last + 1}",
                hourly_nodes(seed, last_day, last, nodes, "real-time"),
            ),
            **{
                block: (f"HE {hour + 1}", hourly_nodes(seed, day, hour, nodes, run))
                for block, run in _RUNS.items()
            },
        }
        answer = {b: {"HourAndMin": at, "PricingNode": found} for b, (at, found) in blocks.items()}
        return {"LMPData": {"RefId": ref_id(start), **answer}}

    return Answer(tree, "LMP", ("miso-lmp", seed, day, mark, nodes))


ROUTES = (Route(r"/MarketPricing/GetLmpConsolidatedTable", _answer),)
