"""Names of hosts that DNS does not know. That is no outage: asking again brings the same answer,
except while the container of that name starts.

Where no DNS server answers (``EAI_AGAIN``), it is an outage like any other.
"""

import socket

_UNKNOWN = {socket.EAI_NONAME, socket.EAI_NODATA}


def is_unknown(error: BaseException | None) -> bool:
    """Whether ``error``, or what it was made from, says that a host's name is not known."""
    while error is not None:
        if isinstance(error, socket.gaierror):
            return error.errno in _UNKNOWN
        error = error.__cause__ or error.__context__
    return False


def unknown(host: str, variable: str) -> str:
    """Which name it is, and what to do."""
    return f"the name {host} is not known here: check {variable}, or this machine's DNS"
