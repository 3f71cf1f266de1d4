"""The fuel categories of all operators, in one vocabulary.

Each operator has categories of its own; ``fuel`` says the same of all of them. Join it to a table
of generation by ``source`` (``isone``, ``miso``) and ``category``.

Source: people, in ``config/fuels.csv``: ISO-NE's categories and their rollups as its XSD and its
answers name them, MISO's as public consumers of ``/FuelMix`` have them.
Grain: operator x level x category.
Units: none.
Caveats: no category is guessed: one that is not in the file is a finding, and has no row. ``fuel``
is null where a rollup holds several. MISO's ``Other`` holds hydro, so that operators' ``hydro`` and
``other`` do not compare. ``imports`` is no generation.
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.table import Rule, Table
from aurum_assets.reference.lists import ReviewedList

VOCABULARY = (
    "battery",
    "biomass",
    "coal",
    "hydro",
    "imports",
    "natural gas",
    "nuclear",
    "oil",
    "other",
    "solar",
    "wind",
)
_LEVELS = {"fuel": "category", "fuel_rollup": "rollup"}  # by the column of the market tables


def reads(table: Table) -> tuple[str, ...]:
    """The columns of a market table that name categories."""
    return tuple(n for n in _LEVELS if n in table.names) if table.namespace == "market" else ()


def see(rows: pl.DataFrame) -> pl.DataFrame:
    """``level, category``: a row for each that ``rows`` name."""
    named = [
        rows.select(level=pl.lit(level), category=pl.col(name)).drop_nulls().unique()
        for name, level in _LEVELS.items()
        if name in rows.columns
    ]
    return pl.concat(named)


def unreviewed(listed: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """The categories that are not in the list."""
    return seen.join(listed, on=["source", "level", "category"], how="anti")


FUELS = ReviewedList(
    key="fuels",
    table=Table(
        name="fuels",
        namespace="reference",
        columns=(c.SOURCE, c.FUEL_LEVEL, c.FUEL_CATEGORY, c.COMMON_FUEL, c.NOTE),
        key=("source", "level", "category"),
        values=("fuel", "note"),
        rules=(
            Rule("level_is_known", pl.col("level").is_in(list(_LEVELS.values())), ("level",)),
            Rule("fuel_is_of_the_vocabulary", pl.col("fuel").is_in(VOCABULARY), ("fuel",)),
            Rule(
                "a_category_has_a_fuel",
                (pl.col("level") != "category") | pl.col("fuel").is_not_null(),
                ("level", "fuel"),
            ),
        ),
        partition=("source",),
        stays_in_day=False,
        keeps_history=False,
        doc="The fuel categories of all operators, mapped to one vocabulary.",
    ),
    called=("level", "category", "dataset"),
    reads=reads,
    see=see,
    judges={"unreviewed": (unreviewed, "are not in")},
    descriptions={"unreviewed": "Each fuel category that a table names that day was reviewed."},
    doc=__doc__,
)
