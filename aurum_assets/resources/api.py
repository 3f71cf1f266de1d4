"""Asking a market operator: limit, retry, breaker, fallback, and the errors that come out of it.

This module decides what an HTTP answer means. ``wire`` makes one request, ``limits`` waits for a
slot, ``breaker`` and ``fallback`` remember failures. Of the bytes it checks only that they are
complete.

The retry loop is our own, not stamina's (26.1): stamina sleeps with ``time.sleep`` and cannot be
given another, and its jitter is added to the backoff, where full jitter draws from zero. A pause
asked for by the operator must hold for all processes and is kept by the limiter, so that what is
left to the loop is four lines.
"""

import datetime as dt
import importlib.metadata
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Self

import httpx

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Endpoint, Feed, FormatName, OperatorConfig
from aurum_assets.model.errors import (
    ConfigError,
    HostUnknown,
    NotYetPublished,
    SourceRefused,
    SourceUnavailable,
)
from aurum_assets.model.formats import FORMATS
from aurum_assets.model.operator import Operator
from aurum_assets.model.shown import Plain, Shown
from aurum_assets.resources import hosts
from aurum_assets.resources.breaker import Breaker
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.fallback import Ask, EndpointMemory
from aurum_assets.resources.limits import REPORT_SECONDS, Limiter, retry_after
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.redaction import redacted
from aurum_assets.resources.state import State
from aurum_assets.resources.wire import (
    Bounds,
    Broken,
    NameUnknown,
    Reply,
    Signature,
    Unusable,
    Wire,
)

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 30.0
FIRST_PAUSE = 10.0
_SHOWN_OF_A_BODY = 60
_SHOWN_OF_A_PROBLEM = 300
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TIMED_OUT, TOO_MANY = 401, 403, 404, 408, 429

log = get_logger(__name__)


@dataclass(frozen=True, repr=False)
class Answer(Shown):
    """The bytes of one answer, decoded, and how they came.

    ``fetched_at`` is UTC; ``seconds``: how long the last of ``attempts`` took. ``headers``: by
    lower-case name.
    """

    body: bytes
    format: FormatName
    endpoint: Endpoint
    status: int
    fetched_at: dt.datetime
    seconds: float
    attempts: int
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, object]:
        """How much came, of what, when and from where."""
        return {
            "endpoint": self.endpoint.name,
            "status": self.status,
            "format": self.format,
            "bytes": len(self.body),
            "fetched_at": Plain(f"{self.fetched_at:%Y-%m-%dT%H:%M:%SZ}"),
            "seconds": round(self.seconds, 3),
            "attempts": self.attempts,
            "url": self.url,
            "body": self.body[:_SHOWN_OF_A_BODY] + (b"..." * (len(self.body) > _SHOWN_OF_A_BODY)),
        }


def utc_now() -> dt.datetime:
    """The current instant, UTC."""
    return dt.datetime.now(dt.UTC)


def full_jitter(ceiling: float) -> float:
    """Anything from 0 to ``ceiling``, so that processes that failed together part."""
    return random.uniform(0, ceiling)  # noqa: S311 - spreads load, guards nothing


class ApiClient:
    """Asks one operator, by all of its rules. Safe for use by several threads.

    The shared ``state`` and ``limiter`` make all processes that use them one client. ``report`` is
    called every second of a wait of more than ``REPORT_SECONDS`` with reason and seconds left.
    """

    def __init__(
        self,
        config: OperatorConfig,
        operator: Operator,
        state: State,
        limiter: Limiter,
        *,
        credentials: Credentials | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[float], float] = full_jitter,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._base = checked_base(config.name, config.base_url)
        self._config = config
        self._operator = operator
        self._limiter = limiter
        self._credentials = credentials or Credentials(operator)
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._report = report
        self._breaker = Breaker(config, operator, state, clock)
        self._memory = EndpointMemory(state)
        bounds = Bounds(
            connect_seconds=config.connect_seconds,
            read_seconds=config.read_seconds,
            total_seconds=config.total_seconds,
            body_bytes=int(config.body_cap_mb * 1e6),
        )
        signed = self._credentials.headers()
        auth = Signature(signed) if signed else None
        self._wire = Wire(
            bounds,
            agent=_agent(),
            auth=auth,
            transport=transport,
            headers=operator.headers,
            reads_refusals=operator.problem_in is not None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the sockets."""
        self._wire.close()

    def fetch(
        self,
        dataset: str,
        feed: Feed,
        day: OperatingDay | None = None,
        *,
        part: str = "",
        due: bool = True,
        filters: Mapping[str, str] | None = None,
        page: str = "",
    ) -> Answer:
        """Ask ``feed``'s endpoints in order until one answers, narrowed by ``filters``.

        ``part``: the hour or the location that is asked for, where the feed asks by these.
        ``page``: the address of a further page of an answer, which is asked for instead.

        Raises ``ConfigError`` (no credentials, or ``HostUnknown``), ``SourceRefused``,
        ``SourceUnavailable`` and, where ``due`` is False and the operator has nothing yet,
        ``NotYetPublished``.
        """
        self._require_credentials(dataset)
        probing = self._breaker.admit()
        try:
            ask = Ask(dataset, feed, day, part, due, filters or {}, page)
            answer = self._in_order(Run(ask, probing))
        except (NotYetPublished, SourceRefused):
            self._breaker.answered(probing=probing)
            raise
        except SourceUnavailable:
            self._breaker.failed(probing=probing)
            raise
        except BaseException:
            if probing:
                self._breaker.leave()
            raise
        self._breaker.answered(probing=probing)
        return answer

    def _in_order(self, run: "Run") -> Answer:
        """One endpoint after the other; those behind an unwell one are asked once only."""
        failures: dict[Endpoint, Failure] = {}
        for endpoint in self._memory.order(run.ask):
            unwell = [e for e, f in failures.items() if isinstance(f.error, SourceUnavailable)]
            tries = 1 if run.probing or unwell else self._config.attempts
            outcome = self._persist(run, endpoint, tries)
            if isinstance(outcome, Answer):
                self._memory.learn(run.ask, endpoint, _refusing(failures), unwell)
                return outcome
            failures[endpoint] = outcome
            if not outcome.elsewhere:
                break
        self._memory.learn(run.ask, None, _refusing(failures), [])
        raise self._verdict(run.ask, failures)

    def _persist(self, run: "Run", endpoint: Endpoint, tries: int) -> "Answer | Failure":
        """Ask one endpoint up to ``tries`` times."""
        last = Again("the configuration allows no attempts")
        for attempt in range(1, tries + 1):
            run.attempts += 1
            outcome = self._once(run, endpoint)
            if not isinstance(outcome, Again):
                return outcome
            last = outcome
            log.warning(
                "no usable answer",
                source=self._operator.name,
                dataset=run.ask.dataset,
                endpoint=endpoint.name,
                attempt=attempt,
                attempts=tries,
                reason=last.reason,
            )
            self._limiter.pause(last.pause_seconds(attempt))
            if attempt < tries:
                pause = self._jitter(min(FIRST_BACKOFF * 2 ** (attempt - 1), LONGEST_BACKOFF))
                self._rest(pause, f"{last.reason}: next try", f"({attempt + 1} of {tries})")
        times = f"{tries} attempt{'s' if tries > 1 else ''}"
        msg = (
            f"{self._operator.title} gave no usable answer for {run.ask.dataset} at "
            f"{endpoint.name} in {times}: {last.reason}; ask again later"
        )
        error = SourceUnavailable(msg, body=last.body)
        return Failure(error, elsewhere=last.elsewhere and not run.probing)

    def _rest(self, seconds: float, what: str, more: str) -> None:
        """Wait ``seconds`` until ``what``, and report it where that is long."""
        while seconds > REPORT_SECONDS:
            self._report(f"{what} in {math.ceil(seconds)} s {more}")
            self._sleep(1.0)
            seconds -= 1.0
        self._sleep(seconds)

    def _once(self, run: "Run", endpoint: Endpoint) -> "Answer | Failure | Again":
        url = self._url(run.ask, endpoint)
        try:
            reply = self._wire.get(
                url, FORMATS[endpoint.format].media_type, lambda: self._slot(run, endpoint)
            )
        except NameUnknown:
            host = httpx.URL(self._base).host
            msg = (
                f"{self._operator.title} was not asked for {run.ask.dataset}: "
                f"{hosts.unknown(host, self._operator.base_url_variable)}"
            )
            raise HostUnknown(msg) from None
        except Broken as broken:
            return Again(broken.reason, body=broken.body, elsewhere=broken.reached)
        except Unusable as unusable:
            msg = (
                f"{self._operator.title}'s answer for {run.ask.dataset} at {endpoint.name} was "
                f"refused: {unusable.reason}; asking again would bring the same"
            )
            return Failure(SourceRefused(msg, status=int(httpx.codes.OK)), elsewhere=False)
        if reply.status == httpx.codes.OK:
            return self._taken(run, endpoint, url, reply)
        return self._declined(run.ask, endpoint, reply)

    def _taken(self, run: "Run", endpoint: Endpoint, url: str, reply: Reply) -> "Answer | Again":
        if not FORMATS[endpoint.format].is_whole(reply.body):
            end = reply.body.rstrip()[-1:]
            seen = f"ends in {end!r}" if end else "is empty"
            reason = f"its body was cut short or is no {endpoint.format.upper()} (it {seen})"
            return Again(reason, body=reply.body)
        return Answer(
            body=reply.body,
            format=endpoint.format,
            endpoint=endpoint,
            status=reply.status,
            fetched_at=self._clock().astimezone(dt.UTC),
            seconds=reply.seconds,
            attempts=run.attempts,
            url=url,
            headers=reply.headers,
        )

    def _declined(self, ask: Ask, endpoint: Endpoint, reply: Reply) -> "Failure | Again":
        """Any status but 200, sorted by whether asking again, or elsewhere, would help."""
        status = reply.status
        if status == UNAUTHORIZED:
            msg = self._who_are_you(ask.dataset, "did not accept who is asking (401)")
            return Failure(SourceRefused(msg, status=status), elsewhere=False)
        if httpx.codes.is_client_error(status) and status not in {TIMED_OUT, TOO_MANY}:
            problem = self._problem_in(reply.body)
            msg = (
                f"{self._operator.title} refused {ask.dataset} at {endpoint.name} "
                f"({status}{problem}): "
                "look at the endpoint's path in the configuration, and at what the account may see"
            )
            return Failure(SourceRefused(msg, status=status), elsewhere=True)
        return Again(
            f"it answered {status}",
            elsewhere=status != TOO_MANY,
            throttled=status == TOO_MANY,
            retry_after=retry_after(reply.retry_after, self._clock()),
        )

    def _problem_in(self, body: bytes) -> str:
        """What a refusal says, less what we keep secret, as part of a sentence."""
        found = self._operator.problem_in(body) if self._operator.problem_in and body else ""
        return f", {redacted(found[:_SHOWN_OF_A_PROBLEM])!r}" if found else ""

    def _verdict(
        self, ask: Ask, failures: "dict[Endpoint, Failure]"
    ) -> SourceRefused | SourceUnavailable:
        """The one error that says most of why no endpoint answered."""
        errors = [failure.error for failure in failures.values()]
        if not list(failures.values())[-1].elsewhere:
            return errors[-1]
        for error in errors:
            if isinstance(error, SourceUnavailable):
                return error
        statuses = [error.status for error in errors if isinstance(error, SourceRefused)]
        if NOT_FOUND in statuses and not ask.due:
            msg = (
                f"{self._operator.title} has not yet published {ask.dataset} for "
                f"{ask.day or 'this day'} (404, and it is not due yet): ask again later"
            )
            return NotYetPublished(msg)
        return errors[0]

    @contextmanager
    def _slot(self, run: "Run", endpoint: Endpoint) -> Iterator[None]:
        """Wait for a slot, and set it to the request's true time afterwards."""
        reported = False

        def waiting(seconds: float, why: str) -> None:
            nonlocal reported
            if run.probing:
                self._breaker.keep()
            reported = reported or seconds > REPORT_SECONDS
            if reported:
                self._report(f"{why}: next request in {math.ceil(seconds)} s")

        self._sleep(0)  # raises where nobody waits any more
        patience = 2 * self._config.connect_seconds
        slot = self._limiter.take(endpoint.name, patience=patience, waiting=waiting)
        if reported:
            self._report(f"asking {endpoint.name}")
        try:
            yield
        finally:
            self._limiter.arrived(slot)

    def _url(self, ask: Ask, endpoint: Endpoint) -> str:
        if ask.page:
            if not ask.page.startswith(f"{self._base}/"):
                msg = (
                    f"{self._operator.title} names a further page of {ask.dataset} that lies "
                    f"elsewhere than {endpoint.name}: it is not asked for"
                )
                raise SourceRefused(msg)
            return ask.page
        try:
            url = self._base + endpoint.url_path(ask.day, ask.part)
        except (LookupError, ValueError) as error:
            msg = (
                f"dataset {ask.dataset}, endpoint {endpoint.name}: path {endpoint.path!r} cannot "
                f"be filled in ({error!r}); it may hold {{day}}, {{yyyymmdd}}, {{mm/dd/yyyy}}, "
                "{{hour}} and {{location}}, the first three only where a day is asked for"
            )
            raise ConfigError(msg) from error
        return str(httpx.URL(url).copy_merge_params(ask.filters)) if ask.filters else url

    def _require_credentials(self, dataset: str) -> None:
        if self._operator.auth and not self._credentials.given:
            raise ConfigError(self._who_are_you(dataset, "answers nobody without credentials"))

    def _who_are_you(self, dataset: str, what: str) -> str:
        return (
            f"{self._operator.title} {what}, so {dataset} was not fetched: "
            f"{self._operator.how_to_register}"
        )


@dataclass
class Run:
    """A fetch in progress."""

    ask: Ask
    probing: bool
    attempts: int = 0


@dataclass(frozen=True)
class Again:
    """An attempt after which asking again may help, here or (``elsewhere``) at another endpoint."""

    reason: str
    body: bytes = b""
    elsewhere: bool = True
    throttled: bool = False
    retry_after: float | None = None

    def pause_seconds(self, attempt: int) -> float:
        """How long all processes should leave the operator alone after this."""
        if self.retry_after is not None:
            return self.retry_after
        return FIRST_PAUSE * 2.0 ** (attempt - 1) if self.throttled else 0.0


@dataclass(frozen=True)
class Failure:
    """How asking one endpoint ended, and whether another endpoint may do better."""

    error: SourceRefused | SourceUnavailable
    elsewhere: bool


def _refusing(failures: dict[Endpoint, Failure]) -> list[Endpoint]:
    """The endpoints that answered 403 or 404."""
    return [
        endpoint
        for endpoint, failure in failures.items()
        if isinstance(failure.error, SourceRefused)
        and failure.error.status in {FORBIDDEN, NOT_FOUND}
    ]


def checked_base(operator: str, base_url: str) -> str:
    """The base address without its last slash; one that carries a password is refused."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query:
        msg = (
            f"operator {operator}: base_url must be http(s)://host[:port][/path], without user "
            "name, password or query; credentials have variables of their own"
        )
        raise ConfigError(msg)
    return base_url.rstrip("/")


@cache
def _agent() -> str:
    try:
        return f"aurum-assets/{importlib.metadata.version('aurum-assets')}"
    except importlib.metadata.PackageNotFoundError:
        return "aurum-assets/0"
