"""The deployment as processes: an hour of ticks, a month's backfill, a machine that is lost.

``make stack`` starts what ``deploy/compose.yaml`` does, from the same files of variables, with the
simulator for the operators and two machines of workers, each with a home of its own. The clock of
the simulator, and that of each run (in its config), stand at the instant of a tick: the code server
evaluates the schedules at these instants, one after the other. In the middle a backfill is
launched; while it is under way all processes of a machine that executes a tick are killed
(SIGKILL), for good. In the end every tick must be green, every day of the backfill there, each key
once, ``verify`` must find nothing, and the operators must have been asked what the plan says, and
beyond it only what was under way on the machine that was lost.

    python -m aurum_assets_tests.proofs.prove_stack [--keep]   (stays up until Ctrl-C)
"""

import datetime as dt
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles
from zoneinfo import ZoneInfo

import dagster as dg
import httpx
import yaml

from aurum_assets import ingest
from aurum_assets.graph.jobs import ScheduleGroup, asked_by, schedule_groups
from aurum_assets.graph.under_way import UNDER_WAY
from aurum_assets.ingest.feeds import due_feeds, parts_asked
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.settings import Settings, open_resources
from aurum_assets.resources.workers import WORKER_TAG
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.proofs.proof import Proof, close, repeated_keys
from aurum_assets_tests.stack import Stack

MACHINES = ("worker-1", "worker-2")
SMALL = ISONE_SYSTEM_LOAD  # what is backfilled
_HOUR = dt.timedelta(hours=1)
_AT = dt.time(14)  # in New York: ticks of every cadence, and of what is published a day ahead
_ZONE = ZoneInfo("America/New_York")
_GREEN_WITHIN = 240.0
_BACKFILLED_WITHIN = 900.0
_LOOK = 0.5
_TELL_AFTER = 15.0
_OK = 200
# Schedules and sensors of the daemon go by the wall clock: here the stack goes through an hour that
# has passed, at a speed of its own.
_ENVIRONMENT = {"AURUM_SCHEDULES": ""}


@dataclass(frozen=True)
class Tick:
    """A run that a schedule requested, and how many requests to operators it takes."""

    instant: dt.datetime
    run_id: str
    requests: int


@dataclass
class Trial:
    """The stack, and what was asked of it. ``machines``: by the process of ``aurum worker``."""

    stack: Stack
    instance: dg.DagsterInstance
    simulator: Simulator
    clock: SetClock
    home: Resources
    proof: Proof
    ticks: list[Tick] = field(default_factory=list)
    machines: dict[str, str] = field(default_factory=dict)
    lost: str = ""
    backfill: str = ""

    def at(self, instant: dt.datetime) -> Resources:
        """The home of a reader, at an instant."""
        return replace(self.home, clock=lambda: instant)

    def machine(self, worker: str) -> str:
        """The machine of a worker's process: its name is host, process of the command, number."""
        return self.machines.get(worker.rsplit("-", 2)[1], "no machine") if worker else "no machine"

    def groups(self) -> dict[str, list[dg.DagsterRun]]:
        """All runs, by the first of those that retry one another."""
        found: dict[str, list[dg.DagsterRun]] = {}
        for run in self.instance.get_runs():
            found.setdefault(run.root_run_id or run.run_id, []).append(run)
        return found

    def of_backfill(self) -> list[dg.DagsterRun]:
        """The runs of the backfill."""
        return list(self.instance.get_runs(dg.RunsFilter.for_backfill(self.backfill)))

    def backfilled(self) -> int:
        """How many days of it are green."""
        green = [run for run in self.of_backfill() if run.is_success]
        return len({run.tags["dagster/partition"] for run in green})


def prove_stack(
    minutes: int = 60,
    days: int = 30,
    *,
    locations: int = 16,
    until: Callable[[Trial], None] | None = None,
) -> Proof:
    """Ticks of ``minutes``, a backfill of ``days``, a machine killed; then ``until`` is called."""
    proof = Proof("The deployment as processes, a machine lost: every tick green, asked as planned")
    first = _hour()
    clock = SetClock(first)
    simulator = Simulator(clock, limits={}, locations=locations)
    with (
        tempfile.TemporaryDirectory() as folder,
        _opened(Path(folder), simulator, clock, proof) as trial,
    ):
        stack = trial.stack
        for part in ("daemon", "viewer"):
            stack.start(part)
        for machine in MACHINES:
            trial.machines[str(stack.start(machine).pid)] = machine
        for machine in MACHINES:
            stack.ready(machine)
        _tell(f"two machines are ready; the UI: http://127.0.0.1:{stack.web}/runs")
        _go_through(trial, first, first + dt.timedelta(minutes=minutes), days)
        _wait_for_backfill(trial, days)
        _count_runs(trial)
        _count_rows(trial, first, days)
        _count_requests(trial, first, days)
        _look_at_the_viewer(trial)
        _scrape(trial)
        for part, process in stack.processes.items():
            proof.holds(f"{part} has ended", where=process.poll() is None)
        if until is not None:
            until(trial)
    return proof


def _tell(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def _hour() -> dt.datetime:
    """The last full hour from ``_AT`` on that lies in the past."""
    today = dt.datetime.now(_ZONE).date()
    return dt.datetime.combine(today - dt.timedelta(days=1), _AT, _ZONE).astimezone(dt.UTC)


@contextmanager
def _opened(
    folder: Path,
    simulator: Simulator,
    clock: SetClock,
    proof: Proof,
) -> Iterator[Trial]:
    _tell("starting Postgres, Redis, an S3, code server, webserver")
    with (
        Stack.up(folder, "compose", simulator=simulator, environment=_ENVIRONMENT) as stack,
        stack.instance() as instance,
    ):
        settings = Settings.read(home=folder / "reader")
        home = open_resources(DATASETS, settings)
        try:
            yield Trial(stack, instance, simulator, clock, home, proof)
        finally:
            _tell("stopping all of it")
            close(home.lake)


def _config(home: Resources, instant: dt.datetime) -> dict[str, object]:
    """The run config that has the clock of a run stand at ``instant``; the rest as it is."""
    runtime = {
        "config_folder": str(home.config_folder),
        "environment": home.environment,
        "now": instant.isoformat(),
        "repairs": home.repairs,
        "keep_runs_days": home.keep_runs_days,
    }
    return {"resources": {"runtime": {"config": runtime}}}


# --- what is asked -------------------------------------------------------------------------------


def _days(first: dt.datetime, days: int) -> list[OperatingDay]:
    """The days of the backfill: those before the hour."""
    return [SMALL.operator.day_of(first).plus(-n) for n in range(days, 0, -1)]


def _launch_backfill(trial: Trial, first: dt.datetime, days: int) -> None:
    keys = [day.key for day in _days(first, days)]
    assets = [f"raw/{SMALL.key}", f"market/{SMALL.key}"]
    title = f"{SMALL.key}, {keys[0]} to {keys[-1]}"
    trial.backfill = trial.stack.backfill(assets, keys, title, _config(trial.home, first))
    _tell(f"launched a backfill of {days} days of {SMALL.key}")


def _go_through(trial: Trial, first: dt.datetime, last: dt.datetime, days: int) -> None:
    """Each instant at which schedules are due, once the ticks of the one before are green.

    Shortly before the middle of them the backfill is launched; with its first days there, a machine
    is lost.
    """
    due = trial.stack.ticks(first, last)
    instants = sorted({instant for instant, _ in due})
    middle = (len(instants) - 1) // 2
    for number, instant in enumerate(instants):
        if number == max(0, middle - 1):
            _launch_backfill(trial, first, days)
        if number == middle:
            trial.stack.until(lambda: trial.backfilled() > 0)
        trial.clock.set(instant)
        here = [tick for at, name in due if at == instant for tick in _asked(trial, name, instant)]
        trial.ticks += here
        if number == middle:
            _lose_a_machine(trial, here)
        _wait_for(trial, here)
        groups = trial.groups()
        green = sum(_is_green(groups, tick) for tick in trial.ticks)
        _tell(
            f"{instant.astimezone(_ZONE):%H:%M}: {len(trial.ticks)} ticks asked, {green} green; "
            f"{trial.backfilled()} days backfilled"
        )


def _asked(trial: Trial, schedule: str, instant: dt.datetime) -> list[Tick]:
    """Launch what a schedule requests at an instant."""
    group = _groups(trial).get(schedule)  # marts, report and data quality ask no operator
    home = trial.at(instant)
    plan = asked_by(group, instant) if group else {}
    found = []
    for request in trial.stack.requested(schedule, instant):
        tags = {tag["key"]: tag["value"] for tag in request["tags"]}
        day = tags.get("dagster/partition", "")
        tags |= {"dagster/schedule_name": schedule}
        tags |= {"dagster/run_key": request["runKey"]} if request["runKey"] else {}
        run_id = trial.stack.launch(
            trial.stack.job_of(schedule),
            assets=["/".join(key["path"]) for key in request["assetSelection"] or ()],
            config=yaml.safe_load(request["runConfigYaml"]) | _config(home, instant),
            tags=tags,
        )
        feeds = plan.get(day, {}).items()
        requests = sum(_planned(home, _known[key], day, names) for key, names in feeds)
        found.append(Tick(instant, run_id, requests))
    return found


_known = {dataset.key: dataset for dataset in DATASETS}


def _groups(trial: Trial) -> Mapping[str, ScheduleGroup]:
    """The schedule groups, by the name of their schedule."""
    pairs = [(dataset, trial.home.config(dataset)) for dataset in DATASETS]
    return {f"{group.name}_schedule": group for group in schedule_groups(pairs)}


def _planned(home: Resources, dataset: Dataset, day: str, names: Sequence[str] | None) -> int:
    """How many requests a day takes; none where another dataset's answer is shared."""
    if dataset.shares is not None:
        return 0
    feeds = due_feeds(home, dataset, dataset.day(day), names)
    return sum(len(parts_asked(home, feed, dataset.day(day))) for feed in feeds)


def _lose_a_machine(trial: Trial, ticks: Sequence[Tick]) -> None:
    """Kill all processes of a machine in the middle of one of the ``ticks``, for good."""
    found: list[str] = []

    def executes_one() -> bool:
        groups = trial.groups()
        runs = [run for tick in ticks for run in groups.get(tick.run_id, ())]
        started = [run for run in runs if run.status == dg.DagsterRunStatus.STARTED]
        found[:] = [trial.machine(run.tags.get(WORKER_TAG, "")) for run in started]
        return bool(found)

    trial.stack.until(executes_one, pause=0.05)
    trial.lost = found[0]
    trial.stack.kill(trial.lost)
    _tell(f"killed all processes of {trial.lost} in the middle of a tick")


def _is_green(groups: Mapping[str, Sequence[dg.DagsterRun]], tick: Tick) -> bool:
    return any(run.is_success for run in groups.get(tick.run_id, ()))


def _wait_for(trial: Trial, ticks: Sequence[Tick]) -> None:
    """Wait until all ``ticks`` are green."""
    began = time.monotonic()
    left = list(ticks)
    while left and time.monotonic() - began < _GREEN_WITHIN:
        time.sleep(_LOOK)
        groups = trial.groups()
        left = [tick for tick in left if not _is_green(groups, tick)]
    for tick in left:
        statuses = [run.status.value for run in trial.groups()[tick.run_id]]
        trial.proof.broken.append(f"the tick of {tick.instant} is not green: {statuses}")


def _wait_for_backfill(trial: Trial, days: int) -> None:
    """Wait until each day of the backfill is green."""
    _tell("waiting for the backfill")
    began = told = time.monotonic()
    while (done := trial.backfilled()) < days and time.monotonic() - began < _BACKFILLED_WITHIN:
        if time.monotonic() - told > _TELL_AFTER:
            told = time.monotonic()
            _tell(f"{done} of {days} days backfilled")
        time.sleep(1)
    trial.proof.holds(f"{done} of {days} days are backfilled", where=done == days)


# --- what happened -------------------------------------------------------------------------------


def _count_runs(trial: Trial) -> None:
    """Ticks, their retries and seconds; runs by machine; none may be under way."""
    proof = trial.proof
    found = trial.groups()
    groups = [found.get(tick.run_id, []) for tick in trial.ticks]
    green = [runs for runs in groups if any(run.is_success for run in runs)]
    proof.add("ticks asked", len(trial.ticks))
    proof.add("of them green", len(green))
    proof.add("of them retried", sum(len(runs) > 1 for runs in groups))
    seconds = [_seconds(trial, runs) for runs in green]
    if len(seconds) > 1:
        cuts = quantiles(seconds, n=20, method="inclusive")
        proof.counts["seconds from queued to green, p50"] = round(cuts[9], 1)
        proof.counts["seconds from queued to green, p95"] = round(cuts[18], 1)
    runs = [run for group in found.values() for run in group]
    where = Counter(trial.machine(run.tags.get(WORKER_TAG, "")) for run in runs)
    for machine, count in sorted(where.items()):
        killed = ", which was killed" if machine == trial.lost else ""
        proof.add(f"runs on {machine}{killed}", count)
    for machine in MACHINES:
        proof.holds(f"{machine} executed no run", where=where[machine] > 0)
    open_ones = [run for run in runs if run.status in UNDER_WAY]
    proof.holds(f"{len(open_ones)} runs are left under way", where=not open_ones)


def _seconds(trial: Trial, runs: Sequence[dg.DagsterRun]) -> float:
    """From when a tick was queued until it, or a retry of it, was green."""
    records = trial.instance.get_run_records(dg.RunsFilter(run_ids=[r.run_id for r in runs]))
    ended = [r.end_time for r in records if r.dagster_run.is_success and r.end_time]
    return min(ended) - min(r.create_timestamp for r in records).timestamp()


def _count_rows(trial: Trial, first: dt.datetime, days: int) -> None:
    """Each key is there once, each day of the backfill whole, and ``verify`` finds nothing."""
    _tell("reading and verifying all tables")
    proof, home = trial.proof, trial.home
    proof.add("days backfilled", 0)
    problems = 0
    for dataset in DATASETS:
        frame = home.lake.read(dataset.table)
        if not frame.height:
            continue
        proof.add("rows", frame.height)
        proof.holds(
            f"{dataset.key}: keys that are there twice",
            where=not repeated_keys(dataset.table, frame),
        )
        for day in ingest.held_days(home, dataset):
            found = ingest.verify(home, dataset, day).problems
            problems += len(found)
            proof.broken += [f"{dataset.key} {day}: {problem}" for problem in found]
        if dataset is SMALL:
            for day in _days(first, days):
                marks = frame.filter(frame["operating_day"] == day.date)["interval_start"]
                whole = marks.n_unique() == len(day.marks(dataset.interval()))
                proof.add("days backfilled", int(whole))
                proof.holds(f"{dataset.key} {day}: {marks.n_unique()} intervals", where=whole)
    proof.add("problems that verify found", problems)


def _count_requests(trial: Trial, first: dt.datetime, days: int) -> None:
    """What the operators saw, beside the plan."""
    proof, home = trial.proof, trial.at(first)
    of_days = {day.key: _planned(home, SMALL, day.key, None) for day in _days(first, days)}
    plan = sum(tick.requests for tick in trial.ticks) + sum(of_days.values())
    groups = trial.groups()
    again = sum(tick.requests * (len(groups[tick.run_id]) - 1) for tick in trial.ticks)
    failed = [run for run in trial.of_backfill() if not run.is_success]
    again += sum(of_days[run.tags["dagster/partition"]] for run in failed)
    made = len(trial.simulator.requests)
    proof.add("requests planned", plan)
    proof.add("requests made", made)
    proof.add("requests of runs that were lost, made again at most", again)
    what = f"{made} requests, {plan} planned and {again} of runs that were lost"
    proof.holds(what, where=plan <= made <= plan + again)
    other = [seen for seen in trial.simulator.requests if seen.status not in (_OK, 0)]
    proof.holds(f"{len(other)} refused, the first: {other[:1]}", where=not other)


def _look_at_the_viewer(trial: Trial) -> None:
    """The read-only webserver answers, and lets nobody start a run."""
    url = f"http://127.0.0.1:{trial.stack.viewer}/view/graphql"
    query = "{ permissions { permission value } }"
    answer = httpx.post(url, json={"query": query}, timeout=30).json()
    held = {one["permission"]: one["value"] for one in answer["data"]["permissions"]}
    trial.proof.holds("the viewer may start runs", where=not held["launch_pipeline_execution"])


def _scrape(trial: Trial) -> None:
    """The metrics of the machine that is left count its runs: each home has its own."""
    stack = trial.stack
    (left,) = set(MACHINES) - {trial.lost}
    stack.start("metrics", environment={"AURUM_HOME": str(stack.folder / left)})
    url, text = f"http://127.0.0.1:{stack.metrics}/metrics", ""

    def answers() -> bool:
        nonlocal text
        with suppress(httpx.TransportError):
            text = httpx.get(url, timeout=30).text
        return bool(text)

    stack.until(answers)
    series = [line for line in text.splitlines() if line.startswith("aurum_")]
    trial.proof.add(f"series of metrics on {left}", len(series))
    trial.proof.holds("the metrics have no series", where=bool(series))


# --- make stack ----------------------------------------------------------------------------------


def _stay(trial: Trial) -> None:
    """Stay up, so that one can look."""
    print(trial.proof, flush=True)
    print(f"The UI: http://127.0.0.1:{trial.stack.web}  Ctrl-C ends it.", flush=True)
    while True:
        time.sleep(1)


def main(arguments: Sequence[str]) -> int:
    """Go through the hour once; exit code 1 where something is not as promised."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        proof = prove_stack(until=_stay if "--keep" in arguments else None)
    except KeyboardInterrupt:
        return 130
    print(proof)
    return int(bool(proof.broken))


def _interrupted(number: int, frame: object) -> None:
    """End once: nobody interrupts the end."""
    del number, frame
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
