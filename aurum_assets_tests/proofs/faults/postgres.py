"""Postgres, the lake's catalog: killed in the middle of a commit, and a commit's answer lost.

In every tick one dataset's commit meets the fault, at the wire: the connection goes through a proxy
that knows the moment. Each commit must count once, so that the table has as many snapshots as where
nothing went wrong.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from aurum_assets.resources.catalog import catalog_properties
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
from aurum_assets_tests.servers.postgres import Postgres
from aurum_assets_tests.servers.severing import Severing

COMMIT = (b"UPDATE iceberg_tables", b"COMMIT")
FINDING_OUT = 30.0  # seconds that the catalog takes to find out what became of a commit
_AWAY = (0.2, 0.8)  # seconds until a killed server is started again


class Striking(Severing):
    """A wire that calls ``strike`` at the moment, before the bytes are passed on."""

    def __init__(self, port: int, strike: Callable[[], None]) -> None:
        super().__init__(port)
        self._strike = strike

    def _is_the_moment(self, sent: bytes, chunk: bytes) -> bool:
        now = super()._is_the_moment(sent, chunk)
        if now:
            self._strike()
        return now


class Blackout:
    """Kills a server, at once or a few milliseconds later, and starts it again after a while."""

    def __init__(self, postgres: Postgres, beside: ThreadPoolExecutor, seed: int) -> None:
        self._postgres = postgres
        self._beside = beside
        self._chance = random.Random(seed)  # noqa: S311  repeatable, no secret
        self._strikes: list[Future[None]] = []

    def __call__(self) -> None:
        """Kill before the commit arrives (every second time), or while it is being done."""
        later = self._chance.choice((0.0, self._chance.uniform(0, 0.004)))
        self._strikes.append(self._beside.submit(self._strike, later))
        if not later:
            time.sleep(0.1)  # hold the answer back until its client is gone

    def _strike(self, later: float) -> None:
        time.sleep(later)
        self._postgres.kill()
        time.sleep(self._chance.uniform(*_AWAY))
        self._postgres.start()

    def over(self) -> None:
        """Wait until the server is back."""
        for strike in self._strikes:
            strike.result()


def _servers(url: str, root: Path) -> dict[str, object]:
    warehouse = f"file://{root}/lake/warehouse"
    return {"catalog": catalog_properties("sql", url, warehouse, "", home=root, s3={})}


def _database(postgres: Postgres, number: int, name: str) -> str:
    """A fresh database, whose commits outlive a kill (the server itself is set to be quick)."""
    url = postgres.database(f"{name}{number}")
    postgres.execute(f'ALTER DATABASE "{name}{number}" SET synchronous_commit = on')
    return url


def killed(
    postgres: Postgres, beside: ThreadPoolExecutor, number: int, proof: FaultTable, line: Line
) -> None:
    """The server is killed in the middle of a commit, and is back within a second."""
    url = _database(postgres, number, "killed")
    blackout = Blackout(postgres, beside, number)
    with Striking(postgres.port, blackout) as wire:
        through = url.replace(str(postgres.port), str(wire.port))
        with a_round(number, proof, line, on(partial(_servers, through))) as one:
            _play(one, wire, blackout.over)


def answer_lost(postgres: Postgres, number: int, proof: FaultTable, line: Line) -> None:
    """The server commits, and nobody hears of it."""
    url = _database(postgres, number, "lost")
    with Severing(postgres.port) as wire:
        through = url.replace(str(postgres.port), str(wire.port))
        with a_round(number, proof, line, on(partial(_servers, through))) as one:
            _play(one, wire, lambda: None)


def _play(one: Round, wire: Severing, over: Callable[[], None]) -> None:
    one.goes_well("before the fault", one.tick())
    for tick in range(1, TICKS):
        one.at(tick)
        victim = DATASETS[(one.number + tick) % len(DATASETS)]
        wire.cut(*COMMIT)
        one.goes_well("with the fault", one.tick([victim], timed=True))
        over()
        one.goes_well("other datasets", one.tick([d for d in DATASETS if d is not victim]))
        one.goes_well("the next run", one.tick())
    one.holds(f"{wire.cuts} commits met the fault", where=wire.cuts == TICKS - 1)
    one.judge()
    one.wrote_once()


def postgres_faults(proof: FaultTable, rounds: int, *, configured: bool = True) -> None:
    """Both faults, on one server with a database a round."""
    del configured  # nothing is shortened
    # Linux ends the server with the thread that started it: one thread stays until the end.
    with ThreadPoolExecutor(1) as beside, Postgres() as postgres:
        bound = FINDING_OUT + WORK
        line = proof.line("Postgres killed mid-commit", bound)
        proof.play(partial(killed, postgres, beside), line, rounds)
        line = proof.line("Postgres: a commit's answer lost", bound)
        proof.play(partial(answer_lost, postgres), line, rounds)
