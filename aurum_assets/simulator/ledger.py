"""Who asked when: the requests seen, and the operators' limits kept on the server's own clock.

A window slides: at most so many answered requests in any so many seconds. A refused request is seen
but fills no window.
"""

import datetime as dt
import math
import threading
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from email.utils import format_datetime
from typing import Literal, NamedTuple

from aurum_assets.model.operator import Limit

RetryAfter = Literal["none", "seconds", "date", "absurd"]


class Seen(NamedTuple):
    """A request: ``time`` on the server's clock in seconds; ``status`` 0 where none was sent."""

    time: float
    operator: str
    path: str
    status: int


class Ledger:
    """The requests of all operators and the windows that bound them.

    ``limits`` by name: that of an operator, or of a further window of its own.
    """

    def __init__(self, limits: Mapping[str, Sequence[Limit]], clock: Callable[[], float]) -> None:
        self.seen: list[Seen] = []
        self._limits = limits
        self._clock = clock
        self._answered: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def arrive(self, names: Sequence[str]) -> tuple[float, float]:
        """Count a request; return its instant and how many seconds too early it is (0: allowed)."""
        with self._lock:
            now = self._clock()
            early = max((self._early(name, now) for name in names), default=0.0)
            if early <= 0:
                for name in names:
                    self._answered[name].append(now)
            return now, max(early, 0.0)

    def _early(self, name: str, now: float) -> float:
        limits, times = self._limits.get(name, ()), self._answered[name]
        longest = max((limit.seconds for limit in limits), default=0.0)
        while times and times[0] <= now - longest:
            times.popleft()
        full = [limit for limit in limits if len(times) >= limit.requests]
        return max((times[-limit.requests] + limit.seconds - now for limit in full), default=0.0)

    def note(self, seen: Seen) -> None:
        """Remember a request and the status that it was given."""
        with self._lock:
            self.seen.append(seen)

    def most_in(self, seconds: float, operator: str) -> int:
        """The most requests, answered or refused, in any window of ``seconds``."""
        times = sorted(s.time for s in list(self.seen) if s.operator == operator)
        return max(
            (i + 1 - bisect_right(times, t - seconds) for i, t in enumerate(times)), default=0
        )

    def stats(self) -> dict[str, dict[str, int]]:
        """Count by operator: requests, 429s, and the most requests in any minute and hour."""
        seen = list(self.seen)
        return {
            operator: {
                "requests": sum(s.operator == operator for s in seen),
                "refused": sum(s.operator == operator and s.status == 429 for s in seen),  # noqa: PLR2004  HTTP
                "most_in_60_seconds": self.most_in(60, operator),
                "most_in_3600_seconds": self.most_in(3600, operator),
            }
            for operator in sorted({s.operator for s in seen})
        }


def retry_after(style: RetryAfter, seconds: float) -> dict[str, str]:
    """The header that says when to ask again: true, as a date, absurd, or missing."""
    whole = math.ceil(seconds)
    when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=whole)
    forms = {
        "seconds": str(whole),
        "date": format_datetime(when, usegmt=True),
        "absurd": "-86400000000",
    }
    return {"Retry-After": forms[style]} if style in forms else {}
