"""Real-time locational marginal prices of MISO, every five minutes.

The price of one more megawatt at each of some 300 nodes, hubs and interfaces that MISO displays,
its congestion and loss components, and the prices of its reserves there. Nodes named like ``PJMC``
are MISO's prices at the interface with PJM.

Source: MISO public API, ``/MarketPricing/GetLmpConsolidatedTable``, block ``FiveMinLMP``.
Grain: five minutes x location.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: the answer shows the newest interval only, so what was not collected then is lost here.
``energy`` is not in the answer: it is the one number that LMP - MLC - MCC gives at most nodes of
the block, and a node where it gives another is quarantined. That ``08:15`` is the interval's
beginning is how public clients read it; MISO does not say so. Prices are not final: MISO settles on
later ones.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import BLOCK, Dataset, Dialect, Envelope
from aurum_assets.model.ids import is_a_name
from aurum_assets.model.prices import CENT, LMP_IS_PRESENT, PARTS, adds_up
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Rule, Table
from aurum_assets.operators.miso.numbers import UNREAD, number, texts_are_numbers, unread
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.miso.stamps import block_day, block_start

_REF, _AT = "LMPData.RefId", "LMPData.{}.HourAndMin"
_FIVE_MINUTE = "FiveMinLMP"
_HOURLY = "HourlyIntegratedLMP"
_DAY_AHEAD = {"DayAheadExAnteLMP": "ex_ante", "DayAheadExPostLMP": "ex_post"}
_RESERVES = {
    "REGMCP": ("regulation_price", "Regulation capacity"),
    "REGMILEAGEMCP": ("regulation_mileage_price", "Regulation mileage"),
    "SPINMCP": ("spinning_reserve_price", "Spinning reserve"),
    "SUPPMCP": ("supplemental_reserve_price", "Supplemental reserve"),
    "STRMCP": ("short_term_reserve_price", "Short-term reserve"),
    "RCUPMCP": ("ramp_up_price", "Upward ramp capability"),
    "RCDOWNMCP": ("ramp_down_price", "Downward ramp capability"),
}
SAYS_WHEN = "the_block_says_when"
_SAID = "time_of_the_block"

LOCATION = Column("location", c.TEXT, "The node, hub or interface, as MISO names it.")
REGION = Column(
    "region", c.TEXT, "The part of MISO it lies in: Midwest, North, South.", nullable=True
)
MARKET_RUN = Column(
    "market_run", c.TEXT, "ex_ante: what cleared; ex_post: what the day-ahead market settles on."
)
RESERVE_PRICES = tuple(
    Column(name, c.NUMBER, f"{what} market clearing price.", "USD/MWh", nullable=True)
    for name, what in _RESERVES.values()
)


class PricingNode(Record):
    """A record of ``PricingNode[]``: every value is text."""

    name: str
    LMP: str
    MCC: str
    MLC: str
    region: str | None = None


class FiveMinuteNode(PricingNode):
    """A record of the five-minute block, with the prices of reserves."""

    REGMCP: str | None = None
    REGMILEAGEMCP: str | None = None
    SPINMCP: str | None = None
    SUPPMCP: str | None = None
    STRMCP: str | None = None
    RCUPMCP: str | None = None
    RCDOWNMCP: str | None = None


class Block(msgspec.Struct, forbid_unknown_fields=True):
    """What a block says beside its nodes."""

    HourAndMin: str


class FiveMinuteData(msgspec.Struct, forbid_unknown_fields=True):
    """``LMPData`` for who reads the five-minute block."""

    RefId: str
    FiveMinLMP: Block


class HourlyData(msgspec.Struct, forbid_unknown_fields=True):
    """``LMPData`` for who reads the hourly block."""

    RefId: str
    HourlyIntegratedLMP: Block


class DayAheadData(msgspec.Struct, forbid_unknown_fields=True):
    """``LMPData`` for who reads the blocks of the day-ahead market."""

    RefId: str
    block: Block = msgspec.field(name=BLOCK)


class FiveMinuteHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What lies on the way to the five-minute nodes."""

    LMPData: FiveMinuteData


class HourlyHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What lies on the way to the hourly nodes."""

    LMPData: HourlyData


class DayAheadHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What lies on the way to the day-ahead nodes."""

    LMPData: DayAheadData


def _energy(of: str | None, loss: str, congestion: str) -> pl.Expr:
    """LMP less loss and congestion in exact decimals, as most nodes of the block have it (the least
    such).
    """
    lmp, *parts = (pl.col(name).str.to_decimal(scale=6) for name in ("LMP", loss, congestion))
    usual = (lmp - parts[0] - parts[1]).drop_nulls().mode().min()
    usual = usual.over(of) if of else usual
    return usual.cast(pl.String).cast(pl.Float64)


def priced(
    of: str | None = None, loss: str = "MLC", congestion: str = "MCC", *, more: tuple[str, ...] = ()
) -> dict[str, pl.Expr]:
    """The columns of a price and its parts, and what the rules of ``price_table`` need beside them.

    ``of``: the column whose values are the blocks with one energy each; None where there is one
    block. ``loss``, ``congestion``: the fields' names. ``more``: fields that hold other prices.
    """
    return {
        "lmp": number("LMP"),
        "energy": _energy(of, loss, congestion),
        "congestion": number(congestion),
        "loss": number(loss),
        UNREAD: unread("LMP", loss, congestion, *more),
    }


def _parsed(
    records: pl.DataFrame, block: str, length: pl.Expr, *, reserves: bool, blocks: bool
) -> pl.DataFrame:
    """``PricingNode[]`` of a block to one row per node."""
    start = block_start(_REF, _AT.format(block))
    more = {name: number(sent) for sent, (name, _) in _RESERVES.items()} if reserves else {}
    run = pl.col(BLOCK).replace_strict(_DAY_AHEAD) if blocks else None
    runs = {} if run is None else {"market_run": run, _SAID: pl.col(_AT.format(block))}
    return records.select(
        interval_start=start,
        interval_end=start + length,
        location=pl.col("name"),
        region=pl.col("region"),
        **priced(BLOCK if blocks else None, more=tuple(_RESERVES) if reserves else ()),
        **more,
        **runs,
    )


parse_five_minute = partial(
    _parsed, block=_FIVE_MINUTE, length=pl.lit(FIVE_MINUTES), reserves=True, blocks=False
)
parse_hourly = partial(_parsed, block=_HOURLY, length=pl.lit(HOUR), reserves=False, blocks=False)
parse_day_ahead = partial(_parsed, block=BLOCK, length=pl.lit(HOUR), reserves=False, blocks=True)


def block_days(block: str, records: list[Any], header: Mapping[str, Any]) -> list[str]:
    """The day of the block's interval, by ``RefId``."""
    del records
    data = header["LMPData"]
    inner = data.get(block)
    day = block_day(data.get("RefId"), inner.get("HourAndMin") if isinstance(inner, dict) else None)
    return [] if day is None else [day]


def block_says_when(block: str, header: Mapping[str, Any], envelope: Envelope) -> str | None:
    """Why the block's header names no interval; None where it does."""
    del envelope
    ref, at = header[_REF], header[_AT.format(block)]
    sentence = f"{ref!r} and {at!r} name no interval"
    return sentence if block_day(ref, at) is None else None


def _dialect(
    block: str,
    record: type[Record],
    header: type[msgspec.Struct],
    parse: Callable[[pl.DataFrame], pl.DataFrame],
    blocks: tuple[str, ...] = (),
) -> Dialect:
    ours = blocks or (block,)
    others = [name for name in (_FIVE_MINUTE, _HOURLY, *_DAY_AHEAD) if name not in ours]
    return Dialect(
        name="live",
        path=("LMPData", block, "PricingNode"),
        record=record,
        header=header,
        blocks=blocks,
        ignored=tuple(f"LMPData.{name}" for name in others),
        parse=parse,
        days=partial(block_days, block),
        every=FIVE_MINUTES if block == _FIVE_MINUTE else HOUR,
        snapshot_rules={} if blocks else {SAYS_WHEN: partial(block_says_when, block)},
    )


def _rules(cents: int, *, blocks: bool) -> tuple[Rule, ...]:
    """The rules of prices whose energy may differ by so many cents from node to node.

    Of several ``blocks``, one that names no interval takes no other with it.
    """
    alike = "exactly" if not cents else f"within_{cents}_cents"
    says_when = Rule(SAYS_WHEN, pl.col("interval_start").is_not_null(), (_SAID,))
    return (
        *((says_when,) if blocks else ()),
        LMP_IS_PRESENT,
        Rule(
            "components_are_present",
            pl.all_horizontal(pl.col(part).is_not_null() for part in PARTS),
            PARTS,
            "lmp_arithmetic",
        ),
        texts_are_numbers("prices_are_numbers", "location"),
        Rule(
            f"energy_is_that_of_the_block_{alike}",
            adds_up("lmp", PARTS, cents * CENT),
            ("lmp", *PARTS),
            "lmp_arithmetic",
        ),
        is_a_name("location"),
    )


def price_table(
    key: str,
    doc: str,
    cents: int,
    more: tuple[Column, ...] = (),
    run: tuple[Column, ...] = (),
    region: tuple[Column, ...] = (REGION,),
) -> Table:
    """A table of prices by interval and location, and by ``run`` where the market has several."""
    return Table(
        name=key,
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            LOCATION,
            *region,
            c.LMP,
            c.ENERGY,
            c.CONGESTION,
            c.LOSS,
            *more,
            *run,
            *c.PROVENANCE,
        ),
        key=("interval_start", "location", *(column.name for column in run)),
        values=(
            "interval_end",
            *(column.name for column in region),
            "lmp",
            *PARTS,
            *(column.name for column in more),
        ),
        rules=_rules(cents, blocks=bool(run)),
        doc=doc,
    )


MISO_RT_LMP = Dataset(
    key="miso_rt_lmp",
    operator=MISO,
    table=price_table(
        "miso_rt_lmp",
        "Five-minute real-time locational marginal prices of MISO.",
        0,
        RESERVE_PRICES,
    ),
    dialects=(_dialect(_FIVE_MINUTE, FiveMinuteNode, FiveMinuteHeader, parse_five_minute),),
    doc=__doc__,
    group="prices",
)

MISO_RT_HOURLY_LMP = Dataset(
    key="miso_rt_hourly_lmp",
    operator=MISO,
    table=price_table(
        "miso_rt_hourly_lmp", "Hourly real-time locational marginal prices of MISO.", 3
    ),
    dialects=(_dialect(_HOURLY, PricingNode, HourlyHeader, parse_hourly),),
    doc="""Hourly real-time locational marginal prices of MISO: five-minute ones, integrated.

The price of the last complete hour at each of some 300 nodes, hubs and interfaces.

Source: MISO public API, ``/MarketPricing/GetLmpConsolidatedTable``, block ``HourlyIntegratedLMP``.
Grain: hour x location.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: ``HE 9`` is the hour that ends at 09:00 EST; ``HE 24`` is shown after midnight and belongs
to the day before. ``energy`` is not in the answer: it is what LMP - MLC - MCC gives at most nodes.
Each of the three is a mean that is rounded by itself, so nodes differ by up to three cents (real
ones by one); a node that differs by more is quarantined. Prices are not final.
""",
    group="prices",
    shares=MISO_RT_LMP,
)

MISO_DA_LMP = Dataset(
    key="miso_da_lmp",
    operator=MISO,
    table=price_table(
        "miso_da_lmp",
        "Hourly day-ahead locational marginal prices of MISO, ex ante and ex post.",
        0,
        run=(MARKET_RUN,),
    ),
    dialects=(
        _dialect(BLOCK, PricingNode, DayAheadHeader, parse_day_ahead, blocks=tuple(_DAY_AHEAD)),
    ),
    doc="""Hourly day-ahead locational marginal prices of MISO, ex ante and ex post, for this hour.

What the day-ahead market cleared at for the hour that runs now, at each of some 300 nodes, hubs and
interfaces: ex ante as it cleared, ex post as it settles.

Source: MISO public API, ``/MarketPricing/GetLmpConsolidatedTable``, blocks ``DayAheadExAnteLMP``
and ``DayAheadExPostLMP``.
Grain: hour x location x market run.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: ``HE 9`` is the hour that ends at 09:00 EST. The two runs are two prices, and neither is a
preliminary value of the other: so ``market_run`` is in the key, and no ``finality``. ``energy`` is
not in the answer: it is the one number that LMP - MLC - MCC gives at most nodes of a run, and a
node where it gives another is quarantined.
""",
    group="prices",
    shares=MISO_RT_LMP,
)
