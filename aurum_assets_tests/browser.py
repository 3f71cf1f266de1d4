"""A headless Chromium without a network, asked by its DevTools: what a page does and shows.

Chromium is not installed by make: what needs it says so.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from websockets.sync.client import ClientConnection, connect

Json = dict[str, Any]
Scheme = Literal["light", "dark"]
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE = 60.0
_LISTENS = "DevTools listening on "
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-port=0",
)


def chromium() -> str | None:
    """The path of a Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@dataclass
class Seen:
    """What a page did while it was opened: addresses that it asked for, and what was logged."""

    requests: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)


class Tab:
    """A page of a browser."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session, self._number = socket, session, 0
        self.seen = Seen()
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._ask(f"{domain}.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self._ask("Network.emulateNetworkConditions", **offline)

    def open(self, path: Path, width: int, scheme: Scheme = "light", *, scale: float = 1) -> Seen:
        """Open a file, ``width`` px wide; returns what it did until it was loaded."""
        self.seen = Seen()
        size: Json = {"width": width, "height": 1_000, "mobile": width < 600}  # noqa: PLR2004  a phone
        self._ask("Emulation.setDeviceMetricsOverride", deviceScaleFactor=scale, **size)
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        self._ask("Emulation.setEmulatedMedia", features=wanted)
        self._ask("Page.navigate", url=path.resolve().as_uri())
        until = time.monotonic() + _PATIENCE
        while self.tell("document.readyState") != "complete":
            if time.monotonic() > until:
                msg = f"{path} was not loaded within {_PATIENCE:.0f} s"
                raise TimeoutError(msg)
            time.sleep(0.05)
        return self.seen

    def tell(self, expression: str) -> Any:  # noqa: ANN401  any value of JSON
        """The value of a JavaScript expression, as a person with the console would see it."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def picture(self, path: Path, height: int | None = None, top: float = 0) -> None:
        """Write what is to be seen from ``top`` on to a PNG or WebP; to the end where no height."""
        width = self.tell("innerWidth")
        high = height or self.tell("document.documentElement.scrollHeight") - top
        clip = {"x": 0, "y": top, "width": width, "height": high, "scale": 1}
        form: Json = {"format": path.suffix[1:]}
        form |= {"quality": 82} if form["format"] == "webp" else {}
        taken = self._ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True, **form)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _ask(self, method: str, **parameters: object) -> Json:
        self._number += 1
        question = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(question | {"sessionId": self._session}))
        while True:
            message: Json = json.loads(self._socket.recv(timeout=_PATIENCE))
            if message.get("id") == self._number:
                if "error" in message:
                    msg = f"{method}: {message['error']['message']}"
                    raise RuntimeError(msg)
                found: Json = message["result"]
                return found
            self._note(message)

    def _note(self, message: Json) -> None:
        kind, said = message.get("method"), message.get("params", {})
        if kind == "Network.requestWillBeSent":
            self.seen.requests.append(said["request"]["url"])
        elif kind == "Log.entryAdded":
            self.seen.logged.append(said["entry"]["text"])
        elif kind == "Runtime.consoleAPICalled":
            self.seen.logged.append(str(said["args"]))
        elif kind == "Runtime.exceptionThrown":
            self.seen.logged.append(said["exceptionDetails"]["text"])


@contextmanager
def browser() -> Iterator[Tab]:
    """A tab of a new Chromium, which is ended with the block."""
    program = chromium()
    if program is None:
        msg = f"none of {', '.join(_NAMES)} is on the path: install Chromium"
        raise FileNotFoundError(msg)
    with tempfile.TemporaryDirectory(prefix="aurum-browser-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(  # noqa: S603  a browser of this machine
            [program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with connect(_address(process), max_size=None) as socket:
                yield Tab(socket, _attached(socket))
        finally:
            process.terminate()
            process.wait(timeout=_PATIENCE)


def _address(process: "subprocess.Popen[str]") -> str:
    """Where the browser listens, once it says so."""
    if process.stderr is not None:
        for line in process.stderr:
            if line.startswith(_LISTENS):
                return line.removeprefix(_LISTENS).strip()
    msg = "Chromium ended before it listened"
    raise RuntimeError(msg)


def _attached(socket: ClientConnection) -> str:
    """The session of the browser's first page."""

    def ask(number: int, method: str, **parameters: object) -> Json:
        socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message: Json = json.loads(socket.recv(timeout=_PATIENCE))
            if message.get("id") == number:
                found: Json = message["result"]
                return found

    targets = ask(1, "Target.getTargets")["targetInfos"]
    page = next(target["targetId"] for target in targets if target["type"] == "page")
    session: str = ask(2, "Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
    return session
