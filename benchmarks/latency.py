"""Benchmark L: from the instant at which a tick is due until its rows are visible to a reader.

The stack runs as an operator starts it, twice, one after the other: ``embedded`` (SQLite, a process
for each run) and ``celery`` (Postgres, Redis, warm workers), each with simulator, code server,
webserver and daemon; the sensors of alerts are running.

The daemon evaluates schedules once a minute at most. To have twenty ticks in minutes, the webserver
does here what the daemon does at a due instant: it has the code server evaluate the real schedule
for the simulated instant, and queues the run that this requests, with its partition, config and
tags. All else is the daemon's: its queue, its launcher, its monitoring. Due instants lie anywhere
between two looks of the daemon at its queue. Ticks are noon of yesterday and each five minutes
after it, so that each brings new rows of three datasets.

A row is visible when ``open_lake()`` in this process, which looks every 20 ms, reads it. CPU is
that of all processes of the stack with what they started, from the first tick that counts to the
last, less what the same stack takes while it waits; simulator and reader are not part of it.
"""

import datetime as dt
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import psutil
import yaml

from aurum_assets.api import OpenLake, open_lake
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.stack import REPOSITORY, Stack
from benchmarks import scheduled
from benchmarks.measure import BenchmarkFailed

PROFILES = ("embedded", "celery")
JOB = "isone_five_minutes"
DATASETS = ("isone_rt_lmp", "isone_system_load", "isone_zonal_load")
WARM_UPS = 3
_ZONE = ZoneInfo("America/New_York")
_BEAT = dt.timedelta(minutes=5)
_DAY = dt.timedelta(days=1)
_LOOK_SECONDS, _PATIENCE = 0.02, 90.0
_SETTLE = {"embedded": 4.0, "celery": 2.0}  # after the last table, until the run has ended
_SENSORS = ("failed_runs", "check_alerts", "watch")


@dataclass
class Tick:
    """Seconds from the due instant until the run was queued, a table visible, the run ended."""

    run_id: str
    due: float
    queued: float
    visible: list[float]
    started: float = 0.0
    ended: float = 0.0

    @property
    def first(self) -> float:
        """Of the first table."""
        return min(self.visible)

    @property
    def last(self) -> float:
        """Of the last table."""
        return max(self.visible)


@dataclass
class Latency:
    """One profile: its ticks, and CPU seconds by part, during all of them and a minute idle."""

    ticks: list[Tick] = field(default_factory=list)
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)

    def cpu_a_tick(self) -> dict[str, float]:
        """By part, above what it takes without ticks."""
        minutes, ticks = self.seconds / 60, len(self.ticks)
        return {n: (c - self.idle.get(n, 0.0) * minutes) / ticks for n, c in self.cpu.items()}

    def cpu_a_day(self, runs: int) -> float:
        """As if each of a day's runs cost what these cost."""
        return runs * sum(self.cpu_a_tick().values()) + sum(self.idle.values()) * 24 * 60


def measure(
    folder: Path,
    profile: str,
    tell: Callable[[str], None],
    *,
    ticks: int,
    idle: float,
    warm_ups: int = WARM_UPS,
    locations: int | None = None,
) -> Latency:
    """The ticks of one profile after the warm-ups, then ``idle`` seconds without any.

    ``locations``: how many the operator has; None for all of them.
    """
    noon, found = _noon(), Latency()
    with stack_of(folder, profile, locations) as (stack, clock):
        tell(f"{profile}: the day until noon")
        stack.wait_for(requested(stack, noon, whole=True))
        lake = open_lake(folder / "aurum")
        for number in range(1, warm_ups + ticks):
            if number == warm_ups:
                began, before = time.perf_counter(), cpu(stack)
            tell(f"{profile}: tick {number + 1} of {warm_ups + ticks}")
            clock.set(noon + number * _BEAT)
            tick = brought(stack, lake, noon + number * _BEAT)
            time.sleep(_SETTLE[profile] + random.random())  # noqa: S311  guards nothing
            if number >= warm_ups:
                found.ticks.append(tick)
        found.seconds, found.cpu = time.perf_counter() - began, _less(cpu(stack), before)
        complete(stack, found.ticks)
        tell(f"{profile}: {idle:.0f} s without a tick")
        before = cpu(stack)
        time.sleep(idle)
        found.idle = {n: c * 60 / idle for n, c in _less(cpu(stack), before).items()}
    return found


@contextmanager
def stack_of(
    folder: Path, profile: str, locations: int | None = None
) -> Iterator[tuple[Stack, SetClock]]:
    """The running stack, and the clock of its operator, which lets five minutes pass in seconds."""
    clock = SetClock(_noon())
    simulator = Simulator(clock, locations=locations, limits={})
    with Stack.up(folder, profile, simulator=simulator) as stack:
        stack.start("daemon")
        if profile == "celery":
            stack.start("worker")
            stack.ready("worker")
        for name in _SENSORS:
            stack.ui.ask(
                """mutation($of: SensorSelector!) { startSensor(sensorSelector: $of) {
                     __typename ... on PythonError { message } } }""",
                of=REPOSITORY | {"sensorName": name},
            )
        yield stack, clock


def requested(stack: Stack, now: dt.datetime, *, whole: bool = False) -> str:
    """Queue the run that the schedule requests at ``now``; its id. ``whole``: with all feeds."""
    data = stack.ui.ask(
        """mutation($of: ScheduleSelector!, $at: Float!) {
             scheduleDryRun(selectorData: $of, timestamp: $at) {
               ... on DryRunInstigationTick { evaluationResult { runRequests {
                 runConfigYaml tags { key value } assetSelection { path } } } } } }""",
        of=REPOSITORY | {"scheduleName": f"{JOB}_schedule"},
        at=now.timestamp(),
    )
    (request,) = data["scheduleDryRun"]["evaluationResult"]["runRequests"]
    tags = {t["key"]: t["value"] for t in request["tags"]}
    config = {} if whole else yaml.safe_load(request["runConfigYaml"])
    assets = ["/".join(a["path"]) for a in request["assetSelection"] or ()]
    return stack.launch(JOB, tags.pop("dagster/partition"), assets, config=config, tags=tags)


def brought(stack: Stack, lake: OpenLake, now: dt.datetime) -> Tick:
    """One tick, until all of its rows are visible."""
    held = {key: newest(lake, key, now.date()) for key in DATASETS}
    due = time.time()
    run_id = requested(stack, now)
    queued, visible = time.time() - due, dict[str, float]()
    while len(visible) < len(DATASETS):
        for key in DATASETS:
            if key not in visible and newest(lake, key, now.date()) != held[key]:
                visible[key] = time.time() - due
        if time.time() - due > _PATIENCE:
            msg = f"{run_id} brought {sorted(visible)} alone\n{stack.log('daemon')[-2000:]}"
            raise BenchmarkFailed(msg)
        time.sleep(_LOOK_SECONDS)
    return Tick(run_id, due, queued, list(visible.values()))


def newest(lake: OpenLake, key: str, day: dt.date) -> dt.datetime | None:
    """The newest interval of a day that a reader sees."""
    rows = lake.scan(key).filter(pl.col("operating_day") == day)
    found: dt.datetime | None = rows.select(pl.max("interval_start")).collect().item()
    return found


def complete(stack: Stack, ticks: Sequence[Tick]) -> None:
    """Note when the runs started and ended, by Dagster's record."""
    with stack.instance() as instance:
        for tick in ticks:
            record = instance.get_run_record_by_id(tick.run_id)
            if record is None or not record.start_time or not record.end_time:
                msg = f"run {tick.run_id} has not ended"
                raise BenchmarkFailed(msg)
            tick.started, tick.ended = record.start_time - tick.due, record.end_time - tick.due


def cpu(stack: Stack) -> dict[str, float]:
    """CPU seconds of each part until now, with all that it started."""
    names = {process.pid: name for name, process in stack.processes.items()}
    found: dict[str, float] = {}
    for child in psutil.Process().children():
        name = names.get(child.pid, "servers")  # Postgres and Redis
        found[name] = found.get(name, 0.0) + _whole(child)
    return found


def _whole(process: psutil.Process) -> float:
    try:
        there = [process, *process.children(recursive=True)]
        return float(sum(sum(p.cpu_times()[:4]) for p in there))  # with ended children of each
    except psutil.NoSuchProcess:  # one of them ended just now: its parent has its seconds
        return _whole(process)


def _less(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}


def runs_a_day() -> int:
    """How many runs all schedules request in a day."""
    return sum(map(scheduled.runs_a_day, scheduled.groups()))


def _noon() -> dt.datetime:
    yesterday = dt.datetime.now(_ZONE) - _DAY
    return yesterday.replace(hour=12, minute=0, second=40, microsecond=0)
