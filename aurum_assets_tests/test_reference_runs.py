"""Reference tables on the way through lake, file, Dagster and command line."""

import datetime as dt
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from aurum_assets import ingest
from aurum_assets.cli import main
from aurum_assets.definitions import build
from aurum_assets.graph.assets import table_key
from aurum_assets.graph.reference import reference_key
from aurum_assets.ingest.reference import (
    EVERY,
    REFERENCES,
    crosswalk,
    export,
    home_file,
    observe,
    project_file,
    recall,
)
from aurum_assets.model.errors import ConfigError
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.generation import ISONE_GENERATION_BY_RESOURCE
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_LMP
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.reference.checks import CHECKS, checks_of
from aurum_assets.reference.crosswalk import Reference
from aurum_assets.reference.generators import GENERATORS
from aurum_assets.reference.nodes import ISO_NODES
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import NOON, Desk, utc, variables
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import recording

DAY, NEXT = dt.date(2026, 7, 20), dt.date(2026, 7, 21)
LISTED = recording("isone_locations", "live", "ordinary").body
PRICED = recording("isone_rt_lmp", "live", "ordinary").body


@pytest.fixture
def filled(desk: Desk) -> Desk:
    """A day of the operator's list, of prices and of generators."""
    desk.bring(ISONE_LOCATIONS, LISTED, at=utc("2026-07-20T21:00:00Z"))
    desk.bring(ISONE_RT_LMP, PRICED)
    made = recording("isone_generation_by_resource", "documented", "ordinary").body
    desk.bring(ISONE_GENERATION_BY_RESOURCE, made, dialect="documented")
    return desk


def rows(resources: Resources, reference: Reference = ISO_NODES) -> dict[str, dict[str, Any]]:
    """The newest row of each thing."""
    return {row[reference.id]: row for row in crosswalk(resources, reference).to_dicts()}


# --- the verb ------------------------------------------------------------------------------------


def test_a_day_is_seen_in_every_table_that_names_a_location(filled: Desk) -> None:
    done = observe(filled.resources, ISO_NODES, DAY)
    held = rows(filled.resources)
    assert done.seen == done.merged.new == 8
    assert sorted(held) == ["321", "328", "4000", "4001", "4011", "7505", "8503"]
    hub = held["4000"]
    assert hub["names"] == ".H.INTERNALHUB | .H.INTERNAL_HUB"
    assert hub["canonical_name"] == ".H.INTERNAL_HUB"  # as config/iso_nodes.csv has it
    assert hub["seen_in"] == "isone_locations, isone_rt_lmp"
    assert held["4001"]["zone"] == "ME"
    assert held["328"]["network_node_type"] == "UNIT"
    reasons = {v.check: v.reason for v in done.verdicts if not v.passed}
    assert set(reasons) == {"unknown", "shared_names"}
    assert "4011 (.I.ROSETON 345 1)" in reasons["unknown"]  # priced, but not in this list
    seen = filled.resources.lake.read(ISO_NODES.sightings)
    known = {*filled.rows(ISONE_RT_LMP)["raw_sha256"], *filled.rows(ISONE_LOCATIONS)["raw_sha256"]}
    assert set(seen["raw_sha256"]) == known, "a sighting says from which bytes it came"
    assert set(seen["operating_day"]) == {DAY}


def test_generators_come_from_unit_nodes_and_from_generation_by_resource(filled: Desk) -> None:
    done = observe(filled.resources, GENERATORS, DAY)
    held = rows(filled.resources, GENERATORS)
    assert sorted(held) == ["328", "332", "340"]
    assert (held["328"]["fuel"], held["328"]["capacity_seen"]) == ("Hydro", 12.5)
    assert held["328"]["seen_in"] == "isone_generation_by_resource, isone_locations"
    assert all(v.passed for v in done.verdicts)


def test_a_second_look_at_a_day_changes_no_table_and_no_file(filled: Desk) -> None:
    for reference in REFERENCES:
        observe(filled.resources, reference, DAY)
        path = home_file(filled.resources, reference)
        heads = [filled.resources.lake.table(t).current_snapshot() for t in tables(reference)]
        before = (path.read_bytes(), path.stat().st_mtime_ns)
        done = observe(filled.resources, reference, DAY)
        assert (done.merged.new, done.completion.added, done.completion.completed) == (0, 0, 0)
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before
        assert [
            filled.resources.lake.table(t).current_snapshot() for t in tables(reference)
        ] == heads


def tables(reference: Reference) -> list[Any]:
    return [reference.sightings, reference.table]


def test_days_observed_backwards_give_the_same_tables_and_files(desk: Desk, tmp_path: Path) -> None:
    later = LISTED.replace(b"UN.ASHLAND 13.8ASH1", b"UN.ASHLAND 13.8ASH9")
    other = remade(desk.resources, root=tmp_path / "other")
    for one in (desk, replace(desk, resources=other)):
        one.bring(ISONE_LOCATIONS, LISTED, at=utc("2026-07-20T12:00:00Z"))
        one.bring(ISONE_LOCATIONS, later, at=utc("2026-07-21T12:00:00Z"))
    for reference in REFERENCES:
        for day in (DAY, NEXT):
            observe(desk.resources, reference, day)
        for day in (NEXT, DAY):
            observe(other, reference, day)
        assert crosswalk(other, reference).equals(crosswalk(desk.resources, reference))
        assert (
            home_file(other, reference).read_text()
            == home_file(desk.resources, reference).read_text()
        )
    spans = crosswalk(desk.resources, ISO_NODES).filter(location_id="328")
    assert spans.select("location_name", "valid_from", "valid_to").rows() == [
        ("UN.ASHLAND 13.8ASH1", DAY, NEXT),
        ("UN.ASHLAND 13.8ASH9", NEXT, None),
    ]


def test_rows_that_left_a_market_table_are_still_known(filled: Desk) -> None:
    observe(filled.resources, ISO_NODES, DAY)
    before = crosswalk(filled.resources, ISO_NODES)
    empty = ISONE_RT_LMP.table.empty()
    filled.resources.lake.replace(ISONE_RT_LMP.table, empty, {"operating_day": DAY})
    observe(filled.resources, ISO_NODES, DAY)
    assert crosswalk(filled.resources, ISO_NODES).equals(before)


# --- the home's file -----------------------------------------------------------------------------


def edit(path: Path, was: str, becomes: str) -> None:
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, becomes))


def test_what_a_person_types_survives_every_run_and_flows_into_the_table(filled: Desk) -> None:
    observe(filled.resources, ISO_NODES, DAY)
    path = home_file(filled.resources, ISO_NODES)
    line = "isone,328,UN.ASHLAND 13.8ASH1,NETWORK NODE,INTERNAL,UNIT,,,,"
    edit(path, line, line.replace("UNIT,,,,", "UNIT,Ashland 1,ME,7000,checked"))
    filled.bring(ISONE_LOCATIONS, LISTED.replace(b"ASH1", b"ASH9"), at=NOON)
    before = path.read_text().splitlines()
    observe(filled.resources, ISO_NODES, NEXT)
    after = path.read_text().splitlines()
    assert [(a, b) for a, b in zip(before, after, strict=True) if a != b] == [
        (
            "isone,328,UN.ASHLAND 13.8ASH1,NETWORK NODE,INTERNAL,UNIT,Ashland 1,ME,7000,checked",
            before[2].replace("ASH1,", "ASH1 | UN.ASHLAND 13.8ASH9,"),
        )
    ]
    row = rows(filled.resources)["328"]
    names = (row["canonical_name"], row["location_name"], row["zone"], row["reserve_zone"])
    assert names == ("Ashland 1", "UN.ASHLAND 13.8ASH9", "ME", "7000")


def test_the_homes_file_begins_as_the_projects_and_takes_in_what_is_reviewed_there(
    filled: Desk, tmp_path: Path
) -> None:
    folder = tmp_path / "config"
    shutil.copytree(PROJECT / "config", folder)
    resources = replace(filled.resources, config_folder=folder)
    observe(resources, GENERATORS, DAY)
    edit(project_file(resources, GENERATORS), "note\n", "note\nisone,328,,,,ME,asked the owner\n")
    observe(resources, GENERATORS, DAY)
    assert rows(resources, GENERATORS)["328"]["zone"] == "ME"
    own = home_file(resources, GENERATORS).read_text()
    assert "isone,328,UN.ASHLAND 13.8ASH1,Hydro,,ME,asked the owner\n" in own


def test_one_run_at_a_time_writes_a_file(filled: Desk) -> None:
    done = threading.Event()

    def run() -> None:
        observe(filled.resources, GENERATORS, DAY)
        done.set()

    thread = threading.Thread(target=run)
    with filled.resources.lock("reference_generators"):
        thread.start()
        assert not done.wait(0.5)
        assert not home_file(filled.resources, GENERATORS).exists()
    thread.join(30)
    assert done.is_set()
    assert home_file(filled.resources, GENERATORS).exists()


def test_a_file_that_cannot_be_read_stops_the_run_and_is_left_as_it_is(filled: Desk) -> None:
    path = home_file(filled.resources, ISO_NODES)
    path.parent.mkdir(parents=True)
    path.write_text("half a li")
    with pytest.raises(ConfigError, match=r"iso_nodes\.csv, line 1: expected the columns"):
        observe(filled.resources, ISO_NODES, DAY)
    assert path.read_text() == "half a li"


# --- export --------------------------------------------------------------------------------------


@pytest.fixture
def exporting(filled: Desk, tmp_path: Path) -> Resources:
    """A home of real data, with a config folder of its own."""
    folder = tmp_path / "config"
    shutil.copytree(PROJECT / "config", folder)
    (filled.resources.root / "origin").write_text("real")
    resources = replace(filled.resources, config_folder=folder)
    for reference in REFERENCES:
        observe(resources, reference, DAY)
    return resources


def test_export_completes_the_projects_files_and_changes_no_filled_cell(
    exporting: Resources,
) -> None:
    path = project_file(exporting, ISO_NODES)
    edit(path, "isone,4001,,LOAD ZONE,,,,ME,,", "isone,4001,,LOAD ZONE,,,Maine zone,ME,,by hand")
    before = path.read_text().splitlines()
    done = {completion.path.name: completion for completion in export(exporting)}
    after = path.read_text().splitlines()
    assert done["iso_nodes.csv"].added == len(after) - len(before) == 5
    assert done["generators.csv"].added == 3
    completed = "isone,4001,.Z.MAINE,LOAD ZONE,,,Maine zone,ME,,by hand"
    assert completed in after
    assert [line for line in after if line in before] == [
        line for line in before if not line.startswith(("isone,4000", "isone,4001"))
    ]
    assert [(f.added, f.completed) for f in export(exporting)] == [(0, 0), (0, 0)]


def test_names_that_no_operator_gave_are_never_exported(exporting: Resources) -> None:
    marker = exporting.root / "origin"
    before = project_file(exporting, ISO_NODES).read_bytes()
    marker.write_text("simulated")
    with pytest.raises(ConfigError, match="holds simulated data: only names that an operator gave"):
        export(exporting)
    marker.unlink()
    with pytest.raises(ConfigError, match="holds nothing that was collected: only names"):
        export(exporting)
    assert project_file(exporting, ISO_NODES).read_bytes() == before


def test_a_home_knows_whose_data_it_holds(live_desk: Desk) -> None:
    assert live_desk.resources.origin == ""
    ingest.collect(live_desk.resources, ISONE_LOCATIONS, ISONE_LOCATIONS.day("2026-07-21"))
    assert live_desk.resources.origin == "simulated"


# --- the graph -----------------------------------------------------------------------------------


def run(
    resources: Resources, instance: dg.DagsterInstance, partition: str
) -> dg.ExecuteInProcessResult:
    job = build(resources).resolve_job_def("reference_daily")
    return job.execute_in_process(partition_key=partition, instance=instance)


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    found = [
        e.step_materialization_data.materialization
        for e in result.all_events
        if e.is_step_materialization
    ]
    return {
        m.asset_key.to_user_string(): {k: v.value for k, v in m.metadata.items()} for m in found
    }


def verdicts(
    result: dg.ExecuteInProcessResult, reference: Reference
) -> dict[str, tuple[bool, str | None]]:
    return {
        e.check_name: (e.passed, e.partition)
        for e in result.get_asset_check_evaluations()
        if e.asset_key == reference_key(reference)
    }


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: r.key)
def test_a_reference_asset_says_who_owns_it_and_on_what_it_rests(
    resources: Resources, reference: Reference
) -> None:
    graph = build(resources).resolve_asset_graph()
    node = graph.get(reference_key(reference))
    assert node.key.to_user_string() == f"reference/{reference.key}"
    assert (node.group_name, node.owners) == ("reference", ["team:market-data"])
    assert "iceberg" in node.kinds
    assert "\n\nCaveats: " in (node.description or "")
    assert node.partitions_def == graph.get(table_key(ISONE_LOCATIONS)).partitions_def
    assert node.parent_keys == {table_key(d) for d in DATASETS if reference.reads(d.table)}
    found = {k.name for k in graph.asset_check_keys if k.asset_key == node.key}
    assert found == set(checks_of(reference))
    for name in found:
        check = graph.get(dg.AssetCheckKey(node.key, name))
        assert (check.description, check.partitions_def) == (CHECKS[name][0], node.partitions_def)


def test_prices_of_another_days_key_are_the_same_days_whichever_zone(resources: Resources) -> None:
    graph = build(resources).resolve_asset_graph()
    node = graph.get(reference_key(ISO_NODES))
    for dataset in (MISO_CTS, ISONE_DA_LMP):
        mapping = node.partition_mappings[table_key(dataset)]
        assert isinstance(mapping, dg.IdentityPartitionMapping)


def test_a_day_materializes_all_tables_and_reports_their_checks(
    filled: Desk, instance: dg.DagsterInstance
) -> None:
    result = run(filled.resources, instance, "2026-07-20")
    assert result.success
    done = materialized(result)
    assert set(done) == {f"reference/{one.key}" for one in EVERY}
    metadata = done["reference/iso_nodes"]
    assert metadata["dagster/partition_row_count"] == metadata["new_sightings"] == 8
    assert metadata["dagster/row_count"] == 7
    assert metadata["file"] == str(home_file(filled.resources, ISO_NODES))
    assert verdicts(result, ISO_NODES) == {
        "unknown": (False, "2026-07-20"),
        "renamed": (True, "2026-07-20"),
        "shared_names": (False, "2026-07-20"),
    }
    assert {passed for passed, _ in verdicts(result, GENERATORS).values()} == {True}


@pytest.mark.slow
def test_what_changed_overnight_is_reported_in_a_run_that_succeeds(
    filled: Desk, instance: dg.DagsterInstance
) -> None:
    assert run(filled.resources, instance, "2026-07-20").success
    tree = json.loads(LISTED.replace(b"UN.ASHLAND 13.8ASH1", b"UN.ASHLAND 13.8ASH9"))
    listed = tree["Locations"]["Location"]
    tree["Locations"]["Location"] = [r for r in listed if r["LocationID"] != 321]
    filled.bring(ISONE_LOCATIONS, json.dumps(tree).encode(), at=NOON)
    result = run(filled.resources, instance, "2026-07-21")
    assert result.success
    failed = {name for name, (passed, _) in verdicts(result, ISO_NODES).items() if not passed}
    assert failed == {"renamed", "vanished", "shared_names"}
    assert not verdicts(result, GENERATORS)["renamed"][0]
    new = "UN.ASHLAND 115 ASHG2"  # a unit that no feed says the fuel of
    unit = {"LocationID": 350, "LocationType": "NETWORK NODE", "LocationName": new}
    tree["Locations"]["Location"].append({**unit, "NetworkNodeType": "UNIT"})
    filled.bring(ISONE_LOCATIONS, json.dumps(tree).encode(), at=utc("2026-07-22T16:00:00Z"))
    filled.clock.set(utc("2026-07-22T16:00:00Z"))
    result = run(filled.resources, instance, "2026-07-22")
    assert not verdicts(result, GENERATORS)["without_fuel"][0]
    assert all(verdicts(result, ISO_NODES)[name][0] for name in ("unknown", "renamed", "vanished"))


def test_a_day_on_which_nothing_was_seen_is_not_materialized(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    result = run(desk.resources, instance, "2026-07-20")
    assert result.success
    assert set(materialized(result)) == {"reference/fuels"}  # it is what its file has
    assert verdicts(result, ISO_NODES) == {}


def test_a_materialization_from_the_ui_runs_its_checks_once(
    filled: Desk, instance: dg.DagsterInstance
) -> None:
    definitions = build(filled.resources)
    job = dg.define_asset_job(
        "by_hand",
        selection=dg.AssetSelection.assets(reference_key(ISO_NODES)),
        executor_def=dg.in_process_executor,
    )
    whole = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
    result = whole.resolve_job_def("by_hand").execute_in_process(
        partition_key="2026-07-20", instance=instance
    )
    evaluations = result.get_asset_check_evaluations()
    judged = [name for name in checks_of(ISO_NODES) if name != "vanished"]  # no earlier day
    assert [e.check_name for e in evaluations] == judged
    again = recall(filled.resources, ISO_NODES, DAY)
    assert {e.check_name: e.passed for e in evaluations} == {
        v.check: v.passed for v in again if not v.skipped
    }


def test_the_daily_schedule_looks_at_yesterday_and_today(resources: Resources) -> None:
    repository = build(resources).get_repository_def()
    schedule = repository.get_schedule_def("reference_daily_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == (
        "45 7 * * *",
        "America/New_York",
    )
    context = dg.build_schedule_context(
        scheduled_execution_time=utc("2026-07-21T11:45:00Z"), repository_def=repository
    )
    requests = schedule.evaluate_tick(context).run_requests or []
    assert [r.partition_key for r in requests] == ["2026-07-20", "2026-07-21"]
    assert len({r.run_key for r in requests}) == 2


# --- the command line ----------------------------------------------------------------------------

Aurum = Callable[..., Result]


@pytest.fixture
def aurum(tmp_path: Path, market: Running) -> Aurum:
    """Run a command line in this process, with a config folder of its own."""
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    environment = variables(tmp_path, market) | {"AURUM_CONFIG": str(tmp_path / "config")}

    def run(*arguments: str) -> Result:
        result = CliRunner(env=environment).invoke(main, list(arguments))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def test_what_was_collected_is_observed_shown_and_not_exported_from_a_simulation(
    aurum: Aurum, tmp_path: Path
) -> None:
    assert aurum("collect", "isone", "isone_locations").exit_code == 0
    result = aurum("reference", "observe", "--json")
    assert result.exit_code == 0, result.output
    nodes, generators, *lists = json.loads(result.stdout)["observed"]
    assert [one["reference"] for one in lists] == ["interfaces", "fuels"]
    assert (nodes["rows"], generators["rows"]) == (1302, 393)
    assert "WARN generators without_fuel: 393" in aurum("reference", "observe").output
    shown = json.loads(aurum("reference", "show", "iso_nodes", "--json").stdout)["iso_nodes"]
    assert len(shown) == 1302
    assert aurum("reference", "show", "generators").stdout.startswith("source\tresource_id\t")
    before = (tmp_path / "config" / "iso_nodes.csv").read_bytes()
    refused = aurum("reference", "export")
    assert refused.exit_code == 2
    assert "holds simulated data" in refused.stderr
    (tmp_path / "home" / "origin").write_text("real")
    done = json.loads(aurum("reference", "export", "--json").stdout)["exported"]
    assert [entry["added"] for entry in done] == [1302 - 13, 393]
    assert (tmp_path / "config" / "iso_nodes.csv").read_bytes() != before


def test_each_command_explains_itself(aurum: Aurum) -> None:
    for name in ("observe", "show", "export"):
        result = aurum("reference", name, "--help")
        assert result.exit_code == 0
        assert "--json" in result.output


def test_a_day_that_is_none_is_wrong_use(aurum: Aurum) -> None:
    assert aurum("reference", "observe", "--day", "someday").exit_code == 2
    assert aurum("reference", "show", "nonsense").exit_code == 2
