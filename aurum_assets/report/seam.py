"""The seam of MISO and PJM: what CTS forecast, what happened, the spread, the scheduled flow."""

from collections.abc import Iterator

import polars as pl

from aurum_assets.model.clock import FIFTEEN_MINUTES
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.report import charts
from aurum_assets.report.figures import Figure, megawatts, money, nothing
from aurum_assets.report.hours import Hours
from aurum_assets.report.reading import Reading, as_typed

_UNIT = "USD/MWh"
_LAST = charts.Series("last forecast", "forecast", 1.8, steps=True)
_MISO = charts.Series("MISO at PJMC", "ahead", 1.4, steps=True)
_PJM = charts.Series("PJM at MISO", "real", 1.6, steps=True)
_EXPECTED = charts.Series("forecast", "forecast", 1.6, steps=True)
_PLACES = 6  # as in the marts: means of equal prices differ in their last bits
_REALIZED = charts.Series("realized", "real", 1.8, steps=True)
_ROW = ("interval_start", "interval_end", "lmp")
_FORECASTS = {"CTS": "market.miso_cts", "IT SCED": "market.pjm_itsced_lmp"}
_FLOW = charts.Series("net scheduled interchange", "ahead", 1.6)
# 40523629: PJM's interface with MISO, PJMC: MISO's with PJM; see config/interfaces.csv.
_VINTAGES = """
    select 'CTS' as forecast, published_at, interval_start, interval_end, lmp
    from miso_cts
    where operating_day between '{before}' and '{day}' and location = 'PJM'
      and interval_start >= '{start}' and interval_start < '{end}'
      and published_at <= interval_start
    union all
    select 'IT SCED', published_at, interval_start, interval_end, lmp
    from pjm_itsced_lmp
    where operating_day between '{before}' and '{after}' and location_id = '40523629'
      and interval_start >= '{start}' and interval_start < '{end}'
      and published_at <= interval_start
    order by all
"""
_PRICES = """
    with quarter as (
      select 'miso' as side, time_bucket(interval '15 minutes', interval_start) as interval_start,
        avg(lmp) as lmp
      from miso_expost_lmp where operating_day = '{day}' and location = 'PJMC'
      group by all
      union all
      select 'pjm', time_bucket(interval '15 minutes', interval_start), avg(lmp)
      from (
        from pjm_rt_lmp
        where operating_day between '{day}' and '{after}' and location_id = '40523629'
          and interval_start >= '{start}' and interval_start < '{end}'
        qualify row_number() over (partition by interval_start order by finality) = 1
      ) group by all
    )
    select side, interval_start, interval_start + interval '15 minutes' as interval_end, lmp
    from quarter order by all
"""
_FLOWS = """
    select interval_start, interval_end, interchange
    from miso_interchange where operating_day = '{day}' and neighbour = 'PJM'
    order by all
"""


def seam(reading: Reading, date: str) -> Iterator[Figure]:
    """The fan of forecasts, the spread and the flow of operating day ``date`` of MISO."""
    if not reading.has(MISO):
        return
    hours = Hours(reading.day(MISO, date))
    day = hours.day
    values = {
        "day": day.key,
        "before": day.plus(-1).key,
        "after": day.plus(1).key,
        "start": f"{day.start:%FT%RZ}",
        "end": f"{day.end:%FT%RZ}",
    }
    select = as_typed(_PRICES.format(**values))
    sides = reading.rows(select).drop_nulls("lmp")
    fan = as_typed(_VINTAGES.format(**values))
    forecasts = reading.rows(fan).drop_nulls("lmp")
    known = [name for name in _FORECASTS if len(forecasts.filter(forecast=name))]
    name = known[0] if known else "CTS"
    ours = forecasts.filter(forecast=name).sort("published_at")
    last = ours.unique("interval_start", keep="last", maintain_order=True)
    quarter = pl.col("interval_start").dt.truncate("15m")  # IT SCED has shorter intervals
    means = (
        last.group_by(quarter)
        .agg(pl.col("lmp").mean())
        .with_columns(
            side=pl.lit("forecast"), interval_end=pl.col("interval_start") + FIFTEEN_MINUTES
        )
    )
    sides = pl.concat([sides, means.select("side", *_ROW)])
    yield _fan(hours, fan, name, ours, sides)
    yield _spread(hours, select, sides)
    yield _flow(reading, hours, as_typed(_FLOWS.format(**values)))


def _fan(hours: Hours, select: str, name: str, rows: pl.DataFrame, sides: pl.DataFrame) -> Figure:
    """Every vintage as a thin line, the last forecast of each interval, and what happened."""
    tables = (_FORECASTS[name], "market.miso_expost_lmp", "market.pjm_rt_lmp")
    about = f"{_UNIT}; a thin line is one publication; {hours.clock}"
    title = f"{name}: PJM's price at the interface, forecast and realized"
    if rows.is_empty():
        said = nothing(tuple(_FORECASTS.values()), hours.day.key, " before its intervals")
        return Figure("seam-fan", title, about, tables, select, said)
    sides_of = ((_MISO, "miso"), (_LAST, "forecast"), (_PJM, "pjm"))
    drawn = [(one, ours) for one, side in sides_of if len(ours := sides.filter(side=side))]
    paths = [(one, charts.path(ours, hours, "lmp", steps=True)) for one, ours in drawn]
    span = rows.group_by("interval_start").agg(range=pl.col("lmp").max() - pl.col("lmp").min())
    widest = span.sort("range").row(-1, named=True)
    median = span.select(pl.median("range")).item()
    said = (
        f"{rows['published_at'].n_unique():,} publications. What they said of an interval lay "
        f"{money(median)} apart at the median, {money(widest['range'])} at most, "
        f"at {hours.time(widest['interval_start'])}."
    )
    if sides.filter(side="pjm").is_empty():
        said += " PJM's own price is not held: compare with MISO's at the interface."
    chart = charts.lines(paths, hours, unit=_UNIT, behind=charts.vintages(rows, hours, "lmp"))
    return Figure("seam-fan", title, about, tables, select, said, chart)


def _spread(hours: Hours, select: str, sides: pl.DataFrame) -> Figure:
    """MISO less PJM: as forecast last, and as it became."""
    tables = ("market.miso_expost_lmp", "market.pjm_rt_lmp", "market.miso_cts")
    title, about = "Spread: MISO less PJM at the interface", f"{_UNIT}; {hours.clock}"
    by_side = {side: sides.filter(side=side).select(_ROW) for side in ("miso", "forecast", "pjm")}
    spreads = {
        one: by_side["miso"]
        .join(by_side[side], on=_ROW[:2], suffix="_of_pjm")
        .with_columns(spread=(pl.col("lmp") - pl.col("lmp_of_pjm")).round(_PLACES) + 0.0)
        for one, side in ((_EXPECTED, "forecast"), (_REALIZED, "pjm"))
    }
    drawn = [(one, rows) for one, rows in spreads.items() if len(rows)]
    if not drawn:
        said = "No interval has both a price of MISO and one of PJM, or a forecast of it."
        return Figure("seam-spread", title, about, tables, select, said)
    paths = [(one, charts.path(rows, hours, "spread", steps=True)) for one, rows in drawn]
    one, rows = drawn[-1]
    above, mean = len(rows.filter(pl.col("spread") > 0)), rows.select(pl.mean("spread")).item()
    said = (
        f"{one.name.capitalize()}: MISO was dearer in {above} of {len(rows)} quarters of an hour; "
        f"on average the spread was {money(mean)}."
    )
    chart = charts.lines(paths, hours, unit=_UNIT, zero=True)
    return Figure("seam-spread", title, about, tables, select, said, chart)


def _flow(reading: Reading, hours: Hours, select: str) -> Figure:
    """What was scheduled to flow."""
    tables = ("market.miso_interchange",)
    title, about = "Scheduled flow with PJM", f"MW, import of MISO is negative; {hours.clock}"
    rows = reading.rows(select).drop_nulls("interchange")
    if rows.is_empty():
        return Figure("seam-flow", title, about, tables, select, nothing(tables, hours.day.key))
    paths = [(_FLOW, charts.path(rows, hours, "interchange", steps=False))]
    inward = rows.filter(pl.col("interchange") < 0)
    mean = rows.select(pl.mean("interchange")).item()
    said = f"{megawatts(mean)} MW on average; into MISO in {len(inward)} of {len(rows)} intervals."
    chart = charts.lines(paths, hours, unit="MW", zero=True, number="~s")
    return Figure("seam-flow", title, about, tables, select, said, chart)
