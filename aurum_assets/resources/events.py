"""Events: messages to Kafka, by way of the outbox; nothing at all where no brokers are configured.

Collection never waits in vain for Kafka: a delivery is given up after ``PATIENCE`` seconds without
an acknowledgement (``DOWN`` where all brokers refuse the connection), and goes on as long as there
are any: brokers acknowledge up to a megabyte at once, so that slow ones take 10 s a megabyte at
the very worst. What was not acknowledged stays in the outbox. What does not belong here: what is
sent, and when.
"""

import itertools
import re
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurum_assets.model.errors import ConfigError
from aurum_assets.model.finding import Finding, broken
from aurum_assets.model.message import Message, document_message
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.outbox import Outbox

if TYPE_CHECKING:  # the client is an extra: what is not configured costs nothing
    from confluent_kafka import KafkaError
    from confluent_kafka import Message as KafkaMessage

PATIENCE = 10.0
DOWN = 2.0
AGAIN = 300.0  # seconds: most runs are shorter, a code server lives for weeks
_NOT_INSTALLED = ("its client is not installed", "pip install 'aurum-assets[kafka]'")
_LOOK = (
    "check AURUM_KAFKA_BROKERS, AURUM_KAFKA_PROTOCOL, the user name and password if there are any, "
    "and whether the brokers are up"
)
_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}"
_LARGEST = 16_000_000  # bytes of a message; what a topic takes (1 MB at first), its brokers say
_SERVED = 500  # messages between two looks at what was acknowledged

log = get_logger(__name__)


@dataclass(frozen=True)
class Brokers:
    """The address of Kafka, and the credentials for it. The password is in no text of this."""

    servers: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    protocol: str = ""
    mechanism: str = "PLAIN"


@dataclass
class Delivery:
    """What became of parcels, by their numbers: wholly acknowledged, or refused and why.

    ``topics``: those that would refuse other messages as well (of one that is too large for its
    topic there is none). ``stopped``: why there was no use in going on.
    """

    done: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    topics: set[str] = field(default_factory=set)
    stopped: str = ""


class Events:
    """The way to Kafka of one home."""

    def __init__(
        self,
        path: Path,
        brokers: Brokers,
        environment: str = "dev",
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._brokers = brokers
        self._patience = patience
        self.environment = environment
        self.outbox = Outbox(path)
        self._gave_up = ("", 0.0)

    @property
    def degraded(self) -> str:
        """Why nothing is delivered for now; empty again ``AGAIN`` seconds after giving up."""
        reason, since = self._gave_up
        return reason if time.monotonic() - since < AGAIN else ""

    @property
    def brokers(self) -> Brokers:
        """The brokers that receive the messages."""
        return self._brokers

    @property
    def configured(self) -> bool:
        """Whether any brokers are configured."""
        return bool(self._brokers.servers)

    def publish(self, topic: str, key: str, document: Mapping[str, Any]) -> None:
        """Put ``document`` into the outbox, to be sent with the next ``ingest.drain``.

        Adds ``schema_version``, ``environment`` and ``record_hash``. Raises ``ConfigError`` where
        the outbox cannot be written.
        """
        if self.configured:
            self.outbox.put(document_message(topic, key, document, self.environment))

    def give_up(self, reason: str) -> None:
        """Say once why, and do not try again with these events for ``AGAIN`` seconds."""
        if reason != self.degraded:
            log.warning("Kafka is left alone for a while", reason=reason)
        if not self.degraded:
            self._gave_up = (reason, time.monotonic())
        self.__dict__.pop("_client", None)

    def deliver(self, parcels: Iterable[tuple[int, Iterable[Message]]]) -> Delivery:
        """Send each parcel's messages; a parcel is done once all of them were acknowledged."""
        try:
            return self._client.deliver(parcels)
        except ImportError:
            return Delivery(stopped=": ".join(_NOT_INSTALLED))
        except ConfigError as error:
            return Delivery(stopped=str(error))

    def check(self, topics: Collection[str], seconds: float) -> Finding:
        """Ask the brokers for ``topics``, for ``seconds`` at most. Raises nothing."""
        if not self.configured:
            return Finding("kafka", "off")
        where = self._brokers.servers.rpartition("@")[2]
        began = time.monotonic()
        try:
            brokers, held = self._client.topics(seconds)
        except ImportError:
            return Finding("kafka", "broken", where, *_NOT_INSTALLED)
        except ConfigError as error:
            return broken("kafka", where, error)
        except _Stop as stop:
            self.__dict__.pop("_client", None)
            return Finding("kafka", "broken", where, f"cannot be used ({stop})", _LOOK)
        took = round((time.monotonic() - began) * 1000)
        missing = sorted(set(topics) - held)
        result = f"{brokers} brokers, {len(topics) - len(missing)} of our topics"
        if missing:
            result += f", {len(missing)} missing"
            remedy = f"make topics as {missing[0]}, unless the brokers make them"
            return Finding("kafka", "unsure", where, result, remedy, took)
        return Finding("kafka", "ok", where, result, "", took)

    @cached_property
    def _client(self) -> "_Client":
        return _Client(self._brokers, self._patience)


class _Stop(Exception):
    """There is no use in going on with a delivery."""


class _Client:
    """An idempotent producer of Kafka's own library."""

    def __init__(self, brokers: Brokers, patience: float) -> None:
        from confluent_kafka import KafkaException, Producer

        self._patience = patience
        self._refusal = KafkaException
        self._connection = _Connection(brokers.password)
        settings = _settings(brokers, patience) | {"error_cb": self._connection.error}
        try:
            self._producer = Producer(settings, logger=self._connection)
        except KafkaException as error:
            remedy = "look at AURUM_KAFKA_BROKERS, AURUM_KAFKA_PROTOCOL and AURUM_KAFKA_MECHANISM"
            msg = f"Kafka's client refuses its settings ({_name(error.args)})"
            raise ConfigError(msg, remedy=remedy) from None

    def topics(self, seconds: float) -> tuple[int, set[str]]:
        """How many brokers there are, and their topics. Raises ``_Stop`` as ``deliver`` does."""
        watch = _Watch(self._connection, seconds)
        while True:
            try:
                held = self._producer.list_topics(timeout=min(seconds / 2, DOWN))
            except self._refusal:
                self._producer.poll(0)  # calls ``_Connection.error``
                watch.look()
            else:
                return len(held.brokers), set(held.topics)

    def deliver(self, parcels: Iterable[tuple[int, Iterable[Message]]]) -> Delivery:
        """See ``Events``."""
        found, watch = Delivery(), _Watch(self._connection, self._patience)
        whole = []
        try:
            for number, messages in parcels:
                parcel = _Parcel(number, found, watch)
                for message in messages:
                    if number in found.refused:
                        break
                    self._send(message, parcel, watch)
                whole.append(parcel)
            while len(self._producer):
                self._producer.poll(0.1)
                watch.look()
        except _Stop as stop:
            found.stopped = str(stop)
            self._producer.purge()
            self._producer.poll(0)
        found.done = [p.number for p in whole if not p.left and p.number not in found.refused]
        return found

    def _send(self, message: Message, parcel: "_Parcel", watch: "_Watch") -> None:
        headers: list[tuple[str, str | bytes | None]] = [
            ("record_hash", message.record_hash.encode())
        ]
        parcel.left += 1
        while True:
            try:
                self._producer.produce(
                    message.topic,
                    key=message.key,
                    value=message.value,
                    headers=headers,
                    on_delivery=parcel.acknowledged,
                )
            except BufferError:
                self._producer.poll(0.1)
                watch.look()
            except self._refusal as error:
                parcel.given_up(error.args[0], message.topic, message.key)
                watch.look()
                break
            else:
                break
        if next(watch.sent) % _SERVED == 0:
            self._producer.poll(0)
            watch.look()


def _settings(brokers: Brokers, seconds: float) -> dict[str, Any]:
    patience = int(seconds * 1000)
    settings: dict[str, Any] = {
        "bootstrap.servers": brokers.servers,
        "client.id": "aurum-assets",
        "security.protocol": brokers.protocol or "PLAINTEXT",
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 20,
        "partitioner": "murmur2_random",  # as Java's clients place keys
        "delivery.timeout.ms": 0,  # none: what waits behind much else is not late, see _Watch
        "request.timeout.ms": patience // 2,
        "socket.timeout.ms": patience // 2,
        "socket.connection.setup.timeout.ms": max(1000, patience // 2),
        "topic.metadata.propagation.max.ms": patience // 4,
        "reconnect.backoff.max.ms": 1000,
        "queue.buffering.max.kbytes": 65_536,
        "message.max.bytes": _LARGEST,
    }
    if brokers.username:
        settings |= {
            "sasl.mechanism": brokers.mechanism,
            "sasl.username": brokers.username,
            "sasl.password": brokers.password,
        }
    return settings


class _Connection:
    """The state of the connection to the brokers, as the library reports and logs it.

    ``down``: no broker can be reached at the moment. ``fatal``: no message will ever be taken.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.down = ""
        self.fatal = ""
        self._unresolved = ""

    def error(self, error: "KafkaError") -> None:
        """Note an error, as the library's ``error_cb``."""
        from confluent_kafka import KafkaError

        refused = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}  # noqa: SLF001  how the library names its own errors
        if error.fatal() or error.code() in refused:
            self.fatal = self.clean(error.str())
        elif error.code() == KafkaError._RESOLVE:  # noqa: SLF001  as above
            self._unresolved = f": {self.clean(error.str())}; check AURUM_KAFKA_BROKERS"
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  as above
            self.down = self.clean(error.str()) + self._unresolved

    def log(self, _level: int, text: str, *values: object) -> None:
        """Write a line of the library into our log."""
        log.debug("librdkafka", line=self.clean(text % values if values else text))

    def clean(self, text: str) -> str:
        """``text`` without the password."""
        return text.replace(self._secret, "***") if self._secret else text


class _Watch:
    """Since when nothing was acknowledged. What is being acknowledged, however slowly, goes on."""

    def __init__(self, connection: _Connection, patience: float) -> None:
        self._patience = patience
        self.connection = connection
        self.connection.down = ""
        self.sent = itertools.count(1)
        self._last = time.monotonic()

    def acknowledged(self) -> None:
        self._last = time.monotonic()
        self.connection.down = ""

    def look(self) -> None:
        """Raises ``_Stop`` where it is no use to wait any longer."""
        silent = time.monotonic() - self._last
        if self.connection.fatal:
            raise _Stop(self.connection.fatal)
        if self.connection.down and silent > DOWN:
            raise _Stop(self.connection.down)
        if silent > self._patience:
            msg = f"no broker acknowledged anything for {self._patience:g} s"
            raise _Stop(msg)


@dataclass
class _Parcel:
    """A parcel on its way; ``left`` of its messages were not acknowledged yet."""

    number: int
    found: Delivery
    watch: _Watch
    left: int = 0

    def acknowledged(self, error: "KafkaError | None", message: "KafkaMessage") -> None:
        """A message was acknowledged, or given up by the library. As ``on_delivery`` is called."""
        if error is None:
            self.left -= 1
            self.watch.acknowledged()
        elif not self.found.stopped:
            key = (message.key() or b"").decode(errors="replace")
            self.given_up(error, message.topic() or "", key)

    def given_up(self, error: "KafkaError", topic: str, key: str) -> None:
        """A message was not taken: for what it is, for its topic, or with all that would follow."""
        if error.fatal() or error.code() in _passing():
            reason = f"a message was not taken ({error.name()})"
            self.watch.connection.fatal = self.watch.connection.fatal or reason
        elif error.code() == error.MSG_SIZE_TOO_LARGE:
            reason = f"message {key} is too large for {topic} ({error.name()})"
            self.found.refused[self.number] = reason
            remedy = f"it waits in the outbox: raise max.message.bytes of {topic}"
            log.error("a message is not sent", reason=reason, remedy=remedy)
        else:
            self.found.refused[self.number] = f"{topic} refuses messages ({error.name()})"
            self.found.topics.add(topic)


def _name(causes: tuple[Any, ...]) -> str:
    return str(causes[0].name()) if causes and hasattr(causes[0], "name") else "no reason given"


@cache
def _passing() -> frozenset[int]:
    """Errors that say nothing of a message's topic: the next message would fare no better."""
    from confluent_kafka import KafkaError

    return frozenset(
        {
            KafkaError._MSG_TIMED_OUT,  # noqa: SLF001  how the library names its own errors
            KafkaError._TRANSPORT,  # noqa: SLF001  as above
            KafkaError._TIMED_OUT,  # noqa: SLF001  as above
            KafkaError._FATAL,  # noqa: SLF001  as above
            KafkaError._PURGE_QUEUE,  # noqa: SLF001  as above
            KafkaError._PURGE_INFLIGHT,  # noqa: SLF001  as above
            KafkaError.REQUEST_TIMED_OUT,
            KafkaError.NOT_ENOUGH_REPLICAS,
            KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        }
    )


# --- configuration -------------------------------------------------------------------------------


def brokers_of(
    servers: str, username: str, password: str, protocol: str, mechanism: str, connection: str
) -> Brokers:
    """The brokers that the environment describes; AURUM_KAFKA_BROKERS counts before ``connection``.

    ``connection``: ``user:password@host:port,host:port``; the password may hold ``:`` and ``@``.
    Raises ``ConfigError`` naming the variable, never what it holds.
    """
    variable = "AURUM_KAFKA_BROKERS"
    if not servers and connection:
        variable = "KAFKA_CONNECTION_STRING (or AURUM_KAFKA_CONNECTION)"
        who, at, servers = connection.rpartition("@")
        name, _, secret = who.partition(":")
        if (at and not (name and secret)) or secret.startswith("//"):
            raise _wrong(variable, "user:password@host:port,host:port")
        username, password = username or name, password or secret
    if not servers and not username and not password:
        return Brokers()
    hosts = [h.strip() for h in servers.split(",")]
    if not all(re.fullmatch(_HOST, h) for h in hosts):
        raise _wrong(variable, "host:port,host:port, without a scheme")
    if bool(username) != bool(password):
        variable = "AURUM_KAFKA_PASSWORD" if username else "AURUM_KAFKA_USERNAME"
        raise _wrong(variable, "to be set: a user name and a password go together")
    protocol = protocol or ("SASL_SSL" if username else "PLAINTEXT")
    if protocol.startswith("SASL") != bool(username):
        variable = "AURUM_KAFKA_PROTOCOL"
        raise _wrong(variable, "SASL_SSL or SASL_PLAINTEXT with a user name, and only with one")
    return Brokers(",".join(hosts), username, password, protocol, mechanism)


def _wrong(variable: str, expected: str) -> ConfigError:
    return ConfigError(f"environment variable {variable}: expected {expected}; see .env.example")
