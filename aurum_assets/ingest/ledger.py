"""The ledger of a day: how many rows its tables held once its archived snapshots were merged.

A cache beside the registry's marks, written with them: it shows what a table lacks without reading
it. The archive remains the truth: where the ledger is absent or disagrees with the tables, callers
read the archive. It only records counts that follow from the previous ledger or from a rebuild, so
that rows which are lost meanwhile never become the expectation.
"""

import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.archive import order_of
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.registry import Ledger

if TYPE_CHECKING:
    from aurum_assets.ingest.normalized import Normalized


def listing_hash(identifiers: Collection[str]) -> str:
    """A hash of the set of ``identifiers``."""
    return hashlib.sha256("\n".join(sorted(identifiers)).encode()).hexdigest()[:32]


def agreed(
    found: Ledger | None, uuid: str, merged: Collection[str], archived: Collection[str]
) -> Ledger | None:
    """The ledger ``found`` where it belongs to the table ``uuid`` and to these snapshots.

    Either to those ``merged``, or to all ``archived``: after a kill between ledger and mark.
    """
    if found is None or found.uuid != uuid:
        return None
    return found if found.archived in {listing_hash(merged), listing_hash(archived)} else None


def lacks_rows(found: Ledger | None, uuid: str, rows: int, merged: Collection[str]) -> bool:
    """Whether the table ``uuid``, which holds ``rows`` of a day, held more before.

    Without a ledger (the day was merged by an older version) this is assumed where it holds none.
    """
    if not merged:
        return False
    return rows == 0 if found is None else found.uuid == uuid and rows < found.rows


def record(
    resources: Resources,
    done: "Normalized",
    uuid: str,
    identifiers: Collection[str],
    before: Ledger | None = None,
    rows: int = 0,
) -> None:
    """Record how many rows the tables hold after ``done``, from these ``identifiers``.

    ``before``: the ledger that agreed with the tables before; without one only a rebuild counts, or
    the first snapshot of a day. ``rows``: how many the table held then.
    """
    dataset, day = done.dataset, done.day
    first = before is None and not rows and len(identifiers) == 1
    if first:
        before = Ledger(uuid, 0, 0, 0, "", "")
    if before is None and not done.rebuilt:
        resources.registry.forget_ledger(dataset.key, day.key)
        return
    partition = {"operating_day": day.date}
    history, quarantined = (0, 0) if before is None else (before.history, before.quarantined)
    if done.rebuilt:
        history, quarantined = done.history, done.quarantined
    elif done.merged.changed:
        least = history + done.merged.changed
        history = resources.lake.counts(dataset.table.history, partition)[0]
        if history < least:
            return  # some of it is gone: the ledger before stays, and disagrees
    if not done.rebuilt and done.quarantined:
        least = quarantined
        quarantined = resources.lake.counts(QUARANTINE, partition | {"dataset": dataset.key})[0]
        if quarantined < least:
            return
    held = rows if done.merged.held is None else done.merged.held
    newest = max(identifiers, key=order_of, default="")
    ledger = Ledger(uuid, held, history, quarantined, listing_hash(identifiers), newest)
    resources.registry.keep_ledger(dataset.key, day.key, ledger)
