"""Regulation and real-time reserve prices of New England: five-minute and hourly, by finality.

An interval is out five minutes after it begins, an hour five minutes after it ends. Some stamps are
a second or two past their interval.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial

from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.operators.isone.operator import SYSTEM
from aurum_assets.simulator.isone.ancillary_series import (
    PRODUCTS,
    Finality,
    late_seconds,
    regulation,
    reserve_prices,
    reserve_quantities,
)
from aurum_assets.simulator.isone.days import (
    DAY,
    FINALITY,
    Fresh,
    asked_day,
    final_day,
    fresh_final,
    hour_end,
    info,
    is_final,
    newest,
    newest_final_day,
    out,
    stamp,
)
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.isone.places import reserve_zones
from aurum_assets.simulator.payloads import Tree, number
from aurum_assets.simulator.world import Answer, Ask, Route, World

_AN_HOUR_AFTER = HOUR + FIVE_MINUTES
_REQUIREMENTS = ("TenMinSpinRequirement", "Total10MinRequirement", "Total30MinRequirement")

Records = Callable[[int, OperatingDay, Sequence[int], Finality], list[Tree]]


def _stamps(seed: int, feed: str, day: OperatingDay) -> list[str]:
    late = late_seconds(seed, feed, day)
    marks = day.marks(FIVE_MINUTES)
    return [stamp(m + dt.timedelta(seconds=s)) for m, s in zip(marks, late, strict=True)]


def regulation_records(
    seed: int, day: OperatingDay, intervals: Sequence[int], finality: Finality
) -> list[Tree]:
    """The five-minute records of a day's intervals (by number), due or not."""
    service, capacity = regulation(seed, day, finality)
    stamps, marks = _stamps(seed, "rcp", day), day.marks(FIVE_MINUTES)
    return [
        {
            "BeginDate": stamps[i],
            "RegServiceClearingPrice": number(int(service[i])),
            "RegCapacityClearingPrice": number(int(capacity[i])),
            "HourEnd": hour_end(marks[i]),
        }
        for i in intervals
    ]


def hourly_regulation_records(
    seed: int, day: OperatingDay, hours: Sequence[int], finality: Finality
) -> list[Tree]:
    """The hourly records of a day's hours (by number), due or not: means of their intervals."""
    service, capacity = regulation(seed, day, finality)
    marks = day.marks(HOUR)
    return [
        {
            "BeginDate": stamp(marks[i]),
            "RegServiceClearingPrice": number(round(service[12 * i : 12 * i + 12].mean())),
            "RegCapacityClearingPrice": number(round(capacity[12 * i : 12 * i + 12].mean())),
            "HourEnd": hour_end(marks[i]),
        }
        for i in hours
    ]


def reserve_records(
    seed: int, day: OperatingDay, intervals: Sequence[int], finality: Finality
) -> list[Tree]:
    """The records of a day's intervals (by number) of the system and its three reserve zones.

    Due or not. A zone has no requirement of ten-minute reserve; the system has all three.
    """
    prices, quantities = reserve_prices(seed, day, finality), reserve_quantities(seed, day)
    stamps = list(zip(_stamps(seed, "reserve", day), day.marks(FIVE_MINUTES), strict=True))
    return [
        _reserve(zone, *stamps[i], prices[i].tolist(), quantities[i].tolist())
        for i in intervals
        for zone in reserve_zones()
    ]


def _reserve(
    zone: tuple[str, str], began: str, mark: dt.datetime, prices: list[int], mw: list[int]
) -> Tree:
    record: Tree = {"BeginDate": began, "IntervalBeginDate": stamp(mark)}
    record |= {"ReserveZoneId": int(zone[0]), "ReserveZoneName": zone[1]}
    required = zip(_REQUIREMENTS, mw[3:], strict=True)
    whole = zone[0] == SYSTEM
    record |= {n: number(v) for n, v in required if whole or n == "Total30MinRequirement"}
    for product, price, quantity in zip(PRODUCTS, prices, mw[:3], strict=True):
        record[f"{product.capitalize()}DesignatedMw"] = number(quantity)
        record[f"{product.capitalize()}ClearingPrice"] = number(price)
    return record


def _feed(
    path: str, outer: str, main: str, records: Records, every: dt.timedelta, after: dt.timedelta
) -> tuple[Route, ...]:
    """The routes of a feed whose days come preliminary and final; without either, the best."""
    inner = outer.removesuffix("s")

    def answer(world: World, day: OperatingDay, picks: Sequence[int], finality: Finality) -> Answer:
        def tree() -> Tree:
            return wrapped(outer, inner, records(world.seed, day, picks, finality))

        return Answer(tree, main, (outer, world.seed, day, tuple(picks), finality))

    def of_day(world: World, ask: Ask, day: str, finality: Finality | None = None) -> Answer:
        if finality == "final":
            final_day(world, day, ask.now)
        when = asked_day(day, ask.now)
        best: Finality = "final" if is_final(world, when, ask.now) else "prelim"
        return answer(world, when, out(when, every, after, ask.now), finality or best)

    def current(world: World, ask: Ask, finality: Finality | None = None) -> Answer:
        if finality == "final":
            day = newest_final_day(world, ask.now)
            return answer(world, day, [len(day.marks(every)) - 1], "final")
        day, i = newest(every, after, ask.now)
        return answer(world, day, [i], "prelim")

    def fresh(world: World, ask: Ask) -> Fresh:
        del world
        day, i = newest(every, after, ask.now)
        begins = day.marks(every)[i]
        return Fresh(begins, begins + after)

    return (
        info(rf"{path}(/prelim)?", fresh),
        info(f"{path}/final", partial(fresh_final, every=every)),
        Route(rf"{path}(/{FINALITY})?/current", current),
        Route(rf"{path}(/{FINALITY})?/day/{DAY}", of_day),
    )


_five_minutes = partial(_feed, every=FIVE_MINUTES, after=FIVE_MINUTES)
_SERVICE = "RegServiceClearingPrice"

ROUTES = (
    *_five_minutes("/fiveminutercp", "FiveMinRcps", _SERVICE, regulation_records),
    *_feed("/hourlyrcp", "HourlyRcps", _SERVICE, hourly_regulation_records, HOUR, _AN_HOUR_AFTER),
    *_five_minutes(
        "/fiveminutereserveprice", "FiveMinReservePrices", "TmsrClearingPrice", reserve_records
    ),
)
