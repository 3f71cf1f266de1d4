"""``aurum sql`` and ``export``: what the tables hold, read only, and files that are never lost."""

import csv
import json
import os
import sys
from pathlib import Path

import polars as pl
import pytest

from aurum_assets.operators import DATASETS
from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests.conftest import Aurum, printed
from aurum_assets_tests.recordings import recording
from aurum_assets_tests.terminal import in_terminal

LMP = "isone_rt_lmp"
DAY = "2026-07-20"
ORDINARY = recording(LMP, "live", "ordinary")


@pytest.fixture
def desk(aurum: Aurum, tmp_path: Path) -> Aurum:
    """A home that holds five prices, prelim and final."""
    for finality, price in (("prelim", b"39.16"), ("final", b"39.17")):
        path = tmp_path / f"{finality}.json"
        path.write_bytes(ORDINARY.body.replace(b"39.16", price))
        done = aurum("load", "--dataset", LMP, "--finality", finality, path)
        assert done.exit_code == 0, done.output
    return aurum


# --- sql -----------------------------------------------------------------------------------------


def test_a_table_goes_by_its_name_with_or_without_its_namespace(desk: Aurum) -> None:
    names = (LMP, f"market.{LMP}", LMP.upper(), f'"market"."{LMP}"')
    text = " union all ".join(f"select count(*) n from {name}" for name in names)  # noqa: S608  ours
    result = desk("sql", text, "--json")
    assert result.exit_code == 0, result.output
    assert printed(result) == {"columns": ["n"], "rows": 4, "data": [{"n": 10}] * 4}


@pytest.mark.usefixtures("empty_home")
def test_every_table_that_a_home_may_hold_can_be_asked_before_it_holds_rows(aurum: Aurum) -> None:
    names = [d.table.identifier for d in DATASETS] + [f"market.{LMP}_history"]
    names += ["quality.quarantine", "reference.iso_nodes", "reference.generators"]
    text = " union all ".join(f"select count(*) n from {name}" for name in names)  # noqa: S608  ours
    data = printed(aurum("sql", text, "--json"))["data"]
    assert [row["n"] for row in data] == [0] * len(names)


def test_instants_are_shown_in_utc_whatever_the_machines_zone(desk: Aurum) -> None:
    text = (
        "select interval_start, sum(1) n, interval_start::varchar t from isone_rt_lmp "
        "where location_id = '4000' and interval_start > '2026-07-20 17:22-04' group by 1"
    )
    result = desk("sql", text, TZ="Asia/Tokyo")
    assert result.stdout.splitlines() == [
        "interval_start\tn\tt",
        "2026-07-20T21:25:00Z\t2\t2026-07-20 21:25:00+00",
    ]
    (row,) = printed(desk("sql", text, "--json"))["data"]
    assert (row["interval_start"], row["n"]) == ("2026-07-20T21:25:00Z", 2)


def test_a_table_joins_itself(desk: Aurum) -> None:
    text = (
        "select max(f.lmp - p.lmp) d from isone_rt_lmp p "
        "join isone_rt_lmp f using (location_id, interval_start) "
        "where p.finality = 'prelim' and f.finality = 'final' and p.location_id = '4000'"
    )
    assert printed(desk("sql", text, "--json"))["data"][0]["d"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "one SELECT is expected, this is nothing"),
        ("selec 1", "syntax error"),
        ("select * from nope", '`aurum sql "show tables"` lists them'),
        ("select * from rt_lpm", "no table 'rt_lpm'; did you mean isone_rt_lmp?"),
        ("select nope from isone_rt_lmp", 'column "nope" not found'),
        ("select 1 as a, 2 as a", "two columns are called 'a'"),
        ("select 1; select 2", "one SELECT is expected"),
        ("drop table isone_rt_lmp", "this is DROP"),
        ("delete from isone_rt_lmp", "this is DELETE"),
        ("insert into isone_rt_lmp select * from isone_rt_lmp", "this is INSERT"),
        ("copy isone_rt_lmp to '/tmp/x.csv'", "this is COPY"),
        ("attach '/tmp/x.db'", "this is ATTACH"),
        ("install httpfs", "tables are read here, not written"),
        ("set threads = 1", "this is SET"),
        ("explain analyze copy isone_rt_lmp to 'x.csv'", "sees only the tables of this home"),
        ("select * from read_csv('/etc/passwd')", "sees only the tables of this home"),
        ("select * from '/etc/passwd'", "no table '/etc/passwd'"),
        ("select * from read_text('/etc/passwd')", "sees only the tables of this home"),
        ("select * from 'https://127.0.0.1/x.parquet'", "sees only the tables of this home"),
    ],
)
@pytest.mark.usefixtures("empty_home")
def test_what_is_no_question_to_the_tables_is_exit_code_2_and_one_sentence(
    aurum: Aurum, text: str, sentence: str
) -> None:
    result = aurum("sql", text)
    assert result.exit_code == 2, result.output
    error = result.stderr[result.stderr.index("Error: ") :]
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert result.stdout == ""


def test_a_value_that_cannot_be_converted_is_one_sentence_too(desk: Aurum) -> None:
    result = desk("sql", "select finality::int from isone_rt_lmp")
    assert result.exit_code == 2
    assert "Could not convert string '" in result.stderr


def test_the_help_names_the_tables(aurum: Aurum) -> None:
    text = " ".join(aurum("sql", "--help").output.split())
    assert "market.miso_cts" in text
    assert "quality.quarantine" in text


WAYS = {"piped": (), "json": ("--json",), "file": ("--output", "out.csv")}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("empty_home")
def test_a_query_that_fails_midway_is_one_sentence(
    aurum: Aurum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "select case i when 150000 then error('boom') else i end x from range(300000) t(i)"
    result = aurum("sql", text, *WAYS[way])
    assert result.exit_code == 2, result.output
    assert result.stderr.endswith("Error: Invalid Input Error: boom\n")
    assert list(tmp_path.glob("*out.csv*")) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("damaged", [False, True], ids=["gone", "damaged"])
def test_a_table_whose_file_cannot_be_read_is_exit_code_1_and_one_sentence(
    desk: Aurum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, *, damaged: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in tmp_path.rglob(f"{LMP}/**/*.parquet"):
        if damaged:  # which is seen at the first batch
            path.write_bytes(bytes(path.stat().st_size))
        else:
            path.unlink()
    result = desk("sql", f"select * from {LMP}", *WAYS[way])  # noqa: S608  ours
    assert result.exit_code == 1, result.output
    found = "is damaged" if damaged else "a file is gone from the lake's warehouse"
    assert result.stderr.startswith(f"Error: market.{LMP}: ")
    assert found in result.stderr
    assert ".parquet" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    then = desk("as-of", "--dataset", LMP, "--at", "2030-01-01T00:00:00Z")
    assert then.exit_code == 1
    assert then.stderr.startswith(f"Error: {LMP}: ")
    assert found in then.stderr
    assert list(tmp_path.glob("*out.csv*")) == []


def test_as_of_replaces_no_file_unasked(desk: Aurum, tmp_path: Path) -> None:
    path = tmp_path / "then.csv"
    path.write_text("mine")
    ask = ("as-of", "--dataset", LMP, "--at", "2030-01-01T00:00:00Z", "--output", path)
    result = desk(*ask)
    assert result.exit_code == 2
    assert "replace it with --force" in result.stderr
    assert path.read_text() == "mine"
    assert desk(*ask, "--force").exit_code == 0
    assert len(pl.read_csv(path)) == 10


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_query_writes_to_a_file_and_replaces_none_unasked(
    desk: Aurum, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"out.{suffix}"
    ask = ("sql", "select location_id, lmp from isone_rt_lmp", "--output", path)
    assert "10 rows in" in desk(*ask).stdout
    frame = pl.read_csv(path) if suffix == "csv" else pl.read_parquet(path)
    assert frame.shape == (10, 2)
    before = path.read_bytes()
    assert desk(*ask).exit_code == 2
    assert path.read_bytes() == before
    assert desk(*ask, "--force").exit_code == 0
    nothing = ("sql", "select lmp from isone_rt_lmp where lmp > 1e6", "--output", path, "--force")
    assert desk(*nothing).exit_code == 0
    assert (pl.read_csv(path) if suffix == "csv" else pl.read_parquet(path)).columns == ["lmp"]


def test_a_wide_answer_is_legible_on_a_terminal_of_a_hundred_columns(
    desk: Aurum, environment: dict[str, str]
) -> None:
    assert desk("status").exit_code == 0
    text = "select * from isone_rt_lmp order by location_id"
    command = [Path(sys.executable).parent / "aurum", "sql", text]
    with in_terminal(command, os.environ | environment, PROJECT, columns=100) as running:
        shown = running.end()
    assert shown.code == 0, shown.text
    assert "location_id      4000" in shown.text
    assert "…" not in shown.text
    assert "The first 5 of 10 rows; --output FILE takes all." in shown.text


# --- export --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    return tmp_path / "out"


def test_a_day_is_exported_under_a_name_that_says_what_it_is(desk: Aurum, folder: Path) -> None:
    result = desk("export", "--dataset", LMP, "--day", DAY)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"10 rows in {LMP}_{DAY}.csv\n"
    rows = list(csv.DictReader((folder / f"{LMP}_{DAY}.csv").read_text().splitlines()))
    assert len(rows) == 10
    assert rows[-1]["interval_start"] == "2026-07-20T21:25:00Z"
    span = ("--start-date", "2026-07-19", "--end-date", DAY, "--format", "parquet", "--json")
    document = printed(desk("export", "--dataset", LMP, *span, "--best"))
    assert document == {"rows": 5, "path": f"{LMP}_best_2026-07-19_{DAY}.parquet"}
    frame = pl.read_parquet(document["path"])
    assert set(frame["finality"]) == {"final"}
    assert frame["interval_start"].dtype == pl.Datetime("us", "UTC")
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [f"{LMP}_{DAY}.csv", document["path"]]
    )


def test_an_export_replaces_no_file_unasked(desk: Aurum, folder: Path) -> None:
    (folder / "mine.csv").write_text("mine")
    ask = ("export", "--dataset", LMP, "--day", DAY, "--output", "mine.csv")
    result = desk(*ask)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (folder / "mine.csv").read_text() == "mine"
    assert desk(*ask, "--force").exit_code == 0


def test_an_export_can_be_piped(desk: Aurum) -> None:
    result = desk("export", "--dataset", LMP, "--day", DAY, "--best", "--output", "-")
    assert result.exit_code == 0, result.output
    assert len(list(csv.DictReader(result.stdout.splitlines()))) == 5


def test_a_day_without_rows_is_exit_code_1_and_leaves_no_file(desk: Aurum, folder: Path) -> None:
    for more in ((), ("--output", "-"), ("--format", "parquet")):
        result = desk("export", "--dataset", LMP, "--day", "2026-07-19", *more)
        assert result.exit_code == 1
        assert f"{LMP} holds no row of 2026-07-19" in result.stderr
        assert result.stdout == ""
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--day", "someday"),
        ("--start-date", DAY),
        ("--day", DAY, "--output", "rows.txt"),
        ("--day", DAY, "--output", "-", "--format", "parquet"),
        ("--day", DAY, "--output", "-", "--json"),
        ("--day", DAY, "--format", "xlsx"),
    ],
    ids=" ".join,
)
def test_a_wrong_export_is_exit_code_2_and_writes_nothing(
    aurum: Aurum, folder: Path, arguments: tuple[str, ...]
) -> None:
    result = aurum("export", "--dataset", LMP, *arguments)
    assert result.exit_code == 2, result.output
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_sentence(desk: Aurum, folder: Path) -> None:
    result = desk("export", "--dataset", LMP, "--day", DAY, "--output", str(folder / "a" / "b.csv"))
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in result.stderr
    assert json.dumps([p.name for p in folder.iterdir()]) == "[]"
