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

from aurum_assets.markets.isone.source import ISONE, days_said, utc_stamp
from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.prices import sums_within_a_cent
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Rule, Table

_PARTS = ("energy", "congestion", "loss")


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


LMP_RULES = (
    Rule("lmp_is_present", pl.col("lmp").is_not_null(), ("lmp",), "contract"),
    Rule(
        "parts_are_all_present_or_all_absent",
        pl.sum_horizontal(pl.col(p).is_null() for p in _PARTS).is_in([0, 3]),
        _PARTS,
        "lmp_arithmetic",
    ),
    Rule(
        "lmp_is_the_sum_of_its_parts",
        sums_within_a_cent("lmp", _PARTS),
        ("lmp", *_PARTS),
        "lmp_arithmetic",
    ),
    Rule(
        "finality_is_prelim_or_final", pl.col("finality").is_in(["prelim", "final"]), ("finality",)
    ),
)

_LIVE = Dialect(
    name="live",
    path=("FiveMinLmps", "FiveMinLmp"),
    record=LmpRecord,
    parse=parse_five_minute_lmp,
    days=days_said,
    every=FIVE_MINUTES,
)

ISONE_RT_LMP = Dataset(
    key="isone_rt_lmp",
    source=ISONE,
    table=Table(
        name="isone_rt_lmp",
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
        hashed=("interval_end", "lmp", "energy", "congestion", "loss"),
        rules=LMP_RULES,
        sort=("interval_start", "location_id", "finality"),
        doc="Five-minute real-time locational marginal prices of ISO New England.",
    ),
    dialects=(_LIVE, replace(_LIVE, name="documented")),
    doc=__doc__,
    group="prices",
)
