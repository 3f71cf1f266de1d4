"""``aurum collect OPERATOR DATASET``, ``aurum collect miso-cts``: ask an operator, archive, merge.

Here belong what an operator may be asked for, and which failure ends a range. The
collection itself is ``ingest.day``'s, the report ``collected``'s, the options of servers
``backends``'.
"""

import re
import time
import uuid
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
from aurum_assets.cli.collected import Day, report
from aurum_assets.cli.output import (
    Step,
    progress,
)
from aurum_assets.ingest.asking import RESUMED
from aurum_assets.ingest.day import bring
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError
from aurum_assets.model.operator import Operator
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.settings import Settings, open_resources

_LONGEST_NODE = 100


@dataclass(frozen=True)
class Request:
    """What is asked of the operator for each day, and what is made of the answers."""

    feeds: Sequence[str] | None
    filters: Mapping[str, str]
    force: bool
    raw_only: bool


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

Without a day, today: all feeds that have it. The answers are archived in AURUM_HOME
(.aurum) unless --s3-bucket, S3_BUCKET or AURUM_ARCHIVE says otherwise. What the operator does
not offer is reported in one sentence and is no failure.

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
    request = Request(
        feeds=_known_feeds(resources, dataset, more["feeds"]),
        filters=_checked(filters),
        force=more["force"],
        raw_only=more["raw_only"],
    )
    _refuse_what_nobody_answers(resources, dataset, request, asked)
    started = time.monotonic()
    with progress(
        len(asked), f"collecting {dataset.key}", "days collected", "what was archived is kept"
    ) as step:
        done = _collect_all(resources, dataset, request, asked, step)
    report(
        resources,
        dataset,
        request.filters,
        done,
        len(asked) - len(done),
        time.monotonic() - started,
        as_json=more["as_json"],
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
    resources: Resources, dataset: Dataset, request: Request, days: Sequence[OperatingDay]
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
    if request.filters:
        try:
            ingest.narrowed(resources, dataset, request.filters, request.feeds)
        except AurumError as error:
            raise click.UsageError(str(error)) from error


# --- asking ----------------------------------------------------------------------------------


def _collect_all(
    resources: Resources,
    dataset: Dataset,
    request: Request,
    days: Sequence[OperatingDay],
    step: Step,
) -> list[Day]:
    """Collect each day in order; stop at an error that every day would hit.

    Until a range is complete, the same command is another attempt of it, which repeats no request
    that was answered whole.
    """
    done: list[Day] = []
    key = ":".join(["range", dataset.key, days[0].key, days[-1].key, *(request.feeds or ())])
    attempts_of = ""
    if len(days) > 1 and not request.filters:
        attempts_of = resources.state.get(key) or uuid.uuid4().hex
        resources.state.set(key, attempts_of, RESUMED)
    in_a_row, most = 0, resources.configuration.operators[dataset.operator.name].breaker_failures
    for day in days:
        feeds = ingest.asked_feeds(resources, dataset, day, request.feeds, request.filters)
        candidates = sum(len(ingest.parts_asked(resources, feed, day)) for feed in feeds)
        outcome = bring(
            resources,
            dataset,
            day,
            feeds=request.feeds,
            filters=request.filters,
            force=request.force,
            raw_only=request.raw_only,
            attempts_of=attempts_of,
            progress=lambda text: step(text, advance=0),
        )
        done.append(Day(candidates, outcome))
        step(f"{dataset.key} {day}")
        in_a_row = in_a_row + 1 if outcome.unavailable else 0
        if outcome.ends or in_a_row >= most:
            break
    failed = [one for one in done if one.outcome.error and not one.outcome.expected]
    if len(done) == len(days) and not failed:
        resources.state.delete(key)
    return done
