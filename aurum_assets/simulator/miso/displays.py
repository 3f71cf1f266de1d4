"""What MISO's simulated displays have in common: their newest interval, and how they name it."""

import datetime as dt
from zoneinfo import ZoneInfo

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.simulator.world import Ask

_AFTER = dt.timedelta(minutes=1)  # so long after its beginning an interval is out
_EST = ZoneInfo(MISO.zone)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"  # not the machine's locale


def newest(ask: Ask) -> tuple[OperatingDay, int]:
    """The operating day of the newest interval, and the number of its five-minute mark."""
    day = MISO.day_of(ask.now - _AFTER)
    return day, (ask.now - _AFTER - day.start) // FIVE_MINUTES


def local(day: OperatingDay, mark: int) -> dt.datetime:
    """The instant of a five-minute mark on MISO's clock; a mark of 288 is the next midnight."""
    return est(day.start + mark * FIVE_MINUTES)


def est(instant: dt.datetime) -> dt.datetime:
    """The instant on MISO's clock."""
    return instant.astimezone(_EST)


def ref_id(at: dt.datetime) -> str:
    """``27-Jul-2026 - Interval 08:15 EST``."""
    at = est(at)
    return f"{at:%d}-{_MONTHS[3 * at.month - 3 :][:3]}-{at:%Y} - Interval {at:%H:%M} EST"


def clock_text(at: dt.datetime) -> str:
    """``2026-07-27 8:04:09 AM``: twelve hours, not padded."""
    at = est(at)
    half = "AM" if at.hour < 12 else "PM"  # noqa: PLR2004  noon
    return f"{at:%Y-%m-%d} {at.hour % 12 or 12}:{at:%M:%S} {half}"
