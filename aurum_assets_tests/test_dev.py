"""What ``make dev`` starts: what its console shows, what it refuses, how it ends."""

import datetime as dt
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurum_assets import ingest
from aurum_assets.demo import demo_resources
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.made import made
from aurum_assets_tests.proofs.prove_dev import free_port, run_dev

LOAD = ISONE_SYSTEM_LOAD


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def start(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aurum_assets.dev", *arguments]
    homes = {"AURUM_HOME": str(root), "DAGSTER_HOME": str(root), "AURUM_ENV_FILE": "/dev/null"}
    return subprocess.run(command, env=homes, capture_output=True, text=True, check=False)  # noqa: S603  our own


@pytest.mark.parametrize("variable", ["UI_PORT", "SIMULATOR_PORT"])
def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path, taken: int, variable: str) -> None:
    ports = {"UI_PORT": free_port(), "SIMULATOR_PORT": free_port(), variable: taken}
    done = start(
        tmp_path, "--port", str(ports["UI_PORT"]), "--simulator-port", str(ports["SIMULATOR_PORT"])
    )
    assert done.returncode == 1
    why = f"port {taken} cannot be used (address already in use)"
    assert done.stderr == f"Error: {why}: choose another, e.g. {variable}={taken + 1}\n"
    assert done.stdout == ""


def test_a_home_of_real_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "origin").write_text("real")
    done = start(tmp_path, "--port", str(free_port()), "--simulator-port", str(free_port()))
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {tmp_path} holds real data")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_console_tells_of_runs_and_nothing_else_and_an_interrupt_ends_all(
    tmp_path: Path, configuration: Configuration
) -> None:
    """On a home that held a day long ago: one repair of yesterday, one of today, no alert."""
    root = tmp_path / "aurum"
    clock = SetClock(dt.datetime(2025, 7, 14, 16, tzinfo=dt.UTC))
    with Simulator(clock, limits={}).serve() as running:
        resources = demo_resources(made(root=root, configuration=configuration), running, clock)
        ingest.collect(resources, LOAD, LOAD.day("2025-07-14"), feeds=["day"])
        ingest.normalize(resources, LOAD, LOAD.day("2025-07-14"))
    console = run_dev(root, lambda seen: len(seen.runs) >= 2, 120)
    assert console.others == []
    assert len(console.runs) >= 2
    assert all(re.search(r": done in \d+ s$", line) for line in console.runs)
    heading = console.lines[:4]
    assert [line.split()[0] for line in heading] == ["UI", "operators", "home", "stop"]
    assert console.lines[-1] == "Stopped."
    assert console.code == 0
    assert console.seconds_to_end < 15
    assert console.left == []
    assert resources.alerts.open == []


def test_make_starts_it_and_waits_for_its_end() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    assert makefile.count("exec $(BIN)/python -m aurum_assets.dev") == 2
