"""``aurum``: the command line. Every command calls the same verbs as the assets do.

    collect    ask an operator: ``collect miso-cts``, ``collect isone DATASET``
    load       payload files from disk
    replay     what the archive is asked for again: replay, requeue
    verify     whether archive and tables agree
    tables     what the tables hold: as-of, sql, export
    health     what is held, what works, what the operators say: status, doctor, probe
    watch      what is wrong, and the counts of all runs: alerts, metrics
    maintain   what only grows, brought back to what it is needed for
    reference  what locations and generators are called
    simulate   without an operator: demo, simulate

    arguments  what arguments mean, and how wrong ones are refused
    backends   options that name S3, Redis and Kafka in the place of variables
    output     what a command prints

Here belongs only what holds them together: the group, its exit codes and errors, its log.
"""

from typing import Any

import click

from aurum_assets.cli.backends import LEVELS, log_to_stderr
from aurum_assets.cli.collect import collect
from aurum_assets.cli.health import doctor, probe, status
from aurum_assets.cli.load import load
from aurum_assets.cli.maintain import maintain
from aurum_assets.cli.output import end_unread, reader_left
from aurum_assets.cli.reference import reference
from aurum_assets.cli.replay import replay, requeue
from aurum_assets.cli.simulate import demo, simulate
from aurum_assets.cli.tables import as_of, export, sql
from aurum_assets.cli.verify import verify
from aurum_assets.cli.watch import alerts, metrics
from aurum_assets.model.errors import AurumError
from aurum_assets.model.shown import visible
from aurum_assets.resources import logs
from aurum_assets.resources.settings import Settings


class Group(click.Group):
    """Turns our errors into one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  as click has it
        """Run the command; an error of ours is a sentence, not a traceback."""
        try:
            return super().invoke(ctx)
        except OSError:  # polars says no errno of a broken pipe
            if reader_left():
                end_unread()
            raise
        except AurumError as error:
            raise click.ClickException(visible(str(error))) from error


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="aurum-assets", prog_name="aurum")
@click.option(
    "--log-level",
    type=LEVELS,
    help="How much is logged to standard error (default: AURUM_LOG_LEVEL, else INFO for collect "
    "and WARNING for the others).",
)
def main(log_level: logs.Level | None) -> None:
    r"""Market data of ISO New England and MISO: archived, normalized to Iceberg, checked.

    All state lies under AURUM_HOME (default: .aurum). See .env.example for every variable.

    \b
    Exit codes:
      0    all is well
      1    it failed
      2    wrong use or wrong configuration: nothing was asked
      3    something was kept out, or an alert is open
      130  ended by Ctrl-C
      141  the reader of the output left, as head does
    """
    log_to_stderr(Settings.read(), log_level)


for command in (
    collect,
    load,
    replay,
    requeue,
    verify,
    as_of,
    sql,
    export,
    status,
    doctor,
    probe,
    alerts,
    metrics,
    maintain,
    reference,
    demo,
    simulate,
):
    main.add_command(command)
