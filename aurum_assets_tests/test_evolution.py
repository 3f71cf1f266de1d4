"""A table made by an earlier version opens, is read and written, and takes the columns since."""

import hashlib
import json
import threading
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from pyiceberg.table import Table as IcebergTable

from aurum_assets import ingest
from aurum_assets.api import OpenLake
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import ContractBroken
from aurum_assets.model.table import Column, Table
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.ancillary import ISONE_ANCILLARY_SERVICES, ISONE_REGULATION_PRICES
from aurum_assets.resources.lake import Lake
from aurum_assets.simulator.isone.day_ahead_reserves import reserve_data_records
from aurum_assets.simulator.isone.payloads import wrapped_newer
from aurum_assets_tests.conftest import Aurum, Desk, printed, utc
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import FETCHED_AT
from aurum_assets_tests.servers.rest import rest_catalog

TABLE = ISONE_ANCILLARY_SERVICES.table
DAY = ISONE_ANCILLARY_SERVICES.day("2026-07-20")
LATER = utc("2026-07-21T13:00:00Z")


def as_it_was(table: Table) -> Table:
    """The table as it was declared before any column was added, with a hash in each row."""
    columns = [c for c in table.columns if c.name not in table.added]
    columns.insert(-1, Column("record_hash", pl.String(), "SHA-256 over table, key and values."))
    return replace(
        table,
        columns=tuple(columns),
        values=tuple(n for n in table.values if n not in table.added),
        added=(),
    )


OLD = as_it_was(TABLE)
AFTER = [*(n for n in OLD.names if n != "record_hash"), "requirement"]


def rows(price: float = 5.25, requirement: float | None = None, at: object = None) -> pl.DataFrame:
    """One row of the table, as a merge takes it."""
    frame = pl.DataFrame(
        {
            "operating_day": [DAY.date],
            "interval_start": [utc("2026-07-20T04:00:00Z")],
            "interval_end": [utc("2026-07-20T05:00:00Z")],
            "product": ["TMSR"],
            "zone": ["7000"],
            "price": [price],
            "mw": [640.0],
            "requirement": [requirement],
            "source_timezone": [DAY.zone],
            "fetched_at": [at or FETCHED_AT],
            "raw_sha256": ["0" * 64],
        },
        schema_overrides=TABLE.schema,
    )
    return frame.select(TABLE.names)


def made_before(lake: Lake) -> pl.DataFrame:
    """A row that the earlier version merged, of an earlier value that it put into the history."""
    for price, at in ((5.0, utc("2026-07-20T12:00:00Z")), (5.25, FETCHED_AT)):
        old = rows(price, at=at).drop("requirement")
        old = old.with_columns(record_hash=OLD.record_hash()).select(OLD.names)
        lake.merge(OLD, old)
    return old


# --- the hash ------------------------------------------------------------------------------------

GOLDEN = "4b380f7ad5101b74c2e57a29cd45484a"  # sha256sum over the text below


def test_a_row_without_a_value_of_a_later_column_has_the_hash_that_it_always_had() -> None:
    text = (
        "isone_ancillary_services\x1f1784520000000000\x1fTMSR\x1f7000\x1f1784523600000000"
        "\x1f5.25\x1f640.0"
    )
    hashed = rows().select(TABLE.record_hash()).item()
    assert hashed == hashlib.sha256(text.encode()).hexdigest()[:32] == GOLDEN
    assert hashed == rows().select(OLD.record_hash()).item()


def test_a_value_of_a_later_column_counts_for_the_hash_with_its_name() -> None:
    text = (
        "isone_ancillary_services\x1f1784520000000000\x1fTMSR\x1f7000\x1f1784523600000000"
        "\x1f5.25\x1f640.0\x1frequirement=615.0"
    )
    hashed = rows(requirement=615).select(TABLE.record_hash()).item()
    assert hashed == hashlib.sha256(text.encode()).hexdigest()[:32]


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.key)
def test_a_column_that_was_added_may_be_null_and_is_no_part_of_the_key(dataset: Dataset) -> None:
    table = dataset.table
    nullable = {c.name for c in table.columns if c.nullable}
    assert set(table.added) <= nullable - {*table.key, *table.partition}
    assert table.history.added == table.added


# --- the lake ------------------------------------------------------------------------------------


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.local(tmp_path / "lake")


def test_a_table_of_before_is_read_with_nulls_and_not_touched(lake: Lake) -> None:
    made_before(lake)
    found = lake.read(TABLE, {"operating_day": DAY.date})
    assert (found["price"].to_list(), found["requirement"].to_list()) == ([5.25], [None])
    assert lake.read(TABLE, columns=("requirement",))["requirement"].to_list() == [None]
    assert lake.read(TABLE.history)["requirement"].to_list() == [None]
    there = lake.find(TABLE)
    assert there is not None
    assert there.schema().column_names == OLD.names


def test_the_same_content_merged_again_adds_nothing(lake: Lake) -> None:
    made_before(lake)
    done = lake.merge(TABLE, rows(at=LATER))
    assert (done.new, done.changed, done.unchanged, done.snapshot_id) == (0, 0, 1, None)


def test_what_is_merged_afterwards_is_there_in_the_table_and_its_history(lake: Lake) -> None:
    made_before(lake)
    done = lake.merge(TABLE, rows(requirement=615, at=LATER))
    assert (done.new, done.changed) == (0, 1)
    assert lake.read(TABLE)["requirement"].to_list() == [615.0]
    assert lake.read(TABLE.history).sort("fetched_at")["price"].to_list() == [5.0, 5.25]
    assert lake.read(TABLE.history)["requirement"].to_list() == [None, None]
    third = rows(requirement=620, at=utc("2026-07-21T14:00:00Z"))
    assert lake.merge(TABLE, third).changed == 1
    assert lake.read(TABLE.history).sort("fetched_at")["requirement"].to_list() == [
        None,
        None,
        615.0,
    ]


def test_a_day_is_replaced_across_the_change(lake: Lake) -> None:
    made_before(lake)
    done = lake.replace(TABLE, rows(requirement=615), {"operating_day": DAY.date})
    assert (done.new, done.changed) == (0, 1)
    assert lake.read(TABLE).equals(rows(requirement=615))


def test_writers_who_find_the_column_missing_at_once_all_succeed(tmp_path: Path) -> None:
    made_before(Lake.local(tmp_path / "lake"))
    failures: list[Exception] = []
    barrier = threading.Barrier(4)

    def evolve(lake: Lake) -> None:
        try:
            lake.catalog  # noqa: B018  opened before all begin
            barrier.wait()
            assert "requirement" in lake.table(TABLE).schema().column_names
        except Exception as error:  # noqa: BLE001  shown below
            failures.append(error)

    threads = [
        threading.Thread(target=evolve, args=(Lake.local(tmp_path / "lake"),)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    names = Lake.local(tmp_path / "lake").table(TABLE).schema().column_names
    assert names == AFTER


def test_a_column_that_may_not_be_null_cannot_come_later(lake: Lake) -> None:
    made_before(lake)
    strict = Column("requirement", pl.Float64(), "What is required of it.", "MW")
    table = replace(OLD, columns=(*OLD.columns, strict))
    with pytest.raises(ContractBroken, match="lacks requirement, which may not be null"):
        lake.table(table)


def test_a_table_that_is_as_declared_is_not_committed_to(lake: Lake) -> None:
    def location(table: IcebergTable) -> str:
        return table.metadata_location

    first = location(lake.table(TABLE))
    assert location(lake.table(TABLE)) == first


@pytest.mark.parametrize("answer", [500, 409, 0], ids=lambda n: f"answered {n}")
def test_a_column_is_added_once_where_rest_lost_the_answer(tmp_path: Path, answer: int) -> None:
    with rest_catalog(tmp_path) as rest:
        lake = Lake({"type": "rest", "uri": rest.url}, sleep=lambda _: None, locks=tmp_path)
        made_before(lake)
        rest.lies = [answer]
        assert lake.merge(TABLE, rows(requirement=615, at=LATER)).changed == 1
        assert rest.lies == []
        assert lake.read(TABLE)["requirement"].to_list() == [615.0]
        assert lake.table(TABLE).schema().column_names == AFTER


# --- the whole way -------------------------------------------------------------------------------


def body(day: str) -> bytes:
    records = reserve_data_records(ISONE_ANCILLARY_SERVICES.day(day))
    tree = wrapped_newer("day_ahead_reserves", "day_ahead_reserve", records)
    return json.dumps(tree).encode()


def test_a_home_of_before_answers_as_of_sql_and_scan_and_is_completed_by_a_replay(
    aurum: Aurum, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    resources = remade(desk.resources, root=Path(environment["AURUM_HOME"]))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made_before(resources.lake)
    lake = OpenLake()
    assert lake.scan(TABLE.name).collect()["requirement"].to_list() == [None]
    before = lake.as_of(TABLE.name, utc("2026-07-20T13:00:00Z")).collect()
    assert (before["price"].to_list(), before["requirement"].to_list()) == ([5.0], [None])
    query = "select price, requirement from isone_ancillary_services"
    assert printed(aurum("sql", query, "--json"))["data"] == [{"price": 5.25, "requirement": None}]
    resources.lake.merge(TABLE, rows(5.5, 615, at=LATER))
    assert printed(aurum("sql", query, "--json"))["data"] == [{"price": 5.5, "requirement": 615.0}]
    known = lake.as_of(TABLE.name, utc("2026-07-21T12:30:00Z")).collect()
    assert (known["price"].to_list(), known["requirement"].to_list()) == ([5.25], [None])
    exported = aurum("export", "--dataset", TABLE.name, "--day", DAY.key, "--output", "-")
    assert "615.0" in exported.stdout


def test_a_replay_fills_the_label_that_the_earlier_version_dropped(desk: Desk) -> None:
    table, old = ISONE_REGULATION_PRICES.table, as_it_was(ISONE_REGULATION_PRICES.table)
    record = {
        "BeginDate": "2026-07-20T17:20:01.000-04:00",
        "RegServiceClearingPrice": 0.16,
        "RegCapacityClearingPrice": 22,
        "HourEnd": "18",
    }
    tree = {"FiveMinRcps": {"FiveMinRcp": [record]}}
    desk.bring(ISONE_REGULATION_PRICES, json.dumps(tree).encode())
    rows = desk.rows(ISONE_REGULATION_PRICES)
    desk.resources.lake.catalog.drop_table(table.identifier)
    before = rows.with_columns(record_hash=old.record_hash())
    desk.resources.lake.merge(old, before.select(old.names))
    assert desk.rows(ISONE_REGULATION_PRICES)["hour_ending"].to_list() == [None]
    assert desk.resources.lake.merge(table, rows).unchanged == 1  # a name is no value
    ingest.replay(
        desk.resources, ISONE_REGULATION_PRICES, ISONE_REGULATION_PRICES.day("2026-07-20")
    )
    assert desk.rows(ISONE_REGULATION_PRICES)["hour_ending"].to_list() == ["18"]
