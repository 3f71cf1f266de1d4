"""Ctrl-C in a terminal ends each long command within a second: 130, a sentence, nothing half."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aurum_assets.operators import DATASETS
from aurum_assets.resources.lake import Lake
from aurum_assets.simulator.faults import Fault
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Aurum
from aurum_assets_tests.recordings import recording
from aurum_assets_tests.terminal import InTerminal, in_terminal

pytestmark = pytest.mark.slow

LMP = "isone_rt_lmp"
WITHIN = 1.0 + 0.5  # seconds: what is promised, and what a loaded machine may add
FIRST, LAST = "2024-03-10", "2026-07-20"
ENDLESS = "select sum(a.range * b.range) from range(10000000) a, range(10000000) b"


@dataclass
class Small:
    """A home that holds two days of prices, and a folder to work in."""

    home: Path
    folder: Path
    market: Running
    environment: dict[str, str]

    @property
    def scratch(self) -> list[Path]:
        """What commands hold in the system's folder of temporary files.

        But for the state of who asks an operator without a home, which is kept there on purpose.
        """
        held = Path(self.environment["TMPDIR"]).iterdir()
        return [path for path in held if not path.name.startswith(f"aurum-{os.getuid()}-")]

    @property
    def rows(self) -> int:
        """How many prices the table holds."""
        table = next(d.table for d in DATASETS if d.key == LMP)
        return len(Lake.local(self.home / "lake").read(table))

    def shows(self, arguments: str) -> AbstractContextManager[InTerminal]:
        """``aurum`` in a terminal, in the folder to work in."""
        command = [Path(sys.executable).parent / "aurum", *shlex.split(arguments)]
        return in_terminal(command, os.environ | self.environment, self.folder, columns=100)

    def stuck(self, place: str, pattern: str) -> None:
        """Make the last file of ``pattern`` one that is never read to its end."""
        path = max((self.home / place).rglob(pattern))
        path.rename(self.folder.parent / "aside")
        os.mkfifo(path)


@pytest.fixture
def bare(environment: dict[str, str], market: Running, tmp_path: Path) -> Small:
    """A home that is still to be made."""
    for number, way in enumerate((("spring", "xml"), ("ordinary",), ("malformed",))):
        (tmp_path / f"payload-{number}").write_bytes(recording(LMP, "live", *way).body)
    folder, scratch = tmp_path / "here", tmp_path / "tmp"
    folder.mkdir()
    scratch.mkdir()
    environment["TMPDIR"] = str(scratch)
    return Small(Path(environment["AURUM_HOME"]), folder, market, environment)


@pytest.fixture
def small(aurum: Aurum, bare: Small, tmp_path: Path) -> Small:
    assert aurum("load", "--dataset", LMP, *tmp_path.glob("payload-*")).exit_code == 3
    return bare


def archive_sticks(small: Small) -> None:
    small.stuck("archive/sourcing", "*.json.gz")


def table_sticks(small: Small) -> None:
    small.stuck(f"lake/warehouse/market/{LMP}/data/operating_day={LAST}", "*.parquet")


def rejected_sticks(small: Small) -> None:
    small.stuck("archive/rejected", "*.gz")


def payload_sticks(small: Small) -> None:
    os.mkfifo(small.folder / "stuck.json")


def metadata_sticks(small: Small) -> None:
    small.stuck(f"lake/warehouse/market/{LMP}/metadata", "*.metadata.json")


def home_was_copied_and_sticks(small: Small) -> None:
    small.home = Path(shutil.copytree(small.home, small.home.with_name("copy")))
    small.environment["AURUM_HOME"] = str(small.home)
    small.stuck(f"lake/warehouse/market/{LMP}/metadata", "*.avro")


def operators_hang(small: Small) -> None:
    small.market.simulator.faults.put(Fault("hang"), times=50)


def operators_fail(small: Small) -> None:
    small.market.simulator.faults.put(Fault("503"), times=50)


def operators_ask_to_wait(small: Small) -> None:
    small.market.simulator.faults.put(Fault("429", retry_after="60"), times=50)


def limit_is_used_up(small: Small) -> None:
    small.environment["AURUM_LIMIT_SCALE"] = "0.001"  # one request a window
    with small.shows("collect isone system_load") as first:
        first.waits_for(lambda: "waiting for the limit" in first.text)


def nothing(_: Small) -> None:
    """It takes long by itself."""


@dataclass(frozen=True)
class Long:
    """A command that takes long: why, what it shows once it is under way, what it says at the end.

    Where it shows nothing, it is under way once it has made itself a folder to work in.
    """

    arguments: str
    shows: str
    says: str
    arrange: Callable[[Small], None] = nothing


OF_A_HOME = {
    "sql": Long(f"sql '{ENDLESS}'", "", "interrupted"),
    "sql to a file": Long(
        f"sql '{ENDLESS}' --output big.csv", "", "interrupted: no file was written"
    ),
    "export": Long(
        f"export --dataset {LMP} --start-date {FIRST} --end-date {LAST} --output rows.csv",
        rf"{LMP} \d",
        r"interrupted: \d+ of 863 days read; no file was written",
        table_sticks,
    ),
    "replay": Long(
        f"replay {LMP} --all --chunk 1",
        r"\b1/2\b",  # its name is shown before it is committed
        "interrupted: 1 of 2 days replayed; the others are unchanged",
        archive_sticks,
    ),
    "verify": Long(
        f"verify {LMP}",
        f"{LMP} {FIRST}",
        f"interrupted: 1 of 2 days of {LMP} verified",
        archive_sticks,
    ),
    "requeue": Long(
        "requeue",
        "reading again",
        "interrupted: 0 days read again; the same command goes on",
        rejected_sticks,
    ),
    "maintain": Long(
        "maintain",
        "maintaining",
        r"interrupted: 0 of \d+ parts done; the next pass goes on",
        metadata_sticks,
    ),
    "relocate": Long(
        "relocate",
        "relocating",
        r"interrupted: \d+ of \d+ steps done; the same command goes on",
        home_was_copied_and_sticks,
    ),
    "metrics": Long(
        "metrics --port 0", "Interrupt to", "interrupted: the metrics are no longer served"
    ),
}
OF_NO_HOME = {
    "load": Long(
        f"load --dataset {LMP} ../payload-0 stuck.json",
        "payload-0",
        "interrupted: 1 of 2 files archived; the same command goes on",
        payload_sticks,
    ),
    "collect, a slow answer": Long(
        "collect isone rt_lmp --feed final_hours --date 2026-07-15",
        "collecting",
        "interrupted: 0 of 1 days collected; what was archived is kept",
        operators_hang,
    ),
    "collect, the pause before another try": Long(
        "collect isone system_load", "503", "interrupted: 0 of 1 days collected.*", operators_fail
    ),
    "collect, a pause that was asked for": Long(
        "collect isone system_load",
        r"paused after a 429 or Retry-After: next request in 5\d s",
        "interrupted: 0 of 1 days collected.*",
        operators_ask_to_wait,
    ),
    "collect, a wait for the limit": Long(
        "collect isone zonal_load",
        r"waiting for the limit: next request in \d+ s",
        "interrupted: 0 of 1 days collected.*",
        limit_is_used_up,
    ),
    "probe": Long(
        "probe --dataset isone_rt_lmp",
        "probing",
        r"interrupted: 0 of \d+ endpoints probed",
        operators_hang,
    ),
    "doctor": Long("doctor", "", "interrupted", operators_hang),
    "simulate": Long(
        "simulate --port 0", "Interrupt to", "interrupted: the simulated operators are gone"
    ),
    "demo": Long("demo", "the whole of", r"interrupted: \d+ steps done; the same command goes on"),
}


def ends_at_ctrl_c(small: Small, long: Long) -> None:
    """Exit code 130 within a second, the sentence, and no file but those that were there."""
    long.arrange(small)
    with small.shows(long.arguments) as running:
        running.waits_for(
            lambda: re.search(long.shows, running.text) if long.shows else small.scratch
        )
        ended = running.press()
    assert ended.code == 130, ended.text
    assert ended.seconds < WITHIN, ended.text
    assert re.fullmatch(long.says, ended.text.splitlines()[-1].removeprefix("^C")), ended.text
    assert "Traceback" not in ended.text
    assert {p.name for p in small.folder.iterdir()} <= {"stuck.json"}
    assert small.scratch == []


@pytest.mark.parametrize("long", OF_A_HOME.values(), ids=OF_A_HOME)
def test_ctrl_c_ends_it_within_a_second_and_says_what_was_done(small: Small, long: Long) -> None:
    ends_at_ctrl_c(small, long)


@pytest.mark.parametrize("long", OF_NO_HOME.values(), ids=OF_NO_HOME)
def test_ctrl_c_ends_what_needs_no_home_the_same_way(bare: Small, long: Long) -> None:
    ends_at_ctrl_c(bare, long)


def test_a_replay_that_was_interrupted_has_left_each_day_whole(small: Small) -> None:
    before = small.rows
    archive_sticks(small)
    with small.shows(f"replay {LMP} --all") as running:
        running.waits_for(lambda: FIRST in running.text)
        assert running.press().code == 130
    assert small.rows == before == 9


def test_a_rebuild_that_was_interrupted_has_left_the_lake_as_it_was(small: Small) -> None:
    before = small.rows
    archive_sticks(small)
    with small.shows("replay --all --rebuild") as running:
        running.waits_for(lambda: FIRST in running.text)
        ended = running.press()
    assert ended.code == 130, ended.text
    assert "the lake is unchanged" in ended.text
    assert small.rows == before
    assert [p.name for p in small.home.glob("lake*")] == ["lake"]


def test_sigterm_ends_it_the_same_way_by_143(small: Small) -> None:
    with small.shows(f"sql '{ENDLESS}' --output big.csv") as running:
        running.waits_for(lambda: small.scratch)
        ended = running.send(signal.SIGTERM)
    assert (ended.code, ended.text.strip()) == (143, "ended by SIGTERM: no file was written")
    assert ended.seconds < WITHIN
    assert small.scratch == list(small.folder.iterdir()) == []


def test_what_ignores_ctrl_c_in_the_background_goes_on_ignoring_it(small: Small) -> None:
    aurum = str(Path(sys.executable).parent / "aurum")
    process = subprocess.Popen(  # noqa: S603  our own command
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", aurum, "sql", ENDLESS],
        env=os.environ | small.environment,
        stderr=subprocess.PIPE,
    )
    with process:
        while not small.scratch:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.terminate()
        assert process.wait(5) == 143


def test_a_demo_in_the_background_of_a_script_ends_by_sigterm(small: Small) -> None:
    aurum = str(Path(sys.executable).parent / "aurum")
    with subprocess.Popen(  # noqa: S603  our own command
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", aurum, "demo"],
        env=os.environ | small.environment,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith(b" 2/"):
            assert process.poll() is None
        process.terminate()
        assert process.wait(5) == 143


@pytest.mark.parametrize(
    ("arguments", "shows"), [(["simulate", "--port", "0"], b"MISO_BASE_URL"), (["demo"], b" 2/")]
)
def test_within_an_application_ctrl_c_is_pythons_and_lets_it_end_what_it_began(
    bare: Small, arguments: list[str], shows: bytes
) -> None:
    program = (
        "from aurum_assets.cli import main\n"
        "try:\n"
        f"    main({arguments}, standalone_mode=False)\n"
        "finally:\n"
        "    print('let go')\n"
    )
    with subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-u", "-c", program],
        env=os.environ | bare.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith(shows):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        text = process.communicate(timeout=20)[0]
    assert b"let go\n" in text
    assert b"KeyboardInterrupt" in text
    assert b" 4/" not in text


GOING_ON = """
import contextlib, os, threading, time
from aurum_assets.resources import scratch
from aurum_assets.resources.state import SqliteState

def makes_folders():
    while True:
        with scratch.scratch_folder():
            pass

def remembers_there():
    with scratch.scratch_folder() as folder:
        while True:
            with contextlib.suppress(Exception):
                SqliteState(folder / "memory.sqlite").set("key", "", 60)

for goes_on in (makes_folders, remembers_there) * 2:
    threading.Thread(target=goes_on, daemon=True).start()
time.sleep(0.2)
scratch.clear()
time.sleep(0.1)
os._exit(0)
"""


def test_a_thread_that_goes_on_makes_no_temporary_folder_after_they_were_removed(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", GOING_ON], env=environment, check=True)  # noqa: S603  our own code
    assert list(tmp_path.iterdir()) == []
