"""Maintain: compact, expire and delete what is no longer needed. One function for all parts.

In this order, each part by itself, so that a failure stops no other:

    tables      closed days rewritten, manifests merged, snapshots expired, unreferenced files
                deleted (``resources.maintenance``): each table with its history, the quarantine,
                the reference tables
    leftovers   drafts of killed writes, settled marks of the spool (``leftovers``)
    Dagster     old runs, their events, files and logs (``graph.purge``, passed in by the caller:
                this package does not import Dagster)
    stores      expired rows, and free pages of SQLite files (``resources.stores``)

The archive is never touched. A kill at any point loses nothing, and the next pass does the rest.
There is no log file to rotate: processes log to standard error, and what runs print is kept, and
purged, by Dagster.
"""

import datetime as dt
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aurum_assets.ingest.keep import pending_days
from aurum_assets.ingest.leftovers import clear
from aurum_assets.ingest.query import known_tables
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.maintenance import maintain_table
from aurum_assets.resources.redaction import redacted
from aurum_assets.resources.stores import files_of, forget_expired, shrink, spare

CLOSED_AFTER = 2  # days after an operating day's end
_LONGEST_PENDING = 14  # days for which a snapshot that cannot be merged keeps later days open
_LAST, _REMEMBERED = "maintained", 400 * 86_400.0

log = get_logger(__name__)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Upkeep:
    """What was done to a part, or would be in a dry run.

    ``days``: closed days that are one file each now, instead of ``rewritten`` data files.
    ``expired``: snapshots of a table, runs of Dagster, rows of a store. ``deleted``: files.
    ``freed``: bytes of the disk or bucket. ``note``: a remark. ``failed``: a sentence that says why
    it stopped; what was done before stays done.
    """

    part: str
    days: int = 0
    rewritten: int = 0
    manifests_before: int = 0
    manifests_after: int = 0
    expired: int = 0
    deleted: int = 0
    freed: int = 0
    note: str = ""
    failed: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything was done, or would be."""
        layout = self.days or self.rewritten or self.manifests_before != self.manifests_after
        return bool(layout or self.expired or self.deleted or self.freed or self.note)

    def as_dict(self) -> dict[str, Any]:
        """The fields that ``aurum maintain --json`` prints."""
        return asdict(self)


Part = tuple[str, Callable[[Progress], Upkeep]]


def parts_of(
    resources: Resources,
    only: Collection[Dataset] = (),
    *,
    dry_run: bool = False,
    others: Sequence[Part] = (),
    now: dt.datetime | None = None,
) -> list[Part]:
    """List the parts to maintain; with ``only``, the tables of these datasets and nothing else.

    ``others`` go between the tables and the stores. Ages of snapshots and files are measured at
    ``now`` (UTC), by default the wall clock, whatever AURUM_NOW is: a clock that is set ahead would
    delete files that a writer is about to commit. Nothing is done yet.
    """
    at = now or dt.datetime.now(dt.UTC)
    tables = [t for d in only for t in (d.table, d.table.history)] or known_tables()
    found: list[Part] = [
        (t.identifier, partial(_table, resources, t, now=at, dry_run=dry_run)) for t in tables
    ]
    if only:
        return found
    found.append(("leftovers", partial(_leftovers, resources, dry_run=dry_run)))
    found += others
    stores = [
        (file.name, partial(_store, file, dry_run=dry_run)) for file in files_of(resources.root)
    ]
    return [*found, *stores]


def maintain(
    resources: Resources, parts: Sequence[Part], progress: Progress = lambda _: None
) -> Iterator[Upkeep]:
    """Maintain ``parts`` one after the other, in one process of a machine at a time.

    A part that fails raises nothing: its ``Upkeep`` has the reason.
    """
    with resources.lock("maintenance"):
        for name, look in parts:
            progress(name)
            try:
                yield look(progress)
            except AurumError as error:
                yield Upkeep(name, failed=redacted(str(error)))
            except Exception as error:
                # An unforeseen error is no reason to skip the other parts.
                log.exception("a part was not maintained", part=name)
                yield Upkeep(name, failed=redacted(f"{type(error).__name__}: {error}"))


def remember(resources: Resources) -> None:
    """Record that a pass over all parts ended without a failure."""
    resources.state.set(_LAST, resources.now().isoformat(), _REMEMBERED)


def last_maintained(resources: Resources) -> dt.datetime | None:
    """When a pass over all parts last ended without a failure; None where none ever did."""
    text = resources.state.get(_LAST)
    return dt.datetime.fromisoformat(text) if text else None


def closed_before(resources: Resources, dataset: Dataset) -> dt.date:
    """The first operating day that is not closed: earlier ones ended two days ago or more, and have
    no pending snapshots.

    What has been pending for long, for instance a damaged object, does not keep days open for ever:
    days are rewritten in optimistic commits, so closing one too early costs a rewrite and no row.
    """
    today = dataset.operator.day_of(resources.now())
    oldest = today.plus(-_LONGEST_PENDING).key
    waiting = [dataset.day(key).date for key in pending_days(resources, dataset) if key >= oldest]
    return min([today.plus(-CLOSED_AFTER).date, *waiting])


def _table(
    resources: Resources, table: Table, progress: Progress, *, now: dt.datetime, dry_run: bool
) -> Upkeep:
    owners = [d for d in DATASETS if table in (d.table, d.table.history)] or DATASETS
    done = maintain_table(
        resources.lake,
        table,
        closed_before=min(closed_before(resources, d) for d in owners),
        now=now,
        dry_run=dry_run,
        progress=progress,
    )
    return Upkeep(
        table.identifier,
        days=done.days_rewritten,
        rewritten=done.files_rewritten,
        manifests_before=done.manifests_before,
        manifests_after=done.manifests_after,
        expired=done.snapshots_expired,
        deleted=sum(done.files_deleted.values()),
        freed=done.bytes_deleted,
    )


def _leftovers(resources: Resources, progress: Progress, *, dry_run: bool) -> Upkeep:
    progress("leftovers: drafts of killed writes, settled marks")
    done = clear(resources, dry_run=dry_run)
    return Upkeep("leftovers", deleted=done.drafts + done.marks, freed=done.bytes)


def _store(file: Path, progress: Progress, *, dry_run: bool) -> Upkeep:
    progress(f"{file.name}: expired rows, free pages")
    expired = 0
    if file.stem == "state":
        expired = forget_expired(file, time.time(), dry_run=dry_run)
    return Upkeep(file.name, expired=expired, freed=spare(file) if dry_run else shrink(file))
