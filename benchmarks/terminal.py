"""A command in a terminal, as a person has it: 80 columns, colours, and Ctrl-C by its key."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_CTRL_C = b"\x03"
_PATIENCE = 120.0
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[()][A-Z0-9]|\x1b[=>]")


class InTerminal:
    """A command at work in a pseudo-terminal; what is left of it at the block's end is killed.

    ``text`` is what the terminal was sent so far, without colours, a line for each line or redraw.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        columns: int = 80,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

        def take_the_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C reaches who sits in front of it

        self.process = subprocess.Popen(  # noqa: S603  our own environment
            command,
            cwd=folder,
            env={**environment, "TERM": "xterm-256color", "COLUMNS": str(columns)},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_the_terminal,  # noqa: PLW1509  no thread holds a lock here
        )
        os.close(theirs)
        self._said = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()
        self._reader.join(5)
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                some = os.read(self._ours, 65536)
            except OSError:
                return  # the last one who had it open is gone
            if not some:
                return
            self._said += some

    @property
    def text(self) -> str:
        """What the terminal was sent so far."""
        said = _CONTROL.sub("", self._said.decode(errors="replace"))
        return said.replace("\r\n", "\n").replace("\r", "\n")

    def wait(self, patience: float = _PATIENCE) -> int:
        """The exit code, once it has ended."""
        code = self.process.wait(patience)
        self._reader.join(5)
        return code

    def until(self, what: Callable[[str], bool], patience: float = _PATIENCE) -> bool:
        """Whether ``what`` holds of the text before the command ends or patience does."""
        end = time.monotonic() + patience
        while not what(self.text):
            if self.process.poll() is not None or time.monotonic() > end:
                return what(self.text)
            time.sleep(0.02)
        return True

    def interrupt(self, patience: float = _PATIENCE) -> float:
        """Press Ctrl-C; the seconds until it has ended, or ``patience`` where it has not."""
        began = time.monotonic()
        os.write(self._ours, _CTRL_C)
        try:
            self.wait(patience)
        except subprocess.TimeoutExpired:
            return patience
        return time.monotonic() - began
