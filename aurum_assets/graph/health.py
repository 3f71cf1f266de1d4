"""The asset ``health``: the open alerts, shown in Dagster's UI. Nothing is judged here.

No run materializes it: the sensor ``watch`` reports it by events without a run, with a check for
each kind of alert. It does so when an alert opens, closes or changes its severity; else once an
hour while one is open (its sentence contains an age) and once a day while none is. ``purge`` keeps
its events as long as runs.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import get_args

import dagster as dg
import msgspec

from aurum_assets import ingest
from aurum_assets.graph import translate
from aurum_assets.graph.assets import OWNERS
from aurum_assets.graph.resources import KEYS, assembled
from aurum_assets.model.clock import DAY, HOUR
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.shown import visible
from aurum_assets.resources.alerts import Alert, Kind

HEALTH = dg.AssetKey(["health"])
_SHOWN, _MOST = 5, 50  # in a sentence; in a table
_COLUMNS = ("sentence", "what_to_do", "kind", "severity", "dataset", "day", "opened_at")
_MEANS: dict[Kind, str] = {
    "failed_run": "No run has failed without a later one that succeeded.",
    "check_error": "No check of a table has an ERROR.",
    "drift": "No operator's answers have other fields than config expects.",
    "empty_answer": "No operator's newest answer is without records.",
    "breaker_open": "No operator is asked less often because it was unavailable.",
    "late_feed": "No feed is late.",
    "quarantine_growing": "No quarantine has grown within the hour.",
    "degraded": "Archive, lake, registry and Kafka can be reached.",
}
KINDS: tuple[Kind, ...] = get_args(Kind)


class Reported(msgspec.Struct):
    """The last report: ``open`` alerts (id to severity), and when (``at``)."""

    open: dict[str, str]
    at: dt.datetime


def health_definitions(datasets: Sequence[Dataset]) -> dg.Definitions:
    """The asset and its checks; "Execute" in the UI runs the watch."""
    spec = dg.AssetSpec(
        HEALTH,
        description="The open alerts, as in aurum alerts. The sensor watch "
        "reports it; the check of a kind of alert fails while one of its kind is open.",
        group_name="health",
        owners=OWNERS,
        kinds={"alert"},
    )
    specs = [dg.AssetCheckSpec(kind, asset=HEALTH, description=_MEANS[kind]) for kind in KINDS]

    @dg.multi_asset_check(
        name="check_health",
        description="Runs the watch, and reports which alerts are open.",
        specs=specs,
        can_subset=True,
        required_resource_keys=set(KEYS),
    )
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        resources = assembled(context, KEYS)
        with translate.translated_failures(context.run.run_id):
            alerts = ingest.look(resources, datasets)
        wanted = {key.name for key in context.selected_asset_check_keys}
        for kind in KINDS:
            if kind in wanted:
                found = _evaluation(kind, alerts)
                yield dg.AssetCheckResult(
                    passed=found.passed,
                    asset_key=HEALTH,
                    check_name=kind,
                    severity=found.severity,
                    description=found.description,
                    metadata=found.metadata,
                )

    return dg.Definitions(assets=[spec], asset_checks=[check])


def events_of(
    alerts: Sequence[Alert], before: Reported | None, now: dt.datetime
) -> tuple[list[dg.AssetMaterialization | dg.AssetCheckEvaluation], Reported]:
    """The events that report the open ``alerts``, and the new state of the report.

    No event where the same was reported ``before``.
    """
    there = Reported({a.alert_id: a.severity for a in alerts}, now)
    pause = HOUR if alerts else DAY
    if before and before.open == there.open and now - before.at < pause:
        return [], before
    made = dg.AssetMaterialization(
        HEALTH,
        description=sentence_of(alerts),
        metadata={"open_alerts": len(alerts)} | ({"alerts": _table(alerts)} if alerts else {}),
    )
    return [made, *(_evaluation(kind, alerts) for kind in KINDS)], there


def sentence_of(alerts: Sequence[Alert]) -> str:
    """The open alerts in one line."""
    if not alerts:
        return "no alert is open"
    named = [" ".join(filter(None, (a.kind, a.dataset or a.subject))) for a in alerts]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    count = "1 alert is open" if len(named) == 1 else f"{len(named)} alerts are open"
    return visible(f"{count}: {', '.join(named[:_SHOWN])}{more}")


def _evaluation(kind: Kind, alerts: Sequence[Alert]) -> dg.AssetCheckEvaluation:
    """The check of ``kind``: passed where no alert is open, else with the worst severity."""
    ours = [a for a in alerts if a.kind == kind]
    worst = "ERROR" if any(a.severity == "ERROR" for a in ours) else "WARN"
    sentences = [
        " ".join(filter(None, (a.dataset, a.day))) + f": {a.sentence}" for a in ours[:_SHOWN]
    ]
    sentences += [f"and {len(ours) - _SHOWN} more"] if len(ours) > _SHOWN else []
    metadata = {"open_alerts": dg.MetadataValue.int(len(ours))}
    return dg.AssetCheckEvaluation(
        asset_key=HEALTH,
        check_name=kind,
        passed=not ours,
        severity=dg.AssetCheckSeverity(worst),
        description=visible("; ".join(sentences).removeprefix(": "))
        or "no alert of this kind is open",
        metadata=metadata | ({"alerts": _table(ours)} if ours else {}),
    )


def _table(alerts: Sequence[Alert]) -> dg.TableMetadataValue:
    rows = [
        {name: visible(str(getattr(a, name))).replace("`", "") for name in _COLUMNS}
        for a in alerts[:_MOST]
    ]
    schema = dg.TableSchema([dg.TableColumn(name) for name in _COLUMNS])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema)
