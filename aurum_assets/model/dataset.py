"""Declarations of where data comes from: endpoint, feed, dataset, snapshot.

Code declares what a parser depends on (``Dataset``, ``Dialect``); configuration what an operator
tunes (``DatasetConfig``, ``OperatorConfig``), read from ``config/*_ingest_datasets.json``.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import msgspec
import polars as pl

from aurum_assets.model.cadence import Cadence, CadenceName, cadence_of
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.drift import Expected, ExpectedField, FieldConfig, types_of, with_magnitude
from aurum_assets.model.operator import Limit, Notes, Operator
from aurum_assets.model.table import Table

FormatName = Literal["json", "xml", "csv"]
BLOCK = "{block}"  # in a path: any of the dialect's blocks
_IN_CONFIG = {"extra": "forbid"}  # of pydantic, which reads it


@dataclass(frozen=True, eq=False)
class Dialect:
    """One shape in which an operator answers.

    ``path`` leads to the records (``("FiveMinLmps", "FiveMinLmp")``; the wrapper may be dropped by
    the operator); it is empty where the answer is a table (CSV), or a list without a wrapper.
    Where the records lie in several ``blocks``, the path has ``BLOCK`` in their place, and the
    frame a column of that name, with the block's. ``column_names``: beside records that are lists,
    the list of the names of their values. ``record`` is what a record holds; ``header`` what is
    read beside the records, on the way to them too. ``ignored``: dotted names of what else stands
    there and belongs to other datasets.
    ``parse`` turns the frame of raw records (columns named as the operator names them, nested ones
    with a dot) into the table's rows, one a record; with ``rows_of_a_record`` that many blocks of
    them, one after the other. ``days`` gives the operating days that records or header name;
    with ``several_days`` an answer has rows of each of them, and is archived under each.
    ``volatile`` fields differ at each poll even if nothing changed. ``quoted_numbers``: the feed
    may write its numbers as text. ``complete_by`` names the column whose instants a day must hold:
    where a file brings cases that look ahead, the intervals of a missing case are there all the
    same, and only its publication tells. ``present``: which records hold a row (None: all): an hour
    that has no value yet stands in some answers. ``fields``: what is known of some (by dotted name)
    beyond their type, for the OpenAPI description.
    """

    name: str
    path: tuple[str, ...]
    record: type[msgspec.Struct]
    parse: Callable[[pl.DataFrame], pl.DataFrame]
    days: Callable[[list[Any], Mapping[str, Any]], list[str]]
    every: dt.timedelta
    header: type[msgspec.Struct] | None = None
    blocks: tuple[str, ...] = ()
    column_names: str = ""
    ignored: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    rows_of_a_record: int = 1
    present: pl.Expr | None = None
    several_days: bool = False
    quoted_numbers: bool = False
    complete_by: Literal["interval_start", "published_at"] = "interval_start"
    snapshot_rules: Mapping[str, Callable[[Mapping[str, Any], "Envelope"], str | None]] = field(
        default_factory=dict
    )
    fields: Notes = field(default_factory=dict)

    @property
    def shape(self) -> tuple[object, ...]:
        """The place of its records: an answer cannot distinguish dialects of one shape."""
        return self.path, self.blocks, self.column_names


@dataclass(frozen=True, eq=False)
class Dataset:
    """A series that the project keeps: its table and how each dialect is read.

    ``shares``: the dataset whose answers this one reads too, so that they are asked for once, and
    archived in one folder, which is that dataset's. Both have the same names of dialects.
    """

    key: str
    operator: Operator
    table: Table
    dialects: tuple[Dialect, ...]
    doc: str
    folder: str = ""
    group: str = ""
    shares: "Dataset | None" = None

    @property
    def answers(self) -> str:
        """The key of the dataset in whose name the answers are archived."""
        return self.shares.answers if self.shares else self.key

    @property
    def archive_name(self) -> str:
        """The folder below ``sourcing/``."""
        return self.shares.archive_name if self.shares else self.folder or self.key

    def day(self, text: str) -> OperatingDay:
        """``text`` (YYYY-MM-DD) as an operating day in the operator's zone."""
        return OperatingDay.parse(text, self.operator.zone)

    def dialect(self, name: str) -> Dialect:
        """The dialect called ``name``. Raises ``StopIteration`` where the dataset has none."""
        return next(d for d in self.dialects if d.name == name)

    def interval(self) -> dt.timedelta:
        """The shortest interval of any dialect."""
        return min(d.every for d in self.dialects)


@dataclass(frozen=True)
class Endpoint:
    """A place to ask. ``path`` may hold ``{day}``, ``{yyyymmdd}``, ``{mm/dd/yyyy}``, ``{hour}`` and
    ``{location}``.
    """

    name: str
    """Its name, which objects in the archive carry: it must never change."""
    path: str
    """The path below the operator's base address."""
    dialect: str = "live"
    """The shape in which it answers, by its name in the code."""
    format: FormatName = "json"
    __pydantic_config__: ClassVar[Mapping[str, object]] = _IN_CONFIG

    def url_path(self, day: OperatingDay | None, part: str = "") -> str:
        """The path with the asked day and its part (an hour, or a location) filled in."""
        values = {"hour": part, "location": part}
        if day is not None:
            american = quote(day.date.strftime("%m/%d/%Y"), safe="")
            values |= {"day": day.key, "yyyymmdd": day.compact, "mm/dd/yyyy": american}
        return self.path.format(**values)


@dataclass(frozen=True)
class Probe:
    """A small answer that says how fresh a feed is."""

    path: str
    """The path to ask, below the operator's base address."""
    earliest: dt.time
    """The time of day, local to the operator, from which on asking is worth it."""
    every_minutes: int = 5
    """How often it is asked from then on."""
    __pydantic_config__: ClassVar[Mapping[str, object]] = _IN_CONFIG


@dataclass(frozen=True)
class Feed:
    """A way of asking for a dataset: the current answer, a day at once, by hour or by location."""

    name: str
    """Its name within the dataset."""
    asks: Literal["now", "day", "hour", "location"]
    """What one request asks for."""
    cadence: CadenceName
    """How often a schedule asks it; a backfill is asked by people and repairs only."""
    endpoints: tuple[Endpoint, ...]
    """Where to ask, in order: the next one where one does not answer."""
    finality: Literal["prelim", "final"] | None = None
    """Whether its values are preliminary or final, where the operator publishes both."""
    offset_minutes: int = 0
    """How long after each mark of its cadence it is asked: operators publish after the mark."""
    offset_days: int = 0
    """The day that the cadence asks for, counted from today (-2: the day before yesterday); with a
    probe it is asked for once it is out."""
    span_days: int = 1
    """How many days it is asked for each time: the one of offset_days, and those before it."""
    rolling: bool = False
    """Whether it is a forecast of the next intervals alone: what it gives of days ahead grows, and
    is due interval by interval."""
    again_days: tuple[int, ...] = ()
    """So many days after an operating day it is asked for once more: it may have been corrected."""
    grace_days: int = 3
    """For so many days after offset_days the answer of a past day may be absent without that being
    a failure."""
    keeps_days: int | None = None
    """For so many days, up to the newest that it has, a day can be asked for; all where absent."""
    probe: Probe | None = None
    """A small answer that says whether the day is out."""
    filters: tuple[str, ...] = ()
    """The query parameters by which an answer can be narrowed."""
    location_ids: tuple[str, ...] = ()
    """The locations to ask for, one a request, by the operator's numbers."""
    __pydantic_config__: ClassVar[Mapping[str, object]] = _IN_CONFIG

    def parts(self, day: OperatingDay) -> Sequence[str]:
        """What each request for ``day`` asks for: its hours, the locations, or all at once."""
        if self.asks == "hour":
            return day.local_hours()
        return self.location_ids if self.asks == "location" else ("",)

    def settles_at(self, day: OperatingDay) -> dt.datetime:
        """From when on an answer without records means that ``day`` has none: before, it is early.

        The start of a day that is published ahead, the end of another, or when finals are due.
        """
        if self.becomes_final:
            return day.plus(self.due_days).start
        return day.start if self.offset_days > 0 else day.end

    @property
    def asked(self) -> Cadence:
        """When it is asked."""
        return cadence_of(self.cadence, self.offset_minutes, ahead=self.offset_days > 0)

    @property
    def ahead_days(self) -> int:
        """``offset_days`` of a day that is published as a whole; today where it is ``rolling``."""
        return 0 if self.rolling else self.offset_days

    @property
    def grace(self) -> int:
        """How many days later than ``offset_days`` its answer may be out: final values are late."""
        return self.grace_days if self.becomes_final else 0

    @property
    def due_days(self) -> int:
        """How many days after an operating day's start its absence is a failure."""
        return self.grace_days - self.offset_days if self.offset_days < 0 else 0

    @property
    def becomes_final(self) -> bool:
        """Whether it gives final values of past days, which are out some days later."""
        return self.finality == "final" and self.offset_days < 0


@dataclass(frozen=True)
class DatasetConfig:
    """What is tuned of one dataset."""

    key: str
    """The dataset, by its key in the code."""
    topic: str
    """The Kafka topic on which its snapshots are announced."""
    first_day: dt.date
    """The first operating day that is wanted."""
    lateness_minutes: int
    """How long after its end an interval may be out."""
    feeds: tuple[Feed, ...]
    """The ways of asking for it."""
    repair_days: int = 365
    """How many days back a day with gaps is asked for again; no data ever expires."""
    fields: Mapping[str, FieldConfig] = field(default_factory=dict)
    """What is expected of the fields of its records, by dotted name or a pattern of it ("*Price");
    nothing special of those that are left out. Their types are known from the code."""
    locations: tuple[str, ...] = ()
    """The locations whose rows are kept, by name or pattern ("*.HUB"); all where there is none.
    Answers are archived whole: a replay after a change brings the rows of others."""
    live_dialects: tuple[str, ...] | None = None
    """The dialects in which the operator's live server answers (default: all but "documented"). An
    endpoint of another dialect is only documented: its 404 means that it is not offered."""
    enabled: bool = True
    """Whether it is collected at all."""
    on_broken_row: Literal["quarantine", "reject"] = "quarantine"
    """What becomes of a row that breaks a rule: it goes to quarantine, or its snapshot does."""
    price_bounds: tuple[float, float] | None = None
    """Floor and cap of the market's prices, in the unit of the table's; not checked where absent.
    The magnitude "price" of a field follows from them."""
    price_tolerance: float = 25.0
    """How far a final price may lie from the preliminary one, in the same unit."""
    volume_tolerance: float = 0.2
    """The share by which a closed day's rows may differ from what is usual."""
    clock_slack_minutes: float = 10.0
    """By how much the operator's clock may be ahead of ours, before a value counts as published
    after it was fetched, which cannot be."""
    case_gap_seconds: float = 1_100.0
    """How far apart two cases of a feed that is complete by its publications may be before one
    between them is missing."""
    expected_fields: Mapping[str, Expected] = field(default_factory=dict)
    """By dialect, ``fields`` with the types of the code's records."""
    __pydantic_config__: ClassVar[Mapping[str, object]] = _IN_CONFIG

    def of(self, dataset: Dataset) -> "DatasetConfig":
        """Complete it with the fields of the records of ``dataset``."""
        return replace(
            self,
            expected_fields={
                dialect.name: {
                    name: ExpectedField(type=kind, **vars(self._field(name)))
                    for name, kind in types_of(dialect.record).items()
                }
                for dialect in dataset.dialects
            },
        )

    def _field(self, name: str) -> FieldConfig:
        """What ``fields`` say of ``name``: its own entry, else the first pattern that it fits."""
        fitting = (one for pattern, one in self.fields.items() if fnmatchcase(name, pattern))
        return self.fields.get(name) or next(fitting, FieldConfig())

    def feed_of(self, endpoint: str) -> Feed | None:
        """The first feed that asks the endpoint of this name."""
        return next((f for f in self.feeds for e in f.endpoints if e.name == endpoint), None)

    def is_documented_only(self, feed: Feed) -> bool:
        """Whether no endpoint of ``feed`` is known to be on the operator's live server."""
        return not any(self.is_live(endpoint) for endpoint in feed.endpoints)

    def is_live(self, endpoint: Endpoint) -> bool:
        """Whether the operator's live server has ``endpoint``."""
        return self.is_live_dialect(endpoint.dialect)

    def is_live_dialect(self, dialect: str) -> bool:
        """Whether the operator's live server answers in ``dialect``."""
        if self.live_dialects is None:
            return dialect != "documented"
        return dialect in self.live_dialects

    @cached_property
    def expected(self) -> Mapping[str, Expected]:
        """``expected_fields``, with the bounds that follow from ``price_bounds`` filled in."""
        return {
            dialect: {name: with_magnitude(s, self.price_bounds) for name, s in fields.items()}
            for dialect, fields in self.expected_fields.items()
        }

    @property
    def lateness(self) -> dt.timedelta:
        """How long after its end an interval may be out."""
        return dt.timedelta(minutes=self.lateness_minutes)

    @property
    def clock_slack(self) -> dt.timedelta:
        """The slack between the operator's clock and ours."""
        return dt.timedelta(minutes=self.clock_slack_minutes)


@dataclass(frozen=True)
class OperatorConfig:
    """What is tuned of one operator; an address and limits that are left out are the code's."""

    name: str
    """The operator, by its name in the code."""
    base_url: str = ""
    """Where it is asked; a variable of the environment (NAME_BASE_URL) counts more."""
    limits: tuple[Limit, ...] = ()
    """At most so many requests in so many seconds, each of them."""
    endpoint_limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    """Limits of one endpoint, by its name, beside those of the operator."""
    lists: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Values by which answers are narrowed, each under the name of what it stands for: {pnodes} in
    the path of an endpoint is those of the list "pnodes", with semicolons between them."""
    connect_seconds: float = 10.0
    """How long a connection may take."""
    read_seconds: float = 30.0
    """How long the operator may be silent within an answer."""
    total_seconds: float = 120.0
    """How long an answer may take in all."""
    attempts: int = 5
    """How often an endpoint is asked before it counts as unavailable."""
    body_cap_mb: float = 64.0
    """How large an answer may be, decoded."""
    breaker_failures: int = 5
    """After so many failures in a row the operator is left alone for a while."""
    breaker_seconds: float = 60.0
    """For how long it is left alone."""
    __pydantic_config__: ClassVar[Mapping[str, object]] = _IN_CONFIG

    def of(self, operator: Operator) -> "OperatorConfig":
        """Complete it with the address and the limits of ``operator``."""
        return replace(
            self,
            base_url=self.base_url or operator.base_url,
            limits=self.limits or operator.limits,
            endpoint_limits={**operator.endpoint_limits, **self.endpoint_limits},
        )


@dataclass(frozen=True)
class Envelope:
    """What is known of a snapshot beside its bytes; with the bytes it is all that replay needs.

    ``day`` is the operating day it belongs to, ``asked`` the one that was asked for.
    """

    dataset: str
    endpoint: str
    dialect: str
    format: FormatName
    day: str
    fetched_at: dt.datetime
    raw_sha256: str
    content_sha256: str
    finality: str | None = None
    asked: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        """The object's name: sorts by the instant of the fetch."""
        stamp = self.fetched_at.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%S%fZ")
        return f"{stamp}-{self.endpoint}-{self.raw_sha256[:16]}"

    @property
    def order(self) -> tuple[dt.datetime, str]:
        """The sort key of a day's snapshots: by fetch time and hash, never by arrival."""
        return (self.fetched_at, self.raw_sha256)

    @property
    def request(self) -> str:
        """What was asked: snapshots of the same request are compared with each other."""
        filters = ",".join(f"{k}={v}" for k, v in sorted(self.filters.items()))
        return f"{self.endpoint}?{filters}"


@dataclass(frozen=True)
class Snapshot:
    """The bytes of one answer, and their envelope."""

    envelope: Envelope
    body: bytes


def is_safe_name(text: str) -> bool:
    """Whether ``text`` may stand in a path: letters, digits, dash, underscore."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", text) is not None
