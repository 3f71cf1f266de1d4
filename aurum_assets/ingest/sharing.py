"""Sharing: one answer of an operator that several datasets read.

It is asked for once a tick: whichever dataset is collected first asks, the others take what it
archived, or rejected for what they do not read. Each archives the answer under the day that it
reads in it, so that an answer lies in one folder, and after midnight, when one dataset still has
values of yesterday, under two days.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec
import polars as pl

from aurum_assets.ingest.collected import Archived
from aurum_assets.ingest.rejecting import rejecting
from aurum_assets.model.cadence import Cadence
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Envelope, Feed, Snapshot
from aurum_assets.model.errors import ConfigError, DataError, StoreError
from aurum_assets.model.formats import sniff
from aurum_assets.model.reading import inspect_answer
from aurum_assets.operators import DATASETS
from aurum_assets.resources.archive import Archive
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.state import recalled

_KEPT_SECONDS = 3600.0


class _Place(msgspec.Struct):
    """Where the pages of an answer lie (day, if not rejected, and path), and when (seconds of ours)
    they were kept there.
    """

    pages: list[tuple[str, str]]
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


def alone(resources: Resources, dataset: Dataset) -> AbstractContextManager[None]:
    """One dataset of this machine at a time asks for what it shares: the others find its answer."""
    shared = is_shared(dataset)
    return resources.lock(f"asking-{dataset.answers}") if shared else nullcontext()


def remember(resources: Resources, request: Request, pages: Sequence[Archived]) -> None:
    """Say where the ``pages`` of the answer to ``request`` were kept."""
    if not is_shared(request.dataset):
        return
    place = _Place([(page.day, page.path) for page in pages], resources.now().timestamp())
    text = msgspec.json.encode(place).decode()
    resources.state.set(request.key, text, _KEPT_SECONDS)
    resources.state.set(_taken(request), text, _KEPT_SECONDS)


def untaken(resources: Resources, request: Request) -> list[Snapshot]:
    """The pages of the answer that another dataset was given to ``request`` at this tick; none
    where there is no such answer, or the dataset had it already.
    """
    text = resources.state.get(request.key) if is_shared(request.dataset) else None
    place = recalled(text, _Place)
    if text is None or place is None or resources.state.get(_taken(request)) == text:
        return []
    age = resources.now().timestamp() - place.at
    if not 0 <= age < _a_tick(request.feed.asked):
        return []
    for store in (resources.archive, resources.spool):
        try:
            found = [_page(store, request.dataset, day, path) for day, path in place.pages]
        except (StoreError, ConfigError, DataError, FileNotFoundError):
            continue  # then it is asked for anew
        resources.state.set(_taken(request), text, _KEPT_SECONDS)
        return found
    return []


def _page(store: Archive, dataset: Dataset, day: str, path: str) -> Snapshot:
    """A page by its place; one that was rejected only where ``dataset`` can read it."""
    if day:
        identifier = PurePosixPath(path).name.partition(".")[0]
        return store.snapshot(dataset.archive_name, day, identifier)
    found = store.rejection(path)
    body = store.rejected_body(found)
    fmt = sniff(dataset, body)
    with rejecting(dataset, path):
        seen = inspect_answer(dataset, body, fmt)
    envelope = Envelope(
        dataset=dataset.answers,
        endpoint=found.endpoint,
        dialect=seen.dialect.name,
        format=fmt,
        day="",
        fetched_at=found.fetched_at,
        raw_sha256=found.raw_sha256,
        content_sha256=seen.content_sha256,
        asked=found.asked,
        filters=found.filters,
    )
    return Snapshot(envelope, body)


def _taken(request: Request) -> str:
    return f"{request.key}:{request.dataset.key}"


def _a_tick(cadence: Cadence) -> float:
    """How long (seconds) an answer counts as that of the same tick: half the time to the next."""
    return cadence.every.total_seconds() / 2 if cadence.scheduled else _KEPT_SECONDS
