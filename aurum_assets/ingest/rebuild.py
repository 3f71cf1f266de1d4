"""Rebuild: make days of a table anew, each the fold of all of its archived snapshots.

``fold_day`` reads, folds and writes the files of one day; it commits nothing and needs no lock, so
that many processes may do it. ``commit`` brings many folded days into the tables, one commit a
table, unless a day's tables or archive have changed since it was read: such a day is folded again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import polars as pl

from aurum_assets.ingest.conform import Conformed, Unusable, conform_all, is_of, one_a_record
from aurum_assets.ingest.normalized import Normalized, described
from aurum_assets.ingest.publish import Publish, changes, intend
from aurum_assets.ingest.writable import store_what_can_be
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import ContractBroken, LakeBusy, Overtaken
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table, compared, fold
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Merged, Stored, Swap
from aurum_assets.resources.logs import get_logger

log = get_logger(__name__)
_FOLDS = 5

# In this order, so that a kill in between leaves nothing that running again does not complete.
Part = Literal["history", "kept out", "rows", "let go"]
PARTS: tuple[Part, ...] = ("history", "kept out", "rows", "let go")


@dataclass
class Folded:
    """A day that was made anew: what is written and to be committed, and what that does.

    ``swaps``: by part of the commit; none where the tables hold that already. ``held``: the files
    of the day in each table once they are committed. ``fresh``, ``known``: the hashes (16 digits)
    of the snapshots that give new or changed rows, and of those whose rows the table held before.
    """

    done: Normalized
    identifiers: list[str]
    swaps: dict[Part, Swap] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    kept_out: int = 0
    fresh: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


def fold_again(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    *,
    force: bool = False,
    publish: Publish = "nothing",
) -> Folded:
    """Rebuild the day from all of its archived snapshots, and commit it. The caller has the lock.

    Once more where another machine brought a snapshot in between. Raises like ``fold_day``, and
    ``LakeBusy`` where others did so all the time.
    """
    for _ in range(_FOLDS):
        folded = fold_day(resources, dataset, day, force=force)
        if commit(resources, dataset, [folded], publish):
            return folded
        log.info("folded again", because="others changed the day meanwhile")
    raise _busy(dataset, day)


def fold_day(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    *,
    force: bool = False,
    write: bool = True,
) -> Folded:
    """The day as the fold of all of its archived snapshots, written to files, not committed.

    Without ``write`` neither lake nor archive is written. Raises ``ContractBroken`` where the table
    holds rows of bytes that the archive lacks: those would be lost (``force`` lets them go).
    """
    before: list[str] = []
    for _ in range(_FOLDS):
        identifiers = resources.archive.identifiers(dataset.archive_name, day.key)
        try:
            return _folded(resources, dataset, day, identifiers, force=force, write=write)
        except Overtaken as error:
            log.info("folded again", because=str(error))
        except ContractBroken:
            if identifiers == before:  # nobody brought anything: these rows would really be lost
                raise
        before = identifiers
    raise _busy(dataset, day)


def _busy(dataset: Dataset, day: OperatingDay) -> LakeBusy:
    return LakeBusy(f"{dataset.key} {day}: others brought snapshots all the time; ask again later")


def _folded(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: list[str],
    *,
    force: bool,
    write: bool,
) -> Folded:
    snapshots, unusable = conform_all(resources, dataset, day, identifiers, keep=write)
    make = partial(_make, resources, dataset, day, identifiers, force=force, write=write)
    if not write:
        return make(snapshots, unusable)
    return store_what_can_be(resources, dataset, day, snapshots, unusable, make, commits=False)


def _make(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: list[str],
    snapshots: Sequence[Conformed],
    unusable: list[Unusable],
    *,
    force: bool,
    write: bool,
) -> Folded:
    table, lake = dataset.table, resources.lake
    of_day: Mapping[str, Any] = {"operating_day": day.date}
    of_dataset = {**of_day, "dataset": dataset.key}
    rows, before = fold(table, pl.concat([table.empty(), *(s.good for s in snapshots)]))
    quarantined = one_a_record([s.quarantined for s in snapshots])
    stored = lake.stored(table, of_day)
    history = lake.stored(table.history, of_day)
    kept_out = lake.stored(QUARANTINE, of_dataset)
    if not force:
        gone = {u.identifier for u in unusable}
        drifted = {s.envelope.identifier for s in snapshots if any(d.refuses for d in s.drift)}
        known = [i for i in identifiers if i not in gone]
        others = ~is_of([i for i in known if i not in drifted])
        ours = [stored.rows["raw_sha256"], history.rows["raw_sha256"]]
        _refuse_loss(
            dataset, day, pl.concat(ours).to_frame().filter(others), kept_out.rows, ~is_of(known)
        )
        _refuse_to_be_late(dataset, day, history, snapshots)
    merged, fresh = _compared(table, rows, stored.rows)
    done = Normalized(dataset, day, merged, rows, len(snapshots), rebuilt=True)
    done.unusable, done.history = unusable, len(before)
    folded = Folded(described(done, snapshots, len(quarantined)), identifiers)
    folded.fresh, folded.known = fresh, _hashes(stored.rows)
    union = _with(kept_out.rows, quarantined)
    folded.kept_out = len(union) - len(kept_out.rows)
    wanted: dict[Part, tuple[Table, Mapping[str, Any], pl.DataFrame, Stored]] = {
        "history": (table.history, of_day, before, history),
        "kept out": (QUARANTINE, of_dataset, union, kept_out),
        "rows": (table, of_day, rows, stored),
    }
    for part, (of, partition, frame, has) in wanted.items():
        if write and not has.rows.equals(frame.select(of.names)):
            folded.swaps[part] = lake.write(of, frame, partition, has)
    if write and not union.equals(quarantined):
        swap = folded.swaps.get("kept out")
        has = Stored(union, kept_out.files if swap is None else swap.after)
        folded.swaps["let go"] = lake.write(QUARANTINE, quarantined, of_dataset, has)
    folded.held = _held(folded, {"history": history, "rows": stored, "kept out": kept_out})
    return folded


def _held(folded: Folded, before: Mapping[Part, Stored]) -> list[str]:
    """The files of the day in its tables, once the swaps are committed."""
    found = set[str]()
    for part, stored in before.items():
        swap = folded.swaps.get(part)
        if part == "kept out":
            swap = folded.swaps.get("let go", swap)
        found |= stored.files if swap is None else swap.after
    return sorted(found)


def _compared(
    table: Table, rows: pl.DataFrame, stored: pl.DataFrame
) -> tuple[Merged, frozenset[str]]:
    """What becomes of the ``stored`` rows, and the hashes of the snapshots with new or changed
    ``rows``.
    """
    if stored.is_empty():
        return Merged(new=len(rows), held=len(rows)), _hashes(rows)
    beside = compared(table, rows, stored.select(*table.key, *table.values))
    fresh = _hashes(rows.filter(beside["is_new"] | beside["is_changed"]))
    return Merged.replacing(beside, len(stored)), fresh


def _with(stored: pl.DataFrame, quarantined: pl.DataFrame) -> pl.DataFrame:
    """What quarantine holds with new records: the first reason for a record stays."""
    new = quarantined.join(stored, on=QUARANTINE.key, how="anti")
    if new.is_empty():
        return stored
    return pl.concat([stored, new.select(stored.columns)]).sort(QUARANTINE.order)


def _hashes(rows: pl.DataFrame) -> frozenset[str]:
    """The first 16 digits of ``raw_sha256``, with which identifiers end."""
    return frozenset(rows["raw_sha256"].unique().str.slice(0, 16).to_list())


def _refuse_loss(
    dataset: Dataset,
    day: OperatingDay,
    unusable: pl.DataFrame,
    kept_out: pl.DataFrame,
    unknown: pl.Expr,
) -> None:
    """Refuse to drop rows that are ``unusable``, or kept out and ``unknown``: their bytes are gone,
    or drifted by what config expects now.
    """
    lost = pl.concat([unusable, kept_out.filter(unknown).select("raw_sha256")])
    if len(lost):
        msg = (
            f"{dataset.key} {day}: {len(lost)} stored rows come from bytes that the archive lacks, "
            "that can no longer be read, or whose schema is not the one that config expects now "
            f"(the first: {lost['raw_sha256'][0]}); restore the bytes or the config, or replay "
            "with --force to let these rows go"
        )
        raise ContractBroken(msg)


def _refuse_to_be_late(
    dataset: Dataset, day: OperatingDay, history: Stored, snapshots: Sequence[Conformed]
) -> None:
    """Refuse to fold what is older than what another machine has superseded already."""
    newest = max((s.envelope.fetched_at for s in snapshots), default=None)
    if newest is not None and len(history.rows.filter(pl.col("superseded_at") > newest)):
        msg = f"{dataset.key} {day}: the history holds rows that others superseded meanwhile"
        raise Overtaken(msg)


# --- committing ----------------------------------------------------------------------------------


def commit(
    resources: Resources, dataset: Dataset, days: Sequence[Folded], publish: Publish = "nothing"
) -> list[Folded]:
    """Bring folded days into the tables, one commit a table; returns those that are in now.

    The others are to be folded again: their archive or their tables changed since they were read,
    or that is long ago. What is to be sent of each (``publish``) is intended here; the caller has
    the lock, and confirms the commit. Raises like ``Lake.merge``.
    """
    left = [folded for folded in days if _is_current(resources, dataset, folded)]
    for part in PARTS:
        if part == "rows":
            for folded in left:
                intend(resources, dataset, folded.done.day, _sent(resources, folded, publish))
        swaps = [folded.swaps[part] for folded in left if part in folded.swaps]
        of = {"history": dataset.table.history, "rows": dataset.table}.get(part, QUARANTINE)
        landed, snapshot = resources.lake.swap(of, swaps)
        known = {id(swap) for swap in landed}
        left = [f for f in left if part not in f.swaps or id(f.swaps[part]) in known]
        if part == "rows":
            for folded in (f for f in left if part in f.swaps):
                folded.done.merged = replace(folded.done.merged, snapshot_id=snapshot)
        if part == "kept out":
            resources.metrics.count(
                "quarantined_rows", dataset, by=sum(folded.kept_out for folded in left)
            )
    return left


def _is_current(resources: Resources, dataset: Dataset, folded: Folded) -> bool:
    """Whether the archive lists what was folded."""
    day = folded.done.day.key
    return resources.archive.identifiers(dataset.archive_name, day) == folded.identifiers


def _sent(resources: Resources, folded: Folded, publish: Publish) -> list[str]:
    return changes(
        resources,
        folded.done.dataset,
        folded.done.day,
        [i for i in folded.identifiers if i not in folded.done.elsewhere],
        folded.fresh,
        folded.known,
        publish,
    )
