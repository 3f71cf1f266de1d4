"""Asking: one request to an operator, and its answer into archive or spool."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from aurum_assets.ingest.accept import Received, kept_or_spooled
from aurum_assets.ingest.collected import Archived, Collected
from aurum_assets.ingest.feeds import is_due, keeps
from aurum_assets.ingest.keep import keep_rejected
from aurum_assets.ingest.offers import not_offered
from aurum_assets.ingest.rejecting import rejecting
from aurum_assets.ingest.sharing import Request, alone, remember, untaken
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Feed, Snapshot
from aurum_assets.model.errors import (
    DataError,
    NotOffered,
    NotYetPublished,
    SourceRefused,
    SourceUnavailable,
)
from aurum_assets.resources.api import Answer, ApiClient
from aurum_assets.resources.archive import Rejection
from aurum_assets.resources.composition import Resources

RESUMED = 7 * 86_400.0  # seconds for which an attempt knows what the ones before it were answered
_NOT_FOUND = 404
_MOST_PAGES = 1_000  # more are a link that leads back


@dataclass(frozen=True)
class Asking:
    """A request to be made."""

    dataset: Dataset
    feed: Feed
    day: OperatingDay
    part: str
    attempts_of: str
    filters: Mapping[str, str]
    page: int = 1

    @property
    def all_filters(self) -> Mapping[str, str]:
        """What distinguishes the request from others for the same day."""
        page = {"page": str(self.page)} if self.page > 1 else {}
        return {**self.filters, **({self.feed.asks: self.part} if self.part else {}), **page}

    @property
    def key(self) -> str:
        """Under which its answer is remembered for later attempts; a ``now`` is new each time."""
        if not self.attempts_of or self.feed.asks == "now":
            return ""
        parts = (self.attempts_of, self.dataset.key, self.day.key, self.feed.name, self.part)
        return "answered:" + ":".join(parts) + "".join(f":{k}={v}" for k, v in self.filters.items())


def ask(
    resources: Resources, api: ApiClient, asking: Asking, done: Collected, *, force: bool
) -> Archived:
    """Make a request and put its answer into archive or spool, unless an earlier attempt did.

    Of an answer in pages each page is a snapshot of its own, with a filter ``page`` from the second
    on; the first one is returned. Raises ``StoreUnavailable`` where the answer could not even be
    spooled.
    """
    dataset, feed, day = asking.dataset, asking.feed, asking.day
    held = resources.state.get(asking.key) if asking.key and not force else None
    if held is not None:
        done.archived.append(Archived("resumed", held, day.key))
        return done.archived[-1]
    today = dataset.operator.day_of(resources.now())
    if not keeps(feed, day, today):
        newest = today.plus(feed.offset_days)
        msg = (
            f"{dataset.key}: asked for {day}, but feed {feed.name} keeps {feed.keeps_days} "
            f"{'day' if feed.keeps_days == 1 else 'days'} up to {newest}: no request was made"
        )
        raise SourceRefused(msg)
    if feed.asks != "now" and resources.state.get(f"shows-today-only:{dataset.key}"):
        msg = f"{dataset.key}: asked for {day}, but the operator shows only its newest day now"
        if resources.config(dataset).is_documented_only(feed):
            done.refusal = msg
            raise NotOffered(msg)
        raise SourceRefused(msg)
    asked = "" if feed.asks == "now" else day.key
    request = Request(dataset, feed, asked, asking.all_filters)
    with alone(resources, dataset):
        shared = [] if force else untaken(resources, request)
        pages = [_take(resources, asking, _again(s, feed), done, force=False) for s in shared]
        if not pages:
            pages = _ask_pages(resources, api, asking, done, force=force)
            remember(resources, request, pages)
    _resume_with(resources, asking, *pages)
    return pages[0]


def _ask_pages(
    resources: Resources, api: ApiClient, asking: Asking, done: Collected, *, force: bool
) -> list[Archived]:
    """The pages of an answer, up to one that is rejected."""
    dataset, feed, day = asking.dataset, asking.feed, asking.day
    pages: list[Archived] = []
    page, link = asking, ""
    while not pages or link:
        if len(pages) == _MOST_PAGES:
            msg = f"{dataset.key}: feed {feed.name} has more than {_MOST_PAGES} pages of {day}"
            raise SourceRefused(msg)
        answer, archived = _ask_page(resources, api, page, link, done, force=force)
        pages.append(archived)
        link = "" if archived.outcome == "rejected" else _next_page(dataset, answer)
        page = replace(page, page=page.page + 1, feed=replace(feed, endpoints=(answer.endpoint,)))
    return pages


def _resume_with(resources: Resources, asking: Asking, *pages: Archived) -> None:
    """Let a later attempt know that ``asking`` was answered, wholly and for its day."""
    whole = all(page.day == asking.day.key and not page.partial for page in pages)
    if asking.key and whole:
        resources.state.set(asking.key, pages[0].path, RESUMED)


def _next_page(dataset: Dataset, answer: Answer) -> str:
    """The address of the page after ``answer``; empty where it is the last one.

    Raises ``MalformedPayload`` where that cannot be read.
    """
    find = dataset.operator.next_page
    if find is None:
        return ""
    with rejecting(dataset, f"an answer of {answer.endpoint.name}", "finding its next page"):
        link = find(answer.body, answer.headers)
        return urljoin(answer.url, link) if link else ""


def _is_not_out(dataset: Dataset, answer: Answer) -> bool:
    """Whether ``answer`` says that the day is not out; not of one that cannot be read.

    That is archived or rejected like any other.
    """
    is_not_out = dataset.operator.is_not_out
    if is_not_out is None:
        return False
    try:
        with rejecting(dataset, f"an answer of {answer.endpoint.name}"):
            return is_not_out(answer.body)
    except DataError:
        return False


def _ask_page(
    resources: Resources,
    api: ApiClient,
    asking: Asking,
    link: str,
    done: Collected,
    *,
    force: bool,
) -> tuple[Answer, Archived]:
    """One page (the first without a ``link``), and its answer into archive or spool."""
    dataset, feed, day = asking.dataset, asking.feed, asking.day
    asked = None if feed.asks == "now" else day
    try:
        # What is only documented is not awaited: its 404 says that it is not offered.
        due = resources.config(dataset).is_documented_only(feed) or is_due(resources, day, feed)
        answer = api.fetch(
            dataset.key, feed, asked, part=asking.part, due=due, filters=asking.filters, page=link
        )
    except SourceUnavailable as error:
        if error.body:
            _keep_truncated(resources, asking, error)
        raise
    except SourceRefused as error:
        if error.status == _NOT_FOUND and resources.config(dataset).is_documented_only(feed):
            raise NotOffered(not_offered(dataset, feed), status=_NOT_FOUND) from error
        raise
    if not (link or due) and _is_not_out(dataset, answer):
        msg = (
            f"{dataset.operator.title} has nothing of {dataset.key} for {day}, and it is not due "
            "yet: ask again later"
        )
        raise NotYetPublished(msg)
    done.requests += answer.attempts
    done.api_seconds += answer.seconds
    resources.metrics.observe("api_seconds", dataset, answer.seconds)
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
    return answer, _take(resources, asking, received, done, force=force)


def _again(snapshot: Snapshot, feed: Feed) -> Received:
    """A kept answer, to be kept for another dataset that reads it."""
    envelope = snapshot.envelope
    return Received(
        body=snapshot.body,
        endpoint=envelope.endpoint,
        dialect=envelope.dialect,
        format=envelope.format,
        fetched_at=envelope.fetched_at,
        finality=feed.finality,
        asked=envelope.asked,
        filters=envelope.filters,
    )


def _take(
    resources: Resources, asking: Asking, received: Received, done: Collected, *, force: bool
) -> Archived:
    """Keep an answer, and note in ``done`` what became of it."""
    answered = received.fetched_at.timestamp()
    resources.metrics.hold(
        "last_answer_timestamp_seconds", asking.dataset, answered, asking.feed.name
    )
    archived = kept_or_spooled(resources, asking.dataset, received, force=force)
    (done.spooled if archived.outcome == "spooled" else done.archived).append(archived)
    return archived


def _keep_truncated(resources: Resources, asking: Asking, error: SourceUnavailable) -> None:
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
    failure = keep_rejected(resources, rejection, error.body).failure
    if failure is not None:
        raise failure
