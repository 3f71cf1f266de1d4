"""Ex-post real-time locational marginal prices of MISO, every five minutes, at every node.

The price after the interval at each of some 2,600 commercial pricing nodes, hubs and interfaces,
with its congestion and loss components. Yesterday can be asked for whole, so a lost day is not
lost. Config says which locations are kept.

Source: MISO public API, ``/MarketPricing/GetRealTimeFiveMinExPost``: ``Current`` the newest
interval, ``Rolling`` today so far, ``Previous`` yesterday.
Grain: five minutes x location.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: ``energy`` is not in the answer: it is the one number that LMP - MLC - MCC gives at most
nodes of an interval, and a node where it gives another is quarantined. ``INTERVAL`` is EST without
offset; that it is the beginning is how public clients read it. Prices are not final: MISO settles
on later ones. All nodes are 750,000 rows a day, as many as New England's five-minute prices of both
finalities; config's ``locations`` keeps fewer (``"*.HUB"``, ``"PJMC"``). Of a name only ``.HUB``
says what it is. Answers are archived whole, so a replay after a change brings the others.
"""

from functools import partial

import polars as pl

from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.reading import Record
from aurum_assets.operators.miso.lmp import price_table, priced
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.miso.stamps import est_stamp, stamp_days


class ExPostRow(Record):
    """A row of ``data[][]``, whose columns ``headers[]`` names: every value is text."""

    INTERVAL: str
    CPNODE: str
    LMP: str
    MLC: str
    MCC: str


def parse_ex_post(records: pl.DataFrame) -> pl.DataFrame:
    """``data[][]`` to one row per interval and node."""
    start = est_stamp("INTERVAL")
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        location=pl.col("CPNODE"),
        **priced("INTERVAL"),
    )


MISO_EXPOST_LMP = Dataset(
    key="miso_expost_lmp",
    operator=MISO,
    table=price_table(
        "miso_expost_lmp",
        "Five-minute ex-post locational marginal prices of MISO.",
        0,
        region=(),
    ),
    dialects=(
        Dialect(
            name="live",
            path=("data",),
            column_names="headers",
            record=ExPostRow,
            parse=parse_ex_post,
            days=partial(stamp_days, "INTERVAL"),
            every=FIVE_MINUTES,
        ),
    ),
    doc=__doc__,
    group="prices",
)
