"""The market operators. Each is a folder; adding one: the folder, and one line in each tuple."""

from aurum_assets.model.dataset import Dataset
from aurum_assets.model.operator import Operator
from aurum_assets.operators import isone, miso, pjm
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.pjm.operator import PJM

OPERATORS: tuple[Operator, ...] = (ISONE, MISO, PJM)

DATASETS: tuple[Dataset, ...] = (*isone.DATASETS, *miso.DATASETS, *pjm.DATASETS)
