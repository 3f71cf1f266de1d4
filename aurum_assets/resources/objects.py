"""Stores of objects: a folder of this machine, or a bucket of S3. The two ``Store`` s.

An object is put once and atomically. Failures are ``StoreUnavailable`` (out of reach: ask again
later), ``StoreRefused`` (somebody must change something) or ``MalformedPayload`` (damaged). Keys
are up to the archive.

Every request to S3 ends after ``SECONDS``: three tries of 3 s to connect and 8 s of silence, and
also where a server sends single bytes. A store that was silent is not asked for a minute by this
process: an outage costs one wait a minute, not one for each object.
"""

import base64
import copy
import datetime as dt
import email.utils
import errno
import hashlib
import json
import math
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from functools import cache, cached_property, partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import quote, unquote, urlsplit

from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    MalformedPayload,
    StoreRefused,
    StoreUnavailable,
)
from aurum_assets.model.finding import Finding, broken
from aurum_assets.resources import hosts
from aurum_assets.resources.archive import (
    CONNECT_SECONDS,
    READ_SECONDS,
    TRIES,
    Archive,
    ArchiveSettings,
    Store,
    Stored,
    sealed,
)
from aurum_assets.resources.scratch import check_file, check_name, draft

if TYPE_CHECKING:  # imported where they are first used: a run without S3 does not pay for them
    from botocore.exceptions import BotoCoreError, ClientError
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

_T = TypeVar("_T")

SECONDS = 30.0
_OPENINGS = 3
_STEP_NS = 2_000_000_000  # the coarsest step of a file system's stamps
QUIET_SECONDS = 60.0  # for which a place that was silent is not asked
quiet_until: dict[str, float] = {}  # by endpoint and place, as the monotonic clock has it

METADATA_BYTES = 2048  # what S3 takes of user metadata, names and values together
_NAMED = len("x-amz-meta-")
_BESIDE = {"words": '"beside"'}
_CHECK = b"aurum doctor"
_NO_FOLDER = "set AURUM_ARCHIVE (AURUM_HOME) to a folder that this user can write to"
_NO_ANSWER = "check AURUM_S3_ENDPOINT, AURUM_S3_REGION and the network"
_REFUSED = (
    "check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID or a role), AURUM_S3_REGION, and that "
    "they may s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject there"
)
_REMEDIES = {
    "InvalidAccessKeyId": "correct AWS_ACCESS_KEY_ID or AWS_PROFILE",
    "SignatureDoesNotMatch": "correct AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
    "RequestTimeTooSkewed": "set this machine's clock (NTP)",
    "NoCredentialsError": (
        "check the credentials: set AWS_PROFILE, AWS_ACCESS_KEY_ID and its secret, or a role"
    ),
    "PartialCredentialsError": (
        "check the credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY both"
    ),
    "ProfileNotFound": (
        "check the credentials: correct AWS_PROFILE, or add the profile to ~/.aws/config"
    ),
}
# 4xx that pass: another put of the same key under way, bytes damaged on their way up, too slow.
_PASSING = {
    "ConditionalRequestConflict",
    "OperationAborted",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "IncompleteBody",
    "RequestTimeout",
}


def open_archive(settings: ArchiveSettings, default: Path) -> Archive:
    """The archive of ``settings``; nothing is asked or written. Raises like ``open_store``."""
    return Archive(open_store(settings, default), settings)


def open_store(settings: ArchiveSettings, default: Path) -> Store:
    """The store that ``AURUM_ARCHIVE`` names, the folder ``default`` where it is empty.

    Raises ``ConfigError`` where it names none.
    """
    archive = settings.place
    if not archive:
        return Folder(default)
    url = urlsplit(archive)
    plain = not url.query and not url.fragment and "@" not in url.netloc
    if plain and url.scheme == "file" and not url.netloc and url.path.startswith("/"):
        return Folder(Path(unquote(url.path)))
    if plain and url.scheme == "s3" and re.fullmatch(r"[A-Za-z0-9][\w.-]{1,254}", url.netloc):
        return S3(
            url.netloc,
            url.path.strip("/"),
            endpoint=settings.endpoint,
            region=settings.region,
            profile=settings.profile,
            waits=settings.waits,
        )
    found = f"{archive!r}" if plain else "more than a place"  # what it holds may be a secret
    if plain and not url.scheme:
        found += f"; for a folder: file:{quote(str(Path(archive).absolute()))}"
    msg = (
        f"environment variable AURUM_ARCHIVE: expected file:/folder or s3://bucket/prefix, without "
        f"credentials (these come from AWS_PROFILE or AWS_ACCESS_KEY_ID); found {found}"
    )
    raise ConfigError(msg)


def _beside(key: str) -> str:
    """The key of an object's metadata where the object cannot carry it."""
    kind = "reason" if key.startswith("rejected/") else "meta"
    place, _, name = key.rpartition("/")
    return f"{place}/{name.partition('.')[0]}.{kind}.json"


# --- a folder ------------------------------------------------------------------------------------


class Folder:
    """Objects as files, created by hard link, so that no kill leaves half a file.

    The metadata is beside it (``{identifier}.meta.json``, ``{name}.reason.json``), written first.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def uri(self) -> str:
        """See ``Store``."""
        return self.root.resolve().as_uri()

    def put(self, key: str, body: bytes, metadata: bytes = b"") -> Stored:
        """See ``Store``."""
        with self._reached(f"put {key}"):
            if metadata:
                about = self.root / _beside(key)
                if not _create(about, metadata):  # of a put that was killed before its object
                    metadata = about.read_bytes()
                body = sealed(body, metadata)
            created = _create(self.root / key, body)
        return Stored(
            path=key,
            created=created,
            etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),  # as S3 has it
            version="",
            bytes=len(body),
        )

    def get(self, key: str) -> tuple[bytes, bytes]:
        """See ``Store``."""
        return self._read(key), self.metadata(key)

    def metadata(self, key: str) -> bytes:
        """See ``Store``."""
        return self._read(_beside(key))

    def _read(self, key: str) -> bytes:
        path = self.root / key
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            msg = f"{path}: this object cannot be read: {error.strerror or error}"
            raise MalformedPayload(msg) from error

    def below(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See ``Store``."""
        for name, size in self._entries(prefix):
            if size is None:
                yield from self.below(f"{prefix}{name}/")
            elif not name.startswith("."):  # being written
                yield f"{prefix}{name}", size

    def folders(self, prefix: str) -> list[str]:
        """See ``Store``."""
        return [name for name, size in self._entries(prefix) if size is None]

    def changed(self, prefix: str) -> int | None:
        """See ``Store``: the folder's stamp, unless a change within its step would go unseen."""
        stamp = time.time_ns()
        with self._reached(f"look at {prefix}"), suppress(FileNotFoundError):
            stamp = (self.root / prefix).stat().st_mtime_ns
        return stamp if time.time_ns() - stamp > _STEP_NS else None

    def _entries(self, prefix: str) -> list[tuple[str, int | None]]:
        """Names and bytes of what is in a folder, None of folders; nothing where there is none."""
        found: list[tuple[str, int | None]] = []
        with self._reached(f"list {prefix}"), suppress(FileNotFoundError):
            for entry in os.scandir(self.root / prefix):
                with suppress(FileNotFoundError):  # gone since it was listed
                    found.append((entry.name, None if entry.is_dir() else entry.stat().st_size))
        return found

    def remove(self, key: str) -> None:
        """See ``Store``."""
        with self._reached(f"remove {key}"):
            (self.root / key).unlink(missing_ok=True)
            if key.endswith(".gz"):
                (self.root / _beside(key)).unlink(missing_ok=True)

    @contextmanager
    def _reached(self, doing: str) -> Iterator[None]:
        """A disk that is full, gone, read-only or stale is a store out of reach."""
        try:
            yield
        except OSError as error:
            why = error.strerror or type(error).__name__
            closed = error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}
            remedy = "make it writable by this user" if closed else "ask again later"
            msg = f"{self.uri} is out of reach ({doing}: {why})"
            raise StoreUnavailable(msg, remedy=remedy) from error

    def check(self, seconds: float) -> Finding:
        """See ``Store``; it takes as long as the disk does. A folder that is not there stays so."""
        del seconds
        where = str(self.root.resolve())
        with draft(check_file(self.root)) as file:
            try:
                with self._reached(f"put {file.name}"):
                    _create(file, _CHECK)
            except StoreUnavailable as error:
                return broken("archive", where, error, _NO_FOLDER)
        return Finding("archive", "ok", where, "can be written")


def _opened(path: Path) -> BinaryIO:
    """``path`` to be written, in a folder that maintenance may remove while it is empty."""
    for _ in range(_OPENINGS):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return path.open("wb")
    return path.open("wb")


def _create(path: Path, content: bytes) -> bool:
    """Write ``content`` under a name that nobody holds yet; False where somebody does."""
    if path.exists():
        return False
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with _opened(temporary) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    return True


# --- S3 ------------------------------------------------------------------------------------------


class S3:
    """Objects in a bucket, below ``prefix``; put with ``If-None-Match``, checked by SHA-256.

    Our metadata is the object's user metadata, each value as JSON in ASCII. Metadata above 2 KB
    (long filters, a long reason) is beside the object as in a folder, put first, and the user
    metadata has ``words: "beside"``; its ``put`` names the put that made the object.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str = "",
        region: str = "",
        profile: str = "",
        waits: tuple[float, float, int] = (CONNECT_SECONDS, READ_SECONDS, TRIES),
        page: int = 1000,
        seconds: float = math.inf,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint, self._region, self._profile = endpoint, region, profile
        self._waits, self._page, self._seconds = waits, page, seconds

    @property
    def uri(self) -> str:
        """See ``Store``."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, body: bytes, metadata: bytes = b"") -> Stored:
        """See ``Store``."""
        about = _as_metadata(metadata)
        mark = uuid.uuid4().hex
        about["put"] = mark
        if sum(_NAMED + len(name) + len(value) for name, value in about.items()) > METADATA_BYTES:
            if not self.put(_beside(key), metadata).created:
                metadata = self.get(_beside(key))[0]
            about = {**_BESIDE, "put": mark}
        sealing = sealed(body, metadata)
        return self._asked(f"put {key}", partial(self._put, key, sealing, about))

    def _put(self, key: str, body: bytes, about: dict[str, str], client: "S3Client") -> Stored:
        """One put; its answer may get lost, and the next try then finds its own object there."""
        from botocore.exceptions import ClientError

        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        for left in reversed(range(TRIES)):
            try:
                put = client.put_object(
                    Bucket=self._bucket,
                    Key=self._prefix + key,
                    Body=body,
                    Metadata=about,
                    IfNoneMatch="*",
                    ContentType="application/gzip" if key.endswith(".gz") else "application/json",
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=digest,
                )
            except ClientError as error:
                if _status(error) == HTTPStatus.PRECONDITION_FAILED:  # it lies there already
                    break
                if _code(error) not in _PASSING or not left:
                    raise
                time.sleep(0.1 * (TRIES - left))
            else:
                etag, version = put["ETag"].strip('"'), put.get("VersionId", "")
                return Stored(key, etag, version, len(body), created=True)
        there = client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        return Stored(
            path=key,
            etag=there["ETag"].strip('"'),
            version=there.get("VersionId", ""),
            bytes=there["ContentLength"],
            created=there["Metadata"].get("put") == about["put"],
        )

    def get(self, key: str) -> tuple[bytes, bytes]:
        """See ``Store``."""
        body, about = self._asked(f"get {key}", partial(self._get, key))
        return body, self._metadata(key, about)

    def _get(self, key: str, client: "S3Client") -> tuple[bytes, Mapping[str, str]]:
        """One object; an answer that breaks off is asked for again, which no library does."""
        from botocore.exceptions import FlexibleChecksumError, HTTPClientError, IncompleteReadError

        for left in reversed(range(TRIES)):
            found = client.get_object(
                Bucket=self._bucket, Key=self._prefix + key, ChecksumMode="ENABLED"
            )
            try:
                with closing(found["Body"]) as stream:  # its own ``with`` is past the checksum
                    return stream.read(), found["Metadata"]
            except FlexibleChecksumError:
                msg = f"{self.uri}/{key}: the bytes that S3 sent do not have their checksum"
                raise MalformedPayload(msg) from None
            except (HTTPClientError, IncompleteReadError):
                if not left:
                    raise
        raise AssertionError

    def metadata(self, key: str) -> bytes:
        """See ``Store``."""
        about = self._asked(f"look at {key}", partial(self._head, key))
        return self._metadata(key, about)

    def _head(self, key: str, client: "S3Client") -> Mapping[str, str]:
        from botocore.exceptions import ClientError

        try:
            return client.head_object(Bucket=self._bucket, Key=self._prefix + key)["Metadata"]
        except ClientError as error:
            if _code(error) == "404":  # of the object or of the bucket: a HEAD does not say
                client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
            raise

    def _metadata(self, key: str, about: Mapping[str, str]) -> bytes:
        return (
            self.get(_beside(key))[0]
            if about.items() >= _BESIDE.items()
            else _from_user_metadata(about)
        )

    def below(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See ``Store``."""
        for page in self._pages(prefix):
            for found in page.get("Contents", []):
                yield found["Key"].removeprefix(self._prefix), found["Size"]

    def folders(self, prefix: str) -> list[str]:
        """See ``Store``."""
        return [
            found["Prefix"].rstrip("/").rpartition("/")[2]
            for page in self._pages(prefix, Delimiter="/")
            for found in page.get("CommonPrefixes", [])
        ]

    def _pages(self, prefix: str, **options: Any) -> Iterator["ListObjectsV2OutputTypeDef"]:  # noqa: ANN401  the client's
        while True:
            page = self._asked(f"list {prefix}", partial(self._page_of, prefix, options))
            yield page
            if not page["IsTruncated"]:
                return
            options["ContinuationToken"] = page["NextContinuationToken"]

    def _page_of(
        self, prefix: str, options: Mapping[str, Any], client: "S3Client"
    ) -> "ListObjectsV2OutputTypeDef":
        return client.list_objects_v2(
            Bucket=self._bucket, Prefix=self._prefix + prefix, MaxKeys=self._page, **options
        )

    def changed(self, prefix: str) -> None:
        """See ``Store``: S3 has no stamp of a prefix."""

    def remove(self, key: str) -> None:
        """See ``Store``."""
        for one in [key, _beside(key)] if key.endswith(".gz") else [key]:
            self._asked(f"remove {one}", partial(self._remove, self._prefix + one))

    def _remove(self, key: str, client: "S3Client") -> None:
        client.delete_object(Bucket=self._bucket, Key=key)

    @cached_property
    def _client(self) -> "S3Client":
        try:
            return bounded_client(self._endpoint, self._region, self._profile, self._waits)
        except ValueError:
            msg = "environment variable AURUM_S3_ENDPOINT: expected an address as https://host:port"
            raise ConfigError(msg) from None  # the library's message holds what was found

    def _asked(self, doing: str, ask: Callable[["S3Client"], _T]) -> _T:
        """S3's answer within ``SECONDS`` (or fewer of its own), its failures as our errors.

        The thread of a call that is given up ends with the call, or with the process.
        """
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectTimeoutError,
            ReadTimeoutError,
        )

        place, seconds = f"{self._endpoint} {self.uri}", min(SECONDS, self._seconds)
        if time.monotonic() < quiet_until.get(place, 0.0):
            raise self._out_of_reach(doing, "it was silent less than a minute ago")
        answer: Future[_T] = Future()

        def work(client: "S3Client") -> None:
            try:
                answer.set_result(ask(client))
            except BaseException as error:  # noqa: BLE001  handed to the one who waits
                answer.set_exception(error)

        try:
            threading.Thread(target=work, args=(self._client,), daemon=True, name="s3").start()
            found = answer.result(seconds)
        except TimeoutError:
            if seconds == SECONDS:  # less is not enough to tell
                quiet_until[place] = time.monotonic() + QUIET_SECONDS
            raise self._out_of_reach(doing, f"no answer within {seconds:.0f} s") from None
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, (ConnectTimeoutError, ReadTimeoutError)):
                quiet_until[place] = time.monotonic() + QUIET_SECONDS
            raise self._translated(error, doing) from None  # theirs may hold addresses and keys
        quiet_until.pop(place, None)
        return found

    def _translated(self, error: "ClientError | BotoCoreError", doing: str) -> Exception:
        from botocore.exceptions import (
            ClientError,
            CredentialRetrievalError,
            NoCredentialsError,
            PartialCredentialsError,
            ProfileNotFound,
            SSOError,
        )

        nobody = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
        if isinstance(error, (*nobody, ProfileNotFound, SSOError)):
            name = type(error).__name__
            return self._refused(doing, name, name)
        if not isinstance(error, ClientError):
            host = urlsplit(self._client.meta.endpoint_url).hostname or ""
            unknown = hosts.is_unknown(error) and hosts.unknown(host, "AURUM_S3_ENDPOINT")
            return self._out_of_reach(doing, unknown or type(error).__name__)
        status, code = _status(error), _code(error)
        status_and_code = f"{status} {code}" if code != str(status) else code
        if code in {"NoSuchKey", "404"}:
            return FileNotFoundError(f"{self.uri}: {doing}: there is no such object")
        if code == "NoSuchBucket":
            remedy = (
                "make it, or set AURUM_ARCHIVE (and AURUM_S3_ENDPOINT, AURUM_S3_REGION) to where "
                "there is one"
            )
            msg = f"{self.uri}: there is no bucket {self._bucket!r}"
            return StoreRefused(msg, remedy=remedy)
        waits = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
        if code in _PASSING or waits or status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._out_of_reach(doing, status_and_code)
        return self._refused(doing, status_and_code, code)

    def _out_of_reach(self, doing: str, why: str) -> AurumError:
        msg = f"{self.uri} is out of reach ({doing}: {why})"
        return StoreUnavailable(msg, remedy="ask again later")

    def _refused(self, doing: str, why: str, code: str) -> AurumError:
        remedy = _REMEDIES.get(code, _REFUSED)
        return StoreRefused(f"{self.uri}: S3 refuses to {doing} ({why})", remedy=remedy)

    def check(self, seconds: float) -> Finding:
        """See ``Store``; also whether S3 refuses a second object of the same name."""
        s3, key = copy.copy(self), check_name()
        s3._seconds = seconds  # noqa: SLF001  of a copy of itself
        began = time.monotonic()
        try:
            s3.put(key, _CHECK)
            took = round((time.monotonic() - began) * 1000)
            try:
                s3.get(key)
                page = s3._asked("list objects", partial(self._page_of, key, {}))  # noqa: SLF001
                twice = s3.put(key, _CHECK).created
            finally:
                left = _left(s3, key)
        except AurumError as error:
            return broken("archive", self.uri, error, _NO_ANSWER)
        except FileNotFoundError:
            msg = "has lost the object that was put a moment ago"
            return Finding("archive", "broken", self.uri, msg, _NO_ANSWER)
        done = f"put {took} ms, get, list{'' if left else ', delete'}"
        if twice:
            remedy = "use a server that knows If-None-Match, or let only one machine collect"
            return Finding("archive", "unsure", self.uri, f"{done}; puts twice", remedy, took)
        if left:
            done += f"; may not delete, so {key} stays"
        return Finding("archive", "ok", self.uri, done, "", took, _skew(page))


@cache
def bounded_client(
    endpoint: str,
    region: str,
    profile: str,
    waits: tuple[float, float, int] = (CONNECT_SECONDS, READ_SECONDS, TRIES),
) -> "S3Client":
    """A client by dagster-aws' ``S3Resource``, with bounds: ``waits``, see ``ArchiveSettings``.

    One for a process and place: it takes 0.2 s to make, and threads may share it.
    """
    from aurum_assets.resources.bounded_s3 import BoundedS3Resource

    connect, read, tries = waits
    client: S3Client = BoundedS3Resource(
        endpoint_url=endpoint or None,
        region_name=region or None,
        profile_name=profile or None,
        connect_timeout=connect,
        read_timeout=read,
        max_attempts=tries,
    ).get_client()
    return client


def s3_properties(settings: ArchiveSettings) -> dict[str, str]:
    """The properties of pyiceberg for a warehouse on the same S3 as the archive.

    Credentials are not among them: they come from where AWS tools look. A profile is made known to
    these through ``AWS_PROFILE``, for pyarrow takes none as an argument.
    """
    if settings.profile:
        os.environ["AWS_PROFILE"] = settings.profile
    found = {
        "s3.endpoint": settings.endpoint,
        # with an endpoint of its own nobody at AWS can tell where the bucket is
        "s3.region": settings.region or ("us-east-1" if settings.endpoint else ""),
        "s3.profile-name": settings.profile,
        "s3.connect-timeout": str(CONNECT_SECONDS),
        "s3.request-timeout": str(SECONDS),
    }
    return {name: value for name, value in found.items() if value}


def _left(s3: S3, key: str) -> bool:
    """Remove an object; whether it is left, for an archive may well forbid to delete."""
    try:
        s3.remove(key)
    except AurumError:
        return True
    return False


def _skew(answer: "ListObjectsV2OutputTypeDef") -> float | None:
    """By how many seconds the server's clock is ahead; None where the answer has no date."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    try:
        theirs = email.utils.parsedate_to_datetime(date)
        ahead = (theirs - dt.datetime.now(dt.UTC)).total_seconds()
    except (TypeError, ValueError):  # it is none, or has no offset
        return None
    return round(ahead + 0.5, 1)  # it counts whole seconds


def _code(error: "ClientError") -> str:
    return error.response["Error"]["Code"]


def _status(error: "ClientError") -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _as_metadata(metadata: bytes) -> dict[str, str]:
    """Words as user metadata: ASCII, dashes in names, nothing that is null."""
    fields: dict[str, Any] = json.loads(metadata) if metadata else {}
    return {
        name.replace("_", "-"): json.dumps(value).replace("\x7f", "\\u007f")
        for name, value in fields.items()
        if value is not None
    }


def _from_user_metadata(about: Mapping[str, str]) -> bytes:
    """``_as_metadata`` undone."""
    envelope = {n.replace("-", "_"): json.loads(v) for n, v in about.items() if n != "put"}
    return json.dumps(envelope).encode()
