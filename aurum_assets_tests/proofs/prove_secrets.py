"""Secrets: everything is run with canaries for credentials, and all that was written is searched.

Commands that succeed and commands that fail (wrong passwords, addresses with a password in them,
servers that are away), as a person runs them and as Dagster does, with all that the log can say.
Then output, logs, Dagster's storage, archive, tables and process titles are looked through. Secrets
that were put there on purpose must be found, or the search would prove nothing.
"""

import contextlib
import datetime as dt
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from pydantic import SecretStr

from aurum_assets.model.message import ALERTS_TOPIC, SNAPSHOTS_TOPIC
from aurum_assets.operators import DATASETS
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.settings import Settings
from aurum_assets.resources.workers import write_dagster_yaml
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.proofs.proof import Proof
from aurum_assets_tests.proofs.searching import Canary, Search, Titles, canary
from aurum_assets_tests.servers.kafka import KafkaCluster
from aurum_assets_tests.servers.postgres import Postgres
from aurum_assets_tests.servers.redis import RedisProcess, redis_process
from aurum_assets_tests.servers.s3 import S3Server

_NOON = dt.datetime(2026, 7, 21, 16, 1, tzinfo=dt.UTC)
_DAY = "2026-07-21"
_AWKWARD = 'p%/@: "{}'  # as passwords are; none of it hides the core
_LONGEST = 120.0
_CLI = ("-c", "from aurum_assets.cli import main; main(prog_name='aurum')")
_DAGSTER = ("-m", "dagster")
_REFUSED = "did not accept who is asking"

USERNAME = canary("ISONE_USERNAME")
PASSWORD = canary("ISONE_PASSWORD", _AWKWARD)
API_KEY = canary("ISONE_API_KEY", "k/+{}==")
PJM_KEY = canary("PJM_API_KEY", "p/+{}==")
WRONG = canary("a wrong password", _AWKWARD)
WEBHOOK = canary("AURUM_WEBHOOK_URL", "http://127.0.0.1:1/services/{}")
KAFKA_USER = canary("AURUM_KAFKA_USERNAME")
KAFKA = canary("AURUM_KAFKA_PASSWORD", _AWKWARD)
REDIS = canary("the password of Redis")
DAGSTER = canary("the password of Dagster's Postgres")
IN_URL = canary("a password in an address", "http://me:{}@127.0.0.1:1/api")
ELSEWHERE: Mapping[str, Canary] = {
    "AWS_ACCESS_KEY_ID": canary("AWS_ACCESS_KEY_ID", "AKIA{}"),
    "AWS_SECRET_ACCESS_KEY": canary("AWS_SECRET_ACCESS_KEY", "s/+{}"),
    "AWS_SESSION_TOKEN": canary("AWS_SESSION_TOKEN", "t/+{}=="),
}


@dataclass(frozen=True)
class Scene:
    """A process to be run, what it must end with, and what it must say (or the scene is void)."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[int, ...] = (0,)
    says: str = ""


def _aurum(
    name: str, *arguments: str, codes: tuple[int, ...] = (0, 3), says: str = "", **more: str
) -> Scene:
    return Scene(name, (*_CLI, "--log-level", "debug", *arguments), more, codes, says)


def _materialize(name: str, codes: tuple[int, ...] = (0,), says: str = "", **more: str) -> Scene:
    selection = ("--select", 'key:"raw/isone_system_load" or key:"market/isone_system_load"')
    module = ("-m", "aurum_assets.definitions", "--partition", _DAY)
    arguments = (*_DAGSTER, "asset", "materialize", *selection, *module)
    return Scene(name, arguments, more, codes, says)


def scenes() -> list[Scene]:
    """All that is run, on the embedded defaults."""
    ask = ("collect", "isone", "system_load")
    wrong = {"ISONE_PASSWORD": WRONG.value, "ISONE_API_KEY": ""}
    wrong_key = {"ISONE_PASSWORD": "", "ISONE_API_KEY": WRONG.core}
    show = "from aurum_assets.operators import DATASETS as d; from aurum_assets.resources.settings "
    show += "import Settings, open_resources; s = Settings.read(); h = open_resources(d); "
    return [
        _aurum("collect", *ask),
        _aurum("collect, logged as JSON", "collect", "isone", "rt_lmp", AURUM_LOG_FORMAT="json"),
        _aurum(
            "collect from MISO",
            *("collect", "miso-cts", "--json"),
            AURUM_ARCHIVE="file:{root}/home/archive",
        ),
        _aurum("collect with the key alone", *ask, ISONE_PASSWORD=""),
        _aurum("collect from PJM in pages", "collect", "pjm", "da_lmp", "--json"),
        _aurum(
            "wrong key of PJM",
            *("collect", "pjm", "da_lmp"),
            codes=(1,),
            says=_REFUSED,
            PJM_API_KEY=WRONG.core,
        ),
        _aurum("status", "status", "--json"),
        _aurum("doctor", "doctor", codes=(0, 1)),
        _aurum("probe", "probe", "--dataset", "isone_system_load"),
        _aurum("alerts", "alerts", "--check"),
        _aurum("metrics", "metrics", "--once", says="aurum_collected"),
        _aurum("sql", "sql", "select count(*) from isone_system_load"),
        _aurum("wrong password", *ask, codes=(1,), says=_REFUSED, **wrong),
        _aurum(
            "wrong password, logged as JSON",
            *ask,
            codes=(1,),
            says=_REFUSED,
            **wrong,
            AURUM_LOG_FORMAT="json",
        ),
        _aurum("wrong key", *ask, codes=(1,), says=_REFUSED, **wrong_key),
        _aurum(
            "a key with a line's end",
            "status",
            codes=(2,),
            says="ISONE_API_KEY",
            ISONE_API_KEY=f"{WRONG.core}\n ",
        ),
        _aurum(
            "an address with a password",
            *ask,
            codes=(2,),
            says="ISONE_BASE_URL",
            ISONE_BASE_URL=IN_URL.value,
        ),
        _aurum(
            "operator away",
            *ask,
            codes=(1,),
            says="gave no usable answer",
            ISONE_BASE_URL="http://127.0.0.1:1/api/v1.1",
            AURUM_CONFIG="{root}/one-attempt",
        ),
        Scene(
            "what objects show of themselves",
            ("-c", show + "print(repr(s), s, repr(h), h.credentials)"),
            {"ISONE_USERNAME": "somebody"},  # a name is shown where an object is printed
        ),
        Scene("a traceback", ("-c", show + "1 / 0"), codes=(1,), says="ZeroDivisionError"),
        _materialize("materialize", says="RUN_SUCCESS"),
        _materialize("materialize, wrong password", (1,), _REFUSED, **wrong),
    ]


def server_scenes() -> list[Scene]:
    """What is run on real servers beside, with passwords that are right and that are not."""
    ask, away = ("collect", "isone", "system_load"), "127.0.0.1:1"
    wrong_catalog = f"postgresql+psycopg2://aurum:{WRONG.core}@{{postgres}}/catalog"
    return [
        _aurum(
            "S3 away",
            *ask,
            codes=(1,),
            says="out of reach",
            AURUM_S3_ENDPOINT=f"http://{away}",
        ),
        _aurum("S3 there again", *ask),
        _aurum("doctor on servers", "doctor", codes=(0, 1), says="127.0.0.1"),
        _aurum("alerts on servers", "alerts", "--check"),
        _aurum(
            "Redis refuses",
            *ask,
            "--force",
            says="degraded",
            AURUM_REDIS_URL=f"redis://:{WRONG.core}@{{redis}}/0",
        ),
        _aurum(
            "Redis away",
            *ask,
            "--force",
            says="degraded",
            AURUM_REDIS_URL=f"redis://:{WRONG.core}@{away}/0",
        ),
        _aurum(
            "Redis misspelt",
            "status",
            codes=(2,),
            says="AURUM_REDIS_URL",
            AURUM_REDIS_URL=f"rediss:/{WRONG.core}@host",
        ),
        _aurum(
            "catalog refuses",
            *ask,
            "--force",
            codes=(1,),
            says="authentication failed",
            AURUM_CATALOG_URI=wrong_catalog,
        ),
        _aurum(
            "catalog misspelt",
            "status",
            codes=(2,),
            says="AURUM_CATALOG_URI",
            AURUM_CATALOG_URI=f"postgres:/x:{WRONG.core}@y",
        ),
        _aurum(
            "Kafka refuses",
            *("collect", "isone", "zonal_load"),  # of which no message was sent yet
            says="Kafka is left alone",
            AURUM_KAFKA_USERNAME=KAFKA_USER.value,
            AURUM_KAFKA_PASSWORD=KAFKA.value,
            AURUM_KAFKA_PROTOCOL="SASL_PLAINTEXT",
        ),
        _aurum(
            "Kafka misspelt",
            "status",
            codes=(2,),
            says="KAFKA_CONNECTION_STRING",
            AURUM_KAFKA_BROKERS="",
            KAFKA_CONNECTION_STRING=f"{KAFKA_USER.core}:{KAFKA.core}@host",
        ),
        _materialize(
            "materialize, Dagster in Postgres",
            says="RUN_SUCCESS",
            DAGSTER_HOME="{root}/dagster-postgres",
        ),
        _materialize(
            "materialize, catalog refuses",
            (1,),
            "authentication failed",
            AURUM_CATALOG_URI=wrong_catalog,
        ),
        _materialize(
            "materialize, Dagster's Postgres refuses",
            (1,),
            "authentication failed",
            DAGSTER_HOME="{root}/dagster-postgres",
            AURUM_DAGSTER_POSTGRES_URL=f"postgresql+psycopg2://dagster:{WRONG.core}@{{postgres}}/dagster",
        ),
    ]


@dataclass
class Stage:
    """The folder that everything is written to, and the environment of every process."""

    root: Path
    environment: dict[str, str]
    canaries: list[Canary]
    places: dict[str, str] = field(default_factory=dict)

    def play(self, proof: Proof, scene: Scene) -> None:
        """Run a scene; its output is kept beside the rest."""
        name = scene.name.replace(" ", "-").replace(",", "")
        meant = {n: self._placed(value) for n, value in scene.environment.items()}
        environment = self.environment | meant
        done = subprocess.run(  # noqa: S603  our own code
            [sys.executable, *scene.arguments],  # no secret is ever an argument
            cwd=self.root,
            env=environment,
            capture_output=True,
            check=False,
            timeout=_LONGEST,
        )
        (self.root / f"{name}.out").write_bytes(done.stdout)
        (self.root / f"{name}.err").write_bytes(done.stderr)
        output = (done.stdout + done.stderr).decode(errors="replace")
        as_meant = done.returncode in scene.codes and scene.says in output
        sentence = f"{scene.name} ended with {done.returncode}, not as meant: {output[-400:]}"
        proof.holds(sentence, where=as_meant)
        proof.add("processes run")

    def _placed(self, value: str) -> str:
        """``value`` with the places that are known only now."""
        for name, place in {"root": str(self.root), **self.places}.items():
            value = value.replace(f"{{{name}}}", place)
        return value


@contextlib.contextmanager
def a_stage() -> Iterator[Stage]:
    """The embedded defaults, and operators that know the canaries."""
    simulator = Simulator(
        SetClock(_NOON),
        locations=3,
        page_rows=20,
        limits={},
        credentials={
            "ISONE_USERNAME": USERNAME.value,
            "ISONE_PASSWORD": PASSWORD.value,
            "ISONE_API_KEY": API_KEY.value,
            "PJM_API_KEY": PJM_KEY.value,
        },
    )
    with tempfile.TemporaryDirectory() as folder, simulator.serve() as running:
        root = Path(folder)
        (root / "dagster").mkdir()
        shutil.copy(PROJECT / "dagster.yaml", root / "dagster")
        _one_attempt(root / "one-attempt")
        yield Stage(
            root,
            _environment(root, running),
            [USERNAME, PASSWORD, API_KEY, PJM_KEY, WRONG, WEBHOOK, IN_URL, *ELSEWHERE.values()],
        )


def _environment(root: Path, running: Running) -> dict[str, str]:
    ours = ("AURUM_", "ISONE_", "MISO_", "PJM_", "AWS_", "REDIS_", "KAFKA_", "S3_")
    clean = {n: v for n, v in os.environ.items() if not n.startswith(ours)}
    return clean | {
        "PYTHONPATH": str(PROJECT),
        "DAGSTER_HOME": str(root / "dagster"),
        "AURUM_ENV_FILE": os.devnull,
        "AURUM_HOME": str(root / "home"),
        "AURUM_NOW": _NOON.isoformat(),
        "AURUM_LIMIT_SCALE": "1000",
        "AURUM_LOG_LEVEL": "debug",
        **running.environment,
        "AURUM_WEBHOOK_URL": WEBHOOK.value,
        **{name: one.value for name, one in ELSEWHERE.items()},
    }


def _one_attempt(folder: Path) -> None:
    """The configuration, with one attempt a request: nobody waits for what is not there."""
    shutil.copytree(PROJECT / "config", folder)
    for path in folder.glob("*_ingest_datasets.json"):
        document = json.loads(path.read_text())
        document["operator"]["attempts"] = 1
        path.write_text(json.dumps(document))


def prove_secrets(only: Sequence[str] = ()) -> Proof:
    """Run all scenes, and search all that they left behind.

    ``only``: those that are named, on the embedded defaults; else all of them, on real servers.
    """
    proof = Proof("Canaries for credentials: found nowhere, in nothing that was written or printed")
    with a_stage() as stage, contextlib.ExitStack() as stack:
        played = [scene for scene in scenes() if not only or scene.name in only]
        servers = None
        if not only:
            servers = stack.enter_context(set_up(stage))
            played += server_scenes()
        with Titles() as titles:
            for scene in played:
                stage.play(proof, scene)
        search = Search(stage.canaries)
        search.folder(stage.root)
        search.look("process titles", "/proc/*/cmdline", b"\n".join(titles.seen))
        if servers is not None:
            servers.search(search)
        _count(proof, search)
        _finds_what_is_leaked(proof, stage)
    return proof


@dataclass
class Servers:
    """S3, Redis, Postgres and Kafka with all that they hold."""

    s3: S3Server
    redis: RedisProcess
    postgres: Postgres
    kafka: KafkaCluster

    def search(self, search: Search) -> None:
        """Look through every object, key, row and message."""
        self._objects(search)
        with self.redis.client() as client:
            for key in client.scan_iter():
                kind = client.type(key)
                value = client.zrange(key, 0, -1) if kind == "zset" else client.get(key)
                search.look("keys in Redis", str(key), f"{key} {value}".encode())
        for database in ("catalog", "dagster"):
            named = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            for (table,) in self.postgres.execute(named, database):
                rows = self.postgres.execute(f'SELECT t::text FROM "{table}" t', database)  # noqa: S608  its own names
                content = "\n".join(row[0] for row in rows).encode()
                search.look("tables in Postgres", f"{database}.{table}", content)
        configs = load_config(PROJECT / "config", DATASETS).datasets.values()
        for topic in (SNAPSHOTS_TOPIC, ALERTS_TOPIC, *(c.topic for c in configs)):
            for message in self.kafka.messages(topic):
                content = f"{message.key} {message.headers}".encode() + message.value
                search.look("messages in Kafka", topic, content)

    def _objects(self, search: Search) -> None:
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.s3.direct_url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",  # noqa: S106  moto looks at none
        )
        for listed in client.list_objects_v2(Bucket="raw").get("Contents", []):
            found = client.get_object(Bucket="raw", Key=listed["Key"])
            content = found["Body"].read()
            inner = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else b""
            metadata = f"{listed['Key']} {found['Metadata']} {found['ResponseMetadata']}".encode()
            search.look("objects in S3", listed["Key"], metadata + content + inner)


@contextlib.contextmanager
def set_up(stage: Stage) -> Iterator[Servers]:
    """The servers, and the stage's environment set to use them."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = Servers(
            stack.enter_context(S3Server()),
            stack.enter_context(redis_process(folder, password=REDIS.value)),
            stack.enter_context(Postgres()),
            stack.enter_context(KafkaCluster(3)),
        )
        servers.s3.make_bucket("raw")
        postgres = servers.postgres
        catalog = postgres.database("catalog")
        postgres.execute(f"CREATE ROLE dagster LOGIN SUPERUSER PASSWORD '{DAGSTER.value}'")
        postgres.execute("CREATE DATABASE dagster OWNER dagster")
        place = f"127.0.0.1:{postgres.port}"
        secret = postgres.password
        stage.canaries += [
            KAFKA_USER,
            KAFKA,
            REDIS,
            DAGSTER,
            Canary("the password of the catalog's Postgres", secret, secret.rpartition(":")[2]),
        ]
        stage.places |= {"postgres": place, "redis": f"127.0.0.1:{servers.redis.port}"}
        stage.environment |= {
            "AURUM_ARCHIVE": "s3://raw/archive",
            "AURUM_S3_ENDPOINT": servers.s3.url,
            "AURUM_S3_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AURUM_CATALOG_URI": catalog,
            "AURUM_REDIS_URL": servers.redis.url,
            "AURUM_KAFKA_BROKERS": servers.kafka.bootstrap,
            "AURUM_DAGSTER_POSTGRES_URL": f"postgresql+psycopg2://dagster:{DAGSTER.value}@{place}/dagster",
        }
        url = SecretStr(stage.environment["AURUM_DAGSTER_POSTGRES_URL"])
        settings = Settings().model_copy(update={"dagster_postgres_url": url})
        write_dagster_yaml(stage.root / "dagster-postgres", settings)
        yield servers


def _count(proof: Proof, search: Search) -> None:
    proof.counts["canaries, each in four ways of writing"] = len(search.canaries)
    for place, count in search.volume.most_common():
        proof.counts[f"bytes in {search.items[place]:,} of {place}"] = f"{count:,}"
    proof.counts["hits"] = len(search.hits)
    proof.broken += search.hits


def _finds_what_is_leaked(proof: Proof, stage: Stage) -> None:
    """Each canary put into each kind of file is found there, or the search would prove nothing."""
    with tempfile.TemporaryDirectory() as folder:
        missed, planted = [], 0
        for one in stage.canaries:
            for path in leak(Path(folder), one):
                search = Search([one])
                search.folder(Path(folder))
                planted += 1
                missed += [] if search.hits else [f"{one.name} was not found in {path.name}"]
                path.unlink()
    proof.counts["secrets leaked on purpose"] = planted
    proof.counts["of them found"] = planted - len(missed)
    proof.broken += missed


def leak(folder: Path, one: Canary) -> Iterator[Path]:
    """A file with ``one`` in it, of each kind in turn."""
    from base64 import b64encode
    from urllib.parse import quote

    pair = f"Basic {b64encode(f'me:{one.value}'.encode()).decode()}"
    texts = (one.value, quote(one.value, safe=""), pair, json.dumps({"value": one.value}))
    for number, text in enumerate(texts):
        path = folder / f"{number}.log"
        path.write_text(f"a line\nand {text} in it\n")
        yield path
    packed = folder / "object.json.gz"
    packed.write_bytes(gzip.compress(texts[0].encode()))
    yield packed
    table = folder / "part.parquet"
    pl.DataFrame({"location": ["a", one.value]}).write_parquet(table)
    yield table
    manifest = folder / "manifest.avro"
    pl.DataFrame({"path": [one.value] * 9}).write_avro(manifest, compression="deflate")
    yield manifest
    stored = folder / "runs.db"
    with contextlib.closing(sqlite3.connect(stored)) as db:
        db.execute("CREATE TABLE event (body TEXT)")
        db.execute("INSERT INTO event VALUES (?)", ("x" * 4090 + one.value + "x" * 9000,))
        db.commit()
    yield stored


if __name__ == "__main__":
    print(prove_secrets())
