"""The sensors: what they ask for, when, how often, and what they say where they ask for nothing."""

import datetime as dt
from dataclasses import replace

import dagster as dg
import httpx
import pytest

from aurum_assets import ingest
from aurum_assets.definitions import build
from aurum_assets.graph.assets import raw_key, table_key
from aurum_assets.graph.jobs import job_of
from aurum_assets.graph.resources import parts_of
from aurum_assets.model.errors import AurumError, ConfigError, MalformedPayload
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.isone.operator import ISONE, latest_begin
from aurum_assets.resources.credentials import Credentials
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import Desk, utc
from aurum_assets_tests.test_gaps import BEYOND_REPAIR

DA, LOAD = ISONE_DA_LMP, ISONE_SYSTEM_LOAD
GAPS, IS_OUT = "gaps", "isone_da_lmp_is_out"
INFO = "/api/v1.1/hourlylmp/da/final/info"
TOMORROW = "2026-07-22"


class Ticks:
    """A sensor, evaluated time after time as the daemon would."""

    def __init__(self, desk: Desk, instance: dg.DagsterInstance, sensor: str) -> None:
        self._repository = build(desk.resources).get_repository_def()
        self._home = desk.resources
        self._instance = instance
        self._sensor = self._repository.get_sensor_def(sensor)
        self.cursor: str | None = None

    def __call__(self) -> tuple[list[dg.RunRequest], str]:
        """The runs that the next tick asks for, and why it asks for none."""
        context = dg.build_sensor_context(
            instance=self._instance,
            cursor=self.cursor,
            repository_def=self._repository,
            resources=parts_of(self._home),
        )
        done = self._sensor.evaluate_tick(context)
        self.cursor = done.cursor
        return list(done.run_requests or []), done.skip_message or ""


def bring(desk: Desk, day: str) -> None:
    ingest.collect(desk.resources, LOAD, LOAD.day(day), feeds=["day"])
    ingest.normalize(desk.resources, LOAD, LOAD.day(day))


def execute(desk: Desk, instance: dg.DagsterInstance, request: dg.RunRequest) -> None:
    """What the daemon makes of a request."""
    assert request.job_name is not None
    job = build(desk.resources).resolve_job_def(request.job_name)
    assert request.asset_selection
    done = job_of(job, request.asset_selection).execute_in_process(
        partition_key=request.partition_key,
        run_config=dict(request.run_config),
        tags=dict(request.tags),
        instance=instance,
    )
    assert done.success


def under_way(instance: dg.DagsterInstance, job: str, day: str, *selected: dg.AssetKey) -> None:
    """A run that has started for ``day``: of the whole job where no asset is selected."""
    run = dg.DagsterRun(
        job_name=job,
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": day},
        asset_selection=frozenset(selected) or None,
    )
    instance.add_run(run)


def of_dagster(request: dg.RunRequest) -> dict[str, str]:
    """The tags that Dagster itself adds to a request."""
    ours = {"aurum", "dagster/priority"}
    return {k: v for k, v in request.tags.items() if not {k, k.partition("/")[0]} & ours}


# --- gaps ----------------------------------------------------------------------------------------


def test_a_hole_is_asked_for_by_the_job_of_its_dataset_and_says_why(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    for day in ("2026-07-19", "2026-07-21"):
        bring(live_desk, day)
    (request,), _ = Ticks(live_desk, instance, GAPS)()
    assert (request.job_name, request.partition_key) == ("isone_five_minutes", "2026-07-20")
    assert request.run_config == {"ops": {f"raw__{LOAD.key}": {"config": {"feeds": ["day"]}}}}
    assert set(request.asset_selection or ()) == {raw_key(LOAD), table_key(LOAD)}
    assert request.asset_check_keys == []
    sentence = f"{LOAD.key}: 288 missing, try 1 of 8, next 2026-07-21 17:00Z"
    assert request.tags == {"aurum/repair": sentence, "dagster/priority": "-1"} | of_dagster(
        request
    )


def test_a_hole_that_its_run_repaired_is_quiet(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    for day in ("2026-07-19", "2026-07-21"):
        bring(live_desk, day)
    tick = Ticks(live_desk, instance, GAPS)
    (request,), _ = tick()
    execute(live_desk, instance, request)
    assert len(live_desk.rows(LOAD, "2026-07-20")) == 288
    live_desk.clock.set(live_desk.clock() + dt.timedelta(hours=2))
    bring(live_desk, "2026-07-21")
    requests, why = tick()
    assert (requests, why) == ([], "no day lacks anything that is due and can be asked for")


def test_a_day_that_stays_incomplete_waits_and_says_until_when(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    for day in ("2026-07-19", "2026-07-21"):
        bring(live_desk, day)
    tick = Ticks(live_desk, instance, GAPS)
    (first,), _ = tick()
    live_desk.clock.set(live_desk.clock() + dt.timedelta(minutes=15))
    bring(live_desk, "2026-07-21")
    requests, why = tick()
    assert requests == []
    assert why == "1 incomplete days wait for their next try, the first from 2026-07-21 17:00Z"
    live_desk.clock.set(utc("2026-07-21T17:00:00Z"))
    bring(live_desk, "2026-07-21")
    (second,), _ = tick()
    assert second.tags["aurum/repair"].endswith("try 2 of 8, next 2026-07-21 19:00Z")
    assert second.run_key != first.run_key


@pytest.mark.parametrize("whole_job", [True, False])
def test_a_day_of_which_a_run_is_under_way_is_not_asked_for(
    live_desk: Desk,
    instance: dg.DagsterInstance,
    whole_job: bool,  # noqa: FBT001  a table
) -> None:
    for day in ("2026-07-18", "2026-07-21"):
        bring(live_desk, day)
    selected = () if whole_job else (raw_key(LOAD), table_key(LOAD))
    under_way(instance, "isone_five_minutes", "2026-07-20", *selected)
    under_way(instance, "__ASSET_JOB", "2026-07-19", raw_key(DA))  # about another dataset
    requests, _ = Ticks(live_desk, instance, GAPS)()
    assert [r.partition_key for r in requests] == ["2026-07-19"]


def test_a_tick_asks_for_no_more_than_the_bound(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    bring(live_desk, "2026-07-01")
    tick = Ticks(live_desk, instance, GAPS)
    seen = []
    for _ in range(3):
        requests, _ = tick()
        assert len(requests) == live_desk.resources.repairs == 4
        seen += [r.run_key for r in requests]
    assert len(set(seen)) == 12


def test_a_fresh_home_is_quiet_and_told_once_what_is_beyond_repair(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    tick = Ticks(desk, instance, GAPS)
    requests, why = tick()
    assert (requests, why) == ([], "no day lacks anything that is due and can be asked for")
    assert tick.cursor is not None
    assert set(tick.cursor.split(", ")) == BEYOND_REPAIR


def test_every_sensor_has_its_beat(desk: Desk) -> None:
    every = {
        s.name: s.minimum_interval_seconds
        for s in build(desk.resources).get_repository_def().sensor_defs
    }
    alerts = {"failed_runs": 30, "check_alerts": 60, "watch": 300}
    assert every == {GAPS: 900, "finals": 900, IS_OUT: 300, **alerts}


def test_sensors_run_only_where_the_environment_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def statuses() -> set[dg.DefaultSensorStatus]:
        return {s.default_status for s in build(desk.resources).get_repository_def().sensor_defs}

    monkeypatch.delenv("AURUM_SCHEDULES", raising=False)
    assert statuses() == {dg.DefaultSensorStatus.STOPPED}
    monkeypatch.setenv("AURUM_SCHEDULES", "running")
    assert statuses() == {dg.DefaultSensorStatus.RUNNING}


# --- tomorrow, day-ahead -------------------------------------------------------------------------


def probes(market: Running) -> list[int]:
    """The statuses of the probes that the operator saw."""
    return [seen.status for seen in market.simulator.requests if seen.path == INFO]


@pytest.mark.parametrize(
    ("now", "asks"),
    [
        ("2026-07-21T11:59:00-04:00", 0),  # too early to look
        ("2026-07-21T12:59:00-04:00", 1),  # not out
        ("2026-07-21T13:00:00-04:00", 1),
        ("2026-07-21T23:59:00-04:00", 1),
    ],
)
def test_tomorrow_is_asked_for_as_soon_as_it_is_out(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance, now: str, asks: int
) -> None:
    live_desk.clock.set(utc(now))
    requests, why = Ticks(live_desk, instance, IS_OUT)()
    assert probes(market) == [200] * asks
    if utc(now) < utc("2026-07-21T13:00:00-04:00"):
        assert requests == []
        assert TOMORROW in why
        return
    (request,) = requests
    assert request.partition_key == TOMORROW
    assert request.run_key == f"isone_da_lmp_daily:{TOMORROW}:out"
    assert request.run_config == {"ops": {f"raw__{DA.key}": {"config": {"feeds": ["day"]}}}}


@pytest.mark.parametrize(
    ("now", "tomorrow", "hours"),
    [
        ("2026-03-07T13:05:00-05:00", "2026-03-08", 23),
        ("2025-11-01T13:05:00-04:00", "2025-11-02", 25),
    ],
)
def test_a_tomorrow_on_which_clocks_change_is_whole_and_then_quiet(
    live_desk: Desk, instance: dg.DagsterInstance, now: str, tomorrow: str, hours: int
) -> None:
    live_desk.clock.set(utc(now))
    tick = Ticks(live_desk, instance, IS_OUT)
    (request,), _ = tick()
    execute(live_desk, instance, replace_job(request, "isone_da_lmp_daily"))
    assert len(live_desk.rows(DA, tomorrow)) == hours * 3
    assert tick() == ([], f"{tomorrow} is here")


def replace_job(request: dg.RunRequest, job: str) -> dg.RunRequest:
    """The request with the name of the one job that its sensor has."""
    return request.with_replaced_attrs(job_name=job)


def test_tomorrow_is_asked_for_once_and_not_probed_again(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance
) -> None:
    live_desk.clock.set(utc("2026-07-21T13:05:00-04:00"))
    tick = Ticks(live_desk, instance, IS_OUT)
    assert len(tick()[0]) == 1
    requests, why = tick()
    assert requests == []
    assert "was asked for" in why
    assert probes(market) == [200]


def test_the_day_after_is_probed_anew(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance
) -> None:
    live_desk.clock.set(utc("2026-07-21T13:05:00-04:00"))
    tick = Ticks(live_desk, instance, IS_OUT)
    tick()
    live_desk.clock.set(utc("2026-07-22T13:05:00-04:00"))
    (request,), _ = tick()
    assert request.partition_key == "2026-07-23"
    assert probes(market) == [200, 200]


def test_nothing_is_probed_while_a_run_for_tomorrow_is_under_way(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance
) -> None:
    live_desk.clock.set(utc("2026-07-21T14:30:00-04:00"))
    under_way(instance, "isone_da_lmp_daily", TOMORROW)
    assert Ticks(live_desk, instance, IS_OUT)() == (
        [],
        f"a run for {TOMORROW} is queued or under way",
    )
    assert probes(market) == []


@pytest.mark.parametrize(
    ("fault", "sentence", "asked_within_the_hour", "asked_in_all"),
    [
        ("500", "gave no usable answer", 3, 3),
        ("html", "gave no usable answer", 3, 3),
        ("401", "ISONE_USERNAME", 1, 2),
        ("403", "refused", 1, 1),
        ("404", "refused", 1, 1),
    ],
)
def test_a_probe_that_fails_is_a_sentence_and_a_refusal_is_not_repeated_at_every_tick(
    live_desk: Desk,
    market: Running,
    instance: dg.DagsterInstance,
    fault: str,
    sentence: str,
    asked_within_the_hour: int,
    asked_in_all: int,
) -> None:
    market.simulator.fail(next=fault, times=99, match=INFO)
    start = utc("2026-07-21T13:05:00-04:00")
    tick = Ticks(live_desk, instance, IS_OUT)
    whys = []
    for minutes in (0, 5, 10):
        live_desk.clock.set(start + dt.timedelta(minutes=minutes))
        requests, why = tick()
        assert requests == []
        whys.append(why)
    assert sentence in whys[0]
    assert "\n" not in whys[0]
    assert len(probes(market)) == asked_within_the_hour
    if asked_within_the_hour == 1:
        live_desk.clock.set(start + dt.timedelta(minutes=61))
        tick()
        assert len(probes(market)) == asked_in_all


def test_a_probe_waits_for_no_slot_within_the_limits(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance
) -> None:
    live_desk.clock.set(utc("2026-07-21T13:05:00-04:00"))
    resources = live_desk.resources
    slow = replace(resources.apis["isone"], limit_scale=1 / 60)
    resources.apis = {**resources.apis, "isone": slow}
    tick = Ticks(live_desk, instance, IS_OUT)
    ingest.newest_published(resources, DA, resources.config(DA).feeds[0])
    requests, why = tick()
    assert requests == []
    assert "waiting for the limit: next request in" in why
    assert probes(market) == [200]


def test_a_probe_without_credentials_says_what_to_set(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    live_desk.clock.set(utc("2026-07-21T13:05:00-04:00"))
    apis = live_desk.resources.apis
    live_desk.resources.apis = {
        **apis,
        "isone": replace(apis["isone"], credentials=Credentials(ISONE)),
    }
    requests, why = Ticks(live_desk, instance, IS_OUT)()
    assert requests == []
    assert "ISONE_USERNAME and ISONE_PASSWORD, or ISONE_API_KEY" in why


def test_a_feed_without_a_probe_says_so(desk: Desk) -> None:
    feed = replace(desk.resources.config(DA).feeds[0], probe=None)
    with pytest.raises(ConfigError, match="feed day has no probe in config"):
        ingest.newest_published(desk.resources, DA, feed)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"ServiceInfo": ""}',
        b'{"ServiceInfo": {"CreationDate": "2026-07-21T12:00:00.000-04:00"}}',
        b'{"ServiceInfo": {"LatestBeginDate": "soon"}}',
        b'{"ServiceInfo": {"LatestBeginDate": "2026-07-22T23:00:00.000"}}',
        b"<html></html>",
    ],
)
def test_an_info_that_does_not_say_how_fresh_it_is_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPayload, match="LatestBeginDate"):
        latest_begin(body)


def test_an_info_is_read_to_the_instant() -> None:
    body = (
        b'{"ServiceInfo": {"CreationDate": "2026-07-21T13:05:00.000-04:00",'
        b' "LatestBeginDate": "2026-07-22T23:00:00.000-04:00"}}'
    )
    assert latest_begin(body) == utc("2026-07-23T03:00:00Z")


def test_a_hasty_client_gives_up_at_once_where_a_patient_one_would_ask_again(
    live_desk: Desk, market: Running
) -> None:
    market.simulator.fail(next="500", times=99, match=INFO)
    with pytest.raises(AurumError, match="in 1 attempt"):
        ingest.newest_published(live_desk.resources, DA, live_desk.resources.config(DA).feeds[0])
    assert httpx.get(f"{market.urls['isone']}/hourlylmp/da/final/info").status_code == 500
