"""The deployment as processes: Redis, Postgres, code server, webserver, daemon, workers.

    with Stack.up(folder, "celery") as stack:      # "embedded": no Redis, Postgres or worker
        stack.start("worker", "--processes", "1")  # a machine; again, another one
        run_id = stack.launch("isone_five_minutes", "2026-07-21")
        stack.wait_for(run_id)

Each part is a real process of the programs that an operator starts, with the environment that is
in ``stack.environment``, and says what it says to ``folder/NAME.log``. ``start``, ``kill`` and
``stop`` take a part by name. Nothing outlives the block.

``Stack.up(folder, "compose")`` is what ``deploy/compose.yaml`` starts: its variables and commands,
an S3 for archive and lake, a catalog in Postgres, a webserver that only shows. Each worker, and the
webservers and daemon together, are a machine: a home of its own, and a ``dagster.yaml`` in it.
"""

import contextlib
import datetime as dt
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import psutil

from aurum_assets.resources.settings import Settings
from aurum_assets.resources.workers import write_dagster_yaml
from aurum_assets.simulator.server import Simulator
from aurum_assets_tests import deployed
from aurum_assets_tests.graphql import Graphql, Json
from aurum_assets_tests.servers.postgres import Postgres
from aurum_assets_tests.servers.redis import RedisProcess, free_port
from aurum_assets_tests.servers.s3 import S3Server

PATIENCE = 120.0
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "aurum_assets"}
ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})


@dataclass(frozen=True)
class Servers:
    """The servers of the profile ``celery``; ``compose`` has an S3 too."""

    redis: RedisProcess
    postgres: Postgres
    s3: S3Server | None = None


@dataclass
class Stack:
    """What runs, by name, and how to ask it."""

    folder: Path
    environment: dict[str, str]
    servers: "Servers | None" = None
    web: int = 0
    code: int = 0
    viewer: int = 0
    metrics: int = 0
    composed: bool = False
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def up(
        cls,
        folder: Path,
        profile: str,
        *,
        simulator: Simulator | None = None,
        environment: Mapping[str, str] | None = None,
        change: Callable[[str], str] = str,
    ) -> "Iterator[Stack]":
        """Servers, code server and webserver; daemon and workers are for the caller to start.

        ``change``: what to change of ``dagster.yaml``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        market = (simulator or Simulator(locations=3, limits={})).serve()
        with contextlib.ExitStack() as stack:
            running = stack.enter_context(market)
            outside = ("AURUM_", "AWS_", "DAGSTER_HOME", "ISONE_", "KAFKA_", "MISO_", "REDIS_")
            variables = {n: v for n, v in os.environ.items() if not n.startswith(outside)} | {
                "AURUM_ENV_FILE": os.devnull,
                "AURUM_HOME": str(folder / "aurum"),
                "DAGSTER_HOME": str(folder / "dagster"),
                "AURUM_LIMIT_SCALE": "1000",
                "PYTHONUNBUFFERED": "1",
                "PYTHONWARNINGS": "ignore",
                **running.environment,
                "ISONE_API_KEY": "",  # by user name and password
                **(environment or {}),
            }
            up = cls(folder, variables)
            if profile in {"celery", "compose"}:
                postgres = stack.enter_context(Postgres())
                password = secrets.token_hex(8) if profile == "compose" else ""
                redis = RedisProcess(folder, password=password, durable=True)
                stack.callback(redis.close)
                up.servers = Servers(redis, postgres)
            if profile == "celery":
                variables |= {
                    "AURUM_WORKERS": "celery",
                    "AURUM_REDIS_URL": redis.url,
                    "AURUM_DAGSTER_POSTGRES_URL": postgres.database("dagster"),
                }
            if profile == "compose":
                s3 = stack.enter_context(S3Server())
                up.servers, up.composed = Servers(redis, postgres, s3), True
                variables |= deployed.servers(postgres, redis, s3, variables)
                variables |= environment or {}
            up.web, up.code = free_port(), free_port()  # once the servers have theirs
            up.viewer, up.metrics = free_port(), free_port()
            stack.callback(up._end)
            up._configure(change)
            up.start("code")
            up.start("web")
            up.until(up.ui.is_loaded)
            yield up

    def _configure(self, change: Callable[[str], str]) -> None:
        """``dagster.yaml`` as ``make setup`` writes it, and a workspace; the storage is made."""
        home = self.folder / "dagster"
        with set_environment(self.environment):
            write_dagster_yaml(home, Settings.read())
            file = home / "dagster.yaml"
            file.write_text(change(file.read_text()))
            with dg.DagsterInstance.from_config(str(home)) as instance:
                instance.get_runs_count()  # two processes that make it at once may both fail
        (self.folder / "workspace.yaml").write_text(deployed.workspace(self.code))

    def _machine(self, name: str) -> dict[str, str]:
        """The home of a worker of its own, with a ``dagster.yaml`` like that of the daemon."""
        home = self.folder / name
        (home / "dagster").mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / "dagster" / "dagster.yaml", home / "dagster")
        return {"AURUM_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}

    @property
    def redis(self) -> RedisProcess:
        """The broker."""
        assert self.servers is not None, "the embedded profile has no Redis"  # noqa: S101
        return self.servers.redis

    @property
    def postgres(self) -> Postgres:
        """Dagster's storage."""
        assert self.servers is not None, "the embedded profile has no Postgres"  # noqa: S101
        return self.servers.postgres

    # --- parts ---------------------------------------------------------------------------------

    def start(
        self, name: str, *options: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a part: code, web, viewer, daemon, metrics, or worker (worker-2 is another one).

        ``environment``: what differs for it from ``stack.environment``.
        """
        part = name.partition("-")[0]
        differs = self._machine(name) if self.composed and part == "worker" else {}
        differs |= environment or {}
        program, *arguments = self._command(part)
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(  # noqa: S603  our own environment
                [str(Path(sys.executable).parent / program), *arguments, *options],
                cwd=self.folder,
                env=self.environment | differs,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[name] = started
        return started

    def _command(self, part: str) -> Sequence[str]:
        """The words of the command of a part."""
        workspace = self.folder / "workspace.yaml"
        if self.composed:
            port = getattr(self, part) if part in deployed.PORTS else 0
            return deployed.command(part, workspace, port)
        code = ("api", "grpc", "-m", "aurum_assets.definitions", "-p", str(self.code))
        address = ("-h", "127.0.0.1", "-p", str(self.web))
        commands: Mapping[str, Sequence[str]] = {
            "code": ("dagster", *code, "--location-name", "aurum_assets"),
            "web": ("dagster-webserver", "-w", str(workspace), *address),
            "daemon": ("dagster-daemon", "run", "-w", str(workspace)),
            "worker": ("aurum", "worker"),
        }
        return commands[part]

    def kill(self, name: str) -> None:
        """SIGKILL a part and its processes, as a machine that loses its power."""
        started = self.processes[name]
        for process in [started, *self.children(name)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.processes.pop(name).wait()

    def stop(self, name: str, seconds: float = 60) -> int:
        """SIGTERM a part; its exit code."""
        self.processes[name].send_signal(signal.SIGTERM)
        code = self.processes[name].wait(seconds)
        del self.processes[name]
        return code

    def children(self, name: str) -> list[psutil.Process]:
        """The processes that a part has started."""
        try:
            return list(psutil.Process(self.processes[name].pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def log(self, name: str) -> str:
        """What a part said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def ready(self, name: str) -> None:
        """Wait until a worker takes runs."""
        self.until(lambda: "ready: " in self.log(name))

    def _end(self) -> None:
        for name in list(self.processes):
            if name.startswith(("worker", "code")):  # a code server hears no other signal
                self.kill(name)
        for name in list(self.processes):
            self.processes[name].terminate()
        for name in list(self.processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.processes[name].wait(10)
            self.kill(name)

    # --- questions -----------------------------------------------------------------------------

    def until(
        self, good: Callable[[], bool], seconds: float = PATIENCE, *, pause: float = 0.4
    ) -> float:
        """Wait for ``good``; the seconds that it took."""
        began = time.monotonic()
        while not good():
            if time.monotonic() - began > seconds:
                logs = "\n".join(p.read_text()[-3000:] for p in sorted(self.folder.glob("*.log")))
                msg = f"not within {seconds:.0f} s\n{logs}"
                raise TimeoutError(msg)
            time.sleep(pause)
        return time.monotonic() - began

    @property
    def ui(self) -> Graphql:
        """The webserver of the UI."""
        return Graphql(f"http://127.0.0.1:{self.web}")

    def launch(
        self,
        job: str,
        partition: str = "",
        assets: Sequence[str] = (),
        *,
        config: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Queue a run of ``job``, of some ``assets`` (``raw/isone_system_load``) or all; its id."""
        more = {"dagster/partition": partition} if partition else {}
        data = self.ui.ask(
            """mutation($of: ExecutionParams!) { launchRun(executionParams: $of) { __typename
                 ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
                 ... on RunConfigValidationInvalid { errors { message } } } }""",
            of={
                "selector": REPOSITORY
                | {"jobName": job}
                | ({"assetSelection": [{"path": a.split("/")} for a in assets]} if assets else {})
                | ({"assetCheckSelection": []} if assets else {}),
                "runConfigData": config or {},
                "executionMetadata": {
                    "tags": [{"key": k, "value": v} for k, v in (more | dict(tags or {})).items()]
                },
            },
        )["launchRun"]
        if "run" not in data:
            raise RuntimeError(data)
        return str(data["run"]["runId"])

    def ticks(self, first: dt.datetime, last: dt.datetime) -> list[tuple[dt.datetime, str]]:
        """The instants at which schedules are due from ``first`` until before ``last``, in order.

        Each with the name of its schedule, as the code server has them.
        """
        data = self.ui.ask(
            """query($of: RepositorySelector!, $first: Float, $last: Float) {
                 schedulesOrError(repositorySelector: $of) { ... on Schedules { results { name
                   futureTicks(cursor: $first, until: $last) { results { timestamp } } } } } }""",
            of=REPOSITORY,
            first=first.timestamp(),
            last=last.timestamp(),
        )
        return sorted(
            (dt.datetime.fromtimestamp(tick["timestamp"], dt.UTC), schedule["name"])
            for schedule in data["schedulesOrError"]["results"]
            for tick in schedule["futureTicks"]["results"]
        )

    def job_of(self, schedule: str) -> str:
        """The job that a schedule starts."""
        data = self.ui.ask(
            """query($of: ScheduleSelector!) { scheduleOrError(scheduleSelector: $of) {
                 ... on Schedule { pipelineName } } }""",
            of=REPOSITORY | {"scheduleName": schedule},
        )
        return str(data["scheduleOrError"]["pipelineName"])

    def requested(self, schedule: str, instant: dt.datetime) -> list[Json]:
        """The run requests of a schedule at an instant, as the code server evaluates it."""
        data = self.ui.ask(
            """mutation($of: ScheduleSelector!, $at: Float!) {
                 scheduleDryRun(selectorData: $of, timestamp: $at) { __typename
                   ... on DryRunInstigationTick { evaluationResult { error { message }
                     runRequests { runKey runConfigYaml tags { key value }
                       assetSelection { path } } } } } }""",
            of=REPOSITORY | {"scheduleName": schedule},
            at=instant.timestamp(),
        )["scheduleDryRun"]["evaluationResult"]
        if data["error"]:
            raise RuntimeError(data["error"]["message"])
        requests: list[Json] = data["runRequests"]
        return requests

    def backfill(
        self,
        assets: Sequence[str],
        partitions: Sequence[str],
        title: str,
        config: Mapping[str, object] | None = None,
    ) -> str:
        """Launch a backfill, as from the page of an asset; its id."""
        data = self.ui.ask(
            """mutation($of: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $of) {
                 __typename ... on LaunchBackfillSuccess { backfillId }
                 ... on PythonError { message } } }""",
            of={
                "assetSelection": [{"path": asset.split("/")} for asset in assets],
                "partitionNames": list(partitions),
                "title": title,
                "runConfigData": config or {},
            },
        )["launchPartitionBackfill"]
        if "backfillId" not in data:
            raise RuntimeError(data)
        return str(data["backfillId"])

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's storage."""
        with (
            set_environment(self.environment),
            dg.DagsterInstance.from_config(str(self.folder / "dagster")) as instance,
        ):
            yield instance

    def runs(self) -> list[dg.DagsterRun]:
        """All runs, the newest first."""
        with self.instance() as instance:
            return list(instance.get_runs())

    def status(self, run_id: str) -> str:
        """Of a run."""
        data = self.ui.ask(
            "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run_id
        )
        return str(data["runOrError"]["status"])

    def wait_for(self, run_id: str, *good: str, seconds: float = PATIENCE) -> float:
        """Wait until a run has one of the statuses ``good`` (SUCCESS by default)."""
        wanted = good or ("SUCCESS",)

        def there() -> bool:
            status = self.status(run_id)
            if status in ENDED and status not in wanted:
                msg = f"run {run_id} is {status}\n{self.log('daemon')[-3000:]}"
                raise RuntimeError(msg)
            return status in wanted

        return self.until(there, seconds)

    def retried(self, run_id: str) -> str:
        """The run by which Dagster retried one; empty until it did."""
        with self.instance() as instance:
            run = instance.get_run_by_id(run_id)
            return run.tags.get("dagster/auto_retry_run_id", "") if run else ""


@contextlib.contextmanager
def set_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Within the block, the environment is ``variables``."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def empty(folder: Path) -> Path:
    """``folder``, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
