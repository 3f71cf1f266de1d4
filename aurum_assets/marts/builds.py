"""``marts.builds``: of each mart and operating day, from what state of its sources it was built.

A day whose sources have other files by now, or whose mart has another definition, is built again:
``changes`` compares. A lost row costs a build, never data.
"""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.table import UTC, Column, Table

TEXT = pl.String()

BUILDS = Table(
    name="builds",
    namespace="marts",
    columns=(
        Column("month", TEXT, "The calendar month of the operating day, YYYY-MM."),
        c.OPERATING_DAY,
        Column("mart", TEXT, "The mart, by its name."),
        Column("built_at", UTC, "When the day was last built.", "UTC"),
        Column(
            "sources",
            TEXT,
            "A hash of the data files that the day was built from, and of the mart's definition.",
        ),
        Column("rows", pl.Int64(), "How many rows the mart has of the day."),
    ),
    key=("operating_day", "mart"),
    values=("built_at", "sources", "rows"),
    partition=("month",),  # a build is of days of one month, and one commit here
    stays_in_day=False,
    keeps_history=False,
    doc="When each day of a mart was built, and from what.",
)
