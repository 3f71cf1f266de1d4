"""The two weekends on which clocks change, and every midnight: no interval is lost or doubled."""

import datetime as dt
import json

import dagster as dg
import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.definitions import build
from aurum_assets.graph.jobs import asset_keys, job_of
from aurum_assets.graph.translate import feeds_config
from aurum_assets.model.clock import FIFTEEN_MINUTES, FIVE_MINUTES
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.simulator.miso.cts import live_records
from aurum_assets_tests.conftest import Desk, utc

LMP, LOAD, CTS = ISONE_RT_LMP, ISONE_SYSTEM_LOAD, MISO_CTS
LOCATIONS, NODES = 3, 2  # of the simulated market


def collected(desk: Desk, dataset: Dataset, key: str, feed: str) -> pl.DataFrame:
    """The table's day after the whole of it was asked for on the morning after."""
    day = dataset.day(key)
    desk.clock.set(day.end + dt.timedelta(hours=8))
    done = ingest.collect(desk.resources, dataset, day, feeds=[feed])
    assert done.days == [key]
    normalized = ingest.normalize(desk.resources, dataset, day)
    for verdict in ingest.check(desk.resources, normalized):
        assert verdict.passed, verdict.reason
    return desk.rows(dataset, key)


@pytest.mark.parametrize(("key", "marks"), [("2024-03-10", 276), ("2024-11-03", 300)])
@pytest.mark.parametrize(
    ("dataset", "feed", "series"),
    [(LMP, "prelim_hours", LOCATIONS), (LOAD, "day", 1)],
    ids=["lmp", "load"],
)
def test_the_days_of_new_england_have_their_intervals_in_order(
    live_desk: Desk, dataset: Dataset, feed: str, series: int, key: str, marks: int
) -> None:
    rows = collected(live_desk, dataset, key, feed)
    assert len(rows) == marks * series
    starts = rows["interval_start"].unique(maintain_order=True)
    assert len(starts) == marks
    assert starts.diff().drop_nulls().unique().to_list() == [FIVE_MINUTES]
    day = dataset.day(key)
    assert (starts[0], starts[-1] + FIVE_MINUTES) == (day.start, day.end)
    per_interval = rows.group_by("interval_start").len()["len"].unique().to_list()
    assert per_interval == [series]
    assert (rows["interval_end"] - rows["interval_start"]).unique().to_list() == [FIVE_MINUTES]


@pytest.mark.parametrize("key", ["2024-03-10", "2024-11-03"])
def test_the_days_of_miso_have_288_marks_all_year(live_desk: Desk, key: str) -> None:
    rows = collected(live_desk, CTS, key, "day")
    starts = rows["interval_start"].unique(maintain_order=True)
    assert (len(starts), len(rows)) == (288, 288 * NODES)
    assert starts.diff().drop_nulls().unique().to_list() == [FIVE_MINUTES]
    labels = starts.dt.convert_time_zone("Etc/GMT+5").dt.strftime("%H:%M")
    assert labels.n_unique() == 288
    assert (labels[0], labels[-1]) == ("00:00", "23:55")


@pytest.mark.parametrize("key", ["2024-03-10", "2024-11-03"])
def test_a_whole_live_day_of_miso_is_kept_case_by_case(desk: Desk, key: str) -> None:
    day = CTS.day(key)
    desk.clock.set(day.end + dt.timedelta(hours=1))
    found = {
        "RefId": f"{day.date:%d-%b-%Y} - Interval 23:45 EST",
        "Interval": live_records(day),
    }
    brought = desk.bring(CTS, json.dumps(found).encode())
    assert brought.done.quarantined == 0
    rows = desk.rows(CTS, key)
    assert len(rows) == 96 * 10
    assert rows["published_at"].n_unique() == 96
    inside = rows.filter(pl.col("interval_start") < day.end)
    assert inside["interval_start"].unique().sort().to_list() == day.marks(FIFTEEN_MINUTES)
    across = rows.filter(pl.col("interval_start") >= day.end)
    assert len(across) > 0
    assert across["operating_day"].unique().to_list() == [day.date]


def test_the_repeated_hour_is_asked_for_once_and_stored_twice(live_desk: Desk) -> None:
    rows = collected(live_desk, LMP, "2024-11-03", "prelim_hours")
    local = rows["interval_start"].dt.convert_time_zone("America/New_York")
    assert (local.dt.hour() == 1).sum() == 24 * LOCATIONS
    identifiers = live_desk.resources.archive.identifiers(LMP.key, "2024-11-03")
    assert len(identifiers) == 24


def test_the_hour_that_spring_skips_is_never_asked_for(live_desk: Desk) -> None:
    collected(live_desk, LMP, "2024-03-10", "prelim_hours")
    days = [
        live_desk.resources.archive.envelope(LMP.key, "2024-03-10", i).filters["hour"]
        for i in live_desk.resources.archive.identifiers(LMP.key, "2024-03-10")
    ]
    assert len(days) == 23
    assert "02" not in days


# --- midnight ------------------------------------------------------------------------------------


def tick(desk: Desk, day: str) -> dg.ExecuteInProcessResult:
    """One five-minute tick of prices and load for ``day``, through Dagster."""
    with dg.DagsterInstance.ephemeral() as instance:
        job = build(desk.resources).resolve_job_def("isone_five_minutes")
        return job_of(job, asset_keys([LMP, LOAD])).execute_in_process(
            partition_key=day,
            instance=instance,
            run_config=feeds_config({LMP.key: ["now"], LOAD.key: ["now"]}),
        )


def materialized(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None]]:
    return {
        (m.asset_key.to_user_string(), m.partition)
        for e in result.all_events
        if e.is_step_materialization
        for m in [e.step_materialization_data.materialization]
    }


def test_a_stale_answer_after_midnight_is_stored_under_yesterday(live_desk: Desk) -> None:
    """At 00:00:10 the newest interval is still 23:55 of the day before."""
    live_desk.clock.set(utc("2026-07-21T00:00:10-04:00"))
    result = tick(live_desk, "2026-07-21")
    assert result.success
    assert materialized(result) == {
        ("market/isone_rt_lmp", "2026-07-20"),
        ("market/isone_system_load", "2026-07-20"),
    }
    for dataset in (LMP, LOAD):
        rows = live_desk.rows(dataset)
        assert rows["operating_day"].unique().to_list() == [dt.date(2026, 7, 20)]
        assert live_desk.resources.archive.days(dataset.key) == ["2026-07-20"]
    evaluations = result.get_asset_check_evaluations()
    assert {e.partition for e in evaluations} == {"2026-07-20"}
    assert len(evaluations) == 10 + 7


def test_once_the_first_interval_is_out_the_new_day_is_materialized(live_desk: Desk) -> None:
    live_desk.clock.set(utc("2026-07-21T00:05:30-04:00"))
    result = tick(live_desk, "2026-07-21")
    assert materialized(result) == {
        (f"{room}/{d.key}", "2026-07-21") for room in ("raw", "market") for d in (LMP, LOAD)
    }


def test_a_beat_for_yesterday_just_after_midnight_completes_it(live_desk: Desk) -> None:
    """The tick at 00:00 asks for yesterday too, or its last interval would never be seen."""
    live_desk.clock.set(utc("2026-07-21T00:00:10-04:00"))
    result = tick(live_desk, "2026-07-20")
    assert materialized(result) == {
        (f"{room}/{d.key}", "2026-07-20") for room in ("raw", "market") for d in (LMP, LOAD)
    }
    assert live_desk.rows(LMP)["interval_start"].unique().to_list() == [
        utc("2026-07-20T23:55:00-04:00")
    ]


def test_new_years_night_is_yesterday_in_all_of_its_folders(live_desk: Desk) -> None:
    live_desk.clock.set(utc("2026-01-01T00:00:10-05:00"))
    assert tick(live_desk, "2026-01-01").success
    assert live_desk.resources.archive.days(LMP.key) == ["2025-12-31"]
