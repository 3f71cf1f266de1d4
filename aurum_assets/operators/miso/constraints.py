"""Transmission constraints that bind in MISO's real-time dispatch, every five minutes.

Each with its shadow price: what one more megawatt over it would be worth. They explain the
congestion component of the prices of the interval.

Source: MISO public API, ``/BindingConstraints/RealTime``.
Grain: five minutes x constraint.
Units: USD/MWh; UTC, half-open intervals stamped at their beginning.
Caveats: ``Period``, EST without offset, is the interval's end, as public clients read it. Where
nothing binds, MISO sends one record of the name ``None``: it is kept as the statement that it is,
with nulls for its placeholders, so that a quiet interval differs from a missing one; filter on
``constraint_name != 'None'``. The answer shows the newest interval only. A binding constraint's
price is negative in what was seen, which nothing published requires.
"""

from functools import partial

import msgspec
import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_name
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Rule, Table
from aurum_assets.operators.miso.numbers import UNREAD, number, texts_are_numbers, unread
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.miso.stamps import est_stamp, stamp_days

_PLACEHOLDER = pl.col("Name") == "None"
_NUMBERS = {
    "shadow_price": "Price",
    "breakpoint_1": "BP1",
    "penalty_1": "PC1",
    "breakpoint_2": "BP2",
    "penalty_2": "PC2",
}

CONSTRAINT_NAME = Column(
    "constraint_name", c.TEXT, "The constraint, as MISO names it; None where nothing binds."
)
_LIMIT = "% or MW"  # as curve_type says
DETAILS = (
    Column("shadow_price", c.NUMBER, "Shadow price of the constraint.", "USD/MWh", nullable=True),
    Column("override", c.TEXT, "Whether its curve is overridden, as MISO flags it.", nullable=True),
    Column("curve_type", c.TEXT, "What its breakpoints are in: PERCENT or MW.", nullable=True),
    Column("breakpoint_1", c.NUMBER, "First point of its penalty curve.", _LIMIT, nullable=True),
    Column("penalty_1", c.NUMBER, "Penalty from the first point on.", "USD/MWh", nullable=True),
    Column("breakpoint_2", c.NUMBER, "Second point of its penalty curve.", _LIMIT, nullable=True),
    Column("penalty_2", c.NUMBER, "Penalty from the second point on.", "USD/MWh", nullable=True),
)


class Constraint(Record):
    """A record of ``Constraint[]``: every value is text."""

    Name: str
    Period: str
    Price: str
    OVERRIDE: str | None = None
    CURVETYPE: str | None = None
    BP1: str | None = None
    PC1: str | None = None
    BP2: str | None = None
    PC2: str | None = None


class ConstraintsHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What the answer says beside its records."""

    RefId: str


def parse_constraints(records: pl.DataFrame) -> pl.DataFrame:
    """``Constraint[]`` to one row per constraint."""
    end = est_stamp("Period")

    def said(value: pl.Expr) -> pl.Expr:
        return pl.when(~_PLACEHOLDER).then(value)

    return records.select(
        interval_start=end - FIVE_MINUTES,
        interval_end=end,
        constraint_name=pl.col("Name"),
        override=said(pl.col("OVERRIDE")),
        curve_type=said(pl.col("CURVETYPE")),
        **{name: said(number(sent)) for name, sent in _NUMBERS.items()},
        **{UNREAD: said(unread(*_NUMBERS.values()))},
    )


MISO_CONSTRAINTS = Dataset(
    key="miso_constraints",
    operator=MISO,
    table=Table(
        name="miso_constraints",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            CONSTRAINT_NAME,
            *DETAILS,
            *c.PROVENANCE,
        ),
        key=("interval_start", "constraint_name"),
        values=("interval_end", *(column.name for column in DETAILS)),
        rules=(
            is_a_name("constraint_name"),
            texts_are_numbers("fields_are_numbers", "constraint_name"),
            Rule(
                "shadow_price_is_there_where_something_binds",
                pl.col("shadow_price").is_not_null() | (pl.col("constraint_name") == "None"),
                ("constraint_name", "shadow_price"),
            ),
        ),
        doc="Transmission constraints that bind in MISO's real-time dispatch.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("Constraint",),
            record=Constraint,
            header=ConstraintsHeader,
            parse=parse_constraints,
            days=partial(stamp_days, "Period", back=FIVE_MINUTES),
            every=FIVE_MINUTES,
        ),
    ),
    doc=__doc__,
    group="constraints",
)
