"""The registry: a cache of the latest snapshots, and of those that a table already holds.

It saves work and is never the truth: where it is flushed, lost or out of reach, the archive is
listed instead and a day is replayed, so nothing is lost and nothing counts twice; ``degraded`` says
so.
"""

import sqlite3
from dataclasses import dataclass

import msgspec

from aurum_assets.model.dataset import Envelope
from aurum_assets.model.errors import ConfigError
from aurum_assets.resources.archive import Stored, order_of
from aurum_assets.resources.state import State, recalled

REMEMBERED_DAYS = 365
_LEDGERS = 5  # times as long: a day that is lost years later is still noticed; 300 bytes a day


@dataclass(frozen=True)
class Known:
    """The entry of a stored snapshot."""

    identifier: str
    content_sha256: str
    path: str
    etag: str
    version: str
    bytes: int
    fetched_at: str


@dataclass(frozen=True)
class Ledger:
    """Row counts of a day after its merge: table (by ``uuid``), history, quarantine.

    ``archived``: a hash of the identifiers.
    """

    uuid: str
    rows: int
    history: int
    quarantined: int
    archived: str
    newest: str


def _content_key(envelope: Envelope) -> str:
    """With the day: an answer that several datasets read may lie under two."""
    return f"content:{envelope.dataset}:{envelope.day}:{envelope.content_sha256}"


class Registry:
    """A registry over any ``State``. While the store is out of reach it is empty, never wrong.

    ``days``: for how long an answer is remembered.
    """

    def __init__(self, state: State, days: float = REMEMBERED_DAYS) -> None:
        self._state = state
        self._ttl = days * 86_400.0
        self.degraded = ""

    def newest(self, dataset: str, day: str, request: str) -> Known | None:
        """The latest snapshot of the same request, where it is cached."""
        text = self._get(f"newest:{dataset}:{day}:{request}")
        return recalled(text, Known)

    def stored(self, envelope: Envelope) -> Known | None:
        """The entry of this stored snapshot, where it is cached."""
        text = self._get(_content_key(envelope))
        known = recalled(text, Known)
        return known if known and known.identifier == envelope.identifier else None

    def forget_newest(self, envelope: Envelope) -> None:
        """Delete this request's latest snapshot, before another answer is archived.

        A kill between archive and registry then leaves no cache entry, so the archive is listed.
        """
        self._delete(f"newest:{envelope.dataset}:{envelope.day}:{envelope.request}")

    def record(self, envelope: Envelope, stored: Stored, *, newest: bool = True) -> None:
        """Cache a stored snapshot by its content, and as its request's latest if it is.

        ``newest``: whether it is by the archive's listing; a newer cached one stays.
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
        self._set(_content_key(envelope), text)

    def merged(self, dataset: str, day: str, table_uuid: str) -> frozenset[str]:
        """The identifiers that are marked as merged into the table (by its uuid) for the day."""
        text = self._get(f"merged:{dataset}:{day}:{table_uuid}")
        return frozenset(recalled(text, list[str]) or ())

    def mark_merged(
        self, dataset: str, day: str, table_uuid: str, identifiers: frozenset[str]
    ) -> None:
        """Mark these snapshots of the day as merged into the table."""
        text = msgspec.json.encode(sorted(identifiers)).decode()
        self._set(f"merged:{dataset}:{day}:{table_uuid}", text)

    def ledger(self, dataset: str, day: str) -> Ledger | None:
        """The expected row counts of the day, where they are cached."""
        text = self._get(f"ledger:{dataset}:{day}")
        return recalled(text, Ledger)

    def ledger_days(self, dataset: str) -> list[str]:
        """The days with a ledger; none where the store does not list its entries."""
        prefix = f"ledger:{dataset}:"
        try:
            return [key.removeprefix(prefix) for key in self._state.keys(prefix)]
        except (sqlite3.Error, ConfigError, LookupError):
            return []

    def keep_ledger(self, dataset: str, day: str, ledger: Ledger) -> None:
        """Cache the row counts of the day."""
        text = msgspec.json.encode(ledger).decode()
        self._set(f"ledger:{dataset}:{day}", text, _LEDGERS)

    def forget_ledger(self, dataset: str, day: str) -> None:
        """Delete the expected row counts of the day: they are unknown."""
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
