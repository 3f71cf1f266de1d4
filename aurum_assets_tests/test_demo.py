"""The demo shows yesterday, live ticks of now and all that the README names; dev opens it calm."""

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner, Result

from aurum_assets import demo, ingest
from aurum_assets.api import OpenLake
from aurum_assets.cli import main
from aurum_assets.graph.alerts import DEMO
from aurum_assets.ingest.reference import EVERY
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.clock import DAY, HOUR
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.conftest import NOON, utc
from aurum_assets_tests.made import made

pytestmark = pytest.mark.slow

AURUM = str(Path(sys.executable).parent / "aurum")
LMP, CTS, LOAD = ISONE_RT_LMP, MISO_CTS, ISONE_SYSTEM_LOAD
YESTERDAY, TODAY = "2026-07-20", "2026-07-21"
HUB = "4000"


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Smaller than ``make demo``: sixteen locations, two nodes, nothing of Dagster's on disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "dagster_instance", lambda _: dg.DagsterInstance.ephemeral())
        simulator = partial(Simulator, locations=16, nodes=2)
        patch.setattr(demo, "run_demo", partial(demo.run_demo, simulator=simulator))
        yield


def home_at(root: Path, configuration: Configuration, now: dt.datetime) -> Resources:
    nowhere = "http://127.0.0.1:1"
    urls = dict.fromkeys(("isone", "miso", "pjm"), nowhere)
    return made(root=root, configuration=configuration, base_urls=urls, clock=SetClock(now))


def set_to(resources: Resources, now: dt.datetime) -> None:
    assert isinstance(resources.clock, SetClock)
    resources.clock.set(now)


@pytest.fixture(scope="module")
def resources(
    tmp_path_factory: pytest.TempPathFactory, configuration: Configuration, small: None
) -> Resources:
    del small
    return home_at(tmp_path_factory.mktemp("demo") / "aurum", configuration, NOON)


@pytest.fixture(scope="module")
def first(resources: Resources) -> Result:
    """The command, as ``make demo`` calls it, at noon."""
    environment = {"AURUM_HOME": str(resources.root), "AURUM_NOW": NOON.isoformat()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [AURUM, "demo"])
        return CliRunner().invoke(main, ["demo"], env=environment)


def lines(result: Result) -> Mapping[str, Mapping[str, str]]:
    """The table on standard output: tab-separated where it is piped."""
    rows = [line.split("\t") for line in result.stdout.splitlines() if line.count("\t") > 3]
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}


def lake(resources: Resources) -> OpenLake:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AURUM_HOME", str(resources.root))
        return OpenLake()


# --- what is there -------------------------------------------------------------------------------


def test_the_demo_is_green_though_one_record_is_kept_out(first: Result) -> None:
    assert first.exit_code == 0, first.output
    found = lines(first)
    marts = {table.name for table in MARTS}
    assert set(found) == {d.key for d in DATASETS} | {one.key for one in EVERY} | marts
    for key, line in found.items():
        kept_out = int(key == CTS.key)
        assert (line["quarantined"], line["checks_failed"]) == (str(kept_out), str(kept_out)), key
        assert int(line["rows"]) == int(line["rows_added"]) > 0
        assert int(line["checks_passed"]) > 0
    assert "1 record kept out on purpose" in first.stdout


def test_progress_is_told_step_by_step(first: Result) -> None:
    lines = first.stderr.splitlines()
    numbers = [line.split()[0] for line in lines]
    assert numbers == [f"{n}/{len(lines)}" for n in range(1, len(lines) + 1)]
    ticks = {"isone_five_minutes": demo.TICKS, "miso_five_minutes": demo.TICKS}
    ticks |= {"miso_fifteen_minutes": 1, "pjm_fifteen_minutes": 1}
    ticks |= {"miso_hourly": 1, "miso_hourly_plus_57": 1}
    ticks |= {"isone_hourly": 1, "isone_hourly_load_forecast_hourly": 1}
    ticks |= {"pjm_five_minutes": demo.TICKS}
    live = [line.split(": ")[-1] for line in lines if "live tick" in line]
    assert {name: live.count(name) for name in live} == ticks


def test_it_ends_with_the_page_of_yesterday(resources: Resources, first: Result) -> None:
    page = Path(first.stdout.splitlines()[-1])
    assert page == resources.root.resolve() / "report" / "2026-07-20.html"
    assert page.read_text().count("<svg") > 5
    assert {path.name for path in page.parent.iterdir()} == {page.name, "index.html"}


def test_yesterday_is_whole_and_today_is_whole_so_far(resources: Resources, first: Result) -> None:
    assert first.exit_code == 0
    held = lake(resources).scan(LMP.key).group_by("operating_day").len().collect()
    until = utc("2026-07-21T15:57:00Z")  # the newest tick
    due = sum(
        mark + dt.timedelta(seconds=25) <= until for mark in LMP.day(TODAY).marks(LMP.interval())
    )
    assert dict(held.rows()) == {
        dt.date(2026, 7, 20): 288 * 16,
        dt.date(2026, 7, 21): due * 16,
    }


def test_a_price_was_corrected_and_is_known_as_it_was(resources: Resources, first: Result) -> None:
    assert first.exit_code == 0
    noon = utc("2026-07-20T12:00:00-04:00")
    hub = (pl.col("location_id") == HUB) & (pl.col("interval_start") == noon)

    def price(rows: pl.LazyFrame) -> float:
        return float(rows.filter(hub).select("lmp").collect().item())

    (was,) = lake(resources).scan(f"{LMP.key}_history").filter(hub).collect()["lmp"].to_list()
    became = price(lake(resources).scan(LMP.key))
    assert was != became
    assert price(lake(resources).as_of(LMP.key, utc("2026-07-20T12:45:00-04:00"))) == was
    assert price(lake(resources).as_of(LMP.key, NOON)) == became


def test_there_is_congestion_and_every_price_is_the_sum_of_its_parts(
    resources: Resources, first: Result
) -> None:
    assert first.exit_code == 0
    rows = (
        lake(resources)
        .scan(LMP.key)
        .filter(pl.col("operating_day") == dt.date(2026, 7, 20))
        .collect()
    )
    apart = (pl.col("lmp") - pl.col("energy") - pl.col("congestion") - pl.col("loss")).abs()
    felt = pl.col("congestion").abs()
    assert rows.filter(felt > 1).height
    assert rows.filter(felt > 200).is_empty()
    assert rows.filter(apart.round(6) > 0.01).is_empty()


def test_final_values_stand_beside_preliminary_ones(resources: Resources, first: Result) -> None:
    assert first.exit_code == 0
    rows = lake(resources).scan(ISONE_RT_HOURLY_LMP.key).group_by("operating_day", "finality").len()
    assert set(rows.collect().rows()) == {
        (dt.date(2026, 7, 19), "prelim", 24 * 16),
        (dt.date(2026, 7, 19), "final", 24 * 16),
        (dt.date(2026, 7, 20), "prelim", 24 * 16),
    }


def test_what_the_demo_says_to_run_next_runs_as_printed_and_shows_rows(first: Result) -> None:
    blocks = [block for block in first.stdout.split("\n\n") if " sql " in block]
    assert len(blocks) == 5
    after_the_table = first.stdout[first.stdout.index("What to look at next") :]
    assert all(len(line) <= 80 for line in after_the_table.splitlines() if AURUM not in line)
    for block in blocks:
        assert block.splitlines()[0].endswith(f'{AURUM} sql "')
        shown = subprocess.run(block, shell=True, capture_output=True, text=True, check=False)  # noqa: S602  as a person would
        assert (shown.returncode, shown.stderr) == (0, "")
        assert len(shown.stdout.splitlines()) > 1, block
        if "quarantine" in block:
            assert "lmp_is_the_sum_of_its_parts" in shown.stdout


# --- what dev opens ------------------------------------------------------------------------------


@pytest.fixture
def opened(resources: Resources, first: Result) -> Iterator[Resources]:
    """The demo's home as a daemon opens it: its looks are forgotten after each test."""
    assert first.exit_code == 0
    keys = ["looked", *(f"gaps:{d.key}" for d in DATASETS)]
    yield resources
    for key in keys:
        resources.state.delete(key)
    resources.alerts.settle_others("late_feed", set())
    set_to(resources, NOON)


@pytest.mark.parametrize(
    ("later", "repairs"),
    [
        (dt.timedelta(), 0),
        (HOUR, 5),  # the hour since then, of what comes every five minutes
        (DAY, 10),
        (10 * DAY, 10),
        (500 * DAY, 10),
    ],
)
def test_dev_opens_calm_however_long_after(
    opened: Resources, later: dt.timedelta, repairs: int
) -> None:
    set_to(opened, NOON + later)
    assert ingest.look(opened, DATASETS, pause=HOUR) == []
    found = ingest.find_gaps(opened, DATASETS)
    assert len(found.repairs) == repairs, [str(repair.gap) for repair in found.repairs]
    asked = {repair.gap.day.date for repair in found.repairs}
    assert all(NOON.date() <= day for day in asked)


def test_after_500_days_nothing_older_than_yesterday_is_repaired(opened: Resources) -> None:
    opened = replace(opened, repairs=1000)
    set_to(opened, NOON + 500 * DAY)
    found = ingest.find_gaps(opened, DATASETS)
    today = LOAD.operator.day_of(opened.now())
    days = {repair.gap.day.key for repair in found.repairs}
    assert days == {today.plus(-1).key, today.key}
    assert found.postponed == 0
    assert ingest.find_finals(opened, DATASETS).out == []


# --- stopped -------------------------------------------------------------------------------------


def test_an_interrupt_ends_the_demo_which_does_not_go_on_with_the_next_step(
    tmp_path: Path, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def interrupting(*, now: Callable[[], dt.datetime], **more: Any) -> Simulator:  # noqa: ANN401  those of Simulator
        def then() -> dt.datetime:
            if lines == lines[:1] != []:  # the first time that it is asked
                lines.append("")
                os.kill(os.getpid(), signal.SIGINT)
            return now()

        return Simulator(now=then, locations=16, nodes=2, **more)

    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(demo, "dagster_instance", lambda _: contextlib.nullcontext(instance))
        with pytest.raises(KeyboardInterrupt):
            demo.run_demo(
                home_at(tmp_path, configuration, NOON), lines.append, simulator=interrupting
            )
        (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert len(lines) == 2


def test_the_next_demo_cancels_what_a_killed_one_left_under_way_and_nothing_else(
    tmp_path: Path, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):
        pass

    def tell(_: str) -> None:
        raise Begun

    @dg.job
    def any_job() -> None:
        pass

    left = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED]
    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(demo, "dagster_instance", lambda _: contextlib.nullcontext(instance))
        runs = [
            instance.create_run_for_job(any_job, status=status, tags=tags).run_id
            for tags in ({DEMO: "true"}, {})
            for status in left
        ]
        with pytest.raises(Begun):
            demo.run_demo(home_at(tmp_path, configuration, NOON), tell)
        found = [run.status if (run := instance.get_run_by_id(key)) else None for key in runs]
    assert found == [dg.DagsterRunStatus.CANCELED] * 2 + left
