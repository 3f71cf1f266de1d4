"""A run keeps its connections to Dagster's storage, and leaves what it would have left without."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from aurum_assets.graph import kept
from aurum_assets.graph.kept import close_connections, kept_connections
from aurum_assets.graph.purge import EventsInSql, RunsInSql
from aurum_assets.graph.resources import RuntimeResource
from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests.servers.postgres import Postgres

TIMES = 30
RUNTIME = RuntimeResource(config_folder=str(PROJECT / "config"))


@dg.asset(required_resource_keys={"runtime"})
def looks(context: dg.AssetExecutionContext) -> None:
    for number in range(TIMES):
        context.log_event(dg.AssetObservation("looks", metadata={"number": number}))


@contextmanager
def counted() -> Iterator[list[str]]:
    """The databases that are connected to within the block, once for each connection."""
    opened: list[str] = []

    def note(connection: object, record: object) -> None:
        del record
        opened.append(type(connection).__module__)

    sa.event.listen(sa.pool.Pool, "connect", note)
    try:
        yield opened
    finally:
        sa.event.remove(sa.pool.Pool, "connect", note)


def executed(instance: dg.DagsterInstance, runtime: object = RUNTIME) -> dg.ExecuteInProcessResult:
    return dg.materialize([looks], instance=instance, resources={"runtime": runtime})


def numbers(instance: dg.DagsterInstance) -> list[object]:
    """What the storage has of the observations, by its public interface, newest first."""
    found = instance.fetch_observations(looks.key, limit=TIMES).records
    return [r.asset_observation.metadata["number"].value for r in found if r.asset_observation]


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def test_a_run_opens_few_connections_and_stores_the_same(sqlite: dg.DagsterInstance) -> None:
    plain = dg.ResourceDefinition.hardcoded_resource(None)
    with counted() as before:
        first = executed(sqlite, plain)
    assert numbers(sqlite) == list(reversed(range(TIMES)))
    with counted() as kept:
        second = executed(sqlite)
    assert numbers(sqlite) == list(reversed(range(TIMES)))
    assert len(before) > 2 * TIMES > len(kept)
    events = [[e.event_type_value for e in result.all_events] for result in (first, second)]
    assert events[0] == events[1]
    stored = [len(sqlite.all_logs(result.run_id)) for result in (first, second)]
    assert stored[0] == stored[1] > TIMES


def test_after_the_run_nothing_is_kept(sqlite: dg.DagsterInstance) -> None:
    run_id = executed(sqlite).run_id
    for storage in (sqlite.event_log_storage, sqlite.run_storage):
        assert not {"run_connection", "index_connection", "connect", "has_table"} & set(
            vars(storage)
        )
    with counted() as opened:
        assert sqlite.all_logs(run_id)
        assert sqlite.all_logs(run_id)
    assert len(opened) == 2


def test_the_files_of_other_runs_are_not_kept_open(sqlite: dg.DagsterInstance) -> None:
    other, own = executed(sqlite).run_id, executed(sqlite).run_id
    with kept_connections(sqlite, own), counted() as opened:
        for _ in range(3):
            sqlite.all_logs(own)
        assert len(opened) == 1
        for _ in range(3):
            sqlite.all_logs(other)
        assert len(opened) == 4


def test_whether_a_table_is_there_is_asked_once_for_all_checks_of_a_run(
    sqlite: dg.DagsterInstance,
) -> None:
    @dg.asset(required_resource_keys={"runtime"})
    def checked(context: dg.AssetExecutionContext) -> None:
        for number in range(TIMES):
            done = dg.AssetCheckEvaluation(context.asset_key, f"check_{number}", passed=True)
            context.log_event(done)

    opened = []
    for runtime in (dg.ResourceDefinition.hardcoded_resource(None), RUNTIME):
        with counted() as connections:
            dg.materialize([checked], instance=sqlite, resources={"runtime": runtime})
        opened.append(len(connections))
    assert opened[0] > 4 * TIMES
    assert opened[1] < 2 * TIMES  # 40 are of the run without its checks
    keys = [dg.AssetCheckKey(checked.key, f"check_{n}") for n in range(TIMES)]
    assert len(sqlite.event_log_storage.get_latest_asset_check_execution_by_key(keys)) == TIMES


def test_the_file_of_the_next_new_run_is_that_of_the_first_without_its_events(
    sqlite: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_empty", [])
    job = dg.Definitions([looks], jobs=[dg.define_asset_job("look")], resources={"runtime": None})
    made, stored = [], []
    for run_id in (str(uuid.uuid4()), str(uuid.uuid4())):
        with counted() as opened, kept_connections(sqlite, run_id):
            made.append(len(opened))
            job.resolve_job_def("look").execute_in_process(instance=sqlite, run_id=run_id)
        stored.append(len(sqlite.all_logs(run_id)))
    assert made[0] > made[1]
    assert stored[0] == stored[1] > TIMES
    folder = Path(sqlite.root_directory) / "history" / "runs"
    assert len(list(folder.glob("*.db"))) == 3  # with the index
    tables = []
    for file in folder.glob("*-*.db"):
        with contextlib.closing(sqlite3.connect(file)) as db:
            assert db.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            tables.append(sorted(db.execute("SELECT type, name, sql FROM sqlite_schema")))
    assert tables[0] == tables[1]


def test_no_event_waits_for_the_disk_where_the_file_has_a_write_ahead_log(
    sqlite: dg.DagsterInstance,
) -> None:
    events, runs = sqlite.event_log_storage, sqlite.run_storage
    assert isinstance(events, EventsInSql)
    assert isinstance(runs, RunsInSql)

    def waits() -> list[str]:
        found = []
        for opened in (events.index_connection, runs.connect):
            with opened() as connection:
                mode = connection.scalar(sa.text("PRAGMA journal_mode"))
                found.append(f"{mode} {connection.scalar(sa.text('PRAGMA synchronous'))}")
        return found

    before = waits()
    with kept_connections(sqlite, str(uuid.uuid4())):
        within = waits()
    assert before == waits() == ["wal 2", "wal 2"]
    assert within == ["wal 1", "wal 1"]
    path = Path(sqlite.root_directory) / "history" / "runs" / "index.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    with kept_connections(sqlite, str(uuid.uuid4())):
        assert waits() == ["delete 2", "wal 1"]


@pytest.mark.slow
def test_a_kill_takes_no_event_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    run_id = str(uuid.uuid4())
    script = f"""
import os, signal
import dagster as dg
from aurum_assets.graph.kept import kept_connections

@dg.op
def works(context):
    for number in range({TIMES}):
        context.log_event(dg.AssetObservation("looks", metadata={{"number": number}}))
    os.kill(os.getpid(), signal.SIGKILL)

@dg.job
def job():
    works()

with dg.DagsterInstance.from_config({str(tmp_path)!r}) as instance:
    with kept_connections(instance, {run_id!r}):
        job.execute_in_process(instance=instance, run_id={run_id!r})
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)  # noqa: S603  our own
    assert done.returncode == -signal.SIGKILL
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert numbers(instance) == list(reversed(range(TIMES)))


@pytest.mark.slow
def test_a_run_on_postgres_signs_in_a_few_times_and_the_worker_closes_its_connections(
    tmp_path: Path,
) -> None:
    with Postgres() as server:
        config = {"storage": {"postgres": {"postgres_url": server.database("dagster")}}}
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            with counted() as opened:
                executed(instance)
            assert numbers(instance) == list(reversed(range(TIMES)))
            assert len(opened) < TIMES
            close_connections()
            asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'dagster'"
            assert server.execute(asked) == [(0,)]


@pytest.mark.slow
def test_a_run_outlives_a_restart_of_postgres_between_two_events(tmp_path: Path) -> None:
    with Postgres() as server:
        config = {"storage": {"postgres": {"postgres_url": server.database("dagster")}}}
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))

        @dg.asset
        def restarted() -> None:
            with kept_connections(instance, ""):
                server.kill()
                server.start()

        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            assert dg.materialize([restarted], instance=instance).success
            with kept_connections(instance, ""):
                assert dg.materialize([restarted], instance=instance).success
                assert len(instance.get_runs()) == 2
            close_connections()


@pytest.mark.slow
def test_a_run_that_could_not_write_an_event_is_retried_and_one_that_failed_by_itself_is_not(
    tmp_path: Path,
) -> None:
    with Postgres() as server:
        kept = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
        config = {
            "storage": {"postgres": {"postgres_url": server.database("dagster")}},
            "run_retries": kept["run_retries"],
        }
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))

        @dg.asset(required_resource_keys={"runtime"})
        def loses_its_event() -> None:
            with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
                server.kill()
                try:
                    connection.scalar(sa.select(1))
                finally:
                    server.start()

        @dg.asset(required_resource_keys={"runtime"})
        def fails() -> None:
            msg = "wrong by itself"
            raise ValueError(msg)

        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            for asset, will_retry in ((fails, "false"), (loses_its_event, "true")):
                resources = {"runtime": RUNTIME}
                result = dg.materialize(
                    [asset], instance=instance, resources=resources, raise_on_error=False
                )
                run = instance.get_run_by_id(result.run_id)
                assert run is not None
                assert run.status == dg.DagsterRunStatus.FAILURE
                assert run.tags["dagster/will_retry"] == will_retry
            close_connections()
