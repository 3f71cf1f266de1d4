"""Accept: archive an answer under its operating day, or reject it with a reason.

Only the day and the content hash of an answer are read before it is archived; where even that
fails, the bytes are kept under ``rejected/``.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from aurum_assets.ingest.collected import Archived
from aurum_assets.ingest.keep import keep, keep_rejected
from aurum_assets.ingest.rejecting import rejecting
from aurum_assets.ingest.spread import is_believable, spread
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Envelope, FormatName
from aurum_assets.model.errors import DataError, MalformedPayload
from aurum_assets.model.reading import Inspection, inspect_answer
from aurum_assets.resources.archive import Rejection
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True)
class Received:
    """An answer before it is archived. ``broken`` says why it is known to be unusable."""

    body: bytes
    endpoint: str
    dialect: str
    format: FormatName
    fetched_at: dt.datetime
    finality: str | None = None
    asked: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""


def accept(
    resources: Resources, dataset: Dataset, received: Received, *, force: bool = False
) -> Archived:
    """Archive an answer under its day, unless identical to its request's latest snapshot.

    Never raises for what the bytes hold: bytes that cannot be read come back as ``rejected``.
    Raises ``StoreError`` or ``ConfigError`` where they had to be spooled.
    """
    archived = kept_or_spooled(resources, dataset, received, force=force)
    if archived.failure is not None:
        raise archived.failure
    return archived


def kept_or_spooled(
    resources: Resources, dataset: Dataset, received: Received, *, force: bool
) -> Archived:
    """Accept an answer as ``accept`` does; one that went to the spool is returned, not raised."""
    raw = hashlib.sha256(received.body).hexdigest()
    try:
        if received.broken:
            raise MalformedPayload(received.broken)
        seen, day = place(dataset, received)
    except DataError as error:
        rejection = Rejection(
            dataset.key,
            received.endpoint,
            received.fetched_at,
            raw,
            reason=str(error),
            dialect=received.dialect,
            finality=received.finality,
            asked=received.asked,
            filters=received.filters,
        )
        kept = keep_rejected(resources, rejection, received.body)
        if kept.failure is not None:
            return Archived("spooled", kept.path, reason=str(error), failure=kept.failure)
        resources.metrics.count("rejected_snapshots", dataset)
        return Archived("rejected", kept.path, reason=str(error))
    alike = {d.name for d in dataset.dialects if d.shape == seen.dialect.shape}
    envelope = Envelope(
        dataset=dataset.answers,
        endpoint=received.endpoint,
        dialect=received.dialect if received.dialect in alike else seen.dialect.name,
        format=received.format,
        day=day.key,
        fetched_at=received.fetched_at,
        raw_sha256=raw,
        content_sha256=seen.content_sha256,
        finality=received.finality,
        asked=received.asked,
        filters=received.filters,
    )
    kept = keep(resources, dataset, envelope, received.body, force=force)
    also = spread(resources, dataset, envelope, received.body, seen, force=force)
    if kept.failure is not None:
        failure, partial = kept.failure, seen.partial
        return Archived("spooled", kept.path, day.key, failure=failure, partial=partial, also=also)
    if seen.partial:
        log.warning("the answer is partial", dataset=dataset.key, because=seen.partial)
    stored = kept.stored
    if stored is None or (force and not stored.created):
        resources.metrics.count("duplicates", dataset)
        records, partial = seen.records, seen.partial
        return Archived(
            "duplicate", kept.path, day.key, records=records, partial=partial, also=also
        )
    resources.metrics.count("collected", dataset)
    resources.metrics.observe("snapshot_rows", dataset, seen.records)
    return Archived(
        "stored",
        kept.path,
        day.key,
        envelope.identifier,
        bytes=stored.bytes,
        records=seen.records,
        stored=stored,
        partial=seen.partial,
        also=also,
    )


def place(dataset: Dataset, received: Received) -> tuple[Inspection, OperatingDay]:
    """Inspect an answer, and find the operating day that it belongs to.

    Raises ``MalformedPayload`` where it has no shape that the dataset knows, or no believable day.
    """
    with rejecting(dataset, f"an answer of {received.endpoint}"):
        seen = inspect_answer(dataset, received.body, received.format)
        return seen, _day_of(dataset, received, seen)


def _day_of(dataset: Dataset, received: Received, seen: Inspection) -> OperatingDay:
    """The operating day of a snapshot: that of its content, else the one asked for.

    Of several days that one answer is of, the newest.
    """
    fetched, days = dataset.operator.day_of(received.fetched_at), seen.days
    if seen.dialect.several_days:
        days = tuple(sorted((d for d in set(days) if is_believable(d, fetched)), reverse=True))
    text = days[0] if days else received.asked or fetched.key
    try:
        day = dataset.day(text)
    except (ValueError, OverflowError) as error:
        raise MalformedPayload(str(error)) from error
    if not is_believable(day.key, fetched):
        msg = f"{dataset.key}: the content is of {day}, fetched on {fetched}: not believable"
        raise MalformedPayload(msg)
    return day
