"""No exception of one snapshot stops another: it rejects the snapshot, with its reason."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from aurum_assets import ingest
from aurum_assets.cli import main
from aurum_assets.ingest.rejecting import named, one_day, rejecting
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import LakeBusy, MalformedPayload, Unexpected
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Rule, Table
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.lake import Lake, Stored
from aurum_assets.simulator.isone.load import load_records
from aurum_assets_tests.conftest import Desk
from aurum_assets_tests.made import WatchedLake

CTS, LOAD = MISO_CTS, ISONE_SYSTEM_LOAD
DAYS = ("2026-07-18", "2026-07-19", "2026-07-20")
HOSTILE = 13_579.25  # a load that a parser stumbles over


def load_body(key: str, intervals: range = range(100, 103), load: float | None = None) -> bytes:
    records = load_records(LOAD.day(key), intervals)
    if load is not None:
        records[0]["LoadMw"] = load
    return json.dumps({"FiveMinSystemLoads": {"FiveMinSystemLoad": records}}).encode()


def panic() -> None:
    """A Rust panic, as polars raises it: no ``Exception``."""
    msg = "index out of bounds"
    raise pl.exceptions.PanicException(msg)


def overflow() -> None:
    dt.datetime.max.replace(tzinfo=dt.UTC).astimezone(dt.timezone(dt.timedelta(hours=5)))


def recurse() -> None:
    recurse()


def unknown_column() -> None:
    pl.DataFrame({"a": [1]}).select("b")


FAILURES: list[tuple[str, Callable[[], object]]] = [
    ("PanicException", panic),
    ("OverflowError", overflow),
    ("RecursionError", recurse),
    ("ColumnNotFoundError", unknown_column),
]
every_failure = pytest.mark.parametrize(("name", "fail"), FAILURES, ids=[n for n, _ in FAILURES])


def stumbling(fail: Callable[[], object]) -> Dataset:
    """System load, whose parser fails at one load."""
    live = LOAD.dialect("live")

    def parse(records: pl.DataFrame) -> pl.DataFrame:
        if HOSTILE in records["LoadMw"].to_list():
            fail()
        return live.parse(records)

    return replace(LOAD, dialects=tuple(replace(d, parse=parse) for d in LOAD.dialects))


@every_failure
def test_what_a_parser_raises_rejects_its_snapshot_and_the_day_goes_on(
    desk: Desk, name: str, fail: Callable[[], object]
) -> None:
    dataset = stumbling(fail)
    bad = desk.bring(dataset, load_body(DAYS[0], load=HOSTILE))
    assert [name in reason for reason in bad.done.rejected] == [True]
    assert not bad.verdicts["contract"].passed
    assert name in bad.verdicts["contract"].reason
    (rejection,) = desk.resources.archive.rejections(LOAD.key)
    assert name in rejection.reason
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    good = desk.bring(dataset, load_body(DAYS[0]))
    assert len(desk.rows(dataset)) == 3, "the day still accepts a good answer"
    assert good.done.rejected == []
    again = ingest.replay(desk.resources, dataset, dataset.day(DAYS[0]))
    assert again.merged.snapshot_id is None
    assert len(again.rejected) == 1


def test_the_log_has_the_traceback_of_what_nobody_expected(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.bring(stumbling(unknown_column), load_body(DAYS[0], load=HOSTILE))
    output = caplog.text
    assert "Traceback" in output
    assert "unknown_column" in output


def test_a_parser_that_gives_a_column_of_another_type_is_a_rejection_that_names_it(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    def parse(records: pl.DataFrame) -> pl.DataFrame:
        return LOAD.dialect("live").parse(records).with_columns(load=pl.lit("much"))

    dataset = replace(LOAD, dialects=tuple(replace(d, parse=parse) for d in LOAD.dialects))
    brought = desk.bring(dataset, load_body(DAYS[0]))
    assert "load should be Float64, the parser gave String" in brought.done.rejected[0]
    assert "Traceback" in caplog.text


@every_failure
def test_what_reading_the_day_raises_rejects_the_answer_before_it_is_archived(
    desk: Desk, name: str, fail: Callable[[], object]
) -> None:
    def days(records: list[object], header: object) -> list[str]:
        del records, header
        fail()
        return []

    dataset = replace(LOAD, dialects=tuple(replace(d, days=days) for d in LOAD.dialects))
    archived = desk.take(dataset, load_body(DAYS[0]))
    assert archived.outcome == "rejected"
    assert name in archived.reason


# --- what cannot be written ----------------------------------------------------------------------


def cts_body(approved: str, *, case: str = "8:04:09 AM") -> bytes:
    """A case of the day with that approval, beside a good one."""
    records = [
        {"CASEAPPROVALDATE": at, "SOLUTIONTIME": "2026-07-20 8:15:00 AM", "PJMFORECASTEDLMP": "45"}
        for at in (approved, f"2026-07-20 {case}")
    ]
    return json.dumps({"RefId": "20-Jul-2026 - Interval 08:00 EST", "Interval": records}).encode()


class Unruled(Table):
    """A table that lets everything in."""

    def all_rules(self, *_: object) -> tuple[Rule, ...]:
        """None."""
        return (Rule("anything_goes", pl.lit(True), ()),)


def unwritable() -> Dataset:
    """CTS as its table was without any rule on its stamps."""
    ours = {f.name: getattr(CTS.table, f.name) for f in fields(CTS.table)}
    return replace(CTS, table=Unruled(**ours))


@pytest.mark.parametrize("approved", ["9999-12-31 11:59:00 PM", "0000-01-01 1:00:00 AM"])
def test_an_instant_beyond_the_calendar_rejects_its_snapshot_alone(
    desk: Desk, approved: str
) -> None:
    dataset = unwritable()
    bad = desk.bring(dataset, cts_body(approved))
    (reason,) = bad.done.rejected
    assert "published_at holds an instant beyond the years 1 to 9999" in reason
    assert not bad.verdicts["contract"].passed
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    good = desk.bring(dataset, cts_body("2026-07-20 8:19:00 AM"))
    assert good.done.rejected == []
    assert len(desk.rows(dataset)) == 2
    again = ingest.replay(desk.resources, dataset, dataset.day("2026-07-20"))
    assert again.merged.snapshot_id is None
    assert len(again.rejected) == 1
    assert len(desk.rows(dataset)) == 2


def test_a_stamp_of_the_year_9999_stops_no_day(desk: Desk) -> None:
    desk.bring(CTS, cts_body("9999-12-31 11:59:00 PM"))
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    desk.bring(CTS, cts_body("2026-07-20 8:19:00 AM"))
    assert len(desk.rows(CTS)) == 2


class UnwritableLake(WatchedLake):
    """A lake of which no file can hold one load: what writes it raises, wherever it goes."""

    def before(self, table: Table, frame: pl.DataFrame) -> None:
        del table
        if "load" in frame.columns and HOSTILE in frame["load"].to_list():
            msg = "no file can hold it"
            raise ArithmeticError(msg)

    def write_nowhere(self, table: Table, frame: pl.DataFrame) -> None:
        self.before(table, frame)
        super().write_nowhere(table, frame)


def test_rows_that_cannot_be_written_reject_their_snapshot_alone(desk: Desk) -> None:
    """With what was kept out of it: its bytes are kept whole, under ``rejected/``."""
    desk.resources.lake = UnwritableLake.local(desk.resources.root / "lake")  # a cached property
    records = load_records(LOAD.day(DAYS[0]), range(100, 103))
    records[0]["LoadMw"], records[1]["LoadMw"] = HOSTILE, -1
    tree = {"FiveMinSystemLoads": {"FiveMinSystemLoad": records}}
    bad = desk.bring(LOAD, json.dumps(tree).encode())
    (reason,) = bad.done.rejected
    assert (
        reason == "isone_system_load: writing its rows failed: ArithmeticError: no file can hold it"
    )
    assert not bad.verdicts["contract"].passed
    assert [r.reason for r in desk.resources.archive.rejections(LOAD.key)] == [reason]
    assert desk.resources.lake.read(QUARANTINE).is_empty()
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    good = desk.bring(LOAD, load_body(DAYS[0]))
    assert (good.done.merged.new, good.done.rejected) == (3, [])
    again = ingest.replay(desk.resources, LOAD, LOAD.day(DAYS[0]))
    assert again.rejected == [reason]
    assert len(desk.rows(LOAD)) == 3


def test_what_can_be_written_leaves_no_trace_where_it_is_tried(desk: Desk) -> None:
    desk.bring(LOAD, load_body(DAYS[0]))
    rows = desk.rows(LOAD)
    warehouse = sorted((desk.resources.root / "lake").rglob("*.parquet"))
    desk.resources.lake.write_nowhere(LOAD.table, rows)
    assert sorted((desk.resources.root / "lake").rglob("*.parquet")) == warehouse
    late = rows.with_columns(pl.col("interval_end").dt.offset_by("7990y"))
    with pytest.raises(OverflowError):
        desk.resources.lake.write_nowhere(LOAD.table, late)


# --- other days and files go on ------------------------------------------------------------------


class FailingLake(WatchedLake):
    """A lake that fails at one day, in a way that nobody thought of."""

    def stored(self, table: Table, partition: Mapping[str, Any]) -> Stored:
        found = super().stored(table, partition)
        self.before(table, found.rows)
        return found

    def before(self, table: Table, frame: pl.DataFrame) -> None:
        if table.name == LOAD.table.name and DAYS[1] in map(str, frame["operating_day"]):
            msg = "nobody thought of this"
            raise RuntimeError(msg)


@pytest.fixture
def failing(desk: Desk) -> Desk:
    desk.resources.lake = FailingLake.local(desk.resources.root / "lake")  # a cached property
    return desk


def test_a_failure_that_no_snapshot_causes_rejects_none(failing: Desk) -> None:
    failing.take(LOAD, load_body(DAYS[1]))
    with pytest.raises(RuntimeError, match="nobody thought of this"):
        ingest.normalize(failing.resources, LOAD, LOAD.day(DAYS[1]))
    assert list(failing.resources.archive.rejections(LOAD.key)) == []


def test_a_day_that_fails_is_named_and_the_others_are_normalized(failing: Desk) -> None:
    for key in DAYS:
        failing.take(LOAD, load_body(key))
    outcomes = dict(ingest.normalize_each(failing.resources, LOAD, DAYS, LOAD.day(DAYS[0])))
    failed = outcomes[LOAD.day(DAYS[1])]
    assert isinstance(failed, Unexpected)
    assert str(failed).startswith(f"isone_system_load {DAYS[1]}: RuntimeError: nobody thought")
    assert {str(d) for d in failing.rows(LOAD)["operating_day"]} == {DAYS[0], DAYS[2]}


def test_load_takes_the_other_days_and_says_which_one_failed(failing: Desk, tmp_path: Path) -> None:
    files = [tmp_path / f"{key}.json" for key in DAYS]
    for file, key in zip(files, DAYS, strict=True):
        file.write_bytes(load_body(key))
    done = ingest.load(failing.resources, LOAD, files, fetched_at=failing.clock())
    assert list(done.failed) == [DAYS[1]]
    assert "nobody thought of this" in done.failed[DAYS[1]]
    assert [d.day.key for d in done.days] == [DAYS[0], DAYS[2]]


def test_replay_of_a_day_that_fails_is_one_of_our_errors(failing: Desk) -> None:
    failing.take(LOAD, load_body(DAYS[1]))
    with pytest.raises(Unexpected, match="RuntimeError: nobody thought of this"):
        ingest.replay(failing.resources, LOAD, LOAD.day(DAYS[1]))


def test_requeue_says_which_day_fails_and_reads_the_others(failing: Desk) -> None:
    for key in DAYS:
        records = load_records(LOAD.day(key), range(100, 103))
        records[0]["LoadMw"] = -1
        body = {"FiveMinSystemLoads": {"FiveMinSystemLoad": records}}
        failing.take(LOAD, json.dumps(body).encode())
    failing.resources.lake = Lake.local(failing.resources.root / "lake")
    list(ingest.normalize_each(failing.resources, LOAD, DAYS, LOAD.day(DAYS[0])))
    failing.resources.lake = FailingLake.local(failing.resources.root / "lake")
    done = ingest.requeue(failing.resources, LOAD)
    assert [r.day for r in done] == list(DAYS)
    assert [bool(r.failed) for r in done] == [False, True, False]


def test_a_dry_run_of_requeue_tells_what_a_parser_raises(desk: Desk) -> None:
    dataset = stumbling(unknown_column)
    desk.bring(dataset, load_body(DAYS[0], load=HOSTILE))
    (done,) = ingest.requeue(desk.resources, dataset, dry_run=True)
    assert done.rejected_after == 1
    assert "ColumnNotFoundError" in done.reasons[0]


def test_the_command_line_loads_and_replays_the_days_beside_a_hostile_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURUM_HOME", str(tmp_path / "home"))
    hostile, good = tmp_path / "hostile.json", tmp_path / "good.json"
    hostile.write_bytes(cts_body("9999-12-31 11:59:00 PM"))
    good.write_bytes(cts_body("2026-07-20 8:19:00 AM").replace(b"2026-07-20", b"2026-07-19"))
    good.write_bytes(good.read_bytes().replace(b"20-Jul", b"19-Jul"))
    at = "2026-07-20T18:00:00+00:00"
    command = ["load", "--dataset", "miso_cts", "--fetched-at", at, "--json"]
    loaded = CliRunner().invoke(main, [*command, str(hostile), str(good)])
    assert loaded.exit_code == 3, loaded.output
    assert json.loads(loaded.stdout)["stored"] >= 2
    replayed = CliRunner().invoke(main, ["replay", "miso_cts", "--all", "--json"])
    assert replayed.exit_code == 0, replayed.output
    assert [r["day"] for r in json.loads(replayed.stdout)["replayed"]] == [
        "2026-07-19",
        "2026-07-20",
    ]


# --- the boundary itself --------------------------------------------------------------------------


def test_what_is_not_the_bytes_fault_goes_through() -> None:
    for error in (LakeBusy("busy"), MalformedPayload("bad"), OSError("disk"), MemoryError()):
        with pytest.raises(type(error)), rejecting(LOAD, "it"):
            raise error
    for ends in (KeyboardInterrupt(), SystemExit(1)):
        with pytest.raises(type(ends)), rejecting(LOAD, "it"), one_day(LOAD, DAYS[0]):
            raise ends


def test_an_error_is_named_by_its_type_and_its_first_line() -> None:
    assert named(ValueError("one\ntwo")) == "ValueError: one"
    assert named(RecursionError()) == "RecursionError"
