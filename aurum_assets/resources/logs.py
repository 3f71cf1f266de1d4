"""The log: one line an event to standard error, for the command line and for Dagster's runs alike.

Ours (structlog) and the libraries' (logging) go the same way: fields bound by ``bound`` (dataset,
day, run), environment, then redaction, then JSON or words. What is worth a line is decided by who
writes it.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import structlog

from aurum_assets.model.shown import visible
from aurum_assets.resources.redaction import HIDDEN, redacted

Level = Literal["debug", "info", "warning", "error"]
_HEADERS = {"authorization", "proxy-authorization", "x-api-key", "x-amz-security-token"}


class _StandardError:
    """What standard error is at the moment: a program may put another in its place."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class Handler(logging.StreamHandler[_StandardError]):
    """Ours, to be told from others."""


def configure(
    level: Level,
    layout: Literal["console", "json"],
    environment: str,
    *,
    anew: bool = False,
) -> None:
    """Set up the log of this process, once: later calls change nothing unless ``anew``."""
    root = logging.getLogger()
    ours = [h for h in root.handlers if isinstance(h, Handler)]
    if ours and structlog.is_configured() and not anew:
        return
    for handler in ours:
        root.removeHandler(handler)

    def in_environment(_: Any, __: str, event: structlog.typing.EventDict) -> Any:  # noqa: ANN401  as structlog has it
        return {"environment": environment, **event}

    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        in_environment,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = Handler(_StandardError())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                redact,
                _renderer(layout),
            ],
        )
    )
    root.addHandler(handler)
    root.setLevel(level.upper())


def bound(**fields: str) -> AbstractContextManager[None]:
    """Every line written within the block carries ``fields``."""
    return structlog.contextvars.bound_contextvars(**fields)


def redact(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:  # noqa: ANN401  as structlog has it
    """The processor: no secret in any field, however deep, nor in a traceback."""
    return {key: _shown(key, value) for key, value in event.items()}


def _shown(key: str, value: Any) -> Any:  # noqa: ANN401  whatever is logged
    if key.lower() in _HEADERS:
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {redacted(str(k)): _shown(str(k), v) for k, v in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [_shown("", v) for v in value]
    return visible(redacted(value if isinstance(value, str) else str(value)))


def _renderer(layout: Literal["console", "json"]) -> structlog.typing.Processor:
    if layout == "json":
        return structlog.processors.JSONRenderer(default=str)
    # Not its own formatter of exceptions, which shows local variables.
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
