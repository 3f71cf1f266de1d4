"""In an application our lines go to its ``logging``: its handlers, levels and format, no secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import NOON
from aurum_assets_tests.test_logs import CANARIES, WITHIN

pytestmark = pytest.mark.slow

COLLECT = """
import asyncio, logging, os, sys
if len(sys.argv) > 1:
    logging.basicConfig(level=sys.argv[1], format="%(levelname)s|%(name)s|%(filename)s|%(message)s")
from aurum_assets import open_lake
from aurum_assets.isone import IsoNeApiClient, IsoNeCollector, load_isone_dataset_configs
dataset = {d.key: d for d in load_isone_dataset_configs()}["isone_system_load"]
asyncio.run(IsoNeCollector(dataset).collect("2026-07-20", "2026-07-20"))
asyncio.run(IsoNeApiClient().fetch(dataset, "2026-07-20"))
open_lake().scan("isone_system_load").collect()
"""
SAY = """
import logging, os, sys
class All(logging.Formatter):
    def format(self, record):
        return super().format(record) + repr(record.__dict__)
logging.basicConfig(level="DEBUG")
logging.getLogger().handlers[0].setFormatter(All())
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources import settings
from aurum_assets.operators import DATASETS
settings.open_resources(DATASETS)
names = ["ISONE_PASSWORD", "ISONE_API_KEY"] + sys.argv[1:]
ours, plain = get_logger("aurum_assets.here"), logging.getLogger("aurum_assets.here")
for name in names:
    secret = os.environ[name]
    ours.warning(secret, deep={"a": [secret, {secret: (secret,)}]})
    plain.info("arguments %s and %r", secret, [secret])
    plain.info("%(by)s name", {"by": secret})
    plain.info("too few %s %s", secret)
    plain.info("extra", extra={"password": secret, "deep": {"a": [secret]}}, stack_info=True)
    try:
        int(secret)
    except ValueError as error:
        ours.exception("failed", why=str(error))
        plain.exception("failed again")
        for library in ("httpx", "botocore.auth", "application"):
            logging.getLogger(library).exception("GET %s", "https://host/" + secret)
    logging.getLogger("botocore.auth").debug("x-amz-security-token:never-shown\\nhost:x")
    logging.getLogger("application").info("mine is %s", "token=mine")
"""
ODD = """
import logging, os
logging.basicConfig(format="%(message)s")
from aurum_assets.resources.settings import open_resources
from aurum_assets.operators import DATASETS
open_resources(DATASETS)
class Odd:
    def __str__(self):
        raise RuntimeError("it has no text")
class Odder(Odd):
    __repr__ = Odd.__str__
log = logging.getLogger("application")
for odd in (Odd(), Odder()):
    log.warning("it is %s", odd)
    log.warning("%s, %s", os.environ["ISONE_PASSWORD"], odd)
    log.warning(odd)
    try:
        int(os.environ["ISONE_PASSWORD"])
    except ValueError:
        log.exception(odd)
print("goes on")
"""


def run(program: str, *arguments: str, **environment: str) -> tuple[str, str]:
    """What a fresh process says: standard output, standard error."""
    inherited = {"PATH": os.environ["PATH"], "AURUM_ENV_FILE": os.devnull}
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def environment(tmp_path: Path, market: Running) -> dict[str, str]:
    """An environment in which the operator fails once, and a key of config has its old name."""
    config = tmp_path / "config"
    config.mkdir()
    for file in (PROJECT / "config").glob("*_ingest_datasets.json"):
        text = file.read_text().replace('"repair_days"', '"retention_days"', 1)
        (config / file.name).write_text(text)
    market.simulator.fail(next="500", times=1)
    return {
        "AURUM_HOME": str(tmp_path / "home"),
        "AURUM_CONFIG": str(config),
        "AURUM_NOW": NOON.isoformat(),
        "AURUM_LIMIT_SCALE": "1000",
        "AURUM_REDIS_URL": "redis://:canary-redis@127.0.0.1:1/0",
        **market.environment,
    }


def test_an_application_without_logging_hears_nothing(environment: dict[str, str]) -> None:
    assert run(COLLECT, **environment) == ("", "")


@pytest.mark.parametrize(
    ("level", "heard", "not_heard"),
    [
        (
            "WARNING",
            [
                "WARNING|aurum_assets.resources.configuration|configuration.py|a key has",
                "WARNING|aurum_assets.resources.api|api.py|no usable answer source=isone ",
                "WARNING|aurum_assets.resources.redis|redis.py|",
            ],
            ["collected", "INFO"],
        ),
        (
            "INFO",
            ["INFO|aurum_assets.ingest.collect|collect.py|collected ", "stored=1"],
            ["DEBUG"],
        ),
        ("DEBUG", ["collected", "DEBUG|httpcore.http11|"], []),
    ],
)
def test_an_application_hears_us_at_its_level_in_its_format_and_stdout_is_its_own(
    environment: dict[str, str], level: str, heard: list[str], not_heard: list[str]
) -> None:
    out, err = run(COLLECT, level, **environment)
    assert out == ""
    assert [words for words in heard if words not in err] == []
    assert [words for words in not_heard if words in err] == []
    assert "canary" not in err
    assert "demo-password" not in err
    assert "Logging error" not in err


def test_no_secret_is_in_a_line_an_argument_an_extra_field_or_a_traceback_of_an_application(
    tmp_path: Path,
) -> None:
    within = {name: shape.format(canary) for name, (shape, canary) in WITHIN.items()}
    environment = {**within, **CANARIES, "ISONE_USERNAME": "desk", "AURUM_HOME": str(tmp_path)}
    names = set(environment) - {"ISONE_USERNAME", "AURUM_HOME"}
    out, err = run(SAY, *names, **environment)
    assert out == ""
    assert err.count("\nTraceback (most recent") == 5 * (len(names) + 2)
    assert "canary" not in err.lower()
    assert [name for name in names if environment[name] in err] == []
    assert "x-amz-security-token:***" in err
    assert "never-shown" not in err
    assert err.count("'password': '***'") == len(names) + 2
    assert "mine is token=mine" in err, "an application's own text stays"


def test_an_object_that_cannot_be_written_raises_in_no_log_of_an_application(
    tmp_path: Path,
) -> None:
    secrets = {"AURUM_HOME": str(tmp_path), "ISONE_USERNAME": "desk", "ISONE_PASSWORD": "canary-1"}
    out, err = run(ODD, **secrets)
    assert out == "goes on\n"
    assert err.count("--- Logging error ---") >= 3, "what logging says without us"
    assert "canary" not in err
