"""The fields of a declared record or header: dotted names, types, and how to get a value."""

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec
import polars as pl

DTYPES: Mapping[type, "pl.DataType"] = {
    str: pl.String(),
    float: pl.Float64(),
    bool: pl.Boolean(),
}


class Record(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What every declared record derives from: strict, and out of the garbage collector's sight."""


class Field(NamedTuple):
    """A leaf of a declared record. ``label``: a number of something, that comes as int or text."""

    get: Callable[[Any], Any]
    dtype: "pl.DataType"
    label: bool
    optional: bool

    @property
    def is_number(self) -> bool:
        """Whether it is a quantity, and not the number of something."""
        return self.dtype == pl.Float64

    def series(self, name: str, values: list[Any]) -> pl.Series:
        """``values`` as a column."""
        if self.label:
            values = [None if v is None else str(v) for v in values]
        return pl.Series(name, values, dtype=self.dtype, strict=True)


@cache
def fields_of(record: type[msgspec.Struct]) -> dict[str, Field]:
    """Dotted names as the operator writes them -> how to get the value, and its dtype."""
    found: dict[str, Field] = {}

    def visit(struct: type[msgspec.Struct], dotted: str, attribute: str) -> None:
        hints = get_type_hints(struct)
        names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
        for name, encoded in names:
            kind, *others = kinds_of(hints[name])
            if issubclass(kind, msgspec.Struct):
                visit(kind, f"{dotted}{encoded}.", f"{attribute}{name}.")
                continue
            dtype = pl.String() if others else DTYPES[kind]
            optional = type(None) in get_args(hints[name])
            get = attrgetter(attribute + name)
            found[dotted + encoded] = Field(get, dtype, bool(others), optional)

    visit(record, "", "")
    return found


@cache
def names_of(header: type[msgspec.Struct] | None, *, required: bool = False) -> dict[str, Any]:
    """The names that a header declares, those of an inner one below its own.

    ``required``: only those that may not be absent.
    """
    if header is None:
        return {}
    hints = get_type_hints(header)
    names = zip(header.__struct_fields__, header.__struct_encode_fields__, strict=True)
    kinds = {
        encoded: kinds_of(hints[name])[0]
        for name, encoded in names
        if not (required and type(None) in get_args(hints[name]))
    }
    structs = {n: k for n, k in kinds.items() if issubclass(k, msgspec.Struct)}
    return {n: names_of(structs[n], required=required) if n in structs else None for n in kinds}


def kinds_of(hint: Any) -> list[type]:
    """The types of a field, null left out."""
    return [t for t in get_args(hint) if t is not type(None)] or [hint]
