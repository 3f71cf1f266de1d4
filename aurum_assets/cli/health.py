"""``aurum status``, ``doctor``, ``probe``: what is held, what works, what operators answer now.

Nothing here adds a row.
"""

import sys
from typing import Any

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import KNOWN, dataset_name, json_option
from aurum_assets.cli.output import (
    BROKEN,
    on_terminal,
    print_json,
    print_rows,
    progress,
    say,
    size,
)
from aurum_assets.model.shown import minute, span
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import open_resources

_OPERATORS = sorted({d.operator.name for d in DATASETS})


@click.command()
@json_option
def status(as_json: bool) -> None:
    """What is held of each dataset, and how old it is.

    lag: since the newest interval began. gaps today: due intervals of the operator's today that
    are missing. kept out: records in quarantine and answers that could not be read. archived: of
    answers that several datasets read, beside the first of them.
    """
    rows = [s.as_dict() for s in ingest.status(open_resources(DATASETS, needs="lake"), DATASETS)]
    if as_json:
        print_json({"datasets": rows})
        return
    print_rows(
        [
            {
                **r,
                "bytes": None if r["bytes"] is None else size(r["bytes"]),
                "first_interval": minute(r["first_interval"]),
                "last_interval": minute(r["last_interval"]),
                "last_commit": minute(r["last_commit"]),
            }
            for r in rows
        ],
        shown={
            "dataset": "dataset",
            "rows": "rows",
            "days": "days",
            "last interval": "last_interval",
            "lag": lambda r: span(r["lag_seconds"]),
            "gaps today": "missing_today",
            "kept out": lambda r: r["quarantined"] + r["rejected"],
            "archived": "bytes",
            "committed": "last_commit",
        },
        spare=("archived", "days", "committed"),
    )
    if not any(r["objects"] or r["rows"] for r in rows):
        say("Nothing is held yet: `aurum collect --help` says how to begin.", err=True)


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Look at every part: reachable, permitted, how fast.

    And what to do if not. Home, config, archive, catalog, Redis, Kafka, Dagster's storage, when
    the maintenance last ran, the operators (asked once, and once for what is only documented,
    within their limits), webhook, metrics file, clock. What is written to look is removed again.
    It takes at most ten seconds.

    Exit code: 0 all that is configured works, 1 something does not.
    """
    found = ingest.examine(open_resources(DATASETS, even_moved=True))
    broken = [f for f in found if f.state == "broken"]
    if as_json:
        print_json({"parts": [f.as_dict() for f in found], "broken": [f.part for f in broken]})
    else:
        rows: list[dict[str, Any]] = [
            {
                "part": f.part,
                "state": f.state,
                "ms": f.milliseconds,
                "where": f.where or None,
                "result": f.result or None,
            }
            for f in found
        ]
        print_rows(
            rows,
            wrapped=("found",),
            shown={
                "part": "part",
                "state": "state",
                "   ms": lambda row: "" if row["ms"] is None else f"{row['ms']:5,}",
                "found": _found,
            },
        )
        for finding in found:
            if finding.state in {"broken", "unsure"} and finding.remedy:
                say(f"{finding.part}: {finding.result}: {finding.remedy}")
    sys.exit(1 if broken else 0)


def _found(row: dict[str, Any]) -> str | None:
    """Result and place in one cell."""
    text, where = row["result"], row["where"]
    return f"{text} ({where})" if text and where else text or where


@click.command(epilog=KNOWN)
@click.option("--dataset", "keys", type=dataset_name, multiple=True, help="Only this (repeatable).")
@click.option(
    "--operator", "--source", "operator", type=click.Choice(_OPERATORS), help="Only this operator."
)
@json_option
def probe(keys: tuple[str, ...], operator: str | None, as_json: bool) -> None:
    """Which dialect each endpoint answers in, and what drifted.

    Each is asked once, those of a dataset that is disabled only where it or its operator is named.
    A feed of days is asked for yesterday, or the day that its offset says. Nothing is archived or
    stored. The operators' limits are kept without waiting: an endpoint without room is "not asked".

    Exit code: 0 each feed has an endpoint that answers as expected or is not offered by the
    operator, 1 one has no endpoint that answers, 2 wrong use, 3 one drifted so that records would
    be kept out.
    """
    resources = open_resources(DATASETS)
    named = [
        d for d in DATASETS if (not keys or d.key in keys) and operator in (None, d.operator.name)
    ]
    asked = [d for d in named if keys or operator or resources.config(d).enabled]
    if not asked:
        msg = f"{', '.join(keys)} is not a dataset of {operator}"
        raise click.UsageError(msg)
    with progress(
        len(ingest.endpoints_of(resources, asked)), "probing", "endpoints probed"
    ) as step:
        found = ingest.probe(resources, asked, step)
    if as_json:
        print_json({"probed": [p.as_dict() for p in found]})
    else:
        print_rows(
            [
                {
                    "endpoint": p.endpoint,
                    "asked": p.asked,
                    "state": p.state,
                    "status": p.status,
                    "dialect": p.dialect,
                    "records": p.records,
                    "seconds": p.seconds,
                    "drift": "; ".join(p.drift) or None,
                }
                for p in found
            ],
            shown={n: n for n in ("endpoint", "asked", "state", "status", "dialect", "records")},
            spare=("status", "asked"),
        )
        if on_terminal():
            for one in found:
                for drift in one.drift:
                    say(f"{one.endpoint}: {drift}")
        for reason in dict.fromkeys(p.reason for p in found if p.reason):
            say(reason, err=True)
    feeds = {(p.dataset, p.feed) for p in found}
    fine = {"not yet", "not offered"}
    silent = feeds - {(p.dataset, p.feed) for p in found if p.answers or p.state in fine}
    if silent:
        sys.exit(1)
    sys.exit(BROKEN if any(p.state in {"drift", "unreadable"} for p in found) else 0)
