"""The operator's limits hold in every sliding window, over processes, and are used."""

import datetime as dt
import http.client
import http.server
import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from aurum_assets.model.dataset import Limit, SourceConfig
from aurum_assets.resources.limits import SqliteLimiter, retry_after, share
from aurum_assets.resources.redis import RedisLimiter, RedisServer
from aurum_assets.resources.state import SqliteState
from aurum_assets_tests.servers.redis import RedisProcess

pytestmark = pytest.mark.filterwarnings("error")
spawn = multiprocessing.get_context("spawn")


class Timeline:
    """A clock that only sleeping moves; a Redis is aged with it."""

    def __init__(self, redis: RedisProcess | None = None) -> None:
        self.now = 1_000_000.0
        self.naps: list[float] = []
        self.redis = redis

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.passes(seconds)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        if self.redis is not None:
            self.redis.age(seconds)

    @contextmanager
    def measured(self) -> Iterator[list[float]]:
        began = self.now
        out: list[float] = []
        yield out
        out.append(self.now - began)


@pytest.fixture(params=["sqlite", "redis"])
def time_line(request: pytest.FixtureRequest) -> Timeline:
    on_redis = request.param == "redis"
    return Timeline(request.getfixturevalue("redis") if on_redis else None)


def limiter(
    folder: Path,
    time_line: Timeline,
    *limits: Limit,
    name: str = "op",
    endpoints: dict[str, tuple[Limit, ...]] | None = None,
) -> SqliteLimiter:
    config = SourceConfig(name, "http://op.example", limits, endpoints or {})
    state = SqliteState(folder / "state.sqlite", time_line)
    file, sleep = folder / "limits.sqlite", time_line.sleep
    if time_line.redis is None:
        return SqliteLimiter(file, config, state, clock=time_line, sleep=sleep)
    server = RedisServer(SecretStr(time_line.redis.url))
    return RedisLimiter(server, "aurum:", file, config, state, clock=time_line, sleep=sleep)


def asked(some: SqliteLimiter, endpoint: str = "a") -> None:
    some.landed(some.take(endpoint))


def test_the_windows_are_two_percent_longer_than_the_operators(
    tmp_path: Path, time_line: Timeline
) -> None:
    some = limiter(tmp_path, time_line, Limit(3, 10))
    with time_line.measured() as took:
        for _ in range(4):
            asked(some)
    assert took == [pytest.approx(10.2, abs=0.01)]


def test_several_rates_hold_on_one_source(tmp_path: Path, time_line: Timeline) -> None:
    some = limiter(tmp_path, time_line, Limit(2, 1), Limit(5, 60))
    stamps = []
    for _ in range(11):
        asked(some)
        stamps.append(time_line.now)
    assert most(stamps, 1) == 2
    assert most(stamps, 60) == 5
    assert stamps[-1] - stamps[0] == pytest.approx(2 * 61.2, abs=0.1)


def test_an_endpoint_has_limits_of_its_own_beside_those_of_the_source(
    tmp_path: Path, time_line: Timeline
) -> None:
    some = limiter(tmp_path, time_line, Limit(3, 10), endpoints={"slow": (Limit(1, 60),)})
    asked(some, "slow")
    with time_line.measured() as others:
        asked(some, "a")
        asked(some, "b")
    with time_line.measured() as slow:
        asked(some, "slow")
    assert others == [0]
    assert slow == [pytest.approx(61.2, abs=0.01)]


def test_sources_do_not_share_limits(tmp_path: Path, time_line: Timeline) -> None:
    asked(limiter(tmp_path, time_line, Limit(1, 60), name="one"))
    with time_line.measured() as took:
        asked(limiter(tmp_path, time_line, Limit(1, 60), name="two"))
    assert took == [0]


def test_a_request_that_was_slow_to_arrive_counts_from_its_arrival(
    tmp_path: Path, time_line: Timeline
) -> None:
    some = limiter(tmp_path, time_line, Limit(1, 10))
    slot = some.take("a", patience=8)
    time_line.passes(5)
    some.landed(slot)
    with time_line.measured() as took:
        asked(some)
    assert took == [pytest.approx(10.2, abs=0.01)]


def test_a_request_whose_process_was_killed_counts_as_arriving_at_the_latest_moment(
    tmp_path: Path, time_line: Timeline
) -> None:
    some = limiter(tmp_path, time_line, Limit(1, 10))
    some.take("a", patience=8)
    with time_line.measured() as took:
        asked(some)
    assert took == [pytest.approx(18.2, abs=0.01)]


def test_a_clock_set_back_costs_no_more_than_one_window(
    tmp_path: Path, time_line: Timeline
) -> None:
    some = limiter(tmp_path, time_line, Limit(1, 10))
    asked(some)
    time_line.passes(-86_400)
    with time_line.measured() as took:
        asked(some)
    assert took == [pytest.approx(10.2, abs=0.01)]


def test_a_pause_holds_for_every_process_of_the_source_and_for_no_other(
    tmp_path: Path, time_line: Timeline
) -> None:
    limiter(tmp_path, time_line, Limit(100, 1), name="one").pause(30)
    with time_line.measured() as other:
        asked(limiter(tmp_path, time_line, Limit(100, 1), name="two"))
    with time_line.measured() as same:
        asked(limiter(tmp_path, time_line, Limit(100, 1), name="one"))
    assert other == [0]
    assert same == [pytest.approx(30, abs=0.01)]


def test_a_short_pause_does_not_end_a_long_one(tmp_path: Path, time_line: Timeline) -> None:
    some = limiter(tmp_path, time_line, Limit(100, 1))
    some.pause(30)
    some.pause(5)
    some.pause(0)
    with time_line.measured() as took:
        asked(some)
    assert took == [pytest.approx(30, abs=0.01)]


def test_an_absurd_pause_is_cut_to_two_minutes(tmp_path: Path, time_line: Timeline) -> None:
    some = limiter(tmp_path, time_line, Limit(100, 1))
    some.pause(1e9)
    with time_line.measured() as took:
        asked(some)
    assert took == [pytest.approx(120, abs=0.01)]


def test_a_long_wait_is_told_once_and_reported_before_every_nap(
    tmp_path: Path, time_line: Timeline
) -> None:
    some = limiter(tmp_path, time_line, Limit(1, 10))
    asked(some)
    told: list[float] = []
    with structlog.testing.capture_logs() as logs:
        some.take("a", waiting=told.append)
    assert [(line["event"], line["seconds"]) for line in logs] == [("waiting", 10.2)]
    assert len(told) == len(time_line.naps)
    assert max(time_line.naps) <= 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("²", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("999999", 120.0),
        ("9" * 5000, 120.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:20:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:28:30 GMT", 120.0),
        ("Wed, 21 Oct 2026 07:28:30 -0000", 30.0),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(
    text: str | None, seconds: float | None
) -> None:
    assert retry_after(text, dt.datetime(2026, 10, 21, 7, 28, tzinfo=dt.UTC)) == seconds


@pytest.mark.parametrize(
    ("limit", "machines", "expected"),
    [
        (Limit(60, 60), 1, Limit(60, 61.2)),
        (Limit(60, 60), 4, Limit(15, 61.2)),
        (Limit(1, 60), 3, Limit(1, 183.6)),
        (Limit(2, 60), 3, Limit(1, 122.4)),
    ],
)
def test_machines_without_a_shared_limiter_divide_the_limit(
    limit: Limit, machines: int, expected: Limit
) -> None:
    part = share(limit, machines)
    assert part.requests == expected.requests
    assert part.seconds == pytest.approx(expected.seconds)


PROCESSES, REQUESTS, SLOW_REQUESTS, WINDOW, SECONDS = 4, 20, 3, 1.0, 3.0


def _ask_as_fast_as_allowed(folder: Path, port: int, endpoint: str, start: float) -> None:
    config = SourceConfig(
        "op", "http://x", (Limit(REQUESTS, WINDOW),), {"slow": (Limit(SLOW_REQUESTS, WINDOW),)}
    )
    some = SqliteLimiter(folder / "limits.sqlite", config, SqliteState(folder / "state.sqlite"))
    time.sleep(max(0.0, start - time.time()))
    while time.time() < start + SECONDS:
        slot = some.take(endpoint, patience=1)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", f"/{endpoint}")
        connection.getresponse().read()
        connection.close()
        some.landed(slot)


@contextmanager
def operator() -> Iterator[tuple[int, list[tuple[str, float, str]]]]:
    """A server that notes who asked and when, by its own clock."""
    seen: list[tuple[str, float, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, time.monotonic(), str(self.client_address)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port, seen
    server.shutdown()
    server.server_close()
    thread.join()


def most(stamps: Sequence[float], window: float) -> int:
    """The most stamps in any half-open sliding window."""
    return max(sum(1 for s in stamps if t <= s < t + window) for t in stamps)


def test_four_processes_keep_the_limit_by_the_servers_clock_and_use_nine_tenths_of_it(
    tmp_path: Path,
) -> None:
    start = time.time() + 1.5
    with operator() as (port, seen):
        workers = [
            spawn.Process(target=_ask_as_fast_as_allowed, args=(tmp_path, port, endpoint, start))
            for endpoint in ("a", "a", "b", "slow")
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    every = sorted(stamp for _, stamp, _ in seen)
    slow = sorted(stamp for path, stamp, _ in seen if path == "/slow")
    assert most(every, WINDOW) <= REQUESTS
    assert most(slow, WINDOW) <= SLOW_REQUESTS
    windows = (len(every) - 1) // REQUESTS
    used = windows * WINDOW / (every[windows * REQUESTS] - every[0])
    assert used >= 0.9
    assert len(slow) >= SLOW_REQUESTS * 2, "the endpoint with its own limit starved"
    assert sum(path == "/b" for path, _, _ in seen) > REQUESTS / 2, "one process starved"
