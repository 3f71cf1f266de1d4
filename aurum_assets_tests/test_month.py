"""A backfill, killed and resumed, asks once. ``make prove`` does a month of every dataset."""

from aurum_assets.operators import DATASETS
from aurum_assets_tests.proofs.prove_month import prove_month

# Of each operator; by the day, by the hour, of now alone; three that read one answer.
OF_EACH_KIND = {
    "isone_da_lmp",
    "isone_rt_lmp",
    "isone_system_load",
    "miso_cts",
    "miso_da_lmp",
    "miso_rt_hourly_lmp",
    "miso_rt_lmp",
    "pjm_rt_lmp",
}


def test_a_backfill_that_was_killed_goes_on_and_asks_for_nothing_twice() -> None:
    ours = [d for d in DATASETS if d.key in OF_EACH_KIND]
    proof = prove_month(days=1, kills=1, locations=3, seed=2, datasets=ours)
    assert proof.broken == []
    assert proof.counts["kills"] == 1
    assert proof.counts["partitions"] == len(ours) == len(OF_EACH_KIND)
