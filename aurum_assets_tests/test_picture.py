"""The picture of a day: what it shows, that it hides no gap, and that it stays small."""

import base64
import re
import time
from collections.abc import Iterable

import dagster as dg
import polars as pl
import pytest
from lxml import etree

from aurum_assets.graph import translate
from aurum_assets.model.clock import FIFTEEN_MINUTES, FIVE_MINUTES, OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.picture import drawn_from, picture_of
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD, ISONE_ZONAL_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.operators.miso.interchange import MISO_INTERCHANGE
from aurum_assets_tests.conftest import Desk
from aurum_assets_tests.recordings import recording

DAY = ISONE_RT_LMP.day("2026-07-20")
MOST = 20_000  # bytes, as text of the metadata
Row = tuple[object, ...]


def frame(table: Table, names: Iterable[str], rows: list[Row]) -> pl.DataFrame:
    schema = {name: table.schema[name] for name in names}
    return pl.DataFrame(rows, schema=schema, orient="row")


def drawn(dataset: Dataset, names: str, rows: list[Row], day: OperatingDay = DAY) -> str:
    """The picture; it is well-formed."""
    found = picture_of(dataset.table, frame(dataset.table, names.split(), rows), day)
    assert etree.fromstring(found.encode()).tag.endswith("svg")
    return found


def lines(svg: str) -> list[str]:
    """The paths that are lines of values."""
    return re.findall(r'<path d="([^"]*)" fill="none" stroke="#\w+" stroke-width', svg)


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)<", svg)


def test_prices_are_the_mean_of_the_hubs_preliminary_and_final() -> None:
    first = DAY.start
    rows: list[Row] = [
        (first, "HUB", 10.0, "prelim"),
        (first, "HUB", 30.0, "prelim"),
        (first, "LOAD ZONE", 900.0, "prelim"),
        (first, "HUB", 50.0, "final"),
    ]
    svg = drawn(ISONE_RT_LMP, "interval_start location_type lmp finality", rows)
    assert texts(svg)[:3] == ["lmp, mean of the hubs, USD/MWh, 2026-07-20", "50", "20"]
    assert {"prelim", "final"} <= set(texts(svg))
    assert len(lines(svg)) == 2


def test_without_a_hub_prices_are_the_mean_of_all_and_quantities_their_sum() -> None:
    prices: list[Row] = [(DAY.start, "LOAD ZONE", 10.0, "prelim")] * 2
    svg = drawn(ISONE_RT_LMP, "interval_start location_type lmp finality", prices)
    assert texts(svg)[:2] == ["lmp, mean, USD/MWh, 2026-07-20", "10"]
    svg = drawn(ISONE_ZONAL_LOAD, "interval_start load", [(DAY.start, 900.0), (DAY.start, 600.0)])
    assert texts(svg)[:2] == ["load, sum, MW, 2026-07-20", "1,500"]


def test_a_table_may_name_the_rows_that_are_drawn() -> None:
    day = MISO_INTERCHANGE.day("2026-07-20")
    rows: list[Row] = [(day.start, "MISO", -7.0), (day.start, "PJM", 900.0)]
    svg = drawn(MISO_INTERCHANGE, "interval_start neighbour interchange", rows, day)
    assert texts(svg)[:2] == ["interchange, MW, 2026-07-20", "-7"]


def test_a_line_is_broken_where_intervals_are_missing() -> None:
    marks = DAY.marks(FIVE_MINUTES)
    whole: list[Row] = [(mark, 900.0) for mark in marks]
    assert lines(drawn(ISONE_SYSTEM_LOAD, "interval_start load", whole))[0].count("M") == 1
    lacking = whole[:100] + whole[103:200] + whole[201:]
    assert lines(drawn(ISONE_SYSTEM_LOAD, "interval_start load", lacking))[0].count("M") == 3


def test_of_forecasts_the_newest_publication_stands_out_among_a_dozen() -> None:
    marks = DAY.marks(FIFTEEN_MINUTES)
    rows: list[Row] = [
        (published, at, "PJM", float(n)) for n, published in enumerate(marks) for at in marks[n:]
    ]
    svg = drawn(MISO_CTS, "published_at interval_start location lmp", rows)
    assert len(lines(svg)) == 12
    assert texts(svg).count("newest") == 1
    assert texts(svg)[1] == str(len(marks) - 1), "the scale holds the last publication"


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_a_day_on_which_clocks_change_is_drawn_whole(day: str) -> None:
    found = ISONE_SYSTEM_LOAD.day(day)
    rows: list[Row] = [(mark, 1.0 * n) for n, mark in enumerate(found.marks(FIVE_MINUTES))]
    (path,) = lines(drawn(ISONE_SYSTEM_LOAD, "interval_start load", rows, found))
    assert path.startswith("M56,132h0l")
    moves = [int(x) for x in re.findall(r"(-?\d+)[,-]\d+ ", path)]
    assert 56 + sum(moves) == pytest.approx(470, abs=2)
    assert path.count("M") == 1


def test_there_is_no_picture_of_nothing() -> None:
    table = ISONE_SYSTEM_LOAD.table
    assert picture_of(table, table.empty(), DAY) == ""
    absent = frame(table, ("interval_start", "load"), [(DAY.start, None)])
    assert picture_of(table, absent, DAY) == ""
    locations = next(d.table for d in DATASETS if d.key == "isone_locations")
    assert drawn_from(locations) == ()
    assert picture_of(locations, locations.empty(), DAY) == ""


def test_the_largest_day_is_small_and_quick_to_draw() -> None:
    """Prices of all hubs and zones, both finalities, and the fan of a day of cases."""
    marks = DAY.marks(FIVE_MINUTES)
    prices: list[Row] = [
        (mark, kind, (n * 7919 % 997) / 7, finality)
        for finality in ("prelim", "final")
        for n, mark in enumerate(marks)
        for kind in ("HUB", *["LOAD ZONE"] * 8)
    ]
    cases = DAY.marks(FIFTEEN_MINUTES)
    fan: list[Row] = [
        (p, a, "PJM", (n * 7919 % 997) / 7) for p in cases for n, a in enumerate(marks)
    ]
    for dataset, names, rows in (
        (ISONE_RT_LMP, "interval_start location_type lmp finality", prices),
        (MISO_CTS, "published_at interval_start location lmp", fan),
    ):
        made = frame(dataset.table, names.split(), rows)
        began = time.process_time()
        svg = picture_of(dataset.table, made, DAY)
        assert time.process_time() - began < 1, "ten times what it may take: machines differ"
        assert len(base64.b64encode(svg.encode())) < MOST


def test_the_picture_is_that_of_the_whole_day_that_is_held(desk: Desk) -> None:
    """Whatever rows the run itself brought."""
    done = desk.bring(
        ISONE_SYSTEM_LOAD, recording("isone_system_load", "live", "ordinary").body
    ).done
    (made,) = translate.picture(desk.resources, done).values()
    assert isinstance(made, dg.MarkdownMetadataValue)
    image = re.fullmatch(r"!\[isone_system_load\]\(data:image/svg\+xml;base64,(.*)\)", made.value)
    assert image
    assert texts(base64.b64decode(image[1]).decode())[0].startswith("load, MW, ")
    done.rows, done.rebuilt = done.rows.clear(), False
    assert translate.picture(desk.resources, done)["picture"] == made
