"""The wiring of reference tables: an asset each, its checks, one daily job for all of them.

A partition is an operating day of observation: a run adds what the lake's tables named on that day.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg

from aurum_assets.graph import translate
from aurum_assets.graph.assets import MERGED_AGAIN, OWNERS, partitions, table_key
from aurum_assets.graph.checks import asset_checks, report, reports_itself
from aurum_assets.graph.resources import LAKE, assembled
from aurum_assets.ingest.reference import (
    EVERY,
    LISTS,
    REFERENCES,
    Observed,
    judge_list,
    observe,
    publish_list,
    recall,
)
from aurum_assets.model.checks import Verdict
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.reference.checks import CHECKS, checks_of
from aurum_assets.reference.crosswalk import Reference
from aurum_assets.reference.lists import ReviewedList
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration

_AFTER_THE_DATASETS = "45 7 * * *"  # theirs begin at 06:30
_STALE = dt.timedelta(hours=36)


CALENDAR = next(d for d in DATASETS if d.key in REFERENCES[0].lists.values())
"""The dataset whose operating days are those of the reference tables."""


Thing = Reference | ReviewedList
Done = tuple[Sequence[Verdict], dict[str, Any]]


def reference_key(reference: Thing) -> dg.AssetKey:
    """``reference/iso_nodes`` and the like."""
    return dg.AssetKey([reference.table.namespace, reference.key])


def reference_definitions(
    configuration: Configuration, datasets: Sequence[Dataset], *, running: bool
) -> dg.Definitions:
    """Assets, checks, job and schedule of the reference tables, fed by ``datasets``."""
    days = partitions(CALENDAR, configuration.datasets[CALENDAR.key])
    job = dg.define_asset_job(
        "reference_daily",
        selection=dg.AssetSelection.assets(*map(reference_key, EVERY)).without_checks(),
        executor_def=dg.in_process_executor,
        description="Observes what the day's tables name: locations, generators, fuels.",
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
        assets=[
            *(reference_asset(r, days, datasets) for r in REFERENCES),
            *(list_asset(one, days, datasets) for one in LISTS),
        ],
        asset_checks=[reference_checks(r, days) for r in EVERY],
        jobs=[job],
        schedules=[tick],
    )


def reference_asset(
    reference: Reference, days: dg.DailyPartitionsDefinition, datasets: Sequence[Dataset]
) -> dg.AssetsDefinition:
    """The asset that adds what a day's tables name, and writes what follows from all days."""

    def work(resources: Resources, day: dt.date) -> Done | None:
        done = observe(resources, reference, day)
        return (done.verdicts, _metadata(resources, done)) if done.seen else None

    return _asset(reference, days, _tables_of(reference, datasets), work)


def list_asset(
    listed: ReviewedList, days: dg.DailyPartitionsDefinition, datasets: Sequence[Dataset]
) -> dg.AssetsDefinition:
    """The asset that writes a list as its file has it, and compares it with a day's tables."""

    def work(resources: Resources, day: dt.date) -> Done:
        done = publish_list(resources, listed, day)
        metadata = {
            "dagster/row_count": done.rows,
            "dagster/partition_row_count": done.seen,
            "dagster/uri": resources.lake.uri(listed.table),
            "file": str(done.path),
        }
        return done.verdicts, metadata

    same_day = dg.IdentityPartitionMapping()
    after = [dg.AssetDep(reference_key(r), partition_mapping=same_day) for r in listed.after]
    return _asset(listed, days, [*_tables_of(listed, datasets), *after], work)


def _tables_of(thing: Thing, datasets: Sequence[Dataset]) -> list[dg.AssetDep]:
    """The market tables that name such things."""
    same_day = dg.IdentityPartitionMapping()  # the key is the day, in whichever operator's zone
    return [
        dg.AssetDep(table_key(d), partition_mapping=same_day)
        for d in datasets
        if thing.reads(d.table)
    ]


def _asset(
    thing: Thing,
    days: dg.DailyPartitionsDefinition,
    deps: Sequence[dg.AssetDep],
    work: Callable[[Resources, dt.date], Done | None],
) -> dg.AssetsDefinition:
    """The asset of a reference table; ``work`` gives None where there is nothing to materialize."""
    key = reference_key(thing)

    @dg.asset(
        key=key,
        deps=deps,
        description=translate.plain(thing.doc),
        partitions_def=days,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=_STALE, warn_window=_STALE / 2),
        group_name="reference",
        kinds={"iceberg", "polars"},
        owners=OWNERS,
        tags={"aurum/room": "reference", "aurum/series": "reference"},
        metadata={
            "dagster/column_schema": translate.column_schema(thing.table),
            "dagster/table_name": thing.table.identifier,
            "key": ", ".join(thing.table.key),
        },
        output_required=False,
        required_resource_keys=set(LAKE),
    )
    def look(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]  # with it, Dagster refuses the checks
        resources = assembled(context, LAKE)
        with translate.tried_again(context, MERGED_AGAIN):
            done = work(resources, dt.date.fromisoformat(context.partition_key))
        if done is None:
            message = "%s: no table names anything on %s: not materialized"
            context.log.warning(message, thing.key, context.partition_key)
            return
        verdicts, metadata = done
        if reports_itself(context, _check_name(thing)):
            report(context, verdicts, key)
        yield dg.MaterializeResult(metadata=metadata)

    return look


def reference_checks(thing: Thing, days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks of a reference table."""
    if isinstance(thing, ReviewedList):
        described, judge = dict(thing.descriptions), partial(judge_list, listed=thing)
    else:
        described = {name: CHECKS[name][0] for name in checks_of(thing)}
        judge = partial(recall, reference=thing)

    def look(resources: Resources, day: str) -> list[Verdict]:
        return judge(resources, day=dt.date.fromisoformat(day))

    return asset_checks(_check_name(thing), reference_key(thing), days, described, look, LAKE)


def _check_name(thing: Thing) -> str:
    return f"check_{thing.key}"


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
