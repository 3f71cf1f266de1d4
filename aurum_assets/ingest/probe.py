"""Probe: ask an operator's endpoints once and report the answers; nothing is archived.

``newest_published``: how fresh a feed is. ``probe``: which dialect each endpoint answers in, and
how its fields differ from those that config expects.
"""

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from aurum_assets.ingest.offers import answered_otherwise, not_offered
from aurum_assets.ingest.rejecting import rejecting
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Endpoint, Envelope, Feed, Snapshot
from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    DataError,
    HostUnknown,
    NotYetPublished,
    SourceRefused,
    SourceUnavailable,
)
from aurum_assets.model.operator import Operator
from aurum_assets.model.reading import inspect_answer, read
from aurum_assets.operators import DATASETS
from aurum_assets.resources.api import Answer, ApiClient
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.scratch import scratch_folder
from aurum_assets.resources.state import SqliteState

EndpointState = Literal[
    "ok", "drift", "unreadable", "refused", "not offered", "not yet", "unavailable", "not asked"
]
_NOT_FOUND = 404


def newest_published(resources: Resources, dataset: Dataset, feed: Feed) -> dt.datetime:
    """The start (UTC) of the newest interval that the operator has published for ``feed``.

    Asks once and waits for nothing. Raises ``ConfigError`` where config names no probe,
    ``SourceError`` without an answer, ``MalformedPayload`` where it has no such field, and plain
    ``AurumError`` where the limits leave no room at the moment.
    """
    with resources.api(dataset.operator, single_attempt=True) as api:
        return _newest(api, dataset, feed)


def _newest(api: ApiClient, dataset: Dataset, feed: Feed) -> dt.datetime:
    newest = dataset.operator.newest_in
    if feed.probe is None or newest is None:
        msg = f"{dataset.key}: feed {feed.name} has no probe in config that says what is published"
        raise ConfigError(msg)
    place = Endpoint(f"{dataset.key}_info", feed.probe.path, dataset.dialects[0].name)
    asked = Feed("probe", "now", "backfill", (place,))
    return newest(api.fetch(dataset.key, asked).body)


def newest_published_by(resources: Resources, api: ApiClient, operator: Operator) -> str:
    """A sentence on what ``operator`` answers to the smallest request in config.

    Raises as ``newest_published`` does.
    """
    ours = [(d, f) for d in DATASETS if d.operator == operator for f in resources.config(d).feeds]
    for dataset, feed in ours:
        if feed.probe is not None:
            newest = _newest(api, dataset, feed)
            return f"{dataset.key} is out to {newest:%Y-%m-%d %H:%M}Z"
    dataset, feed = next(((d, f) for d, f in ours if f.asks == "now"), ours[0])
    day = None if feed.asks == "now" else operator.day_of(resources.now())
    answer = api.fetch(dataset.key, replace(feed, endpoints=feed.endpoints[:1]), day)
    return f"{answer.endpoint.name} gave {len(answer.body):,} bytes"


def not_offered_by(resources: Resources, api: ApiClient, operator: Operator) -> list[str]:
    """A sentence for each dataset without a live endpoint that ``operator`` answers 404 to.

    Each is asked for once. Raises as ``newest_published`` does.
    """
    sentences = []
    for dataset in DATASETS:
        config = resources.config(dataset)
        if dataset.operator != operator or not all(map(config.is_documented_only, config.feeds)):
            continue
        feed = next(f for f in config.feeds if f.asks == "now")
        try:
            api.fetch(dataset.key, replace(feed, endpoints=feed.endpoints[:1]))
        except SourceRefused as error:
            if error.status != _NOT_FOUND:
                raise
            sentences.append(not_offered(dataset, feed))
    return sentences


@dataclass(frozen=True)
class Probed:
    """The present answer of one endpoint.

    ``expected``: its dialect by config; ``dialect``: that of the answer. ``drift``: sentences on
    how its fields differ from those that config expects. ``state`` is ``drift`` where records would
    be kept out; a drift that is only reported leaves it ``ok``.
    """

    dataset: str
    feed: str
    endpoint: str
    asked: str | None
    state: EndpointState
    status: int | None
    expected: str
    dialect: str | None = None
    records: int | None = None
    drift: tuple[str, ...] = ()
    reason: str = ""
    seconds: float = 0.0

    @property
    def answers(self) -> bool:
        """Whether the endpoint gave an answer that can be read."""
        return self.state in {"ok", "drift"}

    def as_dict(self) -> dict[str, Any]:
        """The fields that ``aurum probe --json`` prints."""
        return asdict(self)


@contextmanager
def looking(resources: Resources, operator: Operator) -> Iterator[ApiClient]:
    """A client that counts against the operator's limits and leaves no other trace in the home.

    Where there is no home, none is made.
    """
    with scratch_folder() as folder:
        if not resources.exists:
            resources = resources.stand_in()
        memory = SqliteState(folder / "memory.sqlite")
        with resources.api(operator, single_attempt=True, memory=memory) as api:
            yield api


def probe(
    resources: Resources, datasets: Sequence[Dataset], progress: Callable[[str], None] | None = None
) -> list[Probed]:
    """Ask each endpoint of the feeds of ``datasets`` once, and read the answer.

    A feed that takes a day is asked for that of its offset, else for yesterday; one that takes
    hours or locations, for the first. Waits for no slot: an endpoint whose limit leaves no room is
    ``not asked``. No answer of an operator raises.
    """
    found: list[Probed] = []
    for operator in {d.operator.name: d.operator for d in datasets}.values():
        with looking(resources, operator) as api:
            for dataset, feed, endpoint in endpoints_of(resources, datasets, operator):
                if progress:
                    progress(f"{dataset.key} {endpoint.name}")
                found.append(_probe(resources, api, dataset, feed, endpoint))
    return found


def endpoints_of(
    resources: Resources, datasets: Sequence[Dataset], operator: Operator | None = None
) -> list[tuple[Dataset, Feed, Endpoint]]:
    """The endpoints of ``datasets`` (of ``operator``), each path and format once."""
    distinct = {
        (dataset.operator.name, endpoint.path, endpoint.format): (dataset, feed, endpoint)
        for dataset in reversed(datasets)
        if operator is None or dataset.operator == operator
        for feed in reversed(resources.config(dataset).feeds)
        for endpoint in reversed(feed.endpoints)
    }
    return list(reversed(distinct.values()))


def _probe(
    resources: Resources, api: ApiClient, dataset: Dataset, feed: Feed, endpoint: Endpoint
) -> Probed:
    """Ask one endpoint, without its alternatives."""
    day = None
    if feed.asks != "now":
        # for a feed whose values become final later, a day that is final
        away = -feed.due_days if feed.becomes_final else feed.ahead_days or -1
        day = dataset.operator.day_of(resources.now()).plus(away)
    part = feed.parts(day)[0] if day else ""
    alone = replace(feed, endpoints=(endpoint,))
    started, took = time.monotonic(), 0.0

    def found(state: EndpointState, status: int | None, **more: Any) -> Probed:  # noqa: ANN401  fields of Probed
        return Probed(
            dataset.key,
            feed.name,
            endpoint.name,
            f"{day}{part and ' ' + part}" if day else None,
            state,
            status,
            endpoint.dialect,
            seconds=round(took, 2),
            **more,
        )

    due = day is None or day.end <= resources.now()
    try:
        try:
            answer = api.fetch(dataset.key, alone, day, part=part, due=due)
        finally:
            took = time.monotonic() - started
    except AurumError as error:
        status = error.status if isinstance(error, SourceRefused) else None
        if status == _NOT_FOUND and not resources.config(dataset).is_live(endpoint):
            return found("not offered", status, reason=not_offered(dataset, feed, endpoint))
        return found(_state_of(error), status, reason=str(error))
    try:
        with rejecting(dataset, endpoint.name):
            fields = _read(resources, dataset, feed, day, answer)
    except DataError as error:
        return found("unreadable", answer.status, reason=str(error))
    if _answers_as_ever(resources, dataset, endpoint, fields["dialect"]):
        reason = answered_otherwise(dataset, feed, endpoint, fields["dialect"])
        return found("not offered", answer.status, dialect=fields["dialect"], reason=reason)
    return found("drift" if fields.pop("refuses") else "ok", answer.status, **fields)


def _answers_as_ever(
    resources: Resources, dataset: Dataset, endpoint: Endpoint, dialect: str
) -> bool:
    """Whether an endpoint that is only documented gave the live server's usual answer."""
    config = resources.config(dataset)
    return not config.is_live(endpoint) and config.is_live_dialect(dialect)


def _state_of(error: AurumError) -> EndpointState:
    states: list[tuple[type[AurumError], EndpointState]] = [
        (NotYetPublished, "not yet"),
        (SourceRefused, "refused"),
        (SourceUnavailable, "unavailable"),
        (HostUnknown, "unavailable"),
    ]
    return next((state for kind, state in states if isinstance(error, kind)), "not asked")


def _read(
    resources: Resources, dataset: Dataset, feed: Feed, day: OperatingDay | None, answer: Answer
) -> dict[str, Any]:
    """Dialect, records and drift of an answer. Raises ``MalformedPayload`` where it has none."""
    seen = inspect_answer(dataset, answer.body, answer.format)
    alike = {d.name for d in dataset.dialects if d.shape == seen.dialect.shape}
    named = answer.endpoint.dialect if answer.endpoint.dialect in alike else seen.dialect.name
    envelope = Envelope(
        dataset=dataset.key,
        endpoint=answer.endpoint.name,
        dialect=named,
        format=answer.format,
        day=seen.days[0] if seen.days else dataset.operator.day_of(answer.fetched_at).key,
        fetched_at=answer.fetched_at,
        raw_sha256=hashlib.sha256(answer.body).hexdigest(),
        content_sha256=seen.content_sha256,
        finality=feed.finality,
        asked=day.key if day and named == answer.endpoint.dialect else None,
    )
    expected = resources.config(dataset).expected
    reading = read(dataset, Snapshot(envelope, answer.body), expected)
    drift = [f"{d.severity} {d.kind}: {d.detail}" for d in reading.drift]
    other = named != answer.endpoint.dialect
    if other:
        drift.insert(
            0, f"answers in dialect {named}, where config expects {answer.endpoint.dialect}"
        )
    if reading.refused:
        drift.append(f"ERROR unreadable: {len(reading.refused)} of {reading.records} records")
    return {
        "dialect": named,
        "records": reading.records,
        "drift": tuple(drift),
        "refuses": other
        or bool(reading.refused)
        or any(d.severity == "ERROR" for d in reading.drift),
    }
