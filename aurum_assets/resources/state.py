"""A key-value store with expiry that the processes of one machine share, in a SQLite file.

It holds pauses, refusals and breakers; what an entry means is up to its writer. Also: how many
processes open one SQLite file at once. A lost file costs a few requests, never data.
"""

import atexit
import fcntl
import os
import sqlite3
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from aurum_assets.model.errors import ConfigError
from aurum_assets.model.finding import Finding, broken
from aurum_assets.resources.scratch import make_folder

BUSY_SECONDS = 30.0
IDLE = 8  # connections kept open for the next transaction on their file
_T = TypeVar("_T")

SCHEMA = """
CREATE TABLE word (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX word_expires ON word (expires);
"""
# A range, which the primary key answers: each request to an operator lists keys three times, and
# the registry keeps an entry a snapshot for a year. Reading all would take longer every day.
KEYS = "SELECT key FROM word WHERE key >= ? AND key < ? AND expires > ? ORDER BY key"
_LAST = "\U0010ffff"  # sorts behind all that may follow a prefix


class State(Protocol):
    """Keys and values shared by processes; each expires after its ``ttl_seconds``."""

    def get(self, key: str) -> str | None:
        """The value; None where there is none, or it has expired."""

    def set(self, key: str, value: str, ttl_seconds: float) -> None:
        """Write ``value``, replacing any other."""

    def claim(self, key: str, ttl_seconds: float) -> bool:
        """Write ``key`` if it does not exist: of any number of processes, one gets True."""

    def delete(self, key: str) -> None:
        """Delete ``key``; no error where there is none."""

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin with ``prefix`` and have not expired, sorted."""

    def check(self) -> Finding:
        """Set, get and delete a value as a run does. Raises nothing."""


def recalled(text: str | None, kind: type[_T]) -> _T | None:
    """The value decoded from JSON; None where there is none, or another version wrote it."""
    try:
        return msgspec.json.decode(text, type=kind) if text else None
    except msgspec.DecodeError:
        return None


class SqliteState:
    """``State`` in one SQLite file, for all processes and threads of one machine."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def get(self, key: str) -> str | None:
        """See ``State``."""
        with transaction(self._path, SCHEMA, write=False) as db:
            found = db.execute(
                "SELECT value FROM word WHERE key = ? AND expires > ?", (key, self._clock())
            ).fetchone()
        return None if found is None else str(found[0])

    def set(self, key: str, value: str, ttl_seconds: float) -> None:
        """See ``State``."""
        now = self._clock()
        with transaction(self._path, SCHEMA) as db:
            db.execute("DELETE FROM word WHERE expires <= ?", (now,))
            db.execute(
                "INSERT OR REPLACE INTO word VALUES (?, ?, ?)", (key, value, now + ttl_seconds)
            )

    def claim(self, key: str, ttl_seconds: float) -> bool:
        """See ``State``."""
        now = self._clock()
        with transaction(self._path, SCHEMA) as db:
            db.execute("DELETE FROM word WHERE expires <= ?", (now,))
            done = db.execute(
                "INSERT OR IGNORE INTO word VALUES (?, '', ?)", (key, now + ttl_seconds)
            )
            return done.rowcount == 1

    def delete(self, key: str) -> None:
        """See ``State``."""
        with transaction(self._path, SCHEMA) as db:
            db.execute("DELETE FROM word WHERE key = ?", (key,))

    def keys(self, prefix: str) -> list[str]:
        """See ``State``."""
        with transaction(self._path, SCHEMA, write=False) as db:
            found = db.execute(KEYS, (prefix, prefix + _LAST, self._clock())).fetchall()
        return [str(key) for (key,) in found]

    def check(self) -> Finding:
        """See ``State``. A file that is not there is not made."""
        key = f"doctor:{uuid.uuid4().hex}"
        try:
            if self._path.exists():
                self.set(key, "", 60.0)
                self.get(key)
                self.delete(key)
        except ConfigError as error:
            return broken("redis", str(self._path), error)
        return Finding("redis", "embedded default", "", "SQLite in AURUM_HOME stands in")


@contextmanager
def transaction(
    path: Path, schema: str, *, write: bool = True, durable: bool = False
) -> Iterator[sqlite3.Connection]:
    """Open a transaction on the SQLite file at ``path``, created with ``schema`` where missing.

    A ``durable`` one survives a loss of power, not only a kill. Raises ``ConfigError`` where the
    file cannot be used.
    """
    try:
        if not path.exists():
            _make(path, schema)
        with _connections.one(path, "FULL" if durable else "NORMAL") as db:
            db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield db
            db.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        remedy = (
            "make its folder writable, end what holds it locked, or remove the file: it is made "
            "anew and no data is lost"
        )
        msg = f"{path}: this shared SQLite file cannot be used ({error})"
        raise ConfigError(msg, remedy=remedy) from error


class _Connections:
    """Connections of this process, kept for the next transaction on their file: to open one, and to
    close the last of a file, takes longer than most transactions.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may need a connection too
        self._idle: OrderedDict[tuple[Path, str], tuple[_File, sqlite3.Connection]] = OrderedDict()

    @contextmanager
    def one(self, path: Path, synchronous: str) -> Iterator[sqlite3.Connection]:
        """A connection to the file at ``path``, of this thread alone; closed where it fails."""
        key, file = (path, synchronous), _file(path)  # before it is opened: it may be replaced
        with self._lock:
            kept, db = self._idle.pop(key, (None, None))
        if db is not None and kept != file:
            db.close()  # SQLite leaves alone the log of another file in its place
            db = None
        if db is None:
            db = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            if kept != file:
                db.execute(f"PRAGMA synchronous = {synchronous}")
            yield db
        except BaseException:
            db.close()  # which rolls back
            raise
        with self._lock:
            last = self._idle.pop(key, None)
            self._idle[key] = (file, db)
            over = [last] if last else []
            while len(self._idle) > IDLE:
                over.append(self._idle.popitem(last=False)[1])
        for _, idle in over:
            idle.close()

    def close(self) -> None:
        """Close those that wait."""
        with self._lock:
            while self._idle:
                self._idle.popitem()[1][1].close()


_File = tuple[int, int]  # device and inode


def _file(path: Path) -> _File:
    found = path.stat()
    return found.st_dev, found.st_ino


_connections = _Connections()
atexit.register(_connections.close)
# A child that inherits one would believe that it holds the locks of its parent.
os.register_at_fork(before=_connections.close)


def _make(path: Path, schema: str) -> None:
    """Create the file under another name, then rename it, so that it is never seen incomplete.

    Two processes that switch one new file to WAL at once get "database is locked" without the
    busy timeout, so the switch must not happen in place. The log of a file that was removed goes
    before: SQLite would take it for the new one's.
    """
    make_folder(path.parent)
    folder = os.open(path.parent, os.O_RDONLY)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if path.exists():
            return
        with closing(sqlite3.connect(draft, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(schema)
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
        os.close(folder)
