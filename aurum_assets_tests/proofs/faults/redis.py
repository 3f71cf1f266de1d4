"""Redis, where machines share what they know: dead, killed, frozen, out of memory, forgetful.

It is a cache of the archive and the keeper of the operators' limits: without it a run says that it
is degraded, asks no operator twice, archives nothing twice, and takes seconds longer at most.
"""

import random
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from aurum_assets import ingest
from aurum_assets_tests.proofs.faults.ground import (
    DATASETS,
    TICKS,
    WORK,
    FaultTable,
    Line,
    Round,
    a_round,
    on,
)
from aurum_assets_tests.servers.redis import RedisProcess, redis_process

SECONDS = 5.0  # that it may cost one run where nobody answers
_MOST = 0.15  # seconds after which the fault comes at the latest, in a run of about so many


@dataclass(frozen=True)
class Fault:
    """A way of Redis to fail, and how it is well again."""

    name: str
    strike: Callable[[RedisProcess], None]
    heal: Callable[[RedisProcess], None]
    at_start: bool = False


def _make_room(redis: RedisProcess) -> None:
    with redis.client() as client:
        client.config_set("maxmemory", 0)


FAULTS = (
    Fault("Redis dead at start", RedisProcess.kill, RedisProcess.start, at_start=True),
    Fault("Redis killed mid-run", RedisProcess.kill, RedisProcess.start),
    Fault("Redis stopped (SIGSTOP)", RedisProcess.pause, RedisProcess.resume),
    Fault("Redis out of memory", RedisProcess.fill, _make_room),
    Fault("Redis flushed", RedisProcess.flush, lambda _: None),
)


def _fails(fault: Fault, number: int, proof: FaultTable, line: Line) -> None:
    chance = random.Random(f"{fault.name} {number}")  # noqa: S311  repeatable, no secret
    with tempfile.TemporaryDirectory() as folder, redis_process(Path(folder)) as redis:
        servers = {"redis_url": SecretStr(redis.url)}
        with a_round(number, proof, line, on(lambda _: servers)) as one:
            if fault.at_start:
                fault.strike(redis)
            before = len(one.simulator.requests)
            one.goes_well("the first tick", one.tick(timed=fault.at_start))
            one.at(1)
            one.reopen()
            _ticks_through(one, fault, redis, chance.uniform(0, _MOST))
            one.reopen()
            one.goes_well("while it is so", one.tick(timed=True))
            fault.heal(redis)
            one.at(2)
            one.reopen()
            one.goes_well("when it is well again", one.tick())
            asked = len(one.simulator.requests) - before
            one.counted("requests to the operators", asked, len(DATASETS) * (TICKS + 1))
            one.judge()
            _archived_once(one)


def _ticks_through(one: Round, fault: Fault, redis: RedisProcess, after: float) -> None:
    """A tick in the middle of which the fault comes."""
    strike = threading.Timer(after, partial(fault.strike, redis))
    if not fault.at_start:
        strike.start()
    one.goes_well("when it strikes", one.tick(timed=True))
    if not fault.at_start:
        strike.join()


def _archived_once(one: Round) -> None:
    """Each answer lies in the archive once, whatever the registry forgot."""
    for dataset in DATASETS:
        day = dataset.operator.day_of(one.clock())
        verified = ingest.verify(one.another(), dataset, day)
        sentence = f"{dataset.key}: {verified.objects} answers are archived, not {TICKS}"
        one.holds(sentence, where=verified.objects == TICKS)


def redis_faults(proof: FaultTable, rounds: int, *, configured: bool = True) -> None:
    """Every fault of Redis, with a server a round, and all waits as they are."""
    del configured  # nothing is shortened
    for fault in FAULTS:
        line = proof.line(fault.name, SECONDS + WORK)
        proof.play(partial(_fails, fault), line, rounds)
