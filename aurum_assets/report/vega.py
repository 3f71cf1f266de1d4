"""Vega in a process of its own: it takes most of a second to start, and holds the interpreter.

    python vega.py      a line of JSON in: a Vega-Lite chart; a line of JSON out: its SVG

The process imports nothing of ours. It ends with its standard input, so with whoever started it.
"""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import IO, Any, NamedTuple


class _Beside(NamedTuple):
    process: "subprocess.Popen[str]"
    asking: ThreadPoolExecutor


_running: ContextVar[_Beside | None] = ContextVar("vega", default=None)


@contextlib.contextmanager
def beside() -> Iterator["subprocess.Popen[str]"]:
    """Within, charts are drawn by a process that starts now, while their makers go on."""
    command = [sys.executable, "-P", __file__]
    pipe = subprocess.PIPE
    asking = ThreadPoolExecutor(1, "vega")  # one line at a time, so that no pipe is ever full
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603
        token = _running.set(_Beside(process, asking))
        try:
            yield process
        finally:
            _running.reset(token)
            process.kill()  # it may just be drawing: an interrupt waits for nothing
            asking.shutdown(cancel_futures=True)


def svg(chart: dict[str, Any]) -> Callable[[], str]:
    """What gives the SVG of a Vega-Lite chart, which is being drawn from now on.

    It raises ``ValueError`` for a chart that Vega refuses.
    """
    found = _running.get()
    if found is None:
        return partial(_drawn, chart)
    asked = found.asking.submit(_asked, found.process, json.dumps(chart))

    def answer() -> str:
        line = asked.result()
        if not line:  # the process was lost
            return _drawn(chart)
        told = json.loads(line)
        if "refused" in told:
            raise ValueError(told["refused"])
        return str(told["svg"])

    return answer


def _asked(process: "subprocess.Popen[str]", line: str) -> str:
    """The process's answer to a line; empty where there is no process any more."""
    if process.stdin is None or process.stdout is None or process.stdin.closed:
        return ""
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # it still holds what could not be sent
        return ""
    return process.stdout.readline()


def _drawn(chart: dict[str, Any]) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(chart, allowed_base_urls=[]))


def _serve(charts: IO[str], answers: IO[str]) -> None:
    _drawn({"data": {"values": []}, "mark": "point"})  # it starts with its first chart
    for line in charts:
        try:
            answer = {"svg": _drawn(json.loads(line))}
        except ValueError as error:
            answer = {"refused": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who waits
    _serve(sys.stdin, sys.stdout)
