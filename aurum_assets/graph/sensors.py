"""The sensors: ``gaps`` (repairs), ``finals``, and one for each feed published a day ahead.

A sensor only calls ``ingest`` and translates the result: what a day lacks, when to try again and
what an operator has published is decided there. Nothing is collected within a tick.
"""

import datetime as dt
from collections.abc import Iterator

import dagster as dg

from aurum_assets import ingest
from aurum_assets.graph import translate
from aurum_assets.graph.finals import finals_sensor
from aurum_assets.graph.jobs import Job, asset_keys
from aurum_assets.graph.resources import TABLES, api_key_of, assembled
from aurum_assets.graph.under_way import Work, busy
from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.model.dataset import Dataset, Feed, Probe
from aurum_assets.model.errors import AurumError, SourceRefused
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.workers import QUEUE_TAG, TICKS

GAPS_SECONDS = 900
_UNAUTHORIZED = 401


def sensors(work: Work, *, running: bool) -> list[dg.SensorDefinition]:
    """Every sensor over the schedule groups and their jobs."""
    status = dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
    probes = [
        _probe_sensor(work, job, dataset, feed, feed.probe, status)
        for group, job in work
        for dataset, config in group.pairs
        for feed in config.feeds
        if feed.probe is not None and feed.cadence == group.cadence.name and not feed.becomes_final
    ]
    return [_gap_sensor(work, status), finals_sensor(work, status), *probes]


def _gap_sensor(work: Work, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """``gaps``: repair runs for days with missing intervals, bounded, backing off."""
    jobs: dict[str, Job] = {}
    for group, job in work:
        for dataset, _ in group.pairs:
            jobs.setdefault(dataset.key, job)
    known = {dataset.key: dataset for group, _ in work for dataset, _ in group.pairs}

    @dg.sensor(
        name="gaps",
        jobs=list({job.name: job for job in jobs.values()}.values()),
        minimum_interval_seconds=GAPS_SECONDS,
        default_status=status,
        description="Asks again for days that lack intervals, as long as the operator still has "
        "them: at most AURUM_REPAIRS days of each operator at a tick, and less and less often "
        "while a day stays incomplete.",
        required_resource_keys=set(TABLES),
    )
    def gaps(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        resources = assembled(context, TABLES)
        beyond = [
            key for key, d in known.items() if not ingest.requirements(d, resources.config(d))
        ]
        text = ", ".join(beyond)
        if text and context.cursor != text:
            context.log.info("%s: no feed takes a day, so gaps there stay", text)
        with translate.translated_failures():
            found = ingest.find_gaps(resources, known.values(), busy=busy(context.instance, work))
        for sentence in found.given_up:
            context.log.warning(sentence)
        for repair in found.repairs:
            context.log.info(str(repair))
        return dg.SensorResult(
            run_requests=[_repair_run(repair, jobs) for repair in found.repairs],
            skip_reason=None
            if found.repairs
            else dg.SkipReason("; ".join([*found.given_up, str(found)])),
            cursor=text,
        )

    return gaps


def _repair_run(repair: ingest.Repair, jobs: dict[str, Job]) -> dg.RunRequest:
    """The run that asks again for what a day lacks; its tag says why, and when the next would."""
    gap = repair.gap
    return dg.RunRequest(
        run_key=f"gap:{gap.dataset.key}:{gap.day}:{repair.attempt}:{repair.again:%Y%m%dT%H%M%SZ}",
        job_name=jobs[gap.dataset.key].name,
        partition_key=gap.day.key,
        run_config=translate.feeds_config(
            {gap.dataset.key: list(gap.feeds)}, {gap.dataset.key: gap.parts}
        ),
        asset_selection=asset_keys([gap.dataset]),
        asset_check_keys=[],  # the step reports them
        tags={
            "aurum/repair": f"{gap.dataset.key}: {gap.missing} missing, try {repair.attempt} of "
            f"{ingest.TRIES}, next {repair.again:%F %R}Z",
            "dagster/priority": "-1",  # after every scheduled run
        },
    )


def _probe_sensor(
    work: Work,
    job: Job,
    dataset: Dataset,
    feed: Feed,
    probe: Probe,
    status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """``<dataset>_is_out``: asks for a day that is published ahead as soon as it is.

    The schedule asks at its own time in any case; the sensor continues until the day begins, for
    late publications. Its cursor: the day, and until when no request is made.
    """
    uses = TABLES | {api_key_of(dataset.operator)}

    @dg.sensor(
        name=f"{dataset.key}_is_out",
        job=job,
        minimum_interval_seconds=60 * probe.every_minutes,
        default_status=status,
        description=f"Asks {probe.path} from {probe.earliest:%R} ({dataset.operator.zone}) on "
        "whether tomorrow is published, and for tomorrow once it is.",
        required_resource_keys=set(uses),
    )
    def is_out(
        context: dg.SensorEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        resources = assembled(context, uses)
        now = resources.now()
        today = dataset.operator.day_of(now)
        day = today.plus(feed.offset_days)
        with translate.translated_failures():
            waits = _why_not_now(context, resources, dataset, day, today.at(probe.earliest))
        if waits or (dataset.key, day.key) in busy(context.instance, work):
            yield dg.SkipReason(waits or f"a run for {day} is queued or under way")
            return
        try:
            newest = ingest.newest_published(resources, dataset, feed)
        except AurumError as error:
            until = _left_alone(error, now, day)
            context.update_cursor(f"{day} {until.isoformat()}")
            yield dg.SkipReason(f"the probe gave no answer, the schedule asks anyway: {error}")
            return
        if dataset.operator.day_of(newest) < day:
            yield dg.SkipReason(f"{day} is not out: the newest interval begins {newest:%F %R}Z")
            return
        context.update_cursor(f"{day} {day.start.isoformat()}")
        yield dg.RunRequest(
            run_key=f"{job.name}:{day}:out",
            partition_key=day.key,
            run_config=translate.feeds_config({dataset.key: [feed.name]}),
            asset_selection=asset_keys([dataset]),
            asset_check_keys=[],  # the step reports them
            tags={"aurum/probe": f"{probe.path}: {newest:%F %R}Z", QUEUE_TAG: TICKS},
        )

    return is_out


def _why_not_now(
    context: dg.SensorEvaluationContext,
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    earliest: dt.datetime,
) -> str:
    """Why no request is made at this tick; empty where one is."""
    now = resources.now()
    if now < earliest:
        return f"{day} is not looked for before {earliest:%F %R}Z"
    if resources.lake.counts(dataset.table, {"operating_day": day.date})[0]:
        return f"{day} is here"
    about, _, until = (context.cursor or "").partition(" ")
    if about == day.key and now < dt.datetime.fromisoformat(until):
        return f"{day} was asked for, or its probe was refused: left alone until {until}"
    return ""


def _left_alone(error: AurumError, now: dt.datetime, day: OperatingDay) -> dt.datetime:
    """Until when no request is made after ``error``: a refusal is not repeated at every tick,
    wrong credentials may be corrected within the hour.
    """
    if isinstance(error, SourceRefused):
        return now + HOUR if error.status == _UNAUTHORIZED else day.start
    return now
