"""The operators that are simulated. Adding one: a folder, and one line of ``OPERATORS``."""

from collections.abc import Sequence

from aurum_assets.model.operator import Limit
from aurum_assets.simulator.isone.operator import SIMULATED_ISONE
from aurum_assets.simulator.miso.operator import SIMULATED_MISO
from aurum_assets.simulator.operator import SimulatedOperator
from aurum_assets.simulator.pjm.operator import SIMULATED_PJM
from aurum_assets.simulator.world import Answer, Ask, World

OPERATORS: tuple[SimulatedOperator, ...] = (SIMULATED_ISONE, SIMULATED_MISO, SIMULATED_PJM)


def answer(name: str, world: World, ask: Ask) -> Answer:
    """What the operator of that name answers. Raises ``Refusal`` where it does not."""
    return next(o for o in OPERATORS if o.name == name).answer(world, ask)


def limits(
    factor: float = 1.0, operators: Sequence[SimulatedOperator] = OPERATORS
) -> dict[str, tuple[Limit, ...]]:
    """The operators' limits by name, with ``factor`` times the requests."""
    return {
        o.name: tuple(Limit(max(1, round(x.requests * factor)), x.seconds) for x in o.limits)
        for o in operators
    }
