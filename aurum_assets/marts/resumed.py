"""Builds of many days that go on where they were cut short.

    AURUM_HOME/marts/unfinished.json

The file says which marts and days a build was asked for, and when. The same build again leaves out
the days that it has built since, unless their sources changed. The file is deleted once a build
ends, and does not count after a week.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from aurum_assets.marts import changes
from aurum_assets.marts.build import Built, Tell, build
from aurum_assets.marts.project import marts, with_those_before
from aurum_assets.resources.composition import Resources

_WEEK = dt.timedelta(days=7)


class _Unfinished(msgspec.Struct):
    """The file: a hash of what was asked for, and when the build began."""

    asked: str
    since: dt.datetime


@dataclass
class Building:
    """``finished``: days that an earlier build of the same had built. ``left``: the others.

    ``chunks`` builds these, and is told what tells of each model that begins.
    """

    finished: list[dt.date]
    left: list[dt.date]
    chunks: Callable[[Tell], Iterator[Built]]


def build_resumed(
    resources: Resources,
    days: Sequence[dt.date],
    names: Sequence[str] = (),
) -> Building:
    """Build ``days`` of the marts ``names`` (all where none), see ``build``."""
    if len(days) < 2:  # noqa: PLR2004  one day has nothing to go on with
        return Building([], list(days), lambda tell: build(resources, days, names, tell))
    file = resources.root / "marts" / "unfinished.json"
    asked = hashlib.sha256(repr((sorted(names), list(days))).encode()).hexdigest()[:32]
    now = resources.now()
    before = _read(file)
    if before is None or before.asked != asked or now - before.since > _WEEK:
        before = _Unfinished(asked, now)
        _write(file, before)
    finished = _finished(resources, days, names, before.since)
    left = [day for day in days if day not in finished]

    def chunks(tell: Tell) -> Iterator[Built]:
        yield from build(resources, left, names, tell)
        file.unlink(missing_ok=True)

    return Building(sorted(finished), left, chunks)


def _finished(
    resources: Resources, days: Sequence[dt.date], names: Sequence[str], since: dt.datetime
) -> set[dt.date]:
    """The days that were built since, of all marts, and whose sources are as they were."""
    wanted = with_those_before(names or marts())
    known = changes.built_since(resources.lake, since)
    if not known:
        return set()
    files = changes.files_of(resources.lake, wanted.values(), days[0], days[-1])
    states = changes.States(resources, files)
    return {
        day
        for day in days
        if all(known.get((n, day)) == states.of(mart, day) for n, mart in wanted.items())
    }


def _read(file: Path) -> _Unfinished | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Unfinished)
    except (OSError, msgspec.DecodeError):
        return None


def _write(file: Path, unfinished: _Unfinished) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(unfinished))  # one that was cut short is as none
