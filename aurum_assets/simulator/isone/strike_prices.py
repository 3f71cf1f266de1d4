"""Day-ahead strike prices of New England: above what the hub is expected to cost, out at 10:30.

They are out on the day before, and the market began on 2025-03-01. That the newest answer is the
whole of the newest day is an assumption.
"""

import datetime as dt

from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.simulator.isone.day_ahead_reserves import BEGAN
from aurum_assets.simulator.isone.days import DAY, Fresh, asked_day, hour_end, info, stamp
from aurum_assets.simulator.isone.lmp_series import hourly_prices
from aurum_assets.simulator.isone.load import kilowatts
from aurum_assets.simulator.isone.payloads import wrapped_newer
from aurum_assets.simulator.payloads import Tree, number
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

_OUT_AT = dt.time(10, 30)
_PERCENTILES = {10: 55, 25: 75, 75: 120, 90: 165}  # in per cent of the expectation


def strike_price_records(day: OperatingDay, *, seed: int = 0) -> list[Tree]:
    """The records of a day, one an hour, due or not."""
    expected = hourly_prices(seed, day, "da")
    load = kilowatts(seed, day)["load"].reshape(-1, 12).mean(axis=1) / 1000
    published = stamp(day.plus(-1).at(_OUT_AT))
    records = []
    for i, mark in enumerate(day.marks(HOUR)):
        hub = int(expected.interval(i)[0][0])
        spread = abs(hub)
        records.append(
            {
                "market_hour": {"local_day": stamp(mark), "local_hour_end": hour_end(mark)},
                "strike_price_timestamp": published,
                "strike_price": number(hub + spread // 20 + 200),
                "spc_load_forecast_mw": round(float(load[i])),
                **{
                    f"percentile_{p}_rt_hub_lmp": number(hub + spread * (share - 100) // 100)
                    for p, share in _PERCENTILES.items()
                },
                "expected_rt_hub_lmp": number(hub),
                "expected_closeout_charge": number(spread // 8 + 25),
            }
        )
    return records


def _newest(now: dt.datetime) -> OperatingDay:
    today = ISONE.day_of(now)
    return today.plus(1 if now >= today.at(_OUT_AT) else 0)


def _answer(world: World, ask: Ask, day: str | None = None) -> Answer:
    newest = _newest(ask.now)
    when = asked_day(day, newest.end) if day else newest
    if when > newest or when.date < BEGAN:
        raise Refusal(404, f"there are no strike prices of {when.key}")

    def tree() -> Tree:
        records = strike_price_records(when, seed=world.seed)
        return wrapped_newer("day_ahead_strike_prices", "day_ahead_strike_price", records)

    return Answer(tree, "strike_price", ("strike", world.seed, when))


def _fresh(world: World, ask: Ask) -> Fresh:
    del world
    day = _newest(ask.now)
    return Fresh(day.marks(HOUR)[-1], day.plus(-1).at(_OUT_AT))


ROUTES = (
    info("/daasstrikeprices", _fresh),
    Route("/daasstrikeprices/current", _answer),
    Route(rf"/daasstrikeprices/day/{DAY}", _answer),
)
