"""The demo: a simulated operator, one full day of each dataset and six live ticks, through Dagster.

Its clock is simulated and set tick by tick, and its limits are raised, so nobody waits, and a
second run asks for what it has already and adds nothing. What it writes lies under ``AURUM_HOME``
like everything else, and ``make dev`` shows it in the Dagster UI.
"""

import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg
from pydantic import SecretStr

from aurum_assets.definitions import build
from aurum_assets.graph.jobs import Beat, asked_by, asset_keys, beats
from aurum_assets.graph.translate import feeds_config
from aurum_assets.markets import DATASETS
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.resources.api import Credentials
from aurum_assets.resources.settings import PROJECT, Backends, Home
from aurum_assets.simulator.server import Running, Simulator

FULL_DAY = dt.date(2025, 7, 14)
TICKS = 6
_RAISED = 1_000.0
_TICK = dt.timedelta(minutes=5)
_MORNING = dt.timedelta(hours=6)
_NOON = dt.timedelta(hours=12)
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
    """``home`` on embedded defaults, the simulator for its operators, and its clock."""
    return replace(
        home,
        base_urls={"isone": running.isone_url, "miso": running.miso_url},
        credentials={"isone": Credentials("demo", SecretStr("demo-password"))},
        clock=clock,
        limit_scale=_RAISED,
        backends=Backends(),  # nothing that was made up goes where others look
    )


def dagster_instance(home: Home) -> dg.DagsterInstance:
    """The Dagster instance of this home, where ``make dev`` finds the demo's runs."""
    folder = (home.root / "dagster").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        text = (PROJECT / "dagster.yaml").read_text()
        mark = "#postgres# " if os.environ.get("AURUM_DAGSTER_POSTGRES_URL") else None
        (folder / "dagster.yaml").write_text(text.replace(mark, "") if mark else text)
    return dg.DagsterInstance.from_config(str(folder))


def run_demo(home: Home, tell: Tell) -> Demo:
    """Everything that the demo shows; ``tell`` is called before each step."""
    found = Demo({d.key: Line(d.key) for d in DATASETS})
    now = [dt.datetime.combine(FULL_DAY, dt.time(), dt.UTC)]
    with Simulator(now=lambda: now[0], limits={}).serve() as running:
        ours = demo_home(home, running, lambda: now[0])
        definitions = build(ours)
        with dagster_instance(home) as instance:
            for step in _plan(ours):
                now[0] = step.instant
                tell(step.what)
                _run(definitions, instance, step, found)
        for dataset in DATASETS:
            summary = ours.lake.summary(dataset.table)
            found.lines[dataset.key].rows = summary.rows if summary else 0
    return found


@dataclass(frozen=True)
class Step:
    """A run of the demo: the job ``name`` at an ``instant``, for a partition of ``datasets``."""

    instant: dt.datetime
    name: str
    partition: str
    datasets: Sequence[Dataset]
    config: dict[str, object] | None
    what: str


def _plan(home: Home) -> list[Step]:
    """The full day of every dataset, then the ticks.

    The day is asked for on the morning after, or at its noon where an operator shows only today.
    """
    every = beats([(d, home.config(d)) for d in DATASETS])
    ticking = [beat for beat in every if beat.cadence in _EVERY]
    steps: list[Step] = []
    shown: set[str] = set()
    for beat in (*ticking, *(b for b in every if b not in ticking)):
        fresh = [(d, c) for d, c in beat.pairs if d.key not in shown]
        shown |= {d.key for d, _ in fresh}
        only_now = [d for d, c in fresh if all(feed.asks == "now" for feed in c.feeds)]
        others = [d for d, _ in fresh if d not in only_now]
        day = OperatingDay(FULL_DAY, beat.source.zone)
        for instant, ours in ((day.start + _NOON, only_now), (day.end + _MORNING, others)):
            if ours:
                what = f"the whole of {day}: {', '.join(d.key for d in ours)}"
                steps.append(Step(instant, beat.name, day.key, ours, None, what))
    ticks = [step for beat in ticking for step in _ticks(beat)]
    return steps + sorted(ticks, key=lambda step: step.instant)


def _ticks(beat: Beat) -> list[Step]:
    datasets = [dataset for dataset, _ in beat.pairs]
    start = datasets[0].day(FULL_DAY.isoformat()).end + dt.timedelta(minutes=5, seconds=40)
    steps: list[Step] = []
    for number in range(TICKS):
        if number % _EVERY[beat.cadence]:
            continue
        instant = start + number * _TICK
        today = beat.source.day_of(instant)
        feeds = asked_by(beat, instant).get(today.key, {})
        config = feeds_config(feeds) if number else None  # the first one catches up with the day
        what = f"live tick {number + 1} of {TICKS} at {instant:%H:%M:%S}Z: {beat.name}"
        steps.append(Step(instant, beat.name, today.key, datasets, config, what))
    return steps


def _run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, step: Step, found: Demo
) -> None:
    result = definitions.resolve_job_def(step.name).execute_in_process(
        partition_key=step.partition,
        instance=instance,
        asset_selection=asset_keys(step.datasets),
        run_config={**(step.config or {}), **_QUIET},
        raise_on_error=False,
        tags={"aurum/demo": "true"},
    )
    for event in result.all_events:
        _count(event, found)
    if not result.success:
        found.failures.append(f"{step.name} {step.partition}")


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
        key = (event.step_key or "").removeprefix("check_").rpartition("__")[2]
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
