"""What processes and machines know of each other: in a Redis, else in the home's SQLite file."""

from collections.abc import Callable
from dataclasses import dataclass

from aurum_assets.resources.home import Home
from aurum_assets.resources.redis import RedisServer, RedisState
from aurum_assets.resources.state import State


@dataclass(frozen=True)
class Shared:
    """The states of one home, and of all machines with the same ``redis``.

    ``environment`` separates their keys there. ``machines``: how many ask with the same
    credentials, for what they do while they have no Redis in common.
    """

    home: Home
    redis: RedisServer | None = None
    environment: str = "dev"
    machines: int = 1

    @property
    def degraded(self) -> str:
        """Why Redis is not asked for now, and what that means; empty where it is."""
        return self.redis.degraded if self.redis else ""

    def prefix(self, whose: str) -> str:
        """The prefix in Redis of the keys of ``whose``."""
        return f"aurum:{self.environment}:{whose}:"

    def state(self, whose: Callable[[], str], part: str = "", *, listed: bool = True) -> State:
        """The state of ``whose()``, which is called at the first use, and only with Redis."""
        if self.redis is None:
            return self.home.state
        return RedisState(
            self.redis, lambda: self.prefix(whose()) + part, self.home.state, listed=listed
        )
