"""A new operator from its declaration to the UI: CSV, a bearer token, pages, a zone of its own.

Each step is a process of its own, in which the operator is one more line of ``operators``.
"""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import polars as pl
import pytest

from aurum_assets.model import columns as c
from aurum_assets.model.clock import HOUR, OperatingDay
from aurum_assets.model.dataset import Dataset, Dialect
from aurum_assets.model.operator import Bearer, Operator
from aurum_assets.model.prices import LMP_IS_PRESENT
from aurum_assets.model.reading import Record, local_days
from aurum_assets.model.table import Table

pytestmark = pytest.mark.slow

TOY = Operator(
    "toy", "Toy Exchange", "Europe/Berlin", "https://toy.invalid", auth=(Bearer("TOY_TOKEN"),),
    registration="https://toy.invalid/register", next_page=lambda _, headers: headers.get("x-next"),
)  # fmt: skip
DAY = OperatingDay(dt.date(2026, 10, 25), TOY.zone)  # of 25 hours
COLUMNS = (c.OPERATING_DAY, c.INTERVAL_START, c.INTERVAL_END, c.LOCATION, c.LMP, *c.PROVENANCE)


class Price(Record):
    hour: str
    area: str
    price: float


def parse(rows: pl.DataFrame) -> pl.DataFrame:
    at = pl.col("hour").str.to_datetime("%Y-%m-%dT%H:%M:%S%:z", time_unit="us", time_zone="UTC")
    return rows.select(interval_start=at, interval_end=at + HOUR, location="area", lmp="price")


LIVE = Dialect(
    "live", (), Price, parse, lambda rows, _: local_days([r["hour"] for r in rows], TOY.zone), HOUR
)
KEY, HASHED = ("interval_start", "location"), ("interval_end", "lmp")
TABLE = Table("toy_prices", COLUMNS, KEY, HASHED, (LMP_IS_PRESENT,), doc="Hourly prices.")
PRICES = Dataset("toy_prices", TOY, TABLE, (LIVE,), "Hourly prices.", group="prices")
CONFIG = """{"operator": {"name": "toy"}, "datasets": [{
  "key": "toy_prices", "topic": "toy.prices.v1", "first_day": "2026-10-20", "lateness_minutes": 60,
  "feeds": [{"name": "day", "asks": "day", "cadence": "daily", "offset_days": -1,
             "endpoints": [{"name": "prices", "path": "/prices/{day}", "formats": ["csv"]}]}]}]}"""
PROGRAM = """
import sys
from aurum_assets import operators
from aurum_assets_tests.test_a_new_operator import DAY, PRICES, TOY
operators.OPERATORS += (TOY,)
operators.DATASETS += (PRICES,)
if sys.argv[1:]: from aurum_assets.cli import main; main()
from aurum_assets.definitions import defs
done = defs.resolve_job_def("toy_daily").execute_in_process(partition_key=DAY.key)
checks = [e.passed for e in done.get_asset_check_evaluations()]
print(done.success, len(checks), all(checks), "toy_api" in defs.resources)
"""


class Exchange(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Authorization"] == "Bearer toy-token" else 401)
        last = self.path.endswith("?page=2")
        self.send_header("X-Next", "" if last else f"/prices/{DAY}?page=2")
        self.end_headers()
        hours = [(DAY.start + n * HOUR).astimezone(dt.UTC).isoformat() for n in range(25)]
        rows = [f"{hour},{'AB'[last]},{n}.5" for n, hour in enumerate(hours)]
        self.wfile.write("\n".join(["hour,area,price", *rows, ""]).encode())


def test_it_is_collected_archived_checked_and_shown(tmp_path: Path) -> None:
    def run(*words: str, token: str = "toy-token") -> str:  # noqa: S107  of a toy
        command, env = [sys.executable, "-W", "ignore", "-c", PROGRAM, *words], os.environ.copy()
        env |= {"AURUM_HOME": f"{tmp_path}/home", "AURUM_CONFIG": f"{tmp_path}/config"}
        env |= {"TOY_TOKEN": token, "TOY_BASE_URL": url, "AURUM_NOW": "2026-10-26T12:00Z"}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout  # noqa: S603

    shutil.copytree(Path(__file__).parents[1] / "config", tmp_path / "config")
    (tmp_path / "config" / "toy_ingest_datasets.json").write_text(CONFIG)
    day = ("collect", "toy", "prices", "--day", DAY.key, "--json")
    with ThreadingHTTPServer(("127.0.0.1", 0), Exchange) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert "set TOY_TOKEN (register at https://toy.invalid/register)" in run(*day, token="")
        done = json.loads(run(*day))
        assert (done["collected"], done["rows"], done["failed"]) == (2, 50, 0)
        (ours,) = (d for d in json.loads(run("status", "--json"))["datasets"] if d["rows"])
        assert [ours[n] for n in ("dataset", "objects", "rows", "days")] == ["toy_prices", 2, 50, 1]
        assert run().split() == ["True", "7", "True", "True"], "its job, checks, resource"
        server.shutdown()
