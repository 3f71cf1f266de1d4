"""Collect: ask an operator, archive every answer, skip what was said before.

Only the day and the content hash of an answer are read before it is archived; where even that
fails, the bytes are kept under ``rejected/`` with the reason.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from aurum_assets.ingest.keep import drain_spool, keep, keep_rejected, owed_days
from aurum_assets.ingest.offers import forget_not_offered, not_offered, remember_not_offered
from aurum_assets.ingest.rejecting import rejecting
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Envelope, Feed, FormatName
from aurum_assets.model.errors import (
    ConfigError,
    DataError,
    MalformedPayload,
    NotOffered,
    NotYetPublished,
    SourceError,
    SourceRefused,
    SourceUnavailable,
    StoreError,
)
from aurum_assets.model.reading import Inspection, inspect_answer
from aurum_assets.resources.api import ApiClient
from aurum_assets.resources.archive import Rejection, Stored
from aurum_assets.resources.logs import bound, get_logger
from aurum_assets.resources.settings import Resources

log = get_logger(__name__)
Progress = Callable[[str], None]
_OLDEST = dt.date(1999, 1, 1)
_AHEAD = dt.timedelta(days=8)
_TODAY_ONLY = 3600.0  # seconds for which an operator that shows today only is not asked again
_RESUMED = 7 * 86_400.0  # seconds for which an attempt knows what the ones before it were answered
_UNAUTHORIZED, _NOT_FOUND = 401, 404


@dataclass(frozen=True)
class Received:
    """An answer before it is archived. ``broken`` says why it is known to be unusable."""

    body: bytes
    endpoint: str
    dialect: str
    format: FormatName
    fetched_at: dt.datetime
    finality: str | None = None
    asked: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""


@dataclass(frozen=True)
class Archived:
    """What became of an answer. ``day`` is the operating day that it speaks of.

    ``resumed``: nothing was asked, for an earlier attempt of the same run has kept the answer.
    ``spooled``: it waits for the archive, and ``trouble`` says why. ``partial``: why it is not all
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
    trouble: StoreError | ConfigError | None = None
    partial: str = ""


@dataclass
class Collected:
    """What one run of ``collect`` did. ``owed``: days that the spool brought up meanwhile.

    ``spooled``: answers that wait for the archive, and are not among ``archived``. By feed:
    ``failed`` and ``not_yet`` why it brought no answer, ``not_offered`` that the operator does not
    have it at all, which is no failure.
    """

    archived: list[Archived] = field(default_factory=list)
    spooled: list[Archived] = field(default_factory=list)
    owed: list[str] = field(default_factory=list)
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
        """The operating days to be normalized: those that answers speak of, or owed; in order."""
        return sorted({a.day for a in self.archived if a.day} | set(self.owed))


def collect(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    *,
    feeds: Sequence[str] | None = None,
    hours: Mapping[str, Sequence[str]] | None = None,
    force: bool = False,
    attempts_of: str = "",
    filters: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    into: Collected | None = None,
) -> Collected:
    """Ask for ``day`` by ``feeds`` (all that can speak of it where None) and archive the answers.

    ``hours``: by feed that asks hour by hour, the only hours to ask for (``("07", "08")``).
    Each feed is asked by itself: where one brings nothing, the others go on. Only a 401 ends it at
    once. What the operator does not offer is in ``not_offered``, and raises nothing.
    ``attempts_of`` names what this is an attempt of (a backfill, a run that crashed and is run
    again): what an earlier one was answered for a day or hour is not asked again. ``filters``
    narrow the answers: only feeds that take all of them are asked. ``progress`` is told of each
    hour, and every second of a long wait. ``into`` is filled as it goes, and holds what was done
    before an error.
    ``refusal`` says where the operator answered for another day. Raises ``SourceError`` where it
    gives no answer, ``DataError`` where an answer had to be rejected, ``StoreError`` or
    ``ConfigError`` where some had to be spooled, once all were asked for; what was archived stays.
    What was spooled before goes up first.
    """
    done = Collected() if into is None else into
    asked = asked_feeds(resources, dataset, day, feeds, filters)
    if not asked:
        done.refusal = (
            f"{dataset.key}: no feed of it speaks of {day}, seen from {resources.now():%F %R}Z"
        )
        return done
    said, counted = (
        bound(dataset=dataset.key, day=day.key),
        resources.metrics.verb("collect", dataset),
    )
    with said, counted, resources.api(dataset.operator, tell=progress or (lambda _: None)) as api:
        away: StoreError | ConfigError | None = None
        try:
            drain_spool(resources, dataset)
        except (StoreError, ConfigError) as error:
            away = error  # what is asked now goes to the spool too
        done.owed = owed_days(resources, dataset)
        errors: list[SourceError] = []
        for feed in asked:
            only = (hours or {}).get(feed.name)
            asking = _Asking(dataset, feed, day, "", attempts_of, filters or {})
            missed = _ask_feed(
                resources, api, asking, done, only=only, force=force, progress=progress
            )
            for failure in missed:
                errors += _noted(resources, asking, failure, done)
        _raise_what_failed(done, errors)
        _raise_spooled(done, away)
    rejected = [a for a in done.archived if a.outcome == "rejected"]
    log.info(
        "collected",
        dataset=dataset.key,
        day=day.key,
        requests=done.requests,
        stored=done.count("stored"),
        duplicates=done.count("duplicate"),
        rejected=len(rejected),
        not_offered=len(done.not_offered),
        api_seconds=round(done.api_seconds, 3),
    )
    if rejected and len(rejected) == len(done.archived):
        msg = f"{dataset.key}: {rejected[0].reason}; the bytes are kept at {rejected[0].path}"
        raise MalformedPayload(msg)
    return done


def _ask_feed(
    resources: Resources,
    api: ApiClient,
    asking: "_Asking",
    done: Collected,
    *,
    only: Sequence[str] | None,
    force: bool,
    progress: Progress | None,
) -> list[SourceError]:
    """The requests that one feed takes for the day, and what kept some from being answered.

    An hour without an answer does not keep the others from being asked; two in a row end the feed,
    as do a 401 and what is not out yet or not offered.
    """
    dataset, feed, day = asking.dataset, asking.feed, asking.day
    errors: list[SourceError] = []
    failed_before = False
    for hour in hours_asked(resources, feed, day, only):
        try:
            archived = _ask(resources, api, replace(asking, hour=hour), done, force=force)
        except SourceError as error:
            errors.append(error)
            if failed_before or _ends_the_feed(error):
                return errors
            failed_before = True
            continue
        failed_before = False
        if progress and hour:
            progress(f"{dataset.key} {feed.name} {day.key} {hour}".rstrip())
        if feed.asks != "now" and archived.day not in ("", day.key):
            resources.state.set(f"shows-today-only:{dataset.key}", day.key, _TODAY_ONLY)
            done.refusal = (
                f"{dataset.key}: asked for {day}, the operator answered with "
                f"{archived.day}: it shows only that day now, and earlier days are "
                "those that were collected then"
            )
            if resources.config(dataset).is_documented_only(feed):
                done.not_offered[feed.name] = done.refusal
                remember_not_offered(resources, dataset, feed)
            return errors
    if not errors and resources.config(dataset).is_documented_only(feed):
        forget_not_offered(resources, dataset, feed)
    return errors


def _ends_the_feed(error: SourceError) -> bool:
    """Whether the other hours of a feed would be answered alike."""
    unauthorized = isinstance(error, SourceRefused) and error.status == _UNAUTHORIZED
    return unauthorized or isinstance(error, NotYetPublished | NotOffered)


def _noted(
    resources: Resources, asking: "_Asking", error: SourceError, done: Collected
) -> Sequence[SourceError]:
    """Note in ``done`` why a feed brought no answer; the error again where it is a failure.

    Raises a 401 at once: every other feed would be told the same.
    """
    dataset, feed = asking.dataset, asking.feed
    if isinstance(error, SourceRefused) and error.status == _UNAUTHORIZED:
        done.failed[feed.name] = error
        raise error
    if isinstance(error, NotOffered):
        done.not_offered[feed.name] = str(error)
        remember_not_offered(resources, dataset, feed)
        log.info("not offered", dataset=dataset.key, feed=feed.name, reason=str(error))
        return []
    said = {"dataset": dataset.key, "feed": feed.name, "reason": str(error)}
    if isinstance(error, NotYetPublished):
        done.not_yet[feed.name] = str(error)
        log.info("not yet published", **said)
    else:
        done.failed[feed.name] = error
        log.warning("a feed brought nothing", **said)
    return [error]


def _raise_what_failed(done: Collected, errors: Sequence[SourceError]) -> None:
    """Raise what kept feeds from bringing an answer, as one error.

    What is not yet published counts only where nothing was brought at all.
    """
    failed = [e for e in errors if not isinstance(e, NotYetPublished)]
    if not failed:
        if errors and not (done.archived or done.spooled):
            raise errors[0]
        return
    if len(failed) == 1:
        raise failed[0]
    said = "; ".join(dict.fromkeys(map(str, failed)))
    if any(isinstance(e, SourceUnavailable) for e in failed):
        raise SourceUnavailable(said)
    raise SourceRefused(said, status=next(e.status for e in failed if isinstance(e, SourceRefused)))


def _raise_spooled(done: Collected, away: StoreError | ConfigError | None) -> None:
    """Raise what kept an answer out of the archive, now or in an earlier attempt (``away``)."""
    if done.spooled:
        away = done.spooled[0].trouble
    elif not done.count("resumed"):
        away = None
    if away is not None:
        raise away


@dataclass(frozen=True)
class _Asking:
    """One request to be made."""

    dataset: Dataset
    feed: Feed
    day: OperatingDay
    hour: str
    attempts_of: str
    filters: Mapping[str, str]

    @property
    def all_filters(self) -> Mapping[str, str]:
        """What the request is told apart by from others for the same day."""
        return {**self.filters, **({"hour": self.hour} if self.hour else {})}

    @property
    def key(self) -> str:
        """Under which its answer is remembered for later attempts; a ``now`` is new each time."""
        if not self.attempts_of or self.feed.asks == "now":
            return ""
        words = (self.attempts_of, self.dataset.key, self.day.key, self.feed.name, self.hour)
        return "answered:" + ":".join(words) + "".join(f":{k}={v}" for k, v in self.filters.items())


def _ask(
    resources: Resources, api: ApiClient, asking: _Asking, done: Collected, *, force: bool
) -> Archived:
    """One request, and its answer into archive or spool; neither where an earlier attempt did it.

    Raises ``StoreUnavailable`` where the answer could not even be spooled.
    """
    dataset, feed, day = asking.dataset, asking.feed, asking.day
    asked = None if feed.asks == "now" else day
    held = resources.state.get(asking.key) if asking.key and not force else None
    if held is not None:
        done.archived.append(Archived("resumed", held, day.key))
        return done.archived[-1]
    if feed.asks != "now" and resources.state.get(f"shows-today-only:{dataset.key}"):
        msg = f"{dataset.key}: asked for {day}, but the operator shows only its newest day now"
        if resources.config(dataset).is_documented_only(feed):
            done.refusal = msg
            raise NotOffered(msg)
        raise SourceRefused(msg)
    try:
        # What is only documented is not awaited: its 404 says that it is not offered.
        due = resources.config(dataset).is_documented_only(feed) or is_due(resources, day, feed)
        answer = api.fetch(
            dataset.key, feed, asked, hour=asking.hour, due=due, filters=asking.filters
        )
    except SourceUnavailable as error:
        if error.body:
            _keep_truncated(resources, asking, error)
        raise
    except SourceRefused as error:
        if error.status == _NOT_FOUND and resources.config(dataset).is_documented_only(feed):
            raise NotOffered(not_offered(dataset, feed), status=_NOT_FOUND) from error
        raise
    done.requests += answer.attempts
    done.api_seconds += answer.seconds
    resources.metrics.observe("api_seconds", dataset, answer.seconds)
    answered = answer.fetched_at.timestamp()
    resources.metrics.hold("last_answer_timestamp_seconds", dataset, answered, feed.name)
    received = Received(
        body=answer.body,
        endpoint=answer.endpoint.name,
        dialect=answer.endpoint.dialect,
        format=answer.format,
        fetched_at=answer.fetched_at,
        finality=feed.finality,
        asked=asked.key if asked else None,
        filters=asking.all_filters,
    )
    archived = _kept(resources, dataset, received, force=force)
    (done.spooled if archived.outcome == "spooled" else done.archived).append(archived)
    if asking.key and archived.day == day.key and not archived.partial:
        resources.state.set(asking.key, archived.path, _RESUMED)
    return archived


def due_feeds(
    resources: Resources, dataset: Dataset, day: OperatingDay, names: Sequence[str] | None
) -> list[Feed]:
    """The feeds that ``names`` ask for; where None, those that can speak of ``day`` by now."""
    feeds = resources.config(dataset).feeds
    if names is not None:
        unknown = sorted(set(names) - {f.name for f in feeds})
        if unknown:
            known = ", ".join(f.name for f in feeds)
            msg = f"{dataset.key} has no feed {unknown[0]!r}; it has {known}"
            raise ConfigError(msg)
        return [f for f in feeds if f.name in names]
    today = dataset.operator.day_of(resources.now())
    return [f for f in feeds if _speaks_of(f, day, today)]


def asked_feeds(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    names: Sequence[str] | None = None,
    filters: Mapping[str, str] | None = None,
) -> list[Feed]:
    """The feeds that are asked for ``day``: see ``narrowed`` and ``due_feeds``."""
    if filters:
        return narrowed(resources, dataset, filters, names)
    return due_feeds(resources, dataset, day, names)


def narrowed(
    resources: Resources,
    dataset: Dataset,
    filters: Mapping[str, str],
    names: Sequence[str] | None = None,
) -> list[Feed]:
    """The feeds (of ``names``) that take all of ``filters``.

    Raises ``ConfigError`` where there is none.
    """
    feeds = [f for f in resources.config(dataset).feeds if names is None or f.name in names]
    found = [f for f in feeds if set(filters) <= set(f.filters)]
    if not found:
        known = sorted({name for f in feeds for name in f.filters})
        which = f"feed {' or '.join(names)}" if names else "feed"
        msg = (
            f"{dataset.key} has no {which} that takes {' and '.join(sorted(filters))}; "
            f"its filters: {', '.join(known) or 'none'}"
        )
        raise ConfigError(msg)
    return found


def _speaks_of(feed: Feed, day: OperatingDay, today: OperatingDay) -> bool:
    if feed.asks == "now":
        return day == today
    return day <= today.plus(feed.offset_days)


def may_come_later(resources: Resources, dataset: Dataset, names: Iterable[str]) -> bool:
    """Whether the feeds of ``names`` give final values or days ahead, which may be out late.

    Sensors ask for them again, and an alert tells of what is late.
    """
    feeds = {f.name: f for f in resources.config(dataset).feeds}
    return all(feeds[name].becomes_final or feeds[name].offset_days > 0 for name in names)


def is_due(resources: Resources, day: OperatingDay, feed: Feed) -> bool:
    """Whether the operator should have published by now what ``feed`` asks of ``day``."""
    return day.plus(feed.due_days).start <= resources.now()


def hours_asked(
    resources: Resources, feed: Feed, day: OperatingDay, only: Sequence[str] | None = None
) -> Sequence[str]:
    """The requests that a feed takes for a day: one for each hour that has begun (and is among
    ``only``, where given), or just one.
    """
    if feed.asks != "hour":
        return [""]
    now = resources.now()
    begun = [hour for hour in day.local_hours() if day.local_hour_start(hour) <= now]
    return begun if only is None else [hour for hour in begun if hour in only]


def _keep_truncated(resources: Resources, asking: _Asking, error: SourceUnavailable) -> None:
    feed = asking.feed
    rejection = Rejection(
        dataset=asking.dataset.key,
        endpoint=feed.name,
        fetched_at=resources.now(),
        raw_sha256=hashlib.sha256(error.body).hexdigest(),
        reason=str(error),
        finality=feed.finality,
        asked=None if feed.asks == "now" else asking.day.key,
        filters=asking.all_filters,
    )
    trouble = keep_rejected(resources, rejection, error.body).trouble
    if trouble is not None:
        raise trouble


def accept(
    resources: Resources, dataset: Dataset, received: Received, *, force: bool = False
) -> Archived:
    """Archive an answer under the day that it speaks of, unless its request was answered so last.

    Never raises for what the bytes hold: bytes that cannot be read come back as ``rejected``.
    Raises ``StoreError`` or ``ConfigError`` where they had to be spooled.
    """
    archived = _kept(resources, dataset, received, force=force)
    if archived.trouble is not None:
        raise archived.trouble
    return archived


def _kept(resources: Resources, dataset: Dataset, received: Received, *, force: bool) -> Archived:
    """As ``accept``; an answer that had to be spooled comes back as such."""
    raw = hashlib.sha256(received.body).hexdigest()
    try:
        if received.broken:
            raise MalformedPayload(received.broken)
        seen, day = place(dataset, received)
    except DataError as error:
        rejection = Rejection(
            dataset.key,
            received.endpoint,
            received.fetched_at,
            raw,
            reason=str(error),
            dialect=received.dialect,
            finality=received.finality,
            asked=received.asked,
            filters=received.filters,
        )
        kept = keep_rejected(resources, rejection, received.body)
        if kept.trouble is not None:
            return Archived("spooled", kept.path, reason=str(error), trouble=kept.trouble)
        resources.metrics.count("rejected_snapshots", dataset)
        return Archived("rejected", kept.path, reason=str(error))
    spoken = {d.name for d in dataset.dialects if d.path == seen.dialect.path}
    envelope = Envelope(
        dataset=dataset.key,
        endpoint=received.endpoint,
        dialect=received.dialect if received.dialect in spoken else seen.dialect.name,
        format=received.format,
        day=day.key,
        fetched_at=received.fetched_at,
        raw_sha256=raw,
        content_sha256=seen.content_sha256,
        finality=received.finality,
        asked=received.asked,
        filters=received.filters,
    )
    kept = keep(resources, dataset, envelope, received.body, force=force)
    if kept.trouble is not None:
        return Archived("spooled", kept.path, day.key, trouble=kept.trouble, partial=seen.partial)
    if seen.partial:
        log.warning("the answer is partial", dataset=dataset.key, because=seen.partial)
    stored = kept.stored
    if stored is None or (force and not stored.created):
        resources.metrics.count("duplicates", dataset)
        return Archived("duplicate", kept.path, day.key, records=seen.records, partial=seen.partial)
    resources.metrics.count("collected", dataset)
    resources.metrics.observe("snapshot_rows", dataset, seen.records)
    return Archived(
        "stored",
        kept.path,
        day.key,
        envelope.identifier,
        bytes=stored.bytes,
        records=seen.records,
        stored=stored,
        partial=seen.partial,
    )


def place(dataset: Dataset, received: Received) -> tuple[Inspection, OperatingDay]:
    """What an answer says at a glance, and the operating day that it belongs to.

    Raises ``MalformedPayload`` where it has no shape that the dataset knows, or no believable day.
    """
    with rejecting(dataset, f"an answer of {received.endpoint}"):
        seen = inspect_answer(dataset, received.body, received.format)
        return seen, _day_of(dataset, received, seen.days)


def _day_of(dataset: Dataset, received: Received, said: tuple[str, ...]) -> OperatingDay:
    """The operating day of a snapshot: what its content says, else what was asked for."""
    fetched = dataset.operator.day_of(received.fetched_at)
    text = said[0] if said else received.asked or fetched.key
    try:
        day = dataset.day(text)
    except (ValueError, OverflowError) as error:
        raise MalformedPayload(str(error)) from error
    if not _OLDEST <= day.date <= fetched.date + _AHEAD:
        msg = f"{dataset.key}: the content speaks of {day}, fetched on {fetched}: not believable"
        raise MalformedPayload(msg)
    return day
