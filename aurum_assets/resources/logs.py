"""Logging: events with fields go to ``logging``, under the names of our modules.

An application's handlers, format and levels apply, and nothing is printed where it set up none. For
the command line and for Dagster's runs ``configure`` sets up one handler: one line an event to
standard error, with the fields bound by ``bound`` (dataset, day, run), as JSON or text. In either
case no secret is shown, whichever logger of the process wrote it.
"""

import copy
import logging
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, cast

import structlog

from aurum_assets.model.shown import visible
from aurum_assets.resources.redaction import HIDDEN, redacted, without_secrets

Level = Literal["debug", "info", "warning", "error"]
_HEADERS = {"authorization", "proxy-authorization", "x-api-key", "x-amz-security-token"}
_OURS = __name__.partition(".")[0]
# In their records, what looks like a secret is hidden too: they log our requests.
_LIBRARIES = {"boto3", "botocore", "httpcore", "httpx", "pyiceberg", "s3transfer", "sqlalchemy"}
_LIBRARIES |= {"confluent_kafka", "fsspec", "redis", "s3fs", "urllib3", _OURS}
_TALKATIVE = ("httpx", "httpcore")  # a line a request at info, besides our own
_OF_A_RECORD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "_logger", "_name"}
_FRAMES = 4  # from logging's method to the caller of structlog's


class Event(dict[str, Any]):
    """An event and its fields; as text ``no usable answer dataset=cts attempt=1``."""

    def __str__(self) -> str:
        """One line, followed by the traceback if there is one."""
        fields = {k: v for k, v in self.items() if k not in {"event", "exception"}}
        line = " ".join(
            [str(self.get("event")), *(f"{k}={_value_text(v)}" for k, v in fields.items())]
        )
        return "\n".join(filter(None, [line, self.get("exception")]))


def _value_text(value: Any) -> str:  # noqa: ANN401  whatever is logged
    text = str(value)
    return repr(text) if not text or any(c.isspace() for c in text) else text


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The log of the module ``name``: ``logging``'s, called with an event and its fields."""
    logger = logging.getLogger(name)
    logger.addFilter(_hide_extra)
    return cast(
        "structlog.stdlib.BoundLogger",
        structlog.wrap_logger(
            logger,
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.contextvars.merge_contextvars,
                _as_record,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        ),
    )


def _as_record(
    logger: logging.Logger, method: str, event: structlog.typing.EventDict
) -> tuple[tuple[Event], dict[str, Any]]:
    """The arguments for ``logging``; the extra fields mark them for ``ProcessorFormatter``."""
    exception = event.pop("exc_info", None)
    arguments, more = structlog.stdlib.ProcessorFormatter.wrap_for_formatter(
        logger, method, Event(event)
    )
    return arguments, {**more, "exc_info": exception, "stacklevel": _FRAMES}  # type: ignore[return-value]


# --- no secret in any record -------------------------------------------------------------------


def hide_secrets() -> None:
    """Hide known secrets in every log record of this process from now on.

    A text, an argument or a traceback that holds one is replaced; all other records stay as they
    are. For our own loggers and those of the libraries that carry our requests, what looks like a
    secret is hidden too.
    """
    before = logging.getLogRecordFactory()
    if isinstance(before, _Hiding):
        return
    logging.setLogRecordFactory(_Hiding(before))


class _Hiding:
    """A record factory that wraps another one and hides secrets."""

    def __init__(self, make: Any) -> None:  # noqa: ANN401  as logging has it
        self._make = make

    def __call__(self, *arguments: Any, **more: Any) -> logging.LogRecord:  # noqa: ANN401  as logging has it
        record: logging.LogRecord = self._make(*arguments, **more)
        ours = str(record.name).partition(".")[0] in _LIBRARIES  # None: a copy is made
        hide = redacted if ours else without_secrets
        caught = record.exc_info
        trace = "".join(traceback.format_exception(*caught)) if caught and caught[0] else ""
        hidden = hide(trace)
        if record.stack_info:
            record.stack_info = hide(record.stack_info)
        if isinstance(record.msg, Event):
            record.msg = Event(redact(None, "", record.msg))
            if hidden != trace:
                record.msg["exception"], record.exc_info = hidden, None
            return record
        text = _text(record)
        if (hide(text), hidden) != (text, trace):
            record.msg, record.args = hide(text), ()
            if hidden != trace:
                record.msg, record.exc_info = f"{record.msg}\n{hidden}", None
        return record


def _text(record: logging.LogRecord) -> str:
    """The message of a record; where it cannot be formatted, a substitute.

    An application's own objects are formatted here and may raise anything. That must not come out
    of its ``log.warning``: ``logging`` itself swallows any error of formatting a record.
    """
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  see above
        try:
            return f"{record.msg} {record.args}"
        except Exception:  # noqa: BLE001  see above
            return f"a {type(record.msg).__name__} that cannot be written"


def _hide_extra(record: logging.LogRecord) -> bool:
    """A filter of our loggers: fields of ``extra`` are added after the record is made."""
    for name in set(record.__dict__) - _OF_A_RECORD:
        record.__dict__[name] = _shown(name, record.__dict__[name])
    return True


def redact(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:  # noqa: ANN401  as structlog has it
    """A processor that hides secrets in any field, however deep, and in a traceback."""
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


# --- the command line's and Dagster's ------------------------------------------------------------


class _StandardError:
    """The present ``sys.stderr``: a program may replace it."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class Handler(logging.StreamHandler[_StandardError]):
    """Our handler; the class distinguishes it from others."""


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Moves the exception of a record into our event."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line, followed by the traceback."""
        message: object = record.msg
        if isinstance(message, Event) and record.exc_info:
            record = copy.copy(record)
            record.msg = Event(message, exc_info=record.exc_info)
        return super().format(record)


def configure(
    level: Level,
    layout: Literal["console", "json"],
    environment: str,
    *,
    anew: bool = False,
) -> None:
    """Set up logging in this process, once: later calls change nothing unless ``anew``.

    Only for our own programs; an application sets up ``logging`` itself.
    """
    root = logging.getLogger()
    ours = [h for h in root.handlers if isinstance(h, Handler)]
    if ours and not anew:
        return
    for handler in ours:
        root.removeHandler(handler)

    def in_environment(_: Any, __: str, event: structlog.typing.EventDict) -> Any:  # noqa: ANN401  as structlog has it
        return {"environment": environment, **event}

    handler = Handler(_StandardError())
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=[structlog.contextvars.merge_contextvars],
            processors=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                in_environment,
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
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    hide_secrets()


def bound(**fields: str) -> AbstractContextManager[None]:
    """Add ``fields`` to every event logged within the block."""
    return structlog.contextvars.bound_contextvars(**fields)


def _renderer(layout: Literal["console", "json"]) -> structlog.typing.Processor:
    if layout == "json":
        return structlog.processors.JSONRenderer(default=str)
    # Not its own formatter of exceptions, which shows local variables.
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
