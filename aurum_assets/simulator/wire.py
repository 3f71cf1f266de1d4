"""The socket side: HTTP/1.1 with keep-alive on loopback, and answers sent badly where asked for.

What is answered is decided by the function that the server is given; nothing here knows a market.
"""

import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aurum_assets.simulator.faults import Fault

_PIECES = 40


@dataclass(frozen=True)
class Request:
    """A request as it came; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """A reply as it shall go, and the fault that spoils its sending."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None


class Server(ThreadingHTTPServer):
    """A server with one thread a connection, which leaves no thread behind when it stops."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, host: str, port: int, reply: Callable[[Request], Reply]) -> None:
        self.reply = reply
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__((host, port), Door)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, cut what is open, and wait for the threads."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        with self._open_lock:
            for connection in self._open:
                _cut(connection)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  stdlib's
        """Note the connection as open, and give it a thread."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401  stdlib's
        """Close without a farewell first, which would hide a reset."""
        self.close_request(request)

    def close_request(self, request: Any) -> None:  # noqa: ANN401  stdlib's
        """Note the connection as closed."""
        with self._open_lock:
            self._open.discard(request)
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  stdlib's
        """A client that hangs up is no error; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Door(BaseHTTPRequestHandler):
    """Reads requests from one connection and sends the replies."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def answer(self) -> None:
        """Answer any method."""
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(length))
        reply = self.server.reply(request)
        send = _SENDERS.get(reply.fault.kind if reply.fault else "", Door.send)
        send(self, reply)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815  stdlib's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  stdlib's
        """Say nothing: the ledger remembers."""

    def send(self, reply: Reply) -> None:
        """The reply as HTTP has it."""
        self.connection.sendall(_head(reply, len(reply.body)) + reply.body)

    def hang(self, reply: Reply) -> None:
        """Say nothing for a while, then hang up."""
        self.server.stopping.wait(_seconds(reply))
        self.close_connection = True

    def drip(self, reply: Reply) -> None:
        """The right bytes, a few at a time."""
        self.connection.sendall(_head(reply, len(reply.body)))
        size = -(-len(reply.body) // _PIECES) or 1
        for start in range(0, len(reply.body), size):
            if self.server.stopping.wait(_seconds(reply) / _PIECES):
                break
            self.connection.sendall(reply.body[start : start + size])

    def reset(self, reply: Reply) -> None:
        """Tear the connection down without a byte."""
        del reply
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def truncated(self, reply: Reply) -> None:
        """Send half of the bytes that were announced."""
        half = reply.body[: len(reply.body) // 2]
        self.connection.sendall(_head(reply, len(reply.body)) + half)
        self.close_connection = True

    def short_length(self, reply: Reply) -> None:
        """Send more bytes than were announced."""
        self.connection.sendall(_head(reply, len(reply.body) // 2) + reply.body)
        self.close_connection = True


_SENDERS: dict[str, Callable[[Door, Reply], None]] = {
    "hang": Door.hang,
    "drip": Door.drip,
    "reset": Door.reset,
    "truncated": Door.truncated,
    "short_length": Door.short_length,
}


def _head(reply: Reply, length: int) -> bytes:
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    headers = {**reply.headers, "Content-Length": str(length)}
    lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _seconds(reply: Reply) -> float:
    return reply.fault.seconds if reply.fault else 0.0


def _cut(connection: socket.socket) -> None:
    """Shut a connection that the other side may have shut before."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
