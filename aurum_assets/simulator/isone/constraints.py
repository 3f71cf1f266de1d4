"""Binding constraints of New England: on most days something binds for some hours, on some nothing.

Day-ahead they are out at 13:00 on the day before; a five-minute interval in real time five minutes
after it begins. Final ones are the preliminary ones. What binds when, how long and how dearly is
made up; the names are the operator's or like them.
"""

from collections.abc import Sequence
from functools import lru_cache, partial

from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.simulator.isone.days import (
    DAY,
    FINALITY,
    Fresh,
    asked_day,
    cleared_day,
    final_day,
    fresh_day_ahead,
    fresh_final,
    info,
    newest,
    newest_final_day,
    out,
    stamp,
)
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.payloads import Tree, number
from aurum_assets.simulator.shapes import draws
from aurum_assets.simulator.world import Answer, Ask, Route, World

_KNOWN = (  # constraint, contingency, whether it is an interface
    ("MIS", "Interface", "Y"),
    ("NE-NB", "Interface", "Y"),
    ("ORR-SO", "Interface", "Y"),
    ("KEENE_RD-1", "", "N"),
    ("SHFHGE 115 A", "L389", "N"),
    ("SHFHGE 115 A", "L391", "N"),
)
_QUIET = 1 / 8  # of days
_EVERY = {"da": HOUR, "rt": FIVE_MINUTES}


@lru_cache(maxsize=16)
def _binding(seed: int, market: str, day: OperatingDay) -> dict[int, list[tuple[int, int]]]:
    """By hour of the day: which constraints bind, and their values in hundredths."""
    generator = draws(seed, "binding", market, day.key)
    found: dict[int, list[tuple[int, int]]] = {}
    if generator.random() < _QUIET:
        return found
    whole = len(day.marks(HOUR))
    for n in range(len(_KNOWN)):
        if generator.random() < 1 / 2:
            first, length = int(generator.integers(0, whole)), int(generator.integers(1, 9))
            value = -int(generator.integers(20, 6_000))
            for hour in range(first, min(first + length, whole)):
                found.setdefault(hour, []).append((n, value + 7 * hour))
    return found


def constraint_records(
    seed: int, market: str, day: OperatingDay, picks: Sequence[int]
) -> list[Tree]:
    """The records of a day's intervals (by number): none of those in which nothing binds."""
    every = _EVERY[market]
    marks, binding = day.marks(every), _binding(seed, market, day)
    return [
        {
            "ConstraintName": _KNOWN[n][0],
            **({"ContingencyName": _KNOWN[n][1]} if _KNOWN[n][1] else {}),
            "MarginalValue": number(value),
            "BeginDate": stamp(marks[i]),
            "InterfaceFlag": _KNOWN[n][2],
        }
        for i in picks
        for n, value in binding.get(i * every // HOUR, [])
    ]


def _answer(world: World, market: str, day: OperatingDay, picks: Sequence[int]) -> Answer:
    outer = "DayAheadConstraints" if market == "da" else "RealTimeConstraints"

    def tree() -> Tree:
        records = constraint_records(world.seed, market, day, picks)
        return wrapped(outer, outer.removesuffix("s"), records)

    return Answer(tree, "MarginalValue", (outer, world.seed, day, tuple(picks)))


def _day_ahead_current(world: World, ask: Ask) -> Answer:
    """The hour that runs."""
    day = ISONE.day_of(ask.now)
    running = sum(mark <= ask.now for mark in day.marks(HOUR)) - 1
    return _answer(world, "da", day, [running])


def _day_ahead(world: World, ask: Ask, day: str) -> Answer:
    when = cleared_day(day, ask.now)
    return _answer(world, "da", when, range(len(when.marks(HOUR))))


def _current(world: World, ask: Ask, finality: str) -> Answer:
    if finality == "final":
        day = newest_final_day(world, ask.now)
        return _answer(world, "rt", day, [len(day.marks(FIVE_MINUTES)) - 1])
    day, i = newest(FIVE_MINUTES, FIVE_MINUTES, ask.now)
    return _answer(world, "rt", day, [i])


def _of_day(world: World, ask: Ask, finality: str, day: str) -> Answer:
    when = final_day(world, day, ask.now) if finality == "final" else asked_day(day, ask.now)
    return _answer(world, "rt", when, out(when, FIVE_MINUTES, FIVE_MINUTES, ask.now))


def _fresh(world: World, ask: Ask) -> Fresh:
    del world
    day, i = newest(FIVE_MINUTES, FIVE_MINUTES, ask.now)
    begins = day.marks(FIVE_MINUTES)[i]
    return Fresh(begins, begins + FIVE_MINUTES)


ROUTES = (
    info("/dayaheadconstraints", fresh_day_ahead),
    Route("/dayaheadconstraints/current", _day_ahead_current),
    Route(rf"/dayaheadconstraints/day/{DAY}", _day_ahead),
    info("/fiveminuteconstraints/prelim", _fresh),
    info("/fiveminuteconstraints/final", partial(fresh_final, every=FIVE_MINUTES)),
    Route(rf"/fiveminuteconstraints/{FINALITY}/current", _current),
    Route(rf"/fiveminuteconstraints/{FINALITY}/day/{DAY}", _of_day),
)
