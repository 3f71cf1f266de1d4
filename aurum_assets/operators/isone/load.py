"""The load of New England's power system, every five minutes.

What the system draws, with and without asset-related demand, and what it would draw if the solar
behind the meter were counted. ``load`` is native load plus asset-related demand: it includes what
pumps and storage draw.

Source: ISO New England web services, ``/fiveminutesystemload``.
Grain: five minutes.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: published about five minutes after the interval. The newest answer comes without the
plural wrapper that a day's answer has.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_number
from aurum_assets.model.reading import Record, local_days
from aurum_assets.model.table import Rule, Table
from aurum_assets.operators.isone.operator import ISONE, days_in, utc_stamp


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
    days=days_in,
    every=FIVE_MINUTES,
)

ISONE_SYSTEM_LOAD = Dataset(
    key="isone_system_load",
    operator=ISONE,
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
        values=("interval_end", *_LOADS),
        rules=(Rule("load_is_not_negative", pl.col("load") >= 0, ("load",)),),
        doc="Five-minute system load of ISO New England.",
    ),
    dialects=(_LIVE, replace(_LIVE, name="documented")),
    doc=__doc__,
    group="load",
)


class ZonalLoadRecord(Record):
    """A record of the newer feed style: snake_case, behind a wrapper of its own."""

    interval_begin_date: str
    load_zone_id: int | str
    load_zone_name: str | None = None
    estimated_load_mw: float | None = None
    estimated_btm_pv_mw: float | None = None


def parse_zonal_load(records: pl.DataFrame) -> pl.DataFrame:
    """``five_min_estimated_zonal_load[]`` to one row per interval and zone."""
    start = utc_stamp("interval_begin_date")
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        load_zone_id=pl.col("load_zone_id"),
        load_zone_name=pl.col("load_zone_name"),
        load=pl.col("estimated_load_mw"),
        btm_pv=pl.col("estimated_btm_pv_mw"),
    )


def _zonal_days(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    del header
    return local_days([r.get("interval_begin_date") for r in records], ISONE.zone)


ISONE_ZONAL_LOAD = Dataset(
    key="isone_zonal_load",
    operator=ISONE,
    table=Table(
        name="isone_zonal_load",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.LOAD_ZONE_ID,
            c.LOAD_ZONE_NAME,
            c.ESTIMATED_LOAD,
            c.ESTIMATED_BTM_PV,
            *c.PROVENANCE,
        ),
        key=("interval_start", "load_zone_id"),
        values=("interval_end", "load", "btm_pv"),
        rules=(is_a_number("load_zone_id"),),
        doc="Five-minute estimated load of New England's load zones.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=(
                "isone_web_services",
                "five_min_estimated_zonal_loads",
                "five_min_estimated_zonal_load",
            ),
            record=ZonalLoadRecord,
            parse=parse_zonal_load,
            days=_zonal_days,
            every=FIVE_MINUTES,
            quoted_numbers=True,
        ),
    ),
    doc="""Estimated load of New England's eight load zones, every five minutes.

Source: ISO New England web services, ``/fiveminuteestimatedzonalload``.
Grain: five minutes x load zone.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: estimates; behind-the-meter solar comes beside the load and is not part of it, so that a
zone with much of it may be below zero at a sunny noon.
""",
    group="load",
)
