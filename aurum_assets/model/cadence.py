"""Cadences: how often a feed is asked, at which minute, and when its data counts as stale.

Schedules, freshness policies, late alerts and the demo read one ``Cadence``. A new one: its name in
``CadenceName`` and its entry in ``CADENCES``.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from aurum_assets.model.clock import DAY, FIFTEEN_MINUTES, FIVE_MINUTES, HOUR

CadenceName = Literal["five_minutes", "fifteen_minutes", "hourly", "daily", "backfill"]


@dataclass(frozen=True)
class Cadence:
    """How often a feed is asked: ``every``, ``offset`` after each mark (both zero: never).

    ``at``: of a daily cadence, the time of day in the operator's zone. ``ahead``: it asks for
    tomorrow. ``stale_after``: the age at which what it brought is stale; None where it never is.
    """

    name: CadenceName
    every: dt.timedelta
    stale_after: dt.timedelta | None = None
    at: dt.time = dt.time()
    offset: dt.timedelta = dt.timedelta()
    ahead: bool = False

    @property
    def scheduled(self) -> bool:
        """Whether a schedule asks at all; a backfill is asked by people and repairs only."""
        return bool(self.every)

    @property
    def within_the_day(self) -> bool:
        """Whether it asks several times a day, by UTC minutes rather than at a local time."""
        return dt.timedelta() < self.every < DAY

    @property
    def minutes(self) -> int:
        """How many whole minutes lie between two marks; 0 where no schedule asks."""
        return self.every // dt.timedelta(minutes=1)

    @property
    def offset_minutes(self) -> int:
        """``offset`` in minutes."""
        return self.offset // dt.timedelta(minutes=1)

    @property
    def longest_wait(self) -> dt.timedelta:
        """How long after a mark the answer to the next one may be asked for."""
        return self.every + self.offset

    @property
    def cron(self) -> str:
        """When it asks, as a cron expression: UTC within the day, else in the operator's zone."""
        if not self.within_the_day:
            return f"{self.at.minute} {self.at.hour} * * *"
        if self.every == HOUR:
            return f"{self.offset_minutes} * * * *"
        first = f"{self.offset_minutes}-59" if self.offset else "*"
        return f"{first}/{self.minutes} * * * *"

    @property
    def how_often(self) -> str:
        """``every five minutes``, ``every hour`` or ``once a day``."""
        if not self.within_the_day:
            return "once a day"
        return "every hour" if self.every == HOUR else f"every {self.name.replace('_', ' ')}"


CADENCES: Mapping[CadenceName, Cadence] = {
    cadence.name: cadence
    for cadence in (
        Cadence("five_minutes", FIVE_MINUTES, stale_after=30 * dt.timedelta(minutes=1)),
        Cadence("fifteen_minutes", FIFTEEN_MINUTES, stale_after=HOUR),
        Cadence("hourly", HOUR, stale_after=3 * HOUR),
        Cadence("daily", DAY, stale_after=36 * HOUR, at=dt.time(6, 30)),
        Cadence("backfill", dt.timedelta()),
    )
}
_CLEARED_AT = dt.time(14, 30)  # the day-ahead market is out in the early afternoon


@cache
def cadence_of(name: CadenceName, offset_minutes: int = 0, *, ahead: bool = False) -> Cadence:
    """The cadence called ``name``, ``offset_minutes`` after its marks.

    ``ahead``: of a daily one, whether it asks for a day that is published before it begins.
    """
    offset, found = dt.timedelta(minutes=offset_minutes), CADENCES[name]
    stale = found.stale_after + offset if found.stale_after else None
    late = ahead and found.every >= DAY
    at = _CLEARED_AT if late else found.at
    return replace(found, offset=offset, stale_after=stale, at=at, ahead=late)
