"""M: all marts by dbt: of a day, from the prepared day of real-time prices; of a year.

    python -m benchmarks.derived day PREPARED HOME
    python -m benchmarks.derived fill HOME              the source rows of a year and a month
    python -m benchmarks.derived build FIRST LAST       ``aurum marts`` from month to month

Beside the 345,600 five-minute prices the home has an hourly price of each location, real-time and
day-ahead, made of them. Nothing is imported before the clock starts, as in a run: the first build
imports and parses everything, the second one finds all of it and changes nothing.

The year is one command, and so is the month before it, beside which it is held: neither memory nor
the time of a month may grow with the months that are done.
"""

import contextlib
import datetime as dt
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from aurum_assets.marts.build import build_chunk
from aurum_assets.marts.builds import BUILDS
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.resources.composition import Resources
from benchmarks.measure import Clock
from benchmarks.prepare import home_at, lmp_day

BEFORE, YEAR = ("2024-12-01", "2024-12-31"), ("2025-01-01", "2025-12-31")
_ONE = dt.timedelta(days=1)


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


def filled(folder: Path) -> dict[str, Any]:
    """The source rows of the year and of the month before, a simulated day on each."""
    from aurum_assets_tests.proofs.repeated_market import fill

    first, last = (dt.date.fromisoformat(day) for day in (BEFORE[0], YEAR[1]))
    days = [first + n * _ONE for n in range((last - first).days + 1)]
    return {"rows": fill(home_at(folder).lake, days), "days": len(days)}


@contextlib.contextmanager
def _watched() -> Iterator[list[tuple[dt.datetime, float]]]:
    """Within the block, the CPU of this process is noted ten times a second."""
    seen: list[tuple[dt.datetime, float]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            seen.append((dt.datetime.now(dt.UTC), time.process_time()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def built(first: str, last: str) -> dict[str, Any]:
    """``aurum marts`` in the home of the environment: its exit code, and CPU of a day by month.

    With imports, as a person waits for them.
    """
    clock, code = Clock(), None
    with clock.running(), _watched() as seen:
        from aurum_assets.cli import main

        asked = ["marts", "--start-date", first, "--end-date", last]
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            try:
                main(asked, standalone_mode=False)
            except SystemExit as end:
                code = end.code
    report = clock.report()
    builds = home_at(Path(os.environ["AURUM_HOME"])).lake.read(BUILDS)
    of_it = builds.filter(pl.col("month").is_between(pl.lit(first[:7]), pl.lit(last[:7])))
    months = of_it.group_by("month").agg(
        pl.col("built_at").max(), days=pl.col("operating_day").n_unique()
    )
    began = [*months.sort("month")["built_at"], dt.datetime.now(dt.UTC)]
    spent = [max(cpu for at, cpu in seen if at <= instant) for instant in began]
    each = zip(itertools.pairwise(spent), months.sort("month")["days"], strict=True)
    return {
        **report,
        "code": code,
        "rows": of_it["rows"].sum(),
        "cpu_of_a_day": [(after - before) / days for (before, after), days in each],
    }


if __name__ == "__main__":
    what, *others = sys.argv[1:]
    if what == "day":
        found = measure(Path(others[0]), Path(others[1]))
    else:
        found = filled(Path(others[0])) if what == "fill" else built(*others)
    print(json.dumps(found))
