"""Demand of New England by location, hour by hour, as it was settled.

Source: ISO New England web services, ``/realtimehourlydemand``; its newest answer was captured.
Grain: hour x location: the eight load zones.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: settled demand is out about five days later, a whole day at a time; the newest answer is
the last hour of such a day. A day is asked for location by location.
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_number
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.operator import ISONE, Area, days_in, utc_stamp


class DemandRecord(Record):
    """A record of ``HourlyRtDemands.HourlyRtDemand[]`` and ``HourlyDaDemands.HourlyDaDemand[]``."""

    BeginDate: str
    Location: Area
    Load: float | None = None


def parse_demand(records: pl.DataFrame) -> pl.DataFrame:
    """``HourlyRtDemand[]`` or ``HourlyDaDemand[]`` to one row per hour and location."""
    start = utc_stamp("BeginDate")
    return records.select(
        interval_start=start,
        interval_end=start + HOUR,
        location_id=pl.col("Location.@LocId"),
        location_name=pl.col("Location.$"),
        load=pl.col("Load"),
    )


def _demand(key: str, wrapper: str, title: str, doc: str) -> Dataset:
    return Dataset(
        key=key,
        operator=ISONE,
        table=Table(
            name=key,
            columns=(
                c.OPERATING_DAY,
                c.INTERVAL_START,
                c.INTERVAL_END,
                c.AREA_ID,
                c.LOCATION_NAME,
                c.HOURLY_DEMAND,
                *c.PROVENANCE,
            ),
            key=("interval_start", "location_id"),
            values=("interval_end", "load"),
            rules=(is_a_number("location_id"),),
            doc=title,
        ),
        dialects=(
            Dialect(
                name="live",
                path=(wrapper, wrapper.removesuffix("s")),
                record=DemandRecord,
                parse=parse_demand,
                days=days_in,
                every=HOUR,
            ),
        ),
        doc=doc,
        group="load",
    )


ISONE_RT_HOURLY_DEMAND = _demand(
    "isone_rt_hourly_demand",
    "HourlyRtDemands",
    "Settled hourly demand of New England's load zones.",
    __doc__,
)
ISONE_DA_HOURLY_DEMAND = _demand(
    "isone_da_hourly_demand",
    "HourlyDaDemands",
    "Hourly demand that cleared day-ahead in New England, by location.",
    """Demand that cleared in New England's day-ahead market, hour by hour and by location.

Source: ISO New England web services, ``/dayaheadhourlydemand``; its newest answer was captured.
Grain: hour x location: the NEPOOL area (32), the hub and the eight load zones.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: published with the day-ahead market, on the day before. The hub's may be below zero, where
more is sold there than bought. A day is asked for location by location. That the locations make the
area's demand is not required: in the captured hour they make 244.1 MW less.
""",
)
