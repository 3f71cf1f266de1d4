"""Replay of ranges: chunks and processes leave what one process leaves, day by day.

Random histories of three days in two months: prices that are preliminary and final, corrected,
broken, empty, malformed, cut short or gone, merged in part before. They are replayed day by day,
and in another home by chunks and processes: tables, history, quarantine, ledger and refusals must
be the same. Then the same with processes killed at random moments (those that fold, the one that
commits) and the command run again, and with two machines that replay overlapping ranges of one
lake at once.
"""

import datetime as dt
import hashlib
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.accept import Received
from aurum_assets.model.dataset import Envelope
from aurum_assets.model.errors import AurumError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP as LMP
from aurum_assets.resources.archive import ArchiveSettings
from aurum_assets.resources.composition import Resources
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.made import remade
from aurum_assets_tests.proofs.proof import Proof, catalog_at, close, home_at, repeated_keys
from aurum_assets_tests.proofs.prove_idempotence import BROKEN, lmp_record, new_york

DAYS = ("2025-07-30", "2025-07-31", "2025-08-01")
"""A value whose record breaks a rule."""
_FIRST = dt.datetime(2025, 8, 2, 12, tzinfo=dt.UTC)
NOW = dt.datetime(2025, 8, 5, tzinfo=dt.UTC)
_LONGEST, _SOON = 120.0, 10.0

State = Mapping[str, Any]
Content = tuple[tuple[tuple[int, int], int], ...]


@dataclass(frozen=True)
class Arrival:
    """An answer of a day: by (interval, location) a value; None for bytes that are no document."""

    day: str
    minute: int
    finality: str
    content: Content | None

    @property
    def fetched_at(self) -> dt.datetime:
        """The instant of the fetch."""
        return _FIRST + dt.timedelta(minutes=self.minute)

    @property
    def body(self) -> bytes:
        """Its bytes."""
        if self.content is None:
            return f'{{"FiveMinLmps":"{self.day} {self.minute}'.encode()
        records = [_record(self.day, *key, value) for key, value in self.content]
        return json.dumps({"FiveMinLmps": {"FiveMinLmp": records} if records else ""}).encode()


@dataclass(frozen=True)
class History:
    """``before`` came and, on the days ``merged``, was merged; then ``later`` came, and the objects
    ``damaged`` (day, number, whether it is gone or cut short) were lost.
    """

    before: tuple[Arrival, ...]
    later: tuple[Arrival, ...] = ()
    merged: tuple[str, ...] = ()
    damaged: tuple[tuple[str, int, bool], ...] = ()


def _record(day: str, interval: int, location: int, value: int) -> Mapping[str, Any]:
    return lmp_record(new_york(interval, day), location, value)


def random_history(chance: random.Random, most: int = 9) -> History:
    """Few keys and fewer values, so that corrections and repetitions abound."""

    def arrival() -> Arrival:
        keys = [(i, n) for i in range(3) for n in range(2) if chance.random() < 2 / 3]
        content = tuple((key, chance.choice((1, 2, 2, BROKEN))) for key in keys)
        return Arrival(
            chance.choice(DAYS),
            chance.randrange(9),
            chance.choice(("prelim", "prelim", "final")),
            None if chance.random() < 1 / 10 else content,
        )

    arrivals = [arrival() for _ in range(chance.randint(1, most))]
    kept = chance.randint(0, len(arrivals))
    damage = [
        (day, chance.randrange(3), chance.random() < 1 / 2)
        for day in DAYS
        if chance.random() < 1 / 5
    ]
    return History(
        tuple(arrivals[:kept]),
        tuple(arrivals[kept:]),
        tuple(day for day in DAYS if chance.random() < 1 / 2),
        tuple(damage),
    )


def fill(home: Resources, history: History) -> None:
    """Archive and merge what came, and lose what was lost."""
    for arrival in history.before:
        take(home, arrival)
    for day in history.merged:
        with suppress(AurumError):  # nothing came of it
            ingest.normalize(home, LMP, LMP.day(day))
    for arrival in history.later:
        take(home, arrival)
    for day, number, gone in history.damaged:
        held = home.archive.identifiers(LMP.archive_name, day)
        for identifier in held[number : number + 1]:
            place = f"month={day[5:7]}/day={day[8:]}/{identifier}.*gz"
            (path,) = (home.root / "archive" / "sourcing").rglob(place)
            body = path.read_bytes()
            path.unlink()
            if not gone:
                path.write_bytes(body[: len(body) // 2])


def take(home: Resources, arrival: Arrival) -> None:
    """Archive an answer, whatever it holds."""
    if arrival.content is not None:
        received = Received(
            body=arrival.body,
            endpoint="load",
            dialect="live",
            format="json",
            fetched_at=arrival.fetched_at,
            finality=arrival.finality,
            asked=arrival.day,
        )
        ingest.accept(home, LMP, received, force=True)
        return
    hashed = hashlib.sha256(arrival.body).hexdigest()
    envelope = Envelope(
        dataset=LMP.key,
        endpoint="load",
        dialect="live",
        format="json",
        day=arrival.day,
        fetched_at=arrival.fetched_at,
        raw_sha256=hashed,
        content_sha256=hashed,
        finality=arrival.finality,
    )
    home.archive.put(LMP.archive_name, envelope, arrival.body)


def state(home: Resources) -> State:
    """All that a replay leaves."""
    lake = home.lake
    marks = {
        day: home.registry.merged(LMP.key, day, uuid)
        for uuid in [lake.uuid(LMP.table)]
        for day in DAYS
    }
    ledgers = {day: home.registry.ledger(LMP.key, day) for day in DAYS}
    return {
        "table": lake.read(LMP.table),
        "history": lake.read(LMP.table.history),
        "quarantine": lake.read(QUARANTINE),
        "marks": marks,
        "ledgers": {
            day: held and (held.rows, held.history, held.quarantined, held.archived)
            for day, held in ledgers.items()
        },
        "rejected": sorted((r.name, r.reason) for r in home.archive.rejections(LMP.key)),
    }


def differing(one: State, other: State, names: Sequence[str] = ()) -> list[str]:
    """The parts that are not the same."""
    return [
        f"{name}: {one[name]} is not {other[name]}"
        for name in names or one
        if not _same(one[name], other[name])
    ]


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401  parts of a state
    return bool(one.equals(other) if isinstance(one, pl.DataFrame) else one == other)


def day_by_day(home: Resources) -> dict[str, str]:
    """Replay each day by itself; the refusals."""
    refused = {}
    for day in DAYS:
        try:
            ingest.replay(home, LMP, LMP.day(day))
        except AurumError as error:
            refused[day] = str(error)
    return refused


def by_chunks(
    home: Resources, days: Sequence[str] = DAYS, workers: int | None = 2, chunk: int | None = None
) -> dict[str, str]:
    """Replay the days as a range; the refusals."""
    asked = [(LMP, LMP.day(day)) for day in days]
    done = ingest.replay_days(home, asked, workers=workers, chunk=chunk)
    return {one.day.key: str(one.error) for one in done if one.error is not None}


def differences(history: History, workers: int = 2, chunk: int | None = None) -> list[str]:
    """What chunks leave otherwise than single days."""
    with tempfile.TemporaryDirectory() as folder:
        homes = [home_at(Path(folder) / name, NOW) for name in ("days", "chunks")]
        for home in homes:
            fill(home, history)
        days, chunks = homes
        refused = day_by_day(days), by_chunks(chunks, DAYS, workers, chunk)
        found = differing(
            {**state(days), "refused": refused[0]}, {**state(chunks), "refused": refused[1]}
        )
        before = snapshots(chunks)
        by_chunks(chunks, DAYS, 1, chunk)
        if snapshots(chunks) != before:
            found.append("a replay of what the tables hold already made a commit")
        for home in homes:
            close(home.lake)
    return found


def snapshots(home: Resources) -> list[int | None]:
    """The snapshot of each table."""
    tables = [home.lake.find(t) for t in (LMP.table, LMP.table.history, QUARANTINE)]
    return [t.metadata.current_snapshot_id if t is not None else None for t in tables]


# --- killed --------------------------------------------------------------------------------------


def _replay_there(root: Path, workers: int, chunk: int | None) -> None:
    home = home_at(root, NOW)
    by_chunks(home, DAYS, workers, chunk)
    close(home.lake)


def _killed(root: Path, chance: random.Random, *, committer: bool) -> bool:
    """Replay in a process, kill it or one of those that fold for it; whether it came to its end."""
    process = FORKS.Process(target=_replay_there, args=(root, 2, chance.choice((1, 2, None))))
    process.start()
    time.sleep(chance.uniform(1.0, 6.0))
    victims = [process.pid] if committer else sorted(children(process.pid or 0))
    if victims and process.is_alive():
        with suppress(ProcessLookupError):
            os.kill(chance.choice(victims) or 0, signal.SIGKILL)
    process.join(_LONGEST)
    ended = process.exitcode == 0
    process.kill()
    process.join()
    process.close()
    return ended


def children(pid: int) -> Iterator[int]:
    """The processes that fold for ``pid``."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                with suppress(OSError):
                    if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                        yield child


def _nobody_is_left(root: Path) -> bool:
    """Whether the processes that had files of ``root`` open end within some seconds."""
    until = time.monotonic() + _SOON
    while any(_has_open(root)):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _has_open(root: Path) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):
                links = [str(link.readlink()) for link in (folder / "fd").iterdir()]
                if any(link.startswith(str(root)) for link in links):
                    yield int(folder.name)


def prove_killed(proof: Proof, count: int, chance: random.Random) -> None:
    """Kill, run again, compare."""
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            history = random_history(chance, 12)
            homes = [home_at(Path(folder) / name, NOW) for name in ("days", "chunks")]
            for home in homes:
                fill(home, history)
                close(home.lake)
            days, chunks = (home_at(home.root, NOW) for home in homes)
            day_by_day(days)
            committer = bool(number % 2)
            ended = _killed(chunks.root, chance, committer=committer)
            what = "the one that commits" if committer else "one that folds"
            proof.add(f"kills of {what}")
            proof.holds(
                f"round {number}: {what} was killed, and so was the replay",
                where=committer or ended,
            )
            proof.holds(f"round {number}: a process lives on", where=_nobody_is_left(chunks.root))
            by_chunks(chunks, DAYS, chance.choice((1, 2)))
            found = differing(state(days), state(chunks))
            proof.broken += [f"round {number}, {what} killed: {one}" for one in found]
            for home in (days, chunks):
                close(home.lake)


# --- two machines --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """One with a home of its own; archive and lake are in ``shared``."""

    root: Path
    shared: Path

    def home(self) -> Resources:
        """Its resources."""
        return remade(
            home_at(self.root, NOW),
            archive=ArchiveSettings(f"file:{self.shared}/archive"),
            catalog=catalog_at(self.shared / "lake"),
        )


def _replay_on(machine: Machine, days: Sequence[str], chunk: int | None) -> None:
    home = machine.home()
    by_chunks(home, days, 1, chunk)
    close(home.lake)


def prove_two_machines(proof: Proof, count: int, chance: random.Random) -> None:
    """Overlapping ranges of one lake, replayed by two processes at once."""
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            shared = Path(folder) / "shared"
            (shared / "lake").mkdir(parents=True)
            machines = [Machine(Path(folder) / name, shared) for name in ("one", "other")]
            history = random_history(chance, 12)
            alone, home = home_at(Path(folder) / "alone", NOW), machines[0].home()
            history = History(history.before, history.later, history.merged)
            for one in (alone, home):
                fill(one, history)
            day_by_day(alone)
            close(home.lake)
            processes = [
                FORKS.Process(target=_replay_on, args=(m, days, chance.choice((1, 2, None))))
                for m, days in zip(machines, (DAYS[:2], DAYS[1:]), strict=True)
            ]
            for process in processes:
                process.start()
            for process in processes:
                process.join(_LONGEST)
                proof.holds(f"round {number}: a machine failed", where=process.exitcode == 0)
            home = machines[1].home()
            names = ("table", "history", "quarantine", "rejected")
            proof.broken += [
                f"round {number}, two machines: {one}"
                for one in differing(state(alone), state(home), names)
            ]
            twice = repeated_keys(LMP.table, home.lake.read(LMP.table))
            proof.holds(f"round {number}: {twice} rows twice", where=not twice)
            proof.add("rounds of two machines")
            for one in (alone, home):
                close(one.lake)


def prove_replay(histories: int = 60, kills: int = 30, machines: int = 10, seed: int = 0) -> Proof:
    """``histories`` replayed both ways, ``kills``, and rounds of two ``machines``."""
    proof = Proof("ranges replayed by chunks and processes leave what single days leave")
    chance = random.Random(seed)  # noqa: S311  repeatable, no secret
    for number in range(histories):
        history = random_history(chance, 12)
        workers, chunk = (2 if number % 4 == 0 else 1), chance.choice((1, 2, None))
        found = differences(history, workers, chunk)
        proof.broken += [f"history {number}, {workers} workers, chunk {chunk}: {w}" for w in found]
        proof.add("histories")
    prove_killed(proof, kills, chance)
    prove_two_machines(proof, machines, chance)
    return proof


if __name__ == "__main__":
    print(prove_replay())
