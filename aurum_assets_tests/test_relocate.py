"""A copied or moved home is refused before anything happens, and ``aurum relocate`` mends it."""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from pyiceberg.catalog import Catalog

from aurum_assets import cli, ingest, open_lake
from aurum_assets.isone import IsoNeApiConfig
from aurum_assets.miso import MisoApiConfig
from aurum_assets.model.errors import ConfigError, HomeMoved, LakeBusy
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.settings import open_resources
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Aurum, printed
from aurum_assets_tests.made import made
from aurum_assets_tests.recordings import recording
from aurum_assets_tests.servers.s3 import S3Server

pytestmark = pytest.mark.slow

LMP, LOAD = ISONE_RT_LMP, ISONE_SYSTEM_LOAD
TABLES = [LMP.table, LMP.table.history, LOAD.table, QUARANTINE]
PRICES = recording("isone_rt_lmp", "live", "ordinary").body
AT = ("--at", "2030-01-01T00:00:00Z")
DAY = ("--day", "2026-07-20")
COMMANDS = {
    "collect": ("collect", "isone", LOAD.key),
    "load": ("load", "--dataset", LOAD.key, __file__),
    "status": ("status",),
    "sql": ("sql", "select 1"),
    "export": ("export", "--dataset", LOAD.key, *DAY, "--output", "-"),
    "as-of": ("as-of", "--dataset", LOAD.key, *AT),
    "alerts": ("alerts",),
    "alerts --check": ("alerts", "--check"),
    "metrics": ("metrics", "--once"),
    "verify": ("verify",),
    "maintain": ("maintain",),
    "maintain --dry-run": ("maintain", "--dry-run"),
    "observe": ("reference", "observe"),
    "show": ("reference", "show", "iso_nodes"),
    "reference export": ("reference", "export"),
    "probe": ("probe",),
    "replay": ("replay", LOAD.key, "--all"),
    "replay --all": ("replay", "--all"),
    "one rebuild": ("replay", LOAD.key, "--all", "--rebuild"),
    "requeue": ("requeue",),
    "marts": ("marts", "--changed"),
    "report": ("report", *DAY),
    "board": ("board",),
    "demo": ("demo",),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, configuration: Configuration) -> Path:
    """A home with prices, a correction of one, a load, and a row in quarantine."""
    root = tmp_path_factory.mktemp("made") / "aurum"
    fill(made(root, configuration), root.parent)
    return root


def fill(resources: Resources, folder: Path) -> None:
    changed = (PRICES.replace(b"39.16", value) for value in (b"39.17", b"99.99"))
    for number, body in enumerate((PRICES, *changed)):
        path = folder / f"prices-{number}.json"
        path.write_bytes(body)
        os.utime(path, (1_790_000_000 + number, 1_790_000_000 + number))
        ingest.load(resources, LMP, [path])
    path = folder / "load.json"
    path.write_bytes(recording("isone_system_load", "live", "ordinary").body)
    ingest.load(resources, LOAD, [path])


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """A copy of it under another name."""
    return shutil.copytree(original, tmp_path / "a copy of #1")


def at(root: Path, configuration: Configuration) -> Resources:
    return made(root, configuration)


def files(root: Path) -> dict[str, str]:
    """The hash of each file below ``root``, but of the requests that this process counts."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.startswith("limits.sqlite")
    }


def rows(resources: Resources) -> list[pl.DataFrame]:
    return [resources.lake.read(table) for table in TABLES]


def history(resources: Resources) -> dict[str, list[tuple[int, int]]]:
    """Each snapshot of each table, and how many rows a look back to it gives."""
    found = {}
    for table in TABLES:
        one = resources.lake.table(table)
        counts = [
            (s.snapshot_id, len(one.scan(snapshot_id=s.snapshot_id).to_arrow()))
            for s in one.metadata.snapshots
        ]
        found[table.identifier] = counts
    return found


def named(catalog: Catalog) -> Iterator[str]:
    """Every location that the tables of ``catalog`` name."""
    for namespace in catalog.list_namespaces():
        for identifier in catalog.list_tables(namespace):
            table = catalog.load_table(identifier)
            yield table.metadata_location
            yield table.location()
            yield from (entry.metadata_file for entry in table.metadata.metadata_log)
            for snapshot in table.metadata.snapshots:
                yield snapshot.manifest_list
                for manifest in snapshot.manifests(table.io):
                    yield manifest.manifest_path
                    entries = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
                    yield from (entry.data_file.file_path for entry in entries)


# --- refused -------------------------------------------------------------------------------------


def test_every_command_is_in_these_tests() -> None:
    tried = {arguments[0] for arguments in COMMANDS.values()}
    assert tried | {"relocate", "doctor", "plan", "simulate", "tables", "worker"} == set(
        cli.COMMANDS
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_copied_home_is_refused_before_anything_is_read_or_written(
    aurum: Aurum, original: Path, copy: Path, name: str
) -> None:
    before = files(original), files(copy)
    result = aurum(*COMMANDS[name], AURUM_HOME=str(copy))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (sentence,) = result.stderr.strip().splitlines()
    assert sentence.startswith(f"Error: the home in {copy} was made in {original}, ")
    assert "`aurum relocate`" in sentence
    assert (files(original), files(copy)) == before


def test_a_copied_home_is_refused_by_python_too(
    original: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURUM_HOME", str(copy))
    for opened in (open_lake, IsoNeApiConfig().resources, MisoApiConfig().resources):
        with pytest.raises(HomeMoved, match=f"was made in {original}, "):
            opened()


def test_a_home_that_another_process_copied_meanwhile_is_refused_by_the_lake(
    copy: Path, configuration: Configuration
) -> None:
    with pytest.raises(HomeMoved, match="aurum relocate"):
        at(copy, configuration).lake.read(LMP.table)


def test_dagster_does_not_load_a_copied_home(original: Path, copy: Path) -> None:
    before = files(original), files(copy)
    environment = os.environ | {"AURUM_HOME": str(copy), "DAGSTER_HOME": ""}
    command = [sys.executable, "-c", "import aurum_assets.definitions"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  ours
    assert done.returncode == 1
    assert f"was made in {original}, " in done.stderr.strip().splitlines()[-1]
    assert (files(original), files(copy)) == before


def test_a_home_reached_by_another_name_is_the_same(
    aurum: Aurum, copy: Path, tmp_path: Path
) -> None:
    assert aurum("relocate", AURUM_HOME=str(copy)).exit_code == 0
    link = tmp_path / "link"
    link.symlink_to(copy)
    assert aurum("status", AURUM_HOME=str(link)).exit_code == 0
    moved = copy.rename(tmp_path / "moved")
    assert aurum("status", AURUM_HOME=str(moved)).exit_code == 2
    copy.symlink_to(moved)  # the old name leads here: its files are found by it
    assert aurum("status", AURUM_HOME=str(moved)).exit_code == 0
    assert "nothing to relocate" in aurum("relocate", AURUM_HOME=str(moved)).stderr


def test_to_notice_costs_a_few_milliseconds_and_no_library(original: Path) -> None:
    code = """
import sys, time
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import open_resources
home = open_resources(DATASETS)
took = []
for _ in range(5):
    began = time.perf_counter()
    home.lake.refuse_elsewhere()
    took.append(time.perf_counter() - began)
print(min(took), *(m for m in ("pyiceberg", "sqlalchemy", "pyarrow") if m in sys.modules))
"""
    environment = os.environ | {"AURUM_HOME": str(original)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603  ours
    seconds, *imported = done.stdout.split()
    assert imported == []
    assert float(seconds) < 0.005


def test_the_doctor_names_it_as_a_part(aurum: Aurum, original: Path, copy: Path) -> None:
    def parts(home: Path) -> dict[str, dict[str, Any]]:
        found = printed(aurum("doctor", "--json", AURUM_HOME=str(home)))["parts"]
        return {part["part"]: part for part in found}

    assert parts(original)["place"]["state"] == "ok"
    found = parts(copy)
    assert found["place"]["state"] == "broken"
    assert str(original) in found["place"]["result"]
    assert "`aurum relocate`" in found["place"]["remedy"]
    assert found["catalog"]["state"] == "embedded default"


# --- relocated -----------------------------------------------------------------------------------


def test_a_copy_is_relocated_with_its_history_and_the_original_stays_untouched(
    aurum: Aurum, original: Path, copy: Path, configuration: Configuration, tmp_path: Path
) -> None:
    made = at(original, configuration)
    expected, looked_back = rows(made), history(made)
    assert [len(frame) for frame in expected] == [5, 1, 3, 1]
    made.lake.close()
    before = files(original)
    dry = files(copy)
    planned = printed(aurum("relocate", "--dry-run", "--json", AURUM_HOME=str(copy)))
    assert files(copy) == dry
    done = printed(aurum("relocate", "--json", AURUM_HOME=str(copy)))
    assert done == planned | {"dry_run": False}
    assert (done["from"], done["to"]) == (
        f"file://{original}/lake/warehouse",
        f"{copy}/lake/warehouse",
    )
    assert {entry["table"] for entry in done["relocated"]} >= {t.identifier for t in TABLES}
    found = at(copy, configuration)
    assert all(one.equals(other) for one, other in zip(rows(found), expected, strict=True))
    assert history(found) == looked_back
    assert {str(place).startswith(f"{copy}/") for place in named(found.lake.catalog)} == {True}
    assert "nothing to relocate" in aurum("relocate", AURUM_HOME=str(copy)).stderr
    assert aurum("verify", AURUM_HOME=str(copy)).exit_code == 0
    later = tmp_path / "later.json"
    later.write_bytes(PRICES.replace(b"39.16", b"39.15"))
    assert aurum("load", "--dataset", LMP.key, later, AURUM_HOME=str(copy)).exit_code == 0
    assert aurum("maintain", AURUM_HOME=str(copy)).exit_code == 0
    assert len(found.lake.read(LMP.table.history)) > len(expected[1])
    assert files(original) == before


def test_a_moved_home_is_relocated_and_finds_all_its_files(
    aurum: Aurum, original: Path, copy: Path, configuration: Configuration, tmp_path: Path
) -> None:
    assert aurum("relocate", AURUM_HOME=str(copy)).exit_code == 0
    moved = copy.rename(tmp_path / "moved")
    assert aurum("status", AURUM_HOME=str(moved)).exit_code == 2
    result = aurum("relocate", AURUM_HOME=str(moved))
    assert result.exit_code == 0, result.output
    assert "tables were relocated from" in result.stderr
    expected = rows(at(original, configuration))
    found = rows(at(moved, configuration))
    assert all(one.equals(other) for one, other in zip(found, expected, strict=True))


def test_a_copy_is_another_home_in_a_shared_redis(
    aurum: Aurum, copy: Path, configuration: Configuration
) -> None:
    (copy / "identity").write_text("as-the-original")
    assert aurum("relocate", AURUM_HOME=str(copy)).exit_code == 0
    assert at(copy, configuration).identity != "as-the-original"


def test_tables_of_others_go_along_where_they_are_beside_ours(
    aurum: Aurum, copy: Path, configuration: Configuration, tmp_path: Path
) -> None:
    assert aurum("relocate", AURUM_HOME=str(copy)).exit_code == 0
    catalog = at(copy, configuration).lake.catalog
    schema = catalog.load_table(LOAD.table.identifier).schema()
    catalog.create_namespace("mine")
    catalog.create_table("mine.here", schema)
    catalog.create_table("mine.there", schema, location=f"file://{tmp_path}/elsewhere/mine/there")
    assert aurum("status", AURUM_HOME=str(copy)).exit_code == 0
    moved = copy.rename(tmp_path / "moved")
    done = printed(aurum("relocate", "--json", AURUM_HOME=str(moved)))
    tables = {entry["table"] for entry in done["relocated"]}
    assert "mine.here" in tables
    assert "mine.there" not in tables
    assert aurum("status", AURUM_HOME=str(moved)).exit_code == 0


@pytest.mark.parametrize("half", [False, True], ids=["missing", "half copied"])
def test_where_a_file_was_not_copied_it_is_named_and_nothing_is_changed(
    aurum: Aurum, copy: Path, *, half: bool
) -> None:
    lost = max((copy / "lake" / "warehouse").rglob("*.parquet"))
    lost.write_bytes(lost.read_bytes()[:100]) if half else lost.unlink()
    before = {name: found for name, found in files(copy).items() if "locks" not in name}
    for dry in ((), ("--dry-run",)):
        result = aurum("relocate", *dry, AURUM_HOME=str(copy))
        assert result.exit_code == 1, result.output
        (sentence,) = result.stderr.strip().splitlines()
        assert f"{lost} {'has 100 bytes' if half else 'is missing'}" in sentence
        assert "aurum replay --all --rebuild" in sentence
    assert {name: found for name, found in files(copy).items() if "locks" not in name} == before


def test_a_catalog_that_decides_the_place_by_itself_is_told_what_to_do(aurum: Aurum) -> None:
    rest = {"AURUM_CATALOG_URI": "http://127.0.0.1:1/api", "AURUM_CATALOG_WAREHOUSE": "prod"}
    result = aurum("relocate", **rest)
    assert result.exit_code == 2
    assert "REST at 127.0.0.1:1" in result.stderr
    assert "`aurum replay --all --rebuild --yes`" in result.stderr


# --- a catalog that does not say where its tables are ---------------------------------------------


@pytest.fixture
def held(copy: Path) -> Iterator[sqlite3.Connection]:
    """A connection that keeps all others from the catalog of the copy."""
    with contextlib.closing(
        sqlite3.connect(copy / "lake" / "catalog.sqlite", check_same_thread=False)
    ) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield db


def test_a_copy_is_refused_however_long_its_catalog_was_locked(
    copy: Path, held: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURUM_HOME", str(copy))
    threading.Timer(5.5, held.rollback).start()  # more than SQLite waits by itself
    with pytest.raises(HomeMoved):
        open_resources(DATASETS)


def test_a_catalog_that_stays_locked_is_reported_and_not_opened(
    copy: Path, held: sqlite3.Connection
) -> None:
    lake = Lake(Lake.local(copy / "lake")._properties, patience=0.1)  # noqa: SLF001  those of a home
    with pytest.raises(LakeBusy, match=r"catalog\.sqlite locked for over 0\.1 s.*then ask again"):
        lake.catalog  # noqa: B018  opens it
    assert held.in_transaction


def test_a_catalog_that_cannot_be_opened_is_reported(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURUM_HOME", str(copy))
    catalog = copy / "lake" / "catalog.sqlite"
    catalog.unlink()
    catalog.mkdir()
    with pytest.raises(ConfigError, match=r"catalog\.sqlite.* cannot be opened .* set AURUM_HOME"):
        open_resources(DATASETS)


# --- killed --------------------------------------------------------------------------------------


def relocated(root: Path) -> tuple[int, int]:
    """How many tables are, so far, and how many there are."""
    with sqlite3.connect(root / "lake" / "catalog.sqlite") as db:
        found = db.execute("SELECT metadata_location FROM iceberg_tables").fetchall()
    return sum(str(root) in place for (place,) in found), len(found)


def written(root: Path) -> int:
    return len(list((root / "lake" / "warehouse").rglob("*.avro")))


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_kill_leaves_each_table_as_it_was_or_done_and_a_second_run_finishes(
    aurum: Aurum, original: Path, copy: Path, configuration: Configuration, after: int
) -> None:
    before, copied = files(original), written(copy)
    script = "import sys; from aurum_assets.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", script, "relocate"]
    environment = os.environ | {"AURUM_HOME": str(copy)}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603  ours
    while running.poll() is None and relocated(copy)[0] < after:
        time.sleep(0.001)
    while running.poll() is None and not after and written(copy) == copied:
        time.sleep(0.001)  # until it is in the middle of the first table
    running.kill()
    running.wait()
    done, of = relocated(copy)
    assert after <= done <= of
    assert aurum("status", AURUM_HOME=str(copy)).exit_code == (2 if done < of else 0)
    result = aurum("relocate", AURUM_HOME=str(copy))
    assert result.exit_code == 0, result.output
    expected = rows(at(original, configuration))
    found = at(copy, configuration)
    assert all(one.equals(other) for one, other in zip(rows(found), expected, strict=True))
    assert aurum("verify", AURUM_HOME=str(copy)).exit_code == 0
    assert files(original) == before


# --- rebuilt -------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [False, True], ids=["copied", "moved"])
def test_all_of_it_can_be_made_anew_from_the_archive_where_it_is_now(
    aurum: Aurum, original: Path, copy: Path, configuration: Configuration, *, moved: bool
) -> None:
    expected = rows(at(original, configuration))
    if moved:
        assert aurum("relocate", AURUM_HOME=str(copy)).exit_code == 0
        copy = copy.rename(copy.parent / "moved")
    before = files(original)
    (copy / "identity").write_text("as-the-original")
    result = aurum("replay", "--all", "--rebuild", AURUM_HOME=str(copy))
    assert result.exit_code == 0, result.output
    found = at(copy, configuration)
    assert all(one.equals(other) for one, other in zip(rows(found), expected, strict=True))
    assert {
        place.removeprefix("file://").startswith(f"{copy}/") for place in named(found.lake.catalog)
    } == {True}
    assert found.identity != "as-the-original"
    assert files(original) == before


# --- on S3 ---------------------------------------------------------------------------------------


def objects(s3: S3Server, prefix: str) -> dict[str, tuple[str, Any]]:
    client = boto3.client("s3", endpoint_url=s3.url)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="raw", Prefix=prefix)
    return {
        item["Key"].removeprefix(prefix): (item["ETag"], item["LastModified"])
        for page in pages
        for item in page.get("Contents", [])
    }


def test_a_warehouse_and_an_archive_on_s3_are_relocated_to_another_prefix(
    aurum: Aurum,
    s3: S3Server,
    postgres_url: str,
    market: Running,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def environment(place: str) -> dict[str, str]:
        return {
            "AURUM_HOME": str(tmp_path / "home"),
            "AURUM_S3_ENDPOINT": s3.url,
            "AURUM_CATALOG_URI": postgres_url,
            "AURUM_CATALOG_WAREHOUSE": f"s3://raw/{place}/warehouse",
            "AURUM_ARCHIVE": f"s3://raw/{place}/archive",
        }

    for name, value in environment("one").items():
        monkeypatch.setenv(name, value)
    made = open_resources(DATASETS)
    fill(made, tmp_path)
    expected, looked_back = rows(made), history(made)
    made.lake.close()
    client = boto3.client("s3", endpoint_url=s3.url)
    before = objects(s3, "one/")
    for key in before:
        operator = f"raw/one/{key}"
        client.copy_object(Bucket="raw", Key=f"two/{key}", CopySource=operator)
    for name, value in environment("two").items():
        monkeypatch.setenv(name, value)
    copied = objects(s3, "two/")
    for command, code in ((("status",), 2), (("collect", "isone", LOAD.key), 1)):  # 1: of its days
        refused = aurum(*command, **environment("two"))
        assert refused.exit_code == code, refused.output
        for part in ("s3://raw/one/warehouse", "s3://raw/two/warehouse", "`aurum relocate`"):
            assert part in refused.stderr
    assert market.simulator.requests == []
    assert objects(s3, "two/") == copied
    parts = printed(aurum("doctor", "--json", **environment("two")))["parts"]
    assert {p["part"]: p["state"] for p in parts}["place"] == "broken"
    done = printed(aurum("relocate", "--json", **environment("two")))
    assert (done["from"], done["to"]) == ("s3://raw/one/warehouse", "s3://raw/two/warehouse")
    found = open_resources(DATASETS)
    assert all(one.equals(other) for one, other in zip(rows(found), expected, strict=True))
    assert history(found) == looked_back
    assert {place.startswith("s3://raw/two/") for place in named(found.lake.catalog)} == {True}
    assert aurum("verify", **environment("two")).exit_code == 0
    assert objects(s3, "one/") == before
    monkeypatch.setenv("AURUM_CATALOG_WAREHOUSE", "s3://raw/three/warehouse")
    gone = aurum("relocate", **environment("three"))
    assert gone.exit_code == 1, gone.output
    assert "s3://raw/three/warehouse" in gone.stderr
    assert "is missing" in gone.stderr
