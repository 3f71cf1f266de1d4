"""A catalog that lies about its commits. ``make prove`` tells it more lies."""

import uuid

from aurum_assets_tests.proofs.prove_landed import prove_landed
from aurum_assets_tests.servers.postgres import Postgres


def test_a_landed_commit_that_was_reported_failed_destroys_and_repeats_nothing() -> None:
    proof = prove_landed(commits=15, workers=3, merges=4)
    assert proof.broken == []
    assert int(proof.counts["landed commits reported as failed"]) > 10


def test_nor_does_it_in_postgres(postgres: Postgres) -> None:
    proof = prove_landed(8, 0, 0, database=lambda: postgres.database(f"lies_{uuid.uuid4().hex}"))
    assert proof.broken == []
    assert int(proof.counts["landed commits reported as failed"]) > 3
