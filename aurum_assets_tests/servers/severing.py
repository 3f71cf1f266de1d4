"""A wire to a server that can be cut at the worst moment: between a message and its answer.

The server acts on the message; its answer is lost.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Self

_CHUNK = 1 << 16


class Severing:
    """Carries bytes to ``port`` of 127.0.0.1 from a port of its own, ``port`` too.

    ``cut(after, word)``: the next connection that sent ``after`` is cut when it has sent ``word``
    and the server has answered it. ``cuts`` counts.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        self._armed: tuple[bytes, bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self, after: bytes, word: bytes) -> None:
        """Cut the next connection that says ``after`` and then ``word``, once."""
        self._armed = (after, word)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                try:
                    theirs = socket.create_connection(("127.0.0.1", self._to))
                except OSError:  # nobody is there: the next one may find somebody
                    ours.close()
                    continue
                silent = threading.Event()
                for pump in (self._say, self._hear):
                    threading.Thread(target=pump, args=(ours, theirs, silent), daemon=True).start()

    def _say(self, ours: socket.socket, theirs: socket.socket, silent: threading.Event) -> None:
        text = b""
        with contextlib.suppress(OSError), ours, theirs, _ending(ours, theirs):
            while chunk := ours.recv(_CHUNK):
                text = (text + chunk)[-_CHUNK:]
                if self._is_the_moment(text, chunk):
                    silent.set()
                theirs.sendall(chunk)

    def _hear(self, ours: socket.socket, theirs: socket.socket, silent: threading.Event) -> None:
        with contextlib.suppress(OSError), ours, theirs, _ending(ours, theirs):
            while chunk := theirs.recv(_CHUNK):
                if silent.is_set():
                    break
                ours.sendall(chunk)

    def _is_the_moment(self, text: bytes, chunk: bytes) -> bool:
        with self._lock:
            if self._armed is None:
                return False
            after, word = self._armed
            if word not in chunk or after not in text:
                return False
            self._armed = None
            self.cuts += 1
            return True


@contextlib.contextmanager
def _ending(*connections: socket.socket) -> Iterator[None]:
    """Tell both sides at the end: closing alone tells nobody while another thread still listens."""
    try:
        yield
    finally:
        for one in connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
