"""A cache of a table's data files by its manifests: partitions, row counts and bounds.

A manifest never changes, so its content is cached by path: a process that reads again only reads
new manifests. A scan plan evaluates filters and residuals file by file and takes twice as long;
``inspect.files`` decodes all statistics of all columns, six times as long.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aurum_assets.resources.layout import DAY, manifests_of, partition_of

if TYPE_CHECKING:
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table as IcebergTable

_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Held:
    """One data file: its partition, its rows, the bounds of its columns by field id, its path."""

    partition: Mapping[str, Any]
    rows: int
    lower: Mapping[int, bytes]
    upper: Mapping[int, bytes]
    path: str

    @property
    def day(self) -> dt.date:
        """The operating day of the rows. Raises ``KeyError`` where the table has none."""
        day: dt.date = self.partition[DAY]
        return day


class Holdings:
    """The files of tables by their current snapshots.

    Threads may share it: at worst two read the same manifest.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[Held, ...]]] = {}

    def of(
        self, found: "IcebergTable", first: dt.date = dt.date.min, last: dt.date = dt.date.max
    ) -> Iterator[Held]:
        """The files of operating days ``first`` to ``last``; all files in tables without days."""
        uuid, manifests = str(found.metadata.table_uuid), manifests_of(found)
        before = self._known.get(uuid, {})
        paths = {m.manifest_path for m in manifests}
        known = self._known[uuid] = {path: before[path] for path in paths if path in before}
        for manifest in manifests:
            low, high = _days_in(found, manifest)
            if high < first or last < low:
                continue
            path = manifest.manifest_path
            if path not in known:
                known[path] = _read(found, manifest)
            for held in known[path]:
                if first <= held.partition.get(DAY, first) <= last:
                    yield held

    def days(self, found: "IcebergTable") -> set[dt.date]:
        """The operating days of all files: of a manifest of one day, without reading it."""
        bounds = {_days_in(found, manifest) for manifest in manifests_of(found)}
        days = {low for low, high in bounds if low == high}
        if len(days) == len(bounds):
            return days
        lows, highs = zip(*(b for b in bounds if b[0] != b[1]), strict=True)
        return days | {held.day for held in self.of(found, min(lows), max(highs))}


def _read(found: "IcebergTable", manifest: "ManifestFile") -> tuple[Held, ...]:
    files = (entry.data_file for entry in manifest.fetch_manifest_entry(found.io))
    return tuple(
        Held(
            dict(partition_of(found, file)),
            file.record_count,
            file.lower_bounds or {},
            file.upper_bounds or {},
            file.file_path,
        )
        for file in files
    )


def _days_in(found: "IcebergTable", manifest: "ManifestFile") -> tuple[dt.date, dt.date]:
    """The first and the last operating day that the manifest may hold."""
    from pyiceberg.conversions import from_bytes
    from pyiceberg.types import DateType

    names = [field.name for field in found.specs()[manifest.partition_spec_id].fields]
    if DAY not in names or not manifest.partitions:
        return dt.date.min, dt.date.max
    bounds = manifest.partitions[names.index(DAY)]
    if bounds.lower_bound is None or bounds.upper_bound is None:
        return dt.date.min, dt.date.max
    low, high = (
        int(from_bytes(DateType(), bound)) for bound in (bounds.lower_bound, bounds.upper_bound)
    )
    return _EPOCH + dt.timedelta(days=low), _EPOCH + dt.timedelta(days=high)
