"""MISO's datasets. Adding one: a file, and an import and an entry here."""

from aurum_assets.model.dataset import Dataset
from aurum_assets.operators.miso.ancillary import MISO_ANCILLARY_PRICES
from aurum_assets.operators.miso.constraints import MISO_CONSTRAINTS
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.operators.miso.ex_ante import MISO_EX_ANTE_LMP
from aurum_assets.operators.miso.expost import MISO_EXPOST_LMP
from aurum_assets.operators.miso.fuel_mix import MISO_FUEL_MIX
from aurum_assets.operators.miso.interchange import MISO_INTERCHANGE
from aurum_assets.operators.miso.lmp import MISO_DA_LMP, MISO_RT_HOURLY_LMP, MISO_RT_LMP
from aurum_assets.operators.miso.load import MISO_CLEARED_LOAD, MISO_LOAD, MISO_LOAD_FORECAST
from aurum_assets.operators.miso.wind_solar import MISO_WIND_SOLAR, MISO_WIND_SOLAR_FORECAST

DATASETS: tuple[Dataset, ...] = (
    MISO_CTS,
    MISO_RT_LMP,
    MISO_RT_HOURLY_LMP,
    MISO_DA_LMP,
    MISO_LOAD,
    MISO_CLEARED_LOAD,
    MISO_LOAD_FORECAST,
    MISO_FUEL_MIX,
    MISO_WIND_SOLAR,
    MISO_WIND_SOLAR_FORECAST,
    MISO_EXPOST_LMP,
    MISO_EX_ANTE_LMP,
    MISO_INTERCHANGE,
    MISO_CONSTRAINTS,
    MISO_ANCILLARY_PRICES,
)
