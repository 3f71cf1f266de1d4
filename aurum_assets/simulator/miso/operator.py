"""MISO as it is simulated: its feeds and their limits; anybody may ask.

Each live display (a path without a query) has a limit of its own, such as
``miso_live:/CoordinatedTransactionScheduling``.
"""

from collections.abc import Mapping, Sequence

from aurum_assets.model.operator import Limit
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.simulator.miso import (
    ancillary,
    constraints,
    cts,
    expost,
    fuel_mix,
    interchange,
    lmp,
    load,
    wind_solar,
)
from aurum_assets.simulator.operator import SimulatedOperator


def _windows(path: str, query: Mapping[str, str]) -> Sequence[str]:
    return () if query else (f"miso_live:{path}",)


SIMULATED_MISO = SimulatedOperator(
    MISO,
    base="/api",
    routes=(
        *cts.ROUTES,
        *lmp.ROUTES,
        *load.ROUTES,
        *fuel_mix.ROUTES,
        *wind_solar.ROUTES,
        *expost.ROUTES,
        *interchange.ROUTES,
        *constraints.ROUTES,
        *ancillary.ROUTES,
    ),
    limits=(Limit(50, 60),),
    windows=_windows,
)
