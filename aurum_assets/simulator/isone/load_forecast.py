"""Load forecasts of New England: the load that comes, more wrong the longer ahead.

A forecast is made every three hours (the operator: about every half hour) for the rest of the day
and the two days after it. The shares of the regions are those of the load zones, by their names:
how the operator names the regions is an assumption.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.simulator.isone.days import DAY, Fresh, info, stamp
from aurum_assets.simulator.isone.load import kilowatts
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.isone.zonal_load import SHARES, ZONES
from aurum_assets.simulator.payloads import Tree, number
from aurum_assets.simulator.shapes import draws
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

_EVERY, _DAYS_AHEAD = 3 * HOUR, 2
_FIRST = dt.timedelta(minutes=20)  # after midnight


def made(day: OperatingDay, now: dt.datetime) -> list[dt.datetime]:
    """When the forecasts of ``day`` that are out were made, oldest first."""
    first, last = day.plus(-_DAYS_AHEAD).start + _FIRST, min(now, day.marks(HOUR)[-1])
    return [first + n * _EVERY for n in range((last - first) // _EVERY + 1)]


def _forecasts(
    seed: int, day: OperatingDay, instants: Sequence[dt.datetime]
) -> Iterator[tuple[dt.datetime, dt.datetime, float]]:
    """Instant, hour, MW: of each forecast the hours that had not begun."""
    load = kilowatts(seed, day)["load"].reshape(-1, 12).mean(axis=1) / 1000
    for instant in instants:
        wrong = draws(seed, "load forecast", day.key, instant.isoformat()).standard_normal()
        for mark, truth in zip(day.marks(HOUR), load, strict=True):
            if mark > instant:
                yield instant, mark, float(truth * (1 + 0.0005 * wrong * (mark - instant) / HOUR))


def forecast_records(
    day: OperatingDay, instants: Sequence[dt.datetime], *, seed: int = 0
) -> list[Tree]:
    """The records of a day's forecasts that were made at ``instants``."""
    return [
        {
            "NetLoadMw": round(load),
            "CreationDate": stamp(instant),
            "LoadMw": round(load),
            "BeginDate": stamp(mark),
        }
        for instant, mark, load in _forecasts(seed, day, instants)
    ]


def region_records(
    day: OperatingDay, instants: Sequence[dt.datetime], *, seed: int = 0
) -> list[Tree]:
    """The records of a day's forecasts by region that were made at ``instants``."""
    return [
        {
            "BeginDate": stamp(mark),
            "CreationDate": stamp(instant),
            "ReliabilityRegion": zone.name,
            "LoadMw": round(load * share),
            "ReliabilityRegionLoadPercentage": number(round(share * 10_000)),
        }
        for instant, mark, load in _forecasts(seed, day, instants)
        for zone, share in zip(ZONES, SHARES, strict=True)
    ]


def _day(text: str, now: dt.datetime) -> OperatingDay:
    """The day in a path. Refused where it is no day (400) or too far ahead (404)."""
    try:
        day = OperatingDay.parse(text, ISONE.zone)
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    if not made(day, now):
        raise Refusal(404, f"{day.key} is not forecast yet")
    return day


def _of_day(world: World, ask: Ask, day: str) -> Answer:
    when = _day(day, ask.now)
    instants = made(when, ask.now)

    def tree() -> Tree:
        records = forecast_records(when, instants, seed=world.seed)
        return wrapped("HourlyLoadForecasts", "HourlyLoadForecast", records)

    return Answer(tree, "LoadMw", ("load forecast", world.seed, when, len(instants)))


def _regions_of_day(world: World, ask: Ask, day: str) -> Answer:
    when = _day(day, ask.now)
    instants = made(when, ask.now)

    def tree() -> Tree:
        records = region_records(when, instants, seed=world.seed)
        return wrapped("ReliabilityRegionLoadForecasts", "ReliabilityRegionLoadForecast", records)

    return Answer(tree, "LoadMw", ("region forecast", world.seed, when, len(instants)))


def _newest(now: dt.datetime) -> tuple[OperatingDay, dt.datetime]:
    """The furthest day that is forecast, and when it was last."""
    today = ISONE.day_of(now)
    ahead = (today.plus(n) for n in range(_DAYS_AHEAD, -1, -1))
    day = next(day for day in ahead if made(day, now))
    return day, made(day, now)[-1]


def _current(world: World, ask: Ask) -> Answer:
    day, instant = _newest(ask.now)
    last = forecast_records(day, [instant], seed=world.seed)[-1:]
    return Answer(lambda: {"HourlyLoadForecast": last}, "LoadMw")


def _fresh(world: World, ask: Ask) -> Fresh:
    del world
    day, instant = _newest(ask.now)
    return Fresh(day.marks(HOUR)[-1], instant)


ROUTES = (
    info("/hourlyloadforecast", _fresh),
    Route("/hourlyloadforecast/current", _current),
    Route(rf"/hourlyloadforecast/all/day/{DAY}", _of_day),
    info("/reliabilityregionloadforecast", _fresh),
    Route(rf"/reliabilityregionloadforecast/day/{DAY}/all", _regions_of_day),
)
