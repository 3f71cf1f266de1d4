"""Headline: the numbers of the morning, of each operator, from the mart ``daily_summary``."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurum_assets.report.figures import megawatts, money, shell
from aurum_assets.report.hours import Hours
from aurum_assets.report.reading import Reading, as_typed

_SELECT = "select * from daily_summary where operating_day = '{day}' order by operator"

_COUNTS = (
    ("negative hours", "negative_hours", ","),
    ("scarcity hours", "scarcity_hours", ","),
    ("complete", "completeness", ".1%"),
    ("corrections since the day before", "corrections", ","),
)


@dataclass(frozen=True)
class Fact:
    """A number with what it is; ``more``: where and when."""

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True)
class Card:
    """The numbers of an operator."""

    title: str
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Headline:
    """Cards, and the SELECT of what they show; ``says``: why there is none."""

    cards: Sequence[Card]
    select: str
    says: str = ""
    tables: Sequence[str] = ("marts.daily_summary",)

    @property
    def shell(self) -> str:
        """The command that gives the rows."""
        return shell(self.select)


def headline(reading: Reading, date: str) -> Headline:
    """The cards of operating day ``date``."""
    select = as_typed(_SELECT.format(day=date))
    rows = reading.rows(select)
    if rows.is_empty():
        return Headline((), select, f"Not built yet: aurum marts --day {date}")
    titles = {d.operator.name: d.operator for d in reading.datasets}
    cards = []
    for row in rows.iter_rows(named=True):
        operator = titles.get(row["operator"])
        if operator is not None:
            hours = Hours(reading.day(operator, date))
            cards.append(Card(operator.title, tuple(_facts(row, hours))))
    return Headline(tuple(cards), select)


def _facts(row: Mapping[str, Any], hours: Hours) -> Iterator[Fact]:
    """What there is to say of an operator's day; a number that is absent is left out."""
    yield from _prices(row, hours)
    if row["peak_load"] is not None:
        at = _time(hours, row["peak_load_at"])
        yield Fact("peak load", f"{megawatts(row['peak_load'])} MW", at)
    for name, column, form in _COUNTS:
        if row[column] is not None:
            yield Fact(name, format(row[column], form))
    if row["top_congested"]:
        yield Fact("most congested", "", row["top_congested"])


def _prices(row: Mapping[str, Any], hours: Hours) -> Iterator[Fact]:
    for peak in ("on", "off"):
        ahead, real = row[f"{peak}_peak_da_lmp"], row[f"{peak}_peak_rt_lmp"]
        if ahead is not None:
            yield Fact(f"{peak}-peak, day-ahead", money(ahead), "USD/MWh")
        if real is not None:
            more = "USD/MWh" if ahead is None else f"{_signed(real - ahead)} against day-ahead"
            yield Fact(f"{peak}-peak, real time", money(real), more)
    for which in ("highest", "lowest"):
        value = row[f"{which}_rt_lmp"]
        if value is not None:
            place, at = row[f"{which}_rt_location"], _time(hours, row[f"{which}_rt_at"])
            yield Fact(f"{which} real time", money(value), f"{place} {at}")


def _signed(value: float) -> str:
    return f"+{money(value)}" if value > 0 else money(value)


def _time(hours: Hours, instant: dt.datetime | None) -> str:
    return "" if instant is None else f"at {hours.time(instant)}"
