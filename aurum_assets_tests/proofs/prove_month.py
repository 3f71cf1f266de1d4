"""A month of every dataset through Dagster, killed and resumed, counted by the operator.

A process materializes partition after partition; it is killed at random moments and another one
goes on. In the end every partition is there and green, and the simulated operator has been asked
exactly what the plan says, never more often in any window of its clock than it allows. What the
dataset under way at a kill had asked is asked once more.

    python -m aurum_assets_tests.proofs.prove_month FOLDER   (the process that works: ``Month``)
"""

import datetime as dt
import json
import logging
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from aurum_assets.graph.resources import parts_of
from aurum_assets.ingest.feeds import due_feeds, parts_asked
from aurum_assets.model.clock import OperatingDay, every_day
from aurum_assets.model.dataset import Dataset, DatasetConfig
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.operators import limits
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.proofs.proof import Proof, begun, close, home_at

if TYPE_CHECKING:
    import dagster as dg

SCALE = 50.0
_FIRST = dt.date(2025, 6, 1)
_EVENING = dt.timedelta(hours=20)
_FINAL = dt.timedelta(days=5)  # until then everything of the month has become final
_BACKFILL = {"dagster/backfill": "month"}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_OK = 200
_FEEDS_OF_A_DAY = 3  # at most: of a dataset that was under way at a kill they are asked again


@dataclass(frozen=True)
class Month:
    """The settings of the working process, as JSON in its folder."""

    urls: dict[str, str]
    control_url: str
    days: int

    def resources(self, root: Path, now: dt.datetime) -> Resources:
        """The home in ``root``, at an instant; the operators' clock is set to the same."""
        answer = httpx.post(f"{self.control_url}/clock", json={"now": now.isoformat()})
        answer.raise_for_status()
        return begun(home_at(root / "home", now, self.urls, limit_scale=SCALE), _FIRST)

    def steps(self, root: Path) -> Iterator[tuple[Resources, OperatingDay, list[Dataset]]]:
        """Each day with the datasets to materialize, and a home at the instant to ask for them.

        What answers only for now is asked on the evening of each day, all else after the month.
        """
        every = {d.key: self.resources(root, _noon()).config(d) for d in DATASETS}
        only_now = [d for d in DATASETS if is_of_now(every[d.key])]
        for day in days_of(only_now[0], self.days):
            yield self.resources(root, day.start + _EVENING), day, only_now
        for zone in dict.fromkeys(d.operator.zone for d in DATASETS):
            ours = [d for d in DATASETS if d.operator.zone == zone and d not in only_now]
            days = days_of(ours[0], self.days)
            home = self.resources(root, days[-1].end + _FINAL)
            for day in days:
                yield home, day, ours


def is_of_now(config: DatasetConfig) -> bool:
    """Whether its operator shows it on the day alone, or on the one after it at most."""
    return all(feed.asks == "now" or feed.keeps_days == 1 for feed in config.feeds)


def _noon() -> dt.datetime:
    return dt.datetime.combine(_FIRST, dt.time(16), dt.UTC)


def days_of(dataset: Dataset, count: int) -> list[OperatingDay]:
    """The days of the month in the dataset's zone."""
    first = OperatingDay(_FIRST, dataset.operator.zone)
    return every_day(first, first.plus(count - 1))


def planned(resources: Resources, dataset: Dataset, day: OperatingDay) -> int:
    """How many requests the day takes."""
    ours = dataset.day(day.key)
    feeds = due_feeds(resources, dataset, ours, None)
    return sum(len(parts_asked(resources, feed, ours)) for feed in feeds)


def work(folder: Path) -> None:
    """Materialize what is not there yet, until everything is."""
    import dagster as dg

    from aurum_assets.graph.assets import raw_asset, table_asset

    logging.getLogger("pyiceberg").setLevel(logging.ERROR)
    month = Month(**json.loads((folder / "month.json").read_text()))
    with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
        for home, day, datasets in month.steps(folder):
            for some in _together(home, [d for d in datasets if not _is_there(instance, d, day)]):
                done = dg.materialize(
                    [make(d, home.config(d)) for d in some for make in (raw_asset, table_asset)],
                    partition_key=day.key,
                    instance=instance,
                    resources=parts_of(home),
                    run_config=_QUIET,
                    tags=_BACKFILL,
                )
                # One answer of the moment, asked for once in the evening, is no whole day.
                of_now = {d.key for d in some if is_of_now(home.config(d))}
                broken = [
                    e
                    for e in done.get_asset_check_evaluations()
                    if not e.passed
                    and not (e.check_name == "completeness" and e.asset_key.path[-1] in of_now)
                ]
                with (folder / "failed.txt").open("a") as file:
                    file.writelines(
                        f"{e.asset_key.to_user_string()} {day}: {e.check_name}: {e.description}\n"
                        for e in broken
                    )


def _is_there(instance: "dg.DagsterInstance", dataset: Dataset, day: OperatingDay) -> bool:
    from aurum_assets.graph.assets import table_key

    return day.key in instance.get_materialized_partitions(table_key(dataset))


def _together(resources: Resources, datasets: Sequence[Dataset]) -> list[list[Dataset]]:
    """Datasets by their partitions: one run holds what has the same."""
    from aurum_assets.graph.assets import partitions

    found: dict[object, list[Dataset]] = {}
    for dataset in datasets:
        found.setdefault(partitions(dataset, resources.config(dataset)), []).append(dataset)
    return list(found.values())


def prove_month(days: int = 30, kills: int = 5, locations: int = 16, seed: int = 0) -> Proof:
    """``days`` of every dataset, with ``kills`` kills on the way."""
    proof = Proof(f"{days} days of every dataset through Dagster, killed and resumed: asked once")
    chance = random.Random(seed)  # noqa: S311  repeatable, no secret
    simulator = Simulator(SetClock(_noon()), limits=limits(SCALE), locations=locations, nodes=2)
    with tempfile.TemporaryDirectory() as name, simulator.serve() as running:
        folder = Path(name)
        month = Month(dict(running.urls), running.control_url, days)
        (folder / "month.json").write_text(json.dumps(asdict(month)))
        (folder / "dagster").mkdir()
        shutil.copy(PROJECT / "dagster.yaml", folder / "dagster")
        plan = sum(
            planned(home, dataset, day)
            for home, day, datasets in month.steps(folder)
            for dataset in datasets
            if dataset.shares is None  # else another one asks
        )
        seen = simulator.ledger.seen
        for mark in sorted(chance.sample(range(1, plan), kills)):
            _work(proof, folder, partial(_reached, seen, mark), chance.uniform(0, 0.4))
        _work(proof, folder)
        _count(proof, simulator, plan, kills)
        _look(proof, folder, month)
    return proof


def _reached(seen: Sequence[object], mark: int) -> bool:
    return len(seen) >= mark


def _work(
    proof: Proof, folder: Path, enough: Callable[[], bool] | None = None, after: float = 0.0
) -> None:
    """Let a process work to its end, or kill it some seconds ``after`` it is ``enough``."""
    command = [sys.executable, "-m", "aurum_assets_tests.proofs.prove_month", str(folder)]
    with subprocess.Popen(command, cwd=PROJECT) as process:  # noqa: S603  our own arguments
        while enough is not None and not enough() and process.poll() is None:
            time.sleep(0.01)
        if enough is None:
            proof.holds(f"the process ended with {process.wait()}", where=process.wait() == 0)
            return
        time.sleep(after)
        if process.poll() is None:
            process.kill()
            proof.add("kills")


def _count(proof: Proof, simulator: Simulator, plan: int, kills: int) -> None:
    """What the operator saw."""
    ledger = simulator.ledger
    made, again = len(ledger.seen), len(ledger.seen) - plan
    proof.add("requests planned", plan)
    proof.add("requests made", made)
    proof.add("of them again, of what was under way at a kill", again)
    where = 0 <= again <= kills * _FEEDS_OF_A_DAY
    proof.holds(f"{made} requests for {plan} planned", where=where)
    other = [s for s in ledger.seen if s.status not in (_OK, 0)]
    proof.holds(f"{len(other)} refused, the first: {other[:1]}", where=not other)
    for operator, own in limits().items():
        for limit in own:
            most, allowed = ledger.most_in(limit.seconds, operator), limit.requests * SCALE
            proof.add(f"most requests to {operator} in {limit.seconds:.0f} s", most)
            what = f"{most} requests to {operator} in {limit.seconds} s, {allowed:.0f} allowed"
            proof.holds(what, where=most <= allowed)


def _look(proof: Proof, folder: Path, month: Month) -> None:
    """Every partition is materialized and green, and holds rows; a sparse table may hold none."""
    import dagster as dg

    failed = (folder / "failed.txt").read_text().splitlines()
    proof.broken += [f"a check failed: {line}" for line in failed]
    with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
        for home, day, datasets in month.steps(folder):
            for dataset in datasets:
                rows = home.lake.counts(dataset.table, {"operating_day": day.date})[0]
                there = _is_there(instance, dataset, day)
                enough = rows > 0 or bool(dataset.table.sparse)
                proof.holds(f"{dataset.key} {day} has {rows} rows", where=there and enough)
                proof.add("partitions")
                proof.add("rows", rows)
            close(home.lake)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
