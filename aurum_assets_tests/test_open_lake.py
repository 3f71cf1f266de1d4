"""``OpenLake``: the tables by name, for whoever reads them from Python."""

from pathlib import Path

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.api import OpenLake
from aurum_assets.ingest.reference import LISTS, REFERENCES
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.errors import ConfigError
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.settings import open_resources
from aurum_assets_tests.recordings import recording

LMP = ISONE_RT_LMP


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenLake:
    """Two prices, of which the first is final too, and by then another one."""
    monkeypatch.setenv("AURUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    resources = open_resources(DATASETS)
    prelim = recording("isone_rt_lmp", "live", "ordinary").body
    final = recording("isone_rt_lmp", "live", "single").body.replace(b"39.16", b"39.17")
    paths = {"prelim": tmp_path / "prelim.json", "final": tmp_path / "final.json"}
    paths["prelim"].write_bytes(prelim)
    paths["final"].write_bytes(final.replace(b"00:00:00.000", b"17:20:00.000"))
    for finality, path in paths.items():
        assert ingest.load(resources, LMP, [path], finality=finality).rows > 0
    return OpenLake()


def test_every_table_has_a_name_and_quarantine_too(lake: OpenLake) -> None:
    ours = {d.table.name for d in DATASETS}
    histories = {f"{name}_history" for name in ours}
    reference = {t.name for r in REFERENCES for t in (r.table, r.sightings)}
    lists = {one.table.name for one in LISTS}
    marts = {t.name for mart in MARTS for t in (mart, mart.history)} | {"builds"}
    assert set(lake.names) == {*ours, *histories, *reference, *lists, *marts, "quarantine"}


@pytest.mark.parametrize("name", ["isone_rt_lmp", "market.isone_rt_lmp"])
def test_a_table_is_found_by_either_of_its_names(lake: OpenLake, name: str) -> None:
    assert lake.scan(name).collect().height == 6
    assert lake.table(name).schema().find_field("lmp").doc == (
        "Locational marginal price. [USD/MWh]"
    )


def test_a_table_that_nobody_has_is_answered_with_those_near_it(lake: OpenLake) -> None:
    with pytest.raises(ConfigError, match="no table 'prices'; did you mean hub_prices"):
        lake.scan("prices")


def test_the_best_value_is_the_final_one_else_the_preliminary_one(lake: OpenLake) -> None:
    best = lake.best("isone_rt_lmp").sort("interval_start", "location_id").collect()
    assert best.height == 5
    text = best.select("location_id", "finality", "lmp").rows()
    assert text[0] == ("4000", "final", 39.17)
    assert {finality for _, finality, _ in text[1:]} == {"prelim"}


def test_the_best_of_a_table_without_finality_is_all_of_it(lake: OpenLake, tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    path.write_bytes(recording("isone_system_load", "live", "ordinary").body)
    assert ingest.load(open_resources(DATASETS), ISONE_SYSTEM_LOAD, [path]).rows > 0
    best = lake.best("isone_system_load").collect()
    assert best.height == lake.scan("isone_system_load").collect().height > 0


def test_a_table_that_holds_nothing_yet_is_not_made_by_asking(lake: OpenLake) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match="isone_system_load holds nothing yet"):
            lake.scan("isone_system_load")


def test_a_scan_reads_only_what_is_asked_for(lake: OpenLake) -> None:
    highest = lake.scan("isone_rt_lmp").select(pl.col("lmp").max()).collect().item()
    assert highest == 41.5
