"""Resources that remember what they are made of, so that a test can make them otherwise."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from aurum_assets.model.table import Table
from aurum_assets.resources.composition import Resources, Specification, compose
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.lake import Lake, Merged, Stored, Swap


@dataclass
class Made(Resources):
    """Resources, and what they are made of."""

    specification: Specification = field(kw_only=True)


def made(root: Path, configuration: Configuration, **settings: Any) -> Made:  # noqa: ANN401  those of Specification
    """Resources of a home in ``root``, on embedded defaults where ``settings`` say nothing else."""
    return _of(Specification(root, configuration, **settings))


def remade(resources: Resources, **changes: Any) -> Made:  # noqa: ANN401  those of Specification
    """The same as another process would make them, with ``changes`` of their specification."""
    if not isinstance(resources, Made):
        msg = "only what a test has made can be made otherwise"
        raise TypeError(msg)
    return _of(replace(resources.specification, **changes))


def _of(specification: Specification) -> Made:
    found = compose(specification)
    parts = {f.name: getattr(found, f.name) for f in fields(Resources)}
    return Made(**parts, specification=specification)


class WatchedLake(Lake):
    """A lake that calls ``before`` with what is to be written."""

    @abstractmethod
    def before(self, table: Table, frame: pl.DataFrame) -> None:
        """Raise, or end the process, where the test wants it."""

    def merge(self, table: Table, frame: pl.DataFrame) -> Merged:
        """As a lake does, after ``before``."""
        self.before(table, frame)
        return super().merge(table, frame)

    def write(
        self, table: Table, frame: pl.DataFrame, partition: Mapping[str, Any], before: Stored
    ) -> Swap:
        """As a lake does, after ``before``."""
        self.before(table, frame)
        return super().write(table, frame, partition, before)
