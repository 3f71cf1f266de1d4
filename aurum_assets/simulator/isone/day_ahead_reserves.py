"""Day-ahead ancillary services of New England: the live reserve data and the documented path.

Both say the same prices and are out at 13:00 on the day before; the market began on 2025-03-01.
Without a day in the path the newest day that is out is answered, as a whole.
"""

import datetime as dt

from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.operators.isone.operator import SYSTEM
from aurum_assets.simulator.isone.ancillary_series import day_ahead
from aurum_assets.simulator.isone.days import (
    DAY,
    cleared_day,
    fresh_day_ahead,
    hour_end,
    info,
    newest_cleared_day,
    stamp,
)
from aurum_assets.simulator.isone.payloads import wrapped, wrapped_newer
from aurum_assets.simulator.payloads import Tree, number
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

BEGAN = dt.date(2025, 3, 1)
_PRODUCTS = {"TMSR": "tmsr", "TMNSR": "tmnsr", "TMOR": "tmor", "EIR": "eir"}


def reserve_data_records(day: OperatingDay, *, seed: int = 0) -> list[Tree]:
    """The live records of a day, one an hour, due or not."""
    series = day_ahead(seed, day)
    return [
        {
            "market_hour": {"local_day": stamp(mark), "local_hour_end": hour_end(mark)},
            **{name: number(int(values[i])) for name, values in series.items()},
        }
        for i, mark in enumerate(day.marks(HOUR))
    ]


def service_records(day: OperatingDay, *, seed: int = 0) -> list[Tree]:
    """The documented records of a day, one an hour and product, due or not."""
    series = day_ahead(seed, day)
    prices = {"EIR": series["fer_clearing_price"]}
    prices |= {p: series[f"{n}_clearing_price"] for p, n in _PRODUCTS.items() if p != "EIR"}
    return [
        {
            "BeginDate": stamp(mark),
            "Product": product,
            "Zone": SYSTEM,
            "Price": number(int(prices[product][i])),
            "Mw": number(int(series[f"{name}_designation_mw"][i])),
        }
        for i, mark in enumerate(day.marks(HOUR))
        for product, name in _PRODUCTS.items()
    ]


def _reserve_data(world: World, ask: Ask, day: str | None = None) -> Answer:
    when = cleared_day(day, ask.now) if day else newest_cleared_day(ask.now)
    if when.date < BEGAN:
        raise Refusal(404, f"the market of day-ahead reserves began on {BEGAN}")

    def tree() -> Tree:
        records = reserve_data_records(when, seed=world.seed)
        return wrapped_newer("day_ahead_reserves", "day_ahead_reserve", records)

    return Answer(tree, "tmsr_clearing_price", ("daas", world.seed, when))


def _services(world: World, ask: Ask) -> Answer:
    when = newest_cleared_day(ask.now)

    def tree() -> Tree:
        records = service_records(when, seed=world.seed)
        return wrapped("AncillaryServices", "AncillaryService", records)

    return Answer(tree, "Price", ("services", world.seed, when))


ROUTES = (
    info("/daasreservedata", fresh_day_ahead),
    Route("/daasreservedata/current", _reserve_data),
    Route(rf"/daasreservedata/day/{DAY}", _reserve_data),
    Route("/ancillaryservices", _services, documented=True),
)
