"""Load: take payload files from disk through archive, parser, table and checks as if fetched."""

import datetime as dt
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aurum_assets.ingest.accept import Received, accept
from aurum_assets.ingest.check import check
from aurum_assets.ingest.collect import Progress
from aurum_assets.ingest.collected import Archived
from aurum_assets.ingest.normalize import normalize
from aurum_assets.ingest.normalized import Normalized
from aurum_assets.ingest.rejecting import one_day
from aurum_assets.model.checks import Verdict
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import (
    ConfigError,
    DataError,
    LakeBusy,
    LakeDamaged,
    Overtaken,
    Unexpected,
)
from aurum_assets.model.formats import sniff
from aurum_assets.resources.composition import Resources

_AHEAD = dt.timedelta(minutes=1)
_GZIP = b"\x1f\x8b"


@dataclass
class Loaded:
    """The outcome of each file, day and check.

    ``failed``: by day, why it is archived but not in the table.
    """

    files: list[tuple[Path, Archived]] = field(default_factory=list)
    days: list[Normalized] = field(default_factory=list)
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def count(self, outcome: str) -> int:
        """How many files were stored, duplicate or rejected."""
        return sum(a.outcome == outcome for _, a in self.files)

    @property
    def rows(self) -> int:
        """Rows that are new or changed in the table."""
        return sum(d.merged.new + d.merged.changed for d in self.days)

    @property
    def unchanged(self) -> int:
        """Rows that the table held already."""
        return sum(d.merged.unchanged for d in self.days)

    @property
    def quarantined(self) -> int:
        """Records of these days that broke a rule."""
        return sum(d.quarantined for d in self.days)

    @property
    def rejected(self) -> list[str]:
        """Why snapshots were rejected, before or after they were archived."""
        before = [a.reason for _, a in self.files if a.outcome == "rejected"]
        return before + [reason for d in self.days for reason in d.rejected]


def load(
    resources: Resources,
    dataset: Dataset,
    files: Sequence[Path],
    *,
    day: str | None = None,
    finality: str | None = None,
    fetched_at: dt.datetime | None = None,
    progress: Progress | None = None,
) -> Loaded:
    """Archive and normalize ``files`` (plain or gzipped, JSON or XML).

    ``day`` and ``finality`` apply where the content has none; ``fetched_at`` defaults to the file's
    modification time. A file is a duplicate where the same bytes of the same instant are archived
    already. A day that fails stops no other. Raises ``OSError`` where a file cannot be opened,
    ``ConfigError`` where it would have been fetched in the future.
    """
    done = Loaded()
    settled = finality or default_finality(dataset)
    for path in files:
        cap = resources.configuration.operators[dataset.operator.name].body_cap_mb
        body, broken = _unpacked(path.read_bytes(), cap)
        when = fetched_at or dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
        if when > dt.datetime.now(dt.UTC) + _AHEAD:  # the machine's clock, as the file's is
            msg = f"{path} would be fetched at {when.isoformat()}, in the future: give --fetched-at"
            raise ConfigError(msg)
        fmt = sniff(dataset, body)
        received = Received(
            body=body,
            endpoint=f"load_{settled}" if settled else "load",
            dialect=dataset.dialects[0].name,
            format=fmt,
            fetched_at=when,
            finality=settled,
            asked=day,
            broken=broken,
        )
        done.files.append((path, accept(resources, dataset, received, force=True)))
        if progress:
            progress(path.name)
    for key in sorted({day for _, a in done.files for day in a.days}):
        try:
            with one_day(dataset, key):
                normalized = normalize(resources, dataset, dataset.day(key))
                verdicts = check(resources, normalized)
        except (DataError, Unexpected, LakeBusy, LakeDamaged, Overtaken) as error:
            done.failed[key] = str(error)
        else:
            done.days.append(normalized)
            done.verdicts[key] = verdicts
    resources.metrics.flush()
    return done


def default_finality(dataset: Dataset) -> str | None:
    """Prelim for real-time, final for day-ahead, None where the table has no finality."""
    if "finality" not in dataset.table.names:
        return None
    return "final" if "_da_" in dataset.key else "prelim"


def _unpacked(content: bytes, cap_mb: float) -> tuple[bytes, str]:
    """The plain bytes of a file that may be gzipped (one member or several), at most ``cap_mb``.

    What cannot be unpacked is returned as it is, with the reason why it will be rejected.
    """
    left, cap, body = content, int(cap_mb * 1_000_000), b""
    while left.startswith(_GZIP):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            body += unpacker.decompress(left, cap - len(body) + 1)
        except zlib.error as error:
            return content, f"the gzip cannot be unpacked: {error}"
        if len(body) > cap:
            return content, f"the gzip holds more than {cap_mb:g} MB"
        if not unpacker.eof:
            return content, "the gzip ends too early"
        left = unpacker.unused_data
    if body and left:
        return content, "the gzip is followed by other bytes"
    return (body, "") if body else (content, "")
