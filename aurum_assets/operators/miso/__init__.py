"""MISO's datasets. Adding one: one file or entry, and one line here."""

from aurum_assets.model.dataset import Dataset
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.operators.miso.lmp import MISO_DA_LMP, MISO_RT_HOURLY_LMP, MISO_RT_LMP

DATASETS: tuple[Dataset, ...] = (MISO_CTS, MISO_RT_LMP, MISO_RT_HOURLY_LMP, MISO_DA_LMP)
