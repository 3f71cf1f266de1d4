"""The data dictionary: what a person must know of a table before they use its numbers.

One ``Entry`` a table, from the same declarations that parsers and checks use, for ``aurum tables``,
the reference pages and the descriptions beside exports. Every table of ``known_tables`` has one, as
soon as it is there: what nothing says of a table itself follows from what it is made from. No file
and no lake is read here.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from aurum_assets.ingest.query import known_tables, names_of
from aurum_assets.ingest.reference import LISTS, REFERENCES
from aurum_assets.marts.project import marts
from aurum_assets.marts.tables import DEFINITIONS, MARTS
from aurum_assets.model.checks import CHECKS, checks_of
from aurum_assets.model.dataset import Dataset, DatasetConfig, Feed
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import SUPERSEDED_AT, Column, Table
from aurum_assets.model.vintage import has_vintages, identity
from aurum_assets.operators import DATASETS
from aurum_assets.reference.checks import CHECKS as REFERENCE_CHECKS
from aurum_assets.reference.checks import checks_of as reference_checks_of

PARTS = ("Source", "Grain", "Units", "Cadence", "Latency", "First day", "Caveats")
"""The parts that a docstring of a dataset or table may begin a paragraph with."""
TYPES: Mapping[str, str] = {
    "Boolean": "boolean",
    "Date": "date",
    "Datetime": "timestamp",
    "Float64": "double",
    "Int64": "long",
    "String": "string",
}
"""Polars' name of a type to Iceberg's; a timestamp is in UTC, with microseconds."""
_PART = re.compile(rf"^({'|'.join(PARTS)}): ", re.MULTILINE)
_ROWS = 10
_OF_OTHERS = (
    ("Source", "Made from other tables of this home."),
    ("Cadence", "With each run of its asset."),
    ("Latency", "That of the tables that it is made from."),
    ("First day", "That of the tables that it is made from."),
    ("Caveats", "Those of the tables that it is made from."),
)
_QUARANTINE_DOC = f"""{QUARANTINE.doc}

Source: the answers of every dataset, as archived.
Grain: dataset x operating day x record as received.
Cadence: with every run that reads an answer.
Latency: none: a record is here as soon as its answer was read.
First day: that of the first record kept out.
Caveats: the first reason for a record stays. `aurum requeue` and a replay take out what the rules
of today accept.
"""
WHOLE_DOCS: Mapping[str, str] = {QUARANTINE.identifier: _QUARANTINE_DOC}
"""By table, paragraphs and ``PARTS``, where ``Table.doc`` is only their first sentence."""
_SIGHTINGS_DOC = """
Source: the tables of `market` that name such things.
Grain: operating day x dataset x thing x name.
Caveats: a day is what the tables held when it was observed; observing it again adds to it.
"""
_OBSERVED = (
    ("Cadence", "Once a day, for yesterday and today."),
    ("Latency", "A day is whole on the morning after it."),
    ("First day", "The first day that was observed."),
)


@dataclass(frozen=True)
class ColumnEntry:
    """A column: ``type`` as Iceberg calls it, ``unit`` empty for names and dates."""

    name: str
    type: str
    unit: str
    key: bool
    nullable: bool
    meaning: str


@dataclass(frozen=True)
class CheckEntry:
    """A check of the table's asset, and what holds where it passes."""

    name: str
    meaning: str


@dataclass(frozen=True)
class RuleEntry:
    """A condition of each row, the check that reports it, and the columns that it looks at."""

    name: str
    check: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """What is to be known of one table; ``key`` is unique within ``partition``.

    ``title`` is one sentence, ``about`` are paragraphs; all texts are Markdown. ``example`` is one
    SELECT for ``aurum sql``.
    """

    table: str
    names: tuple[str, ...]
    title: str
    about: tuple[str, ...]
    grain: str
    key: tuple[str, ...]
    partition: tuple[str, ...]
    sorted_by: tuple[str, ...]
    units: str
    source: str
    cadence: str
    latency: str
    first_day: str
    caveats: str
    columns: tuple[ColumnEntry, ...]
    checks: tuple[CheckEntry, ...]
    rules: tuple[RuleEntry, ...]
    example: str

    def as_dict(self) -> dict[str, Any]:
        """As ``aurum tables NAME --json`` prints it."""
        return asdict(self)


def entries(configs: Mapping[str, DatasetConfig]) -> list[Entry]:
    """The whole dictionary, in the order of ``known_tables``; ``configs`` by dataset."""
    return [entry_of(table, configs) for table in known_tables()]


def entry_of(table: Table, configs: Mapping[str, DatasetConfig]) -> Entry:
    """What is to be known of ``table``, of a history too."""
    about, parts, checks = _said_of(table, configs)
    said = {name: _sentence(text) for name, text in parts.items()}
    units = dict.fromkeys(c.unit for c in table.columns if c.unit not in ("", "1", "UTC"))
    return Entry(
        table=table.identifier,
        names=tuple(names_of(table)),
        title=parts_of(table.doc)[0][0],
        about=about,
        grain=said.get("Grain") or _sentence(_grain(table)),
        key=table.key,
        partition=table.partition,
        sorted_by=table.order,
        units=said.get("Units") or _sentence(", ".join(units) or "none"),
        source=said["Source"],
        cadence=said["Cadence"],
        latency=said["Latency"],
        first_day=said["First day"],
        caveats=_caveats(table, said["Caveats"]),
        columns=tuple(_column(table, column) for column in table.columns),
        checks=tuple(CheckEntry(name, meaning) for name, meaning in checks.items()),
        rules=tuple(
            RuleEntry(r.name, r.check, r.shows) for r in table.rules if table not in MARTS
        ),  # a mart's rules are tests of dbt: its checks
        example=example_of(table),
    )


def parts_of(doc: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """A docstring as its paragraphs, and as its ``PARTS`` by name; each in one line."""
    first, *rest = _PART.split(doc.strip())
    paragraphs = tuple(_line(one) for one in re.split(r"\n\s*\n", first) if one.strip())
    return paragraphs, dict(zip(rest[::2], map(_line, rest[1::2]), strict=True))


def _line(text: str) -> str:
    """In one line, code between single backticks, nothing emphasized."""
    plain = re.sub(r"\*(\w[^*\n]*\w)\*", r"\1", text.replace("``", "`"))
    return " ".join(plain.split())


Said = tuple[tuple[str, ...], dict[str, str], dict[str, str]]  # paragraphs, parts, checks


def _said_of(table: Table, configs: Mapping[str, DatasetConfig]) -> Said:
    """What is said of ``table`` where it is declared, and what follows for it."""
    for find in (_of_dataset, _of_mart, _of_history, _of_reference):
        found = find(table, configs)
        if found is not None:
            return found
    about, said = parts_of(WHOLE_DOCS.get(table.identifier, table.doc))
    rules = {rule.check: CHECKS[rule.check][0] for rule in table.rules if rule.check in CHECKS}
    return about, {**dict(_OF_OTHERS), **said}, rules


def _of_dataset(table: Table, configs: Mapping[str, DatasetConfig]) -> Said | None:
    dataset = next((d for d in DATASETS if d.table is table), None)
    if dataset is None:
        return None
    config = configs[dataset.key]
    about, said = parts_of(dataset.doc)
    checks = {name: CHECKS[name][0] for name in checks_of(table, config)}
    follows = {
        "Cadence": _sentence(_cadence(dataset, config)),
        "Latency": _sentence(_latency(dataset, config)),
        "First day": f"{config.first_day}, as configured: earlier days are not asked for.",
    }
    return about, {**follows, **said}, checks


def _of_mart(table: Table, configs: Mapping[str, DatasetConfig]) -> Said | None:
    """Its definition in words; its checks are what dbt tests."""
    del configs
    if table not in MARTS:
        return None
    about, said = parts_of(DEFINITIONS[table.name])
    return about, {**dict(_OF_OTHERS), **said}, dict(marts()[table.name].tests)


def _of_history(table: Table, configs: Mapping[str, DatasetConfig]) -> Said | None:
    of = next((t for t in known_tables() if t.keeps_history and t.history is table), None)
    if of is None:
        return None
    about, said, _ = _said_of(of, configs)
    replaced = f"The rows of `{of.identifier}` that later answers replaced: {about[0]}"
    grain = said.get("Grain") or _grain(of)
    return (
        (replaced,),
        {
            **said,
            "Source": f"`{of.identifier}`; there: {said['Source']}",
            "Grain": f"{grain.rstrip('.')} x value that was replaced.",
            "Cadence": "Whenever a value changes.",
            "Latency": "None: the run that replaces a value keeps the one before.",
            "First day": f"That of `{of.identifier}`; a day without a correction has no row.",
            "Caveats": "A value that came again counts anew. `superseded_at` "
            f"informs: `aurum as-of` goes by `fetched_at`. {_sentence(said['Caveats'])}",
        },
        {},
    )


def _of_reference(table: Table, configs: Mapping[str, DatasetConfig]) -> Said | None:
    del configs
    for one in REFERENCES:
        if table is one.sightings:
            return (table.doc,), {**dict(_OBSERVED), **parts_of(_SIGHTINGS_DOC)[1]}, {}
        if table is one.table:
            about, said = parts_of(one.doc)
            judged = {name: REFERENCE_CHECKS[name][0] for name in reference_checks_of(one)}
            return about, {**dict(_OBSERVED), **said}, judged
    for listed in LISTS:
        if table is listed.table:
            about, said = parts_of(listed.doc)
            follows = {
                "Cadence": "Once a day, from its file.",
                "Latency": "None: the table is what its file holds.",
                "First day": "No row has a day.",
            }
            return about, {**follows, **said}, dict(listed.descriptions)
    return None


# --- what follows for a table --------------------------------------------------------------------


def _column(table: Table, column: Column) -> ColumnEntry:
    return ColumnEntry(
        name=column.name,
        type=TYPES.get(type(column.dtype).__name__, str(column.dtype).lower()),
        unit=column.unit,
        key=column.name in {*table.key, *table.partition},
        nullable=column.nullable,
        meaning=column.doc,
    )


def _caveats(table: Table, said: str) -> str:
    more = (
        ("Stamps are not on multiples of the interval", table.ragged),
        ("A day may have no row", table.sparse),
    )
    return " ".join([said, *(f"{what}: {_sentence(why)}" for what, why in more if why)])


def _grain(table: Table) -> str:
    return " x ".join(f"`{name}`" for name in dict.fromkeys((*table.partition, *table.key)))


def _sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _scheduled(config: DatasetConfig) -> list[Feed]:
    """The feeds that a schedule asks and the operator's live server has."""
    return [f for f in config.feeds if f.asked.scheduled and not config.is_documented_only(f)]


def _cadence(dataset: Dataset, config: DatasetConfig) -> str:
    asked: dict[str, dict[str, None]] = {}
    for feed in _scheduled(config):
        at = (
            ""
            if feed.asked.within_the_day
            else f" at {feed.asked.at:%H:%M} {dataset.operator.zone}"
        )
        often = f"{feed.asked.how_often}{at}"
        asked.setdefault(often, {}).setdefault(feed.finality or "", None)
    if not asked:
        return "no schedule asks for it: its endpoints are documented only"
    texts = [
        often + (f" ({' and '.join(filter(None, of))})" if any(of) else "")
        for often, of in asked.items()
    ]
    return f"asked {', '.join(texts)}"


def _latency(dataset: Dataset, config: DatasetConfig) -> str:
    texts = [_latency_of(dataset, config, feed) for feed in _scheduled(config)]
    return "; ".join(dict.fromkeys(texts)) or "not known: it is brought by hand"


def _latency_of(dataset: Dataset, config: DatasetConfig, feed: Feed) -> str:
    """How long it takes until what ``feed`` gives is here, as config expects it."""
    of = f"{feed.finality} values" if feed.finality else "values"
    if feed.becomes_final:
        least = -feed.offset_days
        return f"{of} {least} to {feed.due_days} days after their operating day"
    if feed.asked.ahead:
        return f"{of} on the day before their operating day"
    if not feed.asked.within_the_day:
        late = -feed.offset_days
        when = {0: "on", 1: "on the day after"}.get(late, f"{late} days after")
        return f"{of} {when} their operating day"
    wait = _span(feed.asked.longest_wait + config.lateness)
    if has_vintages(dataset.table):
        return f"a forecast within {wait} of its publication"
    return f"{of} within {wait} of the end of their interval"


def _span(span: dt.timedelta) -> str:
    hours, minutes = divmod(round(span.total_seconds() / 60), 60)
    return " ".join([*([f"{hours} h"] * bool(hours)), *([f"{minutes} min"] * bool(minutes))])


# --- examples ------------------------------------------------------------------------------------


def example_of(table: Table) -> str:
    """One SELECT that shows what the table is for, on the newest day that a home holds."""
    for suits, make in _EXAMPLES:
        if suits(table):
            return make(table)
    return _first_rows(table)


def _newest_day(table: Table) -> str:
    return f"where operating_day = (select max(operating_day) from {table.identifier})"  # noqa: S608  ours


def _of_history_example(table: Table) -> str:
    known = [name for name in ("fetched_at", "computed_at") if name in table.names]
    shown = ", ".join(dict.fromkeys((*_without_hash(table), *table.measures[:1], *known)))
    return (
        f"select {shown}, superseded_at from {table.identifier} "  # noqa: S608  names of ours
        f"order by superseded_at desc limit {_ROWS}"
    )


def _without_hash(table: Table) -> list[str]:
    return [name for name in table.key if name not in ("raw_sha256", "made_from")]


def _vintages_example(table: Table) -> str:
    shown = dict.fromkeys([*identity(table), "published_at", *table.measures[:1]])
    return (
        f"select {', '.join(shown)} from {table.identifier}_vintage('10 minutes') "  # noqa: S608  ours
        f"{_newest_day(table)} order by interval_start limit {_ROWS}"
    )


def _by_place_example(table: Table) -> str:
    """Mean and greatest value by what is in the key beside the interval."""
    value = table.measures[0]
    by = ", ".join(_places(table))
    return (
        f"select {by}, count({value}) as intervals, "  # noqa: S608  names of ours
        f"round(avg({value}), 2) as mean_{value}, max({value}) as highest_{value} "
        f"from {table.identifier} {_newest_day(table)} group by {by} order by {by} limit {_ROWS}"
    )


def _places(table: Table) -> list[str]:
    return [name for name in table.key if name not in ("interval_start", "interval_end")]


def _series_example(table: Table) -> str:
    shown = dict.fromkeys([*table.key, *table.measures])
    return (
        f"select {', '.join(shown)} from {table.identifier} "  # noqa: S608  names of ours
        f"{_newest_day(table)} order by {', '.join(table.order)} limit {_ROWS}"
    )


def _first_rows(table: Table) -> str:
    names = [c.name for c in table.columns if c.name not in ("raw_sha256", "source_timezone")]
    return f"select {', '.join(names[:6])} from {table.identifier} limit {_ROWS}"  # noqa: S608  ours


def _of_quarantine(table: Table) -> str:
    return (
        f"select dataset, rules, count(*) as records, max(operating_day) as newest "  # noqa: S608
        f"from {table.identifier} group by dataset, rules order by records desc limit {_ROWS}"
    )


def _has(table: Table, *, place: bool) -> bool:
    """Whether the table is a series of numbers by day, with more in its key than the interval."""
    series = {"operating_day", "interval_start"} <= {*table.partition, *table.key}
    return series and bool(table.measures) and bool(_places(table)) == place


_EXAMPLES: tuple[tuple[Callable[[Table], bool], Callable[[Table], str]], ...] = (
    (lambda table: SUPERSEDED_AT.name in table.names, _of_history_example),
    (lambda table: table is QUARANTINE, _of_quarantine),
    (has_vintages, _vintages_example),
    (partial(_has, place=True), _by_place_example),
    (partial(_has, place=False), _series_example),
)
