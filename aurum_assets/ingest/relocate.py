"""Relocate: make the tables of a copied or moved home work at its present path.

The tables' metadata then names the files in the new place, one commit a table, so that after a kill
each table is either done or unchanged, and a second run does the rest. Nothing else in a home
depends on its path: keys of archive and spool begin at their root, rows refer to their bytes by
hash, and the paths that Dagster shows of an asset are those of its last run. A copy gets an
identity of its own, by which a shared Redis distinguishes homes.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from aurum_assets.model.errors import ConfigError
from aurum_assets.resources.catalog import described
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.relocation import Relocated


@dataclass(frozen=True)
class Relocating:
    """The tables whose files moved from ``there`` to ``here``; none where nothing is to be done."""

    tables: tuple[Relocated, ...]
    there: str
    here: str


def relocate(
    resources: Resources, *, dry_run: bool = False, step: Callable[[str], None] = lambda _: None
) -> Relocating:
    """Make the tables' metadata name their files where these are now.

    All metadata is read first, a step a table, and then written, a step a table. Where a file is
    missing nothing is written: ``LakeDamaged`` names the first. Raises ``ConfigError`` where the
    catalog itself decides where its tables are (REST, Glue).
    """
    catalog = resources.lake.configured
    if catalog and catalog["type"] != "sql":
        msg = (
            f"{described(catalog)} decides by itself where its tables are, so they cannot be "
            "relocated: `aurum replay --all --rebuild --yes` makes them anew from the archive"
        )
        raise ConfigError(msg)
    with contextlib.nullcontext() if dry_run else resources.lock("relocate"):
        away = resources.lake.elsewhere()
        looked = []
        for table in away:
            looked.append(resources.lake.look_elsewhere(table))
            step(f"{table.identifier}: all files are here")
        if away and not (dry_run or catalog):
            resources.renew_identity()
        for table in () if dry_run else away:
            resources.lake.relocate(table)
            step(f"{table.identifier}: relocated")
    there = away[0].warehouse if away else resources.lake.place
    return Relocating(tuple(looked), there, resources.lake.place)
