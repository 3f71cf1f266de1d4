"""A year of one five-minute table: 24 merges a day, maintenance every day; does a tick stay flat?

    python -m aurum_assets_tests.proofs.prove_year       365 days; 1 where rows are lost or doubled
    python -m aurum_assets_tests.proofs.prove_year 30    the same for as many days

Each merge brings an hour of real-time prices of 12 locations; the last of a day also corrects one
price (into the history) and quarantines one record. Each is archived as an object of its own.

A simulated day lasts as long as its merges take: what maintenance keeps for 24 hours, it keeps here
since the day's first merge. So files age with their real stamps, and nothing is set back.

Times are the best of three (a tick's: the median of a day, in new processes the best of six), in
CPU unless stated otherwise; a look and a status are timed in a home that was just opened, so that
nothing is remembered.
"""

import datetime as dt
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.gaps import find_gaps
from aurum_assets.ingest.watch import look
from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.model.dataset import Envelope
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import fold
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.maintenance import Ages, Maintained, maintain_table
from aurum_assets_tests.proofs.proof import Proof, close, home_at

if TYPE_CHECKING:
    from collections.abc import Callable

_TABLE = ISONE_RT_LMP.table
_TABLES = (_TABLE, _TABLE.history, QUARANTINE)
_FIRST = OperatingDay(dt.date(2025, 1, 1), ISONE_RT_LMP.operator.zone)
_LOCATIONS = 12
_SHOWN = (1, 2, 30, 100, 365)
_ROUNDS = 3
_FRESH = {17, 18, 19, 20, 21, 22}  # hours of a measured day whose merge has a process of its own
_MOST_FOR_STATUS, _MOST_FOR_A_LOOK, _MOST_GROWTH, _MOST_ON_DISK = 1.0, 0.3, 1.2, 1.1
_CHILD = """
import sys, time
from aurum_assets_tests.proofs.prove_year import tick_in_this_process
print(tick_in_this_process(*sys.argv[1:]))
"""


def _day(number: int) -> OperatingDay:
    return _FIRST.plus(number - 1)


def _price(number: int, interval: int, location: int, *, corrected: bool = False) -> float:
    return round(20 + location + interval / 100 + (number % 7) + 500 * corrected, 2)


def prices(number: int, hour: int) -> pl.DataFrame:
    """The rows of an hour (from the day's start) of day ``number``; hour 23 is the day's last."""
    day = _day(number)
    marks = day.marks(FIVE_MINUTES)
    last = len(marks) if hour == 23 else 12 * hour + 12  # noqa: PLR2004  a day of 25 h has 300 marks
    intervals = range(min(12 * hour, last - 1), last)
    rows = [(i, place, _price(number, i, place)) for i in intervals for place in range(_LOCATIONS)]
    if hour == 23:  # noqa: PLR2004  the first price of the day is corrected
        rows.insert(0, (0, 0, _price(number, 0, 0, corrected=True)))
    schema = ["interval", "place", "lmp"]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    starts = pl.Series(marks, dtype=_TABLE.schema["interval_start"])
    fetched = day.start + (hour + 1) * HOUR
    frame = frame.with_columns(
        interval_start=starts.gather(frame["interval"]),
        operating_day=pl.lit(day.date),
        location_id=pl.lit("4") + pl.col("place").cast(pl.String).str.zfill(3),
        location_name=pl.lit(".Z.PLACE"),
        location_type=pl.lit("LOAD ZONE"),
        energy=pl.col("lmp"),
        congestion=pl.lit(0.0),
        loss=pl.lit(0.0),
        finality=pl.lit("prelim"),
        source_timezone=pl.lit(day.zone),
        fetched_at=pl.lit(fetched, dtype=_TABLE.schema["fetched_at"]),
        raw_sha256=pl.lit(f"{number:04d}{hour:02d}"),
    ).with_columns(interval_end=pl.col("interval_start") + FIVE_MINUTES)
    return frame.select(_TABLE.names).sort(_TABLE.order)


def _refused(number: int) -> pl.DataFrame:
    day = _day(number)
    frame = pl.DataFrame(
        {
            "operating_day": [day.date],
            "dataset": [ISONE_RT_LMP.key],
            "received_hash": [f"{number:032d}"],
            "record": ["{}"],
            "rules": ["lmp_is_present"],
            "reason": ["lmp_is_present: lmp=absent"],
            "raw_sha256": ["0"],
        }
    )
    fetched = pl.lit(day.end, dtype=QUARANTINE.schema["fetched_at"])
    return frame.with_columns(fetched_at=fetched).select(QUARANTINE.names)


def tick_in_this_process(root: str, number: str, hour: str) -> str:
    """Merge an hour in a process that knows nothing of the lake: CPU seconds of that merge.

    The libraries are imported by a merge into a lake of its own before.
    """
    frame = prices(int(number), int(hour))
    with tempfile.TemporaryDirectory() as folder:
        warm = Lake.local(Path(folder))
        warm.merge(_TABLE, frame)
        close(warm)
    began = time.process_time()
    lake = Lake.local(Path(root) / "lake")
    lake.merge(_TABLE, frame)
    took = time.process_time() - began
    close(lake)
    return json.dumps({"merge": took, "process": time.process_time()})


def _tick_in_a_new_process(root: Path, number: int, hour: int) -> dict[str, float]:
    command = [sys.executable, "-c", _CHILD, str(root), str(number), str(hour)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  ours
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@dataclass
class Year:
    """A home that lives through days, and what was measured at some of them."""

    root: Path
    number: int = 0
    began: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    measured: dict[int, dict[str, float]] = field(default_factory=dict)
    maintenance: list[float] = field(default_factory=list)
    deleted: int = 0

    def resources(self) -> Resources:
        """A home that was just opened, at the end of the day."""
        return home_at(self.root, _day(self.number).end)

    def live_through(self, resources: Resources, *, measure: bool) -> None:
        """A day of merges, its measures, and maintenance."""
        self.number += 1
        self.began = dt.datetime.now(dt.UTC)
        ticks, fresh = [], []
        for hour in range(24):
            self._archive(resources, hour)
            if measure and hour in _FRESH:
                fresh.append(_tick_in_a_new_process(self.root, self.number, hour))
                continue
            frame, before = prices(self.number, hour), time.process_time()
            resources.lake.merge(_TABLE, frame)
            ticks.append(time.process_time() - before)
        resources.lake.merge(QUARANTINE, _refused(self.number))
        resources.state.delete(f"quarantine-was:{ISONE_RT_LMP.key}")  # it grows every day: no alert
        self.maintain(resources.lake)
        if measure:
            self.measured[self.number] = {
                "tick, warm process, ms": 1000 * statistics.median(ticks),
                "tick, new process, ms": 1000 * min(f["merge"] for f in fresh),
                "the same with imports and a warm-up, ms": 1000 * min(f["process"] for f in fresh),
                **self._looks(),
                **self._sizes(resources.lake),
            }

    def maintain(self, lake: Lake) -> list[Maintained]:
        """Maintain all tables; the day's own files and snapshots are younger than 24 hours."""
        before = time.perf_counter()
        now = dt.datetime.now(dt.UTC)
        ages = Ages(kept=now - self.began, quiet=dt.timedelta())
        closed = _day(self.number).plus(-1).date
        done = [maintain_table(lake, t, closed_before=closed, now=now, ages=ages) for t in _TABLES]
        self.maintenance.append(time.perf_counter() - before)
        self.deleted += sum(sum(m.files_deleted.values()) for m in done)
        return done

    def _archive(self, resources: Resources, hour: int) -> None:
        day, word = _day(self.number), f"{self.number:04d}{hour:02d}"
        at = day.start + (hour + 1) * HOUR
        envelope = Envelope(
            dataset=ISONE_RT_LMP.key,
            endpoint="fiveminutelmp",
            dialect="live",
            format="json",
            day=day.key,
            fetched_at=at,
            raw_sha256=word.zfill(64),
            content_sha256=word.zfill(64),
        )
        resources.archive.put(ISONE_RT_LMP.archive_name, envelope, b"{}")

    def _looks(self) -> dict[str, float]:
        """Seconds on the wall, the best of some homes that were just opened."""
        asked: dict[str, Callable[[Resources], object]] = {
            "status, s": lambda home: ingest.status(home, (ISONE_RT_LMP,)),
            "days(), s": lambda home: home.lake.days(_TABLE),
            "gap look, s": lambda home: find_gaps(home, (ISONE_RT_LMP,)),
            "watch look, s": lambda home: look(home, (ISONE_RT_LMP,)),
        }
        found = {}
        for name, ask in asked.items():
            took = []
            for _ in range(_ROUNDS):
                home = self.resources()
                home.lake.find(_TABLE)  # the catalog is open, as in a sensor
                before = time.perf_counter()
                ask(home)
                took.append(time.perf_counter() - before)
                close(home.lake)
            found[name] = min(took)
        return found

    def _sizes(self, lake: Lake) -> dict[str, float]:
        files = [f for f in (self.root / "lake" / "warehouse").rglob("*") if f.is_file()]
        data = [f for f in files if f.suffix == ".parquet"]
        live, manifests = 0, 0
        for table in _TABLES:
            summary, found = lake.summary(table), lake.find(table)
            live += summary.files if summary else 0
            snapshot = found.current_snapshot() if found else None
            manifests += len(snapshot.manifests(found.io)) if found and snapshot else 0
        since = self.began.timestamp()
        catalog = (self.root / "lake" / "catalog.sqlite").stat().st_size
        state = sum(f.stat().st_size for f in self.root.glob("*.sqlite*"))
        return {
            "data files, live": live,
            "data files, on disk": len(data),
            "of them of the last day": sum(f.stat().st_mtime >= since for f in data),
            "manifests, live": manifests,
            "metadata files, on disk": len(files) - len(data),
            "metadata, KiB": sum(f.stat().st_size for f in files if f not in set(data)) / 1024,
            "catalog, KiB": catalog / 1024,
            "state and other databases of the home, KiB": state / 1024,
        }

    def lost_or_doubled(self, lake: Lake) -> list[str]:
        """What is not as it was merged."""
        days = range(1, self.number + 1)
        broken = []
        rows = lake.read(_TABLE)
        for number in days:
            hours = pl.concat([prices(number, hour) for hour in range(24)])
            expected, _ = fold(_TABLE, hours)
            found = rows.filter(pl.col("operating_day") == _day(number).date)
            if not found.equals(expected):
                broken.append(f"{_day(number)} holds {len(found)} rows, not these {len(expected)}")
        for table in _TABLES[1:]:
            one_a_day = [_day(number).date for number in days]
            held = lake.read(table)["operating_day"].to_list()
            if sorted(held) != one_a_day:
                broken.append(f"{table.name} holds {len(held)} rows of {len(one_a_day)}")
        return broken


def _judge(proof: Proof, measured: dict[int, dict[str, float]]) -> None:
    """Hold the last day against the first, and against the targets."""
    first, last = measured[min(measured)], measured[max(measured)]
    for name in ("tick, warm process, ms", "tick, new process, ms"):
        growth = last[name] / first[name]
        proof.counts[f"times as long as on day 1: {name.removesuffix(', ms')}"] = f"{growth:.2f}"
        proof.holds(f"{name}: {growth:.2f} x day 1", where=growth <= _MOST_GROWTH)
    limits = {"status, s": _MOST_FOR_STATUS, "gap look, s": _MOST_FOR_A_LOOK}
    for name, limit in {**limits, "watch look, s": _MOST_FOR_A_LOOK}.items():
        proof.holds(f"{name}: {last[name]:.2f}, not {limit}", where=last[name] <= limit)
    allowed = _MOST_ON_DISK * last["data files, live"] + last["of them of the last day"]
    on_disk = last["data files, on disk"]
    proof.holds(f"{on_disk:.0f} data files on disk, not {allowed:.0f}", where=on_disk <= allowed)


def table_of(measured: dict[int, dict[str, float]]) -> str:
    """The measures as a table, a column a day."""
    names = list(next(iter(measured.values())))
    head = f"{'day':44}" + "".join(f"{number:>10}" for number in measured)
    lines = [
        f"{name:44}" + "".join(f"{_shown(found[name]):>10}" for found in measured.values())
        for name in names
    ]
    return "\n".join([head, *lines])


def _shown(value: float) -> str:
    return f"{value:,.3f}" if value < 1 and value != int(value) else f"{value:,.0f}"


def prove_year(days: int = 365) -> Proof:
    """Live through ``days`` days; broken where a row is lost or doubled, or a target is missed."""
    with tempfile.TemporaryDirectory() as folder:
        return _lived_through(days, Year(Path(folder)))


def _lived_through(days: int, year: Year) -> Proof:
    proof = Proof(f"{days} days of 24 merges with maintenance every day: flat, and exact")
    logging.getLogger("aurum_assets").setLevel(
        logging.CRITICAL
    )  # finals never come here: an alert, and not ours
    home = home_at(year.root, _day(1).start)
    for number in range(1, days + 1):
        year.live_through(home, measure=number in _SHOWN or number == days)
        proof.add("merges", 24)
    proof.broken += year.lost_or_doubled(home.lake)
    close(home.lake)
    print(table_of(year.measured), flush=True)
    proof.counts["files deleted by maintenance"] = year.deleted
    proof.counts["ms of maintenance a day, three tables, at the end"] = round(
        1000 * statistics.median(year.maintenance[-10:])
    )
    _judge(proof, year.measured)
    return proof


if __name__ == "__main__":
    found = prove_year(*(int(argument) for argument in sys.argv[1:]))
    print(found)
    sys.exit(int(bool(found.broken)))
