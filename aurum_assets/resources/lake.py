"""The lake: Iceberg tables, and the only way to write rows to them.

``merge`` adds new rows and replaces changed ones, in one commit, inside an optimistic loop;
``replace`` makes a day exactly what it is given; ``swap`` puts files that any process wrote
(``write``) in the place of those of many days, in one commit. All are safe under kills and races.
Not here: deciding what a row means or whether it may enter, and compaction (``maintenance``).

Measured on pyiceberg 0.12, and the reason for what looks roundabout here: its own commit retry can
duplicate rows, so it is switched off and this loop retries; a commit that took effect but was
reported failed makes it delete the manifests of a live snapshot, so ``catalog`` guards
``commit_table``; ``delete`` then ``append`` as two commits leaves short days under ``kill -9``, so
a day is rewritten in one.
"""

import contextlib
import copy
import dataclasses
import datetime as dt
import fcntl
import random
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID, uuid4

import polars as pl

from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    ContractBroken,
    HomeMoved,
    HostUnknown,
    LakeBusy,
    LakeDamaged,
    LakeUnreachable,
    Overtaken,
)
from aurum_assets.model.finding import Finding, broken
from aurum_assets.model.table import SUPERSEDED_AT, Table, compared
from aurum_assets.resources.catalog import (
    described,
    failure_kind,
    failures,
    file_location,
    file_of,
    guard_commits,
    of_files,
    open_catalog,
    reason,
    sqlite_uri,
    warehouse,
)
from aurum_assets.resources.damage import Damage, find_damage, may_be_damage
from aurum_assets.resources.evolve import evolved, missing
from aurum_assets.resources.holdings import Held, Holdings
from aurum_assets.resources.layout import DAY, partition_of
from aurum_assets.resources.place import (
    Registered,
    elsewhere,
    home_of,
    registered_in,
    registered_in_file,
)
from aurum_assets.resources.redaction import masked
from aurum_assets.resources.relocation import Relocated, Relocation
from aurum_assets.resources.scratch import check_file, check_name, draft, scratch_folder
from aurum_assets.resources.snapshots import SNAPSHOTS_KEPT, changed_at, expendable

if TYPE_CHECKING:  # the library costs 0.7 s to import: a run that writes nothing does not pay it
    from pyiceberg.catalog import Catalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask, Transaction
    from pyiceberg.table import Table as IcebergTable

_T = TypeVar("_T")

_MARKET, _ORIGIN = "market", "aurum.origin"
FILES_BEFORE_COMPACTION = 24
_LONGEST_SWAP = 12 * 3600.0  # seconds from write to commit
_OPENING = "opening the lake"
_LONGEST_WAIT = 1.0
_ANEW = "aurum replay --all --rebuild makes the lake anew from the archive"
_RESTORE = f"name the right one in AURUM_CATALOG_WAREHOUSE, restore the file, or: {_ANEW}"
_FILES = "aurum_assets.resources.lake_files.LakeFiles"
_CATALOGS = ("sql", "rest", "glue")
_CHECKING = "checking the lake"
_LOOK = "look at AURUM_CATALOG_*, and whether its servers are up"
_PATIENCE = 120.0  # for a write
_NAME_PATIENCE = 10.0  # for a host name: DNS does not know a container that is starting
_SHORTER_PATIENCE = 30.0  # to open the catalog, to read, to make a table

_PROPERTIES = {
    "commit.retry.num-retries": "0",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "12",
    "write.metadata.metrics.default": "truncate(16)",
}


@dataclass(frozen=True)
class Merged:
    """The result of a merge. ``snapshot_id`` is None where there was nothing to commit.

    ``held``: the rows of the partition afterwards; None where they were not counted.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    snapshot_id: int | None = None
    attempts: int = 1
    held: int | None = None

    @classmethod
    def replacing(cls, beside: pl.DataFrame, stored: int) -> "Merged":
        """Replacing ``stored`` rows by those of ``beside``, which is as ``compared`` gives it."""
        new, changed = int(beside["is_new"].sum()), int(beside["is_changed"].sum())
        same = len(beside) - new - changed
        return cls(new, changed, same, stored - same - changed, held=len(beside))


@dataclass(frozen=True)
class Stored:
    """The rows of a partition in the table's order, and the paths of the files that hold them."""

    rows: pl.DataFrame
    files: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Swap:
    """Written ``files`` for a ``partition``, in the place of the files ``before``; not committed.

    ``table``: the UUID of the table that they were written for. Processes may hand it on. It is
    refused ``_LONGEST_SWAP`` after ``written_at``: maintenance deletes such files after a day.
    """

    partition: Mapping[str, Any]
    table: str
    before: frozenset[str]
    files: "tuple[DataFile, ...]" = ()
    written_at: float = field(default_factory=time.time)

    @property
    def is_old(self) -> bool:
        """Whether the files may be deleted soon, as nobody's."""
        return time.time() - self.written_at > _LONGEST_SWAP

    @property
    def after(self) -> frozenset[str]:
        """The paths of the files that the partition has with this swap."""
        return frozenset(file.file_path for file in self.files)


@dataclass(frozen=True)
class TableSummary:
    """Numbers of a table, read from the manifests of ``snapshot`` alone."""

    rows: int
    days: int
    files: int
    first: dt.datetime | None
    last: dt.datetime | None
    last_commit: dt.datetime | None
    snapshot: int | None = None


class Lake:
    """Iceberg tables by ``Table`` declaration, behind any catalog that pyiceberg can load.

    ``configured``: the properties of a catalog in the place of the embedded one; empty with that.
    """

    def __init__(
        self,
        properties: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        catalog: "Catalog | None" = None,
        locks: Path | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self._properties = dict(properties)
        self._sleep = sleep
        self._given = catalog
        self._locks = locks
        self._patience = patience
        self._planned: tuple[Any, tuple[FileScanTask, ...]] | None = None
        self._holdings = Holdings()
        self._whole: dict[str, tuple[int, tuple[FileScanTask, ...]]] = {}
        self.configured: Mapping[str, str] = {}

    def anew(self) -> "Lake":
        """This lake as another process would open it."""
        found = Lake(
            self._properties,
            sleep=self._sleep,
            catalog=self._given,
            locks=self._locks,
            patience=self._patience,
        )
        found.configured = self.configured
        return found

    @classmethod
    def local(cls, root: Path) -> "Lake":
        """A lake with SQLite catalog and warehouse in a folder, made at its first use."""
        root = root.resolve()
        return cls(
            {
                "type": "sql",
                "uri": sqlite_uri(root / "catalog.sqlite"),
                "warehouse": file_location(root / "warehouse"),
            },
            locks=root,
        )

    @classmethod
    def remote(cls, properties: Mapping[str, str], root: Path) -> "Lake":
        """A lake in the catalog of ``properties``; this machine's lock files are in ``root``."""
        place = properties.get("warehouse", "")
        ours = {"py-io-impl": _FILES} if place.startswith("s3") or not place else {}
        found = cls({**ours, **properties}, locks=root.resolve())
        found.configured = dict(properties)
        return found

    @classmethod
    def of(cls, configured: Mapping[str, str], root: Path) -> "Lake":
        """``remote`` where a catalog is ``configured``, else ``local``; ``root``: the folder."""
        return cls.remote(configured, root) if configured else cls.local(root)

    def within(self, patience: float) -> "Lake":
        """This lake, giving up what is away after ``patience`` seconds."""
        lake = self.anew()
        vars(lake).update({**vars(self), "_patience": patience})  # with the catalog, where open
        return lake

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which opens the catalog itself."""
        opened = ("catalog", "_opened")
        state = {name: value for name, value in vars(self).items() if name not in opened}
        return state | {"_planned": None, "_holdings": Holdings(), "_whole": {}}

    @cached_property
    def catalog(self) -> "Catalog":
        """The catalog, with guarded commits.

        Raises ``LakeUnreachable`` where it cannot be reached within half a minute, ``ConfigError``
        where it refuses us, ``LakeDamaged`` where its file (or, of a table, a file) is damaged,
        ``HomeMoved`` where its tables have their files in another place.
        """
        self.refuse_elsewhere()
        return self._opened

    @cached_property
    def _opened(self) -> "Catalog":
        """The catalog, without checking where its tables have their files."""
        self._refuse_lost_catalog()
        if self._locks is not None and self._embedded:
            _made(self._locks)
        opened = self._given or self._patiently(_OPENING, lambda _: open_catalog(self._properties))
        guard_commits(opened, self._properties, self._sleep, self._shorter_patience)
        return opened

    @property
    def _embedded(self) -> bool:
        return self._properties.get("uri", "").startswith("sqlite:")

    def elsewhere(self) -> list[Registered]:
        """Return the tables whose metadata names files in another place, as after a copy or a move.

        Empty where the catalog itself decides the place (REST, Glue). Raises like ``catalog``,
        and ``LakeBusy`` where an embedded catalog stays locked.
        """
        if self._given is not None or not self.place or self._properties.get("type") != "sql":
            return []
        if self._embedded:
            file = Path(file_of(self._properties["uri"]))
            try:
                tables = registered_in_file(file, self._shorter_patience)
            except sqlite3.Error as error:
                raise self.explained(_OPENING, error) from None
        else:
            engine = self._engine()
            tables = self._patiently(_OPENING, lambda _: registered_in(engine))
        return elsewhere(tables, self.place)

    def refuse_elsewhere(self) -> None:
        """Raise ``HomeMoved`` where a table names files in another place."""
        away = self.elsewhere()
        if not away:
            return
        there, here = away[0].warehouse, self.place
        if self._embedded:
            msg = (
                f"the home in {home_of(here)} was made in {home_of(there)}, and its tables still "
                "name the files there"
            )
            remedy = "run `aurum relocate` to use it where it is now"
        else:
            place = described(self._properties)
            msg = f"{place} has tables in {there}, but the warehouse is {here}"
            remedy = (
                "copy their files there and run `aurum relocate`, or set AURUM_CATALOG_WAREHOUSE "
                "to where they are"
            )
        raise HomeMoved(msg, remedy=remedy)

    def look_elsewhere(self, table: Registered) -> Relocated:
        """Check that all files of ``table``, one of those ``elsewhere``, are in this lake.

        Raises ``LakeDamaged`` naming the first that is missing or incomplete; and like ``catalog``.
        """
        return self._patiently(table.identifier, lambda _: self._relocation(table).look())

    def relocate(self, table: Registered) -> None:
        """Make ``table``, one of those ``elsewhere``, name its files in this lake, in one commit.

        Raises ``LakeBusy`` where another process changed the table, and like ``look_elsewhere``.
        """
        engine = self._engine()
        self._patiently(table.identifier, lambda _: self._relocation(table).commit(engine))

    def _relocation(self, table: Registered) -> Relocation:
        from pyiceberg.io import load_file_io

        return Relocation(table, self.place, load_file_io(self._properties, self.place))

    @property
    def place(self) -> str:
        """The warehouse, as its tables name it; empty where the catalog decides it."""
        return self._properties.get("warehouse", "")

    def check(self, tables: Sequence[Table]) -> Finding:
        """Open the catalog, load those of ``tables`` that exist, write to the warehouse.

        As a run does it, but that nothing is made that is missing in an embedded lake, and that no
        table is loaded after the lake's patience. Raises no ``AurumError``.
        """
        where, properties = self._where, self._properties
        began = time.monotonic()
        try:
            if self._default and not self._made:
                self._patiently(_CHECKING, lambda _: self._write_to_warehouse(properties))
                return Finding("catalog", "embedded default", where, "is made by the first run")
            catalog = self._opened
            held = "see place" if self.elsewhere() else self._loaded(catalog, tables, began)
            took = round((time.monotonic() - began) * 1000)
            self._patiently(_CHECKING, lambda _: self._write_to_warehouse(catalog.properties))
        except AurumError as error:
            return broken("catalog", where, error, _LOOK)
        if self._default:
            return Finding("catalog", "embedded default", where, f"{held}, SQLite")
        place = self.place if self.place.startswith("/") else masked(self.place)
        held += f"; warehouse {place or 'its own'}"
        return Finding("catalog", "ok", where, held, "", took)

    def _loaded(self, catalog: "Catalog", tables: Sequence[Table], began: float) -> str:
        """How many of ``tables`` exist."""
        found = 0
        for table in tables:
            found += self._patiently(table.identifier, partial(_exists, catalog, table))
            if time.monotonic() - began > self._patience:
                return f"{found} tables or more"
        return f"{found} tables"

    @property
    def _default(self) -> bool:
        """Whether the catalog is that of ``local``."""
        uri = self._properties.get("uri")
        return self._locks is not None and uri == sqlite_uri(self._locks / "catalog.sqlite")

    @property
    def _made(self) -> bool:
        """Whether the folder of a ``local`` lake holds one."""
        names = ("catalog.sqlite", "warehouse")
        return self._locks is not None and any((self._locks / n).exists() for n in names)

    @property
    def _where(self) -> str:
        """Where the catalog is, without its secrets."""
        if self._default:
            return str(self._locks)
        kind, uri = self._properties.get("type", ""), self._properties.get("uri", "")
        return f"{kind if kind in _CATALOGS else ''} {masked(uri)}".strip()

    def _write_to_warehouse(self, properties: Mapping[str, str]) -> None:
        """Write and delete a small file, where the catalog of ``properties`` names a place."""
        from pyiceberg.io import load_file_io

        def write(place: str) -> None:
            files = load_file_io(dict(properties), place)
            with files.new_output(place).create() as file:
                file.write(b"aurum doctor")
            files.delete(place)

        place = self.place.removeprefix("file://")
        if place.startswith("/"):
            with draft(check_file(Path(place))) as file:
                write(file_location(file))
        elif "://" in place:
            write(f"{place.rstrip('/')}/{check_name()}")

    def _engine(self) -> Any:  # noqa: ANN401  SQLAlchemy's, of an SQL catalog
        return cast("Any", self._opened).engine

    def table(self, table: Table) -> "IcebergTable":
        """The Iceberg table as it is now; created where missing. Raises like ``catalog``."""
        self.catalog  # noqa: B018  has a patience of its own
        return self._patiently(table.identifier, lambda _: self._table(table), within=(table, None))

    def find(self, table: Table) -> "IcebergTable | None":
        """The Iceberg table where it exists. Raises like ``catalog``."""
        return self.reading(table, lambda found: found, None)

    def reading(
        self,
        table: Table,
        once: "Callable[[IcebergTable], _T]",
        otherwise: _T,
        partition: Mapping[str, Any] | None = None,
    ) -> _T:
        """The result of ``once`` on the table as it is now, ``otherwise`` where there is none.

        Retried for half a minute where catalog or files are out of reach. ``partition``: the only
        one that ``once`` reads. Raises like ``catalog``.
        """
        from pyiceberg.exceptions import NoSuchTableError

        catalog = self.catalog

        def read(_: int) -> _T:
            try:
                found = catalog.load_table(table.identifier)
            except NoSuchTableError:
                return otherwise
            return once(found)

        return self._patiently(table.identifier, read, within=(table, partition))

    def claimed_by(self, ours: str) -> str:
        """Which data the lake holds, ``real`` or ``simulated``: marks it as ``ours`` if unmarked.

        Raises like ``catalog``.
        """
        catalog = self.catalog

        def claim(_: int) -> str:
            catalog.create_namespace_if_not_exists(_MARKET)
            held = catalog.load_namespace_properties(_MARKET)
            if _ORIGIN not in held:
                catalog.update_namespace_properties(_MARKET, updates={_ORIGIN: ours})
            return str(held.get(_ORIGIN, ours))

        return self._patiently("whose data the lake holds", claim)

    def uuid(self, table: Table) -> str:
        """The UUID of the table: another one after it was dropped and created again."""
        return str(self.table(table).metadata.table_uuid)

    def held(self, table: Table, partition: Mapping[str, Any]) -> tuple[str, int]:
        """The UUID of the table, and the number of its rows in ``partition``.

        No row is read; the next merge into the partition reuses the plan.
        """
        self.catalog  # noqa: B018  has a patience of its own

        def once(_: int) -> tuple[str, int]:
            found = self._table(table)
            return str(found.metadata.table_uuid), _count(self._plan(found, partition))

        return self._patiently(table.identifier, once, within=(table, partition))

    def partitions(self, table: Table) -> dict[tuple[Any, ...], int]:
        """Row counts of the partitions that hold any, by their values; no row is read."""

        def once(found: "IcebergTable") -> dict[tuple[Any, ...], int]:
            rows = Counter[tuple[Any, ...]]()
            for held in self._holdings.of(found):
                rows[tuple(held.partition.values())] += held.rows
            return dict(rows)

        return self.reading(table, once, {})

    def read(
        self,
        table: Table,
        partition: Mapping[str, Any] | None = None,
        columns: tuple[str, ...] | None = None,
    ) -> pl.DataFrame:
        """The rows of ``partition`` (all where None) in the table's order.

        Raises like ``catalog``, as the other methods that read do.
        """
        where, names = partition or {}, columns or tuple(table.names)

        def once(found: "IcebergTable") -> pl.DataFrame:
            rows = _rows(found, table, where, names, self._plan(found, where))
            return rows.sort([n for n in table.order if n in rows.columns] or rows.columns)

        return self.reading(table, once, table.empty().select(names), where)

    def merge(self, table: Table, frame: pl.DataFrame) -> Merged:
        """Merge ``frame`` (as ``fold`` gives it, of one partition) into its partition.

        A new key is added; one whose values differ is replaced; the others stay, with the
        provenance of the snapshot that gave them first. Rows absent from ``frame``
        stay. A replaced row goes to the table's history first. Raises ``ContractBroken`` where the
        frame does not fit the table, ``Overtaken`` where the table holds what was fetched later.
        """
        if frame.is_empty():
            return Merged()
        partition = _partition_of(table, frame)
        return self._optimistic(
            table, lambda attempt: self._merge_once(table, frame, partition, attempt), partition
        )

    def replace(
        self,
        table: Table,
        frame: pl.DataFrame,
        partition: Mapping[str, Any],
        *,
        keeps: pl.Expr | None = None,
    ) -> Merged:
        """Make ``partition`` hold exactly ``frame`` (as ``fold`` gives it).

        No commit where it does already. Raises ``Overtaken`` where ``keeps`` is true for a stored
        row: another writer added it meanwhile.
        """
        return self._optimistic(
            table,
            lambda attempt: self._replace_once(table, frame, partition, keeps, attempt),
            partition,
        )

    def stored(self, table: Table, partition: Mapping[str, Any]) -> Stored:
        """The rows of ``partition`` in the table's order, and the files that hold them.

        Raises like ``catalog``.
        """

        def once(found: "IcebergTable") -> Stored:
            tasks = self._plan(found, partition)
            rows = _rows(found, table, partition, tuple(table.names), tasks)
            return Stored(rows.sort(table.order), frozenset(t.file.file_path for t in tasks))

        return self.reading(table, once, Stored(table.empty()), partition)

    def stored_days(self, table: Table, days: Sequence[dt.date]) -> dict[dt.date, Stored]:
        """As ``stored``, of each of ``days`` of a table that is partitioned by them, in one read.

        Raises like ``catalog``.
        """
        partitions = [{DAY: day} for day in days]

        def once(found: "IcebergTable") -> dict[dt.date, Stored]:
            held = _held_tasks(found, partitions)
            tasks = [task for of_day in held.values() for task in of_day]
            rows = _rows(found, table, {}, tuple(table.names), tasks)
            by_day = rows.partition_by(DAY, as_dict=True)
            return {
                day: Stored(
                    by_day.get((day,), table.empty()).sort(table.order),
                    frozenset(t.file.file_path for t in held[frozenset({(DAY, day)})]),
                )
                for day in days
            }

        nothing = {day: Stored(table.empty()) for day in days}
        return self.reading(table, once, nothing) if days else {}

    def files_by_day(
        self, table: Table, first: dt.date, last: dt.date
    ) -> dict[dt.date, frozenset[str]]:
        """The paths of the files of each operating day held from ``first`` to ``last``.

        No row is read. Raises like ``catalog``.
        """

        def once(found: "IcebergTable") -> dict[dt.date, frozenset[str]]:
            paths: defaultdict[dt.date, set[str]] = defaultdict(set)
            for held in self._holdings.of(found, first, last):
                paths[held.day].add(held.path)
            return {day: frozenset(some) for day, some in sorted(paths.items())}

        return self.reading(table, once, {})

    def files(
        self, table: Table, days: Sequence[dt.date], others: Mapping[str, Any]
    ) -> dict[dt.date, frozenset[str]]:
        """The paths of the files of each of ``days``, of the partitions of ``others`` where the
        table has such.
        """
        more = {name: value for name, value in others.items() if name in table.partition}
        partitions = [{DAY: day, **more} for day in days]

        def once(found: "IcebergTable") -> dict[dt.date, frozenset[str]]:
            held = _held_files(found, partitions)
            return {
                partition[DAY]: frozenset(
                    file.file_path for file in held[frozenset(partition.items())]
                )
                for partition in partitions
            }

        return self.reading(table, once, {}) if partitions else {}

    def write(
        self, table: Table, frame: pl.DataFrame, partition: Mapping[str, Any], before: Stored
    ) -> Swap:
        """Write ``frame`` as the rows that ``partition`` shall have instead of those ``before``.

        No reader sees them until ``swap`` commits them. Raises like ``merge``.
        """

        def once(_: int) -> Swap:
            found = self._table(table)
            files = tuple(_files_of(found, table, frame, uuid4()))
            return Swap(partition, str(found.metadata.table_uuid), before.files, files)

        self.catalog  # noqa: B018  has a patience of its own
        return self._patiently(table.identifier, once, self._patience)

    def swap(self, table: Table, swaps: Sequence[Swap]) -> tuple[list[Swap], int | None]:
        """Commit ``swaps``, each of another partition, at once; those that took effect, and the
        snapshot.

        Not among them is one whose partition has other files by now than those that it replaces.
        Raises like ``merge``.
        """
        if not swaps:
            return [], None
        return self._optimistic(table, lambda _: self._swap_once(table, swaps))

    def rewriting(self, table: Table, once: "Callable[[IcebergTable], _T]") -> _T:
        """The result of ``once``, which commits to the table without changing a row.

        ``once`` runs again where another writer committed first. Raises like ``merge``.
        """
        return self._optimistic(table, lambda _: once(self._table(table)))

    def compacted(
        self, found: "IcebergTable", table: Table, partition: Mapping[str, Any], commit: UUID
    ) -> "tuple[list[DataFile], list[DataFile]]":
        """Write the rows of ``partition`` in the table's order into a new file, without a commit.

        Returns the files that it replaces, and the new one.
        """
        tasks = list(found.scan(row_filter=_where(partition)).plan_files())
        rows = _rows(found, table, partition, tuple(table.names), tasks).sort(table.order)
        return [task.file for task in tasks], _files_of(found, table, rows, commit)

    def set_aside(self, tables: Sequence[Table], folder: Path | None) -> list[str]:
        """Remove ``tables`` from the catalog; returns sentences that say where their files are.

        Files in this lake's own folder are moved below ``folder``, others stay where they are.
        Raises like ``catalog``.
        """
        from pyiceberg.exceptions import NoSuchTableError

        kept = []
        for table in tables:

            def drop(_: int, identifier: str = table.identifier) -> bool:
                try:
                    self._opened.drop_table(identifier)
                except NoSuchTableError:
                    return False
                return True

            dropped = self._patiently(table.identifier, drop)
            place = self._locks and self._locks / "warehouse" / table.namespace / table.name
            if folder is not None and place and place.exists():
                to = folder / "warehouse" / table.namespace / table.name
                to.parent.mkdir(parents=True, exist_ok=True)
                place.rename(to)
                kept.append(f"{table.identifier}: its files are in {to}")
            elif dropped:
                kept.append(f"{table.identifier}: its files stay where they are, without a name")
        return kept

    def close(self) -> None:
        """Close the catalog; it is opened again at its next use."""
        self.__dict__.pop("catalog", None)
        opened = self.__dict__.pop("_opened", None)
        if opened is not None and self._given is None:
            opened.close()

    def summary(
        self, table: Table, over: str = "interval_start", known: TableSummary | None = None
    ) -> TableSummary | None:
        """Counts, and the bounds of the instants in column ``over``, without reading a row.

        ``known``, an earlier summary, is returned where nothing was committed since.
        """

        def once(found: "IcebergTable") -> TableSummary:
            snapshot = found.current_snapshot()
            if snapshot and known and known.snapshot == snapshot.snapshot_id:
                return known
            return _summary(found, over, list(self._holdings.of(found)))

        return self.reading(table, once, None)

    def counts(self, table: Table, partition: Mapping[str, Any]) -> tuple[int, int]:
        """Count the rows of ``partition`` and of the whole table, from metadata alone."""

        def once(found: "IcebergTable") -> tuple[int, int]:
            snapshot = found.current_snapshot()
            if snapshot is None or snapshot.summary is None:
                return 0, 0
            here = sum(task.file.record_count for task in self._plan(found, partition))
            return here, int(snapshot.summary["total-records"] or 0)

        return self.reading(table, once, (0, 0))

    def counts_by(self, table: Table, name: str) -> dict[str, int]:
        """Count rows by the value of the partition column ``name``, from metadata alone."""

        def once(found: "IcebergTable") -> dict[str, int]:
            rows = Counter[str]()
            for held in self._holdings.of(found):
                rows[held.partition[name]] += held.rows
            return dict(rows)

        return self.reading(table, once, {})

    def days(self, table: Table) -> list[dt.date]:
        """The operating days that the table holds, without reading a row."""
        return self.reading(table, lambda found: sorted(self._holdings.days(found)), [])

    def volumes(
        self, table: Table, first: dt.date, last: dt.date
    ) -> dict[dt.date, tuple[int, int]]:
        """The numbers of rows and finalities of each day held from ``first`` to ``last``, in order.

        No row is read: manifests have row counts and value bounds of each file.
        """

        def once(found: "IcebergTable") -> dict[dt.date, tuple[int, int]]:
            return _volumes(found, table, self._holdings.of(found, first, last))

        return self.reading(table, once, {})

    def write_nowhere(self, table: Table, frame: pl.DataFrame) -> None:
        """Write ``frame``, of one partition, to a scratch folder, exactly as a commit would.

        Raises what the write raises: such a frame can never be stored.
        """
        from pyiceberg.io.pyarrow import PyArrowFileIO

        found = copy.copy(self._table(table))
        with scratch_folder() as folder:
            found.io = PyArrowFileIO()
            place = {"location": f"file://{folder}", "properties": {}}
            found.metadata = found.metadata.model_copy(update=place)
            list(_written(found, table, frame, uuid4()))

    def uri(self, table: Table) -> str:
        """The address of the table's files."""
        return str(self.table(table).location())

    def all_files(self, found: "IcebergTable") -> "Sequence[FileScanTask]":
        """All files of the current snapshot; those of the last one of each table are kept."""
        snapshot, uuid = found.current_snapshot(), str(found.metadata.table_uuid)
        if snapshot is None:
            return ()
        number, tasks = self._whole.get(uuid, (None, ()))
        if number != snapshot.snapshot_id:
            tasks = tuple(found.scan().plan_files())
            self._whole[uuid] = snapshot.snapshot_id, tasks
        return tasks

    def _plan(
        self, found: "IcebergTable", partition: Mapping[str, Any]
    ) -> "Sequence[FileScanTask]":
        """The files of ``partition``. A snapshot never changes, so its last plan is kept: reading
        some twenty manifests costs as much as writing the rows of one fetch.
        """
        snapshot = found.current_snapshot()
        if snapshot is None:
            return ()
        key = (found.metadata.table_uuid, snapshot.snapshot_id, tuple(partition.items()))
        planned = self._planned
        if planned is None or planned[0] != key:
            tasks = tuple(found.scan(row_filter=_where(partition)).plan_files())
            self._planned = (key, tasks)
            return tasks
        return planned[1]

    # --- one attempt -------------------------------------------------------------------------

    def _merge_once(
        self, table: Table, frame: pl.DataFrame, partition: Mapping[str, Any], attempt: int
    ) -> Merged:
        found = self._table(table)
        tasks = self._plan(found, partition)
        near = [t for t in tasks if _may_hold(found, t.file, frame)]
        names = (*table.key, *table.values, *(("fetched_at",) if table.keeps_history else ()))
        beside = compared(table, frame, _rows(found, table, partition, names, near))
        if table.keeps_history and (beside["stored_fetched_at"] > frame["fetched_at"]).any():
            msg = f"{table.identifier}: {partition} holds values of later snapshots already"
            raise Overtaken(msg)
        is_new, is_changed = beside["is_new"], beside["is_changed"]
        new, changed = int(is_new.sum()), int(is_changed.sum())
        unchanged = len(frame) - new - changed
        if not new and not changed:
            return Merged(unchanged=unchanged, attempts=attempt, held=_count(tasks))
        written = frame.filter(is_new | is_changed)
        if changed or len(tasks) >= FILES_BEFORE_COMPACTION:
            held = _rows(found, table, partition, tuple(table.names), tasks)
            if changed and table.keeps_history:
                self.merge(table.history, _superseded(table, held, frame.filter(is_changed)))
            kept = held.join(written, on=table.key, how="anti")
            written = pl.concat([kept, written.select(table.names)]).sort(table.order)
            snapshot = self._commit(found, table, written, partition, over=tasks)
            count = len(written)
        else:
            snapshot = self._commit(found, table, written, partition, beside=tasks)
            count = _count(tasks) + len(written)
        return Merged(new, changed, unchanged, 0, snapshot, attempt, count)

    def _replace_once(
        self,
        table: Table,
        frame: pl.DataFrame,
        partition: Mapping[str, Any],
        keeps: pl.Expr | None,
        attempt: int,
    ) -> Merged:
        found = self._table(table)
        tasks = self._plan(found, partition)
        frame = frame.select(table.names)
        known = _rows(found, table, partition, tuple(table.names), tasks).sort(table.order)
        if keeps is not None and len(known.filter(keeps)):
            msg = f"{table.identifier}: {partition} holds rows that others brought meanwhile"
            raise Overtaken(msg)
        if known.equals(frame):
            return Merged(unchanged=len(frame), attempts=attempt, held=len(frame))
        beside = compared(table, frame, known.select(*table.key, *table.values))
        snapshot = self._commit(found, table, frame, partition, over=tasks)
        merged = Merged.replacing(beside, len(known))
        return dataclasses.replace(merged, snapshot_id=snapshot, attempts=attempt)

    def _commit(
        self,
        found: "IcebergTable",
        table: Table,
        frame: pl.DataFrame,
        partition: Mapping[str, Any],
        *,
        over: "Sequence[FileScanTask]" = (),
        beside: "Sequence[FileScanTask]" = (),
    ) -> int:
        """Commit ``frame`` to its partition, replacing the files ``over`` or beside all others.

        Keeps the plan of the partition.
        """
        from pyiceberg.table import FileScanTask

        files = _files_of(found, table, frame, uuid4())
        snapshot, ours = self._commit_files(found, table, [task.file for task in over], files)
        if ours:
            key = (found.metadata.table_uuid, snapshot, tuple(partition.items()))
            self._planned = (key, (*beside, *(FileScanTask(file) for file in files)))
        return snapshot

    def _swap_once(self, table: Table, swaps: Sequence[Swap]) -> tuple[list[Swap], int | None]:
        found = self._table(table)
        uuid = str(found.metadata.table_uuid)
        held = _held_files(found, [swap.partition for swap in swaps])
        ours, over = [], []
        for swap in swaps:
            files = held[frozenset(swap.partition.items())]
            as_before = swap.before == {file.file_path for file in files}
            if swap.table == uuid and as_before and not swap.is_old:
                ours.append(swap)
                over += files
        if not ours:
            return [], None
        files = [file for swap in ours for file in swap.files]
        return ours, self._commit_files(found, table, over, files)[0]

    def _commit_files(
        self,
        found: "IcebergTable",
        table: Table,
        over: "Sequence[DataFile]",
        files: "Sequence[DataFile]",
    ) -> tuple[int, bool]:
        """Commit ``files`` in the place of those ``over``: the table's snapshot, whether it is
        that of this commit.

        Expires old snapshots in the same commit.
        """
        from pyiceberg.table.update.snapshot import ExpireSnapshots

        old = expendable(found.metadata, dt.datetime.now(dt.UTC))
        with _transaction_class()(found) as transaction:
            update = transaction.update_snapshot()
            with update.overwrite() if over else update.fast_append() as producer:
                for file in over:
                    producer.delete_data_file(file)
                for file in files:
                    producer.append_data_file(file)
            if len(old) >= SNAPSHOTS_KEPT:
                ExpireSnapshots(transaction).by_ids(old).commit()
        snapshot = found.current_snapshot()
        if snapshot is None:
            msg = f"{table.identifier}: the commit left no snapshot"
            raise ContractBroken(msg)
        return snapshot.snapshot_id, snapshot.snapshot_id == producer.snapshot_id

    # --- the loop ------------------------------------------------------------------------------

    def _optimistic(
        self, table: Table, once: Callable[[int], _T], partition: Mapping[str, Any] | None = None
    ) -> _T:
        """Retry ``once`` until it commits on the state that it was computed from.

        Writers of one machine hold a lock, or a rewrite would always lose to concurrent appends.
        Raises ``LakeBusy`` where other writers won for two minutes, ``LakeUnreachable`` where
        catalog or warehouse was away that long, ``ConfigError`` where it refuses us.
        """
        self.catalog  # noqa: B018  opened before the lock is taken, which others wait for

        def locked(attempt: int) -> _T:
            with self._locked(table):
                return once(attempt)

        return self._patiently(table.identifier, locked, self._patience, (table, partition))

    @contextlib.contextmanager
    def _locked(self, table: Table) -> Iterator[None]:
        """Hold this machine's lock on writing the table; a killed holder releases it at once."""
        if self._locks is None:
            yield
            return
        with (_made(self._locks) / f"{table.identifier}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def _shorter_patience(self) -> float:
        return min(_SHORTER_PATIENCE, self._patience)

    def _patiently(
        self,
        what: str,
        once: Callable[[int], _T],
        patience: float | None = None,
        within: tuple[Table, Mapping[str, Any] | None] | None = None,
    ) -> _T:
        """Retry ``once`` while other writers win, or catalog or files are out of reach.

        A host name that is unknown for 10 s in a row counts as wrong. ``within``: the table and
        partition whose files are examined where damaged bytes may be the reason: a retry does not
        help then.
        """
        lost = failures(self._properties)
        began = time.monotonic()
        until = began + (self._shorter_patience if patience is None else patience)
        unknown: float | None = None  # since when the host's name is
        attempt = 1
        while True:
            try:
                return once(attempt)
            except Exception as error:
                self._refuse_damage(what, error, within)
                if not isinstance(error, lost):
                    raise
                now, kind = time.monotonic(), failure_kind(error)
                unknown = (unknown or now) if kind == "unknown" else None
                waits = kind in {"busy", "away", "unknown"}
                if not waits or now > until or (unknown and now > unknown + _NAME_PATIENCE):
                    raise self._given_up(what, attempt, began, error) from None
            ceiling = min(_LONGEST_WAIT, 0.02 * 2**attempt)
            self._sleep(random.uniform(0, ceiling))  # noqa: S311  jitter is no secret
            attempt += 1

    def _refuse_damage(
        self, what: str, error: Exception, within: tuple[Table, Mapping[str, Any] | None] | None
    ) -> None:
        """Raise ``LakeDamaged`` where ``error`` was caused by a file that cannot be read."""
        if within is None or not may_be_damage(error):
            return
        found = find_damage(self.catalog, *within)
        if found is not None:
            raise self._damaged(what, found) from None

    def damage(self, table: Table, what: str = "") -> LakeDamaged | None:
        """The error naming a file of ``table`` that cannot be read; None where all can."""
        found = find_damage(self.catalog, table)
        return None if found is None else self._damaged(what or table.identifier, found)

    def _damaged(self, what: str, found: Damage) -> LakeDamaged:
        if found.gone:
            place = warehouse(self._properties)
            return LakeDamaged(
                f"{what}: a file is gone from {place}: {found.file}", remedy=_RESTORE
            )
        return LakeDamaged(f"{what}: {found.file} is damaged ({found.why})", remedy=_ANEW)

    def _refuse_lost_catalog(self) -> None:
        """Raise ``LakeDamaged`` instead of creating a catalog beside the tables of a lost one."""
        uri = self._properties.get("uri", "")
        if self._given is not None or not uri.startswith("sqlite:"):
            return
        file = Path(file_of(uri))
        if file.exists() and file.stat().st_size:
            return
        if next((file.parent / "warehouse").glob("*/*/metadata/*.metadata.json"), None):
            why = "it has 0 bytes" if file.exists() else "it is gone"
            found = Damage(str(file), f"{why}, the tables beside it are not")
            raise self._damaged(_OPENING, found)

    def _given_up(self, what: str, attempt: int, began: float, error: Exception) -> AurumError:
        if failure_kind(error) == "busy":
            why = reason(error, self._properties)
            return LakeBusy(f"{what}: {attempt} commits in a row lost to other writers ({why})")
        return self.explained(what, error, time.monotonic() - began)

    def explained(self, what: str, error: Exception, seconds: float = 0) -> AurumError:
        """Our error for the ``error`` of a library on ``what``, ``seconds`` after the first.

        Messages of libraries may hold addresses and passwords. ``ConfigError`` where a retry cannot
        help, else ``LakeUnreachable``.
        """
        failure, why = failure_kind(error), reason(error, self._properties)
        place = (warehouse if of_files(error) else described)(self._properties)
        terms = {"what": what, "place": place, "why": why, "also": "", "long": ""}
        terms["variable"] = "AURUM_S3_ENDPOINT" if of_files(error) else "AURUM_CATALOG_URI"
        if of_files(error):
            terms["also"] = ", and at what the credentials may do"
        if seconds:
            terms["long"] = f" for {seconds:.0f} s"
        kind, sentence, remedy = _SENTENCES.get(failure, _SENTENCES["away"])
        return kind(sentence.format_map(terms), remedy=remedy.format_map(terms))

    def _table(self, table: Table) -> "IcebergTable":
        from pyiceberg.exceptions import NoSuchTableError

        try:
            found = self.catalog.load_table(table.identifier)
        except NoSuchTableError:
            found = self._create(table)
        return evolved(found, table, iceberg_schema(table))

    def _create(self, table: Table) -> "IcebergTable":
        self.catalog.create_namespace_if_not_exists(table.namespace)
        schema = iceberg_schema(table)
        return self.catalog.create_table_if_not_exists(
            table.identifier,
            schema=schema,
            partition_spec=_partition_spec(table, schema),
            sort_order=_sort_order(table, schema),
            properties={**_PROPERTIES, "comment": table.doc},
        )


# What is wrong, and what to do.
_SENTENCES: dict[str, tuple[type[AurumError], str, str]] = {
    "refused": (
        ConfigError,
        "{what}: {place} refuses us: {why}",
        "look at AURUM_CATALOG_*{also}",
    ),
    "unknown": (
        HostUnknown,
        "{what}: the name of the host of {place} is not known here",
        "check {variable}, or this machine's DNS; what was archived is kept",
    ),
    "missing": (LakeDamaged, "{what}: a file is gone from {place}: {why}", _RESTORE),
    "damaged": (LakeDamaged, "{what}: {place} is damaged ({why})", _ANEW),
    "disk": (
        LakeUnreachable,
        "{what}: the disk of {place} cannot be read or written ({why})",
        "look at the disk; what was archived is kept, ask again once it works",
    ),
    "closed": (
        ConfigError,
        "{what}: {place} cannot be opened or written ({why})",
        (
            "make its folder and files writable by this user, or set AURUM_HOME "
            "(AURUM_CATALOG_WAREHOUSE) elsewhere"
        ),
    ),
    "full": (
        LakeUnreachable,
        "{what}: no space is left for {place} ({why}): nothing of this was stored",
        "what was archived is kept, make room and ask again",
    ),
    "away": (
        LakeUnreachable,
        "{what}: {place} was out of reach{long} ({why})",
        "what was archived is kept, ask again once it is back",
    ),
}


def _made(root: Path) -> Path:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or error
        msg = f"{root} cannot be made ({why}); set AURUM_HOME to a folder that can"
        raise ConfigError(msg) from error
    return root


def _exists(catalog: "Catalog", table: Table, _: int) -> bool:
    from pyiceberg.exceptions import NoSuchTableError

    try:
        catalog.load_table(table.identifier)
    except NoSuchTableError:
        return False
    return True


# --- reading and writing -------------------------------------------------------------------------


def _rows(
    found: "IcebergTable",
    table: Table,
    partition: Mapping[str, Any],
    columns: tuple[str, ...],
    tasks: "Sequence[FileScanTask]",
) -> pl.DataFrame:
    """``columns`` of the rows in the files ``tasks``, planned for ``partition``."""
    from pyiceberg.io.pyarrow import ArrowScan

    schema = {name: table.schema[name] for name in columns}
    if not tasks:
        return pl.DataFrame(schema=schema)
    absent = {column.name for column in missing(found, table)}
    projected = found.schema().select(*(n for n in columns if n not in absent))
    arrow = ArrowScan(found.metadata, found.io, projected, _where(partition)).to_table(tasks)
    return pl.DataFrame(arrow).select(
        pl.lit(None, t).alias(n) if n in absent else pl.col(n).cast(t) for n, t in schema.items()
    )


def _count(tasks: "Sequence[FileScanTask]") -> int:
    return sum(task.file.record_count for task in tasks)


def _summary(found: "IcebergTable", over: str, files: Sequence[Held]) -> TableSummary:
    snapshot = found.current_snapshot()
    first, last = _bounds(found, over, files)
    return TableSummary(
        rows=sum(held.rows for held in files),
        days=len({held.partition.get(DAY) for held in files}),
        files=len(files),
        first=first,
        last=last,
        last_commit=changed_at(snapshot) if snapshot else None,
        snapshot=snapshot.snapshot_id if snapshot else None,
    )


def _bounds(
    found: "IcebergTable", name: str, files: Iterable[Held]
) -> tuple[dt.datetime | None, dt.datetime | None]:
    """The first and the last instant of the column ``name``; None, None where it has none."""
    from pyiceberg.conversions import from_bytes
    from pyiceberg.types import TimestamptzType

    if name not in found.schema().column_names:
        return None, None
    number = found.schema().find_field(name).field_id
    known = [bound[number] for h in files for bound in (h.lower, h.upper) if number in bound]
    instants = [int(from_bytes(TimestamptzType(), bound)) for bound in known]
    if not instants:
        return None, None
    epoch = dt.datetime.fromtimestamp(0, dt.UTC)
    first, last = (dt.timedelta(microseconds=n) for n in (min(instants), max(instants)))
    return epoch + first, epoch + last


def _volumes(
    found: "IcebergTable", table: Table, files: Iterable[Held]
) -> dict[dt.date, tuple[int, int]]:
    number = found.schema().find_field("finality").field_id if "finality" in table.names else -1
    rows: Counter[dt.date] = Counter()
    finalities: defaultdict[dt.date, set[bytes]] = defaultdict(set)
    for held in files:
        rows[held.day] += held.rows
        finalities[held.day] |= {b[number] for b in (held.lower, held.upper) if number in b}
    return {day: (rows[day], max(len(finalities[day]), 1)) for day in sorted(rows)}


def _superseded(table: Table, held: pl.DataFrame, by: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``held`` that ``by`` replaces, in the columns of the history."""
    since = by.select(*table.key, pl.col(table.known_by[0]).alias(SUPERSEDED_AT.name))
    return held.join(since, on=table.key, how="inner").select(table.history.names)


def _may_hold(found: "IcebergTable", file: "DataFile", frame: pl.DataFrame) -> bool:
    """Whether the file's intervals overlap with those of ``frame``, by its bounds."""
    from pyiceberg.conversions import from_bytes
    from pyiceberg.types import TimestamptzType

    if "interval_start" not in frame.columns:
        return True
    number = found.schema().find_field("interval_start").field_id
    low, high = (
        bounds.get(number) if bounds else None for bounds in (file.lower_bounds, file.upper_bounds)
    )
    if low is None or high is None:
        return True
    stamps = frame["interval_start"].cast(pl.Int64)
    first, last = (from_bytes(TimestamptzType(), bound) for bound in (low, high))
    return bool(((stamps >= first) & (stamps <= last)).any())


@cache
def _transaction_class() -> "type[Transaction]":
    """A transaction class that computes its metadata once a change, not at each of 17 reads.

    pyiceberg 0.12 copies all metadata deeply each time: half of what a small commit cost.
    """
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata

    class RememberingTransaction(Transaction):
        _seen: tuple[object, TableMetadata] | None = None

        @property
        def table_metadata(self) -> TableMetadata:
            if self._seen is None or self._seen[0] is not self._updates:
                self._seen = (self._updates, super().table_metadata)
            return self._seen[1]

    return RememberingTransaction


def _written(
    found: "IcebergTable", table: Table, frame: pl.DataFrame, commit: UUID
) -> "Iterable[DataFile]":
    """Write ``frame``, which holds one partition, as one file.

    ``Transaction.append`` looks for the partitions of the rows first, which took 0.4 s of a day of
    345,600; here they are known.
    """
    from pyiceberg.io.pyarrow import schema_to_pyarrow, write_file
    from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
    from pyiceberg.table import WriteTask

    if frame.is_empty():
        return ()
    schema, spec = found.schema(), found.spec()
    unknown = [name for name in schema.column_names if name not in table.schema]
    if unknown:  # writing nulls would erase what a newer version wrote
        msg = (
            f"{table.identifier} has the column {unknown[0]}, which this version of the code does "
            "not know: upgrade it; what was archived is kept"
        )
        raise ConfigError(msg)
    partition = _partition_of(table, frame)
    values = [PartitionFieldValue(field, partition[field.name]) for field in spec.fields]
    try:
        arrow = frame.select(schema.column_names).to_arrow()
        arrow = arrow.cast(schema_to_pyarrow(schema, include_field_ids=False))
    except (ValueError, pl.exceptions.PolarsError) as error:
        msg = f"{table.identifier}: the frame does not fit the table: {error}"
        raise ContractBroken(msg) from error
    task = WriteTask(
        write_uuid=commit,
        task_id=0,
        schema=schema,
        record_batches=arrow.to_batches(),
        partition_key=PartitionKey(values, spec, schema),
    )
    return write_file(found.io, found.metadata, iter([task]))


def _files_of(
    found: "IcebergTable", table: Table, frame: pl.DataFrame, commit: UUID
) -> "list[DataFile]":
    """The files that ``_written`` writes, as a plan would give them."""
    files = list(_written(found, table, frame, commit))
    for file in files:
        file.spec_id = found.spec().spec_id
    return files


def _held_files(
    found: "IcebergTable", partitions: "Sequence[Mapping[str, Any]]"
) -> "defaultdict[frozenset[tuple[str, Any]], list[DataFile]]":
    """The files of each of ``partitions``, of a table that is partitioned by operating day."""
    held: defaultdict[frozenset[tuple[str, Any]], list[DataFile]] = defaultdict(list)
    for partition, tasks in _held_tasks(found, partitions).items():
        held[partition] = [task.file for task in tasks]
    return held


def _held_tasks(
    found: "IcebergTable", partitions: "Sequence[Mapping[str, Any]]"
) -> "defaultdict[frozenset[tuple[str, Any]], list[FileScanTask]]":
    """What is to be read of each of ``partitions``, as ``_held_files``."""
    days = [partition[DAY] for partition in partitions]
    others = _where({name: value for name, value in partitions[0].items() if name != DAY})
    where = _expressions().And(others, days_between(min(days), max(days)))
    wanted = {frozenset(partition.items()) for partition in partitions}
    held: defaultdict[frozenset[tuple[str, Any]], list[FileScanTask]] = defaultdict(list)
    for task in found.scan(row_filter=where).plan_files():
        partition = frozenset(partition_of(found, task.file))
        if partition in wanted:
            held[partition].append(task)
    return held


# --- schemas and filters -------------------------------------------------------------------------


def iceberg_schema(table: Table) -> "Schema":
    """The Iceberg schema of a table: stable field ids, documentation with units."""
    from pyiceberg import types as t
    from pyiceberg.schema import Schema

    simple = {
        pl.Date: t.DateType(),
        pl.Datetime: t.TimestamptzType(),
        pl.String: t.StringType(),
        pl.Float64: t.DoubleType(),
        pl.Int64: t.LongType(),
        pl.Boolean: t.BooleanType(),
    }
    return Schema(
        *(
            t.NestedField(
                field_id=number,
                name=column.name,
                field_type=simple[type(column.dtype)],
                required=not column.nullable,
                doc=column.described,
            )
            for number, column in enumerate(table.columns, start=1)
        )
    )


def _partition_spec(table: Table, schema: "Schema") -> Any:  # noqa: ANN401  lazily imported
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.transforms import IdentityTransform

    return PartitionSpec(
        *(
            PartitionField(schema.find_field(n).field_id, 1000 + i, IdentityTransform(), n)
            for i, n in enumerate(table.partition)
        )
    )


def _sort_order(table: Table, schema: "Schema") -> Any:  # noqa: ANN401  lazily imported
    from pyiceberg.table.sorting import SortField, SortOrder
    from pyiceberg.transforms import IdentityTransform

    return SortOrder(
        *(
            SortField(source_id=schema.find_field(n).field_id, transform=IdentityTransform())
            for n in table.order
        )
    )


def _partition_of(table: Table, frame: pl.DataFrame) -> dict[str, Any]:
    values = frame.select(table.partition).unique()
    if len(values) != 1:
        msg = f"{table.identifier}: a merge takes one partition, this frame holds {len(values)}"
        raise ContractBroken(msg)
    return values.row(0, named=True)


def _expressions() -> Any:  # noqa: ANN401  pydantic models with their own constructors: mypy needs a plugin
    from pyiceberg import expressions

    return expressions


def days_between(first: dt.date, last: dt.date) -> "BooleanExpression":
    """The filter of the operating days from ``first`` to ``last``, both included."""
    e = _expressions()
    found: BooleanExpression = e.And(
        e.GreaterThanOrEqual(DAY, first.isoformat()), e.LessThanOrEqual(DAY, last.isoformat())
    )
    return found


def _where(partition: Mapping[str, Any]) -> "BooleanExpression":
    e = _expressions()
    found: BooleanExpression = e.AlwaysTrue()
    for name, value in partition.items():
        text = value.isoformat() if isinstance(value, dt.date) else value
        found = e.And(found, e.EqualTo(name, text))
    return found
