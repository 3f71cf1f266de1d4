"""MISO's displays of load, fuel, wind and solar: stamps, midnights, and vintages of forecasts.

Numbers are checked by hand.
"""

import datetime as dt
import json
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.ingest.day import bring
from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators.miso.fuel_mix import MISO_FUEL_MIX
from aurum_assets.operators.miso.load import MISO_CLEARED_LOAD, MISO_LOAD, MISO_LOAD_FORECAST
from aurum_assets.operators.miso.stamps import (
    hour_start,
    ref_day,
    ref_instant,
    row_start,
    twelve_hour_stamp,
)
from aurum_assets.operators.miso.wind_solar import MISO_WIND_SOLAR, MISO_WIND_SOLAR_FORECAST
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Brought, Desk, utc
from aurum_assets_tests.recordings import FETCHED_AT, recording

LOADS = (MISO_LOAD, MISO_CLEARED_LOAD, MISO_LOAD_FORECAST)
WINDS = (MISO_WIND_SOLAR, MISO_WIND_SOLAR_FORECAST)
ALL = (*LOADS, MISO_FUEL_MIX, *WINDS)
DAY = "2026-07-20"
MORNING = utc("2026-07-20T08:12:00-05:00")
Json = dict[str, Any]


def ordinary(dataset: Dataset) -> Json:
    answer: Json = json.loads(recording(dataset.key, "live", "ordinary").body)
    return answer


def brought(desk: Desk, dataset: Dataset, answer: Json, minute: int = 0) -> Brought:
    at = FETCHED_AT + dt.timedelta(minutes=minute)
    return desk.bring(dataset, json.dumps(answer).encode(), at=at)


def reasons(desk: Desk) -> str:
    return "; ".join(desk.resources.lake.read(QUARANTINE)["reason"])


# --- stamps --------------------------------------------------------------------------------------


def one(expression: pl.Expr, ref: str = "", at: str | None = None) -> str | None:
    frame = pl.DataFrame({"ref": [ref], "at": [at]}, schema={"ref": pl.String, "at": pl.String})
    found = frame.select(expression).item()
    return None if found is None else f"{found:%Y-%m-%dT%H:%MZ}"


@pytest.mark.parametrize(
    ("ref", "instant", "day"),
    [
        ("27-Jul-2026 - Interval 08:10 EST", "2026-07-27T13:10Z", "2026-07-27"),
        ("1-Jan-2027 - Interval 00:00 EST", "2027-01-01T05:00Z", "2027-01-01"),
        ("31-Dec-2026 - Interval 23:55 EST", "2027-01-01T04:55Z", "2026-12-31"),
        ("10-Mar-2024 - Interval 02:30 EST", "2024-03-10T07:30Z", "2024-03-10"),
        ("27-Jul-2026 - Interval 24:00 EST", None, None),
        ("27-Jul-2026", None, None),
        ("30-Feb-2026 - Interval 08:10 EST", None, None),
    ],
)
def test_an_answers_interval_is_an_instant_in_est_all_year(
    ref: str, instant: str | None, day: str | None
) -> None:
    assert one(ref_instant("ref"), ref) == instant
    assert ref_day(ref) == day


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-07-27 8:10:00 AM", "2026-07-27T13:10Z"),
        ("2026-07-27 08:10:00 AM", "2026-07-27T13:10Z"),
        ("2026-07-27 12:00:00 AM", "2026-07-27T05:00Z"),
        ("2026-07-27 12:00:00 PM", "2026-07-27T17:00Z"),
        ("2024-02-29 11:00:00 PM", "2024-03-01T04:00Z"),
        ("2026-07-27 13:00:00 PM", None),
        ("2026-07-27T08:10:00", None),
        (None, None),
    ],
)
def test_a_stamp_of_twelve_hours_is_est_all_year(text: str | None, instant: str | None) -> None:
    assert one(twelve_hour_stamp("at"), at=text) == instant


@pytest.mark.parametrize(
    ("ref", "hour", "start"),
    [
        ("27-Jul-2026 - Interval 08:10 EST", "1", "2026-07-27T05:00Z"),
        ("27-Jul-2026 - Interval 08:10 EST", "24", "2026-07-28T04:00Z"),
        ("31-Dec-2026 - Interval 00:00 EST", "24", "2027-01-01T04:00Z"),
        ("27-Jul-2026 - Interval 08:10 EST", "0", None),
        ("27-Jul-2026 - Interval 08:10 EST", "25", None),
        ("27-Jul-2026 - Interval 08:10 EST", "HE 9", None),
        ("no date", "9", None),
    ],
)
def test_an_hour_is_numbered_by_its_end_on_the_answers_date(
    ref: str, hour: str, start: str | None
) -> None:
    assert one(hour_start("ref", "at"), ref, hour) == start


@pytest.mark.parametrize(
    ("ref", "times", "starts"),
    [
        ("28-Jul-2026 - Interval 00:00 EST", ["00:00", "23:55"], ["27T05:00", "28T04:55"]),
        ("28-Jul-2026 - Interval 00:00 EST", ["00:00"], ["28T05:00"]),
        ("28-Jul-2026 - Interval 00:05 EST", ["00:00", "00:05"], ["28T05:00", "28T05:05"]),
        ("27-Jul-2026 - Interval 23:55 EST", ["00:00", "23:55"], ["27T05:00", "28T04:55"]),
        ("27-Jul-2026 - Interval 23:55 EST", ["00:00"], ["28T05:00"]),
        ("27-Jul-2026 - Interval 22:55 EST", ["00:00"], ["27T05:00"]),  # it lags, or was cut
        ("27-Jul-2026 - Interval 08:10 EST", ["09:05"], ["27T14:05"]),
        ("27-Jul-2026 - Interval 08:10 EST", ["09:10"], ["26T14:10"]),
        ("27-Jul-2026 - Interval 08:10 EST", ["24:00", "08:10"], [None, "27T13:10"]),
    ],
)
def test_a_list_of_times_is_of_the_day_that_its_newest_one_lies_in(
    ref: str, times: list[str], starts: list[str | None]
) -> None:
    frame = pl.DataFrame({"ref": [ref] * len(times), "at": times})
    found = frame.select(row_start("ref", "at").dt.strftime("%dT%H:%M")).to_series()
    assert found.to_list() == starts


# --- load ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", LOADS, ids=lambda d: d.key)
def test_an_answer_that_names_no_interval_is_refused(desk: Desk, dataset: Dataset) -> None:
    answer = ordinary(dataset)
    answer["LoadInfo"]["RefId"] = "20-Jul-2026"
    (reason,) = brought(desk, dataset, answer).done.rejected
    assert "the_answer_says_when: '20-Jul-2026' names no interval" in reason


@pytest.mark.parametrize("text", ["", "n/a", "-1", "999999", "NaN"])
def test_a_load_that_is_no_load_is_quarantined_and_the_others_enter(desk: Desk, text: str) -> None:
    answer = ordinary(MISO_LOAD)
    answer["LoadInfo"]["FiveMinTotalLoad"][1]["Load"]["Value"] = text
    done = brought(desk, MISO_LOAD, answer).done
    assert done.rows["load"].to_list() == [81512.0, 93127.0]
    assert done.quarantined == 1


def test_after_midnight_yesterdays_list_is_archived_and_stored_under_yesterday(desk: Desk) -> None:
    answer = ordinary(MISO_LOAD)
    answer["LoadInfo"]["RefId"] = "21-Jul-2026 - Interval 00:00 EST"
    answer["LoadInfo"]["FiveMinTotalLoad"][2]["Load"]["Time"] = "23:55"
    found = brought(desk, MISO_LOAD, answer)
    assert (found.archived.day, found.done.quarantined) == (DAY, 0)
    assert found.done.rows["interval_start"].max() == utc("2026-07-20T23:55:00-05:00")


def test_a_missing_list_is_partial_for_its_dataset_alone(desk: Desk) -> None:
    answer = ordinary(MISO_LOAD)
    del answer["LoadInfo"]["ClearedMW"]
    assert len(brought(desk, MISO_LOAD, answer).done.rows) == 3
    found = brought(desk, MISO_CLEARED_LOAD, answer).archived
    assert found.outcome == "rejected"
    assert "LoadInfo.ClearedMW" in found.reason


@pytest.mark.parametrize("dataset", LOADS[1:], ids=lambda d: d.key)
def test_lists_of_hours_just_after_midnight_may_be_yesterdays_and_give_no_row(
    desk: Desk, dataset: Dataset
) -> None:
    """Nothing is red, and the answer of 00:10 brings them."""
    answer = ordinary(dataset)
    info = answer["LoadInfo"]
    for minute in (0, 5, 10):
        info["RefId"] = f"21-Jul-2026 - Interval 00:{minute:02d} EST"
        info["FiveMinTotalLoad"][0]["Load"]["Value"] = str(80_000 + minute)  # load goes on
        desk.clock.set(utc(f"2026-07-21T00:{minute + 2:02d}:00-05:00"))
        found = desk.bring(dataset, json.dumps(answer).encode())
        assert found.archived.outcome == "stored"
        assert (found.done.rejected, found.done.quarantined, found.done.empty) == ([], 0, ())
        assert all(verdict.passed for verdict in found.verdicts.values())
        assert desk.rows(dataset).is_empty() is (minute < 10)
    days = desk.rows(dataset)["operating_day"].unique().to_list()
    assert days == [utc("2026-07-21T12:00:00Z").date()]
    ingest.replay(desk.resources, dataset, dataset.day("2026-07-21"))
    assert len(desk.rows(dataset)) == len(found.done.rows)


# --- vintages ------------------------------------------------------------------------------------


def load_answer(minute: int, forecast: str) -> Json:
    """The ordinary answer at 08:10 and ``minute``: load goes on, the forecast is as given."""
    answer = ordinary(MISO_LOAD_FORECAST)
    info = answer["LoadInfo"]
    info["RefId"] = f"20-Jul-2026 - Interval 08:{10 + minute} EST"
    load = {"Load": {"Time": f"08:{10 + minute}", "Value": str(93_127 + minute)}}
    info["FiveMinTotalLoad"] += [load] * (minute > 0)
    info["MediumTermLoadForecast"][0]["Forecast"]["LoadForecast"] = forecast
    return answer


def wind_answer(minute: int, forecast: str) -> Json:
    """The ordinary answer at 02:00 and ``minute``: actual hours go on, the forecast is as given."""
    answer = ordinary(MISO_WIND_SOLAR_FORECAST)
    answer["RefId"] = f"20-Jul-2026 - Interval 02:{minute:02d} EST"
    answer["instance"][1]["ActualWindValue"] = f"{11_702 + minute}.00"
    answer["instance"][0]["ForecastWindValue"] = forecast
    return answer


ANSWERS = {MISO_LOAD_FORECAST: load_answer, MISO_WIND_SOLAR_FORECAST: wind_answer}
vintages = pytest.mark.parametrize("dataset", ANSWERS, ids=lambda d: d.key)


def published(desk: Desk, dataset: Dataset) -> list[str]:
    instants = desk.rows(dataset, DAY)["published_at"].unique().sort()
    return [f"{instant:%M}" for instant in instants]


@vintages
def test_a_forecast_is_a_new_vintage_only_where_one_of_its_hours_changed(
    desk: Desk, dataset: Dataset
) -> None:
    for minute, forecast in ((0, "80000"), (5, "80000"), (10, "80001"), (15, "80000")):
        assert (
            brought(desk, dataset, ANSWERS[dataset](minute, forecast), minute).done.quarantined == 0
        )
    first = 10 if dataset is MISO_LOAD_FORECAST else 0
    assert published(desk, dataset) == [f"{first + n:02d}" for n in (0, 10, 15)]
    assert desk.resources.archive.size(dataset.archive_name)[0] == 4


@vintages
def test_live_and_replay_make_the_same_vintages(desk: Desk, dataset: Dataset) -> None:
    for minute, forecast in ((0, "80000"), (5, "80000"), (10, "80001"), (15, "80001")):
        brought(desk, dataset, ANSWERS[dataset](minute, forecast), minute)
    live = desk.rows(dataset)
    (verified,) = ingest.verify_days(desk.resources, dataset)
    assert verified.problems == []
    desk.resources.lake.replace(dataset.table, live.clear(), {"operating_day": utc(DAY).date()})
    ingest.replay(desk.resources, dataset, dataset.day(DAY))
    assert desk.rows(dataset).equals(live)
    assert len(live["published_at"].unique()) == 2


@vintages
def test_a_vintage_that_comes_late_ends_the_run_of_its_neighbours(
    desk: Desk, dataset: Dataset
) -> None:
    make = ANSWERS[dataset]
    for minute, forecast in ((0, "80000"), (10, "80000"), (5, "80001")):
        brought(desk, dataset, make(minute, forecast), minute)
    assert len(published(desk, dataset)) == 3


@vintages
def test_an_hour_in_quarantine_is_no_reason_to_miss_a_vintage(desk: Desk, dataset: Dataset) -> None:
    for minute, forecast in ((0, "n/a"), (5, "n/a"), (10, "none")):
        brought(desk, dataset, ANSWERS[dataset](minute, forecast), minute)
    assert len(published(desk, dataset)) == 2
    assert len(desk.resources.lake.read(QUARANTINE)) == 2


@vintages
def test_a_forecast_is_fresh_while_answers_come_though_none_is_a_new_vintage(
    desk: Desk, dataset: Dataset
) -> None:
    make = ANSWERS[dataset]
    for minute in (0, 30):
        answer = make(minute, "80000")
        at = MORNING + dt.timedelta(minutes=minute)
        desk.clock.set(at)
        verdicts = desk.bring(dataset, json.dumps(answer).encode()).verdicts
        assert verdicts["freshness"].passed
    assert len(published(desk, dataset)) == 1
    config, every = desk.resources.config(dataset), dataset.dialects[0].every
    limit = every + config.lateness + config.feeds[0].asked.longest_wait
    day = dataset.day(DAY)
    for beyond, fresh in ((dt.timedelta(), True), (dt.timedelta(minutes=1), False)):
        desk.clock.set(at + limit + beyond)
        done = ingest.normalize(desk.resources, dataset, day)
        (found,) = [v for v in ingest.check(desk.resources, done) if v.check == "freshness"]
        assert found.passed is fresh
        assert "the newest answer came" in found.reason


def test_a_forecast_is_late_by_its_newest_answer_though_its_hours_lie_ahead(desk: Desk) -> None:
    """Neither where no vintage is new, nor does the end of the last hour look like an answer."""
    last, late = {"HourEnding": "24", "LoadForecast": "70000"}, []
    for minutes in (0, 120):
        answer = load_answer(minutes // 60, "80000")
        answer["LoadInfo"]["MediumTermLoadForecast"].append({"Forecast": last})
        desk.clock.set(MORNING + dt.timedelta(minutes=minutes))
        desk.bring(MISO_LOAD_FORECAST, json.dumps(answer).encode())
        late += ingest.look(desk.resources, [MISO_LOAD_FORECAST])
    assert (len(published(desk, MISO_LOAD_FORECAST)), late) == (1, [])
    desk.clock.set(MISO_LOAD_FORECAST.day(DAY).end + dt.timedelta(minutes=20))
    (alert,) = ingest.look(desk.resources, [MISO_LOAD_FORECAST])
    assert alert.kind == "late_feed"
    assert "nothing newer than 2026-07-20 15:12Z" in alert.sentence


def test_an_answer_that_differs_only_in_its_interval_is_archived_once(desk: Desk) -> None:
    answer = ordinary(MISO_LOAD)
    outcomes = []
    for minute in (10, 15):
        answer["LoadInfo"]["RefId"] = f"20-Jul-2026 - Interval 08:{minute} EST"
        outcomes += [brought(desk, d, answer, minute).archived.outcome for d in LOADS]
    assert desk.resources.archive.size("miso_load")[0] == 1
    assert outcomes[3:] == ["duplicate"] * 3


# --- fuel mix ------------------------------------------------------------------------------------


def test_the_day_so_far_brings_the_intervals_that_were_not_collected(
    live_desk: Desk, market: Running
) -> None:
    day = MISO_FUEL_MIX.day("2026-07-21")
    live_desk.clock.set(utc("2026-07-21T00:32:00-05:00"))
    bring(live_desk.resources, MISO_FUEL_MIX, day, feeds=["now"])
    live_desk.clock.set(utc("2026-07-21T00:57:00-05:00"))
    bring(live_desk.resources, MISO_FUEL_MIX, day, feeds=["now"])
    before = live_desk.rows(MISO_FUEL_MIX)
    assert before["interval_start"].n_unique() == 2
    live_desk.clock.set(utc("2026-07-21T00:58:00-05:00"))
    bring(live_desk.resources, MISO_FUEL_MIX, day, feeds=["today"])
    rows = live_desk.rows(MISO_FUEL_MIX)
    starts = rows["interval_start"].unique().sort().to_list()
    assert [(b - a) for a, b in pairwise(starts)] == [FIVE_MINUTES] * 11
    assert len(rows) == 12 * 8
    assert rows.join(before, on=before.columns, how="semi").equals(before)
    assert len(market.simulator.requests) == 3


def test_a_fuel_that_is_new_is_stored_and_told(desk: Desk) -> None:
    answer = ordinary(MISO_FUEL_MIX)
    answer["Fuel"]["Type"][0]["CATEGORY"] = "Hydro"
    found = brought(desk, MISO_FUEL_MIX, answer)
    assert "Hydro" in found.done.rows["fuel"].to_list()
    assert "'Hydro'" in found.verdicts["schema_drift"].reason


def test_rows_of_another_day_are_kept_out_of_the_mix(desk: Desk) -> None:
    answer = ordinary(MISO_FUEL_MIX)
    answer["Fuel"]["Type"][3]["INTERVALEST"] = "2026-07-19 11:55:00 PM"
    done = brought(desk, MISO_FUEL_MIX, answer).done
    assert (len(done.rows), done.quarantined) == (3, 1)
    assert "interval_lies_in_its_operating_day" in reasons(desk)


# --- wind and solar ------------------------------------------------------------------------------


def test_an_hour_without_a_value_is_no_row_and_an_unreadable_one_is_quarantined_as_it_came(
    desk: Desk,
) -> None:
    answer = ordinary(MISO_WIND_SOLAR)
    answer["instance"] = [answer["instance"][2], *answer["instance"][:2]]  # the empty hour first
    answer["instance"][2]["ActualSolarValue"] = "n/a"
    done = brought(desk, MISO_WIND_SOLAR, answer).done
    assert done.rows["wind"].to_list() == [11890.42]
    (kept_out,) = desk.resources.lake.read(QUARANTINE)["record"]
    assert json.loads(kept_out)["ActualHourEndingEST"] == "2"


def test_wind_without_sun_is_a_row(desk: Desk) -> None:
    answer = ordinary(MISO_WIND_SOLAR)
    answer["instance"][0]["ActualSolarValue"] = None
    row = brought(desk, MISO_WIND_SOLAR, answer).done.rows.to_dicts()[0]
    assert (row["wind"], row["solar"]) == (11890.42, None)


@pytest.mark.parametrize("dataset", WINDS, ids=lambda d: d.key)
def test_an_hour_whose_number_and_stamp_disagree_is_quarantined(
    desk: Desk, dataset: Dataset
) -> None:
    answer = ordinary(dataset)
    for which in ("Actual", "Forecast"):
        answer["instance"][1][f"{which}HourEndingEST"] = "1"
    done = brought(desk, dataset, answer).done
    assert done.quarantined == 1
    assert "hour_ending_agrees_with_the_stamp: hour_ending=1" in reasons(desk)


def test_just_after_midnight_no_hour_has_a_value_and_nothing_is_wrong(desk: Desk) -> None:
    answer = ordinary(MISO_WIND_SOLAR)
    for record in answer["instance"]:
        record |= {name: None for name in record if name.startswith("Actual")}
    answer["instance"] = answer["instance"] * 3  # enough for a field to count as vanished
    found = brought(desk, MISO_WIND_SOLAR, answer)
    assert (found.archived.outcome, len(found.done.rows)) == ("stored", 0)
    assert (found.done.drift, found.done.quarantined) == ((), 0)


# --- the simulated displays ----------------------------------------------------------------------


@pytest.mark.parametrize("family", [LOADS, WINDS], ids=["load", "wind_solar"])
def test_one_request_brings_all_tables_of_an_answer(
    live_desk: Desk, market: Running, family: tuple[Dataset, ...]
) -> None:
    for dataset in family:
        day = dataset.operator.day_of(live_desk.clock())
        assert bring(live_desk.resources, dataset, day).errors == []
    assert len(market.simulator.requests) == 1
    assert live_desk.resources.archive.size(family[0].key)[0] == 1
    hashes = {raw for dataset in family for raw in live_desk.rows(dataset)["raw_sha256"]}
    assert len(hashes) == 1


@pytest.mark.parametrize("dataset", ALL, ids=lambda d: d.key)
def test_a_simulated_answer_keeps_every_rule(live_desk: Desk, dataset: Dataset) -> None:
    for hour in (1, 7, 23):
        live_desk.clock.set(utc(f"2026-07-21T{hour:02d}:12:00-05:00"))
        day = dataset.operator.day_of(live_desk.clock())
        outcome = bring(live_desk.resources, dataset, day)
        assert outcome.errors == []
        assert [done.quarantined for done in outcome.normalized] == [0] * len(outcome.normalized)
        assert [done.drift for done in outcome.normalized] == [()] * len(outcome.normalized)


def test_the_last_answers_of_a_day_hold_all_of_it(live_desk: Desk) -> None:
    day = "2026-07-21"
    for instant in (f"{day}T23:57:00-05:00", "2026-07-22T00:12:00-05:00"):
        live_desk.clock.set(utc(instant))
        for dataset in ALL:
            bring(live_desk.resources, dataset, dataset.operator.day_of(live_desk.clock()))
    hours = {"miso_cleared_load": 24, "miso_load_forecast": 24, "miso_wind_solar": 24}
    rows = {"miso_load": 288, "miso_fuel_mix": 288 * 8, "miso_wind_solar_forecast": 2 * 48}
    assert {d.key: len(live_desk.rows(d, day)) for d in ALL} == hours | rows
