"""``aurum probe``: every endpoint once, its dialect and drift in sentences, and no trace of it."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from aurum_assets import ingest
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Aurum, Desk, printed
from aurum_assets_tests.made import remade

LOAD = next(d for d in DATASETS if d.key == "isone_system_load")
CTS = next(d for d in DATASETS if d.key == "miso_cts")
CANARY = "canary-51c2"


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where requests are counted that leave before there is a home."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def probed(desk: Desk, *datasets: Dataset) -> dict[str, ingest.Probed]:
    return {p.endpoint: p for p in ingest.probe(desk.resources, datasets)}


def test_each_endpoint_is_asked_once_and_speaks_as_config_says(
    live_desk: Desk, market: Running
) -> None:
    found = probed(live_desk, LOAD, CTS)
    assert len(market.simulator.requests) == len(found) == 6
    assert {p.state for p in found.values()} == {"ok"}
    assert all(p.dialect == p.expected and p.status == 200 for p in found.values())
    assert (found["cts_day"].asked, found["cts_live"].asked) == ("2026-07-20", None)
    assert found["cts_day"].records == 2 * 288
    assert all(p.drift == () for p in found.values())


def test_a_probe_leaves_no_trace_but_in_the_limits(live_desk: Desk, market: Running) -> None:
    (live_desk.resources.root / "archive").mkdir(parents=True)
    market.simulator.fail("403", times=3)
    probed(live_desk, LOAD, CTS)
    resources = live_desk.resources
    assert resources.origin == ""
    assert {p.name.partition("-")[0] for p in resources.root.iterdir()} <= {
        "archive",
        "limits.sqlite",
        "state.sqlite",
    }
    assert resources.state.keys("") == []


def test_drift_is_reported_as_a_sentence(live_desk: Desk, market: Running) -> None:
    market.simulator.fail("field_renamed", match="/fiveminutesystemload/day", times=1)
    market.simulator.fail("field_added", match="date=", times=1)
    market.simulator.fail("malformed", match="CoordinatedTransactionScheduling", times=1)
    found = probed(live_desk, LOAD, CTS)
    states = {name: p.state for name, p in found.items()}
    assert sorted(states.values()) == ["drift", "ok", "ok", "ok", "ok", "unreadable"]
    (drifted,) = (p for p in found.values() if p.state == "drift")
    assert drifted.drift[0].startswith("ERROR renamed: field LoadMw (number) is gone")
    assert found["cts_day"].drift[0].startswith("WARN added: ")
    assert "not JSON" in found["cts_live"].reason


def test_another_dialect_than_the_expected_one_is_drift(live_desk: Desk, market: Running) -> None:
    market.simulator.world = replace(market.simulator.world, dialect="documented")
    found = probed(live_desk, CTS)["cts_live"]
    assert (found.state, found.dialect, found.expected) == ("drift", "documented", "live")
    assert found.drift == ("answers in dialect documented, where config expects live",)


def test_what_an_operator_refuses_or_cannot_say_is_told_apart(
    live_desk: Desk, market: Running
) -> None:
    market.simulator.fail("403", match="date=")
    market.simulator.fail("500", match="CoordinatedTransactionScheduling")
    found = probed(live_desk, CTS)
    assert (found["cts_day"].state, found["cts_day"].status) == ("refused", 403)
    assert found["cts_live"].state == "unavailable"


def test_nobody_waits_for_a_limit(live_desk: Desk, market: Running) -> None:
    desk = replace(live_desk, resources=remade(live_desk.resources, limit_scale=1))
    assert probed(desk, CTS)["cts_live"].state == "ok"
    again = probed(desk, CTS)["cts_live"]
    assert again.state == "not asked"
    assert "waiting for the limit: next request in 6" in again.reason
    assert len(market.simulator.requests) == 3
    assert not desk.resources.root.exists(), "none is made by looking"
    (desk.resources.root / "archive").mkdir(parents=True)
    assert probed(desk, CTS)["cts_live"].state == "not asked", "what was asked before it counts"


@pytest.mark.parametrize(
    ("fault", "code"), [("", 0), ("field_vanished", 3), ("field_added", 0), ("500", 1)]
)
def test_the_exit_code_says_whether_each_feed_is_spoken_as_expected(
    aurum: Aurum, market: Running, fault: str, code: int
) -> None:
    if fault:
        market.simulator.fail(fault, times=9, match="date=")
    result = aurum("probe", "--dataset", "miso_cts", "--json")
    assert result.exit_code == code, result.output
    assert [p["endpoint"] for p in printed(result)["probed"]] == ["cts_live", "cts_day"]


def test_probing_without_credentials_asks_nobody_and_is_exit_code_1(
    aurum: Aurum, market: Running
) -> None:
    nothing = {"ISONE_USERNAME": "", "ISONE_PASSWORD": ""}
    result = aurum("probe", "--operator", "isone", "--dataset", LOAD.key, **nothing)
    assert result.exit_code == 1
    assert "set ISONE_USERNAME and ISONE_PASSWORD" in result.stderr
    assert market.simulator.requests == []
    lines = result.stdout.splitlines()
    assert lines[0].split("\t")[:4] == ["endpoint", "asked", "state", "status"]
    wrong = aurum("probe", "--dataset", LOAD.key, ISONE_PASSWORD=CANARY)
    assert wrong.exit_code == 1
    assert CANARY not in wrong.output
