"""The raw archive: every byte that an operator sent, by the operating day that it belongs to.

    sourcing/{folder}/year=YYYY/month=MM/day=DD/{identifier}.json.gz     the bytes, gzipped
    rejected/{dataset}/year=YYYY/month=MM/day=DD/{name}.gz               bytes that cannot be read
    rejected/{dataset}/year=YYYY/month=MM/day=DD/{name}.settled.json     read later: the day
    origin/simulated, or origin/real                                     which data is kept here

An object is put once and never changed. Its metadata (JSON) is its envelope, or why it was
rejected. The header of its gzip holds the hash of that metadata (the seal), which an edit of the
envelope does not reach. Replay needs nothing but the archive. Not here: where objects are stored (a
``Store``: a folder, a bucket), what is a duplicate (the registry), what the bytes mean (model).
"""

import datetime as dt
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from aurum_assets.model.dataset import Envelope, Snapshot
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.finding import Finding
from aurum_assets.model.formats import FORMATS

_T = TypeVar("_T")

_LEVEL = 6  # 9 takes four times as long for 2 % less
_BODIES = tuple(f".{name}.gz" for name in FORMATS)
_ORIGIN = "origin/"
_SEAL = b"envelope-sha256="
_HEADER, _COMMENT = 10, 0x10  # bytes before a gzip's optional fields; the flag of its comment
_MOST_AT_ONCE = 64_000_000  # bytes
_READS = 3  # a store may hand out damaged bytes once; a damaged object stays damaged


@dataclass(frozen=True)
class Stored:
    """The place of a stored object. ``created`` is False where it existed already."""

    path: str
    etag: str
    version: str
    bytes: int
    created: bool


@dataclass(frozen=True)
class Rejection:
    """Bytes that could not be read, the reason, and the known fields of their ``Envelope``."""

    dataset: str
    endpoint: str
    fetched_at: dt.datetime
    raw_sha256: str
    reason: str
    dialect: str = ""
    finality: str | None = None
    asked: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The object's name; the identifier of a snapshot of the same answer contains it."""
        return f"{self.endpoint}-{self.raw_sha256[:16]}"


class Store(Protocol):
    """Objects by key, each put once and never changed, with metadata (JSON).

    A gzip that is put with metadata is ``sealed`` with that of the object that is stored.

    Every method raises ``StoreUnavailable`` where the store is out of reach, and ``StoreRefused``
    where it refuses; neither is ever an empty answer.
    """

    @property
    def uri(self) -> str:
        """The address of the store, without credentials."""

    def put(self, key: str, body: bytes, metadata: bytes = b"") -> Stored:
        """Put ``body`` if ``key`` does not exist; atomic, body and metadata together."""

    def get(self, key: str) -> tuple[bytes, bytes]:
        """Read body and metadata of an object. Raises ``FileNotFoundError``."""

    def metadata(self, key: str) -> bytes:
        """Read the metadata of an object. Raises ``FileNotFoundError``."""

    def below(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Key and bytes of every object whose key begins with the folder ``prefix``."""

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders directly below the folder ``prefix``."""

    def changed(self, prefix: str) -> int | None:
        """A number that changes when an object is added or removed directly in folder ``prefix``.

        None where the store has none, or where the last change is too recent to be sure.
        """

    def remove(self, key: str) -> None:
        """Remove an object and its metadata; no error where there is none."""

    def check(self, seconds: float) -> Finding:
        """Put, get, list and remove a small object as a run does, each within ``seconds``.

        Raises nothing.
        """


class DaySize(msgspec.Struct, frozen=True, array_like=True):
    """How many objects an operating day has, their bytes, and the value of ``Store.changed``."""

    changed: int | None
    objects: int
    bytes: int


class _Sealed(msgspec.Struct):
    """The field that the metadata of every object has."""

    raw_sha256: str


def order_of(identifier: str) -> tuple[str, str]:
    """The sort key of an identifier among snapshots: instant of the fetch, then hash."""
    return identifier.partition("-")[0], identifier.rpartition("-")[2]


def fetched_at_of(identifier: str) -> dt.datetime:
    """The instant (UTC) of the fetch that an identifier names."""
    return dt.datetime.strptime(identifier.partition("-")[0], "%Y%m%dT%H%M%S%f%z")


def endpoint_of(identifier: str) -> str:
    """The endpoint that an identifier names."""
    return identifier.partition("-")[2].rpartition("-")[0]


CONNECT_SECONDS, READ_SECONDS, TRIES = 3.0, 8.0, 3


@dataclass(frozen=True)
class ArchiveSettings:
    """Which store: ``place`` is ``file:/folder`` or ``s3://bucket/prefix``, empty for the home's.

    The others are of S3; empty, they are what AWS tools find by themselves. ``waits``: seconds to
    connect and of silence, and how often a request is tried.
    """

    place: str = ""
    endpoint: str = ""
    region: str = ""
    profile: str = ""
    waits: tuple[float, float, int] = (CONNECT_SECONDS, READ_SECONDS, TRIES)

    @property
    def identity(self) -> str:
        """Which archive this is to all machines; empty where other homes may have one like it."""
        if not self.place.startswith("s3://"):
            return ""
        return hashlib.sha256(f"{self.endpoint} {self.place}".encode()).hexdigest()[:16]


class Archive:
    """Snapshots and rejected bytes in a store; ``settings``: what it was opened with."""

    def __init__(self, store: Store, settings: ArchiveSettings = ArchiveSettings()) -> None:
        self.store = store
        self.settings = settings

    @property
    def uri(self) -> str:
        """The address of the archive, without credentials."""
        return self.store.uri

    def check(self, seconds: float) -> Finding:
        """See ``Store``."""
        return self.store.check(seconds)

    def put(self, folder: str, envelope: Envelope, body: bytes) -> Stored:
        """Store ``body`` with its envelope."""
        metadata = msgspec.json.encode(envelope)
        return self.store.put(self.path(folder, envelope), _packed(body), metadata)

    def claimed_by(self, ours: str) -> str:
        """Which data the archive holds, ``real`` or ``simulated``: marked as ``ours`` if unmarked.

        Of two that mark it at the same moment at least one sees the other, and is refused.
        """
        claims = self._claims()
        if not claims:
            self.store.put(f"{_ORIGIN}{ours}", b"")
            claims = self._claims()
        return next((whose for whose in claims if whose != ours), ours)

    def _claims(self) -> list[str]:
        return sorted(key.removeprefix(_ORIGIN) for key, _ in self.store.below(_ORIGIN))

    def identifiers(self, folder: str, day: str) -> list[str]:
        """The identifiers of the day's snapshots, in their order."""
        names = [key.rpartition("/")[2] for key, _ in self.store.below(_place(folder, day))]
        found = [name.partition(".")[0] for name in names if name.endswith(_BODIES)]
        return sorted(found, key=order_of)

    def days(self, folder: str) -> list[str]:
        """The operating days that have a folder, in order."""
        places = [f"sourcing/{folder}/"]
        for _ in ("year", "month", "day"):
            places = [f"{place}{name}/" for place in places for name in self.store.folders(place)]
        parts = [place.split("/")[-4:-1] for place in places]
        return sorted("-".join(p.partition("=")[2] for p in day) for day in parts)

    def first_day(self, folder: str) -> str | None:
        """The first operating day that has a folder; None where there is none.

        Takes a few listings, however many days there are.
        """
        places = iter([f"sourcing/{folder}/"])
        for _ in ("year", "month", "day"):
            places = (f"{at}{name}/" for at in places for name in sorted(self.store.folders(at)))
        first = next(places, None)
        return first and "-".join(part.partition("=")[2] for part in first.split("/")[-4:-1])

    def envelope(self, folder: str, day: str, identifier: str) -> Envelope:
        """The envelope of a snapshot. Raises ``MalformedPayload`` where it is lost or broken."""
        metadata, path = self._either(folder, day, identifier, self.store.metadata)
        return _decoded(metadata, Envelope, f"{self.uri}/{path}")

    def snapshot(self, folder: str, day: str, identifier: str) -> Snapshot:
        """Read a snapshot, and check its bytes and envelope.

        Raises ``MalformedPayload`` where the object cannot be unpacked, or does not hold the bytes
        or the envelope that were archived.
        """
        (body, metadata), path = self._either(folder, day, identifier, self._verified)
        return Snapshot(_decoded(metadata, Envelope, f"{self.uri}/{path}"), body)

    def path(self, folder: str, envelope: Envelope) -> str:
        """The key of the object with this envelope."""
        return f"{_place(folder, envelope.day)}{envelope.identifier}.{envelope.format}.gz"

    def size(self, folder: str) -> tuple[int, int]:
        """How many objects there are, and how many bytes they take."""
        found = [n for key, n in self.store.below(f"sourcing/{folder}/") if key.endswith(_BODIES)]
        return len(found), sum(found)

    def sizes(self, folder: str, known: Mapping[str, DaySize]) -> dict[str, DaySize]:
        """The size of each operating day; of ``known`` days only those are listed that changed.

        A bucket has no change number: all its objects are listed, a thousand a request.
        """
        found = {}
        for day in self.days(folder):
            changed = self.store.changed(_place(folder, day))
            size = known.get(day)
            if size is None or changed is None or size.changed != changed:
                keys = self.store.below(_place(folder, day))
                bodies = [n for key, n in keys if key.endswith(_BODIES)]
                size = DaySize(changed, len(bodies), sum(bodies))
            found[day] = size
        return found

    def discard(self, folder: str, envelope: Envelope) -> None:
        """Remove an object: only from a spool, once the archive has it."""
        self.store.remove(self.path(folder, envelope))

    def reject(self, rejection: Rejection, body: bytes) -> str:
        """Keep bytes that cannot be read, with the reason; the same bytes are kept once a day.

        Where they had been settled before, they no longer are.
        """
        path = _rejected(rejection, "gz")
        stored = self.store.put(path, _packed(body), msgspec.json.encode(rejection))
        if not stored.created:
            self.store.remove(_rejected(rejection, "settled.json"))
        return path

    def rejected_body(self, rejection: Rejection) -> bytes:
        """The bytes that were rejected. Raises ``MalformedPayload`` where they cannot be read."""
        path = _rejected(rejection, "gz")
        try:
            return self._verified(path)[0]
        except FileNotFoundError as error:
            msg = f"{self.uri}/{path}: the rejected bytes are not there"
            raise MalformedPayload(msg) from error

    def settle(self, rejection: Rejection, day: str) -> None:
        """Record that ``day`` holds the rows of these bytes now; nothing is removed."""
        self.store.put(_rejected(rejection, "settled.json"), msgspec.json.encode({"day": day}))

    def rejections(self, dataset: str) -> Iterator[Rejection]:
        """The rejections of a dataset that were not settled since, oldest day first."""
        for path in self.unsettled(dataset):
            with suppress(FileNotFoundError):  # gone since it was listed
                yield self.rejection(path)

    def unsettled(self, dataset: str) -> list[str]:
        """The paths of rejected objects that were not settled since, oldest day first."""
        keys = {key for key, _ in self.store.below(f"rejected/{dataset}/")}
        found = sorted(key for key in keys if key.endswith(".gz"))
        return [key for key in found if f"{key.removesuffix('.gz')}.settled.json" not in keys]

    def rejection(self, path: str) -> Rejection:
        """The metadata of rejected bytes.

        Raises ``MalformedPayload`` where it cannot be read, ``FileNotFoundError`` where it is lost.
        """
        return _decoded(self.store.metadata(path), Rejection, f"{self.uri}/{path}")

    def rejected_path(self, rejection: Rejection) -> str:
        """The key of the rejected bytes."""
        return _rejected(rejection, "gz")

    def discard_rejected(self, rejection: Rejection) -> None:
        """Remove rejected bytes: only from a spool, once the archive has them."""
        self.store.remove(_rejected(rejection, "gz"))

    def _either(
        self, folder: str, day: str, identifier: str, read: Callable[[str], _T]
    ) -> tuple[_T, str]:
        """The result of ``read`` for the object, in any format, and the object's key."""
        for suffix in _BODIES:
            path = f"{_place(folder, day)}{identifier}{suffix}"
            with suppress(FileNotFoundError):
                return read(path), path
        msg = f"{self.uri}/{_place(folder, day)}{identifier}: the object or its envelope is lost"
        raise MalformedPayload(msg)

    def _verified(self, path: str) -> tuple[bytes, bytes]:
        """The unpacked bytes of an object, checked against its metadata, and that metadata.

        Read again a few times where they arrive damaged.
        """
        for left in reversed(range(_READS)):
            try:
                packed, metadata = self.store.get(path)
                return self._unpacked(path, packed, metadata), metadata
            except MalformedPayload:
                if not left:
                    raise
        raise AssertionError

    def _unpacked(self, path: str, packed: bytes, metadata: bytes) -> bytes:
        where, kind = f"{self.uri}/{path}", path.partition("/")[0]
        try:
            # Faster than gzip.decompress, which does not know the size: it stands at the end.
            size = min(int.from_bytes(packed[-4:], "little"), _MOST_AT_ONCE)
            body = zlib.decompress(packed, wbits=31, bufsize=max(size, 1))
        except zlib.error as error:
            msg = f"{where}: the object cannot be unpacked: {error}"
            raise MalformedPayload(msg) from error
        if hashlib.sha256(body).hexdigest() != _decoded(metadata, _Sealed, where).raw_sha256:
            kept = "rejected" if kind == "rejected" else "archived"
            msg = f"{where}: the bytes are not those that were {kept}"
            raise MalformedPayload(msg)
        if seal_of(packed) not in {"", digest_of(metadata)}:
            msg = f"{where}: the envelope is not the one that was archived: it was edited"
            raise MalformedPayload(msg)
        return body


def sealed(packed: bytes, metadata: bytes) -> bytes:
    """The gzip ``packed`` with the hash of ``metadata`` in its header, as a comment (RFC 1952).

    What is no plain gzip, or has no metadata, stays as it is.
    """
    if not metadata or not packed.startswith(b"\x1f\x8b\x08\x00"):
        return packed
    comment = _SEAL + digest_of(metadata).encode() + b"\x00"
    return packed[:3] + bytes([_COMMENT]) + packed[4:_HEADER] + comment + packed[_HEADER:]


def seal_of(packed: bytes) -> str:
    """The hash in the header of a gzip; empty for one that was put before there were seals."""
    if len(packed) <= _HEADER or packed[3] != _COMMENT:
        return ""
    comment = packed[_HEADER : _HEADER + 128].partition(b"\x00")[0]
    return comment.removeprefix(_SEAL).decode("latin-1") if comment.startswith(_SEAL) else "?"


def digest_of(metadata: bytes) -> str:
    """SHA-256 (hex) of JSON metadata in canonical form: names in order, without nulls.

    Where it is no JSON object, of its bytes.
    """
    try:
        fields = msgspec.json.decode(metadata, type=dict[str, Any])
    except msgspec.DecodeError:
        return hashlib.sha256(metadata).hexdigest()
    plain = {name: value for name, value in fields.items() if value is not None}
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=_LEVEL, mtime=0)


def _decoded(metadata: bytes, kind: type[_T], where: str) -> _T:
    try:
        return msgspec.json.decode(metadata, type=kind)
    except msgspec.DecodeError as error:
        msg = f"{where}: the envelope of this object cannot be read: {error}"
        raise MalformedPayload(msg) from error


def _rejected(rejection: Rejection, kind: str) -> str:
    day = rejection.fetched_at.astimezone(dt.UTC).date().isoformat()
    return f"{_place(rejection.dataset, day, 'rejected')}{rejection.name}.{kind}"


def _place(folder: str, day: str, kind: str = "sourcing") -> str:
    year, month, number = day.split("-")
    return f"{kind}/{folder}/year={year}/month={month}/day={number}/"
