"""Warm workers: a run goes through Redis to a process that is there, and survives what kills it."""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import psutil
import pytest
import yaml
from click.testing import CliRunner

from aurum_assets.cli import main
from aurum_assets.cli.worker import Pool
from aurum_assets.graph.jobs import schedule_groups
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.settings import Settings
from aurum_assets.resources.workers import (
    QUEUE_TAG,
    REPLAYS,
    TICKS,
    WORKER_TAG,
    check_workers,
    key_prefix,
    run_key,
    workers_key,
)
from aurum_assets.resources.workers import (
    main as setup,
)
from aurum_assets.resources.workers import (
    waiting as messages,
)
from aurum_assets.simulator.server import Simulator
from aurum_assets_tests.proofs.proof import repeated_keys
from aurum_assets_tests.servers.redis import redis_process
from aurum_assets_tests.stack import Stack, set_environment

pytestmark = pytest.mark.slow

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
    variables = {"AURUM_WORKERS": "celery", "AURUM_BACKFILL_RUNS": "8", **URLS}
    assert made(tmp_path, **variables).returncode == 0
    text = (tmp_path / "dagster" / "dagster.yaml").read_text()
    found = yaml.safe_load(text)
    assert found["run_launcher"]["class"] == "WorkerLauncher"
    assert found["run_coordinator"] == {
        "module": "aurum_assets.graph.launcher",
        "class": "WorkerCoordinator",
        "config": {"dequeue_interval_seconds": 1},
    }
    monitoring = found["run_monitoring"]
    assert monitoring["start_timeout_seconds"] >= monitoring["max_runtime_seconds"]
    assert found["concurrency"]["runs"] == {
        "max_concurrent_runs": 28,
        "tag_concurrency_limits": [{"key": "dagster/backfill", "limit": 8}],
    }
    assert "secret" not in text
    assert made(tmp_path).returncode == 0
    found = yaml.safe_load((tmp_path / "dagster" / "dagster.yaml").read_text())
    assert not {"run_launcher", "run_coordinator"} & set(found)
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
    tmp_path: Path, variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("doctor", "worker"):
        result = CliRunner().invoke(main, [command], env={**variables, "AURUM_HOME": str(tmp_path)})
        assert (result.exit_code, said in result.output) == (2, True), result.output
        assert "secret" not in result.output
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=said):
        setup(str(tmp_path / "dagster"))
    assert not (tmp_path / "dagster").exists()


def test_make_setup_says_what_is_wrong_and_writes_nothing(tmp_path: Path) -> None:
    failed = made(tmp_path, AURUM_WORKERS="celery")
    assert failed.returncode != 0
    assert "Error: environment variable AURUM_WORKERS: celery needs AURUM_REDIS" in failed.stderr
    assert not (tmp_path / "dagster").exists()


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


SIMULATOR = Simulator(locations=3, limits={})
ASSETS = (f"raw/{LOAD.key}", f"market/{LOAD.key}")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A daemon, and one machine with a process for ticks alone and one for all queues.

    That machine has the address of Postgres in a file, as an operator may write it.
    """
    folder = tmp_path_factory.mktemp("stack")
    with Stack.up(folder, "celery", simulator=SIMULATOR) as found:
        found.start("daemon")
        url = found.environment["AURUM_DAGSTER_POSTGRES_URL"].replace("+psycopg2", "")
        dotenv = folder / "dotenv"
        dotenv.write_text(f"AURUM_DAGSTER_POSTGRES_URL={url}\n")
        differs = {"AURUM_DAGSTER_POSTGRES_URL": "", "AURUM_ENV_FILE": str(dotenv)}
        found.start("worker", "--processes", "1", environment=differs)
        found.ready("worker")
        yield found


def launched(stack: Stack, back: int, queue: str = "", *, slow: float = 0) -> str:
    """A run for a day, whose operator answers within ``slow`` seconds."""
    if slow:
        SIMULATOR.fail("drip", seconds=slow, match=day(back).replace("-", ""))
    return stack.launch(JOB, day(back), ASSETS, tags={QUEUE_TAG: queue} if queue else {})


def rows(stack: Stack, back: int) -> pl.DataFrame:
    """What a reader sees of a day."""
    lake = Lake.local(stack.folder / "aurum" / "lake")
    frame = lake.read(LOAD.table, {"operating_day": dt.date.fromisoformat(day(back))})
    lake.catalog.close()
    return frame


def is_whole(stack: Stack, back: int) -> bool:
    found = rows(stack, back)
    whole = found.height == len(LOAD.day(day(back)).marks(LOAD.interval()))
    return whole and repeated_keys(LOAD.table, found) == 0


def process_of(stack: Stack, run_id: str) -> psutil.Process:
    """The process that beats for the run."""
    with stack.redis.client() as redis:
        name = redis.get(run_key(Settings.read(), run_id))
    (found,) = (c for c in stack.children("worker") if name in c.cmdline())
    return found


def test_a_tick_runs_in_a_process_that_was_there_and_its_rows_are_visible(stack: Stack) -> None:
    there = {child.pid for child in stack.children("worker")}
    run_id = launched(stack, 1, TICKS, slow=2)
    stack.wait_for(run_id, "STARTED")
    process = process_of(stack, run_id)
    assert process.pid in there
    stack.until(lambda: len(SIMULATOR.requests) > 0)
    assert process.children() == [], "a run starts no process"
    stack.wait_for(run_id)
    assert is_whole(stack, 1)
    assert {child.pid for child in stack.children("worker")} == there
    with stack.instance() as instance:
        run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags[WORKER_TAG] in process.cmdline()
    assert "dagster-celery/task_id" not in run.tags
    assert not was_queued(stack, run_id), "no tick waits for the next look at Dagster's queue"


def was_queued(stack: Stack, run_id: str) -> bool:
    """Whether a run went through Dagster's queue."""
    with stack.instance() as instance:
        queued = dg.DagsterEventType.PIPELINE_ENQUEUED
        return bool(instance.get_records_for_run(run_id, of_type=queued).records)


def test_the_doctor_counts_the_processes_that_beat(stack: Stack) -> None:
    with set_environment(stack.environment):
        settings = Settings.read()
    folder = stack.folder / "dagster"
    found = check_workers(settings, folder)
    assert (found.state, found.result) == ("ok", "2 processes beat")
    assert stack.redis.url not in str(found)
    elsewhere = settings.model_copy(update={"environment": "prod"})
    found = check_workers(elsewhere, folder)
    assert found.state == "broken"
    assert found.result == "0 processes beat; nobody takes ticks, backfills, replays"
    shutil.copy(PROJECT / "dagster.yaml", stack.folder)
    assert "another launcher" in check_workers(settings, stack.folder).result


def test_a_long_backfill_delays_no_tick_and_ticks_come_before_backfills_before_replays(
    stack: Stack,
) -> None:
    backfill = launched(stack, 2, slow=9)
    stack.wait_for(backfill, "STARTED")
    assert was_queued(stack, backfill)
    tick = launched(stack, 3, TICKS)
    stack.wait_for(tick)
    assert stack.status(backfill) == "STARTED"

    busy = launched(stack, 4, TICKS, slow=12)
    stack.wait_for(busy, "STARTED")
    waiting = [launched(stack, 5, REPLAYS), launched(stack, 6), launched(stack, 7, TICKS)]
    for run_id in waiting:
        stack.wait_for(run_id, "STARTING", seconds=8)
    assert stack.status(backfill) == "STARTED", "all of them were there before a process was free"
    for run_id in waiting:
        stack.wait_for(run_id)
    with stack.instance() as instance:
        began = [instance.get_run_record_by_id(run_id) for run_id in reversed(waiting)]
    starts = [record.start_time for record in began if record and record.start_time]
    assert starts == sorted(starts)
    assert len(starts) == len(waiting)
    stack.wait_for(busy)


def test_the_run_of_a_worker_that_is_killed_fails_in_seconds_and_is_run_again(
    stack: Stack,
) -> None:
    run_id = launched(stack, 8, TICKS, slow=60)
    stack.wait_for(run_id, "STARTED")
    stack.until(lambda: any(day(8).replace("-", "") in seen.path for seen in SIMULATOR.requests))
    process_of(stack, run_id).kill()
    assert stack.wait_for(run_id, "FAILURE", seconds=30) < 15
    stack.until(lambda: bool(stack.retried(run_id)), 20)
    stack.wait_for(stack.retried(run_id))
    assert is_whole(stack, 8)
    assert "ended by signal 9, with run" in stack.log("worker")


def test_a_run_that_is_queued_while_redis_is_away_waits_for_it(stack: Stack) -> None:
    stack.redis.kill()
    run_id = launched(stack, 9, TICKS)
    time.sleep(3)
    assert stack.status(run_id) in {"QUEUED", "STARTING"}
    assert was_queued(stack, run_id)
    stack.redis.start()
    stack.wait_for(run_id)
    assert not stack.retried(run_id)
    assert is_whole(stack, 9)


def test_a_run_is_canceled_from_the_ui_and_its_process_lives_on(stack: Stack) -> None:
    run_id = launched(stack, 10, TICKS, slow=60)
    stack.wait_for(run_id, "STARTED")
    process = process_of(stack, run_id)
    stack.ui.ask(
        "mutation($id: String!) { terminateRun(runId: $id) { __typename } }",
        id=run_id,
    )
    assert stack.wait_for(run_id, "CANCELED", seconds=15) < 10
    again = launched(stack, 10, TICKS)
    stack.wait_for(again)
    assert process.is_running()
    assert is_whole(stack, 10)


def test_a_worker_that_is_told_to_stop_finishes_its_runs_and_takes_no_other(stack: Stack) -> None:
    run_id = launched(stack, 11, TICKS, slow=10)
    stack.wait_for(run_id, "STARTED")
    stack.processes["worker"].send_signal(signal.SIGTERM)
    stack.until(lambda: len(stack.children("worker")) <= 1)  # the one that waited has ended
    waiting = launched(stack, 12, TICKS)
    assert stack.processes["worker"].wait(60) == 0
    assert stack.status(run_id) == "SUCCESS"
    assert stack.log("worker").rstrip().endswith("stopped")
    stack.wait_for(waiting, "STARTING")
    with stack.redis.client() as redis:
        assert waiting in messages(Settings.read(), redis)
        assert run_id not in messages(Settings.read(), redis)


def test_a_tick_that_no_worker_takes_waits_in_dagsters_queue_where_no_timeout_runs(
    stack: Stack,
) -> None:
    stack.stop("worker")
    with stack.redis.client() as redis:
        redis.delete(workers_key(Settings.read()))  # as ten seconds later
    run_id = launched(stack, 11, TICKS)
    assert was_queued(stack, run_id)
    stack.start("worker", "--processes", "1")
    stack.ready("worker")
    stack.wait_for(run_id)


STAND_IN = """
import os, signal, sys, time
name, queues, runs, megabytes, pipe, *lost = sys.argv[1:]
def tell(what):
    os.write(int(pipe), f"{what}\\n".encode())
time.sleep(0.2)
tell("ready")
if name.endswith("-1"):
    tell("worn")
if name.endswith("-2"):
    tell("run abc")
    time.sleep(0.2)
    os.kill(os.getpid(), 9)
print(name.rpartition("-")[2], queues, *lost, flush=True)
signal.sigwait({signal.SIGTERM})  # it was started with SIGTERM blocked
"""


def test_a_process_that_is_worn_ends_once_its_successor_is_ready_and_a_dead_one_is_replaced(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pool = Pool(1, 500, "here", (sys.executable, "-c", STAND_IN))
    pool.start("ticks")
    (first,) = pool.processes
    until, ready = time.monotonic() + 20, set[str]()
    while [p.name[-2:] for p in pool.processes] != ["-3"] or not pool.processes[0].ready:
        assert time.monotonic() < until
        pool.look()
        ready |= {process.name[-2:] for process in pool.processes if process.ready}
        assert first.started.poll() is None or "-2" in ready
    assert first.started.returncode == 0
    pool.stop(signal.SIGTERM)
    pool.join()
    shown = capfd.readouterr().out.splitlines()
    assert shown[0] == "1 ticks"
    assert "ended by signal 9, with run abc: another is started" in shown[1]
    assert shown[2] == "3 ticks abc", "it is told which run was lost"


def test_the_health_of_a_run_is_judged_by_heartbeats_while_redis_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aurum_assets.graph.launcher import WorkerLauncher

    now = 0.0
    run = dg.DagsterRun(job_name=JOB, run_id="one")
    with redis_process(tmp_path) as server:
        monkeypatch.setenv("AURUM_REDIS_URL", server.url)
        launcher = WorkerLauncher(clock=lambda: now)

        def health() -> str:
            return launcher.check_run_worker_health(run).status.value

        def beat() -> None:
            with server.client() as redis:
                redis.set(run_key(launcher.settings, "one"), "somebody")

        beat()
        assert health() == "RUNNING"
        server.kill()
        now = 100.0
        assert health() == "RUNNING", "nobody can say"
        server.start()
        assert health() == "RUNNING", "it may beat again"
        now = 104.0
        assert health() == "RUNNING"
        now = 106.0
        assert health() == "NOT_FOUND"
        beat()
        assert health() == "RUNNING"


def test_a_starting_run_that_no_worker_has_and_no_message_names_is_failed_after_some_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aurum_assets.graph.lost import LOST_SECONDS, LostRuns

    now = 0.0
    starting, failed = dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.FAILURE
    with redis_process(tmp_path) as server, dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setenv("AURUM_REDIS_URL", server.url)
        settings = Settings.read()
        for run_id in ("taken", "queued", "fetched", "lost"):
            instance.add_run(dg.DagsterRun(job_name=JOB, run_id=run_id, status=starting))
        with server.client() as redis:
            redis.set(run_key(settings, "taken"), "somebody")
            redis.rpush(f"{key_prefix(settings)}celery:{TICKS}", '{"headers": {"id": "queued"}}')
            redis.hset(f"{key_prefix(settings)}celery:unacked", "1", '[{"id": "fetched"}]')
        looks = [LostRuns(instance, settings, clock=lambda: now) for _ in range(2)]
        assert [look.look() for look in looks] == [[], []], "a message may be on its way"
        now = LOST_SECONDS
        assert [look.look() for look in looks] == [["lost"], []]
        found = {run.run_id: run.status for run in instance.get_runs()}
        assert found == {"taken": starting, "queued": starting, "fetched": starting, "lost": failed}


def test_what_starts_the_processes_imports_no_dagster_and_opens_no_connection() -> None:
    looked = (
        "import sys, aurum_assets.cli.worker; "
        "print({'celery', 'dagster', 'redis', 'sqlalchemy'} & set(sys.modules))"
    )
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", looked], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
