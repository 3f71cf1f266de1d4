"""Two machines that share an archive and a lake, and nothing else: no lock, no message."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.ingest.keep import drain_spool, unnormalized_days
from aurum_assets.model.errors import Overtaken, StoreUnavailable
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Table
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD as LOAD
from aurum_assets.resources.archive import Archive, ArchiveSettings
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Lake, Swap
from aurum_assets_tests.conftest import Desk
from aurum_assets_tests.made import remade
from aurum_assets_tests.proofs.proof import catalog_at
from aurum_assets_tests.servers.s3 import S3Server

DAY = LOAD.day("2026-07-20")


def answer(*loads: int) -> bytes:
    """Five-minute loads from 17:20 on."""
    records = ",".join(
        f'{{"BeginDate":"2026-07-20T17:{20 + 5 * n}:00.000-04:00","LoadMw":{load}}}'
        for n, load in enumerate(loads)
    )
    return f'{{"FiveMinSystemLoads":{{"FiveMinSystemLoad":[{records}]}}}}'.encode()


@pytest.fixture
def machines(desk: Desk, tmp_path: Path) -> tuple[Desk, Desk]:
    shared = tmp_path / "shared"
    (shared / "lake").mkdir(parents=True)
    place, catalog = ArchiveSettings(f"file:{shared}/archive"), catalog_at(shared / "lake")
    first, second = (
        remade(desk.resources, root=tmp_path / name, archive=place, catalog=catalog)
        for name in ("first", "second")
    )
    return Desk(first, desk.clock), Desk(second, desk.clock)


def loads(desk: Desk) -> list[float]:
    return sorted(desk.rows(LOAD)["load"].to_list())


def histories(resources: Resources) -> pl.DataFrame:
    return resources.lake.read(LOAD.table.history)


def test_an_older_snapshot_never_replaces_what_another_machine_merged_of_a_newer_one(
    machines: tuple[Desk, Desk],
) -> None:
    slow, fast = machines
    slow.take(LOAD, answer(15_000))
    held = slow.resources.archive.identifiers(LOAD.archive_name, DAY.key)
    slow.resources.registry.mark_merged(LOAD.key, DAY.key, "", frozenset())
    fast.clock.set(fast.clock() + LOAD.interval())
    fast.take(LOAD, answer(16_000))
    ingest.normalize(fast.resources, LOAD, DAY)
    archive = slow.resources.archive
    slow.resources.archive = _Yesterdays(archive, held)  # it listed the day before the other
    done = ingest.normalize(slow.resources, LOAD, DAY)
    assert done.rebuilt
    assert loads(slow) == loads(fast) == [16_000]
    assert histories(slow.resources)["load"].to_list() == [15_000]


class _Yesterdays(Archive):
    """An archive whose first listing is an old one."""

    def __init__(self, archive: Archive, held: list[str]) -> None:
        super().__init__(archive.store, archive.settings)
        self._held = [held]

    def identifiers(self, folder: str, day: str) -> list[str]:
        return self._held.pop() if self._held else super().identifiers(folder, day)


def test_a_rebuild_drops_nothing_that_another_machine_merges_meanwhile(
    machines: tuple[Desk, Desk],
) -> None:
    slow, fast = machines
    for load in (15_000, 15_100):
        slow.take(LOAD, answer(load))
        slow.clock.set(slow.clock() + LOAD.interval())

    class Overtaking(Lake):
        """Lets the other machine in, right before the day is rewritten."""

        def swap(self, table: Table, swaps: Sequence[Swap]) -> tuple[list[Swap], int | None]:
            if table is LOAD.table and not done:
                done.append("once")
                fast.take(LOAD, answer(15_200, 15_300))
                ingest.normalize(fast.resources, LOAD, DAY)
            return super().swap(table, swaps)

    done: list[str] = []
    slow.resources.lake = Overtaking(slow.resources.lake.configured)
    ingest.normalize(slow.resources, LOAD, DAY)
    assert done == ["once"]
    assert loads(slow) == [15_200, 15_300]
    assert sorted(histories(slow.resources)["load"].to_list()) == [15_000, 15_100]
    assert not ingest.verify(slow.resources, LOAD, DAY).problems


def test_the_lake_says_that_it_was_overtaken_and_commits_nothing(
    machines: tuple[Desk, Desk],
) -> None:
    desk, _ = machines
    desk.bring(LOAD, answer(15_000))
    rows = desk.rows(LOAD)
    older = rows.with_columns(pl.col("fetched_at") - LOAD.interval(), load=pl.lit(1.0))
    with pytest.raises(Overtaken, match="later snapshots"):
        desk.resources.lake.merge(LOAD.table, older)
    assert desk.rows(LOAD).equals(rows)


def test_what_another_machine_superseded_or_quarantined_meanwhile_stays(
    machines: tuple[Desk, Desk],
) -> None:
    slow, fast = machines
    slow.bring(LOAD, answer(15_000))
    held = slow.resources.archive.identifiers(LOAD.archive_name, DAY.key)
    fast.clock.set(fast.clock() + LOAD.interval())
    broken = answer(16_000, 16_100).replace(b'"LoadMw":16100', b'"LoadMw":"much"')
    fast.bring(LOAD, broken)
    history, kept_out = histories(fast.resources), fast.resources.lake.read(QUARANTINE)
    assert (len(history), len(kept_out)) == (1, 1)
    slow.resources.archive = _Yesterdays(slow.resources.archive, held)
    ingest.replay(slow.resources, LOAD, DAY)
    assert loads(slow) == [16_000]
    assert histories(fast.resources).equals(history)
    assert fast.resources.lake.read(QUARANTINE).equals(kept_out)


def test_a_day_that_cannot_be_normalized_keeps_no_other_day_out(desk: Desk) -> None:
    yesterday = answer(14_000).replace(b"2026-07-20", b"2026-07-19")
    desk.bring(LOAD, yesterday)
    for path in (desk.resources.root / "archive").rglob("day=19/*"):
        path.unlink()
    for load in (b"14001", b"14002"):  # two: the day is folded again, and lacks what it had
        desk.clock.set(desk.clock() + LOAD.interval())
        desk.take(LOAD, yesterday.replace(b"14000", load))
    desk.take(LOAD, answer(15_000))
    days = ["2026-07-19", "2026-07-20"]
    outcomes = list(ingest.normalize_each(desk.resources, LOAD, days, DAY))
    assert [day.key for day, _ in outcomes] == days[::-1]
    assert isinstance(outcomes[0][1], ingest.Normalized)
    assert "bytes that the archive lacks" in str(outcomes[1][1])
    assert desk.rows(LOAD, "2026-07-20")["load"].to_list() == [15_000]


@pytest.mark.slow
def test_pods_that_share_a_spool_drain_it_at_once_and_lose_and_double_nothing(
    desk: Desk, s3: S3Server, tmp_path: Path
) -> None:
    """As in ``deploy/kubernetes/worker.yaml``: homes of their own, but for the folder spool."""
    place = ArchiveSettings(f"s3://raw/{tmp_path.name}", s3.url)
    spool = tmp_path / "spool"
    (tmp_path / "lake").mkdir()
    pods = [
        remade(
            desk.resources,
            root=tmp_path / name,
            archive=place,
            catalog=catalog_at(tmp_path / "lake"),
        )
        for name in ("ended", "first", "second")
    ]
    spool.mkdir()
    for pod in pods:
        pod.root.mkdir()
        (pod.root / "spool").symlink_to(spool)
    ended, *others = pods
    with s3.out_of_reach():
        for load in (15_000, 15_001, 15_002):
            with pytest.raises(StoreUnavailable, match="kept in"):
                Desk(ended, desk.clock).take(LOAD, answer(load))
            desk.clock.set(desk.clock() + LOAD.interval())
    assert len(list(spool.rglob("*.gz"))) == 3
    shutil.rmtree(ended.root)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pod: drain_spool(pod, LOAD), others))
    assert list(spool.rglob("*.gz")) == []
    for pod in others:
        assert len(pod.archive.identifiers(LOAD.archive_name, DAY.key)) == 3
    ingest.normalize(others[0], LOAD, DAY)
    assert loads(Desk(others[1], desk.clock)) == [15_002]
    assert unnormalized_days(others[1], LOAD) == []
