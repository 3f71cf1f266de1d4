"""ISO New England from Python: collect days into the home, ask for single answers, name things.

    collector = IsoNeCollector("da_lmp")  # credentials of the environment, or IsoNeApiConfig(…)
    data = collector.collect_sync("2025-01-20", "2025-01-21")  # a polars frame
    data = await collector.collect("2025-01-20", "2025-01-21")  # the same, from asyncio

Everything is done by the verbs of ``ingest``, as by assets and command line: within the same
limits, archive, tables and checks, in the home that ``AURUM_HOME`` names.
"""

import datetime as dt
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl
from pydantic import SecretStr

from aurum_assets.api_config import ApiConfig
from aurum_assets.collector import ApiClient, Collector, DatasetInfo
from aurum_assets.ingest.days import Day, asked_days, in_threads, synchronous
from aurum_assets.ingest.reference import crosswalk, observe
from aurum_assets.model.arguments import of_type
from aurum_assets.model.errors import DaysFailed
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.reference.crosswalk import Reference
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.api import Answer
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.credentials import NOTHING

__all__ = [
    "Answer",
    "DaysFailed",
    "IsoNeApiClient",
    "IsoNeApiConfig",
    "IsoNeCollector",
    "IsoNeDatasetConfig",
    "load_isone_dataset_configs",
]


class IsoNeApiConfig(ApiConfig):
    """The address and the credentials with which ISO New England is asked.

    What is left out is that of the environment (``ISONE_BASE_URL``, ``ISONE_USERNAME`` and
    ``ISONE_PASSWORD``, ``ISONE_API_KEY``) as it is now, the address failing that the one of the
    config file. Credentials are taken from one of the two places, never mixed, and shown by neither
    ``repr`` nor any error. Raises ``ConfigError`` for an address that is none or holds a password,
    for half of a pair of user name and password, and for a wrong environment.
    """

    def __init__(
        self,
        base_url: str = "",
        api_key: str | SecretStr = NOTHING,
        username: str = "",
        password: str | SecretStr = NOTHING,
    ) -> None:
        super().__init__(ISONE, base_url, api_key=api_key, username=username, password=password)

    @property
    def api_key(self) -> SecretStr:
        """The key; empty where none is set."""
        return self.credentials.values.get("ISONE_API_KEY", NOTHING)

    @property
    def username(self) -> str:
        """The user name; empty where none is set."""
        return self.credentials.values.get("ISONE_USERNAME", NOTHING).get_secret_value()

    @property
    def password(self) -> SecretStr:
        """The password; empty where none is set."""
        return self.credentials.values.get("ISONE_PASSWORD", NOTHING)


class IsoNeDatasetConfig(DatasetInfo):
    """A dataset of ISO New England: what code declares of it, and what config says."""


def load_isone_dataset_configs() -> list[IsoNeDatasetConfig]:
    """ISO New England's datasets, in the order of ``config/isone_ingest_datasets.json``.

    Raises ``ConfigError`` where a config file is wrong (``AURUM_CONFIG`` names their folder).
    """
    return IsoNeDatasetConfig.load_all(ISONE)


def _checked(config: IsoNeApiConfig | None) -> IsoNeApiConfig:
    found = IsoNeApiConfig() if config is None else config
    return of_type(found, IsoNeApiConfig, 'config=IsoNeApiConfig(api_key="…")')


class IsoNeApiClient(ApiClient):
    """Single answers of ISO New England, as ``ApiClient`` gives them.

    async with IsoNeApiClient() as client:
        answer = await client.fetch("isone_da_lmp", "2025-01-20")
    answer = IsoNeApiClient().fetch_sync("isone_da_lmp", "2025-01-20")
    """

    operator = ISONE

    def __init__(
        self, config: IsoNeApiConfig | None = None, *, home: Path | str | None = None
    ) -> None:
        super().__init__(_checked(config), home=home)


class IsoNeCollector(Collector):
    """Brings operating days of one dataset of ISO New England into the home, and gives their rows.

    ``dataset``: its name (``isone_da_lmp``, or ``da_lmp``) or one of
    ``load_isone_dataset_configs()``; ``config``: where ISO New England answers and who asks, else
    as the environment says; ``home``: a folder in the place of ``AURUM_HOME``. Raises
    ``ConfigError`` for an unknown name and where config or environment is wrong, ``TypeError`` for
    an argument of another type; a home that holds simulated data refuses the operator's, and vice
    versa.
    """

    operator = ISONE

    def __init__(
        self,
        dataset: IsoNeDatasetConfig | str,
        config: IsoNeApiConfig | None = None,
        *,
        home: Path | str | None = None,
    ) -> None:
        super().__init__(dataset, _checked(config), home=home)

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
