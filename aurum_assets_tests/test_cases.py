"""A live forecast is complete by its cases: a missing one is seen, its neighbours look ahead."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurum_assets import ingest
from aurum_assets.model.cases import CaseGap, case_gaps, strip_of_cases
from aurum_assets.model.checks import Verdict
from aurum_assets.model.clock import FIFTEEN_MINUTES
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.simulator.miso.cts import documented_records, live_records
from aurum_assets_tests.conftest import Brought, Desk

CTS = MISO_CTS
DAY = CTS.day("2026-07-20")
LONGEST = dt.timedelta(seconds=1_100)
Keeps = Callable[[dt.datetime], bool]


def approved(record: dict[str, str]) -> dt.datetime:
    """The instant of a case's approval, EST without its zone."""
    return dt.datetime.strptime(record["CASEAPPROVALDATE"], "%Y-%m-%d %I:%M:%S %p")  # noqa: DTZ007


def between(first: int, last: int) -> Keeps:
    """All cases but those approved from hour ``first`` to ``last``, EST."""
    return lambda at: not first <= at.hour + at.minute / 60 < last


def body(keeps: Keeps = lambda _: True, cases: int | None = None) -> bytes:
    records = [r for r in live_records(DAY, cases) if keeps(approved(r))]
    return json.dumps({"RefId": "20-Jul-2026 - Interval 23:45 EST", "Interval": records}).encode()


def completeness(brought: Brought) -> Verdict:
    return brought.verdicts["completeness"]


def test_a_day_without_the_cases_of_two_hours_says_how_many_are_missing_and_where(
    desk: Desk,
) -> None:
    verdict = completeness(desk.bring(CTS, body(between(10, 12))))
    assert (verdict.passed, verdict.severity) == (False, "WARN")
    assert verdict.count == verdict.numbers["missing_cases"] == 8
    assert verdict.numbers["cases"] == 88
    (gap,) = verdict.sample
    assert gap["cases"] == 8
    after, before = (dt.datetime.fromisoformat(gap[n]) for n in ("after", "before"))
    assert (after.hour, before.hour) == (14, 17), "9:50 and 12:05 EST, in UTC"
    assert "about 8 cases are missing" in verdict.reason
    assert verdict.strip.splitlines()[0] == "##########..############"
    stored = set(desk.rows(CTS)["interval_start"])
    assert set(DAY.marks(FIFTEEN_MINUTES)) <= stored, "no interval is: the neighbours look ahead"


def test_a_whole_day_of_about_95_cases_passes(desk: Desk) -> None:
    verdict = completeness(desk.bring(CTS, body()))
    assert (verdict.passed, verdict.count) == (True, 0)
    assert verdict.numbers == {"missing_cases": 0, "cases": 96}
    assert verdict.strip.splitlines()[0] == "#" * 24


@pytest.mark.parametrize(
    ("keeps", "missing", "strip"),
    [
        (between(0, 2), 8, "..######################"),
        (between(22, 24), 8, "######################.."),
        (lambda at: (at.hour, at.minute // 15) != (7, 1), 1, "#######+################"),
        (lambda at: at.hour < 23 or at.minute < 45, 1, "#######################+"),
    ],
    ids=["first", "last", "one", "the last one"],
)
def test_a_gap_at_either_end_is_counted_like_one_between(
    desk: Desk, keeps: Keeps, missing: int, strip: str
) -> None:
    verdict = completeness(desk.bring(CTS, body(keeps)))
    assert verdict.count == missing
    assert verdict.strip.splitlines()[0] == strip


@pytest.mark.parametrize(("cases", "missing"), [(42, 0), (44, 0), (41, 1), (37, 5)])
def test_an_open_day_lacks_only_what_is_due(desk: Desk, cases: int, missing: int) -> None:
    desk.clock.set(DAY.start + dt.timedelta(hours=10, minutes=45))
    verdict = completeness(desk.bring(CTS, body(cases=cases)))
    assert verdict.count == missing
    assert verdict.strip.splitlines()[0].endswith("_" * 13)


def test_a_day_of_which_nothing_is_there_lacks_all_that_is_due(desk: Desk) -> None:
    desk.bring(CTS, body(lambda _: False))
    done = ingest.look_again(desk.resources, CTS, DAY)
    verdict = next(v for v in ingest.check(desk.resources, done) if v.check == "completeness")
    assert verdict.count == 96
    assert verdict.strip.splitlines()[0] == "." * 24


def test_how_far_apart_cases_may_be_is_configuration(desk: Desk) -> None:
    config = desk.resources.configuration
    patient = replace(config.datasets[CTS.key], case_gap_seconds=9_000.0)
    resources = replace(
        desk.resources,
        configuration=replace(config, datasets={**config.datasets, CTS.key: patient}),
    )
    assert completeness(Desk(resources, desk.clock).bring(CTS, body(between(10, 12)))).passed


def test_the_documented_dialect_is_complete_by_its_intervals(desk: Desk) -> None:
    records = [r for r in documented_records(DAY, 1) if not r["interval"].startswith("10:")]
    metadata = {"operatingDay": DAY.key, "dataQuality": "FORECAST"}
    metadata["retrievalTimestamp"] = "2026-07-20T23:59:00-05:00"
    found = json.dumps({"data": records, "metadata": metadata}).encode()
    verdict = completeness(desk.bring(CTS, found, dialect="documented", asked=DAY.key))
    assert verdict.numbers == {"missing_intervals": 12, "due_intervals": 288}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(850, 944), min_size=110, max_size=110), st.integers(236, 345))
def test_no_day_of_cases_850_to_944_seconds_apart_has_a_gap(apart: list[int], first: int) -> None:
    published = [DAY.start + dt.timedelta(seconds=first)]
    for seconds in apart:
        published.append(published[-1] + dt.timedelta(seconds=seconds))
    inside = [p for p in published if p < DAY.end]
    assert 91 <= len(inside) <= 102
    assert case_gaps(DAY, inside, DAY.end, FIFTEEN_MINUTES, LONGEST) == []
    for lost in (1, 40, len(inside) - 2):
        left = inside[:lost] + inside[lost + 1 :]
        (gap,) = case_gaps(DAY, left, DAY.end, FIFTEEN_MINUTES, LONGEST)
        assert gap.cases == 1


def test_the_missing_cases_of_a_gap_lie_evenly_in_it() -> None:
    gap = CaseGap(DAY.start, DAY.start + dt.timedelta(hours=1), 3)
    assert gap.instants == DAY.marks(FIFTEEN_MINUTES)[1:4]
    drawn = strip_of_cases(DAY, [], [gap], DAY.start + dt.timedelta(hours=2))
    assert drawn == ".#" + "_" * 22
