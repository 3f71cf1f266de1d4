"""Stamps, numbers and ids that cannot be stay out of every table; those that just can be enter."""

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.table import BOUNDS, Split, Table
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.ancillary import ISONE_REGULATION_PRICES
from aurum_assets.operators.isone.generation import ISONE_GENERATION_MIX
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.miso.cts import live_records
from aurum_assets_tests.conftest import Desk, utc
from aurum_assets_tests.recordings import READABLE, Recording
from aurum_assets_tests.test_datasets import framed

CTS = MISO_CTS.table
FILLED = [r for r in READABLE if r.expected["rows"] and r.format == "json"]
every_filled = pytest.mark.parametrize("recorded", FILLED, ids=str)
every_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.key)


def judged(recorded: Recording, **changes: pl.Expr) -> Split:
    """What the table makes of a recording whose first row is changed."""
    first = pl.int_range(pl.len()) == 0
    frame = framed(recorded).with_columns(
        pl.when(first).then(expression).otherwise(pl.col(name)).alias(name)
        for name, expression in changes.items()
    )
    table = recorded.dataset.table
    return table.conform(frame, recorded.dataset.day(recorded.expected["day"]))


def rules(found: Split) -> set[str]:
    return {rule for broken in found.broken["rules"] for rule in broken}


def one(dataset: Dataset, dialect: str = "live", case: str = "ordinary") -> Recording:
    return next(r for r in FILLED if (r.dataset, r.dialect, r.case) == (dataset, dialect, case))


@every_filled
def test_ordinary_days_and_those_of_the_clocks_keep_every_rule(recorded: Recording) -> None:
    assert judged(recorded).broken.is_empty()


# --- marks ---------------------------------------------------------------------------------------

ON_MARKS = [r for r in FILLED if not r.dataset.table.ragged]


@pytest.mark.parametrize("recorded", ON_MARKS, ids=str)
@pytest.mark.parametrize("off", [dt.timedelta(milliseconds=1), dt.timedelta(minutes=1)], ids=str)
def test_an_interval_off_its_mark_is_kept_out_and_its_siblings_are_not(
    recorded: Recording, off: dt.timedelta
) -> None:
    moved = {n: pl.col(n) + off for n in ("interval_start", "interval_end")}
    found = judged(recorded, **moved)
    assert rules(found) == {"interval_starts_on_a_mark"}
    assert len(found.broken) == 1
    assert len(found.good) == len(framed(recorded)) - 1


def test_three_stamps_within_an_interval_are_one_price(desk: Desk) -> None:
    def record(stamp: str, price: float) -> dict[str, Any]:
        where = {"@LocId": "4000", "@LocType": "HUB", "$": ".H.INTERNAL_HUB"}
        return {"BeginDate": f"2026-07-20T{stamp}-04:00", "Location": where, "LmpTotal": price}

    records = [record("10:00:00.000", 1.0), record("10:00:00.001", 2.0), record("10:01:00.000", 3)]
    brought = desk.bring(
        ISONE_RT_LMP, json.dumps({"FiveMinLmps": {"FiveMinLmp": records}}).encode()
    )
    assert desk.rows(ISONE_RT_LMP)["lmp"].to_list() == [1.0]
    assert brought.done.quarantined == 2
    assert "interval_starts_on_a_mark" in brought.verdicts["contract"].reason


@pytest.mark.parametrize("key", ["2024-03-10", "2024-11-03", "2026-07-20"])
@pytest.mark.parametrize("length", [FIVE_MINUTES, HOUR])
def test_every_mark_of_a_day_is_on_the_grid_from_midnight_to_midnight(
    key: str, length: dt.timedelta
) -> None:
    dataset = ISONE_RT_LMP if length == FIVE_MINUTES else ISONE_DA_LMP
    recorded, day = one(dataset), dataset.day(key)
    marks = day.marks(length)
    frame = pl.concat([framed(recorded).head(1)] * len(marks)).with_columns(
        operating_day=pl.lit(day.date),
        interval_start=pl.Series(marks),
        interval_end=pl.Series(marks) + length,
        fetched_at=pl.lit(day.end),
    )
    assert len(dataset.table.conform(frame, day).good) == len(marks)
    later = frame.with_columns(pl.col("interval_start", "interval_end") + dt.timedelta(seconds=1))
    assert dataset.table.conform(later, day).good.is_empty()


def test_an_interval_of_an_hour_begins_on_the_hour() -> None:
    half = dt.timedelta(minutes=30)
    moved = {n: pl.col(n) + half for n in ("interval_start", "interval_end")}
    assert rules(judged(one(ISONE_DA_LMP), **moved)) == {"interval_starts_on_a_mark"}
    hourly = one(ISONE_REGULATION_PRICES, "live_hourly")
    assert rules(judged(hourly, **moved)) == {"interval_starts_on_a_mark"}


def test_ragged_series_say_why_they_are() -> None:
    ragged = {d.key: d.table.ragged for d in DATASETS if d.table.ragged}
    assert set(ragged) == {
        "isone_external_flow",
        "isone_generation_mix",
        "isone_interchange_15min",
        "isone_regulation_prices",
        "isone_reserve_prices",
        "isone_rt_constraints",
        "miso_cts",
    }
    assert all(len(why) > 20 for why in ragged.values())
    second = pl.col("interval_start") + dt.timedelta(seconds=1)
    found = judged(one(ISONE_GENERATION_MIX), interval_start=second, interval_end=second)
    assert found.broken.is_empty()


def test_a_live_forecast_is_taken_at_the_stamp_that_was_sent() -> None:
    minute = pl.col("interval_start") + dt.timedelta(minutes=1)
    assert judged(one(MISO_CTS), interval_start=minute).broken.is_empty()


# --- published, and near the day -----------------------------------------------------------------

CLOCK_DAYS = ["2024-03-10", "2024-11-03", "2026-07-20"]
A_SECOND = dt.timedelta(seconds=1)


def vintage(day: str, published: dt.datetime, start: dt.datetime, **more: Any) -> Split:  # noqa: ANN401
    """What the table makes of one live forecast."""
    frame = framed(one(MISO_CTS)).head(1)
    when = MISO_CTS.day(day)
    fetched = more.pop("fetched_at", when.end)
    frame = frame.with_columns(
        operating_day=pl.lit(when.date),
        published_at=pl.lit(published, CTS.schema["published_at"]),
        interval_start=pl.lit(start, CTS.schema["interval_start"]),
        fetched_at=pl.lit(fetched, CTS.schema["fetched_at"]),
    )
    return CTS.conform(frame, when, **more)


@pytest.mark.parametrize("key", CLOCK_DAYS)
def test_a_case_is_approved_between_the_day_before_and_its_fetch(key: str) -> None:
    day = MISO_CTS.day(key)
    assert day.start.hour == 5  # midnight EST, all year
    slack, last = dt.timedelta(minutes=10), day.end
    for published, enters in (
        (day.start - dt.timedelta(days=1), True),
        (day.start - dt.timedelta(days=1) - A_SECOND, False),
        (last + slack, True),
        (last + slack + A_SECOND, False),
        (utc("9999-07-20T00:00:00Z"), False),
        (utc("0001-07-20T00:00:00Z"), False),
    ):
        found = vintage(key, published, day.start)
        assert bool(len(found.good)) is enters, published
        assert rules(found) == (set() if enters else {"published_at_is_possible"})


@pytest.mark.parametrize("key", CLOCK_DAYS)
def test_a_forecast_is_of_an_interval_within_two_days_of_its_day(key: str) -> None:
    day, two = MISO_CTS.day(key), dt.timedelta(days=2)
    for start, enters in (
        (day.start - two, True),
        (day.start - two - A_SECOND, False),
        (day.end + two - A_SECOND, True),
        (day.end + two, False),
        (utc("9999-12-31T23:00:00Z"), False),
    ):
        found = vintage(key, day.start, start)
        assert bool(len(found.good)) is enters, start
        assert rules(found) == (set() if enters else {"interval_lies_near_its_operating_day"})


def test_the_slack_between_two_clocks_is_the_configs(desk: Desk) -> None:
    config = desk.resources.config(MISO_CTS)
    assert config.clock_slack == dt.timedelta(minutes=10)
    approved = "2026-07-20 8:04:09 AM"  # 13:04:09 UTC
    body = {
        "RefId": "20-Jul-2026 - Interval 08:00 EST",
        "Interval": [
            {
                "CASEAPPROVALDATE": approved,
                "SOLUTIONTIME": "2026-07-20 8:00:00 AM",
                "PJMFORECASTEDLMP": "45.73",
            }
        ],
    }
    fetched = utc("2026-07-20T13:02:00Z")
    assert desk.bring(MISO_CTS, json.dumps(body).encode(), at=fetched).done.quarantined == 0
    strict = replace(config, clock_slack_minutes=1)
    configuration = desk.resources.configuration
    datasets = {**configuration.datasets, MISO_CTS.key: strict}
    resources = replace(desk.resources, configuration=replace(configuration, datasets=datasets))
    ingest.replay(resources, MISO_CTS, MISO_CTS.day("2026-07-20"))
    assert len(desk.rows(MISO_CTS)) == 0  # what the rule refuses now moves with a replay


def test_one_wrong_year_stops_neither_its_siblings_nor_its_day(desk: Desk) -> None:
    day = MISO_CTS.day("2026-07-20")
    records = live_records(day, 3)
    good = {"RefId": "20-Jul-2026 - Interval 00:30 EST", "Interval": records}
    wrong = json.loads(json.dumps(good))
    wrong["Interval"][0]["CASEAPPROVALDATE"] = "9999-07-20 8:04:09 AM"
    wrong["Interval"][1]["SOLUTIONTIME"] = "2126-07-20 8:00:00 AM"
    first = desk.bring(MISO_CTS, json.dumps(wrong).encode(), at=utc("2026-07-20T12:00:00Z"))
    assert first.done.quarantined == 2
    assert len(desk.rows(MISO_CTS)) == len(records) - 2
    assert not first.verdicts["contract"].passed
    second = desk.bring(MISO_CTS, json.dumps(good).encode(), at=utc("2026-07-20T12:15:00Z"))
    assert second.done.quarantined == 0
    assert len(desk.rows(MISO_CTS)) == len(records)


@pytest.mark.parametrize("slack", [-1, 1441])
def test_a_slack_that_cannot_be_is_refused_by_name(tmp_path: Any, slack: float) -> None:  # noqa: ANN401
    for file in (PROJECT / "config").glob("*_ingest_datasets.json"):
        text = file.read_text()
        text = text.replace('"clock_slack_minutes": 10', f'"clock_slack_minutes": {slack}')
        (tmp_path / file.name).write_text(text)
    with pytest.raises(ConfigError, match=r"miso_cts.*clock_slack_minutes.*between 0 and 1440"):
        load_config(tmp_path, DATASETS)


def test_a_row_that_an_earlier_version_let_in_is_reported(desk: Desk) -> None:
    """It stays until its day is replayed, and is not passed over in silence."""
    body = {"RefId": "20-Jul-2026 - Interval 08:00 EST", "Interval": []}
    frame = (
        framed(one(MISO_CTS))
        .head(1)
        .with_columns(published_at=pl.lit(utc("9999-07-20T00:00:00Z"), CTS.schema["published_at"]))
    )
    frame = frame.select(CTS.names)
    desk.resources.lake.merge(CTS, frame)
    day = frame["operating_day"][0].isoformat()
    stamp = frame["operating_day"][0].strftime("%d-%b-%Y")
    body["RefId"] = f"{stamp} - Interval 08:00 EST"
    desk.take(MISO_CTS, json.dumps(body).encode())
    ingest.normalize(desk.resources, MISO_CTS, MISO_CTS.day(day))
    done = ingest.normalize(desk.resources, MISO_CTS, MISO_CTS.day(day))
    verdicts = {v.check: v for v in ingest.check(desk.resources, done)}
    assert not verdicts["contract"].passed
    assert "published_at_is_possible" in verdicts["contract"].reason


# --- bounds --------------------------------------------------------------------------------------


def numbers(table: Table) -> list[tuple[str, float, float]]:
    return [(c.name, *BOUNDS[c.unit]) for c in table.columns if c.unit in BOUNDS]


@every_dataset
def test_every_price_and_every_quantity_has_bounds(dataset: Dataset) -> None:
    table = dataset.table
    bounded = {name for name, _, _ in numbers(table)}
    assert bounded == {c.name for c in table.columns if c.dtype == pl.Float64}
    names = {r.name for r in table.all_rules(dataset.day("2026-07-20"))}
    assert {f"{name}_is_possible" for name in bounded} <= names


@pytest.mark.parametrize("recorded", [r for r in FILLED if r.case == "ordinary"], ids=str)
def test_a_number_that_cannot_be_is_kept_out_by_name_and_the_greatest_that_can_is_not(
    recorded: Recording,
) -> None:
    table, day = recorded.dataset.table, recorded.dataset.day(recorded.expected["day"])
    for name, low, high in numbers(table):
        impossible = (1e300, high * 1.001, low * 1.001, -1e300)
        infinite = (float("inf"), float("-inf"), float("nan"))
        values = (*impossible, *infinite, low, high)
        rows = pl.concat([framed(recorded).head(1)] * len(values))
        broken = table.conform(rows.with_columns(pl.Series(name, values)), day).broken
        found = {at: (set(rules), reason) for at, rules, reason in broken.iter_rows()}
        for at, value in enumerate(values):
            broke, reason = found.get(at, (set(), ""))
            assert (f"{name}_is_possible" in broke) is (value in impossible), value
            assert (f"{name}_is_a_finite_number" in broke) is (at in (4, 5, 6)), value
            assert (f"{name}_is_possible: {name}=" in reason) is (value in impossible), value


def test_the_load_of_the_system_is_never_negative_and_that_of_a_zone_may_be() -> None:
    below = {"load": pl.lit(-12.5)}
    assert rules(judged(one(ISONE_SYSTEM_LOAD), **below)) == {"load_is_not_negative"}
    assert judged(one(ISONE_ZONAL_LOAD), **below).broken.is_empty()


# --- ids -----------------------------------------------------------------------------------------

OURS = {
    "finality",
    "market_run",
    "market",
    "neighbour",
}  # values that the parsers write, in no answer
MAY_BE_EMPTY = {"contingency"}  # where the operator names none
SPELLING = ("ascii_digits", "plain_name", "plain_name_or_empty")
LABELS = [
    (r, name)
    for r in FILLED
    for name in r.dataset.table.key
    if r.case == "ordinary" and r.dataset.table.schema[name] == pl.String and name not in OURS
]
every_label = pytest.mark.parametrize(("recorded", "name"), LABELS, ids=lambda x: f"{x}")


@every_dataset
def test_every_text_of_a_key_has_a_rule_of_spelling(dataset: Dataset) -> None:
    table = dataset.table
    spelled = {r.shows[0] for r in table.rules if r.name.endswith(SPELLING)}
    texts = {n for n in table.key if table.schema[n] == pl.String}
    assert texts - OURS == spelled


@every_label
@pytest.mark.parametrize(
    "text",
    ["", " ", "\t", "\u3000", "\uff14\uff10\uff10\uff10", "4000 ", " 4000", "40\x0000", "4000\n"],
    ids=ascii,
)
def test_an_id_that_is_blank_or_spelled_otherwise_is_kept_out(
    recorded: Recording, name: str, text: str
) -> None:
    found = judged(recorded, **{name: pl.lit(text)})
    kept_out = bool(text) or name not in MAY_BE_EMPTY
    assert len(found.broken) == kept_out
    assert all(rule.startswith(f"{name}_is_a_") for rule in rules(found))
    assert len(rules(found)) == kept_out


@every_label
def test_an_operators_number_has_digits_alone_and_its_names_may_have_spaces(
    recorded: Recording, name: str
) -> None:
    number = name.endswith("_id")
    assert bool(rules(judged(recorded, **{name: pl.lit("A-1 b")}))) is number
    assert not rules(judged(recorded, **{name: pl.lit("4999")}))


@pytest.mark.parametrize("written", ['""', '"  "', '"\uff14\uff10\uff10\uff10"'])
def test_a_blank_id_in_an_answer_goes_to_quarantine_with_its_reason(
    desk: Desk, written: str
) -> None:
    record = (
        '{"BeginDate":"2026-07-20T10:00:00.000-04:00","Location":'
        '{"@LocId":%s,"@LocType":"HUB","$":".H.INTERNAL_HUB"},"LmpTotal":1.0}'
    )
    records = ",".join(record % number for number in (written, '"4001"'))
    body = f'{{"FiveMinLmps":{{"FiveMinLmp":[{records}]}}}}'
    brought = desk.bring(ISONE_RT_LMP, body.encode())
    assert desk.rows(ISONE_RT_LMP)["location_id"].to_list() == ["4001"]
    assert brought.done.quarantined == 1
    assert "location_id_is_a_number_in_ascii_digits" in brought.verdicts["contract"].reason
