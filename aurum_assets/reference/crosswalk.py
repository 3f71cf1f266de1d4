"""How what was seen becomes what things are called: pure merges, frame to frame.

A sighting says that a dataset named a thing on an operating day. All sightings are kept, so that
what follows from them does not depend on the order in which the days were looked at. What belongs
to locations or to generators alone is in ``nodes`` and ``generators``; no files and no lake here.

A *reviewed* frame is what a CSV of ``config/`` holds, all text: a row per thing, the columns that
runs complete (``names`` and the attributes), and those that only people fill (``typed``). A filled
cell is never changed; names are only ever added.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from aurum_assets.model.errors import ContractBroken
from aurum_assets.model.table import Table

BAR = " | "
PROVENANCE = ("fetched_at", "raw_sha256")


@dataclass(frozen=True, eq=False)
class Reference:
    """A kind of thing that operators number and name.

    ``sightings`` has a row per operating day, thing, name and dataset; ``table`` is what follows
    from all of them. ``id`` and ``called`` are the columns of number and name, ``attributes`` what
    datasets say besides. The spelling of the datasets ``lists`` goes first. ``reads`` gives the
    columns of a market table in which such things are named (none where they are not); ``see``
    turns rows of those, with their provenance, into one row per thing and name (a name may be
    null); ``follows`` gives the table's rows from all sightings and the reviewed frame.
    """

    key: str
    table: Table
    sightings: Table
    id: str
    called: str
    attributes: tuple[str, ...]
    typed: tuple[str, ...]
    lists: tuple[str, ...]
    reads: Callable[[Table], tuple[str, ...]]
    see: Callable[[pl.DataFrame], pl.DataFrame]
    follows: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
    doc: str

    @property
    def ids(self) -> list[str]:
        """The columns that tell one thing from another: two may share a name."""
        return ["source", self.id]

    @property
    def reviewed_columns(self) -> list[str]:
        """The columns of the reviewed file, in order; people may add others."""
        return [*self.ids, "names", *self.attributes, *self.typed]

    def nothing_reviewed(self) -> pl.DataFrame:
        """A reviewed frame without rows."""
        return pl.DataFrame(schema=dict.fromkeys(self.reviewed_columns, pl.String()))


def family(name: pl.Expr) -> pl.Expr:
    """What spellings of one name have in common: ``.H.INTERNAL_HUB`` is ``.H.INTERNALHUB``."""
    return name.str.to_uppercase().str.replace_all(r"[_\s]", "")


def sighted(
    reference: Reference, dataset: str, source: str, day: dt.date, rows: pl.DataFrame
) -> pl.DataFrame:
    """The sightings that a dataset's ``rows`` of an operating day are.

    ``rows`` has the columns that ``reference.reads`` names, and ``PROVENANCE``. Comes back as rows
    of ``reference.sightings``.
    """
    seen = reference.see(rows).with_columns(
        pl.coalesce(reference.called, reference.id).alias(reference.called),
        operating_day=pl.lit(day),
        source=pl.lit(source),
        dataset=pl.lit(dataset),
    )
    return conformed(reference.sightings, seen)


def conformed(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` as ``table`` has it, in its order. Raises ``ContractBroken`` where it does not fit.

    These rows are made by us of rows that were let in: one that does not fit is an error of ours.
    """
    fitted = table.conform(frame.select(n for n in table.names if n != "record_hash"))
    if len(fitted.broken):
        msg = f"{table.identifier}: {len(fitted.broken)} rows do not fit: "
        raise ContractBroken(msg + fitted.broken["reason"][0])
    return fitted.good.sort(table.order)


def history(reference: Reference, sightings: pl.DataFrame) -> pl.DataFrame:
    """How each thing was described, and from when to when.

    ``source``, id, name, the attributes, ``valid_from``, ``valid_to`` (null while it is true): a
    row per change, sorted by thing and day. A dataset that begins to speak of a thing in words of
    its own changes nothing; one that no longer says what it said does. What was not known at first
    is no change when it becomes known. A thing that no dataset names is called by its id.
    """
    ids, said = reference.ids, [reference.called, *reference.attributes]
    turns = _turns(reference, sightings)
    first = sightings.group_by(ids).agg(pl.col("operating_day").min())
    points = [first, *(_points(reference, turns, name) for name in said)]
    days = pl.concat(points, how="diagonal").group_by(*ids, "operating_day")
    described = (
        days.agg(pl.col(said).drop_nulls().first())
        .sort(*ids, "operating_day")
        .with_columns(pl.col(said).forward_fill().backward_fill().over(ids))
        .with_columns(pl.col(reference.called).fill_null(pl.col(reference.id)))
    )
    return (
        described.filter(_differs([*ids, *said]))
        .with_columns(
            valid_from=pl.col("operating_day"),
            valid_to=pl.col("operating_day").shift(-1).over(ids),
        )
        .select(*ids, *said, "valid_from", "valid_to")
    )


def _differs(names: list[str]) -> pl.Expr:
    """Whether a row says anything else than the row above."""
    same = [pl.col(n).eq_missing(pl.col(n).shift(1)) for n in names]
    return ~pl.all_horizontal(same) | (pl.int_range(pl.len()) == 0)


def _rank(reference: Reference) -> pl.Expr:
    return (~pl.col("dataset").is_in(reference.lists)).cast(pl.UInt8)


def _turns(reference: Reference, sightings: pl.DataFrame) -> pl.DataFrame:
    """The days on which a dataset began to describe a thing as it does.

    Spellings of one name are written as the operator's own list writes it, else the first in the
    alphabet; a name that is but the id is null.
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
    said = [called, *reference.attributes]
    per_day = [*ids, "dataset", "operating_day"]
    return (
        named.drop(called)
        .join(spelling, on=[*ids, "__family"], how="left", nulls_equal=True)
        .select(*per_day, *said)
        .sort(*per_day, *said, nulls_last=True)
        .unique(per_day, keep="first", maintain_order=True)
        .filter(_differs([*ids, "dataset", *said]))
    )


def _points(reference: Reference, turns: pl.DataFrame, name: str) -> pl.DataFrame:
    """The days on which ``name`` of a thing became what it is: ``ids, operating_day, name``.

    Of the first words of several datasets the earliest count.
    """
    ids, order = reference.ids, ["operating_day", "__rank", "dataset"]
    said = turns.filter(pl.col(name).is_not_null()).with_columns(__rank=_rank(reference))
    before = pl.col(name).shift(1).over([*ids, "dataset"])
    said = said.with_columns(__before=before).sort(order)
    first = said.filter(pl.col("__before").is_null()).unique(ids, keep="first", maintain_order=True)
    changed = said.filter(pl.col("__before") != pl.col(name))
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
    """``described`` with what people typed: the ``typed`` columns, and attributes of their own.

    An attribute counts as a person's where no dataset ever said it of the thing; else a run may
    have written it, and the datasets know better what it is today.
    """
    ids = reference.ids
    frame = described.join(reviewed.select(*ids, *reference.typed), on=ids, how="left")
    for name in reference.attributes:
        said = sightings.select(*ids, name).unique()
        own = (
            reviewed.select(*ids, name)
            .drop_nulls(name)
            .join(said, on=[*ids, name], how="anti")
            .rename({name: "__own"})
        )
        frame = (
            frame.join(own, on=ids, how="left")
            .with_columns(pl.coalesce("__own", name).alias(name))
            .drop("__own")
        )
    return frame


def as_reviewed(reference: Reference, rows: pl.DataFrame) -> pl.DataFrame:
    """The newest of the table's ``rows`` of each thing, as a run writes it for review."""
    newest = rows.unique(reference.ids, keep="last", maintain_order=True)
    ours = [*reference.ids, "names", *reference.attributes]
    return newest.select(*ours, *(pl.lit(None, pl.String).alias(n) for n in reference.typed))


def completed(reference: Reference, reviewed: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """``reviewed`` with the rows and cells that it lacks, from ``more``.

    No filled cell is changed, but for ``names``, to which those of ``more`` are added. Sorted by
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
