"""The JSON Schema of the dataset files, made from the classes into which they are read.

An editor completes and checks the files by it; ``write`` makes it anew.
"""

from pathlib import Path
from typing import Any

import msgspec
from pydantic import TypeAdapter

from aurum_assets.resources.configuration import IngestConfig

FILE = "datasets.schema.json"
_FORMATS = "The formats in which it is asked, in order; names after the first end in theirs."


def schema() -> dict[str, Any]:
    """The schema. ``formats`` are read into an endpoint each, so they are of no class."""
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


def _unwrap(part: Any) -> None:  # noqa: ANN401  whatever JSON holds
    """Take the line breaks of the source out of every description."""
    if isinstance(part, dict):
        if isinstance(text := part.get("description"), str):
            part["description"] = " ".join(text.split())
        for inner in part.values():
            _unwrap(inner)


def write(folder: Path) -> None:
    """Write it into ``folder``."""
    text = msgspec.json.format(msgspec.json.encode(schema()), indent=2)
    (folder / FILE).write_bytes(text + b"\n")
