"""A command in a terminal of its own: what it shows, and how Ctrl-C ends it."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CTRL_C = b"\x03"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Ended:
    """``seconds`` from the key (or signal) to the end; ``text``: all that the terminal showed."""

    code: int
    seconds: float
    text: str


@dataclass
class InTerminal:
    """A running command. ``raw``: what its terminal received so far."""

    process: subprocess.Popen[bytes]
    terminal: int
    raw: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        """What was shown, without control sequences; a line that is written anew is another one."""
        return re.sub(r"\r\n?", "\n", _CONTROL.sub("", self.raw.decode(errors="replace")))

    def waits_for(self, begun: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until ``begun``, for instance until a word is in ``text``."""
        until = time.monotonic() + seconds
        while not begun():
            assert time.monotonic() < until, f"not within {seconds} s: {self.text}"
            assert self._read(0.1) or self.process.poll() is None, f"it ended with: {self.text}"

    def press(self, key: bytes = CTRL_C) -> Ended:
        """Press ``key`` and wait for the end."""
        pressed = time.monotonic()
        os.write(self.terminal, key)
        return self._end(pressed)

    def send(self, number: signal.Signals) -> Ended:
        """Send a signal and wait for the end."""
        sent = time.monotonic()
        self.process.send_signal(number)
        return self._end(sent)

    def _end(self, since: float) -> Ended:
        while self.process.poll() is None:
            assert time.monotonic() < since + 20, f"it goes on after Ctrl-C: {self.text}"
            self._read(0.01)
        seconds = time.monotonic() - since
        while self._read(0.0):
            pass
        return Ended(self.process.returncode, seconds, self.text)

    def _read(self, seconds: float) -> bool:
        if not select.select([self.terminal], [], [], seconds)[0]:
            return False
        with contextlib.suppress(OSError):  # the other side is closed
            found = os.read(self.terminal, 65536)
            self.raw += found
            return bool(found)
        return False


@contextlib.contextmanager
def in_terminal(
    arguments: Sequence[object], environment: Mapping[str, str], folder: Path | None = None
) -> Iterator[InTerminal]:
    """``aurum`` with ``arguments`` as the foreground process of a new terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # noqa: S603  our own command
        [sys.executable, __file__, *map(str, arguments)],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield InTerminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _main() -> None:
    """In the new session: make the terminal ours, then become the command."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    aurum = str(Path(sys.executable).parent / "aurum")
    os.execv(aurum, [aurum, *sys.argv[1:]])  # noqa: S606  our own command


if __name__ == "__main__":
    _main()
