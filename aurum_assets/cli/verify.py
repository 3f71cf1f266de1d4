"""``aurum verify``: whether archive and tables agree, and which command repairs what does not."""

import sys
from dataclasses import asdict

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import KNOWN, Days, dataset_name, find, json_option, with_days
from aurum_assets.cli.output import Row, on_terminal, print_json, print_rows, progress, say
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import LakeDamaged
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.settings import open_resources

_COUNTS = ("dataset", "day", "objects", "rows", "missing", "extra", "changed", "pending")


@click.command(epilog=KNOWN)
@click.argument("dataset", type=dataset_name, required=False)
@click.option("--dataset", "option", type=dataset_name, help="As DATASET.")
@with_days("default: every day that is held")
@click.option(
    "--quick",
    is_flag=True,
    help="Compare counts alone (ledger, manifests, the archive's listing): objects and rows are "
    "read only for days on which these disagree. Without it every object is read and parsed.",
)
@json_option
def verify(dataset: str | None, option: str | None, days: Days, quick: bool, as_json: bool) -> None:
    """Compare the tables with what the archive gives, day by day. Repairs nothing.

    Of one DATASET, or of all. Each object must hold its bytes and its envelope, and each table its
    rows: those that are missing, extra or changed are a problem, printed with the command that
    repairs it. Days that are archived and not merged yet are pending, which is no problem.

    Exit code: 0 all agrees, 1 a problem, 2 wrong use.
    """
    if dataset and option:
        msg = "name the dataset once"
        raise click.UsageError(msg)
    home, name = open_resources(DATASETS, needs="lake"), dataset or option
    found = []
    for one in [find(name)] if name else DATASETS:
        asked = _asked(home, one, days)
        with progress(
            len(asked or ()), f"verifying {one.key}", f"days of {one.key} verified"
        ) as step:
            everything = None if asked is None or not days.given else asked
            for each in ingest.verify_days(home, one, everything, quick=quick):
                found.append(each)
                step(f"{one.key} {each.day}")
    _report(found, as_json=as_json)
    sys.exit(1 if any(v.problems for v in found) else 0)


def _asked(resources: Resources, dataset: Dataset, days: Days) -> list[OperatingDay] | None:
    """The days asked for; None where the tables are damaged."""
    try:
        return (
            days.of(dataset, resources)
            if days.given
            else ingest.verifiable_days(resources, dataset)
        )
    except LakeDamaged:
        return None


def _report(found: list[ingest.Verified], *, as_json: bool) -> None:
    if as_json:
        lists = ("problems", "notes")
        rows = [asdict(v) | {n: "; ".join(getattr(v, n)) or None for n in lists} for v in found]
        print_json({"verified": rows})
        return
    print_rows(
        [_row(v) for v in found],
        shown={name: name for name in _COUNTS},
        spare=("objects", "pending"),
        nothing="Nothing is archived or stored yet, so there is nothing to compare.",
    )
    if on_terminal():
        for one in found:
            for problem in one.problems:
                say(f"PROBLEM {one.dataset} {one.day}: {problem}")
            for note in one.notes:
                say(f"NOTE {one.dataset} {one.day}: {note}")
    if found and not any(v.problems for v in found):
        days = "1 day" if len(found) == 1 else f"{len(found)} days"
        say(f"{days} compared: the tables hold what the archive gives.", err=True)
    unsealed = sum(v.unsealed for v in found)
    if unsealed:
        text = "objects were archived before envelopes were sealed: an edit of these is not seen"
        say(f"UNSEALED {unsealed} {text}", err=True)


def _row(found: ingest.Verified) -> Row:
    row: Row = {name: getattr(found, name) for name in _COUNTS}
    row["problems"] = "; ".join(found.problems) or None
    row["notes"] = "; ".join(found.notes) or None
    return row
