"""The Python API to what is held: tables by name. Reads only."""

import datetime as dt
import os
from typing import TYPE_CHECKING

import polars as pl

from aurum_assets.ingest.reference import REFERENCES
from aurum_assets.markets import DATASETS
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table, as_of
from aurum_assets.resources.evolve import completed
from aurum_assets.resources.settings import open_home

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable


class OpenLake:
    """The lake of the environment's ``AURUM_HOME``. Names: ``names``; a wrong one is an error."""

    def __init__(self) -> None:
        self._home = open_home(DATASETS, needs="lake")
        ours = [d.table for d in DATASETS]
        tables = [*ours, *(t.history for t in ours), QUARANTINE]
        tables += [table for r in REFERENCES for table in (r.table, r.sightings)]
        self._tables: dict[str, Table] = {t.name: t for t in tables}

    @property
    def names(self) -> list[str]:
        """The tables that there are."""
        return list(self._tables)

    def table(self, name: str) -> "IcebergTable":
        """The pyiceberg table ``name`` (``isone_rt_lmp`` or ``market.isone_rt_lmp``).

        Raises ``ConfigError`` for a name that no dataset has, and where it holds nothing yet.
        """
        found = self._home.lake.find(self._find(name))
        if found is None:
            msg = f"{name} holds nothing yet: collect or load it first (aurum --help)"
            raise ConfigError(msg)
        return found

    def scan(self, name: str) -> pl.LazyFrame:
        """All rows of ``name``, lazily; columns and units as in the table's schema."""
        os.environ.setdefault("POLARS_ICEBERG_PLANNER", "pyiceberg")  # or polars warns of another
        found = self.table(name)
        return completed(pl.scan_iceberg(found), found, self._find(name))

    def best(self, name: str) -> pl.LazyFrame:
        """``name`` with one row a key: the final value where there is one, else the prelim.

        A table without finality comes back as it is.
        """
        table = self._find(name)
        rows = self.scan(name)
        if "finality" not in table.key:
            return rows
        key = [k for k in table.key if k != "finality"]
        return rows.sort("finality").unique(key, keep="first", maintain_order=False)

    def as_of(self, name: str, instant: dt.datetime) -> pl.LazyFrame:
        """``name`` as it was known at ``instant``: corrections and restatements since are undone.

        Raises ``ConfigError`` where ``instant`` has no offset.
        """
        if instant.tzinfo is None:
            msg = f"as of {instant.isoformat()} needs an offset, for instance a Z"
            raise ConfigError(msg)
        table = self._find(name)
        rows = [self.scan(name)]
        if self._home.lake.find(table.history) is not None:
            rows.append(self.scan(table.history.name))
        known = [frame.select(table.names) for frame in rows]
        return as_of(table, pl.concat(known), instant.astimezone(dt.UTC))

    def _find(self, name: str) -> Table:
        found = self._tables.get(name.rpartition(".")[2])
        if found is None:
            msg = f"there is no table {name!r}; there are {', '.join(self.names)}"
            raise ConfigError(msg)
        return found
