"""When values are out: the jitter of publications, and the day on which a day becomes final.

With ``World.jitter`` each interval is out up to 40 s later than usual, and final values are out
between the first and the third day after, in order. Without it nothing is late, and a day is final
``World.final_after_days`` days later. The seed decides both.
"""

import datetime as dt
from functools import lru_cache

from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.simulator.shapes import draws
from aurum_assets.simulator.world import World

LONGEST_JITTER = 40.0  # seconds
_FIRST_FINAL, _LAST_FINAL = 8.0, 60.0  # hours after the end of the day
_LOOK_BACK = 5  # days


def jitter(world: World, series: str, day: OperatingDay, count: int) -> list[dt.timedelta]:
    """How much later than usual each of ``count`` intervals of ``day`` is out."""
    return _jitter(world.seed, series, day, count) if world.jitter else [dt.timedelta()] * count


@lru_cache(maxsize=64)
def _jitter(seed: int, series: str, day: OperatingDay, count: int) -> list[dt.timedelta]:
    seconds = draws("published", series, seed, day.key).uniform(0, LONGEST_JITTER, count)
    return [dt.timedelta(seconds=float(s)) for s in seconds]


def final_at(world: World, day: OperatingDay) -> dt.datetime:
    """When the final values of ``day`` are out: never before those of the days before it."""
    if not world.jitter:
        return day.plus(world.final_after_days).start
    return max(_final_at(world.seed, day.plus(-n)) for n in range(3))


@lru_cache(maxsize=64)
def _final_at(seed: int, day: OperatingDay) -> dt.datetime:
    hours = draws("final", seed, day.key).uniform(_FIRST_FINAL, _LAST_FINAL)
    return day.end + float(hours) * HOUR


def newest_final(world: World, today: OperatingDay, now: dt.datetime) -> OperatingDay:
    """The newest day up to ``today`` whose final values are out."""
    if not world.jitter:
        return today.plus(-world.final_after_days)
    return next(d for n in range(_LOOK_BACK) if final_at(world, d := today.plus(-n)) <= now)
