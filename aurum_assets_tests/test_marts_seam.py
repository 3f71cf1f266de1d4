"""Both sides of the seam of MISO and PJM in the marts, on quarters that were computed by hand."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from aurum_assets_tests.marts import Desk, choices, day, rows

FIVE = dt.timedelta(minutes=5)
MONDAY = day("2026-07-20")
START = "2026-07-20T14:00Z"  # 09:00 EST, 10:00 in New York
INTERFACE = {"location_id": "40523629", "location_name": "MISO", "location_type": "INTERFACE"}


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def spans(start: str, values: Sequence[float | None], **same: Any) -> list[dict[str, Any]]:  # noqa: ANN401  columns
    """Five-minute rows from ``start`` on; None is an interval that is missing."""
    starts = [at(start) + i * FIVE for i in range(len(values))]
    return [
        {"interval_start": s, "interval_end": s + FIVE, "lmp": value, **same}
        for s, value in zip(starts, values, strict=True)
        if value is not None
    ]


def forecast(published: str, lmp: float, start: str = START, **more: Any) -> dict[str, Any]:  # noqa: ANN401  columns
    ends = at(start) + 3 * FIVE
    same = {"interval_start": start, "interval_end": ends, "location": "PJM"}
    return {"published_at": published, "lmp": lmp, **same, **more}


FORECASTS = [
    forecast("2026-07-20T12:34:30Z", 30.10),
    forecast("2026-07-20T12:49:30Z", 30.10),
    forecast("2026-07-20T13:19:00Z", 29.00),
    forecast("2026-07-20T13:49:15Z", 31.40),
    forecast("2026-07-20T14:04:40Z", 33.00),  # the quarter has begun
    forecast("2026-07-20T14:15:00Z", 34.00),  # it is over
    forecast("2026-07-20T13:49:15Z", 99.00, location="MISO.PJM.INTERFACE1"),
]
MISO_PRICES = spans(START, [31.00, 31.20, 31.60], location="PJMC")
UNVERIFIED = spans(START, [32.00, 33.50, 34.00], finality="prelim", congestion=1.5, **INTERFACE)
VERIFIED = spans(START, [32.10, 33.40, 34.06], finality="final", congestion=1.5, **INTERFACE)


def desk(
    pjm: Sequence[Mapping[str, Any]] = (),
    miso: Sequence[Mapping[str, Any]] = MISO_PRICES,
    **more: pl.DataFrame,
) -> Desk:
    market = {
        "miso_cts": rows("miso_cts", FORECASTS),
        "miso_rt_lmp": rows("miso_rt_lmp", miso),
        "pjm_rt_lmp": rows("pjm_rt_lmp", pjm),
    }
    return Desk(MONDAY, MONDAY, {**market, **more})


def test_a_forecast_is_held_against_pjms_verified_price() -> None:
    found = desk([*UNVERIFIED, *VERIFIED]).mart("cts_forecast_accuracy")
    # (32.10 + 33.40 + 34.06) / 3 = 99.56 / 3 = 33.186667
    assert found["realized_lmp"].unique().to_list() == [33.186667]
    assert found["realized_from"].unique().to_list() == ["pjm verified"]
    # 12:34:30 to 14:00 = 85.5 min; 70.5; 41; 10.75; 14:04:40 is 4 min 40 s = 4.666667 min late
    assert found["lead_minutes"].to_list() == [85.5, 70.5, 41.0, 10.75, -4.666667]
    # 30.10 - 33.186667 = -3.086667, twice; 29 - … = -4.186667; 31.40 - … = -1.786667; 33 - …
    assert found["error"].to_list() == [-3.086667, -3.086667, -4.186667, -1.786667, -0.186667]
    assert found["absolute_error"].to_list() == [3.086667, 3.086667, 4.186667, 1.786667, 0.186667]


def test_the_sign_is_hit_where_forecast_and_price_lie_on_one_side_of_misos() -> None:
    found = desk([*UNVERIFIED, *VERIFIED]).mart("cts_forecast_accuracy")
    # MISO: (31.00 + 31.20 + 31.60) / 3 = 93.80 / 3 = 31.266667, below PJM's 33.186667;
    # 30.10 and 29.00 are below MISO's price, 31.40 and 33.00 above it
    assert found["miso_lmp"].unique().to_list() == [31.266667]
    assert found["sign_hit"].to_list() == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("pjm", "realized", "source"),
    [
        # (32 + 33.50 + 34) / 3 = 33.166667
        (UNVERIFIED, 33.166667, "pjm unverified"),
        # 32.10 + 33.50 + 34.00 = 99.60: one of three is verified
        ([*UNVERIFIED, *VERIFIED[:1]], 33.2, "pjm unverified"),
        ([], 31.266667, "miso interface"),
        (UNVERIFIED[:2], 31.266667, "miso interface"),  # a missing interval
    ],
)
def test_the_realized_price_says_what_it_is(
    pjm: Sequence[Mapping[str, Any]], realized: float, source: str
) -> None:
    found = desk(pjm).mart("cts_forecast_accuracy")
    assert found.select("realized_lmp", "realized_from").unique().row(0) == (realized, source)
    assert found["sign_hit"].null_count() == (len(found) if source == "miso interface" else 0)


def test_without_a_price_of_either_side_nothing_is_held_against_anything() -> None:
    assert desk(miso=MISO_PRICES[:2]).mart("cts_forecast_accuracy").is_empty()


def test_without_misos_price_the_sign_is_unknown() -> None:
    found = desk(VERIFIED, miso=[]).mart("cts_forecast_accuracy")
    assert found["sign_hit"].to_list() == [None] * 5
    assert found["error"].to_list()[0] == -3.086667


def test_a_forecast_changes_from_its_first_vintage_to_its_last() -> None:
    (found,) = desk().mart("cts_forecast_revision").to_dicts()
    assert found == {
        "operating_day": MONDAY,
        "forecast": "miso_cts",
        "interval_start": at(START),
        "first_lmp": 30.10,
        "first_published_at": at("2026-07-20T12:34:30Z"),
        "last_lmp": 31.40,
        "last_published_at": at("2026-07-20T13:49:15Z"),
        "lowest_lmp": 29.00,
        "highest_lmp": 31.40,
        "range_lmp": 2.40,  # 31.40 - 29.00
        "revisions": 2,  # 30.10, 30.10, 29.00, 31.40
        "vintages": 4,
    }


def test_with_a_gate_closure_only_what_was_out_before_it_counts() -> None:
    """Twenty minutes: until 13:40, boundary included."""
    gated = replace(desk(), choices=replace(choices(), cts_gate_closure_minutes=20.0))
    (found,) = gated.mart("cts_forecast_revision").to_dicts()
    assert (found["last_lmp"], found["vintages"], found["revisions"]) == (29.00, 3, 1)
    assert found["range_lmp"] == 1.10  # 30.10 - 29.00
    exact = replace(desk(), choices=replace(choices(), cts_gate_closure_minutes=41.0))
    assert exact.mart("cts_forecast_revision")["last_lmp"].to_list() == [29.00]
    before = replace(desk(), choices=replace(choices(), cts_gate_closure_minutes=41.5))
    assert before.mart("cts_forecast_revision")["last_lmp"].to_list() == [30.10]


def test_an_interval_without_a_forecast_before_it_has_no_revision() -> None:
    late = rows("miso_cts", [FORECASTS[4]])
    assert desk(miso_cts=late).mart("cts_forecast_revision").is_empty()


def test_of_a_publication_in_two_days_the_later_days_row_counts() -> None:
    again = [{**FORECASTS[3], "lmp": lmp, "operating_day": MONDAY - dt.timedelta(days=n)}
             for n, lmp in ((1, 50.0), (0, 31.40))]  # fmt: skip
    found = desk(miso_cts=rows("miso_cts", again)).mart("cts_forecast_revision")
    assert found.select("last_lmp", "vintages").rows() == [(31.40, 1)]


def test_a_forecast_is_in_the_day_of_its_interval_whenever_it_was_published() -> None:
    """04:45Z on the 21st is still the 20th in MISO, and 05:00Z is not; both published before."""
    published, yesterday = "2026-07-21T03:50Z", {"operating_day": MONDAY}
    late = [forecast(published, 25.0, f"2026-07-21T{h}Z", **yesterday) for h in ("04:45", "05:00")]
    early = forecast("2026-07-20T03:50Z", 24.0, "2026-07-20T05:00Z",
                     operating_day=day("2026-07-19"))  # fmt: skip
    found = desk(miso_cts=rows("miso_cts", [*late, early])).mart("cts_forecast_revision")
    assert found["interval_start"].to_list() == [at("2026-07-20T05:00Z"), at("2026-07-21T04:45Z")]


def test_it_sced_is_held_against_five_minute_prices_in_days_of_new_york() -> None:
    starts = ["2026-07-20T04:00Z", "2026-07-21T03:55Z", "2026-07-21T04:00Z"]  # the last: the 21st
    place = {"location_id": "40523629", "location_name": "MISO"}
    cases = [
        {
            "published_at": at(start) - dt.timedelta(minutes=14, seconds=30),
            "interval_start": start,
            "interval_end": at(start) + FIVE,
            "lmp": 20.0 + i,
            **place,
        }
        for i, start in enumerate(starts)
    ]
    cases.append({**cases[0], "location_id": "33092313", "lmp": 99.0})  # a hub
    prices = [
        row for start in starts for row in spans(start, [20.5], finality="final", **INTERFACE)
    ]
    found = desk(
        prices, pjm_itsced_lmp=rows("pjm_itsced_lmp", cases), miso_cts=rows("miso_cts", [])
    )
    accuracy = found.mart("cts_forecast_accuracy")
    assert accuracy["forecast"].unique().to_list() == ["pjm_itsced_lmp"]
    assert accuracy["error"].to_list() == [-0.5, 0.5]  # 20 - 20.5, 21 - 20.5
    assert accuracy["lead_minutes"].to_list() == [14.5, 14.5]


def seam(**more: Any) -> Desk:  # noqa: ANN401  choices
    nsi = [
        {"interval_start": row["interval_start"], "interval_end": row["interval_end"],
         "neighbour": who, "interchange": mw}
        for who, values in (("PJM", [-100.0, -130.0, -100.0]), ("MISO", [900.0] * 3))
        for row, mw in zip(spans(START, values), values, strict=True)
    ]  # fmt: skip
    constraints = [
        ("14:00", "A", -20.50), ("14:00", "B", -3.00), ("14:05", "A", -40.25),
        ("14:10", "None", None), ("14:15", "None", None),
    ]  # fmt: skip
    bound = [
        {"interval_start": f"2026-07-20T{m}Z", "interval_end": f"2026-07-20T{m}Z",
         "constraint_name": name, "shadow_price": price}
        for m, name, price in constraints
    ]  # fmt: skip
    miso = [{**row, "congestion": value}
            for row, value in zip(MISO_PRICES, (0.5, 0.6, 0.7), strict=True)]  # fmt: skip
    made = desk(
        [*UNVERIFIED, *VERIFIED],
        miso,
        miso_interchange=rows("miso_interchange", nsi),
        miso_constraints=rows("miso_constraints", bound),
    )
    return replace(made, choices=replace(choices(), **more))


def test_a_quarter_of_the_seam_is_what_was_computed_by_hand() -> None:
    found = seam().mart("seam_spread").row(0, named=True)
    assert found == {
        "operating_day": MONDAY,
        "interval_start": at(START),
        "miso_lmp": 31.266667,
        "pjm_forecast_lmp": 31.40,
        "pjm_lmp": 33.186667,
        "pjm_finality": "final",
        "spread_forecast": -0.133333,  # 31.266667 - 31.40
        "spread_realized": -1.92,  # 31.266667 - 33.186667
        "scheduled_interchange": -110.0,  # (-100 - 130 - 100) / 3: import
        "scheduled_direction": "PJM_TO_MISO",
        "paying_direction": "MISO_TO_PJM",  # PJM's price is the higher one
        "with_the_price": False,
        "miso_congestion": 0.6,  # (0.5 + 0.6 + 0.7) / 3
        "pjm_congestion": 1.5,
        "binding_constraints": 2,  # A and B
        "top_constraint": "A",
        "top_shadow_price": -40.25,
    }


def test_a_quarter_in_which_nothing_binds_has_none_and_one_without_answer_is_unknown() -> None:
    found = seam().mart("seam_spread")
    quiet = found.row(1, named=True)
    assert quiet["interval_start"] == at("2026-07-20T14:15Z")
    assert (quiet["binding_constraints"], quiet["top_constraint"]) == (0, None)
    assert len(found) == 2  # of other quarters nothing is known
    assert desk().mart("seam_spread")["binding_constraints"].to_list() == [None]


def test_a_fee_must_be_exceeded_to_pay() -> None:
    """The difference is 1.92."""
    for fee, paying in ((1.91, "MISO_TO_PJM"), (1.92, None), (2.0, None)):
        found = seam(cts_fee=fee).mart("seam_spread").row(0, named=True)
        assert found["paying_direction"] == paying
        assert found["with_the_price"] is (None if paying is None else False)


def test_a_schedule_to_the_higher_price_is_with_the_price() -> None:
    higher = [{**row, "lmp": 40.0} for row in MISO_PRICES]
    made = seam()
    made.market = {**made.market, "miso_rt_lmp": rows("miso_rt_lmp", higher)}
    found = made.mart("seam_spread").row(0, named=True)
    assert (found["paying_direction"], found["with_the_price"]) == ("PJM_TO_MISO", True)


def test_without_a_key_of_pjm_its_side_is_null() -> None:
    found = desk().mart("seam_spread").row(0, named=True)
    of_pjm = ("pjm_lmp", "pjm_finality", "spread_realized", "paying_direction", "pjm_congestion")
    assert [found[name] for name in of_pjm] == [None] * 5
    assert found["spread_forecast"] == -0.133333


def test_a_quarter_with_a_missing_interval_has_no_mean() -> None:
    found = desk(VERIFIED, miso=MISO_PRICES[1:]).mart("seam_spread").row(0, named=True)
    assert (found["miso_lmp"], found["spread_realized"], found["pjm_lmp"]) == (
        None,
        None,
        33.186667,
    )


@pytest.mark.parametrize("date", ["2026-03-08", "2026-11-01"])
def test_a_day_of_the_seam_is_misos_with_96_quarters_all_year(date: str) -> None:
    first = at(f"{date}T00:00").replace(tzinfo=dt.UTC)
    prices = spans(first.isoformat(), [30.0] * (12 * 36), location="PJMC")
    made = Desk(day(date), day(date), {"miso_rt_lmp": rows("miso_rt_lmp", prices)})
    found = made.mart("seam_spread")["interval_start"]
    assert len(found) == 96
    assert found[0] == first + dt.timedelta(hours=5)  # midnight EST
