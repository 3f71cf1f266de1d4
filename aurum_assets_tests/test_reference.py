"""What things are called follows from all that was seen; what a person typed is never lost."""

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurum_assets.model.checks import Verdict
from aurum_assets.model.errors import ConfigError, ContractBroken
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.generation import ISONE_GENERATION_BY_RESOURCE
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.reference.checks import CHECKS, Known, evaluate
from aurum_assets.reference.crosswalk import (
    BAR,
    Reference,
    as_reviewed,
    completed,
    conformed,
    history,
    sighted,
)
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.reviewed import read_reviewed, write_reviewed
from aurum_assets_tests.conftest import NOON

FIRST = dt.date(2026, 7, 1)
LIST, LMP, HOURLY = "isone_locations", "isone_rt_lmp", "isone_da_lmp"
Seen = tuple[int, str, str, str]  # day, id, name, dataset


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def sightings(*seen: Seen, **attributes: str) -> pl.DataFrame:
    """Sightings of locations by day number, id, name and dataset; ``attributes`` of all."""
    rows = [
        {
            "operating_day": day(number),
            "source": "isone",
            "location_id": location,
            "location_name": name,
            "dataset": dataset,
            **attributes,
        }
        for number, location, name, dataset in seen
    ]
    names = [n for n in ISO_NODES.sightings.names if n != "fetched_at"]
    return pl.DataFrame(rows, schema={n: ISO_NODES.sightings.schema[n] for n in names})


def reviewed(reference: Reference = ISO_NODES, /, **cells: str) -> pl.DataFrame:
    """A reviewed frame of one row."""
    empty = reference.nothing_reviewed()
    return empty if not cells else pl.DataFrame([{"source": "isone", **cells}], schema=empty.schema)


def nodes(seen: pl.DataFrame, typed: pl.DataFrame | None = None) -> pl.DataFrame:
    """The crosswalk as it is stored."""
    text = reviewed() if typed is None else typed
    return conformed(ISO_NODES.table, ISO_NODES.follows(seen, text))


def spans(rows: pl.DataFrame) -> list[tuple[str, str, int, int | None]]:
    """Id, name, valid from and to as day numbers."""
    return [
        (location, name, (start - FIRST).days, None if end is None else (end - FIRST).days)
        for location, name, start, end in rows.select(
            "location_id", "location_name", "valid_from", "valid_to"
        ).iter_rows()
    ]


# --- the crosswalk -------------------------------------------------------------------------------


def test_the_hub_under_two_spellings_is_one_location_with_one_name() -> None:
    rows = nodes(
        sightings((0, "4000", ".H.INTERNAL_HUB", LMP), (1, "4000", ".H.INTERNALHUB", LIST))
    )
    (hub,) = rows.to_dicts()
    assert hub["canonical_name"] == hub["location_name"] == ".H.INTERNALHUB"  # as the list has it
    assert hub["names"] == ".H.INTERNALHUB | .H.INTERNAL_HUB"
    assert hub["seen_in"] == "isone_locations, isone_rt_lmp"
    assert (hub["first_seen"], hub["last_seen"]) == (day(0), day(1))
    assert (hub["valid_from"], hub["valid_to"]) == (day(0), None)


def test_two_ids_that_share_a_name_stay_two() -> None:
    rows = nodes(sightings((0, "7505", "Maine", LIST), (0, "8503", "Maine", LIST)))
    assert spans(rows) == [("7505", "Maine", 0, None), ("8503", "Maine", 0, None)]


def test_a_rename_ends_the_old_name_on_the_day_on_which_the_new_one_begins() -> None:
    seen = [(n, "1", "OLD" if n < 3 else "NEW", LIST) for n in (0, 2, 3, 5)]
    rows = nodes(sightings(*seen))
    assert spans(rows) == [("1", "OLD", 0, 3), ("1", "NEW", 3, None)]
    assert rows["canonical_name"].to_list() == ["NEW", "NEW"]
    assert rows["names"].to_list() == ["NEW | OLD"] * 2


def test_a_day_that_is_observed_late_moves_the_change_to_where_it_was() -> None:
    before = [(0, "1", "OLD", LIST), (9, "1", "NEW", LIST)]
    assert spans(nodes(sightings(*before))) == [("1", "OLD", 0, 9), ("1", "NEW", 9, None)]
    late = [*before, (4, "1", "NEW", LIST)]
    assert spans(nodes(sightings(*late))) == [("1", "OLD", 0, 4), ("1", "NEW", 4, None)]


def test_two_feeds_that_name_a_location_each_in_its_way_are_no_rename() -> None:
    seen = [(n, "7000", "ROS", LMP) for n in (0, 1, 3)]
    seen += [(n, "7000", "Rest of System", LIST) for n in (1, 2, 3)]
    rows = nodes(sightings(*seen))
    assert spans(rows) == [("7000", "ROS", 0, None)]
    assert rows["names"].item() == "ROS | Rest of System"


def test_a_rename_that_reaches_the_feeds_one_by_one_is_one_rename() -> None:
    seen = [(n, "1", "OLD" if n < 2 else "NEW", LMP) for n in range(5)]
    seen += [(n, "1", "OLD" if n < 4 else "NEW", LIST) for n in range(5)]
    assert spans(nodes(sightings(*seen))) == [("1", "OLD", 0, 2), ("1", "NEW", 2, None)]


def test_a_change_of_type_is_a_change_and_what_is_learned_later_is_none() -> None:
    early = sightings((0, "1", "A", LMP), location_type="NODE")
    later = sightings((1, "1", "A", LIST), location_type="NODE", area_type="INTERNAL")
    last = sightings((2, "1", "A", LIST), location_type="HUB", area_type="INTERNAL")
    rows = nodes(pl.concat([early, later, last]))
    text = rows.select("location_type", "area_type", "valid_from", "valid_to").rows()
    assert text == [("NODE", "INTERNAL", day(0), day(2)), ("HUB", "INTERNAL", day(2), None)]


def test_a_location_without_a_name_is_called_by_its_id_until_a_feed_names_it() -> None:
    alone = sightings((0, "7000", "7000", "isone_ancillary_services"))
    assert nodes(alone).select("location_name", "canonical_name", "names").row(0) == (
        "7000",
        "7000",
        None,
    )
    named = pl.concat([alone, sightings((1, "7000", "ROS", "isone_reserve_prices"))])
    assert spans(nodes(named)) == [("7000", "ROS", 0, None)]


def test_a_zone_is_its_own_zone_and_a_nodes_zone_is_what_a_person_typed() -> None:
    zone = sightings((0, "4001", ".Z.MAINE", LMP), location_type="LOAD ZONE")
    reserve = sightings((0, "7000", "ROS", LMP), location_type="RESERVE ZONE")
    node = sightings((0, "321", "LD.ASHLAND 13.8", LMP), location_type="NETWORK NODE")
    seen = pl.concat([zone, reserve, node])
    text = nodes(seen).select("location_id", "zone", "reserve_zone").rows()
    assert text == [("321", None, None), ("4001", ".Z.MAINE", None), ("7000", None, "ROS")]
    typed = reviewed(location_id="321", zone="ME", reserve_zone="ROS", canonical_name="Ashland")
    row = nodes(seen, typed).row(0, named=True)
    assert (row["zone"], row["reserve_zone"]) == ("ME", "ROS")
    assert (row["canonical_name"], row["location_name"]) == ("Ashland", "LD.ASHLAND 13.8")


def test_an_attribute_that_no_feed_gave_is_a_persons_and_counts() -> None:
    seen = sightings((0, "1", "A", LMP), location_type="NODE")
    later = pl.concat([seen, sightings((1, "1", "A", LMP), location_type="HUB")])
    corrected = nodes(later, reviewed(location_id="1", location_type="INTERFACE"))
    assert corrected["location_type"].to_list() == ["INTERFACE"] * 2
    written_by_a_run = nodes(later, reviewed(location_id="1", location_type="NODE"))
    assert written_by_a_run["location_type"].to_list() == ["NODE", "HUB"]


# --- properties ----------------------------------------------------------------------------------

NAMES = ["A B", "A_B", "ab", "C", "D|E"]
SIGHTINGS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["1", "2", "30"]),
        st.sampled_from(NAMES),
        st.sampled_from([LIST, LMP, HOURLY]),
    ),
    min_size=1,
    max_size=25,
    unique=True,
)
KINDS = {"1": "HUB", "2": "NETWORK NODE", "30": "LOAD ZONE"}


def typed_by_id(seen: list[Seen]) -> pl.DataFrame:
    """Sightings where the list says of which type a location is."""
    kind = pl.col("location_id").replace_strict(KINDS, return_dtype=pl.String)
    known = pl.when(pl.col("dataset") == LIST).then(kind)
    return sightings(*seen).with_columns(location_type=known)


@settings(max_examples=25, deadline=None)
@given(SIGHTINGS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter_and_twice_is_once(
    seen: list[Seen], chance: random.Random
) -> None:
    shuffled = chance.sample(seen, len(seen))
    once = nodes(typed_by_id(seen))
    assert nodes(typed_by_id(shuffled)).equals(once)
    assert nodes(typed_by_id(shuffled + seen)).equals(once)


@settings(max_examples=25, deadline=None)
@given(SIGHTINGS)
def test_nothing_that_was_seen_is_lost(seen: list[Seen]) -> None:
    rows = nodes(typed_by_id(seen))
    assert set(rows["location_id"]) == {location for _, location, _, _ in seen}
    for (location,), own in rows.group_by("location_id"):
        days = [day(n) for n, i, _, _ in seen if i == location]
        assert set(own["names"][0].split(BAR)) >= {n for _, i, n, _ in seen if i == location}
        assert {*own["first_seen"], *own["last_seen"]} == {min(days), max(days)}
        spans = own.sort("valid_from").select("valid_from", "valid_to").rows()
        assert spans[0][0] == min(days)
        assert [end for _, end in spans] == [start for start, _ in spans[1:]] + [None]


@settings(max_examples=10, deadline=None)
@given(SIGHTINGS, st.randoms(use_true_random=False))
def test_the_file_is_the_same_in_whatever_order_the_days_were_observed(
    seen: list[Seen], chance: random.Random
) -> None:
    def written(order: list[int]) -> pl.DataFrame:
        file = reviewed(location_id="2", zone="ME", names="A name of ours")
        known: list[Seen] = []
        for number in [*order, *order[:1]]:
            known += [one for one in seen if one[0] == number and one not in known]
            file = completed(
                ISO_NODES, file, as_reviewed(ISO_NODES, nodes(typed_by_id(known), file))
            )
        return file

    days = sorted({number for number, *_ in seen})
    file = written(days)
    assert written(chance.sample(days, len(days))).equals(file)
    assert file["location_id"].to_list() == sorted({*(i for _, i, *_ in seen), "2"}, key=int)
    own = file.filter(location_id="2").row(0, named=True)
    assert own["zone"] == "ME"
    assert "A name of ours" in own["names"].split(BAR)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["A", "B", "A_"]), min_size=1, max_size=8))
def test_the_history_of_one_feed_is_its_runs_of_equal_names(names: list[str]) -> None:
    rows = history(ISO_NODES, sightings(*((n, "1", name, LMP) for n, name in enumerate(names))))
    plain = [name.removesuffix("_") for name in names]
    starts = [n for n, name in enumerate(plain) if n == 0 or plain[n - 1] != name]
    assert [(start - FIRST).days for start in rows["valid_from"]] == starts
    assert [name.removesuffix("_") for name in rows["location_name"]] == [plain[n] for n in starts]


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(ISO_NODES.reviewed_columns[2:]), st.sampled_from(["x", "y, z", '"q"'])
    ),
    SIGHTINGS,
)
def test_no_filled_cell_is_ever_changed(typed: dict[str, str], seen: list[Seen]) -> None:
    before = reviewed(ISO_NODES, location_id="1", **typed)
    after = completed(ISO_NODES, before, as_reviewed(ISO_NODES, nodes(typed_by_id(seen), before)))
    row = after.filter(location_id="1").row(0, named=True)
    assert {name: row[name] for name in typed if name != "names"} == {
        name: cell for name, cell in typed.items() if name != "names"
    }
    assert set((row["names"] or "").split(BAR)) >= set(typed.get("names", "").split(BAR)) - {""}


# --- generators ----------------------------------------------------------------------------------


def generators(*seen: tuple[int, str, str | None, float | None], **typed: str) -> pl.DataFrame:
    """The roster of sightings by day, id, fuel and MW; one without MW is a network node."""
    rows = [
        {
            "operating_day": day(number),
            "source": "isone",
            "resource_id": resource,
            "resource_name": f"UN.{resource}",
            "fuel": fuel,
            "capacity_seen": mw,
            "dataset": LIST if mw is None else "isone_generation_by_resource",
        }
        for number, resource, fuel, mw in seen
    ]
    schema = {n: GENERATORS.sightings.schema[n] for n in rows[0]}
    frame = pl.DataFrame(rows, schema=schema)
    return conformed(GENERATORS.table, GENERATORS.follows(frame, reviewed(GENERATORS, **typed)))


def test_a_generator_is_its_node_and_its_resource_with_the_greatest_output_seen() -> None:
    (row,) = generators(
        (0, "328", None, None), (1, "328", "Oil", 480.0), (2, "328", "Oil", 12.5)
    ).to_dicts()
    assert (row["fuel"], row["capacity_seen"], row["zone"]) == ("Oil", 480.0, None)
    assert (row["first_seen"], row["last_seen"]) == (day(0), day(2))
    assert row["seen_in"] == "isone_generation_by_resource, isone_locations"


def test_the_fuel_is_what_a_feed_gave_last_and_a_person_may_correct_it() -> None:
    seen = ((0, "1", "Oil", 5.0), (1, "1", "Natural Gas", 4.0))
    assert generators(*seen)["fuel"].item() == "Natural Gas"
    assert generators(*seen, resource_id="1", fuel="Oil")["fuel"].item() == "Natural Gas"
    assert generators(*seen, resource_id="1", fuel="Wood")["fuel"].item() == "Wood"


def test_a_fuel_that_no_feed_says_is_the_one_that_a_person_typed() -> None:
    assert generators((0, "1", None, None))["fuel"].item() is None
    typed = generators((0, "1", None, None), resource_id="1", fuel="Hydro", zone="VT")
    assert typed.select("fuel", "zone").row(0) == ("Hydro", "VT")


def test_only_units_are_generators() -> None:
    rows = pl.DataFrame(
        {
            "location_id": ["1", "2", "3"],
            "location_name": ["UN.A", "LD.A", ".H.HUB"],
            "network_node_type": ["UNIT", "LOAD", None],
            "fetched_at": [NOON] * 3,
            "raw_sha256": ["a"] * 3,
        },
        schema_overrides={"fetched_at": GENERATORS.sightings.schema["fetched_at"]},
    )
    assert sighted(GENERATORS, LIST, "isone", FIRST, rows)["resource_id"].to_list() == ["1"]


# --- what is read --------------------------------------------------------------------------------


def test_every_table_that_numbers_a_location_is_read() -> None:
    numbers = {"location_id", "load_zone_id", "reserve_zone_id", "location", "zone"}
    reading = {d.key for d in DATASETS if ISO_NODES.reads(d.table)}
    assert reading == {d.key for d in DATASETS if numbers & set(d.table.names)}
    assert reading >= {
        "isone_locations",
        "isone_rt_lmp",
        "isone_da_lmp",
        "isone_rt_hourly_lmp",
        "isone_zonal_load",
        "isone_reserve_prices",
        "isone_ancillary_services",
        "miso_cts",
    }
    assert {d.key for d in DATASETS if GENERATORS.reads(d.table)} == {
        ISONE_LOCATIONS.key,
        ISONE_GENERATION_BY_RESOURCE.key,
    }


def test_a_sighting_that_does_not_fit_is_an_error_and_not_a_row_less() -> None:
    rows = sightings((0, "1", "A", LMP)).with_columns(
        location_id=pl.lit(None, pl.String),
        fetched_at=pl.lit(NOON, ISO_NODES.sightings.schema["fetched_at"]),
    )
    with pytest.raises(ContractBroken, match=r"reference\.iso_node_sightings: 1 rows do not fit"):
        conformed(ISO_NODES.sightings, rows)


# --- checks --------------------------------------------------------------------------------------


def verdict(check: str, number: int, seen: pl.DataFrame, **typed: str) -> Verdict:
    text = reviewed(ISO_NODES, **typed)
    known = Known(ISO_NODES, day(number), seen, nodes(seen, text), text)
    return CHECKS[check][1](known)


def test_a_location_in_no_list_is_reported_until_it_is_listed_or_reviewed() -> None:
    seen = sightings((0, "1", "A", LIST), (0, "1", "A", LMP), (0, "2", "B", LMP))
    text = verdict("unknown", 0, seen)
    assert (text.passed, text.severity, text.count) == (False, "WARN", 1)
    assert "2 (B)" in text.reason
    assert verdict("unknown", 0, seen, location_id="2", note="seen in the manual").passed
    assert not verdict("unknown", 0, seen, location_id="2", names="B").passed  # a run wrote that
    assert verdict("unknown", 0, pl.concat([seen, sightings((1, "2", "B", LIST))])).passed


def test_a_rename_is_reported_on_its_day_and_another_spelling_never() -> None:
    seen = sightings(
        (0, "1", "OLD", LIST),
        (1, "1", "NEW", LIST),
        (2, "1", "NEW", LIST),
        (0, "2", "H_B", LIST),
        (1, "2", "HB", LIST),
    )
    text = verdict("renamed", 1, seen)
    assert (text.passed, text.count) == (False, 1)
    assert "1 (OLD -> NEW)" in text.reason
    assert verdict("renamed", 0, seen).passed
    assert verdict("renamed", 2, seen).passed


def test_what_a_feed_no_longer_names_is_reported_unless_another_names_it() -> None:
    first = [(0, i, f"N{i}", d) for i in ("1", "2", "3") for d in (LIST, LMP)]
    seen = sightings(*first, (2, "1", "N1", LIST), (2, "2", "N2", LMP))
    text = verdict("vanished", 2, seen)
    assert (text.passed, text.count) == (False, 1)
    assert text.sample[0]["last_seen"] == day(0)
    assert "3 (N3)" in text.reason
    assert verdict("vanished", 0, seen).passed


def test_a_day_without_a_feed_is_no_alarm() -> None:
    seen = sightings((0, "1", "A", LIST), (0, "2", "B", LMP), (1, "2", "B", LMP))
    assert verdict("vanished", 1, seen).passed


def test_ids_that_share_a_name_are_reported_until_a_person_tells_them_apart() -> None:
    seen = sightings((0, "7505", "Maine", LIST), (0, "8503", "Maine", LIST), (0, "1", "A", LIST))
    text = verdict("shared_names", 0, seen)
    assert (text.passed, text.count) == (False, 2)
    assert "7505 (Maine), 8503 (Maine)" in text.reason
    assert verdict("shared_names", 0, seen, location_id="8503", canonical_name="Maine DRR").passed


def test_a_generator_without_fuel_is_reported_until_somebody_says_it() -> None:
    frame = pl.DataFrame(
        {
            "operating_day": [FIRST],
            "source": ["isone"],
            "resource_id": ["1"],
            "resource_name": ["UN.1"],
            "fuel": [None],
            "capacity_seen": [None],
            "dataset": [LIST],
        },
        schema_overrides={"fuel": pl.String, "capacity_seen": pl.Float64},
    )

    def verdict_of(**typed: str) -> Verdict:
        file = reviewed(GENERATORS, **typed)
        rows = conformed(GENERATORS.table, GENERATORS.follows(frame, file))
        return CHECKS["without_fuel"][1](Known(GENERATORS, FIRST, frame, rows, file))

    assert (verdict_of().passed, verdict_of().count) == (False, 1)
    assert "1 (UN.1)" in verdict_of().reason
    assert verdict_of(resource_id="1", fuel="Hydro").passed


# --- the file ------------------------------------------------------------------------------------

COLUMNS, KEY = ISO_NODES.reviewed_columns, ISO_NODES.ids
HEADER = ",".join(COLUMNS)


def read(path: Path) -> pl.DataFrame:
    found = read_reviewed(path, COLUMNS, KEY)
    assert found is not None
    return found


def test_the_projects_files_are_in_the_order_in_which_runs_would_write_them() -> None:
    for reference in (ISO_NODES, GENERATORS):
        path = PROJECT / "config" / f"{reference.key}.csv"
        held = read_reviewed(path, reference.reviewed_columns, reference.ids)
        assert held is not None
        assert completed(reference, held, reference.nothing_reviewed()).equals(held)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    frame = reviewed(location_id="1", names='A, "quoted" | B', note="two\nlines")
    write_reviewed(tmp_path / "config" / "file.csv", frame.columns, frame.iter_rows())
    assert read(tmp_path / "config" / "file.csv").equals(frame)
    assert read_reviewed(tmp_path / "none.csv", COLUMNS, KEY) is None


def test_columns_that_a_person_added_stay_at_the_right(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text(f"desk,{HEADER}\nnorth,isone,2,,,,,,,,\n\n,isone,10\n", encoding="utf-8-sig")
    held = completed(
        ISO_NODES, read(path), as_reviewed(ISO_NODES, nodes(sightings((0, "2", "B", LMP))))
    )
    assert held.columns == [*COLUMNS, "desk"]
    assert held.select("location_id", "names", "desk").rows() == [
        ("2", "B", "north"),
        ("10", None, None),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: expected the columns source, location_id.*found an empty file"),
        ("source,location_id\n", "line 1: expected the columns"),
        (f"{HEADER},zone\n", "line 1: expected the columns .* each once"),
        (f"{HEADER}\nisone,1,a,b,c,d,e,f,g,h,i\n", "line 2: 11 cells under 10 columns"),
        (f"{HEADER}\n,1\n", "line 2: source and location_id must be filled"),
        (f"{HEADER}\nisone,1\nisone,1\n", "line 3: isone 1 is there already, in line 2"),
        (b"\xff\xfe", "cannot be read as UTF-8"),
    ],
    ids=range(7),
)
def test_a_file_that_cannot_be_read_is_one_sentence_with_file_and_line(
    tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    path = tmp_path / "iso_nodes.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=f"iso_nodes.csv.*{sentence}"):
        read(path)


def test_an_error_while_writing_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("as it was")

    def rows() -> Iterator[list[str]]:
        yield ["isone", "1"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_reviewed(path, COLUMNS, rows())
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from aurum_assets.resources.reviewed import write_reviewed
versions = [[[str(n), version * 50] for n in range(4000)] for version in "ab"]
print("ready", flush=True)
while True:
    for rows in versions:
        write_reviewed(Path(sys.argv[1]), ["id", "text"], rows)
"""


def test_kill_9_while_writing_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    chance = random.Random(5)  # noqa: S311  moments, no secrets
    for _ in range(3):
        writer = subprocess.Popen(  # noqa: S603  our own code
            [sys.executable, "-c", WRITE_FOR_EVER, str(path)],
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
        )
        with writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.05 + chance.random() / 10)
            writer.send_signal(signal.SIGKILL)
        held = read_reviewed(path, ["id", "text"], ["id"])
        assert held is not None
        assert held["id"].to_list() == [str(n) for n in range(4000)]
        assert held["text"].n_unique() == 1


@pytest.mark.parametrize("reference", [ISO_NODES, GENERATORS], ids=lambda r: r.key)
def test_a_day_on_which_nothing_was_seen_gives_no_check_anything_to_judge(
    reference: Reference,
) -> None:
    nothing = reference.nothing_reviewed()
    seen = reference.sightings.empty()
    rows = conformed(reference.table, reference.follows(seen, nothing))
    for verdict in evaluate(Known(reference, FIRST, seen, rows, nothing)):
        assert verdict.skipped, verdict
        assert verdict.reason == "nothing to judge: nothing was seen on 2026-07-01"


def test_on_the_first_day_nothing_can_have_vanished() -> None:
    text = verdict("vanished", 0, sightings((0, "1", "A", LIST)))
    assert text.skipped
    assert text.reason == "nothing to judge: no earlier day is known"
