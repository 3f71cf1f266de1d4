"""PJM's prices as Data Miner answers with them: unverified, verified, day-ahead, forecast.

Assumptions: an unverified interval is out two minutes after it begins; a case is approved each five
minutes, a minute after its first interval begins, and holds four intervals. The day-ahead market is
out at 13:30 on the day before. A day that is not out has no items. Whatever pnode is asked for is
there. Prices have six decimals; the system energy price is rounded to cents. The link to the next
page has no host, where PJM's has.
"""

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlencode

import numpy as np

from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.operators.pjm.operator import PJM
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.publication import final_at
from aurum_assets.simulator.shapes import Floats, bump, draws, hours, season, wander
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

BASE = "/api/v1"
_AFTER, _APPROVED = dt.timedelta(minutes=2), dt.timedelta(minutes=1)
_AHEAD = 4  # intervals of a case
_CLEARED_AT = dt.time(13, 30)
_UNVERIFIED_DAYS, _ARCHIVED_DAYS, _ARCHIVED_DA_DAYS = 15, 186, 731
_TYPES = ("INTERFACE", "HUB")
_MILLIONTHS = 1_000_000


@lru_cache(maxsize=16)
def _energy(seed: int, day: OperatingDay, market: str) -> Floats:
    """The system energy price at each five-minute mark, unrounded."""
    generator = draws(seed, "pjm-energy", market, day.key)
    hour = hours(day)
    level = 32 + 16 * max(season(day.date, 20), 0) + 14 * max(season(day.date, 205), 0)
    shape = 0.85 + 0.45 * bump(hour, 17.5, 3) + 0.2 * bump(hour, 7.5, 2)
    energy: Floats = level * (shape + 0.05 * wander(generator, len(hour)))
    return energy


@lru_cache(maxsize=256)
def _parts(seed: int, day: OperatingDay, market: str, pnode: str) -> tuple[list[int], ...]:
    """Total, energy, congestion, loss at each mark, in millionths."""
    energy = _energy(seed, day, market)
    generator = draws(seed, "pjm-pnode", market, day.key, pnode)
    congestion = np.where(generator.random() < 1 / 3, 0.0, 3 * wander(generator, len(energy)))
    loss = energy * 0.03 * generator.standard_normal()
    parts = [np.rint(x * _MILLIONTHS).astype(np.int64) for x in (energy, congestion, loss)]
    return tuple(values.tolist() for values in (np.sum(parts, axis=0), *parts))


@lru_cache(10_000)  # each location of an interval has it; all are in UTC
def _stamp(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _place(number: int, pnode: str) -> Tree:
    return {
        "pnode_id": int(pnode),
        "pnode_name": f"SIM {pnode}",
        "type": _TYPES[number % len(_TYPES)],
    }


def price_records(
    day: OperatingDay, pnodes: list[str], market: str, *, seed: int = 0, given: bool = True
) -> list[Tree]:
    """The records of a day: by five minutes for the market ``rt``, by hour for ``da``."""
    every, step = (HOUR, 12) if market == "da" else (FIVE_MINUTES, 1)
    series = [_parts(seed, day, market, pnode) for pnode in pnodes]
    found = []
    for i, mark in enumerate(day.marks(every)):
        for number, (pnode, parts) in enumerate(zip(pnodes, series, strict=True)):
            total, energy, congestion, loss = (values[i * step] for values in parts)
            system = {f"system_energy_price_{market}": round(energy / _MILLIONTHS, 2)}
            found.append(
                {
                    "datetime_beginning_utc": _stamp(mark),
                    **_place(number, pnode),
                    **(system if given else {}),
                    f"total_lmp_{market}": total / _MILLIONTHS,
                    f"congestion_price_{market}": congestion / _MILLIONTHS,
                    f"marginal_loss_price_{market}": loss / _MILLIONTHS,
                    **({"row_is_current": True, "version_nbr": 1} if given else {}),
                }
            )
    return found


def forecast_records(
    day: OperatingDay, pnodes: list[str], now: dt.datetime, *, seed: int = 0
) -> list[Tree]:
    """The records of all cases approved by ``now``, of the intervals of ``day``."""
    series = [_parts(seed, day, "itsced", pnode) for pnode in pnodes]
    found = []
    for i, mark in enumerate(day.marks(FIVE_MINUTES)):
        for ahead in range(_AHEAD):
            approved = mark - ahead * FIVE_MINUTES + _APPROVED
            if approved > now:
                continue
            for number, (pnode, parts) in enumerate(zip(pnodes, series, strict=True)):
                total, _, congestion, loss = (values[i] for values in parts)
                error = ahead * round(0.4 * _MILLIONTHS * math.sin(i + ahead))
                place = _place(number, pnode)
                found.append(
                    {
                        "case_approval_datetime_utc": _stamp(approved),
                        "datetime_beginning_utc": _stamp(mark),
                        "pnode_id": place["pnode_id"],
                        "pnode_name": place["pnode_name"],
                        "itsced_lmp": (total + error) / _MILLIONTHS,
                        "marginal_congestion": congestion / _MILLIONTHS,
                        "marginal_loss": loss / _MILLIONTHS,
                    }
                )
    return found


Records = Callable[[World, Ask, OperatingDay, list[str]], list[Tree]]


def _unverified(world: World, ask: Ask, day: OperatingDay, pnodes: list[str]) -> list[Tree]:
    if "type" in ask.query:
        raise Refusal(400, "The API request contains invalid attribute(s) - type.")
    if day.plus(_UNVERIFIED_DAYS).end < ask.now:
        return []
    newest = _stamp(ask.now - _AFTER)
    records = price_records(day, pnodes, "rt", seed=world.seed, given=False)
    return [r for r in records if r["datetime_beginning_utc"] <= newest]


def _verified(world: World, ask: Ask, day: OperatingDay, pnodes: list[str]) -> list[Tree]:
    _refuse_archived(ask, day, _ARCHIVED_DAYS)
    if final_at(world, day) > ask.now:
        return []
    return price_records(day, pnodes, "rt", seed=world.seed)


def _day_ahead(world: World, ask: Ask, day: OperatingDay, pnodes: list[str]) -> list[Tree]:
    _refuse_archived(ask, day, _ARCHIVED_DA_DAYS)
    if day.plus(-1).at(_CLEARED_AT) > ask.now:
        return []
    return price_records(day, pnodes, "da", seed=world.seed)


def _forecast(world: World, ask: Ask, day: OperatingDay, pnodes: list[str]) -> list[Tree]:
    return forecast_records(day, pnodes, ask.now, seed=world.seed)


def _refuse_archived(ask: Ask, day: OperatingDay, days: int) -> None:
    if "pnode_id" in ask.query and day.plus(days).start < ask.now:
        msg = "The API request contains invalid attribute(s) for archived data - Pnode_Id."
        raise Refusal(400, msg)


def _asked_day(query: Mapping[str, str]) -> OperatingDay:
    """The day of ``MM/DD/YYYY 00:00toMM/DD/YYYY 23:59``."""
    first, _, last = query.get("datetime_beginning_ept", "").partition("to")
    try:
        begin, end = (dt.datetime.strptime(t, "%m/%d/%Y %H:%M") for t in (first, last))  # noqa: DTZ007  Eastern
    except ValueError as error:
        raise Refusal(400, "DateTime filter field value range is invalid") from error
    if begin.date() != end.date() or (begin.hour, end.hour) != (0, 23):
        raise Refusal(400, "a range of one whole day is all that is simulated")
    return OperatingDay(begin.date(), PJM.zone)


def _answer(world: World, ask: Ask, feed: str, records: Records, main: str) -> Answer:
    query = ask.query
    start, size = _number(query, "startRow"), _number(query, "rowCount")
    size = min(size, world.page_rows)
    pnodes = query.get("pnode_id", "1").split(";")[: world.locations]
    if not all(re.fullmatch(r"[0-9]{1,12}", pnode) for pnode in pnodes):
        raise Refusal(400, "pnode_id is none")
    found = records(world, ask, _asked_day(query), pnodes)
    fields = query["fields"].split(",") if "fields" in query else None
    if fields and found and not set(fields) <= set(found[0]):
        raise Refusal(400, "fields are none of this feed")

    def tree() -> Tree:
        shown = found[start - 1 : start - 1 + size]
        items = shown if fields is None else [{n: r[n] for n in fields} for r in shown]
        links: list[dict[str, Any]] = [{"rel": "self", "href": _link(feed, query, start)}]
        if start - 1 + size < len(found):
            links.append({"rel": "next", "href": _link(feed, query, start + size)})
        return {"items": items, "totalRows": len(found), "links": links}

    return Answer(tree, main)


def _number(query: Mapping[str, str], name: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", query.get(name, "")):
        raise Refusal(400, f"{name} is required, and is a number from 1 on")
    return int(query[name])


def _link(feed: str, query: Mapping[str, str], start: int) -> str:
    return f"{BASE}/{feed}?{urlencode({**query, 'startRow': start})}"


_FEEDS: Mapping[str, tuple[Records, str]] = {
    "rt_unverified_fivemin_lmps": (_unverified, "total_lmp_rt"),
    "rt_fivemin_hrl_lmps": (_verified, "total_lmp_rt"),
    "da_hrl_lmps": (_day_ahead, "total_lmp_da"),
    "five_min_itsced_lmps": (_forecast, "itsced_lmp"),
}
ROUTES = tuple(
    Route(f"/{feed}", partial(_answer, feed=feed, records=records, main=main))
    for feed, (records, main) in _FEEDS.items()
)
