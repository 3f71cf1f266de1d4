"""R: ten days of real-time prices, preliminary and final, replayed into a new lake.

    python -m benchmarks.replayed archive PREPARED        makes the archive of the ten days
    python -m benchmarks.replayed replay PREPARED HOME N  replays it with N processes
    python -m benchmarks.replayed commits HOME            commits a month to lakes of 0 and 400 days

The days are the prepared one under other dates. Processes are started, and everything is imported,
before the clock starts. The memory is that of all processes: each page is counted once.
"""

import datetime as dt
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.folding import Folding, Options
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.resources.lake import Lake, Swap
from aurum_assets.resources.maintenance import Ages, maintain_table
from benchmarks.measure import Clock, import_all, median
from benchmarks.prepare import DATE, home_at, lmp_day

_DAYS, _HELD, _CHUNK, _ROUNDS = 10, 400, 31, 5
_FINALS = (("prelim", 0), ("final", 2))  # how many days later they are fetched
_TABLE = ISONE_RT_LMP.table
_EVERY = 0.1
_KILOBYTE = 1024


def write_archive(prepared: Path, days: int = _DAYS) -> dict[str, int]:
    """The archive of ``days`` days, each with the answers of the prepared one, twice."""
    source = home_at(prepared / "replay-source", prepared / "day" / "archive").archive
    target = home_at(prepared / "replay").archive
    folder, size = ISONE_RT_LMP.archive_name, 0
    for identifier in source.identifiers(folder, DATE):
        snapshot = source.snapshot(folder, DATE, identifier)
        for number in range(days):
            day = lmp_day().plus(number)
            body = snapshot.body.replace(DATE.encode(), day.key.encode())
            raw = hashlib.sha256(body).hexdigest()
            for finality, later in _FINALS:
                envelope = replace(
                    snapshot.envelope,
                    day=day.key,
                    asked=day.key,
                    endpoint=f"fiveminutelmp_{finality}_hour",
                    finality=finality,
                    fetched_at=snapshot.envelope.fetched_at + dt.timedelta(days=number + later),
                    raw_sha256=raw,
                    content_sha256=raw,
                )
                size += target.put(folder, envelope, body).bytes
    return {"days": days, "gzip_bytes": size}


class _Timed(Lake):
    """Notes how long commits of days take."""

    seconds: ClassVar[list[float]] = []

    def swap(self, table: Table, swaps: Sequence[Swap]) -> tuple[list[Swap], int | None]:
        start = time.perf_counter()
        done = super().swap(table, swaps)
        if swaps:
            self.seconds.append(time.perf_counter() - start)
        return done


def replay(prepared: Path, root: Path, workers: int) -> dict[str, Any]:
    """Replay the archive with ``workers`` processes; what it took, and the most memory of all."""
    home = home_at(root, prepared / "replay" / "archive")
    home.lake = _Timed.local(root / "lake")
    days = [ISONE_RT_LMP.day(key) for key in home.archive.days(ISONE_RT_LMP.archive_name)]
    folding = Folding(home, workers, Options())
    if workers > 1:
        folding.start()
    clock = Clock()
    rows, cpu = 0, _cpu()
    with _memory() as peak, clock.running():
        for one in ingest.replay_days(
            home, [(ISONE_RT_LMP, day) for day in days], running=folding, chunk=len(days)
        ):
            if one.done is None:
                raise one.error or ValueError(one.day)
            rows += one.done.merged.new
    report = clock.report() | {"rows": rows, "commit": sum(_Timed.seconds), "days": len(days)}
    report |= {"peak_mb": max(peak), "cpu": _cpu() - cpu}
    folding.close()
    return report


@contextmanager
def _memory() -> Iterator[list[float]]:
    """Within the block, look every tenth of a second how much memory this process and those that
    it started take, MB.
    """
    found, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(_EVERY):
            found.append(sum(map(_memory_of, [os.getpid(), *_children()])))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def _children() -> Iterator[int]:
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(OSError):
            yield from map(int, (task / "children").read_text().split())


def _cpu() -> float:
    """CPU seconds that this process and those that it started have used."""
    ticks = 0
    for pid in [os.getpid(), *_children()]:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_of(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * _KILOBYTE / 1e6
    return 0.0


def commits(root: Path, held: int = _HELD, chunk: int = _CHUNK) -> dict[str, Any]:
    """Median seconds of a chunk's commit: into an empty table and ``beside`` ``held`` days; in the
    place of all days of a table (``alone``) and of some ``among`` those held.

    The days that are held were committed one by one, and maintained.
    """
    rows = _few_rows()
    again = rows.with_columns(pl.col("lmp") + 1)
    empty, alone = [], []
    for number in range(_ROUNDS):
        lake = home_at(root / f"empty-{number}").lake
        lake.table(_TABLE)
        empty.append(_swapped(lake, rows, range(chunk)))
        lake = home_at(root / f"alone-{number}").lake
        _fill(lake, rows, chunk)
        alone.append(_swapped(lake, again, range(chunk)))
    full = home_at(root / "full").lake
    _fill(full, rows, held)
    beside = [
        _swapped(full, rows, range(held + n * chunk, held + (n + 1) * chunk))
        for n in range(_ROUNDS)
    ]
    among = [_swapped(full, again, range(n * chunk, (n + 1) * chunk)) for n in range(_ROUNDS)]
    names = ("empty", "beside", "alone", "among")
    return dict(zip(names, map(median, (empty, beside, alone, among)), strict=True))


def _fill(lake: Lake, rows: pl.DataFrame, days: int) -> None:
    """Commit ``rows`` as each of ``days`` days, one by one, and maintain the table."""
    for day in range(days):
        _swapped(lake, rows, [day])
    closed, now = lmp_day().date + dt.timedelta(days=days), dt.datetime.now(dt.UTC)
    maintain_table(lake, _TABLE, closed_before=closed, now=now, ages=Ages(quiet=dt.timedelta()))


def _few_rows() -> pl.DataFrame:
    """A day of one price: what a commit costs does not depend on the rows."""
    day, schema = lmp_day(), _TABLE.schema
    values: Mapping[str, Any] = {
        "operating_day": day.date,
        "interval_start": day.start,
        "interval_end": day.start + dt.timedelta(minutes=5),
        "fetched_at": day.end,
    }
    others = {pl.String(): "x", pl.Float64(): 1.0}
    return pl.DataFrame(
        {name: [values.get(name, others.get(kind))] for name, kind in schema.items()},
        schema=schema,
    )


def _swapped(lake: Lake, rows: pl.DataFrame, days: Sequence[int]) -> float:
    """Write ``rows`` as each of ``days``; the seconds of their commit."""
    swaps = []
    for number in days:
        later = dt.timedelta(days=number)
        partition = {"operating_day": lmp_day().date + later}
        stamps = ("operating_day", "interval_start", "interval_end", "fetched_at")
        frame = rows.with_columns(pl.col(name) + later for name in stamps)
        swaps.append(lake.write(_TABLE, frame, partition, lake.stored(_TABLE, partition)))
    start = time.perf_counter()
    done, _ = lake.swap(_TABLE, swaps)
    seconds = time.perf_counter() - start
    if len(done) != len(swaps):
        msg = f"{len(done)} of {len(swaps)} days were committed"
        raise ValueError(msg)
    return seconds


RUNS: Mapping[str, Callable[..., Mapping[str, Any]]] = {
    "archive": lambda prepared: write_archive(Path(prepared)),
    "replay": lambda prepared, home, workers: replay(Path(prepared), Path(home), int(workers)),
    "commits": lambda home: commits(Path(home)),
}

if __name__ == "__main__":
    if sys.argv[1] == "replay":
        import_all(Path(sys.argv[2]) / "modules.json")
    print(json.dumps(RUNS[sys.argv[1]](*sys.argv[2:])))
