"""Every server fails in every way that it knows, once. ``make prove`` lets each fail ten times."""

from aurum_assets_tests.proofs.prove_faults import SERVERS, prove_faults


def test_servers_that_fail_cost_no_row_double_none_and_are_asked_as_the_policy_says() -> None:
    proof = prove_faults(rounds=1, configured=False)
    assert proof.broken == []
    assert all(line.rounds == 1 and line.rows > 400 for line in proof.lines)
    assert {line.fault.split()[0].rstrip(":").lower() for line in proof.lines} == set(SERVERS)
