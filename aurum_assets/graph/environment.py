"""The resources of the environment: a field for each variable, by its name where it is set."""

import json
import os
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import SecretStr

from aurum_assets.graph.resources import (
    AlertsResource,
    EventsResource,
    FolderArchive,
    HomeResource,
    LakeResource,
    MetricsResource,
    RegistryResource,
    RuntimeResource,
    SharedStateResource,
    api_key_of,
    api_resource_of,
    field_of,
    keep_configuration,
    parts_of,
)
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.operator import Operator
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.environment import environment
from aurum_assets.resources.settings import Settings, open_resources

_PUT = "_AURUM_PUT"  # what is in the environment because an ``.env`` file says so, as JSON


def settings_now() -> Settings:
    """The settings by ``.env`` files as they are now.

    What an earlier load put into the environment is taken out: a run inherits it from the code
    server. Raises ``ConfigError`` like ``Settings.read``.
    """
    for name, value in json.loads(os.environ.pop(_PUT, "{}")).items():
        if os.environ.get(name) == value:
            del os.environ[name]
    return Settings.read()


def resources_for(given: Resources | Mapping[str, object]) -> dict[str, object]:
    """The parts of a record; or the resources of the environment, with the ``given`` ones by name
    in the place of theirs.

    Raises ``ConfigError`` for a wrong environment, and for a name that there is not.
    """
    if isinstance(given, Resources):
        return parts_of(given)
    settings = settings_now()
    configuration = open_resources(DATASETS, settings).configuration  # refuses what is wrong
    keep_configuration(settings.config, configuration)
    found = resources_of(settings, configuration)
    known = set(found) - {"s3"}  # which is swapped with its archive
    if unknown := sorted(set(given) - known):
        msg = f"there is no resource {unknown[0]}; there are {', '.join(sorted(known))}"
        raise ConfigError(msg)
    return {**found, **given}


def shown(part: object) -> object:
    """A part as a resource of Dagster's, if it is none."""
    if isinstance(part, dg.ConfigurableResource):
        return part
    description = f"A {type(part).__name__} that was given."
    return dg.ResourceDefinition.hardcoded_resource(part, description)


def resources_of(
    settings: Settings, configuration: Configuration
) -> dict[str, dg.ConfigurableResource[Any]]:
    """The resources by name. Variables of ``.env`` files are put into the process's environment,
    where Dagster looks for them when a run begins.
    """
    variables = _Variables(settings)
    apis = {api_key_of(o): _api(o, variables, configuration) for o in OPERATORS}
    return {
        "runtime": RuntimeResource(
            config_folder=str(settings.config),
            environment=variables.text("environment", "dev"),
            now=settings.now.isoformat() if settings.now else "",
            repairs=settings.repairs,
            keep_runs_days=settings.keep_runs_days,
        ),
        "home": HomeResource(folder=variables.text("home", str(settings.home))),
        "shared_state": SharedStateResource(
            redis_url=variables.text("redis_url"),
            redis_host=variables.text("redis_host"),
            redis_port=settings.redis_port,
            redis_db=settings.redis_db,
            machines=settings.machines,
        ),
        **_archive(settings, variables),
        "registry": RegistryResource(),
        "lake": LakeResource(
            catalog_type=variables.text("catalog_type"),
            catalog_uri=variables.text("catalog_uri"),
            warehouse=variables.text("catalog_warehouse"),
            properties=variables.text("catalog_properties"),
            s3_endpoint=variables.text("s3_endpoint"),
            s3_region=variables.text("s3_region"),
            aws_profile=variables.text("aws_profile"),
        ),
        "events": EventsResource(
            brokers=variables.text("kafka_brokers"),
            username=variables.text("kafka_username"),
            password=variables.text("kafka_password"),
            protocol=variables.text("kafka_protocol"),
            mechanism=variables.text("kafka_mechanism", settings.kafka_mechanism),
            connection=variables.text("kafka_connection"),
        ),
        "alerts": AlertsResource(
            webhook_url=variables.text("webhook_url"), runbooks=variables.text("runbooks")
        ),
        "metrics": MetricsResource(file=variables.text("metrics_file")),
        **apis,
    }


def _api(
    operator: Operator, variables: "_Variables", configuration: Configuration
) -> dg.ConfigurableResource[Any]:
    config = configuration.operators[operator.name]
    credentials = {
        field_of(operator, name): variables.named((name,)) for name in operator.variables
    }
    return api_resource_of(operator)(
        base_url=variables.named((operator.base_url_variable,), config.base_url),
        attempts=config.attempts,
        limit_scale=variables.settings.limit_scale,
        **credentials,
    )


def _archive(
    settings: Settings, variables: "_Variables"
) -> dict[str, dg.ConfigurableResource[Any]]:
    """On S3, with ``s3`` as a resource of its own, where its place is there; else in a folder."""
    place = settings.archive or (settings.s3_bucket and f"s3://{settings.s3_bucket}")
    if not place.startswith("s3://"):
        return {"archive": FolderArchive(place=variables.text("archive"))}
    from aurum_assets.graph.s3 import S3Archive
    from aurum_assets.resources.bounded_s3 import BoundedS3Resource

    s3 = BoundedS3Resource(
        endpoint_url=variables.text("s3_endpoint") or None,
        region_name=variables.text("s3_region") or None,
        profile_name=variables.text("aws_profile") or None,
    )
    return {"s3": s3, "archive": S3Archive(place=variables.text("archive", place), s3=s3)}


class _Variables:
    """What is set in the environment, by the fields of ``settings``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._held = environment()
        self._put: dict[str, str] = {}

    def text(self, field: str, default: str | None = None) -> str:
        """The variable that gave the field its value; the ``default`` (the field's) if none did.

        Of several that are set, in the environment and in ``.env``, that is not always the first.
        """
        alias: Any = Settings.model_fields[field].validation_alias
        value = getattr(self.settings, field)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        names = tuple(alias.choices)
        gave = tuple(name for name in names if self._held.get(name) == text)
        return self.named(gave or names, default)

    def named(self, names: tuple[str, ...], default: str | None = None) -> str:
        """The first of the variables ``names`` that is set, as Dagster shows and reads it."""
        for name in names:
            if name in self._held:
                if os.environ.get(name) != self._held[name]:
                    os.environ[name] = self._put[name] = self._held[name]
                    os.environ[_PUT] = json.dumps(self._put)
                return dg.EnvVar(name)
        return default or ""
