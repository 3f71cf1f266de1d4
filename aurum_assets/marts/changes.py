"""Which days of a mart are to be built: those whose sources have other files than when they were.

A day is known by the data files of its sources, of that day and of those around it, by the mart's
definition and by what the desk chose (``choices``): ``marts.builds`` has a hash of them. Files
change with every commit of rows; a compaction changes them too, and costs a build that changes no
row. Lists that people write are known by what they hold. Crosswalks (``reference.iso_nodes``) do
not count, for they change daily: after a correction there, build the days by name.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from aurum_assets.marts.builds import BUILDS
from aurum_assets.marts.choices import load
from aurum_assets.marts.project import Mart, definition
from aurum_assets.marts.sources import LISTED, SOURCES, around, by_day, listed
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.lake import Lake

Files = Mapping[str, Mapping[dt.date, frozenset[str]]]
_ONE = dt.timedelta(days=1)


def files_of(
    lake: Lake,
    marts: Iterable[Mart],
    first: dt.date = dt.date.min,
    last: dt.date = dt.date.max,
) -> Files:
    """By source of ``marts`` and day, the paths of its files; of the days around them too.

    Raises like ``Lake.read``.
    """
    found: dict[str, Mapping[dt.date, frozenset[str]]] = {}
    for name in sorted({name for mart in marts for name in mart.reads}):
        table = SOURCES[name]
        if by_day(table):
            low = first if first == dt.date.min else first - around(table)
            high = last if last == dt.date.max else last + around(table)
            found[name] = lake.files_by_day(table, low, high)
    return found


class States:
    """The state of what marts are made from, by day; ``files`` as ``files_of`` gives them."""

    def __init__(self, resources: Resources, files: Files) -> None:
        self._lake, self._config, self._files = resources.lake, resources.config_folder, files
        self._choices = repr(load(resources.config_folder, PROJECT / "config"))
        self._lists: dict[str, str] = {}

    def of(self, mart: Mart, day: dt.date) -> str:
        """A hash of what ``day`` of the mart follows from."""
        parts = [definition(mart), self._choices]
        for name in mart.reads:
            table = SOURCES[name]
            if by_day(table):
                by = self._files.get(name, {})
                reach = around(table).days
                near = (day + n * _ONE for n in range(-reach, reach + 1))
                parts += [path for one in near for path in sorted(by.get(one, ()))]
            elif name in LISTED:
                parts.append(self._list(name))
        return _hash(parts)

    def _list(self, name: str) -> str:
        if name not in self._lists:
            self._lists[name] = _hash([listed(self._lake, self._config, name).write_csv()])
        return self._lists[name]

    def days(self, mart: Mart) -> list[dt.date]:
        """The days of which a source of the mart has rows."""
        return sorted({day for name in mart.reads for day in self._files.get(name, {})})


def held_days(
    lake: Lake,
    marts: Iterable[Mart],
    first: dt.date = dt.date.min,
    last: dt.date = dt.date.max,
) -> list[dt.date]:
    """The days from ``first`` to ``last`` of which sources of ``marts`` have rows, or the marts."""
    some = list(marts)
    found = {day for by in files_of(lake, some, first, last).values() for day in by}
    found |= {day for mart in some for day in lake.days(mart.table)}
    return sorted(day for day in found if first <= day <= last)


def changed(
    resources: Resources,
    marts: Sequence[Mart],
    first: dt.date = dt.date.min,
    last: dt.date = dt.date.max,
) -> dict[dt.date, list[str]]:
    """The days from ``first`` to ``last`` that are to be built, each with the marts that are.

    Raises like ``Lake.read``, and ``ConfigError`` where the choices are wrong.
    """
    known = built(resources.lake)
    current = States(resources, files_of(resources.lake, marts, first, last))
    found: dict[dt.date, list[str]] = {}
    for mart in marts:
        gone = [day for name, day in known if name == mart.name]  # sources may have lost a day
        for day in sorted({*current.days(mart), *gone}):
            if first <= day <= last and known.get((mart.name, day)) != current.of(mart, day):
                found.setdefault(day, []).append(mart.name)
    return dict(sorted(found.items()))


def built(lake: Lake) -> dict[tuple[str, dt.date], str]:
    """By mart and day, the state from which it was built last."""
    return _states_of(lake.read(BUILDS))


def built_since(lake: Lake, instant: dt.datetime) -> dict[tuple[str, dt.date], str]:
    """As ``built``, of what was built at ``instant`` or later."""
    return _states_of(lake.read(BUILDS).filter(pl.col("built_at") >= instant))


def _states_of(rows: pl.DataFrame) -> dict[tuple[str, dt.date], str]:
    found = rows.select("mart", "operating_day", "sources").iter_rows()
    return {(mart, day): state for mart, day, state in found}


def note(
    lake: Lake,
    states: Mapping[tuple[str, dt.date], str],
    rows: Mapping[tuple[str, dt.date], int],
    at: dt.datetime,
) -> None:
    """Record the days that were built, with the state that they were built from."""
    frame = pl.DataFrame(
        [
            (f"{day:%Y-%m}", day, mart, at, state, rows.get((mart, day), 0))
            for (mart, day), state in states.items()
        ],
        BUILDS.schema,
        orient="row",
    )
    for of_month in frame.partition_by("month"):
        lake.merge(BUILDS, of_month.sort(BUILDS.order))


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
