"""Whose data a home, an archive and a lake hold: a simulator's or an operator's, never both."""

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from aurum_assets.model.errors import (
    ConfigError,
    HomeMoved,
    LakeBusy,
    LakeUnreachable,
    StoreError,
)
from aurum_assets.resources.archive import Archive
from aurum_assets.resources.home import Home
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

log = get_logger(__name__)


def refuse_to_mix(home: Home, archive: Archive, lake: Lake, base_url: str) -> None:
    """Raise ``ConfigError`` where data from ``base_url`` would meet data of the other kind.

    Marks a home without data as real or simulated. An archive and a lake that are elsewhere, and
    that other homes may share, are asked once a home.
    """
    host = urlsplit(base_url).hostname
    ours = "simulated" if host in {"127.0.0.1", "::1", "localhost"} else "real"
    home.mark("origin", ours.encode())
    held = [(str(home.root), "AURUM_HOME", home.origin), *_shared(home, archive, lake, ours)]
    for place, variable, whose in held:
        if whose != ours:
            msg = (
                f"{place} holds {whose} data, and {host} would bring {ours} data: "
                f"set {variable} to another place for that"
            )
            raise ConfigError(msg)


def _shared(home: Home, archive: Archive, lake: Lake, ours: str) -> list[tuple[str, str, str]]:
    """Whose data is in archive and lake, where these are elsewhere."""
    asked = f"origin-{hashlib.sha256(_places(archive, lake).encode()).hexdigest()[:16]}"
    if not (archive.settings.place or lake.configured) or (home.root / asked).exists():
        return []
    places: list[tuple[str, str, Callable[[str], str]]] = []
    if lake.configured:
        places.append(("the lake", "AURUM_CATALOG_URI", lake.claimed_by))
    if archive.settings.place:
        places.append((archive.uri, "AURUM_ARCHIVE", archive.claimed_by))
    held = []
    for place, variable, claimed_by in places:
        try:
            held.append((place, variable, claimed_by(ours)))
        except HomeMoved:
            raise
        except (StoreError, LakeUnreachable, LakeBusy, ConfigError):
            # Asked again with the next request: what is fetched now is spooled.
            log.debug("whose data it holds was not to be learned", place=place)
    if len(held) == len(places) and all(whose == ours for _, _, whose in held):
        home.mark(asked, ours.encode())
    return held


def _places(archive: Archive, lake: Lake) -> str:
    """Where archive and lake are: the same with a new password, user or option."""
    uri = urlsplit(lake.configured.get("uri", ""))
    names = ("type", "warehouse", "glue.endpoint", "glue.id", "client.region")
    sentences = [
        urlsplit(archive.settings.endpoint).netloc.rpartition("@")[2],
        archive.settings.place,
        *(lake.configured.get(name, "") for name in names),
        uri.netloc.rpartition("@")[2],
        uri.path,
        *(f"{n}={v}" for n, v in sorted(parse_qsl(uri.query)) if n in {"host", "port", "dbname"}),
    ]
    return " ".join(sentences)
