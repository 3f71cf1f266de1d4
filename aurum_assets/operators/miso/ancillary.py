"""Market clearing prices of MISO's ancillary services by reserve zone, real-time and day-ahead.

What regulation, spinning, supplemental and short-term reserve and ramp capability cost in each
reserve zone: in the real-time market for the newest five minutes, in the day-ahead market for the
hour that runs. What demand that provides a service is paid has columns of its own.

Source: MISO public API, ``/MarketPricing/GetAncillaryServicesMcp``.
Grain: five minutes (real-time) or hour (day-ahead) x reserve zone x market.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: the answer shows the newest interval and hour only, so what was not collected then is lost.
``HourEnding`` 9 is the hour that ends at 09:00 EST. That ``08:15`` is the interval's beginning is
how public clients read it; MISO does not say so.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import BLOCK, Dataset, Dialect
from aurum_assets.model.ids import is_a_number
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Rule, Table
from aurum_assets.operators.miso.lmp import SAYS_WHEN
from aurum_assets.operators.miso.numbers import UNREAD, number, texts_are_numbers, unread
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.miso.stamps import block_day, block_start

_REAL_TIME = "RealTimeMCP"
_MARKETS = {_REAL_TIME: "real_time", "DayAheadMCP": "day_ahead"}
_AT = "time_of_the_block"
_PRICES = {
    "GenRegMCP": ("regulation_price", "Regulation"),
    "GenSpinMCP": ("spinning_reserve_price", "Spinning reserve"),
    "GenSuppMCP": ("supplemental_reserve_price", "Supplemental reserve"),
    "StrMcp": ("short_term_reserve_price", "Short-term reserve"),
    "DemandRegMcp": ("demand_regulation_price", "Regulation by demand"),
    "DemandSpinMcp": ("demand_spinning_reserve_price", "Spinning reserve by demand"),
    "DemandSuppMcp": ("demand_supplemental_reserve_price", "Supplemental reserve by demand"),
    "RcpUpMcp": ("ramp_up_price", "Upward ramp capability"),
    "RcpDownMcp": ("ramp_down_price", "Downward ramp capability"),
}

RESERVE_ZONE_ID = Column("reserve_zone_id", c.TEXT, "The number of MISO's reserve zone.")
MARKET = Column("market", c.TEXT, "real_time, of five minutes, or day_ahead, of an hour.")
CLEARING_PRICES = tuple(
    Column(name, c.NUMBER, f"{what} market clearing price.", "USD/MWh", nullable=True)
    for name, what in _PRICES.values()
)


class ReserveZone(Record):
    """A record of ``Zone[]``: every value is text, and the suffix is MCP or Mcp."""

    number: str
    GenRegMCP: str | None = None
    GenSpinMCP: str | None = None
    GenSuppMCP: str | None = None
    StrMcp: str | None = None
    DemandRegMcp: str | None = None
    DemandSpinMcp: str | None = None
    DemandSuppMcp: str | None = None
    RcpUpMcp: str | None = None
    RcpDownMcp: str | None = None


class MarketBlock(msgspec.Struct, forbid_unknown_fields=True):
    """When a block is of: ``HourAndMin`` of the real-time one, ``HourEnding`` of the other."""

    HourAndMin: str | None = None
    HourEnding: str | None = None


class McpData(msgspec.Struct, forbid_unknown_fields=True):
    """``MCPData`` for who reads one of its blocks."""

    RefId: str
    block: MarketBlock = msgspec.field(name=BLOCK)
    MktDay: str | None = None


class McpHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What lies on the way to the zones."""

    MCPData: McpData


def parse_ancillary_prices(records: pl.DataFrame) -> pl.DataFrame:
    """``MCPData.{RealTimeMCP, DayAheadMCP}.Zone[]`` to one row per market and zone."""
    hour = pl.concat_str(pl.lit("HE "), f"MCPData.{BLOCK}.HourEnding")
    at = pl.coalesce(f"MCPData.{BLOCK}.HourAndMin", hour)
    is_real_time = pl.col(BLOCK) == _REAL_TIME
    length = pl.when(is_real_time).then(pl.lit(FIVE_MINUTES)).otherwise(pl.lit(HOUR))
    start = block_start("MCPData.RefId", _AT)
    return records.with_columns(at.alias(_AT)).select(
        interval_start=start,
        interval_end=start + length,
        reserve_zone_id=pl.col("number"),
        market=pl.col(BLOCK).replace_strict(_MARKETS),
        **{name: number(sent) for sent, (name, _) in _PRICES.items()},
        **{UNREAD: unread(*_PRICES), _AT: pl.col(_AT)},
    )


def _days(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    """The day of the block's interval, by ``RefId``."""
    del records
    data = header["MCPData"]
    block = data.get(BLOCK)
    block = block if isinstance(block, dict) else {}
    at = block.get("HourAndMin") or f"HE {block.get('HourEnding')}"
    day = block_day(data.get("RefId"), at)
    return [] if day is None else [day]


MISO_ANCILLARY_PRICES = Dataset(
    key="miso_ancillary_prices",
    operator=MISO,
    table=Table(
        name="miso_ancillary_prices",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            RESERVE_ZONE_ID,
            MARKET,
            *CLEARING_PRICES,
            *c.PROVENANCE,
        ),
        key=("interval_start", "reserve_zone_id", "market"),
        values=("interval_end", *(column.name for column in CLEARING_PRICES)),
        rules=(
            Rule(SAYS_WHEN, pl.col("interval_start").is_not_null(), (_AT,)),
            texts_are_numbers("prices_are_numbers", "reserve_zone_id"),
            is_a_number("reserve_zone_id"),
        ),
        doc="Clearing prices of MISO's ancillary services by reserve zone and market.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("MCPData", BLOCK, "Zone"),
            blocks=tuple(_MARKETS),
            record=ReserveZone,
            header=McpHeader,
            parse=parse_ancillary_prices,
            days=_days,
            every=FIVE_MINUTES,
            several_days=True,
        ),
    ),
    doc=__doc__,
    group="ancillary",
)
