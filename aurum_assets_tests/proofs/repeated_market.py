"""A simulated day of the market on many days: the source rows of a year, in seconds.

Each instant keeps its distance from the beginning of its operating day. So a day of 23 hours lacks
the last hour of the simulated one, and one of 25 hours has nothing in its last.
"""

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping
from functools import cache

import polars as pl

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.resources.lake import Lake, Stored
from aurum_assets_tests.proofs.simulated_market import market

_SIMULATED = dt.date(2026, 7, 20)
_DATASETS: Mapping[str, Dataset] = {d.table.name: d for d in DATASETS}
_DAY = pl.col("operating_day")


@cache
def simulated(miso_hours: int = 24) -> Mapping[str, pl.DataFrame]:
    """The tables of the simulated day, by name; MISO's newest intervals of ``miso_hours``."""
    tables = market(_SIMULATED, _SIMULATED, miso_hours=miso_hours)
    held = {name: tables[name].filter(_DAY == _SIMULATED) for name in _DATASETS if name in tables}
    return {name: rows for name, rows in held.items() if len(rows)}


def on(day: dt.date, name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """``rows`` of the simulated day in the table ``name``, as those of ``day``."""
    dataset = _DATASETS[name]
    there = OperatingDay(day, dataset.operator.zone)
    moved = there.start - OperatingDay(_SIMULATED, there.zone).start
    found = rows.with_columns(pl.col(pl.Datetime) + moved, operating_day=pl.lit(day))
    if dataset.table.stays_in_day:
        found = found.filter(pl.col("interval_start") < there.end)
    return found.sort(dataset.table.order)


def fill(lake: Lake, days: Iterable[dt.date], miso_hours: int = 24) -> int:
    """Put the day on each of ``days`` into new tables, a commit a month; returns how many rows."""
    rows = 0
    for _, month in itertools.groupby(days, lambda day: (day.year, day.month)):
        dates = list(month)
        for name, frame in simulated(miso_hours).items():
            table, swaps = _DATASETS[name].table, []
            before = Stored(table.empty())
            for day in dates:
                moved = on(day, name, frame)
                rows += len(moved)
                swaps += [
                    lake.write(table, part, {n: part[n][0] for n in table.partition}, before)
                    for part in moved.partition_by(table.partition)
                ]
            lake.swap(table, swaps)
    return rows
