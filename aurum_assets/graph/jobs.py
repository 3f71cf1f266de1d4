"""The jobs and schedules: one in-process job for each operator and cadence, and replay.

A run costs what it imports, so all datasets of one schedule group share one run, one process.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import Field

from aurum_assets import ingest
from aurum_assets.graph import translate
from aurum_assets.graph.assets import materialization, partitions, raw_key, table_key
from aurum_assets.graph.resources import WRITES, assembled
from aurum_assets.ingest.rejecting import one_day
from aurum_assets.model.cadence import Cadence, CadenceName, cadence_of
from aurum_assets.model.clock import OperatingDay, every_day
from aurum_assets.model.dataset import Dataset, DatasetConfig, Feed
from aurum_assets.model.errors import AurumError
from aurum_assets.model.operator import Operator
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.workers import QUEUE_TAG, REPLAYS, TICKS

Job = Any  # define_asset_job gives a type that Dagster has no public name for
Pair = tuple[Dataset, DatasetConfig]


@dataclass(frozen=True)
class ScheduleGroup:
    """What a job collects: ``pairs`` of one operator and cadence with the same partitions."""

    name: str
    operator: Operator
    cadence: Cadence
    pairs: tuple[Pair, ...]

    @property
    def described(self) -> str:
        """What its schedule does, for the UI."""
        start = f"{self.cadence.how_often.capitalize()}: asks {self.operator.title} for"
        if self.cadence.within_the_day:
            return f"{start} today's newest values, and after midnight for yesterday's last ones."
        if self.cadence.ahead:
            return f"{start} tomorrow, which is published ahead."
        return f"{start} the days that ended or became final, and for lists of today."

    @property
    def tags(self) -> Mapping[str, str]:
        """Of runs for what was just published: they wait for no backfill.

        A day that became final takes as long as a backfill, and is treated as one.
        """
        urgent = self.cadence.within_the_day or self.cadence.ahead
        return {QUEUE_TAG: TICKS} if urgent else {}

    def feeds(self, config: DatasetConfig) -> list[Feed]:
        """The feeds of a dataset that it asks."""
        when = self.cadence.name, self.cadence.offset
        return [f for f in config.feeds if (f.asked.name, f.asked.offset) == when]


def schedule_groups(pairs: Sequence[Pair]) -> list[ScheduleGroup]:
    """The schedule groups of all datasets: a job's assets must have the same partitions.

    Most datasets of an operator share theirs, and so ``op_daily``; those that begin on another day,
    or are published ahead, have a job named after the first of them, ``op_da_lmp_daily``. So has an
    offset that is not the usual one of its operator and cadence: ``op_five_minutes_plus_4``.
    """
    found: defaultdict[tuple[str, CadenceName], defaultdict[int, list[Pair]]]
    found = defaultdict(lambda: defaultdict(list))
    for dataset, config in pairs:
        cadences = [(f.cadence, f.offset_minutes) for f in config.feeds if f.asked.scheduled]
        for cadence, offset in dict.fromkeys(cadences):
            found[dataset.operator.name, cadence][offset].append((dataset, config))
    made = []
    for (_, name), by_offset in found.items():
        usual = max(by_offset, key=lambda offset: len(by_offset[offset]))
        for offset, ours in by_offset.items():
            suffix = "" if offset == usual else f"_plus_{offset}"
            made += _groups_at(name, offset, suffix, ours)
    return made


def _groups_at(
    cadence: CadenceName, offset: int, suffix: str, ours: Sequence[Pair]
) -> list[ScheduleGroup]:
    """The groups of one operator, cadence and offset: one for each partitions definition."""
    operator = ours[0][0].operator
    alike: defaultdict[dg.DailyPartitionsDefinition, list[Pair]] = defaultdict(list)
    for dataset, config in ours:
        alike[partitions(dataset, config)].append((dataset, config))
    usual = max(alike, key=lambda definition: len(alike[definition]))
    return [
        ScheduleGroup(
            f"{operator.name if definition == usual else pairs[0][0].key}_{cadence}{suffix}",
            operator,
            _cadence(cadence, offset, pairs),
            tuple(pairs),
        )
        for definition, pairs in alike.items()
    ]


def _cadence(name: CadenceName, offset: int, pairs: Sequence[Pair]) -> Cadence:
    """The cadence of a group: where a feed of it is published ahead, all wait until that is out."""
    ahead = any(f.offset_days > 0 for _, c in pairs for f in c.feeds)
    return cadence_of(name, offset, ahead=ahead)


def cadence_job(group: ScheduleGroup) -> Job:
    """``op_five_minutes`` and the like: raw and table assets of the datasets, in one process."""
    return dg.define_asset_job(
        group.name,
        selection=dg.AssetSelection.assets(*asset_keys(d for d, _ in group.pairs)).without_checks(),
        executor_def=dg.in_process_executor,
        description=f"Collects what {group.operator.title} publishes {group.cadence.how_often}, "
        "and brings it into the tables.",
        tags={"dagster/priority": "10"},
    )


def job_of(job: dg.JobDefinition, assets: Iterable[dg.AssetKey]) -> dg.JobDefinition:
    """``job`` for these of its assets alone, as its schedule requests it: no step checks them.

    A run of it in this process is recorded without a selection of assets.
    """
    return job.get_subset(asset_selection={*assets}, asset_check_selection=set())


def asset_keys(datasets: Iterable[Dataset]) -> list[dg.AssetKey]:
    """The raw and the table asset of each."""
    return [key for dataset in datasets for key in (raw_key(dataset), table_key(dataset))]


def cadence_schedule(job: Job, group: ScheduleGroup, *, running: bool) -> dg.ScheduleDefinition:
    """A schedule that requests the group's partitions; around midnight yesterday's too.

    A run has only the datasets of the job that its partition concerns.
    """
    known = {d.key: d for d, _ in group.pairs}

    @dg.schedule(
        job=job,
        name=f"{job.name}_schedule",
        description=group.described,
        cron_schedule=group.cadence.cron,
        execution_timezone="UTC" if group.cadence.within_the_day else group.operator.zone,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if running
        else dg.DefaultScheduleStatus.STOPPED,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        now = context.scheduled_execution_time
        for day, feeds in asked_by(group, now).items():
            some = set(feeds) != set(known)
            yield dg.RunRequest(
                run_key=f"{job.name}:{now.isoformat()}:{day}",
                partition_key=day,
                run_config=translate.feeds_config(feeds),
                asset_selection=asset_keys(known[key] for key in feeds) if some else None,
                asset_check_keys=[] if some else None,  # the step reports them
                tags=dict(group.tags),
            )

    return tick


def asked_by(group: ScheduleGroup, now: dt.datetime) -> Mapping[str, dict[str, list[str]]]:
    """Partition -> dataset -> feeds that ``group`` asks for at ``now``: none before the first day.

    A feed with ``again_days`` is asked for those days too.
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for dataset, config in group.pairs:
        for feed in group.feeds(config):
            for day in ingest.days_asked(dataset.operator, feed, now):
                if day.date >= config.first_day:
                    found[day.key].setdefault(dataset.key, []).append(feed.name)
    return dict(sorted(found.items()))


class ReplayConfig(dg.Config):
    """Which days to rebuild, and how; a run of a partition needs no dataset, first and last."""

    dataset: str = Field(default="", description="The dataset, by its whole key.")
    first: str = Field(default="", description="The first operating day, YYYY-MM-DD.")
    last: str = Field(default="", description="The last operating day, YYYY-MM-DD, included.")
    force: bool = Field(default=False, description="Let rows go whose bytes the archive has lost.")
    workers: int = Field(
        default=1,
        ge=1,
        description="How many processes of this run fold days. A backfill of months uses the cores "
        "by its runs already.",
    )


def _asked_days(
    known: Mapping[str, Dataset], config: ReplayConfig
) -> tuple[Dataset, list[OperatingDay]]:
    if config.dataset not in known:
        msg = f"unknown dataset {config.dataset!r}; known are {', '.join(sorted(known))}"
        raise dg.Failure(msg, allow_retries=False)
    dataset = known[config.dataset]
    try:
        days = every_day(dataset.day(config.first), dataset.day(config.last))
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    if not days:
        msg = f"last day {config.last} lies before first day {config.first}"
        raise dg.Failure(msg, allow_retries=False)
    return dataset, days


def replay_partitions(pairs: Sequence[Pair]) -> dg.MultiPartitionsDefinition:
    """A partition of the replay: a dataset and a calendar month, which is one chunk."""
    first = min(config.first_day for _, config in pairs).replace(day=1)
    return dg.MultiPartitionsDefinition(
        {
            "dataset": dg.StaticPartitionsDefinition([d.key for d, _ in pairs]),
            "month": dg.MonthlyPartitionsDefinition(start_date=first.isoformat(), end_offset=1),
        }
    )


def _held_in_month(
    resources: Resources, known: Mapping[str, Dataset], key: str
) -> tuple[Dataset, list[OperatingDay]]:
    """The dataset of a partition of ``replay_partitions``, and the days of the month it holds."""
    name, _, month = key.partition("|")
    dataset = known[name]
    held = ingest.held_days(resources, dataset)
    return dataset, [day for day in held if day.key[:7] == month[:7]]


def replay_job(pairs: Sequence[Pair]) -> dg.JobDefinition:
    """``replay_from_raw``: rebuild table days from the archive, a result for each partition.

    A run takes the days of its config, or those that are held of a dataset and month: a backfill
    of months has a run for each, and each is one chunk.
    """
    known = {d.key: d for d, _ in pairs}

    @dg.op(
        name="replay",
        description="Rebuilds the days of a table, first to last, from the archived answers.",
        out={},
        required_resource_keys=set(WRITES),
    )
    def replay(
        context: dg.OpExecutionContext, config: ReplayConfig
    ) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
        resources = assembled(context, WRITES)
        if context.has_partition_key:
            dataset, days = _held_in_month(resources, known, context.partition_key)
            context.log.info("%s: %d days of the month are held", dataset.key, len(days))
        else:
            dataset, days = _asked_days(known, config)
        failed = []
        asked = [(dataset, day) for day in days]
        for one in ingest.replay_days(resources, asked, workers=config.workers, force=config.force):
            try:
                events = _events_of(resources, one)
            except AurumError as error:
                failed.append(f"{one.day}: {error}")
                context.log.error(failed[-1])  # noqa: TRY400  the sentence says it all
                continue
            yield from events
        if failed:
            raise dg.Failure("; ".join(failed), allow_retries=False)

    @dg.job(
        name="replay_from_raw",
        executor_def=dg.in_process_executor,
        partitions_def=replay_partitions(pairs),
        tags={QUEUE_TAG: REPLAYS},
        description="Rebuilds days of a table from the archive; each day is reported by itself. "
        "With dataset, first and last in its config one run takes the whole range; a backfill of "
        "its partitions (dataset and month) has a run for each.",
    )
    def replay_from_raw() -> None:
        replay()

    return replay_from_raw


def _events_of(
    resources: Resources, one: ingest.Replayed
) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """The events of a day that was replayed, from the rows that its table holds now.

    Raises ``AurumError`` where it was not, or cannot be checked.
    """
    if one.error is not None:
        raise one.error
    with one_day(one.dataset, one.day.key):
        done = one.done
        if done is None:
            done = ingest.look_again(resources, one.dataset, one.day)
        else:
            done.rows = resources.lake.read(one.dataset.table, {"operating_day": one.day.date})
        return [*materialization(resources, done)]
