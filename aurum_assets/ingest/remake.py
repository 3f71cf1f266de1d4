"""Remake: the lake made anew from the archive alone, what it held before kept beside it.

Nothing is deleted. A lake in a folder of this machine is made beside the one that is there, and
takes its place once it is whole: until then an interrupt leaves all as it was. Behind a configured
catalog, and of a single dataset, our tables lose their names first, and their files stay.
Sightings of references are derived of the days of which they were held before, of all days where
that cannot be read.
"""

import contextlib
import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aurum_assets.ingest.publish import Publish
from aurum_assets.ingest.reference import REFERENCES, home_file, observe_again
from aurum_assets.ingest.replay import replay
from aurum_assets.ingest.verify import Verified, verify_days
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, ConfigError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators import DATASETS
from aurum_assets.reference.crosswalk import Reference
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.scratch import draft
from aurum_assets.resources.settings import Resources

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
    """Make the tables of ``datasets`` anew from their archived ``days``, and verify them.

    All tables of the lake (references and quarantine too) where these are all datasets. Raises
    ``StoreUnavailable`` where the archive is away, before anything is moved.
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
    """Replay ``days`` into the lake of ``home``, and verify them there."""
    for dataset, day in days:
        try:
            done.rows += len(replay(resources, dataset, day, publish=publish).rows)
        except AurumError as error:
            done.failed.append(f"{dataset.key} {day}: {error}")
        step(f"replayed {dataset.key} {day}")
    for reference in (r for r in REFERENCES if r.key in sighted):
        held = sighted[reference.key]
        observe_again(resources, reference, _named(resources, reference) if held is None else held)
    for dataset in datasets:
        ours = [day for found, day in days if found is dataset]
        for found in verify_days(resources, dataset, ours):
            done.verified.append(found)
            step(f"verified {dataset.key} {found.day}")


def _set_aside(resources: Resources, datasets: Sequence[Dataset], *, whole: bool) -> list[str]:
    """Move the tables of ``datasets`` aside while no writer of this machine works."""
    tables = [t for d in datasets for t in (d.table, d.table.history)]
    with _no_writers(resources, datasets):
        if resources.lake.configured:
            if whole:
                tables += [QUARANTINE, *(t for r in REFERENCES for t in (r.table, r.sightings))]
            return resources.lake.set_aside(tables, None)
        return resources.lake.set_aside(tables, _aside(resources))


def _take_the_place(resources: Resources, place: Path) -> list[str]:
    """Move the lake aside and the one in ``place`` to where it was, and relocate its tables.

    After a kill before that is done, `aurum relocate` does the rest.
    """
    root, aside = resources.root / "lake", _aside(resources)
    with _no_writers(resources, DATASETS):
        if resources.lake.elsewhere():
            resources.renew_identity()
        resources.lake.close()
        place.mkdir(exist_ok=True)  # of an empty archive no table was made
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
    """Every writer of this machine waits meanwhile."""
    with contextlib.ExitStack() as writers:
        for name in sorted([d.key for d in datasets] + [f"reference_{r.key}" for r in REFERENCES]):
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
    """The days of which the reference holds sightings; None where that cannot be told.

    Whoever observed has a reviewed file: without one there were none.
    """
    if not home_file(resources, reference).exists():
        return []
    try:
        return resources.lake.days(reference.sightings) or None
    except AurumError:
        return None


def _named(resources: Resources, reference: Reference) -> list[dt.date]:
    """The days of which a table names such things."""
    tables = [d.table for d in DATASETS if reference.reads(d.table)]
    return sorted({day for table in tables for day in resources.lake.days(table)})
