"""``aurum collect``: what is asked, what is refused before that, what ends a range, the summary."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from aurum_assets.cli.backends import overridden
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import Settings
from aurum_assets.simulator import faults
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Aurum, printed

DAY = "2026-07-20"
LOAD = ("isone", "isone_system_load")
LMP = ("isone", "isone_rt_lmp")
CTS = ("miso-cts",)
SUMMARY = ("candidates", "collected", "duplicates", "failed", "rows")
CANARY = "canary-7f3e"

Collect = Callable[..., Result]


@pytest.fixture
def collect(aurum: Aurum, tmp_path: Path) -> Collect:
    """``aurum collect`` with the archive in a folder, as ``miso-cts`` asks for it."""
    archive = f"file:{tmp_path / 'home' / 'archive'}"
    return lambda *arguments, **more: aurum(
        "collect", *arguments, **{"AURUM_ARCHIVE": archive, **more}
    )


def summary(result: Result) -> tuple[int, ...]:
    return tuple(printed(result)[name] for name in SUMMARY)


def days(result: Result) -> list[dict[str, Any]]:
    return list(printed(result)["days"])


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("isone",), "Missing argument 'DATASET'"),
        (("isone", "isone_da_lnp"), "isone_da_lmp"),
        (("isone", "miso_cts"), "`aurum collect miso miso_cts` asks for it"),
        (("miso_cts",), "No such command"),
        ((*LMP, "--node", "4000"), "No such option"),
        ((*LMP, "--date", "20240230"), "is not a day of the calendar"),
        ((*LMP, "--date", "2026-W30-1"), "expected YYYY-MM-DD"),
        ((*LMP, "--date", "someday"), "expected YYYY-MM-DD"),
        ((*LMP, "--date", ""), "expected YYYY-MM-DD"),
        ((*LMP, "--date", DAY, "--start-date", DAY), "does not go with"),
        ((*LMP, "--start-date", DAY), "go together"),
        ((*LMP, "--end-date", DAY), "go together"),
        ((*LMP, "--start-date", DAY, "--end-date", "2026-07-19"), "lies before --start-date"),
        ((*LMP, "--date", "2023-12-31"), "first day of isone_rt_lmp, which is 2024-01-01"),
        ((*LMP, "--date", "2026-07-22"), "the newest day of isone_rt_lmp is 2026-07-21"),
        ((*LMP, "--date", "9999-12-31"), "lies ahead"),
        ((*LMP, "--feed", "nonsense"), "it has now, prelim_hours, final_hours"),
        ((*CTS, "--date", "2023-12-31"), "first day of miso_cts"),
        ((*CTS, "--interval", "09:03"), "no five-minute mark"),
        ((*CTS, "--interval", "24:00"), "no five-minute mark"),
        ((*CTS, "--interval", "9:05"), "no five-minute mark"),
        ((*CTS, "--interval", "09:05\n"), "no five-minute mark"),
        ((*CTS, "--interval", "\u0660\u0669:05"), "no five-minute mark"),
        ((*CTS, "--node", "../etc"), "no name of a node"),
        ((*CTS, "--node", "a..b"), "no name of a node"),
        ((*CTS, "--node", "a/b"), "no name of a node"),
        ((*CTS, "--node", "a\\b"), "no name of a node"),
        ((*CTS, "--node", "a\x00b"), "no name of a node"),
        ((*CTS, "--node", "a\x1b[31mb"), "no name of a node"),
        ((*CTS, "--node", "a\nb"), "no name of a node"),
        ((*CTS, "--node", ""), "no name of a node"),
        ((*CTS, "--node", "a" * 101), "no name of a node"),
        ((*CTS, "--node", "A", "--feed", "now"), "no feed now that takes node"),
        ((*CTS, "--environment", "test"), "'dev', 'staging', 'prod'"),
        ((*CTS, "--redis-port", "0"), "1<=x<=65535"),
        ((*CTS, "--redis-port", "65536"), "1<=x<=65535"),
        ((*CTS, "--redis-host", "a b"), "name or address of a host"),
        ((*CTS, "--redis-host", "redis://u:p@h"), "name or address of a host"),
        ((*CTS, "--redis-db", "-1"), "0<=x<=65535"),
        ((*CTS, "--s3-bucket", "../etc"), "name of an S3 bucket"),
        ((*CTS, "--s3-bucket", "Bucket"), "name of an S3 bucket"),
        ((*CTS, "--aws-profile", "a\nb"), "name of an AWS profile"),
        ((*CTS, "--log-level", "loud"), "'debug', 'info', 'warning', 'error'"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused_in_one_sentence_before_any_request(
    collect: Collect, market: Running, arguments: tuple[str, ...], sentence: str
) -> None:
    result = collect(*arguments)
    assert result.exit_code == 2, result.output
    error = result.stderr[result.stderr.index("Error: ") :]
    assert sentence in " ".join(error.split())
    assert "Traceback" not in result.output
    assert "\x1b" not in error
    assert market.simulator.requests == []


def test_an_unknown_dataset_is_answered_with_the_near_ones_and_where_all_are(
    collect: Collect,
) -> None:
    stderr = collect("isone", "isone_da_lnp").stderr
    assert [d.key for d in DATASETS if d.key in stderr] == ["isone_da_lmp"]
    assert "collect isone --help` lists them" in stderr
    text = " ".join(collect("isone", "--help").output.split())
    for dataset in DATASETS:
        assert (dataset.key in text) == (dataset.operator.name == "isone")


def test_a_node_that_is_not_answered_for_is_named(collect: Collect) -> None:
    result = collect(*CTS, "--date", DAY, "--node", "NOPE", "--json")
    assert result.exit_code == 0, result.output
    assert printed(result)["rows"] == 0
    (sentence,) = printed(result)["empty"]
    assert f"answered nothing for --node NOPE of {DAY}" in sentence
    assert sentence in result.stderr
    known = collect(*CTS, "--date", DAY, "--node", "MISO.PJM.INTERFACE1", "--json")
    assert (printed(known)["rows"] > 0, printed(known)["empty"]) == (True, [])


def test_without_a_place_for_the_archive_a_schedule_is_not_collected(
    aurum: Aurum, market: Running
) -> None:
    result = aurum("collect", *CTS)
    assert result.exit_code == 2
    assert "--s3-bucket NAME, or AURUM_ARCHIVE=file:/" in result.stderr
    assert market.simulator.requests == []


@pytest.mark.parametrize(
    "text",
    [
        f"user:{CANARY}@",
        f"user:{CANARY}@broker",
        f"user:{CANARY}@broker:port",
        f"{CANARY}@broker:9092",
        f"user:{CANARY}@broker:9092,",
        f"user:{CANARY}@broker:9092 ",
    ],
)
def test_a_wrong_connection_string_is_refused_and_not_repeated(collect: Collect, text: str) -> None:
    result = collect(*CTS, "--kafka-connection-string", text)
    assert result.exit_code == 2
    assert "user:password@broker1:9092,broker2:9092" in result.stderr
    assert CANARY not in result.output


def test_a_connection_string_works_and_warns_that_others_see_it(collect: Collect) -> None:
    text = f"user:{CANARY}@127.0.0.1:1"
    result = collect(*CTS, "--json", "--raw-only", "--kafka-connection-string", text)
    assert result.exit_code == 0, result.output
    assert "warning: --kafka-connection-string shows its password" in result.stderr
    assert CANARY not in result.output


# --- options and variables -----------------------------------------------------------------------


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AURUM_ARCHIVE", "s3://theirs/prefix")
    monkeypatch.setenv("AURUM_REDIS_URL", f"redis://:{CANARY}@theirs:6379/0")
    monkeypatch.setenv("AURUM_KAFKA_BROKERS", "theirs:9092")
    monkeypatch.setenv("AURUM_KAFKA_USERNAME", "theirs")
    monkeypatch.setenv("AURUM_KAFKA_PASSWORD", CANARY)
    return Settings.read()


def test_an_option_takes_the_place_of_all_that_variables_say_of_the_same_server(
    settings: Settings,
) -> None:
    ours = overridden(
        settings,
        {
            "s3_bucket": "ours",
            "redis_host": "ours",
            "redis_port": 7000,
            "kafka_connection_string": "me:secret@ours:9092",
            "environment": "prod",
            "aws_profile": "desk",
        },
    )
    assert (ours.archive, ours.environment, ours.aws_profile) == ("s3://ours", "prod", "desk")
    assert (ours.redis_host, ours.redis_port, ours.redis_db) == ("ours", 7000, 0)
    assert ours.kafka_connection.get_secret_value() == "me:secret@ours:9092"
    assert (ours.kafka_brokers, ours.kafka_username) == ("", "")
    assert CANARY not in str({k: getattr(v, "get_secret_value", v) for k, v in ours})
    assert not ours.redis_url.get_secret_value()
    assert not ours.kafka_password.get_secret_value()
    assert overridden(settings, {}) == settings


def test_a_port_alone_does_not_lead_a_password_to_another_redis(settings: Settings) -> None:
    with pytest.raises(click.UsageError, match="--redis-port needs --redis-host"):
        overridden(settings, {"redis_port": 7000})


def test_any_option_of_redis_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = overridden(Settings.read(), {"redis_db": 3})
    assert (ours.redis_host, ours.redis_port, ours.redis_db) == ("localhost", 6379, 3)
    monkeypatch.setenv("REDIS_HOST", "theirs")
    assert overridden(Settings.read(), {"redis_db": 3}).redis_host == "theirs"


def test_the_help_of_a_schedule_names_every_option_of_the_specification(aurum: Aurum) -> None:
    text = aurum("collect", *CTS, "--help").output
    for option in (
        "--s3-bucket",
        "--start-date",
        "--end-date",
        "--date",
        "--interval",
        "--node",
        "--aws-profile",
        "--environment [dev|staging|prod]",
        "--redis-host",
        "--redis-port",
        "--redis-db",
        "--log-level",
        "--kafka-connection-string",
        "--force",
        "--help",
    ):
        assert option in text
    assert "sourcing/miso_coordinated_transaction_scheduling/year=YYYY/month=MM/day=DD" in text


# --- collecting ----------------------------------------------------------------------------------


def test_collect_asks_archives_and_merges_and_says_so(collect: Collect) -> None:
    result = collect(*LOAD, "--day", DAY, "--json")
    assert result.exit_code == 0, result.output
    assert summary(result) == (1, 1, 0, 0, 288)
    (row,) = days(result)
    assert (row["dataset"], row["day"], row["requests"]) == ("isone_system_load", DAY, 1)
    assert (row["new"], row["changed"], row["quarantined"]) == (288, 0, 0)
    assert summary(collect(*LOAD, "--date", DAY, "--json")) == (1, 0, 1, 0, 0)


def test_the_summary_in_words_holds_the_same_numbers(collect: Collect) -> None:
    result = collect("isone", "system_load", "--date", DAY, "--log-level", "WARNING")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""  # no bar where nobody looks
    names, values = (line.split("\t") for line in result.stdout.splitlines()[-2:])
    found = dict(zip(names, values, strict=True))
    assert [found[name] for name in SUMMARY] == ["1", "1", "0", "0", "288"]
    assert float(found["seconds"]) > 0


def test_collect_can_stop_after_the_archive(collect: Collect, aurum: Aurum) -> None:
    result = collect(*LOAD, "--day", DAY, "--raw-only", "--json")
    assert summary(result) == (1, 1, 0, 0, 0)
    entries = printed(aurum("status", "--json"))["datasets"]
    (entry,) = (e for e in entries if e["dataset"] == "isone_system_load")
    assert (entry["objects"], entry["rows"]) == (1, 0)


def test_collect_takes_a_range_of_days(collect: Collect) -> None:
    result = collect(*LOAD, "--start-date", "2026-07-18", "--end-date", DAY, "--json")
    assert [r["day"] for r in days(result)] == ["2026-07-18", "2026-07-19", DAY]
    assert [r["new"] for r in days(result)] == [288] * 3
    assert summary(result) == (3, 3, 0, 0, 864)


def test_collect_without_a_day_is_today_at_the_operator(collect: Collect) -> None:
    (row,) = days(collect(*LOAD, "--feed", "now", "--json"))
    assert (row["day"], row["new"]) == ("2026-07-21", 1)


def test_collect_of_broken_records_is_exit_code_3(collect: Collect, market: Running) -> None:
    market.simulator.fail(next="wrong_sum", match="/starthour/05")
    result = collect(*LMP, "--day", DAY, "--feed", "prelim_hours", "--json")
    assert result.exit_code == 3, result.output
    (row,) = days(result)
    assert (row["candidates"], row["quarantined"]) == (24, 1)
    assert row["new"] == 288 * 3 - 1


def test_an_answer_that_nobody_can_read_is_exit_code_3_and_the_range_goes_on(
    collect: Collect, market: Running
) -> None:
    market.simulator.fail(next="malformed", match="/day/20260718")
    result = collect(*LOAD, "--start-date", "2026-07-18", "--end-date", "2026-07-19", "--json")
    assert result.exit_code == 3, result.output
    assert summary(result) == (2, 1, 0, 1, 288)
    assert "the bytes are kept at rejected/" in printed(result)["rejected_because"][0]


# --- failures ------------------------------------------------------------------------------------


def test_a_refusal_is_exit_code_1_and_one_sentence_with_the_variables(
    collect: Collect, market: Running
) -> None:
    result = collect(*LMP, "--feed", "now", ISONE_PASSWORD=CANARY, AURUM_LOG_LEVEL="WARNING")
    assert result.exit_code == 1
    assert "ISONE_USERNAME and ISONE_PASSWORD, or ISONE_API_KEY" in result.stderr
    assert CANARY not in result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert [seen.status for seen in market.simulator.requests] == [401]


def test_wrong_credentials_end_a_range_at_the_first_request(
    collect: Collect, market: Running
) -> None:
    span = ("--start-date", "2026-07-11", "--end-date", DAY)
    result = collect(*LOAD, *span, "--json", ISONE_PASSWORD=CANARY)
    assert result.exit_code == 1
    assert len(market.simulator.requests) == 1
    assert (printed(result)["failed"], printed(result)["days_not_asked"]) == (1, 9)
    assert "the other 9 days would fail alike" in result.stderr


def test_without_credentials_nobody_is_asked(collect: Collect, market: Running) -> None:
    nothing = {"ISONE_USERNAME": "", "ISONE_PASSWORD": ""}
    result = collect(*LMP, "--start-date", "2026-07-11", "--end-date", DAY, **nothing)
    assert result.exit_code == 1
    assert "register at https://www.iso-ne.com" in result.stderr
    assert result.stderr.count("FAILED") == 1
    assert market.simulator.requests == []


def test_a_day_that_is_refused_does_not_stop_a_range(collect: Collect, market: Running) -> None:
    market.simulator.fail(next="404", match="/day/20260718", times=9)
    result = collect(*LOAD, "--start-date", "2026-07-17", "--end-date", "2026-07-19", "--json")
    assert result.exit_code == 1
    assert summary(result) == (3, 2, 0, 1, 576)
    assert printed(result)["failed_because"][0].startswith("2026-07-18: ISO New England refused")


def test_a_range_that_failed_in_part_repeats_no_request_that_was_answered(
    collect: Collect, market: Running
) -> None:
    span = (*LOAD, "--start-date", "2026-07-17", "--end-date", "2026-07-19", "--json")
    market.simulator.fail(next="400", match="/day/20260718", times=9)
    assert collect(*span).exit_code == 1
    requests = market.simulator.requests
    before = len(requests)
    market.simulator.faults = faults.Queue()
    again = collect(*span)
    assert len(requests) == before + 1
    assert "/day/20260718" in requests[-1].path
    assert again.exit_code == 0, again.output
    before = len(requests)
    assert collect(*span).exit_code == 0
    assert len(requests) == before + 3, "it was complete: now all is asked for anew"


def test_what_was_archived_before_a_failure_reaches_the_table(
    collect: Collect, market: Running
) -> None:
    market.simulator.fail(next="404", match="/starthour/03", times=9)
    result = collect(*LMP, "--date", DAY, "--feed", "prelim_hours", "--json")
    assert result.exit_code == 1
    assert summary(result) == (24, 23, 0, 1, 23 * 36)


def test_an_operator_that_shows_today_only_ends_a_range_in_one_sentence(
    collect: Collect, market: Running
) -> None:
    market.simulator.world = replace(market.simulator.world, dialect="live")
    result = collect(*CTS, "--start-date", "2026-07-15", "--end-date", DAY, "--json")
    assert result.exit_code == 1
    assert len(market.simulator.requests) == 1
    (reason,) = printed(result)["failed_because"]
    assert "it shows only that day now" in reason
    assert printed(result)["days_not_asked"] == 5


# --- schedules -----------------------------------------------------------------------------------


def test_a_schedule_can_be_asked_for_by_interval_and_node(collect: Collect) -> None:
    day = (*CTS, "--date", DAY, "--json")
    assert summary(collect(*day)) == (1, 1, 0, 0, 2 * 288)
    one = (*day, "--interval", "09:05", "--node", "MISO.PJM.INTERFACE1")
    assert summary(collect(*one)) == (1, 1, 0, 0, 0)  # the day's answer held it before
    assert summary(collect(*one)) == (1, 0, 1, 0, 0)


def test_a_range_of_schedules_is_one_request_a_day_under_the_specified_keys(
    collect: Collect, market: Running, tmp_path: Path
) -> None:
    result = collect(*CTS, "--start-date", "2026-07-19", "--end-date", DAY, "--json")
    assert result.exit_code == 0, result.output
    assert [seen.path.partition("?")[2] for seen in market.simulator.requests] == [
        "date=2026-07-19",
        f"date={DAY}",
    ]
    archive = tmp_path / "home" / "archive"
    assert printed(result)["archive"] == archive.as_uri()
    keys = sorted(str(p.relative_to(archive)) for p in archive.rglob("*.json.gz"))
    root = "sourcing/miso_coordinated_transaction_scheduling/year=2026/month=07"
    assert [key.rpartition("/")[0] for key in keys] == [f"{root}/day=19", f"{root}/day=20"]
    body = json.loads(gzip.decompress((archive / keys[0]).read_bytes()))
    assert body["metadata"]["operatingDay"] == "2026-07-19"


def test_a_schedule_without_a_day_is_the_current_answer(collect: Collect, market: Running) -> None:
    result = collect(*CTS, "--json")
    assert result.exit_code == 0, result.output
    (seen,) = market.simulator.requests
    assert seen.path.endswith("/CoordinatedTransactionScheduling")
    assert summary(result)[:4] == (1, 1, 0, 0)
