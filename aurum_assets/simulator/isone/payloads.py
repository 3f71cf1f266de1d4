"""How ISO New England writes: XML namespaces, wrappers, and the fast way for large answers."""

from collections.abc import Iterable, Sequence

import msgspec

from aurum_assets.simulator.payloads import PROLOGUE, Format, Tree, element, to_json, to_xml

_NAMESPACE = "http://WEBSERV.iso-ne.com"
_NEWER = "isone_web_services"  # the newer feeds have this root, and a namespace of their own
_NEWER_NAMESPACE = "http://WEBSERV.iso-ne.com/isone_web_services"
BLANK_NUMBER = "%n"  # what stands for a number in a record of ``form``; a text is ``%s``


def render(tree: Tree, fmt: Format) -> bytes:
    """``tree`` in the format asked for."""
    if fmt == "json":
        return to_json(tree)
    return to_xml(tree, _NEWER_NAMESPACE if _NEWER in tree else _NAMESPACE)


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
    return "".join(element(inner, blank) for blank in blanks).replace(BLANK_NUMBER, "%s")


def assemble(outer: str, inner: str, filled: Sequence[str], fmt: Format) -> bytes:
    """Filled forms of several records as the bytes that ``render`` gives for ``wrapped``."""
    if fmt == "json":
        return f'{{"{outer}":{{"{inner}":[{",".join(filled)}]}}}}'.encode()
    return (f'{PROLOGUE}<{outer} xmlns="{_NAMESPACE}">' + "".join(filled) + f"</{outer}>").encode()
