"""CSV with a header row (RFC 4180) as a list of records: all values are text."""

import csv
import io
from typing import Any

from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.formats.text import (
    named,
    require_one_name_each,
    require_reasonable_size,
)


class Rows(list[Any]):
    """The records of a table, and the names of its ``columns``."""

    columns: tuple[str, ...] = ()


def decode(body: bytes, careful: bool) -> Rows:  # noqa: FBT001
    """The rows of ``body`` below its header row; blank lines are none.

    Raises ``MalformedPayload`` without a header row, or where two columns have one name;
    ``ValueError`` where a quote is not closed, or the text is not UTF-8.
    """
    del careful  # two columns of one name are refused in any case
    require_reasonable_size(body.count(b"\n"))  # its commas are counted for all formats
    if b"\0" in body:
        msg = "it holds a character that is zero"
        raise ValueError(msg)
    try:
        lines = [row for row in csv.reader(io.StringIO(body.decode(), ""), strict=True) if row]
    except csv.Error as error:
        raise ValueError(error) from error
    if not lines:
        msg = "the CSV holds not even a header row"
        raise MalformedPayload(msg)
    columns = lines[0]
    require_one_name_each(columns)
    rows = Rows(named(columns, row) for row in lines[1:])
    rows.columns = tuple(columns)
    return rows
