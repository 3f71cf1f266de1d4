"""Limits: many processes ask one operator as fast as they may, and the operator's clock judges.

The limits are kept in SQLite, in Redis, and in a Redis that is emptied and then killed on the way.
The simulator counts every request as it arrives. No sliding window may hold more than the limit,
none may be refused with a 429, no process may starve, and of what the operator allows 95 % must be
used (our windows are 2 % longer than his).
"""

import datetime as dt
import logging
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from aurum_assets.model.dataset import Feed, OperatorConfig
from aurum_assets.model.errors import AurumError
from aurum_assets.model.operator import Limit
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.resources.api import ApiClient
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.limits import STRETCH, Limiter, SqliteLimiter
from aurum_assets.resources.redis import RedisLimiter, RedisServer, RedisState
from aurum_assets.resources.state import SqliteState, State
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs.proof import Proof
from aurum_assets_tests.servers.redis import RedisProcess, redis_process

_NOW = dt.datetime(2025, 7, 14, 16, 1, tzinfo=dt.UTC)
_PLENTY, _TIGHT = "isone_system_load", "isone_generation_mix"
_READY_WITHIN = 120.0
_AT_LEAST = 0.95
_LOOK = 0.25


@dataclass(frozen=True)
class Race:
    """``workers`` processes within ``limits`` for ``windows`` of the last one.

    ``tight``: one of the processes asks an endpoint with a limit of its own. ``store``: ``sqlite``,
    ``redis`` or ``lost redis``, which is emptied after a window and killed half a window later.
    ``whatever_the_load``: 95 % of what the processes could have used on a busy machine will do
    (``_could``), for short windows.
    """

    store: str
    limits: tuple[Limit, ...]
    windows: int = 3
    workers: int = 8
    tight: Limit | None = None
    whatever_the_load: bool = False

    @property
    def limit(self) -> Limit:
        """The one that binds in the long run."""
        return self.limits[-1]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.limit.requests} in {self.limit.seconds:g} s, {self.store}"


_A_MINUTE = (Limit(60, 60),)
_AN_HOUR_SCALED = (Limit(60, 1), Limit(1000, 60))  # ISO-NE's 60 a minute and 1000 an hour, times 60
FULL = (
    *(Race(s, _A_MINUTE, tight=Limit(6, 60)) for s in ("sqlite", "redis", "lost redis")),
    *(Race(s, _AN_HOUR_SCALED) for s in ("sqlite", "redis")),
)


@dataclass(frozen=True)
class _Place:
    """What a process needs to know."""

    folder: Path
    config: OperatorConfig
    redis_url: str
    feed: Feed


def _shared(place: _Place, sleep: Callable[[float], None]) -> tuple[State, Limiter]:
    here = SqliteState(place.folder / "state.sqlite")
    file = place.folder / "limits.sqlite"
    if not place.redis_url:
        return here, SqliteLimiter(file, place.config, here, sleep=sleep)
    server = RedisServer(SecretStr(place.redis_url))
    limiter = RedisLimiter(server, "aurum:", file, place.config, here, sleep=sleep)
    return RedisState(server, "aurum:", here), limiter


def _ask(place: _Place, number: int, ready: Any, counts: Any, late: Any, out: Any) -> None:  # noqa: ANN401  of multiprocessing
    """Ask without end; ``counts`` the answers, ``late`` the seconds that were not waited for."""
    logging.getLogger("aurum_assets").setLevel(logging.CRITICAL)
    asked_for = [0.0]

    def sleep(seconds: float) -> None:
        asked_for[0] += seconds
        time.sleep(seconds)

    state, limiter = _shared(place, sleep)
    credentials = Credentials.of(ISONE, "demo", "demo-password")
    with ApiClient(place.config, ISONE, state, limiter, credentials=credentials) as api:
        ready.wait(_READY_WITHIN)
        while True:
            began, asked_for[0] = time.monotonic(), 0.0
            try:
                api.fetch("proof", place.feed)
            except AurumError as error:
                out.put(f"process {number}: {type(error).__name__}: {error}")
                return
            counts[number] += 1
            late[number] += time.monotonic() - began - asked_for[0]


@dataclass
class _Running:
    """A race under way."""

    race: Race
    simulator: Simulator
    ready: Any
    counts: Any
    late: Any
    out: Any
    redis: RedisProcess | None
    tight_path: str
    done: list[str] = field(default_factory=list)

    def times(self, path: str = "") -> list[float]:
        """When requests arrived, by the server's clock, seconds."""
        return sorted(seen.time for seen in list(self.simulator.requests) if path in seen.path)

    @property
    def needed(self) -> int:
        """Requests after which ``windows`` windows are over."""
        return self.race.windows * self.race.limit.requests + 1


def _begin(race: Race, stack: ExitStack) -> _Running:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    simulator = Simulator(SetClock(_NOW), locations=1, nodes=1, limits={"isone": race.limits})
    running = stack.enter_context(simulator.serve())
    redis = stack.enter_context(redis_process(folder)) if "redis" in race.store else None
    configuration = load_config(PROJECT / "config", DATASETS)
    feeds = {
        key: next(f for f in configuration.datasets[key].feeds if f.asks == "now")
        for key in (_PLENTY, _TIGHT)
    }
    feeds = {key: replace(feed, endpoints=feed.endpoints[:1]) for key, feed in feeds.items()}
    tight = feeds[_TIGHT].endpoints[0]
    config = replace(
        configuration.operators["isone"],
        base_url=running.urls["isone"],
        limits=race.limits,
        endpoint_limits={tight.name: (race.tight,)} if race.tight else {},
    )
    url = redis.url if redis else ""
    ready = FORKS.Barrier(race.workers + 1)
    counts, late = FORKS.Array("i", race.workers), FORKS.Array("d", race.workers)
    out = FORKS.Queue()
    for number in range(race.workers):
        feed = feeds[_TIGHT if race.tight and number == 0 else _PLENTY]
        place = _Place(folder, config, url, feed)
        process = FORKS.Process(target=_ask, args=(place, number, ready, counts, late, out))
        process.start()
        stack.callback(_end, process)
    return _Running(race, simulator, ready, counts, late, out, redis, tight.path)


def _end(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _disturb(running: _Running, since: float) -> None:
    """Empty the Redis that is to be lost after a window, and kill it half a window later."""
    if running.redis is None or running.race.store != "lost redis":
        return
    windows = since / running.race.limit.seconds
    if windows > 1 and not running.done:
        running.redis.flush()
        running.done.append("emptied")
    if windows > 1.5 and len(running.done) == 1:  # noqa: PLR2004  as the docstring has it
        running.redis.kill()
        running.done.append("killed")


def _run(race: Race, proof: Proof) -> None:
    with ExitStack() as stack:
        running = _begin(race, stack)
        running.ready.wait(_READY_WITHIN)
        began, counted = time.monotonic(), 0
        while len(running.simulator.requests) < running.needed:
            since = time.monotonic() - began
            if since > 2 * race.windows * race.limit.seconds + 10:
                proof.broken.append(f"{race.name}: {counted} requests in {since:.0f} s")
                return
            _disturb(running, since)
            time.sleep(_LOOK)
            now = len(running.simulator.requests)
            proof.add("requests", now - counted)
            counted = now
        _judge(running, proof)


def most_in(seconds: float, times: Sequence[float]) -> int:
    """The most of ``times`` (sorted) in any half-open window."""
    return max((i + 1 - bisect_right(times, t - seconds) for i, t in enumerate(times)), default=0)


def _judge(running: _Running, proof: Proof) -> None:
    race, times = running.race, running.times()
    held: Iterable[tuple[Limit, list[float]]] = [(limit, times) for limit in race.limits]
    if race.tight:
        held = [*held, (race.tight, running.times(running.tight_path))]
    for limit, arrived in held:
        most = most_in(limit.seconds, arrived)
        found = f"{race.name}: {most} in {limit.seconds:g} s of {limit.requests}"
        proof.holds(found, where=most <= limit.requests)
    refused = sum(seen.status != 200 for seen in running.simulator.requests)  # noqa: PLR2004  HTTP
    proof.holds(f"{race.name}: {refused} were not answered with 200", where=not refused)
    while not running.out.empty():
        proof.broken.append(f"{race.name}: {running.out.get()}")
    took = times[running.needed - 1] - times[0]
    allowed = race.windows * race.limit.seconds
    proof.counts[f"% used: {race.name}"] = round(100 * allowed / took, 1)
    late: float = sum(running.late) / max(sum(running.counts), 1)
    proof.counts[f"ms a request beside waiting: {race.name}"] = round(1000 * late)
    fair = _could(race, late) if race.whatever_the_load else allowed
    if race.store != "lost redis":
        what = f"{race.name}: {race.windows} windows took {took:.1f} s, not {fair:.1f} s"
        proof.holds(what, where=took * _AT_LEAST <= fair)
    counts = list(running.counts)
    plenty = counts[1:] if race.tight else counts
    least, fair_part = min(plenty), sum(plenty) / len(plenty)
    proof.holds(f"{race.name}: a process starved: {counts}", where=least > fair_part / 3)


def _could(race: Race, late: float) -> float:
    """Seconds that the windows take where each request costs ``late`` seconds beside the waits that
    the limiter asked for: once in each window and thrice at the end, and as often as it takes where
    the processes cannot make so many requests in a window.
    """
    busy = late * race.limit.requests / race.workers
    return race.windows * max(STRETCH * race.limit.seconds, busy) + (race.windows + 3) * late


def prove_limits(races: Sequence[Race] = FULL) -> Proof:
    """All ``races`` at once, each with a simulator, processes and stores of its own."""
    proof = Proof("Many processes never ask more than is allowed, and use what is")
    with ThreadPoolExecutor(len(races)) as pool:
        for future in [pool.submit(_run, race, proof) for race in races]:
            future.result()
    return proof


if __name__ == "__main__":
    print(prove_limits())
