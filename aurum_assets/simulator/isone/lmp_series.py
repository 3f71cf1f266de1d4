"""The prices themselves: energy, congestion and loss at every location of New England.

Energy follows the clock and the season, spikes when reserves are short and falls below zero on some
nights; congestion is absent until a constraint binds in one area, as one does for some of every
day; losses follow distance. A final
price differs from the preliminary one in one row of a hundred.
"""

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from aurum_assets.model.clock import OperatingDay
from aurum_assets.simulator.isone.places import AREAS, CORE, HUB_AREA, PRICED, places
from aurum_assets.simulator.shapes import (
    Floats,
    Ints,
    bump,
    cents,
    draws,
    hours,
    noon,
    season,
    total_cents,
    wander,
)

Edition = Literal["first", "prelim", "final"]  # "first": a preliminary value before its correction
Market = Literal["da", "prelim", "final"]

_CHANGED = {"first": 1 / 500, "final": 1 / 100}
_SPRING = (3, 4, 5)
_HUB = 0  # its place in the roster


@dataclass(frozen=True, eq=False)
class Prices:
    """A day in cents: ``energy`` by interval, the rest by interval and location."""

    total: Ints
    congestion: Ints
    energy: Ints
    loss: Ints

    def interval(self, i: int) -> Ints:
        """Total, congestion, energy, loss of one interval: four columns, one row a location."""
        energy = np.full(PRICED, self.energy[i], np.int32)
        return np.column_stack([self.total[i], self.congestion[i], energy, self.loss[i]])


@lru_cache(maxsize=8)
def prices(seed: int, day: OperatingDay, edition: Edition) -> Prices:
    """The prices of ``day`` as ``edition`` knows them."""
    energy = _energy(seed, day)
    congestion = _congestion(seed, day)
    loss = energy[:, None] * (_loss_factors(seed) + _drift(seed, day)[:, None] / 500)
    if edition in _CHANGED:
        generator = draws(seed, "lmp", edition, day.key)
        changed = generator.random(loss.shape) < _CHANGED[edition]
        changed[noon(day), _HUB] |= edition == "first"  # there is a correction to look at
        amount = (0.05 + 4 * generator.random(loss.shape)) * generator.choice([-1, 1], loss.shape)
        congestion = congestion + np.where(changed, amount, 0)
    broad = np.broadcast_to(energy[:, None], loss.shape)
    total = total_cents(broad, congestion, loss)
    return Prices(total, cents(congestion), cents(energy), cents(loss))


@lru_cache(maxsize=8)
def hourly_prices(seed: int, day: OperatingDay, market: Market) -> Prices:
    """The prices of ``day`` by hour: what cleared day-ahead, or real-time ones as settled.

    Settled hours are near the mean of the five-minute values and not the same; day-ahead ones
    foresee neither scarcity nor all of the congestion.
    """
    generator = draws(seed, "lmp-hourly", "da" if market == "da" else "rt", day.key)
    base = prices(seed, day, "prelim" if market == "da" else market)
    energy = _hourly(base.energy[:, None], market)[:, 0]
    noise = 0.04 if market == "da" else 0.002
    energy = energy * (1 + noise * generator.standard_normal(len(energy)))
    congestion = _hourly(base.congestion, market) * (0.6 if market == "da" else 1)
    loss = energy[:, None] * (_loss_factors(seed) + _hourly(_drift(seed, day)[:, None]) / 500)
    total = total_cents(np.broadcast_to(energy[:, None], loss.shape), congestion, loss)
    return Prices(total, cents(congestion), cents(energy), cents(loss))


def _hourly(values: Floats | Ints, market: Market | None = None) -> Floats:
    """Twelve marks to their mean (day-ahead: the median), hundredths to whole ones."""
    hours_of = values.reshape(-1, 12, values.shape[1])
    if market is None:
        return np.asarray(hours_of.mean(axis=1))
    of_hour = np.median(hours_of, axis=1) if market == "da" else hours_of.mean(axis=1)
    return np.asarray(of_hour / 100)


def corrected_after(seed: int, day: OperatingDay) -> list[dt.timedelta]:
    """How long after its publication each interval's first values are corrected."""
    minutes = draws(seed, "lmp-corrected", day.key).integers(6, 31, len(hours(day)))
    return [dt.timedelta(minutes=int(m)) for m in minutes]


def _energy(seed: int, day: OperatingDay) -> Floats:
    generator = draws(seed, "lmp-energy", day.key)
    hour = hours(day)
    level = 34 + 22 * max(season(day.date, 20), 0) + 10 * max(season(day.date, 205), 0)
    shape = 0.8 + 0.55 * bump(hour, 18.5, 2.4) + 0.25 * bump(hour, 7.5, 1.8)
    shape -= 0.3 * bump(hour, 13, 2.6) * generator.random() + 0.15 * bump(hour, 3, 2.5)
    level *= 0.8 + 0.45 * generator.random()
    energy: Floats = level * (shape + 0.06 * wander(generator, len(hour)))
    return energy + _scarcity(generator, len(hour)) - _surplus(generator, day, energy)


def _scarcity(generator: np.random.Generator, length: int) -> Floats:
    """One day in eight, some intervals of the evening at many times the price."""
    happens = generator.random() < 1 / 8
    start, lasts = generator.integers(180, 250), generator.integers(3, 10)
    height = 150 + 900 * generator.random(length)
    when = np.arange(length)
    inside = (when >= start) & (when < start + lasts) & happens
    return np.where(inside, height, 0.0)


def _surplus(generator: np.random.Generator, day: OperatingDay, energy: Floats) -> Floats:
    """Some nights and noons, one in four in spring, more than anyone wants: below zero."""
    often = 1 / 4 if day.date.month in _SPRING else 1 / 14
    happens, noon = generator.random() < often, generator.random() < 1 / 2
    start, lasts = generator.integers(12, 36), generator.integers(12, 40)
    first = start + (120 if noon else 0)
    when = np.arange(len(energy))
    inside = (when >= first) & (when < first + lasts) & happens
    return np.where(inside, energy + 2 + 25 * generator.random(len(energy)), 0.0)


def _congestion(seed: int, day: OperatingDay) -> Floats:
    """One to three constraints a day, each felt in one area: dearer behind it, or cheaper."""
    generator = draws(seed, "lmp-congestion", day.key)
    length = len(hours(day))
    when = np.arange(length)
    congestion = np.zeros((length, PRICED))
    for _ in range(max(1, int(generator.integers(0, 4)))):
        area, start = int(generator.integers(AREAS)), generator.integers(0, length - 12)
        inside = (when >= start) & (when < start + generator.integers(6, 72))
        height = (4 + 56 * generator.random()) * (1 + 0.3 * wander(generator, length))
        sign = -1 if area % 2 == 0 else 1
        congestion += sign * np.where(inside, height, 0.0)[:, None] * _felt(seed, area)
    return congestion


def _felt(seed: int, area: int) -> Floats:
    """How much of a constraint's price each location feels: nothing outside of its area."""
    inside = np.array([place.area == area for place in places()])
    share = 0.2 + 0.8 * draws(seed, "lmp-felt", area).random(PRICED)
    return np.where(inside, share, 0.0)


def _loss_factors(seed: int) -> Floats:
    factors = 0.02 * draws(seed, "lmp-loss").standard_normal(PRICED)
    factors[[n for n, place in enumerate(places()[:CORE]) if place.area == HUB_AREA]] = 0.0024
    return factors


def _drift(seed: int, day: OperatingDay) -> Floats:
    return wander(draws(seed, "lmp-loss", day.key), len(hours(day)))
