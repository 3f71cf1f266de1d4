"""Mutated payloads: every one is stored, quarantined or rejected with a reason, and nothing wrong
gets in.

Each case is taken in from a file by ``ingest.load`` (or ``accept`` and ``normalize``) into a home
of its own, in a process with a limit on its memory, and compared with an independent oracle: which
records must be, may be or may not be stored, with which values, and that they all add up.
"""

import datetime as dt
import hashlib
import queue
import resource
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.accept import Received
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs import oracle
from aurum_assets_tests.proofs.mutations import BOMB, Case, bombs, cases, instant
from aurum_assets_tests.proofs.oracle import Answer, May
from aurum_assets_tests.proofs.proof import Proof, close, home_at, repeated_keys

_DATASETS = {d.key: d for d in DATASETS}
_ADDRESS_SPACE = 6 * 2**30
_RESIDENT_MB = 1_500


@dataclass
class Seen:
    """What became of one case."""

    outcome: str
    stored: list[dict[str, Any]] = field(default_factory=list)
    quarantined: int = 0
    reasons: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _template(root: Path) -> None:
    """A lake whose tables exist, so that a case does not pay for making them."""
    home = home_at(root, instant(0))
    for table in (*(d.table for d in DATASETS), QUARANTINE):
        home.lake.table(table)
    close(home.lake)


def _home(template: Path, root: Path, now: dt.datetime) -> Resources:
    shutil.copytree(template / "lake", root / "lake", ignore=shutil.ignore_patterns("warehouse"))
    # A catalog of its own, over the files of the template, which no commit changes.
    (root / "lake" / "warehouse").symlink_to(template / "lake" / "warehouse")
    return home_at(root, now)


def take(case: Case, number: int, template: Path, folder: Path) -> Seen:
    """Take a case in, in a home of its own, and look at what came of it."""
    root = folder / str(number)
    home = _home(template, root, instant(number))
    dataset = _DATASETS[case.dataset]
    try:
        seen = _take(home, dataset, case, number)
    except AurumError as error:
        seen = Seen("refused", reasons=[str(error)])
    except Exception:  # noqa: BLE001  that is what the proof looks for
        seen = Seen("crashed", problems=[traceback.format_exc(limit=-3)])
    close(home.lake)
    shutil.rmtree(root)
    return seen


def _take(resources: Resources, dataset: Dataset, case: Case, number: int) -> Seen:
    fetched_at = instant(number)
    if number % 2 or case.file is not case.body:
        path = resources.root / "payload"
        path.write_bytes(case.file)
        done = ingest.load(resources, dataset, [path], day=case.asked, fetched_at=fetched_at)
        for why in done.failed.values():
            raise AurumError(why)
        rejected = done.rejected
        days = [d.day.key for d in done.days]
    else:
        received = Received(
            case.body,
            "load",
            dataset.dialects[0].name,
            "xml" if oracle.is_xml(case.body) else "json",
            fetched_at,
            "prelim" if "finality" in dataset.table.names else None,
            case.asked,
        )
        archived = ingest.accept(resources, dataset, received)
        rejected = [archived.reason] if archived.outcome == "rejected" else []
        days = [archived.day] if archived.day else []
        for day in days:
            normalized = ingest.normalize(resources, dataset, dataset.day(day))
            ingest.check(resources, normalized)
            rejected = rejected + normalized.rejected
    return _look(resources, dataset, case, rejected, days)


def _look(
    resources: Resources, dataset: Dataset, case: Case, rejected: list[str], days: Sequence[str]
) -> Seen:
    frame = resources.lake.read(dataset.table)
    quarantine = resources.lake.read(QUARANTINE)
    seen = Seen("rejected" if rejected else "taken", reasons=rejected)
    seen.stored = frame.to_dicts()
    seen.quarantined = len(quarantine)
    seen.problems += ["a key stands twice"] * bool(repeated_keys(dataset.table, frame))
    other = [r for r in seen.stored if r["operating_day"].isoformat() not in days]
    seen.problems += ["a row stands in another day than its snapshot's"] * bool(other)
    silent = quarantine.filter((pl.col("reason") == "") | (pl.col("rules") == ""))
    seen.problems += ["a record was quarantined without a reason"] * bool(len(silent))
    if rejected:
        raw = {hashlib.sha256(content).hexdigest() for content in (case.body, case.file)}
        kept = [r for r in resources.archive.rejections(dataset.key) if r.raw_sha256 in raw]
        seen.problems += ["rejected bytes were not kept with a reason"] * (
            not any(r.reason for r in kept)
        )
    return seen


def differences(case: Case, number: int, seen: Seen) -> list[str]:
    """What the oracle has to say against what became of a case."""
    found = list(seen.problems)
    if seen.outcome in ("crashed", "refused"):
        return [*found, *seen.reasons]
    if case.shape == BOMB:  # too much for the oracle, too
        return (
            found if seen.outcome == "rejected" and all(seen.reasons) else [*found, "not rejected"]
        )
    answer = oracle.judge(case.dataset, case.body, case.asked, instant(number))
    if seen.outcome == "rejected":
        if not all(seen.reasons):
            found.append("rejected without a reason")
        if answer.reject == May.NEVER and not _unbelievable(answer):
            found.append(f"rejected for no good reason: {seen.reasons}")
        if seen.stored or seen.quarantined:
            found.append("rejected, and yet something was stored")
        return found
    if answer.reject == May.MUST:
        if seen.stored:
            found.append(f"accepted, although: {answer.why}")
        return found
    return found + _records(case, answer, seen)


def _unbelievable(answer: Answer) -> bool:
    """A day that the product may refuse to believe."""
    first, last = "1999-01-01", (instant(0) + dt.timedelta(days=8)).date().isoformat()
    return any(not first <= day <= last for day in answer.days)


def _records(case: Case, answer: Answer, seen: Seen) -> list[str]:
    """Every stored row is one that the oracle knows; every record is stored or quarantined."""
    dataset = _DATASETS[case.dataset]
    key = [n for n in dataset.table.key if n != "finality"]
    day = seen.stored[0]["operating_day"].isoformat() if seen.stored else None
    found = _day(answer, day)
    rows = {tuple(row[n] for n in key): row for row in seen.stored}
    results: dict[tuple[Any, ...], list[oracle.Row]] = {}
    for row in answer.rows:
        if row.may != May.NEVER:
            results.setdefault(tuple(row.values[n] for n in key), []).append(row)
    found += [
        f"wrongly stored: {stored}"
        for name, stored in rows.items()
        if not any(_is(stored, row) for row in results.get(name, []))
    ]
    for name, group in results.items():
        sure = [row.values for row in group if row.may == May.MUST and _in_day(row, day, answer)]
        odd = [row.values for row in group if row.may == May.MAY]
        alike = all(values == sure[0] for values in sure)
        if sure and alike and not odd and name not in rows:
            found.append(f"not stored: {sure[0]}")
        if len(sure) > 1 and not alike and name in rows:
            found.append(f"stored, although sent differently: {rows[name]}")
    out = {
        text
        for row, text in zip(answer.rows, answer.records, strict=True)
        if not _is_stored(row, rows, key)
    }
    if len(out) != seen.quarantined:
        found.append(
            f"{len(answer.records)} records: {len(rows)} rows stored, {len(out)} different records "
            f"were not, but {seen.quarantined} are in quarantine"
        )
    return found


def _day(answer: Answer, day: str | None) -> list[str]:
    if day is None or not answer.days:
        return []
    most = max(answer.days.values())
    if day not in answer.days:
        return [f"stored under {day}, which it does not name"]
    if answer.days[day] < most and most * 2 > len(answer.rows):
        return [f"stored under {day}, most of it names another day"]
    return []


def _in_day(row: oracle.Row, day: str | None, answer: Answer) -> bool:
    """Whether the row lies in the answer's day (where it is not clear which one, no row does)."""
    if not row.days:
        return True
    if day is None:
        most = Counter(answer.days).most_common(2)
        if len(most) > 1 and most[0][1] == most[1][1]:
            return False
        day = most[0][0]
    return day in row.days


def _is(row: dict[str, Any], text: oracle.Row) -> bool:
    return all(row[name] == value for name, value in text.values.items())


def _is_stored(
    text: oracle.Row, rows: dict[tuple[Any, ...], dict[str, Any]], key: Sequence[str]
) -> bool:
    if text.may == May.NEVER:
        return False
    row = rows.get(tuple(text.values[n] for n in key))
    return row is not None and _is(row, text)


def _share(
    number: int,
    of: int,
    count: int,
    most_bombs: int | None,
    seed: int,
    out: Any,  # noqa: ANN401  mp's queue
) -> None:
    """The cases ``number``, ``number + of`` … of ``count``, in this process alone."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    proof = Proof("")
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _template(folder / "template")
        for index, case in islice(enumerate(cases(count, seed)), number, None, of):
            slowest = max(slowest, _one(proof, case, index, folder))
        if number == 0:
            cap = home_at(folder, instant(0)).configuration.operators["isone"].body_cap_mb
            found = islice(bombs(cap), most_bombs)
            for index, case in enumerate(found, start=count):
                _one(proof, case, index, folder)
                proof.add("gzip bombs")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    out.put((proof.counts, proof.broken, slowest, peak))


def _one(proof: Proof, case: Case, index: int, folder: Path) -> float:
    began = time.perf_counter()
    seen = take(case, index, folder / "template", folder)
    took = time.perf_counter() - began
    what = f"case {index} ({case.dataset} {case.shape}, {case.mutation}, asked {case.asked})"
    proof.broken += [f"{what}: {problem}" for problem in differences(case, index, seen)]
    proof.add("payloads")
    if seen.outcome == "taken" and seen.quarantined:
        outcome = "stored in part, the rest quarantined" if seen.stored else "wholly quarantined"
    elif seen.outcome == "taken":
        outcome = "stored whole" if seen.stored else "empty: nothing to store"
    else:
        outcome = seen.outcome
    proof.add(outcome)
    proof.add("rows stored", len(seen.stored))
    proof.add("records quarantined", seen.quarantined)
    return took


def prove_mutations(
    count: int = 2_000, processes: int = 2, bombs: int | None = None, seed: int = 0
) -> Proof:
    """``count`` mutated payloads and gzip bombs (None: all), in processes of limited memory."""
    proof = Proof(
        f"{count} mutated payloads: stored, quarantined or rejected; nothing wrong gets in"
    )
    out = FORKS.Queue()
    shares = [
        FORKS.Process(target=_share, args=(n, processes, count, bombs, seed, out))
        for n in range(processes)
    ]
    for share in shares:
        share.start()
    slowest, peak = 0.0, 0
    for _ in shares:
        try:
            counts, broken, slow, resident = _answer(out, shares)
        except queue.Empty:
            proof.broken.append("a process gave no answer")
            break
        for name, number in counts.items():
            proof.add(name, number)
        proof.broken += broken
        slowest, peak = max(slowest, slow), max(peak, resident)
    for share in shares:
        share.join()
        proof.holds(f"a process ended with {share.exitcode}", where=share.exitcode == 0)
    proof.counts["MB of memory at the peak"] = peak
    proof.counts["seconds for the slowest payload"] = round(slowest, 2)
    proof.holds(f"{peak} MB of memory were used", where=peak < _RESIDENT_MB)
    return proof


def _answer(out: Any, shares: Sequence[Any]) -> Any:  # noqa: ANN401  mp's queue and processes
    """The next answer of a process; ``queue.Empty`` where one has ended without."""
    while all(share.exitcode in (None, 0) for share in shares):
        try:
            return out.get(timeout=1)
        except queue.Empty:
            continue
    raise queue.Empty


if __name__ == "__main__":
    import sys

    found = prove_mutations(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
    print(found)
    for line in found.broken:
        print("-", line)
    sys.exit(bool(found.broken))
