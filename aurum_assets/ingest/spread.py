"""Spread: an answer that is of several operating days is archived under each of them.

It belongs to the newest of its days. It is put under an older one too where it holds something new
of that day: a row that the newest answer to the same request there has not, or has otherwise. (A
feed that shows the last two days drops the oldest rows at each poll, and brings nothing by that.)
So an outage of hours needs no repair: the next answer fills the gap, in yesterday as well. Of an
answer under a day, only the rows of that day are read.
"""

import datetime as dt
from dataclasses import replace

import polars as pl

from aurum_assets.ingest.keep import keep
from aurum_assets.ingest.rejecting import rejecting
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Envelope, Snapshot
from aurum_assets.model.errors import ConfigError, DataError, StoreError
from aurum_assets.model.reading import Inspection, read
from aurum_assets.resources.archive import endpoint_of, order_of
from aurum_assets.resources.composition import Resources

_OLDEST = dt.date(1999, 1, 1)
_AHEAD = dt.timedelta(days=8)


def is_believable(day: str, fetched: OperatingDay) -> bool:
    """Whether an answer that was fetched on the day ``fetched`` may be of ``day`` (YYYY-MM-DD)."""
    try:
        return _OLDEST <= dt.date.fromisoformat(day) <= fetched.date + _AHEAD
    except ValueError:
        return False


def lies_elsewhere(day: OperatingDay, fetched_at: dt.datetime) -> pl.Expr:
    """Whether a row is of another believable day than ``day``; one that is of none is not."""
    first, last = (OperatingDay(d, day.zone) for d in (_OLDEST, fetched_at.date() + _AHEAD))
    start = pl.col("interval_start")
    return start.is_between(first.start, last.end, closed="left") & ~_is_in(day)


def _is_in(day: OperatingDay) -> pl.Expr:
    return pl.col("interval_start").is_between(day.start, day.end, closed="left")


def spread(
    resources: Resources,
    dataset: Dataset,
    envelope: Envelope,
    body: bytes,
    seen: Inspection,
    *,
    force: bool,
) -> tuple[str, ...]:
    """Archive an answer under its older days too; those that it is archived under, in order.

    None where its dialect is of one day. With ``force`` it is archived under each in any case.
    """
    if not seen.dialect.several_days:
        return ()
    fetched = dataset.operator.day_of(envelope.fetched_at)
    others = sorted({d for d in seen.days if d < envelope.day and is_believable(d, fetched)})
    found = []
    for day in map(dataset.day, others):
        own = replace(envelope, day=day.key)
        if not force and not _holds_something_new(resources, dataset, own, body, day):
            continue
        if keep(resources, dataset, own, body, force=force).failure is None:
            found.append(day.key)
    return tuple(found)


def _holds_something_new(
    resources: Resources, dataset: Dataset, envelope: Envelope, body: bytes, day: OperatingDay
) -> bool:
    """Whether the newest answer to the same request under ``day`` lacks a row of this one.

    True where that cannot be told: an extra copy is harmless.
    """
    folder, order = dataset.archive_name, order_of(envelope.identifier)
    names = [*dataset.table.key, *dataset.table.values]
    try:
        before = [
            identifier
            for identifier in resources.archive.identifiers(folder, day.key)
            if endpoint_of(identifier) == envelope.endpoint and order_of(identifier) <= order
        ]
        if not before:
            return True
        last = resources.archive.snapshot(folder, day.key, max(before, key=order_of))
        with rejecting(dataset, envelope.identifier):
            held, ours = (
                read(dataset, snapshot).frame.filter(_is_in(day))
                for snapshot in (last, Snapshot(envelope, body))
            )
    except (StoreError, ConfigError, DataError):
        return True
    return not ours.join(held, on=names, how="anti", nulls_equal=True).is_empty()
