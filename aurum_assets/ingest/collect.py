"""Collect: ask an operator for a day, feed by feed, and archive every answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from aurum_assets.ingest.asking import Asking, ask
from aurum_assets.ingest.collected import Collected
from aurum_assets.ingest.feeds import asked_feeds, parts_asked
from aurum_assets.ingest.keep import drain_spool, unnormalized_days
from aurum_assets.ingest.offers import forget_not_offered, remember_not_offered
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
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
from aurum_assets.resources.api import ApiClient
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import bound, get_logger

log = get_logger(__name__)
Progress = Callable[[str], None]
_TODAY_ONLY = 3600.0  # seconds for which an operator that shows today only is not asked again
_UNAUTHORIZED = 401


def collect(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    *,
    feeds: Sequence[str] | None = None,
    parts: Mapping[str, Sequence[str]] | None = None,
    force: bool = False,
    attempts_of: str = "",
    filters: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    into: Collected | None = None,
) -> Collected:
    """Ask for ``day`` by ``feeds`` (all that have it where None) and archive the answers.

    ``parts``: by feed that asks hour by hour or location by location, the only ones to ask for
    (``("07", "08")``).
    Each feed is asked by itself: where one brings nothing, the others go on. Only a 401 ends it at
    once. What the operator does not offer is in ``not_offered``, and raises nothing.
    ``attempts_of`` names what this is an attempt of (a backfill, a run that crashed and is run
    again): what an earlier one was answered for a day or a part of it is not asked again.
    ``filters`` narrow the answers: only feeds that take all of them are asked. ``progress`` is
    called after each part, and every second of a long wait. ``into`` is filled as it goes, and
    holds what was done before an error.
    ``refusal`` says where the operator answered for another day. Raises ``SourceError`` where it
    gives no answer, ``DataError`` where an answer had to be rejected or its next page is unknown,
    ``StoreError`` or ``ConfigError`` where some had to be spooled, once all were asked for; what
    was archived stays. What was spooled before goes up first.
    """
    done = Collected() if into is None else into
    asked = asked_feeds(resources, dataset, day, feeds, filters)
    if not asked:
        done.refusal = f"{dataset.key}: no feed of it has {day} at {resources.now():%F %R}Z"
        return done
    context, counted = (
        bound(dataset=dataset.key, day=day.key),
        resources.metrics.verb("collect", dataset),
    )
    with (
        context,
        counted,
        resources.api(dataset.operator, report=progress or (lambda _: None)) as api,
    ):
        away: StoreError | ConfigError | None = None
        try:
            drain_spool(resources, dataset)
        except (StoreError, ConfigError) as error:
            away = error  # what is asked now goes to the spool too
        done.unnormalized = unnormalized_days(resources, dataset)
        errors: list[SourceError | DataError] = []
        for feed in asked:
            only = (parts or {}).get(feed.name)
            asking = Asking(dataset, feed, day, "", attempts_of, filters or {})
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
    asking: Asking,
    done: Collected,
    *,
    only: Sequence[str] | None,
    force: bool,
    progress: Progress | None,
) -> list[SourceError | DataError]:
    """The requests that one feed takes for the day, and what kept some from being answered.

    A part without an answer does not keep the others from being asked; two in a row end the feed,
    as do a 401 and what is not out yet or not offered.
    """
    dataset, feed, day = asking.dataset, asking.feed, asking.day
    errors: list[SourceError | DataError] = []
    failed_before = False
    for part in parts_asked(resources, feed, day, only):
        try:
            archived = ask(resources, api, replace(asking, part=part), done, force=force)
        except (SourceError, DataError) as error:
            errors.append(error)
            if failed_before or _ends_the_feed(error):
                return errors
            failed_before = True
            continue
        failed_before = False
        if progress and part:
            progress(f"{dataset.key} {feed.name} {day.key} {part}".rstrip())
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


def _ends_the_feed(error: SourceError | DataError) -> bool:
    """Whether the other parts of a feed would be answered alike."""
    unauthorized = isinstance(error, SourceRefused) and error.status == _UNAUTHORIZED
    return unauthorized or isinstance(error, NotYetPublished | NotOffered)


def _noted(
    resources: Resources, asking: Asking, error: SourceError | DataError, done: Collected
) -> Sequence[SourceError | DataError]:
    """Note in ``done`` why a feed brought no answer; the error again where it is a failure.

    Raises a 401 at once: every other feed would be refused too.
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
    fields = {"dataset": dataset.key, "feed": feed.name, "reason": str(error)}
    if isinstance(error, NotYetPublished):
        done.not_yet[feed.name] = str(error)
        log.info("not yet published", **fields)
    else:
        done.failed[feed.name] = error
        log.warning("a feed brought nothing", **fields)
    return [error]


def _raise_what_failed(done: Collected, errors: Sequence[SourceError | DataError]) -> None:
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
    reasons = "; ".join(dict.fromkeys(map(str, failed)))
    if any(isinstance(e, SourceUnavailable) for e in failed):
        raise SourceUnavailable(reasons)
    refused = [e for e in failed if isinstance(e, SourceRefused)]
    if not refused:
        raise MalformedPayload(reasons)
    raise SourceRefused(reasons, status=refused[0].status)


def _raise_spooled(done: Collected, away: StoreError | ConfigError | None) -> None:
    """Raise what kept an answer out of the archive, now or in an earlier attempt (``away``)."""
    if done.spooled:
        away = done.spooled[0].failure
    elif not done.count("resumed"):
        away = None
    if away is not None:
        raise away
