"""The composition root: every dataset times the builders, and the resources of the environment."""

import os

import dagster as dg

from aurum_assets.graph.alerts import alert_sensors
from aurum_assets.graph.assets import raw_asset, table_asset, table_checks
from aurum_assets.graph.health import health_definitions
from aurum_assets.graph.jobs import beats, cadence_job, cadence_schedule, replay_job
from aurum_assets.graph.maintenance import maintenance_definitions
from aurum_assets.graph.reference import reference_definitions
from aurum_assets.graph.sensors import sensors
from aurum_assets.markets import DATASETS
from aurum_assets.resources import logs
from aurum_assets.resources.settings import Home, Settings, open_home

_HOME = "Where AURUM_HOME and the other variables say: archive, lake, registry, limits, operators."


def build(home: Home) -> dg.Definitions:
    """The definitions of the code location, over ``home``."""
    pairs = [(d, home.config(d)) for d in DATASETS if home.config(d).enabled]
    running = os.environ.get("AURUM_SCHEDULES", "") == "running"
    work = [(beat, cadence_job(beat)) for beat in beats(pairs)]
    datasets = dg.Definitions(
        assets=[make(d, config) for d, config in pairs for make in (raw_asset, table_asset)],
        asset_checks=[table_checks(d, config) for d, config in pairs],
        jobs=[replay_job([d for d, _ in pairs]), *(job for _, job in work)],
        schedules=[cadence_schedule(job, beat, running=running) for beat, job in work],
        sensors=[
            *sensors(work, running=running),
            *alert_sensors([d for d, _ in pairs], running=running),
        ],
        resources={"home": dg.ResourceDefinition.hardcoded_resource(home, _HOME)},
        executor=dg.in_process_executor,  # a process a step costs seconds of imports
    )
    reference = reference_definitions(home, [d for d, _ in pairs], running=running)
    health = health_definitions([d for d, _ in pairs])
    maintenance = maintenance_definitions(running=running)
    return dg.Definitions.merge(datasets, reference, health, maintenance)


_settings = Settings.read()
logs.configure(_settings.log_level, _settings.log_format, _settings.environment)
defs = build(open_home(DATASETS, _settings))
