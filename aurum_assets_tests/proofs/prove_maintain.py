"""Maintenance is killed (kill -9) again and again, beside two writers and a reader.

The writers add an interval to a day that is open and one to a day that is closed (so maintenance
rewrites it under their hands), and correct a price of it now and then, which goes to the history.
One of them is as on another machine: it waits for nobody, and commits beside the maintenance.
The reader reads the whole table all the time, and now and then keeps a snapshot for a while before
it reads it. The 24 hours of maintenance are a few seconds here, so that files go while all this
happens. Afterwards one run that nobody kills leaves no file that nothing refers to and that is
older than that, as pyiceberg's own lists of a table's files tell.
"""

import datetime as dt
import queue
import random
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from aurum_assets.model.clock import OperatingDay
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.maintenance import Ages, Maintained, maintain_table
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs.proof import (
    Proof,
    close,
    frame_of,
    lake_at,
    repeated_keys,
    values_of,
)

_TABLE = ISONE_SYSTEM_LOAD.table
_TABLES = (_TABLE, _TABLE.history)
_FIRST = OperatingDay(dt.date(2025, 4, 1), ISONE_SYSTEM_LOAD.operator.zone)
_FIXED, _PARTS, _PART = 3, 4, 5  # days that nobody writes any more: merges, intervals a merge
_CLOSED_BEFORE = dt.date(2025, 9, 1)
_A_DAY = 60  # rounds of a writer until it goes on to its next day
_CORRECTED_EVERY = 5
_LONGEST = 240.0
_ENOUGH = 10  # kills, of which some must come after a finished run


@dataclass(frozen=True)
class Place:
    """Where the lake is, and what stands for 24 hours there."""

    root: Path
    kept: float

    def lake(self, *, locked: bool = True) -> Lake:
        """The lake there; without ``locked``, as another machine sees it."""
        return lake_at(self.root, locked=locked)

    def maintain(self, lake: Lake) -> list[Maintained]:
        """Maintain all tables once."""
        now = dt.datetime.now(dt.UTC)
        ages = Ages(dt.timedelta(seconds=self.kept), dt.timedelta(seconds=self.kept / 20))
        return [
            maintain_table(lake, t, closed_before=_CLOSED_BEFORE, now=now, ages=ages)
            for t in _TABLES
        ]


def _closed(writer: int, number: int) -> OperatingDay:
    return _FIRST.plus(10 + 60 * writer + number // _A_DAY)


def _open(writer: int, number: int) -> OperatingDay:
    return _FIRST.plus(200 + 60 * writer + number // _A_DAY)


def _corrected(number: int) -> float | None:
    """The value that round ``number`` gives to the first interval of its closed day."""
    return 1_000.0 + number if number % _CORRECTED_EVERY == _CORRECTED_EVERY - 1 else None


def _write(place: Place, writer: int, go: Event, done: Event, out: Any) -> None:  # noqa: ANN401  mp's queue
    lake = place.lake(locked=writer == 0)
    lake.find(_TABLE)
    go.wait(_LONGEST)
    errors = []
    number = 0
    while not done.is_set() or number < 2 * _CORRECTED_EVERY:
        found = {number % _A_DAY: float(number)}
        correction = _corrected(number)
        more = {} if correction is None else {0: correction}
        try:
            for day, values in (
                (_open(writer, number), found),
                (_closed(writer, number), found | more),
            ):
                lake.merge(_TABLE, frame_of(ISONE_SYSTEM_LOAD, day, values, fetched=number))
        except Exception as error:  # noqa: BLE001  whatever it is, it is counted as broken
            errors.append(f"merge {number} of writer {writer}: {type(error).__name__}: {error}")
            break
        number += 1
        time.sleep(0.05)
    out.put((f"writer {writer}", number, errors))
    close(lake)


def _look(place: Place, go: Event, done: Event, out: Any) -> None:  # noqa: ANN401  mp's queue
    lake = place.lake()
    go.wait(_LONGEST)
    errors: list[str] = []
    before: set[tuple[Any, ...]] = set()
    looks = 0
    while not done.is_set():
        try:
            frame = lake.read(_TABLE)
            if looks % 5 == 0:
                held = lake.table(_TABLE)
                time.sleep(place.kept / 4)
                rows = held.scan().to_arrow().num_rows
                if rows < len(frame):
                    errors.append(f"a snapshot kept for a while gave {rows} of {len(frame)} rows")
        except Exception as error:  # noqa: BLE001  whatever it is, it is counted as broken
            errors.append(f"a reader met {type(error).__name__}: {error}")
            break
        errors += _seen(frame, before)
        looks += 1
    out.put(("looks", looks, errors))
    close(lake)


def _seen(frame: Any, before: set[tuple[Any, ...]]) -> list[str]:  # noqa: ANN401  a frame
    """What is wrong with what a reader saw; ``before`` grows by it."""
    errors = []
    if repeated_keys(_TABLE, frame):
        errors.append("a reader saw a key twice")
    for number in range(_FIXED):
        found = values_of(frame, _FIRST.plus(number))
        if found != _whole():
            errors.append(f"a reader saw {len(found)} rows of a closed day")
    now = set(frame.select(_TABLE.key).rows())
    if before - now:
        errors.append(f"a reader saw {len(before - now)} rows go")
    before |= now
    return errors


def _whole() -> list[tuple[int, float]]:
    return [(n, float(n)) for n in range(_PARTS * _PART)]


def _maintain(place: Place, pipe: Connection) -> None:
    lake = place.lake()
    lake.find(_TABLE)
    pipe.send("ready")
    pipe.recv()
    while True:
        try:
            for done in place.maintain(lake):
                pipe.send((done.days_rewritten, sum(done.files_deleted.values()), ""))
        except Exception as error:  # noqa: BLE001  whatever it is, it is counted as broken
            pipe.send((0, 0, f"maintenance met {type(error).__name__}: {error}"))


class _Victim:
    """A process that maintains again and again once it is started."""

    def __init__(self, place: Place) -> None:
        self._pipe, theirs = FORKS.Pipe()
        self._process = FORKS.Process(target=_maintain, args=(place, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def killed_after(self, seconds: float) -> tuple[int, int, list[str]]:
        """Let it work for ``seconds`` and kill it: days rewritten, files deleted, what it met."""
        if not self._pipe.poll(_LONGEST) or self._pipe.recv() != "ready":
            msg = "the process did not start"
            raise RuntimeError(msg)
        self._pipe.send("go")
        time.sleep(seconds)
        self._process.kill()
        self._process.join(_LONGEST)
        reports = []
        try:
            while self._pipe.poll():
                reports.append(self._pipe.recv())
        except (EOFError, ConnectionResetError):
            pass  # all of its reports are read
        errors = [error for _, _, error in reports if error]
        return sum(days for days, _, _ in reports), sum(files for _, files, _ in reports), errors


def prove_maintain(kills: int = 30, kept: float = 8.0) -> Proof:
    """``kills`` kills of maintenance, each at a random moment, beside two writers and a reader.

    ``kept``: the seconds that stand for 24 hours.
    """
    proof = Proof("maintenance killed beside writers and a reader: no row lost, none twice")
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), kept)
        lake = place.lake()
        for number in range(_FIXED):
            for part in range(_PARTS):
                found = {n: float(n) for n in range(part * _PART, (part + 1) * _PART)}
                lake.merge(_TABLE, frame_of(ISONE_SYSTEM_LOAD, _FIRST.plus(number), found))
        rounds = _run(proof, place, kills)
        for what in ("closed days rewritten before them", "files deleted before them"):
            met = bool(proof.counts[what]) or kills < _ENOUGH
            proof.holds(f"no {what}, so nothing was proved", where=met)
        _judge_rows(proof, lake, rounds)
        _judge_files(proof, place, lake)
        close(lake)
    return proof


def _run(proof: Proof, place: Place, kills: int) -> dict[str, int]:
    go, done = FORKS.Event(), FORKS.Event()
    out = FORKS.Queue()
    beside = [
        FORKS.Process(target=_write, args=(place, number, go, done, out)) for number in (0, 1)
    ]
    beside.append(FORKS.Process(target=_look, args=(place, go, done, out)))
    for process in beside:
        process.start()
    moments = random.Random(kills)  # noqa: S311  where it is killed is no secret
    following = _Victim(place)
    go.set()
    for number in range(kills):
        victim = following
        if number + 1 < kills:
            following = _Victim(place)  # it starts meanwhile
        days, deleted, errors = victim.killed_after(moments.uniform(0.05, place.kept / 2.5))
        proof.broken += errors
        proof.add("kills")
        proof.add("closed days rewritten before them", days)
        proof.add("files deleted before them", deleted)
    done.set()
    rounds = {}
    try:
        for _ in beside:
            what, count, errors = out.get(timeout=_LONGEST)
            rounds[what] = count
            proof.add(what, count)
            proof.broken += errors
    except queue.Empty:
        proof.broken.append("a process gave no answer")
    for process in beside:
        process.join(_LONGEST)
        proof.holds(f"a process ended with {process.exitcode}", where=process.exitcode == 0)
    return rounds


def _judge_rows(proof: Proof, lake: Lake, rounds: dict[str, int]) -> None:
    frame, history = lake.read(_TABLE), lake.read(_TABLE.history)
    corrections = 0
    for writer in (0, 1):
        count = rounds.get(f"writer {writer}", 0)
        opened: dict[OperatingDay, dict[int, float]] = {}
        closed: dict[OperatingDay, dict[int, float]] = {}
        for number in range(count):
            opened.setdefault(_open(writer, number), {})[number % _A_DAY] = float(number)
            values = closed.setdefault(_closed(writer, number), {})
            values[number % _A_DAY] = float(number)
            correction = _corrected(number)
            if correction is not None:
                values[0] = correction
                corrections += 1
        for day, values in (*opened.items(), *closed.items()):
            found = values_of(frame, day)
            what = f"{day} of writer {writer} holds {len(found)} of {len(values)} rows"
            proof.holds(what, where=found == sorted(values.items()))
    held = len(history)
    proof.holds(f"{held} of {corrections} corrected rows are kept", where=held == corrections)
    proof.holds("a key stands twice", where=not repeated_keys(_TABLE, frame))
    proof.holds("nothing was written, so nothing was proved", where=corrections > 0)
    proof.add("rows, each exact", len(frame) + held)


def _judge_files(proof: Proof, place: Place, lake: Lake) -> None:
    time.sleep(place.kept)
    limit = time.time() - place.kept
    place.maintain(lake)
    for table in _TABLES:
        root = Path(lake.uri(table).removeprefix("file://"))
        old = {p for p in root.rglob("*") if p.is_file() and p.stat().st_mtime < limit}
        left = old - _referenced(lake, table)
        proof.holds(f"{table.name}: {len(left)} old files lie about", where=not left)
        proof.add("files left", sum(p.is_file() for p in root.rglob("*")))
        days = lake.table(table).inspect.partitions().to_pylist()
        several = [p for p in days if p["file_count"] > 1 and _is_closed(p["partition"])]
        proof.holds(f"{table.name}: {len(several)} closed days in pieces", where=not several)


def _is_closed(partition: dict[str, Any]) -> bool:
    return bool(partition["operating_day"] < _CLOSED_BEFORE)


def _referenced(lake: Lake, table: Any) -> set[Path]:  # noqa: ANN401  a table of ours
    """The files that the table's snapshots and metadata name, by pyiceberg's inspections."""
    found = lake.table(table)
    names: list[str] = [
        found.metadata_location,
        *(entry.metadata_file for entry in found.metadata.metadata_log),
        *(snapshot.manifest_list for snapshot in found.metadata.snapshots),
        *found.inspect.all_manifests()["path"].to_pylist(),
        *found.inspect.all_files()["file_path"].to_pylist(),
    ]
    return {Path(name.removeprefix("file://")) for name in names}


if __name__ == "__main__":
    print(prove_maintain())
