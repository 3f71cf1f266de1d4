"""The purge of Dagster's storage: what goes, what stays, and that the files give room back."""

import contextlib
import datetime as dt
import json
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster import DagsterEventType as Kind

from aurum_assets.graph.health import HEALTH, KINDS, events_of
from aurum_assets.graph.kept import kept_connections
from aurum_assets.graph.purge import Checks, Events, EventsInSql, Purged, _Pass, purge
from aurum_assets.model.errors import ConfigError
from aurum_assets.resources.alerts import Alert

pytestmark = pytest.mark.slow

PRICES = dg.AssetKey(["market", "prices"])
CHECK = dg.AssetCheckKey(PRICES, "adds_up")
DAYS = ["2026-07-01", "2026-07-02", "2026-07-03"]
LATER = dt.timedelta(days=1)


def of_dagster(kind: str, **fields: Any) -> Any:  # noqa: ANN401  classes that Dagster does not publish
    """What Dagster reads of an event that it stored."""
    values = {name: json.loads(dg.serialize_value(value)) for name, value in fields.items()}
    return dg.deserialize_value(json.dumps({"__class__": kind, **values}))


def run(instance: dg.DagsterInstance, day: str, *, fails: bool = False) -> str:
    """What one run of an asset's job leaves for a day, without running it; its id."""
    run_id = str(uuid.uuid4())
    instance.add_run(
        dg.DagsterRun(job_name="collect", run_id=run_id, status=dg.DagsterRunStatus.STARTED)
    )
    made = dg.AssetMaterialization(PRICES, partition=day, metadata={"text": "x" * 4000})
    checked = dg.AssetCheckEvaluation(PRICES, "adds_up", passed=True, partition=day)
    planned = of_dagster("AssetMaterializationPlannedData", asset_key=PRICES, partition=day)
    events: list[tuple[dg.DagsterEventType, object]] = [
        (Kind.ASSET_MATERIALIZATION_PLANNED, planned)
    ]
    if not fails:
        data = of_dagster("StepMaterializationData", materialization=made)
        events += [(Kind.ASSET_MATERIALIZATION, data)]
        events += [(Kind.ASSET_CHECK_EVALUATION, checked)]
    events += [(Kind.RUN_FAILURE if fails else Kind.RUN_SUCCESS, None)]
    for kind, data in events:
        event = dg.DagsterEvent(kind.value, "collect", message="", event_specific_data=data)  # type: ignore[arg-type]  # of its kind
        instance.report_dagster_event(event, run_id)
    printed = Path(instance.storage_directory()) / run_id / "compute_logs" / "step.out"
    printed.parent.mkdir(parents=True)
    printed.write_text("printed")
    return run_id


def after_all() -> dt.datetime:
    """An instant before which every run of a test ended."""
    return dt.datetime.now(dt.UTC) + LATER


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's storage as a home has it: a file for each run, and one that all share."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def in_postgres(tmp_path: Path, postgres_url: str) -> Iterator[dg.DagsterInstance]:
    storage = f"storage:\n  postgres:\n    postgres_url: {postgres_url}\n"
    (tmp_path / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{storage}")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture(params=["sqlite", "in_postgres"])
def instance(request: pytest.FixtureRequest) -> dg.DagsterInstance:
    found: dg.DagsterInstance = request.getfixturevalue(request.param)
    return found


def stored(instance: dg.DagsterInstance) -> set[str]:
    return {r.run_id for r in instance.get_runs()}


def shown(instance: dg.DagsterInstance) -> dict[str, object]:
    """What the UI shows of the asset, by the public interface."""
    events = instance.event_log_storage
    latest = {
        day: instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=PRICES, asset_partitions=[day]), limit=1
        ).records
        for day in DAYS
    }
    history = events.get_asset_check_execution_history(CHECK, limit=100)  # the newest first
    checks = {day: [c for c in history if c.partition == day][:1] for day in DAYS}
    newest = instance.get_latest_materialization_event(PRICES)
    attempts = events.get_latest_asset_partition_materialization_attempts_without_materializations(
        PRICES
    )
    return {
        "partitions": instance.get_materialized_partitions(PRICES),
        "latest": {day: [(r.run_id, r.storage_id) for r in found] for day, found in latest.items()},
        "checks": {
            day: [(c.status.value, c.run_id, c.event is not None) for c in found]
            for day, found in checks.items()
        },
        "newest": newest and newest.run_id,
        "attempts": attempts,
    }


def test_the_events_of_a_run_are_gone_from_the_disk_before_the_run_is(
    sqlite: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = run(sqlite, DAYS[0]), run(sqlite, DAYS[0])
    index = Path(str(sqlite.root_directory)) / "history" / "runs" / "index.db"
    on_disk: list[int] = []

    def left(run_id: str) -> None:
        without_log = Path(shutil.copy(index, tmp_path / "copy.db"))
        with contextlib.closing(sqlite3.connect(without_log)) as db:
            query = "SELECT count(*) FROM event_logs WHERE run_id = ?"
            on_disk.append(db.execute(query, [run_id]).fetchone()[0])

    with kept_connections(sqlite, str(uuid.uuid4())):
        monkeypatch.setattr(sqlite.run_storage, "delete_run", left)
        left(first)
        purge(sqlite, after_all())
    assert on_disk[0] > 0
    assert on_disk[1:] == [0]


def test_of_many_runs_of_a_partition_the_last_one_stays_and_the_ui_shows_the_same(
    instance: dg.DagsterInstance,
) -> None:
    runs = [run(instance, day) for _ in range(2) for day in DAYS]
    before = shown(instance)
    done = purge(instance, after_all())
    assert (done.runs, done.kept, done.left) == (3, 3, 0)
    assert stored(instance) == set(runs[-3:])
    assert shown(instance) == before
    assert before["partitions"] == set(DAYS)
    assert all(len(found) == 1 for found in before["checks"].values())  # type: ignore[attr-defined]
    with instance.event_log_storage.index_connection() as db:  # type: ignore[attr-defined]  # in SQL
        assert {run_id for (run_id,) in db.execute(sa.select(Events.c.run_id))} == set(runs[-3:])
        kinds = {kind for (kind,) in db.execute(sa.select(Events.c.dagster_event_type))}
    assert kinds == {
        "ASSET_MATERIALIZATION",
        "ASSET_MATERIALIZATION_PLANNED",
        "PIPELINE_SUCCESS",
    }
    assert done.trimmed == 3
    history = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=100)
    assert {c.run_id for c in history} == set(runs[-3:])
    assert purge(instance, after_all()) == Purged(kept=3)


def test_young_and_unfinished_runs_are_left(sqlite: dg.DagsterInstance) -> None:
    old, young = run(sqlite, DAYS[0]), run(sqlite, DAYS[0])
    instant = dt.datetime.now(dt.UTC) - LATER
    assert purge(sqlite, instant) == Purged()
    for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING):
        sqlite.add_run(dg.DagsterRun(job_name="collect", run_id=str(uuid.uuid4()), status=status))
    assert purge(sqlite, after_all()).runs == 1
    assert len(stored(sqlite)) == 3
    assert old not in stored(sqlite)
    assert young in stored(sqlite)


def test_a_partition_whose_last_attempt_failed_stays_failed_and_keeps_its_older_result(
    sqlite: dg.DagsterInstance,
) -> None:
    run(sqlite, DAYS[0])
    good, bad = run(sqlite, DAYS[0]), run(sqlite, DAYS[0], fails=True)
    before = shown(sqlite)
    assert list(before["attempts"]) == [DAYS[0]]  # type: ignore[call-overload]
    assert purge(sqlite, after_all()).runs == 1
    assert stored(sqlite) == {good, bad}
    assert shown(sqlite) == before
    assert (Path(sqlite.root_directory) / "storage" / bad / "compute_logs").exists()


def test_a_dry_run_says_what_would_go_and_leaves_it(sqlite: dg.DagsterInstance) -> None:
    for _ in range(3):
        run(sqlite, DAYS[0])
    files = sorted(Path(sqlite.root_directory).rglob("*"))
    would = purge(sqlite, after_all(), dry_run=True)
    assert (would.runs, would.kept) == (2, 1)
    assert would.bytes > 2 * 100_000
    assert sorted(Path(sqlite.root_directory).rglob("*")) == files
    did = purge(sqlite, after_all())
    assert (did.runs, did.files) == (would.runs, would.files)


def test_a_pass_is_bounded_and_the_oldest_runs_go_first(sqlite: dg.DagsterInstance) -> None:
    runs = [run(sqlite, DAYS[0]) for _ in range(4)]
    done = purge(sqlite, after_all(), limit=2)
    assert (done.runs, done.left) == (2, 1)
    assert stored(sqlite) == set(runs[2:])


def test_files_and_printed_logs_of_a_run_go_with_it_and_those_of_others_stay(
    sqlite: dg.DagsterInstance,
) -> None:
    old, new = run(sqlite, DAYS[0]), run(sqlite, DAYS[0])
    root = Path(sqlite.root_directory)
    for one in (old, new):
        assert (root / "history" / "runs" / f"{one}.db").exists()
        assert (root / "storage" / one / "compute_logs").exists()
    done = purge(sqlite, after_all())
    assert done.files >= 2
    assert not [path for path in root.rglob("*") if old in path.name]
    assert (root / "history" / "runs" / f"{new}.db").exists()
    assert not (root / "storage" / new).exists()  # of an old run that stays, the log goes


def test_files_that_a_deleted_run_left_go_after_a_day(sqlite: dg.DagsterInstance) -> None:
    left, kept = run(sqlite, DAYS[0]), run(sqlite, DAYS[1])
    sqlite.delete_run(left)  # as the UI does
    shard = Path(sqlite.root_directory) / "history" / "runs" / f"{left}.db"
    assert purge(sqlite, after_all()).files == 0
    assert shard.exists()
    yesterday = time.time() - 90_000
    for file in Path(sqlite.root_directory).rglob("*"):
        if left in str(file) and file.is_file():
            os.utime(file, (yesterday, yesterday))
    assert purge(sqlite, after_all()).files > 0
    assert not [path for path in Path(sqlite.root_directory).rglob("*") if left in path.name]
    assert stored(sqlite) == {kept}


@pytest.mark.parametrize("dies_at", ["run", "files"])
def test_a_killed_pass_is_completed_by_the_next(
    sqlite: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    runs = [run(sqlite, DAYS[0]) for _ in range(3)]
    before = shown(sqlite)

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if dies_at == "run":
            patch.setattr(sqlite.run_storage, "delete_run", die)
        else:
            patch.setattr(_Pass, "_remove_files", die)
        with pytest.raises(Killed):
            purge(sqlite, after_all())
    assert shown(sqlite) == before
    for file in Path(sqlite.root_directory).rglob("*"):
        os.utime(file, (0, 0))  # a later pass finds what is of runs that are not stored
    purge(sqlite, after_all())
    assert stored(sqlite) == {runs[-1]}
    assert shown(sqlite) == before
    left = "".join(map(str, Path(sqlite.root_directory).rglob("*")))
    assert [one for one in runs if one in left] == [runs[-1]]


def test_the_shared_files_shrink(sqlite: dg.DagsterInstance) -> None:
    for _ in range(2):
        run(sqlite, DAYS[0])
    index = Path(sqlite.root_directory) / "history" / "runs" / "index.db"
    with sqlite3.connect(index) as db:  # as many events as some hundred runs have
        (last,) = db.execute("SELECT max(id) FROM event_logs").fetchone()
        (old,) = db.execute("SELECT min(run_id) FROM event_logs WHERE id = 1").fetchone()
        db.executemany(
            "INSERT INTO event_logs (id, run_id, event, dagster_event_type) VALUES (?, ?, ?, ?)",
            [(last + n, old, "x" * 2000, "PIPELINE_START") for n in range(1, 1500)],
        )
    db.close()
    large = index.stat().st_size
    done = purge(sqlite, after_all())
    assert done.runs == 1
    assert done.bytes > 2_500_000
    assert index.stat().st_size < large - 2_500_000


def test_changes_of_freshness_are_bounded_to_the_last_of_each_asset(
    sqlite: dg.DagsterInstance,
) -> None:
    def state(name: str) -> object:
        return dg.deserialize_value(json.dumps({"__enum__": f"FreshnessState.{name}"}))

    for name in ["PASS", "FAIL"] * 5:
        sqlite.report_runless_asset_event(
            of_dagster(
                "FreshnessStateChange",
                key=PRICES,
                new_state=state(name),
                previous_state=state("UNKNOWN"),
                state_change_timestamp=1.0,
            )
        )
    before = sqlite.event_log_storage.get_freshness_state_records([PRICES])
    purge(sqlite, after_all())
    assert sqlite.event_log_storage.get_freshness_state_records([PRICES]) == before
    index = Path(sqlite.root_directory) / "history" / "runs" / "index.db"
    with sqlite3.connect(index) as db:
        assert db.execute("SELECT count(*) FROM event_logs").fetchone() == (1,)
    db.close()


def test_what_is_reported_without_a_run_is_bounded_to_the_last_of_each_asset_and_check(
    instance: dg.DagsterInstance,
) -> None:
    """``watch`` reports the asset ``health`` so, as often as alerts open and end."""
    alert = Alert("a", "drift", "ERROR", "load", "", "", "it drifted", "look", "dev", "", "")
    now = dt.datetime.now(dt.UTC)
    reported = None
    checks = [dg.AssetCheckKey(HEALTH, kind) for kind in KINDS]

    def counted() -> list[int | None]:
        assert isinstance(instance.event_log_storage, EventsInSql)
        with instance.event_log_storage.index_connection() as db:
            tables = (Events, Checks)
            return [db.scalar(sa.select(sa.func.count()).select_from(t)) for t in tables]

    def seen() -> object:
        made = instance.get_latest_materialization_event(HEALTH)
        found = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
        return made, {key.name: record.id for key, record in found.items()}

    for n in range(21):  # it flaps
        events, reported = events_of([alert] * (n % 2), reported, now)
        for event in events:
            instance.report_runless_asset_event(event)
    by_hand = dg.AssetMaterialization(PRICES, partition=DAYS[0])
    instance.report_runless_asset_event(by_hand)
    before = seen()
    all_of_them = [21 * (1 + len(KINDS)) + 1, 21 * len(KINDS)]
    assert counted() == all_of_them
    purge(instance, now - LATER)
    assert counted() == all_of_them, "nothing is old"
    purge(instance, after_all())
    assert counted() == [2, len(KINDS)]
    assert seen() == before
    assert instance.get_materialized_partitions(PRICES) == {DAYS[0]}


def test_a_storage_that_is_not_sql_is_refused_in_one_sentence() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert purge(instance, after_all()) == Purged()  # in memory, of the same kind
    with pytest.raises(ConfigError, match="is not one that can be purged"):
        purge(_Other(), after_all())  # type: ignore[arg-type]


class _Other:
    event_log_storage = run_storage = None
