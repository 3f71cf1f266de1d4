"""Query: SQL over the Iceberg tables by name, by DuckDB within this process. Reads only.

A query sees the tables of this home and nothing else: no file, no network, no extension. Tables
are streamed, only the columns and row groups that are needed, and a sort or join that needs more
than ``MEMORY`` spills to a temporary folder.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import polars as pl

from aurum_assets.ingest.reference import LISTS, REFERENCES
from aurum_assets.marts.builds import BUILDS
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.arguments import named, short_names
from aurum_assets.model.errors import AurumError, QueryRefused
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table
from aurum_assets.model.vintage import has_vintages, identity
from aurum_assets.operators import DATASETS
from aurum_assets.resources.arrow import streamed
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.evolve import completed, missing
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb
    import pyarrow as pa
    import pyarrow.dataset as ds
    from pyiceberg.table import Table as IcebergTable

MEMORY = "1GB"
BATCH_ROWS = 10_000
_LISTED = '`aurum sql "show tables"` lists them'
_SHOW_TABLES = re.compile(r"\s*show\s+(all\s+)?tables\s*;?\s*", re.IGNORECASE)
_AS = "_vintage"  # what a macro adds to a table's name
_OF_TABLES = re.compile(r"\binformation_schema\b|\bduckdb_\w+|\bpg_\w+|^\s*show\b", re.IGNORECASE)
# DuckDB's message begins so where a table cannot be read.
_UNREAD = "Invalid Input Error: reading the stream registered as '"
_GLOB = frozenset("*?[]{}")  # DuckDB takes a path for a pattern
_KINDS: Mapping[type, str] = {
    pl.Date: "DATE",
    pl.Datetime: "TIMESTAMPTZ",
    pl.String: "VARCHAR",
    pl.Float64: "DOUBLE",
    pl.Int64: "BIGINT",
    pl.Boolean: "BOOLEAN",
}


def known_tables() -> list[Table]:
    """Every table that a home may hold, whether it holds rows yet or not."""
    ours = [d.table for d in DATASETS]
    references = [table for r in REFERENCES for table in (r.table, r.sightings)]
    lists = [listed.table for listed in LISTS]
    derived = [*MARTS, *(t.history for t in MARTS), BUILDS]
    return [*ours, *(t.history for t in ours), QUARANTINE, *references, *lists, *derived]


@contextmanager
def query(
    resources: Resources,
    text: str,
    connected: "Callable[[duckdb.DuckDBPyConnection], object]" = lambda _: None,
) -> "Iterator[pa.RecordBatchReader]":
    """The rows of one SELECT, in batches; times are UTC.

    Tables are named ``market.op_rt_lmp``, ``op_rt_lmp`` or ``rt_lmp``; one without data is
    empty. ``op_forecast_vintage('2h')`` has the rows of ``op_forecast`` that ``OpenLake.vintage``
    gives. SHOW TABLES lists the tables, SHOW ALL TABLES with descriptions. Raises ``QueryRefused``
    for anything but one SELECT over them, and ``LakeUnreachable`` or ``ConfigError`` where their
    files cannot be read, here or while batches are read. ``connected`` is called with the
    connection, whose ``interrupt`` ends the query from another thread.
    """
    import duckdb

    with _database() as db:
        connected(db)
        try:
            _require_one_select(db, text)
            paths = _Tables(resources, db).show(text)
            _confine(db, "allowed_paths", paths)
            answer = _answer(resources, db, text)
        except duckdb.Error as error:
            raise _translated(resources, error) from None
        yield answer


def in_full(batches: "pa.RecordBatchReader") -> pl.DataFrame:
    """All rows of an answer; of none the columns."""
    empty = pl.DataFrame(batches.schema.empty_table())
    return pl.concat([empty, *(pl.DataFrame(batch) for batch in batches)])


@contextmanager
def queries(resources: Resources) -> "Iterator[Callable[[str], pl.DataFrame]]":
    """A function that gives all rows of a SELECT, as ``query`` does, for one SELECT after another.

    Each table is as it was when one first named it. They share a connection, which takes longer to
    open than a small table to read, and may read any file below the warehouse. None of them may ask
    which tables exist.
    """
    import duckdb

    with _database() as db:
        folder = resources.lake.place.removeprefix("file://")
        tables = _Tables(resources, db, folder if folder.startswith("/") else "")
        _confine(db, "allowed_directories", [tables.folder] if tables.folder else [])

        def rows(text: str) -> pl.DataFrame:
            try:
                _require_one_select(db, text)
                tables.show(text)
                answer = _answer(resources, db, text)
            except duckdb.Error as error:
                raise _translated(resources, error) from None
            return in_full(answer)

        yield rows


@contextmanager
def _database() -> "Iterator[duckdb.DuckDBPyConnection]":
    """An empty database of this process, which spills to a folder of its own."""
    import duckdb

    with scratch_folder() as spill, duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{MEMORY}'")
        db.execute(f"SET temp_directory = '{spill}'")
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET enable_progress_bar = false")
        yield db


def _confine(db: "duckdb.DuckDBPyConnection", allowed: str, places: Sequence[str]) -> None:
    """From now on only files of ``places`` can be read, and no setting changed."""
    db.execute(f"SET {allowed} = ?", [places])
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def _answer(
    resources: Resources, db: "duckdb.DuckDBPyConnection", text: str
) -> "pa.RecordBatchReader":
    import pyarrow as pa

    listed = _SHOW_TABLES.fullmatch(text)
    answer = db.from_arrow(_listed(described=bool(listed[1]))) if listed else db.sql(text)
    _require_names_apart(answer.columns)
    reader = answer.to_arrow_reader(BATCH_ROWS)
    return pa.RecordBatchReader.from_batches(reader.schema, _batches(resources, reader))


def _batches(resources: Resources, reader: "pa.RecordBatchReader") -> "Iterator[pa.RecordBatch]":
    import duckdb

    try:
        yield from reader
    except (duckdb.Error, OSError) as error:  # as pyarrow passes on DuckDB's error midway
        raise _translated(resources, error) from None


@cache  # each query asks for those of all tables
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


class _Tables:
    """The tables of a home as views of a database. ``folder``: whose files it may read itself."""

    def __init__(
        self, resources: Resources, db: "duckdb.DuckDBPyConnection", folder: str = "/"
    ) -> None:
        self._lake, self._db, self.folder = resources.lake, db, folder
        self._known, self._shown = known_tables(), set[str]()
        namespaces = list(dict.fromkeys(table.namespace for table in self._known))
        for namespace in namespaces:
            db.execute(f"CREATE SCHEMA {namespace}")
        db.execute(f"SET search_path = '{','.join(['main', *namespaces])}'")

    def show(self, text: str) -> list[str]:
        """Show the tables that ``text`` names; all, without rows, where it asks which exist.

        Returns the files that DuckDB is to read itself.
        """
        everything, paths = bool(_OF_TABLES.search(text)), list[str]()
        words = {word.removesuffix(_AS) for word in re.findall(r"\w+", text.lower())}
        for table in self._known:
            if table.name in self._shown:
                continue
            if words.intersection(names_of(table)):
                paths += self._view(table)
                self._shown.add(table.name)
            elif everything:
                self._db.from_arrow(table.empty().to_arrow()).create(table.identifier)
        return paths

    def _view(self, table: Table) -> Sequence[str]:
        """Show the rows of ``table`` by all its names; returns as ``show``."""
        scan = partial(_scan, lake=self._lake, table=table, folder=self.folder)
        rows = self._lake.reading(table, scan, table.empty().to_arrow())
        if isinstance(rows, _Files):
            select = rows.select
        else:
            self._db.register(f"__{table.name}", rows)
            select = f"FROM __{table.name}"
        for name in names_of(table):
            self._db.execute(f"CREATE VIEW {table.namespace}.{name} AS {select}")
            if has_vintages(table):
                self._db.execute(_vintage(table, name))
        return rows.paths if isinstance(rows, _Files) else ()


def _vintage(table: Table, name: str) -> str:
    """The macro that gives what ``model.vintage.newest`` gives of the rows with a ``lead``."""
    order = ("published_at", *table.partition, *table.known_by)
    return (
        f"CREATE MACRO {table.namespace}.{name}_vintage(lead := NULL) AS TABLE "  # noqa: S608  ours
        f"SELECT * FROM {table.namespace}.{name} "
        "WHERE lead IS NULL OR published_at <= interval_start - CAST(lead AS INTERVAL) "
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(identity(table))} "
        f"ORDER BY {', '.join(f'{column} DESC' for column in order)}) = 1"
    )


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
    if isinstance(error, duckdb.IOException | duckdb.InvalidInputException | OSError):
        place = re.search(r"/(\w+)/(\w+)/data/", str(error))
        named_so = place and ".".join(place.groups())
        table = next((t for t in known_tables() if t.identifier == named_so), None)
        if table and (damage := resources.lake.damage(table)):
            return damage
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
        derived = {t.name for t in known_tables() if t.is_derived}
        found = named(typed, [t.name for t in known_tables()], "table", _LISTED, derived)
    except ValueError as error:
        return str(error)
    return f"{typed} is no table name in SQL: write {found}"


def _scan(
    found: "IcebergTable", lake: Lake, table: Table, folder: str
) -> "_Files | pa.Table | ds.Dataset":
    """What DuckDB reads of the table: files in ``folder`` itself, others as a stream of Arrow."""
    from pyiceberg.io.pyarrow import PyArrowFileIO

    tasks = lake.all_files(found)
    if not tasks:
        return table.empty().to_arrow()
    if any(task.delete_files for task in tasks) or not isinstance(found.io, PyArrowFileIO):
        rows = pl.DataFrame(found.scan().to_arrow())  # others deleted rows in place
        return completed(rows.lazy(), found, table).collect().to_arrow()
    paths = [task.file.file_path.removeprefix("file://") for task in tasks]
    within = f"{folder.rstrip('/')}/"
    if folder and all(path.startswith(within) and not _GLOB & set(path) for path in paths):
        return _Files(paths, _select(found, table, paths))
    return streamed(found, found.io, table, tasks)


@dataclass(frozen=True)
class _Files:
    """Parquet files of this machine, and the SELECT of their rows.

    DuckDB reads them faster than a stream of Arrow.
    """

    paths: Sequence[str]
    select: str


def _select(found: "IcebergTable", table: Table, paths: Sequence[str]) -> str:
    """The SELECT of the rows in ``paths``.

    Files written under several schemas are read by field number. Those of one schema are read by
    name: only so does DuckDB skip whole files by the partition that their path names.
    """
    files = ", ".join(_quoted(path) for path in sorted(paths, reverse=True))  # it opens the first
    kinds = {name: _KINDS[type(dtype)] for name, dtype in table.schema.items()}
    parts = [field.name for field in found.spec().fields]
    # DuckDB takes every name=value in a path for a column, also one above the table's folder.
    named_so = all(re.findall(r"/([^/=]+)=", path) == parts for path in paths)
    if len(found.metadata.schemas) == 1 and named_so:
        types = ", ".join(f"{name}: {kinds[name]}" for name in parts)
        how = f"hive_partitioning = true, hive_types = {{{types}}}"
    else:
        fields = ", ".join(
            f"{f.field_id}: {{name: '{f.name}', type: '{kinds[f.name]}', default_value: NULL}}"
            for f in found.schema().fields
            if f.name in kinds
        )
        how = f"schema = MAP {{{fields}}}"
    absent = {column.name for column in missing(found, table)}
    columns = ", ".join(
        f"CAST(NULL AS {kind}) AS {n}" if n in absent else n for n, kind in kinds.items()
    )
    return f"SELECT {columns} FROM read_parquet([{files}], {how})"  # noqa: S608  names of ours


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
