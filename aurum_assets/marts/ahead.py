"""Let dbt parse the models before the first build of a home, which it takes seconds for.

``python -m aurum_assets.marts.ahead HOME CONFIG`` does, and ends with its standard input, too.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

_LEFT = 3  # the exit code of a process that nobody waits for any more


@contextlib.contextmanager
def parsed_beside(root: Path, config_folder: Path) -> Iterator[None]:
    """While the block runs, a process parses the models of the home ``root``; it is waited for.

    Where it cannot, nothing is said: the build parses them itself, and says what is wrong.
    """
    command = [sys.executable, "-P", "-m", __name__, str(root), str(config_folder)]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=silent, stderr=silent) as process:  # noqa: S603
        try:
            yield
            process.wait()
        finally:
            process.kill()


def _end_with(parent: int) -> None:
    while os.read(parent, 1):
        pass
    os._exit(_LEFT)


if __name__ == "__main__":
    from aurum_assets.marts.build import parse
    from aurum_assets.resources.home import Home

    Thread(target=_end_with, args=[sys.stdin.fileno()], daemon=True).start()
    sys.exit(not parse(Home(Path(sys.argv[1])), Path(sys.argv[2])))
