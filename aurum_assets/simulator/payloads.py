"""How an answer is written: a tree of records as JSON or as XML, and the fast way for large ones.

A tree is what the JSON says: ``@name`` is an attribute in XML, ``$`` the text. Nothing here knows
what the numbers mean or when they are due.
"""

import html
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

Tree = dict[str, Any]
Format = str  # "json" or "xml"

_NAMESPACE = "http://WEBSERV.iso-ne.com"
_NEWER = "isone_web_services"  # the newer feeds have this root, and a namespace of their own
_NEWER_NAMESPACE = "http://WEBSERV.iso-ne.com/isone_web_services"
_PROLOGUE = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
BLANK_NUMBER = "%n"  # what stands for a number in a record of ``form``; a text is ``%s``


def number(hundredths: int) -> int | float:
    """Hundredths as the operator writes them in JSON: ``39``, ``0.16``, ``-4.2``."""
    whole, rest = divmod(hundredths, 100)
    return hundredths / 100 if rest else whole


def thousandths(value: int) -> int | float:
    """Thousandths as the operator writes them in JSON: ``12000``, ``15012.5``."""
    whole, rest = divmod(value, 1000)
    return value / 1000 if rest else whole


@cache
def number_text(hundredths: int) -> str:
    """Hundredths as text."""
    return repr(number(hundredths))


def render(tree: Tree, fmt: Format) -> bytes:
    """``tree`` in the format asked for."""
    if fmt == "json":
        return msgspec.json.encode(tree)
    ((name, value),) = tree.items()
    root = value[0] if isinstance(value, list) else value
    namespace = _NEWER_NAMESPACE if name == _NEWER else _NAMESPACE
    return (_PROLOGUE + _element(name, root, f' xmlns="{namespace}"')).encode()


def _element(name: str, value: Any, extra: str = "") -> str:  # noqa: ANN401  whatever JSON holds
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if not isinstance(value, dict):
        text = "" if value is None else html.escape(str(value), quote=False)
        return f"<{name}{extra}>{text}</{name}>" if text else f"<{name}{extra}/>"
    attributes = "".join(f' {k[1:]}="{html.escape(v)}"' for k, v in value.items() if k[0] == "@")
    inner = "".join(_element(k, v) for k, v in value.items() if k[0] not in "@$")
    text = html.escape(str(value.get("$", "")), quote=False)
    return f"<{name}{extra}{attributes}>{text}{inner}</{name}>"


def wrapped(outer: str, inner: str, records: Sequence[Tree]) -> Tree:
    """Records in the operator's two wrappers: a lone one is an object, none at all are ``""``."""
    if not records:
        return {outer: ""}
    return {outer: {inner: records[0] if len(records) == 1 else list(records)}}


def wrapped_newer(outer: str, inner: str, records: Sequence[Tree]) -> Tree:
    """Records in the wrappers of the operator's newer, snake_case feeds: one more around them."""
    return {_NEWER: wrapped(outer, inner, records)}


def form(inner: str, blanks: Iterable[Tree], fmt: Format) -> str:
    """Records with blanks as one text to be filled by ``%``."""
    if fmt == "json":
        texts = [msgspec.json.encode(blank).decode() for blank in blanks]
        return ",".join(texts).replace(f'"{BLANK_NUMBER}"', "%s")
    return "".join(_element(inner, blank) for blank in blanks).replace(BLANK_NUMBER, "%s")


def assemble(outer: str, inner: str, filled: Sequence[str], fmt: Format) -> bytes:
    """Filled forms of several records as the bytes that ``render`` gives for ``wrapped``."""
    if fmt == "json":
        return f'{{"{outer}":{{"{inner}":[{",".join(filled)}]}}}}'.encode()
    return (f'{_PROLOGUE}<{outer} xmlns="{_NAMESPACE}">' + "".join(filled) + f"</{outer}>").encode()


def records_of(tree: Any) -> list[Tree]:  # noqa: ANN401  whatever JSON holds
    """The records of a tree: its first list of objects, or the one innermost lone object."""
    if isinstance(tree, list):
        return tree
    lists = [value for value in tree.values() if isinstance(value, list)]
    if lists:
        return list(lists[0])
    inner = [value for value in tree.values() if isinstance(value, dict)]
    if len(tree) == 1 and inner:
        return records_of(inner[0])
    return [tree]


def change(record: Tree, dotted: str, how: Callable[[Tree, str], None]) -> None:
    """Apply ``how`` to the object that holds the field ``dotted``, and to the field's own name."""
    *path, name = dotted.split(".")
    for step in path:
        record = record.get(step, {})
    if name in record:
        how(record, name)
