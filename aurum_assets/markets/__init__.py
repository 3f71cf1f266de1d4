"""What we know of each market. Adding a dataset: one file or entry, and one line here."""

from aurum_assets.markets.isone.ancillary import (
    ISONE_ANCILLARY_SERVICES,
    ISONE_REGULATION_PRICES,
    ISONE_RESERVE_PRICES,
)
from aurum_assets.markets.isone.generation import (
    ISONE_GENERATION_BY_RESOURCE,
    ISONE_GENERATION_MIX,
)
from aurum_assets.markets.isone.lmp import ISONE_DA_LMP, ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.markets.isone.load import ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD
from aurum_assets.markets.isone.locations import ISONE_LOCATIONS
from aurum_assets.markets.miso.cts import MISO_CTS
from aurum_assets.model.dataset import Dataset

DATASETS: tuple[Dataset, ...] = (
    ISONE_DA_LMP,
    ISONE_RT_LMP,
    ISONE_RT_HOURLY_LMP,
    ISONE_SYSTEM_LOAD,
    ISONE_ZONAL_LOAD,
    ISONE_GENERATION_MIX,
    ISONE_GENERATION_BY_RESOURCE,
    ISONE_REGULATION_PRICES,
    ISONE_RESERVE_PRICES,
    ISONE_ANCILLARY_SERVICES,
    ISONE_LOCATIONS,
    MISO_CTS,
)
