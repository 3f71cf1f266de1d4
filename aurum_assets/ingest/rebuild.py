"""Rebuild: make a day of a table anew, the fold of all of its archived snapshots."""

from collections.abc import Sequence

import polars as pl

from aurum_assets.ingest.conform import Conformed, Unusable, conform_all, is_of, one_a_record
from aurum_assets.ingest.normalized import Normalized, described
from aurum_assets.ingest.publish import Publish, changes, intend
from aurum_assets.ingest.writable import store_what_can_be
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import ContractBroken, LakeBusy, Overtaken
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import fold
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import get_logger

log = get_logger(__name__)
_FOLDS = 5


def fold_again(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    *,
    force: bool = False,
    publish: Publish = "nothing",
) -> tuple[Normalized, list[str]]:
    """Rebuild the day from all of its archived snapshots; what was done, and their identifiers.

    Once more where another machine brought a snapshot in between. Raises like ``rebuild``, and
    ``LakeBusy`` where others did so all the time.
    """
    before: list[str] = []
    for _ in range(_FOLDS):
        found = resources.archive.identifiers(dataset.archive_name, day.key)
        try:
            return rebuild(resources, dataset, day, found, force=force, publish=publish), found
        except Overtaken as error:
            log.info("folded again", because=str(error))
        except ContractBroken:
            if found == before:  # nobody brought anything: these rows would really be lost
                raise
        before = found
    msg = f"{dataset.key} {day}: others brought snapshots all the time; ask again later"
    raise LakeBusy(msg)


def rebuild(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: Sequence[str],
    *,
    force: bool = False,
    publish: Publish = "nothing",
) -> Normalized:
    """Make the table's day the fold of all its archived snapshots, ``identifiers``.

    What is to be sent of them (``publish``) is intended here; the caller confirms the commit.
    Raises ``ContractBroken`` where the table holds rows of bytes that the archive lacks: those
    would be lost (``force`` lets them go).
    """
    snapshots, unusable = conform_all(resources, dataset, day, identifiers)

    def store(usable: list[Conformed], out: list[Unusable]) -> Normalized:
        return _rebuild(
            resources, dataset, day, identifiers, usable, out, force=force, publish=publish
        )

    return store_what_can_be(resources, dataset, day, snapshots, unusable, store)


def _rebuild(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: Sequence[str],
    snapshots: Sequence[Conformed],
    unusable: list[Unusable],
    *,
    force: bool,
    publish: Publish,
) -> Normalized:
    table = dataset.table
    rows, before = fold(table, pl.concat([table.empty(), *(s.good for s in snapshots)]))
    others = unknown = None
    if not force:
        gone = {u.identifier for u in unusable}
        drifted = {s.envelope.identifier for s in snapshots if any(d.refuses for d in s.drift)}
        known = [i for i in identifiers if i not in gone]
        others = ~is_of([i for i in known if i not in drifted])
        unknown = ~is_of(known)
        _refuse_loss(resources, dataset, day, unknown, others)
    quarantined = one_a_record([s.quarantined for s in snapshots])
    partition = {"operating_day": day.date, "dataset": dataset.key}
    newest = max((s.envelope.fetched_at for s in snapshots), default=None)
    later = None if force or newest is None else pl.col("superseded_at") > newest
    if len(before) or resources.lake.find(table.history):
        resources.lake.replace(table.history, before, {"operating_day": day.date}, keeps=later)
    kept_out = resources.lake.merge(QUARANTINE, quarantined)
    resources.metrics.count("quarantined_rows", dataset, by=kept_out.new)
    elsewhere = {s.envelope.identifier for s in snapshots if s.elsewhere}
    ours = [i for i in identifiers if i not in elsewhere]
    intend(resources, dataset, day, changes(resources, dataset, day, ours, rows, publish))
    merged = resources.lake.replace(table, rows, {"operating_day": day.date}, keeps=others)
    resources.lake.replace(QUARANTINE, quarantined, partition, keeps=unknown)
    done = Normalized(dataset, day, merged, rows, len(snapshots), rebuilt=True)
    done.unusable = unusable
    return described(done, snapshots, len(quarantined))


def _refuse_loss(
    resources: Resources, dataset: Dataset, day: OperatingDay, unknown: pl.Expr, unusable: pl.Expr
) -> None:
    """Refuse to drop rows whose bytes are ``unknown`` (gone), or ``unusable``: drifted by what
    config expects now.
    """
    partition = {"operating_day": day.date}
    table, column = dataset.table, ("raw_sha256",)
    stored = pl.concat([resources.lake.read(t, partition, column) for t in (table, table.history)])
    kept_out = resources.lake.read(QUARANTINE, partition | {"dataset": dataset.key}, column)
    lost = pl.concat([stored.filter(unusable), kept_out.filter(unknown)])
    if len(lost):
        msg = (
            f"{dataset.key} {day}: {len(lost)} stored rows come from bytes that the archive lacks, "
            "that can no longer be read, or whose schema is not the one that config expects now "
            f"(the first: {lost['raw_sha256'][0]}); restore the bytes or the config, or replay "
            "with --force to let these rows go"
        )
        raise ContractBroken(msg)
