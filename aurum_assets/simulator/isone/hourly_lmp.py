"""Hourly prices of ISO New England: day-ahead as cleared, real-time as settled.

The day-ahead market is out at 13:00 on the day before; the documented path answers with the whole
of the newest day that is out. A real-time hour is out five minutes after it ends.
"""

import datetime as dt
from collections.abc import Sequence
from functools import partial

from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.simulator.isone.days import (
    DAY,
    FINALITY,
    Fresh,
    asked_day,
    cleared_day,
    final_day,
    fresh_day_ahead,
    fresh_final,
    info,
    latest_days,
    newest,
    newest_cleared_day,
    newest_final_day,
    out,
    stamp,
)
from aurum_assets.simulator.isone.lmp import lmp_record, priced_at
from aurum_assets.simulator.isone.lmp_series import Market, hourly_prices
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.isone.places import CORE, Place, places
from aurum_assets.simulator.payloads import Tree, number
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

_AFTER = HOUR + FIVE_MINUTES


def hourly_records(
    day: OperatingDay,
    hours: Sequence[int] | None = None,
    market: Market = "da",
    *,
    seed: int = 0,
    where: Sequence[Place] | None = None,
) -> list[Tree]:
    """The records of a day's hours (by number; all of them by default), due or not."""
    known = hourly_prices(seed, day, market)
    marks = day.marks(HOUR)
    priced = places() if where is None else where
    numbers = [place.number for place in priced]
    return [
        lmp_record(place, stamp(marks[i]), *map(number, values))
        for i in (range(len(marks)) if hours is None else hours)
        for place, values in zip(priced, known.interval(i)[numbers].tolist(), strict=True)
    ]


def _answer(
    world: World, day: OperatingDay, hours: Sequence[int], market: Market, where: tuple[Place, ...]
) -> Answer:
    def tree() -> Tree:
        records = hourly_records(day, hours, market, seed=world.seed, where=where)
        return wrapped("HourlyLmps", "HourlyLmp", records)

    key = ("hourly-lmp", world.seed, day, tuple(hours), market, where)
    return Answer(tree, "LmpTotal", key)


def _picks(
    world: World, day: str, now: dt.datetime, finality: str | None
) -> tuple[OperatingDay, list[int], Market]:
    """The day asked for, which of its hours are out, and of which market."""
    if finality is None:
        cleared = cleared_day(day, now)
        return cleared, list(range(len(cleared.marks(HOUR)))), "da"
    if finality == "final":
        settled = final_day(world, day, now)
        return settled, list(range(len(settled.marks(HOUR)))), "final"
    asked = asked_day(day, now)
    return asked, out(asked, HOUR, _AFTER, now), "prelim"


def _of_day(
    world: World,
    ask: Ask,
    day: str,
    finality: str | None = None,
    hour: str | None = None,
    location: str | None = None,
) -> Answer:
    when, hours, market = _picks(world, day, ask.now, finality)
    if hour is not None:
        hours = [i for i in _shows(when, hour) if i in hours]
    where = priced_at(world, location) if location else places(world.locations)
    return _answer(world, when, hours, market, where)


def _shows(day: OperatingDay, hour: str) -> list[int]:
    """The hours at which the day's clock shows ``hour``: two for 01 in autumn."""
    if hour not in day.local_hours():
        raise Refusal(400, f"{day.key} has no hour {hour}")
    return [i for i, mark in enumerate(day.marks(HOUR)) if stamp(mark)[11:13] == hour]


def _day_ahead(world: World, ask: Ask) -> Answer:
    day = newest_cleared_day(ask.now)
    hours = range(len(day.marks(HOUR)))
    return _answer(world, day, hours, "da", places(world.locations))


def _current(world: World, ask: Ask, finality: str | None = None) -> Answer:
    """The hour that runs day-ahead, the newest one that is out in real time."""
    where = places(world.locations)[:CORE]
    if finality is None:
        today = latest_days(ask.now)[0]
        running = sum(mark <= ask.now for mark in today.marks(HOUR)) - 1
        return _answer(world, today, [running], "da", where)
    if finality == "final":
        day = newest_final_day(world, ask.now)
        return _answer(world, day, [len(day.marks(HOUR)) - 1], "final", where)
    day, i = newest(HOUR, _AFTER, ask.now)
    return _answer(world, day, [i], "prelim", where)


def _fresh_hour(world: World, ask: Ask) -> Fresh:
    del world
    day, i = newest(HOUR, _AFTER, ask.now)
    begins = day.marks(HOUR)[i]
    return Fresh(begins, begins + _AFTER)


_MARKET = rf"/hourlylmp/(da/final|rt/{FINALITY})"
_PART = r"(/hour/(?P<hour>\d\d))?(/location/(?P<location>\w+))?"

ROUTES = (
    info("/hourlylmp/da/final", fresh_day_ahead),
    info("/hourlylmp/rt/final", partial(fresh_final, every=HOUR)),
    info("/hourlylmp/rt/prelim", _fresh_hour),
    info("/hourlylmp", _fresh_hour),
    info("/dayaheadlmp", fresh_day_ahead, documented=True),
    Route(rf"{_MARKET}/current", _current),
    Route(rf"{_MARKET}/day/{DAY}{_PART}", _of_day),
    Route("/dayaheadlmp", _day_ahead, documented=True),
)
