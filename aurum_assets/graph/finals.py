"""The sensor ``finals``: starts runs for final values as soon as the operator publishes them.

``ingest.finals`` decides what is published and missing. The daily schedule asks for final values
too, on the first morning on which they may be published and again on the days that config names.
"""

import dagster as dg

from aurum_assets import ingest
from aurum_assets.graph import translate
from aurum_assets.graph.jobs import Job, asset_keys
from aurum_assets.graph.resources import TABLES, api_key_of, assembled
from aurum_assets.graph.under_way import Work, busy

FINALS_SECONDS = 900


def finals_sensor(work: Work, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """``finals``: a run for each day that has become final and lacks its final values."""
    found = {
        dataset.key: (dataset, job)
        for group, job in work
        for dataset, config in group.pairs
        if any(feed.becomes_final for feed in group.feeds(config))
    }
    jobs: dict[str, Job] = {job.name: job for _, job in found.values()}

    uses = TABLES | {api_key_of(dataset.operator) for dataset, _ in found.values()}

    @dg.sensor(
        name="finals",
        jobs=list(jobs.values()),
        minimum_interval_seconds=FINALS_SECONDS,
        default_status=status,
        description="Asks the operator up to which day final values are published, while a day "
        "lacks them, and starts a run for each such day.",
        required_resource_keys=set(uses),
    )
    def finals(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        resources = assembled(context, uses)
        with translate.translated_failures():
            datasets = [dataset for dataset, _ in found.values()]
            seen = ingest.find_finals(resources, datasets, busy=busy(context.instance, work))
        for out in seen.out:
            context.log.info(str(out))
        for sentence in seen.unanswered:
            context.log.warning(sentence)
        at = f"{resources.now():%Y%m%dT%H%M%SZ}"
        requests = [_run(out, found[out.dataset.key][1], at) for out in seen.out]
        return dg.SensorResult(
            run_requests=requests, skip_reason=None if requests else dg.SkipReason(str(seen))
        )

    return finals


def _run(out: ingest.Published, job: Job, at: str) -> dg.RunRequest:
    """The run that asks for the final values of a day; a tag holds the probe's answer."""
    return dg.RunRequest(
        run_key=f"final:{out.dataset.key}:{out.day}:{at}",
        job_name=job.name,
        partition_key=out.day.key,
        run_config=translate.feeds_config({out.dataset.key: list(out.feeds)}),
        asset_selection=asset_keys([out.dataset]),
        asset_check_keys=[],  # the step reports them
        tags={"aurum/probe": out.reported, "dagster/priority": "-1"},  # after every scheduled run
    )
