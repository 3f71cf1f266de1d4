"""What each reporting command shows on a terminal of 80 columns, kept in ``screens/``.

Written anew by ``WRITE_SCREENS=1 pytest -n0 aurum_assets_tests/test_screens.py``: read the
difference before it is committed.
"""

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Simulator
from aurum_assets_tests.conftest import NOON
from aurum_assets_tests.recordings import recording
from aurum_assets_tests.terminal import in_terminal

pytestmark = pytest.mark.slow
SCREENS = Path(__file__).parent / "screens"
LMP = "isone_rt_lmp"
ORDINARY = recording(LMP, "live", "ordinary").body
FILES = {
    "first.json": ORDINARY,
    "corrected.json": ORDINARY.replace(b"39.16", b"39.17"),
    "broken.json": recording(LMP, "live", "spring").body.replace(b"20.02", b"99.02"),
    "late.json": recording(LMP, "live", "spring").body,
    "malformed.json": recording(LMP, "live", "malformed").body,
}
CTS = ("collect", "miso-cts", "--date", "2026-07-21")
THEN = ("as-of", "--dataset", "rt_lmp", "--at")
# By name, in the order in which they are run: first on a home that holds nothing, then on one that
# is filled on the way. Those that change nothing are shown on 120 columns too.
NOTHING = {
    "status-empty": ("status",),
    "alerts-empty": ("alerts",),
    "verify-empty": ("verify",),
    "requeue-empty": ("requeue",),
    "replay-empty": ("replay", "--all"),
    "as-of-empty": (*THEN, "now"),
    "sql-empty": ("sql", "select * from rt_lmp"),
    "export-empty": ("export", "--dataset", "rt_lmp", "--day", "2026-07-20"),
    "reference-show-empty": ("reference", "show", "iso_nodes"),
    "maintain-empty": ("maintain", "--dry-run"),
}
FILLING = {
    "collect-empty": (*CTS, "--node", "NOPE"),
    "load": ("load", "--dataset", "rt_lmp", "--fetched-at", "2026-07-20T22:00Z", "first.json"),
    "load-corrected": (
        *("load", "--dataset", "rt_lmp", "--fetched-at", "2026-07-21 09:00"),
        "corrected.json",
    ),
    "load-kept-out": ("load", "--dataset", "rt_lmp", "broken.json", "malformed.json"),
    "load-late": ("load", "--dataset", LMP, "--fetched-at", "2026-07-21 12:00-04:00", "late.json"),
    "collect": CTS,
    "collect-isone": ("collect", "isone", "da_lmp", "--date", "today"),
    "collect-range": (
        *("collect", "isone", "rt_hourly_lmp"),
        *("--start-date", "2026-07-19", "--end-date", "2026-07-20"),
    ),
    "collect-locations": ("collect", "isone", "locations"),
    "reference-observe": ("reference", "observe"),
    "alerts-check": ("alerts", "--check"),
}
SHOWING = {
    "status": ("status",),
    "board": ("board",),
    "alerts": ("alerts",),
    "doctor": ("doctor",),
    "plan": ("plan",),
    "probe": ("probe",),
    "verify": ("verify",),
    "as-of": (*THEN, "2026-07-20"),
    "as-of-now": (*THEN, "now"),
    "sql": ("sql", "select location_id, interval_start, lmp from rt_lmp order by all"),
    "sql-wide": ("sql", "select * from isone_rt_lmp order by all"),
    "tables": ("tables",),
    "tables-of-one": ("tables", "cts"),
    "sql-show-tables": ("sql", "show tables"),
    "sql-describe": ("sql", "describe rt_lmp"),
    "export": ("export", "--dataset", "rt_lmp", "--day", "20260720", "--force"),
    "reference-show": ("reference", "show", "iso_nodes"),
    "requeue": ("requeue", "--dry-run"),
    "replay": ("replay", "--all"),
    "maintain": ("maintain", "--dry-run"),
    "maintain-grown": ("maintain",),
    "demo": ("demo",),
}
EVERY = {**NOTHING, **FILLING, **SHOWING}
# Runs each command in this terminal as wide as is given, and ends each with a mark and its code.
PROGRAM = """
import fcntl, json, struct, sys, termios
from pathlib import Path
from aurum_assets.cli import main
sys.argv[0] = "aurum"
for width, line in json.loads(Path(sys.argv[1]).read_text()):
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    if line == ["demo"]:  # which takes minutes: what it ends with
        from aurum_assets.cli.simulate import report
        from aurum_assets.demo import Demo, Line
        from aurum_assets.operators import DATASETS
        from aurum_assets.model.clock import OperatingDay
        from aurum_assets.resources.settings import open_resources
        lines = [
            Line("isone_rt_lmp", 294, 2, 347_328, 347_328, 0, 77, 1, 0, 12.3),
            Line("isone_generation_by_resource", 24, 0, 8_760, 8_760, 1, 14, 12, 1, 1.5),
        ]
        done = Demo(OperatingDay.parse("2026-07-20", "America/New_York"))
        done.lines, done.failures = {l.dataset: l for l in lines}, ["ticks 2026-07-20"]
        report(done, open_resources(DATASETS), 61.2, as_json=False)
        code = 1
    elif line == ["maintain"]:  # as after a month
        from aurum_assets.cli.maintain import report
        from aurum_assets.ingest import Upkeep
        names = ["market.isone_generation_by_resource_history", "market.isone_rt_lmp", "dagster"]
        report([Upkeep(n, 28, 336, 1_234, 12, 29, 5, 123_456_789) for n in names], dry_run=False)
        code = 0
    else:
        try:
            main(line, prog_name="aurum")
        except SystemExit as ended:
            code = ended.code
    print(f"\\x1e{code}", flush=True)
"""


def in_a_terminal(
    folder: Path, environment: dict[str, str], lines: list[tuple[int, tuple[str, ...]]]
) -> list[tuple[str, int]]:
    """What a terminal shows after each command, and the command's exit code."""
    (folder / "lines.json").write_text(json.dumps(lines))
    command = [sys.executable, "-c", PROGRAM, "lines.json"]
    with in_terminal(command, os.environ | environment, folder) as running:
        running.end()
    shown = re.findall(r"(.*?)\x1e(\d+)\r\n", running.raw.decode(), re.DOTALL)
    assert len(shown) == len(lines), running.text
    return [(screen(text), int(code)) for text, code in shown]


def screen(text: str) -> str:
    """What is to be seen once ``text`` was written to a terminal: bars erase themselves."""
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if piece == "\r":
            column = 0
        elif piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece.endswith("A") and piece.startswith("\x1b"):
            row -= int(piece[2:-1])
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif not piece.startswith("\x1b"):
            lines[row] = (
                lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
            )
            column += len(piece)
    return "".join(f"{line.rstrip()}\n" for line in lines).rstrip() + "\n"


def settled(shown: str, folder: Path) -> str:
    """``shown`` with what differs from run to run as one and the same, and as wide; no log."""
    shown = shown.replace(folder.name, "aurum-screens0")
    shown = re.sub(r"127\.0\.0\.1:\d{5}", "127.0.0.1:54321", shown)
    shown = re.sub(r"^\d{4}-\d\d-\d\dT.* \[(error|warning) .*\n", "", shown, flags=re.MULTILINE)
    shown = re.sub(r"\d+ ([A-Z]B free)\b", r"99 \1", shown)
    shown = re.sub(r"(seconds )[\d.]+", r"\g<1>0.5", shown)
    if "  ms  found\n" in shown:
        shown = re.sub(
            r"^(?=\S+ +ok )(.{31})[ \d,]{5}(?=  )", r"\1    7", shown, flags=re.MULTILINE
        )
    if "  seconds\n" in shown:
        shown = re.sub(r"(?<= )[ .\d]{4}$", " 0.5", shown, flags=re.MULTILINE)
    return shown


@pytest.fixture(scope="module")
def screens() -> Iterator[dict[tuple[str, int], str]]:
    """By name and width."""
    # of one length: paths are broken where a line is full
    folder = Path(tempfile.mkdtemp(prefix="aurum-", dir="/tmp")).resolve()
    yield shown_in(folder)
    shutil.rmtree(folder)


def shown_in(folder: Path) -> dict[tuple[str, int], str]:
    shutil.copytree(PROJECT / "config", folder / "config")
    (folder / "home" / "archive").mkdir(parents=True)  # a home, which holds nothing yet
    for name, body in FILES.items():
        (folder / name).write_bytes(body)
        os.utime(folder / name, (NOON.timestamp(), NOON.timestamp()))
    with Simulator(lambda: NOON, locations=3, nodes=2, limits={}).serve() as running:
        environment = {
            "AURUM_HOME": "home",
            "AURUM_CONFIG": f"{folder}/config",
            "AURUM_ARCHIVE": f"file:{folder}/home/archive",
            "AURUM_NOW": NOON.isoformat(),
            "AURUM_LIMIT_SCALE": "1000",
            "AURUM_LOG_LEVEL": "warning",
            **running.environment,
            "ISONE_API_KEY": "",  # by user name and password
        }
        asked = [(name, 80) for name in EVERY] + [(name, 120) for name in SHOWING]
        lines = [(width, EVERY[name]) for name, width in asked]
        shown = in_a_terminal(folder, environment, lines)
    found = {}
    for (name, width), (text, code) in zip(asked, shown, strict=True):
        command = " ".join(a if " " not in a else f'"{a}"' for a in EVERY[name])
        found[name, width] = f"$ aurum {command}\n{settled(text, folder)}[{code}]\n"
    return found


@pytest.mark.parametrize("name", EVERY)
def test_a_report_looks_on_80_columns_as_it_is_kept(
    screens: dict[tuple[str, int], str], name: str
) -> None:
    kept = SCREENS / f"{name}.txt"
    if os.environ.get("WRITE_SCREENS"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(screens[name, 80])
    assert screens[name, 80] == kept.read_text()


@pytest.mark.parametrize("width", [80, 120])
def test_no_report_is_wider_than_its_terminal(
    screens: dict[tuple[str, int], str], width: int
) -> None:
    for (name, columns), text in screens.items():
        if columns == width:
            command, *lines = text.splitlines()
            wide = [line for line in lines if len(line) > width and not line.startswith("Error: ")]
            assert not wide, (name, command, wide)
            assert "…" not in "".join(lines), name
