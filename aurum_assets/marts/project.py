"""The dbt project as files: which models and tests there are, and what each reads. No dbt here.

Read from the SQL itself, in a millisecond, because every run loads the asset definitions: dbt's
manifest takes two seconds to make and is read by no run that builds no mart. A test holds what is
read here equal to what dbt parses.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aurum_assets.marts.tables import MARTS
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.table import BOUNDS, Table

FOLDER = Path(__file__).parent
KEY_TEST, PRESENT_TEST, POSSIBLE_TEST = (
    "key_is_said_once",
    "required_columns_are_present",
    "numbers_are_possible",
)
_QUOTED = r"\s*\(\s*['\"](\w+)['\"]\s*"
_SOURCE = re.compile(rf"\bsource{_QUOTED},\s*['\"](\w+)['\"]")
_REF = re.compile(rf"\bref{_QUOTED}\)")
_MACRO = re.compile(r"\{%-?\s*macro\s+(\w+)\(.*?endmacro\s*-?%\}", re.DOTALL)
_CALLED = re.compile(r"\b(\w+)\s*\(")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_CALENDAR = "calendar."


@dataclass(frozen=True, eq=False)
class Mart:
    """A model: its ``table``, and the tables that it ``reads``, by identifier.

    These are of its own SQL, of its macros, and of the models ``after`` which it is built.
    ``tests``: by the name of a check, what it says; ``singular`` are those that are SQL files of
    their own.
    """

    table: Table
    reads: tuple[str, ...]
    after: tuple[str, ...]
    tests: Mapping[str, str]
    singular: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of model and table."""
        return self.table.name


@cache
def marts() -> Mapping[str, Mart]:
    """The marts by name, in the order in which they can be built.

    Raises ``ConfigError`` where a table has no model, or a model names what is not there.
    """
    texts = {t.name: text_of(t.name) for t in MARTS}
    tests = _singular()
    found: dict[str, Mart] = {}
    left = list(MARTS)
    while left:
        ready = [t for t in left if set(_refs(texts[t.name])) <= found.keys()]
        if not ready:
            msg = f"the models {', '.join(t.name for t in left)} wait for each other or for none"
            raise ConfigError(msg)
        for table in ready:
            after = _refs(texts[table.name])
            inherited = [name for ref in after for name in found[ref].reads]
            own = [name for name, of in tests.items() if of[0] == table.name]
            found[table.name] = Mart(
                table,
                tuple(sorted({*_sources(texts[table.name]), *inherited})),
                after,
                {**generic_tests(table), **{n: tests[n][1] for n in own}},
                tuple(own),
            )
        left = [t for t in left if t.name not in found]
    return found


def text_of(name: str) -> str:
    """The SQL of a model, followed by that of the macros that it calls, without comments."""
    found = _text(FOLDER / "models" / f"{name}.sql")
    macros, called, left = _macros(), set[str](), {found}
    while left:
        now = {n for text in left for n in _CALLED.findall(text) if n in macros} - called
        called |= now
        left = {macros[n] for n in now}
    return "\n".join([found, *(macros[n] for n in sorted(called))])


@cache
def _macros() -> Mapping[str, str]:
    """By name, the text of each macro."""
    files = sorted((FOLDER / "macros").glob("*.sql"))
    return {m[1]: m[0] for file in files for m in _MACRO.finditer(_text(file))}


@cache
def definition(mart: Mart) -> str:
    """A hash of what the values of the mart follow from beside its sources: SQL, columns, key."""
    texts = [repr((mart.table.names, mart.table.key, mart.table.values))]
    texts += [text_of(name) for name in (*_closure(mart), mart.name)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _closure(mart: Mart) -> list[str]:
    """The models that come before the mart, directly or not."""
    return sorted({*mart.after, *(n for ref in mart.after for n in _closure(marts()[ref]))})


def with_those_before(names: Iterable[str]) -> dict[str, Mart]:
    """The marts called ``names`` and those that they are built after, in order."""
    asked = list(names)
    wanted = {*asked, *(before for name in asked for before in _closure(marts()[name]))}
    return {name: mart for name, mart in marts().items() if name in wanted}


def generic_tests(table: Table) -> dict[str, str]:
    """The tests that follow from the table, by name: what each says."""
    found = {
        KEY_TEST: f"No two rows of a day have the same {', '.join(table.key)}.",
        PRESENT_TEST: "Columns that may not be null are not.",
    }
    if bounded(table):
        found[POSSIBLE_TEST] = "Numbers are finite and within what their unit allows."
    return found | {rule.name: f"{rule.sql}." for rule in table.rules}


def bounded(table: Table) -> dict[str, tuple[float, float]]:
    """The columns whose unit has bounds, with these."""
    return {c.name: BOUNDS[c.unit] for c in table.columns if c.unit in BOUNDS}


def required(table: Table) -> list[str]:
    """The columns that a model may not leave null; those that storing adds are not among them."""
    return [c.name for c in table.columns if not c.nullable and c.name not in table.known_by]


def _singular() -> dict[str, tuple[str, str]]:
    """The tests that are files, by name: the model that they are on, and what they say."""
    found = {}
    for file in sorted((FOLDER / "tests").glob("*.sql")):
        text = file.read_text()
        said = re.match(r"\s*--\s*(.*)|\s*\{#-?(.*?)-?#\}", text, re.DOTALL)
        refs = _refs(_COMMENT.sub("", text))
        if not refs:
            msg = f"{file.name}: a test names the model that it is on first, as ref('…')"
            raise ConfigError(msg)
        words = next(filter(None, said.groups()), "") if said else ""
        found[file.stem] = (refs[0], " ".join(words.split("\n")[0].split()))
    return found


def _text(file: Path) -> str:
    try:
        return _COMMENT.sub("", file.read_text())
    except FileNotFoundError:
        msg = f"{file.parent.name}/{file.name} is missing: each table of the marts has a model"
        raise ConfigError(msg) from None


def _sources(text: str) -> list[str]:
    found = (".".join(pair) for pair in _SOURCE.findall(text))
    return [name for name in found if not name.startswith(_CALENDAR)]


def _refs(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_REF.findall(text)))
