"""S3, where the raw archive lies: SlowDown, errors, resets amid a put, damaged and slow answers.

One dataset's requests meet the fault, first every time: what cannot be archived waits in the spool,
what cannot be read in the archive, and the next run brings it into the table. That one meets the
fault so seldom that a request gets through by its third try.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aurum_assets.resources.archive import ArchiveSettings
from aurum_assets.resources.objects import quiet_until
from aurum_assets_tests.proofs.faults.ground import (
    DATASETS,
    WORK,
    FaultTable,
    Line,
    Round,
    a_round,
    on,
)
from aurum_assets_tests.servers.s3 import S3Server

TRIES = 3
SECONDS = 30.0  # that one request may take, tries and waits together
_FOR_EVER = 10_000


@dataclass(frozen=True)
class Fault:
    """A way of S3 to fail. ``method``: of which requests; ``seconds``: how slow it is.

    ``tries``: how often a request is made that fails every time; 0 where it succeeds all the same.
    """

    name: str
    kind: str
    method: str = "PUT"
    tries: int = TRIES
    seconds: float = 0.0


FAULTS = (
    Fault("S3 503 SlowDown", "503"),
    Fault("S3 500", "500"),
    Fault("S3 reset mid-put", "reset"),
    Fault("S3 puts, and its answer is lost", "swallow"),
    Fault("S3 corrupt get", "corrupt", "GET"),
    Fault("S3 slow", "slow", "", tries=0, seconds=0.3),
)
SILENT = Fault("S3 silent, all as configured", "slow", seconds=9.0)


@contextlib.contextmanager
def _s3() -> Iterator[S3Server]:
    """A server with a bucket, and credentials for it in the environment."""
    before = dict(os.environ)
    with S3Server() as server:
        server.make_bucket("raw")
        os.environ.update(server.environment)
        try:
            yield server
        finally:
            os.environ.clear()
            os.environ.update(before)


def _servers(server: S3Server, prefix: str, root: Path) -> dict[str, object]:
    del root
    archive = f"s3://raw/{prefix}"
    return {"archive": ArchiveSettings(archive, server.url, "us-east-1")}


def _fails(server: S3Server, fault: Fault, number: int, proof: FaultTable, line: Line) -> None:
    prefix = f"{fault.name.lower().replace(' ', '-').replace(',', '')}/{number}"
    with a_round(number, proof, line, on(partial(_servers, server, prefix))) as one:
        victim = DATASETS[number % len(DATASETS)]
        others = [d for d in DATASETS if d is not victim]
        path = f"sourcing/{victim.archive_name}/"
        meets = partial(
            server.fail, fault.kind, method=fault.method, match=path, seconds=fault.seconds
        )
        one.goes_well("before the fault", one.tick())
        one.at(1)
        meets(_FOR_EVER)
        before = len(server.seen)
        errors = one.tick([victim], timed=True)
        time.sleep(2 if fault is SILENT else 0)  # until the server, too, is done with the last try
        found = sum(s.fault == fault.kind for s in server.seen[before:])
        quiet_until.clear()  # as for another process, or a minute later
        one.goes_well("other datasets", one.tick(others))
        _lasted(one, fault, victim.key in errors, found)
        server.heal()
        quiet_until.clear()
        one.reopen()
        one.at(2)  # nobody asks again for what was answered at 1
        times = 1 + number % (TRIES - 1) if fault.tries and fault is not SILENT else 0
        if times:
            meets(times)
        before = server.count("PUT", match=path)
        one.goes_well("the next run", one.tick(timed=True))
        found = server.count("PUT", match=path) - before
        again = times + (fault.kind not in {"swallow", "slow"}) if fault.method == "PUT" else 0
        one.counted("puts of the next run", found, 1 + again)
        one.judge()


def _lasted(one: Round, fault: Fault, refused: bool, found: int) -> None:  # noqa: FBT001  a fact
    if fault.tries:
        one.counted(f"{fault.method or 'requests'}, for ever", found, fault.tries)
        one.holds("the run did not say so", where=refused or fault.kind == "corrupt")
    else:
        one.holds("a slow answer is an answer", where=not refused)


def s3_faults(proof: FaultTable, rounds: int, *, configured: bool = True) -> None:
    """Every fault of S3, on one server with a folder a round; with ``configured``, silence too."""
    with _s3() as server:
        for fault in FAULTS:
            line = proof.line(fault.name, SECONDS + WORK)
            proof.play(partial(_fails, server, fault), line, rounds)
        if configured:
            line = proof.line(SILENT.name, SECONDS + WORK)
            proof.play(partial(_fails, server, SILENT), line, 1)
