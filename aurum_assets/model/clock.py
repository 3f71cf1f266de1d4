"""The market's clock: the only place where local time exists.

An operating day is a calendar day in its operator's zone, 23, 24 or 25 hours long. All results are
UTC. No wall clock is read here: code that needs *now* takes it as an argument.
"""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

FIVE_MINUTES = dt.timedelta(minutes=5)
FIFTEEN_MINUTES = dt.timedelta(minutes=15)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, order=True)
class OperatingDay:
    """A market's day: ``date`` as the operator writes it, in the operator's IANA ``zone``."""

    date: dt.date
    zone: str

    @classmethod
    def of(cls, instant: dt.datetime, zone: str) -> "OperatingDay":
        """The operating day that holds ``instant`` (which must carry an offset)."""
        if instant.tzinfo is None:
            msg = f"instant {instant.isoformat()} has no offset, so no operating day holds it"
            raise ValueError(msg)
        return cls(instant.astimezone(ZoneInfo(zone)).date(), zone)

    @classmethod
    def parse(cls, text: str, zone: str) -> "OperatingDay":
        """Parse ``2024-03-10`` or ``20240310``. Raises ``ValueError`` for anything else."""
        try:
            return cls(dt.date.fromisoformat(text), zone)
        except ValueError as error:
            msg = f"{text!r} is not an operating day: expected YYYY-MM-DD, for instance 2024-03-10"
            raise ValueError(msg) from error

    @property
    def key(self) -> str:
        """``YYYY-MM-DD``: the partition key."""
        return self.date.isoformat()

    @property
    def compact(self) -> str:
        """``YYYYMMDD``: how ISO New England writes a day in a path."""
        return self.date.strftime("%Y%m%d")

    def plus(self, days: int) -> "OperatingDay":
        """The operating day ``days`` later (earlier where negative)."""
        return OperatingDay(self.date + dt.timedelta(days=days), self.zone)

    @cached_property
    def start(self) -> dt.datetime:
        """The first instant, UTC."""
        return _midnight(self.date, self.zone)

    @cached_property
    def end(self) -> dt.datetime:
        """The first instant of the next day, UTC: intervals are half-open."""
        return _midnight(self.date + dt.timedelta(days=1), self.zone)

    def holds(self, instant: dt.datetime) -> bool:
        """Whether ``instant`` lies within the day."""
        return self.start <= instant < self.end

    def marks(self, every: dt.timedelta) -> list[dt.datetime]:
        """The starts (UTC) of the day's intervals of length ``every``."""
        count = max(1, (self.end - self.start) // every)  # a day of 23 hours is one day
        return [self.start + i * every for i in range(count)]

    def at(self, time: dt.time) -> dt.datetime:
        """The first instant (UTC) at which the day's clock shows ``time``."""
        local = dt.datetime.combine(self.date, time, tzinfo=ZoneInfo(self.zone))
        return local.astimezone(dt.UTC)

    def local_hours(self) -> list[str]:
        """The hours that the day's clock shows: no ``02`` in spring, ``01`` once in autumn."""
        zone = ZoneInfo(self.zone)
        return list(dict.fromkeys(f"{m.astimezone(zone).hour:02d}" for m in self.marks(HOUR)))

    def hour_of(self, mark: dt.datetime) -> str:
        """The hour that the day's clock shows at ``mark``: one of ``local_hours``."""
        return f"{mark.astimezone(ZoneInfo(self.zone)).hour:02d}"

    def local_hour_start(self, label: str) -> dt.datetime:
        """The first instant (UTC) at which the day's clock shows hour ``label``."""
        zone = ZoneInfo(self.zone)
        return next(m for m in self.marks(HOUR) if m.astimezone(zone).hour == int(label))

    def __str__(self) -> str:
        return self.key


@lru_cache(4096)
def _midnight(date: dt.date, zone: str) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(), tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


def every_day(first: OperatingDay, last: OperatingDay) -> list[OperatingDay]:
    """The operating days from ``first`` to ``last``, both included."""
    return [first.plus(i) for i in range((last.date - first.date).days + 1)]
