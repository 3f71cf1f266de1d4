"""``aurum load``: take payload files from disk in as if they had been fetched."""

import sys
from pathlib import Path

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import (
    DAY,
    INSTANT,
    INSTANTS,
    KNOWN,
    dataset_name,
    day_of,
    find,
    instant,
    json_option,
)
from aurum_assets.cli.output import (
    BROKEN,
    GOES_ON,
    print_json,
    print_rows,
    progress,
    say,
    verdict_row,
)
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import open_resources


@click.command(epilog=KNOWN)
@click.option("--dataset", type=dataset_name, required=True, help="The dataset of the files.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--day", metavar=DAY, help="Operating day, where the content has none.")
@click.option(
    "--finality",
    type=click.Choice(["prelim", "final"]),
    help="Where the content has none (default: prelim for real-time, else final).",
)
@click.option(
    "--fetched-at",
    metavar=INSTANT,
    help=f"When the bytes were fetched, {INSTANTS} (default: the file's modification time).",
)
@json_option
def load(
    dataset: str,
    files: tuple[Path, ...],
    day: str | None,
    finality: str | None,
    fetched_at: str | None,
    as_json: bool,
) -> None:
    """Take payload FILES in as if they had been fetched.

    JSON or XML, plain or gzipped.

    Exit code: 0 all stored, 3 something quarantined or rejected, 2 wrong use, 1 failure.
    """
    home, found = open_resources(DATASETS), find(dataset)
    asked = day_of(home, found, day).key if day else None
    with progress(len(files), f"loading {dataset}", "files archived", GOES_ON) as step:
        done = ingest.load(
            home,
            found,
            files,
            day=asked,
            finality=finality,
            fetched_at=instant(fetched_at, "--fetched-at", home.now()) if fetched_at else None,
            progress=step,
        )
    _report_load(found, done, as_json=as_json)
    for key, reason in done.failed.items():
        say(f"FAILED {key}: archived, but not in the table: {reason}", err=True)
    if done.failed:
        sys.exit(1)
    sys.exit(BROKEN if done.quarantined or done.rejected else 0)


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
            {"day": day, **verdict_row(v)}
            for day, verdicts in done.verdicts.items()
            for v in verdicts
        ]
        reasons = {"rejected_because": done.rejected, "failed_because": done.failed}
        print_json({**summary, **reasons, "files": files, "checks": checks})
        return
    shown = {n: n for n in ("file", "outcome", "day", "records", "object")}
    if any(file["reason"] for file in files):
        shown["reason"] = "reason"
    print_rows(files, wrapped=("reason",), shown=shown, spare=("object",))
    print_rows([summary])
    for day, verdicts in done.verdicts.items():
        for verdict in verdicts:
            if not verdict.passed:
                say(f"{verdict.severity} {verdict.check} {day}: {verdict.reason}")
    for reason in done.rejected:
        say(f"REJECTED {reason}")
