"""Keep: archive an answer, unless it is identical to its request's latest snapshot.

Of a day of a sparse table, the first answer that settles it is archived even so: it proves that an
equal one without records was not merely early.

Where the archive is out of reach the answer goes to the spool, a folder archive on this machine
(CTS shows today only: what was fetched cannot be fetched again). The next run of its dataset
uploads it. Each uploaded snapshot has a mark until its day is normalized, so that a kill in between
leaves no table short; so has one that another dataset archived under a day that was done.

    AURUM_HOME/spool/sourcing/…, rejected/…                waits to be archived
    AURUM_HOME/spool/owed/{folder}/{day}/{identifier}      mark: archived, not normalized yet
"""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aurum_assets.ingest.sharing import readers
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Envelope
from aurum_assets.model.errors import ConfigError, MalformedPayload, StoreError, StoreUnavailable
from aurum_assets.resources.archive import (
    Archive,
    Rejection,
    Stored,
    endpoint_of,
    fetched_at_of,
    order_of,
)
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import get_logger

log = get_logger(__name__)

_MOST_MARKS = 100  # more are of a dataset that is not collected on this machine
_DRAIN_SECONDS = 60.0  # after which the rest of the spool is left to the next run


@dataclass(frozen=True)
class Kept:
    """Path of an answer below the archive's root; ``stored`` is None where it repeats another.

    ``failure``: why it is in the spool, not in the archive.
    """

    path: str
    stored: Stored | None = None
    failure: StoreError | ConfigError | None = None


def keep(
    resources: Resources, dataset: Dataset, envelope: Envelope, body: bytes, *, force: bool = False
) -> Kept:
    """Archive an answer, unless it repeats its request's latest snapshot and proves no more.

    With ``force`` it is archived in any case. Where the archive is out of reach or refuses, the
    answer goes to the spool. Raises ``StoreUnavailable`` where that fails too.
    """
    folder, others = dataset.archive_name, _others_to_tell(resources, dataset, envelope)
    try:
        return _archive(resources, dataset, envelope, body, others, force=force)
    except (StoreError, ConfigError) as error:
        failure = _spooled(resources, error, lambda spool: spool.put(folder, envelope, body))
        return Kept(resources.spool.path(folder, envelope), failure=failure)


def keep_rejected(resources: Resources, rejection: Rejection, body: bytes) -> Kept:
    """Keep bytes that cannot be parsed, as ``keep`` does; ``stored`` is None."""
    try:
        return Kept(resources.archive.reject(rejection, body))
    except (StoreError, ConfigError) as error:
        failure = _spooled(resources, error, lambda spool: spool.reject(rejection, body))
        return Kept(resources.spool.rejected_path(rejection), failure=failure)


def _spooled(
    resources: Resources, error: StoreError | ConfigError, put: Callable[[Archive], object]
) -> StoreError | ConfigError:
    """Write to the spool with ``put``; returns ``error`` extended by where the bytes are."""
    try:
        put(resources.spool)
    except StoreUnavailable as worse:
        msg = f"{error}; the spool cannot be written either, the bytes are lost: {worse}"
        raise StoreUnavailable(msg) from None
    return type(error)(
        f"{error}; the bytes are kept in {resources.spool.uri} until a next run uploads them"
    )


def waiting(resources: Resources) -> tuple[int, dt.datetime | None]:
    """How many answers wait in the spool, and since when the oldest does (UTC, machine's clock)."""
    since = []
    for path in (resources.root / "spool").rglob("*.gz"):
        with suppress(FileNotFoundError):  # uploaded meanwhile
            since.append(path.stat().st_mtime)
    return len(since), dt.datetime.fromtimestamp(min(since), dt.UTC) if since else None


def drain_spool(resources: Resources, dataset: Dataset) -> None:
    """Upload to the archive what the spool holds of ``dataset``, for about a minute at most.

    After a kill between upload and removal the next run finds the object in the archive. Raises
    ``StoreError`` or ``ConfigError`` where the archive is still out of reach or refuses.
    """
    if not (resources.root / "spool").exists():
        return
    with resources.lock(f"spool-{dataset.answers}"):
        until, folder = time.monotonic() + _DRAIN_SECONDS, dataset.archive_name
        for day in resources.spool.days(folder):
            for identifier in resources.spool.identifiers(folder, day):
                if time.monotonic() > until:
                    return
                with _left_where_damaged():
                    _drain_one(resources, dataset, day, identifier)
        for path in resources.spool.unsettled(dataset.key):
            if time.monotonic() > until:
                return
            with _left_where_damaged():
                rejection = resources.spool.rejection(path)
                resources.archive.reject(rejection, resources.spool.rejected_body(rejection))
                resources.spool.discard_rejected(rejection)


def _drain_one(resources: Resources, dataset: Dataset, day: str, identifier: str) -> None:
    snapshot = resources.spool.snapshot(dataset.archive_name, day, identifier)
    marked = [reader for reader in readers(dataset) if resources.config(reader).enabled]
    _archive(resources, dataset, snapshot.envelope, snapshot.body, marked)
    resources.spool.discard(dataset.archive_name, snapshot.envelope)


@contextmanager
def _left_where_damaged() -> Iterator[None]:
    try:
        yield
    except (MalformedPayload, FileNotFoundError) as error:
        log.warning("left in the spool", because=str(error))


def unnormalized_days(resources: Resources, dataset: Dataset) -> list[str]:
    """The days with uploaded snapshots that were not normalized since, in order."""
    return sorted({path.parent.name for path in _marks(resources, dataset).glob("*/*")})


def unmark(
    resources: Resources, dataset: Dataset, day: OperatingDay, identifiers: Iterable[str]
) -> None:
    """Remove the marks of these snapshots of ``day``: the table holds them."""
    marks = _marks(resources, dataset) / day.key
    if marks.exists():
        for identifier in identifiers:
            (marks / identifier).unlink(missing_ok=True)


def settled(resources: Resources, dataset: Dataset) -> list[Path]:
    """The marks that are obsolete: their snapshot is merged, or in neither archive nor spool.

    Raises ``AurumError`` where archive or lake are out of reach.
    """
    marks = sorted(_marks(resources, dataset).glob("*/*"))
    table = resources.lake.find(dataset.table) if marks else None
    uuid = str(table.metadata.table_uuid) if table is not None else ""
    found = []
    for mark in marks:
        day, folder = mark.parent.name, dataset.archive_name
        merged = resources.registry.merged(dataset.key, day, uuid)
        wanted = {
            *resources.archive.identifiers(folder, day),
            *resources.spool.identifiers(folder, day),
        }
        if mark.name in merged or mark.name not in wanted:
            found.append(mark)
    return found


def pending_days(resources: Resources, dataset: Dataset) -> list[str]:
    """The days with answers in the spool, or uploaded and not normalized yet."""
    if not (resources.root / "spool").exists():
        return []
    return sorted(
        {*unnormalized_days(resources, dataset), *resources.spool.days(dataset.archive_name)}
    )


def _marks(resources: Resources, dataset: Dataset) -> Path:
    name = dataset.key if dataset.shares else dataset.archive_name
    return resources.root / "spool" / "owed" / name


def _others_to_tell(resources: Resources, dataset: Dataset, envelope: Envelope) -> list[Dataset]:
    """The other readers of an answer of a past day that were done with that day.

    After midnight only one dataset has values of yesterday; the others would not look there again.
    """

    def looks_here(reader: Dataset) -> bool:
        marks = sum(1 for _ in _marks(resources, reader).glob("*/*"))
        return resources.config(reader).enabled and marks < _MOST_MARKS

    if envelope.day == dataset.operator.day_of(envelope.fetched_at).key:
        return []
    done = (r for r in readers(dataset)[1:] if resources.registry.ledger(r.key, envelope.day))
    return [reader for reader in done if looks_here(reader)]


def _archive(
    resources: Resources,
    dataset: Dataset,
    envelope: Envelope,
    body: bytes,
    marked: Iterable[Dataset],
    *,
    force: bool = False,
) -> Kept:
    """List the day once, and put the answer where it is new, with a mark for each of ``marked``."""
    others = [
        identifier
        for identifier in resources.archive.identifiers(dataset.archive_name, envelope.day)
        if endpoint_of(identifier) == envelope.endpoint
    ]
    order = order_of(envelope.identifier)
    force = force or _settles(resources, dataset, envelope, others)
    repeated = None if force else _repeated(resources, dataset, envelope, others)
    if repeated is None or envelope.identifier in repeated:  # or a kill came after its upload
        for reader in marked:
            mark = _marks(resources, reader) / envelope.day / envelope.identifier
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
    if repeated is not None:
        return Kept(repeated)
    newest = all(order_of(identifier) <= order for identifier in others)
    if newest:
        resources.registry.forget_newest(envelope)
    with resources.metrics.seconds("upload_seconds", dataset):
        stored = resources.archive.put(dataset.archive_name, envelope, body)
    resources.registry.record(envelope, stored, newest=newest)
    return Kept(stored.path, stored)


def _settles(resources: Resources, dataset: Dataset, envelope: Envelope, others: list[str]) -> bool:
    """Whether it is the first answer that proves what a day of a sparse table has, and lacks."""
    feed = resources.config(dataset).feed_of(envelope.endpoint)
    if not dataset.table.sparse or feed is None or feed.asks == "now":
        return False
    settled = feed.settles_at(dataset.day(envelope.day))
    known = any(fetched_at_of(identifier) >= settled for identifier in others)
    return not known and envelope.fetched_at >= settled


def _repeated(
    resources: Resources, dataset: Dataset, envelope: Envelope, others: list[str]
) -> str | None:
    """The path of the latest snapshot of the same request, where its content is identical.

    Only snapshots among ``others`` that are not newer than this one count. None where a spooled
    answer lies between the two, or the spool cannot be read: that answer may differ, and an extra
    copy is harmless, a dropped correction is not. The registry is trusted only for a snapshot that
    the archive lists and that no other of the same request follows: another machine may have
    archived one while the registry was out of reach.
    """
    order = order_of(envelope.identifier)
    try:
        spooled = {
            identifier
            for identifier in resources.spool.identifiers(dataset.archive_name, envelope.day)
            if endpoint_of(identifier) == envelope.endpoint and order_of(identifier) < order
        }
    except StoreUnavailable:
        return None
    before = {identifier for identifier in others if order_of(identifier) <= order}
    known = resources.registry.newest(envelope.dataset, envelope.day, envelope.request)
    for identifier in sorted(before | spooled, key=order_of, reverse=True):
        if identifier in spooled:
            return None
        if known is not None and known.identifier == identifier:
            return known.path if known.content_sha256 == envelope.content_sha256 else None
        try:
            other = resources.archive.envelope(dataset.archive_name, envelope.day, identifier)
        except MalformedPayload:
            continue  # its envelope is lost; normalize reports it
        if other.request == envelope.request:
            same = other.content_sha256 == envelope.content_sha256
            return resources.archive.path(dataset.archive_name, other) if same else None
    return None
