"""What the feeds of ISO New England share: days in paths, stamps, the probe for freshness.

The series themselves are in a module each.
"""

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

from aurum_assets.markets.isone.source import ISONE
from aurum_assets.model.clock import OperatingDay
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

_ZONE = ZoneInfo(ISONE.zone)
DAY = r"(?P<day>\d{8})"


def stamp(mark: dt.datetime) -> str:
    """``2026-07-27T17:25:00.000-04:00``."""
    return mark.astimezone(_ZONE).isoformat(timespec="milliseconds")


def asked_day(text: str, now: dt.datetime) -> OperatingDay:
    """The day in a path. Refused where it is no day (400) or has not begun (404)."""
    try:
        day = OperatingDay.parse(text, ISONE.zone)
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    if day.start > now:
        raise Refusal(404, f"{day.key} has not begun")
    return day


def latest_days(now: dt.datetime) -> tuple[OperatingDay, OperatingDay]:
    """Today and yesterday: just after midnight the newest interval is yesterday's."""
    today = ISONE.day_of(now)
    return today, today.plus(-1)


def info(path: str, newest: Callable[[World, Ask], dt.datetime]) -> Route:
    """The route of ``{path}/info``, which says only how fresh the resource is."""

    def answer(world: World, ask: Ask) -> Answer:
        latest = newest(world, ask)

        def tree() -> Tree:
            said = {"CreationDate": stamp(ask.now), "LatestBeginDate": stamp(latest)}
            return {"ServiceInfo": said}

        return Answer(tree, "LatestBeginDate")

    return Route(ISONE, rf"{path}/info", answer)
