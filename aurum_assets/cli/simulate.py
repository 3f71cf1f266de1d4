"""``aurum demo``, ``simulate``: everything that needs no operator, because one is made up."""

import itertools
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from aurum_assets.cli.arguments import INSTANT, INSTANTS, instant, json_option
from aurum_assets.cli.interrupt import telling
from aurum_assets.cli.output import GOES_ON, print_json, print_rows, say
from aurum_assets.markets import DATASETS
from aurum_assets.resources.settings import open_home

if TYPE_CHECKING:
    from aurum_assets.demo import Demo


@click.command()
@json_option
def demo(as_json: bool) -> None:
    """A simulated day and six live ticks, through Dagster."""
    from aurum_assets.demo import run_demo

    started, steps = time.monotonic(), itertools.count()

    def tell(text: str) -> None:
        next(steps)
        click.echo(f"… {text}", err=True)

    with telling(lambda: f"{max(next(steps) - 1, 0)} steps done; {GOES_ON}"):
        found = run_demo(open_home(DATASETS), tell)
    report(found, time.monotonic() - started, as_json=as_json)
    sys.exit(1 if found.failures else 0)


def report(found: "Demo", seconds: float, *, as_json: bool) -> None:
    """What the demo did, by dataset, and how long it took in all."""
    lines = [asdict(line) for line in found.lines.values()]
    for line in lines:
        line["seconds"] = round(line["seconds"], 2)
    if as_json:
        print_json({"demo": lines, "failures": found.failures})
    else:
        print_rows(
            lines,
            shown={
                "dataset": "dataset",
                "snapshots": "snapshots",
                "repeats": "duplicates",
                "rows added": "rows_added",
                "rows": "rows",
                "kept out": "quarantined",
                "checks passed": "checks_passed",
                "checks failed": "checks_failed",
                "seconds": "seconds",
            },
            spare=("seconds", "repeats"),
        )
        added = sum(line["rows_added"] for line in lines)
        said = f"{added:,} rows were added" if added else "No row was added: all of it was there"
        say(f"{said}, in {seconds:.0f} s. See `aurum status`, or `make dev` for the UI.")
    for failure in found.failures:
        say(f"FAILED {failure}", err=True)


@click.command()
@click.option("--port", default=8321, show_default=True, help="0: any that is free.")
@click.option(
    "--at", metavar=INSTANT, help=f"Freeze its clock here, {INSTANTS} (default: it runs)."
)
@click.option("--seed", default=0, show_default=True, help="Decides every number.")
@click.option("--limit-scale", default=1.0, show_default=True, help="Times the operators' limits.")
@click.option(
    "--miso-dialect",
    type=click.Choice(["both", "live", "documented"]),
    default="both",
    show_default=True,
    help="What the simulated MISO speaks.",
)
@click.option(
    "--live-only",
    is_flag=True,
    help="As the live servers: 404 to paths that are only documented, MISO's file of today only.",
)
@click.option(
    "--jitter",
    is_flag=True,
    help="Publish each interval up to 40 s later, and finals one to three days later.",
)
def simulate(port: int, at: str | None, seed: int, limit_scale: float, **more: Any) -> None:  # noqa: ANN401  see the options
    """Run a simulated operator on 127.0.0.1.

    Until interrupted. Point ISONE_BASE_URL and MISO_BASE_URL at the addresses that it prints; user
    demo, password demo-password, or key demo-key.
    """
    from aurum_assets.simulator.ledger import scaled
    from aurum_assets.simulator.server import Simulator, wall_clock

    frozen = instant(at, "--at", wall_clock()) if at else None
    simulator = Simulator(
        now=(lambda: frozen) if frozen else wall_clock,
        seed=seed,
        limits=scaled(limit_scale),
        **more,
    )
    try:
        with simulator.serve(port) as running, telling(lambda: "the simulated operators are gone"):
            click.echo(f"ISONE_BASE_URL={running.isone_url}")
            click.echo(f"MISO_BASE_URL={running.miso_url}")
            click.echo("Interrupt to stop.", err=True)
            while True:
                time.sleep(3600)
    except OSError as error:
        msg = (
            f"port {port} cannot be opened ({error.strerror or error}); choose another with --port"
        )
        raise click.ClickException(msg) from error
