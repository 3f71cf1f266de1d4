"""The composition root: every dataset times the builders, and the resources of the environment."""

import os

import dagster as dg

from aurum_assets.graph.alerts import alert_sensors
from aurum_assets.graph.assets import raw_asset, table_asset, table_checks
from aurum_assets.graph.health import health_definitions
from aurum_assets.graph.jobs import cadence_job, cadence_schedule, replay_job, schedule_groups
from aurum_assets.graph.maintenance import maintenance_definitions
from aurum_assets.graph.reference import reference_definitions
from aurum_assets.graph.sensors import sensors
from aurum_assets.operators import DATASETS
from aurum_assets.resources import logs
from aurum_assets.resources.settings import Resources, Settings, open_resources

_HOME = "Where AURUM_HOME and the other variables say: archive, lake, registry, limits, operators."


def build(resources: Resources) -> dg.Definitions:
    """The definitions of the code location, over ``home``."""
    pairs = [(d, resources.config(d)) for d in DATASETS if resources.config(d).enabled]
    running = os.environ.get("AURUM_SCHEDULES", "") == "running"
    work = [(group, cadence_job(group)) for group in schedule_groups(pairs)]
    datasets = dg.Definitions(
        assets=[make(d, config) for d, config in pairs for make in (raw_asset, table_asset)],
        asset_checks=[table_checks(d, config) for d, config in pairs],
        jobs=[replay_job([d for d, _ in pairs]), *(job for _, job in work)],
        schedules=[cadence_schedule(job, group, running=running) for group, job in work],
        sensors=[
            *sensors(work, running=running),
            *alert_sensors([d for d, _ in pairs], running=running),
        ],
        resources={"resources": dg.ResourceDefinition.hardcoded_resource(resources, _HOME)},
        executor=dg.in_process_executor,  # a process a step costs seconds of imports
    )
    reference = reference_definitions(resources, [d for d, _ in pairs], running=running)
    health = health_definitions([d for d, _ in pairs])
    maintenance = maintenance_definitions(running=running)
    return dg.Definitions.merge(datasets, reference, health, maintenance)


_settings = Settings.read()
logs.configure(_settings.log_level, _settings.log_format, _settings.environment)
defs = build(open_resources(DATASETS, _settings))
