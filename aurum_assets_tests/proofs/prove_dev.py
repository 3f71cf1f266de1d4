"""The demo at awkward instants, then what ``make dev`` starts: watched for two ticks, and ended."""

import datetime as dt
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aurum_assets import demo, ingest
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Simulator
from aurum_assets_tests.made import remade
from aurum_assets_tests.proofs.proof import Proof, home_at

INSTANTS = (
    "2026-03-08T03:00:10-04:00",  # in the day of 23 hours, just after the hour that is none
    "2026-03-09T00:02:30-04:00",  # that day has just ended
    "2026-07-21T00:00:30-04:00",  # midnight in New England, 23:00 at MISO
    "2026-07-21T01:03:00-04:00",  # midnight at MISO
    "2026-07-21T23:58:00-04:00",
    "2026-11-01T01:30:00-05:00",  # in the hour that comes twice, the second time
    "2026-11-02T00:01:00-05:00",  # midnight in both
)
RUN = re.compile(r"\d\d:\d\d:\d\d  (\S+) (\S+): (.+)")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_END_SECONDS = 15.0


@dataclass
class Console:
    """What a console showed, how long its end took after an interrupt, and what was left then."""

    lines: list[str] = field(default_factory=list)
    code: int | None = None
    seconds_to_end: float = 0.0
    left: list[str] = field(default_factory=list)

    @property
    def runs(self) -> list[str]:
        """The lines that tell of runs."""
        return [line for line in self.lines if RUN.fullmatch(line)]

    @property
    def others(self) -> list[str]:
        """The lines that are neither the heading nor tell of runs, nor say that it ends."""
        usual = re.compile(r"|(UI|operators|home|stop) +.*|Stopping…|Stopped\.")
        return [x for x in self.lines if not usual.fullmatch(x) and not RUN.fullmatch(x)]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def run_dev(root: Path, until: Callable[[Console], bool], patience: float) -> Console:
    """Start on the home ``root`` what ``make dev`` starts; interrupt it ``until``, or in time."""
    found = Console()
    ours = ("AURUM_", "DAGSTER_HOME", "ISONE_")
    outside = {n: v for n, v in os.environ.items() if not n.startswith(ours)}
    command = [sys.executable, "-m", "aurum_assets.dev", "--port", str(free_port())]
    process = subprocess.Popen(  # noqa: S603  our own environment
        [*command, "--simulator-port", str(free_port())],
        env={**outside, "AURUM_HOME": str(root), "AURUM_ENV_FILE": os.devnull},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509  as `&` does
    )

    def read() -> None:
        for line in process.stdout or ():
            found.lines.append(_ESCAPES.sub("", line).rstrip("\n"))

    reader = threading.Thread(target=read)
    reader.start()
    began = time.monotonic()
    try:
        while process.poll() is None and time.monotonic() - began < patience and not until(found):
            time.sleep(0.5)
        ended = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        for number in (signal.SIGHUP, signal.SIGTERM):  # closed, while it stops
            time.sleep(0.5)
            process.send_signal(number)
        found.code = process.wait(60)
        found.seconds_to_end = time.monotonic() - ended
    finally:
        process.kill()
        reader.join(10)
        if process.stdout:
            process.stdout.close()
    found.left = _left(root)
    return found


def _left(root: Path) -> list[str]:
    """The processes that still work on the home ``root``."""
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"AURUM_HOME={root}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                left.append((folder / "cmdline").read_text().replace("\0", " ")[:200])
        except OSError:  # it has just ended
            continue
    return left


def look_at_first(proof: Proof, home: Resources, found: demo.Demo) -> None:
    """A demo is whole and calm, and kept out what it keeps out on purpose."""
    now = home.now()
    failed = {key: line.checks_failed for key, line in found.lines.items() if line.checks_failed}
    proof.holds(f"{now}: {found.failures}", where=not found.failures)
    proof.holds(f"{now}: checks failed: {failed}", where=failed == {"miso_cts": 1})
    gaps = [str(repair) for repair in ingest.find_gaps(home, DATASETS).repairs]
    proof.holds(f"{now}: {gaps}", where=not gaps)
    late = [alert.sentence for alert in ingest.look(home, DATASETS)]
    proof.holds(f"{now}: {late}", where=not late)


def look_at_second(proof: Proof, now: dt.datetime, first: demo.Demo, again: demo.Demo) -> None:
    """Another demo of the same day adds nothing, and leaves as many rows."""
    proof.holds(f"{now}: the second one: {again.failures}", where=not again.failures)
    for key, line in again.lines.items():
        added = line.rows_added or line.snapshots or line.rows != first.lines[key].rows
        proof.holds(f"{now}: {key}: the second one added {line}", where=not added)


def _config(folder: Path) -> Path:
    """The project's config, every dataset from a first day before ``INSTANTS`` on."""
    shutil.copytree(PROJECT / "config", folder)
    for file in folder.glob("*_ingest_datasets.json"):
        text = re.sub(r'"first_day": "[^"]+"', '"first_day": "2025-01-01"', file.read_text())
        file.write_text(text)
    return folder


def _at(proof: Proof, root: Path, now: dt.datetime, simulator: Callable[..., Simulator]) -> None:
    """A small demo at ``now``, and another one."""
    home = remade(home_at(root / "home", now), config_folder=_config(root / "config"))
    first = demo.run_demo(home, lambda _: None, simulator)
    look_at_first(proof, home, first)
    again = demo.run_demo(home, lambda _: None, simulator)
    look_at_second(proof, now, first, again)
    proof.add("demos at awkward instants, each twice", 1)


def _demos(proof: Proof, root: Path) -> None:
    small = partial(Simulator, locations=16, nodes=2)
    for number, instant in enumerate(INSTANTS):
        now = dt.datetime.fromisoformat(instant).astimezone(dt.UTC)
        _at(proof, root / str(number), now, small)


def _watched(proof: Proof, root: Path, minutes: float) -> None:
    """The whole demo, then dev on it for ``minutes``."""
    aurum = str(Path(sys.executable).parent / "aurum")
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603  our own
        [aurum, "demo"],
        env={**os.environ, "AURUM_HOME": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    proof.holds(f"the demo: {done.stderr[-300:]}", where=done.returncode == 0)
    proof.counts["seconds of the demo"] = round(time.monotonic() - began)
    console = run_dev(root, lambda _: False, 60 * minutes)
    proof.counts[f"lines on the console in {minutes:g} minutes"] = len(console.lines)
    proof.counts["of them of runs that ended"] = len(console.runs)
    proof.counts["seconds from the interrupt to the end"] = round(console.seconds_to_end, 1)
    proof.holds(f"unasked lines: {console.others}", where=not console.others)
    bad = [line for line in console.runs if ": done in " not in line]
    proof.holds(f"runs that failed: {bad}", where=not bad)
    ticks = sum("isone_five_minutes" in line for line in console.runs)
    proof.holds(f"{ticks} ticks", where=ticks >= minutes // 5)
    proof.holds("it ends in seconds", where=console.seconds_to_end < _END_SECONDS)
    proof.holds(f"left behind: {console.left}", where=not console.left)
    alerts = [alert.sentence for alert in home_at(root, dt.datetime.now(dt.UTC)).alerts.open]
    proof.holds(f"alerts: {alerts}", where=not alerts)


def prove_dev(minutes: float = 11) -> Proof:
    """Demos at ``INSTANTS``, then the whole one and ``minutes`` of dev: two ticks at least."""
    proof = Proof(
        "The demo is whole at any instant, and dev goes on from it, calm, and ends at once"
    )
    with tempfile.TemporaryDirectory() as folder:
        _demos(proof, Path(folder))
        _watched(proof, Path(folder) / "watched", minutes)
    return proof
