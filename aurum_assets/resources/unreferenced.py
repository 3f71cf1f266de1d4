"""Files below the location of an Iceberg table that no kept snapshot refers to.

Why an unreferenced file may be deleted that is ``KEPT_FOR`` (24 h) old:

- A reader reads files of the snapshot that was current when it began. That snapshot is kept for
  24 h after another one replaced it (``snapshots.expendable``): its files are referenced.
- A writer writes files first and refers to them in its commit. It gives up after 2 minutes
  (``Lake``), and writes its files anew at each attempt. Files that processes wrote for a chunk of
  a replay are refused by each attempt to commit them after 12 h. So a file of 24 h that is not
  committed never will be.
- Should a writer sleep for a day between file and commit (a suspended laptop): its commit asserts
  that the snapshot it started from is still the current one. No file is deleted that is newer than
  the current snapshot; where such a file is old enough, an empty commit is made first. So that
  writer loses the race, and starts again.

Files are listed before the table is loaded: what is committed in between is referenced already.
Files that are not named as pyiceberg does are left alone, and so are those of another table that is
(or was, before it was dropped) at the same location.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aurum_assets.resources.layout import Contents

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

DATA, MANIFEST, MANIFEST_LIST, METADATA = KINDS = ("data", "manifest", "manifest list", "metadata")


@dataclass(frozen=True)
class File:
    """A file of the warehouse, of one of ``KINDS``; ``path`` as the file system knows it."""

    path: str
    kind: str
    size: int
    modified: dt.datetime


def files_below(io: "FileIO", location: str) -> dict[str, File]:
    """The files of a table at ``location``, by path: a listing of the folder or of the bucket."""
    from pyarrow.fs import FileSelector, FileType

    system, path = _place(io, location)
    listed = system.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
    files = {}
    for info in listed:
        kind = _kind(info.base_name)
        if kind and info.type == FileType.File:
            files[info.path] = File(info.path, kind, info.size, info.mtime)
    return files


def _kind(name: str) -> str:
    if name.endswith(".parquet"):
        return DATA
    if name.endswith(".avro"):
        return MANIFEST_LIST if name.startswith("snap-") else MANIFEST
    return METADATA if name.endswith(".metadata.json") else ""


def _place(io: "FileIO", location: str) -> tuple[Any, str]:
    """The file system of a location, and the path there."""
    io = cast("PyArrowFileIO", io)
    scheme, netloc, path = io.parse_location(location, io.properties)
    return io.fs_by_scheme(scheme, netloc), path


def path_of(io: "FileIO", location: str) -> str:
    """The path of a location, as ``files_below`` has it."""
    return _place(io, location)[1]


def referenced(
    found: "IcebergTable",
    contents: Contents,
    files: Mapping[str, File],
    without: Iterable[int] = (),
    commits: int = 0,
) -> set[str]:
    """The paths that the table needs if ``commits`` follow, the last of which expires ``without``.

    And those of any other table whose metadata is among ``files``: all files, where that table is
    damaged.
    """
    expired = set(without)
    snapshots = [s for s in found.metadata.snapshots if s.snapshot_id not in expired]
    used = _of_metadata(found, found.metadata, found.metadata_location, commits)
    used |= _of_snapshots(found, contents, snapshots)
    for location, metadata in _others(found, files, used):
        used |= _of_metadata(found, metadata, location)
        try:
            used |= _of_snapshots(found, contents, metadata.snapshots)
        except (OSError, ValueError, EOFError, LookupError, TypeError):
            return set(files)  # a damaged table that was dropped: what it needs is unknown
    return used


def _of_metadata(
    found: "IcebergTable", metadata: "TableMetadata", location: str, commits: int = 0
) -> set[str]:
    """The metadata file, and the former ones that stay in its log after ``commits``."""
    former = [entry.metadata_file for entry in metadata.metadata_log]
    most = int(metadata.properties.get("write.metadata.previous-versions-max", 100))
    forgotten = max(0, len(former) + commits - most) if commits else 0
    return {path_of(found.io, location) for location in [location, *former[forgotten:]]}


def _of_snapshots(
    found: "IcebergTable", contents: Contents, snapshots: "Iterable[Snapshot]"
) -> set[str]:
    used = set()
    manifests = set()
    for snapshot in snapshots:
        used.add(path_of(found.io, snapshot.manifest_list))
        manifests |= set(snapshot.manifests(found.io))
    for manifest in manifests:
        used.add(path_of(found.io, manifest.manifest_path))
        used |= {path_of(found.io, e.data_file.file_path) for e in contents.of(found, manifest)}
    return used


def _others(
    found: "IcebergTable", files: Mapping[str, File], used: set[str]
) -> "list[tuple[str, TableMetadata]]":
    """The newest metadata of each other table at this location."""
    from pyiceberg.exceptions import ValidationError
    from pyiceberg.serializers import FromInputFile

    newest: dict[object, tuple[str, TableMetadata]] = {}
    base = found.location().rstrip("/")
    root = path_of(found.io, base)
    for file in files.values():
        if file.kind != METADATA or file.path in used:
            continue
        location = f"{base}{file.path.removeprefix(root)}"
        try:
            metadata = FromInputFile.table_metadata(found.io.new_input(location))
        except FileNotFoundError:
            continue  # a commit deleted it since it was listed
        except (ValidationError, UnicodeDecodeError):
            continue  # being written, or cut off by a kill: nothing refers to it
        uuid, known = metadata.table_uuid, newest.get(metadata.table_uuid)
        if uuid == found.metadata.table_uuid:
            continue
        if known is None or metadata.last_updated_ms > known[1].last_updated_ms:
            newest[uuid] = (location, metadata)
    return list(newest.values())


def delete(found: "IcebergTable", file: File) -> bool:
    """Delete ``file``; returns whether it existed."""
    system, _ = _place(found.io, found.location())
    try:
        system.delete_file(file.path)
    except FileNotFoundError:
        return False  # another maintenance was faster
    return True
