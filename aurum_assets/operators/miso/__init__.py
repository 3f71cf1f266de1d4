"""MISO's datasets. Adding one: a file, and an import and an entry here."""

from aurum_assets.model.dataset import Dataset
from aurum_assets.operators.miso.cts import MISO_CTS

DATASETS: tuple[Dataset, ...] = (MISO_CTS,)
