"""The log says what belongs to what, in JSON or text, and no secret is in it, nor in Dagster's."""

import base64
import json
import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from aurum_assets import ingest
from aurum_assets.cli import main
from aurum_assets.definitions import build
from aurum_assets.graph import translate
from aurum_assets.graph.jobs import asset_keys, job_of
from aurum_assets.model.errors import SourceUnavailable
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources import logs, redaction
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.redaction import redacted
from aurum_assets.resources.settings import open_resources
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import NOON, Desk

LOAD = ISONE_SYSTEM_LOAD
# One canary each; odd letters must be found as they are written in URLs and in JSON, too.
CANARIES = {
    "ISONE_PASSWORD": 'canary-isone-p@ss/w"rd',
    "ISONE_API_KEY": "canary-isone-key",
    "AWS_ACCESS_KEY_ID": "CANARYACCESSKEY",
    "AWS_SECRET_ACCESS_KEY": "canary/aws+secret",
    "AWS_SESSION_TOKEN": "canary-aws-token",
    "AURUM_KAFKA_PASSWORD": "canary-kafka-password",
}
WITHIN = {
    "AURUM_WEBHOOK_URL": ("https://hooks.slack.com/services/{}", "T0/B0/canary-webhook"),
    "AURUM_REDIS_URL": ("redis://:{}@127.0.0.1:6379/0", "canary-redis"),
    "AURUM_CATALOG_URI": ("postgresql+psycopg2://desk:{}@127.0.0.1/lake", "canary-catalog"),
    "AURUM_CATALOG_PROPERTIES": ('{{"s3.secret-access-key": "{}"}}', "canary-property"),
    "AURUM_DAGSTER_POSTGRES_URL": ("postgresql://desk:{}@127.0.0.1/runs", "canary%2Fdagster"),
    "KAFKA_CONNECTION_STRING": ("desk:{}@broker1:9092,broker2:9092", "canary-connection"),
}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment with all secrets set, read; each canary by its variable."""
    monkeypatch.setenv("ISONE_USERNAME", "desk")
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    for name, (shape, canary) in WITHIN.items():
        monkeypatch.setenv(name, shape.format(canary))
    open_resources(DATASETS)
    return CANARIES | {name: canary for name, (_, canary) in WITHIN.items()}


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


# --- redaction -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["json", "console"])
def test_no_secret_is_in_a_line_a_field_a_librarys_record_or_a_traceback(
    secrets: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    layout: str,
) -> None:
    logs.configure("debug", "json" if layout == "json" else "console", "prod", anew=True)
    log = get_logger("ours")
    for name, bird in secrets.items():
        log.warning(bird, deep={"a": [bird, {bird: (bird,)}]}, raw=bird.encode())
        try:
            int(bird)
        except ValueError:
            log.exception("failed")
            logging.getLogger("httpx").exception("GET %s", f"https://host/{bird}?x={name}")
    shown = capsys.readouterr().err
    assert shown.count("Traceback") == 2 * len(secrets)
    assert [name for name, canary in secrets.items() if canary in shown] == []
    assert "canary" not in shown.lower()


def test_a_secret_is_found_in_each_way_of_writing_it(secrets: dict[str, str]) -> None:
    password = secrets["ISONE_PASSWORD"]
    basic = base64.b64encode(f"desk:{password}".encode()).decode()
    for text in (basic, json.dumps(password), repr(password), "canary-isone-p%40ss%2Fw%22rd"):
        assert "canary" not in redacted(text)
        assert basic not in redacted(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at postgresql://desk:hunter2@db/x failed", "at postgresql://desk:***@db/x failed"),
        ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
        ("Authorization: Basic aHVudGVy\nHost: a", "Authorization: ***\nHost: a"),
        ("{'X-API-Key': 'hunter2', 'a': 1}", "{'X-API-Key': '***', 'a': 1}"),
        ("(b'authorization', b'Bearer hunter2')", "(b'authorization', b'***')"),
        ("host=db password=hunter2 user=desk", "host=db password=*** user=desk"),
        ("GET http://127.0.0.1:8321/api/v1.1?day=1", "GET http://127.0.0.1:8321/api/v1.1?day=1"),
        ("s3://bucket/prefix@2x is fine", "s3://bucket/prefix@2x is fine"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_though_nobody_named_it(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_headers_are_hidden_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json", "dev", anew=True)
    get_logger("ours").info("asked", headers={"Authorization": "abc", "Accept": "text/plain"})
    (line,) = lines(capsys.readouterr().err)
    assert line["headers"] == {"Authorization": "***", "Accept": "text/plain"}


# --- lines ---------------------------------------------------------------------------------------


def test_a_collection_logs_json_with_dataset_day_endpoint_attempt_and_environment(
    live_desk: Desk, market: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info", "json", "staging", anew=True)
    market.simulator.fail(next="500", times=1)
    ingest.collect(live_desk.resources, LOAD, LOAD.day("2026-07-20"), feeds=["day"])
    ingest.normalize(live_desk.resources, LOAD, LOAD.day("2026-07-20"))
    found = lines(capsys.readouterr().err)
    assert {(x["environment"], x["dataset"], x["day"]) for x in found} == {
        ("staging", LOAD.key, "2026-07-20")
    }
    again = next(x for x in found if x["event"] == "no usable answer")
    assert (again["endpoint"], again["attempt"]) == ("fiveminutesystemload_day", 1)
    assert not [x for x in found if x["logger"] == "httpx"], "one line a request is enough"
    done = {str(x["event"]): x for x in found}
    assert done["collected"]["stored"] == 1
    assert done["normalized"]["new"] == 288


def test_what_is_bound_ends_with_its_verb(
    live_desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info", "json", "dev", anew=True)
    ingest.collect(live_desk.resources, LOAD, LOAD.day("2026-07-20"), feeds=["day"])
    get_logger("ours").info("after")
    assert "dataset" not in lines(capsys.readouterr().err)[-1]


def test_a_run_of_dagsters_logs_its_id(live_desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json", "dev", anew=True)
    job = build(live_desk.resources).resolve_job_def("isone_five_minutes")
    done = job_of(job, asset_keys([LOAD])).execute_in_process(partition_key="2026-07-21")
    found = {x["event"]: x for x in lines(capsys.readouterr().err) if x.get("run_id")}
    assert found["collected"]["run_id"] == found["normalized"]["run_id"] == done.run_id


@pytest.mark.parametrize(
    ("variable", "option", "events"),
    [
        ("", [], 1),  # as the specification has it, of collect alone
        ("warning", [], 0),
        ("INFO", [], 1),
        ("WARNING", ["--log-level", "INFO"], 1),
        ("info", ["--log-level", "error"], 0),
        ("", ["--log-level", "info"], 1),
    ],
)
@pytest.mark.parametrize("label", [[], ["--environment", "staging"]], ids=len)
def test_the_level_is_the_variables_and_the_option_wins(
    market: Running,
    tmp_path: Path,
    variable: str,
    option: list[str],
    events: int,
    label: list[str],
) -> None:
    environment = {
        "AURUM_HOME": str(tmp_path),
        "AURUM_NOW": NOON.isoformat(),
        **market.environment,
        "AURUM_LOG_FORMAT": "json",
        "AURUM_LOG_LEVEL": variable,
    }
    result = CliRunner(env=environment).invoke(
        main, [*option, "collect", "isone", LOAD.key, "--feed", "now", "--raw-only", *label]
    )
    assert result.exit_code == 0
    assert sum(line["event"] == "collected" for line in lines(result.stderr)) == events


def test_other_commands_than_collect_log_warnings_alone(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    environment = {"AURUM_HOME": str(tmp_path), "AURUM_LOG_LEVEL": ""}
    (tmp_path / "lake").mkdir()
    result = CliRunner(env=environment).invoke(main, ["status"])
    assert result.exit_code == 0
    assert logging.getLogger().level == logging.WARNING


def test_a_process_sets_its_log_up_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json", "first", anew=True)
    logs.configure("error", "console", "second")
    get_logger("ours").info("logged")
    assert [line["environment"] for line in lines(capsys.readouterr().err)] == ["first"]


# --- Dagster's own storage -----------------------------------------------------------------------


def by_httpx(secret: str) -> None:
    import httpx

    url = f"https://desk:{secret}@127.0.0.1/path"
    httpx.Response(500, request=httpx.Request("GET", url)).raise_for_status()


def by_an_odd_address(secret: str) -> None:
    import sqlalchemy

    sqlalchemy.create_engine(f"postgresql+nothing://desk:{secret}@127.0.0.1/db")


def by_a_statement(secret: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT :s FROM nowhere"), {"s": secret})


def by_redis(secret: str) -> None:
    import redis

    redis.Redis.from_url(f"redis://:{secret}@127.0.0.1:notaport/0")


def by_boto(secret: str) -> None:
    from botocore.exceptions import EndpointConnectionError

    raise EndpointConnectionError(endpoint_url=f"https://key:{secret}@127.0.0.1:1/bucket")


def by_nobody_foreseen(secret: str) -> None:
    raise KeyError(secret)


@pytest.mark.parametrize("translated", [True, False])
@pytest.mark.parametrize(
    "break_", [by_httpx, by_an_odd_address, by_a_statement, by_redis, by_boto, by_nobody_foreseen]
)
def test_no_secret_of_a_librarys_error_reaches_dagsters_events(
    break_: Callable[[str], None], *, translated: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = "canary-in-a-chain"
    redaction.know([canary])

    @dg.op
    def step() -> None:
        with translate.translated_failures():
            try:
                break_(canary)
            except Exception as error:
                if not translated:
                    raise
                msg = f"the server was out of reach: {error}"
                raise SourceUnavailable(msg) from error

    @dg.job
    def work() -> None:
        step()

    with dg.DagsterInstance.ephemeral() as instance:
        done = work.execute_in_process(instance=instance, raise_on_error=False)
        stored = [dg.serialize_value(e) for e in instance.all_logs(done.run_id)]
    assert not done.success
    whole = "".join(stored)
    assert "STEP_FAILURE" in whole
    assert canary not in whole
    assert canary not in "".join(capfd.readouterr())


def test_an_error_without_a_secret_keeps_its_causes() -> None:
    @translate.translated_failures()
    def refuse() -> None:
        try:
            int("seven")
        except ValueError as error:
            msg = "no number"
            raise SourceUnavailable(msg) from error

    with pytest.raises(dg.Failure) as caught:
        refuse()
    assert caught.value.allow_retries
    assert "invalid literal" in "".join(traceback.format_exception(caught.value))


def test_reading_the_settings_is_enough_for_a_process_to_keep_quiet(
    secrets: dict[str, str], tmp_path: Path
) -> None:
    """A process of its own, whose uncaught log lines show all of its environment."""
    program = (
        "import os\nfrom aurum_assets.resources.logs import get_logger\n"
        "from aurum_assets.definitions import defs\n"
        "get_logger('ours').error('all', environ=dict(os.environ))\n"
    )
    environment = {
        name: shape.format(canary) for name, (shape, canary) in WITHIN.items()
    } | CANARIES
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", program],
        env=environment | {"AURUM_HOME": str(tmp_path), "AURUM_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = lines(done.stderr)
    assert isinstance(line["environ"], dict)
    assert len(line["environ"]) > len(secrets)
    assert "canary" not in done.stderr.lower()
    assert open_resources(DATASETS).alerts.webhook.startswith("https")
