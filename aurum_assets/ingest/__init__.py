"""What assets, command line and Python API call to collect, keep and check data; no Dagster.

Each is imported at its first use, so that a command line that needs one does not load all. Some
have the name of their module (``collect``): here it means the function, whichever was imported
first.
"""

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aurum_assets.ingest.accept import accept
    from aurum_assets.ingest.board import BoardLine, board
    from aurum_assets.ingest.check import check
    from aurum_assets.ingest.collect import collect
    from aurum_assets.ingest.collected import Archived, Collected
    from aurum_assets.ingest.dictionary import entries, entry_of
    from aurum_assets.ingest.doctor import examine
    from aurum_assets.ingest.feeds import (
        asked_feeds,
        days_asked,
        may_come_later,
        narrowed,
        parts_asked,
    )
    from aurum_assets.ingest.finals import Finals, Published, find_finals
    from aurum_assets.ingest.gaps import TRIES, Found, Gap, Repair, find_gaps, gap_of, requirements
    from aurum_assets.ingest.load import Loaded, load
    from aurum_assets.ingest.maintain import (
        Part,
        Progress,
        Upkeep,
        last_maintained,
        maintain,
        parts_of,
        remember,
    )
    from aurum_assets.ingest.normalize import normalize, normalize_each
    from aurum_assets.ingest.normalized import Normalized, look_again
    from aurum_assets.ingest.plan import Due, Planned, plan, requests_due
    from aurum_assets.ingest.probe import Probed, endpoints_of, newest_published, probe
    from aurum_assets.ingest.publish import Publish, drain
    from aurum_assets.ingest.quality import Quality, quality
    from aurum_assets.ingest.query import in_full, known_tables, queries, query
    from aurum_assets.ingest.relocate import Relocating, relocate
    from aurum_assets.ingest.remake import Remade, archived_days, remake
    from aurum_assets.ingest.replay import Replayed, held_days, replay, replay_days
    from aurum_assets.ingest.requeue import Requeued, requeue
    from aurum_assets.ingest.status import Status, status
    from aurum_assets.ingest.verdicts import (
        Judged,
        recalled_verdicts,
        remember_verdicts,
    )
    from aurum_assets.ingest.verify import Verified, verifiable_days, verify, verify_days
    from aurum_assets.ingest.watch import Scraped, look, send
    from aurum_assets.model.finding import Finding

ROOM_OF = {
    verb.name: room.module
    for room in ast.walk(ast.parse(Path(__file__).read_bytes()))
    if isinstance(room, ast.ImportFrom) and room.module and room.module.startswith(f"{__name__}.")
    for verb in room.names
}  # read from the imports above, which only type checkers execute: each verb is named once


class _Verbs(ModuleType):
    """This package: a submodule never replaces the function of the same name."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  as Python has it
        if name not in ROOM_OF:
            msg = f"module {self.__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        found = getattr(importlib.import_module(ROOM_OF[name]), name)
        super().__setattr__(name, found)
        return found

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in ROOM_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Verbs
