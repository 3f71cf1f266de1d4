"""Real-time locational marginal prices of ISO New England, every five minutes.

The price of one more megawatt at each of some 1,213 hubs, zones, interfaces and nodes, and its
three parts: energy, congestion, marginal loss. A preliminary value is out within half a minute, a
final one a day or more later; both are kept, side by side.

Source: ISO New England web services, ``/fiveminutelmp``.
Grain: five minutes x location x finality.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: a number may be absent; two locations may share a name (their ids differ); the hub is
``.H.INTERNAL_HUB`` in one feed and ``.H.INTERNALHUB`` in another. The mean of an hour's values is
not the hourly real-time price.
"""

from dataclasses import replace

import msgspec
import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_number
from aurum_assets.model.prices import LMP_IS_PRESENT, LMP_IS_THE_SUM_OF_ITS_PARTS, PARTS
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Rule, Table
from aurum_assets.operators.isone.operator import FINALITY_IS_KNOWN, ISONE, days_in, utc_stamp


class PricedLocation(Record):
    """``Location`` of an LMP record."""

    id: str = msgspec.field(name="@LocId")
    type: str = msgspec.field(name="@LocType")
    name: str = msgspec.field(name="$")


class LmpRecord(Record):
    """A record of ``FiveMinLmps.FiveMinLmp[]``; every number is optional in the operator's XSD."""

    BeginDate: str
    Location: PricedLocation
    LmpTotal: float | None = None
    EnergyComponent: float | None = None
    CongestionComponent: float | None = None
    LossComponent: float | None = None


def parse_five_minute_lmp(records: pl.DataFrame) -> pl.DataFrame:
    """``FiveMinLmps.FiveMinLmp[]`` to one row per interval and location."""
    start = utc_stamp("BeginDate")
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        location_id=pl.col("Location.@LocId"),
        location_name=pl.col("Location.$"),
        location_type=pl.col("Location.@LocType"),
        lmp=pl.col("LmpTotal"),
        energy=pl.col("EnergyComponent"),
        congestion=pl.col("CongestionComponent"),
        loss=pl.col("LossComponent"),
    )


def parse_hourly_lmp(records: pl.DataFrame) -> pl.DataFrame:
    """``HourlyLmps.HourlyLmp[]`` to one row per hour and location."""
    hourly = pl.col("interval_start") + HOUR
    return parse_five_minute_lmp(records).with_columns(interval_end=hourly)


LMP_RULES = (
    LMP_IS_PRESENT,
    Rule(
        "parts_are_all_present_or_all_absent",
        pl.sum_horizontal(pl.col(p).is_null() for p in PARTS).is_in([0, 3]),
        PARTS,
        "lmp_arithmetic",
    ),
    LMP_IS_THE_SUM_OF_ITS_PARTS,
    FINALITY_IS_KNOWN,
    is_a_number("location_id"),
)


def _lmp_dataset(key: str, title: str, dialects: tuple[Dialect, ...], doc: str) -> Dataset:
    """A dataset of prices by location: all of them have the same table, key and rules."""
    return Dataset(
        key=key,
        operator=ISONE,
        table=Table(
            name=key,
            columns=(
                c.OPERATING_DAY,
                c.INTERVAL_START,
                c.INTERVAL_END,
                c.LOCATION_ID,
                c.LOCATION_NAME,
                c.LOCATION_TYPE,
                c.LMP,
                c.ENERGY,
                c.CONGESTION,
                c.LOSS,
                c.FINALITY,
                *c.PROVENANCE,
            ),
            key=("interval_start", "location_id", "finality"),
            values=("interval_end", "lmp", *PARTS),
            rules=LMP_RULES,
            doc=title,
        ),
        dialects=dialects,
        doc=doc,
        group="prices",
    )


_FIVE_MINUTE = Dialect(
    name="live",
    path=("FiveMinLmps", "FiveMinLmp"),
    record=LmpRecord,
    parse=parse_five_minute_lmp,
    days=days_in,
    every=FIVE_MINUTES,
)
_HOURLY = replace(
    _FIVE_MINUTE, path=("HourlyLmps", "HourlyLmp"), parse=parse_hourly_lmp, every=HOUR
)

ISONE_RT_LMP = _lmp_dataset(
    "isone_rt_lmp",
    "Five-minute real-time locational marginal prices of ISO New England.",
    (_FIVE_MINUTE, replace(_FIVE_MINUTE, name="documented")),
    __doc__,
)

ISONE_DA_LMP = _lmp_dataset(
    "isone_da_lmp",
    "Hourly day-ahead locational marginal prices of ISO New England.",
    (_HOURLY, replace(_HOURLY, name="documented")),
    """Day-ahead locational marginal prices of ISO New England, hour by hour.

What the day-ahead market cleared at: the price at each location and its three parts, for every hour
of tomorrow. Published on the day before, in the early afternoon, and final at once.

Source: ISO New England web services, ``/hourlylmp/da/final``; documented ``/dayaheadlmp``.
Grain: hour x location.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: 23 and 25 hours on the days when clocks change. The documented path takes no day.
""",
)

ISONE_RT_HOURLY_LMP = _lmp_dataset(
    "isone_rt_hourly_lmp",
    "Hourly real-time locational marginal prices of ISO New England.",
    (_HOURLY,),
    """Hourly real-time locational marginal prices of ISO New England, as settled.

Preliminary values after the day, final ones later; both are kept, side by side.

Source: ISO New England web services, ``/hourlylmp/rt``.
Grain: hour x location x finality.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: not the mean of the five-minute preliminary prices.
""",
)
