"""What arguments mean: datasets by name, days, ranges and instants, and how wrong ones are refused.

Here belong options that several commands share and what is made of their values. A value that
cannot be is a ``click.UsageError`` in one sentence (exit code 2), before anything is asked or
written.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from aurum_assets.markets import DATASETS
from aurum_assets.model.clock import OperatingDay, every_day
from aurum_assets.model.dataset import Dataset
from aurum_assets.resources.settings import Home

KEYS = [d.key for d in DATASETS]
dataset_name = click.Choice(KEYS)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def find(key: str) -> Dataset:
    """The dataset called ``key``."""
    return next(d for d in DATASETS if d.key == key)


def day_of(dataset: Dataset, text: str, option: str = "--day") -> OperatingDay:
    """``text`` as an operating day of the dataset's operator."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d|\d{8}", text, re.ASCII):
        msg = f"{option} {text!r} is no day: expected YYYY-MM-DD, for instance 2026-07-20"
        raise click.UsageError(msg)
    try:
        return dataset.day(text)
    except ValueError as error:
        msg = f"{option} {text!r} is not in the calendar; for instance 2026-07-20"
        raise click.UsageError(msg) from error


def instant(text: str, option: str) -> dt.datetime:
    """``text`` as an instant, UTC; one without an offset is refused."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{option} {text!r} is not an instant; for instance 2026-07-27T21:30:00Z"
        raise click.UsageError(msg) from error
    if found.tzinfo is None:
        msg = f"{option} {text!r} needs an offset; for instance {text}Z"
        raise click.UsageError(msg)
    return found.astimezone(dt.UTC)


@dataclass(frozen=True)
class Days:
    """Which operating days were asked for: one, a range, or none in particular."""

    day: str | None
    start: str | None
    end: str | None

    @property
    def said(self) -> bool:
        """Whether any option named a day."""
        return bool(self.day or self.start or self.end)

    def of(self, dataset: Dataset, home: Home) -> list[OperatingDay]:
        """The days asked for, in order; today at the operator where none was."""
        if self.day is not None:
            if self.start is not None or self.end is not None:
                msg = "--day (--date) does not go with --start-date and --end-date"
                raise click.UsageError(msg)
            return [day_of(dataset, self.day)]
        if self.start is None and self.end is None:
            return [dataset.source.day_of(home.now())]
        if self.start is None or self.end is None:
            msg = "--start-date and --end-date go together; for one day say --day"
            raise click.UsageError(msg)
        first = day_of(dataset, self.start, "--start-date")
        last = day_of(dataset, self.end, "--end-date")
        if last < first:
            msg = f"--end-date {last} lies before --start-date {first}"
            raise click.UsageError(msg)
        return every_day(first, last)


_DAY_OPTIONS = (
    click.option(
        "--day", "--date", "day", metavar="YYYY-MM-DD", help="One operating day (default: today)."
    ),
    click.option("--start-date", "start", metavar="YYYY-MM-DD", help="First operating day."),
    click.option("--end-date", "end", metavar="YYYY-MM-DD", help="Last operating day, included."),
)


def with_days(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options of days; it takes them as one ``days: Days``."""

    @wraps(command)
    def taking(*, day: str | None, start: str | None, end: str | None, **rest: object) -> object:
        return command(days=Days(day, start, end), **rest)

    return with_options(_DAY_OPTIONS)(taking)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def with_options(options: Sequence[Decorator]) -> Decorator:
    """Several options at once, in the order of the help."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
