"""Output of commands: tables and bars on a terminal, plain lines where it is piped, or JSON.

Format only; the content is up to the commands. Standard output has only the report, so that it can
be piped; bars and warnings go to standard error. Control characters in an operator's text are
escaped, so that no terminal executes them.
"""

import datetime as dt
import errno
import json
import math
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from textwrap import TextWrapper
from typing import Any, NoReturn, Protocol

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table as RichTable
from rich.text import Text

from aurum_assets.cli.interrupt import reporting
from aurum_assets.model.checks import Verdict
from aurum_assets.model.shown import visible

_EXPANDED = 5
UNREAD = 141  # exit code: 128 + SIGPIPE, the reader of standard output left
BROKEN = 3  # exit code: something was quarantined or rejected, or the answer was partial

GOES_ON = "the same command goes on"

Row = dict[str, Any]
Shown = str | Callable[[Row], object]  # a column, or a value computed from a row
_PIPE = 65_536  # bytes that a pipe holds: a shorter write does not notice that its reader left
_SENTENCE = 32  # the narrowest column of sentences
_COLOURS = {
    "ok": "green",
    "embedded default": "dim",
    "off": "dim",
    "unsure": "yellow",
    "broken": "bold red",
    "drift": "yellow",
    "unreadable": "bold red",
    "refused": "yellow",
    "unavailable": "yellow",
    "not yet": "dim",
    "not asked": "dim",
}


class Step(Protocol):
    """Updates a bar: what is being done, and by how many steps it advanced."""

    def __call__(self, text: str, advance: int = 1) -> None:
        """Show ``text``."""


class _Left(ProgressColumn):
    """How long it still takes, as soon as a step was made; rich knows only the last 30 seconds."""

    def render(self, task: Task) -> Text:
        """As ``0:01:25 left``, which counts down."""
        ends = task.fields.get("ends")
        if ends is None:
            return Text()
        seconds = math.ceil(max(0.0, ends - time.monotonic()))
        return Text(f"{dt.timedelta(seconds=seconds)} left", style="progress.remaining")


@contextmanager
def progress(total: int | None, what: str, done: str, after: str = "") -> Iterator[Step]:
    """A bar with the time left on a terminal (standard error), nothing where that is piped.

    Ctrl-C prints how many were ``done`` (``days replayed``), and the consequence ``after``.
    """
    steps = 0

    def so_far() -> str:
        of = "" if total is None else f" of {total}"
        return f"{steps}{of} {done}{after and '; '}{after}"

    console = _console(err=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _Left(),
    )
    began = time.monotonic()
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with reporting(so_far), shown as bar:
        task = bar.add_task(what, total=total)

        def step(text: str, advance: int = 1) -> None:
            nonlocal steps
            steps += advance
            bar.update(task, advance=advance, description=text)
            if advance and total is not None:
                now = time.monotonic()
                bar.update(task, ends=now + (now - began) * (total - steps) / steps)

        yield step


def print_rows(
    rows: Sequence[Row],
    *,
    wrapped: Sequence[str] = (),
    shown: Mapping[str, Shown] | None = None,
    spare: Sequence[str] = (),
    nothing: str = "",
) -> None:
    """A table on a terminal, tab-separated lines where it is piped; ``nothing`` without rows.

    ``wrapped`` names the columns that may be wrapped (sentences); no other one is. ``shown``
    selects what a terminal shows: by heading, a column or a function of the row. ``spare`` names
    the headings that a narrow terminal leaves out, in this order.
    """
    if not rows:
        if nothing:
            say(nothing, err=True)
        return
    if not on_terminal():
        print_lines(list(rows[0]), (row.values() for row in rows))
        return
    if shown is not None:
        rows = [
            {head: make(row) if callable(make) else row[make] for head, make in shown.items()}
            for row in rows
        ]
    console = _console()
    kept, left_out = list(rows[0]), list(spare)
    while _width(rows, kept, wrapped) > console.width and left_out:
        kept.remove(left_out.pop(0))
    if _width(rows, kept, wrapped) > console.width:
        _print_expanded(rows, list(rows[0]))
    else:
        console.print(_table(rows, kept, wrapped, console.width))


def _width(rows: Sequence[Row], names: Sequence[str], wrapped: Sequence[str]) -> int:
    """The columns that a table of ``names`` needs, with two between them."""
    return sum(_column_width(rows, n, wrapped) for n in names) + 2 * (len(names) - 1)


def _column_width(rows: Sequence[Row], name: str, wrapped: Sequence[str]) -> int:
    """The width of the longest cell; a heading may be wrapped between its words."""
    head = max(map(cell_len, visible(name).split(" ")))
    cells = max(cell_len(_bare(row[name])) for row in rows)
    return max(head, min(cells, _SENTENCE) if name in wrapped else cells)


def _table(
    rows: Sequence[Row], names: Sequence[str], wrapped: Sequence[str], room: int
) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    left = room - _width(rows, names, wrapped)
    for name in names:
        width = _column_width(rows, name, wrapped)
        whole = max(cell_len(visible(name)), *(cell_len(_bare(row[name])) for row in rows))
        more = min(whole - width, left)
        more = more if name in wrapped or more == whole - width else 0
        left -= more
        table.add_column(
            escape(visible(name)),
            justify="right" if any(_is_number(row[name]) for row in rows) else "left",
            overflow="fold",
            width=width + more,
        )
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    return table


def print_data(
    names: Sequence[str],
    rows: Sequence[Row],
    total: int | None,
    *,
    of: str = "",
    nothing: str,
    rest: str,
) -> None:
    """Rows of a table on a terminal under the columns' names, and their number.

    A table where it fits, else the first rows as ``name  value``. ``total`` is None where there
    are more than ``rows``, not counted; ``rest`` says how to get all, ``of`` what they are.
    """
    if not rows:
        say(nothing, err=True)
        return
    console, count = _console(), len(rows)
    if _width(rows, names, ()) <= console.width:
        console.print(_table(rows, names, (), console.width))
    else:
        count = min(count, _EXPANDED)
        _print_expanded(rows[:count], names)
    if total == count:
        say(f"{count:,} row{'' if count == 1 else 's'}{of}.", err=True)
    else:
        out_of = "" if total is None else f"of {total:,} "
        say(f"The first {count:,} {out_of}rows{of}; {rest}.", err=True)


def _print_expanded(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Each row as lines of ``name  value``."""
    console = _console()
    for row in rows:
        grid = RichTable.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name in names:
            grid.add_row(escape(visible(name)), _cell(row[name]))
        console.rule(style="dim")
        console.print(grid)


def print_summary(summary: Row) -> None:
    """Print names and numbers: in one line on a terminal, tab-separated into a pipe."""
    if not on_terminal():
        print_rows([summary])
        return
    console = _console()
    line, width = "", 0
    for name, value in summary.items():
        plain = len(name) + 1 + cell_len(_bare(value))
        if width and width + 2 + plain > console.width:
            console.print(line)
            line, width = "", 0
        line += f"{'  ' if width else ''}{name.replace('_', ' ')} [bold]{_cell(value)}[/]"
        width += plain + (2 if width else 0)
    console.print(line)


def print_parts(title: str, paragraphs: Sequence[str], parts: Mapping[str, str]) -> None:
    """On a terminal: a title, paragraphs below it, and texts beside the names of their parts."""
    console = _console()
    console.print(f"[bold]{escape(visible(title))}[/]")
    for paragraph in paragraphs:
        console.print()
        console.print(escape(visible(paragraph)))
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in parts.items():
        grid.add_row(escape(visible(name)), escape(visible(text)))
    console.print()
    console.print(grid)


def _console(*, err: bool = False) -> Console:
    return Console(stderr=err, emoji=False, highlight=False)


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return _console().is_terminal


def reader_left() -> bool:
    """Whether the reader of standard output has closed it, as ``head`` does."""
    watched = select.poll()
    watched.register(sys.__stdout__.fileno() if sys.__stdout__ else 1, 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))


def end_unread() -> NoReturn:
    """End as ``cat`` does when its reader leaves: silently, with the exit code of SIGPIPE."""
    _print_no_more()
    sys.exit(UNREAD)


def end_unwritten(error: OSError) -> None:
    """End if ``error`` means that standard output cannot be written.

    As ``end_unread`` where its reader left; with a message and exit code 1 where its disk is full.
    """
    if reader_left():
        end_unread()
    if error.errno == errno.ENOSPC or "os error 28" in str(error):  # polars gives no errno
        _print_no_more()
        say("Error: no space is left for the output: it is incomplete", err=True)
        sys.exit(1)


def _print_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the rest of the buffer goes there


def print_lines(names: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Tab-separated lines, names first."""
    click.echo("\t".join(map(_plain, names)))
    for row in rows:
        click.echo("\t".join(_plain(value) for value in row))


def print_json(document: Any) -> None:  # noqa: ANN401  whatever JSON holds
    """Print one JSON document; types that JSON does not have become text, instants ISO 8601.

    NaN and infinities become null.
    """
    try:
        text = json.dumps(document, indent=2, default=_json, allow_nan=False)
    except (ValueError, TypeError):  # such a number, or a key that is no text
        text = json.dumps(_strict(document), indent=2, default=_json, allow_nan=False)
    click.echo(text)
    if len(text) > _PIPE and reader_left():  # Python does not report it for one long write
        end_unread()


def _strict(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else _text(k): _strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(v) for v in value]
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return None
    return value


def warn(sentence: str) -> None:
    """A sentence on standard error."""
    say(f"warning: {sentence}", err=True)


def say(sentence: str, *, err: bool = False) -> None:
    """A sentence, which may contain text of an operator, on standard output or standard error.

    On a terminal it is wrapped between words.
    """
    text, console = visible(sentence), _console(err=err)
    if console.is_terminal:
        lines = (_WRAPPED(width=console.width).fill(line) for line in text.split("\n"))
        text = "\n".join(lines)
    click.echo(text, err=err)


_WRAPPED = partial(
    TextWrapper, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
)


def verdict_row(verdict: Verdict) -> Row:
    """A check's result as commands report it."""
    return {
        "check": verdict.check,
        "passed": verdict.passed,
        "skipped": verdict.skipped,
        "severity": verdict.severity,
        "count": verdict.count,
        "reason": verdict.reason,
    }


def size(count: int) -> str:
    """Bytes in a suitable unit."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:  # noqa: PLR2004  a step of the unit
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _json(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return _text(value)


def _text(value: object) -> str:
    """As text; an instant as ISO 8601, UTC."""
    if isinstance(value, dt.datetime):
        zoned = value if value.tzinfo is None else value.astimezone(dt.UTC)
        return zoned.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple) and type(value).__name__ == "MonthDayNano":
        return _interval(*value)  # of SQL, as Arrow has it
    return visible(value.hex() if isinstance(value, bytes) else str(value))


def _interval(months: int, days: int, nanoseconds: int) -> str:
    """``1 month 2 days 0:05:00``, without parts that are zero."""
    named = [f"{n} {what}{'s' * (n != 1)}" for n, what in ((months, "month"), (days, "day")) if n]
    if nanoseconds or not named:
        named.append(str(dt.timedelta(microseconds=nanoseconds / 1000)))
    return " ".join(named)


def _plain(value: object) -> str:
    """A cell of tab-separated lines, without tabs and line ends."""
    return "" if value is None else re.sub(r"[\t\r\n]+", " ", _text(value))


def _bare(value: object) -> str:
    """A cell of a table as text."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _text(value)


def _cell(value: object) -> str:
    """A cell of a table with its colour."""
    text = _bare(value)
    colour = _COLOURS.get(text)
    return f"[{colour}]{escape(text)}[/]" if colour else escape(text)
