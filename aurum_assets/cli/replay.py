"""``aurum replay``, ``requeue``, ``verify``: what the archive is asked for again.

Nothing here asks an operator.
"""

import sys

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import Days, dataset_name, day_of, find, json_option, with_days
from aurum_assets.cli.output import BROKEN, print_json, print_rows, progress, say
from aurum_assets.markets import DATASETS
from aurum_assets.model.errors import AurumError
from aurum_assets.resources.settings import open_home

_SENTENCES = ("reasons", "failed")


@click.command()
@click.argument("dataset", type=dataset_name)
@with_days
@click.option("--all", "all_days", is_flag=True, help="Every archived day.")
@click.option("--force", is_flag=True, help="Let rows go whose bytes the archive has lost.")
@click.option("--publish", is_flag=True, help="Tell Kafka all rows of these days (again).")
@json_option
def replay(
    dataset: str,
    days: Days,
    all_days: bool,
    force: bool,
    publish: bool,
    as_json: bool,
) -> None:
    """Rebuild table days from the archive alone."""
    home, found = open_home(DATASETS), find(dataset)
    rows, failed = [], []
    if all_days and days.said:
        msg = "--all does not go with --day, --start-date and --end-date"
        raise click.UsageError(msg)
    asked = ingest.held_days(home, found) if all_days else days.of(found, home)
    with progress(len(asked), f"replaying {dataset}") as step:
        for one in asked:
            try:
                told: ingest.Publish = "everything" if publish else "nothing"
                done = ingest.replay(home, found, one, force=force, publish=told)
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
    print_json({"replayed": rows, "failed": failed}) if as_json else print_rows(rows)
    for reason in failed:
        say(f"FAILED {reason}", err=True)
    sys.exit(1 if failed else 0)


@click.command()
@click.option("--dataset", type=dataset_name, help="Only this dataset (default: all).")
@click.option("--day", metavar="YYYY-MM-DD", help="Only this operating day (default: all).")
@click.option("--dry-run", is_flag=True, help="Say what would enter; write nothing.")
@json_option
def requeue(dataset: str | None, day: str | None, dry_run: bool, as_json: bool) -> None:
    """Read again what was quarantined or rejected.

    After a parser or a rule was corrected.

    Exit code: 0 nothing is left, 3 something still fails, 2 wrong use, 1 failure.
    """
    home, found = open_home(DATASETS), [find(dataset)] if dataset else list(DATASETS)
    done: list[ingest.Requeued] = []
    with progress(None, "reading again") as step:
        for one in found:
            asked = day_of(one, day) if day else None
            done += ingest.requeue(home, one, day=asked, dry_run=dry_run, progress=step)
    if as_json:
        print_json({"requeued": [r.as_dict() for r in done], "dry_run": dry_run})
    else:
        print_rows([{k: v for k, v in r.as_dict().items() if k not in _SENTENCES} for r in done])
        for entry in done:
            for reason in entry.reasons:
                say(f"STILL OUT {entry.dataset} {entry.day}: {reason}")
    for entry in done:
        if entry.failed:
            say(f"FAILED {entry.dataset} {entry.day}: {entry.failed}", err=True)
    if any(entry.failed for entry in done):
        sys.exit(1)
    sys.exit(BROKEN if any(entry.left for entry in done) else 0)


@click.command()
@click.argument("dataset", type=dataset_name, required=False)
@with_days
@json_option
def verify(
    dataset: str | None,
    days: Days,
    as_json: bool,
) -> None:
    """Check each object's bytes, and each row's object.

    Default: all that is held.
    """
    home = open_home(DATASETS)
    found = []
    for one in [find(dataset)] if dataset else DATASETS:
        asked = days.of(one, home) if days.said else ingest.held_days(home, one)
        with progress(len(asked), f"verifying {one.key}") as step:
            for each in asked:
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
    print_json({"verified": rows}) if as_json else print_rows(rows)
    sys.exit(1 if any(v.problems for v in found) else 0)
