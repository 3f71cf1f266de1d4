"""``data_quality``: its table says of each dataset how whole, how old and how clean it is."""

from collections import Counter

import dagster as dg

from aurum_assets import ingest
from aurum_assets.definitions import build
from aurum_assets.graph.assets import table_key
from aurum_assets.graph.quality import DATA_QUALITY, metadata_of, newest_checks
from aurum_assets.ingest.quality import Quality
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets_tests.conftest import NOON, Desk, utc
from aurum_assets_tests.recordings import recording

LOAD, CTS = ISONE_SYSTEM_LOAD, MISO_CTS
HOURLY = next(d for d in DATASETS if d.key == "isone_rt_hourly_lmp")
PRICES = next(d for d in DATASETS if d.key == "isone_rt_lmp")


def newest(*results: str) -> Counter[str]:
    return Counter(results)


def of(desk: Desk, dataset: Dataset) -> Quality:
    (found,) = ingest.quality(desk.resources, [dataset])
    return found


def test_of_a_dataset_without_rows_nothing_is_claimed(desk: Desk) -> None:
    assert of(desk, LOAD) == Quality(LOAD.key, None, None, None, None, 0, 0, 0)


def test_a_whole_yesterday_and_a_beginning_of_today_are_told_apart(live_desk: Desk) -> None:
    ingest.collect(live_desk.resources, LOAD, LOAD.day("2026-07-20"), feeds=["day"])
    ingest.normalize(live_desk.resources, LOAD, LOAD.day("2026-07-20"))
    found = of(live_desk, LOAD)
    assert (found.today, found.yesterday) == (0, 1)
    assert found.last_interval == utc("2026-07-20T23:55:00-04:00")
    assert found.lag_seconds == (12 * 60 + 5) * 60
    ingest.collect(live_desk.resources, LOAD, LOAD.day("2026-07-21"), feeds=["day"])
    ingest.normalize(live_desk.resources, LOAD, LOAD.day("2026-07-21"))
    assert of(live_desk, LOAD).today == 1


def test_today_is_not_missing_where_it_is_asked_for_tomorrow(desk: Desk) -> None:
    desk.bring(HOURLY, recording(HOURLY.key, "live", "ordinary").body)
    found = of(desk, HOURLY)
    assert found.today is None
    assert found.yesterday is not None
    assert 0 < found.yesterday < 1


def test_what_was_kept_out_and_what_was_corrected_is_counted(desk: Desk) -> None:
    body = recording(PRICES.key, "live", "ordinary").body
    desk.bring(PRICES, body)
    desk.bring(PRICES, body.replace(b"39.16", b"39.17"), at=NOON)
    assert (of(desk, PRICES).corrected, of(desk, PRICES).quarantined) == (1, 0)
    desk.bring(PRICES, body.replace(b'"LossComponent": ', b'"LossComponent": 9', 1), force=True)
    assert of(desk, PRICES).quarantined == 1
    desk.take(CTS, b"<html>sorry</html>")
    assert of(desk, CTS).rejected == 1


def test_the_table_has_a_row_for_each_dataset_and_numbers_only_where_they_are_worth_a_plot() -> (
    None
):
    found = [
        Quality("prices", NOON, 900, 0.9996, 1.0, 12, 0, 3),
        Quality("forecast", NOON, -3600, None, 0.5, 0, 2, 0),
        Quality("settled", NOON, 90_000, None, None, 0, 0, 0),
        Quality("never", None, None, None, None, 7, 0, 0),
    ]
    checks = {"prices": newest("WARN", "passed", "passed"), "forecast": newest("ERROR")}
    metadata = metadata_of(found, checks, often={"prices", "forecast"})
    rows = str(metadata.pop("table").value).splitlines()
    assert rows[2:] == [
        "| prices | 2026-07-21 16:00Z | 15 min | 99.9 % | 100 % | 1 WARN, 2 passed | 12 |  | 3 |",
        "| forecast | 2026-07-21 16:00Z | ahead |  | 50 % | 1 ERROR |  | 2 |  |",
        "| settled | 2026-07-21 16:00Z | 25 h 00 min |  |  |  |  |  |  |",
        "| never | nothing held |  |  |  |  | 7 |  |  |",
    ]
    assert {name: one.value for name, one in metadata.items()} == {
        "quarantined_rows": 19,
        "checks_with_error": 1,
        "checks_with_warning": 1,
        "greatest_lag_minutes": 15.0,
        "completeness_today": 0.9996,
        "completeness_yesterday": 0.75,
    }


def test_the_newest_result_of_a_check_counts(desk: Desk, instance: dg.DagsterInstance) -> None:
    pairs = [(LOAD, desk.resources.config(LOAD))]
    assert newest_checks(instance, pairs) == {LOAD.key: Counter()}
    for passed in (False, True, False):
        for name in ("completeness", "volume"):
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=table_key(LOAD),
                    check_name=name,
                    passed=passed or name == "volume",
                    severity=dg.AssetCheckSeverity.WARN,
                )
            )
    assert newest_checks(instance, pairs) == {LOAD.key: Counter(WARN=1, passed=1)}


def test_the_job_materializes_the_asset_in_the_group_of_the_desk(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    desk.bring(LOAD, recording(LOAD.key, "live", "ordinary").body)
    definitions = build(desk.resources)
    assert (
        definitions.resolve_assets_def(DATA_QUALITY).specs_by_key[DATA_QUALITY].group_name == "desk"
    )
    job = definitions.resolve_job_def("data_quality_hourly")
    result = job.execute_in_process(instance=instance)
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert str(metadata["table"].value).count("\n") == 1 + len(
        [d for d in DATASETS if desk.resources.config(d).enabled]
    )
    assert isinstance(metadata["greatest_lag_minutes"], dg.FloatMetadataValue)
