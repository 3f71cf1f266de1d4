"""Requeue: what a corrected rule or parser lets pass enters; the rest stays out and says why."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from aurum_assets import ingest
from aurum_assets.cli import main
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.table import Rule
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.archive import Rejection
from aurum_assets.simulator.isone.load import load_records
from aurum_assets.simulator.isone.payloads import render, wrapped
from aurum_assets_tests.conftest import NOON, Desk, utc
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import recording

LOAD, LMP = ISONE_SYSTEM_LOAD, ISONE_RT_LMP
DAY, OTHER = "2026-07-20", "2026-07-19"
BODY = recording("isone_rt_lmp", "live", "ordinary").body


def payload(day: str, intervals: range = range(12)) -> bytes:
    records = load_records(LOAD.day(day), list(intervals))
    return render(wrapped("FiveMinSystemLoads", "FiveMinSystemLoad", records), "json")


def with_rule(dataset: Dataset, name: str, holds: pl.Expr, shows: str) -> Dataset:
    """The dataset with one rule more: one that nobody should have written."""
    rules = (*dataset.table.rules, Rule(name, holds, (shows,)))
    return replace(dataset, table=replace(dataset.table, rules=rules))


def with_path(dataset: Dataset, *path: str) -> Dataset:
    """The dataset with a parser that looks for its records where they are not."""
    return replace(dataset, dialects=tuple(replace(d, path=path) for d in dataset.dialects))


def refusing(dataset: Dataset) -> Dataset:
    """The dataset with a parser that refuses every snapshot as a whole."""
    rules = {"it_is_liked": lambda *_: "nobody likes it"}
    return replace(
        dataset, dialects=tuple(replace(d, snapshot_rules=rules) for d in dataset.dialects)
    )


TOO_STRICT = with_rule(LOAD, "load_is_odd", pl.lit(value=False), "load")


def quarantined(desk: Desk) -> int:
    return len(desk.resources.lake.read(QUARANTINE))


def rejections(desk: Desk, dataset: Dataset) -> int:
    return len(list(desk.resources.archive.rejections(dataset.key)))


def files(desk: Desk) -> dict[Path, bytes]:
    """Everything that archive and lake hold."""
    found = [p for part in ("archive", "lake") for p in (desk.resources.root / part).rglob("*")]
    return {p: p.read_bytes() for p in found if p.is_file() and p.suffix != ".lock"}


# --- quarantined records -------------------------------------------------------------------------


def test_what_passes_after_a_rule_was_corrected_enters_and_leaves_nothing_behind(
    desk: Desk,
) -> None:
    desk.bring(TOO_STRICT, payload(DAY))
    assert (len(desk.rows(LOAD)), quarantined(desk)) == (0, 12)
    (done,) = ingest.requeue(desk.resources, LOAD)
    assert (done.day, done.quarantined_before, done.quarantined_after) == (DAY, 12, 0)
    assert (done.entered, done.rows, done.reasons) == (12, 12, ())
    assert not done.left
    assert (len(desk.rows(LOAD)), quarantined(desk)) == (12, 0)
    assert ingest.requeue(desk.resources, LOAD) == []


def test_what_still_breaks_a_rule_stays_out_with_its_reason(desk: Desk) -> None:
    records = json.loads(BODY)
    records["FiveMinLmps"]["FiveMinLmp"][0]["LmpTotal"] += 1
    strict = with_rule(LMP, "lmp_is_negative", pl.col("lmp") < -999, "lmp")
    rows = len(desk.bring(LMP, BODY).done.rows)
    held = desk.rows(LMP)
    desk.resources.lake.replace(
        LMP.table, LMP.table.empty(), {"operating_day": held["operating_day"][0]}
    )
    desk.clock.set(utc("2026-07-21T16:05:00Z"))
    desk.bring(strict, json.dumps(records).encode(), force=True)
    before = quarantined(desk)
    (done,) = ingest.requeue(desk.resources, LMP)
    assert (done.quarantined_before, done.quarantined_after) == (before, 1)
    assert done.entered == before - 1
    assert done.left
    assert "lmp_is_the_sum_of_its_parts" in done.reasons[0]
    assert len(desk.rows(LMP)) == rows, "the good value of the broken record's key stays"


def test_what_is_requeued_is_what_a_clean_run_would_have_left(desk: Desk, tmp_path: Path) -> None:
    desk.bring(TOO_STRICT, payload(DAY))
    ingest.requeue(desk.resources, LOAD)
    clean = Desk(remade(desk.resources, root=tmp_path / "clean"), desk.clock)
    clean.bring(LOAD, payload(DAY))
    assert desk.rows(LOAD).equals(clean.rows(LOAD))


def test_days_are_reported_one_by_one_and_one_can_be_chosen(desk: Desk) -> None:
    for day in (OTHER, DAY):
        desk.bring(TOO_STRICT, payload(day))
    chosen = ingest.requeue(desk.resources, LOAD, day=LOAD.day(DAY))
    assert [r.day for r in chosen] == [DAY]
    assert quarantined(desk) == 12
    assert [r.day for r in ingest.requeue(desk.resources, LOAD)] == [OTHER]
    assert quarantined(desk) == 0


def test_other_datasets_are_left_alone(desk: Desk) -> None:
    desk.bring(TOO_STRICT, payload(DAY))
    assert ingest.requeue(desk.resources, LMP) == []
    assert quarantined(desk) == 12


def test_a_day_whose_bytes_are_lost_says_so_and_does_not_hold_up_others(desk: Desk) -> None:
    for day in (OTHER, DAY):
        desk.bring(TOO_STRICT, payload(day))
    for path in (desk.resources.root / "archive").rglob("day=19/*.json.gz"):
        path.unlink()
    lost, good = ingest.requeue(desk.resources, LOAD)
    assert (lost.day, lost.quarantined_after, lost.left) == (OTHER, 12, True)
    assert "the archive lacks" in lost.failed
    assert (good.day, good.left) == (DAY, False)


# --- rejected snapshots --------------------------------------------------------------------------


def test_a_snapshot_that_was_rejected_whole_enters_once_it_can_be_read(desk: Desk) -> None:
    desk.bring(refusing(LOAD), payload(DAY))
    assert (len(desk.rows(LOAD)), rejections(desk, LOAD)) == (0, 1)
    (still,) = ingest.requeue(desk.resources, refusing(LOAD))
    assert (still.rejected_before, still.rejected_after, still.left) == (1, 1, True)
    assert "nobody likes it" in still.reasons[0]
    assert rejections(desk, LOAD) == 1
    (done,) = ingest.requeue(desk.resources, LOAD)
    assert (done.day, done.rejected_before, done.rejected_after) == (DAY, 1, 0)
    assert (done.rows, done.left) == (12, False)
    assert rejections(desk, LOAD) == 0
    assert ingest.requeue(desk.resources, LOAD) == []


def test_bytes_that_were_never_archived_are_taken_in_with_the_instant_of_their_fetch(
    live_desk: Desk,
) -> None:
    """The envelope is as if it had been readable at once: finality, day asked for, filters."""
    desk, fetched = live_desk, utc("2026-07-20T16:00:00Z")
    taken = desk.take(
        with_path(LMP, "Elsewhere"),
        BODY,
        endpoint="fiveminutelmp_final_hour",
        at=fetched,
        finality="final",
        asked=DAY,
        filters={"hour": "12"},
    )
    assert taken.outcome == "rejected"
    assert desk.resources.archive.days(LMP.archive_name) == []
    (done,) = ingest.requeue(desk.resources, LMP)
    assert (done.rejected_before, done.rejected_after, done.left) == (1, 0, False)
    rows = desk.rows(LMP)
    assert len(rows) == done.rows > 0
    assert set(rows["fetched_at"]) == {fetched}
    assert set(rows["finality"]) == {"final"}
    (identifier,) = desk.resources.archive.identifiers(LMP.archive_name, done.day)
    envelope = desk.resources.archive.envelope(LMP.archive_name, done.day, identifier)
    assert (envelope.asked, dict(envelope.filters)) == (DAY, {"hour": "12"})
    assert rejections(desk, LMP) == 0
    assert ingest.requeue(desk.resources, LMP) == []


def test_the_rejected_bytes_themselves_are_never_removed(desk: Desk) -> None:
    desk.take(with_path(LOAD, "Elsewhere"), payload(DAY))
    before = files(desk)
    ingest.requeue(desk.resources, LOAD)
    after = files(desk)
    assert {p: after[p] for p in before if "rejected" in p.parts} == {
        p: body for p, body in before.items() if "rejected" in p.parts
    }


def test_bytes_that_nobody_can_read_stay_rejected_and_say_why(desk: Desk) -> None:
    desk.take(LOAD, b'{"error": "no data"}')
    (done,) = ingest.requeue(desk.resources, LOAD)
    assert (done.day, done.rejected_before, done.rejected_after, done.left) == ("", 1, 1, True)
    assert "no data" in done.reasons[0]
    assert rejections(desk, LOAD) == 1
    assert ingest.requeue(desk.resources, LOAD, day=LOAD.day(DAY)) == [], (
        "of no day that was asked for"
    )


def test_bytes_of_a_finality_that_nobody_wrote_down_are_not_guessed_at(desk: Desk) -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    desk.resources.archive.reject(
        Rejection(LMP.key, "prelim_hours", desk.clock(), digest, "cut"), BODY
    )
    (done,) = ingest.requeue(desk.resources, LMP)
    assert done.rejected_after == 1
    assert "--finality" in done.reasons[0]
    assert desk.rows(LMP).is_empty()
    assert rejections(desk, LMP) == 1


def test_bytes_that_are_placed_but_give_no_rows_are_archived_and_not_settled(desk: Desk) -> None:
    desk.take(with_path(LOAD, "Elsewhere"), payload(DAY))
    (done,) = ingest.requeue(desk.resources, refusing(LOAD))
    assert (done.day, done.rejected_after, done.left) == (DAY, 1, True)
    assert len(desk.resources.archive.identifiers(LOAD.archive_name, DAY)) == 1
    assert rejections(desk, LOAD) == 1
    (then,) = ingest.requeue(desk.resources, LOAD)
    assert (then.rows, then.left) == (12, False)


def test_a_kill_between_archive_and_table_is_completed_by_the_next_requeue(desk: Desk) -> None:
    body = payload(DAY)
    desk.take(with_path(LOAD, "Elsewhere"), body)
    desk.take(LOAD, body)  # as far as a killed requeue came
    (done,) = ingest.requeue(desk.resources, LOAD)
    assert (done.rows, done.left) == (12, False)
    assert len(desk.resources.archive.identifiers(LOAD.archive_name, DAY)) == 1
    assert rejections(desk, LOAD) == 0


def test_an_older_rejected_answer_does_not_replace_what_was_published_after_it(desk: Desk) -> None:
    old, new = payload(DAY), payload(DAY).replace(b'"LoadMw":1', b'"LoadMw":2')
    assert old != new
    desk.take(with_path(LOAD, "Elsewhere"), old, at=utc("2026-07-21T10:00:00Z"))
    desk.bring(LOAD, new, at=utc("2026-07-21T11:00:00Z"))
    corrected = desk.rows(LOAD)["load"].to_list()
    (done,) = ingest.requeue(desk.resources, LOAD)
    assert not done.left
    assert desk.rows(LOAD)["load"].to_list() == corrected


def test_what_is_rejected_anew_is_no_longer_settled(desk: Desk) -> None:
    desk.bring(refusing(LOAD), payload(DAY))
    ingest.requeue(desk.resources, LOAD)
    assert rejections(desk, LOAD) == 0
    ingest.replay(desk.resources, refusing(LOAD), LOAD.day(DAY), force=True)
    assert rejections(desk, LOAD) == 1


# --- a dry run, and the command ------------------------------------------------------------------


def test_a_dry_run_says_what_would_enter_and_writes_nothing(desk: Desk) -> None:
    desk.bring(TOO_STRICT, payload(DAY))
    desk.bring(refusing(LOAD), payload(OTHER))
    desk.take(with_path(LOAD, "Elsewhere"), payload("2026-07-18"))
    before = files(desk)
    done = {r.day: r for r in ingest.requeue(desk.resources, LOAD, dry_run=True)}
    assert files(desk) == before
    assert (done[DAY].quarantined_before, done[DAY].quarantined_after) == (12, 0)
    assert done[DAY].entered == 12
    assert (done[OTHER].rejected_before, done[OTHER].rejected_after) == (1, 0)
    assert (done["2026-07-18"].rejected_before, done["2026-07-18"].rejected_after) == (1, 0)
    still = {r.day: r for r in ingest.requeue(desk.resources, TOO_STRICT, dry_run=True)}
    assert (still[DAY].quarantined_after, still[DAY].left) == (12, True)


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_ends_with_0_where_nothing_is_left_and_with_3_where_something_fails(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    as_json: bool,  # noqa: FBT001  a table
) -> None:
    monkeypatch.setenv("AURUM_HOME", str(desk.resources.root))
    monkeypatch.setenv("AURUM_NOW", NOON.isoformat())
    desk.bring(TOO_STRICT, payload(DAY))
    options = ["--json"] if as_json else []
    runner = CliRunner()
    dry = runner.invoke(main, ["requeue", "--dry-run", *options])
    assert (dry.exit_code, quarantined(desk)) == (0, 12)
    done = runner.invoke(main, ["requeue", "--dataset", LOAD.key, "--day", DAY, *options])
    assert (done.exit_code, quarantined(desk)) == (0, 0)
    desk.take(LOAD, b'{"error": "no data"}')
    left = runner.invoke(main, ["requeue", *options])
    assert left.exit_code == 3
    assert "no data" in left.output
    if as_json:
        (entry,) = json.loads(done.output)["requeued"]
        assert (entry["entered"], entry["quarantined_before"]) == (12, 12)
    else:
        assert f"STILL OUT {LOAD.key}" in left.output


def test_a_wrong_day_is_wrong_use(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURUM_HOME", str(desk.resources.root))
    (desk.resources.root / "archive").mkdir(parents=True)
    done = CliRunner().invoke(main, ["requeue", "--day", "someday"])
    assert done.exit_code == 2
    assert "expected YYYY-MM-DD" in done.output


def test_a_day_that_fails_is_named_and_ends_with_1(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURUM_HOME", str(desk.resources.root))
    desk.bring(TOO_STRICT, payload(DAY))
    for path in (desk.resources.root / "archive").rglob("day=20/*.json.gz"):
        path.unlink()
    done = CliRunner().invoke(main, ["requeue"])
    assert done.exit_code == 1
    assert f"FAILED {LOAD.key} {DAY}: " in done.output
