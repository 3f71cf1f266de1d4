"""Arguments of commands: datasets by name, days, ranges and instants; shared options.

A wrong value is a ``click.UsageError`` in one sentence (exit code 2), before anything is requested
or written.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
import click.shell_completion

from aurum_assets.model.arguments import instant_of, named, names_day, short_names
from aurum_assets.model.clock import OperatingDay, every_day
from aurum_assets.model.dataset import Dataset
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
KEYS = [d.key for d in DATASETS]
KNOWN = f"Datasets: {', '.join(KEYS)}; each may be given without its operator's name."
_RELATIVE = {"today": 0, "yesterday": -1, "tomorrow": 1}
PORT = click.IntRange(0, 65535)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


class Name(click.ParamType[str]):
    """One of the names that ``names`` gives; for a wrong one, an error with similar ones.

    ``name``: what they are names of; ``listed``: where all are listed; ``whole``: see ``named``.
    """

    def __init__(
        self,
        name: str,
        names: Callable[[], Sequence[str]],
        listed: str,
        whole: Sequence[str] = (),
    ) -> None:
        self.name, self._names, self._listed, self._whole = name, names, listed, whole

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The whole name."""
        command = ctx.command_path if ctx else "aurum collect OPERATOR"
        listed = self._listed.format(command=command)
        try:
            return named(value, self._names(), self.name, listed, self._whole)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def offered(self) -> Sequence[str]:
        """What completion offers."""
        return self._names()

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  as click calls it
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[click.shell_completion.CompletionItem]:
        """The names that begin so."""
        found = (name for name in self.offered() if name.startswith(incomplete))
        return [click.shell_completion.CompletionItem(name) for name in found]


class DatasetName(Name):
    """A dataset's name, with or without the operator before it; what it gives is the key.

    ``operator``: the one whose dataset is meant where several have the short name.
    """

    def __init__(self, operator: str = "") -> None:
        ours = [d.key for d in DATASETS if d.operator.name == operator]
        names = [*ours, *(key for key in KEYS if key not in ours)]
        super().__init__("dataset", lambda: names, "`{command} --help` lists them")

    def offered(self) -> Sequence[str]:
        """The names, full and short."""
        names = self._names()
        return [*names, *short_names(names)]


dataset_name = DatasetName()


def find(key: str) -> Dataset:
    """The dataset called ``key``."""
    return next(d for d in DATASETS if d.key == key)


def day_of(
    resources: Resources, dataset: Dataset, text: str, option: str = "--day"
) -> OperatingDay:
    """``text`` as an operating day of the dataset's operator, whose clock says what today is."""
    ahead = _RELATIVE.get(text.strip().lower())
    if ahead is not None:
        return dataset.operator.day_of(resources.now()).plus(ahead)
    try:
        if names_day(text):
            return dataset.day(text.strip())
    except ValueError:
        pass  # no such date: the same message
    msg = (
        f"{option} {text!r} is not a day of the calendar: expected YYYY-MM-DD, today, yesterday "
        "or tomorrow, for instance 2026-07-20"
    )
    raise click.UsageError(msg)


def instant(text: str, option: str, now: dt.datetime | None = None) -> dt.datetime:
    """``text`` as an instant, UTC, in the usual forms; ``now`` only where it is passed."""
    try:
        return instant_of(text, now)
    except ValueError as error:
        msg = f"{option} {error}"
        raise click.UsageError(msg) from error


@dataclass(frozen=True)
class Days:
    """The operating days that the options of a command name: one, a range, or none."""

    day: str | None
    start: str | None
    end: str | None

    @property
    def given(self) -> bool:
        """Whether any option named a day."""
        return bool(self.day or self.start or self.end)

    def of(self, dataset: Dataset, resources: Resources) -> list[OperatingDay]:
        """The days asked for, in order; today at the operator where none was."""
        if self.day is not None:
            if self.start is not None or self.end is not None:
                msg = "--day (--date) does not go with --start-date and --end-date"
                raise click.UsageError(msg)
            return [day_of(resources, dataset, self.day)]
        if self.start is None and self.end is None:
            return [dataset.operator.day_of(resources.now())]
        if self.start is None or self.end is None:
            msg = "--start-date and --end-date go together; for one day use --day"
            raise click.UsageError(msg)
        first = day_of(resources, dataset, self.start, "--start-date")
        last = day_of(resources, dataset, self.end, "--end-date")
        if last < first:
            msg = f"--end-date {last} lies before --start-date {first}"
            raise click.UsageError(msg)
        return every_day(first, last)


DAY = "YYYY-MM-DD"  # today, yesterday and tomorrow as well
INSTANT = "INSTANT"
INSTANTS = (
    "as 2026-07-20T12:00Z or '2026-07-20 12:00' (UTC without an offset); a day alone means "
    "its end, UTC"
)


def with_days(default: str) -> Decorator:
    """Add the options of days to a command, which gets them as one ``days: Days``.

    ``default`` says which days are meant where no option names one.
    """
    options = (
        click.option(
            "--day",
            "--date",
            "day",
            metavar=DAY,
            help=f"One operating day, or today, yesterday, tomorrow ({default}).",
        ),
        click.option(
            "--start-date",
            "--first",
            "start",
            metavar=DAY,
            help="First operating day of a range.",
        ),
        click.option(
            "--end-date", "--last", "end", metavar=DAY, help="Last operating day, included."
        ),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def taking(
            *, day: str | None, start: str | None, end: str | None, **rest: object
        ) -> object:
            return command(days=Days(day, start, end), **rest)

        return with_options(options)(taking)

    return decorate


def with_options(options: Sequence[Decorator]) -> Decorator:
    """Several options at once, in the order of the help."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
