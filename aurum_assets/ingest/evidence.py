"""Inputs of the checks, read from the lake: intervals of a day, sizes of the days before."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from aurum_assets.model.checks import Volume
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.magnitudes import measured, sizes_by_hour
from aurum_assets.resources.composition import Resources

_RECENT_DAYS = 3  # from which typical values are read


@dataclass(frozen=True)
class Intervals:
    """The distinct intervals of a day (``interval_start``, ``finality``), and their length.

    ``published``: the instants of its cases, where completeness is judged by cases.
    """

    frame: pl.DataFrame
    every: dt.timedelta
    published: tuple[dt.datetime, ...] | None = None


def intervals_of(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    rows: pl.DataFrame | None,
    every: dt.timedelta | None,
) -> Intervals:
    """The intervals of ``rows`` (the whole day), by default of what the lake holds of it.

    ``every``: the length of the latest ones. A day that has rows of the shortest length is judged
    by these alone.
    """
    names = tuple(n for n in ("interval_start", "finality") if n in dataset.table.names)
    lengths = {d.every for d in dataset.dialects}
    wanted = (*names, "interval_end") if len(lengths) > 1 else names
    by_cases = [d for d in dataset.dialects if d.complete_by == "published_at"]
    wanted = (*wanted, "published_at") if by_cases else wanted
    if rows is None:
        rows = resources.lake.read(dataset.table, {"operating_day": day.date}, wanted)
    found, every = rows.select(wanted).unique(), every or dataset.dialects[0].every
    if len(lengths) > 1:
        length = pl.col("interval_end") - pl.col("interval_start")
        short = found.filter(length == dataset.interval())
        every, found = (dataset.interval(), short) if len(short) else (every, found)
    published = None
    if any(d.every == every for d in by_cases):
        published = tuple(found["published_at"].unique().sort())
    found = found if wanted == names else found.select(names).unique()
    return Intervals(found.sort(names), every, published)


def recent_sizes(
    resources: Resources, dataset: Dataset, day: OperatingDay, held: Sequence[Volume]
) -> tuple[pl.DataFrame, ...]:
    """Typical sizes of the values by hour, for each of the newest ``held`` days before ``day``."""
    columns = measured(dataset.table)
    if not columns:
        return ()
    found = []
    for earlier in [v.day for v in held if v.day < day][-_RECENT_DAYS:]:
        partition = {"operating_day": earlier.date}
        rows = resources.lake.read(dataset.table, partition, ("interval_start", *columns))
        found.append(sizes_by_hour(dataset.table, rows, earlier))
    return tuple(found)
