"""How one operator is asked: its address, limits and credentials, and the clients made of them."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aurum_assets.model.dataset import OperatorConfig
from aurum_assets.model.errors import AurumError
from aurum_assets.model.operator import Operator
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.limits import REPORT_SECONDS, Limiter, SqliteLimiter
from aurum_assets.resources.redis import RedisLimiter
from aurum_assets.resources.shared import Shared
from aurum_assets.resources.state import State

if TYPE_CHECKING:  # httpx: who asks nobody does not pay for it
    from aurum_assets.resources.api import ApiClient


def _refuse_to_wait(why: str) -> None:
    msg = f"{why}; ask again then"
    raise AurumError(msg)


def _refuse_to_rest(_: float) -> None:
    """Refuse the waits that are too short to be reported."""
    _refuse_to_wait(f"waiting for the limit: next request in {REPORT_SECONDS:g} s")


@dataclass(frozen=True)
class OperatorApi:
    """The way to one operator; limits and breaker are those of all who ``shared`` knows of.

    ``config.base_url`` is the address that is asked. ``limit_scale`` times the limits of
    ``config``.
    """

    config: OperatorConfig
    shared: Shared
    credentials: Credentials | None = None
    limit_scale: float = 1.0

    def client(
        self,
        operator: Operator,
        *,
        clock: Callable[[], dt.datetime],
        sleep: Callable[[float], None],
        single_attempt: bool = False,
        memory: State | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> "ApiClient":
        """A client of the operator, sharing limits and breaker with every process here.

        With ``single_attempt`` it asks once, within seconds, and only if a slot is free now. With a
        ``memory`` of its own it does not change breaker and endpoint order. ``report`` is called
        about waits, see ``ApiClient``.
        """
        from aurum_assets.resources.api import ApiClient

        config = self._scaled()
        if single_attempt:
            config = replace(
                config, attempts=1, connect_seconds=5.0, read_seconds=10.0, total_seconds=20.0
            )
        return ApiClient(
            config,
            operator,
            memory or self.known,
            self._limiter(config, _refuse_to_rest if single_attempt else sleep),
            credentials=self.credentials,
            clock=clock,
            sleep=sleep,
            report=_refuse_to_wait if single_attempt else report,
        )

    @property
    def known(self) -> State:
        """What all who ask the operator share: pauses, breaker, endpoints that refused."""
        return self.shared.state(self._address)

    def _scaled(self) -> OperatorConfig:
        scaled = [
            replace(x, requests=max(1, int(x.requests * self.limit_scale)))
            for x in self.config.limits
        ]
        of_endpoints = self.config.endpoint_limits if self.limit_scale == 1 else {}
        return replace(self.config, limits=tuple(scaled), endpoint_limits=of_endpoints)

    def _address(self) -> str:
        """The key namespace in Redis: the address, so that a simulated operator has its own."""
        return urlsplit(self.config.base_url).netloc.rpartition("@")[2]

    def _limiter(self, config: OperatorConfig, sleep: Callable[[float], None]) -> Limiter:
        home, machines = self.shared.home, self.shared.machines
        file = home.limits()
        if self.shared.redis is None:
            return SqliteLimiter(file, config, home.state, machines=machines, sleep=sleep)
        prefix = self.shared.prefix(self._address())
        return RedisLimiter(
            self.shared.redis, prefix, file, config, home.state, machines=machines, sleep=sleep
        )
