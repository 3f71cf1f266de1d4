"""The README's Python runs as it stands there, against the simulator."""

import re
from pathlib import Path

import pytest

from aurum_assets import ingest
from aurum_assets.markets import DATASETS
from aurum_assets.markets.isone.lmp import ISONE_RT_LMP
from aurum_assets.resources.settings import PROJECT, open_home
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import NOON

BLOCKS = re.findall(r"(?ms)^```python\n(.*?)^```$", (PROJECT / "README.md").read_text())


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, market: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that holds the real-time prices of today, and reaches the simulated operators."""
    said = {
        "AURUM_HOME": str(tmp_path / "home"),
        "AURUM_NOW": NOON.isoformat(),
        "AURUM_LIMIT_SCALE": "1000",
        "ISONE_BASE_URL": market.isone_url,
        "MISO_BASE_URL": market.miso_url,
        "ISONE_USERNAME": "demo",
        "ISONE_PASSWORD": "demo-password",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    home = open_home(DATASETS)
    today = ISONE_RT_LMP.source.day_of(NOON)
    ingest.collect(home, ISONE_RT_LMP, today, feeds=["now"])
    ingest.normalize(home, ISONE_RT_LMP, today)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_python_block_of_the_readme_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(block, {"instant": NOON})  # noqa: S102  our own text
    assert "shape: (" in capsys.readouterr().out


def test_the_readme_shows_how_to_collect_and_how_to_query() -> None:
    text = "".join(BLOCKS)
    assert all(w in text for w in ("open_lake", "IsoNeCollector", "MisoCtsCollector"))
