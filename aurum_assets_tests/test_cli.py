"""``aurum``: exit codes 0, 1, 2, 3; one JSON document on request; errors in one sentence."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import polars as pl
import pytest

from aurum_assets.cli import COMMANDS, main
from aurum_assets.operators import DATASETS
from aurum_assets_tests.conftest import NOON, Aurum, printed
from aurum_assets_tests.recordings import Recording, recording

LMP = "isone_rt_lmp"
STATUS_KEYS = [
    "dataset",
    "objects",
    "bytes",
    "rows",
    "days",
    "first_interval",
    "last_interval",
    "quarantined",
    "rejected",
    "last_commit",
    "lag_seconds",
    "missing_today",
]


def file(tmp_path: Path, recorded: Recording, name: str = "payload.json") -> Path:
    path = tmp_path / name
    path.write_bytes(recorded.body)
    return path


ORDINARY = recording("isone_rt_lmp", "live", "ordinary")


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    return file(tmp_path, ORDINARY)


# --- help and wrong use --------------------------------------------------------------------------


def test_every_command_explains_itself(aurum: Aurum) -> None:
    assert set(COMMANDS) >= {
        "collect",
        "load",
        "replay",
        "verify",
        "status",
        "as-of",
        "demo",
        "simulate",
        "doctor",
        "probe",
        "sql",
        "export",
    }
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        result = aurum(name, "--help")
        assert result.exit_code == 0
        assert f"Usage: aurum {name}" in result.output.replace("Usage: main", "Usage: aurum")
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert max(parameter.opts, key=len) in result.output
    assert aurum("--help").exit_code == aurum("-h").exit_code == 0
    assert "0.2.0" in aurum("--version").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("load", "payload.json"),
        ("load", "--dataset", LMP),
        ("load", "--dataset", LMP, "absent.json"),
        ("load", "--dataset", LMP, "--finality", "maybe", __file__),
        ("load", "--dataset", LMP, "--fetched-at", "noon", __file__),
        ("load", "--dataset", LMP, "--day", "someday", __file__),
        ("simulate", "--at", "noon"),
        ("replay", LMP, "--start-date", "2026-07-20"),
        ("verify", LMP, "--end-date", "2026-07-20"),
        ("probe", "--dataset", "miso_cts", "--source", "isone"),
        ("as-of", "--dataset", LMP),
        ("as-of", "--dataset", LMP, "--at", "noon"),
        ("as-of", "--dataset", LMP, "--at", "2026-07-20T16:00:00Z", "--output", "rows.txt"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_code_2_and_says_what_is_right(
    aurum: Aurum, arguments: tuple[str, ...]
) -> None:
    result = aurum(*arguments)
    assert result.exit_code == 2, result.output
    assert "Error: " in result.stderr
    assert "Traceback" not in result.output


# --- load ----------------------------------------------------------------------------------------


def test_load_says_what_was_archived_stored_quarantined_and_rejected(
    aurum: Aurum, payload: Path
) -> None:
    result = aurum("load", "--dataset", LMP, "--json", payload)
    assert result.exit_code == 0, result.output
    document = printed(result)
    assert {n: document[n] for n in ("dataset", "archived", "duplicates", "stored")} == {
        "dataset": LMP,
        "archived": 1,
        "duplicates": 0,
        "stored": 5,
    }
    assert (document["unchanged"], document["quarantined"], document["rejected"]) == (0, 0, 0)
    (entry,) = document["files"]
    assert (entry["outcome"], entry["day"], entry["records"]) == ("stored", "2026-07-20", 5)
    assert entry["object"].startswith("sourcing/isone_rt_lmp/year=2026/month=07/day=20/")
    assert [c["check"] for c in document["checks"]][:3] == [
        "contract",
        "lmp_arithmetic",
        "enums_and_ranges",
    ]


def test_load_in_words_names_the_same_numbers(aurum: Aurum, payload: Path) -> None:
    result = aurum("load", "--dataset", LMP, payload)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("dataset\t"))
    summary = dict(zip(lines[head].split("\t"), lines[head + 1].split("\t"), strict=True))
    assert summary == {
        "dataset": LMP,
        "archived": "1",
        "duplicates": "0",
        "stored": "5",
        "unchanged": "0",
        "quarantined": "0",
        "rejected": "0",
    }


def test_a_file_again_is_a_duplicate_and_still_well(aurum: Aurum, payload: Path) -> None:
    aurum("load", "--dataset", LMP, payload)
    result = aurum("load", "--dataset", LMP, "--json", payload)
    assert result.exit_code == 0
    assert (
        printed(result)["archived"],
        printed(result)["duplicates"],
        printed(result)["stored"],
    ) == (
        0,
        1,
        0,
    )


def test_gzipped_and_xml_files_are_taken_as_they_are(aurum: Aurum, tmp_path: Path) -> None:
    packed = tmp_path / "payload.json.gz"
    packed.write_bytes(gzip.compress(ORDINARY.body))
    xml = file(tmp_path, recording("isone_rt_lmp", "live", "spring", "xml"), "spring.xml")
    result = aurum("load", "--dataset", LMP, "--json", packed, xml)
    assert result.exit_code == 0, result.output
    assert (printed(result)["archived"], printed(result)["stored"]) == (2, 9)
    assert [f["day"] for f in printed(result)["files"]] == ["2026-07-20", "2024-03-10"]


def rows(environment: dict[str, str], dataset: str = LMP) -> list[dict[str, Any]]:
    from aurum_assets.resources.lake import Lake

    table = next(d.table for d in DATASETS if d.key == dataset)
    return Lake.local(Path(environment["AURUM_HOME"]) / "lake").read(table).to_dicts()


def test_day_finality_and_fetch_are_taken_from_the_options(
    aurum: Aurum, payload: Path, environment: dict[str, str]
) -> None:
    options = ("--finality", "final", "--fetched-at", "2026-07-22T10:00:00-04:00")
    assert aurum("load", "--dataset", LMP, *options, payload).exit_code == 0
    found = rows(environment)
    assert {r["finality"] for r in found} == {"final"}
    assert {r["fetched_at"].isoformat() for r in found} == {"2026-07-22T14:00:00+00:00"}


def test_without_options_finality_is_prelim_and_the_fetch_is_the_files_time(
    aurum: Aurum, payload: Path, environment: dict[str, str]
) -> None:
    os.utime(payload, (NOON.timestamp() - 60, NOON.timestamp() - 60))
    assert aurum("load", "--dataset", LMP, payload).exit_code == 0
    found = rows(environment)
    assert {r["finality"] for r in found} == {"prelim"}
    assert {r["fetched_at"].timestamp() for r in found} == {NOON.timestamp() - 60}


def test_the_day_option_counts_where_the_content_says_none(aurum: Aurum, tmp_path: Path) -> None:
    empty = file(tmp_path, recording("isone_rt_lmp", "live", "empty"))
    result = aurum("load", "--dataset", LMP, "--day", "2026-07-19", "--json", empty)
    assert printed(result)["files"][0]["day"] == "2026-07-19"
    assert result.exit_code == 0


def test_broken_records_are_exit_code_3_and_their_siblings_are_stored(
    aurum: Aurum, tmp_path: Path
) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(ORDINARY.body.replace(b"39.16", b"40.16"))
    result = aurum("load", "--dataset", LMP, "--json", path)
    assert result.exit_code == 3
    assert (printed(result)["stored"], printed(result)["quarantined"]) == (4, 1)
    text = aurum("load", "--dataset", LMP, path)
    assert text.exit_code == 3
    assert "ERROR lmp_arithmetic 2026-07-20: 1 record was quarantined" in text.stdout


def test_bytes_that_nobody_can_read_are_exit_code_3_and_kept(
    aurum: Aurum, tmp_path: Path, environment: dict[str, str]
) -> None:
    path = file(tmp_path, recording("isone_rt_lmp", "live", "malformed"))
    result = aurum("load", "--dataset", LMP, "--json", path)
    assert result.exit_code == 3
    document = printed(result)
    assert (document["archived"], document["rejected"]) == (0, 1)
    assert "the bytes are not JSON" in document["rejected_because"][0]
    kept = Path(environment["AURUM_HOME"]) / "archive" / document["files"][0]["object"]
    assert gzip.decompress(kept.read_bytes()) == path.read_bytes()
    assert "REJECTED " in aurum("load", "--dataset", LMP, path).stdout


def test_one_bad_file_does_not_hold_up_the_others(
    aurum: Aurum, tmp_path: Path, payload: Path
) -> None:
    bad = file(tmp_path, recording("isone_rt_lmp", "live", "malformed"), "bad.json")
    result = aurum("load", "--dataset", LMP, "--json", bad, payload)
    assert result.exit_code == 3
    assert (
        printed(result)["archived"],
        printed(result)["stored"],
        printed(result)["rejected"],
    ) == (1, 5, 1)


# --- status --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("empty_home")
def test_status_of_nothing_is_all_zero(aurum: Aurum) -> None:
    document = printed(aurum("status", "--json"))
    assert list(document) == ["datasets"]
    assert [list(d) for d in document["datasets"]] == [STATUS_KEYS] * len(DATASETS)
    for dataset, entry in zip(DATASETS, document["datasets"], strict=True):
        count = None if dataset.shares else 0  # another dataset has the objects
        assert list(entry.values()) == [
            *(dataset.key, count, count, 0, 0, None, None, 0, 0, None, None, None)
        ]


def status_of(aurum: Aurum, dataset: str) -> dict[str, Any]:
    entries = printed(aurum("status", "--json"))["datasets"]
    (entry,) = (e for e in entries if e["dataset"] == dataset)
    return dict(entry)


def test_status_counts_what_is_held(aurum: Aurum, tmp_path: Path, payload: Path) -> None:
    aurum("load", "--dataset", LMP, payload)
    broken = tmp_path / "broken.json"
    broken.write_bytes(recording("isone_rt_lmp", "live", "spring").body.replace(b"20.02", b"99.02"))
    aurum("load", "--dataset", LMP, broken)
    aurum("load", "--dataset", LMP, file(tmp_path, recording(LMP, "live", "malformed"), "bad.json"))
    entry = status_of(aurum, LMP)
    assert (entry["dataset"], entry["objects"], entry["rows"], entry["days"]) == (LMP, 2, 8, 2)
    assert entry["bytes"] > 100
    assert entry["first_interval"] == "2024-03-10T06:55:00+00:00"
    assert entry["last_interval"] == "2026-07-20T21:25:00+00:00"
    assert (entry["quarantined"], entry["rejected"]) == (1, 1)
    assert entry["last_commit"].endswith("+00:00")
    assert entry["lag_seconds"] == (18 * 60 + 35) * 60  # at 16:00Z of the day after
    # 04:00Z to 15:35Z: what began later is not due yet
    assert entry["missing_today"] == 142
    text = aurum("status")
    assert text.exit_code == 0
    header, *lines = text.stdout.splitlines()
    assert header.split("\t") == STATUS_KEYS
    assert [line.split("\t")[0] for line in lines] == [d.key for d in DATASETS]


@pytest.mark.usefixtures("empty_home")
def test_status_looks_again_once_something_was_committed(
    aurum: Aurum, tmp_path: Path, payload: Path
) -> None:
    aurum("load", "--dataset", LMP, payload)
    assert [status_of(aurum, LMP)["rows"] for _ in range(2)] == [5, 5]
    aurum("load", "--dataset", LMP, file(tmp_path, recording(LMP, "live", "spring"), "more.json"))
    assert [status_of(aurum, LMP)["rows"] for _ in range(2)] == [9, 9]


# --- replay, verify ---------------------------------------------------------------------


def test_a_wrong_variable_is_exit_code_2_and_one_sentence(aurum: Aurum) -> None:
    result = aurum("status", AURUM_LIMIT_SCALE="fast")
    assert result.exit_code == 2
    assert "environment variable AURUM_LIMIT_SCALE" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_replay_rebuilds_from_the_archive_and_changes_nothing(
    aurum: Aurum, payload: Path, environment: dict[str, str]
) -> None:
    aurum("load", "--dataset", LMP, payload)
    before = rows(environment)
    result = aurum("replay", LMP, "--all", "--json")
    assert result.exit_code == 0
    document = printed(result)
    assert document["failed"] == []
    (row,) = document["replayed"]
    assert (row["day"], row["snapshots"], row["rows"]) == ("2026-07-20", 1, 5)
    assert (row["new"], row["changed"], row["removed"]) == (0, 0, 0)
    assert rows(environment) == before


def test_a_dry_run_of_replay_reports_what_would_change(
    aurum: Aurum, payload: Path, environment: dict[str, str]
) -> None:
    aurum("load", "--dataset", LMP, payload)
    shutil.rmtree(Path(environment["AURUM_HOME"]) / "lake")
    days = ("--first", "2026-07-20", "--last", "2026-07-20")
    result = aurum("replay", LMP, *days, "--dry-run", "--json")
    document = printed(result)
    assert (document["dry_run"], document["replayed"][0]["new"]) == (True, 5)
    assert rows(environment) == []
    assert (
        printed(aurum("replay", LMP, *days, "--workers", "1", "--json"))["replayed"]
        == (document["replayed"])
    )
    assert len(rows(environment)) == 5


def test_replay_of_a_day_whose_bytes_are_lost_is_exit_code_1_and_names_the_remedy(
    aurum: Aurum, payload: Path, environment: dict[str, str]
) -> None:
    aurum("load", "--dataset", LMP, payload)
    for path in (Path(environment["AURUM_HOME"]) / "archive").rglob("*.json.gz"):
        path.unlink()
    result = aurum("replay", LMP, "--day", "2026-07-20")
    assert result.exit_code == 1
    assert "replay with --force to let these rows go" in result.stderr
    assert len(rows(environment)) == 5
    assert aurum("replay", LMP, "--day", "2026-07-20", "--force").exit_code == 0
    assert rows(environment) == []


def test_replay_of_a_day_that_nobody_collected_is_exit_code_1_and_a_sentence(
    aurum: Aurum, payload: Path
) -> None:
    aurum("load", "--dataset", LMP, payload)
    result = aurum("replay", LMP, "--day", "2026-07-18")
    assert result.exit_code == 1
    assert f"{LMP}: nothing archived of 2026-07-18: collect the day first" in result.stderr


def test_verify_is_0_where_all_is_well_and_1_where_it_is_not(
    aurum: Aurum, payload: Path, environment: dict[str, str]
) -> None:
    aurum("load", "--dataset", LMP, payload)
    result = aurum("verify", "--json")
    assert result.exit_code == 0
    (entry,) = printed(result)["verified"]
    assert entry == {
        "dataset": LMP,
        "day": "2026-07-20",
        "objects": 1,
        "rows": 5,
        "missing": 0,
        "extra": 0,
        "changed": 0,
        "pending": 0,
        "unsealed": 0,
        "quick": False,
        "problems": None,
        "notes": None,
    }
    for path in (Path(environment["AURUM_HOME"]) / "archive").rglob("*.json.gz"):
        path.write_bytes(gzip.compress(b"{}"))
    result = aurum("verify", LMP, "--json")
    assert result.exit_code == 1
    assert "not those that were archived" in printed(result)["verified"][0]["problems"]


# --- as a process --------------------------------------------------------------------------------


def process(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own command
        [str(Path(sys.executable).parent / "aurum"), *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_installed_command_prints_one_json_document_and_nothing_else(
    environment: dict[str, str], payload: Path
) -> None:
    done = process(environment, "load", "--dataset", LMP, "--json", str(payload))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stored"] == 5
    assert done.stderr == ""


def test_the_installed_commands_exit_codes_reach_the_shell(
    environment: dict[str, str], tmp_path: Path
) -> None:
    bad = file(tmp_path, recording("isone_rt_lmp", "live", "malformed"))
    assert process(environment, "load", "--dataset", LMP, str(bad)).returncode == 3
    assert process(environment, "load").returncode == 2
    wrong = process(environment | {"AURUM_NOW": "noon"}, "status")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("Error: environment variable AURUM_NOW")


# --- as of ---------------------------------------------------------------------------------------


def test_as_of_undoes_what_was_restated_since(aurum: Aurum, tmp_path: Path) -> None:
    early = file(tmp_path, ORDINARY, "early.json")
    late = tmp_path / "late.json"
    late.write_bytes(ORDINARY.body.replace(b"39.16", b"39.17"))
    for path, at in ((early, "2026-07-20T16:00:00Z"), (late, "2026-07-21T16:00:00Z")):
        assert aurum("load", "--dataset", LMP, path, "--fetched-at", at).exit_code == 0

    def known(at: str, *more: object) -> list[float]:
        rows = printed(aurum("as-of", "--dataset", LMP, "--at", at, "--json", *more))["data"]
        return [row["lmp"] for row in rows if row["location_id"] == "4000"][:1]

    assert known("2026-07-20T15:00:00Z") == []
    assert known("2026-07-20T16:00:00Z") == [39.16]
    assert known("2026-07-21T16:00:00Z", "--day", "2026-07-20") == [39.17]
    assert known("2026-07-21T16:00:00Z", "--day", "2026-07-19") == []
    output = tmp_path / "then.parquet"
    result = aurum("as-of", "--dataset", LMP, "--at", "2026-07-20T17:00:00Z", "--output", output)
    assert result.exit_code == 0
    assert pl.read_parquet(output).filter(location_id="4000")["lmp"][0] == 39.16
    verified = printed(aurum("verify", LMP, "--day", "2026-07-20", "--json"))
    assert "problems" in json.dumps(verified)
    assert aurum("verify", LMP, "--day", "2026-07-20").exit_code == 0
