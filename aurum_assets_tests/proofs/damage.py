"""Kinds of damage to a home's lake and archive, each as a function that does it.

The home holds two days of load, of which one was corrected (history), and prices of which one
record broke a rule (quarantine).
"""

import contextlib
import datetime as dt
import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.accept import Received
from aurum_assets.ingest.query import known_tables
from aurum_assets.ingest.reference import LISTS, REFERENCES, observe, publish_list
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.composition import Resources
from aurum_assets_tests.made import remade

LOAD, LMP = ISONE_SYSTEM_LOAD, ISONE_RT_LMP
NOW = dt.datetime(2026, 7, 21, 16, tzinfo=dt.UTC)
DAY = {"operating_day": dt.date(2026, 7, 20)}
_TABLE = LOAD.table


@dataclass(frozen=True)
class Kind:
    """A kind of damage. ``mended``: what makes the tables equal to before: replaying the days, a
    rebuild of the lake, or nothing, where the bytes of the archive are gone. ``counted``: whether a
    count of the manifests or of the archive's listing shows it.
    """

    name: str
    hurt: Callable[[Resources], None]
    mended: Literal["replay", "rebuild", "never"]
    counted: bool = True


def fill(resources: Resources, *, observed: bool = True) -> None:
    """Bring what is to be damaged; the references too where they are ``observed``."""
    at = NOW - dt.timedelta(hours=1)
    for minute, day, loads in ((0, 20, (1, 2)), (1, 20, (1, 3)), (2, 19, (4, 5))):
        records = ",".join(
            f'{{"BeginDate":"2026-07-{day}T17:{20 + 5 * i}:00.000-04:00","LoadMw":1000{load}}}'
            for i, load in enumerate(loads)
        )
        body = f'{{"FiveMinSystemLoads":{{"FiveMinSystemLoad":[{records}]}}}}'
        _bring(resources, LOAD, body, at + dt.timedelta(minutes=minute))
    prices = ",".join(
        f'{{"BeginDate":"2026-07-20T17:20:00.000-04:00","Location":{{"@LocId":"{4000 + i}",'
        f'"@LocType":"LOAD ZONE","$":".Z.{i}"}},"LmpTotal":{total},"EnergyComponent":39,'
        '"CongestionComponent":0,"LossComponent":1}'
        for i, total in enumerate((40, 99, 40))
    )
    _bring(resources, LMP, f'{{"FiveMinLmps":{{"FiveMinLmp":[{prices}]}}}}', at)
    for reference in REFERENCES if observed else ():
        observe(resources, reference, DAY["operating_day"])
    for listed in LISTS if observed else ():
        publish_list(resources, listed, DAY["operating_day"])


def _bring(resources: Resources, dataset: Dataset, body: str, at: dt.datetime) -> None:
    received = Received(
        body=body.encode(),
        endpoint="load",
        dialect="live",
        format="json",
        fetched_at=at,
        finality="prelim" if "finality" in dataset.table.names else None,
    )
    day = ingest.accept(resources, dataset, received).day
    ingest.normalize(resources, dataset, dataset.day(day))


def held(resources: Resources) -> dict[str, pl.DataFrame]:
    """All rows of all tables, by table."""
    return {t.identifier: resources.lake.read(t) for t in known_tables()}


def forget(resources: Resources) -> Resources:
    """``home`` as a new process would open it."""
    from pyiceberg.manifest import clear_manifest_cache

    resources.lake.close()
    clear_manifest_cache()
    return remade(resources)


# --- rows ----------------------------------------------------------------------------------------


def _replace(
    resources: Resources, table: Table, rows: pl.DataFrame, where: Mapping[str, Any] = DAY
) -> None:
    resources.lake.replace(table, rows, where)


def _day_deleted(resources: Resources) -> None:
    _replace(resources, _TABLE, _TABLE.empty())


def _row_deleted(resources: Resources) -> None:
    _replace(resources, _TABLE, resources.lake.read(_TABLE, DAY)[1:])


def _row_added(resources: Resources) -> None:
    rows = resources.lake.read(_TABLE, DAY)
    more = rows[-1:].with_columns(pl.col("interval_start", "interval_end") + dt.timedelta(hours=1))
    _replace(resources, _TABLE, pl.concat([rows, more]))


def _value_changed(resources: Resources) -> None:
    rows = resources.lake.read(_TABLE, DAY).with_columns(pl.col("load") + 1)
    _replace(resources, _TABLE, rows)


def _provenance_changed(resources: Resources) -> None:
    rows = resources.lake.read(_TABLE, DAY)
    _replace(resources, _TABLE, rows.with_columns(pl.col("fetched_at") - dt.timedelta(seconds=1)))


def _history_emptied(resources: Resources) -> None:
    _replace(resources, _TABLE.history, _TABLE.history.empty())


def _quarantine_emptied(resources: Resources) -> None:
    _replace(resources, QUARANTINE, QUARANTINE.empty(), DAY | {"dataset": LMP.key})


# --- the catalog ---------------------------------------------------------------------------------


def _table_dropped(resources: Resources) -> None:
    resources.lake.catalog.drop_table(_TABLE.identifier)


def _catalog_file(resources: Resources) -> Path:
    resources.lake.close()
    return resources.root / "lake" / "catalog.sqlite"


def _catalog_emptied(resources: Resources) -> None:
    with contextlib.closing(sqlite3.connect(_catalog_file(resources))) as db, db:
        db.execute("DELETE FROM iceberg_tables")


def _catalog_zero(resources: Resources) -> None:
    _catalog_file(resources).write_bytes(b"")


def _catalog_garbage(resources: Resources) -> None:
    _catalog_file(resources).write_bytes(b"garbage " * 4096)


def _catalog_gone(resources: Resources) -> None:
    _catalog_file(resources).unlink()


# --- files of a table ----------------------------------------------------------------------------


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flipped(path: Path) -> None:
    """One byte: of a data file's first column, of a manifest's first block, else near the end.

    No format here has a checksum over all of it: some bytes change nothing that is read.
    """
    content = bytearray(path.read_bytes())
    place = {".parquet": 40, ".avro": content.find(content[-16:]) + 22}.get(path.suffix, -40)
    content[place] ^= 0x20
    path.write_bytes(bytes(content))


def _gone(path: Path) -> None:
    path.unlink()


def _path(location: str) -> Path:
    return Path(location.removeprefix("file://"))


def files_of(resources: Resources, table: Table) -> dict[str, Path]:
    """A file of each kind that a read of the table's day takes."""
    found = resources.lake.table(table)
    snapshot = found.current_snapshot()
    if snapshot is None:
        msg = f"{table.identifier} holds nothing"
        raise LookupError(msg)
    day = found.scan(row_filter="operating_day = '2026-07-20'")
    data = next(iter(day.plan_files())).file.file_path
    return {
        "metadata": _path(found.metadata_location),
        "manifest list": _path(snapshot.manifest_list),
        "manifest": _path(
            next(
                manifest.manifest_path
                for manifest in snapshot.manifests(found.io)
                for entry in manifest.fetch_manifest_entry(found.io)
                if entry.data_file.file_path == data
            )
        ),
        "data": _path(data),
    }


def _file(
    what: str, how: Callable[[Path], None], table: Table = _TABLE
) -> Callable[[Resources], None]:
    return lambda home: how(files_of(home, table)[what])


# --- the archive ---------------------------------------------------------------------------------


def objects(resources: Resources) -> list[Path]:
    """The objects of the day of load, in their order."""
    return sorted((resources.root / "archive" / "sourcing" / LOAD.key).glob("*/*/day=20/*.gz"))


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name.partition('.')[0]}.meta.json")


def _envelope_edited(resources: Resources) -> None:
    path = _beside(objects(resources)[0])
    envelope = json.loads(path.read_text())
    path.write_text(json.dumps(envelope | {"fetched_at": "2026-07-21T15:30:00Z"}))


def _object_swapped(resources: Resources) -> None:
    first, second = objects(resources)
    first.write_bytes(second.read_bytes())
    envelope = json.loads(_beside(first).read_text())
    raw = json.loads(_beside(second).read_text())["raw_sha256"]
    _beside(first).write_text(json.dumps(envelope | {"raw_sha256": raw}))


def _object_rewritten(resources: Resources) -> None:
    objects(resources)[0].write_bytes(gzip.compress(b"{}", mtime=0))


def _of_object(how: Callable[[Path], None]) -> Callable[[Resources], None]:
    return lambda home: how(objects(home)[1])


def _envelope_gone(resources: Resources) -> None:
    _beside(objects(resources)[0]).unlink()


def _folder_gone(resources: Resources) -> None:
    shutil.rmtree(objects(resources)[0].parent)


KINDS = (
    Kind("a deleted day", _day_deleted, "replay"),
    Kind("a deleted row", _row_deleted, "replay"),
    Kind("a row that was never archived", _row_added, "replay"),
    Kind("changed values with their own hashes", _value_changed, "replay", counted=False),
    Kind("changed provenance", _provenance_changed, "replay", counted=False),
    Kind("an emptied history", _history_emptied, "replay"),
    Kind("a removed quarantine row", _quarantine_emptied, "replay"),
    Kind("a dropped table", _table_dropped, "replay"),
    Kind("an emptied catalog", _catalog_emptied, "rebuild"),
    Kind("a catalog of 0 bytes", _catalog_zero, "rebuild"),
    Kind("a catalog of garbage", _catalog_garbage, "rebuild"),
    Kind("a catalog that is gone", _catalog_gone, "rebuild"),
    Kind("a truncated data file", _file("data", _truncated), "rebuild", counted=False),
    Kind("a flipped byte in a data file", _file("data", _flipped), "rebuild", counted=False),
    Kind("a data file that is gone", _file("data", _gone), "rebuild", counted=False),
    Kind(
        "a quarantine file that is gone", _file("data", _gone, QUARANTINE), "rebuild", counted=False
    ),
    Kind("a truncated manifest", _file("manifest", _truncated), "rebuild"),
    Kind("a flipped byte in a manifest", _file("manifest", _flipped), "rebuild"),
    Kind("a truncated manifest list", _file("manifest list", _truncated), "rebuild"),
    Kind("a flipped byte in a manifest list", _file("manifest list", _flipped), "rebuild"),
    Kind("truncated metadata", _file("metadata", _truncated), "rebuild"),
    Kind("a flipped byte in metadata", _file("metadata", _flipped), "rebuild"),
    Kind("metadata that are gone", _file("metadata", _gone), "rebuild"),
    Kind("an edited envelope", _envelope_edited, "never", counted=False),
    Kind("a swapped object", _object_swapped, "never", counted=False),
    Kind("a rewritten object", _object_rewritten, "never", counted=False),
    Kind("a truncated object", _of_object(_truncated), "never", counted=False),
    Kind("an object that is gone", _of_object(_gone), "never"),
    Kind("an envelope that is gone", _envelope_gone, "never", counted=False),
    Kind("an archived day that is gone", _folder_gone, "never"),
)
