"""The market operators. Each is a folder; adding one: the folder, and one line in each tuple."""

from aurum_assets.model.dataset import Dataset
from aurum_assets.model.operator import Operator
from aurum_assets.operators import isone, miso
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.operator import MISO

OPERATORS: tuple[Operator, ...] = (ISONE, MISO)

DATASETS: tuple[Dataset, ...] = (*isone.DATASETS, *miso.DATASETS)
