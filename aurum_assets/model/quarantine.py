"""``quality.quarantine``: records that may not enter a table, as received, with the reason."""

import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.table import Column, Table

TEXT = pl.String()

QUARANTINE = Table(
    name="quarantine",
    namespace="quality",
    columns=(
        c.OPERATING_DAY,
        Column("dataset", TEXT, "The dataset whose table refused the record."),
        Column("received_hash", TEXT, "SHA-256 (first 128 bits, hex) of the record as received."),
        Column("record", TEXT, "The record as received, as compact JSON."),
        Column("rules", TEXT, "Every rule that the record breaks, separated by commas."),
        Column("reason", TEXT, "The reason as a sentence, with the values."),
        c.FETCHED_AT,
        c.RAW_SHA256,
    ),
    key=("received_hash",),
    values=("dataset",),  # the first reason for a record stays
    partition=("operating_day", "dataset"),
    stays_in_day=False,
    keeps_history=False,  # the first reason for a record stays
    doc="Records that broke a blocking rule: kept as received, with every rule they broke.",
)
