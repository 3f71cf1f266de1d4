"""The stand-in's feeds beside prices, load and CTS keep what ``sources.md`` says of them."""

import datetime as dt
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.operators import DATASETS
from aurum_assets.resources.configuration import Configuration
from aurum_assets.simulator.isone import (
    ancillary,
    day_ahead_reserves,
    generation,
    hourly_lmp,
    hourly_load,
    lmp,
    load,
    zonal_load,
)
from aurum_assets.simulator.isone.generation_series import instants
from aurum_assets.simulator.isone.lmp_series import Market
from aurum_assets.simulator.isone.locations import location_records
from aurum_assets.simulator.isone.places import places
from aurum_assets.simulator.server import Simulator
from aurum_assets_tests.test_simulator import AUTUMN, CENT, DAY, SPRING, ask, at, lmp_distance, utc

DAYS = [SPRING, AUTUMN, DAY]


def answer_at(now: str, path: str, **options: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    reply = ask(Simulator(at(now), limits={}, **options), path)
    return reply.json() if reply.status_code == 200 else reply.status_code


@pytest.mark.parametrize("market", ["da", "prelim", "final"])
@pytest.mark.parametrize("day", DAYS, ids=str)
def test_hourly_prices_hold_each_hour_once_and_keep_the_arithmetic(
    day: OperatingDay, market: Market
) -> None:
    records = hourly_lmp.hourly_records(day, market=market, where=places(30))
    hub = [r for r in records if r["Location"]["@LocId"] == "4000"]
    assert [utc(r["BeginDate"]) for r in hub] == day.marks(HOUR)
    assert max(map(lmp_distance, records)) <= CENT


def test_an_hours_price_is_near_the_mean_of_its_five_minutes_and_not_the_same() -> None:
    five = [r["LmpTotal"] for r in lmp.lmp_records(DAY, locations=1)]
    means = [sum(five[i : i + 12]) / 12 for i in range(0, 288, 12)]
    hours = [
        r["LmpTotal"] for r in hourly_lmp.hourly_records(DAY, market="prelim", where=places(1))
    ]
    differences = [abs(a - b) for a, b in zip(means, hours, strict=True)]
    assert 0.02 < max(differences) < 3


@pytest.mark.parametrize(
    ("hour", "newest"), [("12:59:59", "2026-07-27"), ("13:00:00", "2026-07-28")]
)
def test_the_day_ahead_market_is_out_at_one_oclock_the_day_before(hour: str, newest: str) -> None:
    now = f"2026-07-27T{hour}-04:00"
    documented = answer_at(now, "/dayaheadlmp", locations=2)["HourlyLmps"]["HourlyLmp"]
    assert {r["BeginDate"][:10] for r in documented} == {newest}
    assert len(documented) == 48
    services = answer_at(now, "/ancillaryservices")["AncillaryServices"]["AncillaryService"]
    assert {r["BeginDate"][:10] for r in services} == {newest}
    for path in ("/hourlylmp/da/final/day/20260728", "/daasreservedata/day/20260728"):
        assert (answer_at(now, path, locations=2) == 404) is (newest == "2026-07-27")


def test_an_hour_or_a_place_of_a_day_can_be_asked_for_alone() -> None:
    now, day = "2026-07-27T12:00:00-04:00", "/hourlylmp/da/final/day/20260727"
    (hub, zone) = answer_at(now, f"{day}/hour/05", locations=2)["HourlyLmps"]["HourlyLmp"]
    assert hub["BeginDate"] == zone["BeginDate"] == "2026-07-27T05:00:00.000-04:00"
    assert len(answer_at(now, f"{day}/location/4001")["HourlyLmps"]["HourlyLmp"]) == 24
    lone = answer_at(now, f"{day}/hour/05/location/4001")["HourlyLmps"]["HourlyLmp"]
    assert lone["Location"]["@LocId"] == "4001"
    assert answer_at(now, "/hourlylmp/da/final/day/20240310/hour/02") == 400
    repeated = answer_at(now, "/hourlylmp/da/final/day/20241103/hour/01/location/4000")
    assert [r["BeginDate"][23:] for r in repeated["HourlyLmps"]["HourlyLmp"]] == [
        "-04:00",
        "-05:00",
    ]


@pytest.mark.parametrize(
    "path", ["/hourlylmp/rt/final", "/fiveminutercp/final", "/hourlyrcp/final"]
)
def test_final_values_are_out_days_later(path: str) -> None:
    assert answer_at("2026-07-27T12:00:00-04:00", f"{path}/day/20260726", locations=1) == 404
    assert answer_at("2026-07-28T12:00:00-04:00", f"{path}/day/20260726", locations=1) != 404


def test_the_loads_of_the_zones_make_about_the_systems_load() -> None:
    whole = load.load_records(DAY)
    zones = zonal_load.zonal_records(DAY)
    assert len(zones) == 288 * 8
    for i, record in enumerate(whole):
        together = sum(z["estimated_load_mw"] for z in zones[8 * i : 8 * i + 8])
        assert abs(together / record["LoadMw"] - 1) < 0.03


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_an_hours_load_is_the_mean_of_its_five_minutes(day: OperatingDay) -> None:
    five = [r["LoadMw"] for r in load.load_records(day)]
    records = hourly_load.hourly_load_records(day)
    assert [utc(r["BeginDate"]) for r in records] == day.marks(HOUR)
    for i, record in enumerate(records):
        assert abs(record["Load"] - sum(five[12 * i : 12 * i + 12]) / 12) < 0.001


def test_the_load_of_an_hour_is_out_ten_minutes_after_it() -> None:
    path, newest = "/hourlysysload/current", {"00:09:59": "22", "00:10:00": "23"}
    for now, hour in newest.items():
        lone = answer_at(f"2026-07-27T{now}-04:00", path)["HourlySystemLoads"]["HourlySystemLoad"]
        assert lone["BeginDate"] == f"2026-07-26T{hour}:00:00.000-04:00"
    assert answer_at("2026-07-27T00:30:00-04:00", "/hourlysysload/day/20260727") == {
        "HourlySystemLoads": ""
    }


def test_a_zone_can_be_asked_for_alone() -> None:
    now, path = "2026-07-27T12:00:00-04:00", "/fiveminuteestimatedzonalload/current/loadzone"
    outer = answer_at(now, f"{path}/4004")["isone_web_services"]["five_min_estimated_zonal_loads"]
    assert outer["five_min_estimated_zonal_load"]["load_zone_name"] == ".Z.CONNECTICUT"
    assert answer_at(now, f"{path}/9") == 404


def test_the_mix_is_published_188_to_267_times_a_day_3_to_1049_seconds_apart() -> None:
    when = [instants(0, DAY.plus(-n)) for n in range(60, -1, -1)]
    assert all(188 <= len(of_day) <= 267 for of_day in when)
    every = [instant for of_day in when for instant in of_day]
    gaps = [(b - a).total_seconds() for a, b in pairwise(every)]
    assert 3 <= min(gaps) < 30
    assert 900 < max(gaps) <= 1049
    assert len({instant.second for instant in every}) == 60


def test_in_autumn_the_order_of_the_mixs_text_is_not_that_of_time() -> None:
    stamps = list(dict.fromkeys(r["BeginDate"] for r in generation.mix_records(AUTUMN)))
    assert [utc(s) for s in stamps] == instants(0, AUTUMN)
    assert sorted(stamps) != stamps


def test_a_fuel_that_makes_nothing_has_no_record_and_batteries_came_in_may_2026() -> None:
    records = generation.mix_records(DAY)
    assert all(r["GenMw"] > 0 for r in records)
    fuels = Counter(r["FuelCategory"] for r in records)
    assert 0 < fuels["Solar"] < fuels["Nuclear"]
    new_york = "America/New_York"
    before, after = (
        {
            r["FuelCategory"]
            for r in generation.mix_records(OperatingDay(dt.date(2026, *day), new_york))
        }
        for day in ((4, 30), (5, 1))
    )
    assert after - before == {"Batteries"}
    assert {r["MarginalFlag"] for r in records} == {"Y", "N", "-"}


def test_the_generators_make_the_mix_together() -> None:
    resources = generation.resource_records(DAY, 200)
    moment = DAY.start + 200 * FIVE_MINUTES
    nearest = min(range(188), key=lambda n: abs(instants(0, DAY)[n] - moment))
    whole = sum(r["GenMw"] for r in generation.mix_records(DAY, [nearest]))
    assert abs(sum(r["GenMw"] for r in resources) / whole - 1) < 0.02
    assert len(resources) == len({r["ResourceId"] for r in resources}) == 393
    units = {r["LocationID"] for r in location_records() if r.get("NetworkNodeType") == "UNIT"}
    assert {r["ResourceId"] for r in resources} == units


def test_some_stamps_of_regulation_and_reserve_are_a_second_or_two_late() -> None:
    for make in (ancillary.regulation_records, ancillary.reserve_records):
        seconds = Counter(r["BeginDate"][17:19] for r in make(0, DAY, range(288), "prelim"))
        assert set(seconds) == {"00", "01", "02"}
        assert seconds["00"] > 0.9 * seconds.total()


def test_final_ancillary_prices_differ_in_a_few_intervals() -> None:
    prelim = ancillary.regulation_records(0, DAY, range(288), "prelim")
    final = ancillary.regulation_records(0, DAY, range(288), "final")
    changed = sum(p != f for p, f in zip(prelim, final, strict=True))
    assert 0 < changed < 30


def test_the_hour_that_autumn_repeats_ends_at_02x() -> None:
    ends = [
        r["HourEnd"] for r in ancillary.hourly_regulation_records(0, AUTUMN, range(25), "final")
    ]
    assert ends[:4] == ["01", "02", "02X", "03"]
    assert ends[-1] == "24"


def test_both_paths_of_day_ahead_reserves_say_the_same() -> None:
    live = day_ahead_reserves.reserve_data_records(DAY)
    documented = day_ahead_reserves.service_records(DAY)
    assert live[0]["market_hour"]["local_day"] == "2026-07-26T00:00:00.000-04:00"
    assert [r["tmsr_clearing_price"] for r in live] == [
        r["Price"] for r in documented if r["Product"] == "TMSR"
    ]
    assert answer_at("2026-07-27T12:00:00-04:00", "/daasreservedata/day/20250228") == 404


def test_1302_locations_are_listed_of_which_1190_are_nodes_and_393_units() -> None:
    records = location_records()
    assert len(records) == len({r["LocationID"] for r in records}) == 1302
    assert Counter(r.get("NetworkNodeType") for r in records) == {
        "LOAD": 797,
        "UNIT": 393,
        None: 112,
    }
    assert [r["LocationID"] for r in records if r["LocationName"] == "Maine"] == [7505, 8503]
    assert {str(r["LocationID"]) for r in records} >= {p.id for p in places()}
    some = answer_at("2026-07-27T12:00:00-04:00", "/locations")["Locations"]["Location"]
    assert 16 < len(some) < 112


@pytest.mark.parametrize(
    "path",
    ["/hourlylmp/rt/prelim", "/fiveminuteestimatedzonalload", "/genfuelmix", "/daasreservedata"],
)
def test_a_feed_says_how_fresh_it_is(path: str) -> None:
    service = answer_at("2026-07-27T12:00:00-04:00", f"{path}/info")["ServiceInfo"]
    assert utc(service["LatestBeginDate"]) > DAY.start


def test_every_endpoint_of_the_configuration_is_answered_in_its_format(
    configuration: Configuration,
) -> None:
    simulator = Simulator(at("2026-07-27T14:00:00-04:00"), locations=2, nodes=1, limits={})
    for dataset in DATASETS:
        if dataset.operator.name != "isone":
            continue
        for feed in configuration.datasets[dataset.key].feeds:
            for endpoint in feed.endpoints:
                day = dataset.day("2026-07-20")
                path = endpoint.url_path(day, feed.parts(day)[-1])
                accept = {"Accept": f"application/{endpoint.format}"}
                reply = ask(simulator, path, accept)
                assert reply.status_code == 200, path
                assert reply.headers["Content-Type"] == f"application/{endpoint.format}"
