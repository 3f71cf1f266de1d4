"""The vocabulary: every column of every table, once, with its unit.

A table is a list of names from here. What does not belong here: rules, keys, parsers.
"""

import polars as pl

from aurum_assets.model.table import UTC, Column

TEXT = pl.String()
NUMBER = pl.Float64()

OPERATING_DAY = Column("operating_day", pl.Date(), "The market's day, in the operator's own zone.")
INTERVAL_START = Column("interval_start", UTC, "First instant of the half-open interval.", "UTC")
INTERVAL_END = Column("interval_end", UTC, "First instant after the interval.", "UTC")
SOURCE_TIMEZONE = Column(
    "source_timezone", TEXT, "IANA zone in which the operator keeps its operating days."
)
PUBLISHED_AT = Column(
    "published_at", UTC, "When the operator says that it made the value known.", "UTC"
)
FETCHED_AT = Column(
    "fetched_at", UTC, "When the bytes that first said this value were fetched.", "UTC"
)
RECORD_HASH = Column(
    "record_hash", TEXT, "SHA-256 (first 128 bits, hex) over table, key and values."
)
RAW_SHA256 = Column("raw_sha256", TEXT, "SHA-256 of the archived bytes that first said this value.")

PROVENANCE = (SOURCE_TIMEZONE, FETCHED_AT, RECORD_HASH, RAW_SHA256)

FINALITY = Column("finality", TEXT, "How settled the value is: prelim, or final.")
LOCATION_ID = Column("location_id", TEXT, "The operator's number of the priced location.")
LOCATION_NAME = Column(
    "location_name", TEXT, "The operator's name of the location in this feed.", nullable=True
)
LOCATION_TYPE = Column(
    "location_type", TEXT, "HUB, LOAD ZONE, EXT. NODE, NETWORK NODE and the like.", nullable=True
)
LOCATION = Column("location", TEXT, "The priced location: node of the interface, or PJM.")

_PRICE = "USD/MWh"
LMP = Column("lmp", NUMBER, "Locational marginal price.", _PRICE, nullable=True)
ENERGY = Column("energy", NUMBER, "Energy component of the LMP.", _PRICE, nullable=True)
CONGESTION = Column("congestion", NUMBER, "Congestion component of the LMP.", _PRICE, nullable=True)
LOSS = Column("loss", NUMBER, "Marginal loss component of the LMP.", _PRICE, nullable=True)
LMP_DIRECTION = Column(
    "lmp_direction",
    TEXT,
    "Direction of the forecast price: export, import, neutral.",
    nullable=True,
)
VOLUME = Column("volume", NUMBER, "Scheduled transaction volume.", "MWh", nullable=True)
VOLUME_DIRECTION = Column(
    "volume_direction", TEXT, "MISO_TO_PJM, PJM_TO_MISO or BALANCED.", nullable=True
)
DATA_QUALITY = Column("data_quality", TEXT, "FORECAST, PRELIMINARY or VALIDATED.", nullable=True)

_POWER = "MW"
LOAD = Column("load", NUMBER, "System load (generation plus net interchange less pumping).", _POWER)
NATIVE_LOAD = Column(
    "native_load", NUMBER, "Load less asset-related demand.", _POWER, nullable=True
)
ARD_DEMAND = Column("ard_demand", NUMBER, "Asset-related demand.", _POWER, nullable=True)
LOAD_BTM_PV = Column(
    "load_btm_pv",
    NUMBER,
    "System load with behind-the-meter solar added back.",
    _POWER,
    nullable=True,
)
NATIVE_LOAD_BTM_PV = Column(
    "native_load_btm_pv",
    NUMBER,
    "Native load with behind-the-meter solar added back.",
    _POWER,
    nullable=True,
)
