"""``aurum_assets.isone``: the specification's snippets, with only the import path changed."""

import asyncio
import contextlib
import datetime as dt
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from pydantic import SecretStr

from aurum_assets import open_lake
from aurum_assets.ingest import collect, days
from aurum_assets.ingest.days import asked_day, asked_days, in_threads
from aurum_assets.isone import (
    DaysFailed,
    IsoNeApiClient,
    IsoNeApiConfig,
    IsoNeCollector,
    IsoNeDatasetConfig,
    load_isone_dataset_configs,
)
from aurum_assets.model.errors import ConfigError, NotYetPublished, SourceRefused
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.wire import Bounds, Wire
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import NOON
from aurum_assets_tests.made import remade

SECRET = "wholesale-secret"  # noqa: S105  nothing is behind it


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, market: Running, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home in the environment, at noon, that reaches the simulated operators."""
    for name in ("ISONE_USERNAME", "ISONE_PASSWORD", "ISONE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AURUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AURUM_NOW", NOON.isoformat())
    monkeypatch.setenv("AURUM_LIMIT_SCALE", "1000")
    monkeypatch.setenv("ISONE_BASE_URL", market.urls["isone"])
    return tmp_path / "home"


@pytest.fixture
def config(market: Running) -> IsoNeApiConfig:
    return IsoNeApiConfig(base_url=market.urls["isone"], api_key="demo-key")


def entry(key: str) -> IsoNeDatasetConfig:
    return {d.key: d for d in load_isone_dataset_configs()}[key]


def wait_for_requests(market: Running, count: int) -> None:
    while len(market.simulator.requests) < count:
        time.sleep(0.01)


def test_the_snippets_of_the_specification_run(config: IsoNeApiConfig) -> None:
    start_date, end_date = dt.date(2026, 7, 19), dt.date(2026, 7, 20)

    async def run() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        datasets = load_isone_dataset_configs()
        collector = IsoNeCollector(datasets[0], config)
        data = await collector.collect(start_date, end_date)
        nodes = await collector.build_node_crosswalk()
        return data, nodes, await collector.harvest_generator_roster()

    data, nodes, generators = asyncio.run(run())
    assert data.columns == entry("isone_da_lmp").dataset.table.names
    assert data.group_by("operating_day").len().sort("operating_day").rows() == [
        (start_date, 72),
        (end_date, 72),
    ]
    assert set(data["location_id"]) <= set(nodes["location_id"])
    assert generators.is_empty()  # prices name no generator


def test_generators_are_named_from_what_was_collected_of_them(config: IsoNeApiConfig) -> None:
    collector = IsoNeCollector(entry("isone_generation_by_resource"), config)
    made = asyncio.run(collector.collect(NOON, NOON))
    roster = asyncio.run(collector.harvest_generator_roster())
    assert set(roster["resource_id"]) == set(made["resource_id"]) != set()
    assert asyncio.run(collector.harvest_generator_roster("2026-07-21")).equals(roster)


def test_what_was_collected_is_in_the_lake_of_the_environment(config: IsoNeApiConfig) -> None:
    data = asyncio.run(IsoNeCollector(entry("isone_da_lmp"), config).collect(NOON, NOON))
    assert open_lake().scan("isone_da_lmp").collect().height == len(data) == 72


def test_collecting_again_adds_nothing_and_gives_the_same(config: IsoNeApiConfig) -> None:
    collector = IsoNeCollector(entry("isone_system_load"), config)
    first = asyncio.run(collector.collect("2026-07-20", "2026-07-20"))
    assert len(first) == 288
    assert asyncio.run(collector.collect("2026-07-20", "2026-07-20")).equals(first)


def test_datasets_say_what_they_are_and_what_config_says_of_them() -> None:
    datasets = load_isone_dataset_configs()
    assert [d.key for d in datasets][:2] == ["isone_da_lmp", "isone_rt_lmp"]
    assert not any(d.key.startswith("miso") for d in datasets)
    first = datasets[0]
    assert first.topic == "aurum.iso.isone.da_lmp.v1"
    assert first.table == "market.isone_da_lmp"
    assert first.columns["lmp"] == "Locational marginal price. [USD/MWh]"
    assert first.feeds == ("day", "now")
    assert first.enabled
    assert first.title in repr(first.dataset.table.doc)
    assert "Units: USD/MWh" in first.doc
    assert repr(first).startswith("IsoNeDatasetConfig(key='isone_da_lmp', title='Hourly day-ahead")


@pytest.mark.parametrize("secret", [SECRET, SecretStr(SECRET)])
def test_secrets_are_shown_by_nobody(secret: str | SecretStr) -> None:
    config = IsoNeApiConfig(username="desk", password=secret, api_key=secret)
    assert SECRET not in repr(config) + str(vars(config)) + repr(config.credentials)
    assert config.credentials.values["ISONE_PASSWORD"].get_secret_value() == SECRET


def test_half_of_a_pair_is_refused() -> None:
    with pytest.raises(ConfigError, match="username and password go together"):
        IsoNeApiConfig(username="desk")


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="base_url must be") as caught:
        IsoNeApiConfig(base_url=f"https://desk:{SECRET}@webservices.iso-ne.com")
    assert SECRET not in str(caught.value)


def test_credentials_are_those_of_the_environment_where_none_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collector = IsoNeCollector(entry("isone_system_load"))
    with pytest.raises(ConfigError, match="ISONE_API_KEY"):
        asyncio.run(collector.collect("2026-07-20", "2026-07-20"))
    monkeypatch.setenv("ISONE_USERNAME", "demo")
    monkeypatch.setenv("ISONE_PASSWORD", "demo-password")
    collector = IsoNeCollector(entry("isone_system_load"))
    assert len(asyncio.run(collector.collect("2026-07-20", "2026-07-20"))) == 288


def test_a_home_of_simulated_data_refuses_the_operator(
    config: IsoNeApiConfig, environment: Path
) -> None:
    dataset = entry("isone_system_load")
    asyncio.run(IsoNeCollector(dataset, config).collect("2026-07-20", "2026-07-20"))
    real = IsoNeApiConfig(base_url="https://webservices.iso-ne.com/api/v1.1", api_key="key")
    with pytest.raises(ConfigError, match="holds simulated data"):
        asyncio.run(IsoNeCollector(dataset, real).collect("2026-07-20", "2026-07-20"))
    elsewhere = environment.parent / "elsewhere"
    other = IsoNeCollector(dataset, config, home=elsewhere)
    assert len(asyncio.run(other.collect("2026-07-20", "2026-07-20"))) == 288
    assert (elsewhere / "archive").is_dir()


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (dt.date(2026, 7, 20), "2026-07-20"),
        (dt.datetime(2026, 7, 20), "2026-07-20"),  # noqa: DTZ001  the case at hand
        (dt.datetime(2026, 7, 20, 3, tzinfo=dt.UTC), "2026-07-19"),
        ("2026-07-20", "2026-07-20"),
        ("20260720", "2026-07-20"),
        ("2026-07-20T23:30:00-04:00", "2026-07-20"),
        ("2026-07-20T03:00:00Z", "2026-07-19"),
        ("2026-07-20T03:00:00", "2026-07-20"),
    ],
)
def test_a_day_is_a_date_an_instant_or_their_text(
    day: dt.date | dt.datetime | str, expected: str
) -> None:
    assert asked_day(ISONE, day).key == expected


@pytest.mark.parametrize("day", ["", "yesterday", "2026-13-01", "2026-07-20T99:00", None, 20260720])
def test_what_is_no_day_is_refused(day: str) -> None:
    with pytest.raises(ValueError, match="is no day: expected a date"):
        asked_day(ISONE, day)


def test_a_range_ends_after_it_starts() -> None:
    with pytest.raises(ValueError, match="2026-07-19, lies before the start, 2026-07-20"):
        asked_days(ISONE, "2026-07-20", "2026-07-19")


def test_days_that_fail_are_named_after_the_others_are_through(
    config: IsoNeApiConfig, market: Running
) -> None:
    market.simulator.fail("404", times=2, match="20260719")
    progress: list[tuple[str, int, int]] = []
    collector = IsoNeCollector(entry("isone_system_load"), config)
    with pytest.raises(DaysFailed, match="1 of 3 days failed: 2026-07-19: ISO New England") as bad:
        asyncio.run(
            collector.collect("2026-07-18", "2026-07-20", progress=lambda *x: progress.append(x))
        )
    assert list(bad.value.errors) == ["2026-07-19"]
    assert isinstance(bad.value.errors["2026-07-19"], SourceRefused)
    assert sorted(key for key, _, _ in progress) == ["2026-07-18", "2026-07-19", "2026-07-20"]
    assert [(n, of) for _, n, of in progress] == [(1, 3), (2, 3), (3, 3)]
    held = open_lake().scan("isone_system_load").select("operating_day").collect()
    assert set(held["operating_day"]) == {dt.date(2026, 7, 18), dt.date(2026, 7, 20)}


def test_a_day_that_no_feed_speaks_of_is_a_day_that_failed(config: IsoNeApiConfig) -> None:
    collector = IsoNeCollector(entry("isone_locations"), config)
    with pytest.raises(DaysFailed, match="no feed of it has 2026-07-20"):
        asyncio.run(collector.collect("2026-07-20", "2026-07-20"))


def test_wrong_credentials_end_a_range_at_the_first_days(market: Running) -> None:
    config = IsoNeApiConfig(base_url=market.urls["isone"], api_key="wrong")
    collector = IsoNeCollector(entry("isone_system_load"), config)
    with pytest.raises(SourceRefused, match="401"):
        asyncio.run(collector.collect("2026-06-01", "2026-07-20", at_once=2))
    assert 1 <= len(market.simulator.requests) <= 4


def test_no_more_days_are_asked_for_at_once_than_is_allowed(
    config: IsoNeApiConfig, market: Running
) -> None:
    market.simulator.fail("hang", times=2, seconds=0.3)
    collector = IsoNeCollector(entry("isone_system_load"), config)
    with pytest.raises(ConfigError, match="at_once is 0"):
        asyncio.run(collector.collect("2026-07-20", "2026-07-20", at_once=0))

    async def count() -> int:
        task = asyncio.create_task(collector.collect("2026-07-01", "2026-07-09", at_once=2))
        await asyncio.to_thread(wait_for_requests, market, 2)
        await asyncio.sleep(0.1)
        seen = len(market.simulator.requests)
        task.cancel()
        await asyncio.wait([task])
        return seen

    assert asyncio.run(count()) == 2


def test_a_cancelled_collection_leaves_no_thread_behind_and_asks_no_more(
    config: IsoNeApiConfig, market: Running
) -> None:
    collector = IsoNeCollector(entry("isone_rt_lmp"), config)

    async def run() -> int:
        task = asyncio.create_task(collector.collect("2026-07-01", "2026-07-09", at_once=2))
        await asyncio.to_thread(wait_for_requests, market, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.1)  # one that was cut may be on its way to the operator yet
        return len(market.simulator.requests)

    seen = asyncio.run(run())
    assert seen < 24
    assert not [t for t in threading.enumerate() if t.name.startswith("aurum")]
    time.sleep(0.1)
    assert len(market.simulator.requests) == seen


def test_no_request_follows_once_the_caller_is_cancelled_whoever_is_told_of_the_progress(
    resources: Resources, market: Running
) -> None:
    own_market = remade(resources, base_urls={"isone": market.urls["isone"]})
    answered, go_on = threading.Event(), threading.Event()

    def progress(_: str) -> None:
        answered.set()
        go_on.wait()

    def job(own: Resources) -> None:
        collect(own, ISONE_RT_LMP, ISONE_RT_LMP.day("2026-07-20"), progress=progress)

    async def run() -> None:
        task = asyncio.create_task(in_threads(own_market, [job]))
        await asyncio.to_thread(answered.wait)
        task.cancel()
        await asyncio.sleep(0.05)  # between two requests: none is there to be cut
        go_on.set()
        await asyncio.wait([task])

    asyncio.run(run())
    assert len(market.simulator.requests) == 1


def test_a_request_of_another_caller_is_not_cut(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its thread has the identifier of one that has ended."""
    wire = Wire(Bounds(5, 5, 5, 10**6), agent="test")
    answers: list[bytes] = []
    others: list[threading.Thread] = []
    asked: list[socket.socket] = []
    operator = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{operator.getsockname()[1]}/"

    def ask(freed: set[int | None]) -> None:
        if threading.get_ident() in freed:
            answers.append(wire.get(url, "application/json", contextlib.nullcontext).body)

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  as it is
            workers = [t for t in threading.enumerate() if t.name.startswith("aurum")]
            super().shutdown(wait, cancel_futures=cancel_futures)
            if wait:
                return
            for worker in workers:
                worker.join()
            freed = {worker.ident for worker in workers}
            while not others or others[-1].ident not in freed:
                others.append(threading.Thread(target=ask, args=(freed,)))
                others[-1].start()
            asked.append(operator.accept()[0])
            asked[0].recv(4096)

    monkeypatch.setattr(days, "ThreadPoolExecutor", Pool)
    asyncio.run(in_threads(resources, [lambda _: None]))
    with operator, contextlib.closing(wire), asked[0]:
        asked[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        for other in others:
            other.join()
    assert answers == [b"{}"]


def test_waiting_for_a_turn_ends_when_the_caller_is_cancelled(resources: Resources) -> None:
    began = threading.Event()

    def job(own: Resources) -> None:
        began.set()
        own.sleep(60)

    async def run() -> float:
        task = asyncio.create_task(in_threads(resources, [job]))
        await asyncio.to_thread(began.wait)
        cancelled = time.monotonic()
        task.cancel()
        await asyncio.wait([task])
        return time.monotonic() - cancelled

    assert asyncio.run(run()) < 1


def test_a_new_home_is_opened_by_many_at_once(resources: Resources, tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def open_it(own: Resources) -> str:
        together.wait()
        own.api(ISONE).close()
        return own.origin

    for i in range(12):
        fresh = remade(resources, root=tmp_path / f"home{i}")
        assert set(asyncio.run(in_threads(fresh, [open_it] * 8, 8))) == {"simulated"}
        assert [p.name for p in fresh.root.iterdir() if "origin" in p.name] == ["origin"]


def test_an_error_of_one_job_ends_the_others_and_is_raised(resources: Resources) -> None:
    def fail(own: Resources) -> None:
        del own
        msg = "a job of no use"
        raise KeyError(msg)

    def wait(own: Resources) -> None:
        own.sleep(60)

    began = time.monotonic()
    with pytest.raises(KeyError, match="a job of no use"):
        asyncio.run(in_threads(resources, [wait, fail, wait], 2))
    assert time.monotonic() - began < 1


def test_a_client_gives_single_answers_and_how_they_came(
    config: IsoNeApiConfig, environment: Path
) -> None:
    prices = entry("isone_rt_lmp")

    async def run() -> None:
        async with IsoNeApiClient(config) as client:
            newest = await client.fetch(prices)
            assert newest.endpoint.name == "fiveminutelmp_prelim_current_all"
            assert (newest.status, newest.format, newest.attempts) == (200, "json", 1)
            assert b"FiveMinLmps" in newest.body
            hour = await client.fetch(prices, "2026-07-20", hour="07", feed="prelim_hours")
            assert hour.url.endswith("/fiveminutelmp/prelim/day/20260720/starthour/07")
            assert hour.body.count(b"BeginDate") == 12 * 3
            load = await client.fetch(entry("isone_system_load"), dt.date(2026, 7, 20))
            assert load.body.count(b"LoadMw") == 288
            with pytest.raises(NotYetPublished):
                await client.fetch(entry("isone_da_lmp"), "2026-07-25")

    asyncio.run(run())
    assert not (environment / "archive").exists()


@pytest.mark.parametrize(
    ("day", "feed", "hour"),
    [
        ("2026-07-20", "", ""),
        (None, "", "07"),
        ("2026-07-20", "now", "07"),
        ("2026-07-20", "prelim_hours", "24"),
        ("2024-03-10", "prelim_hours", "02"),
    ],
)
def test_a_client_says_which_feeds_there_are_where_none_fits(
    config: IsoNeApiConfig, day: str | None, feed: str, hour: str
) -> None:
    client = IsoNeApiClient(config)
    with pytest.raises(ConfigError, match=r"its feeds: now \(asks for no day\), prelim_hours"):
        asyncio.run(client.fetch(entry("isone_rt_lmp"), day, feed=feed, hour=hour))
