"""The demo: a simulated operator, all of yesterday and two live ticks of now, through Dagster.

Its clock is set step by step and ends now, and its limits are raised, so nobody waits. What it
writes lies under ``AURUM_HOME`` like everything else; ``make dev`` opens there and goes on from it.
A second demo of a day asks at the instants of the first: it finds all of it there and adds nothing.
The operator errs as operators do (``World.mistakes``), so that there is a correction and a
quarantined record to look at; ``looks`` gives the commands that show them.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from aurum_assets.definitions import build
from aurum_assets.graph.alerts import DEMO
from aurum_assets.graph.jobs import (
    ScheduleGroup,
    asked_by,
    asset_keys,
    job_of,
    schedule_groups,
)
from aurum_assets.graph.kept import kept_connections
from aurum_assets.graph.reference import reference_key
from aurum_assets.graph.report import JOB, REPORT
from aurum_assets.graph.translate import feeds_config
from aurum_assets.graph.under_way import UNDER_WAY
from aurum_assets.ingest.reference import EVERY
from aurum_assets.marts.ahead import parsed_beside
from aurum_assets.marts.tables import MARTS
from aurum_assets.model.cadence import CADENCES, cadence_of
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, DatasetConfig
from aurum_assets.model.operator import Operator
from aurum_assets.operators import DATASETS, OPERATORS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.operator import ISONE
from aurum_assets.resources.composition import Resources, Specification, compose
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.credentials import access
from aurum_assets.resources.settings import Settings
from aurum_assets.resources.workers import dagster_folder
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets.simulator.world import SetClock

TICKS = 2
_RAISED = 1_000.0
_MORNING = dt.timedelta(hours=6)
_HALF_PAST_NOON = dt.time(12, 30)
_ONCE_CLEARED = cadence_of("daily", ahead=True).at
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_REMEMBERED = 30 * 86_400.0

_LOOKS = {
    "The seam: forecasts of PJM's price, that of MISO, and the flow": """
  select f.interval_start, f.lmp as cts, s.lmp as it_sced,
    m.lmp as miso, n.interchange as flow
  from miso_cts_vintage('30m') f
  join pjm_itsced_lmp_vintage('0m') s using (interval_start)
  join miso_expost_lmp m using (interval_start)
  join miso_interchange n using (interval_start)
  where s.location_id = '40523629' and m.location = 'PJMC'
    and n.neighbour = 'PJM'
  order by f.interval_start desc limit 5""",
    "A price that the operator corrected": """
  select location_id, interval_start, h.lmp as was, t.lmp as became
  from isone_rt_lmp_history h join isone_rt_lmp t
  using (operating_day, location_id, interval_start, finality)
  where operating_day = '{day}' and location_id = '4000'""",
    "The record that was kept out, and why": """
  select operating_day, rules, reason from quarantine
  where dataset = 'miso_cts' order by fetched_at desc limit 3""",
    "Prices with congestion": """
  select interval_start, location_id, lmp, energy, congestion, loss
  from isone_rt_lmp where operating_day = '{day}'
  order by abs(congestion) desc, location_id limit 5""",
    "Final values beside preliminary ones": """
  select interval_start, location_id, p.lmp as prelim, f.lmp as final
  from isone_rt_hourly_lmp p join isone_rt_hourly_lmp f
  using (interval_start, location_id)
  where p.finality = 'prelim' and f.finality = 'final' and p.lmp <> f.lmp
  order by interval_start, location_id limit 5""",
}

Tell = Callable[[str], None]


@dataclass
class Line:
    """What the demo did of one table."""

    dataset: str
    snapshots: int = 0
    duplicates: int = 0
    rows_added: int = 0
    rows: int = 0
    quarantined: int = 0
    checks_passed: int = 0
    checks_warned: int = 0
    checks_failed: int = 0
    seconds: float = 0.0


@dataclass
class Demo:
    """Lines by table, what failed, ``day``: yesterday in New England, and its page."""

    day: OperatingDay
    lines: dict[str, Line] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    pages: list[Path] = field(default_factory=list)


def demo_resources(
    resources: Resources, running: Running, clock: Callable[[], dt.datetime]
) -> Resources:
    """``home`` on embedded defaults, the simulator for its operators, and its clock."""
    reached = {o.name: access(o, running.environment) for o in OPERATORS}
    return compose(  # on no server: nothing that was made up goes where others look
        Specification(
            resources.root,
            load_config(resources.config_folder, DATASETS),
            base_urls={name: one.base_url for name, one in reached.items()},
            credentials={name: one.credentials for name, one in reached.items()},
            limit_scale=_RAISED,
            clock=clock,
            repairs=resources.repairs,
            keep_runs_days=resources.keep_runs_days,
            config_folder=resources.config_folder,
        )
    )


def dagster_instance(resources: Resources) -> dg.DagsterInstance:
    """The Dagster instance of this home, where ``make dev`` finds the demo's runs."""
    return dg.DagsterInstance.from_config(str(dagster_folder(resources.root, Settings.read())))


def run_demo(
    resources: Resources, tell: Tell, simulator: Callable[..., Simulator] = Simulator
) -> Demo:
    """Everything that the demo shows; ``tell`` is called before each step."""
    clock = SetClock(resources.now())
    with simulator(now=clock, limits={}, mistakes=True).serve() as running:
        ours = demo_resources(resources, running, clock)
        now = _first_of_the_day(ours)
        found = Demo(_yesterday(ISONE, now), {key: Line(key) for key in _tables()})
        held = _rows(ours)
        definitions = build(ours)
        with dagster_instance(resources) as instance:
            _cancel_stopped(instance)
            steps = _plan(ours, now)
            count = len(steps) + 2
            with parsed_beside(ours.root, ours.config_folder):
                for number, step in enumerate(steps, 1):
                    clock.set(step.instant)
                    tell(f"{number:2}/{count} {step.what}")
                    _run(definitions, instance, step, found)
            tell(f"{count - 1:2}/{count} the marts: what the desk reads")
            _build_marts(definitions, instance, found)
            tell(f"{count:2}/{count} the report: what the desk looks at")
            _report(definitions, instance, found)
        for key, rows in _rows(ours).items():
            found.lines[key].rows = rows
            if key in {r.key for r in EVERY}:
                found.lines[key].rows_added = rows - held[key]
    return found


def _cancel_stopped(instance: dg.DagsterInstance) -> None:
    """No process goes on with a run of a demo that was stopped: end it as canceled."""
    for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags={DEMO: "true"})):
        instance.report_run_canceled(run, "The demo was stopped.")


def _tables() -> Mapping[str, Any]:
    references = {r.key: r.table for r in EVERY}
    marts = {table.name: table for table in MARTS}
    return {d.key: d.table for d in DATASETS} | references | marts


def _rows(resources: Resources) -> dict[str, int]:
    """How many rows each table holds."""
    found = {key: resources.lake.summary(table) for key, table in _tables().items()}
    return {key: summary.rows if summary else 0 for key, summary in found.items()}


def _first_of_the_day(resources: Resources) -> dt.datetime:
    """Now, or the now of the first demo of this day in New England."""
    now = resources.now()
    key = f"demo:{ISONE.day_of(now)}"
    first = resources.state.get(key)
    if first is not None:
        return dt.datetime.fromisoformat(first)
    resources.state.set(key, now.isoformat(), _REMEMBERED)
    return now


# --- what is run ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A run of the demo: the job ``name`` at an ``instant``, for a partition of ``assets``."""

    instant: dt.datetime
    name: str
    day: OperatingDay
    assets: Sequence[dg.AssetKey]
    what: str
    config: Mapping[str, Any] = field(default_factory=dict)


def _yesterday(operator: Operator, now: dt.datetime) -> OperatingDay:
    return operator.day_of(now).plus(-1)


def _plan(resources: Resources, now: dt.datetime) -> list[Step]:
    """Yesterday, the final values of the day before it, today so far, and what all is called."""
    pairs = [(d, resources.config(d)) for d in DATASETS]
    every = schedule_groups([(d, config) for d, config in pairs if config.enabled])
    ticking = [group for group in every if group.cadence.within_the_day]
    steps = [_until_noon(ticking, now)]
    shown: set[str] = set()
    for group in (*ticking, *(b for b in every if b not in ticking)):
        fresh = [(d, c) for d, c in group.pairs if d.key not in shown]
        shown |= {d.key for d, _ in fresh}
        steps += _whole_days(group, fresh, now)
    steps += [step for group in every for step in _settled(group, now)]
    steps += [step for group in ticking for step in _ticks(group, now)]
    names = [reference_key(r) for r in EVERY]
    what = "what locations and generators are called"
    last = Step(now, "reference_daily", _yesterday(ISONE, now), names, what)
    return [*sorted(steps, key=lambda step: step.instant), last]


def _until_noon(ticking: Sequence[ScheduleGroup], now: dt.datetime) -> Step:
    """Yesterday's prices as they were known at half past twelve: one of them is corrected later."""
    group = next(b for b in ticking if any(d is ISONE_RT_LMP for d, _ in b.pairs))
    day = _yesterday(ISONE, now)
    feeds = [f.name for f in dict(group.pairs)[ISONE_RT_LMP].feeds if f.asks == "hour"]
    return Step(
        day.at(_HALF_PAST_NOON),
        group.name,
        day,
        asset_keys([ISONE_RT_LMP]),
        f"{day} as it was known at half past twelve: {ISONE_RT_LMP.key}",
        feeds_config({ISONE_RT_LMP.key: [n for n in feeds if n.startswith("prelim")]}),
    )


def _whole_days(
    group: ScheduleGroup, fresh: Sequence[tuple[Dataset, DatasetConfig]], now: dt.datetime
) -> list[Step]:
    """Yesterday of each dataset, asked for on the morning after, or at its noon where an operator
    shows only today; of the days that are published ahead each that is out by now; of what is
    settled later the newest day that is asked for.
    """
    day = _yesterday(group.operator, now)
    only_now = [d for d, c in fresh if all(feed.asks == "now" for feed in c.feeds)]
    ahead = [d for d, c in fresh if any(feed.ahead_days > 0 for feed in c.feeds)]
    late = {
        d: max(f.offset_days for f in feeds) + 1
        for d, c in fresh
        if (feeds := [f for f in c.feeds if f.asked.scheduled])
        and all(f.offset_days < -1 for f in feeds)
    }
    others = [d for d, _ in fresh if d not in (*only_now, *ahead, *late)]
    morning = min(day.end + _MORNING, now)
    asked = [(day.at(dt.time(12)), day, only_now), (morning, day, others)]
    asked += [(morning, day.plus(n), [dataset]) for dataset, n in late.items()]
    asked += [(day.plus(n - 1).at(_ONCE_CLEARED), day.plus(n), ahead) for n in range(3)]
    return [
        Step(
            instant,
            group.name,
            when,
            asset_keys(ours),
            f"the whole of {when}: {', '.join(d.key for d in ours)}",
        )
        for instant, when, ours in asked
        if ours and instant <= now
    ]


def _settled(group: ScheduleGroup, now: dt.datetime) -> list[Step]:
    """The day before yesterday, of which the final values are out, where one answer is a day."""
    ours = [
        d
        for d, c in group.pairs
        if any(feed.becomes_final for feed in group.feeds(c))
        and all(feed.asks == "day" for feed in c.feeds)
    ]
    if not ours:
        return []
    day = _yesterday(group.operator, now).plus(-1)
    instant = min(day.plus(2).start + _MORNING, now)
    what = f"preliminary and final, {day}: {', '.join(d.key for d in ours)}"
    return [Step(instant, group.name, day, asset_keys(ours), what)]


def _ticks(group: ScheduleGroup, now: dt.datetime) -> list[Step]:
    """The newest ticks of a schedule up to now; the first of a day asks for all of it."""
    every, offset = group.cadence.minutes, group.cadence.offset_minutes
    steps = list[Step]()
    newest = (int(now.timestamp()) // 60 - offset) // every * every + offset
    count = -(-TICKS * CADENCES["five_minutes"].minutes // every)
    for number in range(count):
        minutes = newest - every * (count - 1 - number)
        instant = dt.datetime.fromtimestamp(60 * minutes, dt.UTC)
        today = group.operator.day_of(instant)
        known = any(step.day == today for step in steps)
        feeds = asked_by(group, instant).get(today.key, {})
        what = f"live tick {number + 1} of {count} at {instant:%H:%M}Z: {group.name}"
        keys = asset_keys(d for d, _ in group.pairs)
        config = feeds_config(feeds) if known else {}
        steps.append(Step(instant, group.name, today, keys, what, config))
    return steps


def _run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, step: Step, found: Demo
) -> None:
    job = job_of(definitions.resolve_job_def(step.name), step.assets)
    what = f"{step.name} {step.day}"
    _execute(job, instance, what, found, partition=step.day.key, config=step.config)


def _build_marts(definitions: dg.Definitions, instance: dg.DagsterInstance, found: Demo) -> None:
    """The days that changed since the marts were built: all of them the first time."""
    _execute(definitions.resolve_job_def("marts_daily"), instance, "marts_daily", found)


def _report(definitions: dg.Definitions, instance: dg.DagsterInstance, found: Demo) -> None:
    """Yesterday on a page."""
    job = definitions.resolve_job_def(JOB)
    _execute(job, instance, f"{JOB} {found.day}", found, partition=found.day.key)


def _execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    what: str,
    found: Demo,
    *,
    partition: str | None = None,
    config: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    run_id = str(uuid.uuid4())
    with kept_connections(instance, run_id):
        result = job.execute_in_process(
            partition_key=partition,
            instance=instance,
            run_config={**config, **_QUIET},
            raise_on_error=False,
            tags={DEMO: "true"},
            run_id=run_id,
        )
    for event in result.all_events:
        _refuse_to_go_on(event)
        _count(event, found)
    if not result.success:
        found.failures.append(what)


def _refuse_to_go_on(event: dg.DagsterEvent) -> None:
    """Raise the interrupt that Dagster took as the failure of a run."""
    if event.is_job_failure:
        why = event.job_failure_data.failure_reason
        if why is not None and why.value == "UNEXPECTED_TERMINATION":
            raise KeyboardInterrupt


def _count(event: dg.DagsterEvent, found: Demo) -> None:
    data: Any = event.event_specific_data
    kind = event.event_type_value
    if kind == "ASSET_CHECK_EVALUATION":
        line = found.lines[data.asset_key.path[-1]]
        serious = data.severity == dg.AssetCheckSeverity.ERROR
        line.checks_passed += bool(data.passed)
        line.checks_warned += not data.passed and not serious
        line.checks_failed += not data.passed and serious
    elif kind == "ASSET_MATERIALIZATION":
        _materialized(data.materialization, found)
    elif kind == "STEP_SUCCESS":
        key = (event.step_key or "").removeprefix("check_").rpartition("__")[2]
        if key in found.lines:  # of the marts, each says how long it took
            found.lines[key].seconds += data.duration_ms / 1000
    elif kind == "STEP_FAILURE":
        found.failures.append(data.error_display_string)


def _materialized(materialization: dg.AssetMaterialization, found: Demo) -> None:
    number: Mapping[str, Any] = {k: v.value for k, v in materialization.metadata.items()}
    if materialization.asset_key == REPORT:
        found.pages.append(Path(number["page"]))
        return
    room, dataset = materialization.asset_key.path
    line = found.lines[dataset]
    if room == "raw":
        line.snapshots += number["stored"]
        line.duplicates += number["duplicates"]
    elif room == "market":
        line.rows_added += number["new"]
        line.quarantined = max(line.quarantined, number["quarantined"])  # of the whole day
    elif room == "marts":
        line.rows_added += number["new"]
        line.seconds += number["seconds"] / number["days_of_all"]


# --- what to look at -----------------------------------------------------------------------------


def looks(demo: Demo) -> Mapping[str, str]:
    """What there is to see, and the SELECT that shows it; each line fits 80 columns."""
    return {title: select.format(day=demo.day) for title, select in _LOOKS.items()}
