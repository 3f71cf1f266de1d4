"""What the live servers do not have: never a failure, never an alert, always one sentence."""

import asyncio
from dataclasses import replace

import dagster as dg
import httpx
import pytest

from aurum_assets import ingest
from aurum_assets.definitions import build
from aurum_assets.ingest.days import collect_days
from aurum_assets.model.clock import DAY
from aurum_assets.model.errors import DaysFailed, NotOffered, SourceRefused
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.generation import ISONE_GENERATION_BY_RESOURCE
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Aurum, Desk, printed, run_feeds, utc
from aurum_assets_tests.made import remade

ROSTER, LOCATIONS, CTS = ISONE_GENERATION_BY_RESOURCE, ISONE_LOCATIONS, MISO_CTS
TODAY, YESTERDAY = "2026-07-21", "2026-07-20"
DOCUMENTED_ONLY = ("/generation/resource", "/dayaheadlmp", "/ancillaryservices")
SENTENCE = (
    "not offered: ISO New England has no /generation/resource (404), from which feed now of "
    "isone_generation_by_resource would come; it is only documented"
)


@pytest.fixture
def live_market(market: Running) -> Running:
    """Both operators as their live servers are."""
    world = market.simulator.world
    market.simulator.world = replace(world, live_only=True, dialect="live")
    return market


# --- the servers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTED_ONLY)
def test_a_live_only_simulator_does_not_have_what_is_only_documented(
    market: Running, path: str
) -> None:
    def ask() -> int:
        auth = ("demo", "demo-password")
        return httpx.get(f"{market.urls['isone']}{path}", auth=auth).status_code

    assert ask() == 200
    market.simulator.world = replace(market.simulator.world, live_only=True)
    assert ask() == 404


def test_a_404_of_what_is_only_documented_is_not_awaited(live_desk: Desk, market: Running) -> None:
    cts = next(d for d in DATASETS if d.key == "miso_cts")
    urls = {"isone": market.urls["isone"], "miso": f"{market.urls['miso']}/nowhere"}
    resources = remade(live_desk.resources, base_urls=urls)
    day = cts.operator.day_of(resources.now()).plus(-1)  # not due yet, were it offered
    done = ingest.collect(resources, cts, day, feeds=["day"])
    assert set(done.not_offered) == {"day"}
    assert done.not_yet == {}


def test_a_live_only_miso_takes_no_notice_of_parameters(live_market: Running) -> None:
    path = "/CoordinatedTransactionScheduling"
    plain = httpx.get(f"{live_market.urls['miso']}{path}")
    assert httpx.get(f"{live_market.urls['miso']}{path}?date=2026-07-01").content == plain.content


def test_live_only_is_an_option_of_the_command_line(aurum: Aurum) -> None:
    assert "--live-only" in aurum("simulate", "--help").stdout


# --- runs ----------------------------------------------------------------------------------------


def test_a_daily_run_is_green_where_the_operator_does_not_offer_a_dataset(
    live_desk: Desk, live_market: Running
) -> None:
    feeds = {ROSTER.key: ["now"], LOCATIONS.key: ["now"]}
    done = run_feeds(live_desk, "isone_daily", TODAY, feeds)
    assert done.success
    (materialization,) = (
        e.asset_observation_data.asset_observation
        for e in done.all_events
        if e.event_type_value == "ASSET_OBSERVATION"
    )
    assert (materialization.asset_key.path[-1], materialization.partition) == (ROSTER.key, TODAY)
    assert materialization.description == SENTENCE
    made = {e.asset_key.path[-1] for e in done.get_asset_materialization_events() if e.asset_key}
    assert made == {LOCATIONS.key}, "of what nobody offers nothing is materialized"
    asked = [s.path for s in live_market.simulator.requests if "resource" in s.path]
    assert len(asked) == 2, "in both formats, the first time"


def test_what_is_not_offered_stands_in_no_other_feeds_way(
    live_desk: Desk, live_market: Running
) -> None:
    del live_market
    home, day = live_desk.resources, ISONE_DA_LMP.day(TODAY)
    done = ingest.collect(home, ISONE_DA_LMP, day, feeds=["now", "day"])
    assert list(done.not_offered) == ["now"]
    assert done.days == [TODAY]
    assert done.failed == {}


def test_a_404_of_a_live_endpoint_for_a_day_that_is_due_is_a_failure_still(
    live_desk: Desk, live_market: Running
) -> None:
    live_market.simulator.fail("404", match="/locations/all", times=2)
    with pytest.raises(SourceRefused) as caught:
        ingest.collect(live_desk.resources, LOCATIONS, LOCATIONS.day(TODAY), feeds=["now"])
    assert not isinstance(caught.value, NotOffered)
    assert caught.value.status == 404


def test_a_403_of_what_is_only_documented_is_a_failure(
    live_desk: Desk, live_market: Running
) -> None:
    live_market.simulator.fail("403", match="/generation/resource", times=2)
    with pytest.raises(SourceRefused, match="403"):
        ingest.collect(live_desk.resources, ROSTER, ROSTER.day(TODAY))


def test_a_documented_server_is_asked_as_ever(live_desk: Desk) -> None:
    done = ingest.collect(live_desk.resources, ROSTER, ROSTER.day(TODAY))
    assert done.not_offered == {}
    assert done.count("stored") == 1


# --- gaps and alerts -----------------------------------------------------------------------------


def test_a_gap_that_only_a_documented_endpoint_could_fill_is_asked_for_once_and_is_not_red(
    live_desk: Desk, live_market: Running
) -> None:
    """MISO's live file is today's, whatever day is asked for."""
    live_desk.clock.set(utc("2026-07-20T12:00:00-05:00"))
    ingest.collect(live_desk.resources, CTS, CTS.day(YESTERDAY), feeds=["now"])
    ingest.normalize(live_desk.resources, CTS, CTS.day(YESTERDAY))
    live_desk.clock.set(utc("2026-07-21T12:00:00-05:00"))
    (repair,) = ingest.find_gaps(live_desk.resources, [CTS]).repairs
    before = len(live_market.simulator.requests)
    done = run_feeds(
        live_desk, "miso_fifteen_minutes", YESTERDAY, {CTS.key: list(repair.gap.feeds)}
    )
    assert done.success
    assert len(live_market.simulator.requests) == before + 1
    live_desk.clock.set(live_desk.clock() + DAY)
    assert ingest.find_gaps(live_desk.resources, [CTS]).repairs == []


def test_what_the_operator_no_longer_offers_is_not_late(
    live_desk: Desk, market: Running, live_market: Running
) -> None:
    market.simulator.world = replace(market.simulator.world, live_only=False)
    ingest.collect(live_desk.resources, ROSTER, ROSTER.day(TODAY))
    ingest.normalize(live_desk.resources, ROSTER, ROSTER.day(TODAY))
    assert ingest.look(live_desk.resources, [ROSTER]) == []
    for _ in range(3):
        live_desk.clock.set(live_desk.clock() + DAY)
        ingest.look(live_desk.resources, [ROSTER])
    (late,) = ingest.look(live_desk.resources, [ROSTER])
    assert (late.kind, late.subject) == ("late_feed", "now")
    live_market.simulator.world = replace(market.simulator.world, live_only=True)
    ingest.collect(live_desk.resources, ROSTER, ROSTER.day("2026-07-24"))
    assert ingest.look(live_desk.resources, [ROSTER]) == []


def test_an_asset_of_which_nothing_is_live_is_never_stale(live_desk: Desk) -> None:
    graph = build(live_desk.resources).resolve_asset_graph()
    stale = {
        key.path[-1]: graph.get(key).freshness_policy
        for d in DATASETS
        for key in (dg.AssetKey(["raw", d.key]),)
    }
    assert [key for key, policy in stale.items() if policy is None] == [ROSTER.key]


# --- what is reported ----------------------------------------------------------------------------


def test_collect_says_in_one_sentence_what_is_not_offered_and_is_content(
    aurum: Aurum, live_market: Running
) -> None:
    del live_market
    done = aurum("collect", "isone", "generation_by_resource")
    assert done.exit_code == 0
    assert done.stderr.splitlines().count(SENTENCE) == 1
    assert "FAILED" not in done.stderr
    document = printed(aurum("collect", "isone", "generation_by_resource", "--json"))
    assert (document["not_offered_because"], document["failed_because"]) == ([SENTENCE], [])
    assert document["failed"] == document["collected"] == 0


def test_probe_says_what_is_not_offered_and_is_content(aurum: Aurum, live_market: Running) -> None:
    del live_market
    done = aurum("probe", "--dataset", ROSTER.key, "--dataset", CTS.key, "--json")
    found = {p["endpoint"]: p for p in printed(done)["probed"]}
    assert done.exit_code == 0
    assert found["generation_resource"]["state"] == "not offered"
    assert found["generation_resource"]["reason"] == SENTENCE
    assert found["cts_day"]["state"] == "not offered"
    assert "with its live file of today" in found["cts_day"]["reason"]
    assert found["cts_live"]["state"] == "ok"


def test_doctor_says_what_is_not_offered_and_is_content(aurum: Aurum, live_market: Running) -> None:
    del live_market
    found = {p["part"]: p for p in printed(aurum("doctor", "--json"))["parts"]}
    assert found["isone"]["state"] == "ok"
    assert found["isone"]["result"].endswith(SENTENCE)
    assert "not offered" not in found["miso"]["result"]


def test_the_python_api_raises_what_is_not_offered(live_desk: Desk, live_market: Running) -> None:
    del live_market
    with pytest.raises(DaysFailed, match="not offered") as caught:
        asyncio.run(collect_days(live_desk.resources, ROSTER, [ROSTER.day(TODAY)]))
    assert isinstance(caught.value.errors[TODAY], NotOffered)


def test_every_dataset_names_its_live_dialects_and_the_documented_paths_are_not_among_them(
    live_desk: Desk,
) -> None:
    dead = {
        endpoint.path
        for d in DATASETS
        for feed in live_desk.resources.config(d).feeds
        for endpoint in feed.endpoints
        if not live_desk.resources.config(d).is_live(endpoint)
    }
    assert dead == {*DOCUMENTED_ONLY, "/CoordinatedTransactionScheduling?date={day}"}
