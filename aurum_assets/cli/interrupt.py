"""Ctrl-C and SIGTERM: any command ends within a second and prints what it has done.

Python interrupts the main thread, and the command's blocks release what they hold. That is not
enough where the main thread is in a long call of DuckDB, polars, libpq or the resolver: it handles
no signal until the call returns; and polars makes system calls restart, so that a plain ``join`` or
``read`` never returns. So a second thread is woken by the C handler itself
(``signal.set_wakeup_fd``), and ends the process after ``GRACE`` seconds, or at a second Ctrl-C.
That loses nothing: all writes of the project survive ``kill -9``. Temporary files are removed
(``resources.scratch``).
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from aurum_assets.resources import scratch

GRACE = 0.5  # seconds for a command to release what it holds
_SENTENCES = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}  # by signal
_CLEAN_LINE = "\r\x1b[2K\x1b[?25h"  # without the bar, and with a cursor

_under_way: list[Callable[[], str]] = []


@contextmanager
def reporting(done: Callable[[], str]) -> Iterator[None]:
    """Within the block, ``done`` gives the sentence of an interrupt: what was done so far."""
    _under_way.append(done)
    try:
        yield
    finally:
        _under_way.remove(done)


@contextmanager
def signals_kept_here() -> Iterator[None]:
    """Within the block, started processes get no Ctrl-C; this process's watch does."""
    beside = any(
        thread.name == "signals" for thread in threading.enumerate()
    )  # none in an application
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT} if beside else set())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def interruptible() -> Iterator[None]:
    """End the process within a second of a signal: exit code 130, or 143 for SIGTERM.

    Does nothing outside of the main thread, which alone can handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    tempfile.gettempdir()  # its first call tries the folder with a file: not while we may be ended
    watch = _Watch()
    try:
        yield
    except BaseException:
        if watch.number:  # whatever exception the interrupt became
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            watch.end()
        raise
    finally:
        watch.stop()


class _Watch:
    """Watches for signals beside the main thread. ``number``: of the one that came, else 0."""

    def __init__(self) -> None:
        self.number = 0
        self._done = ""
        self._over = threading.Lock()
        self._hears, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)
        self._fd_before = signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        # Signals that are ignored already (nohup, a shell's background) stay ignored.
        ours = [s for s in _SENTENCES if signal.getsignal(s) is not signal.SIG_IGN]
        self._before = {s: signal.signal(s, self._interrupt) for s in ours}
        self._hook_before, sys.unraisablehook = sys.unraisablehook, self._unraisable
        # By a handler of its own: Dagster lets SIGTERM do what SIGINT does, and would ignore both.
        self._ignored = [s for s in _SENTENCES if s not in ours]
        for number in self._ignored:
            signal.signal(number, lambda *_: None)
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Restore the previous signal handlers."""
        signal.set_wakeup_fd(self._fd_before)
        sys.unraisablehook = self._hook_before
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for number in self._ignored:
            signal.signal(number, signal.SIG_IGN)
        os.close(self._wakes)
        self._thread.join()
        os.close(self._hears)

    def end(self) -> NoReturn:
        """Print what was done, remove temporary files, and end the process."""
        with self._over:  # a second caller waits here for the end
            scratch.clear()
            ended = _SENTENCES[signal.Signals(self.number)]
            sentence = f"{ended}: {self._done}\n" if self._done else f"{ended}\n"
            ours = os.dup(2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # no bar is drawn after the sentence
            os.write(ours, ((_CLEAN_LINE if os.isatty(ours) else "") + sentence).encode())
            os._exit(128 + self.number)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        """Interrupt the main thread, as Python does it for Ctrl-C."""
        self._hear(number)
        raise KeyboardInterrupt

    def _unraisable(self, report: "sys.UnraisableHookArgs") -> None:
        """Ignore the report of an interrupt in a callback that cannot raise."""
        if not (self.number and issubclass(report.exc_type, KeyboardInterrupt)):
            self._hook_before(report)

    def _hear(self, number: int) -> None:
        if not self.number:
            self._done = _under_way[-1]() if _under_way else ""
            self.number = number

    def _listen(self) -> None:
        """Give the main thread ``GRACE`` seconds from a signal, or until a second one."""
        ended = threading.Timer(GRACE, self.end)
        ended.daemon = True
        for byte in iter(lambda: os.read(self._hears, 1), b""):
            if byte[0] not in self._before:
                continue
            if ended.is_alive():
                self.end()
            self._hear(byte[0])
            ended.start()
        ended.cancel()
