"""MISO's wind and solar: the hours of two days as forecast, those of the first that are over too.

Assumptions: an hour is out five minutes after its end; the answer is of the day of the newest hour
that is out, so that the last one of a day is shown after midnight; each hour has a new forecast.
"""

import datetime as dt
from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.simulator.miso.displays import clock_text, ref_id
from aurum_assets.simulator.miso.load import HOURS, forecast, hourly
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.shapes import Floats, bump, draws, hours, season, wander
from aurum_assets.simulator.world import Answer, Ask, Route, World

_AFTER = dt.timedelta(minutes=5)
_AT_NIGHT = -48.77  # MW: what was seen
_NO_HOUR = dict.fromkeys(
    ("ActualDateTimeEST", "ActualHourEndingEST", "ActualWindValue", "ActualSolarValue")
)


@lru_cache(maxsize=16)
def wind(seed: int, day: OperatingDay) -> Floats:
    """Wind at each five-minute mark of a day, MW."""
    generator, hour = draws(seed, "miso-wind", day.key), hours(day)
    level = 5_000 + 14_000 * generator.random()
    found: Floats = level * (1 - 0.2 * bump(hour, 14, 4) + 0.05 * wander(generator, len(hour)))
    return found


@lru_cache(maxsize=16)
def solar(seed: int, day: OperatingDay) -> Floats:
    """Sun at each five-minute mark of a day, MW."""
    generator, hour = draws(seed, "miso-solar", day.key), hours(day)
    daylight = 3.4 + 1.1 * season(day.date, 172)
    sun = 13_000 * (0.4 + 0.6 * generator.random()) * bump(hour, 12.4, daylight)
    found: Floats = np.where(np.abs(hour - 12.4) < 1.8 * daylight, sun, _AT_NIGHT)
    return found


def _answer(world: World, ask: Ask) -> Answer:
    newest = ask.now - _AFTER - HOUR  # it has begun by then, and is over
    day = MISO.day_of(newest)
    hour = (newest - day.start) // HOUR
    seed = world.seed

    def tree() -> Tree:
        two = (day, day.plus(1))
        actual = [np.concatenate([hourly(of(seed, d)) for d in two]) for of in (wind, solar)]
        ahead = [
            np.maximum(forecast(seed, f"miso-{name}-{day}", series, hour, 0.02), 0)
            for name, series in zip(("wind", "solar"), actual, strict=True)
        ]
        records = []
        for n in range(2 * HOURS):
            stamp, label = clock_text(day.start + n * HOUR), str(n % HOURS + 1)
            records.append(
                {
                    "ForecastDateTimeEST": stamp,
                    "ForecastHourEndingEST": label,
                    "ForecastWindValue": f"{ahead[0][n]:.2f}",
                    "ForecastSolarValue": f"{ahead[1][n]:.2f}",
                    **_NO_HOUR,
                }
            )
            if n <= hour:
                values = (stamp, label, f"{actual[0][n]:.2f}", f"{actual[1][n]:.2f}")
                records[-1] |= dict(zip(_NO_HOUR, values, strict=True))
        return {
            "instance": records,
            "RefId": ref_id(day.start + (hour + 1) * HOUR),
            "MktDay": f"{day.date:%m-%d-%Y}",
        }

    return Answer(tree, "ForecastWindValue", ("miso-wind-solar", seed, day, hour))


ROUTES = (Route(r"/WindSolar/GetCombined", _answer),)
