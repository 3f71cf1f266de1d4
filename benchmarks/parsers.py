"""Benchmark F: how fast every dialect of every dataset is read, beside the least it could take.

    python -m benchmarks.parsers

Each payload is a simulated answer whose records are repeated until there are 14,400 of them (an
hour of real-time prices). ``read`` is the product's: decoded, strict, parsed into the table's
columns, drift looked for. The floor is msgspec alone, decoding the same bytes into the declared
Structs. Both in one process, in turn, the median of seven.
"""

import datetime as dt
import json
import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import BLOCK, Dataset, Dialect, Envelope, Snapshot
from aurum_assets.model.formats.strict import is_plain
from aurum_assets.model.reading import read
from aurum_assets.operators import DATASETS
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.operators import answer
from aurum_assets.simulator.world import Ask, World
from benchmarks.measure import median

RECORDS = 14_400
_ROUNDS = 7
_DATE = dt.date(2025, 7, 14)
_LATER = dt.timedelta(days=7)
_NOON = dt.timedelta(hours=12)


def payload(dataset: Dataset, dialect: Dialect, records: int = RECORDS) -> bytes:
    """A simulated answer in ``dialect`` with that many records, from an endpoint of the config."""
    config = load_config(PROJECT / "config", DATASETS).datasets[dataset.key]
    whole_days_first = sorted(config.feeds, key=lambda feed: feed.asks == "now")
    feed, endpoint = next(
        (feed, e) for feed in whole_days_first for e in feed.endpoints if e.dialect == dialect.name
    )
    day = OperatingDay(_DATE, dataset.operator.zone)
    asked = None if feed.asks == "now" else day
    now = day.start + (_LATER if asked else _NOON)
    world = World(locations=50, dialect=_spoken(dialect))
    path, _, query = endpoint.url_path(asked, "10" if feed.asks == "hour" else "").partition("?")
    ask = Ask(path, now, query=dict(parse_qsl(query)))
    tree: Any = answer(dataset.operator.name, world, ask).tree()
    names = _path(dialect)
    if names[0] not in tree:  # the operator drops the plural here
        tree = {names[0]: tree}
    inner = tree
    for name in names[:-1]:
        inner = inner[name]
    held = inner[names[-1]]
    some = held if isinstance(held, list) else [held]
    inner[names[-1]] = list(islice(cycle(some), records))
    return json.dumps(tree, separators=(",", ":")).encode()


def _path(dialect: Dialect) -> list[str]:
    """The path to the records; of several blocks, to those of the first."""
    return [dialect.blocks[0] if name == BLOCK else name for name in dialect.path]


def _spoken(dialect: Dialect) -> Any:  # noqa: ANN401  one of the two names
    return dialect.name if dialect.name in {"live", "documented"} else "both"


def measured(dataset: Dataset, dialect: Dialect, body: bytes) -> dict[str, Any]:
    """Rows, seconds to read them, and seconds of the floor."""
    config = load_config(PROJECT / "config", DATASETS).datasets[dataset.key]
    envelope = Envelope(
        dataset=dataset.key,
        endpoint="bench",
        dialect=dialect.name,
        format="json",
        day=_DATE.isoformat(),
        fetched_at=dt.datetime(2025, 7, 15, tzinfo=dt.UTC),
        raw_sha256="",
        content_sha256="",
        finality="prelim",
    )
    snapshot = Snapshot(envelope, body)
    floor = msgspec.json.Decoder(_wrapped(dialect))
    seconds: dict[str, list[float]] = {"read": [], "floor": []}
    rows = 0
    for _ in range(_ROUNDS + 1):
        rows = len(read(dataset, snapshot, config.expected).frame)
        seconds["read"].append(_timed(lambda: read(dataset, snapshot, config.expected)))
        seconds["floor"].append(_timed(lambda: floor.decode(body)))
    least = {name: median(found[1:]) for name, found in seconds.items()}
    name, plain = f"{dataset.key} {dialect.name}", is_plain(dialect)
    return {"parser": name, "rows": rows, "plain": plain, **least}


def _timed(what: Callable[[], object]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def _wrapped(dialect: Dialect) -> Any:  # noqa: ANN401  a type made here
    inner: Any = list[dialect.record]  # type: ignore[name-defined]
    for name in reversed(_path(dialect)):
        inner = msgspec.defstruct("Level", [("inner", inner)], rename={"inner": name}, gc=False)
    return inner


def main() -> None:
    """Print one JSON document: a line a parser."""
    configs = load_config(PROJECT / "config", DATASETS).datasets
    asked = {
        (d.key, e.dialect) for d in DATASETS for f in configs[d.key].feeds for e in f.endpoints
    }
    found = [
        measured(dataset, dialect, payload(dataset, dialect))
        for dataset in DATASETS
        for dialect in dataset.dialects
        if (dataset.key, dialect.name) in asked
    ]
    json.dump({"parsers": found}, sys.stdout)


if __name__ == "__main__":
    main()
