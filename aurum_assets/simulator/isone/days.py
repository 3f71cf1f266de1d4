"""What the feeds of ISO New England share: days in paths, stamps, the probe for freshness.

The series themselves are in a module each.
"""

import datetime as dt
import functools
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.publication import final_at, newest_final
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

_ZONE = ZoneInfo(ISONE.zone)
DAY = r"(?P<day>\d{8})"
FINALITY = r"(?P<finality>prelim|final)"
CLEARED_AT = 13  # o'clock on the day before: the day-ahead market is published


def stamp(mark: dt.datetime) -> str:
    """Format an instant as ``2026-07-27T17:25:00.000-04:00``."""
    return _stamp(mark.astimezone(dt.UTC))  # in a zone, both of a repeated hour would be one key


@functools.lru_cache(10_000)  # each location of an interval has it
def _stamp(mark: dt.datetime) -> str:
    return mark.astimezone(_ZONE).isoformat(timespec="milliseconds")


def asked_day(text: str, now: dt.datetime) -> OperatingDay:
    """The day in a path. Refused where it is no day (400) or has not begun (404)."""
    day = _day(text)
    if day.start > now:
        raise Refusal(404, f"{day.key} has not begun")
    return day


def cleared_day(text: str, now: dt.datetime) -> OperatingDay:
    """The day in a path of the day-ahead market. Refused (404) before it is published."""
    day = _day(text)
    if day > newest_cleared_day(now):
        raise Refusal(404, f"{day.key} is not published yet")
    return day


def newest_cleared_day(now: dt.datetime) -> OperatingDay:
    """The newest day of the day-ahead market: tomorrow, once it is out, else today."""
    today = ISONE.day_of(now)
    return today.plus(1 if now.astimezone(_ZONE).hour >= CLEARED_AT else 0)


def final_day(world: World, text: str, now: dt.datetime) -> OperatingDay:
    """The day in a path for final values. Refused (404) where they are not final yet."""
    day = asked_day(text, now)
    if not is_final(world, day, now):
        raise Refusal(404, f"{day.key} is not final yet")
    return day


def is_final(world: World, day: OperatingDay, now: dt.datetime) -> bool:
    """Whether the final values of ``day`` are out."""
    return final_at(world, day) <= now


def _day(text: str) -> OperatingDay:
    try:
        return OperatingDay.parse(text, ISONE.zone)
    except ValueError as error:
        raise Refusal(400, str(error)) from error


def hour_end(mark: dt.datetime) -> str:
    """``01`` to ``24``: the hour that holds ``mark``, by its end; ``02X`` in autumn, repeated."""
    local = mark.astimezone(_ZONE)
    return f"{local.hour + 1:02d}" + ("X" if local.fold else "")


def out(day: OperatingDay, every: dt.timedelta, after: dt.timedelta, now: dt.datetime) -> list[int]:
    """The intervals (by number) of ``day`` that began ``after`` ago or earlier."""
    return [i for i, mark in enumerate(day.marks(every)) if mark + after <= now]


def newest(every: dt.timedelta, after: dt.timedelta, now: dt.datetime) -> tuple[OperatingDay, int]:
    """The newest interval that is out: its day and its number."""
    today, yesterday = latest_days(now)
    picks = out(today, every, after, now)
    return (today, picks[-1]) if picks else (yesterday, out(yesterday, every, after, now)[-1])


def newest_final_day(world: World, now: dt.datetime) -> OperatingDay:
    """The newest day whose final values are out."""
    return newest_final(world, ISONE.day_of(now), now)


@dataclass(frozen=True)
class Fresh:
    """The newest interval of a resource: its start, and the instant of its publication."""

    begins: dt.datetime
    created: dt.datetime


def fresh_day_ahead(world: World, ask: Ask) -> Fresh:
    """The last hour of the newest day of the day-ahead market."""
    del world
    day = newest_cleared_day(ask.now)
    return Fresh(day.marks(HOUR)[-1], day.plus(-1).at(dt.time(CLEARED_AT)))


def fresh_final(world: World, ask: Ask, every: dt.timedelta) -> Fresh:
    """The last interval of the newest day that is final."""
    day = newest_final_day(world, ask.now)
    return Fresh(day.marks(every)[-1], final_at(world, day))


def latest_days(now: dt.datetime) -> tuple[OperatingDay, OperatingDay]:
    """Today and yesterday: just after midnight the newest interval is yesterday's."""
    today = ISONE.day_of(now)
    return today, today.plus(-1)


def info(path: str, fresh: Callable[[World, Ask], Fresh], *, documented: bool = False) -> Route:
    """The route of ``{path}/info``, which says only how fresh the resource is."""

    def answer(world: World, ask: Ask) -> Answer:
        newest = fresh(world, ask)

        def tree() -> Tree:
            made, begins = stamp(newest.created), stamp(newest.begins)
            return {"ServiceInfo": {"CreationDate": made, "LatestBeginDate": begins}}

        return Answer(tree, "LatestBeginDate")

    return Route(rf"{path}/info", answer, documented)
