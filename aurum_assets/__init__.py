"""Market data of ISO New England and MISO: archived, normalized to Iceberg, checked."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aurum_assets.api import OpenLake

__all__ = ["open_lake"]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def open_lake() -> "OpenLake":
    """The tables of this ``AURUM_HOME`` by name, as polars LazyFrames and pyiceberg tables."""
    from aurum_assets.api import OpenLake

    return OpenLake()
