"""kill -9: a materialization is killed at random moments, and run again.

Five ways of filling a day, each killed at moments drawn uniformly over the time that it takes:
``assets`` (Dagster materializes every asset, into empty tables), ``first`` (the same through
``ingest`` alone), ``rebuild`` (the same over tables
that hold the day until noon, with prices corrected since), ``ticks`` (live answers one by one),
``load`` (files with broken and restated records). After each kill a reader may see only what a
clean run commits, in whole steps; after the rerun the tables are those of a clean run.
"""

import datetime as dt
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from aurum_assets import ingest
from aurum_assets.graph.assets import raw_asset, table_asset
from aurum_assets.graph.resources import parts_of
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators import DATASETS as EVERY
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.resources.composition import Resources
from aurum_assets.simulator.isone.lmp import lmp_records
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs.proof import Proof, close, home_at, repeated_keys

DATASETS = [d for d in EVERY if d.key in {"isone_rt_lmp", "isone_system_load", "miso_cts"}]
_DAY = "2025-07-14"
_EVENING = dt.datetime(2025, 7, 15, 3, 40, tzinfo=dt.UTC)  # 23:40 in New York: the day is open
_NOON = dt.datetime(2025, 7, 14, 16, 1, tzinfo=dt.UTC)
_LATER = dt.timedelta(minutes=6)
_TICK = dt.timedelta(minutes=5)
_TICKS = 4
_FILES = 6
_LONGEST = 240.0
_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}

Tables = dict[str, pl.DataFrame]
Step = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where a materialization works: a folder, the operators, the files to load, the instant."""

    root: Path
    urls: Mapping[str, str]
    control: str
    files: Path
    now: dt.datetime = _EVENING

    def resources(self, now: dt.datetime | None = None) -> Resources:
        """The home there."""
        return home_at(self.root, now or self.now, self.urls)


def _ahead(place: Place, now: dt.datetime) -> None:
    answer = httpx.post(f"{place.control}/clock", json={"now": now.isoformat()})
    answer.raise_for_status()


def _assets(place: Place, step: Step) -> None:
    import dagster as dg

    home = place.resources()
    for dataset in DATASETS:
        step(f"materializing {dataset.key}")
        assets = [make(dataset, home.config(dataset)) for make in (raw_asset, table_asset)]
        dg.materialize(assets, partition_key=_DAY, resources=parts_of(home), run_config=_QUIET)
    close(home.lake)


def _whole_day(place: Place, step: Step) -> None:
    home = place.resources()
    for dataset in DATASETS:
        day = dataset.day(_DAY)
        step(f"collecting {dataset.key}")
        ingest.collect(home, dataset, day)
        step(f"normalizing {dataset.key}")
        ingest.normalize(home, dataset, day)
    close(home.lake)


def _ticks(place: Place, step: Step) -> None:
    start = dt.datetime(2025, 7, 14, 15, 0, 40, tzinfo=dt.UTC)
    for number in range(_TICKS):
        now = start + number * _TICK
        _ahead(place, now)
        home = place.resources(now)
        for dataset in DATASETS:
            step(f"collecting {dataset.key}")
            ingest.collect(home, dataset, dataset.day(_DAY), feeds=["now"])
            step(f"normalizing {dataset.key}")
            ingest.normalize(home, dataset, dataset.day(_DAY))
        close(home.lake)


def _load(place: Place, step: Step) -> None:
    home = place.resources()
    for number, path in enumerate(sorted(place.files.iterdir())):
        fetched_at = place.now - dt.timedelta(minutes=_FILES - number)
        step(f"loading {path.name}")
        ingest.load(home, ISONE_RT_LMP, [path], fetched_at=fetched_at)
    close(home.lake)


WAYS: Mapping[str, Callable[[Place, Step], None]] = {
    "assets": _assets,
    "first": _whole_day,
    "rebuild": _whole_day,
    "ticks": _ticks,
    "load": _load,
}


def write_files(folder: Path) -> None:
    """Files of LMP records: each overlaps the last, restates a price and brings broken records."""
    folder.mkdir()
    day = ISONE_RT_LMP.day(_DAY)
    for number in range(_FILES):
        records: list[Any] = lmp_records(day, range(number * 6, number * 6 + 12), locations=40)
        records[7]["LmpTotal"] += 0.05 + number  # not the sum of its parts
        del records[9 + number]["BeginDate"]
        for part in ("LmpTotal", "EnergyComponent"):
            records[100][part] += 1 + number  # a restatement, and a sound one
        document = wrapped("FiveMinLmps", "FiveMinLmp", records)
        (folder / f"{number}.json").write_text(json.dumps(document))


def read(resources: Resources) -> Tables:
    """Every table with rows, as a reader sees them now."""
    owned = [table for d in DATASETS for table in (d.table, d.table.history)]
    return {table.name: resources.lake.read(table) for table in (*owned, QUARANTINE)}


def tables(resources: Resources) -> Tables:
    """The same, and the catalog let go."""
    frames = read(resources)
    close(resources.lake)
    return frames


def _work(way: str, place: Place, pipe: Connection) -> None:
    import pandera.polars
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow  # noqa: F401

    del pandera
    pipe.send("ready")
    pipe.recv()
    WAYS[way](place, pipe.send)
    pipe.send("done")


class _Victim:
    """A process that waits, with everything imported, for the signal to begin."""

    def __init__(self, way: str, place: Place) -> None:
        self._pipe, theirs = FORKS.Pipe()
        self._process = FORKS.Process(target=_work, args=(way, place, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.last = ""

    def run(self, seconds: float | None, watch: Callable[[], object] | None = None) -> float:
        """Let it work for ``seconds`` and kill it (to its end where None); the seconds it took.

        ``watch`` is called all the while.
        """
        if not self._pipe.poll(_LONGEST) or self._pipe.recv() != "ready":
            msg = "the process did not start"
            raise RuntimeError(msg)
        began = time.perf_counter()
        self._pipe.send("go")
        if seconds is not None:
            while watch is not None and time.perf_counter() - began < seconds:
                watch()
            time.sleep(max(0.0, began + seconds - time.perf_counter()))
            self._process.kill()
        while self.last != "done":
            try:
                self.last = self._pipe.recv()
            except EOFError:
                break
        took = time.perf_counter() - began
        self._process.join()
        self._process.close()
        return took


@dataclass
class Clean:
    """A clean run: the states of each table after each of its steps, and how long it took."""

    states: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    seconds: float = 0.0

    def note(self, seen: Tables) -> None:
        """Add what is seen now."""
        for name, frame in seen.items():
            known = self.states.setdefault(name, [])
            if not any(frame.equals(one) for one in known):
                known.append(frame)

    @property
    def last(self) -> Tables:
        """The tables at the end."""
        return {name: states[-1] for name, states in self.states.items()}


def _clean(way: str, place: Place, before: Path | None) -> Clean:
    _begin(place, before)
    found = Clean()

    def step(what: str) -> None:
        if not what.startswith("normalizing"):  # there, nothing was committed since the last step
            found.note(tables(place.resources()))

    WAYS[way](place, step)
    found.note(tables(place.resources()))
    _begin(place, before)
    found.seconds = _Victim(way, place).run(None)
    return found


def _begin(place: Place, before: Path | None) -> None:
    """The folder as it was before: empty, or a copy (at the same path: Iceberg's are absolute)."""
    shutil.rmtree(place.root, ignore_errors=True)
    if before is not None:
        shutil.copytree(before, place.root)


@contextmanager
def _ground(locations: int) -> Iterator[tuple[Place, Running, SetClock]]:
    clock = SetClock(_EVENING)
    simulator = Simulator(now=clock, limits={}, locations=locations, revise=True)
    with tempfile.TemporaryDirectory() as folder, simulator.serve() as running:
        files = Path(folder) / "files"
        write_files(files)
        urls = running.urls
        place = Place(Path(folder) / "home", urls, running.control_url, files)
        yield place, running, clock


def prove_kill(
    kills: int = 60, locations: int = 60, seed: int = 0, ways: Sequence[str] = tuple(WAYS)
) -> Proof:
    """``kills`` kills, spread over ``ways``.

    In every second one a reader looks on all the while, and the rerun comes six minutes later.
    """
    proof = Proof(f"{kills} times kill -9: nothing lost, nothing twice, no half day to be seen")
    chance = random.Random(seed)  # noqa: S311  repeatable, no secret
    with _ground(locations) as (place, _, clock):
        for number, way in enumerate(ways):
            before = _until_noon(place, clock) if way == "rebuild" else None
            times = kills // len(ways) + (number < kills % len(ways))
            _prove_way(proof, way, place, before, clock, times, chance)
    return proof


def _until_noon(place: Place, clock: SetClock) -> Path:
    """A home that holds the day until noon, kept aside."""
    _begin(place, None)
    clock.set(_NOON)
    early = Place(place.root, place.urls, place.control, place.files, _NOON)
    _whole_day(early, lambda _: None)
    clock.set(_EVENING)
    kept = place.root.with_name("noon")
    shutil.copytree(place.root, kept)
    return kept


def _prove_way(
    proof: Proof,
    way: str,
    place: Place,
    before: Path | None,
    clock: SetClock,
    times: int,
    chance: random.Random,
) -> None:
    clean = _clean(way, place, before)
    late = Place(place.root, place.urls, place.control, place.files, place.now + _LATER)
    afterwards: Tables = {}
    moved = way in (
        "assets",
        "first",
        "rebuild",
    )  # the others set the instants of their fetches themselves
    if moved and times > 1:
        clock.set(late.now)
        _begin(late, before)
        WAYS[way](late, lambda _: None)
        afterwards = tables(late.resources())
        clock.set(place.now)
    victim = _Victim(way, place)
    for number in range(times):
        _begin(place, before)
        reader = place.resources()

        def watch(resources: Resources = reader) -> None:
            _see(proof, resources, clean, f"{way}, while it runs")

        victim.run(chance.uniform(0, clean.seconds), watch if number % 2 else None)
        close(reader.lake)
        struck = victim.last
        what = f"{way}, killed after {struck!r}"
        proof.add(f"kills while {struck.partition(' ')[0] or 'beginning'}")
        if number + 1 < times:
            victim = _Victim(way, place)
        _look(proof, place, clean, what)
        if moved and number % 2:
            clock.set(late.now)
            WAYS[way](late, lambda _: None)
            clock.set(place.now)
            _compare(proof, tables(late.resources()), afterwards, what, same=_same_content)
        else:
            WAYS[way](place, lambda _: None)
            _compare(proof, tables(place.resources()), clean.last, what, same=_same_rows)
        _verify(proof, place, f"{what} and run again")
        proof.add("kills")


def _look(proof: Proof, place: Place, clean: Clean, what: str) -> None:
    """A reader sees what a clean run commits, in whole steps; every object and row is sound."""
    home = place.resources()
    _see(proof, home, clean, what)
    close(home.lake)
    _verify(proof, place, what)


def _see(proof: Proof, resources: Resources, clean: Clean, what: str) -> None:
    for name, frame in read(resources).items():
        whole = any(frame.equals(state) for state in clean.states[name])
        most = max(map(len, clean.states[name]))
        proof.holds(f"{what}: {name} shows {len(frame)} rows of {most}", where=whole)
        proof.add("looks at a table")


def _verify(proof: Proof, place: Place, what: str) -> None:
    home = place.resources()
    for dataset in DATASETS:
        found = ingest.verify(home, dataset, dataset.day(_DAY))
        proof.broken += [f"{what}: {dataset.key}: {problem}" for problem in found.problems]
        proof.add("objects verified", found.objects)
    close(home.lake)


def _compare(
    proof: Proof,
    found: Tables,
    expected: Tables,
    what: str,
    same: Callable[[Dataset | None, pl.DataFrame, pl.DataFrame], bool],
) -> None:
    datasets = {d.table.name: d for d in DATASETS}
    histories = {d.table.history.name: d.table.history for d in DATASETS}
    for name, frame in found.items():
        dataset = datasets.get(name)
        other = expected[name]
        # a rerun at another instant is another fetch: it has a history of its own
        alike = (name in histories and same is _same_content) or same(dataset, frame, other)
        proof.holds(f"{what}: {name} ends with {len(frame)} rows, not {len(other)}", where=alike)
        table = dataset.table if dataset else histories.get(name, QUARANTINE)
        twice = repeated_keys(table, frame)
        proof.holds(
            f"{what}: {name} ends with {twice} rows whose key is not theirs", where=not twice
        )
        proof.add("rows compared", len(frame))


def _same_rows(dataset: Dataset | None, one: pl.DataFrame, other: pl.DataFrame) -> bool:
    del dataset
    return one.equals(other)


def _same_content(dataset: Dataset | None, one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """As two ways of fetching the same may differ: in provenance, and in documented vintages."""
    return content_of(dataset, one).equals(content_of(dataset, other))


def content_of(dataset: Dataset | None, frame: pl.DataFrame) -> pl.DataFrame:
    """Keys and values without provenance; of documented schedules, the latest vintage alone."""
    if dataset is None:
        return frame.select("received_hash").sort("received_hash")
    if dataset.key != "miso_cts":
        return frame.select(*dataset.table.key, *dataset.table.values).sort(dataset.table.key)
    documented = pl.col("energy").is_not_null()
    live = frame.filter(~documented)
    latest = frame.filter(documented & (pl.col("published_at") == _LATEST))
    values = [n for n in dataset.table.values if n != "published_at"]
    return pl.concat(
        [
            live.select("published_at", "interval_start", "location", *values),
            latest.select(
                pl.lit(None, dtype=frame.schema["published_at"]).alias("published_at"),
                "interval_start",
                "location",
                *values,
            ),
        ]
    ).sort("location", "interval_start", "published_at")


_LATEST = pl.col("published_at").max().over("interval_start", "location")


if __name__ == "__main__":
    print(prove_kill())
