"""Sharing: one answer of an operator that several datasets read.

It is asked for once a tick: whichever dataset is collected first asks, the others take what it
archived. Each archives the answer under the day that it reads in it, so that an answer lies in one
folder, and after midnight, when one dataset still has values of yesterday, under two days.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec
import polars as pl

from aurum_assets.model.cadence import Cadence
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Feed, Snapshot
from aurum_assets.model.errors import ConfigError, MalformedPayload, StoreError
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources

_KEPT_SECONDS = 3600.0


class _Place(msgspec.Struct):
    """Where an answer lies, and when (seconds of ours) it was kept there."""

    day: str
    identifier: str
    at: float


def readers(dataset: Dataset) -> list[Dataset]:
    """The datasets that read the answers of ``dataset``: itself first."""
    return [dataset, *(d for d in DATASETS if d.answers == dataset.answers and d is not dataset)]


def is_shared(dataset: Dataset) -> bool:
    """Whether another dataset reads the same answers."""
    return dataset.shares is not None or len(readers(dataset)) > 1


def is_of_another_day(dataset: Dataset, day: OperatingDay, frame: pl.DataFrame) -> bool:
    """Whether a shared answer, archived under ``day``, holds only rows of another one for
    ``dataset``: it lies there for the sake of another dataset.
    """
    if frame.is_empty() or not is_shared(dataset):
        return False
    inside = pl.col("interval_start").is_between(day.start, day.end, closed="left")
    return not frame.select(inside.any()).item()


@dataclass(frozen=True)
class Request:
    """What was asked, by whom: the same for all datasets that ask it but for ``dataset``."""

    dataset: Dataset
    feed: Feed
    asked: str
    filters: Mapping[str, str]

    @property
    def key(self) -> str:
        """Under which its answer is remembered."""
        filters = ",".join(f"{k}={v}" for k, v in sorted(self.filters.items()))
        path = self.feed.endpoints[0].path
        return f"shared:{self.dataset.answers}:{path}:{self.asked}:{filters}"


def remember(resources: Resources, request: Request, day: str, path: str) -> None:
    """Say that the answer to ``request`` was kept at ``path`` under ``day``."""
    if not is_shared(request.dataset):
        return
    identifier = PurePosixPath(path).name.partition(".")[0]
    place = _Place(day, identifier, resources.now().timestamp())
    text = msgspec.json.encode(place).decode()
    resources.state.set(request.key, text, _KEPT_SECONDS)
    resources.state.set(_taken(request), text, _KEPT_SECONDS)


def untaken(resources: Resources, request: Request) -> Snapshot | None:
    """The answer that another dataset was given to ``request`` at this tick; None where there is
    none, or the dataset had it already.
    """
    text = resources.state.get(request.key) if is_shared(request.dataset) else None
    if text is None or resources.state.get(_taken(request)) == text:
        return None
    place = msgspec.json.decode(text, type=_Place)
    age = resources.now().timestamp() - place.at
    if not 0 <= age < _a_tick(request.feed.asked):
        return None
    for store in (resources.archive, resources.spool):
        try:
            found = store.snapshot(request.dataset.archive_name, place.day, place.identifier)
        except (StoreError, ConfigError, MalformedPayload, FileNotFoundError):
            continue  # then it is asked for anew
        resources.state.set(_taken(request), text, _KEPT_SECONDS)
        return found
    return None


def _taken(request: Request) -> str:
    return f"{request.key}:{request.dataset.key}"


def _a_tick(cadence: Cadence) -> float:
    """How long (seconds) an answer counts as that of the same tick: half the time to the next."""
    return cadence.every.total_seconds() / 2 if cadence.scheduled else _KEPT_SECONDS
