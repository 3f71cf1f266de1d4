"""A table lets in the rows that keep its rules, once each, and says why not of the others."""

import datetime as dt
import hashlib
import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.errors import ContractBroken
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Column, Rule, Split, Table, as_of, compared, fold
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets_tests.conftest import utc

LMP = ISONE_RT_LMP.table
DAY = ISONE_RT_LMP.day("2026-07-20")
FETCHED = utc("2026-07-20T21:26:00Z")


def lmp_row(**changes: Any) -> dict[str, Any]:  # noqa: ANN401  of any column
    row = {
        "operating_day": DAY.date,
        "interval_start": utc("2026-07-20T17:20:00-04:00"),
        "interval_end": utc("2026-07-20T17:25:00-04:00"),
        "location_id": "4000",
        "location_name": ".H.INTERNAL_HUB",
        "location_type": "HUB",
        "lmp": 39.16,
        "energy": 39.0,
        "congestion": 0.0,
        "loss": 0.16,
        "finality": "prelim",
        "source_timezone": "America/New_York",
        "fetched_at": FETCHED,
        "raw_sha256": "a" * 64,
    }
    assert set(changes) <= set(row)
    return row | changes


def lmp_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=LMP.schema)


def conform(*rows: dict[str, Any]) -> Split:
    return LMP.conform(lmp_frame(*rows), DAY)


def hash_of(row: dict[str, Any]) -> str:
    (found,) = lmp_frame(row).select(LMP.record_hash()).to_series().to_list()
    return str(found)


# --- record hash ---------------------------------------------------------------------------------

GOLDEN = "169a5bc8b844f732d8d1127bbcf54cd1"  # sha256sum over the text below


def test_a_record_hash_is_the_sha_256_of_a_text_that_anyone_can_write() -> None:
    start, end = 1_784_582_400_000_000, 1_784_582_700_000_000  # microseconds since 1970, UTC
    assert utc("2026-07-20T21:20:00Z").timestamp() * 1e6 == start
    text = "\x1f".join(
        ["isone_rt_lmp", str(start), "4000", "prelim", str(end), "39.16", "39.0", "0.0", "0.16"]
    )
    assert hash_of(lmp_row()) == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_record_hashes_are_the_same_on_every_machine_and_version() -> None:
    assert hash_of(lmp_row()) == GOLDEN


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (39.0, "39.0"),
        (-0.41, "-0.41"),
        (0.1 + 0.2, "0.30000000000000004"),
        (0.00001, "0.00001"),
        (1e-7, "1e-7"),
        (123456789.123, "123456789.123"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
    ],
)
def test_a_number_is_hashed_as_its_shortest_decimal(price: float, text: str) -> None:
    parts = ["isone_rt_lmp", "1784582400000000", "4000", "prelim", "1784582700000000"]
    row_at = "\x1f".join([*parts, text, "39.0", "0.0", "0.16"])
    assert hash_of(lmp_row(lmp=price)) == hashlib.sha256(row_at.encode()).hexdigest()[:32]


def test_a_null_is_not_an_empty_text_and_not_zero() -> None:
    absent = dict.fromkeys(("energy", "congestion", "loss"))
    text = "\x1f".join(
        [
            "isone_rt_lmp",
            "1784582400000000",
            "4000",
            "prelim",
            "1784582700000000",
            "39.16",
            *["\x00"] * 3,
        ]
    )
    expected = hashlib.sha256(text.encode()).hexdigest()[:32]
    assert hash_of(lmp_row(**absent)) == expected
    zero = dict.fromkeys(("energy", "congestion", "loss"), 0.0)
    assert hash_of(lmp_row(**zero)) != expected


def test_minus_zero_is_zero() -> None:
    assert hash_of(lmp_row(congestion=-0.0)) == hash_of(lmp_row(congestion=0.0))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("interval_start", utc("2026-07-20T17:20:00.000001-04:00")),
        ("interval_end", utc("2026-07-20T17:26:00-04:00")),
        ("location_id", "4001"),
        ("finality", "final"),
        ("lmp", 39.160000000000004),
        ("energy", 39.01),
        ("congestion", 1e-300),
        ("loss", None),
    ],
)
def test_every_key_and_value_counts_for_the_hash(column: str, value: object) -> None:
    assert hash_of(lmp_row(**{column: value})) != hash_of(lmp_row())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("location_name", ".H.INTERNALHUB"),
        ("location_type", "hub"),
        ("source_timezone", "UTC"),
        ("fetched_at", FETCHED + dt.timedelta(days=1)),
        ("raw_sha256", "b" * 64),
    ],
)
def test_names_and_provenance_do_not_count_for_the_hash(column: str, value: object) -> None:
    assert hash_of(lmp_row(**{column: value})) == hash_of(lmp_row())


def test_two_tables_never_share_a_hash() -> None:
    other = Table("other", LMP.columns, LMP.key, LMP.values)
    frame = lmp_frame(lmp_row())
    assert frame.select(other.record_hash()).item() != frame.select(LMP.record_hash()).item()


# --- what may enter ------------------------------------------------------------------------------


def test_a_good_row_enters_in_the_tables_order() -> None:
    found = conform(lmp_row())
    assert found.broken.is_empty()
    assert found.good.columns == LMP.names
    assert dict(found.good.schema) == LMP.schema


def test_a_bad_row_does_not_hold_up_its_siblings() -> None:
    rows = [lmp_row(location_id=str(n)) for n in range(5)]
    rows[2]["lmp"] = 39.171
    found = conform(*rows)
    assert found.good["location_id"].to_list() == ["0", "1", "3", "4"]
    assert found.broken["position"].to_list() == [2]
    assert found.broken["rules"].to_list() == [["lmp_is_the_sum_of_its_parts"]]


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"lmp": 39.171}, {"lmp_is_the_sum_of_its_parts"}),
        ({"lmp": None}, {"lmp_is_present"}),
        ({"energy": None}, {"parts_are_all_present_or_all_absent"}),
        ({"lmp": float("nan")}, {"lmp_is_a_finite_number"}),
        ({"loss": float("inf")}, {"loss_is_a_finite_number"}),
        ({"finality": "maybe"}, {"finality_is_prelim_or_final"}),
        ({"finality": None}, {"finality_is_present"}),
        ({"location_id": None}, {"location_id_is_present"}),
        (
            {"interval_start": None, "interval_end": None},
            {"interval_start_is_present", "interval_end_is_present"},
        ),
        (
            {"interval_start": DAY.end, "interval_end": DAY.end + FIVE_MINUTES},
            {"interval_lies_in_its_operating_day"},
        ),
        (
            {"interval_start": DAY.start - FIVE_MINUTES, "interval_end": DAY.start},
            {"interval_lies_in_its_operating_day"},
        ),
        (
            {"interval_start": DAY.start - dt.timedelta(microseconds=1)},
            {"interval_lies_in_its_operating_day", "interval_starts_on_a_mark"},
        ),
        ({"lmp": None, "finality": "maybe"}, {"lmp_is_present", "finality_is_prelim_or_final"}),
    ],
)
def test_a_row_is_kept_out_with_every_rule_that_it_breaks(
    changes: dict[str, Any], rules: set[str]
) -> None:
    found = conform(lmp_row(**changes))
    assert found.good.is_empty()
    (row,) = found.broken.to_dicts()
    assert set(row["rules"]) == rules
    for rule in rules:
        assert f"{rule}: " in row["reason"]
    assert rules <= set(LMP.rule_checks())


@pytest.mark.parametrize(
    "changes",
    [
        {"lmp": 39.17},
        {"lmp": 39.15},
        dict.fromkeys(("energy", "congestion", "loss")),
        {"finality": "final"},
        {"interval_start": DAY.start, "interval_end": DAY.start + FIVE_MINUTES},
        {"interval_start": DAY.end - FIVE_MINUTES, "interval_end": DAY.end},
        {"lmp": -150.0, "energy": -150.0, "loss": 0.0},
    ],
)
def test_a_row_that_just_keeps_the_rules_enters(changes: dict[str, Any]) -> None:
    found = conform(lmp_row(**changes))
    assert found.broken.is_empty()
    assert len(found.good) == 1


@pytest.mark.parametrize("instant", [2**62, -(2**62), 253_402_318_799_000_000])
def test_an_instant_beyond_the_calendar_is_a_reason_in_microseconds(instant: int) -> None:
    stamp = pl.lit(instant).cast(pl.Datetime("us", "UTC"))
    frame = lmp_frame(lmp_row()).with_columns(interval_start=stamp)
    (reason,) = LMP.conform(frame, DAY).broken["reason"].to_list()
    assert f"interval_start={instant}" in reason


def test_the_reason_names_the_values() -> None:
    (reason,) = conform(lmp_row(lmp=39.2)).broken["reason"].to_list()
    assert reason == "lmp_is_the_sum_of_its_parts: lmp=39.2, energy=39.0, congestion=0.0, loss=0.16"


@pytest.mark.parametrize(("load", "enters"), [(0.0, True), (-0.001, False), (25_000.0, True)])
def test_load_is_never_below_zero(load: float, enters: bool) -> None:  # noqa: FBT001  a table
    table = ISONE_SYSTEM_LOAD.table
    start = utc("2026-07-20T17:20:00-04:00")
    frame = pl.DataFrame(
        {
            "operating_day": [DAY.date],
            "interval_start": [start],
            "interval_end": [start + dt.timedelta(minutes=5)],
            "load": [load],
            "source_timezone": ["America/New_York"],
            "fetched_at": [FETCHED],
            "raw_sha256": ["a" * 64],
        }
    ).with_columns(
        pl.lit(None, pl.Float64()).alias(n)
        for n in ("native_load", "ard_demand", "load_btm_pv", "native_load_btm_pv")
    )
    frame = frame.select(pl.col(n).cast(t) for n, t in table.schema.items())
    assert bool(len(table.conform(frame, DAY).good)) is enters


def test_identical_duplicates_collapse_and_conflicting_ones_are_all_kept_out() -> None:
    found = conform(
        lmp_row(),
        lmp_row(),
        lmp_row(location_id="4001"),
        lmp_row(location_id="4001", lmp=39.17),
        lmp_row(location_id="4002"),
    )
    assert found.good["location_id"].to_list() == ["4000", "4002"]
    assert found.broken["position"].to_list() == [2, 3]
    assert found.broken["rules"].to_list() == [["key_is_said_once"]] * 2


def test_positions_of_conflicts_count_the_broken_rows_before_them() -> None:
    found = conform(
        lmp_row(location_id="1", lmp=99.0),
        lmp_row(location_id="2"),
        lmp_row(location_id="2", lmp=39.17),
    )
    assert found.good.is_empty()
    assert found.broken["position"].to_list() == [0, 1, 2]


def test_a_frame_of_another_shape_is_the_parsers_error() -> None:
    with pytest.raises(ContractBroken, match="lmp should be Float64, the parser gave None"):
        LMP.conform(lmp_frame(lmp_row()).drop("lmp"), DAY)
    numbered = lmp_frame(lmp_row()).with_columns(location_id=pl.lit(4000, pl.Int64()))
    with pytest.raises(ContractBroken, match="location_id should be String, the parser gave Int64"):
        LMP.conform(numbered, DAY)


def test_an_empty_frame_conforms_to_nothing() -> None:
    found = conform()
    assert found.good.is_empty()
    assert found.broken.is_empty()
    assert dict(found.good.schema) == LMP.schema


def test_a_rule_that_gives_null_counts_as_kept() -> None:
    columns = (*LMP.columns,)
    table = Table(
        "t",
        columns,
        LMP.key,
        LMP.values,
        rules=(Rule("null", pl.col("loss") > 0, ("loss",)),),
    )
    assert len(table.conform(lmp_frame(lmp_row(loss=None)), DAY).good) == 1
    assert len(table.conform(lmp_frame(lmp_row(loss=-1.0)), DAY).good) == 0


def test_a_column_describes_itself_with_its_unit() -> None:
    assert Column("load", pl.Float64(), "System load.", "MW").described == "System load. [MW]"
    assert Column("name", pl.String(), "A name.").described == "A name."


def test_every_rule_is_reported_by_exactly_one_check() -> None:
    for dataset in DATASETS:
        checks = dataset.table.rule_checks()
        assert set(checks.values()) <= {"contract", "lmp_arithmetic", "enums_and_ranges"}
        assert {r.name for r in dataset.table.all_rules(DAY)} <= set(checks)
        assert {"key_is_said_once", "record_can_be_read"} <= set(checks)


def test_forecasts_may_cross_midnight_and_prices_may_not() -> None:
    names = {r.name for r in MISO_CTS.table.all_rules(MISO_CTS.day("2026-07-20"))}
    assert "interval_lies_in_its_operating_day" not in names
    assert "interval_lies_in_its_operating_day" in {r.name for r in LMP.all_rules(DAY)}


def test_quarantine_is_kept_by_day_and_dataset() -> None:
    assert QUARANTINE.identifier == "quality.quarantine"
    assert QUARANTINE.partition == ("operating_day", "dataset")


# --- fold ----------------------------------------------------------------------------------------


def row_at(minute: int, lmp: float, location: str = "4000", sha: str = "") -> dict[str, Any]:
    at = FETCHED + dt.timedelta(minutes=minute)
    return lmp_row(
        lmp=lmp,
        energy=None,
        congestion=None,
        loss=None,
        location_id=location,
        fetched_at=at,
        raw_sha256=sha or f"{minute:064d}",
    )


def folded(*rows: dict[str, Any]) -> list[tuple[str, float, dt.datetime]]:
    frame = lmp_frame(*rows).select(LMP.names)
    found, _ = fold(LMP, frame)
    assert found.columns == LMP.names
    return list(found.select("location_id", "lmp", "fetched_at").iter_rows())


def at_minute(minute: int) -> dt.datetime:
    return FETCHED + dt.timedelta(minutes=minute)


def test_the_last_snapshot_decides_and_the_first_that_held_its_value_is_named() -> None:
    assert folded(row_at(0, 1), row_at(5, 1), row_at(10, 1)) == [("4000", 1.0, at_minute(0))]
    assert folded(row_at(0, 1), row_at(5, 2), row_at(10, 2)) == [("4000", 2.0, at_minute(5))]


def test_a_value_that_comes_back_is_two_changes() -> None:
    assert folded(row_at(0, 1), row_at(5, 2), row_at(10, 1)) == [("4000", 1.0, at_minute(10))]


def test_of_two_snapshots_of_one_instant_the_greater_hash_is_the_later() -> None:
    assert folded(row_at(0, 1, sha="b" * 64), row_at(0, 2, sha="a" * 64))[0][1] == 1.0


def test_a_snapshot_speaks_only_of_the_keys_that_it_holds() -> None:
    found = folded(row_at(0, 1, "4000"), row_at(0, 5, "4001"), row_at(5, 2, "4001"))
    assert found == [("4000", 1.0, at_minute(0)), ("4001", 2.0, at_minute(5))]


HISTORIES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 2), st.sampled_from(["4000", "4001", "4002"])),
    min_size=1,
    max_size=25,
    unique_by=lambda s: (s[0], s[2]),
)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_never_matters(
    events: list[tuple[int, int, str]], shuffle: random.Random
) -> None:
    rows = [row_at(minute, lmp, location) for minute, lmp, location in events]
    mixed = list(rows)
    shuffle.shuffle(mixed)
    assert folded(*mixed) == folded(*rows) == by_hand(events)


def by_hand(events: list[tuple[int, int, str]]) -> list[tuple[str, float, dt.datetime]]:
    """The claim, computed one event after the other."""
    current: dict[str, tuple[float, dt.datetime]] = {}
    for minute, lmp, location in sorted(events):
        if location not in current or current[location][0] != lmp:
            current[location] = (float(lmp), at_minute(minute))
    return [(location, *current[location]) for location in sorted(current)]


@settings(max_examples=40, deadline=None)
@given(HISTORIES, st.integers(0, 25))
def test_folding_what_was_folded_with_what_came_later_is_folding_all(
    events: list[tuple[int, int, str]], cut: int
) -> None:
    """Only so may a tick merge one snapshot into a day instead of rebuilding it."""
    ordered = sorted(events)
    minute = ordered[min(cut, len(ordered) - 1)][0]
    early = [row_at(*e) for e in ordered if e[0] < minute]
    late = [row_at(*e) for e in ordered if e[0] >= minute]
    whole = lmp_frame(*(row_at(*e) for e in ordered))
    first = lmp_frame(*early).select(LMP.names)
    second = lmp_frame(*late).select(LMP.names)
    current, before = fold(LMP, first)
    again, since = fold(LMP, pl.concat([current, second]))
    all_at_once, all_before = fold(LMP, whole.select(LMP.names))
    assert again.equals(all_at_once)
    assert pl.concat([before, since]).sort(LMP.history.order).equals(all_before)


@settings(max_examples=80, deadline=None)
@given(HISTORIES, st.integers(-1, 7))
def test_as_of_an_instant_the_table_holds_what_it_would_have_held_then(
    events: list[tuple[int, int, str]], minute: int
) -> None:
    frame = lmp_frame(*(row_at(*e) for e in sorted(events)))
    current, before = fold(LMP, frame.select(LMP.names))
    assert before.columns == LMP.history.names
    held = pl.concat([current, before.select(LMP.names)])
    found = as_of(LMP, held.lazy(), at_minute(minute)).collect()
    then = [e for e in events if e[0] <= minute]
    assert list(found.select("location_id", "lmp", "fetched_at").iter_rows()) == by_hand(then)


CHANGES = st.fixed_dictionaries(
    {
        "lmp": st.sampled_from([0.0, -0.0, 39.16, 39.160000000000004, 1e-300, None]),
        "loss": st.sampled_from([0.0, -0.0, 0.16, None]),
        "interval_end": st.sampled_from([utc("2026-07-20T21:25:00Z"), DAY.end]),
        "fetched_at": st.sampled_from([FETCHED, FETCHED + dt.timedelta(days=1)]),
        "location_name": st.sampled_from([".H.HUB", None]),
    }
)


@settings(max_examples=80, deadline=None)
@given(CHANGES, CHANGES)
def test_a_row_is_changed_exactly_where_the_hash_of_its_message_is_another(
    row: dict[str, Any], stored: dict[str, Any]
) -> None:
    beside = compared(LMP, lmp_frame(lmp_row(**row)), lmp_frame(lmp_row(**stored)))
    assert beside["is_new"].to_list() == [False]
    assert beside["is_changed"].item() is (hash_of(lmp_row(**row)) != hash_of(lmp_row(**stored)))


def test_a_row_without_a_stored_one_is_new_and_not_changed() -> None:
    stored = lmp_frame(lmp_row(location_id="1"), lmp_row(location_id="2", lmp=1.0))
    rows = lmp_frame(*(lmp_row(location_id=name) for name in "312"))
    beside = compared(LMP, rows, pl.concat([stored, stored]))
    assert beside["is_new"].to_list() == [True, False, False]
    assert beside["is_changed"].to_list() == [False, False, True]


def test_a_value_is_superseded_when_the_next_one_is_fetched() -> None:
    rows = [row_at(0, 1), row_at(5, 1), row_at(10, 2), row_at(15, 1)]
    frame = lmp_frame(*rows).select(LMP.names)
    _, before = fold(LMP, frame)
    assert before.select("lmp", "fetched_at", "superseded_at").rows() == [
        (1.0, at_minute(0), at_minute(10)),
        (2.0, at_minute(10), at_minute(15)),
    ]
