"""A stand-in for both market operators on loopback: the composition of everything in this room.

    with Simulator(now=clock, seed=7).serve() as running:
        httpx.get(f"{running.isone_url}/fiveminutelmp/current", auth=("demo", "demo-password"))

ISO New England answers below ``/api/v1.1``, MISO below ``/api``; ``/_simulator`` is for whoever
drives it from another process (``control``). What is published is in the feeds, how it is sent in
``wire``.
"""

import base64
import datetime as dt
import gzip
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from aurum_assets.model.dataset import Limit
from aurum_assets.simulator import control, faults, feeds
from aurum_assets.simulator.faults import Fault
from aurum_assets.simulator.ledger import LIMITS, Ledger, RetryAfter, Seen, retry_after
from aurum_assets.simulator.payloads import Format, render
from aurum_assets.simulator.places import PRICED
from aurum_assets.simulator.wire import Reply, Request, Server
from aurum_assets.simulator.world import Answer, Ask, Clock, Refusal, World

_ISONE = "/api/v1.1"
_MISO = "/api"
_SMALL = 256  # bytes that are not worth packing
_TYPES = {"json": "application/json", "xml": "application/xml"}


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
        return f"http://{self.host}:{self.port}{_ISONE}"

    @property
    def miso_url(self) -> str:
        """The base of MISO's paths."""
        return f"http://{self.host}:{self.port}{_MISO}"

    @property
    def control_url(self) -> str:
        """The base of the simulator's own paths."""
        return f"http://{self.host}:{self.port}{control.BASE}"


@dataclass
class Simulator:
    """Both operators at the instant ``now()``; ``seed`` decides every number.

    ``now`` gives an aware datetime; with a ``SetClock`` it can be set over HTTP. The options up to
    ``final_after_days`` are those of ``World``. ``limits`` by ``isone``, ``miso``, ``miso_live``:
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
            miso_dialect=self.miso_dialect,
            final_after_days=self.final_after_days,
        )
        self.ledger = Ledger(self.limits, self.limit_clock)
        self.faults = faults.Queue()

    @property
    def requests(self) -> list[Seen]:
        """Every request to an operator so far: (time, operator, path, status)."""
        return self.ledger.seen

    def fail(  # noqa: PLR0913  one word a fault needs, all with defaults
        self,
        next: str,  # noqa: A002  read at the call: fail(next="500", times=3)
        *,
        times: int = 1,
        match: str = "",
        seconds: float = 30.0,
        field: str = "",
        location: str = "http://elsewhere.invalid/",
        megabytes: int = 256,
    ) -> None:
        """Let the next ``times`` requests whose path holds ``match`` meet a fault.

        ``next`` is an HTTP status or one of ``faults.KINDS``; see ``Fault`` for the rest. Raises
        ``ValueError`` where it is neither.
        """
        fault = Fault(next, seconds, field, location, megabytes)
        self.faults.put(fault, times=times, match=match)

    @contextmanager
    def serve(self, port: int = 0, host: str = "127.0.0.1") -> Iterator[Running]:
        """Answer on ``host:port`` (0: any that is free) until the block ends."""
        server = Server(host, port, self.reply)
        try:
            yield Running(self, host, server.server_address[1])
        finally:
            server.stop()

    # --- one request ---------------------------------------------------------------------------

    def reply(self, request: Request) -> Reply:
        """What is sent for ``request``, without a socket."""
        split = urlsplit(request.target)
        path = unquote(split.path)
        if path.startswith(control.BASE + "/"):
            return control.reply(self, request, path)
        operator, base = ("isone", _ISONE) if path.startswith(_ISONE) else ("miso", _MISO)
        live = operator == "miso" and not split.query
        arrived, early = self.ledger.arrive([operator, *(["miso_live"] if live else [])])
        if early > 0:
            reply = _refusal(429, "too many requests", retry_after(self.retry_after, early))
        else:
            fault = self.faults.take(request.target)
            below = path.removeprefix(base)
            reply = self._answer(operator, below, dict(parse_qsl(split.query)), request, fault)
        silent = reply.fault is not None and reply.fault.kind in {"hang", "reset"}
        status = 0 if silent else reply.status
        self.ledger.note(Seen(arrived, operator, request.target, status))
        return reply

    def _answer(
        self,
        operator: str,
        path: str,
        query: Mapping[str, str],
        request: Request,
        fault: Fault | None,
    ) -> Reply:
        replaced = _replaced(fault)
        if replaced is not None:
            return replaced
        if operator == "isone" and not self._may_enter(request.headers):
            wanted = {"WWW-Authenticate": 'Basic realm="ISO New England web services"'}
            return _refusal(401, "unauthorized", wanted)
        path, fmt = _format(path, request.headers) if operator == "isone" else (path, "json")
        try:
            answer = feeds.answer(operator, self.world, Ask(path, self.now(), fmt, query))
        except Refusal as refusal:
            return _refusal(refusal.status, str(refusal))
        body, packed = self._written(answer, fmt, fault, _takes_gzip(request.headers))
        headers = {"Content-Type": _TYPES[fmt]} | ({"Content-Encoding": "gzip"} if packed else {})
        return Reply(200, body, headers, fault)

    def _may_enter(self, headers: Mapping[str, str]) -> bool:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        key = headers.get("x-api-key")
        return key == self.api_key or headers.get("authorization") == f"Basic {pair}"

    def _written(
        self,
        answer: Answer,
        fmt: Format,
        fault: Fault | None,
        packing: bool,  # noqa: FBT001  private
    ) -> tuple[bytes, bool]:
        """The bytes, and whether they are packed."""
        if fault is not None and fault.kind in (*faults.BYTES, *faults.TREE):
            body = _spoiled(answer, fmt, fault)
            key = None
        else:
            key = answer.key and (answer.key, fmt)
            body = self._kept(key, lambda: _plain(answer, fmt))
        if not packing or len(body) < _SMALL:
            return body, False
        return self._kept(key and (key, "gzip"), lambda: gzip.compress(body, 1, mtime=0)), True

    def _kept(self, key: object, make: Callable[[], bytes]) -> bytes:
        return self.world.shelf.get(key, make) if key else make()


def _plain(answer: Answer, fmt: Format) -> bytes:
    return answer.fast(fmt) if answer.fast else render(answer.tree(), fmt)


def _spoiled(answer: Answer, fmt: Format, fault: Fault) -> bytes:
    tree = answer.tree()
    if fault.kind != "malformed":
        tree = faults.spoil_tree(fault, tree, answer.main)
    body = render(tree, fmt)
    return faults.spoil_bytes(fault, body) if fault.kind in faults.BYTES else body


def _replaced(fault: Fault | None) -> Reply | None:
    """The reply that stands in for the answer, where the fault is of that sort."""
    if fault is None:
        return None
    if fault.status is not None:
        return _refusal(fault.status, "asked for")
    json = {"Content-Type": "application/json"}
    bomb = json | {"Content-Encoding": "gzip"}
    made: dict[str, Callable[[], Reply]] = {
        "redirect": lambda: Reply(302, b"", {"Location": fault.location}),
        "gzip_bomb": lambda: Reply(200, faults.bomb(fault.megabytes), bomb),
        "html": lambda: Reply(200, faults.HTML, {"Content-Type": "text/html"}),
        "empty": lambda: Reply(200, b"", json),
        "no_data": lambda: Reply(200, b'{"error":"no data"}', json),
    }
    return made[fault.kind]() if fault.kind in made else None


def _refusal(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Reply:
    body = f"<html><body><h1>{status}</h1><p>{reason}</p></body></html>".encode()
    return Reply(status, body, {"Content-Type": "text/html", **(headers or {})})


def _format(path: str, headers: Mapping[str, str]) -> tuple[str, Format]:
    """The path without its suffix, and the format that suffix or ``Accept`` asks for."""
    for fmt in ("json", "xml"):
        if path.endswith(f".{fmt}"):
            return path.removesuffix(f".{fmt}"), fmt
    return path, "json" if "application/json" in headers.get("accept", "") else "xml"


def _takes_gzip(headers: Mapping[str, str]) -> bool:
    return "gzip" in headers.get("accept-encoding", "")
