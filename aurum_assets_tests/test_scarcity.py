"""Scarcity is not an error; other units are, and keep rows out only where a second sign agrees."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.drift import SCHEMA_RULE, Drift, confirmed
from aurum_assets.model.magnitudes import (
    common_power,
    off_by,
    powers_back,
    price_magnitude,
    sizes_by_hour,
)
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators.isone.ancillary import (
    ISONE_ANCILLARY_SERVICES,
    ISONE_REGULATION_PRICES,
    ISONE_RESERVE_PRICES,
)
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.simulator.isone.ancillary import regulation_records, reserve_records
from aurum_assets.simulator.isone.day_ahead_reserves import reserve_data_records
from aurum_assets.simulator.isone.hourly_lmp import hourly_records
from aurum_assets.simulator.isone.load import load_records
from aurum_assets.simulator.isone.payloads import wrapped, wrapped_newer
from aurum_assets.simulator.isone.places import places
from aurum_assets.simulator.miso.cts import live_records
from aurum_assets_tests.conftest import Brought, Desk

Json = dict[str, Any]
Change = Callable[[Json, int], None]
DA, LOAD, CTS = ISONE_DA_LMP, ISONE_SYSTEM_LOAD, MISO_CTS
DAY = "2026-07-20"


def keep(record: Json, number: int) -> None:
    del record, number


def scaled(*names: str, by: float = 1000.0) -> Change:
    """Brings fields (all numbers where none is named) into other units."""

    def change(record: Json, number: int) -> None:
        del number
        for name, value in record.items():
            if isinstance(value, int | float) and (name in names or not names):
                record[name] = round(value * by, 6)

    return change


def da_lmp(day: OperatingDay, change: Change = keep) -> bytes:
    """A day of prices at twenty locations."""
    records = hourly_records(day, where=places(20))
    for number, record in enumerate(records):
        change(record, number)
    return json.dumps(wrapped("HourlyLmps", "HourlyLmp", records)).encode()


def load(day: OperatingDay, change: Change = keep, intervals: range | None = None) -> bytes:
    records = load_records(day, intervals)
    for number, record in enumerate(records):
        change(record, number)
    return json.dumps(wrapped("FiveMinSystemLoads", "FiveMinSystemLoad", records)).encode()


def scarce_lmp(record: Json, number: int) -> None:
    """The offer cap, penalties on top of it, and congestion over 1,000 at every other node."""
    energy, congestion = 2000.0, (1050.0 + number % 40 if number % 2 else -3.5 - number % 7)
    loss = 40.0 + number % 9
    record |= {"EnergyComponent": energy, "CongestionComponent": congestion, "LossComponent": loss}
    record["LmpTotal"] = energy + congestion + loss


def negative_lmp(record: Json, number: int) -> None:
    energy, congestion, loss = -150.0, -5.0 - number % 30, 0.5
    record |= {"EnergyComponent": energy, "CongestionComponent": congestion, "LossComponent": loss}
    record["LmpTotal"] = energy + congestion + loss


def reserves(day: OperatingDay) -> bytes:
    records = reserve_records(0, day, range(288), "prelim")
    for number, record in enumerate(records):
        record.update({n: 1500.0 + number % 1300 for n in record if n.endswith("ClearingPrice")})
    return json.dumps(wrapped("FiveMinReservePrices", "FiveMinReservePrice", records)).encode()


def regulation(day: OperatingDay) -> bytes:
    records = regulation_records(0, day, range(288), "prelim")
    for number, record in enumerate(records):
        record["RegServiceClearingPrice"] = 151.0 + number % 60
        record["RegCapacityClearingPrice"] = 1500.0 + number
    return json.dumps(wrapped("FiveMinRcps", "FiveMinRcp", records)).encode()


def ancillary(day: OperatingDay) -> bytes:
    records = reserve_data_records(day)
    for number, record in enumerate(records):
        record |= {n: 1050.0 + number for n in record if n.endswith("clearing_price")}
    return json.dumps(wrapped_newer("day_ahead_reserves", "day_ahead_reserve", records)).encode()


def cts(day: OperatingDay) -> bytes:
    records = live_records(day)
    for number, record in enumerate(records):
        record["PJMFORECASTEDLMP"] = f"{2000 + number % 800:.2f}"
    return json.dumps({"RefId": "20-Jul-2026 - Interval 23:45 EST", "Interval": records}).encode()


SCARCE: list[tuple[str, Dataset, Callable[[OperatingDay], bytes], int]] = [
    ("energy at the cap", DA, lambda day: da_lmp(day, scarce_lmp), 480),
    ("negative prices", DA, lambda day: da_lmp(day, negative_lmp), 480),
    ("reserves", ISONE_RESERVE_PRICES, reserves, 1152),
    ("regulation", ISONE_REGULATION_PRICES, regulation, 288),
    ("day-ahead reserves and FER", ISONE_ANCILLARY_SERVICES, ancillary, 96),
    ("forecasts", CTS, cts, 960),
]


@pytest.mark.parametrize(
    ("dataset", "body", "rows"), [s[1:] for s in SCARCE], ids=[s[0] for s in SCARCE]
)
def test_a_whole_day_of_scarcity_is_stored_with_a_warning_at_most(
    desk: Desk, dataset: Dataset, body: Callable[[OperatingDay], bytes], rows: int
) -> None:
    if dataset is DA:  # dear against its own recent days, too
        desk.bring(DA, da_lmp(DA.day("2026-07-19")))
    brought = desk.bring(dataset, body(dataset.day(DAY)))
    assert brought.done.rejected == []
    assert desk.resources.lake.read(QUARANTINE).is_empty()
    assert len(desk.rows(dataset, DAY)) >= rows
    assert all(v.passed or v.severity == "WARN" for v in brought.verdicts.values())


def test_a_fer_price_of_1050_is_within_the_one_declaration_of_prices(desk: Desk) -> None:
    config = desk.resources.config(ISONE_ANCILLARY_SERVICES)
    assert config.price_bounds == (0, 2800)
    field: Any = config.expected["live"]["fer_clearing_price"]
    assert field.magnitude == price_magnitude((0, 2800)) == (0.06, 7000)
    brought = desk.bring(ISONE_ANCILLARY_SERVICES, ancillary(ISONE_ANCILLARY_SERVICES.day(DAY)))
    assert brought.done.drift == ()
    assert brought.verdicts["price_bounds"].passed


# --- a second sign, of the snapshot itself --------------------------------------------------------


def kinds(brought: Brought) -> set[tuple[str, str]]:
    return {(d.kind, d.severity) for d in brought.done.drift}


def test_one_field_in_other_units_is_a_warning_and_stores(desk: Desk) -> None:
    brought = desk.bring(LOAD, load(LOAD.day(DAY), scaled("NativeLoad", by=0.001)))
    assert kinds(brought) == {("rescaled", "WARN")}
    assert len(desk.rows(LOAD)) == 288
    assert brought.verdicts["schema_drift"].severity == "WARN"


def test_all_fields_off_by_the_same_power_of_ten_keep_the_snapshot_out(desk: Desk) -> None:
    brought = desk.bring(LOAD, load(LOAD.day(DAY), scaled()))
    assert kinds(brought) == {("rescaled", "ERROR")}
    assert "10^-2 brings all of them back" in brought.done.drift[0].detail
    assert desk.rows(LOAD).is_empty()
    assert len(desk.resources.lake.read(QUARANTINE)) == 288
    assert brought.verdicts["schema_drift"].severity == "ERROR"


def test_a_total_that_no_longer_adds_up_is_the_second_sign(desk: Desk) -> None:
    brought = desk.bring(DA, da_lmp(DA.day(DAY), scaled("LmpTotal")))
    assert kinds(brought) == {("rescaled", "ERROR")}
    assert "rows break the sum rule" in brought.done.drift[0].detail
    assert desk.rows(DA).is_empty()
    out = desk.resources.lake.read(QUARANTINE)
    assert all(SCHEMA_RULE in rules.split(",") for rules in out["rules"])


def test_what_is_kept_out_does_not_depend_on_the_days_before(desk: Desk) -> None:
    """Replay reads a day alone, and must keep out what was kept out live."""
    desk.bring(LOAD, load(LOAD.day("2026-07-19"), scaled("LoadMw")))
    desk.bring(LOAD, load(LOAD.day(DAY), scaled("LoadMw")))
    before, out = desk.rows(LOAD, DAY), desk.resources.lake.read(QUARANTINE)
    again = ingest.replay(desk.resources, LOAD, LOAD.day(DAY))
    assert again.merged.snapshot_id is None
    assert desk.rows(LOAD, DAY).equals(before)
    assert desk.resources.lake.read(QUARANTINE).equals(out)


@pytest.mark.parametrize(("broken", "agrees"), [(50, False), (51, True)])
def test_the_sum_rule_agrees_where_most_rows_break_it(broken: int, *, agrees: bool) -> None:
    found = (Drift("rescaled", "LmpTotal", "it is"), Drift("added", "New", "it is"))
    rescaled, added = confirmed(found, broken=broken, rows=100)
    assert rescaled.refuses is agrees
    assert not added.refuses


BOUNDS = (1.0, 1000.0)


@pytest.mark.parametrize(
    ("medians", "power"),
    [
        ((50_000.0, 70_000.0), -2),
        ((0.05, 0.07), 2),
        ((50_000.0, 70_000.0, 900.0), -2),
        ((50_000.0, 70_000.0, 5.0), None),  # the third would be too small then
        ((50_000.0, 70.0), None),  # as many within as without
        ((50_000.0,), None),
        ((50_000.0, 0.05), None),
        ((1e300, 1e300), None),
        ((50.0, 70.0), None),
    ],
)
def test_a_common_power_of_ten_is_one_that_no_field_contradicts(
    medians: tuple[float, ...], power: int | None
) -> None:
    assert common_power({str(n): (m, BOUNDS) for n, m in enumerate(medians)}) == power


def test_a_size_within_its_bounds_is_brought_back_by_nothing() -> None:
    assert powers_back(10.0, BOUNDS)[0] == 0
    assert powers_back(10_000.0, BOUNDS)[0] == -1
    assert powers_back(1e300, BOUNDS) == []


# --- against its own recent days ------------------------------------------------------------------


def with_recent_days(desk: Desk, dataset: Dataset, body: Callable[..., bytes]) -> None:
    for key in ("2026-07-17", "2026-07-18", "2026-07-19"):
        desk.bring(dataset, body(dataset.day(key)))


def test_a_column_in_other_units_than_its_recent_days_is_an_error_that_stores(desk: Desk) -> None:
    with_recent_days(desk, LOAD, load)
    brought = desk.bring(LOAD, load(LOAD.day(DAY), scaled("NativeLoad", by=0.001)))
    assert len(desk.rows(LOAD, DAY)) == 288
    assert brought.done.quarantined == 0
    verdict = brought.verdicts["schema_drift"]
    assert (verdict.passed, verdict.severity) == (False, "ERROR")
    assert "column native_load" in verdict.reason
    assert "10^-3 times that of 3 earlier days" in verdict.reason


def test_a_closed_day_is_compared_even_where_it_stays_within_its_bounds(desk: Desk) -> None:
    """Storage demand of a hundredth is within the bounds that config has for it."""
    with_recent_days(desk, LOAD, load)
    brought = desk.bring(LOAD, load(LOAD.day(DAY), scaled("ArdDemand", by=0.01)))
    assert brought.done.drift == ()
    verdict = brought.verdicts["schema_drift"]
    assert (verdict.severity, verdict.count) == ("ERROR", 1)
    assert "column ard_demand" in verdict.reason


def test_an_ordinary_day_after_ordinary_days_is_no_drift(desk: Desk) -> None:
    with_recent_days(desk, LOAD, load)
    brought = desk.bring(LOAD, load(LOAD.day(DAY)))
    assert brought.verdicts["schema_drift"].passed


def test_an_open_day_is_compared_only_where_a_field_is_outside_of_its_bounds(desk: Desk) -> None:
    with_recent_days(desk, LOAD, load)
    today = LOAD.day("2026-07-21")
    quiet = desk.bring(LOAD, load(today, scaled("ArdDemand", by=0.01), range(100, 101)))
    assert quiet.verdicts["schema_drift"].passed, "no earlier day is read at a tick"
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    found = desk.bring(LOAD, load(today, scaled("NativeLoad", by=0.001), range(101, 102)))
    verdict = found.verdicts["schema_drift"]
    assert verdict.severity == "ERROR"
    assert "column native_load" in verdict.reason
    assert len(desk.rows(LOAD, today.key)) == 2


def test_prices_outside_of_every_bound_are_an_error_against_recent_days(desk: Desk) -> None:
    def bytes_of(price: float) -> Callable[[OperatingDay], bytes]:
        def body(day: OperatingDay) -> bytes:
            records = live_records(day)
            for record in records:
                value = float(record["PJMFORECASTEDLMP"]) * price
                record["PJMFORECASTEDLMP"] = f"{value:.2f}"
            found = f"{day.date:%d}-Jul-2026 - Interval 23:45 EST"
            return json.dumps({"RefId": found, "Interval": records}).encode()

        return body

    with_recent_days(desk, CTS, bytes_of(1))
    brought = desk.bring(CTS, bytes_of(1000)(CTS.day(DAY)))
    assert len(desk.rows(CTS, DAY)) == 960
    assert brought.done.quarantined == 0
    assert brought.verdicts["schema_drift"].severity == "ERROR"


def sizes(*by_hour: float | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"hour": range(len(by_hour)), "load": by_hour}, schema_overrides={"load": pl.Float64}
    )


@pytest.mark.parametrize(
    ("now", "days", "power"),
    [
        (sizes(15e6, 16e6), [sizes(15e3, 16e3)], 3),
        (sizes(15e6, 16e6), [sizes(15e3, 16e3), sizes(1.0, 1.0), sizes(14e3, 15e3)], 3),
        (sizes(15.0, 16.0), [sizes(15e3, 16e3)], -3),
        (sizes(15e4, 16e4), [sizes(15e3, 16e3)], None),  # ten times is no unit
        (sizes(15e3, 16e3), [sizes(15e3, 16e3)], None),
        (sizes(15e6, 16e3), [sizes(15e3, 16e3)], None),  # the hours contradict each other
        (sizes(*[15e6] * 9, 15e5), [sizes(*[15e3] * 10)], 3),  # dawn may
        (sizes(15e6, None), [sizes(15e3, 16e3)], 3),
        (sizes(15e6), [sizes(None)], None),
        (sizes(15e6), [], None),
    ],
)
def test_a_column_is_off_by_the_power_of_ten_that_its_hours_agree_on(
    now: pl.DataFrame, days: list[pl.DataFrame], power: int | None
) -> None:
    assert off_by("load", now, days) == power


def test_hours_that_are_too_few_say_nothing_of_a_unit() -> None:
    now, before = (
        sizes(0.03, *[None] * 23),
        sizes(4.0, *[None] * 23),
    )  # a reserve price's ordinary day
    assert off_by("load", now, [before]) == -2
    assert off_by("load", now, [before], fewest=6) is None
    assert off_by("load", sizes(*[15e6] * 6), [sizes(*[15e3] * 6)], fewest=6) == 3


def test_what_is_typical_of_an_hour_leaves_out_zeros_and_differences() -> None:
    day = DA.day(DAY)
    rows = pl.DataFrame(
        {
            "interval_start": [day.start, day.start, day.start + dt.timedelta(hours=1)],
            "lmp": [-30.0, 0.0, 50.0],
            "energy": [30.0, 10.0, 0.0],
        }
    )
    found = sizes_by_hour(DA.table, rows, day)
    assert found.columns == ["hour", "lmp", "energy"]
    assert found.rows() == [(0, 30.0, 20.0), (1, 50.0, None)]
