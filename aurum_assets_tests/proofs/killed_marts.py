"""``kill -9`` of ``aurum marts``: the same command again goes on, and builds what one build gives.

    python -m aurum_assets_tests.proofs.killed_marts [KILLS [SEED]]    a part of the proof ``marts``

A home has some days of four months. Some builds find no marts; the others find marts of sources
that were corrected since, so that each day is replaced. Each build is killed again and again at
random moments of the time that it takes, until one comes to its end. After each kill a day of a
mart is as it was before or as it will be, never in between; a chunk that was finished is not built
again; in the end marts and histories equal those of a build that nothing disturbed, and no file is
left that such a build does not leave.
"""

import contextlib
import datetime as dt
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import polars as pl

from aurum_assets.marts.build import build
from aurum_assets.marts.builds import BUILDS
from aurum_assets.marts.tables import MARTS
from aurum_assets.operators.isone.lmp import ISONE_RT_HOURLY_LMP
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs.proof import Proof, close, home_at
from aurum_assets_tests.proofs.repeated_market import fill

_FIRST = dt.date(2025, 1, 30)
_DAYS = [_FIRST + dt.timedelta(days=n) for n in (0, 1, 27, 28, 58, 59, 88, 89)]
_COMMAND = ("marts", "--start-date", f"{_DAYS[0]}", "--end-date", f"{_DAYS[-1]}")
_MISO_HOURS = 4
_KILLS_OF_A_BUILD = 4
_LONGEST = 240.0
_CORRECTED = ISONE_RT_HOURLY_LMP.table
_TABLES = [table for mart in MARTS for table in (mart, mart.history)]
_OF_A_BUILD = ("computed_at", "made_from", "superseded_at")

_NOTHING = pl.DataFrame()

Days = Mapping[dt.date, pl.DataFrame]
Tables = dict[str, Days]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _work(root: Path, scratch: Path, pipe: Connection) -> None:
    """Wait with all imported, then be the command."""
    import dbt.adapters.duckdb
    import dbt.cli.main

    from aurum_assets.cli import main

    del dbt
    os.environ["AURUM_HOME"], tempfile.tempdir = str(root), str(scratch)
    pipe.send("ready")
    pipe.recv()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            main(_COMMAND, standalone_mode=False)
        except SystemExit as end:
            pipe.send(end.code)


def _run(root: Path, scratch: Path, kill_after: float | None = None) -> tuple[object, float]:
    """The exit code of the command (None where it was killed) and the seconds that it took."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=_work, args=(root, scratch, theirs), daemon=True)
    process.start()
    theirs.close()
    if not ours.poll(_LONGEST) or ours.recv() != "ready":
        msg = "the process did not start"
        raise RuntimeError(msg)
    began = time.monotonic()
    ours.send("go")
    if not ours.poll(kill_after):
        process.kill()
    code = None
    with contextlib.suppress(EOFError):
        code = ours.recv()
    took = time.monotonic() - began
    process.join()
    process.close()
    return code, took


@dataclass
class _Place:
    """A home, and the folder of temporary files; ``before``: a copy of the home as it began."""

    root: Path
    scratch: Path
    before: Path
    held: Tables = field(default_factory=dict)
    clean: Tables = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    seconds: float = 0.0
    began: dt.datetime = field(default_factory=_now)

    def begin(self) -> None:
        """The home as it began, at the same path: Iceberg's are absolute."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.before, self.root)

    def marts(self) -> Tables:
        """The marts and their histories as a reader sees them now, by day."""
        home = home_at(self.root, _now)
        found = {table.name: _by_day(home.lake.read(table)) for table in _TABLES}
        close(home.lake)
        return found

    def finished(self) -> pl.DataFrame:
        """What was noted of days that were built since the first kill was under way."""
        home = home_at(self.root, _now)
        found = home.lake.read(BUILDS).filter(pl.col("built_at") > self.began)
        close(home.lake)
        return found

    def left(self) -> set[str]:
        """The files beside lake and state: of builds, and temporary ones."""
        found = [*(self.root / "marts").rglob("*"), *self.scratch.rglob("*")]
        return {str(file.relative_to(self.root.parent)) for file in found}


def _by_day(rows: pl.DataFrame) -> Days:
    values = rows.drop(_OF_A_BUILD, strict=False).sort(pl.all())
    parts = values.partition_by("operating_day")
    return {part["operating_day"][0]: part for part in parts}


def prove_killed(proof: Proof, folder: Path, kills: int, seed: int = 0) -> None:
    """Kill builds ``kills`` times, half of them of marts that are there already."""
    chance = random.Random(seed)  # noqa: S311  repeatable, no secret
    for again in (False, True):
        name = "again" if again else "first"
        root = folder / name / "home"
        place = _Place(root, folder / name / "tmp", folder / name / "before")
        place.scratch.mkdir(parents=True)
        _prepare(proof, place, again=again)
        done = 0
        while done < kills // 2:
            place.begin()
            done += _kill(proof, name, place, chance, min(_KILLS_OF_A_BUILD, kills // 2 - done))


def _prepare(proof: Proof, place: _Place, *, again: bool) -> None:
    """The home, and what a build that nothing disturbs makes of it."""
    home = home_at(place.root, _now)
    proof.add("source rows of the builds to be killed", fill(home.lake, _DAYS, _MISO_HOURS))
    if again:
        for built in build(home, _DAYS):
            proof.broken += [f"{name}: {why}" for name, why in built.failed.items()]
        rows = home.lake.read(_CORRECTED)
        more = [pl.col(name) + 1 for name in ("lmp", "energy")]
        fetched = pl.col("fetched_at") + dt.timedelta(days=1)
        for part in rows.with_columns(*more, fetched).partition_by("operating_day"):
            home.lake.merge(_CORRECTED, part)
    close(home.lake)
    shutil.copytree(place.root, place.before)
    place.held = place.marts()
    code, place.seconds = _run(place.root, place.scratch)
    proof.holds(f"a build that nothing disturbs ends with {code}", where=code == 0)
    place.clean, place.files = place.marts(), place.left()
    changed = [t.name for t in _TABLES if not _equal(place.held[t.name], place.clean[t.name])]
    proof.holds("a build changes nothing", where=bool(changed))


def _kill(proof: Proof, name: str, place: _Place, chance: random.Random, most: int) -> int:
    """Kill one build up to ``most`` times, then let it end; returns how often it was killed."""
    place.began = _now()
    finished = place.finished()
    for number in range(most):
        done = finished["operating_day"].n_unique()
        until = chance.uniform(0, (1 - done / len(_DAYS)) * place.seconds)
        if _run(place.root, place.scratch, until)[0] is not None:
            most = number
            break
        proof.add("kills of a build of marts")
        what = f"{name}, killed after {until:.1f} s at {done} of {len(_DAYS)} days"
        finished = _goes_on(proof, what, place, finished)
        _see(proof, what, place, finished)
    what = f"{name}, after {most} kills"
    code, _ = _run(place.root, place.scratch)
    proof.holds(f"{what}: ends with {code}", where=code == 0)
    _goes_on(proof, what, place, finished)
    found = place.marts()
    for table in _TABLES:
        same = _equal(found[table.name], place.clean[table.name])
        proof.holds(f"{what}: {table.name} ends otherwise", where=same)
        proof.add("rows of marts compared", sum(map(len, found[table.name].values())))
    more = sorted(place.left() - place.files)
    proof.holds(f"{what}: {len(more)} files are left, {more[:3]}", where=not more)
    return most


def _goes_on(proof: Proof, what: str, place: _Place, finished: pl.DataFrame) -> pl.DataFrame:
    """Nothing that was ``finished`` was built again; returns what is finished now."""
    now = place.finished()
    again = len(finished.join(now, on=finished.columns, how="anti"))
    proof.holds(f"{what}: {again} days of marts were built again", where=not again)
    proof.add("days of marts that were finished and not built again", len(finished))
    return now


def _see(proof: Proof, what: str, place: _Place, finished: pl.DataFrame) -> None:
    """Each day of each table is as before or as it will be; of a finished one, as it will be."""
    ready, stored, found = set(finished["operating_day"]), 0, place.marts()
    for table in _TABLES:
        before, after = place.held[table.name], place.clean[table.name]
        for day in _DAYS:
            rows = found[table.name].get(day, _NOTHING)
            then = after.get(day, _NOTHING)
            is_new = rows.equals(then)
            whole = is_new or (day not in ready and rows.equals(before.get(day, _NOTHING)))
            proof.holds(f"{what}: {table.name} {day} has {len(rows)} rows", where=whole)
            proof.add("days of a table looked at after a kill")
            stored += is_new and day not in ready and not then.equals(before.get(day, _NOTHING))
    proof.add("kills between the commits of a month", int(stored > 0))


def _equal(one: Days, other: Days) -> bool:
    return one.keys() == other.keys() and all(one[day].equals(other[day]) for day in one)


def _main() -> int:
    proof = Proof("A build of marts that is killed goes on where it was")
    with tempfile.TemporaryDirectory() as folder:
        prove_killed(proof, Path(folder), *map(int, sys.argv[1:] or ["12"]))
    print(proof)
    return int(bool(proof.broken))


if __name__ == "__main__":
    sys.exit(_main())
