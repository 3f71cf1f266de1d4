"""The formats in which operators answer, by name. Adding one: a module here, and one line below.

A format decodes bytes into a tree: dicts, lists and values. Where in the tree the records and the
header lie is a matter of the dialect, and of ``document``.
"""

from collections.abc import Mapping

from aurum_assets.model.dataset import Dataset, FormatName
from aurum_assets.model.formats import csv, json, xml
from aurum_assets.model.formats.text import Format

BOM = b"\xef\xbb\xbf"

FORMATS: Mapping[FormatName, Format] = {
    "json": Format(json.decode, "application/json", typed=True, ends=(b"}", b"]")),
    "xml": Format(xml.decode, "application/xml", typed=False, ends=(b">",)),
    "csv": Format(csv.decode, "text/csv", typed=False),
}


def sniff(dataset: Dataset, body: bytes) -> FormatName:
    """``xml`` where the first character is ``<``; else ``json``, or ``csv`` where ``dataset`` has a
    dialect without wrappers and no JSON begins.
    """
    first = body.removeprefix(BOM).lstrip()[:1]
    if first == b"<":
        return "xml"
    has_table = any(not dialect.path for dialect in dataset.dialects)
    return "csv" if has_table and first not in (b"{", b"[") else "json"
