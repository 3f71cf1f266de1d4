"""Net scheduled interchange of MISO with each neighbour, every five minutes.

What is scheduled to flow over MISO's borders: negative is import. The row of the neighbour ``MISO``
is MISO's total.

Source: MISO public API, ``/Interchange/GetNsi/FiveMinute``.
Grain: five minutes x neighbour.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: an answer goes back about a day and a half, so the intervals of an outage come with the
next answer, those of yesterday too. The total is not the sum of the neighbours: in MISO's answer of
27 July 2026 it is -6906 MW and they add up to -7159, so no rule compares them. The stamp, EST
without offset, is the interval's end as gridstatus reads it (``get_interchange_5_min``), which
reads the stamps of ex-post prices and of the fuel mix as beginnings; MISO does not say. A neighbour
that an answer leaves out is null.
"""

from functools import partial

import msgspec
import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Table
from aurum_assets.operators.miso.numbers import UNREAD, number, texts_are_numbers, unread
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.miso.stamps import est_stamp, stamp_days

NEIGHBOURS = ("AECI", "LGEE", "MHEB", "MISO", "ONT", "PJM", "SOCO", "SPA", "SWPP", "TVA")

NEIGHBOUR = Column("neighbour", c.TEXT, "The neighbour, as MISO abbreviates it; MISO is the total.")
INTERCHANGE = Column(
    "interchange", c.NUMBER, "Net scheduled interchange; import is negative.", "MW", nullable=True
)


class Instance(Record):
    """A record of ``instance[]``: a stamp and a text for each neighbour."""

    timestamp: str
    AECI: str | None = None
    LGEE: str | None = None
    MHEB: str | None = None
    MISO: str | None = None
    ONT: str | None = None
    PJM: str | None = None
    SOCO: str | None = None
    SPA: str | None = None
    SWPP: str | None = None
    TVA: str | None = None


class NsiHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What the answer says beside its records; ``MktDay`` was null."""

    RefId: str
    MktDay: str | None = None


def parse_interchange(records: pl.DataFrame) -> pl.DataFrame:
    """``instance[]`` to one row per interval and neighbour."""
    end = est_stamp("timestamp")
    return pl.concat(
        records.select(
            interval_start=end - FIVE_MINUTES,
            interval_end=end,
            neighbour=pl.lit(neighbour),
            interchange=number(neighbour),
            **{UNREAD: unread(neighbour)},
        )
        for neighbour in NEIGHBOURS
    )


MISO_INTERCHANGE = Dataset(
    key="miso_interchange",
    operator=MISO,
    table=Table(
        name="miso_interchange",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            NEIGHBOUR,
            INTERCHANGE,
            *c.PROVENANCE,
        ),
        key=("interval_start", "neighbour"),
        values=("interval_end", "interchange"),
        rules=(texts_are_numbers("interchange_is_a_number", "neighbour"),),
        doc="Five-minute net scheduled interchange of MISO by neighbour.",
        drawn=pl.col("neighbour") == "MISO",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("instance",),
            record=Instance,
            header=NsiHeader,
            parse=parse_interchange,
            days=partial(stamp_days, "timestamp", back=FIVE_MINUTES),
            every=FIVE_MINUTES,
            volatile=("RefId",),
            rows_of_a_record=len(NEIGHBOURS),
            several_days=True,
        ),
    ),
    doc=__doc__,
    group="interchange",
)
