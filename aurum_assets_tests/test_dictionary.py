"""The data dictionary: every table has every part, and every query to begin with runs."""

import dataclasses
import json
from functools import cache

import polars as pl
import pytest
import reference_pages
from click.testing import CliRunner

from aurum_assets import ingest
from aurum_assets.ingest.dictionary import PARTS, Entry, parts_of
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.table import UTC, Column, Table
from aurum_assets.operators import DATASETS
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests.conftest import Aurum, Desk, printed
from aurum_assets_tests.recordings import recording

MAY_BE_EMPTY = {"checks", "rules"}  # of tables that no asset judges row by row


@cache
def dictionary() -> dict[str, Entry]:
    configs = load_config(PROJECT / "config", DATASETS).datasets
    return {entry.table: entry for entry in ingest.entries(configs)}


def test_every_table_has_an_entry_and_every_entry_every_part() -> None:
    tables = {table.identifier: table for table in ingest.known_tables()}
    assert list(dictionary()) == list(tables)
    for name, entry in dictionary().items():
        parts = dataclasses.asdict(entry)
        assert [part for part, said in parts.items() if not said and part not in MAY_BE_EMPTY] == []
        for part in ("grain", "units", "source", "cadence", "latency", "first_day", "caveats"):
            assert parts[part].endswith("."), (name, part)
            assert parts[part][0] not in "abcdefghijklmnopqrstuvwxyz", (name, part)
        assert [column.name for column in entry.columns] == tables[name].names
        assert all(column.meaning for column in entry.columns), name


def test_every_dataset_and_reference_names_its_checks() -> None:
    tables = [dataset.table.identifier for dataset in DATASETS]
    for name in [*tables, "reference.iso_nodes", "reference.generators", "reference.fuels"]:
        assert dictionary()[name].checks, name


def test_a_mart_says_what_it_is_made_of_and_what_to_beware_of() -> None:
    for mart in MARTS:
        entry = dictionary()[mart.identifier]
        assert "Made from other tables" not in entry.source, mart.name
        assert "Those of the tables" not in entry.caveats, mart.name
        assert len(entry.about) > 1, mart.name
        assert {rule.name for rule in mart.rules} < {check.name for check in entry.checks}


def test_what_a_feed_is_asked_and_how_late_it_is_follow_from_the_config() -> None:
    prices = dictionary()["market.isone_rt_lmp"]
    assert prices.cadence == (
        "Asked every five minutes (prelim), once a day at 06:30 America/New_York (final)."
    )
    assert prices.latency == (
        "Prelim values within 17 min of the end of their interval; "
        "final values 1 to 4 days after their operating day."
    )
    assert prices.first_day.startswith("2024-01-01")
    ahead = dictionary()["market.isone_da_lmp"]
    assert ahead.latency == "Final values on the day before their operating day."
    assert dictionary()["market.isone_generation_by_resource"].cadence.startswith("No schedule")


def test_a_table_that_says_its_parts_itself_is_shown_by_them() -> None:
    """As one is that no dataset fills, and that is made from others."""
    number = Column("spread", pl.Float64(), "Difference of two prices.", "USD/MWh", nullable=True)
    day = Column("operating_day", pl.Date(), "The day.")
    start = Column("interval_start", UTC, "First instant.", "UTC")
    doc = "A spread.\n\nOf two prices.\n\nGrain: hour.\nCaveats: *none* in ``spread``."
    made = Table("spreads", (day, start, number), ("interval_start",), ("spread",), doc=doc)
    entry = ingest.entry_of(made, {})
    assert (entry.title, entry.about) == ("A spread.", ("A spread.", "Of two prices."))
    assert (entry.grain, entry.caveats) == ("Hour.", "None in `spread`.")
    assert entry.source == "Made from other tables of this home."
    assert entry.units == "USD/MWh."


def test_parts_of_a_docstring_are_told_apart() -> None:
    doc = "What.\n\n" + "\n".join(f"{part}: of\n{part}." for part in PARTS)
    assert parts_of(doc) == (("What.",), {part: f"of {part}." for part in PARTS})


def test_every_query_to_begin_with_runs_before_and_after_there_are_rows(desk: Desk) -> None:
    """The vintages, the prices and the quarantine with rows; each other one on its empty table."""
    body = recording("isone_rt_lmp", "live", "ordinary").body
    prices = next(d for d in DATASETS if d.key == "isone_rt_lmp")
    desk.bring(prices, body.replace(b'"LossComponent": ', b'"LossComponent": 9', 1))
    forecasts = next(d for d in DATASETS if d.key == "miso_cts")
    desk.bring(forecasts, recording("miso_cts", "live", "ordinary").body)
    rows = {}
    for name, entry in dictionary().items():
        with ingest.query(desk.resources, entry.example) as batches:
            rows[name] = batches.read_all().num_rows
    assert {name for name, count in rows.items() if count} == {
        prices.table.identifier,
        forecasts.table.identifier,
        "quality.quarantine",
    }


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rt_lmp", "isone_rt_lmp", "market.isone_rt_lmp", "RT-LMP"])
def test_a_table_goes_by_any_of_its_names(aurum: Aurum, name: str) -> None:
    assert printed(aurum("tables", name, "--json"))["table"] == "market.isone_rt_lmp"


def test_the_list_has_every_table_and_a_document_holds_the_whole_dictionary(aurum: Aurum) -> None:
    names = [line.split("\t")[0] for line in aurum("tables").stdout.splitlines()[1:]]
    assert names == list(dictionary())
    found = printed(aurum("tables", "--json"))["tables"]
    assert found == json.loads(json.dumps([entry.as_dict() for entry in dictionary().values()]))


def test_lines_of_a_pipe_hold_each_part_column_check_and_rule(aurum: Aurum) -> None:
    entry = dictionary()["market.miso_cts"]
    lines = [line.split("\t") for line in aurum("tables", "cts").stdout.splitlines()]
    assert lines[0] == ["part", "name", "text"]
    of = {part: [name for p, name, _ in lines if p == part] for part, _, _ in lines}
    assert of["column"] == [column.name for column in entry.columns]
    assert of["check"] == [check.name for check in entry.checks]
    assert of["rule"] == [rule.name for rule in entry.rules]
    assert {"grain", "key", "source", "cadence", "latency", "caveats", "example"} <= set(of)
    assert ["column", "lmp", "double [USD/MWh] Locational marginal price."] in lines


def test_a_name_that_no_table_has_is_refused_with_similar_ones() -> None:
    from aurum_assets.cli import main

    result = CliRunner().invoke(main, ["tables", "isone_rt_lpm"])
    assert result.exit_code == 2
    assert "did you mean isone_rt_lmp" in result.output


def test_the_reference_pages_say_what_the_command_says() -> None:
    pages = reference_pages.pages()
    for name, entry in dictionary().items():
        if name.endswith("_history"):
            continue
        kind = "marts" if name.startswith("marts.") else "datasets"
        page = (
            pages.get(f"{kind}/{name.partition('.')[2]}.md")
            or pages["tables.md"].partition(f"## {name}\n")[2]
        )
        for text in (entry.grain, entry.source, entry.cadence, entry.latency, entry.caveats):
            assert text.replace("|", "\\|") in page, (name, text)
        assert " ".join(entry.example.split()) in " ".join(page.split())
