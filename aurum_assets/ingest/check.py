"""Check: what the checks of a dataset say of a day that was normalized."""

from dataclasses import replace

from aurum_assets.ingest.evidence import intervals_of, recent_sizes
from aurum_assets.ingest.normalized import Normalized
from aurum_assets.ingest.verdicts import remember_verdicts
from aurum_assets.model.checks import Evidence, Verdict, Volume, evaluate
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.composition import Resources

_DAYS_BACK = 28  # among which a week of held days is looked for


def check(resources: Resources, done: Normalized) -> list[Verdict]:
    """What the dataset's checks say of the day after ``done``."""
    dataset, day = done.dataset, done.day
    partition = {"operating_day": day.date}
    held = intervals_of(resources, dataset, day, done.rows if done.rebuilt else None, done.every)
    quarantine = resources.lake.read(QUARANTINE, partition | {"dataset": dataset.key})
    evidence = Evidence(
        table=dataset.table,
        config=resources.config(dataset),
        day=day,
        now=resources.now(),
        rows=done.rows,
        intervals=held.frame,
        quarantine=quarantine,
        every=held.every,
        drift=done.drift,
        empty=done.empty,
        rejected=tuple(done.rejected),
        published=held.published,
        answered=done.newest_fetch,
    )
    if evidence.closed or any(d.kind == "rescaled" for d in done.drift):
        volumes = _volumes(resources, dataset, day)
        evidence = replace(evidence, recent=recent_sizes(resources, dataset, day, volumes))
        if evidence.closed:
            evidence = replace(evidence, volumes=volumes)
    if evidence.has_both_finalities and not done.rebuilt:
        evidence = replace(evidence, day_rows=resources.lake.read(dataset.table, partition))
    with resources.metrics.verb("check", dataset):
        verdicts = evaluate(evidence)
        for v in verdicts:
            passed = "skipped" if v.skipped else str(v.passed).lower()
            resources.metrics.count("checks", dataset, v.check, v.severity, passed)
        remember_verdicts(resources, dataset, day.key, verdicts)
    return verdicts


def _volumes(resources: Resources, dataset: Dataset, day: OperatingDay) -> tuple[Volume, ...]:
    """How much the day and the days before it hold, oldest first; no row is read."""
    held = resources.lake.volumes(dataset.table, day.plus(-_DAYS_BACK).date, day.date)
    return tuple(
        Volume(OperatingDay(date, day.zone), rows, finalities)
        for date, (rows, finalities) in held.items()
    )
