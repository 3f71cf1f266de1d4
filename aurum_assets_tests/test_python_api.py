"""The Python API at a prompt, in a script and in a notebook: one call, names, what is shown."""

import asyncio
import datetime as dt
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from aurum_assets import collect, open_lake
from aurum_assets.api import OpenLake
from aurum_assets.api_config import ApiConfig
from aurum_assets.collector import ApiClient, Collector
from aurum_assets.isone import (
    IsoNeApiClient,
    IsoNeApiConfig,
    IsoNeCollector,
    load_isone_dataset_configs,
)
from aurum_assets.miso import MisoApiConfig, MisoCtsCollector
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, ConfigError, DaysFailed, QueryRefused
from aurum_assets.model.shown import Shown
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import NOON, variables

TODAY = "2026-07-21"
PAST = {  # not asked today
    *("isone_rt_hourly_lmp", "isone_regulation_prices", "isone_reserve_prices"),
    "isone_rt_hourly_demand",
}
CANARY = "canary-wholesale-secret"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, market: Running, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A fresh home in the environment, at noon, that reaches the simulated operators."""
    found = variables(tmp_path, market)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


# --- collect -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", DATASETS, ids=[d.key for d in DATASETS])
@pytest.mark.slow
def test_a_day_of_any_dataset_is_collected_in_one_call(dataset: Dataset) -> None:
    day = "2026-07-15" if dataset.key in PAST else TODAY
    rows = collect(dataset.key, day)
    assert len(rows) > 0
    assert dict(rows.schema) == dataset.table.schema
    assert set(rows["operating_day"]) == {dt.date.fromisoformat(day)}
    of_day = pl.col("operating_day") == dt.date.fromisoformat(day)  # an answer may be of several
    held = open_lake().scan(dataset.key).filter(of_day).collect()
    assert rows.equals(held.sort(dataset.table.order))


def test_days_are_included_at_both_ends_and_a_short_name_does() -> None:
    rows = collect("da_lmp", "2026-07-19", dt.date(2026, 7, 20))
    assert rows["operating_day"].unique().sort().to_list() == [
        dt.date(2026, 7, 19),
        dt.date(2026, 7, 20),
    ]
    assert rows.equals(IsoNeCollector("isone_da_lmp").collect_sync("2026-07-19", "2026-07-20"))


def test_it_works_where_a_loop_runs_already_as_in_a_notebook() -> None:
    async def cell() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        ours = IsoNeCollector("system_load")
        awaited = await ours.collect(TODAY, TODAY)
        return collect("isone_system_load", TODAY), ours.collect_sync(TODAY, TODAY), awaited

    one, other, awaited = asyncio.run(cell())
    assert len(one) > 0
    assert one.equals(other)
    assert one.equals(awaited)
    assert not [t for t in threading.enumerate() if t.name.startswith("aurum")]


def test_another_home_is_named_by_its_folder(tmp_path: Path) -> None:
    rows = collect("isone_system_load", TODAY, home=tmp_path / "other")
    assert open_lake(tmp_path / "other").scan("system_load").collect().height == len(rows)
    assert not (tmp_path / "home").exists()


def test_its_errors_are_those_of_the_collectors(market: Running) -> None:
    with pytest.raises(ConfigError, match=r"no dataset 'da_lpm'; did you mean isone_da_lmp"):
        collect("da_lpm", TODAY)
    with pytest.raises(TypeError, match=r"expected the name of a dataset, .*this is of type int"):
        collect(5, TODAY)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'soon' is no day: expected a date"):
        collect("isone_da_lmp", "soon")
    market.simulator.fail("404", times=2, match="20260720")
    with pytest.raises(DaysFailed) as caught:
        collect("isone_system_load", "2026-07-19", "2026-07-20")
    assert list(caught.value.errors) == ["2026-07-20"]


INTERRUPTED = """
import threading
from aurum_assets import collect, open_lake
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
COLLECT = 'collect("isone_rt_lmp", "2026-07-01", "2026-07-20")'
IN_A_LOOP = f"""
    import asyncio
    async def cell():
        {COLLECT}
    asyncio.new_event_loop().run_until_complete(cell())
"""


def started(environment: dict[str, str], call: str) -> "subprocess.Popen[str]":
    """A program that makes one ``call``."""
    return subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-c", INTERRUPTED.format(call=call)],
        env={**environment, "PATH": os.environ["PATH"], "AURUM_ENV_FILE": os.devnull},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(process: "subprocess.Popen[str]") -> str:
    """What a program says that ends well, and within a second or so, of Ctrl-C."""
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 3  # two of it for a busy machine
    assert (err, process.returncode) == ("", 0)
    return out


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("after", [0.01, 0.2, 2.0])  # seconds: before it runs, and while it does
def test_ctrl_c_ends_a_query_within_a_second(environment: dict[str, str], after: float) -> None:
    endless = "select sum(hash(a.range + b.range)) from range(10000000) a, range(10000000) b"
    began = f'threading.Timer({after}, lambda: print("began", flush=True)).start()'
    call = f'lake = open_lake(); {began}; lake.sql("{endless}")'
    process = started(environment, call)
    assert process.stdout
    assert process.stdout.readline() == "began\n"
    assert interrupted(process) == "interrupted\n"


def test_a_program_does_not_end_within_interrupted_work(environment: dict[str, str]) -> None:
    call = """
import time
from aurum_assets.ingest.waiting import waited_for

def work():
    print("began", flush=True)
    time.sleep(2.5)
    print("ended", flush=True)

waited_for(work, lambda: None)
"""
    process = started(environment, call.strip().replace("\n", "\n    "))
    assert process.stdout
    assert process.stdout.readline() == "began\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)  # as people do where nothing happens
    out, err = process.communicate(timeout=30)
    assert (sorted(out.split()), err, process.returncode) == (["ended", "interrupted"], "", 0)


@pytest.mark.parametrize("call", [COLLECT, IN_A_LOOP], ids=["script", "notebook"])
def test_ctrl_c_ends_it_within_a_second_and_nothing_more_is_asked(
    environment: dict[str, str], market: Running, call: str
) -> None:
    market.simulator.fail("hang", times=100, seconds=60)
    process = started(environment, call)
    while len(market.simulator.requests) < 4:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)
    assert interrupted(process) == "interrupted\n"
    assert len(market.simulator.requests) == 4


# --- every async method has a twin ---------------------------------------------------------------


@pytest.mark.parametrize("kind", [ApiClient, IsoNeCollector, IsoNeApiClient, MisoCtsCollector])
def test_every_async_method_has_a_synchronous_twin_that_takes_the_same(kind: type) -> None:
    methods = dict(inspect.getmembers(kind, inspect.iscoroutinefunction))
    methods = {n: m for n, m in methods.items() if not n.startswith("_")}
    assert methods
    for name, method in methods.items():
        twin = getattr(kind, f"{name}_sync")
        assert inspect.signature(twin) == inspect.signature(method)
        assert twin.__name__ == f"{name}_sync"
        assert inspect.getdoc(method) in inspect.getdoc(twin), "shapes, units and errors"  # type: ignore[operator]


def test_single_answers_and_contents_come_without_await() -> None:
    answer = IsoNeApiClient().fetch_sync("isone_system_load", TODAY)
    assert b"LoadMw" in answer.body
    cts = MisoCtsCollector()
    (candidate,) = cts.generate_candidates(TODAY, TODAY)
    content = cts.collect_content_sync(candidate)
    assert cts.validate_content(content).is_valid
    assert len(cts.collect_sync(TODAY, TODAY)) == len(cts.validate_content(content).good)
    ours = IsoNeCollector("da_lmp")
    prices = ours.collect_sync(TODAY, TODAY)
    assert set(prices["location_id"]) <= set(ours.build_node_crosswalk_sync()["location_id"])
    assert ours.harvest_generator_roster_sync().is_empty()


# --- any operator --------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["isone_system_load", "miso_cts"])
def test_one_collector_and_one_client_serve_every_operator(key: str, market: Running) -> None:
    collector = Collector(key)
    operator = collector.dataset.dataset.operator
    assert len(collector.collect_sync(TODAY, TODAY)) > 0
    assert market.urls[operator.name] in repr(collector)
    assert ApiClient().fetch_sync(key).status == 200
    with pytest.raises(ConfigError, match=f"no dataset 'nothing'.*{key}"):
        Collector("nothing")


def test_a_config_is_of_one_operator_and_takes_the_credentials_of_its_variables() -> None:
    given = ApiConfig(ISONE, api_key=CANARY)
    assert repr(given).endswith("api_key=set)")
    assert len(Collector("isone_system_load", ApiConfig(ISONE)).collect_sync(TODAY, TODAY)) > 0
    with pytest.raises(ConfigError, match="username and password go together"):
        ApiConfig(ISONE, username="desk")
    with pytest.raises(TypeError, match="takes username, password, api_key, not token") as caught:
        ApiConfig(ISONE, token=CANARY)
    assert CANARY not in str(caught.value)
    with pytest.raises(TypeError, match="takes no credentials, not api_key"):
        ApiConfig(MISO, api_key=CANARY)
    with pytest.raises(ConfigError, match=r"miso_cts is .*, the config is ISO New England's"):
        Collector("miso_cts", given)


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["isone_da_lmp", "da_lmp", "DA-LMP"])
def test_a_collector_takes_the_name_of_a_dataset(name: str) -> None:
    assert IsoNeCollector(name).dataset.key == "isone_da_lmp"


def test_a_wrong_argument_says_at_once_what_is_expected() -> None:
    known = load_isone_dataset_configs()
    with pytest.raises(
        ConfigError, match=r"no dataset of ISO New England 'miso_cts'.*isone_da_lmp"
    ):
        IsoNeCollector("miso_cts")
    with pytest.raises(TypeError, match="the name of a dataset of ISO New England, for instance"):
        IsoNeCollector(known)  # type: ignore[arg-type]
    for kind in (lambda config: IsoNeCollector("da_lmp", config), IsoNeApiClient):
        with pytest.raises(TypeError, match=r"expected config=IsoNeApiConfig\(api_key=") as caught:
            kind(CANARY)  # type: ignore[arg-type]
        assert CANARY not in str(caught.value)
    with pytest.raises(TypeError, match=r"expected config=MisoApiConfig\(base_url=.*type str"):
        MisoCtsCollector("miso_cts")  # type: ignore[arg-type]


# --- the lake ------------------------------------------------------------------------------------


@pytest.fixture
def lake() -> OpenLake:
    """Day-ahead prices of two days, and load of one."""
    collect("isone_da_lmp", "2026-07-19", "2026-07-20")
    collect("isone_system_load", TODAY)
    return open_lake()


def test_a_folder_without_a_home_is_a_sentence_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"there is no home in {tmp_path / 'hoem'}"):
        open_lake(tmp_path / "hoem")
    with pytest.raises(ConfigError, match=f"there is no home in {tmp_path / 'home'}"):
        open_lake()
    assert list(tmp_path.iterdir()) == []


def test_the_tables_are_a_frame_with_rows_days_and_descriptions(lake: OpenLake) -> None:
    tables = lake.tables()
    assert tables.columns == ["name", "rows", "first_day", "last_day", "description"]
    aside = ("_history", "_sightings")
    assert [n for n in lake.names if not n.endswith(aside)] == tables["name"].to_list()
    assert lake.tables(more=True)["name"].to_list() == lake.names
    held = {row[0]: row[1:4] for row in tables.filter(pl.col("rows") > 0).rows()}
    assert held == {
        "isone_da_lmp": (144, dt.date(2026, 7, 19), dt.date(2026, 7, 20)),
        "isone_system_load": (144, dt.date(2026, 7, 21), dt.date(2026, 7, 21)),
    }
    assert tables["description"].str.len_chars().min() > 10  # type: ignore[operator]


@pytest.mark.parametrize("name", ["isone_da_lmp", "da_lmp", "market.isone_da_lmp", "miso_cts"])
def test_a_table_is_described_by_its_columns(lake: OpenLake, name: str) -> None:
    found = lake.describe(name)
    assert found.columns == ["column", "dtype", "unit", "nullable", "key", "description"]
    (lmp,) = found.filter(pl.col("column") == "lmp").rows()
    assert lmp == ("lmp", "Float64", "USD/MWh", True, False, "Locational marginal price.")
    assert "operating_day" in found.filter("key")["column"].to_list()


@pytest.mark.parametrize(
    "instant",
    [
        "2026-07-21T16:00Z",
        "2026-07-21 16:00",
        "2026-07-21T12:00-04:00",
        NOON,
        NOON.astimezone(dt.timezone(dt.timedelta(hours=-4))),
        dt.date(2026, 7, 21),
        "2026-07-21",
    ],
)
def test_a_table_is_as_of_an_instant_in_the_usual_forms(
    lake: OpenLake, instant: str | dt.datetime | dt.date
) -> None:
    assert lake.as_of("system_load", instant).collect().height == 144
    assert lake.as_of("system_load", dt.date(2026, 7, 20)).collect().height == 0
    assert lake.as_of("system_load", "2026-07-21T15:59:59Z").collect().height == 0


@pytest.mark.parametrize("instant", ["soon", NOON.replace(tzinfo=None)])
def test_what_is_no_instant_is_refused_with_an_example(
    lake: OpenLake, instant: str | dt.datetime
) -> None:
    with pytest.raises(ValueError, match="2026-07-20T12:00Z"):
        lake.as_of("system_load", instant)


def test_sql_gives_a_frame_and_reads_alone(lake: OpenLake) -> None:
    found = lake.sql(
        "select operating_day, count(*) as hours, max(interval_start) as last from isone_da_lmp "
        "where location_id = '4000' group by all order by all"
    )
    assert found.rows() == [
        (dt.date(2026, 7, 19), 24, dt.datetime(2026, 7, 20, 3, tzinfo=dt.UTC)),
        (dt.date(2026, 7, 20), 24, dt.datetime(2026, 7, 21, 3, tzinfo=dt.UTC)),
    ]
    none = lake.sql("select lmp, interval_start from isone_rt_lmp")
    assert dict(none.schema) == {"lmp": pl.Float64(), "interval_start": pl.Datetime("us", "UTC")}
    assert none.is_empty()
    for refused in ("delete from isone_da_lmp", "select * from 'x.csv'", "select * from prices"):
        with pytest.raises(QueryRefused):
            lake.sql(refused)


ONE_DAY = "from isone_da_lmp where operating_day = '2026-07-20'"


@pytest.mark.parametrize("name", ["home", "it's home", "home [1]"])
def test_no_file_of_another_day_is_read(tmp_path: Path, name: str) -> None:
    """Whoever opened the other day's file would fail. To DuckDB ``[1]`` is a pattern."""
    home = tmp_path / name
    collect("isone_da_lmp", "2026-07-19", "2026-07-20", home=home)
    lake = open_lake(home)
    (other,) = (home / "lake/warehouse/market/isone_da_lmp").rglob("operating_day=2026-07-19/*")
    other.write_bytes(b"damaged")
    assert lake.sql(f"select count(*) {ONE_DAY}").item() == 72
    day = pl.col("operating_day") == dt.date(2026, 7, 20)
    assert lake.best("isone_da_lmp").filter(day, location_id="4000").collect().height == 24
    assert lake.as_of("isone_da_lmp", TODAY).filter(day).collect().height == 72
    with pytest.raises(AurumError, match=other.name):
        lake.sql("select * from isone_da_lmp")


def test_a_folder_that_is_called_like_a_column_gives_no_values(tmp_path: Path) -> None:
    home = tmp_path / "lmp=9"
    collect("isone_da_lmp", "2026-07-20", home=home)
    assert open_lake(home).sql("select count(distinct lmp) from isone_da_lmp").item() > 9


def test_a_table_of_the_lake_refuses_to_be_written_to(lake: OpenLake) -> None:
    table = lake.table("isone_da_lmp")
    rows = table.scan().to_arrow()
    assert len(rows) == 144
    with pytest.raises(NotImplementedError):
        table.append(rows)
    assert len(lake.table("isone_da_lmp").scan().to_arrow()) == 144


# --- what is shown -------------------------------------------------------------------------------


def shown(thing: Shown) -> str:
    """At a prompt, and in a notebook."""
    return repr(thing) + str(thing) + thing._repr_html_()


def test_credentials_are_shown_as_set_and_by_what(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "username=set by ISONE_USERNAME, password=set by ISONE_PASSWORD" in repr(
        IsoNeApiConfig()
    )
    given = IsoNeApiConfig(api_key=CANARY)
    assert repr(given).endswith("api_key=set)")
    monkeypatch.setenv("ISONE_API_KEY", CANARY)
    monkeypatch.delenv("ISONE_USERNAME")
    monkeypatch.delenv("ISONE_PASSWORD")
    by_environment = IsoNeApiConfig()
    assert repr(by_environment).endswith("api_key=set by ISONE_API_KEY)")
    for config in (given, by_environment):
        assert config.api_key
        for thing in (config, IsoNeCollector("da_lmp", config), IsoNeApiClient(config)):
            assert "api_key" in repr(thing)
            assert CANARY not in shown(thing) + str(vars(thing))
            assert "''" not in repr(thing)
    monkeypatch.delenv("ISONE_API_KEY")
    assert "credentials=none: set ISONE_USERNAME and ISONE_PASSWORD" in repr(IsoNeApiConfig())


def test_all_that_the_api_gives_shows_itself_in_a_line_and_in_a_notebook(
    lake: OpenLake, tmp_path: Path, market: Running
) -> None:
    cts = MisoCtsCollector()
    (candidate,) = cts.generate_candidates(TODAY, TODAY)
    content = cts.collect_content_sync(candidate)
    expected: list[tuple[Shown, list[str]]] = [
        (lake, [str(tmp_path / "home"), "simulated"]),
        (cts, ["miso_cts", market.urls["miso"]]),
        (MisoApiConfig(), [market.urls["miso"]]),
        (IsoNeCollector("da_lmp"), ["isone_da_lmp", str(tmp_path / "home"), market.urls["isone"]]),
        (load_isone_dataset_configs()[0], ["isone_da_lmp", "Hourly day-ahead"]),
        (IsoNeApiClient().fetch_sync("da_lmp", TODAY), ["200", "2026-07-21T16:00:00Z", "/day/"]),
    ]
    for thing, words in expected:
        assert "\n" not in repr(thing)
        assert [w for w in words if w not in repr(thing)] == []
        assert [w for w in words if w not in thing._repr_html_()] == []
        assert len(repr(thing)) < 500
    assert "144" in lake._repr_html_()
    assert "USD/MWh" in load_isone_dataset_configs()[0]._repr_html_()
    for result in (candidate, content, cts.validate_content(content)):
        assert "object at" not in repr(result)
        assert result._repr_html_().count("<tr>") > 1


def test_what_an_operator_sent_is_no_markup_in_a_notebook() -> None:
    answer = IsoNeApiClient().fetch_sync("da_lmp", TODAY)
    odd = replace(answer, body=b"<script>alert(1)</script>\x1b[2J")
    assert "<script>" not in odd._repr_html_()
    assert "\x1b" not in shown(odd)
