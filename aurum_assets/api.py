"""The Python API: tables by name, SQL over them, and ``collect`` for days of a dataset.

Only ``collect`` writes, and only it imports what makes requests to operators.
"""

import contextlib
import datetime as dt
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.waiting import waited_for
from aurum_assets.model.arguments import instant_of, known_name, lead_of
from aurum_assets.model.errors import AurumError, ConfigError
from aurum_assets.model.shown import Shown, as_html
from aurum_assets.model.table import SUPERSEDED_AT, UTC, Table, as_of
from aurum_assets.model.vintage import has_lead, newest, require_vintages
from aurum_assets.operators import DATASETS
from aurum_assets.resources.evolve import completed
from aurum_assets.resources.settings import Settings, open_resources

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.table import Table as IcebergTable

    from aurum_assets.ingest.days import Day, DayProgress

_TABLES_ARE = "lake.tables() lists them"


def collect(
    dataset: str,
    start_date: "Day",
    end_date: "Day | None" = None,
    *,
    home: Path | str | None = None,
    force: bool = False,
    at_once: int = 4,
    progress: "DayProgress | None" = None,
) -> pl.DataFrame:
    """Ask the operator for days of ``dataset``, keep them in the home, and give their rows.

    ``dataset`` is the name of any dataset of either operator, ``isone_da_lmp`` or ``da_lmp``. The
    operating days go from ``start_date`` to ``end_date``, both included, or are ``start_date``
    alone; a day is a date, a ``datetime`` or ISO 8601 text. ``home`` is a folder instead of
    ``AURUM_HOME``; addresses and credentials are those of the environment. ``at_once`` days are
    asked for at a time, within the limits of all processes; ``force`` archives answers that repeat
    the last ones; ``progress`` is called with each day's key, how many are done and how many there
    are, from another thread.

    Works in a script, at a prompt and in a notebook. Ctrl-C ends it: no further request is made,
    what was stored stays, ``KeyboardInterrupt`` is raised.

    Returns all rows that the table holds of these days, in its columns, dtypes and order (units and
    meanings: ``open_lake().describe(dataset)``; instants are UTC). What breaks a rule is in
    ``quality.quarantine``.

    Raises ``ConfigError`` for an unknown name, missing credentials, a wrong config or environment;
    ``ValueError`` for what is no day or ends before it starts; ``DaysFailed`` after the last day,
    with an error by day, where some failed (asking again adds what is missing); ``SourceRefused``
    at the first 401.
    """
    from aurum_assets.ingest.days import asked_days, collect_days, run_coroutine

    known = {d.key: d for d in DATASETS}
    found = known[known_name(dataset, known, "dataset", f"They are {', '.join(known)}")]
    days = asked_days(found.operator, start_date, start_date if end_date is None else end_date)
    own = open_resources(DATASETS, Settings.read(home=home and Path(home)))
    return run_coroutine(
        collect_days(own, found, days, force=force, at_once=at_once, progress=progress)
    )


def open_lake(home: Path | str | None = None) -> "OpenLake":
    """Open the tables of a home to read: ``AURUM_HOME`` (default ``.aurum``), or folder ``home``.

    Raises ``ConfigError`` where there is no home.
    """
    return OpenLake(home)


class OpenLake(Shown):
    """The tables of a home by name, read only; returned by ``open_lake``.

        lake = open_lake()
        lake.tables()                        # all tables
        lake.describe("isone_rt_lmp")        # columns, units, meanings
        lake.scan("isone_rt_lmp")            # all rows, lazily
        lake.best("isone_rt_lmp")            # final where there is one, else preliminary
        lake.vintage("miso_cts", lead="2h")  # as forecast two hours before
        lake.as_of("isone_rt_lmp", "2026-07-21T12:00Z")  # as known at that instant
        lake.sql("select count(*) from isone_rt_lmp")

    A table is named ``isone_rt_lmp``, ``rt_lmp`` or ``market.isone_rt_lmp``. All methods raise
    ``ConfigError`` for an unknown name (with similar ones) and where a file or variable is wrong,
    ``LakeUnreachable`` where catalog or files are out of reach. All instants are UTC.
    """

    def __init__(self, home: Path | str | None = None) -> None:
        """Open folder ``home``, else ``AURUM_HOME``. Raises ``ConfigError`` where there is none."""
        settings = Settings.read(home=home and Path(home))
        self._home = open_resources(DATASETS, settings, needs="lake")
        self._tables: dict[str, Table] = {t.name: t for t in ingest.known_tables()}

    @property
    def names(self) -> list[str]:
        """The names of all possible tables, including histories."""
        return list(self._tables)

    def facts(self) -> dict[str, object]:
        """The home, and which data it holds."""
        return {"home": str(self._home.root.resolve()), "data": self._home.origin or "of files"}

    def _repr_html_(self) -> str:
        """A table for notebooks: the tables that hold rows."""
        title = "Lake in {home} (data: {data})".format(**self.facts())
        try:
            held = self.tables().filter(pl.col("rows") > 0)
        except AurumError as error:  # a notebook shows an object that cannot be read, too
            return as_html(title, [(str(error),)])
        return as_html(title, held.rows(), ("table", *held.columns[1:]))

    def tables(self, *, more: bool = False) -> pl.DataFrame:
        """The tables: ``name``, ``rows``, ``first_day``, ``last_day`` (operating), ``description``.

        ``rows`` is 0 where nothing was collected yet; the days are null where the table has none.
        With ``more`` those of superseded values (``…_history``) and of sightings, too. No row is
        read.
        """
        aside = ("_history", "_sightings")
        shown = [t for t in self._tables.values() if more or not t.name.endswith(aside)]
        schema = {"name": pl.String(), "rows": pl.Int64(), "first_day": pl.Date()}
        schema |= {"last_day": pl.Date(), "description": pl.String()}
        return pl.DataFrame([self._held(table) for table in shown], schema, orient="row")

    def _held(self, table: Table) -> tuple[object, ...]:
        partitions = self._home.lake.partitions(table)
        days = []
        if "operating_day" in table.partition:
            place = table.partition.index("operating_day")
            days = sorted(values[place] for values in partitions)
        bounds = (days[0], days[-1]) if days else (None, None)
        return (table.name, sum(partitions.values()), *bounds, table.doc)

    def describe(self, name: str) -> pl.DataFrame:
        """The columns of ``name``, in stored order, whether it holds rows yet or not.

        Columns: ``column``, ``dtype`` (as polars has it), ``unit`` (empty where it has none),
        ``nullable``, ``key`` (whether it is part of what identifies a row), ``description``.
        """
        table = self._find(name)
        columns, key = table.columns, {*table.key, *table.partition}
        return pl.DataFrame(
            {
                "column": [c.name for c in columns],
                "dtype": ["Datetime[us, UTC]" if c.dtype == UTC else str(c.dtype) for c in columns],
                "unit": [c.unit for c in columns],
                "nullable": [c.nullable for c in columns],
                "key": [c.name in key for c in columns],
                "description": [c.doc for c in columns],
            }
        )

    def scan(self, name: str) -> pl.LazyFrame:
        """All rows of ``name``, lazily, in no order; columns and units as in ``describe``.

        Raises ``ConfigError`` where it holds nothing yet.
        """
        os.environ.setdefault("POLARS_ICEBERG_PLANNER", "pyiceberg")  # or polars warns of another
        table = self._find(name)
        found = self._found(table)
        return completed(pl.scan_iceberg(found), found, table)

    def best(self, name: str) -> pl.LazyFrame:
        """``name`` with one row a key: the final value where there is one, else the prelim.

        Of binding constraints no prelim row of a day that has a final one: finals withdraw what
        they lack. Of forecasts that are kept with their ``published_at``, the last one. In the
        table's order. A table without finality or vintages is returned whole. Raises as ``scan``.
        """
        table = self._find(name)
        return newest(table, self.scan(name))

    def vintage(
        self,
        name: str,
        lead: str | dt.timedelta | None = None,
        *,
        before: str | dt.datetime | dt.date | None = None,
    ) -> pl.LazyFrame:
        """The newest forecast of each interval of ``name`` that was published early enough.

        ``lead``: at least so long before the interval began (``2h``, ``75m``, ``1d``, ``1h 30m``
        or a timedelta). ``before``: by that instant, given as for ``as_of``. Both include the
        boundary; without them it is the newest of all, as in ``best``; ``scan`` has every one. An
        interval without such a forecast has no row. ``operating_day`` is the stored one, which for
        ``miso_cts`` is the publication's: a filter on ``interval_start`` chooses intervals, and
        skips the files of other days.

        Raises ``ValueError`` where an argument is no lead or instant, ``ConfigError`` for a table
        that keeps no vintages, and as ``scan``.
        """
        table = self._find(name)
        require_vintages(table, self._tables.values())
        rows = self.scan(name)
        if lead is not None:
            rows = rows.filter(has_lead(lead_of(lead)))
        if before is not None:
            rows = rows.filter(pl.col("published_at") <= instant_of(before))
        return newest(table, rows)

    def as_of(self, name: str, instant: str | dt.datetime | dt.date) -> pl.LazyFrame:
        """``name`` as it was known at ``instant``: corrections and restatements since are undone.

        ``instant`` is text (``2026-07-21T12:00Z``, any offset; without one it is UTC), a
        ``datetime`` with a tzinfo, or a day (text or ``date``), which means its end in UTC. Rows
        are in the table's order. Raises ``ValueError`` where it is none, and as ``scan``.
        """
        table, when = self._find(name), instant_of(instant)
        rows = [self.scan(name)]
        if self._home.lake.find(table.history) is not None:
            current = rows[0].with_columns(pl.lit(None, UTC).alias(SUPERSEDED_AT.name))
            before = self.scan(table.history.name)
            rows = [frame.select(table.history.names) for frame in (current, before)]
        return as_of(table, pl.concat(rows), when)

    def sql(self, select: str) -> pl.DataFrame:
        """The rows of one SELECT, by DuckDB, as ``aurum sql`` gives them.

        Tables go by their full or short names (``rt_lmp``), with or without namespace; one without
        data is empty. Nothing is written, and no other file is read. Raises ``QueryRefused`` for
        anything but one SELECT over them. Ctrl-C ends it.
        """
        connections: list[duckdb.DuckDBPyConnection] = []
        stopped = threading.Event()

        def connected(db: "duckdb.DuckDBPyConnection") -> None:
            connections.append(db)
            if stopped.is_set():
                raise KeyboardInterrupt

        def work() -> pl.DataFrame:
            with ingest.query(self._home, select, connected) as batches:
                return ingest.in_full(batches)

        def interrupt() -> None:
            stopped.set()
            for db in connections:
                import duckdb

                with contextlib.suppress(duckdb.ConnectionException):  # it was closed meanwhile
                    db.interrupt()

        return waited_for(work, interrupt)

    def table(self, name: str) -> "IcebergTable":
        """The pyiceberg table ``name`` as it is now, to read: schema, snapshots, scans.

        It cannot be written. Raises ``ConfigError`` where it holds nothing yet.
        """
        from pyiceberg.catalog.noop import NoopCatalog
        from pyiceberg.table import StaticTable

        found = self._found(self._find(name))
        catalog = NoopCatalog("to be read")
        return StaticTable(found.name(), found.metadata, found.metadata_location, found.io, catalog)

    def _found(self, table: Table) -> "IcebergTable":
        found = self._home.lake.find(table)
        if found is None:
            msg = f"{table.name} holds nothing yet: collect or load it first (aurum --help)"
            raise ConfigError(msg)
        return found

    def _find(self, name: str) -> Table:
        derived = {t.name for t in self._tables.values() if t.is_derived}
        return self._tables[known_name(name, self._tables, "table", _TABLES_ARE, derived)]
