"""``aurum``: the command line. Every command calls the same verbs as the assets do.

    collect    ask an operator: ``collect OPERATOR DATASET``, ``collect miso-cts``
    load       payload files from disk
    replay     what the archive is asked for again: replay, requeue
    marts      what the desk reads, built from the tables
    verify     whether archive and tables agree
    tables     what the tables hold: as-of, sql, export
    dictionary what is to be known of a table: tables
    health     what is held, what works, what the operators say: status, doctor, probe
    report     what a day looked like, and the state of all: report, board
    plan       how many requests the schedules make
    watch      what is wrong, and the counts of all runs: alerts, metrics
    maintain   what only grows, brought back to what it is needed for
    relocate   a copied or moved home, made to work where it is now
    reference  what locations and generators are called
    simulate   without an operator: demo, simulate
    worker     warm processes that execute Dagster's runs

    arguments  what arguments mean, and how wrong ones are refused
    backends   options that name S3, Redis and Kafka instead of variables
    output     what a command prints

Here belongs only what holds them together: the list, the group, its exit codes and errors, its log.
A command is imported when it is asked for: the list of them takes no library but click.
"""

import gc
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from aurum_assets.cli.interrupt import interruptible
from aurum_assets.model.errors import AurumError, ConfigError, LakeDamaged, StoreRefused
from aurum_assets.model.shown import visible

if TYPE_CHECKING:
    from aurum_assets.resources.logs import Level

# Command: its module, and its help in a line.
COMMANDS = {
    "collect": ("collect", "Ask an operator, archive the answers, merge them."),
    "load": ("load", "Take payload FILES in as if they had been fetched."),
    "replay": ("replay", "Rebuild table days from the archive alone."),
    "requeue": ("replay", "Read again what was quarantined or rejected."),
    "marts": ("marts", "Build the marts: what the desk reads, made of the tables by dbt."),
    "verify": ("verify", "Compare the tables with what the archive gives, day by day."),
    "tables": ("dictionary", "The tables; of NAME, everything that is to be known of it."),
    "as-of": ("tables", "Show a table as it was known at an instant."),
    "sql": ("tables", "Run one SELECT over the tables."),
    "export": ("tables", "Write the rows of operating days to a file."),
    "status": ("health", "What is held of each dataset, and how old it is."),
    "board": ("report", "The state of every dataset in a line."),
    "report": ("report", "Write the page of an operating day, to look at."),
    "doctor": ("health", "Look at every part: reachable, permitted, how fast."),
    "plan": ("plan", "The requests that the schedules make today, by operator and endpoint."),
    "probe": ("health", "Which dialect each endpoint answers in, and what drifted."),
    "alerts": ("watch", "The open alerts."),
    "metrics": ("watch", "Serve the metrics of all runs to Prometheus."),
    "maintain": ("maintain", "Keep lake, Dagster's storage and local files small."),
    "relocate": ("relocate", "Make a copied or moved home work where it is now."),
    "reference": ("reference", "What locations and generators are called."),
    "worker": ("worker", "Execute the runs that Dagster hands out, on this machine."),
    "demo": ("simulate", "A simulated day and two live ticks, through Dagster."),
    "simulate": ("simulate", "Run a simulated operator on 127.0.0.1."),
}


class WrongConfiguration(click.ClickException):
    """A variable, a file of ours or the home is wrong: exit code 2."""

    exit_code = 2


@contextmanager
def _ending_unwritten() -> Iterator[None]:
    """Within the block, end with a code where standard output does not take what is printed."""
    try:
        yield
    except OSError as error:
        from aurum_assets.cli.output import end_unwritten

        end_unwritten(error)
        raise


class Group(click.Group):
    """Imports the command that is asked for; turns our errors into a sentence and an exit code."""

    _a_program = False

    def __call__(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401  as click has it
        """Run as a program, where nothing is passed: then the process ends with the command.

        Python would first take all libraries apart, which costs more than many commands do (0.2 s
        of polars, pyarrow and pyiceberg). In an application Ctrl-C is Python's: it must be able to
        let go of what it holds.
        """
        if args or more:
            return super().__call__(*args, **more)
        gc.freeze()
        gc.set_threshold(100_000)  # imports make much that stays: looking through it costs a tenth
        self._a_program = True
        try:
            with _ending_unwritten():
                try:
                    return super().__call__()
                finally:
                    sys.stdout.flush()
        except SystemExit as ended:
            if not isinstance(ended.code, int):
                raise
            sys.stderr.flush()
            os._exit(ended.code)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called ``cmd_name``."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"aurum_assets.cli.{COMMANDS[cmd_name][0]}")
        found: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The names, each with its line of help."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether only help is wanted: then no variable is read."""
        ctx.obj = not set(ctx.help_option_names).isdisjoint(args)
        return super().parse_args(ctx, args)

    def make_context(self, *args: Any, **more: Any) -> click.Context:  # noqa: ANN401  as click has it
        """Read the arguments; what is printed of them is help."""
        with _ending_unwritten():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  as click has it
        """Run the command; an error of ours is a sentence, not a traceback."""
        with interruptible() if self._a_program else nullcontext(), _ending_unwritten():
            try:
                return super().invoke(ctx)
            except AurumError as error:
                ours = isinstance(error, ConfigError | StoreRefused)
                wrong = ours and not isinstance(error, LakeDamaged)
                kind = WrongConfiguration if wrong else click.ClickException
                raise kind(visible(str(error))) from error


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="aurum-assets", prog_name="aurum")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="How much is logged to standard error (default: AURUM_LOG_LEVEL, else INFO for collect "
    "and WARNING for the others).",
)
@click.pass_obj
def main(only_help: bool, log_level: "Level | None") -> None:
    """Electricity market data: archived, normalized to Iceberg, checked.

    All state lies under AURUM_HOME (default: .aurum). See .env.example for every variable.

    \b
    Exit codes:
      0    all is well
      1    it failed
      2    wrong use or wrong configuration: nothing was asked
      3    something was kept out, or an alert is open
      130  ended by Ctrl-C
      141  the reader of the output left, as head does
    """  # noqa: D301  click's mark for lines that are not to be filled
    if not only_help:
        from aurum_assets.cli.backends import log_to_stderr
        from aurum_assets.resources.settings import Settings

        log_to_stderr(Settings.read(), log_level)
