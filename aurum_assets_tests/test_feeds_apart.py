"""Each feed of a dataset is asked by itself: what one fails to bring stands in no other's way."""

import asyncio
import re

import dagster as dg
import pytest

from aurum_assets import ingest
from aurum_assets.ingest.days import collect_days
from aurum_assets.model.errors import DaysFailed, SourceRefused, SourceUnavailable
from aurum_assets.operators.isone.ancillary import ISONE_REGULATION_PRICES
from aurum_assets.operators.isone.lmp import ISONE_RT_HOURLY_LMP
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Aurum, Desk, printed, run_feeds

HOURLY, REGULATION = ISONE_RT_HOURLY_LMP, ISONE_REGULATION_PRICES
DAY = "2026-07-10"  # long final
PRELIM = "/hourlylmp/rt/prelim/"


def collect(desk: Desk, *feeds: str) -> ingest.Collected:
    done = ingest.Collected()
    day = HOURLY.day(DAY)
    ingest.collect(desk.resources, HOURLY, day, feeds=feeds or None, into=done)
    return done


def finalities(desk: Desk) -> list[str]:
    return desk.rows(HOURLY, DAY)["finality"].unique().sort().to_list()


def test_a_missing_prelim_does_not_block_the_final(live_desk: Desk, market: Running) -> None:
    market.simulator.fail("404", match=PRELIM, times=9)
    done = ingest.Collected()
    with pytest.raises(SourceRefused, match="hourlylmp_rt_prelim_day") as caught:
        ingest.collect(live_desk.resources, HOURLY, HOURLY.day(DAY), into=done)
    assert caught.value.status == 404
    assert list(done.failed) == ["prelim_day"]
    assert [a.outcome for a in done.archived] == ["stored"]
    assert done.days == [DAY]


def test_a_run_stores_what_the_other_feeds_gave_and_is_red(
    live_desk: Desk, market: Running
) -> None:
    """Red, for the day is due."""
    market.simulator.fail("404", match=PRELIM, times=99)
    feeds = {HOURLY.key: ["prelim_day", "final_day"]}
    with dg.DagsterInstance.ephemeral() as instance:
        done = run_feeds(live_desk, "isone_daily", DAY, feeds, instance)
        raw, table = (
            instance.get_latest_materialization_event(dg.AssetKey([room, HOURLY.key]))
            for room in ("raw", "market")
        )
    assert not done.success
    assert finalities(live_desk) == ["final"]
    assert table is not None
    assert raw is not None
    assert raw.asset_materialization is not None
    failed = str(raw.asset_materialization.metadata["feeds_failed"].value)
    assert failed.startswith("prelim_day: ISO New England refused")


def test_the_command_line_stores_the_final_and_says_what_failed(
    aurum: Aurum, market: Running
) -> None:
    market.simulator.fail("404", match=PRELIM, times=9)
    result = aurum("collect", "isone", "rt_hourly_lmp", "--date", DAY, "--json")
    assert result.exit_code == 1
    document = printed(result)
    assert (document["collected"], document["failed"], document["rows"]) == (1, 1, 24 * 3)
    assert "hourlylmp_rt_prelim_day (404)" in document["failed_because"][0]


def test_the_python_api_stores_the_final_and_raises(live_desk: Desk, market: Running) -> None:
    market.simulator.fail("404", match=PRELIM, times=9)
    with pytest.raises(DaysFailed, match="hourlylmp_rt_prelim_day"):
        asyncio.run(collect_days(live_desk.resources, HOURLY, [HOURLY.day(DAY)]))
    assert finalities(live_desk) == ["final"]


def test_several_feeds_that_fail_are_one_error_with_every_reason(
    live_desk: Desk, market: Running
) -> None:
    """Asking again helps where one of them was an outage."""
    market.simulator.fail("404", match="/fiveminutercp/prelim/", times=9)
    market.simulator.fail("500", match="/hourlyrcp/final/", times=99)
    live_desk.resources.sleep = lambda _: None
    done = ingest.Collected()
    with pytest.raises(SourceUnavailable) as caught:
        ingest.collect(live_desk.resources, REGULATION, REGULATION.day(DAY), into=done)
    assert "fiveminutercp_prelim_day (404)" in str(caught.value)
    assert "hourlyrcp_final_day" in str(caught.value)
    assert list(done.failed) == ["prelim_day", "final_hourly"]
    assert done.count("stored") == 1


def test_a_401_ends_it_at_once(live_desk: Desk, market: Running) -> None:
    market.simulator.fail("401", match=PRELIM, times=9)
    with pytest.raises(SourceRefused, match="ISONE_USERNAME"):
        collect(live_desk)
    assert len(market.simulator.requests) == 1


def test_another_try_asks_for_nothing_that_was_answered(live_desk: Desk, market: Running) -> None:
    market.simulator.fail("404", match=PRELIM, times=2)
    day = HOURLY.day(DAY)
    with pytest.raises(SourceRefused):
        ingest.collect(live_desk.resources, HOURLY, day, attempts_of="run")
    before = len(market.simulator.requests)
    done = ingest.collect(live_desk.resources, HOURLY, day, attempts_of="run")
    assert (done.count("stored"), done.count("resumed")) == (1, 1)
    assert len(market.simulator.requests) == before + 1


def test_a_wait_is_one_line_of_the_runs_log(live_desk: Desk, market: Running) -> None:
    market.simulator.fail("503", match=PRELIM, retry_after="4")
    with dg.DagsterInstance.ephemeral() as instance:
        done = run_feeds(live_desk, "isone_daily", DAY, {HOURLY.key: ["prelim_day"]}, instance)
        assert done.success
        lines = [entry.user_message for entry in instance.all_logs(done.run_id)]
    waits = [line for line in lines if "next request in" in line]
    (wait,) = waits
    assert re.fullmatch(r"paused after a 429 or Retry-After: next request in [34] s", wait)
    assert lines[lines.index(wait) + 1].startswith("asking ")
