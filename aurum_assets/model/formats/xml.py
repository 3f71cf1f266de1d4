"""XML as the tree that JSON would be: attributes ``@name``, text ``$``, a repeated child a list."""

from typing import Any

from lxml import etree

from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.formats.text import Pairs


def decode(body: bytes, careful: bool) -> dict[str, Any]:  # noqa: FBT001
    """The tree of ``body``. Raises ``MalformedPayload`` where it brings a document type."""
    del careful  # no element can be there twice: then it is a list
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,  # or the text before a comment would stand for all of it
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(error) from error
    if root.getroottree().docinfo.internalDTD is not None:
        msg = "the XML brings a document type of its own, which is refused"
        raise MalformedPayload(msg)
    return {_local(root): _element(root)}


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _element(element: etree._Element) -> Any:
    attributes = {f"@{str(k).rpartition('}')[2]}": v for k, v in element.attrib.items()}
    if attributes.pop("@nil", "") in {"true", "1"}:
        return None
    children = [c for c in element if isinstance(c.tag, str)]
    if not children and not attributes:
        return element.text or ""
    found: dict[str, Any] = Pairs(attributes)
    if element.text and element.text.strip():
        found["$"] = element.text
    for child in children:
        name, value = _local(child), _element(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found
