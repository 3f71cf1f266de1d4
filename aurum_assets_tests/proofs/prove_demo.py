"""The demo in other circumstances: after a day of 25 hours, twice a day, long before the schedules.

The test of the demo makes one, at noon. Here one is made just after midnight, of a day on which
the clock was put back; it is made again the same day; and the schedules go on in its home 500 days
later. Promised: nothing is missing, a second one adds nothing, and nobody is alarmed.
"""

import datetime as dt
import logging
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from aurum_assets import ingest
from aurum_assets.demo import Demo, demo_resources, run_demo
from aurum_assets.model.clock import HOUR
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.composition import Resources
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.proofs.proof import Proof, close, home_at
from aurum_assets_tests.proofs.prove_dev import look_at_first, look_at_second

NIGHT = dt.datetime(2026, 11, 2, 5, 1, tzinfo=dt.UTC)  # a minute after midnight in New York
_NOWHERE = dict.fromkeys(("isone", "miso", "pjm"), "http://127.0.0.1:1")
_LATER = dt.timedelta(days=500, hours=12)
_QUARTER = dt.timedelta(minutes=15)


def prove_demo(locations: int = 16, nodes: int = 2) -> Proof:
    """The night, the second demo, the schedules."""
    logging.getLogger("aurum_assets").setLevel(logging.CRITICAL)  # of what falls silent in the end
    proof = Proof("a demo of a day of 25 hours is whole, and one of the same day adds nothing")
    simulated = partial(Simulator, locations=locations, nodes=nodes)
    with tempfile.TemporaryDirectory() as name:
        clock = SetClock(NIGHT)
        home = home_at(Path(name), clock, _NOWHERE)
        first = run_demo(home, lambda _: proof.add("steps"), simulator=simulated)
        look_at_first(proof, home, first)
        _look_at_the_day(proof, home, first)
        clock.set(NIGHT + 5 * HOUR)
        again = run_demo(home, lambda _: proof.add("steps"), simulator=simulated)
        look_at_second(proof, home.now(), first, again)
        proof.add("tables", len(again.lines))
        clock.set(NIGHT + _LATER)
        _go_on(proof, home, clock)
        close(home.lake)
    return proof


def _look_at_the_day(proof: Proof, home: Resources, first: Demo) -> None:
    rows = home.lake.read(ISONE_RT_LMP.table, {"operating_day": first.day.date})
    count = rows["interval_start"].n_unique()
    proof.add("intervals of the day of 25 hours", count)
    proof.holds(f"{count} intervals of {first.day}", where=count == 12 * 25)


def _go_on(proof: Proof, home: Resources, clock: SetClock) -> None:
    """Yesterday and today are repaired, the ticks go on; what stops then is told of."""
    with Simulator(clock, locations=3, nodes=2, limits={}).serve() as running:
        resources = replace(demo_resources(home, running, clock), repairs=20)
        for _ in range(3):
            late = ingest.look(resources, DATASETS, pause=HOUR)
            proof.holds(f"alarmed before: {late}", where=late == [])
            _repair(proof, resources)
            _tick(proof, resources)
            clock.set(clock() + _QUARTER)
        late = ingest.look(resources, DATASETS, pause=HOUR)
        proof.holds(f"alarmed while they run: {late}", where=late == [])
        gaps = [str(repair.gap) for repair in ingest.find_gaps(resources, DATASETS).repairs]
        proof.holds(f"gaps are left: {gaps}", where=not gaps)
        clock.set(clock() + HOUR)
        silent = {alert.dataset for alert in ingest.look(resources, DATASETS, pause=HOUR)}
    ticking = {d.key for d in DATASETS if _ticking(home, d.key)}
    told = {"isone_rt_lmp", "isone_system_load", "isone_zonal_load", MISO_CTS.key}
    proof.add("feeds that fell silent and were told of", len(silent))
    proof.holds(f"silent: {silent}", where=told <= silent <= ticking)


def _repair(proof: Proof, resources: Resources) -> None:
    for repair in ingest.find_gaps(resources, DATASETS).repairs:
        gap = repair.gap
        proof.add("repairs")
        ingest.collect(resources, gap.dataset, gap.day, feeds=gap.feeds, parts=gap.parts)
        ingest.normalize(resources, gap.dataset, gap.day)


def _tick(proof: Proof, resources: Resources) -> None:
    for dataset in DATASETS:
        feeds = _ticking(resources, dataset.key)
        if feeds:
            proof.add("ticks")
            today = dataset.operator.day_of(resources.now())
            ingest.collect(resources, dataset, today, feeds=feeds)
            ingest.normalize(resources, dataset, today)


def _ticking(resources: Resources, key: str) -> list[str]:
    """The feeds of a dataset that are asked several times a day."""
    feeds = resources.configuration.datasets[key].feeds
    return [feed.name for feed in feeds if feed.asked.within_the_day]


if __name__ == "__main__":
    print(prove_demo())
