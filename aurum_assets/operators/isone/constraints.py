"""What bound in New England's day-ahead market, hour by hour, and what it cost.

Source: ISO New England web services, ``/dayaheadconstraints``; its newest answer was captured.
Grain: hour x constraint x contingency.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: an hour in which nothing binds has no row, and a day may have none. One constraint may bind
for several contingencies in one interval; ``contingency`` is empty where the operator names none.
Marginal values are negative in what was captured; nothing published says that they must be.
"""

from datetime import timedelta

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_name
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Rule, Table
from aurum_assets.operators.isone.operator import FINALITY_IS_KNOWN, ISONE, days_in, utc_stamp

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
    c.INTERFACE_FLAG,
    c.MARGINAL_VALUE,
)
_KEY = ("interval_start", "constraint_name", "contingency")
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


def parse_constraints(records: pl.DataFrame, every: timedelta = HOUR) -> pl.DataFrame:
    """``DayAheadConstraint[]`` to one row per hour, constraint and contingency.

    A contingency that is not named is part of the key all the same, as an empty text.
    """
    start = utc_stamp("BeginDate")
    return records.select(
        interval_start=start,
        interval_end=start + every,
        constraint_name=pl.col("ConstraintName"),
        contingency=pl.col("ContingencyName").fill_null(""),
        interface_flag=pl.col("InterfaceFlag"),
        marginal_value=pl.col("MarginalValue"),
    )


def parse_real_time_constraints(records: pl.DataFrame) -> pl.DataFrame:
    """``RealTimeConstraint[]`` to one row per five minutes, constraint and contingency."""
    return parse_constraints(records, FIVE_MINUTES)


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
        columns=(*_COLUMNS, c.FINALITY, *c.PROVENANCE),
        key=(*_KEY, "finality"),
        values=_VALUES,
        rules=(FINALITY_IS_KNOWN, *_RULES),
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
Grain: five minutes x constraint x contingency x finality.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: an interval in which nothing binds has no row, and a day may have none. One constraint may
bind for several contingencies; ``contingency`` is empty where the operator names none. The
fifteen-minute constraints are not read: their records (``FifteenMinBcs.FifteenMinBc``) name no
contingency and two stamps, and nothing published says which of them is the interval.
""",
    group="constraints",
)
