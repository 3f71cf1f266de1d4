"""Five-minute real-time prices of ISO New England: which are out, and where to ask for them.

The numbers are in ``lmp_series``. An interval is out 25 s after it begins, as its price comes from
the dispatch that opens it (``publication``: up to 40 s later); a day becomes final one to a few
days later. Preliminary values stay to be asked for.
"""

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Literal

from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.simulator.isone.days import (
    DAY,
    Fresh,
    asked_day,
    fresh_final,
    info,
    latest_days,
    newest_final_day,
    stamp,
)
from aurum_assets.simulator.isone.lmp_series import Edition, corrected_after, prices
from aurum_assets.simulator.isone.payloads import BLANK_NUMBER, assemble, form, render, wrapped
from aurum_assets.simulator.isone.places import CORE, PRICED, Place, places
from aurum_assets.simulator.payloads import Format, Tree, number, number_text
from aurum_assets.simulator.publication import final_at, jitter
from aurum_assets.simulator.shapes import lateness, noon
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World

_PUBLISHED_AFTER = dt.timedelta(seconds=25)
_MAIN = "LmpTotal"
ZERO = dt.timedelta()

Pick = tuple[int, Edition]  # the number of an interval within its day, and what is known of it


def _picks(world: World, day: OperatingDay, finality: str, now: dt.datetime) -> list[Pick]:
    """What is out of ``day``, oldest first. Refused (404) where no final values are."""
    marks = day.marks(FIVE_MINUTES)
    if finality == "final":
        if final_at(world, day) > now:
            raise Refusal(404, f"the prices of {day.key} are not final yet")
        return [(i, "final") for i in range(len(marks))]
    corrected = corrected_after(world.seed, day) if world.revise else [ZERO] * len(marks)
    if world.mistakes:
        corrected[noon(day)] = HOUR
    picks: list[Pick] = []
    for i, due in enumerate(_published(world, day)):
        if due <= now:
            picks.append((i, "first" if now < due + corrected[i] else "prelim"))
    return picks


def _published(world: World, day: OperatingDay) -> list[dt.datetime]:
    """When the preliminary prices of each interval of ``day`` are out."""
    marks = day.marks(FIVE_MINUTES)
    late = lateness(("lmp", world.seed, day.key), len(marks)) if world.revise else None
    usual = [mark + _PUBLISHED_AFTER + (late[i] if late else ZERO) for i, mark in enumerate(marks)]
    extra = jitter(world, "lmp", day, len(marks))
    return [due + more for due, more in zip(usual, extra, strict=True)]


def _newest(world: World, finality: str, now: dt.datetime) -> tuple[OperatingDay, list[Pick]]:
    today, yesterday = latest_days(now)
    if finality == "final":
        last = newest_final_day(world, now)
        return last, _picks(world, last, finality, now)[-1:]
    picks = _picks(world, today, finality, now)
    if picks:
        return today, picks[-1:]
    return yesterday, _picks(world, yesterday, finality, now)[-1:]


def lmp_records(
    day: OperatingDay,
    intervals: Sequence[int] | None = None,
    finality: Literal["prelim", "final"] = "prelim",
    *,
    seed: int = 0,
    locations: int = PRICED,
) -> list[Tree]:
    """The records of a day's intervals (by number; all of them by default), due or not."""
    numbers = range(len(day.marks(FIVE_MINUTES))) if intervals is None else intervals
    return _records(seed, day, [(i, finality) for i in numbers], places(locations))


def _records(
    seed: int, day: OperatingDay, picks: Sequence[Pick], where: Sequence[Place]
) -> list[Tree]:
    marks = day.marks(FIVE_MINUTES)
    return [
        lmp_record(place, stamp(marks[i]), *map(number, values))
        for i, edition in picks
        for place, values in zip(where, _values(seed, day, (i, edition), where), strict=True)
    ]


def _values(seed: int, day: OperatingDay, pick: Pick, where: Sequence[Place]) -> list[list[int]]:
    """Total, congestion, energy, loss in cents, one row a place."""
    i, edition = pick
    rows = prices(seed, day, edition).interval(i)
    listed: list[list[int]] = rows[[place.number for place in where]].tolist()
    return listed


def lmp_record(place: Place, began: str, *values: float | str) -> Tree:
    """Make one record; ``values``: total, congestion, energy, loss."""
    total, congestion, energy, loss = values
    return {
        "LmpTotal": total,
        "CongestionComponent": congestion,
        "EnergyComponent": energy,
        "LossComponent": loss,
        "BeginDate": began,
        "Location": {"@LocId": place.id, "@LocType": place.type, "$": place.name},
    }


@lru_cache(maxsize=8)
def _form(where: tuple[Place, ...], fmt: Format) -> str:
    blanks = [lmp_record(place, "%s", *[BLANK_NUMBER] * 4) for place in where]
    return form("FiveMinLmp", blanks, fmt)


def _write(
    seed: int, day: OperatingDay, picks: Sequence[Pick], where: tuple[Place, ...], fmt: Format
) -> bytes:
    """The bytes of ``wrapped(_records(...))``, some thirty times as fast."""
    if len(picks) * len(where) < 2:  # noqa: PLR2004  the wrapper of a list differs
        return render(wrapped("FiveMinLmps", "FiveMinLmp", _records(seed, day, picks, where)), fmt)
    marks = day.marks(FIVE_MINUTES)
    blanks = _form(where, fmt)
    filled = []
    for pick in picks:
        began = stamp(marks[pick[0]])
        rows = _values(seed, day, pick, where)
        texts = chain.from_iterable((*map(number_text, row), began) for row in rows)
        filled.append(blanks % tuple(texts))
    return assemble("FiveMinLmps", "FiveMinLmp", filled, fmt)


def render_lmp_hour(
    day: OperatingDay,
    hour: str,
    locations: int = 1200,
    *,
    finality: Literal["prelim", "final"] = "prelim",
    fmt: Format = "json",
    seed: int = 0,
) -> bytes:
    """A whole hour's answer, due or not; ``hour`` as the day's clock shows it (``05``)."""
    picks: list[Pick] = [(i, finality) for i in _hour(day, hour)]
    return _write(seed, day, picks, places(locations), fmt)


def _hour(day: OperatingDay, hour: str) -> list[int]:
    """The intervals at which the clock shows ``hour``: 24 of them for 01 in autumn."""
    if hour not in day.local_hours():
        raise Refusal(400, f"{day.key} has no hour {hour}")
    marks = day.marks(FIVE_MINUTES)
    return [i for i, mark in enumerate(marks) if stamp(mark)[11:13] == hour]


def _answer(
    world: World, day: OperatingDay, picks: Sequence[Pick], where: tuple[Place, ...]
) -> Answer:
    def tree() -> Tree:
        return wrapped("FiveMinLmps", "FiveMinLmp", _records(world.seed, day, picks, where))

    def fast(fmt: Format) -> bytes:
        return _write(world.seed, day, picks, where, fmt)

    return Answer(tree, _MAIN, ("lmp", world.seed, day, tuple(picks), where), fast)


def priced_at(world: World, location: str) -> tuple[Place, ...]:
    """The place of that id, alone. Refused (404) where nobody of that id is priced."""
    found = tuple(p for p in places(world.locations) if p.id == location)
    if not found:
        raise Refusal(404, f"there is no location {location}")
    return found


def _current(
    world: World, ask: Ask, finality: str | None = None, everywhere: str | None = None
) -> Answer:
    day, picks = _newest(world, finality or "prelim", ask.now)
    where = places(world.locations)
    return _answer(world, day, picks, where if everywhere else where[:CORE])


def _current_location(world: World, ask: Ask, location: str, finality: str | None = None) -> Answer:
    day, picks = _newest(world, finality or "prelim", ask.now)
    where = priced_at(world, location)
    return Answer(lambda: {"FiveMinLmp": _records(world.seed, day, picks, where)[0]}, _MAIN)


def _of_hour(world: World, ask: Ask, finality: str, day: str, hour: str) -> Answer:
    when = asked_day(day, ask.now)
    wanted = set(_hour(when, hour))
    picks = [p for p in _picks(world, when, finality, ask.now) if p[0] in wanted]
    return _answer(world, when, picks, places(world.locations))


def _of_location(world: World, ask: Ask, finality: str, day: str, location: str) -> Answer:
    when = asked_day(day, ask.now)
    where = priced_at(world, location)
    return _answer(world, when, _picks(world, when, finality, ask.now), where)


def _fresh(world: World, ask: Ask) -> Fresh:
    day, picks = _newest(world, "prelim", ask.now)
    newest = picks[-1][0]
    return Fresh(day.marks(FIVE_MINUTES)[newest], _published(world, day)[newest])


_FINALITY = r"(?P<finality>prelim|final)"
_LOCATION = r"location/(?P<location>\w+)"
_OF_DAY = rf"/fiveminutelmp/{_FINALITY}/day/{DAY}"

ROUTES = (
    info("/fiveminutelmp(/prelim)?", _fresh),
    info("/fiveminutelmp/final", partial(fresh_final, every=FIVE_MINUTES)),
    Route(rf"/fiveminutelmp(/{_FINALITY})?/current(?P<everywhere>/all)?", _current),
    Route(rf"/fiveminutelmp(/{_FINALITY})?/current/{_LOCATION}", _current_location),
    Route(rf"{_OF_DAY}/starthour/(?P<hour>\d\d)", _of_hour),
    Route(rf"{_OF_DAY}/{_LOCATION}", _of_location),
)
