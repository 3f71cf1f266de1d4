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
from types import TracebackType
from typing import Self

import polars as pl
from pydantic import SecretStr

from aurum_assets.ingest.collect import is_due
from aurum_assets.ingest.days import (
    Day,
    DayProgress,
    asked_day,
    asked_days,
    collect_days,
    in_threads,
    synchronous,
)
from aurum_assets.ingest.reference import crosswalk, observe
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, DatasetConfig, Feed
from aurum_assets.model.errors import ConfigError, DaysFailed
from aurum_assets.model.said import known_name, of_type
from aurum_assets.model.shown import Plain, Shown, as_html
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.reference.crosswalk import Reference
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.api import Answer, checked_base
from aurum_assets.resources.configuration import load_config
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

_NEEDS = {"now": "no day", "day": "a day", "hour": "a day and one of its hours"}


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


@dataclass(frozen=True, repr=False)
class IsoNeDatasetConfig(Shown):
    """A dataset of ISO New England: what code declares of it, and what config says.

    ``dataset`` and ``config`` are the whole of either.
    """

    dataset: Dataset
    config: DatasetConfig
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.dataset.key)

    @property
    def title(self) -> str:
        """What the rows are, in a sentence."""
        return self.dataset.table.doc

    @property
    def doc(self) -> str:
        """What the rows are, their source, grain, units and caveats."""
        return self.dataset.doc

    @property
    def table(self) -> str:
        """The Iceberg table, ``market.isone_…``."""
        return self.dataset.table.identifier

    @property
    def columns(self) -> dict[str, str]:
        """What each column of the table means, with its unit in brackets, in their order."""
        return {c.name: c.described for c in self.dataset.table.columns}

    @property
    def topic(self) -> str:
        """The Kafka topic of its rows."""
        return self.config.topic

    @property
    def enabled(self) -> bool:
        """Whether the schedules collect it."""
        return self.config.enabled

    @property
    def feeds(self) -> tuple[str, ...]:
        """The ways of asking for it, by name."""
        return tuple(feed.name for feed in self.config.feeds)

    def facts(self) -> dict[str, object]:
        """Its name, and what the rows are."""
        return {"key": self.key, "title": self.title}

    def _repr_html_(self) -> str:
        """With table, topic, feeds and columns."""
        more = {"table": self.table, "topic": self.topic, "feeds": ", ".join(self.feeds)}
        more["enabled"] = "yes" if self.enabled else "no: the schedules leave it out"
        facts = as_html(self.key, [("rows", self.title), *more.items()])
        return facts + as_html("columns", self.columns.items())


def load_isone_dataset_configs() -> list[IsoNeDatasetConfig]:
    """ISO New England's datasets, in the order of ``config/isone_ingest_datasets.json``.

    Raises ``ConfigError`` where a config file is wrong (``AURUM_CONFIG`` names their folder).
    """
    by_key = {d.key: d for d in DATASETS}
    configs = load_config(Settings.read().config, DATASETS).datasets.values()
    return [
        IsoNeDatasetConfig(by_key[c.key], c) for c in configs if by_key[c.key].operator is ISONE
    ]


def _dataset(said: IsoNeDatasetConfig | str) -> IsoNeDatasetConfig:
    """The dataset itself, or the one of that name."""
    if isinstance(said, IsoNeDatasetConfig):
        return said
    known = {d.key: d for d in load_isone_dataset_configs()}
    listed = f"They are {', '.join(known)}"
    return known[known_name(said, known, f"dataset of {ISONE.title}", listed)]


def _checked(config: IsoNeApiConfig | None) -> IsoNeApiConfig:
    if config is None:
        return IsoNeApiConfig()
    return of_type(config, IsoNeApiConfig, 'config=IsoNeApiConfig(api_key="…")')


class IsoNeCollector(Shown):
    """Brings operating days of one dataset into the home, and gives their rows.

    ``dataset``: its name (``isone_da_lmp``, or ``da_lmp``) or one of
    ``load_isone_dataset_configs()``; ``config``: where ISO New England answers and who asks, else
    as the environment says; ``home``: a folder in the place of ``AURUM_HOME``. Raises
    ``ConfigError`` for an unknown name and where config or environment is wrong, ``TypeError`` for
    an argument of another type; a home that holds simulated data refuses the operator's, and vice
    versa.
    """

    def __init__(
        self,
        dataset: IsoNeDatasetConfig | str,
        config: IsoNeApiConfig | None = None,
        *,
        home: Path | str | None = None,
    ) -> None:
        self.dataset = _dataset(dataset)
        self._config = _checked(config)
        self._home = self._config.resources(home)

    def facts(self) -> dict[str, object]:
        """The dataset, the home, where it asks and as whom."""
        place = {"dataset": self.dataset.key, "home": str(self._home.root.resolve())}
        return {**place, **self._config.facts()}

    async def collect(
        self,
        start_date: Day,
        end_date: Day,
        *,
        force: bool = False,
        at_once: int = 4,
        progress: DayProgress | None = None,
    ) -> pl.DataFrame:
        """Collect the operating days from ``start_date`` to ``end_date``, both included.

        A day is a date, a ``datetime`` (with an offset: the day of New York that holds it; without:
        its date) or either as ISO text. ``at_once`` days are asked for at a time, within the limits
        of all processes; ``force`` archives answers that repeat the last ones; ``progress`` is told
        each day's key, how many are done, and how many there are.

        Returns all rows that the table holds of these days, with its columns and dtypes (units in
        ``dataset.columns``), in the table's order. What breaks a rule is in ``quality.quarantine``.

        Raises ``ValueError`` for what is no day or ends before it starts; ``DaysFailed`` after the
        last day, with an error by day, where some failed (what the others gave is stored; asking
        again adds what is missing); ``ConfigError`` and, for a 401, ``SourceRefused`` at the first.
        When it is cancelled no further request is made, and what was archived stays.
        """
        days = asked_days(ISONE, start_date, end_date)
        return await collect_days(
            self._home,
            self.dataset.dataset,
            days,
            force=force,
            at_once=at_once,
            progress=progress,
        )

    collect_sync = synchronous(collect)

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


class IsoNeApiClient(Shown):
    """Single answers of ISO New England, as they come: limits, retry, breaker and fallback kept.

        async with IsoNeApiClient() as client:
            answer = await client.fetch("isone_da_lmp", "2025-01-20")
        answer = IsoNeApiClient().fetch_sync("isone_da_lmp", "2025-01-20")

    Nothing is archived or merged: that is the collector's. ``config`` and ``home`` as there; limits
    are shared with all that ask from the same home.
    """

    def __init__(
        self, config: IsoNeApiConfig | None = None, *, home: Path | str | None = None
    ) -> None:
        self._config = _checked(config)
        self._home = self._config.resources(home)

    def facts(self) -> dict[str, object]:
        """The home, where it asks and as whom."""
        return {"home": str(self._home.root.resolve()), **self._config.facts()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to let go of: no connection outlives its request."""

    async def fetch(
        self,
        dataset: IsoNeDatasetConfig | str,
        day: Day | None = None,
        *,
        feed: str = "",
        hour: str = "",
    ) -> Answer:
        """Ask for ``dataset``: its newest answer, that of a ``day`` or of an ``hour`` of it ("07").

        ``dataset`` as for ``IsoNeCollector``, ``day`` as for its ``collect``. ``feed`` is one of
        ``dataset.feeds``; where empty, the first that takes what is given.
        Returns ``body`` (bytes, decoded) with format, endpoint, status, fetched_at (UTC), seconds,
        attempts and url. Raises ``ValueError`` for what is no day, ``ConfigError`` where no feed
        takes what is given or credentials are missing, ``SourceUnavailable``, ``SourceRefused``,
        and ``NotYetPublished`` for a day that is not out yet.
        """
        asked = None if day is None else asked_day(ISONE, day)
        own = _dataset(dataset)
        found = _feed(own, asked, feed, hour)

        def ask(resources: Resources) -> Answer:
            due = asked is None or is_due(resources, asked, found)
            with resources.api(ISONE) as api:
                return api.fetch(own.key, found, asked, hour=hour, due=due)

        (answer,) = await in_threads(self._home, [ask])
        return answer

    fetch_sync = synchronous(fetch)


def _feed(dataset: IsoNeDatasetConfig, day: OperatingDay | None, name: str, hour: str) -> Feed:
    """The feed called ``name``, or the first one, that asks by just ``day`` and ``hour``."""
    asks = "now" if day is None else "hour" if hour else "day"
    fitting = [f for f in dataset.config.feeds if f.asks == asks and name in ("", f.name)]
    if not fitting or (hour and (day is None or hour not in day.local_hours())):
        known = ", ".join(f"{f.name} (asks for {_NEEDS[f.asks]})" for f in dataset.config.feeds)
        given = " ".join(filter(None, [name, day.key if day else "", hour])) or "nothing"
        msg = f"{dataset.key} cannot be asked for with {given}; its feeds: {known}"
        raise ConfigError(msg)
    return fitting[0]
