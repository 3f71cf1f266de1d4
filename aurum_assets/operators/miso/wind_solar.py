"""Wind and solar output of MISO, hour by hour.

Source: MISO public API, ``/WindSolar/GetCombined``, the fields ``Actual…``.
Grain: hour.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: solar is below zero at night (-48.77 was seen). The answer is of one market day,
``MktDay``; hours that are not over yet have no value. Whether the last hour of a day is shown after
midnight is not known. A record has two stamps, one of the forecast and one of the actual hour: each
is the hour's beginning, and its number the hour's end.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import HOUR
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Rule, Table
from aurum_assets.operators.miso.numbers import UNREAD, number, texts_are_numbers, unread
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.miso.stamps import ref_day, ref_instant, says_when, twelve_hour_stamp

_LABEL = "hour_ending"

WIND = Column("wind", c.NUMBER, "Output of all wind plants.", "MW", nullable=True)
SOLAR = Column(
    "solar", c.NUMBER, "Output of all solar plants; at night below zero.", "MW", nullable=True
)
WIND_FORECAST = Column("wind", c.NUMBER, "Forecast output of all wind.", "MW", nullable=True)
SOLAR_FORECAST = Column("solar", c.NUMBER, "Forecast output of all solar.", "MW", nullable=True)


class WindSolarRecord(Record):
    """A record of ``instance[]``, an hour: every value is text, or null where there is none yet."""

    ForecastDateTimeEST: str | None = None
    ForecastHourEndingEST: str | None = None
    ForecastWindValue: str | None = None
    ForecastSolarValue: str | None = None
    ActualDateTimeEST: str | None = None
    ActualHourEndingEST: str | None = None
    ActualWindValue: str | None = None
    ActualSolarValue: str | None = None


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """What the answer says beside its records."""

    RefId: str
    MktDay: str | None = None


def _values(which: str) -> tuple[str, str]:
    return f"{which}WindValue", f"{which}SolarValue"


def _parsed(records: pl.DataFrame, which: str, published: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """``instance[]`` to one row per hour that has a value."""
    start, (wind, solar) = twelve_hour_stamp(f"{which}DateTimeEST"), _values(which)
    return records.select(
        **published,
        interval_start=start,
        interval_end=start + HOUR,
        wind=number(wind),
        solar=number(solar),
        **{_LABEL: pl.col(f"{which}HourEndingEST"), UNREAD: unread(wind, solar)},
    )


parse_wind_solar = partial(_parsed, which="Actual", published={})
parse_forecast = partial(
    _parsed, which="Forecast", published={"published_at": ref_instant("RefId")}
)


def _days(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    """``MktDay`` (``07-27-2026``), or the date of ``RefId`` where there is none."""
    del records
    written = re.fullmatch(r"(\d\d)-(\d\d)-(\d{4})", str(header.get("MktDay")))
    day = f"{written[3]}-{written[1]}-{written[2]}" if written else ref_day(header.get("RefId"))
    return [] if day is None else [day]


def _dialect(which: str, parse: Callable[[pl.DataFrame], pl.DataFrame]) -> Dialect:
    return Dialect(
        name="live",
        path=("instance",),
        record=WindSolarRecord,
        header=Header,
        parse=parse,
        present=pl.any_horizontal(pl.col(_values(which)).is_not_null()),
        days=_days,
        every=HOUR,
        volatile=("RefId",),
        snapshot_rules={"the_answer_says_when": partial(says_when, "RefId")},
    )


def _table(key: str, doc: str, values: tuple[Column, ...], published: tuple[Column, ...]) -> Table:
    """``published``: the column that tells vintages apart, which stay in the day they came out."""
    vintage = tuple(column.name for column in published)
    ends = pl.col("interval_end").dt.convert_time_zone(MISO.zone).dt.hour()
    label = pl.when(ends == 0).then(pl.lit("24")).otherwise(ends.cast(pl.String))
    return Table(
        name=key,
        columns=(
            c.OPERATING_DAY,
            *published,
            c.INTERVAL_START,
            c.INTERVAL_END,
            *values,
            *c.PROVENANCE,
        ),
        key=(*vintage, "interval_start"),
        values=("interval_end", *(column.name for column in values)),
        rules=(
            texts_are_numbers("values_are_numbers", "interval_start"),
            Rule(
                "hour_ending_agrees_with_the_stamp",
                pl.col(_LABEL) == label,
                (_LABEL, "interval_start"),
            ),
        ),
        sort=("interval_start", *vintage),
        stays_in_day=not published,
        doc=doc,
    )


MISO_WIND_SOLAR = Dataset(
    key="miso_wind_solar",
    operator=MISO,
    table=_table("miso_wind_solar", "Hourly wind and solar output of MISO.", (WIND, SOLAR), ()),
    dialects=(_dialect("Actual", parse_wind_solar),),
    doc=__doc__,
    group="generation",
)

MISO_WIND_SOLAR_FORECAST = Dataset(
    key="miso_wind_solar_forecast",
    operator=MISO,
    table=_table(
        "miso_wind_solar_forecast",
        "Forecast of MISO's hourly wind and solar output, every vintage kept.",
        (WIND_FORECAST, SOLAR_FORECAST),
        (c.PUBLISHED_AT,),
    ),
    dialects=(_dialect("Forecast", parse_forecast),),
    doc="""MISO's forecast of its wind and solar output for today and tomorrow, every vintage kept.

Source: MISO public API, ``/WindSolar/GetCombined``, the fields ``Forecast…``.
Grain: publication x hour.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: MISO does not say when it made a forecast. ``published_at`` is the interval of ``RefId`` of
the first answer with it, so it was known by then; while none of its hours changes, no new vintage
is made. ``operating_day`` is the market day of the answer (``MktDay``). That the hours are those of
two days is known from a capture of ``getWindForecast``, the same forecast of wind alone.
""",
    group="generation",
    shares=MISO_WIND_SOLAR,
)
