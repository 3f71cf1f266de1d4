"""kill -9 at random moments of a materialization. ``make prove`` kills sixty times."""

import pytest

from aurum_assets_tests.proofs.prove_kill import prove_kill

pytestmark = pytest.mark.slow


def test_a_materialization_killed_anywhere_and_run_again_leaves_what_a_clean_run_leaves() -> None:
    proof = prove_kill(kills=2, locations=16, seed=1, ways=("rebuild", "load"))
    assert proof.broken == []
    assert proof.counts["kills"] == 2
