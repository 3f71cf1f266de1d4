"""Data packages: what an exported file holds, in the form of Frictionless Data.

``datapackage.json`` lies beside the files that it describes, each a resource with the columns'
types, units and meanings, the key and the source. Other programs read it: no reader has to guess
that ``lmp`` is in USD/MWh. What licence an operator gives is not said, for none is known.
"""

import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from aurum_assets.ingest.dictionary import Entry
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.table import BOUNDS, Column, Table
from aurum_assets.model.vintage import identity
from aurum_assets.resources.scratch import draft

NAME = "datapackage.json"
Form = Literal["csv", "parquet"]
_SCHEMA = "https://datapackage.org/profiles/2.0/datapackage.json"
_MEDIA: Mapping[Form, str] = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
_TYPES: Mapping[type, str] = {
    pl.Boolean: "boolean",
    pl.Date: "date",
    pl.Datetime: "datetime",
    pl.Float64: "number",
    pl.Int64: "integer",
    pl.String: "string",
}


def add_to_package(
    file: Path,
    form: Form,
    table: Table,
    entry: Entry,
    *,
    one_a_key: bool,
    days: tuple[dt.date, dt.date],
    now: dt.datetime,
) -> Path:
    """Describe ``file``, rows of ``table``, in the ``datapackage.json`` of its folder.

    Other resources there stay, one of the same path is replaced. ``one_a_key``: the rows are those
    of ``newest``, whose key has neither finality nor publication. Raises ``ConfigError`` where the
    folder has a file of that name that is no data package.
    """
    place = file.with_name(NAME)
    package = read_package(place)
    made = _resource(file, form, table, entry, one_a_key=one_a_key)
    made["operatingDays"] = [day.isoformat() for day in days]
    others = [one for one in package["resources"] if one.get("path") != made["path"]]
    package |= {"created": f"{now:%FT%TZ}", "resources": [*others, made]}
    with draft(place.with_name(f".{NAME}.{uuid.uuid4().hex}")) as whole:
        whole.write_text(json.dumps(package, indent=2, ensure_ascii=False) + "\n")
        whole.replace(place)
    return place


def read_package(place: Path) -> dict[str, Any]:
    """The data package at ``place``, a new one where there is none. Raises ``ConfigError``."""
    if not place.exists():
        title = "Electricity market data, exported by aurum"
        return {"$schema": _SCHEMA, "name": "aurum-export", "title": title, "resources": []}
    try:
        found = json.loads(place.read_text())
    except (OSError, ValueError) as error:
        msg = f"{place} cannot be read as JSON: {error}"
        raise ConfigError(msg) from error
    if not (isinstance(found, dict) and isinstance(found.get("resources"), list)):
        msg = f"{place} is no data package, for it lists no resources: export to another folder"
        raise ConfigError(msg)
    return found


def _resource(
    file: Path, form: Form, table: Table, entry: Entry, *, one_a_key: bool
) -> dict[str, Any]:
    key = identity(table) if one_a_key else dict.fromkeys((*table.partition, *table.key))
    found: dict[str, Any] = {
        "name": re.sub(r"[^-a-z0-9._]+", "-", file.name.lower()),
        "path": file.name,
        "type": "table",
        "title": entry.title,
        "description": f"{' '.join(entry.about)}\n\nGrain: {entry.grain}\n\nCaveats: "
        f"{entry.caveats}",
        "format": form,
        "mediatype": _MEDIA[form],
        "bytes": file.stat().st_size,
        "hash": f"sha256:{_sha256(file)}",
        "sources": [{"title": entry.source}],
        "schema": {
            "fields": [_field(table, column, form) for column in table.columns],
            "primaryKey": list(key),
        },
    }
    if form == "csv":
        found |= {"profile": "tabular-data-resource", "encoding": "utf-8"}
    return found


def _field(table: Table, column: Column, form: Form) -> dict[str, Any]:
    """A column as Table Schema has it; ``unit`` is a property of ours.

    An empty text of a CSV may be a null: only Parquet can be held to have a text in each row.
    """
    constraints: dict[str, Any] = {}
    if not column.nullable and (form == "parquet" or column.dtype != pl.String):
        constraints["required"] = True
    if table.namespace == "market" and column.unit in BOUNDS:
        least, greatest = BOUNDS[column.unit]
        constraints |= {"minimum": least, "maximum": greatest}
    return {
        "name": column.name,
        "type": _TYPES[type(column.dtype)],
        "description": column.doc,
        **({"unit": column.unit} if column.unit else {}),
        **({"constraints": constraints} if constraints else {}),
    }


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
