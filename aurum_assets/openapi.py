"""The operators' endpoints that we ask, as OpenAPI 3.1: ``config/openapi/{operator}.json``.

Made of what there is already: paths, feeds and filters of the dataset configs, records and
wrappers of the declared dialects, enums of configured ``fields``.
``python -m aurum_assets.openapi`` writes the files; a test says when they are no longer current.
They describe what we rely on; what the operators answer otherwise is theirs to change, and ours to
notice (``schema_drift``).
"""

import datetime as dt
import inspect
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import msgspec

from aurum_assets.model.dataset import BLOCK, Dataset, Dialect, Endpoint, Feed, OperatorConfig
from aurum_assets.model.drift import Expected, field_of
from aurum_assets.model.formats.fields import names_of
from aurum_assets.model.operator import Notes, Operator
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.resources.configuration import Configuration, load_config
from aurum_assets.resources.environment import PROJECT

Schema = dict[str, Any]

FOLDER = PROJECT / "config" / "openapi"
_JSON, _XML, _HTML = "application/json", "application/xml", "text/html"
_TYPES = {
    str: "string",
    float: "number",
    int: "integer",
    bool: "boolean",
    type(None): "null",
}
_MONTH_DAY = r"(0[1-9]|1[0-2]){0}(0[1-9]|[12]\d|3[01])$"
_PARAMETERS: Mapping[str, Schema] = {
    "yyyymmdd": {"pattern": r"^20\d\d" + _MONTH_DAY.format(""), "examples": ["20260715"]},
    "day": {"pattern": r"^20\d\d-" + _MONTH_DAY.format("-"), "examples": ["2026-07-15"]},
    "mm/dd/yyyy": {"examples": ["07/15/2026"]},
    "hour": {"pattern": r"^([01]\d|2[0-3])$", "examples": ["07"]},
    "location": {"pattern": r"^\d+$", "examples": ["4001"]},
}
_NO_HEADER: Schema = {"properties": {}, "required": []}
_NOTHING: Schema = {"description": "No records at all.", "enum": ["", {}, None]}
_ROW: Schema = {
    "type": "array",
    "items": {"type": ["string", "number", "null"]},
    "description": "A record as a row: its values in the order of the names beside.",
}
_LIVE = "As the public API was seen to answer, where nothing else is stated here."
_DOCUMENTED = "From documentation alone: the specification of this project."
_BORROWED = "It leaves the records out: those of the live answers stand in for them."


@dataclass(frozen=True)
class _Use:
    """An endpoint, and what it is asked for."""

    dataset: Dataset
    feed: Feed
    endpoint: Endpoint
    live: bool

    @property
    def dialect(self) -> Dialect:
        return self.dataset.dialect(self.endpoint.dialect)

    @property
    def notes(self) -> Notes:
        return {**self.dataset.operator.fields, **self.dialect.fields}

    @property
    def schema(self) -> str:
        return f"{self.dataset.key}.{self.dialect.name}"


def describe(operator: Operator, configuration: Configuration) -> Schema:
    """The OpenAPI 3.1 description of ``operator``'s endpoints that ``configuration`` asks."""
    datasets = [d for d in DATASETS if d.operator is operator]
    feeds = [(d, feed) for d in datasets for feed in configuration.datasets[d.key].feeds]
    uses: defaultdict[str, list[_Use]] = defaultdict(list)
    for dataset, feed in feeds:
        for endpoint in feed.endpoints:
            live = configuration.datasets[dataset.key].is_live(endpoint)
            uses[endpoint.path.partition("?")[0]].append(_Use(dataset, feed, endpoint, live))
    xml = any(use.endpoint.format == "xml" for many in uses.values() for use in many)
    paths = {
        path: {"get": _operation(operator, path, many, xml=xml)} for path, many in uses.items()
    }
    probes = {f.probe.path: d for d, f in feeds if f.probe is not None}
    paths |= {path: {"get": _probe(operator, path, d)} for path, d in probes.items()}
    info = {"info": _object(operator.info, {}, operator.fields)} if operator.info else {}
    spoken = {use.schema: use for many in uses.values() for use in many}
    schemes = {way.name: dict(way.scheme) for way in operator.auth}
    return {
        "openapi": "3.1.0",
        "info": _info(operator, configuration.operators[operator.name]),
        "servers": [{"url": configuration.operators[operator.name].base_url}],
        **({"security": [{way.name: []} for way in operator.auth]} if operator.auth else {}),
        "tags": [{"name": d.key, "description": d.doc.partition("\n\n")[0]} for d in datasets],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _schemas(spoken.values(), configuration) | info,
            **({"securitySchemes": schemes} if schemes else {}),
        },
    }


def _info(operator: Operator, config: OperatorConfig) -> Schema:
    limits = " and ".join(f"{x.requests} in {x.seconds:g} s" for x in config.limits)
    return {
        "title": f"{operator.title}: what Aurum assets asks for",
        "version": "1",
        "description": f"{operator.about} We keep to {limits}.",
    }


# --- operations --------------------------------------------------------------------------------


def _operation(operator: Operator, path: str, uses: Sequence[_Use], *, xml: bool) -> Schema:
    names = dict.fromkeys(use.schema for use in uses)
    refs: list[Schema] = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    asked = dict.fromkeys(
        f"Feed {use.feed.name} of {use.dataset.key} ({', '.join(_labels(use))})." for use in uses
    )
    content = {_JSON: {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}}}
    if xml:
        content[_XML] = {"schema": {"description": "The tree of the JSON answer, as XML."}}
    return {
        "operationId": _name(path),
        "tags": list(dict.fromkeys(use.dataset.key for use in uses)),
        "summary": uses[0].dataset.table.doc,
        "description": " ".join(asked),
        **_parameters(operator, path, uses),
        "responses": {"200": _answer("The records.", content), **_refusals(operator)},
    }


def _labels(use: _Use) -> list[str]:
    labels = [use.feed.cadence.replace("_", " "), use.feed.finality or ""]
    found = [*filter(None, labels), f"{use.dialect.name} dialect"]
    return found if use.live else [*found, "not on the live server"]


def _name(path: str) -> str:
    return re.sub(r"\W+", "_", path).strip("_")


def _probe(operator: Operator, path: str, dataset: Dataset) -> Schema:
    schema = {"$ref": "#/components/schemas/info"}
    content = {_JSON: {"schema": schema}, _XML: {"schema": {"description": "The same, as XML."}}}
    return {
        "operationId": _name(path),
        "tags": [dataset.key],
        "summary": "How fresh the resource is.",
        "responses": {"200": _answer("The newest interval.", content), **_refusals(operator)},
    }


def _parameters(operator: Operator, path: str, uses: Sequence[_Use]) -> Schema:
    known = {**_PARAMETERS, **operator.parameters}
    names = re.findall(r"{(\w+)}", path)
    found = [_parameter(name, "path", known.get(name, {}), required=True) for name in names]
    queries: dict[str, str] = {}
    for use in uses:
        query = use.endpoint.path.partition("?")[2]
        queries |= dict(re.findall(r"(\w+)=([^&]+)", query))
        queries |= {name: name for name in use.feed.filters}
    found += [_query(name, value, known) for name, value in queries.items()]
    return {"parameters": found} if found else {}


def _query(name: str, value: str, known: Mapping[str, Any]) -> Schema:
    """A query parameter that is filled in, or one that the path has with a value."""
    if (inner := value.strip("{}")) in known or inner == name:
        return _parameter(name, "query", known.get(inner, {}))
    for placeholder, about in known.items():
        value = value.replace(f"{{{placeholder}}}", about["examples"][0])
    return _parameter(name, "query", {"examples": [unquote(value)]}, required=True)


def _parameter(
    name: str, place: str, known: Mapping[str, Any], *, required: bool = False
) -> Schema:
    schema = {"type": "string", **known}
    return {"name": name, "in": place, "required": required, "schema": schema}


def _answer(what: str, content: Schema) -> Schema:
    return {"description": what, "content": content}


def _refusals(operator: Operator) -> Schema:
    page = {_HTML: {"schema": {"type": "string"}}}
    wait = {"description": "Seconds, or an HTTP date.", "schema": {"type": "string"}}
    who = {"401": _answer("Nobody is answered without credentials.", page)}
    why = {_JSON: {"schema": {"type": "object"}}} if operator.problem_in else page
    return {
        "400": _answer("The day, hour or mark is none.", why),
        **(who if operator.auth else {}),
        "404": _answer("There is no such path, or nothing is published for this day.", page),
        "429": {**_answer("Too many requests.", page), "headers": {"Retry-After": wait}},
    }


# --- schemas -----------------------------------------------------------------------------------


def _schemas(uses: Iterable[_Use], configuration: Configuration) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for use in uses:
        expected = configuration.datasets[use.dataset.key].expected_fields
        fields = expected.get(use.dialect.name, {})
        document = _document(use.dialect, f"{use.schema}.record", use.notes)
        found[use.schema] = {"description": _told(use), **document}
        found[f"{use.schema}.record"] = _object(use.dialect.record, fields, use.notes)
    return dict(sorted(found.items()))


def _told(use: _Use) -> str:
    """Where the shape is known from; the record's own docstring says what is special about it."""
    record = use.dialect.record
    doc = inspect.cleandoc(record.__doc__ or "").replace("\n", " ").replace("``", "`")
    if use.dialect.name != "documented":
        return f"{_LIVE} {doc}"
    shared = any(d.record is record for d in use.dataset.dialects if d is not use.dialect)
    return f"{_DOCUMENTED} {_BORROWED if shared else doc}"


def _document(dialect: Dialect, record: str, notes: Notes) -> Schema:
    """A whole answer: records behind their wrappers, of which the outer ones may be dropped."""
    ref = {"$ref": f"#/components/schemas/{record}"}
    inner: Schema = {"anyOf": [{"type": "array", "items": ref}, ref, _NOTHING]}
    if dialect.column_names:
        inner = {"type": "array", "items": _ROW}
    if not dialect.path:
        return {"type": "array", "items": ref}
    headers = [_object(h, {}, notes) if h else _NO_HEADER for h in _headers(dialect)]
    along = dialect.path[0] in names_of(dialect.header)
    shapes: list[Schema] = []
    for name, header in zip(reversed(dialect.path), reversed(headers), strict=True):
        names = dialect.blocks if name == BLOCK else (name,)
        if dialect.column_names and not shapes:
            header = _with_column_names(dialect, header)  # noqa: PLW2901  of the innermost name
        shapes.insert(0, _wrapper(names, inner, name, header))
        nested = (
            header if along or dialect.column_names else _NO_HEADER
        )  # beside the outermost name
        inner = {"anyOf": [_wrapper(names, inner, name, nested), _NOTHING]}
    return shapes[0] if len(shapes) == 1 or along else {"anyOf": shapes}


def _wrapper(names: Sequence[str], inner: Schema, name: str, header: Schema) -> Schema:
    """An object that holds ``inner`` under each of ``names``, and the header without ``name``."""
    beside = {n: v for n, v in header["properties"].items() if n != name}
    needed = [n for n in header["required"] if n != name]
    return {
        "type": "object",
        "properties": {**dict.fromkeys(names, inner), **beside},
        "required": [*names, *needed],
    }


def _with_column_names(dialect: Dialect, header: Schema) -> Schema:
    """The header, and the list that names the values of a row, in any order."""
    names = list(dialect.record.__struct_encode_fields__)
    text = f"The names of the values of each row of {dialect.path[-1]}: {', '.join(names)}."
    listed = {"type": "array", "items": {"type": "string"}, "description": text}
    return {
        "properties": {**header["properties"], dialect.column_names: listed},
        "required": [*header["required"], dialect.column_names],
    }


def _headers(dialect: Dialect) -> list[type[msgspec.Struct] | None]:
    """What stands beside each name of the path. A header that lies beside the outermost one only
    does so whichever wrapper is dropped.
    """
    if dialect.path[0] not in names_of(dialect.header):
        return [dialect.header] * len(dialect.path)
    found: list[type[msgspec.Struct] | None] = []
    struct = dialect.header
    for name in dialect.path:
        found.append(struct)
        inner = struct and {f.encode_name: f.type for f in msgspec.structs.fields(struct)}.get(name)
        struct = inner or None
    return found


def _object(
    record: type[msgspec.Struct], expected: Expected, notes: Notes, prefix: str = ""
) -> Schema:
    """The fields of ``record``. Others may come beside them: an operator adds some at times."""
    fields = msgspec.structs.fields(record)
    return {
        "type": "object",
        "properties": {
            f.encode_name: _value(f.type, expected, notes, prefix + f.encode_name) for f in fields
        },
        "required": [f.encode_name for f in fields if f.required],
    }


def _value(hint: Any, expected: Expected, notes: Notes, dotted: str) -> Schema:  # noqa: ANN401  as type hints are
    kinds = get_args(hint) or (hint,)
    if issubclass(kinds[0], msgspec.Struct):
        return _object(kinds[0], expected, notes, f"{dotted}.")
    if kinds[0] is dt.datetime:
        return {"type": "string", **notes[dotted]}
    types = [_TYPES[kind] for kind in kinds]
    schema = dict(notes.get(dotted, {}))
    enum = field_of(expected[dotted]).enum if dotted in expected else ()
    if enum:
        schema["enum"] = [*enum, None] if "null" in types else list(enum)
        schema["description"] = "The values that are known; another one is stored, and reported."
    return {"type": types[0] if len(types) == 1 else types, **schema}


# --- files -------------------------------------------------------------------------------------


def files(configuration: Configuration, folder: Path = FOLDER) -> dict[Path, str]:
    """The text of each file, by where it belongs."""
    return {
        folder / f"{operator.name}.json": json.dumps(
            describe(operator, configuration), indent=1, ensure_ascii=False
        )
        + "\n"
        for operator in OPERATORS
    }


def main() -> None:
    """Write the files of the project's own configuration."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in files(load_config(PROJECT / "config", DATASETS)).items():
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(PROJECT)}\n")


if __name__ == "__main__":
    main()
