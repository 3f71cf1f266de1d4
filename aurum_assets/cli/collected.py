"""What ``aurum collect`` reports of the days that it asked for, and its exit code."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import click

from aurum_assets.cli.output import (
    BROKEN,
    Row,
    Shown,
    print_json,
    print_rows,
    print_summary,
    say,
    warn,
)
from aurum_assets.ingest.day import Outcome
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import DataError, NotOffered
from aurum_assets.resources.composition import Resources

_SHOWN: dict[str, Shown] = {
    **{n: n for n in ("day", "candidates", "collected", "duplicates", "failed")},
    "rows": lambda row: row["new"] + row["changed"],
    "kept out": lambda row: row["quarantined"] + row["rejected"],
    "seconds": "seconds",
}


@dataclass
class Day:
    """An operating day that was asked for by ``candidates`` requests, and what became of it."""

    candidates: int
    outcome: Outcome

    @property
    def failed(self) -> list[str]:
        """Why the day is not whole: neither what was rejected nor what nobody offers."""
        outcome = self.outcome
        asking = [
            str(error)
            for error in outcome.collect_errors
            if not isinstance(error, DataError | NotOffered)
        ]
        return asking + [
            f"{'' if key == outcome.day.key else f'{key} '}archived, but not in the table: {error}"
            for key, error in outcome.normalize_errors.items()
        ]

    @property
    def lost(self) -> int:
        """How many candidates gave no answer that could be used."""
        done = self.outcome.collected
        answered = done.count("stored") + done.count("duplicate")
        if self.failed:
            return max(self.candidates - answered, 1)
        return done.count("rejected")

    @property
    def not_offered(self) -> list[str]:
        """What the operator does not have: no failure, unless it is one of the day's too."""
        return [s for s in self.outcome.collected.not_offered.values() if s not in self.failed]

    @property
    def empty(self) -> bool:
        """Whether there were answers and no record was in any."""
        answers = self.outcome.collected.archived
        return bool(answers) and not any(a.records or a.outcome == "rejected" for a in answers)

    def row(self) -> Row:
        """Make the row that the table on the terminal shows."""
        outcome, done = self.outcome, self.outcome.collected
        return {
            "dataset": outcome.dataset.key,
            "day": outcome.day.key,
            "candidates": self.candidates,
            "requests": done.requests,
            "collected": done.count("stored"),
            "duplicates": done.count("duplicate"),
            "failed": self.lost,
            "rejected": len(outcome.rejected),
            "new": sum(n.merged.new for n in outcome.normalized),
            "changed": sum(n.merged.changed for n in outcome.normalized),
            "quarantined": sum(n.quarantined for n in outcome.normalized),
            "seconds": round(done.api_seconds, 2),
        }


def report(
    resources: Resources,
    dataset: Dataset,
    filters: Mapping[str, str],
    done: Sequence[Day],
    left: int,
    seconds: float,
    *,
    as_json: bool,
) -> NoReturn:
    """Print what became of the days ``done``, of which ``left`` more were not asked for; exit."""
    rows = [d.row() for d in done]
    failed = [f"{d.outcome.day}: {reason}" for d in done for reason in d.failed]
    rejected = [f"{d.outcome.day}: {reason}" for d in done for reason in d.outcome.rejected]
    absent = dict.fromkeys(s for d in done for s in d.not_offered)
    partial = [f"{d.outcome.day}: {reason}" for d in done for reason in d.outcome.partial]
    of_what = "".join(f" for --{name} {value}" for name, value in filters.items())
    hint = "; check the name" if "node" in filters else ""
    empty = [
        f"{dataset.operator.title} answered nothing{of_what} of {d.outcome.day}{hint}"
        for d in done
        if d.empty
    ]
    summary = {
        "dataset": dataset.key,
        **{n: sum(r[n] for r in rows) for n in ("candidates", "collected", "duplicates", "failed")},
        "rows": sum(r["new"] + r["changed"] for r in rows),
        "seconds": round(seconds, 2),
        "quarantined": sum(r["quarantined"] for r in rows),
        "rejected": len(rejected),
        "days_not_asked": left,
        "not_offered": len(absent),
    }
    if resources.degraded:
        warn(f"degraded: {resources.degraded}")
    if as_json:
        reasons = {
            "failed_because": failed,
            "rejected_because": rejected,
            "partial": partial,
            "not_offered_because": list(absent),
            "empty": empty,
        }
        print_json({**summary, "archive": resources.archive.uri, "days": rows, **reasons})
    else:
        print_rows(rows, shown=_SHOWN, spare=("seconds",))
        print_summary({**summary, "seconds": f"{seconds:.1f}"})
        for reason in rejected:
            say(f"REJECTED {reason}")
        for reason in partial:
            say(f"PARTIAL {reason}")
    for reason in failed:
        say(f"FAILED {reason}", err=True)
    for sentence in (*absent, *empty):
        say(sentence, err=True)
    if left:
        click.echo(f"the other {left} days would fail alike and were not asked for", err=True)
    if failed:
        sys.exit(1)
    sys.exit(BROKEN if rejected or partial or summary["quarantined"] else 0)
