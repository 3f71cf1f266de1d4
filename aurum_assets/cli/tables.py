"""``aurum as-of``, ``sql``, ``export``: read the tables. Nothing here writes to them."""

import datetime as dt
import itertools
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import polars as pl

from aurum_assets import ingest
from aurum_assets.api import OpenLake
from aurum_assets.cli.arguments import (
    DAY,
    INSTANT,
    INSTANTS,
    KNOWN,
    Days,
    dataset_name,
    day_of,
    find,
    instant,
    json_option,
    with_days,
)
from aurum_assets.cli.interrupt import reporting
from aurum_assets.cli.output import (
    Step,
    on_terminal,
    print_data,
    print_json,
    print_lines,
    progress,
    say,
)
from aurum_assets.ingest.datapackage import NAME, add_to_package, read_package
from aurum_assets.model.arguments import lead_of, names_day
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.errors import ConfigError, QueryRefused
from aurum_assets.model.shown import as_cells, visible
from aurum_assets.model.table import Table
from aurum_assets.model.vintage import (
    has_lead,
    has_vintages,
    may_hold,
    newest,
    require_vintages,
)
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.scratch import draft
from aurum_assets.resources.settings import open_resources

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 20
_UNWRITTEN = "no file was written"
_SHOWN_OF_A_QUERY = 100
_STAMP = "%Y-%m-%dT%H:%M:%S%.fZ"
_NAMES = ", ".join(t.identifier for t in ingest.known_tables())


@click.command("as-of", epilog=KNOWN)
@click.option("--dataset", type=dataset_name, required=True, help="The dataset.")
@click.option(
    "--at",
    metavar=INSTANT,
    required=True,
    help=f"The instant, or now, today, yesterday; {INSTANTS}.",
)
@click.option("--day", metavar=DAY, help="One operating day (default: all).")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write all rows to this file: .csv or .parquet.",
)
@click.option("--force", is_flag=True, help="Let --output replace a file.")
@json_option
def as_of(
    dataset: str, at: str, day: str | None, output: Path | None, force: bool, as_json: bool
) -> None:
    """Show a table as it was known at an instant.

    What was corrected since is undone. On a terminal the first rows are shown; piped, all are.
    """
    resources = open_resources(DATASETS)
    when = instant(at, "--at", resources.now())
    form = _form_of(output, None) if output else ""
    if output:
        _refuse_to_replace(output, force=force)
    rows = OpenLake().as_of(dataset, when)
    if day:
        rows = rows.filter(pl.col("operating_day") == day_of(resources, find(dataset), day).date)
    try:
        found = rows.collect()
    except Exception as error:
        raise _unread(dataset, error) from error
    if output:
        _write_file(iter([found]), output, form)
    if as_json:
        data = [] if output else found.to_dicts()
        print_json({"dataset": dataset, "at": when, "rows": len(found), "data": data})
        return
    known = f"known at {when:%F %TZ}"
    if names_day(at):
        known = f"known at the end of {when:%F}, UTC"
    if output:
        say(f"{len(found):,} rows of {dataset} as {known} in {output}", err=True)
        return
    print_frame(
        found.drop("raw_sha256", "source_timezone"),
        of=f" of {dataset} as {known}",
        nothing=f"Nothing of {dataset} was {known}.",
    )


def print_frame(rows: pl.DataFrame, *, of: str, nothing: str) -> None:
    """Print the rows of a table: the first ones on a terminal, all of them into a pipe."""
    rest = "a pipe and --json take all"
    if on_terminal():
        first = rows.head(_SHOWN).to_dicts()
        print_data(rows.columns, first, len(rows), of=of, nothing=nothing, rest=rest)
        return
    print_lines(rows.columns, rows.iter_rows())
    if rows.is_empty():
        say(nothing, err=True)


@click.command(epilog=f"Tables: {_NAMES}.")
@click.argument("select")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all rows to this file: .csv or .parquet.",
)
@click.option("--force", is_flag=True, help="Let --output replace a file.")
@json_option
def sql(select: str, output: Path | None, force: bool, as_json: bool) -> None:
    """Run one SELECT over the tables.

    For instance "select count(*) from rt_lmp", by DuckDB; "show tables" lists them,
    "describe rt_lmp" shows the columns of one. Tables are named with or without their
    namespace, and those of a dataset also without its operator (rt_lmp); times are UTC. Nothing is
    written, and no other file is read. Only the columns and row groups that a query needs are read;
    sorts beyond 1 GB spill to a temporary folder. --json holds all rows in memory, the other forms
    do not.
    """
    form = _form_of(output, None) if output else ""
    if output:
        _refuse_to_replace(output, force=force)
    so_far = _UNWRITTEN if output else ""
    try:
        resources = open_resources(DATASETS, needs="lake")
        with reporting(lambda: so_far), ingest.query(resources, select) as batches:
            if output:
                rows = _write_file(_frames(batches), output, form)
                _say_written(rows, output, as_json=as_json)
            elif as_json:
                data = [row for batch in batches for row in batch.to_pylist()]
                print_json({"columns": batches.schema.names, "rows": len(data), "data": data})
            else:
                _print_batches(batches)
    except QueryRefused as error:
        raise click.UsageError(visible(str(error))) from error


def _frames(batches: "pa.RecordBatchReader") -> Iterator[pl.DataFrame]:
    """The batches as frames, after an empty one with the columns."""
    yield pl.DataFrame(batches.schema.empty_table())
    for batch in batches:
        yield pl.DataFrame(batch)


def _print_batches(batches: "pa.RecordBatchReader") -> None:
    """All rows where they are piped, the first on a terminal."""
    rows = (row for batch in batches for row in batch.to_pylist())
    names = batches.schema.names
    if not on_terminal():
        print_lines(names, (row.values() for row in rows))
        return
    first = list(itertools.islice(rows, _SHOWN_OF_A_QUERY))
    total = len(first) if next(rows, None) is None else None
    nothing = f"0 rows of the columns {', '.join(names)}."
    print_data(names, first, total, nothing=nothing, rest="--output FILE takes all")


@click.command(epilog=KNOWN)
@click.option("--dataset", type=dataset_name, required=True, help="The dataset.")
@with_days("this or a range is required")
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet"]), help="(default: as FILE ends; csv)"
)
@click.option(
    "--output",
    metavar="FILE",
    help="Where to; - for standard output (default: DATASET_DAY.csv in this folder).",
)
@click.option(
    "--best",
    is_flag=True,
    help="One row a key: final where there is one, else prelim; of forecasts the last one.",
)
@click.option(
    "--lead",
    metavar="SPAN",
    help="Of each interval the last forecast at least so long before it: 2h, 75m, 1d.",
)
@click.option(
    "--package",
    is_flag=True,
    help="Describe the file in datapackage.json beside it: types, units, key, source.",
)
@click.option("--force", is_flag=True, help="Replace the file where it exists.")
@json_option
def export(
    dataset: str,
    days: Days,
    form: str | None,
    output: str | None,
    best: bool,
    lead: str | None,
    package: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write the rows of operating days to a file.

    One day at a time is in memory. Sorted by day, interval and location; times are UTC. With
    --lead, and with --best of forecasts, a day is that of the intervals, whenever they were
    forecast. datapackage.json (Frictionless Data) takes in each file that is exported to its folder
    with --package.
    Exit code 1 where there is no row: then no file is written.
    """
    home, found = open_resources(DATASETS, needs="lake"), find(dataset)
    if not days.given:
        msg = "which days? give --day, or --start-date and --end-date"
        raise click.UsageError(msg)
    asked = days.of(found, home)
    least = _lead(found.table, lead, best=best)
    if output == "-":
        if form == "parquet" or as_json or package:
            msg = "--output - takes only CSV: leave out --format parquet, --json and --package"
            raise click.UsageError(msg)
        rows = _write(
            _days_of(home, found.table, asked, least, best=best), sys.stdout.buffer, "csv"
        )
    else:
        span = asked[0].key if len(asked) == 1 else f"{asked[0]}_{asked[-1]}"
        kind = f"_{lead.replace(' ', '')}" if lead else "_best" if best else ""
        name = f"{dataset}{kind}_{span}.{form or 'csv'}"
        path = Path(output or name)
        form = form or _form_of(path, "csv")
        _refuse_to_replace(path, force=force)
        if package:
            read_package(path.with_name(NAME))  # before anything is written
        with progress(len(asked), f"exporting {dataset}", "days read", _UNWRITTEN) as step:
            frames = _days_of(home, found.table, asked, least, best=best, step=step)
            rows = _write_file(frames, path, form)
    if not rows:
        span = str(asked[0]) if len(asked) == 1 else f"{asked[0]} to {asked[-1]}"
        msg = f"{dataset} holds no row of {span}: collect or load it first"
        raise click.ClickException(msg)
    if output != "-":
        described = None
        if package:
            described = add_to_package(
                path,
                "parquet" if form == "parquet" else "csv",
                found.table,
                ingest.entry_of(found.table, home.configuration.datasets),
                one_a_key=best or least is not None,
                days=(asked[0].date, asked[-1].date),
                now=home.now(),
            )
        _say_written(rows, path, as_json=as_json, described=described)


def _lead(table: Table, given: str | None, *, best: bool) -> dt.timedelta | None:
    """The lead that ``--lead`` gives."""
    if given is None:
        return None
    if best:
        msg = "--best is the last forecast of all, --lead an earlier one: give one of them"
        raise click.UsageError(msg)
    try:
        require_vintages(table, ingest.known_tables())
        return lead_of(given)
    except (ValueError, ConfigError) as error:
        msg = f"--lead: {error}"
        raise click.UsageError(msg) from error


def _days_of(
    resources: Resources,
    table: Table,
    days: Sequence[OperatingDay],
    lead: dt.timedelta | None,
    *,
    best: bool,
    step: Step = lambda _, __=1: None,
) -> Iterator[pl.DataFrame]:
    """The rows of each day that has any, in the table's order."""
    one_a_key = best or lead is not None
    for day in days:
        parts = may_hold(table, day) if one_a_key else [day]
        read = (resources.lake.read(table, {"operating_day": part.date}) for part in parts)
        rows = pl.concat(read)
        if lead is not None:
            rows = rows.filter(has_lead(lead))
        if one_a_key and has_vintages(table):
            rows = rows.filter(pl.col("interval_start").is_between(day.start, day.end, "left"))
        if one_a_key:
            rows = newest(table, rows.lazy()).collect()
        if len(rows):
            yield rows
        step(f"{table.name} {day}")


def _unread(dataset: str, error: Exception) -> Exception:
    """Our error for the ``error`` of a scan, naming the damaged file if there is one."""
    lake, table = open_resources(DATASETS).lake, find(dataset).table
    damage = lake.damage(table, dataset) or lake.damage(table.history, dataset)
    return damage or (lake.explained(dataset, error) if isinstance(error, OSError) else error)


# --- files -------------------------------------------------------------------------------------


def _form_of(path: Path, otherwise: str | None) -> str:
    form = path.suffix.removeprefix(".") or otherwise
    if form not in {"csv", "parquet"}:
        msg = f"--output {path}: the name should end in .csv or .parquet"
        raise click.UsageError(msg)
    return form


def _refuse_to_replace(path: Path, *, force: bool) -> None:
    if path.is_dir() or (path.exists() and not force):
        msg = f"{path} is there already: name another with --output, or replace it with --force"
        raise click.UsageError(msg)


def _say_written(rows: int, path: Path, *, as_json: bool, described: Path | None = None) -> None:
    if as_json:
        package = {"package": str(described)} if described else {}
        print_json({"rows": rows, "path": str(path), **package})
    else:
        click.echo(f"{rows:,} rows in {path}{f', described in {described}' if described else ''}")


def _write_file(frames: Iterator[pl.DataFrame], path: Path, form: str) -> int:
    """Write all of ``frames``; the file gets its name once it is complete."""
    try:
        with draft(path.with_name(f".{path.name}.{uuid.uuid4().hex}")) as whole:
            with whole.open("wb") as file:
                rows = _write(frames, file, form)
            if whole.stat().st_size:
                whole.replace(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}"
        raise click.ClickException(msg) from error
    return rows


def _write(frames: Iterator[pl.DataFrame], file: BinaryIO, form: str) -> int:
    """Write ``frames`` one after the other; returns the number of rows."""
    from pyarrow.parquet import ParquetWriter

    rows = 0
    writer: Any = None  # pyarrow brings no types
    with ExitStack() as stack:
        for number, frame in enumerate(frames):
            rows += len(frame)
            if form == "csv":
                as_cells(frame).write_csv(file, include_header=not number, datetime_format=_STAMP)
                continue
            arrow = frame.to_arrow()
            if writer is None:
                writer = stack.enter_context(ParquetWriter(file, arrow.schema))
            writer.write_table(arrow)
    return rows
