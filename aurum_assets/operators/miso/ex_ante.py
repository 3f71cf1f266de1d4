"""Ex-ante real-time locational marginal prices of MISO's hubs, every five minutes.

The price at each trading hub as the dispatch computes it before the interval, with its congestion
and loss components; what is settled follows from ex-post prices.

Source: MISO public API, ``/MarketPricing/GetExAnteLmp``.
Grain: five minutes x hub.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: the answer shows the newest interval only, so what was not collected then is lost.
``energy`` is not in the answer: it is the one number that LMP - loss - congestion gives at most
hubs, and a hub where it gives another is quarantined. That ``08:15`` is the interval's beginning is
how public clients read it; MISO does not say so.
"""

from functools import partial

import msgspec
import polars as pl

from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.reading import Record
from aurum_assets.operators.miso.lmp import (
    SAYS_WHEN,
    Block,
    block_days,
    block_says_when,
    price_table,
    priced,
)
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.miso.stamps import block_start

_BLOCK = "ExAnteLMP"


class Hub(Record):
    """A record of ``Hub[]``: every value is text."""

    name: str
    LMP: str
    loss: str
    congestion: str


class ExAnteData(msgspec.Struct, forbid_unknown_fields=True):
    """``LMPData`` of the ex-ante display."""

    RefId: str
    ExAnteLMP: Block


class ExAnteHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What lies on the way to the hubs."""

    LMPData: ExAnteData


def parse_ex_ante(records: pl.DataFrame) -> pl.DataFrame:
    """``LMPData.ExAnteLMP.Hub[]`` to one row per hub."""
    start = block_start("LMPData.RefId", f"LMPData.{_BLOCK}.HourAndMin")
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        location=pl.col("name"),
        **priced(loss="loss", congestion="congestion"),
    )


MISO_EX_ANTE_LMP = Dataset(
    key="miso_ex_ante_lmp",
    operator=MISO,
    table=price_table(
        "miso_ex_ante_lmp",
        "Five-minute ex-ante locational marginal prices of MISO's hubs.",
        0,
        region=(),
    ),
    dialects=(
        Dialect(
            name="live",
            path=("LMPData", _BLOCK, "Hub"),
            record=Hub,
            header=ExAnteHeader,
            parse=parse_ex_ante,
            days=partial(block_days, _BLOCK),
            every=FIVE_MINUTES,
            snapshot_rules={SAYS_WHEN: partial(block_says_when, _BLOCK)},
        ),
    ),
    doc=__doc__,
    group="prices",
)
