"""What every fault's rounds stand on: operators, a home, ticks, and what must be in the tables.

A round collects ticks of three small datasets with a fault in between, lets a run without fault
follow, and compares the tables with those of a home in which nothing went wrong: the operators say
the same at the same instant. Faults and servers are in the modules beside this one.
"""

import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

from aurum_assets import ingest
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.composition import Resources
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.made import remade
from aurum_assets_tests.proofs.proof import Instant, Proof, close, home_at, repeated_keys

DATASETS = (ISONE_SYSTEM_LOAD, ISONE_RT_LMP, MISO_CTS)
TICKS = 3
WORK = 10.0  # seconds that two busy cores may take over collecting and merging one tick

_NOON = dt.datetime(2026, 7, 21, 16, 1, tzinfo=dt.UTC)
_TICK = dt.timedelta(minutes=15)
_STARTS = 5  # rounds begin at so many different instants
_PROVENANCE = ("fetched_at", "raw_sha256")

Tables = Mapping[str, pl.DataFrame]


class Clean(NamedTuple):
    """What a home holds in which nothing went wrong: rows, and how often each was written."""

    tables: Tables
    snapshots: Mapping[str, int]


MakeHome = Callable[[Path, Instant, Mapping[str, str]], Resources]


@dataclass
class Line:
    """One fault's line of the table.

    ``bound``: how many seconds one run may take under the fault. ``messages``: those lost, None
    where there are none to lose. ``attempts``: those that a server counted, against the policy.
    ``kept``: answers cut short whose bytes are kept.
    """

    fault: str
    bound: float
    rounds: int = 0
    rows: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    messages: int | None = None
    longest: float = 0.0
    attempts: int = 0
    policy: int = 0
    refused: int = 0
    kept: int = 0

    def took(self, seconds: float) -> None:
        """Note how long a run took under the fault."""
        self.longest = max(self.longest, seconds)

    def cells(self) -> tuple[str, ...]:
        """The line as it is printed."""
        attempts = f"{self.attempts} of {self.policy}" if self.policy else "-"
        return (
            self.fault,
            str(self.rounds),
            f"{self.rows:,}",
            str(self.lost),
            str(self.doubled),
            str(self.wrong),
            "-" if self.messages is None else str(self.messages),
            str(self.refused),
            f"{self.longest:.1f} of {self.bound:.0f}",
            attempts,
            str(self.kept or "-"),
        )


HEADS = (
    "fault",
    "rounds",
    "rows",
    "lost",
    "doubled",
    "wrong",
    "messages lost",
    "runs refused",
    "longest s of bound",
    "attempts of policy",
    "bytes kept",
)


@dataclass
class FaultTable(Proof):
    """A proof whose counts are a table, a line a fault."""

    lines: list[Line] = field(default_factory=list)

    def line(self, fault: str, bound: float, messages: int | None = None) -> Line:
        """A new line at the end."""
        self.lines.append(Line(fault, bound, messages=messages))
        return self.lines[-1]

    def play(self, a_round: "Play", line: Line, rounds: int) -> None:
        """So many rounds of one line."""
        for number in range(rounds):
            a_round(number, self, line)
            self.add("rounds")

    def __str__(self) -> str:
        rows = [HEADS, *(line.cells() for line in self.lines)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        head, *rest = super().__str__().split("\n")
        for fault, *cells in rows:
            numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            head += "\n    " + "  ".join([fault.ljust(widths[0]), *numbers])
        return "\n".join([head, *rest])


Play = Callable[[int, FaultTable, Line], None]


@dataclass
class Round:
    """A home with its operators and its clock, and the line that the round is counted in."""

    number: int
    proof: Proof
    line: Line
    root: Path
    running: Running
    clock: SetClock
    make: MakeHome
    resources: Resources = field(init=False)

    def __post_init__(self) -> None:
        self.home = self.another()

    def another(self) -> Resources:
        """The home as another process has it."""
        urls = self.running.urls
        return self.make(self.root, self.clock, urls)

    def reopen(self) -> None:
        """Go on as a new process does."""
        close(self.home.lake)
        self.home = self.another()

    @property
    def simulator(self) -> Simulator:
        """Both operators."""
        return self.running.simulator

    def at(self, tick: int) -> None:
        """Set the clock of operators and home to a tick of this round."""
        self.clock.set(instant(self.number, tick))

    def tick(
        self,
        datasets: Sequence[Dataset] = DATASETS,
        *,
        timed: bool = False,
        resources: Resources | None = None,
    ) -> dict[str, AurumError]:
        """Collect and normalize each; our errors by dataset. Any other error breaks the proof."""
        errors: dict[str, AurumError] = {}
        for dataset in datasets:
            began = time.perf_counter()
            try:
                run(resources or self.home, dataset)
            except AurumError as error:
                errors[dataset.key] = error
            except Exception as error:  # noqa: BLE001  whatever it is, it is counted as broken
                what = f"{type(error).__name__}: {error}"
                self.breaks(f"{dataset.key} raised what is none of our errors: {what[:300]}")
            if timed:
                self.line.took(time.perf_counter() - began)
        self.line.refused += len(errors)
        return errors

    def breaks(self, what: str) -> None:
        """Something was not as promised."""
        self.proof.broken.append(f"{self.line.fault}, round {self.number}: {what}")

    def holds(self, what: str, *, where: bool) -> None:
        """Something was not as promised, unless ``where``."""
        if not where:
            self.breaks(what)

    def goes_well(self, what: str, errors: Mapping[str, AurumError]) -> None:
        """Nothing was refused."""
        for key, error in errors.items():
            self.breaks(f"{what}: {key}: {error}")

    def requests(self, match: str, since: int = 0) -> int:
        """How many requests the operators counted whose path holds ``match``."""
        return sum(match in seen.path for seen in self.simulator.requests[since:])

    def counted(self, what: str, found: int, policy: int) -> None:
        """Attempts that a server counted, against the policy."""
        self.line.attempts += found
        self.line.policy += policy
        self.holds(f"{what}: {found} attempts were seen, not {policy}", where=found == policy)

    def judge(self) -> None:
        """The tables against those of a home where nothing went wrong; every object verified."""
        self.reopen()
        found, expected = tables(self.home), clean(self.number % _STARTS).tables
        for name, frame in expected.items():
            self._compare(name, frame, found[name])
        for dataset in DATASETS:
            verified = ingest.verify(self.home, dataset, dataset.operator.day_of(self.clock()))
            for problem in verified.problems:
                self.breaks(f"{dataset.key}: {problem}")
        close(self.home.lake)

    def wrote_once(self) -> None:
        """Each table was committed to as often as where nothing went wrong."""
        found, policy = snapshots(self.home), clean(self.number % _STARTS).snapshots
        for name, count in found.items():
            self.counted(f"commits to {name}", count, policy[name])
        close(self.home.lake)

    def _compare(self, name: str, expected: pl.DataFrame, found: pl.DataFrame) -> None:
        table = _tables()[name]
        key = list(table.key)
        missing = expected.join(found, on=key, how="anti", nulls_equal=True)
        surplus = found.join(expected, on=key, how="anti", nulls_equal=True)
        doubled = repeated_keys(table, found)
        compared = [n for n in table.names if n not in _PROVENANCE]
        one, other = (f.unique(key).sort(key).select(compared) for f in (expected, found))
        same = one.join(other, on=compared, how="anti", nulls_equal=True)
        wrong = len(same) - len(missing) + len(surplus)
        self.line.rows += len(found)
        self.line.lost += len(missing)
        self.line.doubled += doubled
        self.line.wrong += wrong
        sentence = (
            f"{name}: {len(missing)} rows lost, {doubled} doubled, {wrong} wrong of {len(one)}"
        )
        self.holds(sentence, where=not (len(missing) or doubled or wrong))


def run(resources: Resources, dataset: Dataset) -> None:
    """What a tick does for one dataset."""
    collected = ingest.collect(
        resources, dataset, dataset.operator.day_of(resources.now()), feeds=["now"]
    )
    for key in collected.days:
        ingest.normalize(resources, dataset, dataset.day(key))


def instant(number: int, tick: int) -> dt.datetime:
    """When a tick of a round is."""
    return _NOON + (number % _STARTS * TICKS + tick) * _TICK


def tables(resources: Resources) -> Tables:
    """Every table, with all its rows."""
    return {name: resources.lake.read(table) for name, table in _tables().items()}


def snapshots(resources: Resources) -> Mapping[str, int]:
    """How many snapshots the tables of the datasets have."""
    return {d.key: len(resources.lake.table(d.table).metadata.snapshots) for d in DATASETS}


@cache
def _tables() -> Mapping[str, Table]:
    owned = [t for d in DATASETS for t in (d.table, d.table.history)]
    return {t.name: t for t in (*owned, QUARANTINE)}


def at_default(root: Path, now: Instant, urls: Mapping[str, str]) -> Resources:
    """A home on the embedded defaults."""
    return home_at(root, now, urls)


def on(servers: Callable[[Path], Mapping[str, object]]) -> MakeHome:
    """Makes homes on ``servers``: settings of their specification, given the home's folder."""

    def make(root: Path, now: Instant, urls: Mapping[str, str]) -> Resources:
        return remade(home_at(root, now, urls), **servers(root))

    return make


@contextmanager
def a_round(number: int, proof: Proof, line: Line, make: MakeHome = at_default) -> Iterator[Round]:
    """A round on operators and a home of its own."""
    clock = SetClock(instant(number, 0))
    simulator = Simulator(now=clock, limits={}, locations=12, nodes=2, revise=True)
    with tempfile.TemporaryDirectory() as folder, simulator.serve() as running:
        one = Round(number, proof, line, Path(folder) / "home", running, clock, make)
        yield one
        line.rounds += 1
        close(one.home.lake)


@cache
def clean(start: int) -> Clean:
    """The tables after the ticks of a round in which nothing goes wrong."""
    proof = Proof("nothing goes wrong")
    with a_round(start, proof, Line("none", WORK)) as one:
        for tick in range(TICKS):
            one.at(tick)
            one.goes_well("a clean tick", one.tick())
        found = Clean(tables(one.home), snapshots(one.home))
    if proof.broken:
        raise AssertionError(proof.broken[0])
    return found
