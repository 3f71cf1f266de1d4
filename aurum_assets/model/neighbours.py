"""Fields beside the list of records, and whether they mean that the list is partial.

An answer holds its wrapper, its records and, in some dialects, a header. Anything else is drift: it
may be harmless, or mean that more is to come. A partial answer holds good records, which are
stored; it never counts as a complete one.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aurum_assets.model.drift import PARTIAL, Drift

_NEXT = {"next", "nextpage", "nextlink", "nexturl", "nextpageurl", "nexthref", "nexttoken"}
_NEXT |= {"nextpagetoken", "continuation", "continuationtoken", "continuationuri", "odatanextlink"}
_MORE = {"hasmore", "hasnext", "more", "truncated", "partial", "incomplete"}
_ERROR = {"error", "errors", "errormessage", "fault"}
_STATUS = {"partial", "incomplete", "truncated", "error", "failed", "failure"}
_FAILED = re.compile(r"[45]\d\d")  # HTTP statuses
_PAGES = {"totalpages", "pagecount", "numberofpages"}
_NOTHING: tuple[Any, ...] = ("", None, False, 0, "0", "false", "null", "none", [], {})
_DEEP = 4
_SHOWN = 60


def neighbours_of(
    tree: Mapping[str, Any], path: tuple[str, ...], header: Mapping[str, Any]
) -> dict[str, Any]:
    """By dotted name, the fields beside the records at ``path`` that are not in ``header``.

    ``path`` begins where ``tree`` does. ``header``: the names that the dialect declares, a dict of
    names where one holds others. Names with ``@`` describe the document, not the data.
    """
    found: dict[str, Any] = {}
    inner: Any = tree
    known, before = header, ""
    for name in path:
        if not isinstance(inner, dict):
            break
        found |= _beyond(inner, {**known, name: None}, before)
        inner, known, before = inner.get(name), known.get(name) or {}, f"{before}{name}."
    return found


def _beyond(
    tree: Mapping[str, Any], known: Mapping[str, Any], before: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if name not in known:
            if not name.startswith("@"):
                yield before + name, value
        elif isinstance(known[name], dict) and isinstance(value, dict):
            yield from _beyond(value, known[name], f"{before}{name}.")


def drift_of_neighbours(found: Mapping[str, Any], record: str) -> tuple[Drift, ...]:
    """The drift that each neighbour means for records named ``record``."""
    return tuple(_drift(name, value, record) for name, value in found.items())


def _drift(name: str, value: Any, record: str) -> Drift:  # noqa: ANN401  whatever an answer holds
    if name.rpartition(".")[2] == record:
        detail = (
            f"the answer is partial: there are more records at {name}, beside those that were read"
        )
        return Drift(PARTIAL, name, detail)
    sign = next(_signs(name, value), None)
    if sign is not None:
        return Drift(PARTIAL, name, f"the answer is partial: it says {sign} beside its records")
    return Drift("added", name, f"{name} is beside the records, and is new")


def _signs(name: str, value: Any, depth: int = 0) -> Iterator[str]:  # noqa: ANN401
    """The neighbours, outermost first, that mean that the answer is partial, or an error."""
    if _is_sign(re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower()), value):
        yield _shown(name, value)
    elif depth < _DEEP:
        for what in value if isinstance(value, list) else [value]:
            inner = what if isinstance(what, dict) else {}
            for key, of in inner.items():
                yield from _signs(f"{name}.{key}", of, depth + 1)


def _is_sign(plain: str, value: Any) -> bool:  # noqa: ANN401
    """Whether a neighbour of that ``plain`` name and ``value`` means that more is to come."""
    if plain == "status" and isinstance(value, str | int):
        return str(value).strip().lower() in _STATUS or bool(_FAILED.fullmatch(str(value)))
    if plain in {"complete", "iscomplete"}:
        return str(value).strip().lower() == "false"
    if plain in _PAGES:
        return str(value).strip().isdecimal() and int(value) > 1
    if plain == "rel":  # of a link
        return str(value) == "next"
    return plain in _ERROR | _NEXT | _MORE and _is_set(value)


def _is_set(value: Any) -> bool:  # noqa: ANN401
    """Whether a neighbour has a value: an empty link or error means that there is none."""
    plain = value.strip().lower() if isinstance(value, str) else value
    return not any(plain == nothing for nothing in _NOTHING)


def _shown(name: str, value: Any) -> str:  # noqa: ANN401
    text = repr(value)
    return f"{name} {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}"
