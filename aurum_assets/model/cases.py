"""Cases: whether all publications of an operating day were collected.

A forecast (CTS) publishes a case each quarter of an hour, ten intervals in each. The intervals of a
missing case are in its neighbours as well, so only the instants of publication show what is
missing. They are on no grid: cases are 850 to 944 s apart, so a whole day has 92 to 101 of them,
about 95, and no exact instant is expected. A gap is recognized by its length.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from aurum_assets.model.clock import HOUR, OperatingDay


@dataclass(frozen=True)
class CaseGap:
    """``cases`` publications are missing between the instants ``after`` and ``before``.

    These belong to two cases, or are bounds of the day: its beginning, and the end of what is due.
    """

    after: dt.datetime
    before: dt.datetime
    cases: int

    @property
    def instants(self) -> list[dt.datetime]:
        """Approximate instants of the missing cases."""
        step = (self.before - self.after) / (self.cases + 1)
        return [self.after + n * step for n in range(1, self.cases + 1)]


def case_gaps(
    day: OperatingDay,
    published: Sequence[dt.datetime],
    due: dt.datetime,
    every: dt.timedelta,
    longest: dt.timedelta,
) -> list[CaseGap]:
    """The gaps of ``day`` between the ``published`` cases, its beginning, and ``due``.

    ``due``: up to when cases are expected. ``every``: the usual distance of two cases. ``longest``:
    the greatest allowed one.
    """
    inside = sorted(p for p in published if day.start <= p < day.end)
    until = min(due, day.end)
    found = []
    for after, before in pairwise([day.start, *inside, max([until, *inside[-1:]])]):
        if before - after <= longest:
            continue
        between_two = after in inside and before in inside
        # both ends of the gap are cases; the bounds of the day are none
        missing = round((before - after) / every) - 1 if between_two else (before - after) // every
        found.append(CaseGap(after, before, max(missing, 1)))
    return found


def strip_of_cases(
    day: OperatingDay, published: Sequence[dt.datetime], gaps: Sequence[CaseGap], due: dt.datetime
) -> str:
    """A character an hour: ``#`` all cases are there, ``+`` some, ``.`` none, ``_`` not due yet."""
    missing = [instant for gap in gaps for instant in gap.instants]
    drawn = ""
    for start in day.marks(HOUR):
        here = any(start <= p < start + HOUR for p in published)
        absent = any(start <= m < start + HOUR for m in missing)
        if absent:
            drawn += "+" if here else "."
        else:
            drawn += "#" if here or start + HOUR <= due else "_"
    return drawn
