"""An S3 to be talked to over a socket: moto's server in a process of its own, and before it a proxy
that lets requests meet faults.

    with S3Server() as s3:
        s3.make_bucket("raw")                         # versioned
        os.environ |= s3.environment                  # credentials that moto takes
        client = boto3.client("s3", endpoint_url=s3.url)
        s3.fail("503", times=2, method="PUT")         # the next two puts: SlowDown
        with s3.out_of_reach(): ...                   # every request until the block ends
        assert s3.count("PUT", match=".json.gz") == 3

Kinds of faults:

    503, 500, 403, 409   answered with S3's own error for it (SlowDown, InternalError,
                         AccessDenied, ConditionalRequestConflict); nothing reaches the store
    reset                the connection breaks while the request is read; nothing reaches the store
    swallow              the request reaches the store, its answer is never sent
    corrupt              the answer's last byte of body is another one
    cut                  the answer breaks off in the middle of its body
    slow                 the answer begins ``seconds`` late
    drip                 the answer's body comes a byte every ``seconds``

What moto lacks of S3: it looks and puts in two steps (so its server here answers one request at a
time, which makes a conditional put atomic as S3's is), it does not compare a put's checksum with
the body, it checks no signature unless set to, and it never answers 409 by itself.
"""

import contextlib
import http.client
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import unquote

_ERRORS = {
    "503": (503, "SlowDown", "Please reduce your request rate."),
    "500": (500, "InternalError", "We encountered an internal error. Please try again."),
    "403": (403, "AccessDenied", "User: arn:aws:iam::123:user/canary-user is not authorized"),
    "409": (409, "ConditionalRequestConflict", "The conditional request cannot succeed now."),
}
KINDS = (*_ERRORS, "reset", "swallow", "corrupt", "cut", "slow", "drip")
_FOREVER = 1_000_000_000
_OWN_HEADERS = {"connection", "transfer-encoding", "keep-alive", "content-length", "expect"}

# PR_SET_PDEATHSIG (1) with SIGKILL (9): the server dies with the process that started it.
_MOTO = """
import ctypes, os, sys, threading
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit()
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app))
print(server.port, flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class Seen:
    """A request; ``status`` is 0 where no answer was sent. ``fault``: the kind that it met."""

    method: str
    path: str
    status: int
    fault: str


@dataclass
class _Fault:
    kind: str
    left: int
    method: str
    match: str
    seconds: float

    def is_for(self, method: str, path: str) -> bool:
        return self.left > 0 and self.method in ("", method) and self.match in path


@dataclass
class S3Server:
    """See the module. ``url`` leads through the proxy, ``direct_url`` past it (no faults there)."""

    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    direct_url: str = ""
    _faults: list[_Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a process that is to use this server by AWS' own means."""
        return {
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": "canary-secret",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str, *, versioned: bool = True) -> None:
        """Make a bucket."""
        status, _ = self.send("PUT", f"/{name}")
        if versioned and status == http.HTTPStatus.OK:
            body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            status, _ = self.send("PUT", f"/{name}?versioning", body)
        assert status == http.HTTPStatus.OK, status

    def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Ask the store itself, past the proxy: status and body. What a test damages or loses."""
        status, _, answered = _forwarded(self.direct_url, method, path, {}, body)
        return status, answered

    def fail(
        self,
        kind: str,
        times: int = 1,
        *,
        method: str = "",
        match: str = "",
        seconds: float = 1.0,
    ) -> None:
        """Let the next ``times`` requests of ``method`` whose path and query hold ``match`` meet a
        fault (one of ``KINDS``); of several faults that fit, the first that was named comes first.
        """
        if kind not in KINDS:
            msg = f"no fault {kind!r}; there are {', '.join(KINDS)}"
            raise ValueError(msg)
        with self._lock:
            self._faults.append(_Fault(kind, times, method, match, seconds))

    def heal(self) -> None:
        """Forget the faults that nobody met yet."""
        with self._lock:
            self._faults.clear()

    @contextlib.contextmanager
    def out_of_reach(self, kind: str = "reset") -> Iterator[None]:
        """Let every request meet a fault until the block ends."""
        self.fail(kind, _FOREVER)
        try:
            yield
        finally:
            self.heal()

    def count(self, method: str = "", *, match: str = "", status: int | None = None) -> int:
        """How many requests there were."""
        return sum(
            method in ("", s.method) and match in s.path and status in (None, s.status)
            for s in list(self.seen)
        )

    def take(self, method: str, path: str) -> _Fault | None:
        """The fault that this request meets."""
        with self._lock:
            for fault in self._faults:
                if fault.is_for(method, path):
                    fault.left -= 1
                    return fault
        return None

    def __enter__(self) -> Self:
        moto = self._open.enter_context(
            subprocess.Popen(  # noqa: S603  our own line
                [sys.executable, "-c", _MOTO, str(os.getpid())],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        self._open.callback(moto.kill)
        assert moto.stdout is not None
        port = moto.stdout.readline().strip()
        assert port, "moto's server did not start: python -m pip install 'moto[s3]' flask"
        self.direct_url = f"http://127.0.0.1:{port}"
        proxy = _Proxy(("127.0.0.1", 0), partial(_Request, self))
        self._open.callback(proxy.server_close)
        self._open.callback(proxy.shutdown)
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{proxy.server_port}"
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()


class _Proxy(ThreadingHTTPServer):
    """Threads of their own, for which nobody waits."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what is tested here, not news."""


class _Request(BaseHTTPRequestHandler):
    """One connection: each request meets its fault, or the store."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, server: S3Server, *args: object) -> None:
        self._s3 = server
        super().__init__(*args)  # type: ignore[arg-type]  # as socketserver passes them

    def _answer(self) -> None:
        fault = self._s3.take(self.command, self.path)
        kind, pause = (fault.kind, fault.seconds) if fault else ("", 0.0)
        if kind == "reset":
            self.rfile.read(min(16, int(self.headers.get("Content-Length", 0))))
            self._note(0, kind)
            self._break_off()
            return
        status, headers, answer = self._reply(kind, self._body())
        if kind == "swallow":
            self._note(0, kind)
            self._break_off()
            return
        if kind == "slow":
            time.sleep(pause)
        self._note(status, kind)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in headers:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self._send(kind, pause, answer)

    def _reply(self, kind: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if kind in _ERRORS:
            status, code, message = _ERRORS[kind]
            text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            return status, {"Content-Type": "application/xml"}, text
        base = self._s3.direct_url
        return _forwarded(base, self.command, self.path, dict(self.headers), body)

    def _send(self, kind: str, pause: float, answer: bytes) -> None:
        if kind == "corrupt" and answer:
            answer = answer[:-1] + bytes([answer[-1] ^ 1])
        if kind == "cut":
            self.wfile.write(answer[: len(answer) // 2])
            self._break_off()
        elif kind == "drip":
            for byte in answer:
                self.wfile.write(bytes([byte]))
                time.sleep(pause)
        else:
            self.wfile.write(answer)

    def _note(self, status: int, kind: str) -> None:
        self._s3.seen.append(Seen(self.command, unquote(self.path), status, kind))

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815  as http.server has them

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _break_off(self) -> None:
        self.close_connection = True
        now = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
        """``seen`` is the log."""


def _forwarded(
    base: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what the store answers."""
    store = http.client.HTTPConnection(base.removeprefix("http://"), timeout=30)
    try:
        kept = {n: v for n, v in headers.items() if n.lower() not in _OWN_HEADERS}
        store.request(method, path, body, kept)
        answer = store.getresponse()
        found = {
            name.lower(): value
            for name, value in answer.getheaders()
            if name.lower() not in _OWN_HEADERS
            or (method == "HEAD" and name.lower() == "content-length")
        }
        return answer.status, found, answer.read()
    finally:
        store.close()
