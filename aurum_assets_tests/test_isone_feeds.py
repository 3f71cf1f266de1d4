"""New England's feeds by location, without rows, in vintages; and the requests of all."""

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.graph.jobs import asked_by, schedule_groups
from aurum_assets.ingest.day import bring
from aurum_assets.model.checks import checks_of
from aurum_assets.model.clock import FIFTEEN_MINUTES, FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import ConfigError, NotYetPublished
from aurum_assets.model.vintage import newest
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.constraints import ISONE_DA_CONSTRAINTS, ISONE_RT_CONSTRAINTS
from aurum_assets.operators.isone.demand import ISONE_DA_HOURLY_DEMAND, ISONE_RT_HOURLY_DEMAND
from aurum_assets.operators.isone.interchange import (
    ISONE_EXTERNAL_FLOW,
    ISONE_INTERCHANGE,
    ISONE_INTERCHANGE_15MIN,
)
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load_forecast import (
    ISONE_HOURLY_LOAD_FORECAST,
    ISONE_REGION_LOAD_FORECAST,
)
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.isone.strike_prices import ISONE_DA_STRIKE_PRICES
from aurum_assets.resources.configuration import Configuration, load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.isone.constraints import constraint_records
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Desk, utc
from aurum_assets_tests.recordings import recording

RT, DA = ISONE_RT_HOURLY_DEMAND, ISONE_DA_HOURLY_DEMAND
FORECAST = ISONE_HOURLY_LOAD_FORECAST
SERIES = [
    (FORECAST, HOUR, 1),
    (ISONE_REGION_LOAD_FORECAST, HOUR, 8),
    (RT, HOUR, 8),
    (DA, HOUR, 10),
    (ISONE_INTERCHANGE, HOUR, 7),
    (ISONE_INTERCHANGE_15MIN, FIFTEEN_MINUTES, 7),
    (ISONE_EXTERNAL_FLOW, FIVE_MINUTES, 7),
    (ISONE_DA_STRIKE_PRICES, HOUR, 1),
]
DAYS = ["2025-11-02", "2026-03-08", "2025-12-31", "2026-02-28"]  # 25 h, 23 h, ends of year, month
QUIET, LOUD = "2026-07-15", "2026-07-19"  # simulated days without and with a binding constraint


# --- days ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", DAYS)
@pytest.mark.parametrize(
    ("dataset", "every", "series"), SERIES, ids=[dataset.key for dataset, *_ in SERIES]
)
def test_a_day_has_the_intervals_of_its_calendar_in_order(
    live_desk: Desk, dataset: Dataset, every: dt.timedelta, series: int, key: str
) -> None:
    day = dataset.day(key)
    live_desk.clock.set(day.plus(8).start + 12 * HOUR)
    outcome = bring(live_desk.resources, dataset, day)
    assert outcome.error is None
    (done,) = outcome.normalized
    for verdict in ingest.check(live_desk.resources, done):
        assert verdict.passed, verdict.reason
    rows = live_desk.rows(dataset, key)
    starts = rows["interval_start"].unique().sort()
    assert starts.to_list() == day.marks(every)
    assert (rows["interval_end"] - rows["interval_start"]).unique().to_list() == [every]
    of = next((n for n in ("location_id", "region") if n in rows.columns), None)
    assert rows.select("interval_start", *([of] if of else [])).n_unique() == len(starts) * series


# --- by location ---------------------------------------------------------------------------------


def test_a_day_is_asked_for_location_by_location(live_desk: Desk, market: Running) -> None:
    day = DA.day("2026-07-20")
    outcome = bring(live_desk.resources, DA, day)
    assert outcome.error is None
    asked = [request.path.rpartition("/")[2] for request in market.simulator.requests]
    assert [number.partition(".")[0] for number in asked] == ["32", *map(str, range(4000, 4009))]
    archive = live_desk.resources.archive
    parts = [
        archive.envelope(DA.key, day.key, name).filters
        for name in archive.identifiers(DA.key, day.key)
    ]
    assert sorted(p["location"] for p in parts) == sorted(["32", *map(str, range(4000, 4009))])


def test_a_location_that_failed_is_a_gap_and_is_asked_for_alone(
    live_desk: Desk, market: Running
) -> None:
    day = DA.day("2026-07-20")
    market.simulator.fail("404", match="/location/4003", times=2)  # in each format
    assert bring(live_desk.resources, DA, day).error is not None
    assert len(live_desk.rows(DA)) == 9 * 24
    gap = ingest.gap_of(live_desk.resources, DA, day)
    assert gap is not None
    assert (gap.missing, gap.parts) == (24, {"day": ("4003",)})
    before = len(market.simulator.requests)
    assert bring(live_desk.resources, DA, day, feeds=gap.feeds, parts=gap.parts).error is None
    assert len(market.simulator.requests) == before + 1
    assert ingest.gap_of(live_desk.resources, DA, day) is None


def test_demand_that_is_not_settled_yet_is_no_failure(live_desk: Desk) -> None:
    day = RT.operator.day_of(live_desk.clock()).plus(-3)
    outcome = bring(live_desk.resources, RT, day, feeds=["day"])
    assert isinstance(outcome.error, NotYetPublished)
    assert outcome.expected


def test_the_hubs_demand_may_be_below_zero(desk: Desk) -> None:
    recorded = recording(DA.key, "live", "ordinary")
    assert desk.bring(DA, recorded.body).done.quarantined == 0
    assert desk.rows(DA).filter(location_id="4000")["load"].to_list() == [-98.3, 41.2]


@pytest.mark.parametrize(
    ("feed", "expected"),
    [
        ({"asks": "location"}, "feeds.day.location_ids: expected some, as it asks for: location"),
        ({"asks": "day", "location_ids": ["32"]}, "feeds.day.location_ids: expected none"),
        ({"asks": "day", "span_days": 0}, "feeds.day.span_days: expected 1 or more"),
    ],
)
def test_a_feed_of_wrong_parts_is_refused(
    tmp_path: Path, feed: dict[str, Any], expected: str
) -> None:
    for path in (PROJECT / "config").glob("*_ingest_datasets.json"):
        content = json.loads(path.read_text())
        for entry in content["datasets"]:
            if entry["key"] == ISONE_INTERCHANGE.key:
                entry["feeds"][1] |= feed
        (tmp_path / path.name).write_text(json.dumps(content))
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, DATASETS)
    assert expected in str(caught.value)


# --- without rows --------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "binds"), [(QUIET, False), (LOUD, True)])
def test_the_simulated_days_are_what_they_are_taken_for(key: str, binds: bool) -> None:  # noqa: FBT001  parametrised
    day = ISONE_DA_CONSTRAINTS.day(key)
    assert bool(constraint_records(0, "da", day, range(24))) is binds


@pytest.mark.parametrize("dataset", [ISONE_DA_CONSTRAINTS, ISONE_RT_CONSTRAINTS])
def test_nothing_says_anything_of_a_day_on_which_nothing_binds(
    desk: Desk, dataset: Dataset
) -> None:
    outer = dataset.dialects[0].path[0]
    desk.clock.set(dataset.day(QUIET).plus(3).start)
    brought = desk.bring(dataset, json.dumps({outer: ""}).encode(), asked=QUIET, finality="prelim")
    assert brought.archived.day == QUIET
    assert all(verdict.passed for verdict in brought.verdicts.values())
    assert not {"completeness", "freshness", "volume", "empty_answer"} & set(brought.verdicts)


def test_a_quiet_day_is_a_gap_only_until_it_was_answered(live_desk: Desk) -> None:
    dataset, day = ISONE_DA_CONSTRAINTS, ISONE_DA_CONSTRAINTS.day(QUIET)
    gap = ingest.gap_of(live_desk.resources, dataset, day, stored=False)
    assert gap is not None
    assert gap.lacks == "no answer of day settles it"
    outcome = bring(live_desk.resources, dataset, day, feeds=gap.feeds)
    assert outcome.error is None
    assert len(live_desk.rows(dataset)) == 0
    assert ingest.gap_of(live_desk.resources, dataset, day, stored=False) is None


def test_each_finality_of_a_quiet_day_is_answered_by_its_own_feed(live_desk: Desk) -> None:
    dataset, day = ISONE_RT_CONSTRAINTS, ISONE_RT_CONSTRAINTS.day("2026-07-10")
    bring(live_desk.resources, dataset, day, feeds=["prelim_day"])
    gap = ingest.gap_of(live_desk.resources, dataset, day, stored=False)
    assert gap is not None
    assert gap.feeds == ("final_day",)


def constraints(dataset: Dataset, *records: dict[str, Any]) -> bytes:
    """An answer with these records of 17:15 on 2026-07-20, or with none."""
    outer, inner = dataset.dialects[0].path
    begin = {"BeginDate": "2026-07-20T17:15:00.000-04:00", "ConstraintName": "SHFHGE 115 A"}
    return json.dumps({outer: {inner: [begin | r for r in records]} if records else {}}).encode()


@pytest.mark.parametrize(
    ("dataset", "endpoint", "finality", "early", "settled"),
    [
        (
            ISONE_DA_CONSTRAINTS,
            "dayaheadconstraints_day",
            None,
            "2026-07-19T14:30:00-04:00",
            "2026-07-20T00:00:00-04:00",
        ),
        (
            ISONE_RT_CONSTRAINTS,
            "fiveminuteconstraints_final_day",
            "final",
            "2026-07-21T06:30:00-04:00",
            "2026-07-26T00:00:00-04:00",
        ),
    ],
    ids=["ahead", "final"],
)
def test_an_empty_answer_that_came_early_settles_nothing_and_is_asked_for_again(
    desk: Desk, dataset: Dataset, endpoint: str, finality: str | None, early: str, settled: str
) -> None:
    day, bound = dataset.day("2026-07-20"), constraints(dataset, {"MarginalValue": -4})

    def answer(body: bytes, at: str) -> None:
        desk.clock.set(utc(at))
        desk.bring(dataset, body, endpoint=endpoint, finality=finality, asked=day.key)

    def is_a_gap() -> bool:
        desk.clock.set(utc(settled))
        gap = ingest.gap_of(desk.resources, dataset, day, stored=False)
        return gap is not None and any(f in gap.feeds for f in ("day", "final_day"))

    answer(constraints(dataset), early)
    assert is_a_gap()
    for _ in range(3):
        answer(constraints(dataset), settled)
        assert not is_a_gap()
    kept = desk.resources.archive.identifiers(dataset.archive_name, day.key)
    assert len(kept) == 2, "an equal answer is kept once more, as evidence, and no third time"
    desk.resources.archive.store.remove(
        f"sourcing/{dataset.archive_name}/year=2026/month=07/day=20/{kept[1]}.json.gz"
    )
    assert is_a_gap()
    answer(bound, early.replace(":30:", ":45:"))
    assert not is_a_gap(), "an answer with records is out, however early it came"


def test_a_day_that_is_open_is_settled_by_no_answer(desk: Desk) -> None:
    dataset, day = ISONE_RT_CONSTRAINTS, ISONE_RT_CONSTRAINTS.day("2026-07-20")
    desk.clock.set(utc("2026-07-20T18:00:00-04:00"))
    body = constraints(dataset, {"MarginalValue": -4})
    desk.bring(dataset, body, endpoint="fiveminuteconstraints_prelim_day", asked=day.key)
    desk.clock.set(day.end)
    gap = ingest.gap_of(desk.resources, dataset, day)
    assert gap is not None
    assert gap.feeds == ("prelim_day",)


def test_a_day_that_was_asked_for_too_early_is_repaired(live_desk: Desk) -> None:
    dataset, day = ISONE_DA_CONSTRAINTS, ISONE_DA_CONSTRAINTS.day(LOUD)
    live_desk.clock.set(day.start - 9 * HOUR)
    where = {"endpoint": "dayaheadconstraints_day", "asked": LOUD}
    live_desk.bring(dataset, constraints(dataset), **where)
    live_desk.clock.set(day.start)
    (repair,) = ingest.find_gaps(live_desk.resources, [dataset]).repairs
    assert repair.gap.day.key == LOUD
    assert bring(live_desk.resources, dataset, day, feeds=repair.gap.feeds).error is None
    assert len(live_desk.rows(dataset)) > 0


@pytest.mark.parametrize("name", ["", "  ", "NULL", " null ", None])
def test_a_blank_contingency_is_none(desk: Desk, name: str | None) -> None:
    records: list[dict[str, Any]] = [{"ContingencyName": name}, {"ContingencyName": " L389 "}]
    brought = desk.bring(ISONE_RT_CONSTRAINTS, constraints(ISONE_RT_CONSTRAINTS, *records))
    assert brought.done.quarantined == 0
    assert desk.rows(ISONE_RT_CONSTRAINTS)["contingency"].to_list() == ["", "L389"]


def test_records_of_a_constraint_without_contingency_are_all_kept_and_corrected(
    desk: Desk,
) -> None:
    dataset = ISONE_RT_CONSTRAINTS
    answers: list[list[float | None]] = [
        [-3.5, -41.0, -3.5],
        [-41.0, -3.5],
        [-41.0, -3.25],
        [None, -41.0],
    ]
    seen, superseded = [], []
    for n, values in enumerate(answers):
        records: list[dict[str, Any]] = [{"MarginalValue": value} for value in values]
        at = desk.clock() + n * HOUR
        brought = desk.bring(dataset, constraints(dataset, *records), finality="final", at=at)
        assert brought.done.quarantined == 0
        seen.append(desk.rows(dataset).select("ordinal", "marginal_value").rows())
        superseded.append(len(desk.resources.lake.read(dataset.table.history)))
    first = [(1, -41.0), (2, -3.5)]
    assert seen == [first, first, [(1, -41.0), (2, -3.25)], [(1, -41.0), (2, None)]]
    assert superseded == [0, 0, 1, 2], "another order of the same records changes nothing"


def test_two_values_for_one_named_contingency_contradict_each_other(desk: Desk) -> None:
    named: dict[str, Any] = {"ContingencyName": "L389"}
    records = [named | {"MarginalValue": value} for value in (-3.5, -41)]
    brought = desk.bring(ISONE_RT_CONSTRAINTS, constraints(ISONE_RT_CONSTRAINTS, *records))
    assert (brought.done.quarantined, len(desk.rows(ISONE_RT_CONSTRAINTS))) == (2, 0)


def test_best_has_no_preliminary_constraint_of_a_day_that_has_a_final_one(desk: Desk) -> None:
    dataset = ISONE_RT_CONSTRAINTS
    prelim: list[dict[str, Any]] = [
        {"ContingencyName": "L389", "MarginalValue": -3.5},
        {"ConstraintName": "MIS", "ContingencyName": "Interface", "MarginalValue": -9},
        {"ConstraintName": "KEENE_RD-1", "BeginDate": "2026-07-20T17:20:00.000-04:00"},
    ]
    desk.bring(dataset, constraints(dataset, *prelim), finality="prelim")
    another = constraints(dataset, *prelim).replace(b"07-20T", b"07-19T")
    desk.bring(dataset, another, finality="prelim")
    desk.bring(dataset, constraints(dataset, {"MarginalValue": -3.25}), finality="final")
    best = newest(dataset.table, desk.rows(dataset).lazy()).collect()
    assert len(desk.rows(dataset)) == 7
    found = Counter(best.select(pl.col("operating_day").dt.day(), "finality").iter_rows())
    assert found == {(19, "prelim"): 3, (20, "final"): 1}


def test_a_constraint_that_its_final_answer_withdrew_is_no_warning(desk: Desk) -> None:
    config = desk.resources.config(ISONE_RT_CONSTRAINTS)
    assert "prelim_against_final" not in checks_of(ISONE_RT_CONSTRAINTS.table, config)
    prices = desk.resources.config(ISONE_RT_LMP)
    assert "prelim_against_final" in checks_of(ISONE_RT_LMP.table, prices)


def test_one_constraint_binds_for_several_contingencies(desk: Desk) -> None:
    recorded = recording(ISONE_DA_CONSTRAINTS.key, "live", "ordinary")
    desk.bring(ISONE_DA_CONSTRAINTS, recorded.body)
    rows = desk.rows(ISONE_DA_CONSTRAINTS).filter(constraint_name="SHFHGE 115 A")
    assert rows.select("contingency", "marginal_value").rows() == [("L389", -3.5), ("L391", -41.0)]


# --- vintages ------------------------------------------------------------------------------------


def test_every_forecast_of_an_hour_is_kept(live_desk: Desk) -> None:
    day = FORECAST.day("2026-07-21")
    counts = []
    for now in ("2026-07-20T16:00:00Z", "2026-07-21T16:00:00Z"):
        live_desk.clock.set(utc(now))
        assert bring(live_desk.resources, FORECAST, day).error is None
        rows = live_desk.rows(FORECAST).filter(pl.col("interval_start") == day.end - HOUR)
        counts.append(rows["published_at"].n_unique())
        assert rows.filter(pl.col("published_at") > utc(now)).is_empty()
    assert 0 < counts[0] < counts[1] == len(rows)


def test_a_tick_asks_for_the_forecasts_of_three_days(configuration: Configuration) -> None:
    group = next(
        g
        for g in schedule_groups([(FORECAST, configuration.datasets[FORECAST.key])])
        if g.cadence.name == "hourly"
    )
    asked = asked_by(group, utc("2025-12-31T15:12:00Z"))
    assert list(asked) == ["2025-12-31", "2026-01-01", "2026-01-02"]


def test_a_day_that_is_not_forecast_yet_is_no_failure(live_desk: Desk) -> None:
    outcome = bring(live_desk.resources, FORECAST, FORECAST.day("2026-07-24"), feeds=["days"])
    assert isinstance(outcome.error, NotYetPublished)
    assert outcome.expected


def test_a_forecast_may_be_made_a_week_before_its_day_and_no_longer(desk: Desk) -> None:
    desk.clock.set(utc("2026-07-20T12:00:00Z"))
    record = {"BeginDate": "2026-07-20T00:00:00.000-04:00", "LoadMw": 12000, "NetLoadMw": 12000}
    stamps = ["2026-07-13T00:00:00.000-04:00", "2026-07-12T23:59:59.000-04:00"]
    records = [record | {"CreationDate": stamp} for stamp in stamps]
    payload = {"HourlyLoadForecasts": {"HourlyLoadForecast": records}}
    brought = desk.bring(FORECAST, json.dumps(payload).encode())
    assert (brought.done.quarantined, len(desk.rows(FORECAST))) == (1, 1)


def test_a_day_with_ever_more_vintages_is_compared_only_once_it_is_over(live_desk: Desk) -> None:
    for n in range(4):
        day = FORECAST.day(f"2026-07-{17 + n}")
        outcome = bring(live_desk.resources, FORECAST, day)
        assert outcome.error is None
    tomorrow = FORECAST.day("2026-07-22")
    (done,) = bring(live_desk.resources, FORECAST, tomorrow).normalized
    volume = next(v for v in ingest.check(live_desk.resources, done) if v.check == "volume")
    assert volume.reason == "the day is still open"


# --- interchange ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("sale", "kept"), [(68.01, 1), (68.011, 0), (None, 1)])
def test_interchange_is_purchase_plus_sale_within_a_hundredth(
    desk: Desk, sale: float | None, kept: int
) -> None:
    place = {"@LocId": "4010", "$": ".I.SALBRYNB345 1"}
    record: dict[str, Any] = {"BeginDate": "2026-07-20T17:00:00.000-04:00", "Location": place}
    record |= {"ActInterchange": -112, "Purchase": -180, "Sale": sale}
    payload = {"ActualInterchanges": {"ActualInterchange": [record]}}
    brought = desk.bring(ISONE_INTERCHANGE, json.dumps(payload).encode())
    assert (brought.done.quarantined, len(desk.rows(ISONE_INTERCHANGE))) == (1 - kept, kept)


# --- requests ------------------------------------------------------------------------------------


def planned(configuration: Configuration) -> Counter[dt.datetime]:
    """The requests of a day of schedules to New England, by minute."""
    pairs = [(d, configuration.datasets[d.key]) for d in DATASETS if d.operator is ISONE]
    start = utc("2026-07-20T04:00:00Z")
    found: Counter[dt.datetime] = Counter()
    for group in schedule_groups(pairs):
        known = {(d.key, f.name): (d, f) for d, c in pairs for f in c.feeds}
        within = group.cadence.within_the_day
        first = start + group.cadence.offset if within else ISONE.day_of(start).at(group.cadence.at)
        ticks = range(dt.timedelta(days=1) // group.cadence.every)
        for now in (first + n * group.cadence.every for n in ticks):
            for day, asked in asked_by(group, now).items():
                feeds = [known[key, name] for key, names in asked.items() for name in names]
                found[now] += sum(len(f.parts(d.day(day))) for d, f in feeds)
    return found


def test_what_is_planned_fits_the_limits_of_new_england(configuration: Configuration) -> None:
    """Two thirds of the hour's limit stay free for repairs; no tick takes longer than a minute."""
    by_minute = planned(configuration)
    by_hour = Counter[dt.datetime]()
    for now, count in by_minute.items():
        by_hour[now.replace(minute=0)] += count
    in_minute, in_hour = ISONE.limits
    within_the_day = [n for now, n in by_minute.items() if now.minute % 5 == 2]
    assert max(within_the_day) <= in_minute.requests // 2
    assert max(by_hour.values()) <= in_hour.requests // 3
    assert by_hour.total() == 2_922


# --- stamps --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "every"),
    [
        (ISONE_INTERCHANGE_15MIN, FIFTEEN_MINUTES),
        (ISONE_EXTERNAL_FLOW, FIVE_MINUTES),
        (ISONE_RT_CONSTRAINTS, FIVE_MINUTES),
    ],
    ids=lambda value: getattr(value, "key", ""),
)
@pytest.mark.parametrize("seconds", [0, 1, 2])
def test_a_stamp_shortly_past_the_mark_is_of_the_interval_that_it_lies_in(
    desk: Desk, dataset: Dataset, every: dt.timedelta, seconds: int
) -> None:
    outer, inner = dataset.dialects[0].path
    record: dict[str, Any] = {"BeginDate": f"2026-07-20T17:15:0{seconds}.000-04:00"}
    if dataset is ISONE_RT_CONSTRAINTS:
        record |= {"ConstraintName": "MIS"}
    else:
        record |= {"Location": {"@LocId": "4010", "$": ".I.SALBRYNB345 1"}}
    brought = desk.bring(dataset, json.dumps({outer: {inner: [record]}}).encode())
    assert brought.done.quarantined == 0
    (row,) = desk.rows(dataset).rows(named=True)
    start = utc("2026-07-20T17:15:00-04:00")
    assert (row["interval_start"], row["interval_end"]) == (start, start + every)
    assert row["source_stamp"] == start + dt.timedelta(seconds=seconds)
