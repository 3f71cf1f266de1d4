"""From bytes to rows: recognise the dialect, decode strictly, fall to a careful way for the rest.

The fast way takes a payload whose records have exactly the fields and types that the dialect
declares, each with a value. Anything else (an added or vanished field, another type, a field said
twice) takes the careful way, record by record: what can be read goes on, what cannot is refused
with its reason.
Everything here is a pure function of the bytes.
"""

import datetime as dt
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any, Literal, NamedTuple, get_args, get_type_hints

import msgspec
import numpy as np
import polars as pl
from lxml import etree

from aurum_assets.model.dataset import Dataset, Dialect, Envelope, Snapshot
from aurum_assets.model.drift import NUMERIC_TEXT, PARTIAL, Drift, Expected, find_drift
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.neighbours import drift_of_neighbours, neighbours_of
from aurum_assets.model.quoted import clean_number

_BOM = b"\xef\xbb\xbf"
# How JSON and XML begin in encodings that nobody sends; the longer marks first.
_WIDE: Mapping[str, tuple[bytes, ...]] = {
    "utf-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff"),
    "utf-32-le": (b"<\0\0\0", b"{\0\0\0", b"[\0\0\0"),
    "utf-32-be": (b"\0\0\0<", b"\0\0\0{", b"\0\0\0["),
    "utf-16": (b"\xff\xfe", b"\xfe\xff"),
    "utf-16-le": (b"<\0", b"{\0", b"[\0"),
    "utf-16-be": (b"\0<", b"\0{", b"\0["),
}
_MOST_VALUES = 5_000_000  # 64 MB of prices hold about two million
_MOST_REFUSED = 10_000
_UNUSUAL = (b"\\", b"true", b"false")  # what polars reads in a way of its own
_DTYPES: Mapping[type, "pl.DataType"] = {str: pl.String(), float: pl.Float64()}
_JSON_TYPES: Mapping[type, str] = {
    str: "string",
    float: "number",
    int: "number",
    bool: "boolean",
    type(None): "null",
    list: "array",
    dict: "object",
}


class Record(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What every declared record derives from: strict, and out of the garbage collector's sight."""


@dataclass(frozen=True)
class Refused:
    """A record that could not be read: where it stood, and why."""

    position: int
    reason: str


@dataclass(frozen=True)
class Reading:
    """A decoded snapshot.

    ``frame``: one row a readable record, in the table's words. ``positions``: the record number of
    each row (``None``: row i is record i). ``records``: how many the payload held.
    """

    dialect: Dialect
    frame: pl.DataFrame
    records: int
    positions: Sequence[int] | None = None
    refused: tuple[Refused, ...] = ()
    drift: tuple[Drift, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What is read before the bytes are archived: dialect, days said, content hash.

    ``partial``: why the answer is not all that was asked for; empty where it does not say so.
    """

    dialect: Dialect
    days: tuple[str, ...]
    content_sha256: str
    records: int
    partial: str = ""


class _Pairs(dict[str, Any]):
    """A JSON object that remembers which of its names were said twice."""

    twice: tuple[str, ...] = ()


@dataclass
class _Document:
    """A payload as a generic tree, cut where the dialect says."""

    dialect: Dialect
    records: list[Any]
    header: dict[str, Any] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()  # of what stands beside the records

    @property
    def partial(self) -> str:
        """Why this is not the whole answer; empty where it does not say so."""
        return "; ".join(d.detail for d in self.drift if d.kind == PARTIAL)


# --- recognising -----------------------------------------------------------------------------


def inspect_answer(dataset: Dataset, body: bytes, fmt: str) -> Inspection:
    """The dialect, the operating days and the content hash of ``body``.

    Raises ``MalformedPayload`` where the bytes have no shape that the dataset knows.
    """
    body = body.removeprefix(_BOM)
    tree = _tree(body, fmt)
    document = _document(dataset, tree)
    records = [r for r in document.records if isinstance(r, dict)]
    days = document.dialect.days(records, document.header)
    content = _canonical(body, fmt, tree, document.dialect.volatile)
    ranked = tuple(day for day, _ in Counter(days).most_common())
    return Inspection(document.dialect, ranked, content, len(document.records), document.partial)


def sniff(body: bytes) -> Literal["json", "xml"]:
    """``xml`` where the first character is ``<``, else ``json``."""
    return "xml" if body.removeprefix(_BOM).lstrip()[:1] == b"<" else "json"


def _tree(body: bytes, fmt: str, *, careful: bool = False) -> Any:
    _require_utf8(body)
    if max(body.count(b","), body.count(b"<")) > _MOST_VALUES:
        msg = (
            f"the answer holds more than {_MOST_VALUES:,} values: no operator says so much at once"
        )
        raise MalformedPayload(msg)
    try:
        if fmt == "xml":
            return _xml_tree(body)
        if careful:
            return json.loads(body, object_pairs_hook=_pairs)
        return msgspec.json.decode(body)
    except (ValueError, RecursionError, etree.XMLSyntaxError) as error:
        why = str(error)
        if why in {"", "None"}:  # libxml's, of a text that its encoding leaves empty
            why = "nothing of it can be read"
        msg = f"the bytes are not {fmt.upper()}: {why}"
        raise MalformedPayload(msg) from error


def _require_utf8(body: bytes) -> None:
    """Refuse text in UTF-16 or UTF-32, with a mark or with zeros in its first character."""
    for name, marks in _WIDE.items():
        if body.startswith(marks):
            with suppress(UnicodeDecodeError):
                body.decode(name)
                bits = name[:6].upper()
                msg = f"the bytes are text in {bits}, and operators send UTF-8: convert them first"
                raise MalformedPayload(msg)


def _pairs(pairs: list[tuple[str, Any]]) -> _Pairs:
    found = _Pairs(pairs)
    if len(found) != len(pairs):
        found.twice = tuple(n for n, c in Counter(n for n, _ in pairs).items() if c > 1)
    return found


def _xml_tree(body: bytes) -> dict[str, Any]:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,  # or the text before a comment would stand for all of it
        remove_pis=True,
    )
    root = etree.fromstring(body, parser)
    if root.getroottree().docinfo.internalDTD is not None:
        msg = "the XML brings a document type of its own, which is refused"
        raise MalformedPayload(msg)
    return {_local(root): _element(root)}


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _element(element: etree._Element) -> Any:
    """An element as JSON has it: attributes ``@name``, text ``$``, a repeated child a list."""
    attributes = {f"@{str(k).rpartition('}')[2]}": v for k, v in element.attrib.items()}
    if attributes.pop("@nil", "") in {"true", "1"}:
        return None
    children = [c for c in element if isinstance(c.tag, str)]
    if not children and not attributes:
        return element.text or ""
    found: dict[str, Any] = _Pairs(attributes)
    if element.text and element.text.strip():
        found["$"] = element.text
    for child in children:
        name, value = _local(child), _element(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def _document(dataset: Dataset, tree: Any) -> _Document:
    """Find the dialect whose path the tree follows, and cut the tree there."""
    if isinstance(tree, dict):
        _refuse_twice(dataset, tree)
        for dialect in dataset.dialects:
            start = next((i for i, name in enumerate(dialect.path) if name in tree), None)
            if start is None or not _has_header(dialect, tree):
                continue
            inner: Any = tree
            for name in dialect.path[start:-1]:
                inner = inner.get(name) if isinstance(inner, dict) else None
                _refuse_twice(dataset, inner)
            records = _walk(tree, dialect.path[start:])
            if records is not None:
                rest = {k: v for k, v in tree.items() if k != dialect.path[start]}
                beside = neighbours_of(tree, dialect.path[start:], _header_names(dialect.header))
                drift = drift_of_neighbours(beside, dialect.path[-1])
                document = _Document(dialect, records, rest, drift)
                if not records and document.partial:
                    msg = f"{dataset.key}: no records came, and {document.partial}"
                    raise MalformedPayload(msg)
                return document
    shapes = " and no ".join(dict.fromkeys(_shape(d) for d in dataset.dialects))
    found = ", ".join(list(tree)[:5]) if isinstance(tree, dict) else f"a {type(tree).__name__}"
    said = f", and says {tree['error']!r}" if isinstance(tree, dict) and "error" in tree else ""
    msg = f"{dataset.key}: the answer holds no {shapes}; it holds {found or 'nothing'}{said}"
    raise MalformedPayload(msg)


def _shape(dialect: Dialect) -> str:
    """Where a dialect has its records, and the fields beside them: ``Interval[] (beside Date)``."""
    beside = ", ".join(dialect.header.__struct_encode_fields__) if dialect.header else ""
    return ".".join(dialect.path) + "[]" + (f" (beside {beside})" if beside else "")


def _refuse_twice(dataset: Dataset, tree: Any) -> None:
    """A wrapper or header said twice: no one could tell which of them counts."""
    twice = getattr(tree, "twice", ())
    if twice:
        msg = f"{dataset.key}: {twice[0]} is said twice beside the records"
        raise MalformedPayload(msg)


@cache
def _header_names(header: type[msgspec.Struct] | None) -> dict[str, Any]:
    """The names that a header declares, those of an inner one below its own."""
    if header is None:
        return {}
    hints = get_type_hints(header)
    names = zip(header.__struct_fields__, header.__struct_encode_fields__, strict=True)
    kinds = {encoded: _kinds(hints[name])[0] for name, encoded in names}
    structs = {n: k for n, k in kinds.items() if issubclass(k, msgspec.Struct)}
    return {n: _header_names(structs[n]) if n in structs else None for n in kinds}


def _has_header(dialect: Dialect, tree: Mapping[str, Any]) -> bool:
    return dialect.header is None or set(dialect.header.__struct_encode_fields__) <= set(tree)


def _walk(tree: Any, path: Sequence[str]) -> list[Any] | None:
    """The records at ``path``: a lone object is a list of one; ``""``, ``{}``, null are none."""
    for name in path:
        if tree in ("", None) or tree == {}:
            return []
        if not isinstance(tree, dict) or name not in tree:
            return None
        tree = tree[name]
    if tree in ("", None) or tree == {}:
        return []
    if isinstance(tree, dict):
        return [tree]
    return tree if isinstance(tree, list) else None


def _canonical(body: bytes, fmt: str, tree: Any, volatile: Sequence[str]) -> str:
    """SHA-256 of the content less what is volatile, whatever the order of fields or white space."""
    text = msgspec.json.encode(tree, order="deterministic")
    if fmt == "json" and _count(text, '"') != _count(body, '"'):
        return hashlib.sha256(body).hexdigest()  # a name was said twice: no two spellings are one
    for dotted in volatile:
        tree = _without(tree, dotted.split("."))
    if volatile:
        text = msgspec.json.encode(tree, order="deterministic")
    return hashlib.sha256(text).hexdigest()


def _without(tree: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    if len(path) == 1:
        return {k: v for k, v in tree.items() if k != path[0]}
    inner = tree.get(path[0])
    return {**tree, path[0]: _without(inner, path[1:])} if isinstance(inner, dict) else dict(tree)


def _count(body: bytes, character: str) -> int:
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == ord(character)))


# --- reading ---------------------------------------------------------------------------------


def read(
    dataset: Dataset,
    snapshot: Snapshot,
    expected: Mapping[str, Expected] | None = None,
) -> Reading:
    """Decode ``snapshot`` and parse it into the table's words.

    ``expected`` holds, by dialect, the fields that config expects; differences come back as drift.
    Raises ``MalformedPayload`` where the bytes have no shape that the dataset knows, or break a
    rule of the dialect on the snapshot as a whole.
    """
    envelope = snapshot.envelope
    body = snapshot.body.removeprefix(_BOM)
    if envelope.format == "json":
        reading = strict_reading(dataset, envelope, body, expected or {})
        if reading is not None:
            return reading
    return careful_reading(dataset, envelope, body, expected or {})


def record_as_received(dataset: Dataset, snapshot: Snapshot, positions: Sequence[int]) -> list[str]:
    """The records at ``positions`` as compact JSON text, for quarantine."""
    body = snapshot.body.removeprefix(_BOM)
    document = _document(dataset, _tree(body, snapshot.envelope.format, careful=True))
    return [json.dumps(document.records[p], separators=(",", ":"), default=str) for p in positions]


def strict_reading(
    dataset: Dataset, envelope: Envelope, body: bytes, expected: Mapping[str, Expected]
) -> Reading | None:
    """Read records that are exactly what the dialect declares; ``None`` where anything is not.

    Polars reads JSON without holding the interpreter, and leniently: it drops unknown fields and
    makes texts of numbers, numbers of booleans, a null of what is absent. What it did so is found
    by counting, in payloads without escapes and booleans; the others are read carefully.
    """
    dialect = dataset.dialect(envelope.dialect)
    try:
        document = _decoder(dialect).decode(body)
        raw = _records(document)
        if any(word in body for word in _UNUSUAL) or _has_fractional_labels(raw, dialect.record):
            return None
        records = _leaves(raw, dialect.record)
    except (ValueError, RecursionError, pl.exceptions.PolarsError):
        return None  # the careful way says what is wrong
    fields = _fields(dialect.record)
    required = [n for n, field in fields.items() if not field.optional]
    if any(records[n].null_count() for n in required):
        return None
    if not _said_once(body, document, records):
        return None
    numbered = [n for n, f in fields.items() if f.label and records.schema[n] != pl.String]
    records = records.with_columns(pl.col(numbered).cast(pl.Int64).cast(pl.String))
    header = _header_values(dialect, document)
    _refuse_snapshot(dataset, dialect, header, envelope)
    frame = records.with_columns(pl.lit(v, dtype=t).alias(n) for n, v, t in header)
    came = {n: Counter({_word(f.dtype): records[n].count()}) for n, f in fields.items()}
    drift = _drift(dialect, expected, came, records)
    blocks = dialect.rows_of_a_record
    positions = list(range(len(records))) * blocks if blocks > 1 else None
    return Reading(dialect, dialect.parse(frame), len(records), positions, drift=drift)


def careful_reading(
    dataset: Dataset, envelope: Envelope, body: bytes, expected: Mapping[str, Expected]
) -> Reading:
    """Read record by record what can be read; what cannot is refused with its reason.

    Raises ``MalformedPayload`` as ``read`` does.
    """
    document = _document(dataset, _tree(body, envelope.format, careful=True))
    dialect = document.dialect
    named = next((d for d in dataset.dialects if d.name == envelope.dialect), dialect)
    dialect = named if named.path == dialect.path else dialect
    strict = envelope.format == "json"
    quoted = strict and dialect.quoted_numbers
    header = _careful_header(dataset, dialect, document.header, strict=strict)
    _refuse_snapshot(dataset, dialect, header, envelope)
    fields = _fields(dialect.record)
    observed: dict[str, Counter[str]] = {}
    seen = 0
    kept: list[msgspec.Struct] = []
    positions: list[int] = []
    refused: list[Refused] = []
    for position, record in enumerate(document.records):
        try:
            flat = _observe(record, observed, fields, text=not strict, quoted=quoted)
            seen += isinstance(record, dict)
            kept.append(msgspec.convert(flat, dialect.record, strict=strict))
            positions.append(position)
        except (msgspec.ValidationError, ValueError, RecursionError) as error:
            refused.append(Refused(position, f"record_can_be_read: {error}"))
            if len(refused) > _MOST_REFUSED:
                msg = f"{dataset.key}: more than {_MOST_REFUSED:,} records cannot be read: {error}"
                raise MalformedPayload(msg) from error
    frame = pl.DataFrame(
        [field.series(n, list(map(field.get, kept))) for n, field in fields.items()]
    ).with_columns(pl.lit(v, dtype=t).alias(n) for n, v, t in header)
    drift = _drift(dialect, expected, observed, frame, seen, text=not strict)
    drift = (*document.drift, *drift)
    positions *= dialect.rows_of_a_record
    return Reading(
        dialect, dialect.parse(frame), len(document.records), positions, tuple(refused), drift
    )


def _observe(
    record: Any,
    observed: dict[str, Counter[str]],
    known: Mapping[str, "_Field"],
    prefix: str = "",
    *,
    text: bool,
    quoted: bool = False,
) -> Any:
    """Note the type of each field, and give the record back with the known ones only.

    ``text``: the format knows no types. ``quoted``: a clean number may stand in quotes.
    """
    if not isinstance(record, dict):
        return record
    twice = getattr(record, "twice", ())
    if twice:
        msg = f"field {twice[0]} is said twice in one record"
        raise ValueError(msg)
    kept = {}
    for name, value in record.items():
        dotted = prefix + name
        inner = any(k.startswith(dotted + ".") for k in known)
        if inner and isinstance(value, dict):
            kept[name] = _observe(value, observed, known, dotted + ".", text=text, quoted=quoted)
            continue
        word = _JSON_TYPES.get(type(value), "object")
        if quoted and word == "string" and dotted in known and known[dotted].is_number:
            number = clean_number(value)
            if number is not None:
                word, value = NUMERIC_TEXT, number  # noqa: PLW2901  as if it had no quotes
        if text and word == "string":
            word = _word_of_text(value, known.get(dotted))
            optional = dotted in known and known[dotted].optional
            value = None if word == "null" and optional else value  # noqa: PLW2901  as JSON has it
        observed.setdefault(dotted, Counter())[word] += 1
        if dotted in known or inner:
            kept[name] = value
    return kept


def _word_of_text(value: str, known: "_Field | None") -> str:
    """What JSON would have called a text of XML; a known text is not looked into."""
    if not value.strip():
        return "null"
    if known is not None and known.dtype == pl.String:
        return "string"
    try:
        float(value)
    except ValueError:
        return "string"
    return "number"


def _drift(
    dialect: Dialect,
    expected: Mapping[str, Expected],
    came: Mapping[str, Counter[str]],
    values: pl.DataFrame,
    records: int | None = None,
    *,
    text: bool = False,
) -> tuple[Drift, ...]:
    """The drift of ``records`` records (as many as ``values`` has rows), where config has a say."""
    if dialect.name not in expected:
        return ()
    count = len(values) if records is None else records
    return find_drift(came, count, values, expected[dialect.name], text=text)


# --- the strict decoder of a dialect -----------------------------------------------------------


@cache
def _decoder(dialect: Dialect) -> msgspec.json.Decoder[Any]:
    """A decoder of whole documents: strict wrappers (the operator may drop one) and raw records."""
    inner: Any = msgspec.Raw
    for depth in range(len(dialect.path) - 1, 0, -1):
        inner = msgspec.defstruct(
            f"Level{depth}",
            [("inner", inner)],
            rename={"inner": dialect.path[depth]},
            forbid_unknown_fields=True,
        )
    fields: list[Any] = []
    rename: dict[str, str] = {}
    if dialect.header is not None:
        hints = get_type_hints(dialect.header)
        for name, encoded in zip(
            dialect.header.__struct_fields__, dialect.header.__struct_encode_fields__, strict=True
        ):
            fields.append((name, hints[name]))
            rename[name] = encoded
    fields.append(("outer", inner, msgspec.UNSET))
    rename["outer"] = dialect.path[0]
    if len(dialect.path) > 1:
        fields.append(("bare", msgspec.Raw, msgspec.UNSET))
        rename["bare"] = dialect.path[-1]
    document = msgspec.defstruct("Document", fields, rename=rename, forbid_unknown_fields=True)
    return msgspec.json.Decoder(document)


def _records(document: Any) -> bytes:
    """The records' own text, behind the wrapper or without it; none where both or neither came."""
    said = [getattr(document, n, msgspec.UNSET) for n in ("outer", "bare")]
    (tree,) = (t for t in said if t is not msgspec.UNSET)
    while not isinstance(tree, msgspec.Raw):
        tree = tree.inner
    return bytes(tree)


def _leaves(raw: bytes, record: type[msgspec.Struct]) -> pl.DataFrame:
    """The records' values, a column a declared leaf. Raises ``PolarsError`` where one has another
    type; a label may be a number throughout, or a text.
    """
    names = _fields(record)
    try:
        nested = pl.read_json(raw, schema=_schema(record, pl.Float64()))
    except pl.exceptions.PolarsError:
        if not any(field.label for field in names.values()):
            raise
        nested = pl.read_json(raw, schema=_schema(record, pl.String()))
    return nested.select(_leaf(name) for name in names)


@cache
def _schema(record: type[msgspec.Struct], label: "pl.DataType") -> dict[str, "pl.DataType"]:
    """What polars is to read of a record."""
    hints = get_type_hints(record)
    names = zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True)
    found: dict[str, pl.DataType] = {}
    for name, encoded in names:
        kind, *others = _kinds(hints[name])
        if issubclass(kind, msgspec.Struct):
            found[encoded] = pl.Struct(_schema(kind, label))
        else:
            found[encoded] = label if others else _DTYPES[kind]
    return found


def _kinds(hint: Any) -> list[type]:
    """The types of a field, null left out."""
    return [t for t in get_args(hint) if t is not type(None)] or [hint]


def _leaf(dotted: str) -> pl.Expr:
    """The column of that name out of the structs that it lies in."""
    outer, *inner = dotted.split(".")
    expression = pl.col(outer)
    for name in inner:
        expression = expression.struct.field(name)
    return expression.alias(dotted)


def _has_fractional_labels(raw: bytes, record: type[msgspec.Struct]) -> bool:
    """Whether a number that stands for a label is not written as a whole one of few digits."""
    labels = [n.rpartition(".")[2] for n, field in _fields(record).items() if field.label]
    return any(
        re.search(rb'"%s"\s*:\s*-?(\d{16}|\d*[.eE])' % re.escape(name.encode()), raw)
        for name in labels
    )


def _said_once(body: bytes, document: Any, records: pl.DataFrame) -> bool:
    """Whether every name in ``body`` is that of a value that was read, and every text a text.

    Polars takes the first of a field that is said twice, and leaves out what it does not know: only
    the bytes tell. Nothing is escaped, so every colon outside of a text follows a name, and every
    two quotes hold a name or a text.
    """
    values = sum(records[n].count() for n in records.columns)
    structs = {p for n in records.columns for p in _prefixes(n)} - set(records.columns)
    names = values + len(structs) * len(records)
    strings = records.select(pl.col(pl.String))
    texts = sum(column.count() for column in strings)
    colons = sum(int(c.str.count_matches(":", literal=True).sum()) for c in strings)
    rest = msgspec.json.encode(_emptied(document))
    return _count(body, '"') == 2 * (names + texts) + _count(rest, '"') and (
        _count(body, ":") == names + colons + _count(rest, ":")
    )


class _Field(NamedTuple):
    """A leaf of a declared record. ``label``: a number of something, that comes as int or text."""

    get: Callable[[Any], Any]
    dtype: "pl.DataType"
    label: bool
    optional: bool

    @property
    def is_number(self) -> bool:
        """Whether it is a quantity, and not the number of something."""
        return self.dtype == pl.Float64

    def series(self, name: str, values: list[Any]) -> pl.Series:
        """``values`` as a column."""
        if self.label:
            values = [None if v is None else str(v) for v in values]
        return pl.Series(name, values, dtype=self.dtype, strict=True)


@cache
def _fields(record: type[msgspec.Struct]) -> "dict[str, _Field]":
    """Dotted names as the operator writes them -> how to get the value, and its dtype."""
    found: dict[str, _Field] = {}

    def visit(struct: type[msgspec.Struct], dotted: str, attribute: str) -> None:
        hints = get_type_hints(struct)
        names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
        for name, encoded in names:
            kind, *others = _kinds(hints[name])
            if issubclass(kind, msgspec.Struct):
                visit(kind, f"{dotted}{encoded}.", f"{attribute}{name}.")
                continue
            dtype = pl.String() if others else _DTYPES[kind]
            optional = type(None) in get_args(hints[name])
            get = attrgetter(attribute + name)
            found[dotted + encoded] = _Field(get, dtype, bool(others), optional)

    visit(record, "", "")
    return found


def _word(dtype: "pl.DataType") -> str:
    return "string" if dtype == pl.String else "number"


def _prefixes(dotted: str) -> list[str]:
    parts = dotted.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _emptied(tree: Any) -> Any:
    """The document without its records, to count the quotes and colons of the rest."""
    if isinstance(tree, msgspec.Raw):
        return 0
    if isinstance(tree, msgspec.Struct):
        names = zip(tree.__struct_fields__, tree.__struct_encode_fields__, strict=True)
        return {e: _emptied(v) for n, e in names if (v := getattr(tree, n)) is not msgspec.UNSET}
    return tree


# --- the header -------------------------------------------------------------------------------

_HeaderColumn = tuple[str, Any, "pl.DataType"]


def _header_values(dialect: Dialect, document: Any) -> list[_HeaderColumn]:
    if dialect.header is None:
        return []
    return [(n, f.get(document), f.dtype) for n, f in _fields(dialect.header).items()]


def _careful_header(
    dataset: Dataset, dialect: Dialect, header: Mapping[str, Any], *, strict: bool
) -> list[_HeaderColumn]:
    if dialect.header is None:
        return []
    fields = _fields(dialect.header)
    try:
        known = msgspec.convert(
            _observe(header, {}, fields, text=not strict), dialect.header, strict=strict
        )
    except (msgspec.ValidationError, ValueError) as error:
        msg = f"{dataset.key}: the answer's header cannot be read: {error}"
        raise MalformedPayload(msg) from error
    return [(n, f.get(known), f.dtype) for n, f in fields.items()]


def _refuse_snapshot(
    dataset: Dataset, dialect: Dialect, header: Sequence[_HeaderColumn], envelope: Envelope
) -> None:
    values = {n: v for n, v, _ in header}
    for name, holds in dialect.snapshot_rules.items():
        reason = holds(values, envelope)
        if reason:
            msg = f"{dataset.key}: {name}: {reason}"
            raise MalformedPayload(msg, rule=name)


def local_days(texts: Sequence[Any], zone: str) -> list[str]:
    """The operating days of ISO 8601 stamps with an offset; what is no stamp says nothing."""
    from zoneinfo import ZoneInfo

    found: list[str] = []
    for text, count in Counter(t for t in texts if isinstance(t, str)).items():
        try:
            instant = dt.datetime.fromisoformat(text)
            if instant.tzinfo is not None:
                found += [instant.astimezone(ZoneInfo(zone)).date().isoformat()] * count
        except (ValueError, OverflowError):
            continue
    return found
