"""A wrong file or variable is one sentence: file, dataset, key, what is found and expected."""

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr

from aurum_assets.model.drift import field_of
from aurum_assets.model.errors import ConfigError
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.resources import config_schema, logs
from aurum_assets.resources.configuration import Configuration, load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.settings import Settings, open_resources
from aurum_assets_tests.made import made

FILE = "isone_ingest_datasets.json"
LOAD_AT = 3  # where the system load stands in the file
PROBE = {"path": "/load/info", "earliest": "12:00"}
Json = dict[str, Any]
VARIABLES = (
    "AURUM_HOME",
    "AURUM_CONFIG",
    "AURUM_NOW",
    "AURUM_LIMIT_SCALE",
    "AURUM_REPAIRS",
    "AURUM_KEEP_RUNS_DAYS",
    "ISONE_BASE_URL",
    "ISONE_USERNAME",
    "ISONE_PASSWORD",
    "ISONE_API_KEY",
    "MISO_BASE_URL",
    "PJM_BASE_URL",
    "PJM_API_KEY",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the project's config, to be spoiled."""
    return shutil.copytree(PROJECT / "config", tmp_path / "config")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No variable of ours set, and no ``.env`` near."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def spoiled(folder: Path, change: Callable[[Json], object]) -> str:
    """The error that the config gives after ``change``."""
    document = json.loads((folder / FILE).read_text())
    change(document)
    (folder / FILE).write_text(json.dumps(document))
    with pytest.raises(ConfigError) as caught:
        load_config(folder, DATASETS)
    return str(caught.value)


def of_dataset(name: str, value: object) -> Callable[[Json], None]:
    """A change of one key of the second dataset, ``isone_system_load``."""

    def change(document: Json) -> None:
        document["datasets"][LOAD_AT][name] = value

    return change


def of_feed(name: str, value: object) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        document["datasets"][LOAD_AT]["feeds"][0][name] = value

    return change


def of_day_feed(name: str, value: object) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        document["datasets"][LOAD_AT]["feeds"][1][name] = value

    return change


def of_endpoint(name: str, value: object) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        document["datasets"][LOAD_AT]["feeds"][0]["endpoints"][0][name] = value

    return change


def of_field(**keys: object) -> Callable[[Json], None]:
    """A change of what is expected of one field."""
    return of_dataset("fields", {"LoadMw": keys})


def without(*path: str | int) -> Callable[[Json], None]:
    def change(held: Any) -> None:  # noqa: ANN401  whatever JSON holds
        for step in path[:-1]:
            held = held[step]
        del held[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "key", "found", "expected"),
    [
        (of_dataset("lateness_minutes", "soon"), "lateness_minutes", "'soon'", "valid integer"),
        (of_dataset("first_day", "2024-13-01"), "first_day", "'2024-13-01'", "valid date"),
        (of_dataset("enabled", "perhaps"), "enabled", "'perhaps'", "valid boolean"),
        (of_dataset("on_broken_row", "drop"), "on_broken_row", "'drop'", "or 'reject'"),
        (of_dataset("latenes_minutes", 3), "latenes_minutes", "3", "nexpected"),
        (of_dataset("feeds", None), "feeds", "None", "valid array"),
        (of_feed("endpoints", []), "endpoints", "", "expected"),
        (of_endpoint("path", "/load/{dya}"), "path", "{dya}", "{day}"),
        (of_endpoint("path", "/load/{day}"), "path", "{day}", "now"),
        (of_endpoint("name", "fiveminutesystemload_day"), "fiveminutesystemload_day", "", "twice"),
        (of_dataset("lateness_minutes", -1), "lateness_minutes", "-1", "more than"),
        (of_dataset("repair_days", 0), "repair_days", "0", "more than"),
        (of_dataset("fields", {"Klingon": {}}), "fields.Klingon", "", "LoadMw"),
        (of_feed("cadence", "half_hourly"), "cadence", "'half_hourly'", "'five_minutes'"),
        (of_feed("asks", "week"), "asks", "'week'", "'now', 'day', 'hour' or 'location'"),
        (of_feed("finality", "maybe"), "finality", "'maybe'", "'prelim' or 'final'"),
        (of_feed("offset", 1), "offset", "1", "nexpected"),
        (of_feed("offset_minutes", 5), "now.offset_minutes", "5", "0 to 4"),
        (of_feed("offset_minutes", -1), "now.offset_minutes", "-1", "0 to 4"),
        (of_day_feed("offset_minutes", 1), "day.offset_minutes", "1", "backfill"),
        (of_feed("again_days", [7]), "now.again_days", "[7]", "only a daily feed"),
        (of_day_feed("again_days", [7]), "day.again_days", "[7]", "only a daily feed"),
        (of_feed("grace_days", -1), "now.grace_days", "-1", "0 or more"),
        (of_day_feed("probe", PROBE | {"every_minutes": 0}), "every_minutes", "0", "1 or more"),
        (of_dataset("live_dialects", ["klingon"]), "live_dialects", "klingon", "documented, live"),
        (of_feed("probe", PROBE), "probe", "'/load/info'", "none"),  # it asks for no day
        (of_day_feed("probe", PROBE | {"path": "info"}), "probe.path", "'info'", "starts with /"),
        (of_day_feed("probe", PROBE | {"path": "/{day}"}), "probe.path", "{day}", "no placeholder"),
        (of_day_feed("probe", PROBE | {"earliest": "noon"}), "earliest", "'noon'", "time"),
        (of_endpoint("formats", ["yaml"]), "format", "'yaml'", "'json'"),
        (of_endpoint("dialect", "klingon"), "dialect", "'klingon'", "documented, live"),
        (without("datasets", LOAD_AT, "topic"), "topic", "", "required"),
        (of_dataset("fields", {"LoadMw": "number"}), "fields.LoadMw", "'number'", "object"),
        (of_field(magnitud=[1, 2]), "fields.LoadMw.magnitud", "", "nexpected"),
        (of_field(type="number"), "fields.LoadMw.type", "'number'", "nexpected"),
        (of_field(magnitude=[1]), "LoadMw.magnitude", "1", "required"),
        (of_field(magnitude=[2, 1]), "LoadMw", "2.0, 1.0", "0 < low < high"),
        (of_field(magnitude=[0, 1]), "LoadMw", "0.0, 1.0", "0 < low < high"),
        (of_field(enum=["Y"]), "LoadMw", "'Y'", "string or label"),
        (
            of_field(magnitude=[1, 2], at_least=0),
            "LoadMw",
            "at_least=0",
            "1 or more",
        ),
        (of_dataset("price_bounds", [1]), "price_bounds", "1", "required"),
        (of_dataset("price_bounds", [2000, -150]), "price_bounds", "-150.0", "floor below cap"),
        (of_dataset("price_tolerance", -1), "price_tolerance", "-1.0", "0 or more"),
        (of_dataset("volume_tolerance", "some"), "volume_tolerance", "'some'", "valid number"),
        (of_dataset("volume_tolerance", -0.1), "volume_tolerance", "-0.1", "0 or more"),
    ],
)
def test_a_wrong_key_of_a_dataset_is_one_sentence_with_everything_in_it(
    folder: Path, change: Callable[[Json], object], key: str, found: str, expected: str
) -> None:
    sentence = spoiled(folder, change)
    assert "\n" not in sentence
    assert FILE in sentence
    assert "isone_system_load" in sentence
    for part in (key, found, expected):
        assert part in sentence, sentence


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda s: s["operator"].update(limits=[{"requests": 60}]),
            ("operator.limits.0", "seconds"),
        ),
        (lambda s: s["operator"].update(attempts="many"), ("operator.attempts", "'many'")),
        (lambda s: s["operator"].update(attempts=0), ("operator", "attempts", "0", "more than")),
        (
            lambda s: s["operator"].update(limits=[{"requests": 0, "seconds": 1}]),
            ("operator", "limits", "requests=0", "more than"),
        ),
        (lambda s: s["operator"].update(tiemout=3), ("operator.tiemout", "3")),
        (lambda s: s.pop("operator"), ("operator", "required")),
        (lambda s: s.update(datasetz=[]), ("datasetz",)),
    ],
)
def test_a_wrong_key_of_an_operator_is_named_too(
    folder: Path, change: Callable[[Json], object], parts: tuple[str, ...]
) -> None:
    sentence = spoiled(folder, change)
    assert FILE in sentence
    for part in parts:
        assert part in sentence, sentence


@pytest.mark.parametrize("text", ["", "{", "[]", '{"source": 3, "datasets": []}', "null"])
def test_a_file_that_is_none_is_named(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(folder, DATASETS)
    assert FILE in str(caught.value)
    assert "\n" not in str(caught.value)


def test_datasets_without_an_entry_are_as_in_the_project_and_named_in_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    document = json.loads((folder / FILE).read_text())
    del document["datasets"][LOAD_AT]
    document["operator"]["attempts"] = 2
    (folder / FILE).write_text(json.dumps(document))
    (folder / "miso_ingest_datasets.json").unlink()
    logs.configure("warning", "json", "dev")
    found, usual = (load_config(place, DATASETS) for place in (folder, PROJECT / "config"))
    assert found.datasets == usual.datasets
    assert found.operators["isone"].attempts == 2, (
        "what is given for an operator holds for all of it"
    )
    (warning,) = (record.getMessage() for record in caplog.records)
    ours = [d.key for d in DATASETS if d.operator is MISO]
    for name in (str(folder), "isone_system_load", *ours):
        assert name in warning


def test_datasets_without_an_entry_anywhere_are_named_all(folder: Path) -> None:
    others = [replace(DATASETS[0], key=key) for key in ("of_tomorrow", "of_next_year")]
    with pytest.raises(ConfigError, match="no entry for of_tomorrow, of_next_year"):
        load_config(folder, (*DATASETS, *others))


def test_an_entry_without_a_dataset_is_named_with_the_known_ones(folder: Path) -> None:
    sentence = spoiled(folder, of_dataset("key", "isone_sytem_load"))
    assert FILE in sentence
    assert "isone_sytem_load" in sentence
    assert "isone_system_load" in sentence


def test_a_dataset_that_is_said_twice_is_named(folder: Path) -> None:
    sentence = spoiled(folder, lambda s: s["datasets"].append(s["datasets"][LOAD_AT]))
    assert "isone_system_load" in sentence
    assert "twice" in sentence


def test_a_folder_without_config_is_named_with_the_variable_that_leads_there(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="set AURUM_CONFIG to the config folder"):
        load_config(tmp_path, DATASETS)


def test_a_key_of_the_last_version_is_read_under_its_new_name_and_said_once_a_file(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    document = json.loads((folder / FILE).read_text())
    for entry in document["datasets"]:
        entry["retention_days"] = entry.pop("repair_days") + 1
    (folder / FILE).write_text(json.dumps(document))
    logs.configure("warning", "json", "dev")
    found = load_config(folder, DATASETS)
    assert {c.repair_days for k, c in found.datasets.items() if k.startswith("isone")} == {366}
    warnings = [r.getMessage() for r in caplog.records if "retention_days" in r.getMessage()]
    assert len(warnings) == 1
    assert "repair_days" in warnings[0]
    assert FILE in warnings[0]


def test_a_key_beside_its_old_name_is_refused(folder: Path) -> None:
    sentence = spoiled(folder, of_dataset("retention_days", 3))
    for part in (FILE, "isone_system_load", "retention_days", "repair_days alone", "both"):
        assert part in sentence


def test_a_file_of_the_last_version_is_read_and_said_to_be_old(
    folder: Path, configuration: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    """An endpoint for each format, and the type of every field."""
    document = json.loads((folder / FILE).read_text())
    for entry in document["datasets"]:
        ours = configuration.datasets[entry["key"]]
        del entry["formats"], entry["fields"]
        entry["expected_fields"] = {
            dialect: {name: asdict(field_of(one)) for name, one in fields.items()}
            for dialect, fields in ours.expected_fields.items()
        }
        for feed, loaded in zip(entry["feeds"], ours.feeds, strict=True):
            feed["endpoints"] = [asdict(endpoint) for endpoint in loaded.endpoints]
    (folder / FILE).write_text(json.dumps(document))
    logs.configure("warning", "json", "dev")
    found = load_config(folder, DATASETS)
    for key, ours in configuration.datasets.items():
        assert found.datasets[key].feeds == ours.feeds
        assert found.datasets[key].expected_fields == ours.expected_fields
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert "expected_fields" in logged
    assert "formats" in logged


def test_a_field_that_is_named_counts_more_than_a_pattern_that_it_fits(
    folder: Path, configuration: Configuration
) -> None:
    document = json.loads((folder / FILE).read_text())
    document["datasets"][LOAD_AT]["fields"] = {"*Load*": {"nullable": True}, "LoadMw": {}}
    (folder / FILE).write_text(json.dumps(document))
    fields = load_config(folder, DATASETS).datasets["isone_system_load"].expected_fields["live"]
    nullable = {name for name, one in fields.items() if field_of(one).nullable}
    assert nullable == {"NativeLoad", "SystemLoadBtmPv", "NativeLoadBtmPv"}
    assert fields.keys() == configuration.datasets["isone_system_load"].expected["live"].keys()


def test_a_magnitude_of_what_is_no_quantity_is_refused(folder: Path) -> None:
    zonal = LOAD_AT + 1

    def change(document: Json) -> None:
        document["datasets"][zonal]["fields"] = {"load_zone_id": {"magnitude": [1, 2]}}

    assert "magnitude only where type is number or string" in spoiled(folder, change)


def test_the_files_fit_the_schema_that_they_name_and_it_is_current() -> None:
    held = json.loads((PROJECT / "config" / "schemas" / config_schema.FILE).read_text())
    assert held == config_schema.schema(), "make schemas writes it anew"
    files = sorted((PROJECT / "config").glob("*_ingest_datasets.json"))
    assert files
    for file in files:
        document = json.loads(file.read_text())
        assert (file.parent / document["$schema"]).resolve().name == config_schema.FILE
        jsonschema.Draft202012Validator(held).validate(document)
        document["datasets"][0]["feeds"][0]["cadense"] = "daily"
        with pytest.raises(jsonschema.ValidationError, match="cadense"):
            jsonschema.Draft202012Validator(held).validate(document)


def test_an_ordinary_dataset_takes_twenty_lines_of_config_at_most() -> None:
    for file in (PROJECT / "config").glob("*_ingest_datasets.json"):
        _, *entries = file.read_text().split("\n    {\n")
        for text, entry in zip(entries, json.loads(file.read_text())["datasets"], strict=True):
            lines = 1 + len(text.partition("\n    }")[0].splitlines()) + 1
            ways = sum(len(feed["endpoints"]) for feed in entry["feeds"])
            assert lines <= (20 if ways <= 3 else 30), entry["key"]


def test_the_projects_own_config_is_right(configuration: Configuration) -> None:
    assert set(configuration.datasets) == {d.key for d in DATASETS}
    assert set(configuration.operators) == {d.operator.name for d in DATASETS}


# --- the environment -----------------------------------------------------------------------------


def test_nothing_needs_to_be_set(environment: pytest.MonkeyPatch) -> None:
    del environment
    resources = open_resources(DATASETS)
    assert resources.root == Path(".aurum")
    assert resources.credentials == {}
    assert abs(resources.now() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AURUM_NOW", "noon"),
        ("AURUM_NOW", "2026-07-27T17:25:00"),
        ("AURUM_LIMIT_SCALE", "fast"),
        ("AURUM_LIMIT_SCALE", "0"),
        ("AURUM_LIMIT_SCALE", "-1"),
        ("AURUM_REPAIRS", "-1"),
    ],
)
def test_a_wrong_variable_is_named(
    environment: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    environment.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        open_resources(DATASETS)
    assert f"environment variable {variable}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_environment_is_what_a_home_is_made_of(
    environment: pytest.MonkeyPatch, tmp_path: Path, folder: Path
) -> None:
    environment.setenv("AURUM_HOME", str(tmp_path / "here"))
    environment.setenv("AURUM_CONFIG", str(folder))
    environment.setenv("AURUM_NOW", "2026-07-27T17:25:00-04:00")
    environment.setenv("ISONE_BASE_URL", "http://127.0.0.1:9/api/v1.1")
    environment.setenv("ISONE_USERNAME", "somebody")
    environment.setenv("ISONE_PASSWORD", "hunter2")
    resources = open_resources(DATASETS)
    assert resources.root == tmp_path / "here"
    assert resources.now() == dt.datetime(2026, 7, 27, 21, 25, tzinfo=dt.UTC)
    assert resources.base_urls["isone"] == "http://127.0.0.1:9/api/v1.1"
    assert resources.credentials["isone"].given
    assert not (tmp_path / "here").exists(), "reading the environment writes nothing"


def test_the_variables_of_every_operator_are_described() -> None:
    described = (PROJECT / ".env.example").read_text()
    for operator in OPERATORS:
        for name in (operator.base_url_variable, *operator.variables):
            assert f"\n#{name}=\n" in described, name


def test_a_password_is_shown_by_nothing_that_can_be_printed(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("ISONE_USERNAME", "somebody")
    environment.setenv("ISONE_PASSWORD", "hunter2")
    environment.setenv("ISONE_API_KEY", "key-7")
    settings = Settings.read()
    resources = open_resources(DATASETS, settings)
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(resources)):
        assert "hunter2" not in text
        assert "key-7" not in text
    found = resources.credentials["isone"].values
    assert found["ISONE_PASSWORD"] == SecretStr("hunter2")


def test_a_wrong_variable_does_not_show_a_secret_beside_it(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("ISONE_PASSWORD", "hunter2")
    environment.setenv("AURUM_LIMIT_SCALE", "fast")
    with pytest.raises(ConfigError) as caught:
        Settings.read()
    assert "hunter2" not in str(caught.value)


def test_limits_are_those_of_config_unless_they_are_scaled(
    configuration: Configuration, tmp_path: Path
) -> None:
    limits = configuration.operators["isone"].limits
    assert [(x.requests, x.seconds) for x in limits] == [(60, 60), (1000, 3600)]
    miso = configuration.operators["miso"]
    assert [(x.requests, x.seconds) for x in miso.limits] == [(50, 60)]
    assert [(x.requests, x.seconds) for x in miso.endpoint_limits["cts_live"]] == [(1, 60)]
    resources = made(root=tmp_path, configuration=configuration)
    with resources.api(ISONE):
        assert resources.configuration is configuration
