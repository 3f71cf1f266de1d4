"""The resources that Dagster shows: what of the environment is seen, who uses which, what a test
puts in the place of one.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aurum_assets.definitions import build
from aurum_assets.graph.resources import (
    KEYS,
    WRITES,
    FolderArchive,
    HomeResource,
    LakeResource,
    UndeclaredResource,
    assembled_of,
    parts_of,
)
from aurum_assets.graph.translate import feeds_config
from aurum_assets.model.errors import ConfigError, StoreUnavailable
from aurum_assets.operators import OPERATORS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD as LOAD
from aurum_assets.resources.archive import Archive, Stored
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.events import Brokers, Events
from aurum_assets.resources.home import Home
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.metrics import Metrics
from aurum_assets.resources.objects import Folder
from aurum_assets.resources.registry import Registry
from aurum_assets.resources.shared import Shared
from aurum_assets_tests.conftest import Desk

DAY = "2026-07-20"
SECRETS = {
    "ISONE_PASSWORD": "canary-isone",
    "ISONE_API_KEY": "canary-key",
    "AURUM_KAFKA_PASSWORD": "canary-kafka",
    "AURUM_WEBHOOK_URL": "https://hooks.example/services/canary-webhook",
    "AURUM_REDIS_URL": "redis://:canary-redis@127.0.0.1:1/0",
    "AURUM_CATALOG_URI": "postgresql+psycopg2://desk:canary-catalog@127.0.0.1:1/lake",
    "AURUM_CATALOG_PROPERTIES": '{"s3.secret-access-key": "canary-property"}',
}
PLAIN = {
    "ISONE_USERNAME": "desk",
    "AURUM_KAFKA_BROKERS": "broker:9092",
    "AURUM_KAFKA_USERNAME": "aurum",
    "AURUM_ARCHIVE": "s3://raw/desk",
    "AURUM_S3_ENDPOINT": "https://s3.example",
}


@pytest.fixture
def at_simulator(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of an environment that reaches the simulated operators."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Path(environment["AURUM_HOME"])


def run(definitions: dg.Definitions) -> dg.ExecuteInProcessResult:
    """The day of the system load, collected and brought into its table."""
    keys = [dg.AssetKey([room, LOAD.key]) for room in ("raw", "market")]
    return definitions.resolve_job_def("isone_daily").execute_in_process(
        partition_key=DAY,
        run_config=feeds_config({LOAD.key: ["day"]}),
        asset_selection=keys,
        raise_on_error=False,
    )


def rows(lake: Lake) -> int:
    return len(lake.read(LOAD.table))


def shown(definitions: dg.Definitions) -> dict[str, Any]:
    """What the UI shows of each resource's fields: a value, or the name of a variable."""
    found = definitions.get_repository_def().get_top_level_resources()
    return {name: resource.config_schema.default_value for name, resource in found.items()}


# --- what is shown -------------------------------------------------------------------------------


def test_a_variable_is_shown_by_its_name_and_what_is_not_set_by_its_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**SECRETS, **PLAIN, "AURUM_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    found = shown(build())
    assert set(found) == KEYS | {"s3"}
    assert found["isone_api"]["password"] == {"env": "ISONE_PASSWORD"}
    assert found["isone_api"]["base_url"] == "https://webservices.iso-ne.com/api/v1.1"
    assert found["s3"]["endpoint_url"] == {"env": "AURUM_S3_ENDPOINT"}
    assert (found["s3"]["connect_timeout"], found["s3"]["max_attempts"]) == (3.0, 3)
    assert found["events"]["mechanism"] == "PLAIN"
    text = json.dumps(found)
    for name in (*SECRETS, *PLAIN):
        assert f'{{"env": "{name}"}}' in text
    assert "canary" not in text


def test_a_variable_of_a_file_is_shown_and_read_like_one_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"AURUM_HOME={tmp_path}/home\nISONE_PASSWORD=canary-file\n")
    monkeypatch.setenv("AURUM_ENV_FILE", str(tmp_path / ".env"))
    for name in ("AURUM_HOME", "ISONE_PASSWORD"):
        monkeypatch.setenv(name, "")  # and as it was after the test
    found = shown(build())
    assert found["home"]["folder"] == {"env": "AURUM_HOME"}
    assert found["isone_api"]["password"] == {"env": "ISONE_PASSWORD"}
    assert "canary" not in json.dumps(found)
    assert os.environ["ISONE_PASSWORD"].startswith("canary")


def test_what_a_file_says_now_counts_in_a_process_that_inherits_what_it_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run is a child of the code server, which read the file when it started."""
    file = tmp_path / ".env"
    monkeypatch.setenv("AURUM_ENV_FILE", str(file))
    for name in ("AURUM_HOME", "ISONE_USERNAME", "ISONE_PASSWORD"):
        monkeypatch.setenv(name, "")  # and as it was after the test
    monkeypatch.setenv("ISONE_USERNAME", "of-the-environment")
    for password in ("old", "new"):
        file.write_text(f"AURUM_HOME={tmp_path}\nISONE_USERNAME=file\nISONE_PASSWORD={password}\n")
        build()
        assert os.environ["ISONE_PASSWORD"] == password
        assert os.environ["ISONE_USERNAME"] == "of-the-environment"
    file.write_text(f"AURUM_HOME={tmp_path}\n")
    assert shown(build())["isone_api"]["password"] == ""
    assert "ISONE_PASSWORD" not in os.environ


def test_an_asset_a_check_and_a_sensor_say_which_resources_they_use() -> None:
    definitions = build()
    raw, table, reference = (
        set(definitions.resolve_assets_def(dg.AssetKey(key)).required_resource_keys)
        for key in (["raw", LOAD.key], ["market", LOAD.key], ["reference", "iso_nodes"])
    )
    assert raw == {*table, "isone_api"}
    assert table >= WRITES
    assert table.isdisjoint({"isone_api", "miso_api", "alerts"})
    assert reference >= {"home", "lake"}
    assert reference.isdisjoint({"archive", "events"})
    sensors = definitions.get_repository_def().sensor_defs
    uses = {sensor.name: sensor.required_resource_keys for sensor in sensors}
    assert uses["watch"] == KEYS
    assert "isone_api" in uses["isone_da_lmp_is_out"]
    assert "archive" not in uses["check_alerts"] | uses["failed_runs"]


def test_what_a_step_does_not_declare_cannot_be_used(desk: Desk) -> None:
    declared = {"runtime", "home", "lake"}
    found = assembled_of({k: v for k, v in parts_of(desk.resources).items() if k in declared})
    assert found.lake is desk.resources.lake
    with pytest.raises(UndeclaredResource, match="does not declare the resource archive"):
        found.archive.days(LOAD.key)
    with pytest.raises(UndeclaredResource, match="isone_api"):
        found.api(LOAD.operator)


def test_a_record_comes_back_from_its_parts(desk: Desk) -> None:
    found = assembled_of(parts_of(desk.resources))
    for field in dataclasses.fields(Resources):
        assert getattr(found, field.name) == getattr(desk.resources, field.name), field.name


def test_parts_with_the_same_settings_are_opened_once_a_process(tmp_path: Path) -> None:
    first, second, other = (
        LakeResource().opened(HomeResource(folder=str(tmp_path / name)).opened())
        for name in ("a", "a", "b")
    )
    assert first is second
    assert first is not other


# --- what a test puts in the place of one --------------------------------------------------------


class Full(Folder):
    """A disk that takes nothing."""

    def put(self, key: str, body: bytes, metadata: bytes = b"") -> Stored:
        msg = f"{key}: {len(body)} and {len(metadata)} bytes are not taken"
        raise StoreUnavailable(msg)


def test_a_run_of_the_environment_fills_its_home(at_simulator: Path) -> None:
    result = run(build())
    assert result.success
    assert rows(Lake.local(at_simulator / "lake")) == 288


def test_a_lake_may_be_in_another_folder(at_simulator: Path, tmp_path: Path) -> None:
    lake = Lake.local(tmp_path / "elsewhere")
    assert run(build({"lake": lake})).success
    assert rows(lake) == 288
    assert not (at_simulator / "lake").exists()


def test_an_archive_may_fail(at_simulator: Path) -> None:
    result = run(build({"archive": Archive(Full(at_simulator / "archive"))}))
    assert not result.success
    (failure,) = result.get_step_failure_events()
    assert "are not taken" in str(failure.step_failure_data.user_failure_data)


def test_a_resource_of_dagsters_may_stand_in_the_place_of_another(
    at_simulator: Path, tmp_path: Path
) -> None:
    place = tmp_path / "raw"
    assert run(build({"archive": FolderArchive(place=f"file:{place}")})).success
    assert list((place / "sourcing").rglob("*.json.gz"))
    assert not (at_simulator / "archive").exists()


def test_every_other_part_is_swapped_by_its_name(
    at_simulator: Path, tmp_path: Path, live_desk: Desk
) -> None:
    other = Home(tmp_path / "other")
    clock = live_desk.clock
    theirs = parts_of(live_desk.resources)
    swapped = {
        **{key: theirs[key] for key in ("runtime", "isone_api", "miso_api", "pjm_api", "alerts")},
        "home": other,
        "shared_state": Shared(other),
        "registry": Registry(other.state),
        "events": Events(other.root / "outbox.sqlite", Brokers()),
        "metrics": Metrics(tmp_path / "counted.sqlite", "dev", clock),
    }
    assert set(swapped) | {"archive", "lake"} == KEYS
    assert run(build(swapped)).success
    assert (tmp_path / "counted.sqlite").exists()
    assert (other.root / "origin").exists()
    assert (other.root / "archive").exists(), "a part of the environment is in the swapped home"
    assert not at_simulator.exists()


def test_a_name_that_is_none_is_refused_with_those_that_are(at_simulator: Path) -> None:
    del at_simulator
    with pytest.raises(ConfigError, match=r"no resource lakes; there are alerts, archive, .*lake"):
        build({"lakes": Lake({})})


def test_there_is_an_api_resource_for_each_operator() -> None:
    assert {f"{o.name}_api" for o in OPERATORS} <= KEYS
