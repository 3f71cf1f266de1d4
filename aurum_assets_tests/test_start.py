"""What a command imports before it does its work: no library that it does not need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from aurum_assets import ingest
from aurum_assets.cli import COMMANDS, main
from aurum_assets_tests.conftest import Aurum
from aurum_assets_tests.recordings import recording

OF_NO_HELP = {"dagster", "duckdb", "pandera", "pyarrow", "pyiceberg", "redis", "sqlalchemy"}
OF_THE_LIST = OF_NO_HELP | {
    "httpx",
    "lxml",
    "msgspec",
    "numpy",
    "polars",
    "pydantic",
    "rich",
    "structlog",
}
OF_THE_TABLES = {"boto3", "confluent_kafka", "dagster", "httpx", "matplotlib", "pandera", "redis"}
# Runs command lines in one process, and tells on the last line what it has imported.
PROGRAM = """
import json, sys
from aurum_assets.cli import main
for line in json.loads(sys.argv[1]):
    try:
        main(line)
    except SystemExit as ended:
        assert ended.code == 0, (line, ended.code)
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported(environment: dict[str, str], *lines: list[str]) -> set[str]:
    """The modules that a process has imported once it has run the command ``lines``."""
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", PROGRAM, json.dumps(lines)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def needless(modules: set[str], refused: set[str]) -> set[str]:
    """Which of the libraries that are ``refused`` were imported."""
    return {name.partition(".")[0] for name in modules} & refused


@pytest.mark.parametrize("line", [["--help"], ["-h"], ["--version"]], ids=" ".join)
def test_the_list_of_commands_takes_no_library_but_click(
    environment: dict[str, str], line: list[str]
) -> None:
    modules = imported(environment | {"AURUM_NOW": "noon"}, line)
    assert needless(modules, OF_THE_LIST) == set()
    assert not {f"aurum_assets.cli.{module}" for module, _ in COMMANDS.values()} & modules


def test_the_help_of_a_command_opens_no_lake_and_reads_no_variable(
    environment: dict[str, str],
) -> None:
    lines = [[name, "--help"] for name in COMMANDS]
    assert needless(imported(environment | {"AURUM_NOW": "noon"}, *lines), OF_NO_HELP) == set()


@pytest.mark.slow
def test_status_and_sql_import_what_reading_tables_takes(
    aurum: Aurum, environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "payload.json"
    path.write_bytes(recording("isone_rt_lmp", "live", "ordinary").body)
    assert aurum("load", "--dataset", "isone_rt_lmp", path).exit_code == 0
    status = imported(environment, ["status"])
    assert needless(status, OF_THE_TABLES | {"duckdb"}) == set()
    ours = {name for name in status if name.startswith("aurum_assets.ingest.")}
    assert ours == {"aurum_assets.ingest.evidence", "aurum_assets.ingest.status"}
    rows = imported(environment, ["sql", "select count(*) as n from isone_rt_lmp"])
    assert needless(rows, OF_THE_TABLES) == set()
    alone = imported(environment, ["sql", "select 1 as one"])
    assert needless(alone, OF_THE_TABLES | {"pyiceberg", "sqlalchemy"}) == set()


def test_each_line_of_the_list_is_the_first_sentence_of_its_command() -> None:
    context = click.Context(main)
    for name, (_, line) in COMMANDS.items():
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(200).startswith(line.removesuffix("."))


def test_a_verb_is_a_verb_whether_its_module_was_imported_before_or_not() -> None:
    assert all(getattr(ingest, name).__name__ == name for name in ingest.ROOM_OF if name.islower())
    import aurum_assets.ingest.collect

    assert callable(aurum_assets.ingest.collect)
    with pytest.raises(AttributeError, match="has no attribute 'collecting'"):
        ingest.collecting  # type: ignore[attr-defined]  # noqa: B018
