"""The purge: Dagster's storage stays small, what the UI shows stays right, a kill harms nothing.

A job of two assets with twelve checks runs many times a simulated day for the day's partition, as a
five-minute job does; after each day the runs before it are purged. Then purges are killed beside a
process that goes on running the job. Last, a year of kept runs, made of copies of real ones, says
what a pass costs that finds nothing.
"""

import datetime as dt
import random
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg

from aurum_assets.graph.purge import Purged, purge
from aurum_assets_tests.forks import FORKS
from aurum_assets_tests.proofs.proof import Proof

_ASSETS = [dg.AssetKey(["market", name]) for name in ("prices", "load")]
_CHECKS = [f"check_{n}" for n in range(12)]
_FIRST = dt.date(2026, 1, 1)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_JOBS_A_DAY = 8  # runs that a day keeps: the last one of each job
_IDLE_SECONDS = 5.0  # for a pass over a year that finds nothing to purge


def _asset(key: dg.AssetKey) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        partitions_def=dg.DailyPartitionsDefinition(_FIRST.isoformat(), end_offset=10_000),
        check_specs=[dg.AssetCheckSpec(name, asset=key) for name in _CHECKS],
    )
    def made() -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]  # with it, Dagster refuses the checks
        results = [
            dg.AssetCheckResult(passed=True, check_name=name, metadata={"reason": "x" * 300})
            for name in _CHECKS
        ]
        yield dg.MaterializeResult(metadata={"schema": "x" * 3000}, check_results=results)

    return made


def _definitions() -> dg.Definitions:
    job = dg.define_asset_job("tick", executor_def=dg.in_process_executor)
    return dg.Definitions(assets=[_asset(key) for key in _ASSETS], jobs=[job])


def _instance(root: Path) -> dg.DagsterInstance:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return dg.DagsterInstance.from_config(str(root))


def _run(definitions: dg.Definitions, instance: dg.DagsterInstance, day: str) -> str:
    job = definitions.resolve_job_def("tick")
    return job.execute_in_process(partition_key=day, instance=instance, run_config=_QUIET).run_id


def _size(root: Path) -> int:
    return sum(file.stat().st_size for file in root.rglob("*") if file.is_file())


def _shown(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the UI shows of each asset and check, by the public interface."""
    events = instance.event_log_storage
    found: dict[str, Any] = {}
    for key in _ASSETS:
        latest = events.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        checks = [dg.AssetCheckKey(key, name) for name in _CHECKS]
        results = events.get_asset_check_partition_info(checks)
        found[key.to_user_string()] = (
            sorted(instance.get_materialized_partitions(key)),
            dict(latest),
            sorted(
                (r.check_key.name, str(r.partition_key), r.latest_execution_status.value)
                for r in results
            ),
        )
    return found


# --- flat ----------------------------------------------------------------------------------------


def _flat(proof: Proof, root: Path, days: int, ticks: int) -> None:
    """Bytes after each day's purge, which keeps the runs of the last day."""
    definitions, sizes = _definitions(), []
    with _instance(root) as instance:
        for number in range(days):
            day = (_FIRST + dt.timedelta(days=number)).isoformat()
            before = dt.datetime.now(dt.UTC)
            for _ in range(ticks):
                _run(definitions, instance, day)
                proof.add("runs")
            grown, shown = _size(root), _shown(instance)
            done = purge(instance, before)
            proof.add("of them purged", done.runs)
            proof.holds(f"day {number}: shown as before", where=_shown(instance) == shown)
            sizes.append(_size(root))
            proof.counts[f"bytes before the purge of day {number + 1}"] = f"{grown:,}"
            proof.counts[f"bytes after it, {done.kept} old runs kept"] = f"{sizes[-1]:,}"
        partitions = instance.get_materialized_partitions(_ASSETS[0])
        proof.holds("each day is shown as materialized", where=len(partitions) == days)
    a_run = sizes[0] / ticks
    growth = (sizes[-1] - sizes[1]) / (len(sizes) - 2)
    proof.counts["bytes of a run"] = f"{a_run:,.0f}"
    proof.counts["bytes a day that stay (of its last run)"] = f"{growth:,.0f}"
    proof.holds("a day leaves less than half of a run", where=growth < a_run / 2)


# --- killed --------------------------------------------------------------------------------------


def _purge_all(root: Path) -> None:
    with _instance(root) as instance:
        purge(instance, dt.datetime.now(dt.UTC))


def _go_on(root: Path, over: Any, runs: Any) -> None:  # noqa: ANN401  an event and a queue
    """Run the job until stopped, as a daemon would."""
    definitions = _definitions()
    with _instance(root) as instance:
        while not over.is_set():
            runs.put(_run(definitions, instance, _FIRST.isoformat()))


def _killed(proof: Proof, root: Path, kills: int) -> None:
    definitions = _definitions()
    over, runs = FORKS.Event(), FORKS.Queue()
    with _instance(root) as instance:
        for day in range(1, 4):
            _run(definitions, instance, (_FIRST + dt.timedelta(days=day)).isoformat())
        writer = FORKS.Process(target=_go_on, args=(root, over, runs))
        writer.start()
        made = [runs.get(timeout=120)]
        drawn = random.Random(9)  # noqa: S311  repeatable, no secret
        for _ in range(kills):
            killed = FORKS.Process(target=_purge_all, args=(root,))
            killed.start()
            killed.join(timeout=drawn.uniform(1.0, 4.0))  # 2 s of it are imports
            if killed.is_alive():
                killed.kill()
                proof.add("purges killed")
            killed.join()
            shown = instance.get_materialized_partitions(_ASSETS[1])
            proof.holds("all days are shown after a kill", where=len(shown) == 4)  # noqa: PLR2004
        over.set()
        writer.join()
        proof.holds("the process beside it never failed", where=writer.exitcode == 0)
        while not runs.empty():
            made.append(runs.get())
        proof.add("runs made beside them", len(made))
        before = _shown(instance)
        purge(instance, dt.datetime.now(dt.UTC))
        proof.holds("the last purge changes nothing shown", where=_shown(instance) == before)
        left = {run.run_id for run in instance.get_runs()}
        proof.holds("of each partition the last run is left", where=len(left) == 4)  # noqa: PLR2004
        proof.holds("the last run beside it is left", where=made[-1] in left)
        with closing(sqlite3.connect(root / "history" / "runs" / "index.db")) as db:
            rows = db.execute("SELECT DISTINCT run_id FROM event_logs").fetchall()
        proof.holds("no event is left of a run that is gone", where={r for (r,) in rows} <= left)


# --- a year --------------------------------------------------------------------------------------


def _copied(
    root: Path, run_id: str, copies: Sequence[tuple[str, str]], *, files: bool = False
) -> None:
    """Copy the rows of a run, and its file: (id, partition) of each copy, of long ago."""
    history = root / "history"
    index = history / "runs" / "index.db"
    for file, table in (
        (history / "runs.db", "runs"),
        (index, "event_logs"),
        (index, "asset_check_executions"),
    ):
        with closing(sqlite3.connect(file)) as db, db:
            names = [str(r[1]) for r in db.execute(f"PRAGMA table_info({table})") if r[1] != "id"]
            chosen, marks = ", ".join(names), ", ".join("?" * len(names))
            found = f"SELECT {chosen} FROM {table} WHERE run_id = ?"  # noqa: S608  names of ours
            rows = [dict(zip(names, row, strict=True)) for row in db.execute(found, (run_id,))]
            db.executemany(
                f"INSERT INTO {table} ({chosen}) VALUES ({marks})",  # noqa: S608  as above
                (_as_copy(row, new, day) for new, day in copies for row in rows),
            )
    for new, _ in copies if files else ():
        shutil.copyfile(history / "runs" / f"{run_id}.db", history / "runs" / f"{new}.db")


def _as_copy(row: Mapping[str, Any], run_id: str, day: str) -> tuple[Any, ...]:
    old = {"run_id": run_id, "create_timestamp": "2025-01-01 00:00:00", "end_time": 1.0}
    if row.get("partition"):
        old["partition"] = day
    return tuple(old.get(name, value) for name, value in row.items())


def _year(proof: Proof, root: Path, days: int, ticks: int) -> None:
    """A pass over the runs that ``days`` keep; then one that purges a day of ``ticks``."""
    with _instance(root) as instance:
        template = _run(_definitions(), instance, _FIRST.isoformat())
        purge(instance, dt.datetime.now(dt.UTC))  # of an old run that stays, the log goes
        keys = [(_FIRST + dt.timedelta(days=n)).isoformat() for n in range(1, days + 1)]
        kept = [(str(uuid.uuid4()), f"{key}|{n}") for key in keys for n in range(_JOBS_A_DAY)]
        _copied(root, template, kept)
        now = dt.datetime.now(dt.UTC)
        began = time.perf_counter()
        done = purge(instance, now)
        idle = time.perf_counter() - began
        proof.holds("a year's kept runs are kept", where=done == Purged(kept=len(kept) + 1))
        proof.counts[f"runs kept of {days} days"] = done.kept
        proof.counts["seconds of a pass that finds nothing"] = round(idle, 2)
        proof.holds("it takes some seconds at most", where=idle < _IDLE_SECONDS)
        _copied(
            root, template, [(str(uuid.uuid4()), keys[0] + "|0") for _ in range(ticks)], files=True
        )
        began = time.perf_counter()
        done = purge(instance, dt.datetime.now(dt.UTC))
        spent = time.perf_counter() - began
        proof.holds("a day's runs but the last are purged", where=done.runs == ticks)
        proof.counts[f"seconds to purge {ticks} runs beside them"] = round(spent, 2)


def prove_purge(
    days: int = 6, ticks: int = 12, kills: int = 12, year: int = 365, a_day: int = 960
) -> Proof:
    """Run the job ``ticks`` times on each of ``days``; kill ``kills`` purges; hold a ``year``."""
    proof = Proof("Dagster's storage is flat, and a purge changes nothing that is shown")
    with tempfile.TemporaryDirectory() as folder:
        _flat(proof, Path(folder) / "flat", days, ticks)
        if kills:
            _killed(proof, Path(folder) / "killed", kills)
        _year(proof, Path(folder) / "year", year, a_day)
    return proof
