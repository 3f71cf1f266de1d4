"""Folding: many days made anew, in order, by processes of their own where that pays.

A process folds a day and writes its files (``rebuild.fold_day``); what it gives back holds no rows.
Processes are started anew, not forked: polars has threads. One that is killed is started again, and
its days are folded again; all of them end when the process that started them does.
"""

import contextlib
import copyreg
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from aurum_assets.ingest.rebuild import Folded, fold_day
from aurum_assets.ingest.rejecting import one_day
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, Unexpected
from aurum_assets.operators import DATASETS
from aurum_assets.resources import redaction
from aurum_assets.resources.archive import Archive
from aurum_assets.resources.composition import Resources, Specification, compose
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.logs import Event, bound, hide_secrets

_AHEAD = 3  # days a process that are folded while earlier ones are committed
_WORTH = 8.0  # seconds of work, below which processes cost more than they save: each starts for 3
_TRIES = 3
_A_MOMENT = 0.05
_THREADS = "POLARS_MAX_THREADS"
# Of glibc: keep what a day needed for the next one, which saves a third of the page faults.
_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}

Outcome = Folded | AurumError


@dataclass(frozen=True)
class Options:
    """See ``fold_day``."""

    force: bool = False
    write: bool = True


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


class Folding:
    """Folds days in up to ``workers`` processes; in this one where that is 1.

    ``None``: one a core, once the work that is left is worth starting them. ``close`` ends them.
    """

    def __init__(self, resources: Resources, workers: int | None, options: Options) -> None:
        self._resources = resources
        self._options = options
        alone = multiprocessing.current_process().daemon  # it may start no process
        self._workers = 1 if alone else cores() if workers is None else workers
        self._if_it_pays = workers is None
        self._pool: ProcessPoolExecutor | None = None

    def each(self, dataset: Dataset, days: Iterable[OperatingDay]) -> Iterator[Outcome]:
        """Each of ``days``, or why it could not be folded, in their order."""
        left = deque(days)
        while left and not self._is_worth_it(len(left)):
            began = time.monotonic()
            yield fold_one(self._resources, dataset, left.popleft(), self._options)
            if self._if_it_pays and (time.monotonic() - began) * len(left) > _WORTH:
                self._if_it_pays = False
        if left:
            yield from self._spread(dataset, left)

    def start(self) -> None:
        """Start the processes, and wait until all are ready."""
        running, ready = self._running, set[int]()
        while len(ready) < self._workers:
            asked = [running.submit(_answer) for _ in range(self._workers)]
            ready |= {future.result() for future in asked}

    def close(self) -> None:
        """End the processes at once: what they have written is not committed, and harms nobody."""
        if self._pool is not None:
            self._life.close()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _is_worth_it(self, days: int) -> bool:
        if self._pool is not None:
            return True
        return self._workers > 1 and days > 1 and not self._if_it_pays

    def _spread(self, dataset: Dataset, left: deque[OperatingDay]) -> Iterator[Outcome]:
        waiting: deque[tuple[OperatingDay, Future[_Told]]] = deque()
        tries = 1
        while left or waiting:
            # After a kill the next day is folded alone, so that no other is taken for the reason.
            while left and len(waiting) < (self._workers * _AHEAD if tries == 1 else 1):
                day = left.popleft()
                waiting.append((day, self._submit(dataset, day)))
            day, future = waiting.popleft()
            try:
                told = future.result()
            except BrokenProcessPool:
                self.close()
                if tries == _TRIES:
                    tries = 1
                    yield _killed(dataset, day)
                    again = [d for d, _ in waiting]
                else:
                    tries += 1
                    again = [day, *(d for d, _ in waiting)]
                waiting.clear()
                left.extendleft(reversed(again))
                continue
            tries = 1
            _log_here(told.records)
            yield told.outcome

    def _submit(self, dataset: Dataset, day: OperatingDay) -> "Future[_Told]":
        try:
            return self._running.submit(_fold_there, dataset.key, day, self._options)
        except BrokenProcessPool as error:
            failed: Future[_Told] = Future()
            failed.set_exception(error)
            return failed

    @property
    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            theirs, self._life = multiprocessing.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(_Parts.of(self._resources), theirs),
            )
            with _started_quietly(self._workers):
                for _ in range(self._workers):
                    self._pool.submit(os.getpid)
        return self._pool


def fold_one(
    resources: Resources, dataset: Dataset, day: OperatingDay, options: Options
) -> Outcome:
    """The day without its rows, of which many together would fill the memory; or why not."""
    try:
        with bound(dataset=dataset.key, day=day.key), one_day(dataset, day.key):
            folded = fold_day(resources, dataset, day, force=options.force, write=options.write)
    except AurumError as error:
        return error
    folded.done.rows = dataset.table.empty()
    return folded


def _killed(dataset: Dataset, day: OperatingDay) -> AurumError:
    return Unexpected(
        f"{dataset.key} {day}: the process that folded it was killed {_TRIES} times; if memory is "
        "short use fewer --workers, and run the same command again"
    )


# --- in the processes ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parts:
    """What a process needs of ``Resources``."""

    root: Path
    configuration: Configuration
    archive: Archive
    lake: Lake
    secrets: frozenset[str]
    level: int

    @classmethod
    def of(cls, resources: Resources) -> "_Parts":
        return cls(
            resources.root,
            resources.configuration,
            resources.archive,
            resources.lake,
            redaction.known(),
            logging.getLogger().getEffectiveLevel(),
        )


@dataclass(frozen=True)
class _Told:
    """What a process gives back: the outcome, and what it logged."""

    outcome: Outcome
    records: list[logging.LogRecord]


class _Records(logging.Handler):
    """Keeps records for the process that asked, as text where a library's may hold anything."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        event, plain = record.msg, {name: vars(record)[name] for name in _PLAIN}
        trace = _FORMAT.formatException(record.exc_info) if record.exc_info else ""
        if not isinstance(event, Event):
            event = "\n".join(filter(None, (record.getMessage(), trace)))
        elif trace:
            event = Event(event, exception=trace)
        self.kept.append(logging.makeLogRecord({**plain, "msg": event}))


_FORMAT = logging.Formatter()
_PLAIN = ("name", "levelno", "levelname", "created", "pathname", "lineno")
_records = _Records()
_there: list[Resources] = []
_known: dict[str, Dataset] = {d.key: d for d in DATASETS}


def _dataset(key: str) -> Dataset:
    return _known[key]


def _as_key(dataset: Dataset) -> tuple[Callable[[str], Dataset], tuple[str]]:
    return _dataset, (dataset.key,)


copyreg.pickle(Dataset, _as_key)  # its parsers and rules are code, which the other process has


def _begin(parts: _Parts, life: Connection) -> None:
    """Prepare a process: no Ctrl-C of its own, no life without the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_live, args=(life,), daemon=True).start()
    redaction.know(parts.secrets)
    hide_secrets()
    root = logging.getLogger()
    root.addHandler(_records)
    root.setLevel(parts.level)
    made = compose(Specification(parts.root, parts.configuration))
    _there.append(replace(made, archive=parts.archive, lake=parts.lake))


def _answer() -> int:
    time.sleep(_A_MOMENT)  # so that another one is asked as well
    return os.getpid()


def _live(life: Connection) -> None:
    """End this process once the other end is closed, by whoever started it or by its death.

    The executor's own end waits for ever for a process whose neighbour was killed with the lock of
    the queue, and does not come at all where the one that started it was killed.
    """
    life.poll(None)
    os._exit(0)


def _fold_there(key: str, day: OperatingDay, options: Options) -> _Told:
    outcome = fold_one(_there[0], _known[key], day, options)
    records, _records.kept = _records.kept, []
    return _Told(outcome, records)


def _log_here(records: Iterable[logging.LogRecord]) -> None:
    for record in records:
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)


@contextlib.contextmanager
def _started_quietly(workers: int) -> Iterator[None]:
    """Within the block, processes start without Ctrl-C, and with their share of the cores."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    theirs = {_THREADS: str(max(1, cores() // workers)), **_MEMORY}
    added = {name: value for name, value in theirs.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
