"""How MISO's displays write an instant: EST all year."""

import datetime as dt
from zoneinfo import ZoneInfo

from aurum_assets.operators.miso.operator import MISO

_EST = ZoneInfo(MISO.zone)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"  # not the machine's locale


def est(instant: dt.datetime) -> dt.datetime:
    """The instant on MISO's clock."""
    return instant.astimezone(_EST)


def ref_id(instant: dt.datetime) -> str:
    """``27-Jul-2026 - Interval 08:15 EST``."""
    local = est(instant)
    month = _MONTHS[3 * local.month - 3 :][:3]
    return f"{local:%d}-{month}-{local:%Y} - Interval {local:%H:%M} EST"


def clock_text(instant: dt.datetime) -> str:
    """``2026-07-27 8:04:09 AM``: twelve hours, not padded."""
    local = est(instant)
    half = "AM" if local.hour < 12 else "PM"  # noqa: PLR2004  noon
    return f"{local:%Y-%m-%d} {local.hour % 12 or 12}:{local:%M:%S} {half}"
