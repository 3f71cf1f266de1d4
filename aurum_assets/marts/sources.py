"""The tables that a model may read, and of which days it needs them.

All but the marts: of the markets with their histories, the reference tables, the quarantine.
"""

import datetime as dt
from collections.abc import Mapping

from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.stamps import NEAR
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.reference.fuels import FUELS
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.interfaces import INTERFACES
from aurum_assets.reference.nodes import ISO_NODES

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


LISTED = frozenset(t.identifier for t in (INTERFACES.table, FUELS.table))
"""The lists that people write."""
