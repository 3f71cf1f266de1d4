"""What New England's generators make: the mix by fuel, and each generator.

The generation mix comes at irregular instants, to the second; a fuel that is absent is absent, not
zero. Categories are added over time ("Batteries" since May 2026).

Source: ISO New England web services, ``/genfuelmix``.
Grain: instant x fuel.
Units: MW; UTC. An instant has no length: ``interval_end`` is ``interval_start``.
Caveats: 188 to 267 instants a day, 3 to 1049 s apart; on an autumn day the order of the text is not
that of time. The operator's schema lets a record come without its fuel category: such a record is
kept in quarantine, since it is unknown which series it belongs to (its rollup is a group of fuels,
and would stand for one of them). The marginal flag is Y, N or ``-``, as ``type_FlagYn`` has it.
"""

import datetime as dt

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.ids import is_a_name, is_a_number
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Rule, Table
from aurum_assets.operators.isone.operator import ISONE, days_in, utc_stamp

_HALF_HOUR = dt.timedelta(minutes=30)  # the longest gap seen is 18 minutes


class FuelMixRecord(Record):
    """A record of ``GenFuelMixes.GenFuelMix[]``."""

    BeginDate: str
    FuelCategory: str | None = None
    GenMw: float | None = None
    FuelCategoryRollup: str | None = None
    MarginalFlag: str | None = None


def parse_generation_mix(records: pl.DataFrame) -> pl.DataFrame:
    """``GenFuelMixes.GenFuelMix[]`` to one row per instant and fuel."""
    instant = utc_stamp("BeginDate")
    return records.select(
        interval_start=instant,
        interval_end=instant,
        fuel=pl.col("FuelCategory"),
        fuel_rollup=pl.col("FuelCategoryRollup"),
        marginal=pl.col("MarginalFlag"),
        generation=pl.col("GenMw"),
    )


ISONE_GENERATION_MIX = Dataset(
    key="isone_generation_mix",
    operator=ISONE,
    table=Table(
        name="isone_generation_mix",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.FUEL,
            c.FUEL_ROLLUP,
            c.MARGINAL,
            c.GENERATION,
            *c.PROVENANCE,
        ),
        key=("interval_start", "fuel"),
        values=("interval_end", "fuel_rollup", "marginal", "generation"),
        rules=(
            Rule("marginal_is_a_flag", pl.col("marginal").is_in(["Y", "N", "-"]), ("marginal",)),
            is_a_name("fuel"),
        ),
        ragged="the mix is published at irregular instants, to the second",
        doc="Generation of New England by fuel, at irregular instants.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("GenFuelMixes", "GenFuelMix"),
            record=FuelMixRecord,
            parse=parse_generation_mix,
            days=days_in,
            every=_HALF_HOUR,
        ),
    ),
    doc=__doc__,
    group="generation",
)


class ResourceRecord(Record):
    """A record of ``GenerationResources.GenerationResource[]``: a stand-in of ours for a shape that
    is documented by its fields only (resource id, resource name, fuel, MW).
    """

    BeginDate: str
    ResourceId: int | str
    ResourceName: str | None = None
    FuelCategory: str | None = None
    GenMw: float | None = None


def parse_generation_by_resource(records: pl.DataFrame) -> pl.DataFrame:
    """``GenerationResources.GenerationResource[]`` to one row per interval and generator."""
    start = utc_stamp("BeginDate")
    return records.select(
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        resource_id=pl.col("ResourceId"),
        resource_name=pl.col("ResourceName"),
        fuel=pl.col("FuelCategory"),
        generation=pl.col("GenMw"),
    )


ISONE_GENERATION_BY_RESOURCE = Dataset(
    key="isone_generation_by_resource",
    operator=ISONE,
    table=Table(
        name="isone_generation_by_resource",
        columns=(
            c.OPERATING_DAY,
            c.INTERVAL_START,
            c.INTERVAL_END,
            c.RESOURCE_ID,
            c.RESOURCE_NAME,
            c.FUEL,
            c.GENERATION,
            *c.PROVENANCE,
        ),
        key=("interval_start", "resource_id"),
        values=("interval_end", "fuel", "generation"),
        rules=(is_a_number("resource_id"),),
        doc="Output of each generator in New England (documented dialect).",
    ),
    dialects=(
        Dialect(
            name="documented",
            path=("GenerationResources", "GenerationResource"),
            record=ResourceRecord,
            parse=parse_generation_by_resource,
            days=days_in,
            every=FIVE_MINUTES,
        ),
    ),
    doc="""What each generator in New England makes.

Source: the specification's ``/generation/resource``; the live web services have no such feed. The
shape is a stand-in: the specification names the fields, nobody published a record.
Grain: five minutes x generator.
Units: MW; UTC, half-open intervals stamped at their beginning.
Caveats: the path takes no day: it answers for now.
""",
    group="generation",
)
