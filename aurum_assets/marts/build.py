"""Build marts: one run of dbt for the days of a calendar month, whatever marts and days are asked.

dbt runs in this process: a process of its own costs its imports again, and could not be given the
lake of this one. Only what it parses can come from another one (``ahead``). It is told by the
plugin (``plugin``) what to read and where to write, and takes nothing from the network. What it
compiles is in AURUM_HOME/marts, what it computes in a folder of it that is deleted after each run:
always at the same path, for dbt parses anew where that changes.
"""

import contextlib
import datetime as dt
import gc
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from aurum_assets.marts import changes
from aurum_assets.marts.choices import Choices, load
from aurum_assets.marts.order import Order, under_way
from aurum_assets.marts.project import FOLDER, Mart, marts, with_those_before
from aurum_assets.marts.store import Refused
from aurum_assets.model.errors import AurumError, ConfigError, ContractBroken
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.home import Home
from aurum_assets.resources.lake import Merged
from aurum_assets.resources.scratch import scratch_folder

if TYPE_CHECKING:
    from dbt.artifacts.schemas.run import RunResult
    from dbt.cli.main import dbtRunnerResult
    from dbt_common.events.base_types import EventMsg

_SHOWN = 5  # rows of a failed test
_DAY = "operating_day"
_COMPUTED = Path("marts", "computed")
_DATABASE = "marts.duckdb"
_OF_LOCKS = "ignore:resource_tracker:UserWarning"  # dbt's, where this process is ended at once
_QUIETLY = (
    "--quiet",
    *("--log-level", "none", "--log-level-file", "none"),
    *("--no-print", "--no-use-colors", "--no-write-json"),
    *("--no-version-check", "--no-send-anonymous-usage-stats"),
)
_OFF = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Checked:
    """The result of a test on a day: how many rows ``failed``, and the first of them.

    ``error``: why the test could not be made.
    """

    mart: str
    name: str
    day: dt.date
    failed: int
    sample: Sequence[Mapping[str, Any]] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was made, and no row failed."""
        return not self.failed and not self.error


@dataclass
class Built:
    """A run of dbt: what became of each day of each mart.

    ``failed``: by mart, why none of its days was stored; ``refused``: days that stay as they were.
    """

    days: Sequence[dt.date]
    done: dict[str, dict[dt.date, Merged]] = field(default_factory=dict)
    refused: dict[tuple[str, dt.date], Refused] = field(default_factory=dict)
    failed: dict[str, AurumError] = field(default_factory=dict)
    checks: list[Checked] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    took: float = 0.0

    @property
    def refused_days(self) -> list[str]:
        """A sentence for each day of a mart that stays as it was."""
        return [
            f"{name} {day}: {why.reason}; the day stays as it was"
            for (name, day), why in self.refused.items()
        ]

    @property
    def failed_tests(self) -> list[str]:
        """A sentence for each test that failed on a day."""
        return [
            f"{c.mart} {c.day}: {c.name}: {c.error or f'{c.failed} rows'}"
            for c in self.checks
            if not c.passed
        ]


def build(
    resources: Resources,
    days: Iterable[dt.date],
    names: Sequence[str] = (),
    tell: Tell = lambda _: None,
    *,
    newest_first: bool = False,
) -> Iterator[Built]:
    """Build ``days`` of the marts ``names`` (all where none), month by month.

    One build of a machine runs at a time. Raises ``ConfigError`` for an unknown mart or a broken
    model, ``LakeUnreachable`` and the like as the lake does; a mart that fails stops no other one.
    """
    months = list(chunks(days))
    for month in reversed(months) if newest_first else months:
        yield build_chunk(resources, month, names, tell)


def chunks(days: Iterable[dt.date]) -> Iterator[list[dt.date]]:
    """``days`` in order, by calendar months."""
    ordered = sorted(set(days))
    for _, part in itertools.groupby(ordered, key=lambda day: (day.year, day.month)):
        yield list(part)


def build_chunk(
    resources: Resources,
    days: Sequence[dt.date],
    names: Sequence[str] = (),
    tell: Tell = lambda _: None,
) -> Built:
    """Build ``days`` in one run of dbt, see ``build``."""
    wanted = with_those_before(names or marts())
    with resources.lock("marts"), scratch_folder(resources.root / _COMPUTED) as scratch:
        began = time.monotonic()
        files = changes.files_of(resources.lake, wanted.values(), min(days), max(days))
        chosen = load(resources.config_folder, PROJECT / "config")
        state = changes.States(resources, files)
        states = {(n, day): state.of(mart, day) for n, mart in wanted.items() for day in days}
        order = Order(resources, wanted, days, resources.now(), chosen, files)
        what = f"{days[0]} to {days[-1]}" if len(days) > 1 else f"{days[0]}"
        tell(what)
        with under_way(order), dbt_left_clean():
            results = _run_dbt(resources, order, lambda name: tell(f"{what}: {name}"))
            built = _built(order, results, scratch)
            del results
        changes.note(
            resources.lake,
            {k: s for k, s in states.items() if k[1] in built.done.get(k[0], {})},
            {(n, d): m.held or 0 for n, by in built.done.items() for d, m in by.items()},
            order.at,
        )
        built.took = time.monotonic() - began
    return built


def _run_dbt(resources: Resources, order: Order, tell: Tell) -> "list[RunResult]":
    """The results of all models and tests. Raises ``ConfigError`` where dbt cannot begin."""
    if _OF_LOCKS not in sys.warnoptions:
        sys.warnoptions.append(_OF_LOCKS)  # the process that watches locks inherits them
    which = ("--select", *order.marts, "--indirect-selection", "buildable")
    done = _dbt(resources.root, order.choices, ("build", *which), [_telling(tell)])
    if isinstance(done.exception, KeyboardInterrupt):
        raise KeyboardInterrupt
    if done.exception is not None:
        msg = f"dbt cannot build the marts: {done.exception}"
        raise ConfigError(msg) from done.exception
    results: Any = done.result
    return list(results.results)


def parse(home: Home, config_folder: Path) -> bool:
    """Whether dbt could parse the models, of which the next build of the home reads the result."""
    chosen = load(config_folder, PROJECT / "config")
    with home.lock("marts"):
        return _dbt(home.root, chosen, ("parse",)).success


def _dbt(
    root: Path,
    chosen: Choices,
    command: Sequence[str],
    callbacks: "Sequence[Callable[[EventMsg], None]]" = (),
) -> "dbtRunnerResult":
    """What dbt made of a command; it parses anew where a folder or a choice is another."""
    from dbt.cli.main import dbtRunner

    place, scratch = root / "marts", root / _COMPUTED
    place.mkdir(parents=True, exist_ok=True)
    arguments = [
        *command,
        *("--project-dir", str(FOLDER), "--profiles-dir", str(FOLDER)),
        *("--target-path", str(place / "target"), "--log-path", str(place / "logs")),
        *("--vars", json.dumps(chosen.variables)),
        *_QUIETLY,
    ]
    files = {
        "AURUM_MARTS_DATABASE": str(scratch / _DATABASE),
        "AURUM_MARTS_FILES": str(scratch),
    }
    with _environment(_OFF | files):
        return dbtRunner(callbacks=list(callbacks)).invoke(arguments)


@contextlib.contextmanager
def dbt_left_clean() -> Iterator[None]:
    """After the block, dbt holds nothing of the build.

    Or the next one parses with this one's plugin, and Python warns of dbt's locks at the end.
    """
    try:
        yield
    finally:
        from dbt.adapters import factory
        from dbt.adapters.duckdb import connections

        for forget in (
            connections.DuckDBConnectionManager.close_all_connections,
            factory.reset_adapters,
        ):
            cast("Callable[[], None]", forget)()
        gc.collect()


def _telling(tell: Tell) -> "Callable[[EventMsg], None]":
    """What tells of each model that begins."""

    def heard(event: "EventMsg") -> None:
        if event.info.name == "NodeStart" and event.data.node_info.resource_type == "model":
            tell(event.data.node_info.node_name)

    return heard


@contextlib.contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    """Within the block, these variables are set: a profile takes no other values."""
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _built(order: Order, results: "Sequence[RunResult]", scratch: Path) -> Built:
    built = Built(order.days)
    for name, by_day in order.done.items():
        built.done[name] = {d: one for d, one in by_day.items() if isinstance(one, Merged)}
        built.refused |= {(name, d): o for d, o in by_day.items() if isinstance(o, Refused)}
    tests: list[RunResult] = []
    for result in results:
        node: Any = result.node
        if node.resource_type == "test":
            tests.append(result)
            continue
        built.seconds[node.name] = result.execution_time
        if node.name not in order.done:
            built.failed[node.name] = _error(order, result)
    built.checks = list(_checks(order, tests, scratch / _DATABASE))
    return built


def _error(order: Order, result: "RunResult") -> AurumError:
    """Why a model was not stored: our own error where it was one."""
    said = " ".join((result.message or f"{result.status}").split())
    ours = next((error for error in order.errors if str(error) and str(error) in said), None)
    return ours or ContractBroken(said)


def _checks(order: Order, tests: "Iterable[RunResult]", database: Path) -> Iterator[Checked]:
    """The results of the tests, day by day."""
    import duckdb

    named = {
        _node_name(mart, test): (name, test)
        for name, mart in order.marts.items()
        for test in mart.tests
    }
    with duckdb.connect(database) as db:  # as dbt's own, of which one may not be closed yet
        for result in tests:
            node: Any = result.node
            mart, test = named[node.name]
            if result.status == "skipped":  # with its model, which failed
                continue
            rows, why = pl.DataFrame(), ""
            if result.failures:
                rows = db.sql(f"from {node.relation_name}").pl()
            elif result.status != "pass":
                why = " ".join((result.message or f"{result.status}").split())
            for day in order.days:
                failed = rows.filter(pl.col(_DAY) == day) if _DAY in rows.columns else rows
                sample = failed.head(_SHOWN).to_dicts()
                yield Checked(mart, test, day, len(failed), sample, why)


def _node_name(mart: Mart, test: str) -> str:
    """The name of a test in dbt, where those of all marts are in one place."""
    return test if test in mart.singular else f"{mart.name}__{test}"
