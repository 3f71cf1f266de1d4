"""From bytes to rows: recognise the dialect, read strictly, fall to a careful way for the rest.

The fast way takes a payload whose records have exactly the fields and types that the dialect
declares, each with a value. Anything else (an added or vanished field, another type, a field given
twice) takes the careful way, record by record: what can be read goes on, what cannot is refused
with its reason.
Everything here is a pure function of the bytes. What a format looks like belongs to ``formats``.
"""

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model.dataset import BLOCK, Dataset, Dialect, Envelope, FormatName, Snapshot
from aurum_assets.model.drift import NUMERIC_TEXT, Drift, Expected, find_drift
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.formats import BOM, FORMATS
from aurum_assets.model.formats.document import (
    Document,
    Part,
    content_hash,
    document_of,
    tree_of,
)
from aurum_assets.model.formats.fields import Field, fields_of
from aurum_assets.model.formats.fields import Record as Record  # noqa: PLC0414  what operators derive from
from aurum_assets.model.formats.strict import strict_records
from aurum_assets.model.formats.text import Ragged
from aurum_assets.model.quoted import clean_number

_MOST_REFUSED = 10_000
_JSON_TYPES: Mapping[type, str] = {
    str: "string",
    float: "number",
    int: "number",
    bool: "boolean",
    type(None): "null",
    list: "array",
    dict: "object",
}


@dataclass(frozen=True)
class Refused:
    """A record that could not be read: where it stood, and why."""

    position: int
    reason: str


@dataclass(frozen=True)
class Reading:
    """A decoded snapshot.

    ``frame``: one row a readable record, in the table's columns. ``positions``: the record number
    of each row (``None``: row i is record i). ``records``: how many the payload held.
    """

    dialect: Dialect
    frame: pl.DataFrame
    records: int
    positions: Sequence[int] | None = None
    refused: tuple[Refused, ...] = ()
    drift: tuple[Drift, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What is read before the bytes are archived: dialect, days named, content hash.

    ``partial``: why the answer is not all that was asked for; empty where it does not say so.
    """

    dialect: Dialect
    days: tuple[str, ...]
    content_sha256: str
    records: int
    partial: str = ""


def inspect_answer(dataset: Dataset, body: bytes, fmt: FormatName) -> Inspection:
    """The dialect, the operating days and the content hash of ``body``.

    Raises ``MalformedPayload`` where the bytes have no shape that the dataset knows.
    """
    body = body.removeprefix(BOM)
    tree = tree_of(body, fmt)
    document = document_of(dataset, tree)
    days = [
        day
        for part in document.parts
        for day in document.dialect.days(
            [r for r in part.records if isinstance(r, dict)], part.header
        )
    ]
    content = content_hash(body, fmt, tree, document.dialect.volatile)
    ranked = tuple(day for day, _ in Counter(days).most_common())
    return Inspection(document.dialect, ranked, content, len(document.records), document.partial)


def read(
    dataset: Dataset,
    snapshot: Snapshot,
    expected: Mapping[str, Expected] | None = None,
) -> Reading:
    """Decode ``snapshot`` and parse it into the table's columns.

    ``expected`` holds, by dialect, the fields that config expects; differences come back as drift.
    Raises ``MalformedPayload`` where the bytes have no shape that the dataset knows, or break a
    rule of the dialect on the snapshot as a whole.
    """
    envelope = snapshot.envelope
    body = snapshot.body.removeprefix(BOM)
    if envelope.format == "json":
        reading = strict_reading(dataset, envelope, body, expected or {})
        if reading is not None:
            return reading
    return careful_reading(dataset, envelope, body, expected or {})


def record_as_received(dataset: Dataset, snapshot: Snapshot, positions: Sequence[int]) -> list[str]:
    """The records at ``positions`` as compact JSON text, for quarantine."""
    body = snapshot.body.removeprefix(BOM)
    tree = tree_of(body, snapshot.envelope.format, careful=True)
    records = document_of(dataset, tree).records
    return [json.dumps(records[p], separators=(",", ":"), default=str) for p in positions]


def strict_reading(
    dataset: Dataset, envelope: Envelope, body: bytes, expected: Mapping[str, Expected]
) -> Reading | None:
    """Read JSON records that are exactly what the dialect declares; ``None`` where anything is not.

    Raises ``MalformedPayload`` where they break a rule of the dialect on the snapshot as a whole.
    """
    dialect = dataset.dialect(envelope.dialect)
    found = strict_records(dialect, body)
    if found is None:
        return None
    records, document = found
    header = [(n, f.get(document), f.dtype) for n, f in _header_fields(dialect).items()]
    _refuse_snapshot(dataset, dialect, header, envelope)
    frame = records.with_columns(pl.lit(v, dtype=t).alias(n) for n, v, t in header)
    fields = fields_of(dialect.record)
    came = {n: Counter({_word(f.dtype): records[n].count()}) for n, f in fields.items()}
    drift = _drift(dialect, expected, came, records)
    if dialect.present is None and dialect.rows_of_a_record == 1:
        return Reading(dialect, dialect.parse(frame), len(records), drift=drift)
    rows, positions = _rows(dialect, frame, range(len(records)))
    return Reading(dialect, rows, len(records), positions, drift=drift)


def _rows(
    dialect: Dialect, frame: pl.DataFrame, positions: Sequence[int]
) -> tuple[pl.DataFrame, list[int]]:
    """The rows of the records in ``frame``, which have these ``positions``, and those of each."""
    if dialect.present is not None:
        there = frame.select(dialect.present.fill_null(value=False)).to_series()
        frame = frame.filter(there)
        positions = [position for position, kept in zip(positions, there, strict=True) if kept]
    return dialect.parse(frame), [*positions] * dialect.rows_of_a_record


@dataclass
class _Careful:
    """What the careful way has found in the records that it has read so far."""

    fields: Mapping[str, Field]
    typed: bool
    quoted: bool
    observed: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seen: int = 0
    positions: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def careful_reading(
    dataset: Dataset, envelope: Envelope, body: bytes, expected: Mapping[str, Expected]
) -> Reading:
    """Read record by record what can be read; what cannot is refused with its reason.

    Raises ``MalformedPayload`` as ``read`` does.
    """
    document = document_of(dataset, tree_of(body, envelope.format, careful=True))
    dialect = _dialect_of(dataset, envelope, document)
    typed = FORMATS[envelope.format].typed
    careful = _Careful(fields_of(dialect.record), typed, typed and dialect.quoted_numbers)
    frames, first = [], 0
    for part in document.parts:
        header = _careful_header(dataset, dialect, part, typed=typed)
        _refuse_snapshot(dataset, dialect, header, envelope)
        frame = _careful_part(dataset, dialect, careful, part, first)
        frames.append(frame.with_columns(pl.lit(v, dtype=t).alias(n) for n, v, t in header))
        first += len(part.records)
    frame = pl.concat(frames)
    drift = _drift(dialect, expected, careful.observed, frame, careful.seen, text=not typed)
    rows, positions = _rows(dialect, frame, careful.positions)
    refused = tuple(careful.refused)
    return Reading(dialect, rows, first, positions, refused, (*document.drift, *drift))


def _dialect_of(dataset: Dataset, envelope: Envelope, document: Document) -> Dialect:
    """The dialect that the envelope names, where the answer has its shape too."""
    dialect = document.dialect
    named = next((d for d in dataset.dialects if d.name == envelope.dialect), dialect)
    return named if named.shape == dialect.shape else dialect


def _careful_part(
    dataset: Dataset, dialect: Dialect, careful: _Careful, part: Part, first: int
) -> pl.DataFrame:
    """The readable records of ``part``, a column a leaf; its first record has number ``first``."""
    kept: list[msgspec.Struct] = []
    above = _above(careful.fields)
    for position, record in enumerate(part.records, first):
        try:
            flat = _observe(
                record,
                careful.observed,
                careful.fields,
                above,
                text=not careful.typed,
                quoted=careful.quoted,
            )
            careful.seen += isinstance(record, dict)
            kept.append(msgspec.convert(flat, dialect.record, strict=careful.typed))
            careful.positions.append(position)
        except (msgspec.ValidationError, ValueError, RecursionError) as error:
            careful.refused.append(Refused(position, f"record_can_be_read: {error}"))
            if len(careful.refused) > _MOST_REFUSED:
                msg = f"{dataset.key}: more than {_MOST_REFUSED:,} records cannot be read: {error}"
                raise MalformedPayload(msg) from error
    columns = careful.fields.items()
    return pl.DataFrame([field.series(n, list(map(field.get, kept))) for n, field in columns])


def _observe(
    record: Any,
    observed: dict[str, Counter[str]],
    known: Mapping[str, Field],
    above: frozenset[str],
    prefix: str = "",
    *,
    text: bool,
    quoted: bool = False,
) -> Any:
    """Note the type of each field, and give the record back with the known ones only.

    ``above``: the names that hold known ones. ``text``: the format knows no types. ``quoted``: a
    clean number may stand in quotes.
    """
    if isinstance(record, Ragged):
        msg = f"it has {len(record)} values, and the table {record.columns} columns"
        raise ValueError(msg)  # noqa: TRY004  it is the value of a record
    if not isinstance(record, dict):
        return record
    twice = getattr(record, "twice", ())
    if twice:
        msg = f"field {twice[0]} appears twice in one record"
        raise ValueError(msg)
    kept = {}
    for name, value in record.items():
        dotted = prefix + name
        inner = dotted in above
        if inner and isinstance(value, dict):
            kept[name] = _observe(
                value, observed, known, above, dotted + ".", text=text, quoted=quoted
            )
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
        observed[dotted][word] += 1
        if dotted in known or inner:
            kept[name] = value
    return kept


def _above(known: Iterable[str]) -> frozenset[str]:
    """The names of objects on the way to ``known`` dotted names."""
    dots = ((name, at) for name in known for at, letter in enumerate(name) if letter == ".")
    return frozenset(name[:at] for name, at in dots)


def _word_of_text(value: str, known: Field | None) -> str:
    """What JSON would have called a text of XML or CSV; a known text is not looked into."""
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


def _word(dtype: "pl.DataType") -> str:
    return {pl.String(): "string", pl.Boolean(): "boolean"}.get(dtype, "number")


# --- the header -------------------------------------------------------------------------------

_HeaderColumn = tuple[str, Any, "pl.DataType"]


def _header_fields(dialect: Dialect) -> Mapping[str, Field]:
    return {} if dialect.header is None else fields_of(dialect.header)


def _careful_header(
    dataset: Dataset, dialect: Dialect, part: Part, *, typed: bool
) -> list[_HeaderColumn]:
    """The values of the header that holds for ``part``, and which block it is."""
    block: list[_HeaderColumn] = [(BLOCK, part.block, pl.String())] if part.block else []
    if dialect.header is None:
        return block
    fields = _header_fields(dialect)
    try:
        known = msgspec.convert(
            _observe(part.header, defaultdict(Counter), fields, _above(fields), text=not typed),
            dialect.header,
            strict=typed,
        )
    except (msgspec.ValidationError, ValueError) as error:
        msg = f"{dataset.key}: the answer's header cannot be read: {error}"
        raise MalformedPayload(msg) from error
    return [*block, *((n, f.get(known), f.dtype) for n, f in fields.items())]


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
