"""What the operators publish beside what the documents tell, read without a warning."""

import datetime as dt
import json
from collections import Counter
from typing import Any

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.ingest.reference import crosswalk, home_file, observe
from aurum_assets.model.drift import field_of
from aurum_assets.operators.isone.ancillary import (
    ISONE_ANCILLARY_SERVICES,
    ISONE_REGULATION_PRICES,
    ISONE_RESERVE_PRICES,
)
from aurum_assets.operators.isone.generation import ISONE_GENERATION_MIX
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.configuration import Configuration
from aurum_assets.simulator.isone.ancillary import regulation_records, reserve_records
from aurum_assets.simulator.isone.day_ahead_reserves import reserve_data_records
from aurum_assets.simulator.isone.generation import mix_records
from aurum_assets.simulator.isone.locations import location_records
from aurum_assets.simulator.isone.payloads import wrapped, wrapped_newer
from aurum_assets_tests.conftest import Brought, Desk
from aurum_assets_tests.recordings import recording
from aurum_assets_tests.test_datasets import bring

NEW_TYPES = {
    "HUB NODE",
    "DRRAZ",
    "DISPATCH ZONE",
    "RELIABILITY REGION",
    "CAPACITY ZONE",
    "EXT. AREA",
    "INT. AREA",
    "SYSTEM",
}
Json = dict[str, Any]
DAY = ISONE_RESERVE_PRICES.day("2026-07-20")


def quiet(brought: Brought) -> None:
    """Nothing was kept out, and no field was news."""
    assert brought.done.quarantined == 0
    assert brought.done.drift == ()
    for name in ("contract", "enums_and_ranges", "schema_drift", "empty_answer"):
        assert brought.verdicts[name].passed, brought.verdicts[name].reason


# --- locations -----------------------------------------------------------------------------------


def test_the_whole_list_of_locations_has_the_operators_shape_and_no_warning(desk: Desk) -> None:
    records = location_records()
    kinds = Counter(r["LocationType"] for r in records)
    units = [r for r in records if r.get("NetworkNodeType") == "UNIT"]
    assert (len(records), kinds["NETWORK NODE"], len(units)) == (1302, 1190, 393)
    assert sum(kinds[kind] for kind in NEW_TYPES) == 93
    assert set(kinds) >= NEW_TYPES
    assert [r["LocationType"] for r in records if r["LocationID"] == 7000] == ["SYSTEM"]
    body = json.dumps(wrapped("Locations", "Location", records)).encode()
    brought = desk.bring(ISONE_LOCATIONS, body)
    quiet(brought)
    assert all(v.passed for v in brought.verdicts.values()), brought.verdicts
    assert len(desk.rows(ISONE_LOCATIONS)) == 1302


@pytest.mark.parametrize("kind", ["METERING DOMAIN", "DRR AGGREGATION ZONE"])
def test_a_type_that_the_operator_does_not_have_is_a_new_word(desk: Desk, kind: str) -> None:
    records = location_records()
    records[0]["LocationType"] = kind
    brought = desk.bring(
        ISONE_LOCATIONS, json.dumps(wrapped("Locations", "Location", records)).encode()
    )
    (found,) = brought.done.drift
    assert (found.kind, found.field) == ("new_value", "LocationType")
    assert len(desk.rows(ISONE_LOCATIONS)) == 1302  # a warning stores


@pytest.mark.parametrize(
    "dataset", [ISONE_DA_LMP, ISONE_RT_LMP, ISONE_RT_HOURLY_LMP], ids=lambda d: d.key
)
def test_the_zones_of_demand_response_are_a_known_type_of_priced_location(
    configuration: Configuration,
    dataset: Any,  # noqa: ANN401
) -> None:
    for fields in configuration.datasets[dataset.key].expected_fields.values():
        values = field_of(fields["Location.@LocType"]).enum
        assert "DRRAZ" in values
        assert not {"METERING DOMAIN", "DRR AGGREGATION ZONE"} & set(values)


@pytest.mark.parametrize("listed", [True, False])
def test_7000_is_the_system_and_no_reserve_zone(desk: Desk, listed: bool) -> None:  # noqa: FBT001
    if listed:
        records = [r for r in location_records() if 7000 <= r["LocationID"] <= 7003]
        tree = wrapped("Locations", "Location", records)
        desk.bring(ISONE_LOCATIONS, json.dumps(tree).encode(), at=DAY.start)
    tree = reserves(reserve_records(0, DAY, [0], "prelim"))
    desk.bring(ISONE_RESERVE_PRICES, json.dumps(tree).encode(), at=DAY.end)
    observe(desk.resources, ISO_NODES, DAY.date)
    rows = crosswalk(desk.resources, ISO_NODES).filter(pl.col("location_id").str.starts_with("700"))
    assert dict(rows.select("location_id", "location_type").iter_rows()) == {
        "7000": "SYSTEM",
        "7001": "RESERVE ZONE",
        "7002": "RESERVE ZONE",
        "7003": "RESERVE ZONE",
    }
    zones = dict(rows.select("location_id", "reserve_zone").iter_rows())
    assert zones["7000"] is None
    assert zones["7001"] == "SWCT"


def test_a_file_of_before_does_not_make_the_system_a_reserve_zone(desk: Desk) -> None:
    """Version 0.1 seeded every home's file so."""
    path = home_file(desk.resources, ISO_NODES)
    path.parent.mkdir(parents=True)
    names = ",".join(ISO_NODES.reviewed_columns)
    path.write_text(f"{names}\nisone,7000,,RESERVE ZONE,,,,,,reserve zone by its number\n")
    records = [r for r in location_records() if r["LocationID"] == 7000]
    tree = wrapped("Locations", "Location", records)
    desk.bring(ISONE_LOCATIONS, json.dumps(tree).encode(), at=DAY.start)
    observe(desk.resources, ISO_NODES, DAY.date)
    (row,) = crosswalk(desk.resources, ISO_NODES).filter(location_id="7000").to_dicts()
    assert (row["location_type"], row["reserve_zone"]) == ("SYSTEM", None)


# --- reserves ------------------------------------------------------------------------------------


def reserves(records: list[Json]) -> Json:
    return wrapped("FiveMinReservePrices", "FiveMinReservePrice", records)


def test_a_day_of_reserves_in_the_operators_shape_has_no_warning(desk: Desk) -> None:
    marks = range(len(DAY.marks(dt.timedelta(minutes=5))))
    records = reserve_records(0, DAY, marks, "prelim")
    zones = [r for r in records if r["ReserveZoneId"] != 7000]
    assert {r["ReserveZoneName"] for r in zones} == {"SWCT", "CT", "NEMABSTN"}
    assert not any({"TenMinSpinRequirement", "Total10MinRequirement"} & set(r) for r in zones)
    desk.clock.set(DAY.end + dt.timedelta(hours=8))
    brought = desk.bring(ISONE_RESERVE_PRICES, json.dumps(reserves(records)).encode())
    quiet(brought)
    assert all(v.passed for v in brought.verdicts.values()), brought.verdicts
    rows = desk.rows(ISONE_RESERVE_PRICES)
    needed = rows.group_by("reserve_zone_id").agg(pl.col("ten_minute_requirement").count())
    assert dict(needed.iter_rows()) == {"7000": 288, "7001": 0, "7002": 0, "7003": 0}


@pytest.mark.parametrize("null", [True, False])
def test_a_zone_says_null_or_nothing_of_ten_minutes(desk: Desk, null: bool) -> None:  # noqa: FBT001
    records = reserve_records(0, DAY, range(6), "prelim")
    for record in records:
        if null and record["ReserveZoneId"] != 7000:
            record |= {"TenMinSpinRequirement": None, "Total10MinRequirement": None}
        record.pop("IntervalBeginDate")  # known, and not always there
    quiet(desk.bring(ISONE_RESERVE_PRICES, json.dumps(reserves(records)).encode()))


def test_the_interval_of_a_reserve_price_is_the_one_that_is_named() -> None:
    from aurum_assets.operators.isone.ancillary import parse_reserve_prices

    fields = dict.fromkeys(ISONE_RESERVE_PRICES.dialects[0].record.__struct_fields__)
    stamps = [
        ("2026-07-20T17:20:01.000-04:00", "2026-07-20T17:20:00.000-04:00", 20),
        ("2026-07-20T17:19:59.000-04:00", "2026-07-20T17:20:00.000-04:00", 20),
        ("2026-07-20T17:20:02.000-04:00", None, 20),
        ("2026-07-20T17:20:02.000-04:00", "today", 20),
    ]
    rows = [fields | {"BeginDate": b, "IntervalBeginDate": i} for b, i, _ in stamps]
    frame = parse_reserve_prices(
        pl.DataFrame(rows, schema_overrides={"IntervalBeginDate": pl.String})
    )
    assert frame["interval_start"].dt.minute().to_list() == [minute for *_, minute in stamps]
    assert frame["source_stamp"].dt.second().to_list() == [1, 59, 2, 2]


# --- fuel mix ------------------------------------------------------------------------------------


def mix(*records: Json) -> bytes:
    return json.dumps(wrapped("GenFuelMixes", "GenFuelMix", list(records))).encode()


@pytest.mark.parametrize(("flag", "enters"), [("Y", 1), ("N", 1), ("-", 1), ("X", 0), ("", 0)])
def test_a_flag_is_y_or_n_or_a_dash(desk: Desk, flag: str, enters: int) -> None:
    record = mix_records(DAY, [0])[0] | {"MarginalFlag": flag}
    brought = desk.bring(ISONE_GENERATION_MIX, mix(record))
    assert len(desk.rows(ISONE_GENERATION_MIX)) == enters
    assert brought.verdicts["enums_and_ranges"].passed is bool(enters)
    assert brought.verdicts["schema_drift"].passed


@pytest.mark.parametrize("null", [True, False])
def test_a_record_without_its_fuel_is_kept_in_quarantine_and_the_others_enter(
    desk: Desk,
    null: bool,  # noqa: FBT001
) -> None:
    records = mix_records(DAY, [0])
    lone = records[1]
    lone.pop("FuelCategory")
    if null:
        lone["FuelCategory"] = None
    brought = desk.bring(ISONE_GENERATION_MIX, mix(*records))
    assert len(desk.rows(ISONE_GENERATION_MIX)) == len(records) - 1
    assert brought.done.quarantined == 1
    assert "fuel_is_present" in brought.verdicts["contract"].reason
    assert brought.verdicts["schema_drift"].passed  # the operator's schema allows it


# --- day-ahead ancillary -------------------------------------------------------------------------


def day_ahead(records: list[Json]) -> bytes:
    tree = wrapped_newer("day_ahead_reserves", "day_ahead_reserve", records)
    return json.dumps(tree).encode()


@pytest.mark.parametrize(("key", "hours"), [("2026-03-08", 23), ("2025-11-02", 25)])
def test_what_is_forecast_to_be_needed_is_a_product_with_a_price_and_a_requirement(
    desk: Desk, key: str, hours: int
) -> None:
    records = reserve_data_records(ISONE_ANCILLARY_SERVICES.day(key))
    quiet(desk.bring(ISONE_ANCILLARY_SERVICES, day_ahead(records)))
    rows = desk.rows(ISONE_ANCILLARY_SERVICES, key)
    assert len(rows) == 5 * hours
    of = {name: rows.filter(product=name).sort("interval_start") for name in rows["product"]}

    def values_of(field: str) -> list[float]:
        return [float(record[field]) for record in records]

    for product, price, quantity, requirement in (
        ("TMSR", "tmsr_clearing_price", "tmsr_designation_mw", "ten_min_spin_req_mw"),
        ("TMNSR", "tmnsr_clearing_price", "tmnsr_designation_mw", "total_ten_min_req_mw"),
        ("TMOR", "tmor_clearing_price", "tmor_designation_mw", "total_thirty_min_req_mw"),
        ("EIR", "fer_clearing_price", "eir_designation_mw", None),
        ("FER", "fer_clearing_price", None, "forecasted_energy_req_mw"),
    ):
        frame, nothing = of[product], [None] * hours
        assert frame["price"].to_list() == values_of(price)
        assert frame["mw"].to_list() == (values_of(quantity) if quantity else nothing)
        assert frame["requirement"].to_list() == (
            values_of(requirement) if requirement else nothing
        )


def test_an_hour_may_come_with_its_instant_in_gmt(desk: Desk) -> None:
    records = reserve_data_records(ISONE_ANCILLARY_SERVICES.day("2026-07-20"))
    for record in records:
        record["market_hour"]["gmt_begin_date"] = "2026-07-20T04:00:00.000Z"
    quiet(desk.bring(ISONE_ANCILLARY_SERVICES, day_ahead(records)))
    some = reserve_data_records(ISONE_ANCILLARY_SERVICES.day("2026-07-21"))
    some[0]["market_hour"]["gmt_begin_date"] = "2026-07-21T04:00:00.000Z"
    quiet(desk.bring(ISONE_ANCILLARY_SERVICES, day_ahead(some)))


def test_a_field_that_may_be_missing_is_not_taken_for_one_that_was_renamed(desk: Desk) -> None:
    records = reserve_data_records(ISONE_ANCILLARY_SERVICES.day("2026-07-20"))
    for record in records:
        record["market_hour"]["newer"] = "text"
    brought = desk.bring(ISONE_ANCILLARY_SERVICES, day_ahead(records))
    (found,) = brought.done.drift
    assert (found.kind, found.field) == ("added", "market_hour.newer")


# --- regulation and load -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "hour", "label"),
    [("2024-03-10", 2, "04"), ("2024-11-03", 1, "02"), ("2024-11-03", 2, "02X")],
)
def test_regulation_prices_keep_the_operators_name_of_their_hour(
    desk: Desk, key: str, hour: int, label: str
) -> None:
    day = ISONE_REGULATION_PRICES.day(key)
    records = regulation_records(0, day, [12 * hour], "prelim")
    tree = wrapped("FiveMinRcps", "FiveMinRcp", records)
    quiet(desk.bring(ISONE_REGULATION_PRICES, json.dumps(tree).encode()))
    assert desk.rows(ISONE_REGULATION_PRICES)["hour_ending"].to_list() == [label]


def test_load_is_told_to_be_native_load_and_what_pumps_and_storage_draw(desk: Desk) -> None:
    columns = {c.name: c.doc for c in ISONE_SYSTEM_LOAD.table.columns}
    assert "native load plus the demand of pumps and storage" in columns["load"]
    assert "includes" in ISONE_SYSTEM_LOAD.doc
    brought = bring(desk, recording("isone_system_load", "live", "ordinary"))
    rows = desk.rows(ISONE_SYSTEM_LOAD, brought.archived.day).drop_nulls()
    assert len(rows)
    together = rows["native_load"] + rows["ard_demand"]
    assert together.round(6).to_list() == rows["load"].round(6).to_list()


def test_a_zone_with_much_sun_may_draw_less_than_nothing(desk: Desk) -> None:
    recorded = recording("isone_zonal_load", "live", "ordinary")
    tree = json.loads(recorded.body)
    zones = tree["isone_web_services"]["five_min_estimated_zonal_loads"]
    records = zones["five_min_estimated_zonal_load"]
    records[0]["estimated_load_mw"] = -12.5
    brought = desk.bring(ISONE_ZONAL_LOAD, json.dumps(tree).encode())
    assert brought.done.quarantined == 0
    assert desk.rows(ISONE_ZONAL_LOAD)["load"].min() == -12.5
    assert brought.verdicts["enums_and_ranges"].passed


def test_every_recording_of_the_taxonomy_is_listed_as_it_came(desk: Desk) -> None:
    brought = bring(desk, recording("isone_locations", "live", "taxonomy"))
    quiet(brought)
    done = ingest.normalize(desk.resources, ISONE_LOCATIONS, brought.done.day)
    assert set(done.rows["location_type"]) >= NEW_TYPES
