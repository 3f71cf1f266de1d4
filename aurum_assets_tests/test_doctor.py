"""``aurum doctor``: each part by a real server that works, does not, or never answers."""

import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from confluent_kafka import Producer
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from aurum_assets import ingest
from aurum_assets.ingest import doctor
from aurum_assets.model.finding import Finding
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.resources.archive import ArchiveSettings
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.events import Brokers
from aurum_assets.resources.lake import Lake
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Aurum, Desk, printed
from aurum_assets_tests.made import remade
from aurum_assets_tests.servers.redis import free_port, redis_process
from aurum_assets_tests.servers.rest import rest_catalog

CANARY = "canary-9a1d"
PARTS = [
    "home",
    "place",
    "config",
    "archive",
    "catalog",
    "redis",
    "kafka",
    "dagster",
    "workers",
    "maintenance",
    "isone",
    "miso",
    "pjm",
    "webhook",
    "metrics",
    "clock",
]


def look(resources: Resources, **settings: Any) -> dict[str, Finding]:  # noqa: ANN401  those of Specification
    """What the doctor finds with these settings; in bounded time, and without a secret."""
    started = time.monotonic()
    found = ingest.examine(remade(resources, **settings))
    assert time.monotonic() - started < doctor.DEADLINE + 2
    assert CANARY not in str([f.as_dict() for f in found])
    return {f.part: f for f in found}


@pytest.fixture
def resources(live_desk: Desk) -> Resources:
    (live_desk.resources.root / "archive").mkdir(parents=True)
    return live_desk.resources


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 with a bucket ``raw``."""
    for name, seconds in {"PATIENCE": 20.0, "DEADLINE": 60.0}.items():  # of a busy machine
        monkeypatch.setattr(doctor, name, seconds)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "desk")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="raw")
    yield url
    server.stop()


# --- what is not configured ----------------------------------------------------------------------


def test_where_no_home_is_all_else_is_looked_at_and_none_is_made(
    resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    shutil.rmtree(resources.root)
    found = look(resources)
    assert list(found) == PARTS
    defaults = {p for p, f in found.items() if f.state == "embedded default"}
    assert defaults == {"archive", "catalog", "redis", "dagster", "workers"}
    assert {p for p, f in found.items() if f.state == "off"} == {
        "kafka",
        "maintenance",
        "webhook",
        "metrics",
        "clock",
        "place",
    }
    assert {p for p, f in found.items() if f.state == "ok"} == {"config", "isone", "miso", "pjm"}
    assert (found["home"].state, found["home"].result) == ("unsure", "there is no home here yet")
    assert "aurum collect" in found["home"].remedy
    assert not resources.root.exists(), "none is made by looking"


def test_looking_leaves_no_trace_but_in_the_limits(resources: Resources, market: Running) -> None:
    found = look(resources)
    assert {found["home"].state, found["place"].state} == {"ok"}
    assert [seen.operator for seen in market.simulator.requests if seen.status == 200] != []
    assert len(market.simulator.requests) == 4  # one of what is only documented
    assert resources.origin == ""
    assert {p.name.partition("-")[0] for p in resources.root.iterdir()} <= {
        "archive",
        "limits.sqlite",
        "state.sqlite",
    }


@pytest.mark.usefixtures("empty_home")
def test_the_command_reports_it_and_is_exit_code_0(aurum: Aurum) -> None:
    result = aurum("doctor", "--json")
    assert result.exit_code == 0, result.output
    assert [part["part"] for part in printed(result)["parts"]] == PARTS
    assert printed(result)["broken"] == []
    lines = aurum("doctor").stdout.splitlines()
    assert lines[0].split("\t") == ["part", "state", "ms", "where", "result"]


# --- this machine --------------------------------------------------------------------------------


def test_a_home_that_cannot_be_written_is_broken(resources: Resources, tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.touch()
    found = look(remade(resources, root=file))
    assert (found["home"].state, found["archive"].state) == ("broken", "broken")
    assert "AURUM_HOME" in found["home"].remedy


def test_a_folder_may_be_the_archive_and_a_file_take_metrics(
    resources: Resources, tmp_path: Path
) -> None:
    found = look(
        resources,
        archive=ArchiveSettings(f"file:{tmp_path}/raw"),
        metrics_file=tmp_path / "aurum.prom",
    )
    assert (found["archive"].state, found["archive"].where) == ("ok", f"{tmp_path}/raw")
    assert found["metrics"].state == "ok"
    assert look(resources, metrics_file=tmp_path / "aurum.txt")["metrics"].state == "unsure"


# --- S3 ------------------------------------------------------------------------------------------


def test_a_bucket_is_put_to_read_from_listed_and_left_as_it_was(
    resources: Resources, bucket: str
) -> None:
    found = look(resources, archive=ArchiveSettings("s3://raw/desk", bucket))
    assert found["archive"].state == "ok", found["archive"]
    assert found["archive"].milliseconds is not None
    assert "put" in found["archive"].result
    assert "delete" in found["archive"].result
    assert found["clock"].state == "ok"
    assert "Contents" not in boto3.client("s3", endpoint_url=bucket).list_objects_v2(Bucket="raw")


def test_a_bucket_that_is_not_there_is_broken(resources: Resources, bucket: str) -> None:
    found = look(resources, archive=ArchiveSettings("s3://absent", bucket))["archive"]
    assert (found.state, found.result) == ("broken", "s3://absent: there is no bucket 'absent'")
    assert "make it, or set AURUM_ARCHIVE" in found.remedy


def test_an_unknown_profile_is_broken(resources: Resources, bucket: str) -> None:
    place = ArchiveSettings("s3://raw", bucket, profile="nobody")
    found = look(resources, archive=place)["archive"]
    assert found.state == "broken"
    assert re.fullmatch(r"s3://raw: S3 refuses to put \S+ \(ProfileNotFound\)", found.result)
    assert "correct AWS_PROFILE" in found.remedy


# --- catalog, redis, kafka, postgres, webhook ----------------------------------------------------


def test_a_configured_catalog_is_asked_and_its_warehouse_written(
    resources: Resources, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse"
    warehouse.mkdir()
    catalog = {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path}/catalog.sqlite",
        "warehouse": f"file://{warehouse}",
    }
    found = look(resources, catalog=catalog)["catalog"]
    assert (found.state, found.result) == ("ok", f"0 tables; warehouse {warehouse}")
    assert list(warehouse.iterdir()) == []
    catalog["warehouse"] = f"file://{tmp_path}/catalog.sqlite/below"
    assert "cannot be opened or written" in look(resources, catalog=catalog)["catalog"].result


def test_a_rest_catalog_is_asked_for_the_tables_that_a_run_asks_for(
    resources: Resources, tmp_path: Path
) -> None:
    with rest_catalog(tmp_path) as rest:
        catalog = {"type": "rest", "uri": rest.url}
        Lake(catalog).table(DATASETS[0].table)
        found = look(resources, catalog=catalog)["catalog"]
    assert (found.state, found.result) == ("ok", "1 tables; warehouse its own")


def test_a_redis_is_written_to_and_its_memory_policy_read(
    resources: Resources, tmp_path: Path
) -> None:
    with redis_process(tmp_path, password=CANARY) as process:
        url, port = process.url, process.port
        found = look(resources, redis_url=SecretStr(url))
        assert found["redis"].state == "ok", found["redis"]
        assert (found["redis"].where, found["clock"].state) == (f"127.0.0.1:{port}/0", "ok")
        with process.client() as client:
            assert client.keys("aurum:doctor:*") == []
            client.config_set("maxmemory-policy", "allkeys-lru")
        found = look(resources, redis_url=SecretStr(url))
        assert (found["redis"].state, found["redis"].result) == (
            "unsure",
            "evicts keys (allkeys-lru)",
        )
        wrong = f"redis://:{CANARY}-not@127.0.0.1:{port}/0"
        found = look(resources, redis_url=SecretStr(wrong))
        assert (found["redis"].state, found["redis"].result) == (
            "broken",
            "does not let us in (check user name and password in AURUM_REDIS_URL)",
        )


def test_brokers_are_asked_for_our_topics(resources: Resources) -> None:
    broker = Producer({"bootstrap.servers": "ignored:1", "test.mock.num.brokers": 1})
    servers = ",".join(f"{b.host}:{b.port}" for b in broker.list_topics().brokers.values())
    found = look(resources, brokers=Brokers(servers))["kafka"]
    assert found.state == "unsure"
    assert found.result == f"1 brokers, 0 of our topics, {len(DATASETS)} missing"
    for config in resources.configuration.datasets.values():
        broker.produce(config.topic, b"")
    broker.flush()
    assert look(resources, brokers=Brokers(servers))["kafka"].state == "ok"


def test_what_nobody_answers_is_broken_and_says_what_to_do(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 1.0)
    dead = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("AURUM_DAGSTER_POSTGRES_URL", f"postgresql://user:{CANARY}@{dead}/db")
    found = look(resources, **everything_at(dead))
    for part in ("archive", "catalog", "redis", "kafka", "dagster", "webhook"):
        assert found[part].state == "broken", found[part]
        assert "could not be checked" not in found[part].result, found[part]
        assert found[part].remedy


def test_what_never_answers_is_given_up_in_time(
    resources: Resources, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 1.0)
    monkeypatch.setattr(doctor, "DEADLINE", 2.0)
    place = f"127.0.0.1:{silent}"
    monkeypatch.setenv("AURUM_DAGSTER_POSTGRES_URL", f"postgresql://user:{CANARY}@{place}/db")
    urls = dict.fromkeys(("isone", "miso", "pjm"), f"http://{place}")
    found = look(remade(resources, base_urls=urls), **everything_at(place))
    for part in ("archive", "catalog", "redis", "kafka", "dagster", "isone", "miso"):
        assert found[part].state == "broken", found[part]


def everything_at(place: str) -> dict[str, Any]:
    return {
        "archive": ArchiveSettings("s3://raw", f"http://{place}", "us-east-1"),
        "catalog": {"type": "sql", "uri": f"postgresql+psycopg2://user:{CANARY}@{place}/db"},
        "redis_url": SecretStr(f"redis://:{CANARY}@{place}/0"),
        "brokers": Brokers(place, "user", CANARY, "SASL_PLAINTEXT"),
        "webhook_url": SecretStr(f"http://{place}/services/{CANARY}"),
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"redis_url": SecretStr(f"nonsense://{CANARY}")},
        {"redis_url": SecretStr(f"redis://:{CANARY}@127.0.0.1:port/0")},
        {"catalog": {"type": "sql", "uri": f"nonsense {CANARY}"}},
        {"catalog": {"type": CANARY, "uri": f"http://u:{CANARY}@h"}},
        {"webhook_url": SecretStr(f"https://127.0.0.1:port/{CANARY}")},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_broken_and_not_repeated(
    resources: Resources, settings: dict[str, Any]
) -> None:
    assert "broken" in {f.state for f in look(resources, **settings).values()}


# --- operators -----------------------------------------------------------------------------------


def test_an_operator_without_credentials_is_off_and_says_what_to_set(resources: Resources) -> None:
    found = look(remade(resources, credentials={}))["isone"]
    assert found.state == "off"
    assert "ISONE_USERNAME and ISONE_PASSWORD" in found.remedy


def test_credentials_that_are_not_accepted_are_broken(resources: Resources) -> None:
    found = look(remade(resources, credentials={"isone": Credentials.of(ISONE, "u", CANARY)}))
    assert found["isone"].state == "broken"
    assert "did not accept who is asking (401)" in found["isone"].result


def test_the_command_is_exit_code_1_where_something_configured_does_not_work(aurum: Aurum) -> None:
    result = aurum("doctor", "--json", ISONE_PASSWORD=CANARY)
    assert result.exit_code == 1
    assert printed(result)["broken"] == ["isone"]
    assert CANARY not in result.output
    text = aurum("doctor", ISONE_PASSWORD=CANARY)
    assert text.exit_code == 1
    assert "set ISONE_USERNAME and ISONE_PASSWORD" in text.stdout
