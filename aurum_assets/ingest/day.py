"""Day: bring one operating day in. Asset, command line and Python API report the same ``Outcome``.

Bringing a day in is: ask each feed, archive every answer, and normalize every day that the answers
belong to, whatever failed on the way. What failed is in the outcome: nothing here raises an
``AurumError``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aurum_assets.ingest.collect import Progress, collect
from aurum_assets.ingest.collected import Collected
from aurum_assets.ingest.feeds import may_come_later
from aurum_assets.ingest.normalize import normalize_each
from aurum_assets.ingest.normalized import Normalized
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import (
    AurumError,
    DataError,
    LakeBusy,
    NotOffered,
    NotYetPublished,
    SourceRefused,
    SourceUnavailable,
    Unexpected,
)
from aurum_assets.resources.composition import Resources

_UNAUTHORIZED = 401
_OF_ONE_DAY = (DataError, LakeBusy, Unexpected)  # why one day is not in the table, and others are


@dataclass
class Outcome:
    """What became of one operating day of a dataset.

    ``collected``: the answers, and by feed what gave none. ``collect_errors``: what kept the
    collection from being whole, the most telling first. ``expected``: they are what schedules meet
    in the ordinary course (the answer is not out yet and is asked for again, or the operator does
    not offer it), so that a run need not fail. ``normalized``: the days that are in the table now.
    ``normalize_errors``: by operating day, why its archived answers are not.
    """

    dataset: Dataset
    day: OperatingDay
    collected: Collected = field(default_factory=Collected)
    collect_errors: list[AurumError] = field(default_factory=list)
    expected: bool = False
    normalized: list[Normalized] = field(default_factory=list)
    normalize_errors: dict[str, AurumError] = field(default_factory=dict)

    @property
    def errors(self) -> list[AurumError]:
        """All that failed, the most telling first: what is expected comes last."""
        normalizing = list(self.normalize_errors.values())
        if self.expected:
            return [*normalizing, *self.collect_errors]
        return [*self.collect_errors, *normalizing]

    @property
    def error(self) -> AurumError | None:
        """Why the day is not brought in whole, the most telling reason; None where it is."""
        return next(iter(self.errors), None)

    @property
    def ends(self) -> bool:
        """Whether every other day would fail the same way, so that none need be asked for."""
        if any(not isinstance(e, _OF_ONE_DAY) for e in self.normalize_errors.values()):
            return True
        if self.expected and not self.collected.not_offered:
            return False
        return any(map(_fails_alike, self.collect_errors))

    @property
    def unavailable(self) -> bool:
        """Whether the operator could not answer now: an outage, not a day that is not out yet."""
        return any(
            isinstance(error, SourceUnavailable) and not isinstance(error, NotYetPublished)
            for error in self.collect_errors
        )

    @property
    def rejected(self) -> list[str]:
        """Why answers were rejected whole, when they were archived or when they were read."""
        reasons = [str(error) for error in self.collect_errors if isinstance(error, DataError)]
        answers = self.collected.archived
        reasons = reasons or [a.reason for a in answers if a.outcome == "rejected"]
        return reasons + [reason for done in self.normalized for reason in done.rejected]

    @property
    def partial(self) -> list[str]:
        """Why answers are not all that was asked for."""
        return [a.partial for a in self.collected.archived if a.partial]

    @property
    def has_day(self) -> bool:
        """Whether the archive holds something of the day itself that is to be normalized."""
        return self.day.key in self.collected.days

    @property
    def elsewhere(self) -> list[str]:
        """Other operating days that got something: by an answer for them, or from the spool."""
        return [day for day in self.collected.days if day != self.day.key]


def _fails_alike(error: AurumError) -> bool:
    """Whether a collection of any other day would end with ``error`` too."""
    if isinstance(error, NotOffered):
        return True
    if isinstance(error, SourceRefused):  # no status: the operator shows one day only
        return error.status in {0, _UNAUTHORIZED}
    return not isinstance(error, SourceUnavailable | DataError)


def bring(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    *,
    feeds: Sequence[str] | None = None,
    parts: Mapping[str, Sequence[str]] | None = None,
    filters: Mapping[str, str] | None = None,
    force: bool = False,
    raw_only: bool = False,
    attempts_of: str = "",
    progress: Progress | None = None,
) -> Outcome:
    """Collect ``day`` and normalize every day that got something; the arguments are ``collect``'s.

    With ``raw_only`` nothing is normalized: ``normalize_days`` does that.
    """
    outcome = Outcome(dataset, day)
    try:
        collect(
            resources,
            dataset,
            day,
            feeds=feeds,
            parts=parts,
            filters=filters,
            force=force,
            attempts_of=attempts_of,
            progress=progress,
            into=outcome.collected,
        )
    except AurumError as error:
        outcome.collect_errors.append(error)
        outcome.expected = isinstance(error, NotYetPublished) and may_come_later(
            resources, dataset, outcome.collected.not_yet
        )
    _judge(outcome)
    if not raw_only:
        normalize_days(resources, outcome, outcome.collected.days)
    return outcome


def _judge(outcome: Outcome) -> None:
    """Add the error of a collection that gave answers, or none, and not what was asked for."""
    done = outcome.collected
    answered = sorted({day for a in done.archived for day in a.days})
    error: AurumError
    if done.refusal:
        error = SourceRefused(done.refusal)
        expected = bool(done.not_offered) or not done.archived
    elif outcome.collect_errors:
        return
    elif done.not_offered and not answered:
        error, expected = NotOffered("; ".join(done.not_offered.values())), True
    elif answered and outcome.day.key not in answered:
        error, expected = (
            NotYetPublished(
                f"{outcome.dataset.key}: asked for {outcome.day}, the operator answered with "
                f"{', '.join(answered)}: stored there; ask again later"
            ),
            True,
        )
    else:
        return
    outcome.expected = expected and not outcome.collect_errors
    outcome.collect_errors.append(error)


def normalize_days(resources: Resources, outcome: Outcome, days: Iterable[str]) -> None:
    """Bring ``days`` into the table, that of ``outcome`` first, and note there what became of each.

    A day that fails stops no other.
    """
    for day, done in normalize_each(resources, outcome.dataset, list(days), outcome.day):
        if isinstance(done, AurumError):
            outcome.normalize_errors[day.key] = done
        else:
            outcome.normalized.append(done)
