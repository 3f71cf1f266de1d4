"""Vega in a process of its own: it takes most of a second to start, and holds the interpreter.

    python vega.py      a line of JSON in: a Vega-Lite chart; a line of JSON out: its SVG

The process imports nothing of ours. It ends with its standard input, so with whoever started it.
"""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import IO, Any

_running: ContextVar["subprocess.Popen[str] | None"] = ContextVar("vega", default=None)


@contextlib.contextmanager
def beside() -> Iterator["subprocess.Popen[str]"]:
    """Within, charts are drawn by a process that starts now."""
    command = [sys.executable, "-P", __file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603
        token = _running.set(process)
        try:
            yield process
        finally:
            _running.reset(token)
            process.kill()  # it may just be drawing: an interrupt waits for nothing


def svg(chart: dict[str, Any]) -> str:
    """The SVG of a Vega-Lite chart. Raises ``ValueError`` for a chart that Vega refuses."""
    process = _running.get()
    answer = _asked(process, chart) if process else ""
    if not answer:  # there is none, or it has ended
        return _drawn(chart)
    found = json.loads(answer)
    if "refused" in found:
        raise ValueError(found["refused"])
    return str(found["svg"])


def _asked(process: "subprocess.Popen[str]", chart: dict[str, Any]) -> str:
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(json.dumps(chart) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # it still holds what could not be sent
        _running.set(None)
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
