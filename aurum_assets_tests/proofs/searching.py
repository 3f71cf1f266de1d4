"""Looking for secrets in all that was written: each is known by a core that no encoding hides.

A canary's core is letters and digits, so that percent signs, quotes and JSON leave it as it is;
base64 is looked for at each of the three ways in which the core may lie in it. What is packed is
unpacked: gzip, Parquet, Avro, SQLite (whose long values lie in pieces).
"""

import base64
import contextlib
import gzip
import sqlite3
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

_SYNC = 16  # bytes between an Avro file's blocks
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Canary:
    """A secret of no other use: where it is set, its ``value``, and the ``core`` of that."""

    name: str
    value: str
    core: str

    @property
    def needles(self) -> list[bytes]:
        """The core as it is, and as it looks within base64 of anything that holds it."""
        core = self.core.encode()
        inner = []
        for before in range(3):
            text = base64.b64encode(b"\0" * before + core)
            inner.append(text[-(-before * 8 // 6) : len(text) - 4])
        return [core, *inner]


def canary(name: str, around: str = "{}") -> Canary:
    """A canary whose core is made of ``name``; ``around`` holds the rest of its value."""
    core = "c4n4ry" + "".join(c for c in name.lower() if c.isalnum()) + "9z8y7x"
    return Canary(name, around.format(core), core)


@dataclass
class Search:
    """Where each of ``canaries`` was found, and how much was looked through, by place."""

    canaries: Sequence[Canary]
    hits: list[str] = field(default_factory=list)
    volume: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)

    def look(self, place: str, name: str, content: bytes) -> None:
        """Look through ``content``, called ``name``, of a ``place``."""
        self.volume[place] += len(content)
        self.items[place] += 1
        for one in self.canaries:
            if any(needle in content for needle in one.needles):
                self.hits.append(f"{one.name} in {place}: {name}")

    def folder(self, root: Path) -> None:
        """Look through every file below ``root``: its name, its bytes, and what they unpack to."""
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            place, name = _place(path), str(path.relative_to(root))
            self.look("names of files", name, name.encode())
            content = path.read_bytes()
            self.look(place, name, content)
            for inner in _unpacked(path, content):
                self.look(place, f"{name}, unpacked", inner)


_PLACES = {
    ".log": "logs",
    ".out": "stdout",
    ".err": "stderr",
    ".gz": "archived objects",
    ".parquet": "tables",
    ".avro": "tables' manifests",
}


def _place(path: Path) -> str:
    if path.name.endswith((".meta.json", ".reason.json", ".settled.json")):
        return "archived objects"
    if path.name.endswith(".metadata.json"):
        return "tables' metadata"
    if {"dagster", "dagster-postgres"} & set(path.parts):
        return "Dagster's storage"
    return _PLACES.get(path.suffix, "all other files")


def _unpacked(path: Path, content: bytes) -> Iterator[bytes]:
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    elif content.startswith(b"PAR1"):
        yield _parquet(path)
    elif content.startswith(b"Obj\x01"):
        yield from _avro(content)
    elif content.startswith(b"SQLite format 3\0"):
        yield _sqlite(path)


def _parquet(path: Path) -> bytes:
    from pyarrow import parquet

    table = parquet.read_table(path)
    metadata = repr(table.schema.metadata) + repr(parquet.read_metadata(path).metadata)
    return metadata.encode() + repr(table.to_pydict()).encode()


def _avro(content: bytes) -> Iterator[bytes]:
    """Each block: two numbers of up to ten bytes, then deflate."""
    sync = content[-_SYNC:]
    for block in content.split(sync)[1:]:
        for start in range(min(20, len(block))):
            with contextlib.suppress(zlib.error):
                yield zlib.decompress(block[start:], -zlib.MAX_WBITS)


def _sqlite(path: Path) -> bytes:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [repr(row) for n in names for row in db.execute(f'SELECT * FROM "{n}"')]  # noqa: S608  the file's own names
    return "\n".join(rows).encode()


class Titles:
    """Reads the command line of every process, again and again, until the block ends."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):  # it has ended
                    self.seen.add(path.read_bytes())
