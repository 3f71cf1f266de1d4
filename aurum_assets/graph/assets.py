"""The assets: two a dataset, built the same way. ``raw/<dataset>`` archives, ``market/<dataset>``
brings the archive into its Iceberg table and checks it.

A partition is an operating day in the operator's zone; a tick materializes it again.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from aurum_assets import ingest
from aurum_assets.graph import translate
from aurum_assets.graph.checks import asset_checks, report, reports_itself
from aurum_assets.graph.resources import WRITES, api_key_of, assembled
from aurum_assets.ingest.day import Outcome, bring, normalize_days
from aurum_assets.ingest.rejecting import one_day
from aurum_assets.model.cadence import CadenceName
from aurum_assets.model.checks import CHECKS, Verdict, checks_of
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, DatasetConfig
from aurum_assets.model.errors import AurumError, NothingArchived
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources

OWNERS = ["team:market-data"]
_RETRY, _RESUME = "dagster/retry_number", "dagster/is_resume_retry"  # the daemon's, a person's
ASKED_AGAIN = translate.Retries(most=1, seconds=15)
MERGED_AGAIN = translate.Retries(most=2, seconds=10)
# The cadences whose runs, by the names of their jobs, draw no picture of the day.
_TOO_OFTEN: tuple[CadenceName, ...] = ("five_minutes", "fifteen_minutes")
_A_WEEK = dt.timedelta(days=7)
# A table that can be brought up to date goes before the next answer: its rows wait for no other.
_FIRST = {"dagster/priority": "1"}
# Answers are asked for in the order in which the operator's folder lists its datasets.
_IN_ORDER = {d.key: {"dagster/priority": str(-number)} for number, d in enumerate(DATASETS)}


class CollectConfig(dg.Config):
    """The run config of a raw asset."""

    feeds: list[str] = Field(
        default_factory=list,
        description="The feeds to ask, by name; all that have the day where none is named.",
    )
    parts: dict[str, list[str]] = Field(
        default_factory=dict,
        description="By feed, the only hours or locations to ask for, such as 07 or 4001.",
    )
    force: bool = Field(
        default=False, description="Archive an answer even where it repeats the one before."
    )


def raw_key(dataset: Dataset) -> dg.AssetKey:
    """The key of the raw asset: ``raw/<dataset>``."""
    return dg.AssetKey(["raw", dataset.key])


def table_key(dataset: Dataset) -> dg.AssetKey:
    """The key of the table asset: ``market/<dataset>``."""
    return dg.AssetKey([dataset.table.namespace, dataset.key])


def partitions(dataset: Dataset, config: DatasetConfig) -> dg.DailyPartitionsDefinition:
    """Operating days in the operator's zone, today's included."""
    ahead = max(f.offset_days for f in config.feeds)
    return dg.DailyPartitionsDefinition(
        start_date=config.first_day.isoformat(),
        timezone=dataset.operator.zone,
        end_offset=1 + max(ahead, 0),
    )


def freshness(config: DatasetConfig) -> dg.FreshnessPolicy | None:
    """Stale when the fastest feed has missed several of its marks, as its cadence says.

    None where no endpoint is live: what the operator does not offer is never stale.
    """
    if all(config.is_documented_only(feed) for feed in config.feeds):
        return None
    stale = [feed.asked.stale_after for feed in config.feeds]
    fail = min(filter(None, stale), default=_A_WEEK)
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=fail / 2)


def raw_asset(dataset: Dataset, config: DatasetConfig) -> dg.AssetsDefinition:
    """The asset that asks the operator and archives every answer."""
    uses = WRITES | {api_key_of(dataset.operator)}

    @dg.asset(
        required_resource_keys=set(uses),
        key=raw_key(dataset),
        description=f"Every answer, byte for byte.\n\n{translate.plain(dataset.doc)}",
        op_tags=_IN_ORDER.get(dataset.key),
        partitions_def=partitions(dataset, config),
        freshness_policy=freshness(config),
        group_name=dataset.operator.name,
        kinds={"python", "gzip"},
        owners=OWNERS,
        tags={"aurum/room": "raw", "aurum/series": dataset.group},
        metadata={"topic": config.topic, "folder": f"sourcing/{dataset.archive_name}"},
        output_required=False,
    )
    def collect(
        context: dg.AssetExecutionContext, config: CollectConfig
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        resources = assembled(context, uses)
        day = dataset.day(context.partition_key)
        with translate.tried_again(context, ASKED_AGAIN):
            outcome = bring(
                resources,
                dataset,
                day,
                feeds=config.feeds or None,
                parts=config.parts,
                force=config.force,
                raw_only=True,
                attempts_of=_attempts_of(context.run),
                progress=translate.without_countdown(context.log.info),
            )
            _normalize_here(context, resources, outcome)
            if outcome.error is not None and not _succeeds(outcome):
                raise outcome.error
            _log_what_is_not_there(context, outcome)
        if outcome.has_day:
            yield dg.MaterializeResult(metadata=_raw_metadata(resources, outcome))

    return collect


def _succeeds(outcome: Outcome) -> bool:
    """Whether the step does: nothing failed but what is expected, or another day than the asked
    one, which goes on to its table.
    """
    collected = outcome.expected or not outcome.collect_errors
    return collected and (outcome.has_day or not outcome.normalize_errors)


def _normalize_here(
    context: dg.AssetExecutionContext, resources: Resources, outcome: Outcome
) -> None:
    """Normalize in this step what no step of the table asset will: other days; the asked one too
    where the step fails.
    """
    days = outcome.elsewhere
    if outcome.collect_errors and not outcome.expected:
        days = outcome.collected.days
        _log_materialization(context, resources, outcome)
    normalize_days(resources, outcome, days)
    for done in outcome.normalized:
        events = _events_of(resources, done)
        if isinstance(events, AurumError):
            outcome.normalize_errors[done.day.key] = events
            continue
        for event in events:
            context.log_event(event)
    for day, error in outcome.normalize_errors.items():
        context.log.error(
            "%s %s: archived, but not in the table or not checked: %s",
            outcome.dataset.key,
            day,
            error,
        )


def _raw_metadata(resources: Resources, outcome: Outcome) -> dict[str, Any]:
    metadata = translate.raw_metadata(resources, outcome.collected)
    if outcome.normalize_errors:
        metadata["not_normalized"] = "\n".join(map(str, outcome.normalize_errors.values()))
    return metadata


def _log_materialization(
    context: dg.AssetExecutionContext, resources: Resources, outcome: Outcome
) -> None:
    """Of a step that fails, and has archived something of its day nevertheless."""
    if outcome.has_day:
        metadata = translate.raw_metadata(resources, outcome.collected)
        key, partition = raw_key(outcome.dataset), outcome.day.key
        context.log_event(dg.AssetMaterialization(key, partition=partition, metadata=metadata))


def _log_what_is_not_there(context: dg.AssetExecutionContext, outcome: Outcome) -> None:
    """Of a step that succeeds: an observation of what is not offered, else a line of the log."""
    for sentence in outcome.collected.not_offered.values():
        context.log.warning(sentence)
        context.log_event(
            dg.AssetObservation(
                raw_key(outcome.dataset),
                description=sentence,
                partition=outcome.day.key,
                metadata={"not_offered": sentence},
            )
        )
    if outcome.collected.not_yet and not outcome.has_day:
        context.log.info("%s: not materialized; it is asked for once it is out", outcome.error)
    elif outcome.expected and not outcome.collected.not_offered and not outcome.has_day:
        context.log.warning("%s: not materialized", outcome.error)


def _attempts_of(run: dg.DagsterRun) -> str:
    """What a run is an attempt of: a crashed one is run again, a backfill goes on where it was.

    A run that a person executes again is new: it was done before, and asks again.
    """
    again = run.root_run_id if {_RETRY, _RESUME} & set(run.tags) else None
    return run.tags.get("dagster/backfill") or again or run.run_id


def _events_of(
    resources: Resources, done: ingest.Normalized
) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation] | AurumError:
    """What tells of a day that was merged, or why its checks could not be made."""
    try:
        with one_day(done.dataset, done.day.key):
            return list(materialization(resources, done))
    except AurumError as error:
        return error


def materialization(
    resources: Resources, done: ingest.Normalized
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """A table day that was written outside a step of its own asset: the event and its checks."""
    key = table_key(done.dataset)
    yield dg.AssetMaterialization(
        asset_key=key, partition=done.day.key, metadata=translate.table_metadata(resources, done)
    )
    yield from translate.check_evaluations(ingest.check(resources, done), key, done.day.key)


def table_asset(dataset: Dataset, config: DatasetConfig) -> dg.AssetsDefinition:
    """The asset that brings a day's archive into the Iceberg table, and checks it."""
    key, days = table_key(dataset), partitions(dataset, config)

    @dg.asset(
        required_resource_keys=set(WRITES),
        key=key,
        deps=[raw_key(dataset)],
        description=translate.plain(dataset.doc),
        op_tags=_FIRST,
        partitions_def=days,
        freshness_policy=freshness(config),
        group_name=dataset.operator.name,
        kinds={"iceberg", "polars"},
        owners=OWNERS,
        tags={"aurum/room": "market", "aurum/series": dataset.group},
        metadata={
            "dagster/column_schema": translate.column_schema(dataset.table),
            "dagster/table_name": dataset.table.identifier,
            "key": ", ".join(dataset.table.key),
        },
    )
    def normalize(
        context: dg.AssetExecutionContext,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # with it, Dagster refuses the checks
        resources = assembled(context, WRITES)
        with translate.tried_again(context, MERGED_AGAIN):
            done = _normalized(resources, dataset, dataset.day(context.partition_key))
            if reports_itself(context, _check_name(dataset)):
                report(context, ingest.check(resources, done), key)
            metadata = translate.table_metadata(resources, done)
            if not any(cadence in context.run.job_name for cadence in _TOO_OFTEN):
                metadata |= translate.picture(resources, done)
        return dg.MaterializeResult(metadata=metadata)

    return normalize


def _normalized(resources: Resources, dataset: Dataset, day: OperatingDay) -> ingest.Normalized:
    try:
        return ingest.normalize(resources, dataset, day)
    except NothingArchived:
        raw = raw_key(dataset).to_user_string()
        msg = f"nothing archived of {day}: materialize {raw} too"
        raise NothingArchived(msg) from None


def table_checks(dataset: Dataset, config: DatasetConfig) -> dg.AssetChecksDefinition:
    """The checks of a table."""

    def look(resources: Resources, day: str) -> list[Verdict]:
        return ingest.check(resources, ingest.look_again(resources, dataset, dataset.day(day)))

    described = {name: CHECKS[name][0] for name in checks_of(dataset.table, config)}
    return asset_checks(
        _check_name(dataset), table_key(dataset), partitions(dataset, config), described, look
    )


def _check_name(dataset: Dataset) -> str:
    return f"check_{dataset.key}"
