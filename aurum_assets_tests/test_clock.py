"""An operating day is 23, 24 or 25 hours of its market's own zone, and everything is UTC."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurum_assets.model.clock import FIVE_MINUTES, HOUR, OperatingDay, every_day
from aurum_assets_tests.conftest import utc

NEW_YORK, EST = "America/New_York", "Etc/GMT+5"
DATES = st.dates(dt.date(2000, 1, 1), dt.date(2037, 12, 31))
ZONES = st.sampled_from([NEW_YORK, EST])
INSTANTS = st.datetimes(
    dt.datetime(2000, 1, 2),  # noqa: DTZ001  hypothesis takes bounds without a zone
    dt.datetime(2037, 12, 30),  # noqa: DTZ001  and adds the zone itself
    timezones=st.just(dt.UTC),
)


@pytest.mark.parametrize(
    ("day", "zone", "marks", "start", "end"),
    [
        ("2024-03-10", NEW_YORK, 276, "2024-03-10T05:00Z", "2024-03-11T04:00Z"),
        ("2024-11-03", NEW_YORK, 300, "2024-11-03T04:00Z", "2024-11-04T05:00Z"),
        ("2024-07-15", NEW_YORK, 288, "2024-07-15T04:00Z", "2024-07-16T04:00Z"),
        ("2024-03-10", EST, 288, "2024-03-10T05:00Z", "2024-03-11T05:00Z"),
        ("2024-11-03", EST, 288, "2024-11-03T05:00Z", "2024-11-04T05:00Z"),
        ("2024-07-15", EST, 288, "2024-07-15T05:00Z", "2024-07-16T05:00Z"),
    ],
)
def test_days_have_the_marks_that_their_zone_gives_them(
    day: str, zone: str, marks: int, start: str, end: str
) -> None:
    found = OperatingDay.parse(day, zone)
    assert len(found.marks(FIVE_MINUTES)) == marks
    assert (found.start, found.end) == (utc(start), utc(end))


def test_the_spring_day_has_no_hour_02_and_the_autumn_day_one_label_for_two_hours() -> None:
    spring, autumn = (OperatingDay.parse(d, NEW_YORK) for d in ("2024-03-10", "2024-11-03"))
    assert spring.local_hours()[:4] == ["00", "01", "03", "04"]
    assert len(spring.local_hours()) == 23
    assert autumn.local_hours()[:4] == ["00", "01", "02", "03"]
    assert len(autumn.local_hours()) == 24
    assert autumn.local_hour_start("01") == utc("2024-11-03T01:00-04:00")
    assert autumn.local_hour_start("02") == utc("2024-11-03T02:00-05:00")
    assert spring.local_hour_start("03") == utc("2024-03-10T03:00-04:00")


@pytest.mark.parametrize(
    ("day", "time", "instant"),
    [
        ("2026-07-21", "12:00", "2026-07-21T12:00:00-04:00"),
        ("2026-01-21", "12:00", "2026-01-21T12:00:00-05:00"),
        ("2026-11-01", "01:30", "2026-11-01T01:30:00-04:00"),  # the first of two
    ],
)
def test_a_time_of_day_is_the_first_instant_that_shows_it(
    day: str, time: str, instant: str
) -> None:
    found = OperatingDay.parse(day, "America/New_York").at(dt.time.fromisoformat(time))
    assert found == dt.datetime.fromisoformat(instant)
    assert found.tzinfo is dt.UTC


def test_midnight_belongs_to_the_day_that_it_begins() -> None:
    day = OperatingDay.parse("2026-07-20", NEW_YORK)
    assert day.holds(day.start)
    assert not day.holds(day.end)
    assert OperatingDay.of(day.end, NEW_YORK) == day.plus(1)
    assert OperatingDay.of(day.end - dt.timedelta(microseconds=1), NEW_YORK) == day


def test_the_two_operators_disagree_about_the_day_for_an_hour_in_summer() -> None:
    instant = utc("2026-07-20T04:30Z")
    assert OperatingDay.of(instant, NEW_YORK).key == "2026-07-20"
    assert OperatingDay.of(instant, EST).key == "2026-07-19"


@given(DATES, ZONES)
def test_marks_rise_strictly_and_fill_the_day(date: dt.date, zone: str) -> None:
    day = OperatingDay(date, zone)
    marks = day.marks(FIVE_MINUTES)
    assert marks[0] == day.start
    assert all(b - a == FIVE_MINUTES for a, b in pairwise(marks))
    assert marks[-1] + FIVE_MINUTES == day.end == day.plus(1).start
    assert {m.astimezone(ZoneInfo(zone)).date() for m in marks} == {date}
    assert (day.end - day.start) // HOUR in ({24} if zone == EST else {23, 24, 25})


@given(INSTANTS, ZONES)
def test_an_instant_lies_in_exactly_one_day(instant: dt.datetime, zone: str) -> None:
    day = OperatingDay.of(instant, zone)
    assert day.holds(instant)
    assert not day.plus(1).holds(instant)
    assert not day.plus(-1).holds(instant)


@given(DATES, ZONES)
def test_a_day_reads_back_from_both_of_its_spellings(date: dt.date, zone: str) -> None:
    day = OperatingDay(date, zone)
    assert OperatingDay.parse(day.key, zone) == day == OperatingDay.parse(day.compact, zone)
    assert str(day) == day.key


@pytest.mark.parametrize("text", ["2024-3-10", "20240230", "", "yesterday", "2024-03-10T00:00"])
def test_what_is_no_day_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected YYYY-MM-DD, for instance 2024-03-10"):
        OperatingDay.parse(text, NEW_YORK)


def test_an_instant_without_an_offset_has_no_day() -> None:
    with pytest.raises(ValueError, match="has no offset"):
        OperatingDay.of(dt.datetime(2024, 3, 10, 12), NEW_YORK)  # noqa: DTZ001  that is the claim


def test_a_range_holds_both_of_its_ends() -> None:
    first, last = (OperatingDay.parse(d, NEW_YORK) for d in ("2024-03-09", "2024-03-11"))
    assert [d.key for d in every_day(first, last)] == ["2024-03-09", "2024-03-10", "2024-03-11"]
    assert [d.key for d in every_day(first, first)] == ["2024-03-09"]
    assert every_day(last, first) == []
