"""The columns that only marts have: one name, one type, one meaning, one unit each.

What a mart takes from the market tables under the same name and meaning is in ``model.columns``.
"""

import polars as pl

from aurum_assets.model.columns import INTEGER, NUMBER, TEXT
from aurum_assets.model.table import UTC, Column

_PRICE, _POWER = "USD/MWh", "MW"
FLAG = pl.Boolean()


def price(name: str, doc: str, *, nullable: bool = True) -> Column:
    """A price, USD/MWh."""
    return Column(name, NUMBER, doc, _PRICE, nullable=nullable)


def power(name: str, doc: str, *, nullable: bool = True) -> Column:
    """A power, MW."""
    return Column(name, NUMBER, doc, _POWER, nullable=nullable)


def count(name: str, doc: str, *, nullable: bool = False) -> Column:
    """How many there are of something."""
    return Column(name, INTEGER, doc, "1", nullable=nullable)


def instant(name: str, doc: str, *, nullable: bool = True) -> Column:
    """An instant, UTC."""
    return Column(name, UTC, doc, "UTC", nullable=nullable)


COMPUTED_AT = Column("computed_at", UTC, "When the row was computed.", "UTC")
MADE_FROM = Column(
    "made_from", TEXT, "The snapshots of the tables that the operating day was made from."
)
OPERATOR = Column("operator", TEXT, "The operator, by its name.")
LOCATION_ID = Column(
    "location_id", TEXT, "The operator's number of the location, or its name where it has none."
)
LOCATION_NAME = Column("location_name", TEXT, "The operator's name of the location.", nullable=True)
LOCATION_KIND = Column("location_type", TEXT, "hub, zone, interface, or node: everything else.")
HOUR_ENDING = Column(
    "hour_ending",
    TEXT,
    "The hour by its end on the operator's clock: 01 to 24, 02X for the one that comes twice.",
)
ON_PEAK = Column("on_peak", FLAG, "Whether the hour is in the operator's on-peak block.")
DA_LMP = price("da_lmp", "Day-ahead price of the hour.")
RT_LMP = price("rt_lmp", "The operator's hourly real-time price: final, else preliminary.")
RT_MEAN_LMP = price("rt_mean_lmp", "Mean of the hour's five-minute real-time prices.")
RT_FINALITY = Column(
    "rt_finality", TEXT, "final where all of the real-time price is, else prelim.", nullable=True
)
RT_INTERVALS = count("rt_intervals", "Five-minute prices in the mean: 12 make the hour.")
RT_FROM = Column("rt_from", TEXT, "What the real-time price is: hourly, or five-minute mean.")
FORECAST = Column("forecast", TEXT, "The table of forecasts: miso_cts or pjm_itsced_lmp.")
FUEL = Column("fuel", TEXT, "The fuel in the vocabulary of all operators (reference.fuels).")
REGION = Column(
    "region", TEXT, "system: all of the operator; else the region, as the operator names it."
)
DIRECTION_DOC = "MISO_TO_PJM or PJM_TO_MISO"
