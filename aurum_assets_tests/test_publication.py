"""When the stand-in publishes: what first contact with the real operators taught."""

import datetime as dt
from itertools import pairwise

import pytest

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.operators.isone.operator import ISONE, latest_begin
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.simulator.isone.days import newest_final_day
from aurum_assets.simulator.isone.payloads import render
from aurum_assets.simulator.miso.cts import live_records
from aurum_assets.simulator.operators import answer
from aurum_assets.simulator.publication import final_at, jitter
from aurum_assets.simulator.world import Ask, Refusal, World
from aurum_assets_tests.conftest import utc

DAY = OperatingDay.parse("2026-07-20", ISONE.zone)
NOON = DAY.start + dt.timedelta(hours=12)
WORLD = World(seed=3, jitter=True, locations=2)
SECOND = dt.timedelta(seconds=1)


def service_info(world: World, path: str, at: dt.datetime) -> dict[str, str]:
    """The ``ServiceInfo`` of an info."""
    tree = answer("isone", world, Ask(path, at)).tree()
    assert list(tree) == ["ServiceInfo"]
    service: dict[str, str] = tree["ServiceInfo"]
    return service


@pytest.mark.parametrize(
    ("path", "begins", "made"),
    [
        ("/fiveminutelmp/info", "12:00:00", "12:00:25"),  # as the operator's own did
        ("/fiveminutelmp/prelim/info", "12:00:00", "12:00:25"),
        ("/fiveminutesystemload/info", "11:55:00", "12:00:00"),
        ("/fiveminuteestimatedzonalload/info", "11:55:00", "12:00:00"),
        ("/hourlylmp/rt/prelim/info", "10:00:00", "11:05:00"),
        ("/fiveminutercp/info", "11:55:00", "12:00:00"),
    ],
)
def test_an_info_says_what_is_newest_and_when_it_was_made(
    path: str, begins: str, made: str
) -> None:
    service = service_info(World(), path, NOON + 60 * SECOND)
    stamps = {
        name: f"2026-07-20T{at}.000-04:00"
        for name, at in [("CreationDate", made), ("LatestBeginDate", begins)]
    }
    assert service == stamps


@pytest.mark.parametrize(
    "path",
    [
        "/fiveminutelmp/final/info",
        "/hourlylmp/rt/final/info",
        "/fiveminutercp/final/info",
        "/hourlyrcp/final/info",
        "/fiveminutereserveprice/final/info",
    ],
)
def test_an_info_of_finals_says_up_to_which_day_they_are_out(path: str) -> None:
    service = service_info(World(), path, NOON)
    body = render({"ServiceInfo": service}, "json")
    newest = latest_begin(body)
    last = DAY.plus(-2)
    assert last.end - dt.timedelta(hours=1) <= newest < last.end
    assert utc(service["CreationDate"]) == DAY.start


@pytest.mark.parametrize("series", ["lmp", "load", "zonal"])
def test_publications_jitter_by_up_to_40_seconds(series: str) -> None:
    late = jitter(WORLD, series, DAY, 288)
    assert dt.timedelta() <= min(late) < 2 * SECOND
    assert 38 * SECOND < max(late) <= 40 * SECOND
    assert late == jitter(WORLD, series, DAY, 288)
    assert set(jitter(World(), series, DAY, 288)) == {dt.timedelta()}


@pytest.mark.parametrize(
    ("path", "name", "after"),
    [
        ("/fiveminutelmp/prelim/current/all", "FiveMinLmps", 25 * SECOND),
        ("/fiveminutesystemload/current", "FiveMinSystemLoad", FIVE_MINUTES),
    ],
)
def test_an_interval_is_out_within_40_seconds_of_its_time(
    path: str, name: str, after: dt.timedelta
) -> None:
    def newest(at: dt.datetime) -> str:
        tree = answer("isone", WORLD, Ask(path, at)).tree()
        records = tree[name] if isinstance(tree[name], list) else tree[name]["FiveMinLmp"]
        return str(records[0]["BeginDate"])

    for mark in DAY.marks(FIVE_MINUTES)[100:120]:
        assert utc(newest(mark + after - SECOND)) < mark
        assert utc(newest(mark + after + 40 * SECOND)) == mark


def test_finals_are_out_between_the_first_and_the_third_day_after_in_order() -> None:
    days = [DAY.plus(n) for n in range(60)]
    instants = [final_at(WORLD, day) for day in days]
    ages = [(at - day.end) / dt.timedelta(days=1) for at, day in zip(instants, days, strict=True)]
    assert 0 < min(ages) < 1
    assert 2 < max(ages) < 3
    assert all(a <= b for a, b in pairwise(instants))
    for at, day in zip(instants, days, strict=True):
        assert newest_final_day(WORLD, at - SECOND) < day <= newest_final_day(WORLD, at)


def test_a_day_that_is_not_final_is_refused_with_404_by_every_feed_of_finals() -> None:
    paths = [
        "/hourlylmp/rt/final/day/20260720",
        "/fiveminutercp/final/day/20260720",
        "/fiveminutelmp/final/day/20260720/starthour/00",
    ]
    out = final_at(WORLD, DAY)
    for path in paths:
        with pytest.raises(Refusal) as caught:
            answer("isone", WORLD, Ask(path, out - SECOND))
        assert caught.value.status == 404
        assert answer("isone", WORLD, Ask(path, out)).tree()


def test_a_case_is_approved_four_to_six_minutes_after_its_first_solution_time() -> None:
    """236 to 345 s in a real file."""
    day = OperatingDay.parse("2026-07-20", MISO.zone)
    firsts: dict[str, str] = {}
    for record in reversed(live_records(day)):
        firsts[record["CASEAPPROVALDATE"]] = record["SOLUTIONTIME"]
    form = "%Y-%m-%d %I:%M:%S %p"
    ages = [
        (dt.datetime.strptime(a, form) - dt.datetime.strptime(s, form)).total_seconds()  # noqa: DTZ007  both EST
        for a, s in firsts.items()
    ]
    assert len(ages) == 96
    assert min(ages) >= 236
    assert max(ages) <= 345
