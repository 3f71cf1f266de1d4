"""A run keeps its connections to Dagster's storage, and leaves what it would have left without."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from aurum_assets.graph.kept import close_connections, kept_connections
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
        assert not {"run_connection", "index_connection", "connect"} & set(vars(storage))
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
