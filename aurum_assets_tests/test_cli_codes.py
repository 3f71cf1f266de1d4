"""What the shell gets of each command: its exit code, valid JSON, and a quiet end at ``head``."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from aurum_assets.cli import COMMANDS, main
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets_tests.conftest import NOON, Aurum, variables
from aurum_assets_tests.recordings import recording

LMP = "isone_rt_lmp"
DAY = "2026-07-20"
BODY = recording(LMP, "live", "ordinary").body
FILES = {
    "good.json": BODY,
    "broken.json": BODY.replace(b"39.16", b"40.16"),
    "malformed.json": recording(LMP, "live", "malformed").body,
    "late.json": recording(LMP, "live", "spring").body,
}


@pytest.fixture(scope="module")
def market() -> Iterator[Running]:
    """One simulator, which no test here changes."""
    with Simulator(lambda: NOON, locations=3, nodes=2, limits={}).serve() as running:
        yield running


@dataclass
class Kept:
    """A folder with a home, which can be put back as it was: its path is in Iceberg's metadata."""

    folder: Path
    copy: Path
    aurum: Aurum

    def restored(self) -> Aurum:
        """The command line of the home, as it was when it was filled."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.copy, self.folder)
        return self.aurum


def kept(
    folder: Path, market: Running, files: Mapping[str, bytes], *lines: tuple[str, ...]
) -> Kept:
    """A home in ``folder`` with ``files`` beside it, filled by the command ``lines``."""
    environment, runner = variables(folder, market), CliRunner()

    def aurum(*arguments: object, **more: str) -> Result:
        result = runner.invoke(main, [str(a) for a in arguments], env=environment | more)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    for name, body in files.items():
        (folder / name).write_bytes(body)
    with contextlib.chdir(folder):
        for line in lines:
            assert aurum(*line).exit_code == 0, line
    copy = folder.with_name(f"{folder.name}-copy")
    shutil.copytree(folder, copy)
    return Kept(folder, copy, aurum)


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory, market: Running) -> Kept:
    return kept(
        tmp_path_factory.mktemp("prices"), market, FILES, ("load", "--dataset", LMP, "good.json")
    )


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, market: Running) -> dict[str, str]:
    """The environment of a home that holds all locations; its tests only read."""
    lines = ("collect", "isone", "locations"), ("reference", "observe")
    return variables(kept(tmp_path_factory.mktemp("places"), market, {}, *lines).folder, market)


@pytest.fixture
def desk(prices: Kept, monkeypatch: pytest.MonkeyPatch) -> Aurum:
    """A home that holds five prices, in a folder with files to load."""
    aurum = prices.restored()
    monkeypatch.chdir(prices.folder)
    return aurum


@pytest.fixture
def environment(request: pytest.FixtureRequest, tmp_path: Path, market: Running) -> dict[str, str]:
    """That of ``desk`` where a test has it, else of a home of its own."""
    own = "desk" not in request.fixturenames
    return variables(tmp_path if own else request.getfixturevalue("prices").folder, market)


# --- exit codes ----------------------------------------------------------------------------------

# 0 all is well, 1 it failed, 2 wrong use, 3 something was kept out or an alert is open.
CODES = [
    ("--help", 0),
    ("--version", 0),
    ("load --dataset rt_lmp good.json", 0),  # a duplicate
    ("load --dataset rt_lmp late.json", 0),
    ("load --dataset rt_lmp broken.json", 3),
    ("load --dataset rt_lmp malformed.json", 3),
    ("load --dataset rt_lpm good.json", 2),
    ("load --dataset rt_lmp absent.json", 2),
    ("collect isone locations", 0),
    ("collect isone da_lmp --day today", 0),
    ("collect isone rt_lpm", 2),
    ("collect isone cts", 2),
    ("collect miso cts", 0),
    ("collect miso zonal_load", 2),
    ("collect isone rt_lmp --day 1999-01-01", 2),
    ("collect miso-cts --s3-bucket ..", 2),
    ("status", 0),
    ("doctor", 0),
    ("alerts", 0),
    ("alerts --check", 0),
    ("probe --dataset system_load", 0),
    ("probe --dataset rt_lmp", 0),
    ("probe --dataset cts --operator isone", 2),
    ("plan", 0),
    ("metrics --once", 0),
    ("as-of --dataset rt_lmp --at now", 0),
    ("as-of --dataset system_load --at now", 2),  # nothing is held: nothing was asked
    ("as-of --dataset rt_lmp --at noon", 2),
    ("sql 'select 1'", 0),
    ("sql 'show tables'", 0),
    ("sql 'drop table rt_lmp'", 2),
    ("sql 'select * from rt_lpm'", 2),
    (f"export --dataset rt_lmp --day {DAY}", 0),
    (f"export --dataset rt_lmp --day {DAY} --output good.json", 2),
    ("export --dataset rt_lmp --day 2026-07-19", 1),
    ("export --dataset rt_lmp", 2),
    (f"export --dataset rt_lmp --day {DAY} --lead 2h", 2),  # it keeps no vintages
    (f"export --dataset cts --day {DAY} --lead soon", 2),
    (f"export --dataset cts --day {DAY} --lead 2h --best", 2),
    (f"replay rt_lmp --day {DAY}", 0),
    ("replay", 2),
    ("requeue", 0),
    ("requeue --day 2026-02-30", 2),
    ("verify", 0),
    ("verify rt_lmp --quick", 0),
    ("verify rt_lpm", 2),
    ("maintain --dry-run", 0),
    ("reference observe", 0),
    ("reference show iso_nodes", 0),
    ("reference show nodes", 2),
    ("simulate --at noon", 2),
    ("nonsense", 2),
]


@pytest.mark.parametrize(("line", "code"), CODES)
def test_a_command_line_ends_with_its_code(desk: Aurum, line: str, code: int) -> None:
    result = desk(*shlex.split(line))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output


def test_a_table_that_lacks_what_the_archive_holds_is_exit_code_1(
    desk: Aurum, environment: dict[str, str]
) -> None:
    for path in Path(environment["AURUM_HOME"]).rglob("archive/**/*.json.gz"):
        path.unlink()
    assert desk("verify").exit_code == 1
    assert desk("replay", LMP, "--day", DAY).exit_code == 1


def test_an_open_alert_is_exit_code_3(desk: Aurum) -> None:
    assert desk("collect", "isone", "rt_lmp", "--feed", "now").exit_code == 0
    assert desk("alerts", "--check").exit_code == 0  # it is fresh
    later = {"AURUM_NOW": "2026-07-21T19:00:00Z"}
    assert desk("alerts", "--check", **later).exit_code == 3
    assert desk("alerts", **later).exit_code == 3


def test_what_is_still_out_is_exit_code_3(desk: Aurum) -> None:
    assert desk("load", "--dataset", LMP, "broken.json").exit_code == 3
    assert desk("requeue").exit_code == 3


def test_the_help_says_what_the_codes_mean(aurum: Aurum) -> None:
    text = aurum("--help").stdout
    listed = text.partition("Exit codes:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines()] == ["0", "1", "2", "3", "130", "141"]


# --- JSON ----------------------------------------------------------------------------------------

JSON = [
    "load --dataset rt_lmp broken.json malformed.json",
    "collect isone locations",
    "collect miso cts",
    "collect pjm da_lmp",
    "collect isone rt_lmp --feed final_hours",
    "replay --all",
    "requeue",
    "verify",
    "status",
    "doctor",
    "plan",
    "probe --dataset rt_lmp",
    "alerts --check",
    "as-of --dataset rt_lmp --at now",
    f"export --dataset rt_lmp --day {DAY} --force",
    "maintain --dry-run",
    "marts --changed --day 2001-01-01",
    "board",
    f"report --day {DAY}",
    "tables rt_lmp",
    "reference observe",
    "reference show generators",
]
ODD = (
    "sql \"select 'nan'::double a, 'inf'::double b, ['-inf'::float, 1] c, {'x': 'nan'::double} d, "
    "map {1: 2} e, 1.5::decimal(4,2) f, date '2026-07-20' g, timestamptz '2026-07-20 12:00Z' h, "
    "'x'::blob i, interval 1 hour j, null k, uuid '00000000-0000-0000-0000-000000000000' l\""
)


def strict(text: str) -> object:
    """``text`` as JSON has it: Python's reader takes NaN and Infinity too."""

    def refuse(name: str) -> None:
        msg = f"{name} is not JSON"
        raise ValueError(msg)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("line", [*JSON, ODD])
def test_json_is_valid_json(desk: Aurum, line: str) -> None:
    result = desk(*shlex.split(line), "--json")
    assert isinstance(strict(result.stdout), dict), result.output


def test_every_command_with_json_is_asked_for_it() -> None:
    asked = {" ".join(line.split()[:2]) for line in [*JSON, ODD]}
    context = click.Context(main)
    flat = {name: main.get_command(context, name) for name in COMMANDS}
    for group in ("collect", "reference"):
        below = flat.pop(group)
        flat |= {f"{group} {n}": c for n, c in getattr(below, "commands", {}).items()}
    with_json = {n for n, c in flat.items() if c and any("--json" in p.opts for p in c.params)}
    # miso-cts is the isone command with other options; the demo takes minutes; an export of
    # reference tables writes into the project; relocate wants a home that was moved
    with_json -= {"collect miso-cts", "demo", "reference export", "relocate"}
    assert {n for n in with_json if not any(f"{a} ".startswith(f"{n} ") for a in asked)} == set()


def test_a_number_that_is_none_is_null_in_json(desk: Aurum) -> None:
    document = strict(desk(*shlex.split(ODD), "--json").stdout)
    assert isinstance(document, dict)
    (row,) = document["data"]
    assert (row["a"], row["b"], row["c"], row["d"]) == (None, None, [None, 1.0], {"x": None})


# --- pipes ---------------------------------------------------------------------------------------

LONG = [
    "sql 'select * from range(1000000)'",
    "sql --json 'select * from range(100000)'",
    "reference show iso_nodes",
    "as-of --dataset locations --at now",
    "export --dataset locations --day today --output -",
]


@pytest.mark.parametrize("line", [*LONG, "status", "--help"])
@pytest.mark.slow
def test_a_command_ends_quietly_when_its_reader_has_left(places: dict[str, str], line: str) -> None:
    command = f"{Path(sys.executable).parent / 'aurum'} {line} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(  # noqa: S603  our own command
        ["/bin/bash", "-c", command],
        env=os.environ | places,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    first, code = done.stdout.splitlines()
    assert first
    assert code in (["141"] if line in LONG else ["0", "141"])


@pytest.mark.parametrize(
    "line", ["--help", "status --help", "--version", "status", "status --json"]
)
@pytest.mark.slow
def test_a_reader_that_left_before_the_first_word_is_141(
    environment: dict[str, str], empty_home: Path, line: str
) -> None:
    assert empty_home.exists()
    hears, writes = os.pipe()
    os.close(hears)
    done = subprocess.run(  # noqa: S603  our own command
        [Path(sys.executable).parent / "aurum", *shlex.split(line)],
        env=os.environ | environment,
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "status",
        "status --json",
        "sql 'select * from range(1000000)'",
        "sql --json 'select * from range(100000)'",
        f"export --dataset rt_lmp --day {DAY} --output -",
    ],
)
@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_exit_code_1(
    desk: Aurum, environment: dict[str, str], line: str
) -> None:
    assert desk("status").exit_code == 0
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603  our own command
            [Path(sys.executable).parent / "aurum", *shlex.split(line)],
            env=os.environ | environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    output = "Error: no space is left for the output: it is incomplete\n"
    assert (done.returncode, done.stderr) == (1, output)
