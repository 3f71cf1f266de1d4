"""Gaps: which days lack what on the operator's calendar; who is asked, how often, till when."""

import datetime as dt
import itertools
from dataclasses import replace

import pytest

from aurum_assets import ingest
from aurum_assets.ingest.day import bring as bring_day
from aurum_assets.ingest.gaps import TRIES, Tried, next_attempt, pause_after, wanted_days
from aurum_assets.model.clock import DAY, FIVE_MINUTES, HOUR, every_day
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.ancillary import ISONE_REGULATION_PRICES
from aurum_assets.operators.isone.constraints import ISONE_DA_CONSTRAINTS
from aurum_assets.operators.isone.demand import ISONE_DA_HOURLY_DEMAND
from aurum_assets.operators.isone.generation import (
    ISONE_GENERATION_BY_RESOURCE,
    ISONE_GENERATION_MIX,
)
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.isone.load_forecast import ISONE_HOURLY_LOAD_FORECAST
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.operators.isone.strike_prices import ISONE_DA_STRIKE_PRICES
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.operators.pjm.lmp import PJM_DA_LMP, PJM_RT_LMP
from aurum_assets.simulator.isone.load import load_records
from aurum_assets.simulator.isone.payloads import render, wrapped
from aurum_assets_tests.conftest import Desk, utc

LOAD, LMP = ISONE_SYSTEM_LOAD, ISONE_RT_LMP
BEYOND_REPAIR = {  # no feed of theirs takes a day
    "isone_generation_by_resource",
    "isone_locations",
    "miso_rt_lmp",
    "miso_rt_hourly_lmp",
    "miso_da_lmp",
    "miso_load",
    "miso_cleared_load",
    "miso_load_forecast",
    "miso_fuel_mix",
    "miso_wind_solar",
    "miso_wind_solar_forecast",
    "miso_ex_ante_lmp",
    "miso_interchange",
    "miso_constraints",
    "miso_ancillary_prices",
}
KEPT_FOR_A_DAY = {"miso_expost_lmp"}
REPAIRABLE = [d for d in DATASETS if d.key not in BEYOND_REPAIR]


def payload(day: str, intervals: range) -> bytes:
    """System load of these intervals of ``day``, by number."""
    records = load_records(LOAD.day(day), list(intervals))
    return render(wrapped("FiveMinSystemLoads", "FiveMinSystemLoad", records), "json")


def bring(desk: Desk, dataset: Dataset, day: str, *feeds: str) -> None:
    """Have a day collected and stored, by ``feeds`` (by all that can where there are none)."""
    done = ingest.collect(desk.resources, dataset, dataset.day(day), feeds=feeds or None)
    for key in done.days:
        ingest.normalize(desk.resources, dataset, dataset.day(key))


def look(desk: Desk, *datasets: Dataset) -> ingest.Found:
    return ingest.find_gaps(desk.resources, datasets or (LOAD,))


def asked(found: ingest.Found) -> list[str]:
    return [repair.gap.day.key for repair in found.repairs]


# --- what a day lacks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "day"), [*((d, "2025-11-02") for d in REPAIRABLE), (LOAD, "2026-03-08")]
)
def test_a_day_of_which_every_feed_brought_everything_lacks_nothing(
    live_desk: Desk, dataset: Dataset, day: str
) -> None:
    feeds = live_desk.resources.config(dataset).feeds
    later = min([8, *(feed.keeps_days for feed in feeds if feed.keeps_days)])
    live_desk.clock.set(dataset.day(day).plus(later).start + 12 * HOUR)
    bring(live_desk, dataset, day, *_all_feeds(live_desk, dataset))
    assert ingest.gap_of(live_desk.resources, dataset, dataset.day(day)) is None


def _all_feeds(desk: Desk, dataset: Dataset) -> list[str]:
    required = ingest.requirements(dataset, desk.resources.config(dataset))
    return list(dict.fromkeys(name for requirement in required for name in requirement.feeds))


@pytest.mark.parametrize("dataset", REPAIRABLE, ids=lambda d: d.key)
def test_a_day_without_rows_lacks_everything_and_names_who_can_bring_it(
    desk: Desk, dataset: Dataset
) -> None:
    day = "2026-07-20" if dataset.key in KEPT_FOR_A_DAY else "2026-07-10"
    gap = ingest.gap_of(desk.resources, dataset, dataset.day(day), stored=False)
    assert gap is not None
    feeds = {f.name: f for f in desk.resources.config(dataset).feeds}
    assert gap.feeds
    assert all(feeds[name].asks != "now" for name in gap.feeds)
    assert str(gap).startswith(f"{dataset.key} {day}: ")


@pytest.mark.parametrize("dataset", [ISONE_GENERATION_BY_RESOURCE, ISONE_LOCATIONS])
def test_what_answers_for_now_only_is_beyond_repair(desk: Desk, dataset: Dataset) -> None:
    assert ingest.requirements(dataset, desk.resources.config(dataset)) == []
    assert ingest.gap_of(desk.resources, dataset, dataset.day("2026-07-10"), stored=False) is None


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-07-10", 24), ("2026-03-08", 23), ("2025-11-02", 25)]
)
def test_a_day_owes_the_intervals_that_its_calendar_has(desk: Desk, day: str, hours: int) -> None:
    desk.clock.set(LOAD.day(day).plus(2).start)
    gap = ingest.gap_of(desk.resources, LOAD, LOAD.day(day), stored=False)
    assert gap is not None
    assert gap.missing == hours * 12


@pytest.mark.parametrize("day", ["2026-03-08", "2025-11-02"])
@pytest.mark.parametrize("late", [0, 1])
def test_an_interval_is_missing_once_it_is_due_and_not_a_minute_before(
    desk: Desk, day: str, late: int
) -> None:
    """On the days when clocks change too, around the hour that is skipped or repeated."""
    first = LOAD.day(day).start
    desk.clock.set(first + 4 * HOUR)
    desk.bring(LOAD, payload(day, range(36)))  # three hours, whatever the clock shows
    due = first + 3 * HOUR + FIVE_MINUTES + dt.timedelta(minutes=15)
    desk.clock.set(due - dt.timedelta(minutes=1 - late))
    gap = ingest.gap_of(desk.resources, LOAD, LOAD.day(day))
    assert (gap.missing if gap else 0) == late


def test_a_late_interval_is_named(desk: Desk) -> None:
    desk.bring(LOAD, payload("2026-07-20", range(100)))
    desk.bring(LOAD, payload("2026-07-20", range(101, 288)))
    gap = ingest.gap_of(desk.resources, LOAD, LOAD.day("2026-07-20"))
    assert gap is not None
    assert (gap.missing, gap.feeds) == (1, ("day",))
    assert "2026-07-20 12:20Z" in gap.lacks


@pytest.mark.parametrize(
    ("now", "feeds"),
    [
        ("2026-07-20T23:50:00-04:00", ("prelim_hours",)),
        ("2026-07-23T23:50:00-04:00", ("prelim_hours",)),  # they are out one to a few days later
        ("2026-07-24T00:00:00-04:00", ("prelim_hours", "final_hours")),
    ],
)
def test_final_prices_are_missed_once_their_days_of_grace_are_over(
    desk: Desk, now: str, feeds: tuple[str, ...]
) -> None:
    desk.clock.set(utc(now))
    gap = ingest.gap_of(desk.resources, LMP, LMP.day("2026-07-20"), stored=False)
    assert gap is not None
    assert gap.feeds == feeds


def test_preliminary_prices_do_not_pay_for_final_ones(live_desk: Desk) -> None:
    dataset = ISONE_RT_HOURLY_LMP
    bring(live_desk, dataset, "2026-07-10", "prelim_day")
    gap = ingest.gap_of(live_desk.resources, dataset, dataset.day("2026-07-10"))
    assert gap is not None
    assert (gap.missing, gap.feeds) == (24, ("final_day",))
    assert gap.lacks.startswith("final: ")


def test_hourly_prices_do_not_pay_for_five_minute_ones_of_the_same_table(live_desk: Desk) -> None:
    dataset = ISONE_REGULATION_PRICES
    bring(live_desk, dataset, "2026-07-10", "prelim_day", "final_hourly")
    gap = ingest.gap_of(live_desk.resources, dataset, dataset.day("2026-07-10"))
    assert gap is not None
    assert (gap.missing, gap.feeds) == (288, ("final_day",))


def test_the_irregular_mix_lacks_half_hours_never_instants(live_desk: Desk) -> None:
    dataset, day = ISONE_GENERATION_MIX, "2026-07-18"
    bring(live_desk, dataset, day)
    assert ingest.gap_of(live_desk.resources, dataset, dataset.day(day)) is None
    none = ingest.gap_of(live_desk.resources, dataset, dataset.day("2026-07-17"), stored=False)
    assert none is not None
    assert none.missing == 48


@pytest.mark.parametrize(
    "dataset",
    [
        ISONE_DA_LMP,
        ISONE_DA_HOURLY_DEMAND,
        ISONE_DA_STRIKE_PRICES,
        ISONE_DA_CONSTRAINTS,
        PJM_DA_LMP,
    ],
    ids=lambda d: d.key,
)
def test_tomorrow_is_owed_day_ahead_from_an_hour_after_it_was_asked_for(
    desk: Desk, dataset: Dataset
) -> None:
    tomorrow = dataset.day("2026-07-22")
    desk.clock.set(utc("2026-07-21T15:29:00-04:00"))
    assert ingest.gap_of(desk.resources, dataset, tomorrow, stored=False) is None
    desk.clock.set(utc("2026-07-21T15:30:00-04:00"))
    gap = ingest.gap_of(desk.resources, dataset, tomorrow, stored=False)
    assert gap is not None
    assert gap.missing == (1 if dataset.table.sparse else 24)


def test_a_forecast_of_days_ahead_is_owed_once_its_day_begins(desk: Desk) -> None:
    dataset, tomorrow = ISONE_HOURLY_LOAD_FORECAST, LOAD.day("2026-07-22")
    desk.clock.set(tomorrow.start - dt.timedelta(minutes=1))
    assert ingest.gap_of(desk.resources, dataset, tomorrow, stored=False) is None
    desk.clock.set(tomorrow.start)
    gap = ingest.gap_of(desk.resources, dataset, tomorrow, stored=False)
    assert gap is not None
    assert gap.missing == 24


def test_a_market_that_clears_late_is_asked_for_again_on_the_same_day(live_desk: Desk) -> None:
    """Its schedule had an empty answer, which is no failure and no alert."""
    dataset, tomorrow = PJM_DA_LMP, PJM_DA_LMP.day("2026-07-22")
    live_desk.clock.set(utc("2026-07-21T13:00:00-04:00"))  # before it is out
    ingest.collect(live_desk.resources, dataset, dataset.day("2026-07-21"))
    ingest.normalize(live_desk.resources, dataset, dataset.day("2026-07-21"))
    assert bring_day(live_desk.resources, dataset, tomorrow).expected
    assert look(live_desk, dataset).repairs == []
    live_desk.clock.set(utc("2026-07-21T15:30:00-04:00"))
    (repair,) = look(live_desk, dataset).repairs
    assert repair.gap.day == tomorrow
    bring(live_desk, dataset, tomorrow.key, *repair.gap.feeds)
    assert len(live_desk.rows(dataset, tomorrow.key)) > 24
    live_desk.clock.set(utc("2026-07-21T16:30:00-04:00"))
    assert look(live_desk, dataset).repairs == []


@pytest.mark.parametrize(
    ("day", "feeds"),
    [
        ("2026-07-07", ("prelim_day", "final_day")),
        ("2026-07-06", ("final_day",)),
        ("2026-01-18", ("final_day",)),
        ("2026-01-17", ()),
    ],
)
def test_no_feed_is_asked_for_a_day_that_it_no_longer_keeps(
    desk: Desk, day: str, feeds: tuple[str, ...]
) -> None:
    gap = ingest.gap_of(desk.resources, PJM_RT_LMP, PJM_RT_LMP.day(day), stored=False)
    assert (gap.feeds if gap else ()) == feeds


def test_a_day_whose_preliminary_prices_are_gone_lacks_nothing_with_its_final_ones(
    live_desk: Desk,
) -> None:
    day = "2026-07-01"
    bring(live_desk, PJM_RT_LMP, day, "final_day")
    assert ingest.gap_of(live_desk.resources, PJM_RT_LMP, PJM_RT_LMP.day(day)) is None


def test_live_forecasts_of_a_quarter_hour_pay_the_day_that_documented_ones_would(
    live_desk: Desk,
) -> None:
    live_desk.clock.set(utc("2026-07-20T23:58:00-05:00"))
    bring(live_desk, MISO_CTS, "2026-07-20", "now")
    live_desk.clock.set(utc("2026-07-21T03:00:00-05:00"))
    assert ingest.gap_of(live_desk.resources, MISO_CTS, MISO_CTS.day("2026-07-20")) is None


def test_a_day_that_answers_once_it_is_over_is_not_asked_for_before(live_desk: Desk) -> None:
    assert (
        ingest.gap_of(live_desk.resources, MISO_CTS, MISO_CTS.day("2026-07-21"), stored=False)
        is None
    )
    gap = ingest.gap_of(live_desk.resources, MISO_CTS, MISO_CTS.day("2026-07-20"), stored=False)
    assert gap is not None
    assert (gap.missing, gap.feeds) == (96, ("day",))


# --- which days are wanted -----------------------------------------------------------------------


def test_a_fresh_home_asks_for_nothing(desk: Desk) -> None:
    found = look(desk, *DATASETS)
    assert found.repairs == []
    assert "no day lacks anything" in str(found)


def test_days_are_wanted_from_the_first_that_is_held(desk: Desk) -> None:
    desk.bring(LOAD, payload("2026-07-18", range(288)))
    found = look(desk)
    assert asked(found) == ["2026-07-21", "2026-07-20", "2026-07-19"]
    assert all(repair.gap.feeds == ("day",) for repair in found.repairs)


def test_a_day_that_is_archived_only_is_held_too(desk: Desk) -> None:
    desk.take(LOAD, payload("2026-07-20", range(288)))
    assert asked(look(desk)) == ["2026-07-21", "2026-07-20"]


def test_nothing_is_asked_for_that_the_operator_no_longer_shows(desk: Desk) -> None:
    desk.bring(LOAD, payload("2026-07-01", range(288)))
    config = desk.resources.configuration
    short = replace(config.datasets[LOAD.key], repair_days=2)
    desk.resources.configuration = replace(config, datasets={**config.datasets, LOAD.key: short})
    assert asked(look(desk)) == ["2026-07-21", "2026-07-20", "2026-07-19"]


PAUSES = pytest.mark.parametrize(
    ("held", "first"),
    [
        (["2026-07-21"], "2026-07-21"),
        (["2026-06-20"], "2026-06-20"),  # until yesterday 30 days of nothing
        (["2026-06-19"], "2026-06-19"),
        (["2026-06-18"], "2026-07-20"),  # 31: nobody asked, and yesterday is where it begins anew
        (["2025-07-14", "2025-07-15", "2026-07-21"], "2026-07-20"),
        (["2025-07-14", "2026-07-10", "2026-07-19"], "2026-07-10"),
    ],
)


@PAUSES
def test_a_long_pause_of_a_simulated_home_is_no_gap(
    desk: Desk, held: list[str], first: str
) -> None:
    assert wanted_of(desk, held, "simulated") == (first, "2026-07-21")


@PAUSES
def test_no_pause_of_an_operators_data_is_forgotten(
    desk: Desk, held: list[str], first: str
) -> None:
    del first
    oldest = max(min(held), "2025-07-21")  # as far as repairs go back
    assert wanted_of(desk, held, "real") == (oldest, "2026-07-21")


def wanted_of(desk: Desk, held: list[str], origin: str) -> tuple[str, str]:
    """The first and the last day that is wanted of a home that holds these."""
    for day in held:
        desk.bring(LOAD, payload(day, range(288 if day < "2026-07-21" else 140)))
    (desk.resources.root / "origin").write_text(origin)
    required = ingest.requirements(LOAD, desk.resources.config(LOAD))
    stored = set(desk.resources.lake.days(LOAD.table))
    wanted = wanted_days(desk.resources, LOAD, stored, required)
    return wanted[-1].key, wanted[0].key


# --- how often, and till when --------------------------------------------------------------------


def test_a_look_asks_for_no_more_than_the_bound_of_each_operator(desk: Desk) -> None:
    desk.bring(LOAD, payload("2026-06-21", range(288)))
    first = look(desk)
    assert asked(first) == ["2026-07-21", "2026-07-20", "2026-07-19", "2026-07-18"]
    assert first.postponed == 26
    assert asked(look(desk)) == ["2026-07-17", "2026-07-16", "2026-07-15", "2026-07-14"]


def test_no_repair_is_asked_for_where_the_bound_is_none(desk: Desk) -> None:
    desk.bring(LOAD, payload("2026-07-18", range(288)))
    desk.resources.repairs = 0
    assert look(desk).repairs == []


def test_datasets_of_an_operator_share_its_bound_day_by_day(live_desk: Desk) -> None:
    """A dataset with many holes does not keep the others waiting."""
    for dataset in (LOAD, ISONE_GENERATION_MIX):
        bring(live_desk, dataset, "2026-07-10", "day")
    found = look(live_desk, LOAD, ISONE_GENERATION_MIX)
    assert len(found.repairs) == 4
    assert {repair.gap.dataset.key for repair in found.repairs} == {
        LOAD.key,
        ISONE_GENERATION_MIX.key,
    }


def test_a_day_that_a_run_is_about_is_left_to_it(desk: Desk) -> None:
    desk.bring(LOAD, payload("2026-07-19", range(288)))
    busy = {(LOAD.key, "2026-07-21")}
    found = ingest.find_gaps(desk.resources, [LOAD], busy=busy)
    assert (asked(found), found.postponed) == (["2026-07-20"], 1)
    assert asked(look(desk)) == ["2026-07-21"], "and its turn comes"


def test_a_hole_that_was_repaired_is_quiet_from_then_on(live_desk: Desk) -> None:
    bring(live_desk, LOAD, "2026-07-18")
    found = look(live_desk)
    assert len(found.repairs) == 3
    for repair in found.repairs:
        bring(live_desk, LOAD, repair.gap.day.key, *repair.gap.feeds)
    live_desk.clock.set(live_desk.clock() + HOUR)
    bring(live_desk, LOAD, "2026-07-21")
    assert look(live_desk).repairs == []
    live_desk.clock.set(utc("2026-07-21T23:59:00-04:00"))
    bring(live_desk, LOAD, "2026-07-21")
    assert look(live_desk).repairs == []


def test_rows_that_went_after_a_day_was_complete_are_missed(live_desk: Desk) -> None:
    for day in ("2026-07-20", "2026-07-21"):
        bring(live_desk, LOAD, day)
    assert look(live_desk).repairs == []
    live_desk.resources.lake.replace(
        LOAD.table, LOAD.table.empty(), {"operating_day": dt.date(2026, 7, 20)}
    )
    assert asked(look(live_desk)) == ["2026-07-20"]


def test_an_operator_that_stays_empty_is_asked_ever_more_rarely_then_left_alone(
    desk: Desk,
) -> None:
    desk.bring(LOAD, payload("2026-07-19", range(288)))
    desk.clock.set(utc("2026-07-21T01:00:00-04:00"))
    desk.bring(LOAD, payload("2026-07-21", range(1)))
    desk.resources.repairs = 99  # so that no day waits for another
    tries, given_up = [], []
    start = desk.clock()
    for hour in range(5 * 24):
        desk.clock.set(start + hour * HOUR)
        found = ingest.find_gaps(desk.resources, [LOAD])
        tries += [
            (repair.attempt, desk.clock())
            for repair in found.repairs
            if repair.gap.day.key == "2026-07-20"
        ]
        given_up += [s for s in found.given_up if s.startswith(f"{LOAD.key} 2026-07-20: ")]
    assert [attempt for attempt, _ in tries] == list(range(1, TRIES + 1))
    times = [at for _, at in tries]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses == [n * HOUR for n in (1, 2, 4, 8, 16, 24, 24)]
    (text,) = given_up
    assert "no interval of the day is there (288 due)" in text
    assert "given up until this changes" in text


def test_a_day_that_was_given_up_is_asked_for_again_once_something_changed(desk: Desk) -> None:
    before = Tried(TRIES + 1, 12, desk.clock())
    assert next_attempt(before, 12) is None
    assert next_attempt(before, 300) == 1, "more became due"
    assert next_attempt(before, 3) == 1, "some of it came"


def test_a_try_that_brought_something_is_followed_by_the_shortest_pause(desk: Desk) -> None:
    assert next_attempt(Tried(5, 12, desk.clock()), 11) == 1
    assert next_attempt(Tried(5, 12, desk.clock()), 12) == 6
    assert next_attempt(Tried(5, 12, desk.clock()), 13) == 6
    assert next_attempt(Tried(TRIES, 12, desk.clock()), 12) is None
    assert next_attempt(None, 12) == 1


def test_the_pause_doubles_up_to_a_day() -> None:
    assert [pause_after(n) / HOUR for n in range(1, 8)] == [1, 2, 4, 8, 16, 24, 24]


def test_a_repair_says_what_lacks_which_try_it_is_and_when_the_next_would_be(desk: Desk) -> None:
    desk.bring(LOAD, payload("2026-07-19", range(288)))
    first = look(desk).repairs[1]
    assert str(first).startswith(
        f"{LOAD.key} 2026-07-20: no interval of the day is there (288 due)"
    )
    assert str(first).endswith("try 1 of 8, the next from 2026-07-21 17:00Z")
    waiting = look(desk)
    assert waiting.repairs == []
    assert "2 incomplete days wait" in str(waiting)
    assert "2026-07-21 17:00Z" in str(waiting)
    desk.clock.set(desk.clock() + HOUR)
    assert {repair.attempt for repair in look(desk).repairs} == {2}


def test_days_with_rows_are_looked_at_some_at_a_time_the_newest_first(desk: Desk) -> None:
    days = every_day(LOAD.day("2026-07-11"), LOAD.day("2026-07-20"))
    for day in days:
        desk.bring(LOAD, payload(day.key, range(0, 288, 2)))
    desk.clock.set(days[-1].end)
    seen: list[str] = []
    for _ in range(4):
        seen += asked(look(desk))
    assert seen == sorted({day.key for day in days}, reverse=True)
    desk.clock.set(desk.clock() + 2 * DAY)
    assert len(look(desk).repairs) == 4
