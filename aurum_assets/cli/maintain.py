"""``aurum maintain``: run the nightly maintenance now."""

import os
import sys
from pathlib import Path

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import KNOWN, dataset_name, find, json_option
from aurum_assets.cli.output import print_json, print_rows, progress, say, size
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.settings import open_resources


@click.command(epilog=KNOWN)
@click.option(
    "--dataset",
    "keys",
    type=dataset_name,
    multiple=True,
    help="Only the tables of this dataset (repeatable).",
)
@click.option("--dry-run", is_flag=True, help="Report what would be done; write nothing.")
@json_option
def maintain(keys: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Keep lake, Dagster's storage and local files small.

    Closed days (two days after their end) become one file each, manifests are merged, old snapshots
    expire, and unreferenced files older than a day are deleted. Then drafts of killed writes,
    Dagster's runs older than AURUM_KEEP_RUNS_DAYS days (the last one of each partition stays),
    expired rows and free pages of SQLite files.

    The archive is never touched, and no row of a table is lost. It may run beside everything else,
    and be interrupted: the next pass continues. Where schedules run, the job `maintenance` does the
    same every night.

    For each part that changes it prints the days and files rewritten, the manifests before and
    after, the snapshots, runs or rows expired, the files deleted and the bytes freed; with --json,
    for every part.

    Exit code: 0 all is done, 1 a part failed (the others are done), 2 wrong use.
    """
    resources = open_resources(DATASETS, needs="home")
    others = [] if keys else list(_dagster(resources, dry_run=dry_run))
    parts = ingest.parts_of(resources, [find(key) for key in keys], dry_run=dry_run, others=others)
    found = []
    with progress(len(parts), "maintaining", "parts done", "the next pass goes on") as step:
        for done in ingest.maintain(resources, parts, lambda text: step(text, 0)):
            found.append(done)
            step(done.part)
    failed = [f"{done.part}: {done.failed}" for done in found if done.failed]
    if not (keys or dry_run or failed):
        ingest.remember(resources)
    _print_json(found, dry_run=dry_run) if as_json else report(found, dry_run=dry_run)
    for sentence in failed:
        say(f"FAILED {sentence}", err=True)
    sys.exit(1 if failed else 0)


def report(found: list[ingest.Upkeep], *, dry_run: bool) -> None:
    """Print what was done, or would be, for each part that changes."""
    changed = [done for done in found if done.changed]
    print_rows(
        [
            {
                "part": done.part,
                "days": done.days,
                "files": done.rewritten,
                "manifests": _manifests(done),
                "expired": done.expired,
                "deleted": done.deleted,
                "freed": size(done.freed),
            }
            for done in changed
        ],
        spare=("expired", "deleted"),
    )
    for done in changed:
        if done.note:
            say(f"{done.part}: {done.note}", err=True)
    freed = size(sum(done.freed for done in found))
    what = f"{len(changed)} of {len(found)} parts"
    text = (
        f"would change and {freed} would be freed; nothing was written"
        if dry_run
        else f"changed, {freed} freed"
    )
    say(f"{what} {text}.", err=True)


def _manifests(done: ingest.Upkeep) -> str | None:
    if done.manifests_before == done.manifests_after:
        return None
    return f"{done.manifests_before:,} to {done.manifests_after:,}"


def _print_json(found: list[ingest.Upkeep], *, dry_run: bool) -> None:
    numbers = ("days", "rewritten", "expired", "deleted", "freed")
    totals = {name: sum(getattr(done, name) for done in found) for name in numbers}
    print_json({"dry_run": dry_run, "parts": [done.as_dict() for done in found], "total": totals})


def _dagster(resources: Resources, *, dry_run: bool) -> "list[ingest.Part]":
    """Dagster's storage, where this home has one: its library takes seconds to import."""
    folder = Path(os.environ.get("DAGSTER_HOME") or resources.root / "dagster").resolve()
    if not (folder / "dagster.yaml").exists():
        return []

    def look(progress: ingest.Progress) -> ingest.Upkeep:
        progress("Dagster: opening its storage")
        from aurum_assets.graph.maintenance import purged_at

        return purged_at(folder, resources, progress, dry_run=dry_run)

    return [("dagster", look)]
