"""Rate limits of an operator over all processes of this machine, and pauses after a 429.

Rate limiting only; no HTTP. A slot is a row in a SQLite file; with a limit of ``n`` in ``s``
seconds a slot can be taken when the n-th newest is older than ``s``.

Why not pyrate-limiter 4.5.1's ``SQLiteBucket`` with its file lock. Measured with 4 processes at
20 a second: never above the limit, 97 % used, but a process that once had to wait is starved (a
waiter keeps the stamp of its first try): in 6 s the four took 121, 1, 1, 1 slots, at best 92, 9,
21, 2. It also cannot take a slot of an operator and of an endpoint in one step, has a fixed sleep,
and does not know when a slow request arrived. This log under the same load: never above, as much
used, shares of 23 to 40.
"""

import datetime as dt
import email.utils
import math
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from aurum_assets.model.dataset import OperatorConfig
from aurum_assets.model.operator import Limit
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.state import State, transaction

STRETCH = 1.02
LONGEST_PAUSE = 120.0
POLL_SECONDS = 1.0
REPORT_SECONDS = 2.0
_LIMITED = "waiting for the limit"
_PAUSED = "paused after a 429 or Retry-After"

SCHEMA = """
CREATE TABLE slot (id INTEGER PRIMARY KEY, source TEXT NOT NULL, endpoint TEXT NOT NULL,
                   stamp REAL NOT NULL);
CREATE INDEX slot_source ON slot (source, stamp);
CREATE INDEX slot_endpoint ON slot (source, endpoint, stamp);
"""
NTH_OF_OPERATOR = """
SELECT stamp FROM slot WHERE source = :source ORDER BY stamp DESC LIMIT 1 OFFSET :nth
"""
NTH_OF_ENDPOINT = """
SELECT stamp FROM slot WHERE source = :source AND endpoint = :endpoint
ORDER BY stamp DESC LIMIT 1 OFFSET :nth
"""
FORGET = "DELETE FROM slot WHERE source = :source AND stamp <= :old"
# A wall clock set back leaves stamps in the future: they count as of now.
CALL_IN = "UPDATE slot SET stamp = :now WHERE source = :source AND stamp > :ahead"

log = get_logger(__name__)


class Limiter(Protocol):
    """Decides when one operator may be asked."""

    def take(
        self,
        endpoint: str,
        *,
        patience: float = 0.0,
        waiting: Callable[[float, str], None] | None = None,
    ) -> int:
        """Block until one request to ``endpoint`` may leave; returns its slot.

        ``patience``: the most seconds that it may take to arrive at the operator. ``waiting`` is
        called before every sleep with the seconds left and the reason.
        """

    def arrived(self, slot: int) -> None:
        """The request of ``slot`` has arrived (or never will)."""

    def pause(self, seconds: float) -> None:
        """Block all processes for ``seconds`` (at most ``LONGEST_PAUSE``)."""


class SqliteLimiter:
    """``Limiter`` for all processes and threads of one machine.

    Exact also for slow requests: a slot is stamped ``patience`` ahead when it is taken, and with
    the present once the request has arrived, so it never leaves our window before the operator's.
    ``machines`` divides the limits where several machines ask without a shared limiter.
    """

    def __init__(
        self,
        path: Path,
        config: OperatorConfig,
        state: State,
        *,
        machines: int = 1,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._operator = config.name
        self._rates = Rates(config, machines)
        self._longest = self._rates.longest
        self._state = state
        self._clock = clock
        self._sleep = sleep

    def take(
        self,
        endpoint: str,
        *,
        patience: float = 0.0,
        waiting: Callable[[float, str], None] | None = None,
    ) -> int:
        """See ``Limiter``."""
        reported = False
        slot = random.getrandbits(62)
        while True:
            wait, why = self._paused(), _PAUSED
            if wait <= 0:
                wait, why = self._slot(slot, endpoint, patience), _LIMITED
            if wait <= 0:
                return slot
            if wait > REPORT_SECONDS and not reported:
                reported = True
                log.info(why, source=self._operator, endpoint=endpoint, seconds=round(wait, 1))
            if waiting is not None:
                waiting(wait, why)
            self._sleep(min(max(wait, 0.001), POLL_SECONDS))

    def arrived(self, slot: int) -> None:
        """See ``Limiter``."""
        self._stamp(slot)

    def pause(self, seconds: float) -> None:
        """See ``Limiter``. Each pause is an entry of its own, so that none shortens another."""
        seconds = min(seconds, LONGEST_PAUSE)
        if seconds > 0:
            until = self._clock() + seconds
            self._state.set(f"pause:{self._operator}:{until:.3f}", "", seconds)

    def _paused(self) -> float:
        prefix = f"pause:{self._operator}:"
        pauses = [float(key.removeprefix(prefix)) for key in self._state.keys(prefix)]
        return max(pauses, default=0.0) - self._clock()

    def _stamp(self, slot: int) -> str | None:
        """Stamp ``slot`` with the present; returns its endpoint, None where the slot is lost."""
        arrived = "UPDATE slot SET stamp = ? WHERE id = ? RETURNING endpoint"
        with transaction(self._path, SCHEMA) as db:
            found = db.execute(arrived, (self._clock(), slot)).fetchone()
        return None if found is None else str(found[0])

    def _slot(self, slot: int, endpoint: str, patience: float) -> float:
        """Take ``slot`` and return 0, or the seconds until one may be free."""
        return self._slot_of(self._rates, slot, endpoint, patience)

    def _slot_of(self, rates: "Rates", slot: int, endpoint: str, patience: float) -> float:
        """As ``_slot`` within ``rates``, in one transaction."""
        limits = [(limit, NTH_OF_OPERATOR) for limit in rates.operator]
        limits += [(limit, NTH_OF_ENDPOINT) for limit in rates.of(endpoint)]
        with transaction(self._path, SCHEMA) as db:
            now = self._clock()
            names = {"source": self._operator, "endpoint": endpoint, "now": now}
            db.execute(CALL_IN, names | {"ahead": now + LONGEST_PAUSE})
            db.execute(FORGET, names | {"old": now - self._longest})
            wait = 0.0
            for limit, query in limits:
                found = db.execute(query, names | {"nth": limit.requests - 1}).fetchone()
                if found is not None:
                    wait = max(wait, found[0] + limit.seconds - now)
            if wait <= 0:
                taken = (slot, self._operator, endpoint, now + patience)
                db.execute("INSERT INTO slot VALUES (?, ?, ?, ?)", taken)
            return wait


class Rates:
    """The limits of an operator and of its endpoints for one of ``machines``."""

    def __init__(self, config: OperatorConfig, machines: int = 1) -> None:
        self.operator = [share(limit, machines) for limit in config.limits]
        self._endpoints = {
            endpoint: [share(limit, machines) for limit in limits]
            for endpoint, limits in config.endpoint_limits.items()
        }
        every = [*self.operator, *(x for some in self._endpoints.values() for x in some)]
        self.longest = max((limit.seconds for limit in every), default=0.0)

    def of(self, endpoint: str) -> list[Limit]:
        """The endpoint's own limits."""
        return self._endpoints.get(endpoint, [])


def share(limit: Limit, machines: int = 1) -> Limit:
    """``limit`` with a window 2 % longer, divided by the number of machines."""
    requests = limit.requests // machines
    if requests:
        return Limit(requests, limit.seconds * STRETCH)
    return Limit(1, limit.seconds * STRETCH * math.ceil(machines / limit.requests))


def retry_after(text: str | None, now: dt.datetime) -> float | None:
    """The seconds of a ``Retry-After`` header, 0 to 120; None where it has none.

    Both forms are read, seconds and HTTP date.
    """
    text = (text or "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", text):
        return min(float(text), LONGEST_PAUSE)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=dt.UTC)
    return min(max((date - now).total_seconds(), 0.0), LONGEST_PAUSE)
