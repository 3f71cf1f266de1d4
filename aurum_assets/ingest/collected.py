"""Collected: what became of the answers of one collection."""

from dataclasses import dataclass, field
from typing import Literal

from aurum_assets.model.errors import ConfigError, SourceError, StoreError
from aurum_assets.resources.archive import Stored


@dataclass(frozen=True)
class Archived:
    """What became of an answer. ``day`` is its operating day.

    ``resumed``: nothing was asked, for an earlier attempt of the same run has kept the answer.
    ``spooled``: it waits for the archive, and ``error`` says why. ``partial``: why it is not all
    that was asked for; its records are good, and the request is not taken for answered.
    """

    outcome: Literal["stored", "duplicate", "rejected", "resumed", "spooled"]
    path: str
    day: str = ""
    identifier: str = ""
    reason: str = ""
    bytes: int = 0
    records: int = 0
    stored: Stored | None = None
    error: StoreError | ConfigError | None = None
    partial: str = ""


@dataclass
class Collected:
    """What one run of ``collect`` did. ``from_spool``: days that got answers from the spool.

    ``spooled``: answers that wait for the archive, and are not among ``archived``. By feed:
    ``failed`` and ``not_yet`` why it brought no answer, ``not_offered`` that the operator does not
    have it at all, which is no failure.
    """

    archived: list[Archived] = field(default_factory=list)
    spooled: list[Archived] = field(default_factory=list)
    from_spool: list[str] = field(default_factory=list)
    requests: int = 0
    api_seconds: float = 0.0
    refusal: str = ""
    failed: dict[str, SourceError] = field(default_factory=dict)
    not_yet: dict[str, str] = field(default_factory=dict)
    not_offered: dict[str, str] = field(default_factory=dict)

    def count(self, outcome: str) -> int:
        """How many answers were stored, duplicate or rejected."""
        return sum(a.outcome == outcome for a in self.archived)

    @property
    def days(self) -> list[str]:
        """The operating days to be normalized: those of answers, and from the spool; in order."""
        return sorted({a.day for a in self.archived if a.day} | set(self.from_spool))
