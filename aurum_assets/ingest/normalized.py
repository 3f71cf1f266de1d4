"""Normalized: what a normalization did, and the day as it stands, for checks and reports."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from aurum_assets.ingest.conform import Conformed, Unusable, conform_all, one_a_record
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.drift import PARTIAL, Drift
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.message import Quality
from aurum_assets.model.prices import PARTS
from aurum_assets.resources.archive import order_of
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Merged


@dataclass
class Normalized:
    """What a normalization did, and what its checks look at.

    ``rows``: the rows that were brought (the whole day where it was rebuilt). ``healed``: the table
    had lost rows that were merged before, and has them again. ``elsewhere``: the snapshots that lie
    in this day for the sake of another dataset. ``history``: the superseded values of a day that
    was rebuilt.
    """

    dataset: Dataset
    day: OperatingDay
    merged: Merged
    rows: pl.DataFrame
    snapshots: int = 0
    rebuilt: bool = False
    healed: bool = False
    quarantined: int = 0
    history: int = 0
    unusable: list[Unusable] = field(default_factory=list)
    drift: tuple[Drift, ...] = ()
    empty: tuple[str, ...] = ()
    every: dt.timedelta | None = None
    newest_fetch: dt.datetime | None = None
    qualities: dict[str, Quality] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()

    @property
    def rejected(self) -> list[str]:
        """Why snapshots gave no rows at all."""
        return [u.reason for u in self.unusable]

    @property
    def lost(self) -> frozenset[str]:
        """Snapshots whose bytes the archive could not give; they are tried again."""
        return frozenset(u.identifier for u in self.unusable if u.lost)

    def qualities_of(self, identifiers: Sequence[str]) -> dict[str, Quality]:
        """What became of each of these snapshots, without those that are lost or of other days."""
        rejected = {u.identifier: Quality(rejected=u.reason) for u in self.unusable}
        known = self.qualities | rejected
        without = self.lost | self.elsewhere
        return {i: known.get(i, Quality()) for i in identifiers if i not in without}

    @cached_property
    def max_residual(self) -> float | None:
        """The largest |lmp - (energy + congestion + loss)| among the rows, USD/MWh."""
        if not {"lmp", *PARTS} <= set(self.rows.columns):
            return None
        residual = (pl.col("lmp") - sum(pl.col(p) for p in PARTS)).abs().max()
        found = self.rows.select(residual).item()
        return None if found is None else round(float(found), 6)


def look_again(resources: Resources, dataset: Dataset, day: OperatingDay) -> Normalized:
    """The day as it stands, for its checks: all stored rows, each request's newest snapshot."""
    rows = resources.lake.read(dataset.table, {"operating_day": day.date})
    done = Normalized(dataset, day, Merged(), rows)
    newest: dict[str, str] = {}
    for identifier in resources.archive.identifiers(dataset.archive_name, day.key):
        try:
            envelope = resources.archive.envelope(dataset.archive_name, day.key, identifier)
        except MalformedPayload as error:
            done.unusable.append(Unusable(identifier, str(error), lost=True))
        else:
            newest[envelope.request] = identifier
    chosen = sorted(newest.values(), key=order_of)
    found, unusable = conform_all(resources, dataset, day, chosen, keep=False)
    done.unusable += unusable
    return described(done, found, len(one_a_record([s.quarantined for s in found])))


def described(done: Normalized, snapshots: Sequence[Conformed], quarantined: int) -> Normalized:
    """``done``, and what its snapshots say of the day: drift, empty answers, ages, qualities."""
    done.quarantined = quarantined
    done.elsewhere = frozenset(s.envelope.identifier for s in snapshots if s.elsewhere)
    done.qualities = {
        s.envelope.identifier: Quality(
            s.records, len(s.quarantined), drift=tuple(d.detail for d in s.drift)
        )
        for s in snapshots
    }
    newest = {s.envelope.request: s for s in snapshots}
    done.drift = tuple(
        {
            (d.kind, d.field): d
            for s in snapshots
            for d in s.drift
            # a partial answer that was asked again has been made whole
            if d.kind != PARTIAL or newest[s.envelope.request] is s
        }.values()
    )
    done.empty = tuple(request for request, s in newest.items() if not s.records)
    if snapshots:
        done.every = snapshots[-1].dialect.every
        done.newest_fetch = snapshots[-1].envelope.fetched_at
    return done
