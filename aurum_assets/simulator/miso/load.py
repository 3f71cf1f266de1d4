"""MISO's total load: the day's five minutes so far, and its hours as cleared and as forecast.

Assumptions: five minutes are out a minute after they begin; the hours of a day are cleared as one
list, and each is forecast anew on the hour, with an error that grows by the distance.
"""

from functools import lru_cache

import numpy as np

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.simulator.miso.displays import est, newest, ref_id
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.shapes import Floats, bump, draws, hours, season, wander
from aurum_assets.simulator.world import Answer, Ask, Route, World

HOURS = 24


@lru_cache(maxsize=16)
def megawatts(seed: int, day: OperatingDay) -> Floats:
    """Load at each five-minute mark of a day."""
    generator, hour = draws(seed, "miso-load", day.key), hours(day)
    level = 66_000 + 9_000 * max(season(day.date, 20), 0) + 22_000 * max(season(day.date, 205), 0)
    shape = 0.9 + 0.22 * bump(hour, 16.5, 5) + 0.08 * bump(hour, 8, 2.5)
    found: Floats = level * (shape + 0.004 * wander(generator, len(hour)))
    return found


def hourly(series: Floats) -> Floats:
    """The mean of each hour of a day's five-minute marks."""
    means: Floats = series.reshape(HOURS, -1).mean(axis=1)
    return means


def forecast(seed: int, label: str, actual: Floats, hour: int, spread: float) -> Floats:
    """``actual`` by hour as it was forecast at the beginning of ``hour``: the past is known."""
    ahead = np.maximum(np.arange(len(actual)) - hour, 0)
    errors = draws(seed, label, hour).standard_normal(len(actual)) * spread * np.sqrt(ahead)
    return actual * (1 + errors)


def _answer(world: World, ask: Ask) -> Answer:
    day, mark = newest(ask)
    series = megawatts(world.seed, day)

    def tree() -> Tree:
        marks = day.marks(FIVE_MINUTES)
        actual = hourly(series)
        cleared = forecast(world.seed, f"miso-cleared-{day}", actual, -HOURS, 0.004)
        ahead = forecast(world.seed, f"miso-mtlf-{day}", actual, mark // 12, 0.006)
        return {
            "LoadInfo": {
                "RefId": ref_id(marks[mark]),
                "ClearedMW": [
                    {"ClearedMWHourly": {"Hour": str(n), "Value": f"{value:.0f}"}}
                    for n, value in enumerate(cleared, 1)
                ],
                "MediumTermLoadForecast": [
                    {"Forecast": {"HourEnding": str(n), "LoadForecast": f"{value:.0f}"}}
                    for n, value in enumerate(ahead, 1)
                ],
                "FiveMinTotalLoad": [
                    {"Load": {"Time": f"{est(at):%H:%M}", "Value": f"{value:.0f}"}}
                    for at, value in zip(marks[: mark + 1], series, strict=False)
                ],
            }
        }

    return Answer(tree, "ClearedMWHourly.Value", ("miso-load", world.seed, day, mark))


ROUTES = (Route(r"/RealTimeTotalLoad", _answer),)
