"""Requeue: read rejected and quarantined data again, after a rule or a parser was corrected.

A day with quarantined records or rejected snapshots is replayed: what passes now enters, the rest
stays out with its present reason. Bytes that were rejected before they could be archived go through
``accept`` again, with the instant at which they were fetched; they are settled only when they are
archived and give rows.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aurum_assets.ingest.accept import Received, accept, place
from aurum_assets.ingest.collect import Progress
from aurum_assets.ingest.conform import conform
from aurum_assets.ingest.rejecting import one_day, rejecting
from aurum_assets.ingest.replay import replay
from aurum_assets.ingest.sharing import is_shared
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, DataError
from aurum_assets.model.formats import sniff
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.archive import Rejection
from aurum_assets.resources.composition import Resources

_SHOWN = 5


@dataclass(frozen=True)
class Requeued:
    """One operating day before and after (in a dry run: as it would be).

    ``day`` is empty for bytes whose day is unknown. ``quarantined``: records; ``rejected``: whole
    snapshots; ``entered``: records that left the quarantine; ``rows``: new or changed in the table.
    ``reasons``: why the rest still fails. ``failed``: why the day could not be replayed.
    """

    dataset: str
    day: str
    quarantined_before: int = 0
    quarantined_after: int = 0
    rejected_before: int = 0
    rejected_after: int = 0
    entered: int = 0
    rows: int = 0
    reasons: tuple[str, ...] = ()
    failed: str = ""

    @property
    def left(self) -> bool:
        """Whether something is still kept out."""
        return bool(self.quarantined_after or self.rejected_after or self.failed)

    def as_dict(self) -> dict[str, Any]:
        """The fields that ``aurum requeue --json`` prints."""
        return asdict(self)


@dataclass(frozen=True)
class _After:
    """A day after it is read again: reasons by record hash, and by rejected snapshot."""

    quarantined: dict[str, str]
    rejected: dict[str, str]
    rows: int = 0


def requeue(
    resources: Resources,
    dataset: Dataset,
    *,
    day: OperatingDay | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> list[Requeued]:
    """Read every day of ``dataset`` (or ``day`` alone) again that has data kept out.

    A dry run writes nothing. A day that cannot be replayed is reported and stops no other.
    """
    placed, lost = _placed(resources, dataset, day, dry_run=dry_run)
    quarantined = resources.lake.read(QUARANTINE, {"dataset": dataset.key}, ("operating_day",))
    days = {found.isoformat() for found in quarantined["operating_day"].unique()} | set(placed)
    done = [lost] if lost is not None and day is None else []
    for key in sorted(days):
        if day is None or key == day.key:
            done.append(
                _requeue_day(
                    resources, dataset, dataset.day(key), placed.get(key, []), dry_run=dry_run
                )
            )
            if progress:
                progress(f"{dataset.key} {key}")
    return done


def _placed(
    resources: Resources, dataset: Dataset, only: OperatingDay | None, *, dry_run: bool
) -> tuple[dict[str, list[Rejection]], Requeued | None]:
    """The rejected answers by their day, archived where possible.

    And one entry without a day for those whose day is still unknown.
    """
    rejections = list(resources.archive.rejections(dataset.key))
    # Where another dataset archived the same answer, that was for its own day.
    known = bool(rejections) and not is_shared(dataset)
    archived = _archived_names(resources, dataset) if known else {}
    placed: defaultdict[str, list[Rejection]] = defaultdict(list)
    reasons = []
    for rejection in rejections:
        days = archived.get(rejection.name)
        if days is None:
            try:
                days = _take_again(resources, dataset, rejection, only, dry_run=dry_run)
            except DataError as error:
                reasons.append(f"{rejection.name}: {error}")
                continue
        for key in days:
            placed[key].append(rejection)
    count = len(reasons)
    if not count:
        return placed, None
    shown = tuple(reasons[:_SHOWN])
    return placed, Requeued(
        dataset.key, "", rejected_before=count, rejected_after=count, reasons=shown
    )


def _archived_names(resources: Resources, dataset: Dataset) -> dict[str, list[str]]:
    """The days that hold each archived answer, by its name (endpoint and hash)."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for key in resources.archive.days(dataset.archive_name):
        for identifier in resources.archive.identifiers(dataset.archive_name, key):
            found[identifier.partition("-")[2]].append(key)
    return found


def _take_again(
    resources: Resources,
    dataset: Dataset,
    rejection: Rejection,
    only: OperatingDay | None,
    *,
    dry_run: bool,
) -> list[str]:
    """Archive an answer that was rejected before it was archived; returns the days it lies under.

    Raises ``DataError`` where it still cannot be read.
    """
    if "finality" in dataset.table.names and rejection.finality is None:
        msg = "its finality was not recorded: take it in by aurum load --finality"
        raise DataError(msg)
    body = resources.archive.rejected_body(rejection)
    received = Received(
        body=body,
        endpoint=rejection.endpoint,
        dialect=rejection.dialect,
        format=sniff(dataset, body),
        fetched_at=rejection.fetched_at,
        finality=rejection.finality,
        asked=rejection.asked,
        filters=rejection.filters,
    )
    _, day = place(dataset, received)
    if not dry_run and (only is None or day == only):
        return list(accept(resources, dataset, received).days)
    return [day.key]


def _requeue_day(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    rejections: Sequence[Rejection],
    *,
    dry_run: bool,
) -> Requeued:
    before = _quarantined(resources, dataset, day)
    try:
        with one_day(dataset, day.key):
            if dry_run:
                after = _as_it_would_be(resources, dataset, day)
            else:
                after = _replayed(resources, dataset, day, rejections)
    except AurumError as error:
        return Requeued(
            dataset.key,
            day.key,
            quarantined_before=len(before),
            quarantined_after=len(before),
            rejected_before=len(rejections),
            rejected_after=len(rejections),
            failed=str(error),
        )
    reasons = dict.fromkeys([*after.rejected.values(), *after.quarantined.values()])
    return Requeued(
        dataset.key,
        day.key,
        quarantined_before=len(before),
        quarantined_after=len(after.quarantined),
        rejected_before=len(rejections),
        rejected_after=len(after.rejected),
        entered=len(before.keys() - after.quarantined.keys()),
        rows=after.rows,
        reasons=tuple(reasons)[:_SHOWN],
    )


def _quarantined(resources: Resources, dataset: Dataset, day: OperatingDay) -> dict[str, str]:
    """Why each quarantined record of the day was kept out, by its hash."""
    partition = {"operating_day": day.date, "dataset": dataset.key}
    rows = resources.lake.read(QUARANTINE, partition, ("received_hash", "reason"))
    return dict(rows.iter_rows())


def _replayed(
    resources: Resources, dataset: Dataset, day: OperatingDay, rejections: Sequence[Rejection]
) -> _After:
    """The day rebuilt; answers that can be read now are settled."""
    done = replay(resources, dataset, day, publish="changes")
    still = {u.identifier.partition("-")[2]: u.reason for u in done.unusable}
    for rejection in rejections:
        if rejection.name not in still:
            resources.archive.settle(rejection, day.key)
    rows = done.merged.new + done.merged.changed
    return _After(_quarantined(resources, dataset, day), still, rows)


def _as_it_would_be(resources: Resources, dataset: Dataset, day: OperatingDay) -> _After:
    """What a replay would leave. Of answers that are not archived yet, only the day is known:
    whether their rows pass, the replay shows.
    """
    quarantined: dict[str, str] = {}
    still: dict[str, str] = {}
    for identifier in resources.archive.identifiers(dataset.archive_name, day.key):
        try:
            snapshot = resources.archive.snapshot(dataset.archive_name, day.key, identifier)
            with rejecting(dataset, identifier):
                rows = conform(resources, dataset, day, snapshot).quarantined
        except DataError as error:
            still[identifier.partition("-")[2]] = str(error)
        else:
            quarantined |= dict(rows.select("received_hash", "reason").iter_rows())
    return _After(quarantined, still)
