"""A command in a terminal of its own, as a person has it: its text, its width, Ctrl-C by key."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CTRL_C = b"\x03"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_ROWS = 40


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

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """What was shown, without control sequences; a line that is written anew is another one."""
        return re.sub(r"\r\n?", "\n", _CONTROL.sub("", self.raw.decode(errors="replace")))

    def waits_for(self, begun: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until ``begun``, for instance until a word is in ``text``; ``TimeoutError`` else."""
        until = time.monotonic() + seconds
        while not begun():
            ended = self.process.poll() is not None
            if ended:
                self._reader.join()
            if begun():
                return
            if ended or time.monotonic() > until:
                msg = f"it ended, or took over {seconds:g} s: {self.text}"
                raise TimeoutError(msg)
            time.sleep(0.01)

    def end(self, seconds: float = 120.0) -> Ended:
        """Wait for the end by itself. Raises ``TimeoutError``."""
        return self._end(time.monotonic(), seconds)

    def press(self, key: bytes = CTRL_C, seconds: float = 20.0) -> Ended:
        """Press ``key`` and wait for the end. Raises ``TimeoutError``."""
        pressed = time.monotonic()
        os.write(self.terminal, key)
        return self._end(pressed, seconds)

    def send(self, number: signal.Signals, seconds: float = 20.0) -> Ended:
        """Send a signal and wait for the end. Raises ``TimeoutError``."""
        sent = time.monotonic()
        self.process.send_signal(number)
        return self._end(sent, seconds)

    def _end(self, since: float, within: float) -> Ended:
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            msg = f"it goes on after {within:g} s: {self.text}"
            raise TimeoutError(msg) from None
        seconds = time.monotonic() - since
        self._reader.join(5)  # a process that outlives the command may hold the terminal
        return Ended(code, seconds, self.text)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # nobody holds the other side any more
            while found := os.read(self.terminal, 65536):
                self.raw += found


@contextlib.contextmanager
def in_terminal(
    command: Sequence[object],
    environment: Mapping[str, str],
    folder: Path | None = None,
    *,
    columns: int = 80,
) -> Iterator[InTerminal]:
    """``command`` as the foreground process of a new terminal, with no other ``environment``."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    process = subprocess.Popen(  # noqa: S603  our own command
        [sys.executable, __file__, *map(str, command)],
        env={**environment, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        start_new_session=True,
    )
    os.close(theirs)
    running = InTerminal(process, ours)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started in this terminal
        running.end(1)
        os.close(ours)


def _main() -> None:
    """In the new session: make the terminal ours, then become the command."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  our own command


if __name__ == "__main__":
    _main()
