"""What the verbs need, put together: the record of all resources, and what it is made of.

A part is opened by its own class; here belongs only which part is given to which. Nothing is asked
or written by making them: the first use of a part does that.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from aurum_assets.model.dataset import Dataset, DatasetConfig
from aurum_assets.model.operator import Operator
from aurum_assets.resources.alerts import Alerts
from aurum_assets.resources.archive import Archive, ArchiveSettings
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.credentials import NOTHING, Credentials
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.events import Brokers, Events
from aurum_assets.resources.home import Home
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.metrics import Metrics
from aurum_assets.resources.objects import Folder, open_archive
from aurum_assets.resources.operator_api import OperatorApi
from aurum_assets.resources.origin import refuse_to_mix
from aurum_assets.resources.redis import RedisServer, redis_at
from aurum_assets.resources.registry import REMEMBERED_DAYS, Registry
from aurum_assets.resources.shared import Shared
from aurum_assets.resources.state import State

if TYPE_CHECKING:
    from aurum_assets.resources.api import ApiClient


def wall_clock() -> dt.datetime:
    """The current instant, UTC."""
    return dt.datetime.now(dt.UTC)


@dataclass
class Resources:
    """The record of all parts; ``dataclasses.replace`` puts another in the place of one.

    ``apis`` by operator's name. ``repairs``: how many days of an operator are repaired at a look;
    ``keep_runs_days``: how long maintenance keeps Dagster's runs.
    """

    home: Home
    configuration: Configuration
    apis: Mapping[str, OperatorApi]
    shared: Shared
    archive: Archive
    registry: Registry
    lake: Lake
    events: Events
    alerts: Alerts
    metrics: Metrics
    clock: Callable[[], dt.datetime] = wall_clock
    sleep: Callable[[float], None] = time.sleep
    environment: str = "dev"
    repairs: int = 4
    keep_runs_days: int = 7
    config_folder: Path = PROJECT / "config"

    @property
    def root(self) -> Path:
        """The folder of the home."""
        return self.home.root

    @property
    def exists(self) -> bool:
        """See ``Home``."""
        return self.home.exists

    @property
    def origin(self) -> str:
        """See ``Home``."""
        return self.home.origin

    def lock(self, name: str) -> contextlib.AbstractContextManager[None]:
        """See ``Home``."""
        return self.home.lock(name)

    @property
    def identity(self) -> str:
        """See ``identity_of``."""
        return identity_of(self.home, self.archive)

    def renew_identity(self) -> None:
        """See ``Home``."""
        self.home.renew_identity()

    @property
    def redis(self) -> RedisServer | None:
        """What machines share, where it is configured."""
        return self.shared.redis

    @property
    def state(self) -> State:
        """What the processes around one archive share."""
        return self.shared.state(lambda: self.identity)

    @cached_property
    def spool(self) -> Archive:
        """What could not be archived, until the archive is within reach again."""
        return Archive(Folder(self.root / "spool"))

    @property
    def degraded(self) -> str:
        """What is out of reach, and what that means; empty where nothing is."""
        return "; ".join(filter(None, (self.registry.degraded, self.shared.degraded)))

    @property
    def base_urls(self) -> Mapping[str, str]:
        """The address of each operator, by its name."""
        return {name: api.config.base_url for name, api in self.apis.items()}

    @property
    def credentials(self) -> Mapping[str, Credentials]:
        """Who we are to the operators that know us, by their names."""
        return {n: api.credentials for n, api in self.apis.items() if api.credentials is not None}

    def now(self) -> dt.datetime:
        """The current instant, UTC."""
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
        report: Callable[[str], None] = lambda _: None,
    ) -> "ApiClient":
        """A client of the operator, see ``OperatorApi``.

        With a ``memory`` of its own it does not mark the home as real or simulated; else
        ``refuse_to_mix`` does.
        """
        api = self.apis[operator.name]
        if memory is None:
            refuse_to_mix(self.home, self.archive, self.lake, api.config.base_url)
        return api.client(
            operator,
            clock=self.clock,
            sleep=self.sleep,
            single_attempt=single_attempt,
            memory=memory,
            report=report,
        )

    def known_of(self, operator: Operator) -> State:
        """What all who ask an operator share: pauses, breaker, endpoints that refused."""
        return self.apis[operator.name].known

    def stand_in(self) -> "Resources":
        """For who looks while there is no home, see ``Home``."""
        shared = replace(self.shared, home=self.home.stand_in())
        apis = {name: replace(api, shared=shared) for name, api in self.apis.items()}
        return replace(self, home=shared.home, shared=shared, apis=apis)

    def anew(self) -> "Resources":
        """Copy it with a lake as another process would open it."""
        return replace(self, lake=self.lake.anew())


def identity_of(home: Home, archive: Archive) -> str:
    """The key namespace for archive and tables: that of an S3 archive, else that of this home.

    Homes with archives of their own must not read each other's keys: what the one has stored, the
    other has not.
    """
    return archive.settings.identity or home.identity


def registry_of(
    home: Home, archive: Archive, shared: Shared, days: float = REMEMBERED_DAYS
) -> Registry:
    """The hash registry of the archive."""
    state = shared.state(lambda: identity_of(home, archive), "registry:", listed=False)
    return Registry(state, days)


def alerts_of(
    home: Home,
    environment: str,
    clock: Callable[[], dt.datetime],
    *,
    webhook: str,
    events: Events,
    runbooks: str = "",
) -> Alerts:
    """The alerts of a home, sent to a webhook and to Kafka where these are configured."""
    return Alerts(
        home.root / "alerts.sqlite",
        environment,
        clock,
        webhook=webhook,
        events=events if events.configured else None,
        runbooks=runbooks,
    )


@dataclass(frozen=True)
class Specification:
    """What resources are made of: the settings of each part.

    ``base_urls`` take the place of those of ``configuration`` where they are not empty.
    ``catalog``: properties of a pyiceberg catalog, as ``load_catalog`` takes them.
    """

    root: Path
    configuration: Configuration
    base_urls: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    limit_scale: float = 1.0
    clock: Callable[[], dt.datetime] = wall_clock
    sleep: Callable[[float], None] = time.sleep
    environment: str = "dev"
    repairs: int = 4
    keep_runs_days: int = 7
    config_folder: Path = PROJECT / "config"
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)
    catalog: Mapping[str, str] = field(default_factory=dict, repr=False)
    redis_url: SecretStr = NOTHING
    machines: int = 1
    brokers: Brokers = field(default_factory=Brokers)
    webhook_url: SecretStr = NOTHING
    runbooks: str = ""
    metrics_file: Path | None = None


def compose(found: Specification) -> Resources:
    """The resources of a specification. Raises ``ConfigError`` where ``archive`` is no place."""
    home = Home(found.root)
    url = found.redis_url.get_secret_value()
    redis = redis_at(url) if url else None
    shared = Shared(home, redis, found.environment, found.machines)
    archive = open_archive(found.archive, home.root / "archive")
    events = Events(home.root / "outbox.sqlite", found.brokers, found.environment)
    return Resources(
        home=home,
        configuration=found.configuration,
        apis=apis_of(found, shared),
        shared=shared,
        archive=archive,
        registry=registry_of(home, archive, shared),
        lake=Lake.of(found.catalog, home.root / "lake"),
        events=events,
        alerts=alerts_of(
            home,
            found.environment,
            found.clock,
            webhook=found.webhook_url.get_secret_value(),
            events=events,
            runbooks=found.runbooks,
        ),
        metrics=Metrics(
            home.root / "metrics.sqlite", found.environment, found.clock, found.metrics_file
        ),
        clock=found.clock,
        sleep=found.sleep,
        environment=found.environment,
        repairs=found.repairs,
        keep_runs_days=found.keep_runs_days,
        config_folder=found.config_folder,
    )


def apis_of(found: Specification, shared: Shared) -> dict[str, OperatorApi]:
    """The way to each operator of the configuration, by its name."""
    apis = {}
    for name, config in found.configuration.operators.items():
        base_url = found.base_urls.get(name) or config.base_url
        apis[name] = OperatorApi(
            replace(config, base_url=base_url),
            shared,
            found.credentials.get(name),
            found.limit_scale,
        )
    return apis
