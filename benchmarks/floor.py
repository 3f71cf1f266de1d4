"""The floor of benchmark A: the least that anybody could do with the same bytes, on one thread.

    POLARS_MAX_THREADS=1 … python -m benchmarks.floor PREPARED OUT.parquet

Timed: unpack and decode the day's objects, one at a time, into Structs out of the garbage
collector's sight, and write the committed rows once as Parquet (zstd). The rows are read from a
file beforehand: nothing is reshaped, hashed, checked or committed here.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import Clock


class Location(msgspec.Struct, gc=False):
    """Where."""

    id: str = msgspec.field(name="@LocId")
    type: str = msgspec.field(name="@LocType")
    name: str = msgspec.field(name="$")


class Price(msgspec.Struct, gc=False):
    """One record."""

    BeginDate: str
    Location: Location
    LmpTotal: float
    EnergyComponent: float
    CongestionComponent: float
    LossComponent: float


class Prices(msgspec.Struct, gc=False):
    """The inner wrapper."""

    FiveMinLmp: list[Price]


class Answer(msgspec.Struct, gc=False):
    """The outer wrapper."""

    FiveMinLmps: Prices


def floor(prepared: Path, out: Path) -> dict[str, Any]:
    """Unpack, decode, write; the number of records decoded goes with it."""
    rows = pq.read_table(prepared / "committed.parquet")
    clock, records = Clock(), 0
    with clock.running():
        decoder = msgspec.json.Decoder(Answer)
        for path in sorted((prepared / "day" / "archive").rglob("*.json.gz")):
            answer = decoder.decode(gzip.decompress(path.read_bytes()))
            records += len(answer.FiveMinLmps.FiveMinLmp)
        pq.write_table(rows, out, compression="zstd")
    return clock.report() | {"records": records, "rows": len(rows)}


if __name__ == "__main__":
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    print(json.dumps(floor(Path(sys.argv[1]), Path(sys.argv[2]))))
