"""Rows come into the lake once each, keep their provenance, and leave no litter behind."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.manifest import ManifestFile

from aurum_assets import ingest
from aurum_assets.ingest.reference import REFERENCES
from aurum_assets.model.errors import ContractBroken, LakeUnreachable
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table, fold
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.lake import FILES_BEFORE_COMPACTION, Lake
from aurum_assets.resources.snapshots import SNAPSHOTS_KEPT
from aurum_assets_tests.conftest import Desk, utc
from aurum_assets_tests.proofs.proof import catalog_at, close, lake_at
from aurum_assets_tests.recordings import recording

TABLE = ISONE_SYSTEM_LOAD.table
REFERENCE = [table for r in REFERENCES for table in (r.table, r.sightings)]
DAY = ISONE_SYSTEM_LOAD.day("2026-07-20")
MARKS = DAY.marks(dt.timedelta(minutes=5))
FETCHED = utc("2026-07-20T21:26:00Z")


def frame(loads: dict[int, float], fetch: int = 0, day: int = 0) -> pl.DataFrame:
    """Rows of the day by interval number, given by fetch number ``fetch``."""
    shift = dt.timedelta(days=day)
    rows: list[dict[str, Any]] = [
        {
            "operating_day": DAY.date + shift,
            "interval_start": MARKS[n] + shift,
            "interval_end": MARKS[n] + shift + dt.timedelta(minutes=5),
            "load": load,
            "source_timezone": "America/New_York",
            "fetched_at": FETCHED + dt.timedelta(minutes=fetch),
            "raw_sha256": f"{fetch:064d}",
        }
        for n, load in sorted(loads.items())
    ]
    absent = dict.fromkeys(TABLE.names)
    return pl.DataFrame([absent | row for row in rows], schema=TABLE.schema)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.local(tmp_path / "lake")


@pytest.fixture(params=["sqlite", "postgres"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Lake]:
    """Opens the same lake each time: its catalog is a file, or in Postgres."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return lambda: lake_at(tmp_path / "lake", url)


@pytest.fixture
def anywhere(reopen: Callable[[], Lake]) -> Iterator[Lake]:
    """A lake that must behave alike whatever its catalog."""
    found = reopen()
    yield found
    close(found)


def where(day: int = 0) -> dict[str, Any]:
    return {"operating_day": DAY.date + dt.timedelta(days=day)}


def loads(lake: Lake) -> list[float]:
    return lake.read(TABLE)["load"].to_list()


# --- what a table is -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table", [*(d.table for d in DATASETS), QUARANTINE, *REFERENCE], ids=lambda t: t.name
)
def test_a_table_has_documented_columns_identity_partitions_and_a_sort_order(
    lake: Lake, table: Table
) -> None:
    found = lake.table(table)
    schema = found.schema()
    assert [(f.name, f.doc) for f in schema.fields] == [
        (c.name, c.described) for c in table.columns
    ]
    assert [(f.name, str(f.transform)) for f in found.spec().fields] == [
        (n, "identity") for n in table.partition
    ]
    order = [schema.find_column_name(f.source_id) for f in found.sort_order().fields]
    assert order == list(table.order)
    assert found.properties["comment"] == table.doc
    assert found.properties["commit.retry.num-retries"] == "0"
    assert [str(c.identifier) for c in [table]] == [f"{table.namespace}.{table.name}"]


def test_a_table_that_nobody_made_is_empty_and_reading_makes_none(anywhere: Lake) -> None:
    assert anywhere.read(TABLE).is_empty()
    assert dict(anywhere.read(TABLE).schema) == TABLE.schema
    assert anywhere.find(TABLE) is None
    assert anywhere.summary(TABLE) is None
    assert anywhere.counts(TABLE, where()) == (0, 0)


def test_another_table_after_a_drop_has_another_identity(
    anywhere: Lake, reopen: Callable[[], Lake]
) -> None:
    first = anywhere.uuid(TABLE)
    assert anywhere.uuid(TABLE) == first
    anywhere.catalog.drop_table(TABLE.identifier)
    again = reopen()
    assert again.uuid(TABLE) != first
    close(again)


def test_a_dropped_table_is_filled_again_from_the_archive(desk: Desk) -> None:
    desk.bring(ISONE_SYSTEM_LOAD, recording("isone_system_load", "live", "ordinary").body)
    before = desk.rows(ISONE_SYSTEM_LOAD)
    assert len(before) == 3
    desk.resources.lake.catalog.drop_table(TABLE.identifier)
    ingest.normalize(desk.resources, ISONE_SYSTEM_LOAD, DAY)
    assert desk.rows(ISONE_SYSTEM_LOAD).equals(before)


# --- merge ---------------------------------------------------------------------------------------


def test_what_goes_in_comes_out_in_the_tables_order(anywhere: Lake) -> None:
    merged = anywhere.merge(TABLE, frame({3: 3.5, 1: 1.25, 2: -0.0}))
    assert (merged.new, merged.changed, merged.unchanged, merged.removed) == (3, 0, 0, 0)
    assert merged.snapshot_id is not None
    read = anywhere.read(TABLE)
    assert read.equals(frame({1: 1.25, 2: -0.0, 3: 3.5}))
    assert dict(read.schema) == TABLE.schema


def test_a_merge_says_what_is_new_changed_and_unchanged(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({1: 10, 2: 20, 3: 30}))
    merged = anywhere.merge(TABLE, frame({2: 20, 3: 31, 4: 40}, fetch=5))
    assert (merged.new, merged.changed, merged.unchanged) == (1, 1, 1)
    assert loads(anywhere) == [10, 20, 31, 40]


def test_rows_that_did_not_change_keep_the_fetch_that_gave_them_first(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({1: 10, 2: 20}))
    anywhere.merge(TABLE, frame({1: 10, 2: 21}, fetch=5))
    fetched = anywhere.read(TABLE)["fetched_at"].to_list()
    assert fetched == [FETCHED, FETCHED + dt.timedelta(minutes=5)]
    assert anywhere.read(TABLE)["raw_sha256"].to_list() == [f"{0:064d}", f"{5:064d}"]


@pytest.mark.parametrize("again", [{1: 10.0, 2: 20.0}, {1: 10.0}, {}])
def test_nothing_new_is_no_commit(anywhere: Lake, again: dict[int, float]) -> None:
    first = anywhere.merge(TABLE, frame({1: 10, 2: 20}))
    merged = anywhere.merge(TABLE, frame(again, fetch=5))
    assert (merged.new, merged.changed, merged.unchanged) == (0, 0, len(again))
    assert merged.snapshot_id is None
    head = anywhere.table(TABLE).current_snapshot()
    assert head is not None
    assert head.snapshot_id == first.snapshot_id


def test_rows_that_a_snapshot_does_not_name_stay(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({1: 10, 2: 20}))
    anywhere.merge(TABLE, frame({2: 21}, fetch=5))
    assert loads(anywhere) == [10, 21]


def test_days_do_not_touch_each_other(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({1: 10}))
    anywhere.merge(TABLE, frame({1: 11}, day=1))
    anywhere.merge(TABLE, frame({1: 12}, fetch=5))
    assert anywhere.read(TABLE, where(0))["load"].to_list() == [12]
    assert anywhere.read(TABLE, where(1))["load"].to_list() == [11]
    assert anywhere.counts(TABLE, where(1)) == (1, 2)


def test_a_merge_of_two_days_is_refused(anywhere: Lake) -> None:
    both = pl.concat([frame({1: 10}), frame({1: 11}, day=1)])
    with pytest.raises(ContractBroken, match="one partition, this frame holds 2"):
        anywhere.merge(TABLE, both)
    assert anywhere.read(TABLE).is_empty()


def test_a_null_where_none_may_be_is_refused_and_nothing_is_stored(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({1: 10}))
    broken = frame({2: 20}).with_columns(load=pl.lit(None, pl.Float64()))
    with pytest.raises(ContractBroken, match=r"market\.isone_system_load"):
        anywhere.merge(TABLE, broken)
    assert loads(anywhere) == [10]


STEPS = st.lists(
    st.dictionaries(st.integers(0, 5), st.integers(0, 2).map(float), min_size=1, max_size=4),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
@pytest.mark.slow
def test_merging_one_after_the_other_is_folding_all(
    tmp_path_factory: pytest.TempPathFactory, steps: list[dict[int, float]]
) -> None:
    lake = Lake.local(tmp_path_factory.mktemp("lake"))
    frames = [frame(step, fetch=n) for n, step in enumerate(steps)]
    for one in frames:
        lake.merge(TABLE, one)
    current, before = fold(TABLE, pl.concat(frames))
    assert lake.read(TABLE).equals(current)
    assert lake.read(TABLE.history).equals(before)


# --- replace -------------------------------------------------------------------------------------


def test_replace_makes_a_day_exactly_what_it_is_given(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({1: 10, 2: 20, 3: 30}))
    merged = anywhere.replace(TABLE, frame({2: 20, 3: 31, 4: 40}, fetch=5), where())
    assert (merged.new, merged.changed, merged.unchanged, merged.removed) == (1, 1, 1, 1)
    assert anywhere.read(TABLE).equals(frame({2: 20, 3: 31, 4: 40}, fetch=5))


def test_replacing_a_day_by_itself_is_no_commit(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({1: 10}))
    anywhere.merge(TABLE, frame({2: 20}, fetch=5))
    held = anywhere.read(TABLE)
    merged = anywhere.replace(TABLE, held, where())
    assert merged.snapshot_id is None
    assert merged.unchanged == 2


def test_replace_puts_provenance_right_even_where_no_value_changed(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({1: 10}, fetch=5))
    merged = anywhere.replace(TABLE, frame({1: 10}, fetch=0), where())
    assert merged.snapshot_id is not None
    assert anywhere.read(TABLE)["fetched_at"].to_list() == [FETCHED]


def test_a_day_can_be_replaced_by_nothing(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({1: 10}))
    anywhere.merge(TABLE, frame({1: 11}, day=1))
    assert anywhere.replace(TABLE, TABLE.empty(), where()).removed == 1
    assert anywhere.read(TABLE)["load"].to_list() == [11]
    assert anywhere.replace(TABLE, TABLE.empty(), where()).snapshot_id is None


def test_every_write_is_one_snapshot(anywhere: Lake) -> None:
    """Two would show a reader a day that is short."""
    snapshots = []
    for n in range(4):
        anywhere.merge(TABLE, frame({1: float(n), 2: 5.0}, fetch=n))
        snapshots.append(len(anywhere.table(TABLE).metadata.snapshots))
    assert snapshots == [1, 2, 3, 4]


# --- what a day of merges leaves behind ----------------------------------------------------------


@pytest.mark.slow
def test_a_day_of_merges_stays_small(lake: Lake, tmp_path: Path) -> None:
    most_files, most_snapshots = 0, 0
    count = 2 * FILES_BEFORE_COMPACTION + 6
    for n in range(count):
        lake.merge(TABLE, frame({n: float(n)}, fetch=n))
        found = lake.table(TABLE)
        most_files = max(most_files, sum(1 for _ in found.scan().plan_files()))
        most_snapshots = max(most_snapshots, len(found.metadata.snapshots))
    assert most_files == FILES_BEFORE_COMPACTION
    assert most_snapshots <= FILES_BEFORE_COMPACTION + SNAPSHOTS_KEPT + 1
    assert loads(lake) == [float(n) for n in range(count)]
    metadata = list((tmp_path / "lake").rglob("*.metadata.json"))
    assert len(metadata) <= 26  # the table's own bound, one in use, one just written
    summary = lake.summary(TABLE)
    assert summary is not None
    assert (summary.rows, summary.days) == (count, 1)
    assert summary.first == MARKS[0].replace(tzinfo=dt.UTC)
    assert summary.files == 6


def test_numbers_of_a_table_come_from_its_manifests(anywhere: Lake) -> None:
    anywhere.merge(TABLE, frame({0: 1, 287: 2}))
    anywhere.merge(TABLE, frame({5: 3}, day=2))
    summary = anywhere.summary(TABLE)
    assert summary is not None
    assert (summary.rows, summary.days, summary.files) == (3, 2, 2)
    assert (summary.first, summary.last) == (
        dt.datetime(2026, 7, 20, 4, tzinfo=dt.UTC),
        dt.datetime(2026, 7, 22, 4, 25, tzinfo=dt.UTC),
    )
    assert summary.last_commit is not None
    assert abs(summary.last_commit - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_days_are_known_without_reading_a_manifest_of_one_day(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (2, 0, 1, 0):
        lake.merge(TABLE, frame({5: 10.0 + day}, day=day))
    lake.replace(TABLE, TABLE.empty(), where(2))
    with monkeypatch.context() as unread:
        unread.delattr(ManifestFile, "fetch_manifest_entry")
        assert lake.days(TABLE) == [where(day)["operating_day"] for day in (0, 1)]


def test_days_that_were_stored_at_once_are_each_known(lake: Lake) -> None:
    for days in ((1, 4), (2, 6)):
        before = lake.stored(TABLE, where(days[0]))
        lake.swap(TABLE, [lake.write(TABLE, frame({5: 1}, day=d), where(d), before) for d in days])
    assert lake.days(TABLE) == [where(day)["operating_day"] for day in (1, 2, 4, 6)]


def test_a_partition_is_a_folder_of_its_own(lake: Lake, tmp_path: Path) -> None:
    lake.merge(TABLE, frame({1: 10}))
    (path,) = (tmp_path / "lake").rglob("*.parquet")
    assert re.search(r"/operating_day=2026-07-20/[^/]+\.parquet$", str(path))


class FullDisk(PyArrowFileIO):
    """Files that land on a device without room: the kernel's own answer."""

    def new_output(self, location: str) -> PyArrowFile:
        return super().new_output("/dev/full" if location.endswith(".parquet") else location)


def test_a_full_disk_is_one_sentence_at_once_and_nothing_is_stored(
    lake: Lake, tmp_path: Path
) -> None:
    lake.merge(TABLE, frame({1: 10}))
    full = Lake({**catalog_at(tmp_path / "lake"), "py-io-impl": f"{__name__}.FullDisk"})
    text = r"^market\.isone_system_load: no space is left for the lake's warehouse .*make room"
    with pytest.raises(LakeUnreachable, match=text):
        full.merge(TABLE, frame({2: 20}))
    close(full)
    assert loads(lake) == [10]
