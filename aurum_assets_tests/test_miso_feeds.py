"""MISO's ex-post and ex-ante prices, interchange, constraints and ancillary prices.

Stamps are EST, and an operating day runs from 05:00Z to 05:00Z all year. Numbers are checked by
hand.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.ingest.day import bring
from aurum_assets.ingest.gaps import find_gaps, gap_of
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import ConfigError, SourceRefused
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators import DATASETS
from aurum_assets.operators.miso.ancillary import MISO_ANCILLARY_PRICES
from aurum_assets.operators.miso.constraints import MISO_CONSTRAINTS
from aurum_assets.operators.miso.ex_ante import MISO_EX_ANTE_LMP
from aurum_assets.operators.miso.expost import MISO_EXPOST_LMP
from aurum_assets.operators.miso.interchange import MISO_INTERCHANGE, NEIGHBOURS
from aurum_assets.operators.miso.stamps import stamp_days
from aurum_assets.resources.archive import Rejection
from aurum_assets.resources.configuration import Configuration, load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.miso import constraints as simulated
from aurum_assets.simulator.miso.displays import local, ref_id
from aurum_assets.simulator.miso.interchange import instances
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Brought, Desk, utc
from aurum_assets_tests.recordings import recording

ALL = (
    MISO_EXPOST_LMP,
    MISO_EX_ANTE_LMP,
    MISO_INTERCHANGE,
    MISO_CONSTRAINTS,
    MISO_ANCILLARY_PRICES,
)
SHOWN_ONCE = (MISO_EX_ANTE_LMP, MISO_CONSTRAINTS, MISO_ANCILLARY_PRICES)
Json = dict[str, Any]
TODAY, YESTERDAY = "2026-07-21", "2026-07-20"
FIVE = dt.timedelta(minutes=5)


def ordinary(dataset: Dataset) -> Json:
    answer: Json = json.loads(recording(dataset.key, "live", "ordinary").body)
    return answer


def brought(desk: Desk, dataset: Dataset, answer: Json) -> Brought:
    return desk.bring(dataset, json.dumps(answer).encode())


def reasons(desk: Desk) -> list[str]:
    found: list[str] = desk.resources.lake.read(QUARANTINE)["reason"].to_list()
    return found


def tuned(desk: Desk, dataset: Dataset, **values: Any) -> Desk:  # noqa: ANN401  those of the config
    """``desk`` with another configuration of ``dataset``."""
    configuration = desk.resources.configuration
    own = replace(configuration.datasets[dataset.key], **values)
    changed = replace(configuration, datasets={**configuration.datasets, dataset.key: own})
    return replace(desk, resources=replace(desk.resources, configuration=changed))


# --- the energy of an interval -------------------------------------------------------------------


@pytest.mark.parametrize("lmp", ["21.08", "21.06", "21.0700001", "210.7"])
def test_an_ex_post_node_whose_energy_is_not_that_of_its_interval_is_quarantined(
    desk: Desk, lmp: str
) -> None:
    answer = ordinary(MISO_EXPOST_LMP)
    answer["data"][2][2] = lmp  # MINN.HUB at 08:15
    done = brought(desk, MISO_EXPOST_LMP, answer).done
    found = done.rows.select("location", "energy").rows()
    assert found == [("MINN.HUB", 28.5), ("EES.KRBYVLE.AZ", 29.96), ("PJMC", 29.96)]
    (reason,) = reasons(desk)
    assert "energy_is_that_of_the_block_exactly" in reason


def test_intervals_of_one_ex_post_answer_have_an_energy_each(desk: Desk) -> None:
    found = brought(desk, MISO_EXPOST_LMP, ordinary(MISO_EXPOST_LMP))
    assert found.done.quarantined == 0
    assert found.verdicts["lmp_arithmetic"].passed
    energies = found.done.rows.group_by("interval_start").agg(pl.col("energy").unique())
    assert sorted(energies["energy"].to_list()) == [[28.5], [29.96]]


@pytest.mark.parametrize(("lmp", "kept"), [("22.22", 3), ("22.23", 2), ("22.21", 2)])
def test_a_hub_whose_ex_ante_energy_is_another_is_quarantined(
    desk: Desk, lmp: str, kept: int
) -> None:
    answer = ordinary(MISO_EX_ANTE_LMP)
    answer["LMPData"]["ExAnteLMP"]["Hub"][1]["LMP"] = lmp
    done = brought(desk, MISO_EX_ANTE_LMP, answer).done
    assert (len(done.rows), done.quarantined) == (kept, 3 - kept)
    assert set(done.rows["energy"]) == {30.06}


def test_an_ex_ante_answer_that_names_no_interval_is_refused_with_the_texts(desk: Desk) -> None:
    answer = ordinary(MISO_EX_ANTE_LMP)
    answer["LMPData"]["ExAnteLMP"]["HourAndMin"] = "25:15"
    (reason,) = brought(desk, MISO_EX_ANTE_LMP, answer).done.rejected
    assert "'25:15' name no interval" in reason


# --- the table in JSON ---------------------------------------------------------------------------


def test_an_ex_post_table_without_its_prices_says_which_columns_are_gone(desk: Desk) -> None:
    """As the captured answer is, which was cut to its first two columns."""
    answer = {"headers": ["INTERVAL", "CPNODE"], "data": [["2026-07-20T08:15:00", "PJMC"]]}
    found = brought(desk, MISO_EXPOST_LMP, answer)
    assert found.done.rows.is_empty()
    assert "field LMP (string) is gone" in found.verdicts["schema_drift"].reason
    assert "Object missing required field `LMP`" in reasons(desk)[0]


@pytest.mark.parametrize(
    ("locations", "kept"),
    [
        (("*.HUB",), {"MINN.HUB"}),
        (("PJMC", "EES.*"), {"PJMC", "EES.KRBYVLE.AZ"}),
        (("PJM",), set()),
        ((), {"MINN.HUB", "PJMC", "EES.KRBYVLE.AZ"}),
    ],
)
def test_only_rows_of_the_configured_locations_are_kept(
    desk: Desk, locations: tuple[str, ...], kept: set[str]
) -> None:
    found = brought(
        tuned(desk, MISO_EXPOST_LMP, locations=locations),
        MISO_EXPOST_LMP,
        ordinary(MISO_EXPOST_LMP),
    )
    assert set(found.done.rows["location"]) == kept
    assert set(found.done.rows["energy"]) <= {28.5, 29.96}  # that of all nodes
    assert found.done.quarantined == 0


def test_a_row_that_is_broken_is_quarantined_as_received_among_those_that_are_not_wanted(
    desk: Desk,
) -> None:
    answer = ordinary(MISO_EXPOST_LMP)
    answer["data"][2][2] = "n/a"
    done = brought(tuned(desk, MISO_EXPOST_LMP, locations=("*.HUB",)), MISO_EXPOST_LMP, answer).done
    assert (len(done.rows), done.quarantined) == (1, 1)
    (record,) = desk.resources.lake.read(QUARANTINE)["record"]
    assert json.loads(record)["LMP"] == "n/a"


def test_a_replay_after_a_change_of_locations_brings_the_others(desk: Desk) -> None:
    some = tuned(desk, MISO_EXPOST_LMP, locations=("*.HUB",))
    brought(some, MISO_EXPOST_LMP, ordinary(MISO_EXPOST_LMP))
    assert len(desk.rows(MISO_EXPOST_LMP)) == 2
    ingest.replay(desk.resources, MISO_EXPOST_LMP, MISO_EXPOST_LMP.day(YESTERDAY))
    assert len(desk.rows(MISO_EXPOST_LMP)) == 4


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"keeps_days": 1', '"keeps_days": 0', "expected 1 or more"),
        ('"asks": "day", "cadence": "backfill", "offset_days": -1, "keeps_days": 1',
         '"asks": "now", "cadence": "backfill", "keeps_days": 1', "of a feed that asks for a day"),
        ('"key": "miso_interchange",', '"key": "miso_interchange", "locations": ["PJM"],',
         "its table has no location"),
    ],
)  # fmt: skip
def test_config_that_could_never_work_is_refused(
    tmp_path: Any,  # noqa: ANN401  a path
    old: str,
    new: str,
    sentence: str,
) -> None:
    for file in (PROJECT / "config").glob("*_ingest_datasets.json"):
        text = file.read_text()
        (tmp_path / file.name).write_text(
            text.replace(old, new, 1) if "miso" in file.name else text
        )
    with pytest.raises(ConfigError, match=sentence):
        load_config(tmp_path, DATASETS)


# --- yesterday, asked for whole -------------------------------------------------------------------


def test_a_lost_day_is_repaired_by_one_request_for_yesterday(
    live_desk: Desk, market: Running
) -> None:
    resources = live_desk.resources
    live_desk.clock.set(utc("2026-07-20T10:02:00-05:00"))
    bring(resources, MISO_EXPOST_LMP, MISO_EXPOST_LMP.day(YESTERDAY), feeds=["now"])
    assert len(live_desk.rows(MISO_EXPOST_LMP)) == 3
    live_desk.clock.set(utc("2026-07-21T00:40:00-05:00"))
    (repair,) = find_gaps(resources, [MISO_EXPOST_LMP]).repairs
    assert (repair.gap.day.key, repair.gap.feeds) == (YESTERDAY, ("yesterday",))
    before = len(market.simulator.requests)
    outcome = bring(resources, MISO_EXPOST_LMP, repair.gap.day, feeds=repair.gap.feeds)
    assert outcome.errors == []
    assert len(market.simulator.requests) == before + 1
    rows = live_desk.rows(MISO_EXPOST_LMP, YESTERDAY)
    starts = rows["interval_start"].unique().sort().to_list()
    first = utc("2026-07-20T05:00:00Z")
    assert starts == [first + n * FIVE for n in range(288)]
    assert len(rows) == 3 * 288
    assert gap_of(resources, MISO_EXPOST_LMP, repair.gap.day) is None


@pytest.mark.parametrize("day", ["2026-07-19", "2026-07-21", "2024-02-29"])
def test_the_feed_of_yesterday_asks_for_no_other_day(
    live_desk: Desk, market: Running, day: str
) -> None:
    outcome = bring(
        live_desk.resources, MISO_EXPOST_LMP, MISO_EXPOST_LMP.day(day), feeds=["yesterday"]
    )
    (error,) = outcome.errors
    assert isinstance(error, SourceRefused)
    assert f"asked for {day}, but feed yesterday keeps 1 day up to 2026-07-20" in str(error)
    assert market.simulator.requests == []
    assert outcome.ends


def test_a_range_asks_for_yesterday_alone_of_the_days_that_are_over(
    live_desk: Desk, market: Running
) -> None:
    for day in ("2026-07-18", "2026-07-19", YESTERDAY):
        outcome = bring(live_desk.resources, MISO_EXPOST_LMP, MISO_EXPOST_LMP.day(day))
        assert bool(outcome.errors) is (day != YESTERDAY)
    assert len(market.simulator.requests) == 1
    days = live_desk.rows(MISO_EXPOST_LMP)["operating_day"].unique().to_list()
    assert days == [dt.date(2026, 7, 20)]


def test_today_so_far_fills_what_was_lost_today(live_desk: Desk, market: Running) -> None:
    day = MISO_EXPOST_LMP.day(TODAY)
    outcome = bring(live_desk.resources, MISO_EXPOST_LMP, day)  # 11:00 EST; every feed that has it
    assert outcome.errors == []
    asked = [request.path for request in market.simulator.requests]
    assert [path.rpartition("/")[2] for path in asked] == ["Current", "Rolling"]
    rows = live_desk.rows(MISO_EXPOST_LMP, TODAY)
    assert rows["interval_start"].n_unique() == 11 * 12  # 00:00 to 10:55


# --- interchange: two days in one answer ---------------------------------------------------------


def nsi(desk: Desk, at: str, count: int = 37 * 12) -> Json:
    """The simulated answer at an instant (EST)."""
    now = utc(f"{at}-05:00")
    desk.clock.set(now)
    day = MISO_INTERCHANGE.operator.day_of(now)
    mark = (now - day.start) // FIVE
    return {
        "instance": instances(0, day, mark, count),
        "RefId": ref_id(local(day, mark)),
        "MktDay": None,
    }


def take(desk: Desk, answer: Json) -> dict[str, Any]:
    """Archive ``answer`` and normalize all of its days: the days, and what they hold now."""
    archived = desk.take(MISO_INTERCHANGE, json.dumps(answer).encode(), endpoint="nsi_five_minute")
    for day in archived.days:
        ingest.normalize(desk.resources, MISO_INTERCHANGE, MISO_INTERCHANGE.day(day))
    held = desk.rows(MISO_INTERCHANGE).group_by("operating_day").len().sort("operating_day")
    return {"days": archived.days, "held": {str(d): n // 10 for d, n in held.rows()}}


def test_rows_of_yesterday_in_todays_answer_go_to_yesterday(desk: Desk) -> None:
    found = take(desk, nsi(desk, "2026-07-21T10:00:00"))  # back to 20 July, 21:05 less a day
    assert found["days"] == (TODAY, "2026-07-19", YESTERDAY)
    assert found["held"] == {"2026-07-19": 35, YESTERDAY: 288, TODAY: 121}
    rows = desk.rows(MISO_INTERCHANGE)
    starts = rows["interval_start"].unique().sort()
    assert starts.diff().drop_nulls().unique().to_list() == [FIVE]
    by_day = (
        rows.group_by("operating_day").agg(pl.col("interval_start").min()).sort("operating_day")
    )
    assert by_day["interval_start"].to_list()[1:] == [
        utc("2026-07-20T05:00:00Z"),
        utc("2026-07-21T05:00:00Z"),
    ]
    assert desk.resources.lake.read(QUARANTINE).is_empty()


def test_a_stamp_of_midnight_is_the_end_of_yesterdays_last_interval(desk: Desk) -> None:
    answer = nsi(desk, "2026-07-21T00:00:00", count=2)
    assert [one["timestamp"][11:] for one in answer["instance"]] == ["00:00:00", "00:05:00"]
    found = take(desk, answer)
    assert found["held"] == {YESTERDAY: 1, TODAY: 1}
    ends = desk.rows(MISO_INTERCHANGE, YESTERDAY)["interval_end"].unique().to_list()
    assert ends == [utc("2026-07-21T00:00:00-05:00")]


def test_an_outage_of_a_night_is_filled_by_the_next_answer(desk: Desk) -> None:
    take(desk, nsi(desk, "2026-07-20T20:00:00"))
    found = take(desk, nsi(desk, "2026-07-21T07:00:00"))
    assert found["days"] == (TODAY, YESTERDAY)
    assert found["held"][YESTERDAY] == 288
    assert found["held"][TODAY] == 85


def test_what_an_older_day_holds_already_is_not_archived_there_again(desk: Desk) -> None:
    take(desk, nsi(desk, "2026-07-21T10:00:00"))
    for minute in (5, 10, 15):  # the oldest intervals fall out, nothing of yesterday is new
        found = take(desk, nsi(desk, f"2026-07-21T10:{minute:02d}:00"))
        assert found["days"] == (TODAY,)
    assert found["held"] == {"2026-07-19": 35, YESTERDAY: 288, TODAY: 124}
    sizes = [
        len(desk.resources.archive.identifiers(MISO_INTERCHANGE.archive_name, day))
        for day in ("2026-07-19", YESTERDAY, TODAY)
    ]
    assert sizes == [1, 1, 4]


def test_a_correction_of_yesterday_and_its_reversal_are_both_archived_there(desk: Desk) -> None:
    first = nsi(desk, "2026-07-21T10:00:00")
    take(desk, first)
    last = [record for record in first["instance"] if record["timestamp"] <= "2026-07-21 00:00:00"][
        -1
    ]
    value = float(last["PJM"])
    for minute, corrected in ((5, "-1234"), (10, last["PJM"])):
        answer = nsi(desk, f"2026-07-21T10:{minute:02d}:00")
        for record in answer["instance"]:
            if record["timestamp"] == last["timestamp"]:
                record["PJM"] = corrected
        assert take(desk, answer)["days"] == (TODAY, YESTERDAY)
        rows = desk.rows(MISO_INTERCHANGE, YESTERDAY).filter(
            pl.col("interval_start") == utc("2026-07-21T04:55:00Z"), neighbour="PJM"
        )
        assert rows["interchange"].to_list() == [float(corrected)]
    history = desk.resources.lake.read(MISO_INTERCHANGE.table.history)
    assert history["interchange"].to_list() == [value, -1234.0]


def test_a_replay_of_each_day_gives_the_rows_that_collecting_gave(desk: Desk) -> None:
    for at in ("2026-07-20T20:00:00", "2026-07-21T00:03:00", "2026-07-21T07:00:00"):
        take(desk, nsi(desk, at))
    before = desk.rows(MISO_INTERCHANGE).sort("operating_day", *MISO_INTERCHANGE.table.key)
    for day in before["operating_day"].unique().sort():
        ingest.replay(desk.resources, MISO_INTERCHANGE, MISO_INTERCHANGE.day(str(day)))
    after = desk.rows(MISO_INTERCHANGE).sort("operating_day", *MISO_INTERCHANGE.table.key)
    assert after.equals(before)


def test_an_answer_that_changed_in_its_ref_id_alone_is_a_duplicate(desk: Desk) -> None:
    answer = nsi(desk, "2026-07-21T10:00:00")
    take(desk, answer)
    body = json.dumps(answer | {"RefId": "21-Jul-2026 - Interval 10:01 EST"}).encode()
    later = desk.clock() + dt.timedelta(minutes=1)
    archived = desk.take(MISO_INTERCHANGE, body, endpoint="nsi_five_minute", at=later)
    assert (archived.outcome, archived.also) == ("duplicate", ())


def test_a_stamp_that_is_not_believable_is_quarantined_and_makes_no_day(desk: Desk) -> None:
    answer = nsi(desk, "2026-07-21T10:00:00", count=3)
    answer["instance"][0]["timestamp"] = "2036-07-21 09:50:00"
    answer["instance"][1]["timestamp"] = "2026-07-21 24:00:00"
    found = take(desk, answer)
    assert (found["days"], found["held"]) == ((TODAY,), {TODAY: 1})
    why = " ".join(reasons(desk))
    assert "interval_lies_in_its_operating_day" in why
    assert "interval_start_is_present" in why


def test_a_number_that_is_none_is_quarantined_and_a_blank_is_null(desk: Desk) -> None:
    answer = nsi(desk, "2026-07-21T10:00:00", count=1)
    answer["instance"][0] |= {"TVA": "n/a", "SPA": ""}
    archived = desk.bring(MISO_INTERCHANGE, json.dumps(answer).encode())
    rows = archived.done.rows
    assert set(NEIGHBOURS) - set(rows["neighbour"]) == {"TVA"}
    assert rows.filter(neighbour="SPA")["interchange"].to_list() == [None]
    assert archived.done.quarantined == 1


def test_loading_a_file_of_several_days_brings_all_of_them(desk: Desk, tmp_path: Any) -> None:  # noqa: ANN401
    file = tmp_path / "nsi.json"
    file.write_text(json.dumps(nsi(desk, "2026-07-21T10:00:00")))
    done = ingest.load(desk.resources, MISO_INTERCHANGE, [file], fetched_at=desk.clock())
    assert [normalized.day.key for normalized in done.days] == ["2026-07-19", YESTERDAY, TODAY]
    assert done.rows == 37 * 12 * len(NEIGHBOURS)
    again = ingest.load(desk.resources, MISO_INTERCHANGE, [file], fetched_at=desk.clock())
    assert (again.count("duplicate"), again.rows) == (1, 0)


def test_a_rejected_answer_of_several_days_is_read_again_into_all_of_them(desk: Desk) -> None:
    body = json.dumps(nsi(desk, "2026-07-21T10:00:00")).encode()
    rejection = Rejection(
        MISO_INTERCHANGE.key,
        "nsi_five_minute",
        desk.clock(),
        hashlib.sha256(body).hexdigest(),
        reason="a parser's error that was mended since",
        dialect="live",
    )
    desk.resources.archive.reject(rejection, body)
    found = ingest.requeue(desk.resources, MISO_INTERCHANGE)
    assert {one.day: one.rows for one in found} == {
        "2026-07-19": 350,
        YESTERDAY: 2880,
        TODAY: 1210,
    }
    assert not any(one.left for one in found)
    assert ingest.requeue(desk.resources, MISO_INTERCHANGE) == []


# --- constraints ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "placeholder",
    [
        {"Price": "0", "OVERRIDE": "0", "CURVETYPE": "0", "BP1": "0", "PC1": "0", "BP2": "0"},
        {"Price": "None"},
    ],
)
def test_an_interval_in_which_nothing_binds_is_a_row_of_nulls_and_no_gap(
    desk: Desk, placeholder: Json
) -> None:
    record = {"Name": "None", "Period": "2026-07-21T00:05:00", **placeholder}
    answer = {"RefId": "21-Jul-2026 - Interval 00:05 EST", "Constraint": [record]}
    desk.clock.set(utc("2026-07-21T00:27:00-05:00"))
    found = brought(desk, MISO_CONSTRAINTS, answer)
    (row,) = found.done.rows.drop("raw_sha256", "fetched_at", "source_timezone").to_dicts()
    assert row.pop("operating_day") == dt.date(2026, 7, 21)
    assert row.pop("interval_start") == utc("2026-07-21T05:00:00Z")
    assert row.pop("interval_end") == utc("2026-07-21T05:05:00Z")
    assert row.pop("constraint_name") == "None"
    assert set(row.values()) == {None}
    for name in ("contract", "enums_and_ranges", "completeness", "empty_answer", "schema_drift"):
        assert found.verdicts[name].passed, found.verdicts[name].reason


@pytest.mark.parametrize("price", ["None", "", "12,5"])
def test_a_constraint_that_binds_without_a_price_is_quarantined(desk: Desk, price: str) -> None:
    answer = ordinary(MISO_CONSTRAINTS)
    answer["Constraint"][0]["Price"] = price
    done = brought(desk, MISO_CONSTRAINTS, answer).done
    assert (len(done.rows), done.quarantined) == (2, 1)


@pytest.mark.parametrize(
    ("period", "day"),
    [
        ("2026-07-21T00:00:00", "2026-07-20"),
        ("2026-07-21T00:05:00", "2026-07-21"),
        ("2026-08-01T00:00:00", "2026-07-31"),
        ("2027-01-01T00:00:00", "2026-12-31"),
        ("2024-03-01T00:00:00", "2024-02-29"),
        ("2024-03-10T03:00:00", "2024-03-10"),
    ],
)
def test_the_day_of_a_constraint_is_that_of_its_intervals_beginning(
    desk: Desk, period: str, day: str
) -> None:
    desk.clock.set(utc(f"{period}-05:00") + FIVE)
    answer = ordinary(MISO_CONSTRAINTS)
    for record in answer["Constraint"]:
        record["Period"] = period
    found = brought(desk, MISO_CONSTRAINTS, answer)
    assert found.archived.day == day
    assert found.done.quarantined == 0
    assert found.done.rows["interval_end"].unique().to_list() == [utc(f"{period}-05:00")]


def test_the_simulated_constraints_have_quiet_intervals_and_busy_ones() -> None:
    day = MISO_CONSTRAINTS.day(TODAY)
    sizes = [simulated.binding(0, day, mark) for mark in range(288)]
    quiet = [records for records in sizes if records[0]["Name"] == "None"]
    assert 0 < len(quiet) < 288
    assert max(map(len, sizes)) > 4
    assert sizes[287][0]["Period"] == "2026-07-22T00:00:00"


# --- ancillary prices ----------------------------------------------------------------------------


def test_real_time_and_day_ahead_prices_of_a_zone_stand_side_by_side(desk: Desk) -> None:
    rows = brought(desk, MISO_ANCILLARY_PRICES, ordinary(MISO_ANCILLARY_PRICES)).done.rows
    one = rows.filter(reserve_zone_id="1").select("market", "regulation_price", "ramp_down_price")
    assert one.rows() == [("day_ahead", 12.4, 0.0), ("real_time", 8.15, 0.05)]
    lengths = (rows["interval_end"] - rows["interval_start"]).to_list()
    assert lengths == [12 * FIVE, 12 * FIVE, FIVE, FIVE]


@pytest.mark.parametrize(
    ("block", "field"), [("RealTimeMCP", "HourAndMin"), ("DayAheadMCP", "HourEnding")]
)
def test_a_block_that_names_no_interval_takes_no_other_with_it(
    desk: Desk, block: str, field: str
) -> None:
    answer = ordinary(MISO_ANCILLARY_PRICES)
    answer["MCPData"][block][field] = "25"
    done = brought(desk, MISO_ANCILLARY_PRICES, answer).done
    assert (len(done.rows), done.quarantined, done.rejected) == (2, 2, [])
    assert all("the_block_says_when" in reason for reason in reasons(desk))


def test_an_hour_of_yesterday_beside_the_first_five_minutes_of_today_goes_to_its_own_day(
    desk: Desk,
) -> None:
    answer = ordinary(MISO_ANCILLARY_PRICES)
    answer["MCPData"]["RefId"] = "21-Jul-2026 - Interval 00:00 EST"
    answer["MCPData"]["RealTimeMCP"]["HourAndMin"] = "00:00"
    answer["MCPData"]["DayAheadMCP"]["HourEnding"] = "24"
    archived = desk.take(MISO_ANCILLARY_PRICES, json.dumps(answer).encode())
    assert archived.days == (TODAY, YESTERDAY)
    for day, market in zip(archived.days, ("real_time", "day_ahead"), strict=True):
        done = ingest.normalize(
            desk.resources, MISO_ANCILLARY_PRICES, MISO_ANCILLARY_PRICES.day(day)
        )
        assert done.rows["market"].unique().to_list() == [market]
        assert done.quarantined == 0


def test_a_price_that_is_no_number_is_quarantined_and_a_blank_one_is_null(desk: Desk) -> None:
    answer = ordinary(MISO_ANCILLARY_PRICES)
    answer["MCPData"]["RealTimeMCP"]["Zone"][0]["GenSpinMCP"] = "n/a"
    answer["MCPData"]["RealTimeMCP"]["Zone"][1]["GenSpinMCP"] = " "
    done = brought(desk, MISO_ANCILLARY_PRICES, answer).done
    assert (len(done.rows), done.quarantined) == (3, 1)
    two = done.rows.filter(reserve_zone_id="2", market="real_time")
    assert two["spinning_reserve_price"].to_list() == [None]


# --- midnights, and a whole day of ticks ---------------------------------------------------------


def tick(desk: Desk, at: str, datasets: Iterable[Dataset]) -> None:
    desk.clock.set(utc(at))
    for dataset in datasets:
        day = dataset.operator.day_of(desk.clock())
        outcome = bring(desk.resources, dataset, day, feeds=["now"])
        assert not outcome.normalize_errors
        assert outcome.expected or not outcome.errors, outcome.errors


@pytest.mark.parametrize(
    ("midnight", "before"),
    [
        ("2027-01-01T05:00:00Z", "2026-12-31"),
        ("2024-03-11T05:00:00Z", "2024-03-10"),
        ("2024-11-03T05:00:00Z", "2024-11-02"),
    ],
)
def test_no_interval_is_lost_or_doubled_over_midnight(
    live_desk: Desk, midnight: str, before: str
) -> None:
    at = utc(midnight)
    for minutes in (-8, -3, 2, 7, 12):
        tick(live_desk, (at + dt.timedelta(minutes=minutes)).isoformat(), ALL)
    for dataset in ALL:
        rows = live_desk.rows(dataset)
        if "market" in rows.columns:
            rows = rows.filter(market="real_time")
        starts = rows["interval_start"].unique().sort()
        assert starts.diff().drop_nulls().unique().to_list() == [FIVE], dataset.key
        end = at + 2 * FIVE if dataset is not MISO_CONSTRAINTS else at + FIVE
        assert starts.max() == end, dataset.key
        days = rows.with_columns(before=pl.col("interval_start") < at).select(
            "before", "operating_day"
        )
        first = dt.date.fromisoformat(before)
        assert set(days.filter("before")["operating_day"]) <= {first, first - dt.timedelta(days=1)}
        assert set(days.filter(~pl.col("before"))["operating_day"]) == {
            first + dt.timedelta(days=1)
        }
        assert not rows.select(
            pl.struct("operating_day", *dataset.table.key).is_duplicated().any()
        ).item()
    assert live_desk.resources.lake.read(QUARANTINE).is_empty()


@pytest.mark.parametrize("dataset", ALL, ids=lambda d: d.key)
def test_a_simulated_answer_keeps_every_rule(live_desk: Desk, dataset: Dataset) -> None:
    for hour in (1, 7, 23):
        live_desk.clock.set(utc(f"2026-07-21T{hour:02d}:32:00-05:00"))
        day = dataset.operator.day_of(live_desk.clock())
        outcome = bring(live_desk.resources, dataset, day, feeds=["now"])
        assert outcome.errors == []
        for done in outcome.normalized:
            assert (done.quarantined, done.drift) == (0, ())


@pytest.mark.parametrize("dataset", SHOWN_ONCE, ids=lambda d: d.key)
def test_what_is_shown_once_is_never_asked_for_again(dataset: Dataset, live_desk: Desk) -> None:
    tick(live_desk, "2026-07-20T12:02:00-05:00", [dataset])
    live_desk.clock.set(utc("2026-07-21T12:02:00-05:00"))
    assert find_gaps(live_desk.resources, [dataset]).repairs == []


def test_every_display_of_miso_has_a_limit_of_one_request_a_minute(
    configuration: Configuration,
) -> None:
    limits = configuration.operators["miso"].endpoint_limits
    for dataset in ALL:
        for feed in configuration.datasets[dataset.key].feeds:
            for endpoint in feed.endpoints:
                (limit,) = limits[endpoint.name]
                assert (limit.requests, limit.seconds) == (1, 60)


def test_stamps_that_are_none_name_no_day() -> None:
    records = [
        {"at": "2026-07-20 23:55:00"},
        {"at": "soon"},
        {"at": None},
        {},
        {"at": "2026-07-21T00:00:00"},
    ]
    assert stamp_days("at", records, {}) == [YESTERDAY, TODAY]
