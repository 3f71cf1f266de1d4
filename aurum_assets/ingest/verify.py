"""Verify: compare the tables with the archive: rows that are missing, extra or different.

Full: every object is read, conformed and folded as a replay would, and compared with table, history
and quarantine, row by row. Quick: the counts of the day's ledger are compared with those of the
manifests and of the archive's listing; a day on which they disagree is verified in full before
anything is reported. No data is written and nothing is repaired: each problem names the command
that repairs it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from aurum_assets.ingest.compare import Differences, Held, Origins, compare
from aurum_assets.ingest.conform import Conformed, conform_all, one_a_record
from aurum_assets.ingest.ledger import listing_hash
from aurum_assets.ingest.replay import held_days
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Snapshot
from aurum_assets.model.errors import ConfigError, LakeDamaged, MalformedPayload
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table, fold
from aurum_assets.resources.archive import Archive, order_of, seal_of
from aurum_assets.resources.composition import Resources

_LOOKS = 3


@dataclass
class Verified:
    """The result for one operating day (empty ``day``: for the dataset's tables as a whole).

    ``pending``: archived snapshots that are not merged yet, no loss. ``unsealed``: objects that
    were put before there were seals. ``notes``: what is no loss either. ``quick``: only counts were
    compared.
    """

    dataset: str
    day: str
    objects: int = 0
    rows: int = 0
    missing: int = 0
    extra: int = 0
    changed: int = 0
    pending: int = 0
    unsealed: int = 0
    quick: bool = False
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Counting(Archive):
    """An archive that records what is read: hashes of intact snapshots, paths without a seal."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive.store, archive.settings)
        self.hashes: set[str] = set()
        self.unsealed: set[str] = set()

    def snapshot(self, folder: str, day: str, identifier: str) -> Snapshot:
        found = super().snapshot(folder, day, identifier)
        self.hashes.add(found.envelope.raw_sha256)
        return found

    def _unpacked(self, path: str, packed: bytes, metadata: bytes) -> bytes:
        body = super()._unpacked(path, packed, metadata)
        if not seal_of(packed):
            self.unsealed.add(path)
        return body


def verify(resources: Resources, dataset: Dataset, day: OperatingDay) -> Verified:
    """Verify ``day`` in full; again where it has a problem and somebody wrote meanwhile."""
    for _ in range(_LOOKS):
        before = _state(resources, dataset, day)
        found = _verify_once(resources, dataset, day)
        if not found.problems:
            break
        try:
            with resources.lock(dataset.key):  # no writer of this machine is between two commits
                if _state(resources, dataset, day) == before:
                    break
        except ConfigError:  # a home that cannot be written has no writers
            break
    return found


def verify_days(
    resources: Resources,
    dataset: Dataset,
    days: Sequence[OperatingDay] | None = None,
    *,
    quick: bool = False,
) -> Iterator[Verified]:
    """Verify each of ``days``, by default every day held; a damaged table stops no other."""
    try:
        asked = verifiable_days(resources, dataset) if days is None else days
        counts = _Counts(resources, dataset) if quick else None
    except LakeDamaged as error:
        yield Verified(dataset.key, "", problems=[str(error)])
        return
    if days is None and not quick:
        yield from _rejected(resources, dataset)
    for day in asked:
        try:
            found = counts.agree(day) if counts else None
            yield found or verify(resources, dataset, day)
        except LakeDamaged as error:
            yield Verified(dataset.key, day.key, problems=[str(error)])


def _rejected(resources: Resources, dataset: Dataset) -> Iterator[Verified]:
    """Rejected bytes, not settled since, that were changed or lost."""
    for path in resources.archive.unsettled(dataset.key):
        try:
            resources.archive.rejected_body(resources.archive.rejection(path))
        except (MalformedPayload, FileNotFoundError) as error:
            text = f"{error}; restore the object and its reason from a backup"
            yield Verified(dataset.key, "", objects=1, problems=[text])


def verifiable_days(resources: Resources, dataset: Dataset) -> list[OperatingDay]:
    """The days that archive, tables or ledger hold."""
    days = {day.key for day in held_days(resources, dataset)}
    days |= {day.isoformat() for day in resources.lake.days(dataset.table.history)}
    days |= {
        d.isoformat() for d, key in resources.lake.partitions(QUARANTINE) if key == dataset.key
    }
    days |= set(resources.registry.ledger_days(dataset.key))
    return [dataset.day(key) for key in sorted(days)]


class _Counts:
    """Row counts of every day of a dataset by the manifests, read once."""

    def __init__(self, resources: Resources, dataset: Dataset) -> None:
        self._resources, self._dataset = resources, dataset
        self._rows = resources.lake.partitions(dataset.table)
        self._history = resources.lake.partitions(dataset.table.history)
        self._quarantined = resources.lake.partitions(QUARANTINE)

    def agree(self, day: OperatingDay) -> Verified | None:
        """The result for a day by its counts; None where ledger, manifests and listing disagree."""
        resources, dataset = self._resources, self._dataset
        ledger = resources.registry.ledger(dataset.key, day.key)
        archived = resources.archive.identifiers(dataset.archive_name, day.key)
        rows = self._rows.get((day.date,), 0)
        counted = (
            rows,
            self._history.get((day.date,), 0),
            self._quarantined.get((day.date, dataset.key), 0),
        )
        if ledger is None or ledger.archived != listing_hash(archived):
            return None
        if counted != (ledger.rows, ledger.history, ledger.quarantined):
            return None
        return Verified(dataset.key, day.key, len(archived), rows, quick=True)


def _state(resources: Resources, dataset: Dataset, day: OperatingDay) -> list[object]:
    """What changes when anybody writes: the archive's listing, the tables' snapshot ids."""
    tables = (dataset.table, dataset.table.history, QUARANTINE)
    heads: list[object] = [
        resources.lake.reading(t, lambda found: found.metadata.current_snapshot_id, None)
        for t in tables
    ]
    return [*heads, *resources.archive.identifiers(dataset.archive_name, day.key)]


def _verify_once(resources: Resources, dataset: Dataset, day: OperatingDay) -> Verified:
    found = Verified(dataset.key, day.key)
    identifiers = resources.archive.identifiers(dataset.archive_name, day.key)
    counting = _Counting(resources.archive)
    own = replace(resources, archive=counting)
    stored = _stored(resources, dataset, day)
    snapshots, unusable = conform_all(own, dataset, day, identifiers, keep=False)
    found.objects, found.rows = len(identifiers), len(stored.rows)
    found.unsealed = len(counting.unsealed)
    remedy = f"aurum replay {dataset.key} --day {day.key}"
    found.problems += [
        f"{u.reason}; restore the object and its envelope from a backup" for u in unusable if u.lost
    ]
    expected = _folded(dataset.table, snapshots)
    if not stored.same_as(expected):
        merged, gone = _merged(resources, dataset, day, identifiers, stored)
        pending = [i for i in identifiers if i not in merged]
        if pending:
            found.pending = len(pending)
            found.notes.append(f"{len(pending)} snapshots are archived and not merged: {remedy}")
            settled = [i for i in identifiers if i in merged]
            usable = conform_all(own, dataset, day, settled, keep=False)[0]
            expected = _half_merged(stored, _folded(dataset.table, usable), expected)
        refused = {u.identifier for u in unusable if not u.lost}
        refused |= {s.envelope.identifier for s in snapshots if any(d.refuses for d in s.drift)}
        prefixes = {order_of(i)[1] for i in refused}
        origins = Origins(counting.hashes, {h for h in counting.hashes if h[:16] in prefixes})
        _add(found, compare(dataset.table, stored, expected, origins, remedy))
        _add_gone(found, gone, stored)
    else:
        _add_gone(found, _merged(resources, dataset, day, identifiers, stored)[1], stored)
    _add_counts(resources, dataset, day, stored, found, remedy)
    return found


def _add(found: Verified, differences: Differences) -> None:
    found.missing, found.extra = differences.missing, differences.extra
    found.changed = differences.changed
    found.problems += differences.problems
    found.notes += differences.notes


def _add_gone(found: Verified, gone: Collection[str], stored: Held) -> None:
    """Merged objects that the archive no longer lists, where no row comes from them either."""
    present = {raw[:16] for raw in stored.raws}
    silent = sorted(i for i in gone if order_of(i)[1] not in present)
    if silent:
        found.problems.append(
            f"{len(silent)} snapshots that were merged are gone from the archive (the first: "
            f"{silent[0]}): restore them from a backup"
        )


def _add_counts(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    stored: Held,
    found: Verified,
    remedy: str,
) -> None:
    """Report manifests that count other rows than their files hold."""
    partition = {"operating_day": day.date}
    for table, rows, where in (
        (dataset.table, stored.rows, partition),
        (dataset.table.history, stored.history, partition),
        (QUARANTINE, stored.quarantined, partition | {"dataset": dataset.key}),
    ):
        counted = resources.lake.counts(table, where)[0]
        if counted != len(rows):
            text = f"its manifests count {counted} rows, its files hold {len(rows)}"
            found.problems.append(f"{table.identifier}: {text}: {remedy}")


def _stored(resources: Resources, dataset: Dataset, day: OperatingDay) -> Held:
    partition = {"operating_day": day.date}
    return Held(
        resources.lake.read(dataset.table, partition),
        resources.lake.read(dataset.table.history, partition),
        resources.lake.read(QUARANTINE, partition | {"dataset": dataset.key}),
    )


def _folded(table: Table, snapshots: Sequence[Conformed]) -> Held:
    rows, before = fold(table, pl.concat([table.empty(), *(s.good for s in snapshots)]))
    return Held(rows, before, one_a_record([s.quarantined for s in snapshots]))


def _half_merged(stored: Held, settled: Held, complete: Held) -> Held:
    """The rows that ``settled`` snapshots give.

    History and quarantine are written before the rows, and a merge may have been killed in between:
    for these, what all snapshots give is accepted where it is stored.
    """
    history = complete.history if stored.history.equals(complete.history) else settled.history
    ahead = complete.quarantined.join(settled.quarantined, on="received_hash", how="anti")
    written = ahead.join(stored.quarantined, on="received_hash", how="semi")
    quarantined = pl.concat([settled.quarantined, written]).sort(QUARANTINE.order)
    return Held(settled.rows, history, quarantined)


def _merged(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: Sequence[str],
    stored: Held,
) -> tuple[set[str], set[str]]:
    """Merged snapshots by registry, ledger and rows: those archived, and those gone from there.

    Where neither registry nor ledger knows the day, all that are not newer than one whose rows are
    stored: a day is merged in order, and a late snapshot brings all the others.
    """
    table = resources.lake.find(dataset.table)
    ledger = resources.registry.ledger(dataset.key, day.key)
    uuids = {str(table.metadata.table_uuid)} if table else set()
    uuids |= {ledger.uuid} if ledger else set()
    known = {i for u in uuids for i in resources.registry.merged(dataset.key, day.key, u)}
    gone = known - set(identifiers)
    if ledger and ledger.archived == listing_hash(identifiers):
        known |= set(identifiers)
    merged = {raw[:16] for raw in stored.rows["raw_sha256"]}  # written last of the three tables
    evident = [i for i in identifiers if order_of(i)[1] in merged]
    anywhere = {raw[:16] for raw in stored.raws}  # a dropped table leaves its history
    newest = [order_of(i) for i in identifiers if order_of(i)[1] in anywhere]
    if ledger and not known:
        newest.append(order_of(ledger.newest))
    if known:
        return known & set(identifiers) | set(evident), gone
    if len(identifiers) == 1 and stored.rows.is_empty() and stored.history.is_empty():
        return set(), gone  # the day's first merge: it was killed before the rows were written
    last = max(newest, default=("", ""))
    return {i for i in identifiers if order_of(i) <= last}, gone
