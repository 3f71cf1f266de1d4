"""Find the damaged file of a table after a read failed.

Metadata, manifest list, manifests and data files are read one by one. Not here: whether an error is
an outage (``catalog``), and repair.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aurum_assets.model.errors import AurumError
from aurum_assets.model.table import Table
from aurum_assets.resources.catalog import of_files

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO
    from pyiceberg.table import Table as IcebergTable

_S3 = "AWS Error"  # in every error of pyarrow that a server caused, not the bytes


@dataclass(frozen=True)
class Damage:
    """A file that cannot be read, and the library's reason."""

    file: str
    why: str
    gone: bool = False


def may_be_damage(error: Exception) -> bool:
    """Whether damaged bytes may have caused ``error``, not a catalog, a server or a disk.

    Libraries raise nearly anything on damaged bytes (``KeyError``, ``SystemError``, …).
    """
    if isinstance(error, AurumError):
        return False
    if of_files(error):  # pyarrow sets no errno where it cannot parse the bytes
        return isinstance(error, FileNotFoundError) or not (
            getattr(error, "errno", None) or _S3 in str(error)
        )
    library = type(error).__module__.partition(".")[0]
    if library == "pyiceberg":  # of metadata; what a commit finds is a ValidationException
        return type(error).__name__ == "ValidationError"
    return library not in {"sqlalchemy", "sqlite3", "psycopg2", "requests", "botocore"}


def find_damage(
    catalog: "Catalog", table: Table, partition: Mapping[str, Any] | None = None
) -> Damage | None:
    """The first file of ``table`` (of its ``partition``) that cannot be read; None if all can be.

    None also where that cannot be found out now.
    """
    from pyiceberg.exceptions import NoSuchTableError

    try:
        found = catalog.load_table(table.identifier)
    except NoSuchTableError:
        return None
    except Exception as error:  # noqa: BLE001  see may_be_damage
        place = _metadata_of(catalog, table) or f"the metadata of {table.identifier}"
        return _of(place, error) if may_be_damage(error) else None
    lost = [c.name for c in table.columns if not c.nullable and c.name not in _names(found)]
    if lost:
        return Damage(found.metadata_location, f"its schema lacks {lost[0]}")
    for file, read in _files(found, partition):
        try:
            read()
        except Exception as error:  # noqa: BLE001  see may_be_damage
            return _of(file, error) if may_be_damage(error) else None
    return None


def _names(found: "IcebergTable") -> set[str]:
    return {field.name for field in found.schema().fields}


def _files(
    found: "IcebergTable", partition: Mapping[str, Any] | None
) -> "Iterator[tuple[str, Any]]":
    """The files of a read in its order, each with a function that reads all of it."""
    snapshot = found.current_snapshot()
    if snapshot is None:
        return
    io = found.io
    yield snapshot.manifest_list, lambda: snapshot.manifests(io)
    entries = []
    for manifest in snapshot.manifests(io):
        yield (
            manifest.manifest_path,
            lambda m=manifest: entries.extend(m.fetch_manifest_entry(io, discard_deleted=True)),
        )
    fields = [field.name for field in found.spec().fields]
    for entry in entries:
        file = entry.data_file
        values = {n: _plain(file.partition[i]) for i, n in enumerate(fields)}
        if all(values.get(n, v) == _plain(v) for n, v in (partition or {}).items()):
            yield file.file_path, lambda f=file: _read_whole(io, f.file_path, f.record_count)


def _plain(value: Any) -> Any:  # noqa: ANN401  of a partition
    """A partition's value: days since 1970 and dates are the same."""
    return (value - dt.date(1970, 1, 1)).days if isinstance(value, dt.date) else value


def _read_whole(io: "FileIO", path: str, rows: int) -> None:
    import pyarrow.parquet as pq

    with io.new_input(path).open() as stream:
        held = pq.ParquetFile(stream).read().num_rows
    if held != rows:
        msg = f"it holds {held} rows, its manifest says {rows}"
        raise ValueError(msg)


def _metadata_of(catalog: "Catalog", table: Table) -> str:
    """The metadata file by an SQL catalog; empty for other catalogs, which do not show it."""
    engine = getattr(catalog, "engine", None)
    if engine is None:
        return ""
    from sqlalchemy import text

    asked = text(
        "SELECT metadata_location FROM iceberg_tables"
        " WHERE table_namespace = :namespace AND table_name = :name"
    )
    with engine.connect() as connection:
        names = {"namespace": table.namespace, "name": table.name}
        return str(connection.execute(asked, names).scalar() or "")


def _of(file: str, error: Exception) -> Damage:
    text = " ".join(str(error).partition(" [type=")[0].split())[:120]  # no part of the content
    why = text if text not in {"", "None"} else type(error).__name__
    return Damage(file, why, gone=isinstance(error, FileNotFoundError))
