"""The generated files of the dbt project: its sources, and the models with columns and tests.

``make schemas`` writes them from the tables; a test holds them equal. Published sources are the
file that a dbt project of somebody else takes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from aurum_assets.marts.project import (
    FOLDER,
    KEY_TEST,
    POSSIBLE_TEST,
    PRESENT_TEST,
    Mart,
    bounded,
    marts,
    required,
)
from aurum_assets.marts.sources import CALENDAR, SOURCES
from aurum_assets.marts.tables import DEFINITIONS, MARTS
from aurum_assets.model.table import Table

PLUGIN = "lake"
_MADE = "Written by `make schemas`; changes here are lost."
_LONG = 10_000  # characters: a sentence stays on its line


def files() -> Mapping[Path, str]:
    """Path to content."""
    return {
        FOLDER / "models" / "schema.yml": schema_yml(),
        FOLDER / "models" / "sources.yml": sources_yml(published=False),
    }


def write() -> None:
    """Write all of them."""
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def sources_yml(*, published: bool) -> str:
    """All tables that a model may read, as dbt's sources; each is read by the plugin.

    ``published``: for projects of others, with the columns, and with the marts.
    """
    by_namespace: dict[str, list[Table]] = {}
    others = [t for mart in MARTS for t in (mart, mart.history)] if published else []
    for table in (*SOURCES.values(), *others):
        by_namespace.setdefault(table.namespace, []).append(table)
    return _yaml(
        {
            "version": 2,
            "sources": [
                {
                    "name": namespace,
                    "config": {"meta": {"plugin": PLUGIN, "materialization": "view"}},
                    "tables": [_source(table, columns=published) for table in tables],
                }
                for namespace, tables in by_namespace.items()
            ]
            + [_calendar()],
        }
    )


def _source(table: Table, *, columns: bool) -> dict[str, Any]:
    found = {"name": table.name, "description": table.doc}
    return found | ({"columns": _columns(table)} if columns else {})


def _calendar() -> dict[str, Any]:
    """The source that is computed, not read."""
    tables = [{"name": name, "description": text} for name, text in CALENDAR.items()]
    meta = {"plugin": PLUGIN, "materialization": "table"}
    return {"name": "calendar", "config": {"meta": meta}, "tables": tables}


def schema_yml() -> str:
    """The models with their columns, units and tests."""
    return _yaml({"version": 2, "models": [_model(mart) for mart in marts().values()]})


def _model(mart: Mart) -> dict[str, Any]:
    table = mart.table
    return {
        "name": table.name,
        "description": DEFINITIONS[table.name],
        "config": {"meta": {"dagster": {"asset_key": [table.namespace, table.name]}}},
        "columns": _columns(table, without=table.known_by),
        "data_tests": [*_tests(table)],
    }


def _columns(table: Table, without: Sequence[str] = ()) -> list[dict[str, Any]]:
    found = []
    for column in table.columns:
        if column.name not in without:
            one: dict[str, Any] = {"name": column.name, "description": column.described}
            if column.unit:
                one["config"] = {"meta": {"unit": column.unit}}
            found.append(one)
    return found


def _tests(table: Table) -> list[dict[str, Any]]:
    found = [
        _test(table, KEY_TEST, "key_is_said_once", columns=list(table.key)),
        _test(table, PRESENT_TEST, "columns_are_present", columns=required(table)),
    ]
    if bounds := bounded(table):
        pairs = {name: list(pair) for name, pair in bounds.items()}
        found.append(_test(table, POSSIBLE_TEST, "numbers_are_possible", bounds=pairs))
    return found + [_test(table, r.name, "keeps_rule", rule=r.sql) for r in table.rules]


def _test(table: Table, name: str, kind: str, **arguments: object) -> dict[str, Any]:
    return {kind: {"name": f"{table.name}__{name}", "arguments": arguments}}


def _yaml(document: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=_LONG)
    return f"# {_MADE}\n{text}"
