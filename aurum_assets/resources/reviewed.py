"""Read and write the CSV files that people review: all text, written atomically.

The content is up to ``reference``. A name from an operator that a spreadsheet would run as a
formula is escaped (``model.shown``), and read back unchanged.
"""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from aurum_assets.model.errors import ConfigError
from aurum_assets.model.shown import from_cell, to_cell


def read_reviewed(path: Path, columns: Sequence[str], key: Sequence[str]) -> pl.DataFrame | None:
    """The rows of ``path``, all text, empty cells null; None where there is no such file.

    ``columns`` come first; others that people added follow. Raises ``ConfigError`` naming file and
    line where a column is missing or repeated, a line has too many cells, or ``key`` is empty or
    not unique.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read as UTF-8 text ({error})"
        raise ConfigError(msg) from error
    lines = csv.reader(io.StringIO(text, newline=""))
    header = [from_cell(cell.strip()) for cell in next(lines, [])]
    missing = [name for name in columns if name not in header]
    if missing or len(set(header)) != len(header):
        msg = f"{path}, line 1: expected the columns {', '.join(columns)}, each once; found "
        raise ConfigError(msg + (", ".join(header) or "an empty file"))
    names = [*columns, *(name for name in header if name not in columns)]
    rows: list[dict[str, str | None]] = []
    seen: dict[tuple[str | None, ...], int] = {}
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header):
            msg = f"{path}, line {lines.line_num}: {len(cells)} cells under {len(header)} columns; "
            raise ConfigError(msg + 'put a text that holds a comma between "quotes"')
        row = {
            name: from_cell(cell.strip()) or None for name, cell in zip(header, cells, strict=False)
        }
        identity = tuple(row.get(name) for name in key)
        if None in identity:
            msg = f"{path}, line {lines.line_num}: {' and '.join(key)} must be filled"
            raise ConfigError(msg)
        if identity in seen:
            msg = (
                f"{path}, line {lines.line_num}: {' '.join(map(str, identity))} is there already, "
                f"in line {seen[identity]}; make one line of the two"
            )
            raise ConfigError(msg)
        seen[identity] = lines.line_num
        rows.append(row)
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()))


def write_reviewed(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[str | None]]
) -> None:
    """Write ``rows`` under ``columns`` to ``path``; a reader sees the old or the new file.

    One writer at a time: the caller holds a lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(map(to_cell, columns))
            writer.writerows([cell and to_cell(cell) for cell in row] for row in rows)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
