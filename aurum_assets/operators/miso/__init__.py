"""MISO's datasets. Adding one: a file, and an import and an entry here."""

from aurum_assets.model.dataset import Dataset
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.operators.miso.lmp import MISO_DA_LMP, MISO_RT_HOURLY_LMP, MISO_RT_LMP

DATASETS: tuple[Dataset, ...] = (MISO_CTS, MISO_RT_LMP, MISO_RT_HOURLY_LMP, MISO_DA_LMP)
