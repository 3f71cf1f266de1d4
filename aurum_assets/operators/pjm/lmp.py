"""Real-time locational marginal prices of PJM, every five minutes.

The price at the interfaces with MISO and New York and at the hubs (or at whatever pnodes the
configuration lists), and its three parts. An unverified value is out within minutes, a verified one
on a later business day; both are kept, side by side, as preliminary and final.

Source: PJM Data Miner 2, feeds ``rt_unverified_fivemin_lmps`` and ``rt_fivemin_hrl_lmps`` (fields
from the documentation; no answer was captured).
Grain: five minutes x location x finality.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: collected with a key of your own. The unverified feed has no system energy price:
``energy`` there is lmp - congestion - loss, which is one number for all locations of an interval
but for rounding; where one is off by more than three cents, it is quarantined. The verified feed
has it, and there it is exactly one number. PJM keeps unverified values for 15 days; of verified
ones older than 186 days it answers for all pnodes only, which is not asked for.
"""

import datetime as dt
from dataclasses import replace

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_number
from aurum_assets.model.prices import (
    CENT,
    FINALITY_IS_KNOWN,
    LMP_IS_PRESENT,
    LMP_IS_THE_SUM_OF_ITS_PARTS,
    PARTS,
    adds_up,
)
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Rule, Table
from aurum_assets.operators.pjm.operator import PJM, days_in, utc_stamp

_GIVEN, _DERIVED = "system_energy_price", "usual_energy"  # of the interval; not stored
_CURRENT = "is_current"
_DIGITS = 6
LOCATION_TYPE = Column(
    "location_type", c.TEXT, "HUB, INTERFACE, ZONE, EHV, LOAD, GEN and the like.", nullable=True
)


class RealTimeRecord(Record):
    """A record of ``items[]``; fields from the documentation. The last two are the verified feed's:
    a row whose ``row_is_current`` is false was replaced by another version.
    """

    datetime_beginning_utc: str
    pnode_id: int | str
    pnode_name: str
    type: str
    total_lmp_rt: float
    congestion_price_rt: float
    marginal_loss_price_rt: float
    system_energy_price_rt: float | None = None
    row_is_current: bool | None = None


class DayAheadRecord(Record):
    """A record of ``items[]``; fields from the documentation."""

    datetime_beginning_utc: str
    pnode_id: int | str
    pnode_name: str
    type: str
    system_energy_price_da: float
    total_lmp_da: float
    congestion_price_da: float
    marginal_loss_price_da: float
    row_is_current: bool | None = None


class ForecastRecord(Record):
    """A record of ``items[]``; fields as public clients ask for them."""

    case_approval_datetime_utc: str
    datetime_beginning_utc: str
    pnode_id: int | str
    pnode_name: str
    itsced_lmp: float
    marginal_congestion: float
    marginal_loss: float


def _difference(lmp: str, congestion: str, loss: str) -> pl.Expr:
    """LMP less congestion and loss, exact to six decimals; null where one is beyond all bounds."""
    units = 10**_DIGITS
    total, *parts = (
        (pl.col(n) * units).round().cast(pl.Int64, strict=False) for n in (lmp, congestion, loss)
    )
    left = total - parts[0] - parts[1]
    # Written out and read again: a division would not always give the double of that decimal.
    text = pl.format(
        "{}{}.{}",
        pl.when(left < 0).then(pl.lit("-")).otherwise(pl.lit("")),
        left.abs() // units,
        (left.abs() % units).cast(pl.String).str.zfill(_DIGITS),
    )
    return text.cast(pl.Float64, strict=False)


def _usual(energy: pl.Expr, of: tuple[str, ...]) -> pl.Expr:
    """What most rows of an interval have (the least such)."""
    return energy.drop_nulls().mode().min().over(of)


def _priced(
    lmp: str, congestion: str, loss: str, energy: str | None = None, case: tuple[str, ...] = ()
) -> dict[str, pl.Expr]:
    """The price, its parts, and what the energy of all rows of the interval is."""
    interval = (*case, "datetime_beginning_utc")
    given = pl.lit(None, pl.Float64) if energy is None else pl.col(energy)
    left = pl.when(given.is_null()).then(_difference(lmp, congestion, loss))
    return {
        "lmp": pl.col(lmp),
        "energy": pl.coalesce(given, left),
        "congestion": pl.col(congestion),
        "loss": pl.col(loss),
        _GIVEN: _usual(given, interval),
        _DERIVED: _usual(left, interval),
    }


def _parsed(records: pl.DataFrame, market: str, length: dt.timedelta) -> pl.DataFrame:
    """``items[]`` of a market's feed (``rt``, ``da``) to one row per interval and pnode."""
    start = utc_stamp("datetime_beginning_utc")
    return records.select(
        interval_start=start,
        interval_end=start + length,
        location_id=pl.col("pnode_id"),
        location_name=pl.col("pnode_name"),
        location_type=pl.col("type"),
        **_priced(
            f"total_lmp_{market}",
            f"congestion_price_{market}",
            f"marginal_loss_price_{market}",
            energy=f"system_energy_price_{market}",
        ),
        **{_CURRENT: pl.col("row_is_current")},
    )


def parse_real_time(records: pl.DataFrame) -> pl.DataFrame:
    """``items[]`` of either real-time feed to one row per interval and pnode."""
    return _parsed(records, "rt", FIVE_MINUTES)


def parse_day_ahead(records: pl.DataFrame) -> pl.DataFrame:
    """``items[]`` of the day-ahead feed to one row per hour and pnode."""
    return _parsed(records, "da", HOUR)


def parse_forecast(records: pl.DataFrame) -> pl.DataFrame:
    """``items[]`` of the forecast to one row per case, interval and pnode."""
    start = utc_stamp("datetime_beginning_utc")
    return records.select(
        published_at=utc_stamp("case_approval_datetime_utc"),
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        location_id=pl.col("pnode_id"),
        location_name=pl.col("pnode_name"),
        **_priced(
            "itsced_lmp",
            "marginal_congestion",
            "marginal_loss",
            case=("case_approval_datetime_utc",),
        ),
    )


_RULES = (
    LMP_IS_PRESENT,
    LMP_IS_THE_SUM_OF_ITS_PARTS,
    Rule(
        "system_energy_price_is_one_number",
        adds_up("energy", (_GIVEN,), 0),
        ("energy", _GIVEN),
        "lmp_arithmetic",
    ),
    Rule(
        "energy_is_one_number_within_3_cents",  # each of the three may be rounded by itself
        adds_up("energy", (_DERIVED,), 3 * CENT),
        ("lmp", "congestion", "loss", _DERIVED),
        "lmp_arithmetic",
    ),
    is_a_number("location_id"),
)
_ROW_IS_CURRENT = Rule("row_is_current", pl.col(_CURRENT), (_CURRENT,), "contract")


def _table(key: str, doc: str) -> Table:
    return Table(
        name=key,
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.LOCATION_ID,
            c.LOCATION_NAME,
            LOCATION_TYPE,
            c.LMP,
            c.ENERGY,
            c.CONGESTION,
            c.LOSS,
            c.FINALITY,
            *c.PROVENANCE,
        ),
        key=("interval_start", "location_id", "finality"),
        values=("interval_end", "lmp", *PARTS),
        rules=(*_RULES, _ROW_IS_CURRENT, FINALITY_IS_KNOWN),
        doc=doc,
    )


_UNVERIFIED = Dialect(
    name="unverified",
    path=("items",),
    record=RealTimeRecord,
    ignored=("links", "totalRows", "searchSpecification"),
    parse=parse_real_time,
    days=days_in,
    every=FIVE_MINUTES,
)

PJM_RT_LMP = Dataset(
    key="pjm_rt_lmp",
    operator=PJM,
    table=_table("pjm_rt_lmp", "Five-minute real-time locational marginal prices of PJM."),
    dialects=(_UNVERIFIED, replace(_UNVERIFIED, name="verified")),
    doc=__doc__,
    group="prices",
)

PJM_DA_LMP = Dataset(
    key="pjm_da_lmp",
    operator=PJM,
    table=_table("pjm_da_lmp", "Hourly day-ahead locational marginal prices of PJM."),
    dialects=(
        replace(_UNVERIFIED, name="live", record=DayAheadRecord, parse=parse_day_ahead, every=HOUR),
    ),
    doc="""Day-ahead locational marginal prices of PJM, hour by hour.

What the day-ahead market cleared at, at the interfaces with MISO and New York and at the hubs (or
at whatever pnodes the configuration lists). Published on the day before, at about 13:30 Eastern,
and final at once.

Source: PJM Data Miner 2, feed ``da_hrl_lmps`` (fields from the documentation; no answer was
captured).
Grain: hour x location.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: collected with a key of your own. The system energy price is exactly one number for all
locations of an hour; a row that has another is quarantined. 23 and 25 hours on the days when clocks
change. Of days older than 731 PJM answers for all pnodes only, which is not asked for.
""",
    group="prices",
)

PJM_ITSCED_LMP = Dataset(
    key="pjm_itsced_lmp",
    operator=PJM,
    table=Table(
        name="pjm_itsced_lmp",
        columns=(
            c.OPERATING_DAY,
            c.PUBLISHED_AT,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.LOCATION_ID,
            c.LOCATION_NAME,
            c.LMP,
            c.ENERGY,
            c.CONGESTION,
            c.LOSS,
            *c.PROVENANCE,
        ),
        key=("published_at", "interval_start", "location_id"),
        values=("interval_end", "lmp", *PARTS),
        rules=_RULES,
        sort=("interval_start", "location_id", "published_at"),
        doc="Prices that PJM's intermediate-term dispatch forecasts, every vintage kept.",
    ),
    dialects=(replace(_UNVERIFIED, name="live", record=ForecastRecord, parse=parse_forecast),),
    doc="""Prices that PJM's intermediate-term dispatch (IT SCED) expects in the next intervals.

The forecast from which Coordinated Transaction Scheduling takes PJM's price at the interfaces with
MISO and New York. Each case is kept with the instant of its approval, so a row answers *what was
known when*; the newest vintage of an interval is the one with the greatest ``published_at``.

Source: PJM Data Miner 2, feed ``five_min_itsced_lmps`` (fields as public clients ask for them; no
answer was captured).
Grain: publication x five minutes x location.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: collected with a key of your own. ``operating_day`` is that of the interval: a case of the
late evening is in two days. The feed has no energy: ``energy`` is lmp - congestion - loss, which is
one number for all locations of a case and interval but for rounding; where one is off by more than
three cents, it is quarantined. How many intervals a case holds, and for how long PJM keeps cases,
is not documented here.
""",
    group="prices",
)
