"""One answer that several datasets read: asked for once a tick, archived once, in every table."""

import datetime as dt
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from aurum_assets import ingest
from aurum_assets.ingest import keep, sharing
from aurum_assets.ingest.day import bring
from aurum_assets.ingest.status import status
from aurum_assets.model.clock import DAY
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import StoreUnavailable
from aurum_assets.model.message import SNAPSHOTS_TOPIC
from aurum_assets.operators import DATASETS
from aurum_assets.operators.miso.cts import MISO_CTS, parse_live_cts
from aurum_assets.operators.miso.lmp import MISO_DA_LMP, MISO_RT_HOURLY_LMP, MISO_RT_LMP
from aurum_assets.resources.archive import Rejection
from aurum_assets.resources.events import Brokers
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Desk, utc
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import FETCHED_AT, recording
from aurum_assets_tests.servers.kafka import KafkaCluster

FIRST = MISO_CTS
CONSOLIDATED = (MISO_RT_LMP, MISO_RT_HOURLY_LMP, MISO_DA_LMP)
CONSOLIDATED_PATH = "/MarketPricing/GetLmpConsolidatedTable"
TODAY, YESTERDAY = "2026-07-21", "2026-07-20"


def yesterday(records: pl.DataFrame) -> pl.DataFrame:
    """The operator's answer for today, with the day before in its stamps."""
    stamps = ("published_at", "interval_start", "interval_end")
    return parse_live_cts(records).with_columns(pl.col(name) - DAY for name in stamps)


SECOND = replace(
    MISO_CTS,
    key="miso_second",
    table=replace(MISO_CTS.table, name="miso_second"),
    shares=MISO_CTS,
    folder="",
)
LIVE = MISO_CTS.dialect("live")
LATE = replace(
    SECOND,
    dialects=(replace(LIVE, parse=yesterday, days=lambda *_: [YESTERDAY]), *SECOND.dialects[1:]),
)


@pytest.fixture
def shared(live_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return known(live_desk, SECOND, monkeypatch)


@pytest.fixture
def late(live_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return known(live_desk, LATE, monkeypatch)


@pytest.fixture
def kafka() -> Iterator[KafkaCluster]:
    with KafkaCluster(brokers=1) as cluster:
        yield cluster


def known(desk: Desk, second: Dataset, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk, where ``second`` is a dataset as the others are."""
    monkeypatch.setattr(sharing, "DATASETS", (*DATASETS, second))
    configuration = desk.resources.configuration
    config = replace(configuration.datasets[FIRST.key], key=second.key)
    datasets = {**configuration.datasets, second.key: config}
    desk.resources.configuration = replace(configuration, datasets=datasets)
    return desk


def away(*_: object) -> None:
    msg = "the archive is away"
    raise StoreUnavailable(msg)


def collected(desk: Desk, dataset: Dataset, *, force: bool = False) -> ingest.Collected:
    day = dataset.operator.day_of(desk.clock())
    outcome = bring(desk.resources, dataset, day, feeds=["now"], force=force)
    assert not outcome.normalize_errors
    return outcome.collected


def objects(desk: Desk, day: str = TODAY) -> list[str]:
    return desk.resources.archive.identifiers(FIRST.archive_name, day)


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)], ids=["first", "second"])
def test_an_answer_is_asked_for_once_and_archived_once_whoever_is_first(
    shared: Desk, market: Running, order: tuple[Dataset, ...]
) -> None:
    requests = [collected(shared, dataset).requests for dataset in order]
    assert requests == [1, 0]
    assert len(market.simulator.requests) == 1
    (identifier,) = objects(shared)
    rows = [shared.rows(dataset, TODAY) for dataset in (FIRST, SECOND)]
    hashes = [set(found["raw_sha256"]) for found in rows]
    assert hashes[0] == hashes[1]
    assert {raw[:16] for raw in hashes[0]} == {identifier.rpartition("-")[2]}
    assert len(rows[0]) == len(rows[1]) > 0


def test_the_same_dataset_asks_again_and_so_does_the_next_tick(
    shared: Desk, market: Running
) -> None:
    for dataset in (FIRST, SECOND, FIRST):
        collected(shared, dataset)
    assert len(market.simulator.requests) == 2
    shared.clock.set(shared.clock() + dt.timedelta(minutes=15))
    collected(shared, SECOND)
    assert len(market.simulator.requests) == 3


def test_force_asks_whatever_others_were_answered(shared: Desk, market: Running) -> None:
    collected(shared, FIRST)
    assert collected(shared, SECOND, force=True).requests == 1
    assert len(market.simulator.requests) == 2


def test_what_is_repeated_is_taken_by_the_others_too(shared: Desk, market: Running) -> None:
    collected(shared, FIRST)
    assert collected(shared, FIRST).count("duplicate") == 1
    collected(shared, SECOND)
    assert len(market.simulator.requests) == 2
    assert len(shared.rows(SECOND, TODAY)) == len(shared.rows(FIRST, TODAY))


def test_replay_verify_and_status_of_each_read_the_same_objects(shared: Desk) -> None:
    for dataset in (FIRST, SECOND):
        collected(shared, dataset)
    before = shared.rows(SECOND, TODAY)
    shared.resources.lake.replace(
        SECOND.table, before.clear(), {"operating_day": dt.date.fromisoformat(TODAY)}
    )
    ingest.replay(shared.resources, SECOND, SECOND.day(TODAY))
    assert shared.rows(SECOND, TODAY).equals(before)
    for dataset in (FIRST, SECOND):
        found = ingest.verify(shared.resources, dataset, dataset.day(TODAY))
        assert (found.problems, found.objects) == ([], 1)
    held = status(shared.resources, (FIRST, SECOND))
    assert [one.objects for one in held] == [1, None], "they are counted once"


def test_what_waited_in_the_spool_comes_into_every_table(
    shared: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(shared.resources.archive.store, "put", away)
        bring(shared.resources, FIRST, FIRST.day(TODAY), feeds=["now"])
    assert objects(shared) == []
    keep.drain_spool(shared.resources, FIRST)
    assert [keep.unnormalized_days(shared.resources, d) for d in (FIRST, SECOND)] == [
        [TODAY],
        [TODAY],
    ]
    for dataset in (FIRST, SECOND):
        ingest.normalize(shared.resources, dataset, dataset.day(TODAY))
        assert keep.unnormalized_days(shared.resources, dataset) == []
    assert len(shared.rows(SECOND, TODAY)) == len(shared.rows(FIRST, TODAY)) > 0


@pytest.mark.parametrize("order", [(FIRST, LATE), (LATE, FIRST)], ids=["first", "late"])
def test_an_answer_that_tells_a_dataset_of_yesterday_lies_under_both_days(
    late: Desk, market: Running, order: tuple[Dataset, ...]
) -> None:
    for dataset in order:
        collected(late, dataset)
    assert len(market.simulator.requests) == 1
    assert len(objects(late, TODAY)) == len(objects(late, YESTERDAY)) == 1
    assert len(late.rows(LATE, YESTERDAY)) == len(late.rows(FIRST, TODAY)) > 0
    for dataset, other in ((FIRST, YESTERDAY), (LATE, TODAY)):
        done = ingest.normalize(late.resources, dataset, dataset.day(other))
        assert (len(done.rows), done.quarantined, done.rejected) == (0, 0, [])
        assert done.empty == ()
        found = ingest.verify(late.resources, dataset, dataset.day(other))
        assert found.problems == []


def test_a_rejected_answer_is_requeued_under_the_day_of_its_own_dataset(late: Desk) -> None:
    """Another dataset archived it under its day, which says nothing of this one's."""
    collected(late, FIRST)
    (identifier,) = objects(late)
    snapshot = late.resources.archive.snapshot(FIRST.archive_name, TODAY, identifier)
    seen = snapshot.envelope
    late.resources.archive.reject(
        Rejection(
            LATE.key, seen.endpoint, seen.fetched_at, seen.raw_sha256, "cut", dialect=seen.dialect
        ),
        snapshot.body,
    )
    (done,) = ingest.requeue(late.resources, LATE)
    assert (done.day, done.rejected_after) == (YESTERDAY, 0)
    assert len(late.rows(LATE, YESTERDAY)) == len(late.rows(FIRST, TODAY)) > 0


def before_and_after_midnight(
    desk: Desk, *instants: str, datasets: Sequence[Dataset] = CONSOLIDATED
) -> None:
    """The datasets of MISO's consolidated answer, at these instants in turn."""
    for instant in instants:
        desk.clock.set(utc(instant))
        for dataset in datasets:
            day = dataset.operator.day_of(desk.clock())
            assert bring(desk.resources, dataset, day).normalize_errors == {}


def test_a_day_that_was_done_takes_in_what_another_dataset_archives_there_after_midnight(
    live_desk: Desk,
) -> None:
    before_and_after_midnight(
        live_desk, "2026-07-20T23:48-05:00", "2026-07-21T00:13-05:00", "2026-07-21T00:18-05:00"
    )
    assert len(objects_of(live_desk, YESTERDAY)) == 3
    spool = live_desk.resources.root / "spool"
    assert [len(list(spool.glob(f"owed/{d.key}/*/*"))) for d in CONSOLIDATED] == [1, 0, 0]
    before_and_after_midnight(live_desk, "2026-07-21T01:03-05:00")
    assert list(spool.glob("owed/*/*/*")) == []
    for dataset in CONSOLIDATED:
        found = list(ingest.verify_days(live_desk.resources, dataset, quick=True))
        assert [(v.day, v.quick, v.problems) for v in found] == [
            (YESTERDAY, True, []),
            (TODAY, True, []),
        ]


def test_the_marks_of_a_dataset_that_nobody_collects_here_any_more_are_bounded(
    live_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "_MOST_MARKS", 2)
    before_and_after_midnight(live_desk, "2026-07-20T23:48-05:00")
    late = [f"2026-07-21T00:{minute}-05:00" for minute in (13, 18, 23, 28)]
    before_and_after_midnight(live_desk, *late, datasets=[MISO_RT_HOURLY_LMP])
    assert len(objects_of(live_desk, YESTERDAY)) == 1 + len(late)
    marks = live_desk.resources.root / "spool" / "owed"
    assert [len(list(marks.glob(f"{d.key}/*/*"))) for d in CONSOLIDATED] == [2, 0, 2]


def objects_of(desk: Desk, day: str) -> list[str]:
    return desk.resources.archive.identifiers(MISO_RT_LMP.archive_name, day)


def test_an_answer_is_announced_for_the_days_that_it_has_rows_of_and_each_with_its_own_object(
    live_desk: Desk, kafka: KafkaCluster
) -> None:
    desk = Desk(remade(live_desk.resources, brokers=Brokers(kafka.bootstrap)), live_desk.clock)
    before_and_after_midnight(
        desk, "2026-07-20T23:48-05:00", "2026-07-21T00:13-05:00", "2026-07-21T00:18-05:00"
    )
    ingest.replay(desk.resources, MISO_RT_LMP, MISO_RT_LMP.day(YESTERDAY), publish="everything")
    messages = [json.loads(m.value) for m in kafka.messages(SNAPSHOTS_TOPIC)]
    found = {(s["dataset"], s["operating_day"]) for s in messages}
    assert {key for key, day in found if day == YESTERDAY} == {d.key for d in CONSOLIDATED}
    assert {key for key, day in found if day == TODAY} == {MISO_RT_LMP.key, MISO_DA_LMP.key}
    assert all(s["rows"] for s in messages if s["dataset"] == MISO_RT_LMP.key)
    for one in messages:
        stored = Path(one["object"].removeprefix("file://")).read_bytes()
        assert one["etag"] == hashlib.md5(stored, usedforsecurity=False).hexdigest()


@pytest.fixture
def display(desk: Desk, httpserver: HTTPServer) -> Desk:
    """A desk whose operator is ``httpserver``."""
    desk.clock.set(FETCHED_AT)
    return Desk(remade(desk.resources, base_urls={"miso": httpserver.url_for("")}), desk.clock)


CONSOLIDATED_ANSWER = recording(MISO_RT_LMP.key, "live", "ordinary").body


def test_an_answer_that_one_dataset_cannot_read_is_taken_by_those_that_can(
    display: Desk, httpserver: HTTPServer
) -> None:
    answer = json.loads(CONSOLIDATED_ANSWER)
    answer["LMPData"]["FiveMinLMP"] = "under maintenance"
    httpserver.expect_request(CONSOLIDATED_PATH).respond_with_json(answer)
    for dataset in CONSOLIDATED:
        bring(display.resources, dataset, dataset.operator.day_of(FETCHED_AT))
    assert len(httpserver.log) == 1
    assert [len(display.rows(dataset)) for dataset in CONSOLIDATED] == [0, 3, 4]
    (kept,) = display.resources.archive.rejections(MISO_RT_LMP.key)
    assert display.resources.archive.rejected_body(kept) == httpserver.log[0][1].get_data()


def test_what_nobody_can_read_is_asked_for_by_each(display: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request(CONSOLIDATED_PATH).respond_with_json({"closed": 1})
    httpserver.expect_ordered_request(CONSOLIDATED_PATH).respond_with_data(CONSOLIDATED_ANSWER)
    for dataset in CONSOLIDATED:
        bring(display.resources, dataset, dataset.operator.day_of(FETCHED_AT))
    assert len(httpserver.log) == 2
    assert [len(display.rows(dataset)) for dataset in CONSOLIDATED] == [0, 3, 4]


def test_datasets_that_run_at_the_same_time_ask_once(display: Desk, httpserver: HTTPServer) -> None:
    def slow(_: Request) -> Response:
        time.sleep(0.3)
        return Response(CONSOLIDATED_ANSWER)

    httpserver.expect_request(CONSOLIDATED_PATH).respond_with_handler(slow)

    def run(dataset: Dataset) -> int:
        process = remade(display.resources)
        return bring(process, dataset, dataset.operator.day_of(FETCHED_AT)).collected.requests

    with ThreadPoolExecutor(len(CONSOLIDATED)) as pool:
        assert sorted(pool.map(run, CONSOLIDATED)) == [0, 0, 1]


def test_a_memory_that_another_version_left_is_none(display: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request(CONSOLIDATED_PATH).respond_with_data(CONSOLIDATED_ANSWER)
    (feed,) = display.resources.config(MISO_RT_LMP).feeds
    request = sharing.Request(MISO_RT_LMP, feed, "", {})
    display.resources.state.set(request.key, '{"place": "elsewhere"}', 60)
    bring(display.resources, MISO_RT_LMP, MISO_RT_LMP.operator.day_of(FETCHED_AT))
    assert len(display.rows(MISO_RT_LMP)) == 3


def test_a_dataset_that_is_not_enabled_is_told_of_nothing(
    shared: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = shared.resources.configuration
    off = replace(configuration.datasets[SECOND.key], enabled=False)
    datasets = {**configuration.datasets, SECOND.key: off}
    shared.resources.configuration = replace(configuration, datasets=datasets)
    with monkeypatch.context() as patched:
        patched.setattr(shared.resources.archive.store, "put", away)
        bring(shared.resources, FIRST, FIRST.day(TODAY), feeds=["now"])
    keep.drain_spool(shared.resources, FIRST)
    assert [keep.unnormalized_days(shared.resources, d) for d in (FIRST, SECOND)] == [[TODAY], []]
