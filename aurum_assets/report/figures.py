"""What a figure is: a chart or a table, the sentences around it, and the SELECT of its rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Grid:
    """A table of a page: ``names`` of columns, and rows of cells; ``numbers``: those set right."""

    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Figure:
    """A part of a page.

    ``name``: unique on the page. ``about``: units and clock. ``tables``: what the rows are of.
    ``select``: its SELECT, as it was run. ``says``: what is to be seen, or why nothing is.
    ``chart`` gives its SVG; it and ``grid`` are None where there is nothing to show. ``command``:
    what gives the rows where it is no SELECT.
    """

    name: str
    title: str
    about: str
    tables: Sequence[str]
    select: str = ""
    says: str = ""
    chart: Callable[[], str] | None = None
    grid: Grid | None = None
    command: str = ""

    @cached_property
    def svg(self) -> str:
        """The chart, once it is drawn; empty where there is none."""
        return self.chart() if self.chart else ""

    @property
    def shell(self) -> str:
        """The command that gives the rows."""
        return shell(self.select) or self.command


@dataclass(frozen=True)
class Section:
    """A titled row of figures."""

    name: str
    title: str
    figures: Sequence[Figure] = field(default=())


def money(value: float) -> str:
    """A price, in cents, with thousands apart and a true minus."""
    return f"{value:,.2f}".replace("-", "\N{MINUS SIGN}")


def megawatts(value: float) -> str:
    """A power, in whole MW."""
    return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")


def nothing(tables: Sequence[str], day: str, since: str = "") -> str:
    """The sentence in the place of a chart for which no row is held."""
    names = " or ".join(name.removeprefix("market.") for name in tables)
    return f"No row of {names} is held for {day}{since}."


def shell(select: str) -> str:
    """The command that gives the rows of a SELECT; empty without one."""
    return f'aurum sql "{select}"' if select else ""
