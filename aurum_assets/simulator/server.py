"""A stand-in for both market operators on loopback: the composition of everything in this room.

    with Simulator(now=clock, seed=7).serve() as running:
        httpx.get(f"{running.isone_url}/fiveminutelmp/current", auth=("demo", "demo-password"))

ISO New England answers below ``/api/v1.1``, MISO below ``/api``; ``/_simulator`` is for whoever
drives it from another process (``control``). What is published is in the feeds, how it is sent in
``wire``.
"""

import base64
import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, Unpack
from urllib.parse import parse_qsl, unquote, urlsplit

from aurum_assets.model.dataset import Limit
from aurum_assets.simulator import control, faults, feeds
from aurum_assets.simulator.faults import SILENT, Details, Fault
from aurum_assets.simulator.isone.places import PRICED
from aurum_assets.simulator.ledger import LIMITS, Ledger, RetryAfter, Seen, retry_after
from aurum_assets.simulator.replies import asked_format, refusal, replaced, written
from aurum_assets.simulator.wire import Reply, Request, Server
from aurum_assets.simulator.world import Ask, Clock, Refusal, World

_BASES = {"isone": "/api/v1.1", "miso": "/api"}  # the longer one first
_WHO_ARE_YOU = {"WWW-Authenticate": 'Basic realm="ISO New England web services"'}


def wall_clock() -> dt.datetime:
    """The instant of the machine."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Running:
    """Where a simulator answers."""

    simulator: "Simulator"
    host: str
    port: int

    @property
    def isone_url(self) -> str:
        """The base of ISO New England's paths."""
        return f"http://{self.host}:{self.port}{_BASES['isone']}"

    @property
    def miso_url(self) -> str:
        """The base of MISO's paths."""
        return f"http://{self.host}:{self.port}{_BASES['miso']}"

    @property
    def control_url(self) -> str:
        """The base of the simulator's own paths."""
        return f"http://{self.host}:{self.port}{control.BASE}"


@dataclass
class Simulator:
    """Both operators at the instant ``now()``; ``seed`` decides every number.

    ``now`` gives an aware datetime; with a ``SetClock`` it can be set over HTTP. The options up to
    ``mistakes`` are those of ``World``. ``limits`` by ``isone``, ``miso``, ``miso_live``:
    ``{}`` is none at all, ``ledger.scaled(10)`` ten times the operators' own. They are kept on
    ``limit_clock``, the seconds of the server's own clock, whatever ``now`` says.
    """

    now: Clock = wall_clock
    seed: int = 0
    _: KW_ONLY
    revise: bool = False
    locations: int = PRICED
    nodes: int = 4
    miso_dialect: Literal["both", "live", "documented"] = "both"
    final_after_days: int = 2
    jitter: bool = False
    live_only: bool = False
    mistakes: bool = False
    limits: Mapping[str, Sequence[Limit]] = field(default_factory=lambda: LIMITS)
    retry_after: RetryAfter = "seconds"
    limit_clock: Callable[[], float] = time.monotonic
    username: str = "demo"
    password: str = "demo-password"  # noqa: S105  nothing is behind it
    api_key: str = "demo-key"

    def __post_init__(self) -> None:
        self.world = World(
            seed=self.seed,
            revise=self.revise,
            locations=self.locations,
            nodes=self.nodes,
            miso_dialect="live" if self.live_only else self.miso_dialect,
            final_after_days=self.final_after_days,
            jitter=self.jitter,
            live_only=self.live_only,
            mistakes=self.mistakes,
        )
        self.ledger = Ledger(self.limits, self.limit_clock)
        self.faults = faults.Queue()

    @property
    def requests(self) -> list[Seen]:
        """Every request to an operator so far: (time, operator, path, status)."""
        return self.ledger.seen

    def fail(
        self,
        next: str,  # noqa: A002  read at the call: fail(next="500", times=3)
        *,
        times: int = 1,
        match: str = "",
        **details: Unpack[Details],
    ) -> None:
        """Let the next ``times`` requests whose path holds ``match`` meet a fault.

        ``next`` is an HTTP status or one of ``faults.KINDS``; ``details`` are those of ``Fault``.
        Raises ``ValueError`` where it is neither.
        """
        self.faults.put(Fault(next, **details), times=times, match=match)

    @contextmanager
    def serve(self, port: int = 0, host: str = "127.0.0.1") -> Iterator[Running]:
        """Answer on ``host:port`` (0: any that is free) until the block ends."""
        server = Server(host, port, self.reply)
        try:
            yield Running(self, host, server.server_address[1])
        finally:
            server.stop()

    def reply(self, request: Request) -> Reply:
        """What is sent for ``request``, without a socket."""
        split = urlsplit(request.target)
        path = unquote(split.path)
        if path.startswith(f"{control.BASE}/"):
            return control.reply(self, request, path)
        for operator, base in _BASES.items():
            if path.startswith(f"{base}/"):
                query = dict(parse_qsl(split.query, keep_blank_values=True))
                return self._noted(operator, path.removeprefix(base), query, request)
        return refusal(404, f"there is no {path}")

    def _noted(self, operator: str, path: str, query: Mapping[str, str], request: Request) -> Reply:
        """The reply, once the limits have been asked and the ledger knows."""
        live = operator == "miso" and not query
        arrived, early = self.ledger.arrive([operator, *(["miso_live"] if live else [])])
        if early > 0:
            reply = refusal(429, "too many requests", retry_after(self.retry_after, early))
        else:
            fault = self.faults.take(request.target)
            reply = replaced(fault) or self._answered(operator, path, query, request, fault)
        silent = reply.fault is not None and reply.fault.kind in SILENT
        self.ledger.note(Seen(arrived, operator, request.target, 0 if silent else reply.status))
        return reply

    def _answered(
        self,
        operator: str,
        path: str,
        query: Mapping[str, str],
        request: Request,
        fault: Fault | None,
    ) -> Reply:
        if operator == "isone" and not self._may_enter(request.headers):
            return refusal(401, "unauthorized", _WHO_ARE_YOU)
        speaks_xml = operator == "isone"
        path, fmt = asked_format(path, request.headers) if speaks_xml else (path, "json")
        try:
            answer = feeds.answer(operator, self.world, Ask(path, self.now(), fmt, query))
        except Refusal as error:
            return refusal(error.status, str(error))
        return written(answer, fmt, request.headers, fault, self.world.shelf)

    def _may_enter(self, headers: Mapping[str, str]) -> bool:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        key = headers.get("x-api-key")
        return key == self.api_key or headers.get("authorization") == f"Basic {pair}"
