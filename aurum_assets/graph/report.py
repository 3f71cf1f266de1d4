"""The asset ``desk_report``: the page of an operating day, as ``aurum report`` writes it.

Every morning the page of yesterday, every hour that of today. It reads tables and writes a file;
nothing is asked and no table is written. A page that is made again replaces the earlier one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from aurum_assets.graph import translate
from aurum_assets.graph.assets import MERGED_AGAIN, OWNERS, partitions, table_key
from aurum_assets.graph.marts import mart_key
from aurum_assets.graph.reference import CALENDAR
from aurum_assets.graph.resources import PARTS, assembled
from aurum_assets.model.dataset import Dataset
from aurum_assets.resources.configuration import Configuration

REPORT = dg.AssetKey(["desk_report"])
JOB = "report"
_HEADLINE = "daily_summary"
_USES = frozenset({"runtime", *PARTS})
_MORNING = "40 8 * * *"  # the marts of changed days begin at 08:15
_HOURLY = "25 * * * *"  # the marts of today begin at :12


def report_definitions(
    configuration: Configuration, datasets: Sequence[Dataset], *, running: bool
) -> dg.Definitions:
    """The asset, its job and its two schedules."""
    days = partitions(CALENDAR, configuration.datasets[CALENDAR.key])
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(REPORT),
        executor_def=dg.in_process_executor,
        description="Writes the page of an operating day.",
    )
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
    return dg.Definitions(
        assets=[_report_asset(days, datasets)],
        jobs=[job],
        schedules=[_schedule(job, status, "daily", -1), _schedule(job, status, "hourly", 0)],
    )


def _schedule(
    job: Any,  # noqa: ANN401  define_asset_job gives a type that Dagster has no public name for
    status: dg.DefaultScheduleStatus,
    name: str,
    ahead: int,
) -> dg.ScheduleDefinition:
    """A schedule of the page of the day that is ``ahead`` of today."""

    @dg.schedule(
        job=job,
        name=f"{JOB}_{name}_schedule",
        description="Every morning: the page of yesterday."
        if ahead
        else "Every hour: the page of today so far.",
        cron_schedule=_MORNING if ahead else _HOURLY,
        execution_timezone=CALENDAR.operator.zone,
        default_status=status,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        now = context.scheduled_execution_time
        day = CALENDAR.operator.day_of(now).plus(ahead)
        yield dg.RunRequest(run_key=f"{JOB}:{now.isoformat()}:{day}", partition_key=day.key)

    return tick


def _report_asset(
    days: dg.DailyPartitionsDefinition, datasets: Sequence[Dataset]
) -> dg.AssetsDefinition:
    same_day = dg.IdentityPartitionMapping()  # the key is the day, in whichever operator's zone

    @dg.asset(
        key=REPORT,
        deps=[
            dg.AssetDep(key, partition_mapping=same_day)
            for key in (*map(table_key, datasets), mart_key(_HEADLINE))
        ],
        description="The page of an operating day to look at: prices, seam, load and generation, "
        "data quality. A file that needs no other, in the folder report of the home.",
        partitions_def=days,
        group_name="desk",
        kinds={"html"},
        owners=OWNERS,
        required_resource_keys=set(_USES),
    )
    def desk_report(
        context: dg.AssetExecutionContext,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from aurum_assets.report.page import report_folder, write_report  # Vega, jinja2, DuckDB

        resources = assembled(context, _USES)
        with translate.tried_again(context, MERGED_AGAIN):
            done = write_report(
                resources, datasets, context.partition_key, report_folder(resources)
            )
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(str(done.path.resolve())),
                "link": dg.MetadataValue.url(done.path.resolve().as_uri()),
                "index": dg.MetadataValue.path(str(done.index.resolve())),
                "bytes": done.bytes,
                "seconds": round(done.seconds, 2),
                "charts": dg.MetadataValue.table(
                    [dg.TableRecord({"chart": title, "says": says}) for title, says in done.said],
                    dg.TableSchema([dg.TableColumn("chart"), dg.TableColumn("says")]),
                ),
            }
        )

    return desk_report
