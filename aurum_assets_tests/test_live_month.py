"""An hour against the live servers' ways: no red run, no gap. ``make prove`` does a month."""

from aurum_assets_tests.proofs.prove_live import prove_live


def test_an_hour_as_the_live_servers_answer_has_no_red_run_and_costs_what_is_planned() -> None:
    proof = prove_live(hours=1.25, through_dagster=0.05, locations=2, seed=3)
    assert proof.broken == []
    assert (
        proof.counts["requests for the newest interval"] == 3 * 15 + 1 + 3
    )  # MISO's day began an hour later
