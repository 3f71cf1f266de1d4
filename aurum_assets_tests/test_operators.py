"""A simulated day of every dataset through collect, normalize and check, whoever answers."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset, Feed
from aurum_assets.model.errors import NotYetPublished
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.ancillary import ISONE_REGULATION_PRICES as REGULATION
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP as DA_LMP
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import PROVENANCE, Desk
from aurum_assets_tests.made import remade

ORDINARY, SPRING, AUTUMN = "2026-07-20", "2025-03-09", "2025-11-02"
_CONFIGS = load_config(PROJECT / "config", DATASETS).datasets
DATED = [d for d in DATASETS if any(f.asks != "now" for f in _CONFIGS[d.key].feeds)]
SPEAKING_XML = [d for d in DATASETS if d.operator.name == "isone"]

dated = pytest.mark.parametrize("dataset", DATED, ids=lambda d: d.key)


def feeds_of(desk: Desk, dataset: Dataset, *, dated_only: bool) -> list[Feed]:
    feeds = desk.resources.config(dataset).feeds
    return [f for f in feeds if f.asks != "now" or not dated_only]


def reordered(desk: Desk, dataset: Dataset, change: Callable[[Feed], Feed]) -> Desk:
    """A desk whose configuration has ``dataset``'s feeds changed."""
    configuration = desk.resources.configuration
    config = configuration.datasets[dataset.key]
    changed = replace(config, feeds=tuple(change(f) for f in config.feeds))
    datasets = {**configuration.datasets, dataset.key: changed}
    resources = replace(desk.resources, configuration=replace(configuration, datasets=datasets))
    return Desk(resources, desk.clock)


def only(fmt: str) -> Callable[[Feed], Feed]:
    """A feed with its endpoints of that format alone."""
    return lambda f: replace(f, endpoints=tuple(e for e in f.endpoints if e.format == fmt))


def collected(desk: Desk, dataset: Dataset, key: str) -> pl.DataFrame:
    """The table's day once all its answers were asked for, every check being green."""
    day = dataset.day(key)
    feeds = feeds_of(desk, dataset, dated_only=dataset in DATED)
    done = ingest.collect(desk.resources, dataset, day, feeds=[f.name for f in feeds])
    assert done.count("rejected") == 0
    assert done.days == [key] or (dataset.dialects[0].several_days and key in done.days)
    normalized = ingest.normalize(desk.resources, dataset, day)
    assert normalized.quarantined == 0
    for verdict in ingest.check(desk.resources, normalized):
        if verdict.check != "completeness" or dataset in DATED:  # now is not a whole day
            assert verdict.passed, f"{verdict.check}: {verdict.reason}"
    return desk.rows(dataset, key)


def settle(desk: Desk, dataset: Dataset, key: str) -> str:
    """Set the clock to when ``key`` is final; feeds that answer for now are asked for that day."""
    feeds = desk.resources.config(dataset).feeds
    later = min([6, *(feed.keeps_days for feed in feeds if feed.keeps_days)])
    desk.clock.set(dataset.day(key).plus(later).start + dt.timedelta(hours=12))
    return key if dataset in DATED else dataset.operator.day_of(desk.clock()).key


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.key)
def test_an_ordinary_day_of_every_dataset_is_green(live_desk: Desk, dataset: Dataset) -> None:
    rows = collected(live_desk, dataset, settle(live_desk, dataset, ORDINARY))
    assert len(rows) > 0
    if "finality" in rows.columns:
        finalities = {f.finality for f in live_desk.resources.config(dataset).feeds} - {None}
        assert set(rows["finality"].unique()) == finalities


@pytest.mark.parametrize("key", [SPRING, AUTUMN])
@pytest.mark.parametrize(
    "dataset", [d for d in DATED if d is not ISONE_RT_LMP], ids=lambda d: d.key
)
def test_the_days_on_which_clocks_change_are_green_and_whole(
    live_desk: Desk, dataset: Dataset, key: str
) -> None:
    """The five-minute prices have theirs in ``test_dst``."""
    rows = collected(live_desk, dataset, settle(live_desk, dataset, key))
    day = dataset.day(key)
    marks = rows["interval_start"].unique().sort()
    assert all(day.holds(mark) for mark in marks)
    if dataset.key != "isone_generation_mix" and not dataset.table.sparse:  # irregular
        assert marks.to_list() == day.marks(dataset.interval())


@pytest.mark.parametrize("dataset", SPEAKING_XML[::4], ids=lambda d: d.key)
def test_a_day_in_xml_is_the_same_day_as_in_json(live_desk: Desk, dataset: Dataset) -> None:
    key = settle(live_desk, dataset, ORDINARY)
    frames = []
    for fmt in ("json", "xml"):
        root = live_desk.resources.root / fmt
        desk = Desk(remade(live_desk.resources, root=root), live_desk.clock)
        rows = collected(reordered(desk, dataset, only(fmt)), dataset, key)
        identifiers = desk.resources.archive.identifiers(dataset.archive_name, key)
        assert all(("_xml-" in i) == (fmt == "xml") for i in identifiers)
        frames.append(rows.drop("fetched_at", "raw_sha256"))
    assert frames[0].equals(frames[1], null_equal=True)
    assert frames[0].select(dataset.table.key).n_unique() == len(frames[0])


@dated
def test_a_day_that_only_the_fallback_answers_is_the_same_day(
    live_desk: Desk, market: Running, dataset: Dataset
) -> None:
    feeds = [f for f in feeds_of(live_desk, dataset, dated_only=True) if len(f.endpoints) > 1]
    if not feeds:
        assert dataset.operator.name != "isone"
        return
    key = settle(live_desk, dataset, ORDINARY)
    day = dataset.day(key)
    feed = next(f for f in feeds if f.asks == "day" or f is feeds[-1])
    first, second = feed.endpoints[:2]
    market.simulator.fail("404", times=1, match=first.path.partition("{")[0])
    done = ingest.collect(live_desk.resources, dataset, day, feeds=[feed.name])
    assert done.days == [key]
    identifiers = live_desk.resources.archive.identifiers(dataset.archive_name, key)
    assert identifiers
    assert all(f"-{second.name}-" in i for i in identifiers)
    normalized = ingest.normalize(live_desk.resources, dataset, day)
    for verdict in ingest.check(live_desk.resources, normalized):
        assert verdict.passed, f"{verdict.check}: {verdict.reason}"
    statuses = [seen.status for seen in market.simulator.requests]
    assert statuses[:2] == [404, 200]


def test_the_documented_day_ahead_prices_are_the_live_ones(live_desk: Desk) -> None:
    """At noon the newest day that is out is today's: the path that takes no day says it whole."""
    today = DA_LMP.operator.day_of(live_desk.clock())
    for feed in ("day", "now"):
        done = ingest.collect(live_desk.resources, DA_LMP, today, feeds=[feed])
        assert done.days == [today.key]
    normalized = ingest.normalize(live_desk.resources, DA_LMP, today)
    assert normalized.snapshots == 2
    rows = live_desk.rows(DA_LMP, today.key)
    assert len(rows) == 24 * 3
    assert rows["raw_sha256"].n_unique() == 1  # the second held nothing new


def test_tomorrow_is_day_ahead_from_one_oclock_on(live_desk: Desk) -> None:
    tomorrow = DA_LMP.operator.day_of(live_desk.clock()).plus(1)
    with pytest.raises(NotYetPublished):
        ingest.collect(live_desk.resources, DA_LMP, tomorrow, feeds=["day"])
    live_desk.clock.set(live_desk.clock() + dt.timedelta(hours=1))
    rows = collected(live_desk, DA_LMP, tomorrow.key)
    assert rows.drop(*PROVENANCE)["interval_start"].n_unique() == 24


def test_an_hourly_price_does_not_hide_that_five_minutes_are_missing(desk: Desk) -> None:
    day = REGULATION.day(ORDINARY)

    def body(outer: str, inner: str, marks: list[dt.datetime]) -> bytes:
        prices = {"RegServiceClearingPrice": 0.5, "RegCapacityClearingPrice": 12.0}
        stamps = [mark.isoformat(timespec="milliseconds") for mark in marks]
        return json.dumps({outer: {inner: [{"BeginDate": t, **prices} for t in stamps]}}).encode()

    five = body("FiveMinRcps", "FiveMinRcp", day.marks(FIVE_MINUTES)[24:])
    assert desk.bring(REGULATION, five).verdicts["completeness"].count == 24
    desk.clock.set(desk.clock() + dt.timedelta(hours=1))
    hourly = body("HourlyRcps", "HourlyRcp", day.marks(HOUR))
    brought = desk.bring(REGULATION, hourly, dialect="live_hourly", finality="final")
    assert brought.done.merged.new == 24
    assert brought.verdicts["completeness"].count == 24
