"""Where the time goes, over all threads: stacks looked at every millisecond, weighted by time.

cProfile sees one thread; the day is conformed in several. A call that holds the interpreter's lock
delays the look at it, so each look counts for all the time since the one before.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

_EVERY = 0.001
_WAITING = {"wait", "_wait_for_tstate_lock", "_worker", "select", "poll"}
_SHOWN = 30


class Sampler:
    """Seconds by function: by itself with its line, and with all that it called."""

    def __init__(self) -> None:
        self.own: Counter[tuple[CodeType, int]] = Counter()
        self.inclusive: Counter[CodeType] = Counter()
        self._done = threading.Event()
        self._others: set[int | None] = set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look at the stacks of this thread and of those begun meanwhile, until the block ends."""
        self._others = {t.ident for t in threading.enumerate()} - {threading.get_ident()}
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _watch(self) -> None:
        me, last = threading.get_ident(), time.perf_counter()
        while not self._done.wait(_EVERY):
            now = time.perf_counter()
            for ident, frame in sys._current_frames().items():  # noqa: SLF001  the only way to see them
                if ident != me and ident not in self._others:
                    self._count(frame, now - last)
            last = now

    def _count(self, frame: FrameType | None, seconds: float) -> None:
        if frame is None or frame.f_code.co_name in _WAITING:
            return
        self.own[frame.f_code, frame.f_lineno] += seconds  # type: ignore[assignment]  # Counter says int
        seen = set()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        for code in seen:
            self.inclusive[code] += seconds  # type: ignore[assignment]  # Counter says int

    def lines(self) -> Iterator[str]:
        """Two tables, the dearest first, in milliseconds of all threads together."""
        yield "ms with all that was called (threads add up)"
        for code, seconds in self.inclusive.most_common(2 * _SHOWN):
            yield f"{seconds * 1000:8.0f}  {_place(code, code.co_firstlineno)}"
        yield "ms by itself, native calls included"
        for (code, number), seconds in self.own.most_common(_SHOWN):
            yield f"{seconds * 1000:8.0f}  {_place(code, number)}"


def _place(code: CodeType, number: int) -> str:
    path = Path(code.co_filename)
    return f"{path.parent.name}/{path.name}:{number} {code.co_qualname}"
