"""``maintain``: every part, by command and by job; a part that fails stops no other."""

import datetime as dt
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from aurum_assets import ingest
from aurum_assets.definitions import build
from aurum_assets.ingest.leftovers import clear
from aurum_assets.ingest.maintain import closed_before
from aurum_assets.ingest.reference import LISTS, REFERENCES
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.errors import LakeBusy
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources import logs
from aurum_assets.resources.composition import Resources
from aurum_assets.simulator.isone.load import load_records
from aurum_assets.simulator.isone.payloads import render, wrapped
from aurum_assets_tests.conftest import NOON, Aurum, Desk, printed
from aurum_assets_tests.made import remade

LOAD, CTS = ISONE_SYSTEM_LOAD, MISO_CTS
OLD = "2026-07-10"
# With their histories; the quarantine; two references and their sightings.
TABLES = 2 * len(DATASETS) + 1 + 2 * len(REFERENCES) + len(LISTS) + 2 * len(MARTS) + 1


def payload(day: str, intervals: range) -> bytes:
    records = load_records(LOAD.day(day), list(intervals))
    return render(wrapped("FiveMinSystemLoads", "FiveMinSystemLoad", records), "json")


def bring_ticks(desk: Desk, day: str = OLD, count: int = 3) -> None:
    """A day of some ticks: as many files, as many manifests."""
    for n in range(count):
        at = LOAD.day(day).start + dt.timedelta(minutes=5 * n + 5)
        desk.bring(LOAD, payload(day, range(n, n + 1)), at=at)


def everything(root: Path) -> dict[str, str]:
    """All files of a home with their hashes, without locks."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix not in {".lock", ".sqlite-wal", ".sqlite-shm"}
    }


def an_hour_later() -> dt.datetime:
    """What a test has just written is not just being written any more."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)


def maintained(resources: Resources, *, dry_run: bool = False) -> dict[str, ingest.Upkeep]:
    parts = ingest.parts_of(resources, dry_run=dry_run, now=an_hour_later())
    return {done.part: done for done in ingest.maintain(resources, parts)}


def make_old(path: Path, hours: float = 25) -> Path:
    """As if ``path`` had been written so long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    at = time.time() - hours * 3600
    os.utime(path, (at, at))
    return path


# --- the verb ------------------------------------------------------------------------------------


def test_each_table_the_leftovers_and_each_store_is_a_part(desk: Desk) -> None:
    bring_ticks(desk)
    found = maintained(desk.resources)
    assert len([name for name in found if "." in name and ".sqlite" not in name]) == TABLES
    assert {"leftovers", "state.sqlite", "metrics.sqlite"} <= set(found)
    assert [done for done in found.values() if done.failed] == []


def test_closed_days_become_one_file_and_a_second_pass_finds_nothing_to_rewrite(
    desk: Desk,
) -> None:
    bring_ticks(desk)
    bring_ticks(desk, "2026-07-20")  # not closed yet
    before = desk.rows(LOAD)
    first = maintained(desk.resources)[LOAD.table.identifier]
    assert (first.days, first.rewritten) == (1, 3)
    assert first.manifests_after < first.manifests_before
    assert desk.rows(LOAD).equals(before)
    assert maintained(desk.resources)[LOAD.table.identifier].days == 0


def test_a_dry_run_says_the_same_and_writes_nothing(desk: Desk) -> None:
    bring_ticks(desk)
    draft = make_old(desk.resources.root / "archive" / "sourcing" / f".{'a' * 32}.tmp")
    before = everything(desk.resources.root)
    would = maintained(desk.resources, dry_run=True)
    assert everything(desk.resources.root) == before
    did = maintained(desk.resources)
    assert would[LOAD.table.identifier].days == did[LOAD.table.identifier].days == 1
    assert would["leftovers"] == did["leftovers"]
    assert not draft.exists()


def test_a_part_that_fails_is_reported_and_the_others_are_done(desk: Desk) -> None:
    bring_ticks(desk)

    def busy(_: ingest.Progress) -> ingest.Upkeep:
        msg = "others commit all the time"
        raise LakeBusy(msg)

    def broken(_: ingest.Progress) -> ingest.Upkeep:
        msg = "unforeseen"
        raise RuntimeError(msg)

    logs.configure("warning", "json", "dev")
    ours = ingest.parts_of(desk.resources, now=an_hour_later())
    parts = [("busy", busy), ("broken", broken), *ours]
    found = list(ingest.maintain(desk.resources, parts))
    assert [d.failed for d in found[:2]] == [
        "others commit all the time",
        "RuntimeError: unforeseen",
    ]
    assert not any(d.failed for d in found[2:])
    assert next(d for d in found if d.part == LOAD.table.identifier).days == 1


def test_a_damaged_table_stops_no_other(aurum: Aurum, environment: dict[str, str]) -> None:
    for dataset in ("isone_system_load", "isone_zonal_load"):
        assert aurum("collect", "isone", dataset, "--day", OLD).exit_code == 0
    lake = Path(environment["AURUM_HOME"]) / "lake"
    for file in lake.rglob("market/isone_zonal_load/metadata/*.metadata.json"):
        file.write_text("{")
    result = aurum("maintain", "--json")
    assert result.exit_code == 1
    failed = [part for part in printed(result)["parts"] if part["failed"]]
    assert {part["part"] for part in failed} == {ISONE_ZONAL_LOAD.table.identifier}
    assert f"FAILED {ISONE_ZONAL_LOAD.table.identifier}: " in result.stderr
    assert aurum("doctor").output.count("has not run to its end yet") == 1


def test_a_day_is_closed_two_days_after_its_end_by_the_operators_clock(desk: Desk) -> None:
    desk.clock.set(dt.datetime(2026, 7, 21, 3, 59, tzinfo=dt.UTC))  # 23:59 in New York
    assert closed_before(desk.resources, LOAD) == dt.date(2026, 7, 18)
    assert closed_before(desk.resources, CTS) == dt.date(2026, 7, 18)
    desk.clock.set(dt.datetime(2026, 7, 21, 4, 0, tzinfo=dt.UTC))
    assert closed_before(desk.resources, LOAD) == dt.date(2026, 7, 19)
    assert closed_before(desk.resources, CTS) == dt.date(2026, 7, 18)  # midnight EST is at 05:00Z


def test_a_day_for_which_something_waits_is_not_closed_but_what_waits_for_weeks_closes_it(
    desk: Desk,
) -> None:
    marks = desk.resources.root / "spool" / "owed" / LOAD.archive_name
    (marks / OLD).mkdir(parents=True)
    (marks / OLD / "identifier").touch()
    assert closed_before(desk.resources, LOAD) == dt.date.fromisoformat(OLD)
    assert closed_before(desk.resources, CTS) == dt.date(2026, 7, 19)
    desk.clock.set(NOON + dt.timedelta(days=20))
    assert closed_before(desk.resources, LOAD) == dt.date(2026, 8, 8)


def test_maintenance_runs_beside_a_merge_and_both_keep_their_rows(desk: Desk) -> None:
    bring_ticks(desk, count=4)
    over, merged = threading.Event(), []

    def ticks() -> None:
        n = 4
        while not over.is_set() and n < 30:
            at = LOAD.day(OLD).start + dt.timedelta(minutes=5 * n + 5)
            merged.append(desk.bring(LOAD, payload(OLD, range(n, n + 1)), at=at))
            n += 1

    writer = threading.Thread(target=ticks)
    writer.start()
    found = maintained(desk.resources)
    over.set()
    writer.join()
    assert [done for done in found.values() if done.failed] == []
    assert len(desk.rows(LOAD)) == 4 + len(merged)
    maintained(desk.resources)
    assert len(desk.rows(LOAD)) == 4 + len(merged)


# --- leftovers -----------------------------------------------------------------------------------


def test_drafts_older_than_a_day_go_and_nothing_else_does(resources: Resources) -> None:
    root, key = resources.root, "a1" * 16
    file = root.parent / "metrics" / "aurum.prom"
    resources = remade(resources, metrics_file=file)
    drafts = [
        root / "archive" / "sourcing" / "x" / "year=2026" / f".{key}.tmp",
        root / "spool" / "sourcing" / "x" / f".{key}.tmp",
        root / f".state.sqlite.{key}",
        root / f".state.sqlite.{key}-wal",
        root / f".origin.{key}",
        root / "config" / ".iso_nodes.csv.draft",
        root / "dagster" / "dagster.yaml.new",
        file.parent / f".aurum.prom.{key}",
    ]
    kept = [
        root / "archive" / "sourcing" / "x" / "year=2026" / f"20260721-{key}.json.gz",
        root / "archive" / "sourcing" / "x" / ".hidden.tmp",  # not one of ours
        root / "archive" / "rejected" / "x" / f"{key}.gz",
        root / "spool" / "sourcing" / "x" / f"{key}.json.gz",
        root / ".env",
        file.parent / f".other.prom.{key}",
        file,
    ]
    young = [path.with_name(path.name.replace("a1a1", "b2b2")) for path in drafts[:5]]
    for path in (*drafts, *kept):
        make_old(path)
    for path in young:
        make_old(path, hours=23)
    would = clear(resources, dry_run=True)
    assert all(path.exists() for path in (*drafts, *kept, *young))
    assert clear(resources) == would
    assert would.drafts == len(drafts)
    assert [path for path in drafts if path.exists()] == []
    assert all(path.exists() for path in (*kept, *young))


def test_a_mark_goes_once_its_snapshot_is_merged_or_nowhere_and_stays_while_it_waits(
    desk: Desk,
) -> None:
    folder = LOAD.archive_name
    bring_ticks(desk, count=1)
    desk.take(LOAD, payload(OLD, range(1, 2)))  # archived, not normalized
    merged, waits = sorted(desk.resources.archive.identifiers(folder, OLD))
    marks = desk.resources.root / "spool" / "owed" / folder / OLD
    for name in (merged, waits, "20260710T000000000000Z-gone-0"):
        make_old(marks / name)
    make_old(marks / "20260710T000000000001Z-young-0", hours=1)
    assert clear(desk.resources).marks == 2
    left = sorted(path.name for path in marks.iterdir())
    assert left == sorted([waits, "20260710T000000000001Z-young-0"])


def test_empty_folders_of_the_spool_go(resources: Resources) -> None:
    day = resources.root / "spool" / "sourcing" / "x" / "year=2026" / "month=07" / "day=10"
    day.mkdir(parents=True)
    for folder in (day, *day.parents[:5]):
        os.utime(folder, (0, 0))
    clear(resources)
    assert not day.exists()
    assert (resources.root / "spool").exists()


# --- the command ---------------------------------------------------------------------------------


def test_the_command_prints_what_it_did_and_is_remembered(
    aurum: Aurum, environment: dict[str, str]
) -> None:
    for name in ("isone_system_load", "isone_zonal_load"):
        assert aurum("collect", "isone", name, "--day", "2026-07-20").exit_code == 0
    assert "has not run to its end yet" in aurum("doctor").output
    make_old(Path(environment["AURUM_HOME"]) / "archive" / f".{'c' * 32}.tmp")
    dry = aurum("maintain", "--dry-run")
    assert dry.exit_code == 0
    assert dry.stdout.splitlines()[0].split("\t") == [
        *("part", "days", "files", "manifests", "expired", "deleted", "freed")
    ]
    assert "nothing was written" in dry.stderr
    assert "has not run to its end yet" in aurum("doctor").output
    one = aurum("maintain", "--dataset", "isone_system_load", "--json")
    assert [part["part"] for part in printed(one)["parts"]] == [
        "market.isone_system_load",
        "market.isone_system_load_history",
    ]
    assert "has not run to its end yet" in aurum("doctor").output
    whole = printed(aurum("maintain", "--json"))
    assert not whole["dry_run"]
    assert whole["total"]["deleted"] == 1
    assert "last ended well on 2026-07-21 16:00Z" in aurum("doctor").output
    assert aurum("maintain").stdout == ""


def test_the_command_purges_dagsters_storage_where_the_home_has_one(
    aurum: Aurum, environment: dict[str, str]
) -> None:
    folder = Path(environment["AURUM_HOME"]) / "dagster"
    (folder.parent / "archive").mkdir(parents=True)
    names = {part["part"] for part in printed(aurum("maintain", "--json"))["parts"]}
    assert "dagster" not in names
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    names = {part["part"] for part in printed(aurum("maintain", "--json"))["parts"]}
    assert "dagster" in names


def test_the_doctor_is_unsure_of_a_home_that_was_not_maintained_for_days(
    aurum: Aurum, environment: dict[str, str]
) -> None:
    def state(**more: str) -> str:
        parts = {part["part"]: part for part in printed(aurum("doctor", "--json", **more))["parts"]}
        found: str = parts["maintenance"]["state"]
        return found

    assert state() == "off"
    assert aurum("collect", "isone", "isone_system_load", "--day", OLD).exit_code == 0
    home = Path(environment["AURUM_HOME"])
    for mark in ("origin", "identity"):
        at = (NOON - dt.timedelta(days=4)).timestamp()
        os.utime(home / mark, (at, at)) if (home / mark).exists() else None
    assert state() == "unsure"
    assert aurum("maintain").exit_code == 0
    assert state() == "ok"
    assert state(AURUM_NOW=(NOON + dt.timedelta(days=4)).isoformat()) == "unsure"


# --- the job -------------------------------------------------------------------------------------


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster whose maintenance runs an hour after what the test wrote."""
    monkeypatch.setattr(ingest, "parts_of", partial(ingest.parts_of, now=an_hour_later()))
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run_job(desk: Desk, instance: dg.DagsterInstance) -> dict[str, dg.MetadataValue]:
    """The metadata that a run of the job shows."""
    done = (
        build(desk.resources).resolve_job_def("maintenance").execute_in_process(instance=instance)
    )
    assert done.success
    (output,) = [e for e in done.all_events if e.event_type_value == "STEP_OUTPUT"]
    return dict(output.step_output_data.metadata)


def test_the_scheduled_job_does_it_shows_it_as_a_table_and_a_second_run_changes_nothing(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    bring_ticks(desk)
    first = run_job(desk, instance)
    table = first["maintained"]
    assert isinstance(table, dg.TableMetadataValue)
    parts = {record.data["part"]: record.data for record in table.records}
    assert parts[LOAD.table.identifier]["days"] == 1
    assert {c.name for c in table.schema.columns} == set(parts[LOAD.table.identifier])
    assert first["parts"].value == TABLES + len(["dagster", "leftovers"]) + len(
        list(desk.resources.root.glob("*.sqlite"))
    )
    assert ingest.last_maintained(desk.resources) == NOON
    second = run_job(desk, instance)
    assert second["days"].value == 0
    assert "maintained" not in second


def test_the_job_runs_daily_at_a_quiet_hour_without_any_asset(resources: Resources) -> None:
    repository = build(resources).get_repository_def()
    schedule = repository.get_schedule_def("maintenance_schedule")
    assert (schedule.job_name, schedule.cron_schedule) == ("maintenance", "10 4 * * *")
    assert repository.get_job("maintenance").asset_layer.executable_asset_keys == set()


def test_a_part_that_fails_fails_the_run_with_the_table_of_the_others(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    bring_ticks(desk)
    (desk.resources.root / "outbox.sqlite").write_bytes(b"no database " * 100)
    done = (
        build(desk.resources)
        .resolve_job_def("maintenance")
        .execute_in_process(instance=instance, raise_on_error=False)
    )
    (failure,) = [e for e in done.all_events if e.is_step_failure]
    failure_data = failure.step_failure_data.user_failure_data
    assert failure_data is not None
    assert "outbox.sqlite: this SQLite file cannot be used" in (failure_data.description or "")
    table = failure_data.metadata["maintained"]
    assert isinstance(table, dg.TableMetadataValue)
    failed = {record.data["part"]: bool(record.data["failed"]) for record in table.records}
    assert failed == {LOAD.table.identifier: False, "outbox.sqlite": True}
    assert ingest.last_maintained(desk.resources) is None


def test_all_datasets_have_their_tables_maintained(resources: Resources) -> None:
    names = {name for name, _ in ingest.parts_of(resources)}
    for dataset in DATASETS:
        assert {dataset.table.identifier, dataset.table.history.identifier} <= names
