"""``aurum reference``: observe, show and export names of locations and generators."""

import click

from aurum_assets.cli.arguments import DAY, Days, json_option
from aurum_assets.cli.output import print_json, print_rows, say, verdict_row
from aurum_assets.cli.tables import print_frame
from aurum_assets.ingest.reference import (
    EVERY,
    LISTS,
    REFERENCES,
    crosswalk,
    export,
    observe,
    publish_list,
)
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import open_resources


@click.group()
def reference() -> None:
    """What locations and generators are called.

    iso_nodes and generators, under all their names; interfaces and fuels, as people listed them.
    """


@reference.command("observe")
@click.option("--day", metavar=DAY, help="The operating day, or today, yesterday (default: today).")
@json_option
def reference_observe(day: str | None, as_json: bool) -> None:
    """Add what the tables name on a day to what is known, as the reference assets do.

    interfaces and fuels become what their files in the config folder have; what the tables name and
    these lack is reported.
    """
    resources = open_resources(DATASETS, needs="lake")
    calendar = next(d for d in DATASETS if d.key in REFERENCES[0].lists.values())
    (when,) = Days(day, None, None).of(calendar, resources)
    done = [observe(resources, one, when.date) for one in REFERENCES]
    lists = [publish_list(resources, one, when.date) for one in LISTS]
    rows = [
        {
            "reference": d.reference.key,
            "day": when.key,
            "seen": d.seen,
            "new": d.merged.new,
            "rows": len(d.known.rows),
            "file_rows_added": d.completion.added,
            "file_cells_completed": d.completion.completed,
        }
        for d in done
    ]
    rows += [
        dict.fromkeys(rows[0])
        | {"reference": p.listed.key, "day": when.key, "seen": p.seen, "rows": p.rows}
        for p in lists
    ]
    judged = [(d.reference.key, d.verdicts) for d in done]
    judged += [(p.listed.key, p.verdicts) for p in lists]
    failed = [{"reference": key, **verdict_row(v)} for key, found in judged for v in found]
    if as_json:
        print_json({"observed": rows, "checks": failed})
        return
    print_rows(
        rows,
        shown={
            "reference": "reference",
            "day": "day",
            "seen": "seen",
            "new": "new",
            "rows": "rows",
            "file rows added": "file_rows_added",
            "file cells completed": "file_cells_completed",
        },
    )
    for check in failed:
        if not check["passed"]:
            say(f"{check['severity']} {check['reference']} {check['check']}: {check['reason']}")


@reference.command("show")
@click.argument("name", type=click.Choice([r.key for r in EVERY]))
@json_option
def reference_show(name: str, as_json: bool) -> None:
    """The rows of reference table NAME: the first on a terminal, all where they are piped."""
    found = next(r for r in EVERY if r.key == name)
    rows = crosswalk(open_resources(DATASETS, needs="lake"), found)
    if as_json:
        print_json({name: rows.to_dicts()})
        return
    nothing = f"{name} holds nothing yet: `aurum reference observe` adds what the tables name."
    print_frame(rows, of=f" of {name}", nothing=nothing)


@reference.command("export")
@json_option
def reference_export(as_json: bool) -> None:
    """Complete the CSVs of the config folder by those of this home, for review and commit.

    Only from a home that holds an operator's data; rows and cells are added, none is changed.
    """
    done = export(open_resources(DATASETS, needs="home"))
    rows = [{"file": str(f.path), "added": f.added, "completed": f.completed} for f in done]
    if as_json:
        print_json({"exported": rows})
        return
    print_rows(rows, wrapped=("file",))
