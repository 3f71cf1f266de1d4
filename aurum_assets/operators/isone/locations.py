"""The locations of ISO New England: hubs, zones, interfaces and network nodes, as they are today.

Source: ISO New England web services, ``/locations/all``.
Grain: operating day x location.
Units: none.
Caveats: the answer carries no date, so it belongs to the day on which it was fetched. Two locations
may share a name. Network nodes of type UNIT are the nearest there is to a roster of generators.
7000 is the system (ROS, the rest of it); 7001 to 7003 are the reserve zones. DRRAZ are the zones
by which demand response is added up.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import DAY
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_number
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.operator import ISONE


class LocationRecord(Record):
    """A record of ``Locations.Location[]``."""

    LocationID: int | str
    LocationType: str
    LocationName: str
    AreaType: str | None = None
    NetworkNodeType: str | None = None


def parse_locations(records: pl.DataFrame) -> pl.DataFrame:
    """``Locations.Location[]`` to one row per location."""
    return records.select(
        location_id=pl.col("LocationID"),
        location_name=pl.col("LocationName"),
        location_type=pl.col("LocationType"),
        area_type=pl.col("AreaType"),
        network_node_type=pl.col("NetworkNodeType"),
    )


def _no_days(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    del records, header
    return []


ISONE_LOCATIONS = Dataset(
    key="isone_locations",
    operator=ISONE,
    table=Table(
        name="isone_locations",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.LOCATION_ID,
            c.LOCATION_NAME,
            c.LOCATION_TYPE,
            c.AREA_TYPE,
            c.NETWORK_NODE_TYPE,
            *c.PROVENANCE,
        ),
        key=("location_id",),
        values=("location_name", "location_type", "area_type", "network_node_type"),
        rules=(is_a_number("location_id"),),
        doc="Locations of ISO New England, a snapshot a day.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("Locations", "Location"),
            record=LocationRecord,
            parse=parse_locations,
            days=_no_days,
            every=DAY,
        ),
    ),
    doc=__doc__,
    group="reference",
)
