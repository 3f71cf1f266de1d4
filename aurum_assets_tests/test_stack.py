"""The deployment of ``deploy/`` as processes, for two instants: ``make stack`` does an hour."""

import copy
from contextlib import suppress
from typing import Any

import psutil
import pytest
import yaml

from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests import deployed
from aurum_assets_tests.proofs.prove_stack import MACHINES, Trial, prove_stack

GIVEN = dict.fromkeys(deployed.env_file(".env.example"), "letters")
HERE = {"postgres:5432": "127.0.0.1:1", "redis:6379": "127.0.0.1:2", "http://s3:9000": "http://s"}


def test_ticks_and_a_backfill_go_on_when_a_machine_is_lost() -> None:
    said: list[str] = []
    seen: dict[str, Any] = {}

    def look(trial: Trial) -> None:
        stack = trial.stack
        seen["processes"] = [p for name in stack.processes for p in stack.children(name)]
        seen["environment"] = stack.environment
        homes = [stack.folder / machine / "dagster" / "dagster.yaml" for machine in MACHINES]
        seen["homes"] = [file.exists() for file in homes]

    options = ("--processes", "1", "--tick-processes", "0")
    proof = prove_stack(
        4, 2, locations=3, whole=False, options=options, tell=said.append, until=look
    )
    assert proof.broken == []
    assert (proof.counts["ticks asked"], proof.counts["of them green"]) == (3, 3)
    assert int(proof.counts["of them retried"]) >= 1
    assert proof.counts["days backfilled"] == 2
    assert any("which was killed" in name for name in proof.counts)
    assert seen["homes"] == [True, True]
    for name, value in deployed.env_file("aurum.env").items():
        assert seen["environment"][name] == ("" if name == "AURUM_SCHEDULES" else value)
    assert [p for p in seen["processes"] if _lives(p)] == [], "nothing outlives it"
    assert said[-1] == "stopping all of it"


def test_the_stack_starts_every_part_of_ours_by_the_words_of_the_compose_file() -> None:
    services = deployed.compose()["services"]
    ours = {name for name, one in services.items() if one["image"].startswith("aurum-assets")}
    assert set(deployed.SERVICES.values()) == ours - {"setup"}  # dagster.yaml is written for each
    assert len(MACHINES) == services["worker"]["deploy"]["replicas"]
    for part in deployed.SERVICES:
        words = deployed.command(part, PROJECT / "workspace.yaml", 12345)
        assert ("12345" in words) == (part in deployed.PORTS)
        assert not any(word.startswith(("0.0.0.0", "/app/")) for word in words), words  # noqa: S104


def _lives(process: psutil.Process) -> bool:
    """A zombie does not: it has ended, and waits for whoever adopted it to ask."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def changed(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Have the Compose file give the parts of ours another variable."""
    found = copy.deepcopy(deployed.compose())
    found["services"]["worker"]["environment"][name] = value
    monkeypatch.setattr(deployed, "compose", lambda: found)


def test_the_variables_are_those_of_the_env_file_and_the_compose_file() -> None:
    found = deployed.variables(GIVEN, HERE)
    services = deployed.compose()["services"]
    assert found.keys() == deployed.env_file("aurum.env").keys() | services["worker"]["environment"]
    assert found["AURUM_REDIS_URL"] == "redis://:letters@127.0.0.1:2/0"
    assert found["AURUM_ARCHIVE"] == deployed.env_file("aurum.env")["AURUM_ARCHIVE"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://grafana:3000", "AURUM_NEW has an address that is not replaced"),
        ("${KAFKA_PASSWORD:?set it}", "needs KAFKA_PASSWORD, of which the stack knows nothing"),
    ],
)
def test_a_variable_of_compose_that_the_stack_does_not_know_is_an_error(
    value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(monkeypatch, "AURUM_NEW", value)
    with pytest.raises(ValueError, match=said):
        deployed.variables(GIVEN, HERE)


def test_the_workspace_is_that_of_the_deployment_with_an_address_here() -> None:
    theirs = yaml.safe_load((deployed.DEPLOY / "workspace.yaml").read_text())
    (server,) = (one["grpc_server"] for one in theirs["load_from"])
    (ours,) = (o["grpc_server"] for o in yaml.safe_load(deployed.workspace(5))["load_from"])
    assert ours == server | {"host": "127.0.0.1", "port": 5}
