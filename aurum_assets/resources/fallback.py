"""The order in which the endpoints of a feed are asked, by the answers of the last days.

Only the order is decided here; ``api`` makes the requests. All processes share it. Entries expire,
so that an endpoint that comes back is found again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Endpoint, Feed
from aurum_assets.resources.state import State

REFUSED_SECONDS = 86_400.0
UNWELL_SECONDS = 600.0


@dataclass(frozen=True)
class Ask:
    """A fetch: what is asked for. ``due``: the operator should have published it by now.

    ``page``: the address of a further page, in the place of the endpoint's own.
    """

    dataset: str
    feed: Feed
    day: OperatingDay | None
    part: str
    due: bool
    filters: Mapping[str, str] = field(default_factory=dict)
    page: str = ""

    @property
    def scope(self) -> str:
        """The day and part asked for; empty for a feed that takes no day."""
        if self.feed.asks == "now" or self.day is None:
            return ""
        return f"{self.day.key}{self.part and 'T'}{self.part}"


class EndpointMemory:
    """Remembers refusals (403, 404) for a day, and which endpoint answered instead of another.

    If every endpoint refuses a certain day, the day is missing, not the endpoints: the refusal is
    remembered for that day alone, and other days are asked for as before.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def order(self, ask: Ask) -> list[Endpoint]:
        """Return the endpoints to try, in order, without those that refused.

        If all of them refused, one is asked again: the one that answered last, else the first.
        """
        answered = self._state.get(self._answered_key(ask))
        first = sorted(ask.feed.endpoints, key=lambda e: e.name != answered)
        return [e for e in first if not self._has_refused(ask, e)] or first[:1]

    def learn(
        self, ask: Ask, answered: Endpoint | None, refused: list[Endpoint], unwell: list[Endpoint]
    ) -> None:
        """Record a fetch: the endpoint that ``answered``, if any, and those that did not before."""
        scope = ask.scope if answered is None else ""
        for endpoint in refused:
            if ask.due:
                self._state.set(self._refused_key(ask, endpoint, scope), scope, REFUSED_SECONDS)
        if answered is None:
            return
        for key in self._refused_keys(ask, answered):
            self._state.delete(key)
        if refused or unwell:
            seconds = UNWELL_SECONDS if unwell or not ask.due else REFUSED_SECONDS
            self._state.set(self._answered_key(ask), answered.name, seconds)

    def _has_refused(self, ask: Ask, endpoint: Endpoint) -> bool:
        return any(self._state.get(key) is not None for key in self._refused_keys(ask, endpoint))

    def _refused_keys(self, ask: Ask, endpoint: Endpoint) -> set[str]:
        return {self._refused_key(ask, endpoint, scope) for scope in ("", ask.scope)}

    def _refused_key(self, ask: Ask, endpoint: Endpoint, scope: str) -> str:
        return f"refused:{ask.dataset}:{endpoint.name}:{scope}"

    def _answered_key(self, ask: Ask) -> str:
        return f"answered:{ask.dataset}:{ask.feed.name}"
