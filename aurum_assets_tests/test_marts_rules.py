"""The rules of the marts: each finds what breaks it, and is silent on what does not."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

from aurum_assets.marts.tables import DEFINITIONS, MARTS
from aurum_assets.model import columns as c
from aurum_assets.model.table import UTC, Rule, Table
from aurum_assets_tests.marts import (
    BY_NAME,
    FOLDER,
    Desk,
    day,
    macros,
    names_of_tests,
)

MONDAY = day("2026-07-20")
NOON = dt.datetime(2026, 7, 20, 16, tzinfo=dt.UTC)
HOUR_LATER = NOON + dt.timedelta(hours=1)
QUARTER = dt.timedelta(minutes=15)

# A row of each mart that keeps every rule.
GOOD: Mapping[str, Mapping[str, Any]] = {
    "hub_prices": {
        "operator": "isone", "location_id": "4000", "interval_start": NOON,
        "interval_end": HOUR_LATER,
        "hour_ending": "13", "on_peak": True, "location_type": "hub", "rt_finality": "prelim",
        "rt_intervals": 12,
    },
    "dart_spread": {
        "operator": "isone", "location_id": "4000", "interval_start": NOON, "location_type": "hub",
        "da_lmp": 0.3, "rt_lmp": 0.1, "rt_finality": "final", "rt_from": "hourly", "dart_lmp": 0.2,
    },
    "rt_reconciliation": {
        "operator": "isone", "location_id": "4000", "interval_start": NOON, "intervals_prelim": 12,
        "intervals_final": 0,
    },
    "cts_forecast_accuracy": {
        "forecast": "miso_cts", "interval_start": NOON, "published_at": NOON - QUARTER,
        "interval_end": NOON + QUARTER, "lead_minutes": 15.0, "forecast_lmp": 30.0,
        "realized_lmp": 31.5, "realized_from": "pjm verified", "error": -1.5, "absolute_error": 1.5,
        "miso_lmp": 29.0, "sign_hit": True,
    },
    "cts_forecast_revision": {
        "forecast": "miso_cts", "interval_start": NOON, "first_lmp": 30.0,
        "first_published_at": NOON - 2 * QUARTER, "last_lmp": 31.0, "last_published_at": NOON,
        "lowest_lmp": 29.0, "highest_lmp": 31.0, "range_lmp": 2.0, "revisions": 2, "vintages": 3,
    },
    "seam_spread": {
        "interval_start": NOON, "miso_lmp": 30.0, "pjm_forecast_lmp": 31.0, "pjm_lmp": 33.0,
        "pjm_finality": "final", "spread_forecast": -1.0, "spread_realized": -3.0,
        "scheduled_direction": "PJM_TO_MISO", "paying_direction": "MISO_TO_PJM",
        "with_the_price": False, "binding_constraints": 0,
    },
    "load_forecast_error": {
        "operator": "isone", "region": "system", "interval_start": NOON, "published_at": NOON,
        "lead_hours": 0.0, "forecast_load": 15_000.0, "actual_load": 15_100.0, "actual_from":
        "hourly", "error": -100.0, "absolute_percentage_error": 0.662252,
    },
    "generation_shares": {
        "operator": "isone", "interval_start": NOON, "fuel": "coal", "generation": 10.0,
        "share": 1.0, "intervals": 12,
    },
    "daily_summary": {
        "operator": "isone", "negative_hours": 0, "scarcity_hours": 0, "completeness": 1.0,
        "corrections": 0, "lowest_rt_lmp": 1.0, "highest_rt_lmp": 2.0,
    },
}  # fmt: skip

# What breaks each rule on several columns.
BROKEN: Mapping[str, Mapping[str, Any]] = {
    "dart_spread__dart_lmp_is_da_lmp_less_rt_lmp": {"dart_lmp": -0.2},
    "cts_forecast_accuracy__error_is_forecast_lmp_less_realized_lmp":
        {"error": 1.6, "absolute_error": 1.6},
    "cts_forecast_accuracy__absolute_error_is_that_of_error": {"absolute_error": 2.0},
    "cts_forecast_accuracy__published_before_the_interval_ends": {"published_at": NOON + QUARTER},
    "cts_forecast_revision__range_lmp_is_highest_lmp_less_lowest_lmp": {"range_lmp": 1.0},
    "cts_forecast_revision__first_and_last_lie_within_the_range": {"last_lmp": 31.5},
    "cts_forecast_revision__fewer_revisions_than_vintages": {"revisions": 3},
    "cts_forecast_revision__last_is_published_before_the_interval":
        {"last_published_at": NOON + QUARTER},
    "seam_spread__spread_forecast_is_miso_lmp_less_pjm_forecast_lmp": {"spread_forecast": 1.0},
    "seam_spread__spread_realized_is_miso_lmp_less_pjm_lmp": {"spread_realized": -2.0},
    "seam_spread__with_the_price_agrees_with_the_directions": {"with_the_price": True},
    "seam_spread__paying_direction_is_towards_the_higher_price":
        {"paying_direction": "PJM_TO_MISO", "with_the_price": True},
    "load_forecast_error__error_is_forecast_load_less_actual_load": {"error": 100.0},
    "generation_shares__every_fuel_was_reviewed": {"fuel": "Tidal"},
    "generation_shares__shares_add_up_to_one": {"share": 0.9},
    "daily_summary__lowest_is_not_above_highest": {"lowest_rt_lmp": 3.0},
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A mart of one row."""

    table: Table
    frame: pl.DataFrame

    @property
    def desk(self) -> Desk:
        return Desk(MONDAY, MONDAY, made={self.table.name: self.frame})

    def broken_rules(self) -> set[str]:
        """Those that the table finds broken."""
        return {name for rules in self.table.conform(self.frame).broken["rules"] for name in rules}

    def broken_in_sql(self) -> set[str]:
        """The rules that DuckDB finds broken."""
        return self.desk.broken(self.table.name)


def made(name: str, **other: Any) -> Made:  # noqa: ANN401  columns
    table = BY_NAME[name]
    usual = {"operating_day": MONDAY, "computed_at": NOON, "made_from": "market.t=1"}
    record = {**dict.fromkeys(table.names), **usual, **GOOD[name], **other}
    return Made(table, pl.DataFrame([record], schema=table.schema))


def test_every_rule_on_several_columns_has_what_breaks_it() -> None:
    derived = re.compile("_is_known$|_is_within_bounds$")
    own = {f"{t.name}__{r.name}" for t in MARTS for r in t.rules if not derived.search(r.name)}
    assert own | set(names_of_tests()) == set(BROKEN)


@pytest.mark.parametrize("test", sorted(set(BROKEN) - set(names_of_tests())))
def test_a_rule_finds_what_breaks_it_here_and_in_dbt(test: str) -> None:
    name, rule = test.split("__")
    broken = made(name, **BROKEN[test])
    assert broken.broken_rules() == broken.broken_in_sql() == {rule}


@pytest.mark.parametrize("test", names_of_tests())
def test_a_rule_on_several_rows_finds_what_breaks_it_and_nothing_else(test: str) -> None:
    name = test.split("__", maxsplit=1)[0]
    assert made(name, **BROKEN[test]).desk.failures(test) == 1
    assert made(name).desk.failures(test) == 0


@pytest.mark.parametrize("name", GOOD)
def test_a_good_row_breaks_no_rule_of_its_table(name: str) -> None:
    assert made(name).broken_rules() == made(name).broken_in_sql() == set()


CASES = [(t.name, r) for t in MARTS for r in t.rules if len(r.shows) == 1]


@pytest.mark.parametrize(("name", "rule"), CASES, ids=lambda value: getattr(value, "name", value))
def test_a_value_beyond_what_is_accepted_breaks_a_rule(name: str, rule: Rule) -> None:
    (column,) = rule.shows
    dtype = BY_NAME[name].schema[column]
    typed: Mapping[Any, Any] = {pl.String: "nobody's", pl.Int64: -1, pl.Float64: -0.1}
    beyond = [typed[dtype]]
    if bound := re.search(r" AND (\d+)", rule.sql):
        beyond.append(type(beyond[0])(int(bound[1]) + 1))
    for value in beyond:
        broken = made(name, **{column: value})
        assert rule.name in broken.broken_rules()
        assert rule.name in broken.broken_in_sql()


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)
def test_a_null_where_none_may_be_breaks_a_rule(mart: Table) -> None:
    for column in mart.columns:
        if not column.nullable:
            found = made(mart.name, **{column.name: None}).broken_rules()
            assert f"{column.name}_is_present" in found


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)
def test_a_model_selects_the_columns_of_its_table_in_order(mart: Table) -> None:
    filled_later = {"computed_at", "made_from"}
    found = Desk(MONDAY, MONDAY).mart(mart.name).schema
    assert list(found.items()) == [(n, t) for n, t in mart.schema.items() if n not in filled_later]


@pytest.mark.parametrize("mart", MARTS, ids=lambda mart: mart.name)
def test_a_mart_says_in_words_what_it_is(mart: Table) -> None:
    for heading in ("\nSource: ", "\nGrain: ", "\nUnits: ", "\nCaveats: "):
        assert DEFINITIONS[mart.name].count(heading) == 1
    assert mart.doc.endswith(".")
    assert "\n" not in mart.doc


def test_every_number_and_instant_has_a_unit() -> None:
    bare = [
        f"{t.name}.{k.name}"
        for t in MARTS
        for k in t.columns
        if (k.dtype in (pl.Float64, pl.Int64) or k.dtype == UTC) and not k.unit
    ]
    assert not bare


def test_a_column_of_one_name_has_one_type_in_all_marts() -> None:
    types: dict[str, set[str]] = {}
    for table in MARTS:
        for column in table.columns:
            types.setdefault(column.name, set()).add(str(column.dtype))
    assert {n: found for n, found in types.items() if len(found) > 1} == {}


def test_every_mart_is_of_its_operating_day_and_says_what_it_was_made_from() -> None:
    for table in MARTS:
        assert table.columns[0] is c.OPERATING_DAY
        assert table.names[-2:] == ["computed_at", "made_from"]
        assert table.namespace == "marts"
        assert set(table.key) | set(table.values) == set(table.names) - {
            "operating_day", "computed_at", "made_from",
        }  # fmt: skip


def test_models_use_of_dbt_only_what_the_tests_render() -> None:
    """So that a test without dbt says what dbt would."""
    files = [*FOLDER.glob("models/*.sql"), *FOLDER.glob("tests/*.sql")]
    text = macros() + "".join(file.read_text() for file in files)
    own = set(re.findall(r"{% macro (\w+)\(", text))
    python = {"range", "items"}
    called = set(re.findall(r"{{[^}]*?\b(\w+)\(", text)) | set(
        re.findall(r"{%[^}]*?\b(\w+)\(", text)
    )
    assert called - own - python == {"source", "ref", "var"}


def test_every_model_has_its_table_and_every_table_its_model() -> None:
    assert {file.stem for file in FOLDER.glob("models/*.sql")} == {table.name for table in MARTS}
