"""Keep the connections to Dagster's storage open during a run.

Dagster opens a connection for each statement or two, and closes it. On SQLite each of them makes a
new engine, which compiles its statements anew and writes the file's log back when it closes; on
Postgres each is a process of the server and a sign-in.

Not here: what is written. Every statement, transaction and table stays Dagster's.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import dagster as dg
import sqlalchemy as sa

from aurum_assets.graph.purge import EventsInFiles, EventsInSql, RunsInSql

Open = Callable[..., AbstractContextManager[sa.Connection]]
_BUSY_SECONDS = 30.0  # as long as Dagster waits for a SQLite file that another process writes
_NO_TIMEOUT, _AN_HOUR, _AS_MANY_AS_NEEDED = 0, 3600, -1
_RETRY_A_STEP = "dagster/retry_on_asset_or_op_failure"
_pooled: weakref.WeakSet[sa.Engine] = weakref.WeakSet()


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
            for storage, name, only in (
                (events, "run_connection", (run_id,)),  # a purge opens the files of other runs
                (events, "index_connection", ()),
                (runs, "connect", ()),
            ):
                stack.enter_context(_kept(storage, name, only))
        elif isinstance(events, EventsInSql) and isinstance(runs, RunsInSql):
            instance.optimize_for_webserver(_NO_TIMEOUT, _AN_HOUR, _AS_MANY_AS_NEEDED)
            engines = []
            for opened in (events.index_connection, runs.connect):
                with opened() as connection:
                    engines.append(connection.engine)
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


@contextlib.contextmanager
def _kept(storage: object, name: str, only: tuple[str, ...]) -> Iterator[None]:
    """Method ``name`` gives a connection of an engine that is kept, for the arguments ``only``."""
    opened: Open = getattr(storage, name)
    with opened(*only) as connection:  # the file is there, and has its tables
        url = connection.engine.url
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    def kept(*arguments: Any, **named: Any) -> AbstractContextManager[sa.Connection]:  # noqa: ANN401  Dagster's
        same = (*arguments, *named.values()) == only
        return engine.begin() if same else opened(*arguments, **named)

    setattr(storage, name, kept)
    try:
        yield
    finally:
        delattr(storage, name)
        engine.dispose()
