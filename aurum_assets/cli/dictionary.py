"""``aurum tables``: the data dictionary on a terminal. What it says is up to ``ingest``."""

import textwrap

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import Name, json_option
from aurum_assets.cli.output import (
    Row,
    on_terminal,
    print_json,
    print_lines,
    print_parts,
    print_rows,
    say,
)
from aurum_assets.ingest.dictionary import Entry
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import open_resources


def _names() -> list[str]:
    return [table.name for table in ingest.known_tables()]


_table_name = Name("table", _names, "`aurum tables` lists them")


@click.command()
@click.argument("name", type=_table_name, required=False)
@json_option
def tables(name: str | None, as_json: bool) -> None:
    """The tables; of NAME, everything that is to be known of it.

    That is: grain, key, columns with units and meaning, checks, source, cadence, latency, first
    day, caveats, and a query to begin with. NAME may lack namespace and operator (rt_lmp);
    NAME_history has the values of NAME that others replaced. No home is needed, and nothing is
    requested.
    """
    configs = open_resources(DATASETS, even_moved=True).configuration.datasets
    if name is None:
        _list([ingest.entry_of(table, configs) for table in ingest.known_tables()], as_json=as_json)
        return
    (table,) = (table for table in ingest.known_tables() if table.name == name)
    entry = ingest.entry_of(table, configs)
    if as_json:
        print_json(entry.as_dict())
    elif on_terminal():
        _show(entry)
    else:
        print_lines(("part", "name", "text"), _lines(entry))


def _list(found: list[Entry], *, as_json: bool) -> None:
    """All tables; a terminal leaves histories out, of which each table that keeps one has one."""
    if as_json:
        print_json({"tables": [entry.as_dict() for entry in found]})
        return
    whole = {entry.table for entry in found}
    histories = {name for name in whole if name.removesuffix("_history") in whole - {name}}
    rows: list[Row] = [
        {"table": entry.table, "what it holds": entry.title, "grain": entry.grain.rstrip(".")}
        for entry in found
        if not (on_terminal() and entry.table in histories)
    ]
    print_rows(rows, wrapped=("what it holds", "grain"), spare=("grain",))
    if on_terminal():
        say(
            f"{len(rows)} tables, and {len(histories)} named NAME_history with the values that "
            "others replaced. `aurum tables NAME` says what is to be known of one.",
            err=True,
        )


def _parts(entry: Entry) -> dict[str, str]:
    """The parts that are a text, by what they are called."""
    short = entry.names[1:]
    return {
        **({"also called": ", ".join(short)} if short else {}),
        "grain": entry.grain,
        "key": f"{', '.join(entry.key)} within {', '.join(entry.partition)}",
        "units": entry.units,
        "source": entry.source,
        "cadence": entry.cadence,
        "latency": entry.latency,
        "first day": entry.first_day,
        "caveats": entry.caveats,
    }


def _show(entry: Entry) -> None:
    print_parts(entry.table, entry.about, _parts(entry))
    click.echo()
    columns: list[Row] = [
        {
            "column": c.name,
            "type": c.type,
            "unit": c.unit,
            "": "key" if c.key else "null" if c.nullable else "",
            "meaning": c.meaning,
        }
        for c in entry.columns
    ]
    print_rows(columns, wrapped=("meaning",), spare=("type",))
    if entry.checks:
        click.echo()
        print_rows(
            [{"check": c.name, "what holds where it passes": c.meaning} for c in entry.checks],
            wrapped=("check", "what holds where it passes"),  # those of marts are long
        )
    if entry.rules:
        click.echo()
        print_rows([{"rule of each row": r.name, "check": r.check} for r in entry.rules])
    click.echo("\nTo begin with:")
    lines = textwrap.wrap(f'aurum sql "{entry.example}"', 74, break_on_hyphens=False)
    click.echo("\n".join(f"  {line}" for line in lines))


def _lines(entry: Entry) -> list[tuple[str, str, str]]:
    """Part, name and text of each statement."""
    return [
        ("table", entry.table, " ".join(entry.about)),
        *((part, "", text) for part, text in _parts(entry).items()),
        *(
            (
                "column",
                c.name,
                " ".join(filter(None, (c.type, c.unit and f"[{c.unit}]", c.meaning))),
            )
            for c in entry.columns
        ),
        *(("check", c.name, c.meaning) for c in entry.checks),
        *(("rule", r.name, f"{r.check}: {', '.join(r.columns)}") for r in entry.rules),
        ("example", "", entry.example),
    ]
