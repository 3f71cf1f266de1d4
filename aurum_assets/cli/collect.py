"""``aurum collect OPERATOR DATASET``, ``aurum collect miso-cts``: ask an operator, archive, merge.

Here belong what an operator may be asked for, which failure ends a range, and the summary. The
asking itself is ``ingest.collect``'s, and what options of servers mean ``backends``'.
"""

import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import (
    DatasetName,
    Days,
    find,
    json_option,
    with_days,
    with_options,
)
from aurum_assets.cli.backends import with_backends
from aurum_assets.cli.output import (
    BROKEN,
    Row,
    Shown,
    Step,
    print_json,
    print_rows,
    print_summary,
    progress,
    say,
    warn,
)
from aurum_assets.ingest.day import Outcome, bring
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Operator
from aurum_assets.model.errors import AurumError, DataError, NotOffered
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.resources.settings import Resources, Settings, open_resources

_SHOWN: dict[str, Shown] = {
    **{n: n for n in ("day", "candidates", "collected", "duplicates", "failed")},
    "rows": lambda row: row["new"] + row["changed"],
    "kept out": lambda row: row["quarantined"] + row["rejected"],
    "seconds": "seconds",
}
_LONGEST_NODE = 100


@dataclass(frozen=True)
class Wish:
    """What is asked of the operator for each day, and what is made of the answers."""

    feeds: Sequence[str] | None
    filters: Mapping[str, str]
    force: bool
    raw_only: bool


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
        """As the table shows it."""
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


_COMMON = (
    click.option("--feed", "feeds", multiple=True, help="Only this feed (repeatable)."),
    click.option(
        "--force", is_flag=True, help="Archive an answer even if it repeats the last one."
    ),
    click.option("--raw-only", is_flag=True, help="Stop after the archive."),
    json_option,
)


@click.group()
def collect() -> None:
    """Ask an operator, archive the answers, merge them.

    A home holds simulated or real data, never both: set AURUM_HOME.
    """


@collect.command("miso-cts")
@with_days("default: the current answer")
@click.option("--interval", metavar="HH:MM", help="Only this five-minute mark, EST.")
@click.option("--node", metavar="NAME", help="Only this node.")
@with_options(_COMMON)
@with_backends
def miso_cts(
    settings: Settings,
    days: Days,
    interval: str | None,
    node: str | None,
    **more: Any,  # noqa: ANN401  see _COMMON
) -> None:
    """Coordinated Transaction Scheduling of MISO.

    Without a day the current answer; with --date or a range one request a day, which --interval and
    --node narrow. The answers are archived in the S3 bucket that --s3-bucket or S3_BUCKET names, or
    where AURUM_ARCHIVE says, which may be a folder (file:/folder): one of them is required. They
    lie there by operating day (EST) under

    sourcing/miso_coordinated_transaction_scheduling/year=YYYY/month=MM/day=DD/

    Exit code: 0 all is well, 1 something failed, 2 wrong use, 3 something was quarantined or
    rejected, or an answer says that it is not all.
    """
    if not settings.archive and not settings.s3_bucket:
        msg = (
            "say where the archive goes: --s3-bucket NAME, or AURUM_ARCHIVE="
            f"{(settings.home.resolve() / 'archive').as_uri().replace('file://', 'file:')} "
            "(or another) for a folder"
        )
        raise click.UsageError(msg)
    _collect(settings, find("miso_cts"), days, {"interval": interval, "node": node}, more)


def _command_of(operator: Operator) -> click.Command:
    """``aurum collect OPERATOR DATASET``."""
    keys = [d.key for d in DATASETS if d.operator is operator]
    short = keys[0].removeprefix(f"{operator.name}_")

    @click.command(
        operator.name,
        epilog=f"Datasets: {', '.join(keys)}.",
        help=_HELP.format(title=operator.title, key=keys[0], short=short),
        short_help=f"A dataset of {operator.title}.",
    )
    @click.argument("dataset", metavar="DATASET", type=DatasetName(operator.name))
    @with_days("default: today at the operator")
    @with_options(_COMMON)
    @with_backends
    def command(settings: Settings, dataset: str, days: Days, **more: Any) -> None:  # noqa: ANN401  see _COMMON
        found = find(dataset)
        if found.operator is not operator:
            msg = (
                f"{dataset} is {found.operator.title}'s: `aurum collect {found.operator.name} "
                f"{dataset}` asks for it"
            )
            raise click.UsageError(msg)
        _collect(settings, found, days, {}, more)

    return command


_HELP = """A dataset of {title}: DATASET is {key}, or {short} for short.

Without a day, today: all feeds that can speak of it. The answers are archived in AURUM_HOME
(.aurum) unless --s3-bucket, S3_BUCKET or AURUM_ARCHIVE says otherwise. What the operator does
not offer is said in one sentence and is no failure.

Exit code: 0 all is well, 1 something failed, 2 wrong use, 3 something was quarantined or
rejected, or an answer says that it is not all.
"""
for _operator in OPERATORS:
    collect.add_command(_command_of(_operator))


def _collect(
    settings: Settings,
    dataset: Dataset,
    days: Days,
    filters: Mapping[str, str | None],
    more: Mapping[str, Any],
) -> None:
    resources = open_resources(DATASETS, settings)
    asked = days.of(dataset, resources)
    wish = Wish(
        feeds=_known_feeds(resources, dataset, more["feeds"]),
        filters=_checked(filters),
        force=more["force"],
        raw_only=more["raw_only"],
    )
    _refuse_what_nobody_answers(resources, dataset, wish, asked)
    started = time.monotonic()
    with progress(
        len(asked), f"collecting {dataset.key}", "days collected", "what was archived is kept"
    ) as step:
        done = _collect_all(resources, dataset, wish, asked, step)
    _report(
        resources, dataset, wish, asked, done, time.monotonic() - started, as_json=more["as_json"]
    )


# --- refusing --------------------------------------------------------------------------------


def _known_feeds(
    resources: Resources, dataset: Dataset, names: Sequence[str]
) -> Sequence[str] | None:
    known = [f.name for f in resources.config(dataset).feeds]
    for name in names:
        if name not in known:
            msg = f"{dataset.key} has no feed {name!r}; it has {', '.join(known)}"
            raise click.UsageError(msg)
    return names or None


def _checked(filters: Mapping[str, str | None]) -> dict[str, str]:
    """What the answers are narrowed by."""
    interval, node = filters.get("interval"), filters.get("node")
    if interval is not None and not re.fullmatch(r"([01]\d|2[0-3]):[0-5][05]", interval, re.ASCII):
        msg = f"--interval {interval!r} is no five-minute mark; for instance 09:05"
        raise click.UsageError(msg)
    if node is not None and (
        len(node) > _LONGEST_NODE
        or ".." in node
        or not re.fullmatch(r"[\w.-]+( [\w.-]+)*", node, re.ASCII)
    ):
        msg = f"--node {node!r} is no name of a node: letters, digits, dot, dash, _ and spaces"
        raise click.UsageError(msg)
    return {name: value for name, value in filters.items() if value is not None}


def _refuse_what_nobody_answers(
    resources: Resources, dataset: Dataset, wish: Wish, days: Sequence[OperatingDay]
) -> None:
    """Refuse days that the operator has not, and filters that no feed takes."""
    config = resources.config(dataset)
    if days[0].date < config.first_day:
        msg = f"{days[0]} lies before the first day of {dataset.key}, which is {config.first_day}"
        raise click.UsageError(msg)
    today = dataset.operator.day_of(resources.now())
    newest = today.plus(max(0, *(f.offset_days for f in config.feeds)))
    if days[-1] > newest:
        msg = (
            f"{days[-1]} lies ahead: at {dataset.operator.title} it is {today} now, and the newest "
            f"day of {dataset.key} is {newest}"
        )
        raise click.UsageError(msg)
    if wish.filters:
        try:
            ingest.narrowed(resources, dataset, wish.filters, wish.feeds)
        except AurumError as error:
            raise click.UsageError(str(error)) from error


# --- asking ----------------------------------------------------------------------------------


def _collect_all(
    resources: Resources,
    dataset: Dataset,
    wish: Wish,
    days: Sequence[OperatingDay],
    step: Step,
) -> list[Day]:
    """Each day in turn, until one fails in a way in which all would."""
    done: list[Day] = []
    in_a_row, most = 0, resources.configuration.operators[dataset.operator.name].breaker_failures
    for day in days:
        feeds = ingest.asked_feeds(resources, dataset, day, wish.feeds, wish.filters)
        candidates = sum(len(ingest.hours_asked(resources, feed, day)) for feed in feeds)
        outcome = bring(
            resources,
            dataset,
            day,
            feeds=wish.feeds,
            filters=wish.filters,
            force=wish.force,
            raw_only=wish.raw_only,
            progress=lambda text: step(text, advance=0),
        )
        done.append(Day(candidates, outcome))
        step(f"{dataset.key} {day}")
        in_a_row = in_a_row + 1 if outcome.unavailable else 0
        if outcome.ends or in_a_row >= most:
            break
    return done


# --- saying ----------------------------------------------------------------------------------


def _report(
    resources: Resources,
    dataset: Dataset,
    wish: Wish,
    asked: Sequence[OperatingDay],
    done: Sequence[Day],
    seconds: float,
    *,
    as_json: bool,
) -> None:
    rows = [d.row() for d in done]
    left = len(asked) - len(done)
    failed = [f"{d.outcome.day}: {reason}" for d in done for reason in d.failed]
    rejected = [f"{d.outcome.day}: {reason}" for d in done for reason in d.outcome.rejected]
    absent = dict.fromkeys(s for d in done for s in d.not_offered)
    partial = [f"{d.outcome.day}: {reason}" for d in done for reason in d.outcome.partial]
    of_what = "".join(f" for --{name} {value}" for name, value in wish.filters.items())
    hint = "; check the name" if "node" in wish.filters else ""
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
