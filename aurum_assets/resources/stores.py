"""The SQLite files of a home: what bounds their size, and how free pages are released.

    state.sqlite    each row expires (pauses: minutes, registry: a year), and is deleted by the next
                    write
    limits.sqlite   requests of the longest window of a limit: minutes
    metrics.sqlite  one row for each metric and combination of labels, all of which code and config
                    name
    alerts.sqlite   closed alerts for 90 days, notices that no receiver took for 7
    outbox.sqlite   what Kafka has not taken: one row a snapshot, as long as it is out of reach

SQLite keeps the pages of deleted rows for later ones: a file never shrinks by itself. Servers need
no such care (Redis: each key expires; Postgres: autovacuum).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from aurum_assets.model.errors import StoreUnavailable
from aurum_assets.resources.state import BUSY_SECONDS

STORES = ("state", "limits", "metrics", "alerts", "outbox")
_WORTH = 1_000_000  # free bytes, below which a rewrite is not worth it
_SHARE = 4  # a file is rewritten where one page in so many is free
_LARGEST = 1_000_000_000  # bytes in use: a rewrite blocks writers, about 10 s for this many


def files_of(root: Path) -> Iterator[Path]:
    """The SQLite files that exist in the home at ``root``."""
    found = (root / f"{name}.sqlite" for name in STORES)
    return (file for file in found if file.exists())


def forget_expired(path: Path, now: float, *, dry_run: bool = False) -> int:
    """Delete the expired rows of a ``state.sqlite``; returns how many.

    Each write does so too: this is for a home without writes.
    """
    with _opened(path) as db:
        if dry_run:
            over = "SELECT count(*) FROM word WHERE expires <= ?"
            return int(db.execute(over, (now,)).fetchone()[0])
        return db.execute("DELETE FROM word WHERE expires <= ?", (now,)).rowcount


def spare(path: Path) -> int:
    """The bytes that ``shrink`` would release; 0 where it would not touch the file."""
    if not path.exists():
        return 0
    with _opened(path) as db:
        return _spare(db, _WORTH)


def shrink(path: Path, *, worth: int = _WORTH) -> int:
    """Release the free pages of a SQLite file; returns how many bytes.

    Nothing is done where less than a fourth of the file or fewer than ``worth`` bytes are free, or
    so much is in use that writers would wait for long: its free pages are used again. A kill leaves
    the file as it was. Raises ``StoreUnavailable`` where the file
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
