"""How runs reach the workers, over Celery; ``dagster.yaml`` names both (``AURUM_WORKERS=celery``).

``WorkerLauncher`` has heartbeats: a run whose worker died fails in seconds. Dagster's own believes
Celery's results: there it stays STARTED for ever (dagster#33493), and a store that was emptied
makes every run fail. ``WorkerCoordinator`` lets no tick wait for the next look at Dagster's queue.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import dagster as dg

# The last two are in no public module.
from dagster_celery.launcher import (  # type: ignore[attr-defined]
    CeleryRunLauncher,
    CheckRunHealthResult,
    WorkerStatus,
)
from redis.exceptions import RedisError

from aurum_assets.resources import workers
from aurum_assets.resources.settings import Settings

_CANCEL_SECONDS = 3600
# A worker that lives beats again within this time after Redis came back, or was emptied.
_GRACE_SECONDS = 2 * workers.BEAT_SECONDS + 1


class WorkerCoordinator(dg.QueuedRunCoordinator):
    """Dagster's queue, which a tick does not go through: the broker has a queue for ticks."""

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Hand a tick to the workers now; while none takes ticks it waits in Dagster's queue."""
        run = context.dagster_run
        new = run.status == dg.DagsterRunStatus.NOT_STARTED
        if not (new and run.tags.get(workers.QUEUE_TAG) == workers.TICKS and _ticks_are_taken()):
            return super().submit_run(context)
        return self._instance.launch_run(run.run_id, context.workspace)


def _ticks_are_taken() -> bool:
    try:
        return workers.TICKS in workers.living(Settings.read())[1]
    except RedisError:
        return False


class WorkerLauncher(CeleryRunLauncher):
    """Hands runs to the workers of ``aurum worker``, through the Redis of the environment."""

    def __init__(
        self,
        inst_data: Any = None,  # noqa: ANN401  a private class of Dagster
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = Settings.read()
        self._clock = clock
        super().__init__(
            default_queue=workers.BACKFILLS,
            broker=workers.broker_url(self.settings),
            config_source=dict(workers.celery_config(self.settings)),
            inst_data=inst_data,
        )
        self._missing_since: dict[str, float] = {}

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing: the environment says it."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:  # noqa: ANN401
        """As ``dagster.yaml`` asks for it."""
        del config_value
        return cls(inst_data)

    def _launch_celery_task_run(
        self,
        run: dg.DagsterRun,
        task_signature: Any,  # noqa: ANN401  of Celery, which has no types
        routing_key: str,
    ) -> None:
        """Send the run by its id; Dagster's own adds the id of a result that is not kept."""
        queue = run.tags.get(workers.QUEUE_TAG, self.default_queue)
        key = f"{queue}.{routing_key}"
        task_signature.apply_async(queue=queue, routing_key=key, task_id=run.run_id)

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a worker that has the run beats; while Redis is away, nobody can say."""
        try:
            with workers.redis_of(self.settings) as redis:
                alive = redis.exists(workers.run_key(self.settings, run.run_id))
        except RedisError:
            self._missing_since.clear()
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if alive:
            self._missing_since.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        now = self._clock()
        if now - self._missing_since.setdefault(run.run_id, now) < _GRACE_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._missing_since[run.run_id]
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the worker that had the run is gone")

    def terminate(self, run_id: str) -> bool:
        """Ask the worker that has the run to interrupt it; what no worker has is canceled now."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        with workers.redis_of(self.settings) as redis:  # also of one that starts meanwhile
            redis.set(workers.cancel_key(self.settings, run_id), "", ex=_CANCEL_SECONDS)
        if run.status != dg.DagsterRunStatus.STARTED:
            self._instance.report_run_canceled(run)
        return True

    def get_run_worker_debug_info(
        self,
        run: dg.DagsterRun,
        include_container_logs: bool | None = True,  # noqa: FBT001, FBT002  as Dagster has it
    ) -> str | None:
        """Nothing: Celery keeps no results."""
        del run, include_container_logs
        return None
