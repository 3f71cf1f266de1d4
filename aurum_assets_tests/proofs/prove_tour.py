"""The first hour, walked: a fresh clone, its demo, its UI, the mistakes that people make, a move.

Everything goes as a person would go it: ``make demo`` and ``make dev`` in a clone, backfills by the
GraphQL that the UI itself uses, commands in a terminal of 80 columns, Ctrl-C by its key. The clone
is of the last commit: what is not committed is not walked.
"""

import datetime as dt
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets_tests.graphql import Graphql, Json
from aurum_assets_tests.proofs.proof import Proof
from aurum_assets_tests.proofs.prove_dev import free_port
from aurum_assets_tests.terminal import in_terminal

_PATIENCE = 240.0
_OURS = ("AURUM_", "ISONE_", "MISO_", "DAGSTER_", "S3_", "REDIS_", "KAFKA_", "AWS_")
_LOCATION = "aurum_assets.definitions"  # as workspace.yaml makes it
_SELECTOR = {"repositoryName": "__repository__", "repositoryLocationName": _LOCATION}
_ENDED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "COMPLETED", "FAILED", "CANCELED"}
_REPORTS = (
    ("status",),
    ("alerts",),
    ("verify",),
    ("maintain",),
    ("reference", "show", "iso_nodes"),
    ("sql", "show tables"),
    ("sql", "select * from isone_rt_lmp order by interval_start, location_id limit 5"),
    ("replay", "isone_da_lmp", "--all"),
    ("requeue",),
)
_ENDLESS = "select sum(a.range * b.range) from range(10000000) a, range(10000000) b"
_LONG = (
    ("sql", _ENDLESS),
    ("sql", _ENDLESS, "--output", "all.csv"),
    ("replay", "--all"),
    ("replay", "--all", "--rebuild"),
    ("verify",),
    ("metrics", "--port", "0"),
    ("simulate", "--port", "0"),
    ("demo",),
)
_UNDER_WAY, _AT_ONCE = 2.5, 1.5  # seconds: libraries are imported then; a second, and the machine's
_ALONE, _BOTH, _FAILING = 12, 9, 6  # days ago: of each, nothing is held yet


@dataclass
class Tour:
    """A clone, what ``make`` and ``aurum`` do in it, and what was not as promised."""

    clone: Path
    proof: Proof
    ui_port: int = field(default_factory=free_port)
    simulator_port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        """What a person's shell has, and nothing of ours."""
        ours = {n: v for n, v in os.environ.items() if not n.startswith(_OURS)}
        ports = {"UI_PORT": str(self.ui_port), "SIMULATOR_PORT": str(self.simulator_port)}
        return ours | ports

    def sees(self, what: str, *, where: bool, skip_reason: object = "") -> None:
        """Count one more thing that was looked at; it is broken unless ``where``."""
        self.proof.add("things looked at")
        self.proof.holds(f"{what}: {str(skip_reason)[-600:]}" if skip_reason else what, where=where)

    def run(self, *command: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """A command in the clone, to its end."""
        more = {"AURUM_HOME": str(home)} if home else {}
        return subprocess.run(  # noqa: S603  our own commands
            command,
            cwd=self.clone,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def aurum(
        self, *skip_reason: str, home: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """``aurum`` of the clone."""
        return self.run(str(self.clone / ".venv/bin/aurum"), *skip_reason, home=home)


# --- the UI, as its pages ask it -----------------------------------------------------------------


class Ui(Graphql):
    """The webserver that ``make dev`` started."""

    def backfill(self, assets: Sequence[Sequence[str]], days: Sequence[str]) -> list[Json]:
        """The runs of a backfill of ``assets`` for ``days``, once it has ended."""
        launched = self.ask(
            """mutation($params: LaunchBackfillParams!) {
                 launchPartitionBackfill(backfillParams: $params) {
                   __typename ... on LaunchBackfillSuccess { backfillId }
                   ... on PythonError { message } } }""",
            params={
                "assetSelection": [{"path": list(path)} for path in assets],
                "partitionNames": list(days),
            },
        )["launchPartitionBackfill"]
        number = launched["backfillId"]
        wait_for(lambda: self._status(number) in _ENDED, f"backfill {number} to end")
        data = self.ask(
            """query($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results {
                 runId status } } } }""",
            filter={"tags": [{"key": "dagster/backfill", "value": number}]},
        )
        found: list[Json] = data["runsOrError"]["results"]
        return found

    def _status(self, number: str) -> str:
        data = self.ask(
            """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
                 ... on PartitionBackfill { status } ... on PythonError { message } } }""",
            id=number,
        )
        return str(data["partitionBackfillOrError"].get("status", ""))

    def errors(self, run: str) -> list[list[str]]:
        """What the run's page shows of each failed step: its error, and what that was caused by."""
        data = self.ask(
            """query($run: ID!) { runOrError(runId: $run) { ... on Run {
                 eventConnection { events { __typename ... on ExecutionStepFailureEvent {
                   error { message errorChain { error { message } } } } } } } } }""",
            run=run,
        )
        events = data["runOrError"]["eventConnection"]["events"]
        failed = [e["error"] for e in events if e["__typename"] == "ExecutionStepFailureEvent"]
        return [
            [error["message"], *(link["error"]["message"] for link in error["errorChain"])]
            for error in failed
        ]

    def checks(self, *asset: str) -> list[Json]:
        """The latest evaluation of each check of an asset."""
        data = self.ask(
            """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
                 assetChecksOrError { ... on AssetChecks { checks { name
                   executionForLatestMaterialization { status
                     evaluation { success description } } } } } } } }""",
            key={"path": list(asset)},
        )
        found: list[Json] = data["assetNodeOrError"]["assetChecksOrError"]["checks"]
        return found

    def skip_reason(self, sensor: str) -> str:
        """Why a sensor's newest tick asked for no run."""
        data = self.ask(
            """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) {
                 ... on Sensor { sensorState { ticks(limit: 1) { skipReason } } } } }""",
            sensor={**_SELECTOR, "sensorName": sensor},
        )
        return str(data["sensorOrError"]["sensorState"]["ticks"][0]["skipReason"])

    def ticks(self) -> dict[str, set[str]]:
        """The outcomes of each sensor's ticks so far."""
        data = self.ask(
            """query($of: RepositorySelector!) { sensorsOrError(repositorySelector: $of) {
                 ... on Sensors { results { name sensorState {
                   ticks(limit: 20) { status } } } } } }""",
            of=_SELECTOR,
        )
        sensors = data["sensorsOrError"]["results"]
        return {s["name"]: {t["status"] for t in s["sensorState"]["ticks"]} for s in sensors}


def wait_for(what: Callable[[], bool], skip_reason: str, patience: float = _PATIENCE) -> None:
    """Look once a second until ``what``. Raises ``TimeoutError`` naming what was waited for."""
    until = time.monotonic() + patience
    while not what():
        if time.monotonic() > until:
            msg = f"waited {patience:.0f} s for {skip_reason}"
            raise TimeoutError(msg)
        time.sleep(1)


# --- the walk ------------------------------------------------------------------------------------


def prove_tour(operator: Path = PROJECT) -> Proof:
    """Walk the first hour in a clone of ``source``; needs ``git`` and ``make``, takes minutes."""
    proof = Proof("What a person meets in the first hour is calm, true, and stops when asked to")
    with tempfile.TemporaryDirectory(prefix="aurum-tour-") as folder:
        clone = Path(folder) / "clone"
        command = ["git", "clone", "-q", str(operator), str(clone)]
        subprocess.run(command, check=True)  # noqa: S603  our own
        tour = Tour(clone, proof)
        _the_demo(tour)
        with _dev(tour) as ui:
            _opens_calm(tour, ui)
            _asks(tour)
            _backfills(tour, ui)
            _a_failing_operator(tour, ui)
            _health(tour, ui)
        _keys(tour)
        _screens(tour)
        _a_copy(tour)
        _a_move(tour)
    return proof


def _the_demo(tour: Tour) -> None:
    done = tour.run("make", "demo")
    output = done.stdout + done.stderr
    tour.sees("make demo ends with 0", where=done.returncode == 0, skip_reason=output)
    tour.sees("make demo shows no traceback", where="Traceback" not in output, skip_reason=output)
    for line in _offered(done.stdout):
        shown = tour.run("sh", "-c", f"PATH=.venv/bin:$PATH; {line}")
        rows = len(shown.stdout.splitlines()) - 1
        tour.sees(
            f"what the demo offers shows rows: {line}", where=rows > 0, skip_reason=shown.stderr
        )


def _offered(skip_reason: str) -> list[str]:
    """The commands that the demo prints to be tried, as they stand there: a paragraph each."""
    paragraphs = (text.strip().removeprefix(".venv/bin/") for text in skip_reason.split("\n\n"))
    return [text for text in paragraphs if text.startswith("aurum ")]


@contextmanager
def _dev(tour: Tour) -> Iterator[Ui]:
    """``make dev`` until the block ends, then Ctrl-C; its console is looked at."""
    ui = Ui(f"http://127.0.0.1:{tour.ui_port}")
    with in_terminal(["make", "dev"], tour.environment, tour.clone) as console:
        wait_for(ui.is_loaded, "the UI to be there")
        yield ui
        ended, text = console.press(seconds=60).seconds, console.text
    tour.proof.counts["lines of dev's console"] = len(text.splitlines())
    tour.sees("dev stops within 15 s of Ctrl-C", where=ended < 15, skip_reason=f"{ended:.1f} s")  # noqa: PLR2004
    for word in ("DEBUG", "Deprecat", "SupersessionWarning", "Traceback"):
        found = [line for line in text.splitlines() if word in line]
        tour.sees(f"dev's console has no {word}", where=not found, skip_reason="\n".join(found[:3]))
    for port in (tour.ui_port, tour.simulator_port):
        tour.sees(f"nothing listens on {port} after dev", where=not _listening(port))


def _listening(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _opens_calm(tour: Tour, ui: Ui) -> None:
    # Each sensor and schedule has its first ticks.
    wait_for(lambda: all(ui.ticks().values()), "each sensor to tick", 1200)
    failed = [name for name, outcomes in ui.ticks().items() if "FAILURE" in outcomes]
    tour.sees("no sensor fails", where=not failed, skip_reason=failed)
    alerts = tour.aurum("alerts")
    tour.sees("no alert is open", where=alerts.returncode == 0, skip_reason=alerts.stdout)


def _backfills(tour: Tour, ui: Ui) -> None:
    dataset = "isone_da_lmp"
    alone, both = _days_ago(_ALONE, 3), _days_ago(_BOTH, 2)
    runs = ui.backfill([("market", dataset)], alone)
    statuses = [run["status"] for run in runs]
    tour.sees("a table alone, of days without archive, fails", where=statuses == ["FAILURE"] * 3)
    for run in runs:
        for chain in ui.errors(run["runId"]):
            good = "nothing archived of" in chain[0] and f"raw/{dataset}" in chain[0]
            tour.sees("its error says what to do", where=good, skip_reason=chain)
    statuses = [run["status"] for run in ui.backfill(_pair(dataset), both)]
    tour.sees(
        "raw and table together succeed", where=statuses == ["SUCCESS"] * 2, skip_reason=statuses
    )
    failed = [
        check["name"]
        for check in ui.checks("market", dataset)
        if (check["executionForLatestMaterialization"] or {}).get("status") != "SUCCEEDED"
    ]
    tour.sees("each check of it passed", where=not failed, skip_reason=failed)


def _a_failing_operator(tour: Tour, ui: Ui) -> None:
    faults = f"http://127.0.0.1:{tour.simulator_port}/_simulator/faults"
    found = {"next": "500", "times": 200, "match": "hourlylmp"}
    httpx.post(faults, json=found, timeout=10).raise_for_status()
    runs = ui.backfill(_pair("isone_da_lmp"), _days_ago(_FAILING, 1))
    httpx.delete(faults, timeout=10).raise_for_status()
    tour.sees("a failing operator fails the run", where=[r["status"] for r in runs] == ["FAILURE"])
    for chain in (chain for run in runs for chain in ui.errors(run["runId"])):
        tour.sees(
            "the failure leads with its cause",
            where="it answered 500" in chain[0],
            skip_reason=chain[0],
        )
        tour.sees(
            "nowhere is the cause hidden by the retry's own sentence",
            where="max_retries" not in "".join(chain),
            skip_reason=chain,
        )


def _pair(dataset: str) -> list[tuple[str, str]]:
    return [("raw", dataset), ("market", dataset)]


def _days_ago(first: int, count: int) -> list[str]:
    """``count`` days of New York, the oldest first."""
    today = ISONE.day_of(dt.datetime.now(dt.UTC))
    return [today.plus(n - first).key for n in range(count)]


def _health(tour: Tour, ui: Ui) -> None:
    """What the failing operator left open is seen in the UI, and in the watch sensor's tick."""

    def open_() -> list[str]:
        executed = {c["name"]: c["executionForLatestMaterialization"] for c in ui.checks("health")}
        return [name for name, last in executed.items() if last and last["status"] == "FAILED"]

    wait_for(lambda: "failed_run" in open_(), "the asset health to show the failed run", 900)
    tour.sees("watch says in its tick what is open", where="failed_run" in ui.skip_reason("watch"))


def _keys(tour: Tour) -> None:
    """Ctrl-C in each command that takes long on what the demo has brought."""
    for command in _LONG:
        aurum = tour.clone / ".venv/bin/aurum"
        with in_terminal([aurum, *command], tour.environment, tour.clone) as running:
            time.sleep(_UNDER_WAY)
            under_way = running.process.poll() is None
            ended = running.press()
        text = " ".join(command)
        tour.sees(
            f"aurum {text} is still under way at Ctrl-C", where=under_way, skip_reason=ended.text
        )
        tour.sees(f"aurum {text} ends with 130", where=ended.code == 130, skip_reason=ended.text)  # noqa: PLR2004
        tour.sees(
            f"aurum {text} ends in time", where=ended.seconds < _AT_ONCE, skip_reason=ended.seconds
        )
        calm = "interrupted" in ended.text and "Traceback" not in ended.text
        tour.sees(f"aurum {text} says so in a sentence", where=calm, skip_reason=ended.text)
    left = (tour.clone / "all.csv").exists()
    tour.sees("no half file is left by an export", where=not left)


def _screens(tour: Tour) -> None:
    """Each command that reports of the home, in a terminal of 80 columns."""
    for command in _REPORTS:
        _fits(tour, command, {})


def _asks(tour: Tour) -> None:
    """Each command that asks the operators, which the simulator is."""
    operators = Running(Simulator(), "127.0.0.1", tour.simulator_port).environment
    for command in (("doctor",), ("probe", "--dataset", "isone_da_lmp")):
        _fits(tour, command, operators)


def _fits(tour: Tour, command: Sequence[str], more: Mapping[str, str]) -> None:
    aurum = tour.clone / ".venv/bin/aurum"
    with in_terminal([aurum, *command], {**tour.environment, **more}, tour.clone) as running:
        screen = running.end(300)
    text = " ".join(command)
    wide = [line for line in screen.text.splitlines() if len(line) > 80]  # noqa: PLR2004
    tour.sees(f"aurum {text} fits into 80 columns", where=not wide, skip_reason="\n".join(wide[:3]))
    fine = screen.code in {0, 3} or "next request in" in screen.text  # dev has used up the limit
    tour.sees(f"aurum {text} reports", where=fine, skip_reason=screen.text)


def _a_copy(tour: Tour) -> None:
    home, copy = tour.clone / ".aurum", tour.clone.parent / "copied"
    shutil.copytree(home, copy)
    _is_refused_until_relocated(tour, copy, "a copied home", others=[home])


def _a_move(tour: Tour) -> None:
    moved = tour.clone.parent / "moved"
    shutil.move(tour.clone / ".aurum", moved)
    _is_refused_until_relocated(tour, moved, "a moved home", others=[tour.clone.parent / "copied"])
    rebuilt = tour.aurum("replay", "--all", "--rebuild", home=moved)
    tour.sees("a moved home is rebuilt", where=rebuilt.returncode == 0, skip_reason=rebuilt.stderr)


def _is_refused_until_relocated(
    tour: Tour, home: Path, what: str, *, others: Sequence[Path]
) -> None:
    before = [_hashes(other) for other in others]
    for command in (("status",), ("sql", "select 1"), ("replay", "isone_da_lmp", "--all")):
        done = tour.aurum(*command, home=home)
        named = "aurum relocate" in done.stderr and len(done.stderr.strip().splitlines()) == 1
        refused = done.returncode == 2 and named  # noqa: PLR2004  wrong use
        tour.sees(f"{what} is refused by {command[0]}", where=refused, skip_reason=done.stderr)
    done = tour.aurum("relocate", home=home)
    tour.sees(f"{what} is relocated", where=done.returncode == 0, skip_reason=done.stderr)
    verified = tour.aurum("verify", home=home)
    tour.sees(f"{what} is whole then", where=verified.returncode == 0, skip_reason=verified.stdout)
    replayed = tour.aurum("replay", "isone_da_lmp", "--all", home=home)
    tour.sees(f"{what} is written to", where=replayed.returncode == 0, skip_reason=replayed.stderr)
    untouched = [_hashes(other) for other in others] == before
    tour.sees(f"{what} touches no other home", where=untouched)


def _hashes(folder: Path) -> Mapping[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }
