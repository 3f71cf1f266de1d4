"""Configuration: the dataset files, the environment, and the resources built from them.

``Home`` is everything that a verb needs: archive, registry, lake, API clients, clock. All state
lies under ``AURUM_HOME``. A wrong file or variable is one ``ConfigError`` naming it, what it holds
and what it should hold.
"""

import contextlib
import datetime as dt
import fcntl
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from aurum_assets.model.dataset import (
    Dataset,
    DatasetConfig,
    Operator,
    OperatorConfig,
)
from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    HomeMoved,
    LakeBusy,
    LakeUnreachable,
    StoreError,
)
from aurum_assets.resources import redaction
from aurum_assets.resources.alerts import Alerts
from aurum_assets.resources.archive import Archive
from aurum_assets.resources.catalog import catalog_properties
from aurum_assets.resources.configuration import Configuration, load_config
from aurum_assets.resources.credentials import NOTHING, Credentials, access
from aurum_assets.resources.environment import PROJECT as PROJECT  # noqa: PLC0414 - re-exported
from aurum_assets.resources.environment import env_files, environment, is_address
from aurum_assets.resources.events import Brokers, Events, brokers_of
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.limits import REPORT_SECONDS, Limiter, SqliteLimiter
from aurum_assets.resources.logs import get_logger, hide_secrets
from aurum_assets.resources.metrics import Metrics
from aurum_assets.resources.objects import Folder, open_store, s3_properties
from aurum_assets.resources.redis import RedisLimiter, RedisServer, RedisState, redis_at
from aurum_assets.resources.registry import Registry
from aurum_assets.resources.state import SqliteState, State, transaction

if TYPE_CHECKING:
    from aurum_assets.resources.api import ApiClient

# What has to be there: a home; a lake (a home, or a configured catalog); an archive (a home, or a
# configured archive).
Needs = Literal["nothing", "home", "lake", "archive"]
_MARKS = ("origin", "identity", "archive", "lake", "spool", "dagster", "state.sqlite")
log = get_logger(__name__)


def _named(*names: str, default: Any = "", **bounds: Any) -> Any:  # noqa: ANN401  as Field has it
    """A setting under several names: ours, then those that other tools gave it."""
    return Field(default=default, validation_alias=AliasChoices(*names), **bounds)


def _lower(said: object) -> object:
    """``INFO`` as ``info``."""
    return said.lower() if isinstance(said, str) else said


class Settings(BaseSettings):
    """The environment. Every variable is described in ``.env.example``."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    home: Path = _named("AURUM_HOME", default=Path(".aurum"))
    config: Path = _named("AURUM_CONFIG", default=PROJECT / "config")
    now: dt.datetime | None = _named("AURUM_NOW", default=None)
    limit_scale: float = _named("AURUM_LIMIT_SCALE", default=1.0, gt=0)
    repairs: int = _named("AURUM_REPAIRS", default=4, ge=0)
    keep_runs_days: int = _named("AURUM_KEEP_RUNS_DAYS", default=7, ge=1)

    environment: Literal["dev", "staging", "prod"] = _named("AURUM_ENVIRONMENT", default="dev")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        _named("AURUM_LOG_LEVEL", default="warning")
    )
    log_format: Literal["console", "json"] = _named("AURUM_LOG_FORMAT", default="console")
    archive: str = _named("AURUM_ARCHIVE")
    s3_bucket: str = _named("S3_BUCKET")
    s3_endpoint: str = _named("AURUM_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    s3_region: str = _named("AURUM_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    aws_profile: str = _named("AWS_PROFILE")
    catalog_type: Literal["", "sql", "rest", "glue"] = _named("AURUM_CATALOG_TYPE")
    catalog_uri: SecretStr = _named("AURUM_CATALOG_URI", default=NOTHING)
    catalog_warehouse: str = _named("AURUM_CATALOG_WAREHOUSE")
    catalog_properties: SecretStr = _named("AURUM_CATALOG_PROPERTIES", default=NOTHING)
    redis_url: SecretStr = _named("AURUM_REDIS_URL", default=NOTHING)
    redis_host: str = _named("REDIS_HOST")
    redis_port: int = _named("REDIS_PORT", default=6379, gt=0, lt=65536)
    redis_db: int = _named("REDIS_DB", default=0, ge=0)
    machines: int = _named("AURUM_MACHINES", default=1, ge=1)
    kafka_brokers: str = _named("AURUM_KAFKA_BROKERS")
    kafka_username: str = _named("AURUM_KAFKA_USERNAME")
    kafka_password: SecretStr = _named("AURUM_KAFKA_PASSWORD", default=NOTHING)
    kafka_protocol: Literal["", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _named(
        "AURUM_KAFKA_PROTOCOL"
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = _named(
        "AURUM_KAFKA_MECHANISM", default="PLAIN"
    )
    kafka_connection: SecretStr = _named(
        "AURUM_KAFKA_CONNECTION", "KAFKA_CONNECTION_STRING", default=NOTHING
    )
    webhook_url: SecretStr = _named("AURUM_WEBHOOK_URL", default=NOTHING)
    metrics_file: Path | None = _named("AURUM_METRICS_FILE", default=None)
    # Read by Dagster's definitions and dagster.yaml, where a wrong value would be silent.
    schedules: Literal["", "running"] = _named("AURUM_SCHEDULES")
    dagster_postgres_url: SecretStr = _named("AURUM_DAGSTER_POSTGRES_URL", default=NOTHING)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, then the file that it names, else both places of a ``.env``."""
        del dotenv_settings, file_secret_settings
        dotenv = DotEnvSettingsSource(settings_cls, env_file=env_files())
        return init_settings, env_settings, dotenv

    @classmethod
    def read(cls, **said: object) -> "Settings":
        """From the environment, with what is ``said`` in its place where that is not None.

        Raises ``ConfigError`` naming the variable that is wrong.
        """
        given = {name: value for name, value in said.items() if value is not None}
        file = os.environ.get("AURUM_ENV_FILE")
        if file and not Path(file).exists():
            msg = f"environment variable AURUM_ENV_FILE: there is no file {file}"
            raise ConfigError(msg)
        try:
            return cls().model_copy(update=given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            msg = f"environment variable {first['loc'][0]}: {first['msg']}"
            raise ConfigError(msg) from None


def _wall_clock() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _refuse_to_wait(why: str) -> None:
    msg = f"{why}; ask again then"
    raise AurumError(msg)


def _refuse_to_rest(_: float) -> None:
    """Waits that are too short to be told of are refused here."""
    _refuse_to_wait(f"waiting for the limit: next request in {REPORT_SECONDS:g} s")


@dataclass(frozen=True)
class Backends:
    """What stands in the place of the embedded defaults; what is empty keeps its default.

    ``archive``: ``file:/folder`` or ``s3://bucket/prefix``. ``catalog``: properties of a pyiceberg
    catalog, as ``load_catalog`` takes them. ``machines``: how many ask with the same credentials,
    for what they do when they have no Redis in common.
    """

    archive: str = ""
    s3_endpoint: str = ""
    s3_region: str = ""
    aws_profile: str = ""
    catalog: Mapping[str, str] = field(default_factory=dict, repr=False)
    redis_url: SecretStr = NOTHING
    machines: int = 1
    kafka_brokers: str = ""
    kafka_username: str = ""
    kafka_password: SecretStr = NOTHING
    kafka_protocol: str = ""
    kafka_mechanism: str = "PLAIN"
    webhook_url: SecretStr = NOTHING
    metrics_file: Path | None = None
    environment: str = "dev"


@dataclass
class Resources:
    """Everything under ``AURUM_HOME``, and the way to the operators."""

    root: Path
    configuration: Configuration
    base_urls: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    clock: Callable[[], dt.datetime] = _wall_clock
    sleep: Callable[[float], None] = time.sleep
    limit_scale: float = 1.0
    repairs: int = 4
    keep_runs_days: int = 7
    config_folder: Path = PROJECT / "config"
    backends: Backends = field(default_factory=Backends)

    @property
    def origin(self) -> str:
        """``real`` or ``simulated``: whose data this home holds; empty before any was asked for."""
        marker = self.root / "origin"
        return marker.read_text().strip() if marker.exists() else ""

    @property
    def exists(self) -> bool:
        """Whether ``root`` is a home: a folder that a run, a load or ``make setup`` wrote to."""
        return any((self.root / name).exists() for name in _MARKS)

    def stand_in(self) -> "Resources":
        """This home in a temporary folder of this user, for who looks while there is none.

        Requests that leave meanwhile are counted there, and count in the home once it is made.
        Raises ``ConfigError`` where another user has that folder.
        """
        folder = _stand_in(self.root)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(folder):
            msg = f"{folder} belongs to another user: set TMPDIR to a folder of your own"
            raise ConfigError(msg)
        return replace(self, root=folder)

    @cached_property
    def redis(self) -> RedisServer | None:
        """What machines share, where it is configured."""
        url = self.backends.redis_url.get_secret_value()
        return redis_at(url) if url else None

    @property
    def degraded(self) -> str:
        """What is out of reach, and what that means; empty where nothing is."""
        said = (self.registry.degraded, self.redis.degraded if self.redis else "")
        return "; ".join(filter(None, said))

    @cached_property
    def identity(self) -> str:
        """Whose words on archive and tables these are: those of an S3 archive, else of this home.

        Homes with archives of their own must not read each other's words: what the one has stored,
        the other has not.
        """
        if self.backends.archive.startswith("s3://"):
            place = f"{self.backends.s3_endpoint} {self.backends.archive}"
            return hashlib.sha256(place.encode()).hexdigest()[:16]
        file = self.root / "identity"
        with self.lock("identity"), self._written():
            if not file.exists() or not file.read_text().strip():
                file.write_text(uuid.uuid4().hex[:16])
            return file.read_text().strip()

    def renew_identity(self) -> None:
        """Take another identity with the next use: a copy is not the home that it was made of."""
        with self._written():
            (self.root / "identity").unlink(missing_ok=True)

    @cached_property
    def state(self) -> State:
        """What the processes around one archive share."""
        return self._words()

    @cached_property
    def _here(self) -> SqliteState:
        """What processes of this machine share."""
        return SqliteState(self.root / "state.sqlite")

    def _prefix(self, whose: str) -> str:
        return f"aurum:{self.backends.environment}:{whose}:"

    def _words(self, part: str = "", *, listed: bool = True) -> State:
        if self.redis is None:
            return self._here
        prefix = self._prefix(self.identity) + part
        return RedisState(self.redis, prefix, self._here, listed=listed)

    @cached_property
    def archive(self) -> Archive:
        """The raw archive. Raises ``ConfigError`` where ``AURUM_ARCHIVE`` names no place."""
        return Archive(open_store(self.backends, self.root / "archive"))

    @cached_property
    def spool(self) -> Archive:
        """What could not be archived, until the archive is within reach again."""
        return Archive(Folder(self.root / "spool"))

    @cached_property
    def registry(self) -> Registry:
        """The hash registry."""
        return Registry(self._words("registry:", listed=False))

    @cached_property
    def lake(self) -> Lake:
        """The Iceberg tables."""
        root = self.root / "lake"
        catalog = self.backends.catalog
        return Lake.remote(catalog, root) if catalog else Lake.local(root)

    @cached_property
    def events(self) -> Events:
        """Who is told what was committed: nobody, where no brokers are configured."""
        b = self.backends
        password = b.kafka_password.get_secret_value()
        brokers = Brokers(
            b.kafka_brokers, b.kafka_username, password, b.kafka_protocol, b.kafka_mechanism
        )
        return Events(self.root / "outbox.sqlite", brokers, b.environment)

    @cached_property
    def metrics(self) -> Metrics:
        """What all processes of this home counted."""
        environment, file = self.backends.environment, self.backends.metrics_file
        return Metrics(self.root / "metrics.sqlite", environment, self.clock, file)

    @cached_property
    def alerts(self) -> Alerts:
        """The alerts: troubles that a person should know of."""
        return Alerts(
            self.root / "alerts.sqlite",
            self.backends.environment,
            self.clock,
            webhook=self.backends.webhook_url.get_secret_value(),
            events=self.events if self.events.configured else None,
        )

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """One process of this machine at a time; a killed one gives way at once.

        Raises ``ConfigError`` where the home cannot be written.
        """
        folder = self.root / "locks"
        with self._written():
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / f"{name}.lock").open("a")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Say in a sentence that the home cannot be written."""
        try:
            yield
        except OSError as error:
            why = error.strerror or type(error).__name__
            msg = (
                f"{error.filename or self.root} cannot be written ({why}): make the home writable "
                "by this user, or set AURUM_HOME to a folder that is"
            )
            raise ConfigError(msg) from error

    def _refuse_to_mix(self, base_url: str) -> None:
        """A home holds what a simulator made up or what an operator said, never both.

        Nor do an archive and a lake that are elsewhere, and that other homes may share.
        """
        host = urlsplit(base_url).hostname
        ours = "simulated" if host in {"127.0.0.1", "::1", "localhost"} else "real"
        self._mark("origin", ours.encode())
        for place, variable, whose in [(self.root, "AURUM_HOME", self.origin), *self._shared(ours)]:
            if whose != ours:
                msg = (
                    f"{place} holds {whose} data, and {host} would bring {ours} data: "
                    f"set {variable} to another place for that"
                )
                raise ConfigError(msg)

    def _shared(self, ours: str) -> list[tuple[str, str, str]]:
        """Whose data is in archive and lake, where these are elsewhere; asked once a home."""
        b = self.backends
        asked = f"origin-{hashlib.sha256(_places(b).encode()).hexdigest()[:16]}"
        if not (b.archive or b.catalog) or (self.root / asked).exists():
            return []
        places: list[tuple[str, str, Callable[[str], str]]] = []
        if b.catalog:
            places.append(("the lake", "AURUM_CATALOG_URI", self.lake.claimed_by))
        if b.archive:
            places.append((self.archive.uri, "AURUM_ARCHIVE", self.archive.claimed_by))
        held = []
        for place, variable, claimed_by in places:
            try:
                held.append((place, variable, claimed_by(ours)))
            except HomeMoved:
                raise
            except (StoreError, LakeUnreachable, LakeBusy, ConfigError):
                # Asked again with the next request: what is fetched now is spooled.
                log.debug("whose data it holds was not to be learned", place=place)
        if len(held) == len(places) and all(whose == ours for _, _, whose in held):
            self._mark(asked, ours.encode())
        return held

    def _mark(self, name: str, word: bytes) -> None:
        """Write ``word`` where nothing is; whole, then linked: nobody ever reads half of it."""
        marker = self.root / name
        if marker.exists():
            return
        draft = self.root / f".{name}.{uuid.uuid4().hex}"
        with self._written():
            self.root.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(word)
            with contextlib.suppress(FileExistsError):
                os.link(draft, marker)
            draft.unlink()

    def now(self) -> dt.datetime:
        """This instant, UTC."""
        return self.clock()

    def config(self, dataset: Dataset) -> DatasetConfig:
        """What config says of a dataset."""
        return self.configuration.datasets[dataset.key]

    def api(
        self,
        operator: Operator,
        *,
        single_attempt: bool = False,
        memory: State | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> "ApiClient":
        """A client of the operator, sharing limits and breaker with every process here.

        With ``single_attempt`` it asks once, within seconds, and only if a slot is free now. With a
        ``memory`` of its own it does not change breaker and endpoint order, and does not mark the
        home as real or simulated. ``tell`` is called about waits, see ``ApiClient``.
        """
        from aurum_assets.resources.api import ApiClient

        config = self.configuration.operators[operator.name]
        scaled = [max(1, int(x.requests * self.limit_scale)) for x in config.limits]
        raised = [replace(x, requests=n) for x, n in zip(config.limits, scaled, strict=True)]
        base_url = self._base_url(operator)
        if memory is None:
            self._refuse_to_mix(base_url)
        config = replace(
            config,
            base_url=base_url,
            limits=tuple(raised),
            endpoint_limits=config.endpoint_limits if self.limit_scale == 1 else {},
        )
        if single_attempt:
            config = replace(
                config, attempts=1, connect_seconds=5.0, read_seconds=10.0, total_seconds=20.0
            )
        return ApiClient(
            config,
            operator,
            memory or self.known_of(operator),
            self._limiter(operator, config, _refuse_to_rest if single_attempt else self.sleep),
            credentials=self.credentials.get(operator.name),
            clock=self.clock,
            sleep=self.sleep,
            tell=_refuse_to_wait if single_attempt else tell,
        )

    def _base_url(self, operator: Operator) -> str:
        return (
            self.base_urls.get(operator.name)
            or self.configuration.operators[operator.name].base_url
        )

    def _of_askers(self, operator: Operator) -> str:
        """The prefix of an operator's words in Redis, by its address: a simulated is another."""
        return self._prefix(urlsplit(self._base_url(operator)).netloc.rpartition("@")[2])

    def known_of(self, operator: Operator) -> State:
        """What all who ask an operator share: pauses, breaker, endpoints that refused."""
        if self.redis is None:
            return self._here
        return RedisState(self.redis, self._of_askers(operator), self._here)

    def _limiter(
        self, operator: Operator, config: OperatorConfig, sleep: Callable[[float], None]
    ) -> Limiter:
        here, file, machines = self._here, self.root / "limits.sqlite", self.backends.machines
        counted = _stand_in(self.root) / file.name
        if not file.exists() and counted.exists() and _is_ours(counted.parent):
            with transaction(counted, "", write=False) as db:
                slots = db.serialize()  # those that are in its log too
            self._mark(file.name, slots)
        if self.redis is None:
            return SqliteLimiter(file, config, here, machines=machines, sleep=sleep)
        prefix = self._of_askers(operator)
        return RedisLimiter(self.redis, prefix, file, config, here, machines=machines, sleep=sleep)


def _stand_in(root: Path) -> Path:
    """Where what looks keeps count of its requests while there is no home in ``root``."""
    name = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"aurum-{os.getuid()}-{name}"


def _is_ours(folder: Path) -> bool:
    return not folder.is_symlink() and folder.stat().st_uid == os.getuid()


def _places(b: Backends) -> str:
    """Where archive and lake are: the same with a new password, user or option."""
    uri = urlsplit(b.catalog.get("uri", ""))
    names = ("type", "warehouse", "glue.endpoint", "glue.id", "client.region")
    said = [
        urlsplit(b.s3_endpoint).netloc.rpartition("@")[2],
        b.archive,
        *(b.catalog.get(name, "") for name in names),
        uri.netloc.rpartition("@")[2],
        uri.path,
        *(f"{n}={v}" for n, v in sorted(parse_qsl(uri.query)) if n in {"host", "port", "dbname"}),
    ]
    return " ".join(said)


def open_resources(
    datasets: tuple[Dataset, ...],
    settings: Settings | None = None,
    *,
    needs: Needs = "nothing",
    even_moved: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Resources:
    """The home that the environment describes; nothing is written.

    Raises ``ConfigError`` naming the variable or file that is wrong, or where what it ``needs`` is
    not there; ``HomeMoved`` where the home was made in another place, unless ``even_moved``. A
    configured catalog is asked for that when it is opened. ``variables``: what holds of operators
    in the place of the environment.
    """
    home = _described(datasets, settings, variables)
    instead = {"lake": home.backends.catalog, "archive": home.backends.archive}
    if needs != "nothing" and not (instead.get(needs) or home.exists):
        msg = (
            f"there is no home in {home.root.resolve()}: name the folder of another (AURUM_HOME), "
            "or make one with `aurum collect`, `aurum load` or `aurum demo`"
        )
        raise ConfigError(msg)
    if not (even_moved or home.backends.catalog):
        home.lake.refuse_elsewhere()
    return home


def _described(
    datasets: tuple[Dataset, ...], settings: Settings | None, variables: Mapping[str, str] | None
) -> Resources:
    settings = settings or Settings.read()
    redaction.learn(settings)
    hide_secrets()
    _refuse_what_is_no_address(settings)
    if settings.metrics_file is not None and settings.metrics_file.is_dir():
        msg = f"environment variable AURUM_METRICS_FILE: {settings.metrics_file} is a folder"
        raise ConfigError(msg)
    frozen = settings.now
    if frozen is not None and frozen.tzinfo is None:
        msg = f"environment variable AURUM_NOW: {frozen.isoformat()} needs an offset, e.g. a Z"
        raise ConfigError(msg)
    variables = environment() if variables is None else variables
    ways = {d.operator.name: access(d.operator, variables) for d in datasets}
    for way in ways.values():
        redaction.know(way.credentials.secrets())
    root = settings.home.expanduser()
    if root.exists() and not root.is_dir():
        msg = f"environment variable AURUM_HOME: {root} is a file, a home is a folder"
        raise ConfigError(msg)
    return Resources(
        root=root,
        configuration=load_config(settings.config, datasets),
        base_urls={name: way.base_url for name, way in ways.items()},
        credentials={n: w.credentials for n, w in ways.items() if w.credentials.given},
        clock=(lambda: frozen) if frozen is not None else _wall_clock,
        limit_scale=settings.limit_scale,
        config_folder=settings.config,
        repairs=settings.repairs,
        keep_runs_days=settings.keep_runs_days,
        backends=_backends(settings),
    )


def _refuse_what_is_no_address(settings: Settings) -> None:
    """Raise ``ConfigError`` for an address at which nobody could be asked."""
    postgres = ("postgresql", "postgresql+psycopg2", "postgres")
    web = ("http", "https")
    for name, address, schemes, expected in (
        ("AURUM_S3_ENDPOINT", settings.s3_endpoint, web, "https://host"),
        ("AURUM_WEBHOOK_URL", settings.webhook_url.get_secret_value(), web, "https://host/path"),
        (
            "AURUM_DAGSTER_POSTGRES_URL",
            settings.dagster_postgres_url.get_secret_value(),
            postgres,
            "postgresql+psycopg2://user:password@host:5432/db",
        ),
    ):
        if address and not is_address(address, schemes, plain=False):
            msg = f"environment variable {name}: expected {expected}; found something else"
            raise ConfigError(msg)


def _backends(settings: Settings) -> Backends:
    """What the environment puts in the place of the embedded defaults."""
    brokers = brokers_of(
        settings.kafka_brokers,
        settings.kafka_username,
        settings.kafka_password.get_secret_value(),
        settings.kafka_protocol,
        settings.kafka_mechanism,
        settings.kafka_connection.get_secret_value(),
    )
    found = Backends(
        archive=settings.archive or (settings.s3_bucket and f"s3://{settings.s3_bucket}"),
        s3_endpoint=settings.s3_endpoint,
        s3_region=settings.s3_region,
        aws_profile=settings.aws_profile,
        redis_url=_redis_url(settings),
        machines=settings.machines,
        kafka_brokers=brokers.servers,
        kafka_username=brokers.username,
        kafka_password=SecretStr(brokers.password),
        kafka_protocol=brokers.protocol,
        kafka_mechanism=brokers.mechanism,
        webhook_url=settings.webhook_url,
        metrics_file=settings.metrics_file,
        environment=settings.environment,
    )
    open_store(found, settings.home / "archive")  # refuses what names no place
    catalog = catalog_properties(
        settings.catalog_type,
        settings.catalog_uri.get_secret_value(),
        settings.catalog_warehouse,
        settings.catalog_properties.get_secret_value(),
        home=settings.home,
        s3=s3_properties(found),
    )
    return replace(found, catalog=catalog)


def _redis_url(settings: Settings) -> SecretStr:
    url = settings.redis_url.get_secret_value()
    if not url and settings.redis_host:
        host = f"[{settings.redis_host}]" if ":" in settings.redis_host else settings.redis_host
        url = f"redis://{host}:{settings.redis_port}/{settings.redis_db}"
    if url and not _is_redis_url(url):
        name = "AURUM_REDIS_URL" if settings.redis_url.get_secret_value() else "REDIS_HOST"
        msg = (
            f"environment variable {name}: expected redis://, rediss:// or unix:// as in "
            "redis://:password@host:6379/0, with / # ? @ % of a password as %2F %23 %3F %40 %25; "
            "found something else"
        )
        raise ConfigError(msg)
    return SecretStr(url)


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = parts.port != 0 and (parts.path if parts.scheme == "unix" else parts.hostname)
    except ValueError:
        return False
    return parts.scheme in {"redis", "rediss", "unix"} and bool(named)
