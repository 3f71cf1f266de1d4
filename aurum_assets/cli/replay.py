"""``aurum replay``, ``requeue``: rebuild from the archive, and read rejected data again.

Nothing here asks an operator.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import (
    DAY,
    KNOWN,
    Days,
    dataset_name,
    day_of,
    find,
    json_option,
    with_days,
)
from aurum_assets.cli.output import BROKEN, GOES_ON, Row, print_json, print_rows, progress, say
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.settings import open_resources

_SENTENCES = ("reasons", "failed")
_AS_IT_WAS = "the lake is unchanged; the same command begins anew"
_HALF = "the tables are incomplete: run the same command again"


@click.command(epilog=KNOWN)
@click.argument("dataset", type=dataset_name, required=False)
@with_days("default: today at the operator")
@click.option("--all", "all_days", is_flag=True, help="Every archived day.")
@click.option("--force", is_flag=True, help="Drop rows whose bytes the archive has lost.")
@click.option("--publish", is_flag=True, help="Send all rows of these days to Kafka (again).")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that read and fold days (default: one a core, where that pays).",
)
@click.option(
    "--chunk",
    type=click.IntRange(1),
    metavar="DAYS",
    help="Days that are committed together (default: those of a calendar month).",
)
@click.option("--dry-run", is_flag=True, help="Report what would change; write nothing.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="With --all: make the tables anew from the archive alone, whatever state the lake is in, "
    "and verify them. A lake in AURUM_HOME is moved aside, nothing is deleted; end other writers "
    "first.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="With --rebuild and a configured catalog (Postgres, REST, Glue): drop our tables from it. "
    "Their files stay where they are, and nothing deletes them.",
)
@json_option
def replay(
    dataset: str | None,
    days: Days,
    all_days: bool,
    publish: bool,
    rebuild: bool,
    yes: bool,
    as_json: bool,
    **how: Any,  # noqa: ANN401  force, workers, chunk, dry_run: as replay_days takes them
) -> None:
    """Rebuild table days from the archive alone.

    Of one DATASET, or with --all of every one. Takes as long as parsing all of these days on all
    cores; with --rebuild twice that, since each day is verified. A replay that was cut short goes
    on where it was: run the same command again.
    """
    found = [find(dataset)] if dataset else list(DATASETS)
    # In a moved home only the whole lake can be rebuilt.
    resources = open_resources(DATASETS, needs="archive", even_moved=rebuild and not dataset)
    if all_days and days.given:
        msg = "--all does not go with --day, --start-date and --end-date"
        raise click.UsageError(msg)
    if not dataset and not all_days:
        msg = "name a DATASET, or replay every one with --all"
        raise click.UsageError(msg)
    publishing: ingest.Publish = "everything" if publish else "nothing"
    if rebuild:
        if how["dry_run"]:
            msg = "--dry-run does not go with --rebuild"
            raise click.UsageError(msg)
        _require_rebuild(resources, all_days=all_days, yes=yes)
        _rebuild(resources, found, publishing, as_json=as_json)
    asked = [
        (one, day)
        for one in found
        for day in (ingest.held_days(resources, one) if all_days else days.of(one, resources))
    ]
    _replay(resources, asked, dataset, {"publish": publishing, **how}, as_json=as_json)


def _replay(
    resources: Resources,
    asked: Sequence[tuple[Dataset, OperatingDay]],
    only: str | None,
    how: Mapping[str, Any],
    *,
    as_json: bool,
) -> NoReturn:
    """Replay the days, report, and end with exit code 0 or 1."""
    rows: list[Row] = []
    failed: list[str] = []
    finished = 0
    with progress(
        len(asked),
        f"replaying {only or 'all datasets'}",
        "days replayed",
        "the others are unchanged",
    ) as step:
        for one in ingest.replay_days(
            resources, asked, **how, tell=lambda text: step(text, advance=0)
        ):
            if one.error is not None:
                failed.append(f"{one.day if only else f'{one.dataset.key} {one.day}'}: {one.error}")
                continue
            step(f"{one.dataset.key} {one.day}")
            if one.done is None:
                finished += 1
            else:
                rows.append(_replayed(one.done))
    if as_json:
        more = {"finished": finished, "dry_run": how["dry_run"]}
        print_json({"replayed": rows, "failed": failed, **more})
    else:
        _print(rows, failed)
        if finished:
            say(f"{finished} days were finished by the replay that was cut short")
    for reason in failed:
        say(f"FAILED {reason}", err=True)
    sys.exit(1 if failed else 0)


def _print(rows: list[Row], failed: list[str]) -> None:
    print_rows(
        rows,
        shown={n: n for n in ("dataset", "day", "snapshots", "rows", "new", "changed", "removed")}
        | {"kept out": lambda row: row["quarantined"] + row["rejected"]},
        spare=("snapshots", "new"),
        nothing="" if failed else "Nothing is archived yet, so nothing was replayed.",
    )


def _replayed(done: ingest.Normalized) -> Row:
    merged = done.merged
    return {
        "dataset": done.dataset.key,
        "day": done.day.key,
        "snapshots": done.snapshots,
        "rows": merged.held,
        "new": merged.new,
        "changed": merged.changed,
        "removed": merged.removed,
        "quarantined": done.quarantined,
        "rejected": len(done.rejected),
    }


def _require_rebuild(resources: Resources, *, all_days: bool, yes: bool) -> None:
    if not all_days:
        msg = "--rebuild makes whole tables anew: add --all"
        raise click.UsageError(msg)
    if resources.lake.configured and not yes:
        msg = (
            "--rebuild drops our tables from the configured catalog, which others may use: "
            "add --yes if that is intended"
        )
        raise click.UsageError(msg)


def _rebuild(
    resources: Resources, found: list[Dataset], publishing: ingest.Publish, *, as_json: bool
) -> NoReturn:
    """Rebuild the tables, report, and end with exit code 0 or 1."""
    asked = ingest.archived_days(resources, found)
    half = resources.lake.configured or len(found) < len(DATASETS)
    after = _HALF if half else _AS_IT_WAS
    with progress(2 * len(asked), "rebuilding", "steps done", after) as step:
        done = ingest.remake(resources, found, asked, publish=publishing, step=step)
    problems = [f"{v.dataset} {v.day}: {p}" for v in done.verified for p in v.problems]
    summary: Row = {
        "days": len(asked),
        "rows": done.rows,
        "failed": len(done.failed),
        "verified": sum(not v.problems for v in done.verified),
    }
    if as_json:
        more = {"kept": done.kept, "failed": done.failed, "problems": problems}
        print_json({"rebuilt": summary, **more})
    else:
        print_rows([summary])
        for sentence in done.kept:
            say(f"KEPT {sentence}")
    for reason in [*done.failed, *problems]:
        say(f"FAILED {reason}", err=True)
    sys.exit(0 if done.well else 1)


@click.command(epilog=KNOWN)
@click.option("--dataset", type=dataset_name, help="Only this dataset (default: all).")
@click.option("--day", metavar=DAY, help="Only this operating day (default: all).")
@click.option("--dry-run", is_flag=True, help="Report what would enter; write nothing.")
@json_option
def requeue(dataset: str | None, day: str | None, dry_run: bool, as_json: bool) -> None:
    """Read again what was quarantined or rejected.

    After a parser or a rule was corrected.

    Exit code: 0 nothing is left, 3 something still fails, 2 wrong use, 1 failure.
    """
    resources = open_resources(DATASETS, needs="archive")
    found = [find(dataset)] if dataset else list(DATASETS)
    done: list[ingest.Requeued] = []
    with progress(None, "reading again", "days read again", GOES_ON) as step:
        for one in found:
            asked = day_of(resources, one, day) if day else None
            done += ingest.requeue(resources, one, day=asked, dry_run=dry_run, progress=step)
    if as_json:
        print_json({"requeued": [r.as_dict() for r in done], "dry_run": dry_run})
    else:
        print_rows(
            [{k: v for k, v in r.as_dict().items() if k not in _SENTENCES} for r in done],
            shown={
                "dataset": "dataset",
                "day": lambda row: row["day"] or None,
                "quarantined": lambda row: _change(row, "quarantined"),
                "rejected": lambda row: _change(row, "rejected"),
                "entered": "entered",
                "rows": "rows",
            },
            nothing="Nothing is quarantined or rejected, so nothing was read again.",
        )
        for entry in done:
            for reason in entry.reasons:
                say(f"STILL OUT {_day(entry)}: {reason}")
    for entry in done:
        if entry.failed:
            say(f"FAILED {_day(entry)}: {entry.failed}", err=True)
    if any(entry.failed for entry in done):
        sys.exit(1)
    sys.exit(BROKEN if any(entry.left for entry in done) else 0)


def _day(entry: ingest.Requeued) -> str:
    return f"{entry.dataset} {entry.day}".strip()


def _change(row: Row, name: str) -> str:
    before, after = row[f"{name}_before"], row[f"{name}_after"]
    return f"{before:,}" if before == after else f"{before:,} to {after:,}"
