"""MISO's generation by fuel: the newest five minutes, or those of the day so far.

Assumptions: five minutes are out a minute after they begin; imports are the same all day, and coal
and gas make what is left of the load.
"""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.simulator.miso.displays import clock_text, local, newest, ref_id
from aurum_assets.simulator.miso.load import megawatts
from aurum_assets.simulator.miso.wind_solar import solar, wind
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.shapes import Ints, bump, draws, hours
from aurum_assets.simulator.world import Answer, Ask, Route, World


@lru_cache(maxsize=16)
def mix(seed: int, day: OperatingDay) -> dict[str, Ints]:
    """Megawatts by category at each five-minute mark of a day."""
    generator, hour, load = draws(seed, "miso-mix", day.key), hours(day), megawatts(seed, day)
    found = {
        "Nuclear": np.full(len(hour), 10_500.0 + 1_000 * generator.random()),
        "Wind": wind(seed, day),
        "Solar": solar(seed, day),
        "Battery Storage": 600 * bump(hour, 19, 2) - 500 * bump(hour, 11, 3),
        "Other": np.full(len(hour), 1_700.0),
        "Imports": np.full(len(hour), 4_000.0),
    }
    rest = np.maximum(load - sum(found.values(), start=np.zeros(len(hour))), 0)
    found |= {"Coal": 0.48 * rest, "Natural Gas": 0.52 * rest}
    return {fuel: np.rint(found[fuel]).astype(np.int32) for fuel in sorted(found)}


def mix_records(seed: int, day: OperatingDay, marks: Iterable[int]) -> list[Tree]:
    """The records at these marks of a day, by number."""
    starts, series = day.marks(FIVE_MINUTES), mix(seed, day)
    return [
        {
            "INTERVALEST": clock_text(starts[mark]),
            "CATEGORY": fuel,
            "ACT": str(made[mark]),
            "FUEL_CATEGORY": f"{fuel}  ({made[mark]:,} MW)",
        }
        for mark in marks
        for fuel, made in series.items()
    ]


def _answer(world: World, ask: Ask) -> Answer:
    day, mark = newest(ask)
    whole = ask.path.endswith("/Today")

    def tree() -> Tree:
        records = mix_records(world.seed, day, range(0 if whole else mark, mark + 1))
        total = 0 if whole else sum(int(record["ACT"]) for record in records)
        return {
            "RefId": ref_id(local(day, mark)),
            "TotalMW": str(total),
            "Fuel": {"Type": records},
        }

    return Answer(tree, "ACT", ("miso-mix", world.seed, day, mark, whole))


ROUTES = (Route(r"/FuelMix", _answer), Route(r"/FuelMix/Today", _answer))
