"""Every kind of alert fires where it should, is quiet elsewhere, is sent once, ends, arrives."""

import datetime as dt
import hashlib
import json
import os
import re
import signal
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from aurum_assets import ingest
from aurum_assets.cli import main
from aurum_assets.definitions import build
from aurum_assets.graph import alerts as wiring
from aurum_assets.graph.alerts import alert_sensors
from aurum_assets.graph.health import HEALTH, KINDS, Reported, events_of
from aurum_assets.graph.resources import parts_of
from aurum_assets.ingest import watch
from aurum_assets.ingest.keep import drain_spool
from aurum_assets.model.clock import DAY, HOUR
from aurum_assets.model.errors import AurumError, SourceError
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources import redaction
from aurum_assets.resources.alerts import (
    TOPIC,
    Alert,
    Alerts,
    Incident,
    Severity,
    sentence_of,
)
from aurum_assets.resources.archive import Rejection
from aurum_assets.resources.composition import Resources, alerts_of
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.settings import Settings
from aurum_assets.simulator.server import Running
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.conftest import NOON, Desk, utc
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import recording

LOAD, DA, CTS, LMP = ISONE_SYSTEM_LOAD, ISONE_DA_LMP, MISO_CTS, ISONE_RT_LMP
TODAY = "2026-07-21"
INCIDENT = Incident("drift", LOAD.key, "schema_drift", "field Mw is new", "WARN", TODAY)
MINUTE = dt.timedelta(minutes=1)


def open_alerts(resources: Resources) -> set[tuple[str, str, str]]:
    return {(a.kind, a.dataset, a.subject) for a in resources.alerts.open}


def look(desk: Desk, *, after: dt.timedelta = dt.timedelta()) -> set[tuple[str, str, str]]:
    """What is open after another look, some time later."""
    desk.clock.set(desk.clock() + after)
    ingest.look(desk.resources, DATASETS)
    return open_alerts(desk.resources)


def daemon_look(desk: Desk, *, after: dt.timedelta = dt.timedelta()) -> set[tuple[str, str, str]]:
    """The same by one who looks every five minutes."""
    desk.clock.set(desk.clock() + after)
    ingest.look(desk.resources, DATASETS, pause=HOUR)
    return open_alerts(desk.resources)


# --- what is sent of one alert -------------------------------------------------------------------


class Heard:
    """A receiver of topic ``aurum.alerts.v1``; down while set so."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.down = False

    def publish(self, topic: str, key: str, document: Mapping[str, Any]) -> None:
        if self.down:
            msg = "no broker answers"
            raise AurumError(msg)
        assert topic == TOPIC
        assert key == document["alert_id"]
        self.documents.append(dict(document))

    @property
    def notices(self) -> list[str]:
        return [d["notice"] for d in self.documents]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def alerts(tmp_path: Path, clock: SetClock, heard: Heard) -> Alerts:
    return Alerts(tmp_path / "a" / "alerts.sqlite", "prod", clock, events=heard)


def test_an_incident_is_sent_once_however_often_it_is_seen(alerts: Alerts, heard: Heard) -> None:
    for _ in range(5):
        alerts.raise_(INCIDENT)
        alerts.send()
    assert heard.notices == ["opened"]
    assert len(alerts.open) == 1


def test_a_document_says_all_that_is_known(alerts: Alerts, heard: Heard) -> None:
    alerts.raise_(INCIDENT)
    alerts.send()
    (document,) = heard.documents
    assert document == {
        "schema_version": 1,
        "notice": "opened",
        "alert_id": alerts.open[0].alert_id,
        "kind": "drift",
        "severity": "WARN",
        "dataset": LOAD.key,
        "subject": "schema_drift",
        "day": TODAY,
        "sentence": "field Mw is new",
        "what_to_do": document["what_to_do"],
        "environment": "prod",
        "opened_at": "2026-07-21T16:00:00.000Z",
        "last_seen_at": "2026-07-21T16:00:00.000Z",
        "closed_at": None,
    }
    assert "aurum requeue" in document["what_to_do"]


def test_an_incident_that_stays_is_sent_again_after_a_day_and_not_before(
    alerts: Alerts, heard: Heard, clock: SetClock
) -> None:
    for _ in range(50):
        alerts.raise_(INCIDENT)
        alerts.send()
        clock.set(clock() + HOUR)
    assert heard.notices == ["opened", "reminder", "reminder"]
    assert len({d["alert_id"] for d in heard.documents}) == 1


def test_its_end_is_sent_and_the_next_one_is_another(
    alerts: Alerts, heard: Heard, clock: SetClock
) -> None:
    alerts.raise_(INCIDENT)
    alerts.settle("drift", LOAD.key, "schema_drift", TODAY)
    alerts.settle("drift", LOAD.key, "schema_drift", TODAY)
    assert alerts.open == []
    clock.set(clock() + HOUR)
    alerts.raise_(INCIDENT)
    alerts.send()
    assert heard.notices == ["opened", "recovered", "opened"]
    first, over, again = (d["alert_id"] for d in heard.documents)
    assert first == over != again


def test_an_alert_says_what_was_seen_last_and_is_sent_anew_once_it_is_an_error(
    alerts: Alerts, heard: Heard
) -> None:
    error = replace(INCIDENT, severity="ERROR", sentence="field Mw is gone", day="2026-07-22")
    for incident in (INCIDENT, replace(INCIDENT, sentence="two are new"), error, INCIDENT, error):
        alerts.raise_(incident)
    later = replace(error, sentence="field Mw is a text", day="2026-07-23")
    alerts.raise_(later)
    alerts.raise_(replace(INCIDENT, day="2026-07-23"))
    alerts.send()
    notices = [(d["notice"], d["severity"], d["sentence"], d["day"]) for d in heard.documents]
    assert notices == [
        ("opened", "WARN", "field Mw is new", TODAY),
        ("opened", "ERROR", "field Mw is gone", "2026-07-22"),
    ]
    (alert,) = alerts.open
    assert {d["alert_id"] for d in heard.documents} == {alert.alert_id}
    assert (alert.severity, alert.sentence, alert.day) == ("ERROR", later.sentence, later.day)


def test_troubles_of_other_kinds_datasets_and_subjects_are_alerts_of_their_own(
    alerts: Alerts,
) -> None:
    for other in (
        INCIDENT,
        replace(INCIDENT, kind="check_error"),
        replace(INCIDENT, dataset=CTS.key),
        replace(INCIDENT, subject="volume"),
    ):
        alerts.raise_(other)
    assert len(alerts.open) == 4


def test_around_midnight_a_good_today_does_not_end_the_alert_of_a_bad_yesterday(
    alerts: Alerts, heard: Heard, clock: SetClock
) -> None:
    for _ in range(4):
        alerts.raise_(INCIDENT)
        alerts.settle("drift", LOAD.key, "schema_drift", "2026-07-22")
        clock.set(clock() + 5 * MINUTE)
    alerts.settle("drift", LOAD.key, "schema_drift", "2026-07-20")  # a backfill says nothing of it
    alerts.send()
    assert heard.notices == ["opened"]
    clock.set(clock() + HOUR)
    alerts.settle("drift", LOAD.key, "schema_drift", "2026-07-22")
    assert alerts.open == []


def test_a_receiver_that_is_down_hears_everything_later_in_order(
    alerts: Alerts, heard: Heard, clock: SetClock
) -> None:
    heard.down = True
    alerts.raise_(INCIDENT)
    alerts.send()
    alerts.settle("drift", LOAD.key, "schema_drift", TODAY)
    alerts.send()
    assert heard.documents == []
    assert alerts.waiting == 2, "the log has heard both"
    heard.down = False
    clock.set(clock() + DAY)
    alerts.send()
    assert heard.notices == ["opened", "recovered"]
    assert alerts.waiting == 0


def test_what_nobody_takes_for_a_week_is_dropped_with_a_word_in_the_log(
    alerts: Alerts, heard: Heard, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    heard.down = True
    alerts.raise_(INCIDENT)
    clock.set(clock() + 8 * DAY)
    alerts.send()
    assert alerts.waiting == 0
    assert "alert never taken" in caplog.text


class Killed:
    """A receiver that takes the document, and dies before anybody can write that down."""

    def __init__(self, heard: Path) -> None:
        self.heard = heard

    def publish(self, topic: str, key: str, document: Mapping[str, Any]) -> None:
        del topic, key
        with self.heard.open("a") as file:
            file.write(f"{document['alert_id']}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def _raise_and_die(path: Path, heard: Path) -> None:
    alerts = Alerts(path, "prod", lambda: NOON, events=Killed(heard))
    alerts.raise_(INCIDENT)
    alerts.send()


def test_a_kill_while_sending_repeats_the_alert_under_its_id(
    tmp_path: Path, heard: Heard, clock: SetClock
) -> None:
    path, sent = tmp_path / "alerts.sqlite", tmp_path / "sent"
    killed = FORKS.Process(target=_raise_and_die, args=(path, sent))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    Alerts(path, "prod", clock, events=heard).send()
    assert [d["alert_id"] for d in heard.documents] == sent.read_text().split()


# --- the webhook ---------------------------------------------------------------------------------


@pytest.fixture
def hooked(live_desk: Desk, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose alerts go to a webhook."""
    monkeypatch.setenv("AURUM_WEBHOOK_URL", httpserver.url_for("/services/T0/B0/canary-webhook"))
    settings = Settings.read()
    redaction.learn(settings)
    url = settings.webhook_url
    resources = remade(live_desk.resources, webhook_url=url, environment="staging")
    return Desk(resources, live_desk.clock)


def texts(httpserver: HTTPServer) -> list[str]:
    return [json.loads(request.data)["text"] for request, _ in httpserver.log]


def test_a_webhook_is_told_in_slacks_words(hooked: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/services/T0/B0/canary-webhook", "POST").respond_with_data("ok")
    hooked.resources.alerts.raise_(INCIDENT)
    ingest.send(hooked.resources)
    hooked.resources.alerts.settle("drift", LOAD.key, "schema_drift", TODAY)
    ingest.send(hooked.resources)
    opened, over = texts(httpserver)
    assert opened.startswith(f"[staging] WARN drift {LOAD.key} {TODAY}: field Mw is new — Compare")
    assert over == (
        f"[staging] OVER drift {LOAD.key} {TODAY}, since 2026-07-21T16:00:00.000Z: field Mw is new"
    )


def test_a_notice_names_the_runbook_of_its_kind_where_it_is_served(
    desk: Desk, tmp_path: Path
) -> None:
    for served, runbook in (
        ("", "docs/guide/runbooks/drift.md"),
        ("https://docs.desk.example/runbooks/", "https://docs.desk.example/runbooks/drift.html"),
    ):
        resources = remade(desk.resources, root=tmp_path / f"of {len(served)}", runbooks=served)
        resources.alerts.raise_(INCIDENT)
        (alert,) = resources.alerts.open
        assert alert.what_to_do.endswith(f" Runbook: {runbook}")
        told = sentence_of({"notice": "opened", **alert.as_dict()})
        assert told.endswith(f" Runbook: {runbook}")


@pytest.mark.parametrize("status", [302, 404, 429, 500])
def test_a_webhook_that_refuses_is_told_at_a_later_look(
    hooked: Desk, httpserver: HTTPServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    address = "/services/T0/B0/canary-webhook"
    httpserver.expect_ordered_request(address).respond_with_data("no", status)
    httpserver.expect_ordered_request(address).respond_with_data("ok")
    hooked.resources.alerts.raise_(INCIDENT)
    ingest.send(hooked.resources)
    assert hooked.resources.alerts.waiting == 1
    logged = caplog.text
    assert f"it answered {status}" in logged
    assert "canary" not in logged
    ingest.send(hooked.resources)
    assert hooked.resources.alerts.waiting == 0


def test_a_webhook_that_is_not_there_holds_up_nothing_and_is_told_later(
    hooked: Desk, httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    gone = SecretStr("http://127.0.0.1:1/canary-webhook")
    down = remade(hooked.resources, webhook_url=gone, environment="dev")
    down.alerts.raise_(INCIDENT)
    ingest.send(down)
    assert "an alert waits for its receiver" in caplog.text
    assert "canary" not in caplog.text
    httpserver.expect_request("/services/T0/B0/canary-webhook").respond_with_data("ok")
    ingest.send(hooked.resources)
    assert len(texts(httpserver)) == 1


def test_a_webhook_that_drips_is_cut_after_seconds(
    hooked: Desk, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    from aurum_assets.resources import alerts as module

    def drip(_: Request) -> Response:
        time.sleep(3)
        return Response("late")

    monkeypatch.setattr(module, "_SECONDS", 0.3)
    httpserver.expect_request("/services/T0/B0/canary-webhook").respond_with_handler(drip)
    for subject in ("one", "two", "three"):
        hooked.resources.alerts.raise_(replace(INCIDENT, subject=subject))
    began = time.monotonic()
    ingest.send(hooked.resources)
    assert time.monotonic() - began < 2, "one timeout a look, however much waits"
    assert hooked.resources.alerts.waiting == 3


def test_no_secret_is_in_an_alert(alerts: Alerts, heard: Heard) -> None:
    redaction.know(["canary-of-redis"])
    alerts.raise_(replace(INCIDENT, sentence="redis://:canary-of-redis@cache went away"))
    alerts.send()
    assert "canary" not in json.dumps(heard.documents) + str(alerts.open)


# --- a lake out of reach -------------------------------------------------------------------------


def test_a_lake_out_of_reach_is_an_alert_and_holds_up_no_other(
    live_desk: Desk, heard: Heard
) -> None:
    """Its catalog answers, the files of its tables do not."""
    live_desk.bring(LOAD, recording(LOAD.key, "live", "ordinary").body)
    held = live_desk.resources.lake.catalog.properties
    nowhere = {"s3.endpoint": "http://127.0.0.1:1", "s3.region": "us-east-1"}
    keys = {"s3.access-key-id": "canary-id", "s3.secret-access-key": "canary-key"}
    path = live_desk.resources.root / "lake" / "catalog.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update iceberg_tables set metadata_location = 's3://lake/m.json'")
    lake = Lake({**held, **nowhere, **keys, "warehouse": "s3://lake"}, patience=0.1)
    live_desk.resources.lake = lake  # a cached property, put in its place
    live_desk.resources.alerts._events = heard  # noqa: SLF001  a receiver
    live_desk.resources.alerts.raise_(replace(INCIDENT, kind="late_feed"))
    ingest.look(live_desk.resources, DATASETS)
    lake.catalog.close()
    (lost,) = [a for a in live_desk.resources.alerts.open if a.kind == "degraded"]
    assert (lost.subject, lost.severity) == ("lake", "ERROR")
    assert "the lake's warehouse (s3://lake) was out of reach" in lost.sentence
    assert "canary" not in lost.sentence
    assert heard.notices == ["opened", "opened"], "what cannot be judged stays open, all is sent"


def test_what_cannot_be_measured_stops_no_judging_and_no_sending(
    desk: Desk, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        msg = "a fault of ours"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr(watch, "measure", broken)
    desk.resources.alerts._events = heard  # noqa: SLF001  a receiver
    desk.resources.alerts.raise_(replace(INCIDENT, kind="breaker_open"))
    with pytest.raises(ZeroDivisionError):
        ingest.look(desk.resources, DATASETS)
    assert heard.notices == ["opened", "recovered"]


# --- late feeds ----------------------------------------------------------------------------------


def bring(desk: Desk, dataset: Any, day: str, *feeds: str) -> None:  # noqa: ANN401  a Dataset
    ingest.collect(desk.resources, dataset, dataset.day(day), feeds=feeds)
    ingest.normalize(desk.resources, dataset, dataset.day(day))


def test_a_fresh_home_misses_nothing(desk: Desk) -> None:
    assert look(desk) == set()
    assert look(desk, after=3 * DAY) == set()


@pytest.mark.parametrize(("minutes", "late"), [(20, False), (40, True)])
def test_a_feed_is_late_after_a_beat_its_interval_and_its_lateness(
    live_desk: Desk,
    minutes: int,
    late: bool,  # noqa: FBT001  a table
) -> None:
    bring(live_desk, LOAD, TODAY, "now")
    assert look(live_desk) == set()
    found = look(live_desk, after=minutes * MINUTE)
    assert (("late_feed", LOAD.key, "now") in found) is late


def test_a_late_feed_that_comes_again_is_over(live_desk: Desk) -> None:
    bring(live_desk, LOAD, TODAY, "now")
    assert look(live_desk) == set()
    (alert,) = look(live_desk, after=2 * HOUR)
    assert alert == ("late_feed", LOAD.key, "now")
    assert "at most 27 min is expected" in live_desk.resources.alerts.open[0].sentence
    bring(live_desk, LOAD, TODAY, "now")
    assert look(live_desk) == set()


def test_a_feed_that_stops_while_the_daemon_is_away_is_told_of_soon_after(
    live_desk: Desk, heard: Heard
) -> None:
    """Lateness counts from the first look after a pause, and ends only when the feed comes."""
    live_desk.resources.alerts._events = heard  # noqa: SLF001  a receiver
    late = ("late_feed", LOAD.key, "now")
    bring(live_desk, LOAD, TODAY, "now")
    assert daemon_look(live_desk) == set()
    assert daemon_look(live_desk, after=3 * HOUR) == set(), "the schedules have their chance"
    for _ in range(5):
        assert daemon_look(live_desk, after=5 * MINUTE) == set()
    assert daemon_look(live_desk, after=5 * MINUTE) == {late}
    assert daemon_look(live_desk, after=3 * HOUR) == {late}, "a pause is no recovery"
    assert heard.notices == ["opened"]
    bring(live_desk, LOAD, TODAY, "now")
    assert daemon_look(live_desk) == set()
    assert heard.notices == ["opened", "recovered"]


def test_a_weekend_without_a_daemon_ends_no_alert_about_an_operators_feed(
    live_desk: Desk, heard: Heard
) -> None:
    late = {("late_feed", LOAD.key, "now")}
    bring(live_desk, LOAD, TODAY, "now")
    assert daemon_look(live_desk) == set()
    assert daemon_look(live_desk, after=50 * MINUTE) == late
    (live_desk.resources.root / "origin").write_text("real")
    live_desk.resources.alerts._events = heard  # noqa: SLF001  a receiver
    assert daemon_look(live_desk, after=63 * HOUR) == late
    assert "recovered" not in heard.notices


def test_a_daemon_that_is_restarted_forgets_nothing(live_desk: Desk) -> None:
    bring(live_desk, LOAD, TODAY, "now")
    assert daemon_look(live_desk) == set()
    assert daemon_look(live_desk, after=50 * MINUTE) == {("late_feed", LOAD.key, "now")}


def test_who_looks_once_a_day_hears_of_a_feed_that_stopped(live_desk: Desk) -> None:
    bring(live_desk, LOAD, TODAY, "now")
    assert look(live_desk) == set()
    assert look(live_desk, after=DAY) == {("late_feed", LOAD.key, "now")}


def test_a_day_that_no_beat_brought_since_the_pause_is_late_once_repairs_had_their_chance(
    live_desk: Desk,
) -> None:
    prices = next(d for d in DATASETS if d.key == "isone_rt_hourly_lmp")
    late = ("late_feed", prices.key, "prelim_day")
    bring(live_desk, prices, "2026-07-19", "prelim_day")
    live_desk.clock.set(utc("2026-07-21T08:00:00-04:00"))  # yesterday's was asked for at 06:30
    assert look(live_desk) == set()
    assert look(live_desk, after=17 * HOUR) == set()  # from midnight on repairs ask for it
    assert look(live_desk, after=181 * MINUTE) == {late}


def test_what_answers_for_now_only_is_late_only_if_a_beat_was_missed(live_desk: Desk) -> None:
    places = next(d for d in DATASETS if d.key == "isone_locations")
    bring(live_desk, places, TODAY, "now")
    live_desk.clock.set(utc("2026-07-22T08:00:00-04:00"))  # after the tick of 06:30
    for _ in range(3):
        assert look(live_desk, after=8 * HOUR) == set(), "nobody can ask for the 22nd any more"
    bring(live_desk, places, "2026-07-23", "now")
    for hours in (16, 16, 15):
        assert look(live_desk, after=hours * HOUR) == set()
    assert look(live_desk, after=HOUR) == {("late_feed", places.key, "now")}


def test_an_old_home_opens_calm_although_the_last_version_left_alerts_open(
    live_desk: Desk,
) -> None:
    bring(live_desk, LOAD, TODAY, "now")
    live_desk.resources.alerts.raise_(Incident("late_feed", LOAD.key, "now", "12 h ago"))
    assert daemon_look(live_desk, after=DAY) == {("late_feed", LOAD.key, "now")}
    assert daemon_look(live_desk, after=100 * DAY) == set()


def test_a_forecast_is_as_old_as_its_fetch(live_desk: Desk) -> None:
    bring(live_desk, CTS, TODAY, "now")
    assert look(live_desk) == set()
    assert look(live_desk, after=30 * MINUTE) == set()
    assert look(live_desk, after=HOUR) == {("late_feed", CTS.key, "now")}


@pytest.mark.parametrize(
    ("now", "late"),
    [
        (
            "2026-07-21T18:29:00-04:00",
            False,
        ),  # at 14:30, an hour late, then repairs
        ("2026-07-21T18:31:00-04:00", True),
    ],
)
def test_tomorrow_is_late_when_it_is_not_there_in_the_evening(
    live_desk: Desk,
    now: str,
    late: bool,  # noqa: FBT001  a table
) -> None:
    bring(live_desk, DA, TODAY, "day")
    assert look(live_desk) == set()
    live_desk.clock.set(utc(now))
    assert look(live_desk) == ({("late_feed", DA.key, "day")} if late else set())
    bring(live_desk, DA, "2026-07-22", "day")
    assert look(live_desk) == set()


def test_a_final_value_is_late_after_its_days_of_grace(live_desk: Desk) -> None:
    regulation = next(d for d in DATASETS if d.key == "isone_regulation_prices")
    missed = ("late_feed", regulation.key, "final_day")  # asked for from the next day on, 06:30
    bring(live_desk, regulation, "2026-07-15", "prelim_day")
    live_desk.clock.set(utc("2026-07-20T12:00:00-04:00"))
    assert missed not in look(live_desk)
    live_desk.clock.set(utc("2026-07-21T08:29:00-04:00"))
    assert missed not in look(live_desk)
    live_desk.clock.set(utc("2026-07-21T08:31:00-04:00"))
    assert missed in look(live_desk)
    bring(live_desk, regulation, "2026-07-15", "final_day")
    assert missed not in look(live_desk)


# --- breaker, quarantine, degraded ---------------------------------------------------------------


def test_a_breaker_that_opens_is_told_until_the_operator_answers(
    live_desk: Desk, market: Running
) -> None:
    resources = live_desk.resources
    operator = resources.configuration.operators["isone"]
    api = resources.apis["isone"]
    once = replace(api, config=replace(api.config, attempts=1))
    resources.apis = {**resources.apis, "isone": once}
    market.simulator.fail(next="500", times=operator.breaker_failures * 3)
    for n in range(operator.breaker_failures):
        assert look(live_desk) == set(), n
        with pytest.raises(SourceError):
            bring(live_desk, LOAD, TODAY, "now")
    assert look(live_desk) == {("breaker_open", "", "isone")}
    assert "5 times in a row" in resources.alerts.open[0].sentence
    for key in resources.state.keys("breaker:"):
        resources.state.delete(key)
    assert look(live_desk) == set()


def test_a_quarantine_that_grows_is_told_and_one_that_stays_is_not(desk: Desk) -> None:
    from aurum_assets_tests.recordings import recording

    body = recording("isone_rt_lmp", "live", "ordinary").body
    desk.bring(LMP, body.replace(b'"LossComponent": ', b'"LossComponent": 9', 1))
    grows = ("quarantine_growing", LMP.key, "")
    assert grows not in look(desk), "nobody knows since when"
    desk.bring(LMP, body.replace(b'"LossComponent": ', b'"LossComponent": 8', 1), force=True)
    assert grows in look(desk, after=5 * MINUTE)
    sentence = next(a.sentence for a in desk.resources.alerts.open if a.kind == grows[0])
    assert sentence.startswith("1 more records are quarantined than at 2026-07-21T16:00Z")
    look(desk, after=HOUR)
    assert grows not in look(desk, after=HOUR)


def test_a_registry_out_of_reach_is_told_until_it_is_back(desk: Desk) -> None:
    state = desk.resources.root / "state.sqlite"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"no database, and long enough to be seen as none" * 100)
    assert look(desk) == {("degraded", "", "registry")}
    state.unlink()
    assert look(desk) == set()


def test_an_archive_out_of_reach_is_told_until_it_is_back(desk: Desk) -> None:
    day = LOAD.operator.day_of(NOON)
    first = DATASETS[0]
    place = desk.resources.root / "archive/sourcing" / first.archive_name
    place = place / f"year={day.key[:4]}/month={day.key[5:7]}/day={day.key[8:]}"
    place.parent.mkdir(parents=True)
    place.write_text("not a folder")
    assert look(desk) == {("degraded", "", "archive")}
    place.unlink()
    assert look(desk) == set()


def test_what_waits_in_the_spool_is_told_until_it_went_up(desk: Desk) -> None:
    first = DATASETS[0]
    rejection = Rejection(first.key, "e", NOON, hashlib.sha256(b"x").hexdigest(), "unreadable")
    desk.resources.spool.reject(rejection, b"x")
    assert look(desk) == {("degraded", "", "archive")}
    (alert,) = desk.resources.alerts.open
    assert re.search(r"1 answers wait in the spool, the oldest since \d{4}-", alert.sentence)
    drain_spool(desk.resources, first)
    assert look(desk) == set()


class Waiting(Heard):
    """Events of a broker that takes nothing: one message waits."""

    configured = True
    degraded = "it takes nothing"

    @property
    def outbox(self) -> "Waiting":
        return self

    def due(self) -> list[Any]:
        return []

    def messages(self) -> list[tuple[int, str]]:
        return [] if self.documents else [(7, "waits")]


def test_a_broker_that_takes_nothing_is_told_after_ten_minutes_until_it_does(desk: Desk) -> None:
    events = Waiting()
    events.down = True
    desk.resources.events = events  # type: ignore[assignment]  # all that is asked of them
    desk.resources.alerts = alerts_of(
        desk.resources.home, "dev", desk.clock, webhook="", events=desk.resources.events
    )
    assert look(desk) == look(desk, after=9 * MINUTE) == set()
    assert look(desk, after=MINUTE) == {("degraded", "", "kafka")}
    events.down = False
    ingest.send(desk.resources)
    assert look(desk) == set()
    assert events.notices == ["opened", "recovered"]


# --- Dagster's runs and checks -------------------------------------------------------------------


class Ticks:
    """A sensor, evaluated time after time as the daemon would."""

    def __init__(self, desk: Desk, instance: dg.DagsterInstance, sensor: str) -> None:
        made = {s.name: s for s in alert_sensors(DATASETS, running=True)}
        self._sensor = made[sensor]
        self._home, self._instance = desk.resources, instance
        self.cursor: str | None = None
        self.skip_message: str | None = None
        self.reported: list[dg.AssetMaterialization | dg.AssetCheckEvaluation] = []

    def __call__(self) -> list[Alert]:
        context = dg.build_sensor_context(
            instance=self._instance,
            cursor=self.cursor,
            resources=parts_of(self._home),
        )
        done = self._sensor.evaluate_tick(context)
        errors = [r.error for r in done.dagster_run_reactions or () if r.error]
        assert not errors
        self.cursor, self.skip_message = done.cursor, done.skip_message
        self.reported = [
            e
            for e in done.asset_events or ()
            if isinstance(e, (dg.AssetMaterialization, dg.AssetCheckEvaluation))
        ]
        for event in self.reported:  # as the daemon does
            self._instance.report_runless_asset_event(event)
        return self._home.alerts.open


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(live_desk: Desk, instance: dg.DagsterInstance) -> Run:
    """A run of the system load, as the schedule asks for it."""

    keys = [dg.AssetKey([room, LOAD.key]) for room in ("raw", "market")]
    job = build(live_desk.resources).resolve_job_def("isone_five_minutes")

    def execute(day: str = TODAY, feed: str = "now", **tags: str) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(
            partition_key=day,
            asset_selection=keys,
            run_config={"ops": {f"raw__{LOAD.key}": {"config": {"feeds": [feed]}}}},
            instance=instance,
            raise_on_error=False,
            tags=tags,
        )

    return execute


FAILED = ("failed_run", LOAD.key, "isone_five_minutes")


def test_a_run_that_fails_is_told_with_its_sentence_and_over_when_one_succeeds(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance, run: Run
) -> None:
    failures = Ticks(live_desk, instance, "failed_runs")
    checks = Ticks(live_desk, instance, "check_alerts")
    assert run().success
    assert (failures(), checks()) == ([], [])
    market.simulator.fail(next="403", times=2)
    assert not run().success
    (alert,) = failures()
    assert (alert.kind, alert.dataset, alert.subject) == FAILED
    assert "refused isone_system_load" in alert.sentence
    assert alert.day == TODAY
    market.simulator.fail(next="403", times=2)
    assert not run().success
    assert [a.alert_id for a in failures()] == [alert.alert_id]
    checks()
    assert open_alerts(live_desk.resources) == {FAILED}
    for key in live_desk.resources.state.keys("refused:"):
        live_desk.resources.state.delete(key)
    assert run().success
    assert checks() == []


@pytest.mark.parametrize("tag", ["dagster/will_retry", wiring.DEMO])
def test_a_failed_run_that_is_run_again_by_itself_or_of_the_demo_is_not_reported(
    live_desk: Desk, market: Running, instance: dg.DagsterInstance, run: Run, tag: str
) -> None:
    failures = Ticks(live_desk, instance, "failed_runs")
    run()
    failures()
    market.simulator.fail(next="403", times=2)
    assert not run(**{tag: "true"}).success
    assert failures() == []


@pytest.fixture
def evaluated(instance: dg.DagsterInstance) -> Callable[..., None]:
    """A run whose check has the result that the test gives."""

    def say(
        check: str,
        *,
        passed: bool,
        day: str = TODAY,
        severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    ) -> None:
        key = dg.AssetKey(["market", LOAD.key])

        @dg.op(out={})
        def step() -> Iterator[dg.AssetCheckEvaluation]:
            yield dg.AssetCheckEvaluation(
                asset_key=key,
                check_name=check,
                passed=passed,
                severity=severity,
                description=f"{check} of {day} is as it is",
                partition=day,
            )

        @dg.job(name="any_job")
        def work() -> None:
            step()

        assert work.execute_in_process(instance=instance).success

    return say


WARN = dg.AssetCheckSeverity.WARN


@pytest.mark.parametrize(
    ("check", "severity", "kind"),
    [
        ("contract", dg.AssetCheckSeverity.ERROR, "check_error"),
        ("schema_drift", dg.AssetCheckSeverity.ERROR, "drift"),
        ("schema_drift", WARN, "drift"),
        ("empty_answer", WARN, "empty_answer"),
        ("completeness", WARN, None),
        ("freshness", WARN, None),
    ],
)
def test_a_check_is_told_by_its_kind_and_over_when_it_passes(
    live_desk: Desk,
    instance: dg.DagsterInstance,
    evaluated: Callable[..., None],
    check: str,
    severity: dg.AssetCheckSeverity,
    kind: str | None,
) -> None:
    tick = Ticks(live_desk, instance, "check_alerts")
    evaluated(check, passed=True, severity=severity)
    assert tick() == []
    evaluated(check, passed=False, severity=severity)
    found = tick()
    assert [(a.kind, a.dataset, a.subject, a.day) for a in found] == (
        [(kind, LOAD.key, check, TODAY)] if kind else []
    )
    assert all(a.severity == severity.value for a in found)
    evaluated(check, passed=True, severity=severity)
    assert tick() == []


def test_verdicts_are_read_in_order_however_many_runs_came_between_two_looks(
    live_desk: Desk,
    instance: dg.DagsterInstance,
    evaluated: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wiring, "RUNS", 3)
    tick = Ticks(live_desk, instance, "check_alerts")
    tick()
    evaluated("contract", passed=False, day="2026-07-19")
    for _ in range(wiring.RUNS):
        evaluated("contract", passed=True, day="2026-07-18")
    assert [a.day for a in tick()] == ["2026-07-19"]
    evaluated("contract", passed=True, day="2026-07-19")
    tick()
    assert tick() == []


def test_what_the_first_look_finds_is_news_of_the_last_runs_only(
    live_desk: Desk,
    instance: dg.DagsterInstance,
    evaluated: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wiring, "RUNS", 2)
    evaluated("contract", passed=False, day="2025-01-01")
    for _ in range(wiring.RUNS):
        evaluated("volume", passed=True)
    assert Ticks(live_desk, instance, "check_alerts")() == []


def test_what_a_step_says_of_its_checks_is_read(
    live_desk: Desk, instance: dg.DagsterInstance, run: Run
) -> None:
    live_desk.take(LOAD, b'{"FiveMinSystemLoads": {"FiveMinSystemLoad": []}}', asked=TODAY)
    assert run().success
    found = Ticks(live_desk, instance, "check_alerts")()
    assert [(a.kind, a.dataset, a.day) for a in found] == [("empty_answer", LOAD.key, TODAY)]


def test_the_watch_tells_of_late_feeds_and_says_so_in_its_tick(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    watch = Ticks(live_desk, instance, "watch")
    bring(live_desk, LOAD, TODAY, "now")
    assert watch() == []
    live_desk.clock.set(NOON + HOUR)
    assert [(a.kind, a.subject) for a in watch()] == [("late_feed", "now")]


# --- the asset health ----------------------------------------------------------------------------


def health_checks(instance: dg.DagsterInstance) -> dict[str, tuple[bool, str | None]]:
    """What the UI shows of each check: whether it passed, and its description."""
    keys = [dg.AssetCheckKey(HEALTH, kind) for kind in KINDS]
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    found = {}
    for key, record in records.items():
        assert record.event is not None
        assert record.event.dagster_event is not None
        evaluation = record.event.dagster_event.asset_check_evaluation_data
        found[key.name] = (evaluation.passed, evaluation.description)
    return found


def test_health_is_red_while_an_alert_is_open_and_says_what_it_is(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    watch = Ticks(live_desk, instance, "watch")
    bring(live_desk, LOAD, TODAY, "now")
    watch()
    assert watch.skip_message == "no alert is open"
    quiet = dict.fromkeys(KINDS, (True, "no alert of this kind is open"))
    assert health_checks(instance) == quiet
    live_desk.clock.set(NOON + HOUR)
    (late,) = watch()
    assert watch.skip_message == f"1 alert is open: late_feed {LOAD.key}"
    sentence = f"{LOAD.key}: {late.sentence}"
    assert health_checks(instance) == quiet | {"late_feed": (False, sentence)}
    made = instance.get_latest_materialization_event(HEALTH)
    assert made is not None
    assert made.asset_materialization is not None
    assert made.asset_materialization.description == watch.skip_message
    assert made.asset_materialization.metadata["open_alerts"].value == 1
    table = made.asset_materialization.metadata["alerts"].value
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[0].data["what_to_do"] == late.what_to_do.replace("`", "")
    bring(live_desk, LOAD, TODAY, "now")
    watch()
    assert health_checks(instance) == quiet


def test_health_is_as_bad_as_the_worst_alert_and_shows_the_first_five(desk: Desk) -> None:
    for n in range(7):
        severity: Severity = "ERROR" if n == 6 else "WARN"
        desk.resources.alerts.raise_(replace(INCIDENT, subject=f"check {n}", severity=severity))
    (made, *checks), _ = events_of(desk.resources.alerts.open, None, NOON)
    assert made.description == (
        f"7 alerts are open: {', '.join([f'drift {LOAD.key}'] * 5)} and 2 more"
    )
    (drift,) = (c for c in checks if isinstance(c, dg.AssetCheckEvaluation) and not c.passed)
    assert (drift.check_name, drift.severity) == ("drift", dg.AssetCheckSeverity.ERROR)
    assert (drift.description or "").endswith("; and 2 more")


def test_health_is_reported_when_it_changes_else_once_an_hour_or_a_day(desk: Desk) -> None:
    """So that it is bounded: nine events at a report, at most one report a tick."""

    def reports(before: Reported | None, ticks: int) -> tuple[list[int], Reported | None]:
        """The ticks, every five minutes, at which something is reported."""
        found = []
        for n in range(ticks):
            events, before = events_of(desk.resources.alerts.open, before, NOON + n * 5 * MINUTE)
            assert len(events) in {0, 1 + len(KINDS)}
            found += [n] * bool(events)
        return found, before

    assert reports(None, 2 * 288)[0] == [0, 288], "once a day while none is open"
    desk.resources.alerts.raise_(INCIDENT)
    found, before = reports(None, 288)
    assert found == [n * 12 for n in range(24)], "once an hour while one is"
    desk.resources.alerts.raise_(replace(INCIDENT, severity="ERROR"))
    assert reports(before, 1)[0] == [0], "it is worse now"


def test_what_health_shows_is_no_alert_itself(
    live_desk: Desk, instance: dg.DagsterInstance
) -> None:
    bring(live_desk, LOAD, TODAY, "now")
    ingest.look(live_desk.resources, DATASETS)
    live_desk.clock.set(NOON + HOUR)
    job = dg.define_asset_job("by_hand", dg.AssetSelection.checks_for_assets(HEALTH))
    whole = dg.Definitions.merge(build(live_desk.resources), dg.Definitions(jobs=[job]))
    result = whole.resolve_job_def("by_hand").execute_in_process(instance=instance)
    passed = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert passed == {kind: kind != "late_feed" for kind in KINDS}
    found = Ticks(live_desk, instance, "check_alerts")()
    assert [a.kind for a in found] == ["late_feed"]


# --- the command line ----------------------------------------------------------------------------


def test_the_command_shows_what_is_open_and_looks_when_asked(live_desk: Desk) -> None:
    bring(live_desk, LOAD, TODAY, "now")
    later = (NOON + HOUR).isoformat()
    environment = {"AURUM_HOME": str(live_desk.resources.root), "AURUM_NOW": later}
    runner = CliRunner(env=environment)
    quiet = runner.invoke(main, ["alerts"])
    assert (quiet.exit_code, quiet.stdout) == (0, "")
    fresh = runner.invoke(main, ["alerts", "--check"], env={"AURUM_NOW": NOON.isoformat()})
    assert (fresh.exit_code, fresh.stdout) == (0, "")
    found = runner.invoke(main, ["alerts", "--check", "--json"])
    assert found.exit_code == 3
    (alert,) = json.loads(found.stdout)["alerts"]
    assert (alert["kind"], alert["dataset"]) == ("late_feed", LOAD.key)
    assert "alert" in found.stderr
    assert runner.invoke(main, ["alerts"]).exit_code == 3
