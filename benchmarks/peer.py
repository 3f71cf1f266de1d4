"""gridstatus beside us: an environment of its own, locked with hashes, made once.

It lies in ``$AURUM_HOME/bench``, never in the project's own environment. The lock is made anew by

    echo gridstatus==VERSION | uv pip compile --universal --python-version 3.11 --generate-hashes \
      --no-emit-index-url --no-strip-extras - -o benchmarks/gridstatus.lock
"""

import hashlib
import os
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import PROJECT, BenchmarkFailed, Spent, process

LOCK = PROJECT / "benchmarks" / "gridstatus.lock"
_SCRIPT = PROJECT / "benchmarks" / "parse_with_gridstatus.py"


def version() -> str:
    """``gridstatus`` with the version that is locked."""
    lines = LOCK.read_text().splitlines()
    return next(x for x in lines if x.startswith("gridstatus==")).split()[0]


def python(tell: Callable[[str], None]) -> Path:
    """The interpreter of the environment, which is made where it is missing.

    Raises ``BenchmarkFailed`` where its packages cannot be installed.
    """
    root = Path(os.environ.get("AURUM_HOME", ".aurum")).resolve() / "bench"
    place = root / f"gridstatus-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    found = place / "bin" / "python"
    if not (place / "ready").exists():
        tell(f"installing {version()} into {place}")
        venv.create(place, with_pip=True, clear=True)
        arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        arguments += ["--no-deps", "--require-hashes", "-r", str(LOCK)]
        done = subprocess.run(  # noqa: S603  our own arguments
            [str(found), *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            msg = f"{version()} cannot be installed: {done.stderr.strip()[-500:]}"
            raise BenchmarkFailed(msg)
        (place / "ready").touch()
    return found


def parse(interpreter: Path, prepared: Path) -> Spent:
    """One day parsed by gridstatus, in a process of its own."""
    return process([_SCRIPT, prepared / "day" / "archive"], python=interpreter)
