"""The interfaces between operators: what each side calls the same seam.

A seam has a row for each name that an operator gives it: MISO's ``PJMC`` and PJM's ``MISO`` are the
two sides of ``miso-pjm``. A side whose prices are not collected here (NYISO's) is listed too.

Source: people, in ``config/interfaces.csv``; ``evidence`` says where a pair is published.
Grain: operator x location.
Units: none.
Caveats: two prices of one seam are two operators' models of it, not one price. Where no public
source names the other side (New Brunswick, Hydro-Québec), a seam has one row.
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.table import Table
from aurum_assets.reference.crosswalk import family
from aurum_assets.reference.lists import ReviewedList
from aurum_assets.reference.nodes import ISO_NODES

_EXTERNAL = "EXT. NODE"
_NAMES = ("source", "location_id", "location_name", "location_type", "dataset")


def reads(table: Table) -> tuple[str, ...]:
    """The columns of the sightings of locations."""
    return _NAMES if table is ISO_NODES.sightings else ()


def see(rows: pl.DataFrame) -> pl.DataFrame:
    """The locations, as they were seen."""
    return rows


def unlisted(listed: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """The external nodes that are not in the list."""
    external = seen.filter(pl.col("location_type") == _EXTERNAL)
    return external.join(listed, on=["source", "location_id"], how="anti")


def named_otherwise(listed: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """The listed locations whose name is another one now; another spelling is the same name."""
    both = seen.join(listed, on=["source", "location_id"], suffix="_listed")
    name = pl.col("location_name")
    differs = family(name) != family(pl.col("location_name_listed"))
    return both.filter(differs & (name != pl.col("location_id"))).select(seen.columns)


INTERFACES = ReviewedList(
    key="interfaces",
    table=Table(
        name="interfaces",
        namespace="reference",
        columns=(
            c.SOURCE,
            c.LOCATION_ID,
            c.INTERFACE_NAME,
            c.SEAM,
            c.NEIGHBOUR,
            c.EVIDENCE,
            c.NOTE,
        ),
        key=("source", "location_id"),
        values=("location_name", "seam", "neighbour", "evidence", "note"),
        partition=("source",),
        stays_in_day=False,
        keeps_history=False,
        doc="The interfaces between operators: what each side calls the same seam.",
    ),
    called=("location_id", "location_name"),
    reads=reads,
    see=see,
    judges={
        "unlisted": (unlisted, "external nodes are not in"),
        "named_otherwise": (named_otherwise, "are called otherwise than in"),
    },
    descriptions={
        "unlisted": "Each external node that a table names that day is listed.",
        "named_otherwise": "Each listed location that a table names that day is called as listed.",
    },
    doc=__doc__,
    after=(ISO_NODES,),
)
