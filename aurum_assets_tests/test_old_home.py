"""A home that version 0.1 made (``homes/0.1.tar.xz``) lives on in the code of today.

Its tables name their files by absolute path, so it is unpacked where it was made, by one process at
a time.
"""

import datetime as dt
import fcntl
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from pyiceberg.types import StringType

from aurum_assets import ingest
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import ConfigError, HomeMoved
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.simulator.server import Running
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.conftest import NOON
from aurum_assets_tests.made import remade

pytestmark = pytest.mark.slow

PLACE = Path("/tmp/aurum-home-0.1")  # noqa: S108  the paths in its catalog
ROWS = {
    "isone_rt_lmp": 441,
    "isone_system_load": 435,
    "isone_reserve_prices": 1152,
    "isone_ancillary_services": 192,
    "isone_locations": 1302,
    "miso_cts": 440,
}


@pytest.fixture
def old(resources: Resources, clock: SetClock, market: Running) -> Iterator[Resources]:
    """The old home a quarter of an hour after its last tick, with the operators in reach."""
    with Path(tempfile.gettempdir(), "aurum-home-0.1.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(PLACE, ignore_errors=True)
        with tarfile.open(Path(__file__).parent / "homes" / "0.1.tar.xz") as packed:
            packed.extractall(PLACE.parent, filter="data")
        clock.set(NOON + dt.timedelta(minutes=30))
        urls = market.urls
        yield remade(resources, root=PLACE, base_urls=urls)
        shutil.rmtree(PLACE)


def _known(key: str) -> Dataset:
    return next(d for d in DATASETS if d.key == key)


def test_a_home_of_the_version_before_is_read_as_it_was(old: Resources) -> None:
    assert {key: len(old.lake.read(_known(key).table)) for key in ROWS} == ROWS
    assert len(old.lake.read(QUARANTINE)) == 1
    statuses = {s.dataset: s for s in ingest.status(old, DATASETS)}
    assert {key: statuses[key].rows for key in ROWS} == ROWS
    assert statuses["isone_system_load"].rejected == 1


def test_a_home_of_the_version_before_takes_a_tick_of_each_dataset_that_ticks(
    old: Resources,
) -> None:
    for key in ("isone_rt_lmp", "isone_system_load", "isone_ancillary_services", "miso_cts"):
        dataset = _known(key)
        day = dataset.operator.day_of(old.now())
        collected = ingest.collect(old, dataset, day)
        for spoken in collected.days:
            ingest.normalize(old, dataset, dataset.day(spoken))
        if key == "isone_ancillary_services":  # version 0.1 did not read FER: verify names the cure
            lacking = ingest.verify(old, dataset, day).problems
            assert f"aurum replay {key} --day {day}" in lacking[0]
            ingest.replay(old, dataset, day)
        assert len(old.lake.read(dataset.table)) >= ROWS[key]
        assert ingest.verify(old, dataset, day).problems == []


@pytest.mark.parametrize("key", list(ROWS))
def test_a_home_of_the_version_before_is_rebuilt_from_its_archive_without_a_loss(
    old: Resources, key: str
) -> None:
    dataset = _known(key)
    key_of = dataset.table.key
    before = old.lake.read(dataset.table).select(key_of)
    for day in ingest.held_days(old, dataset):
        ingest.replay(old, dataset, day)
        assert ingest.verify(old, dataset, day).problems == []
    after = old.lake.read(dataset.table)
    if "product" in key_of:  # version 0.1 did not read the price of what is forecast to be needed
        assert after.filter(product="FER")["requirement"].null_count() == 0
        after = after.filter(pl.col("product") != "FER")
    assert after.select(key_of).equals(before)


def test_a_home_of_the_version_before_verifies_and_quick_reads_its_days_in_full(
    old: Resources,
) -> None:
    found = [v for d in DATASETS for v in ingest.verify_days(old, d, quick=True)]
    assert {v.dataset for v in found} >= set(ROWS)
    lacking = {v.dataset for v in found if v.problems}
    assert lacking == {"isone_ancillary_services"}  # rows of FER, which a replay brings
    assert not any(v.quick for v in found)  # there is no ledger yet
    assert sum(v.unsealed for v in found) == sum(v.objects for v in found)


def test_a_home_of_the_version_before_is_maintained_without_losing_a_row(old: Resources) -> None:
    done = list(ingest.maintain(old, ingest.parts_of(old)))
    assert [part for part in done if part.failed] == []
    assert {key: len(old.lake.read(_known(key).table)) for key in ROWS} == ROWS


def test_a_dropped_table_of_a_home_without_ledgers_is_a_loss(old: Resources) -> None:
    load = _known("isone_system_load")
    old.lake.catalog.drop_table(load.table.identifier)
    assert [p for v in ingest.verify_days(old, load) for p in v.problems if "missing" in p]


def test_a_home_of_the_version_before_is_relocated_to_where_it_was_copied(
    old: Resources, tmp_path: Path
) -> None:
    copy = remade(old, root=shutil.copytree(old.root, tmp_path / "copy"))
    with pytest.raises(HomeMoved, match=f"{tmp_path}/copy was made in {PLACE}, "):
        copy.lake.read(QUARANTINE)
    assert "market.isone_rt_lmp" in {table.table for table in ingest.relocate(copy).tables}
    shutil.rmtree(old.root / "lake")
    assert {key: len(copy.lake.read(_known(key).table)) for key in ROWS} == ROWS
    assert len(copy.lake.read(QUARANTINE)) == 1


def test_a_table_of_a_newer_version_takes_no_rows_and_rejects_no_snapshot(old: Resources) -> None:
    load = _known("isone_system_load")
    with old.lake.table(load.table).update_schema() as update:
        update.add_column("later", StringType())
    collected = ingest.collect(old, load, load.operator.day_of(old.now()))
    with pytest.raises(ConfigError, match="column later, which this version"):
        ingest.normalize(old, load, load.day(collected.days[0]))
    assert len(list(old.archive.rejections(load.key))) == 1, "as before"
