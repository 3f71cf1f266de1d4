"""Purge Dagster's own storage: old runs, their events, files and logs.

A five-minute run leaves some 600 kB: a SQLite file of its own, its events in the index, rows of
checks. What the UI shows of a partition must stay right, so a run of any age is kept that has the
latest materialization or attempt of an asset and partition, or the latest result of a check. Runs
that are not finished, or whose backfill is not, are kept as well. So a day keeps the last run of
each job, and the other 287 of a five-minute one are deleted.

A kept run that succeeded loses its log (messages, outputs, what it printed, second copies of check
results); the run, its steps, its materializations and its check results stay.

``instance.delete_run`` is not used: it removes the run before its events (a kill in between leaves
orphaned events), leaves the rows of checks and the run's file, and takes a transaction and a schema
look-up for each run. Here events are deleted first, then the run, then its files, so that a killed
pass is completed by the next one. A run that is not the latest never becomes so again: runs and
daemon may work meanwhile.

Tables and columns are named here as in Dagster's migrations, and its storages are recognized by
their methods: nothing is imported from its private modules. ``requirements.lock`` pins its
version, and the tests read what is left by its public interface.
"""

import datetime as dt
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable
from uuid import UUID

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from aurum_assets.model.errors import ConfigError, StoreUnavailable
from aurum_assets.resources.stores import shrink

RUNLESS_RUN_ID, INDEX_SHARD_NAME = "", "index"  # as Dagster calls the files of both
Events = sa.table(
    "event_logs",
    *(sa.column(n, sa.String) for n in ("run_id", "dagster_event_type", "asset_key", "partition")),
    sa.column("id", sa.BigInteger),
    sa.column("timestamp", sa.DateTime),
)
Checks = sa.table(
    "asset_check_executions",
    *(sa.column(n, sa.String) for n in ("run_id", "asset_key", "check_name", "partition")),
    sa.column("execution_status", sa.String),
    sa.column("id", sa.BigInteger),
    sa.column("create_timestamp", sa.DateTime),
)
Runs = sa.table(
    "runs",
    *(sa.column(n, sa.String) for n in ("run_id", "status", "backfill_id")),
    sa.column("id", sa.BigInteger),
    sa.column("create_timestamp", sa.DateTime),
    sa.column("end_time", sa.Float),
)
Backfills = sa.table("bulk_actions", sa.column("key", sa.String), sa.column("status", sa.String))

BATCH = 100  # runs of one transaction: it blocks others for about 0.1 s
_FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
_OVER = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
_EVALUATED = ("SUCCEEDED", "FAILED")
_OF_PARTITIONS = (
    "ASSET_MATERIALIZATION",
    "ASSET_MATERIALIZATION_PLANNED",
    "ASSET_OBSERVATION",
    "ASSET_FAILED_TO_MATERIALIZE",
)
_ENDS = ("", "-wal", "-shm")  # of the names of a SQLite file
_LOG = (  # of an old run that succeeded; results of checks have a table of their own
    *("ASSET_CHECK_EVALUATION", "ASSET_CHECK_EVALUATION_PLANNED", "ENGINE_EVENT", "LOGS_CAPTURED"),
    *("RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS", "STEP_INPUT", "LOADED_INPUT"),
    *("STEP_OUTPUT", "HANDLED_OUTPUT"),
)
_MARK = _LOG[:2]  # deleted from the index last: a run without these has lost its log
_RUNLESS = ("ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "FRESHNESS_STATE_CHANGE")
_ORPHANED_SECONDS = 86_400.0  # a file without a stored run may belong to one that is being created

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Purged:
    """What a purge did, or would do.

    ``runs`` purged; old runs ``kept``, some of them ``trimmed`` of their log; runs ``left`` to the
    next pass; ``files`` and ``bytes`` freed on disk (SQLite only: Postgres reuses its space).
    """

    runs: int = 0
    kept: int = 0
    trimmed: int = 0
    left: int = 0
    files: int = 0
    bytes: int = 0


def purge(
    instance: dg.DagsterInstance,
    before: dt.datetime,
    *,
    dry_run: bool = False,
    limit: int | None = None,
    progress: Progress = lambda _: None,
) -> Purged:
    """Purge the runs that ended before an instant (UTC), at most ``limit`` of them, oldest first.

    Raises ``StoreUnavailable`` where the storage is out of reach, ``ConfigError`` where it does not
    hold runs and events in SQL.
    """
    events, runs = instance.event_log_storage, instance.run_storage
    if not isinstance(events, EventsInSql) or not isinstance(runs, RunsInSql):
        msg = f"Dagster's storage {type(events).__name__} is not one that can be purged from here"
        raise ConfigError(msg)
    try:
        return _Pass(instance, events, runs, before).purged(
            dry_run=dry_run, limit=limit, progress=progress
        )
    except (SQLAlchemyError, OSError) as error:
        what = type(error.__cause__ or error).__name__  # its text may hold an address
        msg = f"Dagster's storage cannot be purged now ({what}): the next pass goes on"
        raise StoreUnavailable(msg) from error


@runtime_checkable
class EventsInSql(Protocol):
    """A storage of events whose index is a SQL database."""

    def index_connection(self) -> AbstractContextManager[sa.Connection]:
        """A connection to the database of all events, within a transaction."""

    def delete_events_for_run(self, conn: sa.Connection, run_id: str) -> None:
        """Delete the events of one run."""


@runtime_checkable
class EventsInFiles(EventsInSql, Protocol):
    """Event storage that keeps the events of each run in a SQLite file, too."""

    def path_for_shard(self, run_id: str) -> str:
        """The file of one run."""

    def run_connection(self, run_id: str) -> AbstractContextManager[sa.Connection]:
        """A connection to the file of one run."""

    def has_table(self, table_name: str) -> bool:
        """Whether the database of all events has a table."""

    def get_all_run_ids(self) -> Sequence[str]:
        """The runs that have a file."""


@runtime_checkable
class RunsInSql(Protocol):
    """A storage of runs that is a SQL database."""

    def connect(self) -> AbstractContextManager[sa.Connection]:
        """A connection to the database of runs, within a transaction."""

    def delete_run(self, run_id: str) -> None:
        """Delete one run."""


@dataclass(frozen=True)
class _Pass:
    """One pass over one instance."""

    instance: dg.DagsterInstance
    events: EventsInSql
    runs: RunsInSql
    before: dt.datetime

    def purged(self, *, dry_run: bool, limit: int | None, progress: Progress) -> Purged:
        progress("Dagster: looking for runs that nothing needs")
        old, needed = self._old_runs(), self._needed()
        gone = [run for run in old if run not in needed]
        chosen, orphans = gone[:limit], self._orphans()
        long = self._with_log([run for run in old if run in needed])[:limit]
        files = sum(1 for run in (*chosen, *orphans) for _ in self._files(run))
        bytes_ = sum(_size(self._files(run)) for run in (*chosen, *orphans))
        if not dry_run:
            before = _size(self._databases())
            self._remove(chosen, orphans, progress)
            bytes_ += self._trim(long, progress)
            self._shrink()
            bytes_ += before - _size(self._databases())
        kept, left = len(old) - len(gone), len(gone) - len(chosen)
        return Purged(len(chosen), kept, len(long), left, files, max(0, bytes_))

    def _remove(self, runs: Sequence[str], orphans: Sequence[str], progress: Progress) -> None:
        checks = self._checks() if runs else []
        for start in range(0, len(runs), BATCH):
            progress(f"Dagster: {start:,} of {len(runs):,} old runs are purged")
            self._purge(runs[start : start + BATCH], checks)
        for run in orphans:
            self._remove_files(run)
        self._forget_runless()

    def _trim(self, runs: Sequence[str], progress: Progress) -> int:
        """Remove the logs of runs that stay; returns the bytes freed."""
        mark = sa.or_(Events.c.dagster_event_type.is_(None), Events.c.dagster_event_type.in_(_LOG))
        freed = 0
        for n, run in enumerate(runs):
            if n % BATCH == 0:
                progress(f"Dagster: {n:,} of {len(runs):,} runs that stay lose their logs")
            freed += _size(self._files(run))
            log_of = sa.delete(Events).where(Events.c.run_id == run, mark)
            self._remove_printed(run)
            if isinstance(self.events, EventsInFiles):
                with self.events.run_connection(run) as db:
                    db.execute(log_of)
                shrink(Path(self.events.path_for_shard(run)), worth=1)
            with self.events.index_connection() as db:
                db.execute(log_of)
            freed -= _size(self._files(run))
        return freed

    def _shrink(self) -> None:
        for file in self._databases():
            shrink(file)

    # --- what is there -----------------------------------------------------------------------

    def _old_runs(self) -> list[str]:
        """The finished runs that began and ended before the instant, oldest first."""
        began = self.before.astimezone(dt.UTC).replace(tzinfo=None)  # as Dagster stores it
        under_way = sa.select(Backfills.c.key).where(Backfills.c.status.not_in(_OVER))
        query = (
            sa.select(Runs.c.run_id)
            .where(Runs.c.status.in_(_FINISHED))
            .where(Runs.c.create_timestamp < began)
            .where(sa.or_(Runs.c.end_time.is_(None), Runs.c.end_time < self.before.timestamp()))
            .where(sa.or_(Runs.c.backfill_id.is_(None), Runs.c.backfill_id.not_in(under_way)))
            .order_by(Runs.c.id)
        )
        with self.runs.connect() as db:
            return [str(run) for (run,) in db.execute(query)]

    def _needed(self) -> set[str]:
        """The runs with the latest event of an asset, check or partition."""
        of_events = (
            sa.select(sa.func.max(Events.c.id))
            .where(Events.c.asset_key.is_not(None))
            .where(Events.c.dagster_event_type.in_(_OF_PARTITIONS))
            .group_by(Events.c.asset_key, Events.c.dagster_event_type, Events.c.partition)
        )
        evaluated = sa.case((Checks.c.execution_status.in_(_EVALUATED), Checks.c.id))
        check = (Checks.c.asset_key, Checks.c.check_name, Checks.c.partition)
        of_checks = [
            sa.select(sa.func.max(number)).group_by(*check) for number in (Checks.c.id, evaluated)
        ]
        queries = [sa.select(Events.c.run_id).where(Events.c.id.in_(of_events))]
        queries += [sa.select(Checks.c.run_id).where(Checks.c.id.in_(ids)) for ids in of_checks]
        with self.events.index_connection() as db:
            return {str(run) for query in queries for (run,) in db.execute(query)}

    def _with_log(self, runs: Sequence[str]) -> list[str]:
        """Those of ``runs`` that succeeded and have a log."""
        found: list[str] = []
        for start in range(0, len(runs), BATCH):
            some = runs[start : start + BATCH]
            good = sa.select(Runs.c.run_id).where(
                Runs.c.run_id.in_(some), Runs.c.status == "SUCCESS"
            )
            with self.runs.connect() as db:
                succeeded = [str(run) for (run,) in db.execute(good)]
            marked = sa.select(Events.c.run_id).distinct()
            marked = marked.where(
                Events.c.run_id.in_(succeeded), Events.c.dagster_event_type.in_(_MARK)
            )
            with self.events.index_connection() as db:
                found += [str(run) for (run,) in db.execute(marked)]
        return found

    def _checks(self) -> list[tuple[str, str]]:
        """Asset and name of each check, by which an index finds the rows of a run."""
        with self.events.index_connection() as db:
            found = db.execute(sa.select(Checks.c.asset_key, Checks.c.check_name).distinct())
            return [(str(asset), str(name)) for asset, name in found]

    def _files(self, run: str) -> Iterator[Path]:
        """The files of one run: its events, where these have a file, and what it printed."""
        if isinstance(self.events, EventsInFiles):
            shard = self.events.path_for_shard(run)
            yield from (Path(shard + end) for end in _ENDS if Path(shard + end).exists())
        yield from (file for file in self._printed(run).rglob("*") if file.is_file())

    def _printed(self, run: str) -> Path:
        return Path(self.instance.storage_directory()) / run

    def _orphans(self) -> list[str]:
        """Runs that left files but are not stored: deleted in the UI, for instance."""
        if not isinstance(self.events, EventsInFiles):
            return []
        names = set(self.events.get_all_run_ids()) - {RUNLESS_RUN_ID}
        with suppress(FileNotFoundError):
            names |= {entry.name for entry in os.scandir(self.instance.storage_directory())}
        with self.runs.connect() as db:
            stored = {str(run) for (run,) in db.execute(sa.select(Runs.c.run_id))}
        return [name for name in sorted(names - stored) if _is_run(name) and self._is_old(name)]

    def _is_old(self, run: str) -> bool:
        """Whether the files of a run are old: a new run may not be stored yet."""
        changed = [file.stat().st_mtime for file in self._files(run)]
        return time.time() - max(changed, default=0.0) > _ORPHANED_SECONDS

    def _databases(self) -> list[Path]:
        """The files that all runs share."""
        if not isinstance(self.events, EventsInFiles):
            return []
        index = Path(self.events.path_for_shard(INDEX_SHARD_NAME))
        history = index.parents[1]
        schedules = history.parent / "schedules" / "schedules.db"
        runless = Path(self.events.path_for_shard(RUNLESS_RUN_ID))
        found = (index, history / "runs.db", schedules, runless)
        return [file for file in found if file.exists()]

    # --- what goes ---------------------------------------------------------------------------

    def _purge(self, runs: Sequence[str], checks: Sequence[tuple[str, str]]) -> None:
        """Purge some runs: events first, then the run, then its files."""
        with self.events.index_connection() as db:
            for asset, name in checks:
                is_check = sa.and_(Checks.c.asset_key == asset, Checks.c.check_name == name)
                db.execute(sa.delete(Checks).where(is_check, Checks.c.run_id.in_(runs)))
            for run in runs:
                self.events.delete_events_for_run(db, run)
        if isinstance(self.events, EventsInFiles):
            with self.events.index_connection() as db:
                db.execute(sa.text("PRAGMA wal_checkpoint"))  # on the disk, before the run goes
        for run in runs:
            self.runs.delete_run(run)
            self._remove_files(run)

    def _remove_files(self, run: str) -> None:
        self._remove_printed(run)
        for file in list(self._files(run)):
            file.unlink(missing_ok=True)

    def _remove_printed(self, run: str) -> None:
        if _is_run(run):  # an empty prefix would delete all
            self.instance.compute_log_manager.delete_logs(prefix=[run])

    def _forget_runless(self) -> None:
        """Events that belong to no run (freshness, what ``watch`` reports, a person's): the last of
        each asset and partition is kept, and the last result of each check.
        """
        kind = sa.and_(Events.c.run_id == RUNLESS_RUN_ID, Events.c.dagster_event_type.in_(_RUNLESS))
        of = (Events.c.asset_key, Events.c.dagster_event_type, Events.c.partition)
        latest = sa.select(sa.func.max(Events.c.id)).where(kind, of[0].is_not(None)).group_by(*of)
        check = (Checks.c.asset_key, Checks.c.check_name, Checks.c.partition)
        results = sa.select(sa.func.max(Checks.c.id)).group_by(*check)
        before = self.before.astimezone(dt.UTC).replace(tzinfo=None)
        events = sa.delete(Events).where(kind, Events.c.timestamp < before)
        checks = sa.delete(Checks).where(
            Checks.c.run_id == RUNLESS_RUN_ID, Checks.c.create_timestamp < before
        )
        with self.events.index_connection() as db:
            kept = [number for (number,) in db.execute(latest)]
            db.execute(events.where(Events.c.id.not_in(kept)))
            kept = [number for (number,) in db.execute(results.where(Checks.c.partition.is_(None)))]
            db.execute(checks.where(Checks.c.partition.is_(None), Checks.c.id.not_in(kept)))
        if isinstance(self.events, EventsInFiles):  # there, they lie in a file too
            if not Path(self.events.path_for_shard(RUNLESS_RUN_ID)).exists():
                return
            with self.events.run_connection(RUNLESS_RUN_ID) as db:
                db.execute(events)


def _is_run(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _size(files: Iterable[Path]) -> int:
    found = 0
    for file in files:
        with suppress(FileNotFoundError):
            found += file.stat().st_size
    return found
