"""From bytes to rows: numbers checked by hand, the nine rules of CTS, and bytes at their worst."""

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurum_assets.model.dataset import Dataset, Envelope, Snapshot
from aurum_assets.model.drift import Expected
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.formats import sniff
from aurum_assets.model.reading import (
    Reading,
    careful_reading,
    inspect_answer,
    local_days,
    read,
    record_as_received,
    strict_reading,
)
from aurum_assets.model.table import UTC, Split
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets_tests.conftest import Desk, utc
from aurum_assets_tests.recordings import READABLE, Recording, recording

LMP, LOAD, CTS = ISONE_RT_LMP, ISONE_SYSTEM_LOAD, MISO_CTS
Json = dict[str, Any]


def snapshot(dataset: Dataset, body: bytes, *, asked: str | None = None) -> Snapshot:
    seen = inspect_answer(dataset, body, sniff(dataset, body))
    envelope = Envelope(
        dataset=dataset.key,
        endpoint="recorded",
        dialect=seen.dialect.name,
        format=sniff(dataset, body),
        day=seen.days[0] if seen.days else "2026-07-20",
        fetched_at=utc("2026-07-21T12:00:00Z"),
        raw_sha256="0" * 64,
        content_sha256=seen.content_sha256,
        finality="prelim" if dataset is LMP else None,
        asked=asked,
    )
    return Snapshot(envelope, body)


def reading(dataset: Dataset, text: Json, *, asked: str | None = None) -> Reading:
    return read(dataset, snapshot(dataset, json.dumps(text).encode(), asked=asked))


# --- hand-checked numbers ------------------------------------------------------------------------

THE_EXAMPLE: Json = {  # as the specification documents it
    "data": [
        {
            "timestamp": "2025-01-20T09:00:00-05:00",
            "interval": "09:00",
            "node": "MISO.PJM.INTERFACE1",
            "forecastedLMP": {
                "total": 45.50,
                "components": {"energy": 42.00, "congestion": 2.50, "losses": 1.00},
                "direction": "export",
            },
            "transactionVolume": {"mwh": 250.5, "direction": "MISO_TO_PJM"},
        }
    ],
    "metadata": {
        "operatingDay": "2025-01-20",
        "retrievalTimestamp": "2025-01-20T09:12:00-05:00",
        "dataQuality": "FORECAST",
    },
}
THE_NODE = "MISO.PJM.INTERFACE1"


def test_the_documented_example_of_cts_is_read_to_the_letter(desk: Desk) -> None:
    brought = desk.bring(CTS, json.dumps(THE_EXAMPLE).encode(), dialect="documented")
    (row,) = desk.rows(CTS, "2025-01-20").to_dicts()
    assert row == {
        "operating_day": dt.date(2025, 1, 20),
        "published_at": utc("2025-01-20T14:12:00Z"),
        "interval_start": utc("2025-01-20T14:00:00Z"),
        "interval_end": utc("2025-01-20T14:05:00Z"),
        "location": THE_NODE,
        "lmp": 45.5,
        "energy": 42.0,
        "congestion": 2.5,
        "loss": 1.0,
        "lmp_direction": "export",
        "volume": 250.5,
        "volume_direction": "MISO_TO_PJM",
        "data_quality": "FORECAST",
        "source_timezone": "Etc/GMT+5",
        "fetched_at": desk.clock(),
        "raw_sha256": brought.archived.identifier and brought.done.rows["raw_sha256"][0],
    }
    assert brought.archived.path.startswith(
        "sourcing/miso_coordinated_transaction_scheduling/year=2025/month=01/day=20/"
    )
    assert brought.archived.path.endswith(".json.gz")


@pytest.mark.parametrize(
    ("approved", "solution", "price", "published", "start"),
    [
        (
            "2026-07-27 8:04:09 AM",
            "2026-07-27 8:00:00 AM",
            "45.73",
            "2026-07-27T13:04:09Z",
            "2026-07-27T13:00:00Z",
        ),
        (
            "2026-01-05 12:04:00 AM",
            "2026-01-05 12:00:00 AM",
            "-3.5",
            "2026-01-05T05:04:00Z",
            "2026-01-05T05:00:00Z",
        ),
        (
            "2026-07-27 12:34:00 PM",
            "2026-07-27 12:30:00 PM",
            "0",
            "2026-07-27T17:34:00Z",
            "2026-07-27T17:30:00Z",
        ),
        (
            "2026-07-27 11:49:00 PM",
            "2026-07-28 1:45:00 AM",
            "1000.00",
            "2026-07-28T04:49:00Z",
            "2026-07-28T06:45:00Z",
        ),
    ],
)
def test_live_cts_is_est_all_year_on_a_twelve_hour_clock(
    approved: str, solution: str, price: str, published: str, start: str
) -> None:
    record = {
        "CASEAPPROVALDATE": approved,
        "SOLUTIONTIME": solution,
        "PJMFORECASTEDLMP": price,
    }
    found = {"RefId": "27-Jul-2026 - Interval 08:00 EST", "Interval": [record]}
    (row,) = reading(CTS, found).frame.to_dicts()
    assert row["published_at"] == utc(published)
    assert row["interval_start"] == utc(start)
    assert row["interval_end"] == utc(start) + dt.timedelta(minutes=15)
    assert (row["location"], row["lmp"]) == ("PJM", float(price))
    assert {v for n, v in row.items() if n in ("energy", "volume", "data_quality")} == {None}


def lmp_record(**changes: Any) -> Json:  # noqa: ANN401  whatever JSON holds
    return {
        "BeginDate": "2026-07-20T17:20:00.000-04:00",
        "Location": {"@LocId": "4000", "@LocType": "HUB", "$": ".H.INTERNAL_HUB"},
        "LmpTotal": 39.16,
        "EnergyComponent": 39,
        "CongestionComponent": 0,
        "LossComponent": 0.16,
    } | changes


def lmp_given(*records: Json) -> Json:
    return {"FiveMinLmps": {"FiveMinLmp": list(records)}}


def test_an_lmp_is_read_to_the_letter_with_its_offset() -> None:
    (row,) = reading(LMP, lmp_given(lmp_record())).frame.to_dicts()
    assert row == {
        "interval_start": utc("2026-07-20T21:20:00Z"),
        "interval_end": utc("2026-07-20T21:25:00Z"),
        "location_id": "4000",
        "location_name": ".H.INTERNAL_HUB",
        "location_type": "HUB",
        "lmp": 39.16,
        "energy": 39.0,
        "congestion": 0.0,
        "loss": 0.16,
    }


def test_the_repeated_hour_of_autumn_is_two_hours() -> None:
    document = lmp_given(
        lmp_record(BeginDate="2024-11-03T01:00:00.000-04:00"),
        lmp_record(BeginDate="2024-11-03T01:00:00.000-05:00"),
    )
    starts = reading(LMP, document).frame["interval_start"].to_list()
    assert starts == [utc("2024-11-03T05:00:00Z"), utc("2024-11-03T06:00:00Z")]


# --- the nine rules ------------------------------------------------------------------------------


def cts(change: Callable[[Json], object] | None = None) -> Json:
    """The documented example, changed."""
    document: Json = json.loads(json.dumps(THE_EXAMPLE))
    if change:
        change(document)
    return document


def of_record(*path: str, value: object) -> Callable[[Json], None]:
    """A change of one field of the one record."""

    def change(text: Json) -> None:
        holder = text["data"][0]
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value

    return change


def of_metadata(name: str, value: object) -> Callable[[Json], None]:
    def change(text: Json) -> None:
        text["metadata"][name] = value

    return change


def outcome(text: Json) -> tuple[Split, Reading]:
    found = reading(CTS, text)
    day = CTS.day("2025-01-20")
    frame = found.frame.with_columns(
        operating_day=pl.lit(day.date),
        source_timezone=pl.lit(CTS.operator.zone),
        fetched_at=pl.lit(utc("2025-01-20T14:13:00Z"), dtype=UTC),
        raw_sha256=pl.lit("0" * 64),
    )
    return CTS.table.conform(frame, day), found


PARTS = ("forecastedLMP", "components")
TOTAL = ("forecastedLMP", "total")


def at(mark: str) -> Callable[[Json], None]:
    """The record's time and label moved together."""

    def change(text: Json) -> None:
        text["data"][0] |= {"timestamp": f"2025-01-20T{mark}:00-05:00", "interval": mark}

    return change


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        # (2) the sum, in exact decimals, 0.01 inclusive
        (of_record(*TOTAL, value=45.511), "lmp_is_the_sum_of_its_parts"),
        (of_record(*TOTAL, value=45.489), "lmp_is_the_sum_of_its_parts"),
        (of_record(*TOTAL, value=45.5100001), "lmp_is_the_sum_of_its_parts"),
        (of_record(*PARTS, "losses", value=0.98), "lmp_is_the_sum_of_its_parts"),
        # (3) HH:MM on a five-minute mark
        (at("09:03"), "interval_is_on_a_five_minute_mark"),
        (of_record("interval", value="09:03"), "interval_is_on_a_five_minute_mark"),
        (of_record("interval", value="9:00"), "interval_is_on_a_five_minute_mark"),
        (of_record("interval", value="24:00"), "interval_is_on_a_five_minute_mark"),
        (of_record("interval", value="09:60"), "interval_is_on_a_five_minute_mark"),
        (of_record("interval", value="09:00:00"), "interval_is_on_a_five_minute_mark"),
        (of_record("interval", value=" 09:00"), "interval_is_on_a_five_minute_mark"),
        (of_record("interval", value="09:00\n"), "interval_is_on_a_five_minute_mark"),
        (
            of_record("timestamp", value="2025-01-20T09:00:01-05:00"),
            "interval_is_on_a_five_minute_mark",
        ),
        (of_record("interval", value="09:05"), "interval_agrees_with_timestamp"),
        # (4) and (5) the directions
        (of_record("forecastedLMP", "direction", value="EXPORT"), "lmp_direction_is_known"),
        (of_record("forecastedLMP", "direction", value=""), "lmp_direction_is_known"),
        (
            of_record("transactionVolume", "direction", value="MISO_TO_SPP"),
            "volume_direction_is_known",
        ),
        # (7) the volume
        (of_record("transactionVolume", "mwh", value=-0.001), "volume_is_not_negative"),
    ],
)
def test_a_record_that_breaks_a_rule_of_cts_is_kept_out_with_its_name(
    change: Callable[[Json], None], rule: str
) -> None:
    conformed, found = outcome(cts(change))
    assert conformed.good.is_empty()
    assert found.refused == ()
    (row,) = conformed.broken.to_dicts()
    assert rule in row["rules"]
    assert f"{rule}: " in row["reason"]


@pytest.mark.parametrize(
    "change",
    [
        of_record(*TOTAL, value=45.51),
        of_record(*TOTAL, value=45.49),
        of_record(*PARTS, "losses", value=0.99),
        of_record(*TOTAL, value=45),  # an integer, and a hundredth too little everywhere else
        at("00:00"),
        at("23:55"),
        at("09:05"),
        of_record("timestamp", value="2025-01-20T14:00:00+00:00"),
        of_record("timestamp", value="2025-01-20T09:00:00.000-05:00"),
        of_record("forecastedLMP", "direction", value="import"),
        of_record("forecastedLMP", "direction", value="neutral"),
        of_record("transactionVolume", "direction", value="PJM_TO_MISO"),
        of_record("transactionVolume", "direction", value="BALANCED"),
        of_record("transactionVolume", "mwh", value=0),
        of_record("transactionVolume", "mwh", value=-0.0),
        of_metadata("dataQuality", "PRELIMINARY"),
        of_metadata("dataQuality", "VALIDATED"),
    ],
)
def test_a_record_that_just_keeps_the_rules_of_cts_enters(change: Callable[[Json], None]) -> None:
    text = cts(change)
    if text["data"][0]["forecastedLMP"]["total"] == 45:
        text["data"][0]["forecastedLMP"]["components"]["losses"] = 0.5
    conformed, found = outcome(text)
    assert conformed.broken.is_empty()
    assert found.refused == ()
    assert len(conformed.good) == 1


@pytest.mark.parametrize("part", ["energy", "congestion", "losses"])
@pytest.mark.parametrize("value", [True, False, "42.00", None, [], {}, "NaN"])
def test_a_component_that_is_no_number_is_refused_as_received(part: str, value: object) -> None:
    """Rule 6: a bool is no number, nor is a text that spells one."""
    document = cts(of_record(*PARTS, part, value=value))
    conformed, found = outcome(document)
    assert conformed.good.is_empty()
    (refused,) = found.refused
    assert refused.position == 0
    assert refused.reason.startswith("record_can_be_read: ")
    assert part in refused.reason


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_never_enters(word: str) -> None:
    """Rule 6: JSON has no notation for it, and what some servers write instead is refused."""
    body = json.dumps(cts()).replace('"energy": 42.0', f'"energy": {word}').encode()
    assert word.encode() in body
    with contextlib.suppress(MalformedPayload):
        found = read(CTS, snapshot(CTS, body))
        assert len(found.refused) == 1 or not found.frame["energy"].is_finite().any()


@pytest.mark.parametrize(
    "record",
    [
        {"timestamp": "2025-01-20T09:00:00-05:00"},
        "09:00",
        None,
        7,
        [],
    ],
)
def test_what_is_no_record_is_refused_and_its_siblings_go_on(record: object) -> None:
    text = cts()
    text["data"].append(record)
    conformed, found = outcome(text)
    assert len(conformed.good) == 1
    assert [r.position for r in found.refused] == [1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s.pop("data"), "holds no Interval"),  # (1) the required fields
        (lambda s: s.pop("metadata"), "holds no Interval"),
        (of_metadata("dataQuality", "GUESS"), "data_quality_is_known: 'GUESS' is none of FORECAST"),
        (of_metadata("dataQuality", "forecast"), "data_quality_is_known"),
        (of_metadata("dataQuality", None), "header cannot be read"),
        (lambda s: s["metadata"].pop("dataQuality"), "header cannot be read"),
        (lambda s: s.update(data="none"), "holds no Interval"),
    ],
)
def test_a_snapshot_that_breaks_a_rule_for_all_is_refused_whole(
    change: Callable[[Json], None], sentence: str
) -> None:
    """Rules 1 and 8."""
    with pytest.raises(MalformedPayload, match=sentence):
        reading(CTS, cts(change))


def test_an_answer_for_another_day_than_the_asked_one_is_refused() -> None:
    """Rule 9; where no day was asked for, there is none to differ from."""
    with pytest.raises(MalformedPayload, match="asked for 2025-01-21, the answer is for 2025-01-2"):
        reading(CTS, cts(), asked="2025-01-21")
    assert reading(CTS, cts(), asked="2025-01-20").records == 1
    assert reading(CTS, cts()).records == 1


def test_the_asked_day_rules_out_a_stale_answer_through_ingest(desk: Desk) -> None:
    body = json.dumps(cts()).encode()
    brought = desk.bring(CTS, body, dialect="documented", asked="2025-01-21", endpoint="cts_day")
    assert brought.archived.outcome == "stored"
    assert "operating_day_is_the_asked_one" in brought.done.rejected[0]
    assert desk.rows(CTS).is_empty()
    (kept,) = desk.resources.archive.rejections(CTS.key)
    assert "asked for 2025-01-21" in kept.reason


# --- recognising ---------------------------------------------------------------------------------


def test_a_dialect_is_known_by_its_shape() -> None:
    for name in ("documented", "live"):
        body = recording("miso_cts", name, "ordinary").body
        assert inspect_answer(CTS, body, "json").dialect.name == name


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the bytes are not JSON"),
        (b"\xff\xfe\x00", "the bytes are not JSON"),
        (b"null", "holds a NoneType"),
        (b"[]", "holds a list"),
        (b'"text"', "holds a str"),
        (b"{}", "it holds nothing"),
        (b'{"error":"no data"}', "holds error, and says 'no data'"),
        (b'{"FiveMinLmps":{"FiveMinLmp":3}}', "holds FiveMinLmps"),
        (b'{"FiveMinLmps":{"Other":[]}}', "holds FiveMinLmps"),
        (b'{"FiveMinLmps":[]}', "holds FiveMinLmps"),
        (b"<html><body>Maintenance</body></html>", "holds html"),
        (b"<FiveMinLmps", "the bytes are not XML"),
        (
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><FiveMinLmps>&e;</FiveMinLmps>',
            "document type of its own, which is refused",
        ),
        (b"[" * 100_000, "the bytes are not JSON"),
        (b'{"FiveMinLmps":' * 5_000, "the bytes are not JSON"),
    ],
)
def test_bytes_without_a_known_shape_are_one_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(MalformedPayload) as caught:
        inspect_answer(LMP, body, sniff(LMP, body))
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ['""', "{}", "null", '{"FiveMinLmp":[]}', '{"FiveMinLmp":""}'])
def test_all_spellings_of_an_empty_day_are_empty(text: str) -> None:
    body = f'{{"FiveMinLmps":{text}}}'.encode()
    assert inspect_answer(LMP, body, "json").records == 0
    found = read(LMP, snapshot(LMP, body), {"live": {"BeginDate": "string"}})
    assert (len(found.frame), found.drift) == (0, ())


def test_a_byte_order_mark_is_no_part_of_the_payload() -> None:
    body = json.dumps(lmp_given(lmp_record())).encode()
    marked = b"\xef\xbb\xbf" + body
    assert sniff(LMP, b"\xef\xbb\xbf  <x/>") == "xml"
    assert read(LMP, snapshot(LMP, marked)).frame.equals(read(LMP, snapshot(LMP, body)).frame)


# --- content hash --------------------------------------------------------------------------------


def content(dataset: Dataset, text: Json | bytes) -> str:
    body = text if isinstance(text, bytes) else json.dumps(text).encode()
    return inspect_answer(dataset, body, sniff(dataset, body)).content_sha256


def test_white_space_and_the_order_of_fields_are_no_content() -> None:
    document = lmp_given(lmp_record())
    mixed = lmp_given(dict(reversed(list(lmp_record().items()))))
    assert content(LMP, json.dumps(document, indent=4).encode()) == content(LMP, document)
    assert content(LMP, mixed) == content(LMP, document)


def test_the_retrieval_time_is_no_content_and_a_price_is() -> None:
    later = cts(of_metadata("retrievalTimestamp", "2025-01-20T09:27:00-05:00"))
    assert content(CTS, later) == content(CTS, cts())
    assert content(CTS, cts(of_metadata("dataQuality", "VALIDATED"))) != content(CTS, cts())
    assert content(CTS, cts(of_record(*TOTAL, value=45.51))) != content(CTS, cts())


def test_a_field_given_twice_is_never_equal_to_one_given_once() -> None:
    once = json.dumps(lmp_given(lmp_record())).encode()
    twice = once.replace(b'"LmpTotal": 39.16', b'"LmpTotal": 40.16, "LmpTotal": 39.16')
    assert content(LMP, twice) != content(LMP, once)
    found = read(LMP, snapshot(LMP, twice))
    assert [r.reason for r in found.refused] == [
        "record_can_be_read: field LmpTotal appears twice in one record"
    ]


# --- drift, and the record as received -----------------------------------------------------------

EXPECTED: dict[str, Expected] = {
    "live": {
        "BeginDate": "string",
        "Location.@LocId": "string",
        "Location.@LocType": "string",
        "Location.$": "string",
        "LmpTotal": "number",
        "EnergyComponent": "number",
        "CongestionComponent": "number",
        "LossComponent": "number",
    }
}


@pytest.mark.parametrize(
    ("records", "drift"),
    [
        ([lmp_record()], []),
        ([lmp_record(LmpTotal=39)], []),
        (
            [lmp_record(), {k: v for k, v in lmp_record().items() if k != "LossComponent"}],
            [("null", "LossComponent", "WARN")],
        ),
        ([lmp_record(), lmp_record(LossComponent=None)], [("null", "LossComponent", "WARN")]),
        ([lmp_record(LossComponent=None)], [("vanished", "LossComponent", "ERROR")]),
        ([lmp_record(New=1)], [("added", "New", "WARN")]),
        ([lmp_record(), lmp_record(New={"a": 1})], [("added", "New", "WARN")]),
        ([lmp_record(LmpTotal="39.16")], [("retyped", "LmpTotal", "ERROR")]),
        ([lmp_record(LmpTotal=True)], [("retyped", "LmpTotal", "ERROR")]),
        (
            [{k: v for k, v in lmp_record().items() if k != "LossComponent"}],
            [("vanished", "LossComponent", "ERROR")],
        ),
        (
            [{**{k: v for k, v in lmp_record().items() if k != "LmpTotal"}, "Lmp": 1.0}],
            [("renamed", "LmpTotal", "ERROR")],
        ),
    ],
)
def test_drift_is_what_differs_from_the_expected_fields(
    records: list[Json], drift: list[tuple[str, str, str]]
) -> None:
    body = json.dumps(lmp_given(*records)).encode()
    found = read(LMP, snapshot(LMP, body), EXPECTED)
    assert [(d.kind, d.field, d.severity) for d in found.drift] == drift
    for one in found.drift:
        assert one.field in one.detail


def test_an_added_field_costs_no_row() -> None:
    plain = reading(LMP, lmp_given(lmp_record())).frame
    drifted = reading(LMP, lmp_given(lmp_record(New={"nested": [1, {"deep": None}]}))).frame
    assert drifted.equals(plain)


def test_records_are_given_back_as_they_were_received() -> None:
    records = [lmp_record(LmpTotal=n, Note='a "quoted" ü') for n in range(4)]
    kept = snapshot(LMP, json.dumps(lmp_given(*records)).encode())
    assert [json.loads(r) for r in record_as_received(LMP, kept, [3, 1])] == [
        records[3],
        records[1],
    ]


def test_days_are_counted_in_the_markets_zone_and_what_is_no_stamp_is_silent() -> None:
    texts = ["2026-07-20T23:55:00.000-04:00", "2026-07-21T03:55:00Z", "no stamp", None, 7]
    assert local_days([*texts, "2026-07-21T00:00:00"], "America/New_York") == ["2026-07-20"] * 2


def test_an_escape_in_the_header_hides_no_field_that_is_given_twice() -> None:
    body = (
        b'{"RefId":"20-Jul-2026 - Interval 08\\u003a00 EST","Interval":[{"CASEAPPROVALDATE":'
        b'"2026-07-20 8:04:09 AM","SOLUTIONTIME":"2026-07-20 8:00:00 AM",'
        b'"PJMFORECASTEDLMP":45,"PJMFORECASTEDLMP":46}]}'
    )
    found = read(CTS, snapshot(CTS, body))
    assert found.frame.is_empty()
    assert "appears twice" in found.refused[0].reason


def test_a_label_that_is_no_whole_number_is_refused_whatever_stands_beside_it() -> None:
    place = {"LocationID": 4000, "LocationName": "A", "LocationType": "HUB", "AreaType": "INTERNAL"}
    results = {"Locations": {"Location": [place, {**place, "LocationID": 4001.5}]}}
    found = read(ISONE_LOCATIONS, snapshot(ISONE_LOCATIONS, json.dumps(results).encode()))
    assert found.frame["location_id"].to_list() == ["4000"]
    assert [r.position for r in found.refused] == [1]


def test_an_empty_element_of_xml_is_a_null_where_one_may_be() -> None:
    body = b"""<FiveMinLmps xmlns="http://WEBSERV.iso-ne.com"><FiveMinLmp>
        <BeginDate>2026-07-20T17:20:00.000-04:00</BeginDate>
        <Location LocId="4000" LocType="HUB">.H.INTERNAL_HUB</Location><LmpTotal>39.16</LmpTotal>
        <EnergyComponent/><CongestionComponent/><LossComponent/></FiveMinLmp></FiveMinLmps>"""
    found = read(LMP, snapshot(LMP, body))
    assert found.refused == ()
    assert found.frame.select("lmp", "energy").row(0) == (39.16, None)


# --- any bytes at all ----------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(READABLE), st.data())
def test_whatever_is_done_to_the_bytes_the_answer_is_rows_or_one_of_our_errors(
    recorded: Recording, data: st.DataObject
) -> None:
    body = bytearray(recorded.body)
    for _ in range(data.draw(st.integers(1, 3))):
        at_byte = data.draw(st.integers(0, len(body) - 1))
        how = data.draw(st.sampled_from(["flip", "drop", "cut", "double"]))
        if how == "flip":
            body[at_byte] = data.draw(st.integers(0, 255))
        elif how == "drop":
            del body[at_byte : at_byte + data.draw(st.integers(1, 20))]
        elif how == "cut":
            del body[at_byte:]
        else:
            body[at_byte:at_byte] = body[at_byte : at_byte + 30]
        body = body or bytearray(b" ")
    try:
        seen = inspect_answer(recorded.dataset, bytes(body), recorded.format)
        found = read(recorded.dataset, snapshot_of(recorded, bytes(body), seen.dialect.name))
    except MalformedPayload:
        return
    read_records = len(found.frame) / found.dialect.rows_of_a_record
    assert found.records == seen.records
    without_row = found.records - len(found.refused) - read_records
    assert without_row == 0 or (found.dialect.present is not None and without_row > 0)


_WORSE: tuple[Any, ...] = (None, True, 7, 7.5, -0.0, "", "7", "a\\b", 2**60, 1e300, [], {}, [7])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([r for r in READABLE if r.format == "json"]), st.data())
def test_the_fast_way_reads_what_the_careful_way_reads_or_leaves_it_to_it(
    recorded: Recording, data: st.DataObject
) -> None:
    tree = json.loads(recorded.body)
    leaves = [(owner, name) for owner, name, value in walk(tree) if not isinstance(value, dict)]
    for owner, name in data.draw(st.lists(st.sampled_from(leaves), max_size=3, unique_by=id)):
        how = data.draw(st.sampled_from(["drop", "change", "rename", "add"]))
        if how == "change":
            owner[name] = data.draw(st.sampled_from(_WORSE))
        elif how == "add":
            owner[name + "2"] = data.draw(st.sampled_from(_WORSE))
        elif name in owner:
            value = owner.pop(name)
            owner.update({name + "2": value} if how == "rename" else {})
    text = json.dumps(tree)
    _, twice = data.draw(st.sampled_from(leaves))
    if data.draw(st.booleans()):
        other = data.draw(st.sampled_from(["7", '"7"']))
        text = text.replace(f'"{twice}": ', f'"{twice}": {other}, "{twice}": ', 1)
    body = text.encode()
    dialect = recorded.dataset.dialects[0].name
    with contextlib.suppress(MalformedPayload):
        dialect = inspect_answer(recorded.dataset, body, "json").dialect.name
    envelope = snapshot_of(recorded, body, dialect).envelope
    fast = None
    with contextlib.suppress(MalformedPayload):
        fast = strict_reading(recorded.dataset, envelope, body, {})
    if fast is None:
        return
    careful = careful_reading(recorded.dataset, envelope, body, {})
    assert fast.frame.equals(careful.frame)
    assert careful.refused == ()
    assert (fast.records, fast.dialect.name) == (careful.records, careful.dialect.name)
    assert fast.positions is None or list(fast.positions) == list(careful.positions or ())


@pytest.mark.parametrize("records", [b"{}", b"{ }", b"[]"])
def test_an_object_without_a_field_is_no_record_either_way(records: bytes) -> None:
    recorded = recording("miso_wind_solar", "live", "ordinary")
    stamp = json.loads(recorded.body)["RefId"].encode()
    body = b'{"instance": %s, "RefId": "%s", "MktDay": "07-20-2026"}' % (records, stamp)
    found = read(recorded.dataset, snapshot_of(recorded, body, "live"))
    envelope = snapshot_of(recorded, body, "live").envelope
    careful = careful_reading(recorded.dataset, envelope, body, {})
    assert (found.records, len(found.frame)) == (careful.records, len(careful.frame)) == (0, 0)


def walk(tree: Any) -> Iterator[tuple[Json, str, Any]]:  # noqa: ANN401  whatever JSON holds
    """Every object's names, with their values."""
    if isinstance(tree, list):
        for value in tree:
            yield from walk(value)
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield tree, name, value
            yield from walk(value)


def snapshot_of(recorded: Recording, body: bytes, dialect: str) -> Snapshot:
    envelope = Envelope(
        dataset=recorded.dataset.key,
        endpoint="recorded",
        dialect=dialect,
        format=recorded.format,
        day=recorded.expected["day"],
        fetched_at=utc("2026-07-21T12:00:00Z"),
        raw_sha256="0" * 64,
        content_sha256="0" * 64,
        finality=recorded.expected.get("finality"),
    )
    return Snapshot(envelope, body)
