"""The metrics: counts that outlive the processes that made them, and how they are shown.

A run lives for seconds, so what it counted goes into one SQLite file, in one transaction at the end
of a verb; a kill loses what that verb had counted and nothing else. Shown as Prometheus reads it:
by ``aurum metrics`` over HTTP, or in a file for node_exporter. What is counted is decided in
``ingest``; here belongs what there is to count, and in which units.
"""

import contextlib
import datetime as dt
import json
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import AurumError, ConfigError
from aurum_assets.model.finding import Finding
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.scratch import check_file, draft
from aurum_assets.resources.state import transaction

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

SCHEMA = """
CREATE TABLE sample (name TEXT, labels TEXT, value REAL NOT NULL, PRIMARY KEY (name, labels))
WITHOUT ROWID;
"""
_ADD = """
INSERT INTO sample VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET value = value + excluded.value
"""
_FORGET = "DELETE FROM sample WHERE name = ?"
_SET = "INSERT OR REPLACE INTO sample VALUES (?, ?, ?)"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_ROWS = (0.0, 1.0, 10.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0, 100_000.0, 400_000.0)

log = get_logger(__name__)
Labels = tuple[str, ...]


@dataclass(frozen=True)
class Metric:
    """Something to count. ``labels`` come after source, dataset and environment."""

    kind: Literal["counter", "gauge", "histogram"]
    doc: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()


# Names without the prefix ``aurum_`` and, for counters, without ``_total``.
METRICS: Mapping[str, Metric] = {
    "collected": Metric("counter", "Answers that were archived."),
    "duplicates": Metric("counter", "Answers identical to the latest snapshot of their request."),
    "failures": Metric("counter", "Verbs that ended in an error.", ("verb", "error")),
    "quarantined_rows": Metric("counter", "Records that were newly quarantined."),
    "rejected_snapshots": Metric("counter", "Answers of which nothing could be read."),
    "checks": Metric("counter", "Verdicts of checks.", ("check", "severity", "passed")),
    "data_quality": Metric(
        "counter", "Rows brought to a table (all, where a day is rebuilt).", ("value",)
    ),
    "api_seconds": Metric("histogram", "How long an answer took to come.", bounds=_SECONDS),
    "upload_seconds": Metric("histogram", "How long an archived object took.", bounds=_SECONDS),
    "snapshot_rows": Metric("histogram", "Records in an archived answer.", bounds=_ROWS),
    "newest_interval_timestamp_seconds": Metric("gauge", "End of the newest interval held."),
    "newest_fetch_timestamp_seconds": Metric("gauge", "When the newest row held was fetched."),
    "last_answer_timestamp_seconds": Metric("gauge", "When a feed last answered.", ("feed",)),
    "interval_lag_seconds": Metric("gauge", "Now less the end of the newest interval held."),
    "fetch_lag_seconds": Metric("gauge", "Now less the fetch of the newest row held."),
    "answer_lag_seconds": Metric("gauge", "Now less a feed's last answer.", ("feed",)),
    "quarantine_rows": Metric("gauge", "Records in quarantine."),
    "degraded": Metric("gauge", "1 where a part is out of reach.", ("part",)),
    "daemon_heartbeat_timestamp_seconds": Metric(
        "gauge", "When a daemon of Dagster's last said that it runs.", ("daemon",)
    ),
    "daemon_heartbeat_lag_seconds": Metric(
        "gauge", "Now less the last heartbeat of a daemon of Dagster's.", ("daemon",)
    ),
    "last_tick_timestamp_seconds": Metric(
        "gauge", "When a schedule or sensor that runs was last evaluated.", ("kind", "name")
    ),
    "tick_lag_seconds": Metric(
        "gauge", "Now less the last tick of a schedule or sensor that runs.", ("kind", "name")
    ),
    "runs": Metric("gauge", "Runs that are queued, starting or started.", ("status",)),
}
# Lags grow while nothing runs: shown as of now, from the instants that are stored.
LAGS = {
    "interval_lag_seconds": "newest_interval_timestamp_seconds",
    "fetch_lag_seconds": "newest_fetch_timestamp_seconds",
    "answer_lag_seconds": "last_answer_timestamp_seconds",
    "daemon_heartbeat_lag_seconds": "daemon_heartbeat_timestamp_seconds",
    "tick_lag_seconds": "last_tick_timestamp_seconds",
}


class _Pending(threading.local):
    """What this thread counted and has not written yet; ``depth``: verbs call each other."""

    def __init__(self) -> None:
        self.depth = 0
        self.added: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.held: dict[tuple[str, str], float] = {}
        self.forgotten: set[tuple[str]] = set()


class Metrics:
    """The counts of all processes of one home, in the file at ``path``.

    ``file``: where they are also written after each verb, for node_exporter. Counting never fails a
    verb: a file that cannot be written is a line in the log.
    """

    def __init__(
        self,
        path: Path,
        environment: str,
        clock: Callable[[], dt.datetime],
        file: Path | None = None,
    ) -> None:
        self.file = file
        self._path = path
        self._clock = clock
        self._environment = environment
        self._pending = _Pending()

    @contextlib.contextmanager
    def verb(self, name: str, dataset: Dataset) -> Iterator[None]:
        """What is counted within the block is written at its end, with that of verbs around it."""
        self._pending.depth += 1
        try:
            yield
        except AurumError as error:
            self.count("failures", dataset, name, type(error).__name__)
            raise
        finally:
            self._pending.depth -= 1
            if not self._pending.depth:
                self.flush()

    def count(self, name: str, dataset: Dataset, *labels: str, by: float = 1) -> None:
        """``by`` more of a counter."""
        if by:
            self._pending.added[f"aurum_{name}_total", self._labels(name, dataset, labels)] += by

    def observe(self, name: str, dataset: Dataset, value: float) -> None:
        """Add an observation to a histogram, in its unit."""
        labels = self._labels(name, dataset, ())
        bound = next((b for b in METRICS[name].bounds if value <= b), float("inf"))
        self._pending.added[f"aurum_{name}_bucket", _with(labels, "le", _number(bound))] += 1
        self._pending.added[f"aurum_{name}_sum", labels] += value

    @contextlib.contextmanager
    def seconds(self, name: str, dataset: Dataset) -> Iterator[None]:
        """Observe how long the block takes."""
        began = time.monotonic()
        yield
        self.observe(name, dataset, time.monotonic() - began)

    def hold(self, name: str, dataset: Dataset | None, value: float, *labels: str) -> None:
        """A gauge stands at ``value`` now; without ``dataset`` it is the home's."""
        self._pending.held[f"aurum_{name}", self._labels(name, dataset, labels)] = value

    def hold_all(self, name: str, values: Mapping[Labels, float]) -> None:
        """A gauge of the home stands at ``values``, by its labels; no other ones remain."""
        full = f"aurum_{name}"
        pending = self._pending
        pending.held = {key: value for key, value in pending.held.items() if key[0] != full}
        pending.forgotten.add((full,))
        for labels, value in values.items():
            self.hold(name, None, value, *labels)

    def flush(self) -> None:
        """Write what was counted, in one transaction."""
        pending = self._pending
        if not pending.added and not pending.held and not pending.forgotten:
            return
        added = [(*key, value) for key, value in pending.added.items()]
        held = [(*key, value) for key, value in pending.held.items()]
        forgotten = sorted(pending.forgotten)
        pending.added, pending.held, pending.forgotten = defaultdict(float), {}, set()
        try:
            with transaction(self._path, SCHEMA) as db:
                db.executemany(_FORGET, forgotten)
                db.executemany(_ADD, added)
                db.executemany(_SET, held)
            if self.file is not None:
                self.write(self.file)
        except (ConfigError, OSError) as error:
            log.warning("these counts are lost", reason=str(error), counts=len(added))

    def write(self, file: Path) -> None:
        """All metrics into ``file``, which is never seen half written."""
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
        try:
            draft.write_bytes(self.exposition())
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)

    def check(self) -> Finding:
        """Write the metrics beside their file, as a run does, and remove that. Raises nothing."""
        if self.file is None:
            return Finding("metrics", "off")
        where, remedy = str(self.file), "set AURUM_METRICS_FILE elsewhere"
        try:
            with draft(check_file(self.file.parent)) as file:
                self.write(file)
        except (ConfigError, OSError) as error:
            return Finding("metrics", "broken", where, f"cannot be written: {error}", remedy)
        if self.file.suffix != ".prom":
            remedy = "name it *.prom: node_exporter reads no other file"
            return Finding("metrics", "unsure", where, "is not named *.prom", remedy)
        return Finding("metrics", "ok", where, "can be written")

    def exposition(self) -> bytes:
        """All metrics as Prometheus reads them."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry())

    def registry(self) -> "CollectorRegistry":
        """What a scrape endpoint serves: read anew at each scrape."""
        from prometheus_client import CollectorRegistry

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def collect(self) -> "Iterable[Family]":
        """The metric families, as a collector of prometheus_client gives them."""
        return _families(self._samples(), self._clock().timestamp())

    def describe(self) -> "Iterable[Family]":
        """Describe nothing ahead of the first scrape."""
        return []

    def _samples(self) -> dict[str, dict[str, float]]:
        """Name -> labels -> value."""
        found: dict[str, dict[str, float]] = {}
        if self._path.exists():
            with transaction(self._path, SCHEMA, write=False) as db:
                for name, labels, value in db.execute("SELECT name, labels, value FROM sample"):
                    found.setdefault(name, {})[labels] = value
        return found

    def _labels(self, name: str, dataset: Dataset | None, more: Labels) -> str:
        found = {
            "source": dataset.operator.name if dataset else "",
            "dataset": dataset.key if dataset else "",
            "environment": self._environment,
        }
        return json.dumps(found | dict(zip(METRICS[name].labels, more, strict=True)))


def _with(labels: str, name: str, value: str) -> str:
    return json.dumps({**json.loads(labels), name: value})


def _number(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(bound)


def _families(samples: Mapping[str, Mapping[str, float]], now: float) -> "Iterator[Family]":
    from prometheus_client.core import Metric as Made

    for name, metric in METRICS.items():
        full = f"aurum_{name}"
        family = Made(full, metric.doc, metric.kind)
        if metric.kind == "histogram":
            _add_histogram(family, metric, samples, full)
        else:
            stored = f"{full}_total" if metric.kind == "counter" else full
            origin = f"aurum_{LAGS[name]}" if name in LAGS else stored
            for labels, value in sorted(samples.get(origin, {}).items()):
                family.add_sample(
                    stored, json.loads(labels), now - value if name in LAGS else value
                )
        yield family


def _add_histogram(
    family: "Family", metric: Metric, samples: Mapping[str, Mapping[str, float]], full: str
) -> None:
    """Buckets are stored each for itself, and shown added up, as Prometheus wants them."""
    buckets: dict[str, dict[str, float]] = {}
    for text, value in samples.get(f"{full}_bucket", {}).items():
        labels: dict[str, Any] = json.loads(text)
        buckets.setdefault(json.dumps(labels | {"le": ""}), {})[labels["le"]] = value
    for text, counts in sorted(buckets.items()):
        labels = {k: v for k, v in json.loads(text).items() if k != "le"}
        total = 0.0
        for bound in (*metric.bounds, float("inf")):
            total += counts.get(_number(bound), 0.0)
            family.add_sample(f"{full}_bucket", {**labels, "le": _number(bound)}, total)
        family.add_sample(f"{full}_count", labels, total)
        family.add_sample(
            f"{full}_sum", labels, samples.get(f"{full}_sum", {}).get(json.dumps(labels), 0.0)
        )
