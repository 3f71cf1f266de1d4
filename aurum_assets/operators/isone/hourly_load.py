"""The load of New England's power system, hour by hour.

Source: ISO New England web services, ``/hourlysysload``; fields from the XSD, no answer captured.
Grain: hour x area.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: 23 and 25 hours on the days when clocks change. Nothing published says that ``load`` is
``native_load`` plus ``ard_demand`` here, as it is in the five-minute feed, so no rule requires it.
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_number
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Rule, Table
from aurum_assets.operators.isone.operator import ISONE, Area, days_in, utc_stamp


class HourlyLoadRecord(Record):
    """A record of ``HourlySystemLoads.HourlySystemLoad[]``; fields from the XSD."""

    BeginDate: str
    Location: Area
    Load: float | None = None
    NativeLoad: float | None = None
    ArdDemand: float | None = None


def parse_hourly_load(records: pl.DataFrame) -> pl.DataFrame:
    """``HourlySystemLoads.HourlySystemLoad[]`` to one row per hour and area."""
    start = utc_stamp("BeginDate")
    return records.select(
        interval_start=start,
        interval_end=start + HOUR,
        location_id=pl.col("Location.@LocId"),
        location_name=pl.col("Location.$"),
        load=pl.col("Load"),
        native_load=pl.col("NativeLoad"),
        ard_demand=pl.col("ArdDemand"),
    )


ISONE_HOURLY_SYSTEM_LOAD = Dataset(
    key="isone_hourly_system_load",
    operator=ISONE,
    table=Table(
        name="isone_hourly_system_load",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.AREA_ID,
            c.LOCATION_NAME,
            c.HOURLY_LOAD,
            c.NATIVE_LOAD,
            c.ARD_DEMAND,
            *c.PROVENANCE,
        ),
        key=("interval_start", "location_id"),
        values=("interval_end", "load", "native_load", "ard_demand"),
        rules=(
            is_a_number("location_id"),
            Rule("load_is_not_negative", pl.col("load") >= 0, ("load",)),
        ),
        doc="Hourly system load of ISO New England.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("HourlySystemLoads", "HourlySystemLoad"),
            record=HourlyLoadRecord,
            parse=parse_hourly_load,
            days=days_in,
            every=HOUR,
        ),
    ),
    doc=__doc__,
    group="load",
)
