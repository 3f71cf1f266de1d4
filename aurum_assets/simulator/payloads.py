"""How an answer is written: a tree of records as JSON or as XML.

A tree is what the JSON says: ``@name`` is an attribute in XML, ``$`` the text. Nothing here knows
what the numbers mean or when they are due; wrappers and namespaces are each operator's own.
"""

import html
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

Tree = dict[str, Any]
Format = str  # "json", "xml"

PROLOGUE = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


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
    """Format hundredths as text."""
    return repr(number(hundredths))


def to_json(tree: Tree) -> bytes:
    """Encode ``tree`` as JSON."""
    return msgspec.json.encode(tree)


def to_xml(tree: Tree, namespace: str) -> bytes:
    """Encode ``tree``, which has one root, as XML of that namespace."""
    ((name, value),) = tree.items()
    root = value[0] if isinstance(value, list) else value
    return (PROLOGUE + element(name, root, f' xmlns="{namespace}"')).encode()


def element(name: str, value: Any, extra: str = "") -> str:  # noqa: ANN401  whatever JSON holds
    """Write an element, or one for each item of a list; ``extra`` goes into its opening tag."""
    if isinstance(value, list):
        return "".join(element(name, item) for item in value)
    if not isinstance(value, dict):
        text = "" if value is None else html.escape(str(value), quote=False)
        return f"<{name}{extra}>{text}</{name}>" if text else f"<{name}{extra}/>"
    attributes = "".join(f' {k[1:]}="{html.escape(v)}"' for k, v in value.items() if k[0] == "@")
    inner = "".join(element(k, v) for k, v in value.items() if k[0] not in "@$")
    text = html.escape(str(value.get("$", "")), quote=False)
    return f"<{name}{extra}{attributes}>{text}{inner}</{name}>"


def records_of(tree: Any) -> list[Tree]:  # noqa: ANN401  whatever JSON holds
    """The records of a tree: its lists of objects, the outermost ones and those beside them that
    lie as deep; or the one innermost lone object.
    """
    if isinstance(tree, list):
        return tree
    lists = [value for value in tree.values() if isinstance(value, list)]
    if lists:
        return list(lists[0])
    inner = [value for value in tree.values() if isinstance(value, dict)]
    if len(tree) == 1 and inner:
        return records_of(inner[0])
    deep = [v for block in inner for v in block.values() if isinstance(v, list)]
    return [record for some in deep for record in some] or [tree]


def change(record: Tree, dotted: str, how: Callable[[Tree, str], None]) -> None:
    """Apply ``how`` to the object that holds the field ``dotted``, and to the field's own name."""
    *path, name = dotted.split(".")
    for step in path:
        record = record.get(step, {})
    if name in record:
        how(record, name)
