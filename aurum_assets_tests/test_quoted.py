"""Numbers in quotes: taken in the feeds that may write them so, where they are clean."""

import json
from typing import Any

import pytest

from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.quoted import clean_number
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.ancillary import ISONE_ANCILLARY_SERVICES
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD
from aurum_assets.simulator.isone.day_ahead_reserves import reserve_data_records
from aurum_assets.simulator.isone.load import load_records
from aurum_assets.simulator.isone.payloads import render, wrapped, wrapped_newer
from aurum_assets.simulator.isone.zonal_load import zonal_records
from aurum_assets_tests.conftest import PROVENANCE, Desk

Json = dict[str, Any]
ZONAL, ANCILLARY, LOAD = ISONE_ZONAL_LOAD, ISONE_ANCILLARY_SERVICES, ISONE_SYSTEM_LOAD
DAY = "2026-07-20"
CLEAN = ("0", "-0", "5", "12.50", "-107.8", "0.16", "1.0E-4", "2e3", "17031.873", "1" * 30)
UNCLEAN = (
    *(
        "12,5",
        "1_000",
        " 5 ",
        "5 ",
        "\n5",
        "5\n",
        "NaN",
        "nan",
        "inf",
        "-Infinity",
        "\uff11\uff12",
        "\u0663",
    ),
    *("0x1f", "", " ", "null", "+5", "05", "-05", "5.", ".5", "-", "--5", "1e", "1e5.0", "1e999"),
    *("5 MW", "5%", "$5", "1 000", "true", "5\x00", "5\u200b"),
)


def zonal(change: Any = None) -> Json:  # noqa: ANN401  a function of the records, or None
    records = zonal_records(ZONAL.day(DAY), range(100, 112))
    if change:
        change(records)
    return wrapped_newer("five_min_estimated_zonal_loads", "five_min_estimated_zonal_load", records)


def day_ahead(change: Any = None) -> Json:  # noqa: ANN401  a function of the records, or None
    records = reserve_data_records(ANCILLARY.day(DAY))
    if change:
        change(records)
    return wrapped_newer("day_ahead_reserves", "day_ahead_reserve", records)


def quote_all(records: list[Json]) -> None:
    for record in records:
        for name, value in record.items():
            if isinstance(value, int | float) and not name.endswith("_id"):
                record[name] = str(value)


@pytest.mark.parametrize("text", CLEAN)
def test_clean_text_is_the_number_that_json_would_read(text: str) -> None:
    assert clean_number(text) == float(json.loads(text))


@pytest.mark.parametrize("text", UNCLEAN)
def test_text_that_is_no_clean_number_is_none(text: str) -> None:
    assert clean_number(text) is None


@pytest.mark.parametrize(("dataset", "tree"), [(ZONAL, zonal), (ANCILLARY, day_ahead)])
def test_numbers_in_quotes_give_the_rows_of_plain_ones_and_a_warning(
    desk: Desk,
    dataset: Dataset,
    tree: Any,  # noqa: ANN401  zonal or day_ahead
) -> None:
    quoted = desk.bring(dataset, json.dumps(tree(quote_all)).encode())
    found = desk.rows(dataset).drop(PROVENANCE)
    assert {(d.kind, d.severity) for d in quoted.done.drift} == {("number_as_text", "WARN")}
    verdict = quoted.verdicts["schema_drift"]
    assert (verdict.passed, verdict.severity) == (False, "WARN")
    assert "comes as text" in verdict.reason
    assert quoted.done.quarantined == 0
    plain = desk.bring(dataset, json.dumps(tree()).encode())
    assert plain.done.drift == ()
    assert (plain.done.merged.new, plain.done.merged.changed) == (0, 0), "the hashes are the same"
    assert desk.rows(dataset).drop(PROVENANCE).equals(found)


@pytest.mark.parametrize(
    "text", ["12,5", "1_000", " 5 ", "NaN", "\uff11\uff12", "0x1f", "", "1e999"]
)
def test_anything_else_in_quotes_is_quarantined_and_its_siblings_are_stored(
    desk: Desk, text: str
) -> None:
    def spoil(records: list[Json]) -> None:
        records[3]["estimated_load_mw"] = text

    brought = desk.bring(ZONAL, json.dumps(zonal(spoil)).encode())
    assert len(desk.rows(ZONAL)) == len(zonal_records(ZONAL.day(DAY), range(100, 112))) - 1
    (out,) = desk.resources.lake.read(QUARANTINE).to_dicts()
    assert out["rules"] == "record_can_be_read"
    assert {d.kind for d in brought.done.drift} == {"retyped"}


def test_a_text_among_plain_numbers_is_counted_alone(desk: Desk) -> None:
    def spoil(records: list[Json]) -> None:
        records[3]["estimated_load_mw"] = "2500.5"

    brought = desk.bring(ZONAL, json.dumps(zonal(spoil)).encode())
    (found,) = brought.done.drift
    assert (found.kind, found.field) == ("number_as_text", "estimated_load_mw")
    assert f"in 1 of {brought.archived.records} records" in found.detail
    assert 2500.5 in desk.rows(ZONAL)["load"].to_list()


def test_other_feeds_do_not_take_a_number_in_quotes(desk: Desk) -> None:
    records = load_records(LOAD.day(DAY), range(100, 106))
    records[2]["LoadMw"] = "15000.5"
    body = json.dumps(wrapped("FiveMinSystemLoads", "FiveMinSystemLoad", records)).encode()
    assert desk.bring(LOAD, body).done.quarantined == 1
    assert len(desk.rows(LOAD)) == 5


def test_xml_knows_no_quotes_and_raises_no_warning(desk: Desk) -> None:
    brought = desk.bring(ZONAL, render(zonal(), "xml"))
    assert brought.done.drift == ()
    assert brought.done.quarantined == 0


def test_it_is_the_snake_case_feeds_that_may_quote() -> None:
    quoting = {(d.key, one.path[0]) for d in DATASETS for one in d.dialects if one.quoted_numbers}
    newer = {
        (d.key, one.path[0])
        for d in DATASETS
        for one in d.dialects
        if one.path[0] == "isone_web_services"
    }
    assert quoting == newer
    assert quoting
