"""A catalog that lies about its commits. ``make prove`` tells it more lies."""

from benchmarks.prove_landed import prove_landed


def test_a_landed_commit_that_was_reported_failed_destroys_and_repeats_nothing() -> None:
    proof = prove_landed(commits=15, workers=3, merges=4)
    assert proof.broken == []
    assert int(proof.counts["landed commits reported as failed"]) > 10
