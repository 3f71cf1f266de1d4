"""Events: what is committed is sent to Kafka once its brokers are there, and never in the way."""

import datetime as dt
import itertools
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
from click.testing import CliRunner

from aurum_assets import ingest
from aurum_assets.cli import main
from aurum_assets.ingest import publish
from aurum_assets.ingest.publish import committed, write_schemas
from aurum_assets.ingest.watch import send
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.message import (
    ALERTS_TOPIC,
    SNAPSHOTS_TOPIC,
    Message,
    Quality,
    key_columns,
)
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.resources import events
from aurum_assets.resources.alerts import Incident
from aurum_assets.resources.archive import order_of
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.events import Brokers, Delivery, Events, brokers_of
from aurum_assets.resources.lake import Swap
from aurum_assets.resources.outbox import Outbox
from aurum_assets.resources.settings import Settings, open_resources
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.conftest import NOON, Desk, log_lines
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.made import WatchedLake, made, remade
from aurum_assets_tests.recordings import READABLE, recording
from aurum_assets_tests.servers.kafka import KafkaCluster, Received

ORDINARY = recording("isone_rt_lmp", "live", "ordinary")
LMP = ORDINARY.dataset
DAY = ORDINARY.expected["day"]
TOPIC = "aurum.iso.isone.rt_lmp.v1"
FIVE_MINUTES = dt.timedelta(minutes=5)
UNKNOWN_TOPIC, MSG_SIZE_TOO_LARGE, NOT_ENOUGH_REPLICAS, MAY_NOT_WRITE = 3, 10, 19, 29
SECRET = "hunter2:@&secret"  # noqa: S105  a password that must be seen nowhere


@pytest.fixture
def kafka() -> Iterator[KafkaCluster]:
    with KafkaCluster(brokers=3) as cluster:
        yield cluster


@pytest.fixture
def desk_with_kafka(desk: Desk, kafka: KafkaCluster) -> Desk:
    """A desk whose home has these brokers."""
    return with_brokers(desk, kafka.bootstrap)


def with_brokers(desk: Desk, brokers: str) -> Desk:
    """The desk in its next run: another process would have the same home, and its own events."""
    return Desk(remade(desk.resources, brokers=Brokers(brokers)), desk.clock)


def corrected(body: bytes, records: int | None = 1) -> bytes:
    """The recording with its first prices restated, or with all of them."""
    document = json.loads(body)
    for record in document["FiveMinLmps"]["FiveMinLmp"][:records]:
        for part in {"LmpTotal", "EnergyComponent"} & set(record):
            record[part] = round(record[part] + 1, 2)
    return json.dumps(document).encode()


def as_sent(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Table rows as their messages have them: dates and instants as text."""
    return [
        {
            name: value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
            for name, value in row.items()
        }
        for row in rows.iter_rows(named=True)
    ]


def values(messages: Iterable[Received]) -> list[dict[str, Any]]:
    return [json.loads(m.value) for m in messages]


def known_by(messages: Iterable[Received]) -> set[tuple[str, str]]:
    return {(m.key, m.headers["record_hash"]) for m in messages}


def with_hash(desk: Desk, dataset: Dataset) -> pl.DataFrame:
    """Every row that the table holds, with the hash that a message of it has."""
    return desk.rows(dataset).with_columns(record_hash=dataset.table.record_hash())


def keys_and_hashes(desk: Desk, dataset: Dataset = LMP) -> set[tuple[str, str]]:
    """Key and hash of every row that the table holds."""
    names = key_columns(dataset.table)
    return {
        (json.dumps([row[n] for n in names], separators=(",", ":")), row["record_hash"])
        for row in as_sent(with_hash(desk, dataset))
    }


# --- what is sent --------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_dataset_tells_its_rows_as_the_table_has_them_and_its_snapshot(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    ordinary = {r.dataset.key: r for r in READABLE if r.case == "ordinary" and r.format == "json"}
    topics = {d.key: desk_with_kafka.resources.config(d).topic for d in DATASETS}
    desk_with_kafka.resources.alerts.raise_(Incident("late_feed", LMP.key, "now", "no row came"))
    send(desk_with_kafka.resources)
    for recorded in ordinary.values():
        desk_with_kafka.bring(
            recorded.dataset,
            recorded.body,
            dialect=recorded.dialect,
            finality=recorded.expected.get("finality"),
        )
    read = kafka.read(*topics.values(), SNAPSHOTS_TOPIC, ALERTS_TOPIC)
    for topic, messages in read.items():
        schema = json.loads((PROJECT / "config" / "schemas" / f"{topic}.json").read_text())
        validator = jsonschema.Draft202012Validator(schema)
        for message in messages:
            document = json.loads(message.value)
            validator.validate(document)
            assert message.headers["record_hash"] == document["record_hash"]
    snapshots = {s["dataset"]: s for s in values(read[SNAPSHOTS_TOPIC])}
    assert set(snapshots) == set(ordinary) == {d.key for d in DATASETS}
    for dataset in DATASETS:
        rows = as_sent(with_hash(desk_with_kafka, dataset))
        head = {"schema_version": 1, "environment": "dev", "dataset": dataset.key}
        messages = read[topics[dataset.key]]
        found = values(messages)
        by_hash = sorted(found, key=lambda row: str(row["record_hash"]))
        assert by_hash == sorted((head | row for row in rows), key=lambda r: str(r["record_hash"]))
        assert known_by(messages) == keys_and_hashes(desk_with_kafka, dataset)
        assert len({m.key for m in messages}) == len(rows)
        snapshot = snapshots[dataset.key]
        assert snapshot["rows"] == len(rows) > 0
        assert snapshot["quality"]["records"] > 0
        assert snapshot["quality"]["rejected"] is None
        assert len(snapshot["etag"]) == 32
        assert Path(snapshot["object"].removeprefix("file://")).exists()
        assert snapshot["topic"] == topics[dataset.key]
    assert values(read[ALERTS_TOPIC])[0]["sentence"] == "no row came"
    assert not desk_with_kafka.resources.events.outbox.waits((0, 0))


def test_the_schemas_are_those_of_the_tables(tmp_path: Path) -> None:
    for file in (PROJECT / "config").glob("*_ingest_datasets.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_schemas(tmp_path)
    held = {f.name: f.read_text() for f in (PROJECT / "config" / "schemas").iterdir()}
    assert {f.name: f.read_text() for f in (tmp_path / "schemas").iterdir()} == held, (
        "make schemas writes them anew"
    )


def test_a_correction_tells_what_changed_and_an_equal_answer_its_snapshot_alone(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    desk_with_kafka.bring(LMP, ORDINARY.body)
    rows = len(desk_with_kafka.rows(LMP))
    desk_with_kafka.clock.set(desk_with_kafka.clock() + FIVE_MINUTES)
    desk_with_kafka.bring(LMP, corrected(ORDINARY.body))
    desk_with_kafka.clock.set(desk_with_kafka.clock() + FIVE_MINUTES)
    desk_with_kafka.bring(LMP, corrected(ORDINARY.body), force=True)
    messages = kafka.messages(TOPIC)
    assert len(messages) == rows + 1
    assert [s["rows"] for s in sorted(values(kafka.messages(SNAPSHOTS_TOPIC)), key=_fetched)] == [
        rows,
        1,
        0,
    ]
    last = {m.key: m.headers["record_hash"] for m in messages}
    assert set(last.items()) == keys_and_hashes(desk_with_kafka), (
        "the last message of a key is the table's row"
    )


def _fetched(value: Mapping[str, Any]) -> str:
    return str(value["fetched_at"])


def test_quarantined_and_rejected_records_are_counted_with_their_snapshot(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    document = json.loads(ORDINARY.body)
    document["FiveMinLmps"]["FiveMinLmp"][0]["LmpTotal"] += 5
    desk_with_kafka.bring(LMP, json.dumps(document).encode())
    (snapshot,) = values(kafka.messages(SNAPSHOTS_TOPIC))
    assert snapshot["quality"]["quarantined"] == 1
    assert snapshot["rows"] == snapshot["quality"]["records"] - 1


def test_what_the_table_holds_is_not_told_again_after_the_registry_was_lost(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    desk_with_kafka.bring(LMP, ORDINARY.body)
    (desk_with_kafka.resources.root / "state.sqlite").unlink()
    desk_with_kafka.clock.set(desk_with_kafka.clock() + FIVE_MINUTES)
    desk_with_kafka.bring(LMP, corrected(ORDINARY.body))
    assert len(kafka.messages(TOPIC)) == len(desk_with_kafka.rows(LMP)) + 1
    assert len(kafka.messages(SNAPSHOTS_TOPIC)) == 2


def test_a_replay_tells_nothing_but_where_it_is_asked_to(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    desk_with_kafka.bring(LMP, ORDINARY.body)
    before = kafka.messages(TOPIC)
    ingest.replay(desk_with_kafka.resources, LMP, LMP.day(DAY))
    assert len(kafka.messages(TOPIC)) == len(before)
    environment = {
        "AURUM_HOME": str(desk_with_kafka.resources.root),
        "AURUM_NOW": NOON.isoformat(),
        "AURUM_KAFKA_BROKERS": kafka.bootstrap,
    }
    command = ["replay", LMP.key, "--day", DAY, "--publish"]
    result = CliRunner(env=environment).invoke(main, command)
    assert result.exit_code == 0, result.output
    again = kafka.messages(TOPIC)
    assert len(again) == 2 * len(before)
    assert known_by(again) == known_by(before) == keys_and_hashes(desk_with_kafka)


def test_a_chunk_that_is_replayed_sends_each_snapshot_once_with_its_quality(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    document = json.loads(ORDINARY.body)
    document["FiveMinLmps"]["FiveMinLmp"][0]["LmpTotal"] += 5
    body = json.dumps(document)
    days = (DAY, "2026-07-19")
    for day in days:
        desk_with_kafka.take(LMP, body.replace(DAY, day).encode())
    asked = [(LMP, LMP.day(day)) for day in reversed(days)]
    replayed = ingest.replay_days(desk_with_kafka.resources, asked, workers=1, publish="everything")
    assert [one.error for one in replayed] == [None, None]
    snapshots = values(kafka.messages(SNAPSHOTS_TOPIC))
    assert [s["quality"]["quarantined"] for s in snapshots] == [1, 1]
    assert known_by(kafka.messages(TOPIC)) == keys_and_hashes(desk_with_kafka)


def test_without_brokers_nothing_is_written_or_sent(desk: Desk) -> None:
    desk.bring(LMP, ORDINARY.body)
    desk.resources.events.publish(ALERTS_TOPIC, "key", {"reason": "nobody receives it"})
    ingest.drain(desk.resources)
    assert not list(desk.resources.root.glob("outbox*"))


# --- faults --------------------------------------------------------------------------------------


def warned(logs: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(entry["reason"]) for entry in logs if entry["level"] == "warning"]


class _Counting(Events):
    tried = 0

    def deliver(self, parcels: Iterable[tuple[int, Iterable[Message]]]) -> Delivery:
        self.tried += 1
        return super().deliver(parcels)


def test_a_run_without_any_broker_succeeds_in_bounded_time_and_the_next_one_delivers(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    kafka.down(*kafka.brokers)
    counting = _Counting(desk_with_kafka.resources.root / "outbox.sqlite", Brokers(kafka.bootstrap))
    desk_with_kafka.resources.events = counting
    began = time.monotonic()
    with log_lines() as logs:
        brought = desk_with_kafka.bring(LMP, ORDINARY.body)
        assert time.monotonic() - began < 15
        desk_with_kafka.clock.set(desk_with_kafka.clock() + FIVE_MINUTES)
        desk_with_kafka.bring(LMP, corrected(ORDINARY.body))
    assert counting.tried == 1, "a run does not try again"
    assert brought.done.merged.new == len(desk_with_kafka.rows(LMP))
    (reason,) = warned(logs)
    assert "brokers are down" in reason
    assert "waits in the outbox" in reason
    kafka.up(*kafka.brokers)
    ingest.drain(with_brokers(desk_with_kafka, kafka.bootstrap).resources)
    assert {
        m.key: m.headers["record_hash"] for m in kafka.messages(TOPIC)
    }.items() == keys_and_hashes(desk_with_kafka)
    assert len(kafka.messages(SNAPSHOTS_TOPIC)) == 2


def test_a_home_that_lives_on_tries_again_after_a_while(
    desk_with_kafka: Desk, kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka.down(*kafka.brokers)
    desk_with_kafka.resources.events.publish(ALERTS_TOPIC, "key", {"reason": "nobody is there"})
    with log_lines() as logs:
        send(desk_with_kafka.resources)
        kafka.up(*kafka.brokers)
        send(desk_with_kafka.resources)
    assert len(warned(logs)) == 1
    assert desk_with_kafka.resources.events.degraded
    assert desk_with_kafka.resources.events.outbox.waits((0, 0))
    monkeypatch.setattr(events, "AGAIN", 0.0)
    send(desk_with_kafka.resources)
    assert not desk_with_kafka.resources.events.degraded
    assert [m.key for m in kafka.messages(ALERTS_TOPIC)] == ["key"]


def test_one_of_three_brokers_is_not_missed(desk_with_kafka: Desk, kafka: KafkaCluster) -> None:
    desk_with_kafka.bring(LMP, ORDINARY.body)
    kafka.lose(2, TOPIC, SNAPSHOTS_TOPIC)
    desk_with_kafka.clock.set(desk_with_kafka.clock() + FIVE_MINUTES)
    desk_with_kafka.bring(LMP, corrected(ORDINARY.body))
    assert not desk_with_kafka.resources.events.degraded
    kafka.up(2)
    last = {m.key: m.headers["record_hash"] for m in kafka.messages(TOPIC)}
    assert set(last.items()) == keys_and_hashes(desk_with_kafka)
    assert not desk_with_kafka.resources.events.outbox.waits((0, 0))


def test_brokers_that_stop_answering_are_left_alone_after_a_while(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    path = desk_with_kafka.resources.root / "outbox.sqlite"
    desk_with_kafka.resources.events = Events(path, Brokers(kafka.bootstrap), patience=1.0)
    kafka.slow(5000, *kafka.brokers)
    began = time.monotonic()
    desk_with_kafka.bring(LMP, ORDINARY.body)
    assert time.monotonic() - began < 15
    assert "acknowledged anything for 1 s" in desk_with_kafka.resources.events.degraded
    assert desk_with_kafka.resources.events.outbox.waits((0, 0))
    kafka.slow(0, *kafka.brokers)
    ingest.drain(with_brokers(desk_with_kafka, kafka.bootstrap).resources)
    assert known_by(kafka.messages(TOPIC)) == keys_and_hashes(desk_with_kafka)


def test_a_delivery_goes_on_as_long_as_slow_brokers_acknowledge(
    kafka: KafkaCluster, tmp_path: Path
) -> None:
    patience, message = 1.5, Message(TOPIC, "key", b"x" * 600_000, "hash")
    way = Events(tmp_path / "outbox.sqlite", Brokers(kafka.bootstrap), patience=patience)
    assert way.deliver([(1, [message])]).done == [1]
    kafka.slow(200, *kafka.brokers)  # five requests at a time, of one message each
    began = time.monotonic()
    delivery = way.deliver([(2, [message] * 60)])
    assert time.monotonic() - began > patience + 0.5
    assert (delivery.done, delivery.stopped) == ([2], "")


def test_a_drain_begins_nothing_after_its_time_and_the_next_one_goes_on(
    desk_with_kafka: Desk, kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("first", "second"):
        desk_with_kafka.resources.events.publish(ALERTS_TOPIC, key, {"reason": key})
    desk_with_kafka.resources.events = _Pausing(
        desk_with_kafka.resources.root / "outbox.sqlite", Brokers(kafka.bootstrap)
    )
    monkeypatch.setattr(publish, "LONGEST", _Pausing.seconds - 0.5)
    ingest.drain(desk_with_kafka.resources)
    assert [m.key for m in kafka.messages(ALERTS_TOPIC)] == ["first"]
    assert "begins nothing more" in desk_with_kafka.resources.events.degraded
    ingest.drain(with_brokers(desk_with_kafka, kafka.bootstrap).resources)
    assert {m.key for m in kafka.messages(ALERTS_TOPIC)} == {"first", "second"}
    assert not desk_with_kafka.resources.events.outbox.waits((0, 0))


class _Pausing(Events):
    """Takes its time over each parcel."""

    seconds = 1.5

    def deliver(self, parcels: Iterable[tuple[int, Iterable[Message]]]) -> Delivery:
        def paused() -> Iterator[tuple[int, Iterable[Message]]]:
            for parcel in parcels:
                yield parcel
                time.sleep(self.seconds)

        return super().deliver(paused())


def test_a_message_that_is_refused_for_a_while_is_sent_once(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    kafka.fail_produce(NOT_ENOUGH_REPLICAS, 3)
    desk_with_kafka.bring(LMP, ORDINARY.body)
    assert not desk_with_kafka.resources.events.degraded
    messages = kafka.messages(TOPIC)
    assert known_by(messages) == keys_and_hashes(desk_with_kafka)
    assert len(messages) == len(desk_with_kafka.rows(LMP))


def test_a_topic_that_may_not_be_written_holds_up_no_other(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    kafka.fail_topic(TOPIC, MAY_NOT_WRITE)
    desk_with_kafka.bring(LMP, ORDINARY.body)
    load = recording("isone_system_load", "live", "ordinary")
    run = with_brokers(desk_with_kafka, kafka.bootstrap)
    run.bring(load.dataset, load.body)
    assert f"{TOPIC} refuses messages" in run.resources.events.degraded
    assert known_by(kafka.messages("aurum.iso.isone.system_load.v1")) == keys_and_hashes(
        run, load.dataset
    )
    (left,) = run.resources.events.outbox.due()
    assert left.dataset == LMP.key


def test_a_topic_that_turns_out_not_to_exist_amid_a_delivery_holds_up_no_other(
    kafka: KafkaCluster, tmp_path: Path
) -> None:
    kafka.fail_topic("nowhere", UNKNOWN_TOPIC)
    endless = (Message("nowhere", "key", b"row", "hash") for _ in itertools.count())
    there = Message(ALERTS_TOPIC, "key", b"alert", "hash")
    way = Events(tmp_path / "outbox.sqlite", Brokers(kafka.bootstrap), patience=4.0)
    delivery = way.deliver([(1, endless), (2, [there])])
    assert (delivery.done, delivery.topics, delivery.stopped) == ([2], {"nowhere"}, "")
    assert "nowhere refuses messages" in delivery.refused[1]


@pytest.mark.parametrize("size", [1_100_000, 17_000_000], ids=["for_the_topic", "for_the_client"])
def test_a_message_that_is_too_large_stays_with_a_loud_word_and_holds_up_no_other(
    desk_with_kafka: Desk, kafka: KafkaCluster, size: int
) -> None:
    outbox = desk_with_kafka.resources.events.outbox
    outbox.put(Message(ALERTS_TOPIC, "large", b"x" * size, "hash"))
    kafka.fail_produce(MSG_SIZE_TOO_LARGE, 1 if size < 16_000_000 else 0)
    with log_lines() as logs:
        ingest.drain(desk_with_kafka.resources)
    (error,) = [entry for entry in logs if entry["level"] == "error"]
    assert error["reason"] == f"message large is too large for {ALERTS_TOPIC} (MSG_SIZE_TOO_LARGE)"
    assert "raise max.message.bytes" in error["remedy"]
    assert [message.key for _, message in outbox.messages()] == ["large"]
    assert not desk_with_kafka.resources.events.degraded
    desk_with_kafka.resources.events.publish(ALERTS_TOPIC, "small", {"reason": "sent"})
    desk_with_kafka.bring(LMP, ORDINARY.body)
    assert "small" in [m.key for m in kafka.messages(ALERTS_TOPIC)]
    assert known_by(kafka.messages(TOPIC)) == keys_and_hashes(desk_with_kafka)


def test_a_client_that_is_not_installed_is_a_sentence(
    desk_with_kafka: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    assert desk_with_kafka.bring(LMP, ORDINARY.body).done.merged.new
    assert "pip install 'aurum-assets[kafka]'" in desk_with_kafka.resources.events.degraded
    assert desk_with_kafka.resources.events.outbox.waits((0, 0))


def test_a_snapshot_that_the_archive_lost_holds_up_no_other(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    kafka.down(*kafka.brokers)
    desk_with_kafka.bring(LMP, ORDINARY.body)
    desk_with_kafka.clock.set(desk_with_kafka.clock() + FIVE_MINUTES)
    desk_with_kafka.bring(LMP, corrected(ORDINARY.body))
    lost, kept = desk_with_kafka.resources.archive.identifiers(LMP.archive_name, DAY)
    (envelope,) = (desk_with_kafka.resources.root / "archive").rglob(f"{lost}.meta.json")
    envelope.unlink()
    kafka.up(*kafka.brokers)
    run = with_brokers(desk_with_kafka, kafka.bootstrap)
    ingest.drain(run.resources)
    assert "the object or its envelope is lost" in run.resources.events.degraded
    assert [s["identifier"] for s in values(kafka.messages(SNAPSHOTS_TOPIC))] == [kept]
    assert [i.identifier for i in run.resources.events.outbox.due()] == [lost]


def test_an_outbox_that_cannot_be_written_is_not_in_the_way(desk_with_kafka: Desk) -> None:
    (desk_with_kafka.resources.root / "outbox.sqlite").mkdir(parents=True)
    with log_lines() as logs:
        assert desk_with_kafka.bring(LMP, ORDINARY.body).done.merged.new
    (reason,) = warned(logs)
    assert f"aurum replay isone_rt_lmp --day {DAY} --publish" in reason


def test_two_that_drain_at_once_do_not_tell_everything_twice(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    outbox = desk_with_kafka.resources.events.outbox
    desk_with_kafka.resources.events.publish(ALERTS_TOPIC, "key", {"reason": "once"})
    with outbox.lock() as ours:
        assert ours
        ingest.drain(with_brokers(desk_with_kafka, kafka.bootstrap).resources)
    assert outbox.waits((0, 0))
    assert kafka.messages(ALERTS_TOPIC) == []
    ingest.drain(desk_with_kafka.resources)
    ingest.drain(desk_with_kafka.resources)
    assert len(kafka.messages(ALERTS_TOPIC)) == 1


# --- kill -9 -------------------------------------------------------------------------------------


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _DiesBeforeCommit(WatchedLake):
    def before(self, table: Table, frame: pl.DataFrame) -> None:
        del frame
        if table is LMP.table:
            _die()

    def swap(self, table: Table, swaps: Sequence[Swap]) -> tuple[list[Swap], int | None]:
        if table is LMP.table:
            _die()
        return super().swap(table, swaps)


class _DiesBeforeLanding(Outbox):
    def committed(self, dataset: str, day: str, qualities: Mapping[str, Quality]) -> None:
        _die()
        super().committed(dataset, day, qualities)


class _DiesBeforePublishing(Events):
    def deliver(self, parcels: Iterable[tuple[int, Iterable[Message]]]) -> Delivery:
        _die()
        return super().deliver(parcels)


class _DiesBeforeForgetting(Events):
    def deliver(self, parcels: Iterable[tuple[int, Iterable[Message]]]) -> Delivery:
        done = super().deliver(parcels)
        _die()
        return done


def _in_intent_and_commit(resources: Resources) -> None:
    root = resources.root / "lake"
    resources.lake = _DiesBeforeCommit.local(root)


def _in_commit_and_landing(resources: Resources) -> None:
    resources.events.outbox = _DiesBeforeLanding(resources.root / "outbox.sqlite")


def _in_landing_and_publish(resources: Resources) -> None:
    brokers = Brokers(resources.events.brokers.servers)
    resources.events = _DiesBeforePublishing(resources.root / "outbox.sqlite", brokers)


def _in_publish_and_forgetting(resources: Resources) -> None:
    brokers = Brokers(resources.events.brokers.servers)
    resources.events = _DiesBeforeForgetting(resources.root / "outbox.sqlite", brokers)


MOMENTS: Mapping[str, Callable[[Resources], None]] = {
    "in_intent_and_commit": _in_intent_and_commit,
    "in_commit_and_landing": _in_commit_and_landing,
    "in_landing_and_publish": _in_landing_and_publish,
    "in_publish_and_forgetting": _in_publish_and_forgetting,
}


# Imported once, before any thread, by the process that all of them are forked from.


def _home(root: Path, brokers: str) -> Resources:
    return made(
        root=root,
        configuration=load_config(PROJECT / "config", DATASETS),
        clock=SetClock(NOON),
        brokers=Brokers(brokers),
    )


def _killed(root: Path, brokers: str, moment: str, snapshots: int) -> None:
    home = _home(root, brokers)
    bodies = (ORDINARY.body, corrected(ORDINARY.body))
    for number, body in enumerate(bodies[:snapshots]):
        Desk(home, SetClock(NOON)).take(LMP, body, at=NOON + number * FIVE_MINUTES)
    MOMENTS[moment](home)
    ingest.normalize(home, LMP, LMP.day(DAY))


@pytest.mark.parametrize("snapshots", [1, 2], ids=["merged", "rebuilt"])
@pytest.mark.slow
def test_a_kill_at_any_moment_loses_no_message_and_repeats_carry_the_same_hash(
    tmp_path: Path, snapshots: int
) -> None:
    came = {}
    for moment in MOMENTS:
        with KafkaCluster(1) as kafka:
            root = tmp_path / moment
            arguments = (root, kafka.bootstrap, moment, snapshots)
            victim = FORKS.Process(target=_killed, args=arguments)
            victim.start()
            victim.join(60)
            assert victim.exitcode == -signal.SIGKILL
            came[moment] = _run_again(root, kafka, moment, snapshots)
    assert came == dict.fromkeys(MOMENTS, 1) | {"in_publish_and_forgetting": 2}


def _run_again(root: Path, kafka: KafkaCluster, moment: str, snapshots: int) -> int:
    """Run the same again; how often each message came."""
    desk = Desk(_home(root, kafka.bootstrap), SetClock(NOON))
    before = len(desk.rows(LMP))
    assert bool(before) == (moment != "in_intent_and_commit")
    ingest.normalize(desk.resources, LMP, LMP.day(DAY))
    ingest.drain(desk.resources)
    read = kafka.read(TOPIC, SNAPSHOTS_TOPIC)
    assert known_by(read[TOPIC]) == keys_and_hashes(desk)
    assert len(known_by(read[SNAPSHOTS_TOPIC])) == snapshots
    assert not desk.resources.events.outbox.waits((0, 0))
    assert not desk.resources.events.outbox.unsettled(LMP.key)
    times = len(read[SNAPSHOTS_TOPIC]) // snapshots
    assert len(read[TOPIC]) == times * len(keys_and_hashes(desk))
    return times


def test_an_intent_that_never_landed_is_dropped_and_one_that_did_is_sent(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    desk_with_kafka.take(LMP, ORDINARY.body)
    (identifier,) = desk_with_kafka.resources.archive.identifiers(LMP.archive_name, DAY)
    outbox = desk_with_kafka.resources.events.outbox
    outbox.intend(LMP.key, DAY, [identifier])
    outbox.intend(LMP.key, "2026-07-01", ["20260701T000000000000Z-now-0123456789abcdef"])
    quiet = remade(desk_with_kafka.resources, brokers=Brokers())
    ingest.normalize(quiet, LMP, LMP.day(DAY))
    later = recording("isone_rt_lmp", "live", "autumn")
    desk_with_kafka.bring(LMP, later.body)
    assert not outbox.unsettled(LMP.key)
    assert not outbox.waits((0, 0))
    assert known_by(kafka.messages(TOPIC)) == keys_and_hashes(desk_with_kafka)
    assert len(kafka.messages(SNAPSHOTS_TOPIC)) == 2


def test_what_another_machine_superseded_before_it_was_known_to_have_landed_is_sent(
    desk_with_kafka: Desk, kafka: KafkaCluster
) -> None:
    desk_with_kafka.bring(LMP, ORDINARY.body)
    desk_with_kafka.clock.set(desk_with_kafka.clock() + FIVE_MINUTES)
    quiet = Desk(remade(desk_with_kafka.resources, brokers=Brokers()), desk_with_kafka.clock)
    quiet.bring(LMP, corrected(ORDINARY.body, None))
    first, second = desk_with_kafka.resources.archive.identifiers(LMP.archive_name, DAY)
    assert set(desk_with_kafka.rows(LMP)["raw_sha256"].str.slice(0, 16)) == {order_of(second)[1]}
    silent = "20260720T160000000000Z-now-0123456789abcdef"  # it changed nothing
    uuid = desk_with_kafka.resources.lake.uuid(LMP.table)
    desk_with_kafka.resources.registry.mark_merged(LMP.key, DAY, uuid, frozenset({silent}))
    outbox = desk_with_kafka.resources.events.outbox
    outbox.intend(LMP.key, DAY, [first, silent])
    committed(desk_with_kafka.resources, LMP, {"2026-07-01": {}})
    assert not outbox.unsettled(LMP.key)
    assert {i.identifier for i in outbox.due()} == {first, silent}
    outbox.forget(i.id for i in outbox.due() if i.identifier == silent)
    ingest.drain(desk_with_kafka.resources)
    keys = [m.key for m in kafka.messages(SNAPSHOTS_TOPIC)]
    assert keys.count(f"{LMP.key}/{DAY}/{first}") == 2


def test_what_lands_while_it_is_being_told_is_told_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    outbox.intend("d", "2026-07-20", ["a"])
    outbox.committed("d", "2026-07-20", {"a": Quality(records=1)})
    (first,) = outbox.due()
    outbox.intend("d", "2026-07-20", ["a"])
    outbox.committed("d", "2026-07-20", {"a": Quality(records=2), "b": Quality()})
    outbox.forget([first.id])
    (second,) = outbox.due()
    assert (second.identifier, second.quality.records) == ("a", 2)


# --- configuration and secrets -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ("b1:9092,b2:9092", Brokers("b1:9092,b2:9092", protocol="PLAINTEXT")),
        ("u:p@b1:9092", Brokers("b1:9092", "u", "p", "SASL_SSL")),
        ("u:p:a@s@s@b1:1, [::1]:2", Brokers("b1:1,[::1]:2", "u", "p:a@s@s", "SASL_SSL")),
        ("", Brokers()),
    ],
)
def test_a_connection_string_is_taken_apart(connection: str, expected: Brokers) -> None:
    found = brokers_of("", "", "", "", "PLAIN", connection)
    assert found == expected


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"KAFKA_CONNECTION_STRING": f"u:{SECRET}"}, "KAFKA_CONNECTION_STRING"),
        ({"KAFKA_CONNECTION_STRING": f"{SECRET}@b1"}, "KAFKA_CONNECTION_STRING"),
        ({"KAFKA_CONNECTION_STRING": f"u:{SECRET}@"}, "KAFKA_CONNECTION_STRING"),
        ({"AURUM_KAFKA_CONNECTION": f"kafka://u:{SECRET}@b1:1"}, "AURUM_KAFKA_CONNECTION"),
        ({"AURUM_KAFKA_BROKERS": f"u:{SECRET}@b1:9092"}, "AURUM_KAFKA_BROKERS"),
        ({"AURUM_KAFKA_BROKERS": "kafka://b1:9092"}, "AURUM_KAFKA_BROKERS"),
        ({"AURUM_KAFKA_PASSWORD": SECRET}, "AURUM_KAFKA_BROKERS"),
        (
            {"AURUM_KAFKA_BROKERS": "b1:9092", "AURUM_KAFKA_PASSWORD": SECRET},
            "AURUM_KAFKA_USERNAME",
        ),
        ({"AURUM_KAFKA_BROKERS": "b1:9092", "AURUM_KAFKA_USERNAME": "u"}, "AURUM_KAFKA_PASSWORD"),
        (
            {"KAFKA_CONNECTION_STRING": f"u:{SECRET}@b1:1", "AURUM_KAFKA_PROTOCOL": "SSL"},
            "AURUM_KAFKA_PROTOCOL",
        ),
    ],
)
def test_a_wrong_variable_is_named_and_never_shown(
    variables: Mapping[str, str], named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=named) as caught:
        open_resources(DATASETS)
    assert SECRET not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_environment_reaches_the_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_CONNECTION_STRING", f"u:{SECRET}@b1:9092,b2:9092")
    monkeypatch.setenv("AURUM_KAFKA_MECHANISM", "SCRAM-SHA-512")
    brokers = open_resources(DATASETS, Settings.read()).events.brokers
    assert brokers.servers == "b1:9092,b2:9092"
    assert (brokers.username, brokers.protocol) == ("u", "SASL_SSL")
    assert brokers.mechanism == "SCRAM-SHA-512"
    assert brokers.password == SECRET


def test_the_password_is_in_no_output(
    desk: Desk, kafka: KafkaCluster, capfd: pytest.CaptureFixture[str]
) -> None:
    brokers = Brokers(kafka.bootstrap, "trader", SECRET, "SASL_PLAINTEXT")
    resources = remade(desk.resources, brokers=brokers)
    resources.events = Events(resources.root / "outbox.sqlite", brokers, patience=2.0)
    logging.basicConfig(level=logging.DEBUG, force=True)
    Desk(resources, desk.clock).bring(LMP, ORDINARY.body)
    assert resources.events.degraded
    written = "".join(capfd.readouterr()) + repr(
        (resources, resources.events, vars(resources.events), brokers)
    )
    written += resources.events.degraded
    assert "librdkafka" in written or "Kafka" in written
    assert SECRET not in written
    assert b"hunter2" not in (resources.root / "outbox.sqlite").read_bytes()


def test_a_row_has_no_column_that_its_message_names_otherwise() -> None:
    taken: Collection[str] = {"schema_version", "environment", "dataset"}
    assert not [d.key for d in DATASETS if set(d.table.names) & set(taken)]
