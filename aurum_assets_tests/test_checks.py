"""Every check fails where it should and passes elsewhere, by itself and after ingest."""

import datetime as dt
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from aurum_assets import ingest
from aurum_assets.graph.translate import verdict_metadata
from aurum_assets.model.checks import CHECKS, Evidence, Verdict, Volume, checks_of, evaluate
from aurum_assets.model.clock import FIVE_MINUTES
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.drift import SCHEMA_RULE, Drift
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.vintage import has_vintages
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.isone import lmp as simulated
from aurum_assets.simulator.isone import load as simulated_load
from aurum_assets_tests.conftest import Brought, Desk, utc

LMP, LOAD, CTS = ISONE_RT_LMP, ISONE_SYSTEM_LOAD, MISO_CTS
CONFIG = load_config(PROJECT / "config", DATASETS).datasets
DAY = LMP.day("2026-07-20")
LATE = dt.timedelta(minutes=CONFIG[LMP.key].lateness_minutes)
AFTER = DAY.end + dt.timedelta(hours=6)


def rows(count: int | None = None) -> pl.DataFrame:
    """The day's LMP of one location: ``count`` intervals, all of them by default."""
    marks = DAY.marks(FIVE_MINUTES)[:count]
    height = len(marks)
    frame = pl.DataFrame(
        {
            "operating_day": [DAY.date] * height,
            "interval_start": marks,
            "interval_end": [m + FIVE_MINUTES for m in marks],
            "location_id": ["4000"] * height,
            "location_name": [".H.INTERNAL_HUB"] * height,
            "location_type": ["HUB"] * height,
            "lmp": [39.16] * height,
            "energy": [39.0] * height,
            "congestion": [0.0] * height,
            "loss": [0.16] * height,
            "finality": ["prelim"] * height,
            "source_timezone": ["America/New_York"] * height,
            "fetched_at": [DAY.end] * height,
            "raw_sha256": ["a" * 64] * height,
        },
        schema=LMP.table.schema,
    )
    return frame.select(LMP.table.names)


def evidence(frame: pl.DataFrame | None = None, **changes: Any) -> Evidence:  # noqa: ANN401  of any field
    frame = rows() if frame is None else frame
    found = Evidence(
        table=LMP.table,
        config=CONFIG[LMP.key],
        day=DAY,
        now=AFTER,
        rows=frame,
        intervals=frame.select("interval_start", "finality").unique().sort("interval_start"),
        quarantine=QUARANTINE.empty(),
        every=FIVE_MINUTES,
    )
    return replace(found, **changes)


def say(check: str, of: Evidence) -> Verdict:
    return next(v for v in evaluate(of) if v.check == check)


def quarantined(*rules: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "operating_day": DAY.date,
            "dataset": LMP.key,
            "received_hash": [f"{n:032d}" for n in range(len(rules))],
            "record": '{"a":1}',
            "rules": list(rules),
            "reason": [f"{r}: because" for r in rules],
            "fetched_at": DAY.end,
            "raw_sha256": "a" * 64,
        },
        schema_overrides=QUARANTINE.schema,
    ).select(QUARANTINE.names)


def test_a_whole_good_day_passes_every_check() -> None:
    for verdict in evaluate(evidence()):
        assert verdict.passed, verdict
        assert verdict.count == 0
        assert verdict.reason
    assert [v.check for v in evaluate(evidence())] == list(CHECKS)


def test_a_table_owes_the_checks_that_can_say_something_of_it() -> None:
    def silent(dataset: Dataset, **changes: Any) -> set[str]:  # noqa: ANN401  of any field
        return set(CHECKS) - set(checks_of(dataset.table, replace(CONFIG[dataset.key], **changes)))

    assert silent(LMP) == set()
    assert silent(CTS) == silent(ISONE_DA_LMP) == {"prelim_against_final"}
    assert silent(LOAD) == {"lmp_arithmetic", "price_bounds", "prelim_against_final"}
    assert silent(LMP, price_bounds=None) == {"price_bounds"}
    assert silent(LOAD, price_bounds=(0.0, 1.0)) == silent(LOAD), "it has no price"
    for doc, _ in CHECKS.values():
        assert doc.endswith(".")
        assert "\n" not in doc


# --- contract ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        lambda f: f.drop("loss"),
        lambda f: f.with_columns(extra=pl.lit(1)),
        lambda f: f.with_columns(pl.col("lmp").cast(pl.Float32)),
        lambda f: f.with_columns(interval_start=pl.col("interval_start").dt.cast_time_unit("ms")),
        lambda f: f.with_columns(location_id=pl.lit(None, pl.String())),
        lambda f: f.select(reversed(f.columns)),
        lambda f: pl.concat([f, f.head(1)]),
    ],
    ids=["column gone", "column added", "type", "unit", "null key", "order", "key twice"],
)
def test_contract_fires(broken: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    intervals = rows().select("interval_start", "finality")
    verdict = say("contract", evidence(rows(3)))
    assert verdict.passed
    with_broken = evidence(rows(3), rows=broken(rows(3)), intervals=intervals)
    verdict = CHECKS["contract"][1](with_broken)
    assert (verdict.passed, verdict.severity) == (False, "ERROR")
    assert verdict.count > 0
    assert verdict.sample


def test_contract_imports_no_library_for_rows_as_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandera.errors", None)
    assert say("contract", evidence(rows(3))).passed
    with pytest.raises(ImportError, match="pandera"):
        say("contract", evidence(rows(3), rows=rows(3).drop("loss")))


def test_contract_reports_what_was_kept_out_for_it() -> None:
    out = quarantined("key_is_said_once", "record_can_be_read", "lmp_is_the_sum_of_its_parts")
    verdict = say("contract", evidence(quarantine=out))
    assert (verdict.passed, verdict.count) == (False, 2)
    assert "2 records were quarantined: key_is_said_once: because" in verdict.reason
    assert {s["record"] for s in verdict.sample} == {'{"a":1}'}


# --- arithmetic, enums and ranges ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "change", "quiet"),
    [
        ("lmp_arithmetic", {"lmp": 39.171}, {"lmp": 39.17}),
        ("lmp_arithmetic", {"energy": None}, {"energy": None, "congestion": None, "loss": None}),
        ("enums_and_ranges", {"finality": "maybe"}, {"finality": "final"}),
        ("enums_and_ranges", {"lmp": float("inf")}, {"lmp": 39.15}),
    ],
)
def test_a_stored_row_that_breaks_a_rule_is_found(
    check: str, change: dict[str, Any], quiet: dict[str, Any]
) -> None:
    def changed(values: dict[str, Any]) -> Evidence:
        lits = [pl.lit(v, LMP.table.schema[n]).alias(n) for n, v in values.items()]
        return evidence(pl.concat([rows(2), rows(3).tail(1).with_columns(lits)]))

    verdict = say(check, changed(change))
    assert (verdict.passed, verdict.severity, verdict.count) == (False, "ERROR", 1)
    assert "1 stored rows break it" in verdict.reason
    assert say(check, changed(quiet)).passed


@pytest.mark.parametrize("check", ["contract", "lmp_arithmetic", "enums_and_ranges"])
def test_every_rule_is_reported_by_its_own_check_and_no_other(check: str) -> None:
    for rule, owner in LMP.table.rule_checks().items():
        verdict = say(check, evidence(quarantine=quarantined(rule)))
        assert verdict.passed is (owner != check), rule
        assert verdict.count == (owner == check)


def test_a_sample_is_short_and_a_count_is_whole() -> None:
    verdict = say("lmp_arithmetic", evidence(rows().with_columns(lmp=pl.lit(99.0))))
    assert verdict.count == 288
    assert len(verdict.sample) == 5


# --- completeness --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "day", "marks"),
    [
        (LMP, "2024-03-10", 276),
        (LMP, "2024-11-03", 300),
        (LMP, "2026-07-20", 288),
        (CTS, "2024-03-10", 288),
        (CTS, "2024-11-03", 288),
    ],
    ids=lambda v: getattr(v, "key", str(v)),
)
def test_completeness_counts_the_intervals_that_the_day_has(
    dataset: Dataset, day: str, marks: int
) -> None:
    whole = dataset.day(day)
    intervals = pl.DataFrame({"interval_start": whole.marks(FIVE_MINUTES)})
    frozen = evidence(day=whole, now=whole.end + dt.timedelta(days=1), intervals=intervals)
    verdict = say("completeness", frozen)
    assert verdict.reason == f"all {marks} due intervals are there"
    lacking = replace(frozen, intervals=intervals.with_row_index().filter(pl.col("index") != 20))
    verdict = say("completeness", lacking)
    assert (verdict.passed, verdict.severity, verdict.count) == (False, "WARN", 1)
    assert f"{whole.marks(FIVE_MINUTES)[20]:%F %R}Z" in verdict.reason


@pytest.mark.parametrize(
    ("day", "first"), [("2024-03-10", "03:00-04:00"), ("2024-11-03", "01:00-05:00")]
)
def test_completeness_misses_the_hour_around_the_change_of_clocks(day: str, first: str) -> None:
    whole = LMP.day(day)
    lost = utc(f"{day}T{first}")
    marks = [m for m in whole.marks(FIVE_MINUTES) if not lost <= m < lost + dt.timedelta(hours=1)]
    frozen = evidence(
        day=whole,
        now=whole.end + dt.timedelta(days=1),
        intervals=pl.DataFrame({"interval_start": marks}),
    )
    verdict = say("completeness", frozen)
    assert verdict.count == 12
    assert verdict.sample[0]["interval_start"] == lost.isoformat()


def test_only_intervals_that_are_due_can_be_missing() -> None:
    third = DAY.marks(FIVE_MINUTES)[2]
    due = third + FIVE_MINUTES + LATE
    two = evidence(rows(2), now=due - dt.timedelta(microseconds=1))
    assert say("completeness", two).reason == "all 2 due intervals are there"
    verdict = say("completeness", replace(two, now=due))
    gap = f"{third:%F %R}Z (prelim)"
    assert verdict.reason == f"1 of 3 due intervals are missing: {gap}"
    assert say("completeness", evidence(rows(0), now=DAY.start)).skipped


def test_a_day_of_which_nothing_is_due_yet_is_complete_once_something_is_there() -> None:
    """A list of locations is due when its day is over, and no run looks at it then."""
    early = say("completeness", evidence(rows(1), now=DAY.start))
    assert (early.passed, early.skipped, early.reason) == (True, False, "no interval is due yet")
    assert say("completeness", evidence(rows(0), now=DAY.start)).skipped


def test_prelim_and_final_are_complete_each_for_itself() -> None:
    both = pl.concat([rows(), rows(100).with_columns(finality=pl.lit("final"))])
    verdict = say("completeness", evidence(both))
    assert verdict.count == 188
    assert {s["of"] for s in verdict.sample} == {"final"}


def test_a_stamp_a_second_past_the_mark_stands_for_its_interval() -> None:
    late = rows().select(
        pl.col("interval_start") + pl.duration(seconds=2), finality=pl.lit("prelim")
    )
    assert say("completeness", evidence(intervals=late)).passed


def test_a_day_without_a_row_misses_all_that_is_due() -> None:
    assert say("completeness", evidence(rows(0))).count == 288


def test_gaps_are_named_by_their_ends_the_first_five_of_them() -> None:
    frame = rows()
    cut = {3, 4, 5, 20, 40, 41, 60, 80, 100, 101}
    kept = frame.with_row_index().filter(~pl.col("index").is_in(list(cut))).drop("index")
    verdict = say("completeness", evidence(kept))
    marks = [m.isoformat() for m in DAY.marks(FIVE_MINUTES)]
    assert verdict.count == verdict.numbers["missing_intervals"] == 10
    assert verdict.numbers["due_intervals"] == 288
    assert [(g["interval_start"], g["last"], g["intervals"]) for g in verdict.sample] == [
        (marks[3], marks[5], 3),
        (marks[20], marks[20], 1),
        (marks[40], marks[41], 2),
        (marks[60], marks[60], 1),
        (marks[80], marks[80], 1),
    ]
    found = [f"{m:%F %R}Z" for m in DAY.marks(FIVE_MINUTES)]
    assert f"{found[3]} to {found[5]} (prelim), {found[20]} (prelim)" in verdict.reason
    assert verdict.reason.endswith(f"{found[80]} (prelim), and 1 gap more")
    assert found[100] not in verdict.reason


def test_completeness_draws_a_letter_an_hour_and_a_line_a_finality() -> None:
    now = DAY.start + dt.timedelta(hours=20)
    hours = rows(12 * 20).with_row_index().filter(~pl.col("index").is_in([13, *range(36, 48)]))
    prelim = hours.drop("index")
    final = rows(12 * 4).with_columns(finality=pl.lit("final"))
    drawn = say("completeness", evidence(pl.concat([prelim, final]), now=now)).strip.splitlines()
    assert drawn[0] == "prelim #+#.################____"
    assert drawn[1] == "final  ####................____"
    assert drawn[2].startswith("# there, + in part, . missing, _ not due yet")


def test_gaps_are_drawn_and_counted_in_the_metadata_of_the_check() -> None:
    metadata = verdict_metadata(say("completeness", evidence(rows(285))))
    assert metadata["missing_intervals"] == 3, "a number, which the UI plots over time"
    assert metadata["due_intervals"] == 288
    drawn = metadata["strip"].value
    assert drawn.startswith("```\nprelim " + "#" * 23 + "+\n")
    assert drawn.endswith("\n```")
    assert "strip" not in verdict_metadata(say("contract", evidence()))


@pytest.mark.parametrize(("day", "hours"), [("2024-03-10", 23), ("2024-11-03", 25)])
def test_a_day_is_drawn_with_the_hours_that_it_has(day: str, hours: int) -> None:
    whole = LMP.day(day)
    intervals = pl.DataFrame({"interval_start": whole.marks(FIVE_MINUTES)})
    frozen = evidence(day=whole, now=whole.end + dt.timedelta(days=1), intervals=intervals)
    assert say("completeness", frozen).strip.splitlines()[0] == "#" * hours


@pytest.mark.parametrize("count", [0, 100])
def test_a_gap_that_is_the_whole_day_is_named_as_such(count: int) -> None:
    """And a part of the day by its ends."""
    verdict = say("completeness", evidence(rows(count)))
    whole = "no interval of the day is there (288 due)"
    assert (verdict.reason == whole) is (count == 0)
    assert verdict.count == 288 - count


# --- nothing to judge ----------------------------------------------------------------------------


def of_nothing(dataset: Dataset, now: dt.datetime, **changes: Any) -> Evidence:  # noqa: ANN401  of any field
    """Evidence of a day of which neither table nor archive holds anything."""
    day = dataset.day("2026-07-20")
    frame = dataset.table.empty()
    names = [n for n in ("interval_start", "finality") if n in frame.columns]
    intervals = frame.select(names) if names[:1] == ["interval_start"] else NO_INTERVALS
    found = Evidence(
        table=dataset.table,
        config=CONFIG[dataset.key],
        day=day,
        now=now,
        rows=frame,
        intervals=intervals,
        quarantine=QUARANTINE.empty(),
        every=dataset.dialects[0].every,
    )
    return replace(found, **changes)


NO_INTERVALS = pl.DataFrame(schema={"interval_start": pl.Datetime("us", "UTC")})
OVERDUE = {"completeness": "no ", "freshness": "no interval is there ", "volume": "0 rows, -100.0%"}


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.key)
@pytest.mark.parametrize("hours", [-24, 0, 12, 24 + 12], ids=lambda h: f"{h} h after its start")
@pytest.mark.parametrize("beside", ["nothing", "earlier days", "cases"])
def test_no_check_passes_a_day_without_rows(dataset: Dataset, hours: int, beside: str) -> None:
    """It is skipped, or warns of what ought to be there."""
    day = dataset.day("2026-07-20")
    found = of_nothing(dataset, day.start + dt.timedelta(hours=hours))
    if beside == "earlier days":
        found = replace(found, volumes=tuple(Volume(day.plus(-n), 288) for n in range(5, 0, -1)))
    elif beside == "cases":
        found = replace(found, published=())
    for verdict in evaluate(found):
        if verdict.skipped:
            assert verdict.reason.startswith("nothing to judge: no "), verdict
            assert "20" in verdict.reason, "the day is named"
        else:
            assert (verdict.passed, verdict.severity) == (False, "WARN"), verdict
            assert verdict.reason.startswith(OVERDUE[verdict.check]), verdict


def test_what_is_overdue_of_a_day_without_rows_is_warned_of() -> None:
    def warned(now: dt.datetime) -> set[str]:
        before = tuple(Volume(DAY.plus(-n), 288) for n in range(5, 0, -1))
        text = evaluate(of_nothing(LMP, now, volumes=before))
        return {v.check for v in text if not v.passed}

    assert warned(DAY.start) == set()
    assert warned(DAY.start + dt.timedelta(hours=2)) == {"completeness", "freshness"}
    assert warned(AFTER) == {"completeness", "volume"}


def test_an_answer_without_a_record_leaves_what_the_checks_found_on_the_day() -> None:
    found = {v.check: v for v in evaluate(evidence(rows=rows(0), empty=("day?",)))}
    skipped = {name for name, v in found.items() if v.skipped}
    assert skipped == {"schema_drift", "price_bounds"}
    assert found["contract"].passed
    assert found["contract"].reason == (
        "no new row came; no record of the day is in quarantine for it"
    )
    assert found["price_bounds"].reason == "nothing to judge: no new row came"


def test_rows_without_a_price_lie_between_no_bounds() -> None:
    none = rows(3).with_columns(pl.lit(None, pl.Float64()).alias(p) for p in ("lmp", "energy"))
    verdict = say("price_bounds", evidence(none))
    assert (verdict.skipped, verdict.reason) == (True, "nothing to judge: no row has a price")


def test_what_was_kept_out_is_reported_though_no_row_was_stored() -> None:
    out = quarantined("key_is_said_once", SCHEMA_RULE)
    found = {v.check: v for v in evaluate(of_nothing(LMP, AFTER, quarantine=out))}
    assert [found[name].passed for name in ("contract", "schema_drift")] == [False, False]
    assert found["empty_answer"].passed
    assert not found["empty_answer"].skipped


# --- volume --------------------------------------------------------------------------------------


def volumes(day: str, rows_of_day: int, *earlier: int, finalities: int = 1) -> Evidence:
    """Evidence of a closed day of the load, and of as many days before it."""
    whole = LOAD.day(day)
    before = [whole.plus(-n) for n in range(len(earlier), 0, -1)]
    return evidence(
        table=LOAD.table,
        config=CONFIG[LOAD.key],
        day=whole,
        now=whole.end + dt.timedelta(days=1),
        volumes=(
            *(Volume(d, n) for d, n in zip(before, earlier, strict=True)),
            Volume(whole, rows_of_day, finalities),
        ),
    )


@pytest.mark.parametrize(
    ("day", "count", "earlier", "passes"),
    [
        ("2026-07-20", 288, [288] * 7, True),
        ("2026-07-20", 231, [288] * 7, True),
        ("2026-07-20", 230, [288] * 7, False),
        ("2026-07-20", 346, [288] * 7, False),
        ("2026-07-20", 144, [288] * 2, True),
        ("2026-07-20", 144, [288] * 3, False),
        ("2026-07-20", 288, [144, 288, 288, 288, 288, 10, 288], True),
        ("2026-07-20", 288, [1] * 20 + [288] * 7, True),
        ("2024-03-10", 221, [288] * 7, True),
        ("2024-03-10", 220, [288] * 7, False),
        ("2024-11-03", 360, [288] * 7, True),
        ("2024-11-03", 361, [288] * 7, False),
    ],
)
def test_volume_compares_a_closed_day_with_a_week_before_it(
    day: str,
    count: int,
    earlier: list[int],
    passes: bool,  # noqa: FBT001  a parameter of the case
) -> None:
    verdict = say("volume", volumes(day, count, *earlier))
    assert verdict.passed is passes, verdict.reason
    assert verdict.severity == "WARN"
    if not passes:
        assert verdict.numbers["rows"] == count
        assert f"{count:,} rows" in verdict.reason


def test_volume_of_an_open_day_or_without_history_says_so() -> None:
    closed = volumes("2026-07-20", 3, *[288] * 7)
    assert not say("volume", closed).passed
    still = replace(closed, now=closed.day.end)
    assert say("volume", still).reason == "the day is still open"
    assert say("volume", still).passed
    few = say("volume", volumes("2026-07-20", 3, 288, 288))
    assert few.passed
    assert few.reason == "2 earlier days are held, 3 are needed to compare with"


def test_volume_misses_a_day_that_holds_nothing() -> None:
    whole = volumes("2026-07-20", 0, *[288] * 7)
    verdict = say("volume", replace(whole, volumes=whole.volumes[:-1]))
    assert not verdict.passed
    assert "0 rows, -100.0%" in verdict.reason


def test_a_day_that_is_not_final_yet_is_compared_by_finality() -> None:
    whole = volumes("2026-07-20", 288, *[576] * 7)
    both = tuple(replace(v, finalities=2) for v in whole.volumes[:-1])
    assert not say("volume", whole).passed
    assert say("volume", replace(whole, volumes=(*both, whole.volumes[-1]))).passed


def test_a_day_that_is_published_ahead_is_closed_once_it_is_out() -> None:
    day = ISONE_DA_LMP.day("2026-07-22")
    out = evidence(config=CONFIG[ISONE_DA_LMP.key], day=day, now=day.start - dt.timedelta(hours=9))
    assert out.closed
    assert not replace(out, intervals=out.intervals.clear()).closed


def test_volume_reads_no_row_and_counts_what_the_lake_holds(desk: Desk) -> None:
    for number, key in enumerate(("2026-07-16", "2026-07-17", "2026-07-18", "2026-07-19")):
        day = LOAD.day(key)
        kept = range(288) if number < 3 else range(100)
        records = simulated_load.load_records(day, kept)
        body = json.dumps({"FiveMinSystemLoads": {"FiveMinSystemLoad": records}}).encode()
        brought = desk.bring(LOAD, body)
        assert brought.verdicts["volume"].passed is (number < 3)
    held = desk.resources.lake.volumes(LOAD.table, dt.date(2026, 7, 17), dt.date(2026, 7, 19))
    assert held == {
        dt.date(2026, 7, 17): (288, 1),
        dt.date(2026, 7, 18): (288, 1),
        dt.date(2026, 7, 19): (100, 1),
    }
    assert brought.verdicts["volume"].reason.startswith("100 rows, -65.3% against about 288 as 3 ")


# --- prelim against final ------------------------------------------------------------------------


def with_final(**final: pl.Expr) -> pl.DataFrame:
    return pl.concat([rows(), rows().with_columns(finality=pl.lit("final"), **final)])


def test_prelim_against_final_looks_once_there_are_both() -> None:
    check = "prelim_against_final"
    assert say(check, evidence()).reason == "no price has both finalities yet"
    same = say(check, evidence(with_final()))
    assert same.passed
    assert same.reason.startswith("288 prices have both finalities, 0 differ by more than 25")
    only_final = evidence(rows().with_columns(finality=pl.lit("final")))
    assert say(check, only_final).passed


def test_finals_that_lie_far_from_their_prelims_are_counted_and_shown() -> None:
    first, third = DAY.marks(FIVE_MINUTES)[0], DAY.marks(FIVE_MINUTES)[2]
    lmp = (
        pl.when(pl.col("interval_start") == third)
        .then(164.17)
        .when(pl.col("interval_start") == first)
        .then(64.16)
        .otherwise("lmp")
    )
    verdict = say("prelim_against_final", evidence(with_final(lmp=lmp)))
    assert (verdict.passed, verdict.severity, verdict.count) == (False, "WARN", 1)
    assert verdict.numbers == {"without_final": 0, "far_apart": 1, "greatest_difference": 125.01}
    assert verdict.sample[0]["interval_start"] == third
    assert (verdict.sample[0]["lmp"], verdict.sample[0]["lmp_final"]) == (39.16, 164.17)


def test_the_tolerance_between_finalities_is_inclusive_and_exact() -> None:
    def differing(by: float) -> Verdict:
        frame = with_final(lmp=pl.col("lmp") + by)
        config = replace(CONFIG[LMP.key], price_tolerance=0.01)
        return say("prelim_against_final", evidence(frame, config=config))

    assert differing(0.01).passed, "39.17 - 39.16 is a hair more than 0.01 in doubles"
    assert differing(0.02).count == 288


def test_a_prelim_without_its_final_is_named() -> None:
    lacking = pl.concat([rows(), rows().tail(285).with_columns(finality=pl.lit("final"))])
    verdict = say("prelim_against_final", evidence(lacking))
    assert (verdict.count, verdict.numbers["without_final"]) == (3, 3)
    assert "3 preliminary ones have no final one" in verdict.reason
    assert verdict.sample[0]["interval_start"] == DAY.start


def test_a_tick_of_a_day_with_both_finalities_compares_the_whole_day(desk: Desk) -> None:
    for finality in ("prelim", "final"):
        desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
        records = simulated.lmp_records(JULY, locations=1)
        if finality == "final":
            for part in ("LmpTotal", "EnergyComponent"):
                records[7][part] = round(records[7][part] + 100, 2)
        body = json.dumps({"FiveMinLmps": {"FiveMinLmp": records}}).encode()
        brought = desk.bring(LMP, body, finality=finality)
    verdict = brought.verdicts["prelim_against_final"]
    assert not brought.done.rebuilt
    assert verdict.count == 1
    assert verdict.numbers["greatest_difference"] == 100
    assert brought.verdicts["volume"].passed


# --- price bounds --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "price", "outside"),
    [
        ("lmp", 2000.0, False),
        ("lmp", 2000.01, True),
        ("lmp", -150.0, False),
        ("lmp", -150.01, True),
        ("energy", 2816.09, True),
        ("congestion", -400.0, False),
        ("loss", -400.0, False),
        ("lmp", None, False),
    ],
)
def test_a_price_outside_of_the_markets_bounds_is_a_warning_that_names_its_row(
    column: str,
    price: float | None,
    outside: bool,  # noqa: FBT001  a parameter of the case
) -> None:
    odd = pl.lit(price, pl.Float64()).alias(column)
    frame = pl.concat([rows(2), rows(3).tail(1).with_columns(odd)])
    verdict = say("price_bounds", evidence(frame))
    assert verdict.passed is not outside
    assert verdict.severity == "WARN"
    if outside:
        assert verdict.count == 1
        assert verdict.sample[0][column] == price
        assert verdict.sample[0]["interval_start"] == DAY.marks(FIVE_MINUTES)[2]
        assert f"{column}={price}" in verdict.reason


def test_a_price_outside_of_the_bounds_is_stored(desk: Desk) -> None:
    def at_the_peak(records: list[dict[str, Any]]) -> None:
        records[7].update(LmpTotal=2816.09, EnergyComponent=2816.09)
        records[7].update(CongestionComponent=0, LossComponent=0)

    brought = bring(desk, at_the_peak)
    assert failed(brought) == {"price_bounds": 1}
    assert len(desk.rows(LMP)) == 288


# --- drift, freshness, emptiness -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("drift", "severity"),
    [
        (("added",), "WARN"),
        (("vanished",), "ERROR"),
        (("renamed",), "ERROR"),
        (("retyped",), "ERROR"),
        (("rescaled",), "WARN"),
        (("number_as_text",), "WARN"),
        (("partial",), "ERROR"),
        (("null", "new_value"), "WARN"),
        (("added", "vanished"), "ERROR"),
    ],
)
def test_schema_drift_is_a_warning_or_an_error_by_its_kind(
    drift: tuple[str, ...], severity: str
) -> None:
    found = tuple(Drift(kind, "LossComponent", f"{kind} it is") for kind in drift)
    verdict = say("schema_drift", evidence(drift=found))
    assert (verdict.passed, verdict.severity, verdict.count) == (False, severity, len(drift))
    assert verdict.sample[0]["field"] == "LossComponent"


def test_schema_drift_tells_of_what_an_earlier_answer_was_kept_out_for() -> None:
    assert say("schema_drift", evidence()).passed
    out = quarantined(f"lmp_is_present,{SCHEMA_RULE}", SCHEMA_RULE, "key_is_said_once")
    verdict = say("schema_drift", evidence(quarantine=out))
    assert (verdict.passed, verdict.severity, verdict.count) == (False, "ERROR", 2)


def test_freshness_speaks_only_of_the_open_day() -> None:
    assert say("freshness", evidence(rows(1), now=AFTER)).passed
    assert say("freshness", evidence(rows(0), now=DAY.start - dt.timedelta(hours=1))).passed
    verdict = say("freshness", evidence(rows(1), now=DAY.start + dt.timedelta(hours=3)))
    assert (verdict.passed, verdict.severity) == (False, "WARN")
    assert "ended 175 min ago" in verdict.reason


def test_freshness_is_exact_to_the_microsecond() -> None:
    limit = DAY.start + FIVE_MINUTES + (FIVE_MINUTES + LATE)
    assert say("freshness", evidence(rows(1), now=limit)).passed
    assert not say("freshness", evidence(rows(1), now=limit + dt.timedelta(microseconds=1))).passed


def test_a_day_that_has_just_begun_is_not_stale() -> None:
    assert say("freshness", evidence(rows(0), now=DAY.start + dt.timedelta(minutes=9))).passed
    assert not say("freshness", evidence(rows(0), now=DAY.start + dt.timedelta(hours=1))).passed


VINTAGES = [dataset for dataset in DATASETS if has_vintages(dataset.table)]


@pytest.mark.parametrize("dataset", VINTAGES, ids=lambda d: d.key)
def test_vintages_are_as_fresh_as_their_newest_answer(dataset: Dataset) -> None:
    """Their intervals lie ahead, so that these say nothing of 22 hours without an answer."""
    day = dataset.day("2026-07-20")
    ahead = pl.DataFrame({"interval_start": [day.end - FIVE_MINUTES]})
    for hours, fresh in ((0.25, True), (22, False)):
        now = day.start + dt.timedelta(hours=23)
        answered = now - dt.timedelta(hours=hours)
        found = say("freshness", of_nothing(dataset, now, intervals=ahead, answered=answered))
        assert (found.passed, found.severity) == (fresh, "WARN")
        assert found.reason.startswith(f"the newest answer came {hours * 60:.0f} min ago")


def test_forecasts_ahead_are_fresh() -> None:
    verdict = say("freshness", evidence(rows(20), now=DAY.start + dt.timedelta(minutes=1)))
    assert verdict.passed
    assert verdict.reason == "the newest interval lies ahead"


def test_an_empty_answer_is_named() -> None:
    verdict = say("empty_answer", evidence(empty=("day?",)))
    assert (verdict.passed, verdict.severity, verdict.count) == (False, "WARN", 1)
    assert "day?" in verdict.reason
    assert say("empty_answer", evidence()).passed


# --- through ingest, on what was archived --------------------------------------------------------

JULY = LMP.day("2026-07-20")


def lmp_payload(change: Callable[[list[dict[str, Any]]], object] | None = None) -> bytes:
    """The whole of 20 July at one location, changed."""
    records = simulated.lmp_records(JULY, locations=1)
    if change:
        change(records)
    return json.dumps({"FiveMinLmps": {"FiveMinLmp": records}}).encode()


def bring(desk: Desk, change: Callable[[list[dict[str, Any]]], object] | None = None) -> Brought:
    return desk.bring(LMP, lmp_payload(change))


def failed(brought: Brought) -> dict[str, int]:
    return {name: v.count for name, v in brought.verdicts.items() if not v.passed}


def test_a_good_day_is_green_after_ingest(desk: Desk) -> None:
    brought = bring(desk)
    assert failed(brought) == {}
    assert brought.done.merged.new == 288
    assert brought.done.max_residual is not None
    assert brought.done.max_residual <= 0.01


def first(name: str, value: object) -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        records[7][name] = value

    return change


def of_all(change: Callable[[dict[str, Any]], object]) -> Callable[[list[dict[str, Any]]], None]:
    def each(records: list[dict[str, Any]]) -> None:
        for record in records:
            change(record)

    return each


def twice_with_another_price(records: list[dict[str, Any]]) -> None:
    parts = (records[7][f"{part}Component"] for part in ("Energy", "Congestion", "Loss"))
    price = round(sum(parts), 2)
    records[7]["LmpTotal"] = price
    records.append({**records[7], "LmpTotal": round(price + 0.01, 2)})


@pytest.mark.parametrize(
    ("change", "fires", "stored"),
    [
        (first("LmpTotal", 9999.0), {"lmp_arithmetic": 1, "completeness": 1}, 287),
        (first("LmpTotal", True), {"contract": 1, "completeness": 1, "schema_drift": 1}, 287),
        (first("BeginDate", "soon"), {"contract": 1, "completeness": 1}, 287),
        (
            first("BeginDate", "2026-07-21T00:00:00.000-04:00"),
            {"contract": 1, "completeness": 1},
            287,
        ),
        (twice_with_another_price, {"contract": 2, "completeness": 1}, 287),
        (lambda r: r.append(dict(r[7])), {}, 288),
        (lambda r: r.pop(7), {"completeness": 1}, 287),
        (lambda r: r.clear(), {"completeness": 288, "empty_answer": 1}, 0),
        (of_all(lambda r: r.update(New=1)), {"schema_drift": 1}, 288),
        (
            of_all(lambda r: r.pop("LossComponent")),
            {"schema_drift": 1, "lmp_arithmetic": 288, "completeness": 288},
            0,
        ),
        (
            of_all(lambda r: r.update(LmpTotal=str(r["LmpTotal"]))),
            {"schema_drift": 1, "contract": 288, "completeness": 288},
            0,
        ),
    ],
    ids=[
        "sum",
        "bool",
        "no stamp",
        "tomorrow",
        "conflict",
        "repeated",
        "gap",
        "empty",
        "added",
        "vanished",
        "retyped",
    ],
)
def test_what_is_wrong_with_an_archived_day_is_reported_by_its_checks(
    desk: Desk,
    change: Callable[[list[dict[str, Any]]], object],
    fires: dict[str, int],
    stored: int,
) -> None:
    brought = desk.bring(LMP, lmp_payload(change), asked="2026-07-20", dialect="live")
    assert failed(brought) == fires
    assert len(desk.rows(LMP)) == stored
    kept_out = fires.get("contract", 0) + fires.get("lmp_arithmetic", 0)
    assert len(desk.resources.lake.read(QUARANTINE)) == brought.done.quarantined == kept_out
    again = ingest.replay(desk.resources, LMP, JULY)
    assert {v.check: v.count for v in ingest.check(desk.resources, again) if not v.passed} == fires


def test_the_quarantined_record_can_be_put_right_by_a_later_answer(desk: Desk) -> None:
    bring(desk, first("LmpTotal", 9999.0))
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    brought = bring(desk)
    assert len(desk.rows(LMP)) == 288
    assert set(failed(brought)) <= {"lmp_arithmetic"}
    assert brought.verdicts["completeness"].passed


def test_an_empty_answer_never_replaces_a_good_day(desk: Desk) -> None:
    bring(desk)
    before = desk.rows(LMP)
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    brought = desk.bring(LMP, b'{"FiveMinLmps":""}', asked="2026-07-20")
    assert failed(brought) == {"empty_answer": 1}
    assert desk.rows(LMP).equals(before)
    assert ingest.replay(desk.resources, LMP, JULY).merged.snapshot_id is None
    assert desk.rows(LMP).equals(before)


def test_the_same_day_looked_at_again_gives_the_same_verdicts(desk: Desk) -> None:
    bring(desk, first("LmpTotal", 9999.0))
    again = ingest.normalize(desk.resources, LMP, JULY)
    assert again.merged.snapshot_id is None
    verdicts = {v.check: v.count for v in ingest.check(desk.resources, again) if not v.passed}
    assert verdicts == {"lmp_arithmetic": 1, "completeness": 1}


def test_freshness_after_ingest_follows_the_clock(desk: Desk) -> None:
    today = LOAD.day("2026-07-21")
    marks = [i for i, m in enumerate(today.marks(FIVE_MINUTES)) if m + FIVE_MINUTES <= desk.clock()]
    records = simulated_load.load_records(today, marks)
    body = json.dumps({"FiveMinSystemLoads": {"FiveMinSystemLoad": records}}).encode()
    assert failed(desk.bring(LOAD, body)) == {}
    desk.clock.set(desk.clock() + dt.timedelta(hours=1))
    done = ingest.normalize(desk.resources, LOAD, today)
    found = {v.check for v in ingest.check(desk.resources, done) if not v.passed}
    assert found == {"freshness", "completeness"}


def test_a_config_that_rejects_whole_snapshots_keeps_every_row_out(desk: Desk) -> None:
    config = desk.resources.configuration
    strict = replace(config.datasets[LMP.key], on_broken_row="reject")
    desk.resources.configuration = replace(config, datasets={**config.datasets, LMP.key: strict})
    brought = bring(desk, first("LmpTotal", 9999.0))
    assert desk.rows(LMP).is_empty()
    assert "lmp_is_the_sum_of_its_parts" in brought.done.rejected[0]
    (kept,) = desk.resources.archive.rejections(LMP.key)
    assert kept.reason == brought.done.rejected[0]
    assert len(desk.resources.archive.identifiers(LMP.key, JULY.key)) == 1


def test_no_check_is_unknown_to_these_tests() -> None:
    """A new check needs a test in which it fires and one in which it is quiet."""
    assert {name for d in DATASETS for name in checks_of(d.table, CONFIG[d.key])} == {
        "contract",
        "lmp_arithmetic",
        "enums_and_ranges",
        "completeness",
        "schema_drift",
        "freshness",
        "empty_answer",
        "volume",
        "prelim_against_final",
        "price_bounds",
    }
