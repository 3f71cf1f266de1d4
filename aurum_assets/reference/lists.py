"""Tables that people write: a file of ``config/`` is all of it, and no run changes the file.

Each is compared on every day with what the market tables name, so that what is missing in the file
becomes a finding. Pure: reading files and tables is up to ``ingest``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aurum_assets.model.checks import Verdict, nothing_to_judge
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.table import Table
from aurum_assets.reference.crosswalk import Reference

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class ReviewedList:
    """A list of what operators name, as people typed it into ``config/<key>.csv``.

    ``table`` is partitioned by ``source``, the operator. ``reads`` gives the columns of a market
    table, and of the sightings of the references ``after`` which it is judged, that name what is
    listed; ``see`` makes of its rows one for each name. ``judges``: by the name of a check, what
    finds the rows seen that the list lacks, given both, and what a sentence says of them.
    ``called``: the columns that name a row in that sentence.
    """

    key: str
    table: Table
    called: tuple[str, ...]
    reads: Callable[[Table], tuple[str, ...]]
    see: Callable[[pl.DataFrame], pl.DataFrame]
    judges: Mapping[str, tuple[Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame], str]]
    descriptions: Mapping[str, str]
    doc: str
    after: tuple[Reference, ...] = ()

    def rows(self, reviewed: pl.DataFrame, where: str) -> pl.DataFrame:
        """The table's rows from the file ``where``, all text.

        Raises ``ConfigError`` naming the row that breaks a rule of the table.
        """
        split = self.table.conform(reviewed.select(self.table.names))
        if len(split.broken):
            row = split.broken.row(0, named=True)
            of = ", ".join(str(reviewed[row["position"], name]) for name in self.table.key)
            msg = f"{where}: {of}: {row['reason']}"
            raise ConfigError(msg)
        return split.good.sort(self.table.order)

    def evaluate(self, listed: pl.DataFrame, seen: pl.DataFrame) -> list[Verdict]:
        """Run every check: the rows of the list beside what was ``seen`` on a day."""
        return [
            _verdict(self, check, listed, seen, find, what)
            for check, (find, what) in self.judges.items()
        ]


def _verdict(
    listed: ReviewedList,
    check: str,
    rows: pl.DataFrame,
    seen: pl.DataFrame,
    find: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame],
    what: str,
) -> Verdict:
    if seen.is_empty():
        return nothing_to_judge(check, "no table names anything of the kind on that day")
    found = find(rows, seen).unique().sort(pl.all())
    if found.is_empty():
        return Verdict(check, True, "WARN", 0, f"none of the {len(seen)} that were seen")
    shown = found.head(_SHOWN).to_dicts()
    named = ", ".join(_named(row, ("source", *listed.called)) for row in shown)
    reason = f"{len(found)} {what} config/{listed.key}.csv: {named}"
    return Verdict(check, False, "WARN", len(found), reason, tuple(shown))


def _named(row: Mapping[str, object], columns: Sequence[str]) -> str:
    return " ".join(str(row[name]) for name in columns if row[name] is not None)
