"""The tables of the marts: columns with units, key, rules; one for each model of ``models/``.

Here belongs what a mart is, in words and columns. How it is computed is in its SQL file; the
files ``models/schema.yml``, ``models/sources.yml`` and ``macros/best.sql`` are written from here
and from the market's tables (``schemas``).
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.table import UTC, Column, Rule, Table

COMPUTED_AT = Column("computed_at", UTC, "When these values of the row were computed.", "UTC")
MADE_FROM = Column(
    "made_from", pl.String(), "The snapshots of the tables that the row was made from."
)
OPERATOR = Column("operator", pl.String(), "The market operator, by its short name.")
_PRICE = "USD/MWh"

HUB_PRICES = Table(
    name="hub_prices",
    namespace="marts",
    columns=(
        c.OPERATING_DAY,
        OPERATOR,
        c.LOCATION_ID,
        c.INTERVAL_START,
        Column("da_lmp", pl.Float64(), "Day-ahead LMP.", _PRICE, nullable=True),
        Column("rt_lmp", pl.Float64(), "Real-time hourly LMP.", _PRICE, nullable=True),
        Column("rt_finality", pl.String(), "Of rt_lmp: prelim or final.", nullable=True),
        COMPUTED_AT,
        MADE_FROM,
    ),
    key=("operator", "location_id", "interval_start"),
    values=("da_lmp", "rt_lmp", "rt_finality"),
    rules=(
        Rule.of_sql("rt_finality_is_known", "rt_finality IN ('prelim', 'final')", "rt_finality"),
    ),
    doc="Hourly day-ahead and real-time prices of each location.",
)

MARTS: tuple[Table, ...] = (HUB_PRICES,)
