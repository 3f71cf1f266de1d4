"""The lake's catalog in a real Postgres: killed, frozen, cut off, not there, and saying no."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from aurum_assets.model.errors import AurumError, ConfigError, LakeBusy, LakeUnreachable
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources import catalog as catalogs
from aurum_assets.resources.composition import Resources, compose
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.settings import Settings, open_resources, specification
from aurum_assets_tests.made import remade
from aurum_assets_tests.proofs.proof import catalog_at, close, lake_at
from aurum_assets_tests.servers.postgres import Postgres
from aurum_assets_tests.servers.severing import Severing
from aurum_assets_tests.test_lake import TABLE, frame, loads

COMMIT = (b"UPDATE iceberg_tables", b"COMMIT")


@pytest.fixture
def lake(tmp_path: Path, postgres_url: str) -> Iterator[Lake]:
    found = lake_at(tmp_path, postgres_url)
    yield found
    close(found)


@pytest.fixture
def severing(postgres: Postgres) -> Iterator[Severing]:
    with Severing(postgres.port) as wire:
        yield wire


def at_the_commit(lake: Lake, happens: Any) -> list[str]:  # noqa: ANN401  whatever it gives back
    """``happens`` once, between the update of the catalog's row and its commit."""
    seen: list[str] = []

    def after(_a: object, _b: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE iceberg_tables") and not seen:
            seen.append(statement)
            happens()

    event.listen(lake.catalog.engine, "after_cursor_execute", after)  # type: ignore[attr-defined]  # SqlCatalog has it
    return seen


def rows_of_another_reader(tmp_path: Path, url: str) -> list[float]:
    other = lake_at(tmp_path, url)
    found = loads(other)
    close(other)
    return found


# --- at the commit -------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [{2: 20.0}, {1: 11.0}], ids=["append", "overwrite"])
def test_a_commit_whose_answer_was_lost_counts_once_and_is_reported_as_what_it_was(
    tmp_path: Path,
    postgres: Postgres,
    postgres_url: str,
    severing: Severing,
    second: dict[int, float],
) -> None:
    lake = lake_at(tmp_path, postgres_url.replace(str(postgres.port), str(severing.port)))
    lake.merge(TABLE, frame({1: 10}))
    severing.cut(*COMMIT)
    merged = lake.merge(TABLE, frame(second, fetch=5))
    assert severing.cuts == 1
    assert (merged.new, merged.changed) == ((1, 0) if 2 in second else (0, 1))
    expected = [v for _, v in sorted(({1: 10.0} | second).items())]
    assert rows_of_another_reader(tmp_path, postgres_url) == expected
    assert len(lake.table(TABLE).metadata.snapshots) == 2
    close(lake)


def test_a_server_killed_in_the_middle_of_a_commit_and_started_again_loses_and_doubles_nothing(
    lake: Lake, tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    lake.merge(TABLE, frame({1: 10}))
    dark = threading.Event()

    def power_cut() -> None:
        postgres.kill()
        dark.set()

    at_the_commit(lake, power_cut)
    with ThreadPoolExecutor(1) as pool:
        merging = pool.submit(lake.merge, TABLE, frame({2: 20}, fetch=5))
        assert dark.wait(30)
        time.sleep(0.3)
        postgres.start()  # by this thread: the server goes with the thread that started it
        merged = merging.result(30)
    assert (merged.new, merged.attempts > 1) == (1, True)
    assert rows_of_another_reader(tmp_path, postgres_url) == [10, 20]


def test_a_connection_killed_at_the_commit_is_no_loss(
    lake: Lake, tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    lake.merge(TABLE, frame({1: 10}))
    at_the_commit(lake, postgres.terminate_backends)
    assert lake.merge(TABLE, frame({1: 11, 2: 20}, fetch=5)).new == 1
    assert rows_of_another_reader(tmp_path, postgres_url) == [11, 20]


def test_connections_killed_between_two_writes_are_opened_again(
    lake: Lake, postgres: Postgres
) -> None:
    lake.merge(TABLE, frame({1: 10}))
    assert postgres.terminate_backends() >= 1
    assert lake.merge(TABLE, frame({2: 20})).attempts == 1
    assert loads(lake) == [10, 20]


def test_where_nobody_can_say_whether_a_commit_landed_its_files_stay(
    tmp_path: Path, postgres_url: str
) -> None:
    """Landed, reported as failed, then the catalog is away: deleting would destroy the table."""
    from pyiceberg.exceptions import CommitFailedException

    properties = catalog_at(tmp_path, postgres_url)
    found = catalogs.open_catalog(properties)
    commit, load = found.commit_table, found.load_table
    away = False

    def lie(*arguments: Any) -> Any:  # noqa: ANN401  as pyiceberg has it
        nonlocal away
        answer = commit(*arguments)
        away = True
        msg = f"reported as failed, although it was made at {answer.metadata_location}"
        raise CommitFailedException(msg)

    def unreachable(identifier: Any) -> Any:  # noqa: ANN401  as pyiceberg has it
        from pyiceberg.exceptions import ServiceUnavailableError

        if away:
            msg = "nobody is here"
            raise ServiceUnavailableError(msg)
        return load(identifier)

    found.load_table = unreachable  # type: ignore[method-assign]
    lake = Lake(properties, catalog=found, patience=0.3)
    lake.table(TABLE)
    found.commit_table = lie  # type: ignore[method-assign, assignment]
    catalogs.guard_commits(found, properties, patience=0.2)
    with pytest.raises(LakeUnreachable, match="isone_system_load: the lake's catalog"):
        lake.merge(TABLE, frame({1: 10}))
    assert rows_of_another_reader(tmp_path, postgres_url) == [10]
    close(lake)


def test_a_landed_commit_is_known_even_after_others_expired_its_snapshot(
    tmp_path: Path, postgres_url: str
) -> None:
    """Its manifests are still the table's: a clean-up would delete them."""
    from pyiceberg.exceptions import CommitFailedException

    properties = catalog_at(tmp_path, postgres_url)
    found = catalogs.open_catalog(properties)
    other = lake_at(tmp_path, postgres_url)
    other.merge(TABLE, frame({0: 0.0}))
    commit = found.commit_table

    def lie(*arguments: Any) -> Any:  # noqa: ANN401  as pyiceberg has it
        commit(*arguments)
        for n in range(2, 16):
            other.merge(TABLE, frame({n: float(n)}, fetch=n))
        msg = "reported as failed, although it was made long ago"
        raise CommitFailedException(msg)

    found.commit_table = lie  # type: ignore[method-assign, assignment]
    lake = Lake(properties, catalog=found)
    merged = lake.merge(TABLE, frame({1: 1.0}))
    expired = {s.snapshot_id for s in other.table(TABLE).metadata.snapshots}
    assert merged.attempts == 1
    assert len(expired) < 16
    assert rows_of_another_reader(tmp_path, postgres_url) == [float(n) for n in range(16)]
    close(lake)
    close(other)


# --- away, frozen, busy, refusing ----------------------------------------------------------------


def test_a_catalog_that_is_away_for_long_is_reported_and_the_write_can_be_repeated(
    tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    lake = Lake(catalog_at(tmp_path, postgres_url), patience=1.0)
    lake.merge(TABLE, frame({1: 10}))
    postgres.kill()
    began = time.monotonic()
    try:
        with pytest.raises(LakeUnreachable) as caught:
            lake.merge(TABLE, frame({2: 20}))
        with pytest.raises(LakeUnreachable):
            lake.read(TABLE)
    finally:
        postgres.start()
    assert time.monotonic() - began < 10
    assert f"(Postgres at 127.0.0.1:{postgres.port}/" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert caught.value.__cause__ is None
    lake.merge(TABLE, frame({2: 20}))
    assert loads(lake) == [10, 20]
    close(lake)


def test_a_frozen_server_holds_nobody_for_ever(
    tmp_path: Path, postgres: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogs, "_SILENCE", 0.5)
    monkeypatch.setattr(catalogs, "_CONNECTING", 0.5)
    lake = Lake(catalog_at(tmp_path, postgres_url), patience=1.0)
    lake.merge(TABLE, frame({1: 10}))
    began = time.monotonic()
    postgres.pause()
    try:
        with pytest.raises(LakeUnreachable, match=r"no answer within 0 s"):
            lake.merge(TABLE, frame({2: 20}))
    finally:
        postgres.resume()
    assert time.monotonic() - began < 10
    lake.merge(TABLE, frame({2: 20}))
    assert loads(lake) == [10, 20]
    close(lake)


def test_a_row_that_another_one_locks_is_busy_and_not_away(
    tmp_path: Path, postgres_url: str
) -> None:
    import psycopg2

    quick = f"{postgres_url}?options=-c%20lock_timeout%3D200"
    lake = Lake(catalog_at(tmp_path, quick), patience=0.5)
    lake.merge(TABLE, frame({1: 10}))
    plain = postgres_url.replace("+psycopg2", "")
    holder = psycopg2.connect(plain)
    holder.cursor().execute("SELECT 1 FROM iceberg_tables FOR UPDATE")
    with pytest.raises(LakeBusy, match="lost to other writers"):
        lake.merge(TABLE, frame({2: 20}))
    holder.close()
    lake.merge(TABLE, frame({2: 20}))
    assert loads(lake) == [10, 20]
    close(lake)


def opened(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Resources:
    monkeypatch.setenv("AURUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AURUM_CATALOG_URI", url)
    return open_resources(DATASETS)


def test_the_address_alone_puts_the_catalog_into_postgres_and_the_tables_into_the_home(
    postgres_url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = postgres_url.replace("postgresql+psycopg2", "postgres")
    lake = opened(plain, monkeypatch, tmp_path).lake
    lake.merge(TABLE, frame({1: 10}))
    assert loads(lake) == [10]
    database = postgres_url.rpartition("/")[2]
    rows = postgres.execute("SELECT table_name, metadata_location FROM iceberg_tables", database)
    assert [name for name, _ in rows] == ["isone_system_load"]
    assert rows[0][1].startswith(f"file://{tmp_path}/home/lake/warehouse/")
    close(lake)


def test_a_wrong_password_is_reported_at_once_and_not_repeated_in_the_sentence(
    postgres: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = "not-the-password"  # noqa: S105  no secret
    url = f"postgresql://aurum:{secret}@127.0.0.1:{postgres.port}/{postgres_url.rpartition('/')[2]}"
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"refuses us: .*authentication failed") as caught:
        _ = opened(url, monkeypatch, tmp_path).lake.catalog
    assert time.monotonic() - began < 5
    assert secret not in str(caught.value)


def test_a_catalog_that_is_not_there_at_start_is_one_sentence_without_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import traceback

    secret = "p%2Fss-w0rd"  # noqa: S105  no secret
    home = opened(f"postgresql://aurum:{secret}@127.0.0.1:1/lake", monkeypatch, tmp_path)
    lake = Lake(home.lake.configured, patience=0.5)
    began = time.monotonic()
    with pytest.raises(LakeUnreachable) as caught:
        lake.find(ISONE_SYSTEM_LOAD.table)
    assert time.monotonic() - began < 5
    shown = "".join(traceback.format_exception(caught.value))
    assert "opening the lake: the lake's catalog (Postgres at 127.0.0.1:1/lake)" in shown
    for form in (secret, "p/ss-w0rd"):
        assert form not in shown + repr(home) + repr(Settings.read())


def test_dagster_may_try_again_what_only_had_nobody_to_answer(tmp_path: Path) -> None:
    import dagster as dg

    from aurum_assets.graph.translate import translated_failures

    lake = Lake(catalog_at(tmp_path, "postgresql://a:b@127.0.0.1:1/x"), patience=0.1)

    def outcome() -> dg.Failure:
        with pytest.raises(dg.Failure) as failed, translated_failures():
            lake.merge(TABLE, frame({1: 10}))
        return failed.value

    assert outcome().allow_retries
    assert issubclass(LakeUnreachable, AurumError)


def test_writers_of_one_machine_take_turns_whatever_the_catalog(
    resources: Resources, tmp_path: Path, postgres_url: str
) -> None:
    remote = remade(resources, catalog=catalog_at(tmp_path, postgres_url))
    remote.lake.merge(TABLE, frame({1: 10}))
    assert (resources.root / "lake" / "market.isone_system_load.lock").exists()
    close(remote.lake)


# --- whose data it holds -------------------------------------------------------------------------


def test_a_lake_that_homes_share_holds_what_one_side_gave_and_never_both(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    operator = ISONE_SYSTEM_LOAD.operator
    opened(postgres_url, monkeypatch, tmp_path)
    home = specification(DATASETS, Settings.read())
    simulated = compose(replace(home, base_urls={"isone": "http://127.0.0.1:1/api"}))
    simulated.api(operator).close()
    urls = {"isone": "https://real.invalid/api"}
    other = compose(replace(home, root=tmp_path / "b", base_urls=urls))
    with pytest.raises(ConfigError, match="the lake holds simulated data"):
        other.api(operator)
    for one in (simulated, other):
        close(one.lake)
