"""The marts of a simulated day, computed twice: by the models, and in plain Python."""

from collections.abc import Mapping

import polars as pl
import pytest

from aurum_assets_tests.marts import BY_NAME, Desk, day
from aurum_assets_tests.proofs.marts_oracle import MARTS, Oracle, differences
from aurum_assets_tests.proofs.simulated_market import market

AUTUMN = day("2026-11-01")  # 25 hours in New York, 24 in MISO
LEAST = {  # rows: so that nothing is equal for being empty
    "hub_prices": 350,
    "dart_spread": 350,
    "rt_reconciliation": 350,
    "cts_forecast_accuracy": 1000,
    "cts_forecast_revision": 300,
    "seam_spread": 96,
    "load_forecast_error": 4000,
    "generation_shares": 200,
    "daily_summary": 3,
}


@pytest.fixture(scope="module")
def simulated() -> Mapping[str, pl.DataFrame]:
    """MISO is collected for four hours only: much is missing later."""
    return market(AUTUMN, AUTUMN, miso_hours=4)


@pytest.fixture(scope="module")
def desk(simulated: Mapping[str, pl.DataFrame]) -> Desk:
    return Desk(AUTUMN, AUTUMN, simulated)


@pytest.fixture(scope="module")
def oracle(simulated: Mapping[str, pl.DataFrame]) -> Oracle:
    return Oracle(simulated, AUTUMN, AUTUMN)


@pytest.mark.parametrize("name", MARTS)
@pytest.mark.slow
def test_a_mart_equals_an_independent_computation(name: str, desk: Desk, oracle: Oracle) -> None:
    table = BY_NAME[name]
    made, expected = desk.mart(name), MARTS[name](oracle)
    assert len(expected) >= LEAST[name]
    assert differences(name, table.key, made, expected)[:5] == []


@pytest.mark.parametrize("name", MARTS)
def test_a_mart_of_a_simulated_day_keeps_every_rule(name: str, desk: Desk) -> None:
    made = desk.mart(name)
    filled = made.with_columns(
        computed_at=pl.lit(None).cast(pl.Datetime("us", "UTC")), made_from=pl.lit("")
    )
    broken = BY_NAME[name].conform(filled.select(BY_NAME[name].names)).broken
    assert set(broken["rules"].explode(empty_as_null=True).drop_nulls()) <= {
        "computed_at_is_present"
    }
    assert not made.select(
        pl.struct("operating_day", *BY_NAME[name].key).is_duplicated().any()
    ).item()


@pytest.mark.parametrize("name", MARTS)
def test_no_number_has_more_than_six_places(name: str, desk: Desk) -> None:
    made = desk.mart(name).select(pl.selectors.float())
    texts = made.unpivot()["value"].drop_nulls().cast(pl.String)
    assert not texts.str.contains(r"\.\d{7}").any()
    assert not texts.str.contains(r"^-0\.0$").any()


def test_what_one_changed_price_changes_is_its_own_hour(
    simulated: Mapping[str, pl.DataFrame],
) -> None:
    """A correction changes exactly the rows that depend on it."""
    start = simulated["isone_rt_hourly_lmp"]["interval_start"].min()
    is_it = (pl.col("interval_start") == start) & (pl.col("location_id") == "4001")
    moved = pl.when(is_it & (pl.col("finality") == "final")).then(pl.col("lmp") + 0.5)
    corrected = simulated["isone_rt_hourly_lmp"].with_columns(lmp=moved.otherwise("lmp"))
    before = Desk(AUTUMN, AUTUMN, simulated)
    after = Desk(AUTUMN, AUTUMN, {**simulated, "isone_rt_hourly_lmp": corrected})
    for name in ("hub_prices", "dart_spread", "rt_reconciliation"):
        changed = after.mart(name).join(
            before.mart(name), on=before.mart(name).columns, how="anti", nulls_equal=True
        )
        assert changed.select("location_id", "interval_start").rows() == [("4001", start)]
