"""Building the marts by dbt: what is stored, what stays, what is refused, which days are due."""

import datetime as dt
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from aurum_assets import open_lake
from aurum_assets.definitions import build as build_definitions
from aurum_assets.graph.marts import mart_assets
from aurum_assets.marts import ahead, changes
from aurum_assets.marts.ahead import parsed_beside
from aurum_assets.marts.build import Built, build_chunk, dbt_left_clean
from aurum_assets.marts.project import FOLDER, marts, with_those_before
from aurum_assets.marts.resumed import build_resumed
from aurum_assets.marts.schemas import files
from aurum_assets.marts.store import Refused, as_stored, restate
from aurum_assets.marts.tables import HUB_PRICES
from aurum_assets.model.errors import ContractBroken
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.home import Home
from aurum_assets.resources.lake import Lake, Merged
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.made import made
from aurum_assets_tests.marts import rows

pytestmark = pytest.mark.slow

MONDAY, TUESDAY = dt.date(2026, 7, 20), dt.date(2026, 7, 21)
FIRST, SECOND, THIRD = (dt.datetime(2026, 7, 22, hour, tzinfo=dt.UTC) for hour in (12, 13, 14))
NAMES = ("hub_prices", "generation_shares", "daily_summary")
_TABLES = {d.table.name: d.table for d in DATASETS}
_HUB = {"location_id": "4000", "location_name": ".H.INTERNAL_HUB", "location_type": "HUB"}


def hours(day: dt.date, price: float) -> list[dict[str, Any]]:
    """A price of the hub for each hour of a day in New York, a dollar more each hour."""
    midnight = dt.datetime(day.year, day.month, day.day, 4, tzinfo=dt.UTC)
    return [
        {
            **_HUB,
            "operating_day": day,
            "interval_start": midnight + dt.timedelta(hours=n),
            "interval_end": midnight + dt.timedelta(hours=n + 1),
            "lmp": price + n,
            "finality": "final",
        }
        for n in range(24)
    ]


def put(resources: Resources, name: str, records: Sequence[dict[str, Any]]) -> None:
    """Merge made-up rows of one day into a market table, fetched now."""
    frame = rows(name, [{**r, "fetched_at": resources.now()} for r in records])
    resources.lake.merge(_TABLES[name], frame.sort(_TABLES[name].order))


@dataclass
class Story:
    """A home of two days: built, then after a price was corrected, then after one became wrong."""

    resources: Resources
    builds: list[Built]
    tables: list[dict[str, pl.DataFrame]]
    due: list[dict[dt.date, list[str]]]
    finished: list[list[dt.date]]
    left: list[Built]
    noted: list[Path]
    parsed: list[int]
    run: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, configuration: Configuration) -> Story:
    clock = SetClock(FIRST)
    root = tmp_path_factory.mktemp("marts") / "home"
    resources = made(root=root, configuration=configuration, clock=clock)
    wanted = list(with_those_before(NAMES).values())

    def due() -> dict[dt.date, list[str]]:
        return changes.changed(resources, wanted)

    def held() -> dict[str, pl.DataFrame]:
        return {m.name: resources.lake.read(m.table) for m in wanted}

    for day in (MONDAY, TUESDAY):
        put(resources, "isone_da_lmp", hours(day, 20.0))
        put(resources, "isone_rt_hourly_lmp", hours(day, 30.0))
    states = [due()]
    left_by_a_kill = root / "marts" / "computed" / "marts.duckdb"
    left_by_a_kill.parent.mkdir(parents=True)
    left_by_a_kill.write_bytes(b"half a database")
    parse = root / "marts" / "target" / "partial_parse.msgpack"
    with parsed_beside(root, resources.config_folder):
        pass
    parsed = [parse.stat().st_mtime_ns]
    builds = [build_chunk(resources, [MONDAY, TUESDAY], NAMES)]
    tables = [held()]
    states.append(due())
    clock.set(SECOND)
    corrected = {**hours(MONDAY, 30.0)[5], "lmp": 99.0}
    put(resources, "isone_rt_hourly_lmp", [corrected])
    states.append(due())
    asked = [MONDAY, TUESDAY]
    finished = [build_resumed(resources, asked, NAMES).finished]  # and is cut short at once
    builds.append(build_chunk(resources, asked, NAMES))
    tables.append(held())
    resumed = build_resumed(resources, asked, NAMES)
    finished.append(resumed.finished)
    left = list(resumed.chunks(print))
    parsed.append(parse.stat().st_mtime_ns)
    noted = list((root / "marts").iterdir())
    clock.set(THIRD)
    noon = dt.datetime(2026, 7, 20, 16, tzinfo=dt.UTC)
    often = [
        {
            **_HUB,
            "interval_start": noon + dt.timedelta(minutes=4 * n),
            "interval_end": noon + dt.timedelta(minutes=4 * n + 4),
            "lmp": 1.0,
            "finality": "prelim",
        }
        for n in range(13)
    ]
    put(resources, "isone_rt_lmp", often)
    with dg.DagsterInstance.ephemeral() as instance:
        run = (
            build_definitions(resources)
            .resolve_job_def("marts_hourly")
            .execute_in_process(
                partition_key=f"{MONDAY}", instance=instance, raise_on_error=False,
                asset_selection=[dg.AssetKey(["marts", n]) for n in ("hub_prices", "dart_spread")],
            )
        )  # fmt: skip
    tables.append(held())
    return Story(resources, builds, tables, states, finished, left, noted, parsed, run)


def test_the_first_build_stores_each_day_and_says_what_it_was_made_from(story: Story) -> None:
    built, held = story.builds[0], story.tables[0]
    assert (built.failed, built.refused) == ({}, {})
    assert built.done["hub_prices"][MONDAY].new == 24
    prices = held["hub_prices"]
    assert prices.schema == HUB_PRICES.schema
    assert prices["da_lmp"].to_list() == [20.0 + n for n in range(24)] * 2
    assert set(prices["computed_at"]) == {FIRST}
    (made_from,) = set(prices["made_from"])
    named = dict(part.split("@") for part in made_from.split(" "))
    assert set(named) == {"isone_da_lmp", "isone_rt_hourly_lmp"}
    found = story.resources.lake.find(_TABLES["isone_da_lmp"])
    assert found is not None
    assert found.snapshot_by_id(int(named["isone_da_lmp"])) is not None


def test_a_mart_whose_tables_hold_nothing_is_empty_and_no_error(story: Story) -> None:
    assert story.tables[0]["generation_shares"].is_empty()
    assert story.builds[0].done["generation_shares"][MONDAY] == Merged(held=0)


def test_each_test_of_dbt_is_told_of_each_day(story: Story) -> None:
    built = story.builds[0]
    assert all(check.passed for check in built.checks)
    told = {(c.mart, c.name, c.day) for c in built.checks}
    expected = {
        (name, test, day)
        for name in NAMES
        for test in marts()[name].tests
        for day in (MONDAY, TUESDAY)
    }
    assert told == expected


def test_a_correction_changes_the_rows_that_depend_on_it_and_no_others(story: Story) -> None:
    built, (before, after) = story.builds[1], story.tables[:2]
    assert {n: {d: m.changed for d, m in by.items()} for n, by in built.done.items()} == {
        "hub_prices": {MONDAY: 1, TUESDAY: 0},
        "generation_shares": {MONDAY: 0, TUESDAY: 0},
        "daily_summary": {MONDAY: 1, TUESDAY: 0},
    }
    fresh = after["hub_prices"].filter(computed_at=SECOND)
    assert fresh.select("interval_start", "rt_lmp").rows() == [
        (dt.datetime(2026, 7, 20, 9, tzinfo=dt.UTC), 99.0)
    ]
    others = after["hub_prices"].filter(computed_at=FIRST)
    assert others.equals(before["hub_prices"].join(fresh, on=HUB_PRICES.key, how="anti"))


def test_a_mart_as_of_an_instant_has_the_values_of_then(story: Story) -> None:
    lake = open_lake(story.resources.root)
    before, after = (
        lake.as_of("hub_prices", at).select(HUB_PRICES.names).collect()
        for at in (SECOND - dt.timedelta(seconds=1), SECOND)
    )
    assert before.equals(story.tables[0]["hub_prices"])
    assert after.equals(story.tables[1]["hub_prices"])


def test_a_mart_is_read_as_any_table_is(story: Story) -> None:
    lake = open_lake(story.resources.root)
    assert lake.scan("hub_prices").collect().height == 48
    assert lake.sql("select count(*) as n from hub_prices").item() == 48
    assert lake.sql("select count(*) as n from marts.hub_prices_history").item() == 1
    assert lake.describe("hub_prices").filter(column="da_lmp")["unit"].item() == "USD/MWh"


def test_days_are_due_until_they_are_built_and_again_when_a_table_changed(story: Story) -> None:
    first, built, corrected = story.due
    assert {day: set(names) for day, names in first.items()} == {
        MONDAY: {"hub_prices", "daily_summary"},
        TUESDAY: {"hub_prices", "daily_summary"},
    }
    assert built == {}
    assert set(corrected) == {MONDAY, TUESDAY}  # the day beside it may depend on it


def test_a_build_that_was_cut_short_goes_on_where_it_was_until_it_ends(story: Story) -> None:
    assert story.finished == [[], [MONDAY, TUESDAY]]
    assert story.left == []
    assert "unfinished.json" not in {path.name for path in story.noted}


def test_nothing_stays_of_what_a_build_computed_nor_of_what_a_killed_one_left(story: Story) -> None:
    assert {path.name for path in story.noted} == {"target", "logs"}


def test_dbt_parses_the_models_once_and_before_the_first_build(story: Story) -> None:
    first, last = story.parsed
    assert first == last


def test_what_parses_ahead_ends_with_the_process_that_wanted_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", ahead.__name__, str(tmp_path), str(PROJECT / "config")]
    ended = subprocess.DEVNULL
    with Home(tmp_path).lock("marts"):  # it would wait for this
        done = subprocess.run(command, stdin=ended, timeout=30, check=False)  # noqa: S603  our own
    assert done.returncode == 3
    assert not (tmp_path / "marts").exists()


def test_a_block_that_fails_waits_for_no_parsing(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    began = time.monotonic()
    with (
        Home(tmp_path).lock("marts"),
        pytest.raises(Stopped),
        parsed_beside(tmp_path, PROJECT / "config"),
    ):
        raise Stopped
    assert time.monotonic() - began < 10


def test_a_day_that_breaks_a_rule_stays_as_it_was_and_its_check_is_red(story: Story) -> None:
    assert not story.run.success
    told: list[Any] = [
        e.event_specific_data
        for e in story.run.all_events
        if e.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    events = {(one.asset_key.path[-1], one.check_name): one for one in told}
    red = events["hub_prices", "rt_intervals_is_within_bounds"]
    assert (red.passed, red.severity, red.description) == (
        False,
        dg.AssetCheckSeverity.ERROR,
        "1 rows",
    )
    assert red.partition == f"{MONDAY}"
    assert events["hub_prices", "key_is_said_once"].passed
    stored = [e.materialization.asset_key for e in story.run.get_asset_materialization_events()]
    assert stored == [dg.AssetKey(["marts", "dart_spread"])]
    assert story.tables[2]["hub_prices"].equals(story.tables[1]["hub_prices"])


def test_the_generated_files_are_as_the_tables_say() -> None:
    for path, text in files().items():
        assert path.read_text() == text, f"{path.name}: run `make schemas`"
    folder = Path(next(iter(files()))).parents[1]
    assert {f.stem for f in (folder / "models").glob("*.sql")} == set(marts())


def test_the_assets_are_those_that_dagster_dbt_makes_of_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of sqlglotrs, which it imports
        from dagster_dbt import build_dbt_asset_specs
    from dbt.cli.main import dbtRunner

    project = ["--project-dir", str(FOLDER), "--profiles-dir", str(FOLDER)]
    place = ["--target-path", str(tmp_path), "--log-path", str(tmp_path)]
    quiet = ["--quiet", "--log-level", "none", "--log-level-file", "none"]
    with dbt_left_clean():
        assert dbtRunner().invoke(["parse", *project, *place, *quiet]).success
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    theirs = {
        spec.key: {dep.asset_key for dep in spec.deps if dep.asset_key.path[0] != "calendar"}
        for spec in build_dbt_asset_specs(manifest=manifest)
    }
    days = dg.DailyPartitionsDefinition("2026-01-01")
    assets = mart_assets(days, DATASETS)
    of_history = {d.table.history.name: d.table.name for d in DATASETS}
    assert {key: set(assets.asset_deps[key]) for key in assets.keys} == {
        key: {dg.AssetKey([p.path[0], of_history.get(p.path[1], p.path[1])]) for p in deps}
        for key, deps in theirs.items()
    }
    tests = {n["name"] for n in manifest["nodes"].values() if n["resource_type"] == "test"}
    names = {
        name if name in marts()[key.asset_key.path[-1]].singular
        else f"{key.asset_key.path[-1]}__{name}"
        for key in assets.check_keys
        for name in [key.name]
    }  # fmt: skip
    assert tests == names


# --- storing -------------------------------------------------------------------------------------


def prices(*values: float, at: dt.datetime = FIRST, start: int = 4) -> pl.DataFrame:
    """Rows of hub_prices on Monday, an hour each."""
    found = [
        {
            "operating_day": MONDAY,
            "operator": "isone",
            "location_id": "4000",
            "interval_start": dt.datetime(2026, 7, 20, start + n, tzinfo=dt.UTC),
            "interval_end": dt.datetime(2026, 7, 20, start + n + 1, tzinfo=dt.UTC),
            "hour_ending": f"{n + 1:02}",
            "on_peak": False,
            "location_name": None,
            "location_type": "hub",
            "da_lmp": value,
            "rt_lmp": None,
            "rt_finality": None,
            "rt_mean_lmp": None,
            "rt_intervals": 0,
        }
        for n, value in enumerate(values)
    ]
    schema = {n: t for n, t in HUB_PRICES.schema.items() if n not in HUB_PRICES.known_by}
    return as_stored(HUB_PRICES, pl.DataFrame(found, schema), at, "nothing")


class CutShort(RuntimeError):
    """In the place of a kill."""


class DyingLake(Lake):
    """A lake whose process dies before a commit of a mart's days, after their history."""

    dies = False

    def swap(self, table: Any, swaps: Any) -> Any:  # noqa: ANN401  as Lake has them
        """As a lake does, unless the process dies."""
        if self.dies:
            raise CutShort
        return super().swap(table, swaps)


def test_a_build_that_was_killed_after_the_history_is_completed_by_the_next(tmp_path: Path) -> None:
    lake = DyingLake.local(tmp_path / "lake")
    assert isinstance(lake, DyingLake)
    restate(lake, HUB_PRICES, prices(1.0, 2.0), [MONDAY], FIRST)
    lake.dies = True
    with pytest.raises(CutShort):
        restate(lake, HUB_PRICES, prices(1.0, 3.0, at=SECOND), [MONDAY], SECOND)
    lake.dies = False
    restate(lake, HUB_PRICES, prices(1.0, 3.0, at=THIRD), [MONDAY], THIRD)
    held, history = lake.read(HUB_PRICES), lake.read(HUB_PRICES.history)
    assert held.select("da_lmp", "computed_at").rows() == [(1.0, FIRST), (3.0, THIRD)]
    assert history.select("da_lmp", "computed_at", "superseded_at").rows() == [(2.0, FIRST, THIRD)]


def test_a_row_that_is_withdrawn_goes_to_the_history(tmp_path: Path) -> None:
    lake = Lake.local(tmp_path / "lake")
    restate(lake, HUB_PRICES, prices(1.0, 2.0), [MONDAY], FIRST)
    done = restate(lake, HUB_PRICES, prices(1.0, at=SECOND), [MONDAY], SECOND)
    assert done[MONDAY].removed == 1  # type: ignore[union-attr]
    assert lake.read(HUB_PRICES)["da_lmp"].to_list() == [1.0]
    assert lake.read(HUB_PRICES.history)["da_lmp"].to_list() == [2.0]


def test_a_day_is_emptied_only_if_its_sources_are(tmp_path: Path) -> None:
    lake = Lake.local(tmp_path / "lake")
    restate(lake, HUB_PRICES, prices(1.0), [MONDAY], FIRST)
    nothing = HUB_PRICES.empty()
    done = restate(lake, HUB_PRICES, nothing, [MONDAY], SECOND, in_sources={MONDAY})
    assert isinstance(done[MONDAY], Refused)
    assert lake.read(HUB_PRICES).height == 1
    restate(lake, HUB_PRICES, nothing, [MONDAY], SECOND)
    assert lake.read(HUB_PRICES).is_empty()


def test_a_sum_in_another_order_is_the_same_value(tmp_path: Path) -> None:
    lake = Lake.local(tmp_path / "lake")
    restate(lake, HUB_PRICES, prices(0.1 + 0.2), [MONDAY], FIRST)
    done = restate(lake, HUB_PRICES, prices(0.3, at=SECOND), [MONDAY], SECOND)
    assert done[MONDAY] == Merged(unchanged=1, held=1)


def test_a_model_with_another_column_is_refused_by_name() -> None:
    frame = prices(1.0).drop(HUB_PRICES.known_by)
    with pytest.raises(ContractBroken, match="the model does not give da_lmp"):
        as_stored(HUB_PRICES, frame.drop("da_lmp"), FIRST, "")
    with pytest.raises(ContractBroken, match="the model gives extra"):
        as_stored(HUB_PRICES, frame.with_columns(extra=1), FIRST, "")
    naive = frame.with_columns(pl.col("interval_start").dt.replace_time_zone(None))
    with pytest.raises(ContractBroken, match="interval_start has no zone"):
        as_stored(HUB_PRICES, naive, FIRST, "")
