"""What flows over the ties of New England: schedules by the quarter of an hour, meters around them.

An interval of flow is out five minutes after it begins, a quarter or an hour of interchange ten
minutes after it ends; how late the operator is with these is an assumption. Imports are negative.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np

from aurum_assets.model.clock import FIFTEEN_MINUTES, FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.simulator.isone.days import DAY, Fresh, asked_day, info, newest, out, stamp
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.isone.places import CORE, places
from aurum_assets.simulator.payloads import Tree, number, thousandths
from aurum_assets.simulator.shapes import Ints, bump, draws, hours, wander
from aurum_assets.simulator.world import Answer, Ask, Route, World

TIES = tuple(place for place in places(CORE) if place.type == "EXT. NODE")
# By tie: usual purchase and sale, limits of import and export; MW.
_USUAL = {
    "4010": (-150, 40, -1000, 550),
    "4011": (-850, 1300, -1400, 1200),
    "4012": (0, 0, -200, 0),
    "4013": (-180, 0, -225, 170),
    "4014": (0, 300, -346, 330),
    "4017": (0, 180, -200, 200),
    "4018": (-1250, 0, -1400, 0),
}

Records = Callable[[int, OperatingDay, Sequence[int]], list[Tree]]


@lru_cache(maxsize=16)
def _scheduled(seed: int, day: OperatingDay) -> tuple[Ints, Ints]:
    """Purchase and sale by quarter of an hour and tie, in MW."""
    generator, hour = draws(seed, "ties", day.key), hours(day)[::3]
    shape = 0.7 + 0.3 * bump(hour, 18.5, 4)
    columns = []
    for tie in TIES:
        moved = shape * (1 + 0.1 * wander(generator, len(hour)))
        columns.append([np.rint(usual * moved) for usual in _USUAL[tie.id][:2]])
    bought, sold = (np.column_stack([c[n] for c in columns]).astype(np.int32) for n in (0, 1))
    return bought, sold


@lru_cache(maxsize=16)
def _metered(seed: int, day: OperatingDay) -> Ints:
    """Flow by five minutes and tie, in kW."""
    bought, sold = _scheduled(seed, day)
    scheduled = np.repeat(bought + sold, 3, axis=0) * 1_000
    noise = draws(seed, "tie meters", day.key).standard_normal(scheduled.shape)
    flow: Ints = np.rint(scheduled + (scheduled != 0) * 6_000 * noise).astype(np.int32)
    return flow


def interchange_records(
    seed: int, day: OperatingDay, picks: Sequence[int], every: dt.timedelta
) -> list[Tree]:
    """The records of intervals (by number) of ``every``: means of the quarters of an hour."""
    size = every // FIFTEEN_MINUTES
    parts = [s.reshape(-1, size, len(TIES)).sum(axis=1) for s in _scheduled(seed, day)]
    bought, sold = (part * (100 // size) for part in parts)
    marks = day.marks(every)
    return [
        {
            "Sale": number(int(sold[i, n])),
            "Purchase": number(int(bought[i, n])),
            "ActInterchange": number(int(bought[i, n] + sold[i, n])),
            "BeginDate": stamp(marks[i]),
            "Location": {"@LocId": tie.id, "$": tie.name},
        }
        for i in picks
        for n, tie in enumerate(TIES)
    ]


def flow_records(seed: int, day: OperatingDay, picks: Sequence[int]) -> list[Tree]:
    """The records of five minutes (by number)."""
    bought, sold = (np.repeat(s, 3, axis=0) * 100 for s in _scheduled(seed, day))
    metered, marks = _metered(seed, day), day.marks(FIVE_MINUTES)
    return [
        {
            "ActualFlow": thousandths(int(metered[i, n])),
            "BeginDate": stamp(marks[i]),
            "CurrentSchedule": number(int(bought[i, n] + sold[i, n])),
            "ExportLimit": _USUAL[tie.id][3],
            "ImportLimit": _USUAL[tie.id][2],
            "Location": {"@LocId": tie.id, "$": tie.name},
            "Purchase": number(int(bought[i, n])),
            "Sale": number(int(sold[i, n])),
            "TotalExports": number(int(sold[i].sum())),
            "TotalImports": number(int(bought[i].sum())),
        }
        for i in picks
        for n, tie in enumerate(TIES)
    ]


def _feed(
    path: str, outer: str, main: str, records: Records, every: dt.timedelta, after: dt.timedelta
) -> tuple[Route, ...]:
    def answer(world: World, day: OperatingDay, picks: Sequence[int]) -> Answer:
        def tree() -> Tree:
            return wrapped(outer, outer.removesuffix("s"), records(world.seed, day, picks))

        return Answer(tree, main, (outer, world.seed, day, tuple(picks)))

    def current(world: World, ask: Ask) -> Answer:
        day, i = newest(every, after, ask.now)
        return answer(world, day, [i])

    def of_day(world: World, ask: Ask, day: str) -> Answer:
        when = asked_day(day, ask.now)
        return answer(world, when, out(when, every, after, ask.now))

    def fresh(world: World, ask: Ask) -> Fresh:
        del world
        day, i = newest(every, after, ask.now)
        begins = day.marks(every)[i]
        return Fresh(begins, begins + after)

    return (
        info(path, fresh),
        Route(f"{path}/current", current),
        Route(rf"{path}/day/{DAY}", of_day),
    )


_LATE = dt.timedelta(minutes=10)

ROUTES = (
    *_feed(
        "/actualinterchange",
        "ActualInterchanges",
        "ActInterchange",
        partial(interchange_records, every=HOUR),
        HOUR,
        HOUR + _LATE,
    ),
    *_feed(
        "/fifteenminuteinterchange",
        "ActualFifteenMinInterchanges",
        "ActInterchange",
        partial(interchange_records, every=FIFTEEN_MINUTES),
        FIFTEEN_MINUTES,
        FIFTEEN_MINUTES + _LATE,
    ),
    *_feed(
        "/fiveminuteexternalflow",
        "ExternalFlows",
        "ActualFlow",
        flow_records,
        FIVE_MINUTES,
        FIVE_MINUTES,
    ),
)
