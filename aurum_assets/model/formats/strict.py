"""The fast way to read JSON: polars reads the records, and what it did leniently is found after.

Polars reads JSON without holding the interpreter, and leniently: it drops unknown fields and makes
texts of numbers, numbers of booleans, a null of what is absent. What it did so is found by
counting, in payloads without escapes and booleans; the others are read carefully.
"""

import re
from functools import cache
from typing import Any, get_type_hints

import msgspec
import polars as pl

from aurum_assets.model.dataset import Dialect
from aurum_assets.model.formats.document import count_of
from aurum_assets.model.formats.fields import DTYPES, fields_of, kinds_of, names_of

_UNUSUAL = (b"\\", b"true", b"false")  # what polars reads in a way of its own


def strict_records(dialect: Dialect, body: bytes) -> tuple[pl.DataFrame, Any] | None:
    """The records of ``body``, a column a leaf, and the document with its header.

    None where anything is not exactly what the dialect declares, or is beyond this way of reading.
    """
    if not is_plain(dialect):
        return None
    try:
        document = _decoder(dialect).decode(body)
        raw = _records(document)
        if any(word in body for word in _UNUSUAL) or _has_fractional_labels(raw, dialect.record):
            return None
        records = _leaves(raw, dialect.record)
    except (ValueError, RecursionError, pl.exceptions.PolarsError):
        return None  # the careful way says what is wrong
    fields = fields_of(dialect.record)
    required = [n for n, field in fields.items() if not field.optional]
    if any(records[n].null_count() for n in required):
        return None
    if not _given_once(body, document, records):
        return None
    numbered = [n for n, f in fields.items() if f.label and records.schema[n] != pl.String]
    return records.with_columns(pl.col(numbered).cast(pl.Int64).cast(pl.String)), document


def is_plain(dialect: Dialect) -> bool:
    """Whether its records are objects in one place, and its header beside their outermost name."""
    unusual = dialect.blocks or dialect.ignored or dialect.column_names or not dialect.path
    return not unusual and dialect.path[0] not in names_of(dialect.header)


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
    """The records' own text, behind the wrapper or without it.

    Raises ``ValueError`` where both or neither came, or an object without a field.
    """
    trees = [getattr(document, n, msgspec.UNSET) for n in ("outer", "bare")]
    (tree,) = (t for t in trees if t is not msgspec.UNSET)
    while not isinstance(tree, msgspec.Raw):
        tree = tree.inner
    if not (text := bytes(tree)).strip(b"{} \t\r\n"):
        msg = "an object without a field is no record"  # polars makes a row of it
        raise ValueError(msg)
    return text


def _leaves(raw: bytes, record: type[msgspec.Struct]) -> pl.DataFrame:
    """The records' values, a column a declared leaf. Raises ``PolarsError`` where one has another
    type; a label may be a number throughout, or a text.
    """
    names = fields_of(record)
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
        kind, *others = kinds_of(hints[name])
        if issubclass(kind, msgspec.Struct):
            found[encoded] = pl.Struct(_schema(kind, label))
        else:
            found[encoded] = label if others else DTYPES[kind]
    return found


def _leaf(dotted: str) -> pl.Expr:
    """The column of that name out of the structs that it lies in."""
    outer, *inner = dotted.split(".")
    expression = pl.col(outer)
    for name in inner:
        expression = expression.struct.field(name)
    return expression.alias(dotted)


def _has_fractional_labels(raw: bytes, record: type[msgspec.Struct]) -> bool:
    """Whether a number that stands for a label is not written as a whole one of few digits."""
    labels = [n.rpartition(".")[2] for n, field in fields_of(record).items() if field.label]
    return any(
        re.search(rb'"%s"\s*:\s*-?(\d{16}|\d*[.eE])' % re.escape(name.encode()), raw)
        for name in labels
    )


def _given_once(body: bytes, document: Any, records: pl.DataFrame) -> bool:
    """Whether every name in ``body`` is that of a value that was read, and every text a text.

    Polars takes the first of a field that appears twice, and leaves out what it does not know: only
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
    return count_of(body, '"') == 2 * (names + texts) + count_of(rest, '"') and (
        count_of(body, ":") == names + colons + count_of(rest, ":")
    )


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
