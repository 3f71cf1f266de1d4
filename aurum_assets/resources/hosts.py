"""Detect host names that DNS does not know, which a retry does not help.

Except while the container of that name starts. Where no DNS server answers (``EAI_AGAIN``), it is
an outage like any other.
"""

import socket

_UNKNOWN = {socket.EAI_NONAME, socket.EAI_NODATA}


def is_unknown(error: BaseException | None) -> bool:
    """Whether ``error`` or one of its causes means that a host name is unknown."""
    while error is not None:
        if isinstance(error, socket.gaierror):
            return error.errno in _UNKNOWN
        error = error.__cause__ or error.__context__
    return False


def unknown(host: str, variable: str) -> str:
    """A sentence naming the host and the variable to check."""
    return f"the name {host} is not known here: check {variable}, or this machine's DNS"
