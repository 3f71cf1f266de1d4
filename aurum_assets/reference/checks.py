"""The checks of reference tables after an operating day was observed.

Each is a pure function of all sightings, the table and the reviewed file, so that a repetition
gives the same result. All of them report; none keeps a row out. Where nothing was seen on the day,
each is skipped; so is ``vanished`` where no earlier day is known.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from aurum_assets.model.checks import Verdict, in_one_line, nothing_to_judge
from aurum_assets.reference.crosswalk import Reference, family, history

_SHOWN = 5


@dataclass(frozen=True)
class Known:
    """The inputs of the checks: all ``sightings``, the table's ``rows``, what people ``reviewed``.

    ``day`` is the operating day that was observed.
    """

    reference: Reference
    day: dt.date
    sightings: pl.DataFrame
    rows: pl.DataFrame
    reviewed: pl.DataFrame

    @property
    def observed(self) -> pl.DataFrame:
        """The sightings of the day."""
        return self.sightings.filter(pl.col("operating_day") == self.day)

    @property
    def things(self) -> pl.DataFrame:
        """The newest row of each thing that was seen on the day."""
        ids = self.reference.ids
        newest = self.rows.unique(ids, keep="last", maintain_order=True)
        return newest.join(self.observed, on=ids, how="semi")


def evaluate(known: Known) -> list[Verdict]:
    """Run every check of the reference, in order."""
    return [CHECKS[name][1](known) for name in checks_of(known.reference)]


def checks_of(reference: Reference) -> list[str]:
    """The names of the checks of a reference."""
    own = {"iso_nodes": "unknown", "generators": "without_fuel"}[reference.key]
    return [own, "renamed", "vanished", "shared_names"]


def unknown(known: Known) -> Verdict:
    """Each location seen that day is in the operator's list, or was reviewed by a person.

    Of an operator that publishes no list, every location counts as known. Skipped where nothing was
    seen.
    """
    reference, ids = known.reference, known.reference.ids
    listed = known.sightings.filter(pl.col("dataset").is_in([*reference.lists.values()]))
    reviewed = pl.any_horizontal(pl.col(reference.typed).is_not_null())
    found = (
        known.things.filter(pl.col("source").is_in([*reference.lists]))
        .join(listed, on=ids, how="anti")
        .join(known.reviewed.filter(reviewed), on=ids, how="anti")
        .select(*ids, reference.called, "seen_in")
    )
    return _verdict(known, "unknown", found, "are in no list of the operator and not reviewed")


def renamed(known: Known) -> Verdict:
    """Nothing is called otherwise from that day on; another spelling of a name is the same name.

    Skipped where nothing was seen.
    """
    reference = known.reference
    before = pl.col(reference.called).shift(1).over(reference.ids)
    found = (
        history(reference, known.sightings)
        .with_columns(was=before)
        .filter((pl.col("valid_from") == known.day) & (pl.col("was") != pl.col(reference.called)))
        .select(*reference.ids, "was", reference.called)
    )
    return _verdict(known, "renamed", found, "are called otherwise from this day on")


def vanished(known: Known) -> Verdict:
    """What a dataset named when it was last seen before that day, some dataset names on the day.

    Only datasets that were seen on the day count, so that a day without a feed is no alarm.
    Skipped where nothing was seen, or no earlier day is known.
    """
    ids, observed = known.reference.ids, known.observed
    earlier = known.sightings.filter(pl.col("operating_day") < known.day)
    if earlier.is_empty() and len(observed):
        return nothing_to_judge("vanished", "no earlier day is known")
    last = pl.col("operating_day").max().over("source", "dataset")
    found = (
        earlier.filter(pl.col("operating_day") == last)
        .join(observed, on=["source", "dataset"], how="semi")
        .join(observed, on=ids, how="anti")
        .sort(*ids, "dataset", known.reference.called)
        .unique(ids, keep="first", maintain_order=True)
        .select(*ids, known.reference.called, "dataset", last_seen="operating_day")
    )
    return _verdict(known, "vanished", found, "were named the last time and no longer are")


def shared_names(known: Known) -> Verdict:
    """No two ids of an operator share a name; a typed canonical name tells one from the other.

    Skipped where nothing was seen.
    """
    reference = known.reference
    name = family(pl.col("canonical_name"))
    found = (
        known.things.filter(pl.len().over("source", name) > 1)
        .sort("source", name, reference.id)
        .select(*reference.ids, "canonical_name")
    )
    return _verdict(known, "shared_names", found, "share their name with another id")


def without_fuel(known: Known) -> Verdict:
    """The fuel of each generator seen that day is known from a feed, or a person typed it.

    Skipped where nothing was seen.
    """
    reference = known.reference
    missing = known.things.filter(pl.col("fuel").is_null())
    found = missing.select(*reference.ids, reference.called)
    return _verdict(
        known, "without_fuel", found, "have no fuel: neither a feed nor a person gave it"
    )


CHECKS: Mapping[str, tuple[str, Callable[[Known], Verdict]]] = {
    check.__name__: (in_one_line(check.__doc__), check)
    for check in (unknown, renamed, vanished, shared_names, without_fuel)
}


def _verdict(known: Known, check: str, found: pl.DataFrame, what: str) -> Verdict:
    if known.observed.is_empty():
        return nothing_to_judge(check, f"nothing was seen on {known.day}")
    if found.is_empty():
        seen = known.observed.select(known.reference.ids).n_unique()
        return Verdict(check, True, "WARN", 0, f"none of the {seen} that were seen")
    shown = found.head(_SHOWN).to_dicts()
    named = ", ".join(f"{row[known.reference.id]} {_name(known.reference, row)}" for row in shown)
    reason = f"{len(found)} {what}: {named}"
    return Verdict(check, False, "WARN", len(found), reason, tuple(shown))


def _name(reference: Reference, row: Mapping[str, object]) -> str:
    now = row.get(reference.called, row.get("canonical_name"))
    return f"({row['was']} -> {now})" if "was" in row else f"({now})"
