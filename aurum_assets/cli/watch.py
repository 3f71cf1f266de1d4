"""``aurum alerts``, ``metrics``: open alerts, and the metrics of all runs."""

import sys

import click

from aurum_assets import ingest
from aurum_assets.cli.arguments import PORT, json_option
from aurum_assets.cli.interrupt import reporting
from aurum_assets.cli.output import BROKEN, on_terminal, print_json, print_rows, say
from aurum_assets.model.shown import minute
from aurum_assets.operators import DATASETS
from aurum_assets.resources.settings import open_resources

_POLL_SECONDS = 0.2  # an endless join handles no signal


@click.command()
@click.option(
    "--port", type=PORT, default=9464, show_default=True, help="Where Prometheus scrapes."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--once", is_flag=True, help="Print the metrics and end.")
def metrics(port: int, host: str, once: bool) -> None:
    """Serve the metrics of all runs to Prometheus.

    Those of this home, until interrupted. Of a home that is not there yet there are none, until
    something makes it.
    """
    import prometheus_client

    resources = open_resources(DATASETS, needs="home" if once else "nothing")
    registry = ingest.Scraped(resources, DATASETS).registry
    if not (once or resources.home.exists):
        say(
            f"There is no home in {resources.root.resolve()} yet: there are no metrics until a "
            "run, `aurum collect` or `aurum load` makes one.",
            err=True,
        )
    if once:
        click.echo(prometheus_client.generate_latest(registry).decode(), nl=False)
        return
    try:
        server, thread = prometheus_client.start_http_server(port, host, registry)
    except OSError as error:
        msg = (
            f"port {port} cannot be opened ({error.strerror or error}); choose another with --port"
        )
        raise click.ClickException(msg) from error
    click.echo(f"http://{host}:{server.server_port}/metrics")
    with reporting(lambda: "the metrics are no longer served"):
        click.echo("Interrupt to stop.", err=True)
        while thread.is_alive():
            thread.join(_POLL_SECONDS)


def _named(dataset: str, sentence: str) -> str:
    return sentence if not dataset or dataset in sentence else f"{dataset}: {sentence}"


@click.command()
@click.option("--check", is_flag=True, help="Run the watch now, and send notifications.")
@json_option
def alerts(check: bool, as_json: bool) -> None:
    """The open alerts. Dagster's sensors update them; without Dagster, use --check.

    Exit code: 0 none is open, 3 some are, 1 failure.
    """
    resources = open_resources(DATASETS, needs="lake" if check else "home")
    found = ingest.look(resources, DATASETS) if check else resources.alerts.open
    rows = [a.as_dict() for a in found]
    if as_json:
        print_json({"alerts": rows, "waiting": resources.alerts.waiting})
    else:
        columns = ("severity", "kind", "dataset", "subject", "day", "opened_at", "sentence")
        print_rows(
            [{name: row[name] for name in columns} for row in rows],
            wrapped=("sentence",),
            shown={
                "severity": "severity",
                "kind": "kind",
                "since": lambda row: minute(row["opened_at"]),
                "sentence": lambda row: _named(row["dataset"], row["sentence"]),
            },
            spare=("since",),
            nothing="No alert is open.",
        )
        if on_terminal():
            for kind, remedy in {row["kind"]: row["what_to_do"] for row in rows}.items():
                say(f"{kind}: {remedy}")
    sys.exit(BROKEN if rows else 0)
