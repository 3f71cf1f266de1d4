"""The rows of a table as Arrow: its files as they are, or those of some operating days.

Nothing is read until somebody scans: columns and row groups that are not asked for never are.
"""

import datetime as dt
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import polars as pl

from aurum_assets.model.table import Table
from aurum_assets.resources.evolve import completed, missing
from aurum_assets.resources.lake import Lake, days_between
from aurum_assets.resources.layout import partition_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    import pyarrow.dataset as ds
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.table import FileScanTask
    from pyiceberg.table import Table as IcebergTable


def rows_of(
    lake: Lake, table: Table, first: dt.date | None = None, last: dt.date | None = None
) -> "tuple[pa.Table | ds.Dataset, int | None]":
    """The rows of ``table`` and the snapshot that they are of; empty and None without one.

    With ``first`` and ``last`` those of these operating days and the ones between. Raises as
    ``Lake.read`` does.
    """

    def once(found: "IcebergTable") -> "tuple[pa.Table | ds.Dataset, int | None]":
        snapshot = found.current_snapshot()
        number = None if snapshot is None else snapshot.snapshot_id
        return _rows(lake, found, table, first, last), number

    nothing: tuple[Any, int | None] = (table.empty().to_arrow(), None)
    return lake.reading(table, once, nothing)


def _rows(
    lake: Lake, found: "IcebergTable", table: Table, first: dt.date | None, last: dt.date | None
) -> "pa.Table | ds.Dataset":
    from pyiceberg.io.pyarrow import PyArrowFileIO

    scan = found.scan()
    if first is not None and last is not None:
        scan = scan.filter(days_between(first, last))
        tasks: Sequence[FileScanTask] = list(scan.plan_files())
    else:
        tasks = lake.all_files(found)
    if not tasks:
        return table.empty().to_arrow()
    if any(task.delete_files for task in tasks) or not isinstance(found.io, PyArrowFileIO):
        rows = pl.DataFrame(scan.to_arrow())  # others deleted rows in place
        return completed(rows.lazy(), found, table).collect().to_arrow()
    return streamed(found, found.io, table, tasks)


def streamed(
    found: "IcebergTable", io: "PyArrowFileIO", table: Table, tasks: "Sequence[FileScanTask]"
) -> "ds.Dataset":
    """The files of ``tasks`` as an Arrow dataset; one of another day than asked is not opened."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    def located(task: "FileScanTask") -> tuple[str, str, str]:
        return io.parse_location(task.file.file_path, io.properties)

    schema: pa.Schema = schema_to_pyarrow(found.schema(), include_field_ids=False)
    for column in missing(found, table):
        schema = schema.append(table.empty().to_arrow().schema.field(column.name))
    scheme, host, _ = located(tasks[0])
    files = io.fs_by_scheme(scheme, host)
    form, fragments = ds.ParquetFileFormat(), []
    for task in tasks:
        held = partition_of(found, task.file)
        same = [ds.field(n) == pa.scalar(v, schema.field(n).type) for n, v in held]
        fragments.append(form.make_fragment(located(task)[2], files, reduce(and_, same)))
    return ds.FileSystemDataset(fragments, schema, form, files)
