"""The SQLite files of a home: what a year leaves in them is bounded, free room is given back."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis

from aurum_assets.model.dataset import OperatorConfig
from aurum_assets.model.errors import StoreUnavailable
from aurum_assets.model.operator import Limit
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.alerts import Alerts, Incident
from aurum_assets.resources.limits import SqliteLimiter
from aurum_assets.resources.metrics import Metrics
from aurum_assets.resources.redis import RedisLimiter, RedisServer, RedisState
from aurum_assets.resources.registry import Registry
from aurum_assets.resources.state import SqliteState
from aurum_assets.resources.stores import forget_expired, shrink, spare
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.conftest import NOON
from aurum_assets_tests.servers.redis import RedisProcess

DAY = 86_400.0


class Seconds:
    """A clock that is set, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


def rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  ours


def filled(path: Path, expires: float) -> SqliteState:
    """A state file of some 4 MB, all of whose rows end at ``expires``."""
    state = SqliteState(path, lambda: 0.0)
    state.set("first", "", expires)
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            "INSERT INTO word VALUES (?, ?, ?)",
            [(f"word:{n}", "x" * 1000, expires) for n in range(4000)],
        )
    return state


# --- what is bounded, and by what ----------------------------------------------------------------


def test_of_three_years_the_registry_holds_the_days_of_one(tmp_path: Path) -> None:
    seconds = Seconds()
    registry = Registry(SqliteState(tmp_path / "state.sqlite", seconds))
    for day in range(0, 3 * 365, 15):
        seconds.now = 1_000_000_000.0 + day * DAY
        registry.mark_merged("isone_rt_lmp", f"day {day}", "uuid", frozenset({"identifier"}))
    assert rows(tmp_path / "state.sqlite", "word") == 25


def test_a_year_of_requests_leaves_those_of_the_longest_window(tmp_path: Path) -> None:
    seconds, file = Seconds(), tmp_path / "limits.sqlite"
    config = OperatorConfig("isone", "http://127.0.0.1:1", (Limit(10, 60.0),))
    state = SqliteState(tmp_path / "state.sqlite", seconds)
    limiter = SqliteLimiter(file, config, state, clock=seconds, sleep=lambda _: None)
    for _ in range(50):
        seconds.now += 30
        limiter.arrived(limiter.take("any"))
    assert rows(file, "slot") <= 3


def test_a_year_of_counting_leaves_one_row_a_metric_and_label(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    metrics = Metrics(tmp_path / "metrics.sqlite", "dev", clock)
    for day in range(0, 365, 15):
        clock.set(NOON + dt.timedelta(days=day))
        metrics.count("collected", ISONE_SYSTEM_LOAD)
        metrics.hold("degraded", None, day % 2, "kafka")
        metrics.flush()
    assert rows(tmp_path / "metrics.sqlite", "sample") == 2


def test_a_year_of_alerts_leaves_those_that_closed_within_90_days(tmp_path: Path) -> None:
    clock = SetClock(NOON)
    alerts = Alerts(tmp_path / "alerts.sqlite", "dev", clock)
    for day in range(0, 365, 15):
        clock.set(NOON + dt.timedelta(days=day))
        alerts.raise_(Incident("late_feed", "isone_rt_lmp", "now", "late", day=str(day)))
        alerts.settle("late_feed", "isone_rt_lmp", "now", str(day))
        alerts.send()
    assert rows(tmp_path / "alerts.sqlite", "alert") <= 90 / 15 + 1
    assert rows(tmp_path / "alerts.sqlite", "outgoing") == 0


def test_every_key_in_redis_has_an_end(redis: RedisProcess, tmp_path: Path) -> None:
    server, here = RedisServer(SecretStr(redis.url)), SqliteState(tmp_path / "state.sqlite")
    state = RedisState(server, "aurum:dev:isone:", here)
    Registry(RedisState(server, "aurum:dev:isone:registry:", here, listed=False)).mark_merged(
        "isone_rt_lmp", "2026-07-21", "uuid", frozenset({"identifier"})
    )
    state.set("answered:isone_rt_lmp:now", "endpoint", 60.0)
    assert state.claim("breaker:isone:probe", 60.0)
    config = OperatorConfig("isone", "http://127.0.0.1:1", (Limit(10, 60.0),))
    limiter = RedisLimiter(server, "aurum:dev:isone:", tmp_path / "limits.sqlite", config, here)
    limiter.arrived(limiter.take("any"))
    limiter.pause(1.0)
    keys = server.ask(lambda client: client.keys("*"))
    assert len(keys) >= 7
    assert [key for key in keys if server.ask(partial(end_of, key)) <= 0] == []


def end_of(key: str, client: Redis) -> int:
    """Milliseconds until the key is gone, -1 where it stays."""
    return int(client.pttl(key))


# --- files give room back ------------------------------------------------------------------------


def test_a_file_of_which_much_is_free_shrinks_and_its_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    state = filled(path, 10.0)
    state.set("kept", "value", 1000.0)
    large = path.stat().st_size
    assert forget_expired(path, 20.0, dry_run=True) == 4001
    assert forget_expired(path, 20.0) == 4001
    expected = spare(path)
    assert expected > 3_000_000
    assert path.stat().st_size == large
    assert shrink(path) == expected
    assert path.stat().st_size < large / 10
    assert state.get("kept") == "value"
    assert (spare(path), shrink(path)) == (0, 0)


def test_a_file_of_which_little_is_free_is_left(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    filled(path, 10.0)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM word WHERE key LIKE 'word:___'")  # 900 of 4,000, some 1.2 MB
    assert shrink(path) == 0


def test_a_file_that_is_not_there_needs_nothing_and_is_not_made(tmp_path: Path) -> None:
    assert (spare(tmp_path / "none.sqlite"), shrink(tmp_path / "none.sqlite")) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_shrinks_beside_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    filled(path, 10.0)
    with reading(path) as reader:
        forget_expired(path, 20.0)
        assert shrink(path) > 3_000_000
        assert reader.execute("SELECT count(*) FROM word").fetchone() == (4001,)  # as it began
    assert rows(path, "word") == 0


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM word").fetchone()
        yield db


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(StoreUnavailable, match=r"state\.sqlite: this SQLite file cannot be used"):
        shrink(tmp_path / "state.sqlite")
