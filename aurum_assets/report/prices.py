"""Prices: of each operator the curves of its hubs, and what its zones paid hour by hour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from aurum_assets.model.operator import Operator
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.pjm.operator import PJM
from aurum_assets.report import charts
from aurum_assets.report.figures import Figure, Grid, money, nothing
from aurum_assets.report.hours import Hours
from aurum_assets.report.reading import Reading, as_typed

UNIT = "USD/MWh"
_DA = charts.Series("day-ahead", "ahead", 2.2, steps=True)
_RT = charts.Series("real-time, 5 min", "real", 1.1)
_VERIFIED = charts.Series("real-time, 5 min, final", "final", 1.4)
_PRELIM = charts.Series("real-time hourly, preliminary", "prelim", 1.8, (4, 2), steps=True)
_FINAL = charts.Series("real-time hourly, final", "final", 1.6, steps=True)
_SERIES = (_DA, _RT, _VERIFIED, _PRELIM, _FINAL)


@dataclass(frozen=True)
class Market:
    """What a page shows of an operator's prices; ``{day}`` in a SELECT is the operating day.

    ``hubs``: rows of ``series`` (a name of ``_SERIES``), ``id``, ``location``, interval, ``lmp``;
    drawn is the main location that ``config/marts.json`` has, else the first by name. ``zones``:
    means of real-time prices by ``location`` and ``hour`` (its start), ``zones_are`` in words.
    """

    operator: Operator
    hubs: str
    hub_tables: Sequence[str]
    zones: str
    zone_table: str
    zones_are: str


_ROW = "interval_start, interval_end, lmp"
MARKETS = (
    Market(
        ISONE,
        f"""
        select '{_DA.name}' as series, location_id as id, location_name as location,
          {_ROW}
        from isone_da_lmp where operating_day = '{{day}}' and location_id = '4000'
        union all
        select '{_RT.name}', location_id, location_name, {_ROW}
        from isone_rt_lmp
        where operating_day = '{{day}}' and location_id = '4000' and finality = 'prelim'
        union all
        select case finality when 'final' then '{_FINAL.name}' else '{_PRELIM.name}' end,
          location_id, location_name, {_ROW}
        from isone_rt_hourly_lmp where operating_day = '{{day}}' and location_id = '4000'
        order by all
        """,
        ("market.isone_da_lmp", "market.isone_rt_lmp", "market.isone_rt_hourly_lmp"),
        """
        with best as (
          from isone_rt_lmp
          where operating_day = '{day}' and location_type = 'LOAD ZONE'
          qualify row_number()
            over (partition by location_id, interval_start order by finality) = 1
        )
        select replace(location_name, '.Z.', '') as location,
          date_trunc('hour', interval_start) as hour, avg(lmp) as lmp
        from best group by all order by all
        """,
        "market.isone_rt_lmp",
        "load zones",
    ),
    Market(
        MISO,
        f"""
        select '{_DA.name}' as series, location as id, location, {_ROW}
        from miso_da_lmp where operating_day = '{{day}}'
          and market_run = 'ex_post' and location similar to '.*[.]HUB[0-9]?'
        union all
        select '{_RT.name}', location, location, {_ROW}
        from miso_expost_lmp
        where operating_day = '{{day}}' and location similar to '.*[.]HUB[0-9]?'
        union all
        select '{_PRELIM.name}', location, location, {_ROW}
        from miso_rt_hourly_lmp
        where operating_day = '{{day}}' and location similar to '.*[.]HUB[0-9]?'
        order by all
        """,
        ("market.miso_da_lmp", "market.miso_expost_lmp", "market.miso_rt_hourly_lmp"),
        """
        select location, date_trunc('hour', interval_start) as hour, avg(lmp) as lmp
        from miso_expost_lmp where operating_day = '{day}'
          and (location similar to '.*[.]HUB[0-9]?' or location = 'PJMC')
        group by all order by all
        """,
        "market.miso_expost_lmp",
        "hubs and the interface with PJM",
    ),
    Market(
        PJM,
        f"""
        select '{_DA.name}' as series, location_id as id, location_name as location,
          {_ROW}
        from pjm_da_lmp where operating_day = '{{day}}'
        union all
        select case finality when 'final' then '{_VERIFIED.name}' else '{_RT.name}' end,
          location_id, location_name, {_ROW}
        from pjm_rt_lmp where operating_day = '{{day}}'
        order by all
        """,
        ("market.pjm_da_lmp", "market.pjm_rt_lmp"),
        """
        with best as (
          from pjm_rt_lmp where operating_day = '{day}'
          qualify row_number()
            over (partition by location_id, interval_start order by finality) = 1
        )
        select location_name as location, date_trunc('hour', interval_start) as hour,
          avg(lmp) as lmp
        from best group by all order by all
        """,
        "market.pjm_rt_lmp",
        "hubs and interfaces",
    ),
)


def prices(reading: Reading, date: str) -> Iterator[Figure]:
    """The curves and the heat map of each operator that is collected, for day ``date``."""
    markets = [
        (market, Hours(reading.day(market.operator, date)))
        for market in MARKETS
        if reading.has(market.operator)
    ]
    for draw in (_curves, _zones):  # those of a kind have one height
        yield from (draw(reading, market, hours) for market, hours in markets)


def _curves(reading: Reading, market: Market, hours: Hours) -> Figure:
    """All prices of the main hub; where there are others, the means of each in a table."""
    date, operator = hours.day.key, market.operator
    select = as_typed(market.hubs.format(day=date))
    rows = reading.rows(select).drop_nulls("lmp")
    main = reading.choices.main_locations.get(operator.name)
    named = rows.select("location", first=pl.col("id") != main).unique().sort("first", "location")
    known = named["location"].unique(maintain_order=True).to_list()
    name, about = f"{operator.name}-hub", f"{UNIT}; {hours.clock}"
    if not known:
        said = nothing(market.hub_tables, date)
        return Figure(name, f"{operator.title}: hub", about, market.hub_tables, select, said)
    hub = rows.filter(location=known[0])
    drawn = [(one, ours) for one in _SERIES if len(ours := hub.filter(series=one.name))]
    paths = [(one, charts.path(ours, hours, "lmp", steps=one.steps)) for one, ours in drawn]
    return Figure(
        name,
        f"{operator.title}: {known[0]}",
        about,
        market.hub_tables,
        select,
        _extremes(hub, hours),
        charts.lines(paths, hours, unit=UNIT),
        _means(rows, known),
    )


def _extremes(hub: pl.DataFrame, hours: Hours) -> str:
    """The highest and the lowest five-minute price, and when."""
    spot = hub.filter(pl.col("series").is_in([_RT.name, _VERIFIED.name])).sort("lmp")
    if spot.is_empty():
        return "No real-time price of five minutes is held."
    low, high = spot.row(0, named=True), spot.row(-1, named=True)
    return (
        f"Real time: highest {money(high['lmp'])} at {hours.time(high['interval_start'])}, "
        f"lowest {money(low['lmp'])} at {hours.time(low['interval_start'])}."
    )


def _means(rows: pl.DataFrame, known: Sequence[str]) -> Grid:
    """The mean of each series (columns) by hub, and how much real time was dearer."""
    mean = {
        (location, series): value
        for location, series, value in rows.group_by("location", "series")
        .agg(pl.col("lmp").mean())
        .iter_rows()
    }
    shown = [one for one in _SERIES if any((hub, one.name) in mean for hub in known)]
    names = ["mean", *(one.name for one in shown)]
    cells = [
        [hub, *(money(mean[hub, one.name]) if (hub, one.name) in mean else "" for one in shown)]
        for hub in known
    ]
    return Grid(names, cells, frozenset(names[1:]))


def _zones(reading: Reading, market: Market, hours: Hours) -> Figure:
    """Real-time prices by zone and hour."""
    date, operator, tables = hours.day.key, market.operator, (market.zone_table,)
    select = as_typed(market.zones.format(day=date))
    rows = reading.rows(select).drop_nulls("lmp")
    name, title = f"{operator.name}-zones", f"{operator.title}: {market.zones_are}, real time"
    about = f"{UNIT}, mean of five-minute prices; {hours.clock}"
    if rows.is_empty():
        return Figure(name, title, about, tables, select, nothing(tables, date))
    cells = rows.select(
        name="location", hour=hours.since("hour").round().cast(pl.Int64), value="lmp"
    )
    order = cells.group_by("name").agg(pl.col("value").mean()).sort("value", descending=True)
    high = cells.sort("value").row(-1, named=True)
    low = cells.sort("value").row(0, named=True)
    said = (
        f"Dearest: {high['name']}, hour ending {hours.ending[high['hour']]}, "
        f"{money(high['value'])}. Cheapest: {low['name']}, hour ending "
        f"{hours.ending[low['hour']]}, {money(low['value'])}."
    )
    names, scarce = order["name"].to_list(), reading.choices.scarcity_price
    chart = charts.heat(cells, hours, unit=UNIT, names=names, scarce=scarce)
    return Figure(name, title, about, tables, select, said, chart)
