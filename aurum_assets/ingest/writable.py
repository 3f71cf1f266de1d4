"""Writable: a snapshot whose rows no file can hold is left out, and the others are stored."""

from collections.abc import Callable
from typing import TypeVar

from aurum_assets.ingest.conform import Conformed, Unusable, is_of, reject
from aurum_assets.ingest.rejecting import ANYTHING, rejecting
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, ContractBroken, DataError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import fold
from aurum_assets.resources.composition import Resources

_T = TypeVar("_T")


def store_what_can_be(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    snapshots: list[Conformed],
    unusable: list[Unusable],
    store: Callable[[list[Conformed], list[Unusable]], _T],
    *,
    commits: bool = True,
) -> _T:
    """``store`` the snapshots; where it fails, once more without those that cannot be written.

    Each is written alone to a scratch folder, as a commit would, to find these. That costs nothing
    until something fails. Where all can be written, the failure is not theirs, and raised. What
    ``store`` ``commits`` to quarantine before it fails is taken out again.
    """
    try:
        return store(snapshots, unusable)
    except ANYTHING as error:
        if isinstance(error, AurumError) and not _is_of_writing(error):
            raise
        reasons = {s.envelope.identifier: _unwritable(resources, dataset, s) for s in snapshots}
        out = [Unusable(i, reason, lost=False) for i, reason in reasons.items() if reason]
        if not out:
            raise
    for one in out:
        snapshot = resources.archive.snapshot(dataset.archive_name, day.key, one.identifier)
        reject(resources, dataset, snapshot, one.reason)
    if commits:
        partition = {"operating_day": day.date, "dataset": dataset.key}
        kept_out = resources.lake.read(QUARANTINE, partition)
        others = kept_out.filter(~is_of([one.identifier for one in out]))
        if len(others) < len(kept_out):
            resources.lake.replace(QUARANTINE, others, partition)
    left = [s for s in snapshots if not reasons[s.envelope.identifier]]
    return store(left, [*unusable, *out])


def _is_of_writing(error: AurumError) -> bool:
    """Whether the lake says that a frame does not fit, and because of what."""
    return isinstance(error, ContractBroken) and error.__cause__ is not None


def _unwritable(resources: Resources, dataset: Dataset, snapshot: Conformed) -> str:
    """Why the rows of ``snapshot`` cannot be written; empty where they can."""
    rows, _ = fold(dataset.table, snapshot.good)
    try:
        with rejecting(dataset, snapshot.envelope.identifier, "writing its rows"):
            resources.lake.write_nowhere(dataset.table, rows)
    except DataError as error:
        return str(error)
    return ""
