"""Regulation, reserves and day-ahead ancillary services of ISO New England.

Regulation clearing prices every five minutes: what a megawatt of regulation service and capacity
was paid.

Source: ISO New England web services, ``/fiveminutercp`` and ``/hourlyrcp``.
Grain: five minutes x finality (hourly, final, in the same table by their interval).
Units: USD/MW; UTC, half-open intervals stamped at their beginning.
Caveats: stamps are sometimes :01 or :02 past the interval; ``interval_start`` is aligned,
``source_stamp`` is what came. The one price that stood for both before 2015 is not read. The label
``hour_ending`` is a name of the interval's hour, so it is none of the values.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_name, is_a_number
from aurum_assets.model.reading import Record, local_days
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.operator import (
    FINALITY_IS_KNOWN,
    ISONE,
    SYSTEM,
    days_in,
    utc_stamp,
)


class RegulationRecord(Record):
    """A record of ``FiveMinRcps.FiveMinRcp[]`` and ``HourlyRcps.HourlyRcp[]``."""

    BeginDate: str
    RegServiceClearingPrice: float | None = None
    RegCapacityClearingPrice: float | None = None
    HourEnd: int | str | None = None


def parse_regulation_prices(records: pl.DataFrame) -> pl.DataFrame:
    """``FiveMinRcps.FiveMinRcp[]`` to one row per interval; stamps aligned to five minutes."""
    stamp = utc_stamp("BeginDate")
    start = stamp.dt.truncate("5m")
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        source_stamp=stamp,
        service_price=pl.col("RegServiceClearingPrice"),
        capacity_price=pl.col("RegCapacityClearingPrice"),
        hour_ending=pl.col("HourEnd"),
    )


def parse_hourly_regulation_prices(records: pl.DataFrame) -> pl.DataFrame:
    """``HourlyRcps.HourlyRcp[]`` to one row per hour."""
    hourly = pl.col("interval_start") + HOUR
    return parse_regulation_prices(records).with_columns(interval_end=hourly)


_REGULATION = Dialect(
    name="live",
    path=("FiveMinRcps", "FiveMinRcp"),
    record=RegulationRecord,
    parse=parse_regulation_prices,
    days=days_in,
    every=FIVE_MINUTES,
)

ISONE_REGULATION_PRICES = Dataset(
    key="isone_regulation_prices",
    operator=ISONE,
    table=Table(
        name="isone_regulation_prices",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.SOURCE_STAMP,
            c.SERVICE_PRICE,
            c.CAPACITY_PRICE,
            c.HOUR_ENDING,
            c.FINALITY,
            *c.PROVENANCE,
        ),
        key=("interval_start", "interval_end", "finality"),
        values=("source_stamp", "service_price", "capacity_price"),
        rules=(FINALITY_IS_KNOWN,),
        added=("hour_ending",),
        ragged="stamps are sometimes a second or two past the interval",
        doc="Regulation clearing prices of ISO New England.",
    ),
    dialects=(
        _REGULATION,
        replace(
            _REGULATION,
            name="live_hourly",
            path=("HourlyRcps", "HourlyRcp"),
            parse=parse_hourly_regulation_prices,
            every=HOUR,
        ),
    ),
    doc=__doc__,
    group="ancillary",
)


class ReserveRecord(Record):
    """A record of ``FiveMinReservePrices.FiveMinReservePrice[]``; fields from the XSD."""

    BeginDate: str
    ReserveZoneId: int | str
    IntervalBeginDate: str | None = None
    ReserveZoneName: str | None = None
    TenMinSpinRequirement: float | None = None
    Total10MinRequirement: float | None = None
    Total30MinRequirement: float | None = None
    TmsrDesignatedMw: float | None = None
    TmsrClearingPrice: float | None = None
    TmnsrDesignatedMw: float | None = None
    TmnsrClearingPrice: float | None = None
    TmorDesignatedMw: float | None = None
    TmorClearingPrice: float | None = None


def parse_reserve_prices(records: pl.DataFrame) -> pl.DataFrame:
    """``FiveMinReservePrices.FiveMinReservePrice[]`` to one row per interval and reserve zone.

    The interval is that of ``IntervalBeginDate`` where the operator names it, else the stamp's.
    """
    stamp = utc_stamp("BeginDate")
    start = pl.coalesce(utc_stamp("IntervalBeginDate"), stamp.dt.truncate("5m"))
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        source_stamp=stamp,
        reserve_zone_id=pl.col("ReserveZoneId"),
        reserve_zone_name=pl.col("ReserveZoneName"),
        tmsr_price=pl.col("TmsrClearingPrice"),
        tmsr_mw=pl.col("TmsrDesignatedMw"),
        tmnsr_price=pl.col("TmnsrClearingPrice"),
        tmnsr_mw=pl.col("TmnsrDesignatedMw"),
        tmor_price=pl.col("TmorClearingPrice"),
        tmor_mw=pl.col("TmorDesignatedMw"),
        ten_minute_spin_requirement=pl.col("TenMinSpinRequirement"),
        ten_minute_requirement=pl.col("Total10MinRequirement"),
        thirty_minute_requirement=pl.col("Total30MinRequirement"),
    )


_RESERVES = (*c.TMSR, *c.TMNSR, *c.TMOR)
_REQUIREMENTS = (
    c.TEN_MINUTE_SPIN_REQUIREMENT,
    c.TEN_MINUTE_REQUIREMENT,
    c.THIRTY_MINUTE_REQUIREMENT,
)

ISONE_RESERVE_PRICES = Dataset(
    key="isone_reserve_prices",
    operator=ISONE,
    table=Table(
        name="isone_reserve_prices",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.SOURCE_STAMP,
            c.RESERVE_ZONE_ID,
            c.RESERVE_ZONE_NAME,
            *_RESERVES,
            *_REQUIREMENTS,
            c.FINALITY,
            *c.PROVENANCE,
        ),
        key=("interval_start", "reserve_zone_id", "finality"),
        values=(
            "interval_end",
            "source_stamp",
            *(column.name for column in (*_RESERVES, *_REQUIREMENTS)),
        ),
        rules=(FINALITY_IS_KNOWN, is_a_number("reserve_zone_id")),
        ragged="stamps are sometimes a second or two past the interval",
        doc="Reserve prices, designations and requirements of ISO New England by reserve zone.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("FiveMinReservePrices", "FiveMinReservePrice"),
            record=ReserveRecord,
            parse=parse_reserve_prices,
            days=days_in,
            every=FIVE_MINUTES,
        ),
    ),
    doc="""Real-time reserves of New England by zone, every five minutes: prices and quantities.

Clearing prices and designated megawatts of ten-minute spinning (TMSR), ten-minute non-spinning
(TMNSR) and thirty-minute operating reserve (TMOR), and what was required.

Source: ISO New England web services, ``/fiveminutereserveprice``; fields as in the XSD.
Grain: five minutes x reserve zone x finality.
Units: USD/MWh, MW; UTC, half-open intervals stamped at their beginning.
Caveats: stamps are sometimes :01 or :02 past the interval; ``source_stamp`` is what came. 7000 is
the whole system (ROS); the zones 7001 to 7003 (SWCT, CT, NEMABSTN) have no requirement of
ten-minute reserve: null there is what the operator means.
""",
    group="ancillary",
)


class AncillaryRecord(Record):
    """A record of ``AncillaryServices.AncillaryService[]``: a stand-in of ours for a shape that is
    documented by its fields only (product, zone, price, MW).
    """

    BeginDate: str
    Product: str
    Zone: str
    Price: float | None = None
    Mw: float | None = None


def parse_ancillary_services(records: pl.DataFrame) -> pl.DataFrame:
    """``AncillaryServices.AncillaryService[]`` to one row per hour, product and zone."""
    start = utc_stamp("BeginDate")
    return records.select(
        interval_start=start,
        interval_end=start + HOUR,
        product=pl.col("Product"),
        zone=pl.col("Zone"),
        price=pl.col("Price"),
        mw=pl.col("Mw"),
        requirement=_number(None),
    )


class MarketHour(Record):
    """``market_hour`` of a day-ahead reserve record."""

    local_day: str
    local_hour_end: int | str | None = None
    gmt_begin_date: str | None = None


class DayAheadReserveRecord(Record):
    """A record of ``/daasreservedata``, as public readers of it name the fields."""

    market_hour: MarketHour
    tmsr_clearing_price: float | None = None
    tmnsr_clearing_price: float | None = None
    tmor_clearing_price: float | None = None
    fer_clearing_price: float | None = None
    tmsr_designation_mw: float | None = None
    tmnsr_designation_mw: float | None = None
    tmor_designation_mw: float | None = None
    eir_designation_mw: float | None = None
    ten_min_spin_req_mw: float | None = None
    total_ten_min_req_mw: float | None = None
    total_thirty_min_req_mw: float | None = None
    forecasted_energy_req_mw: float | None = None


# Product: its price, its quantity, what is required of it.
_PRODUCTS = {
    "TMSR": ("tmsr_clearing_price", "tmsr_designation_mw", "ten_min_spin_req_mw"),
    "TMNSR": ("tmnsr_clearing_price", "tmnsr_designation_mw", "total_ten_min_req_mw"),
    "TMOR": ("tmor_clearing_price", "tmor_designation_mw", "total_thirty_min_req_mw"),
    "EIR": ("fer_clearing_price", "eir_designation_mw", None),
    "FER": ("fer_clearing_price", None, "forecasted_energy_req_mw"),
}


def parse_day_ahead_reserves(records: pl.DataFrame) -> pl.DataFrame:
    """``day_ahead_reserve[]`` to one row per hour and product, system-wide (zone 7000).

    The forecast energy requirement (FER) has a price and a requirement; no quantity is designated
    to it by itself: energy meets it, and energy imbalance reserve (EIR), which is paid its price.
    """
    start = utc_stamp("market_hour.local_day")
    return pl.concat(
        records.select(
            interval_start=start,
            interval_end=start + HOUR,
            product=pl.lit(product),
            zone=pl.lit(SYSTEM),
            price=pl.col(price),
            mw=_number(quantity),
            requirement=_number(requirement),
        )
        for product, (price, quantity, requirement) in _PRODUCTS.items()
    )


def _number(name: str | None) -> pl.Expr:
    """The column of that name; nulls where there is none."""
    return pl.col(name) if name else pl.lit(None, pl.Float64)


def market_days(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    """The operating days of the records' ``market_hour``."""
    del header
    hours = [r.get("market_hour") for r in records]
    return local_days([h.get("local_day") for h in hours if isinstance(h, dict)], ISONE.zone)


ISONE_ANCILLARY_SERVICES = Dataset(
    key="isone_ancillary_services",
    operator=ISONE,
    table=Table(
        name="isone_ancillary_services",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.PRODUCT,
            c.ZONE,
            c.CLEARING_PRICE,
            c.QUANTITY,
            c.REQUIREMENT,
            *c.PROVENANCE,
        ),
        key=("interval_start", "product", "zone"),
        values=("interval_end", "price", "mw", "requirement"),
        rules=(is_a_name("product"), is_a_name("zone")),
        added=("requirement",),
        doc="Day-ahead ancillary services of ISO New England: price, quantity and requirement.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("isone_web_services", "day_ahead_reserves", "day_ahead_reserve"),
            record=DayAheadReserveRecord,
            parse=parse_day_ahead_reserves,
            days=market_days,
            every=HOUR,
            rows_of_a_record=len(_PRODUCTS),
            quoted_numbers=True,
        ),
        Dialect(
            name="documented",
            path=("AncillaryServices", "AncillaryService"),
            record=AncillaryRecord,
            parse=parse_ancillary_services,
            days=days_in,
            every=HOUR,
        ),
    ),
    doc="""What New England's day-ahead market paid for ancillary services, hour by hour.

Source: ISO New England web services, ``/daasreservedata`` (fields as public readers of it name
them); the specification's ``/ancillaryservices``, whose shape is a stand-in of ours.
Grain: hour x product x zone.
Units: USD/MWh, MW; UTC, half-open intervals stamped at their beginning.
Caveats: the live feed is system-wide (zone 7000) and starts on 2025-03-01; EIR is paid the price of
the forecast energy requirement (FER), which is a product of its own with a requirement and without
a quantity. The documented feed names no requirement.
""",
    group="ancillary",
)
