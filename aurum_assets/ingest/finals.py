"""Finals: find days whose final values are published but not in the table.

Final values come one to a few days after the operating day. Their feed names a small endpoint in
config (``probe``) that says up to when they are published; it is asked once in ``every_minutes``,
and only while a day waits for them. From ``due_days`` on their absence is a gap (``ingest.gaps``).
Nothing is collected here.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from aurum_assets.ingest.gaps import first_wanted, has_brought
from aurum_assets.ingest.probe import newest_published
from aurum_assets.model.clock import DAY, HOUR, OperatingDay
from aurum_assets.model.dataset import Dataset, Feed, Probe
from aurum_assets.model.errors import AurumError, SourceRefused
from aurum_assets.resources.composition import Resources

_REMEMBERED = 7 * 86_400.0
_UNAUTHORIZED = 401


@dataclass(frozen=True)
class Published:
    """A day whose final values are published and not held: ``feeds`` deliver them."""

    dataset: Dataset
    day: OperatingDay
    feeds: tuple[str, ...]
    reported: str

    def __str__(self) -> str:
        return f"{self.dataset.key} {self.day} is final: {self.reported}"


@dataclass
class Finals:
    """The result of one pass: the days ``out``, why probes were ``unanswered``, and how many feeds
    have days ``waiting`` to become final.
    """

    out: list[Published] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    waiting: int = 0

    def __str__(self) -> str:
        waits = f"{self.waiting} feeds wait for days to become final" if self.waiting else ""
        return "; ".join(filter(None, [*self.unanswered, waits])) or "no day waits to become final"


def find_finals(
    resources: Resources, datasets: Iterable[Dataset], *, busy: Collection[tuple[str, str]] = ()
) -> Finals:
    """Ask the probes of ``datasets`` that are due.

    ``busy``: (dataset, day) that a run is at work on.
    """
    found = Finals()
    for dataset in datasets:
        by_day: dict[OperatingDay, list[tuple[Feed, str]]] = {}
        for feed in resources.config(dataset).feeds:
            if feed.probe is None or not feed.becomes_final:
                continue
            for day, text in _published(resources, dataset, feed, feed.probe, found):
                if (dataset.key, day.key) not in busy:
                    by_day.setdefault(day, []).append((feed, text))
        for day, feeds in sorted(by_day.items()):
            text = "; ".join(text for _, text in feeds)
            found.out.append(Published(dataset, day, tuple(feed.name for feed, _ in feeds), text))
    return found


def _published(
    resources: Resources, dataset: Dataset, feed: Feed, probe: Probe, found: Finals
) -> list[tuple[OperatingDay, str]]:
    """The days that ``feed`` can deliver now, with what the probe reported; none if not due."""
    now, key = resources.now(), f"finals:{dataset.key}:{feed.name}"
    until = resources.state.get(key)
    if until and now < dt.datetime.fromisoformat(until):
        return []
    if now < dataset.operator.day_of(now).at(probe.earliest):
        return []
    pause, published = dt.timedelta(minutes=probe.every_minutes), []
    days = awaited_days(resources, dataset, feed)
    if days:
        try:
            newest = newest_published(resources, dataset, feed)
        except AurumError as error:
            found.unanswered.append(f"{probe.path} gave no answer: {error}")
            if isinstance(error, SourceRefused):
                pause = HOUR if error.status == _UNAUTHORIZED else DAY
        else:
            text = f"{probe.path}: {newest:%F %R}Z"
            # a day is published once its last hour is
            published = [(day, text) for day in days if day.end <= newest + HOUR]
            found.waiting += len(published) < len(days)
    resources.state.set(key, (now + pause).isoformat(), _REMEMBERED)
    return published


def awaited_days(resources: Resources, dataset: Dataset, feed: Feed) -> list[OperatingDay]:
    """The days, oldest first, that may be final by now and of which ``feed`` delivered nothing.

    Since the first day that the table holds; days that count as a gap are left out.
    """
    config, today = resources.config(dataset), dataset.operator.day_of(resources.now())
    held = resources.lake.days(dataset.table)
    if not held:
        return []
    oldest = max(first_wanted(resources, held, today.date), config.first_day)
    days = [today.plus(-n) for n in range(feed.due_days - 1, -feed.offset_days - 1, -1)]
    return [
        day for day in days if day.date >= oldest and not has_brought(resources, dataset, day, feed)
    ]
