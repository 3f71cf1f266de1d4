"""The composition root: every dataset times the builders, and the resources of the environment."""

import gc
import os
from collections.abc import Mapping
from types import MappingProxyType

import dagster as dg

from aurum_assets.graph.alerts import alert_sensors
from aurum_assets.graph.assets import raw_asset, table_asset, table_checks
from aurum_assets.graph.environment import resources_for, settings_now, shown
from aurum_assets.graph.health import health_definitions
from aurum_assets.graph.jobs import cadence_job, cadence_schedule, replay_job, schedule_groups
from aurum_assets.graph.maintenance import maintenance_definitions
from aurum_assets.graph.marts import marts_definitions
from aurum_assets.graph.quality import quality_definitions
from aurum_assets.graph.reference import reference_definitions
from aurum_assets.graph.report import report_definitions
from aurum_assets.graph.resources import runtime_of
from aurum_assets.graph.sensors import sensors
from aurum_assets.operators import DATASETS
from aurum_assets.resources import logs
from aurum_assets.resources.composition import Resources

# What is imported and built here stays: it is not to be looked through for garbage again and again.
_COLLECT_AFTER = (50_000, 10, 10)


def build(resources: Resources | Mapping[str, object] = MappingProxyType({})) -> dg.Definitions:
    """The definitions of the code location, on the resources of the environment.

    ``resources`` by name take the place of these: resources of Dagster's or plain parts; all of
    them where it is a record. Raises ``ConfigError`` for a wrong environment, or an unknown name.
    """
    found = resources_for(resources)
    configuration = runtime_of(found["runtime"]).configuration
    configs = configuration.datasets
    pairs = [(d, configs[d.key]) for d in DATASETS if configs[d.key].enabled]
    running = os.environ.get("AURUM_SCHEDULES", "") == "running"
    work = [(group, cadence_job(group)) for group in schedule_groups(pairs)]
    datasets = dg.Definitions(
        assets=[make(d, config) for d, config in pairs for make in (raw_asset, table_asset)],
        asset_checks=[table_checks(d, config) for d, config in pairs],
        jobs=[replay_job(pairs), *(job for _, job in work)],
        schedules=[cadence_schedule(job, group, running=running) for group, job in work],
        sensors=[
            *sensors(work, running=running),
            *alert_sensors([d for d, _ in pairs], running=running),
        ],
        resources={name: shown(part) for name, part in found.items()},
        executor=dg.in_process_executor,  # a process a step costs seconds of imports
    )
    reference = reference_definitions(configuration, [d for d, _ in pairs], running=running)
    health = health_definitions([d for d, _ in pairs])
    quality = quality_definitions(pairs, running=running)
    maintenance = maintenance_definitions(running=running)
    marts = marts_definitions(configuration, [d for d, _ in pairs], running=running)
    report = report_definitions(configuration, [d for d, _ in pairs], running=running)
    return dg.Definitions.merge(datasets, reference, marts, health, quality, report, maintenance)


_settings = settings_now()
logs.configure(_settings.log_level, _settings.log_format, _settings.environment)
defs = build()
gc.freeze()
gc.set_threshold(*_COLLECT_AFTER)
