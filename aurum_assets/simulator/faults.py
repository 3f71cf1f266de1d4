"""What can go wrong on request: a queue of faults, and what each does to an answer.

Some replace the answer, some change what it says, some its bytes, some the way it is sent
(``wire.py`` does that).
"""

import json
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypedDict

from aurum_assets.simulator.payloads import Tree, change, records_of

_SOME = 50  # faults that spoil some rows spoil one in so many, the first among them
HTML = b"<!DOCTYPE html><html><body><h1>Scheduled maintenance</h1></body></html>"

SILENT = ("hang", "reset")  # no status is ever sent
SENDING = ("hang", "drip", "reset", "truncated", "short_length")
REPLACING = ("redirect", "gzip_bomb", "html", "empty", "no_data")
BYTES = ("malformed", "nan_token")
TREE = (
    "field_added",
    "field_vanished",
    "field_renamed",
    "field_retyped",
    "wrong_sum",
    "nan",
    "conflict",
)
KINDS = (*SENDING, *REPLACING, *BYTES, *TREE)


@dataclass(frozen=True)
class Fault:
    """A fault: an HTTP status (``500``) or one of ``KINDS``.

    ``seconds``: how long a hang or a drip lasts. ``field``: the dotted name that a drift touches
    (by default the feed's main one). ``location``: where a redirect leads. ``megabytes``: what a
    bomb unpacks to. ``retry_after``: that header of a status, as it shall be sent.
    """

    kind: str
    seconds: float = 30.0
    field: str = ""
    location: str = "http://elsewhere.invalid/"
    megabytes: int = 256
    retry_after: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS and self.status is None:
            msg = f"{self.kind!r} is no fault: expected an HTTP status or {', '.join(KINDS)}"
            raise ValueError(msg)

    @property
    def status(self) -> int | None:
        """The HTTP status that replaces the answer, where that is the fault."""
        code = self.kind.isdecimal() and int(self.kind)
        return code if code in range(100, 600) else None


class Details(TypedDict, total=False):
    """The fields of a ``Fault`` beside its kind."""

    seconds: float
    field: str
    location: str
    megabytes: int
    retry_after: str


class Queue:
    """Faults waiting for the requests that they match, first come first served."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, str, int]] = []
        self._lock = threading.Lock()

    def put(self, fault: Fault, *, times: int = 1, match: str = "") -> None:
        """Let ``fault`` meet the next ``times`` requests whose target holds ``match``."""
        with self._lock:
            self._waiting.append((fault, match, times))

    def take(self, target: str) -> Fault | None:
        """The fault that meets a request for ``target``."""
        with self._lock:
            for i, (fault, match, times) in enumerate(self._waiting):
                if match in target:
                    left = [(fault, match, times - 1)] if times > 1 else []
                    self._waiting[i : i + 1] = left
                    return fault
        return None

    def clear(self) -> None:
        """Forget all that is waiting."""
        with self._lock:
            self._waiting.clear()


def spoil_tree(fault: Fault, tree: Tree, main: str) -> Tree:
    """``tree`` with its records drifted or wrong."""
    records = records_of(tree)
    if fault.kind == "conflict":
        return _contradicted(tree, records, main)
    spoil, every = _SPOILS[fault.kind]
    for record in records[::every]:
        change(record, fault.field or main, spoil)
    return tree


def _add(holder: Tree, name: str) -> None:
    holder[f"{name}Quality"] = "GOOD"


def _vanish(holder: Tree, name: str) -> None:
    del holder[name]


def _rename(holder: Tree, name: str) -> None:
    holder[f"New{name}"] = holder.pop(name)


def _retype(holder: Tree, name: str) -> None:
    value = holder[name]
    holder[name] = float(value) if _is_number(value) else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, str) and value.replace(".", "", 1).lstrip("-").isdecimal()


def _miscount(holder: Tree, name: str) -> None:
    value = holder[name]
    wrong = round(float(value) + 0.04, 3)
    holder[name] = f"{wrong:.2f}" if isinstance(value, str) else wrong


def _not_a_number(holder: Tree, name: str) -> None:
    holder[name] = "NaN"


_SPOILS: dict[str, tuple[Callable[[Tree, str], None], int]] = {
    "field_added": (_add, 1),
    "field_vanished": (_vanish, 1),
    "field_renamed": (_rename, 1),
    "field_retyped": (_retype, 1),
    "wrong_sum": (_miscount, _SOME),
    "nan": (_not_a_number, _SOME),
    "nan_token": (_not_a_number, _SOME),
}


def _contradicted(tree: Tree, records: list[Tree], main: str) -> Tree:
    """The first record a second time, with another value."""
    again: Tree = json.loads(json.dumps(records[0]))
    change(again, main, _miscount)
    return _with_records(tree, [*records, again])


def _with_records(tree: Tree, records: list[Tree]) -> Tree:
    for name, value in tree.items():
        if isinstance(value, list) or (isinstance(value, dict) and value is records[0]):
            return {**tree, name: records}
        if isinstance(value, dict) and len(tree) == 1:
            return {name: _with_records(value, records)}
    return tree


def spoil_bytes(fault: Fault, body: bytes) -> bytes:
    """``body`` as no parser should take it."""
    if fault.kind == "nan_token":
        return body.replace(b'"NaN"', b"NaN")
    mark = b"</" if body.startswith(b"<") else b'":'
    at = body.find(mark, len(body) * 2 // 3)
    at = (body.find(mark) if at < 0 else at) + len(mark)
    return body[:at] + b"{{" + body[at:]


@cache
def bomb(megabytes: int) -> bytes:
    """A small gzip member that unpacks to ``megabytes`` of blanks."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blanks = b" " * 2**20
    return b"".join(packer.compress(blanks) for _ in range(megabytes)) + packer.flush()
