"""Q: what a desk asks of 400 days of five-minute prices of 1,200 locations, warm.

    python -m benchmarks.queries PREPARED HOME

The lake holds one prepared day 400 times, each as a day of its own: 138 million rows in 400 files.
Each query is asked through ``open_lake()``, three times, and the quickest counts; the plain scan
reads the same columns without ``best``. Commands are whole processes on that lake's home.
"""

import datetime as dt
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from aurum_assets.api import OpenLake
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from benchmarks.measure import process
from benchmarks.prepare import home_at, lmp_day, maintain

_DAYS, _ROUNDS = 400, 3
_TABLE = ISONE_RT_LMP.table
_HUB = "4000"
_COLUMNS = ("interval_start", "lmp")
_COMMANDS = (("--help",), ("sql", "select 1"), ("status",))
_COMMAND = """
import contextlib, os, sys
from aurum_assets.cli import main
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    main(sys.argv[1:], standalone_mode=False)
"""


def fill(prepared: Path, root: Path, days: int) -> None:
    """Merge the prepared day ``days`` times into a new lake, each a day earlier; maintain it."""
    rows = pl.read_parquet(prepared / "committed.parquet")
    lake = home_at(root).lake
    stamps = ("operating_day", "interval_start", "interval_end")
    for back in reversed(range(days)):
        lake.merge(_TABLE, rows.with_columns(pl.col(*stamps) - dt.timedelta(days=back)))
    maintain(lake, [_TABLE])


def asked(lake: OpenLake) -> dict[str, Callable[[], pl.DataFrame]]:
    """The queries by name."""
    last = lmp_day().date
    day, hub = pl.col("operating_day"), pl.col("location_id") == _HUB

    def since(days: int) -> pl.Expr:
        return day > last - dt.timedelta(days=days)

    def of(rows: Callable[[str], pl.LazyFrame], where: pl.Expr) -> Callable[[], pl.DataFrame]:
        return lambda: rows(_TABLE.name).filter(where).select(_COLUMNS).collect()

    def sql(days: int, where: str) -> Callable[[], pl.DataFrame]:
        first = last - dt.timedelta(days=days - 1)
        text = f"select {', '.join(_COLUMNS)} from {_TABLE.name} where operating_day"  # noqa: S608
        return lambda: lake.sql(f"{text} between '{first}' and '{last}'{where}")

    at_hub = f" and location_id = '{_HUB}'"
    return {
        "a hub's year, polars": of(lake.scan, since(365) & hub),
        "a hub's year, best": of(lake.best, since(365) & hub),
        "a hub's year, duckdb": sql(365, at_hub),
        "a hub's month, polars": of(lake.scan, since(30) & hub),
        "a hub's month, best": of(lake.best, since(30) & hub),
        "a hub's month, duckdb": sql(30, at_hub),
        "a day of all locations, polars": of(lake.scan, day == last),
        "a day of all locations, duckdb": sql(1, ""),
    }


def commands(root: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds and CPU of commands in the home ``root``: the least of some processes each."""
    env = {"AURUM_HOME": str(root), "AURUM_ENV_FILE": os.devnull}
    found = {}
    for command in _COMMANDS:
        spent = [process(["-c", _COMMAND, *command], env=env) for _ in range(rounds)]
        least = {"seconds": min(s.wall for s in spent), "cpu": min(s.cpu for s in spent)}
        found[" ".join(("aurum", *command))] = least
    return found


def queries(prepared: Path, root: Path, days: int = _DAYS, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Seconds and rows of each query, seconds and CPU of each command."""
    fill(prepared, root, days)
    found = {}
    for name, query in asked(OpenLake(root)).items():
        seconds, rows = [], 0
        for _ in range(rounds):
            began = time.perf_counter()
            rows = query().height
            seconds.append(time.perf_counter() - began)
        found[name] = {"seconds": min(seconds), "rows": rows}
    return {"queries": found, "commands": commands(root, rounds)}


if __name__ == "__main__":
    print(json.dumps(queries(Path(sys.argv[1]), Path(sys.argv[2]))))
