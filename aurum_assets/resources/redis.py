"""State and request limits that machines share through one Redis.

Not here: what the entries mean. A Redis that is dead, silent, full, emptied or refuses us costs a
process about a second and no data: it is not asked for half an hour, ``RedisServer.degraded`` says
so, and this machine's SQLite replaces it. Entries that are stale after such a time do no harm: they
expire soon (pauses, breaker, refusals), or describe an archive or a table, where they are checked
(``newest``) or only cost work (``merged``: a day is rebuilt).
"""

import contextlib
import functools
import math
import re
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from aurum_assets.model.dataset import OperatorConfig
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.finding import Finding
from aurum_assets.resources import hosts
from aurum_assets.resources.limits import LONGEST_PAUSE, Rates, SqliteLimiter
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.redaction import masked
from aurum_assets.resources.state import State

if TYPE_CHECKING:
    from redis import Redis

CONNECT_SECONDS = 0.5
READ_SECONDS = 1.0
SILENT_SECONDS = 1800.0
IDLE_SECONDS = 30.0
SLOW_SECONDS, SLOWEST_SECONDS, SLOW_WITHIN = 0.2, 1.0, 600.0

log = get_logger(__name__)


class OutOfReach(Exception):
    """Redis gave no answer, or is not asked at present."""


class RedisServer:
    """The connection of one process to a Redis. Safe for threads and forks.

    After one failure it is not asked for ``SILENT_SECONDS``: a server that is down costs at most a
    look-up of its name, a connect and a read, 2 s. Answers that take more than 0.2 s may cost 1 s
    in ten minutes. ``degraded`` is a sentence that says why it is not asked, without password.
    """

    def __init__(self, url: SecretStr, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._redis: Redis | None = None
        self._silent_until = self._used = self._slow_since = -math.inf
        self._slow = 0.0
        self._why = ""
        self.degraded = ""

    @property
    def url(self) -> SecretStr:
        """Its address, with what may be a password."""
        return self._url

    def ask(self, command: Callable[["Redis"], Any]) -> Any:  # noqa: ANN401  what Redis answers
        """The answer to ``command``. Raises ``OutOfReach``."""
        if self._clock() < self._silent_until:
            raise OutOfReach
        from redis.exceptions import RedisError

        try:
            redis = self._client()
            began = self._clock()
            answer = command(redis)
        except (RedisError, OSError, ValueError) as error:
            self._leave_alone(self._reason(error))
            raise OutOfReach from None
        self._note(began)
        return answer

    def run(self, script: str, keys: Sequence[str], *args: str | float) -> Any:  # noqa: ANN401
        """The result of a Lua ``script``, one atomic step on the server. Raises ``OutOfReach``."""
        return self.ask(lambda redis: redis.register_script(script)(list(keys), list(args)))

    def check(self) -> Finding:
        """Set, get and delete a key that expires, by a script, as a run does. Raises nothing."""
        url, key = self._url.get_secret_value(), f"aurum:doctor:{uuid.uuid4().hex}"
        where = masked(url)
        try:
            self.ask(lambda redis: redis.ping())
            began = self._clock()
            value, expires = self.run(_CHECK, [key], key)
            took = round((self._clock() - began) * 1000)
            seconds, micros = self.ask(lambda redis: redis.time())
            policy = self.ask(_policy)
        except OutOfReach:
            return Finding("redis", "broken", where, self._why, _LOOK)
        if value != key or expires <= 0:
            result = "does not return what was set"
            return Finding("redis", "broken", where, result, "use Redis without a proxy")
        skew = round(seconds + micros / 1e6 - time.time(), 1)
        if policy in {"", "noeviction"}:
            result = "set, get, delete" + (f", {policy}" if policy else "")
            return Finding("redis", "ok", where, result, "", took, skew)
        result = f"evicts keys ({policy})"
        return Finding("redis", "unsure", where, result, _EVICTS, took, skew)

    def _client(self) -> "Redis":
        url = self._url.get_secret_value()
        if self._redis is None:
            self._redis = _connected(url)
        if self._clock() - self._used > IDLE_SECONDS:
            _resolve(url)  # and connect anew: firewalls drop idle connections silently
            self._redis.connection_pool.disconnect(inuse_connections=False)
        return self._redis

    def _reason(self, error: Exception) -> str:
        if not hosts.is_unknown(error):
            return _reason(error)
        host = urlsplit(self._url.get_secret_value()).hostname or ""
        message = hosts.unknown(host, "AURUM_REDIS_URL (REDIS_HOST)")
        return f"cannot be reached ({message})"

    def _note(self, began: float) -> None:
        now = self._used = self._clock()
        if now < self._silent_until:
            return  # another thread has just given up
        self.degraded = ""
        if now - self._slow_since > SLOW_WITHIN:
            self._slow_since, self._slow = now, 0.0
        self._slow += max(0.0, now - began - SLOW_SECONDS)
        if self._slow > SLOWEST_SECONDS:
            self._leave_alone("answers too slowly")

    def _leave_alone(self, reason: str) -> None:
        now = self._clock()
        if now < self._silent_until:
            return  # another thread was first
        self._silent_until = now + SILENT_SECONDS
        self._slow = 0.0
        self._why = reason
        self.degraded = (
            f"Redis at {_place(self._url.get_secret_value())} {reason}; registry, limits and "
            f"breaker are this machine's own for {SILENT_SECONDS / 60:.0f} minutes"
        )
        log.warning("degraded", reason=self.degraded)


@functools.cache
def redis_at(url: str) -> RedisServer:
    """The Redis at ``url``, one for all homes of a process, so that its outage is shared."""
    return RedisServer(SecretStr(url))


def redis_url(url: str, host: str, port: int, db: int) -> str:
    """The address that the environment describes: AURUM_REDIS_URL counts before REDIS_HOST.

    Empty where there is none. Raises ``ConfigError`` naming the variable, never what it holds.
    """
    name = "AURUM_REDIS_URL" if url else "REDIS_HOST"
    if not url and host:
        url = f"redis://{f'[{host}]' if ':' in host else host}:{port}/{db}"
    if url and not _is_redis_url(url):
        msg = (
            f"environment variable {name}: expected redis://, rediss:// or unix:// as in "
            "redis://:password@host:6379/0, with / # ? @ % of a password as %2F %23 %3F %40 %25; "
            "found something else"
        )
        raise ConfigError(msg)
    return url


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = parts.port != 0 and (parts.path if parts.scheme == "unix" else parts.hostname)
    except ValueError:
        return False
    return parts.scheme in {"redis", "rediss", "unix"} and bool(named)


def _connected(url: str) -> "Redis":
    from redis import ConnectionPool, Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as NoConnection
    from redis.retry import Retry

    # protocol 2 is supported by every Redis and Valkey, and by proxies before them
    pool = ConnectionPool.from_url(url, protocol=2, decode_responses=True)
    # After the URL's own options, so that none of them lengthens a wait. A connection that the
    # server has closed is made anew once; a silent server is not asked twice.
    pool.connection_kwargs |= {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": READ_SECONDS,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 1, supported_errors=(NoConnection,)),
        "retry_on_timeout": False,
    }
    try:
        pool.make_connection()
    except TypeError:
        msg = "the URL has an option that the client does not know"
        raise ValueError(msg) from None
    return Redis(connection_pool=pool)


def _resolve(url: str) -> None:
    """Look up the host's name in bounded time: a dead name server takes 20 s."""
    parts, found = urlsplit(url), threading.Event()

    def look() -> None:
        with contextlib.suppress(OSError, ValueError):
            socket.getaddrinfo(parts.hostname, parts.port)
        found.set()

    threading.Thread(target=look, daemon=True).start()
    if not found.wait(CONNECT_SECONDS):
        raise TimeoutError


def _place(url: str) -> str:
    """The address of a Redis without user name, password and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _policy(redis: "Redis") -> str:
    """``maxmemory-policy``; empty where the server does not say it, as managed ones may not."""
    from redis.exceptions import ResponseError

    try:
        return str(redis.config_get("maxmemory-policy").get("maxmemory-policy", ""))
    except ResponseError:
        return ""


_LOOK = "check AURUM_REDIS_URL (REDIS_HOST, REDIS_PORT), and whether the server is up"
_EVICTS = "set maxmemory-policy noeviction: limits are kept across machines by what it holds"
_NOT_LET_IN = "does not let us in (check user name and password in AURUM_REDIS_URL)"
_FULL = "is full (raise its maxmemory, or let it evict)"
_REPLICA = "is a read-only replica"
_ERRORS = {  # by the class name of an error, or of its nearest base
    "AuthenticationError": _NOT_LET_IN,
    "AuthenticationWrongNumberOfArgsError": _NOT_LET_IN,
    "AuthorizationError": _NOT_LET_IN,
    "NoPermissionError": _NOT_LET_IN,
    "BusyLoadingError": "is still loading its data",
    "TimeoutError": f"gives no answer within {READ_SECONDS:g} s",
    "ConnectionError": "cannot be reached",
    "OSError": "cannot be reached",
    "OutOfMemoryError": _FULL,
    "ReadOnlyError": _REPLICA,
    "InvalidResponse": "does not answer as a Redis does",
    "ResponseError": "refuses a command",
}
_CODES = {  # in the middle of a failing script's message
    "OOM": _FULL,
    "READONLY": _REPLICA,
    "NOPERM": _NOT_LET_IN,
    "MISCONF": "takes no writes, because it cannot save them",
}


def _reason(error: Exception) -> str:
    """The reason, phrased here: a message of library or server may repeat a password."""
    if isinstance(error.__context__, ssl.SSLError):
        return f"fails the TLS handshake ({error.__context__.reason or 'no reason given'})"
    message = re.search(rf"\b({'|'.join(_CODES)})\b", str(error))
    if message:
        return _CODES[message[0]]
    for kind in type(error).__mro__:
        if kind.__name__ in _ERRORS:
            return _ERRORS[kind.__name__]
    return "cannot be asked (check AURUM_REDIS_URL and its options)"


# KEYS: one that nobody has. ARGV: its value.
_CHECK = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
local found = {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}
redis.call('DEL', KEYS[1])
return found
"""
# KEYS: entry, names, ends. ARGV: name, value, milliseconds, NX or nothing.
_SET = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ttl = tonumber(ARGV[3])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 16)) do
  redis.call('ZREM', KEYS[2], gone)
  redis.call('ZREM', KEYS[3], gone)
end
if ARGV[4] == 'NX' then
  if not redis.call('SET', KEYS[1], ARGV[2], 'PX', ttl, 'NX') then return 0 end
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ttl)
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], now + ttl, ARGV[1])
for i = 2, 3 do
  if redis.call('PTTL', KEYS[i]) < ttl then redis.call('PEXPIRE', KEYS[i], ttl) end
end
return 1
"""
_DELETE = """
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
"""
# No byte of UTF-8 is 0xFF: what begins with the prefix lies before it.
_KEYS = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local living = {}
local found = redis.call('ZRANGEBYLEX', KEYS[2], '[' .. ARGV[1], '(' .. ARGV[1] .. '\\255')
for _, name in ipairs(found) do
  if tonumber(redis.call('ZSCORE', KEYS[3], name) or 0) > now then table.insert(living, name) end
end
return living
"""


class RedisState:
    """``State`` for all machines that share a Redis, below ``prefix``; ``local`` while it is out.

    A ``prefix`` that is a function is called with the first use.

    ``keys`` reads a sorted set of the names and never scans the database. The entries of a state
    that is not ``listed`` are not in that set: a million of them cost no more than necessary.
    """

    def __init__(
        self,
        server: RedisServer,
        prefix: str | Callable[[], str],
        local: State,
        *,
        listed: bool = True,
    ) -> None:
        self._server = server
        self._given_prefix = prefix
        self._local = local
        self._listed = listed

    @functools.cached_property
    def _prefix(self) -> str:
        return self._given_prefix if isinstance(self._given_prefix, str) else self._given_prefix()

    def get(self, key: str) -> str | None:
        """See ``State``."""
        try:
            found = self._server.ask(lambda redis: redis.get(self._keys_of(key)[0]))
        except OutOfReach:
            return self._local.get(key)
        return None if found is None else str(found)

    def set(self, key: str, value: str, ttl_seconds: float) -> None:
        """See ``State``."""
        try:
            self._write(key, value, ttl_seconds, "")
        except OutOfReach:
            self._local.set(key, value, ttl_seconds)

    def claim(self, key: str, ttl_seconds: float) -> bool:
        """See ``State``."""
        try:
            return self._write(key, "", ttl_seconds, "NX")
        except OutOfReach:
            return self._local.claim(key, ttl_seconds)

    def delete(self, key: str) -> None:
        """See ``State``."""
        try:
            if self._listed:
                self._server.run(_DELETE, self._keys_of(key), key)
            else:
                self._server.ask(lambda redis: redis.delete(self._keys_of(key)[0]))
        except OutOfReach:
            self._local.delete(key)

    def keys(self, prefix: str) -> list[str]:
        """See ``State``. Raises ``LookupError`` where the entries are not listed."""
        if not self._listed:
            msg = f"the entries below {self._prefix} are not listed"
            raise LookupError(msg)
        try:
            return [str(key) for key in self._server.run(_KEYS, self._keys_of(""), prefix)]
        except OutOfReach:
            return self._local.keys(prefix)

    def check(self) -> Finding:
        """See ``State``."""
        return self._server.check()

    def _write(self, key: str, value: str, ttl_seconds: float, how: str) -> bool:
        ttl = max(1, round(ttl_seconds * 1000))
        if self._listed:
            return bool(self._server.run(_SET, self._keys_of(key), key, value, ttl, how))
        name = self._keys_of(key)[0]
        return bool(self._server.ask(lambda redis: redis.set(name, value, px=ttl, nx=bool(how))))

    def _keys_of(self, key: str) -> tuple[str, str, str]:
        return f"{self._prefix}word:{key}", f"{self._prefix}names", f"{self._prefix}ends"


# KEYS: the slots of the operator, those of the endpoint, the pause.
# ARGV: slot, patience, the furthest that a stamp may lie ahead, the longest window; then for each
# limit which of KEYS it counts, its requests and its seconds.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
for i = 1, 2 do
  redis.call('ZREM', KEYS[i], ARGV[1])  -- asked again, because the first answer was lost
  for _, slot in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], now + ARGV[3], '+inf')) do
    redis.call('ZADD', KEYS[i], now, slot)  -- the server's clock was set back
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - ARGV[4])
end
local wait = tonumber(redis.call('GET', KEYS[3]) or 0) - now
for i = 5, #ARGV, 3 do
  local nth = ARGV[i + 1] - 1
  local found = redis.call('ZREVRANGE', KEYS[tonumber(ARGV[i])], nth, nth, 'WITHSCORES')
  if found[2] then wait = math.max(wait, found[2] + ARGV[i + 2] - now) end
end
if wait > 0 then return string.format('%.6f', wait) end
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[i], math.ceil((ARGV[3] + ARGV[4]) * 1000))
end
return '0'
"""
# ARGV: slot, milliseconds for which the slots are kept.
_ARRIVED = """
local t = redis.call('TIME')
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], t[1] + t[2] / 1000000, ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
"""
_DROP = """
for i = 1, 2 do redis.call('ZREM', KEYS[i], ARGV[1]) end
"""
# ARGV: seconds. The longest pause counts.
_PAUSE = """
local t = redis.call('TIME')
local till = t[1] + t[2] / 1000000 + ARGV[1]
if till > tonumber(redis.call('GET', KEYS[3]) or 0) then
  redis.call('SET', KEYS[3], string.format('%.6f', till), 'PX', math.ceil(ARGV[1] * 1000))
end
"""


class RedisLimiter(SqliteLimiter):
    """``Limiter`` for all machines that share a Redis, decided in one step on its clock.

    Every slot is recorded in this machine's SQLite log too, and must be free there as well. So for
    one machine no sliding window ever holds more than the limit, whatever happens to Redis:
    emptied, restarted, lost and back. While it is out, this machine uses its share of ``machines``,
    and its earlier slots count. Several machines do not know each other's earlier slots then: a
    window that spans such a moment, or in which some reach Redis and others do not, may hold up to
    (2 - 1 / ``machines``) times the limit; any other holds no more than the limit. ``state`` is
    this machine's own, for pauses.
    """

    def __init__(
        self,
        server: RedisServer,
        prefix: str,
        path: Path,
        config: OperatorConfig,
        state: State,
        *,
        machines: int = 1,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(path, config, state, clock=clock, sleep=sleep)
        self._server = server
        self._prefix = prefix
        self._alone = Rates(config, machines)
        self._longest = max(self._longest, self._alone.longest)

    def arrived(self, slot: int) -> None:
        """See ``Limiter``."""
        endpoint = self._stamp(slot)
        if endpoint is not None:
            kept = round((self._longest + LONGEST_PAUSE) * 1000)
            self._send(_ARRIVED, endpoint, slot, kept)

    def pause(self, seconds: float) -> None:
        """See ``Limiter``."""
        super().pause(seconds)
        if seconds > 0:
            self._send(_PAUSE, "", min(seconds, LONGEST_PAUSE))

    def _slot(self, slot: int, endpoint: str, patience: float) -> float:
        counted = [(1, limit) for limit in self._rates.operator]
        counted += [(2, limit) for limit in self._rates.of(endpoint)]
        limits = [x for key, limit in counted for x in (key, limit.requests, limit.seconds)]
        bounds = (slot, patience, LONGEST_PAUSE, self._longest)
        try:
            answer = self._server.run(_TAKE, self._keys_of(endpoint), *bounds, *limits)
        except OutOfReach:
            return self._slot_of(self._alone, slot, endpoint, patience)
        if (wait := float(answer)) > 0:
            return wait
        wait = self._slot_of(self._rates, slot, endpoint, patience)
        if wait > 0:
            self._send(_DROP, endpoint, slot)
        return wait

    def _send(self, script: str, endpoint: str, *args: float) -> None:
        """Run ``script`` if Redis is reachable; the SQLite log has the slots in any case."""
        try:
            self._server.run(script, self._keys_of(endpoint), *args)
        except OutOfReach:
            return

    def _keys_of(self, endpoint: str) -> tuple[str, str, str]:
        slots = f"{self._prefix}slots:{self._operator}"
        return slots, f"{slots}:{endpoint}", f"{self._prefix}pause:{self._operator}"
