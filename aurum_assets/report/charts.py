"""Charts: Vega-Lite, turned into SVG that takes the colours of the page.

The colours are CSS variables of the page, so that one SVG serves light and dark; those that stand
for numbers are viridis-like, readable for the colour-blind, and the same in both. No chart needs a
script, loads anything or has an id: many of them share one page. Here belongs how rows are drawn;
what is drawn is up to the figures.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from aurum_assets.report import vega
from aurum_assets.report.hours import Hours

if TYPE_CHECKING:
    from lxml import etree

Json = dict[str, Any]
Drawing = Callable[[], str]  # gives the SVG, which is being drawn meanwhile

_LETTERS = 66  # of a legend's line, each entry with its symbol as wide as four
WIDTH, HEIGHT = 460, 200  # of a drawing area and its axes, in px: of a phone or a third of a desk
_INK, _MUTED, _GRID = "var(--ink)", "var(--muted)", "var(--grid)"
_FONT = "system-ui, sans-serif"
_CONFIG: Json = {
    "background": None,
    "font": _FONT,
    "padding": 4,
    "autosize": {"type": "fit-x", "contains": "padding"},
    "view": {"stroke": None},
    "axis": {
        "labelColor": _MUTED,
        "titleColor": _MUTED,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "gridColor": _GRID,
        "domainColor": _GRID,
        "tickColor": _GRID,
        "labelLimit": 140,
    },
    "legend": {
        "labelColor": _INK,
        "titleColor": _MUTED,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "orient": "top",
        "symbolStrokeWidth": 3,
        "labelLimit": 220,
        "columnPadding": 12,
        "offset": 4,
    },
    "header": {"labelColor": _INK, "titleColor": _MUTED, "labelFontSize": 12},
    "line": {"strokeJoin": "round", "strokeCap": "butt"},
    "rect": {"stroke": None},
}
_BELOW = "\N{MINUS SIGN}"
_SVG = "{http://www.w3.org/2000/svg}"
_SPACES = re.compile(r' xmlns(?::\w+)?="[^"]*"')
_OF_NO_USE = {
    "aria-description",
    "aria-hidden",
    "aria-label",
    "aria-roledescription",
    "class",
    "pointer-events",
    "role",
}


@dataclass(frozen=True)
class Series:
    """A line of a chart: what it is called, and how it is drawn; ``colour``: of the page's."""

    name: str
    colour: str
    width: float = 1.6
    dash: Sequence[int] = ()
    steps: bool = False


def path(rows: pl.DataFrame, hours: Hours, value: str, *, steps: bool) -> list[Json]:
    """The points of a line through intervals (``interval_start``, ``interval_end``, ``value``).

    It breaks where intervals are missing. ``steps``: it is level for as long as an interval is.
    """
    ordered = rows.drop_nulls(value).sort("interval_start")
    found = ordered.select(
        start=hours.since(),
        end=hours.since("interval_end"),
        value=pl.col(value),
        last=(pl.col("interval_start").shift(-1) > pl.col("interval_end")).fill_null(value=True),
    )
    points: list[Json] = []
    for start, end, height, last in found.iter_rows():
        points.append({"h": round(start, 3), "v": height})
        if steps or last:
            points.append({"h": round(end, 3), "v": height})
        if last:
            points.append({"h": round(end, 3), "v": None})
    return points


def lines(
    series: Sequence[tuple[Series, Sequence[Json]]],
    hours: Hours,
    *,
    unit: str,
    behind: Sequence[Json] = (),
    zero: bool = False,
    number: str = "",
) -> Drawing:
    """Lines over the hours of a day, with a legend.

    ``behind``: layers that are drawn before. ``number``: how the axis writes numbers, as d3 has it.
    """
    names = [one.name for one, _ in series]
    colours = {"domain": names, "range": [f"var(--{one.colour})" for one, _ in series]}
    legend = {"title": None, "symbolType": "stroke", "columns": _columns(names)}
    layers = [
        {
            "data": {"values": list(points)},
            "mark": {
                "type": "line",
                "strokeWidth": one.width,
                **({"strokeDash": list(one.dash)} if one.dash else {}),
            },
            "encoding": {
                "x": _hour_axis(hours, "h"),
                "y": {
                    "field": "v",
                    "type": "quantitative",
                    "title": unit,
                    "scale": {"zero": zero},
                    "axis": {"tickCount": 5, **({"format": number} if number else {})},
                },
                "color": {"datum": one.name, "scale": colours, "legend": legend},
            },
        }
        for one, points in series
    ]
    return _chart({"layer": [*behind, *layers], "width": WIDTH, "height": HEIGHT})


def _columns(names: Sequence[str]) -> int:
    """How many entries of a legend fit beside each other."""
    longest = max(map(len, names), default=1)
    return max(1, min(len(names), _LETTERS // (longest + 4)))


def _hour_axis(hours: Hours, field: str) -> Json:
    labels = [hours.ticks.get(n, "") for n in range(hours.count + 1)]
    return {
        "field": field,
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, hours.count], "nice": False},
        "axis": {
            "values": list(hours.ticks),
            "labelExpr": f"{labels}[datum.value]",
            "grid": False,
            "labelFlush": True,
        },
    }


def vintages(
    rows: pl.DataFrame, hours: Hours, value: str, *, colour: str = "forecast"
) -> list[Json]:
    """Layers with a thin line a publication (``published_at``): how a forecast changed."""
    ordered = rows.sort("published_at", "interval_start").select(
        h=hours.since().round(3),
        v=pl.col(value),
        p=pl.col("published_at").rank("dense"),
    )
    return [
        {
            "data": {"values": ordered.to_dicts()},
            "mark": {
                "type": "line",
                "stroke": f"var(--{colour})",
                "strokeWidth": 0.7,
                "opacity": 0.4,
            },
            "encoding": {
                "x": _hour_axis(hours, "h"),
                "y": {"field": "v", "type": "quantitative"},
                "detail": {"field": "p"},
            },
        }
    ]


def heat(
    rows: pl.DataFrame, hours: Hours, *, unit: str, names: Sequence[str], scarce: float
) -> Drawing:
    """Cells of ``name`` x ``hour`` (of the day, from 0) coloured by ``value``; what each says is
    shown when it is pointed at. A mark shows cells below zero, and those from ``scarce`` on. The
    colours are for the ordinary values: a cell far beyond them has the first or the last one.
    """
    low, high = _ordinary(rows["value"])
    ending = dict(enumerate(hours.ending))
    cells = rows.select(
        name="name",
        ending=pl.col("hour").replace_strict(ending, return_dtype=pl.String),
        value=pl.col("value").round(2),
        mark=pl.when(pl.col("value") < 0)
        .then(pl.lit(_BELOW))
        .when(pl.col("value") >= scarce)
        .then(pl.lit("▲"))
        .otherwise(pl.lit("")),
        said=pl.format(
            "{}, hour ending {}: {} {}",
            "name",
            pl.col("hour").replace_strict(ending, return_dtype=pl.String),
            pl.col("value").round(2),
            pl.lit(unit),
        ),
    )
    shown = [label for n, label in enumerate(hours.ending) if n % 3 == 2]  # noqa: PLR2004  03, 06 …
    base: Json = {
        "x": {
            "field": "ending",
            "type": "ordinal",
            "sort": None,
            "scale": {"domain": list(hours.ending), "paddingInner": 0.04},
            "axis": {"title": "hour ending", "values": shown, "labelAngle": 0, "ticks": False},
        },
        "y": {
            "field": "name",
            "type": "ordinal",
            "sort": list(names),
            "scale": {"paddingInner": 0.06},
            "axis": {"title": None, "ticks": False, "domain": False},
        },
    }
    colour = {
        "field": "value",
        "type": "quantitative",
        "scale": {"scheme": "viridis", "domain": [low, high], "clamp": True},
        "legend": {"type": "symbol", "title": unit, "titleOrient": "left", "format": ",.0f"},
    }
    layers: list[Json] = [
        {
            "data": {"values": cells.to_dicts()},
            "mark": {"type": "rect"},
            "encoding": base | {"color": colour, "description": {"field": "said"}},
        }
    ]
    for mark, ink in (("▲", "#000"), (_BELOW, "#fff")):  # the highest cells are light, others dark
        marked = cells.filter(mark=mark).select("name", "ending", "mark")
        layers += [
            {
                "data": {"values": marked.to_dicts()},
                "mark": {"type": "text", "fontSize": 10, "fill": ink},
                "encoding": base | {"text": {"field": "mark"}},
            }
        ] * bool(len(marked))
    return _chart({"layer": layers, "width": WIDTH, "height": {"step": 22}}, said=True)


def _ordinary(values: pl.Series) -> tuple[float, float]:
    """The bounds of a scale: without values that lie far from the middle half of all."""
    found = pl.DataFrame({"v": values}).select(
        low=pl.col("v").quantile(0.25),
        high=pl.col("v").quantile(0.75),
        least=pl.col("v").min(),
        most=pl.col("v").max(),
    )
    low, high, least, most = found.row(0)
    reach = 3 * (high - low) or 1.0
    return max(least, low - reach), min(most, high + reach)


def stack(rows: pl.DataFrame, hours: Hours, *, unit: str, colours: Mapping[str, str]) -> Drawing:
    """Bars of ``value`` by ``hour`` (of the day, from 0), stacked in the order of ``colours``."""
    order = [name for name in colours if name in set(rows["name"])]
    ranks = {name: n for n, name in enumerate(order)}
    bars = rows.select(
        "name",
        h=pl.col("hour"),
        e=pl.col("hour") + 1,
        value=pl.col("value").round(1),
        rank=pl.col("name").replace_strict(ranks, return_dtype=pl.Int64),
    )
    scale = {"domain": order, "range": [colours[name] for name in order]}
    return _chart(
        {
            "data": {"values": bars.to_dicts()},
            "mark": {"type": "bar", "stroke": "var(--paper)", "strokeWidth": 0.5},
            "encoding": {
                "x": _hour_axis(hours, "h") | {"bin": "binned"},
                "x2": {"field": "e"},
                "y": {"field": "value", "type": "quantitative", "title": unit, "stack": "zero"},
                "color": {
                    "field": "name",
                    "type": "nominal",
                    "scale": scale,
                    "legend": {"title": None, "columns": _columns(order), "symbolType": "square"},
                },
                "order": {"field": "rank"},
            },
            "width": WIDTH,
            "height": HEIGHT,
        }
    )


def _chart(spec: Json, *, said: bool = False) -> Drawing:
    """The chart as SVG of a page: without a size of its own, ids, roles or anything to load."""
    drawn = vega.svg({"config": _CONFIG, **spec})
    return lambda: tidied(drawn(), said=said)


def tidied(svg: str, *, said: bool) -> str:
    """``svg`` of Vega as a part of a page.

    Without a size of its own, roles, classes, name spaces and what is not drawn. What its marks
    say, where ``said``, is shown when they are pointed at.
    """
    from lxml import etree

    root = etree.fromstring(svg.encode())
    for element in list(root.iter()):
        empty = element.get("d") == "" or element.get("display") == "none"
        if element.tag == f"{_SVG}rect" and element.getparent() is root:
            empty = True  # the background
        if empty or element.get("class") in {"background", "foreground"}:
            _drop(element)
            continue
        text = element.get("aria-label")
        mark = said and text and element.tag == f"{_SVG}path"
        for name in _OF_NO_USE & set(element.keys()):
            del element.attrib[name]
        if mark:
            etree.SubElement(element, f"{_SVG}title").text = text
    for name in ("width", "height", "version"):
        root.attrib.pop(name, "")
    root.set("role", "img")
    text = etree.tostring(root, encoding="unicode")
    return _SPACES.sub("", text)


def _drop(element: "etree._Element") -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)
