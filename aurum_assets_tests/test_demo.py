"""The demo shows a full day and live ticks of every dataset, green, and adds nothing twice."""

from functools import partial

import dagster as dg
import pytest

from aurum_assets import demo
from aurum_assets.ingest import status
from aurum_assets.markets import DATASETS
from aurum_assets.resources.settings import Home
from aurum_assets.simulator.server import Simulator

LOCATIONS, NODES, TICKS = 3, 2, 3
SNAPSHOTS = {"isone_rt_lmp": 24 + TICKS, "isone_system_load": 1 + TICKS, "miso_cts": 2}


def test_the_demo_is_green_and_a_second_one_adds_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Smaller than ``make demo``: three locations, three ticks, nothing of Dagster's on disk."""
    monkeypatch.setattr(demo, "dagster_instance", lambda _: dg.DagsterInstance.ephemeral())
    monkeypatch.setattr(demo, "TICKS", TICKS)
    monkeypatch.setattr(demo, "Simulator", partial(Simulator, locations=LOCATIONS, nodes=NODES))
    told: list[str] = []
    first = demo.run_demo(home, told.append)
    assert first.failures == []
    assert set(first.lines) == {d.key for d in DATASETS}
    assert sum("live tick" in text for text in told) == TICKS + 1
    lmp = first.lines["isone_rt_lmp"]
    assert lmp.rows == lmp.rows_added == (288 + TICKS + 1) * LOCATIONS
    assert first.lines["isone_system_load"].rows == 288 + TICKS
    for line in first.lines.values():
        assert line.snapshots >= SNAPSHOTS.get(line.dataset, 1)
        assert line.rows > 0
        assert (line.quarantined, line.checks_failed) == (0, 0)
        assert line.checks_passed > 0
    held = status(home, DATASETS)
    again = demo.run_demo(home, told.append)
    assert again.failures == []
    assert {line.rows_added for line in again.lines.values()} == {0}
    assert {line.snapshots for line in again.lines.values()} == {0}
    assert all(line.duplicates for line in again.lines.values())
    assert status(home, DATASETS) == held
