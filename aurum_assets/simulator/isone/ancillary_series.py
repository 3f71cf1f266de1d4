"""Prices and quantities of regulation and reserves in New England: real-time and day-ahead.

Real-time reserves are free of charge most of the time, and dear when the system is short of them.
"""

from functools import lru_cache
from typing import Literal

import numpy as np

from aurum_assets.model.clock import OperatingDay
from aurum_assets.simulator.shapes import Floats, Ints, bump, cents, draws, hours, wander

Finality = Literal["prelim", "final"]
PRODUCTS = ("tmsr", "tmnsr", "tmor")


@lru_cache(maxsize=16)
def late_seconds(seed: int, feed: str, day: OperatingDay) -> list[int]:
    """Draw how many seconds late each stamp of a day is: mostly 0, sometimes 1 or 2."""
    drawn = draws(seed, "stamps", feed, day.key).choice(3, len(hours(day)), p=[0.96, 0.03, 0.01])
    return [int(second) for second in drawn]


def _changed(values: Floats, seed: int, labels: tuple[object, ...], finality: Finality) -> Floats:
    """Final values differ from preliminary ones in one of fifty."""
    if finality == "prelim":
        return values
    generator = draws(seed, "final", *labels)
    other = generator.random(values.shape) < 1 / 50
    return np.asarray(np.where(other, values + 0.25 + generator.random(values.shape), values))


@lru_cache(maxsize=16)
def regulation(seed: int, day: OperatingDay, finality: Finality) -> tuple[Ints, Ints]:
    """Service and capacity price by five-minute mark, in cents."""
    generator = draws(seed, "regulation", day.key)
    hour = hours(day)
    capacity = 12 + 14 * bump(hour, 18.5, 2.5) + 5 * np.abs(wander(generator, len(hour)))
    service = np.maximum(0.2 + 0.3 * wander(generator, len(hour)), 0)
    labels = ("regulation", day.key)
    return (
        cents(_changed(service, seed, (*labels, "service"), finality)),
        cents(_changed(capacity, seed, (*labels, "capacity"), finality)),
    )


@lru_cache(maxsize=16)
def reserve_prices(seed: int, day: OperatingDay, finality: Finality) -> Ints:
    """Prices in cents by five-minute mark and product: the better reserve is never cheaper."""
    generator = draws(seed, "reserves", day.key)
    length = len(hours(day))
    short = (bump(hours(day), 18.5, 1.5) > 1 / 2) & (generator.random() < 1 / 3)
    steps = np.where(short[:, None], 25 * generator.random((length, 3)), 0.0)
    prices = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
    return cents(_changed(np.asarray(prices), seed, ("reserves", day.key), finality))


@lru_cache(maxsize=16)
def reserve_quantities(seed: int, day: OperatingDay) -> Ints:
    """Designated MW by five-minute mark and product, then the three requirements, in hundredths."""
    generator = draws(seed, "reserves-mw", day.key)
    length = len(hours(day))
    designated = np.column_stack(
        [level * (1 + 0.08 * wander(generator, length)) for level in (620, 1_150, 1_450)]
    )
    requirements = np.broadcast_to([410.0, 1_640.0, 2_440.0], (length, 3))
    return cents(np.column_stack([designated, requirements]))


@lru_cache(maxsize=16)
def day_ahead(seed: int, day: OperatingDay) -> dict[str, Ints]:
    """The day-ahead reserves by hour, in hundredths, named as the operator names them."""
    generator = draws(seed, "daas", day.key)
    hour = hours(day)[::12]
    rush = 1 + 4 * bump(hour, 18.5, 2.5)
    steps = rush[:, None] * (0.2 + generator.random((len(hour), 3)))
    tmor, tmnsr, tmsr = np.cumsum(steps, axis=1).T
    values: dict[str, Floats] = {
        "tmsr_clearing_price": tmsr,
        "tmnsr_clearing_price": tmnsr,
        "tmor_clearing_price": tmor,
        "fer_clearing_price": 0.4 * rush * generator.random(len(hour)),
        "tmsr_designation_mw": 640 + 30 * generator.standard_normal(len(hour)),
        "tmnsr_designation_mw": 1_010 + 30 * generator.standard_normal(len(hour)),
        "tmor_designation_mw": 820 + 30 * generator.standard_normal(len(hour)),
        "eir_designation_mw": 90 * generator.random(len(hour)),
        "ten_min_spin_req_mw": np.full(len(hour), 615.0),
        "total_ten_min_req_mw": np.full(len(hour), 1_640.0),
        "total_thirty_min_req_mw": np.full(len(hour), 2_440.5),
        "forecasted_energy_req_mw": 12_000 + 3_000 * bump(hour, 18.5, 4),
    }
    return {name: cents(series) for name, series in values.items()}
