"""Redis and Postgres fail in every way that they know, once. ``make prove`` has every server."""

from aurum_assets_tests.proofs.prove_faults import prove_faults


def test_servers_that_fail_cost_no_row_and_double_none() -> None:
    proof = prove_faults(rounds=1, servers=("redis", "postgres"), configured=False)
    assert proof.broken == []
    assert len(proof.lines) > 5
    assert all(line.rounds == 1 and line.rows > 400 for line in proof.lines)
