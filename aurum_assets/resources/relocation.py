"""Rewrite the metadata of a table whose files were copied or moved, so that it names them.

Iceberg names every file by its absolute location: the catalog the metadata, the metadata the
manifest lists, these the manifests, these the data files. So metadata, lists and manifests are
written again with the new locations, under new names beside the old ones; then the catalog's row is
changed from the old metadata to the new, by compare-and-swap. A kill before that leaves the table
as it was, and unreferenced files, which the maintenance deletes. Snapshots keep their ids, instants
and sequence numbers, so time travel still works. Only files in the new place are opened.

The log of former metadata files is dropped: they name the old place, and a commit would delete what
falls out of the log.
"""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from aurum_assets.model.errors import LakeBusy, LakeDamaged
from aurum_assets.resources.damage import may_be_damage
from aurum_assets.resources.place import Registered
from aurum_assets.resources.unreferenced import files_below, path_of

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestEntry, ManifestFile
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot
    from sqlalchemy import Engine

REBUILD = "aurum replay --all --rebuild makes the lake anew from the archive"
_PATH = 0  # of a manifest, in a manifest list
_LENGTH = 1
_FILE_PATH = 1  # of a data file, in a manifest
_SWAP = (
    "UPDATE iceberg_tables SET metadata_location = :new, previous_metadata_location = NULL"
    " WHERE catalog_name = 'aurum' AND table_namespace = :namespace AND table_name = :name"
    " AND metadata_location = :old"
)


@dataclass(frozen=True)
class Relocated:
    """A table, and how many snapshots, manifests and data files its metadata has."""

    table: str
    snapshots: int
    manifests: int
    files: int


class Relocation:
    """The relocation of one table into ``warehouse``."""

    def __init__(self, table: Registered, warehouse: str, io: "FileIO") -> None:
        self._table, self._io = table, io
        self._from = table.location
        self._to = f"{warehouse}{table.location.removeprefix(table.warehouse)}"

    def look(self) -> Relocated:
        """Read all metadata in the new place, and check that each file exists with its size.

        Raises ``LakeDamaged`` naming the first file that does not. Writes nothing.
        """
        manifests: set[str] = set()
        files: set[str] = set()
        for snapshot in self._metadata.snapshots:
            for manifest in self._manifests(snapshot):
                if manifest.manifest_path in manifests:
                    continue
                manifests.add(manifest.manifest_path)
                for entry in self._entries(manifest):
                    if self._is_live(entry):
                        file = entry.data_file
                        self._require(file.file_path, file.file_size_in_bytes)
                        files.add(file.file_path)
        snapshots = len(self._metadata.snapshots)
        return Relocated(self._table.identifier, snapshots, len(manifests), len(files))

    def commit(self, engine: "Engine") -> None:
        """Write metadata, manifest lists and manifests again, and change the catalog's row.

        Raises ``LakeBusy`` where another process was faster.
        """
        from sqlalchemy import text

        old = self._table
        new = self._written()
        row = {"new": new, "old": old.metadata, "namespace": old.namespace, "name": old.name}
        with engine.begin() as connection:
            changed = connection.execute(text(_SWAP), row).rowcount
        if changed != 1:
            msg = f"{old.identifier} was changed by another process: run `aurum relocate` again"
            raise LakeBusy(msg)

    # --- reading, in the new place alone ---------------------------------------------------------

    @cached_property
    def _there(self) -> dict[str, int]:
        """The bytes of each file in the new place, by its path."""
        return {path: file.size for path, file in files_below(self._io, self._to).items()}

    @cached_property
    def _metadata(self) -> "TableMetadata":
        from pyiceberg.serializers import FromInputFile

        place = self._require(self._table.metadata)
        with self._reading(place):
            return FromInputFile.table_metadata(self._io.new_input(place))

    def _manifests(self, snapshot: "Snapshot") -> "Iterator[ManifestFile]":
        """The manifests of a snapshot, with their present paths."""
        from pyiceberg.manifest import ManifestContent, ManifestFile

        place = self._require(snapshot.manifest_list)
        with self._reading(place):
            found = snapshot.model_copy(update={"manifest_list": place}).manifests(self._io)
        for shared in found:  # pyiceberg caches them, so they are copied
            manifest = ManifestFile(*(shared[number] for number in range(len(shared))))
            if manifest.content != ManifestContent.DATA:
                msg = (
                    f"{self._table.identifier}: another program deleted rows in place, by files "
                    f"that name the old place: compact it with that program first, or: {REBUILD}"
                )
                raise LakeDamaged(msg)
            manifest[_PATH] = self._require(manifest.manifest_path)
            yield manifest

    def _entries(self, manifest: "ManifestFile") -> "list[ManifestEntry]":
        with self._reading(manifest.manifest_path):
            return manifest.fetch_manifest_entry(self._io, discard_deleted=False)

    def _is_live(self, entry: "ManifestEntry") -> bool:
        from pyiceberg.manifest import ManifestEntryStatus

        return entry.status != ManifestEntryStatus.DELETED

    def _at(self, location: str) -> str:
        """The present location of what was at ``location``."""
        return f"{self._to}{location.removeprefix(self._from)}"

    def _is_ours(self, location: str) -> bool:
        return location == self._from or location.startswith(f"{self._from}/")

    def _require(self, location: str, size: int | None = None) -> str:
        """The present location of a file. Raises ``LakeDamaged`` where it is missing or cut."""
        if not self._is_ours(location):
            msg = (
                f"{self._table.identifier}: {location} is outside of {self._from}, and where it is "
                f"now is unknown: {REBUILD}"
            )
            raise LakeDamaged(msg)
        place = self._at(location)
        found = self._there.get(path_of(self._io, place))
        if found is None or (size is not None and found != size):
            why = "is missing" if found is None else f"has {found} bytes and should have {size}"
            msg = (
                f"{self._table.identifier}: {place} {why}: copy it from {location} and run "
                f"`aurum relocate` again, or: {REBUILD}"
            )
            raise LakeDamaged(msg)
        return place

    @contextmanager
    def _reading(self, place: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # libraries raise nearly anything on damaged bytes
            if not may_be_damage(error):
                raise
            msg = f"{self._table.identifier}: {place} cannot be read; {REBUILD}"
            raise LakeDamaged(msg) from error

    # --- writing, under new names ----------------------------------------------------------------

    def _written(self) -> str:
        """Write metadata, lists and manifests with new locations; returns the metadata's."""
        from pyiceberg.serializers import ToOutputFile
        from pyiceberg.table.metadata import TableMetadataUtil

        written: dict[str, ManifestFile] = {}
        lists = {}
        for snapshot in self._metadata.snapshots:
            manifests = []
            for manifest in self._manifests(snapshot):
                if manifest.manifest_path not in written:
                    written[manifest.manifest_path] = self._manifest(manifest)
                manifests.append(written[manifest.manifest_path])
            lists[snapshot.snapshot_id] = self._list(snapshot, manifests)
        fields = cast("dict[str, Any]", self._moved(json.loads(self._metadata.model_dump_json())))
        for snapshot in fields.get("snapshots", []):
            snapshot["manifest-list"] = lists[snapshot["snapshot-id"]]
        fields["metadata-log"] = []
        number = re.match(r"\d+", self._table.metadata.rpartition("/")[2])
        version = int(number[0]) + 1 if number else 0
        place = self._new(f"{version:05d}-{uuid.uuid4()}.metadata.json")
        metadata = TableMetadataUtil.parse_obj(fields)
        ToOutputFile.table_metadata(metadata, self._io.new_output(place))
        return place

    def _moved(self, value: object) -> object:
        """The JSON ``value`` with every location replaced by the present one."""
        if isinstance(value, dict):
            return {name: self._moved(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._moved(item) for item in value]
        return self._at(value) if isinstance(value, str) and self._is_ours(value) else value

    def _manifest(self, manifest: "ManifestFile") -> "ManifestFile":
        """Write ``manifest`` again; returns its entry for a manifest list."""
        from pyiceberg.manifest import ManifestFile, write_manifest

        with write_manifest(
            format_version=self._metadata.format_version,
            spec=self._metadata.specs()[manifest.partition_spec_id],
            schema=self._schema(manifest),
            output_file=self._io.new_output(self._new(f"{uuid.uuid4()}-m0.avro")),
            snapshot_id=manifest.added_snapshot_id or -1,
            avro_compression=self._codec,
        ) as writer:
            for entry in self._entries(manifest):
                entry.data_file[_FILE_PATH] = self._at(entry.data_file.file_path)
                writer.add_entry(entry)
        new = ManifestFile(*(manifest[number] for number in range(len(manifest))))
        made = writer.to_manifest_file()
        new[_PATH], new[_LENGTH] = made.manifest_path, made.manifest_length
        return new

    def _list(self, snapshot: "Snapshot", manifests: "list[ManifestFile]") -> str:
        from pyiceberg.manifest import write_manifest_list

        place = self._new(f"snap-{snapshot.snapshot_id}-0-{uuid.uuid4()}.avro")
        with write_manifest_list(
            format_version=self._metadata.format_version,
            output_file=self._io.new_output(place),
            snapshot_id=snapshot.snapshot_id,
            parent_snapshot_id=snapshot.parent_snapshot_id,
            sequence_number=snapshot.sequence_number,
            avro_compression=self._codec,
        ) as writer:
            writer.add_manifests(manifests)
        return place

    def _schema(self, manifest: "ManifestFile") -> "Schema":
        """The schema that the manifest was written under."""
        metadata = self._metadata
        snapshot = metadata.snapshot_by_id(manifest.added_snapshot_id or -1)
        known = {schema.schema_id: schema for schema in metadata.schemas}
        number = snapshot.schema_id if snapshot else None
        return metadata.schema() if number is None else known.get(number, metadata.schema())

    @property
    def _codec(self) -> Any:  # noqa: ANN401  a literal of pyiceberg
        return self._metadata.properties.get("write.avro.compression-codec", "gzip")

    def _new(self, name: str) -> str:
        return f"{self._to}/metadata/{name}"
