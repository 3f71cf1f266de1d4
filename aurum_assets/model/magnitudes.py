"""Typical sizes of values: their bounds, and powers of ten by which a field is off.

A typical size is the median of the different absolute values other than zero: zeros and repeated
values show nothing about units.
"""

from collections.abc import Mapping, Sequence
from math import log10

import polars as pl

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.table import Table

Bounds = tuple[float, float]

LEAST_PRICE = 0.06  # a dozen different prices in whole cents have a median of 0.065 at least
ABOVE_THE_CAP = 2.5  # reserve and transmission penalties come on top of the offers that are capped
_POWERS = range(-12, 13)
_FEWEST_OUTSIDE = 2  # one field alone is no second sign of anything
_UNIT_POWER = 2  # cents for dollars; kilowatts for megawatts are three: no unit is ten of another
_AGREEING = 0.8  # of the hours: one at dawn or at zero may be off by another power
_HOUR_SECONDS = 3_600
_PARTS = ("congestion", "loss")


def price_magnitude(price_bounds: Bounds) -> Bounds:
    """The bounds of a typical price in a market with this offer floor and offer cap."""
    return LEAST_PRICE, ABOVE_THE_CAP * max(abs(bound) for bound in price_bounds)


def typical(name: str, at_least: int = 1) -> pl.Expr:
    """The median of the different absolute values; null where there are fewer than given."""
    size = pl.col(name).cast(pl.Float64, strict=False).abs()
    different = size.filter((size > 0) & size.is_finite()).unique()
    return pl.when(different.len() >= at_least).then(different.median())


def powers_back(median: float, bounds: Bounds) -> list[int]:
    """The powers of ten that bring ``median`` within ``bounds``, the smallest first.

    0 is among them where it is within already.
    """
    low, high = bounds
    return sorted((p for p in _POWERS if low <= median * 10.0**p <= high), key=abs)


def common_power(judged: Mapping[str, tuple[float, Bounds]]) -> int | None:
    """The one power of ten that brings all of the ``judged`` fields within their bounds.

    ``judged``: by field its typical value and its bounds. None unless most fields, and two at
    least, are outside: a price that is only high is outside alone.
    """
    found = [powers_back(median, bounds) for median, bounds in judged.values()]
    outside = [powers for powers in found if 0 not in powers]
    if len(outside) < _FEWEST_OUTSIDE or 2 * len(outside) <= len(found):
        return None
    common = set(_POWERS).intersection(*map(set, found))
    return min(common, key=abs, default=None)


def sizes_by_hour(table: Table, rows: pl.DataFrame, day: OperatingDay) -> pl.DataFrame:
    """``hour`` of the operating day, then the typical size of each measured column in it.

    Congestion and loss of a price are left out: they are differences, which change a thousandfold
    from day to day, and the sum rule covers their unit.
    """
    hour = (pl.col("interval_start") - day.start).dt.total_seconds() // _HOUR_SECONDS
    columns = [typical(name).alias(name) for name in measured(table)]
    return rows.group_by(hour.alias("hour")).agg(columns).sort("hour")


def measured(table: Table) -> list[str]:
    """The numeric columns whose unit can be judged; none where rows have no interval."""
    if "interval_start" not in table.names:
        return []
    return [c.name for c in table.columns if c.dtype == pl.Float64 and c.name not in _PARTS]


def off_by(
    name: str, now: pl.DataFrame, days: Sequence[pl.DataFrame], fewest: int = 1
) -> int | None:
    """The power of ten by which column ``name`` is off against earlier ``days``.

    None where it is not, where hours contradict each other, or where fewer than ``fewest`` have a
    value on both sides. ``now`` and ``days`` are results of ``sizes_by_hour``; the same hours are
    compared, since noon and midnight differ.
    """
    known = [d.select("hour", before=name) for d in days if name in d.columns]
    if not known:
        return None
    before = pl.concat(known).drop_nulls().group_by("hour").agg(pl.col("before").median())
    both = now.select("hour", now=name).drop_nulls().join(before, on="hour")
    powers = [round(log10(row["now"] / row["before"])) for row in both.iter_rows(named=True)]
    if len(powers) < fewest:
        return None
    power = max(set(powers), key=powers.count)
    agreed = powers.count(power) >= _AGREEING * len(powers)
    return power if agreed and abs(power) >= _UNIT_POWER else None
