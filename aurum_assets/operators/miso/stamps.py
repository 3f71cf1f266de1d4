"""How MISO's displays say when: a date in ``RefId`` and a time in each block, or a stamp.

EST all year.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from aurum_assets.operators.miso.operator import MISO

_DATE = r"^(\d{1,2}-[A-Z][a-z]{2}-\d{4})\b"
_INTERVAL = r"Interval (\d{2}:\d{2})\b"
_CLOCK = r"^([01]\d|2[0-3]):([0-5]\d)$"
_HOUR_ENDING = r"^HE ([1-9]|1\d|2[0-4])$"
_DAY_MINUTES = 1440


def block_start(ref_id: str, at: str) -> pl.Expr:
    """The beginning (UTC) of the interval that the column ``at`` names: ``08:15``, or ``HE 9``.

    Its date is the one that brings it nearest to the interval of ``ref_id``: just after midnight
    ``HE 24`` is yesterday's. Null where one of the texts is none of these.
    """
    began = _minutes(pl.col(at))
    there = _clock_minutes(pl.col(ref_id).str.extract(_INTERVAL))
    days_back = (began - there.fill_null(began) + _DAY_MINUTES // 2).floordiv(_DAY_MINUTES)
    midnight = ref_date(ref_id).cast(pl.Datetime("us"))
    naive = midnight + pl.duration(minutes=began) - pl.duration(days=days_back)
    return naive.dt.replace_time_zone(MISO.zone).dt.convert_time_zone("UTC")


def ref_date(ref_id: str) -> pl.Expr:
    """The date of ``27-Jul-2026 - Interval 08:15 EST``; null where there is none."""
    return pl.col(ref_id).str.extract(_DATE).str.to_date("%d-%b-%Y", strict=False)


def block_day(ref_id: object, at: object) -> str | None:
    """The operating day of ``block_start`` as YYYY-MM-DD; None where the texts say none."""
    header = pl.DataFrame({"ref": [str(ref_id)], "at": [str(at)]})
    start = header.select(block_start("ref", "at")).item()
    return None if start is None else MISO.day_of(start).key


def est_stamp(name: str) -> pl.Expr:
    """A stamp like ``2026-07-27T08:15:00``, or a space for the T; null where it is none."""
    text = pl.col(name).str.replace("T", " ", literal=True)
    naive = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    return naive.dt.replace_time_zone(MISO.zone).dt.convert_time_zone("UTC")


def stamp_days(
    field: str,
    records: list[Any],
    header: Mapping[str, Any],
    back: dt.timedelta = dt.timedelta(),
) -> list[str]:
    """The operating days (YYYY-MM-DD) of the stamps of ``field``, each moved ``back`` first."""
    del header
    texts = Counter(text for r in records if isinstance(text := r.get(field), str))
    dates = (est_stamp("at") - back).dt.convert_time_zone(MISO.zone).dt.strftime("%Y-%m-%d")
    found = pl.DataFrame({"at": list(texts)}, schema={"at": pl.String}).select(dates).to_series()
    named = zip(found, texts.values(), strict=True)
    return [day for day, count in named if day is not None for _ in range(count)]


def _minutes(text: pl.Expr) -> pl.Expr:
    """Minutes from midnight to the beginning of ``08:15`` or ``HE 9``."""
    hour = text.str.extract(_HOUR_ENDING).cast(pl.Int64)
    return pl.coalesce(_clock_minutes(text), (hour - 1) * 60)


def _clock_minutes(text: pl.Expr) -> pl.Expr:
    hours, minutes = (text.str.extract(_CLOCK, group).cast(pl.Int64) for group in (1, 2))
    return hours * 60 + minutes
