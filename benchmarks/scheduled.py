"""Benchmark D: what one whole scheduled run costs, beside an empty one with the same libraries.

    python -m benchmarks.scheduled run MODULES JOB PARTITION CONFIG
    python -m benchmarks.scheduled empty MODULES

``run`` is what the daemon's launcher starts: a fresh process that loads the definitions and
executes the job for one partition, in process, with SQLite storage in DAGSTER_HOME. Afterwards it
lists in MODULES the libraries that it imported. ``empty`` imports those (our own modules are part
of what a run costs, not of what it stands on) and executes a job of one asset that does nothing.
Compared is the CPU of the two processes, all threads and children, from start to end.

Benchmark S: the same of a run of each schedule, times the runs of a day.
"""

import datetime as dt
import gc
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import PROJECT, Spent, import_all, list_modules, process

if TYPE_CHECKING:
    from aurum_assets.graph.jobs import ScheduleGroup

JOB = "isone_five_minutes"
NOON = dt.datetime.fromisoformat("2026-08-04T12:00:40-04:00")
_BEAT = dt.timedelta(minutes=5)
_OURS = ("aurum_assets", "benchmarks")


def run(modules: Path, job: str, partition: str, config: dict[str, Any]) -> dict[str, Any]:
    """Execute a job of the code location for one partition."""
    import dagster as dg

    from aurum_assets.definitions import defs

    loaded = time.process_time()
    with dg.DagsterInstance.get() as instance:
        done = defs.resolve_job_def(job).execute_in_process(
            partition_key=partition, instance=instance, run_config=config
        )
    list_modules(modules, without=_OURS)
    kinds = Counter(e.event_type_value for e in done.all_events)
    brought = [e.materialization.metadata for e in done.get_asset_materialization_events()]
    new: list[Any] = [m["new"].value for m in brought if "new" in m]
    return {
        "materializations": kinds["ASSET_MATERIALIZATION"],
        "checks": kinds["ASSET_CHECK_EVALUATION"],
        "events": kinds.total(),
        "new_rows": sum(new),
        "cpu_when_loaded": loaded,
    }


def empty(modules: Path) -> dict[str, Any]:
    """Import the same libraries, and execute a job that does nothing."""
    missing = import_all(modules)
    loaded = time.process_time()
    import dagster as dg

    @dg.asset
    def nothing() -> None:
        """Nothing."""

    job = dg.define_asset_job("empty", executor_def=dg.in_process_executor)
    defs = dg.Definitions(assets=[nothing], jobs=[job])
    gc.freeze()  # as our definitions do, or we would be compared with more than an empty run
    gc.set_threshold(50_000, 10, 10)
    with dg.DagsterInstance.get() as instance:
        done = defs.resolve_job_def("empty").execute_in_process(instance=instance)
    return {"ok": done.success, "not_importable": missing, "cpu_when_loaded": loaded}


@dataclass
class Ticks:
    """Scheduled runs, one simulated tick after the other, against an operator in this process."""

    folder: Path
    env: Mapping[str, str]
    set_clock: Callable[[dt.datetime], None]
    job: str = JOB
    first: dt.datetime = NOON
    every: dt.timedelta = _BEAT
    _numbers: Iterator[int] = field(default_factory=count, init=False)

    @property
    def modules(self) -> Path:
        """The libraries that the last run imported."""
        return self.folder / "modules.json"

    def run(self) -> Spent:
        """The next tick: other prices, another load, the same tables.

        The first one catches up with the day, so that the others find it as noon would.
        """
        number = next(self._numbers)
        now = self.first + number * self.every
        self.set_clock(now)
        (partition, config), *_ = asked_at(now, self.job)
        env = {**self.env, "AURUM_NOW": now.isoformat(), "DAGSTER_HOME": str(self.folder / "run")}
        what = [self.job, partition, json.dumps(config if number else {})]
        return process(["-m", "benchmarks.scheduled", "run", self.modules, *what], env=env)

    def empty(self) -> Spent:
        """A run that does nothing, with storage of its own."""
        env = {**self.env, "DAGSTER_HOME": str(self.folder / "empty")}
        return process(["-m", "benchmarks.scheduled", "empty", self.modules], env=env)


def asked_at(now: dt.datetime, job: str = JOB) -> list[tuple[str, dict[str, Any]]]:
    """Partition and run config that the schedule of ``job`` asks for at ``now``."""
    from aurum_assets.graph import jobs
    from aurum_assets.graph.translate import feeds_config

    (group,) = (g for g in groups() if g.name == job)
    asked = jobs.asked_by(group, now)
    return [(day, feeds_config(feeds)) for day, feeds in asked.items()]


def groups() -> "list[ScheduleGroup]":
    """What the schedules of all datasets ask."""
    from aurum_assets.graph import jobs
    from aurum_assets.operators import DATASETS
    from aurum_assets.resources.configuration import load_config

    configs = load_config(PROJECT / "config", DATASETS).datasets
    return jobs.schedule_groups([(d, configs[d.key]) for d in DATASETS])


def instants(group: "ScheduleGroup") -> Iterator[dt.datetime]:
    """When its schedule asks within a day of its operator, in order, beginning at noon."""
    cadence, day = group.cadence, group.operator.day_of(NOON)
    if not cadence.within_the_day:
        yield day.at(cadence.at)
        return
    first = day.at(dt.time(12)) + cadence.offset
    yield from (first + n * cadence.every for n in range(dt.timedelta(days=1) // cadence.every))


def runs_a_day(group: "ScheduleGroup") -> int:
    """How many runs its schedule requests in a day."""
    from aurum_assets.graph.jobs import asked_by

    return sum(len(asked_by(group, instant)) for instant in instants(group))


def of_each_schedule(ticks: Ticks) -> Iterator[tuple["ScheduleGroup", Spent]]:
    """A run of each schedule, after one that catches up."""
    for group in groups():
        first = next(instants(group))
        if not group.cadence.within_the_day:
            first -= group.cadence.every
        ours = replace(ticks, job=group.name, first=first, every=group.cadence.every)
        ours.run()
        yield group, ours.run()


@contextmanager
def schedule_groups(folder: Path) -> Iterator[Ticks]:
    """Homes for both kinds of runs below ``folder``, and an operator that answers meanwhile."""
    from aurum_assets.simulator.server import Simulator
    from aurum_assets.simulator.world import SetClock

    for name in ("run", "empty"):
        (folder / name).mkdir(parents=True)
        shutil.copy(PROJECT / "dagster.yaml", folder / name)
    clock = SetClock(NOON)
    with Simulator(clock).serve() as running:
        env = {"AURUM_HOME": str(folder / "home"), **running.environment}
        yield Ticks(folder, env, clock.set)


if __name__ == "__main__":
    _modules = Path(sys.argv[2])
    if sys.argv[1] == "run":
        print(json.dumps(run(_modules, sys.argv[3], sys.argv[4], json.loads(sys.argv[5]))))
    else:
        print(json.dumps(empty(_modules)))
