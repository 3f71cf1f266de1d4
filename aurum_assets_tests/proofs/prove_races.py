"""Races: several processes merge into one table while a day is rewritten beside them.

Four kinds of keys: written alike by several processes (one of them must count it as new, and only
one), written differently (one of the values must stay, once), a day of a process's own, and a
closed day that another process rewrites all the time. A reader reads meanwhile.
"""

import datetime as dt
import queue
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.errors import AurumError
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.lake import Lake
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs.proof import (
    Proof,
    close,
    frame_of,
    lake_at,
    repeated_keys,
    union,
    values_of,
)

_TABLE = ISONE_SYSTEM_LOAD.table
_SHARED = OperatingDay(dt.date(2025, 7, 14), ISONE_SYSTEM_LOAD.operator.zone)
_CLOSED = _SHARED.plus(-1)
_CONTESTED = 287
_EDITIONS = (dict.fromkeys(range(288), 1.0), dict.fromkeys(range(288), 2.0))
_STEP, _WIDTH = 6, 40
_LONGEST = 240.0


@dataclass(frozen=True)
class Place:
    """Where the race is, and whether the writers of this machine use locks."""

    root: Path
    locked: bool
    url: str = ""


def _own(worker: int) -> OperatingDay:
    return _SHARED.plus(1 + worker)


def _shared_keys(worker: int, number: int) -> range:
    """Overlapping windows: neighbours in time and in process write the same keys."""
    first = number * _STEP + worker * 3
    return range(first, first + _WIDTH)


def _lake(place: Place) -> Lake:
    return lake_at(place.root, place.url, locked=place.locked)


def _merge(place: Place, worker: int, merges: int, go: Event, out: Any) -> None:  # noqa: ANN401  mp's queue
    lake = _lake(place)
    lake.find(_TABLE)
    go.wait(_LONGEST)
    found, errors = [], []
    for number in range(merges):
        shared = {key: float(key) for key in _shared_keys(worker, number)}
        shared[_CONTESTED] = 1_000.0 * worker + number
        who = f"{worker}.{number}"
        own = {number: float(number), number + 1: float(number + 1)}
        frames = (
            ("shared", frame_of(ISONE_SYSTEM_LOAD, _SHARED, shared, who=who)),
            ("own", frame_of(ISONE_SYSTEM_LOAD, _own(worker), own, who=who)),
        )
        for kind, frame in frames:
            try:
                merged = lake.merge(_TABLE, frame)
            except Exception as error:  # noqa: BLE001  whatever it is, it is counted as broken
                errors.append(f"{kind} merge {who}: {type(error).__name__}: {error}")
            else:
                found.append((kind, merged.new, merged.attempts))
    out.put(("merges", found, errors))
    close(lake)


def _rewrite(place: Place, go: Event, done: Event, out: Any) -> None:  # noqa: ANN401  mp's queue
    lake = _lake(place)
    lake.find(_TABLE)
    go.wait(_LONGEST)
    found, errors = [], []
    number = 0
    while not done.is_set():
        number += 1
        frame = frame_of(ISONE_SYSTEM_LOAD, _CLOSED, _EDITIONS[number % 2], fetched=number)
        try:
            merged = lake.replace(_TABLE, frame, {"operating_day": _CLOSED.date})
        except Exception as error:  # noqa: BLE001  whatever it is, it is counted as broken
            errors.append(f"rewrite {number}: {type(error).__name__}: {error}")
        else:
            found.append(("rewrite", merged.changed, merged.attempts))
        time.sleep(0.02 if place.locked else 0.3)
    out.put(("rewrites", found, errors))
    close(lake)


def _look(place: Place, go: Event, done: Event, out: Any) -> None:  # noqa: ANN401  mp's queue
    lake = _lake(place)
    lake.find(_TABLE)
    go.wait(_LONGEST)
    found, errors = [], []
    editions = [list(edition.items()) for edition in _EDITIONS]
    before: set[int] = set()
    while not done.is_set():
        try:
            frame = lake.read(_TABLE)
        except (AurumError, OSError) as error:
            errors.append(f"a reader met {type(error).__name__}: {error}")
            continue
        if repeated_keys(_TABLE, frame):
            errors.append("a reader saw a key twice")
        if values_of(frame, _CLOSED) not in editions:
            errors.append(f"a reader saw {len(values_of(frame, _CLOSED))} rows of the closed day")
        now = {number for number, _ in values_of(frame, _SHARED)}
        if before - now:
            errors.append(f"a reader saw {len(before - now)} rows go")
        before = now
        found.append(("look", 0, 1))
        time.sleep(0.05)
    out.put(("looks", found, errors))
    close(lake)


def prove_races(
    workers: int = 4,
    merges: int = 10,
    untaken: int = 5,
    database: Callable[[], str] = str,
) -> Proof:
    """``workers`` processes with ``merges`` merges a day each, a rewriter and a reader beside.

    Once as on one machine, whose writers use locks, and once with ``untaken`` merges as on
    several, where only the optimistic loop protects the table; 0 leaves that race out. The catalog
    is a SQLite file, or Postgres where ``database`` gives the address of a fresh one.
    """
    proof = Proof(f"{workers} processes write one table at once: all succeed, no row lost or twice")
    for locked, count in ((True, merges), (False, untaken)):
        if not count:
            continue
        with tempfile.TemporaryDirectory() as folder:
            place = Place(Path(folder), locked, database())
            lake = _lake(place)
            lake.merge(_TABLE, frame_of(ISONE_SYSTEM_LOAD, _CLOSED, _EDITIONS[0]))
            found = _run(proof, place, workers, count)
            _judge(proof, lake, found, workers, count)
            close(lake)
            how = "with locks" if locked else "without locks"
            most = max((attempts for _, _, attempts in found), default=0)
            proof.counts[f"most attempts of one commit, {how}"] = most
            alone = not locked and workers > 1 and most == 1
            proof.holds("the writers never met, so nothing was proved", where=not alone)
    return proof


def _run(proof: Proof, place: Place, workers: int, merges: int) -> list[tuple[str, int, int]]:
    go, done = FORKS.Event(), FORKS.Event()
    out = FORKS.Queue()
    beside = [FORKS.Process(target=f, args=(place, go, done, out)) for f in (_rewrite, _look)]
    writers = [
        FORKS.Process(target=_merge, args=(place, w, merges, go, out)) for w in range(workers)
    ]
    for process in [*beside, *writers]:
        process.start()
    go.set()
    found: list[tuple[str, int, int]] = []
    try:
        for number in range(workers + len(beside)):
            if number == workers:
                done.set()
            what, results, errors = out.get(timeout=_LONGEST)
            proof.add(what, len(results))
            proof.broken += errors
            found += results
    except queue.Empty:
        proof.broken.append("a process gave no answer")
    done.set()
    for process in [*beside, *writers]:
        process.join(_LONGEST)
        proof.holds(f"a process ended with {process.exitcode}", where=process.exitcode == 0)
    return found


def _judge(
    proof: Proof, lake: Lake, found: list[tuple[str, int, int]], workers: int, merges: int
) -> None:
    frame = lake.read(_TABLE)
    text = union(_shared_keys(w, n) for w in range(workers) for n in range(merges))
    shared = values_of(frame, _SHARED)
    plain = [(number, value) for number, value in shared if number != _CONTESTED]
    exact = sorted((key, float(key)) for key in text)
    proof.holds(f"the shared day holds {len(plain)} rows, not {len(exact)}", where=plain == exact)
    contested = [value for number, value in shared if number == _CONTESTED]
    claims = {1_000.0 * w + n for w in range(workers) for n in range(merges)}
    one = len(contested) == 1 and contested[0] in claims
    proof.holds(f"the contested key holds {contested}", where=one)
    for worker in range(workers):
        mine = values_of(frame, _own(worker))
        own = [(n, float(n)) for n in range(merges + 1)]
        proof.holds(
            f"day of process {worker} holds {len(mine)} of {len(own)} rows", where=mine == own
        )
    new = sum(n for kind, n, _ in found if kind == "shared")
    expected = len(text) + 1
    proof.holds(f"{new} rows were reported as new, not {expected}", where=new == expected)
    proof.holds("a key stands twice", where=not repeated_keys(_TABLE, frame))
    proof.add("rows, each exact", len(frame))
    for kind, count in (("shared", workers * merges), ("own", workers * merges)):
        went = sum(k == kind for k, _, _ in found)
        proof.holds(f"{went} of {count} {kind} merges succeeded", where=went == count)


if __name__ == "__main__":
    print(prove_races())
