"""Days: ask for several operating days at once, from asyncio; what the collectors call.

Threads do the work, for everything below is synchronous; limits, breaker and locks are shared with
every other process, so that asking at once never means asking more. When a coroutine of this room
has returned, raised or been cancelled, no thread of it is left: a wait for the operator ends at
once, a request on its way is cut, and a merge that has begun (or waits for its lock on the table)
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

from aurum_assets.ingest.day import Outcome, bring
from aurum_assets.ingest.waiting import waited_for
from aurum_assets.model.clock import OperatingDay, every_day
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    DaysFailed,
    MalformedPayload,
    SourceRefused,
    StoreRefused,
)
from aurum_assets.model.operator import Operator
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.wire import Abandoned, abandon, asker

Day = dt.date | dt.datetime | str
DayProgress = Callable[[str, int, int], None]
_T = TypeVar("_T")
_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_UNAUTHORIZED = 401
_SHOWN = 5


def asked_day(operator: Operator, day: Day) -> OperatingDay:
    """``day`` as an operating day of ``operator``.

    A date is one; an instant with an offset lies in one; a ``datetime`` without an offset stands
    for its date. Text is any of these in ISO 8601. Raises ``ValueError`` for anything else.
    """
    found: object = day
    try:
        if isinstance(found, str):
            short = len(found) <= len("2024-03-10")
            found = dt.date.fromisoformat(found) if short else dt.datetime.fromisoformat(found)
    except ValueError:
        found = None
    if isinstance(found, dt.datetime):
        return operator.day_of(found) if found.tzinfo else OperatingDay(found.date(), operator.zone)
    if isinstance(found, dt.date):
        return OperatingDay(found, operator.zone)
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
        if stopped.is_set():
            return  # once: a second time would end its clearing up
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
    Raises ``DaysFailed`` after the last day where some failed; where one shows that all would fail
    alike, the rest are not asked for and have its error. ``ConfigError``, ``StoreRefused`` and
    a 401 end it at the first.
    """
    if at_once < 1:
        msg = f"at_once is {at_once}: at least one day must be asked for at a time"
        raise ConfigError(msg)
    loop = asyncio.get_running_loop()
    done: list[str] = []
    ended: list[AurumError] = []

    def finished(day: OperatingDay) -> None:
        done.append(day.key)
        if progress:
            progress(day.key, len(done), len(days))

    def job(day: OperatingDay) -> Callable[[Resources], AurumError | None]:
        def run(own: Resources) -> AurumError | None:
            if ended:
                return ended[0]
            outcome = bring(
                own,
                dataset,
                day,
                filters=filters,
                force=force,
                progress=lambda _: own.sleep(0),
            )
            error = _failure(outcome)
            if error is not None and _ends_at_once(error):
                raise error
            if error is not None and outcome.ends:
                ended.append(error)
            loop.call_soon_threadsafe(finished, day)
            return error

        return run

    outcomes = await in_threads(resources, [job(day) for day in days], at_once)
    errors = {d.key: e for d, e in zip(days, outcomes, strict=True) if e is not None}
    if errors:
        shown = [f"{key}: {error}" for key, error in list(errors.items())[:_SHOWN]]
        more = [f"and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
        listed = "; ".join(shown + more)
        msg = f"{dataset.key}: {len(errors)} of {len(days)} days failed: {listed}"
        raise DaysFailed(msg, errors=errors)
    (rows,) = await in_threads(resources, [lambda own: held_rows(own, dataset, days)])
    return rows


def held_rows(resources: Resources, dataset: Dataset, days: Sequence[OperatingDay]) -> pl.DataFrame:
    """The rows that the table holds of ``days``, sorted as the table is within each day."""
    held = [resources.lake.read(dataset.table, {"operating_day": day.date}) for day in days]
    return pl.concat([dataset.table.empty(), *held])


def _failure(outcome: Outcome) -> AurumError | None:
    """Why the rows of a day are not all that was asked for, if they are not.

    Answers that were rejected whole count: a caller who gets rows sees nothing else of them. Rows
    that break a rule do not: they are in ``quality.quarantine``.
    """
    if outcome.error is not None or not outcome.rejected:
        return outcome.error
    reasons = outcome.rejected
    return MalformedPayload(
        f"{outcome.dataset.key}: {len(reasons)} answers were rejected: {reasons[0]}"
    )


def _ends_at_once(error: AurumError) -> bool:
    """Whether ``error`` is the caller's to mend, whatever days were asked for."""
    unauthorized = isinstance(error, SourceRefused) and error.status == _UNAUTHORIZED
    return unauthorized or isinstance(error, ConfigError | StoreRefused)
