"""Checkpoint: the days that a replay has finished, so that one which was cut short continues.

    AURUM_HOME/replays/{dataset}.json

A day in it is skipped only if nothing that its rows follow from has changed since: the archive's
listing, the files of its tables, the code that reads it, its config. The file is deleted once a
replay ends, and does not count after a week.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import msgspec

from aurum_assets.ingest.rebuild import Folded
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.scratch import draft

_WEEK = 7 * 86_400.0
_ROOMS = ("model", "operators", "ingest", "resources")


class _Held(msgspec.Struct):
    """The file: what the days were made by, and by day the state that they were left in."""

    by: str
    days: dict[str, str]


class Checkpoint:
    """The finished days of one dataset's replay; ``by`` tells replays of different kinds apart."""

    def __init__(self, resources: Resources, dataset: Dataset, by: str) -> None:
        self._resources, self._dataset = resources, dataset
        self._path = resources.root / "replays" / f"{dataset.key}.json"
        self._held = _Held(_hash([by, code(), repr(resources.config(dataset))]), {})

    def finished(self, days: Sequence[OperatingDay]) -> set[OperatingDay]:
        """Those of ``days`` that are as the replay which was cut short left them."""
        held = self._read()
        if held is None or held.by != self._held.by:
            return set()
        self._held.days = held.days
        asked = [day for day in days if day.key in held.days]
        states = self._states(asked)
        return {day for day in asked if states[day] == held.days[day.key]}

    def note(self, landed: Iterable[Folded]) -> None:
        """Add days that are committed."""
        for folded in landed:
            self._held.days[folded.done.day.key] = _hash([*folded.identifiers, *folded.held])
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with draft(self._path.with_suffix(f".{os.getpid()}")) as file:
            file.write_bytes(msgspec.json.encode(self._held))
            file.rename(self._path)

    def clear(self) -> None:
        """Forget it: the replay is complete."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> _Held | None:
        try:
            if time.time() - self._path.stat().st_mtime > _WEEK:
                return None
            return msgspec.json.decode(self._path.read_bytes(), type=_Held)
        except (OSError, msgspec.DecodeError):
            return None

    def _states(self, days: Sequence[OperatingDay]) -> dict[OperatingDay, str]:
        lake, dataset, found = self._resources.lake, self._dataset, {}
        dates = [day.date for day in days]
        tables = (dataset.table, dataset.table.history, QUARANTINE)
        files = [lake.files(t, dates, {"dataset": dataset.key}) for t in tables]
        for day in days:
            listed = self._resources.archive.identifiers(dataset.archive_name, day.key)
            held = sorted(path for by_day in files for path in by_day.get(day.date, ()))
            found[day] = _hash([*listed, *held])
        return found


@cache
def code() -> str:
    """A hash of the code that a day's rows follow from."""
    package = Path(__file__).parents[1]
    paths = sorted(path for room in _ROOMS for path in (package / room).rglob("*.py"))
    return _hash([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32]
