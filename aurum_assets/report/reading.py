"""What pages are made from: the rows of SELECTs, the state of datasets, the clock.

Rows come from the SELECT that the page shows, run as ``aurum sql`` runs it: what a reader runs
again gives what the page has. Nothing is written here.
"""

import textwrap
from collections.abc import Sequence

import polars as pl

from aurum_assets import ingest
from aurum_assets.marts.choices import load
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.operator import Operator
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT


class Reading:
    """What the pages of a home are made from."""

    def __init__(self, resources: Resources, datasets: Sequence[Dataset]) -> None:
        self.resources = resources
        self.datasets = tuple(
            d for d in datasets if resources.config(d).enabled or resources.lake.days(d.table)
        )
        self.now = resources.now()
        self.choices = load(resources.config_folder, PROJECT / "config")

    def rows(self, select: str) -> pl.DataFrame:
        """The rows of a SELECT; all instants are UTC."""
        with ingest.query(self.resources, select) as batches:
            empty = pl.DataFrame(batches.schema.empty_table())
            return pl.concat([empty, *(pl.DataFrame(batch) for batch in batches)])

    def day(self, operator: Operator, date: str) -> OperatingDay:
        """Operating day ``date`` of the operator."""
        return OperatingDay.parse(date, operator.zone)

    def has(self, operator: Operator) -> bool:
        """Whether any dataset of the operator is collected, or was."""
        return any(d.operator is operator for d in self.datasets)

    def is_over(self, day: OperatingDay) -> bool:
        """Whether the operating day is over."""
        return self.now >= day.end


def as_typed(select: str) -> str:
    """A SELECT as it is read and typed: without what indents all of it, and without empty lines."""
    lines = (line.rstrip() for line in textwrap.dedent(select).splitlines())
    return "\n".join(line for line in lines if line)
