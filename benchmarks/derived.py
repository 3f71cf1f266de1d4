"""M: all marts of a day, by dbt, from the prepared day of real-time prices.

    python -m benchmarks.derived PREPARED HOME

Beside the 345,600 five-minute prices the home has an hourly price of each location, real-time and
day-ahead, made of them. Nothing is imported before the clock starts, as in a run: the first build
imports and parses everything, the second one finds all of it and changes nothing.
"""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl

from aurum_assets.marts.build import build_chunk
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.resources.composition import Resources
from benchmarks.measure import Clock
from benchmarks.prepare import home_at, lmp_day


def put(prepared: Path, home: Resources) -> None:
    """The rows of the day, in three tables."""
    five = pl.read_parquet(prepared / "committed.parquet")
    hour = pl.col("interval_start").dt.truncate("1h")
    means = [pl.col(n).mean().round(2) for n in ("lmp", "energy", "congestion", "loss")]
    keys = ("operating_day", "location_id", "finality")
    hourly = (
        five.group_by(*keys, interval_start=hour)
        .agg(
            *means,
            pl.col("location_name", "location_type", "source_timezone", "raw_sha256").first(),
            pl.col("fetched_at").max(),
        )
        .with_columns(interval_end=pl.col("interval_start") + pl.duration(hours=1))
    )
    for table, rows in (
        (ISONE_RT_LMP.table, five),
        (ISONE_RT_HOURLY_LMP.table, hourly),
        (ISONE_DA_LMP.table, hourly),
    ):
        merge(home, table, rows)


def merge(home: Resources, table: Table, rows: pl.DataFrame) -> None:
    """Merge ``rows`` of one day."""
    home.lake.merge(table, rows.select(table.names).sort(table.order))


def measure(prepared: Path, folder: Path) -> dict[str, Any]:
    """The first build of the process, and the next."""
    home = home_at(folder)
    put(prepared, home)
    first, again = Clock(), Clock()
    with first.running():
        built = build_chunk(home, [lmp_day().date])
    with again.running():
        same = build_chunk(home, [lmp_day().date])
    changed = sum(m.new + m.changed for by in same.done.values() for m in by.values())
    return {
        **first.report(),
        "again": again.seconds,
        "again_cpu": again.cpu,
        "rows": sum(m.held or 0 for by in built.done.values() for m in by.values()),
        "tests": len(built.checks),
        "failed": [*map(str, built.failed.values()), *built.refused_days, *built.failed_tests],
        "changed": changed,
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))))
