"""Load beside its forecasts, and generation by fuel in the vocabulary of all operators."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from aurum_assets.model.operator import Operator
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.report import charts
from aurum_assets.report.figures import Figure, megawatts, nothing
from aurum_assets.report.hours import Hours
from aurum_assets.report.reading import Reading, as_typed

_ACTUAL = charts.Series("load", "real", 1.8)
_DAY_BEFORE = charts.Series("forecast of the day before", "ahead", 1.6, (5, 3))
_LAST = charts.Series("last forecast before the hour", "forecast", 1.4)
_CLEARED = charts.Series("cleared day-ahead", "final", 1.4, (2, 2), steps=True)
_SERIES = (_ACTUAL, _DAY_BEFORE, _LAST, _CLEARED)
FUELS = {  # from below; colours of the page
    "nuclear": "var(--f-nuclear)",
    "coal": "var(--f-coal)",
    "natural gas": "var(--f-gas)",
    "oil": "var(--f-oil)",
    "hydro": "var(--f-hydro)",
    "biomass": "var(--f-biomass)",
    "wind": "var(--f-wind)",
    "solar": "var(--f-solar)",
    "battery": "var(--f-battery)",
    "imports": "var(--f-imports)",
    "other": "var(--f-other)",
}


@dataclass(frozen=True)
class Area:
    """What a page shows of an operator's load; ``{day}``, ``{start}``: the day and its beginning.

    ``loads``: rows of ``series`` (a name of ``_SERIES``), interval and ``load`` (MW). ``mix``: mean
    ``generation`` (MW) by ``hour`` (its start) and ``fuel``.
    """

    operator: Operator
    loads: str
    load_tables: Sequence[str]
    mix: str
    mix_table: str


def _forecasts(table: str, column: str) -> str:
    """The forecast known before the day began, and the last one before each hour."""
    return f"""
        select '{_DAY_BEFORE.name}', interval_start, interval_end, {column}
        from {table} where operating_day = '{{day}}' and published_at < '{{start}}'
        qualify row_number()
          over (partition by interval_start order by published_at desc) = 1
        union all
        select '{_LAST.name}', interval_start, interval_end, {column}
        from {table} where operating_day = '{{day}}' and published_at <= interval_start
        qualify row_number()
          over (partition by interval_start order by published_at desc) = 1
        """


def _mix(table: str, source: str) -> str:
    """Means of an hour, of each category first, for several may be one fuel."""
    return f"""
        with hourly as (
          select date_trunc('hour', interval_start) as hour, fuel, avg(generation) as generation
          from {table} where operating_day = '{{day}}' group by all
        )
        select hour, coalesce(f.fuel, lower(hourly.fuel)) as fuel, sum(generation) as generation
        from hourly left join fuels f
          on f.source = '{source}' and f.level = 'category' and f.category = hourly.fuel
        group by all order by all
        """


AREAS = (
    Area(
        ISONE,
        f"""
        select '{_ACTUAL.name}' as series, interval_start, interval_end, load
        from isone_system_load where operating_day = '{{day}}'
        union all {_forecasts("isone_hourly_load_forecast", "load")}
        order by all
        """,
        ("market.isone_system_load", "market.isone_hourly_load_forecast"),
        _mix("isone_generation_mix", "isone"),
        "market.isone_generation_mix",
    ),
    Area(
        MISO,
        f"""
        select '{_ACTUAL.name}' as series, interval_start, interval_end, load
        from miso_load where operating_day = '{{day}}'
        union all
        select '{_CLEARED.name}', interval_start, interval_end, cleared_load
        from miso_cleared_load where operating_day = '{{day}}'
        union all {_forecasts("miso_load_forecast", "load_forecast")}
        order by all
        """,
        ("market.miso_load", "market.miso_cleared_load", "market.miso_load_forecast"),
        _mix("miso_fuel_mix", "miso"),
        "market.miso_fuel_mix",
    ),
)


def loads(reading: Reading, date: str) -> Iterator[Figure]:
    """Load and mix of each operator that is collected, for operating day ``date``."""
    areas = [
        (area, Hours(reading.day(area.operator, date)))
        for area in AREAS
        if reading.has(area.operator)
    ]
    for draw in (_load, _generation):  # those of a kind have one height
        yield from (draw(reading, area, hours) for area, hours in areas)


def _load(reading: Reading, area: Area, hours: Hours) -> Figure:
    date, operator = hours.day.key, area.operator
    start = f"{hours.day.start:%FT%RZ}"
    select = as_typed(area.loads.format(day=date, start=start))
    rows = reading.rows(select).drop_nulls("load")
    name, title, about = f"{operator.name}-load", f"{operator.title}: load", f"MW; {hours.clock}"
    if rows.is_empty():
        said = nothing(area.load_tables, date)
        return Figure(name, title, about, area.load_tables, select, said)
    drawn = [(one, ours) for one in _SERIES if len(ours := rows.filter(series=one.name))]
    paths = [(one, charts.path(ours, hours, "load", steps=one.steps)) for one, ours in drawn]
    chart = charts.lines(paths, hours, unit="MW", number="~s")
    return Figure(name, title, about, area.load_tables, select, _peak(rows, hours), chart)


def _peak(rows: pl.DataFrame, hours: Hours) -> str:
    """The peak, when it was, and how far the forecast of the day before was from the load."""
    actual = rows.filter(series=_ACTUAL.name)
    if actual.is_empty():
        return "No actual load is held."
    top = actual.sort("load").row(-1, named=True)
    said = f"Peak {megawatts(top['load'])} MW at {hours.time(top['interval_start'])}."
    hourly = actual.group_by(pl.col("interval_start").dt.truncate("1h")).agg(pl.col("load").mean())
    before = rows.filter(series=_DAY_BEFORE.name).select("interval_start", said="load")
    both = hourly.join(before, on="interval_start")
    if both.is_empty():
        return said
    error = both.select(((pl.col("said") - pl.col("load")) / pl.col("load")).abs().mean()).item()
    return f"{said} The forecast of the day before was off by {error:.1%} on average of the hours."


def _generation(reading: Reading, area: Area, hours: Hours) -> Figure:
    date, operator, tables = hours.day.key, area.operator, (area.mix_table, "reference.fuels")
    select = as_typed(area.mix.format(day=date))
    rows = reading.rows(select).drop_nulls("generation")
    name, title = f"{operator.name}-mix", f"{operator.title}: generation by fuel"
    about = f"MW, means of hours; {hours.clock}"
    if rows.is_empty():
        return Figure(name, title, about, tables, select, nothing(tables[:1], date))
    known = pl.col("fuel").is_in(list(FUELS))
    bars = (
        rows.select(
            name=pl.when(known).then("fuel").otherwise(pl.lit("other")),
            hour=hours.since("hour").round().cast(pl.Int64),
            value="generation",
        )
        .group_by("name", "hour")
        .agg(pl.col("value").sum())
    )
    shares = bars.filter(pl.col("value") > 0).group_by("name").agg(pl.col("value").sum())
    top = shares.sort("value", descending=True).head(3)
    total = shares["value"].sum()
    said = ", ".join(f"{fuel} {value / total:.0%}" for fuel, value in top.iter_rows())
    chart = charts.stack(bars, hours, unit="MW", colours=FUELS)
    return Figure(name, title, about, tables, select, f"Most of it: {said}.", chart)
