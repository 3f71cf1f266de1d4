"""The plan of requests: within the limits, and what the operators count."""

import datetime as dt
from collections import Counter
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from dagster._utils.schedules import cron_string_iterator

from aurum_assets import ingest
from aurum_assets.graph.jobs import asked_by, schedule_groups
from aurum_assets.model.clock import DAY, HOUR
from aurum_assets.model.errors import AurumError
from aurum_assets.model.operator import Limit
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.operators.miso.lmp import MISO_DA_LMP, MISO_RT_HOURLY_LMP, MISO_RT_LMP
from aurum_assets.resources.composition import Resources
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.conftest import Aurum, printed, utc
from aurum_assets_tests.made import remade

MINUTE = dt.timedelta(minutes=1)
KNOWN = {d.key: d for d in DATASETS}


def test_a_feed_is_asked_at_each_mark_and_after_midnight_for_yesterday_too(
    resources: Resources,
) -> None:
    day = ISONE_SYSTEM_LOAD.day("2026-07-21")
    due = ingest.requests_due(resources, [ISONE_SYSTEM_LOAD], day.start, day.end)
    times = [d.at for d in due]
    assert times[:5] == [day.start + n * MINUTE for n in (2, 2, 7, 7, 12)]
    assert len(times) == 288 + 4  # :02, :07, :12, :17
    assert {d.path for d in due} == {"/fiveminutesystemload/current"}


@pytest.mark.parametrize(("day", "hours"), [("2026-03-09", 23), ("2026-11-02", 24)])
def test_a_day_by_the_hour_takes_a_request_for_each_hour_that_it_shows(
    resources: Resources, day: str, hours: int
) -> None:
    """The final prices of the day before: in spring without 02, in autumn 01 only once."""
    today = ISONE_RT_LMP.day(day)
    due = ingest.requests_due(resources, [ISONE_RT_LMP], today.start, today.end)
    yesterday = today.plus(-1).compact
    finals = [d for d in due if f"/final/day/{yesterday}/" in d.path]
    assert len(finals) == hours
    assert {d.at for d in finals} == {today.at(dt.time(6, 30))}
    again = [d for d in due if f"/final/day/{today.plus(-7).compact}/" in d.path]
    assert len(again) == 24


def test_an_answer_that_several_datasets_read_is_asked_for_once(resources: Resources) -> None:
    day = MISO_RT_LMP.day("2026-07-21")
    three = [MISO_RT_LMP, MISO_RT_HOURLY_LMP, MISO_DA_LMP]
    due = ingest.requests_due(resources, three, day.start, day.end)
    assert len(due) == len(ingest.requests_due(resources, three[:1], day.start, day.end)) == 292


def test_nothing_is_due_before_the_first_day_or_of_what_is_disabled(resources: Resources) -> None:
    day = MISO_CTS.day("2023-12-31")
    later = ingest.requests_due(resources, [MISO_CTS], day.start, day.end + HOUR)
    assert {d.at.date() for d in later} == {dt.date(2024, 1, 1)}
    config = resources.configuration
    off = {key: replace(c, enabled=False) for key, c in config.datasets.items()}
    nothing = remade(resources, configuration=replace(config, datasets=off))
    assert ingest.plan(nothing, DATASETS) == []


def test_a_request_waits_until_the_limits_of_operator_and_endpoint_allow_it(
    resources: Resources,
) -> None:
    """Three requests of one instant at one a minute: the last waits two windows, 2 % longer."""
    config = resources.configuration
    cts = config.datasets["miso_cts"]
    feeds = tuple(replace(f, again_days=(3,)) for f in cts.feeds if f.name == "now")
    once = replace(config, datasets={**config.datasets, "miso_cts": replace(cts, feeds=feeds)})
    found = ingest.plan(remade(resources, configuration=once), [MISO_CTS])
    whole, display = found
    assert (whole.endpoint, display.endpoint) == ("", "cts_live")
    assert display.limits == (Limit(1, 60),)
    assert display.requests == whole.requests == 2 * 96 + 1  # and yesterday's at :07
    assert display.a_minute == 3
    assert display.wait == whole.wait == dt.timedelta(seconds=2 * 61.2)


def test_the_plan_keeps_within_every_limit_with_margin(resources: Resources) -> None:
    """A burst may wait for the limits, but no tick for more than the burst of its own minute.

    Ticks: at most two requests a display and mark, after midnight; the second waits a minute. What
    is asked once a day waits at most two minutes. A third of each limit stays free over an hour.
    """
    for line in ingest.plan(resources, DATASETS):
        name = f"{line.operator} {line.endpoint}"
        assert line.wait <= 2 * 1.02 * MINUTE, name
        for limit in line.limits:
            an_hour = limit.requests * HOUR.total_seconds() / limit.seconds
            assert line.an_hour <= 2 / 3 * an_hour, name
            assert line.requests <= 24 / 3 * an_hour, name


def test_no_tick_of_the_newest_values_waits_for_another_feed(resources: Resources) -> None:
    """In each minute an operator is asked for no more than half of what it allows in one.

    What is asked once a day is no such tick: it waits.
    """
    daily = {
        (key, feed.name)
        for key, config in resources.configuration.datasets.items()
        for feed in config.feeds
        if not feed.asked.within_the_day
    }
    start = ISONE_RT_LMP.day("2026-07-21").start
    due = ingest.requests_due(resources, DATASETS, start, start + DAY)
    ticks = [d for d in due if (d.dataset, d.feed) not in daily]
    assert len(ticks) > 1000
    for (operator, _), count in Counter((d.operator, d.at) for d in ticks).items():
        for limit in resources.configuration.operators[operator].limits:
            if limit.seconds == 60:
                assert count <= limit.requests / 2, operator


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-07-21T03:56Z", "2026-07-21T04:19Z"),  # midnight of New York
        ("2026-07-21T04:56Z", "2026-07-21T05:19Z"),  # that of EST
        ("2026-07-21T10:25Z", "2026-07-21T10:40Z"),  # what is asked once a day
        ("2026-07-21T18:25Z", "2026-07-21T18:35Z"),  # what is published ahead
        ("2026-11-01T05:00Z", "2026-11-01T05:08Z"),  # the hour that comes twice
        ("2026-11-01T06:00Z", "2026-11-01T06:08Z"),  # again
    ],
)
@pytest.mark.slow
def test_the_operators_count_the_requests_that_are_planned(
    resources: Resources, clock: SetClock, start: str, end: str
) -> None:
    """The schedules' ticks are run on a simulated clock; each path is counted.

    What is not out yet ends its feed at the first hour, asked for in each format.
    """
    first, last = utc(start), utc(end)
    simulator = Simulator(clock, locations=2, nodes=1, limits={})
    with simulator.serve() as running:
        home = remade(resources, base_urls=running.urls)
        run_schedules(home, clock, first, last)
        answered = simulator.requests
    due = ingest.requests_due(home, DATASETS, first, last)
    base = {name: urlsplit(url).path for name, url in running.urls.items()}
    planned = Counter((d.operator, base[d.operator] + d.path) for d in due if not d.probe)
    refused = {(s.operator, s.path) for s in answered if s.status == 404}
    seen = Counter((s.operator, s.path) for s in answered)
    of_feeds = {path.partition("/starthour")[0] for _, path in refused}
    assert len(of_feeds) <= len(planned) / 4
    for key in [key for key in planned if key[1].partition("/starthour")[0] in of_feeds]:
        assert seen.pop(key, 0) <= 2 * planned.pop(key), key
    assert seen == planned
    assert seen.total() >= 10


def test_first_days_alone_split_no_group_that_asks_several_times_a_day(
    resources: Resources,
) -> None:
    """Each group is a process at each of its marks; a day that is out ahead is another reason."""
    groups = schedule_groups([(d, resources.config(d)) for d in DATASETS])
    ahead = Counter(
        (g.operator.name, g.cadence.cron, max(f.offset_days for _, c in g.pairs for f in c.feeds))
        for g in groups
        if g.cadence.within_the_day
    )
    assert set(ahead.values()) == {1}


def run_schedules(
    resources: Resources, clock: SetClock, first: dt.datetime, last: dt.datetime
) -> None:
    """Collect what the schedules' ticks ask for, each at its instant, none of them twice."""
    groups = schedule_groups([(d, resources.config(d)) for d in DATASETS])
    ticks = []
    for group in groups:
        zone = "UTC" if group.cadence.within_the_day else group.operator.zone
        before = (first - MINUTE / 60).timestamp()
        for at in cron_string_iterator(before, group.cadence.cron, zone):
            if at.astimezone(dt.UTC) >= last:
                break
            if at.astimezone(dt.UTC) >= first:
                ticks.append((at.astimezone(dt.UTC), group.name, group))
    for at, _, group in sorted(ticks, key=lambda tick: tick[:2]):
        for number, (day, feeds) in enumerate(asked_by(group, at).items()):
            clock.set(at + number * dt.timedelta(seconds=5))  # a run after the other
            for key, names in feeds.items():
                dataset = KNOWN[key]
                try:
                    ingest.collect(resources, dataset, dataset.day(day), feeds=names)
                except AurumError:
                    continue  # not published yet: it was asked for all the same


def test_the_command_prints_the_plan_beside_the_limits(aurum: Aurum) -> None:
    lines = printed(aurum("plan", "--json"))["planned"]
    assert {line["operator"] for line in lines} >= {"isone", "miso"}
    (miso,) = [x for x in lines if x["operator"] == "miso" and x["endpoint"] is None]
    assert miso["limits"] == [{"requests": 50, "seconds": 60.0}]
    (display,) = [x for x in lines if x["endpoint"] == "cts_live"]
    assert display == {
        "operator": "miso",
        "endpoint": "cts_live",
        "requests": 97,
        "most_in_a_minute": 2,
        "most_in_an_hour": 5,
        "limits": [{"requests": 1, "seconds": 60.0}],
        "longest_wait_seconds": 61.2,
    }
    shown = aurum("plan").stdout.splitlines()
    assert shown[0].split("\t")[:3] == ["operator", "endpoint", "requests"]
    assert len(shown) == 1 + len(lines)
