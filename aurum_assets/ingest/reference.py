"""Reference: see what an operating day's tables name, and bring crosswalk and file up to it.

Order: sightings, then the reviewed file, then the table, which follows from both. A run that was
cut anywhere is completed by the next.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from aurum_assets.markets import DATASETS
from aurum_assets.model.checks import Verdict
from aurum_assets.model.errors import ConfigError
from aurum_assets.reference.checks import Known, evaluate
from aurum_assets.reference.crosswalk import (
    PROVENANCE,
    Reference,
    as_reviewed,
    completed,
    conformed,
    sighted,
)
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.lake import Merged
from aurum_assets.resources.reviewed import read_reviewed, write_reviewed
from aurum_assets.resources.settings import Home

REFERENCES: tuple[Reference, ...] = (ISO_NODES, GENERATORS)


@dataclass(frozen=True)
class Filed:
    """What became of a reviewed file: rows that were added, cells that were completed."""

    path: Path
    added: int
    completed: int


@dataclass(frozen=True)
class Observed:
    """What an observation found: ``seen`` sightings of the day, of which ``merged`` are new."""

    reference: Reference
    day: dt.date
    seen: int
    merged: Merged
    filed: Filed
    known: Known

    @property
    def verdicts(self) -> list[Verdict]:
        """What the checks say."""
        return evaluate(self.known)


def observe(home: Home, reference: Reference, day: dt.date) -> Observed:
    """Add what the lake's tables name on ``day`` to all that was seen, and write what follows.

    The home's file is seeded from, and completed by, the one of the config folder. Raises
    ``ConfigError`` where either cannot be read.
    """
    with home.turn(f"reference_{reference.key}"):
        seen = _seen(home, reference, day)
        merged = home.lake.merge(reference.sightings, seen)
        filed, known = _followed(home, reference, day)
    return Observed(reference, day, len(seen), merged, filed, known)


def observe_again(home: Home, reference: Reference, days: Sequence[dt.date]) -> None:
    """See ``observe``, of all ``days``: what follows from them is written once."""
    with home.turn(f"reference_{reference.key}"):
        for day in days:
            home.lake.merge(reference.sightings, _seen(home, reference, day))
        if days:
            _followed(home, reference, days[-1])


def _followed(home: Home, reference: Reference, day: dt.date) -> tuple[Filed, Known]:
    """Write what follows from all sightings: the reviewed file, then the table."""
    reviewed = _reviewed(home, reference)
    sightings = _sightings(home, reference)
    rows = conformed(reference.table, reference.follows(sightings, reviewed))
    reviewed = completed(reference, reviewed, as_reviewed(reference, rows))
    filed = _file(home_file(home, reference), reference, reviewed)
    for source in rows["source"].unique().sort():
        ours = rows.filter(source=source)
        home.lake.replace(reference.table, ours, {"source": source})
    return filed, Known(reference, day, sightings, rows, reviewed)


def recall(home: Home, reference: Reference, day: dt.date) -> list[Verdict]:
    """What the checks say of ``day`` as things stand; nothing is written."""
    rows = crosswalk(home, reference)
    sightings = _sightings(home, reference)
    return evaluate(Known(reference, day, sightings, rows, _reviewed(home, reference)))


def crosswalk(home: Home, reference: Reference) -> pl.DataFrame:
    """The reference table, as it is."""
    return home.lake.read(reference.table)


def home_file(home: Home, reference: Reference) -> Path:
    """The reviewed file that runs complete."""
    return home.root / "config" / f"{reference.key}.csv"


def project_file(home: Home, reference: Reference) -> Path:
    """The reviewed file of the config folder, which only ``export`` writes."""
    return home.config_folder / f"{reference.key}.csv"


def export(home: Home) -> list[Filed]:
    """Complete the config folder's files by the home's.

    Raises ``ConfigError`` where the home does not hold an operator's data, or a file is unreadable.
    """
    if home.origin != "real":
        held = f"{home.origin} data" if home.origin else "nothing that was collected"
        msg = (
            f"{home.root} holds {held}: only names that an operator gave are exported; "
            "set AURUM_HOME to a home that collected from the real operators"
        )
        raise ConfigError(msg)
    done = []
    for reference in REFERENCES:
        with home.turn(f"reference_{reference.key}"):
            own = _read(home_file(home, reference), reference)
            done.append(_file(project_file(home, reference), reference, own))
    return done


def _seen(home: Home, reference: Reference, day: dt.date) -> pl.DataFrame:
    """The sightings of ``day`` in every table of the lake that names such things."""
    found = [reference.sightings.empty()]
    for dataset in DATASETS:
        columns = reference.reads(dataset.table)
        if columns:
            partition = {"operating_day": day}
            rows = home.lake.read(dataset.table, partition, (*columns, *PROVENANCE))
            found.append(sighted(reference, dataset.key, dataset.source.name, day, rows))
    return pl.concat(found).sort(reference.sightings.order)


def _sightings(home: Home, reference: Reference) -> pl.DataFrame:
    table = reference.sightings
    columns = tuple(n for n in table.names if n not in {*PROVENANCE, "record_hash"})
    return home.lake.read(table, columns=columns)


def _reviewed(home: Home, reference: Reference) -> pl.DataFrame:
    """The home's file, completed by the config folder's."""
    own = _read(home_file(home, reference), reference)
    return completed(reference, own, _read(project_file(home, reference), reference))


def _read(path: Path, reference: Reference) -> pl.DataFrame:
    found = read_reviewed(path, reference.reviewed_columns, reference.ids)
    return reference.nothing_reviewed() if found is None else found


def _file(path: Path, reference: Reference, more: pl.DataFrame) -> Filed:
    """Complete the file by ``more``; one that holds it already is not touched.

    The file is read anew: a person may have typed something since.
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
    return Filed(path, len(cells.keys() - old.keys()), changed)


def _cells(
    reference: Reference, reviewed: pl.DataFrame | None
) -> Mapping[tuple[str, ...], dict[str, str | None]]:
    if reviewed is None:
        return {}
    return {
        tuple(str(row[name]) for name in reference.ids): row
        for row in reviewed.iter_rows(named=True)
    }
