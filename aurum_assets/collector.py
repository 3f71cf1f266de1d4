"""Any operator from Python: collect days of a dataset into the home, ask for single answers.

    collector = Collector("isone_da_lmp")  # addresses and credentials of the environment
    data = collector.collect_sync("2025-01-20", "2025-01-21")  # a polars frame
    data = await collector.collect("2025-01-20", "2025-01-21")  # the same, from asyncio

Everything is done by the verbs of ``ingest``, as by assets and command line: within the same
limits, archive, tables and checks, in the home that ``AURUM_HOME`` names.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import polars as pl

from aurum_assets.api_config import ApiConfig
from aurum_assets.ingest.days import (
    Day,
    DayProgress,
    asked_day,
    asked_days,
    collect_days,
    in_threads,
    synchronous,
)
from aurum_assets.ingest.feeds import is_due
from aurum_assets.model.arguments import known_name, of_type
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, DatasetConfig, Feed
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.operator import Operator
from aurum_assets.model.shown import Shown, as_html
from aurum_assets.operators import DATASETS
from aurum_assets.resources.api import Answer
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.settings import Settings, open_resources

_NEEDS = {
    "now": "no day",
    "day": "a day",
    "hour": "a day and one of its hours",
    "location": "a day and a location",
}
_CONFIG = "config=ApiConfig(operator, …)"


@dataclass(frozen=True, repr=False)
class DatasetInfo(Shown):
    """A dataset: what code declares of it, and what config says.

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

    @classmethod
    def load_all(cls, operator: Operator | None = None) -> list[Self]:
        """The datasets of ``operator`` (of all where None), in the order of the config files.

        Raises ``ConfigError`` where a config file is wrong (``AURUM_CONFIG`` names their folder).
        """
        by_key = {d.key: d for d in DATASETS}
        configs = load_config(Settings.read().config, DATASETS).datasets.values()
        pairs = [(by_key[c.key], c) for c in configs]
        return [cls(d, c) for d, c in pairs if operator in (None, d.operator)]

    @classmethod
    def called(cls, name: "DatasetInfo | str", operator: Operator | None = None) -> "DatasetInfo":
        """The dataset of that name, or ``name`` itself. Raises ``ConfigError``, ``TypeError``."""
        if isinstance(name, DatasetInfo):
            return name
        known = {d.key: d for d in cls.load_all(operator)}
        what = f"dataset of {operator.title}" if operator else "dataset"
        return known[known_name(name, known, what, f"They are {', '.join(known)}")]


class ApiUser(Shown):
    """What collectors and clients have in common: a config, and the home that asks as it says.

    ``operator``: the one whose datasets alone are known by name; None where all are.
    """

    operator: ClassVar[Operator | None] = None

    def __init__(self, config: ApiConfig | None, home: Path | str | None) -> None:
        self._config = config
        self._home = config.resources(home) if config else _home_of_the_environment(home)

    def _dataset(self, name: DatasetInfo | str) -> DatasetInfo:
        return DatasetInfo.called(name, self.operator)

    def facts(self) -> dict[str, object]:
        """The home, where it asks and as whom."""
        asking = self._config.facts() if self._config else {}
        return {"home": str(self._home.root.resolve()), **asking}


def _home_of_the_environment(folder: Path | str | None) -> Resources:
    return open_resources(DATASETS, Settings.read(home=folder and Path(folder)))


class Collector(ApiUser):
    """Brings operating days of one dataset into the home, and gives their rows.

    ``dataset``: its name (``isone_da_lmp``, or ``da_lmp``) or a ``DatasetInfo``; ``config``: where
    the operator answers and who asks, else as the environment says; ``home``: a folder in the place
    of ``AURUM_HOME``. Raises ``ConfigError`` for an unknown name and where config or environment is
    wrong, ``TypeError`` for an argument of another type; a home that holds simulated data refuses
    the operator's, and vice versa.
    """

    def __init__(
        self,
        dataset: DatasetInfo | str,
        config: ApiConfig | None = None,
        *,
        home: Path | str | None = None,
    ) -> None:
        self.dataset = self._dataset(dataset)
        operator = self.dataset.dataset.operator
        found = ApiConfig(operator) if config is None else of_type(config, ApiConfig, _CONFIG)
        if found.operator is not operator:
            msg = (
                f"{self.dataset.key} is {operator.title}'s, the config is {found.operator.title}'s"
            )
            raise ConfigError(msg)
        super().__init__(found, home)

    def facts(self) -> dict[str, object]:
        """The dataset, the home, where it asks and as whom."""
        return {"dataset": self.dataset.key, **super().facts()}

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

        A day is a date, a ``datetime`` (with an offset: the operator's day that holds it; without:
        its date) or either as ISO text. ``at_once`` days are asked for at a time, within the limits
        of all processes; ``force`` archives answers that repeat the last ones; ``progress`` gets
        each day's key, how many are done, and how many there are.

        Returns all rows that the table holds of these days, with its columns and dtypes (units in
        ``dataset.columns``), in the table's order. What breaks a rule is in ``quality.quarantine``.

        Raises ``ValueError`` for what is no day or ends before it starts; ``DaysFailed`` after the
        last day, with an error by day, where some failed (what the others gave is stored; asking
        again adds what is missing); ``ConfigError``, ``StoreRefused`` and, for a 401,
        ``SourceRefused`` at the first. When it is cancelled no further request is made, and what
        was archived stays.
        """
        dataset = self.dataset.dataset
        days = asked_days(dataset.operator, start_date, end_date)
        return await collect_days(
            self._home, dataset, days, force=force, at_once=at_once, progress=progress
        )

    collect_sync = synchronous(collect)


class ApiClient(ApiUser):
    """Single answers of an operator, as they come: limits, retry, breaker and fallback kept.

        async with ApiClient() as client:
            answer = await client.fetch("isone_da_lmp", "2025-01-20")
        answer = ApiClient().fetch_sync("isone_da_lmp", "2025-01-20")

    Nothing is archived or merged: that is the collector's. ``config`` and ``home`` as there; limits
    are shared with all that ask from the same home.
    """

    def __init__(self, config: ApiConfig | None = None, *, home: Path | str | None = None) -> None:
        super().__init__(None if config is None else of_type(config, ApiConfig, _CONFIG), home)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Release nothing: no connection outlives its request."""

    async def fetch(
        self,
        dataset: DatasetInfo | str,
        day: Day | None = None,
        *,
        feed: str = "",
        hour: str = "",
        location: str = "",
    ) -> Answer:
        """Ask for ``dataset``: its newest answer, that of a ``day``, of an ``hour`` of it ("07") or
        of a ``location`` in it ("4001").

        ``dataset`` as for the collector, ``day`` as for its ``collect``. ``feed`` is one of
        ``dataset.feeds``; where empty, the first that takes what is given.
        Returns ``body`` (bytes, decoded) with format, endpoint, status, fetched_at (UTC), seconds,
        attempts and url. Raises ``ValueError`` for what is no day, ``ConfigError`` where no feed
        takes what is given or credentials are missing, ``SourceUnavailable``, ``SourceRefused``,
        and ``NotYetPublished`` for a day that is not out yet.
        """
        own = self._dataset(dataset)
        operator = own.dataset.operator
        asked = None if day is None else asked_day(operator, day)
        found = _feed(own, asked, feed, hour, location)

        def ask(resources: Resources) -> Answer:
            due = asked is None or is_due(resources, asked, found)
            with resources.api(operator) as api:
                return api.fetch(own.key, found, asked, part=hour or location, due=due)

        (answer,) = await in_threads(self._home, [ask])
        return answer

    fetch_sync = synchronous(fetch)


def _feed(
    dataset: DatasetInfo, day: OperatingDay | None, name: str, hour: str, location: str
) -> Feed:
    """The feed called ``name``, or the first one, that asks by just what else is given."""
    asks = "now" if day is None else "hour" if hour else "location" if location else "day"
    fitting = [f for f in dataset.config.feeds if f.asks == asks and name in ("", f.name)]
    part = hour + location  # of both, no feed has any
    if not fitting or (part and (day is None or part not in fitting[0].parts(day))):
        known = ", ".join(f"{f.name} (asks for {_NEEDS[f.asks]})" for f in dataset.config.feeds)
        given = " ".join(filter(None, [name, day.key if day else "", hour, location])) or "nothing"
        msg = f"{dataset.key} cannot be asked for with {given}; its feeds: {known}"
        raise ConfigError(msg)
    return fitting[0]
