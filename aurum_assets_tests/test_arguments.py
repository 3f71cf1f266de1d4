"""What a person says for an instant or a name is understood, or refused with what would be."""

import datetime as dt
import re

import pytest

from aurum_assets.model.arguments import instant_of, named, short_names
from aurum_assets.operators import DATASETS

NOW = dt.datetime(2026, 11, 27, 9, 30, tzinfo=dt.UTC)
NOON = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
THE_END = dt.datetime(2026, 11, 27, 23, 59, 59, 999_999, dt.UTC)
KEYS = [d.key for d in DATASETS]
LIKE_NO_OTHER = [k for k in KEYS if k.startswith("isone_") or k == "miso_cts"]
LISTED = "`aurum status` lists them"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-27T12:00Z", NOON),
        ("2026-11-27T12:00:00.000Z", NOON),
        ("2026-11-27 12:00", NOON),
        ("2026-11-27T12:00", NOON),
        ("2026-11-27 12:00 UTC", NOON),
        ("2026-11-27 12z", NOON),
        ("20261127T120000Z", NOON),
        ("2026-11-27T07:00-05:00", NOON),
        ("2026-11-27 07:00 -0500", NOON),
        ("2026-11-27", THE_END),
        ("20261127", THE_END),
        (" 2026-11-27 ", THE_END),
        (dt.date(2026, 11, 27), THE_END),
        (dt.datetime(2026, 11, 27, 7, tzinfo=dt.timezone(dt.timedelta(hours=-5))), NOON),
        ("now", NOW),
        ("Today", THE_END),
        ("yesterday", THE_END - dt.timedelta(days=1)),
    ],
)
def test_an_instant_is_understood_in_its_usual_forms(
    text: str | dt.date, meant: dt.datetime
) -> None:
    assert instant_of(text, NOW) == meant
    assert instant_of(text, NOW).tzinfo is dt.UTC


@pytest.mark.parametrize(
    "text",
    [
        "11/27/2026",
        "2026-02-30",
        "2026-11-27T25:00Z",
        "2026-11-27T12:00+99:00",
        "9999-12-31T23:00-05:00",
        "noon",
        "now",  # of no clock
        "",
    ],
)
def test_another_is_refused_with_examples_that_are_understood(text: str) -> None:
    with pytest.raises(ValueError, match="is not an instant") as refused:
        instant_of(text)
    instant, day = re.findall(r"2026-07-20\S*(?=,| for)", str(refused.value))
    assert instant_of(instant) == dt.datetime(2026, 7, 20, 12, tzinfo=dt.UTC)
    assert instant_of(day) == dt.datetime.combine(dt.date(2026, 7, 20), dt.time.max, dt.UTC)


def test_a_datetime_without_an_offset_is_refused_for_python_reads_it_as_local_time() -> None:
    with pytest.raises(ValueError, match="has no offset"):
        instant_of(dt.datetime(2026, 11, 27, 12))  # noqa: DTZ001  the point


@pytest.mark.parametrize("key", KEYS)
def test_a_dataset_goes_by_its_name_with_and_without_its_operator(key: str) -> None:
    short = key.partition("_")[2]
    first = next(k for k in KEYS if k.partition("_")[2] == short)
    whole = [key, f"market.{key}", key.upper()]
    assert {named(text, KEYS, "dataset", LISTED) for text in whole} == {key}
    forms = [short, short.replace("_", "-")]
    assert {named(text, KEYS, "dataset", LISTED) for text in forms} == {first}


def test_a_short_name_that_two_operators_have_stays_that_of_the_first() -> None:
    """What was written before the second one came keeps its meaning."""
    keys = ["isone_rt_lmp", "pjm_rt_lmp", "pjm_load"]
    assert short_names(keys) == {"rt_lmp": "isone_rt_lmp", "load": "pjm_load"}
    assert named("rt_lmp", keys, "dataset", LISTED) == "isone_rt_lmp"
    assert named("rt_lmp", [keys[1], keys[0]], "dataset", LISTED) == "pjm_rt_lmp"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("rt_lpm", "; did you mean isone_rt_lmp? "),
        ("isone_rt_lpm", "; did you mean isone_rt_lmp? "),
        (
            "load",
            "; did you mean isone_zonal_load, isone_system_load or isone_hourly_system_load? ",
        ),
        ("miso_ct", "; did you mean miso_cts? "),
        ("nothing_like_it", ". "),
        ("", ". "),
    ],
)
def test_a_wrong_name_is_answered_with_the_near_ones(name: str, near: str) -> None:
    with pytest.raises(ValueError, match="no dataset") as refused:
        named(name, LIKE_NO_OTHER, "dataset", LISTED)
    assert str(refused.value) == f"no dataset {name!r}{near}{LISTED}"
