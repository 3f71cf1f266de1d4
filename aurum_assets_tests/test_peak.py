"""On-peak hours and the names of hours, against calendars that anyone can look up."""

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest

from aurum_assets.marts import calendar
from aurum_assets.marts.choices import Choices, load, read
from aurum_assets.model.errors import ConfigError
from aurum_assets.model.peak import Peak, hour_ending, nerc_holidays
from aurum_assets.operators import OPERATORS
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.operators.miso.operator import MISO
from aurum_assets.resources.environment import PROJECT

EASTERN = "America/New_York"
CHOICES = load(PROJECT / "config", PROJECT / "config")


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


# As NERC's "Additional Off-peak Days" lists 2010 and 2011; 2022, 2023 and 2026 by the calendar.
@pytest.mark.parametrize(
    ("year", "days"),
    [
        (2010, "01-01 05-31 07-05 09-06 11-25 12-25"),  # 4 July is a Sunday; Christmas a Saturday
        (2011, "01-01 05-30 07-04 09-05 11-24 12-26"),  # 25 December is a Sunday
        (2022, "01-01 05-30 07-04 09-05 11-24 12-26"),
        (2023, "01-02 05-29 07-04 09-04 11-23 12-25"),  # 1 January is a Sunday
        (2026, "01-01 05-25 07-04 09-07 11-26 12-25"),
    ],
)
def test_holidays_are_those_of_nerc(year: int, days: str) -> None:
    assert nerc_holidays(year) == {dt.date.fromisoformat(f"{year}-{d}") for d in days.split()}


@pytest.mark.parametrize(
    ("start", "on_peak"),
    [
        ("2026-07-20T06:00-04:00", False),  # a Monday; hour ending 7
        ("2026-07-20T07:00-04:00", True),  # hour ending 8
        ("2026-07-20T22:00-04:00", True),  # hour ending 23
        ("2026-07-20T23:00-04:00", False),  # hour ending 24
        ("2026-07-18T12:00-04:00", False),  # a Saturday
        ("2026-07-19T12:00-04:00", False),  # a Sunday
        ("2026-11-26T12:00-05:00", False),  # Thanksgiving Day
        ("2026-11-27T12:00-05:00", True),  # the Friday after it
        ("2026-07-03T12:00-04:00", True),  # Independence Day is a Saturday: the Friday is not off
        ("2023-01-02T12:00-05:00", False),  # New Year's Day was a Sunday
    ],
)
def test_peak_is_hours_ending_8_to_23_of_working_days(start: str, *, on_peak: bool) -> None:
    assert Peak(EASTERN).holds(utc(start)) is on_peak


def test_a_day_off_of_the_config_is_off_peak() -> None:
    noon = utc("2026-11-27T12:00-05:00")
    assert not Peak(EASTERN, days_off=(dt.date(2026, 11, 27),)).holds(noon)


def test_the_hour_that_comes_twice_is_02_and_02x_and_spring_has_no_03() -> None:
    autumn = [hour_ending(m, EASTERN) for m in (utc("2026-11-01T05:00Z"), utc("2026-11-01T06:00Z"))]
    assert autumn == ["02", "02X"]
    spring = [hour_ending(m, EASTERN) for m in (utc("2026-03-08T06:00Z"), utc("2026-03-08T07:00Z"))]
    assert spring == ["02", "04"]


@pytest.mark.parametrize(
    ("day", "of_new_york", "on_peak"),
    [
        (dt.date(2026, 3, 8), 23, 0),  # a Sunday
        (dt.date(2026, 11, 1), 25, 0),  # a Sunday
        (dt.date(2026, 7, 20), 24, 16),
    ],
)
def test_a_day_has_the_hours_of_its_operators_clock(
    day: dt.date, of_new_york: int, on_peak: int
) -> None:
    found = calendar.hours(OPERATORS, day, day, CHOICES)
    assert found.schema == calendar.HOURS
    by_operator = dict(found.group_by("operator").len().iter_rows())
    assert by_operator == {"isone": of_new_york, "miso": 24, "pjm": of_new_york}
    of_isone = found.filter(operator="isone")
    assert of_isone["hour_ending"].n_unique() == of_new_york
    assert of_isone["on_peak"].sum() == on_peak
    assert of_isone["interval_end"].to_list()[:-1] == of_isone["interval_start"].to_list()[1:]


def test_the_block_of_miso_is_an_hour_earlier_on_its_clock_in_summer() -> None:
    """07:00 in New York is 06:00 EST, hour ending 7, while New York's clock is ahead."""
    for day, first in ((dt.date(2026, 7, 20), "07"), (dt.date(2026, 1, 20), "08")):
        peak = calendar.hours([MISO], day, day, CHOICES).filter("on_peak")
        assert peak["hour_ending"].to_list()[0] == first
        assert len(peak) == 16


def test_a_month_has_the_peak_hours_that_are_known_of_it() -> None:
    """November 2026: 21 weekdays less Thanksgiving Day, 16 hours each, of 721 hours."""
    found = calendar.hours([ISONE], dt.date(2026, 11, 1), dt.date(2026, 11, 30), CHOICES)
    assert Counter(found["on_peak"].to_list()) == {True: 320, False: 401}


def test_an_operator_without_an_entry_has_the_block_of_its_own_zone() -> None:
    assert Choices().peak_of(MISO) == Peak(MISO.zone)


def test_every_default_has_its_source() -> None:
    assert {o.name for o in OPERATORS} == CHOICES.peak.keys() == CHOICES.main_locations.keys()
    assert all(peak.source for peak in CHOICES.peak.values())
    assert CHOICES.cts_gate_closure_minutes is None
    assert CHOICES.cts_fee is None


def test_what_a_file_leaves_out_is_as_in_the_projects(tmp_path: Path) -> None:
    assert load(tmp_path, PROJECT / "config") == CHOICES
    (tmp_path / "marts.json").write_text(
        """{"peak": {"miso": {"zone": "Etc/GMT+5", "hours_ending": [7, 22], "source": "tariff"}},
            "cts": {"fee": 2.5, "source": "a manual"}}"""
    )
    found = load(tmp_path, PROJECT / "config")
    assert found.peak["miso"] == Peak("Etc/GMT+5", 7, 22, source="tariff")
    assert found.peak["isone"] == CHOICES.peak["isone"]
    assert found.main_locations == CHOICES.main_locations
    assert found.scarcity_price == CHOICES.scarcity_price
    assert found.variables["cts_fee"] == 2.5


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "marts.json"),
        ('{"peaks": {}}', "peaks"),
        ('{"peak": {"isone": {"source": "x", "zone": "Mars/Base"}}}', "peak.isone.zone"),
        ('{"peak": {"isone": {"source": "x", "zone": ""}}}', "peak.isone.zone"),
        (
            '{"peak": {"isone": {"source": "x", "zone": "UTC", "hours_ending": [9, 8]}}}',
            "peak.isone.hours_ending",
        ),
        ('{"cts": {"fee": 1.0}}', "cts.fee"),
        ('{"cts": {"gate_closure_minutes": -5, "source": "x"}}', "cts.gate_closure_minutes"),
    ],
)
def test_a_wrong_file_is_one_error_that_names_the_key(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read(text.encode(), "config/marts.json")
