"""What is measured: a day, a snapshot and 288 ticks, archived as the product writes them.

    {folder}/day/archive      24 hourly answers of real-time prices, gzipped, with their envelopes
    {folder}/cts/archive      one documented answer of Coordinated Transaction Scheduling
    {folder}/committed.parquet  the day's rows as the lake holds them, for the floor to write
    {folder}/ticks.parquet      conformed rows of 288 ticks, in their order
    {folder}/modules.json       what the product imports on the way, so that no clock runs meanwhile

The numbers come from the simulator's pure functions; nothing here is timed.

    python -m benchmarks.prepare FOLDER
"""

import datetime as dt
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.accept import Received
from aurum_assets.ingest.conform import conform
from aurum_assets.ingest.normalized import Normalized
from aurum_assets.model.checks import Verdict
from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.model.dataset import Dataset, Envelope, Snapshot
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.maintenance import Ages, maintain_table
from aurum_assets.simulator.isone.lmp import lmp_records, render_lmp_hour
from aurum_assets.simulator.isone.payloads import render, wrapped
from aurum_assets.simulator.miso.cts import documented_records
from aurum_assets_tests.made import made
from benchmarks.measure import list_modules

DATE = "2025-07-14"
_SOON = dt.timedelta(seconds=30)
_LATER = dt.timedelta(hours=6)


@dataclass(frozen=True)
class Sizes:
    """How much: the documented sizes by default, little for a test."""

    locations: int = 1200
    nodes: int = 100
    ticks: int = 288
    tick_locations: int = 1213


def lmp_day() -> OperatingDay:
    """The day of the prices."""
    return ISONE_RT_LMP.day(DATE)


def cts_day() -> OperatingDay:
    """The day of the interface forecasts."""
    return MISO_CTS.day(DATE)


def home_at(root: Path, archive: Path | None = None) -> Resources:
    """A home with nothing in it but, where given, an ``archive`` made earlier.

    Its clock stands at the morning after, so that the whole day is due.
    """
    root.mkdir(parents=True, exist_ok=True)
    if archive is not None:
        (root / "archive").symlink_to(archive.resolve(), target_is_directory=True)
    morning = lmp_day().end + _LATER
    return made(root, load_config(PROJECT / "config", DATASETS), clock=lambda: morning)


def maintain(lake: Lake, tables: Iterable[Table]) -> None:
    """Bring tables to the layout that the daily maintenance of a home leaves."""
    now, at_once = dt.datetime.now(dt.UTC), Ages(quiet=dt.timedelta())
    for table in tables:
        maintain_table(lake, table, closed_before=lmp_day().date, now=now, ages=at_once)


def bring(resources: Resources, dataset: Dataset) -> tuple[Normalized, list[Verdict]]:
    """From the archive's objects to committed, checked rows: what benchmarks A and B time."""
    done = ingest.normalize(resources, dataset, dataset.day(DATE))
    return done, ingest.check(resources, done)


def prepare(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Make all of it in ``folder``, and say how much it is."""
    day = _archive_day(home_at(folder / "day"), sizes)
    cts = _archive_cts(home_at(folder / "cts"), sizes)
    scratch = home_at(folder / "scratch", folder / "day" / "archive")
    bring(scratch, ISONE_RT_LMP)
    committed = scratch.lake.read(ISONE_RT_LMP.table)
    committed.write_parquet(folder / "committed.parquet")
    bring(home_at(folder / "scratch_cts", folder / "cts" / "archive"), MISO_CTS)
    ticks = _ticks(scratch, sizes)
    ticks.write_parquet(folder / "ticks.parquet")
    list_modules(folder / "modules.json", without=("benchmarks",))
    facts = {"day": day | {"rows": len(committed)}, "cts": cts, "ticks": len(ticks)}
    facts["sizes"] = asdict(sizes)
    return facts


def _archive_day(resources: Resources, sizes: Sizes) -> dict[str, int]:
    day = lmp_day()
    size = packed = 0
    for hour in day.local_hours():
        body = render_lmp_hour(day, hour, sizes.locations)
        received = Received(
            body=body,
            endpoint="fiveminutelmp_prelim_hour",
            dialect="live",
            format="json",
            fetched_at=day.local_hour_start(hour) + dt.timedelta(hours=1) + _SOON,
            finality="prelim",
            asked=day.key,
            filters={"hour": hour},
        )
        size += len(body)
        packed += ingest.accept(resources, ISONE_RT_LMP, received).bytes
    return {"objects": len(day.local_hours()), "json_bytes": size, "gzip_bytes": packed}


def _archive_cts(resources: Resources, sizes: Sizes) -> dict[str, int]:
    day = cts_day()
    fetched = day.end - dt.timedelta(minutes=30)
    metadata = {
        "operatingDay": day.key,
        "retrievalTimestamp": fetched.isoformat(),
        "dataQuality": "FORECAST",
    }
    records = documented_records(day, sizes.nodes)
    body = msgspec.json.encode({"data": records, "metadata": metadata})
    received = Received(body, "cts_day", "documented", "json", fetched, asked=day.key)
    packed = ingest.accept(resources, MISO_CTS, received).bytes
    return {"objects": 1, "json_bytes": len(body), "gzip_bytes": packed, "records": len(records)}


def _ticks(resources: Resources, sizes: Sizes) -> pl.DataFrame:
    """The conformed rows of each tick's own snapshot, one after the other."""
    day = lmp_day()
    frames = []
    for number, mark in enumerate(day.marks(FIVE_MINUTES)[: sizes.ticks]):
        records = lmp_records(day, [number], locations=sizes.tick_locations)
        body = render(wrapped("FiveMinLmps", "FiveMinLmp", records), "json")
        raw = hashlib.sha256(body).hexdigest()
        envelope = Envelope(
            dataset=ISONE_RT_LMP.key,
            endpoint="fiveminutelmp_prelim_current_all",
            dialect="live",
            format="json",
            day=day.key,
            fetched_at=mark + _SOON,
            raw_sha256=raw,
            content_sha256=raw,
            finality="prelim",
        )
        conformed = conform(resources, ISONE_RT_LMP, day, Snapshot(envelope, body))
        if len(conformed.quarantined):
            msg = f"the tick at {mark} has rows that break a rule"
            raise ValueError(msg)
        frames.append(conformed.good)
    return pl.concat(frames)


if __name__ == "__main__":
    print(json.dumps(prepare(Path(sys.argv[1]), Sizes())))
