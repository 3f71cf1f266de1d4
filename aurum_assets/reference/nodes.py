"""Every location that any dataset ever named: hubs, zones, interfaces, nodes, with all names.

A location is an operator's number. Its names are spelled in several ways (the hub is
``.H.INTERNAL_HUB`` in one feed and ``.H.INTERNALHUB`` in another: one location, one name), two
locations may share a name ("Maine": 7505 and 8503 are two), and a location may be renamed.

Source: whatever the tables of the datasets name; the operator's own list is ``/locations/all``.
Grain: location x change of its name, type, area type or network node type.
Units: none; days are operating days, ``valid_to`` is the first day of which a row is not true.
Caveats: no feed has the zone of a node: ``zone`` and ``reserve_zone`` are what a person
typed into ``config/iso_nodes.csv``, or the location itself where it is a zone. An attribute that
was learned later is taken to have been true from the beginning.
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.table import Table
from aurum_assets.reference.crosswalk import PROVENANCE, Reference, history, reviewed_over, summary

LISTS = {"isone": "isone_locations"}
_SYSTEM = "7000"  # listed with the reserve zones, and none of them

# The column with a location's number -> its attributes, from the same table or from the number.
_NAMED_BY: dict[str, dict[str, pl.Expr]] = {
    "location_id": {
        name: pl.col(name)
        for name in ("location_name", "location_type", "area_type", "network_node_type")
    },
    "load_zone_id": {
        "location_name": pl.col("load_zone_name"),
        "location_type": pl.lit("LOAD ZONE"),
    },
    "reserve_zone_id": {
        "location_name": pl.col("reserve_zone_name"),
        "location_type": pl.when(pl.col("reserve_zone_id") == _SYSTEM)
        .then(pl.lit("SYSTEM"))
        .otherwise(pl.lit("RESERVE ZONE")),
    },
    "location": {},
    "zone": {},
}
_ATTRIBUTES = ("location_type", "area_type", "network_node_type")


def _number(columns: list[str]) -> str:
    return next((name for name in _NAMED_BY if name in columns), "")


def reads(table: Table) -> tuple[str, ...]:
    """The columns of ``table`` that describe locations; none where it has none."""
    number = _number(table.names)
    read = {n for e in _NAMED_BY.get(number, {}).values() for n in e.meta.root_names()}
    return tuple(n for n in table.names if n == number or n in read)


def see(rows: pl.DataFrame) -> pl.DataFrame:
    """Reduce rows to one per location and name; of two types, the first in the alphabet."""
    number = _number(rows.columns)
    known = {
        name: expression
        for name, expression in _NAMED_BY[number].items()
        if set(expression.meta.root_names()) <= set(rows.columns)
    }
    absent = pl.lit(None, pl.String)
    seen = rows.select(
        *PROVENANCE,
        location_id=pl.col(number),
        **{n: known.get(n, absent) for n in ("location_name", *_ATTRIBUTES)},
    )
    return seen.group_by("location_id", "location_name").agg(
        pl.col(_ATTRIBUTES).min(), pl.col(PROVENANCE).sort_by(PROVENANCE).first()
    )


def crosswalk(sightings: pl.DataFrame, reviewed: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``reference.iso_nodes`` from all ``sightings``."""
    ids = ISO_NODES.ids
    reviewed = reviewed.with_columns(location_type=_typed_type())
    described = reviewed_over(ISO_NODES, history(ISO_NODES, sightings), sightings, reviewed)
    newest = pl.col("location_name").last().over(ids)
    canonical = pl.coalesce("canonical_name", newest)
    return (
        described.with_columns(canonical_name=canonical)
        .with_columns(
            zone=_itself("zone", "LOAD ZONE"), reserve_zone=_itself("reserve_zone", "RESERVE ZONE")
        )
        .join(summary(ISO_NODES, sightings), on=ids, how="left")
    )


def _typed_type() -> pl.Expr:
    """The type that a person typed. Version 0.1 wrote RESERVE ZONE for the whole system: nobody
    typed that, although it is in the files of its homes.
    """
    written = (pl.col("location_id") == _SYSTEM) & (pl.col("location_type") == "RESERVE ZONE")
    return pl.when(~written.fill_null(value=False)).then("location_type")


def _itself(typed: str, kind: str) -> pl.Expr:
    is_one = pl.col("location_type") == kind
    return pl.coalesce(typed, pl.when(is_one).then("canonical_name"))


ISO_NODES = Reference(
    key="iso_nodes",
    table=Table(
        name="iso_nodes",
        namespace="reference",
        columns=(
            c.SOURCE,
            c.LOCATION_ID,
            c.SIGHTED_NAME,
            c.CANONICAL_NAME,
            c.NAMES,
            c.LOCATION_TYPE,
            c.AREA_TYPE,
            c.NETWORK_NODE_TYPE,
            c.REVIEWED_ZONE,
            c.REVIEWED_RESERVE_ZONE,
            c.VALID_FROM,
            c.VALID_TO,
            c.FIRST_SEEN,
            c.LAST_SEEN,
            c.DATASETS_SEEN,
        ),
        key=("source", "location_id", "valid_from"),
        values=(
            "location_name",
            "canonical_name",
            "names",
            *_ATTRIBUTES,
            "zone",
            "reserve_zone",
            "valid_to",
            "first_seen",
            "last_seen",
            "seen_in",
        ),
        partition=("source",),
        stays_in_day=False,
        keeps_history=False,
        doc="Every location that was ever seen, under all its names, with each change.",
    ),
    sightings=Table(
        name="iso_node_sightings",
        namespace="reference",
        columns=(
            c.OPERATING_DAY,
            c.SOURCE,
            c.LOCATION_ID,
            c.SIGHTED_NAME,
            c.LOCATION_TYPE,
            c.AREA_TYPE,
            c.NETWORK_NODE_TYPE,
            c.SEEN_IN,
            c.FETCHED_AT,
            c.RAW_SHA256,
        ),
        key=("source", "location_id", "location_name", "dataset"),
        values=_ATTRIBUTES,
        stays_in_day=False,
        keeps_history=False,
        doc="Which dataset named which location on which operating day, and with which attributes.",
    ),
    id="location_id",
    called="location_name",
    attributes=_ATTRIBUTES,
    typed=("canonical_name", "zone", "reserve_zone", "note"),
    lists=LISTS,
    reads=reads,
    see=see,
    follows=crosswalk,
    doc=__doc__,
)
