"""``aurum worker``: warm processes that execute runs, kept up until this one is stopped.

This process imports no Dagster and opens no connection: it starts fresh interpreters
(``aurum_assets.graph.worker``), replaces those that die or are worn, and ends them.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from aurum_assets.cli.output import say
from aurum_assets.model.errors import ConfigError
from aurum_assets.resources.redaction import masked
from aurum_assets.resources.settings import Settings
from aurum_assets.resources.workers import (
    QUEUES,
    TICKS,
    broker_url,
    dagster_folder,
    refuse_another_launcher,
    storage_url,
)

_WRONG_CONFIGURATION = 2
_LONGEST_WAIT = 10.0
_LOOK_SECONDS = 1.0
_ENDING = (signal.SIGINT, signal.SIGTERM)


@dataclass
class _Process:
    """A started worker process; ``reports``: the pipe on which it reports."""

    name: str
    queues: str
    started: subprocess.Popen[bytes]
    reports: int
    ready: bool = False
    run: str = ""
    replaces: "_Process | None" = None
    replaced: bool = False
    text: bytes = b""

    def lines(self) -> list[str]:
        """The complete lines that it reported since the last call."""
        self.text += os.read(self.reports, 4096)
        *lines, self.text = self.text.split(b"\n")
        return [line.decode() for line in lines]


@dataclass
class Pool:
    """The processes of this machine; ``program`` is what each of them runs."""

    runs: int
    megabytes: int
    host: str
    program: tuple[str, ...] = (sys.executable, "-m", "aurum_assets.graph.worker")
    processes: list[_Process] = field(default_factory=list)
    number: int = 0
    wait: float = 0.0

    def start(self, queues: str, *lost: str, replaces: _Process | None = None) -> None:
        """Start a process for ``queues``; ``lost``: the run of one that died."""
        self.number += 1
        name = f"{self.host}-{os.getpid()}-{self.number}"
        reports, pipe = os.pipe()
        arguments = (name, queues, self.runs, self.megabytes, pipe, *lost)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        started = subprocess.Popen(  # noqa: S603  our own program
            [*self.program, *map(str, arguments)],
            pass_fds=[pipe],
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for us: they finish their runs
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(pipe)
        self.processes.append(_Process(name, queues, started, reports, replaces=replaces))

    def look(self) -> None:
        """Wait a second at most for what processes report; replace what died or is worn."""
        by_pipe = {process.reports: process for process in self.processes}
        for pipe in select.select(list(by_pipe), [], [], _LOOK_SECONDS)[0]:
            process = by_pipe[pipe]
            lines = process.lines()
            for line in lines:
                self._reported(process, line)
            if not lines and process.started.poll() is not None:
                self._ended(process)

    def _reported(self, process: _Process, line: str) -> None:
        word, _, process.run = line.partition(" ")
        if word == "ready":
            process.ready, self.wait = True, 0.0
            if process.replaces is not None:
                process.replaces.started.send_signal(signal.SIGTERM)
                process.replaces = None
        elif word == "worn" and not process.replaced:
            process.replaced = True
            self.start(process.queues, replaces=process)

    def _ended(self, process: _Process) -> None:
        os.close(process.reports)
        self.processes.remove(process)
        code = process.started.returncode
        if code == _WRONG_CONFIGURATION:
            raise click.exceptions.Exit(code)
        for other in self.processes:
            if other.replaces is process:
                other.replaces = None
                return
        if process.replaced:
            return
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        held = f", with run {process.run}" if process.run else ""
        say(f"process {process.name} ended {how}{held}: another is started")
        if not process.ready:
            self.wait = min(max(1.0, 2 * self.wait), _LONGEST_WAIT)
            time.sleep(self.wait)
        lost = filter(None, [process.run])
        self.start(process.queues, *lost, replaces=process.replaces)

    def stop(self, number: int) -> None:
        """Let each finish its run, or end it now where ``number`` is SIGKILL."""
        for process in self.processes:
            process.started.send_signal(number if process.ready else signal.SIGKILL)

    def join(self) -> None:
        """Wait until all have ended."""
        for process in self.processes:
            process.started.wait()
            os.close(process.reports)


@click.command()
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="How many take runs of all queues: ticks before backfills before replays.",
)
@click.option(
    "--tick-processes",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="How many take ticks alone, so that a long backfill delays none.",
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="A process is replaced after so many runs.",
)
@click.option(
    "--megabytes",
    type=click.IntRange(min=300),
    default=1500,
    show_default=True,
    help="A process is replaced after a run once it takes more memory.",
)
def worker(processes: int, tick_processes: int, runs: int, megabytes: int) -> None:
    """Execute the runs that Dagster hands out, on this machine.

    Start it on any machine whose environment is that of the daemon: AURUM_WORKERS=celery,
    AURUM_REDIS_URL, AURUM_DAGSTER_POSTGRES_URL, and the same archive and catalog. Each process has
    imported all that a run needs (about 300 MB) and executes one run at a time. One that dies is
    replaced, and its run is retried by Dagster.

    \b
    Queues:
      ticks      runs of schedules and of sensors for what was just published
      backfills  backfills, repairs, and whatever is launched by hand
      replays    the jobs replay_from_raw and maintenance

    SIGTERM or Ctrl-C: the processes finish their runs and take no other. A second one: they are
    killed, and Dagster retries their runs.
    """  # noqa: D301  click's mark for lines that are not to be filled
    settings = Settings.read()
    if settings.workers != "celery":
        msg = "environment variable AURUM_WORKERS: a worker needs celery, see .env.example"
        raise ConfigError(msg)
    named = os.environ.get("DAGSTER_HOME")
    folder = Path(named) if named else dagster_folder(settings.home.expanduser(), settings)
    refuse_another_launcher(folder, settings)
    # Dagster reads them from the environment alone, not from .env
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["AURUM_DAGSTER_POSTGRES_URL"] = storage_url(settings)
    pool = Pool(runs, megabytes, socket.gethostname())
    say(
        f"{tick_processes} process{'es' * (tick_processes != 1)} for {TICKS}, {processes} for "
        f"{', '.join(QUEUES)}; broker {masked(broker_url(settings))}; Dagster {folder}"
    )
    say("Ctrl-C or SIGTERM: they finish their runs and end; a second one kills them.")
    with _signals() as heard:
        for _ in range(tick_processes):
            pool.start(TICKS)
        for _ in range(processes):
            pool.start(",".join(QUEUES))
        _serve(pool, heard)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Within the block, the signals that came; the watch of other commands hears none."""
    heard: list[int] = []
    watched = signal.set_wakeup_fd(-1)
    before = {n: signal.signal(n, lambda number, _: heard.append(number)) for n in _ENDING}
    try:
        yield heard
    finally:
        signal.set_wakeup_fd(watched)
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve(pool: Pool, heard: list[int]) -> None:
    """Keep the processes up until a signal, then end them."""
    waiting = len(pool.processes)
    try:
        while not heard:
            pool.look()
            if waiting and all(process.ready for process in pool.processes):
                say(f"ready: {waiting} processes")
                waiting = 0
    finally:
        pool.stop(signal.SIGTERM)
        busy = sum(bool(process.run) for process in pool.processes)
        say(f"stopping: {busy} run{'s' * (busy != 1)} under way")
        while any(process.started.poll() is None for process in pool.processes):
            if len(heard) > 1:
                pool.stop(signal.SIGKILL)
            time.sleep(0.1)
        pool.join()
    say("stopped")
