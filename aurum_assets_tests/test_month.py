"""A backfill of every dataset, killed and resumed, asks once. ``make prove`` does a month."""

from aurum_assets.operators import DATASETS
from aurum_assets_tests.proofs.prove_month import prove_month


def test_a_backfill_that_was_killed_goes_on_and_asks_for_nothing_twice() -> None:
    proof = prove_month(days=1, kills=1, locations=3, seed=2)
    assert proof.broken == []
    assert proof.counts["kills"] == 1
    assert proof.counts["partitions"] == len(DATASETS)
