"""Derive reference tables from sightings: pure merges, frame to frame.

A sighting is a row that says that a dataset named a thing (a location, a generator) on an operating
day. All sightings are kept, so that the result does not depend on the order in which days were
observed. What concerns only locations or generators is in ``nodes`` and ``generators``; no files
and no lake here.

A *reviewed* frame is what a CSV of ``config/`` holds, all text: a row per thing, the columns that
runs complete (``names`` and the attributes), and those that only people fill (``typed``). A filled
cell is never changed; names are only ever added.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from aurum_assets.model.errors import ContractBroken
from aurum_assets.model.table import Table

BAR = " | "
PROVENANCE = ("fetched_at", "raw_sha256")


@dataclass(frozen=True, eq=False)
class Reference:
    """A kind of thing that operators number and name.

    ``sightings`` has a row per operating day, thing, name and dataset; ``table`` is derived from
    all of them. ``id`` and ``called`` are the columns of number and name, ``attributes`` the other
    columns that datasets give. ``lists``: by operator, the dataset that is its own list; its
    spelling takes precedence. ``reads`` gives the columns of a market table that name such things
    (none where there are none); ``see`` turns rows of those, with their provenance, into one row
    per thing and name (a name may be null); ``follows`` derives the table's rows from all sightings
    and the reviewed frame.
    """

    key: str
    table: Table
    sightings: Table
    id: str
    called: str
    attributes: tuple[str, ...]
    typed: tuple[str, ...]
    lists: Mapping[str, str]
    reads: Callable[[Table], tuple[str, ...]]
    see: Callable[[pl.DataFrame], pl.DataFrame]
    follows: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
    doc: str

    @property
    def ids(self) -> list[str]:
        """The columns that identify a thing: two may share a name."""
        return ["source", self.id]

    @property
    def reviewed_columns(self) -> list[str]:
        """The columns of the reviewed file, in order; people may add others."""
        return [*self.ids, "names", *self.attributes, *self.typed]

    def nothing_reviewed(self) -> pl.DataFrame:
        """A reviewed frame without rows."""
        return pl.DataFrame(schema=dict.fromkeys(self.reviewed_columns, pl.String()))


def family(name: pl.Expr) -> pl.Expr:
    """The common form of all spellings of a name: ``.H.INTERNAL_HUB`` is ``.H.INTERNALHUB``."""
    return name.str.to_uppercase().str.replace_all(r"[_\s]", "")


def sighted(
    reference: Reference, dataset: str, source: str, day: dt.date, rows: pl.DataFrame
) -> pl.DataFrame:
    """The sightings in a dataset's ``rows`` of an operating day.

    ``rows`` has the columns that ``reference.reads`` names, and ``PROVENANCE``. Returns rows of
    ``reference.sightings``.
    """
    seen = reference.see(rows).with_columns(
        pl.coalesce(reference.called, reference.id).alias(reference.called),
        operating_day=pl.lit(day),
        source=pl.lit(source),
        dataset=pl.lit(dataset),
    )
    return conformed(reference.sightings, seen)


def conformed(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` in the form and order of ``table``. Raises ``ContractBroken`` if it does not fit.

    These rows are derived from accepted rows: one that does not fit is a bug of ours.
    """
    fitted = table.conform(frame.select(table.names))
    if len(fitted.broken):
        msg = f"{table.identifier}: {len(fitted.broken)} rows do not fit: "
        raise ContractBroken(msg + fitted.broken["reason"][0])
    return fitted.good.sort(table.order)


def history(reference: Reference, sightings: pl.DataFrame) -> pl.DataFrame:
    """How each thing was described, and from when to when.

    ``source``, id, name, the attributes, ``valid_from``, ``valid_to`` (null while it is true): a
    row per change, sorted by thing and day. It is no change when another dataset begins to describe
    a thing differently, but it is one when a dataset changes its own description. A value that was
    unknown at first is no change when it becomes known. A thing without a name is called by its id.
    """
    ids, columns = reference.ids, [reference.called, *reference.attributes]
    changes = _changes(reference, sightings)
    first = sightings.group_by(ids).agg(pl.col("operating_day").min())
    points = [first, *(_points(reference, changes, name) for name in columns)]
    days = pl.concat(points, how="diagonal").group_by(*ids, "operating_day")
    described = (
        days.agg(pl.col(columns).drop_nulls().first())
        .sort(*ids, "operating_day")
        .with_columns(pl.col(columns).forward_fill().backward_fill().over(ids))
        .with_columns(pl.col(reference.called).fill_null(pl.col(reference.id)))
    )
    return (
        described.filter(_differs([*ids, *columns]))
        .with_columns(
            valid_from=pl.col("operating_day"),
            valid_to=pl.col("operating_day").shift(-1).over(ids),
        )
        .select(*ids, *columns, "valid_from", "valid_to")
    )


def _differs(names: list[str]) -> pl.Expr:
    """Whether a row differs from the row above."""
    same = [pl.col(n).eq_missing(pl.col(n).shift(1)) for n in names]
    return ~pl.all_horizontal(same) | (pl.int_range(pl.len()) == 0)


def _rank(reference: Reference) -> pl.Expr:
    return (~pl.col("dataset").is_in([*reference.lists.values()])).cast(pl.UInt8)


def _changes(reference: Reference, sightings: pl.DataFrame) -> pl.DataFrame:
    """The days on which a dataset changed its description of a thing.

    Spellings of one name are replaced by that of the operator's own list, else by the first in the
    alphabet; a name that is only the id becomes null.
    """
    ids, called = reference.ids, reference.called
    named = sightings.with_columns(
        pl.when(pl.col(called) != pl.col(reference.id)).then(called).alias(called)
    ).with_columns(__family=family(pl.col(called)))
    spelling = (
        named.select(*ids, "__family", called, __rank=_rank(reference))
        .unique()
        .sort("__rank", called)
        .unique([*ids, "__family"], keep="first", maintain_order=True)
        .select(*ids, "__family", called)
    )
    columns = [called, *reference.attributes]
    per_day = [*ids, "dataset", "operating_day"]
    return (
        named.drop(called)
        .join(spelling, on=[*ids, "__family"], how="left", nulls_equal=True)
        .select(*per_day, *columns)
        .sort(*per_day, *columns, nulls_last=True)
        .unique(per_day, keep="first", maintain_order=True)
        .filter(_differs([*ids, "dataset", *columns]))
    )


def _points(reference: Reference, changes: pl.DataFrame, name: str) -> pl.DataFrame:
    """The days on which ``name`` of a thing changed: ``ids, operating_day, name``.

    Of the first values of several datasets the earliest counts.
    """
    ids, order = reference.ids, ["operating_day", "__rank", "dataset"]
    known = changes.filter(pl.col(name).is_not_null()).with_columns(__rank=_rank(reference))
    before = pl.col(name).shift(1).over([*ids, "dataset"])
    known = known.with_columns(__before=before).sort(order)
    first = known.filter(pl.col("__before").is_null()).unique(
        ids, keep="first", maintain_order=True
    )
    changed = known.filter(pl.col("__before") != pl.col(name))
    return (
        pl.concat([first, changed])
        .sort(order)
        .unique([*ids, "operating_day"], keep="first", maintain_order=True)
        .select(*ids, "operating_day", name)
    )


def summary(reference: Reference, sightings: pl.DataFrame) -> pl.DataFrame:
    """``source``, id, ``names``, ``seen_in``, ``first_seen``, ``last_seen``: a row per thing."""
    called = pl.col(reference.called)
    names = called.filter(called != pl.col(reference.id)).unique().sort().str.join(BAR)
    return (
        sightings.group_by(reference.ids)
        .agg(
            names=names,
            seen_in=pl.col("dataset").unique().sort().str.join(", "),
            first_seen=pl.col("operating_day").min(),
            last_seen=pl.col("operating_day").max(),
        )
        .with_columns(names=pl.when(pl.col("names") != "").then("names"))
    )


def reviewed_over(
    reference: Reference,
    described: pl.DataFrame,
    sightings: pl.DataFrame,
    reviewed: pl.DataFrame,
) -> pl.DataFrame:
    """``described`` with what people typed: the ``typed`` columns, and their own attributes.

    An attribute counts as typed where no dataset ever gave it for the thing; else a run may have
    written it, and the datasets have the present value.
    """
    ids = reference.ids
    frame = described.join(reviewed.select(*ids, *reference.typed), on=ids, how="left")
    for name in reference.attributes:
        from_datasets = sightings.select(*ids, name).unique()
        own = (
            reviewed.select(*ids, name)
            .drop_nulls(name)
            .join(from_datasets, on=[*ids, name], how="anti")
            .rename({name: "__own"})
        )
        frame = (
            frame.join(own, on=ids, how="left")
            .with_columns(pl.coalesce("__own", name).alias(name))
            .drop("__own")
        )
    return frame


def as_reviewed(reference: Reference, rows: pl.DataFrame) -> pl.DataFrame:
    """The newest row of each thing, in the form of the reviewed file."""
    newest = rows.unique(reference.ids, keep="last", maintain_order=True)
    ours = [*reference.ids, "names", *reference.attributes]
    return newest.select(*ours, *(pl.lit(None, pl.String).alias(n) for n in reference.typed))


def completed(reference: Reference, reviewed: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """``reviewed`` with the rows and cells that it lacks, from ``more``.

    No filled cell is changed, except ``names``, to which those of ``more`` are added. Sorted by
    source and id, numbers as numbers. Columns that people added stay, at the right.
    """
    ids = reference.ids
    columns = list(dict.fromkeys([*reviewed.columns, *more.columns]))
    held = [name for name in columns if name not in ids]
    both = reviewed.join(
        more.rename({n: f"__{n}" for n in more.columns if n not in ids}),
        on=ids,
        how="full",
        coalesce=True,
    )
    of_either = [
        pl.coalesce([n for n in (name, f"__{name}") if n in both.columns]).alias(name)
        for name in held
        if name != "names"
    ]
    lists = [pl.col(n).str.split(BAR).fill_null([]) for n in ("names", "__names")]
    each = pl.concat_list(lists).list.eval(pl.element().str.strip_chars())
    names = each.list.eval(pl.element().filter(pl.element() != "").unique().sort()).list.join(BAR)
    return (
        both.with_columns(*of_either, names=names)
        .with_columns(names=pl.when(pl.col("names") != "").then("names"))
        .sort(
            "source",
            pl.col(reference.id).str.to_integer(strict=False),
            reference.id,
            nulls_last=True,
        )
        .select(columns)
    )
