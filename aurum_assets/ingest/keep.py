"""Keep: an answer into the archive, unless its request was answered so last.

Where the archive is out of reach the answer goes to the spool, a folder archive of this machine
(CTS shows today only: what was fetched cannot be fetched again), and up with the next run of its
dataset. A day that got something from the spool is owed until it was normalized, so that no kill
between the two leaves a table short.

    AURUM_HOME/spool/sourcing/…, rejected/…                what waits to be archived
    AURUM_HOME/spool/owed/{folder}/{day}/{identifier}      what came up and waits to be normalized
"""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Envelope
from aurum_assets.model.errors import ConfigError, MalformedPayload, StoreError, StoreUnavailable
from aurum_assets.resources.archive import Archive, Rejection, Stored, endpoint_of, order_of
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.settings import Resources

log = get_logger(__name__)

_DRAIN_SECONDS = 60.0  # after which the rest of the spool is left to the next run


@dataclass(frozen=True)
class Kept:
    """Where an answer lies, from the archive's root; ``stored`` is None where it repeats another.

    ``trouble``: why it is in the spool, and not in the archive yet.
    """

    path: str
    stored: Stored | None = None
    trouble: StoreError | ConfigError | None = None


def keep(
    resources: Resources, dataset: Dataset, envelope: Envelope, body: bytes, *, force: bool = False
) -> Kept:
    """Archive an answer, unless (without ``force``) its request was answered so last.

    Where the archive is out of reach or refuses, the answer is in the spool. Raises
    ``StoreUnavailable`` where the spool does not take it either.
    """
    folder = dataset.archive_name
    try:
        return _archive(resources, dataset, envelope, body, force=force)
    except (StoreError, ConfigError) as error:
        trouble = _spooled(resources, error, lambda spool: spool.put(folder, envelope, body))
        return Kept(resources.spool.path(folder, envelope), trouble=trouble)


def keep_rejected(resources: Resources, rejection: Rejection, body: bytes) -> Kept:
    """Keep bytes that cannot be read, as ``keep`` does; ``stored`` is None."""
    try:
        return Kept(resources.archive.reject(rejection, body))
    except (StoreError, ConfigError) as error:
        trouble = _spooled(resources, error, lambda spool: spool.reject(rejection, body))
        return Kept(resources.spool.rejected_path(rejection), trouble=trouble)


def _spooled(
    resources: Resources, error: StoreError | ConfigError, put: Callable[[Archive], object]
) -> StoreError | ConfigError:
    """``error``, and that the bytes wait in the spool, where ``put`` puts them."""
    try:
        put(resources.spool)
    except StoreUnavailable as worse:
        msg = f"{error}; the spool takes the bytes neither, they are lost: {worse}"
        raise StoreUnavailable(msg) from None
    return type(error)(
        f"{error}; the bytes are kept in {resources.spool.uri} and go up with a next run"
    )


def waiting(resources: Resources) -> tuple[int, dt.datetime | None]:
    """How many answers wait in the spool, and since when (UTC, by this machine) the oldest does."""
    since = []
    for path in (resources.root / "spool").rglob("*.gz"):
        with suppress(FileNotFoundError):  # it went up meanwhile
            since.append(path.stat().st_mtime)
    return len(since), dt.datetime.fromtimestamp(min(since), dt.UTC) if since else None


def drain_spool(resources: Resources, dataset: Dataset) -> None:
    """Bring up what the spool holds of ``dataset``, for at most about a minute.

    A kill between upload and removal brings it up again, and finds it there. Raises
    ``StoreError`` or ``ConfigError`` where the archive is still out of reach or refuses.
    """
    if not (resources.root / "spool").exists():
        return
    with resources.lock(f"spool-{dataset.key}"):
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
    debt = _owed(resources, dataset) / day / identifier
    debt.parent.mkdir(parents=True, exist_ok=True)
    debt.touch()
    kept = _archive(resources, dataset, snapshot.envelope, snapshot.body)
    if kept.stored is None and identifier not in kept.path:
        debt.unlink(missing_ok=True)  # it repeats another answer: nothing came up
    resources.spool.discard(dataset.archive_name, snapshot.envelope)


@contextmanager
def _left_where_damaged() -> Iterator[None]:
    try:
        yield
    except (MalformedPayload, FileNotFoundError) as error:
        log.warning("left in the spool", because=str(error))


def owed_days(resources: Resources, dataset: Dataset) -> list[str]:
    """The days that got something from the spool and were not normalized since, in order."""
    return sorted({path.parent.name for path in _owed(resources, dataset).glob("*/*")})


def pay(
    resources: Resources, dataset: Dataset, day: OperatingDay, identifiers: Iterable[str]
) -> None:
    """Say that the table holds these snapshots of ``day``."""
    owed = _owed(resources, dataset) / day.key
    if owed.exists():
        for identifier in identifiers:
            (owed / identifier).unlink(missing_ok=True)


def settled(resources: Resources, dataset: Dataset) -> list[Path]:
    """The marks for which nothing is left to do: the table is known to hold their snapshot, or
    neither archive nor spool has it.

    Raises ``AurumError`` where archive or lake cannot be asked.
    """
    marks = sorted(_owed(resources, dataset).glob("*/*"))
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
    """The days of which something waits in the spool, or came up and waits to be normalized."""
    if not (resources.root / "spool").exists():
        return []
    return sorted({*owed_days(resources, dataset), *resources.spool.days(dataset.archive_name)})


def _owed(resources: Resources, dataset: Dataset) -> Path:
    return resources.root / "spool" / "owed" / dataset.archive_name


def _archive(
    resources: Resources, dataset: Dataset, envelope: Envelope, body: bytes, *, force: bool = False
) -> Kept:
    """One look at the day, and a put where the answer is new."""
    others = [
        identifier
        for identifier in resources.archive.identifiers(dataset.archive_name, envelope.day)
        if endpoint_of(identifier) == envelope.endpoint
    ]
    order = order_of(envelope.identifier)
    if not force:
        repeated = _repeated(resources, dataset, envelope, others)
        if repeated is not None:
            return Kept(repeated)
    newest = all(order_of(identifier) <= order for identifier in others)
    if newest:
        resources.registry.forget_newest(envelope)
    with resources.metrics.seconds("upload_seconds", dataset):
        stored = resources.archive.put(dataset.archive_name, envelope, body)
    resources.registry.record(envelope, stored, newest=newest)
    return Kept(stored.path, stored)


def _repeated(
    resources: Resources, dataset: Dataset, envelope: Envelope, others: list[str]
) -> str | None:
    """The path of the newest snapshot of the same request among ``others`` that is not after this
    one, where its content is the same.

    What waits in the spool and comes between the two may say something else: no repetition then, as
    where the spool cannot be read. An extra copy is harmless, a correction that is dropped is not.
    The registry is believed of a snapshot that the archive lists, and that no other of the same
    request follows: another machine may have archived one while the registry was out of reach.
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
    known = resources.registry.newest(dataset.key, envelope.day, envelope.request)
    for identifier in sorted(before | spooled, key=order_of, reverse=True):
        if identifier in spooled:
            return None
        if known is not None and known.identifier == identifier:
            return known.path if known.content_sha256 == envelope.content_sha256 else None
        try:
            other = resources.archive.envelope(dataset.archive_name, envelope.day, identifier)
        except MalformedPayload:
            continue  # a lost envelope says nothing; normalize reports it
        if other.request == envelope.request:
            same = other.content_sha256 == envelope.content_sha256
            return resources.archive.path(dataset.archive_name, other) if same else None
    return None
