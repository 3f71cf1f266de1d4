"""P: the page of a day, from the prepared day of real-time prices and a month of smaller ones.

    python -m benchmarks.page fill PREPARED HOME
    python -m benchmarks.page write HOME

The day has the 345,600 five-minute prices, hourly and day-ahead ones made of them, load, generation
and the seam's forecasts; the month before it a few locations, for completeness. The home is
maintained as it is each day. Each page is written by a process of its own: what only the page needs
(Vega, jinja2, DuckDB) is imported, and starts, while the clock runs, as in a run.
"""

import datetime as dt
import gc
import json
import sys
from pathlib import Path
from typing import Any

from aurum_assets import ingest
from aurum_assets.operators import DATASETS
from aurum_assets.report.page import report_folder, write_report
from aurum_assets_tests.report_homes import fill, loads, seam
from benchmarks.derived import put
from benchmarks.measure import Clock
from benchmarks.prepare import home_at, lmp_day, maintain

_DAYS = 30


def prepare(prepared: Path, folder: Path) -> None:
    """Fill the home."""
    home, day = home_at(folder), lmp_day()
    fill(home, [day.plus(-n).key for n in range(1, _DAYS)])
    put(prepared, home)
    loads(home, day.key)
    seam(home, day.key)
    maintain(home.lake, ingest.known_tables())


def write(folder: Path) -> dict[str, Any]:
    """Write the page, with garbage collected as seldom as in ``aurum``."""
    gc.freeze()
    gc.set_threshold(100_000)
    home, clock = home_at(folder), Clock()
    with clock.running():
        done = write_report(home, DATASETS, lmp_day().key, report_folder(home))
    return {**clock.report(), "bytes": done.bytes, "charts": done.charts}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", prepared, folder]:
            prepare(Path(prepared), Path(folder))
            print(json.dumps({"until": dt.datetime.now(dt.UTC).isoformat()}))
        case ["write", folder]:
            print(json.dumps(write(Path(folder))))
