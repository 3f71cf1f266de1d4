"""The checks of a day after every materialization, each a pure function of evidence.

Blocking rules have kept bad rows out already; a check reports them, with count, sample and reason.
``contract``, ``lmp_arithmetic`` and ``enums_and_ranges`` also examine the stored rows, so that a
row that was written in another way is found.

A check without anything to judge neither passes nor fails: it is skipped, with the reason.
``completeness``, ``freshness`` and ``volume`` warn of missing data.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby, repeat
from statistics import median
from typing import Any

import polars as pl

from aurum_assets.model.cases import CaseGap, case_gaps, strip_of_cases
from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.model.dataset import DatasetConfig
from aurum_assets.model.drift import SCHEMA_RULE, Drift, Severity
from aurum_assets.model.magnitudes import measured, off_by, price_magnitude, sizes_by_hour
from aurum_assets.model.table import Table
from aurum_assets.model.vintage import has_vintages

_OF_EVERY_DAY = ("completeness", "freshness", "empty_answer", "volume")  # a sparse table has none
_SHOWN = 5
_FEWEST_DAYS, _MOST_DAYS = 3, 7  # of history
_FEWEST_HOURS = 6  # with a price: reserves cost nothing except for an hour or two of most days
_LEGEND = "# there, + in part, . missing, _ not due yet; from the beginning of the day"
_MILLIONTHS = 6  # decimals: prices have fewer, and a difference of doubles is inexact


@dataclass(frozen=True)
class Verdict:
    """The result of a check. ``severity`` applies where ``passed`` is False.

    ``numbers`` are plotted over time; ``strip`` is a drawing in characters, a line a series.
    ``skipped``: there was nothing to judge, for the ``reason``; it neither passed nor failed
    (``passed`` is True, so that it does not count as a failure).
    """

    check: str
    passed: bool
    severity: Severity
    count: int
    reason: str
    sample: tuple[Mapping[str, Any], ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    strip: str = ""
    skipped: bool = False


def nothing_to_judge(check: str, because: str) -> Verdict:
    """The verdict of a check that is skipped."""
    return Verdict(check, True, "WARN", 0, f"nothing to judge: {because}", skipped=True)


@dataclass(frozen=True)
class Volume:
    """How many rows and finalities are held of a day."""

    day: OperatingDay
    rows: int
    finalities: int = 1

    @property
    def hours(self) -> float:
        """Hours, counted for each finality, by which days of 23 to 25 hours are compared."""
        return (self.day.end - self.day.start) / HOUR * self.finalities


@dataclass(frozen=True)
class Evidence:
    """The inputs of the checks.

    ``rows``: stored rows (the whole day, or those that a run wrote). ``intervals``:
    ``interval_start`` (and ``finality``) of the day, distinct. ``quarantine``: the day's rows of
    ``quality.quarantine``. ``empty``: requests whose newest answer held no record. ``rejected``:
    why snapshots gave no rows at all. ``volumes``: of the day and of earlier ones that are held,
    where the day is ``closed``. ``day_rows``: all rows of the day where ``rows`` are not and it
    ``has_both_finalities``. ``published``: where the day is complete by its cases, the instants at
    which these were published. ``answered``: when the newest snapshot of the day was fetched.
    ``recent``: ``sizes_by_hour`` of the days held before, where they
    were read.
    """

    table: Table
    config: DatasetConfig
    day: OperatingDay
    now: dt.datetime
    rows: pl.DataFrame
    intervals: pl.DataFrame
    quarantine: pl.DataFrame
    every: dt.timedelta
    drift: tuple[Drift, ...] = ()
    empty: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    day_rows: pl.DataFrame | None = None
    published: tuple[dt.datetime, ...] | None = None
    answered: dt.datetime | None = None
    recent: tuple[pl.DataFrame, ...] = ()

    @property
    def without_rows(self) -> str:
        """Why there is no row to judge; empty where there is one."""
        if len(self.rows):
            return ""
        return "no new row came" if len(self.intervals) else f"no row of {self.day} is held"

    @property
    def without_answers(self) -> str:
        """Why there is no record of an answer to judge; empty where there is one."""
        kept_out = len(self.quarantine) or self.rejected or self.drift
        return "" if kept_out else self.without_rows

    @property
    def ahead(self) -> bool:
        """Whether the day is published as a whole before it begins."""
        return any(feed.ahead_days > 0 for feed in self.config.feeds)

    @property
    def closed(self) -> bool:
        """Whether all of the day is due."""
        over = self.now >= self.day.end + self.config.lateness
        whole = self.ahead and not has_vintages(self.table)  # vintages come all day
        return over or (whole and bool(self.due))

    @property
    def has_both_finalities(self) -> bool:
        """Whether the day has preliminary and final rows."""
        if "finality" not in self.intervals.columns:
            return False
        return {"prelim", "final"} <= set(self.intervals["finality"])

    @cached_property
    def due(self) -> list[dt.datetime]:
        """The starts of the intervals that ought to be there by now.

        A day that is published ``ahead`` is due as a whole once it begins, or once a row is there.
        """
        if self.ahead:
            return self.marks if self.now >= self.day.start or len(self.intervals) else []
        newest = self.now - self.every - self.config.lateness
        return [m for m in self.marks if m <= newest]

    @cached_property
    def marks(self) -> list[dt.datetime]:
        """The starts of the intervals of the day."""
        return self.day.marks(self.every)


def evaluate(evidence: Evidence) -> list[Verdict]:
    """Run every check of the table, in order."""
    return [CHECKS[name][1](evidence) for name in checks_of(evidence.table, evidence.config)]


def checks_of(table: Table, config: DatasetConfig) -> list[str]:
    """The names of the checks that apply to a table."""
    finalities = {feed.finality for feed in config.feeds}
    silent = dict.fromkeys(_OF_EVERY_DAY, bool(table.sparse)) | {
        "lmp_arithmetic": "lmp_arithmetic" not in table.rule_checks().values(),
        "price_bounds": config.price_bounds is None or not prices_of(table),
        "prelim_against_final": bool(table.sparse)  # finals withdraw what they lack
        or not prices_of(table)
        or not {"prelim", "final"} <= finalities,
    }
    return [name for name in CHECKS if not silent.get(name)]


def prices_of(table: Table) -> list[str]:
    """The columns in USD that are prices: congestion and loss are not, they are differences."""
    parts = {"congestion", "loss"}
    return [c.name for c in table.columns if c.unit.startswith("USD") and c.name not in parts]


def contract(evidence: Evidence) -> Verdict:
    """Columns, types, nulls, keys, stamps and ids are as declared; no snapshot was rejected.

    Skipped where no row of the day is held.
    """
    table = evidence.table
    problems = [] if _is_declared(table, evidence.rows) else _undeclared(table, evidence.rows)
    if not problems:
        twice = evidence.rows.filter(pl.struct(table.key).is_duplicated())
        problems = twice.select(table.key).head(_SHOWN).to_dicts()
        problems += _stored(evidence, "contract")
    return _with_quarantine(evidence, "contract", problems, evidence.rejected)


def _is_declared(table: Table, rows: pl.DataFrame) -> bool:
    """Whether the columns, their order, types and nulls are those of ``table``."""
    required = (c.name for c in table.columns if not c.nullable)
    return list(rows.schema.items()) == list(table.schema.items()) and not any(
        rows[name].null_count() for name in required
    )


def _undeclared(table: Table, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """What pandera, which takes its time, says of columns, types and nulls."""
    import pandera.errors
    import pandera.polars as pa

    schema = pa.DataFrameSchema(
        {c.name: pa.Column(c.dtype, nullable=c.nullable) for c in table.columns},
        strict=True,
        ordered=True,
    )
    try:
        schema.validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases: pl.DataFrame = error.failure_cases
        return cases.head(_SHOWN).to_dicts()
    return []


def lmp_arithmetic(evidence: Evidence) -> Verdict:
    """Lmp = energy + congestion + loss, within 0.01 inclusive, in exact decimals.

    Skipped where no row of the day is held.
    """
    return _rules(evidence, "lmp_arithmetic")


def enums_and_ranges(evidence: Evidence) -> Verdict:
    """Values are finite, within bounds, and among those that the operator defines.

    Skipped where no row of the day is held.
    """
    return _rules(evidence, "enums_and_ranges")


def completeness(evidence: Evidence) -> Verdict:
    """Every interval (of a live forecast, every case) of the operating day that is due is there.

    Skipped while none is due and none is there.
    """
    if evidence.published is not None:
        return _complete_by_cases(evidence, evidence.published)
    due = evidence.due
    missing, gaps, strips = 0, [], []
    for name, there in _present(evidence):
        absent = [i for i, mark in enumerate(due) if mark not in there]
        missing += len(absent)
        gaps += [_gap(due, run, name) for run in _runs(absent)]
        strips.append(f"{name:<7}{_strip(evidence, there)}".lstrip())
    strips.append(_LEGEND)
    numbers = {"missing_intervals": missing, "due_intervals": len(due)}
    if not due and evidence.intervals.is_empty():
        because = f"no interval of {evidence.day} is due yet"
        return replace(nothing_to_judge("completeness", because), strip="\n".join(strips))
    reason = f"all {len(due)} due intervals are there" if due else "no interval is due yet"
    if missing and evidence.intervals.is_empty():
        reason = f"no interval of the day is there ({len(due)} due)"
    elif missing:
        named = _some([_named(gap) for gap in gaps])
        reason = f"{missing} of {len(due)} due intervals are missing: {named}"
    return Verdict(
        "completeness",
        not missing,
        "WARN",
        missing,
        reason,
        tuple(gaps[:_SHOWN]),
        numbers,
        "\n".join(strips),
    )


def _complete_by_cases(evidence: Evidence, published: Sequence[dt.datetime]) -> Verdict:
    """Completeness by the gaps between the day's publications."""
    day, longest = evidence.day, dt.timedelta(seconds=evidence.config.case_gap_seconds)
    due = min(evidence.now - evidence.config.lateness, day.end)
    gaps = case_gaps(day, published, due, evidence.every, longest)
    held, missing = len(set(published)), sum(gap.cases for gap in gaps)
    reason = f"{held} cases are there, none of them further apart than {longest.seconds} s"
    if not held and not missing:
        return nothing_to_judge("completeness", f"no case of {day} is due yet")
    if missing and not held:
        reason = f"no case of the day is there (about {missing} due)"
    elif missing:
        named = _some([_named_cases(gap) for gap in gaps])
        reason = f"about {missing} cases are missing beside {held}: {named}"
    sample = tuple(
        {"after": g.after.isoformat(), "before": g.before.isoformat(), "cases": g.cases}
        for g in gaps[:_SHOWN]
    )
    numbers = {"missing_cases": missing, "cases": held}
    strip = f"{strip_of_cases(day, published, gaps, due)}\n{_LEGEND}"
    return Verdict("completeness", not missing, "WARN", missing, reason, sample, numbers, strip)


def _named_cases(gap: CaseGap) -> str:
    return f"{gap.cases} from {gap.after:%F %R}Z to {gap.before:%F %R}Z"


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _some(gaps: Sequence[str]) -> str:
    """The first of ``gaps``, and the number of others."""
    more = len(gaps) - _SHOWN
    return ", ".join([*gaps[:_SHOWN], *([f"and {_number(more, 'gap', 'gaps')} more"] * (more > 0))])


def _present(evidence: Evidence) -> Iterator[tuple[str, set[dt.datetime]]]:
    """The intervals that have a row, by finality."""
    start, every = evidence.day.start, evidence.every
    rows = evidence.intervals
    of = rows["finality"] if "finality" in rows.columns else repeat("")
    found: dict[str, set[dt.datetime]] = {}
    for name, instant in zip(of, rows["interval_start"], strict=False):
        found.setdefault(name, set()).add(start + (instant - start) // every * every)
    # prelim comes before final
    yield from sorted(found.items(), reverse=True) or [("", set())]


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Groups of consecutive numbers."""
    runs = groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    return [[number for _, number in run] for _, run in runs]


def _gap(due: Sequence[dt.datetime], run: Sequence[int], name: str) -> dict[str, Any]:
    """The first and the last missing interval of a gap."""
    first, last = due[run[0]].isoformat(), due[run[-1]].isoformat()
    return {"interval_start": first, "last": last, "intervals": len(run), "of": name}


def _named(gap: Mapping[str, Any]) -> str:
    of = f" ({gap['of']})" if gap["of"] else ""
    first, last = (dt.datetime.fromisoformat(gap[name]) for name in ("interval_start", "last"))
    through = f" to {last:%F %R}Z" if gap["intervals"] > 1 else ""
    return f"{first:%F %R}Z{through}{of}"


def _strip(evidence: Evidence, there: set[dt.datetime]) -> str:
    """A character an hour (an interval, where these are longer)."""
    due, marks = set(evidence.due), evidence.marks
    size = max(HOUR // evidence.every, 1)
    drawn = ""
    for start in range(0, len(marks), size):
        cell = set(marks[start : start + size])
        wanted = cell & due
        if not wanted:
            drawn += "#" if cell <= there else "_"
        elif wanted <= there:
            drawn += "#"
        else:
            drawn += "+" if wanted & there else "."
    return drawn


def schema_drift(evidence: Evidence) -> Verdict:
    """Fields, types, enum values, nulls and units are those that config and recent days expect.

    Skipped without a record.
    """
    drift = (*evidence.drift, *rescaled_units(evidence))
    out = evidence.quarantine.filter(pl.col("rules").str.split(",").list.contains(SCHEMA_RULE))
    if not drift and evidence.without_answers:
        return nothing_to_judge("schema_drift", evidence.without_answers)
    if not drift and out.is_empty():
        return Verdict("schema_drift", True, "WARN", 0, "the fields are the expected ones")
    if not drift:
        were = _number(
            len(out), "record of an earlier answer was", "records of earlier answers were"
        )
        reason = f"{were} quarantined: {out['reason'][0]}"
        sample = tuple(out.select("record", "reason").head(_SHOWN).to_dicts())
        return Verdict("schema_drift", False, "ERROR", len(out), reason, sample)
    worst: Severity = "ERROR" if any(d.severity == "ERROR" for d in drift) else "WARN"
    drift = tuple(sorted(drift, key=lambda d: d.severity))  # ERROR before WARN
    sample = tuple({"kind": d.kind, "field": d.field, "detail": d.detail} for d in drift[:_SHOWN])
    reason = "; ".join(d.detail for d in drift[:_SHOWN])
    return Verdict("schema_drift", False, worst, len(drift), reason, sample)


def rescaled_units(evidence: Evidence) -> list[Drift]:
    """Columns whose values are all off by one power of ten against their own recent days.

    A price within the market's bounds does not count: scarcity can be a hundredfold too.
    """
    if not evidence.recent or evidence.rows.is_empty():
        return []
    table, bounds = evidence.table, evidence.config.price_bounds
    now, prices = sizes_by_hour(table, evidence.rows, evidence.day), prices_of(table)
    found = []
    for name in measured(table):
        fewest = _FEWEST_HOURS if name in prices else 1
        power = off_by(name, now, evidence.recent, fewest)
        size = now[name].median()
        if power is None or not isinstance(size, float):
            continue
        if name in prices and bounds and _is_within(size, price_magnitude(bounds)):
            continue
        text = f"column {name} is {size:g} in the median: 10^{power} times that of"
        days = f"{len(evidence.recent)} earlier days, hour by hour"
        found.append(Drift("rescaled", name, f"{text} {days}; it is stored", agrees=days))
    return found


def _is_within(size: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= size <= bounds[1]


def freshness(evidence: Evidence) -> Verdict:
    """While the operating day is open, its newest interval is no older than it may be.

    Of forecast vintages, whose intervals lie ahead, the newest answer that said something new is
    judged instead. Skipped without an interval, unless one is overdue.
    """
    none = evidence.intervals.is_empty()
    if not evidence.day.holds(evidence.now):
        if none:
            because = f"no row of {evidence.day} is held, and the operating day is not open now"
            return nothing_to_judge("freshness", because)
        return Verdict("freshness", True, "WARN", 0, "the operating day is not open now")
    if evidence.answered is not None and has_vintages(evidence.table) and not none:
        return _fresh_answer(evidence, evidence.answered)
    newest = None if none else evidence.intervals["interval_start"].max()
    since = newest if isinstance(newest, dt.datetime) else evidence.day.start - evidence.every
    age = evidence.now - since - evidence.every
    limit = evidence.every + evidence.config.lateness
    minutes = round(age.total_seconds() / 60)
    if none and age <= limit:
        return nothing_to_judge("freshness", f"no interval of {evidence.day} is expected yet")
    at_most = f"at most {limit} is expected"
    text = f"the newest interval ended {minutes} min ago, {at_most}"
    if none:
        text = f"no interval is there {minutes} min after the day's beginning, {at_most}"
    if isinstance(newest, dt.datetime) and newest > evidence.now:
        text = "the newest interval lies ahead"
    return Verdict("freshness", age <= limit, "WARN", int(age > limit), text)


def _fresh_answer(evidence: Evidence, answered: dt.datetime) -> Verdict:
    """Freshness by the age of the newest answer, which the late alert bounds alike."""
    age = evidence.now - answered
    waits = [feed.asked.longest_wait for feed in evidence.config.feeds if feed.asked.scheduled]
    limit = evidence.every + evidence.config.lateness + max(waits, default=dt.timedelta())
    minutes = round(age.total_seconds() / 60)
    text = f"the newest answer came {minutes} min ago, at most {limit} is expected"
    return Verdict("freshness", age <= limit, "WARN", int(age > limit), text)


def empty_answer(evidence: Evidence) -> Verdict:
    """The operator's newest answer to each request holds records.

    Skipped without an answer.
    """
    if not evidence.empty and evidence.without_answers:
        return nothing_to_judge("empty_answer", evidence.without_answers)
    if not evidence.empty:
        return Verdict("empty_answer", True, "WARN", 0, "no answer was empty")
    reason = "answers without a record (nothing stored was touched): " + ", ".join(
        evidence.empty[:_SHOWN]
    )
    return Verdict("empty_answer", False, "WARN", len(evidence.empty), reason)


def volume(evidence: Evidence) -> Verdict:
    """A closed day holds about as many rows as the median of up to seven earlier days.

    Skipped without a row, unless earlier days have some.
    """
    none = evidence.intervals.is_empty() and evidence.rows.is_empty()
    if not evidence.closed:
        if none:
            return nothing_to_judge("volume", f"no row of {evidence.day} is held")
        return Verdict("volume", True, "WARN", 0, "the day is still open")
    earlier = [v for v in evidence.volumes if v.day < evidence.day][-_MOST_DAYS:]
    if len(earlier) < _FEWEST_DAYS:
        few = f"{len(earlier)} earlier days are held, {_FEWEST_DAYS} are needed to compare with"
        if none:
            return nothing_to_judge("volume", f"no row of {evidence.day} is held; {few}")
        return Verdict("volume", True, "WARN", 0, few)
    ours = next((v for v in evidence.volumes if v.day == evidence.day), Volume(evidence.day, 0))
    usual = median(v.rows / v.hours for v in earlier) * ours.hours
    off = ours.rows / usual - 1
    passed = abs(off) <= evidence.config.volume_tolerance
    reason = (
        f"{ours.rows:,} rows, {off:+.1%} against about {usual:,.0f} as {len(earlier)} earlier days "
        f"have it; up to {evidence.config.volume_tolerance:.0%} more or less is expected"
    )
    numbers = {"rows": ours.rows, "usual_rows": round(usual)}
    return Verdict("volume", passed, "WARN", int(not passed), reason, numbers=numbers)


def prelim_against_final(evidence: Evidence) -> Verdict:
    """Every preliminary price has a final one that is not far from it.

    Skipped without a row.
    """
    if evidence.intervals.is_empty():
        return nothing_to_judge("prelim_against_final", f"no row of {evidence.day} is held")
    if not evidence.has_both_finalities:
        return Verdict("prelim_against_final", True, "WARN", 0, "no price has both finalities yet")
    rows = evidence.rows if evidence.day_rows is None else evidence.day_rows
    table, tolerance = evidence.table, evidence.config.price_tolerance
    key, prices = [n for n in table.key if n != "finality"], prices_of(table)
    sides = [
        rows.filter(pl.col("finality") == f).select(*key, *prices) for f in ("prelim", "final")
    ]
    lost = sides[0].join(sides[1], on=key, how="anti")
    apart = [(pl.col(f"{p}_final") - pl.col(p)).abs().round(_MILLIONTHS) for p in prices]
    both = sides[0].join(sides[1], on=key, suffix="_final", maintain_order="left")
    both = both.with_columns(difference=pl.max_horizontal(apart))
    far = both.filter(pl.col("difference") > tolerance).sort("difference", descending=True)
    greatest = both["difference"].max()
    most = float(greatest) if isinstance(greatest, float) else 0.0
    count = len(lost) + len(far)
    reason = (
        f"{len(both):,} prices have both finalities, {len(far):,} differ by more than "
        f"{tolerance:g} (at most by {most:g}); {len(lost):,} preliminary ones have no final one"
    )
    sample = (*far.head(_SHOWN).to_dicts(), *lost.head(_SHOWN).to_dicts())[:_SHOWN]
    numbers = {"without_final": len(lost), "far_apart": len(far), "greatest_difference": most}
    return Verdict("prelim_against_final", not count, "WARN", count, reason, sample, numbers)


def price_bounds(evidence: Evidence) -> Verdict:
    """Prices lie between the offer floor and the offer cap of the market, as config has them.

    Skipped without a price.
    """
    table, bounds = evidence.table, evidence.config.price_bounds
    if bounds is None:
        return Verdict("price_bounds", True, "WARN", 0, "config names no bounds")
    low, high = bounds
    outside = [(pl.col(p) < low) | (pl.col(p) > high) for p in prices_of(table)]
    if evidence.rows.is_empty():
        return nothing_to_judge("price_bounds", evidence.without_rows)
    if evidence.rows.select(pl.all_horizontal(pl.col(prices_of(table)).is_null().all())).item():
        return nothing_to_judge("price_bounds", "no row has a price")
    rows = evidence.rows.filter(pl.any_horizontal(outside)).select(*table.key, *prices_of(table))
    if rows.is_empty():
        reason = f"all prices lie between {low:g} and {high:g}"
        return Verdict("price_bounds", True, "WARN", 0, reason)
    sample = tuple(rows.head(_SHOWN).to_dicts())
    shown = ", ".join(f"{k}={v}" for k, v in sample[0].items())
    reason = f"{len(rows):,} rows have a price outside of {low:g} to {high:g}, the first: {shown}"
    return Verdict("price_bounds", False, "WARN", len(rows), reason, sample)


def in_one_line(doc: str | None) -> str:
    """A docstring as the description of a check: one paragraph of plain text."""
    return " ".join((doc or "").split())


CHECKS: Mapping[str, tuple[str, Callable[[Evidence], Verdict]]] = {
    check.__name__: (in_one_line(check.__doc__), check)
    for check in (
        contract,
        lmp_arithmetic,
        enums_and_ranges,
        completeness,
        schema_drift,
        freshness,
        empty_answer,
        volume,
        prelim_against_final,
        price_bounds,
    )
}


def _rules(evidence: Evidence, check: str) -> Verdict:
    return _with_quarantine(evidence, check, _stored(evidence, check))


def _stored(evidence: Evidence, check: str) -> list[dict[str, Any]]:
    """The stored rows that break a rule of ``check``, each with the rule and its values."""
    rows, every = evidence.rows, evidence.table.all_rules(evidence.day, evidence.config.clock_slack)
    rules = [r for r in every if r.check == check and set(r.shows) <= set(rows.columns)]
    holds = [r.holds.fill_null(value=True).all() for r in rules]
    if rows.select(pl.all_horizontal(pl.lit(True), *holds)).item():
        return []
    return [
        {"rule": r.name, **row}
        for r in rules
        for row in rows.filter(~r.holds.fill_null(value=True)).select(r.shows).to_dicts()
    ]


def _with_quarantine(
    evidence: Evidence,
    check: str,
    stored: list[dict[str, Any]],
    rejected: tuple[str, ...] = (),
) -> Verdict:
    """A verdict over stored rows that break a rule, and what was kept out."""
    out = evidence.quarantine
    if len(out):
        ours = [name for name, c in evidence.table.rule_checks().items() if c == check]
        broken = pl.col("rules").str.split(",")
        named = [broken.list.contains(name) for name in ours]
        out = out.filter(pl.any_horizontal(pl.lit(False), *named))
    count = len(stored) + len(out) + len(rejected)
    if not count:
        if evidence.intervals.is_empty():
            return nothing_to_judge(check, evidence.without_rows)
        reason = f"none of {len(evidence.rows):,} rows breaks it"
        if evidence.without_rows:  # what was quarantined before may have been accepted since
            reason = f"{evidence.without_rows}; no record of the day is in quarantine for it"
        return Verdict(check, True, "ERROR", 0, reason)
    parts = []
    if len(out):
        were = _number(len(out), "record was", "records were")
        parts.append(f"{were} quarantined: {out['reason'][0]}")
    if stored:
        shown = ", ".join(f"{k}={v}" for k, v in stored[0].items())
        parts.append(f"{len(stored)} stored rows break it: {shown}")
    if rejected:
        parts.append(f"{len(rejected)} snapshots were rejected: {rejected[0]}")
    sample = [*stored[:_SHOWN], *out.select("record", "reason").head(_SHOWN).to_dicts()]
    return Verdict(check, False, "ERROR", count, "; ".join(parts), tuple(sample[:_SHOWN]))
