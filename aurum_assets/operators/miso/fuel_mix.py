"""Generation of MISO by fuel, every five minutes.

Source: MISO public API, ``/FuelMix`` (the newest interval) and ``/FuelMix/Today`` (the day so far).
Grain: five minutes x fuel.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: ``Battery Storage`` is negative while it charges; ``Imports`` is what flows in, and
``Other`` holds hydro. A fuel without a record is absent, not zero. The answer's total, ``TotalMW``,
is not stored: for the day so far it is 0. That ``INTERVALEST`` is the interval's beginning is how
public clients read it; MISO does not say so. Of yesterday ``/FuelMix/Yesterday`` shows most fuels
only in part, so it is not asked.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_name
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Table
from aurum_assets.operators.miso.numbers import number
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.miso.stamps import ref_day, twelve_hour_stamp

GENERATION = Column(
    "generation",
    c.NUMBER,
    "Output of all of the fuel, or imports; below zero where storage charges.",
    "MW",
)


class FuelRecord(Record):
    """A record of ``Fuel.Type[]``: every value is text; ``FUEL_CATEGORY`` repeats two."""

    INTERVALEST: str
    CATEGORY: str
    ACT: str
    FUEL_CATEGORY: str | None = None


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """What the answer says beside its records."""

    RefId: str
    TotalMW: str


def parse_fuel_mix(records: pl.DataFrame) -> pl.DataFrame:
    """``Fuel.Type[]`` to one row per interval and fuel."""
    start = twelve_hour_stamp("INTERVALEST")
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        fuel=pl.col("CATEGORY"),
        generation=number("ACT"),
    )


def _days(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    """The dates of the records, the most frequent first; that of ``RefId`` where there is none."""
    dates = Counter(str(r.get("INTERVALEST"))[:10] for r in records)
    days = [day for day, _ in dates.most_common() if re.fullmatch(r"\d{4}-\d{2}-\d{2}", day)]
    of_ref = ref_day(header.get("RefId"))
    return days or ([] if of_ref is None else [of_ref])


MISO_FUEL_MIX = Dataset(
    key="miso_fuel_mix",
    operator=MISO,
    table=Table(
        name="miso_fuel_mix",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.FUEL,
            GENERATION,
            *c.PROVENANCE,
        ),
        key=("interval_start", "fuel"),
        values=("interval_end", "generation"),
        rules=(is_a_name("fuel"),),
        doc="Generation of MISO by fuel.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("Fuel", "Type"),
            record=FuelRecord,
            header=Header,
            parse=parse_fuel_mix,
            days=_days,
            every=FIVE_MINUTES,
        ),
    ),
    doc=__doc__,
    group="generation",
)
