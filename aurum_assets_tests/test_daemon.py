"""Operated as in production: webserver, daemon and code server, backfills and schedules of theirs.

Three processes, driven by the GraphQL that the UI itself uses, against the simulated operators.
"""

import contextlib
import datetime as dt
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aurum_assets.model.checks import checks_of
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.metrics import Metrics
from aurum_assets.simulator.server import Simulator
from aurum_assets_tests.conftest import config_of
from aurum_assets_tests.servers.redis import free_port

pytestmark = pytest.mark.slow

LOAD = ISONE_SYSTEM_LOAD
DAYS = 2
ENABLED = {LOAD.key, "isone_da_lmp"}  # whose days the daemon looks for by a sensor
SCHEDULE = "isone_five_minutes_schedule"
SELECTOR = {"repositoryName": "__repository__", "repositoryLocationName": "aurum_assets"}
PATIENCE = 150.0
Json = dict[str, Any]
_ALWAYS = ("source", "dataset", "environment")


@dataclass
class Operated:
    """The processes' address and folders, and what was launched."""

    url: str
    root: Path
    days: list[str]
    backfill: str = ""

    def ask(self, query: str, **variables: object) -> Json:
        """The data that the webserver answers to ``query``."""
        answer = httpx.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=30
        ).json()
        assert "errors" not in answer, answer["errors"]
        data: Json = answer["data"]
        return data

    def waits_for(self, what: Callable[[], str], good: str, bad: tuple[str, ...]) -> None:
        """Ask until ``what`` says ``good``."""
        until = time.monotonic() + PATIENCE
        while (text := what()) != good:
            assert text not in bad, f"{text}\n{self.log()}"
            assert time.monotonic() < until, f"still {text}\n{self.log()}"
            time.sleep(1)

    def log(self) -> str:
        """The last output of the processes."""
        return "\n".join(p.read_text()[-3000:] for p in sorted(self.root.glob("*.log")))


@contextlib.contextmanager
def process(root: Path, environment: dict[str, str], *arguments: str) -> Iterator[None]:
    """A command of Dagster's, until the block ends; what it says goes to a file."""
    command = [str(Path(sys.executable).parent / arguments[0]), *arguments[1:]]
    with (root / f"{arguments[0]}.log").open("w") as log:
        started = subprocess.Popen(  # noqa: S603  our own environment
            command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            started.terminate()
            started.wait(30)


def answering(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info", timeout=5).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """A backfill launched and a tick of the schedule missed; then the daemon is started."""
    root = tmp_path_factory.mktemp("operated")
    dagster_home = root / "dagster"
    dagster_home.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", dagster_home)
    code, web = free_port(), free_port()
    (root / "workspace.yaml").write_text(
        "load_from:\n  - grpc_server: "
        f"{{host: 127.0.0.1, port: {code}, location_name: aurum_assets}}\n"
    )
    workspace = ("-w", str(root / "workspace.yaml"))
    with Simulator(locations=3, limits={}).serve() as market, contextlib.ExitStack() as stack:
        environment = {n: v for n, v in os.environ.items() if not n.startswith("AURUM_")} | {
            "AURUM_HOME": str(root / "aurum"),
            "AURUM_CONFIG": str(config_of(root / "config", ENABLED)),
            "DAGSTER_HOME": str(dagster_home),
            "AURUM_SCHEDULES": "running",
            "AURUM_LIMIT_SCALE": "1000",
            **market.environment,
            "ISONE_API_KEY": "",  # by user name and password
        }

        def run(*arguments: str) -> None:
            stack.enter_context(process(root, environment, *arguments))

        with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
            instance.get_runs_count()  # two processes that make the storage at once may both fail
        run("dagster", "api", "grpc", "-m", "aurum_assets.definitions", "-p", str(code))
        run("dagster-webserver", *workspace, "-h", "127.0.0.1", "-p", str(web))
        today = LOAD.operator.day_of(dt.datetime.now(dt.UTC))
        days = [today.plus(-n).key for n in range(DAYS, 0, -1)]
        found = Operated(f"http://127.0.0.1:{web}", root, days)
        found.waits_for(lambda: str(answering(found.url)), "True", ())
        found.waits_for(lambda: location_status(found), "LOADED", ())
        found.backfill = launch_backfill(found)
        miss_a_beat(found, dagster_home)
        run("dagster-daemon", "run", *workspace)
        yield found


def location_status(operated: Operated) -> str:
    data = operated.ask(
        """{ workspaceOrError { ... on Workspace { locationEntries {
             loadStatus locationOrLoadError { __typename
               ... on PythonError { message } } } } } }"""
    )
    entries = data["workspaceOrError"]["locationEntries"]
    kinds = {e["locationOrLoadError"]["__typename"] for e in entries if e["locationOrLoadError"]}
    return "LOADED" if kinds == {"RepositoryLocation"} else str(entries)


def launch_backfill(operated: Operated) -> str:
    launched = operated.ask(
        """mutation($params: LaunchBackfillParams!) {
             launchPartitionBackfill(backfillParams: $params) {
               __typename ... on LaunchBackfillSuccess { backfillId }
               ... on PythonError { message } } }""",
        params={
            "assetSelection": [{"path": ["raw", LOAD.key]}, {"path": ["market", LOAD.key]}],
            "partitionNames": operated.days,
            "title": "days that were missed",
        },
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return str(launched["backfillId"])


def miss_a_beat(operated: Operated, dagster_home: Path) -> None:
    """Let the schedule have begun six minutes ago, so that nobody waits for the next tick."""
    operated.ask(
        """mutation($of: ScheduleSelector!) { resetSchedule(scheduleSelector: $of) {
             __typename ... on PythonError { message } } }""",
        of=SELECTOR | {"scheduleName": SCHEDULE},
    )
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        (state,) = (s for s in instance.all_instigator_state() if s.name == SCHEDULE)
        data = cast("Any", state.instigator_data)  # a named tuple of a private module
        earlier = data._replace(start_timestamp=time.time() - 360, last_iteration_timestamp=None)
        instance.update_instigator_state(state.with_data(earlier))


def backfill_status(operated: Operated) -> str:
    data = operated.ask(
        """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
             __typename ... on PartitionBackfill { status error { message } } } }""",
        id=operated.backfill,
    )
    return str(data["partitionBackfillOrError"].get("status", data))


def runs(operated: Operated, key: str, value: str) -> list[Json]:
    data = operated.ask(
        """query($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results {
             runId status jobName tags { key value } } } } }""",
        filter={"tags": [{"key": key, "value": value}]},
    )
    found: list[Json] = data["runsOrError"]["results"]
    return found


def executions(operated: Operated, check: str, day: str) -> list[Json]:
    data = operated.ask(
        """query($key: AssetKeyInput!, $check: String!, $day: String!) {
             assetCheckExecutions(assetKey: $key, checkName: $check, partition: $day, limit: 10) {
               status partition evaluation { success description } } }""",
        key={"path": ["market", LOAD.key]},
        check=check,
        day=day,
    )
    found: list[Json] = data["assetCheckExecutions"]
    return found


def test_a_backfill_from_the_ui_fills_every_day_and_reports_each_by_itself(
    operated: Operated, configuration: Configuration
) -> None:
    failed = ("COMPLETED_FAILED", "FAILED", "CANCELED", "FAILING")
    operated.waits_for(lambda: backfill_status(operated), "COMPLETED_SUCCESS", failed)
    ran = runs(operated, "dagster/backfill", operated.backfill)
    assert [r["status"] for r in ran] == ["SUCCESS"] * DAYS
    for day in operated.days:
        for check in checks_of(LOAD.table, configuration.datasets[LOAD.key]):
            (execution,) = executions(operated, check, day)
            assert execution["status"] == "SUCCEEDED", execution
            assert execution["partition"] == day
            assert execution["evaluation"]["success"], execution
    rows = Lake.local(operated.root / "aurum" / "lake").read(LOAD.table)
    counts = dict(rows["operating_day"].value_counts().rows())
    days = {
        dt.date.fromisoformat(d): len(LOAD.day(d).marks(LOAD.interval())) for d in operated.days
    }
    assert {d: n for d, n in counts.items() if d in days} == days


def test_the_ui_shows_every_day_as_materialized_with_its_numbers(operated: Operated) -> None:
    operated.waits_for(lambda: backfill_status(operated), "COMPLETED_SUCCESS", ())
    data = operated.ask(
        """query($key: AssetKeyInput!, $days: [String!]) { assetNodeOrError(assetKey: $key) {
             ... on AssetNode { assetMaterializations(partitions: $days, limit: 50) { partition
               metadataEntries { label ... on IntMetadataEntry { intValue } } } } } }""",
        key={"path": ["market", LOAD.key]},
        days=operated.days,
    )
    found = data["assetNodeOrError"]["assetMaterializations"]
    assert {m["partition"] for m in found} == set(operated.days)
    for materialization in found:
        numbers = {e["label"]: e.get("intValue") for e in materialization["metadataEntries"]}
        assert numbers["new"] == numbers["dagster/partition_row_count"]
        assert numbers["quarantined"] == numbers["rejected"] == 0


def test_a_beat_that_was_missed_is_run_by_the_daemon(operated: Operated) -> None:
    def status() -> str:
        found = runs(operated, "dagster/schedule_name", SCHEDULE)
        return found[-1]["status"] if found else "NONE"

    operated.waits_for(status, "SUCCESS", ("FAILURE", "CANCELED"))
    first = runs(operated, "dagster/schedule_name", SCHEDULE)[-1]
    assert first["jobName"] == "isone_five_minutes"
    tags = {t["key"]: t["value"] for t in first["tags"]}
    assert not [name for name in tags if name.startswith("aurum/")], "the job's name says it all"
    lake = Lake.local(operated.root / "aurum" / "lake")
    today = dt.date.fromisoformat(tags["dagster/partition"])
    assert len(lake.read(LOAD.table, {"operating_day": today})) >= 1


def test_schedules_are_running_because_the_environment_says_so(operated: Operated) -> None:
    data = operated.ask(
        """query($of: RepositorySelector!) { schedulesOrError(repositorySelector: $of) {
             ... on Schedules { results { name scheduleState { status } } } } }""",
        of=SELECTOR,
    )
    found = data["schedulesOrError"]["results"]
    assert {s["name"].removesuffix("_schedule") for s in found} == {
        *("isone_five_minutes", "isone_daily"),
        *("reference_daily", "maintenance", "data_quality_hourly"),
        *("marts_hourly", "marts_daily", "report_hourly", "report_daily"),
    }
    assert {s["scheduleState"]["status"] for s in found} == {"RUNNING"}


def test_sensors_are_evaluated_by_the_daemon_and_none_fails(operated: Operated) -> None:
    def ticked() -> str:
        data = operated.ask(
            """query($of: RepositorySelector!) { sensorsOrError(repositorySelector: $of) {
                 ... on Sensors { results { sensorState { status
                   ticks(limit: 5) { status } } } } } }""",
            of=SELECTOR,
        )
        states = [s["sensorState"] for s in data["sensorsOrError"]["results"]]
        ticks = [{t["status"] for t in s["ticks"]} for s in states]
        if any("FAILURE" in statuses for statuses in ticks):
            return "FAILURE"
        done = all(statuses & {"SUCCESS", "SKIPPED"} for statuses in ticks)
        return f"{len(ticks)} done" if done else "waiting"

    operated.waits_for(ticked, "6 done", ("FAILURE",))


def test_what_the_daemon_does_is_measured(operated: Operated) -> None:
    """By the sensor watch: heartbeats, the last ticks, the runs that wait or run."""

    def shown() -> dict[str, set[tuple[str, ...]]]:
        path = operated.root / "aurum" / "metrics.sqlite"
        text = Metrics(path, "dev", lambda: dt.datetime.now(dt.UTC)).exposition().decode()
        found: dict[str, set[tuple[str, ...]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                of = {k: v for k, v in sample.labels.items() if k not in _ALWAYS}
                found.setdefault(sample.name, set()).add(tuple(of.values()))
                if sample.name.endswith(("heartbeat_lag_seconds", "tick_lag_seconds")):
                    assert 0 <= sample.value < PATIENCE * 4, (sample.name, of)
        return found

    operated.waits_for(lambda: str("aurum_runs" in shown()), "True", ())
    found = shown()
    assert found["aurum_runs"] == {("queued",), ("starting",), ("started",)}
    assert ("SENSOR",) in found["aurum_daemon_heartbeat_lag_seconds"]
    assert ("sensor", "watch") in found["aurum_tick_lag_seconds"], "which is under way meanwhile"
    assert {kind for kind, _ in found["aurum_tick_lag_seconds"]} <= {"schedule", "sensor"}
