"""The checks: what is said of a day after every materialization, each a pure function of evidence.

Blocking rules have kept bad rows out already; a check reports them, with count, sample and reason.
``contract``, ``lmp_arithmetic`` and ``enums_and_ranges`` also look again at the rows that were
stored, so that a row that came in by another way is found.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.reading import Drift
from aurum_assets.model.table import Table

_SHOWN = 5
Severity = Literal["WARN", "ERROR"]


@dataclass(frozen=True)
class Verdict:
    """What a check says. ``severity`` counts where ``passed`` is False."""

    check: str
    passed: bool
    severity: Severity
    count: int
    reason: str
    sample: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What the checks look at.

    ``rows``: stored rows (the whole day, or those that a run brought). ``intervals``:
    ``interval_start`` (and ``finality``) of the day, distinct. ``quarantine``: the day's rows of
    ``quality.quarantine``. ``ahead``: the day is published before it begins. ``empty``: requests
    whose newest answer held no record. ``rejected``: why snapshots gave no rows at all.
    """

    table: Table
    day: OperatingDay
    now: dt.datetime
    rows: pl.DataFrame
    intervals: pl.DataFrame
    quarantine: pl.DataFrame
    every: dt.timedelta
    lateness: dt.timedelta
    ahead: bool = False
    drift: tuple[Drift, ...] = ()
    empty: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()

    @property
    def due(self) -> list[dt.datetime]:
        """The starts of the intervals that ought to be there by now.

        A day that is published ``ahead`` is due as a whole once it begins, or once a row is there.
        """
        marks = self.day.marks(self.every)
        if self.ahead:
            return marks if self.now >= self.day.start or len(self.intervals) else []
        return [m for m in marks if m + self.every + self.lateness <= self.now]


def evaluate(evidence: Evidence) -> list[Verdict]:
    """Every check that the table owes, in order."""
    return [CHECKS[name][1](evidence) for name in checks_of(evidence.table)]


def checks_of(table: Table) -> list[str]:
    """The names of the checks of a table."""
    has_arithmetic = "lmp_arithmetic" in table.rule_checks().values()
    return [name for name in CHECKS if name != "lmp_arithmetic" or has_arithmetic]


def contract(evidence: Evidence) -> Verdict:
    """Columns, types, no null where none may be, one row a key; no snapshot was rejected whole."""
    import pandera.errors
    import pandera.polars as pa

    table = evidence.table
    schema = pa.DataFrameSchema(
        {c.name: pa.Column(c.dtype, nullable=c.nullable) for c in table.columns},
        strict=True,
        ordered=True,
    )
    problems: list[dict[str, Any]] = []
    try:
        schema.validate(evidence.rows, lazy=True)
    except pandera.errors.SchemaErrors as error:
        problems = error.failure_cases.head(_SHOWN).to_dicts()
    else:
        twice = evidence.rows.filter(pl.struct(table.key).is_duplicated())
        problems = twice.select(table.key).head(_SHOWN).to_dicts()
    return _with_quarantine(evidence, "contract", problems, evidence.rejected)


def lmp_arithmetic(evidence: Evidence) -> Verdict:
    """Lmp = energy + congestion + loss, within 0.01 inclusive, in exact decimals."""
    return _rules(evidence, "lmp_arithmetic")


def enums_and_ranges(evidence: Evidence) -> Verdict:
    """Values are finite, within bounds, and among those that the operator defines."""
    return _rules(evidence, "enums_and_ranges")


def completeness(evidence: Evidence) -> Verdict:
    """Every interval of the operating day that is already due is there."""
    due = evidence.due
    groups = [("", evidence.intervals)]
    if "finality" in evidence.intervals.columns:
        groups = [
            (f" {finality[0]}", rows)
            for finality, rows in evidence.intervals.group_by("finality", maintain_order=True)
        ] or groups
    gaps: list[dict[str, Any]] = []
    for name, rows in groups:
        since = rows["interval_start"] - evidence.day.start
        there = {evidence.day.start + n // evidence.every * evidence.every for n in since}
        gaps += [
            {"interval_start": mark.isoformat(), "of": name.strip()}
            for mark in due
            if mark not in there
        ]
    if not gaps:
        return Verdict("completeness", True, "WARN", 0, f"all {len(due)} due intervals are there")
    named = ", ".join(g["interval_start"] for g in gaps[:_SHOWN])
    reason = f"{len(gaps)} of {len(due)} due intervals are missing, the first: {named}"
    return Verdict("completeness", False, "WARN", len(gaps), reason, tuple(gaps[:_SHOWN]))


def schema_drift(evidence: Evidence) -> Verdict:
    """The fields that came are those that config expects: none added, vanished or retyped."""
    drift = evidence.drift
    if not drift:
        return Verdict("schema_drift", True, "WARN", 0, "the fields are the expected ones")
    worst: Severity = "ERROR" if any(d.severity == "ERROR" for d in drift) else "WARN"
    sample = tuple({"kind": d.kind, "field": d.field, "detail": d.detail} for d in drift[:_SHOWN])
    reason = "; ".join(d.detail for d in drift[:_SHOWN])
    return Verdict("schema_drift", False, worst, len(drift), reason, sample)


def freshness(evidence: Evidence) -> Verdict:
    """While the operating day is open, its newest interval is no older than it may be."""
    if not evidence.day.holds(evidence.now):
        return Verdict("freshness", True, "WARN", 0, "the operating day is not open now")
    newest = evidence.intervals["interval_start"].max() if len(evidence.intervals) else None
    since = newest if isinstance(newest, dt.datetime) else evidence.day.start - evidence.every
    age = evidence.now - since - evidence.every
    limit = evidence.every + evidence.lateness
    minutes = round(age.total_seconds() / 60)
    said = f"the newest interval ended {minutes} min ago, at most {limit} is expected"
    if isinstance(newest, dt.datetime) and newest > evidence.now:
        said = "the newest interval lies ahead"
    return Verdict("freshness", age <= limit, "WARN", int(age > limit), said)


def empty_answer(evidence: Evidence) -> Verdict:
    """The operator's newest answer to each request holds records."""
    if not evidence.empty:
        return Verdict("empty_answer", True, "WARN", 0, "no answer was empty")
    reason = "answers without a record (nothing stored was touched): " + ", ".join(
        evidence.empty[:_SHOWN]
    )
    return Verdict("empty_answer", False, "WARN", len(evidence.empty), reason)


CHECKS: Mapping[str, tuple[str, Callable[[Evidence], Verdict]]] = {
    check.__name__: ((check.__doc__ or "").strip(), check)
    for check in (
        contract,
        lmp_arithmetic,
        enums_and_ranges,
        completeness,
        schema_drift,
        freshness,
        empty_answer,
    )
}


def _rules(evidence: Evidence, check: str) -> Verdict:
    rules = [r for r in evidence.table.all_rules(None) if r.check == check]
    broken = [
        {"rule": r.name, **row}
        for r in rules
        if set(r.shows) <= set(evidence.rows.columns)
        for row in evidence.rows.filter(~r.holds.fill_null(value=True)).select(r.shows).to_dicts()
    ]
    return _with_quarantine(evidence, check, broken)


def _with_quarantine(
    evidence: Evidence,
    check: str,
    stored: list[dict[str, Any]],
    rejected: tuple[str, ...] = (),
) -> Verdict:
    """A verdict over stored rows that should not be there, and what was kept out."""
    ours = [name for name, c in evidence.table.rule_checks().items() if c == check]
    broken = pl.col("rules").str.split(",")
    named = [broken.list.contains(name) for name in ours]
    out = evidence.quarantine.filter(pl.any_horizontal(pl.lit(False), *named))
    count = len(stored) + len(out) + len(rejected)
    if not count:
        return Verdict(check, True, "ERROR", 0, "no row breaks it")
    parts = []
    if len(out):
        parts.append(f"{len(out)} records were quarantined: {out['reason'][0]}")
    if stored:
        shown = ", ".join(f"{k}={v}" for k, v in stored[0].items())
        parts.append(f"{len(stored)} stored rows break it: {shown}")
    if rejected:
        parts.append(f"{len(rejected)} snapshots were rejected: {rejected[0]}")
    sample = [*stored[:_SHOWN], *out.select("record", "reason").head(_SHOWN).to_dicts()]
    return Verdict(check, False, "ERROR", count, "; ".join(parts), tuple(sample[:_SHOWN]))
