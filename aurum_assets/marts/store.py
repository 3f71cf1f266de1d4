"""Store what a model gave: days of a mart's table, and what they replace in its history.

A row whose values did not change stays as it is, with its ``computed_at`` and ``made_from``: so a
correction of one price changes the rows that depend on it, and no others. All days of a build are
one commit; the history is written first. A kill in between is completed by the next build.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from aurum_assets.model.errors import ContractBroken, LakeBusy
from aurum_assets.model.table import SUPERSEDED_AT, UTC, Table, compared
from aurum_assets.resources.lake import Lake, Merged, Swap
from aurum_assets.resources.layout import DAY

DECIMALS = 9
"""Floats are rounded to so many: a sum in another order differs in its last bits."""
_ATTEMPTS = 20


@dataclass(frozen=True)
class Refused:
    """Why rows of a day cannot be stored: the day stays as it was."""

    rows: int
    reason: str


def as_stored(table: Table, rows: pl.DataFrame, at: dt.datetime, made_from: str) -> pl.DataFrame:
    """``rows`` of a model in the columns and dtypes of ``table``.

    Raises ``ContractBroken`` where a column is missing, unknown, or of a type that cannot be its.
    """
    since, by = table.known_by
    wanted = [name for name in table.names if name not in (since, by)]
    found = [name for name in rows.columns if name not in (since, by)]
    if odd := sorted(set(wanted) ^ set(found)):
        what = "does not give" if odd[0] in wanted else "gives"
        msg = f"{table.identifier}: the model {what} {odd[0]}; the table has {', '.join(wanted)}"
        raise ContractBroken(msg)
    try:
        typed = rows.select(_typed(table, name, rows.schema[name]) for name in wanted)
    except pl.exceptions.PolarsError as error:
        msg = f"{table.identifier}: the model gives a type that does not fit: {error}"
        raise ContractBroken(msg) from error
    origin = {since: pl.lit(at, table.schema[since]), by: pl.lit(made_from)}
    return typed.with_columns(**origin).select(table.names)


def _typed(table: Table, name: str, found: "pl.DataType") -> pl.Expr:
    column, dtype = pl.col(name), table.schema[name]
    if isinstance(dtype, pl.Datetime) and isinstance(found, pl.Datetime) and not found.time_zone:
        msg = f"{table.identifier}: {name} has no zone; instants are timestamptz"
        raise ContractBroken(msg)
    cast = column.cast(dtype)
    return cast.round(DECIMALS) + 0.0 if dtype == pl.Float64 else cast  # -0.0 + 0.0 is 0.0


def restate(
    lake: Lake,
    table: Table,
    made: pl.DataFrame,
    days: Sequence[dt.date],
    at: dt.datetime,
    *,
    in_sources: Collection[dt.date] = (),
) -> dict[dt.date, Merged | Refused]:
    """Make each of ``days`` hold the values of ``made``, as ``as_stored`` gives it, from ``at`` on.

    Refused as a whole, and left as it was, is a day with rows that may not enter, and one that has
    none any more although it is one of those ``in_sources``. Raises ``LakeBusy`` where other
    writers won each time, and like ``Lake.merge``.
    """
    done: dict[dt.date, Merged | Refused] = {}
    by_day = made.partition_by(DAY, as_dict=True)
    asked: dict[dt.date, pl.DataFrame] = {}
    for day in days:
        split = table.conform(by_day.get((day,), table.empty()))
        asked[day] = split.good
        if len(split.broken):
            done[day] = Refused(len(split.broken), split.broken["reason"][0])
    for _ in range(_ATTEMPTS):
        left = {day: rows for day, rows in asked.items() if day not in done}
        if not left:
            return done
        done |= _restate_once(lake, table, left, at, in_sources)
    msg = f"{table.identifier}: {_ATTEMPTS} commits in a row lost to other writers"
    raise LakeBusy(msg)


def _restate_once(
    lake: Lake,
    table: Table,
    asked: Mapping[dt.date, pl.DataFrame],
    at: dt.datetime,
    in_sources: Collection[dt.date],
) -> dict[dt.date, Merged | Refused]:
    """What became of the days that are as asked now; of others the files changed meanwhile."""
    found: dict[dt.date, Merged | Refused] = {}
    swaps: dict[dt.date, tuple[Swap, Merged]] = {}
    for day, held in lake.stored_days(table, list(asked)).items():
        if asked[day].is_empty() and len(held.rows) and day in in_sources:
            reason = f"the model gives no row, its sources have rows of the day, {len(held.rows)}"
            found[day] = Refused(0, f"{reason} are stored")
            continue
        rows, gone, merged = _restated(table, asked[day], held.rows, at)
        if merged.new + merged.changed + merged.removed == 0:
            found[day] = merged
            continue
        if len(gone):
            lake.merge(table.history, gone)
        swaps[day] = (lake.write(table, rows, {DAY: day}, held), merged)
    landed, snapshot = lake.swap(table, [swap for swap, _ in swaps.values()])
    for swap in landed:
        day = swap.partition[DAY]
        found[day] = replace(swaps[day][1], snapshot_id=snapshot)
    return found


def _restated(
    table: Table, made: pl.DataFrame, held: pl.DataFrame, at: dt.datetime
) -> tuple[pl.DataFrame, pl.DataFrame, Merged]:
    """The rows that a day has from now on; those that they replace, in the history's columns."""
    beside = compared(table, made, held.select(*table.key, *table.values))
    differs = beside["is_new"] | beside["is_changed"]
    kept = held.join(made.filter(~differs), on=table.key, how="semi")
    gone = held.join(kept, on=table.key, how="anti")
    rows = pl.concat([kept, made.filter(differs)]).sort(table.order)
    since = pl.lit(at, UTC).alias(SUPERSEDED_AT.name)
    return rows, gone.with_columns(since), Merged.replacing(beside, len(held))
