"""The environment's variables, failing them those of ``.env`` files."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = Path(__file__).parents[2]


def env_files() -> tuple[str | Path, ...]:
    """The file that the environment names, else both places of a ``.env``; the last one counts."""
    named = os.environ.get("AURUM_ENV_FILE")
    return (named,) if named else (PROJECT / ".env", ".env")


def environment() -> Mapping[str, str]:
    """Variables by upper-case name, as they are now; empty ones are left out."""
    from dotenv import dotenv_values

    found: dict[str, str | None] = {}
    places: list[Mapping[str, str | None]] = [*map(dotenv_values, env_files()), os.environ]
    for variables in places:
        found |= {name.upper(): value for name, value in variables.items() if value}
    return {name: value for name, value in found.items() if value}


def is_address(address: str, schemes: tuple[str, ...], *, plain: bool) -> bool:
    """Whether ``address`` names a place by one of ``schemes``; a ``plain`` one, and no more."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    more = "@" in parts.netloc or parts.query
    return parts.scheme in schemes and bool(parts.netloc or parts.query) and not (plain and more)
