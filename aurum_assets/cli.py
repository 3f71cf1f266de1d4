"""``aurum``: the command line. Every command calls the same verbs as the assets do.

Exit codes: 0 all is well, 1 it failed, 2 wrong use, 3 something was quarantined or rejected.
"""

import datetime as dt
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import click
import polars as pl
import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from aurum_assets import ingest
from aurum_assets.api import OpenLake
from aurum_assets.ingest.reference import REFERENCES, crosswalk, export, observe
from aurum_assets.markets import DATASETS
from aurum_assets.model.checks import Verdict
from aurum_assets.model.clock import OperatingDay, every_day
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, DataError
from aurum_assets.resources.settings import Home, open_home

BROKEN = 3
_SHOWN = 20

_KEYS = [d.key for d in DATASETS]
_dataset = click.Choice(_KEYS)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


class Group(click.Group):
    """Turns our errors into one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  as click has it
        """Run the command; an error of ours is a sentence, not a traceback."""
        try:
            return super().invoke(ctx)
        except AurumError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aurum-assets", prog_name="aurum")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="How much is logged to standard error.",
)
def main(log_level: str) -> None:
    """Market data of ISO New England and MISO: archived, normalized to Iceberg, checked.

    All state lies under AURUM_HOME (default: .aurum).
    """
    logging.basicConfig(level=log_level.upper(), stream=sys.stderr)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelName(log_level.upper())
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _find(key: str) -> Dataset:
    return next(d for d in DATASETS if d.key == key)


def _day(dataset: Dataset, text: str) -> OperatingDay:
    try:
        return dataset.day(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _range(
    dataset: Dataset, home: Home, day: str | None, start: str | None, end: str | None
) -> list[OperatingDay]:
    if day and (start or end):
        msg = "--day does not go with --start-date and --end-date"
        raise click.UsageError(msg)
    if not day and not start and not end:
        return [dataset.source.day_of(home.now())]
    first = _day(dataset, day or start or end or "")
    last = _day(dataset, day or end or first.key)
    if last < first:
        msg = f"--end-date {last} lies before --start-date {first}"
        raise click.UsageError(msg)
    return every_day(first, last)


_day_options = [
    click.option("--day", metavar="YYYY-MM-DD", help="One operating day (default: today)."),
    click.option("--start-date", "start", metavar="YYYY-MM-DD", help="First operating day."),
    click.option("--end-date", "end", metavar="YYYY-MM-DD", help="Last operating day, included."),
]


def _with_days(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_day_options):
        command = option(command)
    return command


@contextmanager
def _progress(total: int | None, what: str) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal (standard error), nothing where that is piped."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=total)

        def step(text: str) -> None:
            bar.update(task, advance=1, description=text)

        yield step


def _print(rows: Sequence[dict[str, Any]], title: str = "") -> None:
    """A table on a terminal, tab-separated lines where it is piped."""
    if not rows:
        return
    console = Console()
    if not console.is_terminal:
        click.echo("\t".join(rows[0]))
        for row in rows:
            click.echo("\t".join("" if v is None else str(v) for v in row.values()))
        return
    table = RichTable(title=title or None, title_justify="left")
    for name, value in rows[0].items():
        table.add_column(name.replace("_", " "), justify="right" if _is_number(value) else "left")
    for row in rows:
        table.add_row(*(_cell(v) for v in row.values()))
    console.print(table)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _echo_json(document: Any) -> None:  # noqa: ANN401  whatever JSON holds
    click.echo(json.dumps(document, indent=2, default=str))


# --- commands ------------------------------------------------------------------------------------


@main.command()
@click.argument("dataset", type=_dataset)
@_with_days
@click.option("--feed", "feeds", multiple=True, help="Only this feed (repeatable).")
@click.option("--interval", metavar="HH:MM", help="Only this five-minute mark, where a feed can.")
@click.option("--node", help="Only this node, where a feed can.")
@click.option("--force", is_flag=True, help="Archive an answer even if it repeats the last one.")
@click.option("--raw-only", is_flag=True, help="Stop after the archive.")
@_json
def collect(
    dataset: str,
    day: str | None,
    start: str | None,
    end: str | None,
    feeds: tuple[str, ...],
    interval: str | None,
    node: str | None,
    force: bool,
    raw_only: bool,
    as_json: bool,
) -> None:
    """Ask the operator for DATASET, archive the answers and merge them into the table."""
    home, found = open_home(DATASETS), _find(dataset)
    days = _range(found, home, day, start, end)
    known = [f.name for f in home.config(found).feeds]
    for name in feeds:
        if name not in known:
            msg = f"{dataset} has no feed {name!r}; it has {', '.join(known)}"
            raise click.UsageError(msg)
    filters = _filters(home, found, interval, node)

    def ask(one: OperatingDay, step: Callable[[str], None]) -> ingest.Collected:
        return ingest.collect(
            home, found, one, feeds=feeds or None, force=force, filters=filters, progress=step
        )

    rows, failed, rejected = [], "", []
    with _progress(None, f"collecting {dataset}") as step:
        for one in days:
            row = _collect_day(home, found, one, partial(ask, one, step), raw_only=raw_only)
            failed = row.pop("failed", "")
            rejected += [row.pop("why")] if "why" in row else []
            rows.append(row)
            if failed:
                break
    if as_json:
        _echo_json({"collected": rows, "failed": failed or None, "rejected_because": rejected})
    else:
        _print(rows)
        for reason in rejected:
            click.echo(f"REJECTED {reason}")
    if failed:
        raise click.ClickException(failed)
    sys.exit(BROKEN if any(row["rejected"] or row["quarantined"] for row in rows) else 0)


def _filters(
    home: Home, dataset: Dataset, interval: str | None, node: str | None
) -> dict[str, str]:
    """What the answers are narrowed by. Raises ``UsageError`` for values that cannot be."""
    if interval is not None and not re.fullmatch(r"([01]\d|2[0-3]):[0-5][05]", interval):
        msg = f"--interval {interval!r} is no five-minute mark; for instance 09:05"
        raise click.UsageError(msg)
    if node is not None and not re.fullmatch(r"[\w.-]+( [\w.-]+)*", node.replace("..", "/")):
        msg = f"--node {node!r} is no name of a node: letters, digits, dot, dash, _ and spaces"
        raise click.UsageError(msg)
    said = {"interval": interval, "node": node}
    filters = {name: value for name, value in said.items() if value is not None}
    try:
        return filters if not filters or ingest.narrowed(home, dataset, filters) else {}
    except AurumError as error:
        raise click.UsageError(str(error)) from error


_NOTHING = dict.fromkeys(
    (
        "dataset",
        "day",
        "requests",
        "stored",
        "duplicates",
        "rejected",
        "new",
        "changed",
        "quarantined",
        "seconds",
    ),
    0,
)


def _collect_day(
    home: Home,
    dataset: Dataset,
    day: OperatingDay,
    ask: Callable[[], ingest.Collected],
    *,
    raw_only: bool,
) -> dict[str, Any]:
    try:
        done = ask()
    except DataError as error:
        return {
            **_NOTHING,
            "dataset": dataset.key,
            "day": day.key,
            "rejected": 1,
            "why": str(error),
        }
    except AurumError as error:
        return {**_NOTHING, "dataset": dataset.key, "day": day.key, "failed": str(error)}
    if home.degraded:
        click.echo(f"degraded: {home.degraded}", err=True)
    normalized = (
        [] if raw_only else [ingest.normalize(home, dataset, dataset.day(key)) for key in done.days]
    )
    return {
        "dataset": dataset.key,
        "day": day.key,
        "requests": done.requests,
        "stored": done.count("stored"),
        "duplicates": done.count("duplicate"),
        "rejected": done.count("rejected") + sum(len(n.rejected) for n in normalized),
        "new": sum(n.merged.new for n in normalized),
        "changed": sum(n.merged.changed for n in normalized),
        "quarantined": sum(n.quarantined for n in normalized),
        "seconds": round(done.api_seconds, 2),
        **({"failed": done.refusal} if done.refusal else {}),
    }


@main.command()
@click.option("--dataset", type=_dataset, required=True, help="The dataset that the files are of.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--day", metavar="YYYY-MM-DD", help="Operating day, where the content does not say.")
@click.option(
    "--finality",
    type=click.Choice(["prelim", "final"]),
    help="Where the content does not say (default: prelim for real-time, else final).",
)
@click.option(
    "--fetched-at",
    metavar="ISO8601",
    help="When the bytes were fetched (default: the file's modification time).",
)
@_json
def load(
    dataset: str,
    files: tuple[Path, ...],
    day: str | None,
    finality: str | None,
    fetched_at: str | None,
    as_json: bool,
) -> None:
    """Take payload FILES (JSON or XML, plain or gzipped) in exactly as if they had been fetched.

    Exit code: 0 all stored, 3 something quarantined or rejected, 2 wrong use, 1 failure.
    """
    home, found = open_home(DATASETS), _find(dataset)
    asked = _day(found, day).key if day else None
    with _progress(len(files), f"loading {dataset}") as step:
        done = ingest.load(
            home,
            found,
            files,
            day=asked,
            finality=finality,
            fetched_at=_instant(fetched_at, "--fetched-at"),
            progress=step,
        )
    _report_load(found, done, as_json=as_json)
    sys.exit(BROKEN if done.quarantined or done.rejected else 0)


def _instant(text: str | None, option: str) -> dt.datetime | None:
    if text is None:
        return None
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{option} {text!r} is not an instant; for instance 2026-07-27T21:30:00Z"
        raise click.UsageError(msg) from error
    if instant.tzinfo is None:
        msg = f"{option} {text!r} needs an offset; for instance {text}Z"
        raise click.UsageError(msg)
    return instant.astimezone(dt.UTC)


def _report_load(dataset: Dataset, done: ingest.Loaded, *, as_json: bool) -> None:
    files = [
        {
            "file": str(path),
            "outcome": a.outcome,
            "day": a.day or None,
            "records": a.records,
            "object": a.path,
            "reason": a.reason or None,
        }
        for path, a in done.files
    ]
    summary = {
        "dataset": dataset.key,
        "archived": done.count("stored"),
        "duplicates": done.count("duplicate"),
        "stored": done.rows,
        "unchanged": done.unchanged,
        "quarantined": done.quarantined,
        "rejected": len(done.rejected),
    }
    if as_json:
        checks = [
            {"day": day, **_verdict(v)} for day, verdicts in done.verdicts.items() for v in verdicts
        ]
        reasons = {"rejected_because": done.rejected}
        _echo_json({**summary, **reasons, "files": files, "checks": checks})
        return
    _print(files)
    _print([summary])
    for day, verdicts in done.verdicts.items():
        for verdict in verdicts:
            if not verdict.passed:
                click.echo(f"{verdict.severity} {verdict.check} {day}: {verdict.reason}")
    for reason in done.rejected:
        click.echo(f"REJECTED {reason}")


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "check": verdict.check,
        "passed": verdict.passed,
        "severity": verdict.severity,
        "count": verdict.count,
        "reason": verdict.reason,
    }


@main.command("as-of")
@click.option("--dataset", type=_dataset, required=True, help="The dataset.")
@click.option(
    "--at", metavar="ISO8601", required=True, help="The instant, for instance 2026-07-27T21:30:00Z."
)
@click.option("--day", metavar="YYYY-MM-DD", help="One operating day (default: all).")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write all rows to this file: .csv or .parquet.",
)
@_json
def as_of(dataset: str, at: str, day: str | None, output: Path | None, as_json: bool) -> None:
    """Show a table as it was known at an instant: what was corrected since is undone."""
    instant = _instant(at, "--at")
    if output and output.suffix not in {".csv", ".parquet"}:
        msg = f"--output {output}: the name should end in .csv or .parquet"
        raise click.UsageError(msg)
    rows = OpenLake().as_of(dataset, cast("dt.datetime", instant))
    if day:
        rows = rows.filter(pl.col("operating_day") == _day(_find(dataset), day).date)
    found = rows.collect()
    if output:
        write = found.write_csv if output.suffix == ".csv" else found.write_parquet
        write(output)
    if as_json:
        data = [] if output else found.to_dicts()
        _echo_json({"dataset": dataset, "at": instant, "rows": len(found), "data": data})
        return
    if not output:
        _print(found.head(_SHOWN).drop("record_hash", "raw_sha256", "source_timezone").to_dicts())
    where = f" in {output}" if output else ""
    cut = f", of which {_SHOWN} are shown" if len(found) > _SHOWN and not output else ""
    click.echo(f"{len(found):,} rows of {dataset} as known at {instant}{where}{cut}", err=True)


@main.command()
@click.argument("dataset", type=_dataset)
@_with_days
@click.option("--all", "all_days", is_flag=True, help="Every archived day.")
@click.option("--force", is_flag=True, help="Let rows go whose bytes the archive has lost.")
@_json
def replay(
    dataset: str,
    day: str | None,
    start: str | None,
    end: str | None,
    all_days: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Rebuild table days of DATASET from the archive alone."""
    home, found = open_home(DATASETS), _find(dataset)
    rows, failed = [], []
    if all_days and (day or start or end):
        msg = "--all does not go with --day, --start-date and --end-date"
        raise click.UsageError(msg)
    days = ingest.held_days(home, found) if all_days else _range(found, home, day, start, end)
    with _progress(len(days), f"replaying {dataset}") as step:
        for one in days:
            try:
                done = ingest.replay(home, found, one, force=force)
            except AurumError as error:
                failed.append(f"{one}: {error}")
                continue
            merged = done.merged
            rows.append(
                {
                    "dataset": dataset,
                    "day": one.key,
                    "snapshots": done.snapshots,
                    "rows": len(done.rows),
                    "new": merged.new,
                    "changed": merged.changed,
                    "removed": merged.removed,
                    "quarantined": done.quarantined,
                    "rejected": len(done.rejected),
                }
            )
            step(f"{dataset} {one}")
    _echo_json({"replayed": rows, "failed": failed}) if as_json else _print(rows)
    for reason in failed:
        click.echo(f"FAILED {reason}", err=True)
    sys.exit(1 if failed else 0)


@main.command()
@click.option("--dataset", type=_dataset, help="Only this dataset (default: all).")
@click.option("--day", metavar="YYYY-MM-DD", help="Only this operating day (default: all).")
@click.option("--dry-run", is_flag=True, help="Say what would enter; write nothing.")
@_json
def requeue(dataset: str | None, day: str | None, dry_run: bool, as_json: bool) -> None:
    """Read again what was quarantined or rejected, after a parser or a rule was corrected.

    Exit code: 0 nothing is left, 3 something still fails, 2 wrong use, 1 failure.
    """
    home, found = open_home(DATASETS), [_find(dataset)] if dataset else list(DATASETS)
    done: list[ingest.Requeued] = []
    with _progress(None, "reading again") as step:
        for one in found:
            asked = _day(one, day) if day else None
            done += ingest.requeue(home, one, day=asked, dry_run=dry_run, progress=step)
    if as_json:
        _echo_json({"requeued": [r.as_dict() for r in done], "dry_run": dry_run})
    else:
        _print([{k: v for k, v in r.as_dict().items() if k not in _SENTENCES} for r in done])
        for entry in done:
            for reason in entry.reasons:
                click.echo(f"STILL OUT {entry.dataset} {entry.day}: {reason}")
    for entry in done:
        if entry.failed:
            click.echo(f"FAILED {entry.dataset} {entry.day}: {entry.failed}", err=True)
    if any(entry.failed for entry in done):
        sys.exit(1)
    sys.exit(BROKEN if any(entry.left for entry in done) else 0)


_SENTENCES = ("reasons", "failed")


@main.command()
@click.argument("dataset", type=_dataset, required=False)
@_with_days
@_json
def verify(
    dataset: str | None,
    day: str | None,
    start: str | None,
    end: str | None,
    as_json: bool,
) -> None:
    """Check that every object still holds its bytes, and every row its object (default: all)."""
    home = open_home(DATASETS)
    found = []
    for one in [_find(dataset)] if dataset else DATASETS:
        asked = day or start or end
        days = _range(one, home, day, start, end) if asked else ingest.held_days(home, one)
        with _progress(len(days), f"verifying {one.key}") as step:
            for each in days:
                found.append(ingest.verify(home, one, each))
                step(f"{one.key} {each}")
    rows = [
        {
            "dataset": v.dataset,
            "day": v.day,
            "objects": v.objects,
            "rows": v.rows,
            "problems": "; ".join(v.problems) or None,
        }
        for v in found
    ]
    _echo_json({"verified": rows}) if as_json else _print(rows)
    sys.exit(1 if any(v.problems for v in found) else 0)


@main.command()
@_json
def status(as_json: bool) -> None:
    """What is held of each dataset: objects, rows, days, what was kept out."""
    rows = [s.as_dict() for s in ingest.status(open_home(DATASETS), DATASETS)]
    if as_json:
        _echo_json({"datasets": rows})
        return
    _print(
        [
            {
                **r,
                "bytes": _size(r["bytes"]),
                "first_interval": _minute(r["first_interval"]),
                "last_interval": _minute(r["last_interval"]),
                "last_commit": _minute(r["last_commit"]),
            }
            for r in rows
        ]
    )


@main.command()
@_json
def demo(as_json: bool) -> None:
    """One full day and six live ticks of every dataset, simulated, through Dagster."""
    from aurum_assets.demo import run_demo

    started = time.monotonic()
    found = run_demo(open_home(DATASETS), lambda text: click.echo(f"… {text}", err=True))
    lines = [asdict(line) for line in found.lines.values()]
    for line in lines:
        line["seconds"] = round(line["seconds"], 2)
    if as_json:
        _echo_json({"demo": lines, "failures": found.failures})
    else:
        _print(lines)
        added = sum(line["rows_added"] for line in lines)
        seconds = time.monotonic() - started
        said = f"{added:,} rows were added" if added else "No row was added: all of it was there"
        click.echo(f"{said}, in {seconds:.0f} s. See `aurum status`, or `make dev` for the UI.")
    for failure in found.failures:
        click.echo(f"FAILED {failure}", err=True)
    sys.exit(1 if found.failures else 0)


@main.command()
@click.option("--port", default=8321, show_default=True, help="0: any that is free.")
@click.option("--at", metavar="ISO8601", help="Freeze its clock here (default: it runs).")
@click.option("--seed", default=0, show_default=True, help="Decides every number.")
@click.option("--limit-scale", default=1.0, show_default=True, help="Times the operators' limits.")
@click.option(
    "--miso-dialect",
    type=click.Choice(["both", "live", "documented"]),
    default="both",
    show_default=True,
    help="What the simulated MISO speaks.",
)
def simulate(port: int, at: str | None, seed: int, limit_scale: float, miso_dialect: str) -> None:
    """Run a simulated market operator on 127.0.0.1 until interrupted.

    Point ISONE_BASE_URL and MISO_BASE_URL at the addresses that it prints; user demo, password
    demo-password, or key demo-key.
    """
    from aurum_assets.simulator.ledger import scaled
    from aurum_assets.simulator.server import Simulator, wall_clock

    frozen = _instant(at, "--at")
    simulator = Simulator(
        now=(lambda: frozen) if frozen else wall_clock,
        seed=seed,
        limits=scaled(limit_scale),
        miso_dialect=cast("Literal['both', 'live', 'documented']", miso_dialect),
    )
    try:
        with simulator.serve(port) as running:
            click.echo(f"ISONE_BASE_URL={running.isone_url}")
            click.echo(f"MISO_BASE_URL={running.miso_url}")
            click.echo("Interrupt to stop.", err=True)
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    except OSError as error:
        msg = f"port {port} cannot be had ({error.strerror}); choose another with --port"
        raise click.ClickException(msg) from error


def _minute(text: str | None) -> str | None:
    return text[:16].replace("T", " ") + "Z" if text else None


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004  a step of the unit
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


# --- reference -----------------------------------------------------------------------------------


@main.group()
def reference() -> None:
    """What things are called: locations (iso_nodes) and generators, under all their names."""


@reference.command("observe")
@click.option("--day", metavar="YYYY-MM-DD", help="The operating day (default: today).")
@_json
def reference_observe(day: str | None, as_json: bool) -> None:
    """Add what the tables name on a day to what is known, as the reference assets do."""
    home = open_home(DATASETS)
    (when,) = _range(_find("isone_locations"), home, day, None, None)
    done = [observe(home, one, when.date) for one in REFERENCES]
    rows = [
        {
            "reference": d.reference.key,
            "day": when.key,
            "seen": d.seen,
            "new": d.merged.new,
            "rows": len(d.known.rows),
            "file_rows_added": d.filed.added,
            "file_cells_completed": d.filed.completed,
        }
        for d in done
    ]
    failed = [{"reference": d.reference.key, **_verdict(v)} for d in done for v in d.verdicts]
    if as_json:
        _echo_json({"observed": rows, "checks": failed})
        return
    _print(rows)
    for check in failed:
        if not check["passed"]:
            click.echo(
                f"{check['severity']} {check['reference']} {check['check']}: {check['reason']}"
            )


@reference.command("show")
@click.argument("name", type=click.Choice([r.key for r in REFERENCES]))
@_json
def reference_show(name: str, as_json: bool) -> None:
    """The rows of reference table NAME."""
    found = next(r for r in REFERENCES if r.key == name)
    rows = crosswalk(open_home(DATASETS), found).drop("record_hash").to_dicts()
    _echo_json({name: rows}) if as_json else _print(rows)


@reference.command("export")
@_json
def reference_export(as_json: bool) -> None:
    """Complete the CSVs of the config folder by those of this home, for review and commit.

    Only from a home that holds an operator's data; rows and cells are added, none is changed.
    """
    done = export(open_home(DATASETS))
    rows = [{"file": str(f.path), "added": f.added, "completed": f.completed} for f in done]
    _echo_json({"exported": rows}) if as_json else _print(rows)
