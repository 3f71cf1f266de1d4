"""The raw archive: every byte that an operator sent, under the operating day that it speaks of.

    sourcing/{folder}/year=YYYY/month=MM/day=DD/{identifier}.json.gz     the bytes, gzipped
    sourcing/{folder}/year=YYYY/month=MM/day=DD/{identifier}.meta.json   the envelope, put first
    rejected/{dataset}/year=YYYY/month=MM/day=DD/{name}.gz               bytes that nobody can read
    rejected/{dataset}/year=YYYY/month=MM/day=DD/{name}.reason.json      and why
    rejected/{dataset}/year=YYYY/month=MM/day=DD/{name}.settled.json     read later: the day

An object is put once and never changed. Replay needs nothing else than this folder. What does not
belong here: deciding what is a duplicate (the registry), or what the bytes mean (the model).
"""

import contextlib
import datetime as dt
import gzip
import hashlib
import os
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from aurum_assets.model.dataset import Envelope, Snapshot
from aurum_assets.model.errors import MalformedPayload

_LEVEL = 6  # 9 takes four times as long for 2 % less
_BODIES = (".json.gz", ".xml.gz")


@dataclass(frozen=True)
class Stored:
    """Where an object lies. ``created`` is False where it lay there already."""

    path: str
    etag: str
    version: str
    bytes: int
    created: bool


@dataclass(frozen=True)
class Rejection:
    """Bytes that could not be read, why, and what else is known of them (as in ``Envelope``)."""

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
        """What the object is called; a snapshot of the same answer has it in its identifier."""
        return f"{self.endpoint}-{self.raw_sha256[:16]}"


def order_of(identifier: str) -> tuple[str, str]:
    """An identifier's place in the order of snapshots: instant of the fetch, then hash."""
    return identifier.partition("-")[0], identifier.rpartition("-")[2]


class LocalArchive:
    """The archive in a folder: created by hard link, so that no kill leaves half a file."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def uri(self) -> str:
        """Where the archive is."""
        return self.root.resolve().as_uri()

    def put(self, folder: str, envelope: Envelope, body: bytes) -> Stored:
        """Keep ``body``; the envelope is written first, so an object never lacks it."""
        place = self._day(folder, envelope.day)
        _create(place / f"{envelope.identifier}.meta.json", msgspec.json.encode(envelope))
        packed = gzip.compress(body, compresslevel=_LEVEL, mtime=0)
        path = place / f"{envelope.identifier}.{envelope.format}.gz"
        created = _create(path, packed)
        return Stored(
            path=str(path.relative_to(self.root)),
            etag=hashlib.md5(packed, usedforsecurity=False).hexdigest(),  # as S3 has it
            version="",
            bytes=len(packed),
            created=created,
        )

    def identifiers(self, folder: str, day: str) -> list[str]:
        """The identifiers of the day's snapshots, in their order."""
        try:
            names = os.listdir(self._day(folder, day))  # noqa: PTH208  names are all it takes
        except FileNotFoundError:
            return []
        found = [n.partition(".")[0] for n in names if n.endswith(_BODIES)]
        return sorted(found, key=order_of)

    def days(self, folder: str) -> list[str]:
        """The operating days that have a folder, in order."""
        places = (self.root / "sourcing" / folder).glob("year=*/month=*/day=*")
        return sorted("-".join(p.partition("=")[2] for p in place.parts[-3:]) for place in places)

    def envelope(self, folder: str, day: str, identifier: str) -> Envelope:
        """The envelope of a snapshot. Raises ``MalformedPayload`` where it is lost or broken."""
        path = self._day(folder, day) / f"{identifier}.meta.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Envelope)
        except (OSError, msgspec.DecodeError) as error:
            msg = f"{path}: the envelope of this object cannot be read: {error}"
            raise MalformedPayload(msg) from error

    def snapshot(self, folder: str, day: str, identifier: str) -> Snapshot:
        """A snapshot, whole.

        Raises ``MalformedPayload`` where the object cannot be unpacked, or does not hold the bytes
        that were archived.
        """
        envelope = self.envelope(folder, day, identifier)
        path = self._day(folder, day) / f"{identifier}.{envelope.format}.gz"
        try:
            body = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            msg = f"{path}: the archived object cannot be unpacked: {error}"
            raise MalformedPayload(msg) from error
        if hashlib.sha256(body).hexdigest() != envelope.raw_sha256:
            msg = f"{path}: the bytes are not those that were archived"
            raise MalformedPayload(msg)
        return Snapshot(envelope, body)

    def path(self, folder: str, envelope: Envelope) -> str:
        """Where the object with this envelope lies, from the archive's root."""
        place = self._day(folder, envelope.day)
        return str((place / f"{envelope.identifier}.{envelope.format}.gz").relative_to(self.root))

    def size(self, folder: str) -> tuple[int, int]:
        """How many objects there are, and how many bytes they take."""
        files = [
            p.stat().st_size
            for p in (self.root / "sourcing" / folder).glob("year=*/month=*/day=*/*.gz")
        ]
        return len(files), sum(files)

    def reject(self, rejection: Rejection, body: bytes) -> str:
        """Keep bytes that cannot be read, with the reason; the same bytes are kept once a day.

        Where they had been settled before, they no longer are.
        """
        path = self._rejected(rejection, "gz")
        _create(self._rejected(rejection, "reason.json"), msgspec.json.encode(rejection))
        _create(path, gzip.compress(body, compresslevel=_LEVEL, mtime=0))
        self._rejected(rejection, "settled.json").unlink(missing_ok=True)
        return str(path.relative_to(self.root))

    def rejected_body(self, rejection: Rejection) -> bytes:
        """The bytes that were rejected. Raises ``MalformedPayload`` where they cannot be had."""
        path = self._rejected(rejection, "gz")
        try:
            body = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            msg = f"{path}: the rejected bytes cannot be unpacked: {error}"
            raise MalformedPayload(msg) from error
        if hashlib.sha256(body).hexdigest() != rejection.raw_sha256:
            msg = f"{path}: the bytes are not those that were rejected"
            raise MalformedPayload(msg)
        return body

    def settle(self, rejection: Rejection, day: str) -> None:
        """Say that ``day`` holds what these bytes say, and can be read; nothing is removed."""
        mark = self._rejected(rejection, "settled.json")
        _create(mark, msgspec.json.encode({"day": day}))

    def rejections(self, dataset: str) -> Iterator[Rejection]:
        """What was rejected of a dataset and not settled since, oldest day first."""
        root = self.root / "rejected" / dataset
        for path in sorted(root.glob("year=*/month=*/day=*/*.reason.json")):
            rejection = msgspec.json.decode(path.read_bytes(), type=Rejection)
            if not self._rejected(rejection, "settled.json").exists():
                yield rejection

    def _rejected(self, rejection: Rejection, kind: str) -> Path:
        day = rejection.fetched_at.astimezone(dt.UTC).date().isoformat()
        return self._day(rejection.dataset, day, "rejected") / f"{rejection.name}.{kind}"

    def _day(self, folder: str, day: str, kind: str = "sourcing") -> Path:
        year, month, number = day.split("-")
        return self.root / kind / folder / f"year={year}" / f"month={month}" / f"day={number}"


def _create(path: Path, content: bytes) -> bool:
    """Write ``content`` under a name that nobody holds yet; False where somebody does."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    return True
