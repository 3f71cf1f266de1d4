"""Group the files of an Iceberg table into manifests by month, in one commit.

A manifest is read whole, so files that are read together share one: those of all closed days of a
month, those of an open day (until its writers add to it). The manifest list has the bounds of the
days in each manifest: a merge into an open day reads no manifest of closed days, and a query over a
year reads twelve.

pyiceberg 0.12 merges manifests only on appends, by age and up to a size, so open days end up in one
manifest with closed ones; and it cannot rewrite data files. So the snapshot is built here from
pyiceberg's public parts: manifests written with ``write_manifest``, every kept file with its
snapshot id and sequence numbers. The commit asserts that the main branch has not moved since it was
read: it loses against any other commit, and then changes nothing.
"""

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aurum_assets.model.errors import ContractBroken
from aurum_assets.resources.snapshots import CHANGED_AT, changed_at

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestEntry, ManifestFile
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.snapshots import Snapshot, Summary

Group = tuple[int, str]
Partition = tuple[tuple[str, Any], ...]  # (column, value), ...
DAY = "operating_day"
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Rewrite:
    """The files ``old`` of one partition, and the files ``new`` that hold the same rows."""

    partition: Partition
    old: "tuple[DataFile, ...]"
    new: "tuple[DataFile, ...]"


@dataclass
class Contents:
    """The live entries of manifests, each read once: a manifest never changes."""

    _read: "dict[str, list[ManifestEntry]]" = field(default_factory=dict)

    def of(self, found: "IcebergTable", manifest: "ManifestFile") -> "list[ManifestEntry]":
        """The entries of ``manifest`` that are not marked as deleted."""
        if manifest.manifest_path not in self._read:
            self._read[manifest.manifest_path] = manifest.fetch_manifest_entry(found.io)
        return self._read[manifest.manifest_path]


@dataclass
class Layout:
    """The manifests of the next snapshot.

    ``kept`` stay as they are; ``moved`` and ``added`` are to be written, one manifest a group;
    ``removed`` are the entries of replaced files.
    """

    kept: "list[ManifestFile]"
    moved: "dict[Group, list[ManifestEntry]]"
    added: "dict[Group, list[DataFile]]"
    removed: "list[ManifestEntry]"

    @property
    def changes(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.moved or self.added)

    @property
    def manifests(self) -> int:
        """How many manifests hold live files in this layout."""
        return len(self.kept) + len(self.moved.keys() | self.added.keys())


def partition_of(found: "IcebergTable", file: "DataFile") -> Partition:
    """The partition of a file (the table is partitioned by identity)."""
    names = [f.name for f in found.specs()[file.spec_id].fields]
    values = [file.partition[number] for number in range(len(names))]
    return tuple((n, _date(v) if n == DAY else v) for n, v in zip(names, values, strict=True))


def day_of(found: "IcebergTable", file: "DataFile") -> dt.date | None:
    """The operating day of a file; None where the table is not partitioned by it."""
    day: dt.date | None = dict(partition_of(found, file)).get(DAY)
    return day


def _date(value: Any) -> Any:  # noqa: ANN401  pyiceberg gives days since 1970, or dates
    return _EPOCH + dt.timedelta(days=value) if isinstance(value, int) else value


def manifests_of(found: "IcebergTable") -> "Sequence[ManifestFile]":
    """The manifests of the current snapshot that hold live files."""
    snapshot = found.current_snapshot()
    manifests = snapshot.manifests(found.io) if snapshot else ()
    return [m for m in manifests if m.has_added_files() or m.has_existing_files()]


def layout_of(
    found: "IcebergTable",
    contents: Contents,
    closed_before: dt.date,
    may_move: "Callable[[ManifestFile], bool]",
    rewrites: Iterable[Rewrite] = (),
) -> Layout:
    """The layout of the next snapshot, with ``rewrites`` in it.

    Manifests for which ``may_move`` is False stay as they are; they hold no file of ``rewrites``.
    """
    gone = {file.file_path for rewrite in rewrites for file in rewrite.old}
    added = defaultdict[Group, list["DataFile"]](list)
    for file in (file for rewrite in rewrites for file in rewrite.new):
        added[_group(found, file, closed_before)].append(file)
    layout = Layout([], {}, dict(added), [])
    parts = []  # (manifest, group, entries)
    for manifest in manifests_of(found):
        if not may_move(manifest):
            layout.kept.append(manifest)
            continue
        by_group = defaultdict[Group, list["ManifestEntry"]](list)
        for entry in contents.of(found, manifest):
            by_group[_group(found, entry.data_file, closed_before)].append(entry)
        parts += [(manifest, group, entries) for group, entries in by_group.items()]
    groups_in = Counter(manifest for manifest, _, _ in parts)
    manifests_with = Counter(group for _, group, _ in parts)
    for manifest, group, entries in parts:
        alone = groups_in[manifest] == 1 and manifests_with[group] == 1
        if alone and group not in added and not any(e.data_file.file_path in gone for e in entries):
            layout.kept.append(manifest)
            continue
        stay = [e for e in entries if e.data_file.file_path not in gone]
        layout.removed += [e for e in entries if e.data_file.file_path in gone]
        if stay:
            layout.moved.setdefault(group, []).extend(stay)
    return layout


def unchanged(found: "IcebergTable") -> Layout:
    """The layout of the current snapshot."""
    return Layout(list(manifests_of(found)), {}, {}, [])


def _group(found: "IcebergTable", file: "DataFile", closed_before: dt.date) -> Group:
    day = day_of(found, file)
    if day is None:
        return file.spec_id, ""
    return file.spec_id, f"{day:%Y-%m}" if day < closed_before else day.isoformat()


def commit_layout(found: "IcebergTable", layout: Layout) -> list[str]:
    """Make ``layout`` the table's current snapshot; returns the paths of the new manifests."""
    u = _updates()
    writer = _Writer(found)
    snapshot = writer.snapshot(layout)
    _commit(
        found,
        u.AddSnapshotUpdate(snapshot=snapshot),
        u.SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=snapshot.snapshot_id),
    )
    return writer.paths


def expire(found: "IcebergTable", expired: Sequence[int]) -> None:
    """Expire the snapshots ``expired``; no new one is made."""
    _commit(found, _updates().RemoveSnapshotsUpdate(snapshot_ids=list(expired)))


def _commit(found: "IcebergTable", *updates: Any) -> None:  # noqa: ANN401  as pyiceberg has it
    u, current = _updates(), found.metadata.current_snapshot_id
    requirements = (
        u.AssertTableUUID(uuid=found.metadata.table_uuid),
        u.AssertRefSnapshotId(ref="main", snapshot_id=current),
    )
    found.catalog.commit_table(found, requirements, updates)


def _updates() -> Any:  # noqa: ANN401  pydantic models with aliases: mypy needs a plugin
    from pyiceberg.table import update

    return update


class _Writer:
    """Writes the manifests and the manifest list of one new snapshot."""

    def __init__(self, found: "IcebergTable") -> None:
        parent = found.current_snapshot()
        if parent is None:
            msg = f"{'.'.join(found.name())} has no snapshot to be arranged"
            raise ContractBroken(msg)
        self._found, self._parent = found, parent
        self._id = found.metadata.new_snapshot_id()
        self._uuid = uuid.uuid4()
        self.paths: list[str] = []
        self._codec: Any = found.properties.get("write.avro.compression-codec", "gzip")

    def snapshot(self, layout: Layout) -> "Snapshot":
        """Write the manifests of ``layout`` and their list."""
        from pyiceberg.manifest import write_manifest_list
        from pyiceberg.table.snapshots import Snapshot

        manifests = [*layout.kept]
        for group in sorted(layout.moved.keys() | layout.added.keys()):
            existing, added = layout.moved.get(group, ()), layout.added.get(group, ())
            manifests.append(self._manifest(group[0], existing=existing, added=added))
        for spec_id in sorted({e.data_file.spec_id for e in layout.removed}):
            removed = [e for e in layout.removed if e.data_file.spec_id == spec_id]
            # Other engines read the removed files there. The next append drops it.
            manifests.append(self._manifest(spec_id, removed=removed))
        number = self._found.metadata.next_sequence_number()
        path = self._path(f"snap-{self._id}-0-{self._uuid}.avro")
        with write_manifest_list(
            format_version=self._found.metadata.format_version,
            output_file=self._found.io.new_output(path),
            snapshot_id=self._id,
            parent_snapshot_id=self._parent.snapshot_id,
            sequence_number=number,
            avro_compression=self._codec,
        ) as writer:
            writer.add_manifests(manifests)
        fields = {
            "snapshot-id": self._id,
            "parent-snapshot-id": self._parent.snapshot_id,
            "manifest-list": path,
            "sequence-number": number,
            "summary": self._summary(layout),
            "schema-id": self._found.metadata.current_schema_id,
        }
        return Snapshot.model_validate(fields)

    def _manifest(
        self,
        spec_id: int,
        *,
        existing: "Iterable[ManifestEntry]" = (),
        added: "Iterable[DataFile]" = (),
        removed: "Iterable[ManifestEntry]" = (),
    ) -> "ManifestFile":
        from pyiceberg.manifest import ManifestEntry, ManifestEntryStatus, write_manifest

        path = self._path(f"{self._uuid}-m{len(self.paths)}.avro")
        self.paths.append(path)
        with write_manifest(
            format_version=self._found.metadata.format_version,
            spec=self._found.specs()[spec_id],
            schema=self._found.schema(),
            output_file=self._found.io.new_output(path),
            snapshot_id=self._id,
            avro_compression=self._codec,
        ) as writer:
            for entry in existing:
                writer.existing(entry)
            for entry in removed:
                writer.delete(entry)
            for file in added:
                writer.add(
                    ManifestEntry.from_args(
                        status=ManifestEntryStatus.ADDED,
                        snapshot_id=self._id,
                        sequence_number=None,  # the snapshot's, assigned by the catalog
                        file_sequence_number=None,
                        data_file=file,
                    )
                )
        return writer.to_manifest_file()

    def _path(self, name: str) -> str:
        return self._found.location_provider().new_metadata_location(name)

    def _summary(self, layout: Layout) -> "Summary":
        from pyiceberg.table.snapshots import (
            Operation,
            SnapshotSummaryCollector,
            Summary,
            update_snapshot_summaries,
        )

        schema, specs = self._found.schema(), self._found.specs()
        collector = SnapshotSummaryCollector()
        for file in (file for files in layout.added.values() for file in files):
            collector.add_file(file, schema, specs[file.spec_id])
        for entry in layout.removed:
            file = entry.data_file
            collector.remove_file(file, schema, specs[file.spec_id])
        before = self._parent.summary
        # pyiceberg only computes totals for an overwrite; they are the same for a replacement.
        counted = update_snapshot_summaries(
            Summary(operation=Operation.OVERWRITE, **collector.build()),
            before.additional_properties if before else None,
        )
        properties = counted.additional_properties
        properties[CHANGED_AT] = changed_at(self._parent).isoformat()
        return Summary(operation=Operation.REPLACE, **properties)
