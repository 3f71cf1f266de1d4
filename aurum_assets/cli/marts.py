"""``aurum marts``: build the marts from the tables. Nothing here asks an operator."""

import datetime as dt
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aurum_assets.cli.arguments import Days, Name, find, json_option, with_days
from aurum_assets.cli.output import (
    BROKEN,
    GOES_ON,
    Row,
    print_json,
    print_rows,
    progress,
    say,
)
from aurum_assets.marts.tables import MARTS
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.settings import open_resources

if TYPE_CHECKING:
    from aurum_assets.marts.build import Built

_NAMES = [table.name for table in MARTS]
_CALENDAR = DATASETS[0].key  # whose operator's clock says which day is today


_mart_name = Name("mart", lambda: _NAMES, "`aurum marts --help` lists them", _NAMES)


@click.command(epilog=f"Marts: {', '.join(_NAMES)}.")
@click.argument("names", metavar="[MART]...", type=_mart_name, nargs=-1)
@with_days("default: today at each operator")
@click.option("--all", "all_days", is_flag=True, help="Every day of which a table has rows.")
@click.option(
    "--changed",
    is_flag=True,
    help="The days whose tables changed since they were built, or whose mart is defined otherwise "
    "by now; of the range, where one is given.",
)
@click.option(
    "--sources",
    is_flag=True,
    help="Build nothing: print the sources.yml of a dbt project of your own, all tables of the "
    "lake with their columns.",
)
@json_option
def marts(
    names: tuple[str, ...],
    days: Days,
    all_days: bool,
    changed: bool,
    sources: bool,
    as_json: bool,
) -> None:
    """Build the marts: what the desk reads, made of the tables by dbt.

    The days of a calendar month are built together. A row whose values did not change stays as it
    is; what is replaced goes to the mart's history. A build that was cut short goes on where it
    was: run the same command again. Exit code 3 where a day was refused or a test failed.
    """
    if sources:
        from aurum_assets.marts.schemas import sources_yml

        click.echo(sources_yml(published=True), nl=False)
        return
    from aurum_assets.marts.resumed import build_resumed

    resources = open_resources(DATASETS, needs="lake")
    if all_days and (days.given or changed):
        msg = "--all does not go with --day, --start-date, --end-date and --changed"
        raise click.UsageError(msg)
    asked = _asked(resources, names, days, all_days=all_days, changed=changed)
    found: list[Built] = []
    building = build_resumed(resources, asked, names)
    with progress(len(building.left), "building the marts", "days built", GOES_ON) as step:
        for built in building.chunks(lambda text: step(text, advance=0)):
            found.append(built)
            step("", advance=len(built.days))
    _report(found, len(building.finished), as_json=as_json)


def _asked(
    resources: Resources, names: Sequence[str], days: Days, *, all_days: bool, changed: bool
) -> list[dt.date]:
    """The days to build, in order."""
    from aurum_assets.marts import changes
    from aurum_assets.marts.project import marts as every
    from aurum_assets.marts.project import with_those_before

    wanted = list(with_those_before(names or every()).values())
    if not days.given and not all_days and not changed:
        return sorted({operator.day_of(resources.now()).date for operator in OPERATORS})
    first, last = dt.date.min, dt.date.max
    if days.given:
        given = [day.date for day in days.of(find(_CALENDAR), resources)]
        first, last = given[0], given[-1]
    if changed:
        return list(changes.changed(resources, wanted, first, last))
    return changes.held_days(resources.lake, wanted, first, last)


def _report(found: "Sequence[Built]", finished: int, *, as_json: bool) -> None:
    """What was built, by mart; ends with exit code 0, 1 or 3."""
    failed = [f"{name}: {error}" for built in found for name, error in built.failed.items()]
    kept = [sentence for built in found for sentence in built.refused_days]
    red = [sentence for built in found for sentence in built.failed_tests]
    if as_json:
        rows = [row for built in found for row in _by_day(built)]
        more = {"finished": finished, "failed": failed, "refused": kept, "tests": red}
        print_json({"built": rows, **more})
    else:
        print_rows(
            _by_mart(found),
            nothing="" if finished or failed or kept else "No table has rows of these days.",
        )
        if finished:
            say(f"{finished} days were finished by the build that was cut short")
    for sentence in failed:
        say(f"FAILED {sentence}", err=True)
    for sentence in kept:
        say(f"REFUSED {sentence}", err=True)
    for sentence in red:
        say(f"TEST {sentence}", err=True)
    sys.exit(1 if failed else BROKEN if kept or red else 0)


def _by_day(built: "Built") -> list[Row]:
    return [
        {
            "mart": name,
            "day": f"{day}",
            "rows": merged.held,
            "new": merged.new,
            "changed": merged.changed,
            "removed": merged.removed,
        }
        for name, by_day in built.done.items()
        for day, merged in sorted(by_day.items())
    ]


def _by_mart(found: "Sequence[Built]") -> list[Row]:
    """A row a mart: what became of all days."""
    rows: dict[str, Row] = {}
    for built in found:
        for row in _by_day(built):
            total = rows.setdefault(
                row["mart"],
                {"mart": row["mart"], "days": 0, "rows": 0, "new": 0, "changed": 0, "removed": 0},
            )
            total["days"] += 1
            for name in ("rows", "new", "changed", "removed"):
                total[name] += row[name]
    for name, total in rows.items():
        total["seconds"] = round(sum(b.seconds.get(name, 0.0) for b in found), 2)
    return list(rows.values())
