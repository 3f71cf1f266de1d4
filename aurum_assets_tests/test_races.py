"""Several processes write one table at once. ``make prove`` runs the same with more of each."""

import uuid
from pathlib import Path

from aurum_assets.model.clock import OperatingDay
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.lake import FILES_BEFORE_COMPACTION, Lake
from aurum_assets_tests.proofs.proof import close, frame_of, values_of
from aurum_assets_tests.proofs.prove_races import prove_races
from aurum_assets_tests.servers.postgres import Postgres

DAY = OperatingDay.parse("2025-07-14", ISONE_SYSTEM_LOAD.operator.zone)


def test_racing_merges_and_rewrites_all_succeed_and_no_row_is_lost_or_stands_twice() -> None:
    proof = prove_races(workers=3, merges=4, untaken=2)
    assert proof.broken == []
    assert proof.counts["merges"] == 36


def test_writers_on_several_machines_race_in_one_postgres_and_no_row_is_lost_or_stands_twice(
    postgres: Postgres,
) -> None:
    proof = prove_races(2, 0, 2, database=lambda: postgres.database(f"race_{uuid.uuid4().hex}"))
    assert proof.broken == []
    assert proof.counts["merges"] == 8


def test_an_open_day_is_compacted_by_the_merges_themselves(tmp_path: Path) -> None:
    lake = Lake.local(tmp_path)
    table = ISONE_SYSTEM_LOAD.table
    most = 0
    for number in range(FILES_BEFORE_COMPACTION + 6):
        lake.merge(table, frame_of(ISONE_SYSTEM_LOAD, DAY, {number: float(number)}))
        summary = lake.summary(table)
        most = max(most, summary.files if summary else 0)
    expected = [(n, float(n)) for n in range(FILES_BEFORE_COMPACTION + 6)]
    assert values_of(lake.read(table), DAY) == expected
    assert most == FILES_BEFORE_COMPACTION
    close(lake)
