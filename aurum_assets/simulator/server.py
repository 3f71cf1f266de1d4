"""A simulator of the market operators on loopback: it composes everything in this room.

    with Simulator(now=clock, seed=7).serve() as running:
        httpx.get(f"{running.urls[operator.name]}{path}")

Each operator of ``operators`` answers below its own base; ``/_simulator`` is for whoever drives it
from another process (``control``). How an answer is sent is in ``wire``.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Literal, Unpack
from urllib.parse import parse_qsl, unquote, urlsplit

from aurum_assets.model.operator import Limit
from aurum_assets.simulator import control, faults
from aurum_assets.simulator.faults import SILENT, Details, Fault
from aurum_assets.simulator.ledger import Ledger, RetryAfter, Seen, retry_after
from aurum_assets.simulator.operator import SimulatedOperator
from aurum_assets.simulator.operators import OPERATORS, limits
from aurum_assets.simulator.replies import asked_format, problem, refusal, replaced, written
from aurum_assets.simulator.wire import Reply, Request, Server
from aurum_assets.simulator.world import Ask, Clock, Refusal, World


def wall_clock() -> dt.datetime:
    """The instant of the machine."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Running:
    """A running simulator, and the addresses at which it answers."""

    simulator: "Simulator"
    host: str
    port: int

    @property
    def url(self) -> str:
        """The address of the server, without a path."""
        return f"http://{self.host}:{self.port}"

    @property
    def urls(self) -> Mapping[str, str]:
        """The base of each operator's paths, by its name."""
        return {o.name: f"{self.url}{o.base}" for o in self.simulator.operators}

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables of a process that asks these operators, and is admitted."""
        urls = {o.operator.base_url_variable: self.urls[o.name] for o in self.simulator.operators}
        return {**urls, **self.simulator.credentials}

    @property
    def control_url(self) -> str:
        """The base of the simulator's own paths."""
        return f"{self.url}{control.BASE}"


@dataclass
class Simulator:
    """All operators at the instant ``now()``; ``seed`` decides every number.

    ``now`` gives an aware datetime; with a ``SetClock`` it can be set over HTTP. The options up to
    ``page_rows`` are those of ``World``. ``limits`` by an operator's name or a window of its own:
    None for the operators' own, ``{}`` for none at all, ``operators.limits(10)`` for ten times
    theirs. They are kept on ``limit_clock``, the seconds of the server's own clock, whatever
    ``now`` says.
    ``credentials``: values that the operators admit instead of their own, by environment variable.
    """

    now: Clock = wall_clock
    seed: int = 0
    _: KW_ONLY
    revise: bool = False
    locations: int | None = None
    nodes: int = 4
    dialect: Literal["both", "live", "documented"] = "both"
    final_after_days: int = 2
    jitter: bool = False
    live_only: bool = False
    mistakes: bool = False
    page_rows: int = 50_000
    limits: Mapping[str, Sequence[Limit]] | None = None
    retry_after: RetryAfter = "seconds"
    limit_clock: Callable[[], float] = time.monotonic
    credentials: Mapping[str, str] = field(default_factory=dict)
    operators: Sequence[SimulatedOperator] = OPERATORS

    def __post_init__(self) -> None:
        options = {f.name: getattr(self, f.name) for f in fields(World) if f.name != "shelf"}
        self.world = World(**options | ({"dialect": "live"} if self.live_only else {}))
        own = limits(operators=self.operators) if self.limits is None else self.limits
        self.ledger = Ledger(own, self.limit_clock)
        admitted = {k: v for o in self.operators for k, v in o.credentials.items()}
        self.credentials = {**admitted, **self.credentials}
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
        below = [o for o in self.operators if path.startswith(f"{o.base}/")]
        if below:
            operator = max(below, key=lambda o: len(o.base))
            query = dict(parse_qsl(split.query, keep_blank_values=True))
            return self._noted(operator, path.removeprefix(operator.base), query, request)
        return refusal(404, f"there is no {path}")

    def _noted(
        self, operator: SimulatedOperator, path: str, query: Mapping[str, str], request: Request
    ) -> Reply:
        """The reply, once the limits have been asked and the ledger knows."""
        arrived, early = self.ledger.arrive([operator.name, *operator.windows(path, query)])
        if early > 0:
            reply = refusal(429, "too many requests", retry_after(self.retry_after, early))
        else:
            fault = self.faults.take(request.target)
            reply = replaced(fault) or self._answered(operator, path, query, request, fault)
        silent = reply.fault is not None and reply.fault.kind in SILENT
        status = 0 if silent else reply.status
        self.ledger.note(Seen(arrived, operator.name, request.target, status))
        return reply

    def _answered(
        self,
        operator: SimulatedOperator,
        path: str,
        query: Mapping[str, str],
        request: Request,
        fault: Fault | None,
    ) -> Reply:
        headers = request.headers
        if not operator.admits(headers, self.credentials):
            return refusal(401, "unauthorized", operator.challenge)
        path, fmt = asked_format(path, headers, operator.formats)
        try:
            answer = operator.answer(self.world, Ask(path, self.now(), fmt, query))
        except Refusal as error:
            if operator.problem is None:
                return refusal(error.status, str(error))
            return problem(error.status, operator.problem(str(error)))
        return written(answer, fmt, operator.render, headers, fault, self.world.shelf)
