"""Table declarations (columns with units, key, rules), and fitting a frame to one.

``Table.conform`` decides which rows may enter: it splits a parsed frame into the rows that keep
every rule and the rows that break one, each with its reason. Nothing here reads a clock, a file or
a catalog.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import polars as pl
import polars_hash  # noqa: F401  registers the .chash namespace on expressions

from aurum_assets.model.clock import DAY, OperatingDay
from aurum_assets.model.errors import ContractBroken
from aurum_assets.model.stamps import (
    CLOCK_SLACK,
    lies_near,
    published_in_time,
    starts_on_a_mark,
)

UTC = pl.Datetime("us", "UTC")

_SEPARATOR = "\x1f"
_NULL = "\x00"
_POSITION = "__position"
CALENDAR = (-62_135_596_800_000_000, 253_402_300_799_999_999)  # years 1 to 9999, in microseconds


@dataclass(frozen=True)
class Column:
    """A column of the vocabulary: one name, one type, one meaning, one unit."""

    name: str
    dtype: "pl.DataType"
    doc: str
    unit: str = ""
    nullable: bool = False

    @property
    def described(self) -> str:
        """The documentation with its unit, as the Iceberg schema and the UI show it."""
        return f"{self.doc} [{self.unit}]" if self.unit else self.doc


# Bounds by unit that no market can exceed. A price is capped in the thousands and penalty factors
# add some thousands; the largest grid of the continent has about 165,000 MW, New England's below
# 30,000. Bounds this wide refuse broken values and never expensive ones: whether a price is an
# ordinary one is decided by ``price_bounds`` of the config.
BOUNDS: Mapping[str, tuple[float, float]] = {
    "USD/MWh": (-1e6, 1e6),
    "USD/MW": (-1e6, 1e6),
    "MW": (-2e5, 2e5),
    "MWh": (-2e5, 2e5),
    "% or MW": (-2e5, 2e5),
    "%": (-1e3, 1e3),
}


SUPERSEDED_AT = Column(
    "superseded_at", UTC, "When the answer was fetched that gave another value.", "UTC"
)


@dataclass(frozen=True)
class Rule:
    """A condition that every stored row fulfils; ``name`` is what a failure report shows.

    ``holds`` is a boolean expression (null counts as true); ``shows`` names the columns whose
    values explain a failure. ``sql``: the same in SQL, of a rule that was written so.
    """

    name: str
    holds: pl.Expr
    shows: tuple[str, ...]
    check: str = "enums_and_ranges"
    sql: str = ""

    @classmethod
    def of_sql(cls, name: str, sql: str, *shows: str) -> "Rule":
        """A rule from SQL that polars and DuckDB read alike, as the rules of marts are."""
        return cls(name, pl.sql_expr(sql), shows, sql=sql)


@dataclass(frozen=True)
class Split:
    """``good``: rows with the table's columns. ``broken``: ``position, rules, reason``."""

    good: pl.DataFrame
    broken: pl.DataFrame


BROKEN_SCHEMA: Mapping[str, "pl.DataType"] = {
    "position": pl.Int64(),
    "rules": pl.List(pl.String()),
    "reason": pl.String(),
}


@dataclass(frozen=True, eq=False)
class Table:
    """``columns`` in stored order; ``key`` unique within ``partition``; ``values`` of a key.

    A row whose ``values`` differ from those of the stored row with its key replaces that row; all
    other columns say where a row comes from. No column holds a hash: it would be most of a file.
    ``stays_in_day``: a row's interval must lie in the operating day of its snapshot.
    ``keeps_history``: a replaced value is kept in ``history``. ``added`` names the (nullable)
    columns that came after the table was first released: where such a column is null, a message has
    the hash that it had before. ``ragged``: why the operator's stamps are not on multiples of the
    interval; where it is empty, or the table has a ``source_stamp`` beside an aligned
    ``interval_start``, an interval starts on a multiple of its own length. ``sparse``: why a day
    may have no row at all, where it may: then a final answer withdraws the prelim rows of its day.
    ``published_before``: how long before its operating day a value may be published. ``drawn``: the
    rows that a picture of a day shows, where neither hubs nor a sum of all would be right.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    values: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    sort: tuple[str, ...] = ()
    partition: tuple[str, ...] = ("operating_day",)
    stays_in_day: bool = True
    doc: str = ""
    namespace: str = "market"
    keeps_history: bool = True
    added: tuple[str, ...] = ()
    ragged: str = ""
    sparse: str = ""
    published_before: dt.timedelta = DAY
    drawn: pl.Expr | None = None

    @cached_property
    def is_derived(self) -> bool:
        """Whether its rows are made from those of other tables, as a mart's are."""
        return "made_from" in self.schema

    @property
    def known_by(self) -> tuple[str, str]:
        """The columns that say since when a row is known, and by what."""
        return ("computed_at", "made_from") if self.is_derived else ("fetched_at", "raw_sha256")

    @cached_property
    def history(self) -> "Table":
        """The table of replaced rows."""
        return Table(
            name=f"{self.name}_history",
            columns=(*self.columns, SUPERSEDED_AT),
            key=(*self.key, *self.known_by),
            values=(*self.values, *((SUPERSEDED_AT.name,) if self.is_derived else ())),
            sort=(*self.order, *self.known_by),
            partition=self.partition,
            stays_in_day=False,
            doc=f"Rows that were superseded since. {self.doc}",
            namespace=self.namespace,
            keeps_history=False,
            added=self.added,
        )

    @property
    def identifier(self) -> str:
        """The name in the catalog: ``namespace.name``."""
        return f"{self.namespace}.{self.name}"

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that rows are sorted by: those of the key, in ``sort``'s order."""
        return self.sort or self.key

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The values that are numbers, in stored order: the first is what the table is about."""
        return tuple(
            c.name for c in self.columns if c.dtype == pl.Float64 and c.name in self.values
        )

    @cached_property
    def names(self) -> list[str]:
        """The column names, in stored order."""
        return [c.name for c in self.columns]

    @cached_property
    def schema(self) -> dict[str, "pl.DataType"]:
        """Column name to dtype."""
        return {c.name: c.dtype for c in self.columns}

    def empty(self) -> pl.DataFrame:
        """A frame of this table with no rows."""
        return self._empty

    @cached_property
    def _empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=self.schema)

    def record_hash(self) -> pl.Expr:
        """SHA-256 (first 128 bits, hex) over table name, key and values in a canonical text.

        A value of an ``added`` column follows with its name; its null adds nothing.
        """
        first = [n for n in (*self.key, *self.values) if n not in self.added]
        texts = [pl.lit(self.name), *(self._canonical(name) for name in first)]
        text = pl.concat_str(texts, separator=_SEPARATOR)
        for name in (n for n in self.values if n in self.added):
            more = pl.concat_str(pl.lit(f"{_SEPARATOR}{name}="), self._canonical(name))
            text = pl.concat_str(
                text, pl.when(pl.col(name).is_not_null()).then(more).otherwise(pl.lit(""))
            )
        digest: pl.Expr = text.chash.sha2_256()  # type: ignore[attr-defined]
        return digest.str.slice(0, 32)

    def _canonical(self, name: str) -> pl.Expr:
        dtype = self.schema[name]
        column = pl.col(name)
        if dtype == UTC:
            column = column.cast(pl.Int64)
        elif dtype == pl.Float64:
            column = column + 0.0  # -0.0 + 0.0 is 0.0
        return column.cast(pl.String).fill_null(_NULL)

    def conform(
        self,
        frame: pl.DataFrame,
        day: OperatingDay | None = None,
        slack: dt.timedelta = CLOCK_SLACK,
    ) -> Split:
        """Split ``frame`` into rows that may enter and rows that may not.

        ``frame`` has the table's columns; row numbers are positions. ``slack``: by how
        much a ``published_at`` may lie after the fetch, for clocks differ. Identical
        duplicates collapse, conflicting ones are all broken. Raises ``ContractBroken`` where a
        column is missing or has another type: that is a parser's error, not a row's.
        """
        frame = self._typed(frame)
        holds = _all_hold(self, day, slack)
        if frame.select(holds.all()).item():
            good, broken = frame, pl.DataFrame(schema=BROKEN_SCHEMA)
        else:
            numbered = frame.with_row_index(_POSITION).with_columns(__holds=holds)
            good = numbered.filter("__holds").drop("__holds")
            broken = _explain(numbered.filter(~pl.col("__holds")), self.all_rules(day, slack))
        if good.select(pl.struct(self.key).is_duplicated().any()).item():
            good, conflicts = self._without_duplicates(good)
            broken = pl.concat([broken, conflicts])
        return Split(good.select(self.names), broken)

    def _typed(self, frame: pl.DataFrame) -> pl.DataFrame:
        if dict(frame.schema) != self.schema:
            wrong = {n: (t, frame.schema.get(n)) for n, t in self.schema.items()}
            wrong = {n: v for n, v in wrong.items() if v[0] != v[1]}
            for name, (want, found) in wrong.items():
                if found is None or found != pl.Null:
                    msg = f"{self.identifier}: {name} should be {want}, the parser gave {found}"
                    raise ContractBroken(msg)
            frame = frame.with_columns(pl.col(n).cast(t[0]) for n, t in wrong.items())
        return frame

    def all_rules(
        self, day: OperatingDay | None, slack: dt.timedelta = CLOCK_SLACK
    ) -> tuple[Rule, ...]:
        """The table's own rules, and those derived from its columns and the ``day``."""
        return _all_rules(self, day, slack)

    def _rules_of_columns(self) -> list[Rule]:
        required = [c.name for c in self.columns if not c.nullable]
        rules = [
            Rule(f"{n}_is_present", pl.col(n).is_not_null(), self.key, "contract") for n in required
        ]
        for column in self.columns:
            if column.dtype == pl.Float64:
                finite = pl.col(column.name).is_finite()
                rules.append(Rule(f"{column.name}_is_a_finite_number", finite, (column.name,)))
            if column.unit in BOUNDS and self.namespace == "market":  # others derive from it
                within = pl.col(column.name).is_between(*BOUNDS[column.unit])
                within |= ~pl.col(column.name).is_finite()  # which has a rule of its own
                rules.append(Rule(f"{column.name}_is_possible", within, (column.name,)))
        return rules

    def _stamp_rules(self, day: OperatingDay | None, slack: dt.timedelta) -> list[Rule]:
        """The rules derived from the columns of instants, some of them for ``day``."""
        rules: list[Rule] = []
        start, names = ("interval_start",), set(self.names)
        if {"interval_start", "interval_end"} <= names and (
            not self.ragged or "source_stamp" in names
        ):
            shows = ("interval_start", "interval_end")
            rules.append(Rule("interval_starts_on_a_mark", starts_on_a_mark(), shows, "contract"))
        if day is not None and self.stays_in_day:
            inside = (pl.col("interval_start") >= day.start) & (pl.col("interval_start") < day.end)
            rules.append(Rule("interval_lies_in_its_operating_day", inside, start, "contract"))
        elif day is not None and "interval_start" in names:
            near = lies_near(day)
            rules.append(Rule("interval_lies_near_its_operating_day", near, start, "contract"))
        if day is not None and {"published_at", "fetched_at"} <= names:
            shows = ("published_at", "fetched_at")
            in_time = published_in_time(day, slack, self.published_before)
            rules.append(Rule("published_at_is_possible", in_time, shows, "contract"))
        return rules

    def rule_checks(self) -> dict[str, str]:
        """Rule name to the name of the check that reports it."""
        day = OperatingDay(dt.date(2000, 1, 1), "UTC")
        own = {r.name: r.check for r in self.all_rules(day)}
        return own | {DUPLICATE_RULE: "contract", UNREADABLE_RULE: "contract"}

    def _without_duplicates(self, good: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        if _POSITION not in good.columns:
            good = good.with_row_index(_POSITION)
        twins = pl.struct(self.values).n_unique().over(self.key) > 1
        conflicts = good.filter(twins)
        kept = good.filter(~twins).unique(self.key, keep="first", maintain_order=True)
        keys = pl.format(", ".join("{}" for _ in self.key), *self.key)
        broken = conflicts.select(
            position=pl.col(_POSITION).cast(pl.Int64),
            rules=pl.lit([DUPLICATE_RULE], dtype=pl.List(pl.String)),
            reason=pl.format(DUPLICATE_RULE + ": the same key with other values: {}", keys),
        )
        return kept, broken


@lru_cache(maxsize=256)  # each check of a day asks for the same
def _all_rules(table: Table, day: OperatingDay | None, slack: dt.timedelta) -> tuple[Rule, ...]:
    return (*table._rules_of_columns(), *table._stamp_rules(day, slack), *table.rules)  # noqa: SLF001


@lru_cache(maxsize=256)  # all answers of a day are conformed to the same
def _all_hold(table: Table, day: OperatingDay | None, slack: dt.timedelta) -> pl.Expr:
    """Whether a row breaks no rule."""
    return pl.all_horizontal(r.holds.fill_null(value=True) for r in table.all_rules(day, slack))


DUPLICATE_RULE = "key_is_said_once"
UNREADABLE_RULE = "record_can_be_read"


def _explain(rows: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """``position, rules, reason`` of rows that break at least one of ``rules``."""
    fails = rows.select((~r.holds.fill_null(value=True)).alias(r.name) for r in rules)
    found = [(r, pl.when(fails[r.name])) for r in rules if fails[r.name].any()]
    broken = [where.then(pl.lit(r.name)) for r, where in found]
    reasons = [
        where.then(
            pl.concat_str(
                pl.lit(f"{r.name}: "),
                pl.concat_str(
                    [pl.concat_str(pl.lit(f"{n}="), _as_text(n, rows.schema[n])) for n in r.shows],
                    separator=", ",
                ),
            )
        )
        for r, where in found
    ]
    return rows.select(
        position=pl.col(_POSITION).cast(pl.Int64),
        rules=pl.concat_list(broken).list.drop_nulls(),
        reason=pl.concat_list(reasons).list.drop_nulls().list.join("; "),
    )


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    """The value as text. Polars panics on instants beyond the calendar: these are shown in
    microseconds.
    """
    column = pl.col(name)
    if dtype != UTC:
        return column.cast(pl.String).fill_null("absent")
    count = column.cast(pl.Int64)
    held = pl.when(count.is_between(*CALENDAR)).then(column).cast(pl.String)
    return pl.coalesce(held, count.cast(pl.String), pl.lit("absent"))


def fold(table: Table, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The current value of each key from all snapshots, and its earlier values.

    ``frame`` has the table's columns, several rows a key, in any order. The value of a key is that
    of the last snapshot by (``fetched_at``, ``raw_sha256``); its provenance is that of the first
    snapshot in the value's unbroken run. Earlier runs are the history, each superseded when the
    next one was fetched. Returns (rows, history), each in its table's order.
    """
    ordered = frame.sort(table.order)
    if len(frame) < 2 or not ordered.select(_again(table.key).slice(1).any()).item():  # noqa: PLR2004  a pair
        return ordered, table.history.empty()
    by_fetch = frame.sort(*table.key, "fetched_at", "raw_sha256", maintain_order=True)
    runs = by_fetch.filter(~_again((*table.key, *table.values))).with_columns(
        pl.when(_again(table.key).shift(-1, fill_value=False))
        .then(pl.col("fetched_at").shift(-1))
        .alias(SUPERSEDED_AT.name)
    )
    is_current = pl.col(SUPERSEDED_AT.name).is_null()
    current = runs.filter(is_current).select(table.names).sort(table.order)
    before = runs.filter(~is_current).select(table.history.names)
    return current, before.sort(table.history.order)


def _again(names: Sequence[str]) -> pl.Expr:
    """Whether a row has in all of ``names`` what the row before it has; false for the first."""
    same = pl.all_horizontal(pl.col(n).eq_missing(pl.col(n).shift(1)) for n in names)
    return same & (pl.int_range(pl.len()) > 0)


def compared(table: Table, frame: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """How each row of ``frame`` stands to the rows ``stored``: ``is_new``, ``is_changed``.

    ``stored`` has the key and the values; its other columns come along, named ``stored_…`` and
    null for a new row. Where it has a key twice, as a damaged table may, any of the rows counts.
    """
    held = stored.rename({n: f"stored_{n}" for n in stored.columns if n not in table.key})
    asked = frame.select(*table.key, *table.values)
    join = partial(asked.join, on=table.key, how="left", maintain_order="left")
    beside = join(held.with_columns(stored=True))
    if len(beside) > len(frame):
        beside = join(held.unique(table.key).with_columns(stored=True))
    differs = (pl.col(n).ne_missing(pl.col(f"stored_{n}")) for n in table.values)
    known = pl.col("stored").is_not_null()
    return beside.with_columns(is_new=~known, is_changed=known & pl.any_horizontal(differs))


def as_of(table: Table, rows: pl.LazyFrame, instant: dt.datetime) -> pl.LazyFrame:
    """The table as it was known at ``instant``, from its rows and those of its history together.

    The last row of each key that was known by then counts: two rows may have the same value. Of a
    derived table a row counts until it was superseded, for it may have been withdrawn: there rows
    of the history have ``superseded_at``, those of the table itself null.
    """
    if table.is_derived and SUPERSEDED_AT.name in rows.collect_schema():
        rows = rows.filter((pl.col(SUPERSEDED_AT.name) > instant).fill_null(value=True))
    known = rows.select(table.names).filter(pl.col(table.known_by[0]) <= instant)
    last = known.sort(table.known_by).unique(
        [*table.partition, *table.key], keep="last", maintain_order=True
    )
    return last.sort(table.order)
