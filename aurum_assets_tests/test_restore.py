"""A deployment is restored from archive and catalog dump, and from the archive alone."""

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.settings import open_resources
from aurum_assets_tests.conftest import Aurum
from aurum_assets_tests.servers.postgres import Postgres
from aurum_assets_tests.servers.s3 import S3Server

pytestmark = pytest.mark.slow

LOAD = ISONE_SYSTEM_LOAD
BEFORE, AFTER = "2026-07-19", "2026-07-20"  # the backup of the catalog


@pytest.fixture
def servers(
    postgres: Postgres, s3: S3Server, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """A deployment: archive and warehouse in S3, the catalog in Postgres; nothing in the home."""
    name = f"lake_{uuid.uuid4().hex[:12]}"
    environment |= {
        "AURUM_ARCHIVE": f"s3://raw/{name}",
        "AURUM_S3_ENDPOINT": s3.url,
        "AURUM_CATALOG_URI": postgres.database(name),
        "AURUM_CATALOG_WAREHOUSE": f"s3://raw/{name}-warehouse",
    }
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    return environment


def held() -> dict[str, pl.DataFrame]:
    """The rows of the table and of the values that others replaced, as a new process reads them."""
    lake = open_resources(DATASETS).lake
    found = {t.name: lake.read(t).sort(t.order) for t in (LOAD.table, LOAD.table.history)}
    lake.close()
    return found


def same(found: dict[str, pl.DataFrame], wanted: dict[str, pl.DataFrame]) -> bool:
    return all(found[name].equals(rows) for name, rows in wanted.items())


def test_a_deployment_is_restored_from_its_archive_with_or_without_a_dump_of_the_catalog(
    aurum: Aurum, postgres: Postgres, servers: Mapping[str, str], tmp_path: Path
) -> None:
    name, dump = servers["AURUM_CATALOG_URI"].rpartition("/")[2], tmp_path / "lake.dump"

    def lose(*, home: bool) -> None:
        if home:
            shutil.rmtree(servers["AURUM_HOME"])
        postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        postgres.database(name)

    assert aurum("collect", "isone", "system_load", "--date", BEFORE).exit_code == 0
    postgres.client("pg_dump", "--format=custom", "--file", dump, name)
    assert aurum("collect", "isone", "system_load", "--date", AFTER).exit_code == 0
    before = held()
    assert before[LOAD.table.name]["operating_day"].n_unique() == 2

    for home, code in ((False, 1), (True, 0)):  # a new home cannot know that the day was there
        lose(home=home)
        postgres.client("pg_restore", "--dbname", name, dump)
        lacking = aurum("verify", "--quick")
        assert lacking.exit_code == code
        assert f"--day {AFTER}" in lacking.output
        assert f"--day {BEFORE}" not in lacking.output
        assert aurum("replay", "isone_system_load", "--day", AFTER).exit_code == 0
        assert same(held(), before)

    lose(home=True)
    assert aurum("replay", "--all", "--rebuild", "--yes").exit_code == 0
    assert aurum("verify").exit_code == 0
    assert same(held(), before)
