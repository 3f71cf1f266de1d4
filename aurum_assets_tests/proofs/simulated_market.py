"""The market tables of some simulated days, as frames: no home, no lake, no server.

The simulated operators are asked within this process, and their answers are read and conformed as
those of the real ones; what an answer replaces goes to the history.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay, every_day
from aurum_assets.model.dataset import Dataset, Envelope, Snapshot
from aurum_assets.model.reading import read
from aurum_assets.model.table import UTC, fold
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.operators.pjm.operator import PJM
from aurum_assets.simulator.operators import answer
from aurum_assets.simulator.payloads import to_json
from aurum_assets.simulator.world import Ask, World

_BY_KEY: Mapping[str, Dataset] = {d.key: d for d in DATASETS}
_PNODES = "40523629;33092313"  # the interface with MISO, and the western hub
_PRICED = 12  # locations of New England, and of MISO
_LATER = dt.timedelta(days=6)  # by then everything is final
_SOON = dt.timedelta(minutes=7)
_CONSOLIDATED = "/MarketPricing/GetLmpConsolidatedTable"


@dataclass
class Market:
    """The tables by name, as far as answers were taken."""

    world: World
    taken: dict[str, list[pl.DataFrame]] = field(default_factory=dict)

    def take(
        self,
        key: str,
        path: str,
        now: dt.datetime,
        finality: str | None = None,
        dialect: str = "live",
        query: Mapping[str, str] | None = None,
    ) -> None:
        """Ask for ``path`` at ``now`` and keep the rows that keep the rules of the table."""
        dataset = _BY_KEY[key]
        ask = Ask(path, now, query=query or {})
        body = to_json(answer(dataset.operator.name, self.world, ask).tree())
        raw = hashlib.sha256(body).hexdigest()
        day = dataset.operator.day_of(now)
        envelope = Envelope(key, "simulated", dialect, "json", day.key, now, raw, raw, finality)
        frame = read(dataset, Snapshot(envelope, body)).frame
        local = pl.col("interval_start").dt.convert_time_zone(dataset.operator.zone).dt.date()
        values = {
            "operating_day": local if dataset.table.stays_in_day else pl.lit(day.date),
            "source_timezone": pl.lit(dataset.operator.zone),
            "fetched_at": pl.lit(now, dtype=UTC),
            "raw_sha256": pl.lit(raw),
            "finality": pl.lit(finality, dtype=pl.String),
        }
        kept = {n: e for n, e in values.items() if n in dataset.table.names}
        good = dataset.table.conform(frame.with_columns(**kept)).good
        self.taken.setdefault(key, []).append(good)

    def frames(self) -> dict[str, pl.DataFrame]:
        """The tables and their histories."""
        found = {}
        for key, parts in self.taken.items():
            table = _BY_KEY[key].table
            found[table.name], found[table.history.name] = fold(table, pl.concat(parts))
        return found


def market(
    first: dt.date,
    last: dt.date,
    *,
    miso_hours: int = 24,
    tell: Callable[[dt.date], object] = lambda _: None,
) -> dict[str, pl.DataFrame]:
    """The tables that marts read, of the operating days ``first`` to ``last``, both included.

    ``miso_hours``: how many hours of a day MISO is asked for its newest interval, the first ones.
    ``tell`` is called with each day.
    """
    found = Market(World(seed=14, revise=True, locations=_PRICED))
    for date in _dates(first, last):
        tell(date)
        _new_england(found, OperatingDay(date, ISONE.zone))
        _miso(found, OperatingDay(date, MISO.zone), miso_hours)
        _pjm(found, OperatingDay(date, PJM.zone))
    return found.frames()


def _dates(first: dt.date, last: dt.date) -> Sequence[dt.date]:
    return [d.date for d in every_day(OperatingDay(first, "UTC"), OperatingDay(last, "UTC"))]


def _new_england(found: Market, day: OperatingDay) -> None:
    later, soon = day.end + _LATER, day.end + _SOON
    found.take("isone_da_lmp", f"/hourlylmp/da/final/day/{day.compact}", day.start, "final")
    for finality, now in (("prelim", soon), ("final", later)):
        path = f"/hourlylmp/rt/{finality}/day/{day.compact}"
        found.take("isone_rt_hourly_lmp", path, now, finality)
    for hour in day.local_hours():
        path = f"/day/{day.compact}/starthour/{hour}"
        ended = day.local_hour_start(hour) + HOUR + _SOON
        for now, finality in ((ended, "prelim"), (soon, "prelim"), (later, "final")):
            found.take("isone_rt_lmp", f"/fiveminutelmp/{finality}{path}", now, finality)
    for key, path in (
        ("isone_system_load", "/fiveminutesystemload/day/{}"),
        ("isone_zonal_load", "/fiveminuteestimatedzonalload/day/{}"),
        ("isone_hourly_system_load", "/hourlysysload/day/{}"),
        ("isone_generation_mix", "/genfuelmix/day/{}"),
        ("isone_hourly_load_forecast", "/hourlyloadforecast/all/day/{}"),
        ("isone_region_load_forecast", "/reliabilityregionloadforecast/day/{}/all"),
    ):
        found.take(key, path.format(day.compact), day.end + HOUR)


def _miso(found: Market, day: OperatingDay, hours: int) -> None:
    for mark in day.marks(FIVE_MINUTES)[: hours * 12]:
        now = mark + dt.timedelta(minutes=2)
        found.take("miso_rt_lmp", _CONSOLIDATED, now)
        found.take("miso_constraints", "/BindingConstraints/RealTime", mark + FIVE_MINUTES)
    for now in _within_each_hour(day, hours):
        found.take("miso_da_lmp", _CONSOLIDATED, now)
        found.take("miso_load_forecast", "/RealTimeTotalLoad", now)
    for now in _within_each_hour(day, hours):
        found.take("miso_rt_hourly_lmp", _CONSOLIDATED, now + HOUR)
    last = day.end - dt.timedelta(minutes=2)
    found.take("miso_load", "/RealTimeTotalLoad", last)
    found.take("miso_fuel_mix", "/FuelMix/Today", last)
    found.take("miso_interchange", "/Interchange/GetNsi/FiveMinute", last)
    found.take("miso_cts", "/CoordinatedTransactionScheduling", last)


def _within_each_hour(day: OperatingDay, hours: int) -> Iterator[dt.datetime]:
    return (mark + dt.timedelta(minutes=22) for mark in day.marks(HOUR)[:hours])


def _pjm(found: Market, day: OperatingDay) -> None:
    date = f"{day.date:%m/%d/%Y}"
    query = {
        "rowCount": "50000",
        "startRow": "1",
        "datetime_beginning_ept": f"{date} 00:00to{date} 23:59",
        "pnode_id": _PNODES,
    }
    for key, feed, finality, dialect, now in (
        ("pjm_rt_lmp", "rt_unverified_fivemin_lmps", "prelim", "unverified", day.end + HOUR),
        ("pjm_rt_lmp", "rt_fivemin_hrl_lmps", "final", "verified", day.end + _LATER),
        ("pjm_da_lmp", "da_hrl_lmps", "final", "live", day.end),
        ("pjm_itsced_lmp", "five_min_itsced_lmps", None, "live", day.end + HOUR),
    ):
        found.take(key, f"/{feed}", now, finality, dialect, query)
