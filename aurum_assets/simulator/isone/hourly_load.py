"""Hourly system load of New England: means of the five-minute load, out ten minutes after the hour.

How late the operator is and that load is native load plus asset-related demand are assumptions.
"""

from collections.abc import Sequence

from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.simulator.isone.days import DAY, Fresh, asked_day, info, newest, out, stamp
from aurum_assets.simulator.isone.load import kilowatts
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.payloads import Tree, thousandths
from aurum_assets.simulator.world import Answer, Ask, Route, World

_AFTER = HOUR + HOUR / 6


def hourly_load_records(
    day: OperatingDay, picks: Sequence[int] | None = None, *, seed: int = 0
) -> list[Tree]:
    """The records of a day's hours (by number; all of them by default), due or not."""
    marks, series = day.marks(HOUR), kilowatts(seed, day)
    load, ard = (series[name].reshape(-1, 12).mean(axis=1).round() for name in ("load", "ard"))
    return [
        {
            "BeginDate": stamp(marks[i]),
            "Location": {"@LocId": "32", "$": "NEPOOL AREA"},
            "Load": thousandths(int(load[i])),
            "NativeLoad": thousandths(int(load[i] - ard[i])),
            "ArdDemand": thousandths(int(ard[i])),
        }
        for i in (range(len(marks)) if picks is None else picks)
    ]


def _answer(world: World, day: OperatingDay, picks: Sequence[int]) -> Answer:
    def tree() -> Tree:
        records = hourly_load_records(day, picks, seed=world.seed)
        return wrapped("HourlySystemLoads", "HourlySystemLoad", records)

    return Answer(tree, "Load", ("hourly load", world.seed, day, tuple(picks)))


def _current(world: World, ask: Ask) -> Answer:
    day, i = newest(HOUR, _AFTER, ask.now)
    return _answer(world, day, [i])


def _of_day(world: World, ask: Ask, day: str) -> Answer:
    when = asked_day(day, ask.now)
    return _answer(world, when, out(when, HOUR, _AFTER, ask.now))


def _fresh(world: World, ask: Ask) -> Fresh:
    del world
    day, i = newest(HOUR, _AFTER, ask.now)
    begins = day.marks(HOUR)[i]
    return Fresh(begins, begins + _AFTER)


ROUTES = (
    info("/hourlysysload", _fresh),
    Route("/hourlysysload/current", _current),
    Route(rf"/hourlysysload/day/{DAY}", _of_day),
)
