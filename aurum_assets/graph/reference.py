"""The wiring of reference tables: an asset each, its checks, one daily job for all of them.

A partition is an operating day of observation: a run adds what the lake's tables named on that day.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from aurum_assets.graph import translate
from aurum_assets.graph.assets import MERGED_AGAIN, OWNERS, partitions, table_key
from aurum_assets.graph.checks import asset_checks, report, reports_itself
from aurum_assets.graph.resources import LAKE, assembled
from aurum_assets.ingest.reference import REFERENCES, Observed, observe, recall
from aurum_assets.model.checks import Verdict
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.reference.checks import CHECKS, checks_of
from aurum_assets.reference.crosswalk import Reference
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration

_AFTER_THE_DATASETS = "45 7 * * *"  # theirs begin at 06:30
_STALE = dt.timedelta(hours=36)


CALENDAR = next(d for d in DATASETS if d.key in REFERENCES[0].lists)
"""The dataset whose operating days are those of the reference tables."""


def reference_key(reference: Reference) -> dg.AssetKey:
    """``reference/iso_nodes`` and the like."""
    return dg.AssetKey([reference.table.namespace, reference.key])


def reference_definitions(
    configuration: Configuration, datasets: Sequence[Dataset], *, running: bool
) -> dg.Definitions:
    """Assets, checks, job and schedule of the reference tables, fed by ``datasets``."""
    days = partitions(CALENDAR, configuration.datasets[CALENDAR.key])
    job = dg.define_asset_job(
        "reference_daily",
        selection=dg.AssetSelection.assets(*map(reference_key, REFERENCES)).without_checks(),
        executor_def=dg.in_process_executor,
        description="Observes what the day's tables name: locations and generators.",
    )

    @dg.schedule(
        job=job,
        name="reference_daily_schedule",
        description="Every morning after the daily jobs: observes what the tables of yesterday and "
        "today name.",
        cron_schedule=_AFTER_THE_DATASETS,
        execution_timezone=CALENDAR.operator.zone,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if running
        else dg.DefaultScheduleStatus.STOPPED,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        now = context.scheduled_execution_time
        today = CALENDAR.operator.day_of(now)
        for day in (today.plus(-1), today):  # yesterday is whole by now
            yield dg.RunRequest(
                run_key=f"reference_daily:{now.isoformat()}:{day}", partition_key=day.key
            )

    return dg.Definitions(
        assets=[reference_asset(r, days, datasets) for r in REFERENCES],
        asset_checks=[reference_checks(r, days) for r in REFERENCES],
        jobs=[job],
        schedules=[tick],
    )


def reference_asset(
    reference: Reference, days: dg.DailyPartitionsDefinition, datasets: Sequence[Dataset]
) -> dg.AssetsDefinition:
    """The asset that adds what a day's tables name, and writes what follows from all days."""
    key = reference_key(reference)
    same_day = dg.IdentityPartitionMapping()  # the key is the day, in whichever operator's zone

    @dg.asset(
        key=key,
        deps=[
            dg.AssetDep(table_key(d), partition_mapping=same_day)
            for d in datasets
            if reference.reads(d.table)
        ],
        description=translate.plain(reference.doc),
        partitions_def=days,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=_STALE, warn_window=_STALE / 2),
        group_name="reference",
        kinds={"iceberg", "polars"},
        owners=OWNERS,
        tags={"aurum/room": "reference", "aurum/series": "reference"},
        metadata={
            "dagster/column_schema": translate.column_schema(reference.table),
            "dagster/table_name": reference.table.identifier,
            "key": ", ".join(reference.table.key),
        },
        output_required=False,
        required_resource_keys=set(LAKE),
    )
    def look(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]  # with it, Dagster refuses the checks
        resources = assembled(context, LAKE)
        with translate.tried_again(context, MERGED_AGAIN):
            done = observe(resources, reference, dt.date.fromisoformat(context.partition_key))
        if not done.seen:
            message = "%s: no table names anything on %s: not materialized"
            context.log.warning(message, reference.key, context.partition_key)
            return
        if reports_itself(context, _check_name(reference)):
            report(context, done.verdicts, key)
        yield dg.MaterializeResult(metadata=_metadata(resources, done))

    return look


def reference_checks(
    reference: Reference, days: dg.DailyPartitionsDefinition
) -> dg.AssetChecksDefinition:
    """The checks of a reference table."""

    def look(resources: Resources, day: str) -> list[Verdict]:
        return recall(resources, reference, dt.date.fromisoformat(day))

    described = {name: CHECKS[name][0] for name in checks_of(reference)}
    return asset_checks(
        _check_name(reference), reference_key(reference), days, described, look, LAKE
    )


def _check_name(reference: Reference) -> str:
    return f"check_{reference.key}"


def _metadata(resources: Resources, done: Observed) -> dict[str, Any]:
    """What an observation did, for its materialization."""
    table = done.reference.table
    return {
        "dagster/partition_row_count": done.seen,
        "dagster/row_count": len(done.known.rows),
        "dagster/table_name": table.identifier,
        "dagster/column_schema": translate.column_schema(table),
        "dagster/uri": resources.lake.uri(table),
        "new_sightings": done.merged.new,
        "changed_sightings": done.merged.changed,
        "file": str(done.completion.path),
        "file_rows_added": done.completion.added,
        "file_cells_completed": done.completion.completed,
    }
