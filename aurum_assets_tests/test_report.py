"""The report: what its pages show is what the tables hold, on ordinary days and on others."""

import html
import re
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import lxml.html
import polars as pl
import psutil
import pytest
from click.testing import CliRunner, Result

from aurum_assets import ingest
from aurum_assets.cli import main
from aurum_assets.definitions import build
from aurum_assets.model.checks import Verdict
from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.model.drift import Severity
from aurum_assets.model.errors import QueryRefused
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.pjm.operator import PJM
from aurum_assets.report import vega
from aurum_assets.report.figures import Figure
from aurum_assets.report.hours import Hours
from aurum_assets.report.page import Written, pages_in, write_report
from aurum_assets.report.prices import prices
from aurum_assets.report.quality import calendar
from aurum_assets.report.reading import reading_of
from aurum_assets.resources.alerts import Incident
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.lake import Lake
from aurum_assets_tests.conftest import printed
from aurum_assets_tests.made import made
from aurum_assets_tests.report_homes import (
    AUTUMN,
    DAYS,
    GAP,
    HUB,
    NEGATIVE,
    NOW,
    ORDINARY,
    SCARCE,
    SCARCITY,
    SPRING,
    ZONES,
    fill,
    put,
)

PASSWORD, HOOK = "a-password-of-ours", "https://hooks.example.org/services/T0/B0/secret"
OUTWARD = re.compile(
    r"https?:|//[a-z]|\bsrc=|<script|url\(|@import|javascript:|<link[^>]+href=\"[^d]"
)


@dataclass
class Desk:
    """A home, and its page of a day."""

    resources: Resources
    folder: Path
    written: dict[str, Written]

    def text(self, date: str = ORDINARY) -> str:
        return self.written[date].path.read_text()

    def page(self, date: str = ORDINARY) -> Any:  # noqa: ANN401  the answers of XPath are of any type
        return parsed(self.text(date))


def parsed(text: str) -> Any:  # noqa: ANN401  the answers of XPath are of any type
    return lxml.html.fromstring(text)


def _home(root: Path, configuration: Configuration) -> Resources:
    return made(
        root=root,
        configuration=configuration,
        credentials={
            "isone": Credentials.of(ISONE, "ours", PASSWORD),
            "pjm": Credentials.of(PJM, "a-key-of-pjm"),
        },
        clock=lambda: NOW,
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, configuration: Configuration) -> Desk:
    folder = tmp_path_factory.mktemp("report")
    resources = _home(folder / "home", configuration)
    fill(resources)
    pages = folder / "pages"
    return Desk(
        resources,
        pages,
        {date: write_report(resources, DATASETS, date, pages) for date in (AUTUMN, ORDINARY)},
    )


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, configuration: Configuration) -> Desk:
    folder = tmp_path_factory.mktemp("nothing")
    resources = _home(folder / "home", configuration)
    return Desk(
        resources, folder, {ORDINARY: write_report(resources, DATASETS, ORDINARY, folder / "pages")}
    )


def shown(desk: Desk, name: str, date: str) -> Figure:
    """A figure of a day, without a page around it."""
    with reading_of(desk.resources, DATASETS) as reading:
        return next(figure for figure in prices(reading, date) if figure.name == name)


def numbers(text: str) -> list[float]:
    """The prices in a sentence."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace(",", "")
    return [float(found) for found in re.findall(r"-?\d+\.\d\d", plain)]


# --- the page as a file --------------------------------------------------------------------------


def test_a_page_loads_nothing_and_runs_nothing(desk: Desk, empty: Desk) -> None:
    index = desk.written[ORDINARY].index.read_text()
    for text in (desk.text(), desk.text(AUTUMN), empty.text(), index):
        drawn = re.sub(r"(?s)<pre>.*?</pre>", "", text)
        assert OUTWARD.findall(drawn) == []
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        assert f'content="{html.escape(policy, quote=False)}"' in text
        linked = {a.get("href") for a in parsed(text).iter("a")}
        assert all(re.fullmatch(r"#\w+|(\d{4}-\d\d-\d\d|index)\.html", link) for link in linked)
    assert OUTWARD.search('<img src="x">')
    assert OUTWARD.search("background: url(x)")


def test_a_page_is_far_smaller_than_two_megabytes(desk: Desk) -> None:
    for written in desk.written.values():
        assert written.path.stat().st_size == written.bytes < 1_000_000


def test_no_two_parts_of_a_page_have_one_id(desk: Desk) -> None:
    ids = [element.get("id") for element in desk.page().iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 15


def test_each_chart_of_an_ordinary_day_has_marks(desk: Desk) -> None:
    found = {}
    for figure in desk.page().iter("figure"):
        paths = [p.get("d") or "" for p in figure.xpath(".//svg//path")]
        if figure.find(".//svg") is not None:
            found[figure.get("id")] = max(len(re.findall("[MLHVhv]", d)) for d in paths)
    operators = ("isone", "miso", "pjm")
    expected = {f"{o}-{kind}" for o in operators for kind in ("hub", "zones")}
    expected |= {"seam-fan", "seam-spread", "seam-flow", "isone-load", "isone-mix"}
    assert set(found) == expected
    assert all(marks >= 4 for marks in found.values()), found  # a rectangle
    assert min(found[name] for name in ("isone-hub", "miso-hub", "seam-flow", "isone-load")) > 250


def test_the_colours_of_lines_are_those_of_the_page(desk: Desk) -> None:
    style = desk.page().findtext(".//style")
    used = set(re.findall(r"var\(--([\w-]+)\)", re.sub(r"(?s)<style>.*?</style>", "", desk.text())))
    assert {"ink", "muted", "grid", "ahead", "real", "f-gas"} <= used
    assert style is not None
    for name in used - {"p"}:  # a day's own completeness
        assert f"--{name}:" in style


def test_a_page_that_is_written_again_replaces_the_earlier_one(empty: Desk, tmp_path: Path) -> None:
    old = tmp_path / f"{ORDINARY}.html"
    old.write_text("the earlier one")
    (tmp_path / "notes.html").write_text("somebody's")
    written = write_report(empty.resources, DATASETS, ORDINARY, tmp_path)
    assert written.path == old
    assert "the earlier one" not in old.read_text()
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {old.name, "index.html", "notes.html"}


def test_the_newest_pages_stay_and_the_index_lists_them(empty: Desk, tmp_path: Path) -> None:
    for day in ("2026-10-01", "2026-10-02", "2026-10-03"):
        (tmp_path / f"{day}.html").write_text("a page")
    written = write_report(empty.resources, DATASETS, ORDINARY, tmp_path, keep=3)
    assert pages_in(tmp_path) == [ORDINARY, "2026-10-03", "2026-10-02"]
    index = parsed(written.index.read_text())
    listed = [a.get("href") for a in index.xpath("//*[@id='days']//a")]
    assert listed == [f"{day}.html" for day in pages_in(tmp_path)]
    page = parsed(written.path.read_text())
    assert [a.text for a in page.xpath("//nav/a")][:2] == ["All days", "2026-10-03"]


# --- commands and asset -------------------------------------------------------------------------


def command(desk: Desk, *line: str) -> Result:
    environment = {"AURUM_HOME": str(desk.resources.root), "AURUM_NOW": NOW.isoformat()}
    return CliRunner(env=environment).invoke(main, line)


def chart(**more: object) -> dict[str, Any]:
    return {"data": {"values": [{"x": 1}]}, "mark": "point", **more}


def test_a_process_beside_draws_what_is_drawn_here() -> None:
    with vega.beside() as process:
        asked = [vega.svg(chart(**c)) for c in ({"width": 100}, {"mark": 3}, {"width": 200})]
        found = [asked[2](), asked[0]()]
        with pytest.raises(ValueError, match="conversion failed"):
            asked[1]()
        assert psutil.Process(process.pid).cpu_times().user > 0
    assert process.returncode is not None
    assert found == [vega.svg(chart(width=width))() for width in (200, 100)]
    assert found[0] != found[1]


def test_a_process_that_was_lost_costs_no_chart() -> None:
    with vega.beside() as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
        asked = [vega.svg(chart(width=width)) for width in (100, 200)]
        assert all(drawn().startswith("<svg") for drawn in asked)


def test_the_command_writes_the_page_of_a_day_and_says_where(desk: Desk, tmp_path: Path) -> None:
    done = command(desk, "report", "--day", ORDINARY, "--output", str(tmp_path), "--json")
    told = printed(done)
    assert told["path"] == str((tmp_path / f"{ORDINARY}.html").resolve())
    assert told["bytes"] == (tmp_path / f"{ORDINARY}.html").stat().st_size
    assert 0 < told["charts"] < told["figures"]
    assert (tmp_path / "index.html").exists()


def test_the_command_refuses_what_it_cannot_do(desk: Desk, tmp_path: Path) -> None:
    wrong = command(desk, "report", "--day", "2026-02-30")
    assert wrong.exit_code == 2
    assert "not a day of the calendar" in wrong.stderr
    (tmp_path / "file").write_text("")
    taken = command(desk, "report", "--day", ORDINARY, "--output", str(tmp_path / "file" / "below"))
    assert taken.exit_code == 1
    assert "cannot be written: Not a directory" in taken.stderr


def test_the_board_has_a_line_for_each_dataset_with_its_newest_checks(desk: Desk) -> None:
    lines = {line["dataset"]: line for line in printed(command(desk, "board", "--json"))["board"]}
    collected = {d.key for d in DATASETS if d.operator is not PJM}
    assert set(lines) == collected | {"pjm_rt_lmp"}  # without a key, and held
    line = lines["isone_rt_lmp"]
    assert line["last_interval"] == "2026-11-02T04:55:00+00:00"
    assert line["lag_seconds"] == 12 * 3600 + 5 * 60
    assert (line["checked_day"], line["failed"], line["warned"]) == (AUTUMN, 1, 1)
    assert line["kept_out"] == 1
    assert lines["isone_da_lmp"]["checked_day"] is None


def test_the_board_counts_open_alerts_of_a_dataset(empty: Desk) -> None:
    incident = Incident("late_feed", "isone_rt_lmp", "prelim", "prelim is late")
    empty.resources.alerts.raise_(incident)
    found = {line.dataset: line.alerts for line in ingest.board(empty.resources, DATASETS)}
    assert found["isone_rt_lmp"] == 1
    assert sum(found.values()) == 1
    empty.resources.alerts.settle("late_feed", "isone_rt_lmp", "prelim")


def test_what_checks_said_is_remembered_until_they_speak_again(empty: Desk) -> None:
    def verdict(severity: Severity, *, passed: bool) -> Verdict:
        return Verdict("contract", passed, severity, 1, "because " * 100)

    ingest.remember_verdicts(empty.resources, ISONE_RT_LMP, SPRING, [verdict("WARN", passed=False)])
    again = [verdict("ERROR", passed=False), verdict("ERROR", passed=True)]
    ingest.remember_verdicts(empty.resources, ISONE_RT_LMP, SPRING, again)
    judged = ingest.recalled_verdicts(empty.resources, ISONE_RT_LMP, SPRING)
    assert judged is not None
    assert (judged.passed, judged.warnings, judged.errors, judged.at) == (1, 0, 1, NOW)
    assert len(judged.failed[0].reason) == 500
    assert ingest.recalled_verdicts(empty.resources, ISONE_RT_LMP, AUTUMN) is None


def test_the_asset_writes_the_page_into_the_home_and_links_to_it(desk: Desk) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        done = (
            build(desk.resources)
            .resolve_job_def("report")
            .execute_in_process(partition_key=SCARCITY, instance=instance)
        )
    (made_of,) = done.asset_materializations_for_node("desk_report")
    told: dict[str, Any] = {name: value.value for name, value in made_of.metadata.items()}
    page = desk.resources.root / "report" / f"{SCARCITY}.html"
    assert told["page"] == str(page.resolve())
    assert told["link"] == page.resolve().as_uri()
    assert told["bytes"] == page.stat().st_size
    hub = shown(desk, "isone-hub", SCARCITY)
    assert (hub.title, hub.says) in {
        (record.data["chart"], record.data["says"]) for record in told["charts"].records
    }


def test_the_page_of_yesterday_is_asked_for_daily_and_that_of_today_hourly(desk: Desk) -> None:
    repository = build(desk.resources).get_repository_def()
    asked = {}
    for name in ("daily", "hourly"):
        schedule = repository.get_schedule_def(f"report_{name}_schedule")
        with dg.build_schedule_context(
            scheduled_execution_time=NOW, repository_def=repository
        ) as context:
            (request,) = schedule.evaluate_tick(context).run_requests or []
        asked[name] = request.partition_key
    assert asked == {"daily": AUTUMN, "hourly": "2026-11-02"}


# --- what it shows -------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, configuration: Configuration) -> Resources:
    """A home with two prices of one table."""
    resources = _home(tmp_path / "home", configuration)
    for hour in (1, 2):
        _price(resources, hour)
    return resources


def _price(resources: Resources, hour: int) -> None:
    start = ISONE_RT_LMP.day(ORDINARY).start + hour * HOUR
    row = {"interval_start": start, "interval_end": start + FIVE_MINUTES, "finality": "prelim"}
    prices = {"location_id": "4000", "lmp": 40.0, "energy": 40.0, "congestion": 0.0, "loss": 0.0}
    put(resources, "isone_rt_lmp", ORDINARY, [row | prices])


_COUNT = "select count(*) as n from isone_rt_lmp"


def test_a_page_shows_each_table_as_it_was_when_first_read(small: Resources) -> None:
    with ingest.queries(small) as rows:
        assert rows(_COUNT)["n"].to_list() == [2]
        _price(small, 3)
        assert rows(_COUNT.replace("isone_", ""))["n"].to_list() == [2]
        assert rows("select * from miso_cts_vintage('2h')").is_empty(), "which nothing named before"
    with ingest.queries(small) as rows:
        assert rows(_COUNT)["n"].to_list() == [3]


def test_queries_see_only_the_tables_and_go_on_after_one_that_is_refused(small: Resources) -> None:
    with ingest.queries(small) as rows:
        for text, sentence in (
            ("select * from read_text('/etc/passwd')", "sees only the tables of this home"),
            ("set enable_external_access = true", "this is SET"),
            ("select nope from isone_rt_lmp", 'column "nope" not found'),
            ("drop view isone_rt_lmp", "this is DROP"),
        ):
            with pytest.raises(QueryRefused, match=re.escape(sentence)):
                rows(text)
            assert rows(_COUNT)["n"].to_list() == [2]


def test_files_outside_the_warehouse_are_read_as_well(
    small: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lake, "place", "file:///a/warehouse/that/was/moved")
    with ingest.queries(small) as rows:
        assert rows(_COUNT)["n"].to_list() == [2]


def test_each_select_of_a_page_runs_and_gives_rows(desk: Desk) -> None:
    commands = [pre.text_content() for pre in desk.page().iter("pre")]
    selects = [shlex.split(c)[2] for c in commands if c.startswith("aurum sql ")]
    assert len(selects) > 12
    for select in selects:
        assert not set(select) & set('"$`\\!'), "a shell would read it otherwise"
        if not re.search("miso_load|miso_fuel", select):  # of which nothing is held
            with ingest.query(desk.resources, select) as batches:
                assert sum(map(len, batches)), select
    others = {c for c in commands if not c.startswith("aurum sql ")}
    assert others == {"aurum board", "aurum board --json", "aurum alerts", "aurum plan"}


def test_extremes_and_means_of_a_hub_are_those_of_the_table(desk: Desk) -> None:
    day = ISONE_RT_LMP.day(ORDINARY)
    rows = desk.resources.lake.read(ISONE_RT_LMP.table, {"operating_day": day.date})
    hub = rows.filter(location_id=HUB[0]).sort("lmp")
    figure = shown(desk, "isone-hub", ORDINARY)
    assert numbers(figure.says) == [hub["lmp"][-1], hub["lmp"][0]]
    assert hub["lmp"][-1] == 99.75  # the corrected one, at midnight
    assert "99.75 at 00:00" in figure.says
    assert figure.grid is not None
    means = dict(zip(figure.grid.names, figure.grid.rows[0], strict=True))
    assert means["real-time, 5 min"] == f"{hub.select(pl.mean('lmp')).item():,.2f}"


def test_a_cell_of_the_heat_map_says_the_mean_of_its_hour(desk: Desk) -> None:
    day = ISONE_RT_LMP.day(ORDINARY)
    rows = desk.resources.lake.read(ISONE_RT_LMP.table, {"operating_day": day.date})
    zone = rows.filter(location_id=ZONES[1][0])
    hour = zone.filter(
        pl.col("interval_start").is_between(day.start + HOUR * 7, day.start + HOUR * 8, "left")
    )
    mean = hour.select(pl.mean("lmp").round(2)).item()
    titles = desk.page().xpath("//figure[@id='isone-zones']//title/text()")
    assert len(titles) == 24 * len(ZONES)
    assert f"CONNECTICUT, hour ending 08: {mean} USD/MWh" in titles


def test_the_headline_is_the_row_of_the_mart(desk: Desk) -> None:
    (card,) = desk.page().xpath("//section[@id='headline']//*[@class='card']")
    facts = {
        div.findtext("dt"): [text.strip() for text in div.find("dd").itertext() if text.strip()]
        for div in card.iter("div")
        if div.find("dt") is not None
    }
    assert card.findtext("h3") == "ISO New England"
    assert facts == {
        "on-peak, day-ahead": ["47.25", "USD/MWh"],
        "on-peak, real time": ["45.75", "\N{MINUS SIGN}1.50 against day-ahead"],
        "off-peak, real time": ["31.50", "USD/MWh"],
        "highest real time": ["1,204.50", ".Z.MAINE at 18:00"],
        "lowest real time": ["\N{MINUS SIGN}3.12", ".Z.VERMONT at 00:00"],
        "peak load": ["14,500 MW", "at 17:00"],
        "negative hours": ["2"],
        "scarcity hours": ["1"],
        "complete": ["99.9%"],
        "corrections since the day before": ["1,234"],
        "most congested": ["SOMEWHERE +12.34"],
    }


def test_prices_that_are_equal_have_no_spread(desk: Desk) -> None:
    (figure,) = desk.page().xpath("//figure[@id='seam-spread']")
    assert "MISO was dearer in 0 of 92 quarters of an hour" in figure.text_content()


def test_the_fan_has_a_line_for_each_publication(desk: Desk) -> None:
    (figure,) = desk.page().xpath("//figure[@id='seam-fan']")
    lines = [p for p in figure.iter("path") if p.get("opacity") == "0.4"]
    count = int(re.findall(r"([\d,]+) publications", figure.text_content())[0])
    assert len(lines) == count == 95


def test_quality_shows_checks_quarantine_and_corrections_of_the_day(desk: Desk) -> None:
    page = desk.page()

    def rows(name: str) -> list[list[str]]:
        found = page.xpath(f"//figure[@id='{name}']//tbody/tr")
        return [[cell.text_content() for cell in row] for row in found]

    assert rows("checks") == [
        ["ERROR", "isone_rt_lmp", "lmp_arithmetic", "1", "1 row of <many>"],
        ["WARN", "isone_rt_lmp", "freshness", "3", "3 minutes late"],
    ]
    assert [row[:4] for row in rows("quarantine")] == [
        ["isone_rt_lmp", rule, "1", "1"]
        for rule in ("lmp_is_possible", "lmp_is_the_sum_of_its_parts")
    ]
    assert [row[:3] for row in rows("corrections")] == [["isone_rt_lmp", "1", "1"]]
    limits = {row[0]: row[2] for row in rows("limits")}
    assert re.fullmatch(r"\d+ of \d+ \(\d+%\)", limits["isone"])


def test_the_calendar_shows_a_day_in_part_and_a_day_without_rows(desk: Desk) -> None:
    with reading_of(desk.resources, DATASETS) as reading:
        found = calendar(reading, ORDINARY)
    rows = {name: dict(zip(found.dates, cells, strict=True)) for name, cells in found.rows}
    gap, whole = (ISONE_RT_LMP.day(date).date for date in (GAP, ORDINARY))
    cell = rows["isone_rt_lmp"][gap]
    assert cell.percent == round(100 * (288 - 36) / 288)
    assert cell.says.startswith("36 of 288 due intervals are missing")
    assert rows["isone_rt_lmp"][whole].percent == 100
    assert rows["isone_da_lmp"][gap].percent == 0
    assert found.dates[-1] == whole
    assert len(found.dates) == 30


def test_texts_from_outside_are_shown_as_they_are(desk: Desk) -> None:
    assert "energy=&lt;b&gt;2.0&lt;/b&gt;" in desk.text()
    assert desk.page().find(".//b[.='2.0']") is None


def test_no_secret_is_on_a_page(desk: Desk) -> None:
    for text in (desk.text(), desk.written[ORDINARY].index.read_text()):
        assert PASSWORD not in text
        assert "a-key-of-pjm" not in text


def test_a_page_of_an_empty_home_says_what_is_missing(empty: Desk) -> None:
    page, text = empty.page(), empty.text()
    assert page.find(".//svg") is None
    assert empty.written[ORDINARY].charts == 0
    said = [p.text for p in page.xpath("//*[@class='none']")]
    assert len(said) == empty.written[ORDINARY].figures + 7
    assert "No row of isone_da_lmp or isone_rt_lmp or isone_rt_hourly_lmp is held" in text
    assert f"aurum marts --day {ORDINARY}" in text
    assert "No dataset holds a row yet." in text


# --- days that are not like the others -----------------------------------------------------------


def subpaths(figure: Figure, colour: str) -> int:
    """How many unbroken pieces the line of a colour has."""
    lines: list[str] = re.findall(rf'd="([^"]+)"[^>]*stroke="var\(--{colour}\)"', figure.svg)
    return max(line.count("M") for line in lines)


def test_a_line_breaks_where_intervals_are_missing(desk: Desk) -> None:
    assert subpaths(shown(desk, "isone-hub", ORDINARY), "real") == 1
    figure = shown(desk, "isone-hub", GAP)
    assert subpaths(figure, "real") == 2
    assert "day-ahead" not in figure.svg


def test_scarcity_and_prices_below_zero_are_seen_and_told(desk: Desk) -> None:
    hub, zones = (shown(desk, f"isone-{kind}", SCARCITY) for kind in ("hub", "zones"))
    assert re.search(rf"highest 2,0\d\d\.\d\d at {SCARCE}:55", hub.says)
    assert f"lowest \N{MINUS SIGN}12.50 at 0{NEGATIVE}:00" in hub.says
    marks = re.findall(r"<text[^>]*>([▲\N{MINUS SIGN}])</text>", zones.svg)
    assert marks.count("▲") == marks.count("\N{MINUS SIGN}") == len(ZONES)
    assert "hour ending 18" in zones.says
    assert re.search(">2,000<", hub.svg), "the axis reaches the spike"


@pytest.mark.parametrize(("date", "count"), [(SPRING, 23), (ORDINARY, 24), (AUTUMN, 25)])
def test_an_axis_has_as_many_hours_as_the_day_where_the_clock_is_changed(
    desk: Desk, date: str, count: int
) -> None:
    zones = shown(desk, "isone-zones", date)
    assert zones.svg.count("<title>") == count * len(ZONES)
    assert (f"{count} hours" in zones.about) == (count != 24)
    assert ("hour ending 02X" in zones.svg) == (count == 25)
    assert ("hour ending 03:" in zones.svg) == (count != 23)
    assert shown(desk, "miso-zones", date).svg.count("<title>") == 24 * 3  # EST all year
    assert "EST, all year" in shown(desk, "miso-zones", date).about


def test_the_hours_of_a_day_are_named_by_the_operators_clock() -> None:
    autumn = Hours(OperatingDay.parse(AUTUMN, ISONE.zone))
    assert autumn.ending[:4] == ["01", "02", "02X", "03"]
    assert autumn.ticks == {0: "00", 4: "03", 7: "06", 10: "09", 13: "12", 16: "15", 19: "18"} | {
        22: "21",
        25: "24",
    }
    assert autumn.time(autumn.day.start + 2 * HOUR + FIVE_MINUTES) == "01:05X"
    spring = Hours(OperatingDay.parse(SPRING, ISONE.zone))
    assert spring.ending[:3] == ["01", "02", "04"]
    assert spring.ticks[2] == "03"
    midwest = Hours(OperatingDay.parse(AUTUMN, MISO.zone))
    assert midwest.count == 24
    assert midwest.clock == "EST, all year"


def test_each_day_of_the_homes_is_another() -> None:
    assert len(set(DAYS.values())) == len(DAYS)
