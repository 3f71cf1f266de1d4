"""Ten days against the live servers' ways: jittered publications, no path only documented.

The definitions' own schedules and sensors are evaluated at their instants, on a set clock. What
they ask for is run in one of two ways. The first ``through_dagster`` hours are run by Dagster
itself: every schedule, sensor, job and check at its own interval. The rest as the assets run it,
without Dagster's process around it (a day is 1,280 runs): every run collects at its instant, the
sensors look three times a day, and the tables are brought up before that. A run asks up to 30 s
after its tick.

Promised: no run is red, no day that is over has a gap, no case of MISO's is missing, no feed is
late, and the operator is asked at most 5 % more often than once a tick and feed, what is asked for
daily and again included. The days have the one of 25 hours. ``live hours=729`` takes a month.
"""

import datetime as dt
import heapq
import logging
import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurum_assets import ingest
from aurum_assets.graph.resources import parts_of
from aurum_assets.ingest.offers import is_known_not_offered
from aurum_assets.model.clock import FIFTEEN_MINUTES, HOUR, OperatingDay, every_day
from aurum_assets.model.dataset import Dataset, Feed
from aurum_assets.model.errors import AurumError, NotYetPublished
from aurum_assets.operators import DATASETS
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.composition import Resources
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.made import remade
from aurum_assets_tests.proofs.proof import Proof, begun, close, home_at

if TYPE_CHECKING:
    import dagster as dg

FIRST = dt.date(2025, 10, 27)
_ZONE = "America/New_York"
MOST = 1.05  # requests for each that is planned
_KNOWN = {d.key: d for d in DATASETS}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_SENSORS = ("gaps", "finals", "isone_da_lmp_is_out")
_INFO = "/info"
_LOOKS = "30 1,9,17 * * *"  # when all have asked for yesterday's last values; when finals are due
_LONGEST_LAG = 30.0  # seconds from a tick to the request of its run
_ASKED_WITHIN = 8 * HOUR  # of when it is due: by the daily schedules of the morning, or a look
_MEMORY = Path("/dev/shm")  # noqa: S108  where it is there: what a disk takes is not the question


@dataclass
class Live:
    """A home, the definitions over it, and the operators that it reaches, on one clock."""

    resources: Resources
    clock: SetClock
    simulator: Simulator
    proof: Proof
    instance: "dg.DagsterInstance"
    through_dagster: bool = False
    cursors: dict[str, str | None] = field(default_factory=dict)
    archived: set[tuple[str, str]] = field(default_factory=set)
    lag: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  no secret

    def __post_init__(self) -> None:
        from aurum_assets.definitions import build

        self.definitions = build(self.resources)
        self.repository = self.definitions.get_repository_def()

    def live(self, start: dt.datetime, end: dt.datetime) -> None:
        """Every schedule and sensor from ``start`` to ``end``, in the order of their instants."""
        for instant, name in heapq.merge(*self._ticks(start, end)):
            self.clock.set(dt.datetime.fromtimestamp(instant, dt.UTC))
            if name in _SENSORS:
                self._bring_up()
                requests = self._sensor(name)
            else:
                requests = self._schedule(name)
                self.proof.add("ticks of schedules")
            self.clock.set(self.clock() + dt.timedelta(seconds=self.lag.uniform(0, _LONGEST_LAG)))
            for request in requests:
                self._run(request)
        self.clock.set(end)
        self._bring_up()

    def _ticks(self, start: dt.datetime, end: dt.datetime) -> list[Iterator[tuple[float, str]]]:
        from aurum_assets.graph.jobs import schedule_groups

        pairs = [(d, self.resources.config(d)) for d in DATASETS]
        asking = [
            self.repository.get_schedule_def(f"{b.name}_schedule") for b in schedule_groups(pairs)
        ]
        sensors = [self.repository.get_sensor_def(name) for name in _SENSORS]
        return [
            *(
                _cron_ticks(s.name, str(s.cron_schedule), s.execution_timezone, start, end)
                for s in asking
            ),
            *(
                _every(s.name, s.minimum_interval_seconds or 0, start, end)
                if self.through_dagster
                else _cron_ticks(s.name, _LOOKS, _ZONE, start, end)
                for s in sensors
            ),
        ]

    def _schedule(self, name: str) -> "list[dg.RunRequest]":
        import dagster as dg

        schedule = self.repository.get_schedule_def(name)
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=self.clock(),
            repository_def=self.repository,
        ) as context:
            requests = list(schedule.evaluate_tick(context).run_requests or [])
        return [r.with_replaced_attrs(job_name=schedule.job_name) for r in requests]

    def _sensor(self, name: str) -> "list[dg.RunRequest]":
        import dagster as dg

        sensor = self.repository.get_sensor_def(name)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            repository_def=self.repository,
            resources=parts_of(self.resources),
        ) as context:
            tick = sensor.evaluate_tick(context)
        self.cursors[name] = tick.cursor
        requests = list(tick.run_requests or [])
        self.proof.add(f"runs asked for by {name}", len(requests))
        only = next(iter(sensor.targets)).job_name
        return [r.with_replaced_attrs(job_name=r.job_name or only) for r in requests]

    # --- runs ------------------------------------------------------------------------------------

    def _run(self, request: "dg.RunRequest") -> None:
        self.proof.add("runs")
        red = self._by_dagster(request) if self.through_dagster else self._lean(request)
        if red:
            self.proof.add("red runs")
            sentence = f"{self.clock():%F %R}Z {request.job_name} {request.partition_key}: {red}"
            self.proof.broken.append(sentence)

    def _by_dagster(self, request: "dg.RunRequest") -> str:
        from aurum_assets.graph.jobs import job_of

        job = self.definitions.resolve_job_def(request.job_name or "")
        some = request.asset_selection
        done = (job_of(job, some) if some else job).execute_in_process(
            partition_key=request.partition_key,
            run_config={**request.run_config, **_QUIET},
            tags=dict(request.tags),
            instance=self.instance,
            raise_on_error=False,
        )
        events = [e for e in done.all_events if e.is_failure]
        return "" if done.success else "; ".join(str(e.message) for e in events)

    def _lean(self, request: "dg.RunRequest") -> str:
        """What the raw assets of the run do; the tables follow before the next look."""
        reds = []
        for op, op_config in request.run_config["ops"].items():
            dataset, config = _KNOWN[op.removeprefix("raw__")], op_config["config"]
            day = dataset.day(request.partition_key or "")
            red, done = self._collect(dataset, day, config)
            self.archived |= {(dataset.key, key) for key in done.days}
            reds += [red] if red else []
        return "; ".join(reds)

    def _collect(
        self, dataset: Dataset, day: OperatingDay, config: Mapping[str, Any]
    ) -> tuple[str, ingest.Collected]:
        done = ingest.Collected()
        try:
            ingest.collect(
                self.resources,
                dataset,
                day,
                feeds=config["feeds"],
                parts=config.get("parts"),
                into=done,
            )
        except NotYetPublished as error:
            final = ingest.may_come_later(self.resources, dataset, done.not_yet)
            return "" if final else str(error), done
        except AurumError as error:
            return str(error), done
        return "" if done.not_offered else done.refusal, done

    def _bring_up(self) -> None:
        for key, day in sorted(self.archived):
            dataset = _KNOWN[key]
            normalized = ingest.normalize(self.resources, dataset, dataset.day(day))
            self.proof.add("rows", normalized.merged.new)
        self.archived.clear()


def _cron_ticks(
    name: str, cron: str, zone: str | None, start: dt.datetime, end: dt.datetime
) -> Iterator[tuple[float, str]]:
    from dagster._utils.schedules import cron_string_iterator

    for at in cron_string_iterator(start.timestamp(), cron, zone):
        if at >= end:
            return
        yield at.timestamp(), name


def _every(
    name: str, seconds: int, start: dt.datetime, end: dt.datetime
) -> Iterator[tuple[float, str]]:
    at = start.timestamp() + 60 * (1 + _SENSORS.index(name))
    while at < end.timestamp():
        yield at, name
        at += seconds


# --- the proof -----------------------------------------------------------------------------------


def prove_live(
    hours: float = 10 * 24 + 9, through_dagster: float = 8, locations: int = 8, seed: int = 0
) -> Proof:
    """``through_dagster`` hours by Dagster, then the rest of ``hours`` without its process.

    Gaps are looked for as of eight hours before the end, and in days that were over by then: that
    is the end of the tenth, one of which has 25 hours.
    """
    import dagster as dg

    logging.getLogger("pyiceberg").setLevel(logging.ERROR)
    what = f"{hours / 24:.2g} days" if hours >= 24 else f"{hours:g} hours"  # noqa: PLR2004  a day
    proof = Proof(f"{what} as the live servers answer: no red run, no gap, asked as planned")
    first = OperatingDay(FIRST, _ZONE)
    clock = SetClock(first.start)
    simulator = Simulator(clock, seed, locations=locations, limits={}, live_only=True, jitter=True)
    with (
        tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as name,
        simulator.serve() as running,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        urls = running.urls
        resources = begun(remade(home_at(Path(name), first.start, urls), clock=clock), FIRST)
        live = Live(resources, clock, simulator, proof, instance, through_dagster=True)
        change = first.start + through_dagster * HOUR
        end = first.start + hours * HOUR
        live.live(first.start, change)
        live.through_dagster = False
        live.live(change, end)
        _count(live, first.start, end)
        _look(live, first, OperatingDay.of(end, first.zone))
        close(resources.lake)
    return proof


def _count(live: Live, start: dt.datetime, end: dt.datetime) -> None:
    """What the operators saw, beside what is planned."""
    proof, seen = live.proof, live.simulator.requests
    often = tuple(_asked_within_the_day(live.resources))
    current = sum(any(path in s.path for path in often) for s in seen)
    ticks, daily = planned(live.resources, start, end)
    proof.add("requests for the newest interval", current)
    proof.add("of them planned: one a tick and feed", ticks)
    proof.holds(f"{current} requests at {ticks} ticks", where=ticks <= current <= MOST * ticks)
    proof.add("requests made in all", len(seen))
    proof.add("of them planned: those, and each day's once and again", ticks + daily)
    proof.add("of them whether something is out", sum(s.path.endswith(_INFO) for s in seen))
    most = MOST * (ticks + daily)
    proof.holds(f"{len(seen)} requests for {ticks + daily} planned", where=len(seen) <= most)


def _asked_within_the_day(resources: Resources) -> Iterator[str]:
    """How the paths begin that schedules ask several times a day."""
    for config in resources.configuration.datasets.values():
        for feed in config.feeds:
            if feed.asked.within_the_day:
                for endpoint in feed.endpoints:
                    yield endpoint.path.partition("?")[0].partition("{")[0]


def planned(resources: Resources, start: dt.datetime, end: dt.datetime) -> tuple[int, int]:
    """How many requests the ticks take, one a feed, and how many the days asked for daily."""
    due = [d for d in ingest.requests_due(resources, DATASETS, start, end) if not d.probe]
    daily = sum(not _feed(resources, d).asked.within_the_day for d in due)
    return len(due) - daily, daily


def _feed(resources: Resources, due: ingest.Due) -> Feed:
    config = resources.configuration.datasets[due.dataset]
    return next(feed for feed in config.feeds if feed.name == due.feed)


def _look(live: Live, first: OperatingDay, last: OperatingDay) -> None:
    """No feed is late, no day that is over lacks what was due, and MISO's has every case."""
    home, proof, days = live.resources, live.proof, every_day(first, last)
    late = [a.sentence for a in ingest.look(home, DATASETS) if a.kind == "late_feed"]
    proof.holds(f"late: {late}", where=not late)
    live.clock.set(home.now() - _ASKED_WITHIN)
    for dataset in DATASETS:
        absent = [
            f.name for f in home.config(dataset).feeds if is_known_not_offered(home, dataset, f)
        ]
        proof.add("feeds found not to be offered", len(absent))
        held = set(home.lake.days(dataset.table))
        for day in (dataset.day(d.key) for d in days):
            if day.end > home.now() or day.date < min(held, default=day.date):
                continue  # nobody asks for what was before the first day held
            gap = ingest.gap_of(home, dataset, day, stored=day.date in held)
            proof.add("days looked at")
            proof.holds(f"{gap}", where=gap is None)
    for day in (MISO_CTS.day(d.key) for d in days[1:]):
        if day.end > home.now():
            continue
        rows = home.lake.read(MISO_CTS.table, {"operating_day": day.date}, ("published_at",))
        cases, due = rows["published_at"].n_unique(), len(day.marks(FIFTEEN_MINUTES))
        proof.add("cases of MISO's", cases)
        proof.holds(f"{day} has {cases} of {due} cases", where=cases == due)
