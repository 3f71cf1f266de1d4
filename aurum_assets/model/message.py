"""Kafka messages of rows, snapshots and alerts, and the JSON Schema of each.

A message is identified by its key and its ``record_hash`` (a header, and a field of the value): a
consumer drops a repeated pair as a duplicate. Not here: sending (``resources``), and deciding what
is sent (``ingest``).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model.dataset import Dataset, Envelope
from aurum_assets.model.table import UTC, Column, Table

SCHEMA_VERSION = 1
SNAPSHOTS_TOPIC = "aurum.raw.snapshots.v1"
ALERTS_TOPIC = "aurum.alerts.v1"

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_INSTANT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?Z$"
_JSON = msgspec.json.Encoder()

Schema = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """One message: ``value`` is a JSON object, in UTF-8."""

    topic: str
    key: str
    value: bytes = field(repr=False)
    record_hash: str


@dataclass(frozen=True)
class Quality:
    """The outcome of one snapshot's records; None where they were not counted.

    ``rejected``: why it gave no rows at all; ``drift``: how its schema differs from config's.
    """

    records: int | None = None
    quarantined: int | None = None
    rejected: str | None = None
    drift: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Address, ETag and version of a snapshot's bytes in the archive."""

    uri: str
    etag: str | None = None
    version: str | None = None


def key_columns(table: Table) -> list[str]:
    """The columns that identify a row over all days: the partition, then the table's key."""
    return [*table.partition, *(n for n in table.key if n not in table.partition)]


def row_messages(
    dataset: Dataset, topic: str, environment: str, rows: pl.DataFrame
) -> Iterator[Message]:
    """Make a message for each row of ``dataset``; its key is the ``key_columns`` as JSON."""
    head = _head(environment) | {"dataset": dataset.key}
    names = key_columns(dataset.table)
    for row in rows.with_columns(record_hash=dataset.table.record_hash()).iter_rows(named=True):
        key = _JSON.encode([row[n] for n in names]).decode()
        yield Message(topic, key, _JSON.encode(head | row), row["record_hash"])


def snapshot_message(
    envelope: Envelope,
    place: Place,
    quality: Quality,
    *,
    topic: str,
    environment: str,
    rows: int,
) -> Message:
    """The notification that a snapshot was stored, and ``rows`` of its rows sent to ``topic``.

    A snapshot never changes, so its ``record_hash`` is that of its bytes (first 128 bits).
    """
    record_hash = envelope.raw_sha256[:32]
    value = _head(environment) | {
        "dataset": envelope.dataset,
        "operating_day": envelope.day,
        "identifier": envelope.identifier,
        "endpoint": envelope.endpoint,
        "dialect": envelope.dialect,
        "finality": envelope.finality,
        "asked": envelope.asked,
        "filters": dict(envelope.filters),
        "fetched_at": envelope.fetched_at,
        "object": place.uri,
        "etag": place.etag,
        "version": place.version,
        "raw_sha256": envelope.raw_sha256,
        "content_sha256": envelope.content_sha256,
        "topic": topic,
        "rows": rows,
        "quality": quality,
        "record_hash": record_hash,
    }
    key = f"{envelope.dataset}/{envelope.day}/{envelope.identifier}"
    return Message(SNAPSHOTS_TOPIC, key, _JSON.encode(value), record_hash)


def document_message(
    topic: str, key: str, document: Mapping[str, Any], environment: str
) -> Message:
    """``document`` as a message; its ``record_hash`` is over its content, with sorted keys."""
    text = msgspec.json.encode(document, order="sorted")
    record_hash = hashlib.sha256(text).hexdigest()[:32]
    value = _head(environment) | dict(document) | {"record_hash": record_hash}
    return Message(topic, key, _JSON.encode(value), record_hash)


def _head(environment: str) -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "environment": environment}


# --- schemas -------------------------------------------------------------------------------------


def schemas(datasets: Iterable[Dataset], topics: Mapping[str, str]) -> dict[str, Schema]:
    """Build the JSON Schema of every topic's values; ``topics`` maps dataset keys to topics."""
    found = {topics[d.key]: row_schema(d, topics[d.key]) for d in datasets}
    return found | {SNAPSHOTS_TOPIC: _SNAPSHOT, ALERTS_TOPIC: _ALERT}


def row_schema(dataset: Dataset, topic: str) -> Schema:
    """The schema of a row of ``dataset``: its table's columns, with their documentation."""
    columns = {c.name: _column(c) for c in dataset.table.columns}
    fields = {"dataset": {"const": dataset.key}} | columns | {"record_hash": _HASH}
    return _object(topic, f"A row of {dataset.table.identifier}. {dataset.table.doc}", fields)


def _column(column: Column) -> Schema:
    kinds: dict[Any, Schema] = {
        pl.Date(): {"type": "string", "pattern": _DATE},
        UTC: {"type": "string", "pattern": _INSTANT},
        pl.String(): {"type": "string"},
        pl.Float64(): {"type": "number"},
        pl.Int64(): {"type": "integer"},
        pl.Boolean(): {"type": "boolean"},
    }
    found = kinds[column.dtype]
    if column.nullable:
        found = found | {"type": [found["type"], "null"]}
    return found | {"description": column.described}


def _object(topic: str, title: str, fields: Schema) -> Schema:
    head: Schema = {
        "schema_version": {"const": SCHEMA_VERSION},
        "environment": {"enum": ["dev", "staging", "prod"]},
    }
    known = head | fields
    return {
        "$schema": _DRAFT,
        "$id": f"urn:aurum:{topic}",
        "title": title,
        "type": "object",
        "properties": known,
        "required": list(known),
        "additionalProperties": False,
    }


def _string(doc: str, *, nullable: bool = False, pattern: str = "") -> Schema:
    kind: Schema = {"type": ["string", "null"] if nullable else "string", "description": doc}
    return kind | ({"pattern": pattern} if pattern else {})


def _count(doc: str, *, nullable: bool = False) -> Schema:
    kind = ["integer", "null"] if nullable else "integer"
    return {"type": kind, "minimum": 0, "description": doc}


_HASH = _string("With the key, identifies a repeated message.", pattern="^[0-9a-f]{32}$")
_SHA = "^[0-9a-f]{64}$"
_QUALITY: Schema = {
    "type": "object",
    "description": "The outcome of the snapshot's records.",
    "properties": {
        "records": _count("Records that it held.", nullable=True),
        "quarantined": _count("Records that a rule kept out of the table.", nullable=True),
        "rejected": _string("Why it gave no rows at all.", nullable=True),
        "drift": {
            "type": "array",
            "items": {"type": "string"},
            "description": "How its schema differs from what config expects.",
        },
    },
    "required": ["records", "quarantined", "rejected", "drift"],
    "additionalProperties": False,
}
_SNAPSHOT = _object(
    SNAPSHOTS_TOPIC,
    "A snapshot was stored in the raw archive, and its rows in their table.",
    {
        "dataset": _string("The dataset."),
        "operating_day": _string("The operating day that it belongs to.", pattern=_DATE),
        "identifier": _string("The object's name; sorts by the instant of the fetch."),
        "endpoint": _string("The endpoint that was asked."),
        "dialect": _string("The shape of the answer."),
        "finality": _string("prelim or final, where the dataset has it.", nullable=True),
        "asked": _string("The operating day that was asked for.", nullable=True, pattern=_DATE),
        "filters": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "How the request was narrowed.",
        },
        "fetched_at": _string("When the bytes were fetched, UTC.", pattern=_INSTANT),
        "object": _string("Address of the gzipped bytes."),
        "etag": _string("The object's ETag, where it is known.", nullable=True),
        "version": _string("The object's version, where the store has versions.", nullable=True),
        "raw_sha256": _string("SHA-256 of the bytes.", pattern=_SHA),
        "content_sha256": _string("SHA-256 of their content.", pattern=_SHA),
        "topic": _string("The topic of its rows."),
        "rows": _count(
            "Rows of the table that this snapshot was the first to give, when this was sent."
        ),
        "quality": _QUALITY,
        "record_hash": _HASH,
    },
)
_ALERT = _object(
    ALERTS_TOPIC,
    "An incident that a person should look at: opened, reminder, or recovered.",
    {
        "notice": {"enum": ["opened", "reminder", "recovered"]},
        "alert_id": _string("The same in all notices of one incident."),
        "kind": _string("Kind of incident, for instance late_feed."),
        "severity": {"enum": ["ERROR", "WARN"]},
        "dataset": _string("The dataset; empty where it is about none."),
        "subject": _string("Distinguishes incidents of one kind."),
        "day": _string("The operating day; empty where it is about none."),
        "sentence": _string("What is wrong."),
        "what_to_do": _string("What to do."),
        "opened_at": _string("When it was first seen, UTC.", pattern=_INSTANT),
        "last_seen_at": _string("When it was last seen, UTC.", pattern=_INSTANT),
        "closed_at": _string("Since when it is over, UTC.", nullable=True, pattern=_INSTANT),
        "record_hash": _HASH,
    },
)
