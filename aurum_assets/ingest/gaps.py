"""Gaps: which operating days are incomplete, which feeds can complete them, when to ask again.

Decided from the calendar, the config and the lake: its manifests, and for a bounded number of days
the interval columns (where a table is sparse: what is archived). Days count from the
first that the home holds, so that a fresh home does not fetch years by itself. No request is made
here.

A day that is as incomplete after an attempt as before waits twice as long each time, up to a day;
after ``TRIES`` attempts it is left alone until what it lacks changes. Attempts are kept in the
shared state: without it a few requests are repeated, nothing else.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import polars as pl

from aurum_assets.ingest.feeds import keeps
from aurum_assets.ingest.offers import is_known_not_offered
from aurum_assets.model.checks import Evidence, completeness
from aurum_assets.model.clock import DAY, HOUR, OperatingDay, every_day
from aurum_assets.model.dataset import Dataset, DatasetConfig, Feed
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.reading import read
from aurum_assets.resources.archive import endpoint_of, fetched_at_of
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.state import recalled

TRIES = 8
LOOKS = 8  # days of a dataset whose intervals are read in one pass
PAUSE_DAYS = 31  # of a simulated home
_FIRST_PAUSE, _LONGEST_PAUSE = HOUR, DAY
_LOOK_AGAIN = 30 * DAY  # at a complete day: rows may have been lost since
_MEMORY_SECONDS = 400 * 86_400.0


@dataclass(frozen=True)
class Requirement:
    """What a scheduled feed must deliver for every day, and the feeds that can deliver it later.

    ``every``: the length of an interval. Only rows of one of these ``lengths`` count: two feeds of
    different intervals may share a table. ``due``: the day, counted from the operating day, from
    whose start on it may be asked for, or from an hour after ``asked_at`` (local time) on, at which
    a schedule asks. ``ahead``: the feed delivers whole days that have not begun.
    ``location_ids``: those of which each has a row in an interval that is delivered.
    """

    finality: str | None
    every: dt.timedelta
    lengths: frozenset[dt.timedelta]
    feeds: tuple[str, ...]
    due: int
    ahead: bool
    location_ids: tuple[str, ...] = ()
    asked_at: dt.time | None = None

    def due_from(self, day: OperatingDay) -> dt.datetime:
        """From when on ``day`` may be asked for."""
        asked_on = day.plus(self.due)
        return asked_on.start if self.asked_at is None else asked_on.at(self.asked_at) + HOUR

    def next_due(
        self, day: OperatingDay, now: dt.datetime, lateness: dt.timedelta
    ) -> dt.datetime | None:
        """When more of ``day`` becomes due than is at ``now``; None where all of it is."""
        start = self.due_from(day)
        if now < start:
            return start
        return now if now < day.end + lateness and not self.ahead else None


@dataclass(frozen=True)
class Gap:
    """A day that lacks ``missing`` intervals, described by ``lacks``; ``feeds`` can deliver them.

    ``parts``: for each feed that asks by hour or location, the incomplete ones (``("07",)``).
    """

    dataset: Dataset
    day: OperatingDay
    feeds: tuple[str, ...]
    missing: int
    lacks: str
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.dataset.key} {self.day}: {self.lacks}"


@dataclass(frozen=True)
class Repair:
    """A gap to be asked for now, for the ``attempt``-th time; the next attempt is at ``again``."""

    gap: Gap
    attempt: int
    again: dt.datetime

    def __str__(self) -> str:
        next_time = f"the next from {self.again:%F %R}Z"
        if self.attempt == TRIES:
            next_time = "the last unless something changes"
        return f"{self.gap}; try {self.attempt} of {TRIES}, {next_time}"


@dataclass(frozen=True)
class Tried:
    """The repair attempts of a day: after ``tries`` of them, ``missing`` intervals were missing.

    It is examined again from ``until`` on. More than ``TRIES`` attempts mean that it was given up.
    """

    tries: int
    missing: int
    until: dt.datetime


@dataclass
class Found:
    """The result of one pass: ``repairs`` to ask for, and a sentence for each day ``given_up`` now.

    Gaps are ``waiting`` for their next attempt, ``postponed`` to a later pass (too many, or a run
    is at work on them), or ``left`` alone because they were given up before.
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
        parts += [f"{self.postponed} are postponed to a later pass"] if self.postponed else []
        parts += [f"{self.left} were given up before"] if self.left else []
        return "; ".join(parts) or "no day lacks anything that is due and can be asked for"


def requirements(
    dataset: Dataset, config: DatasetConfig, without: Collection[str] = ()
) -> list[Requirement]:
    """The requirements that can be met later: none where all feeds answer for now only.

    ``without``: the names of feeds that the operator does not offer. What two feeds must deliver
    alike is one requirement, due as soon as the first of them.
    """
    found: dict[object, Requirement] = {}
    for feed in config.feeds:
        able = [f for f in _able(feed, config) if f.name not in without]
        if feed.cadence == "backfill" or not able:
            continue
        intervals = {dataset.dialect(e.dialect).every for f in (feed, *able) for e in f.endpoints}
        newest = max(f.ahead_days for f in able)
        one = Requirement(
            finality=feed.finality,
            every=max(intervals),
            lengths=frozenset({*intervals, dt.timedelta()}),  # an instant has no length
            feeds=tuple(f.name for f in able),
            due=_due(feed, newest),
            ahead=newest > 0,
            location_ids=tuple(number for f in able for number in f.location_ids),
            asked_at=feed.asked.at if feed.asked.ahead else None,
        )
        alike = (one.finality, one.lengths, one.feeds)
        found[alike] = min(found.get(alike, one), one, key=lambda requirement: requirement.due)
    return list(found.values())


def _due(feed: Feed, newest: int) -> int:
    """How many days after its start a day counts as missing.

    A daily feed is due when its day is over, or on the day on which it asks for a day ahead; final
    values once their absence is a failure.
    """
    if feed.becomes_final:
        return feed.due_days
    if feed.asked.ahead:
        return -feed.offset_days
    return max((1 if feed.cadence == "daily" else 0) - newest, 0)


def offered_requirements(resources: Resources, dataset: Dataset) -> list[Requirement]:
    """List the ``requirements`` without the feeds that the operator was found not to offer."""
    config = resources.config(dataset)
    without = {f.name for f in config.feeds if is_known_not_offered(resources, dataset, f)}
    return requirements(dataset, config, without)


def _able(feed: Feed, config: DatasetConfig) -> list[Feed]:
    """The feeds that can deliver what ``feed`` did not."""
    if feed.asks != "now":
        return [feed]
    return [f for f in config.feeds if f.asks != "now" and f.finality == feed.finality]


def gap_of(
    resources: Resources, dataset: Dataset, day: OperatingDay, *, stored: bool = True
) -> Gap | None:
    """What ``day`` lacks of all that is due and that the operator keeps; None where that is there.

    ``stored``: whether the table holds rows of the day (if not, none are read).
    """
    config, now = resources.config(dataset), resources.now()
    required = offered_requirements(resources, dataset)
    today = dataset.operator.day_of(now)
    kept = {f.name for f in config.feeds if keeps(f, day, today)}
    rows = _intervals(resources, dataset, day, required) if stored else None
    by_part = [f for f in config.feeds if f.asks in ("hour", "location")]
    feeds: dict[str, None] = {}
    parts: dict[str, tuple[str, ...]] = {}
    missing, lacks = 0, []
    for requirement in required:
        able = [name for name in requirement.feeds if name in kept]
        if not able:
            continue
        not_yet = now < requirement.due_from(day)
        if dataset.table.sparse:
            if not (not_yet or _is_answered(resources, dataset, day, requirement)):
                feeds |= dict.fromkeys(able)
                missing += 1
                lacks.append(f"no answer of {' or '.join(able)} settles it")
            continue
        if not_yet and not requirement.ahead:
            continue
        evidence = Evidence(
            table=dataset.table,
            config=config,
            day=day,
            now=now if not_yet else max(now, day.start),  # a day ahead that is due is due whole
            rows=dataset.table.empty(),
            intervals=_delivered(dataset, rows, requirement),
            quarantine=QUARANTINE.empty(),
            every=requirement.every,
        )
        verdict = completeness(evidence)
        if not verdict.passed:
            feeds |= dict.fromkeys(able)
            parts |= {f.name: _parts_lacking(f, evidence, rows) for f in by_part if f.name in able}
            missing += verdict.count
            lacks.append(
                f"{requirement.finality}: {verdict.reason}"
                if requirement.finality
                else verdict.reason
            )
    return Gap(dataset, day, tuple(feeds), missing, "; ".join(lacks), parts) if missing else None


def _is_answered(
    resources: Resources, dataset: Dataset, day: OperatingDay, requirement: Requirement
) -> bool:
    """Whether an answer of a feed that meets ``requirement`` is archived and settles the day.

    One without records may have come before the operator published: it counts only from
    ``Feed.settles_at`` on. One with records counts before, unless the day was still open.
    """
    config, early = resources.config(dataset), list[str]()
    for identifier in resources.archive.identifiers(dataset.archive_name, day.key):
        feed, fetched_at = config.feed_of(endpoint_of(identifier)), fetched_at_of(identifier)
        if feed is None or feed.name not in requirement.feeds:
            continue
        if fetched_at >= feed.settles_at(day):
            return True
        early += [identifier] if requirement.ahead or fetched_at >= day.end else []
    return any(_has_records(resources, dataset, day, identifier) for identifier in early)


def _has_records(
    resources: Resources, dataset: Dataset, day: OperatingDay, identifier: str
) -> bool:
    """Whether the archived answer holds a record; not where it cannot be read."""
    try:
        snapshot = resources.archive.snapshot(dataset.archive_name, day.key, identifier)
        return read(dataset, snapshot).records > 0
    except MalformedPayload:
        return False


def _parts_lacking(feed: Feed, evidence: Evidence, rows: pl.DataFrame | None) -> tuple[str, ...]:
    """The local hours, or the locations, of which a due interval is missing."""
    day, every = evidence.day, evidence.every

    def missing(intervals: pl.DataFrame) -> list[dt.datetime]:
        starts = intervals["interval_start"].to_list()
        there = {day.start + (start - day.start) // every * every for start in starts}
        return [mark for mark in evidence.due if mark not in there]

    if feed.asks == "hour":
        return tuple(dict.fromkeys(map(day.hour_of, missing(evidence.intervals))))
    if rows is None:
        return feed.location_ids
    return tuple(n for n in feed.location_ids if missing(rows.filter(location_id=n)))


def _intervals(
    resources: Resources, dataset: Dataset, day: OperatingDay, required: Sequence[Requirement]
) -> pl.DataFrame:
    """The distinct intervals of the day by finality, with their ends only where lengths differ."""
    names = ["interval_start"]
    names += ["finality"] if "finality" in dataset.table.names else []
    names += ["location_id"] if any(requirement.location_ids for requirement in required) else []
    names += ["interval_end"] if len({requirement.lengths for requirement in required}) > 1 else []
    return resources.lake.read(dataset.table, {"operating_day": day.date}, tuple(names)).unique()


def _delivered(
    dataset: Dataset, rows: pl.DataFrame | None, requirement: Requirement
) -> pl.DataFrame:
    """The ``interval_start`` of the rows that meet ``requirement``.

    An interval that is asked for by location counts once all of them have it.
    """
    if rows is None:
        return dataset.table.empty().select("interval_start")
    if "finality" in rows.columns:
        rows = rows.filter(pl.col("finality") == requirement.finality)
    if "interval_end" in rows.columns:
        length = pl.col("interval_end") - pl.col("interval_start")
        rows = rows.filter(length.is_in(list(requirement.lengths)))
    if requirement.location_ids:
        asked = pl.col("location_id").is_in(requirement.location_ids)
        whole = asked.sum().over("interval_start") == len(requirement.location_ids)
        rows = rows.filter(whole)
    return rows.select("interval_start").unique()


def has_brought(resources: Resources, dataset: Dataset, day: OperatingDay, feed: Feed) -> bool:
    """Whether the table holds any row of ``day`` that ``feed``, which asks for days, delivers."""
    required = requirements(dataset, resources.config(dataset))
    rows = _intervals(resources, dataset, day, required)
    requirement = next(
        (requirement for requirement in required if feed.name in requirement.feeds), None
    )
    return requirement is None or not _delivered(dataset, rows, requirement).is_empty()


def wanted_days(
    resources: Resources,
    dataset: Dataset,
    stored: Collection[dt.date],
    required: Sequence[Requirement],
) -> list[OperatingDay]:
    """The days that the operator can be asked for, since the first that the home holds.

    Newest first; none where the home holds none.
    """
    archived = resources.archive.first_day(dataset.archive_name) if required else None
    held = {*stored, *([dt.date.fromisoformat(archived)] if archived else [])}
    if not held or not required:
        return []
    config = resources.config(dataset)
    today = dataset.operator.day_of(resources.now())
    oldest = today.plus(-config.repair_days).date
    first = dataset.day(
        max(first_wanted(resources, held, today.date), oldest, config.first_day).isoformat()
    )
    return every_day(first, today.plus(any(requirement.ahead for requirement in required)))[::-1]


def first_wanted(resources: Resources, held: Collection[dt.date], today: dt.date) -> dt.date:
    """The first day that must be complete: the first of ``held``, which is not empty.

    In a simulated home, whose data is generated, it is the first day since the last pause of more
    than ``PAUSE_DAYS``, or yesterday where that pause lasted until then.
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
    """Examine ``datasets`` once: at most ``resources.repairs`` repairs an operator, newest first.

    ``busy``: (dataset, day) that a run is at work on. Every repair returned counts as an attempt.
    """
    found = Found()
    memories: dict[str, dict[str, Tried]] = {}
    ready: list[Gap] = []
    for dataset in datasets:
        memories[dataset.key] = memory = _recalled(resources, dataset)
        ready += _look(resources, dataset, memory, found)
    asked: Counter[str] = Counter()
    for gap in sorted(ready, key=lambda g: g.day.date, reverse=True):
        operator, memory = gap.dataset.operator.name, memories[gap.dataset.key]
        before = memory.get(gap.day.key)
        attempt = next_attempt(before, gap.missing)
        if attempt is None:
            _give_up(gap, memory, resources.now(), found)
        elif asked[operator] >= resources.repairs or (gap.dataset.key, gap.day.key) in busy:
            found.postponed += 1
        else:
            asked[operator] += 1
            again = resources.now() + pause_after(attempt)
            memory[gap.day.key] = Tried(attempt, gap.missing, again)
            found.repairs.append(Repair(gap, attempt, again))
    for key, memory in memories.items():
        resources.state.set(f"gaps:{key}", msgspec.json.encode(memory).decode(), _MEMORY_SECONDS)
    return found


def _look(
    resources: Resources, dataset: Dataset, memory: dict[str, Tried], found: Found
) -> list[Gap]:
    """The gaps whose next attempt is due; updates ``memory`` for the other days."""
    now, config = resources.now(), resources.config(dataset)
    required = offered_requirements(resources, dataset)
    lateness = config.lateness
    stored = set(resources.lake.days(dataset.table)) if required else set()
    days = wanted_days(resources, dataset, stored, required)
    gaps, looks, sparse = [], LOOKS, bool(dataset.table.sparse)
    for day in days:
        has_rows, known = day.date in stored, memory.get(day.key)
        examined = has_rows or sparse
        if known and now < known.until and (known.tries or examined):
            _count(known, found)
            continue
        if examined and not looks:
            continue
        looks -= examined
        gap = gap_of(resources, dataset, day, stored=has_rows)
        if gap is not None:
            gaps.append(gap)
            continue
        later = [
            due
            for requirement in required
            if (due := requirement.next_due(day, now, requirement.every + lateness))
        ]
        if examined:
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
    """Give a day up: reported once, examined once a day."""
    if memory[gap.day.key].tries > TRIES:
        found.left += 1
    else:
        found.given_up.append(
            f"{gap}; asked for {TRIES} times in vain, given up until this changes"
        )
    memory[gap.day.key] = Tried(TRIES + 1, gap.missing, now + _LONGEST_PAUSE)


def next_attempt(before: Tried | None, missing: int) -> int | None:
    """The number of the next attempt for a day that lacks ``missing`` intervals.

    1 again where the last one delivered something; None after ``TRIES`` that changed nothing.
    """
    if before is None or before.tries == 0:
        return 1
    if before.tries > TRIES:
        return 1 if missing != before.missing else None
    if missing < before.missing:
        return 1
    return before.tries + 1 if before.tries < TRIES else None


def pause_after(attempt: int) -> dt.timedelta:
    """How long a day waits after the ``attempt``-th attempt: 1 h, 2 h, 4 h … up to a day."""
    return min(_FIRST_PAUSE * (1 << (attempt - 1)), _LONGEST_PAUSE)


def _recalled(resources: Resources, dataset: Dataset) -> dict[str, Tried]:
    return recalled(resources.state.get(f"gaps:{dataset.key}"), dict[str, Tried]) or {}
