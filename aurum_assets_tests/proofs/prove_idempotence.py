"""Idempotence: whatever the order of arrival, a table day is the fold of its snapshots.

Answers are made by hand, so that their order of arrival is too: duplicates, overlaps, restatements
(A, B, A again), snapshots that come late, broken records, empty answers. An oracle in plain Python,
which shares nothing with the product, keeps its own archive and folds it slowly. Every way to the
table must give the oracle's rows: one by one, all at once, again, replayed, with the warehouse
gone, with the registry gone too, in another order; and a backfill must give the ticks' rows.
"""

import datetime as dt
import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.accept import Received
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import as_of
from aurum_assets.operators import DATASETS
from aurum_assets_tests.proofs.proof import Proof, close, home_at

if TYPE_CHECKING:
    from aurum_assets.model.dataset import Dataset
    from aurum_assets.resources.composition import Resources

DAY = "2025-07-14"
BROKEN = -1
"""A content's value that makes a record which breaks a rule."""
_LOAD = 12_000  # a load of a few megawatts would be taken for one in other units

Content = Mapping[tuple[int, int], int]
Held = tuple[pl.DataFrame, pl.DataFrame]
_FIRST = dt.datetime(2025, 7, 14, 14, tzinfo=dt.UTC)
_LATER = dt.datetime(2025, 7, 15, 12, tzinfo=dt.UTC)
_FIVE = dt.timedelta(minutes=5)
_QUARTER = dt.timedelta(minutes=15)
_DATASETS = {d.key: d for d in DATASETS}
KINDS = ("isone_rt_lmp", "isone_system_load", "miso_cts live", "miso_cts documented")


@dataclass(frozen=True)
class Arrival:
    """An answer: what it says of (interval, location), when and where it was fetched."""

    minute: int
    endpoint: str
    content: tuple[tuple[tuple[int, int], int], ...]

    @property
    def fetched_at(self) -> dt.datetime:
        """The instant of the fetch."""
        return _FIRST + dt.timedelta(minutes=self.minute)


def new_york(interval: int, day: str = "2025-07-14") -> str:
    """When interval ``interval`` after 9:00 begins, as the operator writes it."""
    return f"{day}T{9 + interval // 12:02d}:{interval % 12 * 5:02d}:00.000-04:00"


def _instant(interval: int, every: dt.timedelta = _FIVE) -> dt.datetime:
    return dt.datetime(2025, 7, 14, 13, tzinfo=dt.UTC) + interval * every


def _lmp_record(interval: int, location: int, value: int) -> Any:  # noqa: ANN401
    return lmp_record(new_york(interval), location, value)


def lmp_record(begins: str, location: int, value: int) -> dict[str, Any]:
    """A price of a zone; the parts of one that is ``BROKEN`` do not add up."""
    return {
        "BeginDate": begins,
        "Location": {
            "@LocId": str(4000 + location),
            "@LocType": "LOAD ZONE",
            "$": f".Z.{location}",
        },
        "LmpTotal": value,
        "EnergyComponent": value + (7 if value == BROKEN else 0),
        "CongestionComponent": 0,
        "LossComponent": 0,
    }


def _load_record(interval: int, location: int, value: int) -> Any:  # noqa: ANN401
    del location
    load = BROKEN if value == BROKEN else _LOAD + value
    return {"BeginDate": new_york(interval), "LoadMw": load, "NativeLoad": None}


def _live_record(interval: int, location: int, value: int) -> Any:  # noqa: ANN401
    start = _instant(interval, _QUARTER) - dt.timedelta(hours=5)
    return {
        "CASEAPPROVALDATE": f"2025-07-14 {7 + location}:04:09 AM",
        "SOLUTIONTIME": f"2025-07-14 {start.hour}:{start.minute:02d}:00 AM",
        "PJMFORECASTEDLMP": "x" if value == BROKEN else f"{value}.50",
    }


def _documented_record(interval: int, location: int, value: int) -> Any:  # noqa: ANN401
    start = _instant(interval) - dt.timedelta(hours=5)
    return {
        "timestamp": f"{start:%Y-%m-%dT%H:%M:00}-05:00",
        "interval": f"{start:%H:%M}",
        "node": f"MISO.PJM.INTERFACE{location}",
        "forecastedLMP": {
            "total": value,
            "components": {"energy": value, "congestion": 0, "losses": 0},
            "direction": "export",
        },
        "transactionVolume": {"mwh": value, "direction": "BALANCED"},  # BROKEN is below zero
    }


RECORDS: Mapping[str, Callable[[int, int, int], Any]] = dict(
    zip(KINDS, (_lmp_record, _load_record, _live_record, _documented_record), strict=True)
)


def body_of(kind: str, arrival: Arrival) -> bytes:
    """The answer's bytes."""
    records = [RECORDS[kind](*key, value) for key, value in arrival.content]
    if kind == "isone_rt_lmp":
        tree: Any = {"FiveMinLmps": {"FiveMinLmp": records} if records else ""}
    elif kind == "isone_system_load":
        tree = {"FiveMinSystemLoads": {"FiveMinSystemLoad": records} if records else ""}
    elif kind == "miso_cts live":
        tree = {"RefId": "14-Jul-2025 - Interval 10:00 EST", "Interval": records}
    else:
        published = (arrival.fetched_at - dt.timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%S-05:00")
        metadata = {"operatingDay": DAY, "retrievalTimestamp": published, "dataQuality": "FORECAST"}
        tree = {"data": records, "metadata": metadata}
    return json.dumps(tree).encode()


def _finality(kind: str, arrival: Arrival) -> str | None:
    if kind != "isone_rt_lmp":
        return None
    return "final" if arrival.endpoint == "final" else "prelim"


class Oracle:
    """An archive as a list, and a table as what is left after reading it from front to back."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.kept: list[Arrival] = []

    def accept(self, arrival: Arrival) -> str:
        """``duplicate`` where the newest kept answer to its request says the same."""
        ours = [a for a in self._in_order() if a.endpoint == arrival.endpoint]
        before = [a for a in ours if self._place(a) <= self._place(arrival)]
        if before and before[-1].content == arrival.content:
            return "duplicate"
        if arrival not in self.kept:  # the same bytes of the same instant are one object
            self.kept.append(arrival)
        return "stored"

    def _place(self, arrival: Arrival) -> tuple[dt.datetime, str]:
        raw = hashlib.sha256(body_of(self.kind, arrival)).hexdigest()
        return arrival.fetched_at, raw

    def _in_order(self) -> list[Arrival]:
        return sorted(self.kept, key=self._place)

    def _spoken(self) -> Iterable[Arrival]:
        """The kept answers; documented schedules that repeat the last one are no new vintage."""
        if self.kind != "miso_cts documented":
            yield from self._in_order()
            return
        last = None
        for arrival in self._in_order():
            if arrival.content != last:
                yield arrival
            last = arrival.content

    def rows(self, until: dt.datetime = _LATER) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Key -> (value, fetched_at, raw_sha256): the last value, from where its run began.

        Only what was fetched ``until`` then is looked at.
        """
        found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for arrival in self._spoken():
            if arrival.fetched_at > until:
                break
            for (interval, location), value in arrival.content:
                if value == BROKEN:
                    continue
                key = self._key(arrival, interval, location)
                if key not in found or found[key][0] != self._value(value):
                    found[key] = (self._value(value), *self._place(arrival))
        return found

    def quarantine(self) -> dict[str, tuple[Any, ...]]:
        """Broken record -> (fetched_at, raw_sha256) of the first answer that held it."""
        found: dict[str, tuple[Any, ...]] = {}
        for arrival in self._spoken():
            for key, value in arrival.content:
                if value == BROKEN:
                    record = json.dumps(RECORDS[self.kind](*key, value), separators=(",", ":"))
                    found.setdefault(record, self._place(arrival))
        return found

    def _value(self, value: int) -> float:
        return float(value) + {"miso_cts live": 0.5, "isone_system_load": _LOAD}.get(self.kind, 0.0)

    def _key(self, arrival: Arrival, interval: int, location: int) -> tuple[Any, ...]:
        if self.kind == "isone_rt_lmp":
            return (_instant(interval), str(4000 + location), _finality(self.kind, arrival))
        if self.kind == "isone_system_load":
            return (_instant(interval),)
        if self.kind == "miso_cts live":
            approved = dt.datetime(2025, 7, 14, 12 + location, 4, 9, tzinfo=dt.UTC)
            return (approved, _instant(interval, _QUARTER), "PJM")
        return (arrival.fetched_at, _instant(interval), f"MISO.PJM.INTERFACE{location}")

    def latest(self) -> Content:
        """(interval, location) -> the last value that was published: what a backfill would get."""
        found: dict[tuple[int, int], int] = {}
        for arrival in self._spoken():
            found |= {key: value for key, value in arrival.content if value != BROKEN}
        return found


class Desk:
    """The product in a folder of its own."""

    def __init__(self, kind: str, root: Path) -> None:
        self.kind, self.root = kind, root
        self.dataset: Dataset = _DATASETS[kind.partition(" ")[0]]
        self.day = self.dataset.day(DAY)
        self.home: Resources = home_at(root, _LATER)

    def accept(self, arrival: Arrival, *, force: bool = False) -> str:
        """Take an answer into the archive."""
        received = Received(
            body=body_of(self.kind, arrival),
            endpoint=arrival.endpoint,
            dialect="documented" if self.kind.endswith("documented") else "live",
            format="json",
            fetched_at=arrival.fetched_at,
            finality=_finality(self.kind, arrival),
            asked=DAY,
        )
        return ingest.accept(self.home, self.dataset, received, force=force).outcome

    def objects(self) -> int:
        """How many snapshots of the day are archived."""
        return len(self.home.archive.identifiers(self.dataset.archive_name, DAY))

    def normalize(self) -> None:
        """Bring the archive into the table."""
        ingest.normalize(self.home, self.dataset, self.day)

    def table(self) -> pl.DataFrame:
        """All rows and columns."""
        return self.home.lake.read(self.dataset.table)

    def held(self) -> Held:
        """The table and its history."""
        return self.table(), self.home.lake.read(self.dataset.table.history)

    def rows(self, until: dt.datetime | None = None) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """As ``Oracle.rows``, from the table or, of an instant, from table and history.

        A key that stands twice would be lost here, so ``differs`` counts.
        """
        table, frame = self.dataset.table, self.table()
        if until is not None:
            before = self.home.lake.read(table.history).select(table.names)
            frame = as_of(table, pl.concat([frame, before]).lazy(), until).collect()
        value = "load" if self.kind == "isone_system_load" else "lmp"
        frame = frame.select(*table.key, value, "fetched_at", "raw_sha256")
        width = len(table.key)
        return {row[:width]: row[width:] for row in frame.iter_rows()}

    def quarantine(self) -> dict[str, tuple[Any, ...]]:
        """As ``Oracle.quarantine``."""
        frame = self.home.lake.read(QUARANTINE).select("record", "fetched_at", "raw_sha256")
        return {row[0]: row[1:] for row in frame.iter_rows()}

    def differs(self, oracle: Oracle, after: str) -> list[str]:
        """What is not as the oracle has it."""
        found = []
        rows, expected = self.rows(), oracle.rows()
        if rows != expected:
            keys = [k for k in {**rows, **expected} if rows.get(k) != expected.get(k)]
            first = keys[0]
            found.append(
                f"{after}: {len(keys)} of {len(expected)} rows differ, {first}: "
                f"{rows.get(first)}, not {expected.get(first)}"
            )
        found += [
            f"{after}: as of {instant} the table is not what was known then"
            for instant in sorted({a.fetched_at for a in oracle.kept})
            if self.rows(instant) != oracle.rows(instant)
        ]
        if len(self.table()) != len(rows):
            found.append(f"{after}: a key stands twice")
        if self.quarantine() != oracle.quarantine():
            found.append(
                f"{after}: quarantine holds {self.quarantine()}, not {oracle.quarantine()}"
            )
        if self.quarantine_twice():
            found.append(f"{after}: a record stands twice in quarantine")
        return found

    def quarantine_twice(self) -> bool:
        """Whether quarantine holds one record more than once."""
        return len(self.home.lake.read(QUARANTINE)) != len(self.quarantine())

    def forget(self, *, registry: bool) -> None:
        """Delete the warehouse (and the registry), and open the home anew."""
        close(self.home.lake)
        shutil.rmtree(self.root / "lake")
        if registry:
            for path in self.root.glob("state.sqlite*"):
                path.unlink()
        self.home = home_at(self.root, _LATER)

    def close(self) -> None:
        """Let go of the catalog."""
        close(self.home.lake)


def differences(kind: str, arrivals: Sequence[Arrival], order: Sequence[int]) -> list[str]:
    """What is not as promised when ``arrivals`` come; ``order`` is another order of theirs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        found, table = _one_by_one(Desk(kind, root / "one by one"), arrivals)
        found += _at_once(Desk(kind, root / "at once"), arrivals, table)
        found += _in_another_order(Desk(kind, root / "order"), arrivals, order)
        found += _as_backfill(kind, root, arrivals)
    return found


def _accept(desk: Desk, oracle: Oracle, arrival: Arrival) -> list[str]:
    outcome, again = desk.accept(arrival), arrival in oracle.kept
    expected = oracle.accept(arrival)
    found = [] if again or outcome == expected else [f"{arrival} was {outcome}, not {expected}"]
    objects = desk.objects()
    if objects != len(oracle.kept):
        found.append(f"{arrival} left {objects} objects, not {len(oracle.kept)}")
    return found


def _one_by_one(desk: Desk, arrivals: Sequence[Arrival]) -> tuple[list[str], Held]:
    """Each arrival brought into the table at once; again; replayed; after losses."""
    oracle = Oracle(desk.kind)
    found: list[str] = []
    for number, arrival in enumerate(arrivals):
        found += _accept(desk, oracle, arrival)
        desk.normalize()
        found += desk.differs(oracle, f"arrival {number}")
    table = desk.held()
    for arrival in list(oracle.kept):
        found += _accept(desk, oracle, arrival)
        desk.normalize()
    found += _same(desk, table, "collected again")
    replayed = ingest.replay(desk.home, desk.dataset, desk.day)
    if replayed.merged.snapshot_id is not None:
        found.append("a replay of what the table holds already made a commit")
    found += _same(desk, table, "replayed")
    desk.forget(registry=False)
    desk.normalize()
    found += _same(desk, table, "the warehouse deleted, normalized")
    desk.forget(registry=True)
    ingest.replay(desk.home, desk.dataset, desk.day)
    found += _same(desk, table, "warehouse and registry deleted, replayed")
    found += desk.differs(oracle, "everything")
    found += ingest.verify(desk.home, desk.dataset, desk.day).problems
    desk.close()
    return found, table


def _same(desk: Desk, held: Held, after: str) -> list[str]:
    names = ("table", "history")
    pairs = zip(names, desk.held(), held, strict=True)
    return [f"{after}: the {n} is another one" for n, now, then in pairs if not now.equals(then)]


def _at_once(desk: Desk, arrivals: Sequence[Arrival], table: Held) -> list[str]:
    """All archived first: the same snapshots, so all columns are the same."""
    oracle = Oracle(desk.kind)
    found: list[str] = []
    for arrival in arrivals:
        found += _accept(desk, oracle, arrival)
    desk.normalize()
    found += desk.differs(oracle, "all at once")
    found += _same(desk, table, "all at once")
    desk.close()
    return found


def _in_another_order(desk: Desk, arrivals: Sequence[Arrival], order: Sequence[int]) -> list[str]:
    """Every answer archived whatever was archived before, in another order."""
    oracle = Oracle(desk.kind)
    oracle.kept = list(dict.fromkeys(arrivals))
    for number, index in enumerate(order):
        desk.accept(arrivals[index], force=True)
        if number % 2:
            desk.normalize()
    desk.normalize()
    found = desk.differs(oracle, f"in the order {list(order)}")
    desk.close()
    return found


def _as_backfill(kind: str, root: Path, arrivals: Sequence[Arrival]) -> list[str]:
    """Ticks in their order, and one answer that holds at the end what they all held."""
    ticks, oracle = Desk(kind, root / "ticks"), Oracle(kind)
    found: list[str] = []
    for arrival in sorted(arrivals, key=lambda a: (a.endpoint, a.minute)):
        if arrival.endpoint == "now":
            found += _accept(ticks, oracle, arrival)
            ticks.normalize()
    day = Desk(kind, root / "backfill")
    content = tuple(sorted(oracle.latest().items()))
    day.accept(Arrival(600, "day", content))
    day.normalize()
    if not _content_of(ticks).equals(_content_of(day)):
        found.append("a backfill says something else than the ticks")
    ticks.close()
    day.close()
    return found


def _content_of(desk: Desk) -> pl.DataFrame:
    """Keys and values; of documented schedules the latest vintage, without its date."""
    table = desk.table()
    if desk.kind != "miso_cts documented":
        names = desk.dataset.table.key + desk.dataset.table.values
        return table.select(names).sort(desk.dataset.table.key)
    newest = pl.col("published_at") == pl.col("published_at").max().over(
        "interval_start", "location"
    )
    without = ("published_at", "fetched_at", "raw_sha256")
    return table.filter(newest).drop(without).sort("interval_start", "location")


def random_arrivals(chance: random.Random, most: int = 6) -> list[Arrival]:
    """Answers over few keys and fewer values, so that restatements and repetitions abound."""
    found: list[Arrival] = []
    for _ in range(chance.randint(2, most)):
        if found and chance.random() < 1 / 4:
            found.append(chance.choice(found))
            continue
        keys = [(i, n) for i in range(3) for n in range(2) if chance.random() < 2 / 3]
        content = tuple((key, chance.choice((1, 2, 2, BROKEN))) for key in keys)
        if found and chance.random() < 1 / 3:
            content = chance.choice(found).content
        endpoint = chance.choice(("now", "now", "day", "final"))
        found.append(Arrival(chance.randrange(8), endpoint, content))
    return found


def prove_idempotence(count: int = 60, seed: int = 0) -> Proof:
    """``count`` random histories, through every way to the table."""
    proof = Proof(f"{count} histories of arrivals, each through nine ways: one table, the oracle's")
    for number in range(count):
        chance = random.Random(f"{seed}-{number}")  # noqa: S311  repeatable, no secret
        kind = KINDS[number % len(KINDS)]
        arrivals = only_one_location(kind, random_arrivals(chance))
        order = chance.sample(range(len(arrivals)), len(arrivals))
        found = differences(kind, arrivals, order)
        proof.broken += [f"history {number} of {kind}: {what}" for what in found]
        proof.add("histories")
        proof.add("arrivals", len(arrivals))
        proof.add("of them late", _late(arrivals))
    return proof


def only_one_location(kind: str, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """System load has no location: two values of one interval would contradict each other."""
    if kind != "isone_system_load":
        return list(arrivals)
    return [
        Arrival(a.minute, a.endpoint, tuple((k, v) for k, v in a.content if k[1] == 0))
        for a in arrivals
    ]


def _late(arrivals: Sequence[Arrival]) -> int:
    newest, late = -1, 0
    for arrival in arrivals:
        late += arrival.minute < newest
        newest = max(newest, arrival.minute)
    return late


if __name__ == "__main__":
    print(prove_idempotence())
