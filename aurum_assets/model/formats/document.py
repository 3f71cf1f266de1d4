"""A decoded answer, cut where its dialect says: the records, and the header beside them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aurum_assets.model.dataset import BLOCK, Dataset, Dialect, FormatName
from aurum_assets.model.drift import PARTIAL, Drift
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.formats import FORMATS
from aurum_assets.model.formats.csv import Rows
from aurum_assets.model.formats.fields import names_of
from aurum_assets.model.formats.text import (
    named,
    require_one_name_each,
    require_reasonable_size,
    require_utf8,
)
from aurum_assets.model.neighbours import drift_of_neighbours, neighbours_of

Tree = Any


@dataclass(frozen=True)
class Part:
    """The records of one block, and the header that holds for them."""

    records: list[Any]
    header: Mapping[str, Any]
    block: str = ""


@dataclass(frozen=True)
class Document:
    """An answer whose shape is that of ``dialect``. ``drift``: of what stands beside the records.

    There is one part; or one for each of the dialect's blocks that the answer holds.
    """

    dialect: Dialect
    parts: tuple[Part, ...]
    drift: tuple[Drift, ...] = field(default=())

    @property
    def records(self) -> list[Any]:
        """The records of all parts, one part after the other."""
        first, *others = (part.records for part in self.parts)
        return first + [record for some in others for record in some] if others else first

    @property
    def partial(self) -> str:
        """Why this is not the whole answer; empty where it does not say so."""
        return "; ".join(d.detail for d in self.drift if d.kind == PARTIAL)


def tree_of(body: bytes, fmt: FormatName, *, careful: bool = False) -> Tree:
    """``body`` as a tree. Raises ``MalformedPayload`` where it is none in that format."""
    require_utf8(body)
    require_reasonable_size(max(body.count(b","), body.count(b"<")))
    try:
        return FORMATS[fmt].decode(body, careful)
    except (ValueError, RecursionError) as error:
        why = str(error)
        if why in {"", "None"}:  # libxml's, of a text that its encoding leaves empty
            why = "nothing of it can be read"
        msg = f"the bytes are not {fmt.upper()}: {why}"
        raise MalformedPayload(msg) from error


def document_of(dataset: Dataset, tree: Tree) -> Document:
    """Find the dialect whose shape ``tree`` has, and cut the tree there.

    Raises ``MalformedPayload`` where it has that of none, or says that something went wrong.
    """
    if isinstance(tree, dict):
        _refuse_twice(dataset, tree)
    for dialect in dataset.dialects:
        document = _cut(dataset, dialect, tree)
        if document is None:
            continue
        if document.partial and not document.records:
            msg = f"{dataset.key}: no records came, and {document.partial}"
            raise MalformedPayload(msg)
        return document
    shapes = " and no ".join(dict.fromkeys(_shape(d) for d in dataset.dialects))
    names = getattr(tree, "columns", tree if isinstance(tree, dict) else None)
    found = f"a {type(tree).__name__}" if names is None else ", ".join(list(names)[:5])
    names_of_errors = ("error", "errors") if isinstance(tree, dict) else ()
    error_text = "".join(f", and says {tree[n]!r}" for n in names_of_errors if n in tree)
    msg = f"{dataset.key}: the answer holds no {shapes}; it holds {found or 'nothing'}{error_text}"
    raise MalformedPayload(msg)


def _cut(dataset: Dataset, dialect: Dialect, tree: Tree) -> Document | None:
    """``tree`` as a document in ``dialect``; None where it has another shape."""
    if not dialect.path:
        return _table(dialect, tree)
    if not isinstance(tree, dict):
        return None
    if not dialect.blocks:
        found = _part(dataset, dialect, tree)
        return found and Document(dialect, (found[0],), found[1])
    beside: Any = tree
    for name in dialect.path[: dialect.path.index(BLOCK)]:
        _refuse_twice(dataset, beside)
        beside = beside.get(name) if isinstance(beside, dict) else None
    _refuse_twice(dataset, beside)
    parts: list[Part] = []
    drift: list[Drift] = []
    for block in dialect.blocks:
        one = _of_block(tree, dialect.path, dialect.blocks, block)
        found = None if one is None else _part(dataset, dialect, one, block)
        if found is None:
            place = ".".join(dialect.path).replace(BLOCK, block)
            drift.append(Drift(PARTIAL, place, f"the answer is partial: it holds no {place}"))
        else:
            parts.append(found[0])
            drift += [d for d in found[1] if d not in drift]
    return Document(dialect, tuple(parts), tuple(drift)) if parts else None


def _table(dialect: Dialect, tree: Tree) -> Document | None:
    """A table whose columns, or a list whose first record's fields, the dialect knows any of."""
    if not isinstance(tree, list):
        return None
    first = next((record for record in tree if isinstance(record, dict)), {})
    known = set(dialect.record.__struct_encode_fields__)
    names = set(tree.columns if isinstance(tree, Rows) else first)
    fits = bool(known & names) or not (tree or isinstance(tree, Rows))
    return Document(dialect, (Part(tree, {}),)) if fits else None


def _part(
    dataset: Dataset, dialect: Dialect, tree: Mapping[str, Any], block: str = ""
) -> tuple[Part, tuple[Drift, ...]] | None:
    """The records of ``tree`` at the dialect's path, and the drift of what stands beside them."""
    start = next((i for i, name in enumerate(dialect.path) if name in tree), None)
    if start is None:
        return None
    path = dialect.path[start:]
    if not _has_header(names_of(dialect.header, required=True), tree, path):
        return None
    beside: Any = tree
    for name in path[:-1]:
        beside = beside.get(name) if isinstance(beside, dict) else None
        _refuse_twice(dataset, beside)
    if dialect.column_names and not (isinstance(beside, dict) and dialect.column_names in beside):
        return None
    records = _walk(tree, path)
    if records is None:
        return None
    if dialect.column_names:
        records = _named(dataset, beside[dialect.column_names], records)
    found = neighbours_of(tree, path, _known(dialect, path))
    drift = drift_of_neighbours(
        {n.replace(BLOCK, block) if block else n: v for n, v in found.items()}, path[-1]
    )
    return Part(records, _without(tree, list(path)), block), drift


def _known(dialect: Dialect, path: tuple[str, ...]) -> dict[str, Any]:
    """The names beside the records that are read, or left to other datasets."""
    known = names_of(dialect.header)
    for dotted in dialect.ignored:
        known = _with(known, dotted.split("."))
    if dialect.column_names:
        known = _with(known, [*path[:-1], dialect.column_names])
    return known


def _with(known: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    first, *others = path
    return {**known, first: _with(known.get(first) or {}, others) if others else None}


def _of_block(
    tree: Tree, path: Sequence[str], blocks: Sequence[str], block: str
) -> dict[str, Any] | None:
    """``tree`` with ``block`` in the place that the path leaves open, and without the others."""
    if not isinstance(tree, dict):
        return None
    if path[0] == BLOCK:
        rest = {name: value for name, value in tree.items() if name not in blocks}
        return {**rest, BLOCK: tree[block]} if block in tree else None
    inner = _of_block(tree.get(path[0]), path[1:], blocks, block)
    return None if inner is None else {**tree, path[0]: inner}


def _named(dataset: Dataset, columns: Tree, rows: list[Any]) -> list[Any]:
    """The rows of a table as records; what is no row stays as it is."""
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        msg = f"{dataset.key}: the names of the table's columns are no list of texts"
        raise MalformedPayload(msg)
    require_one_name_each(columns)
    return [named(columns, row) if isinstance(row, list) else row for row in rows]


def _shape(dialect: Dialect) -> str:
    """Where a dialect has its records, and the fields beside them: ``Interval[] (beside Date)``."""
    path = ".".join(dialect.path).replace(BLOCK, "|".join(dialect.blocks))
    if not path:
        return "table of " + ", ".join(dialect.record.__struct_encode_fields__)
    beside = [*_beside(names_of(dialect.header), dialect.path), dialect.column_names]
    named = ", ".join(filter(None, beside))
    return f"{path}[]" + (f" (beside {named})" if named else "")


def _beside(names: Mapping[str, Any], path: Sequence[str], before: str = "") -> Iterator[str]:
    for name, inner in names.items():
        if inner and name == path[0]:
            yield from _beside(inner, path[1:], f"{before}{name}.")
        else:
            yield before + name


def _refuse_twice(dataset: Dataset, tree: Tree) -> None:
    """A wrapper or header that appears twice: nobody could tell which of them counts."""
    twice = getattr(tree, "twice", ())
    if twice:
        msg = f"{dataset.key}: {twice[0]} appears twice beside the records"
        raise MalformedPayload(msg)


def _has_header(names: Mapping[str, Any], tree: Tree, path: Sequence[str]) -> bool:
    """Whether what the header declares along ``path`` is there."""
    if not names:
        return True
    if not isinstance(tree, dict) or not set(names) <= set(tree):
        return False
    inner = names.get(path[0])
    return not inner or _has_header(inner, tree[path[0]], path[1:])


def _walk(tree: Tree, path: Sequence[str]) -> list[Any] | None:
    """The records at ``path``: a lone object is a list of one; ``""``, ``{}``, null are none."""
    for name in path:
        if tree in ("", None) or tree == {}:
            return []
        if not isinstance(tree, dict) or name not in tree:
            return None
        tree = tree[name]
    if tree in ("", None) or tree == {}:
        return []
    if isinstance(tree, dict):
        return [tree]
    return tree if isinstance(tree, list) else None


def content_hash(body: bytes, fmt: FormatName, tree: Tree, volatile: Sequence[str]) -> str:
    """SHA-256 of the content less what is volatile, whatever the order of fields or white space."""
    text = msgspec.json.encode(tree, order="deterministic")
    if fmt == "json" and count_of(text, '"') != count_of(body, '"'):
        return hashlib.sha256(body).hexdigest()  # a name appears twice: no two spellings are one
    for dotted in volatile:
        tree = _without(tree, dotted.split("."))
    if volatile:
        text = msgspec.json.encode(tree, order="deterministic")
    return hashlib.sha256(text).hexdigest()


def _without(tree: Tree, path: list[str]) -> Any:
    """``tree`` without what stands at ``path``, in each record where it is a list of them."""
    if isinstance(tree, list):
        return [_without(record, path) for record in tree]
    if not isinstance(tree, dict):
        return tree
    if len(path) == 1:
        return {k: v for k, v in tree.items() if k != path[0]}
    inner = tree.get(path[0])
    return {**tree, path[0]: _without(inner, path[1:])} if path[0] in tree else dict(tree)


def count_of(body: bytes, character: str) -> int:
    """How often an ASCII ``character`` stands in ``body``."""
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == ord(character)))
