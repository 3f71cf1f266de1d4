"""Schema drift: compare the fields of an answer with those that config expects.

    kind            what it means                                          severity
    added           a field, or a neighbour of the records, that is new    WARN
    new_value       a value that is none of the field's ``enum``           WARN
    null            a record without a value, where there always was one   WARN
    number_as_text  a clean number that came as text, and was accepted     WARN
    rescaled        a typical value outside of its bounds                  WARN, or ERROR: see below
    vanished        no record holds a value of the field                   ERROR
    renamed         one field vanished, an unknown one is in its place     ERROR
    retyped         a value of another type                                ERROR
    partial         the answer says that it is not complete                ERROR

With a warning the snapshot is stored. An error keeps records out: for ``retyped`` only those that
have it, which no parser can read; for ``partial`` none, since the records that came are good; for
the others all, since it is unknown which of them are right. The order of fields means nothing. Not
here: rules on rows.

**Scarcity is not an error.** Offers of energy are capped at 2,000 $/MWh, and penalties come on top:
reserve prices reach 2,800, congestion 1,000 at a node, energy 2,816 was seen. No bound separates
such a day from one whose prices came in other units, and a day is never dropped for being
expensive. So ``rescaled`` by itself is a warning, and the snapshot is stored. It is kept out only
where a second sign agrees (``Drift.agrees``):

- the sum rule breaks in most of its rows (``confirmed``): prices that are high together still add
  up, a total in other units than its parts does not; or
- most of its fields that can be judged are outside of their bounds, and one power of ten brings all
  of them back (``magnitudes.common_power``): losses and megawatts do not rise with a price.

Both are decided from the snapshot and the config alone. Earlier days must not decide it: what is
kept out would then depend on what the table held when the snapshot came, and a replay, which reads
days in any order, would keep out others.

Earlier days are only compared by the check, which keeps nothing out: a column all of whose values
are off by the same power of ten against its own recent days (``checks.rescaled_units``) is an
ERROR, unless it is a price within what the market's bounds allow. Earlier days are read where the
day is closed, once a day, or where ``rescaled`` was found: never in an ordinary five-minute run.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import msgspec
import polars as pl

from aurum_assets.model.magnitudes import (
    Bounds,
    common_power,
    powers_back,
    price_magnitude,
    typical,
)

FieldType = Literal["string", "number", "boolean", "label"]
Severity = Literal["WARN", "ERROR"]

SCHEMA_RULE = "schema_is_the_expected_one"
HANDFUL = 5  # fewer records may all lack a field that is nullable
NUMERIC_TEXT = "numeric text"  # the type of a number in quotes
PARTIAL = "partial"
_SHOWN = 5
_ERRORS = ("vanished", "renamed", "retyped", PARTIAL)
_REFUSE_LESS = ("retyped", PARTIAL)  # than all records of a snapshot


@dataclass(frozen=True, kw_only=True)
class FieldConfig:
    """What is expected of a field's values beyond their type.

    ``magnitude`` does not detect a change within its bounds. They must hold the most extreme clean
    day (prices at zero or at the cap, a night without sun), so a factor of ten is often within, and
    for a price even a factor of a thousand. The sum rule covers the parts of a price, the recent
    days all else.
    """

    nullable: bool = False
    """Whether a record may lack it."""
    optional: bool = False
    """Whether even all records of an answer may lack it."""
    enum: tuple[str, ...] = ()
    """The values that are known; another one is reported, so leave out what a rule of the table
    refuses already."""
    magnitude: Bounds | Literal["price"] | None = None
    """Bounds of the median of the different absolute values other than zero in a snapshot. "price"
    takes them from the dataset's price_bounds."""
    at_least: int = 12
    """How many such values a snapshot must hold for the magnitude to be judged."""
    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid"}


@dataclass(frozen=True)
class ExpectedField(FieldConfig):
    """A field of a dialect's records: what config says of it, and the type of its values.

    ``label``: a number of something, which comes as text or as number. ``"number"`` alone stands
    for ``ExpectedField("number")``.
    """

    type: FieldType


def types_of(record: type[msgspec.Struct], prefix: str = "") -> dict[str, FieldType]:
    """The type of each field of ``record``, by dotted name."""
    found: dict[str, FieldType] = {}
    for one in msgspec.structs.fields(record):
        name = prefix + one.encode_name
        kinds = set(get_args(one.type) or (one.type,)) - {type(None)}
        inner = next(
            (k for k in kinds if isinstance(k, type) and issubclass(k, msgspec.Struct)), None
        )
        if inner is not None:
            found |= types_of(inner, f"{name}.")
        else:
            found[name] = _TYPES.get(frozenset(kinds), "label")
    return found


_TYPES: Mapping[frozenset[object], FieldType] = {
    frozenset({str}): "string",
    frozenset({float}): "number",
    frozenset({int}): "number",
    frozenset({int, float}): "number",
    frozenset({bool}): "boolean",
}


Expected = Mapping[str, FieldType | ExpectedField]  # the fields of a dialect, by dotted name


@dataclass(frozen=True)
class Drift:
    """A difference between the fields that came and those that config expects."""

    kind: str
    field: str
    detail: str
    nullable: bool = False
    agrees: str = ""  # the second sign that a field is rescaled

    @property
    def severity(self) -> Severity:
        """``WARN``: stored. ``ERROR``: not stored (but see ``refuses``).

        A field that may be absent from a record is no reason to refuse its other fields.
        """
        if self.kind in _REFUSE_LESS or self.agrees:
            return "ERROR"
        return "ERROR" if self.kind in _ERRORS and not self.nullable else "WARN"

    @property
    def refuses(self) -> bool:
        """Whether no record of the snapshot may enter (a retyped value refuses only its own)."""
        return self.severity == "ERROR" and self.kind not in _REFUSE_LESS


def confirmed(drift: Sequence[Drift], *, broken: int, rows: int) -> tuple[Drift, ...]:
    """``drift``, confirmed as an error where most of ``rows`` break the sum rule of a price."""
    if 2 * broken <= rows:
        return tuple(drift)
    agrees = f"{broken} of {rows} rows break the sum rule"
    return tuple(_agreed(d, agrees) if d.kind == "rescaled" else d for d in drift)


def _agreed(drift: Drift, agrees: str) -> Drift:
    return replace(drift, agrees=agrees, detail=f"{drift.detail}; {agrees}")


def field_of(declared: FieldType | ExpectedField) -> ExpectedField:
    """The full form of a declaration."""
    return declared if isinstance(declared, ExpectedField) else ExpectedField(declared)


def with_magnitude(
    declared: FieldType | ExpectedField, price_bounds: Bounds | None
) -> ExpectedField:
    """A field with the bounds that a price has in a market of these ``price_bounds``."""
    expected = field_of(declared)
    if expected.magnitude != "price":
        return expected
    return replace(expected, magnitude=price_magnitude(price_bounds) if price_bounds else None)


def find_drift(
    came: Mapping[str, Counter[str]],
    records: int,
    values: pl.DataFrame,
    expected: Expected,
    *,
    text: bool = False,
) -> tuple[Drift, ...]:
    """The differences from ``expected`` in a snapshot of ``records`` records.

    ``came``: by dotted name, how many values of which JSON type there were. ``values``: a column
    for each field that could be read, a row for each record. ``text``: the format has no types
    (XML), so a text field accepts what looks like a number.
    """
    if not records:
        return ()
    present = {name: count.total() - count["null"] for name, count in came.items()}
    wanted = {name: field_of(want) for name, want in expected.items()}
    known = set(wanted)
    wanted = {n: want for n, want in wanted.items() if present.get(n) or not want.optional}
    absent = [name for name in wanted if not present.get(name)]
    full = [name for name in came if name not in known and present[name] == records]
    fits = {
        name: [new for new in full if _stands_for(name, wanted[name], new, came[new], text=text)]
        for name in absent
    }
    claims = Counter(new for many in fits.values() for new in many)
    renamed = {o: many[0] for o, many in fits.items() if len(many) == 1 and claims[many[0]] == 1}
    found = [
        Drift("added", name, f"field {name} ({_types(count)}) is new")
        for name, count in came.items()
        if name not in known and name not in renamed.values() and count.total()
    ]
    for name, want in wanted.items():
        if name in renamed:
            detail = f"field {name} ({want.type}) is gone, and {renamed[name]} came in its place"
            found.append(Drift("renamed", name, detail, want.nullable))
        elif name in absent:
            if records >= HANDFUL or not want.nullable:
                detail = f"field {name} ({want.type}) is gone: none of {records} records holds it"
                found.append(Drift("vanished", name, detail, want.nullable))
        else:
            found += _of_present(name, want, came[name], records, text=text)
    return (*found, *_of_values(values, wanted))


def _takes(want: FieldType, *, text: bool) -> set[str]:
    """The JSON types that a field of type ``want`` may come as."""
    if want == "label" or (want == "string" and text):
        return {"string", "number"}
    if want == "number":
        return {"number", NUMERIC_TEXT}
    return {want, "string"} if text and want == "boolean" else {want}


def _stands_for(
    name: str, want: ExpectedField, new: str, count: Counter[str], *, text: bool
) -> bool:
    """Whether ``new`` could be ``name`` under another name: same place, same type."""
    same_place = name.rpartition(".")[0] == new.rpartition(".")[0]
    return same_place and set(count) <= _takes(want.type, text=text)


def _of_present(
    name: str, want: ExpectedField, count: Counter[str], records: int, *, text: bool
) -> list[Drift]:
    found = []
    wrong = Counter({t: n for t, n in count.items() if t not in _takes(want.type, text=text)})
    del wrong["null"]
    if wrong:
        detail = f"field {name} was {want.type} and now comes as {_types(wrong)}"
        found.append(Drift("retyped", name, f"{detail} in {wrong.total()} of {records} records"))
    if count[NUMERIC_TEXT]:
        detail = f"field {name} comes as text in {count[NUMERIC_TEXT]} of {records} records"
        found.append(Drift("number_as_text", name, f"{detail}; clean numbers were taken"))
    absent = records - (count.total() - count["null"])
    if absent > 0 and not want.nullable:
        detail = f"field {name} ({want.type}) has no value in {absent} of {records} records"
        found.append(Drift("null", name, detail))
    return found


def _types(count: Counter[str]) -> str:
    return ", ".join(sorted(count))


def _of_values(values: pl.DataFrame, wanted: Mapping[str, ExpectedField]) -> list[Drift]:
    """New enum values and other units, in one pass over the columns that config declares."""
    known = {n: w for n, w in wanted.items() if n in values.columns}
    enums = {n: _unknown(n, w.enum) for n, w in known.items() if w.enum}
    bounds = {n: w.magnitude for n, w in known.items() if isinstance(w.magnitude, tuple)}
    sizes = {n: typical(n, known[n].at_least) for n in bounds}
    if not enums and not sizes:
        return []
    lists = values.select(
        *(e.implode().alias(f"w{i}") for i, e in enumerate(enums.values())),
        *(e.alias(f"t{i}") for i, e in enumerate(sizes.values())),
    ).row(0)
    found = []
    for name, new in zip(enums, lists, strict=False):
        if new:
            shown = ", ".join(map(repr, sorted(new)[:_SHOWN]))
            detail = f"field {name} has {len(new)} new values: {shown}"
            found.append(Drift("new_value", name, detail))
    medians = zip(sizes, lists[len(enums) :], strict=True)
    return found + _rescaled({n: (m, bounds[n]) for n, m in medians if m is not None}, wanted)


def _unknown(name: str, enum: Sequence[str]) -> pl.Expr:
    column = pl.col(name)
    return column.filter(column.is_in(list(enum)).not_()).unique()


def _rescaled(
    judged: Mapping[str, tuple[float, Bounds]], wanted: Mapping[str, ExpectedField]
) -> list[Drift]:
    """The fields whose typical value is outside of its bounds, and whether the others agree."""
    found = []
    for name, (median, (low, high)) in judged.items():
        back = powers_back(median, (low, high))
        if 0 not in back:
            text = f"field {name} is {median:g} in the median, {low:g} to {high:g} is expected: "
            text += f"10^{back[0]} times that is" if back else "no power of ten brings it back"
            found.append(Drift("rescaled", name, text, wanted[name].nullable))
    power = common_power(judged)
    if power is None:
        return found
    agrees = f"{len(found)} of {len(judged)} fields are off, and 10^{power} brings all of them back"
    return [_agreed(drift, agrees) for drift in found]
