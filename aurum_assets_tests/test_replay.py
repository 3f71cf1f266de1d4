"""Replay of ranges: chunks, processes, what others do meanwhile, and what is left after a kill."""

import fcntl
import logging
import os
import pickle
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aurum_assets import ingest
from aurum_assets.ingest import checkpoint, folding, rebuild
from aurum_assets.ingest.folding import Folding, Options
from aurum_assets.ingest.rebuild import Folded, fold_day
from aurum_assets.ingest.replay import Replayed, chunks
from aurum_assets.model.errors import LakeUnreachable
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP as LMP
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Lake, Stored, Swap
from aurum_assets_tests.proofs.proof import Proof, close, home_at
from aurum_assets_tests.proofs.prove_idempotence import BROKEN
from aurum_assets_tests.proofs.prove_replay import (
    DAYS,
    NOW,
    Arrival,
    History,
    by_chunks,
    children,
    day_by_day,
    differences,
    differing,
    fill,
    prove_killed,
    prove_two_machines,
    snapshots,
    state,
    take,
)

KEYS = st.tuples(st.integers(0, 2), st.integers(0, 1))
CONTENTS = st.dictionaries(KEYS, st.sampled_from([1, 2, BROKEN]), max_size=4).map(
    lambda said: tuple(sorted(said.items()))
)
ARRIVALS = st.builds(
    Arrival,
    st.sampled_from(DAYS),
    st.integers(0, 6),
    st.sampled_from(["prelim", "final"]),
    st.one_of(CONTENTS, CONTENTS, CONTENTS, st.none()),
)
DAMAGE = st.tuples(st.sampled_from(DAYS), st.integers(0, 2), st.booleans())
HISTORIES = st.builds(
    History,
    st.lists(ARRIVALS, max_size=4).map(tuple),
    st.lists(ARRIVALS, min_size=1, max_size=4).map(tuple),
    st.sets(st.sampled_from(DAYS)).map(lambda days: tuple(sorted(days))),
    st.lists(DAMAGE, max_size=1).map(tuple),
)
ASKED = [(LMP, LMP.day(day)) for day in DAYS]


def prices(day: str, minute: int, *values: int, finality: str = "prelim") -> Arrival:
    """An answer with a value each location."""
    content = tuple(((0, location), value) for location, value in enumerate(values))
    return Arrival(day, minute, finality, content)


ORDINARY = History(tuple(prices(day, 0, 1, 2) for day in DAYS))
EVERYTHING = History(
    before=(
        prices(DAYS[0], 0, 1, 2),
        prices(DAYS[0], 1, 2, BROKEN),
        prices(DAYS[1], 0, 1, 1),
        prices(DAYS[1], 1, 2, 2),
    ),
    later=(
        prices(DAYS[0], 2, 1, 2),
        prices(DAYS[0], 3, 3, BROKEN, finality="final"),
        Arrival(DAYS[0], 4, "prelim", None),
        Arrival(DAYS[2], 0, "prelim", ()),
        prices(DAYS[2], 1, 1, 2),
    ),
    merged=DAYS[:2],
    damaged=((DAYS[1], 1, True),),
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Resources]:
    found = home_at(tmp_path / "home", NOW)
    yield found
    close(found.lake)


@settings(
    max_examples=5,  # make prove has sixty
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(HISTORIES, st.sampled_from([1, 2, None]))
def test_chunks_leave_what_single_days_leave(history: History, chunk: int | None) -> None:
    assert differences(history, 1, chunk) == []


@pytest.mark.slow
def test_processes_leave_what_one_leaves() -> None:
    assert differences(EVERYTHING, 2) == []


@pytest.mark.slow
def test_a_replay_killed_anywhere_and_run_again_leaves_what_a_clean_one_leaves() -> None:
    proof = Proof("short")
    prove_killed(proof, 2, random.Random(3))  # noqa: S311  repeatable, no secret
    assert proof.broken == []


@pytest.mark.slow
def test_two_machines_replay_overlapping_ranges_of_one_lake_at_once() -> None:
    proof = Proof("short")
    prove_two_machines(proof, 1, random.Random(3))  # noqa: S311  repeatable, no secret
    assert proof.broken == []


# --- chunks --------------------------------------------------------------------------------------


def test_a_chunk_is_a_calendar_month_or_so_many_days() -> None:
    days = [LMP.day(day) for day in DAYS]
    assert [len(part) for part in chunks(days, None)] == [2, 1]
    assert [len(part) for part in chunks(days, 1)] == [1, 1, 1]
    assert [len(part) for part in chunks(days, 7)] == [3]


class Watched(Lake):
    """Does ``act`` before each commit of days, and notes the table and how many days."""

    def __init__(self, home: Resources, *act: Callable[[], object]) -> None:
        vars(self).update(vars(Lake.local(home.root / "lake")))
        self.act = list(act)
        self.commits: list[tuple[str, int]] = []
        home.lake = self

    def swap(self, table: Table, swaps: Sequence[Swap]) -> tuple[list[Swap], int | None]:
        if swaps:
            self.commits.append((table.name, len(swaps)))
            if self.act:
                self.act.pop(0)()
        return super().swap(table, swaps)


def test_a_chunk_is_one_commit_a_table(home: Resources) -> None:
    fill(home, EVERYTHING)
    lake = Watched(home)
    assert list(by_chunks(home, workers=1, chunk=3)) == [DAYS[1]], "its bytes are gone"
    assert lake.commits == [(LMP.table.history.name, 1), (LMP.table.name, 2)]


def test_the_lock_is_held_for_the_commit_alone(home: Resources) -> None:
    fill(home, ORDINARY)
    file, seen = home.root / "locks" / f"{LMP.key}.lock", []
    Watched(home, lambda: seen.append(_is_free(file)))
    told = ingest.replay_days(
        home, ASKED[:2], workers=1, tell=lambda _: seen.append(_is_free(file))
    )
    assert all(one.error is None for one in told)
    assert seen == [True, True, False]


def _is_free(path: Path) -> bool:
    if not path.exists():
        return True
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


# --- others, meanwhile ---------------------------------------------------------------------------


def merge_on_another_machine(home: Resources, arrival: Arrival) -> None:
    """What another machine does: it has a lock and a registry of its own."""
    other = home_at(home.root.with_name("other"), NOW)
    other.archive, other.lake = home.archive, Lake.local(home.root / "lake")
    take(other, arrival)
    ingest.normalize(other, LMP, LMP.day(arrival.day))
    close(other.lake)


LATE = prices(DAYS[1], 3, 2, 2)


def values_of(home: Resources, day: str) -> list[float]:
    rows = home.lake.read(LMP.table, {"operating_day": LMP.day(day).date})
    return list(rows["lmp"])


def test_a_day_that_another_machine_changed_is_folded_again_and_the_others_are_committed(
    home: Resources, tmp_path: Path
) -> None:
    fill(home, ORDINARY)
    lake = Watched(home, lambda: merge_on_another_machine(home, LATE))
    assert by_chunks(home, workers=1, chunk=3) == {}
    assert lake.commits[0] == (LMP.table.name, 3)
    clean = home_at(tmp_path / "clean", NOW)
    fill(clean, ORDINARY)
    take(clean, LATE)
    day_by_day(clean)
    assert differing(state(clean), state(home)) == []
    close(clean.lake)


def test_a_day_whose_archive_grew_is_folded_again(home: Resources) -> None:
    fill(home, ORDINARY)
    folded: list[str] = []

    def tell(what: str) -> None:
        folded.append(what)
        if len(folded) == 3:
            take(home, LATE)

    lake = Watched(home)
    done = list(ingest.replay_days(home, ASKED, workers=1, chunk=3, tell=tell))
    assert all(one.error is None for one in done)
    table = LMP.table.name
    assert lake.commits == [(table, 2), (LMP.table.history.name, 1), (table, 1)]
    assert values_of(home, DAYS[1]) == [2, 2]


def test_what_was_written_too_long_ago_is_written_again(home: Resources) -> None:
    """Maintenance deletes files that no table names after a day."""
    fill(home, ORDINARY)
    old, new = (fold_day(home, LMP, LMP.day(DAYS[0])) for _ in range(2))
    long_ago = time.time() - 13 * 3600
    old.swaps = {part: replace(swap, written_at=long_ago) for part, swap in old.swaps.items()}
    with home.lock(LMP.key):
        assert rebuild.commit(home, LMP, [old]) == []
        assert rebuild.commit(home, LMP, [new]) == [new]


def test_days_fail_together_where_their_commit_fails_and_the_next_run_brings_them(
    home: Resources,
) -> None:
    fill(home, ORDINARY)

    def fail() -> None:
        msg = "the catalog is away"
        raise LakeUnreachable(msg)

    Watched(home, fail)
    assert by_chunks(home, workers=1) == dict.fromkeys(DAYS[:2], "the catalog is away")
    assert by_chunks(home, workers=1) == {}
    assert len(home.lake.read(LMP.table)) == 6


# --- cut short -----------------------------------------------------------------------------------


def cut_short(home: Resources, after: int) -> None:
    """A replay by single days that ends after so many."""
    done = ingest.replay_days(home, ASKED, workers=1, chunk=1)
    for _ in range(after):
        next(done)
    done.close()  # type: ignore[attr-defined]  # a generator


def resumed(home: Resources) -> dict[str, Replayed]:
    return {r.day.key: r for r in ingest.replay_days(home, ASKED, workers=1, chunk=1)}


def test_a_replay_that_was_cut_short_continues_where_it_was(home: Resources) -> None:
    fill(home, ORDINARY)
    cut_short(home, 2)
    assert [r.done is None for r in resumed(home).values()] == [True, True, False]
    assert not list((home.root / "replays").iterdir()), "it is complete"
    assert all(r.done is not None for r in resumed(home).values())


def test_a_replay_that_reached_its_end_leaves_nothing_to_continue(home: Resources) -> None:
    """Not even where days failed: the same command does all of them again."""
    fill(home, ORDINARY)

    def fail() -> None:
        msg = "the catalog is away"
        raise LakeUnreachable(msg)

    Watched(home, fail)
    assert by_chunks(home, workers=1)
    assert not list((home.root / "replays").glob("*"))


def test_what_a_library_logs_comes_back_from_another_process_as_text() -> None:
    record = logging.makeLogRecord({"name": "botocore", "msg": "%s", "args": (lambda: 0,)})
    folding._records.emit(record)  # noqa: SLF001
    (kept,), folding._records.kept = folding._records.kept, []  # noqa: SLF001
    assert "lambda" in pickle.loads(pickle.dumps(kept)).getMessage()  # noqa: S301  our own


@pytest.mark.parametrize("changed", ["archive", "table", "code"])
def test_a_finished_day_is_replayed_again_where_something_changed_since(
    home: Resources, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, ORDINARY)
    cut_short(home, 2)
    if changed == "archive":
        take(home, prices(DAYS[0], 3, 2, 2))
    elif changed == "table":
        partition = {"operating_day": LMP.day(DAYS[0]).date}
        home.lake.replace(LMP.table, home.lake.read(LMP.table, partition)[1:], partition)
    else:
        monkeypatch.setattr(checkpoint, "code", lambda: "another version")
    done = resumed(home)
    assert done[DAYS[0]].done is not None
    assert (done[DAYS[1]].done is None) == (changed != "code")


def test_a_day_by_itself_is_always_replayed(home: Resources) -> None:
    fill(home, ORDINARY)
    cut_short(home, 2)
    (one,) = ingest.replay_days(home, ASKED[:1], workers=1)
    assert one.done is not None


# --- processes -----------------------------------------------------------------------------------


def test_a_dry_run_counts_and_writes_nothing(home: Resources) -> None:
    fill(home, EVERYTHING)
    before = snapshots(home), files(home.root)
    done = list(ingest.replay_days(home, ASKED, workers=1, dry_run=True))
    assert (snapshots(home), files(home.root)) == before
    assert done[1].error is not None
    wet = list(ingest.replay_days(home, ASKED, workers=1))
    counts = [
        [(m.new, m.changed, m.removed, m.held) for r in found if r.done for m in [r.done.merged]]
        for found in (done, wet)
    ]
    assert counts[0] == counts[1] == [(1, 1, 0, 3), (2, 0, 0, 2)]


def files(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.is_file() and p.suffix != ".lock")


@pytest.mark.slow
def test_a_process_that_is_killed_is_started_again(home: Resources) -> None:
    fill(home, ORDINARY)
    many = Folding(home, 2, Options())
    many.start()
    os.kill(next(children(os.getpid())), signal.SIGKILL)
    outcomes = list(many.each(LMP, [day for _, day in ASKED]))
    many.close()
    assert all(isinstance(one, Folded) for one in outcomes)


class OneDayFails(Lake):
    """Fails at reading one day."""

    def stored(self, table: Table, partition: Mapping[str, Any]) -> Stored:
        if str(partition["operating_day"]) == DAYS[1]:
            self.fail()
        return super().stored(table, partition)

    def fail(self) -> None:
        """In a way that nobody thought of."""
        msg = "nobody thought of this"
        raise RuntimeError(msg)


class OneDayKills(OneDayFails):
    """Kills the process that reads one day."""

    def fail(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_day_that_always_kills_its_process_is_named_and_the_others_are_folded(
    home: Resources,
) -> None:
    fill(home, ORDINARY)
    home.lake = OneDayKills.local(home.root / "lake")
    many = Folding(home, 2, Options())
    outcomes = list(many.each(LMP, [day for _, day in ASKED]))
    many.close()
    assert [isinstance(one, Folded) for one in outcomes] == [True, False, True]
    assert f"isone_rt_lmp {DAYS[1]}: the process that folded it was killed 3 times" in str(
        outcomes[1]
    )


def test_what_a_process_logs_is_logged_here(
    home: Resources, caplog: pytest.LogCaptureFixture
) -> None:
    fill(home, ORDINARY)
    home.lake = OneDayFails.local(home.root / "lake")
    refused = by_chunks(home, DAYS[:2])
    assert "nobody thought of this" in refused[DAYS[1]]
    assert f"a day failed dataset=isone_rt_lmp day={DAYS[1]}" in caplog.text


@pytest.mark.slow
def test_processes_start_only_where_the_work_is_worth_it(
    home: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, ORDINARY)
    assert by_chunks(home, workers=None) == {}
    assert not list(children(os.getpid()))
    monkeypatch.setattr(folding, "_WORTH", 0)
    monkeypatch.setattr(folding, "cores", lambda: 2)
    many = Folding(home, None, Options())
    days = many.each(LMP, [day for _, day in ASKED])
    next(days)
    next(days)
    assert len(list(children(os.getpid()))) == 2
    many.close()
