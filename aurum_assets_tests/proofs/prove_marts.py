"""A simulated month of the marts, computed by the models and once more in plain Python.

November has a day of 25 hours and a holiday. Every row of every mart must be there once, and each
of its numbers the same: to the last of six places, and exactly, but for ratios. The first days are
stored in a home and built by dbt as well: what it stores must be what the models gave without it.
Then builds of some months are killed (``killed_marts``).
"""

import datetime as dt
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from aurum_assets.marts.build import build
from aurum_assets.marts.tables import MARTS
from aurum_assets.operators import DATASETS
from aurum_assets_tests.marts import BY_NAME, Desk
from aurum_assets_tests.proofs import marts_oracle
from aurum_assets_tests.proofs.killed_marts import prove_killed
from aurum_assets_tests.proofs.proof import Proof, close, home_at
from aurum_assets_tests.proofs.simulated_market import market

_FIRST = dt.date(2026, 11, 1)
_LATER = dt.datetime(2026, 12, 10, tzinfo=dt.UTC)
_BY_DBT = 3
_TABLES = {table.name: table for d in DATASETS for table in (d.table, d.table.history)}


def prove_marts(days: int = 30, kills: int = 12) -> Proof:
    """Compute ``days`` days twice; broken where a row or a number differs. Kill builds, too."""
    proof = Proof(f"{days} days of marts equal an independent computation, and survive kill -9")
    dates = [_FIRST + dt.timedelta(days=n) for n in range(days)]
    tables = market(_FIRST, dates[-1], tell=lambda _: proof.add("days simulated"))
    proof.add("rows of market tables", sum(map(len, tables.values())))
    desk, oracle = Desk(_FIRST, dates[-1], tables), marts_oracle.Oracle(tables, _FIRST, dates[-1])
    spent = 0.0
    for name, expected in marts_oracle.MARTS.items():
        began = time.monotonic()
        made = desk.mart(name)
        spent += time.monotonic() - began
        proof.add(f"rows of {name}", len(made))
        proof.holds(f"{name} has no rows", where=len(made) > 0)
        key = BY_NAME[name].key
        proof.broken += marts_oracle.differences(name, key, made, expected(oracle))
    proof.counts["ms of models a day"] = round(1000 * spent / days)
    with tempfile.TemporaryDirectory() as folder:
        _by_dbt(proof, tables, dates[:_BY_DBT], Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        prove_killed(proof, Path(folder), kills)
    return proof


def _by_dbt(
    proof: Proof, tables: Mapping[str, pl.DataFrame], days: list[dt.date], folder: Path
) -> None:
    """Store ``tables`` of these days in a home, and compare what dbt makes of them."""
    home = home_at(folder, _LATER)
    first, last = days[0], days[-1] + dt.timedelta(days=1)  # models look beyond the days, by hours
    for name, rows in tables.items():
        held = rows.filter(pl.col("operating_day").is_between(first, last))
        for part in held.partition_by("operating_day"):
            home.lake.merge(_TABLES[name], part)
    for built in build(home, days):
        proof.broken += [f"{name}: {why}" for name, why in built.failed.items()]
        proof.broken += [*built.refused_days, *built.failed_tests]
        proof.add("tests of dbt by day", len(built.checks))
    kept = {n: f.filter(pl.col("operating_day") <= last) for n, f in tables.items()}
    desk = Desk(days[0], days[-1], kept)
    for table in MARTS:
        stored = home.lake.read(table).drop("computed_at", "made_from").sort(pl.all())
        same = stored.equals(desk.mart(table.name).select(stored.columns).sort(pl.all()))
        proof.holds(f"dbt stored something else in {table.name}", where=same)
        proof.add("rows that dbt stored", len(stored))
    close(home.lake)


if __name__ == "__main__":
    found = prove_marts(*(int(argument) for argument in sys.argv[1:]))
    print(found)
    sys.exit(int(bool(found.broken)))
