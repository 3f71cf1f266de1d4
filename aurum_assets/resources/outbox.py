"""The outbox: messages and snapshots that are still to be sent, durably in one SQLite file.

An intent names a snapshot, never its rows. It is written before the rows are committed, confirmed
by ``committed`` afterwards, and deleted once its messages were acknowledged. Days of it are small.
Not here: sending, and reading tables.
"""

import contextlib
import fcntl
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from aurum_assets.model.errors import ConfigError
from aurum_assets.model.message import Message, Quality
from aurum_assets.resources.state import transaction

SCHEMA = """
CREATE TABLE intent (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset TEXT NOT NULL, day TEXT NOT NULL, identifier TEXT NOT NULL,
    landed INTEGER NOT NULL, quality BLOB NOT NULL,
    UNIQUE (dataset, day, identifier, landed)
);
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, record_hash TEXT NOT NULL
);
"""
_INTENT = "id, dataset, day, identifier, quality"


@dataclass(frozen=True)
class Intent:
    """A snapshot whose rows are to be sent.

    ``id`` is new whenever it is intended or committed again, so that deleting what was sent never
    deletes what was committed since.
    """

    id: int
    dataset: str
    day: str
    identifier: str
    quality: Quality


class Outbox:
    """Intents and messages of one home; any number of processes at once.

    Every method raises ``ConfigError`` where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def intend(self, dataset: str, day: str, identifiers: Collection[str]) -> None:
        """Before a commit: record that these snapshots are about to be committed."""
        unknown = msgspec.json.encode(Quality())
        with self._open() as db:
            db.executemany(
                "INSERT OR REPLACE INTO intent (dataset, day, identifier, landed, quality)"
                " VALUES (?, ?, ?, 0, ?)",
                [(dataset, day, identifier, unknown) for identifier in identifiers],
            )

    def committed(self, dataset: str, day: str, qualities: Mapping[str, Quality]) -> None:
        """After a commit: those of these snapshots that were intended are now to be sent."""
        with self._open() as db:
            for identifier, quality in qualities.items():
                name = (dataset, day, identifier)
                intended = db.execute(
                    "DELETE FROM intent WHERE dataset = ? AND day = ? AND identifier = ?"
                    " AND landed = 0",
                    name,
                )
                if intended.rowcount:
                    db.execute(
                        "INSERT OR REPLACE INTO intent (dataset, day, identifier, landed, quality)"
                        " VALUES (?, ?, ?, 1, ?)",
                        (*name, msgspec.json.encode(quality)),
                    )

    def unsettled(self, dataset: str) -> list[Intent]:
        """Intents of ``dataset`` whose commit is not confirmed."""
        return self._intents("landed = 0 AND dataset = ?", dataset)

    def due(self, after: int = 0) -> list[Intent]:
        """Confirmed intents that were not sent yet, oldest first, with an id above ``after``."""
        return self._intents("landed = 1 AND id > ?", after)

    def waits(self, seen: tuple[int, int]) -> bool:
        """Whether anything is due above these ids, of an intent and of a message."""
        return bool(self.due(seen[0]) or self.messages(seen[1]))

    def forget(self, intents: Iterable[int]) -> None:
        """Delete intents that are sent, or need not be."""
        self._delete("intent", intents)

    def put(self, message: Message) -> None:
        """Keep a message until it was sent."""
        with self._open() as db:
            db.execute(
                "INSERT INTO message (topic, key, value, record_hash) VALUES (?, ?, ?, ?)",
                (message.topic, message.key, message.value, message.record_hash),
            )

    def messages(self, after: int = 0) -> list[tuple[int, Message]]:
        """The messages that were not sent yet, oldest first, with an id above ``after``."""
        if not self._path.exists():
            return []
        with self._open(write=False) as db:
            found = db.execute(
                "SELECT id, topic, key, value, record_hash FROM message WHERE id > ? ORDER BY id",
                (after,),
            ).fetchall()
        return [(number, Message(*rest)) for number, *rest in found]

    def sent(self, messages: Iterable[int]) -> None:
        """Delete messages that were acknowledged."""
        self._delete("message", messages)

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Try to be the only process that drains: yields whether this one is. Never waits."""
        with self._path.with_suffix(".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _intents(self, where: str, *values: str | int) -> list[Intent]:
        if not self._path.exists():
            return []
        with self._open(write=False) as db:
            found = db.execute(
                f"SELECT {_INTENT} FROM intent WHERE {where} ORDER BY id",  # noqa: S608  ours, both
                values,
            ).fetchall()
        return [
            Intent(number, dataset, day, identifier, msgspec.json.decode(text, type=Quality))
            for number, dataset, day, identifier, text in found
        ]

    def _delete(self, table: str, numbers: Iterable[int]) -> None:
        with self._open() as db:
            db.executemany(
                f"DELETE FROM {table} WHERE id = ?",  # noqa: S608  one of two names above
                [(n,) for n in numbers],
            )

    @contextlib.contextmanager
    def _open(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._path, SCHEMA, write=write, durable=True) as db:
                yield db
        except ConfigError as error:
            msg = (
                f"{self._path}: the outbox cannot be used ({error.__cause__}); make its folder "
                "writable, with room on the disk, and end what holds it locked"
            )
            raise ConfigError(msg) from error
