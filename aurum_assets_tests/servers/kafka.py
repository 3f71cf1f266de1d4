"""librdkafka's own mock cluster, in a process of its own: real TCP, several brokers, faults.

    with KafkaCluster(brokers=3) as kafka:
        kafka.down(1, 2, 3)
        kafka.messages("aurum.alerts.v1")

The process reads commands from its standard input and ends with it, so that it never outlives who
started it, even if that one is killed.
"""

import ctypes
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_START_SECONDS = 20.0
_READ_SECONDS = 15.0
_PRODUCER = 0
_PARTITIONS = 4  # of a topic that a client makes


@dataclass(frozen=True)
class Received:
    """A message as a consumer gets it."""

    key: str
    value: bytes
    headers: dict[str, str]


class KafkaCluster:
    """A cluster of ``brokers`` on free ports of 127.0.0.1, numbered from 1."""

    def __init__(self, brokers: int = 3) -> None:
        self.brokers = tuple(range(1, brokers + 1))
        self._process = subprocess.Popen(  # noqa: S603  this very file
            [sys.executable, "-m", "aurum_assets_tests.servers.kafka", str(brokers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.bootstrap = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the cluster, with all that it holds."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def down(self, *brokers: int) -> None:
        """These brokers refuse connections."""
        for broker in brokers:
            self._tell("down", broker)

    def up(self, *brokers: int) -> None:
        """These brokers are back, with what they held."""
        for broker in brokers:
            self._tell("up", broker)

    def lose(self, broker: int, *topics: str) -> None:
        """``broker`` goes down, and others take over what it led of ``topics``."""
        self._tell("down", broker)
        left = [b for b in self.brokers if b != broker]
        for topic in topics:
            for partition in range(_PARTITIONS):
                self._tell("lead", topic, partition, left[partition % len(left)])

    def slow(self, milliseconds: int, *brokers: int) -> None:
        """These brokers answer after ``milliseconds``."""
        for broker in brokers:
            self._tell("rtt", broker, milliseconds)

    def fail_produce(self, code: int, times: int) -> None:
        """The next ``times`` produce requests are answered with error ``code``."""
        self._tell("errors", 0, code, times)

    def fail_topic(self, topic: str, code: int) -> None:
        """Whoever asks for ``topic`` is answered with error ``code``."""
        self._tell("topic", topic, code)

    def messages(self, topic: str) -> list[Received]:
        """All that ``topic`` holds, each partition in its order; nothing where there is none."""
        return self.read(topic)[topic]

    def read(self, *topics: str) -> dict[str, list[Received]]:
        """All that each of these topics holds."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "test",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        found: dict[str, list[Received]] = {topic: [] for topic in topics}
        try:
            known = consumer.list_topics(timeout=_READ_SECONDS).topics
            left = {(t, p) for t in topics if t in known for p in known[t].partitions}
            consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in left])
            until = time.monotonic() + _READ_SECONDS
            while left:
                if time.monotonic() > until:
                    msg = f"{left} could not be read to their end within {_READ_SECONDS:g} s"
                    raise TimeoutError(msg)
                message = consumer.poll(0.2)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    found[message.topic() or ""].append(_received(message))
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  how it names it
                    left -= {(message.topic() or "", message.partition() or 0)}
            return found
        finally:
            consumer.close()

    def _tell(self, *words: object) -> None:
        if self._process.stdin is None:
            raise AssertionError
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        if (answer := self._answer()) != "0":
            msg = f"the mock cluster answered {answer} to {words}"
            raise RuntimeError(msg)

    def _answer(self) -> str:
        out = self._process.stdout
        if out is None:
            raise AssertionError
        ready, _, _ = select.select([out], [], [], _START_SECONDS)
        line = out.readline() if ready else ""
        if not line:
            msg = "the mock cluster does not answer"
            raise RuntimeError(msg)
        return line.strip()


def _received(message: Any) -> Received:  # noqa: ANN401  the library is imported where it is used
    headers = {name: value.decode() for name, value in message.headers() or ()}
    return Received((message.key() or b"").decode(), message.value() or b"", headers)


def _library() -> Any:  # noqa: ANN401  a C library
    import confluent_kafka

    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*.so*"))))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


def _serve(brokers: int, commands: Iterator[str]) -> None:
    kafka = _library()
    error = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(kafka.rd_kafka_conf_new())
    kafka.rd_kafka_conf_set(conf, b"log_level", b"0", error, 512)  # it misses brokers of its own
    client = kafka.rd_kafka_new(_PRODUCER, conf, error, 512)
    cluster = ctypes.c_void_p(kafka.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), brokers))
    print(kafka.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)  # noqa: T201  its answer
    for line in commands:
        word, *rest = line.split()
        if word == "lead":
            topic, numbers = rest[0].encode(), [int(n) for n in rest[1:]]
            print(kafka.rd_kafka_mock_partition_set_leader(cluster, topic, *numbers), flush=True)  # noqa: T201  its answer
            continue
        if word == "topic":
            answer = kafka.rd_kafka_mock_topic_set_error(cluster, rest[0].encode(), int(rest[1]))
            print(answer or 0, flush=True)  # noqa: T201  its answer
            continue
        numbers = [int(n) for n in rest]
        answer = 0
        if word == "errors":
            key, code, times = numbers
            kafka.rd_kafka_mock_push_request_errors(
                cluster, ctypes.c_int16(key), ctypes.c_size_t(times), *[code] * times
            )
        else:
            answer = getattr(kafka, f"rd_kafka_mock_broker_set_{word}")(cluster, *numbers)
        print(answer, flush=True)  # noqa: T201  its answer


if __name__ == "__main__":
    _serve(int(sys.argv[1]), iter(sys.stdin))
