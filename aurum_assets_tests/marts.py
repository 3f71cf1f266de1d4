"""The models of the marts, run without dbt: jinja and DuckDB, the market tables given as frames.

It renders what the models use of dbt and nothing else: ``source``, ``ref``, ``var`` and the macros
of ``macros/``. A mart costs milliseconds; that dbt runs the same text is tested elsewhere.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import polars as pl

from aurum_assets import marts
from aurum_assets.marts import calendar
from aurum_assets.marts.choices import Choices, load
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.table import UTC, Table
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.reference.fuels import FUELS
from aurum_assets.reference.interfaces import INTERFACES
from aurum_assets.resources.environment import PROJECT

if TYPE_CHECKING:
    import duckdb

FOLDER = Path(marts.__file__).parent
_FETCHED = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
BY_NAME: Mapping[str, Table] = {table.name: table for table in MARTS}
_MARKET: Mapping[str, Table] = {
    table.name: table for d in DATASETS for table in (d.table, d.table.history)
}


@cache
def macros() -> str:
    """The text of all macros."""
    return "".join(file.read_text() for file in sorted((FOLDER / "macros").glob("*.sql")))


@cache
def _template(text: str) -> jinja2.Template:
    return jinja2.Environment(autoescape=False).from_string(macros() + text)  # noqa: S701  SQL


@cache
def choices() -> Choices:
    """The project's own choices."""
    return load(PROJECT / "config", PROJECT / "config")


def day(text: str) -> dt.date:
    """``2026-07-20`` as a date."""
    return dt.date.fromisoformat(text)


@dataclass
class Desk:
    """Market tables by name (absent ones are empty), and the marts of some operating days."""

    first: dt.date
    last: dt.date
    market: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    choices: Choices = field(default_factory=choices)
    made: dict[str, pl.DataFrame] = field(default_factory=dict)

    def mart(self, name: str) -> pl.DataFrame:
        """What the model selects, in the order of its table; computed once."""
        if name not in self.made:
            found = self._run((FOLDER / "models" / f"{name}.sql").read_text())
            self.made[name] = found.sort(BY_NAME[name].order)
        return self.made[name]

    def failures(self, test: str) -> int:
        """How many rows a singular test finds in the marts."""
        return len(self._run((FOLDER / "tests" / f"{test}.sql").read_text()))

    def broken(self, name: str) -> set[str]:
        """The rules that rows of a mart break, by their SQL, as dbt's generic test has them."""
        import duckdb

        with duckdb.connect() as db:
            mart = self._named(db, "mart", self.mart(name))
            text = "select count(*) from {} where not ({})"
            counts = {
                rule.name: db.execute(text.format(mart, rule.sql)).fetchone()
                for rule in BY_NAME[name].rules
            }
            return {rule for rule, row in counts.items() if row and row[0]}

    def _run(self, text: str) -> pl.DataFrame:
        import duckdb

        with duckdb.connect() as db:
            db.execute("set timezone = 'UTC'")
            db.execute(f"set variable first_day = date '{self.first}'")
            db.execute(f"set variable last_day = date '{self.last}'")
            rendered = self._rendered(text, db)
            return pl.DataFrame(db.sql(rendered).to_arrow_table())

    def _rendered(self, text: str, db: "duckdb.DuckDBPyConnection") -> str:
        def source(schema: str, name: str) -> str:
            return self._named(db, f"{schema}_{name}", self.source(schema, name))

        def ref(name: str) -> str:
            return self._named(db, f"mart_{name}", self.mart(name))

        def var(name: str, default: object = None) -> object:
            return self.choices.variables.get(name, default)

        return _template(text).render(source=source, ref=ref, var=var)

    def source(self, schema: str, name: str) -> pl.DataFrame:
        """The frame of a source: a market table, a reviewed list, or the calendar."""
        if schema == "calendar":
            one = dt.timedelta(days=1)
            if name == "hours":
                return calendar.hours(OPERATORS, self.first - one, self.last + one, self.choices)
            return calendar.operators(OPERATORS, self.choices)
        if schema == "reference":
            listed = {"interfaces": INTERFACES, "fuels": FUELS}[name]
            file = PROJECT / "config" / f"{name}.csv"
            return pl.read_csv(file, infer_schema=False).select(listed.table.names)
        table = _MARKET[name]
        frame = self.market.get(name)
        return table.empty() if frame is None else frame

    @staticmethod
    def _named(db: "duckdb.DuckDBPyConnection", name: str, frame: pl.DataFrame) -> str:
        db.register(name, frame.to_arrow())
        return name


def rows(table: str, records: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """A market table of these records; what one leaves out is null, provenance is made up.

    Instants may be texts, like ``2026-07-20T04:00Z``. ``operating_day`` is that of
    ``interval_start`` where it is left out. Raises ``KeyError`` for a column that the table lacks.
    """
    declared = _MARKET[table]
    operator = next(d.operator for d in DATASETS if table.removesuffix("_history") == d.table.name)
    made = []
    for record in records:
        given = {n: _instant(v) if declared.schema[n] == UTC else v for n, v in record.items()}
        usual = {
            "operating_day": operator.day_of(given["interval_start"]).date,
            "source_timezone": operator.zone,
            "fetched_at": _FETCHED,
            "raw_sha256": "0" * 64,
        }
        made.append({**dict.fromkeys(declared.names), **usual, **given})
    return pl.DataFrame(made, schema=declared.schema)


def _instant(value: Any) -> dt.datetime:  # noqa: ANN401  a text or an instant
    return dt.datetime.fromisoformat(value) if isinstance(value, str) else value


def names_of_tests() -> list[str]:
    """The names of the singular tests."""
    return sorted(file.stem for file in (FOLDER / "tests").glob("*.sql"))
