"""``aurum plan``: how many requests the schedules make in a day. No request is made."""

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import json_option
from aurum_assets.cli.output import Row, print_json, print_rows
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import open_resources


@click.command()
@json_option
def plan(as_json: bool) -> None:
    """The requests that the schedules make today, by operator and endpoint, beside the limits.

    They follow from config. a minute, an hour: the most that are due in any, and how many are
    allowed. waits: how long one of them waits for the limits, at most. Probes count as if a day
    were awaited all the time; repairs and backfills do not count.
    """
    rows = [
        {
            "operator": line.operator,
            "endpoint": line.endpoint or None,
            "requests": line.requests,
            "most_in_a_minute": line.a_minute,
            "most_in_an_hour": line.an_hour,
            "limits": [{"requests": b.requests, "seconds": b.seconds} for b in line.limits],
            "longest_wait_seconds": line.wait.total_seconds(),
        }
        for line in ingest.plan(open_resources(DATASETS, even_moved=True), DATASETS)
    ]
    if as_json:
        print_json({"planned": rows})
        return
    print_rows(
        rows,
        shown={
            "operator, endpoint": lambda r: (
                f"  {r['endpoint']}" if r["endpoint"] else r["operator"]
            ),
            "a day": "requests",
            "an hour": lambda r: _of_allowed(r, "most_in_an_hour", 3600),
            "a minute": lambda r: _of_allowed(r, "most_in_a_minute", 60),
            "waits": lambda r: f"{r['longest_wait_seconds']:.0f} s",
        },
    )


def _of_allowed(row: Row, most: str, seconds: float) -> str:
    """``4 of 50``, or ``4`` where nothing bounds that span."""
    allowed = [str(limit["requests"]) for limit in row["limits"] if limit["seconds"] == seconds]
    return " of ".join([str(row[most]), *allowed])
