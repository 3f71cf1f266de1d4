"""The environment, and the resources that it describes.

``Settings`` reads the variables, ``open_resources`` makes of them the settings of each part. A
wrong file or variable is one ``ConfigError`` naming it, what it holds and what it should hold.
"""

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import ConfigError
from aurum_assets.resources import redaction
from aurum_assets.resources.archive import ArchiveSettings
from aurum_assets.resources.catalog import catalog_properties
from aurum_assets.resources.composition import Resources, Specification, compose, wall_clock
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.credentials import NOTHING, access
from aurum_assets.resources.environment import PROJECT, env_files, environment, is_address
from aurum_assets.resources.events import brokers_of
from aurum_assets.resources.logs import hide_secrets
from aurum_assets.resources.objects import open_store, s3_properties
from aurum_assets.resources.redis import redis_url

# What has to be there: a home; a lake (a home, or a configured catalog); an archive (a home, or a
# configured archive).
Needs = Literal["nothing", "home", "lake", "archive"]


def _named(*names: str, default: Any = "", **bounds: Any) -> Any:  # noqa: ANN401  as Field has it
    """A setting under several names: ours, then those that other tools gave it."""
    return Field(default=default, validation_alias=AliasChoices(*names), **bounds)


def _lower(value: object) -> object:
    """``INFO`` as ``info``."""
    return value.lower() if isinstance(value, str) else value


class Settings(BaseSettings):
    """The settings of the environment. Every variable is described in ``.env.example``."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    home: Path = _named("AURUM_HOME", default=Path(".aurum"))
    config: Path = _named("AURUM_CONFIG", default=PROJECT / "config")
    now: dt.datetime | None = _named("AURUM_NOW", default=None)
    limit_scale: float = _named("AURUM_LIMIT_SCALE", default=1.0, gt=0)
    repairs: int = _named("AURUM_REPAIRS", default=4, ge=0)
    keep_runs_days: int = _named("AURUM_KEEP_RUNS_DAYS", default=7, ge=1)

    environment: Literal["dev", "staging", "prod"] = _named("AURUM_ENVIRONMENT", default="dev")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        _named("AURUM_LOG_LEVEL", default="warning")
    )
    log_format: Literal["console", "json"] = _named("AURUM_LOG_FORMAT", default="console")
    archive: str = _named("AURUM_ARCHIVE")
    s3_bucket: str = _named("S3_BUCKET")
    s3_endpoint: str = _named("AURUM_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    s3_region: str = _named("AURUM_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    aws_profile: str = _named("AWS_PROFILE")
    catalog_type: Literal["", "sql", "rest", "glue"] = _named("AURUM_CATALOG_TYPE")
    catalog_uri: SecretStr = _named("AURUM_CATALOG_URI", default=NOTHING)
    catalog_warehouse: str = _named("AURUM_CATALOG_WAREHOUSE")
    catalog_properties: SecretStr = _named("AURUM_CATALOG_PROPERTIES", default=NOTHING)
    redis_url: SecretStr = _named("AURUM_REDIS_URL", default=NOTHING)
    redis_host: str = _named("REDIS_HOST")
    redis_port: int = _named("REDIS_PORT", default=6379, gt=0, lt=65536)
    redis_db: int = _named("REDIS_DB", default=0, ge=0)
    machines: int = _named("AURUM_MACHINES", default=1, ge=1)
    kafka_brokers: str = _named("AURUM_KAFKA_BROKERS")
    kafka_username: str = _named("AURUM_KAFKA_USERNAME")
    kafka_password: SecretStr = _named("AURUM_KAFKA_PASSWORD", default=NOTHING)
    kafka_protocol: Literal["", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _named(
        "AURUM_KAFKA_PROTOCOL"
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = _named(
        "AURUM_KAFKA_MECHANISM", default="PLAIN"
    )
    kafka_connection: SecretStr = _named(
        "AURUM_KAFKA_CONNECTION", "KAFKA_CONNECTION_STRING", default=NOTHING
    )
    webhook_url: SecretStr = _named("AURUM_WEBHOOK_URL", default=NOTHING)
    runbooks: str = _named("AURUM_RUNBOOKS")
    metrics_file: Path | None = _named("AURUM_METRICS_FILE", default=None)
    # Read by Dagster's definitions and dagster.yaml, where a wrong value would be silent.
    schedules: Literal["", "running"] = _named("AURUM_SCHEDULES")
    workers: Literal["", "celery"] = _named("AURUM_WORKERS")
    backfill_runs: int = _named("AURUM_BACKFILL_RUNS", default=2, ge=1)
    dagster_postgres_url: SecretStr = _named("AURUM_DAGSTER_POSTGRES_URL", default=NOTHING)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, then the file that it names, else both places of a ``.env``."""
        del dotenv_settings, file_secret_settings
        dotenv = DotEnvSettingsSource(settings_cls, env_file=env_files())
        return init_settings, env_settings, dotenv

    @classmethod
    def read(cls, **values: object) -> "Settings":
        """Read the environment; each of ``values`` that is not None replaces its variable.

        Raises ``ConfigError`` naming the variable that is wrong.
        """
        given = {name: value for name, value in values.items() if value is not None}
        file = os.environ.get("AURUM_ENV_FILE")
        if file and not Path(file).exists():
            msg = f"environment variable AURUM_ENV_FILE: there is no file {file}"
            raise ConfigError(msg)
        try:
            return cls().model_copy(update=given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            msg = f"environment variable {first['loc'][0]}: {first['msg']}"
            raise ConfigError(msg) from None


def open_resources(
    datasets: tuple[Dataset, ...],
    settings: Settings | None = None,
    *,
    needs: Needs = "nothing",
    even_moved: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Resources:
    """The resources that the environment describes; nothing is written.

    Raises ``ConfigError`` naming the variable or file that is wrong, or where what it ``needs`` is
    not there; ``HomeMoved`` where the home was made in another place, unless ``even_moved``. A
    configured catalog is asked for that when it is opened. ``variables``: what holds of operators
    in the place of the environment.
    """
    resources = compose(specification(datasets, settings or Settings.read(), variables))
    lake, archive = resources.lake, resources.archive
    instead = {"lake": lake.configured, "archive": archive.settings.place}
    if needs != "nothing" and not (instead.get(needs) or resources.home.exists):
        msg = (
            f"there is no home in {resources.root.resolve()}: name the folder of another "
            "(AURUM_HOME), or make one with `aurum collect`, `aurum load` or `aurum demo`"
        )
        raise ConfigError(msg)
    if not (even_moved or lake.configured):
        lake.refuse_elsewhere()
    return resources


def specification(
    datasets: tuple[Dataset, ...], settings: Settings, variables: Mapping[str, str] | None = None
) -> Specification:
    """What ``settings`` say of each part. Raises ``ConfigError``, see ``open_resources``."""
    redaction.learn(settings)
    hide_secrets()
    _refuse_what_is_no_address(settings)
    refuse_half_a_profile(settings)
    if settings.metrics_file is not None and settings.metrics_file.is_dir():
        msg = f"environment variable AURUM_METRICS_FILE: {settings.metrics_file} is a folder"
        raise ConfigError(msg)
    frozen = settings.now
    if frozen is not None and frozen.tzinfo is None:
        msg = f"environment variable AURUM_NOW: {frozen.isoformat()} needs an offset, e.g. a Z"
        raise ConfigError(msg)
    variables = environment() if variables is None else variables
    ways = {d.operator.name: access(d.operator, variables) for d in datasets}
    known = {n: w.credentials for n, w in ways.items() if w.credentials.given}
    root = settings.home.expanduser()
    if root.exists() and not root.is_dir():
        msg = f"environment variable AURUM_HOME: {root} is a file, a home is a folder"
        raise ConfigError(msg)
    archive = ArchiveSettings(
        place=settings.archive or (settings.s3_bucket and f"s3://{settings.s3_bucket}"),
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        profile=settings.aws_profile,
    )
    open_store(archive, root / "archive")  # refuses what names no place
    return Specification(
        root=root,
        configuration=load_config(settings.config, datasets).opted(datasets, known),
        base_urls={name: way.base_url for name, way in ways.items()},
        credentials=known,
        clock=(lambda: frozen) if frozen is not None else wall_clock,
        limit_scale=settings.limit_scale,
        config_folder=settings.config,
        repairs=settings.repairs,
        keep_runs_days=settings.keep_runs_days,
        environment=settings.environment,
        archive=archive,
        catalog=catalog_properties(
            settings.catalog_type,
            settings.catalog_uri.get_secret_value(),
            settings.catalog_warehouse,
            settings.catalog_properties.get_secret_value(),
            home=settings.home,
            s3=s3_properties(archive),
        ),
        redis_url=SecretStr(
            redis_url(
                settings.redis_url.get_secret_value(),
                settings.redis_host,
                settings.redis_port,
                settings.redis_db,
            )
        ),
        machines=settings.machines,
        brokers=brokers_of(
            settings.kafka_brokers,
            settings.kafka_username,
            settings.kafka_password.get_secret_value(),
            settings.kafka_protocol,
            settings.kafka_mechanism,
            settings.kafka_connection.get_secret_value(),
        ),
        webhook_url=settings.webhook_url,
        runbooks=settings.runbooks,
        metrics_file=settings.metrics_file,
    )


def refuse_half_a_profile(settings: Settings) -> None:
    """Raise ``ConfigError`` where the workers lack one of the servers that they need."""
    needed = {
        "AURUM_REDIS_URL": settings.redis_url.get_secret_value() or settings.redis_host,
        "AURUM_DAGSTER_POSTGRES_URL": settings.dagster_postgres_url.get_secret_value(),
    }
    absent = [name for name, value in needed.items() if not value]
    if settings.workers and absent:
        msg = (
            f"environment variable AURUM_WORKERS: {settings.workers} needs "
            f"{' and '.join(absent)} too"
        )
        raise ConfigError(msg)


def _refuse_what_is_no_address(settings: Settings) -> None:
    """Raise ``ConfigError`` for an address at which nobody could be asked."""
    postgres = ("postgresql", "postgresql+psycopg2", "postgres")
    web = ("http", "https")
    for name, address, schemes, expected in (
        ("AURUM_S3_ENDPOINT", settings.s3_endpoint, web, "https://host"),
        ("AURUM_RUNBOOKS", settings.runbooks, web, "https://host/path"),
        ("AURUM_WEBHOOK_URL", settings.webhook_url.get_secret_value(), web, "https://host/path"),
        (
            "AURUM_DAGSTER_POSTGRES_URL",
            settings.dagster_postgres_url.get_secret_value(),
            postgres,
            "postgresql+psycopg2://user:password@host:5432/db",
        ),
    ):
        if address and not is_address(address, schemes, plain=False):
            msg = f"environment variable {name}: expected {expected}; found something else"
            raise ConfigError(msg)
