"""The build that is under way in this process: what the plugin reads for it, and what became of it.

dbt makes the plugin itself, by the module that the profile names, so it finds its order here. One
build at a time: a lock of the home sees to that.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aurum_assets.marts import calendar
from aurum_assets.marts.choices import Choices
from aurum_assets.marts.project import Mart
from aurum_assets.marts.sources import LISTED, SOURCES, around, by_day, listed
from aurum_assets.marts.store import Refused, as_stored, restate
from aurum_assets.model.errors import AurumError
from aurum_assets.operators import OPERATORS
from aurum_assets.resources.arrow import rows_of
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Merged

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as ds

Outcome = Merged | Refused
_ONE = dt.timedelta(days=1)


def computed(
    identifier: str, choices: Choices, first: dt.date, last: dt.date
) -> "pa.Table | ds.Dataset":
    """A table of the calendar, of the days ``first`` to ``last``."""
    if identifier == "calendar.hours":
        return calendar.hours(OPERATORS, first, last, choices).to_arrow()
    return calendar.operators(OPERATORS, choices).to_arrow()


@dataclass
class Order:
    """Build ``days`` of ``marts`` in the lake, as the desk's ``choices`` say; it is ``at`` now.

    ``files``: by identifier of a source, the paths of the files of each day. ``read``: the snapshot
    of each source that was read. ``done``: what became of each day of a mart; ``errors``: what
    dbt says of them is only their message.
    """

    resources: Resources
    marts: Mapping[str, Mart]
    days: Sequence[dt.date]
    at: dt.datetime
    choices: Choices
    files: Mapping[str, Mapping[dt.date, frozenset[str]]]
    read: dict[str, int | None] = field(default_factory=dict)
    done: dict[str, dict[dt.date, Outcome]] = field(default_factory=dict)
    errors: list[AurumError] = field(default_factory=list)
    _rows: dict[str, "pa.Table | ds.Dataset"] = field(default_factory=dict)

    def rows(self, identifier: str) -> "pa.Table | ds.Dataset":
        """The rows of a source that may matter for the days, of one snapshot for all models."""
        if identifier not in self._rows:
            with self._noted():
                self._rows[identifier] = self._load(identifier)
        return self._rows[identifier]

    def _load(self, identifier: str) -> "pa.Table | ds.Dataset":
        if identifier.startswith("calendar."):
            first, last = min(self.days) - _ONE, max(self.days) + _ONE
            return computed(identifier, self.choices, first, last)
        lake, table = self.resources.lake, SOURCES[identifier]
        if identifier in LISTED:
            _, self.read[identifier] = rows_of(lake, table)
            return listed(lake, self.resources.config_folder, identifier).to_arrow()
        near = around(table)
        bounds = (min(self.days) - near, max(self.days) + near) if by_day(table) else ()
        rows, self.read[identifier] = rows_of(lake, table, *bounds)
        return rows

    def store(self, name: str, rows: "pl.DataFrame") -> None:
        """Store what the model gave of the days. Raises like ``as_stored`` and ``restate``."""
        mart = self.marts[name]
        with self._noted():
            made = as_stored(mart.table, rows, self.at, self._made_from(mart))
            there = {day for source in mart.reads for day in self.files.get(source, {})}
            self.done[name] = restate(
                self.resources.lake, mart.table, made, self.days, self.at, in_sources=there
            )

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except AurumError as error:
            self.errors.append(error)
            raise

    def _made_from(self, mart: Mart) -> str:
        """The snapshots of the sources: ``op_rt_lmp@123 op_da_lmp@456``."""
        read = ((name.partition(".")[2], self.read.get(name)) for name in mart.reads)
        return " ".join(f"{name}@{snapshot}" for name, snapshot in read if snapshot is not None)


_under_way: list[Order] = []


@contextmanager
def under_way(order: Order) -> Iterator[None]:
    """Within the block, ``order`` is what the plugin of this process works on."""
    _under_way.append(order)
    try:
        yield
    finally:
        _under_way.remove(order)


def current() -> Order | None:
    """The order that is under way, if one is."""
    return _under_way[-1] if _under_way else None
