"""ISO New England's datasets. Adding one: a file, and an import and an entry here."""

from aurum_assets.model.dataset import Dataset
from aurum_assets.operators.isone.ancillary import (
    ISONE_ANCILLARY_SERVICES,
    ISONE_REGULATION_PRICES,
    ISONE_RESERVE_PRICES,
)
from aurum_assets.operators.isone.constraints import ISONE_DA_CONSTRAINTS, ISONE_RT_CONSTRAINTS
from aurum_assets.operators.isone.demand import ISONE_DA_HOURLY_DEMAND, ISONE_RT_HOURLY_DEMAND
from aurum_assets.operators.isone.generation import (
    ISONE_GENERATION_BY_RESOURCE,
    ISONE_GENERATION_MIX,
)
from aurum_assets.operators.isone.hourly_load import ISONE_HOURLY_SYSTEM_LOAD
from aurum_assets.operators.isone.interchange import (
    ISONE_EXTERNAL_FLOW,
    ISONE_INTERCHANGE,
    ISONE_INTERCHANGE_15MIN,
)
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD
from aurum_assets.operators.isone.load_forecast import (
    ISONE_HOURLY_LOAD_FORECAST,
    ISONE_REGION_LOAD_FORECAST,
)
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.operators.isone.strike_prices import ISONE_DA_STRIKE_PRICES

DATASETS: tuple[Dataset, ...] = (
    ISONE_DA_LMP,
    ISONE_RT_LMP,
    ISONE_RT_HOURLY_LMP,
    ISONE_SYSTEM_LOAD,
    ISONE_ZONAL_LOAD,
    ISONE_HOURLY_SYSTEM_LOAD,
    ISONE_GENERATION_MIX,
    ISONE_GENERATION_BY_RESOURCE,
    ISONE_REGULATION_PRICES,
    ISONE_RESERVE_PRICES,
    ISONE_ANCILLARY_SERVICES,
    ISONE_LOCATIONS,
    ISONE_HOURLY_LOAD_FORECAST,
    ISONE_REGION_LOAD_FORECAST,
    ISONE_RT_HOURLY_DEMAND,
    ISONE_DA_HOURLY_DEMAND,
    ISONE_INTERCHANGE,
    ISONE_INTERCHANGE_15MIN,
    ISONE_EXTERNAL_FLOW,
    ISONE_DA_CONSTRAINTS,
    ISONE_RT_CONSTRAINTS,
    ISONE_DA_STRIKE_PRICES,
)
