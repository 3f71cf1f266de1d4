"""The input of every simulated feed (options, clock, request), and its answer.

A feed is a module with ``ROUTES``: a pattern of the path, and a function from (world, ask, the
pattern's groups) to an ``Answer``, or a ``Refusal`` raised. Sockets, limits and faults are
elsewhere.
"""

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aurum_assets.simulator.payloads import Format, Tree

Clock = Callable[[], dt.datetime]


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self, now: dt.datetime) -> None:
        self.set(now)

    def __call__(self) -> dt.datetime:
        """The present instant."""
        return self._now

    def set(self, now: dt.datetime) -> None:
        """Let it be ``now``. Raises ``ValueError`` where that carries no offset."""
        if now.tzinfo is None:
            msg = f"{now.isoformat()} has no offset, so it is no instant"
            raise ValueError(msg)
        self._now = now.astimezone(dt.UTC)


class Shelf:
    """Bytes once made are kept, the longest unused thrown away first."""

    def __init__(self, megabytes: int) -> None:
        self._room = megabytes * 2**20
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What ``make`` gives, made at most once as long as there is room."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._room -= len(made)
            while self._room < 0 and len(self._kept) > 1:
                self._room += len(self._kept.popitem(last=False)[1])
        return made


@dataclass(frozen=True)
class World:
    """The options that decide what is published, and when.

    ``revise``: some preliminary prices are corrected minutes later, and some intervals come late.
    ``jitter``: each interval is out up to 40 s later, and finals come one to three days later.
    ``locations``: how many are priced (None: all that the operator has); ``nodes``: how many a
    forecast is made for. ``dialect``: that of a feed that has two.
    ``live_only``: there are no paths that are only documented.
    ``mistakes``: what operators do now and then happens once a day; each feed says what.
    ``page_rows``: how many records a page holds at most, of an operator whose answers have pages.
    """

    seed: int = 0
    revise: bool = False
    locations: int | None = None
    nodes: int = 4
    dialect: Literal["both", "live", "documented"] = "both"
    final_after_days: int = 2
    jitter: bool = False
    live_only: bool = False
    mistakes: bool = False
    page_rows: int = 50_000
    shelf: Shelf = field(default_factory=lambda: Shelf(96), compare=False, repr=False)


@dataclass(frozen=True)
class Ask:
    """A question: the path below the operator's base without its suffix, at the instant ``now``."""

    path: str
    now: dt.datetime
    format: Format = "json"
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A simulated answer before it is written as JSON or XML.

    ``tree`` is its content; ``fast`` writes the same without building the tree. ``main`` is the
    dotted name of the field that faults touch. Answers of one ``key`` have the same content.
    """

    tree: Callable[[], Tree]
    main: str
    key: Hashable = None
    fast: Callable[[Format], bytes] | None = None


class Refusal(Exception):
    """The operator says no."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Route:
    """A path of an operator: a pattern that the whole path below its base must match.

    ``documented``: the live server has no such path.
    """

    pattern: str
    answer: Callable[..., Answer]
    documented: bool = False
