"""Replay: rebuild days of the tables from the archive, which is the truth.

One day is rebuilt under the lock of its dataset. A range is cut into chunks: processes fold the
days of a chunk without any lock (``folding``), then one commit a table brings all of them in
(``rebuild.commit``), and the lock is held for that alone. A day that others changed meanwhile is
rebuilt by itself.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from aurum_assets.ingest.checkpoint import Checkpoint
from aurum_assets.ingest.folding import Folding, Options, Outcome
from aurum_assets.ingest.keep import drain_spool, unmark
from aurum_assets.ingest.ledger import record
from aurum_assets.ingest.normalize import nothing_archived
from aurum_assets.ingest.normalized import Normalized
from aurum_assets.ingest.publish import Publish, committed, drain
from aurum_assets.ingest.rebuild import Folded, commit, fold_again
from aurum_assets.ingest.rejecting import one_day
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import bound

Asked = tuple[Dataset, OperatingDay]


@dataclass(frozen=True)
class Replayed:
    """What became of one day of a range: ``done`` (without its rows), or the ``error``.

    Neither where a replay that was cut short had finished it.
    """

    dataset: Dataset
    day: OperatingDay
    done: Normalized | None = None
    error: AurumError | None = None


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
        folded = fold_again(resources, dataset, day, force=force, publish=publish)
        if _is_nothing(folded):
            raise nothing_archived(dataset, day)
        _finish(resources, dataset, [folded])
    if publish != "nothing":
        drain(resources)
    return folded.done


def held_days(resources: Resources, dataset: Dataset) -> list[OperatingDay]:
    """The days that the archive or the table holds."""
    archived = resources.archive.days(dataset.archive_name)
    stored = [day.isoformat() for day in resources.lake.days(dataset.table)]
    return [dataset.day(key) for key in sorted({*archived, *stored})]


def replay_days(
    resources: Resources,
    asked: Sequence[Asked],
    *,
    workers: int | None = None,
    running: Folding | None = None,
    chunk: int | None = None,
    force: bool = False,
    publish: Publish = "nothing",
    dry_run: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Replayed]:
    """Rebuild many days; what became of each, as its chunk is committed.

    ``workers``: how many processes fold (by default one a core, where that pays); ``running``: use
    these, which are not closed, and their options. ``chunk``: how
    many days are committed at once (by default those of a calendar month). A day that fails stops
    no other. With ``dry_run`` nothing is written, and the numbers are what would change. ``tell``
    hears of each day that is folded, before its chunk is committed.
    """
    with closing(Folding(resources, workers, Options(force=force, write=not dry_run))) as own:
        folding = running or own
        replaying = _Replaying(resources, folding, chunk, force=force, publish=publish, tell=tell)
        for dataset, ours in itertools.groupby(dict.fromkeys(asked), key=lambda one: one[0]):
            days = [day for _, day in ours]
            if dry_run:
                for day, outcome in zip(days, replaying.folded(dataset, days), strict=True):
                    yield _told(dataset, day, outcome)
            else:
                yield from replaying.days(dataset, days)


def chunks(days: Sequence[OperatingDay], size: int | None) -> Iterator[list[OperatingDay]]:
    """``days`` by ``size``, or by calendar months."""
    for _, part in itertools.groupby(
        enumerate(days),
        key=lambda one: one[0] // size if size else (one[1].date.year, one[1].date.month),
    ):
        yield [day for _, day in part]


@dataclass(frozen=True)
class _Replaying:
    """A replay of many days, see ``replay_days``."""

    resources: Resources
    folding: Folding
    chunk: int | None
    force: bool
    publish: Publish
    tell: Callable[[str], None]

    def days(self, dataset: Dataset, days: Sequence[OperatingDay]) -> Iterator[Replayed]:
        """Replay ``days`` of one dataset, chunk by chunk."""
        by = f"{self.force} {self.publish}"
        checkpoint = Checkpoint(self.resources, dataset, by) if len(days) > 1 else None
        try:
            drain_spool(self.resources, dataset)
            finished = checkpoint.finished(days) if checkpoint else set()
        except AurumError as error:
            yield from (Replayed(dataset, day, error=error) for day in days)
            return
        left = [day for day in days if day not in finished]
        yield from (Replayed(dataset, day) for day in days if day in finished)
        outcomes = self.folded(dataset, left)
        for part in chunks(left, self.chunk):
            chunk = dict(zip(part, itertools.islice(outcomes, len(part)), strict=True))
            yield from self._land(dataset, chunk, checkpoint)
        if checkpoint:
            checkpoint.clear()

    def folded(self, dataset: Dataset, days: Sequence[OperatingDay]) -> Iterator[Outcome]:
        """Each of ``days`` folded, or why it cannot be replayed."""
        for day, outcome in zip(days, self.folding.each(dataset, days), strict=True):
            self.tell(f"{dataset.key} {day}")
            nothing = isinstance(outcome, Folded) and _is_nothing(outcome)
            yield nothing_archived(dataset, day) if nothing else outcome

    def _land(
        self,
        dataset: Dataset,
        chunk: Mapping[OperatingDay, Outcome],
        checkpoint: Checkpoint | None,
    ) -> Iterator[Replayed]:
        """Commit a chunk; a day that others changed since it was folded is rebuilt by itself."""
        folded = [one for one in chunk.values() if isinstance(one, Folded)]
        landed: list[Folded] = []
        error: AurumError | None = None
        days = [day.key for day in chunk]
        try:
            with one_day(dataset, f"{days[0]} to {days[-1]}"), bound(dataset=dataset.key):
                landed = self._commit(dataset, folded)
                if checkpoint:
                    checkpoint.note(landed)
        except AurumError as failure:
            error = failure
        if self.publish != "nothing":
            drain(self.resources)
        there = {one.done.day for one in landed}
        for day, outcome in chunk.items():
            if not isinstance(outcome, Folded) or day in there:
                yield _told(dataset, day, outcome)
            elif error is not None:
                yield Replayed(dataset, day, error=error)
            else:
                yield self._again(dataset, day)

    def _commit(self, dataset: Dataset, folded: Sequence[Folded]) -> list[Folded]:
        with self.resources.lock(dataset.key), self.resources.metrics.verb("replay", dataset):
            landed = commit(self.resources, dataset, folded, self.publish)
            _finish(self.resources, dataset, landed)
        return landed

    def _again(self, dataset: Dataset, day: OperatingDay) -> Replayed:
        try:
            done = replay(self.resources, dataset, day, force=self.force, publish=self.publish)
        except AurumError as error:
            return Replayed(dataset, day, error=error)
        done.rows = dataset.table.empty()
        return Replayed(dataset, day, done)


def _told(dataset: Dataset, day: OperatingDay, outcome: Outcome) -> Replayed:
    if isinstance(outcome, Folded):
        return Replayed(dataset, day, outcome.done)
    return Replayed(dataset, day, error=outcome)


def _is_nothing(folded: Folded) -> bool:
    """Whether neither archive nor table holds anything of the day."""
    return not folded.identifiers and not folded.done.merged.removed


def _finish(resources: Resources, dataset: Dataset, landed: Sequence[Folded]) -> None:
    """After a commit, under the same lock: what follows from the days being in the tables."""
    qualities = {f.done.day.key: f.done.qualities_of(f.identifiers) for f in landed}
    committed(resources, dataset, qualities)
    uuid = resources.lake.uuid(dataset.table) if landed else ""
    for folded in landed:
        done, day = folded.done, folded.done.day
        held = frozenset(folded.identifiers) - done.lost
        unmark(resources, dataset, day, held)
        record(resources, done, uuid, held)
        resources.registry.mark_merged(dataset.key, day.key, uuid, held)
