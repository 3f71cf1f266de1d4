"""Stand-ins for Glue and S3 behind one address: moto's server, in a process of its own."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

from aurum_assets_tests.servers.postgres import free_port

_PATIENCE = 30.0
_SET_PDEATHSIG = 1  # prctl's
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def aws_server() -> Iterator[str]:
    """The address of Glue and S3; any credentials will do."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(  # noqa: S603  our own server
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | CREDENTIALS,
        preexec_fn=_die_with_parent if _LIBC else None,  # noqa: PLW1509  a call of the C library, no lock
    )
    try:
        until = time.monotonic() + _PATIENCE
        while not _answers(url):
            assert process.poll() is None, "moto's server ended by itself"
            assert time.monotonic() < until, "moto's server does not answer"
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/moto-api/data.json", timeout=5) as answer:  # noqa: S310  http, ours
            return bool(answer.status)
    except OSError:
        return False


def _die_with_parent() -> None:
    assert _LIBC is not None
    _LIBC.prctl(_SET_PDEATHSIG, signal.SIGKILL)
