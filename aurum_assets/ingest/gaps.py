"""Gaps: which days lack what that the operator can still be asked for, and when to ask again.

Decided from the calendar, the config and what the lake holds: manifests, and of a bounded number of
days the columns that tell their intervals. A day is wanted from the first that the home holds, so
that a fresh home does not fetch years by itself. Nothing is asked for here.

A day that was asked for and lacks as much as before waits twice as long each time, up to a day;
after ``TRIES`` it is left alone until what it lacks changes. What was tried is kept in the shared
state: without it a few requests are repeated, nothing else.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import polars as pl

from aurum_assets.ingest.offers import is_known_not_offered
from aurum_assets.model.checks import Evidence, completeness
from aurum_assets.model.clock import DAY, HOUR, OperatingDay, every_day
from aurum_assets.model.dataset import Dataset, DatasetConfig, Feed
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.settings import Resources
from aurum_assets.resources.state import recalled

TRIES = 8
LOOKS = 8  # days of a dataset whose intervals are read at one look
PAUSE_DAYS = 31  # of a simulated home
_FIRST_PAUSE, _LONGEST_PAUSE = HOUR, DAY
_LOOK_AGAIN = 30 * DAY  # at a day that lacks nothing: rows may have gone since
_MEMORY_SECONDS = 400 * 86_400.0


@dataclass(frozen=True)
class Debt:
    """What a feed with a beat owes every day, and the feeds that can bring it afterwards.

    Rows count whose length is among ``lengths``: two feeds of other intervals may share a table.
    ``due`` is the day, counted from the operating day, at whose start it may be asked for.
    """

    finality: str | None
    every: dt.timedelta
    lengths: frozenset[dt.timedelta]
    feeds: tuple[str, ...]
    due: int
    ahead: bool

    def next_due(
        self, day: OperatingDay, now: dt.datetime, lateness: dt.timedelta
    ) -> dt.datetime | None:
        """When more of ``day`` becomes due than is at ``now``; None where all of it is."""
        start = day.plus(self.due).start
        if now < start:
            return start
        return now if now < day.end + lateness and not self.ahead else None


@dataclass(frozen=True)
class Gap:
    """A day that lacks ``missing`` intervals, said in words by ``lacks``; ``feeds`` can help.

    ``hours``: by feed that asks hour by hour, those that lack something (``("07",)``).
    """

    dataset: Dataset
    day: OperatingDay
    feeds: tuple[str, ...]
    missing: int
    lacks: str
    hours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.dataset.key} {self.day}: {self.lacks}"


@dataclass(frozen=True)
class Repair:
    """A gap to be asked for now, for the ``attempt``-th time; if it stays, again at ``again``."""

    gap: Gap
    attempt: int
    again: dt.datetime

    def __str__(self) -> str:
        next_time = f"if it stays so again from {self.again:%F %R}Z"
        if self.attempt == TRIES:
            next_time = "the last time unless something changes"
        return f"{self.gap}; try {self.attempt} of {TRIES}, {next_time}"


@dataclass(frozen=True)
class Tried:
    """What is remembered of a day: asked for ``tries`` times, ``missing`` at the last, and from
    ``until`` on it is looked at again. More tries than ``TRIES``: it was given up.
    """

    tries: int
    missing: int
    until: dt.datetime


@dataclass
class Found:
    """What one look found: ``repairs`` to ask for; days that were ``given_up`` just now, in words;
    how many gaps are ``waiting`` for their time, ``postponed`` for a later look (bound or running),
    or ``left`` alone as given up before.
    """

    repairs: list[Repair] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    waiting: int = 0
    postponed: int = 0
    left: int = 0
    next_try: dt.datetime | None = None

    def __str__(self) -> str:
        parts = [f"{self.waiting} incomplete days wait for their next try"] if self.waiting else []
        if self.next_try:
            parts[-1] += f", the first from {self.next_try:%F %R}Z"
        parts += [f"{self.postponed} are put off to a later look"] if self.postponed else []
        parts += [f"{self.left} were given up before"] if self.left else []
        return "; ".join(parts) or "no day lacks anything that is due and can be asked for"


def debts(dataset: Dataset, config: DatasetConfig, without: Collection[str] = ()) -> list[Debt]:
    """What is owed and can be repaired: empty where all feeds answer for now only.

    ``without``: the names of feeds that the operator does not offer.
    """
    found = []
    for feed in config.feeds:
        able = [f for f in _able(feed, config) if f.name not in without]
        if feed.cadence == "backfill" or not able:
            continue
        spoken = {dataset.dialect(e.dialect).every for f in (feed, *able) for e in f.endpoints}
        newest = max(f.offset_days for f in able)
        found.append(
            Debt(
                finality=feed.finality,
                every=max(spoken),
                lengths=frozenset({*spoken, dt.timedelta()}),  # an instant has no length
                feeds=tuple(f.name for f in able),
                due=_due(feed, newest),
                ahead=newest > 0,
            )
        )
    return found


def _due(feed: Feed, newest: int) -> int:
    """How many days after its start a day is missed: a daily beat is over when its day is, and
    final values are asked for once they are out until their absence is a failure.
    """
    if feed.becomes_final:
        return feed.due_days
    return (1 if feed.cadence == "daily" else 0) - newest


def offered_debts(resources: Resources, dataset: Dataset) -> list[Debt]:
    """As ``debts``, less what the operator was found not to offer."""
    config = resources.config(dataset)
    without = {f.name for f in config.feeds if is_known_not_offered(resources, dataset, f)}
    return debts(dataset, config, without)


def _able(feed: Feed, config: DatasetConfig) -> list[Feed]:
    """The feeds that can bring what ``feed`` did not."""
    if feed.asks != "now":
        return [feed]
    return [f for f in config.feeds if f.asks != "now" and f.finality == feed.finality]


def gap_of(
    resources: Resources, dataset: Dataset, day: OperatingDay, *, stored: bool = True
) -> Gap | None:
    """What ``day`` lacks of all that is due; None where that is nothing.

    ``stored``: the table holds rows of the day (where not, none is looked for).
    """
    config, now = resources.config(dataset), resources.now()
    owed = offered_debts(resources, dataset)
    rows = _intervals(resources, dataset, day, owed) if stored else None
    by_hour = {f.name for f in config.feeds if f.asks == "hour"}
    feeds: dict[str, None] = {}
    hours: dict[str, tuple[str, ...]] = {}
    missing, lacks = 0, []
    for debt in owed:
        if now < day.plus(debt.due).start and not debt.ahead:
            continue
        evidence = Evidence(
            table=dataset.table,
            config=config,
            day=day,
            now=now,
            rows=dataset.table.empty(),
            intervals=_brought(dataset, rows, debt),
            quarantine=QUARANTINE.empty(),
            every=debt.every,
        )
        verdict = completeness(evidence)
        if not verdict.passed:
            feeds |= dict.fromkeys(debt.feeds)
            lacking = _hours_lacking(evidence)
            hours |= {name: lacking for name in debt.feeds if name in by_hour}
            missing += verdict.count
            lacks.append(f"{debt.finality}: {verdict.reason}" if debt.finality else verdict.reason)
    return Gap(dataset, day, tuple(feeds), missing, "; ".join(lacks), hours) if missing else None


def _hours_lacking(evidence: Evidence) -> tuple[str, ...]:
    """The hours, as the day's clock shows them, in which an interval that is due is missing."""
    day, every = evidence.day, evidence.every
    starts = evidence.intervals["interval_start"].to_list()
    there = {day.start + (start - day.start) // every * every for start in starts}
    return tuple(dict.fromkeys(day.hour_of(m) for m in evidence.due if m not in there))


def _intervals(
    resources: Resources, dataset: Dataset, day: OperatingDay, owed: Sequence[Debt]
) -> pl.DataFrame:
    """The distinct intervals of the day, by finality; their lengths only where these differ."""
    names = ["interval_start"]
    names += ["finality"] if "finality" in dataset.table.names else []
    names += ["interval_end"] if len({debt.lengths for debt in owed}) > 1 else []
    return resources.lake.read(dataset.table, {"operating_day": day.date}, tuple(names)).unique()


def _brought(dataset: Dataset, rows: pl.DataFrame | None, debt: Debt) -> pl.DataFrame:
    """The ``interval_start`` of the rows that pay ``debt``."""
    if rows is None:
        return dataset.table.empty().select("interval_start")
    if "finality" in rows.columns:
        rows = rows.filter(pl.col("finality") == debt.finality)
    if "interval_end" in rows.columns:
        length = pl.col("interval_end") - pl.col("interval_start")
        rows = rows.filter(length.is_in(list(debt.lengths)))
    return rows.select("interval_start").unique()


def has_brought(resources: Resources, dataset: Dataset, day: OperatingDay, feed: Feed) -> bool:
    """Whether the table holds anything of ``day`` that ``feed``, which asks for days, brings."""
    owed = debts(dataset, resources.config(dataset))
    rows = _intervals(resources, dataset, day, owed)
    debt = next((debt for debt in owed if feed.name in debt.feeds), None)
    return debt is None or not _brought(dataset, rows, debt).is_empty()


def wanted_days(
    resources: Resources, dataset: Dataset, stored: Collection[dt.date], owed: Sequence[Debt]
) -> list[OperatingDay]:
    """The days since the first that the home holds which the operator can be asked for, newest
    first: none where it holds none.
    """
    archived = resources.archive.first_day(dataset.archive_name) if owed else None
    held = {*stored, *([dt.date.fromisoformat(archived)] if archived else [])}
    if not held or not owed:
        return []
    config = resources.config(dataset)
    today = dataset.operator.day_of(resources.now())
    oldest = today.plus(-config.repair_days).date
    first = dataset.day(
        max(first_wanted(resources, held, today.date), oldest, config.first_day).isoformat()
    )
    return every_day(first, today.plus(any(debt.ahead for debt in owed)))[::-1]


def first_wanted(resources: Resources, held: Collection[dt.date], today: dt.date) -> dt.date:
    """The day from which on what is missing is missed: the first of ``held``, which holds one.

    Nobody misses what is made up: of a simulated home it is the first day since the last pause of
    more than ``PAUSE_DAYS``, and yesterday where that lasted until then.
    """
    first = today - DAY
    earlier = sorted((day for day in held if day < first), reverse=True)
    if resources.origin != "simulated" or not earlier:
        return min(held)
    for day in earlier:
        if first - day > PAUSE_DAYS * DAY:
            break
        first = day
    return first


def find_gaps(
    resources: Resources, datasets: Iterable[Dataset], *, busy: Collection[tuple[str, str]] = ()
) -> Found:
    """Look at ``datasets`` once: at most ``home.repairs`` repairs a source, newest days first.

    ``busy``: (dataset, day) that a run is about already. What is to be asked for counts as tried.
    """
    found = Found()
    memories: dict[str, dict[str, Tried]] = {}
    ready: list[Gap] = []
    for dataset in datasets:
        memories[dataset.key] = memory = _recalled(resources, dataset)
        ready += _look(resources, dataset, memory, found)
    asked: Counter[str] = Counter()
    for gap in sorted(ready, key=lambda g: g.day.date, reverse=True):
        source, memory = gap.dataset.operator.name, memories[gap.dataset.key]
        before = memory.get(gap.day.key)
        attempt = next_attempt(before, gap.missing)
        if attempt is None:
            _give_up(gap, memory, resources.now(), found)
        elif asked[source] >= resources.repairs or (gap.dataset.key, gap.day.key) in busy:
            found.postponed += 1
        else:
            asked[source] += 1
            again = resources.now() + pause_after(attempt)
            memory[gap.day.key] = Tried(attempt, gap.missing, again)
            found.repairs.append(Repair(gap, attempt, again))
    for key, memory in memories.items():
        resources.state.set(f"gaps:{key}", msgspec.json.encode(memory).decode(), _MEMORY_SECONDS)
    return found


def _look(
    resources: Resources, dataset: Dataset, memory: dict[str, Tried], found: Found
) -> list[Gap]:
    """The gaps whose time has come; what else is known of the days goes into ``memory``."""
    now, config = resources.now(), resources.config(dataset)
    owed = offered_debts(resources, dataset)
    lateness = config.lateness
    stored = set(resources.lake.days(dataset.table)) if owed else set()
    days = wanted_days(resources, dataset, stored, owed)
    gaps, looks = [], LOOKS
    for day in days:
        has_rows, known = day.date in stored, memory.get(day.key)
        if known and now < known.until and (known.tries or has_rows):
            _count(known, found)
            continue
        if has_rows and not looks:
            continue
        looks -= has_rows
        gap = gap_of(resources, dataset, day, stored=has_rows)
        if gap is not None:
            gaps.append(gap)
            continue
        later = [due for debt in owed if (due := debt.next_due(day, now, debt.every + lateness))]
        if has_rows:
            memory[day.key] = Tried(0, 0, min(later, default=now + _LOOK_AGAIN))
    wanted = {day.key for day in days}
    for key in set(memory) - wanted:
        del memory[key]
    return gaps


def _count(known: Tried, found: Found) -> None:
    if known.tries > TRIES:
        found.left += 1
    elif known.tries:
        found.waiting += 1
        found.next_try = min(found.next_try or known.until, known.until)


def _give_up(gap: Gap, memory: dict[str, Tried], now: dt.datetime, found: Found) -> None:
    """Leave a day alone: said once, looked at once a day."""
    if memory[gap.day.key].tries > TRIES:
        found.left += 1
    else:
        found.given_up.append(
            f"{gap}; asked for {TRIES} times without gain, given up until this changes"
        )
    memory[gap.day.key] = Tried(TRIES + 1, gap.missing, now + _LONGEST_PAUSE)


def next_attempt(before: Tried | None, missing: int) -> int | None:
    """Which attempt is next for a day that lacks ``missing``: the first again where the last one
    brought something, None where it was tried often enough and nothing changed.
    """
    if before is None or before.tries == 0:
        return 1
    if before.tries > TRIES:
        return 1 if missing != before.missing else None
    if missing < before.missing:
        return 1
    return before.tries + 1 if before.tries < TRIES else None


def pause_after(attempt: int) -> dt.timedelta:
    """How long a day is left alone after the ``attempt``-th try: 1 h, 2 h, 4 h … up to a day."""
    return min(_FIRST_PAUSE * (1 << (attempt - 1)), _LONGEST_PAUSE)


def _recalled(resources: Resources, dataset: Dataset) -> dict[str, Tried]:
    return recalled(resources.state.get(f"gaps:{dataset.key}"), dict[str, Tried]) or {}
