"""What several tests stand on: a home in a temporary folder, its clock, simulated operators."""

import contextlib
import datetime as dt
import gc
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner, Result

from aurum_assets import ingest
from aurum_assets.cli import main
from aurum_assets.ingest.accept import Received
from aurum_assets.model.checks import Verdict
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.formats import sniff
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.pjm.operator import PJM
from aurum_assets.resources import logs, redaction
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration, load_config
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.made import made, remade
from aurum_assets_tests.servers.postgres import Postgres
from aurum_assets_tests.servers.redis import RedisProcess, redis_process
from aurum_assets_tests.servers.s3 import S3Server

OUTSIDE = (
    "AURUM_",
    "AWS_",
    "DAGSTER_HOME",
    "ISONE_",
    "KAFKA_",
    "MISO_",
    "PJM_",
    "REDIS_",
    "S3_BUCKET",
)


def pytest_configure() -> None:
    """No test sees, let alone writes to, what this machine is set up for."""
    for name in [name for name in os.environ if name.startswith(OUTSIDE)]:
        del os.environ[name]
    os.environ["AURUM_ENV_FILE"] = os.devnull
    # Processes that tests start would compile all that they import, each anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # servers of tests, in this process


# Files that take a minute each, most of them waiting: at the end one of two cores would idle.
LONGEST = ("test_demo.py", "test_workers.py", "test_daemon.py", "test_dev.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """At the end of the process it is all there to be freed."""
    gc.unfreeze()


NOON = dt.datetime(2026, 7, 21, 16, tzinfo=dt.UTC)  # noon in New York, 11:00 EST
PROVENANCE = ("operating_day", "source_timezone", "fetched_at", "raw_sha256")


def utc(text: str) -> dt.datetime:
    """``2026-07-20T17:20:00-04:00`` as an instant, UTC."""
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


class Timeline:
    """A clock that only sleeping moves; a Redis is aged with it."""

    def __init__(self, redis: RedisProcess | None = None, now: float = 1_760_000_000.0) -> None:
        self.now, self.redis = now, redis
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def instant(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.now, dt.UTC)

    def sleep(self, seconds: float) -> None:
        if seconds:  # 0 asks only whether to go on
            self.naps.append(seconds)
        self.passes(seconds)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        if self.redis is not None:
            self.redis.age(seconds)

    @contextlib.contextmanager
    def measured(self) -> Iterator[list[float]]:
        """The seconds that pass within, once they have passed."""
        began = self.now
        passed: list[float] = []
        yield passed
        passed.append(self.now - began)


@dataclass
class Brought:
    """What became of an answer on its way to the table."""

    archived: ingest.Archived
    days: dict[str, ingest.Normalized] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    @property
    def done(self) -> ingest.Normalized:
        """The one day that was normalized."""
        (done,) = self.days.values()
        return done


@dataclass
class Desk:
    """A home whose clock can be set, and the way through it for payloads given by hand."""

    resources: Resources
    clock: SetClock

    def take(
        self,
        dataset: Dataset,
        body: bytes,
        *,
        endpoint: str = "load",
        dialect: str = "live",
        at: dt.datetime | None = None,
        finality: str | None = None,
        asked: str | None = None,
        filters: Mapping[str, str] | None = None,
        force: bool = False,
    ) -> ingest.Archived:
        """Archive ``body`` as if it had been fetched."""
        if finality is None and "finality" in dataset.table.names:
            finality = "prelim"
        received = Received(
            body=body,
            endpoint=endpoint,
            dialect=dialect,
            format=sniff(dataset, body),
            fetched_at=at or self.clock(),
            finality=finality,
            asked=asked,
            filters=filters or {},
        )
        return ingest.accept(self.resources, dataset, received, force=force)

    def bring(self, dataset: Dataset, body: bytes, **options: Any) -> Brought:  # noqa: ANN401  those of take
        """Archive, normalize and check."""
        brought = Brought(self.take(dataset, body, **options))
        if brought.archived.day:
            key = brought.archived.day
            done = ingest.normalize(self.resources, dataset, dataset.day(key))
            brought.days[key] = done
            brought.verdicts = {v.check: v for v in ingest.check(self.resources, done)}
        return brought

    def rows(self, dataset: Dataset, day: str | None = None) -> pl.DataFrame:
        """What the table holds."""
        partition = {"operating_day": dt.date.fromisoformat(day)} if day else None
        return self.resources.lake.read(dataset.table, partition)


@pytest.fixture(scope="session")
def configuration() -> Configuration:
    return load_config(PROJECT / "config", DATASETS)


def config_of(folder: Path, datasets: Collection[str]) -> Path:
    """A config folder in which these datasets alone are enabled."""
    shutil.copytree(PROJECT / "config", folder)
    for file in folder.glob("*_ingest_datasets.json"):
        content = json.loads(file.read_text())
        for one in content["datasets"]:
            one["enabled"] = one["key"] in datasets
        file.write_text(json.dumps(content))
    return folder


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOON)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def resources(tmp_path: Path, configuration: Configuration, clock: SetClock) -> Resources:
    """A fresh home that reaches no operator."""
    return _home(tmp_path / "aurum", configuration, clock)


@pytest.fixture(scope="session")
def definitions(
    tmp_path_factory: pytest.TempPathFactory, configuration: Configuration
) -> dg.Definitions:
    """What Dagster loads, at noon, for tests that only look at it."""
    # Not above: what it imports starts threads, and processes are forked after this file is loaded.
    from aurum_assets.definitions import build

    root = tmp_path_factory.mktemp("definitions") / "aurum"
    return build(_home(root, configuration, SetClock(NOON)))


def _home(root: Path, configuration: Configuration, clock: SetClock) -> Resources:
    nowhere = "http://127.0.0.1:1"
    return made(
        root=root,
        configuration=configuration,
        base_urls=dict.fromkeys(("isone", "miso", "pjm"), nowhere),
        credentials={
            "isone": Credentials.of(ISONE, "demo", "demo-password"),
            "pjm": Credentials.of(PJM, "demo-key-of-pjm"),
        },
        clock=clock,
        limit_scale=1000,
    )


def _forget_the_log() -> None:
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, logs.Handler)]:
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)
    redaction.forget()


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command sets up the log of its process; the next test has a process of its own."""
    _forget_the_log()  # of modules that set it up when they are imported
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in [h for h in root.handlers if h not in before]:
        if type(handler) is logging.StreamHandler:  # pytest sees to its own
            root.removeHandler(handler)
    _forget_the_log()


class _Kept(logging.Handler):
    """Keeps our events as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert isinstance(record.msg, dict)
        self.lines.append({**record.msg, "level": record.levelname.lower()})


@contextlib.contextmanager
def log_lines() -> Iterator[list[dict[str, Any]]]:
    """What we log within the block, at any level."""
    ours, kept = logging.getLogger("aurum_assets"), _Kept()
    ours.addHandler(kept)
    ours.setLevel(logging.DEBUG)
    yield kept.lines
    ours.setLevel(logging.NOTSET)
    ours.removeHandler(kept)


@pytest.fixture
def desk(resources: Resources, clock: SetClock) -> Desk:
    return Desk(resources, clock)


@pytest.fixture
def market(clock: SetClock) -> Iterator[Running]:
    """All operators at the desk's instant, with three priced locations and two nodes."""
    with Simulator(clock, locations=3, nodes=2, limits={}).serve() as running:
        yield running


@pytest.fixture
def live_desk(resources: Resources, clock: SetClock, market: Running) -> Desk:
    """A desk that reaches the simulated operators."""
    urls = market.urls
    return Desk(remade(resources, base_urls=urls), clock)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for all tests of a session; each makes a database of its own."""
    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A fresh database."""
    name = f"aurum_{uuid.uuid4().hex[:12]}"
    yield postgres.database(name)
    postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One server for all tests, with a versioned bucket ``raw``."""
    with S3Server() as server:
        server.make_bucket("raw")
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server, with credentials for it in the environment and no fault left behind."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    yield s3_server
    s3_server.heal()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A real Redis of this test's own, empty."""
    with redis_process(tmp_path) as process:
        yield process


def run_feeds(
    desk: Desk,
    job: str,
    day: str,
    feeds: dict[str, list[str]],
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """The run of ``job`` that a schedule, a sensor or a repair asks for."""
    from aurum_assets.definitions import build
    from aurum_assets.graph.jobs import job_of
    from aurum_assets.graph.translate import feeds_config

    rooms = [dg.AssetKey([room, key]) for key in feeds for room in ("raw", "market")]
    asked = job_of(build(desk.resources).resolve_job_def(job), rooms)
    return asked.execute_in_process(
        partition_key=day,
        run_config=feeds_config(feeds),
        instance=instance,
        raise_on_error=False,
    )


Aurum = Callable[..., Result]


def variables(folder: Path, market: Running) -> dict[str, str]:
    """The environment of a home in ``folder``, at noon, that reaches the simulated operators."""
    return {
        "AURUM_HOME": str(folder / "home"),
        "AURUM_NOW": NOON.isoformat(),
        "AURUM_LIMIT_SCALE": "1000",
        **market.environment,
        "ISONE_API_KEY": "",  # by user name and password
    }


@pytest.fixture
def environment(tmp_path: Path, market: Running) -> dict[str, str]:
    return variables(tmp_path, market)


@pytest.fixture
def empty_home(environment: dict[str, str]) -> Path:
    """The home of ``environment``, which holds nothing yet."""
    root = Path(environment["AURUM_HOME"])
    (root / "archive").mkdir(parents=True)
    return root


@pytest.fixture
def aurum(environment: dict[str, str]) -> Aurum:
    """Run a command line in this process."""
    runner = CliRunner(env=environment)

    def run(*arguments: object, **more: str) -> Result:
        result = runner.invoke(main, [str(a) for a in arguments], env=environment | more)
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            result.exception
        )
        return result

    return run


def printed(result: Result) -> dict[str, Any]:
    """The one JSON document on standard output."""
    document: dict[str, Any] = json.loads(result.stdout)
    return document
