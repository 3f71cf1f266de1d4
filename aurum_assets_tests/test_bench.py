"""The benchmarks measure what they say, here with little of everything and nothing promised."""

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aurum_assets.model.clock import DAY, OperatingDay
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.simulator.isone.lmp import lmp_records
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.miso.operator import SIMULATED_MISO
from aurum_assets.simulator.world import Ask, World
from aurum_assets_tests.proofs import samples
from benchmarks import (
    day,
    figures,
    floor,
    latency,
    parsers,
    peer,
    queries,
    scheduled,
)
from benchmarks.figures import Figure
from benchmarks.measure import BenchmarkFailed, Clock, Spent, alternate, import_all, process
from benchmarks.prepare import Sizes, prepare

pytestmark = pytest.mark.slow
SMALL = Sizes(locations=20, nodes=2, ticks=30, tick_locations=20)
DAY_ROWS = 20 * 288


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    made = prepare(folder, SMALL)
    assert made["day"]["objects"] == 24
    assert made["day"]["rows"] == DAY_ROWS
    assert made["ticks"] == 30 * 20
    return folder


def test_product_and_floor_read_the_same_records(prepared: Path, tmp_path: Path) -> None:
    product = day.product(prepared, tmp_path / "home")
    least = floor.floor(prepared, tmp_path / "floor.parquet")
    assert product["rows"] == least["records"] == least["rows"] == DAY_ROWS
    assert product["rebuilt"]
    assert product["quarantined"] == 0
    assert product["seconds"] > 0


def test_a_documented_snapshot_is_committed_and_checked(prepared: Path, tmp_path: Path) -> None:
    text = day.snapshot(prepared, tmp_path / "home")
    assert text["rows"] == 2 * 288
    assert text["quarantined"] == 0


def test_every_tick_is_merged_once_and_counted(prepared: Path, tmp_path: Path) -> None:
    text = day.merges(prepared, tmp_path / "home")
    assert len(text["each"]) == 30
    assert text["rows"] == 30 * 20
    found = {f.name: f for f in figures.merge_figures([Spent(1, 1, text)])}
    assert found["C   rows quarantined"].verdict == "ok"
    assert found["C merge of a tick, mean with compaction"].measured == pytest.approx(
        text["seconds"] / 30
    )


def test_every_query_finds_its_days(prepared: Path, tmp_path: Path) -> None:
    report = queries.queries(prepared, tmp_path / "home", days=32, rounds=1)
    found = report["queries"]
    rows = {name: of["rows"] for name, of in found.items()}
    a_day = rows["a day of all locations, polars"]
    assert a_day == rows["a day of all locations, duckdb"] == DAY_ROWS
    for how in ("polars", "best", "duckdb"):
        assert rows[f"a hub's year, {how}"] == 32 * 288
        assert rows[f"a hub's month, {how}"] == 30 * 288
    assert len(figures.query_figures(found)) == len(found) + 1
    promised = [f.name for f in figures.command_figures(report["commands"]) if f.target]
    assert promised == ["Q aurum --help, CPU", "Q aurum sql select 1", "Q aurum status"]


def test_a_year_of_marts_may_grow_neither_in_time_nor_in_memory() -> None:
    month = Spent(30.0, 20.0, {"code": 0, "peak_mb": 500.0})
    cpu = [9.0, 1.0, 1.0, 1.0, *[1.2] * 5, 1.5, 1.5, 1.5]
    year = Spent(300.0, 200.0, {"code": 3, "peak_mb": 550.0, "rows": 7, "cpu_of_a_day": cpu})
    verdicts = [f.verdict for f in figures.year_figures(month, year, 9) if f.target is not None]
    assert verdicts == ["missed", "ok", "missed"]


def test_every_parser_is_measured_on_as_many_records_beside_its_floor() -> None:
    found = []
    for dataset in (ISONE_RT_LMP, MISO_CTS):
        dialect = dataset.dialects[0]
        found.append(parsers.measured(dataset, dialect, parsers.payload(dataset, dialect, 50)))
    assert [p["rows"] for p in found] == [50, 50]
    itself, other = figures.parser_figures(found)
    assert itself.measured == 1
    assert other.measured is not None
    assert "the floor takes" in other.note


def test_a_profile_names_the_way_from_the_archive(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day.profiled(day.product, prepared, tmp_path / "home")
    assert "normalize" in capsys.readouterr().err


def test_what_the_product_imports_is_imported_before_the_clock(prepared: Path) -> None:
    assert import_all(prepared / "modules.json") < 10


def test_a_clock_notes_what_was_imported_meanwhile() -> None:
    clock = Clock()
    sys.modules.pop("this", None)
    with clock.running():
        sys.modules["this"] = sys
    del sys.modules["this"]
    assert clock.imported == ["this"]


def test_a_process_says_what_it_prints_last_and_what_it_used() -> None:
    spent = process(["-c", "print('noise'); print('{\"seconds\": 2}')"])
    assert spent.seconds == 2
    assert 0 < spent.cpu < 30


def test_a_process_that_fails_is_not_measured() -> None:
    with pytest.raises(BenchmarkFailed, match="no such thing"):
        process(["-c", "raise SystemExit('no such thing')"])


def test_rounds_alternate_and_the_first_does_not_count() -> None:
    order: list[str] = []

    def once(name: str, seconds: float) -> Spent:
        order.append(name)
        return Spent(seconds, seconds, {"seconds": seconds})

    found = alternate({"a": lambda: once("a", 1), "b": lambda: once("b", 2)}, 2, order.append)
    assert [x for x in order if len(x) == 1] == ["a", "b"] * 3
    assert [s.seconds for s in found["b"]] == [2, 2]


def test_a_missed_target_is_reported() -> None:
    found = [Figure("slow", 2, "s", 1), Figure("fast", 1, "s", 1), Figure("absent", None, "s", 1)]
    lines = figures.table(found)
    assert [line.split("  ")[-1].split()[-1] for line in lines[1:3]] == ["missed", "ok"]
    assert lines[3].endswith("not measured")


def test_without_the_peer_its_figure_is_not_measured() -> None:
    results = {"seconds": 1, "cpu": 1, "peak_mb": 1}
    runs: dict[str, Any] = {"product": [Spent(1, 1, results)], "floor": [Spent(1, 1, results)]}
    found = {f.name: f for f in figures.day_figures(runs, "no network")}
    assert found["A product / floor"].measured == 1
    assert found["A product / gridstatus"].verdict == "not measured"
    assert found["A product / gridstatus"].note == "no network"


def test_a_scheduled_run_asks_what_the_schedule_asks() -> None:
    ((partition, config),) = scheduled.asked_at(scheduled.NOON)
    assert partition == "2026-08-04"
    assert config["ops"]["raw__isone_rt_lmp"] == {"config": {"feeds": ["now"]}}


def test_latency_is_reported_by_profile_with_what_is_promised() -> None:
    ticks = [latency.Tick("", 0, 0.1, [n / 10, n / 5], 0.2, 3.0) for n in range(1, 21)]
    cpu, idle = {"worker": 20.0, "daemon": 6.0}, {"worker": 0.0, "daemon": 3.0}
    of = latency.Latency(ticks, seconds=120, cpu=cpu, idle=idle)
    found = {f.name: f for f in figures.latency_figures({"celery": of}, 400)}
    first = found["L celery: due until the first table, p50"]
    assert (first.measured, first.target, first.verdict) == (1.0, 1.0, "ok")
    last = found["L celery: due until the last table, p95"]
    assert (last.measured, last.target, last.verdict) == (3.8, 2.0, "missed")
    assert found["L celery: CPU a tick"].measured == 1.0, "less what is idle"
    assert found["L celery: CPU of a day of all schedules"].measured == 400 + 3 * 24 * 60


def test_a_day_has_a_run_for_each_tick_of_each_schedule() -> None:
    every = [group.cadence.every for group in scheduled.groups() if group.cadence.within_the_day]
    ticks = sum(DAY // one for one in every)
    assert 2 * 288 + 96 <= ticks < latency.runs_a_day() < ticks + 200, "midnights, and daily ones"


def test_a_day_of_schedules_is_the_sum_of_their_runs() -> None:
    found = figures.day_of_schedules(
        [("five", 3, 288, Spent(1, 2, {})), ("one", 1, 1, Spent(9, 9, {}))]
    )
    assert [f.measured for f in found] == [2, 9, 288 * 2 + 9]
    assert found[0].note == "3 datasets, 288 a day"


def test_the_peer_is_locked_with_hashes() -> None:
    lock = peer.LOCK.read_text()
    packages = [line for line in lock.splitlines() if line[:1].isalpha()]
    assert packages
    assert all("==" in line and line.endswith("\\") for line in packages)
    assert "://" not in lock


def miso_answers(now: str) -> dict[str, Any]:
    """Simulated answers of MISO, named as their samples are; the ex-post one is cut as that is."""
    paths = {
        "miso_ex_ante_lmp": "/MarketPricing/GetExAnteLmp",
        "miso_nsi_five_minute": "/Interchange/GetNsi/FiveMinute",
        "miso_binding_constraints": "/BindingConstraints/RealTime",
        "miso_ancillary_mcp": "/MarketPricing/GetAncillaryServicesMcp",
        "miso_five_min_expost_current": "/MarketPricing/GetRealTimeFiveMinExPost/Current",
    }
    world, at = World(locations=2), dt.datetime.fromisoformat(now)
    found = {name: SIMULATED_MISO.answer(world, Ask(p, at)).tree() for name, p in paths.items()}
    table = found["miso_five_min_expost_current"]
    for row in (table["headers"], *table["data"]):
        del row[2:]
    nsi = found["miso_nsi_five_minute"]
    nsi["instance"] = nsi["instance"][:2]
    return found


def miso_displays(now: str) -> dict[str, Any]:
    """Simulated displays of MISO's load and generation, cut to two records as their samples are."""
    world, at = World(), dt.datetime.fromisoformat(now)
    paths = ("/RealTimeTotalLoad", "/FuelMix", "/WindSolar/GetCombined")
    load, mix, wind = (SIMULATED_MISO.answer(world, Ask(p, at)).tree() for p in paths)
    for name in ("ClearedMW", "MediumTermLoadForecast", "FiveMinTotalLoad"):
        del load["LoadInfo"][name][2:]
    del mix["Fuel"]["Type"][2:], wind["instance"][2:]
    return {"miso_total_load": load, "miso_fuel_mix": mix, "miso_wind_solar": wind}


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Files with the names, the sizes and the instants of the real samples."""
    operating_day = OperatingDay.parse("2026-07-27", "America/New_York")
    records = lmp_records(operating_day, [17 * 12 + 5], locations=16)
    load = {"BeginDate": "2026-07-27T17:20:00.000-04:00", "LoadMw": 17031.873}
    load |= {"NativeLoad": 17004.273, "ArdDemand": 27.6}
    load |= {"SystemLoadBtmPv": 19358.383, "NativeLoadBtmPv": 19330.783}
    case = {"CASEAPPROVALDATE": "2026-07-27 8:04:09 AM", "PJMFORECASTEDLMP": "45.73"}
    cases = [{**case, "SOLUTIONTIME": f"2026-07-27 8:{minute}:00 AM"} for minute in ("00", "15")]
    mix: dict[str, Any] = {"BeginDate": "2026-07-27T17:23:19.000-04:00", "GenMw": 228}
    mix |= {"FuelCategory": "Wind", "FuelCategoryRollup": "Renewables", "MarginalFlag": "N"}
    contents: dict[str, Any] = {
        "isone_genfuelmix_current": {"GenFuelMixes": {"GenFuelMix": [mix]}},
        "isone_fiveminutelmp_current": wrapped("FiveMinLmps", "FiveMinLmp", records),
        "isone_fiveminutesystemload_current": {"FiveMinSystemLoad": [load]},
        "miso_cts_live": {"RefId": "27-Jul-2026 - Interval 08:00 EST", "Interval": cases},
        **miso_answers("2026-07-27T08:17:00-05:00"),
        **miso_displays("2026-07-27T08:12:00-05:00"),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_samples_are_stored_as_they_were_sent(answers: Path) -> None:
    (answers / "of_another_feed.json").write_text('{"instance": []}')
    lmp, load, mix, cts, *miso, rest = samples.look(answers)
    displays, more, each = miso[:3], miso[3:8], miso[8:]
    assert "16 rows at 21:25Z" in lmp
    assert "1 row at 21:20Z, 17031.873 MW" in load
    assert "1 fuels at 21:23:19Z" in mix
    assert "2 rows from 13:00Z, published 13:04:09Z, 45.73 and 45.73" in cts
    assert "2 rows each from 05:00Z" in displays[0]
    assert "2 fuels at 13:10Z" in displays[1]
    assert "2 hours each" in displays[2]
    assert "2 hubs, one energy" in more[0]
    assert "20 rows of 10 neighbours" in more[1]
    assert "none of 2 rows has a price, and all are kept out" in more[4]
    assert len(each) == 14
    assert all("no warning of contract" in line and "schema_drift" in line for line in each)
    assert rest == "1 of 13 files are of feeds that no dataset reads"


def test_a_sample_with_a_new_word_differs(answers: Path) -> None:
    path = answers / "isone_genfuelmix_current.json"
    content = path.read_text().replace(
        '"FuelCategoryRollup": "Renewables"', '"FuelCategoryRollup": "Air"'
    )
    path.write_text(content)
    with pytest.raises(samples.Differs, match=r"schema_drift of isone_genfuelmix.*'Air'"):
        samples.look(answers)


def test_a_sample_that_lacks_a_location_differs(answers: Path) -> None:
    path = answers / "isone_fiveminutelmp_current.json"
    content = json.loads(path.read_text())
    content["FiveMinLmps"]["FiveMinLmp"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(samples.Differs, match="number of locations: expected 16, found 15"):
        samples.look(answers)


def test_a_sample_that_is_not_there_fails(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="isone_fiveminutelmp_current"):
        samples.look(tmp_path)
