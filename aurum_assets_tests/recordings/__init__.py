"""Small payloads in the shapes of the operators, and what each of them must become.

    recordings/{dataset}/{dialect}/{case}.{json,xml,csv}   the bytes
    recordings/{dataset}/{dialect}/{case}.expected.json    {"day", "finality", "rows" or "error"}

``rows`` are the table's rows without provenance, in the table's order; ``error`` is a part of the
sentence with which the bytes are refused. A dataset that brings these files brings its tests:
every dialect and format of its endpoints has every case of ``CASES``.
"""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from aurum_assets.model.dataset import Dataset, FormatName
from aurum_assets.model.formats import FORMATS
from aurum_assets.operators import DATASETS

FOLDER = Path(__file__).parent
CASES = ("ordinary", "spring", "autumn", "single", "empty", "malformed")
FETCHED_AT = dt.datetime(2026, 7, 21, 12, tzinfo=dt.UTC)


@dataclass(frozen=True, eq=False)  # each is there once
class Recording:
    """A payload and what it must become."""

    dataset: Dataset
    dialect: str
    case: str
    format: FormatName
    path: Path

    def __str__(self) -> str:
        return f"{self.dataset.key}-{self.dialect}-{self.case}-{self.format}"

    @cached_property
    def body(self) -> bytes:
        """The bytes."""
        return self.path.read_bytes()

    @cached_property
    def expected(self) -> dict[str, Any]:
        """What the file beside it says."""
        found: dict[str, Any] = msgspec.json.decode(
            self.path.with_name(f"{self.case}.expected.json").read_bytes()
        )
        return found

    @property
    def readable(self) -> bool:
        """Whether rows are expected, and no refusal."""
        return "rows" in self.expected


def _found() -> list[Recording]:
    by_key = {d.key: d for d in DATASETS}
    found = []
    for path in sorted(FOLDER.glob("*/*/*.*")):
        case, _, rest = path.name.partition(".")
        fmt = next((known for known in FORMATS if rest == known), None)
        if fmt is not None:
            found.append(Recording(by_key[path.parts[-3]], path.parts[-2], case, fmt, path))
    return found


RECORDINGS = _found()
READABLE = [r for r in RECORDINGS if r.readable]
REFUSED = [r for r in RECORDINGS if not r.readable]


def recording(dataset: str, dialect: str, case: str, fmt: str = "json") -> Recording:
    """The recording of that name."""
    wanted = f"{dataset}-{dialect}-{case}-{fmt}"
    return next(r for r in RECORDINGS if str(r) == wanted)
