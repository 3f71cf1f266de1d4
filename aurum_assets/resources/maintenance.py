"""Maintenance of one table: compact closed days, expire snapshots, delete unreferenced files.

In this order, so that it can be killed or raced anywhere: rows of closed days are rewritten as one
file a day, in the table's order (not visible yet); one commit for each month of days replaces the
old files by these, unless somebody changed the days meanwhile, and arranges the manifests
(``layout``); the last commit expires snapshots (``snapshots``); then unreferenced files are deleted
(``unreferenced``, which says why that is safe). Rows are read and written while writers go on: only
the commits take this machine's lock of the table.

What was written within the last ``Ages.quiet`` is left to the next run: its writer may still be
finding out whether its commit took effect, which it recognizes by its manifest
(``catalog.guard_commits``).
"""

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from aurum_assets.model.table import Table
from aurum_assets.resources import unreferenced as u
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.layout import (
    DAY,
    Contents,
    Layout,
    Partition,
    Rewrite,
    commit_layout,
    day_of,
    expire,
    layout_of,
    manifests_of,
    partition_of,
    unchanged,
)
from aurum_assets.resources.snapshots import KEPT_FOR, expendable

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table as IcebergTable

_QUIET = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class Ages:
    """How long unneeded files and snapshots are kept, and what counts as just written."""

    kept: dt.timedelta = KEPT_FOR
    quiet: dt.timedelta = _QUIET


@dataclass(frozen=True)
class Maintained:
    """What maintenance did to a table, or would do in a dry run; all 0 without a table.

    ``days_rewritten`` counts partitions (a day, or a day of one dataset). ``bytes_rewritten`` is
    the size of the ``files_rewritten``. ``files_deleted`` counts by kind: ``data``, ``manifest``,
    ``manifest list``, ``metadata``.
    """

    table: str
    days_rewritten: int = 0
    files_rewritten: int = 0
    manifests_before: int = 0
    manifests_after: int = 0
    snapshots_expired: int = 0
    files_deleted: Mapping[str, int] = field(default_factory=dict)
    bytes_deleted: int = 0
    bytes_rewritten: int = 0


def maintain_table(
    lake: Lake,
    table: Table,
    *,
    closed_before: dt.date,
    now: dt.datetime,
    dry_run: bool = False,
    progress: Callable[[str], None] | None = None,
    ages: Ages = Ages(),
) -> Maintained:
    """Maintain ``table``: days before ``closed_before``, snapshots and files as of ``now``.

    ``now`` is aware (UTC). ``dry_run`` writes nothing and returns what it would do.
    ``progress`` is called with one sentence per step. Raises like ``Lake.merge``.
    """
    found = lake.find(table)
    if found is None or found.current_snapshot() is None:
        return Maintained(table.identifier)
    run = _Run(lake, table, closed_before, now, ages, progress or (lambda _: None))
    return run.planned() if dry_run else run.done()


class _Run:
    def __init__(
        self,
        lake: Lake,
        table: Table,
        closed_before: dt.date,
        now: dt.datetime,
        ages: Ages,
        progress: Callable[[str], None],
    ) -> None:
        self._lake, self._table, self._progress = lake, table, progress
        self._closed_before, self._now, self._ages = closed_before, now, ages
        self._contents = Contents()
        self._files: dict[str, u.File] = {}
        self._ours: set[str] = set()  # manifests written by this run

    def planned(self) -> Maintained:
        """What ``done`` would do."""
        return self._lake.reading(self._table, self._plan, Maintained(self._table.identifier))

    def _plan(self, found: "IcebergTable") -> Maintained:
        self._files = u.files_below(found.io, found.location())
        rewritten = self._to_rewrite(found)
        # Only the partition of a new file matters here: that of the old ones.
        rewrites = [Rewrite(p, tuple(old), (old[0],)) for p, old in rewritten.items()]
        layout = self._layout(found, rewrites)
        commits = max(len(_months(rewritten)), int(layout.changes))
        coming = [(-n, self._now, False) for n in range(1, commits + 1)]
        expired = expendable(found.metadata, self._now, self._ages.kept, coming)
        commits += bool(expired)
        gone = self._unreferenced(found, expired, commits)
        if not (layout.changes or self._outrun(found, gone)):
            gone = self._unreferenced(found, expired, commits + 1)
        return self._result(rewrites, _count(found), layout.manifests, expired, gone)

    def done(self) -> Maintained:
        """Maintain the table; returns what was done."""
        lake, table = self._lake, self._table
        self._report("listing files")
        lake.table(table)  # as a writer: it has all columns from now on
        before = lake.reading(table, _count, 0)
        self._files = lake.reading(table, lambda t: u.files_below(t.io, t.location()), {})
        nothing: dict[Partition, list[DataFile]] = {}
        to_rewrite = lake.reading(table, self._to_rewrite, nothing)
        rewrites: list[Rewrite] = []
        written = 0
        for batch in _months(to_rewrite) or [[]]:
            ready = []
            for partition in batch:
                written += 1
                ready.append(self._rewritten(partition))
                self._report(f"{written} of {len(to_rewrite)} closed days rewritten")
            rewrites += lake.rewriting(table, partial(self._arrange, ready=ready))
        expired = lake.rewriting(table, self._expire)
        gone = self._delete()
        return self._result(rewrites, before, lake.reading(table, _count, 0), expired, gone)

    def _result(
        self,
        rewrites: Sequence[Rewrite],
        before: int,
        after: int,
        expired: Sequence[int],
        gone: Sequence[u.File],
    ) -> Maintained:
        kinds = Counter(file.kind for file in gone)
        files = [file for rewrite in rewrites for file in rewrite.old]
        return Maintained(
            table=self._table.identifier,
            days_rewritten=len(rewrites),
            files_rewritten=len(files),
            manifests_before=before,
            manifests_after=after,
            snapshots_expired=len(expired),
            files_deleted={kind: kinds[kind] for kind in u.KINDS if kinds[kind]},
            bytes_deleted=sum(file.size for file in gone),
            bytes_rewritten=sum(file.file_size_in_bytes for file in files),
        )

    def _report(self, what: str) -> None:
        self._progress(f"{self._table.identifier}: {what}")

    # --- rows and manifests -------------------------------------------------------------------

    def _may_move(self, found: "IcebergTable", manifest: "ManifestFile") -> bool:
        """Whether the manifest is ours, or old enough; one that is not listed is newer."""
        if manifest.manifest_path in self._ours:
            return True
        file = self._files.get(u.path_of(found.io, manifest.manifest_path))
        return file is not None and file.modified <= self._now - self._ages.quiet

    def _to_rewrite(self, found: "IcebergTable") -> "dict[Partition, list[DataFile]]":
        """The closed partitions with several files, none of them written just now."""
        files = defaultdict[Partition, list["DataFile"]](list)
        busy = set()
        for manifest in manifests_of(found):
            rests = self._may_move(found, manifest)
            for entry in self._contents.of(found, manifest):
                partition = partition_of(found, entry.data_file)
                files[partition].append(entry.data_file)
                if not rests:
                    busy.add(partition)
        several = {p: some for p, some in files.items() if len(some) > 1 and p not in busy}
        closed = [p for p, some in several.items() if self._closed(found, some[0])]
        return {p: several[p] for p in sorted(closed)}

    def _closed(self, found: "IcebergTable", file: "DataFile") -> bool:
        day = day_of(found, file)
        return day is not None and day < self._closed_before

    def _rewritten(self, partition: Partition) -> Rewrite:
        """Write the rows of ``partition`` as one file; nothing is committed."""
        nothing: tuple[list[DataFile], list[DataFile]] = ([], [])
        old, new = self._lake.reading(
            self._table,
            lambda found: self._lake.compacted(found, self._table, dict(partition), uuid.uuid4()),
            nothing,
        )
        return Rewrite(partition, tuple(old), tuple(new))

    def _layout(self, found: "IcebergTable", rewrites: Sequence[Rewrite]) -> Layout:
        may_move = partial(self._may_move, found)
        return layout_of(found, self._contents, self._closed_before, may_move, rewrites)

    def _arrange(self, found: "IcebergTable", ready: Sequence[Rewrite]) -> list[Rewrite]:
        """Commit those of ``ready`` whose partition did not change, and arrange the manifests."""
        now = {p: {f.file_path for f in some} for p, some in self._to_rewrite(found).items()}
        valid = [r for r in ready if now.get(r.partition) == {f.file_path for f in r.old}]
        layout = self._layout(found, valid)
        if layout.changes:
            self._ours |= set(commit_layout(found, layout))
        return valid

    # --- snapshots and files ------------------------------------------------------------------

    def _expire(self, found: "IcebergTable") -> list[int]:
        old = expendable(found.metadata, self._now, self._ages.kept)
        if old:
            expire(found, old)
        return old

    def _unreferenced(
        self, found: "IcebergTable", without: Sequence[int] = (), commits: int = 0
    ) -> list[u.File]:
        used = u.referenced(found, self._contents, self._files, without, commits)
        old = self._now - self._ages.kept
        return [f for f in self._files.values() if f.modified < old and f.path not in used]

    def _outrun(self, found: "IcebergTable", gone: Sequence[u.File]) -> bool:
        """Whether the current snapshot is newer than everything to be deleted."""
        snapshot = found.current_snapshot()
        since = snapshot.timestamp_ms / 1000 - self._ages.quiet.total_seconds() if snapshot else 0
        return all(file.modified.timestamp() < since for file in gone)

    def _delete(self) -> list[u.File]:
        """Delete unreferenced files, once no writer can commit them any more."""
        lake, table, deleted = self._lake, self._table, []

        def delete(found: "IcebergTable") -> None:
            gone = self._unreferenced(found)
            self._report(f"{len(gone)} unreferenced files are deleted")
            for file in gone:
                if u.delete(found, file):
                    deleted.append(file)
                del self._files[file.path]

        nothing: list[u.File] = []
        gone = lake.reading(table, self._unreferenced, nothing)
        if not lake.reading(table, partial(self._outrun, gone=gone), otherwise=True):
            lake.rewriting(table, lambda found: commit_layout(found, unchanged(found)))
        lake.reading(table, delete, None)
        return deleted


def _count(found: "IcebergTable") -> int:
    return len(manifests_of(found))


def _months(partitions: Iterable[Partition]) -> list[list[Partition]]:
    """The partitions grouped by month, one commit each."""
    months = defaultdict[str, list[Partition]](list)
    for partition in partitions:
        months[f"{dict(partition)[DAY]:%Y-%m}"].append(partition)
    return list(months.values())
