"""Warm workers: a run goes through Redis to a process that is there, and survives what kills it."""

import datetime as dt
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psutil
import pytest
import yaml
from click.testing import CliRunner

from aurum_assets.cli import main
from aurum_assets.graph.jobs import schedule_groups
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.settings import Settings
from aurum_assets.resources.workers import (
    QUEUE_TAG,
    TICKS,
    run_key,
)
from aurum_assets_tests.proofs.proof import repeated_keys
from aurum_assets_tests.stack import Stack

LOAD = ISONE_SYSTEM_LOAD
JOB = "isone_five_minutes"
URLS = {
    "AURUM_REDIS_URL": "redis://:secret@127.0.0.1:6379/0",
    "AURUM_DAGSTER_POSTGRES_URL": "postgresql+psycopg2://me:secret@127.0.0.1/dagster",
}


def day(back: int) -> str:
    return LOAD.operator.day_of(dt.datetime.now(dt.UTC)).plus(-back).key


def made(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What ``make setup`` does for ``DAGSTER_HOME``, in this environment alone."""
    outside = {n: v for n, v in os.environ.items() if not n.startswith("AURUM_")}
    found = f"BIN={Path(sys.executable).parent}"
    return subprocess.run(  # noqa: S603  make of the project
        ["make", "-s", f"AURUM_HOME={folder}", found, f"{folder}/dagster/dagster.yaml"],  # noqa: S607
        cwd=PROJECT,
        env=outside | {"AURUM_ENV_FILE": os.devnull} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_environment_alone_gives_runs_to_workers_or_to_processes(tmp_path: Path) -> None:
    assert made(tmp_path, AURUM_WORKERS="celery", **URLS).returncode == 0
    text = (tmp_path / "dagster" / "dagster.yaml").read_text()
    found = yaml.safe_load(text)
    assert found["run_launcher"]["class"] == "WorkerLauncher"
    assert found["run_queue"]["dequeue_interval_seconds"] == 1
    assert "secret" not in text
    assert made(tmp_path).returncode == 0
    found = yaml.safe_load((tmp_path / "dagster" / "dagster.yaml").read_text())
    assert "run_launcher" not in found
    assert found["run_queue"]["dequeue_interval_seconds"] == 1


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AURUM_WORKERS": "threads", **URLS}, "variable AURUM_WORKERS: Input should be"),
        ({"AURUM_WORKERS": "celery"}, "AURUM_REDIS_URL and AURUM_DAGSTER_POSTGRES_URL"),
        (
            {"AURUM_WORKERS": "celery", "AURUM_REDIS_URL": URLS["AURUM_REDIS_URL"]},
            "needs AURUM_DAGSTER_POSTGRES_URL too",
        ),
    ],
)
def test_half_a_profile_is_an_error_of_setup_of_doctor_and_of_the_worker(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    failed = made(tmp_path, **variables)
    assert failed.returncode != 0
    assert said in failed.stderr
    assert not (tmp_path / "dagster").exists()
    for command in ("doctor", "worker"):
        result = CliRunner().invoke(main, [command], env={**variables, "AURUM_HOME": str(tmp_path)})
        assert (result.exit_code, said in result.output) == (2, True), result.output
    assert "secret" not in failed.stderr


def test_a_worker_refuses_a_dagster_yaml_that_is_not_for_it(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    variables = {"AURUM_WORKERS": "celery", "DAGSTER_HOME": str(tmp_path), **URLS}
    result = CliRunner().invoke(main, ["worker"], env=variables)
    assert result.exit_code == 2
    assert "`make setup` writes it anew" in result.output


def test_what_was_just_published_waits_for_no_backfill(configuration: Configuration) -> None:
    pairs = [(d, configuration.datasets[d.key]) for d in DATASETS]
    urgent = {g.name: bool(g.tags) for g in schedule_groups(pairs)}
    assert urgent["isone_five_minutes"]
    assert not urgent["isone_daily"]
    assert {n for n, soon in urgent.items() if not soon} == {n for n in urgent if "daily" in n} - {
        g.name for g in schedule_groups(pairs) if g.cadence.ahead
    }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A daemon, and one machine with a process for ticks alone and one for all queues."""
    with Stack.up(tmp_path_factory.mktemp("stack"), "celery") as found:
        found.start("daemon")
        found.start("worker", "--processes", "1")
        found.ready("worker")
        yield found


def rows(stack: Stack, key: str) -> pl.DataFrame:
    """What a reader sees of the day."""
    lake = Lake.local(stack.folder / "aurum" / "lake")
    frame = lake.read(LOAD.table, {"operating_day": dt.date.fromisoformat(key)})
    lake.catalog.close()
    return frame


def test_a_tick_runs_in_a_process_that_was_there_and_its_rows_are_visible(stack: Stack) -> None:
    there = {child.pid for child in stack.children("worker")}
    run_id = stack.launch(JOB, day(1), tags={QUEUE_TAG: TICKS})
    stack.wait_for(run_id)
    with stack.instance() as instance:
        said = " ".join(event.message or "" for event in instance.all_logs(run_id))
    pids = {
        int(word.rstrip(").")) for word in said.split("(pid: ")[1:] for word in word.split()[:1]
    }
    assert pids <= there, "no process was started for it"
    assert rows(stack, day(1)).height == len(LOAD.day(day(1)).marks(LOAD.interval()))


def test_the_run_of_a_worker_that_is_killed_fails_in_seconds_and_is_run_again(
    stack: Stack,
) -> None:
    run_id = stack.launch(JOB, day(2), tags={QUEUE_TAG: TICKS})
    with stack.instance() as instance:
        stack.until(lambda: len(instance.all_logs(run_id)) > 20)
    (victim,) = (c for c in stack.children("worker") if holds(stack, c, run_id))
    victim.kill()
    assert stack.wait_for(run_id, "FAILURE", seconds=30) < 25
    stack.until(lambda: bool(stack.retried(run_id)), 20)
    stack.wait_for(stack.retried(run_id))
    found = rows(stack, day(2))
    assert found.height == len(LOAD.day(day(2)).marks(LOAD.interval()))
    assert repeated_keys(LOAD.table, found) == 0
    stack.until(lambda: len(stack.children("worker")) == 2, 20)


def holds(stack: Stack, process: psutil.Process, run_id: str) -> bool:
    """Whether the process beats for the run: its name has the number that it was started with."""
    with stack.redis.client() as redis:
        name = redis.get(run_key(Settings.read(), run_id))
    return name is not None and name in process.cmdline()
