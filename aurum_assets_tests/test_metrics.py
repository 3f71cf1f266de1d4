"""Counts add up over processes, whatever kills them, and Prometheus can read what is shown."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import httpx
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from aurum_assets import ingest
from aurum_assets.cli import main
from aurum_assets.graph.metrics import measure_dagster
from aurum_assets.ingest.watch import Seen, measure
from aurum_assets.model.clock import HOUR
from aurum_assets.model.errors import SourceError
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.metrics import METRICS, Metrics
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import NOON, Aurum, Desk
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import recording

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

LOAD, CTS = ISONE_SYSTEM_LOAD, MISO_CTS


def parsed(exposition: str | bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample as Prometheus reads it: (name, labels without environment and source)."""
    text = exposition if isinstance(exposition, str) else exposition.decode()
    return {
        (s.name, frozenset((k, v) for k, v in s.labels.items() if k != "source")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def sample(resources: Resources, name: str, dataset: str = LOAD.key, **labels: str) -> float | None:
    of = {"dataset": dataset, "environment": resources.environment, **labels}
    return parsed(resources.metrics.exposition()).get((name, frozenset(of.items())))


def bring(desk: Desk) -> None:
    """One day's collection, as a run has it."""
    ingest.collect(desk.resources, LOAD, LOAD.day("2026-07-20"), feeds=["day"])
    ingest.check(desk.resources, ingest.normalize(desk.resources, LOAD, LOAD.day("2026-07-20")))


# --- what is counted -----------------------------------------------------------------------------


def test_a_collection_is_counted_timed_and_measured(live_desk: Desk) -> None:
    bring(live_desk)
    bring(live_desk)
    resources = live_desk.resources
    assert sample(resources, "aurum_collected_total") == 1
    assert sample(resources, "aurum_duplicates_total") == 1
    assert sample(resources, "aurum_api_seconds_count") == 2
    assert sample(resources, "aurum_upload_seconds_count") == 1
    assert sample(resources, "aurum_snapshot_rows_bucket", le="100.0") == 0
    assert sample(resources, "aurum_snapshot_rows_bucket", le="300.0") == 1
    assert sample(resources, "aurum_snapshot_rows_sum") == 288
    passed = {"check": "completeness", "severity": "WARN", "passed": "true"}
    assert sample(resources, "aurum_checks_total", **passed) == 2
    assert sample(resources, "aurum_last_answer_timestamp_seconds", feed="day") == NOON.timestamp()


def test_a_failure_is_counted_with_its_verb_and_error(live_desk: Desk, market: Running) -> None:
    market.simulator.fail(next="403", times=99)
    with pytest.raises(SourceError):
        bring(live_desk)
    failed = {"verb": "collect", "error": "SourceRefused"}
    assert sample(live_desk.resources, "aurum_failures_total", **failed) == 1


def test_what_was_kept_out_is_counted_once(desk: Desk) -> None:
    body = recording("miso_cts", "documented", "ordinary").body
    broken = body.replace(b'"dataQuality": "FORECAST"', b'"dataQuality": "GUESS"')
    assert broken != body
    desk.bring(CTS, broken, dialect="documented")
    desk.take(CTS, b"<html>sorry</html>")
    desk.resources.metrics.flush()
    rejected = sample(desk.resources, "aurum_rejected_snapshots_total", CTS.key)
    assert rejected is not None
    assert rejected >= 1


def test_the_operators_word_on_its_data_is_counted(desk: Desk) -> None:
    done = desk.bring(CTS, recording("miso_cts", "documented", "ordinary").body).done
    (value,) = done.rows["data_quality"].unique()
    counted = sample(desk.resources, "aurum_data_quality_total", CTS.key, value=value)
    assert counted == len(done.rows) > 0


def test_quarantined_rows_are_counted_when_they_are_new(desk: Desk) -> None:
    body = recording("isone_rt_lmp", "live", "ordinary").body
    broken = body.replace(b'"LossComponent": ', b'"LossComponent": 9', 1)
    lmp = next(d for d in DATASETS if d.key == "isone_rt_lmp")
    assert desk.bring(lmp, broken).done.quarantined == 1
    desk.bring(lmp, broken, force=True)
    assert sample(desk.resources, "aurum_quarantined_rows_total", lmp.key) == 1
    measure(Seen(desk.resources, DATASETS, desk.resources.now()))
    assert sample(desk.resources, "aurum_quarantine_rows", lmp.key) == 1


# --- gauges --------------------------------------------------------------------------------------


def test_the_lag_is_that_of_the_tables_at_the_scrape_and_grows_while_nothing_runs(
    live_desk: Desk,
) -> None:
    resources = live_desk.resources
    ingest.collect(resources, LOAD, LOAD.day("2026-07-21"), feeds=["now"])
    ingest.normalize(resources, LOAD, LOAD.day("2026-07-21"))
    measure(Seen(resources, DATASETS, resources.now()))
    until = max(live_desk.rows(LOAD)["interval_end"])
    assert sample(resources, "aurum_interval_lag_seconds") == (NOON - until).total_seconds()
    live_desk.clock.set(NOON + HOUR)
    assert sample(resources, "aurum_fetch_lag_seconds") == 3600
    assert sample(resources, "aurum_answer_lag_seconds", feed="now") == 3600


def test_degraded_mode_is_a_gauge_that_falls_again(desk: Desk, tmp_path: Path) -> None:
    resources = desk.resources
    broken = tmp_path / "aurum" / "state.sqlite"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no database, and long enough to be seen as none" * 100)
    measure(Seen(resources, DATASETS, resources.now()))
    assert sample(resources, "aurum_degraded", "", part="registry") == 1
    broken.unlink()
    measure(Seen(resources, DATASETS, resources.now()))
    assert sample(resources, "aurum_degraded", "", part="registry") == 0


# --- processes -----------------------------------------------------------------------------------


def metrics(path: Path) -> Metrics:
    return Metrics(path, "dev", lambda: NOON)


def _count(path: Path, times: int) -> None:
    for _ in range(times):
        ours = metrics(path)
        with ours.verb("collect", LOAD):
            ours.count("collected", LOAD)
            ours.observe("api_seconds", LOAD, 0.2)


def _count_for_ever(path: Path, ready: "Queue[int]") -> None:
    ready.put(os.getpid())
    _count(path, 10**9)


def total(path: Path) -> tuple[float, float, float]:
    """Collected, answers and seconds."""
    found = parsed(metrics(path).exposition())
    of = frozenset({"dataset": LOAD.key, "environment": "dev"}.items())
    names = ("aurum_collected_total", "aurum_api_seconds_count", "aurum_api_seconds_sum")
    collected, answers, seconds = (found[name, of] for name in names)
    return collected, answers, seconds


def test_counts_of_processes_add_up(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    workers = [FORKS.Process(target=_count, args=(path, 30)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    collected, answers, seconds = total(path)
    assert (collected, answers) == (60, 60)
    assert seconds == pytest.approx(12)


@pytest.mark.slow
def test_kill_9_loses_no_count_that_was_written_and_no_counter_falls(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    ready: Queue[int] = FORKS.Queue()
    workers = [FORKS.Process(target=_count_for_ever, args=(path, ready)) for _ in range(2)]
    for worker in workers:
        worker.start()
    before = 0.0
    for pid in [ready.get(timeout=30) for _ in workers]:
        time.sleep(0.4)
        os.kill(pid, signal.SIGKILL)
        collected, answers, _ = total(path)
        assert collected >= before
        before = collected
    for worker in workers:
        worker.join()
    collected, answers, seconds = total(path)
    assert collected == answers > 0, "a transaction is whole or not at all"
    assert seconds == pytest.approx(answers * 0.2)


def test_a_file_that_cannot_be_written_fails_no_verb(live_desk: Desk, tmp_path: Path) -> None:
    blocked = tmp_path / "aurum" / "metrics.sqlite"
    blocked.mkdir(parents=True)
    bring(live_desk)
    assert len(live_desk.rows(LOAD)) == 288


# --- two ways out --------------------------------------------------------------------------------


def test_the_exposition_holds_every_metric_with_its_type_and_is_read_back(desk: Desk) -> None:
    resources = desk.resources
    for name, metric in METRICS.items():
        more = ['a"b\n\\c'] * len(metric.labels)
        if metric.kind == "counter":
            resources.metrics.count(name, LOAD, *more)
        elif metric.kind == "gauge":
            resources.metrics.hold(name, LOAD, 1, *more)
        else:
            resources.metrics.observe(name, LOAD, 1e9)
    resources.metrics.flush()
    families = {
        f.name: f for f in text_string_to_metric_families(resources.metrics.exposition().decode())
    }
    assert {n: f.type for n, f in families.items()} == {
        f"aurum_{n}": m.kind for n, m in METRICS.items()
    }
    assert all(f.samples for f in families.values())
    for family in families.values():
        for found in family.samples:
            assert {"source", "dataset", "environment"} <= set(found.labels)
            assert set(found.labels.values()) <= {LOAD.key, "isone", "dev", 'a"b\n\\c', "+Inf"} | {
                str(b) for b in METRICS[family.name.removeprefix("aurum_")].bounds
            }


def test_the_file_is_written_after_each_verb_and_never_seen_half(
    live_desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "textfile" / "aurum.prom"
    resources = remade(live_desk.resources, metrics_file=file, environment="prod")
    bring(Desk(resources, live_desk.clock))
    of = frozenset({"dataset": LOAD.key, "environment": "prod"}.items())
    assert parsed(file.read_bytes())["aurum_collected_total", of] == 1
    assert [p.name for p in file.parent.iterdir()] == ["aurum.prom"]


@pytest.fixture
def environment(live_desk: Desk) -> Mapping[str, str]:
    bring(live_desk)
    return {"AURUM_HOME": str(live_desk.resources.root), "AURUM_NOW": NOON.isoformat()}


def test_the_command_prints_them_once(environment: Mapping[str, str]) -> None:
    result = CliRunner(env=environment).invoke(main, ["metrics", "--once"])
    assert result.exit_code == 0, result.output
    of = frozenset({"dataset": LOAD.key, "environment": "dev"}.items())
    found = parsed(result.stdout)
    assert found["aurum_collected_total", of] == 1
    assert found["aurum_interval_lag_seconds", of] == 12 * 3600


@pytest.mark.slow
def test_the_endpoint_serves_what_other_processes_counted_on_loopback_only(
    environment: Mapping[str, str], live_desk: Desk
) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    ours = "from aurum_assets.cli import main; main()"
    program = [sys.executable, "-c", ours, "metrics", "--port", str(port)]
    with subprocess.Popen(  # noqa: S603  our own program
        program, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    ) as served:
        try:
            assert served.stdout is not None
            url = served.stdout.readline().strip()
            assert url == f"http://127.0.0.1:{port}/metrics"
            of = frozenset({"dataset": LOAD.key, "environment": "dev"}.items())
            assert parsed(httpx.get(url, timeout=20).text)["aurum_collected_total", of] == 1
            bring(live_desk)
            assert parsed(httpx.get(url, timeout=20).text)["aurum_duplicates_total", of] == 1
        finally:
            served.terminate()


def test_a_port_that_is_taken_is_a_sentence(environment: Mapping[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner(env=environment).invoke(main, ["metrics", "--port", port])
    assert result.exit_code == 1
    assert "choose another with --port" in result.output


@pytest.mark.slow
def test_prometheus_client_is_not_imported_by_a_run_that_shows_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from aurum_assets.definitions import defs; "
        "assert 'prometheus_client' not in sys.modules"
    )
    environment = {"AURUM_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)  # noqa: S603  ours


def test_a_day_that_is_out_ahead_lags_by_less_than_nothing(live_desk: Desk) -> None:
    live_desk.clock.set(NOON + 3 * HOUR)
    resources = live_desk.resources
    ingest.collect(resources, ISONE_DA_LMP, ISONE_DA_LMP.day("2026-07-22"), feeds=["day"])
    ingest.normalize(resources, ISONE_DA_LMP, ISONE_DA_LMP.day("2026-07-22"))
    measure(Seen(resources, DATASETS, resources.now()))
    lag = sample(resources, "aurum_interval_lag_seconds", ISONE_DA_LMP.key)
    assert lag == -33 * 3600


# --- of Dagster, and of no home ------------------------------------------------------------------


def test_a_gauge_of_which_all_values_are_held_keeps_no_other(tmp_path: Path) -> None:
    ours = metrics(tmp_path / "metrics.sqlite")
    ours.hold_all("runs", {("queued",): 3, ("started",): 1})
    ours.hold("degraded", None, 1, "lake")
    ours.flush()
    ours.hold_all("runs", {("queued",): 5, ("starting",): 4})
    ours.hold_all("runs", {("queued",): 2})
    ours.flush()
    found = parsed(metrics(tmp_path / "metrics.sqlite").exposition())
    shown = {(name, dict(labels).get("status"), value) for (name, labels), value in found.items()}
    assert shown == {("aurum_runs", "queued", 2), ("aurum_degraded", None, 1)}


def test_runs_under_way_are_counted_and_those_that_ended_are_not(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS):
        instance.add_run(dg.DagsterRun("isone_daily", status=status))
    measure_dagster(desk.resources.metrics, instance)
    held = {s: sample(desk.resources, "aurum_runs", "", status=s) for s in ("queued", "started")}
    assert held == {"queued": 0, "started": 1}
    assert sample(desk.resources, "aurum_runs", "", status="success") is None


@pytest.mark.slow
def test_without_a_home_no_sample_is_served_until_one_is_made(
    aurum: Aurum, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """As in a deployment whose first run is still to come."""
    home = tmp_path / "fresh"
    ours = "from aurum_assets.cli import main; main()"
    program = [sys.executable, "-c", ours, "metrics", "--port", "0"]
    with subprocess.Popen(  # noqa: S603  our own program
        program,
        env={**os.environ, **environment, "AURUM_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as served:
        try:
            assert served.stdout is not None
            assert served.stderr is not None
            url = served.stdout.readline().strip()
            assert f"There is no home in {home} yet" in served.stderr.readline()
            text = httpx.get(url, timeout=20).text
            assert parsed(text) == {}
            assert "# TYPE aurum_collected_total counter" in text
            assert not home.exists()
            body = recording(LOAD.key, "live", "ordinary").body
            (tmp_path / "load.json").write_bytes(body)
            done = aurum(
                "load", "--dataset", LOAD.key, tmp_path / "load.json", AURUM_HOME=str(home)
            )
            assert done.exit_code == 0, done.output
            held = parsed(httpx.get(url, timeout=20).text)
            assert "aurum_interval_lag_seconds" in {name for name, _ in held}
        finally:
            served.terminate()
