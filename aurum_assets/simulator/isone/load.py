"""Five-minute system load of New England: the numbers, which are out, and where to ask for them.

Out five minutes after the interval begins (``publication``: up to 40 s later).
"""

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.simulator.isone.days import DAY, Fresh, asked_day, info, latest_days, stamp
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.payloads import Tree, thousandths
from aurum_assets.simulator.publication import jitter
from aurum_assets.simulator.shapes import Ints, bump, draws, hours, lateness, season, wander
from aurum_assets.simulator.world import Answer, Ask, Route, World

_MAIN = "LoadMw"
_SATURDAY = 5


@lru_cache(maxsize=16)
def kilowatts(seed: int, day: OperatingDay) -> dict[str, Ints]:
    """Load, pumping demand and sun behind the meter, in kW: megawatts with three decimals."""
    generator = draws(seed, "load", day.key)
    hour = hours(day)
    level = 11_200 + 1_600 * max(season(day.date, 20), 0) + 3_400 * max(season(day.date, 205), 0)
    level *= 0.93 if day.date.weekday() >= _SATURDAY else 1.0
    shape = 0.92 + 0.28 * bump(hour, 18.5, 4.0) + 0.12 * bump(hour, 8, 2.5)
    shape -= 0.16 * bump(hour, 3, 3.0) - 0.004 * wander(generator, len(hour))
    daylight = 3.4 + 1.1 * season(day.date, 172)
    sky = 0.3 + 0.7 * generator.random()
    sun = 5_600 * sky * bump(hour, 12.6, daylight) * (1 + 0.03 * wander(generator, len(hour)))
    sun = np.where(np.abs(hour - 12.6) < daylight * 1.9, np.maximum(sun, 0), 0)
    pumps = np.where(bump(hour, 3, 3.0) + bump(hour, 12, 2.0) > generator.random(), 280, 27)
    load = level * (0.96 + 0.1 * generator.random()) * shape - 0.6 * sun
    ard = (np.rint(10 * pumps * (1 + 0.1 * generator.random(len(hour)))) * 100).astype(np.int32)
    return {
        "load": np.rint(load * 1000).astype(np.int32) + ard,
        "ard": ard,
        "sun": np.rint(sun * 1000).astype(np.int32),
    }


def load_records(
    day: OperatingDay, intervals: Sequence[int] | None = None, *, seed: int = 0
) -> list[Tree]:
    """The records of a day's intervals (by number; all of them by default), due or not."""
    marks = day.marks(FIVE_MINUTES)
    series = kilowatts(seed, day)
    records = []
    for i in range(len(marks)) if intervals is None else intervals:
        load, ard, sun = (int(series[name][i]) for name in ("load", "ard", "sun"))
        records.append(
            {
                "SystemLoadBtmPv": thousandths(load + sun),
                "NativeLoadBtmPv": thousandths(load - ard + sun),
                "NativeLoad": thousandths(load - ard),
                "LoadMw": thousandths(load),
                "BeginDate": stamp(marks[i]),
                "ArdDemand": thousandths(ard),
            }
        )
    return records


def _picks(world: World, day: OperatingDay, now: dt.datetime) -> list[int]:
    """The intervals of ``day`` that are out."""
    return [i for i, instant in enumerate(_published(world, day)) if instant <= now]


def _published(world: World, day: OperatingDay) -> list[dt.datetime]:
    """When each interval of ``day`` is out."""
    marks = day.marks(FIVE_MINUTES)
    extra = jitter(world, "load", day, len(marks))
    if world.revise:
        late = lateness(("load", world.seed, day.key), len(marks))
        extra = [a + b for a, b in zip(extra, late, strict=True)]
    return [mark + FIVE_MINUTES + more for mark, more in zip(marks, extra, strict=True)]


def _newest(world: World, now: dt.datetime) -> tuple[OperatingDay, int]:
    today, yesterday = latest_days(now)
    picks = _picks(world, today, now)
    if picks:
        return today, picks[-1]
    return yesterday, _picks(world, yesterday, now)[-1]


def _current(world: World, ask: Ask) -> Answer:
    day, newest = _newest(world, ask.now)
    records = load_records(day, [newest], seed=world.seed)
    return Answer(lambda: {"FiveMinSystemLoad": records}, _MAIN)


def _of_day(world: World, ask: Ask, day: str) -> Answer:
    when = asked_day(day, ask.now)
    picks = _picks(world, when, ask.now)

    def tree() -> Tree:
        records = load_records(when, picks, seed=world.seed)
        return wrapped("FiveMinSystemLoads", "FiveMinSystemLoad", records)

    return Answer(tree, _MAIN, ("load", world.seed, when, tuple(picks)))


def _fresh(world: World, ask: Ask) -> Fresh:
    day, newest = _newest(world, ask.now)
    return Fresh(day.marks(FIVE_MINUTES)[newest], _published(world, day)[newest])


ROUTES = (
    info("/fiveminutesystemload", _fresh),
    Route(r"/fiveminutesystemload/current", _current),
    Route(rf"/fiveminutesystemload/day/{DAY}", _of_day),
)
