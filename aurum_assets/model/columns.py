"""The vocabulary: every column of every table, once, with its unit.

A table is a list of names from here. Not here: rules, keys, parsers.
"""

import polars as pl

from aurum_assets.model.table import UTC, Column

TEXT = pl.String()
NUMBER = pl.Float64()
INTEGER = pl.Int64()

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
    "fetched_at", UTC, "When the bytes that first gave this value were fetched.", "UTC"
)
RAW_SHA256 = Column("raw_sha256", TEXT, "SHA-256 of the archived bytes that first gave this value.")

PROVENANCE = (SOURCE_TIMEZONE, FETCHED_AT, RAW_SHA256)

FINALITY = Column("finality", TEXT, "How settled the value is: prelim, or final.")
LOCATION_ID = Column("location_id", TEXT, "The operator's number of the priced location.")
LOCATION_NAME = Column(
    "location_name", TEXT, "The operator's name of the location in this feed.", nullable=True
)
LOCATION_TYPE = Column(
    "location_type",
    TEXT,
    "HUB, LOAD ZONE, EXT. NODE, NETWORK NODE, DRRAZ and the like.",
    nullable=True,
)
LOCATION = Column("location", TEXT, "The priced location, as the operator names it.")

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
DATA_QUALITY = Column("data_quality", TEXT, "FORECAST, PRELIMINARY or VALIDATED.", nullable=True)

_POWER = "MW"
LOAD = Column(
    "load", NUMBER, "System load: native load plus the demand of pumps and storage.", _POWER
)
NATIVE_LOAD = Column(
    "native_load", NUMBER, "Load without asset-related demand.", _POWER, nullable=True
)
ARD_DEMAND = Column(
    "ard_demand", NUMBER, "Asset-related demand: pumps and storage.", _POWER, nullable=True
)
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

AREA_ID = Column("location_id", TEXT, "The operator's number of the area; 32 is the NEPOOL area.")
HOURLY_LOAD = Column("load", NUMBER, "System load of the hour, as the operator totals it.", _POWER)
HOURLY_DEMAND = Column(
    "load", NUMBER, "Demand of the hour at the location; the hub's may be below zero.", _POWER
)
FORECAST_LOAD = Column("load", NUMBER, "Load that is forecast for the hour.", _POWER)
LOAD_ADJUSTMENT = Column(
    "load_adjustment", NUMBER, "What the operator adds to the forecast load.", _POWER, nullable=True
)
NET_LOAD = Column(
    "net_load", NUMBER, "Net load that is forecast for the hour.", _POWER, nullable=True
)
REGION = Column("region", TEXT, "Reliability region, as the operator names it.")
REGION_SHARE = Column(
    "share", NUMBER, "The region's share of the system's forecast load.", "%", nullable=True
)

TIE_ID = Column("location_id", TEXT, "The operator's number of the tie's external node.")
INTERCHANGE = Column(
    "interchange",
    NUMBER,
    "Interchange over the tie; imports are negative.",
    _POWER,
    nullable=True,
)
PURCHASE = Column(
    "purchase", NUMBER, "Energy bought over the tie; imports are negative.", _POWER, nullable=True
)
SALE = Column("sale", NUMBER, "Energy sold over the tie.", _POWER, nullable=True)
TIE_FLOW = Column(
    "flow", NUMBER, "Metered flow over the tie; imports are negative.", _POWER, nullable=True
)
TIE_SCHEDULE = Column(
    "schedule", NUMBER, "Scheduled flow over the tie; imports are negative.", _POWER, nullable=True
)
IMPORT_LIMIT = Column(
    "import_limit", NUMBER, "Limit of imports over the tie, negative.", _POWER, nullable=True
)
EXPORT_LIMIT = Column(
    "export_limit", NUMBER, "Limit of exports over the tie.", _POWER, nullable=True
)
TOTAL_IMPORTS = Column(
    "total_imports", NUMBER, "Imports over all ties, negative.", _POWER, nullable=True
)
TOTAL_EXPORTS = Column("total_exports", NUMBER, "Exports over all ties.", _POWER, nullable=True)

CONSTRAINT = Column("constraint_name", TEXT, "The constraint that binds, as the operator names it.")
CONTINGENCY = Column(
    "contingency", TEXT, "The contingency that it guards against; empty where none is named."
)
ORDINAL = Column(
    "ordinal",
    INTEGER,
    "Which of the records that name no contingency it is, by marginal value; else 1.",
    "1",
)
INTERFACE_FLAG = Column(
    "interface_flag",
    TEXT,
    "Y where the constraint is an interface, N where not, - where that is unknown.",
    nullable=True,
)
MARGINAL_VALUE = Column(
    "marginal_value", NUMBER, "Shadow price of the constraint.", _PRICE, nullable=True
)

LOAD_ZONE_ID = Column("load_zone_id", TEXT, "The operator's number of the load zone.")
LOAD_ZONE_NAME = Column(
    "load_zone_name", TEXT, "The operator's name of the load zone.", nullable=True
)
ESTIMATED_LOAD = Column(
    "load", NUMBER, "Estimated load of the zone, net of solar: it may be below zero.", _POWER
)
ESTIMATED_BTM_PV = Column(
    "btm_pv", NUMBER, "Estimated behind-the-meter solar of the zone.", _POWER, nullable=True
)

FUEL = Column("fuel", TEXT, "Fuel category, as the operator names it.")
FUEL_ROLLUP = Column("fuel_rollup", TEXT, "Group of fuel categories.", nullable=True)
MARGINAL = Column(
    "marginal",
    TEXT,
    "Y where the fuel is marginal, N where not, - where that is unknown.",
    nullable=True,
)
GENERATION = Column("generation", NUMBER, "Output of the generator, or of all of a fuel.", _POWER)
RESOURCE_ID = Column("resource_id", TEXT, "The operator's number of the generator.")
RESOURCE_NAME = Column("resource_name", TEXT, "Name of the generator.", nullable=True)

SOURCE_STAMP = Column("source_stamp", UTC, "The interval's stamp as it came, unaligned.", "UTC")
_CAPACITY_PRICE = "USD/MW"
SERVICE_PRICE = Column(
    "service_price", NUMBER, "Regulation service clearing price.", _CAPACITY_PRICE, nullable=True
)
CAPACITY_PRICE = Column(
    "capacity_price", NUMBER, "Regulation capacity clearing price.", _CAPACITY_PRICE, nullable=True
)
HOUR_ENDING = Column(
    "hour_ending",
    TEXT,
    "The operator's label of the hour by its end: 01 to 24, 02X for the one that comes twice.",
    nullable=True,
)
RESERVE_ZONE_ID = Column(
    "reserve_zone_id", TEXT, "Number of the reserve zone, 7001 to 7003; 7000 is the whole system."
)
RESERVE_ZONE_NAME = Column("reserve_zone_name", TEXT, "Name of the reserve zone.", nullable=True)


def _reserve(product: str, title: str) -> tuple[Column, Column]:
    return (
        Column(f"{product}_price", NUMBER, f"{title} clearing price.", _PRICE, nullable=True),
        Column(f"{product}_mw", NUMBER, f"{title} designated.", _POWER, nullable=True),
    )


TMSR = _reserve("tmsr", "Ten-minute spinning reserve")
TMNSR = _reserve("tmnsr", "Ten-minute non-spinning reserve")
TMOR = _reserve("tmor", "Thirty-minute operating reserve")
TEN_MINUTE_SPIN_REQUIREMENT = Column(
    "ten_minute_spin_requirement", NUMBER, "Ten-minute spinning requirement.", _POWER, nullable=True
)
TEN_MINUTE_REQUIREMENT = Column(
    "ten_minute_requirement", NUMBER, "Total ten-minute requirement.", _POWER, nullable=True
)
THIRTY_MINUTE_REQUIREMENT = Column(
    "thirty_minute_requirement", NUMBER, "Total thirty-minute requirement.", _POWER, nullable=True
)
PRODUCT = Column("product", TEXT, "Ancillary service: TMSR, TMNSR, TMOR, EIR, FER and the like.")
ZONE = Column("zone", TEXT, "The zone that the service is bought for; 7000 is the whole system.")
CLEARING_PRICE = Column("price", NUMBER, "Clearing price of the service.", _PRICE, nullable=True)
QUANTITY = Column(
    "mw", NUMBER, "Quantity of the service that was cleared or designated.", _POWER, nullable=True
)
REQUIREMENT = Column(
    "requirement",
    NUMBER,
    "What the system needs of the service (TMNSR and TMOR: of all reserve as fast or faster).",
    _POWER,
    nullable=True,
)

STRIKE_PRICE = Column(
    "strike_price", NUMBER, "Strike price of day-ahead ancillary services.", _PRICE, nullable=True
)
STRIKE_LOAD = Column(
    "load_forecast", NUMBER, "Load forecast behind the strike price.", _POWER, nullable=True
)


def _hub_price(name: str, title: str) -> Column:
    doc = f"{title} of the hub's real-time price, as forecast."
    return Column(f"hub_lmp_{name}", NUMBER, doc, _PRICE, nullable=True)


HUB_LMP_FORECASTS = (
    _hub_price("p10", "10th percentile"),
    _hub_price("p25", "25th percentile"),
    _hub_price("p75", "75th percentile"),
    _hub_price("p90", "90th percentile"),
    _hub_price("expected", "Expectation"),
    _hub_price("override", "What the operator put in the place of the expectation"),
)
CLOSEOUT_CHARGES = (
    Column("closeout_charge", NUMBER, "Expected close-out charge.", _PRICE, nullable=True),
    Column(
        "closeout_charge_override",
        NUMBER,
        "Expected close-out charge, where the operator overrode it.",
        _PRICE,
        nullable=True,
    ),
)

AREA_TYPE = Column("area_type", TEXT, "INTERNAL or EXTERNAL.", nullable=True)
NETWORK_NODE_TYPE = Column(
    "network_node_type", TEXT, "UNIT or LOAD, for network nodes.", nullable=True
)

SOURCE = Column("source", TEXT, "The operator, by its name.")
SEEN_IN = Column("dataset", TEXT, "The dataset whose table named it on that day.")
SIGHTED_NAME = Column(
    "location_name", TEXT, "The operator's name; the location's id where the dataset gives none."
)
SIGHTED_RESOURCE_NAME = Column(
    "resource_name", TEXT, "Name of the generator; its id where the dataset gives none."
)
CANONICAL_NAME = Column(
    "canonical_name", TEXT, "What we call it: what a person typed, else its newest name."
)
NAMES = Column(
    "names", TEXT, "Every name that it has had, in order, separated by bars.", nullable=True
)
DATASETS_SEEN = Column(
    "seen_in", TEXT, "The datasets that named it, in order, separated by commas."
)
REVIEWED_ZONE = Column(
    "zone", TEXT, "Its load zone: what a person typed, or itself for a load zone.", nullable=True
)
REVIEWED_RESERVE_ZONE = Column(
    "reserve_zone",
    TEXT,
    "Its reserve zone: what a person typed, or itself for a reserve zone.",
    nullable=True,
)
KNOWN_FUEL = Column(
    "fuel", TEXT, "Fuel category: the last one in a feed, or what a person typed.", nullable=True
)
CAPACITY_SEEN = Column(
    "capacity_seen", NUMBER, "The greatest output that was seen.", _POWER, nullable=True
)
FIRST_SEEN = Column("first_seen", pl.Date(), "The first operating day on which it was seen.")
LAST_SEEN = Column("last_seen", pl.Date(), "The last operating day on which it was seen.")
VALID_FROM = Column("valid_from", pl.Date(), "The first operating day of which the row is true.")
VALID_TO = Column(
    "valid_to",
    pl.Date(),
    "The first operating day of which it is no longer true; null while it is.",
    nullable=True,
)

FUEL_LEVEL = Column("level", TEXT, "category, or rollup: a group of categories.")
FUEL_CATEGORY = Column("category", TEXT, "The category, as the operator names it.")
COMMON_FUEL = Column(
    "fuel", TEXT, "The fuel in the vocabulary of all operators; null of several.", nullable=True
)
INTERFACE_NAME = Column("location_name", TEXT, "The operator's name of the interface.")
SEAM = Column("seam", TEXT, "What both operators' names mean, in a name of ours.")
NEIGHBOUR = Column("neighbour", TEXT, "Who is on the other side.")
EVIDENCE = Column("evidence", TEXT, "Where it is published.")
NOTE = Column("note", TEXT, "What else a person noted.", nullable=True)
