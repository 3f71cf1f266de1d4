"""Keep the connections to Dagster's storage open during a run.

Dagster opens a connection for each statement or two, and closes it. On SQLite each of them makes a
new engine, which compiles its statements anew and writes the file's log back when it closes; on
Postgres each is a process of the server and a sign-in.

SQLite does not wait for the disk at each event: a power cut may take a run's last events, never the
file, and a kill takes none. What was collected is in the archive, which does wait.

Not here: what is written. Every statement, transaction and table stays Dagster's.
"""

import contextlib
import functools
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from aurum_assets.graph.purge import EventsInFiles, EventsInSql, RunsInSql

Open = Callable[..., AbstractContextManager[sa.Connection]]
_BUSY_SECONDS = 30.0  # as long as Dagster waits for a SQLite file that another process writes
_NO_TIMEOUT, _AN_HOUR, _AS_MANY_AS_NEEDED = 0, 3600, -1
_RETRY_A_STEP = "dagster/retry_on_asset_or_op_failure"
_pooled: weakref.WeakSet[sa.Engine] = weakref.WeakSet()
_empty: list[str] = []  # the SQL of the file of a run without an event


@contextlib.contextmanager
def kept_connections(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Keep connections of the process that executes a run, within the block.

    Those to a server are kept longer, for what ends the run comes after its resources: they are
    closed with the process, or by ``close_connections``.
    """
    events, runs = instance.event_log_storage, instance.run_storage
    if instance.is_ephemeral:  # it is all in this process
        yield
        return
    with contextlib.ExitStack() as stack:
        if isinstance(events, EventsInFiles) and isinstance(runs, RunsInSql):
            _make_file(events, run_id)
            index = _engine_of(events.index_connection).url
            own = index.set(database=events.path_for_shard(run_id))
            for storage, name, url, only in (
                (events, "run_connection", own, (run_id,)),  # a purge opens the files of other runs
                (events, "index_connection", index, ()),
                (runs, "connect", _engine_of(runs.connect).url, ()),
            ):
                stack.enter_context(_kept(storage, name, url, only))
            # Dagster asks before each check, with a new connection.
            stack.enter_context(_instead(events, "has_table", functools.cache(events.has_table)))
        elif isinstance(events, EventsInSql) and isinstance(runs, RunsInSql):
            instance.optimize_for_webserver(_NO_TIMEOUT, _AN_HOUR, _AS_MANY_AS_NEEDED)
            engines = [_engine_of(opened) for opened in (events.index_connection, runs.connect)]
            for engine in engines:
                if engine not in _pooled:
                    sa.event.listen(engine, "engine_connect", _renew)
                    _pooled.add(engine)
            stack.enter_context(_run_again_if_lost(instance, run_id, engines))
        yield


@contextlib.contextmanager
def _run_again_if_lost(
    instance: dg.DagsterInstance, run_id: str, engines: Iterable[sa.Engine]
) -> Iterator[None]:
    """Let the run be retried if it fails and the server was away meanwhile.

    An event that could not be written fails its step, and Dagster would not retry that.
    """
    lost = []

    def note(error: sa.engine.ExceptionContext) -> None:
        if isinstance(error.sqlalchemy_exception, sa.exc.OperationalError):
            lost.append(error)

    for engine in engines:
        sa.event.listen(engine, "handle_error", note)
    try:
        yield
    finally:
        for engine in engines:
            sa.event.remove(engine, "handle_error", note)
        if lost:
            instance.add_run_tags(run_id, {_RETRY_A_STEP: "true"})


def _renew(connection: sa.Connection) -> None:
    """Replace a kept connection that its server has closed; Dagster retries where it is away."""
    try:
        connection.scalar(sa.select(1))
    except sa.exc.DBAPIError as error:
        if not error.connection_invalidated:
            raise
        connection.rollback()
        connection.scalar(sa.select(1))
    connection.rollback()


def close_connections() -> None:
    """Close what this process keeps of a run that has ended."""
    for engine in list(_pooled):
        engine.dispose()


def _engine_of(opened: Open) -> sa.Engine:
    """What ``opened`` connects to; it is there then, and has its tables."""
    with opened() as connection:
        return connection.engine


def _make_file(events: EventsInFiles, run_id: str) -> None:
    """Make the file of a run, if it is not there.

    For each file Dagster reads its migrations, twice: a tenth of a second. So the second one that
    this process makes is made as the first was then, without an event. A kill leaves it to Dagster.
    """
    path = Path(events.path_for_shard(run_id))
    new = not path.exists()
    if new and _empty:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_empty[-1])  # one transaction
        return
    with events.run_connection(run_id):
        pass
    if new:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            _empty.append("\n".join(connection.iterdump()))


@contextlib.contextmanager
def _kept(storage: object, name: str, url: sa.URL, only: tuple[str, ...]) -> Iterator[None]:
    """Method ``name`` gives a connection of an engine that is kept, for the arguments ``only``."""
    opened: Open = getattr(storage, name)
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    sa.event.listen(engine, "connect", _wait_for_no_disk)

    def kept(*arguments: Any, **named: Any) -> AbstractContextManager[sa.Connection]:  # noqa: ANN401  Dagster's
        same = (*arguments, *named.values()) == only
        return engine.begin() if same else opened(*arguments, **named)

    try:
        with _instead(storage, name, kept):
            yield
    finally:
        engine.dispose()


@contextlib.contextmanager
def _instead(storage: object, name: str, function: Callable[..., object]) -> Iterator[None]:
    """Within the block, ``function`` is the method ``name`` of ``storage``."""
    setattr(storage, name, function)
    try:
        yield
    finally:
        delattr(storage, name)


def _wait_for_no_disk(connection: sqlite3.Connection, _: object) -> None:
    """Sync the log when it is written back; a file without a write-ahead log at each commit."""
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous = NORMAL")
