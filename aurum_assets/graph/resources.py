"""The resources that Dagster shows: one a part, over the plain classes of ``resources``.

Their fields are the settings of the part: a variable that is set is shown by its name, never by
what it holds. A step declares what it uses; ``assembled`` makes the record of these, in which any
other part refuses to be used. A part with the same settings is opened once a process.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self, cast

import dagster as dg
from pydantic import Field, create_model

from aurum_assets.graph.kept import kept_connections
from aurum_assets.model.dataset import OperatorConfig
from aurum_assets.model.operator import Operator
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.resources.archive import Archive, ArchiveSettings
from aurum_assets.resources.catalog import catalog_properties
from aurum_assets.resources.composition import (
    Resources,
    alerts_of,
    registry_of,
    wall_clock,
)
from aurum_assets.resources.configuration import Configuration, load_config
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.events import Brokers, Events, brokers_of
from aurum_assets.resources.home import Home
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.metrics import Metrics
from aurum_assets.resources.objects import open_archive, s3_properties
from aurum_assets.resources.operator_api import OperatorApi
from aurum_assets.resources.redis import redis_at, redis_url
from aurum_assets.resources.registry import REMEMBERED_DAYS, Registry
from aurum_assets.resources.shared import Shared

_RUNTIME = (
    "configuration",
    "config_folder",
    "environment",
    "clock",
    "sleep",
    "repairs",
    "keep_runs_days",
)
_EMPTY = "Empty: "


def api_key_of(operator: Operator) -> str:
    """The name of an operator's resource: its own name and ``_api``."""
    return f"{operator.name}_api"


APIS = frozenset(map(api_key_of, OPERATORS))
PARTS = ("home", "shared_state", "archive", "registry", "lake", "events", "alerts", "metrics")
KEYS = frozenset({"runtime", *PARTS, *APIS})

LAKE = frozenset({"runtime", "home", "lake"})  # to look at tables
TABLES = LAKE | {"shared_state", "archive", "registry", "metrics"}  # to check or maintain them
WRITES = TABLES | {"events"}  # to change them
TELLS = frozenset({"runtime", "home", "events", "alerts"})  # to tell of alerts


class UndeclaredResource(RuntimeError):
    """A step used what it does not declare."""


@dataclass(frozen=True)
class _Undeclared:
    """In the place of a part that a step does not declare."""

    key: str

    def __getattr__(self, name: str) -> object:
        msg = f"the step does not declare the resource {self.key}, and uses {name} of it"
        raise UndeclaredResource(msg)


class _Apis(dict[str, OperatorApi]):
    """The declared ways to operators, by name."""

    def __missing__(self, name: str) -> OperatorApi:
        msg = f"the step does not declare the resource {name}_api"
        raise UndeclaredResource(msg)


@dataclass(frozen=True, eq=False)
class Runtime:
    """What holds for all parts: the dataset files, the clock, and how much is done at once."""

    configuration: Configuration
    config_folder: Path
    environment: str
    clock: Callable[[], dt.datetime]
    sleep: Callable[[float], None]
    repairs: int
    keep_runs_days: int


# --- what is opened, once a process --------------------------------------------------------------

_configurations: dict[Path, Configuration] = {}
opened_archive = cache(open_archive)
_shared = cache(Shared)
_registry = cache(registry_of)


def keep_configuration(folder: Path, configuration: Configuration) -> None:
    """Have the dataset files of ``folder``, which were read, not read again by this process."""
    _configurations[folder] = configuration


def _configuration_in(folder: Path) -> Configuration:
    if folder not in _configurations:
        keep_configuration(folder, load_config(folder, DATASETS))
    return _configurations[folder]


@cache
def _runtime(
    folder: Path, environment: str, now: str, repairs: int, keep_runs_days: int
) -> Runtime:
    frozen = dt.datetime.fromisoformat(now) if now else None
    clock = (lambda: frozen) if frozen is not None else wall_clock
    configuration = _configuration_in(folder)
    return Runtime(configuration, folder, environment, clock, time.sleep, repairs, keep_runs_days)


@cache
def _lake(home: Home, catalog: tuple[str, str, str, str], s3: ArchiveSettings) -> Lake:
    properties = catalog_properties(*catalog, home=home.root, s3=s3_properties(s3))
    return Lake.of(properties, home.root / "lake")


@cache
def _events(home: Home, brokers: Brokers, environment: str) -> Events:
    return Events(home.root / "outbox.sqlite", brokers, environment)


@cache
def _alerts(home: Home, runtime: Runtime, webhook: str, events: Events, runbooks: str) -> Any:  # noqa: ANN401  Alerts
    return alerts_of(
        home,
        runtime.environment,
        runtime.clock,
        webhook=webhook,
        events=events,
        runbooks=runbooks,
    )


@cache
def _metrics(home: Home, runtime: Runtime, file: Path | None) -> Metrics:
    return Metrics(home.root / "metrics.sqlite", runtime.environment, runtime.clock, file)


# --- what is shown -------------------------------------------------------------------------------


class RuntimeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """What holds for all parts: the dataset files, the clock, and how much is done at once."""

    config_folder: str = Field(description="The folder of the dataset files (AURUM_CONFIG).")
    environment: str = Field(
        default="dev", description="Labels logs, metrics, messages (AURUM_ENVIRONMENT)."
    )
    now: str = Field(
        default="", description=f"{_EMPTY}the machine's clock; else an instant (AURUM_NOW)."
    )
    repairs: int = Field(
        default=4, description="Days of an operator that are repaired at a look (AURUM_REPAIRS)."
    )
    keep_runs_days: int = Field(
        default=7, description="Days for which runs are kept (AURUM_KEEP_RUNS_DAYS)."
    )

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Every step uses it: while it is there, the run keeps its connections to Dagster."""
        if context.instance is None or context.run is None:  # of a sensor, or of nobody
            yield self
            return
        with kept_connections(context.instance, context.run.run_id):
            yield self

    def opened(self) -> Runtime:
        """Open the ``Runtime`` that these settings describe."""
        folder = Path(self.config_folder)
        return _runtime(folder, self.environment, self.now, self.repairs, self.keep_runs_days)


class HomeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The folder of this machine's state: locks, SQLite files, spool."""

    folder: str = Field(default=".aurum", description="Made with the first use (AURUM_HOME).")

    def opened(self) -> Home:
        """Open the ``Home`` that these settings describe."""
        return Home(Path(self.folder).expanduser())


class SharedStateResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """What processes share: the hash registry, pauses, breakers, request limits.

    In Redis for several machines; without it, in SQLite in the home.
    """

    redis_url: str = Field(default="", description=f"{_EMPTY}SQLite (AURUM_REDIS_URL).")
    redis_host: str = Field(default="", description="In the place of redis_url (REDIS_HOST).")
    redis_port: int = Field(default=6379, description="With redis_host (REDIS_PORT).")
    redis_db: int = Field(default=0, description="With redis_host (REDIS_DB).")
    machines: int = Field(
        default=1,
        description="How many machines divide the limits while they share no Redis "
        "(AURUM_MACHINES).",
    )

    def opened(self, home: Home, runtime: Runtime) -> Shared:
        """Open the ``Shared`` that these settings describe."""
        url = redis_url(self.redis_url, self.redis_host, self.redis_port, self.redis_db)
        redis = redis_at(url) if url else None
        return _shared(home, redis, runtime.environment, self.machines)


class FolderArchive(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The raw archive, in a folder: every answer, byte for byte, for ever."""

    place: str = Field(
        default="", description=f"{_EMPTY}archive in the home; else file:/folder (AURUM_ARCHIVE)."
    )

    def opened(self, home: Home) -> Archive:
        """Open the ``Archive`` that these settings describe."""
        return opened_archive(ArchiveSettings(self.place), home.root / "archive")


class RegistryResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The registry of archived and merged answers by content hash: a cache in shared_state."""

    remembered_days: int = Field(
        default=REMEMBERED_DAYS,
        description="For how long; after that, the archive is asked instead.",
    )

    def opened(self, home: Home, archive: Archive, shared: Shared) -> Registry:
        """Open the ``Registry`` that these settings describe."""
        return _registry(home, archive, shared, self.remembered_days)


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The Iceberg tables: in a SQLite catalog of the home, in Postgres, REST or Glue."""

    catalog_type: str = Field(
        default="", description=f"{_EMPTY}as catalog_uri says; sql, rest or glue."
    )
    catalog_uri: str = Field(
        default="", description=f"{_EMPTY}SQLite in the home (AURUM_CATALOG_URI)."
    )
    warehouse: str = Field(
        default="", description=f"{_EMPTY}a folder in the home (AURUM_CATALOG_WAREHOUSE)."
    )
    properties: str = Field(
        default="", description="More of pyiceberg's, as JSON (AURUM_CATALOG_PROPERTIES)."
    )
    s3_endpoint: str = Field(default="", description="Of a warehouse on S3 (AURUM_S3_ENDPOINT).")
    s3_region: str = Field(default="", description="Of a warehouse on S3 (AURUM_S3_REGION).")
    aws_profile: str = Field(default="", description="Of a warehouse on S3 (AWS_PROFILE).")

    def opened(self, home: Home) -> Lake:
        """Open the ``Lake`` that these settings describe."""
        catalog = (self.catalog_type, self.catalog_uri, self.warehouse, self.properties)
        s3 = ArchiveSettings("", self.s3_endpoint, self.s3_region, self.aws_profile)
        return _lake(home, catalog, s3)


class EventsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Messages to Kafka of what was committed, by way of an outbox in the home."""

    brokers: str = Field(
        default="",
        description=f"{_EMPTY}no messages are sent; else host:port,… (AURUM_KAFKA_BROKERS).",
    )
    username: str = Field(default="", description="AURUM_KAFKA_USERNAME.")
    password: str = Field(default="", description="AURUM_KAFKA_PASSWORD.")
    protocol: str = Field(
        default="", description=f"{_EMPTY}SASL_SSL with a user name, else PLAINTEXT."
    )
    mechanism: str = Field(default="PLAIN", description="AURUM_KAFKA_MECHANISM.")
    connection: str = Field(
        default="", description="In the place of the others (KAFKA_CONNECTION_STRING)."
    )

    def opened(self, home: Home, runtime: Runtime) -> Events:
        """Open the ``Events`` that these settings describe."""
        found = brokers_of(
            self.brokers,
            self.username,
            self.password,
            self.protocol,
            self.mechanism,
            self.connection,
        )
        return _events(home, found, runtime.environment)


class AlertsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The open alerts of the home, sent to the log, to a webhook and to Kafka."""

    webhook_url: str = Field(
        default="", description=f"{_EMPTY}no webhook is called (AURUM_WEBHOOK_URL)."
    )
    runbooks: str = Field(
        default="", description=f"{_EMPTY}runbooks are files of the project (AURUM_RUNBOOKS)."
    )

    def opened(self, home: Home, runtime: Runtime, events: Events) -> Any:  # noqa: ANN401  Alerts
        """Open the ``Alerts`` that these settings describe."""
        return _alerts(home, runtime, self.webhook_url, events, self.runbooks)


class MetricsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """What all processes counted, in the home, for Prometheus."""

    file: str = Field(
        default="", description=f"{_EMPTY}no file for node_exporter (AURUM_METRICS_FILE)."
    )

    def opened(self, home: Home, runtime: Runtime) -> Metrics:
        """Open the ``Metrics`` that these settings describe."""
        return _metrics(home, runtime, Path(self.file) if self.file else None)


class ApiResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How an operator is asked."""

    base_url: str = Field(description="The address that is asked.")
    attempts: int = Field(description="How often one endpoint is asked before the next one is.")
    limit_scale: float = Field(
        default=1.0, description="Times the request limits (AURUM_LIMIT_SCALE)."
    )

    def opened(self, operator: Operator, config: OperatorConfig, shared: Shared) -> OperatorApi:
        """Open the ``OperatorApi`` that these settings describe."""
        asked = replace(config, base_url=self.base_url, attempts=self.attempts)
        values = [str(getattr(self, field_of(operator, name))) for name in operator.variables]
        credentials = Credentials.of(operator, *values)
        return OperatorApi(
            asked, shared, credentials if credentials.given else None, self.limit_scale
        )


def field_of(operator: Operator, variable: str) -> str:
    """The field that holds the credential of a variable: ``password`` of ``…_PASSWORD``."""
    return variable.lower().removeprefix(f"{operator.name}_")


def api_resource_of(operator: Operator) -> type[ApiResource]:
    """The resource of an operator, with a field for each of its credential variables."""
    credentials: dict[str, Any] = {
        field_of(operator, name): (str, Field(default="", description=f"Who asks ({name})."))
        for name in operator.variables
    }
    account = f"; credentials: {', or '.join(operator.credentials)}" if credentials else ""
    return create_model(
        f"{operator.name.capitalize()}Api",
        __base__=ApiResource,
        __doc__=f"How {operator.title} is asked, within its request limits{account}.",
        __module__=__name__,
        **credentials,
    )


# --- assembling ----------------------------------------------------------------------------------


class HasResources(Protocol):
    """A context of Dagster's."""

    @property
    def resources(self) -> Any:  # noqa: ANN401  by name
        """The declared ones."""


def assembled(context: HasResources, declared: frozenset[str]) -> Resources:
    """The record of the ``declared`` resources; the others raise ``UndeclaredResource``.

    A resource may be one of those here or a plain part.
    """
    return assembled_of({key: getattr(context.resources, key) for key in declared})


def assembled_of(given: Mapping[str, Any]) -> Resources:
    """The record of the ``given`` resources, see ``assembled``."""

    def part(key: str, *needs: object) -> Any:  # noqa: ANN401  by name
        found = given.get(key, _Undeclared(key))
        is_shown = isinstance(found, dg.ConfigurableResource)
        return found.opened(*needs) if is_shown else found

    runtime: Runtime = part("runtime")
    home: Home = part("home")
    shared = part("shared_state", home, runtime)
    archive, events = part("archive", home), part("events", home, runtime)
    apis = _Apis()
    for operator in OPERATORS:
        key = api_key_of(operator)
        if key in given:
            config = runtime.configuration.operators[operator.name]
            apis[operator.name] = part(key, operator, config, shared)
    return Resources(
        home=home,
        apis=apis,
        shared=shared,
        archive=archive,
        registry=part("registry", home, archive, shared),
        lake=part("lake", home),
        events=events,
        alerts=part("alerts", home, runtime, events),
        metrics=part("metrics", home, runtime),
        **{name: getattr(runtime, name) for name in _RUNTIME},
    )


def runtime_of(found: object) -> Runtime:
    """The plain one of either."""
    return found.opened() if isinstance(found, RuntimeResource) else cast("Runtime", found)


def parts_of(resources: Resources) -> dict[str, object]:
    """The plain parts of a record, by the names of their resources."""
    found: dict[str, object] = {
        "runtime": Runtime(**{name: getattr(resources, name) for name in _RUNTIME})
    }
    found |= {f.name: getattr(resources, f.name) for f in fields(Resources) if f.name in PARTS}
    found["shared_state"] = resources.shared
    return found | {api_key_of(o): resources.apis[o.name] for o in OPERATORS}
