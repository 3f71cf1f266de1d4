"""MISO's Coordinated Transaction Scheduling (CTS) from Python: what to ask, ask it, judge it.

    collector = MisoCtsCollector()
    for candidate in collector.generate_candidates("2025-01-20", "2025-01-21"):
        content = collector.collect_content_sync(candidate)  # archived before anybody reads it
        result = collector.validate_content(content)  # the nine rules
    data = collector.collect_sync("2025-01-20", "2025-01-21")  # all of it, into the table
    data = await collector.collect("2025-01-20", "2025-01-21")  # the same, from asyncio

Everything is done by the verbs of ``ingest``, as by assets and command line: within the same
limits, archive, tables and rules, in the home that ``AURUM_HOME`` names.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import polars as pl

from aurum_assets.api_config import ApiConfig
from aurum_assets.collector import ApiUser
from aurum_assets.ingest.collect import collect
from aurum_assets.ingest.collected import Collected
from aurum_assets.ingest.conform import conform
from aurum_assets.ingest.days import (
    Day,
    DayProgress,
    asked_days,
    collect_days,
    in_threads,
    synchronous,
)
from aurum_assets.ingest.feeds import due_feeds, narrowed
from aurum_assets.ingest.rejecting import rejecting
from aurum_assets.model.arguments import of_type
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Envelope, Snapshot
from aurum_assets.model.errors import DaysFailed, MalformedPayload, SourceRefused
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.shown import Plain, Shown, as_html
from aurum_assets.model.table import UNREADABLE_RULE
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.resources.composition import Resources

__all__ = [
    "DaysFailed",
    "Finding",
    "MisoApiConfig",
    "MisoCtsCandidate",
    "MisoCtsCollector",
    "MisoCtsContent",
    "MisoCtsValidation",
]

_MALFORMED = "content_has_the_shape_of_an_answer"
_NUMBERS = {
    _MALFORMED: 1,
    "lmp_is_the_sum_of_its_parts": 2,
    "interval_is_on_a_five_minute_mark": 3,
    "lmp_direction_is_known": 4,
    "volume_direction_is_known": 5,
    UNREADABLE_RULE: 6,
    "volume_is_not_negative": 7,
    "data_quality_is_known": 8,
    "operating_day_is_the_asked_one": 9,
}


class MisoApiConfig(ApiConfig):
    """The address at which MISO is asked, without an account. Empty: that of environment or config.

    Raises ``ConfigError`` for an address that is none or holds a password, and for a wrong
    environment.
    """

    def __init__(self, base_url: str = "") -> None:
        super().__init__(MISO, base_url)


@dataclass(frozen=True, repr=False)
class MisoCtsCandidate(Shown):
    """A request that can be made: one operating day (EST), narrowed by ``filters``.

    ``url`` is what will be asked, ``object_prefix`` where the archive will put the answer.
    """

    day: str
    feed: str
    filters: Mapping[str, str]
    url: str
    object_prefix: str

    def facts(self) -> dict[str, object]:
        """The day, the filters and what will be asked."""
        narrowed = {"filters": dict(self.filters)} if self.filters else {}
        return {"day": self.day, "feed": self.feed, **narrowed, "url": self.url}


@dataclass(frozen=True, repr=False)
class MisoCtsContent(Shown):
    """An answer as it lies in the archive, under ``path``.

    ``is_new`` is False where it repeats what was archived last for the same request.
    """

    snapshot: Snapshot
    path: str
    is_new: bool

    @property
    def body(self) -> bytes:
        """The bytes that the operator sent."""
        return self.snapshot.body

    @property
    def envelope(self) -> Envelope:
        """The envelope: endpoint, dialect, days, filters, fetch time and hashes."""
        return self.snapshot.envelope

    def facts(self) -> dict[str, object]:
        """The day, how much came, when and from where, and where it is archived."""
        of = self.envelope
        return {
            "day": of.day,
            "bytes": len(self.body),
            "fetched_at": Plain(f"{of.fetched_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"),
            "endpoint": of.endpoint,
            "dialect": of.dialect,
            "is_new": self.is_new,
            "path": self.path,
        }


@dataclass(frozen=True)
class Finding:
    """A rule that something breaks. ``number``: which of the nine; 0 is a rule of ours beside them.

    A record that cannot be read at all counts as a break of rule 6 (numbers are numbers).
    ``records``: how many records break it; 0 where it is a rule on the answer as a whole.
    """

    number: int
    rule: str
    reason: str
    records: int = 0


@dataclass(frozen=True, repr=False)
class MisoCtsValidation(Shown):
    """What the rules say of a content.

    ``good``: rows as table ``miso_cts`` takes them (USD/MWh, MWh, UTC). ``quarantined``: records
    as received, with every rule they break and the reason (columns of ``quality.quarantine``).
    ``rejected``: why no row of it may enter, empty where rows may.
    """

    good: pl.DataFrame
    quarantined: pl.DataFrame
    findings: tuple[Finding, ...]
    rejected: str = ""

    @property
    def is_valid(self) -> bool:
        """Whether no rule is broken at all."""
        return not self.findings

    def facts(self) -> dict[str, object]:
        """How many rows are good and how many are not, and the findings."""
        counts = {"good": len(self.good), "quarantined": len(self.quarantined)}
        rejected = {"rejected": self.rejected} if self.rejected else {}
        return {**counts, **rejected, "findings": list(self.findings)}

    def _repr_html_(self) -> str:
        """With the findings as a table."""
        counts = {"good rows": len(self.good), "quarantined records": len(self.quarantined)}
        facts = [*counts.items(), ("rejected", self.rejected or "no")]
        found = [(f.number, f.rule, f.records, f.reason) for f in self.findings]
        header = ("rule of nine", "name", "records", "reason")
        table = as_html("findings", found, header) if found else ""
        return as_html(type(self).__name__, facts) + table


class MisoCtsCollector(ApiUser):
    """Asks MISO for CTS forecasts and judges the answers.

    ``config``: where MISO answers, else as the environment says; ``home``: a folder in the place of
    ``AURUM_HOME``. Raises ``ConfigError`` where config or environment is wrong, ``TypeError`` for
    an argument of another type; a home that holds simulated data refuses the operator's, and vice
    versa.
    """

    def __init__(
        self, config: MisoApiConfig | None = None, *, home: Path | str | None = None
    ) -> None:
        found = MisoApiConfig() if config is None else config
        super().__init__(of_type(found, MisoApiConfig, 'config=MisoApiConfig(base_url="…")'), home)

    def facts(self) -> dict[str, object]:
        """The dataset, the home and where it asks."""
        return {"dataset": MISO_CTS.key, **super().facts()}

    def generate_candidates(
        self,
        start_date: Day | None = None,
        end_date: Day | None = None,
        *,
        interval: str | None = None,
        node: str | None = None,
    ) -> list[MisoCtsCandidate]:
        """The requests for the operating days from ``start_date`` to ``end_date``, one a day.

        Without dates the current snapshot: one request, for today. Days as for
        ``Collector.collect``, in EST all year; ``interval`` (HH:MM) and ``node`` narrow the
        answers. Asks nobody. Raises ``ValueError`` for what is no day, has not begun or ends before
        it starts, for one date without the other, for an interval that is no five-minute mark and
        for what is no name of a node.
        """
        filters = self._filters(interval, node)
        today = MISO.day_of(self._home.now())
        if start_date is None and end_date is None:
            return [self._candidate(today, filters)]
        if start_date is None or end_date is None:
            msg = "start_date and end_date go together; without either, it is the current snapshot"
            raise ValueError(msg)
        days = asked_days(MISO, start_date, end_date)
        if days[-1] > today:
            msg = f"{days[-1]} has not begun: there is nothing to ask for after {today} (EST)"
            raise ValueError(msg)
        return [self._candidate(day, filters) for day in days]

    def _candidate(self, day: OperatingDay, filters: Mapping[str, str]) -> MisoCtsCandidate:
        home = self._home
        feeds = narrowed(home, MISO_CTS, filters) if filters else None
        feed = (feeds or due_feeds(home, MISO_CTS, day, None))[0]
        base = home.base_urls[MISO.name]
        asked = None if feed.asks == "now" else day
        url = httpx.URL(base.rstrip("/") + feed.endpoints[0].url_path(asked))
        year, month, number = day.key.split("-")
        return MisoCtsCandidate(
            day=day.key,
            feed=feed.name,
            filters=filters,
            url=str(url.copy_merge_params(filters) if filters else url),
            object_prefix=(
                f"sourcing/{MISO_CTS.archive_name}/year={year}/month={month}/day={number}/"
            ),
        )

    async def collect_content(self, candidate: MisoCtsCandidate) -> MisoCtsContent:
        """Ask for ``candidate`` and archive the answer, before anything but its day is read.

        Nothing is merged into the table: ``collect`` does that, or any later run for the same day.
        Raises ``SourceUnavailable`` (ask again later), ``SourceRefused`` (also where MISO shows
        only today's file now), ``MalformedPayload`` where the bytes break rule 1 so that not even
        their day can be read; they are kept under ``rejected/``.
        """

        def ask(resources: Resources) -> MisoCtsContent:
            day = MISO_CTS.day(candidate.day)
            done = collect(
                resources, MISO_CTS, day, feeds=[candidate.feed], filters=candidate.filters
            )
            return _content(resources, done)

        (content,) = await in_threads(self._home, [ask])
        return content

    collect_content_sync = synchronous(collect_content)

    def validate_content(self, content: MisoCtsContent) -> MisoCtsValidation:
        """Read ``content`` and hold it against the nine rules; nothing is stored.

        It is read by the table's own parser and rules: what is good here is what a run merges. Of
        rules 1, 8 and 9, which reject the whole answer, the first that is broken is found. With
        ``on_broken_row: reject`` in the config any finding rejects it.
        """
        day = MISO_CTS.day(content.envelope.day)
        try:
            with rejecting(MISO_CTS, content.snapshot.envelope.identifier):
                read = conform(_lenient(self._home), MISO_CTS, day, content.snapshot)
        except MalformedPayload as error:
            rule = error.rule or _MALFORMED
            finding = Finding(_NUMBERS[rule], rule, str(error))
            nothing = MISO_CTS.table.empty(), QUARANTINE.empty()
            return MisoCtsValidation(*nothing, (finding,), str(error))
        findings = tuple(_findings(read.quarantined))
        config = self._home.config(MISO_CTS)
        if findings and config.on_broken_row == "reject":
            empty, reason = MISO_CTS.table.empty(), findings[0].reason
            return MisoCtsValidation(empty, read.quarantined, findings, reason)
        return MisoCtsValidation(read.good, read.quarantined, findings)

    @staticmethod
    def _validate_interval_format(interval: str) -> bool:
        """Whether ``interval`` is HH:MM on a five-minute mark, as rule 3 has it."""
        return re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][05]", interval) is not None

    def _filters(self, interval: str | None, node: str | None) -> dict[str, str]:
        if interval is not None and not self._validate_interval_format(interval):
            msg = f"interval {interval!r} is no five-minute mark; for instance 09:05"
            raise ValueError(msg)
        if node is not None and not re.fullmatch(r"[\w.-]+( [\w.-]+)*", node.replace("..", "/")):
            msg = f"node {node!r} is no name of a node: letters, digits, dot, dash, _ and spaces"
            raise ValueError(msg)
        filters = {"interval": interval, "node": node}
        return {name: value for name, value in filters.items() if value is not None}

    async def collect(
        self,
        start_date: Day,
        end_date: Day,
        *,
        interval: str | None = None,
        node: str | None = None,
        force: bool = False,
        at_once: int = 4,
        progress: DayProgress | None = None,
    ) -> pl.DataFrame:
        """Collect the operating days (EST) from ``start_date`` to ``end_date``, both included.

        As ``Collector.collect``, with the arguments of ``generate_candidates``. Returns all rows
        that table ``miso_cts`` holds of these days: every vintage, whatever the filters.
        """
        return await collect_days(
            self._home,
            MISO_CTS,
            asked_days(MISO, start_date, end_date),
            filters=self._filters(interval, node),
            force=force,
            at_once=at_once,
            progress=progress,
        )

    collect_sync = synchronous(collect)


def _content(resources: Resources, done: Collected) -> MisoCtsContent:
    """The one answer of ``done``, from the archive."""
    if not done.archived:
        raise SourceRefused(done.refusal)
    found = done.archived[0]
    identifier = found.path.rpartition("/")[2].partition(".")[0]
    snapshot = resources.archive.snapshot(MISO_CTS.archive_name, found.day, identifier)
    content = MisoCtsContent(snapshot, found.path, found.outcome == "stored")
    rules = MISO_CTS.dialect(content.envelope.dialect).snapshot_rules
    if done.refusal and not rules:  # where there are, rule 9 is among them
        raise SourceRefused(done.refusal)
    return content


def _lenient(resources: Resources) -> Resources:
    """A home whose config separates broken records from the others."""
    configuration = resources.configuration
    config = replace(resources.config(MISO_CTS), on_broken_row="quarantine")
    datasets = {**configuration.datasets, MISO_CTS.key: config}
    return replace(resources, configuration=replace(configuration, datasets=datasets))


def _findings(quarantined: pl.DataFrame) -> Iterator[Finding]:
    """One finding a broken rule, by number."""
    rows = quarantined.select(pl.col("rules").str.split(","), "reason").explode("rules")
    counted = rows.group_by("rules", maintain_order=True).agg(pl.len(), pl.first("reason"))
    found = [
        Finding(_NUMBERS.get(rule, 0), rule, reason, count)
        for rule, count, reason in counted.rows()
    ]
    yield from sorted(
        found, key=lambda finding: (finding.number or len(_NUMBERS) + 1, finding.rule)
    )
