"""Faults: every server fails in every way that it knows, and the tables are those of a clean run.

A table, a line a fault: rounds, rows lost, doubled and wrong, messages lost, runs that gave up with
a sentence of ours, the longest run with its bound, and the attempts that a server counted against
the policy.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs.faults.ground import FaultTable
from aurum_assets_tests.proofs.faults.kafka import kafka_faults
from aurum_assets_tests.proofs.faults.operators import operator_faults
from aurum_assets_tests.proofs.faults.postgres import postgres_faults
from aurum_assets_tests.proofs.faults.redis import redis_faults
from aurum_assets_tests.proofs.faults.s3 import s3_faults

# The longest first, since two are played at a time.
SERVERS: Mapping[str, Callable[..., None]] = {
    "operator": operator_faults,
    "s3": s3_faults,
    "kafka": kafka_faults,
    "redis": redis_faults,
    "postgres": postgres_faults,
}
_AT_ONCE = 2  # most of the time is waiting


def prove_faults(
    rounds: int = 10, servers: Sequence[str] = tuple(SERVERS), *, configured: bool = True
) -> FaultTable:
    """``rounds`` of every fault of ``servers``; with ``configured``, the true waits as well."""
    promise = "every server fails in every way: nothing lost, nothing twice, bounded time"
    proof = FaultTable(promise)
    play = partial(_play, rounds=rounds, configured=configured)
    if len(servers) > 1:
        with ProcessPoolExecutor(_AT_ONCE, FORKS) as beside:
            played = list(beside.map(play, servers))
    else:
        played = [play(server) for server in servers]
    for one in played:
        proof.lines += one.lines
        proof.broken += one.broken
        proof.add("rounds", int(one.counts["rounds"]))
    for line in proof.lines:
        late = line.longest > line.bound
        proof.holds(f"{line.fault}: {line.longest:.1f} s, above its bound", where=not late)
    return proof


def _play(server: str, rounds: int, *, configured: bool) -> FaultTable:
    """The lines of one server, which may be played in a process of their own."""
    logging.getLogger("aurum_assets").setLevel(
        logging.CRITICAL
    )  # what is provoked need not be logged
    proof = FaultTable(server)
    SERVERS[server](proof, rounds, configured=configured)
    return proof


if __name__ == "__main__":
    print(prove_faults())
