"""Run work of a Python call in a thread of its own, so that Ctrl-C is handled.

A main thread within DuckDB, or in an endless wait once polars is imported, handles no signal.
"""

import atexit
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")
_LOOK = 0.1  # seconds between checks whether it is done
_LAST = 1.0  # seconds that interrupted work is waited for
_LAST_AT_EXIT = 10.0  # the same, by a process that would end


def waited_for(work: Callable[[], _T], interrupt: Callable[[], None]) -> _T:
    """Return or raise what ``work`` does. At Ctrl-C ``interrupt`` is called, which must end it;
    again until it does, for what only begins may overlook it.

    Then raises ``KeyboardInterrupt``: work that takes longer than a second to end continues in the
    background. The process waits for it when it ends, for Python aborts where it ends a thread
    within C++, as in the import of DuckDB.
    """
    done = threading.Event()
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised where the caller waits
            future.set_exception(error)
        done.set()

    thread = threading.Thread(target=run, name="aurum-work", daemon=True)
    try:
        thread.start()
        while not done.wait(_LOOK):
            pass
    except KeyboardInterrupt:
        try:
            _end(done, interrupt, _LAST)
        finally:  # a second Ctrl-C waits no longer here
            if thread.is_alive():
                atexit.register(_end, done, interrupt, _LAST_AT_EXIT)
        raise
    return future.result()


def _end(done: threading.Event, interrupt: Callable[[], None], seconds: float) -> None:
    last = time.monotonic() + seconds
    interrupt()
    while not done.wait(_LOOK) and time.monotonic() < last:
        interrupt()
