"""The generation of New England: the mix by fuel (live), each generator (documented).

A mix is out two seconds after its instant, the generators' output five minutes after the interval
begins. A fuel that makes nothing has no record.
"""

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.simulator.isone.days import (
    DAY,
    Fresh,
    asked_day,
    info,
    latest_days,
    newest,
    stamp,
)
from aurum_assets.simulator.isone.generation_series import ROLLUP, instants, marginal, mix
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.isone.places import Place, units
from aurum_assets.simulator.payloads import Tree, number
from aurum_assets.simulator.shapes import Floats, draws
from aurum_assets.simulator.world import Answer, Ask, Route, World

_AFTER = dt.timedelta(seconds=2)
_FUELS = ("Natural Gas", "Hydro", "Solar", "Wind", "Oil", "Wood", "Refuse", "Landfill Gas")
_WEIGHTS = (0.26, 0.3, 0.12, 0.08, 0.1, 0.05, 0.05, 0.04)
_FIRST = ("Nuclear", "Nuclear", "Nuclear", "Coal", "Other", "Batteries", "Batteries", *_FUELS)


def mix_records(
    day: OperatingDay, numbers: Sequence[int] | None = None, *, seed: int = 0
) -> list[Tree]:
    """The records of a day's instants (by number; all of them by default), due or not."""
    when = instants(seed, day)
    made, flags = mix(seed, day), marginal(seed, day)
    records = []
    for n in range(len(when)) if numbers is None else numbers:
        i = (when[n] - day.start) // FIVE_MINUTES
        records += [
            {
                "BeginDate": stamp(when[n]),
                "GenMw": int(series[i]),
                "FuelCategory": fuel,
                "FuelCategoryRollup": ROLLUP[fuel],
                "MarginalFlag": _flag(fuel, flags[i]),
            }
            for fuel, series in made.items()
            if series[i] > 0
        ]
    return records


def _flag(fuel: str, marginal: set[str]) -> str:
    """Y, N, or - as the operator's schema has it: unknown for what is called "Other"."""
    return "-" if fuel == "Other" else "Y" if fuel in marginal else "N"


def _mix(world: World, day: OperatingDay, picks: Sequence[int]) -> Answer:
    def tree() -> Tree:
        return wrapped("GenFuelMixes", "GenFuelMix", mix_records(day, picks, seed=world.seed))

    return Answer(tree, "GenMw", ("mix", world.seed, day, tuple(picks)))


def _published(world: World, day: OperatingDay, now: dt.datetime) -> list[int]:
    return [n for n, when in enumerate(instants(world.seed, day)) if when + _AFTER <= now]


def _newest_mix(world: World, now: dt.datetime) -> tuple[OperatingDay, int]:
    today, yesterday = latest_days(now)
    published = _published(world, today, now)
    return (
        (today, published[-1])
        if published
        else (yesterday, len(instants(world.seed, yesterday)) - 1)
    )


def _current_mix(world: World, ask: Ask) -> Answer:
    day, n = _newest_mix(world, ask.now)
    return _mix(world, day, [n])


def _mix_of_day(world: World, ask: Ask, day: str) -> Answer:
    when = asked_day(day, ask.now)
    return _mix(world, when, _published(world, when, ask.now))


def _fresh(world: World, ask: Ask) -> Fresh:
    day, n = _newest_mix(world, ask.now)
    begins = instants(world.seed, day)[n]
    return Fresh(begins, begins + _AFTER)


@lru_cache(maxsize=8)
def _roster(seed: int) -> tuple[tuple[Place, str, float], ...]:
    """Each generator, its fuel, and its share of what the fuel makes."""
    generator = draws(seed, "generators")
    rest = generator.choice(_FUELS, len(units()) - len(_FIRST), p=np.array(_WEIGHTS))
    fuels = [*_FIRST, *map(str, rest)]
    sizes: Floats = 0.1 + generator.random(len(fuels)) ** 2
    whole = {
        fuel: sum(s for s, f in zip(sizes, fuels, strict=True) if f == fuel) for fuel in ROLLUP
    }
    return tuple(
        (unit, fuel, float(size / whole[fuel]))
        for unit, fuel, size in zip(units(), fuels, sizes, strict=True)
    )


def resource_records(day: OperatingDay, interval: int, *, seed: int = 0) -> list[Tree]:
    """What each generator makes in one interval of ``day``, due or not."""
    made = mix(seed, day)
    began = stamp(day.marks(FIVE_MINUTES)[interval])
    return [
        {
            "BeginDate": began,
            "ResourceId": int(unit.id),
            "ResourceName": unit.name,
            "FuelCategory": fuel,
            "GenMw": number(round(share * int(made[fuel][interval]) * 100)),
        }
        for unit, fuel, share in _roster(seed)
        if fuel in made
    ]


def _resources(world: World, ask: Ask) -> Answer:
    day, i = newest(FIVE_MINUTES, FIVE_MINUTES, ask.now)

    def tree() -> Tree:
        records = resource_records(day, i, seed=world.seed)
        return wrapped("GenerationResources", "GenerationResource", records)

    return Answer(tree, "GenMw", ("resources", world.seed, day, i))


ROUTES = (
    info("/genfuelmix", _fresh),
    Route("/genfuelmix/current", _current_mix),
    Route(rf"/genfuelmix/day/{DAY}", _mix_of_day),
    Route("/generation/resource", _resources, documented=True),
)
