"""ISO New England from Python: collect days into the home, ask for single answers, name things.

    collector = IsoNeCollector("da_lmp")  # credentials of the environment, or IsoNeApiConfig(…)
    data = collector.collect_sync("2025-01-20", "2025-01-21")  # a polars frame
    data = await collector.collect("2025-01-20", "2025-01-21")  # the same, from asyncio

Everything goes the way of the assets and the command line, by the verbs of ``ingest``: the same
limits, archive, tables and checks, in the home that ``AURUM_HOME`` names.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl
from pydantic import SecretStr

from aurum_assets.collector import ApiClient, ApiConfig, ApiUser, Collector, DatasetInfo
from aurum_assets.ingest.days import Day, asked_days, in_threads, synchronous
from aurum_assets.ingest.reference import crosswalk, observe
from aurum_assets.model.errors import ConfigError, DaysFailed
from aurum_assets.model.said import of_type
from aurum_assets.model.shown import Plain, Shown
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.reference.crosswalk import Reference
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.api import Answer, checked_base
from aurum_assets.resources.credentials import NOTHING, Credentials, access
from aurum_assets.resources.environment import environment
from aurum_assets.resources.settings import Resources, Settings, open_resources

__all__ = [
    "Answer",
    "DaysFailed",
    "IsoNeApiClient",
    "IsoNeApiConfig",
    "IsoNeCollector",
    "IsoNeDatasetConfig",
    "load_isone_dataset_configs",
]


@dataclass(frozen=True, repr=False)
class IsoNeApiConfig(Shown):
    """Where ISO New England answers, and who asks.

    What is left out is that of the environment (``ISONE_BASE_URL``, ``ISONE_USERNAME`` and
    ``ISONE_PASSWORD``, ``ISONE_API_KEY``) as it is now, the address failing that the one of the
    config file. Credentials are taken from one of the two places, never mixed, and shown by neither
    ``repr`` nor any error. Raises ``ConfigError`` for an address that is none or holds a password,
    for half of a pair of user name and password, and for a wrong environment.
    """

    base_url: str = ""
    api_key: str | SecretStr = NOTHING
    username: str = ""
    password: str | SecretStr = NOTHING
    _by_environment: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        held = environment()
        self._set("api_key", _secret(self.api_key))
        self._set("password", _secret(self.password))
        self._set("base_url", self.base_url or access(ISONE, held).base_url)
        if self.base_url:
            checked_base(ISONE.name, self.base_url)
        if bool(self.username) != bool(_plain(self.password)):
            msg = "IsoNeApiConfig: username and password go together, one of them is empty"
            raise ConfigError(msg)
        if not self.credentials.given:
            self._set("_by_environment", True)
            for name in ("api_key", "username", "password"):
                said = held.get(f"ISONE_{name.upper()}", "")
                self._set(name, said if name == "username" else _secret(said))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def credentials(self) -> Credentials:
        """Who asks; empty where neither argument nor environment says it."""
        return Credentials.of(ISONE, *self._variables().values())

    def resources(self, folder: Path | str | None = None) -> Resources:
        """The home of the environment, or in ``folder``, that asks as this says."""
        said = {name: str(_plain(value)) for name, value in self._variables().items()}
        variables = {**environment(), ISONE.base_url_variable: self.base_url, **said}
        settings = Settings.read(home=folder and Path(folder))
        return open_resources(DATASETS, settings, variables=variables)

    def _variables(self) -> dict[str, str | SecretStr]:
        return {f"ISONE_{n.upper()}": getattr(self, n) for n in ("username", "password", "api_key")}

    def facts(self) -> dict[str, object]:
        """The address, and which credentials are set and by what; never their values."""
        said = {n: str(_plain(getattr(self, n))) for n in ("username", "password", "api_key")}
        by = {n: f" by ISONE_{n.upper()}" if self._by_environment else "" for n in said}
        found = {n: Plain(f"set{by[n]}") for n, value in said.items() if value}
        none = {"credentials": Plain(f"none: set {', or '.join(ISONE.credentials)}")}
        return {"base_url": self.base_url or Plain("of the config file"), **(found or none)}


def _secret(said: str | SecretStr) -> SecretStr:
    return said if isinstance(said, SecretStr) else SecretStr(said)


def _plain(said: str | SecretStr) -> str:
    return said.get_secret_value() if isinstance(said, SecretStr) else said


class IsoNeDatasetConfig(DatasetInfo):
    """A dataset of ISO New England: what code declares of it, and what config says."""


def load_isone_dataset_configs() -> list[IsoNeDatasetConfig]:
    """ISO New England's datasets, in the order of ``config/isone_ingest_datasets.json``.

    Raises ``ConfigError`` where a config file is wrong (``AURUM_CONFIG`` names their folder).
    """
    return IsoNeDatasetConfig.load_all(ISONE)


class _IsoNeUser(ApiUser):
    """Of ISO New England alone."""

    operator = ISONE

    def _checked(self, config: ApiConfig | None) -> ApiConfig:
        found = IsoNeApiConfig() if config is None else config
        return of_type(found, IsoNeApiConfig, 'config=IsoNeApiConfig(api_key="…")')


class IsoNeApiClient(_IsoNeUser, ApiClient):
    """Single answers of ISO New England, as ``ApiClient`` gives them.

    async with IsoNeApiClient() as client:
        answer = await client.fetch("isone_da_lmp", "2025-01-20")
    answer = IsoNeApiClient().fetch_sync("isone_da_lmp", "2025-01-20")
    """


class IsoNeCollector(_IsoNeUser, Collector):
    """Brings operating days of one dataset of ISO New England into the home, and gives their rows.

    ``dataset``: its name (``isone_da_lmp``, or ``da_lmp``) or one of
    ``load_isone_dataset_configs()``; ``config``: an ``IsoNeApiConfig``; the rest as of
    ``Collector``.
    """

    async def build_node_crosswalk(
        self, start_date: Day | None = None, end_date: Day | None = None
    ) -> pl.DataFrame:
        """What hubs, zones, interfaces and nodes are called: ``reference.iso_nodes``, completed.

        Looks at what the tables hold of the days asked for (all that they hold where none is) and
        at the reviewed file ``config/iso_nodes.csv``; asks no operator. Returns the table's rows.
        Raises ``ConfigError`` where a reviewed file cannot be read, ``ValueError`` as ``collect``.
        """
        return await self._name_things(ISO_NODES, start_date, end_date)

    build_node_crosswalk_sync = synchronous(build_node_crosswalk)

    async def harvest_generator_roster(
        self, start_date: Day | None = None, end_date: Day | None = None
    ) -> pl.DataFrame:
        """The generators by resource id, with name and fuel: ``reference.generators``, completed.

        Days, result and errors as of ``build_node_crosswalk``; the file is
        ``config/generators.csv``.
        """
        return await self._name_things(GENERATORS, start_date, end_date)

    harvest_generator_roster_sync = synchronous(harvest_generator_roster)

    async def _name_things(
        self, reference: Reference, start: Day | None, end: Day | None
    ) -> pl.DataFrame:
        bounds = [day for day in (start, end) if day is not None]
        days = [d.date for d in asked_days(ISONE, bounds[0], bounds[-1])] if bounds else None
        job = partial(_observed, reference=reference, days=days)
        (rows,) = await in_threads(self._home, [job])
        return rows


def _observed(
    resources: Resources, reference: Reference, days: Sequence[dt.date] | None
) -> pl.DataFrame:
    """The reference table after a look at ``days``: where None, at all that the tables hold."""
    if days is None:
        tables = [d.table for d in DATASETS if reference.reads(d.table)]
        held = {day for table in tables for day in resources.lake.days(table)}
        days = sorted(held) or [ISONE.day_of(resources.now()).date]
    for day in days:
        resources.sleep(0)
        observe(resources, reference, day)
    return crosswalk(resources, reference)
