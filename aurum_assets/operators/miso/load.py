"""Load of MISO, every five minutes: the demand that its generation and imports serve now.

Source: MISO public API, ``/RealTimeTotalLoad``, list ``FiveMinTotalLoad``.
Grain: five minutes.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: the list holds the day so far, so that a later answer of the day brings what an earlier one
would have; of past days nothing is shown. That ``08:10`` is the interval's beginning is how public
clients read it; MISO does not say so. The list names no day: it is that of ``RefId``, or the day
before where its newest interval lies ahead of that, just after midnight.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES, HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Rule, Table
from aurum_assets.operators.miso.numbers import number
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.miso.stamps import (
    hour_start,
    is_settled,
    list_day,
    ref_day,
    ref_instant,
    row_start,
    says_when,
)

_REF = "LoadInfo.RefId"
_LISTS = ("FiveMinTotalLoad", "ClearedMW", "MediumTermLoadForecast")

LOAD = Column("load", c.NUMBER, "Load of all of MISO.", "MW")
CLEARED_LOAD = Column(
    "cleared_load", c.NUMBER, "Load of all of MISO that the day-ahead market cleared.", "MW"
)
LOAD_FORECAST = Column("load_forecast", c.NUMBER, "Forecast load of all of MISO.", "MW")


class FiveMinuteLoad(Record):
    """``Load``: every value is text."""

    Time: str
    Value: str


class FiveMinuteRecord(Record):
    """A record of ``FiveMinTotalLoad[]``."""

    Load: FiveMinuteLoad


class ClearedHour(Record):
    """``ClearedMWHourly``: every value is text."""

    Hour: str
    Value: str


class ClearedRecord(Record):
    """A record of ``ClearedMW[]``."""

    ClearedMWHourly: ClearedHour


class ForecastHour(Record):
    """``Forecast``: every value is text."""

    HourEnding: str
    LoadForecast: str


class ForecastRecord(Record):
    """A record of ``MediumTermLoadForecast[]``."""

    Forecast: ForecastHour


class LoadInfo(msgspec.Struct, forbid_unknown_fields=True):
    """What ``LoadInfo`` says beside its lists."""

    RefId: str


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """What lies on the way to the records."""

    LoadInfo: LoadInfo


def parse_load(records: pl.DataFrame) -> pl.DataFrame:
    """``FiveMinTotalLoad[]`` to one row per interval."""
    start = row_start(_REF, "Load.Time")
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        load=number("Load.Value"),
    )


def parse_cleared_load(records: pl.DataFrame) -> pl.DataFrame:
    """``ClearedMW[]`` to one row per hour."""
    start = hour_start(_REF, "ClearedMWHourly.Hour")
    return records.select(
        interval_start=start,
        interval_end=start + HOUR,
        cleared_load=number("ClearedMWHourly.Value"),
    )


def parse_load_forecast(records: pl.DataFrame) -> pl.DataFrame:
    """``MediumTermLoadForecast[]`` to one row per hour, published at the answer's interval."""
    start = hour_start(_REF, "Forecast.HourEnding")
    return records.select(
        published_at=ref_instant(_REF),
        interval_start=start,
        interval_end=start + HOUR,
        load_forecast=number("Forecast.LoadForecast"),
    )


def _days_of_list(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    """The day of the newest interval; that of ``RefId`` where there is none."""
    loads = [r.get("Load") for r in records]
    times = [str(load.get("Time")) for load in loads if isinstance(load, dict)]
    newest = list_day(header["LoadInfo"].get("RefId"), max(times, default=None))
    return [newest] if newest else _days_of_ref(records, header)


def _days_of_ref(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    del records
    day = ref_day(header["LoadInfo"].get("RefId"))
    return [] if day is None else [day]


def _dialect(
    name: str,
    record: type[Record],
    parse: Callable[[pl.DataFrame], pl.DataFrame],
    days: Callable[[list[Any], Mapping[str, Any]], list[str]] = _days_of_ref,
) -> Dialect:
    return Dialect(
        name="live",
        path=("LoadInfo", name),
        record=record,
        header=Header,
        ignored=tuple(f"LoadInfo.{other}" for other in _LISTS if other != name),
        parse=parse,
        days=days,
        every=HOUR if days is _days_of_ref else FIVE_MINUTES,
        volatile=(_REF,),
        present=is_settled(_REF) if days is _days_of_ref else None,
        snapshot_rules={"the_answer_says_when": partial(says_when, _REF)},
    )


def _table(key: str, doc: str, value: Column, published: tuple[Column, ...] = ()) -> Table:
    """``published``: the column that tells vintages apart, which stay in the day they came out."""
    return Table(
        name=key,
        columns=(
            c.OPERATING_DAY,
            *published,
            c.INTERVAL_START,
            c.INTERVAL_END,
            value,
            *c.PROVENANCE,
        ),
        key=(*(column.name for column in published), "interval_start"),
        values=("interval_end", value.name),
        rules=(Rule(f"{value.name}_is_not_negative", pl.col(value.name) >= 0, (value.name,)),),
        sort=("interval_start", *(column.name for column in published)),
        stays_in_day=not published,
        doc=doc,
    )


MISO_LOAD = Dataset(
    key="miso_load",
    operator=MISO,
    table=_table("miso_load", "Five-minute load of MISO.", LOAD),
    dialects=(_dialect(_LISTS[0], FiveMinuteRecord, parse_load, _days_of_list),),
    doc=__doc__,
    group="load",
)

MISO_CLEARED_LOAD = Dataset(
    key="miso_cleared_load",
    operator=MISO,
    table=_table("miso_cleared_load", "Hourly load that MISO cleared a day ahead.", CLEARED_LOAD),
    dialects=(_dialect(_LISTS[1], ClearedRecord, parse_cleared_load),),
    doc="""Load that MISO's day-ahead market cleared, hour by hour, for today.

Source: MISO public API, ``/RealTimeTotalLoad``, list ``ClearedMW``.
Grain: hour.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: that ``ClearedMW`` is the load that cleared a day ahead is how public clients read it. Hour
9 ends at 09:00 EST, hour 24 at midnight. The day is that of ``RefId``; another one is not shown.
The answers of 00:00 and 00:05 give no row: their lists may still be yesterday's, which is not to be
seen in them, and the next answer has today's.
""",
    group="load",
    shares=MISO_LOAD,
)

MISO_LOAD_FORECAST = Dataset(
    key="miso_load_forecast",
    operator=MISO,
    table=_table(
        "miso_load_forecast",
        "Medium-term forecast of MISO's hourly load, every vintage kept.",
        LOAD_FORECAST,
        (c.PUBLISHED_AT,),
    ),
    dialects=(_dialect(_LISTS[2], ForecastRecord, parse_load_forecast),),
    doc="""MISO's medium-term forecast of its load for the hours of today, every vintage kept.

Source: MISO public API, ``/RealTimeTotalLoad``, list ``MediumTermLoadForecast``.
Grain: publication x hour.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: MISO does not say when it made a forecast. ``published_at`` is the interval of ``RefId`` of
the first answer with it, so it was known by then; while none of its hours changes, no new vintage
is made. Hour 9 ends at 09:00 EST, hour 24 at midnight. The day is that of ``RefId``, and hours that
are over stay in the list. The answers of 00:00 and 00:05 give no row: their list may still be
yesterday's, which is not to be seen in them and would stay as a vintage of today.
""",
    group="load",
    shares=MISO_LOAD,
)
