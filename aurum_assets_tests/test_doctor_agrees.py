"""Doctor and a run fail alike: each part is broken, and both report the same cause.

The run collects and normalizes a day, sends what waits for Kafka, and sends an alert.
"""

import asyncio
import errno
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_httpserver import HTTPServer

from aurum_assets import ingest
from aurum_assets.ingest import doctor
from aurum_assets.ingest.days import collect_days
from aurum_assets.model.errors import AurumError, SourceUnavailable
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD as LOAD
from aurum_assets.resources import events, lake, objects, redis
from aurum_assets.resources.alerts import Incident
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.settings import open_resources
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import log_lines
from aurum_assets_tests.servers.kafka import KafkaCluster
from aurum_assets_tests.servers.postgres import Postgres
from aurum_assets_tests.servers.redis import RedisProcess, free_port

if TYPE_CHECKING:
    from aurum_assets_tests.servers.s3 import S3Server

DAY = LOAD.day("2026-07-21")
HOST = "nosuchhost.invalid"
INCIDENT = Incident("drift", LOAD.key, "schema_drift", "field Mw is new", "WARN", DAY.key)


@dataclass
class World:
    """The environment, and the servers that it may name."""

    folder: Path
    market: Running
    variables: dict[str, str]
    patch: pytest.MonkeyPatch
    request: pytest.FixtureRequest

    def server(self, name: str) -> Any:  # noqa: ANN401  a fixture
        """The server of that fixture, which is started now."""
        return self.request.getfixturevalue(name)

    def set(self, **variables: str) -> None:
        """More of the environment."""
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def open(self) -> Resources:
        """The resources of another process: nothing that was learnt of servers is known."""
        redis.redis_at.cache_clear()
        objects.quiet_until.clear()
        return open_resources(DATASETS)

    def file(self) -> Path:
        """A file, below which no folder can be made."""
        path = self.folder / "file"
        path.touch()
        return path


@pytest.fixture
def world(
    tmp_path: Path,
    market: Running,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    monkeypatch.setattr(lake, "_SHORTER_PATIENCE", 1.0)
    monkeypatch.setattr(lake, "_NAME_PATIENCE", 0.5)
    for name, seconds in {"PATIENCE": 20.0, "DEADLINE": 60.0}.items():  # of a busy machine
        monkeypatch.setattr(doctor, name, seconds)
    for name in ("CONNECT_SECONDS", "READ_SECONDS", "SLOWEST_SECONDS"):
        monkeypatch.setattr(redis, name, 10.0)
    monkeypatch.setattr(objects, "TRIES", 1)
    monkeypatch.setattr(events, "DOWN", 0.5)
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    for path in (tmp_path / "config").glob("*_ingest_datasets.json"):
        text = path.read_text().replace('"operator": {', '"operator": {"attempts": 1, ', 1)
        path.write_text(text)
    found = World(tmp_path, market, environment, monkeypatch, request)
    found.set(**environment, AURUM_CONFIG=str(tmp_path / "config"))
    Path(environment["AURUM_HOME"]).mkdir()
    (Path(environment["AURUM_HOME"]) / "archive").mkdir()
    yield found
    redis.redis_at.cache_clear()
    objects.quiet_until.clear()


def run(resources: Resources) -> str:
    """What a run reports: its error, what is degraded, and what it logs."""
    found = []
    with log_lines() as lines:
        try:
            asyncio.run(collect_days(resources, LOAD, [DAY]))
        except AurumError as error:
            found.append(str(error))
        resources.alerts.raise_(INCIDENT)
        resources.alerts.send()
        ingest.drain(resources)
        found += [resources.degraded, resources.events.degraded]
        found += [str(line.get("reason", "")) for line in lines if line["level"] != "debug"]
    return "\n".join(found)


# --- what can be broken --------------------------------------------------------------------------


def s3_away(world: World) -> None:
    s3_on(world, AURUM_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")


def s3_refuses(world: World) -> None:
    s3_on(world)
    world.server("s3").fail("403", 1_000_000)


def s3_has_no_bucket(world: World) -> None:
    s3_on(world, AURUM_ARCHIVE="s3://absent/agrees")


def s3_has_no_credentials(world: World) -> None:
    s3_on(world, AWS_EC2_METADATA_DISABLED="true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        world.patch.delenv(name)
    world.set(**{f"AWS_{n}_FILE": f"{world.folder}/none" for n in ("SHARED_CREDENTIALS", "CONFIG")})


def s3_at_an_unknown_name(world: World) -> None:
    forget(world)
    s3_on(world, AURUM_S3_ENDPOINT=f"http://{HOST}:9000")


def s3_on(world: World, **more: str) -> None:
    """An archive on S3, of a region for which no client was made: clients are kept by place."""
    server: S3Server = world.server("s3")
    region = f"agrees-{world.folder.name[-12:].lower().replace('_', '-')}"
    at = {"AURUM_ARCHIVE": "s3://raw/agrees", "AURUM_S3_ENDPOINT": server.url}
    world.set(**at | {"AURUM_S3_REGION": region} | more)


def archive_below_a_file(world: World) -> None:
    world.set(AURUM_ARCHIVE=f"file:{world.file()}/archive")


def catalog_away(world: World) -> None:
    url = f"postgresql://aurum:secret-of-a-test@127.0.0.1:{free_port()}/lake"
    world.set(AURUM_CATALOG_URI=url)


def catalog_refuses_the_password(world: World) -> None:
    postgres: Postgres = world.server("postgres")
    url = f"postgresql://aurum:secret-of-a-test@127.0.0.1:{postgres.port}/postgres"
    world.set(AURUM_CATALOG_URI=url)


def catalog_has_no_database(world: World) -> None:
    world.set(AURUM_CATALOG_URI=world.server("postgres").url("absent"))


def catalog_without_tables(world: World) -> None:
    world.set(
        AURUM_CATALOG_URI=world.server("postgres_url"),
        AURUM_CATALOG_PROPERTIES='{"init_catalog_tables": "false"}',
    )


def catalog_at_an_unknown_name(world: World) -> None:
    forget(world)
    world.set(AURUM_CATALOG_URI=f"http://{HOST}/api")


def catalog_damaged(world: World) -> None:
    home = Path(world.variables["AURUM_HOME"])
    (home / "lake").mkdir()
    (home / "lake" / "catalog.sqlite").write_bytes(b"no database" * 1000)


def warehouse_below_a_file(world: World) -> None:
    warehouse = f"file://{world.file()}/warehouse"
    world.set(AURUM_CATALOG_URI=world.server("postgres_url"), AURUM_CATALOG_WAREHOUSE=warehouse)


def warehouse_has_no_bucket(world: World) -> None:
    server: S3Server = world.server("s3")
    world.set(
        AURUM_CATALOG_URI=world.server("postgres_url"),
        AURUM_CATALOG_WAREHOUSE="s3://absent/warehouse",
        AURUM_S3_ENDPOINT=server.url,
    )


def redis_away(world: World) -> None:
    world.set(AURUM_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")


def redis_at_an_unknown_name(world: World) -> None:
    forget(world)
    world.set(AURUM_REDIS_URL=f"redis://{HOST}:6379/0")


def redis_locked(world: World) -> None:
    process: RedisProcess = world.server("redis")
    world.set(AURUM_REDIS_URL=process.url)
    process.lock()


def redis_full(world: World) -> None:
    process: RedisProcess = world.server("redis")
    world.set(AURUM_REDIS_URL=process.url)
    process.fill()


def state_damaged(world: World) -> None:
    Path(world.variables["AURUM_HOME"], "state.sqlite").write_bytes(b"no database" * 1000)


def kafka_down(world: World) -> None:
    cluster: KafkaCluster = world.server("kafka")
    world.set(AURUM_KAFKA_BROKERS=cluster.bootstrap)
    cluster.down(*cluster.brokers)


def kafka_with_a_wrong_protocol(world: World) -> None:
    cluster: KafkaCluster = world.server("kafka")
    world.set(
        AURUM_KAFKA_BROKERS=cluster.bootstrap,
        AURUM_KAFKA_USERNAME="user",
        AURUM_KAFKA_PASSWORD="secret-of-a-test",  # noqa: S106  of a test
        AURUM_KAFKA_PROTOCOL="SASL_PLAINTEXT",
    )


def operator_away(world: World) -> None:
    world.set(ISONE_BASE_URL=f"http://127.0.0.1:{free_port()}/api")


def operator_at_an_unknown_name(world: World) -> None:
    forget(world)
    world.set(ISONE_BASE_URL=f"http://{HOST}/api")


def operator_refuses_the_password(world: World) -> None:
    world.set(ISONE_PASSWORD="secret-of-a-test")  # noqa: S106  of a test


def operator_unavailable(world: World) -> None:
    world.market.simulator.fail("503", times=1_000)


def operator_left_alone(world: World) -> None:
    world.market.simulator.fail("503", times=1_000)
    while True:
        with world.open().api(LOAD.operator) as api:
            feed = world.open().config(LOAD).feeds[0]
            with pytest.raises(SourceUnavailable) as caught:
                api.fetch(LOAD.key, feed, DAY)
        if "nothing is asked until" in str(caught.value):
            break
    world.market.simulator.faults = type(world.market.simulator.faults)()


def webhook_away(world: World) -> None:
    world.set(AURUM_WEBHOOK_URL=f"http://127.0.0.1:{free_port()}/services/secret-of-a-test")


def webhook_at_an_unknown_name(world: World) -> None:
    forget(world)
    world.set(AURUM_WEBHOOK_URL=f"https://{HOST}/services/secret-of-a-test")


def webhook_without_tls(world: World) -> None:
    port = world.server("httpserver").port
    world.set(AURUM_WEBHOOK_URL=f"https://127.0.0.1:{port}/services/secret-of-a-test")


def metrics_below_a_file(world: World) -> None:
    world.set(AURUM_METRICS_FILE=f"{world.file()}/aurum.prom")


def forget(world: World) -> None:
    """No DNS server knows ``HOST``."""
    ask = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401  as socket has it
        if host in (HOST, HOST.encode()):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ask(host, *more, **named)

    world.patch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def kafka() -> Iterator[KafkaCluster]:
    with KafkaCluster(brokers=2) as cluster:
        yield cluster


UNKNOWN = rf"the name {HOST} is not known here"
NO_FOLDER = os.strerror(errno.ENOTDIR)
# Part, what breaks it, and the cause that both report, as a pattern that fits each text once.
BROKEN = [
    ("archive", s3_away, r"s3://raw/agrees is out of reach \([^)]*EndpointConnectionError\)"),
    ("archive", s3_at_an_unknown_name, UNKNOWN),
    ("archive", s3_refuses, r"s3://raw/agrees: S3 refuses to \S+ \S+ \(403 AccessDenied\)"),
    ("archive", s3_has_no_bucket, r"s3://absent/agrees: there is no bucket 'absent'"),
    (
        "archive",
        s3_has_no_credentials,
        r"s3://raw/agrees: S3 refuses to \S+ \S+ \(NoCredentialsError\)",
    ),
    ("archive", archive_below_a_file, rf"/file/archive is out of reach \([^)]*: {NO_FOLDER}\)"),
    ("catalog", catalog_away, r"\(Postgres at 127\.0\.0\.1:\d+/lake\) was out of reach"),
    ("catalog", catalog_refuses_the_password, r"refuses us: .* authentication failed"),
    ("catalog", catalog_has_no_database, r"refuses us: .*\"absent\" does not exist"),
    ("catalog", catalog_without_tables, r"refuses us: relation \"iceberg_tables\" does not exist"),
    ("catalog", catalog_at_an_unknown_name, rf"the host of .*{HOST}\) is not known here"),
    ("catalog", catalog_damaged, r"SQLite, .*/catalog\.sqlite\) is damaged"),
    ("catalog", warehouse_below_a_file, r"/file/warehouse\) cannot be opened or written"),
    ("catalog", warehouse_has_no_bucket, r"warehouse \(s3://absent/warehouse\) refuses us"),
    ("redis", redis_away, r"cannot be reached"),
    ("redis", redis_at_an_unknown_name, UNKNOWN),
    ("redis", redis_locked, r"does not let us in"),
    ("redis", redis_full, r"is full"),
    ("redis", state_damaged, r"state\.sqlite: this shared SQLite file cannot be used \([^)]*\)"),
    ("kafka", kafka_down, r"brokers are down"),
    ("kafka", kafka_with_a_wrong_protocol, r"SASL[^)]*"),
    ("isone", operator_away, r"in 1 attempt: no connection[^;]*"),
    ("isone", operator_at_an_unknown_name, UNKNOWN),
    ("isone", operator_refuses_the_password, r"did not accept who is asking \(401\)"),
    ("isone", operator_unavailable, r"in 1 attempt: it answered 503"),
    ("isone", operator_left_alone, r"nothing is asked until \S+ \S+ UTC"),
    ("webhook", webhook_away, r"no answer \(ConnectError\)"),
    ("webhook", webhook_at_an_unknown_name, r"its host's name is not known"),
    ("webhook", webhook_without_tls, r"no answer \(ConnectError\)"),
    ("metrics", metrics_below_a_file, r"\[Errno \d+\] [^:]+"),
]


@pytest.mark.parametrize(
    ("part", "breaks", "cause"), BROKEN, ids=[breaks.__name__ for _, breaks, _ in BROKEN]
)
@pytest.mark.slow
def test_what_a_run_fails_with_is_what_doctor_reports(
    world: World,
    part: str,
    breaks: Callable[[World], None],
    cause: str,
) -> None:
    breaks(world)
    found = {f.part: f for f in ingest.examine(world.open())}
    assert found[part].state == "broken", found[part]
    assert found[part].remedy or part == "isone", found[part]
    reported = run(world.open())
    ours, theirs = (re.search(cause, text) for text in (found[part].result, reported))
    assert ours, found[part]
    assert theirs, reported
    assert settled(ours[0]) == settled(theirs[0])
    assert "secret-of-a-test" not in str([f.as_dict() for f in found.values()])


@pytest.mark.parametrize("a_run_makes_them", ["false", "true"])
def test_doctor_makes_the_tables_of_a_catalog_only_where_a_run_would(
    world: World, postgres: Postgres, postgres_url: str, a_run_makes_them: str
) -> None:
    catalog_without_tables(world)
    world.set(AURUM_CATALOG_PROPERTIES=f'{{"init_catalog_tables": "{a_run_makes_them}"}}')
    ingest.examine(world.open())
    made = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    tables = postgres.execute(made, postgres_url.rpartition("/")[2])
    assert bool(tables) == (a_run_makes_them == "true")


def settled(text: str) -> str:
    """``text`` without the object that S3 was asked for first."""
    return re.sub(r"\b(put|list) \S+", "put …", text)


def test_where_all_servers_work_neither_has_anything_to_report(
    world: World, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/hook").respond_with_data("ok")
    s3_on(world)
    cluster: KafkaCluster = world.server("kafka")
    world.set(
        AURUM_CATALOG_URI=world.server("postgres_url"),
        AURUM_CATALOG_WAREHOUSE="s3://raw/agrees-warehouse",
        AURUM_REDIS_URL=world.server("redis").url,
        AURUM_KAFKA_BROKERS=cluster.bootstrap,
        AURUM_WEBHOOK_URL=httpserver.url_for("/hook"),
        AURUM_METRICS_FILE=f"{world.folder}/aurum.prom",
    )
    found = {f.part: f for f in ingest.examine(world.open())}
    states = {part: f.state for part, f in found.items()}
    of_topics = {"kafka": "unsure"}  # none is made yet
    parts = ("archive", "catalog", "redis", "isone", "miso", "webhook", "metrics")
    assert states | of_topics | dict.fromkeys(parts, "ok") == states, found
    assert httpserver.log == [], "nothing is sent by looking"
    reported = [line for line in run(world.open()).splitlines() if line]
    assert reported == []
    assert len(httpserver.log) == 1
