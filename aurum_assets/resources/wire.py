"""Send one HTTP request and read the answer, in bounded time and memory.

Sockets, redirects, decoding and their bounds. Not here: when and how often to ask, and what an
answer means (``api``).
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
    """No complete answer came; a retry may help. ``body`` holds what arrived."""

    def __init__(self, reason: str, *, body: bytes = b"", reached: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.body = body
        self.reached = reached


class Unusable(Exception):
    """The answer cannot be used, and a retry would bring the same."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NameUnknown(Exception):
    """DNS does not know the host: a retry would bring the same."""


class Abandoned(Exception):
    """The caller no longer waits."""


@dataclass(frozen=True)
class Bounds:
    """Bounds of one request: seconds, and bytes of its decoded body."""

    connect_seconds: float
    read_seconds: float
    total_seconds: float
    body_bytes: int


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. ``body`` is decoded, and read only for status 200, or a refusal if wanted.

    ``headers``: by lower-case name.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float

    @property
    def retry_after(self) -> str | None:
        """How long to leave the operator alone, as its header says it."""
        return self.headers.get("retry-after")


@cache
def _trusted() -> ssl.SSLContext:
    """The TLS context, once a process: loading the certificates costs 40 ms of CPU."""
    return httpx.create_ssl_context()


class Wire:
    """Sends requests; ``auth`` signs those to the requested origin, and no others.

    A connection serves one request: runs are minutes apart, so a kept one would mostly be dead,
    and ``Deadline`` can close a new one.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        agent: str,
        auth: httpx.Auth | None = None,
        transport: httpx.BaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
        reads_refusals: bool = False,
    ) -> None:
        self._bounds = bounds
        self._reads_refusals = reads_refusals
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
        """Close the client."""
        self._client.close()

    def get(self, url: str, accept: str, slot: Callable[[], AbstractContextManager[None]]) -> Reply:
        """Ask ``url`` and follow up to 5 redirects; ``slot`` is held while a request is sent.

        A redirect to another scheme, host or port drops the credentials for the rest of the chain.
        Raises ``Broken``, ``Unusable``, and ``NameUnknown`` for the host of ``url`` itself; an
        unknown host in a redirect is the operator's mistake.
        """
        here, auth = httpx.URL(url), self._auth
        for _ in range(REDIRECTS + 1):
            try:
                answer = self._ask(here, accept, auth, slot)
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
        slot: Callable[[], AbstractContextManager[None]],
    ) -> Reply | httpx.URL:
        deadline = Deadline(self._bounds.total_seconds)
        request = self._client.build_request(
            "GET", url, headers={"Accept": accept}, extensions={"trace": deadline.trace}
        )
        try:
            with slot():
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
        body = b""
        if response.status_code == httpx.codes.OK:
            body = self._body(response, deadline)
        elif self._reads_refusals and response.is_client_error:
            with contextlib.suppress(Broken, Unusable):  # the status says enough
                body = self._body(response, deadline)
        return Reply(
            status=response.status_code,
            body=body,
            headers=dict(response.headers),
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
        """Our exception for ``error``, which never repeats text of the server or the headers."""
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
    """Decodes a body as it arrives; ``body`` never grows beyond ``cap`` bytes.

    zlib's output is bounded, so that a small bomb cannot become a large string.
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
        """Whether a compressed body is complete (always true of a plain one)."""
        return self._zlib is None or self._zlib.eof

    def feed(self, chunk: bytes) -> None:
        """Decode the next bytes. Raises ``Unusable`` above the cap, ``zlib.error`` if invalid."""
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


# The caller of a thread's requests: one token for all threads whose requests are cut together.
asker: ContextVar[object] = ContextVar("asker", default=None)


def abandon(token: object) -> None:
    """Cut the running requests of ``token``: their caller no longer waits."""
    for deadline in tuple(_under_way):
        if deadline.asker is token:
            deadline.abandon()


class Deadline:
    """Closes a request's socket when its time is up, or when its caller no longer waits.

    The read timeout restarts at each byte: a server that sends single bytes, in its headers or its
    body, would otherwise hold a request for ever.
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
        """Start the clock."""
        self._began = time.monotonic()
        self._timer.start()
        _under_way.add(self)

    def stop(self) -> None:
        """Stop the clock: the request is over."""
        self._timer.cancel()
        _under_way.discard(self)

    def abandon(self) -> None:
        """Cut the request; its thread raises ``Abandoned``."""
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
        """Httpcore reports each connection here; the newest stream is the one to cut."""
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
    """Adds the headers with credentials to a request when it is sent, and nowhere else."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add all headers."""
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
