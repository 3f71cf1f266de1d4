"""What a tick, a day, a replay and maintenance ask of S3 and of the catalog in Postgres.

The numbers do not depend on how busy a machine is. The guide shows them: its table is held to what
is counted here.
"""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event

from aurum_assets import ingest
from aurum_assets.ingest.day import bring
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources import lake_files
from aurum_assets.resources.archive import ArchiveSettings
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.objects import s3_properties
from aurum_assets_tests.conftest import Desk
from aurum_assets_tests.made import remade
from aurum_assets_tests.servers.s3 import S3Server

LOAD = ISONE_SYSTEM_LOAD
DAY = LOAD.day("2026-07-20")
KINDS = ("PUT", "GET", "HEAD", "LIST", "DELETE", "statements")


@pytest.fixture
def desk(live_desk: Desk, s3: S3Server, postgres_url: str) -> Desk:
    """Archive and warehouse on S3, catalog in Postgres; today has had its first tick."""
    s3.make_bucket("lake")
    archive = ArchiveSettings(f"s3://raw/{uuid.uuid4().hex}", endpoint=s3.url)
    catalog = {
        "type": "sql",
        "uri": postgres_url.replace("postgresql://", "postgresql+psycopg2://"),
        "warehouse": f"s3://lake/{uuid.uuid4().hex}",
        **s3_properties(archive),
    }
    made = remade(live_desk.resources, archive=archive, catalog=catalog)
    desk = Desk(made, live_desk.clock)
    tick(desk)
    return desk


def tick(desk: Desk) -> None:
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    outcome = bring(desk.resources, LOAD, LOAD.operator.day_of(desk.clock()), feeds=["now"])
    assert outcome.error is None
    (done,) = outcome.normalized
    assert done.merged.new == 1
    ingest.check(desk.resources, done)


def a_day(desk: Desk) -> None:
    outcome = bring(desk.resources, LOAD, DAY, feeds=["day"])
    assert outcome.error is None
    ingest.check(desk.resources, outcome.normalized[0])


def replay(desk: Desk) -> None:
    desk.resources.lake.replace(LOAD.table, LOAD.table.empty(), {"operating_day": DAY.date})
    ingest.replay(desk.resources, LOAD, DAY)


def maintain(desk: Desk) -> None:
    resources = desk.resources
    done = list(ingest.maintain(resources, ingest.parts_of(resources)))
    assert not any(part.failed for part in done)


@contextmanager
def counted(s3: S3Server) -> Iterator[Counter[str]]:
    """Requests to S3 by kind, and statements to Postgres."""
    found, before = Counter[str](), len(s3.seen)

    def executed(*_: object) -> None:
        found["statements"] += 1

    event.listen(Engine, "before_cursor_execute", executed)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
    for seen in s3.seen[before:]:
        found["LIST" if "list-type=" in seen.path else seen.method] += 1


def shown_in(page: str) -> dict[str, list[str]]:
    """By kind of work, the counts of the table in ``page``."""
    lines = (PROJECT / page).read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return {row[0]: row[1:-1] for row in rows if len(row) == len(KINDS) + 2}


def test_what_is_asked_is_what_readme_and_guide_show(desk: Desk, s3: S3Server) -> None:
    pages = [shown_in(page) for page in ("README.md", "docs/guide/backends.md")]
    work: dict[str, Callable[[Desk], object]] = {
        "a tick": tick,
        "a day": a_day,
        "a day's replay": replay,
        "maintenance of all tables": maintain,
    }
    for name, does in work.items():
        with counted(s3) as found:
            does(desk)
        for shown in pages:
            assert shown[name] == [str(found[kind]) for kind in KINDS], name


@pytest.mark.slow
def test_a_tick_asks_the_same_after_an_hour_as_after_the_first_ticks(
    desk: Desk, s3: S3Server
) -> None:
    """But for the data files of the open day, which its checks read: 24 at most."""
    asked = []
    for _ in range(16):
        with counted(s3) as found:
            tick(desk)
        asked.append(found)
    # A compaction writes more manifests; a commit deletes the metadata of twelve commits ago.
    for kind, more in {"PUT": 2, "LIST": 0, "DELETE": 1, "statements": 0}.items():
        least, most = sorted(found[kind] for found in asked)[:: len(asked) - 1]
        assert most - least <= more, kind
    assert max(found["GET"] for found in asked) <= 1 + 3 * 24


def test_all_tables_of_a_place_have_one_client(desk: Desk) -> None:
    table, history = (desk.resources.lake.table(t) for t in (LOAD.table, LOAD.table.history))
    assert table.io is not history.io
    assert table.io.fs_by_scheme("s3", "lake") is history.io.fs_by_scheme("s3", "lake")  # type: ignore[attr-defined]


def test_what_another_process_wrote_is_read(desk: Desk) -> None:
    other = desk.resources.lake.anew()
    before = len(other.read(LOAD.table))
    tick(desk)
    assert len(other.read(LOAD.table)) == before + 1


def test_what_two_threads_keep_at_once_is_counted_once() -> None:
    kept = lake_files.Kept()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            list(pool.map(lambda n: kept.put("s3://lake/a", bytes(1000 + n)), range(8)))
    assert kept.size == len(kept.get("s3://lake/a") or b"")
