"""Which catalog the environment names, what it must not name; the lake in Glue and over REST."""

import contextlib
import json
import socket
import sqlite3
import time
import traceback
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aurum_assets.model.errors import ConfigError, LakeUnreachable
from aurum_assets.operators import DATASETS
from aurum_assets.resources import catalog as catalogs
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.settings import open_resources
from aurum_assets_tests.servers.aws import CREDENTIALS, aws_server
from aurum_assets_tests.servers.rest import rest_catalog
from aurum_assets_tests.servers.s3 import S3Server
from aurum_assets_tests.test_lake import DAY, TABLE, frame, loads

SECRET = "hush-hush"  # noqa: S105  no secret
GIVEN = ("TYPE", "URI", "WAREHOUSE", "PROPERTIES")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No catalog named, and a home of one's own."""
    others = ("AURUM_S3_ENDPOINT", "AURUM_S3_REGION", "AWS_PROFILE", "AWS_REGION")
    for name in (*(f"AURUM_CATALOG_{n}" for n in GIVEN), *others):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AURUM_HOME", str(tmp_path))
    return monkeypatch


def opened(environment: pytest.MonkeyPatch, **given: str) -> Resources:
    for name, value in given.items():
        environment.setenv(name if "_" in name else f"AURUM_CATALOG_{name}", value)
    return open_resources(DATASETS)


# --- what the environment says -------------------------------------------------------------------


def test_without_a_variable_the_catalog_is_a_file_of_the_home(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = opened(environment)
    assert home.lake.configured == {}
    home.lake.merge(TABLE, frame({1: 10}))
    assert (tmp_path / "lake" / "catalog.sqlite").exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgres_is_spoken_to_by_psycopg2_with_bounded_waits(
    environment: pytest.MonkeyPatch, tmp_path: Path, scheme: str
) -> None:
    uri = f"{scheme}://me:a%40b@db.example:6432/lake?connect_timeout=2&sslmode=require"
    found = opened(environment, URI=uri).lake.configured
    assert found["type"] == "sql"
    assert found["warehouse"] == f"file://{tmp_path}/lake/warehouse"
    address, _, query = found["uri"].partition("?")
    assert address == "postgresql+psycopg2://me:a%40b@db.example:6432/lake"
    assert query.startswith("connect_timeout=2&")
    for part in ("sslmode=require", "statement_timeout%3D15000", "tcp_user_timeout=20000"):
        assert part in query


@pytest.mark.parametrize(
    ("warehouse", "found"),
    [
        ("s3://lake/tables/", "s3://lake/tables"),
        ("file:///data/lake", "file:///data/lake"),
        ("/data/lake", "file:///data/lake"),
    ],
)
def test_the_warehouse_may_lie_elsewhere(
    environment: pytest.MonkeyPatch, warehouse: str, found: str
) -> None:
    uri = "postgresql://me@db/lake"
    given = {"URI": uri, "WAREHOUSE": warehouse, "AURUM_S3_REGION": "us-east-2"}
    properties = opened(environment, **given).lake.configured
    assert properties["warehouse"] == found
    assert properties.get("s3.region") == ("us-east-2" if "s3:" in warehouse else None)


def test_an_address_of_http_is_a_rest_catalog_and_its_credentials_are_properties(
    environment: pytest.MonkeyPatch,
) -> None:
    more = json.dumps(
        {"credential": f"me:{SECRET}", "depth": 3, "ssl": {"cabundle": "/ca"}, "s3.anonymous": True}
    )
    home = opened(environment, URI="https://rest.example/api", PROPERTIES=more, WAREHOUSE="prod")
    found = home.lake.configured
    assert (found["type"], found["uri"]) == ("rest", "https://rest.example/api")
    assert (found["warehouse"], found["credential"]) == ("prod", f"me:{SECRET}")
    assert (found["depth"], found["s3.anonymous"]) == ("3", "true")
    assert str(found["ssl"]) == "{'cabundle': '/ca'}"
    assert SECRET not in repr(home)


def test_glue_takes_region_and_profile_of_aws(environment: pytest.MonkeyPatch) -> None:
    given = {"AURUM_S3_REGION": "us-east-2", "AWS_PROFILE": "desk"}
    found = opened(environment, TYPE="glue", WAREHOUSE="s3://lake", **given).lake.configured
    assert found["type"] == "glue"
    assert (found["client.region"], found["client.profile-name"]) == ("us-east-2", "desk")
    assert "uri" not in found


@pytest.mark.parametrize(
    ("given", "named", "expected"),
    [
        ({"WAREHOUSE": "s3://x"}, "WAREHOUSE", "is set, but no catalog"),
        ({"PROPERTIES": "{}"}, "PROPERTIES", "is set, but no catalog"),
        ({"TYPE": "sql"}, "URI", "postgresql"),
        ({"TYPE": "rest"}, "URI", "https://"),
        ({"TYPE": "glue"}, "WAREHOUSE", "s3://"),
        ({"TYPE": "hive"}, "TYPE", "'sql', 'rest' or 'glue'"),
        ({"URI": f"mysql://me:{SECRET}@db/lake"}, "URI", "postgresql"),
        ({"URI": f"postgresql://me:{SECRET}@db"}, "URI", "/database"),
        ({"URI": f"postgresql://me:{SECRET}/x@db/lake"}, "URI", "percent-encoded"),
        ({"URI": f"https://me:{SECRET}@rest.example/"}, "URI", "AURUM_CATALOG_PROPERTIES"),
        ({"URI": "postgresql://db/x", "WAREHOUSE": "gs://x"}, "WAREHOUSE", "s3://"),
        ({"URI": "postgresql://db/x", "PROPERTIES": f"{{{SECRET}"}, "PROPERTIES", "JSON object"),
        ({"URI": "postgresql://db/x", "PROPERTIES": f'["{SECRET}"]'}, "PROPERTIES", "JSON object"),
    ],
)
def test_a_wrong_or_half_catalog_is_one_sentence_that_names_the_variable_and_no_secret(
    environment: pytest.MonkeyPatch, given: dict[str, str], named: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(environment, **given)
    text = str(caught.value)
    assert f"AURUM_CATALOG_{named}" in text
    assert expected in text
    assert SECRET not in "".join(traceback.format_exception(caught.value))


# --- Glue ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with aws_server() as url:
        yield url


def test_the_lake_is_in_glue_and_its_files_on_s3_by_environment_alone(
    aws: str, environment: pytest.MonkeyPatch
) -> None:
    import boto3

    for name, value in CREDENTIALS.items():
        environment.setenv(name, value)
    boto3.client("s3", endpoint_url=aws).create_bucket(Bucket="lake")
    given = {"AURUM_S3_ENDPOINT": aws, "AURUM_S3_REGION": "us-east-1"}
    home = opened(environment, TYPE="glue", URI=aws, WAREHOUSE="s3://lake/tables", **given)
    lake = home.lake
    assert lake.merge(TABLE, frame({1: 10, 2: 20})).new == 2
    assert lake.merge(TABLE, frame({1: 10, 2: 20})).snapshot_id is None
    merged = lake.merge(TABLE, frame({2: 21, 3: 30}, fetch=5))
    assert (merged.new, merged.changed, merged.unchanged) == (1, 1, 0)
    assert loads(Lake(home.lake.configured)) == [10, 21, 30]
    assert lake.read(TABLE.history)["load"].to_list() == [20]
    assert lake.uri(TABLE).startswith("s3://lake/tables/")
    glue = boto3.client("glue", endpoint_url=aws)
    names = [t["Name"] for t in glue.get_tables(DatabaseName="market")["TableList"]]
    assert sorted(names) == [TABLE.name, TABLE.history.name]


def test_a_glue_that_is_silent_holds_nobody_for_ever(environment: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        environment.setenv(name, value)
    environment.setattr(catalogs, "_ANSWERED_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        home = opened(environment, TYPE="glue", URI=uri, WAREHOUSE="s3://lake")
        lake = Lake(home.lake.configured, patience=0.3)
        with pytest.raises(LakeUnreachable, match=r"\(Glue at 127\.0\.0\.1:\d+\) was out of reach"):
            lake.find(TABLE)
        assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in repr(home)


# --- files on S3 ---------------------------------------------------------------------------------

QUICK = json.dumps({"s3.connect-timeout": "0.5", "s3.request-timeout": "1"})
LOOKS = {
    "read": lambda lake: lake.read(TABLE),
    "counts": lambda lake: lake.counts(TABLE, {"operating_day": DAY.date}),
    "days": lambda lake: lake.days(TABLE),
    "volumes": lambda lake: lake.volumes(TABLE, DAY.date, DAY.date),
    "summary": lambda lake: lake.summary(TABLE),
    "merge": lambda lake: lake.merge(TABLE, frame({1: 11, 3: 30}, fetch=5)),
    "replace": lambda lake: lake.replace(TABLE, frame({3: 30}), {"operating_day": DAY.date}),
}


@pytest.fixture
def on_s3(s3: S3Server, tmp_path: Path) -> Iterator[Lake]:
    """A lake of two rows whose catalog is at hand, and whose files are on S3."""
    bucket = uuid.uuid4().hex
    s3.make_bucket(bucket)
    found = catalogs.catalog_properties(
        "sql",
        "postgresql://nobody@127.0.0.1/none",
        f"s3://{bucket}/tables",
        QUICK,
        home=tmp_path,
        s3={"s3.endpoint": s3.url, "s3.region": "us-east-1"},
    )
    lake = Lake(found | {"uri": f"sqlite:///{tmp_path}/catalog.sqlite"}, patience=0.3)
    lake.merge(TABLE, frame({1: 10, 2: 20}))
    yield lake
    lake.catalog.close()


@pytest.mark.parametrize("look", LOOKS)
def test_a_warehouse_out_of_reach_is_waited_for_and_then_one_sentence(
    on_s3: Lake, s3: S3Server, look: str
) -> None:
    sentence = (
        r"^market\.isone_system_load\w*: the lake's warehouse \(s3://\w+/tables\) was out of reach"
    )
    with s3.out_of_reach(), pytest.raises(LakeUnreachable, match=sentence) as lost:
        LOOKS[look](on_s3)
    assert "\n" not in str(lost.value)
    assert loads(on_s3) == [10, 20]


def test_a_merge_goes_on_once_the_warehouse_is_back(on_s3: Lake, s3: S3Server) -> None:
    patient = Lake(on_s3.catalog.properties, catalog=on_s3.catalog, patience=20)
    s3.fail("reset", times=5, match="/tables/")
    merged = patient.merge(TABLE, frame({2: 21, 3: 30}, fetch=5))
    assert (merged.new, merged.changed) == (1, 1)
    assert merged.attempts > 1
    assert loads(on_s3) == [10, 21, 30]


def test_a_silent_warehouse_holds_nobody_for_long(on_s3: Lake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        lake = Lake({**on_s3.catalog.properties, "s3.endpoint": address}, patience=0.3)
        began = time.monotonic()
        with pytest.raises(LakeUnreachable, match="warehouse"):
            lake.read(TABLE)
        assert time.monotonic() - began < 10, "two requests of a second each; by default a minute"
        lake.catalog.close()


def test_a_warehouse_that_refuses_is_not_asked_again(on_s3: Lake, s3: S3Server) -> None:
    patient = Lake(on_s3.catalog.properties, catalog=on_s3.catalog, patience=20)
    s3.fail("403", times=1, match="/tables/")
    with pytest.raises(ConfigError, match=r"warehouse .* refuses us: .*ACCESS_DENIED"):
        patient.read(TABLE)


def test_a_file_that_is_gone_is_not_waited_for(on_s3: Lake, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as db, db:
        db.execute("update iceberg_tables set metadata_location = 's3://lake/gone.json'")
    patient = Lake(on_s3.catalog.properties, catalog=on_s3.catalog, patience=20)
    with pytest.raises(ConfigError, match=r"a file is gone from the lake's warehouse .*gone\.json"):
        patient.read(TABLE)


# --- REST ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [500, 502, 503, 504, 409, 0], ids=lambda n: f"answered {n}")
def test_a_commit_that_rest_lost_the_answer_of_counts_once(
    environment: pytest.MonkeyPatch, tmp_path: Path, answer: int
) -> None:
    with rest_catalog(tmp_path) as rest:
        home = opened(environment, URI=rest.url, PROPERTIES=json.dumps({"token": SECRET}))
        home.lake.merge(TABLE, frame({1: 10}))
        rest.lies = [answer]
        merged = home.lake.merge(TABLE, frame({2: 20}))
        assert rest.lies == []
        assert (merged.new, merged.attempts) == (1, 1)
        assert loads(Lake(home.lake.configured)) == [10, 20]
        changed = home.lake.merge(TABLE, frame({1: 11}, fetch=5))
        assert changed.changed == 1
        assert loads(Lake(home.lake.configured)) == [11, 20]
        assert rest.authorizations == {f"Bearer {SECRET}"}


def test_two_writers_over_rest_lose_nothing(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with rest_catalog(tmp_path) as rest:
        properties = opened(environment, URI=rest.url).lake.configured
        Lake(properties).table(TABLE)

        def write(who: int) -> int:
            lake = Lake(properties)
            merges = [lake.merge(TABLE, frame({10 * who + n: float(n)})) for n in range(5)]
            return sum(merged.new for merged in merges)

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(write, range(2))) == [5, 5]
        assert loads(Lake(properties)) == [0, 1, 2, 3, 4] * 2


def test_a_rest_catalog_that_is_silent_holds_nobody_for_ever(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setattr(catalogs, "_ANSWERED_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        lake = Lake(opened(environment, URI=uri).lake.configured, patience=0.3)
        with pytest.raises(LakeUnreachable, match=r"\(REST at 127\.0\.0\.1:\d+\) was out of reach"):
            lake.find(TABLE)
