"""The job ``maintenance``: what ``aurum maintain`` does, every night."""

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from aurum_assets import ingest
from aurum_assets.graph import translate
from aurum_assets.graph.purge import purge
from aurum_assets.graph.resources import TABLES, assembled
from aurum_assets.operators import OPERATORS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.workers import QUEUE_TAG, REPLAYS

_QUIET = "10 4 * * *"  # in New York: after both operators' midnights, before the daily jobs (06:30)
_POSTGRES = "AURUM_DAGSTER_POSTGRES_URL"
_RUNS = 20_000  # of one pass, some minutes; a year's backlog takes weeks, or a manual run


class MaintenanceConfig(dg.Config):
    """The run config of the job ``maintenance``."""

    dry_run: bool = Field(default=False, description="Report what would be done, write nothing.")


def dagster_part(
    instance: dg.DagsterInstance,
    resources: Resources,
    *,
    dry_run: bool = False,
    limit: int | None = None,
) -> ingest.Part:
    """Dagster's storage as a part of the maintenance: purges runs older than configured."""

    def look(progress: ingest.Progress) -> ingest.Upkeep:
        before = dt.datetime.now(dt.UTC) - dt.timedelta(days=resources.keep_runs_days)
        done = purge(instance, before, dry_run=dry_run, limit=limit, progress=progress)
        notes = [f"{done.trimmed:,} runs that stay lose their logs"] if done.trimmed else []
        notes += [f"{done.left:,} older runs are left to the next pass"] if done.left else []
        return ingest.Upkeep(
            "dagster",
            expired=done.runs,
            deleted=done.files,
            freed=done.bytes,
            note="; ".join(notes),
        )

    return "dagster", look


def purged_at(
    folder: Path, resources: Resources, progress: ingest.Progress, *, dry_run: bool = False
) -> ingest.Upkeep:
    """Purge as ``dagster_part`` does, in the storage that ``dagster.yaml`` in ``folder`` names."""
    scheme, _, rest = os.environ.get(_POSTGRES, "").partition("://")
    if scheme in {"postgres", "postgresql"}:  # which SQLAlchemy reads as psycopg 3
        os.environ[_POSTGRES] = f"postgresql+psycopg2://{rest}"
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        _, look = dagster_part(instance, resources, dry_run=dry_run)
        return look(progress)


def maintenance_definitions(*, running: bool) -> dg.Definitions:
    """The job and its schedule."""
    job = maintenance_job()
    schedule = dg.ScheduleDefinition(
        name="maintenance_schedule",
        description="Every night, before the daily jobs: starts the job maintenance.",
        job=job,
        cron_schedule=_QUIET,
        execution_timezone=OPERATORS[0].zone,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if running
        else dg.DefaultScheduleStatus.STOPPED,
    )
    return dg.Definitions(jobs=[job], schedules=[schedule])


def maintenance_job() -> dg.JobDefinition:
    """``maintenance``: one op; its output's metadata has what was done, part by part."""

    @dg.op(
        name="maintain",
        description="Rewrites closed days, expires snapshots, deletes unreferenced files, "
        "purges old runs. The archive is never touched.",
        out=dg.Out(dg.Nothing),
        required_resource_keys=set(TABLES),
    )
    def maintain(
        context: dg.OpExecutionContext, config: MaintenanceConfig
    ) -> Iterator[dg.Output[None]]:
        resources = assembled(context, TABLES)
        ours = dagster_part(context.instance, resources, dry_run=config.dry_run, limit=_RUNS)
        with translate.translated_failures(context.run_id):
            parts = ingest.parts_of(resources, dry_run=config.dry_run, others=[ours])
            found = []
            for done in ingest.maintain(resources, parts):
                found.append(done)
                _log(context, done)
            failed = [f"{done.part}: {done.failed}" for done in found if done.failed]
            if failed:
                raise dg.Failure("; ".join(failed), metadata=_metadata(found), allow_retries=False)
            if not config.dry_run:
                ingest.remember(resources)
        yield dg.Output(None, metadata=_metadata(found))

    @dg.job(
        name="maintenance",
        executor_def=dg.in_process_executor,
        tags={"dagster/priority": "-2", QUEUE_TAG: REPLAYS},  # after every scheduled run and repair
        description="Keeps lake, Dagster's storage and local files small, as aurum maintain does.",
    )
    def maintenance() -> None:
        maintain()

    return maintenance


def _log(context: dg.OpExecutionContext, done: ingest.Upkeep) -> None:
    if done.failed:
        context.log.error("%s: %s", done.part, done.failed)
    elif done.changed:
        names = ("days", "rewritten", "expired", "deleted", "freed")
        numbers = ", ".join(
            f"{name} {getattr(done, name):,}" for name in names if getattr(done, name)
        )
        context.log.info("%s: %s", done.part, "; ".join(filter(None, (numbers, done.note))))


def _metadata(found: Sequence[ingest.Upkeep]) -> dict[str, Any]:
    """Totals, and a table of the parts that were changed or failed."""
    numbers = ("days", "rewritten", "expired", "deleted", "freed")
    shown = [dg.TableRecord(done.as_dict()) for done in found if done.changed or done.failed]
    totals = {name: sum(getattr(done, name) for done in found) for name in numbers}
    kinds = dict.fromkeys((*numbers, "manifests_before", "manifests_after"), "int")
    columns = [
        dg.TableColumn(name, kinds.get(name, "string")) for name in ingest.Upkeep("").as_dict()
    ]
    table = dg.MetadataValue.table(shown, dg.TableSchema(columns))
    return {"parts": len(found), **totals} | ({"maintained": table} if shown else {})
