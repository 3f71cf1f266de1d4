"""Detect a lake that was copied or moved: where its catalog says that the files are.

A catalog names the metadata file of each table by its absolute location, and so does everything
below it. So a copy of a home would read and write the files of the original, and a moved home finds
none. The catalog's own rows say where the lake was made: there is no marker that could be copied,
lost or outdated. Not here: what to do about it (``relocation``).
"""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from aurum_assets.model.errors import LakeBusy

if TYPE_CHECKING:
    from sqlalchemy import Engine

OURS = ("market", "quality", "reference")  # tables of others may be in any place
_ROWS = (
    "SELECT table_namespace, table_name, metadata_location FROM iceberg_tables"
    " WHERE catalog_name = 'aurum' AND metadata_location IS NOT NULL"
)
_NO_CATALOG = ("no such table", "not a database", "malformed")  # reported when the lake is opened


@dataclass(frozen=True)
class Registered:
    """A table in an SQL catalog; ``metadata`` is the location of its metadata file."""

    namespace: str
    name: str
    metadata: str

    @property
    def identifier(self) -> str:
        """The name in the catalog: ``namespace.name``."""
        return f"{self.namespace}.{self.name}"

    @property
    def location(self) -> str:
        """The folder of the table's files."""
        return self.metadata.rpartition("/metadata/")[0]

    @property
    def warehouse(self) -> str:
        """The warehouse that the table was made in; empty for a location of another form."""
        inside = f"/{self.namespace}/{self.name}"
        return self.location.removesuffix(inside) if self.location.endswith(inside) else ""


def registered_in_file(catalog: Path, patience: float) -> list[Registered]:
    """The tables of an embedded catalog, in the order of their names; none where it has none.

    Takes a fraction of a millisecond, and does not import pyiceberg. A file that is no catalog
    gives none: opening the lake then reports what is wrong with it. Raises ``LakeBusy`` where it is
    locked for ``patience`` seconds, ``sqlite3.Error`` where it cannot be read.
    """
    if not catalog.exists():
        return []
    try:
        address = f"file:{quote(str(catalog))}?mode=rw"
        with closing(sqlite3.connect(address, timeout=patience, uri=True)) as db:
            return sorted((Registered(*map(str, row)) for row in db.execute(_ROWS)), key=_by_name)
    except sqlite3.Error as error:
        if any(text in str(error) for text in _NO_CATALOG):
            return []
        if "locked" not in str(error):
            raise
        msg = (
            f"another process holds {catalog} locked for over {patience:g} s, so it is unknown "
            "where its tables are: wait until it is done or end it, then ask again"
        )
        raise LakeBusy(msg) from error


def registered_in(engine: "Engine") -> list[Registered]:
    """The tables of an SQL catalog, in the order of their names; raises what its library raises."""
    from sqlalchemy import text

    with engine.connect() as connection:
        return sorted(
            (Registered(*map(str, row)) for row in connection.execute(text(_ROWS))), key=_by_name
        )


def elsewhere(tables: Iterable[Registered], warehouse: str) -> list[Registered]:
    """Select those of ``tables`` that are outside of ``warehouse``.

    A folder with another name (a symbolic link, a mount) is the same place. Tables of other
    namespaces than ours count only where they are in a warehouse of ours.
    """
    known = {warehouse: True}
    away = []
    for table in tables:
        made_in = table.warehouse
        if not made_in or table.metadata.startswith(f"{warehouse}/"):
            continue
        if made_in not in known:
            known[made_in] = _same_folder(made_in, warehouse)
        if not known[made_in]:
            away.append(table)
    left = {table.warehouse for table in away if table.namespace in OURS}
    return [table for table in away if table.warehouse in left]


def _folder_of(location: str) -> Path | None:
    """The folder of a location of pyiceberg; None where it is not on this machine."""
    path = location.removeprefix("file://")
    return Path(path) if path.startswith("/") else None


def _same_folder(one: str, other: str) -> bool:
    ours, theirs = _folder_of(one), _folder_of(other)
    if ours is None or theirs is None:
        return False
    try:
        return ours.samefile(theirs)
    except OSError:
        return False  # one of them does not exist


def home_of(warehouse: str) -> str:
    """The path of the home whose embedded lake has this warehouse."""
    return re.sub(r"^file://", "", warehouse).removesuffix("/lake/warehouse")


def _by_name(table: Registered) -> tuple[str, str]:
    return table.namespace, table.name
