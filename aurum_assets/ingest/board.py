"""Board: the state of every dataset in a line, from what status, checks and alerts say.

Nothing is judged or computed anew here, and no operator is asked.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aurum_assets.ingest.status import status
from aurum_assets.ingest.verdicts import recalled_verdicts
from aurum_assets.model.dataset import Dataset
from aurum_assets.resources.composition import Resources


@dataclass(frozen=True)
class BoardLine:
    """One dataset; ``last_interval`` (UTC), ``lag_seconds``, ``missing_today`` as in ``Status``.

    ``checked_day``: the operating day of the newest checks, today or yesterday, whose results are
    ``passed``, ``warned`` and ``failed``; all four are None where nothing was checked. ``alerts``:
    how many are open.
    """

    dataset: str
    rows: int
    last_interval: str | None
    lag_seconds: int | None
    missing_today: int | None
    kept_out: int
    checked_day: str | None
    passed: int | None
    warned: int | None
    failed: int | None
    alerts: int

    def as_dict(self) -> dict[str, Any]:
        """As ``aurum board --json`` prints it."""
        return asdict(self)


def board(resources: Resources, datasets: Sequence[Dataset]) -> list[BoardLine]:
    """A line for each of ``datasets`` that is enabled or holds something."""
    alerts = Counter(alert.dataset for alert in resources.alerts.open)
    lines = []
    for dataset, held in zip(datasets, status(resources, tuple(datasets)), strict=True):
        if not (resources.config(dataset).enabled or held.rows):
            continue
        today = dataset.operator.day_of(resources.now())
        checked, judged = None, None
        for day in (today.key, today.plus(-1).key):
            judged = recalled_verdicts(resources, dataset, day)
            if judged is not None:
                checked = day
                break
        lines.append(
            BoardLine(
                dataset=dataset.key,
                rows=held.rows,
                last_interval=held.last_interval,
                lag_seconds=held.lag_seconds,
                missing_today=held.missing_today,
                kept_out=held.quarantined + held.rejected,
                checked_day=checked,
                passed=judged.passed if judged else None,
                warned=judged.warnings if judged else None,
                failed=judged.errors if judged else None,
                alerts=alerts[dataset.key],
            )
        )
    return lines
