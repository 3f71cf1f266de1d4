"""Watch: detect late feeds, open breakers, growing quarantines and unavailable parts.

Read once from config, tables and shared state, for metrics and alerts alike. Failed runs and checks
are reported by ``graph.alerts``. No operator is asked here, and no row of data is written.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from aurum_assets.ingest.gaps import first_wanted
from aurum_assets.ingest.keep import waiting
from aurum_assets.ingest.offers import is_known_not_offered
from aurum_assets.ingest.publish import drain
from aurum_assets.model.clock import HOUR
from aurum_assets.model.dataset import Dataset, Feed
from aurum_assets.model.errors import AurumError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.vintage import has_vintages
from aurum_assets.resources.alerts import Alert, Incident, Kind
from aurum_assets.resources.archive import fetched_at_of
from aurum_assets.resources.breaker import Breaker
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import get_logger

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

_STUCK = dt.timedelta(minutes=10)
_PAUSE = dt.timedelta(hours=26)  # where the watch runs once a day
_REPAIRED = 3 * HOUR  # a day ahead: repairs ask for it from the first of them on
_REMEMBERED = 30 * 86_400.0
_EVER = dt.datetime.min.replace(tzinfo=dt.UTC)

log = get_logger(__name__)


@dataclass(frozen=True)
class Newest:
    """The newest row: ``until`` is the end of its interval, ``fetched`` its fetch (both UTC)."""

    until: dt.datetime
    fetched: dt.datetime


@dataclass(frozen=True)
class Seen:
    """The measurements of one pass; each is read once, at its first use."""

    resources: Resources
    datasets: Sequence[Dataset]
    now: dt.datetime

    @property
    def days(self) -> Mapping[str, list[dt.date]]:
        """The days that each table holds, in order.

        Raises ``AurumError`` where the lake cannot be read, which is tried once a pass.
        """
        if isinstance(self._days, AurumError):
            raise self._days
        return self._days

    @cached_property
    def _days(self) -> Mapping[str, list[dt.date]] | AurumError:
        try:
            return {d.key: self.resources.lake.days(d.table) for d in self.datasets}
        except AurumError as error:
            return error

    @cached_property
    def newest(self) -> Mapping[str, Mapping[str, Newest]]:
        """The newest row of the newest day, by dataset and finality (empty where it has none)."""
        return {d.key: self._newest(d) for d in self.datasets}

    @cached_property
    def quarantined(self) -> Mapping[str, int]:
        """How many records of each dataset are in quarantine; no row is read."""
        held = self.days  # raises at once where the lake is away
        count = self.resources.lake.counts_by(QUARANTINE, "dataset")
        return {key: count.get(key, 0) for key in held}

    @cached_property
    def degraded(self) -> Mapping[str, str]:
        """Why each external part cannot be reached; empty where it can."""
        return {
            "registry": self._registry(),
            "archive": self._archive(),
            "kafka": self._kafka(),
            "lake": str(self._days) if isinstance(self._days, AurumError) else "",
        }

    def _newest(self, dataset: Dataset) -> dict[str, Newest]:
        if not self.days[dataset.key]:
            return {}
        names, day = dataset.table.names, self.days[dataset.key][-1]
        until = next((n for n in ("interval_end", "interval_start") if n in names), "fetched_at")
        finality = pl.col("finality") if "finality" in names else pl.lit("")
        wanted = {until, "fetched_at"} | ({"finality"} & set(names))
        rows = self.resources.lake.read(
            dataset.table, {"operating_day": day}, tuple(sorted(wanted))
        )
        found = rows.group_by(finality.alias("of")).agg(
            until=pl.col(until).max(), fetched=pl.col("fetched_at").max()
        )
        return {r["of"]: Newest(r["until"], r["fetched"]) for r in found.iter_rows(named=True)}

    def _registry(self) -> str:
        registry = self.resources.registry
        registry.degraded = ""  # from an earlier pass: this process may live for days
        registry.newest("nothing", "", "")
        return self.resources.degraded

    def _archive(self) -> str:
        first, reasons = self.datasets[0], []
        try:
            self.resources.archive.identifiers(
                first.archive_name, first.operator.day_of(self.now).key
            )
        except (AurumError, OSError) as error:
            reasons.append(f"the archive cannot be read: {error}")
        count, since = waiting(self.resources)
        if since is not None:
            reasons.append(f"{count} answers wait in the spool, the oldest since {since:%F %R}Z")
        return "; ".join(reasons)

    def _kafka(self) -> str:
        """Why Kafka counts as down: messages stay in the outbox; empty without a broker."""
        events = self.resources.events
        if not events.configured:
            return ""
        waiting = [i.id for i in events.outbox.due()], [n for n, _ in events.outbox.messages()]
        first = "-".join(str(min(some, default="")) for some in waiting)
        since = _since(self.resources, "kafka-waits", first, self.now)
        count = sum(map(len, waiting))
        if not count or self.now - since < _STUCK:
            return ""
        return f"{count} messages wait for Kafka, the oldest since {since:%F %R}Z"


# --- metrics -------------------------------------------------------------------------------------


def measure(seen: Seen) -> None:
    """Set the gauges to the present values; what cannot be read keeps its last value."""
    metrics = seen.resources.metrics
    try:
        for part, why in seen.degraded.items():
            metrics.hold("degraded", None, bool(why), part)
        for dataset in seen.datasets:
            metrics.hold("quarantine_rows", dataset, seen.quarantined[dataset.key])
            found = seen.newest[dataset.key].values()
            if found:
                until = max(n.until for n in found).timestamp()
                fetched = max(n.fetched for n in found).timestamp()
                metrics.hold("newest_interval_timestamp_seconds", dataset, until)
                metrics.hold("newest_fetch_timestamp_seconds", dataset, fetched)
    except AurumError as error:
        log.warning("gauges stay as they were", reason=str(error))
    metrics.flush()


@dataclass(frozen=True, eq=False)
class Scraped:
    """A collector for a scrape endpoint: measures the gauges at each scrape, of a home that is."""

    resources: Resources
    datasets: Sequence[Dataset]

    def collect(self) -> "Iterator[Family]":
        """The interface of a prometheus_client collector."""
        if self.resources.home.exists:  # measuring writes, and would make one
            measure(Seen(self.resources, self.datasets, self.resources.now()))
        yield from self.resources.metrics.collect()

    @property
    def registry(self) -> "CollectorRegistry":
        """A registry for prometheus_client's server."""
        from prometheus_client import CollectorRegistry

        found = CollectorRegistry(auto_describe=False)
        found.register(self)
        return found


# --- alerts --------------------------------------------------------------------------------------


def look(
    resources: Resources, datasets: Sequence[Dataset], *, pause: dt.timedelta = _PAUSE
) -> list[Alert]:
    """Measure, open and close alerts, and send notifications; returns the open alerts.

    After more than ``pause`` without a pass, lateness counts from this pass on. Takes 20 seconds
    for receivers at most, and what reading the newest day of each table takes: half a minute and
    one request where the lake is out of reach. A dataset that is disabled is not watched.
    """
    enabled = [d for d in datasets if resources.config(d).enabled]
    seen = Seen(resources, enabled, resources.now())
    deciders: dict[Kind, Iterator[Incident]] = {
        "degraded": _degraded(seen),
        "breaker_open": _tripped(seen),
        "late_feed": _late(seen, pause),
        "quarantine_growing": _growing(seen),
    }
    with ExitStack() as stack:  # each is done, in reverse order, whatever the others raise
        stack.callback(send, resources)
        for kind, found in deciders.items():
            stack.callback(_judge, resources, kind, found)
        stack.callback(measure, seen)
    return resources.alerts.open


def _looked_since(resources: Resources, pause: dt.timedelta) -> dt.datetime:
    """When the present series of passes began, none more than ``pause`` after the one before."""
    now, (since, _, last) = resources.now(), (resources.state.get("looked") or "").partition(" ")
    awake = bool(last) and now - dt.datetime.fromisoformat(last) <= pause
    began = min(dt.datetime.fromisoformat(since), now) if awake else now
    resources.state.set("looked", f"{began.isoformat()} {now.isoformat()}", _REMEMBERED)
    return began


def _judge(resources: Resources, kind: Kind, found: Iterator[Incident]) -> None:
    """Open and close the alerts of ``kind``; they stay as they are where reading fails."""
    try:
        incidents = list(found)
    except AurumError as error:
        log.warning("cannot be judged now", kind=kind, reason=str(error))
        return
    for incident in incidents:
        resources.alerts.raise_(incident)
    resources.alerts.settle_others(kind, {t.key for t in incidents})


def send(resources: Resources) -> None:
    """Send notifications, one process at a time, for 20 seconds at most, then drain to Kafka."""
    with resources.lock("alerts"):
        resources.alerts.send()
    drain(resources)


def _degraded(seen: Seen) -> Iterator[Incident]:
    for part, why in seen.degraded.items():
        if why:
            yield Incident("degraded", "", part, why, "ERROR" if part == "lake" else "WARN")


def _tripped(seen: Seen) -> Iterator[Incident]:
    for operator in {d.operator.name: d.operator for d in seen.datasets}.values():
        config = seen.resources.configuration.operators[operator.name]
        if Breaker(
            config, operator, seen.resources.known_of(operator), seen.resources.clock
        ).tripped:
            sentence = (
                f"{operator.title} was unavailable {config.breaker_failures} times in a row: asked "
                f"once in {config.breaker_seconds:g} s until it answers"
            )
            yield Incident("breaker_open", "", operator.name, sentence)


def _late(seen: Seen, pause: dt.timedelta) -> Iterator[Incident]:
    """Late feeds of tables that hold rows: a feed that a home never had is not missed.

    Lateness counts from the first pass after a ``pause``, so that the schedules can run first. A
    feed that was late before stays late until it delivers; in a simulated home, whose data is only
    generated while it runs, unless there was no pass for a day.
    """
    since = _looked_since(seen.resources, pause)
    simulated = seen.resources.origin == "simulated"
    open_before = {
        (a.dataset, a.subject)
        for a in seen.resources.alerts.open
        if not simulated or seen.now - dt.datetime.fromisoformat(a.last_seen_at) <= _PAUSE
    }
    for dataset in seen.datasets:
        if dataset.table.sparse:
            continue  # no row is due; ``gaps`` misses an answer that is not there
        for feed in seen.resources.config(dataset).feeds:
            if seen.days[dataset.key] and feed.asked.scheduled:
                if is_known_not_offered(seen.resources, dataset, feed):
                    continue
                late = _late_within_day if feed.asked.within_the_day else _late_daily
                counted = _EVER if (dataset.key, feed.name) in open_before else since
                sentence = late(seen, dataset, feed, counted)
                if sentence:
                    yield Incident("late_feed", dataset.key, feed.name, sentence)


def _late_within_day(seen: Seen, dataset: Dataset, feed: Feed, looked: dt.datetime) -> str:
    """Why a feed that is asked several times a day is late; empty where it is not."""
    every = max(dataset.dialect(e.dialect).every for e in feed.endpoints)
    limit = every + seen.resources.config(dataset).lateness + feed.asked.longest_wait
    newest = seen.newest[dataset.key].get(feed.finality or "")
    if newest is None:
        day = seen.days[dataset.key][-1]
        text = f"its feed {feed.name!r} has brought nothing of {day}, the newest day that is held"
        return text if seen.now - looked > limit else ""
    # A forecast's interval lies ahead: only the fetch shows how old it is.
    since = newest.until if newest.until <= seen.now else newest.fetched
    if has_vintages(dataset.table):
        since = _answered(seen, dataset, newest.fetched)
    if seen.now - max(since, looked) <= limit:
        return ""
    return (
        f"its feed {feed.name!r} has brought nothing newer than {since:%F %R}Z, "
        f"{_hm(seen.now - since)} ago; "
        f"at most {_hm(limit)} is expected"
    )


def _answered(seen: Seen, dataset: Dataset, fetched: dt.datetime) -> dt.datetime:
    """The newest fetch of the newest day: of its rows (``fetched``), or of an archived answer.

    An answer that repeats a vintage makes no row.
    """
    folder, day = dataset.archive_name, seen.days[dataset.key][-1].isoformat()
    answers = seen.resources.archive.identifiers(folder, day)
    return max([fetched, *map(fetched_at_of, answers)])


def _late_daily(seen: Seen, dataset: Dataset, feed: Feed, looked: dt.datetime) -> str:
    """Why a feed that is asked once a day is late; empty where it is not."""
    config, held = seen.resources.config(dataset), seen.days[dataset.key]
    at, grace = feed.asked.at, feed.grace
    wait = config.lateness + (_REPAIRED if feed.asked.ahead else HOUR)
    asked_on = dataset.operator.day_of(seen.now).plus(-grace)
    while asked_on.plus(grace).at(at) + wait > seen.now:
        asked_on = asked_on.plus(-1)
    due = asked_on.plus(feed.offset_days)
    today = dataset.operator.day_of(seen.now).date
    if due.date < max(first_wanted(seen.resources, held, today), config.first_day):
        return ""
    if asked_on.plus(grace).at(at) < looked:  # not asked since; repairs ask by the next day
        repaired_by = max(looked, asked_on.plus(grace + 1).start) + wait
        if feed.asks == "now" or repaired_by > seen.now:
            return ""
    text = f"its feed {feed.name!r} was due to bring {due}"
    if due.date not in held:
        return f"{text}, but nothing of that day is held"
    if feed.finality is None:
        return ""
    partition = {"operating_day": due.date}
    there = seen.resources.lake.read(dataset.table, partition, ("finality",))["finality"].unique()
    return "" if feed.finality in there else f"{text}, but no {feed.finality} row of it is held"


def _growing(seen: Seen) -> Iterator[Incident]:
    """Datasets with more quarantined records than an hour ago; the first pass has no comparison."""
    for dataset in seen.datasets:
        key, count = f"quarantine-was:{dataset.key}", seen.quarantined[dataset.key]
        before, _, at = (seen.resources.state.get(key) or "").partition(" ")
        if not before or seen.now - dt.datetime.fromisoformat(at) >= HOUR or count < int(before):
            seen.resources.state.set(key, f"{count} {seen.now.isoformat()}", _REMEMBERED)
        if before and count > int(before):
            more = count - int(before)
            sentence = f"{more} more records are quarantined than at {at[:16]}Z, {count} in all"
            yield Incident("quarantine_growing", dataset.key, "", sentence, "WARN")


def _since(resources: Resources, key: str, value: str, now: dt.datetime) -> dt.datetime:
    """Since when passes have found this ``value`` under ``key``."""
    before, _, at = (resources.state.get(key) or "").partition(" ")
    if before == value and at:
        return dt.datetime.fromisoformat(at)
    resources.state.set(key, f"{value} {now.isoformat()}", _REMEMBERED)
    return now


def _hm(span: dt.timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004  of an hour
