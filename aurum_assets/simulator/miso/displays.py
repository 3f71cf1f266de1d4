"""The newest interval that MISO's simulated displays show."""

import datetime as dt

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.simulator.miso.stamps import est
from aurum_assets.simulator.world import Ask

_AFTER = dt.timedelta(minutes=1)  # so long after its beginning an interval is out


def newest(ask: Ask) -> tuple[OperatingDay, int]:
    """The operating day of the newest interval, and the number of its five-minute mark."""
    day = MISO.day_of(ask.now - _AFTER)
    return day, (ask.now - _AFTER - day.start) // FIVE_MINUTES


def local(day: OperatingDay, mark: int) -> dt.datetime:
    """The instant of a five-minute mark on MISO's clock; a mark of 288 is the next midnight."""
    return est(day.start + mark * FIVE_MINUTES)
