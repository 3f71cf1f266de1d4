"""Picture: a day of a table as a small SVG of lines, for the metadata of a materialization.

The first number of the table by time: prices as the mean of the hubs (of all locations where it has
no hub), quantities as their sum; preliminary beside final; of forecasts a line for each of the last
publications. By hand, for a run that draws must stay short: importing a library of charts takes
longer than a run of most datasets. The report has the charts to read.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import polars as pl

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.table import Table
from aurum_assets.model.vintage import has_vintages

_WIDTH, _HEIGHT = 480, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 470, 22, 132  # of what the lines may cover
_PUBLICATIONS = 12
_POINTS = 300  # of a line: the five-minute intervals of a day of 25 hours
_FAN_POINTS = 60
_LINE, _OTHER, _FAINT, _TEXT = "#2a78b8", "#c8691c", "#8fb4d4", "#7a7a7a"  # on white and on black
_HUB = pl.lit("HUB")
_NOT_PLACES = ("interval_start", "interval_end", "finality", "published_at")


@dataclass(frozen=True)
class _Line:
    """Points in order, and how they are drawn."""

    name: str
    colour: str
    points: Sequence[tuple[dt.datetime, float]]


def drawn_from(table: Table) -> tuple[str, ...]:
    """The columns that a picture of ``table`` needs; none where it is no series of numbers."""
    if "interval_start" not in table.names or not table.measures:
        return ()
    places = {"location", "location_type", "finality", "published_at"} | (
        set(table.drawn.meta.root_names()) if table.drawn is not None else set()
    )
    wanted = {"interval_start", table.measures[0]} | (places & set(table.names))
    return tuple(name for name in table.names if name in wanted)


def picture_of(table: Table, rows: pl.DataFrame, day: OperatingDay) -> str:
    """``rows`` of ``day`` (at least ``drawn_from``) as SVG; empty where there is nothing to draw.

    A few kB: events that Dagster keeps hold it. A line is broken where intervals are missing. Times
    are local to the operator.
    """
    if not drawn_from(table):
        return ""
    value = table.measures[0]
    unit = next(c.unit for c in table.columns if c.name == value)
    is_price = unit.startswith("USD")
    kept, of = _kept(table, rows, is_price=is_price)
    by_time = pl.col(value).mean() if is_price else pl.col(value).sum()
    kept = kept.drop_nulls(value).filter(pl.col(value).is_finite())
    lines = list(_fan(kept, by_time) if has_vintages(table) else _curves(kept, by_time))
    if not any(line.points for line in lines):
        return ""
    return _svg(lines, f"{value}{of}, {unit}", day)


def _kept(table: Table, rows: pl.DataFrame, *, is_price: bool) -> tuple[pl.DataFrame, str]:
    """The rows that are drawn, and what they are of."""
    if table.drawn is not None:
        return rows.filter(table.drawn), ""
    if not is_price:
        return rows, ", sum" if set(table.key) - set(_NOT_PLACES) else ""
    for column in ("location_type", "location"):
        if column in rows.columns:
            hubs = rows.filter(pl.col(column).str.ends_with(_HUB).fill_null(value=False))
            if len(hubs):
                return hubs, ", mean of the hubs"
    return rows, ", mean" if set(table.key) - set(_NOT_PLACES) else ""


def _curves(rows: pl.DataFrame, by_time: pl.Expr) -> Iterator[_Line]:
    """A line for each finality, preliminary first."""
    if "finality" not in rows.columns:
        yield _Line("", _LINE, _points(rows, by_time, _POINTS))
        return
    for name, colour in (("prelim", _LINE), ("final", _OTHER)):
        yield _Line(name, colour, _points(rows.filter(finality=name), by_time, _POINTS))


def _fan(rows: pl.DataFrame, by_time: pl.Expr) -> Iterator[_Line]:
    """A line for each of some publications over the day, the newest last."""
    published = rows["published_at"].unique().sort()
    step = max(len(published) // _PUBLICATIONS, 1)
    chosen = published.reverse().gather_every(step).head(_PUBLICATIONS).reverse()
    for one in chosen:
        is_newest = one == chosen[-1]
        name, colour = ("newest", _OTHER) if is_newest else ("", _FAINT)
        yield _Line(name, colour, _points(rows.filter(published_at=one), by_time, _FAN_POINTS))


def _points(rows: pl.DataFrame, by_time: pl.Expr, most: int) -> list[tuple[dt.datetime, float]]:
    found = rows.group_by("interval_start").agg(by_time.alias("value")).sort("interval_start")
    found = found.gather_every(max(-(-len(found) // most), 1))
    return list(zip(found["interval_start"], found["value"], strict=True))


# --- SVG -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scale:
    """Where an instant and a value lie in the picture."""

    first: dt.datetime
    last: dt.datetime
    least: float
    greatest: float

    def x(self, at: dt.datetime) -> int:
        return round(_LEFT + (at - self.first) / (self.last - self.first) * (_RIGHT - _LEFT))

    def y(self, value: float) -> int:
        share = (value - self.least) / ((self.greatest - self.least) or 1)
        return round(_BOTTOM - share * (_BOTTOM - _TOP))


def _svg(lines: Sequence[_Line], title: str, day: OperatingDay) -> str:
    instants = [at for line in lines for at, _ in line.points]
    values = [value for line in lines for _, value in line.points]
    last = max(day.end, *instants)
    scale = _Scale(min(day.start, *instants), last, min(values), max(values))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="11">'
    )
    parts = [
        head,
        _text(_LEFT, 13, f"{title}, {day}", "start"),
        f'<path d="M{_LEFT},{_TOP}V{_BOTTOM}H{_RIGHT}" fill="none" stroke="{_TEXT}"/>',
        *_marks(scale, day),
        *_names([line for line in lines if line.points and line.name]),
        *(
            f'<path d="{_path(line.points, scale)}" fill="none" stroke="{line.colour}" '
            'stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round"/>'
            for line in lines
        ),
        "</svg>",
    ]
    return "".join(parts)


def _marks(scale: _Scale, day: OperatingDay) -> Iterator[str]:
    """The extremes beside the lines, the hours below them, and a dashed line at zero."""
    for value in dict.fromkeys((scale.greatest, scale.least)):
        shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004  of MW
        yield _text(_LEFT - 4, scale.y(value) + 4, shown, "end")
    if scale.least < 0 < scale.greatest:
        zero = f'<path d="M{_LEFT},{scale.y(0)}H{_RIGHT}" stroke="{_TEXT}" '
        yield f'{zero}stroke-dasharray="2,3"/>'
    hours = ((day.start, "00:00"), (day.at(dt.time(12)), "12:00"), (day.end, "24:00"))
    for at, label in hours:
        is_last = at == scale.last
        yield _text(scale.x(at), _HEIGHT - 4, label, "end" if is_last else "middle")


def _names(lines: Sequence[_Line]) -> Iterator[str]:
    """The names of the lines, at the right of the title."""
    for number, line in enumerate(reversed(lines)):
        yield _text(_RIGHT - 45 * number, 13, line.name, "end", line.colour)


def _text(x: int, y: int, text: str, anchor: str, colour: str = _TEXT) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _path(points: Sequence[tuple[dt.datetime, float]], scale: _Scale) -> str:
    """The line of ``points``, each relative to the one before; one beside no other is a dot."""
    steps = [after - before for (before, _), (after, _) in pairwise(points)]
    longest = 2 * min(steps, default=dt.timedelta())
    found: list[str] = []
    last: tuple[dt.datetime, int, int] | None = None
    for at, value in points:
        x, y = scale.x(at), scale.y(value)
        if last is None or at - last[0] >= longest:
            found.append(f"M{x},{y}h0l")
        else:
            found.append(f"{x - last[1]},{y - last[2]} ".replace(",-", "-"))
        last = at, x, y
    return "".join(found)
