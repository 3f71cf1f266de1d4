"""Compare: the rows that the tables hold of a day with the rows that they should hold.

Frames in, sentences out: nothing here reads an archive or a table. Rows that a corrected rule or
config would treat otherwise today are no loss and make notes; all else makes problems.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import polars as pl

from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table

_RAW = pl.col("raw_sha256")


@dataclass(frozen=True)
class Held:
    """A day's rows in a table, its history and the quarantine, each in its table's order."""

    rows: pl.DataFrame
    history: pl.DataFrame
    quarantined: pl.DataFrame

    def same_as(self, other: "Held") -> bool:
        """Whether all rows are identical; of the quarantine, whether the records are."""
        names = _IDENTIFYING
        mine, theirs = self.quarantined.select(names), other.quarantined.select(names)
        alike = self.rows.equals(other.rows) and self.history.equals(other.history)
        return alike and mine.equals(theirs)

    @property
    def raws(self) -> set[str]:
        """The hashes of the snapshots that any of these rows come from."""
        return {r for f in (self.rows, self.history, self.quarantined) for r in f["raw_sha256"]}


_IDENTIFYING = ["operating_day", "dataset", "received_hash", "record", "fetched_at", "raw_sha256"]


@dataclass
class Differences:
    """Counts of wrong rows over all three tables, and a sentence for each kind."""

    missing: int = 0
    extra: int = 0
    changed: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Origins:
    """The snapshots that rows may come from: ``known`` are the hashes of those that can be read.

    ``refused`` are those of them that give no rows today: rejected, or drifted from what config
    expects now.
    """

    known: Collection[str]
    refused: Collection[str]


def compare(
    table: Table, stored: Held, expected: Held, origins: Origins, remedy: str
) -> Differences:
    """Which rows of ``stored`` are missing, extra or different from ``expected``."""
    found = Differences()
    _unknown(table, stored, origins, found, remedy)
    excused = (stored.raws - set(origins.known)) | (stored.raws & set(origins.refused))
    if excused & set(origins.refused):
        text = "rows of snapshots that today's parser or config refuses are kept"
        found.notes.append(f"{table.identifier}: {text}")
    loosened, tightened = _judged_otherwise(table, stored, expected)
    if loosened:
        text = f"{len(loosened)} quarantined records keep today's rules"
        found.notes.append(f"{table.identifier}: {text}: aurum requeue --dataset {table.name}")
    if tightened:
        text = f"{len(tightened)} stored rows break a rule of today"
        found.notes.append(f"{table.identifier}: {text}: {remedy}")
    otherwise = loosened | tightened
    keep = ~_RAW.is_in(excused | otherwise)
    for one, has, should in (
        (table, stored.rows, expected.rows),
        (table.history, stored.history, expected.history),
        (QUARANTINE, stored.quarantined, expected.quarantined),
    ):
        lenient = bool(excused or otherwise) and one is not table
        _differences(one, has, should, keep, remedy, found, lenient=lenient)
    _unique(table, stored, found, remedy)
    return found


def _unknown(table: Table, stored: Held, origins: Origins, found: Differences, remedy: str) -> None:
    """Report rows whose bytes the archive does not hold, or cannot read."""
    frames = (stored.rows, stored.history, stored.quarantined)
    for one, rows in zip((table, table.history, QUARANTINE), frames, strict=True):
        lost = rows.filter(~_RAW.is_in(set(origins.known)))
        for raw, count in sorted(lost["raw_sha256"].value_counts().iter_rows()):
            found.problems.append(
                f"{one.name}: {count} rows refer to bytes {raw[:16]}… that the archive does not "
                f"hold; restore them, or let the rows go: {remedy} --force"
            )


def _judged_otherwise(table: Table, stored: Held, expected: Held) -> tuple[set[str], set[str]]:
    """Hashes of snapshots with quarantined records that pass today's rules, and the reverse."""
    key, hashed = list(table.key), ["received_hash"]

    def beyond(some: pl.DataFrame, others: pl.DataFrame, on: list[str]) -> set[str]:
        return set(some.join(others, on=on, how="anti", nulls_equal=True)["raw_sha256"])

    missing = beyond(expected.rows, stored.rows, key)
    extra = beyond(stored.rows, expected.rows, key)
    inside = beyond(stored.quarantined, expected.quarantined, hashed)
    outside = beyond(expected.quarantined, stored.quarantined, hashed)
    return missing & inside, extra & outside


def _differences(
    table: Table,
    stored: pl.DataFrame,
    expected: pl.DataFrame,
    keep: pl.Expr,
    remedy: str,
    found: Differences,
    *,
    lenient: bool,
) -> None:
    key = list(table.key)
    missing = expected.join(stored, on=key, how="anti", nulls_equal=True).filter(keep)
    extra = stored.join(expected, on=key, how="anti", nulls_equal=True).filter(keep)
    both = stored.filter(keep).join(expected, on=key, nulls_equal=True, suffix="__expected")
    values = [n for n in table.names if n not in {*key, *_EXPLANATIONS}]
    labels = set(table.added) - set(table.values)  # null in what an earlier version wrote
    changed = both.filter(
        pl.any_horizontal(
            pl.col(n).ne_missing(pl.col(f"{n}__expected"))
            & (pl.col(n).is_not_null() | pl.lit(n not in labels))
            for n in values
        )
    )
    if lenient:  # some snapshots do not count, so which row superseded which is unknown
        extra, changed = extra.clear(), changed.clear()
    found.missing += len(missing)
    found.extra += len(extra)
    found.changed += len(changed)
    for count, what in (
        (len(missing), "rows that the archive gives are missing"),
        (len(extra), "rows are not what the archive gives"),
        (len(changed), "rows have other values than the archive gives"),
    ):
        if count:
            found.problems.append(f"{table.identifier}: {count} {what}: {remedy}")


_EXPLANATIONS = (
    "rules",
    "reason",
)  # of a quarantined record, as phrased by the version that wrote it


def _unique(table: Table, stored: Held, found: Differences, remedy: str) -> None:
    """Report keys that occur twice."""
    frames = (stored.rows, stored.history, stored.quarantined)
    for one, rows in zip((table, table.history, QUARANTINE), frames, strict=True):
        if rows.select(one.key).is_duplicated().any():
            found.problems.append(f"{one.name}: a key occurs twice: {remedy}")
