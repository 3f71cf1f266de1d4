"""Waiting in a call from Python: work in a thread of its own, so that Ctrl-C is heard.

A main thread within DuckDB, or in a wait without end once polars is imported, hears of no signal.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")
_LOOK = 0.1  # seconds between looks at what came of it
_LAST = 1.0  # seconds that work which was interrupted is waited for


def waited_for(work: Callable[[], _T], interrupt: Callable[[], None]) -> _T:
    """What ``work`` returns or raises. At Ctrl-C ``interrupt`` is called, which is to end it.

    ``KeyboardInterrupt`` is raised then: work that takes longer than a second to end does so in the
    background.
    """
    done = threading.Event()
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised where the caller waits
            future.set_exception(error)
        done.set()

    threading.Thread(target=run, name="aurum-work", daemon=True).start()
    try:
        while not done.wait(_LOOK):
            pass
    except KeyboardInterrupt:
        interrupt()
        done.wait(_LAST)
        raise
    return future.result()
