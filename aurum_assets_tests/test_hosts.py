"""A host whose name is not known: said at once, with the variable that holds it, and no outage.

What the resolver of this machine says of ``.invalid`` counts: no such name where it has a server
that answers, else none that answers.
"""

import socket
import time
from pathlib import Path

import pytest

from aurum_assets.resources import hosts
from aurum_assets_tests.conftest import Aurum
from aurum_assets_tests.recordings import recording

HOST = "nosuchhost.invalid"
LMP = "isone_rt_lmp"
SAID = f"the name {HOST} is not known here: check"


def test_an_unknown_name_is_told_apart_from_a_resolver_that_is_away() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    away = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert [hosts.is_unknown(e) for e in (unknown, away, OSError(), None)] == [True] + [False] * 3
    for cause, said in ((unknown, True), (away, False)):
        wrapped = ConnectionError("no connection")
        wrapped.__context__ = ValueError("of another library")
        wrapped.__context__.__cause__ = cause
        assert hosts.is_unknown(wrapped) is said


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    with pytest.raises(socket.gaierror) as caught:
        socket.getaddrinfo(HOST, 80)
    assert caught.value.errno == socket.EAI_NONAME, "no resolver answers on this machine"
    path = tmp_path / "payload.json"
    path.write_bytes(recording(LMP, "live", "ordinary").body)
    return path


@pytest.mark.usefixtures("payload")
@pytest.mark.parametrize(
    ("line", "variable"),
    [
        (("collect", "isone", "system_load"), "ISONE_BASE_URL"),
        (("collect", "miso-cts"), "MISO_BASE_URL"),
    ],
    ids=["isone", "miso"],
)
def test_an_operator_at_an_unknown_name_is_asked_once_and_trips_no_breaker(
    aurum: Aurum, tmp_path: Path, line: tuple[str, ...], variable: str
) -> None:
    variables = {variable: f"http://{HOST}/api", "AURUM_ARCHIVE": f"file:{tmp_path}/archive"}
    for _ in range(6):  # more often than the breaker lets a source fail
        began = time.monotonic()
        result = aurum(*line, **variables)
        assert time.monotonic() - began < 5
        assert result.exit_code == 1
        assert f"{SAID} {variable}, or this machine's DNS" in result.stderr
        assert "no usable answer" not in result.stderr


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        (
            {"AURUM_ARCHIVE": "s3://raw", "AURUM_S3_ENDPOINT": f"http://{HOST}:9000"},
            1,
            f"{SAID} AURUM_S3_ENDPOINT",
        ),
        ({"AURUM_REDIS_URL": f"redis://{HOST}:6379/0"}, 0, f"{SAID} AURUM_REDIS_URL (REDIS_HOST)"),
        ({"AURUM_KAFKA_BROKERS": f"{HOST}:9092"}, 0, "check AURUM_KAFKA_BROKERS"),
        (
            {"AURUM_CATALOG_URI": f"postgresql://a:b@{HOST}:5432/lake"},
            2,
            "is not known here: check AURUM_CATALOG_URI",
        ),
        (
            {"AURUM_CATALOG_URI": f"http://{HOST}/api"},
            2,
            "is not known here: check AURUM_CATALOG_URI",
        ),
    ],
    ids=["S3", "Redis", "Kafka", "Postgres", "REST"],
)
def test_a_server_at_an_unknown_name_costs_seconds_and_is_named_by_its_variable(
    aurum: Aurum, payload: Path, variables: dict[str, str], code: int, said: str
) -> None:
    began = time.monotonic()
    keys = {"AWS_ACCESS_KEY_ID": "key-of-a-test", "AWS_SECRET_ACCESS_KEY": "secret-of-a-test"}
    result = aurum("load", "--dataset", LMP, payload, **variables, **keys)
    assert time.monotonic() - began < 10
    assert result.exit_code == code, result.output
    assert said in result.stderr


@pytest.mark.usefixtures("payload")
def test_a_webhook_at_an_unknown_name_says_so_and_keeps_what_it_owes() -> None:
    from aurum_assets.model.errors import AurumError
    from aurum_assets.resources.alerts import post

    began = time.monotonic()
    with pytest.raises(AurumError, match=r"of AURUM_WEBHOOK_URL .* its host's name is not known"):
        post(f"http://{HOST}/hook", {"text": "late"})
    assert time.monotonic() - began < 5
