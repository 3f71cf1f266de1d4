"""The build that is under way in this process: what the plugin reads for it, and what became of it.

dbt makes the plugin itself, by the module that the profile names, so it finds its order here. One
build at a time: a lock of the home sees to that.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aurum_assets.marts.project import Mart
from aurum_assets.marts.sources import SOURCES, around, by_day
from aurum_assets.marts.store import Refused, as_stored, restate
from aurum_assets.model.errors import AurumError
from aurum_assets.resources.arrow import rows_of
from aurum_assets.resources.lake import Lake, Merged

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as ds

Outcome = Merged | Refused


@dataclass
class Order:
    """Build ``days`` of ``marts`` in ``lake``; values that are new are computed ``at``.

    ``files``: by identifier of a source, the paths of the files of each day. ``read``: the snapshot
    of each source that was read. ``done``: what became of each day of a mart; ``errors``: what
    dbt says of them is only their message.
    """

    lake: Lake
    marts: Mapping[str, Mart]
    days: Sequence[dt.date]
    at: dt.datetime
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
        table = SOURCES[identifier]
        first = last = None
        if by_day(table):
            first, last = min(self.days) - around(table), max(self.days) + around(table)
        rows, self.read[identifier] = rows_of(self.lake, table, first, last)
        return rows

    def store(self, name: str, rows: "pl.DataFrame") -> None:
        """Store what the model gave of the days. Raises like ``as_stored`` and ``restate``."""
        mart = self.marts[name]
        with self._noted():
            made = as_stored(mart.table, rows, self.at, self._made_from(mart))
            there = {day for source in mart.reads for day in self.files.get(source, {})}
            self.done[name] = restate(
                self.lake, mart.table, made, self.days, self.at, in_sources=there
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
