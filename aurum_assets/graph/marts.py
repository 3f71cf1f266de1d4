"""The wiring of the marts: an asset and its checks for each, one step that builds all of them.

The assets are made from the tables and the SQL (``marts.project``), so that a run which builds no
mart imports neither dbt nor dagster-dbt, see the decision on the marts' assets. A partition is an
operating day; dbt's tests are the checks.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from aurum_assets.graph import translate
from aurum_assets.graph.assets import MERGED_AGAIN, OWNERS, table_key
from aurum_assets.graph.checks import specs
from aurum_assets.graph.reference import reference_key
from aurum_assets.graph.resources import LAKE, assembled
from aurum_assets.ingest.reference import EVERY
from aurum_assets.marts import changes
from aurum_assets.marts.build import Built, Checked, build
from aurum_assets.marts.project import Mart, marts
from aurum_assets.marts.tables import DEFINITIONS
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.lake import Merged
from aurum_assets.resources.workers import QUEUE_TAG, REPLAYS

_HOURLY = "12 * * * *"  # once the prices of the last hour are there
_AFTER_THE_REFERENCES = "15 8 * * *"  # the daily jobs begin at 06:30, the references' at 07:45
_MIDNIGHT = dt.timedelta(hours=2)
_STALE = dt.timedelta(hours=3)
_LONGEST = dt.timedelta(minutes=30)
_LATE = {"dagster/priority": "-1"}  # after every scheduled run that collects


def mart_key(name: str) -> dg.AssetKey:
    """``marts/hub_prices`` and the like."""
    return dg.AssetKey(["marts", name])


def marts_definitions(
    configuration: Configuration, datasets: Sequence[Dataset], *, running: bool
) -> dg.Definitions:
    """Assets with their checks, jobs and schedules of the marts, made of ``datasets``."""
    first = min(configuration.datasets[d.key].first_day for d in datasets or DATASETS)
    days = dg.DailyPartitionsDefinition(
        start_date=first.isoformat(),
        timezone=OPERATORS[0].zone,
        end_offset=2,  # tomorrow's day-ahead prices
    )
    assets = mart_assets(days, datasets)
    hourly = dg.define_asset_job(
        "marts_hourly",
        selection=dg.AssetSelection.assets(assets),
        executor_def=dg.in_process_executor,
        description="Builds today's marts.",
        tags=_LATE,
    )
    daily = changed_job()
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
    return dg.Definitions(
        assets=[assets],
        jobs=[hourly, daily],
        schedules=[
            _hourly_schedule(hourly, status),
            dg.ScheduleDefinition(
                name="marts_daily_schedule",
                description="Every morning, after the daily jobs and the references: builds the "
                "days whose tables changed since they were built.",
                job=daily,
                cron_schedule=_AFTER_THE_REFERENCES,
                execution_timezone=OPERATORS[0].zone,
                default_status=status,
            ),
        ],
    )


def mart_assets(days: dg.PartitionsDefinition, datasets: Sequence[Dataset]) -> dg.AssetsDefinition:
    """All marts: one step, for dbt takes seconds to begin and a mart less than one."""
    known = marts()

    @dg.multi_asset(
        name="marts",
        description="Builds the marts that are asked for, of all days that are, and tests them.",
        specs=[_spec(mart, days, datasets) for mart in known.values()],
        check_specs=[
            one for mart in known.values() for one in specs(mart_key(mart.name), days, mart.tests)
        ],
        can_subset=True,
        required_resource_keys=set(LAKE),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def build_marts(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:  # type: ignore[type-arg]
        resources = assembled(context, LAKE)
        asked = [dt.date.fromisoformat(key) for key in context.partition_keys]
        names = _selected(context)
        with translate.tried_again(context, MERGED_AGAIN):
            found = list(build(resources, asked, names, context.log.info))
        wanted = {key.path[-1] for key in context.selected_asset_keys}
        for built in found:
            if len(asked) == 1:
                yield from _results(context, resources, built, wanted)
            else:
                for event in events_of(resources, built, wanted):
                    context.log_event(event)
        if len(asked) > 1:
            for name in wanted - {n for built in found for n in built.failed}:
                yield dg.MaterializeResult(
                    asset_key=mart_key(name), metadata=_of_range(found, name)
                )
        _refuse(found)

    return build_marts


def _spec(mart: Mart, days: dg.PartitionsDefinition, datasets: Sequence[Dataset]) -> dg.AssetSpec:
    table = mart.table
    return dg.AssetSpec(
        mart_key(mart.name),
        deps=list(_deps(mart, datasets)),
        description=translate.plain(DEFINITIONS[mart.name]),
        partitions_def=days,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=_STALE, warn_window=_STALE / 2),
        group_name="marts",
        kinds={"dbt", "duckdb", "iceberg"},
        owners=OWNERS,
        tags={"aurum/room": "marts", "aurum/series": "marts"},
        skippable=True,
        metadata={
            "dagster/column_schema": translate.column_schema(table),
            "dagster/table_name": table.identifier,
            "key": ", ".join(table.key),
        },
    )


def _deps(mart: Mart, datasets: Sequence[Dataset]) -> Iterator[dg.AssetDep]:
    """What the mart reads: the assets of its tables, and those of the marts before it."""
    same_day = dg.IdentityPartitionMapping()  # the key is the day, in whichever operator's zone
    keys = [mart_key(name) for name in mart.after]
    read = set(mart.reads)
    keys += [
        table_key(d) for d in datasets if {d.table.identifier, d.table.history.identifier} & read
    ]
    keys += [reference_key(one) for one in EVERY if one.table.identifier in mart.reads]
    for key in keys:
        yield dg.AssetDep(key, partition_mapping=same_day)


def _selected(context: dg.AssetExecutionContext) -> list[str]:
    """The marts that are asked for, or whose checks are."""
    keys = {*context.selected_asset_keys}
    keys |= {check.asset_key for check in context.selected_asset_check_keys}
    return sorted(key.path[-1] for key in keys)


def _results(
    context: dg.AssetExecutionContext, resources: Resources, built: Built, wanted: set[str]
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:  # type: ignore[type-arg]
    """What became of one day, as the results of the step."""
    checks = {(c.asset_key.path[-1], c.name) for c in context.selected_asset_check_keys}
    for name, by_day in built.done.items():
        if name in wanted:
            for merged in by_day.values():
                metadata = _metadata(resources, built, name, merged)
                yield dg.MaterializeResult(asset_key=mart_key(name), metadata=metadata)
    for check in built.checks:
        if (check.mart, check.name) in checks:
            yield dg.AssetCheckResult(
                passed=check.passed,
                asset_key=mart_key(check.mart),
                check_name=check.name,
                severity=dg.AssetCheckSeverity.ERROR,
                description=_said(check),
                metadata=_check_metadata(check),
            )


def events_of(
    resources: Resources, built: Built, wanted: Iterable[str] = ()
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """What tells of the days that were built outside a step of their own partition.

    Materializations of all marts but those ``wanted``, which the step reports itself.
    """
    theirs = set(wanted)
    for name, by_day in built.done.items():
        for day, merged in by_day.items():
            if name not in theirs:
                yield dg.AssetMaterialization(
                    asset_key=mart_key(name),
                    partition=f"{day}",
                    metadata=_metadata(resources, built, name, merged),
                )
    for check in built.checks:
        yield dg.AssetCheckEvaluation(
            asset_key=mart_key(check.mart),
            check_name=check.name,
            passed=check.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=_said(check),
            metadata=_check_metadata(check),
            partition=f"{check.day}",
        )


def _metadata(resources: Resources, built: Built, name: str, merged: Merged) -> dict[str, Any]:
    """What was done of a day, for its materialization."""
    table = marts()[name].table
    return {
        "dagster/partition_row_count": merged.held or 0,
        "dagster/table_name": table.identifier,
        "dagster/uri": resources.lake.uri(table),
        "new": merged.new,
        "changed": merged.changed,
        "removed": merged.removed,
        "unchanged": merged.unchanged,
        "seconds": round(built.seconds.get(name, 0.0), 3),
        "seconds_of_all": round(built.took, 3),
        "days_of_all": len(built.days),
    }


def _of_range(found: Sequence[Built], name: str) -> Mapping[str, Any]:
    """What was done of all days of a mart together."""
    days = [merged for built in found for merged in built.done.get(name, {}).values()]
    return {
        "days": len(days),
        "rows": sum(merged.held or 0 for merged in days),
        "new": sum(merged.new for merged in days),
        "changed": sum(merged.changed for merged in days),
        "removed": sum(merged.removed for merged in days),
        "seconds": round(sum(built.seconds.get(name, 0.0) for built in found), 3),
    }


def _said(check: Checked) -> str:
    """The result of a check as a sentence."""
    if check.error:
        return check.error
    return f"{check.failed} rows" if check.failed else "no row breaks it"


def _check_metadata(check: Checked) -> dict[str, Any]:
    metadata: dict[str, Any] = {"count": check.failed}
    if check.sample:
        records = [dg.TableRecord({k: f"{v}" for k, v in row.items()}) for row in check.sample]
        schema = dg.TableSchema([dg.TableColumn(name) for name in check.sample[0]])
        metadata["sample"] = dg.MetadataValue.table(records, schema)
    return metadata


def _refuse(found: Sequence[Built]) -> None:
    """Raise where a mart or a day was not stored; the other ones are."""
    failed = [f"{name}: {error}" for built in found for name, error in built.failed.items()]
    failed += [sentence for built in found for sentence in built.refused_days]
    if failed:
        raise dg.Failure("; ".join(failed), allow_retries=False)


# --- jobs and schedules ----------------------------------------------------------------------


def _hourly_schedule(job: Any, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:  # noqa: ANN401  see jobs.Job
    @dg.schedule(
        job=job,
        name="marts_hourly_schedule",
        description="Every hour: builds the marts of today, and after midnight those of yesterday.",
        cron_schedule=_HOURLY,
        execution_timezone="UTC",
        default_status=status,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        now = context.scheduled_execution_time
        for day in days_at(now):
            yield dg.RunRequest(run_key=f"marts:{now.isoformat()}:{day}", partition_key=day)

    return tick


def days_at(now: dt.datetime) -> list[str]:
    """The operating days that are under way at ``now``, or were two hours before."""
    instants = (now - _MIDNIGHT, now)
    return sorted({operator.day_of(instant).key for operator in OPERATORS for instant in instants})


class ChangedConfig(dg.Config):
    """The run config of ``marts_daily``."""

    first: str = Field(default="", description="Only days from this one on, YYYY-MM-DD.")
    last: str = Field(default="", description="Only days up to this one, YYYY-MM-DD, included.")


def changed_job() -> dg.JobDefinition:
    """``marts_daily``: builds the days whose tables changed, a result for each mart and day."""

    @dg.op(
        name="build_changed",
        description="Finds the days whose tables changed since their marts were built, and builds "
        "them month by month, the newest first. After half an hour it begins no other month: the "
        "next run goes on.",
        out={},
        required_resource_keys=set(LAKE),
    )
    def build_changed(
        context: dg.OpExecutionContext, config: ChangedConfig
    ) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
        resources = assembled(context, LAKE)
        first, last = _bounds(config)
        found: list[Built] = []
        began = dt.datetime.now(dt.UTC)
        with translate.translated_failures(context.run.run_id):
            days = changes.changed(resources, list(marts().values()), first, last)
            context.log.info("%d days are to be built", len(days))
            for built in build(resources, days, (), context.log.info, newest_first=True):
                found.append(built)
                yield from events_of(resources, built)
                if dt.datetime.now(dt.UTC) - began > _LONGEST:
                    break
        _refuse(found)

    @dg.job(
        name="marts_daily",
        executor_def=dg.in_process_executor,
        tags={QUEUE_TAG: REPLAYS, **_LATE},
        description="Builds the marts of the days whose tables changed since: final values, "
        "corrections, replays, and days that were missed. Each day is reported by itself.",
    )
    def marts_daily() -> None:
        build_changed()

    return marts_daily


def _bounds(config: ChangedConfig) -> tuple[dt.date, dt.date]:
    zone = OPERATORS[0].zone
    try:
        first = OperatingDay.parse(config.first, zone).date if config.first else dt.date.min
        last = OperatingDay.parse(config.last, zone).date if config.last else dt.date.max
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    return first, last
