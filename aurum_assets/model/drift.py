"""Schema drift: the fields that came, against those that config expects.

    kind        what it means                                          severity
    added       a field that config does not know                      WARN
    new_value   a word that is none of the field's ``enum``            WARN
    null        a record without a value, where there always was one   WARN
    vanished    no record holds a value of the field                   ERROR
    renamed     one field vanished, an unknown one stands in its place ERROR
    retyped     a value of another type                                ERROR
    rescaled    a typical value off by a power of ten                  ERROR

A warning stores. An error keeps the snapshot out: of ``retyped`` only the records that have it,
which no parser can read; of the others all records, for which of them are right nobody can tell.
The order of fields means nothing. What does not belong here: rules on rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import polars as pl

FieldType = Literal["string", "number", "boolean", "label"]
Severity = Literal["WARN", "ERROR"]

SCHEMA_RULE = "schema_is_the_expected_one"
HANDFUL = 5  # fewer records may all lack a field that is nullable
_SHOWN = 5
_POWERS = 12
_ERRORS = ("vanished", "renamed", "retyped", "rescaled")


@dataclass(frozen=True)
class ExpectedField:
    """What config says of a field; ``"number"`` alone stands for ``{"type": "number"}``.

    ``label``: a number of something, which comes as text or as number. ``nullable``: may be absent
    from a record; ``optional``: even from all records of an answer. ``enum``: the words that are
    known; another one is reported, so leave out what a rule of the table refuses already.
    ``magnitude``: bounds of the median of the different absolute values other than zero in a
    snapshot, which is judged where it has ``at_least`` of these.

    What ``magnitude`` cannot see: a change that stays within its bounds. They must hold the wildest
    clean day (prices at zero or at the cap, a night without sun), so a factor of ten is often
    within; a thousand up or ten thousand down is not, on an ordinary day. Congestion and losses of
    a few cents may grow a thousandfold within bounds; the sum rule sees it. The median of a dozen
    different prices in whole cents is 0.065 at least: with that as lower bound an hour near zero is
    not taken for one in other units.
    """

    type: FieldType
    nullable: bool = False
    optional: bool = False
    enum: tuple[str, ...] = ()
    magnitude: tuple[float, float] | None = None
    at_least: int = 12
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}


Expected = Mapping[str, FieldType | ExpectedField]  # the fields of a dialect, by dotted name


@dataclass(frozen=True)
class Drift:
    """A difference between the fields that came and those that config expects."""

    kind: str
    field: str
    detail: str
    nullable: bool = False

    @property
    def severity(self) -> Severity:
        """``WARN`` stores, ``ERROR`` does not.

        What may be absent from a record is no reason to refuse the others' fields with it.
        """
        if self.kind == "retyped":
            return "ERROR"
        return "ERROR" if self.kind in _ERRORS and not self.nullable else "WARN"

    @property
    def refuses(self) -> bool:
        """Whether no record of the snapshot may enter (a retyped value refuses its own alone)."""
        return self.severity == "ERROR" and self.kind != "retyped"


def field_of(said: FieldType | ExpectedField) -> ExpectedField:
    """The short form made whole."""
    return said if isinstance(said, ExpectedField) else ExpectedField(said)


def find_drift(
    came: Mapping[str, Counter[str]],
    records: int,
    values: pl.DataFrame,
    expected: Expected,
    *,
    text: bool = False,
) -> tuple[Drift, ...]:
    """What differs from ``expected`` in a snapshot of ``records`` records.

    ``came``: by dotted name how many values of which JSON type there were. ``values``: a column for
    each field that could be read, a row a record. ``text``: the format knows no types (XML), so a
    text field takes what looks like a number.
    """
    if not records:
        return ()
    said = {name: count.total() - count["null"] for name, count in came.items()}
    wanted = {name: field_of(want) for name, want in expected.items()}
    known = set(wanted)
    wanted = {n: want for n, want in wanted.items() if said.get(n) or not want.optional}
    unsaid = [name for name in wanted if not said.get(name)]
    full = [name for name in came if name not in known and said[name] == records]
    fits = {
        name: [new for new in full if _stands_for(name, wanted[name], new, came[new], text=text)]
        for name in unsaid
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
        elif name in unsaid:
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
    absent = records - (count.total() - count["null"])
    if absent > 0 and not want.nullable:
        detail = f"field {name} ({want.type}) has no value in {absent} of {records} records"
        found.append(Drift("null", name, detail))
    return found


def _types(count: Counter[str]) -> str:
    return ", ".join(sorted(count))


def _of_values(values: pl.DataFrame, wanted: Mapping[str, ExpectedField]) -> list[Drift]:
    """New words and other units, in one pass over the columns that config says something about."""
    known = {n: w for n, w in wanted.items() if n in values.columns}
    words = {n: _unknown(n, w.enum) for n, w in known.items() if w.enum}
    typical = {n: _typical(n, w.at_least) for n, w in known.items() if w.magnitude}
    if not words and not typical:
        return []
    lists = values.select(
        *(e.implode().alias(f"w{i}") for i, e in enumerate(words.values())),
        *(e.alias(f"t{i}") for i, e in enumerate(typical.values())),
    ).row(0)
    found = []
    for name, new in zip(words, lists, strict=False):
        if new:
            shown = ", ".join(map(repr, sorted(new)[:_SHOWN]))
            detail = f"field {name} has {len(new)} new values: {shown}"
            found.append(Drift("new_value", name, detail))
    for name, median in zip(typical, lists[len(words) :], strict=True):
        bounds = known[name].magnitude
        if median is not None and bounds and not bounds[0] <= median <= bounds[1]:
            detail = _rescaled(name, median, bounds)
            found.append(Drift("rescaled", name, detail, known[name].nullable))
    return found


def _unknown(name: str, enum: Sequence[str]) -> pl.Expr:
    column = pl.col(name)
    return column.filter(column.is_in(list(enum)).not_()).unique()


def _typical(name: str, at_least: int) -> pl.Expr:
    """The median of the different absolute values; null where there are too few of them."""
    size = pl.col(name).cast(pl.Float64, strict=False).abs()
    different = size.filter((size > 0) & size.is_finite()).unique()
    return pl.when(different.len() >= at_least).then(different.median())


def _rescaled(name: str, median: float, bounds: tuple[float, float]) -> str:
    low, high = bounds
    said = f"field {name} is {median:g} in the median, {low:g} to {high:g} is expected: "
    powers = sorted((p for p in range(-_POWERS, _POWERS + 1) if p), key=abs)
    back = [p for p in powers if low <= median * 10.0**p <= high]
    return said + (f"10^{back[0]} times that is" if back else "no power of ten brings it back")
