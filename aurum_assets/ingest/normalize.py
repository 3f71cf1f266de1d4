"""Normalize: bring an operating day's archived snapshots into its table, once each.

A table day is the fold of the day's snapshots in their order. One new snapshot that is newer than
all merged ones is merged as it is; anything else (a late arrival, several at once, a kill between
archive and table, a forgotten registry) rebuilds the day from the archive. Both give the same rows.
"""

import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl

from aurum_assets.ingest.evidence import intervals_of, recent_sizes
from aurum_assets.ingest.keep import drain_spool, unmark
from aurum_assets.ingest.ledger import agreed, lacks_rows, record
from aurum_assets.ingest.publish import Publish, changes, committed, drain, intend
from aurum_assets.ingest.rejecting import ANYTHING, one_day, rejecting, traceback_of
from aurum_assets.model.checks import Evidence, Verdict, Volume, evaluate
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, Dialect, Envelope, Snapshot
from aurum_assets.model.drift import PARTIAL, SCHEMA_RULE, Drift, confirmed
from aurum_assets.model.errors import (
    AurumError,
    ContractBroken,
    DataError,
    LakeBusy,
    MalformedPayload,
    NothingArchived,
    Overtaken,
)
from aurum_assets.model.message import Quality
from aurum_assets.model.prices import LMP_IS_THE_SUM_OF_ITS_PARTS, PARTS
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.reading import Reading, read, record_as_received
from aurum_assets.model.table import CALENDAR, UNREADABLE_RULE, UTC, fold
from aurum_assets.resources.archive import Rejection, order_of
from aurum_assets.resources.lake import Merged
from aurum_assets.resources.logs import bound, get_logger
from aurum_assets.resources.settings import Resources

log = get_logger(__name__)
_DAYS_BACK = 28  # among which a week of held days is looked for
_FOLDS = 5
_THREADS = 2  # decoding holds the interpreter, unpacking, rules and hashes do not


@dataclass(frozen=True)
class Conformed:
    """One snapshot, made to fit its table."""

    envelope: Envelope
    dialect: Dialect
    good: pl.DataFrame
    quarantined: pl.DataFrame
    records: int
    drift: tuple[Drift, ...]


@dataclass(frozen=True)
class _Unusable:
    """A snapshot that gives no rows. ``lost``: its very bytes are not in the archive."""

    identifier: str
    reason: str
    lost: bool


@dataclass
class Normalized:
    """What a normalization did, and what its checks look at.

    ``rows``: the rows that were brought (the whole day where it was rebuilt). ``healed``: the table
    had lost rows that were merged before, and has them again.
    """

    dataset: Dataset
    day: OperatingDay
    merged: Merged
    rows: pl.DataFrame
    snapshots: int = 0
    rebuilt: bool = False
    healed: bool = False
    quarantined: int = 0
    unusable: list[_Unusable] = field(default_factory=list)
    drift: tuple[Drift, ...] = ()
    empty: tuple[str, ...] = ()
    every: dt.timedelta | None = None
    newest_fetch: dt.datetime | None = None
    qualities: dict[str, Quality] = field(default_factory=dict)

    @property
    def rejected(self) -> list[str]:
        """Why snapshots gave no rows at all."""
        return [u.reason for u in self.unusable]

    @property
    def lost(self) -> frozenset[str]:
        """Snapshots whose bytes could not be had: to be tried again."""
        return frozenset(u.identifier for u in self.unusable if u.lost)

    def qualities_of(self, identifiers: Sequence[str]) -> dict[str, Quality]:
        """What became of each of these snapshots, without those whose bytes are lost."""
        rejected = {u.identifier: Quality(rejected=u.reason) for u in self.unusable}
        known = self.qualities | rejected
        return {i: known.get(i, Quality()) for i in identifiers if i not in self.lost}

    @cached_property
    def max_residual(self) -> float | None:
        """The largest |lmp - (energy + congestion + loss)| among the rows, USD/MWh."""
        if not {"lmp", *PARTS} <= set(self.rows.columns):
            return None
        residual = (pl.col("lmp") - sum(pl.col(p) for p in PARTS)).abs().max()
        found = self.rows.select(residual).item()
        return None if found is None else round(float(found), 6)


def normalize(resources: Resources, dataset: Dataset, day: OperatingDay) -> Normalized:
    """Bring what the table does not hold yet of ``day`` into it.

    What was spooled goes up first. Raises ``NothingArchived`` where the archive holds nothing of
    the day, ``ContractBroken`` where rows would be lost, ``StoreUnavailable`` where the archive is
    out of reach, ``SourceError`` never.
    """
    drain_spool(resources, dataset)
    said = bound(dataset=dataset.key, day=day.key)
    with said, resources.lock(dataset.key), resources.metrics.verb("normalize", dataset):
        done = _normalize(resources, dataset, day)
        log.info(
            "normalized",
            new=done.merged.new,
            changed=done.merged.changed,
            quarantined=done.quarantined,
            rejected=len(done.unusable),
            rebuilt=done.rebuilt,
        )
    drain(resources)
    return done


def normalize_each(
    resources: Resources, dataset: Dataset, days: Sequence[str], first: OperatingDay
) -> Iterator[tuple[OperatingDay, Normalized | AurumError]]:
    """``normalize`` for each of ``days``, ``first`` first: one that fails stops no other."""
    for key in sorted(days, key=lambda key: (key != first.key, key)):
        day = dataset.day(key)
        outcome: Normalized | AurumError
        try:
            with one_day(dataset, key):
                outcome = normalize(resources, dataset, day)
        except AurumError as error:
            outcome = error
        yield day, outcome


def _normalize(resources: Resources, dataset: Dataset, day: OperatingDay) -> Normalized:
    identifiers = resources.archive.identifiers(dataset.archive_name, day.key)
    if not identifiers:
        raise nothing_archived(dataset, day)
    uuid, rows = resources.lake.held(dataset.table, {"operating_day": day.date})
    merged = resources.registry.merged(dataset.key, day.key, uuid)
    ledger = resources.registry.ledger(dataset.key, day.key)
    lacking = lacks_rows(ledger, uuid, rows, merged)
    before = None if lacking else agreed(ledger, uuid, merged, identifiers)
    merged = frozenset() if lacking else merged
    pending = [i for i in identifiers if i not in merged]
    newest = max(map(order_of, merged), default=("", ""))
    newer = not lacking and len(pending) == 1 and order_of(pending[0]) > newest
    if not pending:
        unmark(resources, dataset, day, identifiers)
        return look_again(resources, dataset, day)
    done = None
    if newer:
        intend(resources, dataset, day, pending)
        with contextlib.suppress(Overtaken):
            done = _merge_newest(resources, dataset, day, pending[0])
    if done is None:
        newer = False
        done, identifiers = fold_again(resources, dataset, day, publish="changes")
    committed(resources, dataset, day, done.qualities_of(pending if newer else identifiers))
    held = frozenset(identifiers) - done.lost
    unmark(resources, dataset, day, held)
    record(resources, done, uuid, held, before, rows)
    resources.registry.mark_merged(dataset.key, day.key, uuid, held)
    _say_healed(done, lacking=lacking)
    _count(resources, done, pending)
    return done


def nothing_archived(dataset: Dataset, day: OperatingDay) -> NothingArchived:
    """The error of a day that cannot be made, for nobody collected it."""
    return NothingArchived(f"{dataset.key}: nothing archived of {day}: collect the day first")


def _say_healed(done: Normalized, *, lacking: bool) -> None:
    done.healed = lacking and done.merged.new > 0
    if done.healed:
        log.warning("healed", rows=done.merged.new, because="the table lacked rows merged before")


def _count(resources: Resources, done: Normalized, pending: Collection[str]) -> None:
    """What this brought, for the metrics; a snapshot that gives no rows counts once."""
    refused = {u.identifier for u in done.unusable} & set(pending) - done.lost
    resources.metrics.count("rejected_snapshots", done.dataset, by=len(refused))
    if "data_quality" in done.rows.columns:
        for value, rows in done.rows["data_quality"].drop_nulls().value_counts().iter_rows():
            resources.metrics.count("data_quality", done.dataset, value, by=rows)


def fold_again(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    *,
    force: bool = False,
    publish: Publish = "nothing",
) -> tuple[Normalized, list[str]]:
    """Rebuild the day from all of its archived snapshots; what was done, and their identifiers.

    Once more where another machine brought a snapshot in between. Raises like ``rebuild``, and
    ``LakeBusy`` where others did so all the time.
    """
    before: list[str] = []
    for _ in range(_FOLDS):
        found = resources.archive.identifiers(dataset.archive_name, day.key)
        try:
            return rebuild(resources, dataset, day, found, force=force, publish=publish), found
        except Overtaken as error:
            log.info("folded again", because=str(error))
        except ContractBroken:
            if found == before:  # nobody brought anything: these rows would really be lost
                raise
        before = found
    msg = f"{dataset.key} {day}: others brought snapshots all the time; ask again later"
    raise LakeBusy(msg)


def rebuild(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: Sequence[str],
    *,
    force: bool = False,
    publish: Publish = "nothing",
) -> Normalized:
    """Make the table's day the fold of all its archived snapshots, ``identifiers``.

    What is to be sent of them (``publish``) is intended here; the caller confirms the commit.
    Raises ``ContractBroken`` where the table holds rows of bytes that the archive lacks: those
    would be lost (``force`` lets them go).
    """
    snapshots, unusable = conform_all(resources, dataset, day, identifiers)

    def store(usable: list[Conformed], out: list[_Unusable]) -> Normalized:
        return _rebuild(
            resources, dataset, day, identifiers, usable, out, force=force, publish=publish
        )

    return _without_what_cannot_be_stored(resources, dataset, day, snapshots, unusable, store)


def _rebuild(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: Sequence[str],
    snapshots: Sequence[Conformed],
    unusable: list[_Unusable],
    *,
    force: bool,
    publish: Publish,
) -> Normalized:
    table = dataset.table
    rows, before = fold(table, pl.concat([table.empty(), *(s.good for s in snapshots)]))
    others = unknown = None
    if not force:
        gone = {u.identifier for u in unusable}
        drifted = {s.envelope.identifier for s in snapshots if any(d.refuses for d in s.drift)}
        known = [i for i in identifiers if i not in gone]
        others = ~_is_of([i for i in known if i not in drifted])
        unknown = ~_is_of(known)
        _refuse_loss(resources, dataset, day, unknown, others)
    quarantined = one_a_record([s.quarantined for s in snapshots])
    partition = {"operating_day": day.date, "dataset": dataset.key}
    newest = max((s.envelope.fetched_at for s in snapshots), default=None)
    later = None if force or newest is None else pl.col("superseded_at") > newest
    if len(before) or resources.lake.find(table.history):
        resources.lake.replace(table.history, before, {"operating_day": day.date}, keeps=later)
    kept_out = resources.lake.merge(QUARANTINE, quarantined)
    resources.metrics.count("quarantined_rows", dataset, by=kept_out.new)
    intend(resources, dataset, day, changes(resources, dataset, day, identifiers, rows, publish))
    merged = resources.lake.replace(table, rows, {"operating_day": day.date}, keeps=others)
    resources.lake.replace(QUARANTINE, quarantined, partition, keeps=unknown)
    done = Normalized(dataset, day, merged, rows, len(snapshots), rebuilt=True)
    done.unusable = unusable
    return _described(done, snapshots, len(quarantined))


def _merge_newest(
    resources: Resources, dataset: Dataset, day: OperatingDay, identifier: str
) -> Normalized:
    """Merge the one snapshot that is newer than all that the table holds."""
    snapshots, unusable = conform_all(resources, dataset, day, [identifier])

    def store(usable: list[Conformed], out: list[_Unusable]) -> Normalized:
        return _merge(resources, dataset, day, usable, out)

    return _without_what_cannot_be_stored(resources, dataset, day, snapshots, unusable, store)


def _merge(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    snapshots: Sequence[Conformed],
    unusable: list[_Unusable],
) -> Normalized:
    done = Normalized(dataset, day, Merged(), dataset.table.empty())
    done.unusable = unusable
    if not snapshots:
        return done
    first = snapshots[0]
    if first.dialect.volatile and _repeats_neighbour(resources, dataset, first.envelope):
        return look_again(resources, dataset, day)
    kept_out = resources.lake.merge(QUARANTINE, first.quarantined)
    resources.metrics.count("quarantined_rows", dataset, by=kept_out.new)
    done.rows, _ = fold(dataset.table, first.good)
    done.merged = resources.lake.merge(dataset.table, done.rows)
    done.snapshots = 1
    return _described(done, snapshots, len(first.quarantined))


def _without_what_cannot_be_stored(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    snapshots: list[Conformed],
    unusable: list[_Unusable],
    store: Callable[[list[Conformed], list[_Unusable]], Normalized],
) -> Normalized:
    """``store`` the snapshots; where it fails, once more without those that cannot be written.

    Which these are is told by writing each alone to a scratch folder, as a commit would. That costs
    nothing until something fails. Where all can be written, the failure is not theirs, and raised.
    """
    try:
        return store(snapshots, unusable)
    except ANYTHING as error:
        if isinstance(error, AurumError) and not _is_of_writing(error):
            raise
        reasons = {s.envelope.identifier: _unwritable(resources, dataset, s) for s in snapshots}
        out = [_Unusable(i, reason, lost=False) for i, reason in reasons.items() if reason]
        if not out:
            raise
    for one in out:
        snapshot = resources.archive.snapshot(dataset.archive_name, day.key, one.identifier)
        _reject(resources, dataset, snapshot, one.reason)
    partition = {"operating_day": day.date, "dataset": dataset.key}
    kept_out = resources.lake.read(QUARANTINE, partition)  # what the first try kept out of them
    others = kept_out.filter(~_is_of([one.identifier for one in out]))
    if len(others) < len(kept_out):
        resources.lake.replace(QUARANTINE, others, partition)
    left = [s for s in snapshots if not reasons[s.envelope.identifier]]
    return store(left, [*unusable, *out])


def _is_of_writing(error: AurumError) -> bool:
    """Whether the lake says that a frame does not fit, and because of what."""
    return isinstance(error, ContractBroken) and error.__cause__ is not None


def _unwritable(resources: Resources, dataset: Dataset, snapshot: Conformed) -> str:
    """Why the rows of ``snapshot`` cannot be written; empty where they can."""
    rows, _ = fold(dataset.table, snapshot.good)
    try:
        with rejecting(dataset, snapshot.envelope.identifier, "writing its rows"):
            resources.lake.write_nowhere(dataset.table, rows)
    except DataError as error:
        return str(error)
    return ""


def look_again(resources: Resources, dataset: Dataset, day: OperatingDay) -> Normalized:
    """The day as it stands, for its checks: all stored rows, each request's newest snapshot."""
    rows = resources.lake.read(dataset.table, {"operating_day": day.date})
    done = Normalized(dataset, day, Merged(), rows)
    newest: dict[str, str] = {}
    for identifier in resources.archive.identifiers(dataset.archive_name, day.key):
        try:
            envelope = resources.archive.envelope(dataset.archive_name, day.key, identifier)
        except MalformedPayload as error:
            done.unusable.append(_Unusable(identifier, str(error), lost=True))
        else:
            newest[envelope.request] = identifier
    chosen = sorted(newest.values(), key=order_of)
    found, unusable = conform_all(resources, dataset, day, chosen, keep=False)
    done.unusable += unusable
    return _described(done, found, len(one_a_record([s.quarantined for s in found])))


def _described(done: Normalized, snapshots: Sequence[Conformed], quarantined: int) -> Normalized:
    done.quarantined = quarantined
    done.qualities = {
        s.envelope.identifier: Quality(
            s.records, len(s.quarantined), drift=tuple(d.detail for d in s.drift)
        )
        for s in snapshots
    }
    newest = {s.envelope.request: s for s in snapshots}
    done.drift = tuple(
        {
            (d.kind, d.field): d
            for s in snapshots
            for d in s.drift
            # a partial answer that was asked again has been made whole
            if d.kind != PARTIAL or newest[s.envelope.request] is s
        }.values()
    )
    done.empty = tuple(request for request, s in newest.items() if not s.records)
    if snapshots:
        done.every = snapshots[-1].dialect.every
        done.newest_fetch = snapshots[-1].envelope.fetched_at
    return done


# --- from archive to rows ------------------------------------------------------------------------


def conform_all(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: Sequence[str],
    *,
    keep: bool = True,
) -> tuple[list[Conformed], list[_Unusable]]:
    """Read and conform snapshots in order.

    Equal neighbours count once where an answer's own stamp dates its rows.

    What cannot be read is kept under ``rejected/`` (``keep``), and its reason comes back.
    """

    def conformed(identifier: str) -> Conformed | _Unusable:
        return _conform_or_reject(resources, dataset, day, identifier, keep=keep)

    with ThreadPoolExecutor(_THREADS) as pool:
        outcomes = list(pool.map(conformed, identifiers))
    said: dict[str, str] = {}
    found = []
    for outcome in outcomes:
        if isinstance(outcome, Conformed):
            envelope = outcome.envelope
            asked = str(sorted(envelope.filters.items()))
            repeats = said.get(asked) == envelope.content_sha256
            if not (repeats and outcome.dialect.volatile):
                found.append(outcome)
            said[asked] = envelope.content_sha256
    return found, [o for o in outcomes if isinstance(o, _Unusable)]


def _conform_or_reject(
    resources: Resources, dataset: Dataset, day: OperatingDay, identifier: str, *, keep: bool
) -> Conformed | _Unusable:
    try:
        snapshot = resources.archive.snapshot(dataset.archive_name, day.key, identifier)
    except MalformedPayload as error:
        return _Unusable(identifier, str(error), lost=True)
    try:
        with rejecting(dataset, identifier):
            return conform(resources, dataset, day, snapshot)
    except DataError as error:
        if isinstance(error, ContractBroken):  # of a parser or of a record: the place tells
            log.warning("rejected", snapshot=identifier, exception=traceback_of(error))
        if keep:
            _reject(resources, dataset, snapshot, str(error))
        return _Unusable(identifier, str(error), lost=False)


def _repeats_neighbour(resources: Resources, dataset: Dataset, envelope: Envelope) -> bool:
    """Whether the snapshot before this one, asked for with the same filters, says the same."""
    folder = dataset.archive_name
    for identifier in reversed(resources.archive.identifiers(folder, envelope.day)):
        if order_of(identifier) >= order_of(envelope.identifier):
            continue
        before = resources.archive.envelope(folder, envelope.day, identifier)
        if before.filters == envelope.filters:
            return before.content_sha256 == envelope.content_sha256
    return False


def conform(
    resources: Resources, dataset: Dataset, day: OperatingDay, snapshot: Snapshot
) -> Conformed:
    """Decode, parse and sort out one snapshot: the rows that may enter, and those that may not.

    None may where its schema drifted so that nobody can tell which of them are right.
    Raises ``MalformedPayload`` where no row can be read, ``ContractBroken`` where config says that
    one broken row rejects the snapshot (``on_broken_row: reject``).
    """
    config = resources.config(dataset)
    reading = read(dataset, snapshot, config.expected)
    frame = _with_provenance(dataset, day, snapshot.envelope, reading.frame)
    outcome = dataset.table.conform(frame, day, config.clock_slack)
    _refuse_beyond_the_calendar(dataset, outcome.good)
    adds_up = pl.col("rules").list.contains(LMP_IS_THE_SUM_OF_ITS_PARTS.name)
    broken = len(outcome.broken.filter(adds_up)) if len(outcome.broken) else 0
    drift = confirmed(reading.drift, broken=broken, rows=len(frame))
    drifted = "; ".join(d.detail for d in drift if d.refuses)
    quarantined = _quarantine(dataset, day, snapshot, reading, outcome.broken, drifted)
    if len(quarantined) and config.on_broken_row == "reject":
        msg = f"{dataset.key}: {len(quarantined)} records break a rule: {quarantined['reason'][0]}"
        raise ContractBroken(msg)
    return Conformed(
        snapshot.envelope,
        reading.dialect,
        dataset.table.empty() if drifted else outcome.good,
        quarantined,
        reading.records,
        drift,
    )


def _refuse_beyond_the_calendar(dataset: Dataset, good: pl.DataFrame) -> None:
    """Refuse instants before year 1 or after 9999: no file, message or check could hold them.

    As numbers they are harmless; whoever makes a ``datetime`` of them raises, or panics.
    """
    stamps = [c.name for c in dataset.table.columns if c.dtype == UTC]
    inside = [pl.col(n).cast(pl.Int64).is_between(*CALENDAR).all() for n in stamps]
    for name, fits in good.select(inside).row(0, named=True).items():
        if not fits:
            msg = f"{dataset.key}: {name} holds an instant beyond the years 1 to 9999"
            raise MalformedPayload(msg)


def _with_provenance(
    dataset: Dataset, day: OperatingDay, envelope: Envelope, frame: pl.DataFrame
) -> pl.DataFrame:
    values: dict[str, pl.Expr] = {
        "operating_day": pl.lit(day.date),
        "source_timezone": pl.lit(dataset.operator.zone),
        "fetched_at": pl.lit(envelope.fetched_at, dtype=UTC),
        "raw_sha256": pl.lit(envelope.raw_sha256),
        "finality": pl.lit(envelope.finality, dtype=pl.String),
        "interval_start": pl.lit(day.start, dtype=UTC),
        "interval_end": pl.lit(day.end, dtype=UTC),
    }
    return frame.with_columns(
        expression.alias(name)
        for name, expression in values.items()
        if name in dataset.table.names and name not in frame.columns
    )


def _quarantine(
    dataset: Dataset,
    day: OperatingDay,
    snapshot: Snapshot,
    reading: Reading,
    broken: pl.DataFrame,
    drifted: str = "",
) -> pl.DataFrame:
    """The refused and broken records as rows of ``quality.quarantine``; all of them where the
    schema ``drifted``.
    """
    if broken.is_empty() and not reading.refused and not drifted:
        return QUARANTINE.empty()
    why = [(r.position, [UNREADABLE_RULE], r.reason) for r in reading.refused]
    for row in broken.iter_rows(named=True):
        position = row["position"]
        record = position if reading.positions is None else reading.positions[position]
        why.append((record, row["rules"], row["reason"]))
    if drifted:
        said = {record: (rules, f"{reason}; ") for record, rules, reason in reversed(why)}
        reason = f"{SCHEMA_RULE}: {drifted}"
        why = [
            (record, [*rules, SCHEMA_RULE], before + reason)
            for record in range(reading.records)
            for rules, before in [said.get(record, ([], ""))]
        ]
    records = record_as_received(dataset, snapshot, [position for position, _, _ in why])
    frame = pl.DataFrame(
        {
            "operating_day": [day.date] * len(why),
            "dataset": [dataset.key] * len(why),
            "received_hash": [hashlib.sha256(r.encode()).hexdigest()[:32] for r in records],
            "record": records,
            "rules": [",".join(rules) for _, rules, _ in why],
            "reason": [reason for _, _, reason in why],
            "fetched_at": [snapshot.envelope.fetched_at] * len(why),
            "raw_sha256": [snapshot.envelope.raw_sha256] * len(why),
        },
        schema={n: t for n, t in QUARANTINE.schema.items() if n != "record_hash"},
    )
    return one_a_record([frame.with_columns(record_hash=QUARANTINE.record_hash())])


def one_a_record(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One row a received record: that of the first snapshot that held it."""
    if not frames:
        return QUARANTINE.empty()
    said = pl.concat([f.select(QUARANTINE.names) for f in frames])
    first = said.sort("fetched_at", "raw_sha256", maintain_order=True).unique(
        "received_hash", keep="first", maintain_order=True
    )
    return first.sort(QUARANTINE.order)


def _reject(resources: Resources, dataset: Dataset, snapshot: Snapshot, reason: str) -> None:
    envelope = snapshot.envelope
    rejection = Rejection(
        dataset.key, envelope.endpoint, envelope.fetched_at, envelope.raw_sha256, reason
    )
    resources.archive.reject(rejection, snapshot.body)


def _is_of(identifiers: Sequence[str]) -> pl.Expr:
    """Whether a row comes from one of these snapshots."""
    return pl.col("raw_sha256").str.slice(0, 16).is_in({order_of(i)[1] for i in identifiers})


def _refuse_loss(
    resources: Resources, dataset: Dataset, day: OperatingDay, unknown: pl.Expr, unusable: pl.Expr
) -> None:
    """Refuse to drop rows whose bytes are ``unknown`` (gone), or ``unusable``: drifted by what
    config expects now.
    """
    partition = {"operating_day": day.date}
    table, column = dataset.table, ("raw_sha256",)
    stored = pl.concat([resources.lake.read(t, partition, column) for t in (table, table.history)])
    kept_out = resources.lake.read(QUARANTINE, partition | {"dataset": dataset.key}, column)
    lost = pl.concat([stored.filter(unusable), kept_out.filter(unknown)])
    if len(lost):
        msg = (
            f"{dataset.key} {day}: {len(lost)} stored rows come from bytes that the archive lacks, "
            "that can no longer be read, or whose schema is not the one that config expects now "
            f"(the first: {lost['raw_sha256'][0]}); restore the bytes or the config, or replay "
            "with --force to let these rows go"
        )
        raise ContractBroken(msg)


# --- checks --------------------------------------------------------------------------------------


def check(resources: Resources, done: Normalized) -> list[Verdict]:
    """What the dataset's checks say of the day after ``done``."""
    dataset, day = done.dataset, done.day
    partition = {"operating_day": day.date}
    held = intervals_of(resources, dataset, day, done.rows if done.rebuilt else None, done.every)
    quarantine = resources.lake.read(QUARANTINE, partition | {"dataset": dataset.key})
    evidence = Evidence(
        table=dataset.table,
        config=resources.config(dataset),
        day=day,
        now=resources.now(),
        rows=done.rows,
        intervals=held.frame,
        quarantine=quarantine,
        every=held.every,
        drift=done.drift,
        empty=done.empty,
        rejected=tuple(done.rejected),
        published=held.published,
    )
    if evidence.closed or any(d.kind == "rescaled" for d in done.drift):
        volumes = _volumes(resources, dataset, day)
        evidence = replace(evidence, recent=recent_sizes(resources, dataset, day, volumes))
        if evidence.closed:
            evidence = replace(evidence, volumes=volumes)
    if evidence.has_both_finalities and not done.rebuilt:
        evidence = replace(evidence, day_rows=resources.lake.read(dataset.table, partition))
    with resources.metrics.verb("check", dataset):
        verdicts = evaluate(evidence)
        for v in verdicts:
            passed = "skipped" if v.skipped else str(v.passed).lower()
            resources.metrics.count("checks", dataset, v.check, v.severity, passed)
    return verdicts


def _volumes(resources: Resources, dataset: Dataset, day: OperatingDay) -> tuple[Volume, ...]:
    """How much the day and the days before it hold, oldest first; no row is read."""
    held = resources.lake.volumes(dataset.table, day.plus(-_DAYS_BACK).date, day.date)
    return tuple(
        Volume(OperatingDay(date, day.zone), rows, finalities)
        for date, (rows, finalities) in held.items()
    )
