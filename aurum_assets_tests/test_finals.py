"""Finals are asked for once they are out, and once more when they may have been corrected."""

import datetime as dt

import dagster as dg
import pytest

from aurum_assets import ingest
from aurum_assets.definitions import build
from aurum_assets.graph.resources import parts_of
from aurum_assets.model.clock import HOUR
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import NotYetPublished
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.ancillary import ISONE_REGULATION_PRICES
from aurum_assets.operators.isone.lmp import ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Desk, run_feeds, utc

HOURLY, REGULATION, LMP = ISONE_RT_HOURLY_LMP, ISONE_REGULATION_PRICES, ISONE_RT_LMP
DAY = "2026-07-20"
NEXT_MORNING, FINAL_MORNING = utc("2026-07-21T06:30:00-04:00"), utc("2026-07-22T06:30:00-04:00")
INFO = "/api/v1.1/hourlylmp/rt/final/info"


def bring(desk: Desk, dataset: Dataset, *feeds: str) -> None:
    day = dataset.day(DAY)
    done = ingest.collect(desk.resources, dataset, day, feeds=feeds)
    for key in done.days:
        ingest.normalize(desk.resources, dataset, dataset.day(key))


def look(desk: Desk, *datasets: Dataset) -> ingest.Finals:
    return ingest.find_finals(desk.resources, datasets or (HOURLY,))


def probes(market: Running, path: str = INFO) -> int:
    return sum(seen.path == path for seen in market.simulator.requests)


# --- when ----------------------------------------------------------------------------------------


def test_every_feed_of_finals_is_probed_from_the_next_day_on_and_asked_again(
    desk: Desk,
) -> None:
    finals = {
        (d.key, f.name): f
        for d in DATASETS
        for f in desk.resources.config(d).feeds
        if f.finality == "final" and f.cadence == "daily" and f.offset_days <= 0
        if d.operator.newest_in and not d.table.sparse
    }
    assert {key for key, _ in finals} == {
        "isone_rt_lmp",
        "isone_rt_hourly_lmp",
        "isone_regulation_prices",
        "isone_reserve_prices",
    }
    for feed in finals.values():
        assert (feed.offset_days, feed.again_days) == (-1, (7,))
        assert feed.probe is not None
        assert feed.probe.path.endswith("/final/info")


def test_finals_are_asked_for_once_they_are_out_and_not_before(
    live_desk: Desk, market: Running
) -> None:
    live_desk.clock.set(NEXT_MORNING)
    bring(live_desk, HOURLY, "prelim_day")
    found = look(live_desk)
    assert (found.out, found.waiting, probes(market)) == ([], 1, 1)
    live_desk.clock.set(FINAL_MORNING)
    (out,) = look(live_desk).out
    assert (out.day.key, out.feeds) == (DAY, ("final_day",))
    assert out.reported == "/hourlylmp/rt/final/info: 2026-07-21 03:00Z"
    bring(live_desk, HOURLY, *out.feeds)
    live_desk.clock.set(FINAL_MORNING + 2 * HOUR)
    found = look(live_desk)
    assert (found.out, found.waiting, probes(market)) == ([], 1, 3), "the next day waits"


def test_a_probe_is_asked_once_an_hour(live_desk: Desk, market: Running) -> None:
    live_desk.clock.set(NEXT_MORNING)
    bring(live_desk, HOURLY, "prelim_day")
    for quarter in range(8):
        live_desk.clock.set(NEXT_MORNING + quarter * dt.timedelta(minutes=15))
        look(live_desk)
    assert probes(market) == 2


def test_two_feeds_of_one_day_are_one_run(live_desk: Desk, market: Running) -> None:
    """Five-minute finals do not pay for hourly ones of the same table, nor the other way."""
    del market
    live_desk.clock.set(FINAL_MORNING)
    bring(live_desk, REGULATION, "prelim_day")
    (out,) = look(live_desk, REGULATION).out
    assert out.feeds == ("final_day", "final_hourly")
    bring(live_desk, REGULATION, "final_hourly")
    live_desk.clock.set(FINAL_MORNING + HOUR)
    (out,) = look(live_desk, REGULATION).out
    assert out.feeds == ("final_day",)


def test_a_home_asks_for_no_finals_from_before_its_first_day(
    live_desk: Desk, market: Running
) -> None:
    live_desk.clock.set(FINAL_MORNING)
    assert look(live_desk).out == []
    bring(live_desk, HOURLY, "prelim_day")
    live_desk.clock.set(FINAL_MORNING + HOUR)
    assert [out.day.key for out in look(live_desk).out] == [DAY]
    assert probes(market) == 1


def test_a_day_that_a_run_is_about_is_left_to_it(live_desk: Desk) -> None:
    live_desk.clock.set(FINAL_MORNING)
    bring(live_desk, HOURLY, "prelim_day")
    assert ingest.find_finals(live_desk.resources, [HOURLY], busy={(HOURLY.key, DAY)}).out == []


@pytest.mark.parametrize(("status", "asked"), [("404", 1), ("401", 3), ("500", 3)])
def test_a_probe_that_is_refused_is_left_alone_for_a_day(
    live_desk: Desk, market: Running, status: str, asked: int
) -> None:
    live_desk.clock.set(NEXT_MORNING)
    bring(live_desk, HOURLY, "prelim_day")
    market.simulator.fail(status, match=INFO, times=99)
    for hours in range(3):
        live_desk.clock.set(NEXT_MORNING + hours * HOUR)
        found = look(live_desk)
        assert found.out == []
    assert probes(market) == asked


# --- runs ----------------------------------------------------------------------------------------


def test_the_sensor_asks_for_the_day_by_the_job_of_its_dataset(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    live_desk.clock.set(FINAL_MORNING)
    bring(live_desk, HOURLY, "prelim_day")
    repository = build(live_desk.resources).get_repository_def()
    sensor = repository.get_sensor_def("finals")

    def tick() -> tuple[list[dg.RunRequest], str]:
        context = dg.build_sensor_context(
            instance=instance,
            repository_def=repository,
            resources=parts_of(live_desk.resources),
        )
        done = sensor.evaluate_tick(context)
        return list(done.run_requests or []), done.skip_message or ""

    (request,), _ = tick()
    assert (request.job_name, request.partition_key) == ("isone_daily", DAY)
    assert request.run_config == {
        "ops": {f"raw__{HOURLY.key}": {"config": {"feeds": ["final_day"]}}}
    }
    assert request.tags["aurum/probe"].startswith("/hourlylmp/rt/final/info: ")
    assert tick() == ([], "no day waits to become final")


def test_a_day_that_is_not_final_yet_is_not_red(live_desk: Desk) -> None:
    """The morning run asks for the finals of yesterday, which may be out."""
    live_desk.clock.set(NEXT_MORNING)
    feeds = {LMP.key: ["final_hours"], HOURLY.key: ["prelim_day", "final_day"]}
    done = run_feeds(live_desk, "isone_daily", DAY, feeds)
    assert done.success
    made = {
        e.step_materialization_data.materialization.asset_key.path[-1]
        for e in done.all_events
        if e.event_type_value == "ASSET_MATERIALIZATION"
    }
    assert made == {HOURLY.key}
    assert live_desk.rows(HOURLY, DAY)["finality"].unique().to_list() == ["prelim"]


def test_preliminary_values_that_are_not_there_are_red_still(
    live_desk: Desk, market: Running
) -> None:
    live_desk.clock.set(NEXT_MORNING)
    market.simulator.fail("404", match="/rt/prelim/", times=99)
    done = ingest.Collected()
    with pytest.raises(NotYetPublished):
        ingest.collect(
            live_desk.resources, HOURLY, HOURLY.day(DAY), feeds=["prelim_day"], into=done
        )
    assert not ingest.may_come_later(live_desk.resources, HOURLY, done.not_yet)


def test_finals_that_were_corrected_since_replace_the_earlier_ones(
    live_desk: Desk, market: Running
) -> None:
    """Asked for again a week later; what is equal then is no second snapshot."""
    live_desk.clock.set(FINAL_MORNING)
    bring(live_desk, HOURLY, "final_day")
    first = live_desk.rows(HOURLY, DAY)
    live_desk.clock.set(utc("2026-07-27T06:30:00-04:00"))
    done = ingest.collect(live_desk.resources, HOURLY, HOURLY.day(DAY), feeds=["final_day"])
    assert (done.requests, done.count("duplicate")) == (1, 1)
    market.simulator.world = type(market.simulator.world)(seed=9, locations=3)
    bring(live_desk, HOURLY, "final_day")
    again = live_desk.rows(HOURLY, DAY)
    assert len(again) == len(first)
    assert again["lmp"].to_list() != first["lmp"].to_list()
