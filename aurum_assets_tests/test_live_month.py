"""An hour against the live servers' ways: no red run, no gap. ``make prove`` does ten days."""

from aurum_assets_tests.proofs.prove_live import prove_live


def test_an_hour_as_the_live_servers_answer_has_no_red_run_and_costs_what_is_planned() -> None:
    proof = prove_live(hours=1.25, through_dagster=0.05, locations=2, seed=3)
    assert proof.broken == []
    made = int(proof.counts["requests for the newest interval"])
    assert 190 < made < 1.1 * int(proof.counts["of them planned: one a tick and feed"])
