"""Numbers that look like a market: seeded draws, the shape of a day, the level of a season.

Every draw is a function of its labels (a seed, a day, what is drawn), so the same question has the
same answer in every process. Nothing here knows an operator, a location or a format.
"""

import datetime as dt
import hashlib
import math
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


def draws(*labels: object) -> np.random.Generator:
    """Make a random generator whose draws depend on ``labels`` alone."""
    text = "/".join(map(str, labels))
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")
    return np.random.Generator(np.random.Philox(key=key))


@lru_cache(maxsize=16)
def hours(day: OperatingDay) -> Floats:
    """What the day's clock shows at each five-minute mark, in hours: 1.5 is half past one."""
    zone = ZoneInfo(day.zone)
    local = [mark.astimezone(zone) for mark in day.marks(FIVE_MINUTES)]
    return np.array([moment.hour + moment.minute / 60 for moment in local])


def noon(day: OperatingDay) -> int:
    """The number of the five-minute mark at which the day's clock shows 12:00."""
    return int(np.argmax(hours(day) == 12))  # noqa: PLR2004  noon


def bump(hour: Floats, at: float, width: float) -> Floats:
    """A bell of height one around the hour ``at``."""
    bell: Floats = np.exp(-(((hour - at) / width) ** 2))
    return bell


def season(date: dt.date, peak: int) -> float:
    """One at the ``peak`` day of the year, minus one half a year away."""
    return math.cos(2 * math.pi * (date.timetuple().tm_yday - peak) / 365.25)


def wander(generator: np.random.Generator, length: int) -> Floats:
    """Noise of unit size that remembers the last hour or so."""
    memory = 0.88 ** np.arange(48)
    noise = np.convolve(generator.standard_normal(length + 48), memory / np.sqrt(4.5))
    kept: Floats = noise[48 : 48 + length]
    return kept


def cents(values: Floats) -> Ints:
    """``values`` in whole hundredths."""
    return np.rint(values * 100).astype(np.int32)


def total_cents(*parts: Floats) -> Ints:
    """The sum of ``parts``, rounded on its own as the operators do it.

    It differs from the sum of the rounded parts by one hundredth in many places, never by more.
    """
    unrounded = sum(parts[1:], start=parts[0])
    rounded = sum((cents(part) for part in parts[1:]), start=cents(parts[0]))
    return np.clip(cents(unrounded), rounded - 1, rounded + 1)


def lateness(labels: tuple[object, ...], count: int) -> list[dt.timedelta]:
    """How much later than usual each of ``count`` intervals is out: a few by 10 to 40 minutes."""
    generator = draws("late", *labels)
    late = generator.random(count) < 1 / 100
    minutes = generator.integers(10, 41, count)
    return [dt.timedelta(minutes=int(m)) for m in np.where(late, minutes, 0)]
