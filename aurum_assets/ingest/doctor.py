"""Doctor: every part that a home is made of, looked at: reachable, permitted, how fast, what to do.

Parts are looked at side by side, each by the client library that a run would use, with a bound of
``PATIENCE`` seconds on what a client waits for and of ``DEADLINE`` on all of it. What is written to
look is removed again; an operator is asked once, and once for each dataset that is only documented,
within its limits. No text of a library is passed on, for it may hold an address with a password:
only our own sentences, and addresses without one.
"""

import datetime as dt
import email.utils
import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from aurum_assets.ingest.maintain import last_maintained
from aurum_assets.ingest.probe import looking, newest_published_by, not_offered_by
from aurum_assets.ingest.query import known_tables
from aurum_assets.model.dataset import Operator
from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    HomeMoved,
    LakeBusy,
    LakeDamaged,
    LakeUnreachable,
    SourceError,
)
from aurum_assets.operators import DATASETS
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.scratch import draft
from aurum_assets.resources.settings import Resources

State = Literal["ok", "embedded default", "off", "unsure", "broken"]

PATIENCE = 4.0
DEADLINE = 8.0
_LITTLE_SPACE = 1e9
_MUCH_SKEW = 5.0
_MAINTAINED_WITHIN = dt.timedelta(days=3)
_TEXT = b"aurum doctor"
_SCHEMES = ["file", "http", "https", "postgresql", "redis", "rediss", "s3", "sqlite"]
_CATALOGS = ("sql", "rest", "glue")


@dataclass(frozen=True)
class Finding:
    """One part. ``broken``: something that is configured does not work; ``unsure``: it may not.

    ``where`` holds no secret; ``skew``: by how many seconds its clock is ahead of this machine's.
    """

    part: str
    state: State
    where: str = ""
    said: str = ""
    remedy: str = ""
    milliseconds: int | None = None
    skew: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """As ``aurum doctor --json`` prints it."""
        return {k: v for k, v in asdict(self).items() if k != "skew"}


class _Trouble(Exception):
    """A part does not work: ``said`` is what is wrong, ``remedy`` what to do."""

    def __init__(self, said: str, remedy: str, state: State = "broken") -> None:
        super().__init__(said)
        self.said, self.remedy, self.state, self.where = said, remedy, state, ""


_Look = Callable[[Resources], Finding]


def examine(resources: Resources) -> list[Finding]:
    """Look at every part of ``home``; takes at most ``DEADLINE`` seconds. Raises nothing."""
    looks: dict[str, _Look] = {
        "home": _home,
        "place": _place,
        "config": _config,
        "archive": _archive,
        "catalog": _catalog,
        "redis": _redis,
        "kafka": _kafka,
        "dagster": _dagster,
        "maintenance": _maintenance,
        **{d.operator.name: partial(_operator, operator=d.operator) for d in DATASETS},
        "webhook": _webhook,
        "metrics": _metrics,
    }
    started = {part: _start(part, look, resources) for part, look in looks.items()}
    wait(started.values(), timeout=DEADLINE)
    found = [_outcome(part, future) for part, future in started.items()]
    return [*found, _clock(found)]


def _start(part: str, look: _Look, resources: Resources) -> "Future[Finding]":
    """Look in a thread that holds nobody up: an executor would wait for it at the end."""
    future: Future[Finding] = Future()

    def run() -> None:
        started = time.monotonic()
        try:
            found = look(resources)
            took = found.milliseconds
            if took is None and found.state in {"ok", "unsure"}:
                took = round((time.monotonic() - started) * 1000) or None
            future.set_result(replace(found, milliseconds=took))
        except BaseException as error:  # noqa: BLE001  handed to who waits, as an executor does
            future.set_exception(error)

    threading.Thread(target=run, name=f"doctor-{part}", daemon=True).start()
    return future


def _outcome(part: str, future: "Future[Finding]") -> Finding:
    if not future.done():
        said = f"gave no answer within {DEADLINE:.0f} s"
        return Finding(part, "broken", said=said, remedy="look whether it is up and reached")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, _Trouble):
        return Finding(part, error.state, error.where, error.said, error.remedy)
    if isinstance(error, LakeDamaged | HomeMoved):  # our own sentence, with its remedy
        mark = ": " if isinstance(error, HomeMoved) else "; "
        said, _, remedy = str(error).rpartition(mark)
        return Finding(part, "broken", said=said, remedy=remedy)
    said = f"could not be looked at ({type(error).__name__})"  # its text may hold a secret
    return Finding(part, "broken", said=said, remedy="look at its variables in .env.example")


def _clock(found: list[Finding]) -> Finding:
    """How far this machine's clock is from those of the servers that say theirs."""
    said = {f.part: f.skew for f in found if f.skew is not None}
    if not said:
        return Finding("clock", "off", said="no configured server tells its time")
    part, skew = max(said.items(), key=lambda item: abs(item[1]))
    text = f"{abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} {part}'s"
    if abs(skew) < _MUCH_SKEW:
        return Finding("clock", "ok", said=text)
    remedy = "set the clock (NTP): snapshots are ordered by it"
    return Finding("clock", "unsure", said=text, remedy=remedy)


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Let trouble within say where it is."""
    try:
        yield
    except _Trouble as trouble:
        trouble.where = where
        raise


# --- this machine ------------------------------------------------------------------------------


def _home(resources: Resources) -> Finding:
    where = str(resources.root.resolve())
    with _at(where):
        _require_writable(resources.root, "set AURUM_HOME to a folder that can be written")
    if not resources.exists:
        remedy = "make one with `aurum collect`, `aurum load` or `aurum demo`, or set AURUM_HOME"
        return Finding("home", "unsure", where, "there is no home here yet", remedy)
    free = shutil.disk_usage(_existing(resources.root)).free
    said = f"{resources.origin or 'no'} data, {free / 1e9:,.0f} GB free"
    if free < _LITTLE_SPACE:
        return Finding("home", "unsure", where, said, "make room, or set AURUM_HOME elsewhere")
    return Finding("home", "ok", where, said)


def _place(resources: Resources) -> Finding:
    """Whether the tables name their files where home and warehouse are now."""
    catalog = resources.lake.configured
    if not (catalog or resources.exists):
        return Finding("place", "off", said="there is no table yet")
    if catalog and catalog["type"] != "sql":
        return Finding("place", "off", said="the catalog decides where its tables are")
    lake = Lake(catalog, patience=PATIENCE) if catalog else resources.lake
    try:
        lake.refuse_elsewhere()
    except (LakeUnreachable, LakeBusy):
        return Finding("place", "off", said="the catalog cannot be asked")
    return Finding(
        "place", "ok", lake.place.removeprefix("file://"), "the tables name their files here"
    )


def _config(resources: Resources) -> Finding:
    configs = resources.configuration.datasets.values()
    enabled = sum(c.enabled for c in configs)
    said = f"{enabled} of {len(configs)} datasets enabled, {resources.environment}"
    return Finding("config", "ok", str(resources.config_folder.resolve()), said, milliseconds=None)


def _metrics(resources: Resources) -> Finding:
    file = resources.metrics.file
    if file is None:
        return Finding("metrics", "off")
    with _at(str(file)):
        _require_writable(file.resolve().parent, "set AURUM_METRICS_FILE elsewhere")
    if file.suffix != ".prom":
        remedy = "name it *.prom: node_exporter reads no other file"
        return Finding("metrics", "unsure", str(file), "is not named *.prom", remedy)
    return Finding("metrics", "ok", str(file), "can be written")


def _maintenance(resources: Resources) -> Finding:
    """When ``aurum maintain`` or its job last ended well, once there is something to maintain."""
    marks = [
        path for path in (resources.root / "origin", resources.root / "identity") if path.exists()
    ]
    if not marks:
        return Finding("maintenance", "off", said="there is nothing to maintain yet")
    last = last_maintained(resources)
    since = dt.datetime.fromtimestamp(min(p.stat().st_mtime for p in marks), dt.UTC)
    said = f"last ended well on {last:%F %R}Z" if last else "has not run to its end yet"
    if resources.now() - (last or since) <= _MAINTAINED_WITHIN:
        return Finding("maintenance", "ok", said=said, milliseconds=None)
    remedy = "run `aurum maintain`, or switch its schedule on in the UI (AURUM_SCHEDULES=running)"
    return Finding("maintenance", "unsure", said=said, remedy=remedy)


def _existing(folder: Path) -> Path:
    """``folder``, or the nearest one above it that there is."""
    folder = folder.resolve()
    return next(p for p in (folder, *folder.parents) if p.exists())


def _require_writable(folder: Path, remedy: str) -> None:
    """Write, read and remove a file in ``folder``; in one above it where it is still to be made."""
    place = _existing(folder)
    try:
        with draft(place / f".aurum-doctor-{uuid.uuid4().hex}") as path, path.open("xb") as file:
            file.write(_TEXT)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _Trouble(
            said=f"{place} cannot be written: {error.strerror or error}", remedy=remedy
        ) from error


# --- archive -----------------------------------------------------------------------------------


def _archive(resources: Resources) -> Finding:
    configured = resources.archive.settings.place
    if configured.startswith("s3://"):
        with _at(configured):
            return _s3(resources, configured)
    path = unquote(urlsplit(configured).path) if configured else ""
    folder = Path(path) if path else resources.root / "archive"
    with _at(str(folder.resolve())):
        _require_writable(folder, "set AURUM_ARCHIVE to a folder that can be written")
    state: State = "ok" if configured else "embedded default"
    return Finding("archive", state, str(folder.resolve()), "can be written")


def _s3(resources: Resources, configured: str) -> Finding:
    """Put, get, list and delete a tiny object, and see whether a name can be taken but once."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    settings, split = resources.archive.settings, urlsplit(configured)
    prefix = split.path.strip("/")
    key = f"{prefix}/.aurum-doctor-{uuid.uuid4().hex}".lstrip("/")
    where: dict[str, Any] = {"Bucket": split.netloc, "Key": key}
    patience = Config(
        connect_timeout=PATIENCE / 2,
        read_timeout=PATIENCE,
        retries={"total_max_attempts": 1},
    )
    doing = "find credentials"
    try:
        session = boto3.session.Session(profile_name=settings.profile or None)
        client = session.client(
            "s3",
            endpoint_url=settings.endpoint or None,
            region_name=settings.region or None,
            config=patience,
        )
        started = time.monotonic()
        doing = "put an object"
        put = client.put_object(**where, Body=_TEXT)
        took = round((time.monotonic() - started) * 1000)
        doing = "get an object"
        client.get_object(**where)["Body"].read()
        doing = "list objects"
        client.list_objects_v2(Bucket=split.netloc, Prefix=prefix, MaxKeys=1)
        once = _takes_a_name_once(client, where)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        raise _Trouble(said=f"may not {doing}: {code}", remedy=_s3_remedy(code)) from None
    except BotoCoreError as error:
        said = f"cannot {doing}: {type(error).__name__}"
        raise _Trouble(said=said, remedy=_S3_REMEDIES.get(type(error).__name__, _S3_LOOK)) from None
    left = _deleted(client, where)
    said = f"put {took} ms, get, list{'' if left else ', delete'}"
    if not once:
        remedy = "use a server that knows If-None-Match, or only one machine may collect"
        return Finding("archive", "unsure", configured, f"{said}; puts twice", remedy, took)
    if left:
        said += f"; may not delete, so {key} stays"
    return Finding("archive", "ok", configured, said, "", took, _skew_of(put))


def _takes_a_name_once(client: Any, where: Mapping[str, str]) -> bool:  # noqa: ANN401  a boto3 client
    """Whether the server refuses a second object of the same name where it is told to."""
    from botocore.exceptions import ClientError

    try:
        client.put_object(**where, Body=_TEXT, IfNoneMatch="*")
    except ClientError as error:
        return str(error.response.get("Error", {}).get("Code")) in {"PreconditionFailed", "412"}
    return False


def _deleted(client: Any, where: Mapping[str, str]) -> bool:  # noqa: ANN401  a boto3 client
    """Delete; whether the object is left, for an archive may well forbid it."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.delete_object(**where)
    except (BotoCoreError, ClientError):
        return True
    return False


def _skew_of(answer: Mapping[str, Any]) -> float | None:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    try:
        theirs = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    return round((theirs - dt.datetime.now(dt.UTC)).total_seconds() + 0.5, 1)  # whole seconds


_S3_LOOK = "look at AURUM_S3_ENDPOINT, AURUM_S3_REGION and the network"
_S3_REMEDIES = {
    "NoSuchBucket": "make the bucket, or correct AURUM_ARCHIVE (S3_BUCKET, --s3-bucket)",
    "AccessDenied": "allow s3:PutObject, s3:GetObject and s3:ListBucket there to this account",
    "InvalidAccessKeyId": "correct AWS_ACCESS_KEY_ID or AWS_PROFILE",
    "SignatureDoesNotMatch": "correct AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
    "RequestTimeTooSkewed": "set this machine's clock (NTP)",
    "NoCredentialsError": "set AWS_PROFILE, AWS_ACCESS_KEY_ID and its secret, or a role",
    "PartialCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY both",
    "ProfileNotFound": "correct AWS_PROFILE, or add the profile to ~/.aws/config",
}


def _s3_remedy(code: str) -> str:
    return _S3_REMEDIES.get(code, _S3_LOOK)


# --- catalog and lake --------------------------------------------------------------------------


def _catalog(resources: Resources) -> Finding:
    properties = resources.lake.configured
    if not properties:
        return _embedded_lake(resources)
    kind = properties.get("type", "")
    where = f"{kind if kind in _CATALOGS else ''} {_masked(properties.get('uri', ''))}".strip()
    with _at(where):
        return _configured_catalog(properties, where)


def _embedded_lake(resources: Resources) -> Finding:
    folder = resources.root / "lake"
    where = str(folder.resolve())
    with _at(where):
        _require_writable(folder, "set AURUM_HOME to a folder that can be written")
    if not (folder / "catalog.sqlite").exists() and not (folder / "warehouse").exists():
        return Finding("catalog", "embedded default", where, "is made by the first run")
    if resources.lake.elsewhere():
        return Finding("catalog", "embedded default", where, "SQLite; see place")
    held = sum(resources.lake.find(table) is not None for table in known_tables())
    return Finding("catalog", "embedded default", where, f"{held} tables, SQLite")


def _configured_catalog(properties: Mapping[str, str], where: str) -> Finding:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import RESTError
    from requests.exceptions import RequestException
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    look = "look at AURUM_CATALOG_URI, and whether its server is up"
    try:
        started = time.monotonic()
        catalog = load_catalog("aurum", **properties)
        namespaces = catalog.list_namespaces()
        tables = [t for n in namespaces for t in catalog.list_tables(n)]
        took = round((time.monotonic() - started) * 1000)
    except ArgumentError:
        remedy = "write it as postgresql+psycopg2://user:password@host:5432/db"
        raise _Trouble(said="AURUM_CATALOG_URI cannot be read", remedy=remedy) from None
    except SQLAlchemyError as error:
        raise _Trouble(*_words_of_postgres(str(error), "AURUM_CATALOG_URI")) from None
    except RESTError as error:
        said = f"the catalog refused ({type(error).__name__})"
        raise _Trouble(
            said=said, remedy="look at AURUM_CATALOG_PROPERTIES for who we are there"
        ) from None
    except (RequestException, ValueError) as error:
        raise _Trouble(said=f"cannot be asked ({type(error).__name__})", remedy=look) from None
    warehouse = properties.get("warehouse", "")
    if "://" in warehouse:
        _require_warehouse(dict(properties), warehouse)
    if tables:
        catalog.load_table(tables[0])
    said = f"{len(tables)} tables; warehouse {_masked(warehouse) if warehouse else 'its own'}"
    return Finding("catalog", "ok", where, said, "", took)


def _require_warehouse(properties: dict[str, str], warehouse: str) -> None:
    """Write and delete a tiny file where the tables lie."""
    from pyiceberg.io import load_file_io

    patience = {"s3.connect-timeout": f"{PATIENCE / 2}", "s3.request-timeout": f"{PATIENCE}"}
    place = f"{warehouse.rstrip('/')}/.aurum-doctor-{uuid.uuid4().hex}"
    try:
        files = load_file_io({**patience, **properties}, place)
        with files.new_output(place).create() as file:
            file.write(_TEXT)
        files.delete(place)
    except (OSError, ValueError) as error:
        said = f"the warehouse {_masked(warehouse)} cannot be written ({type(error).__name__})"
        remedy = "look at AURUM_CATALOG_WAREHOUSE and what the account may do there"
        raise _Trouble(said=said, remedy=remedy) from None


# --- redis, kafka, postgres, webhook -------------------------------------------------------------


def _redis(resources: Resources) -> Finding:
    url = resources.redis.url.get_secret_value() if resources.redis else ""
    if not url:
        return Finding("redis", "embedded default", "", "SQLite in AURUM_HOME stands in")
    where = _masked(url)
    with _at(where):
        return _configured_redis(url, where)


def _configured_redis(url: str, where: str) -> Finding:
    """Ping, and set, get and delete a word that has an end."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    key = f"aurum:doctor:{uuid.uuid4().hex}"
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE / 2,
            retry=Retry(NoBackoff(), 0),
        )
        with client:
            client.ping()
            started = time.monotonic()
            client.set(key, _TEXT, px=60_000)
            whole = client.get(key) == _TEXT and client.pttl(key) > 0
            client.delete(key)
            took = round((time.monotonic() - started) * 1000 / 4)
            seconds, micros = client.time()
            skew = round(seconds + micros / 1e6 - time.time(), 1)
            policy = _policy_of(client)
    except redis.AuthenticationError:
        said, remedy = "does not accept who we are", "correct the password in AURUM_REDIS_URL"
        raise _Trouble(said=said, remedy=remedy) from None
    except redis.ResponseError as error:
        code = str(error).partition(" ")[0]  # OOM, NOPERM, READONLY: the text behind may say more
        said = f"refused a command ({code if code.isupper() else type(error).__name__})"
        raise _Trouble(
            said=said, remedy="allow SET, GET, DEL, PEXPIRE and scripts on aurum:*"
        ) from None
    except redis.RedisError as error:
        said = f"cannot be reached ({type(error).__name__})"
        remedy = "look at AURUM_REDIS_URL (REDIS_HOST, REDIS_PORT), and whether it is up"
        raise _Trouble(said=said, remedy=remedy) from None
    except ValueError:
        remedy = "write it as redis://:password@host:6379/0"
        raise _Trouble(said="AURUM_REDIS_URL cannot be read", remedy=remedy) from None
    if not whole:
        raise _Trouble(said="gave another word back", remedy="use a Redis that is one")
    if policy in {"", "noeviction"}:
        said = "set, get, delete" + (f", {policy}" if policy else "")
        return Finding("redis", "ok", where, said, "", took, skew)
    remedy = "set maxmemory-policy noeviction: limits are kept across machines by what it holds"
    return Finding("redis", "unsure", where, f"evicts words ({policy})", remedy, took, skew)


def _policy_of(client: Any) -> str:  # noqa: ANN401  a redis client
    """``maxmemory-policy``, where the server says it (managed ones may not)."""
    import redis

    with suppress(redis.ResponseError):
        return str(client.config_get("maxmemory-policy").get("maxmemory-policy", ""))
    return ""


def _kafka(resources: Resources) -> Finding:
    brokers = resources.events.brokers
    if not brokers.servers:
        return Finding("kafka", "off")
    where = brokers.servers.rpartition("@")[2]
    with _at(where):
        return _configured_kafka(resources, where)


def _configured_kafka(resources: Resources, where: str) -> Finding:
    """Ask the brokers for their topics."""
    try:
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import AdminClient
    except ImportError:
        remedy = "pip install 'aurum-assets[kafka]'"
        raise _Trouble(said="confluent-kafka is not installed", remedy=remedy) from None
    brokers = resources.events.brokers
    settings: dict[str, Any] = {
        "bootstrap.servers": where,
        "socket.connection.setup.timeout.ms": int(PATIENCE * 1000),
        "security.protocol": brokers.protocol or ("SASL_SSL" if brokers.username else "PLAINTEXT"),
    }
    if brokers.username:
        settings |= {
            "sasl.mechanism": brokers.mechanism,
            "sasl.username": brokers.username,
            "sasl.password": brokers.password,
        }
    heard: list[str] = []

    def hear(error: KafkaError) -> None:
        heard.append(error.name())

    quiet = logging.getLogger("aurum.doctor.kafka")  # or it writes to standard error itself
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False  # its words may hold who we are
    try:
        settings["error_cb"] = hear
        client = AdminClient(settings, logger=quiet)
        started = time.monotonic()
        held = client.list_topics(timeout=PATIENCE)
        took = round((time.monotonic() - started) * 1000)
    except KafkaException as error:
        names = [*heard, error.args[0].name()]
        refused = "_AUTHENTICATION" in names or "SASL_AUTHENTICATION_FAILED" in names
        said = "do not accept who we are" if refused else f"cannot be reached ({names[-1]})"
        remedy = (
            "correct AURUM_KAFKA_USERNAME, _PASSWORD, _MECHANISM"
            if refused
            else "look at AURUM_KAFKA_BROKERS and AURUM_KAFKA_PROTOCOL, and whether they are up"
        )
        raise _Trouble(said=said, remedy=remedy) from None
    topics = {c.topic for c in resources.configuration.datasets.values() if c.enabled}
    missing = sorted(topics - set(held.topics))
    said = f"{len(held.brokers)} brokers, {len(topics) - len(missing)} of our topics"
    if missing:
        remedy = f"make topics as {missing[0]}, unless the brokers make them"
        return Finding("kafka", "unsure", where, f"{said}, {len(missing)} missing", remedy, took)
    return Finding("kafka", "ok", where, said, "", took)


def _dagster(resources: Resources) -> Finding:
    url = os.environ.get("AURUM_DAGSTER_POSTGRES_URL", "")
    if not url:
        where = os.environ.get("DAGSTER_HOME", str((resources.root / "dagster").resolve()))
        return Finding("dagster", "embedded default", where, "SQLite")
    where = _masked(url)
    with _at(where):
        return _configured_postgres(url, where)


def _configured_postgres(url: str, where: str) -> Finding:
    from sqlalchemy import create_engine, make_url, text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        address = make_url(url).set(drivername="postgresql+psycopg2")
        engine = create_engine(address, connect_args={"connect_timeout": int(PATIENCE)})
        started = time.monotonic()
        with engine.connect() as connection:
            asked = "SELECT clock_timestamp(), has_schema_privilege('public', 'CREATE')"
            theirs, may = connection.execute(text(asked)).one()
            skew = round((theirs - dt.datetime.now(dt.UTC)).total_seconds(), 1)
        took = round((time.monotonic() - started) * 1000)
        engine.dispose()
    except SQLAlchemyError as error:
        name = "AURUM_DAGSTER_POSTGRES_URL"
        raise _Trouble(*_words_of_postgres(str(error), name)) from None
    if not may:
        remedy = "GRANT CREATE ON SCHEMA public, or make its tables with dagster instance migrate"
        return Finding("dagster", "unsure", where, "may not make tables", remedy, took, skew)
    return Finding("dagster", "ok", where, "Postgres, may make tables", "", took, skew)


_POSTGRES = (
    ("password authentication failed", "does not accept who we are", "the user and password"),
    ("no password supplied", "wants a password", "the password"),
    ("does not exist", "has no such database or user", "the name of the database"),
    ("could not translate host name", "is at a host that nobody knows", "the host"),
    ("timeout", "gave no answer in time", "host and port, and the network"),
    ("refused", "cannot be reached (refused)", "host and port, and whether it is up"),
)


def _words_of_postgres(text: str, variable: str) -> tuple[str, str]:
    """What is wrong, and the remedy, for what the library says (which may hold a secret)."""
    for mark, said, what in _POSTGRES:
        if mark in text:
            return said, f"look at {variable}: {what}"
    return "cannot be used", f"look at {variable}: postgresql+psycopg2://user:password@host:5432/db"


def _webhook(resources: Resources) -> Finding:
    url = resources.alerts.webhook
    if not url:
        return Finding("webhook", "off")
    split = urlsplit(url)
    where = f"{split.scheme}://{split.hostname or ''}"  # its path is the secret
    with _at(where):
        try:
            port = split.port or (80 if split.scheme == "http" else 443)
            with socket.create_connection((split.hostname or "", port), timeout=PATIENCE):
                pass
        except (OSError, ValueError) as error:
            said = f"cannot be reached ({type(error).__name__})"
            raise _Trouble(said=said, remedy="look at AURUM_WEBHOOK_URL and the network") from None
    return Finding("webhook", "ok", where, "reached; nothing was sent")


# --- the operators -------------------------------------------------------------------------------


def _operator(resources: Resources, operator: Operator) -> Finding:
    """Ask for the smallest thing that the operator has."""
    base = resources.base_urls[operator.name]
    where = _masked(base)
    credentials = resources.credentials.get(operator.name)
    if operator.credentials and (credentials is None or not credentials.given):
        variables = ", or ".join(operator.credentials)
        said, remedy = "no credentials", f"set {variables} (register at {operator.registration})"
        return Finding(operator.name, "off", where, said, remedy)
    with _at(where), looking(resources, operator) as api:
        started = time.monotonic()
        try:
            said = newest_published_by(resources, api, operator)
            took = round((time.monotonic() - started) * 1000)
            said = "; ".join([said, *not_offered_by(resources, api, operator)])
        except (SourceError, ConfigError) as error:
            raise _Trouble(said=str(error), remedy="") from None
        except AurumError as error:
            raise _Trouble(said=str(error), remedy="", state="unsure") from None
    return Finding(operator.name, "ok", where, said, "", took)


def _masked(url: str) -> str:
    """Where ``url`` leads, without user, password and query; nothing of what is no such address."""
    try:
        split = urlsplit(url)
        host, port = split.hostname or "", split.port
    except ValueError:
        return "an address that cannot be read"
    if split.scheme.partition("+")[0] not in _SCHEMES:
        return "an address that cannot be read" if url else ""
    return f"{host}{f':{port}' if port else ''}{split.path}"
