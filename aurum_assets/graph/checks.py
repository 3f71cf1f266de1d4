"""How a table's checks are made known to Dagster: one op that looks again, one spec a check.

What the checks are and what they say belongs to ``model`` and ``reference``.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping

import dagster as dg

from aurum_assets.graph import translate
from aurum_assets.model.checks import Verdict
from aurum_assets.resources.settings import Home


def asset_checks(
    name: str,
    key: dg.AssetKey,
    days: dg.PartitionsDefinition,
    described: Mapping[str, str],
    look: Callable[[Home, str], Iterable[Verdict]],
) -> dg.AssetChecksDefinition:
    """The checks of ``key``, ``described`` by name, to be run by themselves or after a
    materialization from the UI; ``look`` gives their verdicts on a partition.

    A scheduled run leaves these out: the asset reports the same verdicts from within its own step,
    which costs a third of the CPU (no output, plan and look-up for each of up to ten checks).
    """

    @dg.multi_asset_check(name=name, specs=_specs(key, days, described), can_subset=True)
    def check(
        context: dg.AssetCheckExecutionContext, home: dg.ResourceParam[Home]
    ) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.name for key in context.selected_asset_check_keys}
        with translate.failures_in_words(context.run.run_id):
            verdicts = look(home, context.partition_key)
        for verdict in verdicts:
            if verdict.check in wanted:
                yield translate.check_result(verdict, key)

    return check


def reports_itself(context: dg.AssetExecutionContext, name: str) -> bool:
    """Whether the run leaves ``asset_checks`` out: then the asset's step reports the verdicts."""
    return not context.op_execution_context.job_def.has_node_named(name)


def _specs(
    key: dg.AssetKey, days: dg.PartitionsDefinition, described: Mapping[str, str]
) -> list[dg.AssetCheckSpec]:
    with warnings.catch_warnings():
        # Partitioned checks are a preview of Dagster's; with one partition a run they are sound.
        warnings.filterwarnings("ignore", message=".*partitions_def on an AssetCheckSpec.*")
        return [
            dg.AssetCheckSpec(name, asset=key, description=said, partitions_def=days)
            for name, said in described.items()
        ]
