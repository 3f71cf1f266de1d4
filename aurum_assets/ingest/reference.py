"""Reference: record which locations and generators a day's tables name, and update the crosswalk.

Order: sightings, then the reviewed file, then the table, which is derived from both. A run that was
killed midway is completed by the next. A list that people write is published as its file has it;
where the config folder has no such file, what was published stays.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from aurum_assets.model.checks import Verdict
from aurum_assets.model.errors import ConfigError
from aurum_assets.operators import DATASETS
from aurum_assets.reference.checks import Known, evaluate
from aurum_assets.reference.crosswalk import (
    PROVENANCE,
    Reference,
    as_reviewed,
    completed,
    conformed,
    sighted,
)
from aurum_assets.reference.fuels import FUELS
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.interfaces import INTERFACES
from aurum_assets.reference.lists import ReviewedList
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Merged
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.reviewed import read_reviewed, write_reviewed

log = get_logger(__name__)

REFERENCES: tuple[Reference, ...] = (ISO_NODES, GENERATORS)
LISTS: tuple[ReviewedList, ...] = (INTERFACES, FUELS)
EVERY: tuple[Reference | ReviewedList, ...] = (*REFERENCES, *LISTS)


@dataclass(frozen=True)
class Completion:
    """Changes of a reviewed file: rows added, cells completed."""

    path: Path
    added: int
    completed: int


@dataclass(frozen=True)
class Observed:
    """The result of an observation: ``seen`` sightings of the day, of which ``merged`` are new."""

    reference: Reference
    day: dt.date
    seen: int
    merged: Merged
    completion: Completion
    known: Known

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts of the checks."""
        return evaluate(self.known)


@dataclass(frozen=True)
class Published:
    """The result of writing a list: its ``rows``, and the verdicts on what a day names."""

    listed: ReviewedList
    path: Path
    rows: int
    seen: int
    verdicts: list[Verdict]


def observe(resources: Resources, reference: Reference, day: dt.date) -> Observed:
    """Add the sightings of ``day`` to all earlier ones, and write file and table.

    The home's file is seeded from, and completed by, the one of the config folder. Raises
    ``ConfigError`` where either cannot be read.
    """
    with resources.lock(f"reference_{reference.key}"):
        seen = _sighted_on(resources, reference, day)
        merged = resources.lake.merge(reference.sightings, seen)
        completion, known = _derive(resources, reference, day)
    return Observed(reference, day, len(seen), merged, completion, known)


def observe_again(resources: Resources, reference: Reference, days: Sequence[dt.date]) -> None:
    """Observe all ``days``, and write file and table once."""
    with resources.lock(f"reference_{reference.key}"):
        for day in days:
            resources.lake.merge(reference.sightings, _sighted_on(resources, reference, day))
        if days:
            _derive(resources, reference, days[-1])


def _derive(resources: Resources, reference: Reference, day: dt.date) -> tuple[Completion, Known]:
    """Write what is derived from all sightings: the reviewed file, then the table."""
    reviewed = _reviewed(resources, reference)
    sightings = _sightings(resources, reference)
    rows = conformed(reference.table, reference.follows(sightings, reviewed))
    reviewed = completed(reference, reviewed, as_reviewed(reference, rows))
    completion = _complete(home_file(resources, reference), reference, reviewed)
    for source in rows["source"].unique().sort():
        ours = rows.filter(source=source)
        resources.lake.replace(reference.table, ours, {"source": source})
    return completion, Known(reference, day, sightings, rows, reviewed)


def publish_list(resources: Resources, listed: ReviewedList, day: dt.date) -> Published:
    """Write the table of a list as its file in the config folder has it, and judge ``day``.

    Without that file, as in a config folder of an earlier version, the table stays as it is, and
    the log says so. Raises ``ConfigError`` where the file cannot be read.
    """
    path = project_file(resources, listed)
    rows = _listed(resources, listed)
    with resources.lock(f"reference_{listed.key}"):
        before = {str(source) for (source,) in resources.lake.partitions(listed.table)}
        for source in sorted(before | set(rows["source"])):
            resources.lake.replace(listed.table, rows.filter(source=source), {"source": source})
    seen = _named_by_tables(resources, listed, day)
    return Published(listed, path, len(rows), len(seen), listed.evaluate(rows, seen))


def judge_list(resources: Resources, listed: ReviewedList, day: dt.date) -> list[Verdict]:
    """The verdicts of the checks of a list on ``day`` now; nothing is written."""
    seen = _named_by_tables(resources, listed, day)
    return listed.evaluate(_listed(resources, listed), seen)


def _listed(resources: Resources, listed: ReviewedList) -> pl.DataFrame:
    """The rows of the list's file; those that are published where there is no file."""
    path = project_file(resources, listed)
    found = read_reviewed(path, listed.table.names, listed.table.key)
    if found is not None:
        return listed.rows(found, str(path))
    held = crosswalk(resources, listed)
    log.warning("the list stays as it is published", because=f"{path} is absent", rows=len(held))
    return held


def _named_by_tables(resources: Resources, listed: ReviewedList, day: dt.date) -> pl.DataFrame:
    """What tables name of the list's kind on ``day``: ``source``, ``dataset`` and its columns."""
    found, partition = [], {"operating_day": day}
    for dataset in DATASETS:
        if columns := listed.reads(dataset.table):
            rows = listed.see(resources.lake.read(dataset.table, partition, columns))
            owner = {"source": pl.lit(dataset.operator.name), "dataset": pl.lit(dataset.key)}
            found.append(rows.with_columns(**owner))
    found += [
        listed.see(resources.lake.read(one.sightings, partition, listed.reads(one.sightings)))
        for one in listed.after
    ]
    return pl.concat(found)


def recall(resources: Resources, reference: Reference, day: dt.date) -> list[Verdict]:
    """The verdicts of the checks on ``day`` now; nothing is written."""
    rows = crosswalk(resources, reference)
    sightings = _sightings(resources, reference)
    return evaluate(Known(reference, day, sightings, rows, _reviewed(resources, reference)))


def crosswalk(resources: Resources, reference: Reference | ReviewedList) -> pl.DataFrame:
    """The rows of the reference table."""
    return resources.lake.read(reference.table)


def home_file(resources: Resources, reference: Reference) -> Path:
    """The reviewed file that runs complete."""
    return resources.root / "config" / f"{reference.key}.csv"


def project_file(resources: Resources, reference: Reference | ReviewedList) -> Path:
    """The reviewed file of the config folder, which only ``export`` writes."""
    return resources.config_folder / f"{reference.key}.csv"


def export(resources: Resources) -> list[Completion]:
    """Complete the config folder's files by the home's.

    Raises ``ConfigError`` where the home does not hold real data, or a file is unreadable.
    """
    if resources.origin != "real":
        held = f"{resources.origin} data" if resources.origin else "nothing that was collected"
        msg = (
            f"{resources.root} holds {held}: only names that an operator gave are exported; "
            "set AURUM_HOME to a home that collected from the real operators"
        )
        raise ConfigError(msg)
    done = []
    for reference in REFERENCES:
        with resources.lock(f"reference_{reference.key}"):
            own = _read(home_file(resources, reference), reference)
            done.append(_complete(project_file(resources, reference), reference, own))
    return done


def _sighted_on(resources: Resources, reference: Reference, day: dt.date) -> pl.DataFrame:
    """The sightings of ``day`` in every table that the reference reads."""
    found = [reference.sightings.empty()]
    for dataset in DATASETS:
        columns = reference.reads(dataset.table)
        if columns:
            partition = {"operating_day": day}
            rows = resources.lake.read(dataset.table, partition, (*columns, *PROVENANCE))
            found.append(sighted(reference, dataset.key, dataset.operator.name, day, rows))
    return pl.concat(found).sort(reference.sightings.order)


def _sightings(resources: Resources, reference: Reference) -> pl.DataFrame:
    table = reference.sightings
    columns = tuple(n for n in table.names if n not in PROVENANCE)
    return resources.lake.read(table, columns=columns)


def _reviewed(resources: Resources, reference: Reference) -> pl.DataFrame:
    """The home's file, completed by the config folder's."""
    own = _read(home_file(resources, reference), reference)
    return completed(reference, own, _read(project_file(resources, reference), reference))


def _read(path: Path, reference: Reference) -> pl.DataFrame:
    found = read_reviewed(path, reference.reviewed_columns, reference.ids)
    return reference.nothing_reviewed() if found is None else found


def _complete(path: Path, reference: Reference, more: pl.DataFrame) -> Completion:
    """Complete the file by ``more``; a complete file is not touched.

    It is read again first: a person may have edited it since.
    """
    before = read_reviewed(path, reference.reviewed_columns, reference.ids)
    held = more if before is None else completed(reference, before, more)
    if before is None or not before.equals(held):
        write_reviewed(path, held.columns, held.iter_rows())
    old = _cells(reference, before)
    cells = _cells(reference, held)
    changed = sum(
        value != old[thing].get(name)
        for thing, row in cells.items()
        if thing in old
        for name, value in row.items()
    )
    return Completion(path, len(cells.keys() - old.keys()), changed)


def _cells(
    reference: Reference, reviewed: pl.DataFrame | None
) -> Mapping[tuple[str, ...], dict[str, str | None]]:
    if reviewed is None:
        return {}
    return {
        tuple(str(row[name]) for name in reference.ids): row
        for row in reviewed.iter_rows(named=True)
    }
