"""README and guide: their Python runs and prints what stands below it, their commands run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from aurum_assets import collect
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Aurum

README = (PROJECT / "README.md").read_text()
GUIDE = README + "".join(f.read_text() for f in sorted((PROJECT / "docs" / "guide").glob("*.md")))
# Each block of Python with the output below it, empty where the page shows none.
BLOCKS = re.findall(r"(?ms)^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", GUIDE)
EXPORTED = dict(re.findall(r"(\w+)=(\S+)", "\n".join(re.findall(r"(?m)^export .*$", GUIDE))))
OPERATOR = re.compile(r"http://127\.0\.0\.1:8321")
LISTED = re.findall(r"(?m)^    aurum (\S.*?)(?:  +.*)?$", README)
# What takes a file of the reader's, what never ends, and what is several in one line.
COMMANDS = [c for c in LISTED if not c.startswith(("load", "worker")) and "|" not in c]
VALUES = {
    "select …": "select count(*)",
    "--day …": "--day 2026-07-20",
    "INSTANT": "2026-07-20T12:00Z",
}


@pytest.fixture
def made(
    environment: dict[str, str], market: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """An environment as the README says, with a home that holds what its Python reads."""
    found = environment | {
        n: OPERATOR.sub(f"http://{market.host}:{market.port}", v) for n, v in EXPORTED.items()
    }
    found["AURUM_ARCHIVE"] = f"file:{tmp_path / 'home' / 'archive'}"
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    for dataset in ("isone_da_lmp", "isone_rt_lmp", "isone_system_load"):
        collect(dataset, "2026-07-20")
    collect("miso_cts", "2026-07-21")
    return found


@pytest.mark.slow
def test_a_python_block_prints_what_stands_below_it(made: dict[str, str], tmp_path: Path) -> None:
    """Each in a fresh process, as it is pasted."""
    assert [bool(shown) for _, shown in BLOCKS] == [True, False, False, True, True, False]
    for block, shown in BLOCKS:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-i", "-q"],
            input=block,
            env={"PATH": os.environ["PATH"], "AURUM_ENV_FILE": os.devnull, **made},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Error" not in done.stderr, done.stderr
        assert done.stdout == shown or not shown


def test_the_readme_shows_how_to_collect_and_how_to_query() -> None:
    text = "".join(block for block, _ in BLOCKS)
    words = ("open_lake", "collect(", ".sql(", ".as_of(", "IsoNeCollector", "MisoCtsCollector")
    assert all(word in text for word in words)


@pytest.mark.slow
def test_a_command_of_the_readme_runs(
    made: dict[str, str], aurum: Aurum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(COMMANDS) > 12
    monkeypatch.chdir(tmp_path)
    for listed in COMMANDS:
        command = listed.replace("[", "").replace("]", "")
        for words, instead in VALUES.items():
            command = command.replace(words, instead)
        done = aurum(*shlex.split(command), **made)
        assert done.exit_code == 0, f"{command}: {done.output}"
