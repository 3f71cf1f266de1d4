"""Dagster definitions of a table's checks: one op that runs them, one spec for each check.

The checks themselves are in ``model`` and ``reference``.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import dagster as dg

from aurum_assets.graph import translate
from aurum_assets.graph.resources import TABLES, assembled
from aurum_assets.model.checks import Verdict
from aurum_assets.resources.composition import Resources


def asset_checks(
    name: str,
    key: dg.AssetKey,
    days: dg.PartitionsDefinition,
    described: Mapping[str, str],
    look: Callable[[Resources, str], Iterable[Verdict]],
    uses: frozenset[str] = TABLES,
) -> dg.AssetChecksDefinition:
    """The checks of ``key`` (descriptions by name), which run alone or after a materialization
    from the UI; ``look`` gives their verdicts on a partition. A check that has nothing to judge
    gives no result, which the UI shows as skipped; the run's log has the reason.

    A scheduled run leaves these out: the asset reports the same verdicts from its own step, which
    costs a third of the CPU (no output, plan and look-up for each of up to ten checks).
    """

    @dg.multi_asset_check(
        name=name,
        description=f"Reads a day of {key.to_user_string()} and checks it.",
        specs=specs(key, days, described),
        can_subset=True,
        required_resource_keys=set(uses),
    )
    def check(
        context: dg.AssetCheckExecutionContext,
    ) -> Iterator[dg.AssetCheckResult]:
        resources = assembled(context, uses)
        wanted = {key.name for key in context.selected_asset_check_keys}
        with translate.translated_failures(context.run.run_id):
            verdicts = [v for v in look(resources, context.partition_key) if v.check in wanted]
        log_skipped(context, verdicts)
        for verdict in verdicts:
            if not verdict.skipped:
                yield translate.check_result(verdict, key)

    return check


def log_skipped(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, verdicts: Iterable[Verdict]
) -> None:
    """Log which checks were skipped, and why."""
    text = "; ".join(f"{v.check} skipped, {v.reason}" for v in verdicts if v.skipped)
    if text:
        context.log.info(text)


def report(
    context: dg.AssetExecutionContext, verdicts: Sequence[Verdict], key: dg.AssetKey
) -> None:
    """Log the verdicts of the run's partition of ``key`` from within the asset's own step."""
    log_skipped(context, verdicts)
    for evaluation in translate.check_evaluations(verdicts, key, context.partition_key):
        context.log_event(evaluation)


def reports_itself(context: dg.AssetExecutionContext, name: str) -> bool:
    """Whether the run leaves ``asset_checks`` out: then the asset's step reports the verdicts."""
    return not context.op_execution_context.job_def.has_node_named(name)


def specs(
    key: dg.AssetKey, days: dg.PartitionsDefinition, described: Mapping[str, str]
) -> list[dg.AssetCheckSpec]:
    """A check of each partition of ``key`` for each name, with its description."""
    with warnings.catch_warnings():
        # Partitioned checks are a preview of Dagster's; with one partition a run they are sound.
        warnings.filterwarnings("ignore", message=".*partitions_def on an AssetCheckSpec.*")
        return [
            dg.AssetCheckSpec(name, asset=key, description=doc, partitions_def=days)
            for name, doc in described.items()
        ]
