"""Sums of prices are exact decimals: 0.01 off is inside, anything more is outside."""

import math
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aurum_assets.model.prices import CENT, adds_up

PARTS = ("energy", "congestion", "loss")
CENTS = st.integers(-3_000_000, 3_000_000)
WILD = st.floats(allow_nan=False, allow_infinity=False, width=64)
Row = tuple[float | None, float | None, float | None, float | None]


def within(rows: list[Row]) -> list[bool | None]:
    frame = pl.DataFrame(
        rows, schema=dict.fromkeys(("lmp", *PARTS), pl.Float64()), orient="row", strict=False
    )
    return frame.select(adds_up("lmp", PARTS)).to_series().to_list()


def by_decimal(total: float, parts: tuple[float, ...]) -> bool:
    """The claim, by the standard library: each price is its shortest decimal."""
    exact = sum((Decimal(repr(p)) for p in parts), Decimal())
    return abs(Decimal(repr(total)) - exact) <= Decimal("0.01")


@pytest.mark.parametrize(
    ("row", "holds"),
    [
        ((45.50, 42.00, 2.50, 1.00), True),
        ((45.51, 42.00, 2.50, 1.00), True),
        ((45.49, 42.00, 2.50, 1.00), True),
        ((45.511, 42.00, 2.50, 1.00), False),
        ((45.489, 42.00, 2.50, 1.00), False),
        ((45.510001, 42.00, 2.50, 1.00), False),
        ((45.5100000001, 42.00, 2.50, 1.00), False),
        ((0.3, 0.1, 0.2, 0.0), True),
        ((-0.0, 0.0, -0.0, 0.0), True),
        ((43.2, 43.2, 0.0, 0.0), True),
        ((-3.01, -3.0, 0.0, 0.0), True),
        ((1e15, 1e15, 0.0, 0.01), True),
        ((1e15, 1e15, 0.0, 0.011), False),
        ((1e-9, 0.0, 0.0, 0.010000001), True),
        ((1e-9, 0.0, 0.0, 0.0100000011), False),
    ],
)
def test_the_hundredth_is_inclusive_and_exact(row: Row, holds: bool) -> None:  # noqa: FBT001  a table
    assert within([row]) == [holds]


def test_every_price_that_is_a_hundredth_off_is_inside() -> None:
    """Floating subtraction puts some two in five of these outside."""
    rows = [((c + 1) / 100, c / 100, 0.0, 0.0) for c in range(-10_000, 10_000, 7)]
    wrong_in_floats = [r for r in rows if abs(r[0] - r[1]) > 0.01]
    assert len(wrong_in_floats) > len(rows) // 4
    assert within([*rows]) == [True] * len(rows)


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("absent", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_price_gives_no_verdict(position: int, absent: float | None) -> None:
    row: list[float | None] = [45.5, 42.0, 2.5, 1.0]
    row[position] = absent
    total, energy, congestion, loss = row
    assert within([(total, energy, congestion, loss)]) == [None]


def test_rows_are_judged_one_by_one() -> None:
    rows: list[Row] = [
        (45.5, 42.0, 2.5, 1.0),
        (45.6, 42.0, 2.5, 1.0),
        (None, 42.0, 2.5, 1.0),
        (1e15, 1e15, 0.0, 0.0),
    ]
    assert within(rows) == [True, False, None, True]
    assert within([]) == []


@given(st.lists(st.tuples(CENTS, CENTS, CENTS, st.integers(-3, 3)), min_size=1, max_size=50))
def test_cents_agree_with_decimals(parts: list[tuple[int, int, int, int]]) -> None:
    rows = [((e + c + s + off) / 100, e / 100, c / 100, s / 100) for e, c, s, off in parts]
    assert within([*rows]) == [by_decimal(t, (e, c, s)) for t, e, c, s in rows]
    assert within([*rows]) == [abs(off) <= 1 for *_, off in parts]


@given(WILD, WILD, WILD, WILD)
@example(1e308, 1e308, 0.0, 0.0)
@example(5e-324, 0.0, 0.0, 0.0)
@example(999_999_999.999999, 1e9, 0.0, 0.0)
@example(0.1234567, 0.1234567, 0.0, 0.01)
def test_any_finite_numbers_agree_with_decimals(
    total: float, energy: float, congestion: float, loss: float
) -> None:
    expected = by_decimal(total, (energy, congestion, loss))
    assert within([(total, energy, congestion, loss)]) == [expected]


@pytest.mark.parametrize(
    ("lmp", "within", "holds"),
    [
        (24.58, 0, True),
        (24.59, 0, False),
        (24.580001, 0, False),
        (24.5800001, 0, False),  # of seven decimals: by Decimal
        (24.61, 3 * CENT, True),
        (24.62, 3 * CENT, False),
    ],
)
def test_a_sum_may_be_asked_for_exactly_or_within_more_than_a_cent(
    lmp: float, within: int, *, holds: bool
) -> None:
    frame = pl.DataFrame({"lmp": [lmp], "energy": [29.96], "congestion": [-3.44], "loss": [-1.94]})
    assert frame.select(adds_up("lmp", PARTS, within)).item() is holds
