"""What a proof is, and the ground that the proofs stand on: a home, its tables, rows to write.

A proof tries to break a promise, counts what it did, and names every case that was not as promised.
"""

import datetime as dt
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from aurum_assets.model.clock import FIVE_MINUTES, OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.pjm.operator import PJM
from aurum_assets.resources.catalog import catalog_properties
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.lake import Lake
from aurum_assets_tests.made import made

UNLIMITED = 1_000.0
_SHOWN = 5
_TELL_AFTER = 10.0


@dataclass
class Proof:
    """A promise, what was counted while trying to break it, and what was not as promised."""

    promise: str
    counts: dict[str, int | float | str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    _reported: float = field(default_factory=time.monotonic)

    def add(self, name: str, count: int = 1) -> None:
        """Count, and tell every ten seconds how far it is."""
        self.counts[name] = int(self.counts.get(name, 0)) + count
        if time.monotonic() - self._reported > _TELL_AFTER:
            self._reported = time.monotonic()
            print(f"… {self.counts[name]:,} {name}", file=sys.stderr, flush=True)

    def holds(self, what: str, *, where: bool) -> None:
        """Note ``what`` as broken unless ``where``."""
        if not where:
            self.broken.append(what)

    def __str__(self) -> str:
        lines = [
            self.promise,
            *(f"    {value!s:>12}  {name}" for name, value in self.counts.items()),
        ]
        lines += [f"    BROKEN        {what}" for what in self.broken[:_SHOWN]]
        more = len(self.broken) - _SHOWN
        return "\n".join([*lines, *([f"    BROKEN        and {more} more"] if more > 0 else [])])


Instant = dt.datetime | Callable[[], dt.datetime]


def home_at(
    root: Path,
    now: Instant,
    urls: Mapping[str, str] | None = None,
    limit_scale: float = UNLIMITED,
) -> Resources:
    """A home in ``root`` whose clock stands at, or is, ``now``; ``urls`` for the operators."""
    return made(
        root=root,
        configuration=load_config(PROJECT / "config", DATASETS),
        base_urls=urls or {},
        credentials={
            "isone": Credentials.of(ISONE, "demo", "demo-password"),
            "pjm": Credentials.of(PJM, "demo-key-of-pjm"),
        },
        clock=now if callable(now) else lambda: now,
        limit_scale=limit_scale,
    )


def begun(resources: Resources, first: dt.date) -> Resources:
    """The home with every dataset wanted from day ``first`` on, and nothing from before it."""
    config = resources.configuration
    datasets = {key: replace(c, first_day=first) for key, c in config.datasets.items()}
    return replace(resources, configuration=replace(config, datasets=datasets))


def lake_at(root: Path, url: str = "", *, locked: bool = True) -> Lake:
    """The lake whose files are in ``root``, its catalog there too or in the Postgres at ``url``.

    Without ``locked``, as on another machine, which takes no locks of this one.
    """
    properties = catalog_at(root, url)
    return Lake.remote(properties, root) if locked else Lake(properties)


def catalog_at(root: Path, url: str = "") -> dict[str, str]:
    """The properties of the catalog in ``root``, or in the Postgres at ``url``."""
    if url:
        return catalog_properties("sql", url, f"file://{root}/warehouse", "", home=root, s3={})
    return {
        "type": "sql",
        "uri": f"sqlite:///{root}/catalog.sqlite?timeout=30",
        "warehouse": f"file://{root}/warehouse",
    }


def close(lake: Lake) -> None:
    """Close the catalog's connections now: an interpreter that closes them late warns of it."""
    if "catalog" in vars(lake):
        lake.catalog.close()


def frame_of(
    dataset: Dataset,
    day: OperatingDay,
    loads: Mapping[int, float],
    *,
    fetched: int = 0,
    who: str = "",
) -> pl.DataFrame:
    """Rows of a table of one value an interval: number of the interval -> the value."""
    table = dataset.table
    marks = day.marks(FIVE_MINUTES)
    numbers = sorted(loads)
    starts = pl.Series([marks[n] for n in numbers], dtype=table.schema["interval_start"])
    frame = pl.DataFrame({"interval_start": starts}).with_columns(
        operating_day=pl.lit(day.date),
        interval_end=pl.col("interval_start") + FIVE_MINUTES,
        load=pl.Series([loads[n] for n in numbers], dtype=pl.Float64),
        source_timezone=pl.lit(day.zone),
        fetched_at=pl.lit(
            day.end + dt.timedelta(seconds=fetched), dtype=table.schema["fetched_at"]
        ),
        raw_sha256=pl.lit(who or "0"),
    )
    absent = {n: t for n, t in table.schema.items() if n not in frame.columns}
    frame = frame.with_columns(pl.lit(None, dtype=t).alias(n) for n, t in absent.items())
    return frame.select(table.names)


def values_of(frame: pl.DataFrame, day: OperatingDay) -> list[tuple[int, float]]:
    """The inverse of ``frame_of``, duplicates and all."""
    rows = frame.filter(pl.col("operating_day") == day.date).sort("interval_start")
    starts: list[dt.datetime] = rows["interval_start"].to_list()
    numbers = [(start - day.start) // FIVE_MINUTES for start in starts]
    return list(zip(numbers, rows["load"].to_list(), strict=True))


def repeated_keys(table: Table, frame: pl.DataFrame) -> int:
    """How many rows share their key with another one."""
    return int(frame.select(pl.struct(table.key).is_duplicated().sum()).item())


def union(parts: Iterable[Sequence[int]]) -> set[int]:
    """All the numbers that are in one of ``parts``."""
    return {number for part in parts for number in part}
