"""What bound in New England's day-ahead market, hour by hour, and what it cost.

Source: ISO New England web services, ``/dayaheadconstraints``; its newest answer was captured.
Grain: hour x constraint x contingency (x ordinal, where none is named).
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: an hour in which nothing binds has no row, and a day may have none. One constraint may bind
for several contingencies in one interval; ``contingency`` is empty where the operator names none,
or ``NULL``, as public readers expect. ``ordinal`` tells records without one apart: it is 1 where
there is one record, and counts them by marginal value where there are several. Marginal values
are negative in what was captured; nothing published says that they must be.
"""

from datetime import timedelta

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_name
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Rule, Table
from aurum_assets.operators.isone.operator import (
    FINALITY_IS_KNOWN,
    ISONE,
    STAMPS_NOT_SEEN,
    days_in,
    utc_stamp,
)

_RULES = (
    is_a_name("constraint_name"),
    Rule(
        "contingency_is_a_plain_name_or_empty",
        is_a_name("contingency").holds | (pl.col("contingency") == ""),
        ("contingency",),
        "contract",
    ),
    Rule(
        "interface_flag_is_a_flag",
        pl.col("interface_flag").is_in(["Y", "N", "-"]),
        ("interface_flag",),
    ),
)
_COLUMNS = (
    c.OPERATING_DAY,
    c.INTERVAL_START,
    c.INTERVAL_END,
    c.CONSTRAINT,
    c.CONTINGENCY,
    c.ORDINAL,
    c.INTERFACE_FLAG,
    c.MARGINAL_VALUE,
)
_KEY = ("interval_start", "constraint_name", "contingency", "ordinal")
_VALUES = ("interval_end", "interface_flag", "marginal_value")
_SPARSE = "nothing need bind: an answer without a record is an ordinary one"


class DayAheadConstraintRecord(Record):
    """A record of ``DayAheadConstraints.DayAheadConstraint[]``."""

    BeginDate: str
    ConstraintName: str
    ContingencyName: str | None = None
    InterfaceFlag: str | None = None
    MarginalValue: float | None = None


class RealTimeConstraintRecord(DayAheadConstraintRecord):
    """A record of ``RealTimeConstraints.RealTimeConstraint[]``; fields from the XSD."""


def _rows(start: pl.Expr, every: timedelta) -> dict[str, pl.Expr]:
    """The columns of both markets.

    A contingency that is not named is part of the key all the same, as an empty text. Records of
    one interval and constraint without one are numbered by their marginal value, whatever the order
    of an answer; equal ones have one number, and are one row. The value itself is not in the key: a
    corrected one replaces its row.
    """
    text = pl.col("ContingencyName").str.strip_chars()
    contingency = pl.when(text.str.to_uppercase() != "NULL").then(text).otherwise(pl.lit(""))
    value = pl.col("MarginalValue").fill_null(float("inf"))
    nth = value.rank("dense").over(start, "ConstraintName", contingency)
    return {
        "interval_start": start,
        "interval_end": start + every,
        "constraint_name": pl.col("ConstraintName"),
        "contingency": contingency,
        "ordinal": pl.when(contingency == "").then(nth).otherwise(pl.lit(1)).cast(pl.Int64),
        "interface_flag": pl.col("InterfaceFlag"),
        "marginal_value": pl.col("MarginalValue"),
    }


def parse_constraints(records: pl.DataFrame) -> pl.DataFrame:
    """``DayAheadConstraint[]`` to one row per hour, constraint and contingency."""
    return records.select(**_rows(utc_stamp("BeginDate"), HOUR))


def parse_real_time_constraints(records: pl.DataFrame) -> pl.DataFrame:
    """``RealTimeConstraint[]`` to one row per five minutes, constraint and contingency.

    The interval is the one that the stamp lies in.
    """
    stamp = utc_stamp("BeginDate")
    return records.select(source_stamp=stamp, **_rows(stamp.dt.truncate("5m"), FIVE_MINUTES))


ISONE_DA_CONSTRAINTS = Dataset(
    key="isone_da_constraints",
    operator=ISONE,
    table=Table(
        name="isone_da_constraints",
        columns=(*_COLUMNS, *c.PROVENANCE),
        key=_KEY,
        values=_VALUES,
        rules=_RULES,
        sparse=_SPARSE,
        doc="Constraints that bound in New England's day-ahead market.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("DayAheadConstraints", "DayAheadConstraint"),
            record=DayAheadConstraintRecord,
            parse=parse_constraints,
            days=days_in,
            every=HOUR,
        ),
    ),
    doc=__doc__,
    group="constraints",
)

ISONE_RT_CONSTRAINTS = Dataset(
    key="isone_rt_constraints",
    operator=ISONE,
    table=Table(
        name="isone_rt_constraints",
        columns=(*_COLUMNS, c.SOURCE_STAMP, c.FINALITY, *c.PROVENANCE),
        key=(*_KEY, "finality"),
        values=(*_VALUES, "source_stamp"),
        rules=(FINALITY_IS_KNOWN, *_RULES),
        ragged=STAMPS_NOT_SEEN,
        sparse=_SPARSE,
        doc="Constraints that bound in New England's real-time market.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("RealTimeConstraints", "RealTimeConstraint"),
            record=RealTimeConstraintRecord,
            parse=parse_real_time_constraints,
            days=days_in,
            every=FIVE_MINUTES,
        ),
    ),
    doc="""What binds in New England's real-time market every five minutes, and what it costs.

Source: ISO New England web services, ``/fiveminuteconstraints``; fields from the XSD, no answer
captured.
Grain: five minutes x constraint x contingency x finality (x ordinal, where none is named).
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: an interval in which nothing binds has no row, and a day may have none. One constraint may
bind for several contingencies; ``contingency`` is empty where the operator names none. Public
readers show final records without contingencies: several of one constraint are then told apart by
``ordinal``, and ``best`` drops the preliminary rows of a day that has a final one, since what the
final answer lacks was withdrawn. A day whose final answer is empty keeps its preliminary rows.
Stamps may come a second or two past the interval, as those of reserve prices do: the interval is
the one that the stamp lies in, and ``source_stamp`` is what came. The fifteen-minute
constraints are not read: their records (``FifteenMinBcs.FifteenMinBc``) name no contingency and two
stamps, and nothing published says which of them is the interval.
""",
    group="constraints",
)
