"""MISO's net scheduled interchange: the last 37 hours in one answer, oldest first.

The interval under way is in the answer, as it is scheduled; a stamp is an interval's end.
The total differs from the sum of the neighbours, as in MISO's own answer.
"""

from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import OperatingDay
from aurum_assets.simulator.miso.displays import local, newest, ref_id
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.shapes import Ints, draws, wander
from aurum_assets.simulator.world import Answer, Ask, Route, World

_SHOWN = 37 * 12  # intervals
_LEVELS = {
    "AECI": 220,
    "LGEE": -75,
    "MHEB": -1700,
    "ONT": -1500,
    "PJM": -3500,
    "SOCO": 170,
    "SPA": -90,
    "SWPP": -200,
    "TVA": -370,
}
_BESIDE = 253  # MW of the total that no neighbour has


@lru_cache(maxsize=16)
def _series(seed: int, day: OperatingDay) -> dict[str, Ints]:
    """Megawatts by neighbour at each five-minute mark, and the total."""
    found: dict[str, Ints] = {}
    for name, level in _LEVELS.items():
        noise = wander(draws(seed, "miso-nsi", name, day.key), 288)
        found[name] = np.rint(level * (1 + 0.15 * noise)).astype(np.int32)
    total = np.array(list(found.values())).sum(axis=0) + _BESIDE
    return found | {"MISO": total.astype(np.int32)}


def instances(seed: int, day: OperatingDay, mark: int, count: int = _SHOWN) -> list[Tree]:
    """The last ``count`` intervals up to the five-minute ``mark`` of ``day``."""
    found = []
    for back in range(count - 1, -1, -1):
        days, at = divmod(mark - back, 288)
        of = day.plus(days)
        values = {name: str(series[at]) for name, series in sorted(_series(seed, of).items())}
        found.append({"timestamp": f"{local(of, at + 1):%Y-%m-%d %H:%M:%S}", **values})
    return found


def _answer(world: World, ask: Ask) -> Answer:
    day, mark = newest(ask)

    def tree() -> Tree:
        instance = instances(world.seed, day, mark)
        return {"instance": instance, "RefId": ref_id(local(day, mark)), "MktDay": None}

    return Answer(tree, "PJM", ("miso-nsi", world.seed, day, mark))


ROUTES = (Route(r"/Interchange/GetNsi/FiveMinute", _answer),)
