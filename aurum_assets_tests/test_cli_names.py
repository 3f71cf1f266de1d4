"""Names, days and instants on the command line: the usual forms, near names, honest help."""

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from aurum_assets.cli import COMMANDS, main
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.simulator.server import Simulator
from aurum_assets_tests.conftest import NOON, Aurum, printed, variables
from aurum_assets_tests.recordings import recording

LMP = "isone_rt_lmp"
DAY = "2026-07-20"
KEYS = [d.key for d in DATASETS]


@pytest.fixture
def desk(aurum: Aurum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aurum:
    """A home that holds five prices since 22:00Z, and one of them corrected since the morning."""
    monkeypatch.chdir(tmp_path)
    return _filled(aurum)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aurum]:
    """One such home for all tests that do not mind what the others did to it."""
    folder = tmp_path_factory.mktemp("standing")
    with (
        contextlib.chdir(folder),
        Simulator(lambda: NOON, locations=3, nodes=2, limits={}).serve() as running,
    ):
        environment = variables(folder, running)
        runner = CliRunner(env=environment)

        def run(*arguments: object, **more: str) -> Result:
            return runner.invoke(main, [str(a) for a in arguments], env=environment | more)

        yield _filled(run)


def _filled(aurum: Aurum) -> Aurum:
    body = recording(LMP, "live", "ordinary").body
    for name, price, at in (
        ("first.json", b"39.16", "2026-07-20 22:00"),
        ("second.json", b"39.17", "2026-07-21T05:00-04:00"),
    ):
        Path(name).write_bytes(body.replace(b"39.16", price))
        done = aurum("load", "--dataset", "rt_lmp", "--fetched-at", at, name)
        assert done.exit_code == 0, done.output
    return aurum


# --- names ---------------------------------------------------------------------------------------

NAMING = [
    "as-of --dataset {} --at now --json",
    "export --dataset {} --day 2026-07-20 --force --json",
    "load --dataset {} first.json --json",
    "replay {} --day 2026-07-20 --json",
    "requeue --dataset {} --json",
    "verify {} --json",
    "verify --dataset {} --json",
    "maintain --dataset {} --dry-run --json",
    "probe --dataset {} --json",
    "collect isone {} --feed now --json",
]


@pytest.mark.parametrize("line", NAMING)
def test_both_names_say_the_dataset(standing: Aurum, line: str) -> None:
    short = standing(*shlex.split(line.format("rt_lmp")))
    assert short.exit_code in {0, 1}, short.output  # 1: of the probe, for final values
    assert LMP in short.stdout or "requeue" in line
    whole = standing(*shlex.split(line.format(LMP)))
    assert whole.exit_code == short.exit_code


@pytest.mark.parametrize("line", NAMING)
def test_a_wrong_name_is_answered_with_the_near_one_and_where_all_are(
    standing: Aurum, line: str
) -> None:
    result = standing(*shlex.split(line.format("rt_lpm")))
    assert result.exit_code == 2
    sentence = result.stderr[result.stderr.index("Error: ") :]
    assert "no dataset 'rt_lpm'; did you mean isone_rt_lmp?" in sentence
    assert [key for key in KEYS if key in sentence] == [LMP]
    (where,) = re.findall(r"`main (.*) --help` lists them", sentence)
    text = " ".join(standing(*shlex.split(where), "--help").output.split())
    assert LMP in text
    assert "isone_system_load" in text


# --- days and instants ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "price"),
    [
        ("2026-07-20", 39.16),
        ("20260720", 39.16),
        ("yesterday", 39.16),
        ("2026-07-20T22:00Z", 39.16),
        ("2026-07-21 08:59", 39.16),
        ("2026-07-21 08:59:59.5 UTC", 39.16),
        ("2026-07-21T05:00-04:00", 39.17),
        ("2026-07-21", 39.17),
        ("today", 39.17),
        ("now", 39.17),
    ],
)
def test_as_of_takes_an_instant_in_its_usual_forms(standing: Aurum, at: str, price: float) -> None:
    rows = printed(standing("as-of", "--dataset", "rt_lmp", "--at", at, "--json"))["data"]
    assert [r["lmp"] for r in rows if r["energy"] == 39 and r["location_id"] == "4000"] == [price]


def test_as_of_a_day_says_which_instant_that_is(desk: Aurum) -> None:
    result = desk("as-of", "--dataset", "rt_lmp", "--at", "2026-07-20", "--output", "then.csv")
    assert "known at the end of 2026-07-20, UTC" in result.stderr
    nothing = desk("as-of", "--dataset", "rt_lmp", "--at", "2026-07-19")
    assert nothing.stderr == ("Nothing of isone_rt_lmp was known at the end of 2026-07-19, UTC.\n")
    assert nothing.exit_code == 0


OF_INSTANTS = [
    "as-of --dataset rt_lmp --at {}",
    "load --dataset rt_lmp first.json --fetched-at {}",
]


@pytest.mark.parametrize("line", [*OF_INSTANTS, "simulate --port 0 --at {}"])
@pytest.mark.parametrize("wrong", ["noon", "7/20/2026", "2026-02-30", "2026-07-20T25:00Z"])
def test_a_wrong_instant_is_refused_with_an_example_that_works(
    standing: Aurum, line: str, wrong: str
) -> None:
    result = standing(*shlex.split(line.format(wrong)))
    assert result.exit_code == 2
    examples = re.findall(r"2026-07-20\S*(?=,| for)", result.stderr)
    assert len(examples) == 2
    if line in OF_INSTANTS:
        for example in examples:
            assert standing(*shlex.split(line.format(example))).exit_code == 0


OF_DAYS = [
    "export --dataset rt_lmp --force --day {}",
    "replay rt_lmp --day {}",
    "requeue --day {}",
    "verify rt_lmp --day {}",
    "as-of --dataset rt_lmp --at now --day {}",
    "collect isone da_lmp --day {}",
    "collect isone da_lmp --start-date {0} --end-date {0}",
    "load --dataset rt_lmp first.json --day {}",
    "reference observe --day {}",
]


@pytest.mark.parametrize("line", OF_DAYS)
@pytest.mark.parametrize("day", ["2026-07-20", "20260720", "yesterday"])
def test_a_day_is_taken_in_its_usual_forms(standing: Aurum, line: str, day: str) -> None:
    result = standing(*shlex.split(line.format(day)))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("line", OF_DAYS)
@pytest.mark.parametrize("wrong", ["someday", "7/20/2026", "2026-02-30"])
def test_a_wrong_day_is_refused_with_an_example_that_works(
    standing: Aurum, line: str, wrong: str
) -> None:
    result = standing(*shlex.split(line.format(wrong)))
    assert result.exit_code == 2
    (example,) = re.findall(r"for instance (\S+)", result.stderr)
    assert standing(*shlex.split(line.format(example))).exit_code == 0


# --- help ----------------------------------------------------------------------------------------

DEFAULTS = {
    **{f"collect {o.name}": "(default: today at the operator)" for o in OPERATORS},
    "collect miso-cts": "(default: the current answer)",
    "export": "(this or a range is required)",
    "replay": "(default: today at the operator)",
    "verify": "(default: every day that is held)",
}


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_the_help_says_which_days_are_meant(aurum: Aurum, name: str, default: str) -> None:
    assert default in " ".join(aurum(*name.split(), "--help").output.split())


def test_the_days_that_are_meant_are_those_that_the_help_says(desk: Aurum) -> None:
    assert desk("export", "--dataset", "rt_lmp").exit_code == 2
    assert [v["day"] for v in printed(desk("verify", "rt_lmp", "--json"))["verified"]] == [DAY]
    replayed = desk("replay", "rt_lmp")
    assert "2026-07-21" in replayed.output
    collected = printed(desk("collect", "isone", "da_lmp", "--json"))
    assert [d["day"] for d in collected["days"]] == ["2026-07-21"]


def test_no_help_names_a_list_of_datasets_where_one_is_to_be_typed(aurum: Aurum) -> None:
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        assert "isone_da_lmp|" not in aurum(name, "--help").output


# --- sql -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rt_lmp", "market.rt_lmp", "RT_LMP", LMP])
def test_a_table_goes_by_its_short_name_too(desk: Aurum, name: str) -> None:
    assert printed(desk("sql", f"select count(*) n from {name}", "--json"))["data"] == [{"n": 5}]  # noqa: S608  ours
    history = f"select max(lmp) m from {name}_history where location_id = '4000'"  # noqa: S608  ours
    assert printed(desk("sql", history, "--json"))["data"] == [{"m": 39.16}]


def test_a_short_name_hides_no_column_and_no_common_table_expression(standing: Aurum) -> None:
    text = "with locations as (select 1 as cts) select cts from locations"
    assert printed(standing("sql", text, "--json"))["data"] == [{"cts": 1}]


@pytest.mark.parametrize("text", ["show tables", "SHOW TABLES;", " show  all  tables "])
def test_show_tables_shows_every_table_under_both_names(standing: Aurum, text: str) -> None:
    rows = printed(standing("sql", text, "--json"))["data"]
    tables = {f"{r['namespace']}.{r['name']}": r["short_name"] for r in rows}
    assert tables["market.isone_rt_lmp"] == "rt_lmp"
    assert tables["market.miso_cts_history"] == "cts_history"
    assert tables["quality.quarantine"] is None
    assert set(tables) >= {d.table.identifier for d in DATASETS}
    assert ("all" in text) == all(r.get("description") for r in rows)


@pytest.mark.parametrize("text", ["describe rt_lmp", "describe isone_rt_lmp", "show isone_rt_lmp"])
def test_describe_names_the_columns(standing: Aurum, text: str) -> None:
    rows = printed(standing("sql", text, "--json"))["data"]
    columns = {r["column_name"]: r["column_type"] for r in rows}
    assert columns["interval_start"] == "TIMESTAMP WITH TIME ZONE"
    assert columns["lmp"] == "DOUBLE"


def test_the_catalog_names_every_table(standing: Aurum) -> None:
    text = "select count(*) n from information_schema.tables where table_schema = 'market'"
    assert printed(standing("sql", text, "--json"))["data"][0]["n"] == 2 * len(DATASETS)


@pytest.mark.parametrize(
    "text", ["show tables; drop table rt_lmp", "create view shown as select 1", "drop view rt_lmp"]
)
def test_what_shows_tables_writes_none(standing: Aurum, text: str) -> None:
    result = standing("sql", text)
    assert result.exit_code == 2
    assert "tables are read here, not written" in result.stderr
