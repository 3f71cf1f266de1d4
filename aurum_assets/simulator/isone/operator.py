"""ISO New England as it is simulated: its feeds, its two formats, its sign-in, its limits.

Adding a feed: a module with ``ROUTES``, and its name here.
"""

import base64
from collections.abc import Mapping

from aurum_assets.model.operator import Limit
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.simulator.isone import (
    ancillary,
    constraints,
    day_ahead_reserves,
    demand,
    generation,
    hourly_lmp,
    hourly_load,
    interchange,
    lmp,
    load,
    load_forecast,
    locations,
    strike_prices,
    zonal_load,
)
from aurum_assets.simulator.isone.payloads import render
from aurum_assets.simulator.operator import SimulatedOperator

_USERNAME, _PASSWORD, _API_KEY = "ISONE_USERNAME", "ISONE_PASSWORD", "ISONE_API_KEY"


def _admits(headers: Mapping[str, str], credentials: Mapping[str, str]) -> bool:
    """By user name and password, or by key."""
    pair = base64.b64encode(f"{credentials[_USERNAME]}:{credentials[_PASSWORD]}".encode()).decode()
    by_key = headers.get("x-api-key") == credentials[_API_KEY]
    return by_key or headers.get("authorization") == f"Basic {pair}"


SIMULATED_ISONE = SimulatedOperator(
    ISONE,
    base="/api/v1.1",
    routes=(
        *lmp.ROUTES,
        *hourly_lmp.ROUTES,
        *load.ROUTES,
        *zonal_load.ROUTES,
        *hourly_load.ROUTES,
        *generation.ROUTES,
        *ancillary.ROUTES,
        *day_ahead_reserves.ROUTES,
        *locations.ROUTES,
        *load_forecast.ROUTES,
        *demand.ROUTES,
        *interchange.ROUTES,
        *constraints.ROUTES,
        *strike_prices.ROUTES,
    ),
    limits=(Limit(60, 60), Limit(1000, 3600)),
    formats=("json", "xml"),
    render=render,
    credentials={_USERNAME: "demo", _PASSWORD: "demo-password", _API_KEY: "demo-key"},
    admits=_admits,
    challenge={"WWW-Authenticate": 'Basic realm="ISO New England web services"'},
)
