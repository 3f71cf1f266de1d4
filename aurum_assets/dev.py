"""What ``make dev`` and ``make live`` start: Dagster's UI and daemon, and a simulated operator.

    python -m aurum_assets.dev [--live] [--port 3000] [--simulator-port 8321]

The console says where the UI is, then a line for each run that ends, and what Dagster warns of; all
else is in the UI. Dagster's storage is in DAGSTER_HOME, else in AURUM_HOME/dagster. An interrupt
ends everything. No Dagster object is defined here.
"""

import contextlib
import datetime as dt
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aurum_assets.model.errors import AurumError
from aurum_assets.operators import DATASETS
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.settings import Settings, open_resources
from aurum_assets.resources.workers import dagster_folder
from aurum_assets.simulator.server import Running, Simulator

if TYPE_CHECKING:
    import dagster as dg

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 8.0  # seconds in which Dagster may end by itself
_LOOK_SECONDS = 2.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Warnings of every start that ask for no action.
_CHATTER = re.compile(r" - (INFO|DEBUG) - |\[(info|debug) +\]|No cursor for event type")
# The same program with the same options: `dg dev` starts `dagster dev`, and needs a dozen packages.
_SUPERSEDED = "ignore:Function `dev_command` is superseded"


@click.command()
@click.option("--live", is_flag=True, help="The real operators; else simulated ones.")
@click.option("--port", default=3000, show_default=True, help="Of the UI.")
@click.option("--simulator-port", default=8321, show_default=True, help="Of the operator.")
def main(live: bool, port: int, simulator_port: int) -> None:  # noqa: FBT001  a flag
    """Run the UI and the schedules on AURUM_HOME until interrupted."""
    for number in _ENDING:
        signal.signal(number, _interrupted)  # a shell may have started us deaf to an interrupt
    try:
        with contextlib.ExitStack() as stack:
            _require_free(port, "UI_PORT")
            running = None
            if not live:
                _require_free(simulator_port, "SIMULATOR_PORT")
                running = stack.enter_context(Simulator().serve(simulator_port))
            _serve(running, port)
    except AurumError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("Stopped.")


def _interrupted(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


def _require_free(port: int, variable: str) -> None:
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind(("127.0.0.1", port))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            msg = f"port {port} cannot be used ({why}): choose another, e.g. {variable}={port + 1}"
            raise click.ClickException(msg) from error


def _serve(running: Running | None, port: int) -> None:
    """Start Dagster, say where it is, and tell of runs until interrupted."""
    resources = open_resources(DATASETS)
    wanted = "simulated" if running else "real"
    if resources.origin not in ("", wanted):
        held = f"{resources.root} holds {resources.origin} data"
        msg = f"{held}, and these would be {wanted}: set AURUM_HOME"
        raise click.ClickException(msg)
    if not os.environ.get("DAGSTER_HOME"):
        os.environ["DAGSTER_HOME"] = str(dagster_folder(resources.root, Settings.read()))
    elif not Path(os.environ["DAGSTER_HOME"]).is_dir():
        msg = "DAGSTER_HOME names no folder: make it, or unset it for AURUM_HOME/dagster"
        raise click.ClickException(msg)
    operator = f"simulated, at {running.url}" if running else "real"
    click.echo(f"UI         http://127.0.0.1:{port} (ready in some seconds)")
    click.echo(f"operators  {operator}")
    click.echo(f"home       {resources.root.resolve()}")
    click.echo("stop       Ctrl-C\n")
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        # Before Dagster's processes start: two that make an SQLite storage at once may both fail.
        instance.get_runs_count()
        with _dagster(_environment(running, resources.root), port) as process:
            # In a thread, for Dagster catches interrupts of the main one for itself now and then.
            telling = threading.Thread(target=_tell_of_runs, args=(process, instance), daemon=True)
            telling.start()
            while process.poll() is None:
                time.sleep(_LOOK_SECONDS)
    msg = f"Dagster ended by itself ({process.returncode}): its output is above"
    raise click.ClickException(msg)


def _environment(running: Running | None, root: Path) -> Mapping[str, str]:
    """That of the Dagster processes."""
    ignored = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), _SUPERSEDED)))
    return {
        **os.environ,
        **(running.environment if running else {}),
        "AURUM_HOME": str(root.resolve()),
        "AURUM_SCHEDULES": "running",
        "PYTHONWARNINGS": ignored,
        "PYTHONUNBUFFERED": "1",
    }


@contextlib.contextmanager
def _dagster(environment: Mapping[str, str], port: int) -> Iterator[subprocess.Popen[str]]:
    """UI, daemon and code server, in a session of their own: they are ended here, in order."""
    command = [sys.executable, "-m", "dagster", "dev", "--log-level", "warning"]
    command += ["-w", str(PROJECT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(  # noqa: S603  our own environment
        command,
        cwd=environment["DAGSTER_HOME"],  # a .env where it starts would win over the environment
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    ending = threading.Event()
    reader = threading.Thread(target=_pass_on, args=(process, ending), daemon=True)
    reader.start()
    try:
        yield process
    finally:
        for number in _ENDING:  # one is enough
            signal.signal(number, signal.SIG_IGN)
        ending.set()
        with contextlib.suppress(OSError):  # the terminal may be gone
            click.echo("\nStopping…")
        _end(process)
        reader.join(1)


def _pass_on(process: subprocess.Popen[str], ending: threading.Event) -> None:
    """Show what Dagster says, less its chatter, and nothing of how it ends."""
    for line in process.stdout or ():
        if not ending.is_set() and not _CHATTER.search(_COLOURS.sub("", line)):
            click.echo(line, nl=False, err=True)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask Dagster to end, then end whatever is left of its session."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        process.send_signal(signal.SIGINT)
        process.wait(_PATIENCE)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
            time.sleep(0.5)
    process.wait()


def _tell_of_runs(process: subprocess.Popen[str], instance: "dg.DagsterInstance") -> None:
    """A line for each run that ends, as long as Dagster is there."""
    import dagster as dg

    since = dt.datetime.now(dt.UTC)
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    while process.poll() is None:
        time.sleep(_LOOK_SECONDS)
        wanted = dg.RunsFilter(statuses=ended, updated_after=since)
        for record in instance.get_run_records(wanted, limit=25, ascending=True):
            _tell_of(record)
            since = max(since, record.update_timestamp)


def _tell_of(record: "dg.RunRecord") -> None:
    run = record.dagster_run
    failed = run.status.value != "SUCCESS"
    seconds = (record.end_time or 0) - (record.start_time or 0)
    outcome = f"{run.status.value}, see the UI" if failed else f"done in {seconds:.0f} s"
    at = dt.datetime.now().astimezone().strftime("%H:%M:%S")
    text = f"{at}  {run.job_name} {run.tags.get('dagster/partition', '')}: {outcome}"
    click.echo(click.style(text, fg="red") if failed else text)


if __name__ == "__main__":
    main()
