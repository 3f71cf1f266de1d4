"""Runs that no worker has, and of which no message waits: they are failed, so that Dagster retries.

Dagster looks for the heartbeat of a run that has STARTED. Before that, a run is lost where Redis
loses its message, or where Postgres is away as a worker takes it (a message is acknowledged then).
"""

import time
from collections.abc import Callable, Sequence

import dagster as dg

from aurum_assets.resources import workers
from aurum_assets.resources.settings import Settings

LOST_SECONDS = 10.0  # a message may be on its way: its sender waits for Redis, too
_AT_ONCE = 100


class LostRuns:
    """What a worker looks for from time to time."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instance, self._settings, self._clock = instance, settings, clock
        self._missing_since: dict[str, float] = {}

    def look(self) -> Sequence[str]:
        """Fail the runs that are lost; their ids. Raises what Redis and the storage raise."""
        starting = self._starting()
        lost = self._without_worker(starting) if starting else []
        kept = {run.run_id for run in starting}
        self._missing_since = {i: at for i, at in self._missing_since.items() if i in kept}
        if not lost:
            return []
        still = {run.run_id: run for run in self._starting()}
        failed = [still[run_id] for run_id in lost if run_id in still]
        for run in failed:
            self._instance.report_run_failed(run, "no worker has the run, and no message of it")
        return [run.run_id for run in failed]

    def _starting(self) -> Sequence[dg.DagsterRun]:
        filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])
        return self._instance.get_runs(filters, limit=_AT_ONCE)

    def _without_worker(self, runs: Sequence[dg.DagsterRun]) -> list[str]:
        now, lost = self._clock(), list[str]()
        with workers.redis_of(self._settings) as redis:
            waiting = workers.waiting(self._settings, redis)
            for run_id in [run.run_id for run in runs]:
                if run_id in waiting or redis.exists(workers.run_key(self._settings, run_id)):
                    self._missing_since.pop(run_id, None)
                elif now - self._missing_since.setdefault(run_id, now) >= LOST_SECONDS:
                    key = workers.lost_key(self._settings, run_id)
                    if redis.set(key, "", nx=True, ex=workers.LOST_ONCE_SECONDS):
                        lost.append(run_id)
        return lost
