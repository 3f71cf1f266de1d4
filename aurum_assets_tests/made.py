"""Resources that remember what they are made of, so that a test can make them otherwise."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from aurum_assets.resources.composition import Resources, Specification, compose
from aurum_assets.resources.configuration import Configuration


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
