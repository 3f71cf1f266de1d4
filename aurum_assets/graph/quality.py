"""The asset ``data_quality``: one table over all datasets, for whoever asks whether to trust them.

An hourly job of its own materializes it, from what the lake's metadata and the newest check results
say. The numbers beside the table are those that are worth a plot over time.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from aurum_assets import ingest
from aurum_assets.graph import translate
from aurum_assets.graph.assets import MERGED_AGAIN, OWNERS, table_key
from aurum_assets.graph.resources import TABLES, assembled
from aurum_assets.ingest.quality import Quality
from aurum_assets.model.checks import checks_of
from aurum_assets.model.dataset import Dataset, DatasetConfig

DATA_QUALITY = dg.AssetKey(["data_quality"])
_AFTER_THE_TICKS = "50 * * * *"
_STALE = dt.timedelta(hours=3)
_HEAD = (
    "dataset",
    "newest interval",
    "lag",
    "today",
    "yesterday",
    "checks",
    "quarantined",
    "rejected",
    "corrected",
)
Pairs = Sequence[tuple[Dataset, DatasetConfig]]
Counts = Mapping[str, Counter[str]]  # by dataset: its checks that passed, WARN, ERROR


def quality_definitions(pairs: Pairs, *, running: bool) -> dg.Definitions:
    """The asset, its job and its schedule."""

    @dg.asset(
        key=DATA_QUALITY,
        deps=[dg.AssetDep(table_key(d), partition_mapping=_LAST) for d, _ in pairs],
        description="How whole, how old and how clean each dataset is: newest interval, lag, the "
        "share of today's and yesterday's intervals that is held, the newest results of the "
        "checks, what is kept out, and what was corrected in these two days.",
        group_name="desk",
        owners=OWNERS,
        kinds={"table"},
        tags={"aurum/room": "desk"},
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=_STALE, warn_window=_STALE / 2),
        required_resource_keys=set(TABLES),
    )
    def data_quality(
        context: dg.AssetExecutionContext,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # as of the other assets
        resources = assembled(context, TABLES)
        with translate.tried_again(context, MERGED_AGAIN):
            found = ingest.quality(resources, [dataset for dataset, _ in pairs])
        checks = newest_checks(context.instance, pairs)
        often = {d.key for d, config in pairs if _is_asked_often(config) and not d.table.sparse}
        return dg.MaterializeResult(metadata=metadata_of(found, checks, often))

    job = dg.define_asset_job(
        "data_quality_hourly",
        selection=dg.AssetSelection.assets(DATA_QUALITY),
        executor_def=dg.in_process_executor,
        description="Looks at how whole, how old and how clean each dataset is.",
    )
    schedule = dg.ScheduleDefinition(
        name="data_quality_hourly_schedule",
        description="Every hour: starts the job data_quality_hourly.",
        job=job,
        cron_schedule=_AFTER_THE_TICKS,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if running
        else dg.DefaultScheduleStatus.STOPPED,
    )
    return dg.Definitions(assets=[data_quality], jobs=[job], schedules=[schedule])


_LAST = dg.LastPartitionMapping()


def _is_asked_often(config: DatasetConfig) -> bool:
    """Whether a schedule asks for it several times a day: its lag is then one of minutes."""
    feeds = [feed for feed in config.feeds if not config.is_documented_only(feed)]
    return any(feed.asked.within_the_day for feed in feeds)


def newest_checks(instance: dg.DagsterInstance, pairs: Pairs) -> Counts:
    """The newest result of each check, of whichever partition, counted by what it was."""
    keys = {
        dg.AssetCheckKey(table_key(dataset), name): dataset.key
        for dataset, config in pairs
        for name in checks_of(dataset.table, config)
    }
    counts: dict[str, Counter[str]] = {dataset.key: Counter() for dataset, _ in pairs}
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    for key, record in found.items():
        event = record.event.dagster_event if record.event else None
        if event is not None and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            said = event.asset_check_evaluation_data
            counts[keys[key]]["passed" if said.passed else said.severity.value] += 1
    return counts


def metadata_of(
    found: Sequence[Quality], checks: Counts, often: set[str]
) -> dict[str, dg.MetadataValue[Any]]:
    """The table as Markdown, and the numbers to plot.

    ``often``: the datasets that have rows several times a day. The greatest lag is one of theirs,
    for others are a day old or lie ahead by what they are. A completeness that no dataset has is
    left out.
    """
    lags = [
        one.lag_seconds for one in found if one.lag_seconds is not None and one.dataset in often
    ]
    numbers: dict[str, dg.MetadataValue[Any]] = {
        "quarantined_rows": dg.MetadataValue.int(sum(one.quarantined for one in found)),
        "checks_with_error": dg.MetadataValue.int(sum(c["ERROR"] for c in checks.values())),
        "checks_with_warning": dg.MetadataValue.int(sum(c["WARN"] for c in checks.values())),
    }
    if lags:
        numbers["greatest_lag_minutes"] = dg.MetadataValue.float(round(max(lags) / 60, 1))
    for name in ("today", "yesterday"):
        shares = [share for one in found if (share := getattr(one, name)) is not None]
        if shares:
            mean = round(sum(shares) / len(shares), 4)
            numbers[f"completeness_{name}"] = dg.MetadataValue.float(mean)
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(one, checks) for one in found)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return {"table": dg.MetadataValue.md(table), **numbers}


def _row(one: Quality, checks: Counts) -> tuple[str, ...]:
    if one.last_interval is None:
        return (one.dataset, "nothing held", *[""] * 4, _count(one.quarantined), "", "")
    results = checks.get(one.dataset, Counter())
    named = [f"{results[kind]} {kind}" for kind in ("ERROR", "WARN", "passed") if results[kind]]
    return (
        one.dataset,
        f"{one.last_interval:%F %R}Z",
        _span(one.lag_seconds or 0),
        _percent(one.today),
        _percent(one.yesterday),
        ", ".join(named),
        _count(one.quarantined),
        _count(one.rejected),
        _count(one.corrected),
    )


def _percent(share: float | None) -> str:
    """Rounded down, so that 100 % is all."""
    return "" if share is None else f"{int(share * 1000) / 10:g} %"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _span(seconds: int) -> str:
    if seconds < 0:
        return "ahead"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
