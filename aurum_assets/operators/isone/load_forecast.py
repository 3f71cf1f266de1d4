"""What the load of New England is forecast to be, hour by hour, every vintage kept.

Source: ISO New England web services, ``/hourlyloadforecast``; fields from the XSD, its newest
answer captured (without an adjustment).
Grain: publication x hour; ``published_at`` is the forecast's ``CreationDate``.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: a forecast is made about every half hour for the rest of the day and the two days after it.
A day's answer has all vintages of that day. The newest answer is one hour, the furthest one,
without the plural wrapper: it can be read, and is not asked for. A vintage may be published up to a
week before its day: no more is said.
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import DAY, HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_name
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Rule, Table
from aurum_assets.operators.isone.operator import ISONE, days_in, utc_stamp

_FURTHEST = 7 * DAY
_NOT_NEGATIVE = Rule("load_is_not_negative", pl.col("load") >= 0, ("load",))


class LoadForecastRecord(Record):
    """A record of ``HourlyLoadForecasts.HourlyLoadForecast[]``."""

    BeginDate: str
    CreationDate: str
    LoadMw: float | None = None
    LoadAdjustmentMw: float | None = None
    NetLoadMw: float | None = None


def parse_load_forecast(records: pl.DataFrame) -> pl.DataFrame:
    """``HourlyLoadForecasts.HourlyLoadForecast[]`` to one row per publication and hour."""
    start = utc_stamp("BeginDate")
    return records.select(
        published_at=utc_stamp("CreationDate"),
        interval_start=start,
        interval_end=start + HOUR,
        load=pl.col("LoadMw"),
        load_adjustment=pl.col("LoadAdjustmentMw"),
        net_load=pl.col("NetLoadMw"),
    )


ISONE_HOURLY_LOAD_FORECAST = Dataset(
    key="isone_hourly_load_forecast",
    operator=ISONE,
    table=Table(
        name="isone_hourly_load_forecast",
        columns=(
            c.OPERATING_DAY,
            c.PUBLISHED_AT,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.FORECAST_LOAD,
            c.LOAD_ADJUSTMENT,
            c.NET_LOAD,
            *c.PROVENANCE,
        ),
        key=("published_at", "interval_start"),
        values=("interval_end", "load", "load_adjustment", "net_load"),
        rules=(_NOT_NEGATIVE,),
        sort=("interval_start", "published_at"),
        published_before=_FURTHEST,
        doc="Hourly load forecasts of ISO New England, every vintage kept.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("HourlyLoadForecasts", "HourlyLoadForecast"),
            record=LoadForecastRecord,
            parse=parse_load_forecast,
            days=days_in,
            every=HOUR,
        ),
    ),
    doc=__doc__,
    group="load",
)


class RegionForecastRecord(Record):
    """A record of ``ReliabilityRegionLoadForecasts.ReliabilityRegionLoadForecast[]``; fields from
    the XSD.
    """

    BeginDate: str
    CreationDate: str
    ReliabilityRegion: str | None = None
    LoadMw: float | None = None
    ReliabilityRegionLoadPercentage: float | None = None


def parse_region_forecast(records: pl.DataFrame) -> pl.DataFrame:
    """``ReliabilityRegionLoadForecast[]`` to one row per publication, hour and region."""
    start = utc_stamp("BeginDate")
    return records.select(
        published_at=utc_stamp("CreationDate"),
        interval_start=start,
        interval_end=start + HOUR,
        region=pl.col("ReliabilityRegion"),
        load=pl.col("LoadMw"),
        share=pl.col("ReliabilityRegionLoadPercentage"),
    )


ISONE_REGION_LOAD_FORECAST = Dataset(
    key="isone_region_load_forecast",
    operator=ISONE,
    table=Table(
        name="isone_region_load_forecast",
        columns=(
            c.OPERATING_DAY,
            c.PUBLISHED_AT,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.REGION,
            c.FORECAST_LOAD,
            c.REGION_SHARE,
            *c.PROVENANCE,
        ),
        key=("published_at", "interval_start", "region"),
        values=("interval_end", "load", "share"),
        rules=(is_a_name("region"), _NOT_NEGATIVE),
        sort=("interval_start", "region", "published_at"),
        published_before=_FURTHEST,
        doc="Hourly load forecasts of New England's reliability regions, every vintage kept.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("ReliabilityRegionLoadForecasts", "ReliabilityRegionLoadForecast"),
            record=RegionForecastRecord,
            parse=parse_region_forecast,
            days=days_in,
            every=HOUR,
        ),
    ),
    doc="""What the load of New England's reliability regions is forecast to be, every vintage kept.

Source: ISO New England web services, ``/reliabilityregionloadforecast``; fields from the XSD, no
answer captured.
Grain: publication x hour x region; ``published_at`` is the forecast's ``CreationDate``.
Units: MW and %; UTC, half-open intervals stamped at their beginning.
Caveats: regions come by name, without a number. That their shares make 100 % is said nowhere, so no
rule requires it. A vintage may be published up to a week before its day: no more is said.
""",
    group="load",
)
