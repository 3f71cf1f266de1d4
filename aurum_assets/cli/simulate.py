"""``aurum demo``, ``simulate``: everything that needs no operator, because one is made up."""

import itertools
import shlex
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurum_assets.cli.arguments import INSTANT, INSTANTS, PORT, instant, json_option
from aurum_assets.cli.interrupt import reporting, signals_kept_here
from aurum_assets.cli.output import GOES_ON, Row, print_json, print_rows, say
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.settings import open_resources


def _checks(line: Row) -> str:
    counts = {outcome: line[f"checks_{outcome}"] for outcome in ("passed", "warned", "failed")}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)


_SHOWN: Row = {
    "table": "dataset",
    "added": "rows_added",
    "rows": "rows",
    "kept out": "quarantined",
    "checks": _checks,
    "seconds": "seconds",
}

if TYPE_CHECKING:
    from aurum_assets.demo import Demo


@click.command()
@json_option
def demo(as_json: bool) -> None:
    """A simulated day and two live ticks, through Dagster.

    Yesterday and today so far, into AURUM_HOME: `make dev` opens there and goes on. Again on the
    same day, it adds nothing. One record is kept out on purpose, to be looked at.
    """
    from aurum_assets.demo import run_demo

    started, steps = time.monotonic(), itertools.count()
    resources = open_resources(DATASETS)

    def tell(text: str) -> None:
        next(steps)
        click.echo(text, err=True)

    with signals_kept_here(), reporting(lambda: f"{max(next(steps) - 1, 0)} steps done; {GOES_ON}"):
        found = run_demo(resources, tell)
    report(found, resources, time.monotonic() - started, as_json=as_json)
    sys.exit(1 if found.failures else 0)


def report(found: "Demo", resources: Resources, seconds: float, *, as_json: bool) -> None:
    """What the demo did, by table, how long it took in all, and what to look at next."""
    from aurum_assets.demo import looks

    lines = [asdict(line) for line in found.lines.values()]
    for line in lines:
        line["seconds"] = round(line["seconds"], 2)
    commands = {
        title: f'{_this(resources)} sql "{select}"' for title, select in looks(found).items()
    }
    pages = [str(page) for page in found.pages]
    if as_json:
        print_json(
            {"demo": lines, "failures": found.failures, "commands": commands, "report": pages}
        )
    else:
        print_rows(lines, shown=_SHOWN, wrapped=("checks",), spare=("seconds", "rows"))
        added, held = (sum(line[name] for line in lines) for name in ("rows_added", "quarantined"))
        text = f"{added:,} rows were added" if added else "No row was added: all of it was there"
        kept = f", {held} record{'s' * (held != 1)} kept out on purpose" if held else ""
        say(f"\n{text}{kept}, in {seconds:.0f} s.\n\nWhat to look at next:")
        for title, command in commands.items():
            click.echo(f"\n{title}:\n\n{command}")
        click.echo("\nAnd `make dev` for the UI, with running schedules.")
        for page in pages:
            click.echo(f"\nThe day on a page, for your browser:\n\n{page}")
    for failure in found.failures:
        say(f"FAILED {failure}", err=True)


def _this(resources: Resources) -> str:
    """This command as it was called, for this home."""
    name = "aurum" if shutil.which("aurum") == sys.argv[0] else sys.argv[0]
    elsewhere = f"AURUM_HOME={shlex.quote(str(resources.root))} " * (
        resources.root.resolve() != Path(".aurum").resolve()
    )
    return f"{elsewhere}{shlex.quote(name)}"


@click.command()
@click.option("--port", type=PORT, default=8321, show_default=True, help="0: any that is free.")
@click.option(
    "--at", metavar=INSTANT, help=f"Freeze its clock here, {INSTANTS} (default: it runs)."
)
@click.option("--seed", default=0, show_default=True, help="Decides every number.")
@click.option("--limit-scale", default=1.0, show_default=True, help="Times the operators' limits.")
@click.option(
    "--dialect",
    type=click.Choice(["both", "live", "documented"]),
    default="both",
    show_default=True,
    help="What a feed answers in that is documented otherwise than it is live.",
)
@click.option(
    *(f"--{operator.name}-dialect" for operator in OPERATORS),
    "renamed",
    type=click.Choice(["both", "live", "documented"]),
    hidden=True,
    help="The name of --dialect in version 0.2; to be removed with the next version.",
)
@click.option(
    "--live-only",
    is_flag=True,
    help="As the live servers: 404 to paths that are only documented, files of today only.",
)
@click.option(
    "--jitter",
    is_flag=True,
    help="Publish each interval up to 40 s later, and finals one to three days later.",
)
def simulate(
    port: int,
    at: str | None,
    seed: int,
    limit_scale: float,
    renamed: str | None,
    **more: Any,  # noqa: ANN401  see the options
) -> None:
    """Run a simulated operator on 127.0.0.1.

    Until interrupted. It prints the environment variables of a process that asks it.
    """
    from aurum_assets.simulator.operators import limits
    from aurum_assets.simulator.server import Simulator, wall_clock

    frozen = instant(at, "--at", wall_clock()) if at else None
    more |= {"dialect": renamed} if renamed else {}
    simulator = Simulator(
        now=(lambda: frozen) if frozen else wall_clock,
        seed=seed,
        limits=limits(limit_scale),
        **more,
    )
    try:
        with (
            simulator.serve(port) as running,
            reporting(lambda: "the simulated operators are gone"),
        ):
            for variable, value in running.environment.items():
                click.echo(f"{variable}={value}")
            click.echo("Interrupt to stop.", err=True)
            while True:
                time.sleep(3600)
    except OSError as error:
        msg = (
            f"port {port} cannot be opened ({error.strerror or error}); choose another with --port"
        )
        raise click.ClickException(msg) from error
