"""Warm workers: whatever is killed, every tick becomes green, and its day is whole.

Ticks (runs of a job for an operating day each) go through the daemon, Redis and a worker, all of
them processes on a real Redis and Postgres. Something is killed (SIGKILL) at a moment drawn
uniformly over the time that a tick takes, and started again, as a service manager does. Then the
tick, or a retry of it, must succeed; its tables must hold each key once and lack none; and at the
end no run may be left under way, and ``verify`` must find nothing.
"""

import datetime as dt
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import dagster as dg
import httpx
from sqlalchemy.exc import SQLAlchemyError

from aurum_assets import ingest
from aurum_assets.model.clock import OperatingDay
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD
from aurum_assets.resources.workers import QUEUE_TAG, TICKS
from aurum_assets.simulator.server import Simulator
from aurum_assets_tests.proofs.proof import Proof, close, home_at, repeated_keys
from aurum_assets_tests.stack import Stack

JOB = "isone_five_minutes"
DATASETS = (ISONE_RT_LMP, ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD)
LOCATIONS = 3
_A_TICK = 5.0  # seconds in which a tick is queued, launched and executed
_AWAY = 2.0  # for so long at most a server is away
_GREEN_WITHIN = 240.0
_PARTS = ("code", "web", "daemon", "worker")


def _worker(stack: Stack, chance: random.Random) -> None:
    """The processes of a machine, but not the one that keeps them up."""
    del chance
    for process in stack.children("worker"):
        process.kill()


def _redis(stack: Stack, chance: random.Random) -> None:
    stack.redis.kill()
    time.sleep(chance.uniform(0, _AWAY))
    stack.redis.start()


def _postgres(stack: Stack, chance: random.Random) -> None:
    stack.postgres.kill()
    time.sleep(chance.uniform(0, _AWAY))
    stack.postgres.start()


def _daemon(stack: Stack, chance: random.Random) -> None:
    stack.kill("daemon")
    time.sleep(chance.uniform(0, _AWAY))


def _everything(stack: Stack, chance: random.Random) -> None:
    for name in _PARTS:
        stack.kill(name)
    stack.redis.kill()
    stack.postgres.kill()
    time.sleep(chance.uniform(0, _AWAY))
    stack.postgres.start()
    stack.redis.start()


ATTACKS: Mapping[str, Callable[[Stack, random.Random], None]] = {
    "worker": _worker,
    "redis": _redis,
    "postgres": _postgres,
    "daemon": _daemon,
    "everything": _everything,
}


def prove_workers(
    rounds: int = 10, attacks: Sequence[str] = tuple(ATTACKS), seed: int = 0
) -> Proof:
    """``rounds`` rounds of each of the ``attacks``, a tick each."""
    proof = Proof("Whatever is killed: every tick becomes green, nothing is lost, nothing doubled")
    chance = random.Random(seed)  # noqa: S311  repeatable, no secret
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack.up(
            Path(folder),
            "celery",
            simulator=Simulator(locations=LOCATIONS, limits={}),
            change=lambda text: text.replace(
                "start_timeout_seconds: 180", "start_timeout_seconds: 20"
            ),
        ) as stack,
    ):
        _keep_up(stack)
        stack.ready("worker")
        days = [
            ISONE_SYSTEM_LOAD.operator.day_of(dt.datetime.now(dt.UTC)).plus(-n - 1)
            for n in range(rounds * len(attacks))
        ]
        ticks: dict[OperatingDay, str] = {}
        for attack in attacks:
            for _ in range(rounds):
                day = days[len(ticks)]
                ticks[day] = _one(proof, stack, attack, day, chance)
        _look(proof, stack, ticks)
    return proof


def _keep_up(stack: Stack) -> None:
    """Start what has ended, as a service manager does."""
    for name in _PARTS:
        process = stack.processes.get(name)
        if process is None or process.poll() is not None:
            stack.start(name, *(("--processes", "1") if name == "worker" else ()))


def _one(proof: Proof, stack: Stack, attack: str, day: OperatingDay, chance: random.Random) -> str:
    """A tick for ``day``, attacked; its run."""
    run_id = _launched(stack, day)
    time.sleep(chance.uniform(0, _A_TICK))
    status = stack.status(run_id).lower()
    proof.add(f"{attack}: killed while the run was {status}")
    ATTACKS[attack](stack, chance)
    began = time.monotonic()
    while not (green := _is_green(stack, run_id)) and time.monotonic() - began < _GREEN_WITHIN:
        _keep_up(stack)
        time.sleep(0.5)
    _keep_up(stack)
    took = round(time.monotonic() - began, 1)
    proof.holds(f"{attack}, {status}, {day}: not green after {took} s", where=green)
    name = f"{attack}: seconds until green, at most"
    proof.counts[name] = max(took, float(proof.counts.get(name, 0)))
    return run_id


def _launched(stack: Stack, day: OperatingDay) -> str:
    """A tick that is queued; the webserver may have to find its servers again before."""
    found: list[str] = []

    def launched() -> bool:
        _keep_up(stack)
        with suppress(RuntimeError, httpx.TransportError):
            found.append(stack.launch(JOB, day.key, tags={QUEUE_TAG: TICKS}))
        return bool(found)

    stack.until(launched)
    return found[0]


def _group(stack: Stack, run_id: str) -> Sequence[dg.DagsterRun]:
    """A run and its retries; none while Postgres is away."""
    try:
        with stack.instance() as instance:
            found = instance.get_run_group(run_id)
            return list(found[1]) if found else []
    except SQLAlchemyError:
        return []


def _is_green(stack: Stack, run_id: str) -> bool:
    return any(run.is_success for run in _group(stack, run_id))


def _look(proof: Proof, stack: Stack, ticks: Mapping[OperatingDay, str]) -> None:
    """Every day is whole, no key is there twice, no run is under way, and ``verify`` agrees."""
    for run_id in ticks.values():
        runs = _group(stack, run_id)
        proof.add("ticks")
        proof.add("retries", len(runs) - 1)
        open_ones = [f"{run.run_id} is {run.status}" for run in runs if not run.is_finished]
        proof.holds(f"left under way: {open_ones}", where=not open_ones)
    home = home_at(stack.folder / "aurum", dt.datetime.now(dt.UTC))
    for dataset in DATASETS:
        frame = home.lake.read(dataset.table)
        proof.add("rows", frame.height)
        proof.holds(
            f"{dataset.key}: keys that are there twice",
            where=not repeated_keys(dataset.table, frame),
        )
        for day in ticks:
            rows = frame.filter(frame["operating_day"] == day.date)
            found, due = rows["interval_start"].n_unique(), len(day.marks(dataset.interval()))
            proof.holds(f"{dataset.key} {day}: {found} of {due} intervals", where=found == due)
            problems = ingest.verify(home, dataset, day).problems
            proof.broken += [f"{dataset.key} {day}: {problem}" for problem in problems]
    close(home.lake)
