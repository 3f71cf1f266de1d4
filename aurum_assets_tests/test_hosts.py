"""A host whose name is not known: reported at once, with the variable that holds it, and no outage.

What the resolver of this machine says of ``.invalid`` counts: no such name where it has a server
that answers, else none that answers.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aurum_assets.graph import assets
from aurum_assets.graph.translate import Retries, tried_again
from aurum_assets.ingest.days import collect_days
from aurum_assets.model.errors import HostUnknown
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.resources import hosts, lake
from aurum_assets.resources.lake import Lake
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Aurum, Desk, printed, run_feeds
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import recording
from aurum_assets_tests.servers.rest import rest_catalog
from aurum_assets_tests.test_lake import TABLE, frame, loads

HOST = "nosuchhost.invalid"
LMP = "isone_rt_lmp"
UNKNOWN = f"the name {HOST} is not known here: check"


def test_an_unknown_name_is_told_apart_from_a_resolver_that_is_away() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    away = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert [hosts.is_unknown(e) for e in (unknown, away, OSError(), None)] == [True] + [False] * 3
    for cause, expected in ((unknown, True), (away, False)):
        wrapped = ConnectionError("no connection")
        wrapped.__context__ = ValueError("of another library")
        wrapped.__context__.__cause__ = cause
        assert hosts.is_unknown(wrapped) is expected


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
    for _ in range(6):  # more often than the breaker lets an operator fail
        began = time.monotonic()
        result = aurum(*line, **variables)
        assert time.monotonic() - began < 5
        assert result.exit_code == 1
        assert f"{UNKNOWN} {variable}, or this machine's DNS" in result.stderr
        assert "no usable answer" not in result.stderr


@pytest.mark.parametrize(
    ("variables", "code", "sentence"),
    [
        (
            {"AURUM_ARCHIVE": "s3://raw", "AURUM_S3_ENDPOINT": f"http://{HOST}:9000"},
            1,
            f"{UNKNOWN} AURUM_S3_ENDPOINT",
        ),
        (
            {"AURUM_REDIS_URL": f"redis://{HOST}:6379/0"},
            0,
            f"{UNKNOWN} AURUM_REDIS_URL (REDIS_HOST)",
        ),
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
    aurum: Aurum,
    payload: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setattr(lake, "_NAME_PATIENCE", 1.0)
    began = time.monotonic()
    keys = {"AWS_ACCESS_KEY_ID": "key-of-a-test", "AWS_SECRET_ACCESS_KEY": "secret-of-a-test"}
    result = aurum("load", "--dataset", LMP, payload, **variables, **keys)
    assert time.monotonic() - began < 10
    assert result.exit_code == code, result.output
    assert sentence in result.stderr


@pytest.mark.usefixtures("payload")
def test_a_webhook_at_an_unknown_name_says_so_and_keeps_what_it_owes() -> None:
    from aurum_assets.model.errors import AurumError
    from aurum_assets.resources.alerts import post

    began = time.monotonic()
    with pytest.raises(AurumError, match=r"of AURUM_WEBHOOK_URL .* its host's name is not known"):
        post(f"http://{HOST}/hook", {"text": "late"})
    assert time.monotonic() - began < 5


# --- a name that comes and goes ------------------------------------------------------------------

DAY = "2026-07-20"
ANSWERED = 5  # of the 24 requests of the day


def known_while(monkeypatch: pytest.MonkeyPatch, known: Callable[[], bool]) -> None:
    """The resolver knows ``HOST``, as this machine, while ``known`` says so."""
    ask = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401  as socket has it
        if host != HOST:
            return ask(host, *more, **named)
        if not known():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ask("127.0.0.1", *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def named_desk(live_desk: Desk, market: Running) -> Desk:
    """A desk that reaches the simulated operator by ``HOST``."""
    urls = {"isone": market.urls["isone"].replace("127.0.0.1", HOST)}
    return Desk(remade(live_desk.resources, base_urls=urls), live_desk.clock)


def hours(desk: Desk) -> int:
    return int(desk.rows(ISONE_RT_LMP, DAY)["interval_start"].dt.hour().n_unique())


def test_what_came_before_a_name_was_unknown_is_in_the_table(
    named_desk: Desk, market: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_while(monkeypatch, lambda: len(market.simulator.requests) < ANSWERED)
    with pytest.raises(HostUnknown, match=UNKNOWN):
        asyncio.run(collect_days(named_desk.resources, ISONE_RT_LMP, [ISONE_RT_LMP.day(DAY)]))
    assert hours(named_desk) == ANSWERED


def test_the_command_line_stores_what_came_before_a_name_was_unknown(
    aurum: Aurum, market: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_while(monkeypatch, lambda: len(market.simulator.requests) < ANSWERED)
    url = market.urls["isone"].replace("127.0.0.1", HOST)
    line = ("collect", "isone", "rt_lmp", "--date", DAY, "--json")
    result = aurum(*line, ISONE_BASE_URL=url)
    assert result.exit_code == 1
    assert UNKNOWN in printed(result)["failed_because"][0]
    assert printed(result)["rows"] == ANSWERED * 12 * 3


@pytest.mark.parametrize("back", [True, False], ids=["known again", "unknown for good"])
def test_a_run_asks_once_more_for_an_unknown_name_and_keeps_what_came(
    named_desk: Desk,
    market: Running,
    monkeypatch: pytest.MonkeyPatch,
    back: bool,  # noqa: FBT001  a table
) -> None:
    monkeypatch.setattr(assets, "ASKED_AGAIN", replace(assets.ASKED_AGAIN, seconds=0))
    refused: list[str] = []

    def known() -> bool:
        if len(market.simulator.requests) < ANSWERED or (back and refused):
            return True
        refused.append(DAY)
        return False

    known_while(monkeypatch, known)
    with dg.DagsterInstance.ephemeral() as instance:
        done = run_feeds(
            named_desk, "isone_daily", DAY, {ISONE_RT_LMP.key: ["prelim_hours"]}, instance
        )
    restarted = [e for e in done.all_events if e.event_type_value == "STEP_RESTARTED"]
    assert len(restarted) == 1
    assert done.success is back
    assert hours(named_desk) == (24 if back else ANSWERED)


def test_a_merge_asks_once_more_for_an_unknown_name() -> None:
    tries = []

    @dg.asset
    def merged(context: dg.AssetExecutionContext) -> None:
        with tried_again(context, Retries(most=2, seconds=0)):
            tries.append(context.retry_number)
            raise HostUnknown(UNKNOWN)

    with dg.DagsterInstance.ephemeral() as instance:
        assert not dg.materialize([merged], instance=instance, raise_on_error=False).success
    assert tries == [0, 1]


def test_a_write_waits_for_the_name_of_a_catalog_that_is_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    known_while(monkeypatch, lambda: len(slept) >= 3)
    with rest_catalog(tmp_path) as rest:
        uri = rest.url.replace("127.0.0.1", HOST)
        home = Lake({"type": "rest", "uri": uri}, sleep=slept.append, locks=tmp_path)
        assert home.merge(TABLE, frame({1: 10})).new == 1
        assert len(slept) == 3
        assert loads(home) == [10]


def test_a_name_that_stays_unknown_is_not_waited_for_as_an_outage_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake, "_NAME_PATIENCE", 0.2)
    known_while(monkeypatch, lambda: False)
    began = time.monotonic()
    with pytest.raises(HostUnknown, match="check AURUM_CATALOG_URI"):
        Lake({"type": "rest", "uri": f"http://{HOST}/api"}, locks=tmp_path).read(TABLE)
    assert 0.2 < time.monotonic() - began < 5
