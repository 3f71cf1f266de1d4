"""A day is brought in one way: command line, assets and Python API leave and tell the same.

``CASES`` is the table of outcomes: for each case, what lies in archive, spool and table after it,
and the core of the sentence that all three tell. ``goes_on`` names who takes it for no failure.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

import aurum_assets
from aurum_assets.cli import main
from aurum_assets.definitions import build
from aurum_assets.graph import assets
from aurum_assets.graph.assets import raw_key, table_key
from aurum_assets.ingest.day import Outcome
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    ContractBroken,
    DaysFailed,
    LakeBusy,
    LakeUnreachable,
    Unexpected,
)
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.generation import ISONE_GENERATION_BY_RESOURCE
from aurum_assets.operators.isone.lmp import ISONE_DA_LMP, ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources import lake
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.settings import open_resources
from aurum_assets.simulator.server import Running
from aurum_assets_tests.conftest import variables

DAY, TODAY, TOMORROW = "2026-07-10", "2026-07-21", "2026-07-22"
HOURLY, PRICES = ISONE_RT_HOURLY_LMP, ISONE_RT_LMP


@dataclass
class Place:
    """Where a case is arranged: the simulated operators and the environment."""

    market: Running
    environment: pytest.MonkeyPatch
    folder: Path

    def fail(self, fault: str, *paths: str) -> None:
        """Every request whose path holds one of ``paths`` meets ``fault``."""
        for path in paths:
            self.market.simulator.fail(fault, match=path, times=999)

    def set(self, name: str, value: str) -> None:
        self.environment.setenv(name, value)

    def lose_the_archive(self) -> None:
        """It is on a mount that is gone."""
        (self.folder / "mount").write_text("no folder any more")
        self.set("AURUM_ARCHIVE", f"file:{self.folder}/mount/archive")

    def lose_the_catalog(self) -> None:
        """Nobody answers where it is."""
        self.environment.setattr(lake, "_SHORTER_PATIENCE", 0.1)
        self.set("AURUM_CATALOG_URI", "postgresql://me@127.0.0.1:1/lake")

    def be_live(self) -> None:
        """Both operators as their live servers are: MISO answers with today's file always."""
        world = self.market.simulator.world
        self.market.simulator.world = replace(world, live_only=True, dialect="live")

    def configure(self, file: str, change: Callable[[dict[str, Any]], object]) -> None:
        """A config file with a change of its own."""
        config = self.folder / "config"
        document = json.loads((config / file).read_text())
        change(document)
        (config / file).write_text(json.dumps(document))


def nothing(_: Place) -> None:
    """All is well."""


def answer_for_today_where_each_day_has_its_own(place: Place) -> None:
    place.be_live()
    place.configure(
        "miso_ingest_datasets.json",
        lambda text: text["datasets"][0].update(live_dialects=["live", "documented"]),
    )


@dataclass(frozen=True)
class Case:
    """What happens, and what must be the same three times. Counts are by operating day."""

    name: str
    arrange: Callable[[Place], object]
    dataset: Dataset = HOURLY
    day: str = DAY
    archived: Mapping[str, int] = field(default_factory=dict)
    spooled: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    sentence: str = ""
    goes_on: frozenset[str] = frozenset()


ASSET, ASSET_AND_COMMAND = frozenset({"asset"}), frozenset({"asset", "command"})
CASES = [
    Case("all good", nothing, archived={DAY: 2}, rows={DAY: 144}),
    Case(
        "one feed 404",
        lambda place: place.fail("404", "/hourlylmp/rt/prelim/"),
        archived={DAY: 1},
        rows={DAY: 72},
        sentence="ISO New England refused isone_rt_hourly_lmp at hourlylmp_rt_prelim_day (404)",
    ),
    Case(
        "one feed down midway",
        lambda place: place.fail("500", "/prelim/day/20260710/starthour/1"),
        dataset=PRICES,
        archived={DAY: 10 + 24},
        rows={DAY: 36 * (10 + 24)},
        sentence="at fiveminutelmp_prelim_hour in 1 attempt: it answered 500; ask again later",
    ),
    Case(
        "archive away",
        Place.lose_the_archive,
        spooled=2,
        sentence="/mount/archive is out of reach",
    ),
    Case(
        "catalog away",
        Place.lose_the_catalog,
        archived={DAY: 2},
        sentence="(Postgres at 127.0.0.1:1/lake)",
    ),
    Case(
        "refused credentials",
        lambda place: place.set("ISONE_PASSWORD", "wrong"),
        sentence="ISONE_USERNAME and ISONE_PASSWORD, or ISONE_API_KEY",
    ),
    Case(
        "other day answered",
        answer_for_today_where_each_day_has_its_own,
        dataset=MISO_CTS,
        archived={TODAY: 1},
        rows={TODAY: 440},
        sentence=f"asked for {DAY}, the operator answered with {TODAY}",
    ),
    # Of these a run is not red, for schedules and repairs meet them in the ordinary course.
    Case(
        "other day answered by what is only documented",
        Place.be_live,
        dataset=MISO_CTS,
        archived={TODAY: 1},
        rows={TODAY: 440},
        sentence=f"asked for {DAY}, the operator answered with {TODAY}",
        goes_on=ASSET,
    ),
    Case(
        "not out yet",
        nothing,
        dataset=ISONE_DA_LMP,
        day=TOMORROW,
        sentence="it is not due yet",
        goes_on=ASSET,
    ),
    Case(
        "no feed has the day",
        nothing,
        dataset=ISONE_LOCATIONS,
        sentence=f"no feed of it has {DAY}",
        goes_on=ASSET,
    ),
    Case(
        "not offered",
        Place.be_live,
        dataset=ISONE_GENERATION_BY_RESOURCE,
        day=TODAY,
        sentence="not offered: ISO New England has no /generation/resource (404)",
        goes_on=ASSET_AND_COMMAND,
    ),
]


@pytest.fixture
def place(tmp_path: Path, market: Running, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A fresh home at noon, whose requests and steps are not tried again after a pause."""
    for name, value in variables(tmp_path, market).items():
        monkeypatch.setenv(name, value)
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    monkeypatch.setenv("AURUM_CONFIG", str(tmp_path / "config"))
    for retries in ("ASKED_AGAIN", "MERGED_AGAIN"):
        monkeypatch.setattr(assets, retries, replace(getattr(assets, retries), seconds=0))
    made = Place(market, monkeypatch, tmp_path)
    made.configure("isone_ingest_datasets.json", lambda d: d["operator"].update(attempts=1))
    return made


# --- the three ways -----------------------------------------------------------------------------


def by_command(dataset: Dataset, day: str) -> tuple[bool, str]:
    name = dataset.key.removeprefix(f"{dataset.operator.name}_")
    line = ["collect", dataset.operator.name, name]
    done = CliRunner().invoke(main, [*line, "--day", day, "--log-level", "error"])
    assert isinstance(done.exception, SystemExit | None)
    return done.exit_code == 0, done.stderr


def by_asset(dataset: Dataset, day: str) -> tuple[bool, str]:
    job = dg.define_asset_job(
        "by_hand",
        selection=dg.AssetSelection.assets(raw_key(dataset), table_key(dataset)),
        executor_def=dg.in_process_executor,
    )
    whole = dg.Definitions.merge(build(open_resources(DATASETS)), dg.Definitions(jobs=[job]))
    with dg.DagsterInstance.ephemeral() as instance:
        done = whole.resolve_job_def("by_hand").execute_in_process(
            partition_key=day, instance=instance, raise_on_error=False
        )
        failures = [e.step_failure_data for e in done.all_events if e.is_step_failure]
        logged = [
            entry.user_message
            for entry in instance.all_logs(done.run_id)
            if entry.dagster_event is None
        ]
    report = [str(f.user_failure_data.description) for f in failures if f.user_failure_data]
    return done.success, "\n".join([*report, *logged])


def by_api(dataset: Dataset, day: str) -> tuple[bool, str]:
    try:
        rows = aurum_assets.collect(dataset.key, day)
    except AurumError as error:
        return False, str(error)
    return len(rows) > 0, ""


WAYS = {"command": by_command, "asset": by_asset, "api": by_api}


# --- what they leave -----------------------------------------------------------------------------


def archived(resources: Resources, dataset: Dataset) -> dict[str, int]:
    """Snapshots in the archive by operating day."""
    folder = dataset.archive_name
    days = resources.archive.days(folder)
    return {day: len(resources.archive.identifiers(folder, day)) for day in days}


def rows(resources: Resources, dataset: Dataset) -> dict[str, int]:
    """Rows in the table by operating day."""
    held = resources.lake.read(dataset.table)["operating_day"]
    return dict(Counter(map(str, held)))


@pytest.fixture
def heal(place: Place) -> Callable[[], Resources]:
    """The home once all is back, to look into."""

    def healed() -> Resources:
        place.environment.delenv("AURUM_CATALOG_URI", raising=False)
        if (place.folder / "mount").exists():
            (place.folder / "mount").unlink()
        return open_resources(DATASETS)

    return healed


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.slow
def test_the_three_ways_in_leave_and_tell_the_same(
    place: Place, heal: Callable[[], Resources], case: Case, way: str
) -> None:
    case.arrange(place)
    succeeded, report = WAYS[way](case.dataset, case.day)
    resources = heal()
    assert (archived(resources, case.dataset), rows(resources, case.dataset)) == (
        case.archived,
        case.rows,
    )
    assert len(list((resources.root / "spool").rglob("*.gz"))) == case.spooled
    assert case.sentence in report
    assert succeeded is (not case.sentence or way in case.goes_on), report


# --- ranges --------------------------------------------------------------------------------------

DAYS = ["2026-07-09", DAY, "2026-07-11"]


def range_by_command() -> str:
    line = ["collect", "isone", "rt_hourly_lmp", "--start-date", DAYS[0], "--end-date", DAYS[-1]]
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 1
    assert "the other 2 days would fail alike and were not asked for" in done.stderr
    return done.stderr


def range_by_api() -> str:
    with pytest.raises(DaysFailed, match="3 of 3 days failed") as caught:
        aurum_assets.collect(HOURLY.key, DAYS[0], DAYS[-1], at_once=1)
    assert list(caught.value.errors) == DAYS
    return str(caught.value)


@pytest.mark.parametrize("collect", [range_by_command, range_by_api])
def test_a_range_asks_for_no_other_day_where_all_would_fail_alike(
    place: Place, collect: Callable[[], str]
) -> None:
    place.lose_the_archive()
    assert "/mount/archive is out of reach" in collect()
    asked = [seen.path for seen in place.market.simulator.requests]
    assert len(asked) == 2, "both feeds of the first day"


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (LakeUnreachable("the catalog is away"), True),
        (ConfigError("a file is wrong"), True),
        (LakeBusy("others write"), False),
        (ContractBroken("rows would be lost"), False),
        (Unexpected("nobody thought of this day"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AurumError) else "",
)
def test_a_day_that_is_not_in_the_table_ends_a_range_where_no_other_would_be(
    error: AurumError,
    ends: bool,  # noqa: FBT001  a table
) -> None:
    outcome = Outcome(HOURLY, HOURLY.day(DAY), normalize_errors={DAY: error})
    assert (outcome.error, outcome.ends) == (error, ends)
