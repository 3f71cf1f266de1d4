"""The demo: a simulated operator, one full day of each dataset and six live ticks, through Dagster.

Its clock is simulated and set tick by tick, and its limits are raised, so nobody waits, and a
second run asks for what it has already and adds nothing. What it writes lies under ``AURUM_HOME``
like everything else, and ``make dev`` shows it in the Dagster UI.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg
from pydantic import SecretStr

from aurum_assets.definitions import build
from aurum_assets.graph.jobs import Pair, asked_by, cadences
from aurum_assets.graph.translate import feeds_config
from aurum_assets.markets import DATASETS
from aurum_assets.model.dataset import Dataset
from aurum_assets.resources.api import Credentials
from aurum_assets.resources.settings import PROJECT, Home
from aurum_assets.simulator.server import Running, Simulator

FULL_DAY = dt.date(2025, 7, 14)
TICKS = 6
_RAISED = 1_000.0
_TICK = dt.timedelta(minutes=5)
_MORNING = dt.timedelta(hours=6)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_EVERY = {"five_minutes": 1, "fifteen_minutes": 3}

Tell = Callable[[str], None]


@dataclass
class Line:
    """What the demo did of one dataset."""

    dataset: str
    snapshots: int = 0
    duplicates: int = 0
    rows_added: int = 0
    rows: int = 0
    quarantined: int = 0
    checks_passed: int = 0
    checks_failed: int = 0
    seconds: float = 0.0


@dataclass
class Demo:
    """Lines by dataset, and what failed."""

    lines: dict[str, Line] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def demo_home(home: Home, running: Running, clock: Callable[[], dt.datetime]) -> Home:
    """``home`` with the simulator for its operators, and the simulator's clock."""
    return replace(
        home,
        base_urls={"isone": running.isone_url, "miso": running.miso_url},
        credentials={"isone": Credentials("demo", SecretStr("demo-password"))},
        clock=clock,
        limit_scale=_RAISED,
    )


def dagster_instance(home: Home) -> dg.DagsterInstance:
    """The Dagster instance of this home, where ``make dev`` finds the demo's runs."""
    folder = (home.root / "dagster").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        shutil.copy(PROJECT / "dagster.yaml", folder / "dagster.yaml")
    return dg.DagsterInstance.from_config(str(folder))


def run_demo(home: Home, tell: Tell) -> Demo:
    """Everything that the demo shows; ``tell`` is called before each step."""
    found = Demo({d.key: Line(d.key) for d in DATASETS})
    now = [dt.datetime.combine(FULL_DAY, dt.time(), dt.UTC)]
    with Simulator(now=lambda: now[0], limits={}).serve() as running:
        ours = demo_home(home, running, lambda: now[0])
        definitions = build(ours)
        with dagster_instance(home) as instance:
            for instant, job, partition, config, what in _plan(ours):
                now[0] = instant
                tell(what)
                _run(definitions, instance, job, partition, config, found)
        for dataset in DATASETS:
            summary = ours.lake.summary(dataset.table)
            found.lines[dataset.key].rows = summary.rows if summary else 0
    return found


Step = tuple[dt.datetime, str, str, dict[str, object] | None, str]


def _plan(home: Home) -> list[Step]:
    """The full day of every dataset, asked for on the morning after, then the ticks."""
    pairs = [(d, home.config(d)) for d in DATASETS]
    groups = cadences(pairs)
    steps: list[Step] = []
    for (source, cadence), ours in groups.items():
        if cadence not in _EVERY:
            continue
        day = ours[0][0].day(FULL_DAY.isoformat())
        names = ", ".join(d.key for d, _ in ours)
        what = f"the whole of {day}: {names}"
        steps.append((day.end + _MORNING, f"{source}_{cadence}", day.key, None, what))
    ticks = [
        step
        for (source, cadence), ours in groups.items()
        if cadence in _EVERY
        for step in _ticks(source, cadence, ours)
    ]
    return steps + sorted(ticks, key=lambda s: s[0])


def _next_midnight(dataset: Dataset) -> dt.datetime:
    return dataset.day(FULL_DAY.isoformat()).end


def _ticks(source: str, cadence: str, pairs: Sequence[Pair]) -> list[Step]:
    start = _next_midnight(pairs[0][0]) + dt.timedelta(minutes=5, seconds=40)
    steps: list[Step] = []
    for number in range(TICKS):
        if number % _EVERY[cadence]:
            continue
        instant = start + number * _TICK
        today = pairs[0][0].source.day_of(instant)
        feeds = asked_by(cadence, pairs, instant).get(today.key, {})
        config = feeds_config(feeds) if number else None  # the first one catches up with the day
        what = f"live tick {number + 1} of {TICKS} at {instant:%H:%M:%S}Z: {source}_{cadence}"
        steps.append((instant, f"{source}_{cadence}", today.key, config, what))
    return steps


def _run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    partition: str,
    config: dict[str, object] | None,
    found: Demo,
) -> None:
    result = definitions.resolve_job_def(job).execute_in_process(
        partition_key=partition,
        instance=instance,
        run_config={**(config or {}), **_QUIET},
        raise_on_error=False,
        tags={"aurum/demo": "true"},
    )
    for event in result.all_events:
        _count(event, found)
    if not result.success:
        found.failures.append(f"{job} {partition}")


def _count(event: dg.DagsterEvent, found: Demo) -> None:
    data: Any = event.event_specific_data
    kind = event.event_type_value
    if kind == "ASSET_CHECK_EVALUATION":
        line = found.lines[data.asset_key.path[-1]]
        line.checks_passed += bool(data.passed)
        line.checks_failed += not data.passed
    elif kind == "ASSET_MATERIALIZATION":
        _materialized(data.materialization, found)
    elif kind == "STEP_SUCCESS":
        key = (event.step_key or "").partition("__")[2]
        found.lines[key].seconds += data.duration_ms / 1000
    elif kind == "STEP_FAILURE":
        found.failures.append(data.error_display_string)


def _materialized(materialization: dg.AssetMaterialization, found: Demo) -> None:
    room, dataset = materialization.asset_key.path
    line = found.lines[dataset]
    number: Mapping[str, Any] = {k: v.value for k, v in materialization.metadata.items()}
    if room == "raw":
        line.snapshots += number["stored"]
        line.duplicates += number["duplicates"]
    else:
        line.rows_added += number["new"]
        line.quarantined += number["quarantined"]
