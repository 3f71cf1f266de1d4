"""The lists that people write: interfaces between operators, fuels in one vocabulary."""

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.api import OpenLake
from aurum_assets.ingest.reference import LISTS, crosswalk, judge_list, observe, publish_list
from aurum_assets.model.checks import Verdict
from aurum_assets.model.errors import ConfigError
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.generation import ISONE_GENERATION_MIX
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.miso.lmp import MISO_RT_LMP
from aurum_assets.reference.fuels import FUELS, VOCABULARY
from aurum_assets.reference.interfaces import INTERFACES
from aurum_assets.reference.lists import ReviewedList
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests.conftest import Desk, log_lines
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import recording

DAY = dt.date(2026, 7, 20)
MIX = recording("isone_generation_mix", "live", "ordinary").body
PRICED = recording("isone_rt_lmp", "live", "ordinary").body


@pytest.fixture
def own(desk: Desk, tmp_path: Path) -> Desk:
    """A desk whose config folder may be edited."""
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    return replace(desk, resources=remade(desk.resources, config_folder=tmp_path / "config"))


def verdict(found: list[Verdict], check: str) -> Verdict:
    (one,) = [v for v in found if v.check == check]
    return one


# --- the files of the project --------------------------------------------------------------------


@pytest.mark.parametrize("listed", LISTS, ids=lambda one: one.key)
def test_a_list_is_the_table_that_sql_shows(resources: Resources, listed: ReviewedList) -> None:
    done = publish_list(resources, listed, DAY)
    rows = crosswalk(resources, listed)
    assert done.rows == len(rows) > 0
    shown = OpenLake(resources.root).sql(f"from {listed.key}")
    assert rows.equals(shown.sort(listed.table.order))
    text = (PROJECT / "config" / f"{listed.key}.csv").read_text().splitlines()
    assert len(rows) == len(text) - 1
    assert text[0].split(",")[0] == "source"


def test_every_category_that_config_expects_of_an_operator_is_mapped(resources: Resources) -> None:
    """The enums by which drift is found, and the list, name the same categories."""
    publish_list(resources, FUELS, DAY)
    held = crosswalk(resources, FUELS)
    fields = resources.configuration.datasets["isone_generation_mix"].fields
    ours = held.filter(source="isone")
    for level, field in (("category", "FuelCategory"), ("rollup", "FuelCategoryRollup")):
        assert set(ours.filter(level=level)["category"]) == set(fields[field].enum or ())
    assert set(held["fuel"].drop_nulls()) == set(VOCABULARY)


def test_both_sides_of_a_seam_are_joined_by_its_name(resources: Resources) -> None:
    publish_list(resources, INTERFACES, DAY)
    sides = OpenLake(resources.root).sql(
        "select a.location_name one, b.location_name other "
        "from interfaces a join interfaces b using (seam) "
        "where a.source = 'miso' and b.source = 'pjm' order by all"
    )
    assert sides.rows() == [("PJM", "MISO"), ("PJMC", "MISO")]
    held = crosswalk(resources, INTERFACES)
    ties = held.filter(source="isone")["location_id"].to_list()
    assert ties == ["4010", "4011", "4012", "4013", "4014", "4017", "4018"]
    of_two = held.filter(pl.col("source").n_unique().over("seam") == 2)
    assert of_two["seam"].n_unique() == 8
    assert (held["evidence"] != "").all()


# --- what a day names ----------------------------------------------------------------------------


def test_a_category_that_nobody_reviewed_is_a_finding_and_no_guess(own: Desk) -> None:
    own.bring(ISONE_GENERATION_MIX, MIX)
    assert verdict(publish_list(own.resources, FUELS, DAY).verdicts, "unreviewed").passed
    own.bring(
        ISONE_GENERATION_MIX,
        MIX.replace(b'"Wind"', b'"Hydrogen"'),
        at=own.clock() + dt.timedelta(minutes=1),
    )
    done = publish_list(own.resources, FUELS, DAY)
    found = verdict(done.verdicts, "unreviewed")
    assert (found.passed, found.severity, found.count) == (False, "WARN", 1)
    assert found.reason == (
        "1 are not in config/fuels.csv: isone category Hydrogen isone_generation_mix"
    )
    assert "Hydrogen" not in crosswalk(own.resources, FUELS)["category"]
    path = own.resources.config_folder / "fuels.csv"
    path.write_text(path.read_text() + "isone,category,Hydrogen,other,\n")
    assert verdict(judge_list(own.resources, FUELS, DAY), "unreviewed").passed


def test_an_external_node_that_is_in_no_list_is_a_finding(own: Desk) -> None:
    own.bring(ISONE_RT_LMP, PRICED)
    observe(own.resources, ISO_NODES, DAY)
    assert all(v.passed for v in publish_list(own.resources, INTERFACES, DAY).verdicts)
    path = own.resources.config_folder / "interfaces.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "4011" not in line))
    found = verdict(publish_list(own.resources, INTERFACES, DAY).verdicts, "unlisted")
    assert found.reason == (
        "1 external nodes are not in config/interfaces.csv: isone 4011 .I.ROSETON 345 1"
    )
    assert "4011" not in crosswalk(own.resources, INTERFACES)["location_id"]


def test_a_listed_location_that_is_called_otherwise_is_a_finding_another_spelling_none(
    own: Desk,
) -> None:
    own.bring(ISONE_RT_LMP, PRICED.replace(b".I.ROSETON 345 1", b".I.ROSETON_345 1"))
    observe(own.resources, ISO_NODES, DAY)
    assert verdict(judge_list(own.resources, INTERFACES, DAY), "named_otherwise").passed
    path = own.resources.config_folder / "interfaces.csv"
    path.write_text(path.read_text().replace(".I.ROSETON 345 1", ".I.PLEASANTVALLEY 345 1"))
    found = verdict(judge_list(own.resources, INTERFACES, DAY), "named_otherwise")
    assert found.reason == (
        "1 are called otherwise than in config/interfaces.csv: isone 4011 .I.ROSETON_345 1"
    )


def test_a_day_that_names_nothing_gives_the_checks_nothing_to_judge(resources: Resources) -> None:
    for listed in LISTS:
        done = publish_list(resources, listed, DAY)
        assert done.seen == 0
        assert all(v.skipped for v in done.verdicts)
        assert [v.check for v in done.verdicts] == list(listed.descriptions)


# --- files that cannot be read -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "isone,category,Peat,turf,",
            "isone, category, Peat: fuel_is_of_the_vocabulary: fuel=turf",
        ),
        ("isone,category,Peat,,", "isone, category, Peat: a_category_has_a_fuel"),
        ("isone,family,Peat,coal,", "isone, family, Peat: level_is_known: level=family"),
        ("isone,category,Coal,coal,", "isone category Coal is there already"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_file_and_rule(
    own: Desk, line: str, sentence: str
) -> None:
    path = own.resources.config_folder / "fuels.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ConfigError, match=f"fuels.csv.*{sentence}"):
        publish_list(own.resources, FUELS, DAY)


def test_an_operator_that_left_the_file_leaves_the_table(own: Desk) -> None:
    publish_list(own.resources, FUELS, DAY)
    path = own.resources.config_folder / "fuels.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("miso")))
    publish_list(own.resources, FUELS, DAY)
    assert set(crosswalk(own.resources, FUELS)["source"]) == {"isone"}


@pytest.mark.parametrize("listed", LISTS, ids=lambda one: one.key)
def test_without_its_file_a_list_stays_as_published_and_the_log_says_so(
    own: Desk, listed: ReviewedList
) -> None:
    before = publish_list(own.resources, listed, DAY).rows
    published = crosswalk(own.resources, listed)
    path = own.resources.config_folder / f"{listed.key}.csv"
    path.unlink()
    with log_lines() as lines:
        assert publish_list(own.resources, listed, DAY).rows == before > 0
    assert crosswalk(own.resources, listed).equals(published)
    assert f"{path} is absent" in [line.get("because") for line in lines]


def test_what_did_not_change_is_not_committed_again(resources: Resources) -> None:
    publish_list(resources, FUELS, DAY)
    before = resources.lake.table(FUELS.table).current_snapshot()
    publish_list(resources, FUELS, DAY)
    assert resources.lake.table(FUELS.table).current_snapshot() == before


# --- locations of other operators ----------------------------------------------------------------


def test_misos_locations_are_called_by_their_names_and_no_list_is_missed(desk: Desk) -> None:
    """MISO publishes no list, so that none of its 300 nodes is unknown."""
    desk.bring(MISO_RT_LMP, recording("miso_rt_lmp", "live", "ordinary").body)
    (day,) = desk.resources.lake.days(MISO_RT_LMP.table)
    done = observe(desk.resources, ISO_NODES, day)
    rows = crosswalk(desk.resources, ISO_NODES).filter(source="miso")
    named = set(desk.rows(MISO_RT_LMP)["location"])
    assert set(rows["location_id"]) == set(rows["canonical_name"]) == named
    assert verdict(done.verdicts, "unknown").passed
    assert all(v.passed for v in publish_list(desk.resources, INTERFACES, day).verdicts)


def test_a_home_that_is_rebuilt_has_its_lists(own: Desk) -> None:
    own.bring(ISONE_RT_LMP, PRICED)
    observe(own.resources, ISO_NODES, DAY)
    publish_list(own.resources, FUELS, DAY)
    days = ingest.archived_days(own.resources, DATASETS)
    ingest.remake(own.resources, DATASETS, days)
    for listed in LISTS:
        assert len(crosswalk(own.resources.anew(), listed)) > 0
