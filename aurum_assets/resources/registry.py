"""The registry: what was stored last, and which snapshots a table already holds. A cache.

It saves work and is never the truth: where it is flushed, lost or out of reach, the archive is
asked instead and a day is replayed, so nothing is lost and nothing counts twice; ``degraded`` says
so. What does not belong here: deciding what to do about it.
"""

import sqlite3
from dataclasses import dataclass

import msgspec

from aurum_assets.model.dataset import Envelope
from aurum_assets.model.errors import ConfigError
from aurum_assets.resources.archive import Stored, order_of
from aurum_assets.resources.state import State, recalled

REMEMBERED_DAYS = 365
_LEDGERS = 5  # times as long: a day that is deleted years later is still missed; 300 bytes a day


@dataclass(frozen=True)
class Known:
    """What is remembered of a stored snapshot."""

    identifier: str
    content_sha256: str
    path: str
    etag: str
    version: str
    bytes: int
    fetched_at: str


@dataclass(frozen=True)
class Ledger:
    """What the tables held of a day once these snapshots were merged: rows of the table (by its
    ``uuid``), of its history, of the quarantine. ``archived``: a hash of the identifiers.
    """

    uuid: str
    rows: int
    history: int
    quarantined: int
    archived: str
    newest: str


class Registry:
    """Hash registry over any ``State``. A store out of reach makes it forgetful, never wrong.

    ``days``: for how long an answer is remembered.
    """

    def __init__(self, state: State, days: float = REMEMBERED_DAYS) -> None:
        self._state = state
        self._ttl = days * 86_400.0
        self.degraded = ""

    def newest(self, dataset: str, day: str, request: str) -> Known | None:
        """The newest snapshot of the same request, where it is remembered."""
        text = self._get(f"newest:{dataset}:{day}:{request}")
        return recalled(text, Known)

    def stored(self, envelope: Envelope) -> Known | None:
        """Where and as what this snapshot was stored, where it is remembered."""
        text = self._get(f"content:{envelope.dataset}:{envelope.content_sha256}")
        known = recalled(text, Known)
        return known if known and known.identifier == envelope.identifier else None

    def forget_newest(self, envelope: Envelope) -> None:
        """Forget what this request was answered last, before another answer is archived.

        A kill between archive and registry then leaves no word, and the archive is asked.
        """
        self._delete(f"newest:{envelope.dataset}:{envelope.day}:{envelope.request}")

    def record(self, envelope: Envelope, stored: Stored, *, newest: bool = True) -> None:
        """Remember a stored snapshot by its content, and as its request's newest if it is.

        ``newest`` is what the archive says; a newer one that is remembered stays.
        """
        known = Known(
            identifier=envelope.identifier,
            content_sha256=envelope.content_sha256,
            path=stored.path,
            etag=stored.etag,
            version=stored.version,
            bytes=stored.bytes,
            fetched_at=envelope.fetched_at.isoformat(),
        )
        text = msgspec.json.encode(known).decode()
        before = self.newest(envelope.dataset, envelope.day, envelope.request)
        later = before is not None and order_of(before.identifier) > order_of(known.identifier)
        if newest and not later:
            self._set(f"newest:{envelope.dataset}:{envelope.day}:{envelope.request}", text)
        self._set(f"content:{envelope.dataset}:{envelope.content_sha256}", text)

    def merged(self, dataset: str, day: str, table_uuid: str) -> frozenset[str]:
        """The identifiers that the table (by its uuid) is remembered to hold for the day."""
        text = self._get(f"merged:{dataset}:{day}:{table_uuid}")
        return frozenset(recalled(text, list[str]) or ())

    def mark_merged(
        self, dataset: str, day: str, table_uuid: str, identifiers: frozenset[str]
    ) -> None:
        """Remember that the table holds these snapshots of the day."""
        text = msgspec.json.encode(sorted(identifiers)).decode()
        self._set(f"merged:{dataset}:{day}:{table_uuid}", text)

    def ledger(self, dataset: str, day: str) -> Ledger | None:
        """What the tables should hold of the day, where it is remembered."""
        text = self._get(f"ledger:{dataset}:{day}")
        return recalled(text, Ledger)

    def ledger_days(self, dataset: str) -> list[str]:
        """The days of which there is a ledger; none where the store does not list its words."""
        prefix = f"ledger:{dataset}:"
        try:
            return [key.removeprefix(prefix) for key in self._state.keys(prefix)]
        except (sqlite3.Error, ConfigError, LookupError):
            return []

    def keep_ledger(self, dataset: str, day: str, ledger: Ledger) -> None:
        """Remember what the tables hold of the day."""
        text = msgspec.json.encode(ledger).decode()
        self._set(f"ledger:{dataset}:{day}", text, _LEDGERS)

    def forget_ledger(self, dataset: str, day: str) -> None:
        """Forget what the tables should hold of the day: nobody knows."""
        self._delete(f"ledger:{dataset}:{day}")

    def _get(self, key: str) -> str | None:
        try:
            return self._state.get(key)
        except (sqlite3.Error, ConfigError) as error:
            self.degraded = f"the registry cannot be read, the archive is asked instead: {error}"
            return None

    def _set(self, key: str, text: str, times: float = 1) -> None:
        try:
            self._state.set(key, text, times * self._ttl)
        except (sqlite3.Error, ConfigError) as error:
            self.degraded = f"the registry cannot be written, the archive is asked instead: {error}"

    def _delete(self, key: str) -> None:
        try:
            self._state.delete(key)
        except (sqlite3.Error, ConfigError) as error:
            self.degraded = f"the registry cannot be written, the archive is asked instead: {error}"
