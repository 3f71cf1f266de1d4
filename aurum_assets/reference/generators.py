"""The generators of New England: names, fuels, and the greatest output that was seen.

There is no roster of generators in the operator's web services. This one is derived from the
network nodes of type UNIT in ``/locations/all`` and from ``/generation/resource``, by number.

Source: ``isone_locations`` and ``isone_generation_by_resource``.
Grain: generator.
Units: MW; days are operating days.
Caveats: ``fuel`` is the last one in ``/generation/resource``, else what a person typed into
``config/generators.csv``; ``zone`` is what a person typed; ``capacity_seen`` is the greatest output
that was seen, which may be far below what the generator can make. A node and a resource of one
number are taken to be one generator: where their names differ, ``names`` has both.
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.table import Table
from aurum_assets.reference.crosswalk import PROVENANCE, Reference, history, reviewed_over, summary
from aurum_assets.reference.nodes import LISTS

_RESOURCE = ("interval_start", "resource_id", "resource_name", "fuel", "generation")
_NODE = ("location_id", "location_name", "network_node_type")


def reads(table: Table) -> tuple[str, ...]:
    """The columns of ``table`` that describe generators; none where it has none."""
    for columns in (_RESOURCE, _NODE):
        if set(columns) <= set(table.names):
            return columns
    return ()


def see(rows: pl.DataFrame) -> pl.DataFrame:
    """Reduce rows to one per generator and name: the last fuel, the greatest output."""
    if "resource_id" in rows.columns:
        return rows.group_by("resource_id", "resource_name").agg(
            pl.col("fuel").sort_by("interval_start", "fuel").last(),
            pl.col(PROVENANCE).sort_by(PROVENANCE).first(),
            capacity_seen=pl.col("generation").max(),
        )
    return rows.filter(pl.col("network_node_type") == "UNIT").select(
        *PROVENANCE,
        resource_id=pl.col("location_id"),
        resource_name=pl.col("location_name"),
        fuel=pl.lit(None, pl.String),
        capacity_seen=pl.lit(None, pl.Float64),
    )


def roster(sightings: pl.DataFrame, reviewed: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``reference.generators`` from all ``sightings``."""
    ids = GENERATORS.ids
    newest = history(GENERATORS, sightings).unique(ids, keep="last", maintain_order=True)
    seen = sightings.group_by(ids).agg(pl.col("capacity_seen").max())
    return (
        reviewed_over(GENERATORS, newest, sightings, reviewed)
        .with_columns(canonical_name=pl.coalesce("canonical_name", "resource_name"))
        .join(summary(GENERATORS, sightings), on=ids, how="left")
        .join(seen, on=ids, how="left")
    )


GENERATORS = Reference(
    key="generators",
    table=Table(
        name="generators",
        namespace="reference",
        columns=(
            c.SOURCE,
            c.RESOURCE_ID,
            c.SIGHTED_RESOURCE_NAME,
            c.CANONICAL_NAME,
            c.NAMES,
            c.KNOWN_FUEL,
            c.REVIEWED_ZONE,
            c.CAPACITY_SEEN,
            c.FIRST_SEEN,
            c.LAST_SEEN,
            c.DATASETS_SEEN,
        ),
        key=("source", "resource_id"),
        values=(
            "resource_name",
            "canonical_name",
            "names",
            "fuel",
            "zone",
            "capacity_seen",
            "first_seen",
            "last_seen",
            "seen_in",
        ),
        partition=("source",),
        stays_in_day=False,
        keeps_history=False,
        doc="Every generator that was ever seen: name, fuel, zone, the greatest output seen.",
    ),
    sightings=Table(
        name="generator_sightings",
        namespace="reference",
        columns=(
            c.OPERATING_DAY,
            c.SOURCE,
            c.RESOURCE_ID,
            c.SIGHTED_RESOURCE_NAME,
            c.KNOWN_FUEL,
            c.CAPACITY_SEEN,
            c.SEEN_IN,
            c.FETCHED_AT,
            c.RAW_SHA256,
        ),
        key=("source", "resource_id", "resource_name", "dataset"),
        values=("fuel", "capacity_seen"),
        stays_in_day=False,
        keeps_history=False,
        doc="Which dataset named which generator on which operating day, its fuel and output.",
    ),
    id="resource_id",
    called="resource_name",
    attributes=("fuel",),
    typed=("canonical_name", "zone", "note"),
    lists=LISTS,
    reads=reads,
    see=see,
    follows=roster,
    doc=__doc__,
)
