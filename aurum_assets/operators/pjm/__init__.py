"""PJM's datasets. Adding one: a file, and an import and an entry here."""

from aurum_assets.model.dataset import Dataset
from aurum_assets.operators.pjm.lmp import PJM_DA_LMP, PJM_ITSCED_LMP, PJM_RT_LMP

DATASETS: tuple[Dataset, ...] = (PJM_RT_LMP, PJM_DA_LMP, PJM_ITSCED_LMP)
