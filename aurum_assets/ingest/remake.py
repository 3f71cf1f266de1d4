"""Remake: the lake made anew from the archive alone, what it held before kept beside it.

Nothing is deleted. A lake in a folder of this machine is moved aside as a whole (its catalog, its
warehouse); one behind a configured catalog loses the names of our tables, and their files stay.
Sightings of references are derived of the days of which
they were held before, of all days where that cannot be read.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aurum_assets.ingest.publish import Publish
from aurum_assets.ingest.reference import REFERENCES, home_file, observe_again
from aurum_assets.ingest.replay import replay
from aurum_assets.ingest.verify import Verified, verify_days
from aurum_assets.markets import DATASETS
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, ConfigError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.reference.crosswalk import Reference
from aurum_assets.resources.settings import Home

Step = Callable[[str], None]


@dataclass
class Remade:
    """``kept``: sentences of where what was there before lies. ``verified``: each day after it.

    ``rows``: how many rows the tables hold now; ``failed``: days that could not be replayed.
    """

    kept: list[str] = field(default_factory=list)
    rows: int = 0
    failed: list[str] = field(default_factory=list)
    verified: list[Verified] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether every day was replayed and verifies."""
        return not self.failed and not any(v.problems for v in self.verified)


def archived_days(home: Home, datasets: Sequence[Dataset]) -> list[tuple[Dataset, OperatingDay]]:
    """Every day that the archive holds, by dataset."""
    return [(d, d.day(key)) for d in datasets for key in home.archive.days(d.archive_name)]


def remake(
    home: Home,
    datasets: Sequence[Dataset],
    days: Sequence[tuple[Dataset, OperatingDay]],
    *,
    publish: Publish = "nothing",
    step: Step = lambda _: None,
) -> Remade:
    """Make the tables of ``datasets`` anew from their archived ``days``, and verify them.

    All tables of the lake (references and quarantine too) where these are all datasets. Raises
    ``StoreUnavailable`` where the archive is away, before anything is moved.
    """
    whole = set(datasets) == set(DATASETS)
    sighted = {r.key: _sighted(home, r) for r in REFERENCES} if whole else {}
    done = Remade(kept=_set_aside(home, datasets, whole=whole))
    home = replace(home)  # opens the new lake
    for dataset, day in days:
        try:
            done.rows += len(replay(home, dataset, day, publish=publish).rows)
        except AurumError as error:
            done.failed.append(f"{dataset.key} {day}: {error}")
        step(f"replayed {dataset.key} {day}")
    for reference in REFERENCES if whole else ():
        held = sighted[reference.key]
        observe_again(home, reference, _named(home, reference) if held is None else held)
    for dataset in datasets:
        ours = [day for found, day in days if found is dataset]
        for found in verify_days(home, dataset, ours):
            done.verified.append(found)
            step(f"verified {dataset.key} {found.day}")
    return done


def _set_aside(home: Home, datasets: Sequence[Dataset], *, whole: bool) -> list[str]:
    """Move the lake, or the tables of ``datasets``, aside while no writer of this machine works."""
    tables = [t for d in datasets for t in (d.table, d.table.history)]
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside, root = home.root / f"lake-aside-{stamp}", home.root / "lake"
    with contextlib.ExitStack() as writers:
        for name in sorted([d.key for d in datasets] + [f"reference_{r.key}" for r in REFERENCES]):
            writers.enter_context(home.turn(name))
        if home.backends.catalog:
            if whole:
                tables += [QUARANTINE, *(t for r in REFERENCES for t in (r.table, r.sightings))]
            return home.lake.set_aside(tables, None)
        if not whole:
            return home.lake.set_aside(tables, aside)
        if home.lake.elsewhere():
            home.renew_identity()
        home.lake.close()
        return _moved(root, aside)


def _moved(root: Path, aside: Path) -> list[str]:
    if not root.exists():
        return []
    try:
        root.rename(aside)
    except OSError as error:
        msg = f"{root} cannot be moved to {aside} ({error.strerror or error}): make it writable"
        raise ConfigError(msg) from error
    return [f"the lake as it was is in {aside}"]


def _sighted(home: Home, reference: Reference) -> list[dt.date] | None:
    """The days of which the reference holds sightings; None where that cannot be told.

    Whoever observed has a reviewed file: without one there were none.
    """
    if not home_file(home, reference).exists():
        return []
    try:
        return home.lake.days(reference.sightings) or None
    except AurumError:
        return None


def _named(home: Home, reference: Reference) -> list[dt.date]:
    """The days of which a table names such things."""
    tables = [d.table for d in DATASETS if reference.reads(d.table)]
    return sorted({day for table in tables for day in home.lake.days(table)})
