"""Writing a reply: the format asked for, packed where the client takes it, spoiled where asked for.

Which faults there are is in ``faults``, how bytes go over the socket in ``wire``.
"""

import gzip
from collections.abc import Callable, Hashable, Mapping, Sequence

from aurum_assets.simulator import faults
from aurum_assets.simulator.faults import Fault
from aurum_assets.simulator.payloads import Format, Tree, to_json
from aurum_assets.simulator.wire import Reply
from aurum_assets.simulator.world import Answer, Shelf

_SMALL = 256  # bytes that are not worth packing
_TYPES = {"json": "application/json", "xml": "application/xml"}
Render = Callable[[Tree, Format], bytes]
_JSON = {"Content-Type": _TYPES["json"]}


def refusal(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Reply:
    """A page of HTML that says no, as the operators' front doors do."""
    body = f"<html><body><h1>{status}</h1><p>{reason}</p></body></html>".encode()
    return Reply(status, body, {"Content-Type": "text/html", **(headers or {})})


def problem(status: int, tree: Tree) -> Reply:
    """JSON that says why not."""
    return Reply(status, to_json(tree), _JSON)


def asked_format(
    path: str, headers: Mapping[str, str], formats: Sequence[Format]
) -> tuple[str, Format]:
    """The path without its suffix, and the format that suffix or ``Accept`` asks for.

    The last of several formats is sent where neither asks for one; a lone one has no suffix.
    """
    if len(formats) == 1:
        return path, formats[0]
    for fmt in formats:
        if path.endswith(f".{fmt}"):
            return path.removesuffix(f".{fmt}"), fmt
    accepted = headers.get("accept", "")
    return path, next((fmt for fmt in formats if _TYPES[fmt] in accepted), formats[-1])


def written(
    answer: Answer,
    fmt: Format,
    render: Render,
    headers: Mapping[str, str],
    fault: Fault | None,
    shelf: Shelf,
) -> Reply:
    """``answer`` as bytes: from the shelf where the same was written before."""
    if fault is not None and fault.kind in (*faults.BYTES, *faults.TREE):
        key: Hashable = None
        body = _spoiled(answer, fmt, render, fault)
    else:
        key = answer.key and (answer.key, fmt)
        body = _kept(shelf, key, lambda: _plain(answer, fmt, render))
    sent = {"Content-Type": _TYPES[fmt]}
    if "gzip" in headers.get("accept-encoding", "") and len(body) >= _SMALL:
        plain = body
        body = _kept(shelf, key and (key, "gzip"), lambda: gzip.compress(plain, 1, mtime=0))
        sent["Content-Encoding"] = "gzip"
    return Reply(200, body, sent, fault)


def _kept(shelf: Shelf, key: Hashable, make: Callable[[], bytes]) -> bytes:
    return shelf.get(key, make) if key else make()


def _plain(answer: Answer, fmt: Format, render: Render) -> bytes:
    return answer.fast(fmt) if answer.fast else render(answer.tree(), fmt)


def _spoiled(answer: Answer, fmt: Format, render: Render, fault: Fault) -> bytes:
    tree = answer.tree()
    if fault.kind != "malformed":
        tree = faults.spoil_tree(fault, tree, answer.main)
    body = render(tree, fmt)
    return faults.spoil_bytes(fault, body) if fault.kind in faults.BYTES else body


def replaced(fault: Fault | None) -> Reply | None:
    """The reply that stands in for the answer, where the fault is of that sort."""
    if fault is None:
        return None
    if fault.status is not None:
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        return refusal(fault.status, "asked for", headers)
    make = _REPLACED.get(fault.kind)
    return make(fault) if make else None


def _bomb(fault: Fault) -> Reply:
    return Reply(200, faults.bomb(fault.megabytes), _JSON | {"Content-Encoding": "gzip"})


_REPLACED: Mapping[str, Callable[[Fault], Reply]] = {
    "redirect": lambda fault: Reply(302, b"", {"Location": fault.location}),
    "gzip_bomb": _bomb,
    "html": lambda _: Reply(200, faults.HTML, {"Content-Type": "text/html"}),
    "empty": lambda _: Reply(200, b"", _JSON),
    "no_data": lambda _: Reply(200, b'{"error":"no data"}', _JSON),
}
