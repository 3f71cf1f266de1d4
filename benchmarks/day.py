"""What the product does, each in a process of its own, timed from archived bytes to checked rows.

    python -m benchmarks.day product PREPARED HOME    A: a day of real-time prices
    python -m benchmarks.day snapshot PREPARED HOME   B: one documented interface snapshot
    python -m benchmarks.day merges PREPARED HOME     C: 288 conformed ticks, one merge each

HOME must not exist: lake and registry are new each time. The argument ``profile`` prints where the
time went, to standard error. ``floor`` is what A is held against.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.miso.cts import MISO_CTS
from benchmarks.measure import Clock, import_all, peak_mb
from benchmarks.prepare import bring, home_at
from benchmarks.sampling import Sampler

Run = Callable[[Path, Path], dict[str, Any]]


def product(prepared: Path, home: Path) -> dict[str, Any]:
    """A: the archive's objects of the day to committed, checked rows."""
    return _brought(prepared / "day" / "archive", home, ISONE_RT_LMP)


def snapshot(prepared: Path, home: Path) -> dict[str, Any]:
    """B: one archived snapshot of the documented dialect to committed, checked rows."""
    return _brought(prepared / "cts" / "archive", home, MISO_CTS)


def _brought(archive: Path, root: Path, dataset: Dataset) -> dict[str, Any]:
    home, clock = home_at(root, archive), Clock()
    with clock.running():
        done, verdicts = bring(home, dataset)
    return clock.report() | {
        "rows": home.lake.counts(dataset.table, {"operating_day": done.day.date})[0],
        "quarantined": done.quarantined,
        "failed_checks": [v.check for v in verdicts if not v.passed],
        "rebuilt": done.rebuilt,
    }


def merges(prepared: Path, home: Path) -> dict[str, Any]:
    """C: every tick's frame through ``lake.merge``, compaction included."""
    lake = home_at(home).lake
    frames = pl.read_parquet(prepared / "ticks.parquet").partition_by(
        "interval_start", maintain_order=True
    )
    seconds = []
    for frame in frames:
        start = time.perf_counter()
        merged = lake.merge(ISONE_RT_LMP.table, frame)
        seconds.append(time.perf_counter() - start)
        if merged.new != len(frame):
            msg = f"{merged} of {len(frame)} new rows"
            raise ValueError(msg)
    return {
        "seconds": sum(seconds),
        "each": seconds,
        "rows": len(lake.read(ISONE_RT_LMP.table, columns=("interval_start",))),
        "quarantined": len(lake.read(QUARANTINE)),
        "peak_mb": peak_mb(),
    }


def profiled(run: Run, prepared: Path, home: Path) -> dict[str, Any]:
    """``run``, and on standard error where its time went."""
    sampler = Sampler()
    with sampler.running():
        text = run(prepared, home)
    for line in sampler.lines():
        print(line, file=sys.stderr)
    return text


RUNS: dict[str, Run] = {"product": product, "snapshot": snapshot, "merges": merges}


if __name__ == "__main__":
    _name, _prepared, _home, *_profile = sys.argv[1:]
    _run = partial(profiled, RUNS[_name]) if _profile else RUNS[_name]
    _missing = import_all(Path(_prepared) / "modules.json")
    _report = _run(Path(_prepared), Path(_home))
    print(json.dumps(_report | {"not_importable": _missing}))
