"""Feeds are asked after the publication, not on it; a missing interval costs one request."""

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import polars as pl
import pytest
from dagster._utils.schedules import cron_string_iterator

from aurum_assets import ingest
from aurum_assets.definitions import build
from aurum_assets.graph.jobs import ScheduleGroup, asked_by, job_of, schedule_groups
from aurum_assets.graph.resources import parts_of
from aurum_assets.model.cadence import CadenceName, cadence_of
from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.model.dataset import DatasetConfig
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.simulator.miso.cts import live_records
from aurum_assets.simulator.operators import answer
from aurum_assets.simulator.server import Running
from aurum_assets.simulator.world import Ask, World
from aurum_assets_tests.conftest import Desk, utc

LMP, CTS = ISONE_RT_LMP, MISO_CTS
DAY = "2026-07-20"
FRESH = dt.timedelta(minutes=4)
CURRENT = {
    "isone_rt_lmp": ("/fiveminutelmp/prelim/current/all", "BeginDate"),
    "isone_system_load": ("/fiveminutesystemload/current", "BeginDate"),
    "isone_zonal_load": ("/fiveminuteestimatedzonalload/current", "interval_begin_date"),
}


def beat_of(configuration: Configuration, name: str) -> ScheduleGroup:
    found = schedule_groups([(d, configuration.datasets[d.key]) for d in DATASETS])
    return next(group for group in found if group.name == name)


def instants(group: ScheduleGroup, start: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    """The instants of ``group``'s cron."""
    for at in cron_string_iterator(start.timestamp(), group.cadence.cron, "UTC"):
        if at >= end:
            return
        yield at.astimezone(dt.UTC)


# --- schedules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [
        ("isone_five_minutes_schedule", "2-59/5 * * * *"),
        ("miso_fifteen_minutes_schedule", "7-59/15 * * * *"),
        ("isone_daily_schedule", "30 6 * * *"),
        ("isone_da_lmp_daily_schedule", "30 14 * * *"),
    ],
)
def test_the_cron_of_a_schedule_follows_from_the_offset(
    resources: Resources, schedule: str, cron: str
) -> None:
    assert build(resources).get_repository_def().get_schedule_def(schedule).cron_schedule == cron


@pytest.mark.parametrize(
    ("cadence", "offset", "cron"),
    [
        ("five_minutes", 0, "*/5 * * * *"),
        ("five_minutes", 4, "4-59/5 * * * *"),
        ("fifteen_minutes", 14, "14-59/15 * * * *"),
        ("hourly", 0, "0 * * * *"),
        ("hourly", 12, "12 * * * *"),
    ],
)
def test_every_offset_has_its_cron(cadence: CadenceName, offset: int, cron: str) -> None:
    assert cadence_of(cadence, offset).cron == cron


def test_a_feed_of_another_offset_has_a_schedule_of_its_own(configuration: Configuration) -> None:
    pairs = [(d, configuration.datasets[d.key]) for d in DATASETS]
    own = [(d, _shifted(c, 4) if d == LMP else c) for d, c in pairs]
    found = {b.name: (b.cadence.cron, [d.key for d, _ in b.pairs]) for b in schedule_groups(own)}
    assert found["isone_five_minutes_plus_4"] == ("4-59/5 * * * *", [LMP.key])
    cron, shared = found["isone_five_minutes"]
    assert cron == "2-59/5 * * * *"
    assert {"isone_system_load", "isone_zonal_load"} <= set(shared)
    assert LMP.key not in shared
    asked = [
        (key, feed)
        for group in schedule_groups(own)
        if (group.operator, group.cadence.name) == (ISONE, "five_minutes")
        for by_dataset in asked_by(group, utc("2026-07-21T12:00:00Z")).values()
        for key, names in by_dataset.items()
        for feed in names
    ]
    required = [(LMP.key, "now"), *((key, "now") for key in shared)]
    assert sorted(asked) == sorted(required), "each is asked once"


def _shifted(config: DatasetConfig, minutes: int) -> DatasetConfig:
    """``config`` whose five-minute feeds are asked ``minutes`` after the mark."""
    feeds = [
        replace(f, offset_minutes=minutes) if f.cadence == "five_minutes" else f
        for f in config.feeds
    ]
    return replace(config, feeds=tuple(feeds))


def test_no_partition_before_the_first_day_is_asked_for(configuration: Configuration) -> None:
    group = beat_of(configuration, "isone_daily")
    began = dt.date(2026, 7, 19)
    young = replace(group, pairs=tuple((d, replace(c, first_day=began)) for d, c in group.pairs))
    assert list(asked_by(young, utc("2026-07-20T10:30:00Z"))) == ["2026-07-19", "2026-07-20"]


# --- MISO's midnight -----------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["2026-01-20", "2026-07-20"])
def test_the_last_case_of_a_day_is_had_before_the_file_rolls_over(
    configuration: Configuration, live_desk: Desk, market: Running, day: str
) -> None:
    """Midnight EST, whatever clock New York has: the file of a day is gone at its first case."""
    market.simulator.world = replace(market.simulator.world, live_only=True, dialect="live")
    today = CTS.day(day)
    group = beat_of(configuration, "miso_fifteen_minutes")
    around = list(instants(group, today.end - 10 * FIVE_MINUTES, today.end + 2 * FIVE_MINUTES))
    clocks = [(at - today.end) // dt.timedelta(minutes=1) for at in around]
    assert clocks == [-38, -23, -8, 7]
    for at in around:
        live_desk.clock.set(at)
        for asked, names in asked_by(group, at).items():
            done = ingest.collect(live_desk.resources, CTS, CTS.day(asked), feeds=names[CTS.key])
            for key in done.days:
                ingest.normalize(live_desk.resources, CTS, CTS.day(key))
    cases = live_desk.rows(CTS, day)["published_at"].unique().sort()
    assert len(cases) == 96
    assert today.end - cases[-1] < dt.timedelta(minutes=12), "the case of 23:45"
    assert live_desk.rows(CTS, today.plus(1).key)["published_at"].n_unique() == 1


def test_each_poll_of_miso_reads_a_case_that_is_minutes_old(configuration: Configuration) -> None:
    day = OperatingDay.parse(DAY, MISO.zone)
    found = {f"{record['CASEAPPROVALDATE']} -0500" for record in live_records(day)}
    approved = [dt.datetime.strptime(text, "%Y-%m-%d %I:%M:%S %p %z") for text in found]
    group = beat_of(configuration, "miso_fifteen_minutes")
    ages = [min(at - a for a in approved if a <= at) for at in instants(group, day.start, day.end)]
    assert len(ages) == 96
    assert max(ages) < FRESH


# --- a day of publications that jitter -----------------------------------------------------------


@pytest.mark.parametrize("key", CURRENT)
def test_a_day_whose_publications_jitter_leaves_no_gap_and_costs_one_request_a_tick(
    configuration: Configuration, key: str
) -> None:
    """A run asks up to 50 s after its tick, an interval is out up to 40 s after its time."""
    world = World(seed=5, jitter=True, locations=1)
    day = OperatingDay.parse(DAY, ISONE.zone)
    lag = random.Random(5)  # noqa: S311  repeatable, no secret
    group = beat_of(configuration, "isone_five_minutes")
    path, stamp = CURRENT[key]
    asked, had = 0, set()
    ticks = list(instants(group, day.start, day.end + 2 * FIVE_MINUTES))
    for tick in ticks:
        runs = [by_dataset for by_dataset in asked_by(group, tick).values() if key in by_dataset]
        for _ in runs:
            asked += 1
            now = tick + dt.timedelta(seconds=lag.uniform(0, 50))
            had.add(utc(_first(answer("isone", world, Ask(path, now)).tree(), stamp)))
    assert set(day.marks(FIVE_MINUTES)) <= had
    assert len(ticks) <= asked <= 1.05 * len(ticks)


def _first(tree: object, name: str) -> str:
    """The stamp of the first record of an answer."""
    while isinstance(tree, dict) and name not in tree:
        tree = next(iter(tree.values()))
        tree = tree[0] if isinstance(tree, list) else tree
    assert isinstance(tree, dict)
    return str(tree[name])


# --- what a gap costs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "missing", "hours"),
    [
        (DAY, [DAY + "T07:35:00-04:00"], ("07",)),
        (DAY, [DAY + "T07:35:00-04:00", DAY + "T21:00:00-04:00"], ("07", "21")),
        ("2025-11-02", ["2025-11-02T01:35:00-05:00"], ("01",)),  # the hour that comes twice
    ],
)
def test_a_missing_interval_costs_the_request_of_its_hour_and_no_other(
    live_desk: Desk, market: Running, day: str, missing: list[str], hours: tuple[str, ...]
) -> None:
    today = LMP.day(day)
    live_desk.clock.set(today.plus(1).start + dt.timedelta(minutes=12))
    _bring(live_desk, day)
    table = live_desk.rows(LMP, day)
    gone = [utc(text) for text in missing]
    kept = table.filter(~pl.col("interval_start").is_in(gone))
    live_desk.resources.lake.replace(LMP.table, kept, {"operating_day": today.date})
    (repair,) = ingest.find_gaps(live_desk.resources, [LMP]).repairs
    assert (repair.gap.missing, repair.gap.parts) == (len(missing), {"prelim_hours": hours})
    before = len(market.simulator.requests)
    done = ingest.collect(
        live_desk.resources,
        LMP,
        today,
        feeds=repair.gap.feeds,
        parts=repair.gap.parts,
    )
    assert done.requests == len(market.simulator.requests) - before == len(hours)


def _bring(desk: Desk, day: str) -> None:
    ingest.collect(desk.resources, LMP, LMP.day(day), feeds=["prelim_hours"])
    ingest.normalize(desk.resources, LMP, LMP.day(day))


def test_the_run_that_repairs_a_gap_is_told_the_hours(live_desk: Desk, market: Running) -> None:
    today = LMP.day(DAY)
    live_desk.clock.set(today.start + 3 * HOUR)
    hours = {"prelim_hours": ("00", "02")}
    ingest.collect(live_desk.resources, LMP, today, feeds=["prelim_hours"], parts=hours)
    ingest.normalize(live_desk.resources, LMP, today)
    repository = build(live_desk.resources).get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance,
            repository_def=repository,
            resources=parts_of(live_desk.resources),
        )
        tick = repository.get_sensor_def("gaps").evaluate_tick(context)
        (request,) = (r for r in tick.run_requests or [] if LMP.key in r.tags["aurum/repair"])
        config = {"feeds": ["prelim_hours"], "parts": {"prelim_hours": ["01"]}}
        assert request.run_config == {"ops": {f"raw__{LMP.key}": {"config": config}}}
        before = len(market.simulator.requests)
        job = build(live_desk.resources).resolve_job_def(request.job_name or "")
        done = job_of(job, request.asset_selection or []).execute_in_process(
            partition_key=request.partition_key,
            run_config=dict(request.run_config),
            instance=instance,
        )
    assert done.success
    assert len(market.simulator.requests) == before + 1
    assert live_desk.rows(LMP, DAY)["interval_start"].n_unique() == 36
