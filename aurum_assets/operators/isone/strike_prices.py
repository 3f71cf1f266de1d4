"""Strike prices of New England's day-ahead ancillary services, and the forecasts they come from.

Who sold an ancillary service day-ahead pays back what the real-time price at the hub exceeds the
strike price by.

Source: ISO New England web services, ``/daasstrikeprices``; fields as two public readers name them,
no answer captured.
Grain: hour.
Units: USD/MWh, MW; UTC, half-open intervals stamped at their beginning.
Caveats: published on the morning before; ``published_at`` is the ``strike_price_timestamp``. A
strike price that is published again replaces the one before. The market began on 2025-03-01.
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.ancillary import MarketHour, market_days
from aurum_assets.operators.isone.operator import ISONE, utc_stamp


class StrikePriceRecord(Record):
    """A record of ``day_ahead_strike_price[]``, as public readers of it name the fields."""

    market_hour: MarketHour
    strike_price_timestamp: str
    strike_price: float | None = None
    spc_load_forecast_mw: float | None = None
    percentile_10_rt_hub_lmp: float | None = None
    percentile_25_rt_hub_lmp: float | None = None
    percentile_75_rt_hub_lmp: float | None = None
    percentile_90_rt_hub_lmp: float | None = None
    expected_rt_hub_lmp: float | None = None
    expected_rt_hub_lmp_override: float | None = None
    expected_closeout_charge: float | None = None
    expected_closeout_charge_override: float | None = None


def parse_strike_prices(records: pl.DataFrame) -> pl.DataFrame:
    """``day_ahead_strike_price[]`` to one row per hour."""
    start = utc_stamp("market_hour.local_day")
    return records.select(
        published_at=utc_stamp("strike_price_timestamp"),
        interval_start=start,
        interval_end=start + HOUR,
        strike_price=pl.col("strike_price"),
        load_forecast=pl.col("spc_load_forecast_mw"),
        hub_lmp_p10=pl.col("percentile_10_rt_hub_lmp"),
        hub_lmp_p25=pl.col("percentile_25_rt_hub_lmp"),
        hub_lmp_p75=pl.col("percentile_75_rt_hub_lmp"),
        hub_lmp_p90=pl.col("percentile_90_rt_hub_lmp"),
        hub_lmp_expected=pl.col("expected_rt_hub_lmp"),
        hub_lmp_override=pl.col("expected_rt_hub_lmp_override"),
        closeout_charge=pl.col("expected_closeout_charge"),
        closeout_charge_override=pl.col("expected_closeout_charge_override"),
    )


_VALUES = (c.STRIKE_PRICE, c.STRIKE_LOAD, *c.HUB_LMP_FORECASTS, *c.CLOSEOUT_CHARGES)

ISONE_DA_STRIKE_PRICES = Dataset(
    key="isone_da_strike_prices",
    operator=ISONE,
    table=Table(
        name="isone_da_strike_prices",
        columns=(
            c.OPERATING_DAY,
            c.PUBLISHED_AT,
            c.INTERVAL_START,
            c.INTERVAL_END,
            *_VALUES,
            *c.PROVENANCE,
        ),
        key=("interval_start",),
        values=("interval_end", *(column.name for column in _VALUES)),
        doc="Strike prices of New England's day-ahead ancillary services.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("isone_web_services", "day_ahead_strike_prices", "day_ahead_strike_price"),
            record=StrikePriceRecord,
            parse=parse_strike_prices,
            days=market_days,
            every=HOUR,
            quoted_numbers=True,
        ),
    ),
    doc=__doc__,
    group="ancillary",
)
