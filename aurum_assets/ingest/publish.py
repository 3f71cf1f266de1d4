"""Publish: send committed rows to Kafka through the outbox.

An intent for each snapshot is written before its rows are committed (``intend``) and confirmed
after the commit (``committed``). ``drain`` then sends the rows that the table holds of it, each
with its key and hash, and one notification of the snapshot. A kill at any point loses nothing; a
repeated message carries the same key and hash. The last message of a key is the row that the table
holds: a value that was superseded before it could be sent is in the table's history, and is not
sent.
Publishing never stops collecting: a failure is one warning, and the messages wait.
"""

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Envelope
from aurum_assets.model.errors import AurumError, ConfigError, DataError
from aurum_assets.model.message import (
    SNAPSHOTS_TOPIC,
    Message,
    Place,
    Quality,
    row_messages,
    schemas,
    snapshot_message,
)
from aurum_assets.operators import DATASETS
from aurum_assets.resources import config_schema
from aurum_assets.resources.archive import order_of
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.outbox import Intent

Publish = Literal["nothing", "changes", "everything"]
Position = tuple[int, int]
Parcel = tuple[int, Iterable[Message]]

LONGEST = 60.0  # seconds after which a drain begins no other snapshot: the next run continues
_ENOUGH = f"a run begins nothing more after {LONGEST:g} s of it"
log = get_logger(__name__)

_KNOWN = {d.key: d for d in DATASETS}


def changes(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: Sequence[str],
    fresh: Collection[str],
    known: Collection[str],
    publish: Publish,
) -> list[str]:
    """The snapshots of a day to be published: those of which new or changed rows are committed.

    ``fresh``: their hashes (16 digits); ``known``: those of which the table holds rows. Also
    snapshots that no run has merged and that give no row; all where ``publish`` is ``everything``.
    What the table holds already was published by an earlier run.
    """
    if not resources.events.configured or publish == "nothing":
        return []
    if publish == "everything":
        return list(identifiers)
    merged = resources.registry.merged(dataset.key, day.key, resources.lake.uuid(dataset.table))
    return [
        i
        for i in identifiers
        if order_of(i)[1] in fresh or (i not in merged and order_of(i)[1] not in known)
    ]


def intend(
    resources: Resources, dataset: Dataset, day: OperatingDay, identifiers: Collection[str]
) -> None:
    """Before a commit: record that these snapshots are to be published."""
    if not resources.events.configured or not identifiers:
        return
    try:
        resources.events.outbox.intend(dataset.key, day.key, identifiers)
    except ConfigError as error:
        resources.events.give_up(f"{_unpublished(dataset, day.key)}: {error}")


def committed(
    resources: Resources, dataset: Dataset, qualities: Mapping[str, Mapping[str, Quality]]
) -> None:
    """After a commit, under the same lock: confirm that these snapshots are in the table.

    ``qualities``: by day, what became of each.

    Intents that other runs of the dataset left open are settled too. No other process of this home
    holds the lock: what is not in the table now was not committed, unless another machine
    superseded all of it since (it is in the history) or merged it (the registry has it).
    """
    if not resources.events.configured or not qualities:
        return
    try:
        for day, of_day in qualities.items():
            resources.events.outbox.committed(dataset.key, day, of_day)
        _settle(resources, dataset)
    except ConfigError as error:
        for day in qualities:
            resources.events.give_up(f"{_unpublished(dataset, day)}: {error}")


def _settle(resources: Resources, dataset: Dataset) -> None:
    outbox, dropped = resources.events.outbox, []
    for intent in outbox.unsettled(dataset.key):
        if _is_committed(resources, dataset, intent):
            outbox.committed(dataset.key, intent.day, {intent.identifier: Quality()})
        else:
            dropped.append(intent.id)
    if dropped:
        outbox.forget(dropped)


def _is_committed(resources: Resources, dataset: Dataset, intent: Intent) -> bool:
    uuid = resources.lake.uuid(dataset.table)
    if intent.identifier in resources.registry.merged(dataset.key, intent.day, uuid):
        return True
    partition = {"operating_day": dt.date.fromisoformat(intent.day)}
    held = (
        _hashes(resources.lake.read(table, partition, ("raw_sha256",)))
        for table in (dataset.table, dataset.table.history)
    )
    return any(order_of(intent.identifier)[1] in hashes for hashes in held)


def drain(resources: Resources) -> None:
    """Send what was committed and not sent yet, by any run; never raises for Kafka or outbox.

    Begins no snapshot (or message) after ``LONGEST`` seconds, and finishes what it began by then,
    so that every drain gets further however slow the brokers are: one snapshot, and less than 64 MB
    that the client has taken of others, 10 s a megabyte at the very worst. Takes 10 s where no
    broker answers, and no time at all for five minutes after it failed with this home, or while
    another process drains.
    """
    events, position = resources.events, (0, 0)
    if not events.configured:
        return
    until = time.monotonic() + LONGEST
    try:
        while not events.degraded and events.outbox.waits(position):
            with events.outbox.lock() as ours:
                if not ours:
                    return
                position = _drain(resources, position, until)
    except (AurumError, OSError) as error:
        events.give_up(_waits(str(error)))


def write_schemas(config: Path = PROJECT / "config") -> None:
    """Write the JSON Schemas to ``schemas`` in the config folder: one a topic, named by it, and
    that of the dataset files.
    """
    topics = {key: c.topic for key, c in load_config(config, DATASETS).datasets.items()}
    folder = config / "schemas"
    folder.mkdir(exist_ok=True)
    for topic, schema in schemas(DATASETS, topics).items():
        text = msgspec.json.format(msgspec.json.encode(schema), indent=2)
        (folder / f"{topic}.json").write_bytes(text + b"\n")
    config_schema.write(folder)


def _unpublished(dataset: Dataset, day: str) -> str:
    return (
        f"{dataset.key} {day}: what is committed now may never be sent to Kafka; "
        f"aurum replay {dataset.key} --day {day} --publish sends it"
    )


def _hashes(rows: pl.DataFrame) -> set[str]:
    """The first 16 digits of ``raw_sha256``, with which identifiers end."""
    return set(rows["raw_sha256"].str.slice(0, 16).unique().to_list())


# --- from the outbox to the messages -------------------------------------------------------------


@dataclass(frozen=True)
class _Batch:
    """What is sent at once. ``topics``: if one of these refuses, sending is useless.

    ``parcels`` appends to its argument why a part cannot be sent.
    """

    topics: frozenset[str]
    parcels: Callable[[list[str]], Iterable[Parcel]]
    forget: Callable[[Iterable[int]], None]


def _drain(resources: Resources, position: Position, until: float) -> Position:
    """Send what came into the outbox after ``position``; gives up where part of it stays there."""
    events, refusing = resources.events, set[str]()
    reasons: list[str] = []
    batches, position = _batches(resources, position)
    for batch in batches:
        if batch.topics & refusing:
            continue
        if time.monotonic() > until:
            reasons.append(_ENOUGH)
            break
        delivery = events.deliver(_begun(batch.parcels(reasons), until, reasons))
        batch.forget(delivery.done)
        log.info("published", snapshots_or_messages=len(delivery.done), topics=sorted(batch.topics))
        refusing |= delivery.topics
        if delivery.topics:  # a message that is too large stops no other
            reasons += delivery.refused.values()
        if delivery.stopped:
            reasons.append(delivery.stopped)
            break
    if reasons:
        events.give_up(_waits("; ".join(dict.fromkeys(reasons))))
    return position


def _begun(parcels: Iterable[Parcel], until: float, reasons: list[str]) -> Iterator[Parcel]:
    """The parcels until the time is up."""
    for parcel in parcels:
        if time.monotonic() > until:
            reasons.append(_ENOUGH)
            return
        yield parcel


def _batches(resources: Resources, position: Position) -> tuple[list[_Batch], Position]:
    """Messages first, then one batch an operating day, the oldest first."""
    outbox = resources.events.outbox
    messages, due = outbox.messages(position[1]), outbox.due(position[0])
    batches = []
    if messages:
        parcels = [(number, [message]) for number, message in messages]
        batches.append(_Batch(frozenset(), lambda _: parcels, outbox.sent))
    by_day: defaultdict[tuple[Dataset, str], list[Intent]] = defaultdict(list)
    for intent in (i for i in due if i.dataset in _KNOWN):  # those of another version wait for it
        by_day[_KNOWN[intent.dataset], intent.day].append(intent)
    for (dataset, _), intents in by_day.items():
        topics = frozenset({resources.config(dataset).topic, SNAPSHOTS_TOPIC})
        batches.append(
            _Batch(topics, partial(_parcels, resources, dataset, intents), outbox.forget)
        )
    return batches, (
        max((i.id for i in due), default=position[0]),
        max((number for number, _ in messages), default=position[1]),
    )


def _waits(reason: str) -> str:
    return f"{reason}; what was not acknowledged waits in the outbox for the next run"


def _parcels(
    resources: Resources, dataset: Dataset, intents: Sequence[Intent], reasons: list[str]
) -> list[tuple[int, Iterator[Message]]]:
    """The messages of one day's snapshots, from the rows that the table holds now."""
    found = []
    for intent in intents:
        try:
            name = (dataset.archive_name, intent.day, intent.identifier)
            found.append((intent, resources.archive.envelope(*name)))
        except DataError as error:
            reasons.append(str(error))
    partition: dict[str, Any] = {"operating_day": dt.date.fromisoformat(intents[0].day)}
    if len(found) == 1:
        partition["raw_sha256"] = found[0][1].raw_sha256
    rows = resources.lake.read(dataset.table, partition)
    return [(i.id, _messages(resources, dataset, i, envelope, rows)) for i, envelope in found]


def _messages(
    resources: Resources, dataset: Dataset, intent: Intent, envelope: Envelope, rows: pl.DataFrame
) -> Iterator[Message]:
    """The messages of one snapshot: the rows that it was the first to give, then itself."""
    topic, environment = resources.config(dataset).topic, resources.events.environment
    first = (pl.col("raw_sha256") == envelope.raw_sha256) & (
        pl.col("fetched_at") == envelope.fetched_at
    )
    ours = rows.filter(first)
    yield from row_messages(dataset, topic, environment, ours)
    known = resources.registry.stored(envelope)
    uri = f"{resources.archive.uri}/{resources.archive.path(dataset.archive_name, envelope)}"
    place = Place(uri, known.etag or None, known.version or None) if known else Place(uri)
    own = replace(envelope, dataset=dataset.key)  # another one's name, where it is shared
    yield snapshot_message(
        own, place, intent.quality, topic=topic, environment=environment, rows=len(ours)
    )
