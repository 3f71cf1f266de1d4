"""Vintages: the forecasts that a table keeps one beside the other, each with its ``published_at``.

The lead of a forecast is the time from its publication to the start of its interval. A table may
hold an interval's vintages in several partitions, where ``operating_day`` is the publication's.
"""

import datetime as dt
from collections.abc import Iterable

import polars as pl

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.stamps import NEAR
from aurum_assets.model.table import SUPERSEDED_AT, Table

_NOT_COMPARED = ("finality", "published_at")


def has_vintages(table: Table) -> bool:
    """Whether ``table`` keeps each forecast of an interval: ``published_at`` is in its key."""
    held = {"published_at", "interval_start"} <= set(table.key)
    return held and SUPERSEDED_AT.name not in table.names


def require_vintages(table: Table, known: Iterable[Table]) -> None:
    """Raise ``ConfigError`` where ``table`` keeps no vintages; it names those of ``known``."""
    if not has_vintages(table):
        those = ", ".join(one.name for one in known if has_vintages(one))
        msg = f"{table.name} keeps no vintages, for it has no published_at in its key; {those} do"
        raise ConfigError(msg)


def may_hold(table: Table, day: OperatingDay) -> list[OperatingDay]:
    """The operating days in whose partitions an interval that begins on ``day`` may lie."""
    if table.stays_in_day:
        return [day]
    return [day.plus(n) for n in range(-NEAR.days, NEAR.days + 1)]


def identity(table: Table) -> list[str]:
    """The columns that identify a row of ``newest``: the key without finality and publication."""
    crosses_days = has_vintages(table) and not table.stays_in_day
    columns = (*(() if crosses_days else table.partition), *table.key)
    return [name for name in dict.fromkeys(columns) if name not in _NOT_COMPARED]


def newest(table: Table, rows: pl.LazyFrame) -> pl.LazyFrame:
    """One row a key: final where there is one, else prelim; of vintages the last publication.

    Of one publication in two operating days the later day's row counts, then the later fetch. Of a
    sparse table no prelim row of a day counts that has a final one: the final answer has none of
    what it withdraws. Filters on the columns of ``identity`` reach the scan, of a sparse table with
    finality those on its partition. Sorted in the table's order.
    """
    if not set(_NOT_COMPARED) & set(table.key):
        return rows.sort(table.order)
    if table.sparse and "finality" in table.key:
        final = pl.col("finality") == "final"
        rows = rows.filter(final | ~final.any().over(table.partition))
    by = ("finality", "published_at", *table.partition, *table.known_by)
    order = [name for name in by if name in table.names]
    last = rows.sort(order, descending=[name == "finality" for name in order])
    return last.unique(identity(table), keep="last", maintain_order=False).sort(table.order)


def has_lead(lead: dt.timedelta) -> pl.Expr:
    """Whether a row was published at least ``lead`` before its interval begins (inclusive)."""
    return pl.col("published_at") <= pl.col("interval_start") - lead
