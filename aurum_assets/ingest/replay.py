"""Replay and verify: the archive is the truth, and the tables must agree with it."""

from dataclasses import dataclass, field

import polars as pl

from aurum_assets.ingest.keep import bring_up, pay
from aurum_assets.ingest.normalize import Normalized, fold_again
from aurum_assets.ingest.publish import Publish, drain, landed
from aurum_assets.ingest.rejecting import one_day
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.table import Table
from aurum_assets.resources.logs import bound
from aurum_assets.resources.settings import Home


@dataclass
class Verified:
    """What ``verify`` found of one operating day."""

    dataset: str
    day: str
    objects: int = 0
    rows: int = 0
    problems: list[str] = field(default_factory=list)


def replay(
    home: Home,
    dataset: Dataset,
    day: OperatingDay,
    *,
    force: bool = False,
    publish: Publish = "nothing",
) -> Normalized:
    """Rebuild a day of the table from the archive alone; no commit where it agrees already.

    ``publish``: whether all of the day is told (again), or what changes, or nothing. Raises
    ``Unexpected`` for what nobody thought of, so that whoever replays a range goes on.
    """
    with one_day(dataset, day.key):
        return _replay(home, dataset, day, force=force, publish=publish)


def _replay(
    home: Home, dataset: Dataset, day: OperatingDay, *, force: bool, publish: Publish
) -> Normalized:
    bring_up(home, dataset)
    said = bound(dataset=dataset.key, day=day.key)
    with said, home.turn(dataset.key), home.metrics.verb("replay", dataset):
        done, identifiers = fold_again(home, dataset, day, force=force, publish=publish)
        landed(home, dataset, day, done.told_of(identifiers))
        held = frozenset(identifiers) - done.lost
        pay(home, dataset, day, held)
        home.registry.mark_merged(dataset.key, day.key, home.lake.uuid(dataset.table), held)
    if publish != "nothing":
        drain(home)
    return done


def held_days(home: Home, dataset: Dataset) -> list[OperatingDay]:
    """The days of which the archive or the table holds anything."""
    archived = home.archive.days(dataset.archive_name)
    stored = [day.isoformat() for day in home.lake.days(dataset.table)]
    return [dataset.day(key) for key in sorted({*archived, *stored})]


def verify(home: Home, dataset: Dataset, day: OperatingDay) -> Verified:
    """Whether every object still holds its bytes, and every row its object.

    Reads everything, writes nothing.
    """
    found = Verified(dataset.key, day.key)
    hashes = set()
    for identifier in home.archive.identifiers(dataset.archive_name, day.key):
        found.objects += 1
        try:
            snapshot = home.archive.snapshot(dataset.archive_name, day.key, identifier)
        except MalformedPayload as error:
            found.problems.append(str(error))
        else:
            hashes.add(snapshot.envelope.raw_sha256)
    for table in (dataset.table, dataset.table.history):
        rows = home.lake.read(table, {"operating_day": day.date})
        found.rows += len(rows) if table is dataset.table else 0
        found.problems += _problems(table, rows, dataset.table.record_hash(), hashes)
    return found


def _problems(
    table: Table, rows: pl.DataFrame, record_hash: pl.Expr, hashes: set[str]
) -> list[str]:
    problems = [
        f"{table.name}: rows refer to bytes {raw[:16]}… that the archive does not hold"
        for raw in sorted(set(rows["raw_sha256"].to_list()) - hashes)
    ]
    if rows.select(table.key).is_duplicated().any():
        problems.append(f"{table.name}: a key stands twice")
    again = rows.select(expected=record_hash, found="record_hash")
    wrong = again.filter(again["expected"] != again["found"])
    if len(wrong):
        problems.append(f"{table.name}: {len(wrong)} rows do not have the hash of their values")
    return problems
