"""Prices in the marts, on days that were computed by hand."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import polars as pl
import pytest

from aurum_assets.marts.choices import Choices
from aurum_assets_tests.marts import Desk, choices, day, rows

FIVE = dt.timedelta(minutes=5)
MONDAY = day("2026-07-20")
HUB = {"location_id": "4000", "location_name": ".H.INTERNAL_HUB", "location_type": "HUB"}
ZONE = {"location_id": "4001", "location_name": ".Z.MAINE", "location_type": "LOAD ZONE"}
TIE = {"location_id": "4011", "location_name": ".I.ROSETON 345 1", "location_type": "EXT. NODE"}
NODE = {"location_id": "321", "location_name": "LD.ASHLAND 23", "location_type": "NETWORK NODE"}
WEST = {"location_id": "33092313", "location_name": "WESTERN HUB", "location_type": "HUB"}


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def parts(lmp: float, congestion: float = 0.0, loss: float = 0.0) -> dict[str, float]:
    """A price and its parts: energy is what the others leave, to the cent."""
    energy = round(lmp - congestion - loss, 2)
    return {"lmp": lmp, "energy": energy, "congestion": congestion, "loss": loss}


def hour(start: str, place: dict[str, str], finality: str, *price: float) -> dict[str, Any]:
    """An hourly price."""
    ends = at(start) + dt.timedelta(hours=1)
    own = {"interval_start": start, "interval_end": ends, "finality": finality}
    return {**place, **own, **parts(*price)}


def fives(
    start: str, place: dict[str, str], finality: str | None, prices: Iterable[float | None]
) -> list[dict[str, Any]]:
    """Five-minute prices from ``start`` on; None is an interval that is missing."""
    label = {} if finality is None else {"finality": finality}
    starts = ((at(start) + i * FIVE, price) for i, price in enumerate(prices))
    return [
        {**place, **label, "interval_start": s, "interval_end": s + FIVE, **parts(price)}
        for s, price in starts
        if price is not None
    ]


def row(found: pl.DataFrame, **where: object) -> dict[str, Any]:
    """The one row of ``found`` with these values."""
    return found.row(
        by_predicate=pl.all_horizontal(pl.col(n) == v for n, v in where.items()), named=True
    )


def shown(found: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(found[name] for name in names)


@pytest.fixture(scope="module")
def monday() -> Desk:
    """A Monday in July, two hours of it: the first hour of the day, and the noon hour."""
    first, noon = "2026-07-20T04:00Z", "2026-07-20T16:00Z"
    return Desk(
        MONDAY,
        MONDAY,
        {
            "isone_da_lmp": rows(
                "isone_da_lmp",
                [
                    hour(first, HUB, "final", 30.10, 0.10, -0.50),
                    hour(noon, HUB, "final", 0.30),
                    hour(first, NODE, "final", 30.00, 1.00, 0.25),
                    hour(first, TIE, "final", 29.00),
                    hour("2026-07-19T16:00Z", HUB, "final", 99.00),  # another day
                ],
            ),
            "isone_rt_hourly_lmp": rows(
                "isone_rt_hourly_lmp",
                [
                    hour(first, HUB, "prelim", 28.00),
                    hour(first, HUB, "final", 28.40, 0.35, -0.45),
                    hour(first, NODE, "prelim", 26.50, -2.00, 0.75),
                    hour(noon, HUB, "prelim", 0.10),
                ],
            ),
            "isone_rt_lmp": rows(
                "isone_rt_lmp",
                [
                    *fives(first, HUB, "prelim", range(20, 32)),
                    *fives(first, HUB, "final", [20.30, 21.60]),
                    *fives(noon, ZONE, "prelim", [*[40.10] * 5, None, *[40.10] * 6]),
                ],
            ),
        },
    )


def test_hub_prices_of_an_hour_are_the_best_of_each_kind(monday: Desk) -> None:
    found = row(monday.mart("hub_prices"), location_id="4000", hour_ending="01")
    assert shown(found, "operator", "location_type", "location_name") == (
        "isone", "hub", ".H.INTERNAL_HUB",
    )  # fmt: skip
    assert found["operating_day"] == MONDAY
    assert found["interval_start"] == at("2026-07-20T04:00Z")
    assert found["interval_end"] == at("2026-07-20T05:00Z")
    assert not found["on_peak"]
    assert shown(found, "da_lmp", "rt_lmp", "rt_finality") == (30.10, 28.40, "final")
    # 20 + 21 + … + 31 = 306; final 20.30 for 20, 21.60 for 21: 306.90; 306.90 / 12 = 25.575
    assert shown(found, "rt_mean_lmp", "rt_intervals") == (25.575, 12)


def test_an_hour_with_a_missing_interval_says_so(monday: Desk) -> None:
    found = row(monday.mart("hub_prices"), location_id="4001")
    assert shown(found, "rt_lmp", "rt_mean_lmp", "rt_intervals") == (None, 40.10, 11)
    assert shown(found, "hour_ending", "on_peak", "rt_finality") == ("13", True, "prelim")
    assert found["da_lmp"] is None


def test_an_hour_without_five_minute_prices_has_no_mean(monday: Desk) -> None:
    found = row(monday.mart("hub_prices"), location_id="4000", hour_ending="13")
    assert shown(found, "da_lmp", "rt_lmp", "rt_mean_lmp", "rt_intervals") == (0.30, 0.10, None, 0)


def test_hub_prices_have_no_nodes_and_no_other_days(monday: Desk) -> None:
    found = monday.mart("hub_prices")
    assert sorted(found["location_id"].unique()) == ["4000", "4001", "4011"]
    assert found["operating_day"].unique().to_list() == [MONDAY]
    assert len(found) == 4


def test_dart_is_day_ahead_less_real_time_with_each_component(monday: Desk) -> None:
    found = row(monday.mart("dart_spread"), location_id="4000", rt_lmp=28.40)
    # 30.10 - 28.40 = 1.70; energy 30.50 - 28.50 = 2.00; 0.10 - 0.35 = -0.25; -0.50 + 0.45 = -0.05
    names = ("dart_lmp", "dart_energy", "dart_congestion", "dart_loss", "rt_finality", "rt_from")
    assert shown(found, *names) == (1.70, 2.00, -0.25, -0.05, "final", "hourly")
    node = row(monday.mart("dart_spread"), location_id="321")
    # 30.00 - 26.50 = 3.50; energy 28.75 - 27.75 = 1.00; 1.00 + 2.00 = 3.00; 0.25 - 0.75 = -0.50
    assert shown(node, *names) == (3.50, 1.00, 3.00, -0.50, "prelim", "hourly")
    assert node["location_type"] == "node"


def test_a_difference_has_no_dust(monday: Desk) -> None:
    found = row(monday.mart("dart_spread"), location_id="4000", da_lmp=0.30)
    assert 0.30 - 0.10 != 0.20
    assert found["dart_lmp"] == 0.20


def test_dart_needs_both_sides(monday: Desk) -> None:
    """The tie has no real-time price, the zone no day-ahead one."""
    assert sorted(monday.mart("dart_spread")["location_id"].unique()) == ["321", "4000"]


def test_reconciliation_sets_the_hourly_price_beside_the_mean(monday: Desk) -> None:
    found = row(monday.mart("rt_reconciliation"), location_id="4000", hourly_lmp_prelim=28.00)
    assert shown(found, "hourly_lmp_final", "final_minus_prelim") == (28.40, 0.40)
    # 306 / 12 = 25.5; (20.30 + 21.60) / 2 = 20.95; 28.40 - 25.575 = 2.825
    assert shown(found, "mean_lmp_prelim", "intervals_prelim") == (25.50, 12)
    assert shown(found, "mean_lmp_final", "intervals_final") == (20.95, 2)
    assert found["hourly_minus_mean"] == 2.825
    alone = row(monday.mart("rt_reconciliation"), location_id="321")
    assert shown(alone, "hourly_lmp_prelim", "hourly_minus_mean", "intervals_prelim") == (
        26.50, None, 0,
    )  # fmt: skip
    assert "4001" not in monday.mart("rt_reconciliation")["location_id"]  # no hourly price


def test_the_mean_stands_for_the_hour_only_where_all_twelve_are_there() -> None:
    start = "2026-07-20T04:00Z"
    market = {"isone_da_lmp": rows("isone_da_lmp", [hour(start, HUB, "final", 30.00)])}
    whole = rows("isone_rt_lmp", fives(start, HUB, "prelim", [10.0] * 11 + [11.0]))
    found = Desk(MONDAY, MONDAY, {**market, "isone_rt_lmp": whole}).mart("dart_spread")
    # (11 x 10 + 11) / 12 = 10.083333…; 30 - 10.083333 = 19.916667
    assert shown(found.row(0, named=True), "rt_lmp", "dart_lmp", "rt_from") == (
        10.083333, 19.916667, "five-minute mean",
    )  # fmt: skip
    broken = Desk(MONDAY, MONDAY, {**market, "isone_rt_lmp": whole[:11]}).mart("dart_spread")
    assert broken.is_empty()


@pytest.mark.parametrize(
    ("date", "starts", "labels"),
    [
        # 8 March 2026: 05:00Z is midnight EST; 07:00Z is 03:00 EDT, there is no hour ending 03
        ("2026-03-08", ["06:00Z", "07:00Z"], ["02", "04"]),
        # 1 November 2026: 05:00Z is 01:00 EDT, 06:00Z is 01:00 EST
        ("2026-11-01", ["05:00Z", "06:00Z"], ["02", "02X"]),
    ],
)
def test_hours_of_the_days_when_clocks_change_are_named(
    date: str, starts: list[str], labels: list[str]
) -> None:
    prices = [hour(f"{date}T{start}", HUB, "final", 10.0 + i) for i, start in enumerate(starts)]
    desk = Desk(day(date), day(date), {"isone_da_lmp": rows("isone_da_lmp", prices)})
    found = desk.mart("hub_prices")
    assert found["hour_ending"].to_list() == labels
    assert found["da_lmp"].to_list() == [10.0, 11.0]
    assert found["on_peak"].to_list() == [False, False]  # Sundays


def a_whole_day(date: str) -> Desk:
    """Day-ahead prices of all of a day's hours, each that of its number, and five-minute ones."""
    found = day(date)
    first = at(f"{date}T00:00").replace(tzinfo=dt.UTC)
    starts = [first + i * dt.timedelta(hours=1) for i in range(30)]
    da = [hour(s.isoformat(), HUB, "final", float(i)) for i, s in enumerate(starts)]
    rt = [f for s in starts for f in fives(s.isoformat(), HUB, "prelim", [5.0] * 12)]
    market = {"isone_da_lmp": rows("isone_da_lmp", da), "isone_rt_lmp": rows("isone_rt_lmp", rt)}
    return Desk(found, found, market)


@pytest.mark.parametrize(("date", "hours"), [("2026-03-08", 23), ("2026-11-01", 25)])
def test_a_day_has_as_many_rows_as_hours(date: str, hours: int) -> None:
    desk = a_whole_day(date)
    assert len(desk.mart("hub_prices")) == len(desk.mart("dart_spread")) == hours
    assert desk.mart("hub_prices")["hour_ending"].n_unique() == hours
    assert desk.mart("daily_summary")["completeness"].to_list() == [
        # day-ahead 1, real-time 1, no load: 2 / 3
        0.666667
    ]


def miso(start: str, name: str, lmp: float, **more: object) -> dict[str, Any]:
    return {
        "interval_start": start,
        "interval_end": at(start),
        "location": name,
        **parts(lmp),
        **more,
    }


def test_miso_is_read_in_est_ex_post_and_from_what_its_names_say() -> None:
    start = "2026-07-20T05:00Z"  # midnight EST: the first hour of the 20th
    cleared = {"INDIANA.HUB": (30.0, 31.5), "PJMC": (28.0, 28.25), "AECI": (27.0, 27.0)}
    da = [
        miso(start, name, lmp, market_run=run)
        for name, prices in cleared.items()
        for run, lmp in zip(("ex_ante", "ex_post"), prices, strict=True)
    ]
    shows = [miso(f"2026-07-20T05:{m:02d}Z", "INDIANA.HUB", 30.0) for m in (0, 5)]
    # the ex-post display has the second interval, which counts from the other display, and a third
    repair = [miso(f"2026-07-20T05:{m:02d}Z", "INDIANA.HUB", 33.0) for m in (5, 10)]
    market = {
        "miso_da_lmp": rows("miso_da_lmp", da),
        "miso_rt_hourly_lmp": rows("miso_rt_hourly_lmp", [miso(start, "INDIANA.HUB", 29.99)]),
        "miso_rt_lmp": rows("miso_rt_lmp", shows),
        "miso_expost_lmp": rows("miso_expost_lmp", repair),
    }
    desk = Desk(MONDAY, MONDAY, market)
    found = desk.mart("hub_prices")
    assert dict(found.select("location_id", "location_type").iter_rows()) == {
        "INDIANA.HUB": "hub", "PJMC": "interface",
    }  # fmt: skip
    hub = row(found, location_id="INDIANA.HUB")
    # (30 + 30 + 33) / 3 = 31
    assert shown(hub, "da_lmp", "rt_lmp", "rt_mean_lmp", "rt_intervals") == (31.5, 29.99, 31.0, 3)
    assert shown(hub, "hour_ending", "rt_finality", "operating_day") == ("01", "prelim", MONDAY)
    assert desk.mart("dart_spread")["dart_lmp"].to_list() == [1.51]  # 31.50 - 29.99


def test_pjm_has_no_hourly_price_and_verified_counts_before_unverified() -> None:
    start = "2026-07-20T12:00Z"
    rt = [
        *fives(start, WEST, "prelim", [30.0] * 12),
        *fives(start, WEST, "final", [36.0] * 11),  # one is not verified yet
    ]
    da = rows("pjm_da_lmp", [hour(start, WEST, "final", 40.123456)])
    desk = Desk(MONDAY, MONDAY, {"pjm_da_lmp": da, "pjm_rt_lmp": rows("pjm_rt_lmp", rt)})
    hub = desk.mart("hub_prices").row(0, named=True)
    # (11 x 36 + 30) / 12 = 35.5
    assert shown(hub, "operator", "rt_lmp", "rt_mean_lmp", "rt_finality") == (
        "pjm", None, 35.5, "prelim",
    )  # fmt: skip
    dart = desk.mart("dart_spread").row(0, named=True)
    assert shown(dart, "dart_lmp", "rt_from", "rt_finality") == (
        4.623456, "five-minute mean", "prelim",
    )  # fmt: skip
    beside = desk.mart("rt_reconciliation").row(0, named=True)
    names = ("mean_lmp_prelim", "mean_lmp_final", "intervals_prelim", "intervals_final")
    assert shown(beside, *names) == (30.0, 36.0, 12, 11)
    assert beside["final_minus_prelim"] is None  # not of the same intervals
    whole = [*rt, *fives("2026-07-20T12:55Z", WEST, "final", [30.0])]
    verified = Desk(MONDAY, MONDAY, {"pjm_rt_lmp": rows("pjm_rt_lmp", whole)})
    # (11 x 36 + 30) / 12 - 30 = 5.5
    assert verified.mart("rt_reconciliation")["final_minus_prelim"].to_list() == [5.5]
    assert verified.mart("hub_prices")["rt_finality"].to_list() == ["final"]


@pytest.mark.parametrize(
    "name", ["hub_prices", "dart_spread", "rt_reconciliation", "daily_summary"]
)
def test_a_home_without_rows_has_no_marts(name: str) -> None:
    assert Desk(MONDAY, MONDAY).mart(name).is_empty()


def summary_desk(choice: Choices | None = None) -> Desk:
    """Four hours of a Monday: two off-peak, two on-peak, at the hub and a zone."""
    hours = ["04:00Z", "05:00Z", "12:00Z", "13:00Z"]  # hours ending 1, 2, 9, 10
    of_hub = [(20.0, -1.0), (21.0, 3.0), (50.0, 1000.0), (60.0, 40.0)]
    da = [hour(f"2026-07-20T{h}", HUB, "final", p[0]) for h, p in zip(hours, of_hub, strict=True)]
    rt = [
        hour(f"2026-07-20T{h}", HUB, "prelim", p[1], 2.0)
        for h, p in zip(hours, of_hub, strict=True)
    ]
    rt += [
        hour("2026-07-20T12:00Z", ZONE, "prelim", 1200.55, -7.0),
        hour("2026-07-20T04:00Z", ZONE, "prelim", -5.0, -8.0),
        hour("2026-07-20T04:00Z", NODE, "prelim", -50.0, 12.34),  # no hub, zone or interface
    ]
    load = [(at("2026-07-20T21:00Z") + i * FIVE, 20_000.0 + i) for i in range(12)]
    hourly = [("2026-07-20T20:00Z", 20_005.4), ("2026-07-20T22:00Z", 19_000.0)]
    superseded = [
        ("2026-07-20T04:00Z", "2026-07-20T10:00Z"),  # today's, today
        ("2026-07-19T10:00Z", "2026-07-20T10:00Z"),  # yesterday's, today
        ("2026-07-19T10:00Z", "2026-07-19T11:00Z"),  # yesterday's, yesterday
        ("2026-07-20T05:00Z", "2026-07-19T03:59Z"),  # before the day before began (04:00Z)
        ("2026-07-20T06:00Z", "2026-07-21T04:00Z"),  # once the day was over
        ("2026-07-18T10:00Z", "2026-07-20T10:00Z"),  # of an older day
    ]
    market = {
        "isone_da_lmp": rows("isone_da_lmp", da),
        "isone_rt_hourly_lmp": rows("isone_rt_hourly_lmp", rt),
        "isone_system_load": rows(
            "isone_system_load",
            [{"interval_start": s, "interval_end": s + FIVE, "load": mw} for s, mw in load],
        ),
        "isone_hourly_system_load": rows(
            "isone_hourly_system_load",
            [
                {"interval_start": s, "interval_end": at(s), "location_id": "32", "load": mw}
                for s, mw in hourly
            ],
        ),
        "isone_rt_hourly_lmp_history": rows(
            "isone_rt_hourly_lmp_history",
            [
                {**hour(start, HUB, "prelim", 1.0), "superseded_at": when}
                for start, when in superseded
            ],
        ),
    }
    return Desk(MONDAY, MONDAY, market, choice or choices())


def test_the_summary_of_a_day_is_what_was_computed_by_hand() -> None:
    (found,) = summary_desk().mart("daily_summary").to_dicts()
    assert shown(found, "operating_day", "operator", "main_location") == (MONDAY, "isone", "4000")
    # (50 + 60) / 2 = 55; (20 + 21) / 2 = 20.5; (1000 + 40) / 2 = 520; (-1 + 3) / 2 = 1
    assert shown(found, "on_peak_da_lmp", "off_peak_da_lmp") == (55.0, 20.5)
    assert shown(found, "on_peak_rt_lmp", "off_peak_rt_lmp") == (520.0, 1.0)
    assert shown(found, "negative_hours", "scarcity_hours") == (1, 1)
    assert shown(found, "highest_rt_lmp", "highest_rt_location", "highest_rt_at") == (
        1200.55, ".Z.MAINE", at("2026-07-20T12:00Z"),
    )  # fmt: skip
    assert shown(found, "lowest_rt_lmp", "lowest_rt_location", "lowest_rt_at") == (
        -5.0, ".Z.MAINE", at("2026-07-20T04:00Z"),
    )  # fmt: skip
    # mean congestion: node 12.34; zone (-7 - 8) / 2 = -7.5; hub 2
    assert found["top_congested"] == ("LD.ASHLAND 23 +12.34; .Z.MAINE -7.50; .H.INTERNAL_HUB +2.00")
    # 20,000 + (0 + … + 11) / 12 = 20,005.5 against 20,005.4 and 19,000
    assert shown(found, "peak_load", "peak_load_at") == (20_005.5, at("2026-07-20T21:00Z"))
    # (4/24 + 0 + 3/24) / 3 = 7/72 = 0.0972222…
    assert found["completeness"] == 0.097222
    assert found["corrections"] == 3


def test_the_price_of_scarcity_is_a_choice() -> None:
    lower = Choices(choices().peak, choices().main_locations, scarcity_price=40.0)
    assert summary_desk(lower).mart("daily_summary")["scarcity_hours"].to_list() == [2]


def test_without_its_main_location_a_summary_is_of_the_first_hub() -> None:
    elsewhere = Choices(choices().peak, {"isone": "9999"})
    assert summary_desk(elsewhere).mart("daily_summary")["main_location"].to_list() == ["4000"]
