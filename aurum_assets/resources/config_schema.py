"""The JSON Schema of the dataset files, made from the classes into which they are read.

An editor completes and checks the files by it; ``write`` makes it anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from pydantic import TypeAdapter

from aurum_assets.model.dataset import DatasetConfig, Endpoint, Feed, OperatorConfig, Probe
from aurum_assets.model.drift import FieldConfig
from aurum_assets.model.operator import Limit
from aurum_assets.resources.configuration import IngestConfig

_CONFIG = "__pydantic_config__"
_DESCRIBED: tuple[Any, ...] = (
    Limit,
    FieldConfig,
    Endpoint,
    Probe,
    Feed,
    DatasetConfig,
    OperatorConfig,
)
FILE = "datasets.schema.json"
_FORMATS = "The formats in which it is asked, in order; names after the first end in theirs."


def schema() -> dict[str, Any]:
    """The schema. ``formats`` are read into an endpoint each, so they are of no class."""
    with _described():
        found = TypeAdapter(IngestConfig).json_schema()
    endpoint, dataset = (found["$defs"][n]["properties"] for n in ("Endpoint", "DatasetConfig"))
    one = {k: v for k, v in endpoint.pop("format").items() if k in {"type", "enum"}}
    formats = {"type": "array", "items": one, "minItems": 1}
    endpoint["formats"] = {**formats, "description": f"{_FORMATS} Default: the dataset's, or json."}
    dataset["formats"] = {**formats, "description": f"{_FORMATS} Of each endpoint without its own."}
    dataset.pop("expected_fields")
    _unwrap(found)
    found["properties"]["$schema"] = {"type": "string", "description": "Where this schema lies."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "Aurum assets: an operator and its datasets",
    }


@contextmanager
def _described() -> Iterator[None]:
    """Let pydantic read attributes' docstrings: it parses source for that, as no run should."""
    kept = {made: made.__pydantic_config__ for made in _DESCRIBED}
    try:
        for made, config in kept.items():
            setattr(made, _CONFIG, {**config, "use_attribute_docstrings": True})
        yield
    finally:
        for made, config in kept.items():
            setattr(made, _CONFIG, config)


def _unwrap(part: Any) -> None:  # noqa: ANN401  whatever JSON holds
    """Take the line breaks of the source out of every description."""
    if isinstance(part, dict):
        if isinstance(text := part.get("description"), str):
            part["description"] = " ".join(text.split())
        for inner in part.values():
            _unwrap(inner)


def write(folder: Path) -> None:
    """Write the JSON Schema of the dataset files into ``folder``."""
    text = msgspec.json.format(msgspec.json.encode(schema()), indent=2)
    (folder / FILE).write_bytes(text + b"\n")
