"""Kafka: all brokers down, one of three down, no answer in time, killed between commit and publish.

In the end every stored row has been sent at least once, by its key and hash, every snapshot too,
and nothing was sent that is not stored.
"""

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from aurum_assets import ingest
from aurum_assets.model.message import SNAPSHOTS_TOPIC, Message, key_columns
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.events import PATIENCE, Brokers, Delivery, Events
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs.faults.ground import (
    DATASETS,
    WORK,
    FaultTable,
    Line,
    MakeHome,
    Round,
    a_round,
    on,
    run,
)
from aurum_assets_tests.proofs.proof import close
from aurum_assets_tests.servers.kafka import KafkaCluster

_LONGEST = 60.0
_SHORT = 2.0  # seconds of patience where it is shortened
_TIMED_OUT = 7  # Kafka's REQUEST_TIMED_OUT


@dataclass(frozen=True)
class Fault:
    """A way of Kafka to fail, and how it is well again. ``patience``: seconds of a delivery's."""

    name: str
    strike: Callable[[KafkaCluster, int], None]
    heal: Callable[[KafkaCluster], None]
    patience: float = PATIENCE


def _all_up(kafka: KafkaCluster) -> None:
    kafka.up(*kafka.brokers)


def _quick(kafka: KafkaCluster) -> None:
    kafka.slow(0, *kafka.brokers)


FAULTS = (
    Fault("Kafka all down", lambda k, _: k.down(*k.brokers), _all_up),
    Fault("Kafka one of three down", lambda k, n: k.down(1 + n % 3), _all_up, _SHORT),
    Fault("Kafka timeouts", lambda k, _: k.slow(60_000, *k.brokers), _quick, _SHORT),
    Fault(
        "Kafka refuses in time-outs", lambda k, n: k.fail_produce(_TIMED_OUT, 1 + n), _quick, _SHORT
    ),
)
CONFIGURED = Fault("Kafka timeouts, all as configured", FAULTS[2].strike, _quick)


def _home(kafka: KafkaCluster, patience: float) -> MakeHome:
    make = on(lambda _: {"brokers": Brokers(kafka.bootstrap)})

    def made(*arguments: object) -> Resources:
        home = make(*arguments)  # type: ignore[arg-type]  # those of MakeHome
        events = Events(home.root / "outbox.sqlite", Brokers(kafka.bootstrap), patience=patience)
        home.events = events
        return home

    return made


def _fails(fault: Fault, number: int, proof: FaultTable, line: Line) -> None:
    with (
        KafkaCluster(3) as kafka,
        a_round(number, proof, line, _home(kafka, fault.patience)) as one,
    ):
        one.goes_well("before the fault", one.tick())
        one.reopen()
        one.at(1)
        fault.strike(kafka, number)
        one.goes_well("with the fault", one.tick(timed=True))
        fault.heal(kafka)
        one.reopen()
        one.at(2)
        one.goes_well("the next run", one.tick())
        ingest.drain(one.home)
        one.judge()
        _count_messages(one, kafka)


class Dying(Events):
    """The process is killed when it comes to publishing: before, or after all was sent."""

    after = False

    def deliver(self, parcels: Iterable[tuple[int, Iterable[Message]]]) -> Delivery:
        """Sent or not, nobody hears of it."""
        if self.after:
            super().deliver(parcels)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def _die(make: Callable[[], Resources], bootstrap: str, number: int) -> None:
    home = make()
    events = Dying(home.root / "outbox.sqlite", Brokers(bootstrap))
    events.after = bool(number % 2)
    home.events = events
    run(home, DATASETS[number % len(DATASETS)])


def _killed(number: int, proof: FaultTable, line: Line) -> None:
    """A process is killed between its commit and its message."""
    with KafkaCluster(3) as kafka:
        make = _home(kafka, PATIENCE)
        with a_round(number, proof, line, make) as one:
            one.goes_well("before the fault", one.tick())
            one.at(1)
            urls = one.running.urls
            again = partial(_made, one.root, one.clock(), urls, kafka.bootstrap)
            dying = FORKS.Process(target=_die, args=(again, kafka.bootstrap, number))
            dying.start()
            dying.join(_LONGEST)
            sentence = f"the process ended with {dying.exitcode}, not by its kill"
            one.holds(sentence, where=dying.exitcode == -signal.SIGKILL)
            one.goes_well("the next run", one.tick(timed=True))
            one.at(2)
            one.goes_well("the run after", one.tick())
            ingest.drain(one.home)
            one.judge()
            _count_messages(one, kafka)


def _made(root: Path, now: object, urls: Mapping[str, str], bootstrap: str) -> Resources:
    return on(lambda _: {"brokers": Brokers(bootstrap)})(root, now, urls)  # type: ignore[arg-type]  # an instant


def _count_messages(one: Round, kafka: KafkaCluster) -> None:
    """Messages by key and hash against rows, and against the archive."""
    home = one.another()
    snapshots = set()
    lost = wrong = 0
    for dataset in DATASETS:
        table = dataset.table
        rows = home.lake.read(table).with_columns(record_hash=table.record_hash())
        names = [*key_columns(table), "record_hash"]
        stored = {
            (msgspec.json.encode(list(row[:-1])).decode(), row[-1])
            for row in rows.select(names).iter_rows()
        }
        topic = home.config(dataset).topic
        sent = {(m.key, m.headers["record_hash"]) for m in kafka.messages(topic)}
        lost += len(stored - sent)
        wrong += len(sent - stored)
        day = dataset.operator.day_of(one.clock()).key
        held = home.archive.identifiers(dataset.archive_name, day)
        snapshots |= {f"{dataset.key}/{day}/{identifier}" for identifier in held}
    announced = {m.key for m in kafka.messages(SNAPSHOTS_TOPIC)}
    lost += len(snapshots - announced)
    wrong += len(announced - snapshots)
    one.line.messages = (one.line.messages or 0) + lost
    one.line.wrong += wrong
    one.holds(f"{lost} messages lost, {wrong} of what is not stored", where=not (lost or wrong))
    close(home.lake)


def kafka_faults(proof: FaultTable, rounds: int, *, configured: bool = True) -> None:
    """Every fault of Kafka, with a cluster of three a round; with ``configured``, true patience."""
    for fault in FAULTS:
        line = proof.line(fault.name, 2 * fault.patience + WORK, 0)
        proof.play(partial(_fails, fault), line, rounds)
    if configured:
        line = proof.line(CONFIGURED.name, 2 * PATIENCE + WORK, 0)
        proof.play(partial(_fails, CONFIGURED), line, 1)
    line = proof.line("Kafka: killed between commit and publish", WORK, 0)
    proof.play(_killed, line, rounds)
