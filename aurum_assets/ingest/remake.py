"""Remake: rebuild the lake from the archive alone, and keep what it held before beside it.

Nothing is deleted. A lake in a folder is built beside the existing one and replaces it once it is
complete: until then an interrupt changes nothing. With a configured catalog, or for single
datasets, the old tables are renamed first and their files stay. Sightings of references are derived
for the days that they covered before, or for all days where that cannot be read.
"""

import contextlib
import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aurum_assets.ingest.publish import Publish
from aurum_assets.ingest.reference import (
    EVERY,
    LISTS,
    REFERENCES,
    home_file,
    observe_again,
    publish_list,
)
from aurum_assets.ingest.replay import replay_days
from aurum_assets.ingest.verify import Verified, verify_days
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, ConfigError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators import DATASETS
from aurum_assets.reference.crosswalk import Reference
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.scratch import draft

Step = Callable[[str], None]


@dataclass
class Remade:
    """The result: ``rows`` in the tables now, and the days ``failed`` (could not be replayed).

    ``kept``: sentences that say where the old lake is. ``verified``: every day, after the rebuild.
    """

    kept: list[str] = field(default_factory=list)
    rows: int = 0
    failed: list[str] = field(default_factory=list)
    verified: list[Verified] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether every day was replayed and then verified without a difference."""
        return not self.failed and not any(v.problems for v in self.verified)


def archived_days(
    resources: Resources, datasets: Sequence[Dataset]
) -> list[tuple[Dataset, OperatingDay]]:
    """Every day that the archive holds, by dataset."""
    return [(d, d.day(key)) for d in datasets for key in resources.archive.days(d.archive_name)]


def remake(
    resources: Resources,
    datasets: Sequence[Dataset],
    days: Sequence[tuple[Dataset, OperatingDay]],
    *,
    publish: Publish = "nothing",
    step: Step = lambda _: None,
) -> Remade:
    """Rebuild the tables of ``datasets`` from their archived ``days``, and verify them.

    With all datasets, all tables of the lake are rebuilt (references and quarantine too). Raises
    ``StoreUnavailable`` where the archive is out of reach, before anything is moved.
    """
    whole = set(datasets) == set(DATASETS)
    sighted = {r.key: _sighted(resources, r) for r in REFERENCES} if whole else {}
    if not whole or resources.lake.configured:
        done = Remade(kept=_set_aside(resources, datasets, whole=whole))
        _fill(resources.anew(), datasets, days, sighted, publish, step, done)
        return done
    done, place = Remade(), resources.root / "lake-new"
    shutil.rmtree(place, ignore_errors=True)  # of one that was killed
    with draft(place):
        beside = replace(resources, lake=Lake.local(place))
        _fill(beside, datasets, days, sighted, publish, step, done)
        beside.lake.close()
        done.kept = _take_the_place(resources, place)
    return done


def _fill(
    resources: Resources,
    datasets: Sequence[Dataset],
    days: Sequence[tuple[Dataset, OperatingDay]],
    sighted: Mapping[str, list[dt.date] | None],
    publish: Publish,
    step: Step,
    done: Remade,
) -> None:
    """Replay ``days`` into the lake of ``resources``, and verify them there."""
    for one in replay_days(resources, days, publish=publish):
        if one.error is not None:
            done.failed.append(f"{one.dataset.key} {one.day}: {one.error}")
        elif one.done is not None:
            done.rows += one.done.merged.held or 0
        step(f"replayed {one.dataset.key} {one.day}")
    for reference in (r for r in REFERENCES if r.key in sighted):
        held = sighted[reference.key]
        observe_again(resources, reference, _named(resources, reference) if held is None else held)
    observed = any(days != [] for days in sighted.values())
    for listed in LISTS if observed else ():
        publish_list(resources, listed, resources.now().date())
    for dataset in datasets:
        ours = [day for found, day in days if found is dataset]
        for found in verify_days(resources, dataset, ours):
            done.verified.append(found)
            step(f"verified {dataset.key} {found.day}")


def _set_aside(resources: Resources, datasets: Sequence[Dataset], *, whole: bool) -> list[str]:
    """Move the tables of ``datasets`` aside while no process of this machine writes."""
    tables = [t for d in datasets for t in (d.table, d.table.history)]
    with _no_writers(resources, datasets):
        if resources.lake.configured:
            if whole:
                tables += [QUARANTINE, *(t for r in REFERENCES for t in (r.table, r.sightings))]
            return resources.lake.set_aside(tables, None)
        return resources.lake.set_aside(tables, _aside(resources))


def _take_the_place(resources: Resources, place: Path) -> list[str]:
    """Move the lake aside, the one in ``place`` to its path, and relocate its tables.

    After a kill midway, `aurum relocate` completes it.
    """
    root, aside = resources.root / "lake", _aside(resources)
    with _no_writers(resources, DATASETS):
        if resources.lake.elsewhere():
            resources.renew_identity()
        resources.lake.close()
        place.mkdir(exist_ok=True)  # an empty archive gives no table
        if root.exists():
            _move(root, aside)
        try:
            _move(place, root)
        except BaseException:
            if aside.exists():
                _move(aside, root)
            raise
        lake = Lake.local(root)
        for table in lake.elsewhere():
            lake.relocate(table)
    return [f"the lake as it was is in {aside}"] if aside.exists() else []


@contextlib.contextmanager
def _no_writers(resources: Resources, datasets: Sequence[Dataset]) -> Iterator[None]:
    """Hold the locks of all writers of this machine."""
    with contextlib.ExitStack() as writers:
        for name in sorted([d.key for d in datasets] + [f"reference_{r.key}" for r in EVERY]):
            writers.enter_context(resources.lock(name))
        yield


def _aside(resources: Resources) -> Path:
    return resources.root / f"lake-aside-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%fZ}"


def _move(folder: Path, place: Path) -> None:
    try:
        folder.rename(place)
    except OSError as error:
        msg = f"{folder} cannot be moved to {place} ({error.strerror or error}): make it writable"
        raise ConfigError(msg) from error


def _sighted(resources: Resources, reference: Reference) -> list[dt.date] | None:
    """The days with sightings of the reference; None where they cannot be read.

    Observing writes a reviewed file: without one there are no sightings.
    """
    if not home_file(resources, reference).exists():
        return []
    try:
        return resources.lake.days(reference.sightings) or None
    except AurumError:
        return None


def _named(resources: Resources, reference: Reference) -> list[dt.date]:
    """The days on which a table names locations or generators of the reference."""
    tables = [d.table for d in DATASETS if reference.reads(d.table)]
    return sorted({day for table in tables for day in resources.lake.days(table)})
