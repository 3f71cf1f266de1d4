"""Replay: rebuild a day of the tables from the archive, which is the truth."""

from aurum_assets.ingest.keep import drain_spool, unmark
from aurum_assets.ingest.ledger import record
from aurum_assets.ingest.normalize import nothing_archived
from aurum_assets.ingest.normalized import Normalized
from aurum_assets.ingest.publish import Publish, committed, drain
from aurum_assets.ingest.rebuild import fold_again
from aurum_assets.ingest.rejecting import one_day
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import bound


def replay(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    *,
    force: bool = False,
    publish: Publish = "nothing",
) -> Normalized:
    """Rebuild a day of the table from the archive alone; no commit where it is identical already.

    ``publish``: send all of the day to Kafka (again), or what changes, or nothing. Raises
    ``NothingArchived`` where neither archive nor table holds anything of the day, ``Unexpected``
    for an unforeseen error, so that whoever replays a range can go on.
    """
    with one_day(dataset, day.key):
        return _replay(resources, dataset, day, force=force, publish=publish)


def _replay(
    resources: Resources, dataset: Dataset, day: OperatingDay, *, force: bool, publish: Publish
) -> Normalized:
    drain_spool(resources, dataset)
    context = bound(dataset=dataset.key, day=day.key)
    with context, resources.lock(dataset.key), resources.metrics.verb("replay", dataset):
        done, identifiers = fold_again(resources, dataset, day, force=force, publish=publish)
        if not identifiers and not done.merged.removed:
            raise nothing_archived(dataset, day)
        committed(resources, dataset, day, done.qualities_of(identifiers))
        held = frozenset(identifiers) - done.lost
        unmark(resources, dataset, day, held)
        uuid = resources.lake.uuid(dataset.table)
        record(resources, done, uuid, held)
        resources.registry.mark_merged(dataset.key, day.key, uuid, held)
    if publish != "nothing":
        drain(resources)
    return done


def held_days(resources: Resources, dataset: Dataset) -> list[OperatingDay]:
    """The days that the archive or the table holds."""
    archived = resources.archive.days(dataset.archive_name)
    stored = [day.isoformat() for day in resources.lake.days(dataset.table)]
    return [dataset.day(key) for key in sorted({*archived, *stored})]
