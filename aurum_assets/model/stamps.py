"""Polars expressions for possible instants: near the operating day, on time, on a mark.

``Table.all_rules`` builds rules from them. Local time is not needed: the operators' zones are whole
hours from UTC, so a full hour in New York is one in UTC, on every day of the year.
"""

import datetime as dt

import polars as pl

from aurum_assets.model.clock import DAY, HOUR, OperatingDay

CLOCK_SLACK = dt.timedelta(minutes=10)
"""By how much an operator's clock may be ahead of ours, where config does not say otherwise."""

NEAR = 2 * DAY
"""How far from its operating day an interval may lie: no operator's forecast is further ahead."""

_EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC) + DAY
_LATEST = dt.datetime.max.replace(tzinfo=dt.UTC) - DAY


def lies_near(day: OperatingDay) -> pl.Expr:
    """Whether ``interval_start`` is within two days of ``day``."""
    start = pl.col("interval_start")
    return (start >= _shifted(day.start, -NEAR)) & (start < _shifted(day.end, NEAR))


def published_in_time(
    day: OperatingDay, slack: dt.timedelta, before: dt.timedelta = DAY
) -> pl.Expr:
    """Whether ``published_at`` is at most so long ``before`` ``day`` and not after the fetch.

    ``slack``: by how much the operator's clock may be ahead of ours.
    """
    at = pl.col("published_at")
    return (at >= _shifted(day.start, -before)) & (at <= pl.col("fetched_at") + slack)


def starts_on_a_mark() -> pl.Expr:
    """Whether ``interval_start`` is a multiple of the interval's own length, at most an hour."""
    start, end = (pl.col(n).cast(pl.Int64) for n in ("interval_start", "interval_end"))
    step = pl.min_horizontal(end - start, pl.lit(HOUR // dt.timedelta(microseconds=1)))
    return (step > 0) & (start % step == 0)


def _shifted(instant: dt.datetime, by: dt.timedelta) -> dt.datetime:
    """``instant`` shifted, within the range of the calendar."""
    if by < dt.timedelta(0):
        return max(instant, _EARLIEST - by) + by
    return min(instant, _LATEST - by) + by
