"""The SQLite files of a home: how much each may hold, and how one gives room back to the disk.

    state.sqlite    each row has an end (pauses: minutes, registry: a year), and goes with the first
                    write after it
    limits.sqlite   requests of the longest window of a limit: minutes
    metrics.sqlite  one row for each metric and combination of labels, all of which code and config
                    name
    alerts.sqlite   closed alerts for 90 days, notices that no receiver took for 7
    outbox.sqlite   what Kafka has not taken: one row a snapshot, as long as it is out of reach

SQLite keeps the pages of deleted rows for later ones: a file never shrinks by itself. Servers
(Redis: each key has an end; Postgres: autovacuum) see to theirs.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from aurum_assets.model.errors import StoreUnavailable
from aurum_assets.resources.state import BUSY_SECONDS

STORES = ("state", "limits", "metrics", "alerts", "outbox")
_WORTH = 1_000_000  # bytes that are free, below which nobody is held up for them
_SHARE = 4  # a file is rewritten where one page in so many is free
_LARGEST = 1_000_000_000  # bytes in use: a rewrite holds writers up, some 10 s for so many


def files_of(root: Path) -> Iterator[Path]:
    """The SQLite files of the home at ``root`` that there are."""
    found = (root / f"{name}.sqlite" for name in STORES)
    return (file for file in found if file.exists())


def forget_expired(path: Path, now: float, *, dry_run: bool = False) -> int:
    """Delete the rows of a ``state.sqlite`` whose time is over; how many these are.

    Each write does so: this is for a home that was not written to.
    """
    with _opened(path) as db:
        if dry_run:
            over = "SELECT count(*) FROM word WHERE expires <= ?"
            return int(db.execute(over, (now,)).fetchone()[0])
        return db.execute("DELETE FROM word WHERE expires <= ?", (now,)).rowcount


def spare(path: Path) -> int:
    """The bytes that ``shrink`` would give back; 0 where it would not touch the file."""
    if not path.exists():
        return 0
    with _opened(path) as db:
        return _spare(db, _WORTH)


def shrink(path: Path, *, worth: int = _WORTH) -> int:
    """Give the free pages of a SQLite file back to the disk: how many bytes.

    Nothing is done where less than a fourth of the file or fewer than ``worth`` bytes are free, or
    so much is in use that writers, which wait meanwhile, would be held up for long: its free pages
    are used again. A kill leaves the file as it was. Raises ``StoreUnavailable`` where the file
    cannot be opened.
    """
    if not path.exists():
        return 0
    with _opened(path) as db:
        found = _spare(db, worth)
        if found:
            db.execute("VACUUM")
            db.execute("PRAGMA busy_timeout = 0")  # a reader keeps the log until it ends: no harm
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def _spare(db: sqlite3.Connection, worth: int) -> int:
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    much = free * size >= worth and free * _SHARE >= pages
    return free * size if much and (pages - free) * size <= _LARGEST else 0


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as db:
            yield db
    except sqlite3.Error as error:
        msg = f"{path}: this SQLite file cannot be used now ({error}): nothing was changed in it"
        raise StoreUnavailable(msg) from error
