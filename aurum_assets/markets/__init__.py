"""What we know of each market. Adding a dataset: one file or entry, and one line here."""

from aurum_assets.markets.isone.lmp import ISONE_RT_LMP
from aurum_assets.markets.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.markets.miso.cts import MISO_CTS
from aurum_assets.model.dataset import Dataset

DATASETS: tuple[Dataset, ...] = (
    ISONE_RT_LMP,
    ISONE_SYSTEM_LOAD,
    MISO_CTS,
)
