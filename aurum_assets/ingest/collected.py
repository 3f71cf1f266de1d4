"""The outcomes of the answers of one collection."""

from dataclasses import dataclass, field
from typing import Literal

from aurum_assets.model.errors import ConfigError, DataError, SourceError, StoreError
from aurum_assets.resources.archive import Stored


@dataclass(frozen=True)
class Archived:
    """The outcome of an answer. ``day`` is the operating day that it belongs to.

    ``resumed``: no request was made, since an earlier attempt of the same run kept the answer.
    ``also``: other days that it lies under too, of which it holds something new.
    ``spooled``: it waits for the archive, for the reason ``failure``. ``partial``: why it is not
    all that was asked for; its records are good, and the request does not count as answered.
    """

    outcome: Literal["stored", "duplicate", "rejected", "resumed", "spooled"]
    path: str
    day: str = ""
    identifier: str = ""
    reason: str = ""
    bytes: int = 0
    records: int = 0
    stored: Stored | None = None
    failure: StoreError | ConfigError | None = None
    partial: str = ""
    also: tuple[str, ...] = ()

    @property
    def days(self) -> tuple[str, ...]:
        """All operating days that it lies under."""
        return (self.day, *self.also) if self.day else self.also


@dataclass
class Collected:
    """What one run of ``collect`` did. ``unnormalized``: days of answers
    that were uploaded from the spool.

    ``spooled``: answers that wait for the archive, and are not among ``archived``. By feed:
    ``failed`` and ``not_yet`` why it brought no answer, ``not_offered`` that the operator does not
    have it at all, which is no failure.
    """

    archived: list[Archived] = field(default_factory=list)
    spooled: list[Archived] = field(default_factory=list)
    unnormalized: list[str] = field(default_factory=list)
    requests: int = 0
    api_seconds: float = 0.0
    refusal: str = ""
    failed: dict[str, SourceError | DataError] = field(default_factory=dict)
    not_yet: dict[str, str] = field(default_factory=dict)
    not_offered: dict[str, str] = field(default_factory=dict)

    def count(self, outcome: str) -> int:
        """How many answers were stored, duplicate or rejected."""
        return sum(a.outcome == outcome for a in self.archived)

    @property
    def days(self) -> list[str]:
        """The operating days to be normalized, in order: those of answers and of the spool."""
        return sorted({day for a in self.archived for day in a.days} | set(self.unnormalized))
