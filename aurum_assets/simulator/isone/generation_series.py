"""What New England's generators make, by fuel, and the irregular instants of its publication."""

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import OperatingDay
from aurum_assets.simulator.isone.load import kilowatts
from aurum_assets.simulator.shapes import Floats, Ints, bump, draws, hours, season, wander

BATTERIES_SINCE = dt.date(2026, 5, 1)
ROLLUP: Mapping[str, str] = {
    "Natural Gas": "Natural Gas",
    "Nuclear": "Nuclear",
    "Hydro": "Hydro",
    "Wind": "Renewables",
    "Solar": "Renewables",
    "Refuse": "Renewables",
    "Wood": "Renewables",
    "Landfill Gas": "Renewables",
    "Oil": "Oil",
    "Coal": "Coal",
    "Other": "Other",
    "Batteries": "Batteries",
}
_FEWEST, _MOST = 190, 265  # instants a day
_LAST_GAP = 700  # seconds before midnight, so that the gap across it is no longer than others


@lru_cache(maxsize=16)
def instants(seed: int, day: OperatingDay) -> list[dt.datetime]:
    """When the mix of ``day`` is published: 188 to 267 times, 3 to 1049 seconds apart."""
    generator = draws(seed, "mix-instants", day.key)
    length = int((day.end - day.start).total_seconds())
    while True:
        sort = generator.choice(3, 500, p=[0.65, 0.1, 0.25])
        shortest, longest = np.array([240, 3, 600])[sort], np.array([360, 60, 1049])[sort]
        gaps = generator.integers(shortest, longest, endpoint=True)
        gaps[0] = generator.integers(3, 300)
        seconds = np.cumsum(gaps)
        seconds = seconds[seconds < length]
        if _FEWEST <= len(seconds) <= _MOST and length - seconds[-1] <= _LAST_GAP:
            return [day.start + dt.timedelta(seconds=int(s)) for s in seconds]


@lru_cache(maxsize=16)
def mix(seed: int, day: OperatingDay) -> dict[str, Ints]:
    """Megawatts by fuel at each five-minute mark; zero where the fuel is absent."""
    generator = draws(seed, "mix", day.key)
    hour = hours(day)
    length = len(hour)
    made = kilowatts(seed, day)["load"] / 1000 * (0.82 + 0.08 * generator.random())
    cold = max(season(day.date, 20), 0)
    found: dict[str, Floats] = {
        "Nuclear": np.full(length, 3340.0 if generator.random() < 9 / 10 else 2110.0),
        "Hydro": 900 + 500 * season(day.date, 110) + 350 * bump(hour, 18.5, 3),
        "Wind": 600 * (0.1 + generator.random()) * (1 + 0.3 * wander(generator, length)),
        "Solar": 900 * bump(hour, 12.6, 3.4) * (0.3 + 0.7 * generator.random()),
        "Refuse": 330 + 8 * wander(generator, length),
        "Wood": 260 + 12 * wander(generator, length),
        "Landfill Gas": 25 + wander(generator, length),
        "Oil": np.where(bump(hour, 18.5, 2) > 1 - cold * generator.random(), 240.0, 0.0),
        "Coal": np.full(length, 180.0 if cold * generator.random() > 1 / 2 else 0.0),
        "Other": np.where(bump(hour, 18.5, 4) > 1 / 2, 18.0, 0.0),
    }
    if day.date >= BATTERIES_SINCE:
        found["Batteries"] = 320 * bump(hour, 19, 1.6) - 20
    rest = made - sum(found.values(), start=np.zeros(length))
    found["Natural Gas"] = np.maximum(rest, 200)
    return {
        fuel: np.rint(np.maximum(found[fuel], 0)).astype(np.int32)
        for fuel in ROLLUP
        if fuel in found
    }


@lru_cache(maxsize=16)
def marginal(seed: int, day: OperatingDay) -> list[set[str]]:
    """The fuels that set the price at each five-minute mark."""
    generator = draws(seed, "mix-marginal", day.key)
    wind, hydro = generator.random((2, len(hours(day)))) < 1 / 4
    return [
        {"Natural Gas"} | ({"Wind"} if w else set()) | ({"Hydro"} if h else set())
        for w, h in zip(wind, hydro, strict=True)
    ]
