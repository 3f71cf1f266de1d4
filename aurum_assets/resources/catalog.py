"""Which Iceberg catalog the lake has, how it is opened, and what its errors mean.

Postgres (``sql``), ``rest`` and ``glue``. Every wait is bounded: a statement in Postgres ends after
15 s, a silent server after 20 s, an HTTP request after 30 s, a request for a file on S3 after two
times 10 s of silence (a slow but steady answer is not cut: pyarrow has no bound on the whole). Not
here: tables and rows, and how often to try again; the lake does that.
"""

import errno
import json
import re
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from aurum_assets.model.errors import ConfigError
from aurum_assets.resources import hosts

if TYPE_CHECKING:
    from pyarrow.fs import S3RetryStrategy
    from pyiceberg.catalog import Catalog
    from pyiceberg.catalog.rest import RestCatalog
    from pyiceberg.table import CommitTableResponse
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.snapshots import Snapshot

FailureKind = Literal[
    "busy", "away", "unknown", "refused", "full", "missing", "disk", "closed", "damaged"
]

_POSTGRES = ("postgresql+psycopg2", "postgresql", "postgres")
_OURS = "aurum-assets"  # the name of our connections in pg_stat_activity
_PLAIN = "/ !$&'()*+,:;=@[]"  # what a path may hold unescaped
_SILENCE, _CONNECTING = 20.0, 5.0
_SENT_WITHIN, _ANSWERED_WITHIN = 5.0, 30.0
_FINDING_OUT = 30.0
_S3_ATTEMPTS = 2
_S3_BOUNDS = {
    "s3.connect-timeout": "3",
    "s3.request-timeout": "10",
    "s3.retry-strategy-impl": f"{__name__}.twice",
}
_POSTGRES_OPTIONS = {
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    # A machine that loses power during a commit leaves the table's row locked.
    "options": "-c statement_timeout=15000 -c lock_timeout=10000"
    " -c idle_in_transaction_session_timeout=30000",
}


# --- which catalog -------------------------------------------------------------------------------


def catalog_properties(
    kind: str,
    uri: str,
    warehouse: str,
    more: str,
    *,
    home: Path,
    s3: Mapping[str, str],
) -> dict[str, str]:
    """The pyiceberg properties of the catalog in ``AURUM_CATALOG_*``; empty without one.

    ``more`` is a JSON object of further properties, ``s3`` those of an S3 store. Raises
    ``ConfigError`` naming the variable, never its value.
    """
    if not (kind or uri):
        for name, value in (("WAREHOUSE", warehouse), ("PROPERTIES", more)):
            if value:
                msg = (
                    f"environment variable AURUM_CATALOG_{name} is set, but no catalog: set "
                    "AURUM_CATALOG_URI (Postgres, REST) or AURUM_CATALOG_TYPE=glue"
                )
                raise ConfigError(msg)
        return {}
    kind = kind or _kind_of(uri)
    warehouse = _warehouse(kind, warehouse, home)
    properties = {"type": kind} | ({"warehouse": warehouse} if warehouse else {})
    if kind == "sql":
        properties |= {"uri": _postgres(uri), "pool_pre_ping": "true"}
    elif kind == "rest":
        properties["uri"] = _address(uri, "https://host/path of the REST catalog")
    elif uri:
        properties["glue.endpoint"] = _address(uri, "nothing, or https://host of Glue's endpoint")
    if kind == "glue":
        names = {"s3.region": "client.region", "s3.profile-name": "client.profile-name"}
        properties |= {names[n]: v for n, v in s3.items() if n in names}
    files = {} if warehouse.startswith(("file:", "/")) else {**s3, **_S3_BOUNDS}
    return {**properties, **files, **_further(more)}


def _refuse(name: str, expected: str) -> NoReturn:
    msg = f"environment variable AURUM_CATALOG_{name}: expected {expected}"
    raise ConfigError(msg)


def _kind_of(uri: str) -> str:
    scheme = uri.partition("://")[0]
    if scheme in _POSTGRES:
        return "sql"
    if scheme in {"http", "https"}:
        return "rest"
    expected = "postgresql+psycopg2://user:password@host/database, or https://… of a REST catalog"
    _refuse("URI", expected)


def _warehouse(kind: str, warehouse: str, home: Path) -> str:
    if not warehouse:
        if kind == "glue":
            _refuse("WAREHOUSE", "s3://bucket/prefix: Glue keeps names, not files")
        # A REST catalog itself decides where its tables are.
        return file_location(home.resolve() / "lake" / "warehouse") if kind == "sql" else ""
    if warehouse.startswith("/"):
        return file_location(Path(warehouse))
    if kind != "rest" and not warehouse.startswith(("s3://", "file:///")):
        _refuse("WAREHOUSE", "s3://bucket/prefix or file:///folder")
    return warehouse.rstrip("/")


def _address(uri: str, expected: str) -> str:
    try:
        found = urlsplit(uri)
        right = found.scheme in {"http", "https"} and bool(found.hostname) and not found.password
    except ValueError:
        right = False
    if not right:
        more = "credentials go into AURUM_CATALOG_PROPERTIES or AWS's own variables"
        _refuse("URI", f"{expected}; {more}")
    return uri


def _postgres(uri: str) -> str:
    """``uri`` for psycopg 2, which is not SQLAlchemy's default, with bounded waits.

    Options in the query part of ``uri`` take precedence.
    """
    expected = (
        "postgresql+psycopg2://user:password@host:5432/database, with special characters of "
        "the password percent-encoded"
    )
    scheme, _, rest = uri.partition("://")
    try:
        found = urlsplit(uri)
        given = dict(
            parse_qsl(found.query, keep_blank_values=True, strict_parsing=bool(found.query))
        )
        right = (bool(found.hostname) or "host" in given) and found.port != 0
    except ValueError:
        right = False
    if scheme not in _POSTGRES or not right or len(found.path) < 2:  # noqa: PLR2004  a slash, a name
        _refuse("URI", expected)
    query = urlencode({**_POSTGRES_OPTIONS, **given, "application_name": _OURS}, quote_via=quote)
    return f"{_POSTGRES[0]}://{rest.partition('?')[0]}?{query}"


def _further(more: str) -> dict[str, Any]:
    if not more:
        return {}
    expected = 'a JSON object of pyiceberg\'s properties, for instance {"credential": "id:secret"}'
    try:
        found = msgspec.json.decode(more)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        _refuse("PROPERTIES", expected)
    # pyiceberg takes strings, except for objects such as REST's "auth" and "ssl".
    return {k: v if isinstance(v, dict | str) else json.dumps(v) for k, v in found.items()}


# --- opening -------------------------------------------------------------------------------------


def twice() -> "S3RetryStrategy":
    """A retry strategy: ask S3 for a file twice, not three times. pyiceberg finds it by name."""
    from pyarrow.fs import AwsStandardS3RetryStrategy

    return AwsStandardS3RetryStrategy(max_attempts=_S3_ATTEMPTS)


def open_catalog(properties: Mapping[str, str]) -> "Catalog":
    """The catalog of ``properties``; raises what its library raises."""
    from pyiceberg.catalog import load_catalog

    if properties.get("type") == "rest":
        return _bounded_rest()("aurum", **properties)
    if properties.get("type") == "glue":
        return load_catalog("aurum", **_bounded_glue(properties))
    if properties.get("uri", "").startswith(_POSTGRES[0]):
        _bound_postgres()
    return load_catalog("aurum", **properties)


@cache
def _bound_postgres() -> None:
    """Bound the wait for a silent Postgres server to 20 s.

    libpq waits without limit while the machine still acknowledges packets. psycopg 2 has one hook
    for a process; other connections (Dagster's) wait as before.
    """
    import psycopg2
    from psycopg2 import extensions

    def wait(connection: Any) -> None:  # noqa: ANN401  psycopg2 brings no types
        ours = f"application_name={_OURS}" in connection.dsn
        while (state := connection.poll()) != extensions.POLL_OK:
            poller = select.poll()
            reading = state == extensions.POLL_READ
            poller.register(connection.fileno(), select.POLLIN if reading else select.POLLOUT)
            connecting = connection.status == extensions.STATUS_SETUP
            seconds = _CONNECTING if connecting else _SILENCE
            if not poller.poll(seconds * 1000 if ours else None):
                msg = f"no answer within {seconds:.0f} s"
                raise psycopg2.OperationalError(msg)

    extensions.set_wait_callback(wait)


@cache
def _bounded_rest() -> "type[RestCatalog]":
    """Pyiceberg's REST catalog with bounded waits; its own waits without limit."""
    from pyiceberg.catalog.rest import RestCatalog
    from requests import PreparedRequest, Response, Session
    from requests.adapters import HTTPAdapter

    class Bounded(HTTPAdapter):
        def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:  # noqa: ANN401  as requests has it
            options["timeout"] = options.get("timeout") or (_SENT_WITHIN, _ANSWERED_WITHIN)
            return super().send(request, *args, **options)

    class BoundedRestCatalog(RestCatalog):
        def _create_session(self) -> Session:
            session = super()._create_session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, Bounded())
            return session

    return BoundedRestCatalog


def _bounded_glue(properties: Mapping[str, str]) -> dict[str, Any]:
    """Ask Glue three times, not ten, and wait 5 and 30 s for it each time, not 60."""
    from botocore.config import Config
    from botocore.session import get_session

    session = get_session()
    session.set_default_client_config(
        Config(connect_timeout=_SENT_WITHIN, read_timeout=_ANSWERED_WITHIN)
    )
    retries = int(properties.get("glue.max-retries", 2))  # boto3 takes no text
    return {"botocore_session": session, **properties, "glue.max-retries": retries}


# --- what its errors mean ------------------------------------------------------------------------


def failures(properties: Mapping[str, str]) -> tuple[type[Exception], ...]:
    """The exceptions of this catalog and of its tables' files: busy, out of reach, refused."""
    from pyiceberg import exceptions as e

    lost = (
        e.CommitFailedException,
        e.ValidationException,
        e.NamespaceAlreadyExistsError,
        e.TableAlreadyExistsError,
        e.RESTError,
        OSError,  # of pyarrow, for a file
    )
    kind = properties.get("type")
    if kind == "rest":
        return lost  # an error of requests is an OSError
    if kind == "glue":
        from botocore.exceptions import BotoCoreError, ClientError

        return (*lost, BotoCoreError, ClientError)
    from sqlalchemy.exc import DBAPIError

    return (*lost, DBAPIError)


def failure_kind(error: Exception) -> FailureKind:
    """The kind of failure that ``error`` is.

    ``busy``: another writer was faster; ``away``: no answer; ``refused``; ``full`` and ``disk``: no
    space, or an I/O error; ``missing``: a file; ``closed``: files that we may not open or write;
    ``damaged``: a catalog's file; ``unknown``: DNS does not know the host.
    """
    from pyiceberg import exceptions as e

    if hosts.is_unknown(error) or _UNKNOWN_HOST in str(error):
        return "unknown"
    if isinstance(error, e.RESTError):
        if isinstance(error, e.TooManyRequestsError):
            return "busy"
        refusals = (e.BadRequestError, e.UnauthorizedError, e.ForbiddenError, e.OAuthError)
        return "refused" if isinstance(error, refusals) else "away"
    library = type(error).__module__.partition(".")[0]
    if library in _KIND_OF:
        return _KIND_OF[library](error)
    if isinstance(error, OSError):
        return _file_failure(error) if of_files(error) else "away"
    return "busy"


_S3_REFUSALS = (
    "ACCESS_DENIED",
    "INVALID_ACCESS_KEY_ID",
    "INVALID_CLIENT_TOKEN_ID",
    "NO_SUCH_BUCKET",
    "SIGNATURE_DOES_NOT_MATCH",
    "UNRECOGNIZED_CLIENT",
)


_CLOSED = {
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}


def _file_failure(error: OSError) -> FailureKind:
    if isinstance(error, FileNotFoundError):
        return "missing"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "full"
    if error.errno == errno.EIO:
        return "disk"
    if error.errno in _CLOSED:
        return "closed"
    refused = any(f"AWS Error {text}" in str(error) for text in _S3_REFUSALS)
    return "refused" if refused or isinstance(error, PermissionError) else "away"


def of_files(error: Exception) -> bool:
    """Whether ``error`` concerns the files of a table, not the catalog."""
    # pyarrow raises those of Python; requests and botocore have subclasses of their own
    return isinstance(error, OSError) and type(error).__module__ == "builtins"


_BUSY = ("40", "55P03", "57014", "23505", "42P06", "42P07")  # serialization, locks, made by two
_AWAY = ("08", "25006", "53", "57", "58", "XX")  # no connection, a standby, full, shut down, broken
_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "invalid")


# libpq's message for a name that DNS does not know. Arrow's S3 only says that it has no address,
# which may be an outage.
_UNKNOWN_HOST = "to address: Name or service not known"

# Messages of SQLite for errors that a retry does not help.
_SQLITE: dict[str, FailureKind] = {
    "disk is full": "full",
    "disk I/O error": "disk",
    "readonly database": "closed",
    "unable to open database": "closed",
    "not a database": "damaged",
    "malformed": "damaged",
    "unsupported file format": "damaged",
    "no such table": "damaged",
    "no such column": "damaged",
}


def _sql_failure(error: Exception) -> FailureKind:
    cause = getattr(error, "orig", error)
    if type(cause).__module__.startswith("sqlite3"):
        message = str(cause)
        for text, kind in _SQLITE.items():
            if text in message:
                return kind
        transient = type(cause).__name__ in {"OperationalError", "IntegrityError"}
        return "busy" if transient else "refused"
    code = getattr(cause, "pgcode", None)  # a failed connection has none
    if code is None:
        return "refused" if any(text in str(cause) for text in _REFUSALS) else "away"
    if code.startswith(_BUSY):
        return "busy"
    return "away" if code.startswith(_AWAY) else "refused"


def _aws_failure(error: Exception) -> FailureKind:
    from botocore.exceptions import ClientError, HTTPClientError

    if not isinstance(error, ClientError):
        return "away" if isinstance(error, HTTPClientError) else "refused"
    code = error.response.get("Error", {}).get("Code", "")
    if any(text in code for text in ("Throttl", "TooMany", "Concurrent", "Timeout")):
        return "busy"
    answered = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return "away" if answered >= 500 else "refused"  # noqa: PLR2004  HTTP


_KIND_OF = {"botocore": _aws_failure, "sqlalchemy": _sql_failure, "sqlite3": _sql_failure}


def sqlite_uri(file: Path) -> str:
    """The address of a SQLite file for SQLAlchemy, which decodes its path."""
    return f"sqlite:///{quote(str(file), safe=_PLAIN)}?timeout=30"


def file_location(folder: Path) -> str:
    """A folder as a location of pyiceberg: ``file://`` and the path, not encoded.

    With a scheme, pyiceberg drops what follows a question mark or a hash: then the path alone.
    """
    return f"{'' if re.search(r'[?#]', str(folder)) else 'file://'}{folder}"


def file_of(uri: str) -> str:
    """The file of a ``sqlite_uri``."""
    return unquote(uri.removeprefix("sqlite:///").partition("?")[0])


def described(properties: Mapping[str, str]) -> str:
    """A description of the catalog for messages, without its secrets."""
    kind, uri = properties.get("type", "sql"), properties.get("uri", "")
    if uri.startswith("sqlite:"):
        return f"the lake's catalog (SQLite, {file_of(uri)})"
    found = urlsplit(uri or properties.get("glue.endpoint", ""))
    name = {"sql": "Postgres", "rest": "REST", "glue": "Glue"}.get(kind, kind)
    place = found.hostname or ""
    place += f":{found.port}" if found.port else ""
    place += found.path if kind == "sql" else ""
    return f"the lake's catalog ({name}{place and ' at '}{place})"


def warehouse(properties: Mapping[str, str]) -> str:
    """A description of the warehouse for messages."""
    place = properties.get("warehouse", "")
    return f"the lake's warehouse{place and f' ({place})'}"


def reason(error: Exception, properties: Mapping[str, str]) -> str:
    """The first line of a library's message, without our secrets."""
    message = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    message = message or type(error).__name__
    for secret in sorted(_secrets(properties), key=len, reverse=True):
        message = message.replace(secret, "***")
    return message


def _secrets(properties: Mapping[str, str]) -> Iterator[str]:
    password = urlsplit(properties.get("uri", "")).password
    if password:
        yield from {password, unquote(password)}
    yield from _hidden(properties)


def _hidden(properties: Mapping[str, Any]) -> Iterator[str]:
    for name, value in properties.items():
        if isinstance(value, dict):
            yield from _hidden(value)
        elif value and any(w in name for w in ("credential", "token", "secret", "password", "key")):
            yield from {str(value), str(value).rpartition(":")[2]} - {""}


# --- commits whose answer was lost ---------------------------------------------------------------


def guard_commits(
    catalog: "Catalog",
    properties: Mapping[str, str],
    sleep: Callable[[float], None] = time.sleep,
    patience: float = _FINDING_OUT,
) -> None:
    """Make a commit that took effect a success, whatever the catalog reported.

    A lost answer comes back as a broken connection, as *state unknown*, or, where a proxy or the
    catalog's client asks again, as *failed*: then pyiceberg would delete the manifests of what is
    the table's current snapshot. So the table is searched for our snapshot. Where that fails for
    ``patience`` seconds, the state is unknown and nothing is deleted; a retry first reads what the
    table holds.

    A commit that expires snapshots which another one has expired meanwhile has lost a race:
    pyiceberg raises a ``ValueError`` for it, which becomes ``CommitFailedException``.
    """
    from pyiceberg.exceptions import CommitStateUnknownException, NoSuchTableError
    from pyiceberg.table import CommitTableResponse

    if getattr(catalog.commit_table, "guarded", False):
        return
    original = _with_lost_expiries(catalog)
    lost = failures(properties)

    def look(found: "IcebergTable", error: Exception) -> "IcebergTable | None":
        until = time.monotonic() + patience
        while True:
            try:
                return catalog.load_table(found.name())
            except NoSuchTableError:
                return None
            except lost:
                if time.monotonic() > until:
                    msg = f"{'.'.join(found.name())}: nobody can tell whether a commit took effect"
                    raise CommitStateUnknownException(msg) from error
                sleep(0.2)

    def commit_table(found: Any, requirements: Any, updates: Any) -> CommitTableResponse:  # noqa: ANN401  as pyiceberg has it
        try:
            return original(found, requirements, updates)
        except lost as error:
            ours = _added(updates)
            now = look(found, error) if ours else None
            if now is not None and _all_committed(now, ours):
                return CommitTableResponse.model_validate(
                    {"metadata": now.metadata, "metadata-location": now.metadata_location}
                )
            raise

    commit_table.guarded = True  # type: ignore[attr-defined]
    catalog.commit_table = commit_table  # type: ignore[method-assign, assignment]


def _with_lost_expiries(catalog: "Catalog") -> Callable[[Any, Any, Any], "CommitTableResponse"]:
    """The catalog's ``commit_table``, which reports a lost race as such: see ``guard_commits``."""
    original = catalog.commit_table

    def commit_table(found: Any, requirements: Any, updates: Any) -> "CommitTableResponse":  # noqa: ANN401  as pyiceberg has it
        try:
            return original(found, requirements, updates)
        except ValueError as error:
            _refuse_lost_expiry(catalog, found, updates, error)
            raise

    return commit_table


def _refuse_lost_expiry(catalog: "Catalog", found: Any, updates: Any, error: ValueError) -> None:  # noqa: ANN401  as pyiceberg has it
    """Raise ``CommitFailedException`` where ``updates`` expire snapshots that are gone already."""
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table.update import RemoveSnapshotsUpdate

    expired = {i for u in updates if isinstance(u, RemoveSnapshotsUpdate) for i in u.snapshot_ids}
    if not expired:
        return
    now = catalog.load_table(found.name())
    if expired - {snapshot.snapshot_id for snapshot in now.metadata.snapshots}:
        msg = f"{'.'.join(found.name())}: others expired the same snapshots meanwhile"
        raise CommitFailedException(msg) from error


def _added(updates: Any) -> "list[Snapshot]":  # noqa: ANN401  as pyiceberg has it
    from pyiceberg.table.update import AddSnapshotUpdate

    return [u.snapshot for u in updates if isinstance(u, AddSnapshotUpdate)]


def _all_committed(now: "IcebergTable", ours: "Sequence[Snapshot]") -> bool:
    return all(_is_committed(now, s.snapshot_id, s.sequence_number) for s in ours)


def _is_committed(now: "IcebergTable", snapshot_id: int, sequence_number: int | None) -> bool:
    """Whether the table has the snapshot, or had it until a later commit expired it."""
    snapshots = now.metadata.snapshots
    if any(s.snapshot_id == snapshot_id for s in snapshots):
        return True
    since = {s.sequence_number for s in snapshots}
    newest = max((s.sequence_number or 0 for s in snapshots), default=0)
    if since >= set(range(sequence_number or 0, newest + 1)):
        return False  # all commits since are known, and none is ours
    manifests = (m for s in snapshots for m in s.manifests(now.io))
    return any(m.added_snapshot_id == snapshot_id for m in manifests)
