"""How anything here is measured: in processes of its own, alternating, what they say and cost.

Here belongs what a figure is made of: a process and what it used, rounds, a median, modules that
are imported before a clock starts. What is run, and what it may cost, others say.
"""

import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
_KILOBYTE = 1024


class BenchmarkFailed(Exception):
    """A measured process ended badly: its report cannot be used."""


@dataclass(frozen=True)
class Spent:
    """One process: its whole life in wall and CPU seconds, and its own report."""

    wall: float
    cpu: float
    report: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """What the process timed inside itself."""
        return float(self.report["seconds"])


@dataclass
class Clock:
    """Wall and CPU seconds of a block; the CPU of all threads, and of processes that ended."""

    seconds: float = 0.0
    cpu: float = 0.0
    imported: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time the block, and note which modules it imported."""
        before = set(sys.modules)
        cpu, start = sum(os.times()[:4]), time.perf_counter()
        yield
        self.seconds = time.perf_counter() - start
        self.cpu = sum(os.times()[:4]) - cpu
        self.imported = sorted(set(sys.modules) - before)

    def report(self) -> dict[str, Any]:
        """As a measured process reports it. ``imported_while_timed`` should be 0."""
        return {
            "seconds": self.seconds,
            "cpu": self.cpu,
            "imported_while_timed": len(self.imported),
            "peak_mb": peak_mb(),
        }


def peak_mb() -> float:
    """The most memory this process held, MB.

    ``ru_maxrss`` begins at what the parent held, so Linux' own count of this program comes first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * _KILOBYTE / 1e6
    unit = 1 if sys.platform == "darwin" else _KILOBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def import_all(listed: Path) -> int:
    """Import the modules that ``listed`` names, and say how many could not be.

    Some names of ``sys.modules`` are put there by their owners and cannot be imported by name.
    """
    missing = 0
    for name in json.loads(listed.read_text()):
        try:
            importlib.import_module(name)
        except ImportError:
            missing += 1
    return missing


def list_modules(into: Path, *, without: Sequence[str] = ()) -> None:
    """Write the names of the modules that this process has imported, less whole packages."""
    names = sorted(n for n in sys.modules if n.partition(".")[0] not in {"__main__", *without})
    into.write_text(json.dumps(names))


def process(
    arguments: Sequence[str | Path],
    *,
    python: Path | None = None,
    env: Mapping[str, str] | None = None,
    show_errors: bool = False,
) -> Spent:
    """Run ``python arguments`` to its end; the last line that it prints is what it says (JSON).

    ``show_errors`` prints what it wrote to standard error. Raises ``BenchmarkFailed`` with the end
    of that where its exit code is not 0.
    """
    command = [str(python or sys.executable), *map(str, arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        child = subprocess.Popen(  # noqa: S603  our own arguments
            command, stdout=out, stderr=err, cwd=PROJECT, env={**os.environ, **(env or {})}
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        document, complaint = out.read().decode(), err.read().decode(errors="replace")
    if child.returncode != 0:
        msg = f"{' '.join(command)} ended with {child.returncode}:\n{complaint[-3000:]}"
        raise BenchmarkFailed(msg)
    if show_errors:
        print(complaint, file=sys.stderr)
    last = document.strip().splitlines()[-1] if document.strip() else "{}"
    return Spent(wall, used.ru_utime + used.ru_stime, json.loads(last))


def alternate(
    runs: Mapping[str, Callable[[], Spent]], rounds: int, tell: Callable[[str], None]
) -> dict[str, list[Spent]]:
    """Each of ``runs`` once a round, in turn; a first round warms up and does not count."""
    found: dict[str, list[Spent]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, once in runs.items():
            tell(f"{name}: {f'round {number} of {rounds}' if number else 'warming up'}")
            spent = once()
            if number:
                found[name].append(spent)
    return found


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)
