"""A Redis that is dead, silent, full, emptied or closed to us costs seconds, and never data."""

import datetime as dt
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from aurum_assets import ingest
from aurum_assets.graph.translate import raw_metadata
from aurum_assets.model.errors import ConfigError
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.resources.archive import ArchiveSettings
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.limits import SqliteLimiter
from aurum_assets.resources.redis import (
    SILENT_SECONDS,
    OutOfReach,
    RedisServer,
    RedisState,
    redis_at,
)
from aurum_assets.resources.settings import Settings, open_resources
from aurum_assets.resources.state import SqliteState
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Desk, log_lines
from aurum_assets_tests.made import made, remade
from aurum_assets_tests.servers.redis import RedisProcess, free_port, redis_process

if TYPE_CHECKING:
    from redis import Redis

LOAD = ISONE_SYSTEM_LOAD
PASSWORD = "op3n-sesame%2F"  # noqa: S105  a Redis of the test's own
BOUND = 2.0


class Clock:
    """The present, and so many seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Timed(RedisServer):
    """Counts the seconds that its process waits for it."""

    waited = 0.0

    def ask(self, command: Callable[["Redis"], Any]) -> Any:  # noqa: ANN401  as it is
        began = time.monotonic()
        try:
            return super().ask(command)
        finally:
            self.waited += time.monotonic() - began


def seen_from(url: str, folder: Path, clock: Clock | None = None) -> tuple[Timed, RedisState]:
    """A Redis and its state as a new process sees them."""
    server = Timed(SecretStr(url), clock or time.monotonic)
    return server, RedisState(server, "aurum:test:", SqliteState(folder / "state.sqlite"))


def use(state: RedisState) -> None:
    """Use as many keys as a run does; each call has its effect."""
    for i in range(20):
        state.set(f"k{i}", str(i), 60)
        assert state.get(f"k{i}") == str(i)
        state.delete(f"c{i}")
        assert state.claim(f"c{i}", 60)
        assert not state.claim(f"c{i}", 60)
        assert f"c{i}" in state.keys("c")


FAILURES: dict[str, tuple[Callable[[RedisProcess], object], str]] = {
    "dead": (RedisProcess.kill, "cannot be reached"),
    "silent": (RedisProcess.pause, "gives no answer within 1 s"),
    "full": (RedisProcess.fill, "is full"),
    "a replica": (RedisProcess.demote, "read-only"),
    "locked": (RedisProcess.lock, "let us in"),
}


@pytest.mark.parametrize("when", ["at the start", "between two calls"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_redis_costs_a_run_less_than_two_seconds_and_is_reported_once(
    redis: RedisProcess, tmp_path: Path, failure: str, when: str
) -> None:
    fail, reason = FAILURES[failure]
    server, state = seen_from(redis.url, tmp_path)
    if when == "between two calls":
        use(state)
        assert server.degraded == ""
        server.waited = 0
    fail(redis)
    with log_lines() as logs:
        use(state)
    assert server.waited < BOUND
    assert reason in server.degraded
    assert f"redis://127.0.0.1:{redis.port}/0" in server.degraded
    assert [line["reason"] for line in logs] == [server.degraded]


def test_an_emptied_redis_is_just_forgetful(redis: RedisProcess, tmp_path: Path) -> None:
    server, state = seen_from(redis.url, tmp_path)
    state.set("a", "1", 60)
    redis.flush()
    assert state.get("a") is None
    assert state.keys("") == []
    use(state)
    assert server.waited < BOUND
    assert server.degraded == ""


def test_a_redis_that_was_restarted_is_asked_on_without_a_word(
    redis: RedisProcess, tmp_path: Path
) -> None:
    server, state = seen_from(redis.url, tmp_path)
    use(state)
    redis.kill()
    redis.start()
    use(state)
    assert server.degraded == ""


def test_what_failed_once_is_left_alone_for_half_an_hour_and_then_asked_again(
    redis: RedisProcess, tmp_path: Path
) -> None:
    clock = Clock()
    server, state = seen_from(redis.url, tmp_path, clock)
    redis.pause()
    assert state.get("a") is None
    redis.resume()
    state.set("a", "here", 7200)
    clock.ahead = SILENT_SECONDS - 10
    assert state.get("a") == "here"
    assert server.degraded
    clock.ahead = SILENT_SECONDS + 10
    assert state.get("a") is None
    assert server.degraded == ""


def test_all_threads_of_a_process_wait_for_a_silent_redis_at_once(
    redis: RedisProcess, tmp_path: Path
) -> None:
    server, state = seen_from(redis.url, tmp_path)
    redis.pause()
    threads = [threading.Thread(target=state.get, args=("a",)) for _ in range(8)]
    began = time.monotonic()
    with log_lines() as logs:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert time.monotonic() - began < BOUND
    assert len(logs) == 1
    assert server.degraded


def test_a_redis_that_answers_but_slowly_is_given_up_before_it_costs_two_seconds(
    redis: RedisProcess, tmp_path: Path
) -> None:
    server, _ = seen_from(redis.url, tmp_path)
    while not server.degraded and server.waited < 2 * BOUND:
        server.ask(lambda _: time.sleep(0.7))
    assert server.waited <= BOUND + 1  # on a busy machine
    assert "too slowly" in server.degraded


@pytest.mark.parametrize("options", ["", "?foo=bar", "?socket_timeout=77&retry_on_timeout=yes"])
def test_options_of_the_url_lengthen_no_wait(
    redis: RedisProcess, tmp_path: Path, options: str
) -> None:
    server, state = seen_from(redis.url + options, tmp_path)
    redis.pause()
    use(state)
    assert server.waited < BOUND
    assert server.degraded


MISTAKES = {
    "wrong password": "redis://:{secret}x@127.0.0.1:{port}/0",
    "wrong user": "redis://joe:{secret}@127.0.0.1:{port}/0",
    "no such database": "redis://:{secret}@127.0.0.1:{port}/4711",
    "unknown option": "redis://:{secret}@127.0.0.1:{port}/0?password_file={secret}",
    "no redis at all": "redis://:{secret}@127.0.0.1:{http}/0",
    "nobody there": "redis://:{secret}@127.0.0.1:{free}/0",
    "no such host": "redis://:{secret}@no-such-host.invalid:6379/0",
    "no TLS there": "rediss://:{secret}@127.0.0.1:{port}/0",
    "no such socket": "unix://:{secret}@/nowhere/redis.sock",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_address_or_password_is_a_sentence_without_the_secret_and_stops_nothing(
    tmp_path: Path, httpserver: HTTPServer, mistake: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_process(tmp_path, password="op3n-sesame/") as redis:  # noqa: S106
        url = MISTAKES[mistake].format(
            secret=PASSWORD, port=redis.port, http=httpserver.port, free=free_port()
        )
        server, state = seen_from(url, tmp_path)
        use(state)
    assert server.waited < BOUND
    assert server.degraded.startswith(("Redis at redis", "Redis at unix"))
    if mistake in {"wrong password", "wrong user"}:
        assert "check user name and password in AURUM_REDIS_URL" in server.degraded
    with pytest.raises(OutOfReach) as caught:
        server.ask(lambda redis: redis.ping())
    trace = "".join(traceback.format_exception(caught.value))
    for text in (server.degraded, trace, caplog.text, *map(repr, (server, state, vars(server)))):
        assert "sesame" not in text


# The wiring


def payload(count: int) -> bytes:
    """The day's load until its ``count``-th interval, all of it sent anew."""
    records = ",".join(
        f'{{"BeginDate":"2026-07-20T17:{5 * i:02d}:00.000-04:00","LoadMw":{15_000 + count}}}'
        for i in range(count)
    )
    return f'{{"FiveMinSystemLoads":{{"FiveMinSystemLoad":[{records}]}}}}'.encode()


def joined(desk: Desk, redis: RedisProcess, **settings: Any) -> Desk:  # noqa: ANN401  those of Specification
    """The desk as a new process that knows of a Redis."""
    redis_at.cache_clear()  # a process of its own
    resources = remade(desk.resources, redis_url=SecretStr(redis.url), **settings)
    return Desk(resources, desk.clock)


@pytest.mark.parametrize("failure", ["none", *FAILURES, "flushed"])
@pytest.mark.slow
def test_a_redis_that_fails_half_way_and_comes_back_stale_changes_no_row_and_no_object(
    desk: Desk, redis: RedisProcess, failure: str
) -> None:
    minutes = dt.timedelta(minutes=5)
    for n, count in enumerate([1, 2, 3, 4, 4]):
        process = joined(desk, redis)
        if n == 2 and failure == "flushed":
            redis.flush()
        elif n == 2 and failure in FAILURES:
            process.bring(LOAD, payload(1), at=desk.clock())  # it has spoken with Redis
            FAILURES[failure][0](redis)
        process.bring(LOAD, payload(count), at=desk.clock() + n * minutes)
        assert bool(process.resources.degraded) == (n == 2 and failure in FAILURES), n
        if n == 2:
            redis.recover()
    rows = desk.rows(LOAD)
    assert rows["load"].to_list() == [15_004.0] * 4
    assert rows["fetched_at"].unique().to_list() == [desk.clock() + 3 * minutes]
    assert desk.resources.archive.size(LOAD.key)[0] == 4
    again = ingest.replay(desk.resources, LOAD, LOAD.day("2026-07-20"))
    assert again.merged.snapshot_id is None


def test_homes_with_archives_of_their_own_do_not_read_each_others_words(
    desk: Desk, redis: RedisProcess, tmp_path: Path
) -> None:
    other = Desk(remade(desk.resources, root=tmp_path / "other"), desk.clock)
    for one in (desk, other):
        assert joined(one, redis).take(LOAD, payload(2)).outcome == "stored"
        assert joined(one, redis).take(LOAD, payload(2)).outcome == "duplicate"
    first, second = (joined(one, redis).resources for one in (desk, other))
    first.state.set("gaps:x", "1", 60)
    assert second.state.get("gaps:x") is None
    assert joined(desk, redis).resources.state.get("gaps:x") == "1"


def test_machines_with_one_archive_on_s3_share_their_words(desk: Desk, tmp_path: Path) -> None:
    here, there, elsewhere = (
        made(tmp_path / str(n), desk.resources.configuration, archive=ArchiveSettings(archive))
        for n, archive in enumerate(["s3://bucket/a", "s3://bucket/a", "s3://bucket/b"])
    )
    assert here.identity == there.identity != elsewhere.identity
    assert not here.root.exists()


def test_homes_that_ask_one_operator_share_its_limits_and_a_simulated_one_is_another(
    desk: Desk, redis: RedisProcess, tmp_path: Path
) -> None:
    def names(base_url: str, root: str) -> set[str]:
        resources = remade(desk.resources, root=tmp_path / root, base_urls={"isone": base_url})
        asking = joined(Desk(resources, desk.clock), redis, environment="staging").resources
        with asking.api(ISONE) as api:
            slot = api._limiter.take("x")  # noqa: SLF001  what the home has made
            api._limiter.arrived(slot)  # noqa: SLF001
        with redis.client() as client:
            return set(client.scan_iter("*slots*"))

    prefix = "aurum:staging:op.example:8080:slots:isone"
    real = {prefix, f"{prefix}:x"}
    assert names("http://op.example:8080/api", "a") == real
    assert names("http://op.example:8080/api", "b") == real
    simulated = f"aurum:staging:127.0.0.1:{redis.port}:slots:isone"
    assert names(f"http://127.0.0.1:{redis.port}/api", "c") == real | {simulated, f"{simulated}:x"}


def test_without_redis_a_machine_keeps_to_its_share_of_the_limits(desk: Desk) -> None:
    resources = remade(desk.resources, machines=4, limit_scale=1)
    with resources.api(ISONE) as api:
        limiter = api._limiter  # noqa: SLF001  what the home has made
    assert isinstance(limiter, SqliteLimiter)
    assert [x.requests for x in limiter._rates.operator] == [15, 250]  # noqa: SLF001  60, 1000


def test_a_degraded_run_says_so_in_its_metadata(
    desk: Desk, redis: RedisProcess, market: Running
) -> None:
    urls = market.urls
    process = joined(Desk(remade(desk.resources, base_urls=urls), desk.clock), redis)
    redis.kill()
    today = LOAD.operator.day_of(desk.clock())
    done = ingest.collect(process.resources, LOAD, today, feeds=["now"])
    assert done.count("stored") == 1
    assert "cannot be reached" in raw_metadata(process.resources, done)["degraded"]


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, ""),
        ({"AURUM_REDIS_URL": "rediss://:pw@cache:6380/2"}, "rediss://:pw@cache:6380/2"),
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        (
            {"REDIS_HOST": "::1", "REDIS_PORT": "6380", "REDIS_DB": "3"},
            "redis://[::1]:6380/3",
        ),
        (
            {"AURUM_REDIS_URL": "unix:///run/redis.sock", "REDIS_HOST": "x"},
            "unix:///run/redis.sock",
        ),
    ],
)
def test_redis_is_used_where_a_variable_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], url: str
) -> None:
    home = opened(monkeypatch, tmp_path, variables)
    assert (home.redis.url.get_secret_value() if home.redis else "") == url
    assert (home.redis is None) == (not url)
    assert "pw" not in repr(home)


@pytest.mark.parametrize(
    "url",
    ["cache:6379", "http://:pw@cache", "redis://:p/w@cache:6379/0", "redis://", "redis://x:0"],
)
def test_an_address_that_can_be_none_is_refused_at_once_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    with pytest.raises(ConfigError, match=r"AURUM_REDIS_URL: expected redis://") as caught:
        opened(monkeypatch, tmp_path, {"AURUM_REDIS_URL": url})
    assert "p/w" not in str(caught.value)
    assert ":pw@" not in str(caught.value)


def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str]) -> Resources:
    """The home of an environment with these variables of Redis and no others."""
    for name in ("AURUM_REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_DB"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AURUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return open_resources(DATASETS, Settings.read())
