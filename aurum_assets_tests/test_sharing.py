"""One answer that several datasets read: asked for once a tick, archived once, in every table."""

import datetime as dt
from dataclasses import replace

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.ingest import keep, sharing
from aurum_assets.ingest.day import bring
from aurum_assets.ingest.status import status
from aurum_assets.model.clock import DAY
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import StoreUnavailable
from aurum_assets.operators import DATASETS
from aurum_assets.operators.miso.cts import MISO_CTS, parse_live_cts
from aurum_assets.resources.archive import Rejection
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Desk

FIRST = MISO_CTS
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


def known(desk: Desk, second: Dataset, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk, where ``second`` is a dataset as the others are."""
    monkeypatch.setattr(sharing, "DATASETS", (*DATASETS, second))
    configuration = desk.resources.configuration
    config = replace(configuration.datasets[FIRST.key], key=second.key)
    datasets = {**configuration.datasets, second.key: config}
    desk.resources.configuration = replace(configuration, datasets=datasets)
    return desk


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
        assert status(shared.resources, (dataset,))[0].objects == 1


def test_what_waited_in_the_spool_comes_into_every_table(
    shared: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = shared.resources.archive

    def away(*_: object) -> None:
        msg = "the archive is away"
        raise StoreUnavailable(msg)

    with monkeypatch.context() as patched:
        patched.setattr(archive.store, "put", away)
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
