"""One request: an answer's status and bytes, in bounded time and memory.

Here belong sockets, redirects, decoding and their bounds. When to ask, how often, and what an
answer means belong to ``api``.
"""

import contextlib
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from aurum_assets.resources import hosts

REDIRECTS = 5
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
GZIP_OR_ZLIB = 47
COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})
PLAIN = frozenset({"", "identity"})
_NO_SUCH_HOST = "it redirected to a host whose name is not known"


class Broken(Exception):
    """No whole answer came; another try may bring one. ``body`` holds what came of it."""

    def __init__(self, reason: str, *, body: bytes = b"", reached: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.body = body
        self.reached = reached


class Unusable(Exception):
    """An answer came, and another try would bring the same."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NameUnknown(Exception):
    """No DNS server knows the host that was to be asked: another try would bring the same."""


class Abandoned(Exception):
    """Whoever asked waits no more."""


@dataclass(frozen=True)
class Bounds:
    """What one request may cost: seconds, and bytes of its decoded body."""

    connect_seconds: float
    read_seconds: float
    total_seconds: float
    body_bytes: int


@dataclass(frozen=True)
class Reply:
    """What the operator said. ``body`` is decoded, and read of a 200 only."""

    status: int
    body: bytes
    retry_after: str | None
    seconds: float


@cache
def _trusted() -> ssl.SSLContext:
    """Loading the certificates costs 40 ms of a tick's CPU: once a process."""
    return httpx.create_ssl_context()


class Wire:
    """Sends requests; ``auth`` signs those to the origin that was asked, and no others.

    A connection serves one request: ticks are minutes apart, so a kept one would mostly be dead,
    and a fresh one is what ``Deadline`` can cut.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        agent: str,
        auth: httpx.Auth | None = None,
        transport: httpx.BaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._bounds = bounds
        self._auth = auth
        self._client = httpx.Client(
            transport=transport,
            verify=_trusted(),
            timeout=httpx.Timeout(bounds.read_seconds, connect=bounds.connect_seconds),
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={
                **(headers or {}),
                "User-Agent": agent,
                "Accept-Encoding": "gzip",
                "Connection": "close",
            },
        )

    def close(self) -> None:
        """Let go of the sockets."""
        self._client.close()

    def get(self, url: str, accept: str, turn: Callable[[], AbstractContextManager[None]]) -> Reply:
        """Ask ``url`` and follow up to 5 redirects; ``turn`` is held while a request is sent.

        A redirect to another scheme, host or port loses the credentials, and does not find them
        again on the way back. Raises ``Broken``, ``Unusable``, and ``NameUnknown`` for the host of
        ``url`` itself; one that it redirects to is the operator's mistake.
        """
        here, auth = httpx.URL(url), self._auth
        for _ in range(REDIRECTS + 1):
            try:
                answer = self._ask(here, accept, auth, turn)
            except httpx.ConnectError as error:
                if here.host == httpx.URL(url).host:
                    raise NameUnknown from error
                raise Broken(_NO_SUCH_HOST, reached=False) from None
            if isinstance(answer, Reply):
                return answer
            auth = auth if _origin(answer) == _origin(here) else None
            here = answer
        msg = f"it redirected more than {REDIRECTS} times"
        raise Unusable(msg)

    def _ask(
        self,
        url: httpx.URL,
        accept: str,
        auth: httpx.Auth | None,
        turn: Callable[[], AbstractContextManager[None]],
    ) -> Reply | httpx.URL:
        deadline = Deadline(self._bounds.total_seconds)
        request = self._client.build_request(
            "GET", url, headers={"Accept": accept}, extensions={"trace": deadline.trace}
        )
        try:
            with turn():
                deadline.start()
                response = self._client.send(request, auth=auth, stream=True)
            with contextlib.closing(response):
                return self._read(response, deadline)
        except httpx.TransportError as error:
            if hosts.is_unknown(error):
                raise
            raise self._broken(error, deadline) from None
        finally:
            deadline.stop()

    def _read(self, response: httpx.Response, deadline: "Deadline") -> Reply | httpx.URL:
        location = response.headers.get("location")
        if response.status_code in REDIRECT_STATUSES and location:
            return _redirected(response.url, location)
        body = self._body(response, deadline) if response.status_code == httpx.codes.OK else b""
        return Reply(
            status=response.status_code,
            body=body,
            retry_after=response.headers.get("retry-after"),
            seconds=deadline.used,
        )

    def _body(self, response: httpx.Response, deadline: "Deadline") -> bytes:
        decoder = Decoder(response.headers.get("content-encoding", ""), self._bounds.body_bytes)
        arrived = 0
        try:
            for chunk in response.iter_raw():
                arrived += len(chunk)
                decoder.feed(chunk)
                if deadline.passed:
                    break
        except (httpx.TransportError, zlib.error) as error:
            raise self._broken(error, deadline, bytes(decoder.body)) from None
        body = bytes(decoder.body)
        if deadline.abandoned:
            raise Abandoned
        if deadline.passed:
            raise Broken(deadline.reason, body=body)
        announced = response.headers.get("content-length", "")
        if re.fullmatch("[0-9]+", announced) and arrived != int(announced):
            msg = f"its body was cut short: {arrived} of {announced} bytes"
            raise Broken(msg, body=body)
        if not decoder.whole:
            msg = "its compressed body was cut short"
            raise Broken(msg, body=body)
        return body

    def _broken(self, error: Exception, deadline: "Deadline", body: bytes = b"") -> Exception:
        """``error`` in our words, which never repeat what the other side or the headers said."""
        reached = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        if deadline.abandoned:
            return Abandoned()
        if isinstance(error, httpx.UnsupportedProtocol):
            return Unusable("its address is neither http nor https")
        if deadline.passed:
            reason = deadline.reason
        elif isinstance(error, httpx.ConnectTimeout):
            reason = f"no connection within {self._bounds.connect_seconds:g} s"
        elif isinstance(error, httpx.ConnectError):
            reason = f"no connection ({error})"
        elif isinstance(error, httpx.TimeoutException):
            reason = f"nothing came for {self._bounds.read_seconds:g} s"
        elif isinstance(error, zlib.error):
            reason = "its compressed body is damaged"
        else:
            reason = f"the connection broke ({type(error).__name__})"
        return Broken(reason, body=body, reached=reached)


class Decoder:
    """Takes a body apart as it comes; ``body`` never grows beyond ``cap`` bytes.

    zlib is told how much it may give, so that a small bomb cannot become a large string.
    """

    def __init__(self, encoding: str, cap: int) -> None:
        self.body = bytearray()
        self._cap = cap
        encoding = encoding.strip().lower()
        if encoding not in COMPRESSED | PLAIN:
            msg = f"its body is encoded as {encoding[:40]!r}, where gzip was asked for"
            raise Unusable(msg)
        self._zlib = zlib.decompressobj(GZIP_OR_ZLIB) if encoding in COMPRESSED else None

    @property
    def whole(self) -> bool:
        """Whether a compressed body has come to its end (a plain one cannot say)."""
        return self._zlib is None or self._zlib.eof

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises ``Unusable`` above the cap, ``zlib.error`` for nonsense."""
        room = self._cap + 1 - len(self.body)
        if self._zlib is None:
            self.body += chunk[:room]
        while self._zlib is not None and chunk and room > 0:
            if self._zlib.eof:
                self._zlib = zlib.decompressobj(GZIP_OR_ZLIB)
            self.body += self._zlib.decompress(chunk, room)
            room = self._cap + 1 - len(self.body)
            chunk = self._zlib.unused_data
        if len(self.body) > self._cap:
            msg = f"its body is larger than {self._cap / 1e6:g} MB (body_cap_mb)"
            raise Unusable(msg)


_under_way: set["Deadline"] = set()


# For whom a thread asks: one token for all threads whose requests are cut together.
asker: ContextVar[object] = ContextVar("asker", default=None)


def abandon(token: object) -> None:
    """Cut the requests that are under way for ``token``: nobody waits for them."""
    for deadline in tuple(_under_way):
        if deadline.asker is token:
            deadline.abandon()


class Deadline:
    """Closes a request's socket when its time is up, or when nobody waits for it any more.

    The read timeout starts afresh at each byte, so that without this a server that drips bytes, in
    its headers or in its body, would hold a request for ever.
    """

    def __init__(self, seconds: float) -> None:
        self.reason = f"no whole answer within {seconds:g} s"
        self.asker = asker.get()
        self.abandoned = False
        self._seconds = seconds
        self._began = 0.0
        self._stream: Any = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def start(self) -> None:
        """The time runs from here."""
        self._began = time.monotonic()
        self._timer.start()
        _under_way.add(self)

    def stop(self) -> None:
        """The request is over."""
        self._timer.cancel()
        _under_way.discard(self)

    def abandon(self) -> None:
        """Its thread is told ``Abandoned``."""
        self.abandoned = True
        self._cut()

    @property
    def used(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.used >= self._seconds

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Httpcore tells of each connection made; the newest stream is the one to cut."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = info["return_value"]
            if self.passed or self.abandoned:
                self._cut()

    def _cut(self) -> None:
        stream = self._stream
        sock = None if stream is None else stream.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                # Not sock.shutdown: a TLS socket would go on reading in the clear.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Signature(httpx.Auth):
    """Puts headers that say who asks on a request at the last moment; shows them to nobody else."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """All of them."""
        request.headers.update(self._headers)
        yield request


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return (url.scheme, url.host, url.port)


def _redirected(here: httpx.URL, location: str) -> httpx.URL:
    try:
        there = here.join(location).copy_with(userinfo=b"", fragment=None)
    except httpx.InvalidURL:
        msg = "it redirected to something that is no address"
        raise Unusable(msg) from None
    if there.scheme not in {"http", "https"} or not there.host:
        msg = "it redirected to something that is no address of the web"
        raise Unusable(msg)
    return there
