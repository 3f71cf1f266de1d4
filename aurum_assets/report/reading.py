"""What pages are made from: the rows of SELECTs, the state of datasets, the clock.

Rows come from the SELECT that the page shows, run as ``aurum sql`` runs it: what a reader runs
again gives what the page has. Nothing is written here.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import polars as pl

from aurum_assets import ingest
from aurum_assets.marts.choices import load
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.operator import Operator
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT


class Reading:
    """What the pages of a home are made from. ``rows``: those of a SELECT; all instants are UTC."""

    def __init__(
        self,
        resources: Resources,
        datasets: Sequence[Dataset],
        rows: Callable[[str], pl.DataFrame],
    ) -> None:
        self.resources, self.rows = resources, rows
        self.datasets = tuple(
            d for d in datasets if resources.config(d).enabled or resources.lake.days(d.table)
        )
        self.now = resources.now()
        self.choices = load(resources.config_folder, PROJECT / "config")

    def day(self, operator: Operator, date: str) -> OperatingDay:
        """Operating day ``date`` of the operator."""
        return OperatingDay.parse(date, operator.zone)

    def has(self, operator: Operator) -> bool:
        """Whether any dataset of the operator is collected, or was."""
        return any(d.operator is operator for d in self.datasets)

    def is_over(self, day: OperatingDay) -> bool:
        """Whether the operating day is over."""
        return self.now >= day.end


@contextmanager
def reading_of(resources: Resources, datasets: Sequence[Dataset]) -> Iterator[Reading]:
    """Read a home: all pages that are made within show each table as it was when first read."""
    with ingest.queries(resources) as rows:
        yield Reading(resources, datasets, rows)


def as_typed(select: str) -> str:
    """A SELECT as it is read and typed: without what indents all of it, and without empty lines."""
    lines = (line.rstrip() for line in textwrap.dedent(select).splitlines())
    return "\n".join(line for line in lines if line)
