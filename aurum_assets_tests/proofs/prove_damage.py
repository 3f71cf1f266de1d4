"""Damage of every kind to lake and archive: seen by ``verify``, named, and mended from the archive.

What the archive lost cannot be mended: there ``verify`` says so, and a replay refuses the day.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from aurum_assets import ingest
from aurum_assets.model.errors import AurumError, ContractBroken
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets_tests.proofs.damage import KINDS, LMP, LOAD, NOW, Kind, fill, forget, held
from aurum_assets_tests.proofs.proof import Proof, home_at

_SECONDS = 10.0  # in which a damage is reported: nobody waits for it to pass
_REMEDIES = ("aurum replay", "restore")


def _problems(resources: Resources, *, quick: bool) -> list[str]:
    """What ``verify`` says of both datasets, or the sentence with which it fails."""
    try:
        found = [v for d in (LOAD, LMP) for v in ingest.verify_days(resources, d, quick=quick)]
    except AurumError as error:
        return [str(error)]
    return [problem for v in found for problem in v.problems]


def _mend(resources: Resources, kind: Kind) -> list[str]:
    """Why mending failed, if it did."""
    days = ingest.archived_days(resources, DATASETS)
    if kind.mended == "rebuild":
        done = ingest.remake(resources, DATASETS, days)
        return [*done.failed, *(p for v in done.verified for p in v.problems)]
    for dataset, day in days:
        ingest.replay(resources, dataset, day)
    return []


def _one(proof: Proof, kind: Kind, root: Path) -> None:
    home = home_at(root, NOW)
    fill(home)
    before = held(home)
    proof.holds(f"{kind.name}: false alarm", where=not _problems(forget(home), quick=False))
    proof.holds(f"{kind.name}: false alarm", where=not _problems(forget(home), quick=True))
    home = forget(home)
    kind.hurt(home)
    began = time.monotonic()
    for quick in (False, True):
        blind = quick and not kind.counted
        text = _problems(home := forget(home), quick=quick)
        named = bool(text) and all(any(r in s for r in _REMEDIES) for s in text)
        proof.holds(f"{kind.name}: not seen (quick: {quick}): {text}", where=named or blind)
    waited = time.monotonic() - began
    proof.holds(f"{kind.name}: reported after {waited:.0f} s", where=waited < _SECONDS)
    if kind.mended == "never":
        _refuses(proof, kind, home)
        return
    failed = _mend(home, kind)
    proof.holds(f"{kind.name}: mending failed: {failed}", where=not failed)
    after = held(forget(home))
    proof.holds(
        f"{kind.name}: other rows than before",
        where=all(after[name].equals(rows) for name, rows in before.items()),
    )
    left = _problems(forget(home), quick=False)
    proof.holds(f"{kind.name}: still after mending: {left}", where=not left)
    proof.add("seen and made equal again")


def _refuses(proof: Proof, kind: Kind, resources: Resources) -> None:
    """The day keeps its rows: a replay refuses to lose them."""
    day = LOAD.day("2026-07-20")
    before = resources.lake.read(LOAD.table)
    try:
        ingest.replay(resources, LOAD, day)
    except ContractBroken:
        kept = resources.lake.read(LOAD.table).equals(before)
        proof.holds(f"{kind.name}: rows were lost", where=kept)
        proof.add("seen, and the day refused: the bytes are gone")
    else:
        proof.holds(f"{kind.name}: a replay takes the day", where=False)


def prove_damage(kinds: Sequence[Kind] = KINDS) -> Proof:
    """Do each of ``kinds`` to a home of its own."""
    proof = Proof("damage to lake or archive is seen, named, and mended where the bytes are there")
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            _one(proof, kind, Path(folder))
        proof.add("kinds of damage")
    return proof


if __name__ == "__main__":
    print(prove_damage())
