"""PJM's Data Miner 2 as it is simulated: its feeds, its key, its limit, its errors."""

from collections.abc import Mapping

from aurum_assets.model.operator import Limit
from aurum_assets.operators.pjm.operator import PJM
from aurum_assets.simulator.operator import SimulatedOperator
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.pjm import lmp

_KEY = "PJM_API_KEY"


def _admits(headers: Mapping[str, str], credentials: Mapping[str, str]) -> bool:
    return headers.get("ocp-apim-subscription-key") == credentials[_KEY]


def _problem(reason: str) -> Tree:
    return {"errors": [{"field": "Filters", "message": reason}]}


SIMULATED_PJM = SimulatedOperator(
    PJM,
    base=lmp.BASE,
    routes=lmp.ROUTES,
    limits=(Limit(6, 60),),
    credentials={_KEY: "demo-key-of-pjm"},
    admits=_admits,
    problem=_problem,
)
