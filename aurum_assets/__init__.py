"""Market data of ISO New England and MISO: archived, normalized to Iceberg, checked.

    from aurum_assets import collect, open_lake

    prices = collect("isone_da_lmp", "2026-07-19", "2026-07-20")  # a polars frame
    lake = open_lake()  # what is held: lake.tables(), lake.scan(…), lake.sql("…")

What is logged goes to ``logging``, under ``aurum_assets``; nothing is printed.
"""

import importlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aurum_assets.api import collect, open_lake

__all__ = ["collect", "open_lake"]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """What ``__all__`` names, once it is asked for: it brings what a command may not need."""
    if name in __all__:
        return getattr(importlib.import_module("aurum_assets.api"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
