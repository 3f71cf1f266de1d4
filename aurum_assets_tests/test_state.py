"""What every ``State`` guarantees, on SQLite and on Redis; what a SQLite file survives."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from pydantic import SecretStr

from aurum_assets.model.errors import ConfigError
from aurum_assets.model.operator import Limit
from aurum_assets.resources.redis import RedisServer, RedisState
from aurum_assets.resources.state import (
    IDLE,
    KEYS,
    SCHEMA,
    SqliteState,
    State,
    recalled,
    transaction,
)
from aurum_assets_tests.conftest import Timeline
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.servers.redis import RedisProcess

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def clock() -> Timeline:
    return Timeline()


def on_redis(redis: RedisProcess, path: Path, *, listed: bool = True) -> RedisState:
    """A process's state, on Redis."""
    server = RedisServer(SecretStr(redis.url))
    return RedisState(server, "aurum:test:", SqliteState(path), listed=listed)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "not" / "yet" / "state.sqlite"


@pytest.fixture(params=["sqlite", "redis"])
def state(request: pytest.FixtureRequest, path: Path, clock: Timeline) -> State:
    if request.param == "sqlite":
        return SqliteState(path, clock)
    clock.redis = request.getfixturevalue("redis")
    return on_redis(clock.redis, path)


def test_a_word_never_written_is_none(state: State) -> None:
    assert state.get("a") is None
    assert state.keys("") == []


@pytest.mark.parametrize("text", [None, "", "{}", '{"requests": "x", "seconds": 1}', "[", "null"])
def test_what_another_version_remembers_is_not_recalled(text: str | None) -> None:
    assert recalled('{"requests": 1, "seconds": 2, "more": 3}', Limit) == Limit(1, 2)
    assert recalled(text, Limit) is None


def test_the_last_writer_counts(state: State) -> None:
    state.set("a", "1", 60)
    state.set("a", "2", 60)
    assert state.get("a") == "2"


def test_a_word_is_gone_when_its_time_is_over(state: State, clock: Timeline) -> None:
    state.set("a", "1", 60)
    clock.passes(59.5)
    assert state.get("a") == "1"
    clock.passes(0.6)
    assert state.get("a") is None
    assert state.keys("a") == []


def test_only_the_first_claim_holds_until_it_expires_or_is_deleted(
    state: State, clock: Timeline
) -> None:
    assert state.claim("a", 60)
    assert not state.claim("a", 60)
    clock.passes(61)
    assert state.claim("a", 60)
    state.delete("a")
    assert state.claim("a", 60)


def test_a_word_that_was_set_cannot_be_claimed(state: State) -> None:
    state.set("a", "1", 60)
    assert not state.claim("a", 60)
    assert state.get("a") == "1"


def test_a_prefix_is_taken_literally(state: State) -> None:
    for key in ("a%b", "a_b", "aXb", "A_b", "a_"):
        state.set(key, "", 60)
    assert state.keys("a_") == ["a_", "a_b"]
    assert state.keys("a%") == ["a%b"]


def test_deleting_what_is_not_there_is_no_error(state: State) -> None:
    state.delete("a")


def test_words_of_any_letters_and_length_are_kept(state: State) -> None:
    for key in ("ü:ß", "a b\n", "日", "k" * 5000):
        state.set(key, key + "\x00ÿ", 60)
        assert state.get(key) == key + "\x00ÿ"
    assert state.keys("ü") == ["ü:ß"]


def test_a_deleted_word_is_listed_no_more(state: State) -> None:
    state.set("a", "1", 60)
    state.delete("a")
    assert state.keys("") == []


def test_a_listing_in_sqlite_reads_no_entry_beside_it() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        ((*_, how),) = db.execute(f"EXPLAIN QUERY PLAN {KEYS}", ("a", "b", 0.0)).fetchall()
    assert how == "SEARCH word USING PRIMARY KEY (key>? AND key<?)"


def test_two_objects_on_one_file_see_each_other(path: Path, clock: Timeline) -> None:
    SqliteState(path, clock).set("a", "1", 60)
    assert SqliteState(path, clock).get("a") == "1"


def test_two_machines_on_one_redis_see_each_other(redis: RedisProcess, tmp_path: Path) -> None:
    here, there = (on_redis(redis, tmp_path / name) for name in "ab")
    here.set("a", "1", 60)
    assert there.get("a") == "1"
    assert not there.claim("a", 60)
    assert there.keys("") == ["a"]
    assert not (tmp_path / "a").exists(), "what Redis has needs no file"


def test_expired_words_do_not_stay_in_redis(redis: RedisProcess, path: Path) -> None:
    state = on_redis(redis, path)
    for i in range(50):
        state.set(f"a{i}", "", 1)
    redis.age(2)
    for _ in range(4):
        state.set("b", "", 60)
    with redis.client() as client:
        assert sorted(client.keys()) == [f"aurum:test:{x}" for x in ("ends", "names", "word:b")]
        assert client.zrange("aurum:test:names", 0, -1) == ["b"]
    redis.age(61)
    with redis.client() as client:
        assert client.keys() == [], "the list outlives its keys"


def test_words_that_are_not_listed_cost_redis_nothing_but_themselves(
    redis: RedisProcess, path: Path
) -> None:
    state = on_redis(redis, path, listed=False)
    state.set("a", "1", 365 * 86_400)
    assert state.get("a") == "1"
    assert not state.claim("a", 60)
    with redis.client() as client:
        assert client.keys() == ["aurum:test:word:a"]
        assert client.ttl("aurum:test:word:a") == pytest.approx(365 * 86_400, abs=5)
    with pytest.raises(LookupError, match="not listed"):
        state.keys("")
    state.delete("a")
    assert state.get("a") is None


def test_listing_looks_at_no_word_of_others(redis: RedisProcess, path: Path) -> None:
    state = on_redis(redis, path)
    state.set("breaker:op:open", "", 60)
    with redis.client() as client:
        client.eval("for i = 1, 200000 do redis.call('SET', 'other:' .. i, '') end", 0)
    began = time.perf_counter()
    assert [state.keys("breaker:op:") for _ in range(20)] == [["breaker:op:open"]] * 20
    assert time.perf_counter() - began < 1, "a scan of the keys takes longer"


def test_expired_rows_do_not_stay_in_the_file(path: Path, clock: Timeline) -> None:
    state = SqliteState(path, clock)
    for i in range(50):
        state.set(f"a{i}", "", 1)
    clock.passes(2)
    state.set("b", "", 1)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM word").fetchone() == (1,)


def test_a_connection_serves_the_transactions_that_follow_and_few_are_kept(tmp_path: Path) -> None:
    states = [SqliteState(tmp_path / f"{i}.sqlite") for i in range(3 * IDLE)]
    for state in states:
        for _ in range(5):
            state.set("a", "1", 60)
    opened = Counter(file.path for file in psutil.Process().open_files())
    kept = {name: n for name, n in opened.items() if name.startswith(f"{tmp_path}/")}
    assert {name for name in kept if name.endswith(".sqlite")} == {
        str(tmp_path / f"{i}.sqlite") for i in range(2 * IDLE, 3 * IDLE)
    }
    assert set(kept.values()) == {1}


def test_a_file_that_takes_the_place_of_another_is_read_without_its_log(path: Path) -> None:
    state = SqliteState(path)
    state.set("old", "1", 60)
    assert path.with_name("state.sqlite-wal").stat().st_size, "it is in the log alone"
    path.unlink()
    assert state.get("old") is None
    state.set("new", "1", 60)
    path.unlink()
    other = path.with_name("other.sqlite")
    SqliteState(other).set("third", "1", 60)
    assert state.keys("") == []
    assert SqliteState(other).keys("") == ["third"]


def test_what_fails_within_a_transaction_leaves_nothing_of_it(path: Path) -> None:
    state = SqliteState(path)
    state.set("a", "1", 60)

    def fail() -> None:
        with transaction(path, SCHEMA) as db:
            db.execute("DELETE FROM word")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    state.set("b", "2", 60)
    assert state.keys("") == ["a", "b"]


FORKED = """
import os, sys
from pathlib import Path
import psutil
from aurum_assets.resources.state import SqliteState
path = Path(sys.argv[1])
state = SqliteState(path)
state.set("a", "1", 60)
child = os.fork()
if not child:
    held = [file.path for file in psutil.Process().open_files()]
    state.set("b", str([name for name in held if name.startswith(str(path))]), 60)
    os._exit(0)
os.waitpid(child, 0)
print(state.get("a"), state.get("b"))
"""


def test_a_fork_inherits_no_connection(path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", FORKED, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 []\n"


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is not a database, and long enough to be seen as none" * 100)
    with pytest.raises(ConfigError, match=r"state\.sqlite.*remove the file"):
        SqliteState(path).get("a")


def test_threads_share_one_object(state: State) -> None:
    won: list[int] = []

    def claim(i: int) -> None:
        won.extend(k for k in range(20) if state.claim(f"k{k}", 60) and i >= 0)

    threads = [threading.Thread(target=claim, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(20))


def _claim_all(path: Path, start: float, out: "Queue[list[int]]") -> None:
    time.sleep(max(0.0, start - time.time()))
    state = SqliteState(path)
    out.put([k for k in range(100) if state.claim(f"k{k}", 600)])


def test_of_many_processes_that_open_a_new_file_at_once_one_wins_each_claim(path: Path) -> None:
    out: Queue[list[int]] = FORKS.Queue()
    start = time.time() + 1.5
    workers = [FORKS.Process(target=_claim_all, args=(path, start, out)) for _ in range(6)]
    for worker in workers:
        worker.start()
    won = [out.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(k for some in won for k in some) == list(range(100))
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


def _write_for_ever(path: Path, ready: "Queue[int]") -> None:
    state = SqliteState(path)
    state.set("begun", "1", 600)
    ready.put(os.getpid())
    for i in range(10**9):
        state.set(f"k{i % 50}", "v" * 200, 600)
        state.claim(f"c{i}", 0.01)


@pytest.fixture
def writers(path: Path) -> Iterator[list[int]]:
    ready: Queue[int] = FORKS.Queue()
    workers = [FORKS.Process(target=_write_for_ever, args=(path, ready)) for _ in range(4)]
    for worker in workers:
        worker.start()
    yield [ready.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.kill()
        worker.join()


def test_kill_9_at_any_moment_leaves_a_file_that_works(path: Path, writers: list[int]) -> None:
    state = SqliteState(path)
    for pid in writers:
        time.sleep(random.uniform(0.02, 0.1))  # noqa: S311 - any moment will do
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        state.set("after", str(pid), 600)
        assert state.get("after") == str(pid)
        assert time.monotonic() - began < 2
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
