"""MISO's datasets. Adding one: one file or entry, and one line here."""

from aurum_assets.model.dataset import Dataset
from aurum_assets.operators.miso.cts import MISO_CTS

DATASETS: tuple[Dataset, ...] = (MISO_CTS,)
