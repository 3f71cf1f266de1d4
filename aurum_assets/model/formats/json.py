"""JSON as a tree."""

import json
from typing import Any

import msgspec

from aurum_assets.model.formats.text import Pairs


def decode(body: bytes, careful: bool) -> Any:  # noqa: FBT001
    """The tree of ``body``; with ``careful`` an object remembers the names that it holds twice."""
    if careful:
        return json.loads(body, object_pairs_hook=Pairs.of)
    return msgspec.json.decode(body)
