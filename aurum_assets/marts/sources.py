"""What a model may read, and of which days it needs it.

The tables of the lake but for the marts: of the markets with their histories, the reference tables,
the quarantine; and the calendar, which is computed.
"""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.stamps import NEAR
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.reference.fuels import FUELS
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.interfaces import INTERFACES
from aurum_assets.reference.lists import ReviewedList
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.reviewed import read_reviewed

CALENDAR: Mapping[str, str] = {
    "hours": "Every hour of each operator's days: its label on the operator's clock, and on-peak.",
    "operators": "Of each operator, the location whose price stands for its market.",
}
"""The tables of the source ``calendar``, with what they are."""
_DAY = "operating_day"
_MARKET = [t for d in DATASETS for t in (d.table, d.table.history)]
_OTHERS = [ISO_NODES.table, GENERATORS.table, INTERFACES.table, FUELS.table, QUARANTINE]

SOURCES: Mapping[str, Table] = {t.identifier: t for t in (*_MARKET, *_OTHERS)}
"""By identifier, such as ``market.op_rt_lmp``."""


def by_day(table: Table) -> bool:
    """Whether the table is partitioned by operating day: then models read some days of it."""
    return _DAY in table.partition


def around(table: Table) -> dt.timedelta:
    """How far from the days that are built rows of ``table`` may matter.

    A day, for operators' days begin at different instants; more where a row need not begin on the
    operating day that it lies under.
    """
    return dt.timedelta(days=1) if table.stays_in_day else NEAR + dt.timedelta(days=1)


LISTED: Mapping[str, ReviewedList] = {one.table.identifier: one for one in (INTERFACES, FUELS)}
"""The lists that people write, by the identifiers of their tables."""


def listed(lake: Lake, folder: Path, identifier: str) -> pl.DataFrame:
    """The rows of a list: of its table, or of its file in ``folder`` where that was not published.

    Raises like ``Lake.read``, and ``ConfigError`` where the file is wrong.
    """
    one = LISTED[identifier]
    held = lake.read(one.table)
    if len(held):
        return held
    path = folder / f"{one.key}.csv"
    found = read_reviewed(path, one.table.names, one.table.key)
    return held if found is None else one.rows(found, str(path))
