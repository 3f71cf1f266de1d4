"""Verdicts: what the last checks of a day said, remembered for those who show them.

Written by ``check``, read by board and report, with or without Dagster. Kept in the shared state,
so a lost file costs what the next check of the day says again.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from aurum_assets.model.checks import Verdict
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.drift import Severity
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.state import recalled

_REMEMBERED = 40 * 86_400.0
_REASON = 500  # characters


class Failed(msgspec.Struct, frozen=True):
    """A check that did not pass: its ``severity``, and why in a sentence."""

    check: str
    severity: Severity
    count: int
    reason: str


class Judged(msgspec.Struct, frozen=True):
    """The checks of a day: when they were made (``at``), how many passed or had nothing to judge.

    ``failed``: the others.
    """

    at: dt.datetime
    passed: int
    skipped: int
    failed: tuple[Failed, ...]

    @property
    def errors(self) -> int:
        """How many failed with the severity ERROR."""
        return sum(one.severity == "ERROR" for one in self.failed)

    @property
    def warnings(self) -> int:
        """How many failed with the severity WARN."""
        return len(self.failed) - self.errors


def remember_verdicts(
    resources: Resources, dataset: Dataset, day: str, verdicts: Sequence[Verdict]
) -> None:
    """Remember what the checks of ``day`` said, in the place of what they said before."""
    judged = Judged(
        at=resources.now(),
        passed=sum(v.passed and not v.skipped for v in verdicts),
        skipped=sum(v.skipped for v in verdicts),
        failed=tuple(
            Failed(v.check, v.severity, v.count, v.reason[:_REASON])
            for v in verdicts
            if not v.passed
        ),
    )
    resources.state.set(_key(dataset, day), msgspec.json.encode(judged).decode(), _REMEMBERED)


def recalled_verdicts(resources: Resources, dataset: Dataset, day: str) -> Judged | None:
    """What the last checks of ``day`` said; None where none was made, or too long ago."""
    return recalled(resources.state.get(_key(dataset, day)), Judged)


def _key(dataset: Dataset, day: str) -> str:
    return f"verdicts:{dataset.key}:{day}"
