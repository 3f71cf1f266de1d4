"""On-peak hours: which hours of an operating day are traded as one block, and how hours are named.

A block is given by the zone of its clock, its hours ending, and the days that have none: Saturdays,
Sundays and NERC's holidays. Here is the rule only; which block an operator's prices are averaged
over is configuration.
"""

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAYS = 7
_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6


@dataclass(frozen=True)
class Peak:
    """The on-peak block: the hours ending ``first`` to ``last`` (both included) in ``zone``.

    ``days_off``: dates that are off-peak beside Saturdays, Sundays and NERC's holidays.
    ``source``: where the block is published.
    """

    zone: str
    first: int = 8
    last: int = 23
    days_off: tuple[dt.date, ...] = ()
    source: str = ""

    def holds(self, start: dt.datetime) -> bool:
        """Whether the hour that begins at ``start`` (which carries an offset) is on-peak."""
        local = start.astimezone(ZoneInfo(self.zone))
        if not self.first <= local.hour + 1 <= self.last or local.weekday() in (_SATURDAY, _SUNDAY):
            return False
        date = local.date()
        return date not in nerc_holidays(date.year) and date not in self.days_off


@lru_cache(maxsize=64)
def nerc_holidays(year: int) -> frozenset[dt.date]:
    """NERC's six additional off-peak days of ``year``.

    New Year's Day, Independence Day and Christmas Day are on the Monday after, where they fall on a
    Sunday, and stay where they are on a Saturday; Memorial Day is the last Monday of May, Labor Day
    the first of September, Thanksgiving Day the fourth Thursday of November. Source: "Additional
    Off-peak Days", approved by NERC's Resources Subcommittee.
    """
    fixed = (dt.date(year, 1, 1), dt.date(year, 7, 4), dt.date(year, 12, 25))
    observed = (d + dt.timedelta(days=1) if d.weekday() == _SUNDAY else d for d in fixed)
    memorial = _on_or_after(dt.date(year, 5, 25), _MONDAY)
    labor = _on_or_after(dt.date(year, 9, 1), _MONDAY)
    thanksgiving = _on_or_after(dt.date(year, 11, 22), _THURSDAY)
    return frozenset((*observed, memorial, labor, thanksgiving))


def hour_ending(start: dt.datetime, zone: str) -> str:
    """The label of the hour that begins at ``start``, by its end on the clock of ``zone``.

    ``01`` to ``24``; the hour that comes twice in autumn is ``02`` and then ``02X``. In spring
    there is no ``03``: the hour that begins at 01:00 ends at 03:00, and is ``02`` all the same.
    """
    local = start.astimezone(ZoneInfo(zone))
    return f"{local.hour + 1:02d}{'X' if local.fold else ''}"


def _on_or_after(date: dt.date, weekday: int) -> dt.date:
    return date + dt.timedelta(days=(weekday - date.weekday()) % _DAYS)
