"""Landed commits: a catalog that reports a commit as failed although it landed.

A lost answer that a proxy or the catalog's client retries comes back like this. pyiceberg cleans up
after a failed commit, which would delete the manifests of the table's current snapshot. The liar
sits under the lake's guard: it commits, then lies (alternately "failed" and "unknown"); or it fails
honestly, without a commit; or lets another writer commit first. Without the guard the same lies
must destroy the table, else the proof proves nothing.
"""

import datetime as dt
import queue
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.errors import AurumError, ConfigError
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.catalog import open_catalog
from aurum_assets.resources.lake import Lake
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs.proof import (
    Proof,
    catalog_at,
    close,
    frame_of,
    lake_at,
    repeated_keys,
    values_of,
)

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

_TABLE = ISONE_SYSTEM_LOAD.table
_DAY = OperatingDay(dt.date(2025, 7, 14), ISONE_SYSTEM_LOAD.operator.zone)
_PARTITION = {"operating_day": _DAY.date}
_KEYS = 48
_LONGEST = 240.0


class Liar:
    """Wraps a catalog's ``commit_table``. ``meanwhile`` is called between a commit and its lie."""

    def __init__(
        self, catalog: "Catalog", seed: int, *, lies: float = 0.4, failures: float = 0.15
    ) -> None:
        self.lies = 0
        self.failed = 0
        self.meanwhile: Callable[[], object] = lambda: None
        self._commit = catalog.commit_table
        self._random = random.Random(seed)  # noqa: S311  repeatable, no secret
        self._lies, self._failures = lies, failures
        catalog.commit_table = self.commit_table  # type: ignore[method-assign, assignment]

    def commit_table(self, found: Any, requirements: Any, updates: Any) -> Any:  # noqa: ANN401  pyiceberg's
        """Commit and tell the truth, commit and lie, or do not commit and say so."""
        from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

        drawn = self._random.random()
        if drawn < self._failures:
            self.failed += 1
            msg = "refused, and nothing was committed"
            raise CommitFailedException(msg)
        answer = self._commit(found, requirements, updates)
        if drawn < self._failures + self._lies:
            self.lies += 1
            self.meanwhile()
            msg = "reported as failed, although it was made"
            lie = CommitFailedException if self.lies % 2 else CommitStateUnknownException
            raise lie(msg)
        return answer


def lying_lake(
    root: Path, seed: int, url: str = "", *, guarded: bool = True, **odds: float
) -> tuple[Lake, Liar]:
    """A lake whose catalog lies, the lake's guard above the lies (or kept from being set)."""
    properties = catalog_at(root, url)
    catalog = open_catalog(properties)
    liar = Liar(catalog, seed, **odds)
    if not guarded:

        def unguarded(found: Any, requirements: Any, updates: Any) -> Any:  # noqa: ANN401  pyiceberg's
            return liar.commit_table(found, requirements, updates)

        unguarded.guarded = True  # type: ignore[attr-defined]
        catalog.commit_table = unguarded  # type: ignore[method-assign, assignment]
    return Lake(properties, sleep=lambda _: None, catalog=catalog), liar


def _write(lake: Lake, number: int, chance: random.Random, expected: dict[int, float]) -> str:
    """One write of a random kind; ``expected`` is brought up to date, the kind comes back."""
    kind = chance.choice(["append", "overwrite", "replace"])
    free = sorted(set(range(288)) - set(expected))
    if kind == "append" and free:
        found = {key: float(key) for key in chance.sample(free, min(5, len(free)))}
    elif expected:
        found = dict.fromkeys(chance.sample(sorted(expected), 1), 1000.0 + number)
    else:
        found = {0: 0.0}
    expected |= found
    if kind == "replace":
        frame = frame_of(ISONE_SYSTEM_LOAD, _DAY, expected, fetched=number)
        lake.replace(_TABLE, frame, _PARTITION)
    else:
        lake.merge(_TABLE, frame_of(ISONE_SYSTEM_LOAD, _DAY, found, fetched=number))
    return kind


def _exact(proof: Proof, root: Path, expected: dict[int, float], after: str, url: str = "") -> bool:
    """Whether an honest reader of the table finds exactly what was written."""
    lake = lake_at(root, url)
    try:
        frame = lake.read(_TABLE)
    except OSError as error:  # FileNotFoundError: a manifest is gone
        proof.broken.append(f"after {after} the table cannot be read: {error}")
        return False
    finally:
        close(lake)
    right = values_of(frame, _DAY) == sorted(expected.items())
    proof.holds(f"after {after} the rows are not those that were written", where=right)
    return right


def _alone(proof: Proof, commits: int, seed: int, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lake, liar = lying_lake(root, seed, url)
        chance = random.Random(seed)  # noqa: S311  repeatable, no secret
        expected: dict[int, float] = {}
        for number in range(commits):
            kind = _write(lake, number, chance, expected)
            proof.add(f"{kind} commits")
            if not _exact(proof, root, expected, f"{kind} {number}", url):
                break
        proof.add("landed commits reported as failed", liar.lies)
        proof.add("commits that failed indeed", liar.failed)
        close(lake)


def _overtaken(proof: Proof, commits: int, seed: int, url: str) -> None:
    """Another writer commits between the landed commit and its error."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lake, liar = lying_lake(root, seed, url, lies=0.8, failures=0.0)
        other = lake_at(root, url)
        expected: dict[int, float] = {}
        beside: dict[int, float] = {}

        def meanwhile() -> None:
            key = _KEYS + len(beside)
            beside[key] = float(key)
            other.merge(_TABLE, frame_of(ISONE_SYSTEM_LOAD, _DAY, {key: float(key)}, who="other"))
            proof.add("commits of another writer before the lie")

        liar.meanwhile = meanwhile
        for number in range(commits):
            found = {number: float(number), 0: float(number)}
            expected |= found
            lake.merge(_TABLE, frame_of(ISONE_SYSTEM_LOAD, _DAY, found, fetched=number))
            if not _exact(proof, root, expected | beside, f"commit {number}, overtaken", url):
                break
        proof.add("landed commits reported as failed", liar.lies)
        close(lake)
        close(other)


def _merge_among_lies(root: Path, url: str, worker: int, merges: int, out: Any) -> None:  # noqa: ANN401  mp's queue
    errors: list[str] = []
    try:
        lake, liar = lying_lake(root, worker, url, lies=0.35, failures=0.1)
    except AurumError as error:
        out.put((0, 0, [f"writer {worker} did not come to the lake: {error}"]))
        return
    for number in range(merges):
        keys = {k: float(k) for k in range(number * 4, number * 4 + 8)}
        keys[200 + worker] = float(number)  # changes each time: an overwrite
        try:
            lake.merge(_TABLE, frame_of(ISONE_SYSTEM_LOAD, _DAY, keys, who=f"{worker}"))
        except Exception as error:  # noqa: BLE001  whatever it is, it is counted as broken
            errors.append(f"merge {worker}.{number}: {type(error).__name__}: {error}")
    out.put((merges - len(errors), liar.lies, errors))
    close(lake)


def _together(proof: Proof, workers: int, merges: int, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        out = FORKS.Queue()
        made = lake_at(
            root, url
        )  # catalogs that are made side by side may find each other's tables
        made.table(_TABLE)
        close(made)
        processes = [
            FORKS.Process(target=_merge_among_lies, args=(root, url, w, merges, out))
            for w in range(workers)
        ]
        for process in processes:
            process.start()
        try:
            for _ in processes:
                merged, lies, errors = out.get(timeout=_LONGEST)
                proof.add(f"merges of {workers} processes at once", merged)
                proof.add("landed commits reported as failed", lies)
                proof.broken += errors
        except queue.Empty:
            proof.broken.append("a process gave no answer")
        for process in processes:
            process.join(_LONGEST)
        expected = {k: float(k) for k in range((merges - 1) * 4 + 8)}
        expected |= {200 + w: float(merges - 1) for w in range(workers)}
        _exact(proof, root, expected, "the merges of several processes", url)
        lake = lake_at(root, url)
        proof.holds("a key stands twice", where=not repeated_keys(_TABLE, lake.read(_TABLE)))
        close(lake)


def destroyed_without_the_guard(seed: int = 0) -> bool:
    """Whether the same lies destroy a table whose catalog is not guarded."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lake, _ = lying_lake(root, seed, guarded=False, lies=0.5, failures=0.0)
        expected: dict[int, float] = {}
        chance = random.Random(seed)  # noqa: S311  repeatable, no secret
        lost = Proof("")
        for number in range(10):
            try:
                _write(lake, number, chance, expected)
            except ConfigError as error:
                return "a file is gone" in str(error)
            if not _exact(lost, root, expected, "a lie"):
                return True
        return False


def prove_landed(
    commits: int = 60,
    workers: int = 3,
    merges: int = 10,
    database: Callable[[], str] = str,
) -> Proof:
    """Lies to one writer, to one that is overtaken, and to ``workers`` at once.

    The catalog is a SQLite file, or Postgres where ``database`` gives addresses of fresh ones.
    """
    proof = Proof("a commit that landed but was reported failed destroys and repeats nothing")
    _alone(proof, commits, 1, database())
    _overtaken(proof, commits // 3, 2, database())
    if workers:
        _together(proof, workers, merges, database())
    lies = proof.counts["landed commits reported as failed"]
    proof.holds("the catalog misreported nothing, so nothing was proved", where=bool(lies))
    destroyed = destroyed_without_the_guard()
    proof.counts["the same lies without the guard"] = "destroy" if destroyed else "do no harm"
    proof.holds("the lies do no harm without the guard either", where=destroyed)
    return proof


if __name__ == "__main__":
    print(prove_landed())
