"""Hourly demand of New England by location: as settled, and as cleared day-ahead.

A settled day is out at noon five days later, as a whole (an assumption from one answer of the
operator's); the day-ahead one at 13:00 on the day before.
"""

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.simulator.isone.days import (
    DAY,
    Fresh,
    asked_day,
    cleared_day,
    fresh_day_ahead,
    info,
    stamp,
)
from aurum_assets.simulator.isone.load import kilowatts
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.isone.zonal_load import SHARES, ZONES
from aurum_assets.simulator.payloads import Tree, thousandths
from aurum_assets.simulator.shapes import Ints, draws
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

_SETTLED_DAYS, _NOON = 5, dt.time(12)
_LOCATION = r"(?P<location>\d+)"
SETTLED = tuple((zone.id, zone.name) for zone in ZONES)
CLEARED = (("32", "NEPOOL AREA"), ("4000", ".H.INTERNAL_HUB"), *SETTLED)

Names = Sequence[tuple[str, str]]


@lru_cache(maxsize=16)
def _settled(seed: int, day: OperatingDay) -> Ints:
    """KW by hour and location of ``SETTLED``."""
    load = kilowatts(seed, day)["load"].reshape(-1, 12).mean(axis=1)
    noise = draws(seed, "demand", day.key).standard_normal((len(load), len(SHARES)))
    settled: Ints = np.rint(load[:, None] * SHARES * (1 + 0.01 * noise)).astype(np.int32)
    return settled


@lru_cache(maxsize=16)
def _cleared(seed: int, day: OperatingDay) -> Ints:
    """KW by hour and location of ``CLEARED``, in whole tenths of a megawatt."""
    settled, generator = _settled(seed, day), draws(seed, "cleared demand", day.key)
    zones = settled * (1 + 0.02 * generator.standard_normal(settled.shape))
    hub = 120_000 * generator.standard_normal((len(zones), 1))
    area = 1.01 * zones.sum(axis=1, keepdims=True) + hub
    return (np.rint(np.hstack([area, hub, zones]) / 100) * 100).astype(np.int32)


def settled_records(
    day: OperatingDay, hours: Sequence[int] | None = None, *, seed: int = 0, where: Names = SETTLED
) -> list[Tree]:
    """The records of hours (by number; all of them by default) as they are settled."""
    return _records(day, hours, where, SETTLED, _settled(seed, day))


def cleared_records(
    day: OperatingDay, hours: Sequence[int] | None = None, *, seed: int = 0, where: Names = CLEARED
) -> list[Tree]:
    """The records of hours (by number; all of them by default) as they cleared."""
    return _records(day, hours, where, CLEARED, _cleared(seed, day))


def _records(
    day: OperatingDay, hours: Sequence[int] | None, where: Names, names: Names, loads: Ints
) -> list[Tree]:
    marks = day.marks(HOUR)
    return [
        {
            "Load": thousandths(int(loads[i, names.index(one)])),
            "BeginDate": stamp(marks[i]),
            "Location": {"@LocId": one[0], "$": one[1]},
        }
        for i in (range(len(marks)) if hours is None else hours)
        for one in where
    ]


def _named(location: str, names: Names) -> Names:
    found = [one for one in names if one[0] == location]
    if not found:
        raise Refusal(404, f"there is no demand of {location}")
    return found


def _newest_settled(now: dt.datetime) -> OperatingDay:
    day = ISONE.day_of(now)
    return day.plus(-_SETTLED_DAYS - (now < day.at(_NOON)))


def _settled_answer(world: World, day: OperatingDay, hours: Sequence[int], where: Names) -> Answer:
    def tree() -> Tree:
        records = settled_records(day, hours, seed=world.seed, where=where)
        return wrapped("HourlyRtDemands", "HourlyRtDemand", records)

    return Answer(tree, "Load", ("settled", world.seed, day, tuple(hours), tuple(where)))


def _cleared_answer(world: World, day: OperatingDay, hours: Sequence[int], where: Names) -> Answer:
    def tree() -> Tree:
        records = cleared_records(day, hours, seed=world.seed, where=where)
        return wrapped("HourlyDaDemands", "HourlyDaDemand", records)

    return Answer(tree, "Load", ("cleared", world.seed, day, tuple(hours), tuple(where)))


def _settled_current(world: World, ask: Ask) -> Answer:
    day = _newest_settled(ask.now)
    return _settled_answer(world, day, [len(day.marks(HOUR)) - 1], SETTLED)


def _settled_day(world: World, ask: Ask, day: str, location: str) -> Answer:
    when = asked_day(day, ask.now)
    if when > _newest_settled(ask.now):
        raise Refusal(404, f"{when.key} is not settled yet")
    return _settled_answer(world, when, range(len(when.marks(HOUR))), _named(location, SETTLED))


def _cleared_current(world: World, ask: Ask) -> Answer:
    """The hour that runs."""
    day = ISONE.day_of(ask.now)
    running = sum(mark <= ask.now for mark in day.marks(HOUR)) - 1
    return _cleared_answer(world, day, [running], CLEARED)


def _cleared_day(world: World, ask: Ask, day: str, location: str) -> Answer:
    when = cleared_day(day, ask.now)
    return _cleared_answer(world, when, range(len(when.marks(HOUR))), _named(location, CLEARED))


def _fresh_settled(world: World, ask: Ask) -> Fresh:
    del world
    day = _newest_settled(ask.now)
    return Fresh(day.marks(HOUR)[-1], day.plus(_SETTLED_DAYS).at(_NOON))


ROUTES = (
    info("/realtimehourlydemand", _fresh_settled),
    Route("/realtimehourlydemand/current", _settled_current),
    Route(rf"/realtimehourlydemand/day/{DAY}/location/{_LOCATION}", _settled_day),
    info("/dayaheadhourlydemand", fresh_day_ahead),
    Route("/dayaheadhourlydemand/current", _cleared_current),
    Route(rf"/dayaheadhourlydemand/day/{DAY}/location/{_LOCATION}", _cleared_day),
)
