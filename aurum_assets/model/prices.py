"""Exact arithmetic on prices that are stored as doubles.

*The* price is the shortest decimal of its double. A price of at most six decimals is a whole number
of millionths, and sums of whole numbers are exact; the few that are not (or are too large) go
through ``Decimal``, one by one.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from aurum_assets.model.table import Rule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PARTS = ("energy", "congestion", "loss")
"""The columns that make up a locational marginal price."""

_MILLION = 1e6
_LARGEST = 1e9  # above it a double no longer holds six decimals in fifteen digits
CENT = 10_000  # in millionths


def adds_up(total: str, parts: tuple[str, ...], within: int = CENT) -> pl.Expr:
    """Whether ``total`` equals the sum of ``parts`` in exact decimals, or lies ``within`` so many
    millionths of it, inclusive (a cent, for each price is rounded by itself; 0: exactly).

    Null where any of them is null: the caller decides what an absent price means.
    """

    def evaluate(columns: Sequence[pl.Series]) -> pl.Series:
        present = pl.DataFrame(columns).select(
            pl.all_horizontal(pl.all().is_not_null() & pl.all().is_finite())
        )
        mask = present.to_series().to_numpy()
        values = [c.fill_null(0.0).fill_nan(0.0).to_numpy() for c in columns]
        found = _within(values, mask, within)
        return pl.Series(found).set(pl.Series(~mask), None)

    return pl.map_batches([pl.col(total), *(pl.col(p) for p in parts)], evaluate, pl.Boolean())


def _within(
    values: "list[npt.NDArray[np.float64]]", mask: "npt.NDArray[np.bool_]", most: int
) -> "npt.NDArray[np.bool_]":
    import numpy as np

    exact = mask.copy()
    millionths = []
    for value in values:
        bounded = np.where(np.abs(value) < _LARGEST, value, 0.0)
        scaled = np.rint(bounded * _MILLION)
        exact &= scaled / _MILLION == value
        millionths.append(scaled.astype(np.int64))
    within: npt.NDArray[np.bool_] = np.abs(millionths[0] - sum(millionths[1:])) <= most
    for i in np.flatnonzero(mask & ~exact):
        total, *parts = (Decimal(repr(float(value[i]))) for value in values)
        within[i] = abs(total - sum(parts)) * 1_000_000 <= most
    return within


LMP_IS_PRESENT = Rule("lmp_is_present", pl.col("lmp").is_not_null(), ("lmp",), "contract")
LMP_IS_THE_SUM_OF_ITS_PARTS = Rule(
    "lmp_is_the_sum_of_its_parts",
    adds_up("lmp", PARTS),
    ("lmp", *PARTS),
    "lmp_arithmetic",
)
FINALITY_IS_KNOWN = Rule(
    "finality_is_prelim_or_final", pl.col("finality").is_in(["prelim", "final"]), ("finality",)
)
