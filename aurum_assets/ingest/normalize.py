"""Normalize: bring an operating day's archived snapshots into its table, once each.

A table day is the fold of the day's snapshots in their order. One new snapshot that is newer than
all merged ones is merged as it is; anything else (a late arrival, several at once, a kill between
archive and table, a forgotten registry) rebuilds the day from the archive. Both give the same rows.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence

from aurum_assets.ingest.conform import Conformed, Unusable, conform_all, repeats, rows_tell
from aurum_assets.ingest.keep import drain_spool, unmark
from aurum_assets.ingest.ledger import agreed, lacks_rows, record
from aurum_assets.ingest.normalized import Normalized, described, look_again
from aurum_assets.ingest.publish import committed, drain, intend
from aurum_assets.ingest.rebuild import fold_again
from aurum_assets.ingest.rejecting import one_day
from aurum_assets.ingest.writable import store_what_can_be
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, NothingArchived, Overtaken
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import fold
from aurum_assets.resources.archive import order_of
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Merged
from aurum_assets.resources.logs import bound, get_logger

log = get_logger(__name__)


def normalize(resources: Resources, dataset: Dataset, day: OperatingDay) -> Normalized:
    """Bring what the table does not hold yet of ``day`` into it.

    What was spooled goes up first. Raises ``NothingArchived`` where the archive holds nothing of
    the day, ``ContractBroken`` where rows would be lost, ``StoreUnavailable`` where the archive is
    out of reach, ``SourceError`` never.
    """
    drain_spool(resources, dataset)
    context = bound(dataset=dataset.key, day=day.key)
    with context, resources.lock(dataset.key), resources.metrics.verb("normalize", dataset):
        done = _normalize(resources, dataset, day)
        log.info(
            "normalized",
            new=done.merged.new,
            changed=done.merged.changed,
            quarantined=done.quarantined,
            rejected=len(done.unusable),
            rebuilt=done.rebuilt,
        )
    drain(resources)
    return done


def normalize_each(
    resources: Resources, dataset: Dataset, days: Sequence[str], first: OperatingDay
) -> Iterator[tuple[OperatingDay, Normalized | AurumError]]:
    """``normalize`` for each of ``days``, ``first`` first: one that fails stops no other."""
    for key in sorted(days, key=lambda key: (key != first.key, key)):
        day = dataset.day(key)
        outcome: Normalized | AurumError
        try:
            with one_day(dataset, key):
                outcome = normalize(resources, dataset, day)
        except AurumError as error:
            outcome = error
        yield day, outcome


def _normalize(resources: Resources, dataset: Dataset, day: OperatingDay) -> Normalized:
    identifiers = resources.archive.identifiers(dataset.archive_name, day.key)
    if not identifiers:
        raise nothing_archived(dataset, day)
    uuid, rows = resources.lake.held(dataset.table, {"operating_day": day.date})
    merged = resources.registry.merged(dataset.key, day.key, uuid)
    ledger = resources.registry.ledger(dataset.key, day.key)
    lacking = lacks_rows(ledger, uuid, rows, merged)
    before = None if lacking else agreed(ledger, uuid, merged, identifiers)
    merged = frozenset() if lacking else merged
    pending = [i for i in identifiers if i not in merged]
    newest = max(map(order_of, merged), default=("", ""))
    newer = not lacking and len(pending) == 1 and order_of(pending[0]) > newest
    if not pending:
        unmark(resources, dataset, day, identifiers)
        return look_again(resources, dataset, day)
    done = None
    if newer:
        intend(resources, dataset, day, pending)
        with contextlib.suppress(Overtaken):
            done = _merge_newest(resources, dataset, day, pending[0])
    if done is None:
        newer = False
        folded = fold_again(resources, dataset, day, publish="changes")
        done, identifiers = folded.done, folded.identifiers
    qualities = done.qualities_of(pending if newer else identifiers)
    committed(resources, dataset, {day.key: qualities})
    held = frozenset(identifiers) - done.lost
    unmark(resources, dataset, day, held)
    record(resources, done, uuid, held, before, rows)
    resources.registry.mark_merged(dataset.key, day.key, uuid, held)
    _say_healed(done, lacking=lacking)
    _count(resources, done, pending)
    return done


def nothing_archived(dataset: Dataset, day: OperatingDay) -> NothingArchived:
    """The error of a day that cannot be made, for nobody collected it."""
    return NothingArchived(f"{dataset.key}: nothing archived of {day}: collect the day first")


def _say_healed(done: Normalized, *, lacking: bool) -> None:
    done.healed = lacking and done.merged.new > 0
    if done.healed:
        log.warning("healed", rows=done.merged.new, because="the table lacked rows merged before")


def _count(resources: Resources, done: Normalized, pending: Collection[str]) -> None:
    """What this brought, for the metrics; a snapshot that gives no rows counts once."""
    refused = {u.identifier for u in done.unusable} & set(pending) - done.lost
    resources.metrics.count("rejected_snapshots", done.dataset, by=len(refused))
    if "data_quality" in done.rows.columns:
        for value, rows in done.rows["data_quality"].drop_nulls().value_counts().iter_rows():
            resources.metrics.count("data_quality", done.dataset, value, by=rows)


def _merge_newest(
    resources: Resources, dataset: Dataset, day: OperatingDay, identifier: str
) -> Normalized:
    """Merge the one snapshot that is newer than all that the table holds."""
    snapshots, unusable = conform_all(resources, dataset, day, [identifier])

    def store(usable: list[Conformed], out: list[Unusable]) -> Normalized:
        return _merge(resources, dataset, day, usable, out)

    return store_what_can_be(resources, dataset, day, snapshots, unusable, store)


def _merge(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    snapshots: Sequence[Conformed],
    unusable: list[Unusable],
) -> Normalized:
    done = Normalized(dataset, day, Merged(), dataset.table.empty())
    done.unusable = unusable
    if not snapshots:
        return done
    first = snapshots[0]
    if first.dialect.volatile and _repeats_neighbour(resources, dataset, day, first):
        return look_again(resources, dataset, day)
    kept_out = resources.lake.merge(QUARANTINE, first.quarantined)
    resources.metrics.count("quarantined_rows", dataset, by=kept_out.new)
    done.rows, _ = fold(dataset.table, first.good)
    done.merged = resources.lake.merge(dataset.table, done.rows)
    done.snapshots = 1
    return described(done, snapshots, len(first.quarantined))


def _repeats_neighbour(
    resources: Resources, dataset: Dataset, day: OperatingDay, one: Conformed
) -> bool:
    """Whether the snapshot before this one, asked for with the same filters, says the same."""
    folder, envelope = dataset.archive_name, one.envelope
    for identifier in reversed(resources.archive.identifiers(folder, envelope.day)):
        if order_of(identifier) >= order_of(envelope.identifier):
            continue
        before = resources.archive.envelope(folder, envelope.day, identifier)
        if before.filters != envelope.filters:
            continue
        if not rows_tell(dataset):
            return before.content_sha256 == envelope.content_sha256
        neighbours, _ = conform_all(resources, dataset, day, [identifier], keep=False)
        if neighbours and not neighbours[0].elsewhere:
            return repeats(dataset, one, neighbours[0])
    return False
