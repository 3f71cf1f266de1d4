"""What a command prints: tables and bars on a terminal, plain lines where it is piped, or JSON.

Here belongs how things look; what they are is the commands' business. Standard output carries the
report alone, so that it can be piped; bars and warnings go to standard error. Control characters of
an operator's text are written as what they are, so that no terminal obeys them.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Protocol

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from aurum_assets.cli.interrupt import telling
from aurum_assets.model.checks import Verdict
from aurum_assets.model.shown import visible

_EXPANDED = 5
BROKEN = 3  # exit code: something was quarantined or rejected, or the answer was partial

GOES_ON = "the same command goes on"

Row = dict[str, Any]
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
    """Tells a bar what is being done, and how many steps that was."""

    def __call__(self, text: str, advance: int = 1) -> None:
        """Show ``text``."""


@contextmanager
def progress(total: int | None, what: str, done: str, after: str = "") -> Iterator[Step]:
    """A bar on a terminal (standard error), nothing where that is piped.

    Ctrl-C tells how many were ``done`` (``days replayed``), and what that means ``after``.
    """
    steps = 0

    def so_far() -> str:
        of = "" if total is None else f" of {total}"
        return f"{steps}{of} {done}{after and '; '}{after}"

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with telling(so_far), shown as bar:
        task = bar.add_task(what, total=total)

        def step(text: str, advance: int = 1) -> None:
            nonlocal steps
            steps += advance
            bar.update(task, advance=advance, description=text)

        yield step


def print_rows(rows: Sequence[Row], *, words: Sequence[str] = (), shown: Row | None = None) -> None:
    """A table on a terminal, tab-separated lines where it is piped.

    ``words`` names the columns of sentences, which may be broken; no other one is. ``shown`` picks
    what a terminal shows: by heading, the column or what is made of a row.
    """
    if not rows:
        return
    if not on_terminal():
        print_lines(list(rows[0]), (row.values() for row in rows))
        return
    if shown is not None:
        rows = [
            {head: make(row) if callable(make) else row[make] for head, make in shown.items()}
            for row in rows
        ]
    Console().print(_table(rows, words))


def _table(rows: Sequence[Row], words: Sequence[str]) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in rows[0]:
        numbers = any(_is_number(row[name]) for row in rows)
        table.add_column(
            escape(visible(name.replace("_", " "))),
            justify="right" if numbers else "left",
            no_wrap=name not in words,
            overflow="fold",
            ratio=1 if name in words else None,
            min_width=None if name in words else max(len(_bare(row[name])) for row in rows),
        )
    for row in rows:
        table.add_row(*(_cell(v) for v in row.values()))
    return table


def print_data(names: Sequence[str], rows: Sequence[Row]) -> int:
    """Rows of any shape on a terminal: a table where it fits, else the first as ``name  value``.

    Returns how many were shown.
    """
    console = Console()
    wide = [max([len(n), *(len(_bare(row[n])) for row in rows)]) for n in names]
    if sum(wide) + 2 * len(wide) <= console.width:
        print_rows(rows)
        return len(rows)
    longest = max(map(len, names))
    for row in rows[:_EXPANDED]:
        console.rule(style="dim")
        for name in names:
            console.print(f"[bold]{escape(visible(name)):<{longest}}[/]  {_cell(row[name])}")
    return min(len(rows), _EXPANDED)


def print_summary(summary: Row) -> None:
    """One line of numbers on a terminal, two tab-separated lines where it is piped."""
    if not on_terminal():
        print_rows([summary])
        return
    said = (f"{name.replace('_', ' ')} [bold]{_cell(value)}[/]" for name, value in summary.items())
    Console().print("  ".join(said))


def on_terminal() -> bool:
    """Whether somebody reads standard output there."""
    return Console().is_terminal


def print_lines(names: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Tab-separated lines, the names first."""
    click.echo("\t".join(map(_plain, names)))
    for row in rows:
        click.echo("\t".join(_plain(value) for value in row))


def print_json(document: Any) -> None:  # noqa: ANN401  whatever JSON holds
    """One JSON document; what JSON has no word for is said as text, instants as ISO 8601."""
    click.echo(json.dumps(document, indent=2, default=_json))


def warn(sentence: str) -> None:
    """A sentence on standard error."""
    say(f"warning: {sentence}", err=True)


def say(sentence: str, *, err: bool = False) -> None:
    """A sentence that may hold words of others, on standard output or standard error."""
    click.echo(visible(sentence), err=err)


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


def minute(text: str | None) -> str | None:
    """An ISO instant to the minute."""
    return text[:16].replace("T", " ") + "Z" if text else None


def size(count: int) -> str:
    """Bytes in the unit that suits them."""
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
    return visible(str(value))


def _plain(value: object) -> str:
    """A cell of tab-separated lines: no tab and no line's end within."""
    return "" if value is None else re.sub(r"[\t\r\n]+", " ", _text(value))


def _bare(value: object) -> str:
    """A cell of a table: for the eye."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _text(value)


def _cell(value: object) -> str:
    """The same with its colour."""
    text = _bare(value)
    colour = _COLOURS.get(text)
    return f"[{colour}]{escape(text)}[/]" if colour else escape(text)
