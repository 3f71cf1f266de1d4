"""Status: what is held of each dataset, in numbers."""

from dataclasses import asdict, dataclass
from typing import Any

from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.settings import Home


@dataclass(frozen=True)
class Status:
    """One dataset: objects in the archive, rows in the table, what was kept out."""

    dataset: str
    objects: int
    bytes: int
    rows: int
    days: int
    first_interval: str | None
    last_interval: str | None
    quarantined: int
    rejected: int
    last_commit: str | None

    def as_dict(self) -> dict[str, Any]:
        """As ``aurum status --json`` prints it."""
        return asdict(self)


def status(home: Home, datasets: tuple[Dataset, ...]) -> list[Status]:
    """What is held of each of ``datasets``."""
    quarantined = home.lake.counts_by(QUARANTINE, "dataset")
    return [_status(home, dataset, quarantined.get(dataset.key, 0)) for dataset in datasets]


def _status(home: Home, dataset: Dataset, quarantined: int) -> Status:
    objects, size = home.archive.size(dataset.archive_name)
    summary = home.lake.summary(dataset.table)
    return Status(
        dataset=dataset.key,
        objects=objects,
        bytes=size,
        rows=summary.rows if summary else 0,
        days=summary.days if summary else 0,
        first_interval=summary.first.isoformat() if summary and summary.first else None,
        last_interval=summary.last.isoformat() if summary and summary.last else None,
        quarantined=quarantined,
        rejected=len(home.archive.unsettled(dataset.key)),
        last_commit=summary.last_commit.isoformat() if summary and summary.last_commit else None,
    )
