"""The stack of processes is the deployment of ``deploy/``: ``make stack`` lets it run an hour."""

import copy

import pytest
import yaml

from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests import deployed
from aurum_assets_tests.proofs.prove_stack import MACHINES

GIVEN = dict.fromkeys(deployed.env_file(".env.example"), "letters")
HERE = {"postgres:5432": "127.0.0.1:1", "redis:6379": "127.0.0.1:2", "http://s3:9000": "http://s"}


def test_the_stack_starts_every_part_of_ours_by_the_words_of_the_compose_file() -> None:
    services = deployed.compose()["services"]
    ours = {name for name, one in services.items() if one["image"].startswith("aurum-assets")}
    assert set(deployed.SERVICES.values()) == ours - {"setup"}  # dagster.yaml is written for each
    assert len(MACHINES) == services["worker"]["deploy"]["replicas"]
    for part in deployed.SERVICES:
        words = deployed.command(part, PROJECT / "workspace.yaml", 12345)
        assert ("12345" in words) == (part in deployed.PORTS)
        assert not any(word.startswith(("0.0.0.0", "/app/")) for word in words), words  # noqa: S104


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
