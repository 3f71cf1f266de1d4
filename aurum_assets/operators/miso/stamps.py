"""How MISO's displays say when: a date in ``RefId`` and a time in each block, or a stamp.

EST all year.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from aurum_assets.model.dataset import Envelope
from aurum_assets.operators.miso.operator import MISO

_DATE = r"^(\d{1,2}-[A-Z][a-z]{2}-\d{4})\b"
_INTERVAL = r"Interval (\d{2}:\d{2})\b"
_CLOCK = r"^([01]\d|2[0-3]):([0-5]\d)$"
_HOUR = r"([1-9]|1\d|2[0-4])"
_HOUR_ENDING = rf"^HE {_HOUR}$"
_DAY_MINUTES = 1440
_TURN_MINUTES = 10  # after midnight, in which a list may be of either day
_AHEAD_MINUTES = 60  # by so much less may the newest row of a list be ahead of ``RefId``


def block_start(ref_id: str, at: str) -> pl.Expr:
    """The beginning (UTC) of the interval that the column ``at`` names: ``08:15``, or ``HE 9``.

    Its date is the one that brings it nearest to the interval of ``ref_id``: just after midnight
    ``HE 24`` is yesterday's. Null where one of the texts is none of these.
    """
    began = _minutes(pl.col(at))
    return _of_ref(ref_id, began - _days_back(ref_id, began) * _DAY_MINUTES)


def row_start(ref_id: str, at: str) -> pl.Expr:
    """The beginning (UTC) of the interval that a row of a day's list names in ``at``: ``08:15``.

    All rows are of one day: that of ``ref_id``, or the day before where the newest row would lie an
    hour or more ahead of it: just after midnight. Null where a text is neither a time nor a date.
    """
    began = _clock_minutes(pl.col(at))
    back = _days_back(ref_id, began.max(), _DAY_MINUTES - _AHEAD_MINUTES)
    return _of_ref(ref_id, began - back * _DAY_MINUTES)


def hour_start(ref_id: str, hour: str) -> pl.Expr:
    """The beginning (UTC) of the hour of ``ref_id``'s date whose end is numbered in ``hour``.

    ``9`` ends at 09:00, ``24`` at midnight. Null where one of the texts is none of these.
    """
    return _of_ref(ref_id, (pl.col(hour).str.extract(f"^{_HOUR}$").cast(pl.Int64) - 1) * 60)


def ref_instant(ref_id: str) -> pl.Expr:
    """The instant (UTC) of ``27-Jul-2026 - Interval 08:15 EST``; null where there is none."""
    return _of_ref(ref_id, _clock_minutes(pl.col(ref_id).str.extract(_INTERVAL)))


def is_settled(ref_id: str) -> pl.Expr:
    """Whether ``ref_id``'s interval is none of the first ten minutes of its date.

    Then a list that names no day may still be yesterday's; false where it names no interval.
    """
    return (_clock_minutes(pl.col(ref_id).str.extract(_INTERVAL)) >= _TURN_MINUTES).fill_null(
        value=False
    )


def twelve_hour_stamp(name: str) -> pl.Expr:
    """A stamp like ``2026-07-27 8:04:09 AM``, EST, as UTC; null where it is no stamp."""
    text = pl.col(name)
    return _utc(text.str.to_datetime("%Y-%m-%d %I:%M:%S %p", time_unit="us", strict=False))


def ref_date(ref_id: str) -> pl.Expr:
    """The date of ``27-Jul-2026 - Interval 08:15 EST``; null where there is none."""
    return pl.col(ref_id).str.extract(_DATE).str.to_date("%d-%b-%Y", strict=False)


def block_day(ref_id: object, at: object) -> str | None:
    """The operating day of ``block_start`` as YYYY-MM-DD; None where the texts say none."""
    return _day_of(block_start("ref", "at"), ref_id, at)


def list_day(ref_id: object, newest: object) -> str | None:
    """The operating day of ``row_start`` as YYYY-MM-DD; None where the texts say none."""
    return _day_of(row_start("ref", "at"), ref_id, newest)


def ref_day(ref_id: object) -> str | None:
    """The operating day of ``ref_instant`` as YYYY-MM-DD; None where the text says none."""
    return _day_of(ref_instant("ref"), ref_id)


def says_when(ref_id: str, header: Mapping[str, object], envelope: Envelope) -> str | None:
    """Why the header's ``ref_id`` names no instant; None where it does."""
    del envelope
    return f"{header[ref_id]!r} names no interval" if ref_day(header[ref_id]) is None else None


def est_stamp(name: str) -> pl.Expr:
    """A stamp like ``2026-07-27T08:15:00``, or a space for the T; null where it is none."""
    text = pl.col(name).str.replace("T", " ", literal=True)
    naive = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    return _utc(naive)


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


def _day_of(instant: pl.Expr, ref_id: object, at: object = None) -> str | None:
    found = pl.DataFrame({"ref": [str(ref_id)], "at": [str(at)]}).select(instant).item()
    return None if found is None else MISO.day_of(found).key


def _of_ref(ref_id: str, minutes: pl.Expr) -> pl.Expr:
    """The instant so many minutes after the beginning of ``ref_id``'s date."""
    return _utc(ref_date(ref_id).cast(pl.Datetime("us")) + pl.duration(minutes=minutes))


def _utc(est: pl.Expr) -> pl.Expr:
    return est.dt.replace_time_zone(MISO.zone).dt.convert_time_zone("UTC")


def _days_back(ref_id: str, began: pl.Expr, behind: int = _DAY_MINUTES // 2) -> pl.Expr:
    """How many days before ``ref_id``'s date ``began`` is, both in minutes: so many that it lies up
    to ``behind`` before ``ref_id``'s interval, and less than the rest of a day after it.
    """
    there = _clock_minutes(pl.col(ref_id).str.extract(_INTERVAL))
    return (began - there.fill_null(began) + behind).floordiv(_DAY_MINUTES)


def _minutes(text: pl.Expr) -> pl.Expr:
    """Minutes from midnight to the beginning of ``08:15`` or ``HE 9``."""
    hour = text.str.extract(_HOUR_ENDING).cast(pl.Int64)
    return pl.coalesce(_clock_minutes(text), (hour - 1) * 60)


def _clock_minutes(text: pl.Expr) -> pl.Expr:
    hours, minutes = (text.str.extract(_CLOCK, group).cast(pl.Int64) for group in (1, 2))
    return hours * 60 + minutes
