r"""Escape texts from outside for a terminal, a spreadsheet or a notebook.

An operator's text may hold anything. A terminal executes what follows ESC, a spreadsheet runs a
cell that begins with ``=``, ``+``, ``-`` or ``@``. So a control character is written as ``\x1b``,
and a cell that would be run gets an apostrophe in front, as spreadsheets do. ``from_cell`` reverses
both exactly. Numbers are not texts: ``-5.2`` stays as it is.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

# What Excel and LibreOffice run; the wide forms in Asian locales. An apostrophe is among them so
# that an original one is not mistaken for ours.
_RUN = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20'"
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # except tab, line feed, carriage return
_WOULD_RUN = re.compile(f"[{_RUN}]")
_BEHIND_OURS = re.compile(f"'(?=[{_RUN}])")
_CONTROLS = re.compile(f"[{_CONTROL}]")
_HIDDEN = re.compile(rf"[{_CONTROL}]|\\(?=x[0-9a-f]{{2}})")
_ESCAPED = re.compile(r"\\x(0[0-8bcef]|1[0-9a-f]|7f|[89][0-9a-f]|5c)")


def visible(text: str) -> str:
    """``text`` for a terminal: control characters except tabs and line ends are escaped."""
    return _CONTROLS.sub(_written, text)


def minute(text: str | None) -> str | None:
    """An ISO instant to the minute."""
    return text[:16].replace("T", " ") + "Z" if text else None


def span(seconds: int | None) -> str | None:
    """A time span in a suitable unit; ``ahead`` where it is negative."""
    if seconds is None:
        return None
    if seconds < 0:
        return "ahead"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 120:  # noqa: PLR2004  minutes up to two hours
        return f"{minutes} min"
    return f"{hours} h" if hours < 72 else f"{hours // 24} d"  # noqa: PLR2004  three days


def to_cell(text: str) -> str:
    """``text`` as a cell of a CSV that neither spreadsheet nor terminal executes."""
    text = _HIDDEN.sub(_written, text)
    return f"'{text}" if _WOULD_RUN.match(text) else text


def from_cell(cell: str) -> str:
    """The text that ``to_cell`` escaped as ``cell``; a cell that a person typed is unchanged."""
    cell = _BEHIND_OURS.sub("", cell, count=1) if cell.startswith("'") else cell
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), cell)


def as_cells(frame: "pl.DataFrame") -> "pl.DataFrame":
    """``frame`` with every text and column name escaped by ``to_cell``."""
    import polars as pl

    texts = (pl.String, pl.Categorical, pl.Enum)
    changed = [_cells(frame[n].cast(pl.String)) for n, t in frame.schema.items() if t in texts]
    return frame.with_columns(changed).rename(to_cell)


def _cells(column: "pl.Series") -> "pl.Series":
    suspect = column.str.contains(rf"^[{_RUN}]|[{_CONTROL}]|\\x[0-9a-f]{{2}}")
    if not suspect.any():
        return column
    return column.map_elements(to_cell, column.dtype)


def _written(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


# --- objects in a prompt and in a notebook -----------------------------------------------------


class Shown:
    """A class shown by its ``facts``: one line at a prompt, a table in a notebook."""

    def facts(self) -> Mapping[str, object]:
        """The facts to show, by name; no secret, and no request is made for them."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """One line."""
        facts = ", ".join(f"{name}={_in_line(value)}" for name, value in self.facts().items())
        return f"{type(self).__name__}({facts})"

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        return as_html(type(self).__name__, ((n, v) for n, v in self.facts().items()))


class Plain(str):
    """A text that is shown without quotes."""

    __slots__ = ()


def _in_line(value: object) -> str:
    return visible(str(value) if isinstance(value, Plain) else repr(value))


def as_html(title: str, rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> str:
    """A table for a notebook, with ``title`` above; the first column names the rows."""
    style = "text-align:left;vertical-align:top"
    head = "".join(f'<th style="{style}">{_cell(name)}</th>' for name in header)
    lines = [f"<tr>{head}</tr>"] if head else []
    for name, *values in rows:
        cells = "".join(f'<td style="{style}">{_cell(value)}</td>' for value in values)
        lines.append(f'<tr><th style="{style}">{_cell(name)}</th>{cells}</tr>')
    return f"<div><strong>{_cell(title)}</strong><table>{''.join(lines)}</table></div>"


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return html.escape(visible("" if value is None else text))
