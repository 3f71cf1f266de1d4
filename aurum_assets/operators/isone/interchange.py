"""What flowed over New England's ties with its neighbours, hour by hour, and how it was made up.

Source: ISO New England web services, ``/actualinterchange``; its newest answer was captured.
Grain: hour x tie.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: imports are negative, purchases too, as the limits of ``/fiveminuteexternalflow`` have it.
Interchange is purchases plus sales in each captured record, and must be within 0.01 MW, since each
is rounded by itself.
"""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIFTEEN_MINUTES, FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_number
from aurum_assets.model.prices import adds_up
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Rule, Table
from aurum_assets.operators.isone.operator import ISONE, STAMPS_NOT_SEEN, Area, days_in, utc_stamp

_INTERCHANGE = (c.INTERCHANGE, c.PURCHASE, c.SALE)
_ADDS_UP = Rule(
    "interchange_is_purchase_plus_sale",
    adds_up("interchange", ("purchase", "sale")),
    ("interchange", "purchase", "sale"),
)


class InterchangeRecord(Record):
    """A record of ``ActualInterchanges.ActualInterchange[]``."""

    BeginDate: str
    Location: Area
    ActInterchange: float | None = None
    Purchase: float | None = None
    Sale: float | None = None


class QuarterInterchangeRecord(InterchangeRecord):
    """A record of ``ActualFifteenMinInterchanges.ActualFifteenMinInterchange[]``; fields from the
    XSD.
    """


class ExternalFlowRecord(Record):
    """A record of ``ExternalFlows.ExternalFlow[]``; fields from the XSD, and as public readers show
    a record of 2020.
    """

    BeginDate: str
    Location: Area
    ActualFlow: float | None = None
    ImportLimit: float | None = None
    ExportLimit: float | None = None
    CurrentSchedule: float | None = None
    Purchase: float | None = None
    Sale: float | None = None
    TotalExports: float | None = None
    TotalImports: float | None = None


def _intervals(start: pl.Expr, every: timedelta) -> dict[str, pl.Expr]:
    return {
        "interval_start": start,
        "interval_end": start + every,
        "location_id": pl.col("Location.@LocId"),
        "location_name": pl.col("Location.$"),
    }


def _aligned(every: timedelta) -> dict[str, pl.Expr]:
    """The interval that the stamp lies in, and the stamp as it came."""
    stamp = utc_stamp("BeginDate")
    return {**_intervals(stamp.dt.truncate(every), every), "source_stamp": stamp}


_VALUES = {
    "interchange": pl.col("ActInterchange"),
    "purchase": pl.col("Purchase"),
    "sale": pl.col("Sale"),
}


def parse_interchange(records: pl.DataFrame) -> pl.DataFrame:
    """``ActualInterchanges.ActualInterchange[]`` to one row per hour and tie."""
    return records.select(**_intervals(utc_stamp("BeginDate"), HOUR), **_VALUES)


def parse_quarter_interchange(records: pl.DataFrame) -> pl.DataFrame:
    """``ActualFifteenMinInterchange[]`` to one row per quarter of an hour and tie."""
    return records.select(**_aligned(FIFTEEN_MINUTES), **_VALUES)


def parse_external_flow(records: pl.DataFrame) -> pl.DataFrame:
    """``ExternalFlows.ExternalFlow[]`` to one row per five minutes and tie."""
    return records.select(
        **_aligned(FIVE_MINUTES),
        flow=pl.col("ActualFlow"),
        schedule=pl.col("CurrentSchedule"),
        import_limit=pl.col("ImportLimit"),
        export_limit=pl.col("ExportLimit"),
        purchase=pl.col("Purchase"),
        sale=pl.col("Sale"),
        total_imports=pl.col("TotalImports"),
        total_exports=pl.col("TotalExports"),
    )


def _table(
    key: str, values: Sequence[Column], rules: Sequence[Rule], doc: str, ragged: str = ""
) -> Table:
    """A table of ties: a row per interval and tie."""
    return Table(
        name=key,
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.TIE_ID,
            c.LOCATION_NAME,
            *values,
            *c.PROVENANCE,
        ),
        key=("interval_start", "location_id"),
        values=("interval_end", *(column.name for column in values)),
        rules=(is_a_number("location_id"), *rules),
        ragged=ragged,
        doc=doc,
    )


ISONE_INTERCHANGE = Dataset(
    key="isone_interchange",
    operator=ISONE,
    table=_table(
        "isone_interchange",
        _INTERCHANGE,
        [_ADDS_UP],
        "Hourly interchange of New England by tie.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("ActualInterchanges", "ActualInterchange"),
            record=InterchangeRecord,
            parse=parse_interchange,
            days=days_in,
            every=HOUR,
        ),
    ),
    doc=__doc__,
    group="interchange",
)

ISONE_INTERCHANGE_15MIN = Dataset(
    key="isone_interchange_15min",
    operator=ISONE,
    table=_table(
        "isone_interchange_15min",
        (c.SOURCE_STAMP, *_INTERCHANGE),
        [],
        "Fifteen-minute interchange of New England by tie.",
        STAMPS_NOT_SEEN,
    ),
    dialects=(
        Dialect(
            name="live",
            path=("ActualFifteenMinInterchanges", "ActualFifteenMinInterchange"),
            record=QuarterInterchangeRecord,
            parse=parse_quarter_interchange,
            days=days_in,
            every=FIFTEEN_MINUTES,
        ),
    ),
    doc="""What flowed over New England's ties with its neighbours, every quarter of an hour.

Source: ISO New England web services, ``/fifteenminuteinterchange``; fields from the XSD, no answer
captured.
Grain: fifteen minutes x tie.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: imports are negative, purchases too. Interchange is purchases plus sales in the hourly
feed; no answer shows it here, so no rule requires it. Stamps may come a second or two past the
interval, as those of reserve prices do: it is the one that they lie in; ``source_stamp`` is what
came.
""",
    group="interchange",
)

ISONE_EXTERNAL_FLOW = Dataset(
    key="isone_external_flow",
    operator=ISONE,
    table=_table(
        "isone_external_flow",
        (
            c.SOURCE_STAMP,
            c.TIE_FLOW,
            c.TIE_SCHEDULE,
            c.IMPORT_LIMIT,
            c.EXPORT_LIMIT,
            c.PURCHASE,
            c.SALE,
            c.TOTAL_IMPORTS,
            c.TOTAL_EXPORTS,
        ),
        [],
        "Five-minute flow, schedule and limits of New England's ties.",
        STAMPS_NOT_SEEN,
    ),
    dialects=(
        Dialect(
            name="live",
            path=("ExternalFlows", "ExternalFlow"),
            record=ExternalFlowRecord,
            parse=parse_external_flow,
            days=days_in,
            every=FIVE_MINUTES,
        ),
    ),
    doc="""Flow over New England's ties every five minutes, what is scheduled, and their limits.

Source: ISO New England web services, ``/fiveminuteexternalflow``; fields from the XSD, no answer
captured; a public reader shows a record.
Grain: five minutes x tie.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: imports are negative: flow, schedule, purchases and the limit of imports. The totals are
those of all ties and come with each. A flow may exceed its schedule and its limits for a while, so
no rule compares them. Stamps may come a second or two past the interval, as those of reserve prices
do: it is the one that they lie in; ``source_stamp`` is what came.
""",
    group="interchange",
)
