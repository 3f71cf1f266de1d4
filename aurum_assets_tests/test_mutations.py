"""Payloads gone wrong. ``make prove`` mutates two thousand, and throws gzip bombs."""

from decimal import Decimal

import pytest

from aurum_assets_tests.proofs.mutations import BYTES, SHAPES, TREES, bombs, cases, instant
from aurum_assets_tests.proofs.oracle import May, judge, within_a_cent
from aurum_assets_tests.proofs.prove_mutations import prove_mutations

COUNT = 60


def test_a_mutated_payload_is_stored_quarantined_or_rejected_and_nothing_wrong_gets_in() -> None:
    proof = prove_mutations(count=COUNT, bombs=3)
    assert proof.broken == []
    assert proof.counts["payloads"] == COUNT + 3
    assert int(proof.counts["rejected"]) > COUNT / 6
    assert int(proof.counts["stored whole"]) > COUNT / 6
    assert int(proof.counts["stored in part, the rest quarantined"]) > COUNT / 12


def test_the_cases_meet_every_dataset_dialect_and_format_with_every_mutation() -> None:
    assert {s.dataset for s in SHAPES} == {"isone_rt_lmp", "isone_system_load", "miso_cts"}
    pairs = len(SHAPES) * (len(TREES) + len(BYTES) + 1)
    met = {(c.dataset, c.shape, c.mutation) for c in cases(pairs)}
    assert len(met) == pairs


def test_a_bomb_is_small_until_it_is_unpacked() -> None:
    first = next(bombs(64))
    assert len(first.file) < 300_000
    assert len(first.body) > 64_000_000


@pytest.mark.parametrize(
    ("total", "stays"), [("0.31", True), ("0.3100001", False), ("0.29", True), ("0.311", False)]
)
def test_the_oracle_of_sums_is_inclusive_and_exact(total: str, stays: bool) -> None:  # noqa: FBT001
    assert within_a_cent(float(Decimal(total)), [0.1, 0.1, 0.1]) is stays


def test_the_oracle_knows_what_must_be_stored_and_what_never() -> None:
    body = (
        b'{"FiveMinSystemLoads":{"FiveMinSystemLoad":['
        b'{"BeginDate":"2025-07-14T08:20:00.000-04:00","LoadMw":12000.5},'
        b'{"BeginDate":"2025-07-14T08:25:00.000-04:00","LoadMw":-1},'
        b'{"BeginDate":"2025-07-14T08:30:00.000-04:00","LoadMw":"12000"}]}}'
    )
    answer = judge("isone_system_load", body, None, instant(0))
    assert [row.may for row in answer.rows] == [May.MUST, May.NEVER, May.NEVER]
    assert answer.rows[0].values["load"] == 12000.5
    assert judge("isone_system_load", body[:-3], None, instant(0)).reject == May.MUST


def test_the_oracle_takes_no_stamp_or_number_that_cannot_be() -> None:
    body = b"""{"RefId": "14-Jul-2025 - Interval 08:00 EST", "Interval": [%s]}"""
    record = b'{"CASEAPPROVALDATE":"%s","SOLUTIONTIME":"%s","PJMFORECASTEDLMP":"%s"}'
    case, solution = b"2025-07-14 8:04:09 AM", b"2025-07-14 8:00:00 AM"
    records = [
        record % text
        for text in (
            (case, solution, b"45.73"),
            (b"9999-07-14 8:04:09 AM", solution, b"45.73"),
            (case, b"2025-07-17 8:00:00 AM", b"45.73"),
            (case, solution, b"1e300"),
        )
    ]
    answer = judge("miso_cts", body % b",".join(records), None, instant(0))
    assert [row.may for row in answer.rows] == [May.MUST, *[May.NEVER] * 3]
