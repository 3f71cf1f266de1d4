"""Dagster's own storage in Postgres: one variable, and the ``dagster.yaml`` of ``make``."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pytest
import yaml

from aurum_assets.definitions import build
from aurum_assets.graph.assets import raw_key, table_key
from aurum_assets.graph.translate import feeds_config
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests.conftest import Desk
from aurum_assets_tests.servers.postgres import Postgres

LOAD, TODAY = ISONE_SYSTEM_LOAD, "2026-07-21"
URL = "AURUM_DAGSTER_POSTGRES_URL"
BIN = f"BIN={Path(sys.executable).parent}"


def made(home: Path, url: str) -> tuple[Path, str]:
    """``DAGSTER_HOME`` as ``make`` makes it, and the address that ``make`` gives to Dagster."""
    folder = home / "dagster"
    environment = {n: v for n, v in os.environ.items() if not n.startswith("AURUM_")} | {URL: url}
    target = ["--eval", f"print-url: ; @echo $${URL}", "print-url"]
    output = subprocess.run(  # noqa: S603  make of the project
        ["make", "-s", f"AURUM_HOME={home}", BIN, f"{folder}/dagster.yaml", *target],  # noqa: S607
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return folder, output.stdout.strip()


@pytest.mark.slow
def test_a_run_is_stored_in_postgres_and_read_back_and_the_password_is_nowhere_in_it(
    live_desk: Desk, tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    folder, url = made(tmp_path, postgres_url.replace("postgresql+psycopg2", "postgresql"))
    assert url == postgres_url
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URL, url)
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            done = (
                build(live_desk.resources)
                .resolve_job_def("isone_five_minutes")
                .execute_in_process(
                    partition_key=TODAY,
                    instance=instance,
                    run_config=feeds_config({LOAD.key: ["now"]}),
                    asset_selection=[raw_key(LOAD), table_key(LOAD)],
                )
            )
            shown = instance.info_str()
        with dg.DagsterInstance.from_config(str(folder)) as other:
            run = other.get_run_by_id(done.run_id)
            assert run is not None
            assert run.is_success
            events = other.all_logs(done.run_id)
            stored = other.get_latest_materialization_event(table_key(LOAD))
    assert stored is not None
    assert "PostgresRunStorage" in shown or "postgres_url" in shown
    for secret in (postgres.password, quote(postgres.password, safe="")):
        assert secret not in shown
        assert not any(secret in repr(event) for event in events)
    database = postgres_url.rpartition("/")[2]
    assert postgres.execute("SELECT count(*) FROM runs", database) == [(1,)]
    assert not (folder / "history").exists()


def test_without_the_variable_it_is_sqlite_again(tmp_path: Path) -> None:
    folder, _ = made(tmp_path, "postgres://me:secret@127.0.0.1/dagster")
    assert "\nstorage:\n  postgres:\n" in (folder / "dagster.yaml").read_text()
    assert "secret" not in (folder / "dagster.yaml").read_text()
    assert made(tmp_path, "") == (folder, "")
    usual = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    assert yaml.safe_load((folder / "dagster.yaml").read_text()) == usual
    assert "storage" not in usual
