"""The operator's limits hold in every sliding window, over processes, and are used."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr

from aurum_assets.model.dataset import OperatorConfig
from aurum_assets.model.operator import Limit
from aurum_assets.resources.limits import SqliteLimiter, retry_after, share
from aurum_assets.resources.redis import RedisLimiter, RedisServer
from aurum_assets.resources.state import SqliteState
from aurum_assets_tests.conftest import Timeline, log_lines
from aurum_assets_tests.proofs.prove_limits import Race, prove_limits
from aurum_assets_tests.servers.redis import RedisProcess

pytestmark = pytest.mark.filterwarnings("error")


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
    config = OperatorConfig(name, "http://op.example", limits, endpoints or {})
    state = SqliteState(folder / "state.sqlite", time_line)
    file, sleep = folder / "limits.sqlite", time_line.sleep
    if time_line.redis is None:
        return SqliteLimiter(file, config, state, clock=time_line, sleep=sleep)
    server = RedisServer(SecretStr(time_line.redis.url))
    return RedisLimiter(server, "aurum:", file, config, state, clock=time_line, sleep=sleep)


def asked(some: SqliteLimiter, endpoint: str = "a") -> None:
    some.arrived(some.take(endpoint))


def test_the_windows_are_two_percent_longer_than_the_operators(
    tmp_path: Path, time_line: Timeline
) -> None:
    some = limiter(tmp_path, time_line, Limit(3, 10))
    with time_line.measured() as took:
        for _ in range(4):
            asked(some)
    assert took == [pytest.approx(10.2, abs=0.01)]


def test_several_rates_hold_on_one_operator(tmp_path: Path, time_line: Timeline) -> None:
    some = limiter(tmp_path, time_line, Limit(2, 1), Limit(5, 60))
    stamps = []
    for _ in range(11):
        asked(some)
        stamps.append(time_line.now)
    assert most(stamps, 1) == 2
    assert most(stamps, 60) == 5
    assert stamps[-1] - stamps[0] == pytest.approx(2 * 61.2, abs=0.1)


def test_an_endpoint_has_limits_of_its_own_beside_those_of_the_operator(
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


def test_operators_do_not_share_limits(tmp_path: Path, time_line: Timeline) -> None:
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
    some.arrived(slot)
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
    if time_line.redis is None:
        time_line.now -= 86_400
    else:
        time_line.redis.age(-86_400)
    with time_line.measured() as took:
        asked(some)
    assert took == [pytest.approx(10.2, abs=0.01)]


def test_a_pause_holds_for_every_process_of_the_operator_and_for_no_other(
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
    waits: list[tuple[float, str]] = []
    with log_lines() as logs:
        some.take("a", waiting=lambda seconds, why: waits.append((round(seconds, 1), why)))
    assert [(line["event"], line["seconds"]) for line in logs] == [("waiting for the limit", 10.2)]
    assert waits[0] == (10.2, "waiting for the limit")
    assert len(waits) == len(time_line.naps)
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


def most(stamps: Sequence[float], window: float) -> int:
    """The most stamps in any half-open sliding window."""
    return max(sum(1 for s in stamps if t <= s < t + window) for t in stamps)


def shared_limiter(
    redis: RedisProcess, folder: Path, time_line: Timeline, *limits: Limit, machines: int = 1
) -> RedisLimiter:
    """A process of the machine whose home is ``folder``."""
    return RedisLimiter(
        RedisServer(SecretStr(redis.url)),
        "aurum:",
        folder / "limits.sqlite",
        OperatorConfig("op", "http://op.example", limits),
        SqliteState(folder / "state.sqlite", time_line),
        machines=machines,
        clock=time_line,
        sleep=time_line.sleep,
    )


@pytest.fixture
def shared_time(redis: RedisProcess) -> Timeline:
    return Timeline(redis)


def test_machines_that_share_a_redis_share_one_limit_and_its_pauses(
    redis: RedisProcess, tmp_path: Path, shared_time: Timeline
) -> None:
    one, two = (
        shared_limiter(redis, tmp_path / name, shared_time, Limit(4, 60), machines=2)
        for name in "ab"
    )
    for some in (one, two, one, one):
        asked(some)
    with shared_time.measured() as took:
        asked(two)
    one.pause(100)
    one.pause(5)
    with shared_time.measured() as paused:
        asked(two)
    assert took == [pytest.approx(61.2, abs=1.1)]  # what the machine takes beside counts too
    assert paused == [pytest.approx(100, abs=5)]


@pytest.mark.parametrize("lost", ["flushed", "killed", "killed and back"])
@pytest.mark.parametrize("machines", [1, 3])
def test_no_window_of_one_machine_is_overfull_whatever_becomes_of_redis(
    redis: RedisProcess, tmp_path: Path, shared_time: Timeline, lost: str, machines: int
) -> None:
    stamps = []

    def ask(times: int) -> None:
        some = shared_limiter(redis, tmp_path, shared_time, Limit(6, 60), machines=machines)
        for _ in range(times):
            asked(some)
            stamps.append(shared_time.now)
            shared_time.passes(3)

    ask(8)
    if lost == "flushed":
        redis.flush()
    else:
        redis.kill()
        shared_time.redis = None
        ask(8)
        if lost == "killed and back":
            redis.start()
            shared_time.redis = redis
    ask(8)
    assert most(stamps, 60) == 6
    alone = [s for s in stamps[8:16] if s > stamps[7] + 61.2]
    if lost != "flushed" and alone:
        assert most(alone, 60) <= 6 // machines


def test_a_pause_outlives_the_redis_that_knew_of_it(
    redis: RedisProcess, tmp_path: Path, shared_time: Timeline
) -> None:
    shared_limiter(redis, tmp_path, shared_time, Limit(100, 1)).pause(30)
    redis.kill()
    shared_time.redis = None
    with shared_time.measured() as took:
        asked(shared_limiter(redis, tmp_path, shared_time, Limit(100, 1)))
    assert took == [pytest.approx(30, abs=0.01)]


def test_a_question_whose_answer_was_lost_takes_one_slot(
    redis: RedisProcess, tmp_path: Path, shared_time: Timeline
) -> None:
    some = shared_limiter(redis, tmp_path, shared_time, Limit(2, 60))
    for _ in range(3):  # as the client does on a new connection
        assert some._slot(7, "a", 0) <= 0  # noqa: SLF001  the same slot, as nobody else can ask
        (tmp_path / "limits.sqlite").unlink()
    asked(some)
    with shared_time.measured() as took:
        asked(some)
    assert took == [pytest.approx(61.2, abs=1.1)]  # what the machine takes beside counts too


def test_processes_keep_the_limit_by_the_operators_clock_and_use_it_and_none_starves() -> None:
    limits = (Limit(20, 1), Limit(40, 2))  # both bind
    races = [
        Race(store, limits, windows=2, workers=4, tight=Limit(3, 2), whatever_the_load=True)
        for store in ("sqlite", "redis", "lost redis")
    ]
    proof = prove_limits(races)
    assert proof.broken == []
    assert int(proof.counts["requests"]) >= 3 * 80
