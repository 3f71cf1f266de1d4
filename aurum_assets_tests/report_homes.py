"""A home for the report, made of formulas: an ordinary day, and days on which a page may go wrong.

    ordinary   everything is there: preliminary and final, corrected, kept out, checked
    gap        three hours of real time are missing, and the whole day ahead
    scarcity   an hour at 2,000 USD/MWh, and one below zero
    spring     23 hours
    autumn     25 hours

Rows go to the tables as they are: no operator is asked and nothing is archived.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from aurum_assets import ingest
from aurum_assets.ingest.reference import LISTS, publish_list
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.checks import Verdict
from aurum_assets.model.clock import FIFTEEN_MINUTES, FIVE_MINUTES, HOUR, OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources

NOW = dt.datetime(2026, 11, 2, 17, tzinfo=dt.UTC)
ORDINARY, GAP, SCARCITY = "2026-10-30", "2026-10-29", "2026-10-28"
SPRING, AUTUMN = "2026-03-08", "2026-11-01"
DAYS = {
    "ordinary": ORDINARY,
    "gap": GAP,
    "scarcity": SCARCITY,
    "spring": SPRING,
    "autumn": AUTUMN,
}
BY_KEY = {d.key: d for d in DATASETS}
HUB = ("4000", ".H.INTERNAL_HUB", "HUB")
ZONES = [
    ("4001", ".Z.MAINE", "LOAD ZONE"),
    ("4004", ".Z.CONNECTICUT", "LOAD ZONE"),
    ("4008", ".Z.NEMASSBOST", "LOAD ZONE"),
]
HUBS = ["INDIANA.HUB", "MICHIGAN.HUB", "PJMC"]
PJM_PLACES = [("40523629", "MISO", "INTERFACE"), ("51288", "WESTERN HUB", "HUB")]
MISSING = range(9, 12)  # hours of the day of the gap
SCARCE, NEGATIVE = 17, 3  # hours of the day of scarcity
SUMMARY = {
    "operator": "isone",
    "main_location": "4000",
    "on_peak_da_lmp": 47.25,
    "on_peak_rt_lmp": 45.75,
    "off_peak_da_lmp": None,
    "off_peak_rt_lmp": 31.5,
    "highest_rt_lmp": 1_204.5,
    "highest_rt_location": ".Z.MAINE",
    "lowest_rt_lmp": -3.125,
    "lowest_rt_location": ".Z.VERMONT",
    "negative_hours": 2,
    "scarcity_hours": 1,
    "top_congested": "SOMEWHERE +12.34",
    "peak_load": 14_499.6,
    "completeness": 0.9994,
    "corrections": 1_234,
}
Row = dict[str, Any]


def price(day: OperatingDay, mark: dt.datetime, place: int) -> float:
    """A real-time price in cents: of the hour, the place, and what kind of day it is."""
    hour = (mark - day.start) / HOUR
    value = 40 + 15 * math.sin((hour - 9) / 24 * 2 * math.pi) + 1.5 * place + mark.minute / 20
    if day.key == SCARCITY and int(hour) == SCARCE:
        value += 2_000
    if day.key == SCARCITY and int(hour) == NEGATIVE:
        value = -12.5 - place
    return round(value, 2)


def fill(resources: Resources, days: Iterable[str] = tuple(DAYS.values())) -> None:
    """Put all of ``days`` into the tables; on the ordinary one something of every kind."""
    for date in days:
        _prices(resources, date)
        loads(resources, date)
    for listed in (one for one in LISTS if one.key == "fuels"):
        publish_list(resources, listed, NOW.date())
    if ORDINARY in days:
        seam(resources, ORDINARY)
        _troubles(resources, ORDINARY)
        _summary(resources, ORDINARY)


def put(resources: Resources, key: str, date: str, rows: Iterable[Row]) -> None:
    """Merge ``rows`` of a dataset; the columns that they lack are null or its usual ones."""
    dataset = BY_KEY[key]
    resources.lake.merge(dataset.table, _framed(dataset, date, rows))


def _framed(dataset: Dataset, date: str, rows: Iterable[Row]) -> pl.DataFrame:
    day = dataset.day(date)
    usual = {
        "operating_day": day.date,
        "source_timezone": day.zone,
        "fetched_at": day.end + HOUR,
        "raw_sha256": "0" * 64,
    }
    return _frame(dataset.table, usual, rows)


def _frame(table: Table, usual: Mapping[str, Any], rows: Iterable[Row]) -> pl.DataFrame:
    whole = [{name: {**usual, **row}.get(name) for name in table.names} for row in rows]
    return pl.DataFrame(whole, schema=table.schema).sort(table.order)


def _marks(dataset: str, date: str, every: dt.timedelta) -> list[dt.datetime]:
    return BY_KEY[dataset].day(date).marks(every)


def _row(mark: dt.datetime, every: dt.timedelta, lmp: float, **more: object) -> Row:
    parts = {"lmp": lmp, "energy": lmp, "congestion": 0.0, "loss": 0.0}
    return {"interval_start": mark, "interval_end": mark + every, **parts, **more}


def _prices(resources: Resources, date: str) -> None:
    day = BY_KEY["isone_rt_lmp"].day(date)
    there = [
        mark
        for mark in day.marks(FIVE_MINUTES)
        if not (date == GAP and (mark - day.start) // HOUR in MISSING)
    ]
    places = [(n, *place) for n, place in enumerate([HUB, *ZONES])]

    def new_england(
        marks: Iterable[dt.datetime], every: dt.timedelta, finality: str, more: float = 0
    ) -> list[Row]:
        return [
            _row(
                mark,
                every,
                round(price(day, mark, n) + more, 2),
                location_id=number,
                location_name=name,
                location_type=kind,
                finality=finality,
            )
            for n, number, name, kind in places
            for mark in marks
        ]

    put(resources, "isone_rt_lmp", date, new_england(there, FIVE_MINUTES, "prelim"))
    if date != GAP:
        put(resources, "isone_da_lmp", date, new_england(day.marks(HOUR), HOUR, "final", 1.25))
    midwest = BY_KEY["miso_expost_lmp"].day(date)
    rows = [
        _row(mark, FIVE_MINUTES, price(midwest, mark, n), location=name)
        for n, name in enumerate(HUBS)
        for mark in midwest.marks(FIVE_MINUTES)
    ]
    put(resources, "miso_expost_lmp", date, rows)
    if date != ORDINARY:
        return
    hourly = new_england(day.marks(HOUR), HOUR, "prelim")
    hourly += new_england(day.marks(HOUR), HOUR, "final", 0.5)
    put(resources, "isone_rt_hourly_lmp", date, hourly)
    ahead = [
        _row(mark, HOUR, price(midwest, mark, n) + 2, location=name, market_run="ex_post")
        for n, name in enumerate(HUBS)
        for mark in midwest.marks(HOUR)
    ]
    put(resources, "miso_da_lmp", date, ahead)


def loads(resources: Resources, date: str) -> None:
    """Load, its forecasts and generation of New England."""
    day = BY_KEY["isone_system_load"].day(date)

    def load(mark: dt.datetime) -> float:
        return round(12_000 + 2_500 * math.sin(((mark - day.start) / HOUR - 8) / 12 * math.pi), 1)

    def span(mark: dt.datetime, every: dt.timedelta, **more: object) -> Row:
        return {"interval_start": mark, "interval_end": mark + every, **more}

    put(
        resources,
        "isone_system_load",
        date,
        [span(m, FIVE_MINUTES, load=load(m), native_load=load(m)) for m in day.marks(FIVE_MINUTES)],
    )
    said = [
        span(m, HOUR, load=load(m) + more, published_at=at)
        for m in day.marks(HOUR)
        for at, more in ((day.start - 6 * HOUR, 240.0), (day.start, 90.0))
    ]
    put(resources, "isone_hourly_load_forecast", date, said)
    fuels = {"Natural Gas": 6_000.0, "Nuclear": 3_300.0, "Wind": 800.0, "Batteries": -150.0}
    mix = [
        span(m, HOUR, fuel=fuel, fuel_rollup=fuel, marginal=fuel == "Natural Gas", generation=mw)
        for m in day.marks(HOUR)
        for fuel, mw in fuels.items()
    ]
    put(resources, "isone_generation_mix", date, mix)


def seam(resources: Resources, date: str) -> None:
    """Forecasts, the scheduled flow and PJM's prices."""
    day = BY_KEY["miso_cts"].day(date)
    quarters = day.marks(FIFTEEN_MINUTES)
    forecasts = [
        {
            "published_at": mark - lead * FIFTEEN_MINUTES,
            "interval_start": mark,
            "interval_end": mark + FIFTEEN_MINUTES,
            "location": "PJM",
            "lmp": round(price(day, mark, 3) + 2 * lead, 2),
        }
        for mark in quarters
        for lead in (1, 2, 4, 8)
        if mark - lead * FIFTEEN_MINUTES >= day.start
    ]
    put(resources, "miso_cts", date, forecasts)
    flows = [
        {
            "interval_start": mark,
            "interval_end": mark + FIVE_MINUTES,
            "neighbour": "PJM",
            "interchange": -1_500.0 + 10 * n,
        }
        for n, mark in enumerate(day.marks(FIVE_MINUTES))
    ]
    put(resources, "miso_interchange", date, flows)
    eastern = BY_KEY["pjm_rt_lmp"].day(date)
    rows = [
        _row(
            mark,
            FIVE_MINUTES,
            price(day, mark, n + 2),
            location_id=number,
            location_name=name,
            location_type=kind,
            finality="prelim",
        )
        for n, (number, name, kind) in enumerate(PJM_PLACES)
        for mark in eastern.marks(FIVE_MINUTES)
    ]
    put(resources, "pjm_rt_lmp", date, rows)


def _troubles(resources: Resources, date: str) -> None:
    """A value that was corrected, a record that was kept out, a check that failed."""
    dataset = BY_KEY["isone_rt_lmp"]
    day = dataset.day(date)
    later = {
        "location_id": HUB[0],
        "location_name": HUB[1],
        "location_type": HUB[2],
        "finality": "prelim",
        "fetched_at": day.end + 2 * HOUR,
        "raw_sha256": "1" * 64,
    }
    put(resources, dataset.key, date, [_row(day.start, FIVE_MINUTES, 99.75, **later)])
    kept_out = {
        "operating_day": day.date,
        "dataset": dataset.key,
        "received_hash": "2" * 32,
        "record": "{}",
        "rules": "lmp_is_the_sum_of_its_parts,lmp_is_possible",
        "reason": "lmp_is_the_sum_of_its_parts: lmp=1.0, energy=<b>2.0</b>",
        "fetched_at": day.end,
        "raw_sha256": "0" * 64,
    }
    resources.lake.merge(QUARANTINE, _frame(QUARANTINE, {}, [kept_out]))
    verdicts = [
        Verdict("contract", passed=True, severity="ERROR", count=0, reason="fine"),
        Verdict(
            "lmp_arithmetic", passed=False, severity="ERROR", count=1, reason="1 row of <many>"
        ),
        Verdict("freshness", passed=False, severity="WARN", count=3, reason="3 minutes late"),
    ]
    for judged in (date, AUTUMN):
        ingest.remember_verdicts(resources, dataset, judged, verdicts)


def _summary(resources: Resources, date: str) -> None:
    """A row of the mart that the headline shows."""
    day = BY_KEY["isone_rt_lmp"].day(date)
    row = SUMMARY | {
        "operating_day": day.date,
        "highest_rt_at": day.start + 18 * HOUR,
        "lowest_rt_at": day.start,
        "peak_load_at": day.start + 17 * HOUR,
        "computed_at": day.end,
        "made_from": "nothing",
    }
    (mart,) = (table for table in MARTS if table.name == "daily_summary")
    partition = {"operating_day": day.date}
    rows, held = _frame(mart, {}, [row]), resources.lake.stored(mart, partition)
    resources.lake.swap(mart, [resources.lake.write(mart, rows, partition, held)])
