"""Every history of arrivals ends in one table, whatever way it takes."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aurum_assets_tests.proofs.prove_idempotence import (
    BROKEN,
    KINDS,
    Arrival,
    Oracle,
    differences,
    only_one_location,
)

KEYS = st.tuples(st.integers(0, 2), st.integers(0, 1))
CONTENTS = st.dictionaries(KEYS, st.sampled_from([1, 2, BROKEN]), max_size=4).map(
    lambda values: tuple(sorted(values.items()))
)


@st.composite
def histories(draw: Any) -> tuple[str, list[Arrival], list[int]]:  # noqa: ANN401  hypothesis's
    kind = draw(st.sampled_from(KINDS))
    contents = draw(st.lists(CONTENTS, min_size=1, max_size=3))
    arrival = st.builds(
        Arrival,
        st.integers(0, 6),
        st.sampled_from(["now", "day", "final"]),
        st.sampled_from(contents),
    )
    arrivals = only_one_location(kind, draw(st.lists(arrival, min_size=1, max_size=5)))
    return kind, arrivals, draw(st.permutations(range(len(arrivals))))


@settings(
    max_examples=2,  # make prove has sixty
    phases=[Phase.generate],  # a history takes seconds: shrinking one would take minutes
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(histories())
@pytest.mark.slow
def test_a_table_day_is_the_fold_of_its_snapshots_by_whatever_way_they_came(
    history: tuple[str, list[Arrival], list[int]],
) -> None:
    assert differences(*history) == []


A, B = ((((0, 0), 1), ((1, 0), 2)), (((0, 0), 2),))


@pytest.mark.parametrize("kind", KINDS[::2])
@pytest.mark.slow
def test_a_value_that_comes_back_is_two_changes(kind: str) -> None:
    history = [Arrival(m, "now", values) for m, values in enumerate([A, B, A, A])]
    assert differences(kind, history, [3, 1, 0, 2]) == []
    oracle = Oracle("isone_system_load")
    assert [oracle.accept(a) for a in history] == ["stored"] * 3 + ["duplicate"]
    ((_, first), (_, second)) = sorted(oracle.rows().items())
    assert (first[0], first[1]) == (12_001.0, history[2].fetched_at)
    assert (second[0], second[1]) == (12_002.0, history[0].fetched_at)
