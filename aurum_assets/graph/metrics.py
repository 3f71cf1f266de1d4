"""Metrics of Dagster itself: heartbeats of its daemons, runs that wait, the last ticks.

Measured by the sensor ``watch``, where Dagster's storage is open anyway. Instants are stored, so
that an age grows on while nothing of Dagster's runs.
"""

import dagster as dg

from aurum_assets.resources.metrics import Metrics

_UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def measure_dagster(metrics: Metrics, instance: dg.DagsterInstance) -> None:
    """Set the gauges of Dagster: what it no longer has, a stopped schedule for one, goes."""
    beats = instance.get_daemon_heartbeats()
    metrics.hold_all(
        "daemon_heartbeat_timestamp_seconds",
        {(name,): beat.timestamp for name, beat in beats.items()},
    )
    metrics.hold_all(
        "runs",
        {
            (status.value.lower(),): instance.get_runs_count(dg.RunsFilter(statuses=[status]))
            for status in _UNDER_WAY
        },
    )
    ticks: dict[tuple[str, ...], float] = {}
    kept = instance.schedule_storage is not None  # an instance in memory has none
    for state in instance.all_instigator_state() if kept else ():
        if state.is_running:
            last = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            kind = state.instigator_type.value.lower()
            for tick in last:
                ticks[kind, state.instigator_name] = tick.timestamp
    metrics.hold_all("last_tick_timestamp_seconds", ticks)
    metrics.flush()
