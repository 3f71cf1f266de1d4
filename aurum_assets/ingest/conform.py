"""Conform: one archived snapshot made to fit its table; what does not fit, and why.

Rows that break a rule are kept out one by one, for ``quality.quarantine``; a snapshot that gives no
row that can be trusted is unusable as a whole.
"""

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import polars as pl

from aurum_assets.ingest.rejecting import rejecting, traceback_of
from aurum_assets.ingest.sharing import is_of_another_day, is_shared
from aurum_assets.ingest.spread import lies_elsewhere
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import Dataset, DatasetConfig, Dialect, Envelope, Snapshot
from aurum_assets.model.drift import SCHEMA_RULE, Drift, confirmed
from aurum_assets.model.errors import ContractBroken, DataError, MalformedPayload
from aurum_assets.model.prices import LMP_IS_THE_SUM_OF_ITS_PARTS
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.reading import Reading, read, record_as_received
from aurum_assets.model.table import CALENDAR, UNREADABLE_RULE, UTC
from aurum_assets.model.vintage import has_vintages
from aurum_assets.resources.archive import Rejection, order_of
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import get_logger

log = get_logger(__name__)
_THREADS = 2  # decoding holds the interpreter, unpacking, rules and hashes do not


@dataclass(frozen=True)
class Conformed:
    """One snapshot, made to fit its table. ``elsewhere``: it has rows of other days alone, and lies
    in this one for the sake of another dataset.
    """

    envelope: Envelope
    dialect: Dialect
    good: pl.DataFrame
    quarantined: pl.DataFrame
    records: int
    drift: tuple[Drift, ...]
    elsewhere: bool = False


@dataclass(frozen=True)
class Unusable:
    """A snapshot that gives no rows. ``lost``: its very bytes are not in the archive."""

    identifier: str
    reason: str
    lost: bool


def conform_all(
    resources: Resources,
    dataset: Dataset,
    day: OperatingDay,
    identifiers: Sequence[str],
    *,
    keep: bool = True,
) -> tuple[list[Conformed], list[Unusable]]:
    """Read and conform snapshots in order.

    Equal neighbours count once where an answer's own stamp dates its rows (``repeats``).

    What cannot be read is kept under ``rejected/`` (``keep``), and its reason comes back.
    """

    def conformed(identifier: str) -> Conformed | Unusable:
        return _conform_or_reject(resources, dataset, day, identifier, keep=keep)

    # Asked here: it starts polars' threads, which a process forked after the import would lack.
    with ThreadPoolExecutor(min(_THREADS, pl.thread_pool_size())) as pool:
        outcomes = list(pool.map(conformed, identifiers))
    last: dict[str, Conformed] = {}
    found = []
    for outcome in outcomes:
        if isinstance(outcome, Conformed):
            asked = str(sorted(outcome.envelope.filters.items()))
            if asked not in last or not repeats(dataset, outcome, last[asked]):
                found.append(outcome)
            if not outcome.elsewhere:
                last[asked] = outcome
    return found, [o for o in outcomes if isinstance(o, Unusable)]


def repeats(dataset: Dataset, one: Conformed, before: Conformed) -> bool:
    """Whether a snapshot says what the one ``before`` it said, under a later stamp of its own."""
    if one.elsewhere or not one.dialect.volatile:
        return False
    if not rows_tell(dataset):
        return one.envelope.content_sha256 == before.envelope.content_sha256
    said = [n for n in (*dataset.table.key, *dataset.table.values) if n != "published_at"]
    kept_out = "received_hash"
    return (
        one.good.select(said).equals(before.good.select(said))
        and one.quarantined[kept_out].equals(before.quarantined[kept_out])
        and one.drift == before.drift
    )


def rows_tell(dataset: Dataset) -> bool:
    """Whether only its rows tell that a vintage repeats: others read more of the same answer."""
    return is_shared(dataset) and has_vintages(dataset.table)


def _conform_or_reject(
    resources: Resources, dataset: Dataset, day: OperatingDay, identifier: str, *, keep: bool
) -> Conformed | Unusable:
    try:
        snapshot = resources.archive.snapshot(dataset.archive_name, day.key, identifier)
    except MalformedPayload as error:
        return Unusable(identifier, str(error), lost=True)
    try:
        with rejecting(dataset, identifier):
            return conform(resources, dataset, day, snapshot)
    except DataError as error:
        if isinstance(error, ContractBroken):  # of a parser or of a record: the place tells
            log.warning("rejected", snapshot=identifier, exception=traceback_of(error))
        if keep:
            reject(resources, dataset, snapshot, str(error))
        return Unusable(identifier, str(error), lost=False)


def conform(
    resources: Resources, dataset: Dataset, day: OperatingDay, snapshot: Snapshot
) -> Conformed:
    """Decode, parse and sort out one snapshot: the rows that may enter, and those that may not.

    Where its schema drifted so far that no row can be trusted, none may.
    Raises ``MalformedPayload`` where no row can be read, ``ContractBroken`` where config says that
    one broken row rejects the snapshot (``on_broken_row: reject``).
    """
    config = resources.config(dataset)
    reading = _wanted(read(dataset, snapshot, config.expected), config, day, snapshot.envelope)
    frame = _with_provenance(dataset, day, snapshot.envelope, reading.frame)
    if is_of_another_day(dataset, day, frame):
        none = dataset.table.empty(), QUARANTINE.empty()
        kept = snapshot.envelope, reading.dialect, *none, reading.records, reading.drift
        return Conformed(*kept, elsewhere=True)
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


def _wanted(
    reading: Reading, config: DatasetConfig, day: OperatingDay, envelope: Envelope
) -> Reading:
    """``reading`` without rows of other days that the answer lies under, and of locations that
    config does not name.
    """
    unwanted = []
    if reading.dialect.several_days:
        unwanted.append(lies_elsewhere(day, envelope.fetched_at))
    if config.locations:
        names = "|".join(re.escape(name).replace(r"\*", ".*") for name in config.locations)
        unwanted.append(~pl.col("location").str.contains(f"^({names})$"))
    if not unwanted:
        return reading
    keep = ~pl.any_horizontal(unwanted).fill_null(value=False)
    rows = reading.frame.select(keep.arg_true()).to_series().to_list()
    positions = rows if reading.positions is None else [reading.positions[row] for row in rows]
    return replace(reading, frame=reading.frame.filter(keep), positions=positions)


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
        others = {record: (rules, f"{reason}; ") for record, rules, reason in reversed(why)}
        reason = f"{SCHEMA_RULE}: {drifted}"
        why = [
            (record, [*rules, SCHEMA_RULE], before + reason)
            for record in range(reading.records)
            for rules, before in [others.get(record, ([], ""))]
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
        schema=QUARANTINE.schema,
    )
    return one_a_record([frame])


def one_a_record(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One row a received record: that of the first snapshot that held it."""
    if not frames:
        return QUARANTINE.empty()
    records = pl.concat([f.select(QUARANTINE.names) for f in frames])
    first = records.sort("fetched_at", "raw_sha256", maintain_order=True).unique(
        "received_hash", keep="first", maintain_order=True
    )
    return first.sort(QUARANTINE.order)


def reject(resources: Resources, dataset: Dataset, snapshot: Snapshot, reason: str) -> None:
    """Keep the bytes of ``snapshot`` under ``rejected/`` too, with the reason."""
    envelope = snapshot.envelope
    rejection = Rejection(
        dataset.key, envelope.endpoint, envelope.fetched_at, envelope.raw_sha256, reason
    )
    resources.archive.reject(rejection, snapshot.body)


def is_of(identifiers: Sequence[str]) -> pl.Expr:
    """Whether a row comes from one of these snapshots."""
    return pl.col("raw_sha256").str.slice(0, 16).is_in({order_of(i)[1] for i in identifiers})
