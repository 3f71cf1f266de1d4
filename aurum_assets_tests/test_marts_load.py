"""Load forecasts and generation in the marts, on hours that were computed by hand."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from aurum_assets_tests.marts import Desk, day, rows

FIVE, HOUR = dt.timedelta(minutes=5), dt.timedelta(hours=1)
MONDAY = day("2026-07-20")
START = "2026-07-20T14:00Z"


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def fives(start: str, loads: Sequence[float], **same: Any) -> list[dict[str, Any]]:  # noqa: ANN401  columns
    starts = [at(start) + i * FIVE for i in range(len(loads))]
    return [
        {"interval_start": s, "interval_end": s + FIVE, "load": mw, **same}
        for s, mw in zip(starts, loads, strict=True)
    ]


def vintage(published: str, **values: Any) -> dict[str, Any]:  # noqa: ANN401  columns
    own = {"interval_start": START, "interval_end": at(START) + HOUR}
    return {"published_at": published, **own, **values}


def hourly(start: str, load: float, area: str = "32") -> dict[str, Any]:
    ends = at(start) + HOUR
    return {"interval_start": start, "interval_end": ends, "location_id": area, "load": load}


def isone(**more: pl.DataFrame) -> Desk:
    forecasts = [
        vintage("2026-07-18T14:00Z", load=14_800.0),
        vintage("2026-07-20T12:30Z", load=15_300.0),
        vintage("2026-07-20T14:00Z", load=15_150.0),  # as the hour begins
        vintage("2026-07-20T14:30Z", load=15_001.0),  # no forecast any more
    ]
    market = {"isone_hourly_load_forecast": rows("isone_hourly_load_forecast", forecasts)}
    return Desk(MONDAY, MONDAY, {**market, **more})


def test_each_vintage_is_held_against_the_hourly_load() -> None:
    loads = rows("isone_hourly_system_load", [hourly(START, 15_000.0), hourly(START, 1.0, "99")])
    five = rows("isone_system_load", fives(START, [14_000.0] * 12))  # the hourly load counts
    found = isone(isone_hourly_system_load=loads, isone_system_load=five).mart(
        "load_forecast_error"
    )
    assert found["lead_hours"].to_list() == [48.0, 1.5, 0.0]
    assert found["error"].to_list() == [-200.0, 300.0, 150.0]
    # 200 / 15,000 = 1.333333 %; 300 / 15,000 = 2 %; 150 / 15,000 = 1 %
    assert found["absolute_percentage_error"].to_list() == [1.333333, 2.0, 1.0]
    same = ("operator", "region", "actual_load", "actual_from", "operating_day")
    assert found.select(same).unique().rows() == [("isone", "system", 15_000.0, "hourly", MONDAY)]


def test_without_an_hourly_load_the_mean_of_twelve_stands_for_it() -> None:
    loads = fives(START, [15_000.0 + i for i in range(12)])
    made = isone(isone_system_load=rows("isone_system_load", loads))
    found = made.mart("load_forecast_error")
    # 15,000 + (0 + … + 11) / 12 = 15,005.5; 15,300 - 15,005.5 = 294.5
    assert found["actual_load"].unique().to_list() == [15_005.5]
    assert found["actual_from"].unique().to_list() == ["five-minute mean"]
    assert found["error"].to_list()[1] == 294.5
    broken = isone(isone_system_load=rows("isone_system_load", loads[1:]))
    assert broken.mart("load_forecast_error").is_empty()


def test_a_region_is_held_against_the_zone_of_its_name() -> None:
    regions = [
        vintage("2026-07-20T13:00Z", region=region, load=4_000.0)
        for region in (".Z.CONNECTICUT", "Unknown")
    ]
    zones = [
        *fives(START, [3_900.0] * 12, load_zone_id="4004", load_zone_name=".Z.CONNECTICUT"),
        *fives(START, [1_000.0] * 12, load_zone_id="4001", load_zone_name=".Z.MAINE"),
    ]
    made = Desk(
        MONDAY,
        MONDAY,
        {
            "isone_region_load_forecast": rows("isone_region_load_forecast", regions),
            "isone_zonal_load": rows("isone_zonal_load", zones),
        },
    )
    found = made.mart("load_forecast_error")
    assert found.select("region", "error", "lead_hours").rows() == [(".Z.CONNECTICUT", 100.0, 1.0)]


def test_a_load_below_zero_has_no_percentage() -> None:
    """A zone with much solar on a sunny spring noon."""
    regions = rows(
        "isone_region_load_forecast", [vintage("2026-07-20T13:00Z", region="Z", load=5.0)]
    )
    zones = fives(START, [-10.0] * 12, load_zone_id="1", load_zone_name="Z")
    made = Desk(MONDAY, MONDAY, {"isone_region_load_forecast": regions,
                                 "isone_zonal_load": rows("isone_zonal_load", zones)})  # fmt: skip
    found = made.mart("load_forecast_error")
    assert found.select("error", "absolute_percentage_error").rows() == [(15.0, None)]


def test_misos_forecast_is_in_the_day_of_its_hour() -> None:
    """Hours from 04:00Z to 05:00Z on the 21st are the last of the 20th, EST."""
    forecasts = [
        {"published_at": "2026-07-20T20:10Z", "interval_start": start,
         "interval_end": at(start) + HOUR, "load_forecast": 80_000.0, "operating_day": MONDAY}
        for start in ("2026-07-21T04:00Z", "2026-07-21T05:00Z")
    ]  # fmt: skip
    loads = fives("2026-07-21T04:00Z", [79_000.5] * 24)
    made = Desk(
        MONDAY,
        MONDAY,
        {
            "miso_load_forecast": rows("miso_load_forecast", forecasts),
            "miso_load": rows("miso_load", loads),
        },
    )
    (found,) = made.mart("load_forecast_error").to_dicts()
    assert found["interval_start"] == at("2026-07-21T04:00Z")
    # 04:00 - 20:10 = 7 h 50 min = 7.833333 h; 80,000 - 79,000.5 = 999.5
    assert (found["lead_hours"], found["error"]) == (7.833333, 999.5)
    # 999.5 / 79,000.5 = 1.265182… %
    assert found["absolute_percentage_error"] == 1.265182


def mix(start: str, fuel: str, mw: float, flag: str | None = None) -> dict[str, Any]:
    return {"interval_start": start, "interval_end": start, "fuel": fuel, "generation": mw,
            "marginal": flag}  # fmt: skip


@pytest.fixture(scope="module")
def new_england() -> dict[str, dict[str, Any]]:
    """Three instants of an hour; oil is named at one of them."""
    first, second, third = (f"2026-07-20T14:{m}Z" for m in ("01:07", "24:30", "59:59"))
    instants = [
        mix(first, "Natural Gas", 6_000.0, "N"),
        mix(second, "Natural Gas", 6_300.0, "Y"),
        mix(third, "Natural Gas", 6_300.0, "-"),
        mix(first, "Wood", 100.0, "-"),
        mix(second, "Wood", 110.0, "-"),
        mix(first, "Refuse", 200.5, "N"),
        mix(second, "Refuse", 200.5, "N"),
        mix(third, "Refuse", 203.5, "N"),
        mix(second, "Oil", 30.0, None),
        mix(first, "Batteries", -40.0, "-"),
        mix(third, "Tidal", 1.0, "-"),  # a category that nobody reviewed
        mix("2026-07-20T15:00:00Z", "Natural Gas", 9_999.0, "Y"),  # the next hour
    ]
    made = Desk(MONDAY, MONDAY, {"isone_generation_mix": rows("isone_generation_mix", instants)})
    found = made.mart("generation_shares").filter(interval_start=at(START))
    return {row["fuel"]: row for row in found.to_dicts()}


def test_a_fuel_is_the_mean_of_the_instants_that_name_it(
    new_england: dict[str, dict[str, Any]],
) -> None:
    assert {fuel: (row["generation"], row["intervals"]) for fuel, row in new_england.items()} == {
        "natural gas": (6_200.0, 3),  # (6,000 + 6,300 + 6,300) / 3
        "biomass": (306.5, 2),  # wood (100 + 110) / 2 = 105; refuse 604.5 / 3 = 201.5
        "oil": (30.0, 1),
        "battery": (-40.0, 1),
        "Tidal": (1.0, 1),
    }


def test_shares_are_of_the_positive_total(new_england: dict[str, dict[str, Any]]) -> None:
    # 6,200 + 306.5 + 30 + 1 = 6,537.5
    assert {fuel: row["share"] for fuel, row in new_england.items()} == {
        "natural gas": 0.948375,  # 6,200 / 6,537.5 = 0.94837476…
        "biomass": 0.046883,  # 306.5 / 6,537.5 = 0.04688336…
        "oil": 0.004589,  # 30 / 6,537.5 = 0.00458891…
        "battery": 0.0,
        "Tidal": 0.000153,  # 1 / 6,537.5 = 0.00015296…
    }


def test_a_fuel_is_marginal_if_it_was_at_some_time(new_england: dict[str, dict[str, Any]]) -> None:
    assert {fuel: row["marginal"] for fuel, row in new_england.items()} == {
        "natural gas": True, "biomass": False, "oil": None, "battery": None, "Tidal": None,
    }  # fmt: skip


def test_imports_are_no_generation_of_misos() -> None:
    values = {"Coal": 300.0, "Wind": 100.0, "Imports": 500.0, "Battery Storage": -20.0}
    made = [
        {"interval_start": at(START) + i * FIVE, "interval_end": at(START) + (i + 1) * FIVE,
         "fuel": fuel, "generation": mw}
        for i in range(12)
        for fuel, mw in values.items()
    ]  # fmt: skip
    found = Desk(MONDAY, MONDAY, {"miso_fuel_mix": rows("miso_fuel_mix", made)})
    shares = found.mart("generation_shares")
    assert dict(shares.select("fuel", "share").iter_rows()) == {
        "coal": 0.75, "wind": 0.25, "imports": None, "battery": 0.0,
    }  # fmt: skip
    assert shares["intervals"].unique().to_list() == [12]


@pytest.mark.parametrize("name", ["load_forecast_error", "generation_shares"])
def test_a_home_without_rows_has_no_marts(name: str) -> None:
    assert Desk(MONDAY, MONDAY).mart(name).is_empty()
