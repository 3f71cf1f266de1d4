"""Every feed of the stand-in. Adding one: a module with ``ROUTES``, and its name here."""

import re

from aurum_assets.simulator.isone import (
    ancillary,
    day_ahead_reserves,
    generation,
    hourly_lmp,
    lmp,
    load,
    locations,
    zonal_load,
)
from aurum_assets.simulator.miso import cts
from aurum_assets.simulator.world import Answer, Ask, Refusal, World

ROUTES = (
    *lmp.ROUTES,
    *hourly_lmp.ROUTES,
    *load.ROUTES,
    *zonal_load.ROUTES,
    *generation.ROUTES,
    *ancillary.ROUTES,
    *day_ahead_reserves.ROUTES,
    *locations.ROUTES,
    *cts.ROUTES,
)


def answer(operator: str, world: World, ask: Ask) -> Answer:
    """What ``operator`` answers. Raises ``Refusal`` where it does not (404: no such path)."""
    for route in ROUTES:
        if route.documented and world.live_only:
            continue
        if route.operator.name == operator and (found := re.fullmatch(route.pattern, ask.path)):
            return route.answer(world, ask, **found.groupdict())
    raise Refusal(404, f"there is no {ask.path}")
