"""Find the days that a run is at work on, so that sensors do not request them twice."""

from collections.abc import Sequence

import dagster as dg

from aurum_assets.graph.assets import raw_key
from aurum_assets.graph.jobs import Job, ScheduleGroup

UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

Work = Sequence[tuple[ScheduleGroup, Job]]


def busy(instance: dg.DagsterInstance, work: Work) -> set[tuple[str, str]]:
    """(dataset, day) of the runs that are queued or under way."""
    found = set()
    whole = {job.name: {d.key for d, _ in group.pairs} for group, job in work}
    by_asset = {raw_key(d): d.key for group, _ in work for d, _ in group.pairs}
    for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)):
        day = run.tags.get("dagster/partition")
        chosen = run.asset_selection
        keys = (
            whole.get(run.job_name, set())
            if chosen is None
            else {by_asset[key] for key in chosen if key in by_asset}
        )
        found |= {(key, day) for key in keys if day}
    return found
