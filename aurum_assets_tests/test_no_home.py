"""A command that only looks makes no home; what is wrong in the environment is exit code 2."""

import contextlib
import sqlite3
import tempfile
from pathlib import Path

import pytest

from aurum_assets import open_lake
from aurum_assets.model.errors import ConfigError
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.limits import SqliteLimiter
from aurum_assets_tests.conftest import Aurum, printed
from aurum_assets_tests.recordings import recording

LOAD = ISONE_SYSTEM_LOAD.key
LOOKING = {
    "status": ("status",),
    "status --json": ("status", "--json"),
    "sql": ("sql", "select 1"),
    "export": ("export", "--dataset", LOAD, "--day", "2026-07-20"),
    "as-of": ("as-of", "--dataset", LOAD, "--at", "2030-01-01T00:00:00Z"),
    "alerts": ("alerts",),
    "alerts --check": ("alerts", "--check"),
    "metrics --once": ("metrics", "--once"),
    "verify": ("verify",),
    "verify --quick": ("verify", "--quick"),
    "maintain": ("maintain",),
    "maintain --dry-run": ("maintain", "--dry-run"),
    "observe": ("reference", "observe"),
    "show": ("reference", "show", "iso_nodes"),
    "reference export": ("reference", "export"),
    "replay": ("replay", LOAD, "--all"),
    "replay --all": ("replay", "--all"),
    "rebuild": ("replay", "--all", "--rebuild"),
    "requeue": ("requeue",),
    "requeue --dry-run": ("requeue", "--dry-run"),
    "marts": ("marts", "--changed"),
    "report": ("report", "--day", "2026-07-20"),
    "board": ("board",),
    "relocate": ("relocate",),
    "relocate --dry-run": ("relocate", "--dry-run"),
}
MAKING = {"collect", "load", "demo", "simulate", "worker"}  # the last two need none
OUTSIDE = {
    "doctor": ("doctor",),
    "plan": ("plan",),
    "tables": ("tables", "rt_lmp"),
    "probe": ("probe", "--dataset", "miso_cts"),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a command works in; requests without a home are counted beside it."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def everything(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def test_every_command_is_in_these_tests() -> None:
    from aurum_assets.cli import COMMANDS as THERE_ARE

    tried = {arguments[0] for arguments in LOOKING.values()}
    assert tried | MAKING | set(OUTSIDE) == set(THERE_ARE)


@pytest.mark.parametrize("place", ["not there", "empty", "of something else"])
@pytest.mark.parametrize("name", LOOKING)
def test_a_command_that_looks_says_that_there_is_no_home_and_makes_none(
    aurum: Aurum, here: Path, name: str, place: str
) -> None:
    home = here / "mistyped"
    if place != "not there":
        home.mkdir()
    if place == "of something else":
        (home / "notes.txt").write_text("of somebody")
    before = everything(here)
    result = aurum(*LOOKING[name], AURUM_HOME=str(home))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (sentence,) = result.stderr.strip().splitlines()
    assert sentence.startswith(f"Error: there is no home in {home}: name the folder ")
    assert "AURUM_HOME" in sentence
    for way in ("`aurum collect`", "`aurum load`", "`aurum demo`"):
        assert way in sentence
    assert everything(here) == before


def test_python_says_so_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURUM_HOME", str(here / "mistyped"))
    with pytest.raises(ConfigError, match=f"there is no home in {here}/mistyped: "):
        open_lake()
    assert everything(here) == []


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_looks_outside_does_without_a_home_and_makes_none(
    aurum: Aurum, here: Path, name: str
) -> None:
    result = aurum(*OUTSIDE[name], "--json", AURUM_HOME=str(here / "mistyped"))
    assert result.exit_code == 0, result.output
    assert everything(here) == []
    if name == "doctor":
        parts = {part["part"]: part for part in printed(result)["parts"]}
        assert parts["home"]["result"] == "there is no home here yet"
        assert parts["home"]["state"] == "unsure"
        assert {parts[operator]["state"] for operator in ("isone", "miso")} == {"ok"}


def test_requests_counted_without_a_home_count_in_one_that_is_made(resources: Resources) -> None:
    """Also those that SQLite has in its log only, for another process has the file open."""
    counted = resources.stand_in().root / "limits.sqlite"
    limiter = SqliteLimiter(counted, resources.configuration.operators[ISONE.name], resources.state)
    limiter.take("first")
    with contextlib.closing(sqlite3.connect(counted)) as other:
        other.execute("SELECT * FROM slot").fetchall()
        limiter.take("second")
        resources.api(ISONE).close()
    with contextlib.closing(sqlite3.connect(resources.root / "limits.sqlite")) as db:
        slots = db.execute("SELECT endpoint FROM slot ORDER BY endpoint").fetchall()
    assert slots == [("first",), ("second",)]


def test_a_load_makes_a_home_that_can_be_looked_at(aurum: Aurum, here: Path) -> None:
    file = here / "load.json"
    file.write_bytes(recording(LOAD, "live", "ordinary").body)
    home = str(here / "new")
    assert aurum("load", "--dataset", LOAD, file, AURUM_HOME=home).exit_code == 0
    assert aurum("status", AURUM_HOME=home).exit_code == 0


def test_a_lake_of_a_configured_catalog_is_read_without_a_home(
    aurum: Aurum, here: Path, postgres_url: str
) -> None:
    file = here / "load.json"
    file.write_bytes(recording(LOAD, "live", "ordinary").body)
    lake = {
        "AURUM_CATALOG_URI": postgres_url,
        "AURUM_CATALOG_WAREHOUSE": f"file://{here}/warehouse",
    }
    made = aurum("load", "--dataset", LOAD, file, AURUM_HOME=str(here / "one"), **lake)
    assert made.exit_code == 0, made.output
    before = everything(here)
    other = {"AURUM_HOME": str(here / "another machine"), **lake}
    assert aurum("sql", f"select count(*) from {LOAD}", **other).stdout.split()[-1] != "0"  # noqa: S608  ours
    assert everything(here) == before


# --- wrong configuration -------------------------------------------------------------------------

WRONG = {
    "AURUM_CONFIG": "nowhere",
    "AURUM_ENV_FILE": "nowhere.env",
    "AURUM_NOW": "2026-07-27T21:30:00",
    "AURUM_LIMIT_SCALE": "0",
    "AURUM_REPAIRS": "-1",
    "AURUM_KEEP_RUNS_DAYS": "0",
    "AURUM_ENVIRONMENT": "test",
    "AURUM_LOG_LEVEL": "loud",
    "AURUM_LOG_FORMAT": "xml",
    "AURUM_ARCHIVE": "/tmp/foo",  # noqa: S108  never made
    "AURUM_S3_ENDPOINT": "localhost:9000",
    "AURUM_CATALOG_TYPE": "hive",
    "AURUM_CATALOG_URI": "mysql://host/db",
    "AURUM_CATALOG_WAREHOUSE": "s3://bucket/warehouse",  # without a catalog
    "AURUM_CATALOG_PROPERTIES": "credential=id:secret",
    "AURUM_DAGSTER_POSTGRES_URL": "mysql://host/db",
    "AURUM_REDIS_URL": "http://host",
    "AURUM_MACHINES": "none",
    "AURUM_KAFKA_BROKERS": "b1",
    "AURUM_KAFKA_PROTOCOL": "TLS",
    "AURUM_KAFKA_MECHANISM": "NTLM",
    "AURUM_WEBHOOK_URL": "hooks.slack.example",
    "AURUM_RUNBOOKS": "docs.desk.example",
    "AURUM_METRICS_FILE": ".",
    "AURUM_SCHEDULES": "on",
    "ISONE_BASE_URL": "webservices.iso-ne.com",
    "MISO_BASE_URL": "ftp://miso.example",
    "AURUM_WORKERS": "threads",
    "AURUM_BACKFILL_RUNS": "none",
}
# Here anything may be right: a name, a password, a folder that is to be made.
FREE = {
    "AURUM_HOME",
    "AURUM_S3_REGION",
    "AURUM_KAFKA_USERNAME",
    "AURUM_KAFKA_PASSWORD",
}


def test_every_variable_is_in_these_tests() -> None:
    example = Path(__file__).parents[1] / ".env.example"
    named = {
        word.removeprefix("#").partition("=")[0]
        for word in example.read_text().split()
        if word.startswith(("#AURUM_", "#ISONE_BASE", "#MISO_BASE"))
    }
    assert named - FREE <= set(WRONG)


@pytest.mark.parametrize("command", ["status", "collect", "demo"])
@pytest.mark.parametrize("variable", WRONG)
def test_a_wrong_variable_is_exit_code_2_before_anything_is_printed_asked_or_made(
    aurum: Aurum, here: Path, variable: str, command: str
) -> None:
    asked = ("isone", LOAD) if command == "collect" else ()
    result = aurum(command, *asked, **{"AURUM_HOME": str(here / "home"), variable: WRONG[variable]})
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (sentence,) = result.stderr.strip().splitlines()
    assert sentence.startswith("Error: ")
    assert variable in sentence
    assert everything(here) == []


def test_a_folder_without_a_scheme_is_told_how_it_is_written(aurum: Aurum, here: Path) -> None:
    for given, meant in (("/tmp/foo", "file:/tmp/foo"), ("raw data", f"file:{here}/raw%20data")):  # noqa: S108
        result = aurum("demo", AURUM_ARCHIVE=given)
        assert result.exit_code == 2
        assert result.stderr.strip().endswith(f"for a folder: {meant}")
