"""Turn any error that a snapshot's bytes cause into the rejection of that snapshot alone.

A parser, a conversion or a Parquet write can raise nearly anything on a hostile value: ValueError,
OverflowError, RecursionError, polars' and Arrow's own errors, and Rust panics, which are no
``Exception`` at all. Passed on are our own errors, which are precise already; those of the machine
(``OSError``, ``MemoryError``), which do not depend on the bytes; and what ends the process.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, MalformedPayload, Unexpected
from aurum_assets.resources.logs import get_logger

log = get_logger(__name__)

ANYTHING = (Exception, pl.exceptions.PanicException)  # except what ends the process
_NOT_THE_BYTES = (AurumError, OSError, MemoryError)


@contextmanager
def rejecting(dataset: Dataset, what: str, doing: str = "reading it") -> Iterator[None]:
    """Raise what the bytes of ``what`` cause as a ``MalformedPayload`` that names it.

    It may be a bug of ours: the log has the traceback.
    """
    try:
        yield
    except _NOT_THE_BYTES:
        raise
    except ANYTHING as error:
        log.error(  # noqa: TRY400  the traceback as text: renderers would show local variables
            "a snapshot is rejected", snapshot=what, exception=traceback_of(error)
        )
        msg = f"{dataset.key}: {doing} failed: {named(error)}"
        raise MalformedPayload(msg) from error


@contextmanager
def one_day(dataset: Dataset, day: str) -> Iterator[None]:
    """Raise an unforeseen error of a day as ``Unexpected``, which names it: other days go on."""
    try:
        yield
    except AurumError:
        raise
    except ANYTHING as error:
        log.error(  # noqa: TRY400  as above
            "a day failed", dataset=dataset.key, day=day, exception=traceback_of(error)
        )
        msg = f"{dataset.key} {day}: {named(error)}; the log has the traceback"
        raise Unexpected(msg) from error


def traceback_of(error: BaseException) -> str:
    """The traceback of an error for the log, without local variables, which fill pages."""
    return "".join(traceback.format_exception(error))


def named(error: BaseException) -> str:
    """The type and the first line of an error."""
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
