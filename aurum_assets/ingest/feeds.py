"""Feeds: which feeds of a dataset are asked for a day, and by how many requests."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Feed
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.operator import Operator
from aurum_assets.resources.composition import Resources

_AFTER_MIDNIGHT = dt.timedelta(minutes=20)


def due_feeds(
    resources: Resources, dataset: Dataset, day: OperatingDay, names: Sequence[str] | None
) -> list[Feed]:
    """The feeds that ``names`` ask for; where None, those that have ``day`` by now."""
    feeds = resources.config(dataset).feeds
    if names is not None:
        unknown = sorted(set(names) - {f.name for f in feeds})
        if unknown:
            known = ", ".join(f.name for f in feeds)
            msg = f"{dataset.key} has no feed {unknown[0]!r}; it has {known}"
            raise ConfigError(msg)
        return [f for f in feeds if f.name in names]
    today = dataset.operator.day_of(resources.now())
    return [f for f in feeds if _has(f, day, today)]


def asked_feeds(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    names: Sequence[str] | None = None,
    filters: Mapping[str, str] | None = None,
) -> list[Feed]:
    """The feeds that are asked for ``day``: see ``narrowed`` and ``due_feeds``."""
    if filters:
        return narrowed(resources, dataset, filters, names)
    return due_feeds(resources, dataset, day, names)


def narrowed(
    resources: Resources,
    dataset: Dataset,
    filters: Mapping[str, str],
    names: Sequence[str] | None = None,
) -> list[Feed]:
    """The feeds (of ``names``) that take all of ``filters``.

    Raises ``ConfigError`` where there is none.
    """
    feeds = [f for f in resources.config(dataset).feeds if names is None or f.name in names]
    found = [f for f in feeds if set(filters) <= set(f.filters)]
    if not found:
        known = sorted({name for f in feeds for name in f.filters})
        which = f"feed {' or '.join(names)}" if names else "feed"
        msg = (
            f"{dataset.key} has no {which} that takes {' and '.join(sorted(filters))}; "
            f"its filters: {', '.join(known) or 'none'}"
        )
        raise ConfigError(msg)
    return found


def _has(feed: Feed, day: OperatingDay, today: OperatingDay) -> bool:
    if feed.asks == "now":
        return day == today
    return day <= today.plus(feed.offset_days) and keeps(feed, day, today)


def keeps(feed: Feed, day: OperatingDay, today: OperatingDay) -> bool:
    """Whether the operator has ``day`` now, as far as the feed's ``keeps_days`` says."""
    newest = today.plus(feed.offset_days)
    return feed.keeps_days is None or newest.plus(-feed.keeps_days) < day <= newest


def days_asked(operator: Operator, feed: Feed, now: dt.datetime) -> list[OperatingDay]:
    """The days that a schedule asks ``feed`` for at ``now``.

    Those that its ``offset_days``, ``span_days`` and ``again_days`` name; what gives the newest
    values is asked for yesterday's last ones too, shortly after midnight.
    """
    today = operator.day_of(now)
    days = [today.plus(feed.offset_days - n) for n in range(feed.span_days)]
    days += [today.plus(-n) for n in feed.again_days]
    newest = feed.asked.within_the_day and feed.ahead_days == 0
    if newest and now - today.start < _AFTER_MIDNIGHT:
        days.append(today.plus(-1))
    return days


def may_come_later(resources: Resources, dataset: Dataset, names: Collection[str]) -> bool:
    """Whether the feeds of ``names`` give values of days ahead, or of days past that are out some
    days later, both of which may be late, or are asked several times a day.

    Schedules and sensors ask for them again, and an alert tells of what is late.
    """
    feeds = [f for f in resources.config(dataset).feeds if f.name in names]
    return all(
        f.becomes_final or f.offset_days not in (0, -1) or f.asked.within_the_day for f in feeds
    )


def is_due(resources: Resources, day: OperatingDay, feed: Feed) -> bool:
    """Whether the operator should have published by now what ``feed`` asks of ``day``.

    The first of a day that is asked for while it runs may be out by the second mark.
    """
    running = feed.asks != "now" and feed.asked.within_the_day
    wait = feed.asked.longest_wait if running else dt.timedelta()
    return day.plus(feed.due_days).start + wait <= resources.now()


def parts_asked(
    resources: Resources, feed: Feed, day: OperatingDay, only: Sequence[str] | None = None
) -> Sequence[str]:
    """The requests that a feed takes for a day: one for each hour that has begun, one for each
    location (those that are among ``only``, where given), or just one.
    """
    parts = feed.parts(day)
    if feed.asks == "hour":
        now = resources.now()
        parts = [hour for hour in parts if day.local_hour_start(hour) <= now]
    return parts if only is None or parts == ("",) else [part for part in parts if part in only]
