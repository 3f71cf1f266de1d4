"""``aurum relocate``: make a copied or moved home work where it is now."""

from dataclasses import asdict

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import json_option
from aurum_assets.cli.output import GOES_ON, print_json, print_rows, progress, say
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import open_resources


@click.command()
@click.option("--dry-run", is_flag=True, help="Check that all files are here; write nothing.")
@json_option
def relocate(dry_run: bool, as_json: bool) -> None:
    """Make a copied or moved home work where it is now.

    Tables name their files by absolute path, so a home that was copied or moved is refused until
    its tables name the files in the new place, which this does. History stays. The original of a
    copy is neither read nor written. It may be interrupted; run it again then.

    The same for a warehouse on S3: copy its objects to the other bucket or prefix, set
    AURUM_CATALOG_WAREHOUSE (and AURUM_ARCHIVE, if the archive moved too), and run this. It changes
    the rows of the Postgres catalog: if the original stays in use, give the copy a copy of the
    database first.

    Exit code: 0 the tables name the files here, 1 a file is missing (nothing was changed) or it
    failed, 2 wrong use.
    """
    resources = open_resources(DATASETS, needs="lake", even_moved=True)
    steps = len(resources.lake.elsewhere()) * (1 if dry_run else 2)
    with progress(steps, "relocating", "steps done", GOES_ON) as step:
        done = ingest.relocate(resources, dry_run=dry_run, step=step)
    tables = [asdict(table) for table in done.tables]
    if as_json:
        print_json({"from": done.there, "to": done.here, "dry_run": dry_run, "relocated": tables})
        return
    print_rows(tables)
    if not tables:
        say("The tables name the files in this place: there is nothing to relocate.", err=True)
        return
    would = "would be" if dry_run else "were"
    text = f"{len(tables)} tables {would} relocated from {done.there} to {done.here}"
    say(f"{text}; nothing was written." if dry_run else f"{text}.", err=True)
