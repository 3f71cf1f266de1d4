"""The stand-in operators keep what ``sources.md`` says of the real ones, and fail as asked."""

import datetime as dt
import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import pytest

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.model.dataset import Dataset, Envelope, FormatName, Snapshot
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.operator import Limit
from aurum_assets.model.reading import Reading, inspect_answer, read
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.simulator import faults, ledger, operators
from aurum_assets.simulator.isone import lmp, load
from aurum_assets.simulator.isone.payloads import render, wrapped
from aurum_assets.simulator.isone.places import places
from aurum_assets.simulator.miso import cts
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets.simulator.wire import Request
from aurum_assets.simulator.world import SetClock

AT = dt.datetime.fromisoformat("2026-07-27T17:26:00-04:00")
CENT = Decimal("0.01")
JSON = {"Accept": "application/json"}
XML = {"Accept": "application/xml"}
BASIC = ("demo", "demo-password")
DAY = OperatingDay.parse("2026-07-26", "America/New_York")
SPRING = OperatingDay.parse("2024-03-10", "America/New_York")
AUTUMN = OperatingDay.parse("2024-11-03", "America/New_York")
EST_DAY = OperatingDay.parse("2026-07-26", "Etc/GMT+5")
LMP, LOAD, CTS = ISONE_RT_LMP, ISONE_SYSTEM_LOAD, MISO_CTS
GOLDEN = {"lmp": 28.27, "load": 11301.444, "cts": "37.57"}  # of seed 0
CTS_PATH = "/CoordinatedTransactionScheduling"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(auth=BASIC, headers=JSON, timeout=10) as opened:
        yield opened


@pytest.fixture
def running() -> Iterator[Running]:
    with Simulator(SetClock(AT), locations=40, limits={}).serve() as started:
        yield started


def at(text: str) -> SetClock:
    return SetClock(dt.datetime.fromisoformat(text))


def ask(simulator: Simulator, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """One question over a real socket."""
    with simulator.serve() as started, httpx.Client(auth=BASIC, headers=headers or JSON) as client:
        base = started.urls["miso"] if path.startswith(CTS_PATH) else started.urls["isone"]
        return client.get(base + path)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def distance(total: object, *parts: object) -> Decimal:
    return abs(Decimal(str(total)) - sum(Decimal(str(part)) for part in parts))


def lmp_distance(record: dict[str, Any]) -> Decimal:
    parts = (record[f"{name}Component"] for name in ("Energy", "Congestion", "Loss"))
    return distance(record["LmpTotal"], *parts)


def reading(dataset: Dataset, body: bytes, fmt: FormatName = "json", asked: str = "") -> Reading:
    """What the product makes of ``body``."""
    seen = inspect_answer(dataset, body, fmt)
    envelope = Envelope(
        dataset=dataset.key,
        endpoint="simulated",
        dialect=seen.dialect.name,
        format=fmt,
        day=seen.days[0] if seen.days else "",
        fetched_at=AT,
        raw_sha256="0" * 64,
        content_sha256=seen.content_sha256,
        asked=asked or None,
    )
    return read(dataset, Snapshot(envelope, body))


def test_a_seed_a_day_and_an_interval_decide_every_number() -> None:
    assert lmp.lmp_records(DAY, [7], seed=3) == lmp.lmp_records(DAY, [7], seed=3)
    assert lmp.lmp_records(DAY, [7], seed=3) != lmp.lmp_records(DAY, [7], seed=4)
    assert load.load_records(DAY, [7], seed=3) != load.load_records(DAY, [7], seed=4)
    assert cts.live_records(EST_DAY, 1, seed=3) != cts.live_records(EST_DAY, 1, seed=4)


def test_numbers_are_the_same_in_every_process_and_version() -> None:
    first = lmp.lmp_records(DAY, [0])[0]
    assert first["LmpTotal"] == GOLDEN["lmp"]
    assert load.load_records(DAY, [0])[0]["LoadMw"] == GOLDEN["load"]
    assert cts.live_records(EST_DAY, 1)[0]["PJMFORECASTEDLMP"] == GOLDEN["cts"]


def test_every_endpoint_gives_an_interval_the_same_price(
    running: Running, client: httpx.Client
) -> None:
    def hub(path: str) -> Any:  # noqa: ANN401  whatever JSON holds
        answer = client.get(f"{running.urls['isone']}/fiveminutelmp{path}").json()
        records = answer.get("FiveMinLmps", answer)["FiveMinLmp"]
        listed = records if isinstance(records, list) else [records]
        return [
            r for r in listed if r["Location"]["@LocId"] == "4000" and "T17:25" in r["BeginDate"]
        ]

    expected = hub("/current")
    assert len(expected) == 1
    for path in (
        "/current/all",
        "/prelim/current",
        "/prelim/current/all.json",
        "/current/location/4000",
        "/prelim/day/20260727/starthour/17",
        "/prelim/day/20260727/location/4000",
    ):
        assert hub(path) == expected, path


def test_fewer_locations_leave_the_others_prices_alone() -> None:
    few, all_of_them = (lmp.lmp_records(DAY, [3], locations=n) for n in (20, 1213))
    assert few == all_of_them[:20]


def test_1213_locations_are_priced_and_two_ids_share_a_name() -> None:
    roster = places()
    assert len(roster) == len({p.id for p in roster}) == 1213
    assert [p.id for p in roster if p.name == "Maine"] == ["7505", "8503"]
    assert [p.name for p in roster[:2]] == [".H.INTERNAL_HUB", ".Z.MAINE"]


def test_a_total_differs_from_its_parts_by_a_cent_in_many_rows_and_never_by_more() -> None:
    distances = [lmp_distance(r) for r in lmp.lmp_records(DAY, range(0, 288, 24))]
    assert max(distances) == CENT
    assert 0.1 < distances.count(CENT) / len(distances) < 0.4


def test_final_prices_keep_the_arithmetic_and_differ_in_about_one_row_of_a_hundred() -> None:
    intervals = range(0, 288, 24)
    prelim = lmp.lmp_records(DAY, intervals, "prelim")
    final = lmp.lmp_records(DAY, intervals, "final")
    changed = [p != f for p, f in zip(prelim, final, strict=True)]
    assert 0.005 < sum(changed) / len(changed) < 0.02
    assert max(map(lmp_distance, final)) == CENT


def test_a_year_has_negative_prices_scarcity_and_congestion() -> None:
    days = [DAY.plus(-7 * week) for week in range(52)]
    hub = [r["LmpTotal"] for d in days for r in lmp.lmp_records(d, locations=1)]
    assert min(hub) < 0
    assert max(hub) > 300
    assert 20 < sum(hub) / len(hub) < 90
    nodes = lmp.lmp_records(DAY.plus(-1), range(0, 288, 48))
    free = sum(r["CongestionComponent"] == 0 for r in nodes)
    assert 0 < len(nodes) - free < free


def test_integers_and_decimals_mix_in_one_column() -> None:
    records = json.loads(lmp.render_lmp_hour(DAY, "05"))["FiveMinLmps"]["FiveMinLmp"]
    assert {type(r["LmpTotal"]) for r in records} == {int, float}


def test_native_load_is_load_less_pumps_and_the_sun_shines_by_day() -> None:
    records = load.load_records(DAY)
    for r in records:
        assert distance(r["LoadMw"], r["NativeLoad"], r["ArdDemand"]) == 0
        assert distance(r["NativeLoadBtmPv"], r["SystemLoadBtmPv"], -r["ArdDemand"]) == 0
    sun = [r["SystemLoadBtmPv"] - r["LoadMw"] for r in records]
    assert sun[12] == 0
    assert sun[150] > 500
    assert all(5_000 < r["LoadMw"] < 30_000 for r in records)


@pytest.mark.parametrize(("day", "intervals"), [(SPRING, 276), (AUTUMN, 300), (DAY, 288)])
def test_the_hours_of_a_day_hold_each_interval_once_and_in_order(
    day: OperatingDay, intervals: int
) -> None:
    stamps = []
    for hour in day.local_hours():
        records = json.loads(lmp.render_lmp_hour(day, hour, 30))["FiveMinLmps"]["FiveMinLmp"]
        stamps += [r["BeginDate"] for r in records if r["Location"]["@LocId"] == "4000"]
    assert [utc(s) for s in stamps] == day.marks(FIVE_MINUTES)
    assert len(stamps) == intervals
    assert all(s[19:23] == ".000" for s in stamps)


@pytest.mark.parametrize(("day", "intervals"), [(SPRING, 276), (AUTUMN, 300)])
def test_a_load_day_holds_each_interval_once_and_in_order(
    day: OperatingDay, intervals: int
) -> None:
    reply = ask(Simulator(at("2026-01-01T00:00:00Z")), f"/fiveminutesystemload/day/{day.compact}")
    records = reply.json()["FiveMinSystemLoads"]["FiveMinSystemLoad"]
    assert [utc(r["BeginDate"]) for r in records] == day.marks(FIVE_MINUTES)
    assert len(records) == intervals


def test_autumns_one_oclock_comes_twice_and_springs_two_oclock_never() -> None:
    simulator = Simulator(at("2026-01-01T00:00:00Z"), locations=1)
    autumn = ask(simulator, "/fiveminutelmp/prelim/day/20241103/starthour/01").json()
    stamps = [r["BeginDate"] for r in autumn["FiveMinLmps"]["FiveMinLmp"]]
    assert [s[23:] for s in stamps] == ["-04:00"] * 12 + ["-05:00"] * 12
    assert ask(simulator, "/fiveminutelmp/prelim/day/20240310/starthour/02").status_code == 400


@pytest.mark.parametrize("date", ["2024-03-10", "2024-11-03"])
def test_miso_knows_288_marks_on_every_day(date: str) -> None:
    simulator = Simulator(at("2026-01-01T00:00:00Z"), nodes=3)
    answer = ask(simulator, f"{CTS_PATH}?date={date}").json()
    assert answer["metadata"]["operatingDay"] == date
    stamps = [r["timestamp"] for r in answer["data"] if r["node"] == "MISO.PJM.INTERFACE2"]
    assert len(answer["data"]) == 3 * 288
    assert [utc(s) for s in stamps] == OperatingDay.parse(date, "Etc/GMT+5").marks(FIVE_MINUTES)


@pytest.mark.parametrize(("second", "newest"), [("24", "17:20"), ("25", "17:25")])
def test_a_price_is_out_25_seconds_after_its_interval_begins(second: str, newest: str) -> None:
    simulator = Simulator(at(f"2026-07-27T17:25:{second}-04:00"))
    for path in ("/fiveminutelmp/current", "/fiveminutelmp/info"):
        assert f"2026-07-27T{newest}:00.000-04:00" in ask(simulator, path).text
    assert len(ask(simulator, "/fiveminutelmp/current").json()["FiveMinLmps"]["FiveMinLmp"]) == 16


def test_a_load_is_out_five_minutes_after_its_interval_begins() -> None:
    answer = ask(Simulator(at("2026-07-27T17:29:59-04:00")), "/fiveminutesystemload/current").json()
    (record,) = answer["FiveMinSystemLoad"]
    assert record["BeginDate"] == "2026-07-27T17:20:00.000-04:00"


def test_just_after_midnight_the_newest_interval_is_yesterdays() -> None:
    simulator = Simulator(at("2026-07-27T00:00:10-04:00"))
    for path in ("/fiveminutelmp/current/location/4000", "/fiveminutesystemload/current"):
        assert "2026-07-26T23:55:00.000-04:00" in ask(simulator, path).text


def test_a_day_is_final_two_days_later_and_not_before() -> None:
    path = "/fiveminutelmp/final/day/20260725/location/4000"
    assert ask(Simulator(at("2026-07-26T23:59:59-04:00")), path).status_code == 404
    assert ask(Simulator(at("2026-07-27T00:00:00-04:00")), path).status_code == 200
    final = ask(Simulator(at("2026-07-27T00:00:00-04:00")), "/fiveminutelmp/final/current")
    assert {r["BeginDate"] for r in final.json()["FiveMinLmps"]["FiveMinLmp"]} == {
        "2026-07-25T23:55:00.000-04:00"
    }


def test_what_has_not_begun_is_not_found_and_what_is_not_out_is_empty() -> None:
    simulator = Simulator(at("2026-07-27T00:00:10-04:00"))
    assert ask(simulator, "/fiveminutesystemload/day/20260728").status_code == 404
    assert ask(simulator, "/fiveminutelmp/prelim/day/20260728/starthour/00").status_code == 404
    assert ask(simulator, f"{CTS_PATH}?date=2026-07-28").status_code == 404
    early = ask(simulator, "/fiveminutelmp/prelim/day/20260727/starthour/00")
    assert early.json() == {"FiveMinLmps": ""}
    assert ask(simulator, "/fiveminutesystemload/day/20260727").json() == {"FiveMinSystemLoads": ""}


def test_a_clock_that_is_set_brings_the_next_interval() -> None:
    clock = SetClock(AT)
    with Simulator(clock).serve() as running, httpx.Client(auth=BASIC, headers=JSON) as client:
        url = f"{running.urls['isone']}/fiveminutelmp/info"
        before = client.get(url).json()["ServiceInfo"]["LatestBeginDate"]
        clock.set(AT + FIVE_MINUTES)
        after = client.get(url).json()["ServiceInfo"]["LatestBeginDate"]
    assert utc(after) - utc(before) == FIVE_MINUTES


def test_prices_are_corrected_minutes_later_on_request_only() -> None:
    path = "/fiveminutelmp/prelim/day/20260727/starthour/12"
    plain = Simulator(at("2026-07-27T12:59:00-04:00"))
    revising = Simulator(at("2026-07-27T12:59:00-04:00"), revise=True)
    later = Simulator(at("2026-07-27T14:30:00-04:00"), revise=True)
    settled, early, late = (
        {(r["BeginDate"], r["Location"]["@LocId"]): r for r in records}
        for records in (
            ask(s, path).json()["FiveMinLmps"]["FiveMinLmp"] for s in (plain, revising, later)
        )
    )
    assert late == settled
    changed = [key for key in early if early[key] != late[key]]
    assert 0 < len(changed) < 0.01 * len(settled)


def test_some_intervals_come_late_on_request_only() -> None:
    path = "/fiveminutelmp/prelim/day/20260727/location/4000"
    clock = at("2026-07-27T00:00:00-04:00")
    revising, plain = Simulator(clock, revise=True), Simulator(clock)
    counts = []
    for hour in range(1, 24):
        clock.set(DAY.plus(1).start + dt.timedelta(hours=hour))
        seen = [s.reply(_request(path)).body for s in (revising, plain)]
        counts.append(tuple(body.count(b"BeginDate") for body in seen))
    assert all(late <= usual for late, usual in counts)
    assert any(late < usual for late, usual in counts)


def test_misos_live_file_holds_the_days_cases_newest_first() -> None:
    answer = ask(Simulator(at("2026-07-27T08:06:00-05:00")), CTS_PATH).json()
    assert answer["RefId"] == "27-Jul-2026 - Interval 08:00 EST"
    cases = list(dict.fromkeys(r["CASEAPPROVALDATE"] for r in answer["Interval"]))
    assert len(cases) == 33
    assert len(answer["Interval"]) == 330
    assert answer["Interval"][0]["SOLUTIONTIME"] == "2026-07-27 8:00:00 AM"
    assert answer["Interval"][9]["SOLUTIONTIME"] == "2026-07-27 10:15:00 AM"
    assert answer["Interval"][-10]["SOLUTIONTIME"] == "2026-07-27 12:00:00 AM"
    instants = [dt.datetime.strptime(c, "%Y-%m-%d %I:%M:%S %p") for c in cases]  # noqa: DTZ007  EST
    gaps = [(a - b).total_seconds() for a, b in pairwise(instants)]
    assert all(850 <= gap <= 944 for gap in gaps)
    assert all(236 <= i.minute % 15 * 60 + i.second <= 345 for i in instants)


def test_before_a_days_first_case_misos_live_file_is_yesterdays() -> None:
    answer = ask(Simulator(at("2026-07-27T00:03:00-05:00")), CTS_PATH).json()
    assert answer["RefId"] == "26-Jul-2026 - Interval 23:45 EST"
    assert len(answer["Interval"]) == 960


def test_a_past_case_never_changes() -> None:
    early = ask(Simulator(at("2026-07-27T08:06:00-05:00")), CTS_PATH).json()["Interval"]
    late = ask(Simulator(at("2026-07-27T20:06:00-05:00")), CTS_PATH).json()["Interval"]
    assert late[-len(early) :] == early


def test_the_documented_dialect_is_consistent_and_filters() -> None:
    simulator = Simulator(at("2026-07-27T08:06:00-05:00"), nodes=6)
    answer = ask(simulator, f"{CTS_PATH}?date=2026-07-26&interval=09:05").json()
    assert len(answer["data"]) == 6
    assert answer["metadata"]["retrievalTimestamp"] == "2026-07-27T08:06:00-05:00"
    one = ask(simulator, f"{CTS_PATH}?date=2026-07-26&interval=09:05&node=MISO.PJM.INTERFACE3")
    assert one.json()["data"] == [answer["data"][2]]
    assert ask(simulator, f"{CTS_PATH}?interval=09:03").status_code == 400
    records = cts.documented_records(EST_DAY, 6)
    prices = [r["forecastedLMP"] for r in records]
    distances = [distance(p["total"], *p["components"].values()) for p in prices]
    assert max(distances) == CENT
    agree = {"MISO_TO_PJM": "export", "PJM_TO_MISO": "import", "BALANCED": "neutral"}
    for record in records:
        flow = record["transactionVolume"]
        assert record["forecastedLMP"]["direction"] == agree[flow["direction"]]
        assert (flow["mwh"] == 0) == (flow["direction"] == "BALANCED")
        assert flow["mwh"] >= 0


@pytest.mark.parametrize(
    ("date", "quality"),
    [("2026-07-27", "FORECAST"), ("2026-07-24", "PRELIMINARY"), ("2026-07-01", "VALIDATED")],
)
def test_the_quality_of_a_forecast_follows_its_age(date: str, quality: str) -> None:
    answer = ask(Simulator(SetClock(AT)), f"{CTS_PATH}?date={date}").json()
    assert answer["metadata"]["dataQuality"] == quality


def test_the_dialect_of_miso_can_be_chosen() -> None:
    live, documented = (
        Simulator(SetClock(AT), dialect="live"),
        Simulator(SetClock(AT), dialect="documented"),
    )
    assert "RefId" in ask(live, f"{CTS_PATH}?date=2026-07-01").json()
    assert "metadata" in ask(documented, CTS_PATH).json()


@pytest.mark.parametrize(
    ("path", "dataset"),
    [
        ("/fiveminutelmp/current", LMP),
        ("/fiveminutelmp/prelim/current/all", LMP),
        ("/fiveminutelmp/current/location/4000", LMP),
        ("/fiveminutelmp/prelim/day/20241103/starthour/01", LMP),
        ("/fiveminutelmp/final/day/20240310/location/4001", LMP),
        ("/fiveminutelmp/prelim/day/20260727/starthour/23", LMP),
        ("/fiveminutesystemload/current", LOAD),
        ("/fiveminutesystemload/day/20241103", LOAD),
    ],
)
def test_json_says_what_xml_says_and_the_product_reads_both(
    running: Running, client: httpx.Client, path: str, dataset: Dataset
) -> None:
    as_json = client.get(running.urls["isone"] + path)
    as_xml = client.get(running.urls["isone"] + path, headers=XML)
    assert as_json.headers["Content-Type"] == "application/json"
    assert as_xml.headers["Content-Type"] == "application/xml"
    assert b'xmlns="http://WEBSERV.iso-ne.com"' in as_xml.content
    from_json, from_xml = (
        reading(dataset, as_json.content),
        reading(dataset, as_xml.content, "xml"),
    )
    assert from_json.frame.equals(from_xml.frame)
    assert not from_json.refused
    assert from_json.frame["interval_start"].null_count() == 0


@pytest.mark.parametrize("path", [CTS_PATH, f"{CTS_PATH}?date=2026-07-26"])
def test_the_product_reads_both_dialects_of_miso(
    running: Running, client: httpx.Client, path: str
) -> None:
    body = client.get(running.urls["miso"] + path).content
    read_back = reading(CTS, body)
    assert read_back.dialect.name == ("documented" if "?" in path else "live")
    assert read_back.frame.height == read_back.records > 0
    kept = ("published_at", "interval_start", "lmp")
    assert sum(read_back.frame[name].null_count() for name in kept) == 0


def test_a_days_prices_keep_every_rule_of_the_products_table(
    running: Running, client: httpx.Client
) -> None:
    body = client.get(
        f"{running.urls['isone']}/fiveminutelmp/prelim/day/20260726/starthour/18"
    ).content
    frame = reading(LMP, body).frame
    for rule in LMP.table.rules:
        if set(rule.shows) <= set(frame.columns):
            assert frame.select(rule.holds).to_series().all(), rule.name


@pytest.mark.parametrize("fmt", ["json", "xml"])
@pytest.mark.parametrize(("hour", "locations"), [("05", 1213), ("01", 3), ("00", 1)])
def test_the_fast_way_writes_what_the_plain_way_writes(fmt: str, hour: str, locations: int) -> None:
    intervals = [i for i in range(288) if i // 12 == int(hour)]
    records = lmp.lmp_records(DAY, intervals, locations=locations)
    plain = render(wrapped("FiveMinLmps", "FiveMinLmp", records), fmt)
    assert lmp.render_lmp_hour(DAY, hour, locations, fmt=fmt) == plain


def test_a_single_record_is_an_object_with_and_without_its_wrapper() -> None:
    simulator = Simulator(at("2026-07-27T00:00:30-04:00"))
    alone = ask(simulator, "/fiveminutelmp/prelim/day/20260727/location/4000").json()
    bare = ask(simulator, "/fiveminutelmp/current/location/4000").json()
    assert alone == {"FiveMinLmps": bare}
    assert bare["FiveMinLmp"]["Location"] == {
        "@LocId": "4000",
        "@LocType": "HUB",
        "$": ".H.INTERNAL_HUB",
    }


def test_an_hour_of_all_locations_takes_well_under_80_ms_to_write() -> None:
    assert len(lmp.render_lmp_hour(DAY, "04", 1213)) > 2_500_000
    took = []
    for hour in ("05", "06", "07"):
        began = time.thread_time()
        lmp.render_lmp_hour(DAY, hour, 1213)
        took.append(time.thread_time() - began)
    assert min(took) < 0.08


def test_basic_and_api_key_enter_and_nothing_else_does(running: Running) -> None:
    url = f"{running.urls['isone']}/fiveminutelmp/current"
    with httpx.Client(headers=JSON) as stranger:
        refused = stranger.get(url)
        assert refused.status_code == 401
        assert refused.headers["Content-Type"].startswith("text/html")
        assert stranger.get(url, auth=("demo", "wrong")).status_code == 401
        assert stranger.get(url, headers={"X-API-Key": "wrong"}).status_code == 401
        assert stranger.get(url, headers={"X-API-Key": "demo-key"}).status_code == 200
        assert stranger.get(url, auth=BASIC).status_code == 200
        assert stranger.get(running.urls["miso"] + CTS_PATH).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/fiveminutelmp", 404),
        ("/fiveminutelmp/prelim/day/20260727/location/1", 404),
        ("/fiveminutelmp/prelim/day/20261399/location/4000", 400),
        ("/fiveminutelmp/prelim/day/20260726/starthour/25", 400),
    ],
)
def test_a_path_that_makes_no_sense_is_refused(
    running: Running, client: httpx.Client, path: str, status: int
) -> None:
    assert client.get(running.urls["isone"] + path).status_code == status


def test_the_sixty_first_request_within_a_minute_is_refused() -> None:
    ticks = SetSeconds()
    simulator = Simulator(SetClock(AT), locations=1, limit_clock=ticks)
    with simulator.serve() as running, httpx.Client(auth=BASIC, headers=JSON) as client:
        url = f"{running.urls['isone']}/fiveminutelmp/info"
        assert {client.get(url).status_code for _ in range(60)} == {200}
        refused = client.get(url)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "60"
        assert client.get(running.urls["miso"] + CTS_PATH).status_code == 200
        ticks.now = 60.0
        assert client.get(url).status_code == 200
    assert [s.status for s in simulator.requests].count(429) == 1
    assert simulator.requests[0] == (0.0, "isone", "/api/v1.1/fiveminutelmp/info", 200)


class SetSeconds:
    """A clock of seconds that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("style", ["none", "seconds", "date", "absurd"])
def test_a_429_says_when_to_come_back_or_does_not(style: ledger.RetryAfter) -> None:
    limits = {f"miso_live:{CTS_PATH}": (Limit(1, 60),)}
    simulator = Simulator(SetClock(AT), limits=limits, retry_after=style)
    with simulator.serve() as running, httpx.Client() as client:
        url = running.urls["miso"] + CTS_PATH
        assert [client.get(url).status_code for _ in range(2)] == [200, 429]
        answer = client.get(url).headers.get("Retry-After")
        assert client.get(f"{url}?date=2026-07-26").status_code == 200
    expected = {"none": None, "absurd": "-86400000000", "seconds": "60"}
    assert str(answer).endswith(" GMT") if style == "date" else answer == expected[style]


def test_limits_can_be_scaled_or_switched_off(running: Running, client: httpx.Client) -> None:
    assert operators.limits(10)["isone"] == (Limit(600, 60), Limit(10_000, 3600))
    url = f"{running.urls['isone']}/fiveminutelmp/info"
    assert {client.get(url).status_code for _ in range(70)} == {200}


def test_the_most_requests_of_any_window_are_told() -> None:
    ticks = SetSeconds()
    simulator = Simulator(SetClock(AT), limits={}, limit_clock=ticks)
    for second in (0, 50, 59, 60, 61, 200):
        ticks.now = float(second)
        simulator.reply(_request("/fiveminutelmp/info"))
    assert simulator.ledger.most_in(60, "isone") == 4
    assert simulator.ledger.most_in(3600, "isone") == 6


def test_a_limit_is_exact_however_many_ask_at_once() -> None:
    simulator = Simulator(SetClock(AT))
    with ThreadPoolExecutor(16) as pool:
        replies = pool.map(simulator.reply, [_request("/fiveminutelmp/info")] * 200)
        statuses = [reply.status for reply in replies]
    assert (statuses.count(200), statuses.count(429)) == (60, 140)


def _request(path: str) -> Request:
    return Request("GET", f"/api/v1.1{path}", {"x-api-key": "demo-key", "accept": JSON["Accept"]})


def test_an_answer_is_packed_where_the_client_takes_it(
    running: Running, client: httpx.Client
) -> None:
    url = f"{running.urls['isone']}/fiveminutelmp/current/all"
    packed, plain = client.get(url), client.get(url, headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content


@pytest.mark.parametrize("status", ["500", "502", "503", "408", "403", "404", "418"])
def test_a_status_is_sent_as_often_as_asked_and_where_it_matches(
    running: Running, client: httpx.Client, status: str
) -> None:
    running.simulator.fail(next=status, times=2, match="/fiveminutelmp")
    other = client.get(f"{running.urls['isone']}/fiveminutesystemload/current")
    seen = [
        client.get(f"{running.urls['isone']}/fiveminutelmp/current").status_code for _ in range(3)
    ]
    assert other.status_code == 200
    assert seen == [int(status)] * 2 + [200]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", httpx.NetworkError),
        ("truncated", httpx.RemoteProtocolError),
        ("hang", httpx.ReadTimeout),
    ],
)
def test_a_client_meets_a_broken_connection_and_the_next_request_is_well(
    running: Running, client: httpx.Client, kind: str, error: type[Exception]
) -> None:
    url = f"{running.urls['isone']}/fiveminutelmp/current/all"
    running.simulator.fail(next=kind)
    with pytest.raises(error):
        client.get(url, timeout=0.3)
    assert client.get(url).status_code == 200


def test_a_drip_takes_its_time_and_brings_the_right_bytes(
    running: Running, client: httpx.Client
) -> None:
    url = f"{running.urls['isone']}/fiveminutelmp/current/all"
    running.simulator.fail(next="drip", seconds=0.4)
    began = time.perf_counter()
    dripped = client.get(url)
    assert time.perf_counter() - began >= 0.4
    assert dripped.content == client.get(url).content


def test_a_short_length_cuts_the_answer_and_is_noticed(
    running: Running, client: httpx.Client
) -> None:
    url = f"{running.urls['isone']}/fiveminutelmp/current/all"
    running.simulator.fail(next="short_length")
    cut = client.get(url, headers={"Accept-Encoding": "identity"})
    assert cut.status_code == 200
    with pytest.raises(MalformedPayload):
        inspect_answer(LMP, cut.content, "json")


@pytest.mark.parametrize("kind", ["malformed", "html", "empty", "no_data", "nan_token"])
def test_bytes_that_are_no_answer_come_with_200(
    running: Running, client: httpx.Client, kind: str
) -> None:
    running.simulator.fail(next=kind)
    reply = client.get(f"{running.urls['isone']}/fiveminutelmp/current/all")
    assert reply.status_code == 200
    with pytest.raises(MalformedPayload):
        inspect_answer(LMP, reply.content, "json")


@pytest.mark.parametrize(
    ("kind", "field", "gone", "came"),
    [
        ("field_added", "", set(), {"LmpTotalQuality"}),
        ("field_vanished", "", {"LmpTotal"}, set()),
        ("field_renamed", "LossComponent", {"LossComponent"}, {"NewLossComponent"}),
        ("field_retyped", "", set(), set()),
    ],
)
@pytest.mark.parametrize("headers", [JSON, XML])
def test_the_schema_drifts_in_every_record(
    running: Running,
    client: httpx.Client,
    headers: dict[str, str],
    kind: str,
    field: str,
    gone: set[str],
    came: set[str],
) -> None:
    url = f"{running.urls['isone']}/fiveminutelmp/current/all"
    running.simulator.fail(next=kind, field=field)
    drifted, usual = (client.get(url, headers=headers) for _ in range(2))
    assert drifted.content != usual.content or (kind == "field_retyped" and headers == XML)
    if headers == JSON:
        before, after = (r.json()["FiveMinLmps"]["FiveMinLmp"] for r in (usual, drifted))
        for was, now in zip(before, after, strict=True):
            assert set(was) - set(now) == gone
            assert set(now) - set(was) == came
            assert isinstance(now.get("LmpTotal", ""), str) == (
                kind in {"field_retyped", "field_vanished"}
            )


def test_wrong_sums_are_off_by_more_than_a_cent_in_some_rows(
    running: Running, client: httpx.Client
) -> None:
    running.simulator.fail(next="wrong_sum")
    url = f"{running.urls['isone']}/fiveminutelmp/prelim/day/20260726/starthour/05"
    records = client.get(url).json()["FiveMinLmps"]["FiveMinLmp"]
    wrong = [r for r in records if lmp_distance(r) > CENT]
    assert len(wrong) == -(-len(records) // 50)


def test_some_rows_say_nan_and_one_is_repeated(running: Running, client: httpx.Client) -> None:
    url = f"{running.urls['isone']}/fiveminutelmp/current"
    running.simulator.fail(next="nan")
    assert client.get(url).json()["FiveMinLmps"]["FiveMinLmp"][0]["LmpTotal"] == "NaN"
    running.simulator.fail(next="conflict")
    records = client.get(url).json()["FiveMinLmps"]["FiveMinLmp"]
    assert len(records) == 17
    assert records[0]["Location"] == records[16]["Location"]
    assert records[0]["LmpTotal"] != records[16]["LmpTotal"]


@pytest.mark.parametrize("kind", faults.TREE)
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1.1/fiveminutesystemload/current",
        "/api/v1.1/fiveminutelmp/current/location/4000",
        "/api/v1.1/fiveminutelmp/prelim/day/20260727/starthour/23",
        f"/api{CTS_PATH}",
        f"/api{CTS_PATH}?date=2026-07-26",
    ],
)
def test_every_feed_can_drift(running: Running, client: httpx.Client, path: str, kind: str) -> None:
    root = running.urls["isone"].removesuffix("/api/v1.1")
    usual = client.get(root + path)
    running.simulator.fail(next=kind)
    spoiled = client.get(root + path)
    assert spoiled.status_code == 200
    if not path.endswith("/23"):  # an hour that is empty has nothing to spoil
        assert spoiled.json() != usual.json()


def test_a_bomb_is_small_on_the_wire_and_large_unpacked(
    running: Running, client: httpx.Client
) -> None:
    running.simulator.fail(next="gzip_bomb", megabytes=32)
    with client.stream("GET", f"{running.urls['isone']}/fiveminutelmp/current") as reply:
        packed = b"".join(reply.iter_raw())
    assert len(packed) < 100_000
    assert len(gzip.decompress(packed)) == 32 * 2**20


def test_a_redirect_leads_to_another_host(running: Running, client: httpx.Client) -> None:
    running.simulator.fail(next="redirect", location="http://elsewhere.invalid/x")
    reply = client.get(f"{running.urls['isone']}/fiveminutelmp/current", follow_redirects=False)
    assert (reply.status_code, reply.headers["Location"]) == (302, "http://elsewhere.invalid/x")


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="gzip_bomb"):
        Simulator().fail(next="earthquake")


def test_clock_faults_and_requests_are_driven_over_http(
    running: Running, client: httpx.Client
) -> None:
    url = f"{running.urls['isone']}/fiveminutelmp/info"
    answer = client.post(f"{running.control_url}/clock", json={"now": "2026-07-28T12:00:30-04:00"})
    assert answer.json() == {"now": "2026-07-28T16:00:30+00:00"}
    assert "2026-07-28T12:00:00" in client.get(url).text
    client.post(f"{running.control_url}/clock", json={"advance_seconds": 300})
    assert "2026-07-28T12:05:00" in client.get(url).text
    client.post(f"{running.control_url}/faults", json={"next": "503", "times": 5})
    assert client.get(url).status_code == 503
    client.delete(f"{running.control_url}/faults")
    assert client.get(url).status_code == 200
    seen = client.get(f"{running.control_url}/requests").json()
    assert [s["status"] for s in seen] == [200, 200, 503, 200]
    stats = client.get(f"{running.control_url}/stats").json()
    assert stats["isone"]["requests"] == stats["isone"]["most_in_60_seconds"] == 4


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/clock", {"now": "2026-07-28T12:00:00"}),
        ("/clock", {"now": "noon"}),
        ("/clock", {}),
        ("/faults", {"next": "earthquake"}),
        ("/faults", {"next": "500", "colour": "red"}),
        ("/faults", []),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_the_reason(
    running: Running, client: httpx.Client, path: str, body: object
) -> None:
    reply = client.post(running.control_url + path, json=body)
    assert reply.status_code == 400
    assert reply.json()["error"]


def test_a_clock_that_runs_by_itself_cannot_be_set(client: httpx.Client) -> None:
    with Simulator().serve() as running:
        reply = client.post(f"{running.control_url}/clock", json={"advance_seconds": 1})
    assert reply.status_code == 400


def test_it_stops_at_once_though_clients_hang_on(client: httpx.Client) -> None:
    before = set(threading.enumerate())
    with Simulator(SetClock(AT), locations=20).serve() as running:
        url = f"{running.urls['isone']}/fiveminutelmp/current"
        client.get(url)
        running.simulator.fail(next="hang")
        waiting = threading.Thread(target=lambda: _ignored(url))
        waiting.start()
        while len(running.simulator.requests) < 2:
            time.sleep(0.005)
        began = time.perf_counter()
    assert time.perf_counter() - began < 1
    waiting.join()
    assert set(threading.enumerate()) - before == set(), "those of other tests may end meanwhile"


def _ignored(url: str) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(url, auth=BASIC)


def test_one_connection_serves_many_requests(running: Running, client: httpx.Client) -> None:
    url = f"{running.urls['isone']}/fiveminutelmp/info"
    ports = set()
    for _ in range(5):
        with client.stream("GET", url) as reply:
            ports.add(reply.extensions["network_stream"].get_extra_info("client_addr"))
            reply.read()
    assert len(ports) == 1
