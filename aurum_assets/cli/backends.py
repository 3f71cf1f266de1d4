"""Options that name S3, Redis and Kafka instead of variables, and the log level of a command.

An option takes precedence over a variable, and replaces all variables of the same server: no
password that was meant for one server is ever sent to another.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from pydantic import SecretStr

from aurum_assets.cli.arguments import with_options
from aurum_assets.cli.output import warn
from aurum_assets.resources import logs
from aurum_assets.resources.credentials import NOTHING
from aurum_assets.resources.settings import Settings

LEVELS = click.Choice(["debug", "info", "warning", "error"], case_sensitive=False)
_USUAL: logs.Level = "info"  # of collect, as the specification has it
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_HOST = r"[A-Za-z0-9_.-]+|\[?[0-9A-Fa-f:.]+\]?"
_BROKER = r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}"

_OPTIONS = (
    click.option(
        "--s3-bucket",
        metavar="NAME",
        help="Archive to this S3 bucket, under sourcing/… (or: S3_BUCKET, AURUM_ARCHIVE).",
    ),
    click.option(
        "--aws-profile",
        metavar="NAME",
        help="The AWS profile whose credentials are used (or: AWS_PROFILE).",
    ),
    click.option(
        "--environment",
        type=click.Choice(["dev", "staging", "prod"]),
        help="Labels logs, metrics and messages (or: AURUM_ENVIRONMENT).",
    ),
    click.option(
        "--redis-host",
        metavar="HOST",
        help="Hash registry and limits in this Redis (or: REDIS_HOST, AURUM_REDIS_URL).",
    ),
    click.option(
        "--redis-port",
        type=click.IntRange(1, 65535),
        help="Its port (default: REDIS_PORT, else 6379).",
    ),
    click.option(
        "--redis-db",
        type=click.IntRange(0, 65535),
        help="Its database (default: REDIS_DB, else 0).",
    ),
    click.option(
        "--log-level",
        type=LEVELS,
        help="How much is logged to standard error (default: AURUM_LOG_LEVEL, else INFO).",
    ),
    click.option(
        "--kafka-connection-string",
        metavar="USER:PASSWORD@HOST:PORT,…",
        help=(
            "Publish to these brokers. The password is visible in the process list: better set "
            "KAFKA_CONNECTION_STRING."
        ),
    ),
)
_NAMES = (
    "s3_bucket",
    "aws_profile",
    "environment",
    "redis_host",
    "redis_port",
    "redis_db",
    "log_level",
    "kafka_connection_string",
)


def with_backends(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options to ``command``, which gets the environment with them as ``settings``."""

    @wraps(command)
    def taking(**options: Any) -> object:  # noqa: ANN401  as click passes them
        given = {name: options.pop(name) for name in _NAMES}
        before = Settings.read()
        settings = overridden(before, {k: v for k, v in given.items() if v is not None})
        group = click.get_current_context().find_root().params.get("log_level")
        usual = before.log_level if "log_level" in before.model_fields_set else _USUAL
        log_to_stderr(settings, given["log_level"] or group or usual)
        if given["kafka_connection_string"]:
            warn(
                "--kafka-connection-string shows its password in the list of processes; "
                "set KAFKA_CONNECTION_STRING in the environment instead"
            )
        return command(settings=settings, **options)

    return with_options(_OPTIONS)(taking)


def overridden(settings: Settings, given: dict[str, Any]) -> Settings:
    """``settings`` overridden by the options ``given``. Raises ``UsageError`` for wrong ones."""
    changes: dict[str, Any] = {
        name: given[name] for name in ("aws_profile", "environment", "log_level") if name in given
    }
    if "s3_bucket" in given:
        _require(_BUCKET, given["s3_bucket"], "--s3-bucket", "the name of an S3 bucket")
        changes |= {"s3_bucket": given["s3_bucket"], "archive": f"s3://{given['s3_bucket']}"}
    if "aws_profile" in given:
        _require(r"[\w.@+ -]+", given["aws_profile"], "--aws-profile", "the name of an AWS profile")
    changes |= _redis(settings, given)
    if "kafka_connection_string" in given:
        text = given["kafka_connection_string"]
        if not re.fullmatch(rf"(?:[^:@\s]+:\S+@)?{_BROKER}(?:,{_BROKER})*", text):
            msg = "--kafka-connection-string is not user:password@broker1:9092,broker2:9092"
            raise click.UsageError(msg)
        changes |= {
            "kafka_connection": SecretStr(text),
            "kafka_brokers": "",
            "kafka_username": "",
            "kafka_password": NOTHING,
        }
    return settings.model_copy(update=changes)


def _redis(settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a Redis by its options; the host defaults to this machine."""
    found: dict[str, Any] = {
        k: given[k] for k in ("redis_host", "redis_port", "redis_db") if k in given
    }
    if not found:
        return {}
    if "redis_host" in found:
        _require(_HOST, found["redis_host"], "--redis-host", "the name or address of a host")
    elif settings.redis_url.get_secret_value():
        option = "--" + next(iter(found)).replace("_", "-")
        msg = f"{option} needs --redis-host, for AURUM_REDIS_URL names another Redis as a whole"
        raise click.UsageError(msg)
    host = settings.redis_host or "localhost"
    return {"redis_host": host, **found, "redis_url": NOTHING}


def _require(pattern: str, value: str, option: str, expected: str) -> None:
    if not re.fullmatch(pattern, value, re.ASCII):
        msg = f"{option} {value!r} is not {expected}"
        raise click.UsageError(msg)


def log_to_stderr(settings: Settings, level: logs.Level | None = None) -> None:
    """Log to standard error in the environment's format, from ``level`` on."""
    level = level or settings.log_level
    logs.configure(level, settings.log_format, settings.environment, anew=True)
