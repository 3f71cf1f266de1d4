"""The load of New England's power system, every five minutes.

What the system draws, with and without asset-related demand (pumps), and what it would draw if
the solar behind the meter were counted.

Source: ISO New England web services, ``/fiveminutesystemload``.
Grain: five minutes.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: published about five minutes after the interval. The newest answer comes without the
plural wrapper that a day's answer has.
"""

from dataclasses import replace

import polars as pl

from aurum_assets.markets.isone.source import ISONE, days_said, utc_stamp
from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Rule, Table


class SystemLoadRecord(Record):
    """A record of ``FiveMinSystemLoads.FiveMinSystemLoad[]``."""

    BeginDate: str
    LoadMw: float | None = None
    NativeLoad: float | None = None
    ArdDemand: float | None = None
    SystemLoadBtmPv: float | None = None
    NativeLoadBtmPv: float | None = None


def parse_system_load(records: pl.DataFrame) -> pl.DataFrame:
    """``FiveMinSystemLoads.FiveMinSystemLoad[]`` to one row per interval."""
    start = utc_stamp("BeginDate")
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        load=pl.col("LoadMw"),
        native_load=pl.col("NativeLoad"),
        ard_demand=pl.col("ArdDemand"),
        load_btm_pv=pl.col("SystemLoadBtmPv"),
        native_load_btm_pv=pl.col("NativeLoadBtmPv"),
    )


_LOADS = ("load", "native_load", "ard_demand", "load_btm_pv", "native_load_btm_pv")

_LIVE = Dialect(
    name="live",
    path=("FiveMinSystemLoads", "FiveMinSystemLoad"),
    record=SystemLoadRecord,
    parse=parse_system_load,
    days=days_said,
    every=FIVE_MINUTES,
)

ISONE_SYSTEM_LOAD = Dataset(
    key="isone_system_load",
    source=ISONE,
    table=Table(
        name="isone_system_load",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.LOAD,
            c.NATIVE_LOAD,
            c.ARD_DEMAND,
            c.LOAD_BTM_PV,
            c.NATIVE_LOAD_BTM_PV,
            *c.PROVENANCE,
        ),
        key=("interval_start",),
        hashed=("interval_end", *_LOADS),
        rules=(Rule("load_is_not_negative", pl.col("load") >= 0, ("load",)),),
        sort=("interval_start",),
        doc="Five-minute system load of ISO New England.",
    ),
    dialects=(_LIVE, replace(_LIVE, name="documented")),
    doc=__doc__,
    group="load",
)
