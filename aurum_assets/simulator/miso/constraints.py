"""MISO's binding constraints: none to some ten in an interval, each for an hour or so.

Where none binds there is one record of the word ``None`` and zeros.
"""

from functools import lru_cache

from aurum_assets.model.clock import OperatingDay
from aurum_assets.simulator.miso.displays import local, newest, ref_id
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.shapes import Floats, draws, wander
from aurum_assets.simulator.world import Answer, Ask, Route, World

_KNOWN = 24
_BINDS_ABOVE = 1.0
_DOLLARS = 40.0
_REST = {"OVERRIDE": "0", "CURVETYPE": "PERCENT", "BP1": "100", "PC1": "700", "BP2": "102"}


@lru_cache(maxsize=16)
def _strain(seed: int, day: OperatingDay, number: int) -> Floats:
    """How far beyond its limit the dispatch would load a constraint, by five-minute mark."""
    strain: Floats = wander(draws(seed, "miso-constraint", number, day.key), 288) - _BINDS_ABOVE
    return strain


def binding(seed: int, day: OperatingDay, mark: int) -> list[Tree]:
    """The records of the interval that begins at the five-minute ``mark`` of a day."""
    period = f"{local(day, mark + 1):%Y-%m-%dT%H:%M:%S}"
    found = [
        {
            "Name": f"SIM{number:05d}_LINE{number}_{number}_1",
            "Period": period,
            "Price": f"{-_DOLLARS * strain:.2f}",
            **_REST,
            "PC2": "1000",
        }
        for number in range(1, _KNOWN + 1)
        if (strain := _strain(seed, day, number)[mark]) > 0
    ]
    nothing = dict.fromkeys(("Price", *_REST, "PC2"), "0")
    return found or [{"Name": "None", "Period": period, **nothing}]


def _answer(world: World, ask: Ask) -> Answer:
    day, mark = newest(ask)
    mark, day = (mark - 1, day) if mark else (287, day.plus(-1))  # the last complete interval

    def tree() -> Tree:
        end = local(day, mark + 1)
        return {"RefId": ref_id(end), "Constraint": binding(world.seed, day, mark)}

    return Answer(tree, "Price", ("miso-constraints", world.seed, day, mark))


ROUTES = (Route(r"/BindingConstraints/RealTime", _answer),)
