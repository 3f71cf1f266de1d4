"""Maintenance leaves every row where it is, one file a closed day, and no litter for long."""

import datetime as dt
import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.io.pyarrow import PyArrowFile
from pyiceberg.table.update import RemoveSnapshotsUpdate

from aurum_assets import ingest
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table
from aurum_assets.resources import catalog as catalogs
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.layout import expire, manifests_of
from aurum_assets.resources.maintenance import Maintained, maintain_table
from aurum_assets.resources.snapshots import SNAPSHOTS_KEPT, expendable
from aurum_assets_tests.conftest import Desk
from aurum_assets_tests.proofs.proof import close, lake_at
from aurum_assets_tests.proofs.prove_maintain import prove_maintain
from aurum_assets_tests.proofs.prove_year import Year
from aurum_assets_tests.servers.aws import CREDENTIALS, aws_server
from aurum_assets_tests.servers.rest import rest_catalog
from aurum_assets_tests.test_lake import DAY, TABLE, frame, loads, where

pytestmark = pytest.mark.slow

HOUR = dt.timedelta(hours=1)
CLOSED_BEFORE = DAY.date + dt.timedelta(days=12)  # 1 August: July is closed
OPEN = 12


def maintain(lake: Lake, hours: float, table: Table = TABLE, **options: Any) -> Maintained:  # noqa: ANN401  those of maintain_table
    """Maintenance ``hours`` from now."""
    now = dt.datetime.now(dt.UTC) + hours * HOUR
    return maintain_table(lake, table, closed_before=CLOSED_BEFORE, now=now, **options)


def fill(lake: Lake, days: tuple[int, ...] = (0, 1, OPEN), merges: int = 4) -> None:
    """Some merges a day, the later intervals first."""
    for day in days:
        for number in reversed(range(merges)):
            lake.merge(TABLE, frame({number: float(number)}, day=day))


def files(lake: Lake, table: Table = TABLE) -> dict[str, int]:
    """How many files of each kind lie in the table's folder."""
    root = Path(lake.uri(table).removeprefix("file://"))
    names = [path.name for path in root.rglob("*") if path.is_file()]
    lists = sum(name.startswith("snap-") for name in names)
    return {
        "data": sum(name.endswith(".parquet") for name in names),
        "manifest": sum(name.endswith(".avro") for name in names) - lists,
        "manifest list": lists,
        "metadata": sum(name.endswith(".metadata.json") for name in names),
    }


def age(lake: Lake, hours: float) -> None:
    """Let the table's files be ``hours`` older than they are."""
    for path in Path(lake.uri(TABLE).removeprefix("file://")).rglob("*"):
        stamp = path.stat().st_mtime - hours * 3600
        os.utime(path, (stamp, stamp))


def days_of_manifests(lake: Lake, table: Table = TABLE) -> list[set[int]]:
    """The days (from ``DAY``) that each live manifest holds."""
    found = lake.table(table)
    epoch = (DAY.date - dt.date(1970, 1, 1)).days
    held = [
        {e.data_file.partition[0] - epoch for e in m.fetch_manifest_entry(found.io)}
        for m in manifests_of(found)
    ]
    return sorted(held, key=min)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    found = lake_at(tmp_path / "lake")
    yield found
    close(found)


# --- closed days ---------------------------------------------------------------------------------


def test_a_closed_day_becomes_one_file_in_the_tables_order_and_an_open_day_stays(
    lake: Lake,
) -> None:
    fill(lake)
    before = lake.read(TABLE)
    done = maintain(lake, 1)
    assert (done.days_rewritten, done.files_rewritten) == (2, 8)
    found = lake.table(TABLE)
    tasks = list(found.scan().plan_files())
    assert len(tasks) == 2 + 4
    for day in (0, 1):
        scan = found.scan(f"operating_day == '{where(day)['operating_day']}'")
        assert scan.to_arrow()["load"].to_pylist() == [0, 1, 2, 3]
    assert lake.read(TABLE).equals(before)


def test_the_closed_days_of_all_months_are_rewritten_by_one_run(lake: Lake) -> None:
    fill(lake, (-40, -20, 0), merges=2)
    assert maintain(lake, 1).days_rewritten == 3
    assert len(list(lake.table(TABLE).scan().plan_files())) == 3


def test_history_and_quarantine_are_maintained_alike(desk: Desk) -> None:
    lake = desk.resources.lake
    for number in range(3):
        lake.merge(TABLE, frame({1: 10.0 + number}, fetch=number))
    assert maintain(lake, 1, TABLE.history).days_rewritten == 1
    assert lake.read(TABLE.history)["load"].to_list() == [10, 11]
    for key in ("one", "other"):
        for number in range(3):
            lake.merge(QUARANTINE, refused(key, number))
    assert maintain(lake, 1, QUARANTINE).days_rewritten == 2
    assert lake.summary(QUARANTINE, "fetched_at").files == 2  # type: ignore[union-attr]  # it is there
    assert lake.counts_by(QUARANTINE, "dataset") == {"one": 3, "other": 3}


def refused(dataset: str, number: int) -> Any:  # noqa: ANN401  a frame
    import polars as pl

    rows = {n: ["x"] for n in QUARANTINE.names if n not in {"operating_day", "fetched_at"}}
    found = pl.DataFrame(rows | {"dataset": [dataset], "received_hash": [f"{number}"]})
    found = found.with_columns(
        operating_day=pl.lit(DAY.date),
        fetched_at=pl.lit(DAY.end, dtype=QUARANTINE.schema["fetched_at"]),
    )
    return found.select(QUARANTINE.names)


def test_a_day_written_within_ten_minutes_is_left_to_the_next_run(lake: Lake) -> None:
    fill(lake, (0,))
    assert maintain(lake, 0.1).days_rewritten == 0
    assert maintain(lake, 0.2).days_rewritten == 1


def test_a_day_that_a_writer_changes_meanwhile_keeps_what_it_wrote(lake: Lake) -> None:
    fill(lake, (0, 1))

    def write(sentence: str) -> None:
        if "1 of 2 closed days rewritten" in sentence:
            lake.merge(TABLE, frame({9: 9.0, 1: 100.0}, fetch=1, day=0))

    done = maintain(lake, 1, progress=write)
    assert done.days_rewritten == 1, "the other day"
    assert lake.read(TABLE, where(0))["load"].to_list() == [0, 100, 2, 3, 9]
    assert lake.read(TABLE, where(1))["load"].to_list() == [0, 1, 2, 3]


# --- manifests -----------------------------------------------------------------------------------


def test_closed_days_of_a_month_share_a_manifest_and_open_days_have_their_own(lake: Lake) -> None:
    fill(lake, (-20, 0, 1, OPEN, OPEN + 1), merges=2)
    assert len(days_of_manifests(lake)) == 10
    done = maintain(lake, 1)
    assert (done.manifests_before, done.manifests_after) == (10, 4)
    assert days_of_manifests(lake) == [{-20}, {0, 1}, {OPEN}, {OPEN + 1}]


def test_a_moved_file_keeps_its_snapshot_and_its_sequence_numbers(lake: Lake) -> None:
    fill(lake, (0, 1), merges=1)
    fill(lake, (OPEN,), merges=2)

    def known() -> dict[str, tuple[int | None, ...]]:
        found = lake.table(TABLE)
        return {
            e.data_file.file_path: (e.snapshot_id, e.sequence_number, e.file_sequence_number)
            for m in manifests_of(found)
            for e in m.fetch_manifest_entry(found.io)
        }

    before = known()
    assert len(before) == 4
    assert maintain(lake, 1).manifests_after == 2
    assert known() == before


def test_maintenance_counts_no_row_anew_and_is_no_change_of_the_table(lake: Lake) -> None:
    fill(lake)
    before, counts = lake.summary(TABLE), lake.counts(TABLE, where(0))
    assert before is not None
    maintain(lake, 1)
    after = lake.summary(TABLE)
    assert after is not None
    assert lake.counts(TABLE, where(0)) == counts == (4, 12)
    assert (after.rows, after.days, after.files) == (before.rows, before.days, 6)
    assert (after.first, after.last) == (before.first, before.last)
    assert after.last_commit == before.last_commit


def test_maintenance_again_finds_nothing_to_do(lake: Lake) -> None:
    fill(lake)
    maintain(lake, 1)
    found = lake.table(TABLE).metadata_location
    again = maintain(lake, 1)
    assert again == Maintained(TABLE.identifier, manifests_before=2, manifests_after=2)
    assert lake.table(TABLE).metadata_location == found


def test_a_table_that_nobody_made_is_not_made(lake: Lake) -> None:
    assert maintain(lake, 1) == Maintained(TABLE.identifier)
    assert lake.find(TABLE) is None


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are opened for reading, by name."""
    names: list[str] = []
    original = PyArrowFile.open

    def opening(self: PyArrowFile, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  as pyiceberg has it
        names.append(self.location.rpartition("/")[2])
        return original(self, *arguments, **options)

    monkeypatch.setattr(PyArrowFile, "open", opening)
    return names


def test_a_merge_into_an_open_day_reads_no_manifest_of_closed_days(
    lake: Lake, opened: list[str]
) -> None:
    fill(lake)
    maintain(lake, 1)
    closed, still_open = (m.manifest_path for m in ordered(lake))
    other = Lake(dict(lake.catalog.properties))
    opened.clear()
    other.merge(TABLE, frame({8: 8.0}, day=OPEN))
    assert still_open.rpartition("/")[2] in opened
    assert closed.rpartition("/")[2] not in opened
    assert not [name for name in opened if name.endswith(".parquet")], "their bounds are apart"
    close(other)


def ordered(lake: Lake) -> list[Any]:
    """The live manifests of a maintained table: those of closed days first."""
    return sorted(manifests_of(lake.table(TABLE)), key=lambda m: m.partitions[0].lower_bound)


def test_days_bounds_and_counts_read_each_manifest_once_and_no_row(
    lake: Lake, opened: list[str]
) -> None:
    fill(lake)
    other = Lake(dict(lake.catalog.properties))
    for _ in range(2):
        assert other.days(TABLE) == [where(n)["operating_day"] for n in (0, 1, OPEN)]
        assert other.summary(TABLE) is not None
        first, last = (where(n)["operating_day"] for n in (0, 1))
        assert other.volumes(TABLE, first, last) == {first: (4, 1), last: (4, 1)}
    read = [name for name in opened if not name.endswith(".json") and "snap-" not in name]
    assert len(read) == len(set(read)) == 12
    assert all(name.endswith(".avro") for name in read)
    close(other)


def test_threads_share_what_manifests_tell(lake: Lake) -> None:
    fill(lake)
    days = [where(n)["operating_day"] for n in (0, 1, OPEN)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: lake.days(TABLE), range(24))) == [days] * 24


def test_status_counts_the_quarantine_without_reading_it(desk: Desk, opened: list[str]) -> None:
    from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD

    desk.resources.lake.merge(QUARANTINE, refused(ISONE_SYSTEM_LOAD.key, 1))
    desk.resources.lake.merge(QUARANTINE, refused("another", 1))
    opened.clear()
    assert ingest.status(desk.resources, (ISONE_SYSTEM_LOAD,))[0].quarantined == 1
    assert not [name for name in opened if name.endswith(".parquet")]


def test_status_reads_anew_what_another_version_remembers_otherwise(desk: Desk) -> None:
    from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD as LOAD

    desk.resources.lake.table(LOAD.table)
    desk.resources.archive.sizes(LOAD.archive_name, {})
    before = ingest.status(desk.resources, (LOAD,))
    desk.resources.state.set(f"table-summary:{LOAD.table.identifier}", '{"rows": 7}', 60)
    desk.resources.state.set(f"archive-sizes:{LOAD.archive_name}", '{"2026-07-20": 7}', 60)
    assert ingest.status(desk.resources, (LOAD,)) == before


# --- snapshots and files -------------------------------------------------------------------------


def test_what_nothing_refers_to_goes_after_a_day_and_not_before(lake: Lake) -> None:
    fill(lake)
    for number in range(
        12
    ):  # an open day that is corrected: each time a file takes another's place
        lake.merge(TABLE, frame({0: float(number + 1)}, fetch=number + 1, day=OPEN))
    rows = lake.read(TABLE)
    maintain(lake, 1)
    many = files(lake)
    assert maintain(lake, 23).files_deleted == {}
    assert files(lake) == many
    done = maintain(lake, 26)
    assert done.snapshots_expired > 0
    assert sum(done.files_deleted.values()) > 20
    few = files(lake)
    for kind in ("data", "manifest"):
        assert many[kind] - few[kind] == done.files_deleted[kind] > 0
    assert few["manifest list"] == SNAPSHOTS_KEPT + 1, "one came before the deletion"
    assert lake.read(TABLE).equals(rows)


def test_a_dry_run_says_what_a_run_does_and_writes_nothing(lake: Lake) -> None:
    fill(lake)
    lake.merge(TABLE, frame({0: 5.0}, fetch=1, day=OPEN))
    for hours in (1, 26, 52):
        before, place = files(lake), lake.table(TABLE).metadata_location
        text = maintain(lake, hours, dry_run=True)
        assert (files(lake), lake.table(TABLE).metadata_location) == (before, place)
        assert maintain(lake, hours) == text


def test_a_reader_of_what_was_current_can_read_it_for_a_day(lake: Lake) -> None:
    fill(lake, (0,), merges=6)
    found = lake.table(TABLE)
    maintain(lake, 1)
    for number in range(2 * SNAPSHOTS_KEPT):
        lake.merge(TABLE, frame({number: 1.0}, day=OPEN))
    age(lake, 48)
    assert maintain(lake, 23).files_deleted["manifest list"] > 0
    assert sorted(found.scan().to_arrow()["load"].to_pylist()) == [0, 1, 2, 3, 4, 5]


def test_an_append_before_an_append_is_expendable_and_what_a_rewrite_replaced_is_not(
    lake: Lake,
) -> None:
    for number in range(4):
        lake.merge(TABLE, frame({number: 1.0}))
    lake.merge(TABLE, frame({0: 2.0}, fetch=1))
    for number in range(4, 4 + SNAPSHOTS_KEPT):
        lake.merge(TABLE, frame({number: 1.0}, fetch=2))
    metadata = lake.table(TABLE).metadata
    now = dt.datetime.now(dt.UTC)
    ids = [s.snapshot_id for s in sorted(metadata.snapshots, key=lambda s: s.sequence_number or 0)]
    assert expendable(metadata, now) == ids[:3]
    assert expendable(metadata, now + 25 * HOUR) == ids[:-SNAPSHOTS_KEPT]


def test_files_of_others_and_what_has_another_name_stay(lake: Lake) -> None:
    fill(lake, (0,))
    lake.merge(TABLE, frame({0: 5.0}, fetch=1))
    theirs = files(lake, TABLE.history)
    root = Path(lake.uri(TABLE).removeprefix("file://"))
    (root / "data" / "notes.txt").write_text("mine")
    (root / "data" / "left.parquet").write_text("of a writer that was killed")
    for hours in (1, 26, 52):
        maintain(lake, hours)
    assert (root / "data" / "notes.txt").exists()
    assert not (root / "data" / "left.parquet").exists()
    assert files(lake, TABLE.history) == theirs


def test_the_files_of_a_table_that_was_dropped_stay_where_its_metadata_is(lake: Lake) -> None:
    fill(lake, (0,), merges=2)
    before, place = lake.read(TABLE), lake.table(TABLE).metadata_location
    lake.catalog.drop_table(TABLE.identifier)
    fill(lake, (1,), merges=2)
    for hours in (1, 26, 52):
        maintain(lake, hours)
    lake.catalog.drop_table(TABLE.identifier)
    lake.catalog.register_table(TABLE.identifier, place)
    assert lake.read(TABLE).equals(before)


def test_metadata_that_a_commit_forgets_meanwhile_stops_nothing(lake: Lake) -> None:
    fill(lake, (0,), merges=2)

    def write(sentence: str) -> None:
        if sentence.endswith("1 of 1 closed days rewritten"):  # the files are listed by then
            for number in range(16):
                lake.merge(TABLE, frame({number: 1.0}, day=OPEN))

    assert maintain(lake, 1, progress=write).days_rewritten == 1


def test_metadata_that_a_kill_cut_off_stops_nothing_and_goes_too(lake: Lake) -> None:
    fill(lake, (0,), merges=2)
    cut = Path(lake.uri(TABLE).removeprefix("file://")) / "metadata" / "00009-x.metadata.json"
    cut.write_text("")
    maintain(lake, 1)
    assert cut.exists()
    maintain(lake, 26)
    assert not cut.exists()


def test_a_writer_that_slept_a_day_before_its_commit_loses_no_row(tmp_path: Path) -> None:
    """Its files are gone by then; the commit after them makes it begin again."""
    awake = lake_at(tmp_path, locked=False)
    fill(awake, (0,), merges=1)
    found = catalogs.open_catalog(awake.catalog.properties)
    commit = found.commit_table
    deleted: list[Mapping[str, int]] = []

    def sleep(*arguments: Any) -> Any:  # noqa: ANN401  as pyiceberg has it
        if not deleted:
            deleted.append(maintain(awake, 25).files_deleted)
        return commit(*arguments)

    found.commit_table = sleep  # type: ignore[method-assign, assignment]
    merged = Lake(awake.catalog.properties, catalog=found).merge(TABLE, frame({5: 5.0}))
    assert deleted[0]["data"] == 1
    assert merged.attempts == 2
    assert loads(awake) == [0, 5]
    close(awake)
    found.close()


def test_a_writer_whose_expiry_another_did_first_begins_again(tmp_path: Path) -> None:
    """Both expire the same snapshots; the rows of the one that came second are not lost."""
    other = lake_at(tmp_path, locked=False)
    found = catalogs.open_catalog(other.catalog.properties)
    commit = found.commit_table
    raced: list[int] = []

    def late(table: Any, requirements: Any, updates: Any) -> Any:  # noqa: ANN401  as pyiceberg has it
        ids = [i for u in updates if isinstance(u, RemoveSnapshotsUpdate) for i in u.snapshot_ids]
        if ids and not raced:
            raced.extend(ids)
            other.rewriting(TABLE, lambda held: expire(held, ids))
        return commit(table, requirements, updates)

    found.commit_table = late  # type: ignore[method-assign]
    writer = Lake(other.catalog.properties, catalog=found)
    attempts = [writer.merge(TABLE, frame({n: float(n)})).attempts for n in range(20)]
    assert len(raced) >= SNAPSHOTS_KEPT
    assert sorted(attempts) == [1] * 19 + [2]
    assert loads(other) == list(range(20))
    close(other)
    found.close()


def test_maintenance_killed_beside_writers_and_a_reader_loses_and_doubles_nothing() -> None:
    proof = prove_maintain(kills=2, kept=8.0)
    assert proof.broken == []
    assert proof.counts["kills"] == 2


def test_two_days_of_ticks_with_maintenance_lose_nothing_and_leave_a_days_files(
    tmp_path: Path,
) -> None:
    year = Year(tmp_path)
    home = year.resources()
    for _ in range(2):
        year.live_through(home, measure=False)
    assert year.lost_or_doubled(home.lake) == []
    data = list((tmp_path / "lake" / "warehouse").rglob("*.parquet"))
    assert len(data) < 6 + 30
    assert year.deleted > 30
    close(home.lake)


# --- wherever the lake is ------------------------------------------------------------------------


@pytest.fixture(params=["Postgres and S3", "REST", "Glue and S3"])
def anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lake]:
    with ExitStack() as stack:
        lake = lake_of(request, tmp_path, stack, monkeypatch)
        yield lake
        close(lake)


def lake_of(
    request: pytest.FixtureRequest, root: Path, stack: ExitStack, environment: pytest.MonkeyPatch
) -> Lake:
    kind = request.param
    if kind == "REST":
        rest = stack.enter_context(rest_catalog(root))
        return Lake({"type": "rest", "uri": rest.url}, locks=root)
    if kind == "Glue and S3":
        import boto3

        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        url = stack.enter_context(aws_server())
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="lake")
        s3 = {"s3.endpoint": url, "s3.region": "us-east-1"}
        return Lake(catalogs.catalog_properties("glue", url, "s3://lake/t", "", home=root, s3=s3))
    postgres: str = request.getfixturevalue("postgres_url")
    server = request.getfixturevalue("s3")
    bucket = uuid.uuid4().hex
    server.make_bucket(bucket)
    s3 = {"s3.endpoint": server.url, "s3.region": "us-east-1"}
    place = f"s3://{bucket}/tables"
    return Lake(catalogs.catalog_properties("sql", postgres, place, "", home=root, s3=s3))


def test_maintenance_is_alike_whatever_the_catalog_and_wherever_the_files(anywhere: Lake) -> None:
    fill(anywhere, (0,), merges=3)
    fill(anywhere, (OPEN,), merges=2)
    anywhere.merge(TABLE, frame({0: 5.0}, fetch=1, day=OPEN))
    before = anywhere.read(TABLE)
    first = maintain(anywhere, 1)
    assert (first.days_rewritten, first.manifests_after) == (1, 2)
    text = maintain(anywhere, 26, dry_run=True)
    done = maintain(anywhere, 26)
    assert done.files_deleted == text.files_deleted
    assert done.files_deleted["manifest list"] == first.snapshots_expired == 1
    assert anywhere.read(TABLE).equals(before)
    assert anywhere.merge(TABLE, frame({7: 7.0}, day=OPEN)).new == 1
