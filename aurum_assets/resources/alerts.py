"""Alerts: the open ones, and notices that are still to be sent to receivers.

    alert     one row per incident, open until it is over; one for (kind, dataset, subject)
    outgoing  notices to send: written in the transaction that opens or closes an alert, removed
              once delivered, so that a kill or a dead receiver in between loses nothing

A receiver may get a notice twice, always with the same ``alert_id``. Incidents are detected by
``ingest.watch`` and, for Dagster's runs and checks, by ``graph.alerts``.
"""

import datetime as dt
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from aurum_assets.model.errors import AurumError
from aurum_assets.model.finding import Finding, broken
from aurum_assets.resources import hosts
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.redaction import redacted
from aurum_assets.resources.state import transaction

SCHEMA = """
CREATE TABLE alert (
    id TEXT PRIMARY KEY, kind TEXT, dataset TEXT, subject TEXT, severity TEXT, day TEXT,
    sentence TEXT, remedy TEXT, opened REAL, seen REAL, said REAL, closed REAL
);
CREATE UNIQUE INDEX open_alert ON alert (kind, dataset, subject) WHERE closed IS NULL;
CREATE TABLE outgoing (n INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT, document TEXT, at REAL);
"""
TOPIC = "aurum.alerts.v1"
RUNBOOKS = "docs/guide/runbooks"  # a page for each kind
REMINDER = dt.timedelta(hours=24)
_KEPT = dt.timedelta(days=7)  # what no receiver took until then is dropped, and logged
_CLOSED_KEPT = dt.timedelta(days=90)
_SETTLED = dt.timedelta(hours=1)
_SECONDS = 5.0  # for one webhook
_LOOK_SECONDS = 20.0  # for all that one look sends

Kind = Literal[
    "failed_run",
    "check_error",
    "drift",
    "empty_answer",
    "breaker_open",
    "late_feed",
    "quarantine_growing",
    "degraded",
]
Severity = Literal["ERROR", "WARN"]
Notice = Literal["opened", "reminder", "recovered"]
REMEDIES: Mapping[str, str] = {
    "failed_run": "Open the run in the UI and do what its sentence says; the next scheduled run "
    "asks again by itself.",
    "check_error": "Look at the check's sample; correct the rule or parser if the data is right, "
    "then run `aurum requeue`.",
    "drift": "Compare the sample with fields in config/; correct config or parser, then "
    "run `aurum requeue`.",
    "empty_answer": "Look whether the operator shows anything for the day; nothing stored was "
    "touched.",
    "breaker_open": "Look at the operator's status page; asking goes on by itself once it answers.",
    "late_feed": "Look whether runs fail, schedules are on and the operator publishes; then "
    "`aurum collect` the day.",
    "quarantine_growing": "Look at quality.quarantine for the reasons; correct rule or parser, "
    "then run `aurum requeue`.",
    "degraded": "Bring the named server back; nothing is lost meanwhile, work is only slower.",
}

log = get_logger(__name__)


@dataclass(frozen=True)
class Incident:
    """Something a person should know of; ``subject`` distinguishes incidents of one kind."""

    kind: Kind
    dataset: str
    subject: str
    sentence: str
    severity: Severity = "ERROR"
    day: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """One alert for each key is open at a time."""
        return (self.kind, self.dataset, self.subject)


@dataclass(frozen=True)
class Alert:
    """An incident with its history. ``alert_id`` is the same in all of its notices."""

    alert_id: str
    kind: Kind
    severity: Severity
    dataset: str
    subject: str
    day: str
    sentence: str
    what_to_do: str
    environment: str
    opened_at: str
    last_seen_at: str
    closed_at: str | None = None
    schema_version: int = 1

    def as_dict(self) -> dict[str, Any]:
        """The fields that are printed and sent."""
        return asdict(self)


class Publisher(Protocol):
    """A publisher of documents that others subscribe to."""

    def publish(self, topic: str, key: str, document: Mapping[str, Any]) -> None:
        """Hand ``document`` over for good, in bounded time; raises ``AurumError`` if it cannot."""


class Alerts:
    """The alerts of one home, in the SQLite file at ``path``, and the way to their receivers.

    ``webhook``: an address of Slack's kind, a secret. ``events``: for topic ``aurum.alerts.v1``.
    ``runbooks``: where the site's runbooks are served; empty: the project's files are named.
    """

    def __init__(
        self,
        path: Path,
        environment: str,
        clock: Callable[[], dt.datetime],
        *,
        webhook: str = "",
        events: Publisher | None = None,
        runbooks: str = "",
    ) -> None:
        self._path = path
        self._environment = environment
        self._clock = clock
        self._webhook = webhook
        self._events = events
        self._runbooks = runbooks

    @property
    def webhook(self) -> str:
        """The webhook's address; empty where there is none. A secret."""
        return self._webhook

    @property
    def open(self) -> list[Alert]:
        """The open alerts, oldest first."""
        if not self._path.exists():
            return []
        with self._database(write=False) as db:
            rows = db.execute("SELECT * FROM alert WHERE closed IS NULL ORDER BY opened, id")
            return [self._alert(row) for row in rows]

    @property
    def waiting(self) -> int:
        """How many notices no receiver has taken yet."""
        if not self._path.exists():
            return 0
        with self._database(write=False) as db:
            return int(db.execute("SELECT count(*) FROM outgoing").fetchone()[0])

    def raise_(self, incident: Incident) -> None:
        """Report ``incident``: a notice when it is new or becomes an ERROR, and again after a day.

        An open alert has the latest sentence, except that no WARN replaces an ERROR: around
        midnight the two may alternate.
        """
        now = self._clock()
        with self._database() as db:
            held = self._open_one(db, incident.key)
            if held is None:
                self._open(db, incident, now)
                return
            day = max(held["day"], incident.day)
            worse = incident.severity == "ERROR" != held["severity"]
            as_bad = incident.severity in {"ERROR", held["severity"]}
            if worse or (as_bad and incident.day >= held["day"]):
                db.execute(
                    "UPDATE alert SET severity = ?, sentence = ? WHERE id = ?",
                    (incident.severity, redacted(incident.sentence), held["id"]),
                )
            db.execute(
                "UPDATE alert SET seen = ?, day = ? WHERE id = ?", (_s(now), day, held["id"])
            )
            if worse or _s(now) - held["said"] >= REMINDER.total_seconds():
                db.execute("UPDATE alert SET said = ? WHERE id = ?", (_s(now), held["id"]))
                self._announce(db, held["id"], "opened" if worse else "reminder")

    def settle(self, kind: Kind, dataset: str, subject: str, day: str = "") -> None:
        """Close the open alert: the incident is over (on ``day``).

        A good later day closes the alert of an earlier one only where that was not seen for an
        hour: around midnight both days are examined in turn.
        """
        if not self._path.exists():
            return
        now = self._clock()
        with self._database() as db:
            held = self._open_one(db, (kind, dataset, subject))
            if held is None or day < held["day"]:
                return
            if day > held["day"] and _s(now) - held["seen"] < _SETTLED.total_seconds():
                return
            db.execute("UPDATE alert SET closed = ? WHERE id = ?", (_s(now), held["id"]))
            self._announce(db, held["id"], "recovered")

    def settle_others(self, kind: Kind, there: set[tuple[str, str, str]]) -> None:
        """Close the alerts of ``kind`` except those with these keys."""
        for alert in self.open:
            if alert.kind == kind and (kind, alert.dataset, alert.subject) not in there:
                self.settle(kind, alert.dataset, alert.subject, alert.day)

    def send(self) -> None:
        """Send pending notices in order, for 20 seconds at most; what fails waits.

        One process at a time (the caller holds a lock). A receiver that failed is skipped until
        the next call, so that it costs one timeout and does not delay the others.
        """
        if not self._path.exists():
            return
        until, down = time.monotonic() + _LOOK_SECONDS, set[str]()
        self._forget_old()
        with self._database(write=False) as db:
            found = db.execute("SELECT n, receiver, document FROM outgoing ORDER BY n").fetchall()
        for n, receiver, document in found:
            if receiver in down or time.monotonic() > until:
                continue
            try:
                self._deliver(receiver, json.loads(document))
            except AurumError as error:
                down.add(receiver)
                log.warning("an alert waits for its receiver", receiver=receiver, reason=str(error))
                continue
            with self._database() as db:
                db.execute("DELETE FROM outgoing WHERE n = ?", (n,))

    def check(self) -> Finding:
        """Connect to the webhook as ``send`` does, and send nothing. Raises nothing."""
        if not self._webhook:
            return Finding("webhook", "off")
        split = urlsplit(self._webhook)
        where = f"{split.scheme}://{split.hostname or ''}"  # its path is the secret
        try:
            connect(self._webhook)
        except AurumError as error:
            return broken("webhook", where, error)
        return Finding("webhook", "ok", where, "reached; nothing was sent")

    # --- within ----------------------------------------------------------------------------------

    def _open(self, db: sqlite3.Connection, incident: Incident, now: dt.datetime) -> None:
        text = json.dumps([*incident.key, now.isoformat(), self._environment])
        alert_id = hashlib.sha256(text.encode()).hexdigest()[:24]
        db.execute(
            "INSERT INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                alert_id,
                *incident.key,
                incident.severity,
                incident.day,
                redacted(incident.sentence),
                REMEDIES[incident.kind],
                *[_s(now)] * 3,
            ),
        )
        self._announce(db, alert_id, "opened")

    def _announce(self, db: sqlite3.Connection, alert_id: str, notice: Notice) -> None:
        """Queue a notice for every receiver, for ``send``."""
        row = db.execute("SELECT * FROM alert WHERE id = ?", (alert_id,)).fetchone()
        document = json.dumps({"notice": notice, **self._alert(row).as_dict()})
        receivers = ["log", *["webhook"] * bool(self._webhook), *["kafka"] * bool(self._events)]
        db.executemany(
            "INSERT INTO outgoing (receiver, document, at) VALUES (?, ?, ?)",
            [(receiver, document, _s(self._clock())) for receiver in receivers],
        )

    def _deliver(self, receiver: str, document: dict[str, Any]) -> None:
        if receiver == "webhook" and self._webhook:
            post(self._webhook, {"text": sentence_of(document)})
        elif receiver == "kafka" and self._events is not None:
            self._events.publish(TOPIC, document["alert_id"], document)
        elif receiver == "log":
            over = document["notice"] == "recovered"
            serious = log.error if document["severity"] == "ERROR" else log.warning
            # A recovery is a warning too, so that it has the same readers as the beginning.
            (log.warning if over else serious)("alert", **document)

    def _forget_old(self) -> None:
        now = self._clock()
        with self._database() as db:
            old = (_s(now - _KEPT),)
            for receiver, document in db.execute(
                "SELECT receiver, document FROM outgoing WHERE at < ?", old
            ).fetchall():
                log.error("alert never taken", receiver=receiver, **json.loads(document))
            db.execute("DELETE FROM outgoing WHERE at < ?", old)
            db.execute("DELETE FROM alert WHERE closed < ?", (_s(now - _CLOSED_KEPT),))

    def _open_one(self, db: sqlite3.Connection, key: tuple[str, str, str]) -> sqlite3.Row | None:
        where = "kind = ? AND dataset = ? AND subject = ? AND closed IS NULL"
        found: sqlite3.Row | None = db.execute(
            f"SELECT * FROM alert WHERE {where}",  # noqa: S608  a constant
            key,
        ).fetchone()
        return found

    def _alert(self, row: sqlite3.Row) -> Alert:
        return Alert(
            alert_id=row["id"],
            kind=row["kind"],
            severity=row["severity"],
            dataset=row["dataset"],
            subject=row["subject"],
            day=row["day"],
            sentence=row["sentence"],
            what_to_do=f"{row['remedy']} Runbook: {runbook_of(row['kind'], self._runbooks)}",
            environment=self._environment,
            opened_at=_iso(row["opened"]),
            last_seen_at=_iso(row["seen"]),
            closed_at=None if row["closed"] is None else _iso(row["closed"]),
        )

    @contextmanager
    def _database(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        with transaction(self._path, SCHEMA, write=write) as db:
            db.row_factory = sqlite3.Row
            yield db


def runbook_of(kind: str, served: str = "") -> str:
    """The page on alerts of ``kind``: below ``served``, or in the project."""
    return f"{served.rstrip('/')}/{kind}.html" if served else f"{RUNBOOKS}/{kind}.md"


def sentence_of(document: Mapping[str, Any]) -> str:
    """An alert as one message to people."""
    word = {"opened": document["severity"], "reminder": "STILL", "recovered": "OVER"}
    about = " ".join(filter(None, (document["dataset"], document["day"])))
    first = f"[{document['environment']}] {word[document['notice']]} {document['kind']} {about}"
    if document["notice"] == "recovered":
        return f"{first.rstrip()}, since {document['opened_at']}: {document['sentence']}"
    return f"{first.rstrip()}: {document['sentence']} — {document['what_to_do']}"


def post(url: str, document: Mapping[str, Any]) -> None:
    """Send ``document`` as JSON to a webhook, within 5 seconds. Raises ``AurumError``.

    The address is a secret: no error repeats it, and no redirect is followed.
    """
    if failed := _failed(url, document):
        msg = f"the webhook of AURUM_WEBHOOK_URL took no alert: {failed}; it is tried again"
        raise AurumError(msg)


def connect(url: str) -> None:
    """Connect to a webhook as ``post`` does, and send nothing. Raises ``AurumError``."""
    if failed := _failed(url, None):
        raise AurumError(failed, remedy="check AURUM_WEBHOOK_URL and the network")


class _Connected(Exception):
    """The request would be sent now."""


def _failed(url: str, document: Mapping[str, Any] | None) -> str:
    """Why a webhook took no ``document``; empty where it did. None: nothing is sent."""
    import httpx

    from aurum_assets.resources.wire import Deadline

    deadline = Deadline(_SECONDS)

    def trace(event: str, info: Mapping[str, Any]) -> None:
        deadline.trace(event, info)
        ready = event.endswith("send_request_headers.started")
        if document is None and ready and info["request"].method == b"POST":  # none of a proxy
            raise _Connected

    try:
        with httpx.Client(timeout=_SECONDS) as client:
            deadline.start()
            more = {"trace": trace}
            with client.stream("POST", url, json=document, extensions=more) as answer:
                return "" if answer.is_success else f"it answered {answer.status_code}"
    except _Connected:
        return ""
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        known = not hosts.is_unknown(error)
        return f"no answer ({type(error).__name__})" if known else "its host's name is not known"
    finally:
        deadline.stop()


def _s(instant: dt.datetime) -> float:
    return instant.timestamp()


def _iso(seconds: float) -> str:
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
