"""The circuit breaker: blocks requests to an operator after several failed fetches in a row.

It counts fetches, not attempts: each fetch has already retried with growing pauses. The state is in
``State``, so that all processes share one breaker. Requests are made elsewhere.
"""

import datetime as dt
import uuid
from collections.abc import Callable

from aurum_assets.model.dataset import OperatorConfig
from aurum_assets.model.errors import SourceUnavailable
from aurum_assets.model.operator import Operator
from aurum_assets.resources.state import State

MEMORY_SECONDS = 3600.0


class Breaker:
    """Closed, open for ``breaker_seconds``, then half open: one probe over all processes.

    Each failure is an entry of its own, so that no count is lost between processes.
    """

    def __init__(
        self,
        config: OperatorConfig,
        operator: Operator,
        state: State,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._title = operator.title
        self._state = state
        self._clock = clock
        self._failures = config.breaker_failures
        self._seconds = config.breaker_seconds
        self._memory = max(MEMORY_SECONDS, 2 * self._failures * self._seconds)
        self._probe_seconds = 2 * config.connect_seconds + config.total_seconds
        self._open_key = f"breaker:{config.name}:open"
        self._probe_key = f"breaker:{config.name}:probe"
        self._failure_prefix = f"breaker:{config.name}:failure:"

    def admit(self) -> bool:
        """Whether the caller is the probe. Raises ``SourceUnavailable`` while the breaker is open.

        A probe must end in ``failed`` or ``answered``, or ``leave``.
        """
        self.refuse_if_open()
        if self._is_closed():
            return False
        if not self._state.claim(self._probe_key, self._probe_seconds):
            msg = (
                f"{self._title} has been unavailable and another process is asking whether it is "
                "back: ask again in a minute"
            )
            raise SourceUnavailable(msg)
        return self._still_half_open()

    def _still_half_open(self) -> bool:
        """Check again as the holder of the probe: an earlier probe may have ended meanwhile."""
        try:
            self.refuse_if_open()
        except SourceUnavailable:
            self.leave()
            raise
        if self._is_closed():
            self.leave()
            return False
        return True

    @property
    def tripped(self) -> bool:
        """Whether the breaker is open or half open."""
        return not self._is_closed()

    def keep(self) -> None:
        """Keep the probe while it waits for a slot: no other process becomes the probe."""
        self._state.set(self._probe_key, "", self._probe_seconds)

    def leave(self) -> None:
        """The probe ends without a result."""
        self._state.delete(self._probe_key)

    def failed(self, *, probing: bool) -> None:
        """A fetch ended unavailable."""
        self._state.set(f"{self._failure_prefix}{uuid.uuid4().hex}", "", self._memory)
        if probing or not self._is_closed():
            until = self._clock() + dt.timedelta(seconds=self._seconds)
            self._state.set(self._open_key, until.isoformat(), self._seconds)
        if probing:
            self.leave()

    def answered(self, *, probing: bool) -> None:
        """The operator answered a fetch, even if with a refusal: it is available."""
        failures = self._state.keys(self._failure_prefix)
        for key in failures:
            self._state.delete(key)
        if failures:
            self._state.delete(self._open_key)
        if probing:
            self.leave()

    def _is_closed(self) -> bool:
        return len(self._state.keys(self._failure_prefix)) < self._failures

    def refuse_if_open(self) -> None:
        """Raise ``SourceUnavailable`` while nobody may ask."""
        until = self._state.get(self._open_key)
        if until is None:
            return
        moment = dt.datetime.fromisoformat(until).astimezone(dt.UTC)
        msg = (
            f"{self._title} was unavailable {self._failures} times in a row, so nothing is asked "
            f"until {moment:%Y-%m-%d %H:%M:%S} UTC: ask again then, or look at its status page"
        )
        raise SourceUnavailable(msg)
