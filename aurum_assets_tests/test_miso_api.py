"""``aurum_assets.miso``: candidates, contents, the nine rules, and the way into the table."""

import asyncio
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurum_assets.miso import (
    DaysFailed,
    MisoApiConfig,
    MisoCtsCandidate,
    MisoCtsCollector,
    MisoCtsContent,
    MisoCtsValidation,
)
from aurum_assets.model.dataset import Envelope, Snapshot
from aurum_assets.model.errors import ConfigError, MalformedPayload, SourceRefused
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets_tests.conftest import NOON
from aurum_assets_tests.recordings import recording

FOLDER = "sourcing/miso_coordinated_transaction_scheduling"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, market: Running, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home in the environment, at noon, that reaches the simulated operator."""
    monkeypatch.setenv("AURUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AURUM_NOW", NOON.isoformat())
    monkeypatch.setenv("AURUM_LIMIT_SCALE", "1000")
    monkeypatch.setenv("MISO_BASE_URL", market.urls["miso"])
    return tmp_path / "home"


@pytest.fixture
def collector() -> MisoCtsCollector:
    return MisoCtsCollector()


def answer() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(recording("miso_cts", "documented", "ordinary").body)
    return document


def content(body: bytes, asked: str = "2026-07-20") -> MisoCtsContent:
    """``body`` as if it had been collected."""
    raw = hashlib.sha256(body).hexdigest()
    envelope = Envelope(
        dataset="miso_cts",
        endpoint="cts_day",
        dialect="documented",
        format="json",
        day="2026-07-20",
        fetched_at=NOON,
        raw_sha256=raw,
        content_sha256=raw,
        asked=asked,
    )
    return MisoCtsContent(Snapshot(envelope, body), "by hand", is_new=True)


def test_there_is_one_candidate_a_day_and_it_says_what_will_be_asked(
    collector: MisoCtsCollector, market: Running
) -> None:
    found = collector.generate_candidates("2026-07-19", dt.date(2026, 7, 21))
    asked = f"{market.urls['miso']}/CoordinatedTransactionScheduling"
    assert [(c.day, c.url) for c in found] == [
        ("2026-07-19", f"{asked}?date=2026-07-19"),
        ("2026-07-20", f"{asked}?date=2026-07-20"),
        ("2026-07-21", asked),  # today's file, which is the live one
    ]
    assert found[0].object_prefix == f"{FOLDER}/year=2026/month=07/day=19/"
    assert market.simulator.requests == []


def test_without_dates_the_candidate_is_the_current_snapshot(
    collector: MisoCtsCollector, market: Running
) -> None:
    (found,) = collector.generate_candidates()
    asked = f"{market.urls['miso']}/CoordinatedTransactionScheduling"
    assert (found.day, found.url, found.feed) == ("2026-07-21", asked, "now")
    assert collector.generate_candidates("2026-07-21", "2026-07-21") == [found]
    content = asyncio.run(collector.collect_content(found))
    assert content.envelope.dialect == "live"


@pytest.mark.parametrize("days", [{"start_date": "2026-07-20"}, {"end_date": "2026-07-20"}])
def test_one_date_without_the_other_is_refused(
    collector: MisoCtsCollector, days: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="start_date and end_date go together"):
        collector.generate_candidates(**days)


@pytest.mark.parametrize(
    ("interval", "fits"),
    [
        ("00:00", True),
        ("09:05", True),
        ("23:55", True),
        ("09:03", False),
        ("24:00", False),
        ("9:05", False),
        ("09:05:00", False),
        ("09:05\n", False),
        ("\uff10\uff19:05", False),
        ("", False),
    ],
)
def test_an_interval_is_hours_and_minutes_on_a_five_minute_mark(
    collector: MisoCtsCollector,
    interval: str,
    fits: bool,  # noqa: FBT001
) -> None:
    assert collector._validate_interval_format(interval) is fits  # noqa: SLF001  the specification's name


def test_candidates_are_narrowed_by_interval_and_node(collector: MisoCtsCollector) -> None:
    (found,) = collector.generate_candidates(
        "2026-07-21", "2026-07-21", interval="09:05", node="MISO.PJM.INTERFACE1"
    )
    assert found.filters == {"interval": "09:05", "node": "MISO.PJM.INTERFACE1"}
    assert found.url.endswith("?date=2026-07-21&interval=09%3A05&node=MISO.PJM.INTERFACE1")
    narrowed = asyncio.run(collector.collect_content(found))
    assert len(json.loads(narrowed.body)["data"]) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"interval": "09:03"}, "no five-minute mark"),
        ({"interval": "24:00"}, "no five-minute mark"),
        ({"node": "a&b"}, "no name of a node"),
        ({"node": ".."}, "no name of a node"),
        ({"end_date": "2026-07-22"}, "2026-07-22 has not begun"),
        ({"end_date": "2026-07-19"}, "lies before the start"),
        ({"end_date": "soon"}, "is no day"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is(
    collector: MisoCtsCollector, market: Running, arguments: dict[str, str], sentence: str
) -> None:
    days = {"start_date": "2026-07-20", "end_date": "2026-07-20"}
    with pytest.raises(ValueError, match=sentence):
        collector.generate_candidates(**{**days, **arguments})
    assert market.simulator.requests == []


@pytest.mark.parametrize("day", ["2026-07-20", "2026-07-21"])
def test_content_is_archived_where_the_candidate_says_and_is_valid(
    collector: MisoCtsCollector, environment: Path, day: str
) -> None:
    (candidate,) = collector.generate_candidates(day, day)
    first = asyncio.run(collector.collect_content(candidate))
    assert first.is_new
    assert first.path.startswith(candidate.object_prefix)
    assert (environment / "archive" / first.path).is_file()
    assert first.envelope.raw_sha256 == hashlib.sha256(first.body).hexdigest()
    result = collector.validate_content(first)
    assert result.is_valid
    assert not result.rejected
    assert len(result.good) == {"2026-07-20": 288 * 2, "2026-07-21": 440}[day]
    assert result.good.columns == MISO_CTS.table.names
    again = asyncio.run(collector.collect_content(candidate))
    assert (again.is_new, again.path, again.body) == (False, first.path, first.body)


def test_what_validates_as_good_is_what_a_collection_merges(collector: MisoCtsCollector) -> None:
    (candidate,) = collector.generate_candidates("2026-07-20", "2026-07-20")
    good = collector.validate_content(asyncio.run(collector.collect_content(candidate))).good
    merged = asyncio.run(collector.collect("2026-07-20", "2026-07-20"))
    assert merged.equals(good.sort(MISO_CTS.table.order))


def _changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    document = answer()
    change(document)
    return json.dumps(document).encode()


def _of_first(path: str, value: object) -> bytes:
    *outer, name = path.split(".")

    def change(document: dict[str, Any]) -> None:
        inner = document["data"][0]
        for step in outer:
            inner = inner[step]
        inner[name] = value

    return _changed(change)


BROKEN = [
    (1, b'{"data": ['),
    (1, _changed(lambda document: document.pop("metadata"))),
    (2, _of_first("forecastedLMP.total", 51.27)),
    (3, _of_first("interval", "09:01")),
    (4, _of_first("forecastedLMP.direction", "sideways")),
    (5, _of_first("transactionVolume.direction", "MISO_TO_SPP")),
    (6, _of_first("forecastedLMP.components.energy", "50")),
    (6, _of_first("forecastedLMP.components.energy", value=True)),
    (7, _of_first("transactionVolume.mwh", -0.1)),
    (8, _changed(lambda document: document["metadata"].update(dataQuality="GUESS"))),
    (9, _changed(lambda document: document["metadata"].update(operatingDay="2026-07-19"))),
]


@pytest.mark.parametrize(("number", "body"), BROKEN)
def test_each_of_the_nine_rules_is_found_by_its_number(
    collector: MisoCtsCollector, number: int, body: bytes
) -> None:
    result = collector.validate_content(content(body))
    assert not result.is_valid
    assert number in {finding.number for finding in result.findings}
    if number in (1, 8, 9):
        assert result.rejected == result.findings[0].reason
        assert result.good.is_empty()
        return
    (finding,) = (f for f in result.findings if f.number == number)
    assert finding.records == 1
    assert finding.reason
    assert (len(result.good), len(result.quarantined)) == (2, 1)


def test_any_finding_rejects_where_config_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    for path in (PROJECT / "config").glob("*_ingest_datasets.json"):
        text = path.read_text().replace(
            '"key": "miso_cts",', '"key": "miso_cts", "on_broken_row": "reject",'
        )
        (folder / path.name).write_text(text)
    monkeypatch.setenv("AURUM_CONFIG", str(folder))
    body = _of_first("transactionVolume.mwh", -0.1)
    result: MisoCtsValidation = MisoCtsCollector().validate_content(content(body))
    assert "volume_is_not_negative" in result.rejected
    assert result.good.is_empty()
    assert [f.number for f in result.findings] == [7]


def test_an_operator_that_shows_today_only_says_so_in_one_sentence(
    market: Running, clock: Callable[[], dt.datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    del market
    with Simulator(clock, dialect="live", limits={}).serve() as live:
        monkeypatch.setenv("MISO_BASE_URL", live.urls["miso"])
        collector = MisoCtsCollector()
        candidates = collector.generate_candidates("2026-07-18", "2026-07-20")
        for candidate in candidates:
            with pytest.raises(SourceRefused, match="shows only"):
                asyncio.run(collector.collect_content(candidate))
        assert len(live.simulator.requests) == 1
        with pytest.raises(DaysFailed, match="3 of 3 days failed"):
            asyncio.run(collector.collect("2026-07-18", "2026-07-20"))
        assert len(live.simulator.requests) == 1


def test_bytes_whose_day_cannot_be_read_are_kept_and_refused(
    collector: MisoCtsCollector, market: Running, environment: Path
) -> None:
    market.simulator.fail("no_data")
    candidate: MisoCtsCandidate
    (candidate,) = collector.generate_candidates("2026-07-20", "2026-07-20")
    with pytest.raises(MalformedPayload, match="the bytes are kept at rejected/miso_cts"):
        asyncio.run(collector.collect_content(candidate))
    assert list((environment / "archive" / "rejected").rglob("*.gz"))


def test_an_address_of_ones_own_is_asked_in_a_home_of_ones_own(
    market: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MISO_BASE_URL")
    collector = MisoCtsCollector(MisoApiConfig(market.urls["miso"]), home=tmp_path / "own")
    rows = asyncio.run(collector.collect("2026-07-20", "2026-07-20", node="MISO.PJM.INTERFACE2"))
    assert set(rows["location"]) == {"MISO.PJM.INTERFACE2"}
    assert (tmp_path / "own" / "archive").is_dir()
    with pytest.raises(ConfigError, match="base_url must be"):
        MisoApiConfig("https://desk:word@misoenergy.org")
