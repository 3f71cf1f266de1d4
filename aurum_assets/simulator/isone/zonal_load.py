"""Estimated load of New England's zones: shares of the system's load, in the newer feed style."""

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.simulator.isone.days import DAY, Fresh, asked_day, info, latest_days, stamp
from aurum_assets.simulator.isone.load import kilowatts
from aurum_assets.simulator.isone.payloads import wrapped_newer
from aurum_assets.simulator.isone.places import CORE, Place, places
from aurum_assets.simulator.payloads import Tree, thousandths
from aurum_assets.simulator.publication import jitter
from aurum_assets.simulator.shapes import Floats, draws, hours, wander
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

_MAIN = "estimated_load_mw"
ZONES = tuple(place for place in places(CORE) if place.type == "LOAD ZONE")
SHARES = np.array([0.095, 0.095, 0.045, 0.25, 0.065, 0.125, 0.135, 0.19])  # by zone id
_SUN_SHARES = np.array([0.07, 0.05, 0.09, 0.22, 0.08, 0.22, 0.22, 0.05])


@lru_cache(maxsize=16)
def _shares(seed: int, day: OperatingDay) -> Floats:
    """Each zone's share of the load by interval; together about one."""
    noise = [wander(draws(seed, "zonal", zone.id, day.key), len(hours(day))) for zone in ZONES]
    return np.asarray(SHARES * (1 + 0.01 * np.column_stack(noise)))


def zonal_records(
    day: OperatingDay,
    intervals: Sequence[int] | None = None,
    *,
    seed: int = 0,
    zones: Sequence[Place] = ZONES,
) -> list[Tree]:
    """The records of a day's intervals (by number; all of them by default), due or not."""
    marks = day.marks(FIVE_MINUTES)
    series = kilowatts(seed, day)
    load = np.rint(_shares(seed, day) * series["load"][:, None]).astype(np.int32)
    sun = np.rint(_SUN_SHARES * series["sun"][:, None]).astype(np.int32)
    return [
        {
            "interval_begin_date": stamp(marks[i]),
            "load_zone_id": int(zone.id),
            "load_zone_name": zone.name,
            "estimated_load_mw": thousandths(int(load[i, ZONES.index(zone)])),
            "estimated_btm_pv_mw": thousandths(int(sun[i, ZONES.index(zone)])),
        }
        for i in (range(len(marks)) if intervals is None else intervals)
        for zone in zones
    ]


def _answer(
    world: World, day: OperatingDay, picks: Sequence[int], zones: Sequence[Place] = ZONES
) -> Answer:
    def tree() -> Tree:
        records = zonal_records(day, picks, seed=world.seed, zones=zones)
        outer = "five_min_estimated_zonal_loads"
        return wrapped_newer(outer, "five_min_estimated_zonal_load", records)

    return Answer(tree, _MAIN, ("zonal", world.seed, day, tuple(picks), tuple(zones)))


def _current(world: World, ask: Ask, zone: str | None = None) -> Answer:
    day, i = _newest(world, ask.now)
    zones = [place for place in ZONES if zone in (None, place.id)]
    if not zones:
        raise Refusal(404, f"there is no load zone {zone}")
    return _answer(world, day, [i], zones)


def _of_day(world: World, ask: Ask, day: str) -> Answer:
    when = asked_day(day, ask.now)
    return _answer(world, when, _picks(world, when, ask.now))


def _picks(world: World, day: OperatingDay, now: dt.datetime) -> list[int]:
    """The intervals of ``day`` that are out."""
    return [i for i, instant in enumerate(_published(world, day)) if instant <= now]


def _published(world: World, day: OperatingDay) -> list[dt.datetime]:
    """When each interval of ``day`` is out: five minutes after it begins, up to 40 s later."""
    marks = day.marks(FIVE_MINUTES)
    extra = jitter(world, "zonal", day, len(marks))
    return [mark + FIVE_MINUTES + more for mark, more in zip(marks, extra, strict=True)]


def _newest(world: World, now: dt.datetime) -> tuple[OperatingDay, int]:
    today, yesterday = latest_days(now)
    picks = _picks(world, today, now)
    return (today, picks[-1]) if picks else (yesterday, _picks(world, yesterday, now)[-1])


def _fresh(world: World, ask: Ask) -> Fresh:
    day, i = _newest(world, ask.now)
    return Fresh(day.marks(FIVE_MINUTES)[i], _published(world, day)[i])


_PATH = "/fiveminuteestimatedzonalload"

ROUTES = (
    info(_PATH, _fresh),
    Route(rf"{_PATH}/current(/loadzone/(?P<zone>\w+))?", _current),
    Route(rf"{_PATH}/day/{DAY}", _of_day),
)
