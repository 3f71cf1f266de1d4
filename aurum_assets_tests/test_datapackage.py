"""What ``aurum export --package`` says of its files holds, as Frictionless reads it."""

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from aurum_assets.cli import main
from aurum_assets.operators import DATASETS
from aurum_assets_tests.conftest import NOON, Aurum, printed
from aurum_assets_tests.recordings import recording

LMP, CTS, CONSTRAINTS = "isone_rt_lmp", "miso_cts", "isone_da_constraints"
DAY = "2026-07-20"


@pytest.fixture(scope="module")
def aurum(tmp_path_factory: pytest.TempPathFactory) -> Aurum:
    """The command line, on a home with prices, forecasts and constraints that nothing changes."""
    folder = tmp_path_factory.mktemp("packaged")
    environment = {"AURUM_HOME": str(folder / "home"), "AURUM_NOW": NOON.isoformat()}

    def run(*arguments: object) -> Result:
        return CliRunner(env=environment).invoke(main, [str(a) for a in arguments])

    for dataset in (LMP, CTS, CONSTRAINTS):
        file = folder / f"{dataset}.json"
        file.write_bytes(recording(dataset, "live", "ordinary").body)
        assert run("load", "--dataset", dataset, file).exit_code == 0
    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to export to."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exported(aurum: Aurum, dataset: str, *more: str) -> dict[str, Any]:
    """Export the day with a description; returns the resource of the file."""
    done = printed(
        aurum("export", "--dataset", dataset, "--day", DAY, "--package", "--json", *more)
    )
    assert done["package"] == "datapackage.json"
    package = json.loads(Path("datapackage.json").read_text())
    (found,) = [one for one in package["resources"] if one["path"] == done["path"]]
    resource: dict[str, Any] = found
    return resource


def problems() -> list[str]:
    """What Frictionless finds wrong with ``datapackage.json`` and the files that it names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        import frictionless

        report = frictionless.validate("datapackage.json")
        return [*map(str, report.errors), *report.flatten(["title", "fieldName", "rowNumber"])]


def test_files_of_each_kind_of_table_are_what_their_description_says(
    aurum: Aurum, folder: Path
) -> None:
    for dataset, more in ((LMP, "--best"), (CTS, "--force"), (CONSTRAINTS, "--force")):
        resource = exported(aurum, dataset, more)
        content = (folder / resource["path"]).read_bytes()
        assert resource["bytes"] == len(content)
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert len(json.loads((folder / "datapackage.json").read_text())["resources"]) == 3
    assert problems() == []


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"39.16", b"cheap"), (b"39.16", b"3.9e9"), (b"2026-07-20T21:25:00Z", b"")],
    ids=["no number", "beyond every price", "no instant"],
)
def test_a_file_that_was_changed_is_found_out(
    aurum: Aurum, folder: Path, before: bytes, after: bytes
) -> None:
    file = folder / exported(aurum, LMP)["path"]
    changed = file.read_bytes().replace(before, after)
    assert changed != file.read_bytes()
    file.write_bytes(changed)
    assert problems() != []


def test_a_description_has_type_unit_meaning_and_need_of_every_column(
    aurum: Aurum,
    folder: Path,  # noqa: ARG001  where it is written
) -> None:
    table = next(d.table for d in DATASETS if d.key == LMP)
    resource = exported(aurum, LMP)
    fields = {field["name"]: field for field in resource["schema"]["fields"]}
    assert list(fields) == table.names
    assert fields["lmp"] == {
        "name": "lmp",
        "type": "number",
        "description": "Locational marginal price.",
        "unit": "USD/MWh",
        "constraints": {"minimum": -1e6, "maximum": 1e6},
    }
    assert fields["interval_start"]["constraints"] == {"required": True}
    assert resource["sources"] == [{"title": "ISO New England web services, `/fiveminutelmp`."}]
    assert "licenses" not in resource
    assert resource["operatingDays"] == [DAY, DAY]


def test_the_key_is_that_of_the_rows_that_were_written(
    aurum: Aurum,
    folder: Path,  # noqa: ARG001  where it is written
) -> None:
    whole = ["operating_day", "interval_start", "location_id", "finality"]
    assert exported(aurum, LMP)["schema"]["primaryKey"] == whole
    assert exported(aurum, LMP, "--best")["schema"]["primaryKey"] == whole[:-1]
    vintages = exported(aurum, CTS)["schema"]["primaryKey"]
    assert {"published_at", "interval_start", "location"} < set(vintages)
    last = exported(aurum, CTS, "--lead", "1m")["schema"]["primaryKey"]
    assert last == ["interval_start", "location"]


def test_a_parquet_file_is_described_by_the_types_that_it_has(aurum: Aurum, folder: Path) -> None:
    resource = exported(aurum, LMP, "--format", "parquet")
    assert (resource["format"], "profile" in resource) == ("parquet", False)
    types = {
        "date": pl.Date(),
        "datetime": pl.Datetime("us", "UTC"),
        "number": pl.Float64(),
        "string": pl.String(),
    }
    held = pl.read_parquet_schema(folder / resource["path"])
    assert {f["name"]: types[f["type"]] for f in resource["schema"]["fields"]} == dict(held)
    required = {f["name"] for f in resource["schema"]["fields"] if f.get("constraints")}
    assert {"location_id", "finality", "interval_start"} <= required


def test_an_export_again_replaces_its_own_entry_and_leaves_what_others_wrote(
    aurum: Aurum, folder: Path
) -> None:
    other = {"name": "weather", "path": "weather.csv", "type": "table"}
    mine = {"name": "mine", "title": "Mine", "resources": [other]}
    (folder / "datapackage.json").write_text(json.dumps(mine))
    exported(aurum, LMP)
    exported(aurum, LMP, "--force")
    package = json.loads((folder / "datapackage.json").read_text())
    assert (package["name"], package["title"]) == ("mine", "Mine")
    assert [one["path"] for one in package["resources"]] == ["weather.csv", f"{LMP}_{DAY}.csv"]


@pytest.mark.parametrize("content", ["[]", "{}", '{"resources": {}}', "not JSON"])
def test_a_file_that_is_no_data_package_stays_and_nothing_is_exported(
    aurum: Aurum, folder: Path, content: str
) -> None:
    (folder / "datapackage.json").write_text(content)
    result = aurum("export", "--dataset", LMP, "--day", DAY, "--package")
    assert result.exit_code == 2
    assert "datapackage.json" in result.stderr
    assert (folder / "datapackage.json").read_text() == content
    assert [file.name for file in folder.iterdir()] == ["datapackage.json"]


def test_what_is_piped_has_no_description(aurum: Aurum, folder: Path) -> None:
    result = aurum("export", "--dataset", LMP, "--day", DAY, "--output", "-", "--package")
    assert result.exit_code == 2
    assert "--package" in result.stderr
    assert list(folder.iterdir()) == []
