"""Vintages: what was forecast how long before, from Python, SQL and the command line."""

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurum_assets.api import OpenLake
from aurum_assets.model.arguments import lead_of
from aurum_assets.model.clock import FIFTEEN_MINUTES, HOUR, OperatingDay
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.vintage import has_lead, has_vintages, identity, may_hold, newest
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.settings import open_resources
from aurum_assets_tests.conftest import Aurum, printed, utc

CTS = MISO_CTS.table
MIDNIGHT = utc("2026-07-21T05:00Z")  # of MISO: EST


def forecast(published: str, starts: str, lmp: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401  cells
    """A row of ``miso_cts``; its operating day is the publication's, in EST."""
    start, at = utc(starts), utc(published)
    row: dict[str, Any] = dict.fromkeys(CTS.names)
    return row | {
        "operating_day": MISO_CTS.operator.day_of(at).date,
        "published_at": at,
        "interval_start": start,
        "interval_end": start + FIFTEEN_MINUTES,
        "location": "PJM",
        "lmp": lmp,
        "source_timezone": "Etc/GMT+5",
        "fetched_at": at + dt.timedelta(minutes=3),
        "raw_sha256": "0" * 64,
        **more,
    }


ROWS = (
    forecast("2026-07-21T02:59:59Z", "2026-07-21T05:00Z", 20.0),
    forecast("2026-07-21T03:00:00Z", "2026-07-21T05:00Z", 21.0),  # two hours before, to the second
    forecast("2026-07-21T03:00:01Z", "2026-07-21T05:00Z", 22.0),
    forecast("2026-07-21T05:04:00Z", "2026-07-21T05:00Z", 23.0),  # after it began, the next day
    forecast("2026-07-21T03:00:00Z", "2026-07-21T05:15Z", 31.0),
    forecast("2026-07-21T05:04:00Z", "2026-07-21T05:15Z", 33.0),
    forecast("2026-07-21T05:04:00Z", "2026-07-21T07:15Z", 43.0),
    forecast("2026-07-20T20:04:00Z", "2026-07-20T20:00Z", 11.0),
)


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """``rows`` as the table has them."""
    return pl.DataFrame(list(rows), CTS.schema).sort(CTS.order)


@pytest.fixture
def held(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Resources:
    """A home that holds ``ROWS``, published on two operating days."""
    monkeypatch.setenv("AURUM_HOME", str(empty_home))
    resources = open_resources(DATASETS)
    for _, day in frame(*ROWS).group_by("operating_day"):
        resources.lake.merge(CTS, day)
    return resources


@pytest.fixture
def lake(held: Resources) -> OpenLake:
    """It, to be read."""
    return OpenLake(held.root)


def starts_and_prices(rows: pl.LazyFrame | pl.DataFrame) -> list[tuple[str, float]]:
    found = rows.lazy().select("interval_start", "lmp").sort("interval_start").collect().rows()
    return [(f"{start:%dT%H:%M}", lmp) for start, lmp in found]


def test_a_lead_counts_from_the_publication_to_the_interval_and_includes_the_boundary(
    lake: OpenLake,
) -> None:
    expected = [("21T05:00", 21.0), ("21T05:15", 31.0), ("21T07:15", 43.0)]
    assert starts_and_prices(lake.vintage("miso_cts", lead="2h")) == expected
    assert starts_and_prices(lake.vintage("cts", dt.timedelta(hours=2))) == expected
    assert starts_and_prices(lake.vintage("miso_cts", "121m")) == [
        ("21T05:15", 31.0),
        ("21T07:15", 43.0),
    ]


def test_without_a_lead_it_is_the_newest_of_all_as_best_is(lake: OpenLake) -> None:
    newest_of_all = [("20T20:00", 11.0), ("21T05:00", 23.0), ("21T05:15", 33.0), ("21T07:15", 43.0)]
    assert starts_and_prices(lake.vintage("miso_cts")) == newest_of_all
    assert starts_and_prices(lake.best("miso_cts")) == newest_of_all
    assert lake.scan("miso_cts").collect().height == len(ROWS)


def test_before_an_instant_only_what_was_published_by_then_is_chosen_from(lake: OpenLake) -> None:
    known = lake.vintage("miso_cts", before="2026-07-21T03:00:00Z")
    assert starts_and_prices(known) == [("20T20:00", 11.0), ("21T05:00", 21.0), ("21T05:15", 31.0)]
    both = lake.vintage("miso_cts", "2h", before="2026-07-21T02:59:59Z")
    assert starts_and_prices(both) == [("21T05:00", 20.0)]


def test_a_filter_on_the_interval_finds_what_was_published_the_day_before(lake: OpenLake) -> None:
    tomorrow = pl.col("interval_start") >= MIDNIGHT
    rows = lake.vintage("miso_cts", "2h").filter(tomorrow).collect()
    assert starts_and_prices(rows) == [("21T05:00", 21.0), ("21T05:15", 31.0), ("21T07:15", 43.0)]
    assert [f"{day:%d}" for day in rows["operating_day"]] == ["20", "20", "21"]


def test_a_filter_on_the_operating_day_chooses_none_that_is_not_the_vintage(lake: OpenLake) -> None:
    """On the 20th the interval at 05:00Z was forecast too, but not last."""
    day = dt.date(2026, 7, 20)
    rows = lake.vintage("miso_cts").filter(pl.col("operating_day") == day)
    assert starts_and_prices(rows) == [("20T20:00", 11.0)]


def test_a_filter_on_the_interval_opens_no_file_of_another_day(
    held: Resources, lake: OpenLake
) -> None:
    gone = [
        path for path in held.root.rglob("*.parquet") if "operating_day=2026-07-21" in str(path)
    ]
    assert len(gone) == 1
    gone[0].unlink()
    rows = lake.vintage("miso_cts").filter(pl.col("interval_start") < utc("2026-07-21T00:00Z"))
    assert starts_and_prices(rows) == [("20T20:00", 11.0)]
    with pytest.raises(FileNotFoundError):
        lake.vintage("miso_cts").collect()


def test_of_one_publication_that_two_days_hold_the_later_days_row_counts() -> None:
    """A case approved at midnight is shown by the file of either day."""
    twice = [
        forecast("2026-07-21T05:00Z", "2026-07-21T05:15Z", lmp, operating_day=day)
        for lmp, day in ((2.0, dt.date(2026, 7, 21)), (1.0, dt.date(2026, 7, 20)))
    ]
    assert newest(CTS, frame(*twice).lazy()).collect()["lmp"].to_list() == [2.0]
    assert newest(CTS, frame(*reversed(twice)).lazy()).collect()["lmp"].to_list() == [2.0]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25)])
def test_a_lead_is_time_that_passes_also_where_clocks_change(day: str, hours: int) -> None:
    """Three hours before 05:00 local is 01:00 in spring, and the second 02:00 in autumn."""
    local = OperatingDay.parse(day, "America/New_York")
    starts = [local.start + n * HOUR for n in range(hours)]
    rows = frame(
        *(
            forecast(f"{start - lead * HOUR:%FT%TZ}", f"{start:%FT%TZ}", float(lead))
            for start in starts
            for lead in (1, 3, 5)
        )
    )
    chosen = newest(CTS, rows.lazy().filter(has_lead(3 * HOUR))).collect()
    assert chosen["interval_start"].to_list() == starts
    assert chosen["lmp"].unique().to_list() == [3.0]
    assert (chosen["interval_start"] - chosen["published_at"]).unique().to_list() == [3 * HOUR]


_MINUTES = st.integers(0, 12)


@given(
    st.lists(st.tuples(_MINUTES, _MINUTES, st.sampled_from("ab"), st.integers(0, 99)), max_size=40),
    st.integers(0, 8),
)
def test_it_is_what_a_loop_over_the_rows_finds(
    drawn: list[tuple[int, int, str, int]], lead: int
) -> None:
    step = dt.timedelta(minutes=15)
    keys = {(published, start, place): lmp for published, start, place, lmp in drawn}
    rows = frame(
        *(
            forecast(
                f"{MIDNIGHT + (p - 6) * step:%FT%TZ}",
                f"{MIDNIGHT + s * step:%FT%TZ}",
                float(lmp),
                location=place,
            )
            for (p, s, place), lmp in keys.items()
        )
    )
    wanted: dict[tuple[dt.datetime, str], tuple[dt.datetime, float]] = {}
    for row in rows.iter_rows(named=True):
        key = row["interval_start"], row["location"]
        early = row["interval_start"] - row["published_at"] >= lead * step
        if early and (key not in wanted or wanted[key][0] < row["published_at"]):
            wanted[key] = row["published_at"], row["lmp"]
    found = newest(CTS, rows.lazy().filter(has_lead(lead * step))).collect()
    assert {
        (row["interval_start"], row["location"]): (row["published_at"], row["lmp"])
        for row in found.iter_rows(named=True)
    } == wanted
    assert len(found) == len(wanted)
    assert found.equals(found.sort(CTS.order))


def test_a_table_without_vintages_is_refused_with_those_that_keep_them(lake: OpenLake) -> None:
    sentence = "isone_rt_lmp keeps no vintages, for it has no published_at in its key; .*miso_cts"
    with pytest.raises(ConfigError, match=sentence):
        lake.vintage("isone_rt_lmp", "2h")
    with pytest.raises(ConfigError, match="miso_cts_history keeps no vintages"):
        lake.vintage("miso_cts_history", "2h")


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("2h", 120),
        ("75m", 75),
        ("1d", 1440),
        ("1h 30m", 90),
        ("1h30m", 90),
        ("0m", 0),
        (" 2H ", 120),
    ],
)
def test_a_lead_is_written_in_days_hours_and_minutes(text: str, minutes: int) -> None:
    assert lead_of(text) == dt.timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "wrong", ["", "2", "h", "-2h", "2 weeks", "1.5h", "9999999999d", dt.timedelta(hours=-1)]
)
def test_what_is_no_lead_is_refused_with_an_example(wrong: str | dt.timedelta) -> None:
    with pytest.raises(ValueError, match="is not a lead: expected for instance 2h, 75m"):
        lead_of(wrong)


def test_days_whose_partitions_may_hold_an_interval_are_its_own_or_those_near_it() -> None:
    day = MISO_CTS.day("2026-03-01")
    assert [one.key for one in may_hold(CTS, day)] == [
        "2026-02-27",
        "2026-02-28",
        "2026-03-01",
        "2026-03-02",
        "2026-03-03",
    ]
    assert may_hold(ISONE_RT_LMP.table, day) == [day]


def test_each_table_with_vintages_tells_its_intervals_apart_without_their_publication() -> None:
    kept = [d.table for d in DATASETS if has_vintages(d.table)]
    assert CTS in kept
    for table in kept:
        assert {"interval_start"} <= set(identity(table)) <= set(table.key) | {"operating_day"}
        assert "published_at" not in identity(table)


@pytest.mark.parametrize("lead", ["", "'2h'", "interval 2 hours", "lead := '121 minutes'"])
def test_sql_gives_what_python_gives(lake: OpenLake, lead: str) -> None:
    minutes = {"": None, "lead := '121 minutes'": "121m"}.get(lead, "2h")
    rows = lake.sql(f"select * from miso_cts_vintage({lead})")  # noqa: S608  ours
    assert starts_and_prices(rows) == starts_and_prices(lake.vintage("miso_cts", minutes))
    short = f"select * from market.cts_vintage({lead}) where interval_start >= '2026-07-21 05:10Z'"  # noqa: S608
    assert starts_and_prices(lake.sql(short)) == [
        row for row in starts_and_prices(rows) if row[0] >= "21T05:10"
    ]


@pytest.mark.usefixtures("held")
def test_export_writes_the_intervals_of_the_day_as_they_were_forecast(
    aurum: Aurum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def exported(*options: str) -> list[tuple[str, float]]:
        path = tmp_path / "rows.parquet"
        asked = ("export", "--dataset", "cts", "--output", str(path), "--force", *options)
        result = aurum(*asked)
        assert result.exit_code == 0, result.output
        return starts_and_prices(pl.read_parquet(path))

    tomorrow = ("--day", "2026-07-21")
    assert exported("--lead", "2h", *tomorrow) == [
        ("21T05:00", 21.0),
        ("21T05:15", 31.0),
        ("21T07:15", 43.0),
    ]
    assert exported("--best", *tomorrow)[0] == ("21T05:00", 23.0)
    assert len(exported(*tomorrow)) == 3  # published on it
    refused = aurum("export", "--dataset", "rt_lmp", "--lead", "2h", *tomorrow)
    assert refused.exit_code == 2
    assert "isone_rt_lmp keeps no vintages" in " ".join(refused.output.split())
    nothing = aurum("export", "--dataset", "cts", "--lead", "9h", *tomorrow, "--json")
    assert nothing.exit_code == 1, nothing.output
    named = aurum("export", "--dataset", "cts", "--lead", "1h 30m", *tomorrow, "--json")
    assert Path(printed(named)["path"]).name == "miso_cts_1h30m_2026-07-21.csv"
