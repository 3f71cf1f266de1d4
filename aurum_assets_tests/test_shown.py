"""No terminal obeys and no spreadsheet runs what an operator says; what is written is read back."""

import csv
import io
import json
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurum_assets.cli import output
from aurum_assets.ingest.reference import crosswalk, home_file, observe
from aurum_assets.model.shown import as_cells, from_cell, to_cell, visible
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources import logs
from aurum_assets.resources.reviewed import read_reviewed, write_reviewed
from aurum_assets_tests.conftest import Aurum, Desk

EVIL = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A1",
]
HARMLESS = ["", "UN.ASHLAND 13.8ASH1", ".H.INTERNAL_HUB", "a=b", "1-2", "n\u00b0 1", "C:\\x"]
CONTROLS = [chr(c) for c in (*range(32), *range(127, 160)) if chr(c) not in "\t\n\r"]
BARE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_a_text_that_a_spreadsheet_would_run_is_written_behind_an_apostrophe(text: str) -> None:
    assert to_cell(text) == f"'{text}"
    assert from_cell(to_cell(text)) == text


@pytest.mark.parametrize("text", HARMLESS, ids=ascii)
def test_a_harmless_text_is_written_as_it_is(text: str) -> None:
    assert to_cell(text) == visible(text) == text


@pytest.mark.parametrize("character", CONTROLS, ids=ascii)
def test_every_control_character_is_written_as_what_it_is(character: str) -> None:
    written = f"\\x{ord(character):02x}"
    assert visible(f"a{character}b") == to_cell(f"a{character}b") == f"a{written}b"
    assert from_cell(to_cell(f"{character}=1")) == f"{character}=1"


def test_lines_and_tabs_stay_lines_and_tabs() -> None:
    assert visible("a\tb\r\nc") == "a\tb\r\nc"


@given(
    st.text(st.one_of(st.characters(), st.sampled_from("'=+-@\\x1b5c\t\r\n\x1b\x00")), max_size=12)
)
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read_back_exactly_and_is_never_run(text: str) -> None:
    cell = to_cell(text)
    assert from_cell(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))
    assert not BARE.search(cell)


def test_a_frame_keeps_its_numbers_and_its_nulls() -> None:
    frame = pl.DataFrame({"=name": ["=1", None, "x", "\x1b[2J"], "price": [-5.2, None, 0.0, 1e300]})
    found = as_cells(frame)
    assert found.columns == ["'=name", "price"]
    assert found["'=name"].to_list() == ["'=1", None, "x", "\\x1b[2J"]
    assert found["price"].equals(frame["price"])
    cells = pl.DataFrame({"a": pl.Series(["=1", "b"], dtype=pl.Categorical)})
    assert as_cells(cells)["a"].to_list() == ["'=1", "b"]


# --- the reviewed files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [*EVIL[:4], "'=1", "\x1b[31mred", "a\x00b", "\\x1b", "ok"], ids=ascii
)
def test_a_reviewed_file_gives_back_what_was_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "nodes.csv"
    write_reviewed(path, ["id", "name"], [("1", text), ("2", None)])
    found = read_reviewed(path, ["id", "name"], ["id"])
    assert found is not None
    assert found["name"].to_list() == [text, None]
    assert not BARE.search(path.read_text())
    again = tmp_path / "again.csv"
    write_reviewed(again, found.columns, found.iter_rows())
    assert again.read_bytes() == path.read_bytes()


def test_what_a_person_typed_is_read_as_typed(tmp_path: Path) -> None:
    path = tmp_path / "nodes.csv"
    path.write_text("id,name,note\n1,O'Neill,'quoted'\n2,-5 kV,\\x41 stays\n")
    found = read_reviewed(path, ["id", "name"], ["id"])
    assert found is not None
    assert found["name"].to_list() == ["O'Neill", "-5 kV"]
    assert found["note"].to_list() == ["'quoted'", "\\x41 stays"]


NAMES = {"4990": "=cmd|' /C calc'!A0", "4991": "\x1b[31mred\x00", "4992": "@SUM(A1)"}


def locations() -> bytes:
    records = [
        {
            "LocationID": int(number),
            "LocationType": "NETWORK NODE",
            "LocationName": name,
            "AreaType": "INTERNAL",
            "NetworkNodeType": "UNIT",
        }
        for number, name in NAMES.items()
    ]
    return json.dumps({"Locations": {"Location": records}}).encode()


def test_names_of_an_operator_that_would_run_are_kept_exactly_and_written_harmlessly(
    desk: Desk,
) -> None:
    day = desk.bring(ISONE_LOCATIONS, locations()).done.day.date
    for reference in (ISO_NODES, GENERATORS):
        for _ in range(2):  # the second reads what the first wrote
            observe(desk.resources, reference, day)
        path = home_file(desk.resources, reference)
        cells = [cell for row in csv.reader(io.StringIO(path.read_text())) for cell in row]
        assert not any(cell.startswith(("=", "+", "@")) for cell in cells)
        assert not BARE.search(path.read_text())
        rows = crosswalk(desk.resources, reference)
        held = dict(rows.select(reference.id, reference.called).iter_rows())
        assert NAMES.items() <= held.items()
        names = dict(rows.select(reference.id, "names").iter_rows())
        assert NAMES.items() <= names.items()  # one name each: no second spelling came of writing


# --- commands ------------------------------------------------------------------------------------

LMP = json.dumps(
    {
        "FiveMinLmps": {
            "FiveMinLmp": [
                {
                    "BeginDate": "2026-07-20T10:00:00.000-04:00",
                    "Location": {"@LocId": number, "@LocType": "HUB", "$": name},
                    "LmpTotal": -5.25,
                    "EnergyComponent": -5.25,
                    "CongestionComponent": 0,
                    "LossComponent": 0,
                }
                for number, name in NAMES.items()
            ]
        }
    }
)
QUERY = "select location_id, location_name, lmp from isone_rt_lmp order by 1"


@pytest.fixture
def held(aurum: Aurum, tmp_path: Path) -> Aurum:
    """A command line whose home holds prices at locations of such names."""
    (tmp_path / "answer.json").write_text(LMP)
    loaded = aurum("load", tmp_path / "answer.json", "--dataset", ISONE_RT_LMP.key)
    assert loaded.exit_code == 0, loaded.output
    return aurum


@pytest.mark.parametrize(
    "command",
    [
        ("export", "--dataset", "isone_rt_lmp", "--day", "2026-07-20"),
        ("sql", QUERY),
        ("as-of", "--dataset", "isone_rt_lmp", "--at", "2036-07-21T00:00:00Z"),
    ],
    ids=lambda c: c[0],
)
def test_a_csv_of_a_command_holds_nothing_that_runs(
    held: Aurum, tmp_path: Path, command: tuple[str, ...]
) -> None:
    path = tmp_path / "out.csv"
    assert held(*command, "--output", path).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    cells = {row["location_id"]: row["location_name"] for row in rows}
    assert {n: from_cell(cell) for n, cell in cells.items()} == NAMES
    assert not any(cell.startswith(("=", "@", "\x1b")) for cell in cells.values())
    assert {row["lmp"] for row in rows} == {"-5.25"}  # a number is no text
    assert not BARE.search(path.read_text())


@pytest.mark.parametrize(
    "command",
    [
        ("sql", QUERY),
        ("sql", QUERY, "--json"),
        ("as-of", "--dataset", "isone_rt_lmp", "--at", "2036-07-21T00:00:00Z"),
        ("status",),
        ("reference", "show", "iso_nodes"),
        ("reference", "observe", "--day", "2026-07-20"),
    ],
    ids=lambda c: "-".join(c[:2])[:20],
)
def test_no_control_character_reaches_whoever_looks(
    held: Aurum, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    held("reference", "observe", "--day", "2026-07-20")
    piped = held(*command)
    assert not BARE.search(piped.stdout.replace("\x1b[0m", "") + piped.stderr)
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = held(*command).stdout
    assert "\x1b[31mred" not in coloured
    assert "\x00" not in coloured


def test_a_record_that_is_refused_is_told_of_without_its_control_characters(
    aurum: Aurum, tmp_path: Path
) -> None:
    body = LMP.replace('"4990"', '"49\\u001b[2J90"')
    (tmp_path / "answer.json").write_text(body)
    done = aurum("load", tmp_path / "answer.json", "--dataset", ISONE_RT_LMP.key)
    assert done.exit_code == 3
    assert "49\\x1b[2J90" in done.output
    assert not BARE.search(done.output)


def test_an_error_and_a_log_line_show_control_characters_as_what_they_are(
    aurum: Aurum, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "answer.json").write_text('{"\\u001b[2J": 1}')
    refused = aurum("load", tmp_path / "answer.json", "--dataset", ISONE_RT_LMP.key)
    assert "it holds \\x1b[2J" in refused.output
    assert not BARE.search(refused.output)
    event = logs.redact(None, "", {"event": "seen", "reason": "a\x1b[2J", "many": ["\x00"]})
    assert event == {"event": "seen", "reason": "a\\x1b[2J", "many": ["\\x00"]}
    output.warn("a\x1b[2J")
    assert capsys.readouterr().err == "warning: a\\x1b[2J\n"
