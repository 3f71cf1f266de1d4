"""A loss of lake or archive is found, reported with its remedy, and mended from the archive."""

import contextlib
import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.graph.translate import table_metadata
from aurum_assets.model.errors import AurumError, ConfigError, LakeDamaged, LakeUnreachable
from aurum_assets.model.prices import PARTS
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.archive import seal_of
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.lake import Lake
from aurum_assets_tests.conftest import Aurum, Desk, printed
from aurum_assets_tests.made import remade
from aurum_assets_tests.proofs.damage import KINDS, LMP, LOAD, files_of, fill, forget, held, objects

DAY = LOAD.day("2026-07-20")
PARTITION = {"operating_day": DAY.date}
TABLE = LOAD.table


@pytest.fixture
def filled(resources: Resources) -> Resources:
    fill(resources, observed=False)
    return resources


def verified(resources: Resources, *, quick: bool = False) -> list[ingest.Verified]:
    return [v for d in (LOAD, LMP) for v in ingest.verify_days(resources, d, quick=quick)]


def problems(resources: Resources, *, quick: bool = False) -> list[str]:
    return [p for v in verified(forget(resources), quick=quick) for p in v.problems]


# --- loss ----------------------------------------------------------------------------------------


def test_a_home_that_lost_nothing_has_no_problem_and_quick_reads_no_row(filled: Resources) -> None:
    assert problems(filled) == []
    quickly = verified(forget(filled), quick=True)
    assert [(v.dataset, v.day, v.rows, v.quick, v.problems) for v in quickly] == [
        (LOAD.key, "2026-07-19", 2, True, []),
        (LOAD.key, "2026-07-20", 2, True, []),
        (LMP.key, "2026-07-20", 2, True, []),
    ]


@pytest.mark.slow
def test_each_loss_of_rows_is_seen_by_quick_and_full_and_replay_mends_it(filled: Resources) -> None:
    tables = (TABLE, TABLE.history, LMP.table, QUARANTINE)
    before = [filled.lake.read(t) for t in tables]
    kinds = [k for k in KINDS if k.mended == "replay"]
    assert len(kinds) == 8
    for kind in kinds:
        home = forget(filled)
        kind.hurt(home)
        for quick in (False, True) if kind.counted else (False,):
            found = problems(home, quick=quick)
            assert found, (kind.name, quick)
            assert all("aurum replay isone_" in p and "--day 2026-07-" in p for p in found)
        home = forget(home)
        for dataset, day in ingest.archived_days(home, (LOAD, LMP)):
            if kind.name == "a dropped table" or day == DAY:
                ingest.replay(home, dataset, day)
        after = [home.lake.read(t) for t in tables]
        same = (rows.equals(kept) for rows, kept in zip(after, before, strict=True))
        assert all(same), kind.name
    assert problems(filled) == []


def test_the_counts_say_what_is_missing_extra_and_changed(filled: Resources) -> None:
    lake = filled.lake
    rows = lake.read(TABLE, PARTITION)
    wrong = rows[1:].with_columns(pl.col("load") + 1)
    more = rows[1:].with_columns(pl.col("interval_start").dt.offset_by("5m"))
    both = pl.concat([wrong, more])
    lake.replace(TABLE, both, PARTITION)
    found = ingest.verify(filled, LOAD, DAY)
    assert (found.missing, found.extra, found.changed) == (1, 1, 1)


def test_a_null_in_the_place_of_a_value_is_another_value(filled: Resources) -> None:
    rows = filled.lake.read(LMP.table, PARTITION)
    without = rows.with_columns(pl.lit(None, pl.Float64()).alias(n) for n in PARTS)
    filled.lake.replace(LMP.table, without, PARTITION)
    assert ingest.verify(filled, LMP, DAY).changed == len(rows) > 0


def test_a_quick_look_reads_a_day_in_full_that_has_no_ledger(filled: Resources) -> None:
    filled.registry.forget_ledger(LOAD.key, DAY.key)
    (full,) = (v for v in verified(filled, quick=True) if not v.quick)
    assert (full.dataset, full.day, full.problems) == (LOAD.key, DAY.key, [])


def test_a_loss_is_seen_even_where_registry_and_ledger_are_gone(filled: Resources) -> None:
    filled.lake.replace(TABLE, filled.lake.read(TABLE, PARTITION)[1:], PARTITION)
    (filled.root / "state.sqlite").unlink()
    assert problems(filled, quick=True) == problems(filled)
    assert "1 rows that the archive gives are missing" in problems(filled)[0]


def test_a_deleted_day_is_seen_even_where_its_objects_are_deleted_too(filled: Resources) -> None:
    shutil.rmtree(objects(filled)[0].parent)
    for table in (TABLE, TABLE.history):
        filled.lake.replace(table, table.empty(), PARTITION)
    assert ["are gone from the archive" in p for p in problems(filled)] == [True]


def test_what_is_archived_and_not_merged_is_pending_and_no_loss(
    desk: Desk, filled: Resources
) -> None:
    body = objects_body(filled).replace(b"2026-07-20", b"2026-07-18")
    desk.take(LOAD, body)
    for quick in (True, False):
        found = next(v for v in verified(forget(filled), quick=quick) if v.day == "2026-07-18")
        assert (found.pending, found.problems) == (1, [])
        remedy = "aurum replay isone_system_load --day 2026-07-18"
        assert found.notes == [f"1 snapshots are archived and not merged: {remedy}"]


def test_a_pending_snapshot_hides_no_loss(desk: Desk, filled: Resources) -> None:
    desk.take(LOAD, objects_body(filled).replace(b"10001", b"10009"))
    filled.lake.replace(TABLE, filled.lake.read(TABLE, PARTITION)[1:], PARTITION)
    found = ingest.verify(filled, LOAD, DAY)
    assert (found.pending, found.missing) == (1, 1)


def objects_body(resources: Resources) -> bytes:
    archive, folder = resources.archive, LOAD.archive_name
    first = archive.identifiers(folder, DAY.key)[0]
    return archive.snapshot(folder, DAY.key, first).body


def test_rejected_snapshots_and_kills_before_the_ledger_are_no_false_alarm(
    desk: Desk, filled: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.bring(LOAD, objects_body(filled).replace(b'"LoadMw"', b'"Megawatts"'))
    desk.take(LOAD, objects_body(filled).replace(b"10002", b"10003"))
    with monkeypatch.context() as kill:
        kill.setattr(filled.registry, "keep_ledger", _killed)
        with pytest.raises(KeyboardInterrupt):
            ingest.normalize(filled, LOAD, DAY)
    assert problems(filled, quick=True) == problems(filled) == []
    ingest.normalize(filled, LOAD, DAY)
    assert problems(filled, quick=True) == []


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


# --- the envelope --------------------------------------------------------------------------------


def test_each_damage_of_the_archive_is_seen_and_its_day_refused(
    filled: Resources, tmp_path: Path
) -> None:
    kinds = [k for k in KINDS if k.mended == "never"]
    assert len(kinds) == 7
    archive, kept = filled.root / "archive", tmp_path / "kept"
    shutil.copytree(archive, kept)
    before = filled.lake.read(TABLE)
    for kind in kinds:
        kind.hurt(filled)
        found = ingest.verify(filled, LOAD, DAY).problems
        assert any("restore" in p for p in found), kind.name
        with pytest.raises(AurumError, match="the archive lacks"):
            ingest.replay(filled, LOAD, DAY)
        assert filled.lake.read(TABLE).equals(before)
        shutil.rmtree(archive)
        shutil.copytree(kept, archive)
    assert problems(filled) == []


def test_an_edited_envelope_is_damage_although_the_bytes_are_whole(filled: Resources) -> None:
    meta = objects(filled)[0].with_name(objects(filled)[0].name.replace(".json.gz", ".meta.json"))
    document = json.loads(meta.read_text())
    meta.write_text(json.dumps(document | {"finality": "final"}))
    found = ingest.verify(filled, LOAD, DAY).problems
    assert "the envelope is not the one that was archived" in found[0]
    meta.write_text(json.dumps(document, indent=2))  # the same values, written otherwise
    assert problems(filled) == []


def test_rejected_bytes_that_were_swapped_or_whose_reason_was_edited_are_seen(
    desk: Desk, filled: Resources
) -> None:
    desk.take(LOAD, b"no JSON")
    assert problems(filled) == []
    (path,) = (filled.root / "archive" / "rejected").rglob("*.gz")
    kept, reason = path.read_bytes(), path.with_name(f"{path.stem}.reason.json")
    path.write_bytes(objects(filled)[0].read_bytes())
    assert "the bytes are not those that were rejected" in problems(filled)[0]
    path.write_bytes(kept)
    reason.write_text(reason.read_text().replace("not JSON", "fine"))
    assert "the envelope is not the one that was archived" in problems(filled)[0]


def test_an_object_without_a_seal_stays_readable_and_is_counted(
    aurum: Aurum, filled: Resources
) -> None:
    import gzip

    path = objects(filled)[0]
    assert len(seal_of(path.read_bytes())) == 64
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 6, mtime=0))
    result = aurum("verify", LOAD.key, AURUM_HOME=str(filled.root))
    assert result.exit_code == 0, result.output
    assert "UNSEALED 1 objects" in result.stderr


# --- healing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [False, True], ids=["new", "nothing-new"])
def test_a_table_that_lost_merged_rows_is_healed_by_the_next_load_and_says_so(
    desk: Desk, filled: Resources, caplog: pytest.LogCaptureFixture, *, again: bool
) -> None:
    before = filled.lake.read(TABLE)
    filled.lake.replace(TABLE, TABLE.empty(), PARTITION)
    done = desk.bring(LOAD, objects_body(filled)).done if not again else None
    done = done or ingest.normalize(filled, LOAD, DAY)
    assert done.healed
    assert done.merged.new == 2
    assert "healed" in caplog.text
    assert table_metadata(filled, done)["healed"] is True
    if again:
        assert filled.lake.read(TABLE).equals(before)
    assert not ingest.normalize(filled, LOAD, DAY).healed
    assert problems(filled, quick=True) == problems(filled) == []


def test_a_home_without_ledgers_heals_an_emptied_day_once(filled: Resources) -> None:
    filled.registry.forget_ledger(LOAD.key, DAY.key)
    filled.lake.replace(TABLE, TABLE.empty(), PARTITION)
    assert ingest.normalize(filled, LOAD, DAY).healed
    done = ingest.normalize(filled, LOAD, DAY)
    assert (done.healed, done.rebuilt) == (False, False)


def test_a_days_first_merge_that_was_killed_before_its_rows_is_pending(
    desk: Desk, filled: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, folder = filled.archive, LMP.archive_name
    (identifier,) = archive.identifiers(folder, DAY.key)
    body = archive.snapshot(folder, DAY.key, identifier).body
    desk.take(LMP, body.replace(b"2026-07-20", b"2026-07-18"))
    merge = filled.lake.merge

    def killed(table: Any, rows: pl.DataFrame) -> Any:  # noqa: ANN401  as the lake has it
        return _killed() if table is LMP.table else merge(table, rows)

    with monkeypatch.context() as kill:
        kill.setattr(filled.lake, "merge", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest.normalize(filled, LMP, LMP.day("2026-07-18"))
    found = ingest.verify(forget(filled), LMP, LMP.day("2026-07-18"))
    assert (found.pending, found.problems) == (1, [])


# --- damaged files -------------------------------------------------------------------------------

COMMANDS: dict[str, tuple[str, ...]] = {
    "status": ("status",),
    "verify": ("verify", LOAD.key),
    "quick": ("verify", LOAD.key, "--quick"),
    "sql": ("sql", "select * from isone_system_load"),
    "export": ("export", "--dataset", LOAD.key, "--day", DAY.key, "--output", "-"),
    "as-of": ("as-of", "--dataset", LOAD.key, "--at", "2026-07-21T16:00:00Z"),
    "replay": ("replay", LOAD.key, "--day", DAY.key),
}


@pytest.mark.parametrize("part", ["metadata", "manifest list", "manifest", "data"])
def test_a_damaged_file_is_one_sentence_with_file_and_remedy_from_every_command_at_once(
    aurum: Aurum, filled: Resources, part: str
) -> None:
    path = files_of(filled, TABLE)[part]
    # Not cut short: the Avro reader may find what is missing in the memory of this very process.
    path.write_bytes(path.read_bytes()[:-100] + bytes(100))
    reading = COMMANDS.keys() - ({"status", "quick"} if part == "data" else set())
    for name in sorted(reading):
        forget(filled)
        began = time.monotonic()
        result = aurum(*COMMANDS[name], AURUM_HOME=str(filled.root))
        assert time.monotonic() - began < 8, name
        assert result.exit_code == 1, (name, result.output)
        assert path.name in result.output, name
        assert "aurum replay --all --rebuild makes the lake anew" in result.output, name
        assert "Traceback" not in result.output


def test_a_damaged_file_is_not_waited_for_by_a_writer(desk: Desk, filled: Resources) -> None:
    path = files_of(filled, TABLE)["metadata"]
    path.write_bytes(path.read_bytes().replace(b'"schemas"', b'"schemes"'))
    began = time.monotonic()
    with pytest.raises(LakeDamaged, match=path.name):
        desk.bring(LOAD, objects_body(filled).replace(b"10001", b"10009"))
    assert time.monotonic() - began < 5


CATALOGS: dict[str, Callable[[Path], object]] = {
    "0 bytes": lambda p: p.write_bytes(b""),
    "garbage": lambda p: p.write_bytes(b"garbage " * 512),
    "gone": lambda p: p.unlink(),
}


@pytest.mark.parametrize("kind", CATALOGS)
def test_a_damaged_catalog_is_one_sentence_and_no_new_one_is_begun(
    filled: Resources, kind: str
) -> None:
    home = forget(filled)
    CATALOGS[kind](home.root / "lake" / "catalog.sqlite")
    for ask in (lambda: ingest.status(home, (LOAD,)), lambda: ingest.normalize(home, LOAD, DAY)):
        with pytest.raises(LakeDamaged, match=r"catalog\.sqlite.*aurum replay --all --rebuild"):
            ask()
    (finding,) = (f for f in ingest.examine(home) if f.part == "catalog")
    assert (finding.state, "catalog.sqlite" in finding.result) == ("broken", True)
    assert "aurum replay --all --rebuild" in finding.remedy


def test_rebuild_makes_the_lake_anew_keeps_the_old_one_and_verifies(
    aurum: Aurum, resources: Resources
) -> None:
    fill(resources)
    before = held(resources)
    resources = forget(resources)
    (resources.root / "lake" / "catalog.sqlite").write_bytes(b"garbage " * 512)
    environment = {"AURUM_HOME": str(resources.root)}
    result = aurum("replay", "--all", "--rebuild", "--json", **environment)
    assert result.exit_code == 0, result.output
    document = printed(result)
    assert document["rebuilt"] == {"days": 3, "rows": 6, "failed": 0, "verified": 3}
    (kept,) = resources.root.glob("lake-aside-*")
    assert document["kept"] == [f"the lake as it was is in {kept}"]
    assert (kept / "catalog.sqlite").read_bytes().startswith(b"garbage")
    after = held(remade(resources))
    assert all(after[name].equals(rows) for name, rows in before.items())
    assert len(after["reference.iso_nodes"]) == 2
    one = aurum("replay", LOAD.key, "--all", "--rebuild", **environment)
    assert one.exit_code == 0, one.output
    assert "KEPT market.isone_system_load: its files are in" in one.output
    again = held(remade(resources))
    assert all(again[name].equals(rows) for name, rows in before.items())


@pytest.mark.parametrize(
    "arguments",
    [("replay",), ("replay", LOAD.key, "--rebuild"), ("verify", LOAD.key, "--dataset", LMP.key)],
)
def test_half_a_question_is_wrong_use(aurum: Aurum, arguments: tuple[str, ...]) -> None:
    assert aurum(*arguments).exit_code == 2


@pytest.mark.usefixtures("empty_home")
def test_the_tables_of_a_configured_catalog_are_dropped_only_with_yes(
    aurum: Aurum, postgres_url: str, tmp_path: Path
) -> None:
    environment = {
        "AURUM_CATALOG_URI": postgres_url,
        "AURUM_CATALOG_WAREHOUSE": f"file://{tmp_path}/w",
    }
    refused = aurum("replay", "--all", "--rebuild", **environment)
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert aurum("replay", "--all", "--rebuild", "--yes", **environment).exit_code == 0


# --- true sentences ------------------------------------------------------------------------------


class Failing:
    """A SQLite catalog whose every statement fails with SQLite's own message."""

    def __init__(self, text: str) -> None:
        self._text = text

    def load_table(self, *_: object) -> Any:  # noqa: ANN401  as pyiceberg has it
        from sqlalchemy.exc import OperationalError

        statement = "select"
        raise OperationalError(statement, None, sqlite3.OperationalError(self._text))

    def commit_table(self, *_: object) -> None:
        """As pyiceberg has it."""


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("disk I/O error", LakeUnreachable, "the disk of .* cannot be read or written"),
        ("attempt to write a readonly database", ConfigError, "cannot be opened or written"),
        ("unable to open database file", ConfigError, "cannot be opened or written"),
        ("database disk image is malformed", LakeDamaged, "is damaged .*--rebuild"),
    ],
)
def test_what_sqlite_says_is_told_truly_and_at_once(
    text: str, kind: type[AurumError], sentence: str
) -> None:
    failing: Any = Failing(text)  # all of a catalog that is asked
    lake = Lake({"type": "sql", "uri": "sqlite:////home/lake/catalog.sqlite"}, catalog=failing)
    began = time.monotonic()
    with pytest.raises(kind, match=sentence) as raised:
        lake.read(TABLE)
    assert text in str(raised.value)
    assert "/home/lake/catalog.sqlite" in str(raised.value)
    assert time.monotonic() - began < 1


def test_a_home_that_cannot_be_written_is_one_sentence(filled: Resources) -> None:
    shutil.rmtree(filled.root / "locks")
    (filled.root / "locks").write_text("no folder")
    with pytest.raises(ConfigError, match=r"cannot be written .*set AURUM_HOME"):
        ingest.replay(filled, LOAD, DAY)


@pytest.mark.parametrize("name", ["per%41cent", "what? #1"])
def test_a_home_may_have_any_name(resources: Resources, tmp_path: Path, name: str) -> None:
    own = remade(resources, root=tmp_path / name)
    fill(own, observed=False)
    with contextlib.closing(sqlite3.connect(own.root / "lake" / "catalog.sqlite")) as db:
        assert db.execute("select count(*) from iceberg_tables").fetchone()[0] >= 4
    assert list((own.root / "lake" / "warehouse").rglob("*.parquet"))
    assert verified(forget(own))[0].rows == 2
    with ingest.query(own, "select count(*) from isone_system_load") as rows:
        assert rows.read_all().column(0).to_pylist() == [4]
    assert own.lake.counts(QUARANTINE, PARTITION | {"dataset": LMP.key})[0] == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", ['<?xml version="1.0"?><a/>', '{"a": 1}'], ids=["xml", "json"])
def test_utf_16_is_called_by_its_name(desk: Desk, text: str, encoding: str) -> None:
    taken = desk.take(LOAD, text.encode(encoding))
    assert taken.outcome == "rejected"
    assert f"the bytes are text in {encoding[:6].upper()}" in taken.reason
