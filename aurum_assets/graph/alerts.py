"""The sensors that open and close alerts: for failed runs, for checks, and the watch.

``resources.alerts`` defines alerts, receivers and reminders; ``ingest.watch`` finds what is late or
out of reach. Each tick is bounded: runs by number, sending by seconds.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import dagster as dg
import msgspec

from aurum_assets import ingest
from aurum_assets.graph import translate
from aurum_assets.graph.assets import raw_key, table_key
from aurum_assets.graph.health import HEALTH, Reported, events_of, sentence_of
from aurum_assets.graph.metrics import measure_dagster
from aurum_assets.graph.resources import KEYS, TELLS, assembled, assembled_of
from aurum_assets.model.clock import HOUR
from aurum_assets.model.dataset import Dataset
from aurum_assets.resources.alerts import Incident, Kind, Severity
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.state import recalled

FAILED_SECONDS, CHECKS_SECONDS, WATCH_SECONDS = 30, 60, 300
DEMO = "aurum/demo"  # a tag of runs whose data was generated for a demonstration
RUNS = 25  # finished runs of either outcome that one tick reads
_EVALUATIONS = 1000  # of one run; a replay of a year has some 3,000 and is read in pages
_KINDS: dict[str, Kind] = {"schema_drift": "drift", "empty_answer": "empty_answer"}
_Outcome = Literal[dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE]
_OUTCOMES: tuple[tuple[str, _Outcome], ...] = (
    ("succeeded", dg.DagsterEventType.RUN_SUCCESS),
    ("failed", dg.DagsterEventType.RUN_FAILURE),
)


class Cursor(msgspec.Struct):
    """The storage ids of the last finished runs that were read."""

    succeeded: int
    failed: int


def alert_sensors(datasets: Sequence[Dataset], *, running: bool) -> list[dg.SensorDefinition]:
    """Make the sensors ``failed_runs``, ``check_alerts`` and ``watch``."""
    status = dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
    return [_failed_runs(datasets, status), _checks(datasets, status), _watch(datasets, status)]


def _failed_runs(
    datasets: Sequence[Dataset], status: dg.DefaultSensorStatus
) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="failed_runs",
        minimum_interval_seconds=FAILED_SECONDS,
        default_status=status,
        description="Opens an alert for each dataset with a failed run that is not retried; "
        "runs of the demo are left out.",
    )
    def failed_runs(
        context: dg.RunFailureSensorContext,
        runtime: dg.ResourceParam[Any],
        home: dg.ResourceParam[Any],
        events: dg.ResourceParam[Any],
        alerts: dg.ResourceParam[Any],
    ) -> None:
        given = {"runtime": runtime, "home": home, "events": events, "alerts": alerts}
        resources = assembled_of(given)
        run = context.dagster_run
        if run.tags.get("dagster/will_retry") == "true" or DEMO in run.tags:
            return
        with translate.translated_failures(run.run_id):
            for incident in _incidents(context, datasets):
                resources.alerts.raise_(incident)
            ingest.send(resources)

    return failed_runs


def _incidents(
    context: dg.RunFailureSensorContext, datasets: Sequence[Dataset]
) -> Iterator[Incident]:
    """One for each failed dataset; one without dataset where no step names it."""
    run = context.dagster_run
    day = run.tags.get("dagster/partition", "")
    keys = {f"{room}__{d.key}": d.key for d in datasets for room in ("raw", d.table.namespace)}
    sentences: dict[str, str] = {}
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        user = data.user_failure_data
        error = data.error.message.strip() if data.error else "a step failed"
        sentence = (user.description if user else None) or error
        sentences.setdefault(keys.get(event.step_key or "", ""), sentence)
    of_job = (
        "" if run.job_name.startswith("__") else f" of {run.job_name}"
    )  # started from the UI for chosen assets
    for dataset, sentence in (
        sentences or {"": context.failure_event.message or "it failed"}
    ).items():
        what = f"run {run.run_id[:8]}{of_job} failed: {sentence}"
        yield Incident("failed_run", dataset, run.job_name, what, day=day)


def _checks(datasets: Sequence[Dataset], status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="check_alerts",
        minimum_interval_seconds=CHECKS_SECONDS,
        default_status=status,
        description="Reads the check results of finished runs: opens an alert for an ERROR, for "
        "drift and for an empty answer, and closes it once the check passes; a successful run "
        "closes the alert of those that failed.",
        required_resource_keys=set(TELLS),
    )
    def check_alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        resources = assembled(context, TELLS)
        instance = context.instance
        known = {table_key(d): d.key for d in datasets}
        with translate.translated_failures():
            finished, cursor = _finished(instance, context.cursor)
            for run, succeeded in finished:
                if DEMO in run.tags:
                    continue
                for evaluation in _evaluations(instance, run.run_id):
                    key = evaluation.asset_key
                    if key == HEALTH:  # it reports alerts, and is none itself
                        continue
                    dataset = known.get(key, "/".join(key.path))
                    _judge(resources, dataset, evaluation, run.tags.get("dagster/partition", ""))
                if succeeded:
                    _settle_run(resources, datasets, run)
            ingest.send(resources)
        text = f"{len(finished)} runs finished; {len(resources.alerts.open)} alerts are open"
        return dg.SensorResult(
            skip_reason=dg.SkipReason(text), cursor=msgspec.json.encode(cursor).decode()
        )

    return check_alerts


def _finished(
    instance: dg.DagsterInstance, text: str | None
) -> tuple[list[tuple[dg.DagsterRun, bool]], Cursor]:
    """The runs that finished since the cursor, in order, and whether they succeeded.

    The first tick takes the newest ones: old failures are no news.
    """
    cursor = recalled(text, Cursor)
    entries: list[tuple[float, str, bool]] = []
    read = {}
    for name, kind in _OUTCOMES:
        after = getattr(cursor, name) if cursor else None
        records = instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(event_type=kind, after_storage_id=after),
            limit=RUNS,
            ascending=cursor is not None,
        ).records
        entries += [(r.timestamp, r.run_id, name == "succeeded") for r in records]
        read[name] = max([after if after is not None else -1, *(r.storage_id for r in records)])
    wanted = [run_id for _, run_id, _ in entries]
    found = instance.get_runs(dg.RunsFilter(run_ids=wanted)) if wanted else []
    runs = {run.run_id: run for run in found}
    ordered = [(runs[run_id], good) for _, run_id, good in sorted(entries) if run_id in runs]
    return ordered, Cursor(**read)


def _evaluations(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.AssetCheckEvaluation]:
    cursor: str | None = None
    while True:
        page = instance.get_records_for_run(
            run_id, cursor, dg.DagsterEventType.ASSET_CHECK_EVALUATION, limit=_EVALUATIONS
        )
        for record in page.records:
            event = record.event_log_entry.dagster_event
            if event is not None:
                yield event.asset_check_evaluation_data
        if not page.has_more:
            return
        cursor = page.cursor


def _judge(
    resources: Resources, dataset: str, evaluation: dg.AssetCheckEvaluation, day: str
) -> None:
    """Open or close the alert of a check."""
    check, day = evaluation.check_name, evaluation.partition or day
    kind = _KINDS.get(check, "check_error")
    if evaluation.passed:
        resources.alerts.settle(kind, dataset, check, day)
    elif kind in _KINDS.values() or evaluation.severity == dg.AssetCheckSeverity.ERROR:
        sentence = f"{check}: {evaluation.description or 'it failed'}"
        serious = evaluation.severity == dg.AssetCheckSeverity.ERROR
        severity: Severity = "ERROR" if serious else "WARN"
        resources.alerts.raise_(Incident(kind, dataset, check, sentence, severity, day))


def _settle_run(resources: Resources, datasets: Sequence[Dataset], run: dg.DagsterRun) -> None:
    """Close the alerts of failed runs for what ``run`` brought."""
    chosen = run.asset_selection
    brought = {d.key for d in datasets if chosen is None or {raw_key(d), table_key(d)} & chosen}
    for alert in resources.alerts.open:
        ours = alert.kind == "failed_run" and alert.subject == run.job_name
        if ours and (not alert.dataset or alert.dataset in brought):
            resources.alerts.settle("failed_run", alert.dataset, alert.subject, alert.day)


def _watch(datasets: Sequence[Dataset], status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="watch",
        minimum_interval_seconds=WATCH_SECONDS,
        default_status=status,
        description="Looks for feeds that are late, breakers that are open, a quarantine that "
        "grows and servers that are out of reach; sends pending notifications, reports the open "
        "alerts as the asset health, and measures Dagster itself for the metrics.",
        required_resource_keys=set(KEYS),
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        resources = assembled(context, KEYS)
        with translate.translated_failures():
            there = ingest.look(resources, datasets, pause=HOUR)
            measure_dagster(resources.metrics, context.instance)
        before = recalled(context.cursor, Reported)
        events, reported = events_of(there, before, resources.now())
        return dg.SensorResult(
            skip_reason=dg.SkipReason(sentence_of(there)),
            asset_events=events,
            cursor=msgspec.json.encode(reported).decode(),
        )

    return watch
