"""Quality: how whole, how old and how clean each dataset is, as of now.

Read from the tables' metadata, and for two days from their intervals. What the checks said is known
to Dagster alone; nothing is judged here anew but completeness.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aurum_assets.ingest.status import completeness_on, summary_of
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.composition import Resources


@dataclass(frozen=True)
class Quality:
    """One dataset. ``last_interval``: the start of the newest one that is held (UTC).

    ``today`` and ``yesterday`` (of the operator): the share of the due intervals that is held, 0 to
    1; None where none was due or asked for yet, where nothing is held, or where a day may be empty.
    ``corrected``: values of these two days that others replaced. ``quarantined``: records kept out
    of the table, of all days; ``rejected``: answers that could not be read.
    """

    dataset: str
    last_interval: dt.datetime | None
    lag_seconds: int | None
    today: float | None
    yesterday: float | None
    quarantined: int
    rejected: int
    corrected: int

    def as_dict(self) -> dict[str, Any]:
        """Its fields by name."""
        return asdict(self)


def quality(resources: Resources, datasets: Sequence[Dataset]) -> list[Quality]:
    """The quality of each of ``datasets``, in their order. Raises like ``Lake.read``."""
    quarantined = resources.lake.counts_by(QUARANTINE, "dataset")
    return [_quality(resources, one, quarantined.get(one.key, 0)) for one in datasets]


def _quality(resources: Resources, dataset: Dataset, quarantined: int) -> Quality:
    summary = summary_of(resources, dataset)
    newest, now = (summary.last if summary else None), resources.now()
    today = dataset.operator.day_of(now)
    days = (today, today.plus(-1))
    shares = [_share(resources, dataset, day, newest) for day in days]
    replaced = resources.lake.partitions(dataset.table.history) if newest else {}
    return Quality(
        dataset=dataset.key,
        last_interval=newest,
        lag_seconds=int((now - newest).total_seconds()) if newest else None,
        today=shares[0],
        yesterday=shares[1],
        quarantined=quarantined,
        rejected=len(resources.archive.unsettled(dataset.key)),
        corrected=sum(replaced.get((day.date,), 0) for day in days),
    )


def _share(
    resources: Resources, dataset: Dataset, day: OperatingDay, newest: dt.datetime | None
) -> float | None:
    """The share of what is due on ``day`` that is held, each finality that has rows by itself."""
    if newest is None or dataset.table.sparse or not _is_asked_by_now(resources, dataset, day):
        return None
    verdict, finalities = completeness_on(resources, dataset, day, newest)
    numbers = verdict.numbers
    due = numbers.get("due_intervals", 0) * finalities
    if "cases" in numbers:
        due = numbers["cases"] + numbers["missing_cases"]
    return None if verdict.skipped or not due else 1 - verdict.count / due


def _is_asked_by_now(resources: Resources, dataset: Dataset, day: OperatingDay) -> bool:
    """Whether a schedule has asked for ``day``: of what comes a day later, today is not missing."""
    config, today = resources.config(dataset), dataset.operator.day_of(resources.now())
    asked = [f for f in config.feeds if f.asked.scheduled and not config.is_documented_only(f)]
    return any(f.asked.within_the_day or today.plus(f.offset_days).date >= day.date for f in asked)
