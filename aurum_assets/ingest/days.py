"""Days: ask for several operating days at once, from asyncio; what the collectors call.

Threads do the work, for everything below is synchronous; limits, breaker and turns are shared with
every other process, so that asking at once never means asking more. When a coroutine of this room
has returned, raised or been cancelled, no thread of it is left: a wait for the operator ends at
once, a request on its way is cut, and a merge that has begun (or waits for its turn at the table)
is finished.
"""

import asyncio
import contextlib
import datetime as dt
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, TypeVar

import polars as pl

from aurum_assets.ingest.collect import Collected, collect
from aurum_assets.ingest.normalize import Normalized, normalize_each
from aurum_assets.ingest.waiting import waited_for
from aurum_assets.model.clock import OperatingDay, every_day
from aurum_assets.model.dataset import Dataset, Operator
from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    DaysFailed,
    HostUnknown,
    MalformedPayload,
    NotOffered,
    SourceError,
    SourceRefused,
    StoreRefused,
)
from aurum_assets.resources.settings import Resources
from aurum_assets.resources.wire import Abandoned, abandon, asker

Day = dt.date | dt.datetime | str
DayProgress = Callable[[str, int, int], None]
_T = TypeVar("_T")
_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_UNAUTHORIZED = 401
_SHOWN = 5


def asked_day(operator: Operator, day: Day) -> OperatingDay:
    """``day`` as an operating day of ``source``.

    A date is one; an instant with an offset lies in one; a ``datetime`` without an offset stands
    for its date. Text is any of these in ISO 8601. Raises ``ValueError`` for anything else.
    """
    said: object = day
    try:
        if isinstance(said, str):
            short = len(said) <= len("2024-03-10")
            said = dt.date.fromisoformat(said) if short else dt.datetime.fromisoformat(said)
    except ValueError:
        said = None
    if isinstance(said, dt.datetime):
        return operator.day_of(said) if said.tzinfo else OperatingDay(said.date(), operator.zone)
    if isinstance(said, dt.date):
        return OperatingDay(said, operator.zone)
    msg = f"{day!r} is no day: expected a date, a datetime or ISO 8601 text such as '2024-03-10'"
    raise ValueError(msg)


def asked_days(operator: Operator, start: Day, end: Day) -> list[OperatingDay]:
    """The operating days from ``start`` to ``end``, both included. Raises ``ValueError``."""
    first, last = asked_day(operator, start), asked_day(operator, end)
    if last < first:
        msg = f"the end, {last}, lies before the start, {first}"
        raise ValueError(msg)
    return every_day(first, last)


async def in_threads(
    resources: Resources, jobs: Sequence[Callable[[Resources], _T]], at_once: int = 1
) -> list[_T]:
    """What each of ``jobs`` gives, in their order, ``at_once`` of them at a time.

    Each is given a home whose waits end when the caller is cancelled or a job raises; jobs that
    have not begun by then never do. Raises what a job raised.
    """
    stop = threading.Event()

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Abandoned

    own = replace(resources, sleep=sleep)

    def run(job: Callable[[Resources], _T]) -> _T:
        asker.set(stop)
        return job(own)

    pool = ThreadPoolExecutor(at_once, thread_name_prefix="aurum")
    futures = [asyncio.wrap_future(pool.submit(run, job)) for job in jobs]
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        abandon(stop)
        await asyncio.wait(futures)
        pool.shutdown()
        errors = [f.exception() for f in futures if not f.cancelled()]
    for error in errors:
        if error is not None and not isinstance(error, Abandoned):
            raise error
    return [f.result() for f in futures]


def run_coroutine(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """What ``coroutine`` returns; for callers without a loop, or with one that runs (Jupyter).

    It runs in a loop of its own, in a thread of its own. At Ctrl-C it is cancelled and
    ``KeyboardInterrupt`` is raised: no further request is made, one on its way is cut. Raises what
    it raises.
    """
    stopped = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[_T]]] = []

    async def run() -> _T:
        task = asyncio.ensure_future(coroutine)
        loops.append((asyncio.get_running_loop(), task))
        if stopped.is_set():
            task.cancel()
        return await task

    def cancel() -> None:
        stopped.set()
        for loop, task in loops:
            with contextlib.suppress(RuntimeError):  # it was closed meanwhile
                loop.call_soon_threadsafe(task.cancel)

    return waited_for(lambda: asyncio.run(run()), cancel)


def synchronous(
    method: Callable[Concatenate[_Self, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[_Self, _P], _T]:
    """The method ``…_sync`` beside the async ``method``: takes and gives the same, and waits."""

    def wait(self: _Self, /, *arguments: _P.args, **more: _P.kwargs) -> _T:
        return run_coroutine(method(self, *arguments, **more))

    wait.__name__, wait.__qualname__ = f"{method.__name__}_sync", f"{method.__qualname__}_sync"
    wait.__module__, wait.__annotations__ = method.__module__, method.__annotations__
    wait.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    wait.__doc__ = f"As ``await {method.__name__}(…)``, without ``await``; in a notebook too.\n\n"
    wait.__doc__ += inspect.cleandoc(method.__doc__ or "")
    return wait


async def collect_days(
    resources: Resources,
    dataset: Dataset,
    days: Sequence[OperatingDay],
    *,
    filters: Mapping[str, str] | None = None,
    force: bool = False,
    at_once: int = 4,
    progress: DayProgress | None = None,
) -> pl.DataFrame:
    """Collect and normalize ``days``, ``at_once`` at a time, and give their rows in the table.

    ``progress`` is called in the event loop after each day: its key, days done, days asked for.
    Raises ``DaysFailed`` after the last day where some failed; ``ConfigError`` and a 401 end it at
    the first, for the other days would fare alike.
    """
    if at_once < 1:
        msg = f"at_once is {at_once}: at least one day must be asked for at a time"
        raise ConfigError(msg)
    loop = asyncio.get_running_loop()
    done: list[str] = []

    def tell(day: OperatingDay) -> None:
        done.append(day.key)
        if progress:
            progress(day.key, len(done), len(days))

    def job(day: OperatingDay) -> Callable[[Resources], AurumError | None]:
        def run(own: Resources) -> AurumError | None:
            error = _failure(own, dataset, day, filters, force=force)
            loop.call_soon_threadsafe(tell, day)
            return error

        return run

    outcomes = await in_threads(resources, [job(day) for day in days], at_once)
    errors = {d.key: e for d, e in zip(days, outcomes, strict=True) if e is not None}
    if errors:
        shown = [f"{key}: {error}" for key, error in list(errors.items())[:_SHOWN]]
        more = [f"and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
        said = "; ".join(shown + more)
        msg = f"{dataset.key}: {len(errors)} of {len(days)} days failed: {said}"
        raise DaysFailed(msg, errors=errors)
    (rows,) = await in_threads(resources, [lambda own: held_rows(own, dataset, days)])
    return rows


def held_rows(resources: Resources, dataset: Dataset, days: Sequence[OperatingDay]) -> pl.DataFrame:
    """The rows that the table holds of ``days``, sorted as the table is within each day."""
    held = [resources.lake.read(dataset.table, {"operating_day": day.date}) for day in days]
    return pl.concat([dataset.table.empty(), *held])


def _failure(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    filters: Mapping[str, str] | None,
    *,
    force: bool,
) -> AurumError | None:
    """Collect and normalize one day; why it failed, if it did. Raises what all days would meet."""
    try:
        collect_day(resources, dataset, day, filters=filters, force=force)
    except (ConfigError, StoreRefused):
        raise
    except SourceRefused as error:
        if error.status == _UNAUTHORIZED:
            raise
        return error
    except AurumError as error:
        return error
    return None


def collect_day(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    *,
    filters: Mapping[str, str] | None = None,
    force: bool = False,
) -> list[Normalized]:
    """Ask for ``day``, archive what comes, and merge it where it belongs.

    Each feed is asked by itself: what one brought is stored before the failure of another is
    raised. Raises ``SourceError`` where the operator gave no answer for ``day``, ``HostUnknown``
    where its name is not known, ``NotOffered`` where it does not have the dataset at all,
    ``MalformedPayload`` where some of what it gave had to be rejected whole. Rows that break a rule
    are no failure: they go to ``quality.quarantine``.
    """
    failed: SourceError | HostUnknown | None = None
    asked = Collected()
    try:
        collect(
            resources,
            dataset,
            day,
            filters=filters,
            force=force,
            progress=lambda _: resources.sleep(0),
            into=asked,
        )
    except (SourceError, HostUnknown) as error:
        failed = error  # once what other feeds brought is in the table
    outcomes = [done for _, done in normalize_each(resources, dataset, asked.days, day)]
    merged = [done for done in outcomes if isinstance(done, Normalized)]
    for done in outcomes:
        if not isinstance(done, Normalized):
            raise done
    if failed is not None:
        raise failed
    if asked.refusal:
        raise SourceRefused(asked.refusal)
    if asked.not_offered and not asked.days:
        raise NotOffered("; ".join(asked.not_offered.values()))
    reasons = [a.reason for a in asked.archived if a.outcome == "rejected"]
    reasons += [reason for one in merged for reason in one.rejected]
    if reasons:
        msg = f"{dataset.key}: {len(reasons)} answers were rejected: {reasons[0]}"
        raise MalformedPayload(msg)
    if day.key not in asked.days:
        said = ", ".join(asked.days)
        msg = f"{dataset.key}: asked for {day}, the operator answered with {said}: ask again later"
        raise SourceRefused(msg)
    return merged
