"""Plan: the requests that the schedules make in a day, beside the limits. Nothing is asked.

They follow from config alone: feeds, cadences, days, hours, locations. Probes count as if a day
were awaited all the time. Not counted: repeats after a failure, other endpoints in its place, pages
after the first, repairs and backfills; the limits hold for all of them.
"""

import datetime as dt
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from aurum_assets.ingest.feeds import days_asked
from aurum_assets.model.clock import DAY, OperatingDay
from aurum_assets.model.dataset import Dataset, DatasetConfig, Feed
from aurum_assets.model.operator import Limit, Operator
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.limits import STRETCH


@dataclass(frozen=True, order=True)
class Due:
    """A request that is due ``at``: for a feed of ``dataset``, or for its probe.

    ``endpoint``: its name, that of a probe its path.
    """

    at: dt.datetime
    operator: str
    endpoint: str
    path: str
    dataset: str
    feed: str
    probe: bool = False


@dataclass(frozen=True)
class Planned:
    """The ``requests`` of a day to an operator (``endpoint`` empty: to all of it).

    ``a_minute``, ``an_hour``: the most that are due in any. ``wait``: how long the last of them
    waits for the limits at most, where each is asked as soon as they allow.
    """

    operator: str
    endpoint: str
    requests: int
    a_minute: int
    an_hour: int
    limits: Sequence[Limit]
    wait: dt.timedelta


def plan(resources: Resources, datasets: Iterable[Dataset]) -> list[Planned]:
    """What is due on the operating day of now: a line for each operator, then its endpoints."""
    known, now, found = list(datasets), resources.now(), list[Planned]()
    for operator in dict.fromkeys(dataset.operator for dataset in known):
        start = operator.day_of(now).start
        own = [dataset for dataset in known if dataset.operator is operator]
        due = requests_due(resources, own, start, start + DAY)
        config = resources.configuration.operators[operator.name]
        waits = _waits(due, config.limits, config.endpoint_limits)
        chosen = {"": list(range(len(due)))} if due else {}
        for n, one in enumerate(due):
            chosen.setdefault(one.endpoint, []).append(n)
        for name in sorted(chosen):
            times = [due[n].at for n in chosen[name]]
            limits = config.endpoint_limits.get(name, ()) if name else config.limits
            found.append(
                Planned(
                    operator.name,
                    name,
                    len(times),
                    _most_in(times, 60),
                    _most_in(times, 3600),
                    limits,
                    max(waits[n] for n in chosen[name]),
                )
            )
    return found


def requests_due(
    resources: Resources, datasets: Iterable[Dataset], start: dt.datetime, end: dt.datetime
) -> list[Due]:
    """Every request that schedules and probes make from ``start`` to before ``end``, in order.

    An answer that several datasets read is asked for once.
    """
    found: dict[tuple[dt.datetime, str, str, str], Due] = {}
    for dataset in datasets:
        config, name = resources.config(dataset), dataset.operator.name
        for feed in config.feeds if config.enabled else ():
            endpoint = feed.endpoints[0]
            path_of = cache(endpoint.url_path)  # the same at most of the instants
            for at, day in _asked(dataset.operator, config, feed, start, end):
                for part in _parts(feed, day, at):
                    path = path_of(day, part)
                    due = Due(at, name, endpoint.name, path, dataset.key, feed.name)
                    found.setdefault((at, dataset.answers, path, day.key), due)
            for at, path in _probed(dataset.operator, config, feed, start, end):
                due = Due(at, name, path, path, dataset.key, feed.name, probe=True)
                found[at, dataset.key, path, feed.name] = due
    return sorted(found.values())


def _asked(
    operator: Operator, config: DatasetConfig, feed: Feed, start: dt.datetime, end: dt.datetime
) -> Iterator[tuple[dt.datetime, OperatingDay]]:
    """When a schedule asks the feed, and for which days."""
    for at in _marks(operator, feed, start, end):
        for day in days_asked(operator, feed, at):
            if day.date >= config.first_day:
                yield at, day


def _marks(
    operator: Operator, feed: Feed, start: dt.datetime, end: dt.datetime
) -> list[dt.datetime]:
    """When a schedule asks the feed."""
    cadence = feed.asked
    if not cadence.scheduled:
        return []
    if not cadence.within_the_day:
        marks = [day.at(cadence.at) for day in _days(operator, start, end)]
        return [at for at in marks if start <= at < end]
    midnight = dt.datetime.combine(start.astimezone(dt.UTC).date(), dt.time(), dt.UTC)
    first = midnight + cadence.offset
    count = -((first - end) // cadence.every)
    marks = [first + n * cadence.every for n in range(count)]
    return [at for at in marks if start <= at < end]


def _probed(
    operator: Operator, config: DatasetConfig, feed: Feed, start: dt.datetime, end: dt.datetime
) -> Iterator[tuple[dt.datetime, str]]:
    """When the feed's probe is asked at most, and its path."""
    if feed.probe is None:
        return
    every = dt.timedelta(minutes=feed.probe.every_minutes)
    for day in _days(operator, start, end):
        at = day.at(feed.probe.earliest)
        while at < day.end and day.date >= config.first_day:
            if start <= at < end:
                yield at, feed.probe.path
            at += every


def _days(operator: Operator, start: dt.datetime, end: dt.datetime) -> Iterator[OperatingDay]:
    day = operator.day_of(start)
    while day.start < end:
        yield day
        day = day.plus(1)


def _parts(feed: Feed, day: OperatingDay, at: dt.datetime) -> Sequence[str]:
    """What each of the feed's requests for a day asks for at that instant: hours that began."""
    parts = feed.parts(day)
    return [p for p in parts if day.local_hour_start(p) <= at] if feed.asks == "hour" else parts


def _most_in(times: Sequence[dt.datetime], seconds: float) -> int:
    """The most of ``times``, in their order, in any window of ``seconds``."""
    window = dt.timedelta(seconds=seconds)
    return max((n + 1 - bisect_right(times, t - window) for n, t in enumerate(times)), default=0)


def _waits(
    due: Sequence[Due], limits: Sequence[Limit], own: Mapping[str, Sequence[Limit]]
) -> list[dt.timedelta]:
    """How long each request waits for the operator's limits and those of its endpoint."""
    asked: defaultdict[str, list[dt.datetime]] = defaultdict(list)
    waits = []
    for one in due:
        at = one.at
        for name, bounds in (("", limits), (one.endpoint, own.get(one.endpoint, ()))):
            for bound in bounds:
                if len(asked[name]) >= bound.requests:
                    window = dt.timedelta(seconds=bound.seconds * STRETCH)
                    at = max(at, asked[name][-bound.requests] + window)
        for name in {"", one.endpoint}:
            insort(asked[name], at)
        waits.append(at - one.at)
    return waits
