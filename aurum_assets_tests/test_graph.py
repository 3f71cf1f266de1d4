"""The wiring: what Dagster shows, what it runs and when, and what it says when something is off."""

import datetime as dt
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aurum_assets import ingest
from aurum_assets.definitions import build
from aurum_assets.graph import assets
from aurum_assets.graph.assets import raw_key, table_key
from aurum_assets.graph.health import HEALTH
from aurum_assets.graph.jobs import asked_by, job_of, schedule_groups
from aurum_assets.graph.marts import mart_key
from aurum_assets.graph.quality import DATA_QUALITY
from aurum_assets.graph.reference import reference_key
from aurum_assets.graph.report import REPORT
from aurum_assets.graph.translate import Retries, feeds_config, translated_failures, tried_again
from aurum_assets.ingest.reference import EVERY
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.checks import CHECKS, checks_of
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    ContractBroken,
    HostUnknown,
    LakeBusy,
    LakeUnreachable,
    MalformedPayload,
    SourceRefused,
    SourceUnavailable,
    StoreRefused,
    StoreUnavailable,
)
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import NOON, Desk, utc

LMP, LOAD, CTS = ISONE_RT_LMP, ISONE_SYSTEM_LOAD, MISO_CTS
TODAY = "2026-07-21"
RAW_METADATA = {
    "stored",
    "duplicates",
    "rejected",
    "resumed",
    "records",
    "bytes",
    "requests",
    "api_seconds",
    "object",
    "etag",
    "version",
    "dagster/uri",
}
TABLE_METADATA = {
    "dagster/partition_row_count",
    "dagster/row_count",
    "dagster/table_name",
    "dagster/column_schema",
    "dagster/uri",
    "new",
    "changed",
    "unchanged",
    "quarantined",
    "rejected",
    "snapshots",
    "snapshot_age_seconds",
}


def run(
    desk: Desk,
    instance: dg.DagsterInstance,
    job: str,
    partition: str,
    feeds: dict[str, list[str]] | None = None,
    *,
    raise_on_error: bool = True,
) -> dg.ExecuteInProcessResult:
    whole = build(desk.resources).resolve_job_def(job)
    keys = [key(d) for d in DATASETS if d.key in (feeds or {}) for key in (raw_key, table_key)]
    return (job_of(whole, keys) if keys else whole).execute_in_process(
        partition_key=partition,
        instance=instance,
        run_config=feeds_config(feeds or {}),
        raise_on_error=raise_on_error,
    )


def materializations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetMaterialization]:
    return {
        m.asset_key.to_user_string(): m
        for e in result.all_events
        if e.is_step_materialization
        for m in [e.step_materialization_data.materialization]
    }


def outcomes(
    result: dg.ExecuteInProcessResult, dataset: Dataset
) -> dict[str, tuple[bool, str | None]]:
    return {
        e.check_name: (e.passed, e.partition)
        for e in result.get_asset_check_evaluations()
        if e.asset_key == table_key(dataset)
    }


# --- what is there -------------------------------------------------------------------------------


def test_the_definitions_load_without_a_warning(resources: Resources) -> None:
    """Warnings are errors in these tests, previews and betas of Dagster's among them."""
    definitions = build(resources)
    dg.Definitions.validate_loadable(definitions)
    assert {a.key for a in definitions.resolve_asset_graph().asset_nodes} == {
        *(make(d) for d in DATASETS for make in (raw_key, table_key)),
        *map(reference_key, EVERY),
        *(mart_key(table.name) for table in MARTS),
        HEALTH,
        DATA_QUALITY,
        REPORT,
    }
    assert raw_key(LMP).to_user_string() == "raw/isone_rt_lmp"
    assert table_key(CTS).to_user_string() == "market/miso_cts"


def test_dagster_definitions_validate_is_clean(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603  our own environment
        [str(Path(sys.executable).parent / "dagster"), "definitions", "validate"],
        cwd=PROJECT,
        env=os.environ | {"AURUM_HOME": str(tmp_path / "home"), "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    assert "Validation successful" in output
    warned = [line for line in output.splitlines() if "arning" in line]
    assert [line for line in warned if "definitions_validate_command" not in line] == []  # itself
    assert not (tmp_path / "home").exists(), "loading the definitions writes nothing"


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.key)
def test_an_asset_says_who_owns_it_what_it_is_and_where_it_belongs(
    definitions: dg.Definitions, configuration: Configuration, dataset: Dataset
) -> None:
    graph = definitions.resolve_asset_graph()
    for key, kind in ((raw_key(dataset), "gzip"), (table_key(dataset), "iceberg")):
        node = graph.get(key)
        assert node.owners == ["team:market-data"]
        assert node.group_name == dataset.operator.name
        assert kind in node.kinds
        assert node.tags["aurum/series"] == dataset.group
        assert node.tags["aurum/room"] == key.path[0]
        assert "\n\nCaveats: " in (node.description or "")
        config = configuration.datasets[dataset.key]  # nothing else is ever stale
        offered = not all(map(config.is_documented_only, config.feeds))
        assert (node.freshness_policy is not None) == offered
    assert graph.get(table_key(dataset)).parent_keys == {raw_key(dataset)}


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.key)
def test_every_check_of_a_table_is_a_partitioned_check_of_its_asset(
    definitions: dg.Definitions, configuration: Configuration, dataset: Dataset
) -> None:
    graph = definitions.resolve_asset_graph()
    key = table_key(dataset)
    found = {k.name for k in graph.asset_check_keys if k.asset_key == key}
    assert found == set(checks_of(dataset.table, configuration.datasets[dataset.key]))
    days = graph.get(key).partitions_def
    assert days is not None
    for name in found:
        check = graph.get(dg.AssetCheckKey(key, name))
        assert check.partitions_def == days
        assert check.description == CHECKS[name][0]
        assert check.blocking is False


@pytest.mark.parametrize(("dataset", "zone"), [(LMP, "America/New_York"), (CTS, "Etc/GMT+5")])
def test_partitions_are_operating_days_in_the_operators_zone_today_included(
    definitions: dg.Definitions, dataset: Dataset, zone: str
) -> None:
    days = definitions.resolve_asset_graph().get(table_key(dataset)).partitions_def
    assert isinstance(days, dg.DailyPartitionsDefinition)
    assert days.timezone == zone
    keys = days.get_partition_keys(current_time=utc("2026-07-21T04:30:00Z"))
    assert keys[0] == "2024-01-01"
    assert keys[-1] == ("2026-07-21" if dataset is LMP else "2026-07-20")
    assert {"2024-03-10", "2024-11-03"} <= set(keys)


def test_raw_and_table_share_one_partitions_definition(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for dataset in DATASETS:
        raw, table = graph.get(raw_key(dataset)), graph.get(table_key(dataset))
        assert raw.partitions_def == table.partitions_def


def test_the_columns_are_shown_with_their_units(definitions: dg.Definitions) -> None:
    metadata = definitions.resolve_asset_graph().get(table_key(LMP)).metadata
    schema = metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    columns = {c.name: c for c in schema.columns}
    assert list(columns) == LMP.table.names
    assert columns["lmp"].description == "Locational marginal price. [USD/MWh]"
    assert columns["lmp"].constraints.nullable
    assert not columns["location_id"].constraints.nullable


def described(definitions: dg.Definitions) -> Iterator[tuple[str, str | None]]:
    """Everything of the repository that the UI shows a description of."""
    repository = definitions.get_repository_def()
    graph = definitions.resolve_asset_graph()
    for schedule in repository.schedule_defs:
        yield schedule.name, schedule.description
    for sensor in repository.sensor_defs:
        yield sensor.name, sensor.description
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            yield job.name, job.description
        for op in job.all_node_defs:
            yield f"{job.name} {op.name}", op.description
    for node in graph.asset_nodes:
        yield node.key.to_user_string(), node.description
    for key in graph.asset_check_keys:
        yield key.to_user_string(), graph.get(key).description
    for name, resource in repository.get_top_level_resources().items():
        yield name, resource.description


def test_everything_says_in_whole_sentences_what_it_is(definitions: dg.Definitions) -> None:
    found = dict(described(definitions))
    assert {"isone_api", "lake", "gaps", "health", "maintenance_schedule", "isone_daily"} <= set(
        found
    )
    for name, description in found.items():
        assert description, f"{name} says nothing"
        assert description.endswith("."), f"{name}: {description}"


def test_no_description_shows_markup_where_the_ui_does_not_render_it(
    definitions: dg.Definitions,
) -> None:
    columns = [
        (f"{node.key.to_user_string()} {column.name}", column.description)
        for node in definitions.resolve_asset_graph().asset_nodes
        for schema in [node.metadata.get("dagster/column_schema")]
        if isinstance(schema, dg.TableSchema)
        for column in schema.columns
    ]
    assert len(columns) > 100
    markup = re.compile(r"`|\*|^- |^#|\]\(|<\w|\b_\w+_\b", re.MULTILINE)
    for name, text in [*described(definitions), *columns]:
        assert not markup.search(text or ""), f"{name}: {text}"


def test_a_dataset_that_config_switches_off_has_no_asset(
    resources: Resources, configuration: Configuration
) -> None:
    off = replace(configuration.datasets[LOAD.key], enabled=False)
    datasets = {**configuration.datasets, LOAD.key: off}
    reduced = replace(resources, configuration=replace(configuration, datasets=datasets))
    keys = {a.key for a in build(reduced).resolve_asset_graph().asset_nodes}
    assert raw_key(LOAD) not in keys
    assert raw_key(LMP) in keys


# --- schedules -----------------------------------------------------------------------------------


def ticks(
    definitions: dg.Definitions, schedule: str, at: str
) -> list[tuple[str | None, dict[str, list[str]]]]:
    """(partition, feeds by dataset) of the runs that a tick at ``at`` requests."""
    repository = definitions.get_repository_def()
    context = dg.build_schedule_context(scheduled_execution_time=utc(at), repository_def=repository)
    requests = repository.get_schedule_def(schedule).evaluate_tick(context).run_requests or []
    assert len({r.run_key for r in requests}) == len(requests)
    for request in requests:
        asked = {op.removeprefix("raw__") for op in request.run_config["ops"]}
        if request.asset_selection is not None:  # else the whole job is asked
            assert {key.path[1] for key in request.asset_selection} == asked
            assert request.asset_check_keys == []  # the step reports them
    return [
        (
            r.partition_key,
            {
                op.removeprefix("raw__"): c["config"]["feeds"]
                for op, c in r.run_config["ops"].items()
            },
        )
        for r in requests
    ]


NOW = {
    "isone_rt_lmp": ["now"],
    "isone_system_load": ["now"],
    "isone_zonal_load": ["now"],
    "isone_generation_mix": ["now"],
    "isone_regulation_prices": ["now"],
    "isone_reserve_prices": ["now"],
}
PRICES_AND_LOAD = {LMP.key: ["now"], LOAD.key: ["now"]}
FINAL = {
    "isone_rt_lmp": ["final_hours"],
    "isone_rt_hourly_lmp": ["final_day"],
    "isone_regulation_prices": ["final_day", "final_hourly"],
    "isone_reserve_prices": ["final_day"],
}
YESTERDAY = {  # what has just ended, and may be final already
    "isone_rt_lmp": ["final_hours"],
    "isone_rt_hourly_lmp": ["prelim_day", "final_day"],
    "isone_generation_mix": ["day"],
    "isone_regulation_prices": ["prelim_day", "final_day", "final_hourly"],
    "isone_reserve_prices": ["prelim_day", "final_day"],
}
SPELLED_OUT = {  # a dataset that comes later is held against its configuration, below
    *NOW,
    *YESTERDAY,
    "isone_da_lmp",
    "isone_generation_by_resource",
    "isone_locations",
    "miso_cts",
}


@pytest.mark.parametrize(
    ("schedule", "at", "requests"),
    [
        ("isone_five_minutes", "2026-07-21T16:00:00Z", [("2026-07-21", NOW)]),
        # midnight in New York: 04:00 UTC in summer, 05:00 in winter
        ("isone_five_minutes", "2026-07-21T03:55:00Z", [("2026-07-20", NOW)]),
        (
            "isone_five_minutes",
            "2026-07-21T04:00:00Z",
            [("2026-07-20", NOW), ("2026-07-21", NOW)],
        ),
        (
            "isone_five_minutes",
            "2026-07-21T04:15:00Z",
            [("2026-07-20", NOW), ("2026-07-21", NOW)],
        ),
        ("isone_five_minutes", "2026-07-21T04:20:00Z", [("2026-07-21", NOW)]),
        (
            "isone_five_minutes",
            "2026-01-01T05:05:00Z",
            [("2025-12-31", NOW), ("2026-01-01", NOW)],
        ),
        ("isone_five_minutes", "2026-01-01T04:05:00Z", [("2025-12-31", NOW)]),
        # both weekends
        (
            "isone_five_minutes",
            "2024-03-11T04:00:00Z",
            [("2024-03-10", NOW), ("2024-03-11", NOW)],
        ),
        (
            "isone_five_minutes",
            "2024-11-04T05:00:00Z",
            [("2024-11-03", NOW), ("2024-11-04", NOW)],
        ),
        # midnight in EST: 05:00 UTC all year
        ("miso_fifteen_minutes", "2026-07-21T04:45:00Z", [("2026-07-20", {"miso_cts": ["now"]})]),
        (
            "miso_fifteen_minutes",
            "2026-07-21T05:00:00Z",
            [("2026-07-20", {"miso_cts": ["now"]}), ("2026-07-21", {"miso_cts": ["now"]})],
        ),
        ("miso_fifteen_minutes", "2026-07-21T05:30:00Z", [("2026-07-21", {"miso_cts": ["now"]})]),
        # what became final
        (
            "isone_daily",
            "2026-07-21T10:30:00Z",
            [
                ("2026-07-14", FINAL),  # once more
                ("2026-07-20", YESTERDAY),
                (
                    "2026-07-21",
                    {"isone_generation_by_resource": ["now"], "isone_locations": ["now"]},
                ),
            ],
        ),
        (
            "isone_daily",
            "2024-03-12T10:30:00Z",
            [
                ("2024-03-05", FINAL),
                ("2024-03-11", YESTERDAY),
                (
                    "2024-03-12",
                    {"isone_generation_by_resource": ["now"], "isone_locations": ["now"]},
                ),
            ],
        ),
        # what cleared for tomorrow
        (
            "isone_da_lmp_daily",
            "2026-07-21T18:30:00Z",
            [("2026-07-22", {"isone_da_lmp": ["day"]})],
        ),
    ],
)
def test_a_beat_asks_for_today_and_around_midnight_for_yesterday_too(
    definitions: dg.Definitions,
    schedule: str,
    at: str,
    requests: list[tuple[str, dict[str, list[str]]]],
) -> None:
    found = [
        (day, {key: feeds for key, feeds in asked.items() if key in SPELLED_OUT})
        for day, asked in ticks(definitions, f"{schedule}_schedule", at)
    ]
    assert [(day, asked) for day, asked in found if asked] == requests


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.key)
def test_a_daily_feed_is_asked_for_the_days_that_its_configuration_names(
    resources: Resources, dataset: Dataset
) -> None:
    today = dataset.operator.day_of(NOON)
    required = {
        (feed.name, today.plus(days).key)
        for feed in resources.config(dataset).feeds
        if feed.cadence == "daily"
        for days in (
            *(feed.offset_days - n for n in range(feed.span_days)),
            *(-n for n in feed.again_days),
        )
    }
    asked = {
        (name, day)
        for group in schedule_groups([(dataset, resources.config(dataset))])
        if group.cadence.name == "daily"
        for day, by_dataset in asked_by(group, NOON).items()
        for name in by_dataset[dataset.key]
    }
    assert asked == required


def test_every_feed_with_a_beat_is_asked_for_by_exactly_one_schedule(
    definitions: dg.Definitions,
    configuration: Configuration,
) -> None:
    repository = definitions.get_repository_def()
    names = {s.name for s in repository.schedule_defs}
    assert names == {
        "isone_five_minutes_schedule",
        "isone_hourly_schedule",
        "isone_hourly_load_forecast_hourly_schedule",
        "isone_daily_schedule",
        "isone_da_lmp_daily_schedule",
        "isone_ancillary_services_daily_schedule",
        "miso_fifteen_minutes_schedule",
        "miso_five_minutes_schedule",
        "miso_hourly_schedule",
        "miso_hourly_plus_57_schedule",
        "pjm_five_minutes_schedule",
        "pjm_fifteen_minutes_schedule",
        "pjm_daily_schedule",
        "pjm_da_lmp_daily_schedule",
        "reference_daily_schedule",  # asks no operator
        "data_quality_hourly_schedule",  # nor do these
        "maintenance_schedule",
        "marts_hourly_schedule",
        "marts_daily_schedule",
        "report_hourly_schedule",
        "report_daily_schedule",
    }
    pairs = [(d, configuration.datasets[d.key]) for d in DATASETS]
    more = {n for _, c in pairs for f in c.feeds for n in f.again_days}
    again = {NOON.date() - dt.timedelta(days=n) for n in more}
    asked = [
        one
        for group in schedule_groups(pairs)
        for one in {  # once, though it may be asked for several days
            (key, feed)
            for day, by_dataset in asked_by(group, NOON).items()
            if dt.date.fromisoformat(day) not in again
            for key, feeds in by_dataset.items()
            for feed in feeds
        }
    ]
    beating = [(d.key, f.name) for d, c in pairs for f in c.feeds if f.cadence != "backfill"]
    assert sorted(asked) == sorted(beating)


def test_schedules_run_only_where_the_environment_says_so(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def statuses() -> set[dg.DefaultScheduleStatus]:
        return {s.default_status for s in build(resources).get_repository_def().schedule_defs}

    monkeypatch.delenv("AURUM_SCHEDULES", raising=False)
    assert statuses() == {dg.DefaultScheduleStatus.STOPPED}
    monkeypatch.setenv("AURUM_SCHEDULES", "running")
    assert statuses() == {dg.DefaultScheduleStatus.RUNNING}


# --- runs ----------------------------------------------------------------------------------------


def test_a_beat_is_green_and_says_what_it_did(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    result = run(live_desk, instance, "isone_five_minutes", TODAY, PRICES_AND_LOAD)
    assert result.success
    text = materializations(result)
    assert set(text) == {f"{room}/{d.key}" for room in ("raw", "market") for d in (LMP, LOAD)}
    assert {m.partition for m in text.values()} == {TODAY}
    for dataset, rows in ((LMP, 3), (LOAD, 1)):
        raw, table = text[f"raw/{dataset.key}"].metadata, text[f"market/{dataset.key}"].metadata
        assert set(raw) >= RAW_METADATA
        assert set(table) >= TABLE_METADATA
        assert (raw["stored"].value, raw["requests"].value, raw["records"].value) == (1, 1, rows)
        assert (live_desk.resources.root / "archive" / str(raw["object"].value)).exists()
        assert (table["new"].value, table["dagster/partition_row_count"].value) == (rows, rows)
        assert table["dagster/table_name"].value == f"market.{dataset.key}"
        required = set(checks_of(dataset.table, live_desk.resources.config(dataset)))
        assert set(outcomes(result, dataset)) == required
        assert {partition for _, partition in outcomes(result, dataset).values()} == {TODAY}
    assert isinstance(text["market/isone_rt_lmp"].metadata["max_lmp_residual"].value, float)
    assert not any("picture" in made.metadata for made in text.values()), "it is a tick"


def test_the_day_asked_for_as_a_whole_passes_every_check(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    result = run(live_desk, instance, "isone_five_minutes", "2026-07-20")
    assert {passed for passed, _ in outcomes(result, LMP).values()} == {True}
    assert {passed for passed, _ in outcomes(result, LOAD).values()} == {True}
    assert len(live_desk.rows(LMP)) == 288 * 3


def test_the_same_beat_again_is_a_duplicate_and_no_commit(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    run(live_desk, instance, "isone_five_minutes", TODAY, PRICES_AND_LOAD)
    before = live_desk.rows(LMP)
    live_desk.clock.set(live_desk.clock() + dt.timedelta(seconds=20))
    text = materializations(run(live_desk, instance, "isone_five_minutes", TODAY, PRICES_AND_LOAD))
    assert text["raw/isone_rt_lmp"].metadata["duplicates"].value == 1
    assert text["raw/isone_rt_lmp"].metadata["stored"].value == 0
    assert text["market/isone_rt_lmp"].metadata["new"].value == 0
    assert live_desk.rows(LMP).equals(before)


def test_final_values_stand_beside_the_preliminary_ones(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    day = "2026-07-18"
    run(live_desk, instance, "isone_daily", day, {LMP.key: ["prelim_hours"]})
    last = run(live_desk, instance, "isone_daily", day, {LMP.key: ["final_hours"]})
    made = materializations(last)[f"market/{LMP.key}"].metadata["picture"]
    assert isinstance(made, dg.MarkdownMetadataValue)
    rows = live_desk.rows(LMP, day)
    assert sorted(rows["finality"].value_counts().rows()) == [("final", 864), ("prelim", 864)]


def test_miso_is_asked_every_quarter_hour(live_desk: Desk, instance: dg.DagsterInstance) -> None:
    result = run(live_desk, instance, "miso_fifteen_minutes", TODAY, {CTS.key: ["now"]})
    assert result.success
    assert set(outcomes(result, CTS)) == set(checks_of(CTS.table, live_desk.resources.config(CTS)))
    assert len(live_desk.rows(CTS)) > 100


def test_a_broken_record_is_a_failed_check_in_a_run_that_succeeds(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance
) -> None:
    market.simulator.fail(next="wrong_sum", match="/fiveminutelmp")
    result = run(live_desk, instance, "isone_five_minutes", TODAY, PRICES_AND_LOAD)
    assert result.success
    (broken,) = [
        e
        for e in result.get_asset_check_evaluations()
        if e.asset_key == table_key(LMP) and e.check_name == "lmp_arithmetic"
    ]
    assert (broken.passed, broken.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "lmp_is_the_sum_of_its_parts: lmp=" in (broken.description or "")
    assert broken.metadata["count"].value == 1
    sample = broken.metadata["sample"]
    assert isinstance(sample, dg.TableMetadataValue)
    assert "LmpTotal" in str(sample.records[0].data["record"])
    assert len(live_desk.rows(LMP)) == 2


def rows_of_table(desk: Desk, dataset: Dataset) -> tuple[int, list[dt.date]]:
    return len(desk.rows(dataset)), desk.resources.lake.days(dataset.table)


def of_the_table_alone(
    desk: Desk, instance: dg.DagsterInstance, dataset: Dataset, day: str
) -> dg.ExecuteInProcessResult:
    """What the UI runs for "Materialize" of ``market/<dataset>``: the table and its checks."""
    job = dg.define_asset_job(
        "by_hand",
        selection=dg.AssetSelection.assets(table_key(dataset)),
        executor_def=dg.in_process_executor,
    )
    whole = dg.Definitions.merge(build(desk.resources), dg.Definitions(jobs=[job]))
    return whole.resolve_job_def("by_hand").execute_in_process(
        partition_key=day, instance=instance, raise_on_error=False
    )


@pytest.mark.parametrize("dataset", [LMP, CTS], ids=lambda d: d.key)
def test_a_table_without_an_archived_answer_of_its_day_fails_in_one_sentence(
    desk: Desk, instance: dg.DagsterInstance, dataset: Dataset
) -> None:
    result = of_the_table_alone(desk, instance, dataset, "2026-07-17")
    (data,) = failures(result).values()
    assert data.user_failure_data.description == (
        f"nothing archived of 2026-07-17: materialize raw/{dataset.key} too"
    )
    assert "STEP_UP_FOR_RETRY" not in [e.event_type_value for e in result.all_events]
    assert materializations(result) == {}
    assert result.get_asset_check_evaluations() == []
    assert rows_of_table(desk, dataset) == (0, [])


def test_a_day_whose_archive_is_gone_keeps_the_rows_that_it_has(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    day = "2026-07-20"
    assert run(live_desk, instance, "isone_five_minutes", day, {LOAD.key: ["day"]}).success
    held = rows_of_table(live_desk, LOAD)
    for path in (live_desk.resources.root / "archive").rglob("*.json*"):
        path.unlink()
    result = of_the_table_alone(live_desk, instance, LOAD, day)
    assert not result.success
    assert rows_of_table(live_desk, LOAD) == held == (288, [dt.date.fromisoformat(day)])


def of_the_table_in_its_job(
    desk: Desk, instance: dg.DagsterInstance, dataset: Dataset, day: str
) -> dg.ExecuteInProcessResult:
    """As a schedule has it: the asset's step reports its checks."""
    job = build(desk.resources).resolve_job_def("isone_five_minutes")
    asked = job_of(job, [table_key(dataset)])
    return asked.execute_in_process(partition_key=day, instance=instance)


@pytest.mark.parametrize("made", [of_the_table_alone, of_the_table_in_its_job])
def test_a_check_that_has_nothing_to_judge_gives_no_result_and_the_log_says_why(
    desk: Desk, instance: dg.DagsterInstance, made: Callable[..., dg.ExecuteInProcessResult]
) -> None:
    desk.take(LOAD, b'{"FiveMinSystemLoads":""}', asked=TODAY)
    result = made(desk, instance, LOAD, TODAY)
    assert result.success
    text = outcomes(result, LOAD)
    assert set(text) == {"completeness", "freshness", "empty_answer"}
    assert {passed for passed, _ in text.values()} == {False}
    log = "\n".join(
        e.user_message for e in instance.all_logs(result.run_id) if e.dagster_event is None
    )
    assert "contract skipped, nothing to judge: no row of 2026-07-21 is held" in log


def failures(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    return {
        e.step_key: e.step_failure_data
        for e in result.all_events
        if e.is_step_failure and e.step_key
    }


def test_a_refused_request_fails_at_once_in_a_sentence_that_names_the_variables(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance
) -> None:
    market.simulator.fail(next="401", times=100)
    feeds = {LMP.key: ["now"], LOAD.key: ["now"]}
    result = run(live_desk, instance, "isone_five_minutes", TODAY, feeds, raise_on_error=False)
    assert not result.success
    failed = failures(result)
    assert set(failed) == {"raw__isone_rt_lmp", "raw__isone_system_load"}
    for data in failed.values():
        sentence = data.user_failure_data.description
        assert "ISONE_USERNAME and ISONE_PASSWORD, or ISONE_API_KEY" in sentence
        assert "register at https://www.iso-ne.com" in sentence
        assert "\n" not in sentence
    kinds = [e.event_type_value for e in result.all_events]
    assert "STEP_UP_FOR_RETRY" not in kinds
    assert [seen.status for seen in market.simulator.requests] == [401, 401]
    assert materializations(result) == {}


@pytest.mark.parametrize(("fault", "tries"), [("500", 2), ("401", 1)])
def test_the_error_of_a_failed_run_begins_with_the_sentence(
    live_desk: Desk,
    market: Running,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    tries: int,
) -> None:
    """And has one trace: its cause is not repeated."""
    monkeypatch.setattr(assets, "ASKED_AGAIN", replace(assets.ASKED_AGAIN, seconds=0))
    live_desk.resources.sleep = lambda _: None
    market.simulator.fail(next=fault, times=100)
    feeds = {LOAD.key: ["now"]}
    result = run(live_desk, instance, "isone_five_minutes", TODAY, feeds, raise_on_error=False)
    (failed,) = failures(result).values()
    sentence = failed.user_failure_data.description
    assert sentence.startswith("ISO New England ")
    assert failed.error.message == f"dagster._core.definitions.events.Failure: {sentence}\n"
    assert failed.error.cause is None or failed.error.cause.message.find(sentence) == -1
    events = instance.all_logs(result.run_id)
    assert "max_retries" not in "".join(map(dg.serialize_value, events))
    of_run = result.get_run_failure_event().job_failure_data
    assert of_run.error == failed.error
    warned = [e.user_message for e in events if "; tried again in 0 s" in e.user_message]
    assert warned == [f"{sentence}; tried again in 0 s"] * (tries - 1)
    restarted = [e for e in result.all_events if e.event_type_value == "STEP_RESTARTED"]
    assert len(restarted) == tries - 1


def test_an_error_that_nobody_thought_of_is_tried_again_and_then_told_as_it_is(
    instance: dg.DagsterInstance,
) -> None:
    tries = []

    @dg.asset
    def strange(context: dg.AssetExecutionContext) -> None:
        with tried_again(context, Retries(most=2, seconds=0)):
            tries.append(context.retry_number)
            msg = "the seventh day"
            raise ArithmeticError(msg)

    result = dg.materialize([strange], instance=instance, raise_on_error=False)
    assert tries == [0, 1, 2]
    (failed,) = failures(result).values()
    assert "Exceeded" not in failed.error.to_string()
    assert failed.error.cause.message == "ArithmeticError: the seventh day\n"
    assert failed.error_source is not None
    assert failed.error_source.name == "USER_CODE_ERROR", "the UI shows the cause alone"


def test_bytes_that_cannot_be_read_fail_the_collection_and_are_kept(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance
) -> None:
    market.simulator.fail(next="no_data", match="CoordinatedTransaction")
    result = run(
        live_desk,
        instance,
        "miso_fifteen_minutes",
        TODAY,
        {CTS.key: ["now"]},
        raise_on_error=False,
    )
    (data,) = failures(result).values()
    assert "says 'no data'" in data.user_failure_data.description
    assert "the bytes are kept at rejected/miso_cts/" in data.user_failure_data.description
    assert len(list(live_desk.resources.archive.rejections(CTS.key))) == 1


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (SourceUnavailable("later"), True),
        (SourceRefused("never"), False),
        (MalformedPayload("no shape"), False),
        (ContractBroken("does not fit"), False),
        (ConfigError("names a file"), False),
        (HostUnknown("names a host"), True),
        (StoreUnavailable("out of reach"), True),
        (StoreRefused("S3 refuses"), False),
        (LakeBusy("others write"), True),
        (LakeUnreachable("no catalog"), True),
    ],
)
def test_only_what_may_go_better_later_is_tried_again(error: AurumError, again: bool) -> None:  # noqa: FBT001  a table
    with pytest.raises(dg.Failure) as caught, translated_failures():
        raise error
    assert caught.value.allow_retries is again
    assert caught.value.description == str(error)
    assert caught.value.__cause__ is error.__cause__, "the sentence appears once"
    raised_in = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert raised_in[-1] == "test_only_what_may_go_better_later_is_tried_again"


def test_what_is_no_error_of_ours_is_not_translated() -> None:
    with pytest.raises(ZeroDivisionError), translated_failures():
        raise ZeroDivisionError


# --- replay --------------------------------------------------------------------------------------


def replay(
    desk: Desk, instance: dg.DagsterInstance, *, raise_on_error: bool = True, **config: object
) -> dg.ExecuteInProcessResult:
    return (
        build(desk.resources)
        .resolve_job_def("replay_from_raw")
        .execute_in_process(
            instance=instance,
            run_config={"ops": {"replay": {"config": config}}},
            raise_on_error=raise_on_error,
        )
    )


def test_replay_reports_every_day_by_itself(live_desk: Desk, instance: dg.DagsterInstance) -> None:
    days = ["2026-07-18", "2026-07-19", "2026-07-20"]
    for day in days:
        ingest.collect(live_desk.resources, LOAD, LOAD.day(day))
    result = replay(live_desk, instance, dataset=LOAD.key, first=days[0], last=days[-1])
    assert result.success
    found = [
        e.step_materialization_data.materialization
        for e in result.all_events
        if e.is_step_materialization
    ]
    assert [(m.asset_key, m.partition) for m in found] == [(table_key(LOAD), day) for day in days]
    assert [m.metadata["new"].value for m in found] == [288] * 3
    evaluations = result.get_asset_check_evaluations()
    assert {(e.check_name, e.partition) for e in evaluations} == {
        (name, day)
        for name in checks_of(LOAD.table, live_desk.resources.config(LOAD))
        for day in days
    }
    assert all(e.passed for e in evaluations)
    again = replay(live_desk, instance, dataset=LOAD.key, first=days[0], last=days[-1])
    new = [
        e.step_materialization_data.materialization.metadata["new"].value
        for e in again.all_events
        if e.is_step_materialization
    ]
    assert new == [0, 0, 0]


def test_a_partition_of_replay_is_a_dataset_and_a_month(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    for day in ("2026-06-30", "2026-07-01", "2026-07-20"):
        ingest.collect(live_desk.resources, LOAD, LOAD.day(day))
    job = build(live_desk.resources).resolve_job_def("replay_from_raw")
    key = dg.MultiPartitionKey({"dataset": LOAD.key, "month": "2026-07-01"})
    assert job.partitions_def is not None
    assert key in job.partitions_def.get_partition_keys(current_time=live_desk.clock())
    result = job.execute_in_process(instance=instance, partition_key=key)
    found = [
        e.step_materialization_data.materialization
        for e in result.all_events
        if e.is_step_materialization
    ]
    assert [m.partition for m in found] == ["2026-07-01", "2026-07-20"]
    assert {e.partition for e in result.get_asset_check_evaluations()} == {
        "2026-07-01",
        "2026-07-20",
    }


def test_a_day_that_cannot_be_replayed_does_not_hold_up_the_others(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    for day in ("2026-07-19", "2026-07-20"):
        ingest.collect(live_desk.resources, LOAD, LOAD.day(day))
        ingest.normalize(live_desk.resources, LOAD, LOAD.day(day))
    folder = live_desk.resources.root / "archive" / "sourcing" / LOAD.key
    for path in folder.rglob("day=19/*.json.gz"):
        path.unlink()
    result = replay(
        live_desk,
        instance,
        raise_on_error=False,
        dataset=LOAD.key,
        first="2026-07-19",
        last="2026-07-20",
    )
    assert not result.success
    (data,) = failures(result).values()
    assert "2026-07-19: " in data.user_failure_data.description
    assert "the archive lacks" in data.user_failure_data.description
    assert [
        e.step_materialization_data.materialization.partition
        for e in result.all_events
        if e.is_step_materialization
    ] == ["2026-07-20"]
    assert len(live_desk.rows(LOAD)) == 2 * 288


def test_a_day_of_which_nothing_is_archived_cannot_be_replayed(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    ingest.collect(live_desk.resources, LOAD, LOAD.day("2026-07-19"))
    days = {"first": "2026-07-18", "last": "2026-07-19"}
    result = replay(live_desk, instance, raise_on_error=False, dataset=LOAD.key, **days)
    (data,) = failures(result).values()
    assert data.user_failure_data.description == (
        f"2026-07-18: {LOAD.key}: nothing archived of 2026-07-18: collect the day first"
    )
    assert live_desk.resources.lake.days(LOAD.table) == [dt.date(2026, 7, 19)]


def test_replay_of_an_unknown_dataset_names_the_known_ones(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    result = replay(desk, instance, raise_on_error=False, dataset="x", first=TODAY, last=TODAY)
    (data,) = failures(result).values()
    assert ", ".join(sorted(d.key for d in DATASETS)) in data.user_failure_data.description


@pytest.mark.parametrize("bad", [{"first": "someday"}, {"last": "2026-02-30"}])
def test_replay_of_what_is_no_day_says_what_a_day_is(
    desk: Desk, instance: dg.DagsterInstance, bad: dict[str, str]
) -> None:
    config = {"dataset": LOAD.key, "first": TODAY, "last": TODAY} | bad
    result = replay(desk, instance, raise_on_error=False, **config)
    (data,) = failures(result).values()
    assert data.user_failure_data is not None, "a sentence, not a traceback"
    assert "expected YYYY-MM-DD" in data.user_failure_data.description


# --- order ---------------------------------------------------------------------------------------


def test_rows_of_one_dataset_wait_for_no_other_answer(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    result = run(live_desk, instance, "isone_five_minutes", TODAY, PRICES_AND_LOAD)
    steps = [e.step_key for e in result.all_events if e.event_type_value == "STEP_START"]
    rooms = [step.partition("__")[0] for step in steps if step and "__" in step]
    assert rooms == ["raw", "market"] * 2


def test_what_was_imported_is_not_looked_through_for_garbage_in_every_run() -> None:
    code = "import gc, aurum_assets.definitions; print(gc.get_freeze_count(), *gc.get_threshold())"
    done = subprocess.run(  # noqa: S603  our own environment
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    frozen, *thresholds = map(int, done.stdout.split())
    assert frozen > 100_000
    assert thresholds == [50_000, 10, 10]


# --- attempts ------------------------------------------------------------------------------------


def asked(live_desk: Desk, market: Running, tags: dict[str, str]) -> int:
    """How many requests a run of yesterday's prices by the hour makes."""
    before = len(market.simulator.ledger.seen)
    whole = build(live_desk.resources).resolve_job_def("isone_five_minutes")
    job = job_of(whole, [raw_key(LMP), table_key(LMP)])
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            partition_key="2026-07-20",
            instance=instance,
            run_config=feeds_config({LMP.key: ["prelim_hours"]}),
            tags=tags,
        )
    assert done.success
    (raw,) = (m for k, m in materializations(done).items() if k == raw_key(LMP).to_user_string())
    made = len(market.simulator.ledger.seen) - before
    assert raw.metadata["requests"].value == made
    assert raw.metadata["resumed"].value == 24 - made
    return made


@pytest.mark.slow
def test_a_backfill_that_goes_on_asks_for_nothing_that_it_was_answered(
    live_desk: Desk, market: Running
) -> None:
    assert asked(live_desk, market, {"dagster/backfill": "one"}) == 24
    assert asked(live_desk, market, {"dagster/backfill": "one"}) == 0
    assert asked(live_desk, market, {"dagster/backfill": "two"}) == 24
    assert asked(live_desk, market, {}) == 24
