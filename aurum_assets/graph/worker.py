"""One process that executes runs, one after the other: ``aurum worker`` starts several.

    python -m aurum_assets.graph.worker NAME QUEUES RUNS MEGABYTES PIPE [LOST]

A fresh interpreter, never a fork: polars, pyarrow and tokio have threads as soon as they are
imported. It imports everything before it takes its first run. Over ``PIPE`` it tells the process
that started it: ``ready``, ``run ID``, ``idle``, and ``worn`` once it has executed ``RUNS`` runs or
takes more than ``MEGABYTES``. At SIGTERM it ends, after the run that is under way: it has to be
started with SIGTERM blocked, so that no thread hears it while Dagster would interrupt the run.
``LOST``: the run of the process that it replaces, which died.
"""

import os
import resource
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from aurum_assets.model.errors import AurumError
from aurum_assets.resources import workers
from aurum_assets.resources.settings import Settings

_WRONG_CONFIGURATION = 2
_TERM = {signal.SIGTERM}


class Worker:
    """The process: its queues, its run, its heartbeat."""

    def __init__(self, name: str, queues: str, runs: int, megabytes: int, pipe: int) -> None:
        self.settings = Settings.read()
        self._name, self._queues = name, queues
        self._runs, self._megabytes = runs, megabytes
        self._pipe = os.fdopen(pipe, "w", buffering=1)
        self._parent = os.getppid()
        self._run = ""
        self._executed = 0
        self._instance: Any = None

    def forget(self, run_id: str) -> None:
        """Let the run of a process that died be found without a worker at once."""
        with suppress(RedisError), workers.redis_of(self.settings) as redis:
            redis.delete(workers.run_key(self.settings, run_id))

    def work(self) -> None:
        """Import, connect, and execute runs until SIGTERM."""
        warm()
        import dagster as dg
        from celery import signals
        from dagster_celery.tasks import create_execute_job_task

        with dg.DagsterInstance.get() as instance:
            self._instance = instance
            launcher: Any = instance.run_launcher
            app = launcher.celery
            create_execute_job_task(app)
            signals.worker_ready.connect(self._on_ready, weak=False)
            signals.task_prerun.connect(self._before, weak=False)
            signals.task_postrun.connect(self._after, weak=False)
            for look in (self._beat_for_ever, self._look_for_lost_runs):
                threading.Thread(target=look, daemon=True).start()
            app.Worker(
                hostname=self._name,
                pool_cls="solo",
                concurrency=1,
                queues=self._queues,
                loglevel="WARNING",
                quiet=True,
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
            ).start()

    def _on_ready(self, **_: object) -> None:
        self._hear()
        self._tell("ready")

    def _hear(self) -> None:
        """End at SIGTERM from here on; an interrupt is for a run alone."""
        signal.signal(signal.SIGTERM, _stop)
        # Dagster gives SIGTERM the handler of SIGINT; a signal that is ignored is not pending.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERM)

    def _before(self, kwargs: dict[str, Any], **_: object) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _TERM)
        self._run = str(kwargs["execute_job_args_packed"]["pipeline_run_id"])
        self._tell(f"run {self._run}")
        with suppress(RedisError), workers.redis_of(self.settings) as redis:
            self._beat(redis)
        self._instance.add_run_tags(self._run, {workers.WORKER_TAG: self._name})

    def _after(self, **_: object) -> None:
        from aurum_assets.graph.kept import close_connections

        close_connections()
        self._run = ""
        self._executed += 1
        self._tell("idle")
        if self._executed >= self._runs or _megabytes() > self._megabytes:
            self._tell("worn")
        self._hear()  # Dagster has set handlers of its own

    def _tell(self, what: str) -> None:
        with suppress(OSError):  # nobody listens any more: _beat_for_ever sees to it
            self._pipe.write(f"{what}\n")

    def _beat_for_ever(self) -> None:
        while True:
            with suppress(RedisError), workers.redis_of(self.settings) as redis:
                while self._beat(redis):
                    time.sleep(workers.BEAT_SECONDS)
            if os.getppid() != self._parent:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(workers.BEAT_SECONDS)

    def _look_for_lost_runs(self) -> None:
        from dagster_postgres.utils import DagsterPostgresException
        from sqlalchemy.exc import SQLAlchemyError

        from aurum_assets.graph.lost import LOST_SECONDS, LostRuns

        lost = LostRuns(self._instance, self.settings)
        while True:
            time.sleep(LOST_SECONDS)
            with suppress(RedisError, SQLAlchemyError, DagsterPostgresException):  # the next look
                lost.look()

    def _beat(self, redis: Any) -> bool:  # noqa: ANN401  Redis
        """Say that this process lives, and its run with it; interrupt a run that is canceled.

        Whether the process that started this one is still there.
        """
        now, run, silent = time.time(), self._run, workers.SILENT_SECONDS
        with redis.pipeline(transaction=False) as asked:
            key = workers.workers_key(self.settings)
            asked.zadd(key, {f"{self._name} {self._queues}": now + silent})
            asked.zremrangebyscore(key, 0, now)
            if run:
                asked.set(workers.run_key(self.settings, run), self._name, ex=silent)
                asked.delete(workers.cancel_key(self.settings, run))
            answers = asked.execute()
        if run and answers[-1] and run == self._run:
            os.kill(os.getpid(), signal.SIGINT)
        return os.getppid() == self._parent


def warm() -> None:
    """Import what a run imports, and build the definitions."""
    import dagster_postgres
    import duckdb
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow

    from aurum_assets.definitions import defs

    del dagster_postgres, duckdb, pyiceberg
    defs.get_repository_def()


def _stop(number: int, frame: object) -> None:
    del number, frame
    from celery.worker import state

    state.should_stop = 0


def _megabytes() -> float:
    """What this process has in memory now."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS has bytes, its peak


def main(arguments: list[str]) -> None:
    """Run the process that the arguments describe."""
    name, queues, runs, megabytes, pipe, *lost = arguments
    try:
        worker = Worker(name, queues, int(runs), int(megabytes), int(pipe))
        for run_id in lost:
            worker.forget(run_id)
        worker.work()
        sys.stderr.flush()
        os._exit(0)  # Python would first take all libraries apart
    except AurumError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(_WRONG_CONFIGURATION)


if __name__ == "__main__":
    main(sys.argv[1:])
