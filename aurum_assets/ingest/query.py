"""Query: SQL over the Iceberg tables by name, by DuckDB within this process. Reads only.

A query sees the tables of this home and nothing else: no file, no network, no extension. Tables
are streamed, only the columns and row groups that are needed, and a sort or join that needs more
than ``MEMORY`` spills to a temporary folder.
"""

import re
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from aurum_assets.ingest.reference import REFERENCES
from aurum_assets.model.arguments import named, short_names
from aurum_assets.model.errors import AurumError, QueryRefused
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.evolve import missing
from aurum_assets.resources.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb
    import pyarrow as pa
    from pyiceberg.table import Table as IcebergTable

MEMORY = "1GB"
BATCH_ROWS = 10_000
_LISTED = '`aurum sql "show tables"` lists them'
_SHOW_TABLES = re.compile(r"\s*show\s+(all\s+)?tables\s*;?\s*", re.IGNORECASE)
_OF_TABLES = re.compile(r"\binformation_schema\b|\bduckdb_\w+|\bpg_\w+|^\s*show\b", re.IGNORECASE)
# DuckDB's message begins so where a table cannot be read.
_UNREAD = "Invalid Input Error: reading the stream registered as '"


def known_tables() -> list[Table]:
    """Every table that a home may hold, whether it holds rows yet or not."""
    ours = [d.table for d in DATASETS]
    references = [table for r in REFERENCES for table in (r.table, r.sightings)]
    return [*ours, *(t.history for t in ours), QUARANTINE, *references]


@contextmanager
def query(
    resources: Resources,
    text: str,
    connected: "Callable[[duckdb.DuckDBPyConnection], object]" = lambda _: None,
) -> "Iterator[pa.RecordBatchReader]":
    """The rows of one SELECT, in batches; times are UTC.

    Tables are named ``market.op_rt_lmp``, ``op_rt_lmp`` or ``rt_lmp``; one without data is
    empty. SHOW TABLES lists them, SHOW ALL TABLES with descriptions. Raises ``QueryRefused`` for
    anything but one SELECT over them, and ``LakeUnreachable`` or ``ConfigError`` where their files
    cannot be read, here or while batches are read. ``connected`` is called with the connection,
    whose ``interrupt`` ends the query from another thread.
    """
    import duckdb
    import pyarrow as pa

    with scratch_folder() as spill, duckdb.connect() as db:
        connected(db)
        try:
            _require_one_select(db, text)
            _show(resources, db, text)
            db.execute(f"SET memory_limit = '{MEMORY}'")
            db.execute(f"SET temp_directory = '{spill}'")
            db.execute("SET search_path = 'main,market,reference,quality'")
            db.execute("SET TimeZone = 'UTC'")
            db.execute("SET enable_progress_bar = false")
            db.execute("SET enable_external_access = false")
            db.execute("SET lock_configuration = true")
            listed = _SHOW_TABLES.fullmatch(text)
            answer = db.from_arrow(_listed(described=bool(listed[1]))) if listed else db.sql(text)
            _require_names_apart(answer.columns)
            reader = answer.to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            raise _translated(resources, error) from None
        yield pa.RecordBatchReader.from_batches(reader.schema, _batches(resources, reader))


def _batches(resources: Resources, reader: "pa.RecordBatchReader") -> "Iterator[pa.RecordBatch]":
    import duckdb

    try:
        yield from reader
    except (duckdb.Error, OSError) as error:  # as pyarrow passes on DuckDB's error midway
        raise _translated(resources, error) from None


def names_of(table: Table) -> list[str]:
    """The names of ``table``: its own, and for a dataset's also the one without the operator."""
    short = short_names(
        t.name for t in known_tables() if t.namespace == DATASETS[0].table.namespace
    )
    return [table.name, *(s for s, name in short.items() if name == table.name)]


def _listed(*, described: bool) -> "pa.Table":
    """The answer to SHOW TABLES."""
    import pyarrow as pa

    rows = []
    for table in known_tables():
        name, *short = names_of(table)
        row = {"namespace": table.namespace, "name": name, "short_name": (*short, None)[0]}
        rows.append({**row, "description": table.doc} if described else row)
    return pa.Table.from_pylist(rows)


def _show(resources: Resources, db: "duckdb.DuckDBPyConnection", text: str) -> None:
    """Register the tables that ``text`` names; all, without rows, where it asks which exist."""
    everything = bool(_OF_TABLES.search(text))
    for table in known_tables():
        db.execute(f"CREATE SCHEMA IF NOT EXISTS {table.namespace}")
        asked = [n for n in names_of(table) if re.search(rf"\b{n}\b", text, re.IGNORECASE)]
        if asked:
            scan = partial(_scan, table=table)
            db.register(
                f"__{table.name}", resources.lake.reading(table, scan, table.empty().to_arrow())
            )
            for name in {table.name, *asked}:
                db.execute(f"CREATE VIEW {table.namespace}.{name} AS FROM __{table.name}")
        elif everything:
            db.from_arrow(table.empty().to_arrow()).create(table.identifier)


def _require_one_select(db: "duckdb.DuckDBPyConnection", text: str) -> None:
    statements = db.extract_statements(text)
    kinds = [s.type.name for s in statements]
    if kinds not in (["SELECT"], ["EXPLAIN"]):
        msg = (
            f"one SELECT is expected, this is {' and '.join(kinds) or 'nothing'}: "
            "tables are read here, not written"
        )
        raise QueryRefused(msg)


def _require_names_apart(names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        msg = f"two columns are called {twice[0]!r}: name them apart with AS"
        raise QueryRefused(msg)


def _translated(resources: Resources, error: Exception) -> AurumError:
    import duckdb

    name, unread, why = str(error).partition(_UNREAD)[2].partition("' failed: ")
    if unread:  # no fault of the query
        lost = FileNotFoundError if "[errno 2]" in why else OSError
        table = next((t for t in known_tables() if f"__{t.name}" == name), None)
        damage = table and resources.lake.damage(table)
        return damage or resources.lake.explained(table.identifier if table else name, lost(why))
    sentence = str(error).partition("\n\nLINE")[0].replace("\n", " ").strip()
    absent = re.search(r"Table with name (\S+) does not exist", sentence)
    if isinstance(error, duckdb.CatalogException) and absent:
        return QueryRefused(_near(absent[1]))
    if isinstance(error, duckdb.PermissionException):
        return QueryRefused(f"{sentence}; a query sees only the tables of this home")
    return QueryRefused(sentence)


def _near(typed: str) -> str:
    """The message that there is no table ``typed``, with similar names."""
    try:
        found = named(typed, [t.name for t in known_tables()], "table", _LISTED)
    except ValueError as error:
        return str(error)
    return f"{typed} is no table name in SQL: write {found}"


def _scan(found: "IcebergTable", table: Table) -> Any:  # noqa: ANN401  pyarrow brings no types
    """The table as a pyarrow dataset of its present Parquet files, which DuckDB streams."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    from pyiceberg.io.pyarrow import PyArrowFileIO, schema_to_pyarrow

    tasks = list(found.scan().plan_files())
    if not tasks:
        return table.empty().to_arrow()
    later = [table.empty().to_arrow().schema.field(c.name) for c in missing(found, table)]
    if any(task.delete_files for task in tasks) or not isinstance(found.io, PyArrowFileIO):
        rows = found.scan().to_arrow()  # another writer deleted rows in place
        for field in later:
            rows = rows.append_column(field, pa.nulls(len(rows), field.type))
        return rows
    scheme, host, _ = PyArrowFileIO.parse_location(tasks[0].file.file_path, found.io.properties)
    paths = [
        PyArrowFileIO.parse_location(task.file.file_path, found.io.properties)[2] for task in tasks
    ]
    schema: pa.Schema = schema_to_pyarrow(found.schema(), include_field_ids=False)
    for field in later:
        schema = schema.append(field)
    return ds.dataset(
        paths, schema=schema, format="parquet", filesystem=found.io.fs_by_scheme(scheme, host)
    )
