"""Neighbours of the records: new ones are reported, a partial answer never counts as whole."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from aurum_assets import ingest
from aurum_assets.model.dataset import Envelope, Snapshot
from aurum_assets.model.drift import Drift
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.neighbours import drift_of_neighbours, neighbours_of
from aurum_assets.model.reading import inspect_answer, read
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.simulator.isone.lmp import lmp_records
from aurum_assets.simulator.isone.load import load_records
from aurum_assets.simulator.isone.payloads import render
from aurum_assets_tests.conftest import Desk
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import FETCHED_AT

Json = dict[str, Any]
LMP, LOAD, CTS = ISONE_RT_LMP, ISONE_SYSTEM_LOAD, MISO_CTS
DAY = LMP.day("2026-07-20")
RECORDS = lmp_records(DAY, range(100, 103), locations=3)


def body(records: list[Json] = RECORDS, inner: Json | None = None, **beside: object) -> bytes:
    """A wrapped answer with neighbours within its wrapper, and beside it."""
    return json.dumps({"FiveMinLmps": {"FiveMinLmp": records, **(inner or {})}, **beside}).encode()


PARTIAL: list[tuple[str, bytes]] = [
    ("NextPage", body(NextPage="/fiveminutelmp/page/2")),
    ("FiveMinLmps.NextPage", body(inner={"NextPage": "/fiveminutelmp/page/2"})),
    ("next", body(next={"href": "/page/2"})),
    ("links", body(links=[{"rel": "self"}, {"rel": "next", "href": "/page/2"}])),
    ("@odata.nextLink", body(inner={"odata.nextLink": "/page/2"})),
    ("hasMore", body(hasMore=True)),
    ("Status", body(Status="PARTIAL")),
    ("Status", body(Status=503)),
    ("complete", body(complete=False)),
    ("totalPages", body(totalPages=3)),
    ("error", body(error="the rest timed out")),
    ("paging.next", body(paging={"page": 1, "next": "/page/2"})),
    ("FiveMinLmp", body(FiveMinLmp=lmp_records(DAY, [110], locations=3))),
]
HARMLESS: list[tuple[str, bytes]] = [
    ("Generated", body(Generated="2026-07-20")),
    ("FiveMinLmps.Count", body(inner={"Count": 9})),
    ("NextPage", body(NextPage="")),
    ("NextPage", body(NextPage=None)),
    ("hasMore", body(hasMore=False)),
    ("Status", body(Status="OK")),
    ("Status", body(Status="Complete")),
    ("Status", body(Status="Preliminary")),
    ("complete", body(complete=True)),
    ("totalPages", body(totalPages=1)),
    ("error", body(error=None)),
    ("links", body(links=[{"rel": "self", "href": "/"}])),
]


def drift_of(body: bytes) -> tuple[Drift, ...]:
    envelope = Envelope(
        LMP.key, "load", "live", "json", DAY.key, FETCHED_AT, "0" * 64, "0" * 64, "prelim"
    )
    reading = read(LMP, Snapshot(envelope, body))
    assert (len(reading.frame), reading.refused) == (9, ()), "the records are good"
    return reading.drift


@pytest.mark.parametrize(("name", "body"), PARTIAL, ids=[n for n, _ in PARTIAL])
def test_an_answer_that_says_that_it_is_not_all_is_partial(name: str, body: bytes) -> None:
    (found,) = drift_of(body)
    assert (found.kind, found.severity, found.refuses) == ("partial", "ERROR", False)
    assert name.removeprefix("@") in found.detail
    assert inspect_answer(LMP, body, "json").partial == found.detail


@pytest.mark.parametrize(("name", "body"), HARMLESS, ids=[n for n, _ in HARMLESS])
def test_an_unknown_neighbour_is_new_and_the_answer_is_whole(name: str, body: bytes) -> None:
    (found,) = drift_of(body)
    assert (found.kind, found.field, found.severity) == ("added", name, "WARN")
    assert inspect_answer(LMP, body, "json").partial == ""


@pytest.mark.parametrize(("name", "body"), [PARTIAL[0], PARTIAL[-1]], ids=["page", "records"])
def test_a_partial_answer_is_stored_and_an_error_that_says_why(
    desk: Desk, name: str, body: bytes
) -> None:
    brought = desk.bring(LMP, body)
    assert len(desk.rows(LMP)) == 9, "its records are good"
    assert brought.done.quarantined == 0
    assert {(d.kind, d.severity, d.refuses) for d in brought.done.drift} == {
        ("partial", "ERROR", False)
    }
    verdict = brought.verdicts["schema_drift"]
    assert (verdict.passed, verdict.severity) == (False, "ERROR")
    assert "the answer is partial" in verdict.reason
    assert name in verdict.reason
    assert brought.archived.partial in verdict.reason


def test_an_unknown_neighbour_is_a_warning_that_stores(desk: Desk) -> None:
    brought = desk.bring(LMP, body(Generated="2026-07-20"))
    assert len(desk.rows(LMP)) == 9
    assert [(d.kind, d.field) for d in brought.done.drift] == [("added", "Generated")]
    assert brought.archived.partial == ""
    assert brought.verdicts["schema_drift"].severity == "WARN"


@pytest.mark.parametrize(
    "body",
    [
        body(),
        json.dumps({"FiveMinLmp": RECORDS}).encode(),
        body(inner={"@xmlns": "http://WEBSERV.iso-ne.com"}),
    ],
    ids=["wrapped", "without its wrapper", "with a namespace"],
)
def test_an_answer_of_records_alone_has_no_drift(desk: Desk, body: bytes) -> None:
    assert desk.bring(LMP, body).done.drift == ()


def test_xml_says_it_with_elements_beside_the_records(desk: Desk) -> None:
    tree = {"FiveMinLmps": {"FiveMinLmp": RECORDS, "NextPage": "/page/2"}}
    brought = desk.bring(LMP, render(tree, "xml"))
    assert [d.kind for d in brought.done.drift] == ["partial"]
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    whole = desk.bring(LMP, render({"FiveMinLmps": {"FiveMinLmp": RECORDS}}, "xml"))
    assert whole.done.drift == ()


def test_the_header_of_a_dialect_is_no_neighbour_and_what_is_new_in_it_is() -> None:
    known = {"metadata": {"operatingDay": None}}
    tree: Json = {"data": [], "metadata": {"operatingDay": "2026-07-20"}}
    assert neighbours_of(tree, ("data",), known) == {}
    tree["metadata"]["status"] = "PARTIAL"
    tree["metadata"]["note"] = "x"
    found = drift_of_neighbours(neighbours_of(tree, ("data",), known), "data")
    assert [(d.kind, d.field) for d in found] == [
        ("partial", "metadata.status"),
        ("added", "metadata.note"),
    ]


def test_the_live_forecast_has_its_header_and_nothing_else() -> None:
    record = {"CASEAPPROVALDATE": "2026-07-20 8:04:09 AM", "SOLUTIONTIME": "2026-07-20 8:00:00 AM"}
    record["PJMFORECASTEDLMP"] = "45.73"
    tree = {"RefId": "20-Jul-2026 - Interval 08:00 EST", "Interval": [record]}
    assert inspect_answer(CTS, json.dumps(tree).encode(), "json").partial == ""
    body = json.dumps(tree | {"Status": "PARTIAL"}).encode()
    assert "Status 'PARTIAL'" in inspect_answer(CTS, body, "json").partial


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"no data"}',
        b'{"FiveMinLmps":"","error":"no data"}',
        b'{"FiveMinLmps":{"FiveMinLmp":[]},"Status":"PARTIAL"}',
    ],
)
def test_an_error_beside_no_records_is_no_empty_day(body: bytes) -> None:
    with pytest.raises(MalformedPayload, match=r"error|PARTIAL"):
        inspect_answer(LMP, body, "json")


def test_an_empty_day_is_still_one() -> None:
    assert inspect_answer(LMP, b'{"FiveMinLmps":""}', "json").records == 0


def test_the_whole_answer_that_comes_later_puts_it_right(desk: Desk) -> None:
    desk.bring(LMP, body(NextPage="/page/2"))
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    brought = desk.bring(LMP, body(RECORDS + lmp_records(DAY, [110], locations=3)))
    assert brought.verdicts["schema_drift"].passed
    again = ingest.replay(desk.resources, LMP, DAY)
    assert again.merged.snapshot_id is None
    assert {v.check: v for v in ingest.check(desk.resources, again)}["schema_drift"].passed
    assert len(desk.rows(LMP)) == 12


# --- an attempt that is made again ---------------------------------------------------------------


@pytest.fixture
def operator() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1") as server:
        yield server


def load_body(**beside: object) -> bytes:
    records = load_records(LOAD.day("2026-07-20"))
    return json.dumps({"FiveMinSystemLoads": {"FiveMinSystemLoad": records}, **beside}).encode()


@pytest.mark.parametrize(
    ("body", "outcomes"),
    [
        (load_body(NextPage="/page/2"), ["stored", "duplicate"]),
        (load_body(Generated="now"), ["stored", "resumed"]),
    ],
    ids=["partial", "whole"],
)
def test_a_partial_answer_is_asked_for_again_by_the_next_attempt(
    desk: Desk, operator: HTTPServer, body: bytes, outcomes: list[str]
) -> None:
    operator.expect_request("/fiveminutesystemload/day/20260720").respond_with_data(
        body, content_type="application/json"
    )
    resources = remade(
        desk.resources, base_urls={**desk.resources.base_urls, "isone": operator.url_for("")}
    )
    day = LOAD.day("2026-07-20")
    for outcome in outcomes:
        done = ingest.collect(resources, LOAD, day, feeds=["day"], attempts_of="a backfill")
        assert [a.outcome for a in done.archived] == [outcome]
        desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    assert len(operator.log) == len(outcomes) - outcomes.count("resumed")


def test_a_wrapper_three_deep_is_looked_at_on_every_level() -> None:
    inner: Json = {"five_min_estimated_zonal_load": [{"load_zone_id": 4001}]}
    levels: list[Callable[[], Json]] = [
        lambda: {"isone_web_services": {"five_min_estimated_zonal_loads": inner}, "next": "/2"},
        lambda: {"isone_web_services": {"five_min_estimated_zonal_loads": inner, "next": "/2"}},
        lambda: {"isone_web_services": {"five_min_estimated_zonal_loads": {**inner, "next": "/2"}}},
    ]
    for level in levels:
        assert (
            "next" in inspect_answer(ISONE_ZONAL_LOAD, json.dumps(level()).encode(), "json").partial
        )
    whole = {"isone_web_services": {"five_min_estimated_zonal_loads": inner}}
    assert inspect_answer(ISONE_ZONAL_LOAD, json.dumps(whole).encode(), "json").partial == ""
