"""Leftovers: temporary files of killed writes, and marks of the spool that are obsolete.

Never data: objects of the archive, answers in the spool and rejected bytes stay for ever. A write
takes seconds, so a draft that is older than ``DRAFT_HOURS`` has no writer.

    archive/…/.{32 hex}.tmp            an object, before it is linked to its name (also in spool/)
    .{name}.{32 hex}                   a SQLite file or mark of the home, the file of metrics
    config/.{name}.draft               a reviewed CSV
    dagster/dagster.yaml.new           what ``make`` writes
    spool/owed/{folder}/{day}/{id}     a snapshot uploaded from the spool, once it is merged
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aurum_assets.ingest.keep import settled
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.objects import Folder

DRAFT_HOURS = 24
_OBJECT = re.compile(r"\.[0-9a-f]{32}\.tmp")
_STORE = re.compile(r"\..+\.[0-9a-f]{32}(-wal|-shm|-journal)?")
_REVIEWED = re.compile(r"\..+\.draft")
_MADE = re.compile(r"dagster\.yaml\.new")


@dataclass(frozen=True)
class Cleared:
    """How many drafts and settled marks were removed (or would be), and their bytes."""

    drafts: int = 0
    marks: int = 0
    bytes: int = 0


def clear(resources: Resources, *, dry_run: bool = False) -> Cleared:
    """Remove the leftovers. Raises ``AurumError`` where archive or lake are out of reach,
    ``OSError`` where a file cannot be removed.
    """
    drafts = list(_drafts(resources))
    marks = [mark for d in DATASETS for mark in settled(resources, d) if _is_old(mark)]
    size = sum(path.stat().st_size for path in drafts)
    if not dry_run:
        for path in (*drafts, *marks):
            path.unlink(missing_ok=True)
        _remove_empty(resources.root / "spool")
    return Cleared(len(drafts), len(marks), size)


def _drafts(resources: Resources) -> Iterator[Path]:
    """The drafts without a writer; their age is that of the file, by this machine's clock."""
    if isinstance(resources.archive.store, Folder):
        yield from _below(resources.archive.store.root)
    yield from _below(resources.root / "spool")
    file = resources.metrics.file
    places = [
        (resources.root, _STORE),
        (resources.root / "config", _REVIEWED),
        (resources.root / "dagster", _MADE),
    ]
    if file is not None:
        places.append(
            (file.resolve().parent, re.compile(rf"\.{re.escape(file.name)}\.[0-9a-f]{{32}}"))
        )
    for folder, pattern in places:
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if pattern.fullmatch(path.name) and path.is_file() and _is_old(path):
                    yield path


def _below(root: Path) -> Iterator[Path]:
    """Old drafts of objects anywhere below ``root``, found by name."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if name.startswith(".") and _OBJECT.fullmatch(name) and _is_old(path):
                yield path


def _is_old(path: Path) -> bool:
    with suppress(FileNotFoundError):  # its writer has just finished
        return time.time() - path.stat().st_mtime > DRAFT_HOURS * 3600
    return False


def _remove_empty(root: Path) -> None:
    """Remove the folders below ``root`` that have been empty for a day.

    A writer makes its folder anew where it is gone; ``rmdir`` removes none that holds a file.
    """
    for folder, _, _ in os.walk(root, topdown=False):
        if Path(folder) != root and _is_old(Path(folder)):
            with suppress(OSError):  # it holds something
                Path(folder).rmdir()
