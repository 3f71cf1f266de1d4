"""Data quality: what is complete, what checks said, what was kept out, corrected, late, asked.

Each is told as those know it who decide it: ``model.checks``, ``ingest.board``, ``ingest.plan``,
the tables. Here they are put beside each other.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.evidence import intervals_of
from aurum_assets.model.checks import Evidence, Verdict, completeness
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.shown import minute, span, visible
from aurum_assets.report.figures import Figure, Grid, shell
from aurum_assets.report.reading import Reading, as_typed

DAYS = 30
_MOST = 60  # rows of a table
_MINUTE, _HOUR = 60.0, 3600.0


@dataclass(frozen=True)
class Cell:
    """A day of a dataset: ``share`` (0 to 1) of what is due is there; None where nothing is due.

    ``says``: the sentence of the check.
    """

    share: float | None
    says: str

    @property
    def percent(self) -> int:
        """``share`` in percent: 100 only where nothing is missing, 0 where nothing is there."""
        if self.share in (None, 0.0, 1.0):
            return int(100 * (self.share or 0))
        return min(max(round(100 * (self.share or 0)), 1), 99)


@dataclass(frozen=True)
class Calendar:
    """Completeness of ``dates`` by dataset, and the SELECT of the intervals it is judged by."""

    dates: Sequence[dt.date]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    select: str

    @property
    def shell(self) -> str:
        """The command that gives the rows."""
        return shell(self.select)


def calendar(reading: Reading, date: str) -> Calendar:
    """Completeness of the last ``DAYS`` days up to ``date``, of each dataset that holds rows."""
    last = dt.date.fromisoformat(date)
    dates = [last - dt.timedelta(days=n) for n in range(DAYS)][::-1]
    held = {d: reading.resources.lake.days(d.table) for d in reading.datasets}
    datasets = [d for d, days in held.items() if days]
    if not datasets:
        return Calendar(dates, (), "")
    select = " union all\n".join(_intervals(d, dates) for d in datasets)
    frames = reading.rows(select).partition_by("dataset", "operating_day", as_dict=True)
    rows = []
    for dataset in datasets:
        first = held[dataset][0]
        cells = [
            _cell(reading, dataset, day, frames.get((dataset.key, day)))
            if day >= first
            else Cell(None, "nothing was held yet")
            for day in dates
        ]
        rows.append((dataset.key, cells))
    return Calendar(dates, tuple(rows), select)


def _intervals(dataset: Dataset, dates: Sequence[dt.date]) -> str:
    """The SELECT of the distinct intervals of a dataset; of a live forecast, its cases."""
    names = dataset.table.names
    finality = "finality" if "finality" in names else "''"
    by_cases = any(d.complete_by == "published_at" for d in dataset.dialects)
    published = "published_at" if by_cases else "cast(null as timestamptz)"
    return (
        f"select distinct '{dataset.key}' as dataset, operating_day, interval_start,\n"
        f"  interval_end, {finality} as finality, {published} as published_at\n"
        f"from {dataset.table.name} where operating_day between '{dates[0]}' and '{dates[-1]}'"
    )


def _cell(reading: Reading, dataset: Dataset, date: dt.date, rows: pl.DataFrame | None) -> Cell:
    if dataset.table.sparse:
        count = 0 if rows is None else len(rows)
        return Cell(1.0 if count else None, f"{count} intervals; a day may have none")
    day = dataset.day(date.isoformat())
    if day.start > reading.now and rows is None:
        return Cell(None, "nothing is due yet")
    empty = dataset.table.empty()
    held = intervals_of(reading.resources, dataset, day, empty if rows is None else rows, None)
    verdict = completeness(
        Evidence(
            table=dataset.table,
            config=reading.resources.config(dataset),
            day=day,
            now=reading.now,
            rows=empty,
            intervals=held.frame,
            quarantine=QUARANTINE.empty(),
            every=held.every,
            published=held.published,
        )
    )
    return Cell(_share(verdict, held.frame), verdict.reason)


def _share(verdict: Verdict, held: pl.DataFrame) -> float | None:
    """What part of that which is due is there."""
    if verdict.skipped:
        return None
    numbers = verdict.numbers
    if "cases" in numbers:
        due = numbers["cases"] + numbers["missing_cases"]
        missing = numbers["missing_cases"]
    else:
        finalities = held["finality"].n_unique() if "finality" in held.columns else 1
        due = numbers["due_intervals"] * max(finalities, 1)
        missing = numbers["missing_intervals"]
    return 1 - missing / due if due else None


def board_figure(reading: Reading) -> Figure:
    """The state of every dataset, as ``aurum board`` prints it."""
    lines = ingest.board(reading.resources, reading.datasets)
    rows = [
        (
            line.dataset,
            minute(line.last_interval) or "",
            span(line.lag_seconds) or "",
            _count(line.missing_today),
            _count(line.kept_out),
            _checks(line.passed, line.warned, line.failed),
            _count(line.alerts or None),
        )
        for line in lines
        if line.rows or line.kept_out or line.alerts
    ]
    names = ("dataset", "last interval", "lag", "gaps today", "kept out", "checks", "alerts")
    late = sum(bool(line.missing_today) for line in lines)
    failed, alerts = sum(line.failed or 0 for line in lines), sum(line.alerts for line in lines)
    return Figure(
        "board",
        "Every dataset now",
        "lag: since the newest interval began; gaps today: due intervals that are missing; kept "
        "out: records in quarantine and answers that could not be read",
        ("all tables of market",),
        says=f"{len(rows)} datasets hold rows; {late} lack due intervals of today; {failed} checks "
        f"failed; {_number(alerts, 'alert is', 'alerts are')} open."
        if rows
        else "No dataset holds a row yet.",
        grid=Grid(names, rows, frozenset(names[2:5]) | {"alerts"}) if rows else None,
        command="aurum board",
    )


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _checks(passed: int | None, warned: int | None, failed: int | None) -> str:
    counts = {"failed": failed, "warned": warned, "passed": passed}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def quality(reading: Reading, date: str) -> Iterator[Figure]:
    """Checks, alerts, quarantine, corrections and limits, as far as they concern ``date``."""
    yield _verdicts(reading, date)
    yield alerts_figure(reading)
    yield _quarantine(reading, date)
    yield _corrections(reading, date)
    yield _limits(reading)


def _verdicts(reading: Reading, date: str) -> Figure:
    """The checks of the day that did not pass, the serious ones first."""
    judged = {
        d.key: found
        for d in reading.datasets
        if (found := ingest.recalled_verdicts(reading.resources, d, date)) is not None
    }
    failed = sorted(
        ((one, key) for key, found in judged.items() for one in found.failed),
        key=lambda pair: (pair[0].severity, pair[1], pair[0].check),
    )
    passed = sum(found.passed for found in judged.values())
    errors = sum(found.errors for found in judged.values())
    warnings = sum(found.warnings for found in judged.values())
    said = (
        f"{_number(passed, 'check', 'checks')} of {_number(len(judged), 'dataset', 'datasets')} "
        f"passed, {warnings} warned, {errors} failed."
        if judged
        else f"No check of {date} was made, or longer than 40 days ago."
    )
    names = ("severity", "dataset", "check", "count", "reason")
    rows = [
        (one.severity, key, one.check, f"{one.count:,}", visible(one.reason))
        for one, key in failed[:_MOST]
    ]
    return Figure(
        "checks",
        f"Checks of {date}",
        "each dataset's last checks of the day",
        ("all tables of market",),
        says=said,
        grid=Grid(names, rows, frozenset({"count"})) if rows else None,
        command="aurum board --json",
    )


def alerts_figure(reading: Reading) -> Figure:
    """The open alerts."""
    found = reading.resources.alerts.open
    names = ("severity", "kind", "dataset", "since", "sentence")
    rows = [
        (a.severity, a.kind, a.dataset, minute(a.opened_at) or "", visible(a.sentence))
        for a in found[:_MOST]
    ]
    return Figure(
        "alerts",
        "Open alerts",
        "now",
        ("alerts of this home",),
        says=f"{_number(len(found), 'alert is', 'alerts are')} open." if found else "None is open.",
        grid=Grid(names, rows) if rows else None,
        command="aurum alerts",
    )


def _quarantine(reading: Reading, date: str) -> Figure:
    """Records that were kept out, by dataset and rule."""
    first = dt.date.fromisoformat(date) - dt.timedelta(days=DAYS - 1)
    select = as_typed(f"""
        with broken as (
          select dataset, operating_day, unnest(string_split(rules, ',')) as rule, reason
          from quarantine where operating_day between '{first}' and '{date}'
        )
        select dataset, rule, count(*) filter (where operating_day = '{date}') as of_the_day,
          count(*) as of_30_days, max(reason) as for_instance
        from broken group by all order by of_the_day desc, of_30_days desc, dataset, rule
    """)
    rows = reading.rows(select)
    names = ("dataset", "rule", f"of {date}", f"of {DAYS} days", "for instance")
    cells = [
        (r[0], r[1], f"{r[2]:,}", f"{r[3]:,}", visible(r[4])[:160])
        for r in rows.head(_MOST).iter_rows()
    ]
    return Figure(
        "quarantine",
        "Kept out, by rule",
        "records in quarantine by the rule they break; one that breaks two is counted at both",
        ("quality.quarantine",),
        select,
        "" if cells else f"No record of the {DAYS} days up to {date} is in quarantine.",
        grid=Grid(names, cells, frozenset(names[2:4])) if cells else None,
    )


def _corrections(reading: Reading, date: str) -> Figure:
    """Values that were superseded, by table."""
    last = dt.date.fromisoformat(date)
    first = last - dt.timedelta(days=DAYS - 1)
    lake = reading.resources.lake
    histories = [d.table.history for d in reading.datasets if d.table.keeps_history]
    changed = [t for t in histories if lake.volumes(t, first, last)]
    title, about = "Corrections, by table", "values that a later answer of the operator replaced"
    if not changed:
        said = f"No value of the {DAYS} days up to {date} was replaced."
        return Figure("corrections", title, about, ("market.…_history",), says=said)
    parts = [
        f"select '{table.name.removesuffix('_history')}' as corrected,\n"
        f"  count(*) filter (where operating_day = '{date}') as of_the_day,\n"
        f"  count(*) as of_30_days, max(superseded_at) as newest\n"
        f"from {table.name} where operating_day between '{first}' and '{date}'"
        for table in changed
    ]
    select = " union all\n".join(parts) + "\norder by of_the_day desc, of_30_days desc, corrected"
    rows = reading.rows(select)
    names = ("table", f"of {date}", f"of {DAYS} days", "newest")
    cells = [
        (r[0], f"{r[1]:,}", f"{r[2]:,}", minute(r[3].isoformat()) or "") for r in rows.iter_rows()
    ]
    tables = tuple(table.identifier for table in changed)
    return Figure(
        "corrections",
        title,
        about,
        tables,
        select,
        grid=Grid(names, cells, frozenset(names[1:3])),
    )


def _limits(reading: Reading) -> Figure:
    """How much of what operators allow the schedules use today."""
    rows = []
    for line in ingest.plan(reading.resources, reading.datasets):
        if not line.limits:
            continue
        allowed: Mapping[float, int] = {b.seconds: b.requests for b in line.limits}
        rows.append(
            (
                line.endpoint or line.operator,
                f"{line.requests:,}",
                _of(line.a_minute, allowed.get(_MINUTE)),
                _of(line.an_hour, allowed.get(_HOUR)),
                f"{line.wait.total_seconds():.0f} s",
            )
        )
    names = ("operator, endpoint", "today", "in a minute", "in an hour", "waits")
    return Figure(
        "limits",
        "Limits of the operators, used by the schedules",
        "requests due today; the most that are due in any minute and hour, of those that are "
        "allowed: more than these wait",
        ("configuration",),
        grid=Grid(names, rows, frozenset(names[1:])) if rows else None,
        says="" if rows else "No operator has a limit.",
        command="aurum plan",
    )


def _of(most: int, allowed: int | None) -> str:
    return f"{most:,}" if allowed is None else f"{most:,} of {allowed:,} ({most / allowed:.0%})"
