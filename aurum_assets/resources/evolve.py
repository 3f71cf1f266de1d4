"""Bring tables that an earlier version made to the columns of today.

Iceberg identifies columns by number, so that older files give nulls for a new column, and nothing
is rewritten. A writer adds missing columns before it writes; a reader changes nothing and gives
nulls for them. Only nullable columns can be added. A column that is no longer stored is dropped
from the schema in the same commit: older files keep its bytes, and nobody reads them.

Several writers may find the same column missing at once: each commit asserts the schema that it was
computed from, so one succeeds and the others fail as lost commits; their retry finds the column.
"""

from typing import TYPE_CHECKING

import polars as pl

from aurum_assets.model.errors import ContractBroken
from aurum_assets.model.table import Column, Table

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table as IcebergTable


def missing(found: "IcebergTable", table: Table) -> list[Column]:
    """The columns of ``table`` that the Iceberg table does not have yet."""
    there = set(found.schema().column_names)
    return [column for column in table.columns if column.name not in there]


RETIRED = frozenset({"record_hash"})  # derived from the values where a message needs it


def evolved(found: "IcebergTable", table: Table, wanted: "Schema") -> "IcebergTable":
    """``found`` with every column of ``table``, as in ``wanted``, and no retired; may commit.

    Raises ``ContractBroken`` where a missing column is not nullable, and what a lost commit raises.
    """
    columns = missing(found, table)
    retired = RETIRED & set(found.schema().column_names) - set(table.names)
    if not columns and not retired:
        return found
    for column in columns:
        if not column.nullable:
            msg = (
                f"{table.identifier}: the table lacks {column.name}, which may not be null; "
                "make it anew with aurum replay from another AURUM_HOME"
            )
            raise ContractBroken(msg)
    with found.update_schema() as update:
        for name in retired:
            update.delete_column(name)
        for column in columns:
            field = wanted.find_field(column.name)
            update.add_column(column.name, field.field_type, doc=field.doc)
    return found


def completed(rows: pl.LazyFrame, found: "IcebergTable", table: Table) -> pl.LazyFrame:
    """``rows`` of the Iceberg table with nulls for missing columns, in stored order."""
    nulls = (pl.lit(None, c.dtype).alias(c.name) for c in missing(found, table))
    return rows.with_columns(nulls).select(table.names)
