"""Status: objects, rows, days and lag of each dataset."""

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from aurum_assets.ingest.evidence import intervals_of
from aurum_assets.model.checks import Evidence, Verdict, completeness
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.archive import DaySize
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import TableSummary
from aurum_assets.resources.state import recalled

_REMEMBERED = 400 * 86_400.0


@dataclass(frozen=True)
class Status:
    """One dataset: objects in the archive, rows in the table, records and answers kept out.

    ``objects`` and ``bytes``: None where it shares the answers of another dataset, which has them.
    ``lag_seconds``: since the newest interval began, negative where it lies ahead.
    ``missing_today``: how many due intervals (of a live forecast, cases) of the operator's today
    are missing. Both are None where nothing is held, or where the dataset has no intervals.
    """

    dataset: str
    objects: int | None
    bytes: int | None
    rows: int
    days: int
    first_interval: str | None
    last_interval: str | None
    quarantined: int
    rejected: int
    last_commit: str | None
    lag_seconds: int | None
    missing_today: int | None

    def as_dict(self) -> dict[str, Any]:
        """As ``aurum status --json`` prints it."""
        return asdict(self)


def status(resources: Resources, datasets: tuple[Dataset, ...]) -> list[Status]:
    """The status of each of ``datasets``."""
    quarantined = resources.lake.counts_by(QUARANTINE, "dataset")
    return [_status(resources, dataset, quarantined.get(dataset.key, 0)) for dataset in datasets]


def _status(resources: Resources, dataset: Dataset, quarantined: int) -> Status:
    objects, size = (None, None) if dataset.shares else _archived(resources, dataset.archive_name)
    summary = summary_of(resources, dataset)
    return Status(
        dataset=dataset.key,
        objects=objects,
        bytes=size,
        rows=summary.rows if summary else 0,
        days=summary.days if summary else 0,
        first_interval=summary.first.isoformat() if summary and summary.first else None,
        last_interval=summary.last.isoformat() if summary and summary.last else None,
        quarantined=quarantined,
        rejected=len(resources.archive.unsettled(dataset.key)),
        last_commit=summary.last_commit.isoformat() if summary and summary.last_commit else None,
        lag_seconds=int((resources.now() - summary.last).total_seconds())
        if summary and summary.last
        else None,
        missing_today=_missing_today(resources, dataset, summary.last)
        if summary and summary.last
        else None,
    )


def _missing_today(resources: Resources, dataset: Dataset, newest: dt.datetime) -> int:
    """How many due intervals of the operator's today are missing; none of a sparse table."""
    if dataset.table.sparse:
        return 0
    today = dataset.operator.day_of(resources.now())
    return completeness_on(resources, dataset, today, newest)[0].count


def completeness_on(
    resources: Resources, dataset: Dataset, day: OperatingDay, newest: dt.datetime
) -> tuple[Verdict, int]:
    """The verdict of ``completeness`` on ``day``, and how many finalities it judged.

    ``newest``: the table's newest interval; a day after it is not read.
    """
    rows = dataset.table.empty() if newest < day.start else None  # None: those that are held
    intervals = intervals_of(resources, dataset, day, rows, None)
    evidence = Evidence(
        table=dataset.table,
        config=resources.config(dataset),
        day=day,
        now=resources.now(),
        rows=dataset.table.empty(),
        intervals=intervals.frame,
        quarantine=QUARANTINE.empty(),
        every=intervals.every,
        published=intervals.published,
    )
    found = intervals.frame
    finalities = found["finality"].n_unique() if "finality" in found.columns else 1
    return completeness(evidence), max(finalities, 1)


def summary_of(resources: Resources, dataset: Dataset) -> TableSummary | None:
    """The table's summary; its manifests are read again only after a commit."""
    key = f"table-summary:{dataset.table.identifier}"
    known = recalled(resources.state.get(key), TableSummary)
    found = resources.lake.summary(dataset.table, known=known)
    if found is not None and found != known:
        resources.state.set(key, msgspec.json.encode(found).decode(), _REMEMBERED)
    return found


def _archived(resources: Resources, folder: str) -> tuple[int, int]:
    """Objects and bytes in the archive.

    A day's folder is listed again only where it changed; a bucket is listed whole, a request for
    each thousand objects.
    """
    if resources.archive.uri.startswith("s3:"):
        return resources.archive.size(folder)
    key = f"archive-sizes:{folder}"
    known = recalled(resources.state.get(key), dict[str, DaySize]) or {}
    found = resources.archive.sizes(folder, known)
    if found != known:
        resources.state.set(key, msgspec.json.encode(found).decode(), _REMEMBERED)
    return sum(day.objects for day in found.values()), sum(day.bytes for day in found.values())
