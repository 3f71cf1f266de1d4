"""The hours of an operating day, as axes and tables write them: local time, hours ending.

An axis runs in hours since the day began, 23, 24 or 25 of them, and is labelled by the operator's
clock; so no hour is lost or drawn over another where the clock is changed.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

import polars as pl

from aurum_assets.model.clock import HOUR, OperatingDay

_ZONES = {"America/New_York": "Eastern prevailing time", "Etc/GMT+5": "EST, all year"}
_EVERY = 3


@dataclass(frozen=True)
class Hours:
    """The hours of ``day``."""

    day: OperatingDay

    @property
    def clock(self) -> str:
        """Whose time an axis shows; where the day is not 24 hours long, that it is not."""
        name = _ZONES.get(self.day.zone, self.day.zone)
        if self.count == 24:  # noqa: PLR2004  an ordinary day
            return name
        changed = "back: its second 01 h is hour ending 02X" if self.count > 24 else "forward"  # noqa: PLR2004
        return f"{name}; {self.count} hours, the clock is put {changed}"

    @property
    def count(self) -> int:
        """How many hours the day has."""
        return (self.day.end - self.day.start) // HOUR

    def since(self, column: str = "interval_start") -> pl.Expr:
        """An instant in hours since the day began."""
        return (pl.col(column) - self.day.start).dt.total_seconds() / 3600

    def at(self, hours: float) -> str:
        """The clock's time (``17:55``) at ``hours`` since the day began."""
        return self.time(self.day.start + dt.timedelta(hours=hours))

    def time(self, instant: dt.datetime) -> str:
        """The clock's time at ``instant``; the second time that it is shown, with an X."""
        local = instant.astimezone(ZoneInfo(self.day.zone))
        return f"{local:%H:%M}{'X' if local.fold else ''}"

    @cached_property
    def ending(self) -> Sequence[str]:
        """The names of the hours by their ends: 01 to 24; the repeated one is 02X."""
        zone = ZoneInfo(self.day.zone)
        local = [mark.astimezone(zone) for mark in self.day.marks(HOUR)]
        return [f"{one.hour + 1:02d}{'X' if one.fold else ''}" for one in local]

    @property
    def ticks(self) -> dict[int, str]:
        """Each third hour of the clock, by the hours since the day began."""
        zone = ZoneInfo(self.day.zone)
        found = {}
        for hours, mark in enumerate(self.day.marks(HOUR)):
            local = mark.astimezone(zone)
            if local.hour % _EVERY == 0 and not local.fold:
                found[hours] = f"{local.hour:02d}"
        return found | {self.count: "24"}
