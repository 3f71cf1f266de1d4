"""``aurum report``, ``board``: a page of a day to look at, and the state of all in a table."""

import sys
import webbrowser
from pathlib import Path

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import DAY, day_of, json_option
from aurum_assets.cli.output import print_json, print_rows, say, size
from aurum_assets.model.shown import minute, span
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import open_resources


@click.command()
@click.option("--day", metavar=DAY, default="yesterday", show_default=True, help="Operating day.")
@click.option(
    "--output",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the pages (default: report in AURUM_HOME).",
)
@click.option("--open", "browse", is_flag=True, help="Open it in a browser.")
@json_option
def report(day: str, output: Path | None, browse: bool, as_json: bool) -> None:
    """Write the page of an operating day, to look at.

    Prices, the seam between operators, load and generation, data quality; each chart with the
    SELECT of its rows. And the index of all pages. A page needs no other file, and no network.
    """
    from aurum_assets.report.page import report_folder, write_report

    resources = open_resources(DATASETS, needs="lake")
    date = day_of(resources, DATASETS[0], day).key
    folder = output or report_folder(resources)
    try:
        done = write_report(resources, DATASETS, date, folder)
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror or error}"
        raise click.ClickException(msg) from error
    if as_json:
        print_json(
            {
                "path": str(done.path.resolve()),
                "index": str(done.index.resolve()),
                "bytes": done.bytes,
                "seconds": round(done.seconds, 2),
                "charts": done.charts,
                "figures": done.figures,
            }
        )
    else:
        say(
            f"{done.path}: {done.charts} of {done.figures} charts have data, {size(done.bytes)}, "
            f"{done.seconds:.1f} s"
        )
    if browse and not webbrowser.open(done.path.resolve().as_uri()):
        say("no browser could be started: open the file yourself", err=True)
        sys.exit(1)


@click.command()
@json_option
def board(as_json: bool) -> None:
    """The state of every dataset in a line.

    lag: since the newest interval began. gaps today: due intervals of the operator's today that
    are missing. checks: of the newest checked day, today or yesterday; failed, warned or ok.
    alerts: how many are open.
    """
    resources = open_resources(DATASETS, needs="lake")
    lines = [line.as_dict() for line in ingest.board(resources, DATASETS)]
    if as_json:
        print_json({"board": lines})
        return
    print_rows(
        lines,
        shown={
            "dataset": "dataset",
            "last interval": lambda r: minute(r["last_interval"]),
            "lag": lambda r: span(r["lag_seconds"]),
            "gaps today": "missing_today",
            "checks": _checks,
            "alerts": "alerts",
        },
    )


def _checks(line: dict[str, int | None]) -> str | None:
    """What the checks said, the worst first; None where nothing was checked."""
    if line["passed"] is None:
        return None
    counts = {"failed": line["failed"], "warned": line["warned"]}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "ok"
