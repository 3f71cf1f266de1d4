"""The registry saves work and is never the truth: without it nothing is lost or counted twice."""

import datetime as dt
import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr

from aurum_assets import ingest
from aurum_assets.model.dataset import Envelope
from aurum_assets.model.finding import Finding
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.archive import Stored
from aurum_assets.resources.redis import RedisServer, RedisState
from aurum_assets.resources.registry import REMEMBERED_DAYS, Registry
from aurum_assets.resources.state import SqliteState
from aurum_assets_tests.conftest import Desk, Timeline, utc
from aurum_assets_tests.made import remade

LOAD = ISONE_SYSTEM_LOAD
FETCHED = utc("2026-07-20T21:26:00Z")
STORED = Stored("sourcing/x.json.gz", "etag", "v1", 321, created=True)


class Unreachable:
    """A store that is down."""

    def get(self, key: str) -> str | None:
        raise sqlite3.OperationalError(key)

    def set(self, key: str, value: str, ttl_seconds: float) -> None:
        raise sqlite3.OperationalError(key, value, ttl_seconds)

    def claim(self, key: str, ttl_seconds: float) -> bool:
        raise sqlite3.OperationalError(key, ttl_seconds)

    def delete(self, key: str) -> None:
        raise sqlite3.OperationalError(key)

    def keys(self, prefix: str) -> list[str]:
        raise sqlite3.OperationalError(prefix)

    def check(self) -> Finding:
        raise sqlite3.OperationalError


def envelope(minutes: int = 0, content: str = "c" * 64, endpoint: str = "now") -> Envelope:
    return Envelope(
        dataset=LOAD.key,
        endpoint=endpoint,
        dialect="live",
        format="json",
        day="2026-07-20",
        fetched_at=FETCHED + dt.timedelta(minutes=minutes),
        raw_sha256="a" * 64,
        content_sha256=content,
    )


@pytest.fixture
def seconds() -> Timeline:
    return Timeline()


@pytest.fixture(params=["sqlite", "redis"])
def registry(request: pytest.FixtureRequest, tmp_path: Path, seconds: Timeline) -> Registry:
    here = SqliteState(tmp_path / "state.sqlite", seconds)
    if request.param == "sqlite":
        return Registry(here)
    seconds.redis = request.getfixturevalue("redis")
    server = RedisServer(SecretStr(seconds.redis.url))
    return Registry(RedisState(server, "aurum:test:", here, listed=False))


def test_what_was_recorded_is_known_with_path_etag_version_and_size(registry: Registry) -> None:
    one = envelope()
    registry.record(one, STORED)
    known = registry.newest(LOAD.key, "2026-07-20", one.request)
    assert known is not None
    assert known.identifier == one.identifier
    assert known.content_sha256 == one.content_sha256
    assert (known.path, known.etag, known.version, known.bytes) == (
        STORED.path,
        STORED.etag,
        STORED.version,
        STORED.bytes,
    )
    assert utc(known.fetched_at) == FETCHED


@pytest.mark.parametrize("order", [(0, 5), (5, 0)])
def test_the_newest_is_the_one_fetched_last_whatever_came_last(
    registry: Registry, order: tuple[int, int]
) -> None:
    for minutes in order:
        registry.record(envelope(minutes, content=f"{minutes:064d}"), STORED)
    known = registry.newest(LOAD.key, "2026-07-20", envelope().request)
    assert known is not None
    assert known.content_sha256 == f"{5:064d}"


def test_requests_and_days_are_known_apart(registry: Registry) -> None:
    registry.record(envelope(), STORED)
    assert registry.newest(LOAD.key, "2026-07-20", envelope(endpoint="day").request) is None
    assert registry.newest(LOAD.key, "2026-07-21", envelope().request) is None
    assert registry.newest("miso_cts", "2026-07-20", envelope().request) is None


def test_a_hash_is_remembered_for_365_days(registry: Registry, seconds: Timeline) -> None:
    assert REMEMBERED_DAYS == 365
    registry.record(envelope(), STORED)
    seconds.passes(86_400 * REMEMBERED_DAYS - 2)
    assert registry.newest(LOAD.key, "2026-07-20", envelope().request) is not None
    seconds.passes(2)
    assert registry.newest(LOAD.key, "2026-07-20", envelope().request) is None


def test_what_a_table_holds_is_remembered_by_the_tables_identity(registry: Registry) -> None:
    held = frozenset({"one", "two"})
    registry.mark_merged(LOAD.key, "2026-07-20", "uuid-1", held)
    assert registry.merged(LOAD.key, "2026-07-20", "uuid-1") == held
    assert registry.merged(LOAD.key, "2026-07-20", "uuid-2") == frozenset()
    assert registry.merged(LOAD.key, "2026-07-21", "uuid-1") == frozenset()


def test_a_store_out_of_reach_makes_it_forgetful_and_it_says_so() -> None:
    registry = Registry(Unreachable())
    registry.record(envelope(), STORED)
    assert "cannot be" in registry.degraded
    assert registry.newest(LOAD.key, "2026-07-20", envelope().request) is None
    registry.mark_merged(LOAD.key, "2026-07-20", "uuid", frozenset())
    assert registry.merged(LOAD.key, "2026-07-20", "uuid") == frozenset()


PAYLOADS = [
    b'{"FiveMinSystemLoads":{"FiveMinSystemLoad":['
    + b",".join(
        b'{"BeginDate":"2026-07-20T17:%02d:00.000-04:00","LoadMw":%d}' % (5 * i, 15_000 + n)
        for i in range(n + 1)
    )
    + b"]}}"
    for n in range(4)
]


@pytest.mark.parametrize("lost", ["never", "always", "half way"])
@pytest.mark.slow
def test_a_lost_registry_changes_no_row_and_no_object(desk: Desk, lost: str) -> None:
    for n, body in enumerate([*PAYLOADS, PAYLOADS[3]]):
        if lost == "always" or (lost == "half way" and n == 2):
            desk.resources.registry = Registry(Unreachable())
        elif lost == "half way" and n == 3:
            desk = Desk(remade(desk.resources), desk.clock)
        at = desk.clock() + dt.timedelta(minutes=5 * n)
        desk.bring(LOAD, body, at=at)
    rows = desk.rows(LOAD)
    assert rows["load"].to_list() == [15_003.0] * 4
    assert rows["fetched_at"].unique().to_list() == [desk.clock() + dt.timedelta(minutes=15)]
    assert desk.resources.archive.size(LOAD.key)[0] == 4
    again = ingest.replay(desk.resources, LOAD, LOAD.day("2026-07-20"))
    assert again.merged.snapshot_id is None
