"""Asking an operator: every claim is made against a real socket."""

import datetime as dt
import gzip
import socket
import socketserver
import ssl
import threading
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx
import pytest
import trustme
from pydantic import SecretStr

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Endpoint, Feed, OperatorConfig
from aurum_assets.model.errors import (
    ConfigError,
    NotYetPublished,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from aurum_assets.model.operator import Basic, Bearer, HeaderKey, Limit, Operator
from aurum_assets.resources.api import Answer, ApiClient
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.limits import SqliteLimiter
from aurum_assets.resources.redis import RedisServer, RedisState
from aurum_assets.resources.state import SqliteState, State
from aurum_assets_tests.conftest import Timeline
from aurum_assets_tests.forks import FORKS

if TYPE_CHECKING:
    from multiprocessing.queues import Queue


pytestmark = pytest.mark.filterwarnings("error")

OPEN = Operator(
    "op",
    "The Operator",
    "Etc/GMT+5",
    "https://op.example",
    registration="https://op.example/register",
)
CLOSED = replace(
    OPEN, auth=(Basic("OP_USERNAME", "OP_PASSWORD"), HeaderKey("X-API-Key", "OP_API_KEY"))
)
PASSWORD, KEY = "s3cret-pässword", "s3cret-key"
US = Credentials.of(CLOSED, "me", PASSWORD, KEY)
A = Endpoint("a", "/a", "live")
B = Endpoint("b", "/b", "live")
AX = Endpoint("a_xml", "/a", "live", "xml")
DAY_A = Endpoint("day_a", "/day/{yyyymmdd}", "live")
DAY_B = Endpoint("day_b", "/other?date={day}", "documented")
FIRST, SECOND = (OperatingDay.parse(d, "Etc/GMT+5") for d in ("2024-03-10", "2024-03-11"))


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    at: float


Reply = bytes | Callable[[socket.socket], None]


def says(status: int = 200, body: bytes = b'{"a": 1}', **headers: str) -> bytes:
    """A whole HTTP answer; header names with underscores for dashes."""
    lines = {"Content-Length": str(len(body))} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    head = "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


@dataclass
class Server:
    """A server that answers each path along a script; the last reply of a path repeats."""

    script: dict[str, list[Reply]] = field(default_factory=dict)
    seen: list[Request] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.seen]

    def will(self, path: str, *replies: Reply) -> None:
        self.script[path] = list(replies)

    def serve(self, sock: socket.socket) -> None:
        raw = b""
        while b"\r\n\r\n" not in raw:
            chunk = sock.recv(65536)
            if not chunk:
                return
            raw += chunk
        first, *rest = raw.decode().split("\r\n\r\n")[0].split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}
        path = first.split(" ")[1]
        self.seen.append(Request(path, headers, time.monotonic()))
        replies = self.script.get(path, [says(404)])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if callable(reply):
            reply(sock)
        else:
            sock.sendall(reply)


@pytest.fixture
def operators() -> Iterator[Callable[..., Server]]:
    running: list[tuple[socketserver.ThreadingTCPServer, threading.Thread]] = []

    def begin(tls: ssl.SSLContext | None = None) -> Server:
        operator = Server(tls=tls)

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    if operator.tls is None:
                        operator.serve(self.request)
                    else:
                        with operator.tls.wrap_socket(self.request, server_side=True) as sock:
                            operator.serve(sock)
                except OSError:
                    pass  # the client went away, as some claims want it to

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        running.append((server, thread))
        operator.port = server.server_address[1]
        return operator

    yield begin
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def operator(operators: Callable[..., Server]) -> Server:
    return operators()


@dataclass
class Desk:
    """One machine: its clock and shared state; clients of it stand for its processes."""

    folder: Path
    operator: Server
    line: Timeline = field(default_factory=Timeline)
    open: list[ApiClient] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)

    @property
    def here(self) -> SqliteState:
        return SqliteState(self.folder / "state.sqlite", self.line)

    @property
    def state(self) -> State:
        if self.line.redis is None:
            return self.here
        return RedisState(RedisServer(SecretStr(self.line.redis.url)), "aurum:", self.here)

    def client(
        self,
        whose: Operator = OPEN,
        credentials: Credentials | None = None,
        transport: httpx.BaseTransport | None = None,
        limits: tuple[Limit, ...] = (Limit(1000, 1),),
        **tuned: float,
    ) -> ApiClient:
        scheme = "http" if self.operator.tls is None else "https"
        base = f"{scheme}://127.0.0.1:{self.operator.port}"
        config = replace(OperatorConfig("op", base, limits, attempts=3), **tuned)  # type: ignore[arg-type]
        limiter = SqliteLimiter(
            self.folder / "limits.sqlite",
            config,
            self.here,
            clock=self.line,
            sleep=self.line.sleep,
        )
        client = ApiClient(
            config,
            whose,
            self.state,
            limiter,
            credentials=credentials,
            transport=transport,
            clock=self.line.instant,
            sleep=self.line.sleep,
            jitter=lambda ceiling: ceiling,
            report=self.reports.append,
        )
        self.open.append(client)
        return client


@pytest.fixture
def desk(request: pytest.FixtureRequest, tmp_path: Path, operator: Server) -> Iterator[Desk]:
    desk = Desk(tmp_path, operator)
    if getattr(request, "param", "") == "redis":
        desk.line.redis = request.getfixturevalue("redis")
    yield desk
    for client in desk.open:
        client.close()


on_each_store = pytest.mark.parametrize("desk", ["sqlite", "redis"], indirect=True)


def now(*endpoints: Endpoint) -> Feed:
    return Feed("now", "now", "five_minutes", endpoints or (A,))


def days(*endpoints: Endpoint) -> Feed:
    return Feed("day", "day", "daily", endpoints)


def refused(client: ApiClient, feed: Feed | None = None) -> str:
    with pytest.raises(SourceRefused) as caught:
        client.fetch("ds", feed or now())
    return str(caught.value)


def unavailable(client: ApiClient, feed: Feed | None = None) -> SourceUnavailable:
    with pytest.raises(SourceUnavailable) as caught:
        client.fetch("ds", feed or now())
    return caught.value


# What is sent


def test_json_is_asked_for_by_the_accept_header_and_comes_back_as_sent(desk: Desk) -> None:
    desk.operator.will("/a", says(body=b'{"a": 1}\n'))
    answer = desk.client().fetch("ds", now())
    sent = desk.operator.seen[0].headers
    assert (sent["accept"], sent["accept-encoding"]) == ("application/json", "gzip")
    assert sent["user-agent"].startswith("aurum-assets/")
    assert "authorization" not in sent
    assert answer == Answer(
        body=b'{"a": 1}\n',
        format="json",
        endpoint=A,
        status=200,
        fetched_at=desk.line.instant(),
        seconds=answer.seconds,
        attempts=1,
        url=f"http://127.0.0.1:{desk.operator.port}/a",
        headers=answer.headers,
    )
    assert answer.headers["content-length"] == "9"
    assert 0 < answer.seconds < 5


def test_xml_is_asked_for_where_the_endpoint_says_so(desk: Desk) -> None:
    desk.operator.will("/a", says(body=b"<a/>"))
    assert desk.client().fetch("ds", now(AX)).format == "xml"
    assert desk.operator.seen[0].headers["accept"] == "application/xml"


def test_a_path_may_hold_day_hour_and_a_query(desk: Desk) -> None:
    hourly = Endpoint("h", "/x/{yyyymmdd}/starthour/{hour}?date={day}", "live")
    desk.operator.will("/x/20240310/starthour/03?date=2024-03-10", says())
    desk.client().fetch("ds", days(hourly), FIRST, part="03")
    assert desk.operator.paths == ["/x/20240310/starthour/03?date=2024-03-10"]


def test_a_path_that_needs_a_day_where_none_is_asked_is_our_error(desk: Desk) -> None:
    with pytest.raises(ConfigError, match=r"endpoint day_a: path '/day/\{yyyymmdd\}'"):
        desk.client().fetch("ds", days(DAY_A))


def test_basic_and_api_key_are_sent_where_they_are_given(desk: Desk) -> None:
    desk.operator.will("/a", says())
    desk.client(CLOSED, Credentials.of(CLOSED, "me", "pw")).fetch("ds", now())
    desk.client(CLOSED, Credentials.of(CLOSED, "", "", "k")).fetch("ds", now())
    basic, keyed = (request.headers for request in desk.operator.seen)
    assert (basic["authorization"], "x-api-key" in basic) == ("Basic bWU6cHc=", False)
    assert ("authorization" in keyed, keyed["x-api-key"]) == (False, "k")


def test_a_token_is_sent_as_bearer_and_the_first_way_of_two_fills_a_header(desk: Desk) -> None:
    desk.operator.will("/a", says())
    way = Bearer("OP_TOKEN")
    for auth in ((way,), (way, *CLOSED.auth)):
        both = replace(CLOSED, auth=auth)
        us = Credentials.of(both, "token-7", "me", "pw", "k")
        desk.client(both, us).fetch("ds", now())
        assert desk.operator.seen[-1].headers["authorization"] == "Bearer token-7"
    assert desk.operator.seen[-1].headers["x-api-key"] == "k"


def test_an_operators_own_headers_are_sent_with_each_request(desk: Desk) -> None:
    desk.operator.will("/a", says())
    desk.client(replace(OPEN, headers={"X-Client": "aurum"})).fetch("ds", now())
    assert desk.operator.seen[-1].headers["x-client"] == "aurum"


def test_a_further_page_is_asked_for_at_the_operator_and_nowhere_else(desk: Desk) -> None:
    desk.operator.will("/a", says(X_Next="/a?page=2"))
    desk.operator.will("/a?page=2", says())
    client = desk.client()
    first = client.fetch("ds", now())
    assert first.headers["x-next"] == "/a?page=2"
    second = client.fetch("ds", now(), page=urljoin(first.url, first.headers["x-next"]))
    assert desk.operator.paths == ["/a", "/a?page=2"]
    assert second.endpoint == first.endpoint
    with pytest.raises(SourceRefused, match="lies elsewhere"):
        client.fetch("ds", now(), page="http://127.0.0.1:1/a?page=3")
    assert len(desk.operator.paths) == 2


def test_without_credentials_nothing_is_asked_and_one_sentence_says_what_to_set(
    desk: Desk,
) -> None:
    for some in (
        None,
        Credentials.of(CLOSED, "me"),
        Credentials.of(CLOSED, "", "pw"),
    ):
        with pytest.raises(ConfigError) as caught:
            desk.client(CLOSED, some).fetch("ds", now())
        for word in ("ds", "OP_USERNAME and OP_PASSWORD, or OP_API_KEY", "op.example/reg"):
            assert word in str(caught.value)
        assert "\n" not in str(caught.value)
    assert desk.operator.seen == []


@pytest.mark.parametrize("key", ["hunter2\n", " hunter2", "hunter2\x00", "hünter2"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Credentials.of(CLOSED, "", "", key)
    assert key.strip() not in "".join(traceback.format_exception(caught.value))


def test_a_base_address_with_a_password_is_refused_without_being_shown(tmp_path: Path) -> None:
    config = OperatorConfig("op", "http://me:hunter2@op.example", (Limit(1, 1),))
    state = SqliteState(tmp_path / "s")
    with pytest.raises(ConfigError) as caught:
        ApiClient(config, OPEN, state, SqliteLimiter(tmp_path / "l", config, state))
    assert "hunter2" not in str(caught.value)


# What is reported of waits


def test_a_wait_for_the_limit_is_told_each_second_and_then_what_is_asked(desk: Desk) -> None:
    desk.operator.will("/a", says())
    client = desk.client(limits=(Limit(1, 5),))
    client.fetch("ds", now(A))
    assert desk.reports == []
    client.fetch("ds", now(A))
    waits = [f"waiting for the limit: next request in {n} s" for n in (6, 5, 4, 3, 2, 1)]
    assert desk.reports == [*waits, "asking a"]


def test_a_pause_that_the_operator_asks_for_is_told_as_one(desk: Desk) -> None:
    desk.operator.will("/a", says(503, Retry_After="60"), says())
    desk.client().fetch("ds", now(A))
    asked = "paused after a 429 or Retry-After: next request in"
    assert desk.reports[:2] == [f"{asked} 59 s", f"{asked} 58 s"]
    assert desk.reports[-1] == "asking a"


def test_the_pause_before_another_try_is_told_with_its_reason(desk: Desk) -> None:
    desk.operator.will("/a", *[says(503)] * 3, says())
    desk.client(attempts=4).fetch("ds", now(A))
    found = [f"it answered 503: next try in {n} s (4 of 4)" for n in (4, 3)]
    assert desk.reports == found, "those of 1 and 2 s are not worth a report"


# Refusals and fallback


def test_a_401_is_never_remembered_and_never_falls_back(desk: Desk) -> None:
    desk.operator.will("/a", says(401), says())
    desk.operator.will("/b", says())
    client = desk.client(CLOSED, US)
    message = refused(client, now(A, B))
    assert "401" in message
    assert "OP_USERNAME and OP_PASSWORD, or OP_API_KEY" in message
    assert CLOSED.registration in message
    assert client.fetch("ds", now(A, B)).endpoint == A
    assert desk.operator.paths == ["/a", "/a"]


@pytest.mark.parametrize("status", [403, 404])
def test_a_refused_endpoint_is_not_asked_again_for_a_day_by_any_process(
    desk: Desk, status: int
) -> None:
    desk.operator.will("/a", says(status), says())
    desk.operator.will("/b", says())
    assert desk.client().fetch("ds", now(A, B)).endpoint == B
    desk.line.now += 23 * 3600
    assert desk.client().fetch("ds", now(A, B)).endpoint == B
    assert desk.operator.paths == ["/a", "/b", "/b"]
    desk.line.now += 2 * 3600
    assert desk.client().fetch("ds", now(A, B)).endpoint == A


def test_another_dataset_is_not_touched_by_a_refusal(desk: Desk) -> None:
    desk.operator.will("/a", says(404), says())
    desk.operator.will("/b", says())
    desk.client().fetch("one", now(A, B))
    assert desk.client().fetch("two", now(A, B)).endpoint == A


def test_where_all_endpoints_refuse_only_the_first_is_asked_again(desk: Desk) -> None:
    client = desk.client()
    assert "(404)" in refused(client, now(A, B))
    refused(client, now(A, B))
    assert desk.operator.paths == ["/a", "/b", "/a"]
    desk.operator.will("/a", says())
    assert client.fetch("ds", now(A, B)).endpoint == A


def test_a_day_that_every_endpoint_refuses_does_not_block_other_days(desk: Desk) -> None:
    desk.operator.will("/day/20240311", says())
    client = desk.client()
    for _ in range(2):
        with pytest.raises(SourceRefused):
            client.fetch("ds", days(DAY_A, DAY_B), FIRST)
    assert client.fetch("ds", days(DAY_A, DAY_B), SECOND).endpoint == DAY_A
    assert desk.operator.paths == [
        "/day/20240310",
        "/other?date=2024-03-10",
        "/day/20240310",
        "/day/20240311",
    ]


def test_an_endpoint_refused_for_one_day_where_another_answered_is_left_alone_for_all_days(
    desk: Desk,
) -> None:
    desk.operator.will("/other?date=2024-03-10", says())
    desk.operator.will("/other?date=2024-03-11", says())
    client = desk.client()
    for day in (FIRST, SECOND):
        assert client.fetch("ds", days(DAY_A, DAY_B), day).endpoint == DAY_B
    assert desk.operator.paths.count("/day/20240311") == 0


def test_a_404_before_the_day_is_due_means_not_yet_and_is_not_remembered(desk: Desk) -> None:
    client = desk.client(breaker_failures=2)
    for _ in range(3):
        with pytest.raises(NotYetPublished, match=r"not yet published ds for 2024-03-10"):
            client.fetch("ds", days(DAY_A, DAY_B), FIRST, due=False)
    desk.operator.will("/day/20240310", says())
    assert client.fetch("ds", days(DAY_A, DAY_B), FIRST, due=False).endpoint == DAY_A


def test_a_403_before_the_day_is_due_is_a_refusal_all_the_same(desk: Desk) -> None:
    desk.operator.will("/day/20240310", says(403))
    with pytest.raises(SourceRefused, match=r"\(403\)"):
        desk.client().fetch("ds", days(DAY_A), FIRST, due=False)


@pytest.mark.parametrize("status", [400, 406, 410, 422])
def test_other_refusals_are_asked_once_and_fall_back_to_xml(desk: Desk, status: int) -> None:
    desk.operator.will("/a", says(status), says(body=b"<a/>"))
    assert desk.client().fetch("ds", now(A, AX)).format == "xml"
    assert len(desk.operator.seen) == 2


def test_an_unwell_endpoint_falls_back_and_is_tried_again_after_ten_minutes(desk: Desk) -> None:
    desk.operator.will("/a", says(500))
    desk.operator.will("/b", says())
    client = desk.client()
    answer = client.fetch("ds", now(A, B))
    assert (answer.endpoint, answer.attempts) == (B, 4)
    assert client.fetch("ds", now(A, B)).endpoint == B
    assert desk.operator.paths == ["/a", "/a", "/a", "/b", "/b"]
    desk.operator.will("/a", says())
    desk.line.now += 601
    assert client.fetch("ds", now(A, B)).endpoint == A


def test_behind_an_unwell_endpoint_the_others_are_asked_once(desk: Desk) -> None:
    desk.operator.will("/a", says(500))
    desk.operator.will("/b", says(503))
    assert "at a in 3 attempts: it answered 500" in str(unavailable(desk.client(), now(A, B)))
    assert desk.operator.paths == ["/a", "/a", "/a", "/b"]


# Asking again


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again_with_growing_pauses(desk: Desk, status: int) -> None:
    desk.operator.will("/a", says(status), says(status), says())
    answer = desk.client().fetch("ds", now())
    assert answer.attempts == 3
    assert desk.line.naps == [1, 2]
    assert answer.fetched_at == desk.line.instant()


def test_the_message_of_an_exhausted_fetch_names_all_that_is_needed(desk: Desk) -> None:
    desk.operator.will("/a", says(503))
    message = str(unavailable(desk.client()))
    for word in ("The Operator", "ds", "at a", "3 attempts", "503", "ask again later"):
        assert word in message


def test_every_attempt_and_every_redirect_takes_a_slot(desk: Desk) -> None:
    desk.operator.will("/a", says(500), says(302, Location="/there"))
    desk.operator.will("/there", says())
    client = desk.client(limits=(Limit(1, 60),))
    began = desk.line.now
    client.fetch("ds", now())
    assert desk.operator.paths == ["/a", "/a", "/there"]
    assert desk.line.now - began == pytest.approx(2 * 61.2, abs=0.1)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30), ("Thu, 09 Oct 2025 08:54:10 GMT", 50), ("86400", 120), ("junk", 10), (None, 10)],
)
def test_after_a_429_no_process_asks_before_the_time_it_names(
    desk: Desk, header: str | None, seconds: float
) -> None:
    slow_down = says(429) if header is None else says(429, Retry_After=header)
    desk.operator.will("/a", slow_down, says())
    began = desk.line.now
    other = desk.client()
    unavailable(desk.client(attempts=1))
    other.fetch("ds", now())
    assert desk.line.now - began == pytest.approx(seconds, abs=0.05)


def test_a_429_that_keeps_coming_is_paused_for_longer_each_time(desk: Desk) -> None:
    desk.operator.will("/a", says(429), says(429), says())
    began = desk.line.now
    assert desk.client().fetch("ds", now()).attempts == 3
    assert desk.line.now - began == pytest.approx(30, abs=0.1)


def test_a_refused_connection_is_asked_again_and_never_at_another_path(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        desk.operator.port = free.getsockname()[1]
    message = str(unavailable(desk.client(), now(A, B)))
    assert "no connection" in message
    assert "at a in 3 attempts" in message


def test_a_reset_connection_is_asked_again(desk: Desk) -> None:
    def reset(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        sock.close()

    desk.operator.will("/a", reset, says())
    assert desk.client().fetch("ds", now()).attempts == 2


def test_silence_is_cut_at_the_read_timeout_and_asked_again(desk: Desk) -> None:
    desk.operator.will("/a", lambda _: time.sleep(0.6), says())
    began = time.monotonic()
    assert desk.client(read_seconds=0.2).fetch("ds", now()).attempts == 2
    assert time.monotonic() - began < 0.55


# Bodies


CUT = [
    pytest.param(
        says(body=b'{"a": 1', Content_Length="80"), b'{"a": 1', id="shorter than its header"
    ),
    pytest.param(says(body=b'{"a": [1, 2'), b'{"a": [1, 2', id="no closing bracket"),
    pytest.param(says(body=b""), b"", id="empty"),
    pytest.param(says(body=b" \n"), b" \n", id="blank"),
    pytest.param(says(body=b"<html>sorry</html>"), b"<html>sorry</html>", id="a page"),
    pytest.param(
        b'HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"a": 1\r\n',
        b'{"a": 1',
        id="no last chunk",
    ),
    pytest.param(
        says(body=gzip.compress(b'{"a": 1}', mtime=0)[:-4], Content_Encoding="gzip"),
        b'{"a": 1}',
        id="no gzip trailer",
    ),
    pytest.param(says(body=b"no gzip", Content_Encoding="gzip"), b"", id="damaged gzip"),
]


@pytest.mark.parametrize(("reply", "kept"), CUT)
def test_a_cut_body_is_asked_again_and_at_last_handed_over_with_the_error(
    desk: Desk, reply: bytes, kept: bytes
) -> None:
    desk.operator.will("/a", reply)
    error = unavailable(desk.client(attempts=2))
    assert error.body == kept
    assert len(desk.operator.seen) == 2
    desk.operator.will("/a", reply, says())
    assert desk.client().fetch("ds", now()).attempts == 2


def test_a_cut_xml_body_is_asked_again(desk: Desk) -> None:
    desk.operator.will("/a", says(body=b"<a><b"), says(body=b"<a></a>\n"))
    assert desk.client().fetch("ds", now(AX)).attempts == 2


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)),
        ("GZIP", gzip.compress(b'{"a"', mtime=0) + gzip.compress(b": 1}", mtime=0)),
        ("deflate", zlib.compress(b'{"a": 1}')),
        ("identity", b'{"a": 1}'),
    ],
)
def test_compressed_bodies_arrive_decoded(desk: Desk, encoding: str, packed: bytes) -> None:
    desk.operator.will("/a", says(body=packed, Content_Encoding=encoding))
    assert desk.client().fetch("ds", now()).body == b'{"a": 1}'


def test_an_encoding_that_was_not_asked_for_is_refused_once(desk: Desk) -> None:
    desk.operator.will("/a", says(Content_Encoding="br"))
    assert "'br'" in refused(desk.client(), now(A, B))
    assert desk.operator.paths == ["/a"]


def test_a_gzip_bomb_is_refused_once_and_never_grows_in_memory(desk: Desk) -> None:
    zip_ = zlib.compressobj(1, wbits=31)
    bomb = b"".join(zip_.compress(bytes(10**7)) for _ in range(8)) + zip_.flush()
    desk.operator.will("/a", says(body=bomb, Content_Encoding="gzip"))
    client = desk.client(body_cap_mb=1)
    tracemalloc.start()
    message = refused(client, now(A, B))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "larger than 1 MB (body_cap_mb)" in message
    assert peak < 8e6
    assert desk.operator.paths == ["/a"]


def test_a_plain_body_is_capped_too_and_one_at_the_cap_is_taken(desk: Desk) -> None:
    exact = b"[" + b" " * 998 + b"]"
    desk.operator.will("/a", says(body=exact), says(body=exact + b" "))
    client = desk.client(body_cap_mb=0.001)
    assert client.fetch("ds", now()).body == exact
    assert "larger than 0.001 MB" in refused(client)


def drips(head: bytes) -> Callable[[socket.socket], None]:
    def drip(sock: socket.socket) -> None:
        sock.sendall(head)
        for _ in range(60):
            sock.sendall(b"1")
            time.sleep(0.05)

    return drip


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"HTTP/1.1 200 X\r\nX-Slow: ", b""),
        (b"HTTP/1.1 200 X\r\nContent-Length: 60\r\n\r\n", b"1"),
        (b"HTTP/1.1 200 X\r\n\r\n", b"1"),
    ],
    ids=["headers", "body", "body without length"],
)
def test_a_drip_is_cut_at_the_deadline(desk: Desk, head: bytes, kept: bytes) -> None:
    desk.operator.will("/a", drips(head))
    began = time.monotonic()
    error = unavailable(desk.client(attempts=1, total_seconds=0.4, read_seconds=5))
    assert 0.35 < time.monotonic() - began < 0.9
    assert "no whole answer within 0.4 s" in str(error)
    assert error.body[:1] == kept


# TLS


def test_a_drip_over_tls_is_cut_and_an_unknown_certificate_is_no_connection(
    desk: Desk, operators: Callable[..., Server]
) -> None:
    authority = trustme.CA()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    desk.operator = operators(tls=ours)
    desk.operator.will("/a", says(), drips(b"HTTP/1.1 200 X\r\nContent-Length: 60\r\n\r\n"))
    assert "CERTIFICATE_VERIFY_FAILED" in str(unavailable(desk.client(attempts=1)))
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    client = desk.client(
        attempts=1, total_seconds=0.6, transport=httpx.HTTPTransport(verify=theirs)
    )
    client.fetch("ds", now())
    began = time.monotonic()
    assert "no whole answer within 0.6 s" in str(unavailable(client))
    assert time.monotonic() - began < 1.2


# Redirects


def test_a_redirect_within_the_origin_keeps_the_credentials(desk: Desk) -> None:
    desk.operator.will("/a", says(302, Location="/there?x=1"))
    desk.operator.will("/there?x=1", says())
    answer = desk.client(CLOSED, US).fetch("ds", now())
    assert answer.url.endswith("/a")
    assert [r.headers["x-api-key"] for r in desk.operator.seen] == [KEY, KEY]
    assert all("authorization" in r.headers for r in desk.operator.seen)


def test_a_redirect_to_another_port_loses_the_credentials_for_good(
    desk: Desk, operators: Callable[..., Server]
) -> None:
    other = operators()
    desk.operator.will("/a", says(307, Location=f"http://u:p@127.0.0.1:{other.port}/x"))
    other.will("/x", says(302, Location=f"http://127.0.0.1:{desk.operator.port}/back"))
    desk.operator.will("/back", says())
    desk.client(CLOSED, US).fetch("ds", now())
    first, back = (r.headers for r in desk.operator.seen)
    assert "authorization" in first
    for stranger in (other.seen[0].headers, back):
        assert "authorization" not in stranger
        assert "x-api-key" not in stranger


def test_a_redirect_to_another_host_loses_the_credentials(desk: Desk) -> None:
    desk.operator.will("/a", says(301, Location=f"http://localhost:{desk.operator.port}/x"))
    desk.operator.will("/x", says())
    desk.client(CLOSED, US).fetch("ds", now())
    assert "x-api-key" not in desk.operator.seen[1].headers


def test_a_circle_of_redirects_ends_after_five(desk: Desk) -> None:
    desk.operator.will("/a", says(302, Location="/a"))
    assert "more than 5 times" in refused(desk.client())
    assert len(desk.operator.seen) == 6


@pytest.mark.parametrize("location", ["ftp://op.example/x", "file:///etc/passwd", "http://[x"])
def test_a_redirect_out_of_the_web_is_not_followed(desk: Desk, location: str) -> None:
    desk.operator.will("/a", says(302, Location=location))
    client = desk.client(attempts=1)
    with pytest.raises((SourceRefused, SourceUnavailable)):
        client.fetch("ds", now())
    assert len(desk.operator.seen) == 1


# Secrets


@pytest.mark.parametrize(
    "reply",
    [
        says(401),
        says(403),
        says(500),
        says(302, Location="http://[x"),
        says(302, Location=f"ftp://{KEY}/"),
        f"HTTP/9.{KEY} 200 {PASSWORD}\r\n\r\n".encode(),
        says(200, b"", Content_Length=KEY),
        says(Content_Encoding="br"),
    ],
)
def test_no_secret_is_in_an_error_its_chain_a_log_or_a_repr(
    desk: Desk, reply: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    desk.operator.will("/a", reply)
    client = desk.client(CLOSED, US)
    with pytest.raises((SourceRefused, SourceUnavailable)) as caught:
        client.fetch("ds", now())
    out, err = capfd.readouterr()
    for text in (
        "".join(traceback.format_exception(caught.value)),
        out,
        err,
        repr(US),
        repr(vars(client)),
        *(r.getMessage() for r in caplog.records if "receive_response" not in r.getMessage()),
    ):
        for secret in (KEY, PASSWORD, "Basic bWU6"):
            assert secret not in text
    assert desk.operator.seen[0].headers["x-api-key"] == KEY


# The breaker


@on_each_store
def test_after_so_many_failed_fetches_nothing_is_asked_and_the_error_says_until_when(
    desk: Desk,
) -> None:
    desk.operator.will("/a", says(500))
    for _ in range(5):
        unavailable(desk.client(attempts=1))
    until = desk.line.instant() + dt.timedelta(seconds=60)
    assert f"until {until:%Y-%m-%d %H:%M:%S} UTC" in str(unavailable(desk.client(attempts=1)))
    assert len(desk.operator.seen) == 5


@on_each_store
@pytest.mark.parametrize("answer", [says(), says(404)], ids=["answer", "refusal"])
def test_any_answer_in_between_starts_the_count_anew(desk: Desk, answer: bytes) -> None:
    desk.operator.will("/a", says(500), says(500), answer, says(500), says(500), says())
    client = desk.client(attempts=1, breaker_failures=3)
    for asked in range(6):
        outcome = pytest.raises(SourceError) if asked in {0, 1, 3, 4} else nullcontext()
        if asked == 2 and answer == says(404):
            outcome = pytest.raises(SourceRefused)
        with outcome:
            client.fetch("ds", now())
    assert len(desk.operator.seen) == 6


@on_each_store
def test_a_probe_is_one_request_and_its_failure_opens_the_breaker_again(desk: Desk) -> None:
    desk.operator.will("/a", says(500))
    desk.operator.will("/b", says(500))
    client = desk.client(breaker_failures=1, breaker_seconds=30)
    unavailable(client, now(A, B))
    desk.operator.seen.clear()
    desk.line.passes(31)
    unavailable(client, now(A, B))
    assert desk.operator.paths == ["/a"]
    assert "nothing is asked until" in str(unavailable(client, now(A, B)))
    desk.line.passes(31)
    desk.operator.will("/a", says())
    client.fetch("ds", now(A, B))
    client.fetch("ds", now(A, B))


@on_each_store
def test_a_probe_that_dies_is_replaced_when_its_time_is_over(desk: Desk) -> None:
    desk.operator.will("/a", says(500), says())
    client = desk.client(attempts=1, breaker_failures=1, total_seconds=100, connect_seconds=10)
    unavailable(client)
    desk.line.passes(61)
    assert desk.state.claim("breaker:op:probe", 120)
    assert "another process" in str(unavailable(client))
    desk.line.passes(121)
    client.fetch("ds", now())


@on_each_store
def test_a_probe_that_waits_for_its_slot_stays_the_only_one(desk: Desk) -> None:
    desk.operator.will("/a", says(500), says())
    tight = (Limit(1, 210),)
    client = desk.client(attempts=1, breaker_failures=1, limits=tight)
    unavailable(client)
    desk.line.passes(61)
    held: list[bool] = []
    nap = desk.line.sleep

    def sleep(seconds: float) -> None:
        nap(seconds)
        held.append(desk.state.get("breaker:op:probe") is not None)

    desk.line.sleep = sleep  # type: ignore[method-assign]
    desk.client(attempts=1, breaker_failures=1, limits=tight).fetch("ds", now())
    assert len(held) > 140
    assert all(held)


def _probe(folder: Path, config: OperatorConfig, out: "Queue[str]") -> None:
    state = SqliteState(folder / "state.sqlite")
    limiter = SqliteLimiter(folder / "limits.sqlite", config, state)
    with ApiClient(config, OPEN, state, limiter) as client:
        try:
            client.fetch("ds", now())
        except SourceUnavailable as error:
            out.put(str(error))
        else:
            out.put("answered")


def test_of_four_processes_exactly_one_probes_a_half_open_breaker(
    tmp_path: Path, operator: Server
) -> None:
    others_are_refused = threading.Event()

    def slowly(sock: socket.socket) -> None:
        others_are_refused.wait(20)
        sock.sendall(says())

    operator.will("/a", says(500), slowly)
    base = f"http://127.0.0.1:{operator.port}"
    config = OperatorConfig(
        "op", base, (Limit(100, 1),), attempts=1, breaker_failures=1, breaker_seconds=0.3
    )
    out: Queue[str] = FORKS.Queue()
    _probe(tmp_path, config, out)
    assert "500" in out.get(timeout=5)
    time.sleep(0.3)
    workers = [FORKS.Process(target=_probe, args=(tmp_path, config, out)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found = [out.get(timeout=20) for _ in workers[1:]]
    others_are_refused.set()
    found.append(out.get(timeout=20))
    for worker in workers:
        worker.join()
    assert found.count("answered") == 1
    assert sum("another process" in text for text in found) == 3
    assert len(operator.seen) == 2
