"""What all formats have in common: what a format is, the limits on size, the encoding."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aurum_assets.model.errors import MalformedPayload

# How JSON and XML begin in encodings that nobody sends; the longer marks first.
_WIDE: Mapping[str, tuple[bytes, ...]] = {
    "utf-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff"),
    "utf-32-le": (b"<\0\0\0", b"{\0\0\0", b"[\0\0\0"),
    "utf-32-be": (b"\0\0\0<", b"\0\0\0{", b"\0\0\0["),
    "utf-16": (b"\xff\xfe", b"\xfe\xff"),
    "utf-16-le": (b"<\0", b"{\0", b"[\0"),
    "utf-16-be": (b"\0<", b"\0{", b"\0["),
}
_MOST_VALUES = 5_000_000  # 64 MB of prices hold about two million


@dataclass(frozen=True)
class Format:
    """A way to write a tree as bytes.

    ``decode(body, careful)`` gives the tree, and raises ``ValueError`` where ``body`` is none;
    ``careful``: names that an object holds twice are noted (``Pairs``). ``typed``: its values have
    types of their own, and are not all text. ``ends``: the last character of a whole answer; any
    where empty.
    """

    decode: Callable[[bytes, bool], Any]
    media_type: str
    typed: bool
    ends: tuple[bytes, ...] = ()

    def is_whole(self, body: bytes) -> bool:
        """Whether ``body`` ends as a whole answer does."""
        end = body.rstrip()[-1:]
        return end in self.ends if self.ends else bool(end)


class Pairs(dict[str, Any]):
    """An object that remembers which of its names it holds twice."""

    twice: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> "Pairs":
        """The object of these names and values."""
        found = cls(pairs)
        if len(found) != len(pairs):
            found.twice = tuple(n for n, c in Counter(n for n, _ in pairs).items() if c > 1)
        return found


class Ragged(list[Any]):
    """A row of a table that has not as many values as the table has columns."""

    columns = 0

    @classmethod
    def of(cls, values: list[Any], columns: int) -> "Ragged":
        """The row of these values, in a table of so many ``columns``."""
        found = cls(values)
        found.columns = columns
        return found


def require_one_name_each(columns: list[str]) -> None:
    """Raise ``MalformedPayload`` where two columns of a table have one name."""
    twice = next((n for n, count in Counter(columns).items() if count > 1), None)
    if twice is not None:
        msg = f"two columns of the table are called {twice!r}: none could tell which of them counts"
        raise MalformedPayload(msg)


def named(columns: list[str], row: list[Any]) -> dict[str, Any] | Ragged:
    """A row of a table as a record; as it is where it has not a value for each column."""
    if len(row) != len(columns):
        return Ragged.of(row, len(columns))
    return dict(zip(columns, row, strict=True))


def require_utf8(body: bytes) -> None:
    """Refuse text in UTF-16 or UTF-32, with a mark or with zeros in its first character."""
    for name, marks in _WIDE.items():
        if body.startswith(marks):
            with suppress(UnicodeDecodeError):
                body.decode(name)
                bits = name[:6].upper()
                msg = f"the bytes are text in {bits}, and operators send UTF-8: convert them first"
                raise MalformedPayload(msg)


def require_reasonable_size(values: int) -> None:
    """Refuse an answer of more values than any operator sends."""
    if values > _MOST_VALUES:
        msg = (
            f"the answer holds more than {_MOST_VALUES:,} values: no operator says so much at once"
        )
        raise MalformedPayload(msg)
