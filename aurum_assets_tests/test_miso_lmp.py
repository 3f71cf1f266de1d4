"""MISO's consolidated prices: three tables of one answer, and one energy for all nodes of a block.

Numbers are checked by hand, against what MISO's display showed on 27 July 2026 where noted.
"""

import datetime as dt
import json
from typing import Any

import pytest

from aurum_assets.ingest.day import bring
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators.miso.lmp import MISO_DA_LMP, MISO_RT_HOURLY_LMP, MISO_RT_LMP
from aurum_assets.operators.miso.stamps import block_day
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Brought, Desk, utc
from aurum_assets_tests.recordings import FETCHED_AT, recording

ALL = (MISO_RT_LMP, MISO_RT_HOURLY_LMP, MISO_DA_LMP)
Json = dict[str, Any]


def ordinary() -> Json:
    answer: Json = json.loads(recording(MISO_RT_LMP.key, "live", "ordinary").body)
    return answer


def brought(desk: Desk, dataset: Dataset, answer: Json) -> Brought:
    return desk.bring(dataset, json.dumps(answer).encode(), at=FETCHED_AT)


def moved(block: str, node: int, **values: str) -> Json:
    answer = ordinary()
    answer["LMPData"][block]["PricingNode"][node] |= values
    return answer


@pytest.mark.parametrize(
    ("ref", "at", "day"),
    [
        ("27-Jul-2026 - Interval 08:15 EST", "08:15", "2026-07-27"),
        ("27-Jul-2026 - Interval 08:15 EST", "HE 8", "2026-07-27"),
        ("28-Jul-2026 - Interval 00:05 EST", "HE 24", "2026-07-27"),
        ("28-Jul-2026 - Interval 00:00 EST", "23:55", "2026-07-27"),
        ("28-Jul-2026 - Interval 00:05 EST", "HE 1", "2026-07-28"),
        ("27-Jul-2026 - Interval 23:55 EST", "HE 24", "2026-07-27"),
        ("27-Jul-2026 - Interval 23:55 EST", "HE 1", "2026-07-28"),
        ("1-Mar-2024 - Interval 00:05 EST", "HE 24", "2024-02-29"),
        ("27-Jul-2026", "HE 9", "2026-07-27"),
        ("27-Jul-2026 - Interval 08:15 EST", "HE 25", None),
        ("27-Jul-2026 - Interval 08:15 EST", "HE 0", None),
        ("27-Jul-2026 - Interval 08:15 EST", "24:00", None),
        ("27-Jul-2026 - Interval 08:15 EST", None, None),
        ("31-Feb-2026 - Interval 08:15 EST", "08:15", None),
        ("no date", "08:15", None),
    ],
)
def test_a_blocks_day_is_the_one_that_brings_it_nearest_to_the_answers(
    ref: str, at: str | None, day: str | None
) -> None:
    assert block_day(ref, at) == day


def test_a_block_that_names_no_interval_is_refused_with_the_texts(desk: Desk) -> None:
    answer = ordinary()
    answer["LMPData"]["FiveMinLMP"]["HourAndMin"] = "HE 31"
    done = brought(desk, MISO_RT_LMP, answer).done
    (reason,) = done.rejected
    assert "the_block_says_when" in reason
    assert "'HE 31' name no interval" in reason
    other = brought(desk, MISO_DA_LMP, answer).done
    assert (len(other.rows), other.rejected) == (4, [])


@pytest.mark.parametrize(
    ("block", "left"), [("DayAheadExAnteLMP", "ex_post"), ("DayAheadExPostLMP", "ex_ante")]
)
def test_a_day_ahead_run_that_names_no_interval_is_quarantined_and_the_other_enters(
    desk: Desk, block: str, left: str
) -> None:
    answer = ordinary()
    answer["LMPData"][block]["HourAndMin"] = "HE 08"
    done = brought(desk, MISO_DA_LMP, answer).done
    assert done.rows["market_run"].to_list() == [left, left]
    assert (done.quarantined, done.rejected) == (2, [])
    kept_out = desk.resources.lake.read(QUARANTINE)
    assert kept_out["reason"].str.contains("the_block_says_when").all()
    assert kept_out["reason"].str.contains("HE 08").all()


@pytest.mark.parametrize("lmp", ["21.08", "21.06", "21.0700001", "210.7"])
def test_a_node_whose_energy_is_not_that_of_the_block_is_quarantined(desk: Desk, lmp: str) -> None:
    done = brought(desk, MISO_RT_LMP, moved("FiveMinLMP", 0, LMP=lmp)).done
    assert done.rows["location"].to_list() == ["ARKANSAS.HUB", "PJMC"]
    assert done.rows["energy"].to_list() == [29.96, 29.96]
    assert done.quarantined == 1


def test_the_energy_rule_is_quiet_where_all_components_move_together(desk: Desk) -> None:
    done = brought(desk, MISO_RT_LMP, moved("FiveMinLMP", 0, LMP="21.08", MCC="-6.55")).done
    assert (len(done.rows), done.quarantined) == (3, 0)


@pytest.mark.parametrize(("lmp", "kept"), [("31.09", True), ("31.15", True), ("31.16", False)])
def test_hourly_means_may_differ_by_what_rounding_explains(
    desk: Desk, lmp: str, *, kept: bool
) -> None:
    """MISO's answer of 27 July gives 40.08 at one node and 40.07 at the other."""
    answer = moved("HourlyIntegratedLMP", 0, LMP=lmp)
    answer["LMPData"]["HourlyIntegratedLMP"]["PricingNode"][1]["LMP"] = "24.02"  # 40.08, as PJMC
    done = brought(desk, MISO_RT_HOURLY_LMP, answer).done
    assert (len(done.rows), done.quarantined) == ((3, 0) if kept else (2, 1))


def test_ex_ante_and_ex_post_have_an_energy_each_and_stand_side_by_side(desk: Desk) -> None:
    done = brought(desk, MISO_DA_LMP, moved("DayAheadExPostLMP", 1, LMP="99.99")).done
    found = done.rows.select("location", "market_run", "energy").rows()
    assert found == [
        ("ARKANSAS.HUB", "ex_ante", 37.76),
        ("MINN.HUB", "ex_ante", 37.76),
        ("MINN.HUB", "ex_post", 38.64),
    ]
    assert done.quarantined == 1


@pytest.mark.parametrize("name", ["LMP", "MLC", "MCC", "SPINMCP"])
def test_a_price_that_is_no_number_is_quarantined_as_it_came(desk: Desk, name: str) -> None:
    done = brought(desk, MISO_RT_LMP, moved("FiveMinLMP", 0, **{name: "n/a"})).done
    assert (len(done.rows), done.quarantined) == (2, 1)


def test_a_reserve_price_that_is_blank_or_absent_is_null_and_keeps_the_lmp(desk: Desk) -> None:
    answer = moved("FiveMinLMP", 0, SPINMCP="")
    del answer["LMPData"]["FiveMinLMP"]["PricingNode"][0]["SUPPMCP"]
    done = brought(desk, MISO_RT_LMP, answer).done
    row = done.rows.filter(location="MINN.HUB").to_dicts()[0]
    assert (row["spinning_reserve_price"], row["supplemental_reserve_price"]) == (None, None)
    assert (row["lmp"], done.quarantined) == (21.07, 0)


def test_an_answer_without_ex_post_prices_keeps_the_others_and_says_that_it_is_partial(
    desk: Desk,
) -> None:
    answer = ordinary()
    del answer["LMPData"]["DayAheadExPostLMP"]
    found = brought(desk, MISO_DA_LMP, answer)
    assert "it holds no LMPData.DayAheadExPostLMP.PricingNode" in found.archived.partial
    assert found.done.rows["market_run"].unique().to_list() == ["ex_ante"]
    assert not found.verdicts["schema_drift"].passed
    assert brought(desk, MISO_RT_LMP, answer).archived.partial == ""


def test_one_request_brings_three_tables_of_one_answer(live_desk: Desk, market: Running) -> None:
    for dataset in ALL:
        day = dataset.operator.day_of(live_desk.clock())
        assert bring(live_desk.resources, dataset, day).errors == []
    assert len(market.simulator.requests) == 1
    assert live_desk.resources.archive.size("miso_rt_lmp")[0] == 1
    rows = [live_desk.rows(dataset) for dataset in ALL]
    assert [len(found) for found in rows] == [3, 3, 6]
    assert len({raw for found in rows for raw in found["raw_sha256"]}) == 1
    starts = [found["interval_start"].unique().to_list() for found in rows]
    assert starts == [
        [utc("2026-07-21T15:55:00Z")],  # out a minute after its beginning: at 16:00Z the one before
        [utc("2026-07-21T14:00:00Z")],
        [utc("2026-07-21T15:00:00Z")],
    ]


def test_after_midnight_the_last_hour_goes_to_its_own_day(live_desk: Desk, market: Running) -> None:
    live_desk.clock.set(utc("2026-07-21T05:03:00Z"))  # 00:03 EST
    for dataset in ALL:
        bring(live_desk.resources, dataset, dataset.day("2026-07-21"))
    assert len(market.simulator.requests) == 1
    days = [live_desk.rows(dataset)["operating_day"].unique().to_list() for dataset in ALL]
    today, yesterday = dt.date(2026, 7, 21), dt.date(2026, 7, 20)
    assert days == [[today], [yesterday], [today]]


@pytest.mark.parametrize("dataset", ALL, ids=lambda d: d.key)
def test_a_simulated_answer_keeps_every_rule(live_desk: Desk, dataset: Dataset) -> None:
    for hour in (1, 7, 23):
        live_desk.clock.set(utc(f"2026-07-21T{hour:02d}:32:00-05:00"))
        day = dataset.operator.day_of(live_desk.clock())
        outcome = bring(live_desk.resources, dataset, day)
        assert outcome.errors == []
        assert [done.quarantined for done in outcome.normalized] == [0]
        assert [done.drift for done in outcome.normalized] == [()]
